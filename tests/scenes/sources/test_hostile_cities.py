"""Whatever a file holds, reading it ends in a city or in one CityError, and soon."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cityfiles import X, Y, bounded, box, citygml, cityjson, cityjson_geometry, cityjson_seq, linked_solid, solid
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mage.scenes.city import City
from mage.scenes.errors import CityError
from mage.scenes.sources import read, read_city

BOX = box(X + 10, Y + 20, 8, 6, -1.25, 5)
GOOD = {
    "CityJSON": json.dumps(cityjson({"a": BOX})).encode(),
    "CityJSONSeq": cityjson_seq({"a": BOX, "b": BOX}).encode(),
    "CityGML": citygml({"a": bounded(BOX, "p") + linked_solid(["p0"]), "b": solid(BOX, 1)}).encode(),
}


def refused(path: Path) -> str:
    """The message of the CityError that reading this file ends in; it names the file and takes under 5 s."""
    started = time.perf_counter()
    with pytest.raises(CityError) as caught:
        read_city(path)
    assert time.perf_counter() - started < 5
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def refused_bytes(folder: Path, content: bytes | str | dict[str, Any], name: str = "city.gml") -> str:
    path = folder / name
    text = json.dumps(content) if isinstance(content, dict) else content
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return refused(path)


class TestFilesThatAreNoCity:
    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        assert "no such file" in refused(tmp_path / "nowhere.gml")

    def test_a_folder(self, tmp_path: Path) -> None:
        assert "folder" in refused(tmp_path)

    def test_a_pipe_that_nobody_writes_to(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.gml")
        assert "no regular file" in refused(tmp_path / "pipe.gml")

    def test_an_empty_file(self, tmp_path: Path) -> None:
        assert "empty" in refused_bytes(tmp_path, b"")

    def test_a_file_above_the_cap(self, tmp_path: Path) -> None:
        path = tmp_path / "huge.json"
        with path.open("wb") as stream:
            stream.truncate(4 * 2**30 + 1)  # sparse: takes no disk
        assert "too large" in refused(path)

    def test_a_file_that_may_not_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def denied(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        path = tmp_path / "city.json"
        path.write_bytes(GOOD["CityJSON"])
        monkeypatch.setattr(read, "parse_city", denied)
        assert "Permission denied" in refused(path)

    @pytest.mark.parametrize(
        ("content", "found"),
        [
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "JPEG"),
            (b"hello", "begins with"),
            (b"   \n\n", "begins with"),
            (b"\0" * 4096, "begins with"),
            (b"[1, 2]", "list"),
            (b"{}", "None"),
            (b"<html><body/></html>", "html"),
            (b"<kml xmlns='http://www.opengis.net/kml/2.2'/>", "kml"),
        ],
    )
    def test_something_else_is_named(self, tmp_path: Path, content: bytes, found: str) -> None:
        message = refused_bytes(tmp_path, content)
        assert "not a city" in message
        assert found in message

    @pytest.mark.parametrize("content", [b"PK\x03\x04", b"\x1f\x8b\x08", b"\xfd7zXZ\0\0"])
    def test_the_beginning_of_an_archive(self, tmp_path: Path, content: bytes) -> None:
        assert "broken archive" in refused_bytes(tmp_path, content)

    def test_features_that_are_none(self, tmp_path: Path) -> None:
        assert "no building" in refused_bytes(tmp_path, b'{"type": "FeatureCollection", "features": []}')

    @pytest.mark.parametrize("name", sorted(GOOD))
    def test_the_content_counts_and_not_the_name(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / "holiday.jpeg"
        path.write_bytes(GOOD[name])
        assert read_city(path).sources[0].format.startswith(f"{name} ")

    def test_byte_order_marks_and_utf_16_are_read(self, tmp_path: Path) -> None:
        path = tmp_path / "city"
        utf16 = GOOD["CityGML"].decode().replace("UTF-8", "UTF-16").encode("utf-16")
        for content in (b"\xef\xbb\xbf" + GOOD["CityJSON"], b"\xef\xbb\xbf" + GOOD["CityGML"], utf16):
            path.write_bytes(content)
            assert len(read_city(path).buildings) > 0


class TestVersions:
    @pytest.mark.parametrize("version", ["0.9", "3.0", "", None, 2, {"a": 1}])
    def test_another_version_of_cityjson(self, tmp_path: Path, version: Any) -> None:
        document = cityjson({"a": BOX}) | {"version": version}
        assert "version of CityJSON" in refused_bytes(tmp_path, document)

    @pytest.mark.parametrize("version", ["0.4", "4.0"])
    def test_another_version_of_citygml(self, tmp_path: Path, version: str) -> None:
        assert "version of CityGML" in refused_bytes(tmp_path, citygml({"a": bounded(BOX)}, version=version))

    def test_a_city_model_of_no_namespace(self, tmp_path: Path) -> None:
        assert "version of CityGML" in refused_bytes(tmp_path, "<CityModel/>")


class TestCitiesThatCannotBeBuilt:
    def test_no_buildings(self, tmp_path: Path) -> None:
        assert "no building" in refused_bytes(tmp_path, cityjson({}))
        assert "no building" in refused_bytes(tmp_path, citygml({}))

    def test_buildings_of_nothing(self, tmp_path: Path) -> None:
        assert "can be built" in refused_bytes(tmp_path, citygml({"a": "", "b": "<bldg:lod1Solid/>"}))

    def test_all_coordinates_nowhere(self, tmp_path: Path) -> None:
        document = cityjson({"a": BOX})
        document["vertices"] = [[float("nan"), 1e308, -1e308]] * len(document["vertices"])
        assert "can be built" in refused_bytes(tmp_path, document)

    def test_degrees_that_are_not_on_earth(self, tmp_path: Path) -> None:
        assert "not on Earth" in refused_bytes(tmp_path, cityjson({"a": BOX}, crs="EPSG:4979"))

    def test_coordinates_outside_of_their_crs_become_a_city_that_is_nowhere(self, tmp_path: Path) -> None:
        path = tmp_path / "far.json"
        document = cityjson({"a": BOX})
        document["transform"]["translate"] = [9e7, 9e7, 0]
        path.write_text(json.dumps(document))
        city = read_city(path)
        assert (city.crs, city.latitude, city.longitude) == (None, 52.0, 5.0)
        assert city.notes == {"coordinates outside the stated coordinate system, taken as metres": 1}


def _vertex(document: dict[str, Any]) -> None:
    document["CityObjects"]["a"]["geometry"][0]["boundaries"][0][0][0][0] = 10_000


def _negative(document: dict[str, Any]) -> None:
    document["CityObjects"]["a"]["geometry"][0]["boundaries"][0][0][0][0] = -1


BREAKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "an index beyond the vertices": _vertex,
    "an index below zero": _negative,
    "objects in a list": lambda d: d.update(CityObjects=[]),
    "no objects": lambda d: d.pop("CityObjects"),
    "an object that is a number": lambda d: d["CityObjects"].update(a=3),
    "no vertices": lambda d: d.pop("vertices"),
    "flat vertices": lambda d: d.update(vertices=[1, 2, 3]),
    "vertices of two numbers": lambda d: d.update(vertices=[[1, 2]] * 24),
    "ragged vertices": lambda d: d.update(vertices=[[1, 2, 3], [1]]),
    "vertices of words": lambda d: d.update(vertices=[["a", "b", "c"]] * 24),
    "vertices beyond all floats": lambda d: d.update(vertices=[[10**400, 0, 0]] * 24),
    "a transform of words": lambda d: d.update(transform={"scale": "big", "translate": None}),
    "geometry that is no list": lambda d: d["CityObjects"]["a"].update(geometry={"lod": 2}),
    "boundaries of one level too few": lambda d: d["CityObjects"]["a"]["geometry"][0].update(boundaries=[0, 1, 2]),
    "boundaries of one level too many": lambda d: d["CityObjects"]["a"]["geometry"][0].update(
        boundaries=[[[[[0, 1, 2]]]]]
    ),
    "boundaries of words": lambda d: d["CityObjects"]["a"]["geometry"][0].update(boundaries=[[["abc"]]]),
    "boundaries of fractions": lambda d: d["CityObjects"]["a"]["geometry"][0].update(boundaries=[[[[0.5, 1, 2]]]]),
    "semantics that are a word": lambda d: d["CityObjects"]["a"]["geometry"][0].update(semantics="roof"),
    "attributes that are a list": lambda d: d["CityObjects"]["a"].update(attributes=[1]),
    "children that are a word": lambda d: d["CityObjects"]["a"].update(children="b"),
    "metadata that are a list": lambda d: d.update(metadata=[1]),
}


class TestBrokenCityJSON:
    @pytest.mark.parametrize("name", sorted(BREAKS))
    def test_a_broken_layout_is_refused(self, tmp_path: Path, name: str) -> None:
        document = cityjson({"a": BOX})
        BREAKS[name](document)
        refused_bytes(tmp_path, document)

    def test_an_index_beyond_the_vertices_is_named(self, tmp_path: Path) -> None:
        document = cityjson({"a": BOX})
        _vertex(document)
        assert "vertex that is not there; expected 0 to 23; found 10000" in refused_bytes(tmp_path, document)

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
    def test_a_cut_file(self, tmp_path: Path, share: float) -> None:
        for content in (GOOD["CityJSON"], GOOD["CityJSONSeq"]):
            assert "broken JSON" in refused_bytes(tmp_path, content[: int(len(content) * share)])

    def test_nesting_without_end(self, tmp_path: Path) -> None:
        for opening in ("[", '{"a":'):
            assert "nested too deeply" in refused_bytes(tmp_path, opening * 200_000)

    def test_a_number_of_a_million_digits(self, tmp_path: Path) -> None:
        assert "broken JSON" in refused_bytes(tmp_path, '{"type": "CityJSON", "version": ' + "1" * 1_000_000 + "}")

    def test_parts_that_hold_each_other_are_built_once(self, tmp_path: Path) -> None:
        document = cityjson({"a": BOX})
        part = {"type": "BuildingPart", "geometry": [cityjson_geometry(BOX, document["vertices"], "2", "Solid")]}
        document["CityObjects"] |= {"p": part | {"children": ["q"]}, "q": part | {"children": ["p", "a", "gone"]}}
        document["CityObjects"]["a"]["children"] = ["p", "a"]
        path = tmp_path / "a.json"
        path.write_text(json.dumps(document))
        city = read_city(path)
        assert len(city.buildings[0].mesh) == 3 * 12
        assert city.notes == {"building parts that are not there": 1}

    def test_ids_and_types_that_no_terminal_prints_are_made_printable(self, tmp_path: Path) -> None:
        document = cityjson({"a\ud800\x1b[31m": BOX})
        document["CityObjects"]["r"] = {"type": "Ro\nad"}
        path = tmp_path / "a.json"
        path.write_text(json.dumps(document))
        city = read_city(path)
        assert city.buildings[0].id == "a??[31m"
        assert city.notes == {"ignored Ro?ad": 1}

    def test_a_line_that_is_no_feature(self, tmp_path: Path) -> None:
        assert "feature 1 is no CityJSONFeature" in refused_bytes(
            tmp_path, GOOD["CityJSONSeq"].splitlines()[0] + b"\n{}"
        )


BOMB = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>" + "".join(
    f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)


class TestBrokenCityGML:
    @pytest.mark.parametrize(
        "doctype",
        ["<!DOCTYPE CityModel>", BOMB + "]>", "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>"],
    )
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    def test_any_doctype_is_refused(self, tmp_path: Path, doctype: str, encoding: str) -> None:
        text = citygml({"a": bounded(BOX) + "<x>&amp;</x>"}, prolog=doctype).replace("UTF-8", encoding.upper())
        assert "DOCTYPE" in refused_bytes(tmp_path, text.encode(encoding))

    def test_a_doctype_far_into_the_file_is_refused(self, tmp_path: Path) -> None:
        text = citygml({"a": bounded(BOX)}, prolog=f"<!--{'x' * 100_000}--><!DOCTYPE CityModel [<!ENTITY e 'x'>]>")
        assert "DOCTYPE" in refused_bytes(tmp_path, text)

    @pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
    def test_a_cut_file(self, tmp_path: Path, share: float) -> None:
        content = GOOD["CityGML"]
        assert "broken XML" in refused_bytes(tmp_path, content[: int(len(content) * share)])

    def test_nesting_without_end(self, tmp_path: Path) -> None:
        deep = "<bldg:lod2Solid>" + "<gml:Solid>" * 100_000
        assert "broken XML" in refused_bytes(tmp_path, citygml({"a": deep + "</gml:Solid>" * 100_000}))

    def test_links_in_a_long_row_are_followed(self, tmp_path: Path) -> None:
        row = "".join(
            f'<gml:CompositeSurface gml:id="c{k}"><gml:surfaceMember xlink:href="#c{k + 1}"/></gml:CompositeSurface>'
            for k in range(20_000)
        )
        path = tmp_path / "row.gml"
        path.write_text(citygml({"a": f"<bldg:lod2MultiSurface>{row}</bldg:lod2MultiSurface>{solid(BOX, 1)}"}))
        assert read_city(path).notes == {"links to geometry that is not there": 1}


def _survives(folder: Path, content: bytes) -> None:
    path = folder / "fuzz"
    path.write_bytes(content)
    try:
        city = read_city(path)
    except CityError as error:
        assert str(error).startswith(str(path))  # noqa: PT017 - the file is named in whatever goes wrong
    else:
        assert isinstance(city, City)
        assert len(city.buildings) > 0


FUZZ = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
TOKENS = [
    b"",
    b"null",
    b"-1",
    b"1e999",
    b"[",
    b"}",
    b'"',
    b"<",
    b">",
    b"</",
    b"&e;",
    b"#",
    b"\xff",
    b"NaN",
    b"99999999999999999999",
]


@pytest.mark.parametrize("name", sorted(GOOD))
class TestFuzz:
    @FUZZ
    @given(data=st.data())
    def test_changed_bytes_end_in_a_city_or_in_an_error_of_ours(self, tmp_path: Path, name: str, data: Any) -> None:
        content = bytearray(GOOD[name])
        for _ in range(data.draw(st.integers(1, 4))):
            start = data.draw(st.integers(0, len(content)))
            length = data.draw(st.integers(0, 12))
            content[start : start + length] = data.draw(st.one_of(st.binary(max_size=4), st.sampled_from(TOKENS)))
        _survives(tmp_path, bytes(content))

    @FUZZ
    @given(data=st.data())
    def test_a_cut_file_ends_in_a_city_or_in_an_error_of_ours(self, tmp_path: Path, name: str, data: Any) -> None:
        _survives(tmp_path, GOOD[name][: data.draw(st.integers(0, len(GOOD[name])))])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)


@FUZZ
@given(data=st.data())
def test_any_value_anywhere_in_a_document_ends_in_a_city_or_in_an_error_of_ours(tmp_path: Path, data: Any) -> None:
    document = json.loads(GOOD["CityJSON"])
    place: Any = document
    while True:
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.integers(0, 3)) == 0:
            break
        place = place[key]
    place[key] = data.draw(JSON)
    _survives(tmp_path, json.dumps(document).encode())
