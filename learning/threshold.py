"""Where to part buildings from ground in a place of which no label is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

EVEN, SURE = 0.5, 0.1  # the threshold of any place, and the share of a place's buildings that must be above it
STEPS = 250  # of a probability


def place_threshold(probabilities: Iterable[NDArray[np.floating[Any]]]) -> float:
    """The probability from which a pixel of a place is best called building, without a label.

    A network that learned elsewhere ranks the pixels of a new place better than it says how likely each is: at 0.5 it
    misses buildings that still rank above the ground. This threshold parts the logits of all pixels into two groups of
    least variance within (Otsu 1979, A threshold selection method from gray-level histograms), which uses the images of
    a place and no label. Where less than a tenth of the upper group lies above 0.5, both are of ground, since hardly a
    building is there; then, and where it lies above 0.5, it is 0.5. Temperatures change it as they change all
    probabilities, and no pixel's group. What it is worth is in ``benchmarks/README.md`` (sim2real).

    Args:
        probabilities: that a pixel is of a building, 0 to 1, arrays of any shape, such as windows of one place; NaN,
            not known, does not count. A thousand pixels of a place that holds both are enough.

    Returns:
        Above 0 and at most 0.5, to 1/250; 0.5 where nothing is known.

    >>> ground, roofs = np.full(800, 0.02), np.linspace(0.2, 0.6, 200)
    >>> 0.02 < place_threshold([ground, roofs]) < 0.2, place_threshold([ground])
    (True, 0.5)
    """
    found, _, sure = _parted(probabilities)
    return found if sure >= SURE and found < EVEN else EVEN


def place_separability(probabilities: Iterable[NDArray[np.floating[Any]]]) -> float:
    """How far apart buildings and ground lie in what a model says of a place: Otsu's measure of separability, the share
    of the variance of the logits that lies between the two groups of :func:`place_threshold`.

    A validator without labels for models that say where buildings are, higher is better. Groups of one spread that do
    not overlap come near 1, a bell curve has 0.64, a flat one 0.75.

    Args:
        probabilities: as of :func:`place_threshold`.

    Returns:
        0 to 1; 0 where nothing is told apart.

    >>> rng = np.random.default_rng(0)
    >>> sure, unsure = (1 / (1 + np.exp(-rng.normal([-3.0, 0.0], s, (999, 2)))) for s in (0.3, 1.5))
    >>> round(place_separability([sure]), 2), round(place_separability([unsure]), 2)
    (0.96, 0.68)
    """
    return _parted(probabilities)[1]


def _parted(probabilities: Iterable[NDArray[np.floating[Any]]]) -> tuple[float, float, float]:
    """Otsu's threshold, as a probability, his measure of separability, and the share of the upper group above 0.5."""
    counts = np.zeros(STEPS + 1)
    for values in probabilities:
        known = values[np.isfinite(values)]
        counts += np.bincount(np.rint(known * STEPS).astype(np.int64), minlength=STEPS + 1)
    total = counts.sum()
    if np.count_nonzero(counts) < 2:
        return EVEN, 0.0, 0.0
    share = np.clip(np.arange(STEPS + 1) / STEPS, 0.5 / STEPS, 1 - 0.5 / STEPS)
    logit = np.log(share / (1 - share))
    logit = logit - counts @ logit / total
    below, mass = np.cumsum(counts)[:-1], np.cumsum(counts * logit)[:-1]
    parts = (below > 0) & (below < total)
    apart = np.zeros(STEPS)  # variance between the groups if they part after a step
    apart[parts] = mass[parts] ** 2 / (below * (total - below))[parts]
    best = np.flatnonzero(apart >= apart.max() * (1 - 1e-12))
    found = float((best[0] + best[-1] + 1) / 2 / STEPS)  # the middle of a gap, between the steps beside it
    upper = counts[int(best[-1]) + 1 :].sum()
    return found, float(apart.max() * total / (counts @ logit**2)), float(counts[round(EVEN * STEPS) :].sum() / upper)
