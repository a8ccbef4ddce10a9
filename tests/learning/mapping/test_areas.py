"""Counts of damaged buildings, their bounds, and the order of areas."""

from __future__ import annotations

import re

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from mage.learning.mapping.areas import Lattice, affected_areas, cells, count_bounds
from mage.scenes.errors import ModelError


@pytest.mark.parametrize("n", [1, 7, 100, 3000])
@pytest.mark.parametrize("p", [0.03, 0.5, 0.9])
def test_equal_probabilities_give_the_bounds_of_a_binomial(n, p):
    assert count_bounds([p] * n, 0.9) == (binom.ppf(0.05, n, p), binom.ppf(0.95, n, p))


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), max_size=60), st.floats(0.5, 0.99))
def test_bounds_hold_the_expected_number_and_lie_within_what_is_possible(p, confidence):
    low, high = count_bounds(p, confidence)
    certain, possible = sum(q == 1 for q in p), sum(q > 0 for q in p)
    assert certain <= low <= high <= possible
    assert low - 1 <= sum(p) <= high + 1


def test_bounds_hold_as_often_as_they_say():
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 0.5, 200)
    low, high = count_bounds(p, 0.9)
    counts = (rng.random((4000, 200)) < p).sum(1)
    assert 0.885 < ((counts >= low) & (counts <= high)).mean() < 0.94  # counts are whole: a little more than 0.9


def test_no_building_gives_no_bounds_but_zero():
    assert count_bounds([]) == (0, 0)


@pytest.mark.parametrize("p", [[-0.1], [1.1], [np.nan]])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(ModelError, match="0 to 1"):
        count_bounds(p)


def test_overlapping_areas_count_a_building_each():
    town, district = shapely.box(0, 0, 100, 100), shapely.box(0, 0, 50, 100)
    found = affected_areas([district, town], ["district", "town"], [(10, 10), (90, 10), (50, 50)], [1, 0.5, 0.25])
    assert [(a.name, a.buildings, a.damaged) for a in found] == [("town", 3, 1.75), ("district", 2, 1.25)]
    assert found[1].share == 0.625


def test_an_area_without_buildings_has_a_share_of_zero():
    (area,) = affected_areas([shapely.box(5, 5, 6, 6)], ["nowhere"], [], [])
    assert (area.buildings, area.damaged, area.low, area.high, area.share) == (0, 0, 0, 0, 0)


def test_every_place_lies_in_just_one_cell():
    points = np.random.default_rng(0).uniform(-300, 300, (200, 2))
    outlines, names = cells(points, Lattice.over((-300, -300, 300, 300), 100))
    assert len(set(names)) == len(names) == len(outlines)
    assert sum(area.buildings for area in affected_areas(outlines, names, points, np.zeros(200))) == 200


def test_a_cell_needs_a_size():
    with pytest.raises(ModelError, match="above 0 m"):
        Lattice.over((0, 0, 1, 1), 0)


@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=1, max_size=20), st.integers(1, 4000))
def test_cells_are_named_by_letter_and_number_from_the_north_west(points, size):
    places = np.array(points)
    west, south, east, north = *places.min(axis=0), *places.max(axis=0)
    lattice = Lattice.over((west, south, east, north), size)
    for outline, name in zip(*cells(points, lattice), strict=True):
        column, row = re.fullmatch(r"([A-Z]+)(\d+) \(E-?\d+ N-?\d+\)", name).groups()
        number = 0
        for letter in column:
            number = 26 * number + ord(letter) - ord("A") + 1
        assert outline.bounds[0] == pytest.approx(lattice.west + (number - 1) * size)
        assert outline.bounds[3] == pytest.approx(lattice.north - (int(row) - 1) * size)
        assert int(row) >= 1
