"""Shaping the ground: rolling noise, streets a kerb lower, banks and beds of rivers, feet of buildings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from mage.scenes.city import RoadGraph, WaterBody
from mage.scenes.terrain import Terrain, extended_levels
from mage.scenes.ways import on_bridge, on_view

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST_VERTICES = 4_000_000  # of a terrain: 2 m apart over 4 km, 6 m apart over 12 km
BANK_SLOPE = 0.35  # rise over run on both sides of the shoreline
DEEPEST = 2.5  # metres of water over a carved bed
FREEBOARD = 0.3  # metres that carved banks stand above the water
BANK_REACH = 6.0  # metres beyond the outline in which carving may change the ground
BED_REACH = DEEPEST / BANK_SLOPE + 0.5  # metres from the shore within which a bed slopes down
RIM = 0.05  # metres that surveyed ground beside water is made to stand above it at least
SEAT = 1.5  # steps around a building within which surveyed ground is left as it is


def finest_step(bounds: tuple[float, float, float, float], wanted: float) -> float:
    """The step in metres nearest to ``wanted`` with which a lattice over (west, south, east, north) keeps within
    :data:`MOST_VERTICES`.
    """
    west, south, east, north = bounds
    return max(wanted, float(np.sqrt((east - west) * (north - south) / MOST_VERTICES)))


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
    """The terrain with every carriageway on the ground ``depth`` metres lower, rising back over the 2 m beside it."""
    edges = [e for e in roads.edges if on_view(e) and not on_bridge(e)]
    if not edges or depth <= 0:
        return terrain
    samples, half = _along([e.line for e in edges], np.array([e.width / 2 for e in edges]), 1.0)
    widest = float(half.max()) + 2.0
    near = within(terrain, [e.line.buffer(widest + 1.0, quad_segs=2) for e in edges])
    distance, nearest = cKDTree(samples).query(terrain.points()[near.ravel()], distance_upper_bound=widest)
    close = np.isfinite(distance)
    beside = np.zeros(len(distance))
    beside[close] = np.clip(1 - (distance[close] - half[nearest[close]]) / 2.0, 0, 1)
    heights = terrain.heights.copy()
    heights[near] -= depth * beside
    return replace(terrain, heights=heights)


def within(terrain: Terrain, shapes: Sequence[shapely.Geometry]) -> Mask:
    """Which vertices (rows, columns) lie in any of the polygons."""
    if not shapes:
        return np.zeros(terrain.heights.shape, bool)
    return rasterize(shapes, out_shape=terrain.heights.shape, transform=raster_of(terrain), dtype="uint8") > 0


def raster_of(terrain: Terrain) -> Affine:
    """The transform of a raster whose pixel centres are the vertices."""
    half = terrain.step / 2
    return Affine(terrain.step, 0, terrain.west - half, 0, -terrain.step, terrain.north + half)


def _along(lines: list[shapely.Geometry], values: Floats, spacing: float) -> tuple[Floats, Floats]:
    """Points (n, 2) on lines no further apart than ``spacing``, with their line's value (n,)."""
    coordinates, index = shapely.get_coordinates(shapely.segmentize(lines, spacing), return_index=True)
    return coordinates, values[index]


def shore_distance(terrain: Terrain, outline: shapely.Geometry, reach: float) -> Floats:
    """Signed distance (rows, columns) of the vertices from an outline, metres: negative inside, positive outside.

    Vertices further than ``reach`` from the shore hold inf or -inf. The outline is sampled every 0.25 m, so that
    distances err by 0.13 m at most, and only right at the shore.
    """
    signed = np.full(terrain.heights.shape, np.inf)
    window, part = _shore_window(terrain, outline, reach)
    signed[window] = part
    return signed


def _shore_window(terrain: Terrain, outline: shapely.Geometry, reach: float) -> tuple[tuple[slice, slice], Floats]:
    """The rows and columns within reach of an outline, and the signed distances of their vertices."""
    west, south, east, north = outline.bounds
    rows, columns = _rows_and_columns(terrain, (west - reach, south - reach, east + reach, north + reach))
    part = _part(terrain, rows, columns)
    if part is None:
        return (slice(0, 0), slice(0, 0)), np.zeros((0, 0))
    inside = within(part, [outline])
    signed = np.where(inside, -np.inf, np.inf)
    # the distance between cells is off by less than a cell's diagonal
    away = np.where(inside, distance_transform_edt(inside), distance_transform_edt(~inside)) * terrain.step
    near = away <= reach + 2 * terrain.step if inside.any() else np.ones(inside.shape, bool)
    shore = shapely.get_coordinates(shapely.segmentize(outline.boundary, 0.25))
    distance, _ = cKDTree(shore).query(part.points()[near.ravel()])
    distance = np.where(distance <= reach, distance, np.inf)
    signed[near] = np.where(inside[near], -distance, distance)
    return (rows, columns), signed


def _rows_and_columns(terrain: Terrain, bounds: tuple[float, float, float, float]) -> tuple[slice, slice]:
    """The vertices within bounds."""
    west, south, east, north = bounds
    x, y = terrain.axes()
    rows, columns = np.flatnonzero((y >= south) & (y <= north)), np.flatnonzero((x >= west) & (x <= east))
    if not len(rows) or not len(columns):
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _part(terrain: Terrain, rows: slice, columns: slice) -> Terrain | None:
    """That part of a terrain, or None where it holds no cell."""
    heights = terrain.heights[rows, columns]
    if min(heights.shape) < 2:
        return None
    west, north = terrain.west + columns.start * terrain.step, terrain.north - rows.start * terrain.step
    return Terrain(heights, west, north, terrain.step, terrain.inferred)


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
        window, signed = _shore_window(terrain, body.outline, BED_REACH)
        ground, floor = heights[window], beds[window]  # views: what is set here is set there
        bank = (signed >= 0) & (signed <= BANK_REACH)
        lowest = body.level + np.minimum(FREEBOARD, BANK_SLOPE * signed[bank])
        highest = body.level + BANK_SLOPE * signed[bank]
        ground[bank] = np.clip(ground[bank], lowest, np.maximum(lowest, highest))
        inside = signed < 0
        floor[inside] = np.minimum(floor[inside], body.level + np.maximum(-DEEPEST, BANK_SLOPE * signed[inside]))
    return replace(terrain, heights=np.where(np.isfinite(beds), beds, heights))


def bed(terrain: Terrain, water_bodies: Sequence[WaterBody], kept: Sequence[shapely.Geometry]) -> Terrain:
    """Surveyed terrain with a bed under its water, changed nowhere else but to keep the water in.

    Beds slope and end as those of :func:`carve`, or lie where the survey has them if that is deeper. Ground that lies
    within one step and a half outside and lower is raised to 5 cm above the level, so that the water has a rim. Within
    as many steps of ``kept`` outlines, those of buildings, nothing changes.
    """
    heights, step = terrain.heights.copy(), terrain.step
    raised = np.full(heights.shape, -np.inf)
    for body in water_bodies:
        window, signed = _shore_window(terrain, body.outline, max(BED_REACH, SEAT * step))
        ground, high = heights[window], raised[window]  # views
        rim = (signed >= 0) & (signed <= SEAT * step)
        high[rim] = np.maximum(high[rim], body.level + RIM)
        inside = signed < 0
        floor = body.level + np.maximum(-DEEPEST, BANK_SLOPE * signed[inside])
        ground[inside] = np.minimum(ground[inside], floor)
    wet = within(terrain, [body.outline for body in water_bodies])
    heights = np.where(wet, heights, np.maximum(heights, raised))
    still = within(terrain, [shape.buffer(SEAT * step, quad_segs=2, join_style="mitre") for shape in kept])
    return replace(terrain, heights=np.where(still, terrain.heights, heights))


def normal_levels(terrain: Terrain, water_bodies: Sequence[WaterBody]) -> Floats:
    """Levels of permanent water on the terrain's vertices, (rows, columns) metres, NaN where there is none.

    Carried one vertex over the shore by :func:`mage.scenes.terrain.extended_levels`: ready for
    :meth:`Terrain.water_mesh` and :func:`mage.scenes.terrain.depth_at`. Where bodies overlap the higher level holds.
    """
    order = sorted(water_bodies, key=lambda body: body.level)
    levels = np.full(terrain.heights.shape, np.nan)
    if order:
        shapes = [(body.outline, float(body.level)) for body in order]  # the last one drawn holds
        levels = rasterize(shapes, out_shape=levels.shape, transform=raster_of(terrain), fill=np.nan, dtype="float64")
    return extended_levels(terrain, levels)
