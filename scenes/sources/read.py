"""Any city file to a :class:`City`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from lxml import etree

from mage.scenes.city import Building, City, Source
from mage.scenes.driving import drives_left
from mage.scenes.errors import CityError
from mage.scenes.mesh import Surface
from mage.scenes.sources.archives import HEAD
from mage.scenes.sources.area import Area, Box, Keeper
from mage.scenes.sources.buildings.build import build
from mage.scenes.sources.buildings.surfaces import FARTHEST
from mage.scenes.sources.crs import Frame, choose_frame
from mage.scenes.sources.features.things import Parts, city_parts
from mage.scenes.sources.ground.elevation import terrain_of_relief
from mage.scenes.sources.naming import city_name, distinct
from mage.scenes.sources.osm import is_osm, read_osm
from mage.scenes.sources.parse import EXPECTED, parse_city
from mage.scenes.sources.raw import Floats, RawCity, printable

GROUND_KINDS = ("Road", "Railway", "TransportSquare", "LandUse", "PlantCover")
SPOT_CELL, LEVEL, TERRAIN_MARGIN = 8.0, 0.05, 80.0  # metres
LARGEST_FILE = 4 * 2**30  # bytes


def read_city(path: Path, bounds: Box | None = None, margin: float = 0.0) -> City:
    """The city in a CityJSON, CityJSONSeq, CityGML or OpenStreetMap file, or in an archive of such, in a local metric
    frame.

    Vertices are map coordinates minus ``origin``, heights those of the source's vertical datum. What was repaired,
    left out or ignored is counted in the city's ``notes``. ``bounds`` (west, south, east, north) asks for what meets a
    box only: in degrees, or in metres of the city's map; see :class:`mage.scenes.sources.area.Area`. What lies up to
    ``margin`` metres beside the box is then read as well, and the city's ``bounds`` are those of the box alone.

    Raises:
        CityError: whatever the reason why there is no city to be had from this file.
    """
    try:
        area = None if bounds is None else Area.of(bounds)
        _check_file(path)
        wider = area.grown(margin) if area else None
        if _is_osm(path):
            city = read_osm(path, bounds=wider.degrees if wider else None)
        else:
            city = _read(path, Keeper(wider) if wider else None)
        if area is not None:
            city = replace(city, bounds=_within(city, area))
        return replace(city, drives_left=city.drives_left or (city.crs is not None and _left_of(city)))
    except CityError as error:
        if error.file is not None:
            raise
        raise CityError(error.message, file=path, expected=error.expected, found=error.found) from None
    except etree.LxmlError as error:
        raise CityError("broken XML", file=path, expected="CityGML", found=_one_line(error)) from None
    except MemoryError:
        raise CityError("too large for the memory of this machine", file=path) from None
    except OSError as error:
        raise CityError("cannot be read", file=path, found=error.strerror or str(error)) from None


def _left_of(city: City) -> bool:
    return drives_left(city.latitude, city.longitude)


def _is_osm(path: Path) -> bool:
    with path.open("rb") as stream:
        return is_osm(stream.read(HEAD))


def _read(path: Path, within: Keeper | None) -> City:
    raw = parse_city(path, within)
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    notes = Counter(raw.notes)
    frame, origin = _frame(raw, notes)
    buildings = distinct([b for item in raw.buildings if (b := build(item, frame, origin, notes))], notes)
    parts = city_parts(raw.features, frame.project, origin, notes)
    bounds = _extent(buildings, parts)
    if bounds is None:
        raise _nothing_built(raw, notes)
    relief = None if parts.relief is None else terrain_of_relief(parts.relief, _padded(bounds), notes)
    latitude, longitude = frame.latitude_longitude(*origin)
    return City(
        name=city_name(path),
        crs=frame.crs,
        origin=origin,
        latitude=latitude,
        longitude=longitude,
        bounds=bounds,
        buildings=buildings,
        roads=parts.roads,
        water=parts.water,
        land=parts.land,
        trees=parts.trees,
        railways=parts.railways,
        structures=parts.structures,
        spots=_spots(raw, frame, origin),
        terrain=relief,
        sources=(Source(printable(path.name), raw.format, raw.licence, sha256),),
        notes={name: count for name, count in sorted(notes.items()) if count},
        surfaces=_surfaces(raw),
    )


def _check_file(path: Path) -> None:
    if not path.exists():
        raise CityError("no such file", file=path, expected=EXPECTED)
    if path.is_dir():
        raise CityError("this is a folder", file=path, expected="a city file")
    if not path.is_file():
        raise CityError("this is no regular file", file=path, expected="a city file")
    size = path.stat().st_size
    if size == 0:
        raise CityError("the file is empty", file=path, expected=EXPECTED)
    if size > LARGEST_FILE:
        raise CityError("the file is too large", file=path, expected="at most 4 GiB", found=f"{size / 2**30:.1f} GiB")


def _frame(raw: RawCity, notes: Counter[str]) -> tuple[Frame, tuple[float, float]]:
    """The frame of the file and the map coordinates of its middle in whole metres."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for points in _points(raw):
        low, high = _grown(low, high, points)
    if not np.isfinite([low, high]).all():
        raise _nothing_built(raw, notes)
    frame = choose_frame(raw.crs, (low + high) / 2, notes)
    corners = np.array([(x, y, low[2]) for x in (low[0], high[0]) for y in (low[1], high[1])])
    middle = frame.project(corners)[:, :2]
    x, y = ((middle.min(axis=0) + middle.max(axis=0)) / 2).tolist()
    if not np.isfinite([x, y]).all():
        raise CityError("its coordinates cannot be projected", expected="degrees of one city", found=f"{low} to {high}")
    return frame, (float(round(x)), float(round(y)))


def _points(raw: RawCity) -> Iterator[Floats]:
    """Points of all that will be built: of the buildings, or of everything else where there is none."""
    for building in raw.buildings:
        yield from (shell.points for shell in building.finest()[1])
    if raw.buildings:
        return
    for feature in raw.features:
        yield from (shell.points for shells in feature.shells.values() for shell in shells)
        yield from feature.lines
        yield feature.points


def _surfaces(raw: RawCity) -> dict[str, int]:
    """How many surfaces of each kind the buildings are delivered with, at the level of detail that is built."""
    found: Counter[int] = Counter()
    for building in raw.buildings:
        for shell in (*building.finest()[1], *building.installations()):
            found.update(shell.surface.tolist())
    names = {kind: "unlabelled" if kind is Surface.OTHER else kind.name.lower() for kind in Surface}
    return {names[kind]: found[kind] for kind in Surface if found[kind]}


def _spots(raw: RawCity, frame: Frame, origin: tuple[float, float]) -> Floats:
    """Points (n, 3) of the ground in local metres, one in each cell of a raster: of roads and land that have heights.

    A file whose ground lies at one height all over, most often 0, has none.
    """
    found = [
        shell.points
        for feature in raw.features
        if feature.kind in GROUND_KINDS
        for shells in feature.shells.values()
        for shell in shells
    ]
    points = frame.project(np.concatenate(found)) - (*origin, 0.0) if found else np.zeros((0, 3))
    with np.errstate(invalid="ignore"):
        points = points[(np.abs(points) < FARTHEST).all(axis=1)]
    if len(points) == 0 or np.ptp(points[:, 2]) < LEVEL:
        return np.zeros((0, 3))
    _, first = np.unique(np.floor(points[:, :2] / SPOT_CELL), axis=0, return_index=True)
    return np.asarray(points[np.sort(first)])


def _grown(low: Floats, high: Floats, points: Floats) -> tuple[Floats, Floats]:
    with np.errstate(invalid="ignore"):
        points = points[(np.abs(points) < FARTHEST).all(axis=1)]
    return np.minimum(low, points.min(axis=0, initial=np.inf)), np.maximum(high, points.max(axis=0, initial=-np.inf))


def _extent(buildings: Sequence[Building], parts: Parts) -> Box | None:
    """What may be photographed: around the buildings; without any, around roads, water and land."""
    shapes = [b.footprint for b in buildings]
    if not shapes:
        lines = [e.line for e in parts.roads.edges] + [r.line for r in parts.railways]
        shapes = [*lines, *(w.outline for w in parts.water), *(p.outline for p in parts.land)]
    if not shapes:
        return None
    west, south, east, north = shapely.total_bounds(shapes).tolist()
    return west, south, east, north


def _padded(bounds: Box) -> Box:
    west, south, east, north = bounds
    return west - TERRAIN_MARGIN, south - TERRAIN_MARGIN, east + TERRAIN_MARGIN, north + TERRAIN_MARGIN


def _within(city: City, area: Area) -> Box:
    """The part of the city's bounds that was asked for: objects that meet the area reach beyond it."""
    west, south, east, north = area.on_map(city.crs)
    x, y = city.origin
    asked = (west - x, south - y, east - x, north - y)
    low, high = np.maximum(city.bounds[:2], asked[:2]), np.minimum(city.bounds[2:], asked[2:])
    return city.bounds if (low >= high).any() else (float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def _nothing_built(raw: RawCity, notes: Counter[str]) -> CityError:
    if not raw.buildings and not raw.features:
        kept_out = notes.get("outside the bounds", 0)
        if kept_out:
            return CityError("nothing in it lies within the bounds", found=f"{kept_out} objects outside")
        return CityError(
            "no building in it", expected="buildings, roads, water or land", found=_shown(notes, "nothing")
        )
    levels = sorted({level for b in raw.buildings if not b.finest()[1] for level in b.unused if level >= 0})
    if levels and not any(b.finest()[1] for b in raw.buildings):
        return CityError(f"only LoD{', LoD'.join(map(str, levels))}", expected="LoD0 to LoD3")
    return CityError("nothing in it can be built", expected="LoD0 to LoD3", found=_shown(notes, "no geometry"))


def _shown(notes: Counter[str], nothing: str) -> str:
    return (
        ", ".join(f"{name.removeprefix('ignored ')} ({count})" for name, count in sorted(notes.items()) if count)
        or nothing
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
