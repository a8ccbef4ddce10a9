"""How fire goes from one thing to the next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from flood_cities import box_building, city_of, terrain_of
from hypothesis import given
from hypothesis import strategies as st

from mage.scenes.city import LandPatch, Trees
from mage.scenes.errors import HazardError
from mage.scenes.hazards.fuel import Dryness, draw_fuel
from mage.scenes.hazards.spread import BACKING, REACH, Wind, hamada_minutes, spread, vegetation_minutes

EAST, NORTH, WEST = 0.0, np.pi / 2, np.pi
FROM_WEST = np.pi


def row(count, *, gap=6.0, side=10.0):
    """Equal houses from west to east on bare ground of 2 m cells."""
    houses = [
        box_building(10 + i * (side + gap), 20, 10 + i * (side + gap) + side, 20 + side, name=f"h{i}")
        for i in range(count)
    ]
    columns = int((count * (side + gap) + 20) / 2) + 1
    return city_of(terrain_of(np.zeros((26, columns)), 2.0), buildings=houses)


def fuel_of(city, **shares):
    return draw_fuel(city, np.random.default_rng(0), Dryness(**{"resistant": 0, "spared": 0, **shares}))


def arrivals(city, wind, *, at=0, fuel=None, brands=0.0):
    start = shapely.get_coordinates(city.buildings[at].footprint.centroid)
    return spread(city, fuel or fuel_of(city), start, wind, np.random.default_rng(0), brands=brands)


@pytest.mark.parametrize(("a", "d", "v"), [(10, 6, 0), (8, 3, 5), (25, 14, 12), (12, 0, 20)])
def test_hamadas_times_are_those_of_the_published_equations(a, d, v):
    args = np.array([a], float), np.array([d], float), float(v)
    down, side, up = (hamada_minutes(*args, np.array([t]), np.zeros(1))[0] for t in (EAST, NORTH, WEST))
    assert down == pytest.approx((3 + 0.375 * a + 8 * d / (25 + 2.5 * v)) / (1.6 * (1 + 0.1 * v + 0.007 * v * v)))
    assert side == pytest.approx((3 + 0.375 * a + 8 * d / (5 + 0.25 * v)) / (1 + 0.005 * v * v))
    assert up == pytest.approx((3 + 0.375 * a + 8 * d / (5 + 0.2 * v)) / (1 + 0.002 * v * v))
    hard = hamada_minutes(*args, np.array([EAST]), np.ones(1))[0]
    assert hard == pytest.approx((5 + 0.625 * a + 16 * d / (25 + 2.5 * v)) / (1.6 * (1 + 0.1 * v + 0.007 * v * v)))


def test_a_worked_example_of_hamadas_time():
    """A house of 10 m, 6 m away, 10 m/s: (3 + 3.75 + 48 / 50) / (1.6 * 2.7) minutes."""
    t = hamada_minutes(np.array([10.0]), np.array([6.0]), 10.0, np.array([0.0]), np.zeros(1))
    assert t[0] == pytest.approx(7.71 / 4.32)


@given(st.floats(0, 30), st.floats(-np.pi, np.pi), st.floats(1, 60), st.floats(0, 15))
def test_between_the_directions_times_lie_between_theirs_and_mirror(wind, angle, side, gap):
    a, d, soft = np.array([side]), np.array([gap]), np.zeros(1)
    t = hamada_minutes(a, d, wind, np.array([angle]), soft)
    assert t == pytest.approx(hamada_minutes(a, d, wind, np.array([-angle]), soft))
    along = EAST if np.cos(angle) >= 0 else WEST
    ends = [hamada_minutes(a, d, wind, np.array([x]), soft)[0] for x in (along, NORTH)]
    assert min(ends) * (1 - 1e-9) <= t[0] <= max(ends) * (1 + 1e-9)
    assert hamada_minutes(a, d, wind, np.array([angle]), np.ones(1)) > t


def test_fire_runs_along_a_row_of_equal_houses_at_the_sum_of_hamadas_times():
    city = row(6)
    came = arrivals(city, Wind(8.0, FROM_WEST))
    one = (3 + 0.375 * 10 + 8 * 6 / (25 + 2.5 * 8)) / (1.6 * (1 + 0.1 * 8 + 0.007 * 64))
    assert came.buildings == pytest.approx(np.arange(6) * one)


def test_fire_takes_the_quicker_way_round_and_starts_from_the_nearest_of_many():
    city = row(7)
    start = np.array([[15.0, 25.0], [6 * 16 + 15.0, 25.0]])
    came = spread(city, fuel_of(city), start, Wind(0.0, 0.0), np.random.default_rng(0), brands=0.0).buildings
    up = (3 + 0.375 * 10 + 8 * 6 / 5) / 1.0
    down = (3 + 0.375 * 10 + 8 * 6 / 25) / 1.6
    by_hand = [min(up * i, down * (6 - i)) for i in range(7)]  # no wind blows to the west here
    assert came == pytest.approx(by_hand)


def test_wind_makes_fire_faster_down_wind_than_sideward_and_upwind():
    city = row(5)
    down, aside, up = (arrivals(city, Wind(12.0, d)).buildings[-1] for d in (FROM_WEST, NORTH, EAST))
    assert down < aside < up
    assert down < arrivals(city, Wind(4.0, FROM_WEST)).buildings[-1]


def test_resistant_houses_slow_it_and_spared_ones_stop_it():
    city = row(5)
    wind, fuel = Wind(8.0, FROM_WEST), fuel_of(city)
    soft = arrivals(city, wind).buildings[-1]
    hard = arrivals(city, wind, fuel=replace(fuel, resistant=np.ones(5, bool))).buildings[-1]
    half = arrivals(city, wind, fuel=replace(fuel, resistant=np.arange(5) == 2)).buildings[-1]
    assert soft < half < hard
    spared = replace(fuel, spared=np.arange(5) == 2)
    assert np.isinf(arrivals(city, wind, fuel=spared).buildings[2:]).all()
    assert arrivals(city, wind, fuel=spared, at=2).buildings[2] == 0


def test_a_firebreak_wider_than_the_reach_stops_it():
    wind = Wind(20.0, FROM_WEST)
    assert np.isfinite(arrivals(row(2, gap=REACH - 0.1), wind).buildings[1])
    assert np.isinf(arrivals(row(2, gap=REACH + 0.1), wind).buildings[1])


def test_brands_cross_a_firebreak_down_wind_only():
    city = row(2, gap=40.0)
    assert np.isfinite(arrivals(city, Wind(15.0, FROM_WEST), brands=100.0).buildings[1])
    assert np.isinf(arrivals(city, Wind(15.0, EAST), brands=100.0).buildings[1])


def test_vegetation_carries_fire_across_what_is_too_wide_for_houses():
    city = replace(row(2, gap=60.0), land=(LandPatch(shapely.box(0, 0, 200, 50), "scrub"),))
    wind = Wind(6.0, FROM_WEST)
    came = arrivals(city, wind, fuel=fuel_of(city))
    assert 0 < came.buildings[1] < 60
    bare = replace(city, land=(LandPatch(shapely.box(0, 0, 200, 50), "paved"),))
    assert np.isinf(arrivals(bare, wind).buildings[1])


def test_a_fire_in_vegetation_runs_at_its_share_of_the_wind_and_backs_slowly():
    ten = np.array([10.0])
    head = vegetation_minutes(ten, np.array([0.1]), 10.0, np.array([EAST]))
    assert head == pytest.approx(10 / (BACKING + 60))
    assert vegetation_minutes(ten, np.array([0.1]), 10.0, np.array([WEST])) == pytest.approx(10 / BACKING)
    flank = vegetation_minutes(ten, np.array([0.1]), 10.0, np.array([NORTH]))
    assert head < flank < 10 / BACKING
    still = [vegetation_minutes(ten, np.array([0.1]), 0.0, np.array([a]))[0] for a in (EAST, NORTH, WEST)]
    assert still == pytest.approx([10 / BACKING] * 3)


@pytest.mark.parametrize("speed", [2.0, 8.0, 14.0])
def test_a_fire_in_vegetation_is_as_long_for_its_breadth_as_alexander_says(speed):
    hour = {a: 60 / vegetation_minutes(np.array([1.0]), np.array([0.1]), speed, np.array([a]))[0]
            for a in (EAST, WEST, NORTH, -NORTH)}  # fmt: skip
    length, breadth = hour[EAST] + hour[WEST], hour[NORTH] + hour[-NORTH]
    assert length / breadth == pytest.approx(min(1 + 0.0012 * (3.6 * speed) ** 2.154, 8.0))


def test_flanks_are_never_slower_than_a_fire_against_the_wind():
    flank = vegetation_minutes(np.array([1.0]), np.array([0.001]), 20.0, np.array([NORTH]))
    assert flank == pytest.approx(1 / BACKING)


def test_crowns_pass_fire_on_only_where_they_are_drawn_to():
    trees = Trees(np.stack([np.arange(24.0, 84, 4), np.full(15, 25.0)], axis=1), np.full(15, 8.0), np.full(15, 2.0))
    trees = replace(trees, species=np.zeros(15, np.uint8))
    city = replace(row(2, gap=60.0), trees=trees)
    lit, green = (arrivals(city, Wind(6.0, FROM_WEST), fuel=fuel_of(city, crowns=c)) for c in (1.0, 0.0))
    assert np.isfinite(lit.buildings[1])
    assert (np.diff(lit.trees) > 0).all()
    assert np.isinf(green.buildings[1])
    assert np.isfinite(green.trees[0])
    assert np.isinf(green.trees[3:]).all()


def test_the_ground_at_a_house_burns_when_the_house_does():
    city = row(3)
    came = arrivals(city, Wind(8.0, FROM_WEST))
    middle = shapely.get_coordinates([b.footprint.centroid for b in city.buildings])
    assert city.ground.sample(middle, came.ground) == pytest.approx(came.buildings)
    assert np.isinf(came.ground[0]).all()


def test_a_fire_without_an_ignition_burns_nothing_and_one_nowhere_is_an_error():
    city = row(2)
    none = spread(city, fuel_of(city), np.zeros((0, 2)), Wind(5.0, 0.0), np.random.default_rng(0))
    assert np.isinf(none.buildings).all()
    with pytest.raises(HazardError, match="finite"):
        spread(city, fuel_of(city), np.array([[np.nan, 0]]), Wind(5.0, 0.0), np.random.default_rng(0))
    empty = city_of(terrain_of(np.zeros((5, 5))))
    with pytest.raises(HazardError, match="nothing in the city burns"):
        spread(empty, fuel_of(empty), np.zeros((1, 2)), Wind(5.0, 0.0), np.random.default_rng(0))


def test_no_share_of_what_burns_may_exceed_one():
    with pytest.raises(HazardError, match="european"):
        Dryness(styles={"european": 1.5})
