"""Broken pieces in bulk: plates, boxes and slabs as triangle meshes, each with a tone of its own."""

from __future__ import annotations

from dataclasses import replace

import mapbox_earcut
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon

from mage.scenes.mesh import Mesh, Surface, concatenate, empty_mesh

Floats = NDArray[np.float64]

_SIGNS = np.array([(x, y, z) for z in (-1, 1) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]) / 2
_FACES = np.array(
    [(0, 2, 1), (0, 3, 2), (4, 5, 6), (4, 6, 7)]
    + [f for i in range(4) for f in ((i, (i + 1) % 4, (i + 1) % 4 + 4), (i, (i + 1) % 4 + 4, i + 4))],
    np.int32,
)


def built(
    vertices: Floats, triangles: NDArray[np.int32] | NDArray[np.int64], surface: int | NDArray[np.uint8], tone: Floats
) -> Mesh:
    """A mesh with the face attribute ``tone`` (m,): how light a face is beside its material, about 1.

    UV is left at 0: it is laid once over all that is left of a building.
    """
    faces = np.asarray(triangles, np.int32).reshape(-1, 3)
    kinds = np.broadcast_to(np.asarray(surface, np.uint8), len(faces)).copy()
    return Mesh(
        vertices, faces, kinds, np.zeros((len(faces), 3, 2), np.float32), {"tone": np.asarray(tone, np.float32)}
    )


def polygons_of(shape: Polygon | MultiPolygon) -> list[Polygon]:
    """The polygons of any shape that hold at least a square decimetre."""
    parts = shapely.get_parts(shape)
    return list(parts[(shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & (shapely.area(parts) > 0.01)])


def polygonal(shape: Polygon | MultiPolygon) -> MultiPolygon:
    """The polygons of any shape alone: overlays leave lines and points behind, which later overlays refuse."""
    return MultiPolygon(polygons_of(shape))


def triangulated(shape: Polygon | MultiPolygon) -> tuple[Floats, NDArray[np.int32]]:
    """Points (n, 2) and counter-clockwise triangles (m, 3) over a shape."""
    points, triangles, start = [np.zeros((0, 2))], [np.zeros((0, 3), np.int32)], 0
    for polygon in polygons_of(shape):
        rings = [np.asarray(ring.coords)[:-1, :2] for ring in (polygon.exterior, *polygon.interiors)]
        flat = np.concatenate(rings)
        ends = np.cumsum([len(r) for r in rings]).astype(np.uint32)
        own = mapbox_earcut.triangulate_float64(flat, ends).reshape(-1, 3).astype(np.int32)
        points.append(flat)
        triangles.append(own + np.int32(start))
        start += len(flat)
    xy, faces = np.concatenate(points), np.concatenate(triangles)
    a, b, c = (xy[faces[:, i]] for i in range(3))
    turned = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) < (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    faces[turned] = faces[turned][:, ::-1]
    return xy, faces


def plate(shape: Polygon | MultiPolygon, z: float, surface: int) -> Mesh:
    """A level sheet over a shape at height ``z``, facing up."""
    xy, faces = triangulated(shape)
    return built(np.column_stack([xy, np.full(len(xy), z)]), faces, surface, np.ones(len(faces)))


def slab(shape: Polygon | MultiPolygon, bottom: float, top: float, surface: int) -> Mesh:
    """A closed prism over a shape between two heights."""
    parts = [empty_mesh()]
    for polygon in polygons_of(shape):
        xy, faces = triangulated(polygon)
        n = len(xy)
        sides = []
        start = 0
        for ring in (polygon.exterior, *polygon.interiors):
            i = np.arange(len(ring.coords) - 1)
            a, b = start + i, start + np.roll(i, -1)
            if ring.is_ccw != (start == 0):
                a, b = b, a
            sides.append(np.concatenate([np.stack([a, b, b + n], 1), np.stack([a, b + n, a + n], 1)]))
            start += len(i)
        low, high = (np.column_stack([xy, np.full(n, z)]) for z in (bottom, top))
        triangles = np.concatenate([faces[:, ::-1], faces + n, *sides])
        parts.append(built(np.concatenate([low, high]), triangles, surface, np.ones(len(triangles))))
    return concatenate(parts)[0]


def rotations(yaw: Floats, tilt: Floats, roll: Floats) -> Floats:
    """Matrices (n, 3, 3): rolled about the long axis, tilted along it, then turned about the vertical; radians."""
    cy, sy, ct, st, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(tilt), np.sin(tilt), np.cos(roll), np.sin(roll)
    one, zero = np.ones_like(yaw), np.zeros_like(yaw)

    def _matrix(*entries: Floats) -> Floats:
        return np.stack(entries, axis=-1).reshape(-1, 3, 3)

    about_z = _matrix(cy, -sy, zero, sy, cy, zero, zero, zero, one)
    about_y = _matrix(ct, zero, st, zero, one, zero, -st, zero, ct)
    about_x = _matrix(one, zero, zero, zero, cr, -sr, zero, sr, cr)
    return about_z @ about_y @ about_x


def box_corners(middle: Floats, size: Floats, turn: Floats) -> Floats:
    """Corners (n, 8, 3) of boxes about points (n, 3), of these sizes (n, 3), turned by matrices (n, 3, 3)."""
    return np.asarray(middle[:, None] + np.einsum("nij,nkj->nki", turn, _SIGNS * size[:, None]))


def boxes(corners: Floats, surface: NDArray[np.uint8], tone: Floats) -> Mesh:
    """Closed boxes with these corners (n, 8, 3), a surface (n,) and a tone (n,) each."""
    n = len(corners)
    if n == 0:
        return empty_mesh()
    faces = (_FACES[None] + 8 * np.arange(n)[:, None, None]).reshape(-1, 3)
    return built(corners.reshape(-1, 3), faces, np.repeat(surface, len(_FACES)), np.repeat(tone, len(_FACES)))


def toned(rng: np.random.Generator, mesh: Mesh, surface: Surface | None = None, spread: float = 0.2) -> Mesh:
    """The mesh with a tone drawn for each face and, if given, another surface."""
    tone = np.exp(rng.normal(0, spread, len(mesh))).astype(np.float32)
    kinds = mesh.surface if surface is None else np.full(len(mesh), surface, np.uint8)
    return replace(mesh, surface=kinds, attributes={**mesh.attributes, "tone": tone})
