"""Shaking out of a file: ShakeMap's ``grid.xml``, plain or packed, or a GeoTIFF of peak ground acceleration in g."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import rasterio
from lxml import etree
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.exceptions import ProjError

from mage.scenes.city import City
from mage.scenes.errors import CityError, HazardError
from mage.scenes.sources.archives import opened
from mage.scenes.sources.ground.rasters import Raster, applied, open_raster

Floats = NDArray[np.float64]

LARGEST = 2**26  # bytes of XML; real grids have 5 to 20 million
MOST_PLACES = 4_000_000  # of a grid
DEEPEST = 8  # elements within elements; real grids reach 2
STRONGEST = 3.0  # g; no map of medians comes near, and what is above is in another unit
MOST_FIELDS = 64  # of a grid; real ones have about 10
LONGEST = 64  # letters of a number
OFF = 0.25  # of a cell, that a place may lie beside the lattice it belongs to: they are rounded to 4 decimals
_BLOCK = 2**16
_UNITS = {"pctg": 0.01, "%g": 0.01, "g": 1.0}
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_shakemap(path: Path, xy: Floats, city: City) -> Floats:
    """Peak ground acceleration (n,) in g at local points (n, 2), linear between the map's own points.

    What a file is shows in its first bytes. A ``grid.xml`` says its unit itself; a GeoTIFF has one band,
    in the unit that it states, else in g.

    Raises:
        HazardError: a city that is nowhere on Earth, a file that is no such map or a broken one, or one that does not
            cover the points.
    """
    if city.crs is None:
        raise HazardError(
            f"the city {city.name} is nowhere on Earth, so that no map of shaking covers it",
            file=path,
            expected="a city with a coordinate system",
        )
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
        if head in _TIFF:
            return _from_raster(path, xy, city)
        return _from_grid(path, xy, city)
    except (CityError, HazardError) as error:
        raise HazardError(error.message, file=path, expected=error.expected, found=error.found) from None
    except OSError as error:
        raise HazardError("cannot be read", file=path, found=error.strerror or str(error)) from None


def _from_grid(path: Path, xy: Floats, city: City) -> Floats:
    west, north, step, pga = _grid(_parsed(path))
    east, up = _transformed(xy, city, "EPSG:4326")
    middle = west + step[0] * (pga.shape[1] - 1) / 2
    east = east + 360 * np.round((middle - east) / 360)  # a map may cross the 180th meridian
    return _sampled(pga, (east - west) / step[0], (north - up) / step[1])


def _from_raster(path: Path, xy: Floats, city: City) -> Floats:
    raster = open_raster(path, Counter())
    if raster.crs.is_projected and raster.crs.axis_info[0].unit_conversion_factor != 1:
        # the reader takes such a map's values for feet
        raise HazardError("the map's coordinates are not metres", expected="degrees or metres")
    x, y = applied(~raster.transform, *_transformed(xy, city, raster.crs))
    column, row = x - 0.5, y - 0.5
    rows, columns = _span(row, raster.rows), _span(column, raster.columns)
    pga = _window(raster, rows, columns) * _unit_of(path)
    return _sampled(pga, column - columns[0], row - rows[0])


def _unit_of(path: Path) -> float:
    """What makes g of a GeoTIFF's values; g where it states no unit."""
    hermit = rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO")  # no file beside it counts
    with hermit, rasterio.open(path, driver="GTiff") as file:
        unit = (file.units[0] or "").strip().lower() or "g"
    return _scale(unit)


def _scale(unit: str) -> float:
    if unit not in _UNITS:
        raise HazardError("accelerations in an unknown unit", expected=", ".join(_UNITS), found=unit[:60])
    return _UNITS[unit]


def _span(place: Floats, count: int) -> tuple[int, int]:
    """First and last + 1 of the pixels around the places, within the raster; empty where all of them lie beside it."""
    inside = place[np.isfinite(place)]
    low, high = (float(inside.min()), float(inside.max())) if len(inside) else (0.0, 0.0)
    first = int(np.clip(np.floor(low) - 1, 0, count))
    return first, int(np.clip(np.floor(high) + 3, first, count))


def _window(raster: Raster, rows: tuple[int, int], columns: tuple[int, int]) -> Floats:
    if rows[0] == rows[1] or columns[0] == columns[1]:
        return np.zeros((0, 0))
    if (rows[1] - rows[0]) * (columns[1] - columns[0]) > MOST_PLACES:
        raise HazardError("a map too fine for shaking", expected=f"{MOST_PLACES} pixels on the city")
    return raster.window(slice(*rows, 1), slice(*columns, 1))


def _transformed(xy: Floats, city: City, crs: Any) -> tuple[Floats, Floats]:
    """Local points (n, 2) as x and y of another CRS; degrees east and north where it has such."""
    # one point more, because a single one would be taken for a scalar
    points = np.vstack([xy, xy[:1]]) + city.origin
    try:
        x, y = Transformer.from_crs(city.crs, crs, always_xy=True).transform(points[:, 0], points[:, 1])
    except ProjError:
        raise HazardError(
            f"no way from the coordinates of the city {city.name} to those of the map of shaking",
            expected="coordinate systems of one and the same body",
            found=f"{city.crs} and {str(getattr(crs, 'name', crs))[:60]}",
        ) from None
    return x[: len(xy)], y[: len(xy)]


def _sampled(pga: Floats, column: Floats, row: Floats) -> Floats:
    """Linear between four points of ``pga`` (rows, columns); places within half a cell of the border are moved to it.

    Raises:
        HazardError: places beside the map or in its voids, or values that are no accelerations in g.
    """
    rows, columns = pga.shape
    near = (column >= -0.5) & (column <= columns - 0.5) & (row >= -0.5) & (row <= rows - 0.5)
    if not near.all() or min(rows, columns) < 2:
        raise HazardError(
            "the map of shaking does not cover the city",
            expected="all buildings on it",
            found=f"{np.count_nonzero(~near)} of {len(near)} beside it",
        )
    column, row = np.clip(column, 0, columns - 1), np.clip(row, 0, rows - 1)
    c, r = np.minimum(column.astype(int), columns - 2), np.minimum(row.astype(int), rows - 2)
    x, y = column - c, row - r
    upper = (1 - x) * pga[r, c] + x * pga[r, c + 1]
    lower = (1 - x) * pga[r + 1, c] + x * pga[r + 1, c + 1]
    values = (1 - y) * upper + y * lower
    if not ((values >= 0) & (values <= STRONGEST)).all():  # NaN is neither
        bad = values[~((values >= 0) & (values <= STRONGEST))][0]
        raise HazardError("no acceleration", expected=f"0 to {STRONGEST:g} g", found=f"{bad:g}")
    return np.asarray(values)


class _GridTarget:
    """Keeps the few elements of a ``grid.xml``, and the numbers of its table as they come; called by lxml's parser."""

    def __init__(self) -> None:
        self.root = ""
        self.specification: dict[str, str] = {}
        self.fields: dict[str, tuple[int, str]] = {}
        self.numbers = array("d")
        self._most = 0
        self._rest = ""
        self._inside = False
        self._depth = 0

    def doctype(self, *_: object) -> None:
        raise HazardError("it holds a DOCTYPE, which could make a reader swell or fetch files", expected="none")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._flush()
        self._depth += 1
        if self._depth > DEEPEST:
            raise HazardError("nested too deeply for a ShakeMap", expected=f"at most {DEEPEST} elements in each other")
        name = tag.rpartition("}")[2]
        self.root = self.root or name
        self._inside = name == "grid_data"
        if self._inside:
            self._most = math.prod(_shape(self.specification)) * _width(self.fields)
        if name == "grid_specification":
            self.specification = dict(attributes)
        if name == "grid_field" and (index := attributes.get("index", "")).isascii() and index.isdigit():
            self.fields[attributes.get("name", "").upper()] = int(index[:6]) - 1, attributes.get("units", "").lower()

    def data(self, text: str) -> None:
        if not self._inside:
            return
        words = (self._rest + text).split()
        self._rest = words.pop() if words and not text[-1:].isspace() else ""
        self._keep(words)
        if len(self._rest) > LONGEST:
            raise _no_number()

    def _flush(self) -> None:
        """The last number of the table, which no space follows."""
        self._keep(self._rest.split())
        self._rest = ""

    def _keep(self, words: list[str]) -> None:
        if len(self.numbers) + len(words) > self._most:
            raise _another_size(self._most, "more")
        try:
            self.numbers.frombytes(np.array(words, float).tobytes())
        except ValueError:
            raise _no_number() from None

    def end(self, _: str) -> None:
        self._flush()
        self._depth -= 1
        self._inside = False

    def close(self) -> None:
        pass


def _parsed(path: Path) -> _GridTarget:
    """The map in a file, or the first XML file in an archive."""
    with opened(path) as members:
        for _, stream in members:
            if stream.peek(64).replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xfe\xff \t\r\n").startswith(b"<"):
                return _fed(stream)
    raise HazardError("no map of shaking", expected="a ShakeMap grid.xml or a GeoTIFF in g")


def _fed(stream: IO[bytes]) -> _GridTarget:
    target = _GridTarget()
    # the table of a real grid is longer than lxml lets a text be; without a DOCTYPE nothing in it can grow
    parser = etree.XMLParser(
        target=cast(Any, target), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True
    )
    size = 0
    try:
        while block := stream.read(_BLOCK):
            size += len(block)
            if size > LARGEST:
                raise HazardError("too large for a ShakeMap", expected=f"at most {LARGEST} bytes", found="more")
            parser.feed(block)
        parser.close()
    except etree.LxmlError as error:
        raise HazardError("broken XML", found=str(error)[:160]) from None
    if target.root != "shakemap_grid":
        raise HazardError("no ShakeMap", expected="<shakemap_grid>", found=f"<{target.root[:60]}>")
    return target


def _grid(target: _GridTarget) -> tuple[float, float, tuple[float, float], Floats]:
    """West and north of the first place (degrees), both steps (degrees), and accelerations (rows, columns) in g."""
    west, south, east, north = (
        _number(target.specification, key) for key in ("lon_min", "lat_min", "lon_max", "lat_max")
    )
    if not (west < east and south < north):
        raise HazardError("the grid has no extent", found=str(target.specification)[:160])
    rows, columns = _shape(target.specification)
    table, scale = _table(target, rows * columns)
    step = (east - west) / (columns - 1), (north - south) / (rows - 1)
    column, row = (table[:, 0] - west) / step[0], (north - table[:, 1]) / step[1]
    c, r = np.round(column), np.round(row)
    off = max(np.abs(column - c).max(), np.abs(row - r).max())
    inside = (c >= 0) & (c < columns) & (r >= 0) & (r < rows)
    at = (r * columns + c)[inside].astype(np.int64)
    if not off <= OFF or not inside.all() or len(np.unique(at)) != len(table):
        raise HazardError("its places are not those of its grid", expected="each place of the grid once")
    pga = np.zeros((rows, columns))
    pga.flat[at] = table[:, 2] * scale
    return west, north, step, pga


def _number(specification: Mapping[str, str], key: str) -> float:
    text = specification.get(key, "")
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise HazardError(f"the grid's {key} is no number", expected=f"grid_specification {key}", found=text[:60])
    return value


def _shape(specification: Mapping[str, str]) -> tuple[int, int]:
    """Rows and columns of the grid."""
    columns, rows = _number(specification, "nlon"), _number(specification, "nlat")
    if not (columns.is_integer() and rows.is_integer()):
        raise HazardError("the grid has no extent", found=str(specification)[:160])
    if min(rows, columns) < 2 or rows * columns > MOST_PLACES:
        expected = f"2 and more each way, {MOST_PLACES} in all"
        raise HazardError("no grid of a ShakeMap", expected=expected, found=f"{columns:g} x {rows:g}")
    return int(rows), int(columns)


def _width(fields: Mapping[str, tuple[int, str]]) -> int:
    """How many numbers a place has: the fields are in columns of their own, and leave none out."""
    indices = sorted(index for index, _ in fields.values())
    if indices != list(range(len(indices))) or len(indices) > MOST_FIELDS:
        found = ", ".join(str(index + 1) for index in indices[:MOST_FIELDS])
        raise HazardError("fields of the grid share columns or leave some out", expected="index 1, 2, 3 …", found=found)
    return len(indices)


def _table(target: _GridTarget, places: int) -> tuple[Floats, float]:
    """Longitude, latitude and acceleration of every place, (n, 3), and what makes g of the last."""
    for name in ("LON", "LAT", "PGA"):
        if name not in target.fields:
            raise HazardError(f"the grid has no {name}", expected="fields LON, LAT and PGA")
    scale = _scale(target.fields["PGA"][1])
    width = _width(target.fields)
    if len(target.numbers) != places * width:
        raise _another_size(places * width, str(len(target.numbers)))
    chosen = [target.fields[name][0] for name in ("LON", "LAT", "PGA")]
    table = np.frombuffer(target.numbers).reshape(places, width)[:, chosen]
    if not np.isfinite(table).all():
        raise HazardError("the grid has places without a value", expected="numbers", found="NaN")
    return table, scale


def _another_size(expected: int, found: str) -> HazardError:
    return HazardError(
        "the grid's table has another size than it says", expected=f"{expected} numbers", found=f"{found} numbers"
    )


def _no_number() -> HazardError:
    return HazardError("the grid's table holds what is no number", expected="numbers")
