"""Colour by statistics: matched histograms, and the linear map that optimal transport gives.

The two controls that must stand beside every learned translator: pointwise, fitted in seconds, and unable to move or
invent anything. Both are optimal transports of colours; ``strength`` goes a part of the way, x' = (1 - s) x + s T(x),
which is the displacement interpolation of McCann (1997, *A convexity principle for interacting gases*): at each s the
map is still the cheapest to where it leads. Brown rubble among pale roofs and lawns keeps apart from them the better
the shorter the way; :func:`~mage.learning.preserving` finds how far a damage model lets it go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.learning.translate.translator import Bytes, Translator, as_bytes, collected, need, rounded, shaped_as
from mage.scenes.errors import ModelError

LEVELS = 256
FLOOR = 1e-3  # of a variance in squared levels: a flat image has no direction to stretch


class ColourTransport(Translator):
    """What the two maps of colours share.

    Args:
        strength: share of the way to the target's colours, 0 to 1.

    Raises:
        ModelError: no such share.
    """

    def __init__(self, strength: float = 1.0) -> None:
        if not 0 <= strength <= 1:
            raise ModelError("no such share of the way", expected="a strength of 0 to 1", found=str(strength))
        self.strength = float(strength)

    def settings(self) -> dict[str, float]:
        """See :meth:`Translator.settings`."""
        return {"strength": self.strength}


class HistogramMatching(ColourTransport):
    """Each band gets the target's distribution of values (Gonzalez and Woods, Digital Image Processing, section 3.3):
    v' = G⁻¹(F(v)), F and G the cumulative histograms of the place, both dates together, and of the target.

    Ties are kept: a value goes to one value, the middle of the ranks that it holds. By default a place is matched as
    it is, which also pulls its content (a flooded tile loses its brown); with ``source`` images in :meth:`fit`, F is
    that of the whole source domain, and the map the same for every place.

    Args:
        strength: share of the way to the target's colours; at 1 the distributions are equal, and more damage is lost.

    Raises:
        ModelError: a strength beyond 0 to 1.

    >>> grey = np.full((1, 3, 4, 4), 50, np.uint8)
    >>> HistogramMatching().fit([grey + 30]).transform(grey).max()
    80
    """

    def __init__(self, strength: float = 1.0) -> None:
        super().__init__(strength)
        self.histograms: NDArray[np.float64] | None = None
        self.source: NDArray[np.float64] | None = None

    def fit(self, target: Iterable[Any], source: Iterable[Any] | None = None) -> HistogramMatching:
        """Count values of target images (uint8 arrays or tensors, or samples with ``image``); returns itself.

        Raises:
            ModelError: no image, or images that differ in their bands or cannot be used.
        """
        self.histograms = np.stack([_histogram(image) for image in collected(target)])
        self.source = None if source is None else np.sum([_histogram(image) for image in collected(source)], 0)
        return self

    def transform(self, pair: Any, rng: np.random.Generator | None = None) -> Bytes:
        """See :meth:`Translator.transform`."""
        styles = need(self.histograms)
        images = as_bytes(pair, styles.shape[1])
        goal = styles.mean(0) if rng is None else styles[rng.integers(len(styles))]
        tables = match_histograms(_histogram(images) if self.source is None else self.source, goal)
        tables = rounded((1 - self.strength) * np.arange(LEVELS) + self.strength * tables)
        out = np.stack([table[images[:, band]] for band, table in enumerate(tables)], 1)
        return shaped_as(out, pair)

    def state(self) -> dict[str, NDArray[Any]]:
        """See :meth:`Translator.state`."""
        return {"histograms": need(self.histograms)} | ({} if self.source is None else {"source": self.source})


def match_histograms(source: NDArray[np.float64], target: NDArray[np.float64]) -> Bytes:
    """Tables (C, 256) that map values of one histogram (C, 256) to those of another."""
    tables = []
    for has, wanted in zip(source, target, strict=True):
        share, goal = has / has.sum(), wanted / wanted.sum()
        rank = np.cumsum(share) - share / 2  # the middle of what a value holds
        tables.append(np.searchsorted(np.cumsum(goal), np.clip(rank, 1e-12, 1 - 1e-12)))
    return np.clip(tables, 0, LEVELS - 1).astype(np.uint8)


def _histogram(images: Bytes) -> NDArray[np.float64]:
    """(C, 256) shares of values over all dates and pixels."""
    counts = [np.bincount(images[:, band].ravel(), minlength=LEVELS) for band in range(images.shape[1])]
    return np.asarray(counts, np.float64) / (images.size / images.shape[1])


class LinearColour(ColourTransport):
    """The affine map of colours that gives a place the target's mean and covariance and moves colours least: the
    Monge-Kantorovich map between two Gaussians (Pitié and Kokaram 2007, equation 6),
    x' = m_t + T (x - m_s), T = S^(-1/2) (S^(1/2) R S^(1/2))^(1/2) S^(-1/2), S and R the covariances.

    As with :class:`HistogramMatching`, ``source`` images in :meth:`fit` make it one map for every place.

    Args:
        strength: share of the way to the target's colours; at 1 mean and covariance are equal, and more damage is lost.

    Raises:
        ModelError: a strength beyond 0 to 1.

    >>> grey = np.full((1, 3, 4, 4), 50, np.uint8)
    >>> LinearColour().fit([grey + 30]).transform(grey).max()
    80
    """

    def __init__(self, strength: float = 1.0) -> None:
        super().__init__(strength)
        self.moments: NDArray[np.float64] | None = None
        self.source: NDArray[np.float64] | None = None

    def fit(self, target: Iterable[Any], source: Iterable[Any] | None = None) -> LinearColour:
        """Take means and covariances of target images; see :meth:`HistogramMatching.fit`."""
        self.moments = np.stack([_moments(image) for image in collected(target)])
        self.source = None if source is None else np.mean([_moments(image) for image in collected(source)], 0)
        return self

    def transform(self, pair: Any, rng: np.random.Generator | None = None) -> Bytes:
        """See :meth:`Translator.transform`."""
        styles = need(self.moments)
        images = as_bytes(pair, styles.shape[1])
        goal = styles.mean(0) if rng is None else styles[rng.integers(len(styles))]
        matrix, offset = transport(_gaussian(_moments(images) if self.source is None else self.source), _gaussian(goal))
        matrix = (1 - self.strength) * np.eye(len(matrix)) + self.strength * matrix
        out = rounded(np.einsum("ij,tjhw->tihw", matrix, images) + self.strength * offset[:, None, None])
        return shaped_as(out, pair)

    def state(self) -> dict[str, NDArray[Any]]:
        """See :meth:`Translator.state`."""
        return {"moments": need(self.moments)} | ({} if self.source is None else {"source": self.source})


Gaussian = tuple[NDArray[np.float64], NDArray[np.float64]]


def transport(source: Gaussian, target: Gaussian) -> Gaussian:
    """Matrix and offset of the map that carries one Gaussian (mean, covariance) to another at the least cost."""
    (mean, covariance), (goal, wanted) = source, target
    root = _root(covariance)
    inverse = np.linalg.inv(root)
    matrix = inverse @ _root(root @ wanted @ root) @ inverse
    return matrix, goal - matrix @ mean


def _moments(images: Bytes) -> NDArray[np.float64]:
    """(C, 1 + C): mean, and mean product of each two bands; moments of several images average."""
    colours = images.swapaxes(0, 1).reshape(images.shape[1], -1).astype(np.float64)
    return np.concatenate([colours.mean(1, keepdims=True), colours @ colours.T / colours.shape[1]], 1)


def _gaussian(moments: NDArray[np.float64]) -> Gaussian:
    mean = moments[:, 0]
    return mean, moments[:, 1:] - np.outer(mean, mean) + FLOOR * np.eye(len(mean))


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The symmetric root of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.sqrt(values.clip(FLOOR * 1e-3))) @ vectors.T
