"""Floods whose height is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from flood_cities import box_building, city_of, river, terrain_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mage.scenes.grid import Grid
from mage.scenes.hazards.flood import level_for_share, prepare_flood, sample_flood
from mage.scenes.parts import FloodPart

TILE = Grid.around(60.0, 50.0, 120, 0.5)  # 60 m about a place east of the river


@pytest.fixture(scope="module")
def city():
    """100 x 100 m of rolling ground beside a river, with a block of houses."""
    rough = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=(101, 101)), 6) * 8
    heights = rough + np.arange(101) * 0.02
    heights[:, :12] = -3.0
    houses = [box_building(x, y, x + 8, y + 8, name=f"{x}-{y}") for x in (40, 60, 80) for y in (30, 60)]
    return city_of(terrain_of(heights), water=[river(-1, -1, 11.4, 101, -1.0)], buildings=houses)


def open_vertices(city, tile):
    """The tile's vertices outside houses and river, found by plain loops."""
    west, south, east, north = tile.bounds
    rows, columns = [], []
    x, y = city.ground.axes()
    for r, c in np.ndindex(city.ground.heights.shape):
        inside = west <= x[c] <= east and south <= y[r] <= north and x[c] > 11.4
        built = any(
            b.footprint.bounds[0] < x[c] < b.footprint.bounds[2]
            and b.footprint.bounds[1] < y[r] < b.footprint.bounds[3]
            for b in city.buildings
        )
        if inside and not built:
            rows.append(r)
            columns.append(c)
    return rows, columns


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_the_wanted_share_of_the_open_ground_is_wet(city, share):
    impact = sample_flood(
        np.random.default_rng(0), city, FloodPart(share=(share, share), rise=(0, 0), highest=30), TILE
    )
    ground = open_vertices(city, TILE)
    wet = np.nan_to_num(impact.levels[ground], nan=-np.inf) > city.ground.heights[ground]
    assert wet.mean() == pytest.approx(share, abs=0.01)


def test_the_share_is_drawn_from_its_range_by_the_generator_alone(city):
    part = FloodPart(share=(0.1, 0.9), highest=30)
    first, again, other = (sample_flood(np.random.default_rng(s), city, part, TILE) for s in (7, 7, 8))
    for name in ("levels", "intensity", "jds", "loss", "wet_share"):
        assert np.array_equal(getattr(first, name), getattr(again, name), equal_nan=True)
    assert first.parameters == again.parameters
    assert first.parameters["level"] != other.parameters["level"]


def test_a_rise_stands_on_top_of_the_level_that_wets_the_share(city):
    at, above = (
        sample_flood(np.random.default_rng(0), city, FloodPart(share=(0.5, 0.5), rise=(r, r), highest=30), TILE)
        for r in (0.0, 0.4)
    )
    assert above.parameters["level"] == pytest.approx(at.parameters["level"] + 0.4)


def test_no_stage_exceeds_the_highest(city):
    impact = sample_flood(np.random.default_rng(0), city, FloodPart(share=(1, 1), highest=0.5), TILE)
    assert impact.parameters["stage"] == pytest.approx(0.5)
    assert impact.parameters["level"] == pytest.approx(-0.5)
    impact = sample_flood(np.random.default_rng(0), city, FloodPart(stage=(3, 3), highest=2), TILE)
    assert impact.parameters["stage"] == pytest.approx(2)


def test_a_stage_is_measured_from_the_waters_normal_level(city):
    impact = sample_flood(np.random.default_rng(0), city, FloodPart(stage=(1.5, 1.5), region="asia"), TILE)
    assert impact.parameters == {"level": 0.5, "source": "river", "region": "asia", "stage": 1.5}


def test_a_basis_at_hand_gives_the_same_flood(city):
    fresh = sample_flood(np.random.default_rng(1), city, FloodPart(), TILE)
    reused = sample_flood(np.random.default_rng(1), city, FloodPart(), TILE, basis=prepare_flood(city, FloodPart()))
    assert np.array_equal(fresh.levels, reused.levels, equal_nan=True)


def test_a_tile_without_open_ground_is_flooded_to_a_share_of_the_highest_stage(city):
    river_only = Grid.around(5.0, 50.0, 8, 1.0)
    impact = sample_flood(
        np.random.default_rng(0), city, FloodPart(share=(0.25, 0.25), rise=(0, 0), highest=4), river_only
    )
    assert impact.parameters["stage"] == pytest.approx(1.0)


@settings(max_examples=80)
@given(st.lists(st.integers(0, 20).map(float), min_size=1, max_size=40), st.floats(0, 1))
def test_no_other_level_comes_nearer_to_the_share(arrival, share):
    arrival = np.array(arrival)
    level = level_for_share(arrival, share)
    reached = abs((arrival < level).mean() - share)
    others = [abs((arrival < other).mean() - share) for other in np.linspace(-0.5, 21, 44)]
    assert reached <= min(others) + 1e-9


def test_a_level_between_neighbouring_floats_still_wets_the_lower_one():
    low = 1.0
    high = np.nextafter(low, 2)
    assert level_for_share(np.array([low, high]), 0.5) == high
