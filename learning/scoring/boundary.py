"""Boundary F1: whether outlines are where they should be, to within a tolerance.

Overlap figures forgive frayed outlines of large areas and punish one pixel around small ones; this one asks the
outlines alone (Csurka et al. 2013, *What is a good evaluation measure for semantic segmentation?*, section 3.3, here
with counts pooled over tiles, so that a tile of one shed does not weigh as much as one of a town).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.scenes.errors import ModelError
from mage.scenes.metrics import IGNORE

TOLERANCE = 2.0  # pixels: 1 m at 0.5 m a pixel, the distance by which people's outlines differ
SLACK = 1e-3  # distances come in float32, and the square root of 2 must be within a tolerance of the same

Counts = NDArray[np.int64]


def boundary_counts(
    predicted: NDArray[np.integer[Any]],
    target: NDArray[np.integer[Any]],
    classes: int,
    tolerance: float = TOLERANCE,
) -> Counts:
    """Pixels of outlines, (classes, 4): of the prediction's those near the target's and all, and the other way round.

    An outline is made of a class's pixels that touch another class by a side; the tile's edge is none, nor is that of
    ignored pixels. Row 0 is the line between background and all else, seen from the latter.

    Args:
        predicted: (H, W) class map.
        target: (H, W) likewise; 255 is ignored in both.
        classes: background counted.
        tolerance: pixels, by Euclidean distance; a tolerance in metres is divided by the metres of a pixel first.

    Raises:
        ModelError: the shapes differ, or the tolerance is negative or not finite.

    >>> wall = np.array([[0, 0, 1, 1, 0, 0]], np.uint8)
    >>> boundary_counts(np.roll(wall, 1, 1), wall, 2, tolerance=1)[1].tolist()
    [2, 2, 2, 2]
    """
    if predicted.shape != target.shape:
        raise ModelError("outlines cannot be compared", expected=f"shape {target.shape}", found=f"{predicted.shape}")
    if not (np.isfinite(tolerance) and tolerance >= 0):
        raise ModelError("outlines cannot be compared by this tolerance", expected="0 or more", found=str(tolerance))
    valid = target != IGNORE
    counts = np.zeros((classes, 4), np.int64)
    for c in range(classes):
        ours, theirs = (_outline(m > 0 if c == 0 else m == c, valid) for m in (predicted, target))
        counts[c] = *_near(ours, theirs, tolerance), *_near(theirs, ours, tolerance)
    return counts


def boundary_f1(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Boundary F1 of counts (..., 4), the harmonic mean of the two shares that are near; NaN where neither map has an
    outline, 0 where one of them has none.

    >>> boundary_f1(np.array([3, 4, 3, 6])).item()
    0.6
    """
    near, ours, found, theirs = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    precision, recall = (part / np.maximum(whole, 1) for part, whole in ((near, ours), (found, theirs)))
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(np.float64).tiny)
    return np.where(ours + theirs > 0, f1, np.nan)


def _outline(inside: NDArray[np.bool_], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels inside of which a neighbour by a side is outside, both valid."""
    inner, outer = inside & valid, ~inside & valid
    line = np.zeros_like(inside)
    line[1:] |= inner[1:] & outer[:-1]
    line[:-1] |= inner[:-1] & outer[1:]
    line[:, 1:] |= inner[:, 1:] & outer[:, :-1]
    line[:, :-1] |= inner[:, :-1] & outer[:, 1:]
    return line


def _near(line: NDArray[np.bool_], other: NDArray[np.bool_], tolerance: float) -> tuple[int, int]:
    """Pixels of a line within the tolerance of another, and all of its pixels."""
    length = int(np.count_nonzero(line))
    if not length or not other.any():
        return 0, length
    distance = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return int(np.count_nonzero(distance[line] <= tolerance + SLACK)), length
