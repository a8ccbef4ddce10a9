"""How a season and benign change look: leaves, and the ground between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from mage.generator.colour import in_bands, reflectance
from mage.generator.covers import Cover, burn, cover_of, covered, road_ids
from mage.generator.ground import POOL, Raster
from mage.generator.noise import fractal
from mage.generator.place import Place
from mage.generator.props import BARE, BROADLEAF, FALLEN, LEAFLIGHT, Placements
from mage.scenes.change import Change, Patch
from mage.scenes.grid import Grid, row_blocks
from mage.scenes.season import Crop, Season, Stage, crop_of, tree_years

Floats = NDArray[np.float64]

# 8-bit sRGB as seen in imagery; judgement, but for what the styles measured of soil
STRAW, DULL, LUSH, LITTER = (178, 160, 116), (124, 118, 86), (94, 116, 64), (112, 98, 76)
RESTING = (158, 142, 104)  # lawns of grasses that rest in winter
TWIGS, FRESH = (98, 88, 74), (126, 144, 80)
# factor on the reflectance of old leaves in red, green and blue: from Harvey's crowns (56, 79, 49) to the woods of
# Ida-BD in October (42, 48, 32), of which half is the two images' own tint
OLD = np.array([1.35, 0.95, 1.5])
AUTUMN = [(152, 134, 66), (144, 112, 60), (116, 94, 58), (122, 118, 62), (134, 82, 52)]
RIPE = {Crop.CEREAL: (198, 174, 118), Crop.MAIZE: (164, 146, 98)}
STUBBLE = (188, 170, 130)
COVERS = [(58, 88, 124), (74, 96, 92), (120, 128, 132)]  # of pools
TWIGGY = 3  # copies that stand for the twigs of a leafless crown
TRAMLINES, WHEELS = 21.0, 1.9  # metres from one pair of wheel tracks to the next, and between the two
FIELD = 1500.0  # square metres; smaller ones are kitchen gardens, of this and that
FURROWS = 6.0  # metres of two runs of a plough or a mower
SOFT = (Cover.GRASS, Cover.BARE, Cover.AGRICULTURE, Cover.SAND)
_ON = {
    "mown": (Cover.GRASS, Cover.AGRICULTURE),
    "long": (Cover.GRASS,),
    "ploughed": (Cover.AGRICULTURE,),
    "soil": SOFT,
    "covered": (Cover.POOL,),
}
_GROWTH = {"mown": (1.17, 1.08, 1.06), "long": (0.84, 0.94, 0.82)}


def trees_in(season: Season, place: Place, trees: Placements) -> Placements:
    """A place's trees, as they stand or as a disaster left them, in their season.

    Deciduous ones that stand without leaves are bare; the others turn in autumn. Those that a fire or a storm has
    coloured keep that, but for the leaves. Labels do not ask the season: in them a leafless crown stays the closed hull
    that it is in leaf.
    """
    number, offsets = tree_years(len(trees))
    leafy, turned, fresh = season.leaves(offsets)
    sheds = number < season.deciduous
    standing = trees.prototype < BROADLEAF
    lying = (trees.prototype >= FALLEN[0]) & (trees.prototype < FALLEN[0] + BROADLEAF)
    bare = sheds & ~leafy
    prototype = np.where(bare & standing, BARE[0] + trees.prototype % (BARE[1] - BARE[0]), trees.prototype)
    alive = (standing | lying) & (trees.tint == place.trees.tint).all(axis=1)
    own = sheds & alive
    which = (number * 97 * len(AUTUMN)).astype(np.int64) % len(AUTUMN)
    tint = np.where(alive[:, None], trees.tint * OLD**season.olive, trees.tint)
    tint = _towards(tint, LEAFLIGHT * reflectance(AUTUMN)[which], np.where(own, 0.75 * turned, 0))
    tint = _towards(tint, LEAFLIGHT * reflectance(FRESH), np.where(own, 0.5 * fresh, 0))
    tint = _towards(tint, 1.3 * reflectance(TWIGS), np.where(bare & (standing | lying), 0.85, 0))
    own_season = Placements(trees.position, trees.heading, trees.scale, prototype, tint)
    return _with_twigs(own_season, np.flatnonzero(bare & standing))


def _with_twigs(trees: Placements, bare: NDArray[np.int64]) -> Placements:
    """Trees and, for those that are bare, as many copies turned about their trunk: one prototype has boughs alone."""
    every = np.concatenate([np.arange(len(trees)), *[bare] * TWIGGY])
    copy = np.concatenate([np.zeros(len(trees)), *[np.full(len(bare), k + 1) for k in range(TWIGGY)]])
    prototype = trees.prototype[every]
    shifted = BARE[0] + (prototype - BARE[0] + copy.astype(np.int64)) % (BARE[1] - BARE[0])
    return Placements(
        trees.position[every],
        trees.heading[every] + 1.3 * copy,
        trees.scale[every] * (1 - 0.1 * copy)[:, None],
        np.where(copy > 0, shifted, prototype),
        trees.tint[every],
    )


def _towards(colours: Floats, target: Floats, share: Floats) -> Floats:
    return np.asarray(colours * (1 - share[:, None]) + target * share[:, None])


def grounds_at(
    place: Place, grid: Grid, ground: Raster, seasons: tuple[Season, Season], change: Change
) -> tuple[Raster, Raster]:
    """A tile's dry ground (rows, columns, 3) at both dates, of what both share."""
    cover = cover_of(place, grid, road_ids(place, grid))
    uneven = fractal(grid, (43.0, 13.0, 4.0), seed=141)
    own = [tuple(p for p in change.patches if p.date == date) for date in (0, 1)]
    before = _ground_in(place, grid, ground, cover, uneven, seasons[0], own[0])
    same = seasons[0] == seasons[1] and not any(own)
    return before, before if same else _ground_in(place, grid, ground, cover, uneven, seasons[1], own[1])


def _ground_in(
    place: Place,
    grid: Grid,
    ground: Raster,
    cover: NDArray[np.uint8],
    uneven: Raster,
    season: Season,
    patches: tuple[Patch, ...],
) -> Raster:
    base = _mean(place, "grass")
    wild = _grass(season, base)
    bare = 1 - _in_leaf(season)
    litter = 1 + 0.7 * bare * (reflectance(LITTER) / (0.45 * _mean(place, "bare") + 0.35 * base) - 1)
    herbs = 1 + _weeds(season) * (reflectance(LUSH) / _mean(place, "bare") - 1)
    change = np.zeros((len(Cover), 3), np.float32)  # of the factor on each cover
    change[[Cover.GRASS, Cover.AGRICULTURE, Cover.SCRUB]] = wild - 1
    change[Cover.FOREST], change[Cover.BARE] = litter - 1, herbs - 1
    factor: Any = np.empty((*grid.shape, 3), np.float32)
    patchy = None
    for rows in row_blocks(grid.shape):
        here = factor[rows]
        change.take(cover[rows], axis=0, out=here, mode="clip")
        patchy = in_bands(1 + np.float32(0.3) * uneven[rows], patchy)
        here *= patchy
        here += 1
        np.maximum(here, 0.2, out=here)
    _crops(place, grid, cover, season, factor)
    for patch in patches:
        _lay(place, grid, cover, patch, factor)
    factor = cv2.GaussianBlur(factor, (0, 0), max(0.2 / grid.gsd, 0.3))
    factor *= ground
    return np.asarray(factor)


def _mean(place: Place, name: str) -> Floats:
    return np.asarray(reflectance([s.srgb for s in place.style.look.ground[name]]).mean(axis=0))


def _grass(season: Season, base: Floats) -> Floats:
    """Factor (3,) on the grass of a style; styles of dry summers show it half dry as it is."""
    dry = season.dry
    if season.climate == "summer-dry":
        aim, share = (STRAW, 1.4 * dry - 0.7) if dry > 0.5 else (LUSH, 1.3 * (0.5 - dry))
    else:
        aim, share = STRAW, 0.8 * dry
    tone = 1 + share * (reflectance(aim) / base - 1)
    pale, most = (RESTING, 0.85) if season.climate == "summer-humid" else (DULL, 0.85)
    return np.asarray(tone * (1 + most * season.dull * (reflectance(pale) / base - 1)))


def _weeds(season: Season) -> float:
    """Share of bare ground that weeds hide in the rainy half of a year with dry summers."""
    return max(0.0, 0.6 * (0.5 - season.dry)) if season.climate == "summer-dry" else 0.0


def _in_leaf(season: Season) -> float:
    """Share of broadleaved crowns in leaf."""
    leafy, _, _ = season.leaves(np.linspace(-12, 12, 7))
    return 1 - season.deciduous * (1 - float(leafy.mean()))


def _crops(place: Place, grid: Grid, cover: NDArray[np.uint8], season: Season, factor: Any) -> None:
    """Fields in the stage that their crop has reached."""
    base, soil = _mean(place, "grass"), _mean(place, "bare")
    for i in sorted(place.land_index.query(shapely.box(*grid.bounds))):
        patch = place.city.land[i]
        if patch.cover != "agriculture" or patch.outline.area < FIELD:
            continue
        crop, later = crop_of(int(i))
        stage = season.stage(crop, later)
        near, part, inside = _inside(grid, patch.outline, cover, (Cover.AGRICULTURE,))
        if crop == Crop.MEADOW or part is None:
            continue
        colours = {
            Stage.GREEN: base,
            Stage.SEEDLINGS: 0.6 * soil + 0.4 * base,
            Stage.RIPE: reflectance(RIPE[crop]),
            Stage.STUBBLE: reflectance(STUBBLE),
            Stage.SOIL: 0.85 * soil,
        }
        lines = _rows(part, patch.outline, tramlines=stage not in (Stage.STUBBLE, Stage.SOIL))
        factor[near][inside] = (colours[stage] / base * lines[..., None])[inside]


def _inside(
    grid: Grid, outline: shapely.Geometry, cover: NDArray[np.uint8], kinds: Sequence[Cover]
) -> tuple[tuple[slice, slice], Grid | None, NDArray[np.bool_]]:
    """Where an outline holds ground of some kinds: the window of the grid around it, the grid of that, None if there is
    no such ground, and where in the window it is.
    """
    near = grid.window(outline.bounds)
    if not cover[near].size:
        return near, None, np.zeros((0, 0), bool)
    part = grid.part(near)
    inside = (burn([outline], [1], part, "uint8") > 0) & covered(cover[near], kinds)
    return near, part if inside.any() else None, inside


def _rows(grid: Grid, outline: shapely.Geometry, *, tramlines: bool) -> Any:
    """Factor (rows, columns) near 1 of the lines along a field's longer side: wheel tracks, or what a plough left."""
    box = shapely.get_coordinates(outline.minimum_rotated_rectangle)
    side = max(np.diff(box[:3], axis=0), key=lambda s: float(s @ s))
    side = side / np.linalg.norm(side)
    x, y = grid.centres()
    across = (x[None, :] - box[0, 0]) * -side[1] + (y[:, None] - box[0, 1]) * side[0]
    if tramlines:
        away = np.abs(across % TRAMLINES - TRAMLINES / 2)
        return 1 - 0.18 * (np.abs(away - WHEELS / 2) < 0.25)
    return 1 + 0.06 * np.sign(np.sin(2 * np.pi * across / FURROWS))


def _lay(place: Place, grid: Grid, cover: NDArray[np.uint8], patch: Patch, factor: Any) -> None:
    """A patch of changed ground."""
    near, part, where = _inside(grid, patch.outline, cover, _ON[patch.kind])
    if part is None:
        return
    factor, cover = factor[near], cover[near]
    if patch.kind in _GROWTH:
        stripes = _rows(part, patch.outline, tramlines=False)[..., None] if patch.kind == "mown" else 1.0
        factor[where] *= np.broadcast_to(np.array(_GROWTH[patch.kind]) * stripes, factor.shape)[where]
        return
    base = {Cover.GRASS: "grass", Cover.BARE: "bare", Cover.AGRICULTURE: "grass"}
    fine = np.exp(0.16 * fractal(part, (5.0, 1.7, 0.8), seed=151))[..., None]
    soil = _mean(place, "bare")
    if patch.kind == "covered":
        which = int(patch.outline.area * 1000) % len(COVERS)
        factor[where] = reflectance(COVERS[which]) / reflectance(POOL).mean(axis=0)
        return
    aim = soil * {"ploughed": 0.8, "soil": 0.95}[patch.kind]
    for kind in np.unique(cover[where]):
        on = where & (cover == kind)
        name = base.get(Cover(int(kind)))
        factor[on] = ((aim / _mean(place, name) if name else aim / soil) * fine)[on]
