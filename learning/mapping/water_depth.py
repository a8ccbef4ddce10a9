"""How deep a flood is, out of its outline and the ground: the water stands where the ground at its border does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, label
from scipy.spatial import cKDTree

from mage.scenes.city import City
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid
from mage.scenes.sources.ground.elevation import read_terrain
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CELLS = 4_000_000  # up to which a scene's water is levelled in its own pixels, else in larger ones
NEIGHBOURS = 513  # cells of the border from which a level is taken
QUANTILE = 0.8  # of the ground along them: crowns and roofs over water make false shores, which are all too low
JUMP = 2.0  # metres that the ground may rise at a border that tells a level
ISLAND = 400.0  # square metres up to which dry places amid water are trees, roofs or errors, and no shore
GROUND = 0.15  # metres: standard error of what elevation models say of open ground; ours, of airborne lidar's order


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Levels of water on a grid.

    Attributes:
        grid: of the levels, as fine as the scene's or coarser.
        level: (rows, columns) metres in the ground's datum, wherever the water's border tells one; else NaN.
        spread: (rows, columns) standard error of the level, metres.
    """

    grid: Grid
    level: Floats
    spread: Floats


def ground_of(path: str | Path, grid: Grid) -> Terrain:
    """The ground under a map, in its frame.

    Raises:
        MageError: the map is nowhere on Earth, or as of :func:`mage.scenes.sources.ground.elevation.read_terrain`.
    """
    if grid.crs is None:
        raise DatasetError("elevation lies on Earth, the map does not", file=path, expected="images with a CRS")
    frame = City(Path(path).name, grid.crs, (0.0, 0.0), 0.0, 0.0, grid.bounds)
    return read_terrain([Path(path)], frame, margin=0.0)


def water_surface(wet: Flags, dry: Flags, ground: Floats, grid: Grid) -> Surface:
    """The level of standing water from the ground along its border.

    As in the Floodwater Depth Estimation Tool (Cohen et al. 2018, https://doi.org/10.1111/1752-1688.12609; 2019,
    https://doi.org/10.5194/nhess-19-2053-2019) each place takes the level of the nearest cell of the border. That is
    the mean of the ground on its two sides, replaced by the 80th percentile of the up to 513 nearest ones along the
    same water: trees over the water and other false shores stand in it, lower than its level. Islands of up to 400 m²
    do not count, nor do borders where the ground rises by more than 2 m from one cell to the next. The spread is 1.48
    times the median deviation from the level.

    Args:
        wet: (rows, columns) where water is, permanent water included.
        dry: the same, where there is none; what is neither is not known and makes no border, as roofs had better be.
        ground: metres.
        grid: of the arrays.

    >>> ground = np.abs(np.arange(-10.0, 11.0))[None].repeat(9, 0) / 10
    >>> surface = water_surface(ground < 0.55, ground > 0.55, ground, Grid(9, 21, 0, 9, 1))
    >>> surface.level[4, 10].round(2).item()
    0.55
    """
    waters, _ = label(wet)
    at, level = _shore(wet, dry & ~_islands(dry, grid.gsd), ground)
    if not len(at):
        nothing = np.full(grid.shape, np.nan)
        return Surface(grid, nothing, nothing.copy())
    level, spread = _steadied(at, level, waters[at[:, 0], at[:, 1]])
    border = np.ones(grid.shape, bool)
    border[at[:, 0], at[:, 1]] = False
    near = distance_transform_edt(border, return_distances=False, return_indices=True)
    number = np.zeros(grid.shape, np.int64)
    number[at[:, 0], at[:, 1]] = np.arange(len(at))
    owner = number[near[0], near[1]]
    # water that no border belongs to has no level
    strange = wet & (waters != waters[at[owner, 0], at[owner, 1]])
    return Surface(grid, np.where(strange, np.nan, level[owner]), np.where(strange, np.nan, spread[owner]))


def coarse_grid(grid: Grid) -> tuple[Grid, int]:
    """A grid of at most about 4 million cells over a scene, and how many pixels a side of its cells has."""
    factor = max(1, int(np.ceil(np.sqrt(grid.rows * grid.columns / CELLS))))
    rows, columns = (-(-side // factor) for side in grid.shape)
    return Grid(rows, columns, grid.west, grid.north, grid.gsd * factor, grid.crs), factor


def depth_of(surface: Surface, ground: Terrain, part: Grid, wet: Flags) -> tuple[NDArray[np.float32], ...]:
    """Depth on a part of a scene and its standard error, metres, (rows, columns) each.

    0 and 0 where it is dry; NaN where water has no level. What stands out of the level is 0 deep, and as uncertain.

    Args:
        surface: of the whole scene.
        ground: its terrain.
        part: of the scene's grid.
        wet: (rows, columns) where water is.
    """
    level, spread = (_at(values, surface.grid, part) for values in (surface.level, surface.spread))
    depth = np.maximum(level - ground.sample(part), 0)
    error = np.hypot(spread, GROUND)
    return tuple(np.where(wet, values, 0).astype(np.float32) for values in (depth, error))


def _islands(dry: Flags, gsd: float) -> Flags:
    """Small dry places that do not reach the edge of the map."""
    lands, _ = label(dry)
    small = np.bincount(lands.ravel()) * gsd**2 <= ISLAND
    for edge in (lands[0], lands[-1], lands[:, 0], lands[:, -1]):
        small[edge] = False
    return np.asarray(small[lands] & dry)


def _shore(wet: Flags, dry: Flags, ground: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Wet cells beside dry ones, (n, 2), and the ground half-way to the lowest of these, (n,)."""
    beside = np.full(wet.shape, np.inf)
    for axis in (0, 1):
        for step in (1, -1):
            here, there = [slice(None)] * 2, [slice(None)] * 2
            here[axis], there[axis] = (slice(1, None), slice(-1)) if step > 0 else (slice(-1), slice(1, None))
            other = np.where(dry[tuple(there)], ground[tuple(there)], np.inf)
            beside[tuple(here)] = np.minimum(beside[tuple(here)], other)
    with np.errstate(invalid="ignore"):
        shore = wet & np.isfinite(beside) & (np.abs(beside - ground) <= JUMP)
    at = np.argwhere(shore)
    return at, (beside[shore] + ground[shore]) / 2


def _steadied(at: NDArray[np.int64], level: Floats, water: NDArray[np.int32]) -> tuple[Floats, Floats]:
    """Levels along each water's border, and their spread."""
    steady, spread = level.copy(), np.zeros(len(level))
    order = np.argsort(water, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(water[order])) + 1):
        count = min(NEIGHBOURS, len(members))
        _, near = cKDTree(at[members]).query(at[members], count)
        values = level[members][near.reshape(len(members), count)]
        steady[members] = np.quantile(values, QUANTILE, axis=1)
        spread[members] = 1.4826 * np.median(np.abs(values - steady[members][:, None]), axis=1)
    return steady, spread


def _at(values: Floats, grid: Grid, part: Grid) -> Floats:
    """Values of a grid at the pixel centres of another one, the nearest of them at edges of what is known."""
    x, y = part.centres()
    column = np.clip((x - grid.west) / grid.gsd - 0.5, 0, grid.columns - 1).astype(np.float32)
    row = np.clip((grid.north - y) / grid.gsd - 0.5, 0, grid.rows - 1).astype(np.float32)
    first, last = int(row.min()), int(np.ceil(row.max())) + 1
    band = values[first:last].astype(np.float32)
    columns, rows = np.meshgrid(column, row - first)
    between = cv2.remap(band, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    nearest = cv2.remap(band, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return np.where(np.isnan(between), nearest, between).astype(float)
