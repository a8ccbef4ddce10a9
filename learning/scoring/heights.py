"""Heights: how far off, in metres, before, after, and in what fell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.learning.scoring.tiles import Sums

Values = NDArray[np.float64]
Where = NDArray[np.bool_]
Figure = Callable[[Sums], Values]

EDGES = (1, 4, 8, 16, 32)  # metres, between what heights are called in tables
TALL, RATIO = 1.0, 1.25  # metres from which a ratio says something; as much as it may be off
BEFORE, AFTER, CHANGE = range(3)
NUMBER, AWAY, SQUARE, SUM, ON_BUILDINGS, AWAY_THERE, OF_TALL, WITHIN = range(8)


def metres_of(label: NDArray[Any]) -> NDArray[np.float32]:
    """Metres of a label in centimetres; a missing one (negative) counts as 0 here."""
    return np.maximum(label, 0).astype(np.float32) / 100


def storeys(metres: NDArray[Any]) -> NDArray[np.uint8]:
    """Heights (H, W) as classes: 0 below the first of :data:`EDGES`, and so on.

    >>> storeys(np.array([[0.0, 1.0, 5.0, 90.0]])).tolist()
    [[0, 1, 2, 5]]
    """
    return np.digitize(metres, EDGES).astype(np.uint8)


def height_counts(
    found: NDArray[Any], truth: NDArray[Any], known: NDArray[np.bool_], built: NDArray[np.bool_]
) -> Values:
    """What height figures are made of, (3, 8), for the heights before, after, and for the change from one to the other:
    pixels, sums of the distance |d|, its square, and d = found - truth; pixels of buildings and their |d|; and, of
    heights, pixels of 1 m or more, and those of them that are off by a factor of 1.25 at most.

    Args:
        found: metres before and after, (2, H, W).
        truth: the same, as it is.
        known: where both truths are, (H, W).
        built: where a building stands or stood.

    >>> one = np.ones((2, 1, 1))
    >>> height_counts(2 * one, one, one[0] > 0, one[0] > 0)[AFTER].tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    """
    pairs = [*zip(found, truth, strict=True), (found[1] - found[0], truth[1] - truth[0])]
    return np.stack([_counts(f[known], t[known], built[known]) for f, t in pairs])


def _counts(found: NDArray[Any], truth: NDArray[Any], built: Where) -> Values:
    off = found.astype(np.float64) - truth
    away, tall = np.abs(off), truth >= TALL
    high, low = np.maximum(found, truth)[tall], np.minimum(found, truth)[tall]
    within = (high <= RATIO * low).sum()
    errors = (len(off), away.sum(), (off**2).sum(), off.sum())
    return np.array([*errors, built.sum(), away[built].sum(), tall.sum(), within], np.float64)


def height_mae(sums: Sums) -> Values:
    """Mean absolute error of heights after, metres."""
    return _ratio(sums, AFTER, AWAY, NUMBER)


def height_rmse(sums: Sums) -> Values:
    """Root of their mean squared error, metres."""
    return np.sqrt(_ratio(sums, AFTER, SQUARE, NUMBER))


def height_bias(sums: Sums) -> Values:
    """Their mean error, metres: above 0 where heights come out too high."""
    return _ratio(sums, AFTER, SUM, NUMBER)


def height_mae_buildings(sums: Sums) -> Values:
    """Their mean absolute error where buildings are, metres."""
    return _ratio(sums, AFTER, AWAY_THERE, ON_BUILDINGS)


def height_within(sums: Sums) -> Values:
    """Share of what is 1 m or higher that is off by a factor of 1.25 at most (Eigen et al. 2014, there of depth)."""
    return _ratio(sums, AFTER, WITHIN, OF_TALL)


def height_before_mae(sums: Sums) -> Values:
    """Mean absolute error of heights before, metres."""
    return _ratio(sums, BEFORE, AWAY, NUMBER)


def change_mae(sums: Sums) -> Values:
    """Mean absolute error of the change in height, metres."""
    return _ratio(sums, CHANGE, AWAY, NUMBER)


def change_mae_buildings(sums: Sums) -> Values:
    """Mean absolute error of the change in height where buildings are, metres."""
    return _ratio(sums, CHANGE, AWAY_THERE, ON_BUILDINGS)


HEIGHTS: dict[str, Figure] = {
    "height_mae": height_mae,
    "height_rmse": height_rmse,
    "height_bias": height_bias,
    "height_mae_buildings": height_mae_buildings,
    "height_within": height_within,
    "height_before_mae": height_before_mae,
    "change_mae": change_mae,
    "change_mae_buildings": change_mae_buildings,
}
"""Of the head of heights."""


def _ratio(sums: Sums, what: int, part: int, whole: int) -> Values:
    counts = np.asarray(sums["height"], np.float64)[..., what, :]
    number = counts[..., whole]
    return np.where(number > 0, counts[..., part] / np.where(number > 0, number, 1), np.nan)
