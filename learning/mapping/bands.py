"""Which bands of a raster are which, and how their numbers become reflectances, so that ratios can be taken of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mage.learning.names import Kind
from mage.learning.rasters import Raster
from mage.scenes.errors import DatasetError

Floats = NDArray[np.float64]

RGB, INFRARED = ("red", "green", "blue"), ("nir", "swir")
NAMES = (*RGB, *INFRARED)
# words of files beyond the names themselves; codes such as B5 mean another band on each satellite and say nothing
WORDS = {
    "near infrared": "nir",
    "near infra red": "nir",
    "nir1": "nir",
    "short wave infrared": "swir",
    "shortwave infrared": "swir",
    "swir1": "swir",
    "swir 1": "swir",
}
# what tells an event better than colours, in the order of what is rather taken, and whether both images must be there
TELLING = {
    Kind.FLOOD: ((("green", "nir"), ("green", "swir")), False),
    Kind.FIRE: ((("nir", "swir"),), True),
}
FULL = 0.5  # reflectance that becomes 255: vegetation in near infrared is about as bright, and little ground brighter


def named_bands(raster: Raster, stated: Mapping[str, int]) -> dict[str, int]:
    """Numbers of a raster's bands, from 1, by :data:`NAMES`: those stated, else those that its bands' descriptions
    name, and where these name none, its colour interpretation, which some software sets without knowing.
    """
    found = _named(raster.layout.names) or _named(raster.layout.colours)
    return found | dict(stated)


def telling_bands(kind: Kind, rasters: Sequence[Raster], stated: Mapping[str, int]) -> tuple[str, ...]:
    """Names of the infrared bands, and what goes with them, by which an event of a kind is told; none where colours
    tell, since an image lacks such bands.

    Args:
        kind: of the event.
        rasters: the images, that before the event first; or that after it alone.
        stated: as of :func:`named_bands`.
    """
    choices, both = TELLING.get(kind, ((), False))
    if both and len(rasters) < 2:
        return ()
    there = [
        {name for name, number in named_bands(raster, stated).items() if number <= raster.layout.bands}
        for raster in rasters
    ]
    return next((names for names in choices if all(set(names) <= names_of for names_of in there)), ())


def reflectance_limits(raster: Raster, numbers: Sequence[int], one: float | None) -> Floats | None:
    """The values (bands, 2) that are reflectances of 0 and of :data:`FULL`; None for a raster of bytes, which are taken
    as they are.

    Args:
        raster: the file.
        numbers: of its bands, from 1.
        one: value that is a reflectance of 1; None takes the scales and offsets that the file states.

    Raises:
        DatasetError: neither says it.
    """
    if raster.layout.dtype == "uint8":
        return None
    if one is not None:
        return np.tile([0.0, FULL * one], (len(numbers), 1))
    scaled = [raster.layout.scaling[number - 1] for number in numbers]
    if any(scale == 1 or not scale > 0 for scale, _ in scaled):
        expected = "--reflectance, such as 10000, or scales in the file"
        raise DatasetError("nobody says which value is a reflectance of 1", file=raster.place, expected=expected)
    return np.array([[-offset / scale, (FULL - offset) / scale] for scale, offset in scaled])


def _named(words: Sequence[str]) -> dict[str, int]:
    """Numbers of bands by what they are called, the first of each name."""
    found: dict[str, int] = {}
    for number, word in enumerate(words, 1):
        plain = re.sub(r"[\s_-]+", " ", word.strip().lower())
        name = WORDS.get(plain, plain)
        if name in NAMES:
            found.setdefault(name, number)
    return found
