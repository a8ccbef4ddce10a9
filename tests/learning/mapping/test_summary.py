"""The figures of a product: what is affected beside what there is, against counts by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from found import SOUTH, WEST, at, found, nothing_found

from mage.learning.mapping.areas import count_bounds
from mage.learning.mapping.findings import Extent, Facilities, Observed, Product
from mage.learning.mapping.summary import Summary, passability, summary, touched, verdict_at


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return found(tmp_path_factory.mktemp("found"))


def figures(table: Summary) -> dict[tuple[str, str], tuple[float, float | None]]:
    return {(row.group, row.item): (row.affected, row.total) for row in table.rows}


def test_everything_is_counted_once_beside_its_total(full):
    table = figures(summary(full))
    assert table["Built-up", "Destroyed"] == (3, 12)
    assert table["Built-up", "Damaged"] == (2, 12)
    assert table["Built-up", "Possibly damaged"] == (2, 12)
    assert table["Built-up", "No visible damage"] == (4, 12)
    assert table["Built-up", "Not Analysed"] == (1, 12)
    assert table["Built-up", "Affected"] == (7, 12)
    assert table["Built-up", "In flood or fire"] == (2, 12)
    assert table["Built-up", "Residential Buildings"] == (5, 9)
    assert table["Built-up", "Non-residential Buildings"] == (1, 2)
    assert table["Built-up", "Buildings of unknown use"] == (1, 1)
    assert table["Population", "Inhabitants"] == (21.5, 48)
    assert table["Access", "Isolated buildings"] == (3, 12)
    assert table["Observed event", "Flooded area"] == pytest.approx((0.042, 0.3072))
    assert table["Observed event", "Burnt area"] == (0, pytest.approx(0.3072))


def test_kilometres_are_of_the_roads_within_the_area(full):
    table = figures(summary(full))
    # 8 m of the western street lie beyond it; rubble closes 18 m, water 24 m, 24 m are not known
    for vehicle in ("car", "truck"):
        assert table["Transportation", f"Closed for a {vehicle}"] == pytest.approx((0.042, 0.112))
    assert table["Transportation", "Not analysed"] == pytest.approx((0.024, 0.112))


def test_bounds_are_those_of_the_probabilities_and_only_where_there_are_some(full):
    table = summary(full)
    known = full.buildings.grades[:11]
    for item, p in {
        "Destroyed": known[:, 3],
        "Damaged": known[:, 1] + known[:, 2],
        "No visible damage": known[:, 0],
        "Affected": 1 - known[:, 0],
    }.items():
        row = table.row("Built-up", item)
        assert (row.low, row.high) == count_bounds(p)
        assert row.expected == pytest.approx(p.sum())
    for item in ("Possibly damaged", "Not Analysed", "In flood or fire"):
        assert table.row("Built-up", item).low is None
    assert table.row("Built-up", "Ruined") is None


def test_a_first_estimate_counts_no_assets_and_a_delineation_no_grades(full):
    event = full.event
    first = summary(replace(full, event=replace(event, product=Product.FIRST_ESTIMATE)))
    assert {row.group for row in first.rows} == {"Observed event", "Population"}
    second = figures(summary(replace(full, event=replace(event, product=Product.DELINEATION))))
    assert ("Built-up", "Destroyed") not in second
    assert second["Built-up", "Non-residential Buildings"] == (1, 2)  # the sawmill stands in the water


def test_nothing_is_a_table_of_noughts_for_what_was_looked_for(tmp_path):
    table = figures(summary(nothing_found(tmp_path)))
    assert table["Observed event", "Flooded area"] == (0, pytest.approx(0.3072))
    assert {value for (group, _), value in table.items() if group == "Built-up"} == {(0, 0)}
    assert {group for group, _ in table} == {"Observed event", "Built-up"}


def test_overlapping_extents_count_their_ground_once_and_only_within_the_area(full):
    twice = np.array([at(shapely.box(0, 0, 32, 48)), at(shapely.box(0, 0, 40, 480))], dtype=object)
    extent = Extent("burn", twice, np.ones(2), np.array(["Urban fires"] * 2))
    table = figures(summary(replace(full, observed=Observed((extent,)))))
    assert table["Observed event", "Burnt area"][0] == pytest.approx(40 * 48 / 10_000)


def test_facilities_are_affected_by_water_or_by_the_grade_of_their_building(full):
    places = Facilities(
        np.array([(2.0, 27.0), (41.0, 42.0), (40.0, 5.0), (900.0, 0.0)]) + (WEST, SOUTH),  # noqa: RUF005 - a sum
        np.array(["fire_station", "hospital", "", "hospital"]),
        np.array(["", "", "", ""]),
    )
    table = figures(summary(replace(full, access=replace(full.access, facilities=places))))
    assert table["Facilities", "All"] == (2, 3)
    assert table["Facilities", "hospital"] == (1, 1)  # in a destroyed building; the other lies off the area
    assert table["Facilities", "Unknown"] == (1, 1)  # in the water
    assert table["Facilities", "fire_station"] == (0, 1)


def test_debris_does_not_touch_but_flood_and_fire_do(full):
    houses = full.buildings.outline
    on_one = Extent("debris", houses[:1], np.ones(1), np.array(["Debris"]))
    assert not touched(Observed((on_one,)), houses).any()
    assert touched(Observed((replace(on_one, what="burn"),)), houses).tolist() == [True, *[False] * 11]
    assert touched(Observed((replace(on_one, what="burn"),)), houses[:0]).tolist() == []


def test_an_edge_that_one_vehicle_passes_is_named_by_it(full):
    car, truck = np.array([0.1, 0.6, 0.1, 0.6, np.nan]), np.array([0.1, 0.1, 0.6, 0.6, 0.1])
    found = passability(replace(full.access, car=car, truck=truck))
    assert found.tolist() == ["Open", "Truck only", "Car only", "Closed", "Not Analysed"]


def test_places_without_a_building_have_no_grade(full):
    points = shapely.points([(WEST + 41, SOUTH + 42), (WEST + 1, SOUTH + 1)])
    assert verdict_at(full.buildings, points).tolist() == ["Destroyed", "Not Analysed"]
