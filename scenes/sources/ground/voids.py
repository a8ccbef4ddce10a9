"""Filling holes in a field of heights from what surrounds them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROUNDS = 40  # relaxations at each size; more change no void by a centimetre


def filled(heights: Floats) -> Floats:
    """Heights (rows, columns) with every NaN replaced, the others as they are.

    A void takes the shape of a membrane stretched over its rim (Laplace's equation), level across the edge of the
    array: solved on a pyramid of halved fields, from the smallest to the full one.

    Raises:
        ValueError: nothing but NaN.
    """
    void = np.isnan(heights)
    if not void.any():
        return heights
    if void.all():
        raise ValueError("nothing but voids")
    guess = np.repeat(np.repeat(filled(_halved(heights)), 2, axis=0), 2, axis=1)
    rows, columns = heights.shape
    return _relaxed(np.where(void, guess[:rows, :columns], heights), void)


def _halved(heights: Floats) -> Floats:
    """Means of 2 x 2 blocks, of those heights that are there."""
    rows, columns = heights.shape
    even = np.pad(heights, ((0, rows % 2), (0, columns % 2)), constant_values=np.nan)
    blocks = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2)
    there = np.isfinite(blocks)
    count = there.sum(axis=(1, 3))
    total = np.where(there, blocks, 0.0).sum(axis=(1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _relaxed(heights: Floats, void: NDArray[np.bool_]) -> Floats:
    """Void places drawn towards the mean of their four neighbours, in place of each other's last values."""
    rows, columns = heights.shape
    row, column = np.nonzero(void)
    around = [
        np.clip(row + dr, 0, rows - 1) * columns + np.clip(column + dc, 0, columns - 1)
        for dr, dc in ((0, 1), (0, -1), (1, 0), (-1, 0))
    ]
    flat, at = heights.ravel().copy(), row * columns + column
    for _ in range(ROUNDS):
        flat[at] = (flat[around[0]] + flat[around[1]] + flat[around[2]] + flat[around[3]]) / 4
    return flat.reshape(rows, columns)
