"""What buildings are made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from struck_cities import box_city

from mage.scenes.hazards.fragility import CODES, curves, tables
from mage.scenes.hazards.structures import draw_structures, region_of, uniform_structures
from mage.scenes.style import bundled_styles

REGIONS = tables()["stock"]["regions"]


def drawn(city, seed=0):
    return draw_structures(city, np.random.default_rng(seed))


def names_of(structures):
    return [curves().names[row] for row in structures.rows]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize(("storeys", "height"), [(2, "low"), (5, "mid"), (12, "high")])
def test_types_are_as_frequent_as_the_region_says(region, storeys, height):
    style = next(name for name, where in tables()["stock"]["styles"].items() if where == region)
    found = drawn(box_city(3000, style=style, storeys=storeys))
    weights = REGIONS[region][height]
    for name, weight in weights.items():
        share = weight / sum(weights.values())
        bound = 4 * np.sqrt(share * (1 - share) / 3000) + 1e-9
        assert np.mean(found.types == name) == pytest.approx(share, abs=bound)
    assert set(found.types) <= set(weights)


@pytest.mark.parametrize(
    ("storeys", "expected"),
    [(1, {"URM.L", "C3.L", "W1"}), (3, {"URM.M", "C3.L", "W1"}), (5, {"C3.M", "C1.M", "C2.M"})],
)
def test_height_classes_are_those_of_hazus(storeys, expected):
    assert {name for name, _ in names_of(drawn(box_city(400, style="mediterranean", storeys=storeys)))} == expected


@pytest.mark.parametrize(("year", "code"), [(1960, "pre"), (1975, "low"), (1999, "moderate"), (2020, "high")])
def test_a_known_year_decides_the_code(year, code):
    found = drawn(box_city(50, style="mediterranean", storeys=9, year=year))
    expected = [row for row in names_of(found) if row[0].startswith(("C1", "C2"))]
    assert expected
    assert {age for _, age in expected} == {code}


def test_codes_are_drawn_where_the_year_is_unknown():
    found = names_of(drawn(box_city(4000, style="suburb", storeys=1)))
    ages = [age for name, age in found if name == "W1"]
    for code in CODES:
        assert ages.count(code) / len(ages) == pytest.approx(REGIONS["north-american"]["codes"][code], abs=0.03)


def test_storeys_are_told_from_the_eave_where_the_source_is_silent():
    assert set(drawn(box_city(3, storeys=None, eave=12.4)).storeys) == {4}
    assert set(drawn(box_city(3, storeys=None, eave=0.4)).storeys) == {1}


def test_halls_are_large_low_and_not_for_living():
    city = box_city(60, style="industrial", storeys=1, occupancy="industrial")
    wide = [replace(b, footprint=b.footprint.buffer(15)) for b in city.buildings]
    assert set(drawn(replace(city, buildings=tuple(wide))).types) == {"S1", "PC1", "URM"}
    assert "PC1" not in set(drawn(city).types)


@pytest.mark.parametrize("name", bundled_styles())
def test_every_bundled_style_has_a_region(name):
    city = box_city(1, name=name)
    assert region_of(city, city.buildings[0]) == tables()["stock"]["styles"][name]


@pytest.mark.parametrize(
    ("longitude", "latitude", "region"),
    [
        (24.9, 60.2, "european"),
        (7.4, 43.7, "mediterranean"),
        (36.2, 36.2, "mediterranean"),
        (-95, 30, "north-american"),
        (139.7, 35.7, "east-asian"),
        (32.6, 0.3, "informal"),
    ],
)
def test_a_city_without_a_style_is_built_as_its_part_of_the_world(longitude, latitude, region):
    city = replace(box_city(1, crs="EPSG:32633"), longitude=longitude, latitude=latitude)
    assert region_of(city, city.buildings[0]) == region


def test_a_flat_roof_is_known_or_seen_by_its_height():
    assert drawn(box_city(1, roof="flat", height=9)).flat[0]
    assert not drawn(box_city(1, roof="pitched")).flat[0]
    assert drawn(box_city(1, roof="unknown", height=6.2)).flat[0]
    assert not drawn(box_city(1, roof="unknown", height=8)).flat[0]


def test_one_structure_for_all_is_what_it_says():
    found = uniform_structures(box_city(5, storeys=7), "URM.L", "pre")
    assert set(found.types) == {"URM"}
    assert set(names_of(found)) == {("URM.L", "pre")}
    assert set(found.storeys) == {7}
