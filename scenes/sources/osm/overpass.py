"""Answers of the Overpass API in JSON, handed to osmium as the file that they could have been."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeGuard

import osmium

from mage.scenes.errors import CityError
from mage.scenes.sources.osm.elements import Box, Elements
from mage.scenes.sources.osm.formats import text_of
from mage.scenes.sources.osm.planet import assembled

_HIGHEST_ID = 2**48  # far above any of OpenStreetMap's; made-up ids of nodes follow it
_LONGEST_TEXT = 1000  # characters of a key or value; OpenStreetMap's own limit is 255
_LETTERS = {"node": "n", "way": "w", "relation": "r"}

Place = tuple[float, float]


def parse_json(text: bytes, expected: str) -> Any:
    """A JSON document.

    Raises:
        CityError: broken, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise CityError("its JSON is nested too deeply", expected=expected) from None
    except ValueError as error:  # also bytes that are no text, and numbers of thousands of digits
        raise CityError("broken JSON", expected=expected, found=str(error)[:200]) from None


def read_overpass(path: Path, bounds: Box | None, also: Sequence[str] = ()) -> Elements:
    """The elements of an answer with ``out geom``, or with ``out body`` and the nodes that its ways need.

    ``also`` is that of :func:`~mage.scenes.sources.osm.planet.read_planet`.

    Raises:
        CityError: broken JSON, or no list of elements in it.
    """
    document = parse_json(text_of(path), "Overpass JSON")
    items = document.get("elements") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise CityError("no answer of Overpass", expected="a list 'elements'", found=type(items).__name__)
    answer = _Answer()
    for item in items:
        answer.take(item)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "overpass.osm.pbf"
        answer.write(target)
        elements = assembled(target, "pbf", "Overpass JSON", bounds, also)
    return replace(elements, notes=elements.notes + answer.notes)


@dataclass(slots=True)
class _Way:
    nodes: list[int] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)


class _Answer:
    """Nodes, ways and relations by their ids, gathered from elements in any order and more than once."""

    def __init__(self) -> None:
        self.notes: Counter[str] = Counter()
        self._nodes: dict[int, tuple[Place, dict[str, str]]] = {}
        self._ways: dict[int, _Way] = {}
        self._relations: dict[int, tuple[list[tuple[str, int, str]], dict[str, str]]] = {}
        self._made_up: dict[Place, int] = {}

    def take(self, item: Any) -> None:
        """One member of ``elements``."""
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "count":
            return
        key = _id(item.get("id")) if isinstance(item, dict) else None
        takers = {"node": self._take_node, "way": self._take_way, "relation": self._take_relation}
        if key is None or not isinstance(kind, str) or kind not in takers:
            self.notes["elements that are no objects of OpenStreetMap left out"] += 1
            return
        takers[kind](key, item, _tags(item.get("tags"), self.notes))

    def _take_node(self, key: int, item: Mapping[str, Any], tags: dict[str, str]) -> None:
        place = _place(item)
        if place is None:
            self.notes["nodes without coordinates left out"] += 1
            return
        before = self._nodes.get(key, (place, {}))
        self._nodes[key] = (place, before[1] | tags)

    def _take_way(self, key: int, item: Mapping[str, Any], tags: dict[str, str]) -> None:
        nodes = [n for ref in _list(item.get("nodes")) if (n := _id(ref)) is not None]
        nodes = self._placed(nodes, _list(item.get("geometry")))
        way = self._ways.setdefault(key, _Way())
        way.tags |= tags
        way.nodes = nodes or way.nodes
        if not way.nodes and ("center" in item or "bounds" in item):
            self.notes["objects with a centre and no outline left out"] += 1

    def _take_relation(self, key: int, item: Mapping[str, Any], tags: dict[str, str]) -> None:
        members = []
        for member in _list(item.get("members")):
            ref = _id(member.get("ref")) if isinstance(member, dict) else None
            letter = _LETTERS.get(str(member.get("type"))) if ref is not None else None
            if ref is None or letter is None:
                self.notes["broken members of relations left out"] += 1
                continue
            members.append((letter, ref, _text(member.get("role"))))
            line = _list(member.get("geometry"))
            if letter == "w" and line and not self._ways.setdefault(ref, _Way()).nodes:
                self._ways[ref].nodes = self._placed([], line)
        self._relations[key] = (members or self._relations.get(key, ([], {}))[0], tags)

    def _placed(self, nodes: list[int], line: Sequence[Any]) -> list[int]:
        """The nodes of a way, with the coordinates that stand beside them; ids are made up where there are none."""
        places = [_place(point) for point in line]
        if not nodes:
            return [self._made_up_id(p) for p in places if p is not None]
        for node, place in zip(nodes, places, strict=False):
            if place is not None:
                self._nodes.setdefault(node, (place, {}))
        return nodes

    def _made_up_id(self, place: Place) -> int:
        key = self._made_up.setdefault(place, _HIGHEST_ID + len(self._made_up) + 1)
        self._nodes[key] = (place, {})
        return key

    def write(self, target: Path) -> None:
        """All of it as a sorted PBF file."""
        new = osmium.osm.mutable
        with osmium.SimpleWriter(str(target)) as writer:
            for key, (place, tags) in sorted(self._nodes.items()):
                writer.add_node(new.Node(id=key, location=place, tags=tags))
            for key, way in sorted(self._ways.items()):
                writer.add_way(new.Way(id=key, nodes=way.nodes, tags=way.tags))
            for key, (members, tags) in sorted(self._relations.items()):
                writer.add_relation(new.Relation(id=key, members=members, tags=tags))


def _id(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 < value <= _HIGHEST_ID else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _place(item: Any) -> Place | None:
    """Degrees east and north, to the seven digits that OpenStreetMap keeps."""
    east, north = (item.get("lon"), item.get("lat")) if isinstance(item, dict) else (None, None)
    if not (_is_number(east, 180) and _is_number(north, 90)):
        return None
    return round(float(east), 7), round(float(north), 7)


def _is_number(value: Any, most: int) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and -most <= value <= most


def _tags(value: Any, notes: Counter[str]) -> dict[str, str]:
    found = {}
    for key, content in value.items() if isinstance(value, dict) else ():
        if isinstance(content, str | int | float) and max(len(key), len(str(content))) <= _LONGEST_TEXT:
            found[_text(key)] = _text(str(content))
        else:
            notes["tags that are no text left out"] += 1
    return found


def _text(value: Any) -> str:
    """Text that osmium can store: no zero bytes, no half surrogates."""
    text = value if isinstance(value, str) else ""
    return text.replace("\0", "")[:_LONGEST_TEXT].encode("utf-8", "replace").decode()
