"""Buildings of a scene: their outlines from a model where no file has them, and what a model thinks of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize, shapes
from rasterio.windows import Window as Rectangle

from mage.learning.mapping.maps import from_bytes
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

Floats = NDArray[np.float64]
ROWS = 512  # of a scene that are looked at at once


@dataclass(frozen=True, slots=True, eq=False)
class Gradings:
    """What a model thinks of each of n buildings.

    Attributes:
        located: (n,) mean probability that a building is there; NaN where nothing of it is known.
        grades: (n, grades) mean probability of each grade, given that there is one; they sum to 1, or are NaN.
        valid: (n,) share of its pixels of which anything is known; 0 for a building without a pixel.
    """

    located: Floats
    grades: Floats
    valid: Floats


def grade_footprints(path: Path, grid: Grid, footprints: NDArray[np.object_], *, grades: int | None = None) -> Gradings:
    """Mean probabilities over each footprint, a band of the scene at a time.

    A pixel belongs to the building that its centre lies in; of overlapping footprints to the last of them.

    Args:
        path: probabilities as :func:`~mage.learning.mapping.maps.write_probabilities` writes them: no building, then a
            building of each grade; further bands do not count.
        grid: of that file.
        footprints: (n,) polygons in the grid's frame.
        grades: their number; None where the file has no further bands.

    Raises:
        DatasetError: the file is not on this grid, or cannot be read.
    """
    count = len(footprints)
    with opened(path, grid) as file:
        bands = list(range(1, 1 + (file.count if grades is None else 1 + grades)))
        sums, known, all_of = np.zeros((count, len(bands))), np.zeros(count), np.zeros(count)
        tree = shapely.STRtree(footprints)
        for top in range(0, grid.rows, ROWS):
            part = grid.part((slice(top, min(top + ROWS, grid.rows)), slice(0, grid.columns)))
            found = np.sort(tree.query(shapely.box(*part.bounds)))
            if not len(found):
                continue
            ids = _ids(footprints[found], part)
            probabilities = from_bytes(file.read(bands, window=Rectangle(0, top, part.columns, part.rows)))
            inside = ids > 0
            owner, values = found[ids[inside] - 1], probabilities[:, inside].astype(float)
            seen = np.isfinite(values).all(axis=0)
            all_of += np.bincount(owner, minlength=count)
            known += np.bincount(owner[seen], minlength=count)
            sums += np.stack([np.bincount(owner[seen], band[seen], count) for band in values], axis=1)
    located = sums[:, 1:].sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Gradings(located / known, sums[:, 1:] / located[:, None], np.where(all_of > 0, known / all_of, 0))


def outlines(path: Path, grid: Grid, *, threshold: float = 0.5, least: float = 12.0) -> NDArray[np.object_]:
    """Outlines of buildings that a model sees, polygons in the grid's frame, from north to south.

    Pixels where a building is likelier than ``threshold`` are joined over their sides; corners of pixels are cut by a
    simplification of three quarters of a pixel (Douglas and Peucker 1973).

    Args:
        path: as of :func:`grade_footprints`.
        grid: of that file.
        threshold: of the probability that a building is there.
        least: square metres; less is no building.

    Raises:
        DatasetError: as of :func:`grade_footprints`.
    """
    with opened(path, grid) as file:
        mask = np.zeros(grid.shape, np.uint8)
        for top in range(0, grid.rows, ROWS):
            rows = slice(top, min(top + ROWS, grid.rows))
            none = from_bytes(file.read(1, window=Rectangle(0, top, grid.columns, rows.stop - top)))
            mask[rows] = 1 - none >= threshold  # NaN, not known, is no building
    found = []
    for shape, _ in shapes(mask, mask=mask.view(bool), transform=rasterio.Affine(*grid.transform)):
        polygon = shapely.Polygon(shape["coordinates"][0], shape["coordinates"][1:])
        if polygon.area >= least:
            found.append(shapely.make_valid(polygon.simplify(0.75 * grid.gsd)))
    return np.array(found, dtype=object)


def _ids(footprints: NDArray[np.object_], part: Grid) -> NDArray[np.int32]:
    numbered = [(shape, k) for k, shape in enumerate(footprints, 1)]
    return np.asarray(rasterize(numbered, part.shape, transform=rasterio.Affine(*part.transform), dtype="int32"))


def opened(path: Path, grid: Grid) -> rasterio.DatasetReader:
    """A raster of a scene, open.

    Raises:
        DatasetError: it is not on this grid, or cannot be read.
    """
    try:
        file = rasterio.open(path, driver="GTiff")
    except rasterio.errors.RasterioError as error:
        raise DatasetError("the map cannot be read", file=path, found=str(error)) from None
    if (file.height, file.width) != grid.shape:
        found = f"{file.height} x {file.width}"
        file.close()
        raise DatasetError(
            "the map is not of this scene", file=path, expected=f"{grid.rows} x {grid.columns}", found=found
        )
    return file
