"""What wind strews over the ground: splinters, shingles, insulation and soil around the houses that it broke.

Pieces too thin and too small to be debris in the labels, painted; larger ones are geometry.
"""

from __future__ import annotations

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from mage.generator.colour import reflectance
from mage.generator.covers import Cover
from mage.generator.ground import Raster
from mage.generator.noise import fractal
from mage.generator.place import Place
from mage.scenes.grid import Grid
from mage.scenes.strike import Strike

Floats = NDArray[np.float64]

# 8-bit sRGB as seen in imagery: boards, insulation, shingles, sheets; the soil as in Joplin after its tornado of 2011
PIECES = [
    (214, 190, 176),
    (186, 150, 128),
    (232, 226, 220),
    (196, 160, 160),
    (112, 88, 80),
    (82, 74, 72),
    (150, 166, 190),
]
SOIL = [(136, 112, 104), (122, 102, 96), (148, 126, 112)]
DENSE = 7.0  # pieces for each square metre of a house of which nothing stands
LEAST = 12.0  # pieces of a house below which it is not worth the while
FLIGHT, FARTHEST = 14.0, 90.0  # metres that pieces fly down-wind on average and at most; a third as far aside
FULL = 0.35  # pieces a square metre at which soil and splinters hide half of the ground


def littered(place: Place, grid: Grid, ground: Raster, cover: NDArray[np.uint8], strike: Strike) -> Raster:
    """A tile's ground with the litter of a storm, float32 (rows, columns, 3); the same in every tile."""
    xy, kind, half = _pieces(place, grid, strike)
    if not len(xy):
        return ground
    column, row = grid.to_pixel(xy).astype(np.int64).T
    inside = (column >= 0) & (column < grid.columns) & (row >= 0) & (row < grid.rows)
    count = np.zeros(grid.shape)
    np.add.at(count, (row[inside], column[inside]), 1.0)
    dense = gaussian_filter(count, 3.0 / grid.gsd) / grid.gsd**2
    hard = np.isin(cover, (Cover.ROAD, Cover.ASPHALT, Cover.PARKING, Cover.PAVED))
    uneven = dense * np.exp(0.5 * fractal(grid, (6.0, 2.0, 0.8), seed=331))
    film = 0.8 * uneven / (uneven + FULL) * np.where(hard, 0.4, 1.0)
    swatch = np.clip((0.5 + 0.4 * fractal(grid, (5.0, 1.8), seed=333)) * len(SOIL), 0, len(SOIL) - 1).astype(int)
    soiled = ground * (1 - film[..., None]) + reflectance(SOIL)[swatch] * film[..., None]
    kept = ~hard | (fractal(grid, (3.0, 0.9), seed=337) > 0.4)
    drawn = np.where(kept, _drawn(grid, xy, kind, half), 0)
    return np.asarray(np.where(drawn[..., None] > 0, reflectance(PIECES)[np.maximum(drawn, 1) - 1], soiled), np.float32)


def _pieces(place: Place, grid: Grid, strike: Strike) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Middles (n, 2), kinds (n,) and half-sides (n, 2) of all pieces that can lie in a tile."""
    area = shapely.area(place.outlines)
    broken = np.where(strike.ems98 >= 5, 1.0, 0.12 * strike.covering_lost + 0.5 * strike.deck_lost)
    amount = DENSE * area * np.where(strike.swept, 1.6, broken)
    near = shapely.dwithin(place.outlines, shapely.box(*grid.bounds), FARTHEST)
    spots, kinds, halves = [np.zeros((0, 2))], [np.zeros(0, np.int64)], [np.zeros((0, 2))]
    for i in np.flatnonzero(near & (amount >= LEAST)):
        rng = np.random.default_rng([349, int(i)])
        n = int(min(amount[i], 4000))
        west, south, east, north = place.outlines[i].bounds
        start = rng.uniform((west, south), (east, north), (n, 2))
        far = np.minimum(rng.exponential(FLIGHT * (0.4 + broken[i]), n) - 3.0, FARTHEST)
        way = strike.direction[i]
        ahead, aside = np.array([np.cos(way), np.sin(way)]), np.array([-np.sin(way), np.cos(way)])
        spots.append(start + far[:, None] * ahead + (rng.normal(0, 2.5 + np.abs(far) / 3))[:, None] * aside)
        kinds.append(rng.choice(len(PIECES), n, p=(0.24, 0.2, 0.12, 0.14, 0.14, 0.12, 0.04)))
        turn = way + rng.normal(0, 0.6, n)
        half = np.minimum(0.21 * rng.lognormal(0, 0.7, n), 1.5)
        halves.append(half[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1))
    return np.concatenate(spots), np.concatenate(kinds), np.concatenate(halves)


def _drawn(grid: Grid, xy: Floats, kind: NDArray[np.int64], half: Floats) -> NDArray[np.uint8]:
    """Kind plus 1 of the piece at each pixel (rows, columns), 0 for none."""
    canvas = np.zeros(grid.shape, np.uint8)
    ends = np.stack([grid.to_pixel(xy - half), grid.to_pixel(xy + half)], axis=1)
    for k in range(len(PIECES)):
        lines = np.rint((ends[kind == k] - 0.5) * 16).astype(np.int32)
        cv2.polylines(canvas, list(lines[:, :, None]), False, (k + 1,), 1, cv2.LINE_8, 4)
    return canvas
