"""What is left of struck buildings, painted: the geometry that takes the place of theirs in the image after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from mage.generator.colour import reflectance
from mage.generator.place import Place
from mage.scenes.aftermath import Aftermath
from mage.scenes.grid import Grid
from mage.scenes.mesh import Mesh, Surface, concatenate

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

AROUND = 60.0  # metres around a tile within which what happened to a building is shown
ALONG = 30.0  # metres beside a road of the tile from where debris may reach it
PARALLEL = 0.98  # cosine of the turn of a roof that what stands on it survives
MOTTLED = {Surface.CHAR: 1.3, Surface.SLAB: 0.5}  # strength of stains on what breaks in large pieces
SHEETS = 0.5  # strength of the folds and seams of tarpaulins
# how much smaller pieces show in what is broken
GRAIN = {Surface.RUBBLE: 1.0, Surface.TIMBER: 0.7, Surface.ASH: 0.48, Surface.CHAR: 0.3, Surface.SLAB: 0.25}

# 8-bit sRGB as seen in imagery; a face takes one of them
_COLOURS: dict[Surface, list[tuple[int, int, int]]] = {
    Surface.RUBBLE: [(160, 154, 148), (146, 141, 135), (174, 168, 161), (130, 125, 119), (182, 177, 170)],
    Surface.SLAB: [(172, 167, 158), (160, 155, 147)],
    Surface.TIMBER: [(142, 118, 92), (118, 98, 78), (164, 140, 110), (98, 86, 72)],
    Surface.DECKING: [(172, 121, 86), (180, 132, 96), (160, 112, 80)],
    Surface.TARPAULIN: [(82, 96, 166), (92, 106, 172), (112, 114, 181), (84, 128, 108)],
    Surface.CHAR: [(60, 63, 55), (52, 56, 48), (70, 72, 63)],
    Surface.ASH: [(164, 160, 139), (156, 152, 131), (176, 172, 153), (140, 136, 119)],
}
_SPREAD = {Surface.RUBBLE: 0.12, Surface.TIMBER: 0.25, Surface.ASH: 0.08, Surface.CHAR: 0.2, Surface.DECKING: 0.08}
_OWN = 0.22  # of the faces of rubble that wear the colour of the building's own roof or walls
_FABRIC = (Surface.ROOF, Surface.WALL, Surface.CLUTTER, Surface.OPENING, Surface.CLOSURE, Surface.OTHER, Surface.GROUND)


@dataclass(frozen=True, slots=True, eq=False)
class Remains:
    """The buildings that changed around a tile, after.

    Attributes:
        gone: bool (b,) buildings whose geometry before is replaced.
        mesh: what is left of them, and all debris.
        owner: int32 (m,) index of the building each face comes from.
        loose: bool (m,) faces of debris outside the footprint of the building that it comes from.
        albedo, pattern: float32 (m, 3) as in :class:`mage.generator.place.Place`.
        grain: float32 (m, 3) how strongly each face shows the pieces that it is broken to, alike in all three.
    """

    gone: Flags
    mesh: Mesh
    owner: NDArray[np.int32]
    loose: Flags
    albedo: NDArray[np.float32]
    pattern: NDArray[np.float32]
    grain: NDArray[np.float32]

    @property
    def standing(self) -> tuple[Mesh, NDArray[np.int32]]:
        """What lies or stands within the buildings' own footprints, and its owners."""
        return self.mesh.faces(~self.loose), self.owner[~self.loose]

    @property
    def debris(self) -> Mesh:
        """What lies outside of them."""
        return self.mesh.faces(self.loose)


def buildings_around(place: Place, grid: Grid, edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of the buildings that a tile's labels depend on: near the tile, or near one of its road edges."""
    view = [shapely.box(*grid.bounds).buffer(AROUND)]
    view += [place.city.roads.edges[i].line.buffer(ALONG, quad_segs=2) for i in edges]
    near = shapely.STRtree(place.outlines).query(view, predicate="intersects")[1]
    return np.unique(near).astype(np.int64)


def dress_remains(place: Place, aftermath: Aftermath, seed: int) -> Remains:
    """Paint an aftermath: what is left of a building in its own colours, what has broken in its material's.

    The draws of each building come from ``default_rng([seed, index])``.
    """
    meshes, albedos, patterns, owners, loose = [], [], [], [], []
    gone = np.zeros(len(place.city.buildings), bool)
    for i in sorted(aftermath.buildings):
        gone[i] = True
        worn = _Worn(place, i)
        rng = np.random.default_rng([seed, i])
        debris = aftermath.debris.faces(aftermath.debris_owner == i)
        for mesh, outside in ((worn.with_clutter(aftermath.buildings[i]), False), (debris, True)):
            albedo, pattern = worn.paint(rng, mesh)
            meshes.append(Mesh(mesh.vertices, mesh.triangles, mesh.surface, mesh.uv + worn.shift, {}))
            albedos.append(albedo)
            patterns.append(pattern)
            owners.append(np.full(len(mesh), i, np.int32))
            loose.append(np.full(len(mesh), outside))
    mesh = concatenate(meshes)[0]
    grain = np.zeros(len(Surface), np.float32)
    grain[list(GRAIN)] = list(GRAIN.values())
    return Remains(
        gone,
        mesh,
        np.concatenate([np.zeros(0, np.int32), *owners]),
        np.concatenate([np.zeros(0, bool), *loose]),
        np.concatenate([np.zeros((0, 3)), *albedos]).astype(np.float32),
        np.concatenate([np.zeros((0, 3)), *patterns]).astype(np.float32),
        np.repeat(grain[mesh.surface][:, None], 3, axis=1),
    )


class _Worn:
    """What one building wore before."""

    def __init__(self, place: Place, index: int) -> None:
        first, last = np.searchsorted(place.owner, [index, index + 1])
        rows = slice(int(first), int(last))
        fabric = place.fabric
        self._before = _compact(Mesh(fabric.vertices, fabric.triangles[rows], fabric.surface[rows], fabric.uv[rows]))
        self._albedo, self._pattern = place.albedo[rows].astype(float), place.pattern[rows].astype(float)
        self._normals = self._before.normals
        own = place.city.buildings[index].mesh
        self._bare = len(own)  # faces beyond are clutter on the roof
        self.shift = self._before.uv[0, 0] - own.uv[0, 0]

    def with_clutter(self, left: Mesh) -> Mesh:
        """What is left, with what stood on the roof where that is whole and has not turned, wherever it came to."""
        clutter = _compact(self._before.faces(np.arange(len(self._before)) >= self._bare))
        whole = left.faces(np.isin(left.surface, (Surface.ROOF, Surface.DECKING, Surface.TARPAULIN)))
        if not len(clutter) or not len(whole):
            return left
        roof = self._before.faces((np.arange(len(self._before)) < self._bare) & (self._before.surface == Surface.ROOF))
        piece, vertices, kept = _pieces(clutter), clutter.vertices.copy(), np.zeros(len(clutter), bool)
        for k in range(piece.max() + 1):
            own = np.unique(clutter.triangles[piece == k])
            xy = vertices[own, :2].mean(axis=0)
            (z0, normal0), (z1, normal1) = _over(roof, xy), _over(whole, xy)
            if np.isfinite(z0 + z1) and normal0 @ normal1 > PARALLEL:
                vertices[own, 2] += z1 - z0
                kept[piece == k] = True
        stayed = Mesh(vertices, clutter.triangles, clutter.surface, clutter.uv - self.shift).faces(kept)
        return concatenate([left, _compact(stayed)])[0]

    def paint(self, rng: np.random.Generator, mesh: Mesh) -> tuple[Floats, Floats]:
        """Reflectance (m, 3) and pattern (m, 3) of each face."""
        albedo, pattern = np.zeros((len(mesh), 3)), np.zeros((len(mesh), 3))
        normals = mesh.normals
        for kind in _FABRIC:
            here = mesh.surface == kind
            if here.any():
                like = self._like(kind, normals[here])
                albedo[here], pattern[here] = self._albedo[like], self._pattern[like]
        for kind, colours in _COLOURS.items():
            here = np.flatnonzero(mesh.surface == kind)
            if len(here):
                albedo[here] = self._broken(rng, kind, reflectance(colours), len(here))
                pattern[here, 2] = MOTTLED.get(kind, 0.0)
                pattern[here, 1] = SHEETS if kind == Surface.TARPAULIN else 0.0
        tone = mesh.attributes.get("tone", np.ones(len(mesh), np.float32)).astype(float)
        tone = np.where(tone > 0, tone, 1.0)  # of clutter, which has none
        return np.clip(albedo * tone[:, None], 0.006, 0.8), pattern

    def _like(self, kind: Surface, normals: Floats) -> NDArray[np.int64]:
        """For faces (n, 3) of a kind, the face before that faces most nearly the same way."""
        before = np.flatnonzero(self._before.surface == kind)
        if not len(before):
            before = np.arange(len(self._before))
        return before[np.argmax(normals @ self._normals[before].T, axis=1)]

    def _broken(self, rng: np.random.Generator, kind: Surface, colours: Floats, count: int) -> Floats:
        colour = colours[rng.integers(len(colours), size=1 if kind == Surface.TARPAULIN else count)]
        if kind == Surface.RUBBLE:
            own = self._albedo[np.isin(self._before.surface, (Surface.ROOF, Surface.WALL))]
            some = rng.random(count) < _OWN
            colour[some] = 0.4 * colour[some] + 0.6 * own[rng.integers(len(own), size=int(some.sum()))]
        return np.asarray(colour * rng.lognormal(0, _SPREAD.get(kind, 0.04), (count, 1)))


def _compact(mesh: Mesh) -> Mesh:
    """The mesh with no vertices but those of its faces."""
    used, compact = np.unique(mesh.triangles, return_inverse=True)
    return Mesh(mesh.vertices[used], compact.reshape(-1, 3).astype(np.int32), mesh.surface, mesh.uv, mesh.attributes)


def _pieces(mesh: Mesh) -> NDArray[np.int64]:
    """Which connected piece each face belongs to (m,), counted from 0."""
    a, b, c = mesh.triangles.T
    n = len(mesh.vertices)
    graph = csr_matrix((np.ones(2 * len(a)), (np.concatenate([a, b]), np.concatenate([b, c]))), shape=(n, n))
    return np.unique(connected_components(graph, directed=False)[1][a], return_inverse=True)[1].reshape(-1)


def _over(mesh: Mesh, xy: Floats) -> tuple[float, Floats]:
    """Height and normal (3,) of the highest face over a point, NaN where there is none."""
    a, b, c = (mesh.vertices[mesh.triangles[:, k]] for k in range(3))
    u, v, d = b - a, c - a, xy - a[:, :2]
    doubled = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    level = np.where(np.abs(doubled) > 1e-9, doubled, np.inf)
    s, t = (d[:, 0] * v[:, 1] - d[:, 1] * v[:, 0]) / level, (u[:, 0] * d[:, 1] - u[:, 1] * d[:, 0]) / level
    under = (s >= 0) & (t >= 0) & (s + t <= 1) & np.isfinite(level)
    if not under.any():
        return np.nan, np.zeros(3)
    z = np.where(under, a[:, 2] + s * u[:, 2] + t * v[:, 2], -np.inf)
    return float(z.max()), mesh.normals[int(z.argmax())]
