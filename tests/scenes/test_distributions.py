"""Distributions of mixtures: bounds and moments in closed form, and whatever else is not one is refused."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.scenes.distributions import days_of, distribution_in, reader_of

DRAWS = 3000
numbers = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))
pairs = st.tuples(numbers, numbers).map(sorted)
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["mean", "sd", "within", "x"]), inner),
    max_leaves=6,
)
kinds = st.sampled_from(["uniform", "loguniform", "normal", "triangular", "integers", "dates", "choice"])


def drawn(value, count=DRAWS, seed=0):
    draw, rng = reader_of(value), np.random.default_rng(seed)
    return [draw(rng) for _ in range(count)]


def near(values, mean, sd):
    """Whether a sample's mean is within four of its standard errors."""
    return abs(np.mean(values) - mean) < 4 * sd / math.sqrt(len(values))


@given(pairs)
def test_what_is_drawn_lies_within_the_bounds(pair):
    low, high = pair
    inside = {"uniform": pair, "triangular": [low, (low + high) / 2, high]} if low < high else {"uniform": pair}
    for kind, value in inside.items():
        assert all(low <= x <= high for x in drawn({kind: value}, 20))
    whole = [math.floor(low), math.ceil(high)]
    assert all(isinstance(x, int) and whole[0] <= x <= whole[1] for x in drawn({"integers": whole}, 20))
    above = sorted([abs(low) + 0.1, abs(high) + 0.1])
    assert all(above[0] <= x <= above[1] for x in drawn({"loguniform": above}, 20))


def test_moments_are_those_of_the_distribution():
    assert near(drawn({"uniform": [2, 5]}), 3.5, 3 / math.sqrt(12))
    assert near(np.log(drawn({"loguniform": [1, 100]})), math.log(10), math.log(100) / math.sqrt(12))
    assert near(drawn({"triangular": [0, 1, 5]}), 2.0, math.sqrt((0 + 1 + 25 - 0 - 0 - 5) / 18))
    assert near(drawn({"integers": [1, 6]}), 3.5, math.sqrt(35 / 12))


def test_a_normal_within_bounds_has_the_moments_of_one_that_is_cut_off_there():
    mean, sd, low, high = 10.0, 2.0, 9.0, 15.0
    a, b = (low - mean) / sd, (high - mean) / sd

    def density(x):
        return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)

    mass = (math.erf(b / math.sqrt(2)) - math.erf(a / math.sqrt(2))) / 2
    shift = (density(a) - density(b)) / mass
    spread = sd * math.sqrt(1 + (a * density(a) - b * density(b)) / mass - shift**2)
    found = drawn({"normal": {"mean": mean, "sd": sd, "within": [low, high]}})
    assert near(found, mean + sd * shift, spread)
    assert np.std(found) == pytest.approx(spread, rel=0.08)
    assert min(found) >= low
    assert max(found) <= high


def test_choices_come_as_often_as_their_weights_say_and_those_of_weight_0_never():
    found = drawn({"choice": ["a", [1, 2], None], "weights": [1, 3, 0]})
    assert near([x == [1, 2] for x in found], 0.75, math.sqrt(3 / 16))
    assert None not in found
    assert near([x == "a" for x in drawn({"choice": ["a", "b"]})], 0.5, 0.5)


def test_days_are_spread_over_the_year_and_come_after_the_first():
    days = [date.fromisoformat(x) for x in drawn({"dates": ["2023-01-01", "2023-12-31"]})]
    assert near([d.timetuple().tm_yday for d in days], 183, 365 / math.sqrt(12))
    later, rng = days_of({"days_after": [2, 4]}), np.random.default_rng(0)
    gaps = {(date.fromisoformat(later(rng, "2023-12-30")) - date(2023, 12, 30)).days for _ in range(60)}
    assert gaps == {2, 3, 4}


@given(kinds, json)
def test_any_value_gives_a_distribution_or_one_sentence(kind, value):
    with suppress(ValueError):
        found = reader_of({kind: value})(np.random.default_rng(0))
        assert not isinstance(found, float) or math.isfinite(found)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"uniform": [2, 1]}, "must not exceed"),
        ({"uniform": [1, True]}, "needs numbers"),
        ({"uniform": [0, math.inf]}, "needs numbers"),
        ({"loguniform": [0, 1]}, "above 0"),
        ({"normal": {"mean": 0, "sd": 0, "within": [0, 1]}}, "above 0"),
        ({"normal": {"mean": 0, "sd": 1, "within": [50, 60]}}, "nothing within"),
        ({"triangular": [0, 2, 1]}, "not in order"),
        ({"integers": [0, 1.5]}, "whole numbers"),
        ({"dates": ["2023-02-30", "2023-03-01"]}, "YYYY-MM-DD"),
        ({"choice": []}, "needs a list"),
        ({"choice": [1, 2], "weights": [1]}, "as many weights"),
        ({"choice": [1], "weights": [0]}, "not all 0"),
        ({"uniform": [0, 1], "weights": [1]}, "has no weights"),
    ],
)
def test_a_distribution_that_cannot_be_says_why(value, words):
    with pytest.raises(ValueError, match=words):
        reader_of(value)


def test_a_mapping_is_a_distribution_by_its_key_alone():
    assert distribution_in({"uniform": 3}) == "uniform"
    assert distribution_in({"days_after": [1, 2]}) == "days_after"
    assert distribution_in({"kind": "flood"}) is None
    assert distribution_in([1]) is None
