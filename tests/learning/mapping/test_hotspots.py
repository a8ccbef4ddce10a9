"""Gi* against its formula and against esda, the false discovery rate, and kernel densities."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from mage.learning.mapping import hotspots
from mage.learning.mapping.hotspots import gi_star, hot_spots, kernel_density
from mage.scenes.errors import ModelError
from mage.scenes.grid import Grid


def by_the_formula(points, x, radius):
    """Ord and Getis 1995, equation 5, with a full matrix of weights."""
    w = (cdist(points, points) <= radius).astype(float)
    n, mean, s = len(x), x.mean(), np.sqrt((x**2).mean() - x.mean() ** 2)
    own = w.sum(1)
    return (w @ x - mean * own) / (s * np.sqrt((n * (w**2).sum(1) - own**2) / (n - 1)))


@pytest.mark.parametrize("seed", range(4))
def test_gi_star_is_that_of_the_formula(seed):
    rng = np.random.default_rng(seed)
    points, x = rng.uniform(0, 1000, (300, 2)), rng.gamma(1, 1, 300)
    np.testing.assert_allclose(gi_star(points, x, 120), by_the_formula(points, x, 120), atol=1e-9)


def test_gi_star_is_that_of_esda():
    esda, libpysal = pytest.importorskip("esda"), pytest.importorskip("libpysal")
    rng = np.random.default_rng(7)
    points, x = rng.uniform(0, 1000, (400, 2)), rng.random(400)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, about islands and numba
        near = libpysal.weights.DistanceBand(points, 150, binary=True, silence_warnings=True)
        theirs = esda.G_Local(x, near, transform="B", star=True, permutations=0).Zs
    np.testing.assert_allclose(gi_star(points, x, 150), theirs, atol=1e-9)


def test_places_in_pieces_give_the_same_as_all_at_once(monkeypatch):
    rng = np.random.default_rng(3)
    points, x = rng.uniform(0, 500, (500, 2)), rng.random(500)
    whole = gi_star(points, x, 90)
    monkeypatch.setattr(hotspots, "PAIRS_AT_ONCE", 500)
    np.testing.assert_allclose(gi_star(points, x, 90), whole, atol=1e-10)


@settings(max_examples=30)
@given(st.integers(2, 40), st.floats(0.01, 50), st.floats(-100, 100), st.integers(0, 99))
def test_gi_star_does_not_depend_on_the_unit_of_the_values(n, factor, offset, seed):
    rng = np.random.default_rng(seed)
    points, x = rng.uniform(0, 10, (n, 2)), rng.random(n)
    np.testing.assert_allclose(gi_star(points, x * factor + offset, 3), gi_star(points, x, 3), atol=1e-6)


def test_where_all_values_are_alike_nothing_is_hot():
    found = hot_spots(np.random.default_rng(0).uniform(0, 9, (50, 2)), np.full(50, 0.1), 2)
    assert np.isnan(found.z).all()
    assert not found.hot.any()


def test_no_place_and_one_place_have_no_hot_spot():
    assert not len(gi_star([], [], 1))
    assert np.isnan(gi_star([(0, 0)], [1.0], 1)).all()


def test_random_fields_rarely_have_a_hot_spot():
    """Of 60 fields without any cluster, about 5 % may have one place called hot (Benjamini and Hochberg)."""
    rng = np.random.default_rng(1)
    false = sum(hot_spots(rng.uniform(0, 1000, (200, 2)), rng.random(200), 100).hot.any() for _ in range(60))
    assert false <= 9  # binomial of 60 and 0.05: above 9 in 0.1 % of all runs


@pytest.mark.parametrize(
    ("points", "values", "radius"),
    [
        ([(0, 0)], [1, 2], 1),
        ([(0, 0)], [np.nan], 1),
        ([(0, 0)], [1], 0),
        ([(np.inf, 0)], [1], 1),
        ([(0, 0)], [1], np.nan),
    ],
)
def test_what_cannot_be_is_refused(points, values, radius):
    with pytest.raises(ModelError):
        gi_star(points, values, radius)


def test_a_false_discovery_rate_lies_between_0_and_1():
    with pytest.raises(ModelError, match="between 0 and 1"):
        hot_spots([(0, 0)], [1], 1, level=1)


def test_a_density_of_one_place_is_a_gaussian():
    grid = Grid(81, 81, 0, 810, 10)
    density = kernel_density([(405, 405)], [2.0], grid, bandwidth=50)
    x, y = grid.centres()
    squared = (x[None] - 405) ** 2 + (y[:, None] - 405) ** 2
    # pixels of 10 m stand for the places in them: 1 % of the peak
    np.testing.assert_allclose(density, 2 * 1e6 / (2 * np.pi * 50**2) * np.exp(-squared / 5000), atol=1.3)
    assert density.max() == pytest.approx(2 * 1e6 / (2 * np.pi * 50**2), rel=0.01)


def test_what_lies_off_the_grid_is_not_counted():
    assert kernel_density([(-50, 5), (5, 500)], [1, 1], Grid(10, 10, 0, 100, 10), 20).max() == 0
