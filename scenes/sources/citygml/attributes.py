"""Attributes of CityGML's objects: their own, generic ones, the address, and the height of version 3.0."""

from __future__ import annotations

from collections.abc import Iterator

from mage.scenes.sources.citygml.nodes import LONGEST_TEXT, Node

_GENERIC = frozenset(
    (
        "stringAttribute",
        "intAttribute",
        "doubleAttribute",
        "dateAttribute",
        "uriAttribute",
        "measureAttribute",
        "StringAttribute",
        "IntAttribute",
        "DoubleAttribute",
        "DateAttribute",
        "UriAttribute",
        "MeasureAttribute",
        "CodeAttribute",
    )
)
_SETS = frozenset({"genericAttributeSet", "GenericAttributeSet"})


def attributes_of(node: Node) -> dict[str, object]:
    """All that an object says of itself, as text, by the names of the source.

    Of several values under one name the first counts, and an attribute of the schema before a generic one. Version
    3.0's structured heights come as ``measuredHeight``; the parts of addresses as ``address``, with commas between.
    """
    found: dict[str, object] = {}
    later: dict[str, object] = {}
    for child in node.children:
        if child.name == "address" or child.name == "xalAddress":
            later.setdefault("address", ", ".join(_leaves(child))[:LONGEST_TEXT])
        elif child.name == "height" and child.children:
            found |= _height(child, found)
        elif child.name in _GENERIC or child.name in _SETS or child.name == "genericAttribute":
            for name, value in _generic(child):
                later.setdefault(name, value)
        elif child.text and not child.children and child.geometry is None:
            found.setdefault(child.name, child.text)
    return {name: value for name, value in (later | found).items() if value}


def _leaves(node: Node) -> Iterator[str]:
    if node.text and not node.children:
        yield " ".join(node.text.split())
    for child in node.children:
        yield from _leaves(child)


def _height(node: Node, found: dict[str, object]) -> dict[str, object]:
    values = (v.text for height in node.children for v in height.children if v.name == "value" and v.text)
    value = next(values, None)
    return {} if value is None or "measuredHeight" in found else {"measuredHeight": value}


def _generic(node: Node) -> Iterator[tuple[str, str]]:
    """Names and values; sets of attributes are flattened, for no reader of them knows which set to look in."""
    if node.name in _GENERIC:
        title, value = node.title, ""
        for child in node.children:
            if child.name == "name":
                title = child.text
            elif child.name == "value":
                value = child.text
        if title and value:
            yield title.strip()[:200], value
        return
    for child in node.children:
        yield from _generic(child)
