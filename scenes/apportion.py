"""Whole numbers in the proportions of weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def apportion(total: int, weights: Sequence[float], *, least: int = 0, rng: np.random.Generator | None = None) -> Ints:
    """``total`` in whole parts, each within 1 of its exact share (largest remainders).

    Args:
        total: 0 or more.
        weights: above 0, at least one.
        least: that each part has, where the total suffices for it; then the largest parts give what others lack.
        rng: decides between parts whose remainders are alike; without it the first goes first.
    """
    exact = total * np.asarray(weights, float) / float(np.sum(weights))
    parts = np.floor(exact + 1e-9).astype(np.int64)
    order = np.arange(len(exact)) if rng is None else rng.permutation(len(exact))
    # to nine digits, so that equal weights are alike whatever the rounding
    by_rest = order[np.argsort(-np.round(exact - parts, 9)[order], kind="stable")]
    parts[by_rest[: total - int(parts.sum())]] += 1
    if total >= least * len(parts):
        return _at_least(parts, least)
    return parts


def spread_out(parts: Sequence[int], rng: np.random.Generator) -> Ints:
    """The indices of ``parts``, each as often as it says, so mixed that any stretch holds them in about these
    proportions.
    """
    index = np.repeat(np.arange(len(parts)), parts)
    place = np.concatenate([(np.arange(n) + rng.random()) / max(n, 1) for n in parts]) if len(index) else np.zeros(0)
    return np.asarray(index[np.argsort(place, kind="stable")])


def _at_least(parts: Ints, least: int) -> Ints:
    lacking = int(np.maximum(least - parts, 0).sum())
    parts = np.maximum(parts, least)
    for _ in range(lacking):
        parts[int(np.argmax(parts))] -= 1
    return parts
