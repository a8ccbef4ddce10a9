"""Whatever CityJSON is made of, reading it and building its features ends in values or in one CityError."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cityobjects import Draft, read_text, rectangle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mage.scenes.errors import CityError
from mage.scenes.sources.features.things import Parts, city_parts
from mage.scenes.sources.raw import RawCity


def whole() -> dict[str, Any]:
    """A document with something of everything."""
    draft = Draft()
    lane, verge = {"type": "TrafficArea", "function": "1"}, {"type": "AuxiliaryTrafficArea", "parent": 0}
    faces = rectangle(0, 0, 40, 6), rectangle(0, 6, 40, 2)
    number = draft.template(draft.surfaces([(0, 0, 0), (1, 0, 0), (0, 1, 8)], lod="3"))
    draft.template(draft.instance(number, (0, 0, 0)))
    draft.add("b", "Building", draft.surfaces(rectangle(0, 20, 9, 9), lod="0"), children=["p", "i"])
    draft.add("p", "BuildingPart", draft.surfaces(rectangle(0, 20, 9, 9, 5), kind="Solid"), parents=["b"])
    draft.add("i", "BuildingInstallation", draft.instance(1, (3, 3, 3)), parents=["b"])
    draft.add("r", "Road", draft.surfaces(*faces, meaning=[lane, verge]), attributes={"function": ["1"], "width": 6})
    lines = [draft.at((0, 50, 0), (20, 50, 0)), draft.at((20, 50, 0), (20, 70, 1))]
    draft.add("x", "Road", {"type": "MultiLineString", "lod": "0", "boundaries": lines}, attributes={"width": "5"})
    draft.add("w", "WaterBody", draft.surfaces(rectangle(0, 90, 40, 9, -1)), attributes={"class": "lake"})
    draft.add("l", "LandUse", draft.surfaces(rectangle(0, 100, 40, 9)), attributes={"class": "1110"})
    draft.add("c", "PlantCover", draft.surfaces(rectangle(0, 110, 40, 9)), attributes={"averageHeight": 7})
    spot = {"type": "MultiPoint", "lod": "1", "boundaries": draft.at((5, 5, 0))}
    draft.add("t", "SolitaryVegetationObject", spot, attributes={"height": 9.5, "crownDiameter": 4})
    draft.add("d", "TINRelief", draft.surfaces(rectangle(0, 0, 9, 9), kind="CompositeSurface"))
    draft.add("h", "Bridge", children=["hp"]).add("hp", "BridgePart", draft.surfaces(rectangle(0, 0, 9, 9, 3)))
    return draft.add("g", "CityObjectGroup", children=["b"]).document


def outcome(text: str | bytes) -> Parts | None:
    """The parts of what the reader makes of a text, or None for a CityError; nothing else may happen."""
    try:
        city = read_text(text)
    except CityError:
        return None
    assert isinstance(city, RawCity)
    return city_parts(city.features, np.asarray, (0.0, 0.0), Counter())


def test_the_whole_document_is_sound() -> None:
    parts = outcome(json.dumps(whole()))
    assert parts is not None
    assert len(parts.roads.edges) == 3
    assert [w.kind for w in parts.water] == ["lake"]
    assert [p.cover for p in parts.land] == ["grass", "forest", "paved", "asphalt"]
    assert (len(parts.trees), [s.kind for s in parts.structures]) == (1, ["bridge"])
    assert parts.relief is not None


def _set(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


_ROAD = ("CityObjects", "r", "geometry", 0)
REFUSED = {
    "an index that is too large": _set(*_ROAD, "boundaries", value=[[[0, 1, 10**6]]]),
    "an index that no integer holds": _set(*_ROAD, "boundaries", value=[[[0, 1, 10**30]]]),
    "an index below zero": _set(*_ROAD, "boundaries", value=[[[0, 1, -2]]]),
    "words for rings": _set(*_ROAD, "boundaries", value=[["012"]]),
    "objects for rings": _set(*_ROAD, "boundaries", value=[[{"0": 1}]]),
    "one level too many": _set(*_ROAD, "boundaries", value=[[[[0, 1, 2]]]]),
    "one level too few": _set(*_ROAD, "boundaries", value=[[0, 1, 2]]),
    "lines of words": _set("CityObjects", "x", "geometry", 0, "boundaries", value=[["a", "b"]]),
    "lines of no lists": _set("CityObjects", "x", "geometry", 0, "boundaries", value=[1, 2]),
    "points in lists": _set("CityObjects", "t", "geometry", 0, "boundaries", value=[[1], [2]]),
    "templates that are an object": _set("geometry-templates", "templates", value={"0": 1}),
    "template vertices of two numbers": _set("geometry-templates", "vertices-templates", value=[[1, 2]]),
    "a template that is a number": _set("geometry-templates", "templates", 1, value=3),
    "parents that are a word": _set("CityObjects", "p", "parents", value="b"),
    "semantics in a list": _set(*_ROAD, "semantics", "surfaces", value=["TrafficArea"]),
    "a geometry that is a number": _set("CityObjects", "r", "geometry", value=[5]),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_broken_layout_is_refused_with_a_reason(name: str) -> None:
    document = whole()
    REFUSED[name](document)
    with pytest.raises(CityError, match=r"not laid out|not there"):
        read_text(json.dumps(document))


@pytest.mark.parametrize("text", ["[" * 10_000, '{"a":' * 10_000, '{"type": "CityJSON", "x": ' + "[" * 10_000])
def test_nesting_ten_thousand_deep_is_refused(text: str) -> None:
    with pytest.raises(CityError, match="nested too deeply"):
        read_text(text)


def test_nesting_that_json_still_reads_is_no_trouble_further_on() -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    document = whole()
    document["CityObjects"]["r"]["attributes"] = {"class": deep, "function": {"a": deep}, "width": deep}
    document["CityObjects"]["r"]["geometry"][0]["semantics"]["surfaces"][0] |= {"class": deep, "x": {"y": deep}}
    assert outcome(json.dumps(document)) is not None
    for path in (("boundaries",), ("semantics",), ("lod",), ("type",)):
        _set(*_ROAD, *path, value=deep)(document)
        outcome(json.dumps(document))


def test_a_list_of_a_million_indices_is_read_in_seconds() -> None:
    document = whole()
    document["CityObjects"]["r"]["geometry"][0] = {"type": "MultiSurface", "boundaries": [[[0, 1, 2] * 333_333]]}
    started = time.perf_counter()
    city = read_text(json.dumps(document))
    notes: Counter[str] = Counter()
    city_parts(city.features, np.asarray, (0.0, 0.0), notes)
    assert time.perf_counter() - started < 10
    assert notes["Road without an area left out"] == 1


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.999])
def test_a_cut_document_is_refused(share: float) -> None:
    text = json.dumps(whole())
    with pytest.raises(CityError, match="broken JSON"):
        read_text(text[: int(share * len(text))])


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1e999", "1e300", "null"])
def test_coordinates_that_are_nowhere_lose_only_what_stands_there(value: str) -> None:
    document = whole()
    document["vertices"] = [["@", 0, 0] for _ in document["vertices"]]
    text = json.dumps(document).replace('"@"', value)
    parts = outcome(text)
    assert parts is not None
    assert (parts.roads.edges, parts.water, parts.land, len(parts.trees), parts.relief) == ((), (), (), 0, None)


FUZZ = settings(max_examples=150, database=None, suppress_health_check=[HealthCheck.too_slow])
_ODD = st.sampled_from([None, True, -1, 0, 1, 2, 3, 5, 10**9, 10**30, 0.5, float("nan"), 1e308, "", "1", "Road", "b"])
_JSON = st.recursive(
    _ODD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["type", "lod", "b", ""]), inner),
    max_leaves=8,
)


@FUZZ
@given(data=st.data())
def test_any_values_anywhere_end_in_values_or_in_an_error_of_ours(data: Any) -> None:
    document = whole()
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = document
        while True:
            keys = sorted(place) if isinstance(place, dict) else range(len(place))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.integers(0, 4)) == 0:
                break
            place = place[key]
        place[key] = data.draw(_JSON)
        if not isinstance(document.get("CityObjects"), dict):
            break
    outcome(json.dumps(document))


@FUZZ
@given(data=st.data())
def test_any_geometry_in_place_of_another_ends_in_values_or_in_an_error_of_ours(data: Any) -> None:
    document = whole()
    objects = [item for item in document["CityObjects"].values() if item.get("geometry")]
    pieces = [geometry for item in objects for geometry in item["geometry"]]
    kinds = sorted({geometry["type"] for geometry in pieces} | {"MultiSolid", "CompositeSolid", "Point"})
    for _ in range(4):
        target, source = data.draw(st.sampled_from(objects)), data.draw(st.sampled_from(pieces))
        target["geometry"] = [source | {"type": data.draw(st.sampled_from(kinds)), "template": data.draw(_ODD)}]
        target["type"] = data.draw(st.sampled_from(sorted(item["type"] for item in objects)))
        target["children"] = data.draw(st.lists(st.sampled_from([*document["CityObjects"], "gone"]), max_size=3))
    document["vertices"] = data.draw(st.permutations(document["vertices"][:12])) + document["vertices"][12:]
    outcome(json.dumps(document))


@FUZZ
@given(data=st.data())
def test_changed_bytes_of_a_sequence_end_in_values_or_in_an_error_of_ours(data: Any) -> None:
    document = whole()
    header = document | {"CityObjects": {}, "vertices": []}
    feature = {"type": "CityJSONFeature", "CityObjects": document["CityObjects"], "vertices": document["vertices"]}
    content = bytearray(f"{json.dumps(header)}\n{json.dumps(feature)}\n".encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start, length = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 9))
        content[start : start + length] = data.draw(st.binary(max_size=4) | st.sampled_from([b"[", b"]", b"1", b"\n"]))
    outcome(bytes(content))
