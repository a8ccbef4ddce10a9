"""Geometry of a city object at its level of detail, from the reading of it to polygons with links followed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mage.scenes.mesh import Surface
from mage.scenes.sources.citygml.gml import Geometry, rows
from mage.scenes.sources.citygml.links import Links
from mage.scenes.sources.citygml.nodes import RELATIVE, Node
from mage.scenes.sources.raw import Floats, Ints, Polygons

SOLIDS = frozenset({"Solid", "MultiSolid"})
BOUNDARY = "boundary"  # stands among the kinds of geometry for surfaces that say what they are
SAME_SIZE = 0.9  # of the extent along each axis: geometry as large as that beside another is the same thing again
_LYING = {"FootPrint": Surface.GROUND, "RoofEdge": Surface.ROOF}  # outlines of level 0


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Geometry at one level of detail.

    Attributes:
        kind: ``Solid``, ``MultiSurface`` …: what the name of its property says; or :data:`BOUNDARY`.
        label: what its faces are.
        matrix: (3, 4) from the coordinates of a library object to those of the file, for implicit geometry.
        reference: (3,) where that stands.
        mirrored: whether it is mirrored there.
    """

    level: int
    kind: str
    label: Surface
    geometry: Geometry
    matrix: Floats | None = None
    reference: Floats | None = None
    mirrored: bool = False


Placing = Callable[[Floats], Floats]
"""From an implicit geometry's reference point (3,) to the (3, 3) that turns metres into the file's units there."""


def shape_of(node: Node, kind: str, label: Surface, notes: Counter[str], placing: Placing) -> Shape | None:
    """The shape that a property of a city object holds; None where there is none, counted in ``notes``."""
    if node.geometry is not None:
        return Shape(node.level, kind, label, node.geometry)
    implicit = next((child for child in node.children if child.name == "ImplicitGeometry"), None)
    if implicit is None:
        notes["implicit geometry that cannot be placed left out"] += 1
        return None
    return _implicit(implicit, Shape(node.level, kind, label, Geometry()), notes, placing)


def _implicit(node: Node, shape: Shape, notes: Counter[str], placing: Placing) -> Shape | None:
    reference, relative, matrix = None, None, np.eye(3, 4)
    for child in node.children:
        if child.name == "referencePoint" and child.geometry is not None and len(child.geometry.places) == 3:
            reference = rows(child.geometry.places)[0]
        elif child.name in RELATIVE:
            relative = child.geometry
        elif child.name == "transformationMatrix":
            matrix = _matrix(child.text)
        elif child.name == "libraryObject":
            notes["library objects in other files left out"] += 1
    if reference is None or not np.isfinite(matrix).all():
        notes["implicit geometry that cannot be placed left out"] += 1
        return None
    with np.errstate(all="ignore"):
        mirrored = bool(np.linalg.det(matrix[:, :3]) < 0)
        matrix = placing(reference) @ matrix
        matrix[:, 3] += reference
    return Shape(shape.level, shape.kind, shape.label, relative or Geometry(), matrix, reference, mirrored)


def _matrix(text: str) -> Floats:
    """The upper three rows of a 4 x 4 matrix, row by row; NaN where it cannot be read."""
    try:
        matrix = np.array(text.split(), float).reshape(4, 4)
    except ValueError:
        return np.full((3, 4), np.nan)
    with np.errstate(all="ignore"):
        return np.asarray(matrix[:3] / matrix[3, 3])


def placed(points: Floats, matrix: Floats) -> Floats:
    """Points (n, 3) by a (3, 4) matrix."""
    with np.errstate(all="ignore"):
        return np.asarray(points @ matrix[:, :3].T + matrix[:, 3])


def shells(shapes: Sequence[Shape], links: Links) -> dict[float, list[Polygons]]:
    """What there is to build at each level of detail, links followed."""
    levels = sorted({shape.level for shape in shapes})
    found = {float(level): _at_level([s for s in shapes if s.level == level], links) for level in levels}
    return {level: polygons for level, polygons in found.items() if polygons}


def _at_level(shapes: list[Shape], links: Links) -> list[Polygons]:
    """What there is to build at one level: see :func:`_chosen`. Outlines of level 0 stay apart."""
    outlines = [s for s in shapes if _outline(s)]
    chosen, others = _chosen([s for s in shapes if not _outline(s)])
    found = polygons_of(chosen, links)
    if others and found:
        low, high = found[0].points.min(axis=0), found[0].points.max(axis=0)
        rest = [s for s in others if s.kind not in SOLIDS and not _as_large(s, high - low)]
        found = polygons_of([*chosen, *rest], links) if rest else found
        twice = sum(_own_faces(s.geometry) for s in others if s not in rest)
        links.notes["unlabelled faces beside others left out"] += twice
    return found + [p for s in outlines for p in polygons_of([s], links, _LYING[s.kind])]


def _chosen(shapes: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    """The surfaces with meaning if they make a building; what the solid adds to them; else the solid alone.

    And the others: a file may hold one building twice, and faces that nobody has labelled beside those that are.
    """
    boundary = [s for s in shapes if s.kind == BOUNDARY]
    unlabelled = [s for s in shapes if s.kind != BOUNDARY]
    whole = [s for s in unlabelled if s.kind in SOLIDS] or unlabelled
    if any(s.geometry.linked for s in whole):
        chosen = [*boundary, *whole]
    elif whole and not {Surface.ROOF, Surface.WALL} <= {s.label for s in boundary}:
        chosen = whole
    else:
        chosen = boundary
    return chosen, [s for s in unlabelled if s not in chosen]


def _as_large(shape: Shape, size: Floats) -> bool:
    """Whether a shape is the whole once more, and no rest of it."""
    points = shape.geometry.own_points()
    if not points or shape.matrix is not None:
        return False
    together = np.concatenate(points)
    with np.errstate(invalid="ignore"):
        return bool((together.max(axis=0) - together.min(axis=0) >= SAME_SIZE * size).all())


def _own_faces(root: Geometry) -> int:
    """How many polygons are at and below it, links not followed."""
    below = sum(_own_faces(member) for member in root.members if isinstance(member, Geometry))
    return len(root.rings) + below


def _outline(shape: Shape) -> bool:
    return shape.level == 0 and shape.kind in _LYING


def polygons_of(shapes: Sequence[Shape], links: Links, label: Surface | None = None) -> list[Polygons]:
    """All polygons of the shapes together, each once: what a solid links to has been met among the surfaces."""
    pieces: list[Polygons] = []
    done: set[int] = set()
    for shape in shapes:
        # a library object may stand in one city object many times
        for geometry, turned in links.walk(shape.geometry, done if shape.matrix is None else set(), _weight):
            if geometry.rings:
                pieces.append(_polygons(geometry, turned, shape, shape.label if label is None else label))
    if not pieces:
        return []
    return [
        Polygons(
            np.concatenate([p.points for p in pieces]),
            np.concatenate([p.sizes for p in pieces]),
            np.concatenate([p.rings for p in pieces]),
            np.concatenate([p.surface for p in pieces]),
        )
    ]


def _polygons(geometry: Geometry, turned: bool, shape: Shape, label: Surface) -> Polygons:
    points, sizes = rows(geometry.coordinates), np.array(geometry.sizes, np.int64)
    if shape.matrix is not None:
        points = placed(points, shape.matrix)
        turned ^= shape.mirrored
    if turned:
        points = points[_backwards(sizes)]
    rings = np.array(geometry.rings, np.int64)
    return Polygons(points, sizes, rings, np.full(len(rings), label, np.uint8))


def _backwards(sizes: Ints) -> Ints:
    """Indices that turn every ring over."""
    ends = np.cumsum(sizes)
    return np.asarray(np.repeat(2 * ends - sizes - 1, sizes) - np.arange(ends[-1]))


def _weight(geometry: Geometry) -> int:
    return len(geometry.coordinates) // 3


def lines_of(shapes: Sequence[Shape], links: Links) -> list[Floats]:
    """All lines (k, 3) of the shapes, each once; those with points that are nowhere are left out."""
    done: set[int] = set()
    lines = [
        line if shape.matrix is None else placed(line, shape.matrix)
        for shape in shapes
        for geometry, _ in links.walk(shape.geometry, done, lambda found: sum(map(len, found.lines)))
        for line in geometry.lines
    ]
    whole = [line for line in lines if np.isfinite(line).all()]
    links.notes["lines without finite coordinates left out"] += len(lines) - len(whole)
    return whole


def places_of(shapes: Sequence[Shape], links: Links) -> Floats:
    """All points (n, 3) of the shapes, and where each implicit geometry stands."""
    done: set[int] = set()
    found: list[Floats] = [np.zeros((0, 3))]
    for shape in shapes:
        if shape.reference is not None:
            found.append(shape.reference[None])
        else:
            found += [rows(g.places) for g, _ in links.walk(shape.geometry, done, lambda found: len(found.places))]
    places = np.concatenate(found)
    somewhere = np.isfinite(places).all(axis=1)
    links.notes["points without finite coordinates left out"] += int(len(places) - somewhere.sum())
    return places[somewhere]
