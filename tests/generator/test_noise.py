"""Noise is anchored to the ground, not to the tile."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.generator.noise import fractal, value_noise
from mage.generator.spots import Spots
from mage.scenes.grid import Grid


@given(st.integers(-4000, 4000), st.integers(-4000, 4000), st.sampled_from([0.7, 4.0, 31.0]))
def test_two_tiles_agree_where_they_overlap(column: int, row: int, wavelength: float) -> None:
    one = Grid(16, 20, column * 0.5, row * 0.5, 0.5)
    other = Grid(16, 20, column * 0.5 + 4.0, row * 0.5 - 2.0, 0.5)
    a, b = value_noise(one, wavelength, 5), value_noise(other, wavelength, 5)
    assert np.allclose(a[4:, 8:], b[:12, :12], atol=1e-5)


def test_noise_keeps_its_range_and_its_seeds_apart() -> None:
    grid = Grid(200, 200, 0, 0, 1.0)
    one, other = value_noise(grid, 7.0, 1), value_noise(grid, 7.0, 2)
    assert -1 <= one.min() < -0.7
    assert 0.7 < one.max() <= 1
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.1


def test_a_longer_wavelength_changes_more_slowly() -> None:
    grid = Grid(128, 128, 0, 0, 1.0)
    steps = [np.abs(np.diff(value_noise(grid, w, 3), axis=1)).mean() for w in (3.0, 12.0, 48.0)]
    assert steps[0] > 2 * steps[1] > 4 * steps[2]


def test_fractal_noise_has_about_unit_spread() -> None:
    assert 0.6 < fractal(Grid(400, 400, 0, 0, 1.0), (31.0, 9.0, 3.0), 11).std() < 1.4


@pytest.mark.parametrize("shape", [(12, 9), (400, 300)])  # the second is painted in more than one piece
def test_noise_at_spots_is_the_noise_at_pixels(shape: tuple[int, int]) -> None:
    grid = Grid(*shape, -40.0, 25.0, 2.5)
    spots = Spots(grid.points())
    assert np.allclose(value_noise(spots, 11.0, 4).reshape(shape), value_noise(grid, 11.0, 4), atol=1e-5)
    assert np.allclose(fractal(spots, (31.0, 9.0), 4).reshape(shape), fractal(grid, (31.0, 9.0), 4), atol=1e-5)
