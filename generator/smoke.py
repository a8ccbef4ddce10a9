"""Smoke and flames of what burns at the moment of the image, laid over the finished picture.

Smoke is a thin layer of an optical depth that is known at every pixel: plumes of all that burns, summed as the
column of a Gaussian plume is, Q / (u sigma sqrt(2 pi)) exp(-n^2 / 2 sigma^2) with the source's strength Q, the wind u,
the distance n from its axis and a width sigma that grows down-wind (0.16 of the distance: Briggs' urban dispersion as
in Hanna, Briggs and Hosker 1982, neutral air, near the source). Labels are blind to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from mage.generator.bands import sunlit
from mage.generator.covers import burn
from mage.generator.ground import Raster
from mage.generator.noise import fractal, value_noise
from mage.generator.place import Place
from mage.generator.sky import Light
from mage.generator.spectra import centres
from mage.scenes.grid import Grid
from mage.scenes.strike import Burn, Strike

Floats = NDArray[np.float64]

HIDDEN = np.log(2.0)  # optical depth from which on smoke hides half of what lies under it
WIDEN, FIRST = 0.16, 4.0  # growth of a plume's width by the distance; its least width, metres
STRENGTH = 0.5  # optical depth times m2/s that a square metre of burning building sends up (by eye)
FRONT = 0.01  # the same, of ground that the fire has just come to
CALM = 2.0  # m/s of the least wind that carries smoke off: fires make their own
FARTHEST = 1500.0  # metres up-wind beyond which smoke is thinned out
COARSE, BINS = 3.0, 12.0  # metres: cells that plumes are summed on, and that burning ground is gathered in
HAZE = 0.04  # optical depth of what has drifted over from elsewhere
# reflectance of smoke that nothing shines through, in the bands of `spectra`; beyond the visible by estimate
COLOUR = np.array([0.47, 0.455, 0.44, 0.475, 0.48, 0.45, 0.42], np.float32)
ANGSTROM = 1.2  # exponent: smoke is the thinner the longer the wave
RISE = 22.0  # metres above the ground that smoke throws its shadow from
LOWEST = 0.2  # sine of the sun's elevation below which shadows of smoke get no longer
# of fire in daylight, as if it were reflectance; beyond the visible by estimate: a black body of 1,100 K that fills a
# pixel outshines the sun on white in SWIR
FLAME = np.array([1.15, 0.42, 0.07, 1.6, 2.2, 5.0, 8.0], np.float32)
ALIGHT = 0.8  # of a front's glow from which on flames are seen


@dataclass(frozen=True, slots=True, eq=False)
class Smoke:
    """What burns over a tile.

    Attributes:
        depth: float32 (rows, columns) optical depth of smoke straight down in green light.
        shade: float32 (rows, columns) the same on the way of the sun's light.
        flames: float32 (rows, columns) share of each pixel that is flame.
    """

    depth: Raster
    shade: Raster
    flames: Raster

    @property
    def hidden(self) -> float:
        """Share of the tile of which smoke hides at least half."""
        return float((self.depth >= HIDDEN).mean())


def smoke_over(
    rng: np.random.Generator, place: Place, grid: Grid, strike: Strike, density: float, light: Light
) -> Smoke | None:
    """The smoke and flames over a tile; None where nothing in the city burns or ``density`` is 0.

    Args:
        rng: draws how much each burning building smokes.
        place: before.
        grid: the tile's.
        strike: with its fire; wind from its parameters.
        density: of the smoke, 1 as thick as plumes of burning houses get.
        light: of the image.
    """
    sources = _sources(rng, place, strike)
    if density <= 0 or not len(sources):
        return None
    east, north, up = light.sun.direction
    up = max(up, LOWEST)
    wide = grid.padded(int(np.ceil((RISE / up + 12.0) / grid.gsd)))
    depth = density * _plumes(wide, sources, *_wind(strike.parameters))
    cut = (wide.rows - grid.rows) // 2
    inner = np.s_[cut : cut + grid.rows, cut : cut + grid.columns]
    # what shades a pixel is the smoke on the way to the sun, RISE metres up; soft, for the layer is deep
    move = np.array([[1, 0, -RISE * east / up / grid.gsd], [0, 1, RISE * north / up / grid.gsd]])
    size = wide.columns, wide.rows
    shifted = cv2.warpAffine(depth, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shade = np.asarray(cv2.GaussianBlur(shifted, (0, 0), 4.0 / grid.gsd), np.float32)
    return Smoke(depth[inner].copy(), shade[inner].copy(), density * _flames(place, grid, strike))


def smoky(reflected: Raster, smoke: Smoke, light: Light) -> Raster:
    """A tile's reflectance factor, float32 (rows, columns, n), in the first n of
    :data:`mage.generator.spectra.BANDS`, under smoke.
    """
    n = reflected.shape[-1]
    through = np.exp(-smoke.depth[..., None] * ((centres()[:n] / 0.55) ** -ANGSTROM).astype(np.float32))
    lit = 1 - np.float32(0.75) * sunlit(light, n) * (1 - np.exp(-smoke.shade))[..., None]
    burning = reflected * lit * (1 - smoke.flames[..., None]) + FLAME[:n] * smoke.flames[..., None]
    # billows are bright where they look to the sun: where smoke thickens on the way from it
    relief = np.clip(1 + 0.5 * (smoke.depth - smoke.shade) / (1 + smoke.depth), 0.7, 1.25)[..., None]
    return np.asarray(burning * through + COLOUR[:n] * relief * (1 - through), np.float32)


def _wind(parameters: Mapping[str, float | int | str | None]) -> tuple[float, float]:
    """Speed (m/s) and heading (radians from east) of a fire's wind, alone or in a chain."""
    speed, comes_from = (
        float(parameters.get(name, parameters.get(f"fire_{name}", 0.0)) or 0.0) for name in ("wind_speed", "wind_from")
    )
    return max(speed, CALM), comes_from + np.pi


def _sources(rng: np.random.Generator, place: Place, strike: Strike) -> Floats:
    """What smokes: x, y, first width (m) and strength (n, 4)."""
    found = [np.zeros((0, 4))]
    which = np.flatnonzero(strike.burn == Burn.BURNING)
    if len(which):
        outlines = place.outlines[which]
        area = shapely.area(outlines)
        power = STRENGTH * area * rng.lognormal(-0.15, 0.55, len(which))
        middles = shapely.get_coordinates(shapely.centroid(outlines))
        found.append(np.column_stack([middles, np.maximum(0.4 * np.sqrt(area), FIRST), power]))
    terrain = place.city.ground
    row, column = np.nonzero(strike.front > 0.05)
    if len(row):
        x, y = terrain.axes()
        cell = np.floor(np.column_stack([x[column], y[row]]) / BINS)
        bins, index = np.unique(cell, axis=0, return_inverse=True)
        power = FRONT * terrain.step**2 * np.bincount(index.reshape(-1), strike.front[row, column], len(bins))
        found.append(np.column_stack([(bins + 0.5) * BINS, np.full(len(bins), BINS / 2), power]))
    return np.concatenate(found)


def _plumes(grid: Grid, sources: Floats, speed: float, heading: float) -> Raster:
    """Optical depth (rows, columns) of all plumes together, torn by the wind."""
    factor = max(1, int(COARSE / grid.gsd))
    rough = Grid(-(-grid.rows // factor) + 1, -(-grid.columns // factor) + 1, grid.west, grid.north, grid.gsd * factor)
    wander = 9.0 * (value_noise(rough, 130.0, 307) + 0.5 * value_noise(rough, 48.0, 308))
    way = np.array([np.cos(heading), np.sin(heading)])
    points = rough.points().reshape(*rough.shape, 2)
    along, aside = points @ way, points @ np.array([-way[1], way[0]])
    low, high = float(aside.min()), float(aside.max())
    total = np.zeros(rough.shape)
    for x, y, width, power in sources:
        s, own = along - (x * way[0] + y * way[1]), y * way[0] - x * way[1]
        widest = 4 * (width + WIDEN * max(float(s.max()), 0.0)) + 25.0
        if s.max() < -width or s.min() > FARTHEST or low - own > widest or own - high > widest:
            continue
        down = np.clip(s, 0, None)
        sigma = width + WIDEN * down
        n = aside - own + wander * np.clip(down / 60, 0, 1.6)
        begun = np.clip(0.5 + 0.5 * s / width, 0, 1)
        total += power / (np.sqrt(2 * np.pi) * speed * sigma) * begun * np.exp(-0.5 * (n / sigma) ** 2)
    fine = cv2.resize(total.astype(np.float32), None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    return np.asarray((fine[: grid.rows, : grid.columns] + HAZE) * _billows(grid, heading), np.float32)


def _billows(grid: Grid, heading: float) -> Raster:
    """A factor around 1: puffs, and streaks along the wind."""
    reach = int(np.ceil(10.0 / grid.gsd))
    wide = grid.padded(reach)
    puffs = fractal(wide, (46.0, 19.0, 8.0, 3.4), seed=311, falloff=0.72)
    kernel = np.zeros((2 * reach + 1,) * 2, np.float32)
    tip = (np.array([np.cos(heading), -np.sin(heading)]) * reach * 0.95 + reach).round().astype(int)
    back = 2 * reach - tip
    cv2.line(kernel, back.tolist(), tip.tolist(), (1.0,), 1, cv2.LINE_AA)
    streaks = cv2.filter2D(fractal(wide, (14.0, 5.0, 2.0), seed=313), -1, kernel / kernel.sum())
    inner = np.s_[reach : reach + grid.rows, reach : reach + grid.columns]
    return np.asarray(np.exp(0.42 * puffs + 0.45 * streaks - 0.12)[inner], np.float32)


def _flames(place: Place, grid: Grid, strike: Strike) -> Raster:
    """Share of each pixel that is flame: tongues in burning roofs, and along the front in vegetation."""
    tongues = fractal(grid, (5.0, 2.2, 0.9), seed=317)
    view = shapely.box(*grid.bounds)
    which = np.flatnonzero(strike.burn == Burn.BURNING)
    near = [place.outlines[i] for i in which if place.outlines[i].intersects(view)]
    inside = burn(near, [1] * len(near), grid, "uint8") > 0
    front = place.city.ground.sample(grid.points().reshape(*grid.shape, 2), strike.front) >= ALIGHT
    share = np.clip(2.2 * (tongues - 1.05), 0, 1) * inside
    share = np.maximum(share, np.clip(2.2 * (tongues - 1.5), 0, 1) * front)
    return np.asarray(cv2.GaussianBlur(share.astype(np.float32), (0, 0), max(0.35 / grid.gsd, 0.3)), np.float32)
