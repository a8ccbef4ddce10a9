"""What years do to a roof: covers and lean-tos of other stuff at its edges, an end built later, repairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.generator.dress import SHED_AREA, pick
from mage.scenes.city import Building, City
from mage.scenes.mesh import Mesh, Surface
from mage.scenes.style import Style

Floats = NDArray[np.float64]

# By eye on 24 roofs each of Harvey 00000001 and Ida-BD: every third holds a porch, carport or terrace under another,
# mostly paler cover, or an end of another colour; shares, sizes and mends are set so that luma varies as within those.
COVERED, EXTENDED, LONG = 0.38, 0.14, 12.0  # shares, and metres that a house with a later end is long at least
MENDED, TONE, MOST = 1 / 130.0, 0.2, 6  # mends per square metre, spread of their logarithmic tone, most on one roof
EAVES = 2.0  # metres that a cover reaches beyond the walls at most, with the roof that it lies on
SHEETS = (0.0, 0.8, 0.5)  # pattern of covers


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A rectangle of one roof, seen from above, that is not like the rest of it.

    Attributes:
        owner: index of the building.
        origin, axes: of the building's frame, (2,) and (2, 2), local metres.
        box: west, south, east, north in that frame, metres.
        cover: reflectance (3,) of another cover, None where the roof's own goes on.
        factor: by which the roof's own differs there.
    """

    owner: int
    origin: Floats
    axes: Floats
    box: tuple[float, float, float, float]
    cover: Floats | None = None
    factor: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """A mesh, reflectance and pattern of each face, float32 (m, 3), and the face (m,) of another that it is part of."""

    mesh: Mesh
    albedo: NDArray[np.float32]
    pattern: NDArray[np.float32]
    source: NDArray[np.int64]


def draw_patches(city: City, style: Style, rng: np.random.Generator) -> tuple[Patch, ...]:
    """Patches on all roofs of a city. Roofs whose colour the source states are mended only, sheds are left alone."""
    patches: list[Patch] = []
    for index, building in enumerate(city.buildings):
        area = building.footprint.area
        if area < SHED_AREA:
            continue
        origin, axes = _frame(building)
        xy = (shapely.get_coordinates(building.footprint) - origin) @ axes.T
        low, high = xy.min(axis=0), xy.max(axis=0)
        of_roof: list[tuple[Floats, Floats | None, float]] = [
            (box, None, factor) for box, factor in _mends(rng, area, low, high)
        ]
        if building.roof_colour is None:
            of_roof += [(box, cover, 1.0) for box, cover in _covers(rng, style, low, high)]
        for box, cover, factor in of_roof:
            west, south, east, north = (float(v) for v in box)
            patches.append(Patch(index, origin, axes, (west, south, east, north), cover, factor))
    return tuple(patches)


def patched(
    mesh: Mesh,
    owner: NDArray[np.int32],
    albedo: NDArray[np.float32],
    pattern: NDArray[np.float32],
    patches: Sequence[Patch],
) -> Painted:
    """Roofs with patches on what looks up of them: faces are cut along the patches' edges, so that no shape changes.

    ``owner`` (m,) holds the index of the building that each face belongs to.
    """
    roof = (mesh.surface == Surface.ROOF) & (mesh.normals[:, 2] > 0.05)
    of_building: dict[int, list[Patch]] = {}
    for patch in patches:
        of_building.setdefault(patch.owner, []).append(patch)
    rows = np.flatnonzero(roof & np.isin(owner, list(of_building)))
    rows = rows[np.argsort(owner[rows], kind="stable")]
    if not len(rows):
        return Painted(mesh, albedo, pattern, np.arange(len(mesh)))
    laid = [
        _laid(mesh, faces, of_building[int(owner[faces[0]])], albedo, pattern)
        for faces in np.split(rows, np.flatnonzero(np.diff(owner[rows])) + 1)
    ]
    corners, source, own, worn = (np.concatenate(parts) for parts in zip(*laid, strict=True))
    kept = np.ones(len(mesh), bool)
    kept[rows] = False
    every = np.concatenate([np.flatnonzero(kept), source])
    return Painted(
        _with_faces(mesh, kept, corners, every),
        np.concatenate([albedo[kept], own]).astype(np.float32),
        np.concatenate([pattern[kept], worn]).astype(np.float32),
        every,
    )


def _frame(building: Building) -> tuple[Floats, Floats]:
    """Origin (2,) and axes (2, 2) along and across the longest wall."""
    ring = shapely.get_coordinates(max(shapely.get_parts(building.footprint), key=lambda p: p.area).exterior)
    steps = np.diff(ring, axis=0)
    x, y = steps[np.argmax((steps**2).sum(axis=1))]
    length = max(float(np.hypot(x, y)), 1e-9)
    return ring[0], np.array([(x, y), (-y, x)]) / length


def _mends(rng: np.random.Generator, area: float, low: Floats, high: Floats) -> list[tuple[Floats, float]]:
    """Where a roof has been mended, darker or paler than the rest: boxes and factors."""
    mends = []
    for _ in range(min(int(rng.poisson(area * MENDED)), MOST)):
        half, middle = rng.uniform(0.7, 2.6, 2), rng.uniform(low, high)
        mends.append((np.concatenate([middle - half, middle + half]), float(rng.lognormal(0, TONE))))
    return mends


def _covers(rng: np.random.Generator, style: Style, low: Floats, high: Floats) -> list[tuple[Floats, Floats]]:
    """An end that was built later, and what leans on one of the four sides: boxes and reflectances."""
    covers, size = [], high - low
    if rng.random() < EXTENDED and size.max() > LONG:
        axis, share = int(np.argmax(size)), rng.uniform(0.2, 0.4)
        box = _at_edge(rng, low, high, axis, share * size[axis], size[1 - axis] + 2 * EAVES)
        covers.append((box, pick(style.look.roofs_flat, rng)))
    if rng.random() < COVERED:
        axis = int(rng.integers(2))
        deep = min(rng.uniform(2.5, 5.5), 0.4 * size[axis])
        wide = min(rng.uniform(4.0, 10.0), 0.8 * size[1 - axis])
        covers.append((_at_edge(rng, low, high, axis, deep, wide), pick(style.look.roofs_flat, rng)))
    return covers


def _at_edge(rng: np.random.Generator, low: Floats, high: Floats, axis: int, deep: float, wide: float) -> Floats:
    """A box that reaches inward along an axis from one of its two edges, and beyond it as far as eaves do."""
    box = np.empty(4)
    room = high[1 - axis] - low[1 - axis] - wide
    start = low[1 - axis] + room * (rng.random() if room > 0 else 0.5)
    box[1 - axis], box[3 - axis] = start, start + wide
    if rng.random() < 0.5:
        box[axis], box[2 + axis] = low[axis] - EAVES, low[axis] + deep
    else:
        box[axis], box[2 + axis] = high[axis] - deep, high[axis] + EAVES
    return box


def _laid(
    mesh: Mesh,
    faces: NDArray[np.int64],
    patches: list[Patch],
    albedo: NDArray[np.float32],
    pattern: NDArray[np.float32],
) -> tuple[Floats, NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """One roof with its patches: corners (k, 3, 5) of place and UV, source, reflectance and pattern of its faces."""
    corners = np.concatenate([mesh.vertices[mesh.triangles[faces]], mesh.uv[faces]], axis=2)
    for patch in patches:
        for axis, at in zip((0, 1, 0, 1), patch.box, strict=True):
            corners, faces = _cut(corners, faces, (corners[..., :2] - patch.origin) @ patch.axes[axis] - at)
    own, worn = albedo[faces], pattern[faces]
    for patch in patches:
        middle = (corners[..., :2].mean(axis=1) - patch.origin) @ patch.axes.T
        inside = ((middle > patch.box[:2]) & (middle < patch.box[2:])).all(axis=1)
        own[inside] *= np.float32(patch.factor)
        if patch.cover is not None:
            own[inside], worn[inside] = patch.cover, SHEETS
    return corners, faces, own, worn


def _with_faces(mesh: Mesh, kept: NDArray[np.bool_], corners: Floats, every: NDArray[np.int64]) -> Mesh:
    """The faces that are kept and new ones of ``corners`` (k, 3, 5), each of the surface of its source."""
    new = len(mesh.vertices) + np.arange(3 * len(corners)).reshape(-1, 3)
    return Mesh(
        np.concatenate([mesh.vertices, corners[..., :3].reshape(-1, 3)]),
        np.concatenate([mesh.triangles[kept], new.astype(np.int32)]),
        mesh.surface[every],
        np.concatenate([mesh.uv[kept], corners[..., 3:].astype(np.float32)]),
        {name: values[every] for name, values in mesh.attributes.items()},
    ).compact()


def _cut(corners: Floats, source: NDArray[np.int64], away: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Triangles (m, 3, k) parted where their corners' distance (m, 3) from a line changes its sign, and their sources.

    Faces that share an edge are parted at one and the same point of it, so that no gaps open.
    """
    ahead = away > 0
    crossed = ahead.any(axis=1) & ~ahead.all(axis=1)
    if not crossed.any():
        return corners, source
    part, side = ahead[crossed], away[crossed]
    # the corner that is alone on its side comes first
    alone = np.argmax(part == (part.sum(axis=1, keepdims=True) == 1), axis=1)
    order = (alone[:, None] + np.arange(3)) % 3
    a, b, c = np.take_along_axis(corners[crossed], order[..., None], axis=1).transpose(1, 0, 2)
    at, bt, ct = np.take_along_axis(side, order, axis=1).T
    p, q = _between(a, b, at, bt), _between(a, c, at, ct)
    pieces = np.concatenate([np.stack(t, axis=1) for t in ((a, p, q), (p, b, c), (p, c, q))])
    of_pieces = np.tile(source[crossed], 3)
    u, v = pieces[:, 1, :3] - pieces[:, 0, :3], pieces[:, 2, :3] - pieces[:, 0, :3]
    whole = np.linalg.norm(np.cross(u, v), axis=1) > 1e-9
    return np.concatenate([corners[~crossed], pieces[whole]]), np.concatenate([source[~crossed], of_pieces[whole]])


def _between(one: Floats, other: Floats, s: Floats, t: Floats) -> Floats:
    """Where edges from ``one`` to ``other`` (n, k) meet the line that their ends are ``s`` and ``t`` away from,
    reckoned from the end ahead of it.
    """
    turned = (s <= 0)[:, None]
    first, last = np.where(turned, other, one), np.where(turned, one, other)
    share = (np.maximum(s, t) / np.abs(s - t))[:, None]
    return first + share * (last - first)
