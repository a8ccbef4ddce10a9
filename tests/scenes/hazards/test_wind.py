"""Hurricanes and tornadoes: gusts, and what they do to roofs, houses and trees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import norm
from struck_cities import arrays_of, assert_whole, box_city

from mage.scenes.city import Trees
from mage.scenes.errors import HazardError
from mage.scenes.hazards.gusts import GUST_FACTOR, INFLOW, Gusts, gustiness, holland, hurricane, rankine, tornado
from mage.scenes.hazards.resistance import STATES, lognormal, lost, resistance_of
from mage.scenes.hazards.structures import uniform_structures
from mage.scenes.hazards.wind import WindPart, sample_wind, tarped_share, wind
from mage.scenes.sources.procedural.build import build_city
from mage.scenes.strike import Collapse, Stand
from mage.scenes.style import load_style

MPH = 0.44704
AROUND = (0.0, 0.0, 900.0, 900.0)


def rng(seed=0):
    return np.random.default_rng(seed)


def blown(city, speed, seed=0, *, structure="W1", **options):
    """The city in gusts of one speed to the east; all of one structure."""
    b, t = len(city.buildings), len(city.trees)
    made_of = uniform_structures(city, structure, "pre")
    gusts, trees = Gusts(np.full(b, speed), np.zeros(b)), Gusts(np.full(t, speed), np.zeros(t))
    return wind(city, gusts, trees, rng(seed), structures=made_of, **options)


@pytest.fixture(scope="module")
def town():
    return box_city(10_000, roof="pitched", trees=4000)


def test_the_wind_of_a_rankine_vortex_is_highest_at_its_core_and_as_the_formula_on_both_sides():
    r = np.linspace(0, 500, 5001)
    speed = rankine(r, 80.0, 120.0)
    assert r[speed.argmax()] == pytest.approx(120.0)
    assert speed.max() == pytest.approx(80.0)
    np.testing.assert_allclose(rankine(np.array([0.0, 60.0, 240.0]), 80.0, 120.0), [0, 40, 40])


def test_the_wind_of_a_hurricane_is_hollands_and_highest_at_its_radius():
    r = np.linspace(1, 200, 2000)
    speed = holland(r, 50.0, 30.0, 1.4)
    assert r[speed.argmax()] == pytest.approx(30.0, abs=0.1)
    assert speed.max() == pytest.approx(50.0, rel=1e-5)
    ratio = (30 / 75) ** 1.4
    assert holland(np.array([75.0]), 50.0, 30.0, 1.4)[0] == pytest.approx(50 * np.sqrt(ratio * np.exp(1 - ratio)))
    assert holland(np.array([0.0]), 50.0, 30.0, 1.4)[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("northern", "turn"), [(True, 1), (False, -1)])
def test_hurricane_winds_circle_and_turn_inwards(northern, turn):
    east_of_it = np.array([(20_000.0, 0.0)])
    found = hurricane(east_of_it, rng(), bounds=AROUND, highest=40.0, radius=20e3, centre=(0.0, 0.0), northern=northern)
    assert found.heading[0] == pytest.approx(np.mod(turn * (np.pi / 2 + INFLOW), 2 * np.pi))


def test_hurricane_gusts_are_the_mean_wind_times_the_gust_factor_but_for_gustiness():
    xy = np.array([(20_000.0, 0.0)])
    speeds = [
        hurricane(xy, rng(s), bounds=AROUND, highest=30.0, radius=20e3, centre=(0.0, 0.0)).speed[0] for s in range(400)
    ]
    assert np.median(speeds) == pytest.approx(30 * GUST_FACTOR, rel=0.02)


def test_gustiness_is_shared_by_neighbours():
    xy = np.array([(0.0, 0.0), (30.0, 0.0), (900.0, 0.0)])
    draws = np.log([gustiness(xy, rng(s), AROUND) for s in range(600)])
    likeness = np.corrcoef(draws.T)
    assert likeness[0, 1] > 0.7
    assert abs(likeness[0, 2]) < 0.15


def passing(xy, **changes):
    options = {"highest": 80.0, "core": 100.0, "through": (0.0, 0.0), "heading": 0.0, "forward": 12.0, "length": 4000.0}
    return tornado(np.asarray(xy, float), **(options | changes))


def test_a_tornado_is_strongest_on_the_right_of_its_track_at_the_cores_radius():
    y = np.arange(-400.0, 401.0, 5.0)
    speed = passing(np.column_stack([np.zeros_like(y), y])).speed
    assert -100 <= y[speed.argmax()] <= -85  # to the right of a track to the east
    assert speed.max() == pytest.approx(80.0, rel=0.01)
    southern = passing(np.column_stack([np.zeros_like(y), y]), northern=False).speed
    np.testing.assert_allclose(southern, speed[::-1], rtol=1e-9)


@pytest.mark.parametrize("length", [2_000.0, 40_000.0])
@pytest.mark.parametrize(("aside", "least"), [(0, 60), (-20, 70), (30, 50), (-47, 79.5), (-400, 5)])
def test_a_tornado_is_as_strong_all_along_its_track(length, aside, least):
    """However narrow its core: no beads of storm with calm between them."""
    x = np.linspace(-0.45 * length, 0.45 * length, 2001)
    speed = passing(np.column_stack([x, np.full(2001, aside)]), core=50.0, length=length).speed
    assert np.ptp(speed) < 0.001 * speed.max()
    assert speed.min() > least


def test_a_tornado_blows_over_no_more_than_its_track():
    beside, beyond = passing([(1990.0, -100.0), (2400.0, -100.0)]).speed
    assert beyond < 0.5 * beside


def test_a_storm_strikes_a_house_the_same_whatever_else_stands_in_the_city():
    city = box_city(60, trees=20)
    fewer = replace(city, buildings=city.buildings[30:], trees=Trees())
    for storm in ("hurricane", "tornado"):
        whole, part = (sample_wind(rng(2), c, WindPart(storm=storm)).intensity for c in (city, fewer))
        np.testing.assert_allclose(whole[30:], part, rtol=1e-12)


def test_a_city_without_a_ground_is_one_error():
    with pytest.raises(HazardError, match="no terrain"):
        blown(replace(box_city(3), terrain=None), 40.0)


def test_a_tornado_fades_away_from_its_track():
    speed = passing([(0.0, -100.0), (0.0, -300.0), (0.0, -900.0), (0.0, -9000.0)]).speed
    assert (np.diff(speed) < 0).all()
    assert speed[-1] < 3


def test_tornado_winds_converge_on_the_track():
    heading = passing([(0.0, -150.0), (0.0, 150.0)]).heading
    assert np.sin(heading[0]) > 0 > np.sin(heading[1])


def test_a_tornado_slower_than_it_travels_is_one_error():
    with pytest.raises(HazardError, match="slower than it travels"):
        passing([(0.0, 0.0)], forward=90.0)


@pytest.mark.parametrize("speed", [np.array([np.nan]), np.array([-1.0]), np.zeros((1, 1)), np.zeros(2)])
def test_gusts_that_are_none_are_one_error(speed):
    with pytest.raises(HazardError, match="no gusts"):
        Gusts(speed, np.zeros(1))


@pytest.mark.parametrize(
    ("structure", "grade", "expected"),
    [("W1", 3, (63, 79, 97)), ("W1", 4, (81, 97, 116)), ("W1", 5, (142, 170, 198)), ("MH", 5, (87, 105, 123)),
     ("C1.M", 3, (82, 99, 121)), ("URM.L", 1, (53, 65, 80)), ("PC1", 4, (88, 103, 122))],
)  # fmt: skip
def test_grades_are_as_frequent_as_the_ef_scales_degrees_say(town, structure, grade, expected):
    lower, middle, upper = (mph * MPH for mph in expected)
    for speed in (middle * 0.93, middle):
        strike = blown(town, speed, structure=structure)
        chance = norm.cdf(np.log(speed / middle) / (np.log(upper / lower) / (2 * norm.ppf(0.95))))
        bound = 4 * np.sqrt(chance * (1 - chance) / 10_000)
        assert (strike.ems98 >= grade).mean() == pytest.approx(chance, abs=bound)
        assert strike.p_grade[:, grade:].sum(axis=1) == pytest.approx(chance, abs=1e-9)


def test_the_bounds_of_a_degree_hold_nine_tenths():
    median, spread = lognormal(np.array([63.0, 79.0, 97.0]))
    assert median == pytest.approx(79 * MPH)
    # the scale's bounds are not quite as far from the middle on both sides
    inside = norm.cdf(np.log(97 * MPH / median) / spread) - norm.cdf(np.log(63 * MPH / median) / spread)
    assert inside == pytest.approx(0.9, abs=0.005)


@settings(max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(0, 110),
    st.floats(1, 3),
    st.sampled_from(["W1", "URM.L", "C1.M", "MH", "S1.L"]),
    st.sampled_from([1, 9]),
)
def test_a_stronger_gust_never_lowers_a_grade_nor_what_is_lost(seed, speed, factor, structure, storeys):
    city = box_city(40, roof="pitched", storeys=storeys, trees=30)
    weak, strong = (blown(city, s, seed, structure=structure) for s in (speed, factor * speed))
    for name in ("ems98", "covering_lost", "deck_lost", "loss", "swept"):
        assert (getattr(weak, name) <= getattr(strong, name)).all(), name
    assert ((weak.trees != Stand.FELLED) | (strong.trees == Stand.FELLED)).all()


def test_minor_damage_bares_one_to_twenty_hundredths_of_a_roof(town):
    strike = blown(town, 80 * MPH)
    minor = strike.covering_lost[strike.ems98 == 3]
    assert minor.min() >= 0.01
    assert minor.max() <= 0.20
    assert 0.02 < np.median(minor) < 0.08
    assert not strike.deck_lost[strike.ems98 <= 3].any()
    assert (strike.covering_lost[strike.ems98 == 2] < 0.01).all()
    assert not strike.covering_lost[strike.ems98 < 2].any()


def test_each_state_begins_with_its_own_share_of_the_roof():
    begins = np.arange(len(STATES), dtype=float)
    np.testing.assert_allclose(lost("covering", begins), [0, 0, 0.002, 0.01, 0.2, 0.65, 1, 1])
    np.testing.assert_allclose(lost("deck", begins), [0, 0, 0, 0, 0.02, 0.35, 1, 1])
    fine = np.linspace(0, 7.99, 500)
    for what in ("covering", "deck", "value"):
        assert (np.diff(lost(what, fine)) >= 0).all()


def test_a_house_without_walls_is_a_heap_and_the_strongest_wind_sweeps_timber_but_no_masonry(town):
    timber, masonry = blown(town, 95.0), blown(town, 95.0, structure="URM.L")
    for strike in (timber, masonry):
        gone = strike.ems98 == 5
        assert gone.mean() > 0.5
        np.testing.assert_array_equal(strike.collapse == Collapse.HEAP, gone)
        np.testing.assert_array_equal(strike.deck_lost == 1, gone)
    assert timber.swept.mean() > 0.3
    assert (timber.ems98[timber.swept] == 5).all()
    assert not masonry.swept.any()


def test_towers_lose_roofs_and_never_their_walls():
    strike = blown(box_city(500, storeys=12), 130.0, structure="C1.H")
    assert set(strike.ems98) == {4}


def test_a_flat_roof_holds_on_longer_than_tiles():
    flat, pitched = (blown(box_city(3000, roof=roof), 79 * MPH) for roof in ("flat", "pitched"))
    assert (flat.ems98 >= 3).mean() < (pitched.ems98 >= 3).mean() - 0.1


def test_resistances_of_a_building_rise_from_state_to_state():
    city = box_city(4, roof="pitched")
    for structure in ("W1", "URM.L", "MH", "C1.L", "PC1"):
        medians = resistance_of(uniform_structures(city, structure, "pre")).medians
        assert (np.diff(medians[:, :6], axis=1) > 0).all()


@pytest.mark.parametrize(("days", "share"), [(0, 0), (2, 0), (7, 0.35), (30, 0.6), (300, 0.6)])
def test_tarpaulins_come_from_the_third_day_on(town, days, share):
    strike = blown(town, 90 * MPH, days_after=days)
    bare = (strike.covering_lost >= 0.01) & (strike.ems98 < 5)
    assert tarped_share(days) == pytest.approx(share)
    assert strike.tarped[bare].mean() == pytest.approx(share, abs=0.02)
    assert not strike.tarped[~bare].any()


def test_trees_are_stripped_and_felled_as_the_ef_scale_says_and_lie_with_the_wind():
    city = box_city(1, trees=8000)
    strike = blown(city, 87 * MPH)
    conifer = city.trees.species == 1
    felled = strike.trees == Stand.FELLED
    assert felled[conifer].mean() == pytest.approx(0.7 * 0.5, abs=0.03)  # three in ten stand in any wind
    beta = np.log(118 / 76) / (2 * norm.ppf(0.95))
    assert felled[~conifer].mean() == pytest.approx(0.7 * norm.cdf(np.log(87 / 91) / beta), abs=0.03)
    assert (strike.trees[conifer] != Stand.STANDING).mean() > 0.85
    off = np.mod(strike.tree_heading[felled] + np.pi, 2 * np.pi) - np.pi
    assert abs(off.mean()) < 0.02
    assert off.std() == pytest.approx(0.2, abs=0.02)
    assert not strike.tree_heading[~felled].any()


@pytest.mark.parametrize("storm", ["hurricane", "tornado"])
def test_a_strike_fits_its_city_and_says_what_it_came_of(storm):
    city = build_city(load_style("suburb"), 200.0, rng(1))
    strike = sample_wind(rng(), city, WindPart(storm=storm))
    assert_whole(strike, city)
    assert strike.hazard == "wind"
    assert strike.parameters["storm"] == storm
    assert all(isinstance(value, str | int | float) for value in strike.parameters.values())
    assert strike.intensity.max() > 20


@pytest.mark.parametrize("storm", ["hurricane", "tornado"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(storm):
    city = box_city(200, trees=100, roof="pitched")
    first, again, other = (sample_wind(rng(s), city, WindPart(storm=storm)) for s in (5, 5, 6))
    for name, value in arrays_of(first).items():
        assert value.tobytes() == arrays_of(again)[name].tobytes(), name
    assert first.intensity.tobytes() != other.intensity.tobytes()


def test_a_tornado_leaves_a_swath_and_a_hurricane_strikes_everywhere():
    city = box_city(2500, roof="pitched", style="suburb")
    swath = sample_wind(rng(3), city, WindPart(storm="tornado", radius=(0.05, 0.06))).ems98
    wide = sample_wind(rng(3), city, WindPart(storm="hurricane", speed=(26, 26), distance=(30, 30), radius=(30, 30)))
    assert (swath == 0).mean() > 0.3
    assert (swath >= 4).mean() > 0.03
    assert (wide.ems98 >= 1).mean() > 0.9
    assert np.ptp(wide.intensity) < 30


def test_decorrelated_grades_have_the_same_shares_but_say_nothing_about_neighbours():
    city = box_city(1600, roof="pitched")
    made_of = uniform_structures(city, "W1", "pre")
    speed = np.where(np.arange(1600) % 40 < 20, 28.0, 55.0)
    gusts, none = Gusts(speed, np.zeros(1600)), Gusts(np.zeros(0), np.zeros(0))
    grades = {
        mode: np.array([wind(city, gusts, none, rng(s), structures=made_of, mode=mode).ems98 for s in range(15)])
        for mode in ("physical", "decorrelated")
    }
    shares = {mode: np.bincount(g.ravel(), minlength=6) / g.size for mode, g in grades.items()}
    np.testing.assert_allclose(shares["decorrelated"], shares["physical"], atol=0.015)
    grid = grades["decorrelated"].reshape(-1, 40, 40).astype(float)
    assert abs(np.corrcoef(grid[..., 1:].ravel(), grid[..., :-1].ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("grade", range(6))
def test_random_grades_lose_what_such_a_grade_loses(town, grade):
    shares = tuple(float(g == grade) for g in range(6))
    strike = blown(town, 40.0, mode="random", shares=shares)
    assert set(strike.ems98) == {grade}
    low, high = [(0, 0), (0, 0), (0.002, 0.01), (0.01, 0.2), (0.2, 1), (1, 1)][grade]
    assert strike.covering_lost.min() >= low - 1e-9
    assert strike.covering_lost.max() <= high + 1e-9
    assert 0.4 < strike.swept.mean() < 0.6 if grade == 5 else not strike.swept.any()


def test_gusts_for_other_buildings_are_one_error():
    city, one = box_city(3), Gusts(np.zeros(1), np.zeros(1))
    with pytest.raises(HazardError, match="no gust for each"):
        wind(city, one, one, rng())


def test_calm_air_does_nothing():
    city = box_city(50, trees=20)
    strike = blown(city, 0.0)
    assert not strike.ems98.any()
    assert not strike.trees.any()
    assert not strike.loss.any()


@pytest.mark.parametrize(
    "keys", [{"storm": "flood"}, {"speed": (50, 30)}, {"speed": (1, 2)}, {"days_after": -1}, {"gusts": 3}]
)
def test_a_part_that_cannot_be_is_refused(keys):
    with pytest.raises(ValidationError):
        WindPart(**keys)


@pytest.mark.parametrize("storm", ["hurricane", "tornado"])
def test_a_city_without_buildings_and_trees_is_struck_without_an_error(storm):
    city = replace(box_city(1), buildings=(), trees=Trees())
    assert len(sample_wind(rng(), city, WindPart(storm=storm)).ems98) == 0
