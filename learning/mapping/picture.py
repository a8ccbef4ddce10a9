"""Images of a place on one working grid: read window by window from rasters of any size, CRS, pixel and band order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_utm_crs_info
from pyproj.exceptions import CRSError, ProjError

from mage.learning.mapping.bands import RGB, named_bands
from mage.learning.rasters import Raster, percentiles, to_uint8
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

Window = tuple[slice, slice]
Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

STEP = 16  # pixels between places that are transformed exactly; between them positions are interpolated
WEB_MERCATOR = 3857  # its metres are longer than those on the ground
EVEN = 1e-3  # share of a pixel by which a grid may be off where it counts as the same


class Picture(Protocol):
    """An image on a grid; what lies off the image or is nodata is not valid, and 0."""

    @property
    def grid(self) -> Grid:
        """Of the whole image."""

    @property
    def bands(self) -> int:
        """Their number."""

    def read(self, window: Window) -> tuple[Bytes, Flags]:
        """Values, uint8 (bands, rows, columns), and where they are data, of a window within the grid."""


class Shift(Protocol):
    """How far a picture is displaced against the one that it is laid on."""

    def at(self, columns: Floats, rows: Floats) -> tuple[Floats, Floats]:
        """Pixels to the right and down at places of the grid (pixel centres are whole numbers), in their shape."""


@dataclass(frozen=True, slots=True, eq=False)
class ArrayPicture:
    """An image in memory, uint8 (bands, rows, columns), and where it is data, (rows, columns); None for everywhere.

    Raises:
        DatasetError: arrays of another type or shape.

    >>> picture = ArrayPicture(np.full((3, 4, 5), 7, np.uint8), Grid(4, 5, 0, 4, 1))
    >>> picture.read((slice(1, 3), slice(0, 2)))[0].shape
    (3, 2, 2)
    """

    image: Bytes
    grid: Grid
    valid: Flags | None = None

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[1:] != self.grid.shape:
            expected, found = f"uint8 (bands, {self.grid.rows}, {self.grid.columns})", self.image
            raise DatasetError("the image does not fit", expected=expected, found=f"{found.dtype} {found.shape}")

    @property
    def bands(self) -> int:
        """Their number."""
        return len(self.image)

    def read(self, window: Window) -> tuple[Bytes, Flags]:
        """As of :class:`Picture`."""
        valid = np.ones(self.grid.shape, bool)[window] if self.valid is None else self.valid[window]
        return np.where(valid, self.image[:, *window], 0), valid


class RasterPicture:
    """A raster file laid on a grid, resampled once (bilinear), its values stretched to bytes.

    Values beyond a byte are stretched between limits: the raster's own 2nd and 98th percentiles, band by band, as
    :func:`mage.learning.rasters.percentiles` finds them, where none are given; bytes stay what they are.

    Args:
        raster: the file.
        grid: where it is laid. Where neither states a CRS, rows and columns of both are the same.
        bands: numbers from 1, in the order of the model's; None takes the first three of a picture's, or its only one
            thrice.
        shift: of this picture against the grid, see :class:`Shift`; None for none.
        limits: (bands, 2) values that become 0 and 255.

    Raises:
        DatasetError: it lies elsewhere, has no such band, or cannot be read.
    """

    def __init__(
        self,
        raster: Raster,
        grid: Grid,
        *,
        bands: Sequence[int] | None = None,
        shift: Shift | None = None,
        limits: Floats | None = None,
    ) -> None:
        self.raster, self._grid, self.shift = raster, grid, shift
        self.numbers = tuple(bands) if bands is not None else _pictured(raster)
        if not self.numbers or not all(1 <= n <= raster.layout.bands for n in self.numbers):
            expected, found = f"1 to {raster.layout.bands}", ", ".join(map(str, self.numbers)) or "none"
            raise DatasetError("there is no such band", file=raster.place, expected=expected, found=found)
        stretched = limits is None and raster.layout.dtype != "uint8"
        self._limits = percentiles(raster, self.numbers) if stretched else limits
        self._to_raster = _to_raster(raster, grid)
        self._same = shift is None and self._lies_on()

    @property
    def grid(self) -> Grid:
        """Where it is laid."""
        return self._grid

    @property
    def bands(self) -> int:
        """Their number."""
        return len(self.numbers)

    def read(self, window: Window) -> tuple[Bytes, Flags]:
        """As of :class:`Picture`."""
        if self._same:
            return self._cut(window)
        columns, rows = self._places(window)
        around = _around(columns, rows, self.raster.layout.shape)
        if around is None:
            shape = (window[0].stop - window[0].start, window[1].stop - window[1].start)
            return np.zeros((self.bands, *shape), np.uint8), np.zeros(shape, bool)
        image, valid = self._bytes(around)
        return resample(image, valid, columns - around[1].start, rows - around[0].start)

    def with_shift(self, shift: Shift) -> RasterPicture:
        """The same raster, displaced."""
        return RasterPicture(self.raster, self._grid, bands=self.numbers, shift=shift, limits=self._limits)

    def _bytes(self, window: Window) -> tuple[Bytes, Flags]:
        """A window of the raster itself."""
        values, valid = self.raster.read(window, self.numbers)
        return (values if self._limits is None else to_uint8(values, self._limits)), valid

    def _cut(self, window: Window) -> tuple[Bytes, Flags]:
        """A window where pixels of the raster are those of the grid."""
        shape = tuple(part.stop - part.start for part in window)
        whole, known = np.zeros((self.bands, *shape), np.uint8), np.zeros(shape, bool)
        here, there = [], []
        for part, step, side in zip(window, self._offset[::-1], self.raster.layout.shape, strict=True):
            start, stop = max(part.start + step, 0), min(part.stop + step, side)
            if start >= stop:
                return whole, known
            there.append(slice(start, stop))
            here.append(slice(start - step - part.start, stop - step - part.start))
        image, valid = self._bytes((there[0], there[1]))
        whole[:, here[0], here[1]], known[here[0], here[1]] = np.where(valid, image, 0), valid
        return whole, known

    def _places(self, window: Window) -> tuple[Floats, Floats]:
        """Positions in the raster of the window's pixel centres; whole numbers are centres of its pixels."""
        row, column = (np.arange(part.start, part.stop, dtype=float) for part in window)
        columns, rows = (grid.copy() for grid in np.meshgrid(column, row))
        if self.shift is not None:
            right, down = self.shift.at(columns, rows)
            columns, rows = columns + right, rows + down
        return self._to_raster(columns, rows)

    def _lies_on(self) -> bool:
        """Whether its pixels are the grid's, so that nothing need be resampled."""
        last = self._grid.columns - 1.0, self._grid.rows - 1.0
        corners = np.array([0, last[0], 0, last[0]]), np.array([0, 0, last[1], last[1]])
        columns, rows = self._to_raster(*corners)
        right, down = columns - corners[0], rows - corners[1]
        self._offset = round(float(right[0])), round(float(down[0]))
        off = max(np.abs(right - self._offset[0]).max(), np.abs(down - self._offset[1]).max())
        return bool(off < EVEN)


def working_grid(raster: Raster, gsd: float | None = None) -> Grid:
    """The grid of metres that a raster is mapped on: its own where that is north-up, square and in metres, else one of
    the UTM zone of its middle, of about its pixel size.

    Args:
        raster: the file.
        gsd: metres of a pixel; None for the raster's own. A raster without a CRS, such as a PNG, has pixels of this
            size, in a frame that is nowhere on Earth, its lower left corner at the origin.

    Raises:
        DatasetError: its CRS is not known, it lies where no UTM zone is, or nobody says how large its pixels are.
    """
    rows, columns = raster.layout.shape
    if raster.layout.crs is None:
        if gsd is None:
            told = "the image says neither where it lies nor how large its pixels are"
            expected = "a GeoTIFF with a CRS, or metres on the ground that a pixel is wide, such as --gsd 0.5"
            raise DatasetError(told, file=raster.place, expected=expected)
        return Grid(rows, columns, 0.0, rows * gsd, gsd)
    a, b, c, d, e, f = raster.layout.transform
    crs = _crs(raster)
    metric = crs.is_projected and crs.to_epsg() != WEB_MERCATOR and crs.axis_info[0].unit_conversion_factor == 1
    square = b == d == 0 and a > 0 and abs(a + e) <= EVEN * a
    if metric and square and (gsd is None or abs(gsd - a) < EVEN * a):
        return Grid(rows, columns, c, f, a, raster.layout.crs)
    outline = _outline(rows, columns, raster.layout.transform)
    target = raster.layout.crs if metric else _utm(crs, outline.mean(axis=0), raster.place)
    east, north = Transformer.from_crs(crs, target, always_xy=True).transform(*outline.T)
    native = math.sqrt(_area(np.column_stack([east, north])) / (rows * columns))
    size = gsd or float(f"{native:.3g}")
    west, south = (math.floor(min(values) / size) * size for values in (east, north))
    height, width = (math.ceil((max(values) - low) / size) for values, low in ((north, south), (east, west)))
    return Grid(height, width, west, south + height * size, size, target)


def resample(image: Bytes, valid: Flags, columns: Floats, rows: Floats) -> tuple[Bytes, Flags]:
    """An image at other places by bilinear interpolation, and where all that it is made of is data.

    Args:
        image: uint8 (bands, h, w).
        valid: (h, w).
        columns: (rows, columns) positions; whole numbers are centres of pixels.
        rows: the same, down.
    """
    x, y = columns.astype(np.float32), rows.astype(np.float32)
    known = cv2.remap(valid.astype(np.uint8) * 255, x, y, cv2.INTER_LINEAR, borderValue=0) >= 254  # type: ignore[call-overload]
    there = [cv2.remap(band, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for band in image]
    return np.where(known, np.stack(there), 0).astype(np.uint8), np.asarray(known)


def _pictured(raster: Raster) -> tuple[int, ...]:
    """Red, green and blue as the raster names them, else its first three bands; a single one thrice."""
    named = named_bands(raster, {})
    if set(RGB) <= set(named):
        return tuple(named[name] for name in RGB)
    numbers = raster.layout.pictured
    return numbers[:3] if len(numbers) >= 3 else numbers[:1] * 3


def _to_raster(raster: Raster, grid: Grid) -> Callable[[Floats, Floats], tuple[Floats, Floats]]:
    """From pixels of the grid to pixels of the raster; see :meth:`RasterPicture._places`."""
    if raster.layout.crs is None or grid.crs is None:
        if raster.layout.shape != grid.shape:
            raise DatasetError(
                "an image that does not say where it lies must have the pixels of the other",
                file=raster.place,
                expected=f"{grid.columns} x {grid.rows}",
                found=f"{raster.layout.shape[1]} x {raster.layout.shape[0]}",
            )
        return lambda columns, rows: (columns, rows)
    transformer = Transformer.from_crs(grid.crs, _crs(raster), always_xy=True)
    inverse = np.linalg.inv(np.array([*raster.layout.transform, 0, 0, 1], float).reshape(3, 3))
    same = transformer.source_crs == transformer.target_crs

    def positions(columns: Floats, rows: Floats) -> tuple[Floats, Floats]:
        x, y = grid.west + (columns + 0.5) * grid.gsd, grid.north - (rows + 0.5) * grid.gsd
        if not same:
            x, y = _transformed(transformer, x, y)
        return (
            inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2] - 0.5,
            inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2] - 0.5,
        )

    return positions


def _transformed(transformer: Transformer, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Map coordinates in another CRS: exactly at every 16th pixel of a large window, between them by interpolation."""
    if x.ndim < 2 or min(x.shape) <= 2 * STEP:
        return transformer.transform(x, y)
    knots = [np.unique(np.append(np.arange(0, side, STEP), side - 1)) for side in x.shape]
    exact = transformer.transform(x[np.ix_(*knots)], y[np.ix_(*knots)])
    return _between(exact[0], knots), _between(exact[1], knots)


def _between(values: Floats, knots: list[NDArray[np.int64]]) -> Floats:
    """Values at some rows and columns, the first and last among them, at all of them: bilinear."""
    for axis, at in enumerate(knots):
        place = np.arange(at[-1] + 1)
        left = np.clip(np.searchsorted(at, place, "right") - 1, 0, len(at) - 2)
        share = (place - at[left]) / (at[left + 1] - at[left])
        share = share.reshape(-1, 1) if axis == 0 else share
        values = values.take(left, axis) * (1 - share) + values.take(left + 1, axis) * share
    return values


def _around(columns: Floats, rows: Floats, shape: tuple[int, int]) -> Window | None:
    """The window of a raster that interpolation at these places needs; None where they lie off it."""
    parts = []
    for values, side in ((rows, shape[0]), (columns, shape[1])):
        finite = values[np.isfinite(values)]
        if not finite.size:
            return None
        first, last = max(math.floor(finite.min()), 0), min(math.ceil(finite.max()) + 1, side)
        if first >= last:
            return None
        parts.append(slice(first, last))
    return parts[0], parts[1]


def _crs(raster: Raster) -> CRS:
    try:
        return CRS.from_user_input(raster.layout.crs)
    except CRSError as error:
        raise DatasetError("its coordinate system is not known", file=raster.place, found=str(error)[:80]) from None


def _utm(crs: CRS, middle: Floats, place: str) -> str:
    try:
        longitude, latitude = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*middle)
    except ProjError:
        longitude = latitude = np.inf
    if np.isfinite([longitude, latitude]).all() and abs(latitude) <= 90:
        zones = query_utm_crs_info("WGS 84", AreaOfInterest(longitude, latitude, longitude, latitude))
        if zones:
            return f"EPSG:{zones[0].code}"
    raise DatasetError("it lies in no UTM zone", file=place, found=f"{longitude:g}, {latitude:g}")


def _outline(rows: int, columns: int, transform: tuple[float, ...]) -> Floats:
    """Map coordinates along the border, (n, 2), round once."""
    a, b, c, d, e, f = transform
    across, down = np.linspace(0, columns, 17), np.linspace(0, rows, 17)
    column = np.concatenate([across, np.full(16, columns), across[-2::-1], np.zeros(15)])
    row = np.concatenate([np.zeros(17), down[1:], np.full(16, rows), down[-2:0:-1]])
    return np.column_stack([a * column + b * row + c, d * column + e * row + f])


def _area(ring: Floats) -> float:
    x, y = ring.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
