"""The ground, painted in numpy: the reflectance that each cover has at each place, with what is painted on it.

What covers the ground is asked of :mod:`mage.generator.covers`, as the label raster does, at the picture's own pixel
size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from mage.generator.colour import reflectance
from mage.generator.covers import Cover, burn, cover_of, road_ids
from mage.generator.marks import Mark
from mage.generator.noise import fractal, value_noise
from mage.generator.place import Place
from mage.scenes.grid import Grid
from mage.scenes.style import Style
from mage.scenes.ways import UNPAVED, WALKED

Raster = NDArray[np.float32]

# colours of what styles have no swatches for, 8-bit sRGB as seen in imagery; measured ones are in the styles
SCRUB = [(78, 92, 58), (98, 104, 70), (66, 80, 50)]
SAND = [(206, 190, 156), (216, 202, 170), (194, 178, 146)]
BALLAST = [(124, 116, 108), (108, 102, 96), (136, 124, 110)]
POOL = [(82, 178, 190), (104, 196, 204), (66, 160, 182)]
TURF, HARD = [(88, 124, 66), (98, 134, 72)], [(72, 104, 122), (150, 84, 66), (86, 118, 92)]
WHITE, STEEL, TIE = 0.55, 0.4, 0.09  # reflectance of road paint, of worn rails and of sleepers
HARD_COURT = 900.0  # square metres; smaller sports fields are hard courts

# Reflectances (R, G, B) of deep water: river and flood as in xBD's Harvey pairs, canal and lake as in Dutch and Swiss
# orthophotos (8-bit sRGB about 56, 75, 81 and 33, 70, 72); the sea, of which there is no picture, a little bluer.
FLOOD = (0.25, 0.215, 0.115)
DEEP = {
    "river": (0.135, 0.125, 0.07),
    "canal": (0.075, 0.085, 0.06),
    "lake": (0.028, 0.058, 0.062),
    "sea": (0.022, 0.05, 0.07),
}
STILL, CLEARED = ("lake", "sea"), 0.85  # what thins a flood's silt out, and how much of it far from the shore


@dataclass(frozen=True, slots=True, eq=False)
class Painting:
    """Reflectances of the ground and of water's surface over a grid, float32 (rows, columns, 3); ``decks`` is what the
    decks of bridges wear where that is not the picture of the ground.
    """

    grid: Grid
    ground: Raster
    water: Raster
    decks: Raster | None = None


def paint_ground(place: Place, grid: Grid, *, decks: bool = True) -> Raster:
    """Reflectance of a tile's dry ground, float32 (rows, columns, 3); half the image's pixel size is fine enough.
    Without ``decks`` it is the ground beneath bridges.
    """
    roads = road_ids(place, grid, decks=decks)
    cover = cover_of(place, grid, roads, decks=decks)
    return _ground_colours(place, grid, cover, np.where(cover == Cover.ROAD, roads, 0))


def with_water(ground: Raster, grid: Grid, depth: NDArray[np.float64], deep: NDArray[np.float32]) -> Painting:
    """A tile's ground under ``depth`` (rows, columns) metres of water that reflects ``deep`` where it is too deep to
    see the ground: (3,), or (rows, columns, 3).
    """
    wet = ground * _wetness(grid, depth)[..., None]
    return Painting(grid, wet, _water_colours(grid, wet, depth, deep))


def deep_water(place: Place, grid: Grid, flooded: NDArray[np.bool_] | None = None) -> Raster:
    """Reflectance of deep water by what carries it, float32 (rows, columns, 3); ``flooded`` says where a flood is.

    A flood's silt browns rivers and canals as it does the land; in a lake or the sea most of it is thinned out.
    """
    bodies = place.city.water
    kinds = list(DEEP)
    index = burn([b.outline for b in bodies], [kinds.index(b.kind) for b in bodies], grid, "uint8")
    colours = np.array(list(DEEP.values()), np.float32)[index]
    # waters mix where they meet
    mixed = cv2.GaussianBlur(colours, (0, 0), max(2.0 / grid.gsd, 0.3))
    if flooded is None:
        return mixed
    wide = burn(
        [b.outline for b in bodies if b.kind in STILL], [1] * sum(b.kind in STILL for b in bodies), grid, "uint8"
    )
    # silt thins out from the shore on
    clear = cv2.GaussianBlur(wide.astype(np.float32), (0, 0), max(12.0 / grid.gsd, 0.3)) * wide
    silt = np.where(flooded, 1 - CLEARED * np.clip(2 * clear - 1, 0, 1), 0)[..., None].astype(np.float32)
    return np.asarray(mixed + silt * (np.array(FLOOD, np.float32) - mixed), np.float32)


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
    ground: Any = lawn.copy()

    def lay(kind: Cover, swatches: NDArray[np.float64], seed: int, patch: float, rough: tuple[float, float]) -> None:
        """Where a cover is: swatches in patches of some metres, uneven at fine and broad scale."""
        where = cover == kind
        if where.any():
            colours = _mixed(grid, swatches, seed, patch) * np.exp(rough[0] * fine + rough[1] * broad)
            ground[where] = colours[where]

    ground[cover == Cover.BARE] = bare[cover == Cover.BARE]
    ground[cover == Cover.FOREST] = (0.45 * bare + 0.35 * lawn)[cover == Cover.FOREST]
    lay(Cover.PAVED, _base(style, "paved"), 47, 14.0, (0.08, 0.08))
    lay(Cover.AGRICULTURE, _base(style, "grass"), 53, 120.0, (0.09, 0.05))
    lay(Cover.SCRUB, reflectance(SCRUB), 83, 9.0, (0.3, 0.12))
    lay(Cover.SAND, reflectance(SAND), 89, 40.0, (0.06, 0.06))
    lay(Cover.ASPHALT, _base(style, "asphalt"), 59, 60.0, (0.08, 0.07))
    lay(Cover.PARKING, _base(style, "asphalt"), 97, 35.0, (0.08, 0.09))
    lay(Cover.BALLAST, reflectance(BALLAST), 101, 12.0, (0.16, 0.05))
    lay(Cover.POOL, reflectance(POOL), 103, 25.0, (0.05, 0.02))
    _lay_pitches(place, grid, cover, ground, fine)
    # grass thins out at its edges: worn verges, and soil splashed along walls
    edge = _fading(cover == Cover.GRASS, grid, 1.2)
    ground = np.where((cover == Cover.GRASS)[..., None], ground * (1 - 0.35 * edge) + bare * 0.35 * edge, ground)
    if roads.any():
        surface = _unpaved(place, grid, roads, _asphalt(place, grid, roads, fine, broad), bare, lawn)
        ground = np.where((roads > 0)[..., None], surface, ground)
    ground = _painted(place, grid, cover, ground)
    # real ground never changes within a centimetre: half a metre of blending at every border
    return np.asarray(cv2.GaussianBlur(ground.astype(np.float32), (0, 0), max(0.18 / grid.gsd, 0.3)), np.float32)


def _lay_pitches(place: Place, grid: Grid, cover: NDArray[np.uint8], ground: Any, fine: Raster) -> None:
    """Sports fields: large ones of turf mown in stripes, small ones hard courts of one colour each."""
    where = cover == Cover.PITCH
    if not where.any():
        return
    x, y = grid.centres()
    for i in sorted(place.land_index.query(shapely.box(*grid.bounds))):
        patch = place.city.land[i]
        if patch.cover != "pitch":
            continue
        inside = where & (burn([patch.outline], [1], grid, "uint8") > 0)
        hard = patch.outline.area < HARD_COURT
        swatches = reflectance(HARD if hard else TURF)
        colour: Any = np.broadcast_to(swatches[i % len(swatches)], (*grid.shape, 3))
        if not hard:
            box = shapely.get_coordinates(patch.outline.minimum_rotated_rectangle)
            side = max(np.diff(box[:3], axis=0), key=lambda s: float(s @ s))
            side = side / np.linalg.norm(side)
            way = (x[None, :] - box[0, 0]) * side[0] + (y[:, None] - box[0, 1]) * side[1]
            colour = colour * (1 + 0.07 * np.sign(np.sin(np.pi * way / 5.5)))[..., None] * np.exp(0.1 * fine)
        ground[inside] = colour[inside]


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
    return np.asarray(surface, np.float32)


def _unpaved(place: Place, grid: Grid, roads: NDArray[np.int32], surface: Raster, bare: Any, lawn: Any) -> Any:
    """Tracks of soil with grass between the wheels, and streets for walkers paved, in place of asphalt."""
    edges = place.city.roads.edges
    soil = np.array([False, *(e.kind in UNPAVED for e in edges)])[roads]
    if soil.any():
        inside = distance_transform_edt(roads > 0, sampling=grid.gsd)
        half = np.array([e.width for e in edges] + [0.0])[roads - 1] / 2
        grassy = np.clip((inside - half + 0.5) / 0.3, 0, 1)[..., None] * 0.6
        surface = np.where(soil[..., None], bare * (1 - grassy) + lawn * grassy, surface)
    walked = np.array([False, *(e.kind in WALKED for e in edges)])[roads]
    if walked.any():
        surface = np.where(walked[..., None], _mixed(grid, _base(place.style, "paved"), 47, 14.0), surface)
    return surface


def _painted(place: Place, grid: Grid, cover: NDArray[np.uint8], ground: Any) -> Any:
    """The ground with lines painted on streets, lots and fields, and with sleepers and rails."""
    for kind, tone, strength, where in (
        (Mark.ROAD_PAINT, WHITE, 0.8, cover == Cover.ROAD),
        (Mark.LOT_PAINT, WHITE, 0.9, (cover == Cover.PARKING) | (cover == Cover.PITCH)),
        (Mark.SLEEPER, TIE, 0.7, cover == Cover.BALLAST),
        (Mark.RAIL, STEEL, 1.0, None),
    ):
        share = place.marks.coverage(grid, kind)
        if not share.any():
            continue
        alpha = strength * (share if where is None else share * where)[..., None]
        ground = ground * (1 - alpha) + tone * alpha
    return ground


def _wetness(grid: Grid, depth: NDArray[np.float64]) -> Raster:
    """Factor on the ground's reflectance: soaked within a few metres of water, as dark as 0.62 of dry."""
    if not (depth > 0).any():
        return np.ones(grid.shape, np.float32)
    away = distance_transform_edt(depth <= 0, sampling=grid.gsd)
    reach = 1.5 + 1.0 * value_noise(grid, 7.0, 71)
    return (1 - 0.38 * np.exp(-((away / np.maximum(reach, 0.4)) ** 2))).astype(np.float32)


def _water_colours(grid: Grid, ground: Raster, depth: NDArray[np.float64], deep: NDArray[np.float32]) -> Raster:
    """Turbid water hides the ground within decimetres: Beer's law with 4 per metre, and silt in slow plumes."""
    plume = fractal(grid, (90.0, 37.0, 12.0), seed=73)[..., None] * 0.05
    streak = fractal(grid, (6.0, 2.0), seed=79)[..., None] * 0.02
    water = deep * np.exp(plume + streak)
    seen = np.exp(-4.0 * np.clip(depth, 0, 10))[..., None].astype(np.float32)
    return np.asarray(ground * 0.6 * seen + water * (1 - seen), np.float32)
