"""Heaps and aprons of debris: a rough surface of rubble with the slabs, beams and plates that stick out of it.

The volume of a heap is stated by the caller. A whole building makes ``BULK`` of its own volume: FEMA 329 (Debris
Estimating Field Guide, 2010) reckons length x width x height x 0.33, the rest of a building being air.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq
from shapely.geometry import MultiPolygon, Polygon

from mage.scenes.mesh import Mesh, Surface, concatenate, empty_mesh
from mage.scenes.modifiers.bodies import box_corners, boxes, built, rotations
from mage.scenes.modifiers.raster import top_faces
from mage.scenes.modifiers.site import Site

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BULK = 0.33
CELLS = 520  # of the surface of one heap; two triangles each
PIECES = 120  # bodies on one heap; twelve triangles each
WHOLE, MOST = (
    400.0,
    6.0,
)  # square metres that come down from which on a heap has more of both, and how many times at most
FINEST = 0.55  # metres between the points of a heap's surface at least
MEASURE = 0.5  # metres: cells by which bodies are measured
STEP = 1.5  # metres that a heap bridges between the ground and a roof beside it
THIN = 0.1  # metres: less is dust, and no debris
TAKEN = 0.15  # share of a heap's volume that its bodies hold at most
CREST = 0.5  # of the building's height: the thickest that debris lies where it came from; ``BULK`` of it elsewhere
FULL = 0.85  # of the room below that, the share that is filled at most: the rest is relief
OVERFULL = "buildings with more rubble than room beside them: the rest is taken to lie under what is left"
NO_VOLUME = "buildings without a volume: no rubble of them"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a heap is made of: shares of slabs, beams, plates of roofing and blocks among its bodies, and of faces that
    show another surface than ``fill``; ``rough`` is metres that neighbouring points of a thick one differ by.
    """

    slabs: float
    beams: float
    plates: float
    fill: Surface = Surface.RUBBLE
    beam: Surface = Surface.TIMBER
    fleck: Surface = Surface.TIMBER
    flecks: float = 0.05
    rough: float = 0.6


MASONRY = Kind(slabs=0.4, beams=0.15, plates=0.1)
TIMBERED = Kind(slabs=0.08, beams=0.42, plates=0.3, flecks=0.2, rough=0.4)
BURNED = Kind(
    slabs=0.05, beams=0.12, plates=0.0, fill=Surface.ASH, beam=Surface.CHAR, fleck=Surface.CHAR, flecks=0.06, rough=0.25
)


def kind_of(site: Site) -> Kind:
    """Timbered for low buildings under a pitched roof, as their rubble is mostly roof; masonry for others."""
    low = site.storeys <= 2 and site.top - site.eave > 0.8
    return TIMBERED if low else MASONRY


def spread(site: Site, source: Polygon | MultiPolygon, xy: Floats, reach: Floats) -> tuple[Floats, Floats]:
    """How far points (n, 2) lie from a source of debris: as a share of a reach (2,) along and across the building, 0
    inside; and in metres, negative inside.
    """
    rings = [np.asarray(r.coords)[:, :2] for p in shapely.get_parts(source) for r in (p.exterior, *p.interiors)]
    a, b = np.concatenate([r[:-1] for r in rings]), np.concatenate([r[1:] for r in rings])
    side = b - a
    d = xy[:, None] - a[None]
    t = np.clip((d * side).sum(-1) / np.maximum((side * side).sum(-1), 1e-12), 0, 1)
    offset = d - t[..., None] * side
    nearest = (offset**2).sum(-1).argmin(axis=1)
    off = offset[np.arange(len(xy)), nearest]
    shapely.prepare(source)
    inside = shapely.contains_xy(source, xy)
    scaled = np.linalg.norm(off @ site.frame[2].T / np.maximum(reach, 1e-3), axis=1)
    return np.where(inside, 0.0, scaled), np.linalg.norm(off, axis=1) * np.where(inside, -1.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Lattice:
    """Points of a heap's surface (rows * columns, 2), the cells' triangles, how far off each point lies, its bed."""

    shape: tuple[int, int]
    xy: Floats
    triangles: NDArray[np.int64]
    share: Floats
    away: Floats
    bed: Floats


def _lattice(
    rng: np.random.Generator, site: Site, source: Polygon | MultiPolygon, reach: float, cells: int
) -> _Lattice:
    _, _, axes = site.frame
    around = shapely.get_coordinates(source) @ axes.T
    margin = site.reach * reach if reach > 0 else np.array([0.3, 0.3])
    low, high = around.min(axis=0) - margin, around.max(axis=0) + margin
    step = max(float(np.sqrt(np.prod(high - low) / cells)), min(FINEST, np.sqrt(source.area) / 5))
    columns, rows = (np.ceil((high - low) / step) + 2).astype(int)
    x, y = (np.arange(n) * step + at - step * rng.random() for n, at in zip((columns, rows), low, strict=True))
    points = np.stack([np.tile(x, rows), np.repeat(y, columns)], axis=1)
    points += rng.uniform(-0.32, 0.32, points.shape) * step
    i = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    a, b, c, d = i, i + 1, i + columns, i + columns + 1
    other = (rng.random(len(i)) < 0.5)[:, None, None]
    first, second = (
        np.stack([[p, q, r], [p2, q2, r2]]).transpose(2, 0, 1)
        for p, q, r, p2, q2, r2 in ((a, b, d, a, d, c), (a, b, c, b, d, c))
    )
    triangles = np.where(other, first, second).reshape(-1, 3)
    xy = points @ axes
    share, away = spread(site, source, xy, site.reach * reach)
    return _Lattice((rows, columns), xy, triangles, share, away, site.bed(xy))


def heap(
    rng: np.random.Generator,
    site: Site,
    source: Polygon | MultiPolygon,
    volume: float,
    *,
    kind: Kind,
    reach: float = 1.0,
    lean: float = 0.35,
    bed: float | None = None,
    hollow: Polygon | MultiPolygon | None = None,
    share: float = 1.0,
) -> Mesh:
    """Debris of a volume (m³, between its surface and what it lies on), triangulated; empty where it finds no room.

    It lies no thicker than ``CREST`` and ``BULK`` of the building's height, and no higher than the building was. What
    high neighbours keep out lies deeper within those bounds; what is still over is left out and said in the site's
    ``notes``.

    Args:
        rng: draws the relief and the bodies.
        site: whose building, ground and neighbours.
        source: where it comes from; it is highest there.
        volume: cubic metres, loose.
        kind: what it is made of.
        reach: share of the building's reach that it spreads to beyond the source; 0 keeps it inside.
        lean: how much more of it lies on the side that the building fell to, 0-1.
        bed: height that it lies on, or None for the ground and low roofs.
        hollow: what still stands within, with nothing on it.
        share: of the usual number of triangles for its size.
    """
    if volume <= 0:
        site.notes.add(NO_VOLUME)
        return empty_mesh()
    share *= float(np.clip(source.area / WHOLE, 1.0, MOST))
    lattice = _lattice(rng, site, source, reach, max(40, int(CELLS * share)))
    base = lattice.bed if bed is None else np.full(len(lattice.xy), bed)
    height = _profile(rng, site, source, lattice, volume, reach, lean, kind.rough)
    if hollow is not None:
        shapely.prepare(hollow)
        height[shapely.contains_xy(shapely.buffer(hollow, -0.8), lattice.xy)] = 0.0
    base = np.where(np.isnan(base), np.inf, base)
    most = np.minimum(np.where(lattice.away < 0, CREST, BULK) * site.height, site.top - base)
    height[most <= 0] = 0.0
    triangles, plan = _faces(lattice, base, height, volume)
    if not len(triangles):
        site.notes.add(OVERFULL)
        return empty_mesh()
    height, held = _filled(height, most, triangles, plan, volume)
    if held < volume:
        site.notes.add(OVERFULL)
    volume = held
    surface = _Surface(lattice.xy, base, height, triangles, plan)
    bodies, rise = _bodies(rng, site, source, surface, volume, kind, reach, bed, share)
    lower = min(_held(surface, bodies) / volume, 0.6)
    bodies = replace(bodies, vertices=bodies.vertices - np.column_stack([0 * rise, 0 * rise, rise * lower]))
    z = base + surface.height * (1 - lower)
    used, compact = np.unique(triangles, return_inverse=True)
    faces = compact.reshape(-1, 3)
    kinds = np.where(rng.random(len(faces)) < kind.flecks, kind.fleck, kind.fill).astype(np.uint8)
    field = built(np.column_stack([lattice.xy, z])[used], faces, kinds, np.exp(rng.normal(0, 0.09, len(faces))))
    return concatenate([field, bodies])[0]


def apron(
    rng: np.random.Generator,
    site: Site,
    volume: float,
    *,
    source: Polygon | MultiPolygon | None = None,
    reach: float = 0.65,
    share: float = 0.45,
) -> Mesh:
    """Rubble of a volume (m³) at the foot of walls that stand, or of a stack that covers the rest: around the whole
    plan, or around a ``source`` within it; ``reach`` and ``share`` as of :func:`heap`.
    """
    source = site.plan if source is None else source
    return heap(rng, site, source, volume, kind=kind_of(site), reach=reach, hollow=site.plan, share=share)


@dataclass(frozen=True, slots=True, eq=False)
class _Surface:
    xy: Floats
    base: Floats
    height: Floats
    triangles: NDArray[np.int64]
    plan: Floats


def _profile(
    rng: np.random.Generator,
    site: Site,
    source: Polygon | MultiPolygon,
    lattice: _Lattice,
    volume: float,
    reach: float,
    lean: float,
    rough: float,
) -> Floats:
    """Relative height of each point of a heap: a mound inside its source, a skirt beyond, rough all over."""
    thickness = volume / source.area
    broad = gaussian_filter(rng.normal(size=lattice.shape), 1.8, mode="reflect").ravel()
    fine = np.clip(rng.normal(size=lattice.xy.shape[0]), -2.0, 1.6)
    inner = np.sqrt(source.area)
    away = lattice.away
    if reach > 0:
        mound = np.where(away < 0, 1 + 0.4 * np.clip(-away / (0.4 * inner), 0, 1), 0.0)
        skirt = np.where(lattice.share < 1, np.clip(1 - lattice.share, 0, 1) ** 1.6, 0.0)
        shape = np.where(away < 0, mound, skirt)
    else:
        shape = np.where(away < 0, 0.35 + np.clip(-away / (0.3 * inner), 0, 1), 0.0)
    middle = shapely.get_coordinates(shapely.centroid(source))[0]
    bearing = np.arctan2(*(lattice.xy - middle).T[::-1]) - site.direction
    leaning = 1 + lean * np.cos(bearing) * np.clip(np.linalg.norm(lattice.xy - middle, axis=1) / inner, 0, 1)
    return np.asarray(shape * leaning * np.exp(np.clip(rough / thickness, 0.12, 0.5) * fine + 1.3 * broad))


def _faces(lattice: _Lattice, base: Floats, height: Floats, volume: float) -> tuple[NDArray[np.int64], Floats]:
    """Triangles that are thick enough to be seen and on one bed, and their plan areas."""
    xy, triangles = lattice.xy, lattice.triangles
    a, b, c = (xy[triangles[:, i]] for i in range(3))
    plan = ((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])) / 2
    corner = base[triangles]
    found = np.isfinite(corner)
    good = found.all(axis=1) & (np.ptp(np.where(found, corner, 0.0), axis=1) < STEP) & (plan > 0)
    good &= (height[triangles] > 0).all(axis=1)
    mean = height[triangles].mean(axis=1)
    total = float((plan * mean)[good].sum())
    if total <= 0:
        return triangles[:0], plan[:0]
    thick = good & (mean * volume / total > THIN)
    good = thick if thick.any() else good
    return triangles[good], plan[good]


def _filled(
    height: Floats, most: Floats, triangles: NDArray[np.int64], plan: Floats, volume: float
) -> tuple[Floats, float]:
    """Heights (n,) of a heap that holds a volume (m³), or as much as there is room for, and how much that is.

    Heights keep their proportions up to half of the ``most`` (n,) there may be, and approach it beyond.
    """
    most = np.where(height > 0, np.maximum(most, 1e-9), 1e-9)

    def _scaled(factor: float) -> Floats:
        part = factor * height / most
        return np.asarray(most * np.where(part < 0.5, part, 1 - 0.5 * np.exp(-np.maximum(2 * part - 1, 0.0))))

    def _held(heights: Floats) -> float:
        return float((plan * heights[triangles].mean(axis=1)).sum())

    volume = min(volume, FULL * _held(most))
    low = volume / _held(height)  # heights are bent down, never up
    high = 2 * low
    while _held(_scaled(high)) < volume:
        high *= 2
    factor = float(brentq(lambda f: _held(_scaled(f)) - volume, low * (1 - 1e-9), high))
    return _scaled(factor), volume


def _bodies(
    rng: np.random.Generator,
    site: Site,
    source: Polygon | MultiPolygon,
    surface: _Surface,
    volume: float,
    kind: Kind,
    reach: float,
    bed: float | None,
    share: float,
) -> tuple[Mesh, Floats]:
    """Slabs, beams, plates and blocks on a heap, and the heap's height under each of their vertices (n,)."""
    area = float(surface.plan.sum())
    count = int(min(PIECES * share, 6 + area / 3.5))
    weight = surface.plan * (surface.height[surface.triangles].mean(axis=1) + 0.1)
    chosen = rng.choice(len(surface.triangles), count, p=weight / weight.sum())
    at = rng.dirichlet((1, 1, 1), count)
    corner = surface.triangles[chosen]
    xy = (surface.xy[corner] * at[..., None]).sum(axis=1)
    rise = (surface.height[corner] * at).sum(axis=1)
    z = (surface.base[corner] * at).sum(axis=1) + rise
    kinds, size = _sizes(rng, count, kind, max(0.45, float(np.sqrt(source.area)) / 9))
    tilt, roll = rng.normal(0, 0.24, count), rng.normal(0, 0.2, count)
    corners = box_corners(np.column_stack([xy, z]), size, rotations(rng.uniform(0, np.pi, count), tilt, roll))
    flat = corners[..., :2].reshape(-1, 2)
    within = spread(site, source, flat, site.reach * reach)[0] < (1.0 if reach > 0 else 1e-9)
    if bed is None:
        within &= np.isfinite(site.bed(flat))
    kept = within.reshape(count, 8).all(axis=1)
    kept &= corners[..., 2].max(axis=1) <= site.top
    kept &= np.cumsum(np.where(kept, size.prod(axis=1), 0.0)) <= TAKEN * volume
    tone = np.exp(rng.normal(0.12, 0.3, count))
    return boxes(corners[kept], kinds[kept], tone[kept]), np.repeat(rise[kept], 8)


def _held(surface: _Surface, bodies: Mesh) -> float:
    """Volume (m³) between a heap's surface and the bodies on top of it, the air under tilted ones included."""
    if not len(bodies):
        return 0.0
    low, high = bodies.bounds
    columns, rows = (np.ceil((high[:2] - low[:2]) / MEASURE) + 1).astype(int)
    grid = (float(low[0]), float(low[1]), MEASURE, (int(rows), int(columns)))
    top = top_faces(bodies, *grid)[0]
    used, compact = np.unique(surface.triangles, return_inverse=True)
    points = np.column_stack([surface.xy, surface.base + surface.height])[used]
    faces = compact.reshape(-1, 3)
    field = top_faces(built(points, faces, Surface.RUBBLE, np.ones(len(faces))), *grid)[0]
    over = np.isfinite(top) & np.isfinite(field)
    return float(np.maximum(top[over] - field[over], 0).sum()) * MEASURE**2


def _sizes(rng: np.random.Generator, count: int, kind: Kind, scale: float) -> tuple[NDArray[np.uint8], Floats]:
    """Surfaces (n,) and sizes (n, 3) in metres of bodies, larger ones from larger buildings."""
    scale = min(scale, 1.1)
    drawn = rng.random(count)
    bounds = np.cumsum([kind.slabs, kind.beams, kind.plates])
    what = np.searchsorted(bounds, drawn, side="right")
    r = rng.random((count, 3))
    slabs = np.column_stack([1.2 + 2.8 * r[:, 0], 0.8 + 1.8 * r[:, 1], np.full(count, 0.2)])
    beams = np.column_stack([1.8 + 3.6 * r[:, 0], 0.16 + 0.16 * r[:, 1], 0.16 + 0.12 * r[:, 2]])
    plates = np.column_stack([0.9 + 1.8 * r[:, 0], 0.7 + 1.2 * r[:, 1], np.full(count, 0.09)])
    blocks = 0.35 + 0.85 * r * np.array([1.0, 0.8, 0.6])
    size = np.select([(what == k)[:, None] for k in range(3)], [slabs, beams, plates], blocks)
    size[:, :2] *= scale
    surfaces = np.array([Surface.SLAB, kind.beam, Surface.ROOF, Surface.RUBBLE], np.uint8)[what]
    return surfaces, size
