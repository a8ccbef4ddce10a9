"""The facts that `mage info` prints about a city."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cityfiles import X, Y, box, cityjson, gabled
from shapely.geometry import LineString

from mage.scenes.city import City, RoadEdge, RoadGraph, Trees
from mage.scenes.sources import read_city
from mage.scenes.sources.buildings.attributes import occupancy_of, storeys_of, year_of
from mage.scenes.sources.describe import describe_city


@pytest.fixture
def city(tmp_path: Path) -> City:
    houses = {"a": box(X, Y, 8, 6, 0, 5), "b": gabled(X + 40, Y + 20, 12, 8, 0, 3, 7)}
    path = tmp_path / "Old Town_1.city.json"
    path.write_text(json.dumps(cityjson(houses, attributes={"yearOfConstruction": 1900})))
    return read_city(path)


def test_the_facts_of_two_houses_are_exact(city: City) -> None:
    facts = describe_city(city)
    assert facts["kind"] == "city"
    assert (facts["name"], facts["format"], facts["crs"]) == ("old-town-1", "CityJSON 2.0", "EPSG:28992")
    assert facts["extent_m"] == [X, Y, X + 52, Y + 28]
    assert facts["counts"]["buildings"] == 2
    assert facts["triangles"] == {"ground": 2 + 2, "wall": 8 + 10, "roof": 2 + 4}
    assert sum(facts["surfaces"].values()) == 6 + 7
    assert facts["attributes"] == {"yearOfConstruction": 2}
    assert (facts["lods"], facts["roofs"]) == ({"2": 2}, {"flat": 1, "pitched": 1})
    assert facts["height_m"] == {"min": 5, "median": 6, "max": 7}
    assert facts["footprint_m2"] == 48 + 96
    assert facts["known"] == {"height": 2, "storeys": 0, "year": 2, "occupancy": 0, "colour": 0}
    assert facts["inferred"] == {"occupancy": 2}
    assert facts["crs_name"] == "Amersfoort / RD New"
    assert facts["middle_deg"] == pytest.approx([4.4, 51.9], abs=0.5)
    assert facts["sources"][0]["name"] == "Old Town_1.city.json"


def test_roads_and_trees_of_a_completed_city_are_counted(city: City) -> None:
    road = RoadEdge(0, 1, LineString([(0, 0), (300, 400)]), 6)
    roads = RoadGraph(np.zeros((2, 2)), (road,))
    trees = Trees(np.zeros((3, 2)), np.ones(3), np.ones(3), np.zeros(3, np.uint8))
    facts = describe_city(city.with_parts(roads=roads, trees=trees, inferred=("roads", "trees")))
    assert (facts["counts"]["road_edges"], facts["counts"]["road_km"], facts["counts"]["trees"]) == (1, 0.5, 3)
    assert facts["roads_km"] == {"residential": 0.5}
    assert facts["inferred"] == {"roads": "all", "trees": "all", "occupancy": 2}


def test_the_facts_go_into_json_as_they_are(city: City) -> None:
    facts = describe_city(city)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts


def test_a_city_of_nothing_has_facts_too() -> None:
    facts = describe_city(City("void", None, (0.0, 0.0), 52.0, 5.0, (0.0, 0.0, 1.0, 1.0)))
    assert (facts["height_m"], facts["format"], facts["counts"]["buildings"]) == (None, None, 0)


@pytest.mark.parametrize(
    ("value", "year"),
    [("1931", 1931), (1931, 1931), ("1931-05-01", 1931), ("1931Z", 1931), ("31", None), ("19315", None), (None, None)],
)
def test_a_year_is_read_from_numbers_and_dates_only(value: object, year: int | None) -> None:
    assert year_of([{"yearOfConstruction": value}]) == year


def test_storeys_are_those_of_the_part_that_has_most() -> None:
    assert storeys_of([{}, {"storeysAboveGround": "2"}, {"storeysAboveGround": 5.0}]) == 5
    assert storeys_of([{"storeysAboveGround": value} for value in ("many", 0, 2.5, 9999)]) is None


@pytest.mark.parametrize(
    ("code", "occupancy"),
    [
        ("31001_1010", "residential"),
        ("31001_2020", "commercial"),
        ("31001_2111", "industrial"),
        ("1000", "residential"),
        ("402", "commercial"),
        ("441", "industrial"),
        ("Residential Building", "residential"),
        ("woonfunctie", "residential"),
        ("office", "commercial"),
        (["warehouse"], "industrial"),
        ("31001_9998", None),
        ("BB00", None),
        ({"a": 1}, None),
    ],
)
def test_the_use_of_a_building_is_told_only_by_codes_that_are_known(code: object, occupancy: str | None) -> None:
    assert occupancy_of([{}, {"function": code}]) == occupancy
