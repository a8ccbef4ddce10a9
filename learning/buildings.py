"""From pixels' probabilities to buildings': mean vectors, entropy, and when to say "possibly"."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mage.scenes.errors import ModelError

CONFIDENCE = 0.6  # below it an analyst is told "possibly": hits and misses of a calibrated model are then 3 to 2


class Graded(NamedTuple):
    """What a model thinks of each building: ``number`` (n,) of the raster, ascending; ``pixels`` (n,) that were
    looked at; ``located`` (n,), mean probability that a building is there; ``grades`` (n, grades), probability of each
    grade given that, which sum to 1.

    >>> graded = grade_buildings(np.full((3, 4, 4), 1 / 3), np.array([[0, 2, 2, 5]] * 4))
    >>> graded.number.tolist(), graded.pixels.tolist()
    ([2, 5], [8, 4])
    """

    number: NDArray[np.int64]
    pixels: NDArray[np.int64]
    located: NDArray[np.float64]
    grades: NDArray[np.float64]


def grade_buildings(probabilities: NDArray[np.floating[Any]], building: NDArray[np.integer[Any]]) -> Graded:
    """Mean probabilities of each building, all in one pass.

    Args:
        probabilities: (1 + grades, H, W): no building, then a building of each grade, as of
            :func:`~mage.learning.predict_tile`. Pixels that hold a NaN are left out.
        building: (H, W) number of each pixel's building, 0 none.

    Raises:
        ModelError: the shapes do not fit.

    >>> p = np.array([[[0.5, 0.1]], [[0.1, 0.2]], [[0.4, 0.7]]])
    >>> graded = grade_buildings(p, np.array([[7, 7]]))
    >>> graded.located.round(2).tolist(), graded.grades.round(3).tolist()
    ([0.7], [[0.214, 0.786]])
    """
    if probabilities.ndim != 3 or probabilities.shape[1:] != building.shape:
        expected, found = f"(1 + grades, {building.shape})", f"{probabilities.shape}"
        raise ModelError("probabilities and buildings differ in shape", expected=expected, found=found)
    inside = (building > 0) & np.isfinite(probabilities).all(0)
    number, index = np.unique(building[inside], return_inverse=True)
    pixels = np.bincount(index, minlength=len(number))
    of_each = probabilities[1:, inside].astype(np.float64)
    sums = np.stack([np.bincount(index, values, len(number)) for values in of_each], -1)
    located = sums.sum(1)
    even = np.full(sums.shape[1], 1 / sums.shape[1])  # of a building that the model does not see at all
    with np.errstate(invalid="ignore", divide="ignore"):
        grades = np.where(located[:, None] > 0, sums / located[:, None], even)
    return Graded(number.astype(np.int64), pixels, located / np.maximum(pixels, 1), grades)


def grade_entropy(grades: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Shannon entropy of probabilities (..., grades), as a share of the greatest there is: 0 sure, 1 anybody's guess.

    >>> grade_entropy(np.array([[1.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]])).tolist()
    [0.0, 1.0]
    """
    p = np.asarray(grades, np.float64)
    surprise = -np.log(np.where(p > 0, p, 1))
    return np.asarray((p * surprise).sum(-1) / np.log(p.shape[-1]))


def cems_verdicts(grades: NDArray[np.floating[Any]], confidence: float = CONFIDENCE) -> list[str]:
    """Copernicus EMS ``damage_gra`` of buildings by their probabilities, with abstention.

    "Destroyed", else "Damaged" (of a grade above the first), else "No visible damage" where it is at least as likely as
    ``confidence``; "Possibly damaged" where nothing is.

    Args:
        grades: (n, grades) probabilities, the first of no damage, the last of destruction; calibrated ones, or the
            confidence means nothing.
        confidence: above 0.5, so that two verdicts never hold at once.

    Raises:
        ModelError: the confidence is not above 0.5 and at most 1, or the grades are not two or more.

    >>> cems_verdicts(np.array([[0.9, 0.1, 0, 0], [0.1, 0.4, 0.4, 0.1], [0.45, 0.2, 0.2, 0.15], [0, 0, 0.1, 0.9]]))
    ['No visible damage', 'Damaged', 'Possibly damaged', 'Destroyed']
    """
    if not 0.5 < confidence <= 1:
        raise ModelError("no such confidence", expected="above 0.5, at most 1", found=str(confidence))
    p = np.asarray(grades, np.float64)
    if p.ndim != 2 or p.shape[1] < 2:
        raise ModelError("no probabilities of grades", expected="(n, 2 grades or more)", found=str(p.shape))
    least = confidence - 1e-9  # sums of probabilities fall short of what they mean by a rounding
    words = np.array(["Destroyed", "Damaged", "No visible damage", "Possibly damaged"])
    holds = np.stack([p[:, -1] >= least, 1 - p[:, 0] >= least, p[:, 0] >= least, np.ones(len(p), bool)])
    return [str(word) for word in words[holds.argmax(0)]]
