"""How much of a picture lies in the shade of what stands in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.generator.sky import Sun

STEP, FARTHEST = 2.0, 160.0  # metres from one place to the next that is asked for shade, and to the last


def shaded(heights: NDArray[np.floating[Any]], gsd: float, sun: Sun) -> float:
    """Share (0-1) of the pixels of even ground under ``heights`` (rows, columns), metres, that the sun does not see.

    Pixels of :data:`STEP` metres are looked at, and nothing beyond the raster or :data:`FARTHEST` throws shade.
    """
    every = max(round(STEP / gsd), 1)
    tops = np.asarray(heights[::every, ::every], float)
    side, (east, north, up) = every * gsd, sun.direction
    flat = max(float(np.hypot(east, north)), 1e-9)
    lit = np.ones(tops.shape, bool)
    for k in range(1, int(min(FARTHEST, side * max(tops.shape)) / side)):
        down, right = round(-k * north / flat), round(k * east / flat)
        drop = k * side * up / flat
        if drop > tops.max(initial=0.0):
            break
        lit &= _moved(tops, down, right) - drop <= tops
    return float(1 - lit.mean()) if lit.size else 0.0


def _moved(values: NDArray[np.float64], down: int, right: int) -> NDArray[np.float64]:
    """At each place what lies that many rows below and columns to the right; 0 beyond the raster."""
    rows, columns = values.shape
    out = np.zeros_like(values)
    if abs(down) < rows and abs(right) < columns:
        here = np.s_[max(-down, 0) : rows - max(down, 0), max(-right, 0) : columns - max(right, 0)]
        there = np.s_[max(down, 0) : rows - max(-down, 0), max(right, 0) : columns - max(-right, 0)]
        out[here] = values[there]
    return out
