"""Faces made valid within their own planes: rings that cross themselves, faces that are folded, holes gone astray."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import shapely
import shapely.geometry.polygon
from numpy.typing import NDArray
from shapely.geometry import LinearRing, Polygon

from mage.scenes.sources.raw import Floats, Ints, Polygons

FOLDED = 0.05  # metres; a face whose points stray further from its plane is no plane face
LARGEST_FOLD = 60  # points; triangulating a ring in space takes cubic time
_PLANES = np.array([(1, 2), (2, 0), (0, 1)])  # the two axes that remain when x, y or z is dropped
Face = list[Floats]


def starts_of(sizes: Ints) -> Ints:
    """Where each of some runs of these lengths begins."""
    return np.cumsum(sizes) - sizes


def area_vectors(polygons: Polygons) -> Floats:
    """The outer rings' normals with the length of their area (Newell's sum), (f, 3)."""
    if not len(polygons):
        return np.zeros((0, 3))
    starts = starts_of(polygons.sizes)
    following = np.arange(len(polygons.points)) + 1
    following[starts + polygons.sizes - 1] = starts
    local = polygons.points - np.repeat(polygons.points[starts], polygons.sizes, axis=0)  # small numbers keep digits
    vectors = np.add.reduceat(np.cross(local, local[following]), starts) / 2
    return np.asarray(vectors[starts_of(polygons.rings)])


def flattened(polygons: Polygons, vectors: Floats) -> Floats:
    """The points in two dimensions, each face without the axis that its normal is nearest to, (n, 2).

    That keeps straight lines straight, and folds no plane face.
    """
    points_of_face = np.add.reduceat(polygons.sizes, starts_of(polygons.rings))
    axes = _PLANES[np.repeat(np.abs(vectors).argmax(axis=1), points_of_face)]
    return np.asarray(np.take_along_axis(polygons.points, axes, axis=1))


def valid(polygons: Polygons, notes: Counter[str]) -> Polygons:
    """The same faces; those that are no polygons when laid flat are cut into ones that are.

    A plane face whose rings cross becomes the areas that its rings surround; a folded one is triangulated in space;
    a hole outside its ring goes.
    """
    vectors = area_vectors(polygons)
    bad = ~shapely.is_valid(_laid_flat(polygons, flattened(polygons, vectors)))
    if not bad.any():
        return polygons
    faces, surfaces = [], []
    positions = np.flatnonzero(bad).tolist()
    for position, rings in zip(positions, faces_of(polygons, positions), strict=True):
        mended = _mended(rings, notes)
        faces += mended
        surfaces += [int(polygons.surface[position])] * len(mended)
    return _joined(only(polygons, ~bad), Polygons.of(faces, surfaces))


def _laid_flat(polygons: Polygons, flat: Floats) -> NDArray[np.object_]:
    rings = shapely.linearrings(flat, indices=np.repeat(np.arange(len(polygons.sizes)), polygons.sizes))
    first = starts_of(polygons.rings)
    found = shapely.polygons(rings[first])
    for face in np.flatnonzero(polygons.rings > 1).tolist():
        start = first[face]
        found[face] = shapely.polygons(rings[start], rings[start + 1 : start + polygons.rings[face]])
    return np.asarray(found)


def faces_of(polygons: Polygons, positions: Iterable[int]) -> Iterator[Face]:
    """The rings (k, 3) of some of the faces, the outer one first."""
    first, starts = starts_of(polygons.rings).tolist(), starts_of(polygons.sizes).tolist()
    rings, sizes = polygons.rings.tolist(), polygons.sizes.tolist()
    for face in positions:
        of_face = range(first[face], first[face] + rings[face])
        yield [polygons.points[starts[r] : starts[r] + sizes[r]] for r in of_face]


def only(polygons: Polygons, keep: NDArray[np.bool_]) -> Polygons:
    """Some of the faces; ``keep`` is a bool for each, (f,)."""
    ring = np.repeat(keep, polygons.rings)
    point = np.repeat(ring, polygons.sizes)
    return Polygons(polygons.points[point], polygons.sizes[ring], polygons.rings[keep], polygons.surface[keep])


def _joined(one: Polygons, two: Polygons) -> Polygons:
    return Polygons(
        np.concatenate([one.points, two.points]),
        np.concatenate([one.sizes, two.sizes]),
        np.concatenate([one.rings, two.rings]),
        np.concatenate([one.surface, two.surface]),
    )


def plane_of(points: Floats) -> tuple[Floats, Floats]:
    """Middle (3,) and axes (3, 3) of the plane nearest to some points: two unit vectors in it, then its normal."""
    middle = points.mean(axis=0)
    _, _, axes = np.linalg.svd(points - middle, full_matrices=False)
    if len(axes) < 3:
        axes = np.vstack([axes, np.cross(axes[0], axes[1])])
    axes[2] = np.cross(axes[0], axes[1])
    return middle, axes


def _mended(rings: Face, notes: Counter[str]) -> list[Face]:
    """Faces in place of one that is no polygon when an axis is dropped, turned as it was."""
    middle, axes = plane_of(rings[0])
    away = float(np.abs((rings[0] - middle) @ axes[2]).max())
    if away > FOLDED and len(rings) == 1 and len(rings[0]) <= LARGEST_FOLD:
        notes["folded faces triangulated"] += 1
        return [[rings[0][corners]] for corners in least_area(rings[0])]
    flat = [(ring - middle) @ axes[:2].T for ring in rings]
    outline = Polygon(flat[0], flat[1:])
    if not outline.is_valid:
        notes[_defect(outline)] += 1
        outline = shapely.make_valid(outline, method="structure", keep_collapsed=False)
    known = dict(zip(map(tuple, np.concatenate(flat).tolist()), np.concatenate(rings), strict=True))
    turn = 1.0 if signed_area(flat[0]) >= 0 else -1.0
    return [
        [_lifted(ring, known, middle, axes) for ring in (part.exterior, *part.interiors)]
        for part in (shapely.geometry.polygon.orient(p, turn) for p in shapely.get_parts(outline) if p.area > 0)
    ]


def _defect(outline: Polygon) -> str:
    reason = shapely.is_valid_reason(outline)
    return "holes outside their faces left out" if "Hole" in reason else "faces that crossed themselves made valid"


def _lifted(ring: LinearRing, known: dict[tuple[float, ...], Floats], middle: Floats, axes: Floats) -> Floats:
    """A ring of the plane back in space: at the very points where it had them, in the plane elsewhere."""
    spots = shapely.get_coordinates(ring)[:-1].tolist()
    return np.array([known.get(tuple(p), middle + p[0] * axes[0] + p[1] * axes[1]) for p in spots])


def signed_area(ring: Floats) -> float:
    """Area of a ring (k, 2), positive when it runs counter-clockwise."""
    x, y = ring.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def least_area(ring: Floats) -> Ints:
    """The triangles (k - 2, 3) over a ring in space (k, 3) with the least area in all, turned as the ring.

    Barequet and Sharir, "Filling gaps in the boundary of a polyhedron" (1995); cubic time, so for small rings.
    """
    count = len(ring)
    cost = np.zeros((count, count))
    best = np.zeros((count, count), np.int64)
    for gap in range(2, count):
        for i in range(count - gap):
            j, between = i + gap, np.arange(i + 1, i + gap)
            areas = np.linalg.norm(np.cross(ring[between] - ring[i], ring[j] - ring[i]), axis=1)
            costs = cost[i, between] + cost[between, j] + areas
            best[i, j] = between[costs.argmin()]
            cost[i, j] = costs.min()
    todo, triangles = [(0, count - 1)], []
    while todo:
        i, j = todo.pop()
        if j - i >= 2:
            k = int(best[i, j])
            triangles.append((i, k, j))
            todo += [(i, k), (k, j)]
    return np.array(triangles, np.int64)
