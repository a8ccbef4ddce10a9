"""Results that stay in the repository: JSON files in `results` to which figures are added by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results"


def read(file: str) -> dict[str, Any]:
    """All that a file holds so far; nothing where it is not there."""
    path = RESULTS / file
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def keep(file: str, found: dict[str, Any]) -> None:
    """Add figures by their names, in place of older ones of the same."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(read(file) | found, indent=1, sort_keys=True)
    (RESULTS / file).write_text(text + "\n", encoding="utf-8")


def rounded(value: Any) -> Any:
    """JSON values with four digits after the point."""
    if isinstance(value, dict):
        return {name: rounded(v) for name, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return round(value, 4) if isinstance(value, float) else value
