"""Rivers that no source holds: meanders for procedural cities, and a band beside a city that has no water."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from shapely import STRtree
from shapely.geometry import LineString, Polygon

from mage.scenes.city import City
from mage.scenes.style import Style
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]

BEYOND = 14.0  # metres that a river runs past the terrain's border, so that it has no end in sight
CLEARANCE = 12.0  # metres that a made-up river keeps from any building
_STEP = 5.0  # metres between the points of a river's axis


def band(axis: Floats, width: Floats) -> Polygon:
    """The area within half of ``width`` (n,) of an axis (n, 2), metres, with round ends."""
    discs = shapely.buffer(shapely.points(axis), width / 2, quad_segs=8)
    pieces = shapely.convex_hull(shapely.multipolygons(np.stack([discs[:-1], discs[1:]], axis=1)))
    return Polygon(shapely.union_all(pieces).simplify(0.1).exterior)


def meander(rng: np.random.Generator, length: float, width: float) -> Floats:
    """The axis of a meandering river (n, 2) that starts at the origin and runs about ``length`` metres east.

    A sine-generated curve (Langbein and Leopold 1966): the direction swings as the sine of the way along the river,
    here with a wavelength of 10-14 widths and a swing that changes from bend to bend.
    """
    wavelength = width * rng.uniform(10, 14)
    steps = int(length * 1.6 / _STEP)
    way = np.arange(steps) * _STEP
    swing = np.interp(way, np.arange(0, way[-1] + wavelength, wavelength / 2), _draw(rng, way[-1], wavelength / 2))
    drift = gaussian_filter1d(rng.normal(0, 1, steps), wavelength / _STEP / 3) * np.sqrt(wavelength / _STEP / 3)
    stretch = np.cumsum(1 + 0.25 * np.sin(way / wavelength * 2.6 + rng.uniform(0, 6))) * _STEP
    heading = swing * np.sin(2 * np.pi * stretch / wavelength + rng.uniform(0, 2 * np.pi)) + 0.35 * drift
    xy = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1) * _STEP, axis=0)
    return xy[xy[:, 0] <= length]


def _draw(rng: np.random.Generator, reach: float, spacing: float) -> Floats:
    return rng.uniform(0.45, 1.05, len(np.arange(0, reach + 2 * spacing, spacing)))


def varied_width(rng: np.random.Generator, count: int, width: float) -> Floats:
    """Widths (count,) within 15 % of ``width`` that change over about 60 m."""
    noise = gaussian_filter1d(rng.normal(size=count), 12, mode="nearest")
    return width * (1 + np.clip(noise / (noise.std() + 1e-9) * 0.07, -0.15, 0.15))


def procedural_river(rng: np.random.Generator, style: Style, extent: float, margin: float) -> Polygon:
    """The outline of a river across the square of side ``extent`` + 2 * ``margin`` about the origin, local metres.

    It passes to one side of the middle and leaves the square on both sides.
    """
    width = rng.uniform(*style.river.width)
    reach = extent / 2 + margin + BEYOND + width
    axis = meander(rng, 3 * reach, width)
    axis[:, 1] -= np.median(axis[:, 1])
    axis[:, 0] -= 1.5 * reach
    # in a small city the river keeps to the edge, to leave room for houses
    aside = rng.uniform(*style.river.aside) * extent + max(0.0, 0.12 * (300 - extent))
    axis[:, 1] += aside * rng.choice([-1, 1])
    turn = rng.choice(4) * np.pi / 2 + rng.uniform(-0.2, 0.2)
    c, s = np.cos(turn), np.sin(turn)
    axis = axis @ np.array([[c, s], [-s, c]])
    close = np.abs(axis).max(axis=1) < reach + 2 * _STEP
    return band(axis[close], varied_width(rng, int(close.sum()), width))


def side_river(rng: np.random.Generator, style: Style, city: City, terrain: Terrain) -> Polygon | None:
    """The outline of a river along the side of the city with the lowest ground, or None where none has room.

    It stays :data:`CLEARANCE` from every footprint and within the terrain, except at its two ends, which leave it.
    """
    footprints = np.array([b.footprint for b in city.buildings], dtype=object)
    grounds = np.array([b.ground for b in city.buildings])
    boxes = shapely.bounds(footprints)
    width = rng.uniform(*style.river.width)
    seeds = rng.integers(2**63, size=4)
    index = STRtree(footprints)
    for side in _lowest_sides(boxes, grounds):
        for share in (1.0, 0.8, 0.6):  # narrower where there is little room
            outline = _along_side(np.random.default_rng(seeds[side]), boxes, terrain, side, width * share)
            if outline is not None and len(index.query(outline, "dwithin", CLEARANCE)) == 0:
                return outline
    return None


def _lowest_sides(boxes: Floats, grounds: Floats) -> list[int]:
    """West, south, east, north as 0-3, lowest ground first; each side counts the quarter of buildings nearest to it."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    signs = [(-1, 0), (0, -1), (1, 0), (0, 1)]
    few = max(1, len(grounds) // 4)
    height = [np.median(grounds[np.argsort(-(centres @ sign), kind="stable")[:few]]) for sign in np.array(signs)]
    return [int(i) for i in np.argsort(np.round(height, 1), kind="stable")]


def _along_side(rng: np.random.Generator, boxes: Floats, terrain: Terrain, side: int, width: float) -> Polygon | None:
    """A band outside all boxes on one side: in a frame where t runs along the side and f out of the city."""
    west, south, east, north = terrain.bounds
    along, sign = (1, 0)[side % 2], (-1, -1, 1, 1)[side]
    out = 1 - along
    low, high = ((west, east), (south, north))[along]
    edge = sign * (west, south, east, north)[side]
    t = np.arange(low - BEYOND - width, high + BEYOND + width + _STEP, _STEP)
    front = _front(t, boxes, along, sign)
    need = CLEARANCE + 2.0 + width * 0.58
    gentle = maximum_filter1d(front, 31, mode="nearest")
    gentle = gaussian_filter1d(gentle, 9, mode="nearest")
    # the last 20 m of terrain are not photographed: the river keeps out of them where it can
    room = np.maximum(0, edge - 20.0 - width * 0.6 - (gentle + need))
    swing = gaussian_filter1d(rng.normal(size=len(t)), 10, mode="nearest")
    swing = (swing - swing.min()) / (np.ptp(swing) + 1e-9)
    axis_f = gentle + need + swing * np.minimum(room, 26.0)
    if (axis_f + width * 0.6 > edge).any():
        return None
    axis = np.zeros((len(t), 2))
    axis[:, along], axis[:, out] = t, sign * axis_f
    axis = shapely.get_coordinates(shapely.segmentize(LineString(axis), _STEP * 1.5))
    return band(axis, varied_width(rng, len(axis), width))


def _front(t: Floats, boxes: Floats, along: int, sign: int) -> Floats:
    """How far out the buildings reach at every t; between and beyond them as far as the median of the fronts, less
    a little, so that the river follows the town's edge without entering it.
    """
    out = 1 - along
    reach = np.maximum(sign * boxes[:, out], sign * boxes[:, out + 2])
    front = np.full(len(t), -np.inf)
    first = np.searchsorted(t, boxes[:, along]) - 1
    last = np.searchsorted(t, boxes[:, along + 2])
    for a, b, value in zip(np.maximum(first, 0), last, reach, strict=True):
        front[a : b + 1] = np.maximum(front[a : b + 1], value)
    built = np.isfinite(front)
    front[~built] = np.interp(t[~built], t[built], front[built]) if built.any() else float(reach.max())
    return np.maximum(front, np.quantile(reach, 0.5))
