"""What beside a picture is near enough to show in it, and how much of it lies in shade."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.generator.nearby import FARTHEST, thrown
from mage.generator.shade import shaded
from mage.generator.sky import Sun

SUNS = st.builds(Sun, st.floats(0.15, 1.5), st.floats(0, 6.28))


@given(SUNS, st.floats(0, 60))
def test_shade_falls_away_from_the_sun_as_far_as_its_height_says(sun: Sun, height: float) -> None:
    east, north = thrown(np.array([height]), sun)[0]
    length = min(height / np.tan(sun.elevation), FARTHEST)
    assert np.hypot(east, north) == pytest.approx(length)
    assert east * np.sin(sun.azimuth) + north * np.cos(sun.azimuth) == pytest.approx(-length)


def test_nothing_lies_in_shade_on_open_ground() -> None:
    assert shaded(np.zeros((40, 40)), 0.5, Sun(0.7, 2.0)) == 0
    assert shaded(np.zeros((0, 0)), 0.5, Sun(0.7, 2.0)) == 0


@pytest.mark.parametrize("azimuth", [0.0, np.pi / 2, np.pi, 3 * np.pi / 2])
def test_the_shade_of_a_block_is_as_large_as_its_height_and_the_sun_make_it(azimuth: float) -> None:
    """20 m wide and 20 m high under a sun of 45 degrees: 400 m2 of shade beside it, whichever way it falls."""
    heights = np.zeros((120, 120))
    heights[50:70, 50:70] = 20.0
    assert shaded(heights, 1.0, Sun(np.pi / 4, azimuth)) * 120 * 120 == pytest.approx(400, rel=0.15)


@given(SUNS, st.integers(0, 2**31))
def test_a_lower_sun_never_leaves_less_shade(sun: Sun, seed: int) -> None:
    heights = np.where(np.random.default_rng(seed).random((30, 30)) > 0.9, 12.0, 0.0)
    lower = Sun(0.8 * sun.elevation, sun.azimuth)
    assert shaded(heights, 2.0, lower) >= shaded(heights, 2.0, sun)
