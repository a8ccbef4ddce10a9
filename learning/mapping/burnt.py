"""How severely ground burnt: by infrared where both images have it, else by colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mage.learning.mapping.likeness import Likeness, colours, read_around
from mage.learning.mapping.picture import Picture, Window

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

UNBURNT, SEVERE = 0.1, 0.66  # dNBR below which nothing burnt, and from where severity is high (Key and Benson 2006)

# expected severity, fitted by benchmarks/observed.py on simulated images and pairs of them
# fmt: off
CHARRED = Likeness((
    0.2, -0.56, 2.69, -2.63, 1.02, 1.18, 0.65, -0.77, 1.53, 0.59, -0.73, -2.06, 0.78, 0.51, 1.53, -2.29, 0.24,
    -1.44, -0.62, -0.08, -0.43,
))
BURN = Likeness((
    -1.11, 0.2, 1.95, -1.82, 0.73, 0.16, 0.34, 0.77, -0.79, -0.43, 0.52, -0.24, 1.1, 0.35, -0.57, 0.52, -1.07, 1.75,
    -0.22, -1.5, 0.39, 0.4, 1.1, 0.78, -0.53, -0.89, -0.74, -1.65, 0.26, -0.64, 0.5, 0.22, -0.36, 0.4, -0.68, 0.12,
    0.18, 0.09, -0.53, 0.71, -0.38, 0.28, 0.09, -0.97, 0.06, 1.27, -0.49, 0.78, 0.09, 0.5, -0.09, -0.11, 0.11, 0.25,
    -0.13,
))
# fmt: on


def severity(pre: Picture | None, post: Picture, window: Window, bands: Sequence[str]) -> Floats:
    """Severity of burning of a strip's pixels, 0 to 1, float32 (rows, columns); NaN where not known.

    With ``nir`` and ``swir`` in both images, 0 at a difference of normalised burn ratios (dNBR) of 0.1 and 1 at 0.66,
    between which Key and Benson (2006, FIREMON, RMRS-GTR-164-CD) put low and moderate severity. With colours alone it
    is what such char and ash had in simulated images on average, which is weaker, and weaker still without an earlier
    image: dark or grey ground looks like char.

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
        return np.where(valid, CHARRED.of(colours(after)), np.nan)[own].astype(np.float32)
    before, known, _ = read_around(pre, window, bands)
    if {"nir", "swir"} <= set(bands):
        lost = (burn_ratio(before) - burn_ratio(after) - UNBURNT) / (SEVERE - UNBURNT)
        found = np.where(known, np.clip(lost, 0, 1), np.nan)
    else:
        found = np.where(known, BURN.of(colours(after), colours(before)), CHARRED.of(colours(after)))
    return np.where(valid, found, np.nan)[own].astype(np.float32)


def burn_ratio(image: Mapping[str, Bytes]) -> Floats:
    """The normalised burn ratio of ``nir`` and ``swir``, (rows, columns), -1 to 1; 0 where both are 0."""
    near, short = image["nir"].astype(np.float32), image["swir"].astype(np.float32)
    return (near - short) / np.maximum(near + short, 1)
