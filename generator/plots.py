"""Whose ground it is: how each owner keeps a garden, a yard or a field, as factors and shares over a grid.

Ground within a garden's reach of a building is its own; fields, car parks and the like are patches of land; what is
left falls to plots with straight borders. All numbers hang on the owner, so that tiles and dates agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from mage.generator.covers import burn
from mage.generator.noise import fractal, lattice, value_noise
from mage.generator.place import Place
from mage.scenes.grid import Grid

Raster = NDArray[np.float32]

STEP = 1.0  # metres; plots are drawn at no finer step, and borders blend over one
REACH = 24.0  # metres from a building that its ground goes at most, and half as far at least
PLOT = 52.0  # metres from one plot of open ground to the next
ALIKE = 0.3  # of how gardens differ, what plots of open ground do: a park is one lawn, mown here and there
OWN = ("agriculture", "parking", "pitch", "forest", "sand", "ballast")  # patches that are plots of their own
LAND, OPEN = 1 << 24, 1 << 25  # where the numbers of patches and of open plots begin
KEPT, TRODDEN = 0.3, 0.45  # wear far from walls where courts are grown over, and where feet keep them bare
SPREAD = 3**0.5  # of a number in [-1, 1), to unit deviation


@dataclass(frozen=True, slots=True, eq=False)
class Plots:
    """float32 over a grid.

    Attributes:
        tone: (rows, columns, 3) factor about 1 on what grows or lies there.
        choice: (rows, columns) which of several ways of paving or sowing, in 0 to 1, evenly in gardens and fields.
        wear: (rows, columns) how far its green is worn, dry or sparse, 0 to 1.
        litter: (rows, columns) share of leaf litter and shade plants among what grows, 0 to 1: all of it in woods.
    """

    tone: Raster
    choice: Raster
    wear: Raster
    litter: Raster


def plots_of(place: Place, grid: Grid) -> Plots:
    """The plots of a tile's ground, at the pixels of ``grid``."""
    coarse = _coarse(grid)
    owner, wall = _owners(place, coarse)
    light, warm, green, kept, choice = (SPREAD * lattice(owner, np.full_like(owner, k), 301) for k in range(5))
    quarter = fractal(coarse, (190.0, 83.0), seed=307)
    apart = np.where(owner < OPEN, 1.0, ALIKE)
    light, kept, choice = apart * light, apart * kept, apart * choice + (1 - apart) * 0.6 * quarter
    light = 0.17 * light + 0.12 * quarter + np.where(_borders(owner) & (wall > 2.0), apart * _rims(owner), 0.0)
    # soil splashed on the grass, and what is planted, along walls
    light -= 0.2 * np.exp(-((wall / 1.3) ** 2))
    tone = np.exp(np.stack([light + 0.055 * warm - 0.02 * green, light + 0.02 * green, light - 0.05 * warm], axis=-1))
    trodden = TRODDEN if place.style.courtyards == "bare" else KEPT
    wear = np.clip(trodden + 0.2 * kept + 0.1 * quarter + 0.35 * np.exp(-wall / 2.5), 0, 1)
    shares = np.dstack([np.clip(choice / SPREAD / 2 + 0.5, 0, 1), wear, _litter(place, coarse)])
    bands = (np.asarray(band, np.float32) for band in cv2.split(_seen_from(coarse, grid, shares)))
    return Plots(_seen_from(coarse, grid, tone), *bands)


def _coarse(grid: Grid) -> Grid:
    """A grid of whole metres that holds another with a garden's reach around it."""
    west, south, east, north = (round(v / STEP) for v in grid.bounds)
    margin = int(REACH / STEP) + 1
    rows, columns = north - south + 2 * margin, east - west + 2 * margin
    return Grid(rows, columns, (west - margin) * STEP, (north + margin) * STEP, STEP)


def _owners(place: Place, grid: Grid) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """A number for whoever each pixel's ground belongs to, and metres to the nearest building."""
    view = shapely.box(*grid.bounds)
    near = np.flatnonzero(shapely.intersects(place.outlines, view))
    built = burn([place.outlines[i] for i in near], [int(i) + 1 for i in near], grid, "int32")
    if len(near) and built.any():
        away, (row, column) = distance_transform_edt(built == 0, sampling=grid.gsd, return_indices=True)
        # gardens end here nearer and there farther: a circle round a house is no border
        reach = REACH * (0.75 + 0.25 * value_noise(grid, 29.0, 317))
        owner = np.where(away <= reach, built[row, column], OPEN + _cells(grid))
    else:
        away, owner = np.full(grid.shape, REACH), OPEN + _cells(grid)
    patches = sorted(place.land_index.query(view))
    land = [place.city.land[i] for i in patches]
    top = burn([p.outline for p in land], [int(i) + 1 for i in patches], grid, "int32")
    own = np.array([False, *(p.cover in OWN for p in place.city.land)])
    owner = np.where(own[top], LAND + top, owner).astype(np.int64)
    return owner, np.minimum(away, REACH)


def _cells(grid: Grid) -> NDArray[np.int64]:
    """Number of the nearest of scattered points, one in each square of a lattice (Worley 1996)."""
    x, y = grid.centres()
    i, j = (np.floor(v / PLOT).astype(np.int64) for v in (x, y))
    best, number = np.full(grid.shape, np.inf), np.zeros(grid.shape, np.int64)
    for b in range(int(j.min()) - 1, int(j.max()) + 2):
        for a in range(int(i.min()) - 1, int(i.max()) + 2):
            # it may be the nearest to its own square and those around it
            rows, columns = _run(np.abs(j - b) <= 1), _run(np.abs(i - a) <= 1)
            at = np.array([a]), np.array([b])
            dx = (a + 0.5 + 0.42 * lattice(*at, 311)) * PLOT - x[columns]
            dy = (b + 0.5 + 0.42 * lattice(*at, 313)) * PLOT - y[rows]
            away = dx * dx + (dy * dy)[:, None]
            nearer = away < best[rows, columns]
            best[rows, columns][nearer] = away[nearer]
            number[rows, columns][nearer] = (a * 4099 + b) % OPEN
    return number


def _run(there: NDArray[np.bool_]) -> slice:
    """From the first to the last of what is there, all of which follow each other."""
    at = np.flatnonzero(there)
    return slice(int(at[0]), int(at[-1]) + 1)


def _litter(place: Place, grid: Grid) -> NDArray[np.float32]:
    """Where crowns meet overhead, and a little under single ones."""
    shade = np.zeros(grid.shape, np.uint8)
    trees = place.trees
    spot, radius = grid.to_pixel(trees.position[:, :2]) - 0.5, trees.scale[:, 0] / grid.gsd
    inside = ((spot > -radius[:, None]) & (spot < np.array(grid.shape[::-1]) + radius[:, None])).all(axis=1)
    for (column, row), reach in zip(np.rint(spot[inside]).astype(int).tolist(), radius[inside].tolist(), strict=True):
        cv2.circle(shade, (column, row), max(round(0.9 * reach), 1), (255,), -1)
    near = cv2.GaussianBlur(shade, (0, 0), 1.2 / grid.gsd).astype(np.float32) / 255
    around = cv2.GaussianBlur(shade, (0, 0), 7.0 / grid.gsd).astype(np.float32) / 255
    return np.asarray(np.clip(near, 0, 1) * 0.35 + np.clip(1.8 * around - 0.55, 0, 0.65))


def _borders(owner: NDArray[np.int64]) -> NDArray[np.bool_]:
    edge = np.zeros(owner.shape, bool)
    edge[1:] |= owner[1:] != owner[:-1]
    edge[:, 1:] |= owner[:, 1:] != owner[:, :-1]
    return edge


def _rims(owner: NDArray[np.int64]) -> Any:
    """What stands or is left along a border, by owner: unmown and dark, trodden and pale, or nothing."""
    return (
        0.22 * np.sign(lattice(owner, np.full_like(owner, 7), 301)) * (lattice(owner, np.full_like(owner, 8), 301) > 0)
    )


def _seen_from(coarse: Grid, grid: Grid, layers: NDArray[np.floating[Any]]) -> Raster:
    """Three layers (rows, columns, 3) of the coarse grid at another's pixel centres, blended linearly."""
    scale = grid.gsd / coarse.gsd
    right = (grid.west - coarse.west) / coarse.gsd + scale / 2 - 0.5
    down = (coarse.north - grid.north) / coarse.gsd + scale / 2 - 0.5
    way = np.array([[scale, 0, right], [0, scale, down]])
    size = (grid.columns, grid.rows)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(layers.astype(np.float32), way, size, flags=flags))
