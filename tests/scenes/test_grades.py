"""Damage scales and their crosswalk."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.scenes.grades import JDS_NAMES, Ems98, Jds, bright, cems, hazus, jds_of_flood, jds_of_structure

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
