"""Are probabilities what they say? Reliability diagrams and expected calibration errors, from counts that add up.

Confidences are counted in fine bins, and these joined into the bins of a figure, so that counts of tiles can be added,
resampled, and binned afresh.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.scenes.errors import ModelError

BINS = 15  # of Guo et al. 2017
FINE = 20 * BINS
Sums = NDArray[np.float64]


@dataclass(eq=False)
class Reliability:
    """Predictions counted by confidence; :meth:`update` adds some, ``+`` other counts.

    ``top``, (300, 3), holds for each bin of the likeliest class's probability the number of predictions, the sum of
    these probabilities and the number of hits; ``each``, (classes, 300, 3), the same of every class's probability, a
    hit being that the class is the true one.

    >>> counts = Reliability(2)
    >>> counts.update(np.array([[0.2, 0.1], [0.8, 0.9]]), np.array([1, 0]))
    >>> round(counts.ece(), 2)
    0.55
    """

    classes: int
    top: Sums = field(init=False)
    each: Sums = field(init=False)

    def __post_init__(self) -> None:
        self.top = np.zeros((FINE, 3))
        self.each = np.zeros((self.classes, FINE, 3))

    def update(self, probabilities: NDArray[np.floating[Any]], truth: NDArray[np.integer[Any]]) -> None:
        """Count predictions: probabilities (classes, n) that sum to 1, and the true classes (n,).

        Raises:
            ModelError: other shapes or classes, or what is no probability.
        """
        p, truth = np.asarray(probabilities, np.float64), np.asarray(truth)
        if p.shape != (self.classes, *truth.shape) or truth.ndim != 1:
            expected = f"({self.classes}, n) and (n,)"
            raise ModelError("cannot be counted", expected=expected, found=f"{p.shape} and {truth.shape}")
        if not truth.size:
            return
        if not (p.min() >= -1e-6 and p.max() <= 1 + 1e-6):  # NaN too
            raise ModelError("these are no probabilities", expected="0-1", found=f"{p.min()} to {p.max()}")
        if not 0 <= truth.min() <= truth.max() < self.classes:
            raise ModelError("no such class", expected=f"0-{self.classes - 1}", found=str(truth.max()))
        self.top += _counted(p.max(0), p.argmax(0) == truth)
        for c in range(self.classes):
            self.each[c] += _counted(p[c], truth == c)

    def __add__(self, other: Reliability) -> Reliability:
        total = Reliability(self.classes)
        total.top, total.each = self.top + other.top, self.each + other.each
        return total

    def ece(self) -> float | None:
        """Expected calibration error in 15 bins of equal width (Guo et al. 2017, equation 3); None without
        predictions.
        """
        return _defined(calibration_error(joined(self.top)))

    def adaptive_ece(self) -> float | None:
        """The same in 15 bins that hold as many predictions each (Nixon et al. 2019), to the nearest 1/300 of
        confidence.
        """
        number = self.top[:, 0]
        if not number.sum():
            return None
        upto = np.cumsum(number) - number / 2
        group = np.minimum((upto / number.sum() * BINS).astype(int), BINS - 1)
        merged = np.stack([np.bincount(group, self.top[:, i], BINS) for i in range(3)], 1)
        return _defined(calibration_error(merged))

    def classwise_ece(self) -> float | None:
        """Mean over the classes of the error of each one's probability (Nixon et al. 2019, static calibration)."""
        return _defined(calibration_error(joined(self.each)).mean())

    def curve(self) -> list[dict[str, float]]:
        """The reliability diagram: share of predictions, mean confidence and accuracy of each bin that holds any."""
        bins = joined(self.top)
        total = bins[:, 0].sum()
        return [
            {"share": float(n / total), "confidence": float(s / n), "accuracy": float(hit / n)}
            for n, s, hit in bins
            if n
        ]

    def summary(self) -> dict[str, Any]:
        """All figures as JSON types."""
        return {
            "predictions": int(self.top[:, 0].sum()),
            "ece": self.ece(),
            "adaptive_ece": self.adaptive_ece(),
            "classwise_ece": self.classwise_ece(),
            "curve": self.curve(),
        }


def joined(fine: Sums) -> Sums:
    """Counts in fine bins, (..., 300, 3), as counts in 15, (..., 15, 3)."""
    return fine.reshape(*fine.shape[:-2], BINS, FINE // BINS, 3).sum(-2)


def calibration_error(bins: NDArray[Any]) -> NDArray[np.float64]:
    """Mean distance of confidence and accuracy, weighed by predictions, of counts (..., bins, 3); NaN without any.

    >>> calibration_error(np.array([[10.0, 9.0, 7.0], [0, 0, 0]])).item()
    0.2
    """
    bins = np.asarray(bins, np.float64)
    total = bins[..., 0].sum(-1)
    gap = np.abs(bins[..., 1] - bins[..., 2]).sum(-1)
    return np.where(total > 0, gap / np.maximum(total, 1), np.nan)


def _counted(confidence: NDArray[np.float64], hit: NDArray[np.bool_]) -> Sums:
    """(300, 3) of confidences; a bin holds its upper end, as in Guo et al."""
    index = np.clip(np.ceil(confidence * FINE - 1e-9).astype(np.intp) - 1, 0, FINE - 1)
    weights = (None, confidence, hit)
    return np.stack([np.bincount(index, w, FINE) for w in weights], 1)


def _defined(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
