"""YAML without surprises: a SafeLoader that refuses aliases and duplicate keys."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from mage.scenes.errors import RecipeError

LARGEST = 1 << 20  # bytes; a recipe is a page, not a data file


class _Strict(yaml.SafeLoader):
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, file: str | Path) -> Any:
    """The document in ``text``.

    Raises:
        RecipeError: not YAML, an alias, a duplicate key, or more than 1 MiB; the message names file, line and column.
    """
    if len(text) > LARGEST:
        raise RecipeError(
            "too large for a recipe", file=file, expected=f"at most {LARGEST} bytes", found=f"{len(text)}"
        )
    try:
        return yaml.load(text, _Strict)  # noqa: S506 - _Strict is a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise RecipeError(f"not valid YAML{where}: {getattr(error, 'problem', None) or error}", file=file) from None


def read_yaml(file: Path) -> Any:
    """The document in a file; see :func:`parse_yaml`."""
    try:
        return parse_yaml(file.read_text(encoding="utf-8"), file)
    except FileNotFoundError:
        raise RecipeError("no such file", file=file) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot be read as text: {error}", file=file) from None
