"""What a flood leaves on the ground that it has fallen from: a film of silt, damp earth, and lines of drift.

Silt settles from the water that stood above, so that it is thickest in the lowest places and where the water was
slow; it dries from the highest shore down. Drift is left where the water stood longest: along that shore, and where it
halted on its way down. Ground beside water that is still there is dark by :func:`mage.generator.wet_ground.with_water`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from mage.generator.colour import reflectance
from mage.generator.covers import Cover, cover_of, covered, road_ids
from mage.generator.ground import Raster
from mage.generator.noise import fractal, value_noise
from mage.generator.place import Place
from mage.scenes.grid import Grid
from mage.scenes.impact import Impact
from mage.scenes.terrain import depth_at

Floats = NDArray[np.float64]

# 8-bit sRGB as seen in imagery; dry silt as on a street after Harvey, 2017; the others by eye
DRY, DAMP = [(176, 172, 150), (168, 161, 137), (158, 149, 124)], [(126, 113, 90), (114, 102, 80), (136, 123, 99)]
DRIFT = [(74, 62, 46), (92, 80, 58), (60, 52, 40), (120, 108, 84)]
MURKY, CLOUDED = [(104, 100, 70), (96, 94, 68)], 0.85  # a pool full of silt, and how much of its blue that hides
HARD = (Cover.ROAD, Cover.ASPHALT, Cover.PARKING, Cover.PAVED)
WASHED = 0.45  # of the silt stays on what is hard, from which rain, feet and wheels take it
SETTLED = 0.4  # metres of water that leave a film half as thick as it gets
HOLLOW, LOWER = 9.0, 0.15  # metres around which ground counts as low, and below its mean that double the film
SWIFT = 0.5  # m/s at which half of the silt stays in the water
OPAQUE = 2.4  # how fast a thicker film hides the ground
HALTS = ((0.0, 0.9), (0.5, 0.5))  # share of its fall at which the water halted, and how much of the ground drift hides
STRAND = 0.55  # metres that a line of drift is wide


def silted(place: Place, grid: Grid, ground: Raster, impact: Impact) -> Raster:
    """A tile's ground after a flood has fallen, float32 (rows, columns, 3); as it was, where none has."""
    if np.array_equal(impact.highest, impact.levels, equal_nan=True):
        return ground
    terrain, margin = place.city.ground, int(np.ceil(2 * HOLLOW / grid.gsd))
    wide = grid.padded(margin)
    peak, now = depth_at(terrain, impact.highest, wide), depth_at(terrain, impact.levels, wide)
    land = (peak > 0) & (depth_at(terrain, place.water_levels, wide) <= 0)
    left = land & (now <= 0)
    if not left.any():
        return ground
    fall = fallen(place, impact)
    speed = 0.0 if impact.speed is None else terrain.sample(wide, impact.speed)
    # the bed of what water is left is silted too
    film = np.where(land, _film(wide, peak, terrain.sample(wide), speed), 0.0)
    drift = np.where(left, _drift(wide, peak, fall), 0.0)
    cut = np.s_[margin : margin + grid.rows, margin : margin + grid.columns]
    dry = np.clip(1.3 - 1.6 * peak / fall, 0, 1)
    return _laid(place, grid, ground, film[cut], dry[cut], drift[cut])


def fallen(place: Place, impact: Impact) -> float:
    """Metres that the water has fallen by: the greatest depth of the flood on ground that is dry again; not 0."""
    terrain = place.city.ground
    dry = ~(impact.levels > terrain.heights) & ~(place.water_levels > terrain.heights)
    return max(float(np.nan_to_num(impact.highest - terrain.heights)[dry].max(initial=0.0)), 0.01)


def _film(grid: Grid, peak: Floats, height: Floats, speed: Floats | float) -> Floats:
    """Thickness of the silt that water of depth ``peak`` left, about 0 to 2."""
    low = gaussian_filter(height, HOLLOW / grid.gsd, mode="nearest") - height
    settled = peak / (peak + SETTLED) * np.clip(1 + low / LOWER, 0.4, 1.9) / (1 + (speed / SWIFT) ** 2)
    return np.asarray(settled * np.exp(0.4 * fractal(grid, (23.0, 8.0, 2.8, 0.9), seed=211)))


def _drift(grid: Grid, peak: Floats, fall: float) -> Floats:
    """Share of the ground that leaves, twigs and wood hide, in thin lines with gaps: 0-1."""
    total = np.zeros(grid.shape)
    bits = np.clip(0.55 + 0.8 * fractal(grid, (1.1, 0.5), seed=227), 0, 1)
    for k, (share, dense) in enumerate(HALTS):
        under = peak > share * fall
        away = distance_transform_edt(under, sampling=grid.gsd) if not under.all() else np.full(grid.shape, np.inf)
        wander = 0.7 * STRAND * (1.6 + fractal(grid, (7.0, 2.6), seed=229 + k))
        there = np.clip(0.4 + 1.5 * value_noise(grid, 16.0, 233 + k) + 0.6 * value_noise(grid, 4.0, 239 + k), 0, 1)
        line = np.exp(-(((away - wander) / (STRAND * (0.35 + 0.65 * there))) ** 2)) * under
        total = np.maximum(total, dense * line * there * bits)
    return total


def _laid(place: Place, grid: Grid, ground: Raster, film: Floats, dry: Floats, drift: Floats) -> Raster:
    cover = cover_of(place, grid, road_ids(place, grid))
    hides = 0.96 * (1 - np.exp(-OPAQUE * film * np.where(covered(cover, HARD), WASHED, 1.0)))
    wander = np.clip(dry + 0.25 * fractal(grid, (11.0, 3.0, 1.0), seed=241), 0, 1)[..., None]
    silt = _tones(grid, DAMP, 251) * (1 - wander) + _tones(grid, DRY, 257) * wander
    result: Any = ground * (1 - hides[..., None]) + silt * hides[..., None]
    pool = (CLOUDED * ((cover == Cover.POOL) & (film > 0)))[..., None]
    result = np.where(pool > 0, ground * (1 - pool) + _tones(grid, MURKY, 269) * pool, result)
    result = result * (1 - drift[..., None]) + _tones(grid, DRIFT, 263) * drift[..., None]
    return np.asarray(result, np.float32)


def _tones(grid: Grid, swatches: list[tuple[int, int, int]], seed: int) -> Any:
    which = np.clip((0.5 + 0.4 * fractal(grid, (6.0, 2.0, 0.8), seed=seed)) * len(swatches), 0, len(swatches) - 1)
    return reflectance(swatches)[which.astype(int)] * np.exp(0.1 * fractal(grid, (1.6, 0.6), seed=seed + 1))[..., None]
