"""Values of tags are understood in their many spellings, and nothing else is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.scenes.sources.osm import tags as values


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        ("12", 12.0),
        ("12.5", 12.5),
        ("7,5", 7.5),
        ("12 m", 12.0),
        ("12m", 12.0),
        ("~ 12", 12.0),
        ("40'", 12.192),
        ("12'6\"", 3.81),
        ("12 ft", 3.6576),
        ('6"', 0.1524),
        ("150 cm", 1.5),
        ("1 km", 1000.0),
        (".5", 0.5),
    ],
)
def test_a_length_has_many_spellings(text: str, metres: float) -> None:
    assert values.length(text) == pytest.approx(metres)


@pytest.mark.parametrize("text", ["", " ", "tall", "12-15", "-3", "nan", "inf", "1e3", "99999", "12 parsec", "'", None])
def test_what_is_no_length_is_none(text: str | None) -> None:
    assert values.length(text) is None


@given(st.text(max_size=60))
def test_any_text_is_a_sane_value_or_none(text: str) -> None:
    size, count, course = values.length(text), values.levels(text), values.direction(text)
    assert size is None or 0 <= size <= values.LONGEST
    assert count is None or 0 <= count <= values.MOST_LEVELS
    assert course is None or 0 <= course < 360
    whole = values.number(text)
    assert whole is None or math.isfinite(whole)
    assert -9 <= values.layer({"layer": text}) <= 9


@pytest.mark.parametrize(
    ("text", "degrees"), [("N", 0.0), ("NNE", 22.5), ("sw", 225.0), ("90", 90.0), ("-90", 270.0), ("west", 270.0)]
)
def test_a_direction_is_in_degrees_or_a_point_of_the_compass(text: str, degrees: float) -> None:
    assert values.direction(text) == degrees


def test_a_list_of_levels_stands_for_the_most() -> None:
    assert values.levels("3;4.5;2") == 4.5


@pytest.mark.parametrize(
    ("text", "year"),
    [("1987", 1987), ("1987-05-01", 1987), ("~1900", 1900), ("1890s", 1890), ("C19", 1850), ("late C18", 1750)],
)
def test_a_year_is_found_in_a_date(text: str, year: int) -> None:
    assert values.year({"start_date": text}) == year


def test_a_date_of_thousands_of_digits_is_no_year() -> None:
    assert values.year({"start_date": "1" * 9999}) is None


@pytest.mark.parametrize(
    ("tags", "use"),
    [
        ({"building": "apartments"}, "residential"),
        ({"building": "warehouse"}, "industrial"),
        ({"building": "yes", "shop": "bakery"}, "commercial"),
        ({"building": "yes", "amenity": "school"}, "commercial"),
        ({"building": "yes"}, None),
    ],
)
def test_the_use_of_a_building_is_told_by_its_tags(tags: dict[str, str], use: str | None) -> None:
    assert values.occupancy(tags) == use
