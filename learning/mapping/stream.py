"""A model over scenes larger than memory: overlapping windows that fade into each other, in finished strips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mage.learning.mapping.picture import Picture, Window
from mage.scenes.errors import DatasetError, ModelError
from mage.scenes.grid import Grid

Maps = NDArray[np.float32]
Forward = Callable[[NDArray[np.uint8]], Maps]
"""From images uint8 (dates, bands, h, w) to maps float32 (channels, h, w), such as a network's probabilities."""

WINDOW, OVERLAP = 1024, 128  # pixels
LEAST = 1e-3  # weight of a window at its very edge, so that places with no other window have one


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """A finished part of a scene, as wide as it.

    Attributes:
        rows: of the scene.
        maps: float32 (channels, rows, columns); NaN where not all images are data.
    """

    rows: slice
    maps: Maps


def strips_of(grid: Grid, window: int = WINDOW, overlap: int = OVERLAP, stride: int = 1) -> list[slice]:
    """The rows of each strip that :func:`stream` gives, top to bottom: they cover the grid and do not overlap.

    Raises:
        ModelError: window and overlap do not go together.
    """
    ends = _finished(_windows(grid.rows, window, overlap, stride), grid.rows)
    return [slice(low, high) for low, high in pairwise([0, *ends]) if high]


def stream(
    forward: Forward,
    pictures: Sequence[Picture],
    *,
    window: int = WINDOW,
    overlap: int = OVERLAP,
    stride: int = 1,
    first: int = 0,
) -> Iterator[Strip]:
    """What a model says of a scene, strip by strip, in the memory of two rows of windows.

    Windows share at least ``overlap`` pixels, in which the one fades into the other by a cosine. Past the border of the
    scene the images are mirrored, by half an overlap or a little more, so that what lies at the border is seen amid its
    likes. What is no data in one of the images is 0 to the model and NaN in the result.

    A network that looks at every 32nd place says something else of a scene that is moved by 7 pixels, so windows that
    begin anywhere disagree where they meet: they begin at multiples of its stride.

    Args:
        forward: the model.
        pictures: one for each date, on one grid.
        window: side of what the model is shown, pixels.
        overlap: even, less than half of the window.
        stride: pixels from one place that the model looks at to the next where it looks most coarsely; less than what
            windows do not share.
        first: number of the strip to begin with; what follows is the same as in a run from the top.

    Raises:
        DatasetError: the pictures lie on different grids, or cannot be read.
        ModelError: window and overlap do not go together, or the model gives maps of another size.

    >>> from mage.learning.mapping.picture import ArrayPicture
    >>> scene = ArrayPicture(np.full((3, 50, 70), 51, np.uint8), Grid(50, 70, 0, 50, 1))
    >>> strips = list(stream(lambda images: images[0, :1].astype(np.float32), [scene], window=32, overlap=8))
    >>> sum(strip.maps.shape[1] for strip in strips), {float(value) for value in strips[0].maps.ravel().round(4)}
    (50, {51.0})
    """
    grid = _one_grid(pictures)
    tall, wide = (_windows(side, window, overlap, stride) for side in grid.shape)
    strips = strips_of(grid, window, overlap, stride)
    number = -1
    pending: _Pending | None = None
    for rows, end in zip(tall, _finished(tall, grid.rows), strict=True):
        number += end > 0
        if rows.stop <= strips[min(first, len(strips) - 1)].start:
            continue  # nothing of it is left where the first strip begins
        band = _band(forward, pictures, rows, wide, overlap)
        if pending is not None:
            band.add(pending)
        done, pending = band.parted(end)
        del band
        if end and number >= first:
            yield Strip(strips[number], done.mean()[:, strips[number].start - done.top :])
        del done  # wide scenes are large: it is not held while the next is made


@dataclass(frozen=True, slots=True, eq=False)
class _Pending:
    """Rows from ``top`` on that windows have said something of: sums (C, n, W), weights (n,), what is data (n, W)."""

    top: int
    total: Maps
    weight: NDArray[np.float32]
    seen: NDArray[np.bool_]

    def add(self, above: _Pending) -> None:
        """Add what windows above said of the first of these rows."""
        shared = slice(above.top - self.top, above.top - self.top + len(above.weight))
        self.total[:, shared] += above.total
        self.weight[shared] += above.weight
        self.seen[shared] &= above.seen

    def parted(self, row: int) -> tuple[_Pending, _Pending]:
        """What lies above a row, and a copy of the rest."""
        cut = row - self.top
        above = _Pending(self.top, self.total[:, :cut], self.weight[:cut], self.seen[:cut])
        return above, _Pending(row, self.total[:, cut:].copy(), self.weight[cut:].copy(), self.seen[cut:].copy())

    def mean(self) -> Maps:
        """The mean, in the place of the sums."""
        self.total[:] /= self.weight[:, None]
        self.total[:, ~self.seen] = np.nan
        return self.total


def _band(forward: Forward, pictures: Sequence[Picture], rows: slice, wide: Sequence[slice], overlap: int) -> _Pending:
    """A row of windows, faded into each other along it, weighed for what comes above and below."""
    grid = pictures[0].grid
    top, bottom = max(rows.start, 0), min(rows.stop, grid.rows)
    inner = slice(top - rows.start, bottom - rows.start)
    total: Maps | None = None
    weight, seen = np.zeros(grid.columns, np.float32), np.ones((bottom - top, grid.columns), bool)
    for columns in wide:
        images, valid = read_window(pictures, (rows, columns))
        maps = forward(images)
        if maps.ndim != 3 or maps.shape[1:] != images.shape[2:]:
            raise ModelError("the model's maps are of another size", expected=f"(channels, {images.shape[2:]})")
        left, right = max(columns.start, 0), min(columns.stop, grid.columns)
        across = slice(left - columns.start, right - columns.start)
        fade = _fade(columns.stop - columns.start, overlap)[across]
        if total is None:
            total = np.zeros((len(maps), bottom - top, grid.columns), np.float32)
        total[:, :, left:right] += maps[:, inner, across] * fade
        weight[left:right] += fade
        seen[:, left:right] &= valid[inner, across]
    assert total is not None, "there is a window at least"
    down = _fade(rows.stop - rows.start, overlap)[inner]
    total /= weight
    total *= down[:, None]
    return _Pending(top, total, down, seen)


def read_window(pictures: Sequence[Picture], window: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Images (dates, bands, h, w) of a window that may reach over the border, mirrored there; and what is data."""
    grid = pictures[0].grid
    inside = tuple(slice(max(p.start, 0), min(p.stop, side)) for p, side in zip(window, grid.shape, strict=True))
    beyond = [(part.start - p.start, p.stop - part.stop) for p, part in zip(window, inside, strict=True)]
    found = [picture.read((inside[0], inside[1])) for picture in pictures]
    images = np.stack([image for image, _ in found])
    valid = np.logical_and.reduce([valid for _, valid in found])
    mirrored = np.pad(images, [(0, 0), (0, 0), *beyond], mode="symmetric")
    return mirrored, np.pad(valid, beyond, mode="symmetric")


def _windows(side: int, window: int, overlap: int, stride: int) -> list[slice]:
    """Windows of one size that begin at multiples of a stride and cover a side and half an overlap beyond both its
    ends, spread evenly.
    """
    if overlap % 2 or not 0 <= overlap < window / 2:
        raise ModelError("no such overlap", expected=f"even, from 0 to less than {window / 2:g}", found=str(overlap))
    most = (window - overlap) // stride * stride  # from one to the next
    if not most:
        expected = f"{overlap + stride} pixels or more, for a model of stride {stride}"
        raise ModelError("the window is too small", expected=expected, found=str(window))
    margin = -(-(overlap // 2) // stride) * stride
    further = side + 2 * margin - window  # to where the last one begins, from the first
    if further <= 0:
        return [slice(-margin, side + margin)]
    steps = -(-further // most)
    starts = [-(-k * further // (steps * stride)) * stride - margin for k in range(steps + 1)]
    return [slice(start, start + window) for start in starts if start < side]


def _finished(tall: Sequence[slice], rows: int) -> list[int]:
    """The row above which all is said after each row of windows; 0 where the next begins at the top as well."""
    return [*(max(part.start, 0) for part in tall[1:]), rows]


def _fade(length: int, overlap: int) -> NDArray[np.float32]:
    """(length,) weights that rise from both ends over ``overlap`` pixels to 1 as a cosine does."""
    near = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
    share = np.clip(near / max(overlap, 1), 0, 1)
    return np.maximum((1 - np.cos(np.pi * share)) / 2, LEAST).astype(np.float32)


def _one_grid(pictures: Sequence[Picture]) -> Grid:
    if not pictures or any(picture.grid != pictures[0].grid for picture in pictures):
        found = " and ".join(str(picture.grid) for picture in pictures) or "none"
        raise DatasetError("the images of a scene must lie on one grid", found=found)
    return pictures[0].grid
