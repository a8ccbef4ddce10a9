"""The one owner of pixel <-> map: a shape, an affine transform and a CRS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BLOCK = 1 << 14  # pixels that are worked on at once


@dataclass(frozen=True, slots=True)
class Grid:
    """A north-up raster grid.

    Rows run south (y falls with the row), columns run east. Pixel (row, column) covers a square of side ``gsd``;
    its centre is the point at which every label is exact.

    Attributes:
        rows, columns: shape in pixels.
        west, north: map coordinates (m) of the outer corner of pixel (0, 0).
        gsd: side of a pixel in metres.
        crs: a CRS that pyproj understands (``EPSG:28992``), or None for a local frame.
    """

    rows: int
    columns: int
    west: float
    north: float
    gsd: float
    crs: str | None = None

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1 or not self.gsd > 0:
            raise ValueError(f"a grid needs a shape and a pixel size above zero, found {self.shape} at {self.gsd} m")

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.rows, self.columns

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) in metres."""
        return self.west, self.north - self.rows * self.gsd, self.west + self.columns * self.gsd, self.north

    @property
    def centre(self) -> tuple[float, float]:
        """Map coordinates (m) of the middle of the grid."""
        west, south, east, north = self.bounds
        return (west + east) / 2, (south + north) / 2

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Affine coefficients (a, b, c, d, e, f) as rasterio orders them."""
        return self.gsd, 0.0, self.west, 0.0, -self.gsd, self.north

    def centres(self) -> tuple[Floats, Floats]:
        """Map x of every column centre, shape (columns,), and y of every row centre, shape (rows,), metres."""
        x = self.west + (np.arange(self.columns) + 0.5) * self.gsd
        y = self.north - (np.arange(self.rows) + 0.5) * self.gsd
        return x, y

    def points(self) -> Floats:
        """Map coordinates of all pixel centres, shape (rows * columns, 2), row by row."""
        x, y = self.centres()
        return np.stack([np.tile(x, self.rows), np.repeat(y, self.columns)], axis=1)

    def to_pixel(self, xy: Floats) -> Floats:
        """Map points (n, 2) to (column, row) in pixels; (0, 0) is the outer corner of the first pixel."""
        xy = np.asarray(xy, float)
        return np.stack([(xy[..., 0] - self.west) / self.gsd, (self.north - xy[..., 1]) / self.gsd], axis=-1)

    def to_map(self, pixels: Floats) -> Floats:
        """The inverse of :meth:`to_pixel`."""
        pixels = np.asarray(pixels, float)
        return np.stack([self.west + pixels[..., 0] * self.gsd, self.north - pixels[..., 1] * self.gsd], axis=-1)

    def moved(self, dx: float, dy: float, crs: str | None = None) -> Grid:
        """The same grid shifted by (dx, dy) metres, in another frame: local <-> projected coordinates."""
        return Grid(self.rows, self.columns, self.west + dx, self.north + dy, self.gsd, crs)

    def padded(self, pixels: int) -> Grid:
        """The grid grown by ``pixels`` on every side."""
        margin = pixels * self.gsd
        return Grid(
            self.rows + 2 * pixels,
            self.columns + 2 * pixels,
            self.west - margin,
            self.north + margin,
            self.gsd,
            self.crs,
        )

    def window(self, bounds: tuple[float, float, float, float]) -> tuple[slice, slice]:
        """Rows and columns of the pixels that (west, south, east, north) touches; either may be empty."""
        (left, top), (right, bottom) = self.to_pixel(np.array([(bounds[0], bounds[3]), (bounds[2], bounds[1])]))

        def _within(low: float, high: float, count: int) -> slice:
            first = min(max(int(np.floor(low)), 0), count)
            return slice(first, max(min(int(np.floor(high)) + 1, count), first))

        return _within(float(top), float(bottom), self.rows), _within(float(left), float(right), self.columns)

    def part(self, window: tuple[slice, slice]) -> Grid:
        """The grid of a :meth:`window` that is not empty."""
        rows, columns = window
        west, north = self.west + columns.start * self.gsd, self.north - rows.start * self.gsd
        return Grid(rows.stop - rows.start, columns.stop - columns.start, west, north, self.gsd, self.crs)

    def resampled(self, factor: int) -> Grid:
        """The same ground with ``factor`` times as many pixels along each side."""
        return Grid(self.rows * factor, self.columns * factor, self.west, self.north, self.gsd / factor, self.crs)

    @classmethod
    def around(cls, x: float, y: float, size: int, gsd: float, crs: str | None = None) -> Grid:
        """A square grid of ``size`` pixels whose middle is (x, y)."""
        half = size * gsd / 2
        return cls(size, size, x - half, y + half, gsd, crs)

    @classmethod
    def covering(cls, bounds: tuple[float, float, float, float], gsd: float, crs: str | None = None) -> Grid:
        """The smallest grid of this pixel size over (west, south, east, north), anchored at the north-west."""
        west, south, east, north = bounds
        columns = max(1, int(np.ceil(round((east - west) / gsd, 9))))
        rows = max(1, int(np.ceil(round((north - south) / gsd, 9))))
        return cls(rows, columns, west, north, gsd, crs)


def row_blocks(shape: tuple[int, ...], pixels: int = BLOCK) -> Iterator[slice]:
    """Blocks of a raster's rows, each small enough for all that is computed of it to stay in the processor's cache: of
    about so many pixels, more where little is computed of each.
    """
    step = max(pixels // max(shape[1], 1), 1)
    return (slice(first, first + step) for first in range(0, shape[0], step))
