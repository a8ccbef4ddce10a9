"""From files and archives to one city: parts of it, tiles, and which buildings are the same."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cityfiles import X, Y, box, citygml, cityjson, solid

from mage.scenes.errors import CityError
from mage.scenes.sources import read_city

NEAR, FAR = box(X, Y, 8, 6, 0, 5), box(X + 300, Y + 200, 8, 6, 0, 5)
TILES = {
    "west.gml": citygml({"a": solid(NEAR, 1), "both": solid(box(X + 100, Y, 8, 6, 0, 5), 1)}),
    "east.gml": citygml({"both": solid(box(X + 100, Y, 8, 6, 0, 5), 1), "b": solid(FAR, 1)}),
}


@pytest.fixture
def town(tmp_path: Path) -> Path:
    path = tmp_path / "town.city.json"
    path.write_text(json.dumps(cityjson({"near": NEAR, "far": FAR})))
    return path


def zipped(path: Path, contents: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def test_the_tiles_of_an_archive_are_one_city_and_what_they_share_stands_once(tmp_path: Path) -> None:
    city = read_city(zipped(tmp_path / "tiles.zip", {**TILES, "read me.txt": "tiles", "codes.xml": "<Dictionary/>"}))
    assert sorted(b.id for b in city.buildings) == ["a", "b", "both"]
    assert city.notes["buildings given twice left out"] == 1
    assert city.notes["files in the archive that are no cities"] == 2
    assert city.name == "tiles"


def test_an_id_that_two_different_buildings_have_becomes_two(tmp_path: Path) -> None:
    tiles = {"1.gml": citygml({"a": solid(NEAR, 1)}), "2.gml": citygml({"a": solid(FAR, 1)})}
    city = read_city(zipped(tmp_path / "tiles.zip", tiles))
    assert len({b.id for b in city.buildings}) == 2
    assert city.notes["building ids that were taken"] == 1


@pytest.mark.parametrize("pack", [gzip.compress, lambda content: content])
def test_a_packed_file_is_the_same_city(town: Path, tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    packed = tmp_path / "packed"
    packed.write_bytes(pack(town.read_bytes()))
    assert [b.id for b in read_city(packed).buildings] == [b.id for b in read_city(town).buildings]


def test_an_archive_without_a_city_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CityError, match="no city in the archive"):
        read_city(zipped(tmp_path / "junk.zip", {"a.txt": "hello", "b.json": "{}"}))


def test_bounds_in_metres_and_in_degrees_choose_the_same_part(town: Path) -> None:
    in_metres = read_city(town, (X - 5, Y - 5, X + 20, Y + 20))
    assert [b.id for b in in_metres.buildings] == ["near"]
    assert in_metres.notes["outside the bounds"] == 1
    longitude, latitude = in_metres.longitude, in_metres.latitude
    in_degrees = read_city(town, (longitude - 1e-3, latitude - 1e-3, longitude + 1e-3, latitude + 1e-3))
    assert [b.id for b in in_degrees.buildings] == ["near"]


def test_a_margin_is_read_and_not_shown(town: Path) -> None:
    asked = (X - 5.0, Y - 5.0, X + 20.0, Y + 20.0)
    city = read_city(town, asked, margin=500)
    assert len(city.buildings) == 2
    west, south, east, north = city.bounds
    x, y = city.origin
    assert (west + x, south + y) == pytest.approx((X, Y))  # where the first house begins
    assert (east + x, north + y) == pytest.approx(asked[2:])


def test_bounds_where_nothing_is_are_named_so(town: Path) -> None:
    with pytest.raises(CityError, match="nothing in it lies within the bounds"):
        read_city(town, (X + 1000, Y, X + 1100, Y + 100))


@pytest.mark.parametrize("bounds", [(1, 1, 0, 2), (0, 1, 1, 1), (0, 0, float("nan"), 1)])
def test_bounds_without_an_inside_are_refused(town: Path, bounds: tuple[float, float, float, float]) -> None:
    with pytest.raises(CityError, match="bad bounds"):
        read_city(town, bounds)


def test_a_map_cut_beyond_its_edge_keeps_the_sea_where_it_is(shared_data: Path) -> None:
    """Helsinki's file ends at 24.9534: a box that reaches beyond must not fill the town with water."""
    city = read_city(shared_data / "osm" / "helsinki_centre.osm.pbf", (24.951, 60.166, 24.957, 60.169))
    sea = sum(w.outline.intersection(b.footprint).area for w in city.water for b in city.buildings if w.kind == "sea")
    assert sea < 0.01 * sum(b.footprint.area for b in city.buildings)
    assert city.notes["bounds that reach beyond the file, cut to it"] == 1


def test_attributes_and_surfaces_are_told_as_the_source_has_them(town: Path) -> None:
    city = read_city(town)
    assert sum(city.surfaces.values()) == 12
    assert all(b.attributes == {} for b in city.buildings)


def test_a_building_keeps_what_its_source_says_of_it(tmp_path: Path) -> None:
    path = tmp_path / "town.city.json"
    said = {"yearOfConstruction": 1900, "function": "church", "heritage": True}
    path.write_text(json.dumps(cityjson({"near": NEAR}, attributes=said)))
    assert read_city(path).buildings[0].attributes == said
