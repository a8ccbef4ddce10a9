"""Polygons of a city file, cleaned and triangulated to meshes whose faces look outward."""

from __future__ import annotations

from collections import Counter

import mapbox_earcut
import numpy as np
from numpy.typing import NDArray

from mage.scenes.mesh import Mesh, Surface, empty_mesh, planar_uv
from mage.scenes.sources.raw import Floats, Ints, Polygons

SAME = 1e-4  # metres; points closer than this are one
THIN = 1e-6  # square metres; faces and triangles below this are nothing
FARTHEST = 1e8  # metres; no map frame on Earth holds a larger coordinate
UPRIGHT = 0.1  # faces without a label whose unit normal rises or falls by less than this are walls
LARGEST_FACE = 5_000  # points; triangulation takes quadratic time in the worst case


def shell_mesh(polygons: Polygons, notes: Counter[str]) -> Mesh:
    """One shell as triangles, normals outward, every face with a surface.

    What is repaired or left out is counted in ``notes``. Faces keep the orientation that their rings have, unless the
    shell as a whole is inside out.
    """
    polygons = clean(polygons, notes)
    if not len(polygons):
        return empty_mesh()
    normals = face_normals(polygons)
    triangles, face = triangulate(polygons, normals)
    points, triangles = weld(polygons.points, triangles)
    area = triangle_areas(points, triangles)
    keep = area > THIN
    notes["degenerate triangles left out"] += int(len(keep) - keep.sum())
    triangles, face = triangles[keep], face[keep]
    if _inside_out(points, triangles, polygons.surface[face]):
        notes["shells turned outward"] += 1
        triangles, normals = triangles[:, ::-1].copy(), -normals
    surface = labelled(polygons.surface, normals)[face]
    return Mesh(points, triangles, surface, planar_uv(points, triangles))


def clean(polygons: Polygons, notes: Counter[str]) -> Polygons:
    """Only points that are somewhere and differ from the next, rings of three points or more, faces with an area."""
    with np.errstate(invalid="ignore"):
        somewhere = (np.abs(polygons.points) < FARTHEST).all(axis=1)  # NaN compares as false
    notes["points without finite coordinates left out"] += int(len(somewhere) - somewhere.sum())
    polygons = _select(polygons, somewhere, notes)
    following = np.arange(len(polygons.points)) + 1
    ends = np.cumsum(polygons.sizes)
    following[ends - 1] = ends - polygons.sizes
    apart = np.abs(polygons.points[following] - polygons.points).max(axis=1, initial=0) > SAME
    notes["repeated points left out"] += int(len(apart) - apart.sum())
    polygons = _select(polygons, apart, notes)
    has_area = np.linalg.norm(_area_vectors(polygons), axis=1) > THIN
    notes["faces without area left out"] += int(len(has_area) - has_area.sum())
    small = np.add.reduceat(polygons.sizes, _starts(polygons.rings)) <= LARGEST_FACE if len(polygons) else has_area
    notes[f"faces of more than {LARGEST_FACE} points left out"] += int(len(small) - small.sum())
    return _select(polygons, np.repeat(np.repeat(has_area & small, polygons.rings), polygons.sizes), Counter())


def _select(polygons: Polygons, keep: NDArray[np.bool_], notes: Counter[str]) -> Polygons:
    """The polygons with some points only, less the rings of under three points and the faces without an outer ring."""
    ring_of_point = np.repeat(np.arange(len(polygons.sizes)), polygons.sizes)
    sizes = np.bincount(ring_of_point[keep], minlength=len(polygons.sizes))
    face_of_ring = np.repeat(np.arange(len(polygons)), polygons.rings)
    whole = sizes >= 3
    notes["rings of under three points left out"] += int(len(whole) - whole.sum())
    has_outer = polygons.rings > 0
    has_outer[has_outer] = whole[_starts(polygons.rings)[has_outer]]
    ring = whole & has_outer[face_of_ring]
    rings = np.bincount(face_of_ring[ring], minlength=len(polygons))
    return Polygons(
        polygons.points[keep & ring[ring_of_point]],
        sizes[ring],
        rings[has_outer],
        polygons.surface[has_outer],
    )


def _starts(sizes: Ints) -> Ints:
    return np.cumsum(sizes) - sizes


def _area_vectors(polygons: Polygons) -> Floats:
    """The outer rings' normals with the length of their area (Newell's sum), (f, 3)."""
    if not len(polygons):
        return np.zeros((0, 3))
    starts = _starts(polygons.sizes)
    following = np.arange(len(polygons.points)) + 1
    following[starts + polygons.sizes - 1] = starts
    local = polygons.points - np.repeat(polygons.points[starts], polygons.sizes, axis=0)  # small numbers keep digits
    vectors = np.add.reduceat(np.cross(local, local[following]), starts) / 2
    return np.asarray(vectors[_starts(polygons.rings)])


def face_normals(polygons: Polygons) -> Floats:
    """Unit normals (f, 3) by the right-hand rule along the outer rings of clean polygons."""
    vectors = _area_vectors(polygons)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


_PLANES = np.array([(1, 2), (2, 0), (0, 1)])  # the two axes that remain when x, y or z is dropped


def triangulate(polygons: Polygons, normals: Floats) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Triangles (m, 3) as indices into the points, oriented as ``normals``, and the face that each belongs to (m,).

    A face is flattened along the axis that its normal is nearest to: that keeps straight lines and never folds it.
    """
    points_of_face = np.add.reduceat(polygons.sizes, _starts(polygons.rings))
    axes = _PLANES[np.repeat(np.abs(normals).argmax(axis=1), points_of_face)]
    flat = np.take_along_axis(polygons.points, axes, axis=1)
    starts, first_ring = _starts(points_of_face).tolist(), _starts(polygons.rings).tolist()
    pieces = []
    for start, count, ring, rings in zip(
        starts, points_of_face.tolist(), first_ring, polygons.rings.tolist(), strict=True
    ):
        ends = np.cumsum(polygons.sizes[ring : ring + rings]).astype(np.uint32)
        pieces.append(mapbox_earcut.triangulate_float64(flat[start : start + count], ends).reshape(-1, 3) + start)
    triangles = np.concatenate(pieces).astype(np.int64)
    face = np.repeat(np.arange(len(polygons)), [len(piece) for piece in pieces])
    against = (_cross(polygons.points, triangles) * normals[face]).sum(axis=1) < 0
    return np.where(against[:, None], triangles[:, ::-1], triangles).astype(np.int32), face


def weld(points: Floats, triangles: NDArray[np.int32]) -> tuple[Floats, NDArray[np.int32]]:
    """The same triangles over distinct points, in order of their coordinates."""
    distinct, index = np.unique(points, axis=0, return_inverse=True)
    return distinct, index.reshape(-1)[triangles].astype(np.int32)


def _cross(points: Floats, triangles: NDArray[np.int32] | Ints) -> Floats:
    a, b, c = (points[triangles[:, i]] for i in range(3))
    return np.cross(b - a, c - a)


def triangle_areas(points: Floats, triangles: NDArray[np.int32]) -> Floats:
    """Square metres, (m,)."""
    return np.asarray(np.linalg.norm(_cross(points, triangles), axis=1) / 2)


def volume(points: Floats, triangles: NDArray[np.int32]) -> float:
    """Signed volume in cubic metres between the triangles and a point in the plane of the lowest one.

    Exact for a closed surface (the divergence theorem), and for one that lacks a level bottom.
    """
    if not len(triangles):
        return 0.0
    used = points[triangles]
    foot = np.append(used[:, :, :2].mean(axis=(0, 1)), used[:, :, 2].min())
    a, b, c = (used[:, i] - foot for i in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def _inside_out(points: Floats, triangles: NDArray[np.int32], surface: NDArray[np.uint8]) -> bool:
    """Whether the roofs look down and the ground up; without such labels, whether the volume is negative.

    Labels go first because many a file leaves out the walls between neighbours, and an open shell has no volume.
    """
    up = _cross(points, triangles)[:, 2]
    rise = float(up[surface == Surface.ROOF].sum() - up[surface == Surface.GROUND].sum())
    return (rise if abs(rise) > THIN else volume(points, triangles)) < 0


def labelled(surface: NDArray[np.uint8], normals: Floats) -> NDArray[np.uint8]:
    """Surfaces (f,), told by the normals where the source is silent: up is roof, down is ground, else wall."""
    up = normals[:, 2]
    guess = np.where(up > UPRIGHT, Surface.ROOF, np.where(up < -UPRIGHT, Surface.GROUND, Surface.WALL))
    return np.where(surface == Surface.OTHER, guess, surface).astype(np.uint8)
