"""Where the water goes."""

from __future__ import annotations

import numpy as np
import pytest
from flood_cities import box_building, city_of, priority_flood, river, terrain_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from mage.scenes.errors import HazardError
from mage.scenes.hazards.flood import arrival_levels, flood, lowest_passes
from mage.scenes.terrain import depth_at

SIX = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]])  # the neighbours along the triangulation's edges
HEIGHTS = hnp.arrays(float, (6, 7), elements=st.integers(0, 12).map(float))


def valley(depth_of_ridge=5.0):
    """21 x 21 m of ground at 0 m, a river bed of -2 m in the west (normal level -1 m), and a ridge in the middle."""
    heights = np.zeros((21, 21))
    heights[:, :4] = -2.0
    heights[:, 10] = depth_of_ridge
    return heights, river(-0.5, -1, 3.5, 21, -1.0)


def test_a_plane_under_water_is_exactly_as_deep_as_the_level_says():
    heights = np.zeros((11, 11))
    heights[:, :3] = -3.0
    city = city_of(terrain_of(heights), water=[river(-1, -1, 2.4, 11, -1.0)])
    impact = flood(city, level=1.25)
    xy = np.random.default_rng(0).uniform((3, 0), (10, 10), (200, 2))
    assert np.allclose(depth_at(city.ground, impact.levels, xy), 1.25, atol=1e-12)


def test_depth_on_a_slope_is_level_minus_ground_and_the_shoreline_lies_where_they_meet():
    heights = np.tile(np.arange(21) * 0.25, (21, 1))
    city = city_of(terrain_of(heights))
    impact = flood(city, level=2.1)
    x = np.linspace(0, 20, 401)
    depth = depth_at(city.ground, impact.levels, np.stack([x, np.full_like(x, 7.3)], axis=1))
    assert np.allclose(depth, np.maximum(2.1 - x * 0.25, 0), atol=1e-12)


def test_water_never_crosses_a_ridge_that_is_higher_than_it():
    heights, water = valley()
    city = city_of(terrain_of(heights), water=[water])
    below = flood(city, level=4.9)
    assert np.isfinite(below.levels[:, :10]).all()
    assert np.isnan(below.levels[:, 11:]).all()
    above = flood(city, level=5.1)
    assert np.isfinite(above.levels).all()


def test_a_ridge_along_the_triangles_diagonal_holds_and_one_across_it_leaks():
    ground = np.zeros((9, 9))
    ground[0, 8] = ground[8, 0] = -1.0  # the corners that lie apart when a ridge runs from north-west to south-east
    along = ground + 5 * np.eye(9)
    start = np.where(np.arange(81).reshape(9, 9) == 8, 0.0, np.nan)
    assert lowest_passes(along, start)[8, 0] == 5.0
    across = np.fliplr(5 * np.eye(9))
    start = np.where(np.arange(81).reshape(9, 9) == 0, 0.0, np.nan)
    assert lowest_passes(across, start)[8, 8] == 0.0


def test_a_bowl_stays_dry_until_the_water_spills_over_its_rim():
    heights = np.full((15, 15), 0.0)
    heights[:, 0] = -1.0
    heights[5:10, 5:10] = 3.0  # a rim ...
    heights[6:9, 6:9] = -2.0  # ... around ground lower than the river
    heights[5, 7] = 2.0  # with a notch
    city = city_of(terrain_of(heights), water=[river(-0.5, -1, 0.5, 15, -0.5)])
    assert np.isnan(flood(city, level=1.9).levels[7, 7])
    full = flood(city, level=2.1)
    assert full.levels[7, 7] == 2.1
    assert arrival_levels(city)[7, 7] == 2.0


def test_a_river_carries_the_flood_level_where_the_flood_covers_it():
    heights, water = valley()
    impact = flood(city_of(terrain_of(heights), water=[water]), level=0.5)
    assert (impact.levels[:, :4] == 0.5).all()
    assert impact.parameters == {"level": 0.5, "source": "river", "region": "europe", "stage": 1.5}


def test_without_water_the_lowest_place_on_the_border_is_the_breach():
    heights = np.full((9, 9), 2.0)
    heights[4, 4] = 0.0  # lower, but in the middle
    heights[8, 3] = 1.0
    city = city_of(terrain_of(heights))
    assert arrival_levels(city)[8, 3] == 1.0
    assert arrival_levels(city)[4, 4] == 2.0
    impact = flood(city, level=1.5)
    assert impact.parameters["source"] == "breach"
    assert impact.parameters["stage"] == 0.5
    assert (impact.levels == 1.5).sum() == np.isfinite(impact.levels).sum() > 1
    assert (np.nonzero(np.nan_to_num(impact.levels) > heights)[0] == 8).all()


def test_a_lake_on_a_hill_is_no_source_of_a_lower_flood():
    heights = np.full((9, 20), 4.0)
    heights[:, :4] = -1.0
    heights[3:6, 14:17] = 3.0
    waters = [river(-1, -1, 3.5, 9, 0.0), river(13.5, 2.5, 16.5, 5.5, 3.5)]
    impact = flood(city_of(terrain_of(heights), water=waters), level=2.0)
    assert np.isfinite(impact.levels[:, :4]).all()
    assert np.isnan(impact.levels[:, 10:]).all()


@pytest.mark.parametrize("level", [-1.0, -7.0])
def test_a_level_no_higher_than_the_river_floods_nothing(level):
    heights, water = valley()
    city = city_of(terrain_of(heights), water=[water], buildings=[box_building(5, 5, 8, 8)])
    impact = flood(city, level=level)
    assert np.isnan(impact.levels).all()
    assert impact.intensity[0] == impact.wet_share[0] == impact.jds[0] == impact.loss[0] == 0


@settings(max_examples=60)
@given(HEIGHTS, st.integers(0, 41), st.integers(0, 41))
def test_arrival_levels_agree_with_a_priority_flood_from_any_two_sources(heights, one, other):
    start = np.full(heights.shape, np.nan)
    start.flat[one] = heights.flat[one] + 2.0
    start.flat[other] = heights.flat[other]
    assert np.array_equal(lowest_passes(heights, start), priority_flood(heights, start))


@settings(max_examples=60)
@given(HEIGHTS, st.floats(-1, 14))
def test_wet_is_what_a_labelling_of_low_ground_joins_to_the_source(heights, level):
    start = np.full(heights.shape, np.nan)
    start[2, 3] = heights[2, 3]
    regions, _ = ndimage.label(heights < level, structure=SIX)
    joined = (regions == regions[2, 3]) & (regions[2, 3] > 0)
    assert np.array_equal(lowest_passes(heights, start) < level, joined)


@settings(max_examples=60)
@given(HEIGHTS, st.floats(-1, 14), st.floats(0, 3))
def test_a_higher_level_never_shrinks_the_flood_and_no_depth_is_negative(heights, level, more):
    city = city_of(terrain_of(heights))
    xy = np.random.default_rng(1).uniform(0, 6, (100, 2))
    low, high = (depth_at(city.ground, flood(city, level=v).levels, xy) for v in (level, level + more))
    assert (low >= 0).all()
    assert (high >= low - 1e-12).all()


@settings(max_examples=30)
@given(HEIGHTS, st.floats(-1, 14))
def test_water_over_a_wet_vertex_is_never_cut_off_in_the_middle_of_a_triangle(heights, level):
    """Every neighbour of a wet vertex has a level: it is wet as well, or shore."""
    terrain = terrain_of(heights)
    levels = flood(city_of(terrain), level=level).levels
    wet = np.isfinite(levels) & (heights < level)
    assert np.isfinite(levels)[ndimage.binary_dilation(wet, SIX)].all()


def test_arrival_levels_may_be_handed_in_and_change_nothing():
    heights = np.random.default_rng(3).normal(size=(20, 20))
    city = city_of(terrain_of(heights), buildings=[box_building(4, 4, 9, 9)])
    arrival = arrival_levels(city)
    fresh, reused = flood(city, level=0.7), flood(city, level=0.7, arrival=arrival)
    assert np.array_equal(fresh.levels, reused.levels, equal_nan=True)
    assert np.array_equal(fresh.intensity, reused.intensity)
    with pytest.raises(HazardError, match="arrival levels of another city"):
        flood(city, level=0.7, arrival=arrival[1:])


@pytest.mark.parametrize("level", [float("nan"), float("inf"), -float("inf")])
def test_a_level_must_be_finite(level):
    with pytest.raises(HazardError, match="needs a level"):
        flood(city_of(terrain_of(np.zeros((3, 3)))), level=level)


def test_a_city_without_ground_cannot_be_flooded():
    city = city_of(terrain_of(np.zeros((3, 3)))).with_parts(terrain=None)
    with pytest.raises(HazardError, match="no terrain"):
        flood(city, level=1.0)
    with pytest.raises(HazardError, match="no terrain"):
        arrival_levels(city)
