"""How many people live in an area, and how many of them what happened has come to, by a raster of inhabitants.

Such rasters (WorldPop, doi:10.1038/sdata.2017.4; GHS-POP of the Global Human Settlement Layer) count people per pixel.
A pixel's people are cut by the share of its surface that lies in the area, on the raster's own grid, so that no one is
lost or counted twice, as resampling would. Within a pixel they live in its buildings, by floor area as far as outlines
tell it (dasymetric mapping by buildings, Lwin and Murayama 2009, doi:10.1111/j.1467-9671.2009.01171.x); where a pixel
has no building in the area, they are spread evenly over its part of it.

Affected are those in buildings that are destroyed, damaged or possibly damaged, or that flood or fire has come to; and
of people without buildings those in flooded or burnt ground.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from mage.learning.mapping.findings import Buildings, Observed, Population
from mage.learning.mapping.product.names import AFFECTED
from mage.learning.mapping.product.table import polygons
from mage.learning.mapping.summary import touched
from mage.learning.rasters import Raster
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

Floats = NDArray[np.float64]
ToPixels = Callable[[Floats], Floats]
Corner = tuple[int, int]  # row and column of a first pixel
STEPS = 64  # parts of the longest side of the area at which its border is brought to the raster exactly
LARGEST = 4_000_000  # pixels of the raster that an area may touch: 100 m pixels of an area of 200 km a side
CELLS_AT_ONCE = 500_000  # pairs of buildings and pixels held in memory, about


def read_population(
    path: Path, grid: Grid, area: shapely.Geometry, buildings: Buildings, observed: Observed
) -> Population:
    """People in an area and of them those affected; see the top of this module.

    Args:
        path: a GeoTIFF of people per pixel in any CRS; what is nodata or below 0 counts as nobody.
        grid: of the map; a frame that is nowhere on Earth needs a raster without a CRS, in that frame.
        area: of interest, in the map's frame.
        buildings: with their verdicts.
        observed: flood and fire.

    Raises:
        DatasetError: the raster cannot be read, has more bands than one, lies elsewhere, states no CRS where one is
            needed, or is too fine for so large an area.
    """
    raster = Raster(path)
    if raster.layout.bands != 1:
        raise DatasetError("people are counted in one band", file=path, expected="1", found=str(raster.layout.bands))
    to_pixels = _to_pixels(raster, grid)
    place = _place(area, to_pixels, raster)
    corner, people = _people(raster, place)
    shape = (len(people), people.shape[1])
    within = shares(place, shape, corner)
    people *= within
    homes = shapely.intersection(_moved(buildings.outline, to_pixels), place)
    hit = np.isin(buildings.verdict, AFFECTED) | touched(observed, buildings.outline)
    built, struck = (_built(chosen, shape, corner) for chosen in (homes, homes[hit]))
    wet = [o for extent in observed.extents if extent.what in ("flood", "burn") for o in polygons(extent.outline)]
    ground = _moved(shapely.union_all(wet).intersection(area), to_pixels)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(built > 0, struck / built, np.minimum(shares(ground, shape, corner) / within, 1))
    return Population(float(people.sum()), float((people * np.nan_to_num(share)).sum()))


def shares(polygon: shapely.Geometry, shape: tuple[int, int], corner: Corner = (0, 0)) -> Floats:
    """Share of each pixel's surface that a polygon covers, exactly, (rows, columns).

    Args:
        polygon: in pixels, (column, row), 0 at the outer corner of the first.
        shape: rows and columns.
        corner: row and column of the first of them.

    >>> shares(shapely.box(0.5, 0, 2, 1), (1, 3)).tolist()
    [[0.5, 1.0, 0.0]]
    """
    found = np.zeros(shape)
    columns = corner[1] + np.arange(shape[1])
    for number, row in enumerate(range(corner[0], corner[0] + shape[0])):  # by rows, in bounded memory
        strip = shapely.intersection(polygon, shapely.box(columns[0], row, columns[-1] + 1, row + 1))
        if strip.is_empty:
            continue
        shapely.prepare(strip)
        cells = shapely.box(columns, row, columns + 1, row + 1)
        whole = shapely.covers(strip, cells)
        cut = np.flatnonzero(~whole & shapely.intersects(strip, cells))
        found[number, whole] = 1
        found[number, cut] = shapely.area(shapely.intersection(cells[cut], strip))
    return found


def _place(area: shapely.Geometry, to_pixels: ToPixels, raster: Raster) -> shapely.Geometry:
    """What of an area lies on the raster, in its pixels."""
    side = max(area.bounds[2] - area.bounds[0], area.bounds[3] - area.bounds[1])
    rows, columns = raster.layout.shape
    place = _moved(shapely.segmentize(area, side / STEPS), to_pixels).intersection(shapely.box(0, 0, columns, rows))
    if not place.area > 0:
        raise DatasetError("the raster of inhabitants lies elsewhere", file=raster.place, expected="over the area")
    return place


def _people(raster: Raster, place: shapely.Geometry) -> tuple[Corner, Floats]:
    """First row and column of the pixels that an area touches, and the people in each."""
    left, top, right, bottom = place.bounds
    corner = math.floor(top), math.floor(left)
    shape = math.ceil(bottom) - corner[0], math.ceil(right) - corner[1]
    if shape[0] * shape[1] > LARGEST:
        expected, found = f"at most {LARGEST} pixels", str(shape[0] * shape[1])
        raise DatasetError("too fine a raster for so large an area", file=raster.place, expected=expected, found=found)
    rows, columns = (slice(start, start + size) for start, size in zip(corner, shape, strict=True))
    values, valid = raster.read((rows, columns), (1,))
    return corner, np.maximum(np.where(valid, values[0], 0).astype(float), 0)


def _built(homes: NDArray[np.object_], shape: tuple[int, int], corner: Corner) -> Floats:
    """Surface of buildings in each pixel, pixels, (rows, columns)."""
    found = np.zeros(shape)
    homes = homes[shapely.area(homes) > 0]
    low, high = np.array(corner), np.array(corner) + shape
    bounds = shapely.bounds(homes).reshape(-1, 4)
    first = np.clip(np.floor(bounds[:, [1, 0]]).astype(int), low, high - 1)
    size = np.clip(np.ceil(bounds[:, [3, 2]]).astype(int), first + 1, high) - first
    number = size.prod(axis=1)  # of pixels that each may touch
    for chosen in np.array_split(np.arange(len(homes)), 1 + number.sum() // CELLS_AT_ONCE):
        home = np.repeat(chosen, number[chosen])
        step = np.arange(len(home)) - np.repeat(np.cumsum(number[chosen]) - number[chosen], number[chosen])
        row, column = first[home, 0] + step // size[home, 1], first[home, 1] + step % size[home, 1]
        covered = shapely.area(shapely.intersection(homes[home], shapely.box(column, row, column + 1, row + 1)))
        np.add.at(found, (row - corner[0], column - corner[1]), covered)
    return found


def _moved(shapes: Any, to_pixels: ToPixels) -> Any:
    """Geometries in the raster's pixels, mended where the way there broke them."""
    return shapely.make_valid(shapely.transform(shapes, to_pixels))


def _to_pixels(raster: Raster, grid: Grid) -> ToPixels:
    """From the map's frame, (n, 2), to pixels of the raster."""
    stated = raster.layout.crs
    if (stated is None) != (grid.crs is None) or raster.layout.transform == (1, 0, 0, 0, 1, 0):
        raise DatasetError(
            "the raster of inhabitants does not lie in the map's frame",
            file=raster.place,
            expected=grid.crs or "a raster without a CRS, in the map's local metres",
            found=stated or "no CRS",
        )
    inverse = np.linalg.inv(np.array([*raster.layout.transform, 0, 0, 1], float).reshape(3, 3))
    try:
        move = None if stated is None else Transformer.from_crs(grid.crs, CRS.from_user_input(stated), always_xy=True)
    except CRSError as error:
        raise DatasetError("its coordinate system is not known", file=raster.place, found=str(error)[:80]) from None

    def to_pixels(xy: Floats) -> Floats:
        x, y = xy.T if move is None else move.transform(*xy.T)
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise DatasetError("the raster of inhabitants lies elsewhere", file=raster.place, expected="over the area")
        return np.column_stack([x, y, np.ones(len(xy))]) @ inverse[:2].T

    return to_pixels
