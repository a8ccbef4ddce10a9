"""What the sheet and the report draw alike: small images, states, doubts, directions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from found import found
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.learning.mapping.picture import ArrayPicture
from mage.learning.mapping.product import drawing
from mage.learning.mapping.product.drawing import (
    POSSIBLY_CLOSED,
    cautions,
    doubts,
    is_cell,
    likely_wrong,
    printable,
    ranked,
    road_states,
    small,
    true_north,
)
from mage.learning.mapping.product.names import CLOSED, NOT_ANALYSED, OPEN
from mage.scenes.grid import Grid


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    return found(tmp_path_factory.mktemp("found"))


def picture(image, valid=None):
    return ArrayPicture(image, Grid(*image.shape[1:], 100, 200, 0.5), valid)


def whole(picture):
    return slice(0, picture.grid.rows), slice(0, picture.grid.columns)


def test_a_small_image_holds_the_means_of_blocks_over_what_is_data():
    image = np.arange(32, dtype=np.uint8).reshape(1, 4, 8).repeat(3, 0) * 4
    valid = np.ones((4, 8), bool)
    valid[:2, :2] = [[True, False], [False, False]]
    valid[2:, 2:4] = False
    made = small(picture(image, valid), (slice(0, 4), slice(0, 8)), 4)
    assert made.image.shape == (2, 4, 3)
    assert made.image[0, 0].tolist() == [0, 0, 0]  # the one pixel that is data
    assert made.image[0, 1, 0] == np.rint(image[0, :2, 2:4].mean())
    assert made.valid.tolist() == [[True] * 4, [True, False, True, True]]
    assert (made.grid.west, made.grid.north, made.grid.gsd) == (100, 200, 1.0)


@settings(max_examples=15)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 17), st.sampled_from([3, 8, 2048]))
def test_it_does_not_matter_in_which_blocks_an_image_is_read(rows, columns, longest, block):
    image = np.random.default_rng(rows * 41 + columns).integers(0, 255, (3, rows, columns)).astype(np.uint8)
    usual = small(picture(image), whole(picture(image)), longest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "BLOCK", block)
        made = small(picture(image), whole(picture(image)), longest)
    assert max(made.image.shape[:2]) <= longest
    np.testing.assert_array_equal(made.image, usual.image)
    assert made.valid.all()


def test_an_image_that_is_small_enough_stays_as_it_is_and_one_band_is_grey():
    image = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    made = small(picture(image), (slice(1, 3), slice(0, 2)), 50)
    np.testing.assert_array_equal(made.image, np.repeat(image[0, 1:3, :2, None], 3, axis=-1))
    assert made.grid.north == 199.5


def test_true_north_lies_to_the_left_east_of_the_central_meridian():
    """By the angle of meridians to the grid, which is about the difference of longitudes times the latitude's sine."""
    grid = Grid(10, 10, 700_000, 5_300_000, 1, "EPSG:32633")
    longitude, latitude = drawing.degrees(grid.centre, "EPSG:32633")
    assert true_north(grid) == pytest.approx(-(longitude - 15) * np.sin(np.radians(latitude)), abs=0.06)
    assert true_north(Grid(10, 10, 0, 0, 1)) is None


def test_roads_are_shown_as_they_can_be_passed_and_doubts_about_open_ones_are_told(findings):
    access = replace(findings.access, car=np.array([0.0, 0.7, 0.3, np.nan]), truck=np.array([0.0, 0.65, 0.1, np.nan]))
    assert road_states(access).tolist() == [OPEN, CLOSED, POSSIBLY_CLOSED, NOT_ANALYSED]


def test_the_most_doubtful_building_comes_first_and_those_not_analysed_never(findings):
    order = doubts(findings.buildings)
    assert len(order) == 11
    assert 11 not in order
    assert (np.diff(findings.buildings.entropy[order]) <= 0).all()


def test_as_many_verdicts_are_likely_wrong_as_their_probabilities_fall_short_of_one(findings):
    buildings = findings.buildings
    verdict, p = buildings.verdict, buildings.grades
    expected = sum(
        {"Destroyed": 1 - q[3], "Damaged": q[0], "No visible damage": 1 - q[0]}.get(word, 0.0)
        for word, q in zip(verdict.tolist(), p.tolist(), strict=True)
    )
    assert likely_wrong(buildings) == pytest.approx(expected)
    assert expected > 0.5


def test_districts_are_ranked_apart_from_cells(findings):
    ranks = ranked(findings)
    assert [(number, area.name) for number, area in ranks[:2]] == [(1, "Östliche Vorstadt"), (2, "Westend")]
    assert all(is_cell(area) for _, area in ranks[2:])
    assert [number for number, _ in ranks[2:]] == list(range(1, len(ranks) - 1))


def test_cautions_speak_of_unlike_images_bad_registration_and_much_cloud(findings):
    assert list(cautions(findings)) == []
    doubtful = replace(
        findings,
        unlike=0.4,
        registration=replace(findings.registration, confidence=0.1),
        buildings=replace(findings.buildings, verdict=np.full(12, "Not Analysed")),
    )
    words = list(cautions(doubtful))
    assert len(words) == 3
    assert words[0].startswith("40 % of the image looks unlike")
    assert "displacement may be taken for damage" in words[1]


def test_a_pair_that_nothing_matches_and_a_model_that_warns_of_itself_are_told_first_of_all(findings):
    strangers = replace(findings, registration=replace(findings.registration, confidence=0.0))
    assert ["may not show the same place" in words for words in cautions(strangers)] == [True]
    warned = replace(findings, model={**findings.model, "warning": "Not for decisions."})
    assert list(cautions(warned)) == ["The model says of itself: Not for decisions."]


@settings(max_examples=30)
@given(st.text(max_size=30), st.integers(1, 40))
def test_printable_text_is_one_line_of_at_most_so_many_letters(text, longest):
    line = printable(text, longest)
    assert len(line) <= longest
    assert line.isprintable() or not line
