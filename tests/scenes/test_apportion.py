"""Whole numbers in proportion: sums, quotas and evenness."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mage.scenes.apportion import apportion, spread_out

weights = st.lists(st.floats(0.01, 100), min_size=1, max_size=12)
seeds = st.integers(0, 2**32)


@given(st.integers(0, 10_000), weights, seeds)
def test_each_part_is_within_1_of_its_share_and_nothing_is_lost(total, shares, seed):
    for rng in (None, np.random.default_rng(seed)):
        parts = apportion(total, shares, rng=rng)
        assert parts.sum() == total
        assert (np.abs(parts - total * np.array(shares) / sum(shares)) < 1 + 1e-6).all()


@given(st.integers(0, 200), weights, st.integers(0, 5))
def test_where_there_is_enough_every_part_has_its_least(total, shares, least):
    parts = apportion(total, shares, least=least)
    assert parts.sum() == total
    assert parts.min() >= (least if total >= least * len(shares) else 0)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), seeds)
def test_any_beginning_holds_the_parts_in_their_proportions(parts, seed):
    order = spread_out(parts, np.random.default_rng(seed))
    assert np.bincount(order, minlength=len(parts)).tolist() == parts
    for end in range(1, len(order) + 1):
        found = np.bincount(order[:end], minlength=len(parts))
        assert (np.abs(found - end * np.array(parts) / len(order)) <= len(parts) + 1e-9).all()


def test_who_gets_what_is_left_over_is_drawn_where_all_are_alike():
    lucky = {int(apportion(1, [1.0] * 4, rng=np.random.default_rng(seed)).argmax()) for seed in range(40)}
    assert lucky == {0, 1, 2, 3}
    assert apportion(1, [1.0] * 4).tolist() == [1, 0, 0, 0]
