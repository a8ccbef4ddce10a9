"""Shaping the ground: rolling noise, streets a kerb lower, banks and beds of rivers, feet of buildings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline
from scipy.spatial import cKDTree

from mage.scenes.city import RoadGraph, WaterBody
from mage.scenes.terrain import Terrain, extended_levels

Floats = NDArray[np.float64]

BANK_SLOPE = 0.35  # rise over run on both sides of the shoreline
DEEPEST = 2.5  # metres of water over a carved bed
FREEBOARD = 0.3  # metres that carved banks stand above the water
BANK_REACH = 6.0  # metres beyond the outline in which carving may change the ground


def lattice(bounds: tuple[float, float, float, float], step: float) -> Terrain:
    """A flat terrain at height 0 whose vertices cover (west, south, east, north)."""
    west, south, east, north = bounds
    columns = max(2, int(np.ceil((east - west) / step)) + 1)
    rows = max(2, int(np.ceil((north - south) / step)) + 1)
    return Terrain(np.zeros((rows, columns)), west, south + (rows - 1) * step, step)


def undulation(rng: np.random.Generator, terrain: Terrain, wavelengths: Sequence[float], amplitude: float) -> Floats:
    """Smooth noise on the terrain's vertices, (rows, columns) metres.

    Each wavelength adds a bicubic surface through random values at that spacing; spreads are equal and the sum is
    scaled so that about 95 % lie within ``amplitude``.
    """
    rows, columns = terrain.heights.shape
    total = np.zeros((rows, columns))
    for wavelength in wavelengths:
        spacing = wavelength / 2
        size = [int(np.ceil(n * terrain.step / spacing)) + 4 for n in (rows, columns)]
        values = rng.normal(size=size)
        grids = [np.arange(s) * spacing - spacing for s in size]
        surface = RectBivariateSpline(*grids, values)
        offset = rng.uniform(0, spacing, 2)
        total += surface(np.arange(rows) * terrain.step + offset[0], np.arange(columns) * terrain.step + offset[1])
    return total * (amplitude / (2 * np.sqrt(max(1, len(wavelengths))) * 0.8))


def sink_streets(terrain: Terrain, roads: RoadGraph, depth: float) -> Terrain:
    """The terrain with every carriageway ``depth`` metres lower, rising back over the 2 m beside it."""
    if not roads.edges or depth <= 0:
        return terrain
    samples, half = _along([e.line for e in roads.edges], np.array([e.width / 2 for e in roads.edges]), 1.0)
    points = terrain.points()
    reach = float(half.max()) + 2.0
    distance, nearest = cKDTree(samples).query(points, k=1, distance_upper_bound=reach)
    close = np.isfinite(distance)
    beside = np.zeros(len(points))
    beside[close] = np.clip(1 - (distance[close] - half[nearest[close]]) / 2.0, 0, 1)
    return replace(terrain, heights=terrain.heights - depth * beside.reshape(terrain.heights.shape))


def _along(lines: list[shapely.Geometry], values: Floats, spacing: float) -> tuple[Floats, Floats]:
    """Points (n, 2) on lines no further apart than ``spacing``, with their line's value (n,)."""
    coordinates, index = shapely.get_coordinates(shapely.segmentize(lines, spacing), return_index=True)
    return coordinates, values[index]


def shore_distance(terrain: Terrain, outline: shapely.Geometry, reach: float) -> Floats:
    """Signed distance (rows, columns) of the vertices from an outline, metres: negative inside, positive outside.

    Vertices outside by more than ``reach`` hold inf. The outline is sampled every 0.25 m, so that distances err by
    0.13 m at most, and only right at the shore.
    """
    signed = np.full(terrain.heights.shape, np.inf)
    west, south, east, north = outline.bounds
    x, y = terrain.axes()
    columns = np.flatnonzero((x >= west - reach) & (x <= east + reach))
    rows = np.flatnonzero((y >= south - reach) & (y <= north + reach))
    if len(rows) == 0 or len(columns) == 0:
        return signed
    window = np.ix_(rows, columns)
    gx, gy = np.meshgrid(x[columns], y[rows])
    shapely.prepare(outline)
    inside = shapely.contains_xy(outline, gx, gy)
    shore = shapely.get_coordinates(shapely.segmentize(outline.boundary, 0.25))
    distance, _ = cKDTree(shore).query(np.column_stack([gx.ravel(), gy.ravel()]))
    distance = distance.reshape(gx.shape)
    signed[window] = np.where(inside, -distance, np.where(distance <= reach, distance, np.inf))
    return signed


def carve(terrain: Terrain, water_bodies: Sequence[WaterBody]) -> Terrain:
    """The terrain with a bed under every water body and banks beside it.

    At signed distance d from the outline (negative inside) the ground is made to lie at level + 0.35 d near the
    shore, so that linear interpolation puts the shoreline on the outline to within a metre; the bed is at most 2.5 m
    deep, banks reach at least 0.3 m above the water, and nothing changes more than 6 m outside. Where bodies meet,
    the lower bed wins. Bodies narrower than two steps of the terrain cannot be shown exactly.
    """
    heights = terrain.heights.copy()
    beds = np.full(heights.shape, np.inf)
    for body in water_bodies:
        signed = shore_distance(terrain, body.outline, BANK_REACH)
        bank = (signed >= 0) & np.isfinite(signed)
        lowest = body.level + np.minimum(FREEBOARD, BANK_SLOPE * signed[bank])
        highest = body.level + BANK_SLOPE * signed[bank]
        heights[bank] = np.clip(heights[bank], lowest, np.maximum(lowest, highest))
        inside = signed < 0
        beds[inside] = np.minimum(beds[inside], body.level + np.maximum(-DEEPEST, BANK_SLOPE * signed[inside]))
    return replace(terrain, heights=np.where(np.isfinite(beds), beds, heights))


def normal_levels(terrain: Terrain, water_bodies: Sequence[WaterBody]) -> Floats:
    """Levels of permanent water on the terrain's vertices, (rows, columns) metres, NaN where there is none.

    Carried one vertex over the shore by :func:`mage.scenes.terrain.extended_levels`: ready for
    :meth:`Terrain.water_mesh` and :func:`mage.scenes.terrain.depth_at`. Where bodies overlap the higher level holds.
    """
    levels = np.full(terrain.heights.shape, np.nan)
    x, y = terrain.axes()
    for body in water_bodies:
        west, south, east, north = body.outline.bounds
        columns = np.flatnonzero((x >= west) & (x <= east))
        rows = np.flatnonzero((y >= south) & (y <= north))
        window = np.ix_(rows, columns)
        gx, gy = np.meshgrid(x[columns], y[rows])
        shapely.prepare(body.outline)
        inside = shapely.contains_xy(body.outline, gx, gy)
        levels[window] = np.where(inside, np.fmax(levels[window], body.level), levels[window])
    return extended_levels(terrain, levels)
