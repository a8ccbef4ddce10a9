"""What goes into a map: files that are there, the place that they show, and what is told about them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import shapely
from pyproj import Transformer
from pyproj.exceptions import ProjError

from mage.learning.mapping.findings import Event, Source
from mage.learning.mapping.picture import working_grid
from mage.learning.rasters import Raster
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

Ends = tuple[tuple[float, float], tuple[float, float]]
DEGREES = "EPSG:4326"
OSM = (".osm", ".osm.gz", ".osm.bz2", ".pbf")  # endings of files whose licence is known
OSM_LICENCE = "ODbL-1.0"
LARGEST = 1 << 34  # pixels of a map: 131,072 along each side
EDGE = 16  # parts that an image's sides are cut into when they are brought into another CRS


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a map; only ``post`` must be there.

    Attributes:
        post, pre: images after and before the event: GeoTIFF, PNG or JPEG.
        buildings, roads, facilities: vector files or OpenStreetMap's.
        areas: administrative areas, with names.
        aoi: the area of interest.
        terrain: elevation of the ground.
        population: people in each pixel.
        corrections: a product's GeoPackage that somebody edited.
        before: the folder of an earlier product, of which this one is an update.
    """

    post: Path
    pre: Path | None = None
    buildings: Path | None = None
    roads: Path | None = None
    facilities: Path | None = None
    areas: Path | None = None
    aoi: Path | None = None
    terrain: Path | None = None
    population: Path | None = None
    corrections: Path | None = None
    before: Path | None = None

    def given(self) -> dict[str, Path]:
        """Those that were given, by role, ``before`` left out.

        Raises:
            DatasetError: one is not there.
        """
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "before" and getattr(self, f.name)}
        for role, path in found.items():
            if not path.is_file():
                kind = "a file, and found a folder" if path.is_dir() else "a file"
                raise DatasetError(f"there is no such file for '{role}'", file=path, expected=kind)
        return found


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Attributes:
        files: that go in.
        event: what struck.
        gsd: metres of a pixel of the map; None for the image's own, or the finest that the model knows.
        bands: of the images, from 1, in the order of the model's; None for red, green and blue, or all that ``named``
            holds, in its order, where the model wants as many.
        named: numbers of bands by name, see :data:`~mage.learning.mapping.bands.NAMES`; those of the files where they
            tell.
        reflectance: value that is a reflectance of 1 in rasters of more than bytes; None where the files state scales.
        register: whether to measure how the images lie against each other, and to undo it.
        ecc: whether to refine that by their correlation.
        route: two places in map coordinates, or longitudes and latitudes.
        finetune: folder of a run, in which the model is trained further on the corrections.
        taken: when each image was sensed, by role.
        window: pixels along a side of what the model is shown at once.
        seed: of what is drawn.
    """

    files: Files
    event: Event
    gsd: float | None = None
    bands: tuple[int, ...] | None = None
    named: Mapping[str, int] = field(default_factory=dict)
    reflectance: float | None = None
    register: bool = True
    ecc: bool = False
    route: Ends | None = None
    finetune: Path | None = None
    taken: Mapping[str, datetime] = field(default_factory=dict)
    window: int = 1024
    seed: int = 0


def checksum(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DatasetError(f"the file cannot be read: {error.strerror}", file=path) from None


def sources(request: Request, sums: Mapping[str, str], gsd: Mapping[str, float]) -> tuple[Source, ...]:
    """The files that went in, each once for each role.

    Args:
        request: what was asked for.
        sums: checksums by role.
        gsd: metres of a pixel of the images, by role.
    """
    return tuple(
        Source(
            role={"aoi": "areas"}.get(role, role),
            name=path.name,
            sha256=sums[role],
            taken=request.taken.get(role),
            gsd=gsd.get(role),
            licence=OSM_LICENCE if path.name.lower().endswith(OSM) else "",
        )
        for role, path in request.files.given().items()
    )


def place_of(post: Raster, pre: Raster | None, gsd: float | None = None, *, whole: bool = False) -> Grid:
    """The grid of a map: that of the image after the event, cut to what both images show unless ``whole`` is asked for.

    Raises:
        DatasetError: the two show different places, or as of :func:`~mage.learning.mapping.picture.working_grid`; or
            the map would be too large.
    """
    grid = working_grid(post, gsd)
    if math.prod(grid.shape) > LARGEST:
        found = f"{grid.columns} x {grid.rows} pixels of {grid.gsd:g} m"
        raise DatasetError("the map would be too large", file=post.place, expected="a coarser --gsd", found=found)
    if pre is None or pre.layout.crs is None or grid.crs is None:
        return grid
    theirs = footprint(pre, grid.crs)
    if not shapely.intersects(theirs, shapely.box(*grid.bounds)):
        expected = f"the place that {Path(post.place).name} shows, {_corners(grid.bounds)}"
        found = _corners(shapely.bounds(theirs).tolist())
        raise DatasetError("the two images do not overlap", file=pre.place, expected=expected, found=found)
    return grid if whole else cut(grid, theirs)


def footprint(raster: Raster, crs: str) -> shapely.Polygon:
    """The outline of a raster that says where it lies, in another CRS.

    Raises:
        DatasetError: it cannot be brought there.
    """
    rows, columns = raster.layout.shape
    a, b, c, d, e, f = raster.layout.transform
    across, down = np.linspace(0, columns, EDGE + 1), np.linspace(0, rows, EDGE + 1)
    column = np.concatenate([across, np.full(EDGE, columns), across[-2::-1], np.zeros(EDGE)])
    row = np.concatenate([np.zeros(EDGE + 1), down[1:], np.full(EDGE, rows), down[-2::-1]])
    x, y = a * column + b * row + c, d * column + e * row + f
    try:
        east, north = Transformer.from_crs(raster.layout.crs, crs, always_xy=True).transform(x, y)
    except ProjError as error:
        raise DatasetError("it cannot be laid on the map", file=raster.place, found=str(error)[:80]) from None
    outline = shapely.Polygon(np.column_stack([east, north])) if np.isfinite([east, north]).all() else None
    if outline is None or not outline.area > 0:
        raise DatasetError("it cannot be laid on the map", file=raster.place, expected=f"a place that {crs} shows")
    return outline


def cut(grid: Grid, shape: shapely.Geometry) -> Grid:
    """The part of a grid that holds a shape, or the grid as it is where the shape reaches round it.

    Raises:
        DatasetError: they have nothing in common.

    >>> cut(Grid(10, 10, 0, 10, 1), shapely.box(2.2, 3.5, 4.8, 99)).bounds
    (2, 3, 5, 10)
    """
    west, south, east, north = shapely.bounds(shape)
    slack = 1e-6 * grid.gsd  # what touches a pixel's side by a rounding does not touch the pixel
    window = grid.window((west + slack, south + slack, east - slack, north - slack))
    if any(part.start >= part.stop for part in window):
        expected, found = _corners(grid.bounds), _corners((west, south, east, north))
        raise DatasetError("the place lies outside the images", expected=expected, found=found)
    return grid.part(window)


def area_of(grid: Grid, aoi: Sequence[shapely.Geometry], file: Path) -> shapely.Polygon | shapely.MultiPolygon:
    """The area of interest: what outlines of a file cover of a grid.

    Raises:
        DatasetError: there are none, or they lie elsewhere.
    """
    if not len(aoi):
        raise DatasetError("holds no area of interest", file=file, expected="a polygon at least")
    inside = shapely.intersection(shapely.union_all(np.array(aoi, object)), shapely.box(*grid.bounds))
    parts = [part for part in shapely.get_parts(inside) if part.area > 0]
    if not parts:
        expected = f"a part of {_corners(grid.bounds)} in {grid.crs or 'the frame of the images'}"
        raise DatasetError("the area of interest lies outside the images", file=file, expected=expected)
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def on_map(ends: Ends, grid: Grid) -> Ends:
    """Two places in map coordinates: what could be longitudes and latitudes is taken for them, where there is a CRS.

    Raises:
        DatasetError: they are nowhere on the map's projection.

    >>> here = Grid(10, 10, 500_000, 5_800_000, 1, "EPSG:32631")
    >>> [[round(value) for value in place] for place in on_map(((3.0, 52.3), (500_001.0, 5_799_999.0)), here)]
    [[500000, 5794406], [500001, 5799999]]
    """
    if grid.crs is None:
        return ends
    transformer = Transformer.from_crs(DEGREES, grid.crs, always_xy=True)
    found = [transformer.transform(x, y) if abs(x) <= 180 and abs(y) <= 90 else (x, y) for x, y in ends]
    if not np.isfinite(found).all():
        raise DatasetError("the route begins or ends nowhere on the map", expected=f"places that {grid.crs} shows")
    return found[0], found[1]


def moment(text: str) -> datetime:
    """A date, or date and time, as ISO 8601 writes them; UTC where nothing else is said.

    Raises:
        DatasetError: it is none.

    >>> moment("2011-05-24").isoformat(), moment("2011-05-24T17:41:00-05:00").isoformat()
    ('2011-05-24T00:00:00+00:00', '2011-05-24T22:41:00+00:00')
    """
    try:
        found = datetime.fromisoformat(text.strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise DatasetError("no such date", expected="such as 2011-05-24 or 2011-05-24T17:41:00Z", found=text) from None


def ends_of(text: str) -> Ends:
    """Two places of a route, ``"x,y x,y"``.

    Raises:
        DatasetError: they are not two, or no numbers.

    >>> ends_of("4.47,51.92 4.5,51.93")
    ((4.47, 51.92), (4.5, 51.93))
    """
    try:
        (a, b), (c, d) = [[float(number) for number in place.split(",")] for place in text.split()]
    except ValueError:
        raise DatasetError("no such route", expected='two places, "x,y x,y"', found=text[:80]) from None
    if not np.isfinite([a, b, c, d]).all():
        raise DatasetError("no such route", expected="finite numbers", found=text[:80])
    return (a, b), (c, d)


def _corners(bounds: Sequence[float]) -> str:
    west, south, east, north = bounds
    return f"{west:.6g}, {south:.7g} to {east:.6g}, {north:.7g}"
