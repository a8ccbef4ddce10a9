"""Who burns, who is burning and who stands."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
import shapely
from flood_cities import box_building, city_of, terrain_of
from pydantic import ValidationError

from mage.scenes.city import LandPatch, Trees
from mage.scenes.errors import HazardError
from mage.scenes.hazards.fire import BURNING, FirePart, fire, sample_fire
from mage.scenes.hazards.fuel import Dryness, draw_fuel
from mage.scenes.hazards.spread import Wind, spread
from mage.scenes.sources.procedural.build import build_city
from mage.scenes.strike import Burn, Stand
from mage.scenes.style import load_style

FROM_WEST = np.pi
ALL = Dryness(resistant=0.0, spared=0.0, crowns=0.3, cured=0.3)


def grid_of_houses(side, spacing=18.0):
    """side x side houses of 10 m."""
    houses = [
        box_building(10 + i * spacing, 10 + j * spacing, 20 + i * spacing, 20 + j * spacing, name=f"{i}-{j}")
        for j in range(side)
        for i in range(side)
    ]
    cells = int((side * spacing + 20) / 4) + 1
    return city_of(terrain_of(np.zeros((cells, cells)), 4.0), buildings=houses)


@pytest.fixture(scope="module")
def suburb():
    return build_city(load_style("suburb"), 200.0, np.random.default_rng(3))


def burnt(city, minutes, *, seed=0, dryness=ALL, **more):
    return fire(city, [[15.0, 15.0]], 8.0, FROM_WEST, minutes, np.random.default_rng(seed), dryness=dryness, **more)


def test_what_the_fire_has_not_reached_is_whole_and_what_it_left_long_ago_is_gone():
    city = grid_of_houses(8)
    strike = burnt(city, 60.0, brands=0.0)
    out, reached = strike.intensity > 60, strike.intensity <= 60
    assert out.any()
    assert reached.any()
    assert (strike.burn[out] == Burn.NONE).all()
    assert (strike.burn[reached] != Burn.NONE).all()
    for name in ("ems98", "loss", "covering_lost", "deck_lost"):
        assert (getattr(strike, name)[out] == 0).all()
    late = burnt(city, 5000.0, brands=0.0)
    assert (late.burn == Burn.BURNT).all()
    assert (late.ems98 == 5).all()
    assert (late.loss == 1).all()
    assert (late.deck_lost == 1).all()


def test_a_resistant_building_burns_out_to_grade_four():
    late = burnt(grid_of_houses(3), 5000.0, dryness=replace(ALL, resistant=1.0))
    assert (late.burn == Burn.BURNT).all()
    assert (late.ems98 == 4).all()
    assert (late.deck_lost == 0).all()
    assert (late.p_grade == np.eye(6)[4]).all()


def test_later_images_never_show_less_damage():
    city = grid_of_houses(6)
    strikes = [burnt(city, minutes) for minutes in (0.0, 20.0, 60.0, 120.0, 240.0)]
    for before, after in pairwise(strikes):
        assert np.array_equal(before.intensity, after.intensity)
        assert (after.ems98 >= before.ems98).all()
        assert (after.burn >= before.burn).all()
        assert (after.loss >= before.loss).all()
        assert ((after.severity > 0).sum()) >= ((before.severity > 0).sum())


def test_grades_are_drawn_from_the_probabilities_that_are_stated():
    """1,600 houses, each with probabilities of its own: shares within four standard errors."""
    strike = burnt(grid_of_houses(40), 180.0, brands=0.0)
    assert strike.p_grade.sum(axis=1) == pytest.approx(1.0)
    assert (strike.p_grade >= 0).all()
    error = np.sqrt((strike.p_grade * (1 - strike.p_grade)).sum(axis=0))
    assert (np.abs(np.bincount(strike.ems98, minlength=6) - strike.p_grade.sum(axis=0)) <= 4 * error + 1e-9).all()
    assert (strike.p_grade[np.arange(1600), strike.ems98] > 0).all()
    assert len(np.unique(strike.ems98)) >= 4


def test_a_house_is_surely_burnt_out_when_the_longest_fire_is_over():
    strike = burnt(grid_of_houses(2), BURNING[1], brands=0.0)
    assert strike.p_grade[0, 5] == pytest.approx(1.0)
    assert strike.burn[0] == Burn.BURNT
    assert strike.intensity[0] == 0


def test_trees_are_scorched_or_burnt_where_fire_passed_and_some_live_on(suburb):
    dry = Dryness(resistant=0.0, spared=0.0, crowns=0.5, cured=0.6)
    strike = fire(suburb, [[0.0, 0.0]], 12.0, 0.3, 300.0, np.random.default_rng(5), dryness=dry)
    fuel_rng, brand_rng, *_ = np.random.default_rng(5).spawn(4)
    wind = Wind(12.0, 0.3)
    came = spread(suburb, draw_fuel(suburb, fuel_rng, dry), np.zeros((1, 2)), wind, brand_rng).trees
    counts = np.bincount(strike.trees, minlength=5)
    assert counts[Stand.SCORCHED] > 20
    assert counts[Stand.BURNT] > 20
    assert counts[Stand.FELLED] == counts[Stand.STRIPPED] == 0
    assert (strike.trees[came > 300] == Stand.STANDING).all()
    assert 0.6 < (strike.trees[came <= 300] != Stand.STANDING).mean() < 1
    passed = strike.severity > 0
    assert strike.severity.max() <= 1
    assert 0.02 < passed.mean() < 0.95


def test_a_tree_between_the_vertices_of_a_coarse_ground_burns_as_any_other():
    places = np.stack([np.arange(130.0, 270.0, 3.5), np.full(40, 150.0)], axis=1)
    trees = Trees(places, np.full(40, 8.0), np.full(40, 2.0), np.zeros(40, np.uint8))
    city = replace(city_of(terrain_of(np.zeros((5, 5)), 100.0)), trees=trees)
    dry = replace(ALL, crowns=1.0)
    states = []
    for seed in range(20):
        strike = fire(city, places[:1], 10.0, FROM_WEST, 600.0, np.random.default_rng(seed), dryness=dry)
        assert not strike.severity.any()  # no crown holds a vertex
        states.append(strike.trees)
    assert (np.array(states) != Stand.STANDING).mean() > 0.75
    early = fire(city, places[:1], 0.0, FROM_WEST, 5.0, np.random.default_rng(0), dryness=dry)
    assert (early.trees[5:] == Stand.STANDING).all()


def test_ground_at_burnt_houses_is_black_and_woods_keep_islands():
    city = replace(grid_of_houses(2), land=(LandPatch(shapely.box(0, 0, 300, 300), "forest"),))
    strike = burnt(city, 600.0)
    middles = shapely.get_coordinates([b.footprint.centroid for b in city.buildings])
    assert (city.ground.sample(middles, strike.severity) >= 0.85).all()
    assert 0.6 < (strike.severity > 0).mean() < 0.99


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_fire(suburb):
    first, again, other = (sample_fire(np.random.default_rng(s), suburb, FirePart()) for s in (7, 7, 8))
    for field in fields(first):
        a, b = getattr(first, field.name), getattr(again, field.name)
        assert a.tobytes() == b.tobytes() if isinstance(a, np.ndarray) else a == b
    assert first.parameters != other.parameters
    assert not np.array_equal(first.intensity, other.intensity)


@pytest.mark.parametrize("seed", range(5))
def test_a_wildfire_comes_in_from_the_side_of_the_wind(seed):
    city = grid_of_houses(10)
    part = FirePart(start="upwind", wind=(15, 15), minutes=(400, 400), resistant=(0, 0), spared=(0, 0), brands=0)
    strike = sample_fire(np.random.default_rng(seed), city, part)
    comes_from = strike.parameters["wind_from"]
    along = shapely.get_coordinates([b.footprint.centroid for b in city.buildings]) @ [
        np.cos(comes_from),
        np.sin(comes_from),
    ]
    assert np.corrcoef(along, strike.intensity)[0, 1] < -0.2
    assert along[strike.intensity == 0].min() > np.median(along)


def test_styles_may_resist_more_than_the_rest():
    city = grid_of_houses(4)
    named = tuple(replace(b, style="european" if i % 2 else "") for i, b in enumerate(city.buildings))
    dryness = replace(ALL, styles={"european": 1.0})
    strike = burnt(replace(city, buildings=named), 5000.0, dryness=dryness)
    assert (strike.ems98 == np.where(np.arange(16) % 2, 4, 5)).all()


@pytest.mark.parametrize(
    ("wind", "direction", "minutes"), [(-1, 0, 60), (np.nan, 0, 60), (99, 0, 60), (5, np.inf, 60), (5, 0, -1)]
)
def test_numbers_that_no_fire_has_are_refused(wind, direction, minutes):
    with pytest.raises(HazardError):
        fire(grid_of_houses(2), [[0, 0]], wind, direction, minutes, np.random.default_rng(0))


def test_a_recipe_with_a_falling_range_or_an_unknown_key_is_refused():
    with pytest.raises(ValidationError):
        FirePart(wind=(9, 3))
    with pytest.raises(ValidationError):
        FirePart(smokes=1)  # type: ignore[call-arg]
