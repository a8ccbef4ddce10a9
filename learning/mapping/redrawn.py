"""Rasters of a product in which somebody drew: written anew strip by strip, and figures of parts of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import geometry_mask
from rasterio.windows import Window as Rectangle

from mage.learning.mapping.maps import BLOCK, STEPS, UNKNOWN, from_bytes, write_cog
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

SIDE = 1024  # pixels of a side that figures are taken from, of what is larger evenly spread ones


def redraw(path: Path, grid: Grid, more: shapely.Geometry, less: shapely.Geometry, value: float) -> Path:
    """A raster with ``value`` where ``more`` is and 0 where ``less`` is, beside it as ``NAME_corrected.tif``.

    Args:
        path: one band, probabilities as bytes (see :func:`~mage.learning.mapping.maps.to_bytes`) or values as floats.
        grid: of it.
        more: polygons in its frame, or an empty one.
        less: likewise.
        value: in the raster's unit, 0-1 of probabilities.

    Raises:
        DatasetError: the raster cannot be read or written, or is not on the grid.
    """
    to = path.with_name(f"{path.stem}_corrected.tif")
    with _opened(path, grid) as source:
        bytes_ = source.dtypes[0] == "uint8"
        stored = round(value * STEPS) if bytes_ else value

        def _fill(file: rasterio.io.DatasetWriter) -> None:
            for top in range(0, grid.rows, BLOCK):
                rows = min(BLOCK, grid.rows - top)
                window = Rectangle(0, top, grid.columns, rows)
                part = grid.part((slice(top, top + rows), slice(0, grid.columns)))
                values = source.read(1, window=window)
                values[_inside(less, part)] = 0
                values[_inside(more, part)] = stored
                file.write(values, 1, window=window)

        write_cog(to, grid, 1, source.dtypes[0], UNKNOWN if bytes_ else float("nan"), _fill)
    return to


def typical(path: Path, otherwise: float) -> float:
    """The median of what a raster shows where it shows anything, ``otherwise`` where it does not.

    Raises:
        DatasetError: it cannot be read.
    """
    with _opened(path) as file:
        shown = _values(file.read(1, out_shape=tuple(min(side, SIDE) for side in file.shape)))
    there = shown[shown > 0]
    return float(np.median(there)) if len(there) else otherwise


def mean_within(path: Path, grid: Grid, shape: shapely.Geometry) -> float:
    """The mean of a raster over the pixels whose centres lie in a polygon; NaN where nothing of it is known.

    Raises:
        DatasetError: the raster cannot be read, or is not on the grid.
    """
    rows, columns = grid.window(shape.bounds)
    if rows.start == rows.stop or columns.start == columns.stop:
        return float("nan")
    part = grid.part((rows, columns))
    out = tuple(min(side, SIDE) for side in part.shape)
    with _opened(path, grid) as file:
        values = _values(
            file.read(1, window=Rectangle(columns.start, rows.start, part.columns, part.rows), out_shape=out)
        )
    across, down = part.gsd * part.columns / out[1], part.gsd * part.rows / out[0]
    coarse = rasterio.Affine(across, 0, part.west, 0, -down, part.north)
    inside = geometry_mask([shape], out, coarse, invert=True)
    known = values[inside & np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _inside(shape: shapely.Geometry, part: Grid) -> NDArray[np.bool_]:
    cut = shapely.intersection(shape, shapely.box(*part.bounds))
    if cut.is_empty:
        return np.zeros(part.shape, bool)
    return np.asarray(geometry_mask([cut], part.shape, rasterio.Affine(*part.transform), invert=True))


def _values(stored: NDArray[Any]) -> NDArray[np.float64]:
    return (from_bytes(stored) if stored.dtype == np.uint8 else stored).astype(np.float64)


def _opened(path: Path, grid: Grid | None = None) -> rasterio.DatasetReader:
    try:
        file = rasterio.open(path, driver="GTiff")
    except rasterio.errors.RasterioError as error:
        raise DatasetError("the raster cannot be read", file=path, found=str(error)) from None
    if grid is not None and file.shape != grid.shape:
        found = f"{file.height} x {file.width}"
        file.close()
        raise DatasetError(
            "the raster is not of this map", file=path, expected=f"{grid.rows} x {grid.columns}", found=found
        )
    return file
