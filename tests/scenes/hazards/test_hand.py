"""Height above the nearest drainage."""

from __future__ import annotations

import numpy as np
import pytest
from flood_cities import city_of, river, terrain_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from mage.scenes.errors import HazardError
from mage.scenes.hazards.flood import lowest_passes
from mage.scenes.hazards.hand import hand, hand_levels
from mage.scenes.sources.procedural.build import build_city
from mage.scenes.style import load_style

SIX = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]])
HEIGHTS = hnp.arrays(float, (8, 9), elements=st.integers(0, 12).map(float))


def slope_city():
    """A plane that rises by 0.5 m a metre east of a river whose normal level is 0 m."""
    heights = np.tile(0.5 * np.arange(21.0) - 1.0, (11, 1))
    return city_of(terrain_of(heights), water=[river(-1, -1, 1.9, 11, 0.0)])


def test_on_a_slope_it_is_the_height_above_the_river():
    city = slope_city()
    heights = hand(city, area=1e9)
    dry = city.ground.heights > 0
    assert heights.height[dry] == pytest.approx(city.ground.heights[dry])
    assert (heights.base == 0).all()
    assert (heights.height[:, :2] == 0).all()


def test_a_stage_wets_what_lies_lower_and_leaves_the_levels_flat():
    city = slope_city()
    levels = hand_levels(city, 2.2, heights=hand(city, area=1e9))
    assert levels[np.isfinite(levels)] == pytest.approx(2.2)
    wet = city.ground.heights < 2.2
    assert np.isfinite(levels[wet]).all()
    assert np.isfinite(levels).sum() == wet.sum() + 11  # one vertex over the shore


def test_every_river_counts_from_its_own_level_in_its_own_valley():
    heights = np.tile(np.abs(np.arange(21.0) - 10) * -1.0 + 12, (9, 1))  # a ridge of 12 m in the middle
    heights[:, 11:] += 4.0
    city = city_of(terrain_of(heights), water=[river(-1, -1, 0.9, 9, 2.5), river(19.1, -1, 21, 9, 6.5)])
    heights = hand(city, area=1e9)
    assert heights.base[:, :10] == pytest.approx(2.5)
    assert heights.base[:, 12:] == pytest.approx(6.5)
    assert heights.height[4, 5] == pytest.approx(7 - 2.5)
    assert heights.height[4, 15] == pytest.approx(11 - 6.5)


def test_a_hollow_stays_dry_until_its_rim_is_overtopped():
    heights = np.tile(0.5 * np.arange(21.0) - 1.0, (11, 1))
    heights[4:7, 8:11] = -2.0  # below the river, behind ground of at least 2.5 m
    city = city_of(terrain_of(heights), water=[river(-1, -1, 1.9, 11, 0.0)])
    above = hand(city, area=1e9)
    assert above.height[5, 9] == pytest.approx(2.5)
    assert np.isnan(hand_levels(city, 2.4, heights=above)[5, 9])
    assert hand_levels(city, 2.6, heights=above)[5, 9] == pytest.approx(2.6)


def test_a_valley_without_a_river_drains_along_the_line_that_gathers_enough():
    x, y = np.meshgrid(np.arange(21.0), np.arange(40.0))
    heights = 0.5 * np.abs(x - 10) + 0.05 * (40 - y)  # falls to the middle and to the south
    city = city_of(terrain_of(heights))
    gathered = hand(city, area=200).gathered
    assert gathered.max() == gathered[:, 10].max()
    assert gathered[-1, 10] == pytest.approx(21 * 40, rel=0.15)
    assert (np.diff(gathered[:, 10]) > 0).all()
    above = hand(city, area=200).height
    assert (above[20:, 10] == 0).all()
    assert (above[20:30, 9] > 0).all()


def test_all_water_that_falls_leaves_somewhere():
    """Every vertex runs to the border of a lattice without water, so the ends gather all of it."""
    rng = np.random.default_rng(2)
    city = city_of(terrain_of(rng.normal(size=(30, 33)), 3.0))
    gathered = hand(city, area=100.0).gathered
    assert gathered.min() == pytest.approx(9.0)
    assert gathered.max() <= 30 * 33 * 9


def test_a_flat_terrain_drains_without_going_round_in_circles():
    city = city_of(terrain_of(np.zeros((30, 30))))
    heights = hand(city, area=5.0)
    assert set(np.unique(heights.height[np.isfinite(heights.height)])) == {0.0}


@settings(max_examples=60)
@given(HEIGHTS, st.floats(0.1, 6), st.floats(0.1, 6))
def test_a_higher_stage_never_shrinks_the_flood_and_it_hangs_together_with_its_drainage(heights, a, b):
    city = city_of(terrain_of(heights), water=[river(-0.5, -1, 1.5, 9, float(heights[:, :2].max()) + 0.5)])
    above = hand(city, area=20.0)
    low, high = (hand_levels(city, stage, heights=above) for stage in sorted((a, b)))
    ground = city.ground.heights
    assert (high[low > ground] > low[low > ground] - 1e-9).all()
    assert (high > ground)[low > ground].all()
    wet = above.height < min(a, b)
    parts, count = ndimage.label(wet, SIX)
    assert all((above.height[parts == k] == 0).any() for k in range(1, count + 1))
    assert (above.height >= 0).all()
    assert (low[wet] > city.ground.heights[wet]).all()


@settings(max_examples=40)
@given(HEIGHTS)
def test_no_water_comes_to_a_place_before_the_lowest_way_to_it_is_open(heights):
    """Against the smallest possible maximum along any way from the river: never lower than that."""
    surface = float(heights[:, 0].max()) + 0.25
    city = city_of(terrain_of(heights), water=[river(-0.5, -1, 0.5, 9, surface)])
    above = hand(city, area=1e9)
    start = np.full(heights.shape, np.nan)
    start[:, 0] = surface
    least = lowest_passes(np.where(np.isnan(start), heights, start), start)
    reached = np.isfinite(above.height)
    assert reached[:, 0].all()
    assert ((above.height + above.base)[reached] >= least[reached] - 1e-9).all()


def test_no_stage_is_no_flood_and_the_same_city_gives_the_same_bytes():
    city = build_city(load_style("suburb"), 120.0, np.random.default_rng(4))
    above = hand(city)
    assert np.isnan(hand_levels(city, 0.0, heights=above)).all()
    assert hand_levels(city, 1.0, heights=above).tobytes() == hand_levels(city, 1.0).tobytes()
    assert np.isfinite(hand_levels(city, 1.0)).any()


def test_what_cannot_be_drained_is_a_clear_error():
    city = city_of(terrain_of(np.zeros((5, 5))))
    with pytest.raises(HazardError, match=r"no drainage.*expected permanent water"):
        hand(city)
    with pytest.raises(HazardError, match="area"):
        hand(city, area=0.0)
    with pytest.raises(HazardError, match="stage"):
        hand_levels(slope_city(), np.nan)
    with pytest.raises(HazardError, match="another city"):
        hand_levels(city, 1.0, heights=hand(slope_city()))
