"""Earthquakes: from shaking to grades and ways of failing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import norm
from struck_cities import arrays_of, assert_whole, box_city

from mage.scenes.city import Trees
from mage.scenes.errors import HazardError
from mage.scenes.hazards.earthquake import EarthquakePart, earthquake, sample_earthquake
from mage.scenes.hazards.fragility import curves
from mage.scenes.hazards.structures import draw_structures, uniform_structures
from mage.scenes.sources.procedural.build import build_city
from mage.scenes.strike import Collapse
from mage.scenes.style import load_style


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def town():
    return box_city(10_000)


@pytest.mark.parametrize(
    ("structure", "code", "explicit"),
    [("URM.M", "pre", False), ("C1.M", "high", True), ("W1", "moderate", False), ("C3.L", "pre", True)],
)
def test_damage_shares_in_a_uniform_shaking_are_those_of_the_curve(town, structure, code, explicit):
    strike = earthquake(
        town,
        np.full(10_000, 0.3),
        rng(3),
        explicit=explicit,
        structures=uniform_structures(town, structure, code),
    )
    row = curves().row(structure, code)
    above = norm.cdf(np.log(0.3 / curves().medians[row]) / (0.4 if explicit else 0.64))
    above = np.append(above, above[3] * curves().collapse[row])
    found = np.array([(strike.ems98 >= grade).mean() for grade in range(1, 6)])
    bound = 4 * np.sqrt(above * (1 - above) / 10_000) + 1e-4
    assert (np.abs(found - above) < bound).all(), (found, above)


def test_a_strike_fits_its_city_and_says_what_it_came_of():
    city = build_city(load_style("suburb"), 200.0, rng(1))
    strike = sample_earthquake(rng(), city, EarthquakePart())
    assert_whole(strike, city)
    assert strike.hazard == "earthquake"
    assert 6.3 <= strike.parameters["magnitude"] <= 7.6
    assert 5 <= strike.parameters["distance_km"] <= 30
    assert all(isinstance(value, str | int | float) for value in strike.parameters.values())
    assert not strike.trees.any()
    assert not strike.deck_lost.any()


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1.5), st.floats(1, 4), st.sampled_from(["physical", "decorrelated"]))
def test_a_stronger_shaking_never_lowers_a_grade(seed, weak, factor, mode):
    city = box_city(60, style="mediterranean", storeys=4)
    pga = weak * rng(seed + 1).random(60)
    first, second = (earthquake(city, p, rng(seed), explicit=True, mode=mode).ems98 for p in (pga, factor * pga))
    assert (first <= second).all()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    city = box_city(300, style="european")
    first, again, other = (sample_earthquake(rng(s), city, EarthquakePart()) for s in (5, 5, 6))
    for name, value in arrays_of(first).items():
        assert value.tobytes() == arrays_of(again)[name].tobytes(), name
    assert first.intensity.tobytes() != other.intensity.tobytes()
    assert first.ems98.tobytes() != other.ems98.tobytes()


def likeness_of_neighbours(grades):
    grid = np.asarray(grades, float).reshape(40, 40)
    return np.corrcoef(grid[:, 1:].ravel(), grid[:, :-1].ravel())[0, 1]


def test_decorrelated_grades_have_the_same_shares_but_say_nothing_about_neighbours():
    city = box_city(1600, spacing=500.0)
    shaking = np.where(np.arange(1600) % 40 < 20, 0.12, 0.6)  # the east shakes five times as strongly
    made_of = uniform_structures(city, "URM.L", "pre")
    found = {}
    for mode in ("physical", "decorrelated"):
        strikes = [earthquake(city, shaking, rng(s), explicit=True, structures=made_of, mode=mode) for s in range(20)]
        grades = np.array([s.ems98 for s in strikes])
        found[mode] = np.bincount(grades.ravel(), minlength=6) / grades.size
        likeness = np.mean([likeness_of_neighbours(g) for g in grades])
        if mode == "physical":
            assert likeness > 0.5
        else:
            assert abs(likeness) < 0.02
            assert (strikes[0].p_grade == strikes[0].p_grade[0]).all()
    np.testing.assert_allclose(found["decorrelated"], found["physical"], atol=0.015)


def test_random_grades_follow_the_given_shares_whatever_the_shaking(town):
    shares = (0.4, 0.1, 0.1, 0.2, 0.1, 0.1)
    strike = sample_earthquake(rng(), town, EarthquakePart(mode="random", shares=shares))
    np.testing.assert_allclose(np.bincount(strike.ems98, minlength=6) / 10_000, shares, atol=0.02)
    np.testing.assert_allclose(strike.p_grade, np.tile(shares, (10_000, 1)))


COLLAPSES = range(Collapse.INCLINED_PLANE, Collapse.OVERHANG + 1)
PARTIAL = {Collapse.GABLE, Collapse.ROOF, Collapse.CORNER, Collapse.INCLINATION, Collapse.PANCAKE_UPPER}


@pytest.mark.parametrize("style", ["suburb", "european", "mediterranean", "informal", "industrial"])
@pytest.mark.parametrize("storeys", [1, 2, 3, 9])
def test_buildings_fail_as_their_grade_and_storeys_allow(style, storeys):
    city = box_city(400, style=style, storeys=storeys, roof="pitched")
    strike = earthquake(city, np.full(400, 0.6), rng(2), explicit=False)
    for grade, collapse in zip(strike.ems98, strike.collapse, strict=True):
        if grade < 3:
            assert collapse == Collapse.NONE
        elif grade == 3:
            assert collapse in (Collapse.TILES, Collapse.GABLE)
        else:
            assert collapse in (COLLAPSES if grade == 5 else PARTIAL)
    if storeys == 1:
        assert not np.isin(strike.collapse, [8, 9, 10, 12, 14, 15]).any()
    shed = strike.collapse == Collapse.TILES
    assert (strike.covering_lost[shed] > 0).all()
    assert not strike.covering_lost[~shed].any()


@pytest.mark.parametrize(("height", "overturns"), [(11.9, False), (12.1, True), (27.0, True)])
def test_only_what_is_half_as_high_again_as_it_is_wide_falls_over(height, overturns):
    """The houses are 8 m wide: a low one would stand higher on its side than on its foot."""
    city = box_city(3000, style="mediterranean", storeys=4, height=height, eave=height)
    only_collapses = (0.0,) * 5 + (1.0,)
    strike = earthquake(city, np.full(3000, 0.4), rng(2), explicit=False, mode="random", shares=only_collapses)
    assert np.isin(strike.collapse, [Collapse.OVERTURN_BLOCK, Collapse.OVERTURN_SEPARATED]).any() == overturns
    assert (strike.collapse >= Collapse.INCLINED_PLANE).all()


def test_every_way_of_failing_occurs_somewhere():
    found = set()
    for style, storeys in (("european", 2), ("mediterranean", 6), ("european-old-town", 4)):
        city = box_city(2500, style=style, storeys=storeys, height=3.1 * storeys, roof="pitched")
        found |= set(earthquake(city, np.full(2500, 1.2), rng(1), explicit=True).collapse.tolist())
    assert found == {int(c) for c in Collapse}


def test_flat_roofs_shed_no_tiles_and_have_no_gables():
    city = box_city(400, style="european", roof="flat")
    strike = earthquake(city, np.full(400, 0.4), rng(2), explicit=False)
    assert not np.isin(strike.collapse, [Collapse.TILES, Collapse.GABLE]).any()
    assert not strike.covering_lost.any()


@pytest.mark.parametrize("grade", [4, 5])
@pytest.mark.parametrize("style", ["suburb", "european", "mediterranean", "informal", "industrial"])
def test_a_flat_roof_saves_no_building_of_a_high_grade_from_failing(style, grade):
    shares = tuple(float(g == grade) for g in range(6))
    city = box_city(400, style=style, roof="flat", storeys=3)
    strike = earthquake(city, np.full(400, 0.4), rng(2), explicit=False, mode="random", shares=shares)
    assert (strike.collapse >= Collapse.ROOF).all()


def test_a_city_without_a_ground_is_one_error():
    with pytest.raises(HazardError, match="no terrain"):
        earthquake(replace(box_city(3), terrain=None), np.zeros(3), rng(), explicit=True)


def test_shaking_is_the_same_at_a_house_whatever_else_stands_in_the_city():
    city = box_city(60)
    whole, part = (
        sample_earthquake(rng(2), c, EarthquakePart()).intensity
        for c in (city, replace(city, buildings=city.buildings[30:]))
    )
    np.testing.assert_allclose(whole[30:], part, rtol=1e-12)


def test_buildings_fall_across_their_longer_side_to_either_side():
    city = box_city(500)  # 10 m east to west, 8 m north to south
    turned = shapely.affinity.rotate(city.buildings[0].footprint, 30)
    city = replace(city, buildings=(*city.buildings[1:], replace(city.buildings[0], footprint=turned)))
    direction = earthquake(city, np.full(500, 0.3), rng(), explicit=True).direction
    off = np.mod(direction, np.pi) - np.pi / 2
    assert np.abs(off[:-1]).max() <= 0.25
    assert abs(off[-1] - np.radians(30)) <= 0.25
    assert 0.4 < (direction < np.pi).mean() < 0.6


def test_loss_is_apart_from_the_grade_and_never_falls_with_it(town):
    strike = earthquake(town, np.full(10_000, 0.5), rng(), explicit=False)
    losses = [set(strike.loss[strike.ems98 == grade]) for grade in range(6)]
    assert losses == [{0.0}, {0.02}, {0.1}, {0.447}, {1.0}, {1.0}]


@pytest.mark.parametrize("pga", [np.zeros(3), np.full(4, np.nan), np.full(4, -0.1), np.zeros((4, 1))])
def test_shaking_that_is_none_is_one_error(pga):
    with pytest.raises(HazardError, match="no acceleration"):
        earthquake(box_city(4), pga, rng(), explicit=True)


@pytest.mark.parametrize(
    "keys",
    [
        {"magnitude": (7.0, 6.0)},
        {"magnitude": (6.0, 9.5)},
        {"depth": (10, 90)},
        {"vs30": (50, 100)},
        {"mode": "fair"},
        {"soil": 3},
        {"mode": "random", "shares": (0.5, 0.5)},
        {"mode": "random", "shares": (0.5, 0.5, 0.5, 0, 0, 0)},
        {"mode": "random"},
        {"shares": (0.5, 0.5, 0, 0, 0, 0)},
    ],
)
def test_a_part_that_cannot_be_is_refused(keys):
    with pytest.raises(ValidationError):
        EarthquakePart(**keys)


def test_a_city_without_buildings_is_struck_without_an_error():
    city = replace(box_city(1), buildings=(), trees=Trees())
    assert len(sample_earthquake(rng(), city, EarthquakePart()).ems98) == 0


def test_structures_given_are_those_that_are_used(town):
    strong, weak = (
        earthquake(town, np.full(10_000, 0.3), rng(), explicit=True, structures=uniform_structures(town, *which))
        for which in (("W1", "high"), ("URM.L", "pre"))
    )
    assert strong.ems98.mean() < 1.2 < weak.ems98.mean()
    drawn = earthquake(town, np.full(10_000, 0.3), rng(), explicit=True)
    made_of = draw_structures(town, rng().spawn(3)[0])
    again = earthquake(town, np.full(10_000, 0.3), rng(), explicit=True, structures=made_of)
    assert drawn.ems98.tobytes() == again.ems98.tobytes()
