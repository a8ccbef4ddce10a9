"""GeoJSON with OpenStreetMap's tags as properties, and plain building footprints."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from mage.scenes.errors import CityError
from mage.scenes.sources.crs import horizontal, parse_crs
from mage.scenes.sources.osm.elements import Box, Element, Elements
from mage.scenes.sources.osm.formats import text_of
from mage.scenes.sources.osm.overpass import parse_json
from mage.scenes.sources.osm.planet import polygonal

Floats = NDArray[np.float64]
ToDegrees = Callable[[Floats], Floats]

FOOTPRINTS = "GeoJSON footprints"  # the format's name where no feature has a tag of OpenStreetMap's
_LONGEST_TEXT = 1000  # characters of a key or value
_HSTORE = re.compile(r'"((?:[^"\\]|\\.)*)"\s*=>\s*"((?:[^"\\]|\\.)*)"')
# a file without any of these is no map but a list of footprints
_TAGGED = ("building", "building:part", "highway", "landuse", "natural", "waterway", "railway", "leisure")
_IDS = ("@id", "full_id", "osm_id", "osm_way_id", "id", "gers_id", "full_plus_code")
# how lists of footprints name what OpenStreetMap tags
_ALIASES = {
    "building_height": "height",
    "bldg_height": "height",
    "bldgheight": "height",
    "measuredheight": "height",
    "levels": "building:levels",
    "num_floors": "building:levels",
    "floors": "building:levels",
    "storeys": "building:levels",
    "stories": "building:levels",
    "storeysaboveground": "building:levels",
    "min_floor": "building:min_level",
    "roof_shape": "roof:shape",
    "roof_height": "roof:height",
    "roof_direction": "roof:direction",
    "roof_color": "roof:colour",
    "facade_color": "building:colour",
    "year_built": "start_date",
    "yearofconstruction": "start_date",
}


def read_geojson(path: Path, bounds: Box | None) -> Elements:
    """The elements of a FeatureCollection, or of a file with a Feature on each line.

    Raises:
        CityError: broken JSON, or no features in it.
    """
    features, to_degrees = _features(text_of(path))
    reader = _Reader(to_degrees)
    for number, feature in enumerate(features, start=1):
        reader.take(feature, number)
    elements = reader.elements()
    return elements if bounds is None else elements.meeting(bounds)


def _features(text: bytes) -> tuple[list[Any], ToDegrees]:
    try:
        document = parse_json(text, "GeoJSON")
    except CityError:
        first = text.lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n", 1)[0]
        if not first.rstrip().endswith(b"}"):
            raise
        lines = [parse_json(line.strip(b"\x1e"), "GeoJSON") for line in text.splitlines() if line.strip(b"\x1e \t")]
        return lines, _degrees
    if not isinstance(document, dict):
        raise CityError("no GeoJSON", expected="a FeatureCollection", found=type(document).__name__)
    if document.get("type") == "Feature":
        return [document], _degrees
    features = document.get("features")
    if not isinstance(features, list):
        raise CityError("no GeoJSON", expected="a list 'features'", found=type(features).__name__)
    return features, _to_degrees(document.get("crs"))


def _degrees(points: Floats) -> Floats:
    return points


def _to_degrees(member: Any) -> ToDegrees:
    """GeoJSON is in degrees east and north; files of before 2016 may name another system."""
    properties = member.get("properties") if isinstance(member, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    crs = parse_crs(name[:200]) if isinstance(name, str) else None
    if crs is None or horizontal(crs).is_geographic:
        return _degrees
    transformer = Transformer.from_crs(horizontal(crs), "EPSG:4326", always_xy=True)

    def transformed(points: Floats) -> Floats:
        east, north = np.concatenate([points, points[:1]]).T  # pyproj warns of arrays that hold a single number
        return np.column_stack(transformer.transform(east, north))[:-1]

    return transformed


class _Reader:
    """Turns features into elements."""

    def __init__(self, to_degrees: ToDegrees) -> None:
        self._to_degrees = to_degrees
        self._notes: Counter[str] = Counter()
        self._points: list[Element] = []
        self._lines: list[Element] = []
        self._areas: list[Element] = []
        self._nodes: dict[tuple[float, float], int] = {}

    def elements(self) -> Elements:
        """What was taken so far."""
        areas = self._areas
        tagged = any(key in e.tags for e in [*areas, *self._lines, *self._points] for key in _TAGGED)
        if not tagged:
            areas = [replace(e, tags={"building": "yes"} | _renamed(e.tags)) for e in areas]
        kind = "GeoJSON" if tagged else FOOTPRINTS
        return Elements(kind, self._points, self._lines, areas, notes=self._notes)

    def take(self, feature: Any, number: int) -> None:
        """One feature, the ``number``-th of the file."""
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            self._notes["members that are no features left out"] += 1
            return
        properties = feature.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        key = _key(feature, properties) or f"feature/{number}"
        tags = tags_of(properties)
        self._notes["features without a geometry left out"] += not isinstance(feature.get("geometry"), dict)
        for kind, coordinates in _geometries(feature.get("geometry")):
            try:
                self._take(key, tags, kind, coordinates)
            except (ValueError, TypeError, OverflowError):
                self._notes["features with broken coordinates left out"] += 1

    def _take(self, key: str, tags: dict[str, str], kind: str, coordinates: Any) -> None:
        if kind == "Point":
            self._points.append(Element(key, tags, shapely.Point(self._places([coordinates])[0])))
        elif kind == "LineString":
            self._line(key, tags, self._places(coordinates))
        elif kind == "MultiLineString":
            for line in coordinates:
                self._line(key, tags, self._places(line))
        elif kind in ("Polygon", "MultiPolygon"):
            self._area(key, tags, [coordinates] if kind == "Polygon" else coordinates)
        else:
            self._notes["features of other geometry left out"] += 1

    def _places(self, coordinates: Any) -> Floats:
        """Degrees (n, 2).

        Raises:
            ValueError: no list of positions on Earth.
        """
        points = np.array(coordinates, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] < 2 or not np.isfinite(points[:, :2]).all():
            raise ValueError("no positions")
        points = self._to_degrees(points[:, :2])
        if not (np.abs(points) <= (180.0, 90.0)).all():
            raise ValueError("not on Earth")
        return points

    def _line(self, key: str, tags: dict[str, str], points: Floats) -> None:
        rounded = [(x, y) for x, y in np.round(points, 7).tolist()]
        rounded = rounded[:1] + [b for a, b in pairwise(rounded) if a != b]
        if len(rounded) < 2:
            raise ValueError("a line needs two positions")
        nodes = tuple(self._nodes.setdefault(place, len(self._nodes) + 1) for place in rounded)
        self._lines.append(Element(key, tags, shapely.LineString(rounded), nodes))

    def _area(self, key: str, tags: dict[str, str], polygons: Any) -> None:
        found = []
        for rings in polygons:
            shell, *holes = [self._places(ring) for ring in rings]
            found.append(shapely.Polygon(shell, [hole for hole in holes if len(hole) > 2]))
        valid = bool(shapely.is_valid(found).all())
        shape = polygonal(shapely.union_all(found) if valid else shapely.union_all(shapely.make_valid(found)))
        self._notes["broken outlines repaired"] += not valid
        if shape is None:
            self._notes["areas without an extent left out"] += 1
        else:
            self._areas.append(Element(key, tags, shape))


def _geometries(geometry: Any) -> Iterator[tuple[str, Any]]:
    """Kind and coordinates of a geometry, or of each in a collection (one level deep)."""
    if not isinstance(geometry, dict):
        return
    members = geometry.get("geometries")
    for item in members if isinstance(members, list) else [geometry]:
        if isinstance(item, dict):
            yield str(item.get("type"))[:40], item.get("coordinates")


def _key(feature: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    for value in (properties.get("@id"), feature.get("id"), *(properties.get(name) for name in _IDS)):
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value):
            return str(value)[:100]
    return ""


def tags_of(properties: Mapping[str, Any]) -> dict[str, str]:
    """Attributes of a feature as tags: texts, numbers and flags, and those that are packed into one column."""
    tags: dict[str, str] = {}
    for key, value in properties.items():
        if key in ("tags", "other_tags", "all_tags"):
            tags |= _nested(value)
        elif isinstance(value, bool):
            tags[key] = "yes" if value else "no"
        elif isinstance(value, str | int | float) and not key.startswith("@"):
            tags[key] = _text(value)
    return tags


def _nested(value: Any) -> dict[str, str]:
    """Tags in a mapping, in JSON as text, or in PostgreSQL's ``"a"=>"b"``."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    if isinstance(value, str):
        return {_unescaped(k): _unescaped(v) for k, v in _HSTORE.findall(value)}
    if isinstance(value, dict):
        return {k: _text(v) for k, v in value.items() if isinstance(v, str | int | float)}
    return {}


def _text(value: str | int | float) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)[:_LONGEST_TEXT]


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)[:_LONGEST_TEXT]


def _renamed(tags: Mapping[str, str]) -> dict[str, str]:
    """Properties of a footprint under OpenStreetMap's names."""
    return {_ALIASES.get(key.lower(), key.lower()): value for key, value in tags.items()}
