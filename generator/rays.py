"""One ray per pixel centre, straight down: the exact answer to what lies on top."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from mage.scenes.grid import Grid
from mage.scenes.mesh import Mesh


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
    down = np.tile(np.array([0, 0, -1], np.float32), (len(points), 1))
    hit = scene.run(origins, down, output=1)
    index = hit["primID"]
    met = index >= 0
    face = np.where(met, candidates[index], -1)
    z = np.full(len(points), -np.inf)
    z[met] = _height(mesh, face[met], points[met], top + 10.0 - hit["tfar"][met].astype(float))
    return Hits(face.reshape(grid.shape), z.reshape(grid.shape))


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
