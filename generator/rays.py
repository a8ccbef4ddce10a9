"""One ray per pixel centre: the exact answer to what is seen there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from mage.generator.props import Placements
from mage.generator.sight import Sight, sight_of
from mage.scenes.grid import Grid
from mage.scenes.mesh import Mesh, compacted
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

DOWN = np.array([[0, 0, -1]], np.float32)
MOVED = 1e-3  # metres from a pixel's centre from which on what is seen of the ground lies elsewhere


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


def cast_down(mesh: Mesh, view: Grid | Sight) -> Hits:
    """The first face of ``mesh`` that the ray through each pixel centre meets; of vertical rays, the highest there.

    Slanted rays are cast in a frame in which they are vertical. Rays run in float32 around the tile's own middle, so
    far-away coordinates cost no precision; heights are then taken from the face's plane in float64, so that a roof at
    10 m is at 10 m.
    """
    sight = sight_of(view)
    grid = sight.grid
    nothing = Hits(np.full(grid.shape, -1, np.int64), np.full(grid.shape, -np.inf))
    candidates = _faces_over(mesh, sight)
    if len(candidates) == 0:
        return nothing
    used, compact = compacted(mesh.triangles[candidates], len(mesh.vertices))
    x0, y0 = grid.centre
    vertices = sight.upright(mesh.vertices[used])
    top = vertices[:, 2].max()
    scene = EmbreeScene()
    TriangleMesh(scene, (vertices - (x0, y0, top)).astype(np.float32), compact)
    cast = _rays_over(vertices, sight)
    points = sight.feet[cast]
    origins = np.empty((len(points), 3), np.float32)
    origins[:, :2], origins[:, 2] = points - (x0, y0), 10.0
    hit = scene.run(origins, np.broadcast_to(DOWN, origins.shape).copy(), output=1)
    met = np.flatnonzero(hit["primID"] >= 0)
    index = hit["primID"][met]
    face, z = nothing.face.ravel(), nothing.z.ravel()
    pixels = np.arange(len(sight.feet))[cast][met]
    face[pixels] = candidates[index]
    z[pixels] = _height(vertices[compact[index]], points[met], top + 10.0 - hit["tfar"][met].astype(float))
    return Hits(face.reshape(grid.shape), z.reshape(grid.shape))


def cast_placements(placements: Placements, prototypes: tuple[Mesh, ...], view: Grid | Sight) -> Floats:
    """The highest point of all placed copies on the ray of each pixel centre, float64 (rows, columns), -inf where there
    is none.

    Each ray is carried into the frame of the prototype that it may meet, so that a thousand trees need one scene a
    prototype and not a million triangles.
    """
    sight = sight_of(view)
    owner, pixel = _windows(placements, prototypes, sight)
    lean, way = np.array(sight.lean), np.stack([np.cos(placements.heading), np.sin(placements.heading)])
    top = np.full(len(sight.feet), -np.inf)
    for kind in np.unique(placements.prototype[owner]):
        of_kind = placements.prototype[owner] == kind
        i, p = owner[of_kind], pixel[of_kind]
        cos, sin = way[:, i]

        def _turned(xy: Floats, i: Indices = i, cos: Floats = cos, sin: Floats = sin) -> Floats:
            along, across = xy[:, 0] * cos + xy[:, 1] * sin, xy[:, 1] * cos - xy[:, 0] * sin
            return np.stack([along, across], axis=1) / placements.scale[i, :2]

        foot = placements.position[i]
        xy = _turned(sight.feet[p] + (foot[:, 2:] - sight.datum) * lean - foot[:, :2])
        run = _turned(np.broadcast_to(lean, (len(i), 2))) * placements.scale[i, 2:] if sight.slanted else None
        height = _shape_heights(prototypes[kind], xy, run)
        np.maximum.at(top, p, height * placements.scale[i, 2] + foot[:, 2])
    return top.reshape(sight.grid.shape)


def window_of(sight: Sight, ground: Terrain, top: float) -> tuple[slice, slice]:
    """The part of the ground over which the rays of a slanted sight are below a height and not below all ground."""
    west, south, east, north = sight.grid.bounds
    drop = max(top - float(sight.reference.min()), float(sight.reference.max() - ground.heights.min()), 0.0)
    reach = drop * float(np.hypot(*sight.lean)) + ground.step
    return ground.window((west - reach, south - reach, east + reach, north + reach))


def ground_seen(sight: Sight, ground: Terrain) -> Floats:
    """Where (rows, columns, 2) each ray meets the ground: the pixel's centre, unless nearer ground hides it."""
    centres = sight.grid.points().reshape(*sight.grid.shape, 2)
    window = window_of(sight, ground, float(ground.heights.max()))
    hits = cast_down(ground.part(window).mesh(), sight)
    met = sight.at(np.where(hits.any, hits.z, sight.reference))
    return np.where(np.abs(met - centres).max(axis=-1, keepdims=True) > MOVED, met, centres)


def _windows(placements: Placements, prototypes: tuple[Mesh, ...], sight: Sight) -> tuple[Indices, Indices]:
    """All pixels (k,) whose ray may meet a copy: which copy, and which pixel, row by row."""
    radius = placements.radius(prototypes)[:, None]
    ends = np.array([(p.vertices[:, 2].min(), p.vertices[:, 2].max()) for p in prototypes])[placements.prototype]
    z = placements.position[:, 2:] + ends * placements.scale[:, 2:]
    shifts = (z - sight.datum)[..., None] * np.array(sight.lean)  # (n, foot and top, 2)
    low = placements.position[:, :2] - shifts.max(axis=1) - radius
    high = placements.position[:, :2] - shifts.min(axis=1) + radius
    west, south, east, north = sight.bounds
    over = (low < (east, north)).all(axis=1) & (high > (west, south)).all(axis=1)
    which = np.flatnonzero(over)
    return _pixels_within(which, low[which], high[which], sight)


def _pixels_within(which: Indices, low: Floats, high: Floats, sight: Sight) -> tuple[Indices, Indices]:
    """Pixels whose feet lie in boxes (n, 2) that are named ``which``: of each pair, the name and the pixel.

    A box is a run of the sight's cells in each of its rows.
    """
    (west, south), gsd = sight.bounds[:2], sight.grid.gsd
    columns, rows, order, number = sight.cells
    first = np.clip(np.floor((low - (west, south)) / gsd), 0, (columns - 1, rows - 1)).astype(np.int64)
    last = np.clip(np.floor((high - (west, south)) / gsd), 0, (columns - 1, rows - 1)).astype(np.int64)
    box, row = _runs(first[:, 1], last[:, 1] + 1)
    ends = (row * columns + first[box, 0], row * columns + last[box, 0] + 1)
    start, stop = (np.searchsorted(number, end) for end in ends)
    run, position = _runs(start, stop)
    return which[box[run]], order[position]


def _runs(start: Indices, stop: Indices) -> tuple[Indices, Indices]:
    """All whole numbers of the ranges [start, stop) (n,): which range each is of, and the number."""
    count = stop - start
    which = np.repeat(np.arange(len(start)), count)
    return which, np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + start[which]


def _shape_heights(shape: Mesh, xy: Floats, run: Floats | None = None) -> Floats:
    """The highest point (k,) of a prototype on rays that pass its z = 0 at points (k, 2) of its own frame, -inf beside
    it; ``run`` (k, 2) is how far they move as they rise by 1, None for vertical ones.
    """
    top = float(shape.vertices[:, 2].max()) + 1.0
    down = np.tile(DOWN, (len(xy), 1))
    if run is not None:
        xy, down = xy + run * top, np.column_stack([-run, down[:, 2]]).astype(np.float32)
    origins = np.column_stack([xy, np.full(len(xy), top)]).astype(np.float32)
    hit = _shape_scene(shape)[0].run(origins, down, output=1)
    return np.where(hit["primID"] >= 0, top - hit["tfar"].astype(float), -np.inf)


@cache
def _shape_scene(shape: Mesh) -> tuple[EmbreeScene, TriangleMesh]:
    scene = EmbreeScene()
    return scene, TriangleMesh(scene, shape.vertices.astype(np.float32), shape.triangles)


def _faces_over(mesh: Mesh, sight: Sight) -> NDArray[np.int64]:
    """Faces that may cross the tile's rays and are not parallel to them."""
    if len(mesh) == 0:
        return np.zeros(0, np.int64)
    west, south, east, north = sight.bounds
    over = np.ones(len(mesh), bool)
    for along, first, last in zip(sight.upright(mesh.vertices).T[:2], (west, south), (east, north), strict=True):
        a, b, c = along[mesh.triangles.T]
        low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
        over &= (high >= first) & (low <= last) & (high > low)
    return np.flatnonzero(over)


def _rays_over(vertices: Floats, sight: Sight) -> NDArray[np.bool_] | slice:
    """Which rays come within a pixel of the box around upright vertices (n, 3); the others meet nothing of them."""
    reach = sight.grid.gsd
    (west, south), (east, north) = vertices[:, :2].min(axis=0) - reach, vertices[:, :2].max(axis=0) + reach
    left, low, right, high = sight.bounds
    if west <= left and south <= low and east >= right and north >= high:
        return slice(None)
    x, y = sight.feet.T
    return np.asarray((x >= west) & (x <= east) & (y >= south) & (y <= north))


def _height(corners: Floats, xy: NDArray[np.float64], fallback: NDArray[np.float64]) -> NDArray[np.float64]:
    """Height (k,) of planes through corners (k, 3, 3) over points (k, 2); the fallback's where they are steep."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    normal = np.cross(b - a, c - a)
    steep = np.abs(normal[:, 2]) < 1e-3 * np.linalg.norm(normal, axis=1)
    nz = np.where(steep, 1.0, normal[:, 2])
    plane = a[:, 2] - ((xy - a[:, :2]) * normal[:, :2]).sum(axis=1) / nz
    return np.where(steep, fallback, plane)
