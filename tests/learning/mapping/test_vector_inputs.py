"""Buildings, streets, facilities and areas out of the files that users have."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mage.learning.mapping.noding import noded
from mage.learning.mapping.vector_inputs import read_areas, read_buildings, read_facilities, read_roads
from mage.learning.mapping.vectors import Features, write_parquet
from mage.scenes.errors import DatasetError, MageError
from mage.scenes.grid import Grid
from mage.scenes.sources.osm import read_elements

CRS = "EPSG:32633"
GRID = Grid(400, 400, 500_000, 5_300_000, 0.5, CRS)
AREA = shapely.box(*GRID.bounds)
ORIGIN = np.array([500_000, 5_299_800])
TO_DEGREES = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)

STREETS = [  # a cross on the ground, and a bridge over one arm of it
    ([(0, 100), (200, 100)], {"highway": "residential", "name": "Long", "width": 7.0}),
    ([(100, 0), (100, 200)], {"highway": "service", "oneway": "yes"}),
    ([(50, 0), (50, 200)], {"highway": "primary", "bridge": "yes", "layer": "1"}),
]


def degrees(points):
    return [TO_DEGREES.transform(*(ORIGIN + point)) for point in points]


def geojson(path, features):
    """Features of (GeoJSON type, points in metres from the corner of the map, properties)."""
    items = []
    for kind, points, properties in features:
        places = degrees(points)
        coordinates = {"Point": places[0], "LineString": places, "Polygon": [places]}[kind]
        items.append(
            {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}
        )
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return path


def ring(x, y, side=10.0):
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)]


def osm(path, points=(), ways=(), boundaries=()):
    """OSM XML of tagged points and of ways; coordinates that are the same are the same node."""
    numbers, text = {}, []

    def number(point, tags=""):
        if point not in numbers or tags:
            numbers[point] = len(numbers) + 1 + 1000 * len(text)
            lon, lat = degrees([point])[0]
            text.append(f'<node id="{numbers[point]}" lon="{lon:.7f}" lat="{lat:.7f}" version="1">{tags}</node>')
        return numbers[point]

    def tagged(tags):
        return "".join(f'<tag k="{key}" v="{value}"/>' for key, value in tags.items())

    for point, tags in points:
        number(point, tagged(tags))
    lines = []
    for key, (line, tags) in enumerate(ways, 1):
        refs = "".join(f'<nd ref="{number(tuple(point))}"/>' for point in line)
        lines.append(f'<way id="{key}" version="1">{refs}{tagged(tags)}</way>')
    for key, (way, tags) in enumerate(boundaries, 1):
        member = f'<member type="way" ref="{way}" role="outer"/><tag k="type" v="boundary"/>'
        lines.append(f'<relation id="{key}" version="1">{member}{tagged(tags)}</relation>')
    nodes = sorted(text, key=lambda node: int(node.split('"')[1]))
    path.write_text(f'<osm version="0.6">{"".join(nodes)}{"".join(lines)}</osm>')
    return path


def test_buildings_of_a_plain_file_keep_their_ids_and_words_and_those_elsewhere_are_left_out(tmp_path):
    path = geojson(
        tmp_path / "b.json",
        [
            ("Polygon", ring(20, 20), {"id": 7, "building": "yes", "name": "South"}),
            ("Polygon", ring(20, 90), {"id": 7, "use": "school", "name": None}),
            ("Polygon", ring(20, 50), {"id": None}),
            ("Polygon", ring(900, 50), {"id": 9}),
        ],
    )
    found = read_buildings(path, GRID, AREA)
    assert found.kind.tolist() == ["school", "", ""]  # from north to south
    assert found.name.tolist() == ["", "", "South"]
    assert found.identity.tolist() == ["7", "2", "7-2"]
    assert shapely.area(found.outline) == pytest.approx(100, rel=1e-4)


def test_the_same_buildings_come_out_of_osm_geojson_and_geoparquet(tmp_path):
    houses = [(ring(20, 20), {"building": "house", "name": "A"}), (ring(60, 90), {"building": "church"})]
    plain = geojson(tmp_path / "b.geojson", [("Polygon", points, tags) for points, tags in houses])
    map_of = osm(tmp_path / "b.osm", ways=[*houses, (ring(120, 20), {"building": "no"})])
    shapes = np.array([shapely.Polygon(ORIGIN + np.array(points)) for points, _ in houses])
    table = Features(shapes, {"building": np.array(["house", "church"]), "name": np.array(["A", ""])})
    write_parquet(tmp_path / "b.parquet", table, CRS)
    read = [read_buildings(path, GRID, AREA) for path in (plain, map_of, tmp_path / "b.parquet")]
    for found in read:
        assert found.kind.tolist() == ["church", "house"]
        assert found.name.tolist() == ["", "A"]
        assert shapely.area(shapely.symmetric_difference(found.outline, read[0].outline)).max() < 0.5
    assert read[1].identity.tolist() == ["way/2", "way/1"]


def test_two_equal_outlines_of_osm_are_one_building(tmp_path):
    twice = [(ring(20, 20), {"building": "yes"}), (ring(20, 20), {"building": "yes"})]
    assert len(read_buildings(osm(tmp_path / "b.osm", ways=twice), GRID, AREA)) == 1


def test_streets_of_a_plain_file_meet_where_they_cross_but_not_below_a_bridge(tmp_path):
    path = geojson(tmp_path / "r.json", [("LineString", line, tags) for line, tags in STREETS])
    roads = read_roads(path, GRID, AREA)
    assert sorted(roads.length.round(1).tolist()) == pytest.approx([100, 100, 100, 100, 200], abs=0.2)
    assert len(roads.nodes) == 7
    assert sorted(roads.kind) == ["primary", "residential", "residential", "service", "service"]
    assert roads.width[[kind == "residential" for kind in roads.kind]].tolist() == [7, 7]
    assert roads.lifted.tolist() == [kind == "primary" for kind in roads.kind]
    assert roads.oneway.tolist() == [kind == "service" for kind in roads.kind]


def test_streets_of_osm_meet_at_shared_nodes_only(tmp_path):
    cross = [([(0, 100), (100, 100), (200, 100)], {"highway": "residential"})]
    through = ([(100, 0), (100, 100), (100, 200)], {"highway": "residential"})
    over = ([(100, 0), (100, 200)], {"highway": "residential", "bridge": "yes"})
    assert len(read_roads(osm(tmp_path / "meet.osm", ways=[*cross, through]), GRID, AREA)) == 4
    assert len(read_roads(osm(tmp_path / "over.osm", ways=[*cross, over]), GRID, AREA)) == 2


def test_a_file_without_classes_is_of_roads_and_one_of_footways_has_none(tmp_path):
    line = [(10, 10), (150, 10)]
    plain = read_roads(geojson(tmp_path / "r.json", [("LineString", line, {"LANES": 2})]), GRID, AREA)
    assert plain.kind == ("road",)
    assert plain.width.tolist() == [6]
    footway = geojson(tmp_path / "f.json", [("LineString", line, {"fclass": "footway"})])
    assert len(read_roads(footway, GRID, AREA)) == 0


def test_a_street_driven_against_its_line_is_turned_round(tmp_path):
    path = geojson(tmp_path / "r.json", [("LineString", [(10, 10), (150, 10)], {"fclass": "tertiary", "oneway": "T"})])
    roads = read_roads(path, GRID, AREA)
    assert roads.oneway.tolist() == [True]
    assert roads.nodes[roads.ends[0], 0] - ORIGIN[0] == pytest.approx([150, 10], abs=0.1)


def test_roads_reach_as_far_as_the_margin(tmp_path):
    path = geojson(tmp_path / "r.json", [("LineString", [(x, 0), (x + 50, 0)], {}) for x in (0, 500, 5_000)])
    assert len(read_roads(path, GRID, AREA)) == 2
    assert len(read_roads(path, GRID, AREA, margin=0)) == 1


def test_a_bridge_is_reached_at_its_ends_and_where_a_street_ends_on_it():
    lines = np.array([shapely.LineString([(0, 0), (0, 20)]), shapely.LineString([(0, 10), (30, 10)])])
    side = shapely.LineString([(15, 10), (15, 30)])
    assert len(noded(np.array([*lines, side]), [{}, {"bridge": "yes"}, {}])) == 5


def test_ends_that_nearly_touch_are_one_place_and_others_are_not(tmp_path):
    near = np.array([shapely.LineString([(0, 0), (10, 0)]), shapely.LineString([(10.06, 0.02), (20, 5)])])
    far = np.array([near[0], shapely.LineString([(10.3, 0), (20, 5)])])
    assert len({node for edge in noded(near, [{}, {}]) for node in edge.nodes}) == 3
    assert len({node for edge in noded(far, [{}, {}]) for node in edge.nodes}) == 4


def test_a_street_that_crosses_itself_and_one_that_runs_along_another_are_cut():
    loop = shapely.LineString([(0, 0), (10, 0), (10, 10), (5, 10), (5, -5)])
    along = shapely.LineString([(2, -5), (2, 0), (4, 0), (4, -5)])
    edges = noded(np.array([loop, along]), [{}, {}])
    ends = {tuple(xy) for edge in edges for xy in shapely.get_coordinates(edge.shape)[[0, -1]].tolist()}
    assert {(5, 0), (2, 0), (4, 0)} <= ends


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)).filter(
            lambda line: line[:2] != line[2:]
        ),
        min_size=1,
        max_size=6,
        unique=True,
    )
)
def test_noding_keeps_every_metre_and_leaves_no_crossing(segments):
    lines = shapely.linestrings(10.0 * np.array(segments).reshape(-1, 2, 2))
    edges = noded(lines, [{}] * len(lines))
    shapes = np.array([edge.shape for edge in edges])
    assert shapely.length(shapes).sum() == pytest.approx(shapely.length(lines).sum(), abs=0.5 * len(shapes))
    one, two = shapely.STRtree(shapes).query(shapes, predicate="crosses")
    deep = [
        shapely.distance(shapely.intersection(shapes[a], shapes[b]), shapely.boundary(shapes[a]))
        for a, b in zip(one, two, strict=True)
    ]
    assert max(deep, default=0) < 0.3


def test_facilities_are_what_matters_to_a_rescue(tmp_path):
    points = [
        ((20, 20), {"amenity": "hospital", "name": "General"}),
        ((30, 20), {"amenity": "bench"}),
        ((40, 20), {"amenity": "shelter", "shelter_type": "public_transport"}),
        ((50, 20), {"emergency": "ambulance_station"}),
        ((900, 20), {"amenity": "hospital"}),
    ]
    stations = [(ring(100, 100), {"amenity": "fire_station", "building": "yes"})]
    found = read_facilities(osm(tmp_path / "f.osm", points=points, ways=stations), GRID, AREA)
    assert found.kind.tolist() == ["hospital", "ambulance_station", "fire_station"]
    assert found.name.tolist() == ["General", "", ""]
    assert found.points[2] - ORIGIN == pytest.approx([105, 105], abs=0.2)
    assert len(read_facilities(tmp_path / "f.osm", GRID, AREA, margin=1_000)) == 4


def test_all_of_a_list_of_facilities_counts(tmp_path):
    path = geojson(
        tmp_path / "f.json",
        [("Point", [(20, 20)], {"kind": "depot", "name": "North"}), ("Polygon", ring(60, 60), {"kind": "school"})],
    )
    found = read_facilities(path, GRID, AREA)
    assert found.kind.tolist() == ["depot", "school"]
    assert found.name.tolist() == ["North", ""]


def test_areas_have_their_names_and_those_elsewhere_are_an_error(tmp_path):
    path = geojson(
        tmp_path / "a.json", [("Polygon", ring(0, 0, 90), {"NAME": "Old town"}), ("Polygon", ring(900, 0), {})]
    )
    shapes, names = read_areas(path, GRID)
    assert names == ["Old town"]
    assert shapes[0].area == pytest.approx(8100, rel=1e-3)
    elsewhere = geojson(tmp_path / "b.json", [("Polygon", ring(900, 0), {})])
    with pytest.raises(DatasetError, match="no area of the file meets the map; found 1 elsewhere"):
        read_areas(elsewhere, GRID)


def test_areas_of_osm_are_the_boundaries_of_one_level(tmp_path):
    rings = [(ring(0, 0, 90), {}), (ring(90, 0, 90), {}), (ring(-500, -500, 2_000), {})]
    names = [(1, "10", "West"), (2, "10", "East"), (3, "6", "County")]
    borders = [(way, {"boundary": "administrative", "admin_level": lv, "name": name}) for way, lv, name in names]
    assert read_areas(osm(tmp_path / "a.osm", ways=rings, boundaries=borders), GRID)[1] == ["West", "East"]


@pytest.mark.parametrize("read", [read_buildings, read_roads, read_facilities, lambda p, g, _: read_areas(p, g)])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"<osm",
        b'<osm version="0.6"><way',
        b"{",
        b'{"elements": 3}',
        b"PAR1PAR1",
        b"SQLite format 3\0" * 9,
    ],
)
def test_hostile_files_are_one_clear_error(tmp_path, read, content):
    path = tmp_path / "broken.bin"
    path.write_bytes(content)
    with pytest.raises(MageError, match=r"broken\.bin: "):
        read(path, GRID, AREA)
    with pytest.raises(MageError, match="no such file"):
        read(tmp_path / "missing", GRID, AREA)


def test_a_file_with_nothing_in_the_area_is_empty_and_no_error(tmp_path):
    path = osm(tmp_path / "b.osm", ways=[(ring(9_000, 0), {"building": "yes"})])
    assert len(read_buildings(path, GRID, AREA)) == 0
    assert len(read_roads(path, GRID, AREA)) == 0
    assert len(read_facilities(path, GRID, AREA)) == 0
    empty = geojson(tmp_path / "e.json", [])
    assert len(read_buildings(empty, GRID, AREA)) == 0
    assert len(read_roads(empty, GRID, AREA)) == 0


def test_osm_does_not_fit_a_map_that_is_nowhere_on_earth(tmp_path):
    path = osm(tmp_path / "b.osm", ways=[(ring(0, 0), {"building": "yes"})])
    with pytest.raises(DatasetError, match="OpenStreetMap lies on Earth, the map does not"):
        read_buildings(path, Grid(9, 9, 0, 9, 1), AREA)


def parts(roads):
    """Nodes of the largest connected part, as a share."""
    links = coo_array((np.ones(len(roads)), roads.ends.T), shape=(len(roads.nodes),) * 2)
    return np.bincount(connected_components(links, directed=False)[1]).max() / len(roads.nodes)


def test_a_real_town_has_the_same_streets_with_and_without_its_topology(shared_data, tmp_path):
    """Aberdeen's ways as plain lines give the network that OpenStreetMap's own nodes give."""
    source = shared_data / "osm" / "aberdeen_block.osm.gz"
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32630", always_xy=True).transform(-2.1, 57.15)
    grid = Grid(500, 500, x - 250, y + 250, 1, "EPSG:32630")
    area = shapely.box(*grid.bounds)
    known = read_roads(source, grid, area, margin=0)
    ways = [
        line for line in read_elements(source, bounds=(-2.108, 57.146, -2.092, 57.154)).lines if "highway" in line.tags
    ]
    items = [
        {"type": "Feature", "geometry": shapely.geometry.mapping(way.shape), "properties": dict(way.tags)}
        for way in ways
    ]
    plain = tmp_path / "lines.geojson"
    plain.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    found = read_roads(plain, grid, area, margin=0)
    assert found.length.sum() == pytest.approx(known.length.sum(), rel=1e-3)
    assert parts(found) == pytest.approx(parts(known), abs=0.01)
    assert sorted(set(found.kind)) == sorted(set(known.kind))
