"""Moving water: what the equations say it does, and what it must never do."""

from __future__ import annotations

import numpy as np
import pytest
from flood_cities import city_of, river, terrain_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mage.scenes.errors import HazardError
from mage.scenes.hazards.inertia import run
from mage.scenes.hazards.shallow import Breach, Inflow, flood_levels, shallow
from mage.scenes.sources.procedural.build import build_city
from mage.scenes.style import load_style

BEDS = hnp.arrays(float, (7, 8), elements=st.floats(0, 4, width=32))


def hunter(x, t, n, u):
    """Hunter et al. (2005, doi:10.1016/j.advwatres.2005.03.007): a wave of constant velocity on a plane."""
    return (7 / 3 * n**2 * u**2 * np.maximum(u * t - x, 0)) ** (3 / 7)


def wave(n, u, step, seconds):
    columns = int(1.3 * u * seconds / step)
    bed, x = terrain_of(np.zeros((3, columns)), step), np.arange(columns) * step

    def held(time):
        level = np.full((3, columns), np.nan)
        level[:, 0] = hunter(0.0, time, n, u)
        return level

    return x, run(bed, np.zeros((3, columns)), seconds=seconds, held=held, manning=n)


@pytest.mark.parametrize(("n", "u", "step"), [(0.03, 0.6, 20.0), (0.05, 0.5, 10.0)])
def test_a_wave_over_a_plane_with_friction_has_the_analytic_profile(n, u, step):
    """RMSE within 2 % of the depth at the source, front within two cells, velocity within 3 % behind it.

    The analytic wave solves the full equations; without advection the scheme's own is lower near its front, where
    depths come near u²/g.
    """
    x, water = wave(n, u, step, 3600.0)
    exact = hunter(x, 3600.0, n, u)
    depth = water.depth[1]
    assert np.sqrt(((depth - exact)[exact > 0] ** 2).mean()) < 0.02 * exact[0]
    assert abs(x[depth > 1e-3].max() - u * 3600) <= 2 * step
    behind = (x > 0.1 * u * 3600) & (x < 0.8 * u * 3600)
    assert water.velocity[1, behind, 0] == pytest.approx(u, rel=0.03)
    assert np.abs(water.velocity[..., 1]).max() == 0
    assert abs(water.balance.error) < 1e-12


@settings(max_examples=30)
@given(BEDS, st.floats(0.5, 6), st.booleans())
def test_a_lake_at_rest_stays_at_rest_over_any_bed(heights, level, closed):
    depth = np.maximum(level - heights, 0)
    beyond = None if closed else np.maximum(heights, level)
    water = run(terrain_of(heights, 5.0), depth, seconds=120.0, beyond=beyond)
    assert water.depth == pytest.approx(depth, abs=1e-9)
    assert water.speed_max.max() < 1e-9


@settings(max_examples=40)
@given(BEDS, st.floats(0, 500), st.floats(0, 3), st.booleans())
def test_no_depth_is_ever_negative_and_no_water_is_lost_or_made(heights, rain, pile, closed):
    depth = np.zeros(heights.shape)
    depth[3, 4] = pile
    water = run(
        terrain_of(heights, 4.0),
        depth,
        seconds=300.0,
        gains=lambda time: np.full(heights.shape, rain / 3.6e6 if time < 120 else 0.0),
        beyond=None if closed else heights,
    )
    assert water.depth.min() >= 0
    assert np.isfinite(water.depth).all()
    assert abs(water.balance.error) < 1e-9
    assert water.balance.left >= 0
    assert (water.balance.left == 0) | (not closed)
    assert (water.depth_max >= water.depth).all()


def test_rain_on_a_closed_plane_stands_as_deep_as_it_fell():
    heights = np.zeros((10, 10))
    city = city_of(terrain_of(heights, 4.0))
    water = shallow(city, minutes=60, step=4.0, rain=50.0, rain_minutes=30, closed=True)
    assert water.depth == pytest.approx(0.025, abs=1e-4)  # the last step of rain may run past its end
    assert water.balance.added == pytest.approx(0.025 * 100 * 16, rel=0.01)


def test_water_runs_downhill_and_out_over_an_open_border():
    heights = np.tile(np.arange(20) * 0.05, (20, 1))  # falls to the west
    city = city_of(terrain_of(heights, 5.0))
    water = shallow(city, minutes=30, step=5.0, rain=100.0, at=20.0)
    # steady sheet of rain: discharge per metre at x from the divide is rain times the way
    rate = 100 / 3.6e6
    flow = water.velocity[10, 1:9, 0] * water.depth[10, 1:9]
    assert flow == pytest.approx(-rate * (20 - np.arange(1, 9) - 0.5) * 5.0, rel=0.1)
    assert np.abs(np.diff(water.depth[10, 2:], 2)).max() < 3e-4  # no chequerboard
    normal_depth = (0.035 * rate * 75 / 0.01**0.5) ** 0.6
    assert water.depth[10, 5] == pytest.approx(normal_depth, rel=0.1)
    assert water.balance.left > 0.5 * water.balance.added


def test_an_inflow_brings_its_discharge_for_its_time():
    city = city_of(terrain_of(np.zeros((20, 20)), 5.0))
    inflow = Inflow((50.0, 50.0), 2.0, minutes=5)
    water = shallow(city, minutes=10, step=5.0, inflows=(inflow,), closed=True)
    assert water.balance.added == pytest.approx(600.0, rel=0.02)
    assert water.balance.last == pytest.approx(water.balance.added)
    assert water.depth_max[10, 10] > water.depth[10, 10]


def test_a_breach_fills_what_lies_behind_it_to_its_level_and_no_more():
    heights = np.full((20, 20), 0.0)
    heights[:, 12] = 5.0
    city = city_of(terrain_of(heights, 5.0))
    breach = Breach((0.0, 50.0), 30.0, 1.0)
    water = shallow(city, minutes=120, step=5.0, breaches=(breach,), closed=True)
    assert water.depth[:, :10] == pytest.approx(1.0, abs=0.03)  # it still sways a little
    assert water.depth[:, 14:].max() == 0
    assert water.depth_max[:, 12:].max() == 0  # the dam itself stays dry
    assert abs(water.balance.error) < 1e-12
    levels = flood_levels(city.ground, water)
    assert np.nanmax(levels) == pytest.approx(1.0, abs=0.03)
    assert np.isnan(levels[:, 14:]).all()


def test_permanent_water_at_rest_is_no_flood_and_one_that_rises_is():
    heights = np.full((21, 21), 2.0)
    heights[:, :5] = -1.0
    city = city_of(terrain_of(heights, 5.0), water=[river(-1, -1, 21.0, 101, 0.0)])
    quiet = shallow(city, minutes=20, step=5.0)
    assert quiet.speed_max.max() < 1e-9
    assert np.isnan(flood_levels(city.ground, quiet)).all()
    fuller = shallow(city, minutes=20, step=5.0, inflows=(Inflow((5.0, 100.0), 3.0),), closed=True)
    levels = flood_levels(city.ground, fuller)
    assert (levels[:, :4] > 0).all()
    assert np.nanmax(levels[:, :4]) < 2.0


def test_a_suburb_in_a_cloudburst_floods_in_its_hollows_the_same_to_the_byte():
    city = build_city(load_style("suburb"), 100.0, np.random.default_rng(4))
    first, again = (shallow(city, minutes=4, step=8.0, rain=200.0) for _ in range(2))
    assert first.depth.tobytes() == again.depth.tobytes()
    assert abs(first.balance.error) < 1e-12
    levels = flood_levels(city.ground, first, first.depth_max)
    assert 0.001 < np.isfinite(levels).mean() < 0.9


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": 0.001},
        {"step": 1e5},
        {"minutes": -1},
        {"minutes": np.nan},
        {"at": 99},
        {"rain": -1},
        {"manning": np.nan},
        {"rain": 5.0, "rain_minutes": np.nan},
        {"inflows": (Inflow((-500, 0), 1.0),)},
        {"inflows": (Inflow((np.nan, 0), 1.0),)},
    ],
)
def test_numbers_that_no_flood_has_are_refused(wrong):
    city = city_of(terrain_of(np.zeros((10, 10)), 4.0))
    with pytest.raises(HazardError, match="expected"):
        shallow(city, **({"minutes": 1, "step": 4.0} | wrong))


@pytest.mark.parametrize(
    "wrong",
    [{"discharge": np.nan}, {"discharge": np.inf}, {"discharge": -1.0}, {"discharge": 1e9}, {"minutes": np.nan},
     {"minutes": -1.0}],
)  # fmt: skip
def test_an_inflow_that_no_river_brings_is_refused(wrong):
    with pytest.raises(HazardError, match="expected"):
        Inflow(**({"xy": (1.0, 1.0), "discharge": 1.0} | wrong))


@pytest.mark.parametrize(
    "wrong", [{"width": np.nan}, {"width": -1.0}, {"width": np.inf}, {"level": np.nan}, {"level": 1e9}]
)
def test_a_breach_that_no_bank_has_is_refused(wrong):
    with pytest.raises(HazardError, match="expected"):
        Breach(**({"xy": (1.0, 1.0), "width": 10.0, "level": 1.0} | wrong))


def test_water_as_deep_as_no_bank_holds_is_refused_at_a_breach():
    city = city_of(terrain_of(np.full((10, 10), 800.0), 4.0))
    with pytest.raises(HazardError, match="depth at a breach"):
        shallow(city, minutes=1, step=4.0, breaches=(Breach((0.0, 0.0), 8.0, 905.0),))
    fine = shallow(city, minutes=0.1, step=4.0, breaches=(Breach((0.0, 0.0), 8.0, 802.0),))
    assert 1.9 < fine.depth_max.max() < 3  # it splashes
