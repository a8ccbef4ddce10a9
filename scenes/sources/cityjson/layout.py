"""Values out of a JSON document, each checked to be of the shape that CityJSON gives it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mage.scenes.errors import CityError
from mage.scenes.sources.raw import Floats, Ints, printable

NOTHING: Mapping[str, Any] = {}


def parse(text: bytes, notes: Counter[str]) -> Any:
    """The JSON in ``text``. A name that stands twice in one object keeps its last value, and is counted.

    Raises:
        CityError: broken JSON, or JSON that is nested too deeply.
    """

    def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            notes["names that stand twice in one object, the last one taken"] += len(pairs) - len(found)
        return found

    try:
        return json.loads(text, object_pairs_hook=_distinct)
    except RecursionError:
        raise CityError("its JSON is nested too deeply", expected="CityJSON") from None
    except ValueError as error:  # also bytes that are no text, and numbers of thousands of digits
        raise CityError("broken JSON", expected="CityJSON", found=str(error)) from None


def brief(document: Any) -> str:
    """What a document says it is, for a message."""
    kind = document.get("type") if isinstance(document, dict) else type(document).__name__
    return f"type {_text(kind)}"


def _text(value: Any) -> str:
    """A value for a message or a count; what is neither text nor a number is named by its type."""
    plain = isinstance(value, str | int | float | None)
    return printable(str(value) if plain else type(value).__name__, 60)


def type_of(item: Mapping[str, Any]) -> str:
    """The ``type`` of an object, short and printable."""
    return _text(item.get("type"))


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """``value`` if it is an object.

    Raises:
        CityError: it is not.
    """
    if not isinstance(value, dict):
        raise CityError(f"{where} is not laid out as CityJSON", expected="an object", found=type(value).__name__)
    return value


def sequence(value: Any, where: str) -> list[Any]:
    """``value`` if it is a list.

    Raises:
        CityError: it is not.
    """
    if not isinstance(value, list):
        raise CityError(f"{where} is not laid out as CityJSON", expected="a list", found=type(value).__name__)
    return value


def numbers(value: Any, columns: int, where: str) -> Floats:
    """Rows of numbers, float64 (n, columns); null becomes NaN.

    Raises:
        CityError: anything else.
    """
    try:
        array = np.array(sequence(value, where), dtype=float)
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(())
    if array.size == 0 and array.ndim == 1:
        array = array.reshape(0, columns)
    if array.ndim != 2 or array.shape[1] != columns:
        raise CityError(f"{where} is not laid out as CityJSON", expected=f"rows of {columns} numbers")
    return array


def indices(values: Sequence[Any], count: int, expected: str) -> Ints:
    """Whole numbers from 0 to ``count`` - 1, int64 (n,): places in a list of vertices.

    Raises:
        CityError: other numbers, or something else.
    """
    try:
        index = np.array(values)
    except (TypeError, ValueError):
        index = np.zeros(())
    if index.size == 0 and index.ndim == 1:
        return np.zeros(0, np.int64)
    if index.ndim != 1 or index.dtype.kind != "i":
        raise CityError("boundaries are not laid out as CityJSON", expected=expected)
    low, high = int(index.min()), int(index.max())
    if low < 0 or high >= count:
        raise CityError(
            "a boundary refers to a vertex that is not there",
            expected=f"0 to {count - 1}",
            found=str(low if low < 0 else high),
        )
    return index.astype(np.int64)
