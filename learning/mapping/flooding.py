"""Where water stands that was not there before, and where it stands by near or short-wave infrared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mage.learning.mapping.likeness import likelihood, read_around
from mage.learning.mapping.maps import Chance
from mage.learning.mapping.picture import Picture, Window

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
DARK = ("nir", "swir")  # bands that are dark where water is
STEEP = 0.06  # of the index, from even odds to odds of e to one: its noise in Sentinel-2's shallow and muddy water


def flooded(before: Chance | None, after: Chance) -> Chance:
    """Probability that a flood covers each pixel: water now and none before. Where the image before is not there or
    shows nothing, permanent water counts as flood.

    Args:
        before: probability of water in the image before; None where there is none.
        after: in that after, on the same grid.

    >>> wet, half = (lambda window: np.ones((1, 1), np.float32)), (lambda window: np.full((1, 1), 0.5, np.float32))
    >>> flooded(half, wet)((slice(0, 1), slice(0, 1))).item()
    0.5
    """

    def chance(window: Window) -> Floats:
        now = after(window)
        return now if before is None else now * (1 - np.nan_to_num(before(window)))

    return chance


def by_infrared(picture: Picture, bands: Sequence[str]) -> Chance:
    """Water is where the normalised difference of green and infrared is above zero (NDWI, McFeeters 1996,
    https://doi.org/10.1080/01431169608948714; with short-wave infrared MNDWI, Xu 2006,
    https://doi.org/10.1080/01431160600589179).

    Args:
        picture: an image.
        bands: of it, with ``green`` and ``nir`` or ``swir`` among them.

    Raises:
        DatasetError: reading a strip raises it where the image has other bands, or cannot be read.
    """

    def chance(window: Window) -> Floats:
        image, valid, own = read_around(picture, window, bands)
        return np.where(valid, water(image), np.nan)[own].astype(np.float32)

    return chance


def water(image: Mapping[str, Bytes]) -> Floats:
    """Probability of water in an image, its bands by name, (rows, columns), by :func:`by_infrared`'s index; it has
    green and an infrared.
    """
    dark = next(name for name in DARK if name in image)
    green, other = image["green"].astype(np.float32), image[dark].astype(np.float32)
    return likelihood((green - other) / np.maximum(green + other, 1) / STEEP)
