"""What the sensor does to light, against what real scenes measure."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.generator.colour import reflectance, to_linear, to_srgb
from mage.generator.sensors import Radiometry, expose, sample_radiometry

PLAIN = Radiometry((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), psf=0.5, sharpen=0.0, noise=0.0, chroma=0.6)


@given(st.integers(0, 255))
def test_srgb_goes_there_and_back(value: int) -> None:
    assert to_srgb(to_linear(value)) == pytest.approx(value, abs=1e-6)


def test_a_swatch_comes_back_as_the_colour_it_was_measured_at() -> None:
    from mage.generator.colour import BLACK, GAIN

    shown = to_srgb(reflectance((138, 108, 80)) * GAIN + BLACK)
    assert shown == pytest.approx((138, 108, 80), abs=0.5)


def test_a_flat_scene_without_noise_is_flat() -> None:
    image = expose(np.full((32, 32, 3), 0.2, np.float32), PLAIN, np.random.default_rng(0))
    assert (image == image[0, 0]).all()
    assert image[0, 0, 0] == round(float(to_srgb(0.2)))


def test_noise_is_common_to_the_bands() -> None:
    """Residual correlation between bands is .93-1.0 in Harvey, Ida-BD and Santa Rosa scenes."""
    noisy = Radiometry((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), psf=0.5, sharpen=0.0, noise=3.0, chroma=0.6)
    image = expose(np.full((256, 256, 3), 0.2, np.float32), noisy, np.random.default_rng(0)).astype(float)
    assert image.std(axis=(0, 1)) == pytest.approx(3.0, abs=0.4)
    assert np.corrcoef(image[..., 0].ravel(), image[..., 2].ravel())[0, 1] > 0.9


@given(st.integers(0, 10_000))
def test_edges_rise_over_one_to_two_pixels(seed: int) -> None:
    step = np.zeros((8, 64, 3), np.float32)
    step[:, 32:] = 0.3
    drawn = sample_radiometry(np.random.default_rng(seed))
    smooth = Radiometry(drawn.black, drawn.gain, drawn.psf, 0.0, 0.0, drawn.chroma)
    profile = expose(step, smooth, np.random.default_rng(0))[4].astype(float).mean(axis=1)
    low, high = profile[0], profile[-1]
    fine = np.interp(np.linspace(28, 36, 801), np.arange(64), profile)
    rise = ((fine > low + 0.1 * (high - low)) & (fine < low + 0.9 * (high - low))).sum() / 100
    assert 0.8 <= rise <= 2.4


def test_hostile_light_gives_a_picture_all_the_same() -> None:
    light = np.full((16, 16, 3), np.nan, np.float32)
    light[0, 0], light[1, 1] = 1e30, -5
    image = expose(light, sample_radiometry(np.random.default_rng(1)), np.random.default_rng(1))
    assert image.dtype == np.uint8
