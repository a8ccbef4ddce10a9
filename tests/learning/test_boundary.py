"""Boundary F1 against a slow one that measures every pair of pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.learning import boundary_counts, boundary_f1
from mage.scenes.errors import ModelError


def slow_outline(inside, valid):
    found = []
    rows, columns = inside.shape
    for r, c in np.argwhere(inside & valid):
        for y, x in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
            if 0 <= y < rows and 0 <= x < columns and valid[y, x] and not inside[y, x]:
                found.append((r, c))
                break
    return found


def slow_counts(predicted, target, classes, tolerance):
    valid, rows = target != 255, []
    for c in range(classes):
        ours, theirs = (slow_outline(m > 0 if c == 0 else m == c, valid) for m in (predicted, target))

        def near(line, other):
            return sum(any(np.hypot(r - y, c - x) <= tolerance + 1e-6 for y, x in other) for r, c in line)

        rows.append([near(ours, theirs), len(ours), near(theirs, ours), len(theirs)])
    return rows


@given(st.integers(0, 2**32), st.sampled_from([0, 1, np.sqrt(2), 2, 3.5]))
@settings(max_examples=60)
def test_counts_equal_those_of_all_pairs_of_pixels(seed, tolerance):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 9, 2))
    target = rng.choice(np.array([0, 0, 1, 2, 255], np.uint8), shape)
    predicted = rng.integers(0, 3, shape).astype(np.uint8)
    assert boundary_counts(predicted, target, 3, tolerance).tolist() == slow_counts(predicted, target, 3, tolerance)


def test_a_shift_within_the_tolerance_is_forgiven_and_one_beyond_it_is_not():
    target = np.zeros((20, 40), np.uint8)
    target[4:12, 4:12] = 1
    for shift, f1 in ((2, 1.0), (20, 0.0)):
        assert boundary_f1(boundary_counts(np.roll(target, shift, 1), target, 2, 2.0))[0] == f1


def test_it_is_undefined_without_outlines_and_nothing_where_one_map_alone_has_some():
    empty, full = np.zeros((6, 6), np.uint8), np.pad(np.ones((2, 2), np.uint8), 2)
    assert np.isnan(boundary_f1(boundary_counts(empty, empty, 2))).all()
    assert np.isnan(boundary_f1(boundary_counts(full * 0 + 1, empty, 2))).all()  # the tile's edge is no outline
    assert boundary_f1(boundary_counts(full, empty, 2)).tolist() == [0, 0]


def test_grades_are_judged_apart_and_the_first_row_by_building_or_none():
    target = np.pad(np.ones((4, 4), np.uint8), 4)
    f1 = boundary_f1(boundary_counts(target * 2, target, 3, 1.0))
    assert f1.tolist() == [1, 0, 0]


@pytest.mark.parametrize("tolerance", [-1, np.nan, np.inf])
def test_a_tolerance_that_is_none_is_refused(tolerance):
    with pytest.raises(ModelError, match="tolerance"):
        boundary_counts(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8), 2, tolerance)


def test_maps_of_other_shapes_are_refused():
    with pytest.raises(ModelError, match="outlines"):
        boundary_counts(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), 2)
