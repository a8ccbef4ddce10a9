"""City objects of CityJSON: which belong to which, and what is a building and what another feature."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mage.scenes.mesh import Surface
from mage.scenes.sources.cityjson.geometry import UNKNOWN, Geometry, Shell, Templates, faces_of, read_geometry
from mage.scenes.sources.cityjson.layout import NOTHING, mapping, sequence, type_of
from mage.scenes.sources.raw import Floats, Polygons, RawBuilding, RawFeature, RawObject, printable

INTERIOR = 4  # levels of detail from here on show rooms and are not built
_TOP = frozenset(
    {
        *("Building", "Bridge", "Tunnel", "Road", "Railway", "TransportSquare", "Waterway", "WaterBody", "LandUse"),
        *("PlantCover", "SolitaryVegetationObject", "TINRelief", "CityFurniture", "GenericCityObject"),
        "OtherConstruction",
    }
)
_MEMBERS = frozenset(
    f"{family}{member}"
    for family in ("Building", "Bridge", "Tunnel")
    for member in ("Part", "Installation", "ConstructiveElement", "ConstructionElement")  # the last in version 1.0
)
_BY_SURFACE = frozenset({"Road", "Railway", "TransportSquare", "Waterway", "WaterBody"})
_NOT_ATTRIBUTES = frozenset({"type", "parent", "children"})

Thing = RawBuilding | tuple[RawFeature, ...]


class Document:
    """The objects of a whole file, or of one line of a sequence.

    Args:
        document: what holds ``CityObjects``.
        vertices: float64 (n, 3), in the file's coordinate system.

    Raises:
        CityError: objects that are not laid out as they should be.
    """

    def __init__(
        self, document: Mapping[str, Any], vertices: Floats, templates: Templates, notes: Counter[str]
    ) -> None:
        objects = mapping(document.get("CityObjects"), "CityObjects")
        self._objects = {name: mapping(o, f"the city object {printable(name, 60)}") for name, o in objects.items()}
        self._kinds = {name: type_of(item) for name, item in self._objects.items()}
        self._vertices, self._templates, self._notes = vertices, templates, notes

    def things(self) -> Iterator[Thing]:
        """Every building with its parts, and every other object with its own; objects of other kinds are counted.

        Raises:
            CityError: an object that is not laid out as it should be.
        """
        for kind in self._kinds.values():
            if kind not in _TOP and kind not in _MEMBERS:
                self._notes[f"ignored {kind}"] += 1
        for names in self._families():
            first = self._kinds[names[0]]
            if first in ("Building", "BuildingPart"):
                yield RawBuilding(names[0], self._building(names))
            elif first.startswith("Building"):
                self._notes[f"{first} without a building left out"] += 1
            else:
                yield tuple(feature for name in names for feature in self._features(name, names[0]))

    def _families(self) -> Iterator[list[str]]:
        """The name of an object and then those of all that belongs to it; every object comes once."""
        children, taken = self._children(), set[str]()
        top = [name for name, kind in self._kinds.items() if kind in _TOP]
        parts = [name for name, kind in self._kinds.items() if kind in _MEMBERS]
        parts.sort(key=lambda name: not self._kinds[name].endswith("Part"))  # a stray part keeps its installations
        for name in [*top, *parts]:
            if name not in taken:
                kind = self._kinds[name]
                if kind.endswith("Part"):
                    self._notes[f"{kind} without what it belongs to, taken by itself"] += 1
                yield self._family(name, children, taken)

    def _children(self) -> Mapping[str, Sequence[str]]:
        """What belongs to each object, whether it says so itself or its children do; missing ones are counted."""
        found: dict[str, dict[str, None]] = {name: {} for name in self._objects}
        for name, item in self._objects.items():
            if self._kinds[name] == "CityObjectGroup":
                continue  # a group collects, it owns nothing
            for child in sequence(item.get("children") or [], "children"):
                if isinstance(child, str) and child in found:
                    found[name][child] = None
                else:
                    self._notes[f"{_family_name(self._kinds[name])} parts that are not there"] += 1
        for name, item in self._objects.items():
            for parent in sequence(item.get("parents") or [], "parents"):
                if isinstance(parent, str) and self._kinds.get(parent, "CityObjectGroup") != "CityObjectGroup":
                    found[parent][name] = None
        return {name: tuple(names) for name, names in found.items()}

    def _family(self, first: str, children: Mapping[str, Sequence[str]], taken: set[str]) -> list[str]:
        """The object, its parts and their parts, as far as nobody has taken them."""
        family = _family_name(self._kinds[first])
        names, queue, seen = [first], deque([first]), {first}
        taken.add(first)
        while queue:
            for child in children[queue.popleft()]:
                kind = self._kinds[child]
                if kind in _TOP or child in seen:
                    continue
                seen.add(child)
                queue.append(child)
                if kind not in _MEMBERS or _family_name(kind) != family:
                    continue
                if child in taken:
                    self._notes[f"{family} parts of two {family}s, left to the first"] += 1
                else:
                    taken.add(child)
                    names.append(child)
        return names

    def _building(self, names: Sequence[str]) -> tuple[RawObject, ...]:
        objects = tuple(self._object(name) for name in names)
        if any(o.shells for o in objects if not o.installation):
            return objects
        # a building of beams and slabs alone: they are its body
        element = [self._kinds[name].endswith("Element") for name in names]
        return tuple(replace(o, installation=o.installation and not e) for o, e in zip(objects, element, strict=True))

    def _object(self, name: str) -> RawObject:
        chosen = self._levels(name)
        return RawObject(
            self._attributes(name),
            {
                level: shells
                for level, found in chosen.items()
                if 0 <= level < INTERIOR and (shells := _whole(found) if level >= 1 else _outlines(found))
            },
            frozenset(int(level) for level in chosen if not 0 <= level < INTERIOR),
            self._kinds[name] not in ("Building", "BuildingPart"),
        )

    def _attributes(self, name: str) -> Mapping[str, Any]:
        return mapping(self._objects[name].get("attributes") or NOTHING, "attributes")

    def _levels(self, name: str) -> dict[float, list[Geometry]]:
        """Geometries of each level of detail.

        A file may hold one object twice, as labelled surfaces and as a plain solid: the better rank counts, and
        geometries of equal rank complement each other.
        """
        by_level: dict[float, list[Geometry]] = {}
        for entry in sequence(self._objects[name].get("geometry") or [], "geometry"):
            item = mapping(entry, "a geometry")
            placed = type_of(item) == "GeometryInstance"
            geometry = (
                self._templates.place(item, self._vertices)
                if placed
                else read_geometry(item, self._vertices, self._notes)
            )
            if geometry is not None:
                by_level.setdefault(geometry.level, []).append(geometry)
        return {level: _best(geometries) for level, geometries in by_level.items()}

    def _features(self, name: str, identity: str) -> Iterator[RawFeature]:
        """The object as features: one, or one for each kind of surface that it is made of."""
        kind, attributes = self._kinds[name], self._attributes(name)
        levels: dict[float, list[Geometry]] = {}
        for level, geometries in self._levels(name).items():
            if level >= INTERIOR:
                self._notes[f"LoD{int(level)} of {kind} left out"] += 1
                continue
            if level == UNKNOWN:
                self._notes["geometries without a level of detail, taken as LoD0"] += len(geometries)
            levels.setdefault(max(level, 0.0), []).extend(geometries)
        loose = [g for geometries in levels.values() for g in geometries]
        lines = [line for g in loose for line in g.lines]
        points = np.concatenate([np.zeros((0, 3)), *(g.points for g in loose)])
        if kind not in _BY_SURFACE:
            shells = {level: found for level, geometries in levels.items() if (found := _whole(geometries))}
            yield RawFeature(identity, kind, "", attributes, shells, lines, points)
            return
        parts = _by_surface(levels)
        if lines or len(points) or not parts:
            yield RawFeature(identity, kind, "", attributes, {}, lines, points)
        for (role, stated), by_level in parts.items():
            yield RawFeature(identity, kind, role, _with(attributes, stated), by_level)


def _family_name(kind: str) -> str:
    """``building``, ``bridge`` or ``tunnel`` for what belongs to one, ``other`` for the rest."""
    return next((family.lower() for family in ("Building", "Bridge", "Tunnel") if kind.startswith(family)), "other")


def _best(geometries: Sequence[Geometry]) -> list[Geometry]:
    """What is neither surface nor solid, and of the others those of the best rank."""
    best = max((g.rank for g in geometries if g.shells), default=None)
    return [g for g in geometries if not g.shells or g.rank == best]


def _whole(geometries: Sequence[Geometry]) -> list[Polygons]:
    return [shell.polygons for geometry in geometries for shell in geometry.shells]


def _outlines(geometries: Sequence[Geometry]) -> list[Polygons]:
    """Footprints, labelled as ground, and roof edges, labelled as roofs, of a building at LoD0."""
    found = []
    for shell in (shell for geometry in geometries for shell in geometry.shells):
        roof = shell.polygons.surface == Surface.ROOF
        for faces, label in ((faces_of(shell, ~roof), Surface.GROUND), (faces_of(shell, roof), Surface.ROOF)):
            if len(faces):
                found.append(replace(faces, surface=np.full(len(faces), label, np.uint8)))
    return found


_Meaning = tuple[str, tuple[tuple[str, object], ...]]


def _by_surface(levels: Mapping[float, Sequence[Geometry]]) -> dict[_Meaning, dict[float, list[Polygons]]]:
    """Faces of each meaning (type and attributes) and level of detail."""
    found: dict[_Meaning, dict[float, list[Polygons]]] = {}
    for level, geometries in levels.items():
        for geometry in geometries:
            meanings = [_meaning(surface) for surface in geometry.semantics]
            for shell in geometry.shells:
                for meaning, polygons in _split(shell, meanings):
                    found.setdefault(meaning, {}).setdefault(level, []).append(polygons)
    return found


def _meaning(surface: Mapping[str, Any]) -> _Meaning:
    """Type and attributes of a semantic surface; lists become tuples, so that equal meanings are one."""
    stated = []
    for key, value in sorted(surface.items()):
        item = tuple(v for v in value if isinstance(v, str | int | float)) if isinstance(value, list) else value
        if key not in _NOT_ATTRIBUTES and isinstance(item, str | int | float | tuple):
            stated.append((key, item))
    return type_of(surface), tuple(stated)


def _with(attributes: Mapping[str, Any], stated: Sequence[tuple[str, object]]) -> Mapping[str, Any]:
    return {**attributes, **{key: list(value) if isinstance(value, tuple) else value for key, value in stated}}


def _split(shell: Shell, meanings: Sequence[_Meaning]) -> Iterator[tuple[_Meaning, Polygons]]:
    """The faces of each meaning; different surfaces may mean the same."""
    positions: dict[_Meaning, list[int]] = {}
    for position in np.unique(shell.meaning).tolist():
        positions.setdefault(meanings[position] if position >= 0 else ("", ()), []).append(position)
    for meaning, same in positions.items():
        yield meaning, faces_of(shell, np.isin(shell.meaning, same))
