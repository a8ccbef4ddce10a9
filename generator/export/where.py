"""Where a sample lies on Earth, and when it was taken by the world's clock."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from mage.scenes.dataset.schema import GridRecord, SampleRecord
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

# A local frame has no place on Earth. Formats that ask for degrees get its metres laid out around 0° N, 0° E, in the
# ocean, where no reader takes them for a real town; less whole hundreds of kilometres, since a file that does not say
# which map it is on may still be on one whose numbers are in the millions.
NOWHERE = "+proj=aeqd +lat_0=0 +lon_0=0 +datum=WGS84 +units=m +no_defs"
NOWHERE_NOTE = (
    "samples of cities without a CRS: their local metres, less whole hundreds of kilometres, are laid around 0° N, "
    "0° E (azimuthal equidistant); their degrees are no place on Earth"
)

LEAP = 100_000.0

Floats = NDArray[np.float64]


@lru_cache(maxsize=64)
def crs_of(name: str | None) -> CRS:
    """The CRS of a sample's grid, or that of :data:`NOWHERE`; ``EPSG:n`` or WKT, never the name of a file.

    Raises:
        DatasetError: it is neither.
    """
    if name is None:
        return CRS.from_proj4(NOWHERE)
    try:
        code = re.fullmatch(r"EPSG:([0-9]{3,6})", name)
        return CRS.from_epsg(int(code[1])) if code else CRS.from_wkt(name)
    except CRSError:
        raise DatasetError("an unknown coordinate system", expected="EPSG:n or WKT", found=name[:80]) from None


@lru_cache(maxsize=64)
def _transformer(name: str | None) -> Transformer:
    return Transformer.from_crs(crs_of(name), "EPSG:4326", always_xy=True)


def origin_of(grid: Grid) -> Floats:
    """Map coordinates (2,) of the origin of the grid's CRS, which is that of :data:`NOWHERE` for a local frame."""
    return np.zeros(2) if grid.crs is not None else LEAP * np.round(np.array(grid.centre) / LEAP)


def to_degrees(points: Floats, grid: Grid) -> Floats:
    """Map points (n, 2) in metres of a grid's frame as WGS 84 longitude and latitude (n, 2).

    Raises:
        DatasetError: the CRS is unknown, or points lie outside of it.
    """
    points = np.asarray(points, float).reshape(-1, 2) - origin_of(grid)
    try:
        # as lists, since pyproj takes an array of one point for a number
        found = np.column_stack(_transformer(grid.crs).transform(points[:, 0].tolist(), points[:, 1].tolist()))
    except ProjError:
        found = np.full_like(points, np.inf)
    if not np.isfinite(found).all():
        raise DatasetError("points lie outside of the coordinate system", found=f"{grid.crs}: {points[:1].tolist()}")
    return found


def grid_of(record: GridRecord) -> Grid:
    """A record's grid."""
    return Grid(record.rows, record.columns, record.west, record.north, record.gsd, record.crs)


def utc_of(record: SampleRecord, date: str) -> datetime:
    """When an image was taken, UTC. Records give mean solar time; a degree of longitude is four minutes."""
    stated = record.pre.capture_date if date == "pre" else record.post.capture_date
    grid = grid_of(record.grid)
    longitude = float(to_degrees(np.array([grid.centre]), grid)[0, 0])
    try:
        taken = datetime.fromisoformat(stated).replace(microsecond=0, tzinfo=None)
        return taken - timedelta(seconds=round(longitude * 240))
    except (ValueError, OverflowError):
        raise DatasetError("not a date and time", file=record.key, found=repr(stated)) from None
