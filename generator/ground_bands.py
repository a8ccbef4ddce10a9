"""The ground and water in the bands beyond the visible: from what covers it, and what a disaster laid over it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.generator.covers import Cover, cover_of, road_ids
from mage.generator.ground import Painting, Raster
from mage.generator.place import Place
from mage.generator.scars import scarred
from mage.generator.silt import silted
from mage.generator.spectra import Kind, beyond_visible
from mage.generator.trodden import trodden
from mage.generator.turbid import RIVERS, Turbidity, seen_through
from mage.scenes.grid import Grid
from mage.scenes.hazards.camp import Camp
from mage.scenes.impact import Impact

# what each cover is made of, and what it becomes where it is not green
_MADE_OF: dict[Cover, tuple[Kind, Kind]] = {
    Cover.GRASS: (Kind.GRASS, Kind.DRY_GRASS),
    Cover.BARE: (Kind.GRASS, Kind.SOIL),
    Cover.PAVED: (Kind.CONCRETE, Kind.CONCRETE),
    Cover.AGRICULTURE: (Kind.GRASS, Kind.DRY_GRASS),
    Cover.FOREST: (Kind.GRASS, Kind.DRY_LEAVES),
    Cover.SCRUB: (Kind.LEAVES, Kind.DRY_GRASS),
    Cover.SAND: (Kind.SAND, Kind.SAND),
    Cover.ASPHALT: (Kind.ASPHALT, Kind.ASPHALT),
    Cover.PARKING: (Kind.ASPHALT, Kind.ASPHALT),
    Cover.BALLAST: (Kind.GRAVEL, Kind.GRAVEL),
    Cover.PITCH: (Kind.GRASS, Kind.CLAY_TILE),
    Cover.POOL: (Kind.POOL, Kind.POOL),
    Cover.ROAD: (Kind.ASPHALT, Kind.ASPHALT),
}
_GREEN = {Kind.GRASS, Kind.LEAVES}
EARTHY = 1.5  # red over blue of tracks of soil; asphalt is greyer
# Water hides the ground by its turbidity as in the visible and by twice the absorption of pure water, per metre in red
# edge, NIR, SWIR 1 and SWIR 2 (Kou et al. 1993, Applied Optics 32), rounded.
ABSORPTION = np.array([1.4, 6.6, 1300.0, 4000.0], np.float32)
# Moisture darkens longer waves more (Lobell & Asner 2002, Soil Science Society of America Journal 66): powers of the
# factor that it darkens the visible by; judgement.
WETTING = np.array([1.0, 1.2, 1.8, 2.2], np.float32)
SOOT = 0.06  # mean visible reflectance below which what a fire laid down is char, not ash


def ground_beyond(
    place: Place, grid: Grid, ground: Raster, impact: Impact | None = None, camp: Camp | None = None
) -> Raster:
    """Reflectance of a tile's ground in red edge, NIR, SWIR 1 and SWIR 2, float32 (rows, columns, 4).

    Args:
        place: the city.
        grid: of the tile, at the picture's own pixel size.
        ground: its visible reflectance without water, before a disaster's traces are laid on it.
        impact: what left traces, if anything did.
        camp: whose tracks are worn into it.
    """
    result = _own(place, grid, ground)
    if impact is None:
        return result
    shock = impact.shock
    if shock is not None:
        left = _veil(lambda raster: scarred(place, grid, raster, shock), grid)
        burnt = bool((shock.strike.severity > 0).any())

        def _of_fire(layer: Raster) -> NDArray[Any]:
            pale = Kind.ASH if burnt else Kind.DUST
            return np.where(layer.mean(axis=-1) < SOOT, int(Kind.CHAR), int(pale))

        result = _under(result, left, _of_fire)
    film = _veil(lambda raster: silted(place, grid, raster, impact), grid)
    result = _under(result, film, lambda layer: np.full(layer.shape[:-1], int(Kind.MUD)))
    if camp is None:
        return result
    worn = _veil(lambda raster: trodden(place, grid, raster, camp), grid)
    return _under(result, worn, lambda layer: np.full(layer.shape[:-1], int(Kind.SOIL)))


def water_beyond(
    painting: Painting,
    dry: Raster,
    beyond: Raster,
    depth: NDArray[np.float64],
    turbidity: Turbidity = RIVERS,
) -> tuple[Raster, Raster]:
    """Ground beside and water above it, both float32 (rows, columns, 4), as in the visible by
    :func:`mage.generator.wet_ground.with_water`.

    Args:
        painting: what that made of the visible.
        dry: the ground before, in the visible (rows, columns, 3).
        beyond: and beyond it (rows, columns, 4).
        depth: of the water (rows, columns), metres.
        turbidity: of the water.
    """
    factor = painting.ground.mean(axis=-1, keepdims=True) / np.maximum(dry.mean(axis=-1, keepdims=True), 1e-4)
    wet = beyond * np.clip(factor, 0.01, 1.0) ** WETTING
    seen = seen_through(depth[..., None].astype(np.float32), turbidity.extinction + ABSORPTION)
    return wet, wet * 0.6 * seen + beyond_visible(painting.water, Kind.WATER) * (1 - seen)


def _own(place: Place, grid: Grid, ground: Raster) -> Raster:
    cover = cover_of(place, grid, road_ids(place, grid))
    made = np.array([_MADE_OF[Cover(k)] for k in range(len(Cover))])
    kind, withered = made[cover, 0], made[cover, 1]
    earth = np.isin(cover, (Cover.ROAD, Cover.PAVED)) & (ground[..., 0] > EARTHY * ground[..., 2])
    kind, withered = np.where(earth, Kind.GRASS, kind), np.where(earth, Kind.SOIL, withered)
    green = np.isin(kind, list(_GREEN))
    result = np.empty((*grid.shape, 4), np.float32)
    result[green] = beyond_visible(ground[green], kind[green], withered[green])
    result[~green] = beyond_visible(ground[~green], kind[~green])
    return result


def _veil(lay: Callable[[Raster], Raster], grid: Grid) -> tuple[Raster, Raster]:
    """The share (rows, columns, 1) of the ground that still shows under what ``lay`` puts on it, and what that
    reflects: layers are linear in the ground under them.
    """
    over_black = lay(np.zeros((*grid.shape, 3), np.float32))
    seen = np.clip(lay(np.ones((*grid.shape, 3), np.float32)) - over_black, 0, 1).mean(axis=-1, keepdims=True)
    seen = seen if over_black.any() else np.ones_like(seen)
    return seen, over_black / np.maximum(1 - seen, 1e-3)


def _under(beyond: Raster, veil: tuple[Raster, Raster], kind_of: Callable[[Raster], NDArray[Any]]) -> Raster:
    seen, layer = veil
    hidden = seen[..., 0] < 1
    if not hidden.any():
        return beyond
    result, share = beyond.copy(), seen[hidden]
    own = layer[hidden]
    result[hidden] = beyond[hidden] * share + beyond_visible(own, kind_of(own)) * (1 - share)
    return result
