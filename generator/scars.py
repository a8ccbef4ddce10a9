"""What a disaster leaves on the ground: soot and ash where it burnt, dust around what fell, litter where wind was."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from mage.generator.colour import reflectance
from mage.generator.covers import Cover, burn, cover_of, covered, road_ids
from mage.generator.ground import Raster
from mage.generator.litter import littered
from mage.generator.noise import fractal
from mage.generator.place import Place
from mage.scenes.grid import Grid
from mage.scenes.impact import Shock
from mage.scenes.strike import Burn

# 8-bit sRGB as seen in imagery; ash and burnt grass as measured in pictures of Santa Rosa after its fire of 2017
SOOT = [(52, 50, 45), (66, 62, 54), (59, 68, 57)]
ASH = [(153, 149, 128), (145, 142, 120), (132, 128, 110)]
DUST = [(172, 164, 150), (184, 176, 162)]
SEALED = (Cover.ROAD, Cover.ASPHALT, Cover.PARKING, Cover.PAVED, Cover.POOL, Cover.SAND, Cover.BALLAST)
FOULED = [(48, 62, 54), (58, 70, 58)]  # a pool full of ash
SOOTED = 0.16  # of the soot on grass that shows on what is paved
GONE_OUT = 0.3  # severity around a pool from which on nobody has cleaned it
LOT = 6.5  # metres around a burnt house that its ash covers
DUSTY, HALO = 0.35, 4.0  # share of its roof from which a building's fall raises dust; metres in which that thins out


def scarred(place: Place, grid: Grid, ground: Raster, shock: Shock) -> Raster:
    """A tile's dry ground after, float32 (rows, columns, 3)."""
    result: Any = ground
    strike = shock.strike
    if (strike.severity > 0).any() or (strike.burn != Burn.NONE).any():
        cover = cover_of(place, grid, road_ids(place, grid))
        severity = np.clip(place.city.ground.sample(grid, strike.severity), 0, 1)
        uneven = np.clip(severity * (1 + 0.35 * fractal(grid, (7.0, 2.5, 0.8), seed=107)), 0, 1)
        dark = np.minimum(1.25 * uneven, 0.95) * np.where(covered(cover, SEALED), SOOTED, 1.0)
        result = _covered(grid, result, SOOT, dark, 109)
        result = _covered(grid, result, FOULED, 0.9 * ((cover == Cover.POOL) & (severity > GONE_OUT)), 119)
        burnt = _around(place, grid, strike.burn == Burn.BURNT, LOT)
        result = _covered(grid, result, ASH, 0.85 * burnt * np.where(cover == Cover.ROAD, 0.25, 1.0), 113)
    if "wind" in shock.intensities:
        result = littered(place, grid, result, cover_of(place, grid, road_ids(place, grid)), strike)
    if set(shock.intensities) != {"wind"}:
        fallen = (shock.aftermath.roof_lost >= DUSTY) & (strike.burn == Burn.NONE) & ~strike.swept
        result = _covered(grid, result, DUST, 0.75 * _around(place, grid, fallen, HALO), 127)
    return np.asarray(result, np.float32)


def _covered(grid: Grid, ground: Any, swatches: list[tuple[int, int, int]], share: Any, seed: int) -> Any:
    """Ground under a thin layer that hides ``share`` (rows, columns) of it."""
    if not share.any():
        return ground
    which = np.clip((0.5 + 0.4 * fractal(grid, (9.0, 3.0, 1.0), seed=seed)) * len(swatches), 0, len(swatches) - 1)
    tone = np.exp(0.16 * fractal(grid, (2.0, 0.7), seed=seed + 1))[..., None]
    layer = reflectance(swatches)[which.astype(int)] * tone
    return ground * (1 - share[..., None]) + layer * share[..., None]


def _around(place: Place, grid: Grid, which: NDArray[np.bool_], reach: float) -> NDArray[np.float64]:
    """1 inside the outlines of buildings, falling over ``reach`` metres with an uneven edge to 0."""
    view = shapely.box(*grid.padded(int(np.ceil(3 * reach / grid.gsd))).bounds)
    outlines = place.outlines[which]
    near = outlines[shapely.intersects(outlines, view)]
    if not len(near):
        return np.zeros(grid.shape)
    inside = burn(list(near), [1] * len(near), grid, "uint8") > 0
    if not inside.any():
        return np.zeros(grid.shape)
    away = distance_transform_edt(~inside, sampling=grid.gsd)
    edge = reach * (1 + 0.5 * fractal(grid, (5.0, 2.0), seed=131))
    return np.asarray(np.clip(1.5 - away / np.maximum(edge, 0.5), 0, 1))
