"""Figures from sums of counts, for any number of sums at once: what is resampled a thousand times must not loop.

Each takes a mapping of sums, as of :meth:`~mage.learning.scoring.tiles.TileCounts.sums`, with any number of leading
axes, and returns an array of these axes; NaN where the figure is undefined. On one sum they equal
:class:`~mage.scenes.metrics.DamageMetrics` and :class:`~mage.scenes.metrics.BuildingMetrics`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.learning.scoring.boundary import boundary_f1
from mage.learning.scoring.calibration import calibration_error
from mage.learning.scoring.tiles import Sums
from mage.scenes.metrics import EPSILON

Values = NDArray[np.float64]
Figure = Callable[[Sums], Values]


def xview2(sums: Sums) -> Values:
    """The xView2 score."""
    f1 = _f1(*_split(sums["scored"]))
    return 0.3 * localisation_f1(sums) + 0.7 * f1.shape[-1] / (1 / (f1 + EPSILON)).sum(-1)


def xview2_present(sums: Sums) -> Values:
    """The xView2 score over the grades that occur."""
    here = sums["confusion"][..., 1:, :].sum(-1) > 0
    f1 = _f1(*_split(sums["scored"]))
    number = here.sum(-1)
    inverse = np.where(here, 1 / (f1 + EPSILON), 0).sum(-1)
    score = 0.3 * localisation_f1(sums) + 0.7 * number / np.maximum(inverse, 1e-300)
    return np.where(number > 0, score, np.nan)


def localisation_f1(sums: Sums) -> Values:
    """F1 of buildings of any grade against none, 0 where there are none."""
    hit, missed, false = _located(sums["confusion"])
    return _f1(hit, missed, false)


def building_iou(sums: Sums) -> Values:
    """Intersection over union of buildings of any grade."""
    hit, missed, false = _located(sums["confusion"])
    return _ratio(hit, hit + missed + false)


def macro_f1(sums: Sums) -> Values:
    """Mean F1 of the grades that occur, on the target's building pixels."""
    return _present_f1(np.asarray(sums["confusion"])[..., 1:, :])


def mean_iou(sums: Sums) -> Values:
    """Mean intersection over union of the classes that either map has."""
    confusion = np.asarray(sums["confusion"], np.float64)
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _mean(_ratio(hit, confusion.sum(-1) + confusion.sum(-2) - hit))


def mean_f1(sums: Sums) -> Values:
    """Mean F1 of the classes that either map has, over all pixels."""
    confusion = np.asarray(sums["confusion"], np.float64)
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _mean(_ratio(2 * hit, confusion.sum(-1) + confusion.sum(-2)))


def outline_f1(sums: Sums) -> Values:
    """Boundary F1 of the line between background and all else."""
    return boundary_f1(np.asarray(sums["boundary"])[..., 0, :])


def buildings_f1(sums: Sums) -> Values:
    """Mean F1 per building over the grades that occur."""
    return _present_f1(np.asarray(sums["buildings"]))


def buildings_kappa(sums: Sums) -> Values:
    """Quadratic kappa of the buildings that were found."""
    found = np.asarray(sums["buildings"], np.float64)[..., 1:]
    grades = found.shape[-1]
    distance = np.subtract.outer(np.arange(grades), np.arange(grades)) ** 2
    total = np.maximum(found.sum((-1, -2)), 1)[..., None, None]
    by_chance = found.sum(-1)[..., :, None] * found.sum(-2)[..., None, :] / total
    expected = (distance * by_chance).sum((-1, -2))
    observed = (distance * found).sum((-1, -2))
    return np.where(expected > 0, 1 - observed / np.where(expected > 0, expected, 1), np.nan)


def buildings_found(sums: Sums) -> Values:
    """Share of the buildings that were found."""
    confusion = np.asarray(sums["buildings"], np.float64)
    total = confusion.sum((-1, -2))
    return _ratio(total - confusion[..., 0].sum(-1), total)


def error_of(name: str) -> Figure:
    """Expected calibration error of the counts ``reliability_NAME``."""
    return lambda sums: calibration_error(sums[f"reliability_{name}"])


DAMAGE: dict[str, Figure] = {
    "xview2": xview2,
    "xview2_present": xview2_present,
    "localisation_f1": localisation_f1,
    "building_iou": building_iou,
    "macro_f1": macro_f1,
    "mean_iou": mean_iou,
    "boundary_f1": outline_f1,
    "ece_localisation": error_of("localisation"),
    "ece_damage": error_of("damage"),
}
"""Of maps of damage."""
BUILDINGS: dict[str, Figure] = {
    "buildings_found": buildings_found,
    "buildings_f1": buildings_f1,
    "quadratic_kappa": buildings_kappa,
    "ece_buildings": error_of("buildings"),
}
"""Of maps of damage where buildings are numbered."""
CLASSES: dict[str, Figure] = {
    "mean_iou": mean_iou,
    "mean_f1": mean_f1,
    "boundary_f1": outline_f1,
    "ece": error_of("classes"),
}
"""Of other maps."""
TWO_CLASSES: dict[str, Figure] = {"iou": building_iou}
"""Of maps of one class alone, such as water; called ``building_iou`` where that is buildings."""

WORDS = {
    "xview2": "xView2 score",
    "xview2_present": "xView2 score over present grades",
    "localisation_f1": "localisation F1",
    "building_iou": "building IoU",
    "iou": "IoU of what is mapped",
    "macro_f1": "damage F1, macro over present grades",
    "mean_iou": "mean IoU of all classes",
    "mean_f1": "mean F1 of all classes",
    "boundary_f1": "boundary F1",
    "buildings_found": "share found of all buildings",
    "buildings_f1": "F1 per building, macro over present grades",
    "quadratic_kappa": "quadratic kappa per building found",
    "ece": "calibration error",
    "ece_localisation": "calibration error, localisation",
    "ece_damage": "calibration error, damage",
    "ece_buildings": "calibration error, damage per building",
    "height_mae": "mean error of heights after, m",
    "height_rmse": "root mean square error of heights after, m",
    "height_bias": "bias of heights after, m",
    "height_mae_buildings": "mean error of heights after, buildings, m",
    "height_within": "share within a factor of 1.25, from 1 m on",
    "height_before_mae": "mean error of heights before, m",
    "change_mae": "mean error of the change, m",
    "change_mae_buildings": "mean error of the change, buildings, m",
}
"""What figures are called in tables and plots."""


def values(figures: dict[str, Figure], sums: Sums) -> dict[str, float | None]:
    """Each figure of one sum; None where undefined.

    >>> values({"mean_iou": mean_iou}, {"confusion": np.array([[3, 1], [0, 4]])})
    {'mean_iou': 0.775}
    """
    found = {name: float(figure(sums)) for name, figure in figures.items()}
    return {name: value if np.isfinite(value) else None for name, value in found.items()}


def _split(counts: NDArray[Any]) -> tuple[Values, Values, Values]:
    hit, missed, false = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    return hit, missed, false


def _located(confusion: NDArray[Any]) -> tuple[Values, Values, Values]:
    """Hits, misses and false alarms of anything but background."""
    c = np.asarray(confusion, np.float64)
    return c[..., 1:, 1:].sum((-1, -2)), c[..., 1:, 0].sum(-1), c[..., 0, 1:].sum(-1)


def _present_f1(rows: NDArray[Any]) -> Values:
    """Mean F1 of the grades that have a row with counts, of (..., grades, 1 + grades): grade by prediction."""
    counts = np.asarray(rows, np.float64)
    hit = np.diagonal(counts[..., 1:], axis1=-2, axis2=-1)
    occurring = counts.sum(-1)
    f1 = _f1(hit, occurring - hit, counts[..., 1:].sum(-2) - hit)
    return _mean(np.where(occurring > 0, f1, np.nan))


def _f1(hit: Values, missed: Values, false: Values) -> Values:
    return np.asarray(2 * hit / np.maximum(2 * hit + missed + false, 1))


def _ratio(part: Values, whole: Values) -> Values:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)


def _mean(found: Values) -> Values:
    """Mean over the last axis of what is defined."""
    defined = np.isfinite(found)
    return _ratio(np.where(defined, found, 0).sum(-1), defined.sum(-1).astype(np.float64))
