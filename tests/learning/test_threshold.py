"""Where buildings are parted from ground in a place without labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.learning import classify, place_separability, place_threshold


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def place(ground, roofs, share, rng, count=20_000, spread=0.5):
    """Probabilities of pixels whose logits lie around two values, and which of them are roofs."""
    built = rng.random(count) < share
    return sigmoid(rng.normal(np.where(built, roofs, ground), spread)), built


@pytest.mark.parametrize("share", [0.08, 0.14, 0.3, 0.5])
def test_roofs_that_fall_below_a_half_are_found_without_a_label(share):
    likely, built = place(-3.5, -0.5, share, np.random.default_rng(0))
    threshold = place_threshold([likely])
    assert (likely[built] >= 0.5).mean() < 0.3
    assert (likely[built] >= threshold).mean() > 0.97
    assert (likely[~built] >= threshold).mean() < 0.02


def test_two_groups_of_one_spread_and_size_are_parted_in_the_middle():
    likely, _ = place(-3.0, 0.0, 0.5, np.random.default_rng(1), count=200_000)
    assert np.log(place_threshold([likely]) / (1 - place_threshold([likely]))) == pytest.approx(-1.5, abs=0.05)


def test_a_place_without_a_building_stays_without_one():
    likely, _ = place(-5.0, -3.5, 0.4, np.random.default_rng(2))  # meadows and sand, say
    assert place_threshold([likely]) == 0.5


def test_a_place_that_is_roofs_throughout_keeps_the_threshold_of_any_place():
    likely, _ = place(2.0, 4.0, 0.5, np.random.default_rng(3))
    assert place_threshold([likely]) == 0.5


@given(st.integers(1, 40), st.integers(0, 2**31))
def test_windows_tell_what_the_whole_place_tells_in_any_order(parts, seed):
    rng = np.random.default_rng(seed)
    likely, _ = place(-3.5, -0.5, 0.2, rng, count=4_000)
    windows = np.array_split(rng.permutation(likely), parts)
    assert place_threshold(windows) == place_threshold([likely.reshape(40, 100).astype(np.float64)])


@pytest.mark.parametrize("nothing", [[], [np.full(9, np.nan)], [np.full(9, 0.3)], [np.array([])]])
def test_where_nothing_is_told_apart_it_is_a_half(nothing):
    assert place_threshold(nothing) == 0.5


def test_what_is_not_known_does_not_count():
    likely, _ = place(-3.5, -0.5, 0.2, np.random.default_rng(4))
    assert place_threshold([likely, np.full(50_000, np.nan)]) == place_threshold([likely])


def test_classes_follow_it():
    likely = np.zeros((3, 1, 4), np.float32)
    likely[0] = 1 - np.array([0.02, 0.3, 0.35, 0.9])
    likely[2] = 1 - likely[0]
    assert classify(likely).tolist() == [[0, 0, 0, 2]]
    assert classify(likely, place_threshold([1 - likely[0]])).tolist() == [[0, 2, 2, 2]]


def test_groups_that_lie_further_apart_are_told_apart_better_whatever_their_spread():
    rng = np.random.default_rng(5)
    found = [place_separability([place(-3.5, roofs, 0.2, rng, spread=0.5)[0]]) for roofs in (-3.5, -2.5, -1.5, -0.5, 1)]
    assert found == sorted(found)
    assert found[0] == pytest.approx(2 / np.pi, abs=0.02)  # of one bell curve, cut in its middle
    assert found[-1] > 0.9


def test_without_two_kinds_of_pixels_nothing_is_told_apart():
    assert (
        place_separability([]) == place_separability([np.full(5, 0.2)]) == place_separability([np.array([np.nan])]) == 0
    )


@given(st.floats(0.5, 4.0))
def test_a_temperature_moves_no_pixel_from_one_group_to_the_other(temperature):
    likely, built = place(-3.5, -0.5, 0.2, np.random.default_rng(6), spread=0.4)
    cooler = sigmoid(np.log(likely / (1 - likely)) / temperature)
    threshold = place_threshold([cooler])
    assert (cooler[built] >= threshold).mean() > 0.99
    assert (cooler[~built] >= threshold).mean() < 0.01
