"""A roof seen from above: triangles that cover a plan exactly, to be cut, bent by heights and put on walls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from shapely.geometry import Polygon

from mage.scenes.errors import CityError
from mage.scenes.mesh import Mesh, Surface, planar_uv

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Field = Callable[[Floats], Floats]  # plan points (n, 2) -> one value each (n,)

TOUCHING = 1e-5  # metres; corners that are nearer are one
SLIVER = 1e-5  # metres; a triangle that is thinner is none
NEAR = 1e-5  # of a field's range: a corner so close to the level of a cut is on it


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Triangles over a plan, anticlockwise, that meet corner to corner.

    Attributes:
        points: float64 (n, 2), metres.
        triangles: int64 (m, 3).
        rise: float64 (n,), what the roof's height follows: 0 at the eave, in metres or as a share of the roof's height.
    """

    points: Floats
    triangles: Ints
    rise: Floats

    @property
    def area(self) -> float:
        """Square metres of plan that are covered."""
        return float(doubled_areas(self.points, self.triangles).sum() / 2)

    def lifted(self, profile: Callable[[Floats], Floats]) -> Sheet:
        """The same sheet with another rise, a function of the present one."""
        return Sheet(self.points, self.triangles, profile(self.rise))


def doubled_areas(points: Floats, triangles: Ints) -> Floats:
    """Twice the signed area per triangle, positive where it runs anticlockwise, (m,)."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    return (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])


def plan_sheet(plan: Polygon, field: Field) -> Sheet:
    """The whole plan, its corners raised as ``field`` says."""
    points = np.concatenate([np.asarray(ring.coords)[:-1] for ring in (plan.exterior, *plan.interiors)])
    return Sheet(points, _triangles([plan], points), field(points))


def faces_sheet(points: Floats, faces: Sequence[Sequence[int]]) -> Sheet:
    """Plane faces over a plan as triangles; ``points`` (n, 3) holds x, y and the rise."""
    outlines = [Polygon(points[list(face), :2]) for face in faces]
    return Sheet(points[:, :2], _triangles(outlines, points[:, :2]), points[:, 2])


def fan_sheet(plan: Polygon, centre: Floats) -> Sheet:
    """A triangle from every edge of a plan without holes to ``centre`` (2,); the rise is 0 at the edge, 1 there."""
    ring = np.asarray(plan.exterior.coords)[:-1]
    count = len(ring)
    corner = np.arange(count)
    triangles = np.column_stack([corner, (corner + 1) % count, np.full(count, count)])
    return Sheet(np.vstack([ring, centre]), triangles, np.append(np.zeros(count), 1.0))


def _triangles(outlines: Sequence[Polygon], points: Floats) -> Ints:
    """Triangles of all the outlines, as indices into ``points``, which hold their corners to the bit."""
    pieces = shapely.get_parts(shapely.constrained_delaunay_triangles(np.array(outlines)))
    corners = shapely.get_coordinates(pieces).reshape(-1, 4, 2)[:, :3]
    place = {xy: i for i, xy in enumerate(map(tuple, points.tolist()))}
    found = [place[xy] for xy in map(tuple, corners.reshape(-1, 2).tolist())]
    triangles = np.array(found, np.int64).reshape(-1, 3)
    clockwise = doubled_areas(points, triangles) < 0
    return np.where(clockwise[:, None], triangles[:, ::-1], triangles)


def cut(sheet: Sheet, values: Floats, level: float) -> Sheet:
    """The sheet with its triangles parted where ``values`` (n,), linear over each of them, pass ``level``.

    The rise of new corners is that of the edges they lie on, so the surface stays as it was.
    """
    height = values - level
    height[np.abs(height) <= NEAR * max(float(np.ptp(values)), 1e-9)] = 0.0
    sign = np.sign(height)[sheet.triangles]
    crossed = (sign.min(axis=1) < 0) & (sign.max(axis=1) > 0)
    if not crossed.any():
        return sheet
    points, added = _crossings(sheet, height, sheet.triangles[crossed])
    pieces = [_parted(corners, height, added) for corners in sheet.triangles[crossed].tolist()]
    triangles = np.concatenate([sheet.triangles[~crossed], *pieces])
    return Sheet(points[:, :2], triangles, points[:, 2])


def _crossings(sheet: Sheet, height: Floats, triangles: Ints) -> tuple[Floats, dict[tuple[int, int], int]]:
    """All corners with their rise (n, 3), old and new, and the new ones' places by the edge that they lie on."""
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    edges = np.unique(edges[height[edges[:, 0]] * height[edges[:, 1]] < 0], axis=0)
    low, high = height[edges[:, 0]], height[edges[:, 1]]
    share = (low / (low - high))[:, None]
    old = np.column_stack([sheet.points, sheet.rise])
    new = old[edges[:, 0]] * (1 - share) + old[edges[:, 1]] * share
    places = {(u, v): len(old) + i for i, (u, v) in enumerate(edges.tolist())}
    return np.concatenate([old, new]), places


def _parted(corners: list[int], height: Floats, added: dict[tuple[int, int], int]) -> Ints:
    """One triangle in two or three, cut along its added corners."""
    sides: tuple[list[int], list[int]] = ([], [])
    for u, v in zip(corners, corners[1:] + corners[:1], strict=True):
        here = height[u]
        for side in (0, 1) if here == 0 else (int(here > 0),):
            sides[side].append(u)
        if here * height[v] < 0:
            middle = added[min(u, v), max(u, v)]
            sides[0].append(middle)
            sides[1].append(middle)
    return np.array([(side[0], side[i], side[i + 1]) for side in sides for i in range(1, len(side) - 1)], np.int64)


def tidy(sheet: Sheet) -> Sheet:
    """The sheet with corners that nearly touch made one, and without slivers, none of which any eye could see."""
    return _without_slivers(_welded(sheet))


def _welded(sheet: Sheet) -> Sheet:
    """Corners that are nearer than ``TOUCHING`` as one; triangles that have lost their area go."""
    pairs = cKDTree(sheet.points).query_pairs(TOUCHING, output_type="ndarray")
    if not len(pairs):
        return sheet
    count = len(sheet.points)
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, group = connected_components(links, directed=False)
    _, first, group = np.unique(group, return_index=True, return_inverse=True)
    triangles = first[group][sheet.triangles]
    whole = (np.diff(np.sort(triangles, axis=1), axis=1) > 0).all(axis=1)
    return Sheet(sheet.points, triangles[whole], sheet.rise)


def _without_slivers(sheet: Sheet) -> Sheet:
    """Triangles whose corner lies on their longest edge are given to the triangle beyond it, parted at that corner."""
    for _ in range(len(sheet.triangles)):
        thin = np.flatnonzero(_heights(sheet) < SLIVER)
        if not len(thin):
            break
        turned = next((t for i in thin.tolist() if (t := _turned(sheet, i)) is not None), None)
        if turned is None:
            break
        sheet = turned
    return sheet


def _heights(sheet: Sheet) -> Floats:
    """The height of each triangle above its longest edge, metres."""
    corners = sheet.points[sheet.triangles]
    longest = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2).max(axis=1)
    return doubled_areas(sheet.points, sheet.triangles) / longest


def _turned(sheet: Sheet, sliver: int) -> Sheet | None:
    """The sheet without one sliver, or None where the triangle beyond is none the better for it."""
    corners = sheet.triangles[sliver]
    place = sheet.points[corners]
    lengths = np.linalg.norm(np.roll(place, -1, axis=0) - place, axis=1)
    u, w, v = np.roll(corners, -int(lengths.argmax())).tolist()
    beyond = np.flatnonzero((sheet.triangles == u).any(axis=1) & (sheet.triangles == w).any(axis=1))
    beyond = beyond[beyond != sliver]
    if not len(beyond):
        return Sheet(sheet.points, np.delete(sheet.triangles, sliver, axis=0), sheet.rise)
    x = next(c for c in sheet.triangles[beyond[0]].tolist() if c not in (u, w))
    pair = np.array([(u, x, v), (x, w, v)])
    swapped = np.concatenate([np.delete(sheet.triangles, [sliver, beyond[0]], axis=0), pair])
    turned = Sheet(sheet.points, swapped, sheet.rise)
    return turned if _heights(turned)[-2:].min() > SLIVER else None


def raised(sheet: Sheet, base: float, eave: float, height: float) -> Mesh:
    """A closed mesh: the sheet as a roof, walls down from its rim, the same sheet as a bottom at ``base``.

    The rise goes from 0 at ``eave`` to the sheet's highest at ``height`` (metres above the ground).

    Raises:
        CityError: the sheet folds or has gaps, which no plan can bring about without a fault in a library.
    """
    rim = _rim(sheet.triangles)
    used, index = np.unique(sheet.triangles, return_inverse=True)
    triangles, rim = index.reshape(-1, 3), np.searchsorted(used, rim)
    points, rise, count = sheet.points[used], sheet.rise[used], len(used)
    top = float(rise.max())
    z = eave + rise * ((height - eave) / top) if top > 0 else np.full(count, height)
    below = np.full(count, base)
    vertices = np.concatenate([np.column_stack([points, z]), np.column_stack([points, below])])
    u, v = rim[:, 0], rim[:, 1]
    walls = np.concatenate([np.column_stack([u + count, v + count, v]), np.column_stack([u + count, v, u])])
    faces = np.concatenate([triangles, triangles[:, ::-1] + count, walls]).astype(np.int32)
    bottom = Surface.GROUND if base == 0 else Surface.WALL
    sizes = [len(triangles), len(triangles), len(walls)]
    surface = np.repeat(np.array([Surface.ROOF, bottom, Surface.WALL], np.uint8), sizes)
    return Mesh(vertices, faces, surface, planar_uv(vertices, faces))


def _rim(triangles: Ints) -> Ints:
    """The edges (k, 2) that only one triangle has, as it runs along them."""
    count = int(triangles.max()) + 1
    ahead = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    keys = ahead[:, 0] * count + ahead[:, 1]
    if len(np.unique(keys)) != len(keys):
        raise CityError("a roof folds over itself", expected="triangles side by side", found="an edge used twice")
    return ahead[~np.isin(keys, ahead[:, 1] * count + ahead[:, 0])]
