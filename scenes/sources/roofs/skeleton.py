"""Straight skeletons: the roof over any plan whose faces rise at one slope from every edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from shapely.geometry import Polygon

from mage.scenes.errors import CityError, MissingExtraError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GRIDS = (0.0, 0.003, 0.01, 0.03)  # metres; where corners are moved to, one after the other, until CGAL gets it right
MERGED = 2e-3  # metres; inner corners of a skeleton closer than this are one, as twice the grid of outlines
MERGED_SHARE = 1e-3  # of the root of the plan's area, for plans where that is less
COVERED = 1e-4  # of the plan's area: what a skeleton's faces may miss
UNEVEN = 0.01  # of the highest rise: how far the corners of a face may lie off its plane


@dataclass(frozen=True, slots=True, eq=False)
class Skeleton:
    """The faces of a roof over a plan.

    Attributes:
        points: float64 (n, 3): x, y, and the height of a roof of 45°, which is the distance to the eave's line.
        faces: corners of each face, anticlockwise seen from above, beginning with the two of its eave.
    """

    points: Floats
    faces: tuple[tuple[int, ...], ...]


def straight_skeleton(plan: Polygon) -> Skeleton:
    """The skeleton of a valid polygon, holes included, whose corners are at least a millimetre apart.

    Where walls are nearly, but not quite, in one line or at one distance, CGAL now and then joins the wrong ones (3 %
    of oblique, nearly symmetric plans). Such a result is seen, and the plan's corners are moved by millimetres, 1.5 cm
    at most, until the faces are plane and cover the plan.

    Raises:
        MissingExtraError: compas_cgal, whose CGAL does the work, is not installed.
        CityError: CGAL fails, or its faces are uneven or do not cover the plan, wherever the corners are moved.
    """
    if not plan.is_valid:
        raise _failed(plan, "an outline that crosses itself")
    for grid in GRIDS[:-1]:
        try:
            return _skeleton(_on_grid(plan, grid))
        except CityError:
            continue
    return _skeleton(_on_grid(plan, GRIDS[-1]))


def _on_grid(plan: Polygon, grid: float) -> Polygon:
    """The plan with its corners on multiples of ``grid``, as it is for 0 and where it would fall to pieces."""
    moved = shapely.set_precision(plan, grid).simplify(grid / 2) if grid else plan
    return moved if moved.geom_type == "Polygon" and not moved.is_empty else plan


def _skeleton(plan: Polygon) -> Skeleton:
    try:
        from compas_cgal import _straight_skeleton_2 as cgal
    except ImportError as error:
        raise MissingExtraError("compas_cgal", "roofs") from error
    rings = _rings(plan)
    try:
        points, names, edges, _ = cgal.create_interior_straight_skeleton_with_holes(rings[0], rings[1:])
    except RuntimeError as error:
        raise _failed(plan, str(error)) from error
    outline = np.concatenate(rings)
    if not np.array_equal(points[: len(outline)], outline):
        raise _failed(plan, "another outline")
    place = np.full(int(np.max(names)) + 1, -1)
    place[names] = np.arange(len(points))
    near = min(MERGED, MERGED_SHARE * float(np.sqrt(plan.area)))
    nodes, edges = _merged(points[:, :2], place[edges], len(outline), near)
    faces = _faces(nodes, edges, _eaves(rings))
    skeleton = Skeleton(np.column_stack([nodes, _rises(nodes, faces)]), faces)
    _check(skeleton, plan)
    return skeleton


def _failed(plan: Polygon, found: str) -> CityError:
    corners = shapely.get_num_coordinates(plan)
    return CityError(f"no straight skeleton of an outline of {corners} points", found=found or "nothing")


def _rings(plan: Polygon) -> list[Floats]:
    """The outer ring anticlockwise, holes clockwise, (n, 3) at height 0: CGAL crashes on any other."""
    oriented = shapely.orient_polygons(plan)
    rings = [np.asarray(ring.coords)[:-1] for ring in (oriented.exterior, *oriented.interiors)]
    return [np.column_stack([ring, np.zeros(len(ring))]) for ring in rings]


def _merged(points: Floats, edges: Ints, fixed: int, near: float) -> tuple[Floats, Ints]:
    """The graph with its points after the first ``fixed`` made one where nearer than ``near``; each edge once.

    Symmetric plans have many such points: rounding parts what should meet.
    """
    pairs = cKDTree(points[fixed:]).query_pairs(near, output_type="ndarray") + fixed
    if not len(pairs):
        return points, np.sort(edges, axis=1)
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points)))
    _, group = connected_components(links, directed=False)
    _, first, group = np.unique(group, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[group]  # in the order of the points, so that those of the outline stay
    edges = np.sort(rank[edges], axis=1)
    return points[np.sort(first)], np.unique(edges[edges[:, 0] < edges[:, 1]], axis=0)


def _eaves(rings: list[Floats]) -> list[tuple[int, int]]:
    """The outline's edges as pairs of points, the plan on their left."""
    eaves, start = [], 0
    for ring in rings:
        count = len(ring)
        eaves += [(start + i, start + (i + 1) % count) for i in range(count)]
        start += count
    return eaves


def _faces(nodes: Floats, edges: Ints, eaves: list[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """What lies on the left of each eave: at every corner the path turns as far to the left as it can."""
    both = np.concatenate([edges, edges[:, ::-1]])
    run = nodes[both[:, 1]] - nodes[both[:, 0]]
    order = np.lexsort([np.arctan2(run[:, 1], run[:, 0]), both[:, 0]])
    around: dict[int, list[int]] = {}
    for u, v in both[order].tolist():
        around.setdefault(u, []).append(v)
    following = {(w, u): ring[i - 1] for u, ring in around.items() for i, w in enumerate(ring)}
    faces = []
    for eave in eaves:
        face = list(eave)
        while len(face) <= len(both) and (after := following.get((face[-2], face[-1]))) not in (None, face[0]):
            face.append(int(after))
        faces.append(tuple(face))
    return tuple(faces)


def _rises(nodes: Floats, faces: tuple[tuple[int, ...], ...]) -> Floats:
    """The distance of each node to the lines of the eaves whose faces it belongs to: their mean, (n,)."""
    total, count = np.zeros(len(nodes)), np.zeros(len(nodes))
    for face in faces:
        corners = np.array(face)
        total[corners] += _heights(nodes, corners)
        count[corners] += 1
    for face in faces:
        total[list(face[:2])] = 0.0
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0)


def _heights(nodes: Floats, face: Ints) -> Floats:
    """The distance of a face's corners to the line of its eave, to the left of it."""
    start, end = nodes[face[0]], nodes[face[1]]
    along = (end - start) / np.linalg.norm(end - start)
    offset = nodes[face] - start
    return along[0] * offset[:, 1] - along[1] * offset[:, 0]


def _check(skeleton: Skeleton, plan: Polygon) -> None:
    """Raise CityError unless the faces are plane, simple and cover the plan."""
    nodes, rise = skeleton.points[:, :2], skeleton.points[:, 2]
    uneven = max(
        (float(np.abs(_heights(nodes, np.array(face)) - rise[list(face)]).max()) for face in skeleton.faces),
        default=0.0,
    )
    if uneven > UNEVEN * rise.max(initial=0.0):
        raise _failed(plan, f"a face that is uneven by {uneven:.2g} m")
    shapes = np.array([Polygon(nodes[list(face)]) if len(face) > 2 else Polygon() for face in skeleton.faces])
    missed = abs(float(shapely.area(shapes).sum()) - plan.area)
    if missed > COVERED * plan.area or not shapely.is_valid(shapes).all():
        raise _failed(plan, f"faces that miss {missed:.2g} square metres, or cross")
