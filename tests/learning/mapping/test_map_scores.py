"""The scores of whole maps: what is right, half right and wrong counts as such."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from found import found

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))
from mapped.cases import Case, Roads, outlined
from mapped.scores import agreement, closures, detection, worst_places

from mage.learning.mapping.findings import Kind
from mage.scenes.grid import Grid


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return found(tmp_path_factory.mktemp("place"))


def case_of(place, **other):
    """What is known of the place, if every building is of its likeliest grade."""
    grade = np.nan_to_num(place.buildings.grades).argmax(axis=1)
    given = {"outline": place.buildings.outline, "grade": grade} | other
    nowhere = Path("nowhere")
    return Case("a", Kind.FLOOD, nowhere, nowhere, None, given["outline"], given["grade"], 4, "people", {})


def test_a_map_that_is_the_truth_is_right_in_everything(place):
    seen = detection(place.buildings, case_of(place))
    assert seen["iou"] == seen["centre"] == {"precision": 1, "recall": 1, "f1": 1}
    graded = agreement(place.buildings, case_of(place))
    assert graded["graded"] == 11, "one lies under a cloud"
    assert graded["kappa"] == 1
    assert np.trace(np.array(graded["confusion"])[:, 1:]) == 11


def test_buildings_moved_by_half_their_side_are_found_by_their_middle_alone(place):
    away = shapely.transform(place.buildings.outline, lambda xy: xy + np.array([3.0, 0.0]))
    seen = detection(place.buildings, case_of(place, outline=away))
    assert seen["iou"]["f1"] == 0
    assert seen["centre"]["f1"] == 1


def test_half_of_the_buildings_drawn_are_half_of_the_recall(place):
    few = replace(
        place.buildings,
        **{
            name: getattr(place.buildings, name)[:6]
            for name in ("identity", "outline", "kind", "name", "located", "grades", "entropy")
        },
        **{name: getattr(place.buildings, name)[:6] for name in ("valid", "verdict", "method")},
    )
    seen = detection(few, case_of(place))["iou"]
    assert (seen["precision"], seen["recall"]) == (1, 0.5)


def test_grades_turned_round_agree_less_than_by_chance(place):
    turned = case_of(place)
    graded = agreement(place.buildings, replace(turned, grade=3 - turned.grade))
    assert graded["kappa"] < 0


def test_the_more_damage_a_cell_holds_the_higher_it_ranks(place):
    even = Grid(20, 20, 0, 1000, 50.0).points()
    outline = shapely.buffer(shapely.points(even), 5.0)
    struck = np.arange(400) % 20 >= 12  # in the east
    grades = np.where(struck[:, None], [0.1, 0.1, 0.1, 0.7], [0.9, 0.05, 0.03, 0.02])
    words, ones = np.full(400, "x"), np.ones(400)
    buildings = replace(
        place.buildings, identity=words, outline=outline, kind=words, name=words, located=ones, grades=grades,
        entropy=ones, valid=ones, verdict=words, method=words, hot=None,
    )  # fmt: skip
    ranked = worst_places(buildings, case_of(place, outline=outline, grade=np.where(struck, 3, 0)))
    assert ranked["cells"] == 400
    assert ranked["rank_correlation"] == pytest.approx(1)
    assert ranked["hot"]["truth"] > 0
    assert ranked["hot"]["map"] == 0


def test_streets_are_scored_where_they_run(place):
    lines = np.array(place.access.roads.lines, dtype=object)
    shut = place.access.car >= 0.5
    told = closures(place.access, Roads(lines, shut), place.grid)
    assert told["f1"] == 1
    assert closures(place.access, Roads(lines, ~shut), place.grid)["f1"] == 0
    assert closures(None, None, place.grid) == {}


def test_patches_of_a_mask_are_buildings_of_its_grade_and_specks_are_none():
    mask = np.zeros((20, 20), np.uint8)
    mask[2:8, 2:8], mask[2:8, 8:12], mask[15, 15] = 1, 4, 2
    outline, grade = outlined(mask, Grid(20, 20, 0, 10, 0.5))
    assert sorted(zip(grade.tolist(), shapely.area(outline).tolist(), strict=True)) == [(0, 9.0), (3, 6.0)]
