"""Buildings, roads, facilities and areas out of users' files, in a map's frame: OpenStreetMap's formats (XML, PBF,
Overpass JSON), GeoPackage, GeoJSON or GeoParquet.

A file of OpenStreetMap's is known by its content, whatever its name. In other files, columns named as OpenStreetMap's
tags say what a thing is; see each function for further names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.exceptions import ProjError

from mage.learning.mapping.findings import Facilities, Geometries, Words
from mage.learning.mapping.noding import noded
from mage.learning.mapping.roads import Roads, roads_of
from mage.learning.mapping.vectors import Features, read_features
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid
from mage.scenes.sources.osm import osm_format, read_elements
from mage.scenes.sources.osm.elements import Element, Elements, Tags
from mage.scenes.sources.osm.geojson import tags_of
from mage.scenes.sources.osm.houses import is_standing, without_twins
from mage.scenes.sources.osm.planet import polygonal
from mage.scenes.sources.osm.streets import CLASS_WIDTH, NOT_THERE, STRIP_WIDTH, read_streets

Polygonal: TypeAlias = shapely.Polygon | shapely.MultiPolygon

MARGIN = 2_000.0  # metres around the area from which roads are taken, so that there are ways round it
HEAD = 2**16  # bytes that tell a format
IDS = ("id", "identity", "full_id", "osm_id", "osm_way_id", "gers_id", "uid", "fid")
NAMES = ("name", "name:en", "name_en", "shapename", "title", "label")
USES = ("building", "use", "function", "class", "subtype", "kind", "type")
STREETS = ("highway", "fclass", "class", "kind", "type")  # where the class of a street stands
ONEWAY = {"f": "yes", "t": "-1", "b": "no", "true": "yes", "false": "no"}  # Geofabrik's words among them
# of these keys, the values that matter to a rescue; shelters are those for people in need, not those at bus stops
RESCUE = {
    "amenity": (
        "hospital",
        "clinic",
        "doctors",
        "fire_station",
        "police",
        "shelter",
        "ranger_station",
        "rescue_station",
    ),
    "healthcare": ("hospital", "clinic", "doctor", "centre"),
    "emergency": (
        "ambulance_station",
        "fire_station",
        "water_rescue",
        "mountain_rescue",
        "lifeboat_station",
        "disaster_help_point",
        "assembly_point",
        "landing_site",
    ),
    "social_facility": ("shelter",),
}
WAITING = ("public_transport", "picnic_shelter", "lean_to", "weather_shelter", "gazebo", "sun_shelter", "basic_hut")
BORDERS = ("boundary", "admin_level")


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """n buildings as a file has them.

    Attributes:
        identity: (n,) of each, unique: the file's own where it has them, else numbered from north to south.
        outline: (n,) polygons or multi-polygons, metres.
        kind, name: (n,) their use and what they are called; empty where the file does not say.
    """

    identity: Words
    outline: Geometries
    kind: Words
    name: Words

    def __len__(self) -> int:
        return len(self.outline)


@dataclass(frozen=True, slots=True, eq=False)
class _Things:
    """Geometries with their tags."""

    shape: Geometries
    tags: Sequence[Tags]
    id: Sequence[str]

    def those(self, keep: NDArray[np.bool_]) -> _Things:
        """Those that are asked for."""
        index = np.flatnonzero(keep)
        return _Things(self.shape[index], [self.tags[k] for k in index], [self.id[k] for k in index])


def read_buildings(path: str | Path, grid: Grid, area: Polygonal) -> Outlines:
    """The buildings of a file that touch an area; none is no error.

    Args:
        path: the file. Without OpenStreetMap's tags, all its polygons are buildings.
        grid: of the map.
        area: in its frame.

    Raises:
        MageError: the file cannot be read, or says where it lies and the map does not.
    """
    elements = _osm(Path(path), grid, area, 0.0, ())
    if elements is None:
        found = _things(read_features(path, grid.crs, 2))
    else:
        standing = [e for e in elements.areas if "building" in e.tags and is_standing(e.tags, "building", Counter())]
        found = _of_elements(without_twins(standing, Counter()))
    found = found.those(_near(found.shape, area, 0.0))
    place = shapely.bounds(found.shape).reshape(-1, 4)
    order = np.lexsort((place[:, 0], -place[:, 3]))
    found = _Things(found.shape[order], [found.tags[k] for k in order], [found.id[k] for k in order])
    kinds = [_first(tags, USES) for tags in found.tags]
    return Outlines(
        _unique(found.id),
        found.shape,
        _words("" if kind == "yes" else kind for kind in kinds),
        _words(_first(tags, NAMES) for tags in found.tags),
    )


def read_roads(path: str | Path, grid: Grid, area: Polygonal, *, margin: float = MARGIN) -> Roads:
    """The streets of a file as a network, those within ``margin`` metres of an area; none is no error.

    Columns (or tags) are ``highway`` (also ``fclass``, ``class``, ``kind``, ``type``; a street of no known class is a
    ``road``), ``width`` in metres, ``lanes``, ``oneway``, ``bridge``, ``tunnel``, ``layer`` and ``name``. OpenStreetMap
    says which streets meet; in other files those do whose lines cross or touch, unless one is on a bridge or in a
    tunnel (:func:`~mage.learning.mapping.noding.noded`).

    Args:
        path: the file.
        grid: of the map.
        area: in its frame.
        margin: metres.

    Raises:
        MageError: as of :func:`read_buildings`.
    """
    elements = _osm(Path(path), grid, area, margin, ())
    if elements is None:
        found = _things(read_features(path, grid.crs, 1))
        found = _Things(found.shape, [_street(tags) for tags in found.tags], found.id)
        driven = np.array([tags["highway"] in CLASS_WIDTH for tags in found.tags], bool)
        found = found.those(driven & _near(found.shape, area, margin))
        lines = noded(found.shape, found.tags)
    else:
        lines = list(elements.lines)
    return _within(roads_of(read_streets(lines, Counter())), area, margin)


def read_facilities(path: str | Path, grid: Grid, area: Polygonal, *, margin: float = 0.0) -> Facilities:
    """Hospitals, fire stations and the like within ``margin`` metres of an area; none is no error.

    Where a file has OpenStreetMap's tags ``amenity``, ``healthcare``, ``emergency`` or ``social_facility``, only what
    matters to a rescue counts (:data:`RESCUE`); else all its points and polygons, with the word in their column
    ``kind``, ``type``, ``class`` or ``fclass``. A polygon's facility is at a point within it.

    Args:
        path: the file.
        grid: of the map.
        area: in its frame.
        margin: metres.

    Raises:
        MageError: as of :func:`read_buildings`.
    """
    elements = _osm(Path(path), grid, area, margin, tuple(RESCUE))
    if elements is None:
        parts = [_things(read_features(path, grid.crs, dimension)) for dimension in (0, 2)]
        found = _Things(
            np.concatenate([part.shape for part in parts]),
            [tags for part in parts for tags in part.tags],
            [name for part in parts for name in part.id],
        )
    else:
        found = _of_elements([*elements.points, *elements.areas])
    tagged = elements is not None or any(key in tags for tags in found.tags for key in RESCUE)
    found = found.those(_near(found.shape, area, margin))
    kinds = [_rescue(tags) if tagged else _first(tags, ("kind", "type", "class", "fclass")) for tags in found.tags]
    kept = np.array([bool(kind) or not tagged for kind in kinds], bool)
    inner = shapely.point_on_surface(found.shape[kept])
    return Facilities(
        shapely.get_coordinates(inner).reshape(-1, 2),
        _words(kind for kind, there in zip(kinds, kept, strict=True) if there),
        _words(_first(tags, NAMES) for tags, there in zip(found.tags, kept, strict=True) if there),
    )


def read_areas(path: str | Path, grid: Grid) -> tuple[list[Polygonal], list[str]]:
    """Areas that meet a map, and their names, empty where there are none: of interest, or administrative ones.

    Of OpenStreetMap, the administrative boundaries of the level that most areas have; of several such, the finest.

    Args:
        path: the file.
        grid: of the map.

    Raises:
        MageError: as of :func:`read_buildings`, or no area of the file meets the map.
    """
    frame = shapely.box(*grid.bounds)
    elements = _osm(Path(path), grid, frame, 0.0, BORDERS)
    if elements is None:
        found = _things(read_features(path, grid.crs, 2))
    else:
        found = _of_elements([e for e in elements.areas if e.tags.get("boundary") == "administrative"])
    met = shapely.area(shapely.intersection(found.shape, frame)) > 0
    if not met.any():
        raise DatasetError("no area of the file meets the map", file=path, found=f"{len(met)} elsewhere")
    found = found.those(met)
    if elements is not None:
        levels = Counter(tags.get("admin_level", "") for tags in found.tags)
        level = max(levels, key=lambda level: (levels[level], level.zfill(3)))
        found = found.those(np.array([tags.get("admin_level", "") == level for tags in found.tags], bool))
    return list(found.shape), [_first(tags, NAMES) for tags in found.tags]


def _osm(path: Path, grid: Grid, area: Polygonal, margin: float, also: Sequence[str]) -> Elements | None:
    """What an OpenStreetMap file holds near an area, in the map's frame; None where the file is another one."""
    head = b""
    if path.is_file():
        with path.open("rb") as stream:
            head = stream.read(HEAD)
    if osm_format(head) not in ("pbf", "xml", "overpass"):
        return None
    if grid.crs is None:
        raise DatasetError("OpenStreetMap lies on Earth, the map does not", file=path, expected="images with a CRS")
    to_map = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True)
    try:
        west, south, east, north = shapely.box(*area.bounds).buffer(margin + 1, join_style="mitre").bounds
        box = to_map.transform_bounds(west, south, east, north, direction="INVERSE")
    except ProjError as error:
        raise DatasetError("the map's CRS does not reach its area", found=str(error)[:80]) from None
    if not box[0] < box[2]:  # across the 180th meridian
        box = (-180.0, box[1], 180.0, box[3])
    elements = read_elements(path, bounds=box, also=also)

    def moved(items: Sequence[Element]) -> list[Element]:
        shapes = _in_map([e.shape for e in items], to_map)
        return [replace(e, shape=s) for e, s in zip(items, shapes, strict=True) if s is not None]

    return replace(elements, points=moved(elements.points), lines=moved(elements.lines), areas=moved(elements.areas))


def _in_map(shapes: Sequence[shapely.Geometry], to_map: Transformer) -> list[shapely.Geometry | None]:
    """Degrees to the map; None for what is not on it. Polygons are mended."""
    if not shapes:
        return []
    moved = shapely.transform(
        np.array(shapes, dtype=object), lambda points: np.column_stack(to_map.transform(*points.T))
    )
    somewhere = np.isfinite(shapely.bounds(moved)).all(axis=1)
    sound = shapely.is_valid(moved) | (shapely.get_dimensions(moved) < 2)
    return [
        (shape if whole else polygonal(shape)) if there else None
        for shape, there, whole in zip(moved, somewhere, sound, strict=True)
    ]


def _of_elements(elements: Sequence[Element]) -> _Things:
    shapes = np.array([e.shape for e in elements], dtype=object)
    return _Things(shapes, [e.tags for e in elements], [e.id for e in elements])


def _things(features: Features) -> _Things:
    """Features with their columns as tags, under lower-case names (``@id`` as ``id``)."""
    columns = {
        name.lower().lstrip("@"): [_plain(value) for value in values] for name, values in features.attributes.items()
    }
    rows = [tags_of({name: values[k] for name, values in columns.items()}) for k in range(len(features))]
    return _Things(features.geometry, rows, [_first(tags, IDS) for tags in rows])


def _plain(value: Any) -> Any:
    """A value of a column in Python's own types; None for what is not there."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value != value:  # NaN is not itself
        return None
    return value if isinstance(value, str | int | float | dict) else str(value)


def _near(shapes: Geometries, area: Polygonal, margin: float) -> NDArray[np.bool_]:
    around = area.buffer(margin) if margin > 0 else area
    shapely.prepare(around)
    return np.asarray(shapely.intersects(shapes, around), bool).reshape(-1)


def _street(tags: Tags) -> dict[str, str]:
    """Tags of a street whose class stands under ``highway``; of a road file, everything is at least a ``road``."""
    stated = tags.get("highway")
    if stated is None:
        known = [tags[name] for name in STREETS if tags.get(name) in (*CLASS_WIDTH, *STRIP_WIDTH, *NOT_THERE)]
        stated = known[0] if known else "road"
    oneway = tags.get("oneway", "").lower()
    return {**tags, "highway": stated, "oneway": ONEWAY.get(oneway, oneway)}


def _within(roads: Roads, area: Polygonal, margin: float) -> Roads:
    """The edges near an area, and the nodes that they need."""
    keep = np.flatnonzero(_near(np.array(roads.lines, dtype=object), area, margin))
    used, ends = np.unique(roads.ends[keep], return_inverse=True)
    return Roads(
        roads.nodes[used],
        ends.reshape(-1, 2).astype(np.int64),
        tuple(roads.lines[k] for k in keep),
        roads.width[keep],
        roads.seconds[keep],
        roads.oneway[keep],
        roads.lifted[keep],
        kind=tuple(roads.kind[k] for k in keep),
        name=tuple(roads.name[k] for k in keep),
    )


def _rescue(tags: Tags) -> str:
    """What of :data:`RESCUE` a thing is; empty for all else."""
    if tags.get("shelter_type") in WAITING:
        return ""
    return next((tags[key] for key, values in RESCUE.items() if tags.get(key) in values), "")


def _first(tags: Mapping[str, str], keys: Sequence[str]) -> str:
    return next((tags[key] for key in keys if tags.get(key)), "")


def _words(values: Any) -> Words:
    return np.array(list(values), dtype=np.str_)


def _unique(ids: Sequence[str]) -> Words:
    """Identities that are all there and different: missing ones are numbered, repeated ones get a number behind."""
    taken = set(ids)
    seen: Counter[str] = Counter()
    found = []
    for number, name in enumerate(ids, 1):
        seen[name] += 1
        wanted = str(number) if not name else name if seen[name] == 1 else f"{name}-{seen[name]}"
        while (not name or seen[name] > 1) and wanted in taken:
            wanted += "+"
        taken.add(wanted)
        found.append(wanted)
    return _words(found)
