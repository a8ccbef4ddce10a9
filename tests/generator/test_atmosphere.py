"""Cloud, shadow and haze: drawn as asked, labelled as laid, and labels below them as they were."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.generator.atmosphere import AIRLIGHT, HEAPS, Sky, cloud_sky, sample_sky, through
from mage.generator.noise import fractal
from mage.generator.sky import Sun, clear_light, sun_position
from mage.scenes.grid import Grid
from mage.scenes.settings import AtmospherePart

GRID = Grid.around(30.0, -80.0, 128, 2.0)
SUN = sun_position(date(2023, 6, 14), 10.0, 30.0)


def sky(**changes) -> Sky:
    return cloud_sky(
        **({"grid": GRID, "sun": SUN, "cover": 0.2, "thin": 0.0, "haze": 0.0, "height": 400.0, "seed": 5} | changes)
    )


def test_no_atmosphere_changes_no_bit() -> None:
    picture = np.random.default_rng(0).random((128, 128, 3)).astype(np.float32)
    nothing = sample_sky(np.random.default_rng(1), AtmospherePart(), GRID, SUN)
    assert through(picture, nothing, clear_light(SUN)) is picture
    assert not nothing.label.any()
    assert nothing.cover == 0


@settings(max_examples=30)
@given(st.floats(0.02, 1.0), st.integers(0, 2**31 - 1))
def test_the_cover_is_what_was_asked_for(cover: float, seed: int) -> None:
    assert sky(cover=cover, seed=seed).cover == pytest.approx(cover, abs=0.02)


@settings(max_examples=8)
@given(st.integers(0, 1000), st.floats(0.5, 1.3), st.floats(0, 6.28), st.integers(100, 2000))
def test_a_shadow_lies_where_the_sun_meets_the_cloud(seed: int, elevation: float, azimuth: float, height: int) -> None:
    """Away from the sun by the height over the tangent of its elevation, the shadow is as the cloud is here."""
    sun = Sun(elevation, azimuth)
    away = height / np.tan(elevation)
    east, north = away * np.sin(azimuth), away * np.cos(azimuth)
    above, below = GRID.moved(east, north), GRID
    edge = float(np.quantile(fractal(below, HEAPS, seed), 0.7))
    cover = float((fractal(above, HEAPS, seed) >= edge).mean())
    if 0.05 < cover < 0.95:
        shade = sky(grid=below, sun=sun, height=float(height), seed=seed, cover=0.3).shadow
        cloud = sky(grid=above, sun=sun, height=float(height), seed=seed, cover=cover).opacity
        assert shade == pytest.approx(cloud, abs=0.02)


def test_neighbouring_tiles_see_the_same_noise() -> None:
    west, east = GRID, GRID.moved(128.0, 0.0)
    one, other = (sky(grid=g, cover=0.0, thin=0.4, seed=9).opacity for g in (west, east))
    assert one[:, 64:] == pytest.approx(other[:, :64], abs=1e-5)


def test_the_label_says_how_much_of_the_ground_is_hidden() -> None:
    black, white = np.zeros((128, 128, 3), np.float32), np.ones((128, 128, 3), np.float32)
    above = sky(cover=0.3)
    light = clear_light(SUN)
    no_shadow = Sky(above.opacity, above.bright, np.zeros_like(above.shadow), 0.0)
    seen = through(white, no_shadow, light) - through(black, no_shadow, light)
    assert 100 * (1 - seen[..., 0]) == pytest.approx(above.label, abs=0.51)


def test_a_cloud_looks_as_in_ida_bd_and_its_shadow_is_bluer_than_the_sunlit_ground() -> None:
    """Calibration: cloud core 197, 194, 202 in 8-bit sRGB."""
    from mage.generator.colour import BLACK, GAIN, to_srgb

    ground = np.full((128, 128, 3), 0.1, np.float32)
    above = sky(cover=0.3, height=100.0)
    seen = through(ground, above, clear_light(SUN))
    core = to_srgb(seen[above.opacity > 0.97].mean(axis=0) * GAIN + BLACK)
    assert core == pytest.approx((197, 194, 202), abs=9)
    dark = seen[(above.shadow > 0.9) & (above.opacity < 0.02)]
    assert len(dark)
    assert dark.mean() < 0.5 * 0.1
    assert dark[:, 2].mean() > dark[:, 0].mean()


def test_clouds_are_dark_in_the_swir() -> None:
    ground = np.full((128, 128, 7), 0.2, np.float32)
    core = through(ground, sky(cover=0.3), clear_light(SUN))[sky(cover=0.3).opacity > 0.97].mean(axis=0)
    assert core[6] < 0.5 * core[0]


def test_haze_lifts_blue_more_than_red_and_lessens_contrast() -> None:
    ground = np.zeros((128, 128, 7), np.float32)
    ground[:64] = 0.3
    seen = through(ground, sky(cover=0.0, haze=0.2), clear_light(SUN))
    lifted = seen[100, 64]
    assert lifted[2] > lifted[1] > lifted[0] > lifted[4] > lifted[6] > 0
    assert lifted[1] == pytest.approx(0.2 * AIRLIGHT, rel=0.03)
    assert (seen[10, 64] - seen[100, 64])[2] < 0.3 * 0.81
