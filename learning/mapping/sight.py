"""What can be seen of a place: where images are data, and where no cloud hides it after the event.

A cloud is taken to be what is bright, white and alike over a wide area after the event and was not so before. The test
is conservative: thin cloud that hangs together with no thick one, small cloud and cloud shadow pass; fresh snow, and a
sheet of glinting water, may not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.features import shapes
from scipy import ndimage

from mage.learning.mapping.picture import Picture, Window
from mage.scenes.grid import Grid

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

CELL, MOST = 4.0, 4096  # metres of a cell's side, about, and cells along a side of the place at most
BLOCK = 1024  # pixels that are read at once, along each side, about
# Of bytes. Sunlit cloud is bright, grey and alike; roofs and concrete as bright are rarer, and where they are as wide
# as a cloud the image before tells. Clouds over Ida-BD have cores of 197, 194, 202 and rims of 147, 142, 136; debris
# and dust after earthquakes and storms are as bright, but not so wide and so even.
BRIGHT, BRIGHT_ALONE = 165.0, 200.0  # darkest band at least, with and without an image before
ALIKE, ALIKE_ALONE = 20.0, 12.0  # deviation in 3 x 3 cells at most, likewise
WHITE = 20.0  # bands apart at most
BEFORE = 160.0  # darkest band of what cannot have been white already
RISE = 50.0  # by which the darkest band of a cloud, and of its rim, is brighter than before
RIM_BRIGHT, RIM_WHITE = 105.0, 25.0  # of what hangs together with a cloud
WIDE, WIDE_ALONE = 40.0, 100.0  # metres: diameter of a disc that fits into a cloud, with and without an image before
RIM = 12.0  # metres by which a cloud is grown, since its edge is thin


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What is seen of a place, in cells of some pixels each.

    Attributes:
        grid: of the cells; it reaches beyond the place by less than a cell.
        cell: pixels along a side of a cell.
        cloud: (rows, columns) whether cloud hides it after the event.
        seen: (rows, columns) whether all images show at least half of it, and no cloud is there.
    """

    grid: Grid
    cell: int
    cloud: Flags
    seen: Flags

    def within(self, area: shapely.Geometry) -> shapely.Polygon | shapely.MultiPolygon:
        """The part of an area that is seen; empty where nothing is."""
        if self.seen.all():
            return area
        transform = Affine(*self.grid.transform)
        found = shapes(self.seen.astype(np.uint8), mask=self.seen, transform=transform)
        parts = [shapely.Polygon(shape["coordinates"][0], shape["coordinates"][1:]) for shape, _ in found]
        inside = shapely.intersection(shapely.union_all(parts), area)
        kept = [part for part in shapely.get_parts(inside) if part.area > 0]
        return kept[0] if len(kept) == 1 else shapely.MultiPolygon(kept)


@dataclass(frozen=True, slots=True, eq=False)
class Cleared:
    """A picture that is no data under clouds."""

    picture: Picture
    sight: Sight

    @property
    def grid(self) -> Grid:
        """Of the picture."""
        return self.picture.grid

    @property
    def bands(self) -> int:
        """Their number."""
        return self.picture.bands

    def read(self, window: Window) -> tuple[Bytes, Flags]:
        """As of :class:`~mage.learning.mapping.picture.Picture`."""
        image, valid = self.picture.read(window)
        rows, columns = (np.arange(part.start, part.stop) // self.sight.cell for part in window)
        clear = valid & ~self.sight.cloud[np.ix_(rows, columns)]
        return np.where(clear, image, 0), clear


def look(pre: Picture | None, post: Picture) -> Sight:
    """What is seen of a place, block by block.

    Args:
        pre: before the event; None where there is no such image, and then only wider clouds are found.
        post: after it, on the same grid.

    >>> from mage.learning.mapping.picture import ArrayPicture
    >>> grid = Grid(100, 100, 0, 400, 4.0)
    >>> before = np.full((3, 100, 100), 90, np.uint8)
    >>> after = before.copy()
    >>> after[:, 20:60, 30:70] = 240  # 160 m of white
    >>> sight = look(ArrayPicture(before, grid), ArrayPicture(after, grid))
    >>> bool(sight.cloud[40, 50]), bool(sight.cloud[80, 80]), bool(sight.seen[40, 50])
    (True, False, False)
    """
    cell = max(1, round(CELL / post.grid.gsd), -(-max(post.grid.shape) // MOST))
    grid = _cells(post.grid, cell)
    white, both, rim = np.zeros(grid.shape, bool), np.zeros(grid.shape, np.float32), np.zeros(grid.shape, bool)
    dark, apart, mean, squares = (np.zeros(grid.shape, np.float32) for _ in range(4))
    for window, at in _blocks(post.grid, cell):
        image, valid = post.read(window)
        share = _mean(valid[None].astype(np.float32), cell)[0]
        bands, (light, light_squared) = _mean(image, cell), _mean(_moments(image), cell)
        dark[at], apart[at] = bands.min(0), bands.max(0) - bands.min(0)
        mean[at], squares[at], whole = light, light_squared, share >= 1
        if pre is not None:
            before, known = pre.read(window)
            darkest = _mean(before, cell).min(0)
            rim[at] = whole & (bands.min(0) - darkest >= RISE)
            whole = rim[at] & (darkest < BEFORE)
            share = _mean((valid & known)[None].astype(np.float32), cell)[0]
        white[at], both[at] = whole, share
    deviation = np.sqrt(np.maximum(_around(squares) - _around(mean) ** 2, 0))
    bright, alike, wide = (BRIGHT_ALONE, ALIKE_ALONE, WIDE_ALONE) if pre is None else (BRIGHT, ALIKE, WIDE)
    white &= (dark >= bright) & (apart <= WHITE) & (deviation <= alike)
    cloud = _wide(white, wide / grid.gsd)
    cloud = _grown(cloud, rim & (dark >= RIM_BRIGHT) & (apart <= RIM_WHITE), RIM / grid.gsd)
    return Sight(grid, cell, cloud, (both >= 0.5) & ~cloud)


def _cells(grid: Grid, cell: int) -> Grid:
    rows, columns = (-(-side // cell) for side in grid.shape)
    return Grid(rows, columns, grid.west, grid.north, grid.gsd * cell, grid.crs)


def _blocks(grid: Grid, cell: int) -> Iterator[tuple[Window, Window]]:
    """Windows of whole cells, but for the last ones, in pixels and in cells."""
    step = max(1, BLOCK // cell) * cell
    for top in range(0, grid.rows, step):
        for left in range(0, grid.columns, step):
            window = slice(top, min(top + step, grid.rows)), slice(left, min(left + step, grid.columns))
            at = tuple(slice(part.start // cell, -(-part.stop // cell)) for part in window)
            yield window, (at[0], at[1])


def _mean(values: NDArray[np.generic], cell: int) -> Floats:
    """Means (bands, rows, columns) of cells; those that reach beyond the values have the mean of what they hold."""
    tall, wide = (-(-side // cell) for side in values.shape[1:])
    padded = [(0, 0), (0, tall * cell - values.shape[1]), (0, wide * cell - values.shape[2])]
    filled = np.pad(values.astype(np.float32), padded, mode="edge")
    return np.asarray(filled.reshape(len(values), tall, cell, wide, cell).mean((2, 4)), np.float32)


def _moments(image: Bytes) -> Floats:
    """The mean of the bands and its square, (2, rows, columns)."""
    light = image.mean(0, dtype=np.float32)
    return np.stack([light, light**2])


def _around(values: Floats) -> Floats:
    return np.asarray(ndimage.uniform_filter(values, 3, mode="nearest"), np.float32)


def _wide(white: Flags, diameter: float) -> Flags:
    """What of a mask a disc of a diameter, in cells, fits into."""
    if min(white.shape) < diameter:
        return np.zeros(white.shape, bool)
    return np.asarray(cv2.morphologyEx(white.astype(np.uint8), cv2.MORPH_OPEN, _disc(diameter), borderValue=(0.0,)) > 0)


def _grown(cloud: Flags, rim: Flags, margin: float) -> Flags:
    """Clouds with what of their rims hangs together with them, and a margin around both, in cells."""
    numbers = ndimage.label(cloud | rim)[0]
    whole = np.isin(numbers, np.unique(numbers[cloud])) & (numbers > 0)
    return np.asarray(cv2.dilate(whole.astype(np.uint8), _disc(2 * margin + 1)) > 0)


def _disc(diameter: float) -> Bytes:
    side = max(1, round(diameter)) | 1  # odd, so that it has a middle
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
