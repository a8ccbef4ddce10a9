"""Geometries of CityJSON: their boundaries, what their surfaces mean, and templates that stand in many places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np

from mage.scenes.errors import CityError
from mage.scenes.mesh import Surface
from mage.scenes.sources.cityjson.layout import NOTHING, indices, mapping, numbers, sequence, type_of
from mage.scenes.sources.raw import SEMANTICS, Floats, Ints, Polygons, lengths

UNKNOWN = -1.0  # the level of a geometry that does not state one
LARGEST_PLACED = 30_000_000  # points that the templates of one file may make in all its places
LONGEST_ROW = 10  # templates that place a template that places a template …
_SURFACES = frozenset({"MultiSurface", "CompositeSurface"})
_SOLIDS = frozenset({"MultiSolid", "CompositeSolid"})
_RINGS = "lists of rings of integers"


@dataclass(frozen=True, slots=True, eq=False)
class Shell:
    """Faces, and for each the position of its meaning among the geometry's ``semantics``, int64 (f,); -1 for none."""

    polygons: Polygons
    meaning: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """One geometry of an object.

    Attributes:
        level: its level of detail, or :data:`UNKNOWN`.
        solid: whether it is made of solids.
        semantics: what its surfaces mean: type and attributes.
        shells: the outer shells of its solids, or its surfaces.
        lines, points: of geometries that are no surfaces.
    """

    level: float
    solid: bool = False
    semantics: Sequence[Mapping[str, Any]] = ()
    shells: Sequence[Shell] = ()
    lines: Sequence[Floats] = ()
    points: Floats = field(default_factory=lambda: np.zeros((0, 3)))

    @property
    def rank(self) -> tuple[bool, bool]:
        """Of one object given twice at one level, what has semantics goes first, then what is solid."""
        return bool(self.semantics), self.solid


def level_of(lod: Any) -> float:
    """A level of detail from 0 to 4.9, or :data:`UNKNOWN`."""
    try:
        level = float(lod)
    except (TypeError, ValueError, OverflowError):
        return UNKNOWN
    return level if 0 <= level < 5 else UNKNOWN


def read_geometry(item: Mapping[str, Any], vertices: Floats, notes: Counter[str]) -> Geometry | None:
    """A geometry over ``vertices`` (n, 3), or None (counted) for a type that CityJSON does not have.

    Cavities inside solids are left out.

    Raises:
        CityError: boundaries or semantics that are not laid out as they should be.
    """
    kind, level = type_of(item), level_of(item.get("lod"))
    if kind == "MultiPoint":
        return Geometry(level, points=_chain(item.get("boundaries"), vertices))
    if kind == "MultiLineString":
        lines = [_chain(line, vertices) for line in sequence(item.get("boundaries"), "boundaries")]
        return Geometry(level, lines=[line for line in lines if len(line) > 1])
    if kind not in _SURFACES and kind not in _SOLIDS and kind != "Solid":
        notes[f"ignored {kind}"] += 1
        return None
    semantics = mapping(item.get("semantics") or NOTHING, "semantics")
    surfaces = [mapping(s, "semantics") for s in sequence(semantics.get("surfaces", []), "semantics")]
    shells = tuple(s for s in _shells(kind, item, semantics.get("values"), surfaces, vertices) if len(s.polygons))
    return Geometry(level, kind not in _SURFACES, surfaces, shells)


def _chain(boundary: Any, vertices: Floats) -> Floats:
    return np.asarray(vertices[indices(sequence(boundary, "boundaries"), len(vertices), "lists of integers")])


def _shells(
    kind: str, item: Mapping[str, Any], values: Any, surfaces: Sequence[Mapping[str, Any]], vertices: Floats
) -> Iterator[Shell]:
    """One outer shell for each solid, or one for a multi-surface."""
    boundaries = sequence(item.get("boundaries"), "boundaries")
    labels = np.array([*(label_of(k, surfaces) for k in range(len(surfaces))), Surface.OTHER], np.uint8)
    if kind in _SURFACES:
        yield _shell(boundaries, values, labels, vertices)
        return
    solids = [(boundaries, values)] if kind == "Solid" else [(s, _at(values, k)) for k, s in enumerate(boundaries)]
    for solid, of_solid in solids:
        if sequence(solid, "boundaries"):
            yield _shell(solid[0], _at(of_solid, 0), labels, vertices)


def _at(values: Any, position: int) -> Any:
    return values[position] if isinstance(values, list) and position < len(values) else None


def label_of(position: int, surfaces: Sequence[Mapping[str, Any]]) -> Surface:
    """What the surface at ``position`` is; one of a type of its own is what the surface that it belongs to is."""
    seen: set[int] = set()
    while position not in seen:
        seen.add(position)
        kind, parent = surfaces[position].get("type"), surfaces[position].get("parent")
        if isinstance(kind, str) and kind in SEMANTICS:
            return SEMANTICS[kind]
        if not isinstance(parent, int) or not 0 <= parent < len(surfaces):
            break
        position = parent
    return Surface.OTHER


def _shell(faces: Any, values: Any, labels: Any, vertices: Floats) -> Shell:
    try:
        rings = list(chain.from_iterable(sequence(faces, "boundaries")))
        sizes, counts = lengths(rings), lengths(faces)
        flat = list(chain.from_iterable(rings))
    except TypeError:
        raise CityError("boundaries are not laid out as CityJSON", expected=_RINGS) from None
    index = indices(flat, len(vertices), _RINGS)
    if not len(index):
        return Shell(Polygons.of([], []), np.zeros(0, np.int64))
    meaning = _meaning(values, len(labels) - 1, len(counts))
    return Shell(Polygons(vertices[index], sizes, counts, labels[meaning]), meaning)


def _meaning(values: Any, surfaces: int, count: int) -> Ints:
    """For each face the position of its semantics; -1 where they are silent or point nowhere."""
    found = np.full(count, -1, np.int64)
    if isinstance(values, list):
        for face, value in enumerate(values[:count]):
            if isinstance(value, int) and 0 <= value < surfaces:
                found[face] = value
    return found


def faces_of(shell: Shell, chosen: Any) -> Polygons:
    """Only the faces where ``chosen`` (f,) is true."""
    polygons = shell.polygons
    ring = np.repeat(chosen, polygons.rings)
    point = np.repeat(ring, polygons.sizes)
    return Polygons(polygons.points[point], polygons.sizes[ring], polygons.rings[chosen], polygons.surface[chosen])


class Templates:
    """Geometries of a file that stand in many places, each read once.

    Args:
        document: what holds ``geometry-templates``: a whole file, or the first line of a sequence.

    Raises:
        CityError: templates that are not laid out as they should be.
    """

    def __init__(self, document: Mapping[str, Any], notes: Counter[str]) -> None:
        held = mapping(document.get("geometry-templates") or NOTHING, "geometry-templates")
        self._items = sequence(held.get("templates", []), "templates")
        self._vertices = numbers(held.get("vertices-templates", []), 3, "vertices-templates")
        self._read: dict[int, Geometry | None] = {}
        self._placed = 0
        self.notes = notes

    def place(self, item: Mapping[str, Any], vertices: Floats) -> Geometry | None:
        """A GeometryInstance as a geometry where it stands, or None (counted) where its template is not there.

        Raises:
            CityError: an instance that is not laid out as it should be, or templates that would fill the memory.
        """
        row: list[Mapping[str, Any]] = []
        number: Any = None
        while type_of(item) == "GeometryInstance":
            row.append(item)
            number = item.get("template")
            if not isinstance(number, int) or not 0 <= number < len(self._items):
                self.notes["geometry templates that are not there"] += 1
                return None
            if len(row) > LONGEST_ROW:
                self.notes["geometry templates within themselves left out"] += 1
                return None
            item = mapping(self._items[number], "a template")
        geometry = self._template(number, item)
        for place in reversed(row):
            geometry = geometry and self._moved(geometry, place, vertices if place is row[0] else self._vertices)
        return geometry

    def _template(self, number: int, item: Mapping[str, Any]) -> Geometry | None:
        if number not in self._read:
            self._read[number] = read_geometry(item, self._vertices, self.notes)
        return self._read[number]

    def _moved(self, geometry: Geometry, place: Mapping[str, Any], vertices: Floats) -> Geometry:
        """The geometry through the instance's matrix, and then from its own origin to the reference point."""
        here = _chain(place.get("boundaries"), vertices)
        if len(here) != 1:
            raise CityError("a geometry instance is not laid out as CityJSON", expected="one point that it stands at")
        matrix = numbers([place.get("transformationMatrix", np.eye(4).ravel().tolist())], 16, "transformationMatrix")

        def _move(points: Floats) -> Floats:
            self._placed += len(points)
            if self._placed > LARGEST_PLACED:
                raise CityError("its templates make too many points", expected=f"at most {LARGEST_PLACED}")
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                moved = np.column_stack([points, np.ones(len(points))]) @ matrix.reshape(4, 4).T
                return np.asarray(moved[:, :3] / moved[:, 3:] + here)

        shells = [Shell(replace(s.polygons, points=_move(s.polygons.points)), s.meaning) for s in geometry.shells]
        return replace(
            geometry, shells=shells, lines=[_move(line) for line in geometry.lines], points=_move(geometry.points)
        )
