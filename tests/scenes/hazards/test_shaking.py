"""Attenuation and the residuals that neighbours share."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from mage.scenes.errors import HazardError
from mage.scenes.hazards.shaking import (
    PHI,
    RANGE_CLUSTERED,
    RANGE_VARIED,
    TAU_UNSPECIFIED,
    Event,
    correlated,
    median_pga,
    rupture_distance,
    shaken,
)

AROUND = (0.0, 0.0, 1000.0, 1000.0)


def test_the_median_on_rock_is_boore_and_atkinsons_worked_by_hand():
    # M 7 lies over the hinge at 6.75 and e7 is 0: the source term is e1; rock of 760 m/s has no site term
    r = math.sqrt(10**2 + 1.35**2)
    expected = math.exp(-0.53804 + (-0.66050 + 0.11970 * 2.5) * math.log(r) - 0.01151 * (r - 1))
    assert expected == pytest.approx(0.22815, abs=1e-5)
    assert median_pga(7.0, np.array([10.0]), 760.0)[0] == pytest.approx(expected, rel=1e-12)


def test_the_median_on_soil_is_boore_and_atkinsons_worked_by_hand():
    # at 300 m/s the nonlinear slope is b2 = -0.14, and rock's 0.228 g is over 0.09 g
    expected = 0.2281517 * math.exp(-0.36 * math.log(300 / 760) - 0.14 * math.log(0.2281517 / 0.1))
    assert expected == pytest.approx(0.28405, abs=1e-4)
    assert median_pga(7.0, np.array([10.0]), 300.0)[0] == pytest.approx(expected, rel=1e-5)


def test_below_the_hinge_magnitude_counts_quadratically():
    r = math.sqrt(20**2 + 1.35**2)
    source = -0.50350 + 0.28805 * -0.75 - 0.10164 * 0.75**2
    expected = math.exp(source + (-0.66050 + 0.11970 * 1.5) * math.log(r) - 0.01151 * (r - 1))
    assert median_pga(6.0, np.array([20.0]), 760.0, "strike-slip")[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("vs30", [180.0, 240.0, 300.0, 500.0, 759.0])
def test_the_site_term_has_no_jumps_where_its_pieces_meet(vs30):
    distance = np.geomspace(0.1, 200, 4000)
    pga = median_pga(6.5, distance, vs30)
    assert np.abs(np.diff(np.log(pga))).max() < 0.02


@given(st.floats(5, 8), st.floats(180, 1300), st.floats(0, 200), st.floats(0.1, 50))
def test_shaking_falls_with_distance(magnitude, vs30, near, more):
    near_pga, far_pga = median_pga(magnitude, np.array([near, min(near + more, 250.0)]), vs30)
    assert far_pga < near_pga


@given(st.floats(5, 6.7), st.floats(0.05, 1), st.floats(5, 150))
def test_shaking_grows_with_magnitude(magnitude, more, distance):
    weak, strong = (median_pga(m, np.array([distance]), 400.0)[0] for m in (magnitude, magnitude + more))
    assert strong > weak


def test_softer_ground_shakes_more_far_away():
    far = np.array([100.0])
    assert median_pga(7, far, 250)[0] > median_pga(7, far, 400)[0] > median_pga(7, far, 760)[0]


def test_the_distance_is_nothing_over_the_rupture_and_grows_from_its_edges():
    event = Event(7.0, 10.0, (0.0, 0.0), strike=0.0, mechanism="strike-slip")
    half = 10 ** (-2.44 + 0.59 * 7) / 2  # km, 24.5
    places = np.array([(0, 0), (half * 999, 0), (half * 1000 + 5000, 0), (0, 7000), (half * 1000 + 3000, -4000)])
    np.testing.assert_allclose(rupture_distance(places, event), [0, 0, 5, 7, 5], atol=1e-9)


def test_a_dipping_rupture_lies_under_the_right_of_its_strike_and_ends_at_the_ground():
    event = Event(7.0, 2.0, (0.0, 0.0), strike=0.0, mechanism="normal")  # strike east, so it dips south
    width, dip = 10 ** (-1.01 + 0.32 * 7), math.radians(50)
    up = 2.0 / math.sin(dip)  # 2.6 km: less than half the width
    south = (width - up) * math.cos(dip)
    places = 1000 * np.array([(0, up * math.cos(dip) + 3), (0, -south), (0, -south - 3)])
    np.testing.assert_allclose(rupture_distance(places, event), [3, 0, 3], atol=1e-9)


@pytest.mark.parametrize("change", [{"magnitude": 9.1}, {"depth": 90.0}, {"vs30": 90.0}, {"magnitude": math.nan}])
def test_an_event_that_the_relation_does_not_hold_for_is_one_error(change):
    with pytest.raises(HazardError, match="does not hold"):
        Event(**{"magnitude": 6.5, "depth": 10.0, "epicentre": (0.0, 0.0)} | change)


def test_a_place_too_far_away_is_one_error():
    with pytest.raises(HazardError, match="too far away"):
        shaken(np.array([(0.0, 0.0)]), Event(6.0, 10.0, (300e3, 0.0)), np.random.default_rng(0), AROUND)


def test_residuals_have_the_published_spread_between_and_within_events():
    xy = np.array([(0.0, 0.0), (20e3, 0.0)])
    event = Event(5.0, 10.0, (10e3, 80e3), strike=0.0)
    median = median_pga(5.0, rupture_distance(xy, event), event.vs30)
    logs = np.array(
        [np.log(shaken(xy, event, np.random.default_rng(s), (0.0, 0.0, 20e3, 20e3)) / median) for s in range(900)]
    )
    total = math.hypot(PHI, TAU_UNSPECIFIED)
    assert logs.std(axis=0) == pytest.approx([total, total], rel=0.08)
    assert np.corrcoef(logs.T)[0, 1] == pytest.approx(TAU_UNSPECIFIED**2 / total**2, abs=0.09)


@pytest.mark.parametrize(("reach", "extent"), [(RANGE_VARIED, 20_000.0), (RANGE_CLUSTERED, 60_000.0), (400.0, 900.0)])
def test_the_correlation_length_is_recovered_from_the_variogram(reach, extent):
    rng = np.random.default_rng(4)
    xy = rng.uniform(0, extent, (150, 2))
    first, second = np.triu_indices(len(xy), 1)
    apart = np.hypot(*(xy[first] - xy[second]).T)
    edges = np.linspace(0, 0.8 * reach, 13)
    squared = np.zeros(len(first))
    draws = 150
    for _ in range(draws):
        field = correlated(xy, reach, rng, (0.0, 0.0, extent, extent))
        squared += (field[first] - field[second]) ** 2 / 2
    bins = np.digitize(apart, edges)
    middles = np.array([apart[bins == k].mean() for k in range(1, len(edges))])
    variogram = np.array([squared[bins == k].mean() for k in range(1, len(edges))]) / draws
    (found, sill), _ = curve_fit(lambda h, b, s: s * (1 - np.exp(-3 * h / b)), middles, variogram, p0=(reach, 1.0))
    assert found == pytest.approx(reach, rel=0.15)
    assert sill == pytest.approx(1, abs=0.12)
    assert variogram[0] == pytest.approx(1 - np.exp(-3 * middles[0] / reach), abs=0.04)  # nothing is each house's own


def test_residuals_are_standard_normal_wherever_a_point_lies_in_its_cell():
    xy = np.array([(0.0, 0.0), (531.0, 217.0), (999.0, 1000.0)])
    draws = np.array([correlated(xy, 3000.0, np.random.default_rng(s), AROUND) for s in range(1500)])
    assert draws.mean(axis=0) == pytest.approx(np.zeros(3), abs=0.09)
    assert draws.std(axis=0) == pytest.approx(np.ones(3), abs=0.06)


def test_equal_points_shake_alike_and_no_points_are_no_error():
    field = correlated(np.array([(3.0, 4.0)] * 2), 100.0, np.random.default_rng(0), AROUND)
    assert field[0] == field[1]
    assert len(correlated(np.zeros((0, 2)), 100.0, np.random.default_rng(0), AROUND)) == 0


def test_a_place_shakes_the_same_whatever_other_places_are_asked_for():
    xy = np.random.default_rng(1).uniform(0, 1000, (40, 2))
    event = Event(6.5, 10.0, (8e3, 0.0))
    for shake in (lambda p: correlated(p, 300.0, np.random.default_rng(3), AROUND),
                  lambda p: shaken(p, event, np.random.default_rng(3), AROUND)):  # fmt: skip
        np.testing.assert_allclose(shake(xy)[25:], shake(xy[25:]), rtol=1e-12)
