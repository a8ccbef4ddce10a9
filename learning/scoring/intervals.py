"""How sure a figure is: bootstrap over events, tiles and buildings; paired tests; means over seeds.

Tiles of one event resemble each other, so that drawing tiles alone gives intervals that are far too narrow for events
to come. The bootstrap draws events, of each drawn one tiles, and of each drawn tile buildings, with replacement
(Davison and Hinkley 1997, section 3.8).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.learning.scoring.figures import Figure, Values
from mage.learning.scoring.tiles import TileCounts, weighed
from mage.scenes.errors import ModelError

REPLICATES, LEVEL = 2000, 0.95
EXACT = 12  # up to so many tiles all exchanges are tried
BUILDINGS = "buildings"
AT_ONCE = 1 << 22  # numbers of buildings drawn at a time


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the interval that holds it at the stated level; None where undefined.

    >>> iou = Interval(0.7, 0.6, 0.8)
    >>> round(iou.high - iou.low, 3)
    0.2
    """

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Paired:
    """How much better a second run is than a first, on the same tiles.

    ``p_bootstrap`` is of the null hypothesis that the difference is 0 over events to come, ``p_permutation`` that the
    two are interchangeable on each tile; both two-sided.

    >>> from mage.learning.scoring.figures import building_iou
    >>> counts = np.array([[[90, 10], [20, 80]], [[90, 5], [10, 95]]])
    >>> tiles = TileCounts(("a", "b"), {}, {"confusion": counts})
    >>> same = paired(tiles, tiles, building_iou, np.random.default_rng(0))
    >>> same.difference.value, same.p_permutation
    (0.0, 1.0)
    """

    difference: Interval
    p_bootstrap: float | None
    p_permutation: float | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """A figure over runs that differ by seed alone: mean, standard deviation (n - 1), and Student's interval.

    >>> over = over_seeds([0.5, 0.6, 0.7])
    >>> over.number, round(over.mean, 3), round(over.sd, 3)
    (3, 0.6, 0.1)
    """

    number: int
    mean: float
    sd: float | None
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def bootstrap(
    tiles: TileCounts,
    figures: dict[str, Figure],
    rng: np.random.Generator,
    *,
    replicates: int = REPLICATES,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """Percentile intervals of figures by the bootstrap over events, tiles and buildings.

    Where the events are not known, or there is one alone, only tiles and buildings are drawn, and the interval says
    nothing about other events. Buildings are drawn in the counts ``buildings`` alone: pixels stay with their tile.
    Replicates in which a figure is undefined are left out.

    Args:
        tiles: counts.
        figures: by name.
        rng: draws.
        replicates: number of draws.
        level: of the interval.

    Raises:
        ModelError: no tiles.

    >>> from mage.learning.scoring.figures import building_iou
    >>> tiles = TileCounts(("a", "b"), {}, {"confusion": np.array([[[9, 1], [2, 8]], [[9, 0], [1, 10]]])})
    >>> iou = bootstrap(tiles, {"iou": building_iou}, np.random.default_rng(0))["iou"]
    >>> round(iou.low, 3), round(iou.value, 3), round(iou.high, 3)
    (0.727, 0.818, 0.909)
    """
    sums = resampled(tiles, drawn_weights(tiles, rng, replicates), rng)
    whole = tiles.sums()
    return {name: interval_of(figure(whole), figure(sums), level) for name, figure in figures.items()}


def paired(
    first: TileCounts,
    second: TileCounts,
    figure: Figure,
    rng: np.random.Generator,
    *,
    replicates: int = REPLICATES,
    level: float = LEVEL,
) -> Paired:
    """Two runs on the same tiles: the difference second - first, its bootstrap interval, and two tests.

    Both runs get the same draws of events and tiles. The permutation test exchanges the runs tile by tile (all 2^n
    exchanges up to 12 tiles).

    Raises:
        ModelError: other tiles.

    >>> from mage.learning.scoring.figures import building_iou
    >>> counts = np.array([[[90, 10], [20, 80]], [[90, 5], [10, 95]], [[80, 9], [9, 70]]])
    >>> one, other = (TileCounts(("a", "b", "c"), {}, {"confusion": c}) for c in (counts, counts[:, ::-1, ::-1]))
    >>> paired(one, one, building_iou, np.random.default_rng(0)).p_permutation
    1.0
    """
    second = first.paired_with(second)
    weights = drawn_weights(first, rng, replicates)
    drawn = figure(resampled(second, weights, rng)) - figure(resampled(first, weights, rng))
    whole = figure(second.sums()) - figure(first.sums())
    return Paired(
        interval_of(whole, drawn, level), _two_sided(drawn), _exchanged(first, second, figure, rng, replicates)
    )


def over_seeds(values: Sequence[float], level: float = LEVEL) -> OverSeeds:
    """Mean and Student's t interval of a figure over seeds; with one seed there is no interval.

    Raises:
        ModelError: no value, or one that is not finite.

    >>> round(over_seeds([0.5, 0.6, 0.7]).low, 4)
    0.3516
    """
    if not len(values) or not np.isfinite(values).all():
        raise ModelError("no mean over seeds", expected="finite values", found=str(list(values)))
    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return OverSeeds(1, mean, None, None, None)
    sd = float(np.std(values, ddof=1))
    reach = student(n - 1, level) * sd / math.sqrt(n)
    return OverSeeds(n, mean, sd, mean - reach, mean + reach)


def drawn_weights(tiles: TileCounts, rng: np.random.Generator, replicates: int) -> NDArray[np.int64]:
    """How often each tile is drawn in each replicate, (replicates, tiles)."""
    if not len(tiles):
        raise ModelError("nothing to draw from: there are no tiles")
    events = np.array(tiles.places.get("event", ("",) * len(tiles)))
    names, of_tile = np.unique(events, return_inverse=True)
    times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), replicates)
    weights = np.zeros((replicates, len(tiles)), np.int64)
    for event in range(len(names)):
        inside = np.flatnonzero(of_tile == event)
        weights[:, inside] = rng.multinomial(times[:, event] * len(inside), np.full(len(inside), 1 / len(inside)))
    return weights


def resampled(tiles: TileCounts, weights: NDArray[np.int64], rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Sums of each replicate; in drawn tiles, buildings are drawn anew."""
    return {
        name: _drawn_buildings(counts, weights, rng) if name == BUILDINGS else weighed(weights, counts)
        for name, counts in tiles.counts.items()
    }


def student(freedom: int, level: float = LEVEL) -> float:
    """Two-sided quantile of Student's t with whole degrees of freedom.

    By bisection of the distribution's finite series (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4).

    >>> round(student(2), 4), round(student(9), 4)
    (4.3027, 2.2622)
    """
    low, high = 0.0, 1.0
    while _within(high, freedom) < level:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < level else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """Probability that |T| < t."""
    angle = math.atan(t / math.sqrt(freedom))
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= math.cos(angle) ** 2 * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total


def _drawn_buildings(counts: NDArray[Any], weights: NDArray[np.int64], rng: np.random.Generator) -> Values:
    """Of a tile that was drawn w times w times its number of buildings are drawn, a sum of w bootstrap samples."""
    flat = counts.reshape(len(counts), -1)
    total = np.zeros((len(weights), flat.shape[1]))
    number = flat.sum(1)
    kept = np.flatnonzero(number)
    step = max(AT_ONCE // (len(weights) * flat.shape[1]), 1)
    for start in range(0, len(kept), step):
        part = kept[start : start + step]
        share = flat[part] / number[part, None]
        total += rng.multinomial(weights[:, part] * number[part], share).sum(1)
    return total.reshape(len(weights), *counts.shape[1:])


def interval_of(value: Values, drawn: Values, level: float) -> Interval:
    """Percentile interval of a value by its replicates, undefined ones left out."""
    defined = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not defined.size:
        return Interval(float(value) if np.isfinite(value) else None, None, None)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


def _two_sided(drawn: Values) -> float | None:
    """Twice the smaller share of draws on either side of 0, the observed one counted (Davison and Hinkley 1997)."""
    defined = drawn[np.isfinite(drawn)]
    if not defined.size:
        return None
    side = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (side + 1) / (len(defined) + 1))


def _exchanged(
    first: TileCounts, second: TileCounts, figure: Figure, rng: np.random.Generator, replicates: int
) -> float | None:
    n = len(first)
    exact = n <= EXACT
    swap = _all_subsets(n) if exact else rng.integers(0, 2, (replicates, n))
    sums = [
        {name: weighed(1 - swap, a.counts[name]) + weighed(swap, b.counts[name]) for name in a.counts}
        for a, b in ((first, second), (second, first))
    ]
    drawn = figure(sums[1]) - figure(sums[0])
    seen = float(figure(second.sums()) - figure(first.sums()))
    defined = drawn[np.isfinite(drawn)]
    if not np.isfinite(seen) or not defined.size:
        return None
    as_far = int((np.abs(defined) >= abs(seen) - 1e-12).sum())
    return as_far / len(defined) if exact else (as_far + 1) / (len(defined) + 1)


def _all_subsets(n: int) -> NDArray[np.int64]:
    return (np.arange(2**n)[:, None] >> np.arange(n)) & 1
