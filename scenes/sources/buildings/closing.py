"""Shells made watertight: walls, floors and other faces that the source left out, rebuilt from the edges around them.

Every open edge of a shell calls for a face on its other side. Edges that stand above each other in one vertical plane
call for a wall; what is still open then runs in loops, and each of those calls for a face of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
import shapely.geometry.polygon
from numpy.typing import NDArray
from shapely.geometry import Polygon

from mage.scenes.mesh import Mesh, Surface
from mage.scenes.sources.buildings.ears import flat_triangles
from mage.scenes.sources.buildings.planes import LARGEST_FOLD, least_area
from mage.scenes.sources.buildings.topology import WELD, open_edges, split_at_corners, welded
from mage.scenes.sources.raw import Floats, Ints, lengths

IN_LINE = 0.01  # metres; edges this near to one vertical plane are edges of one wall
PLANAR = 0.05  # metres; a loop whose points stray no further from a plane is filled within it
THICK = 0.01  # cubic metres per square metre; what is thinner is a sheet, and no solid that lacks faces
UPRIGHT = 0.1  # faces whose unit normal rises or falls by less than this are walls
ON_GROUND = 1.0  # metres above a shell's foot under which a rebuilt face that looks down is its floor
MOST_OPEN = 2_000  # open edges; a shell with more is no shell
_ROUNDS = 3  # a floor can be told only when the walls around it stand


def is_closed(mesh: Mesh) -> bool:
    """Whether every edge is passed as often in one direction as in the other, and there is a face at all.

    That is the definition of a surface without a boundary. It holds for several shells in one mesh, and where shells
    touch along an edge; faces that are turned the wrong way break it.
    """
    if not len(mesh):
        return False
    _, index = np.unique(mesh.vertices, axis=0, return_inverse=True)
    triangles = index.reshape(-1)[mesh.triangles].astype(np.int64)
    a, b, c = triangles.T
    return not len(open_edges(triangles[(a != b) & (b != c) & (c != a)]))


@dataclass(frozen=True, slots=True, eq=False)
class _Shell:
    """Points (n, 3), triangles (m, 3) over them and the surface of each (m,)."""

    points: Floats
    triangles: Ints
    surface: NDArray[np.uint8]

    @property
    def needed(self) -> Ints:
        """The directed edges (k, 2) that faces still to be built must have."""
        return open_edges(self.triangles)[:, ::-1]


def close(
    points: Floats, triangles: Ints, surface: NDArray[np.uint8], notes: Counter[str]
) -> tuple[Floats, Ints, NDArray[np.uint8]]:
    """The points, triangles and surfaces of a shell whose faces look outward, with the faces that close it.

    A shell that cannot be closed keeps the faces that could be rebuilt; a sheet stays the sheet that it is. Rebuilt
    faces are counted by kind.
    """
    shell = _Shell(points, triangles, surface)
    missing = len(shell.needed)
    if not missing:
        return points, triangles, surface
    if missing > MOST_OPEN:
        notes["shells left open"] += 1
        return points, triangles, surface
    rebuilt: Counter[str] = Counter()
    for _ in range(_ROUNDS):
        before = missing
        for build in _walls, _loops:
            shell = _with_faces(shell, build(shell), rebuilt)
        missing = len(shell.needed)
        if not 0 < missing < before:
            break
    if _is_sheet(shell):
        notes["sheets without a volume left open"] += 1
        return points, triangles, surface
    notes["shells left open" if missing else "shells closed"] += 1
    notes.update(rebuilt)
    return shell.points, shell.triangles, shell.surface


def _is_sheet(shell: _Shell) -> bool:
    if not len(shell.triangles):
        return True
    corners = shell.points[shell.triangles]
    a, b, c = (corners[:, k] - corners.mean(axis=(0, 1)) for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    return bool(abs(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6) < THICK * area)


@dataclass(frozen=True, slots=True, eq=False)
class _Face:
    """Triangles of a face over a shell's points, of which the last ones are new."""

    triangles: Ints
    points: Floats


def _with_faces(shell: _Shell, faces: Iterable[_Face], rebuilt: Counter[str]) -> _Shell:
    start = shell
    for face in faces:
        if not len(face.triangles):
            continue
        points = np.concatenate([shell.points, face.points])
        new = np.where(face.triangles < 0, len(shell.points) - 1 - face.triangles, face.triangles)
        corners = points[new]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).sum(axis=0)
        kind = _kind(shell, normal, corners[..., 2])
        rebuilt[f"missing {_NAMES[kind]} rebuilt"] += 1
        surface = np.append(shell.surface, np.full(len(new), kind, np.uint8))
        shell = _Shell(points, np.concatenate([shell.triangles, new]), surface)
    if shell is start:
        return shell
    points, index = np.unique(welded(shell.points), axis=0, return_inverse=True)
    triangles, each = index.reshape(-1)[shell.triangles], np.arange(len(shell.triangles))
    triangles, origin = split_at_corners(points, triangles, each, Counter())
    return _Shell(points, triangles, shell.surface[origin])


_NAMES = {Surface.WALL: "walls", Surface.ROOF: "roofs", Surface.GROUND: "floors"}


def _kind(shell: _Shell, normal: Floats, heights: Floats) -> Surface:
    """What a rebuilt face is: nothing of it is roof below the roofs that are there, or floor far above the foot."""
    up = normal[2] / max(float(np.linalg.norm(normal)), 1e-12)
    z = shell.points[shell.triangles][..., 2]
    eave = z[shell.surface == Surface.ROOF].min(initial=np.inf)
    if up > UPRIGHT and (heights.min() >= eave - WELD or eave == np.inf):
        return Surface.ROOF
    return Surface.GROUND if up < -UPRIGHT and heights.mean() < z.min() + ON_GROUND else Surface.WALL


# ---------------------------------------------------------------------------------------------------------- walls


def _walls(shell: _Shell) -> Iterable[_Face]:
    """Faces that fill what open edges in one vertical plane surround, uprights at their ends included."""
    needed = shell.needed
    way = shell.points[needed[:, 1], :2] - shell.points[needed[:, 0], :2]
    upright = np.hypot(*way.T) <= WELD
    hanging = defaultdict(list)
    for a, b in needed[upright].tolist():
        hanging[a].append(b)
        hanging[b].append(a)
    for start, along, edges in _lines(shell.points, needed[~upright]):
        flat = np.column_stack([(shell.points[:, :2] - start) @ along, shell.points[:, 2]])
        whole = np.concatenate([edges, _uprights(flat, edges, hanging)])
        axes = np.array([[*along, 0.0], [0.0, 0.0, 1.0]])
        yield from filled(shell.points, whole, np.array([*start, 0.0]), axes)


def _lines(points: Floats, edges: Ints) -> Iterable[tuple[Floats, Floats, Ints]]:
    """The edges by the vertical planes that they lie in: a point, a unit vector (2,) and edges (k, 2) of each."""
    start = points[edges[:, 0], :2]
    way = points[edges[:, 1], :2] - start
    length = np.hypot(*way.T)
    left = np.ones(len(edges), bool)
    for longest in np.argsort(-length, kind="stable").tolist():
        if not left[longest]:
            continue
        along = way[longest] / length[longest]
        across = (points[edges][..., :2] - start[longest]) @ np.array([-along[1], along[0]])
        mine = left & (np.abs(across).max(axis=1) <= IN_LINE)
        left &= ~mine
        if mine.sum() > 1:
            yield start[longest], along, edges[mine]


def _uprights(flat: Floats, edges: Ints, hanging: dict[int, list[int]]) -> Ints:
    """Edges (k, 2) that close chains of edges within a vertical plane: up and down at their ends, and below.

    Where as many edges end as begin on a vertical line, uprights between them do. Where a wall lacks its lower edge
    too, the uprights go on down the open edges there, and a straight line joins their feet.
    """
    lack: Counter[int] = Counter()
    for a, b in edges.tolist():
        lack[a] += 1
        lack[b] -= 1
    found: list[tuple[int, int]] = []
    feet: list[tuple[int, int]] = []
    for group in _columns(flat, lack):
        total = sum(lack[v] for v in group)
        if total:
            group = _down(flat, group, hanging)
        found += _carried(group, lack)
        if total:
            feet.append((group[-1], total))
    chords = _carried([foot for foot, _ in feet], dict(feet))
    return np.array(found + chords, np.int64).reshape(-1, 2)


def _columns(flat: Floats, corners: Iterable[int]) -> Iterable[list[int]]:
    """Corners on one vertical line each, from top to bottom; the lines from left to right."""
    ids = np.array(sorted(corners), np.int64)
    ids = ids[np.argsort(flat[ids, 0], kind="stable")]
    for group in np.split(ids, np.flatnonzero(np.diff(flat[ids, 0]) > IN_LINE) + 1):
        yield group[np.argsort(-flat[group, 1], kind="stable")].tolist()


def _down(flat: Floats, group: list[int], hanging: dict[int, list[int]]) -> list[int]:
    """The column with the open uprights below its foot."""
    foot = group[-1]
    column = list(group)
    while lower := [v for v in hanging.get(foot, []) if flat[v, 1] < flat[foot, 1]]:
        foot = min(lower, key=lambda v: flat[v, 1])
        column.append(foot)
    return column


def _carried(chain: list[int], lack: Counter[int] | dict[int, int]) -> list[tuple[int, int]]:
    """Edges along a chain of corners that bring to each of them what it lacks: arrivals if positive."""
    found, due = [], 0
    for this, following in pairwise(chain):
        due += lack.get(this, 0)
        found += [(following, this) if due > 0 else (this, following)] * abs(due)
    return found


# ---------------------------------------------------------------------------------------------------------- loops


def _loops(shell: _Shell) -> Iterable[_Face]:
    """Faces within the loops that open edges make: plane ones together with all in their plane, others each alone."""
    planes: list[tuple[Floats, Floats, list[list[int]]]] = []
    for loop in _cycles(shell.needed):
        ring = shell.points[loop]
        middle, normal = ring.mean(axis=0), _newell(ring)
        size = float(np.linalg.norm(normal))
        if size > 0 and np.abs((ring - middle) @ normal).max() <= PLANAR * size:
            _among(planes, ring, middle, normal / size).append(loop)
        elif len(loop) <= LARGEST_FOLD:
            yield _Face(np.array(loop, np.int64)[least_area(ring)], np.zeros((0, 3)))
    for middle, normal, loops in planes:
        edges = [(a, b) for loop in loops for a, b in zip(loop, [*loop[1:], loop[0]], strict=True)]
        yield from filled(shell.points, np.array(edges, np.int64), middle, _axes(normal))


def _newell(ring: Floats) -> Floats:
    local = ring - ring[0]
    return np.asarray(np.cross(local, np.roll(local, -1, axis=0)).sum(axis=0))


def _among(
    planes: list[tuple[Floats, Floats, list[list[int]]]], ring: Floats, middle: Floats, normal: Floats
) -> list[list[int]]:
    """The loops of the plane that a ring lies in, which is a new one if none of the planes is it."""
    for origin, known, loops in planes:
        if np.abs((ring - origin) @ known).max() <= PLANAR:
            return loops
    planes.append((middle, normal, []))
    return planes[-1][2]


def _axes(normal: Floats) -> Floats:
    """Two unit vectors (2, 3) at right angles to a normal and to each other."""
    one = np.cross(normal, np.eye(3)[np.abs(normal).argmin()])
    one /= np.linalg.norm(one)
    return np.array([one, np.cross(normal, one)])


def _cycles(edges: Ints) -> Iterable[list[int]]:
    """Simple loops of three corners or more that directed edges can be parted into; edges that run nowhere are left."""
    ahead: dict[int, list[int]] = defaultdict(list)
    for a, b in edges[::-1].tolist():
        ahead[a].append(b)
    for start in list(ahead):
        while ahead[start]:
            path, place = [start], {start: 0}
            while ahead[path[-1]]:
                corner = ahead[path[-1]].pop()
                if corner in place:
                    loop = path[place[corner] :]
                    for gone in loop[1:]:
                        del place[gone]
                    del path[place[corner] + 1 :]
                    if len(loop) > 2:
                        yield loop
                else:
                    place[corner] = len(path)
                    path.append(corner)


# --------------------------------------------------------------------------------------------------------- planes


def filled(points: Floats, edges: Ints, middle: Floats, axes: Floats) -> Iterable[_Face]:
    """Faces that have these directed edges (k, 2), all in one plane, as their outline.

    A place of the plane belongs to a face if the edges run around it, counter-clockwise seen against the normal or
    clockwise, and the face looks accordingly.
    """
    corners = np.unique(edges)
    flat = (points[corners] - middle) @ axes.T
    at = dict(zip(corners.tolist(), flat.tolist(), strict=True))
    known = {tuple(spot): corner for corner, spot in at.items()}
    ends = np.array([[at[a], at[b]] for a, b in edges.tolist()])
    network = shapely.union_all(shapely.linestrings(ends))
    for area in shapely.get_parts(shapely.polygonize([network])):
        turns = _turns(ends, area)
        if turns:
            face = _face(shapely.geometry.polygon.orient(area, turns), known, middle, axes)
            yield from [face] * abs(turns)


def _turns(ends: Floats, area: Polygon) -> int:
    """How often directed segments (k, 2, 2) run around a polygon, counter-clockwise positive."""
    spot = area.representative_point()
    (x1, y1), (x2, y2) = ends[:, 0].T, ends[:, 1].T
    crossing = (x1 <= spot.x) != (x2 <= spot.x)
    with np.errstate(divide="ignore", invalid="ignore"):
        height = y1 + (spot.x - x1) / (x2 - x1) * (y2 - y1)
    return int(np.where(crossing & (height > spot.y), np.where(x1 > x2, 1, -1), 0).sum())


def _face(area: Polygon, known: dict[tuple[float, ...], int], middle: Floats, axes: Floats) -> _Face:
    """A polygon of the plane as triangles in space, turned as its outer ring; new points have negative numbers."""
    rings = [shapely.get_coordinates(ring)[:-1] for ring in (area.exterior, *area.interiors)]
    flat = np.concatenate(rings)
    triangles = flat_triangles(flat, lengths(rings))
    a, b, c = (flat[triangles[:, k]] for k in range(3))
    clockwise = float(((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]).sum()) < 0
    if clockwise == area.exterior.is_ccw:
        triangles = triangles[:, ::-1]
    new: list[Floats] = []
    ids = []
    for spot in flat:
        corner = known.get(tuple(spot.tolist()))
        if corner is None:
            new.append(middle + spot @ axes)
            corner = -len(new)
        ids.append(corner)
    return _Face(np.array(ids, np.int64)[triangles], np.array(new).reshape(-1, 3))
