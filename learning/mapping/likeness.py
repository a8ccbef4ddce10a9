"""How much a place looks like something in a colour image: a logistic model on colours and texture, strip by strip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.learning.mapping.bands import RGB
from mage.learning.mapping.picture import Picture, Window
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

ROWS = 512  # of a scene that are looked at at once
SIDE, WIDE = 5, 15  # pixels over which colours, and texture, are averaged
HALO = SIDE + WIDE  # pixels beyond a strip that its features depend on
COMPARED = 4  # features that two images are compared by: all but the wide texture


@dataclass(frozen=True, slots=True)
class Likeness:
    """A logistic model: weights of 1, of f features and of the products of each two, ``1 + f + f (f + 1) / 2``.

    There are five features, or nine where it compares two images: the later one's, then by how much the first four of
    them differ from the earlier image's.

    >>> flat = Likeness((-2.0, *[0.0] * 20))
    >>> flat.of(np.zeros((3, 4, 4), np.uint8))[0, 0].item() < 0.12
    True
    """

    weights: tuple[float, ...]

    def of(self, image: Bytes, before: Bytes | None = None) -> Floats:
        """Probability, (rows, columns), in images uint8 (3, rows, columns) of red, green and blue."""
        values = features(image)
        if before is not None:
            values = np.concatenate([values, values[:COMPARED] - features(before)[:COMPARED]])
        score = np.zeros(values.shape[1:], np.float32)
        for weight, term in zip(self.weights, terms(values), strict=True):
            score += np.float32(weight) * term
        return likelihood(score)


def likelihood(score: Floats) -> Floats:
    """The logistic function."""
    return np.asarray(1 / (1 + np.exp(-np.clip(score, -30, 30))), np.float32)


def features(image: Bytes) -> Floats:
    """(f, rows, columns) of an image uint8 (3, rows, columns), each of about unit size.

    Brightness and the two opponent colours (red less green, green less blue) are averaged over 5 px; textures are
    logarithms of the standard deviation of brightness over 5 and 15 px.
    """
    red, green, blue = image.astype(np.float32) / 255
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    colours = [_mean(band, SIDE) for band in (luma, red - green, green - blue)]
    fine, wide = (np.log(_deviation(luma, side) + 0.004) + 3.5 for side in (SIDE, WIDE))
    return np.stack([4 * colours[0] - 2, 8 * colours[1], 8 * colours[2], fine, wide])


def terms(values: Floats) -> Iterator[Floats]:
    """1, the features and the products of each two of them, (rows, columns) each."""
    yield np.ones_like(values[0])
    yield from values
    for k, value in enumerate(values):
        for other in values[k:]:
            yield value * other


def strips(grid: Grid) -> Iterator[Window]:
    """Windows as wide as the grid, top to bottom."""
    for top in range(0, grid.rows, ROWS):
        yield slice(top, min(top + ROWS, grid.rows)), slice(0, grid.columns)


def read_around(picture: Picture, window: Window, bands: Sequence[str]) -> tuple[dict[str, Bytes], Flags, slice]:
    """A strip of a picture with the rows around it that features depend on: its bands by name, where it is data, and
    which of the rows are the strip's own.

    Raises:
        DatasetError: the picture has not these bands.
    """
    if picture.bands != len(bands):
        raise DatasetError("the image's bands are not those named", expected=", ".join(bands), found=f"{picture.bands}")
    rows, columns = window
    top, bottom = max(rows.start - HALO, 0), min(rows.stop + HALO, picture.grid.rows)
    image, valid = picture.read((slice(top, bottom), columns))
    return dict(zip(bands, image, strict=True)), valid, slice(rows.start - top, rows.stop - top)


def colours(bands: Mapping[str, Bytes]) -> Bytes:
    """Red, green and blue of an image.

    Raises:
        DatasetError: it has not all of them.
    """
    if not set(RGB) <= set(bands):
        raise DatasetError("the image lacks colours", expected=", ".join(RGB), found=", ".join(bands))
    return np.stack([bands[name] for name in RGB])


def _mean(values: Floats, side: int) -> Floats:
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def _deviation(values: Floats, side: int) -> Floats:
    mean = _mean(values, side)
    return np.sqrt(np.maximum(_mean(values * values, side) - mean * mean, 0))
