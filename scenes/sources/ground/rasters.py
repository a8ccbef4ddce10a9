"""Elevation rasters as files: GeoTIFF and SRTM's ``.hgt``, opened with care and read a window at a time."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.transform import Affine
from rasterio.windows import Window

from mage.scenes.errors import CityError
from mage.scenes.sources.archives import opened
from mage.scenes.sources.crs import horizontal
from mage.scenes.sources.raw import printable

Floats = NDArray[np.float64]

LOWEST, HIGHEST = -1_000.0, 9_500.0  # metres; what lies beyond is no ground that a city stands on
LARGEST_BLOCK = 2**26  # pixels that a raster may store in one piece, which is read as a whole
LARGEST_SIDE = 2_000_000  # pixels
STRIP = 2**22  # pixels that are read at once
EXPECTED = "a GeoTIFF or an SRTM tile (.hgt, also zipped)"

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TILE = re.compile(r"(?:^|[/\\])([NS])(\d{2})([EW])(\d{3})[^/\\]*\.hgt(\.gz|\.xz|\.bz2)?$", re.IGNORECASE)
_SIDES = {2 * side * side: side for side in (1201, 3601)}  # bytes of a tile -> its pixels along one side
_VOID = -32768
_FEET = {"ft": 0.3048, "foot": 0.3048, "feet": 0.3048, "us-ft": 1200 / 3937, "us survey foot": 1200 / 3937}
_METRES = {"m": 1.0, "metre": 1.0, "metres": 1.0, "meter": 1.0, "meters": 1.0}


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """Heights on a raster that has been opened and not read.

    Attributes:
        name: the file's.
        crs: of the map, without heights.
        transform: (column, row) to map coordinates in the CRS; (0, 0) is the outer corner of the first pixel.
        rows, columns: shape.
        window: ``window(rows, columns)`` of two slices with one step reads heights in metres, float64, NaN for voids.
    """

    name: str
    crs: CRS
    transform: Affine
    rows: int
    columns: int
    window: Callable[[slice, slice], Floats]


def applied(transform: Affine, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Points after a transform (its own operator changed between two versions of the library)."""
    return transform.a * x + transform.b * y + transform.c, transform.d * x + transform.e * y + transform.f


def open_raster(path: Path, notes: Counter[str]) -> Raster:
    """The elevation raster in a file; what it is shows in its first bytes.

    GDAL sees GeoTIFF only, and no file beside it. Tiles of SRTM say where they lie in their names alone.

    Raises:
        CityError: no such file, no elevation raster, no CRS, several bands, or a layout made to exhaust memory.
    """
    if not path.is_file():
        raise CityError("no such file", file=path, expected=EXPECTED)
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
        return _geotiff(path, notes) if head in _TIFF else _srtm(path, head)
    except OSError as error:
        raise CityError("cannot be read", file=path, found=error.strerror or str(error)) from None


def _srtm(path: Path, head: bytes) -> Raster:
    with opened(path) as members:
        for name, stream in members:
            place = _TILE.search(name)
            if place is not None:
                return _tile(path, place, stream.read(max(_SIDES) + 1))
    raise CityError("no elevation in it", file=path, expected=EXPECTED, found=f"a file that begins with {head!r}")


def _tile(path: Path, place: re.Match[str], data: bytes) -> Raster:
    """Pixel centres lie on the whole degrees: neighbouring tiles share a row or a column."""
    side = _SIDES.get(len(data))
    if side is None:
        sizes = " or ".join(f"{size} bytes ({n} x {n})" for size, n in _SIDES.items())
        found = f"{len(data)} bytes" if len(data) <= max(_SIDES) else "more"
        raise CityError("no whole SRTM tile", file=path, expected=sizes, found=found)
    heights = np.frombuffer(data, ">i2").reshape(side, side)
    south, west = int(place[2]), int(place[4])
    south, west = south if place[1] in "Nn" else -south, west if place[3] in "Ee" else -west
    if not (-90 <= south < 90 and -180 <= west < 180):
        raise CityError("a tile that is not on Earth", file=path, found=place[0])
    pixel = 1 / (side - 1)
    transform = Affine(pixel, 0, west - pixel / 2, 0, -pixel, south + 1 + pixel / 2)

    def _window(rows: slice, columns: slice) -> Floats:
        part = heights[rows, columns].astype(float)
        return _plausible(np.where(part == _VOID, np.nan, part))

    return Raster(printable(path.name), CRS.from_epsg(4326), transform, side, side, _window)


def _plausible(heights: Floats) -> Floats:
    """Heights with NaN for all that is nowhere on Earth: voids that no header declares."""
    with np.errstate(invalid="ignore"):
        return np.where((heights > LOWEST) & (heights < HIGHEST), heights, np.nan)


def _geotiff(path: Path, notes: Counter[str]) -> Raster:
    name = printable(path.name)
    with _environment(), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # an error of ours says so
        try:
            with rasterio.open(path, driver="GTiff") as file:
                return _described(file, path, name, notes)
        except RasterioError as error:
            raise CityError("a broken GeoTIFF", file=path, found=_one_line(error)) from None


def _environment() -> rasterio.Env:
    return rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO", GDAL_CACHEMAX=64)


def _described(file: rasterio.DatasetReader, path: Path, name: str, notes: Counter[str]) -> Raster:
    _check_layout(file, path)
    crs = _crs_of(file, path)
    unit = _unit(file, crs, notes)
    scale, offset = unit * float(file.scales[0]), unit * float(file.offsets[0])
    rows, columns = file.shape

    def _window(row: slice, column: slice) -> Floats:
        return _read(path, row, column) * scale + offset

    return Raster(
        name, horizontal(crs), file.transform, rows, columns, lambda row, column: _plausible(_window(row, column))
    )


def _check_layout(file: rasterio.DatasetReader, path: Path) -> None:
    colours = file.colorinterp
    bands = [i for i, colour in enumerate(colours) if colour is not ColorInterp.alpha]
    if bands != [0] or colours[0] is ColorInterp.palette or np.dtype(file.dtypes[0]).kind not in "iuf":
        found = f"{file.count} of {file.dtypes[0]}, {', '.join(colour.name for colour in colours[:4])}"
        raise CityError("a picture and no elevation", file=path, expected="one band of heights", found=found)
    if max(file.shape) > LARGEST_SIDE or int(np.prod(file.block_shapes[0], dtype=np.int64)) > LARGEST_BLOCK:
        found = f"{file.width} x {file.height} pixels in blocks of {file.block_shapes[0]}"
        raise CityError("a raster that cannot be read piece by piece", file=path, found=found)


def _crs_of(file: rasterio.DatasetReader, path: Path) -> CRS:
    if file.crs is None or file.transform.is_identity or file.transform.is_degenerate:
        what = "no coordinate system" if file.crs is None else "no place on the map"
        raise CityError(f"the elevation has {what}", file=path, expected="a georeferenced raster")
    try:
        crs = CRS.from_user_input(file.crs)
    except CRSError:
        raise CityError("an unknown coordinate system", file=path, found=str(file.crs)[:80]) from None
    plane = horizontal(crs)
    if not (plane.is_projected or plane.is_geographic):
        raise CityError("no coordinate system of a map", file=path, found=plane.name)
    return crs


def _unit(file: rasterio.DatasetReader, crs: CRS, notes: Counter[str]) -> float:
    """Metres in one unit of height: the band's unit, else that of the vertical CRS, else feet beside feet."""
    stated = (file.units[0] or "").strip().lower()
    known = _METRES | _FEET
    if stated in known:
        return known[stated]
    if len(crs.axis_info) > 2:
        return float(crs.axis_info[2].unit_conversion_factor)
    plane = horizontal(crs)
    unit = float(plane.axis_info[0].unit_conversion_factor) if plane.is_projected else 1.0
    notes["elevations without a unit, taken in that of the map"] += int(unit != 1)
    return unit


def _read(path: Path, rows: slice, columns: slice) -> Floats:
    """Every step-th pixel of a window as stored, NaN for voids; read in strips, of which only those pixels stay."""
    step = rows.step
    deep = max(1, STRIP // (max(1, columns.stop - columns.start) * step)) * step
    parts = []
    try:
        with _environment(), rasterio.open(path, driver="GTiff") as file:
            for top in range(rows.start, rows.stop, deep):
                high = min(deep, rows.stop - top)
                area = Window(columns.start, top, columns.stop - columns.start, high)
                block = file.read(1, window=area, masked=True)[::step, ::step]
                parts.append(block.astype(float).filled(np.nan))
    except RasterioError as error:
        raise CityError("a broken GeoTIFF", file=path, found=_one_line(error)) from None
    return np.concatenate(parts)


def _one_line(error: Exception) -> str:
    return " ".join(str(error.__cause__ or error).split())[:160]
