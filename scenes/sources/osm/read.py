"""An OpenStreetMap file, or footprints in GeoJSON, to a :class:`City`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from shapely.errors import GEOSException

from mage.scenes.city import City, Source
from mage.scenes.errors import CityError
from mage.scenes.sources.crs import Frame, choose_frame
from mage.scenes.sources.naming import city_name, distinct
from mage.scenes.sources.osm.covers import read_covers
from mage.scenes.sources.osm.elements import Box, Element, Elements, grown, is_house
from mage.scenes.sources.osm.formats import osm_format
from mage.scenes.sources.osm.geojson import FOOTPRINTS, read_geojson
from mage.scenes.sources.osm.houses import read_houses
from mage.scenes.sources.osm.lines import read_barriers, read_railways, read_trees
from mage.scenes.sources.osm.overpass import read_overpass
from mage.scenes.sources.osm.planet import read_planet
from mage.scenes.sources.osm.streets import read_streets, read_strips
from mage.scenes.sources.osm.waters import read_waters
from mage.scenes.sources.raw import Floats, printable

LICENCE = "ODbL-1.0, © OpenStreetMap contributors"
LARGEST_FILE = 2 * 2**30  # bytes
FRINGE = 250.0  # metres around the buildings that may be photographed, where the file's own box says it holds them
REACH = 300.0  # metres around the photographed area to which land and water are cut
_DEGREES = "EPSG:4326"
_HEAD = 2**16
_EXPECTED = "OSM XML, OSM PBF, Overpass JSON or GeoJSON"


def read_osm(path: Path, *, bounds: Box | None = None) -> City:
    """The city that a file of OpenStreetMap's holds, in metres of the UTM zone of its middle.

    Buildings carry their ``volumes`` as tagged and a first mesh, whose missing heights and roofs are plain (see
    :func:`mage.scenes.sources.buildings.heights.draw_heights`). There is no terrain, all heights count from the ground,
    and the level of water is 0.

    Args:
        path: ``.osm``, ``.osm.gz``, ``.osm.bz2``, ``.osm.pbf``, Overpass JSON or GeoJSON, whatever its name.
        bounds: west, south, east and north in degrees: only what meets them is read.

    Raises:
        CityError: whatever the reason why there is no city to be had from this file.
        MissingExtraError: a roof needs a straight skeleton and the library for that is not there.
    """
    with _errors(path), np.errstate(invalid="ignore", over="ignore"):
        return _read(path, _checked(bounds))


def read_elements(path: Path, *, bounds: Box | None = None, also: Sequence[str] = ()) -> Elements:
    """The tagged points, lines and areas of a file of OpenStreetMap's, in degrees.

    Args:
        path: as of :func:`read_osm`.
        bounds: west, south, east and north in degrees: only what meets them is kept.
        also: keys beyond :data:`~mage.scenes.sources.osm.elements.KEYS` of which areas are kept, and keys of points,
            of which there are only trees without it.

    Raises:
        CityError: whatever the reason why the file cannot be read.
    """
    with _errors(path):
        elements = _elements(path, _checked(bounds), also)
        return elements if bounds is None else elements.meeting(bounds)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """What goes wrong with a file, as one sentence about it."""
    try:
        yield
    except CityError as error:
        if error.file is not None:
            raise
        raise CityError(error.message, file=path, expected=error.expected, found=error.found) from None
    except MemoryError:
        raise CityError("too large for the memory of this machine", file=path) from None
    except GEOSException as error:
        raise CityError("its geometry cannot be handled", file=path, found=str(error)[:200]) from None
    except OSError as error:
        raise CityError("cannot be read", file=path, found=error.strerror or str(error)) from None


def _checked(bounds: Box | None) -> Box | None:
    if bounds is None:
        return None
    west, south, east, north = bounds
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise CityError("no bounds", expected="west < east and south < north in degrees", found=str(bounds))
    return bounds


def _read(path: Path, bounds: Box | None) -> City:
    elements = _elements(path, bounds, ())
    notes = Counter(elements.notes)
    if bounds is not None:
        elements = elements.meeting(bounds)
    middle = _middle(elements, bounds)
    frame = choose_frame((_DEGREES,), np.array([middle[1], middle[0], 0.0]), notes)
    x, y = _projected(frame, np.array([middle]))[0].tolist()
    origin = (float(round(x)), float(round(y)))
    local = _local(elements, frame, origin, notes)
    held = None if elements.box is None else _outline(elements.box, frame, origin)
    asked = None if bounds is None else _asked(_outline(bounds, frame, origin), held, notes)
    buildings = [b for b in read_houses(local, notes) if asked is None or asked.intersects(b.footprint)]
    roads = read_streets(local.lines, notes)
    shapes = [b.footprint for b in buildings] or [edge.line for edge in roads.edges]
    if not shapes:
        where = "the file" if bounds is None else "the bounds"
        raise CityError(f"no building and no street lies within {where}", found=_shown(notes))
    extent = _extent(shapes, asked, held)
    land_frame = shapely.box(*grown(extent, REACH))
    if held is not None and land_frame.intersection(held).area > 0:
        # a coastline is cut where the file ends: beyond, nobody knows on which side the sea is
        land_frame = shapely.box(*land_frame.intersection(held).bounds)
    return City(
        name=city_name(path),
        crs=frame.crs,
        origin=origin,
        latitude=middle[1],
        longitude=middle[0],
        bounds=extent,
        buildings=distinct(buildings, notes),
        roads=roads,
        water=(water := read_waters(local.lines, local.areas, land_frame, notes)),
        land=(*read_covers(local.areas, land_frame, notes), *read_strips(local.lines, notes)),
        trees=read_trees(local.points, local.lines, notes),
        railways=read_railways(local.lines, notes),
        barriers=read_barriers(local.lines),
        drives_left=any(line.tags.get("driving_side") == "left" for line in local.lines),
        sources=(_source(path, elements.format),),
        inferred=("water level",) if water else (),
        notes={name: count for name, count in sorted(notes.items()) if count},
    )


def _elements(path: Path, bounds: Box | None, also: Sequence[str]) -> Elements:
    if not path.is_file():
        raise CityError("no such file", expected=_EXPECTED)
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise CityError("the file is too large", expected="at most 2 GiB", found=f"{size / 2**30:.1f} GiB")
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    kind = osm_format(head)
    if kind in ("pbf", "xml"):
        return read_planet(path, kind, bounds, also)
    if kind == "overpass":
        return read_overpass(path, bounds, also)
    if kind == "geojson":
        return read_geojson(path, bounds)
    raise CityError("no map", expected=_EXPECTED, found=f"a file that begins with {head[:12]!r}")


def _source(path: Path, kind: str) -> Source:
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return Source(printable(path.name), kind, None if kind == FOOTPRINTS else LICENCE, sha256)


def _middle(elements: Elements, bounds: Box | None) -> tuple[float, float]:
    """Degrees east and north of the middle of the bounds, or else of the buildings."""
    if bounds is None:
        houses = [a.shape for a in elements.areas if is_house(a.tags)]
        if not houses:
            raise CityError("no building in it", expected="buildings", found=_shown(elements.notes))
        bounds = tuple(shapely.total_bounds(houses).tolist())
    assert bounds is not None
    return (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2


def _projected(frame: Frame, degrees: Floats) -> Floats:
    """Map coordinates (n, 2) of degrees east and north (n, 2); infinite where the zone does not reach."""
    degrees = np.concatenate([degrees, degrees[:1]])  # one place twice: pyproj warns of arrays that hold a single one
    latitude_first = np.column_stack([degrees[:, 1], degrees[:, 0], np.zeros(len(degrees))])
    return frame.project(latitude_first)[:-1, :2]


def _local(elements: Elements, frame: Frame, origin: tuple[float, float], notes: Counter[str]) -> Elements:
    def moved(items: Sequence[Element]) -> list[Element]:
        shapes = np.array([e.shape for e in items], dtype=object)
        if not len(shapes):
            return []
        shapes = shapely.transform(shapes, lambda points: _projected(frame, points) - origin)
        somewhere = np.isfinite(shapely.bounds(shapes)).all(axis=1)
        notes["objects outside the map's zone left out"] += int((~somewhere).sum())
        valid = shapely.is_valid(shapes)
        shapes = np.where(valid | (shapely.get_dimensions(shapes) < 2), shapes, _repaired(shapes))
        return [replace(e, shape=s) for e, s, kept in zip(items, shapes, somewhere, strict=True) if kept]

    return replace(elements, points=moved(elements.points), lines=moved(elements.lines), areas=moved(elements.areas))


def _repaired(shapes: Floats) -> Floats:
    finite = np.isfinite(shapely.bounds(shapes)).all(axis=1)
    return np.asarray(shapely.make_valid(np.where(finite, shapes, shapely.Point())))


def _outline(box: Box, frame: Frame, origin: tuple[float, float]) -> shapely.Polygon:
    """A box of degrees in local metres, its edges bent as the projection wants."""
    dense = shapely.segmentize(shapely.box(*box), max(box[2] - box[0], box[3] - box[1]) / 16)
    return shapely.transform(dense, lambda points: _projected(frame, points) - origin)


def _asked(area: shapely.Polygon, held: shapely.Polygon | None, notes: Counter[str]) -> shapely.Polygon:
    """The part of the area asked for that the file holds; all of it where the file does not say, or holds none."""
    if held is None or held.contains(area) or held.intersection(area).area == 0:
        return area
    notes["bounds that reach beyond the file, cut to it"] += 1
    return shapely.box(*held.intersection(area).bounds)


def _extent(shapes: Sequence[shapely.Geometry], asked: shapely.Polygon | None, box: shapely.Polygon | None) -> Box:
    """What may be photographed: the bounds that were asked for; else where these shapes are, and around them as far
    as the file says that it goes.
    """
    if asked is not None:
        return tuple(asked.bounds)
    found: Box = tuple(shapely.total_bounds(shapes).tolist())
    if box is None or not np.isfinite(box.bounds).all():
        return found
    around = grown(found, FRINGE)
    west, south = max(around[0], box.bounds[0]), max(around[1], box.bounds[1])
    east, north = min(around[2], box.bounds[2]), min(around[3], box.bounds[3])
    return (west, south, east, north) if west < east and south < north else found


def _shown(notes: Counter[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in sorted(notes.items()) if count) or "nothing"
