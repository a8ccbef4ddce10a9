"""Fragility curves and the draw of grades."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from mage.scenes.errors import HazardError
from mage.scenes.hazards.fragility import (
    CODES,
    curves,
    drawn_grades,
    exceedance,
    grade_probabilities,
    loss_of,
    prepared,
)

ROWS = np.arange(len(curves().names))


@pytest.mark.parametrize("state", range(4))
@pytest.mark.parametrize("explicit", [False, True])
def test_half_the_buildings_reach_a_state_at_its_median(state, explicit):
    table = curves()
    p = grade_probabilities(table.medians[:, state], ROWS, explicit=explicit)
    np.testing.assert_allclose(p[:, state + 1 :].sum(axis=1), 0.5)


@pytest.mark.parametrize(("explicit", "beta"), [(False, 0.64), (True, 0.4)])
def test_the_spread_is_that_of_a_median_map_or_of_drawn_shaking(explicit, beta):
    p = grade_probabilities(np.array([0.3]), ROWS[:1], explicit=explicit)
    slight = curves().medians[0, 0]
    assert 1 - p[0, 0] == pytest.approx(norm.cdf(np.log(0.3 / slight) / beta))


def test_grade_five_is_the_share_of_complete_damage_that_collapses():
    row = curves().row("URM.L", "pre")
    p = grade_probabilities(np.array([0.37]), np.array([row]), explicit=False)[0]
    assert p[5] == pytest.approx(0.15 * 0.5)
    assert p[4] == pytest.approx(0.85 * 0.5)


@pytest.mark.parametrize(
    ("structure", "code", "medians"),
    [
        ("W1", "pre", (0.18, 0.29, 0.51, 0.77)),
        ("URM.M", "pre", (0.09, 0.13, 0.21, 0.38)),
        ("C3.L", "pre", (0.10, 0.14, 0.21, 0.35)),
        ("C1.M", "high", (0.15, 0.27, 0.73, 1.61)),
        ("C2.M", "low", (0.12, 0.19, 0.38, 0.63)),
        ("S1.L", "high", (0.19, 0.31, 0.64, 1.49)),
        ("PC1", "low", (0.13, 0.17, 0.25, 0.45)),
        ("MH", "pre", (0.08, 0.11, 0.18, 0.34)),
    ],
)
def test_medians_are_those_of_hazus(structure, code, medians):
    np.testing.assert_array_equal(curves().medians[curves().row(structure, code)], medians)


def test_a_code_without_a_curve_takes_the_strongest_below_it():
    table = curves()
    assert table.names[table.row("URM.L", "high")] == ("URM.L", "low")
    assert table.names[table.row("MH", "moderate")] == ("MH", "low")


def test_states_are_ordered_and_younger_codes_are_no_weaker():
    table = curves()
    assert (np.diff(table.medians, axis=1) > 0).all()
    for structure in {name for name, _ in table.names}:
        rows = [table.row(structure, code) for code in CODES]
        assert (np.diff(table.medians[rows], axis=0) >= 0).all()


def test_nothing_happens_without_shaking():
    p = grade_probabilities(np.zeros(len(ROWS)), ROWS, explicit=False)
    np.testing.assert_array_equal(p, np.eye(6)[np.zeros(len(ROWS), int)])
    assert not drawn_grades(p, np.zeros(len(ROWS))).any()


def test_where_curves_cross_a_state_is_no_likelier_than_the_one_below():
    above = exceedance(np.array([0.5, 5.0]), np.array([1.0, 1.1]), np.array([0.1, 2.0]))
    assert (np.diff(above, axis=1) <= 0).all()


@given(st.floats(0, 3), st.floats(0, 3), st.integers(0, 2**32 - 1))
def test_a_stronger_shaking_never_lowers_a_grade(one, two, seed):
    chance = np.random.default_rng(seed).random(len(ROWS))
    weak, strong = sorted((one, two))
    grades = [
        drawn_grades(grade_probabilities(np.full(len(ROWS), pga), ROWS, explicit=True), chance)
        for pga in (weak, strong)
    ]
    assert (grades[0] <= grades[1]).all()


@given(st.lists(st.floats(0, 1), min_size=6, max_size=6).filter(lambda w: sum(w) > 0.01), st.integers(0, 1000))
def test_grades_are_drawn_as_often_as_they_are_likely(weights, seed):
    p = np.tile(np.array(weights) / sum(weights), (4000, 1))
    chance = (np.random.default_rng(seed).permutation(4000) + 0.5) / 4000
    counts = np.bincount(drawn_grades(p, chance), minlength=6)
    assert np.abs(counts - 4000 * p[0]).max() <= 2


@pytest.mark.parametrize("shares", [None, (1, 0, 0), (0.5, 0.5, 0.5, 0, 0, 0), (1.5, -0.5, 0, 0, 0, 0)])
def test_random_grades_without_a_distribution_are_one_error(shares):
    with pytest.raises(HazardError, match="six shares"):
        prepared(np.eye(6), "random", shares)


def test_an_unknown_mode_is_one_error():
    with pytest.raises(HazardError, match="no such mode"):
        prepared(np.eye(6), "fair", None)


def test_loss_follows_the_grade_and_the_use():
    grades = np.array([0, 1, 2, 3, 4, 5, 3, 3], np.uint8)
    uses = ["residential"] * 6 + ["industrial", "temple"]
    np.testing.assert_array_equal(loss_of(grades, uses), [0, 0.02, 0.1, 0.447, 1, 1, 0.355, 0.447])
