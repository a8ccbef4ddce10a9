"""Where damage clusters beyond chance: Getis and Ord's Gi* with a false discovery rate, and kernel densities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from scipy.stats import false_discovery_control, norm

from mage.scenes.errors import ModelError
from mage.scenes.grid import Grid

Floats = NDArray[np.float64]
PAIRS_AT_ONCE = 4_000_000  # pairs of neighbours held in memory: about 100 MB


@dataclass(frozen=True, slots=True)
class HotSpots:
    """What :func:`hot_spots` finds at each of n places.

    Attributes:
        z: (n,) Gi*, a standard normal variable where values lie at random; NaN where it is not defined.
        q: (n,) p-value, one-sided for high values, adjusted for the false discovery rate; 1 where z is not defined.
        hot: (n,) whether q is at most the level that was asked for.
    """

    z: Floats
    q: Floats
    hot: NDArray[np.bool_]


def gi_star(points: ArrayLike, values: ArrayLike, radius: float) -> Floats:
    """Gi* of each of n places, (n,), with weight 1 for all places within ``radius``, itself included.

    Ord and Getis 1995 (doi:10.1111/j.1538-4632.1995.tb00912.x), equation 5: the sum of the values around less what
    chance would put there, over the standard deviation of that under random permutations. NaN where it is not defined:
    all values are alike, or every place is a neighbour of this one.

    Args:
        points: (n, 2) metres.
        values: (n,) finite, for example the probability of being damaged.
        radius: metres; above 0.

    Raises:
        ModelError: arrays of other shapes, values that are not finite, or a radius that is not above 0.

    >>> points = [(0, 0), (1, 0), (2, 0), (9, 0), (10, 0), (11, 0)]
    >>> gi_star(points, [1, 1, 1, 0, 0, 0], radius=1.5).round(2).tolist()
    [1.58, 2.24, 1.58, -1.58, -2.24, -1.58]
    """
    places, x = _checked(points, values, radius)
    if len(x) < 2:
        return np.full(len(x), np.nan)
    number, total = _neighbourhoods(places, x, radius)
    return _standardised(number, total, x)


def hot_spots(points: ArrayLike, values: ArrayLike, radius: float, level: float = 0.05) -> HotSpots:
    """Places around which high values cluster, at a false discovery rate of ``level``.

    The p-values of Gi* are adjusted as Benjamini and Hochberg 1995 do, which Caldas de Castro and Singer 2006
    (doi:10.1111/j.0016-7363.2006.00682.x) recommend for local statistics: of the places called hot, a share of at most
    ``level`` is expected to be so by chance.

    Arguments and errors as of :func:`gi_star`; ``level`` is between 0 and 1.

    >>> rng = np.random.default_rng(0)
    >>> points = rng.uniform(0, 1000, (400, 2))
    >>> near = np.hypot(*(points - 500).T) < 150
    >>> found = hot_spots(points, np.where(near, 0.9, 0.1), radius=100)
    >>> bool(found.hot[near].all()), bool(found.hot[np.hypot(*(points - 500).T) > 260].any())
    (True, False)
    """
    if not 0 < level < 1:
        raise ModelError("no such false discovery rate", expected="between 0 and 1", found=str(level))
    z = gi_star(points, values, radius)
    q = np.ones(len(z))
    defined = np.isfinite(z)
    if defined.any():
        q[defined] = false_discovery_control(norm.sf(z[defined]), method="bh")
    return HotSpots(z, q, q <= level)


def kernel_density(points: ArrayLike, weights: ArrayLike, grid: Grid, bandwidth: float) -> NDArray[np.float32]:
    """Density of weighted places per square kilometre, float32 of the grid's shape, by a Gaussian kernel.

    Places are counted in pixels first, so that ``bandwidth`` should be some pixels long; the kernel ends at four
    standard deviations. What lies off the grid counts where its kernel reaches in only if within a pixel of the edge;
    take a grid that is four bandwidths wider than the places if that matters.

    Args:
        points: (n, 2) metres, in the grid's frame.
        weights: (n,) for example 1 for each building, or its probability of being damaged.
        grid: of the result.
        bandwidth: standard deviation of the kernel, metres.

    Raises:
        ModelError: as of :func:`gi_star`.

    >>> grid = Grid(101, 101, 0, 1010, 10)
    >>> density = kernel_density([(505, 505)], [1.0], grid, bandwidth=100)
    >>> bool(np.isclose(density.sum() * (10 / 1000) ** 2, 1, atol=1e-3)), np.unravel_index(density.argmax(), grid.shape)
    (True, (50, 50))
    """
    places, x = _checked(points, weights, bandwidth)
    column, row = np.floor(grid.to_pixel(places)).astype(int).T
    inside = (row >= 0) & (row < grid.rows) & (column >= 0) & (column < grid.columns)
    flat = row[inside] * grid.columns + column[inside]
    counts = np.bincount(flat, weights=x[inside], minlength=grid.rows * grid.columns).reshape(grid.shape)
    smooth = gaussian_filter(counts, bandwidth / grid.gsd, mode="constant")
    return (smooth / (grid.gsd / 1000) ** 2).astype(np.float32)


def _checked(points: ArrayLike, values: ArrayLike, radius: float) -> tuple[Floats, Floats]:
    places, x = np.asarray(points, float).reshape(-1, 2), np.asarray(values, float)
    if x.shape != (len(places),):
        found = f"{len(places)} places and values of shape {x.shape}"
        raise ModelError("every place needs one value", expected="(n, 2) and (n,)", found=found)
    if not (np.isfinite(places).all() and np.isfinite(x).all()):
        raise ModelError("places and values must be finite")
    if not (radius > 0 and np.isfinite(radius)):
        raise ModelError("no such distance", expected="metres above 0", found=str(radius))
    return places, x


def _neighbourhoods(points: Floats, x: Floats, radius: float) -> tuple[Floats, Floats]:
    """Number of places within the radius of each, itself included, and the sum of their values."""
    tree = cKDTree(points)
    number = tree.query_ball_point(points, radius, return_length=True)
    if number.sum() // 2 <= PAIRS_AT_ONCE:
        i, j = tree.query_pairs(radius, output_type="ndarray").T
        total = x + np.bincount(i, x[j], len(x)) + np.bincount(j, x[i], len(x))
        return number.astype(float), total
    total = np.empty(len(x))
    ends = np.searchsorted(np.cumsum(number) // PAIRS_AT_ONCE, np.arange(1 + number.sum() // PAIRS_AT_ONCE), "right")
    for begin, end in zip([0, *ends[:-1]], ends, strict=True):
        around = tree.query_ball_point(points[begin:end], radius)
        lengths = number[begin:end]
        starts = np.cumsum(lengths) - lengths
        total[begin:end] = np.add.reduceat(x[np.concatenate(around).astype(int)], starts) if end > begin else 0
    return number.astype(float), total


def _standardised(number: Floats, total: Floats, x: Floats) -> Floats:
    n, mean, spread = len(x), x.mean(), x.std()
    chance = spread * np.sqrt(np.maximum(n * number - number**2, 0) / (n - 1))
    alike = np.ptp(x) == 0  # not `spread == 0`, which rounding may miss
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (total - mean * number) / chance
    return np.where((chance > 0) & (not alike), z, np.nan)
