"""Buildings of a scene: their outlines from a model where no file has them, and what a model thinks of each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize, shapes
from rasterio.windows import Window as Rectangle
from scipy import ndimage

from mage.learning.mapping.maps import STEPS, UNKNOWN, from_bytes
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

Floats = NDArray[np.float64]
ROWS = 512  # of a scene that are looked at at once
BLOCK, HALO = 2048, 256  # pixels of a block in which outlines are drawn, and what is read around it
LEVELS = 6  # from what is sure down to the threshold, at which buildings grow
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
SEED = 10.0  # square metres that are surely of a building, without which there is none


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


def outlines(
    path: Path, grid: Grid, *, threshold: float = 0.5, sure: float = 0.75, least: float = 12.0
) -> NDArray[np.object_]:
    """Outlines of buildings that a model sees, polygons in the grid's frame, from north to south.

    Pixels where a building is likelier than ``sure`` and that hang together over their sides are one building, if they
    cover 10 m²; it grows, level by level, to where one is likelier than ``threshold``, and meets its neighbours there:
    one threshold for both would join what stands close, or draw it too small. ``benchmarks/README.md`` (maps) says what
    that is worth.
    Corners of pixels are cut by a simplification of three quarters of a pixel (Douglas and Peucker 1973). The scene is
    looked at in blocks of 2,048 pixels; what reaches 256 pixels beyond that in which it begins is cut off there.

    Args:
        path: as of :func:`grade_footprints`.
        grid: of that file.
        threshold: of the probability that a building is there.
        sure: likewise, not below the threshold.
        least: square metres; less is no building.

    Raises:
        DatasetError: as of :func:`grade_footprints`.
    """
    found: list[shapely.Geometry] = []
    with opened(path, grid) as file:
        for top, left in product(range(0, grid.rows, BLOCK), range(0, grid.columns, BLOCK)):
            window = _around(top, grid.rows), _around(left, grid.columns)
            rows, columns = window
            none = file.read(1, window=Rectangle(columns.start, rows.start, *(s.stop - s.start for s in window[::-1])))
            labels = _parted(none, threshold, sure, SEED / grid.gsd**2)
            core = (
                slice(top - rows.start, top - rows.start + BLOCK),
                slice(left - columns.start, left - columns.start + BLOCK),
            )
            transform = rasterio.Affine(*grid.part(window).transform)
            found += _polygons(labels, core, transform, least, 0.75 * grid.gsd)
    drawn = np.array(found, dtype=object)
    place = shapely.bounds(drawn).reshape(-1, 4)
    return drawn[np.lexsort((place[:, 0], -place[:, 3]))]


def _around(start: int, side: int) -> slice:
    return slice(max(0, start - HALO), min(side, start + BLOCK + HALO))


def _parted(none: NDArray[np.uint8], threshold: float, sure: float, seed: float) -> NDArray[np.int32]:
    """Buildings by number from 1 where there are any, of probabilities of none, as bytes."""
    known = none != UNKNOWN
    seeds, count = ndimage.label(known & (none <= STEPS * (1 - sure)))
    large = np.bincount(seeds.ravel(), minlength=count + 1) >= seed
    large[0] = False
    if not large.any():
        return np.zeros(none.shape, np.int32)
    labels = np.where(large[seeds], seeds, 0).astype(np.float32)  # whole numbers up to 2^24, which OpenCV can dilate
    for level in np.linspace(sure, threshold, LEVELS + 1)[1:]:
        within = (known & (none <= STEPS * (1 - level))).astype(np.float32)
        before, now = -1, cv2.countNonZero(labels)
        while now > before:
            grown = np.asarray(cv2.multiply(cv2.dilate(labels, CROSS), within), np.float32)
            cv2.copyTo(labels, (labels > 0).view(np.uint8), grown)  # what has a number keeps it
            labels, before, now = grown, now, cv2.countNonZero(grown)
    return labels.astype(np.int32)


def _polygons(
    labels: NDArray[np.int32], core: tuple[slice, slice], transform: rasterio.Affine, least: float, tolerance: float
) -> list[shapely.Geometry]:
    """Outlines of the buildings that begin within a core, the topmost of their pixels from the left."""
    numbers, first = np.unique(labels, return_index=True)
    row, column = np.divmod(first, labels.shape[1])
    mine = np.zeros(int(labels.max()) + 1, bool)
    mine[numbers] = (core[0].start <= row) & (row < core[0].stop) & (core[1].start <= column) & (column < core[1].stop)
    mine[0] = False
    kept = np.where(mine[labels], labels, 0)
    found = []
    for shape, _ in shapes(kept, mask=kept > 0, transform=transform):
        polygon = shapely.Polygon(shape["coordinates"][0], shape["coordinates"][1:])
        if polygon.area >= least:
            found.append(shapely.make_valid(polygon.simplify(tolerance)))
    return found


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
