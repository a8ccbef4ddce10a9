"""Polygons of a city file, cleaned and triangulated to closed meshes whose faces look outward."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
from numpy.typing import NDArray

from mage.scenes.mesh import Mesh, Surface, empty_mesh, planar_uv
from mage.scenes.sources.buildings.closing import UPRIGHT, close
from mage.scenes.sources.buildings.ears import flat_triangles, next_in_ring
from mage.scenes.sources.buildings.planes import area_vectors, faces_of, flattened, only, plane_of, starts_of, valid
from mage.scenes.sources.buildings.topology import WELD, split_at_corners, turned, welded
from mage.scenes.sources.raw import Floats, Ints, Polygons

THIN = 1e-6  # square metres; triangles below this are nothing
FARTHEST = 1e8  # metres; no map frame on Earth holds a larger coordinate
LARGEST_FACE = 5_000  # points; triangulation takes quadratic time in the worst case


def shell_mesh(polygons: Polygons, notes: Counter[str], *, closing: bool = True) -> Mesh:
    """One shell as triangles, normals outward, every face with a surface; with ``closing``, watertight where possible.

    What is repaired, rebuilt or left out is counted in ``notes``. No point moves by more than a millimetre.
    """
    polygons = clean(polygons, notes)
    if not len(polygons):
        return empty_mesh()
    points, triangles, face = triangulate(polygons)
    triangles, face = split_at_corners(points, triangles, face, notes)
    if not len(triangles):
        return empty_mesh()
    triangles = _outward(points, triangles, face, polygons.surface[face], notes)
    surface = labelled(polygons.surface[face], unit_normals(points, triangles))
    return _mesh(*(close(points, triangles, surface, notes) if closing else (points, triangles, surface)))


def _mesh(points: Floats, triangles: Ints, surface: NDArray[np.uint8]) -> Mesh:
    used, corners = np.unique(triangles, return_inverse=True)
    vertices, corners = points[used], corners.reshape(-1, 3).astype(np.int32)
    return Mesh(vertices, corners, surface, planar_uv(vertices, corners))


def clean(polygons: Polygons, notes: Counter[str]) -> Polygons:
    """Points that are somewhere, and either apart or the same; rings of three or more; faces that have an area, come
    once and are polygons in their planes.
    """
    with np.errstate(invalid="ignore"):
        somewhere = (np.abs(polygons.points) < FARTHEST).all(axis=1)  # NaN compares as false
    notes["points without finite coordinates left out"] += int(len(somewhere) - somewhere.sum())
    polygons = _select(polygons, somewhere, notes)
    if len(polygons):
        small = np.add.reduceat(polygons.sizes, starts_of(polygons.rings)) <= LARGEST_FACE
        polygons = _counted(polygons, small, notes, f"faces of more than {LARGEST_FACE} points left out")
    polygons = _welded(polygons, notes)
    polygons = _counted(polygons, _has_area(polygons), notes, "faces without area left out")
    polygons = _counted(polygons, _given_first(polygons), notes, "faces given twice left out")
    whole = valid(polygons, notes)
    return polygons if whole is polygons else _welded(whole, Counter())


def _counted(polygons: Polygons, keep: NDArray[np.bool_], notes: Counter[str], name: str) -> Polygons:
    notes[name] += int(len(keep) - keep.sum())
    return polygons if keep.all() else only(polygons, keep)


def _welded(polygons: Polygons, notes: Counter[str]) -> Polygons:
    """The polygons over points that are a millimetre apart, none of them the same as the next."""
    if not len(polygons):
        return polygons
    points = welded(polygons.points)
    apart = (points[next_in_ring(polygons.sizes)] != points).any(axis=1)
    notes["repeated points left out"] += int(len(apart) - apart.sum())
    return _select(Polygons(points, polygons.sizes, polygons.rings, polygons.surface), apart, notes)


def _select(polygons: Polygons, keep: NDArray[np.bool_], notes: Counter[str]) -> Polygons:
    """The polygons with some points only, less the rings of under three points and the faces without an outer ring."""
    if keep.all() and (polygons.sizes >= 3).all() and (polygons.rings > 0).all():
        return polygons
    ring_of_point = np.repeat(np.arange(len(polygons.sizes)), polygons.sizes)
    sizes = np.bincount(ring_of_point[keep], minlength=len(polygons.sizes))
    face_of_ring = np.repeat(np.arange(len(polygons)), polygons.rings)
    whole = sizes >= 3
    notes["rings of under three points left out"] += int(len(whole) - whole.sum())
    has_outer = polygons.rings > 0
    has_outer[has_outer] = whole[starts_of(polygons.rings)[has_outer]]
    ring = whole & has_outer[face_of_ring]
    rings = np.bincount(face_of_ring[ring], minlength=len(polygons))
    return Polygons(
        polygons.points[keep & ring[ring_of_point]],
        sizes[ring],
        rings[has_outer],
        polygons.surface[has_outer],
    )


def _has_area(polygons: Polygons) -> NDArray[np.bool_]:
    """Which faces have points off a line; a ring that crosses itself may have no area by Newell's sum and still do."""
    found = np.linalg.norm(area_vectors(polygons), axis=1) > THIN
    unsure = np.flatnonzero(~found).tolist()
    for face, (ring, *_) in zip(unsure, faces_of(polygons, unsure), strict=True):
        middle, axes = plane_of(ring)
        found[face] = np.ptp((ring - middle) @ axes[1]) > WELD and len(np.unique(ring, axis=0)) > 3
    return np.asarray(found)


def _given_first(polygons: Polygons) -> NDArray[np.bool_]:
    """Which faces are no second copy of another, whichever way round and from whichever point on.

    A copy from behind stays where the two together are a partition between rooms, whose edges the rest of the shell
    shares two by two already.
    """
    keep = np.ones(len(polygons), bool)
    if not len(polygons):
        return keep
    _, index = np.unique(polygons.points, axis=0, return_inverse=True)
    corners = np.split(index.reshape(-1), np.cumsum(np.add.reduceat(polygons.sizes, starts_of(polygons.rings)))[:-1])
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for face, ids in enumerate(corners):
        alike[tuple(sorted(ids.tolist()))].append(face)
    groups = [group for group in alike.values() if len(group) > 1]
    if not groups:
        return keep
    keep[[face for group in groups for face in group[1:]]] = False
    sides = _sides(polygons, index.reshape(-1))
    shared = Counter(side for face in np.flatnonzero(keep).tolist() for side in map(frozenset, sides[face]))
    for first, *others in groups:
        own = [shared[frozenset(side)] - 1 for side in sides[first]]
        behind = next((k for k in others if not set(sides[k]) & set(sides[first])), None)
        if behind is not None and 2 * sum(count > 0 and count % 2 == 0 for count in own) > len(own):
            keep[behind] = True
    return keep


def _sides(polygons: Polygons, index: Ints) -> list[list[tuple[int, int]]]:
    """The directed edges of each face's rings, as pairs of point numbers."""
    pairs = list(zip(index.tolist(), index[next_in_ring(polygons.sizes)].tolist(), strict=True))
    stops = np.cumsum(np.add.reduceat(polygons.sizes, starts_of(polygons.rings))).tolist()
    return [pairs[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]


def triangulate(polygons: Polygons) -> tuple[Floats, Ints, Ints]:
    """Distinct points (n, 3), triangles (m, 3) over them, and the face that each belongs to (m,).

    The outline of a face's triangles is exactly its rings, points on straight lines included, so that it meets its
    neighbours corner by corner. Triangles look where the face's outer ring does.
    """
    vectors = area_vectors(polygons)
    flat = flattened(polygons, vectors)
    counts = np.add.reduceat(polygons.sizes, starts_of(polygons.rings))
    first_ring = starts_of(polygons.rings)
    sizes = [polygons.sizes[r : r + k] for r, k in zip(first_ring.tolist(), polygons.rings.tolist(), strict=True)]
    pieces = []
    for start, count, rings in zip(starts_of(counts).tolist(), counts.tolist(), sizes, strict=True):
        pieces.append(flat_triangles(flat[start : start + count], rings) + start)
    triangles = np.concatenate(pieces)
    face = np.repeat(np.arange(len(polygons)), [len(piece) for piece in pieces])
    axis = np.abs(vectors).argmax(axis=1)[face]
    each = np.arange(len(face))
    against = _cross(polygons.points, triangles)[each, axis] * vectors[face, axis] < 0
    triangles[against] = triangles[against][:, ::-1]
    points, index = np.unique(polygons.points, axis=0, return_inverse=True)
    return points, index.reshape(-1)[triangles].astype(np.int64), face


def _outward(points: Floats, triangles: Ints, face: Ints, surface: NDArray[np.uint8], notes: Counter[str]) -> Ints:
    up = _cross(points, triangles)[:, 2]
    rise = up * ((surface == Surface.ROOF).astype(float) - (surface == Surface.GROUND))
    turn = turned(points, triangles, rise)
    if turn.all():
        notes["shells turned outward"] += 1
    else:
        notes["faces turned outward"] += len(np.unique(face[turn]))
    return np.where(turn[:, None], triangles[:, ::-1], triangles)


def _cross(points: Floats, triangles: NDArray[np.int32] | Ints) -> Floats:
    a, b, c = (points[triangles[:, i]] for i in range(3))
    return np.cross(b - a, c - a)


def unit_normals(points: Floats, triangles: Ints) -> Floats:
    """By the right-hand rule, (m, 3); zero for a triangle without area."""
    normal = _cross(points, triangles)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    return np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)


def triangle_areas(points: Floats, triangles: NDArray[np.int32] | Ints) -> Floats:
    """Square metres, (m,)."""
    return np.asarray(np.linalg.norm(_cross(points, triangles), axis=1) / 2)


def volume(points: Floats, triangles: NDArray[np.int32] | Ints) -> float:
    """Signed volume in cubic metres between the triangles and a point in the plane of the lowest one.

    Exact for a closed surface (the divergence theorem), and for one that lacks a level bottom.
    """
    if not len(triangles):
        return 0.0
    used = points[triangles]
    foot = np.append(used[:, :, :2].mean(axis=(0, 1)), used[:, :, 2].min())
    a, b, c = (used[:, i] - foot for i in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def labelled(surface: NDArray[np.uint8], normals: Floats) -> NDArray[np.uint8]:
    """Surfaces (f,), told by the normals where the source is silent: up is roof, down is ground, else wall."""
    up = normals[:, 2]
    guess = np.where(up > UPRIGHT, Surface.ROOF, np.where(up < -UPRIGHT, Surface.GROUND, Surface.WALL))
    return np.where(surface == Surface.OTHER, guess, surface).astype(np.uint8)
