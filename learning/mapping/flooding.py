"""Where water stands that was not there before: by colours, or by near or short-wave infrared where there are some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mage.learning.mapping.likeness import Likeness, colours, likelihood, read_around
from mage.learning.mapping.picture import Picture, Window

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

# fitted by benchmarks/observed.py on photographs of floods and simulated images, and on pairs of simulated ones
# fmt: off
WATER = Likeness((
    0.66, 0.01, 0.79, 1.38, -1.31, -0.81, -1.33, -0.53, 1.76, 0.01, 0.35, -1.27, 2.37, -0.42, -0.46, -1.18, 0.64,
    0.24, 0.29, -0.1, 0.22,
))
FLOOD = Likeness((
    -1.99, 0.47, 0.41, -0.7, -0.06, -0.86, 1.2, 3.38, -0.98, -0.53, 0.02, 0.38, 0.7, -0.71, -0.52, 0.06, -1.36,
    0.78, -0.43, -1.3, 0.75, -0.21, 0, 0, -0.57, 0.12, -1.21, -0.77, 0.84, 0.61, 1.43, 3.06, -0.71, 0.02, -0.47,
    0.19, 0.03, 1.23, -0.04, 1.15, -0.02, 0.44, 2.88, -0.65, -0.01, 1.27, 0.67, 0.13, 0.34, 1.07, -0.03, -0.76,
    0.56, 0.53, -0.13,
))
# fmt: on
STEEP = 0.06  # of the index, from even odds to odds of e to one: its noise in Sentinel-2's shallow and muddy water


def flooded(pre: Picture | None, post: Picture, window: Window, bands: Sequence[str]) -> Floats:
    """Probability that a flood covers each pixel of a strip, float32 (rows, columns); NaN where not known.

    With ``swir`` or ``nir`` among the bands, water is where the normalised difference of green and that band is above
    zero (MNDWI, Xu 2006, https://doi.org/10.1080/01431160600589179; NDWI, McFeeters 1996,
    https://doi.org/10.1080/01431169608948714), and a flood is water now that was none before. With colours alone a
    logistic model compares the two images; water under crowns is not seen, and the model, which has seen simulated
    pairs only, is weaker. Without an earlier image, permanent water counts as flood.

    Args:
        pre: the image before; None where there is none.
        post: that after, on the same grid.
        window: a strip as wide as it.
        bands: of both, see :func:`~mage.learning.mapping.observed.observe`.

    Raises:
        DatasetError: the images have other bands, or cannot be read.
    """
    after, valid, own = read_around(post, window, bands)
    if pre is None:
        return np.where(valid, water(after), np.nan)[own]
    before, known, _ = read_around(pre, window, bands)
    if _infrared(after) is None:
        chance = np.where(known, FLOOD.of(colours(after), colours(before)), WATER.of(colours(after)))
    else:
        chance = water(after) * (1 - np.where(known, water(before), 0))
    return np.where(valid, chance, np.nan)[own].astype(np.float32)


def permanent(pre: Picture, window: Window, bands: Sequence[str]) -> Floats:
    """Probability of water before, float32 (rows, columns); NaN where not known. Arguments and errors are those of
    :func:`flooded`.
    """
    before, known, own = read_around(pre, window, bands)
    return np.where(known, water(before), np.nan)[own].astype(np.float32)


def water(image: Mapping[str, Bytes]) -> Floats:
    """Probability of water in an image, its bands by name, (rows, columns)."""
    dark = _infrared(image)
    if dark is None:
        return WATER.of(colours(image))
    green, other = image["green"].astype(np.float32), image[dark].astype(np.float32)
    return likelihood((green - other) / np.maximum(green + other, 1) / STEEP)


def _infrared(image: Mapping[str, Bytes]) -> str | None:
    """Which band is dark where water is; None where there is none."""
    return next((name for name in ("nir", "swir") if name in image and "green" in image), None)
