"""YAML without surprises: a SafeLoader that refuses aliases and duplicate keys."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from mage.scenes.errors import RecipeError

LARGEST = 1 << 20  # characters; a recipe is a page, not a data file
# what PyYAML lets out on a tag that does not fit its value, such as "!!bool perhaps"
_TAG_ERRORS = (AttributeError, KeyError, IndexError, TypeError)


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
            if not isinstance(key, str | int | float | bool | None):
                raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key_node.start_mark)
            if key in seen:
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
        raise RecipeError("too large for a recipe", file=file, expected=f"at most {LARGEST} characters", found="more")
    try:
        return yaml.load(text, _Strict)  # noqa: S506 - _Strict is a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError, *_TAG_ERRORS) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise RecipeError(f"not valid YAML{where}: {getattr(error, 'problem', None) or error}", file=file) from None


def read_yaml(file: Path) -> Any:
    """The document in a file; see :func:`parse_yaml`."""
    try:
        with file.open(encoding="utf-8") as stream:
            text = stream.read(LARGEST + 1)  # no more: whatever else the file may be, it ends here
    except FileNotFoundError:
        raise RecipeError("no such file", file=file) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RecipeError(f"cannot be read as text: {reason}", file=file) from None
    return parse_yaml(text, file)


def reason_of(error: Any) -> str:
    """One mistake that pydantic found (an item of ``ValidationError.errors()``), in a few plain words."""
    if error["type"] == "extra_forbidden":
        return "no such key"
    found = error.get("input")
    shown = "" if isinstance(found, dict) or error["type"] == "missing" else f", found {found!r:.80}"
    return f"{error['msg'][0].lower()}{error['msg'][1:]}{shown}"
