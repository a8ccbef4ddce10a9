"""Small pieces of Markdown: tables, shares, lists in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import yaml


def front_matter(facts: dict[str, Any]) -> str:
    """YAML between two lines of dashes, as the head of a Markdown file."""
    return f"---\n{to_yaml(facts)}---\n"


def to_yaml(facts: dict[str, Any]) -> str:
    """A mapping as YAML in the order given, without wrapped lines."""
    return yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=10_000)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; numbers to the right, with thousands set apart; None is a dash."""
    rows = [list(row) for row in rows]
    numeric = [all(isinstance(row[k], int | float | None) for row in rows) for k in range(len(heads))]
    lines = [heads, ["---:" if right else "---" for right in numeric], *([_cell(v) for v in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def share(part: int, whole: int) -> str:
    """``part`` of ``whole`` in percent."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(words: Iterable[str]) -> str:
    """``a, b and c``; ``none`` for nothing."""
    *first, last = list(words) or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def span(low: float, high: float, unit: str = "") -> str:
    """``low to high unit``, or the one value."""
    low, high = round(low, 2), round(high, 2)
    shown = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return f"{shown} {unit}".strip()


def plain(text: str) -> str:
    """Text of others as one line in which Markdown and HTML mean nothing."""
    flat = " ".join(text.split())
    for sign in "\\`*_[]<>|":
        flat = flat.replace(sign, f"\\{sign}")
    return flat


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value).replace("\n", " ")
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
