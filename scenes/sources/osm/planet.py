"""OSM XML and PBF by osmium, which also assembles the areas."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import osmium
import shapely

from mage.scenes.errors import CityError
from mage.scenes.sources.osm.elements import KEYS, NEIGHBOURHOOD, Box, Element, Elements, Group, grown, is_house
from mage.scenes.sources.osm.formats import check_pbf, check_xml, packing

# of a way with one of these the line counts; a closed way may be an area besides
_LINE_KEYS = ("highway", "railway", "waterway", "barrier")
_NATURAL_LINES = ("coastline", "tree_row")
# what osmium raises on broken files
_ERRORS = (osmium.InvalidLocationError, RuntimeError, ValueError, OverflowError, IndexError)
_OUT_OF_ORDER = "out of order"
LARGEST_UNSORTED = 2**28  # bytes: files that are not sorted are sorted in memory


def read_planet(path: Path, kind: str, bounds: Box | None, also: Sequence[str] = ()) -> Elements:
    """The elements of an OSM file of format ``xml`` or ``pbf``, with ``bounds`` only those in or near them.

    ``also`` names keys of which points and areas count too; without them, trees are the only points.

    Raises:
        CityError: a file that is broken, cut short or swells.
    """
    path = path.resolve()  # osmium takes "-" for standard input and "http:" for an address
    if kind == "pbf":
        check_pbf(path)
        return assembled(path, "pbf", "OSM PBF", bounds, also)
    with path.open("rb") as stream:
        packed = packing(stream.read(4))
    check_xml(path)
    return assembled(path, f"osm.{packed}" if packed else "osm", "OSM XML", bounds, also)


def assembled(path: Path, kind: str, name: str, bounds: Box | None, also: Sequence[str] = ()) -> Elements:
    """The elements of a file that osmium knows under ``kind``; files that are not sorted are sorted first."""
    try:
        return _Collector(bounds, also).collect(path, kind, name)
    except _ERRORS as error:
        if _OUT_OF_ORDER not in str(error):
            raise _broken(error) from None
    if path.stat().st_size > LARGEST_UNSORTED:
        raise CityError("its objects are not sorted", expected="as `osmium sort` leaves them", found="a large file")
    with tempfile.TemporaryDirectory() as folder:
        return _sorted_first(path, kind, Path(folder) / "sorted.osm.pbf", name, _Collector(bounds, also))


def _sorted_first(path: Path, kind: str, target: Path, name: str, collector: _Collector) -> Elements:
    try:
        merge = osmium.MergeInputReader()
        merge.add_buffer(path.read_bytes(), kind)
        box = _box(osmium.FileProcessor(osmium.io.File(str(path), kind)).header)
        with osmium.SimpleWriter(str(target)) as writer:
            merge.apply(writer, simplify=True)
        collector.notes["files that are not sorted"] += 1
        return collector.collect(target, "pbf", name, box)
    except _ERRORS as error:
        raise _broken(error) from None


def _broken(error: Exception) -> CityError:
    return CityError("osmium cannot read it", expected="OSM XML or PBF", found=" ".join(str(error).split())[:200])


def _box(header: Any) -> Box | None:
    box = header.box()
    if not box.valid():
        return None
    low, high = box.bottom_left, box.top_right
    return (low.lon, low.lat, high.lon, high.lat) if low.lon < high.lon and low.lat < high.lat else None


class _Collector:
    """Gathers elements from one pass over a file."""

    def __init__(self, bounds: Box | None, also: Sequence[str]) -> None:
        self._also = tuple(also)
        self.notes: Counter[str] = Counter()
        self._near = None if bounds is None else grown(bounds, NEIGHBOURHOOD)
        self._points: list[Element] = []
        self._lines: list[Element] = []
        self._areas: list[Element] = []
        self._groups: list[Group] = []
        self._rings: dict[str, Element] = {}  # closed ways that osmium has not given back as areas
        self._wkb = osmium.geom.WKBFactory()

    def collect(self, path: Path, kind: str, name: str, box: Box | None = None) -> Elements:
        """All elements of the file."""
        source = osmium.FileProcessor(osmium.io.File(str(path), kind))
        wanted = osmium.filter.KeyFilter(*KEYS, *self._also, "type")
        takers: tuple[tuple[Callable[[Any], bool], Callable[[Any], None]], ...] = (
            (lambda o: o.is_node(), self._node),
            (lambda o: o.is_way(), self._way),
            (lambda o: o.is_relation(), self._relation),
            (lambda o: o.is_area(), self._area),
        )
        for item in source.with_areas(osmium.filter.KeyFilter(*KEYS, *self._also)).with_filter(wanted):
            next(take for fits, take in takers if fits(item))(item)
        self._repair()
        return Elements(
            name,
            self._points,
            self._lines,
            self._areas,
            self._groups,
            box or _box(source.header),
            self.notes,
        )

    def _node(self, node: Any) -> None:
        tags = _tags(node)
        if tags.get("natural") != "tree" and not any(key in tags for key in self._also):
            return
        if not node.location.valid():
            self.notes["nodes without coordinates left out"] += 1
        elif self._is_near([(node.lon, node.lat)]):
            self._points.append(Element(f"node/{node.id}", tags, shapely.Point(node.lon, node.lat)))

    def _way(self, way: Any) -> None:
        tags = _tags(way)
        key = f"way/{way.id}"
        runs: list[list[tuple[int, float, float]]] = [[]]
        for node in way.nodes:
            if node.location.valid():
                runs[-1].append((node.ref, node.lon, node.lat))
            elif runs[-1]:
                runs.append([])
        missing = len(way.nodes) - sum(map(len, runs))
        self.notes["nodes of ways that the file does not hold"] += missing
        if way.is_closed() and len(way.nodes) > 3 and not missing and _is_area(tags, self._also):
            self._rings[key] = Element(key, tags, _line(runs[0]))
        elif is_house(tags):
            self._close(key, tags, [p for run in runs for p in run])
        if any(k in tags for k in _LINE_KEYS) or tags.get("natural") in _NATURAL_LINES:
            for run in runs:
                if len(run) > 1 and self._is_near([p[1:] for p in run]):
                    self._lines.append(Element(key, tags, _line(run), tuple(p[0] for p in run)))

    def _close(self, key: str, tags: dict[str, str], points: list[tuple[int, float, float]]) -> None:
        """A building's outline that is not closed, or lacks nodes: closed over the gap where three are left."""
        if len(points) < 3:
            self.notes["building outlines of under three nodes left out"] += 1
            return
        self._rings[key] = Element(key, tags, _line([*points, points[0]]))

    def _relation(self, relation: Any) -> None:
        tags = _tags(relation)
        if tags.get("type") != "building":
            return
        kinds = {"w": "way", "r": "relation"}
        members = [(f"{kinds[m.type]}/{m.ref}", m.role) for m in relation.members if m.type in kinds]
        self._groups.append(
            Group(
                f"relation/{relation.id}",
                tags,
                tuple(key for key, role in members if role == "outline"),
                tuple(key for key, role in members if role == "part"),
            )
        )

    def _area(self, area: Any) -> None:
        tags = _tags(area)
        key = f"{'way' if area.from_way() else 'relation'}/{area.orig_id()}"
        if not _is_area(tags, self._also):
            return
        if not sum(area.num_rings()):
            if not area.from_way():
                self.notes["multipolygons that cannot be assembled left out"] += 1
            return
        self._rings.pop(key, None)
        shape = shapely.from_wkb(self._wkb.create_multipolygon(area))
        if self._is_near(_corners(shape.bounds)):
            self._areas.append(Element(key, tags, _single(shape)))

    def _repair(self) -> None:
        """Closed ways that osmium makes no area of, because their ring crosses itself."""
        for ring in self._rings.values():
            if not self._is_near(_corners(ring.shape.bounds)):
                continue
            shape = polygonal(shapely.Polygon(shapely.get_coordinates(ring.shape)))
            if shape is None:
                self.notes["areas without an extent left out"] += 1
                continue
            self.notes["broken outlines repaired"] += 1
            self._areas.append(Element(ring.id, ring.tags, shape))

    def _is_near(self, points: Iterable[tuple[float, float]]) -> bool:
        if self._near is None:
            return True
        low, high = np.min(list(points), axis=0), np.max(list(points), axis=0)
        west, south, east, north = self._near
        return bool(low[0] <= east and high[0] >= west and low[1] <= north and high[1] >= south)


def polygonal(shape: shapely.Geometry) -> shapely.Geometry | None:
    """The valid polygon or polygons of a shape; None where nothing has an area."""
    parts = [
        p for p in shapely.get_parts(shapely.make_valid(shape)) if p.geom_type in ("Polygon", "MultiPolygon") and p.area
    ]
    if not parts:
        return None
    merged = shapely.union_all(parts)
    return _single(merged) if merged.area else None


def _single(shape: shapely.Geometry) -> shapely.Geometry:
    """A polygon for a multi-polygon of one."""
    return shape.geoms[0] if shape.geom_type == "MultiPolygon" and len(shape.geoms) == 1 else shape


def _is_area(tags: dict[str, str], also: Sequence[str]) -> bool:
    if tags.get("area") == "no":
        return False
    lines_only = ("highway", "railway", "barrier")
    keys = [key for key in (*KEYS, *also) if key in tags and key not in ("surface", *lines_only)]
    return tags.get("area") == "yes" or (bool(keys) and tags.get("natural") not in _NATURAL_LINES)


def _line(points: list[tuple[int, float, float]]) -> shapely.LineString:
    return shapely.LineString([p[1:] for p in points])


def _corners(bounds: Box) -> list[tuple[float, float]]:
    return [(bounds[0], bounds[1]), (bounds[2], bounds[3])]


def _tags(item: Any) -> dict[str, str]:
    return {tag.k: tag.v for tag in item.tags}
