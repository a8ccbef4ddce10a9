"""One ray per pixel centre, straight down: the exact answer to what lies on top."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from mage.generator.props import Placements
from mage.scenes.grid import Grid
from mage.scenes.mesh import Mesh

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

DOWN = np.array([[0, 0, -1]], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """What rays met: ``face`` int64 (rows, columns), -1 for nothing; ``z`` float64, the height there, -inf for
    nothing.
    """

    face: NDArray[np.int64]
    z: NDArray[np.float64]

    @property
    def any(self) -> NDArray[np.bool_]:
        """Where anything was met."""
        return self.face >= 0


def cast_down(mesh: Mesh, grid: Grid) -> Hits:
    """The highest face of ``mesh`` under each pixel centre of ``grid``.

    Rays run in float32 around the tile's own middle, so far-away coordinates cost no precision; heights are then
    taken from the face's plane in float64, so that a roof at 10 m is at 10 m.
    """
    nothing = Hits(np.full(grid.shape, -1, np.int64), np.full(grid.shape, -np.inf))
    candidates = _faces_over(mesh, grid)
    if len(candidates) == 0:
        return nothing
    triangles = mesh.triangles[candidates]
    used, compact = np.unique(triangles, return_inverse=True)
    x0, y0 = grid.centre
    top = mesh.vertices[used, 2].max()
    local = (mesh.vertices[used] - (x0, y0, top)).astype(np.float32)
    scene = EmbreeScene()
    TriangleMesh(scene, local, compact.reshape(-1, 3).astype(np.int32))
    points = grid.points()
    origins = np.column_stack([points - (x0, y0), np.full(len(points), 10.0)]).astype(np.float32)
    hit = scene.run(origins, np.tile(DOWN, (len(points), 1)), output=1)
    index = hit["primID"]
    met = index >= 0
    face = np.where(met, candidates[index], -1)
    z = np.full(len(points), -np.inf)
    z[met] = _height(mesh, face[met], points[met], top + 10.0 - hit["tfar"][met].astype(float))
    return Hits(face.reshape(grid.shape), z.reshape(grid.shape))


def cast_placements(placements: Placements, prototypes: tuple[Mesh, ...], grid: Grid) -> Floats:
    """The highest point of all placed copies over each pixel centre, float64 (rows, columns), -inf where there is none.

    Each ray is carried into the frame of the prototype that it may meet, so that a thousand trees need one scene a
    prototype and not a million triangles.
    """
    which = placements.within(grid.bounds, prototypes)
    owner, row, column = _windows(placements, which, prototypes, grid)
    x, y = grid.centres()
    top = np.full(grid.shape, -np.inf)
    for kind in np.unique(placements.prototype[which]):
        of_kind = placements.prototype[owner] == kind
        i, r, c = owner[of_kind], row[of_kind], column[of_kind]
        dx, dy = x[c] - placements.position[i, 0], y[r] - placements.position[i, 1]
        cos, sin = np.cos(placements.heading[i]), np.sin(placements.heading[i])
        local = np.stack([(dx * cos + dy * sin), (dy * cos - dx * sin)], axis=1) / placements.scale[i, :2]
        height = _shape_heights(prototypes[kind], local)
        np.maximum.at(top, (r, c), height * placements.scale[i, 2] + placements.position[i, 2])
    return top


def _windows(
    placements: Placements, which: Indices, prototypes: tuple[Mesh, ...], grid: Grid
) -> tuple[Indices, Indices, Indices]:
    """All pixels (k,) whose centre may see a copy: which copy, row, column."""
    if len(which) == 0:
        return which, which, which
    radius = placements.radius(prototypes)[which]
    middle = grid.to_pixel(placements.position[which, :2])
    reach = radius / grid.gsd
    low = np.ceil(middle - reach[:, None] - 0.5).astype(np.int64)
    high = np.floor(middle + reach[:, None] - 0.5).astype(np.int64) + 1
    low = np.clip(low, 0, (grid.columns, grid.rows))
    high = np.clip(high, low, (grid.columns, grid.rows))
    width, count = (high - low)[:, 0], (high - low).prod(axis=1)
    owner = np.repeat(np.arange(len(which)), count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return which[owner], low[owner, 1] + step // width[owner], low[owner, 0] + step % width[owner]


def _shape_heights(shape: Mesh, xy: Floats) -> Floats:
    """The highest point (k,) of a prototype over points (k, 2) of its own frame, -inf beside it."""
    top = float(shape.vertices[:, 2].max()) + 1.0
    origins = np.column_stack([xy, np.full(len(xy), top)]).astype(np.float32)
    hit = _shape_scene(shape)[0].run(origins, np.tile(DOWN, (len(xy), 1)), output=1)
    return np.where(hit["primID"] >= 0, top - hit["tfar"].astype(float), -np.inf)


@cache
def _shape_scene(shape: Mesh) -> tuple[EmbreeScene, TriangleMesh]:
    scene = EmbreeScene()
    return scene, TriangleMesh(scene, shape.vertices.astype(np.float32), shape.triangles)


def _faces_over(mesh: Mesh, grid: Grid) -> NDArray[np.int64]:
    """Faces whose bounding box overlaps the tile and that are not vertical."""
    if len(mesh) == 0:
        return np.zeros(0, np.int64)
    west, south, east, north = grid.bounds
    corners = mesh.vertices[mesh.triangles][:, :, :2]
    low, high = corners.min(axis=1), corners.max(axis=1)
    over = (high[:, 0] >= west) & (low[:, 0] <= east) & (high[:, 1] >= south) & (low[:, 1] <= north)
    return np.flatnonzero(over & (high > low).all(axis=1))


def _height(
    mesh: Mesh, face: NDArray[np.int64], xy: NDArray[np.float64], fallback: NDArray[np.float64]
) -> NDArray[np.float64]:
    a, b, c = (mesh.vertices[mesh.triangles[face, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    steep = np.abs(normal[:, 2]) < 1e-3 * np.linalg.norm(normal, axis=1)
    nz = np.where(steep, 1.0, normal[:, 2])
    plane = a[:, 2] - ((xy - a[:, :2]) * normal[:, :2]).sum(axis=1) / nz
    return np.where(steep, fallback, plane)
