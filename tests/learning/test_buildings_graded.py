"""From pixels' probabilities to buildings', and when to say "possibly"."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.learning import cems_verdicts, grade_buildings, grade_entropy
from mage.scenes.errors import ModelError


@given(st.integers(0, 2**32))
@settings(max_examples=30)
def test_each_building_gets_the_mean_of_its_pixels(seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(5), (6, 6)).transpose(2, 0, 1)
    building = rng.integers(0, 4, (6, 6)) * 900
    found = grade_buildings(p, building)
    assert found.number.tolist() == sorted({*building.flat} - {0})
    for number, pixels, located, grades in zip(*found, strict=True):
        mean = p[:, building == number].mean(1)
        assert pixels == (building == number).sum()
        assert located == pytest.approx(1 - mean[0])
        assert grades == pytest.approx(mean[1:] / mean[1:].sum())


def test_pixels_that_nothing_is_known_of_are_left_out_and_a_building_unseen_may_be_of_any_grade():
    p = np.array([[[0.2, np.nan, 1.0]], [[0.8, 0.1, 0.0]], [[0.0, 0.9, 0.0]]])
    found = grade_buildings(p, np.array([[1, 1, 2]]))
    assert found.pixels.tolist() == [1, 1]
    assert found.grades.tolist() == [[1, 0], [0.5, 0.5]]


def test_no_building_gives_empty_arrays():
    found = grade_buildings(np.full((5, 2, 2), 0.2), np.zeros((2, 2), int))
    assert found.grades.shape == (0, 4)
    assert cems_verdicts(found.grades) == []
    assert grade_entropy(found.grades).shape == (0,)


def test_entropy_is_nothing_for_certainty_and_one_for_no_idea():
    assert grade_entropy(np.eye(3)).tolist() == [0, 0, 0]
    assert grade_entropy(np.full((2, 3), 1 / 3)) == pytest.approx(1)
    assert 0 < grade_entropy(np.array([0.9, 0.1, 0])) < grade_entropy(np.array([0.5, 0.5, 0])) < 1


@given(st.integers(0, 2**32), st.floats(0.51, 1))
@settings(max_examples=50)
def test_a_verdict_is_given_only_where_it_is_as_likely_as_was_asked_for(seed, confidence):
    p = np.random.default_rng(seed).dirichlet(np.full(4, 0.4), 20)
    for row, verdict in zip(p, cems_verdicts(p, confidence), strict=True):
        likely = {"Destroyed": row[3], "Damaged": 1 - row[0], "No visible damage": row[0]}
        if verdict == "Possibly damaged":
            assert max(likely.values()) < confidence
        else:
            assert likely[verdict] >= confidence - 1e-6


@pytest.mark.parametrize("confidence", [0.5, 0, 1.1, np.nan])
def test_a_confidence_at_which_two_verdicts_could_hold_is_refused(confidence):
    with pytest.raises(ModelError, match="confidence"):
        cems_verdicts(np.eye(4), confidence)


def test_maps_of_other_shapes_are_refused():
    with pytest.raises(ModelError, match="shape"):
        grade_buildings(np.zeros((5, 2, 2)), np.zeros((2, 3), int))
    with pytest.raises(ModelError, match="grades"):
        cems_verdicts(np.zeros(4))
