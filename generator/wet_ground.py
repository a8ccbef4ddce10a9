"""The surface of water as it is seen from above, and the ground beside and beneath it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.generator.colour import in_bands, reflectance
from mage.generator.covers import burn, metres_inside
from mage.generator.ground import Painting, Raster
from mage.generator.noise import fractal, value_noise
from mage.generator.place import Place
from mage.generator.turbid import RIVERS, Turbidity, seen_through
from mage.scenes.grid import Grid, row_blocks

# Reflectances (R, G, B) of deep water: river as in xBD's Harvey pairs, canal and lake as in Dutch and Swiss
# orthophotos (8-bit sRGB about 56, 75, 81 and 33, 70, 72); the sea, of which there is no picture, a little bluer.
DEEP = {
    "river": (0.19, 0.16, 0.078),
    "canal": (0.075, 0.085, 0.06),
    "lake": (0.028, 0.058, 0.062),
    "sea": (0.022, 0.05, 0.07),
}
STILL, CLEARED = ("lake", "sea"), 0.85  # what thins a flood's silt out, and how much of it far from the shore


def with_water(
    ground: Raster,
    grid: Grid,
    depth: NDArray[np.float64],
    deep: NDArray[np.float32],
    turbidity: Turbidity = RIVERS,
) -> Painting:
    """A tile's ground under ``depth`` (rows, columns) metres of water that reflects ``deep`` where it is too deep to
    see the ground: (3,), or (rows, columns, 3); it hides the ground as its turbidity says.
    """
    wet = in_bands(_wetness(grid, depth))
    wet *= ground
    return Painting(grid, wet, _water_colours(grid, wet, depth, deep, turbidity))


def deep_water(
    place: Place, grid: Grid, flooded: NDArray[np.bool_] | None = None, turbidity: Turbidity = RIVERS
) -> Raster:
    """Reflectance of deep water by what carries it, float32 (rows, columns, 3); ``flooded`` says where a flood
    of some turbidity is.

    A flood's silt browns rivers and canals as it does the land; in a lake or the sea most of it is thinned out.
    """
    bodies = place.city.water
    kinds = list(DEEP)
    index = burn([b.outline for b in bodies], [kinds.index(b.kind) for b in bodies], grid, "uint8")
    table = np.array(list(DEEP.values()), np.float32)
    if place.style.look.river is not None:
        table[kinds.index("river")] = reflectance(place.style.look.river.srgb)
    colours = table.take(index, axis=0)
    # waters mix where they meet
    mixed = colours
    if (index != index.flat[0]).any():
        mixed = np.asarray(cv2.GaussianBlur(colours, (0, 0), max(2.0 / grid.gsd, 0.3)), np.float32)
    if flooded is None:
        return mixed
    wide = burn(
        [b.outline for b in bodies if b.kind in STILL], [1] * sum(b.kind in STILL for b in bodies), grid, "uint8"
    )
    silt = flooded.astype(np.float32)
    if wide.any():
        # it thins out from the shore on
        clear = cv2.GaussianBlur(wide.astype(np.float32), (0, 0), max(12.0 / grid.gsd, 0.3)) * wide
        silt *= 1 - np.float32(CLEARED) * np.clip(2 * clear - 1, 0, 1)
    silted = turbidity.colour.astype(np.float32) - mixed
    silted *= in_bands(silt)
    silted += mixed
    return np.asarray(silted, np.float32)


def _wetness(grid: Grid, depth: NDArray[np.float64]) -> Raster:
    """Factor on the ground's reflectance: soaked within a few metres of water, as dark as 0.62 of dry."""
    if not (depth > 0).any():
        return np.ones(grid.shape, np.float32)
    away = metres_inside(depth <= 0, grid)
    reach, wetness = value_noise(grid, 7.0, 71), np.empty(grid.shape, np.float32)
    for rows in row_blocks(grid.shape):
        far = away[rows] / np.maximum(np.float32(1.5) + reach[rows], 0.4)
        wetness[rows] = 1 - np.float32(0.38) * np.exp(-(far**2))
    return wetness


def _water_colours(
    grid: Grid, ground: Raster, depth: NDArray[np.float64], deep: NDArray[np.float32], turbidity: Turbidity
) -> Raster:
    """The ground through water, with silt in slow plumes."""
    plume = fractal(grid, (90.0, 37.0, 12.0), seed=73)
    streak = fractal(grid, (6.0, 2.0), seed=79)
    deep, water, share = np.broadcast_to(deep, ground.shape), np.empty_like(ground), None
    for rows in row_blocks(grid.shape):
        here = water[rows]
        share = in_bands(np.exp(plume[rows] * 0.05 + streak[rows] * 0.02), share)
        np.multiply(deep[rows], share, out=here)
        seen = seen_through(depth[rows].astype(np.float32), turbidity.extinction)
        share = in_bands(seen.astype(np.float32), share)
        here += share * (0.6 * ground[rows] - here)
    return water
