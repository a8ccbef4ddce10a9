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

from mage.generator.colour import in_bands, reflectance
from mage.generator.covers import Cover, burn, cover_of, covered, metres_inside, road_ids
from mage.generator.marks import Mark
from mage.generator.noise import fractal, value_noise
from mage.generator.place import Place
from mage.generator.plots import Plots, plots_of
from mage.scenes.grid import Grid, row_blocks
from mage.scenes.style import Style
from mage.scenes.ways import UNPAVED, WALKED

Raster = NDArray[np.float32]
Colour = tuple[int, int, int]

# colours of what styles have no swatches for, 8-bit sRGB as seen in imagery; measured ones are in the styles
SCRUB = [(78, 92, 58), (98, 104, 70), (66, 80, 50)]
SAND = [(206, 190, 156), (216, 202, 170), (194, 178, 146)]
BALLAST = [(124, 116, 108), (108, 102, 96), (136, 124, 110)]
POOL = [(82, 178, 190), (104, 196, 204), (66, 160, 182)]
TURF, HARD = [(94, 126, 76), (102, 132, 87)], [(72, 104, 122), (150, 84, 66), (86, 118, 92)]
WHITE, STEEL, TIE = 0.55, 0.4, 0.09  # reflectance of road paint, of worn rails and of sleepers
JUNCTION = 11.0  # metres over which one street's surface passes into the next
HARD_COURT = 900.0  # square metres; smaller sports fields are hard courts


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


def _base(style: Style, name: str) -> NDArray[np.float64]:
    return np.array([reflectance(s.srgb) for s in style.look.ground[name]])


def _mottled(grid: Grid, seed: int, wavelength: float) -> Raster:
    mottled = value_noise(grid, wavelength / 5, seed + 1)
    mottled *= np.float32(0.35)
    mottled += value_noise(grid, wavelength, seed)
    return mottled


def _plots_of(style: Style, name: str) -> Raster:
    """Colours (256, 3) of a style's swatches, each as wide as its weight says, the first first."""
    weights = np.array([s.weight for s in style.look.ground[name]])
    middles = (np.cumsum(weights) - weights / 2) / weights.sum()
    at = np.interp(np.linspace(-0.25, 1.25, 256), middles, np.linspace(0, 1, len(middles)))
    return _blended(_base(style, name), at.astype(np.float32))


def _chosen(colours: Raster, choice: Raster, mottled: Raster, out: Any = None) -> Raster:
    """Of such colours one a plot, mottled with the next, (..., 3)."""
    which = np.clip((choice + 0.13 * mottled + 0.25) * 170, 0, 255).astype(np.uint8)
    return colours.take(which, axis=0, out=out, mode="clip")


def _sown(colours: Raster, choice: Raster, mottled: Raster, tone: Raster) -> Raster:
    """The same times e to the power of ``tone`` (rows, columns)."""
    sown, factor = np.empty((*choice.shape, 3), np.float32), None
    for rows in row_blocks(choice.shape):
        _chosen(colours, choice[rows], mottled[rows], out=sown[rows])
        factor = in_bands(np.exp(tone[rows]), factor)
        sown[rows] *= factor
    return sown


def _blended(swatches: NDArray[np.float64], position: Raster) -> Raster:
    """Colours (..., 3) between the swatches: the first at 0, the last at 1."""
    # a table of blends is much faster than blending each pixel
    at = np.linspace(0, len(swatches) - 1, 256)
    table = np.stack([np.interp(at, np.arange(len(swatches)), band) for band in swatches.T], axis=1).astype(np.float32)
    return table.take(np.clip(255 * position, 0, 255).astype(np.uint8), axis=0)


def _ground_colours(place: Place, grid: Grid, cover: NDArray[np.uint8], roads: NDArray[np.int32]) -> Raster:
    style = place.style
    plots = plots_of(place, grid)
    fine = fractal(grid, (4.0, 1.6, 0.7, 0.35), seed=31, falloff=0.75)
    broad = fractal(grid, (64.0, 23.0, 8.0), seed=37)
    grass, soil = _plots_of(style, "grass"), _plots_of(style, "bare")
    lawn = _sown(grass, plots.choice, _mottled(grid, 41, 46.0), 0.17 * fine + 0.09 * broad)
    bare = _sown(soil, plots.choice, _mottled(grid, 43, 30.0), 0.13 * fine + 0.12 * broad)
    ground = _soft(cover, grid, plots, _banks(place, grid), lawn, bare, fine)
    # what covers a part of the ground is worked out at its pixels, by their numbers
    pixels, tone = ground.reshape(-1, 3), plots.tone.reshape(-1, 3)

    def lay(kind: Cover, swatches: str | list[Colour], seed: int, patch: float, rough: tuple[float, float]) -> None:
        """Where a cover is: the style's swatches of that name or others, in patches of some metres, uneven at fine and
        broad scale.
        """
        at = np.flatnonzero(cover == kind)
        if not len(at):
            return
        mottled = _mottled(grid, seed, patch).take(at)
        if isinstance(swatches, str):
            colours = _chosen(_plots_of(style, swatches), plots.choice.take(at), mottled)
        else:
            colours = _blended(reflectance(swatches), 0.75 * mottled + 0.5)
        colours *= np.exp(rough[0] * fine.take(at) + rough[1] * broad.take(at))[:, None]
        pixels[at] = colours * tone[at]

    woods = np.flatnonzero(cover == Cover.FOREST)
    pixels[woods] = 0.45 * bare.reshape(-1, 3)[woods] + 0.35 * lawn.reshape(-1, 3)[woods]
    lay(Cover.PAVED, "paved", 47, 14.0, (0.08, 0.1))
    lay(Cover.AGRICULTURE, "grass", 53, 120.0, (0.09, 0.05))
    lay(Cover.SCRUB, SCRUB, 83, 9.0, (0.3, 0.12))
    lay(Cover.SAND, SAND, 89, 40.0, (0.06, 0.06))
    lay(Cover.ASPHALT, "asphalt", 59, 60.0, (0.08, 0.07))
    lay(Cover.PARKING, "asphalt", 97, 35.0, (0.08, 0.09))
    lay(Cover.BALLAST, BALLAST, 101, 12.0, (0.16, 0.05))
    lay(Cover.POOL, POOL, 103, 25.0, (0.05, 0.02))
    _dust(cover, plots, pixels, bare, fine)
    _lay_pitches(place, grid, cover, ground, fine[..., None])
    streets = np.flatnonzero(roads)
    if len(streets):
        pixels[streets] = _streets(place, grid, roads, streets, fine, broad, bare, lawn)
    _paint(place, grid, cover, pixels)
    # real ground never changes within a centimetre: half a metre of blending at every border
    return np.asarray(cv2.GaussianBlur(ground, (0, 0), max(0.18 / grid.gsd, 0.3)), np.float32)


def _banks(place: Place, grid: Grid) -> Raster:
    """How near permanent water is, float32 (rows, columns): 0.5 at the shore, 0 within a few metres."""
    outlines = [b.outline for b in place.city.water]
    wet = burn(outlines, [1] * len(outlines), grid, "uint8").astype(np.float32)
    return _blurred(wet, grid, 2.2) if wet.any() else wet


def _soft(
    cover: NDArray[np.uint8], grid: Grid, plots: Plots, bank: Raster, lawn: Raster, bare: Raster, fine: Raster
) -> Raster:
    """Grass and soil, which run into each other: grass thins out where it is worn, along walls, on banks and at its
    edges, and soil is overgrown, more on some plots than on others.
    """
    soil = _blurred((cover == Cover.BARE).astype(np.float32), grid, 1.6)
    hard = ~covered(cover, (Cover.GRASS, Cover.BARE, Cover.FOREST, Cover.AGRICULTURE, Cover.SCRUB))
    verge = _blurred(hard.astype(np.float32), grid, 1.1)
    patchy, ground, share = value_noise(grid, 9.0, 107), np.empty_like(lawn), None
    for rows in row_blocks(grid.shape):
        ragged = 0.5 * fine[rows] + patchy[rows]
        worn = _worn(plots.wear[rows], soil[rows], verge[rows], bank[rows], fine[rows], ragged)
        green, brown, here = lawn[rows], bare[rows], ground[rows]
        share = in_bands(worn, share)
        np.subtract(brown, green, out=here)
        here *= share
        here += green
        here *= plots.tone[rows]
        share = in_bands(plots.litter[rows], share)
        here += share * (0.2 * brown + 0.45 * green - here)
    return ground


def _blurred(raster: Raster, grid: Grid, metres: float) -> Raster:
    """A raster blurred by that standard deviation: a wide blur at as many fewer pixels as it leaves no detail in."""
    wide = metres / grid.gsd
    fewer = max(int(wide / 3), 1)
    rows, columns = (-(-n // fewer) for n in grid.shape)
    small = cv2.resize(raster, (columns, rows), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), wide / fewer)
    return np.asarray(cv2.resize(blurred, grid.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _worn(wear: Raster, soil: Raster, verge: Raster, bank: Raster, fine: Raster, ragged: Raster) -> Raster:
    """Share of soil in open ground."""
    thin = wear - 0.6 + 0.3 * ragged + 0.6 * verge + 1.9 * bank * (1 + 0.5 * ragged)
    weeds = np.clip((0.75 - wear) * (1 + ragged), 0, 0.75)
    share = np.clip(1.6 * (soil - 0.5) + 0.25 * fine + 0.5, 0, 1)
    share = np.where(soil > 0.02, share, 0) * (1 - weeds)
    most = np.where(bank > 0.05, np.float32(0.85), np.float32(0.55))
    return np.asarray(np.maximum(share, np.clip(0.7 * thin, 0, most)))


def _dust(cover: NDArray[np.uint8], plots: Plots, pixels: Raster, bare: Raster, fine: Raster) -> None:
    """Paving under the soil that wind and feet carry onto it, more on some plots than on others."""
    at = np.flatnonzero(cover == Cover.PAVED)
    dust = 0.75 * np.clip(plots.wear.take(at) - 0.25 + 0.12 * fine.take(at), 0, 1)[:, None]
    pixels[at] = pixels[at] * (1 - dust) + bare.reshape(-1, 3)[at] * plots.tone.reshape(-1, 3)[at] * dust


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


def _streets(
    place: Place,
    grid: Grid,
    roads: NDArray[np.int32],
    at: NDArray[np.int64],
    fine: Raster,
    broad: Raster,
    bare: Raster,
    lawn: Raster,
) -> Any:
    """Carriageways at the pixels of roads (k,), (k, 3): asphalt, tracks of soil with grass between the wheels, and
    streets for walkers paved.
    """
    edges, edge = place.city.roads.edges, roads.take(at) - 1
    inside, width = metres_inside(roads > 0, grid).take(at), np.array([e.width for e in edges])[edge]
    surface = _asphalt(place, grid, roads, at, inside, width, 0.08 * fine.take(at) + 0.08 * broad.take(at))
    soil = np.array([e.kind in UNPAVED for e in edges])[edge]
    if soil.any():
        grassy = np.clip((inside - width / 2 + 0.5) / 0.3, 0, 1)[soil, None] * 0.6
        track = at[soil]
        surface[soil] = bare.reshape(-1, 3)[track] * (1 - grassy) + lawn.reshape(-1, 3)[track] * grassy
    walked = np.array([e.kind in WALKED for e in edges])[edge]
    if walked.any():
        mottled = _mottled(grid, 47, 14.0).take(at[walked])
        surface[walked] = _blended(_base(place.style, "paved"), 0.75 * mottled + 0.5)
    return surface


def _asphalt(
    place: Place,
    grid: Grid,
    roads: NDArray[np.int32],
    at: NDArray[np.int64],
    inside: Raster,
    width: NDArray[np.float64],
    tone: Raster,
) -> Any:
    """What lies on them, (k, 3)."""
    # streets were laid in different years, quarter by quarter and apart from each other, and are alike where they meet
    share = (roads > 0).astype(np.float32)
    own = np.random.default_rng(8).normal(0, 1, (len(place.city.roads.edges) + 1, 2)).astype(np.float32)
    own[0] = 0  # where there is none
    near = (max(round(JUNCTION / grid.gsd), 1),) * 2
    age: Raster = np.asarray(cv2.blur(own.take(roads, axis=0), near), np.float32).reshape(-1, 2)[at]
    age /= np.maximum(cv2.blur(share, near).take(at), 1e-3)[:, None]
    factor = np.exp(0.07 * age[:, :1] + 0.02 * age[:, 1:] * (1, 0, -1))
    patched = (value_noise(grid, 5.0, 61) + 0.5 * value_noise(grid, 17.0, 67)).take(at)
    # repairs are darker than the old surface, and dirt lies along the kerb
    shade = np.where(patched > 0.9, 0.86, 1.0) * (1 - 0.22 * np.exp(-inside / 0.45))
    shade *= 1 - 0.06 * np.exp(-((inside - width / 4) ** 2) / 0.3)
    laid = 0.5 + 0.65 * value_noise(grid, 170.0, 59).take(at) + 0.14 * age[:, 0]
    return _blended(_base(place.style, "asphalt"), laid) * factor * (np.exp(tone) * shade)[:, None]


def _paint(place: Place, grid: Grid, cover: NDArray[np.uint8], pixels: Raster) -> None:
    """Lines painted on streets, lots and fields, and sleepers and rails, on all pixels (k, 3) of the ground."""
    for kind, tone, strength, where in (
        (Mark.ROAD_PAINT, WHITE, 0.8, cover == Cover.ROAD),
        (Mark.LOT_PAINT, WHITE, 0.9, (cover == Cover.PARKING) | (cover == Cover.PITCH)),
        (Mark.SLEEPER, TIE, 0.7, cover == Cover.BALLAST),
        (Mark.RAIL, STEEL, 1.0, None),
    ):
        share = place.marks.coverage(grid, kind)
        at = np.flatnonzero(share if where is None else share * where)
        alpha = strength * share.take(at)[:, None]
        pixels[at] = pixels[at] * (1 - alpha) + tone * alpha
