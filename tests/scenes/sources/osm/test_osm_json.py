"""Overpass JSON and GeoJSON say the same as OSM XML."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osmmaps import Map, degrees

from mage.scenes.errors import CityError
from mage.scenes.sources.osm import is_osm, osm_format, read_osm

SQUARE = [(0, 0), (20, 0), (20, 10), (0, 10), (0, 0)]


def write(folder: Path, content: Any, name: str = "town.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def place(x: float, y: float) -> dict[str, float]:
    east, north = degrees(x, y)
    return {"lat": north, "lon": east}


def ring(points: list[tuple[float, float]], dx: float = 0) -> list[list[float]]:
    return [list(degrees(x + dx, y)) for x, y in points]


def collection(*features: tuple[dict[str, Any], dict[str, Any]], **members: Any) -> dict[str, Any]:
    return {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": p, "geometry": g} for p, g in features],
        **members,
    }


def polygon(dx: float = 0) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [ring(SQUARE, dx)]}


def test_geometry_beside_ways_is_read(tmp_path: Path) -> None:
    house = {
        "type": "way",
        "id": 7,
        "nodes": [1, 2, 3, 4, 1],
        "geometry": [place(*p) for p in SQUARE],
        "tags": {"building": "house", "height": "9"},
    }
    street = {"type": "way", "id": 8, "geometry": [place(-9, -5), place(40, -5)], "tags": {"highway": "residential"}}
    city = read_osm(write(tmp_path, {"version": 0.6, "elements": [house, street]}))
    assert [b.id for b in city.buildings] == ["way/7"]
    assert city.buildings[0].footprint.area == pytest.approx(200, rel=0.01)
    assert city.buildings[0].height == pytest.approx(9)
    assert city.roads.length == pytest.approx(49, rel=0.01)
    assert city.sources[0].format == "Overpass JSON"


def test_nodes_that_follow_their_ways_are_found(tmp_path: Path) -> None:
    nodes = [{"type": "node", "id": i, **place(*p)} for i, p in enumerate(SQUARE[:4], start=1)]
    house = {"type": "way", "id": 7, "nodes": [1, 2, 3, 4, 1], "tags": {"building": "house"}}
    city = read_osm(write(tmp_path, {"version": 0.6, "elements": [house, *nodes]}))
    assert city.buildings[0].footprint.area == pytest.approx(200, rel=0.01)


def test_relations_with_geometry_are_assembled(tmp_path: Path) -> None:
    outer = [place(*p) for p in [(0, 0), (40, 0), (40, 40)]], [place(*p) for p in [(40, 40), (0, 40), (0, 0)]]
    inner = [place(*p) for p in [(10, 10), (30, 10), (30, 30), (10, 30), (10, 10)]]
    members = [
        *({"type": "way", "ref": i, "role": "outer", "geometry": g} for i, g in enumerate(outer, start=1)),
        {"type": "way", "ref": 3, "role": "inner", "geometry": inner},
    ]
    block = {"type": "relation", "id": 5, "members": members, "tags": {"type": "multipolygon", "building": "yes"}}
    city = read_osm(write(tmp_path, {"elements": [block]}))
    assert city.buildings[0].id == "relation/5"
    assert city.buildings[0].footprint.area == pytest.approx(1200, rel=0.01)


def test_a_centre_is_no_outline_and_is_counted(tmp_path: Path) -> None:
    house = {"type": "way", "id": 7, "geometry": [place(*p) for p in SQUARE], "tags": {"building": "yes"}}
    centre = {"type": "way", "id": 8, "center": place(50, 50), "tags": {"building": "yes"}}
    city = read_osm(write(tmp_path, {"elements": [house, centre, {"type": "count", "id": 0}]}))
    assert city.notes["objects with a centre and no outline left out"] == 1


def test_broken_elements_are_counted(tmp_path: Path) -> None:
    house = {"type": "way", "id": 7, "geometry": [place(*p) for p in SQUARE], "tags": {"building": "yes", "x": [1]}}
    strange = [None, 5, {"type": "way", "id": "x"}, {"type": "planet", "id": 3}, {"type": "way", "id": 2**70}]
    lost = {"type": "node", "id": 3, "lat": 1e9, "lon": 0}
    city = read_osm(write(tmp_path, {"elements": [house, *strange, lost]}))
    assert city.notes["elements that are no objects of OpenStreetMap left out"] == len(strange)
    assert city.notes["nodes without coordinates left out"] == 1
    assert city.notes["tags that are no text left out"] == 1


def test_the_same_town_in_three_formats_is_the_same(town: Map, tmp_path: Path) -> None:
    town.way([*SQUARE], building="house", building__levels="3")
    town.way([(-9, -5), (40, -5), (80, -5)], highway="residential")
    town.way([(40, -5), (40, 90)], highway="service")
    xml = read_osm(town.write())
    house, street = {"building": "house", "building:levels": 3}, {"highway": "residential"}
    features = collection(
        ({"@id": "way/1", **house}, polygon()),
        (street, {"type": "LineString", "coordinates": ring([(-9, -5), (40, -5), (80, -5)])}),
        ({"highway": "service"}, {"type": "LineString", "coordinates": ring([(40, -5), (40, 90)])}),
    )
    geo = read_osm(write(tmp_path, features, "town.geojson"))
    ways = [
        {"type": "way", "id": 1, "geometry": [place(*p) for p in SQUARE], "tags": house},
        {"type": "way", "id": 2, "geometry": [place(*p) for p in [(-9, -5), (40, -5), (80, -5)]], "tags": street},
        {"type": "way", "id": 3, "geometry": [place(*p) for p in [(40, -5), (40, 90)]], "tags": {"highway": "service"}},
    ]
    overpass = read_osm(write(tmp_path, {"elements": ways}))
    for other in (geo, overpass):
        assert [b.id for b in other.buildings] == [b.id for b in xml.buildings]
        assert other.buildings[0].storeys == 3
        np.testing.assert_allclose(other.buildings[0].footprint.bounds, xml.buildings[0].footprint.bounds, atol=0.02)
        assert len(other.roads.edges) == len(xml.roads.edges) == 3
        assert len(other.roads.nodes) == 4
        assert other.origin == xml.origin


@pytest.mark.parametrize(
    "properties",
    [
        {"building": "house", "height": "9"},
        {"id": "way/1", "tags": {"building": "house", "height": "9"}},
        {"osm_id": "1", "building": "house", "other_tags": '"height"=>"9","note"=>"a \\"b\\" c"'},
        {"osm_id": 1, "tags": '{"building": "house", "height": 9}'},
    ],
)
def test_tags_stand_in_properties_in_many_ways(tmp_path: Path, properties: dict[str, Any]) -> None:
    city = read_osm(write(tmp_path, collection((properties, polygon()))))
    assert city.buildings[0].height == pytest.approx(9)
    assert city.sources[0].format == "GeoJSON"
    assert "height" not in city.buildings[0].inferred


@pytest.mark.parametrize(
    ("properties", "height"),
    [
        ({"height": 7.5, "confidence": 0.9}, 7.5),
        ({"height": -1.0}, 6.0),
        ({"area_in_meters": 200.0, "confidence": 0.8, "full_plus_code": "6GCRPR6C+2P"}, 6.0),
        ({"Levels": 3}, 9.0),
        ({"num_floors": 3, "roof_shape": "flat"}, 9.0),
        ({}, 6.0),
    ],
)
def test_footprints_without_tags_are_buildings(tmp_path: Path, properties: dict[str, Any], height: float) -> None:
    city = read_osm(write(tmp_path, collection((properties, polygon()), (properties, polygon(40)))))
    assert len(city.buildings) == 2
    assert city.buildings[0].height == pytest.approx(height)
    assert city.sources[0].format == "GeoJSON footprints"
    assert city.sources[0].licence is None


def test_a_feature_on_each_line_is_read(tmp_path: Path) -> None:
    lines = [json.dumps({"type": "Feature", "properties": {}, "geometry": polygon(dx)}) for dx in (0, 40, 80)]
    assert len(read_osm(write(tmp_path, "\n".join(lines), "town.geojsonl")).buildings) == 3


def test_map_coordinates_of_older_files_are_understood(tmp_path: Path) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    square = [[500000 + x, 5316000 + y] for x, y in SQUARE]
    city = read_osm(write(tmp_path, collection(({}, {"type": "Polygon", "coordinates": [square]}), crs=crs)))
    assert city.buildings[0].footprint.area == pytest.approx(200, rel=1e-6)


def test_multi_polygons_and_holes_are_kept(tmp_path: Path) -> None:
    hole = ring([(5, 2), (15, 2), (15, 8), (5, 8), (5, 2)])
    shape = {"type": "MultiPolygon", "coordinates": [[ring(SQUARE), hole], [ring(SQUARE, 60)]]}
    (building,) = read_osm(write(tmp_path, collection(({"building": "yes"}, shape)))).buildings
    assert building.footprint.area == pytest.approx(340, rel=0.01)
    assert len(building.volumes) == 2


def test_broken_features_are_counted(tmp_path: Path) -> None:
    bow = {"type": "Polygon", "coordinates": [ring([(0, 40), (20, 50), (20, 40), (0, 50), (0, 40)])]}
    broken = [
        {"type": "Polygon", "coordinates": [[[1]]]},
        {"type": "Polygon", "coordinates": "here"},
        {"type": "Polygon", "coordinates": [[[900, 0], [901, 0], [900, 1], [900, 0]]]},
        {"type": "LineString", "coordinates": [[1, 1]]},
    ]
    tags = {"building": "yes"}
    city = read_osm(write(tmp_path, collection((tags, polygon()), (tags, bow), *((tags, g) for g in broken))))
    assert len(city.buildings) == 2
    assert city.notes["features with broken coordinates left out"] == len(broken)
    assert city.notes["broken outlines repaired"] == 1


def test_ids_that_are_taken_are_changed_and_counted(tmp_path: Path) -> None:
    city = read_osm(write(tmp_path, collection(({"id": "a"}, polygon()), ({"id": "a"}, polygon(40)))))
    assert len({b.id for b in city.buildings}) == 2
    assert city.notes["building ids that were taken"] == 1


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_packed_files_are_read(town: Map, tmp_path: Path, pack: Any) -> None:
    town.way([*SQUARE], building="yes")
    path = tmp_path / "town.bin"
    for text, kind in ((town.xml(), "xml"), (json.dumps(collection(({}, polygon()))), "geojson")):
        path.write_bytes(pack(text.encode()))
        assert osm_format(path.read_bytes()[:65536]) == kind
        assert len(read_osm(path).buildings) == 1


@pytest.mark.parametrize(
    "head",
    [b"", b"{}", b"[1]", b"<gml/>", b'{"type": "CityJSON"}', b"\x1f\x8bxx", b"BZhxx", b"PK\3\4", b"\xff\xd8\xff"],
)
def test_what_is_no_map_is_told_by_its_first_bytes(head: bytes) -> None:
    assert not is_osm(head)


def test_bounds_that_are_none_are_refused(town: Map) -> None:
    with pytest.raises(CityError, match="no bounds"):
        read_osm(town.write(), bounds=(9.0, 48.0, 8.0, 49.0))
