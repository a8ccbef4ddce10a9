"""Broken and hostile maps end in one error, soon, and in nothing else."""

from __future__ import annotations

import contextlib
import gzip
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import osmium
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from osmmaps import Map

from mage.scenes.errors import CityError
from mage.scenes.sources.osm import formats, read_osm

FEW = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def error_of(path: Path, content: bytes) -> CityError:
    path.write_bytes(content)
    with pytest.raises(CityError) as caught:
        read_osm(path)
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_doctype_is_refused_in_any_encoding(tmp_path: Path, encoding: str, packed: bool) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE osm [<!ENTITY a "b">]><osm version="0.6">&a;</osm>'
    content = text.encode(encoding)
    assert "DOCTYPE" in str(error_of(tmp_path / "a.osm", gzip.compress(content) if packed else content))


def test_a_doctype_behind_a_long_comment_is_refused(tmp_path: Path) -> None:
    content = b"<!-- <osm> " + b"x" * 200_000 + b' --><!DOCTYPE osm SYSTEM "http://example.org/a.dtd"><osm/>'
    assert "DOCTYPE" in str(error_of(tmp_path / "a.osm", content))


def test_a_comment_without_an_end_is_refused(tmp_path: Path) -> None:
    error_of(tmp_path / "a.osm", b"<!-- <osm> " + b"x" * 2**21)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_pbf_that_is_cut_short_is_refused(shared_data: Path, tmp_path: Path, share: float) -> None:
    whole = (shared_data / "osm" / "monaco.osm.pbf").read_bytes()
    error_of(tmp_path / "a.osm.pbf", whole[: int(share * len(whole))])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_gzip_that_is_cut_short_is_refused(shared_data: Path, tmp_path: Path, share: float) -> None:
    whole = (shared_data / "osm" / "aberdeen_block.osm.gz").read_bytes()
    error_of(tmp_path / "a.osm.gz", whole[: int(share * len(whole))])


def test_xml_that_is_cut_short_is_refused(town: Map, tmp_path: Path) -> None:
    town.box(0, 0, 20, 10, building="yes")
    content = town.xml().encode()
    for share in (0.2, 0.5, 0.9):
        error_of(tmp_path / "a.osm", content[: int(share * len(content))])


def test_a_gzip_bomb_is_refused_before_it_swells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "UNSUSPICIOUS", 2**20)
    content = gzip.compress(b'<osm version="0.6">' + b" " * 20_000_000)
    assert "unpacks to far more" in str(error_of(tmp_path / "a.osm.gz", content))


def test_a_json_bomb_is_refused_before_it_swells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "UNSUSPICIOUS", 2**20)
    content = gzip.compress(b'{"elements": [' + b" " * 20_000_000)
    assert "unpacks to far more" in str(error_of(tmp_path / "a.json.gz", content))


def blob(kind: bytes, content: bytes, raw_size: int | None = None) -> bytes:
    """A block of a PBF file."""
    packed = zlib.compress(content)
    size = len(content) if raw_size is None else raw_size
    body = b"\x10" + varint(size) + b"\x1a" + varint(len(packed)) + packed
    header = b"\x0a" + varint(len(kind)) + kind + b"\x18" + varint(len(body))
    return struct.pack(">I", len(header)) + header + body


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def test_pbf_blocks_that_swell_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "UNSUSPICIOUS", 2**20)
    content = blob(b"OSMHeader", b"") + 4 * blob(b"OSMData", b"\0" * 2**20)
    assert "far more than a map" in str(error_of(tmp_path / "a.osm.pbf", content))


def test_pbf_blocks_that_lie_about_their_size_are_refused(tmp_path: Path) -> None:
    error_of(tmp_path / "a.osm.pbf", blob(b"OSMHeader", b"") + blob(b"OSMData", b"\0" * 2**20, raw_size=10))
    error_of(
        tmp_path / "a.osm.pbf", struct.pack(">I", 13) + b"\x0a\x09OSMHeader\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
    )


@pytest.mark.parametrize(
    "text", ['{"elements":' + "[" * 10_000, '{"elements":' + '[{"a":' * 10_000 + "0" + "}]" * 10_000]
)
def test_json_of_ten_thousand_depths_is_refused(tmp_path: Path, text: str) -> None:
    error_of(tmp_path / "a.json", text.encode())


def test_coordinates_nested_deeply_are_refused(tmp_path: Path) -> None:
    deep: Any = [0.0, 0.0]
    for _ in range(500):
        deep = [deep]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": deep}}
    error_of(tmp_path / "a.json", json.dumps({"type": "FeatureCollection", "features": [feature]}).encode())


@pytest.mark.parametrize(
    "text",
    [
        '<osm><node id="1" lat="NaN" lon="9"/></osm>',
        '<osm><node id="1" lat="4800" lon="9"/></osm>',
        '<osm><node id="99999999999999999999999" lat="48" lon="9"/></osm>',
        '<osm><way id="1"><nd ref="1"/><nd ref="2"/><nd ref="1"/><tag k="building" v="yes"/></way></osm>',
        '<osm><relation id="1"><member type="relation" ref="1" role=""/><tag k="type" v="building"/></relation></osm>',
        "<osm>" + "<node>" * 10_000 + "</osm>",
        '<osm version="0.6"/>',
        '<?xml version="1.0" encoding="AUTF-8"?><osm version="0.6"/>',
        '<osm version="0.6"><node id="1" lat=" 48.0" lon="9.0"/></osm>',
        "<osm",
        '<osm version="9.9"/>',
        "<osmChange><create/></osmChange>",
    ],
)
def test_maps_that_hold_nothing_or_nonsense_are_refused(tmp_path: Path, text: str) -> None:
    error_of(tmp_path / "a.osm", text.encode())


@pytest.mark.parametrize(
    "text",
    [
        '{"elements": [NaN, Infinity]}',
        '{"elements": [{"type":"node","id":1,"lat":NaN,"lon":1e999}]}',
        "{",
        '{"elements": 1}',
    ],
)
def test_json_that_holds_nothing_or_nonsense_is_refused(tmp_path: Path, text: str) -> None:
    error_of(tmp_path / "a.json", text.encode())


def test_relations_that_hold_one_another_do_no_harm(town: Map, tmp_path: Path) -> None:
    town.box(0, 0, 20, 10, building="yes")
    loop = "".join(
        f'<relation id="{i}" version="1"><member type="relation" ref="{3 - i}" role="outline"/>'
        f'<member type="relation" ref="{i}" role="part"/><tag k="type" v="building"/></relation>'
        for i in (1, 2)
    )
    path = tmp_path / "a.osm"
    path.write_text(town.xml().replace("</osm>", loop + "</osm>"), encoding="utf-8")
    assert len(read_osm(path).buildings) == 1


def test_a_building_around_the_world_is_an_error_or_a_city(tmp_path: Path) -> None:
    ring = [[-179, -80], [179, -80], [179, 80], [-179, 80], [-179, -80]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), encoding="utf-8")
    tried(path)


def test_a_name_that_osmium_takes_for_an_address_is_a_file(town: Map, tmp_path: Path, monkeypatch: Any) -> None:
    town.box(0, 0, 20, 10, building="yes")
    monkeypatch.chdir(tmp_path)
    for name in ("-", "http:/town.osm"):
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(town.xml(), encoding="utf-8")
        assert len(read_osm(path).buildings) == 1


def tried(path: Path) -> None:
    """Reads a file, which may fail in one way only."""
    with contextlib.suppress(CityError):
        assert read_osm(path).buildings


degree = st.one_of(st.floats(8.99, 9.01), st.floats(), st.integers(), st.none(), st.text(max_size=3))
key = st.sampled_from(
    ["building", "building:part", "height", "highway", "natural", "landuse", "roof:shape", "layer", "type"]
)
value = st.sampled_from(
    ["yes", "12", "gabled", "coastline", "water", "residential", "multipolygon", "building", "-1"]
) | st.text(max_size=5)
tags = st.dictionaries(key, value | st.integers() | st.none(), max_size=4)
junk = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=5),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=5), x, max_size=3),
    max_leaves=6,
)
number = st.integers(-1, 6)
node = st.fixed_dictionaries(
    {"type": st.just("node"), "id": number, "lat": st.floats(47.99, 48.01) | degree, "lon": degree, "tags": tags}
)
way = st.fixed_dictionaries(
    {"type": st.just("way"), "id": number, "nodes": st.lists(number, max_size=6) | junk, "tags": tags},
    optional={
        "geometry": st.lists(st.fixed_dictionaries({"lat": st.floats(47.99, 48.01), "lon": degree}) | junk, max_size=6)
    },
)
member = (
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["way", "node", "relation"]),
            "ref": number,
            "role": st.sampled_from(["outer", "inner", "outline", "part", ""]),
        }
    )
    | junk
)
relation = st.fixed_dictionaries(
    {"type": st.just("relation"), "id": number, "members": st.lists(member, max_size=4) | junk, "tags": tags}
)


@FEW
@given(st.lists(node | way | relation | junk, max_size=12))
def test_any_answer_of_overpass_is_a_city_or_one_error(tmp_path: Path, elements: list[Any]) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"elements": elements}), encoding="utf-8")
    tried(path)


position = st.lists(st.floats(8.99, 9.01) | st.floats(47.99, 48.01), min_size=2, max_size=3) | junk
near = st.tuples(st.floats(8.99, 9.01), st.floats(47.99, 48.01)).map(list)
shape = (
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["Point", "LineString", "Polygon", "MultiPolygon", "GeometryCollection"]),
            "coordinates": near
            | st.lists(near, max_size=6)
            | st.lists(st.lists(near | position, max_size=6), max_size=2)
            | junk,
        }
    )
    | junk
)
feature = st.fixed_dictionaries({"type": st.just("Feature"), "properties": tags | junk, "geometry": shape}) | junk


@FEW
@given(st.lists(feature, max_size=8), junk)
def test_any_geojson_is_a_city_or_one_error(tmp_path: Path, features: list[Any], crs: Any) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}), encoding="utf-8")
    tried(path)


@FEW
@given(st.data())
def test_any_damage_to_xml_is_a_city_or_one_error(tmp_path: Path, data: st.DataObject) -> None:
    town = Map(tmp_path)
    outer = town.box(0, 0, 40, 40, building="yes", height="9")
    inner = town.box(10, 10, 5, 5, building__part="yes", roof__shape="gabled")
    town.relation([(outer, "outer"), (inner, "inner")], type="multipolygon", natural="water")
    town.way([(0, -10), (40, -10)], highway="residential")
    content = bytearray(town.xml().encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.integers(0, 20))
        content[at : at + length] = data.draw(st.binary(max_size=6) | st.sampled_from([b"9", b'"', b"<", b"-", b"e9"]))
    path = tmp_path / "a.osm"
    path.write_bytes(content)
    tried(path)


@FEW
@given(st.data())
def test_any_damage_to_pbf_is_a_city_or_one_error(tmp_path: Path, data: st.DataObject) -> None:
    town = Map(tmp_path)
    town.box(0, 0, 40, 40, building="yes", height="9")
    town.way([(0, -10), (40, -10)], highway="residential")
    path = tmp_path / "a.osm.pbf"
    with osmium.SimpleWriter(str(path), overwrite=True) as writer:
        for item in osmium.FileProcessor(str(town.write())):
            writer.add(item)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    tried(path)
