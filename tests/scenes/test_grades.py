"""Damage scales and their crosswalk."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.scenes.grades import (
    JDS_NAMES,
    Ems98,
    Jds,
    bright,
    cems,
    cems_of_road,
    cems_of_roof,
    hazus,
    jds_as_recorded,
    jds_of_flood,
    jds_of_structure,
)

ALL = np.arange(6, dtype=np.uint8)
SHARES = st.floats(0, 1)


def flood_grade(wet, roof=0.0):
    return int(jds_of_flood(np.array([wet]), np.array([roof]))[0])


@pytest.mark.parametrize(
    ("wet", "roof", "grade"),
    [
        (0.0, 0.0, Jds.NO_DAMAGE),
        (0.09, 0.0, Jds.NO_DAMAGE),
        (0.1, 0.0, Jds.MINOR),
        (0.74, 0.0, Jds.MINOR),
        (0.75, 0.0, Jds.MAJOR),
        (1.0, 0.49, Jds.MAJOR),
        (1.0, 0.5, Jds.DESTROYED),
    ],
)
def test_water_at_a_house_is_graded_by_how_much_of_it_stands_in_it(wet, roof, grade):
    assert flood_grade(wet, roof) == grade


@given(SHARES, SHARES, SHARES, SHARES)
def test_more_water_never_lowers_the_grade(wet, roof, more_wet, more_roof):
    assert flood_grade(max(wet, more_wet), max(roof, more_roof)) >= flood_grade(wet, roof)


def test_the_crosswalk_of_shaking_and_wind_is_the_documented_one():
    assert jds_of_structure(ALL).tolist() == [0, 0, 0, 1, 2, 3]
    assert bright(ALL).tolist() == [1, 1, 1, 2, 2, 3]
    assert cems(ALL) == ["No visible damage"] * 3 + ["Damaged"] * 2 + ["Destroyed"]
    assert hazus(ALL) == ["None", "Slight", "Moderate", "Extensive", "Complete", "Complete with collapse"]


def test_an_analyst_grades_roofs_then_water_at_the_walls_and_nothing_under_cloud():
    jds, clear = np.arange(4, dtype=np.uint8), np.zeros(4, bool)
    assert cems_of_roof(jds, np.zeros(4), clear) == ["No visible damage", "Damaged", "Damaged", "Destroyed"]
    assert cems_of_roof(jds, np.full(4, 0.1), clear) == ["Possibly damaged", "Damaged", "Damaged", "Destroyed"]
    assert cems_of_roof(jds, np.ones(4), ~clear) == ["Not Analysed"] * 4
    assert cems_of_roof(jds_of_structure(ALL), np.zeros(6), np.zeros(6, bool)) == cems(ALL)


def test_roads_are_damaged_by_debris_and_perhaps_by_water():
    found = [cems_of_road(reason) for reason in ("", "water", "debris", "water and debris")]
    assert found == ["No visible damage", "Possibly damaged", "Damaged", "Damaged"]


def test_records_without_water_are_graded_by_roofs_already_and_water_around_a_house_does_not_count():
    jds, visible = np.array([0, 1, 2, 2, 3], np.uint8), np.array([0, 0, 0, 4, 0], np.uint8)
    burn = np.array([0, 1, 0, 0, 0], np.uint8)
    assert jds_as_recorded(jds, visible, burn, False).tolist() == jds.tolist()
    assert jds_as_recorded(jds, visible, burn, True).tolist() == [0, 1, 0, 2, 3]


def test_every_scale_keeps_the_order_of_ems_98():
    for scale in (jds_of_structure, bright):
        assert (np.diff(scale(ALL).astype(int)) >= 0).all()


def test_grades_come_as_uint8_in_the_shape_that_they_went_in():
    several = np.array([[0, 5], [3, 4]], np.uint8)
    assert jds_of_structure(several).shape == bright(several).shape == (2, 2)
    assert (
        jds_of_structure(several).dtype
        == bright(several).dtype
        == jds_of_flood(np.zeros(2), np.zeros(2)).dtype
        == np.uint8
    )


def test_names_follow_the_values():
    assert [JDS_NAMES[j] for j in Jds] == ["no-damage", "minor-damage", "major-damage", "destroyed"]
    assert max(Ems98) == Ems98.DESTRUCTION == 5
