"""Distributions that the values of a mixture are drawn from: in its YAML, a mapping whose key is one's name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from statistics import NormalDist
from typing import Any

import numpy as np

Rng = np.random.Generator
Draw = Callable[[Rng], Any]

DIGITS = 6  # significant ones that a drawn number keeps: as many as anyone reads
AFTER = "days_after"  # a date so many days after another: of `light.post`, after `light.pre`
LARGEST = 2**53  # whole numbers that JSON's readers agree on


def distribution_in(value: Any) -> str | None:
    """The name of the distribution that a value of a mixture is, None for a plain value."""
    names = [name for name in (*_KINDS, AFTER) if isinstance(value, Mapping) and name in value]
    return names[0] if names else None


def reader_of(value: Mapping[str, Any]) -> Draw:
    """How to draw from a distribution; what is drawn is of JSON's types.

    Raises:
        ValueError: it is none, or its parameters cannot be.
    """
    name = distribution_in(value)
    if name is None or name == AFTER:
        raise ValueError(f"expected one of {', '.join(_KINDS)}")
    further = set(value) - {name} - ({"weights"} if name == "choice" else set())
    if further:
        raise ValueError(f"{name} has no {', '.join(sorted(map(str, further)))}")
    return _KINDS[name](value[name]) if name != "choice" else _choice(value[name], value.get("weights"))


def days_of(value: Mapping[str, Any]) -> Callable[[Rng, str], str]:
    """How to draw a date some days (``days_after: [least, most]``) after another.

    Raises:
        ValueError: not two whole numbers in order.
    """
    if set(value) != {AFTER}:
        raise ValueError(f"{AFTER} stands alone")
    low, high = _whole(value[AFTER], AFTER)

    def _draw(rng: Rng, day: str) -> str:
        try:
            return (date.fromisoformat(day) + timedelta(int(rng.integers(low, high, endpoint=True)))).isoformat()
        except (OverflowError, TypeError, ValueError):
            raise ValueError(f"{AFTER} needs a date that it comes after, found {day!r:.40}") from None

    return _draw


def _uniform(value: Any) -> Draw:
    low, high = _pair(value, "uniform")
    return lambda rng: _rounded(low + (high - low) * rng.random(), low, high)


def _loguniform(value: Any) -> Draw:
    low, high = _pair(value, "loguniform")
    if low <= 0:
        raise ValueError(f"loguniform is of numbers above 0, found {low:g}")
    return lambda rng: _rounded(math.exp(math.log(low) + math.log(high / low) * rng.random()), low, high)


def _normal(value: Any) -> Draw:
    """A normal distribution between two bounds, by the inverse of its cumulative distribution."""
    if not isinstance(value, Mapping) or set(value) != {"mean", "sd", "within"}:
        raise ValueError("normal needs mean, sd and within: [lowest, highest]")
    low, high = _pair(value["within"], "within")
    mean, sd = _number(value["mean"], "mean"), _number(value["sd"], "sd")
    if sd <= 0:
        raise ValueError(f"sd must be above 0, found {sd:g}")
    normal = NormalDist(mean, sd)
    least, most = normal.cdf(low), normal.cdf(high)
    if most - least < 1e-9:
        raise ValueError(f"normal has nothing within [{low:g}, {high:g}]")

    def _draw(rng: Rng) -> float:
        share = least + (most - least) * rng.random()
        return _rounded(normal.inv_cdf(min(max(share, 1e-300), 1 - 1e-16)), low, high)

    return _draw


def _triangular(value: Any) -> Draw:
    if not isinstance(value, list) or len(value) != 3:
        raise ValueError("triangular needs [lowest, likeliest, highest]")
    low, mode, high = (_number(item, "triangular") for item in value)
    if not (low <= mode <= high and low < high):
        raise ValueError(f"triangular's numbers are not in order, found {value}")
    return lambda rng: _rounded(float(rng.triangular(low, mode, high)), low, high)


def _integers(value: Any) -> Draw:
    low, high = _whole(value, "integers")
    return lambda rng: int(rng.integers(low, high, endpoint=True))


def _dates(value: Any) -> Draw:
    try:
        first, last = (date.fromisoformat(text) for text in value)
    except (TypeError, ValueError):
        raise ValueError("dates needs [first, last] as YYYY-MM-DD") from None
    if first > last:
        raise ValueError("dates are not in order")
    return lambda rng: (first + timedelta(int(rng.integers(0, (last - first).days, endpoint=True)))).isoformat()


def _choice(value: Any, weights: Any = None) -> Draw:
    if not isinstance(value, list) or not value:
        raise ValueError("choice needs a list of values")
    if weights is not None and (not isinstance(weights, list) or len(weights) != len(value)):
        raise ValueError(f"choice needs as many weights as values, {len(value)}")
    shares = np.array([_number(w, "weights") for w in weights or [1] * len(value)])
    if (shares < 0).any() or shares.sum() <= 0:
        raise ValueError("weights must not be below 0, and not all 0")
    edges = np.cumsum(shares) / shares.sum()
    return lambda rng: value[min(int(np.searchsorted(edges, rng.random(), side="right")), len(value) - 1)]


_KINDS: dict[str, Callable[[Any], Draw]] = {
    "uniform": _uniform,
    "loguniform": _loguniform,
    "normal": _normal,
    "triangular": _triangular,
    "integers": _integers,
    "dates": _dates,
    "choice": _choice,
}


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} needs numbers, found {value!r:.40}")
    return float(value)


def _pair(value: Any, name: str) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"{name} needs [lowest, highest]")
    low, high = (_number(item, name) for item in value)
    if low > high or not math.isfinite(high - low):
        raise ValueError(f"{name}: the first must not exceed the second, found {value}")
    return low, high


def _whole(value: Any, name: str) -> tuple[int, int]:
    low, high = _pair(value, name)
    if low != int(low) or high != int(high) or max(abs(low), abs(high)) > LARGEST:
        raise ValueError(f"{name} needs whole numbers, found {value}")
    return int(low), int(high)


def _rounded(number: float, low: float, high: float) -> float:
    return min(max(float(f"{number:.{DIGITS}g}"), low), high)
