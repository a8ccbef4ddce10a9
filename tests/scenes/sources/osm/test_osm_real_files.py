"""Every real map is read whole: as many buildings, as much ground and as much street as an independent count finds."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import osmium
import pytest
import shapely
from pyproj import Geod
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from mage.scenes.city import City
from mage.scenes.sources.osm import is_osm, read_osm
from mage.scenes.sources.osm.streets import CLASS_WIDTH

FILES = (
    "aberdeen_block.osm.gz",
    "andorra.osm.pbf",
    "emmering_small.osm",
    "helsinki_centre.osm.pbf",
    "monaco.osm.pbf",
    "myllykoski_fi.osm.pbf",
    "north-bayreuth.osm.gz",
)
READ = [*FILES[:-1], pytest.param(FILES[-1], marks=pytest.mark.long)]  # the last takes half a minute to read
GEOD = Geod(ellps="WGS84")
GONE = ("no", "construction", "ruins")
TWICE = "buildings that stand in the file twice left out once"


class Tally(osmium.SimpleHandler):
    """Counts without osmium's areas and without any projection.

    A building is a way, or a multipolygon all of whose nodes are in the file, tagged building=* with a value that
    stands above the ground; of at least half a square metre after it is closed over nodes that are not there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[int, tuple[float, float]] = {}
        self.ways: dict[int, tuple[list[int], dict[str, str]]] = {}
        self.relations: list[tuple[dict[str, str], list[tuple[int, str]]]] = []

    def node(self, node: osmium.osm.Node) -> None:
        self.places[node.id] = (node.lon, node.lat)

    def way(self, way: osmium.osm.Way) -> None:
        self.ways[way.id] = ([n.ref for n in way.nodes], dict(way.tags))

    def relation(self, relation: osmium.osm.Relation) -> None:
        tags = dict(relation.tags)
        if tags.get("type") == "multipolygon" and stands(tags):
            self.relations.append((tags, [(m.ref, m.role) for m in relation.members if m.type == "w"]))

    def buildings(self) -> list[float]:
        """Square metres on the ellipsoid of each."""
        found = []
        for nodes, tags in self.ways.values():
            points = [self.places[n] for n in nodes if n in self.places]
            if stands(tags) and len(set(points)) > 2:
                found.append(area(shapely.make_valid(shapely.Polygon(points))))
        for _, members in self.relations:
            rings = [(self.ways.get(ref, ([-1], {}))[0], role) for ref, role in members]
            if all(n in self.places for nodes, _ in rings for n in nodes):
                lines = [shapely.LineString([self.places[n] for n in nodes]) for nodes, _ in rings]
                found.append(area(shapely.build_area(shapely.MultiLineString(lines))))
        return [size for size in found if size >= 0.5]

    def street(self) -> float:
        """Metres of streets on the ellipsoid."""
        total = 0.0
        for nodes, tags in self.ways.values():
            if tags.get("highway") in CLASS_WIDTH and tags.get("area") != "yes":
                for a, b in pairwise(nodes):
                    if a in self.places and b in self.places:
                        total += GEOD.inv(*self.places[a], *self.places[b])[2]
        return total


def stands(tags: dict[str, str]) -> bool:
    below = float(tags.get("layer", "0").replace(";", ".")) < 0
    hidden = tags.get("location") in ("underground", "indoor") or tags.get("tunnel", "no") != "no"
    return tags.get("building", "no") not in GONE and not below and not hidden


def area(shape: shapely.Geometry) -> float:
    parts = [p for p in shapely.get_parts(shape) if p.geom_type in ("Polygon", "MultiPolygon")]
    return float(sum(abs(GEOD.geometry_area_perimeter(shapely.geometry.polygon.orient(p))[0]) for p in parts))


@cache
def city_of(path: Path) -> City:
    return read_osm(path)


@cache
def tally_of(path: Path) -> Tally:
    found = Tally()
    found.apply_file(str(path))
    return found


@pytest.mark.parametrize("name", FILES)
def test_first_bytes_tell_that_it_is_a_map(shared_data: Path, name: str) -> None:
    with (shared_data / "osm" / name).open("rb") as stream:
        assert is_osm(stream.read(2**16))


@pytest.mark.parametrize("name", READ)
def test_the_number_of_buildings_equals_an_independent_count(shared_data: Path, name: str) -> None:
    """Parts that lie in no building are buildings of their own and come on top; twins are counted as left out."""
    path = shared_data / "osm" / name
    city = city_of(path)
    loose = city.notes.get("parts without a building, taken as buildings", 0)
    assert len(city.buildings) - loose + city.notes.get(TWICE, 0) == len(tally_of(path).buildings())


@pytest.mark.parametrize("name", READ)
def test_the_footprints_cover_as_much_ground_as_on_the_ellipsoid(shared_data: Path, name: str) -> None:
    path = shared_data / "osm" / name
    city = city_of(path)
    covered = sum(b.footprint.area for b in city.buildings if b.id.split("/")[0] != "feature")
    assert covered == pytest.approx(sum(tally_of(path).buildings()), rel=0.01)


@pytest.mark.parametrize("name", READ)
def test_the_streets_are_as_long_as_on_the_ellipsoid(shared_data: Path, name: str) -> None:
    path = shared_data / "osm" / name
    assert city_of(path).roads.length == pytest.approx(tally_of(path).street(), rel=0.01)


@pytest.mark.parametrize(("name", "share"), [("helsinki_centre.osm.pbf", 0.85), ("monaco.osm.pbf", 0.9)])
def test_nearly_all_streets_of_a_town_hang_together(shared_data: Path, name: str, share: float) -> None:
    roads = city_of(shared_data / "osm" / name).roads
    ends = np.array([(e.u, e.v) for e in roads.edges])
    links = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(roads.nodes),) * 2)
    label = connected_components(links, directed=False)[1][ends[:, 0]]
    length = Counter[int]()
    for part, edge in zip(label.tolist(), roads.edges, strict=True):
        length[part] += edge.line.length
    assert max(length.values()) > share * roads.length


@pytest.mark.parametrize("name", READ)
def test_edges_run_from_node_to_node(shared_data: Path, name: str) -> None:
    roads = city_of(shared_data / "osm" / name).roads
    for edge in roads.edges:
        ends = shapely.get_coordinates(edge.line)[[0, -1]]
        np.testing.assert_allclose(ends, roads.nodes[[edge.u, edge.v]], atol=1e-6)


@pytest.mark.parametrize("name", READ)
def test_every_building_is_whole(shared_data: Path, name: str) -> None:
    city = city_of(shared_data / "osm" / name)
    assert len({b.id for b in city.buildings}) == len(city.buildings)
    for building in city.buildings:
        assert building.footprint.is_valid
        assert building.volumes
        assert building.height > 0
        assert 0 <= building.eave <= building.height + 1e-6
        assert len(building.mesh) >= 8
        assert "ground" in building.inferred


def test_monaco_has_the_sea_to_its_south_east(shared_data: Path) -> None:
    city = city_of(shared_data / "osm" / "monaco.osm.pbf")
    sea = shapely.union_all([w.outline for w in city.water if w.kind == "sea"])
    west, south, east, north = city.bounds
    assert sea.contains(shapely.Point(east - 50, south + 50))
    assert not sea.contains(shapely.Point(west + 50, north - 50))
    wet = sum(sea.contains(b.footprint.centroid) for b in city.buildings)
    assert wet < 0.01 * len(city.buildings)


def test_bounds_choose_the_buildings_that_meet_them(shared_data: Path) -> None:
    path = shared_data / "osm" / "monaco.osm.pbf"
    whole = {b.id for b in city_of(path).buildings}
    part = read_osm(path, bounds=(7.418, 43.731, 7.424, 43.735))
    found = {b.id for b in part.buildings}
    assert 50 < len(found) < len(whole) / 4
    assert found <= whole
    frame = shapely.box(*part.bounds).buffer(1.0)
    assert all(frame.intersects(b.footprint) for b in part.buildings)
    inner = read_osm(path, bounds=(7.419, 43.732, 7.423, 43.734))
    assert {b.id for b in inner.buildings} < found
