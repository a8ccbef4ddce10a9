"""The ground, painted in numpy: what covers each pixel, and the reflectance that cover has there.

The cover at a point is decided by vector outlines and by noise anchored to the ground, both evaluated at pixel
centres; the
label raster and the painted picture ask the same function, at their own pixel sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import cv2
import numpy as np
import shapely
import shapely.ops
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine
from scipy.ndimage import distance_transform_edt

from mage.generator.colour import reflectance
from mage.generator.noise import fractal, value_noise
from mage.generator.place import Place
from mage.scenes.dataset.schema import LandClass
from mage.scenes.grid import Grid
from mage.scenes.style import Style

Raster = NDArray[np.float32]


class Cover(IntEnum):
    """What the ground is covered with."""

    GRASS = 0
    BARE = 1
    PAVED = 2
    AGRICULTURE = 3
    FOREST = 4
    ROAD = 5


_FROM_NAME = {
    "grass": Cover.GRASS,
    "bare": Cover.BARE,
    "paved": Cover.PAVED,
    "agriculture": Cover.AGRICULTURE,
    "forest": Cover.FOREST,
}

CLASS_OF_COVER = np.zeros(len(Cover), np.uint8)
CLASS_OF_COVER[[Cover.GRASS, Cover.FOREST]] = LandClass.GRASS
CLASS_OF_COVER[Cover.BARE] = LandClass.BARE
CLASS_OF_COVER[Cover.PAVED] = LandClass.PAVED
CLASS_OF_COVER[Cover.AGRICULTURE] = LandClass.AGRICULTURE
CLASS_OF_COVER[Cover.ROAD] = LandClass.ROAD


def burn(shapes: list[shapely.Geometry], values: list[int], grid: Grid, dtype: str) -> NDArray[Any]:
    """Values of the shapes that hold each pixel's centre, 0 for none; later ones lie on top (GDAL's pixel-centre
    rule).
    """
    pairs = [(s, v) for s, v in zip(shapes, values, strict=True) if not s.is_empty]
    if not pairs:
        return np.zeros(grid.shape, dtype)
    return np.asarray(rasterize(pairs, out_shape=grid.shape, fill=0, transform=Affine(*grid.transform), dtype=dtype))


def road_ids(place: Place, grid: Grid) -> NDArray[np.int32]:
    """Index of the road edge at each pixel's centre plus 1, 0 for none; wider streets lie on top where they meet."""
    near = place.road_index.query(shapely.box(*grid.bounds))
    edges = place.city.roads.edges
    order = sorted((int(i) for i in near), key=lambda i: (edges[i].width, i))
    return burn([place.carriageways[i] for i in order], [i + 1 for i in order], grid, "int32").astype(np.int32)


def cover_of(place: Place, grid: Grid, roads: NDArray[np.int32]) -> NDArray[np.uint8]:
    """The :class:`Cover` of the ground at each pixel's centre, uint8 (rows, columns)."""
    view = shapely.box(*grid.bounds)
    patches = [place.city.land[i] for i in sorted(place.land_index.query(view))]
    cover = burn([p.outline for p in patches], [int(_FROM_NAME[p.cover]) for p in patches], grid, "uint8").astype(
        np.uint8
    )
    worn = fractal(grid, (31.0, 9.0, 3.0), seed=11)
    cover[(cover == Cover.GRASS) & (worn > place.style.look.bare_above)] = Cover.BARE
    near = place.road_index.query(view.buffer(10))
    edges = place.city.roads.edges
    pavements = [edges[i].line.buffer(edges[i].width / 2 + place.style.pavement, quad_segs=4) for i in sorted(near)]
    if pavements and place.style.pavement > 0:
        cover[burn(pavements, [1] * len(pavements), grid, "uint8") > 0] = Cover.PAVED
    cover[roads > 0] = Cover.ROAD
    return cover


@dataclass(frozen=True, slots=True, eq=False)
class Painting:
    """Reflectances of the ground and of water's surface over a grid, float32 (rows, columns, 3)."""

    grid: Grid
    ground: Raster
    water: Raster


def paint_ground(place: Place, grid: Grid) -> Raster:
    """Reflectance of a tile's dry ground, float32 (rows, columns, 3); half the image's pixel size is fine enough."""
    roads = road_ids(place, grid)
    return _ground_colours(place, grid, cover_of(place, grid, roads), roads)


def with_water(
    ground: Raster, grid: Grid, depth: NDArray[np.float64], turbidity: tuple[float, float, float]
) -> Painting:
    """A tile's ground under ``depth`` (rows, columns) metres of water whose deep reflectance is ``turbidity`` (R, G,
    B).
    """
    wet = ground * _wetness(grid, depth)[..., None]
    return Painting(grid, wet, _water_colours(grid, wet, depth, turbidity))


def _base(style: Style, name: str) -> NDArray[np.float64]:
    return np.array([reflectance(s.srgb) for s in style.look.ground[name]])


def _mixed(grid: Grid, swatches: NDArray[np.float64], seed: int, wavelength: float) -> Raster:
    """Swatches blended by noise: patches of one and the other, tens of metres wide."""
    mottled = value_noise(grid, wavelength, seed) + 0.35 * value_noise(grid, wavelength / 5, seed + 1)
    position: Any = np.clip(0.75 * mottled + 0.5, 0, 1) * (len(swatches) - 1)
    low = np.minimum(position.astype(int), max(len(swatches) - 2, 0))
    share = (position - low)[..., None].astype(np.float32)
    high = np.minimum(low + 1, len(swatches) - 1)
    s = swatches.astype(np.float32)
    return s[low] * (1 - share) + s[high] * share


def _ground_colours(place: Place, grid: Grid, cover: NDArray[np.uint8], roads: NDArray[np.int32]) -> Raster:
    style = place.style
    fine = fractal(grid, (4.0, 1.6, 0.7), seed=31)[..., None]
    broad = fractal(grid, (64.0, 23.0, 8.0), seed=37)[..., None]
    lawn = _mixed(grid, _base(style, "grass"), 41, 46.0) * np.exp(0.17 * fine + 0.12 * broad)
    bare = _mixed(grid, _base(style, "bare"), 43, 30.0) * np.exp(0.13 * fine + 0.12 * broad)
    paved = _mixed(grid, _base(style, "paved"), 47, 14.0) * np.exp(0.08 * fine + 0.08 * broad)
    field = _mixed(grid, _base(style, "grass"), 53, 120.0) * np.exp(0.09 * fine + 0.05 * broad)
    litter = 0.45 * bare + 0.35 * lawn
    ground: Any = lawn.copy()
    for kind, colours in (
        (Cover.BARE, bare),
        (Cover.PAVED, paved),
        (Cover.AGRICULTURE, field),
        (Cover.FOREST, litter),
    ):
        ground = np.where((cover == kind)[..., None], colours, ground)
    # grass thins out at its edges: worn verges, and soil splashed along walls
    edge = _fading(cover == Cover.GRASS, grid, 1.2)
    ground = np.where((cover == Cover.GRASS)[..., None], ground * (1 - 0.35 * edge) + bare * 0.35 * edge, ground)
    ground = np.where((roads > 0)[..., None], _asphalt(place, grid, roads, fine, broad), ground)
    # real ground never changes within a centimetre: half a metre of blending at every border
    return np.asarray(cv2.GaussianBlur(ground.astype(np.float32), (0, 0), max(0.18 / grid.gsd, 0.3)), np.float32)


def _fading(mask: NDArray[np.bool_], grid: Grid, reach: float) -> Raster:
    """1 at the border of a mask, falling to 0 at ``reach`` metres inside, (rows, columns, 1)."""
    inside = distance_transform_edt(mask, sampling=grid.gsd)
    return np.exp(-inside / reach)[..., None].astype(np.float32)


def _asphalt(place: Place, grid: Grid, roads: NDArray[np.int32], fine: Raster, broad: Raster) -> Raster:
    base = _base(place.style, "asphalt")
    edges = place.city.roads.edges
    # streets were laid in different years: quarter by quarter, and a little apart from each other
    factor = np.exp(np.random.default_rng(8).normal(0, 0.05, len(edges) + 1))
    surface: Any = _mixed(grid, base, 59, 170.0) * factor[roads][..., None]
    inside = distance_transform_edt(roads > 0, sampling=grid.gsd)
    patched = value_noise(grid, 5.0, 61) + 0.5 * value_noise(grid, 17.0, 67)
    surface = surface * np.exp(0.08 * fine + 0.07 * broad)
    surface *= (1 - 0.12 * (patched > 0.9))[..., None]  # repairs, darker than the old surface
    gutter = np.exp(-inside / 0.45)[..., None]
    surface = surface * (1 - 0.22 * gutter)  # dirt along the kerb
    wheel = np.array([e.width for e in edges] + [0.0])[roads - 1] / 4
    surface *= 1 - 0.05 * np.exp(-((inside - wheel) ** 2) / 0.3)[..., None]
    return _marked(place, grid, roads, surface)


def _marked(place: Place, grid: Grid, roads: NDArray[np.int32], surface: NDArray[np.float64]) -> Raster:
    """Dashed centre lines on streets wide enough to have them."""
    width = max(0.15, grid.gsd)
    strength = min(1.0, 0.15 / grid.gsd)
    view = shapely.box(*grid.bounds)
    dashes = []
    for i in sorted(place.road_index.query(view)):
        edge = place.city.roads.edges[i]
        if edge.width >= place.style.marked_from:
            starts = np.arange(6.0, edge.line.length - 9.0, 9.0)
            dashes += [shapely.ops.substring(edge.line, s, s + 3.0).buffer(width / 2, cap_style="flat") for s in starts]
    if dashes:
        paintwork = (burn(dashes, [1] * len(dashes), grid, "uint8") > 0) & (roads > 0)
        surface = np.where(paintwork[..., None], surface * (1 - 0.8 * strength) + 0.55 * 0.8 * strength, surface)
    return np.asarray(surface, np.float32)


def _wetness(grid: Grid, depth: NDArray[np.float64]) -> Raster:
    """Factor on the ground's reflectance: soaked within a few metres of water, as dark as 0.62 of dry."""
    if not (depth > 0).any():
        return np.ones(grid.shape, np.float32)
    away = distance_transform_edt(depth <= 0, sampling=grid.gsd)
    reach = 1.5 + 1.0 * value_noise(grid, 7.0, 71)
    return (1 - 0.38 * np.exp(-((away / np.maximum(reach, 0.4)) ** 2))).astype(np.float32)


def _water_colours(
    grid: Grid, ground: Raster, depth: NDArray[np.float64], turbidity: tuple[float, float, float]
) -> Raster:
    """Turbid water hides the ground within decimetres: Beer's law with 4 per metre, and silt in slow plumes."""
    plume = fractal(grid, (90.0, 37.0, 12.0), seed=73)[..., None] * 0.05
    streak = fractal(grid, (6.0, 2.0), seed=79)[..., None] * 0.02
    water = np.array(turbidity, np.float32) * np.exp(plume + streak)
    seen = np.exp(-4.0 * np.clip(depth, 0, 10))[..., None].astype(np.float32)
    return np.asarray(ground * 0.6 * seen + water * (1 - seen), np.float32)
