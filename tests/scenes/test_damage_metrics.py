"""The figures against a slow scorer written apart from them, pixel by pixel."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.scenes.errors import ModelError
from mage.scenes.metrics import BuildingMetrics, DamageMetrics, harmonic_mean


def slow_score(images):
    """xView2's score of (located, damage, target) triples, and the F1 of localisation and of the four grades."""
    tp, fn, fp = [0] * 5, [0] * 5, [0] * 5
    for located, damage, target in images:
        held = {int(t) for t in target.flat}
        for where, d, t in zip(located.flat, damage.flat, target.flat, strict=True):
            if t == 255:
                continue
            seen = int(d) if where else 0
            tp[0] += bool(where) and t > 0
            fn[0] += not where and t > 0
            fp[0] += bool(where) and t == 0
            for grade in (1, 2, 3, 4):
                if t == 0 or grade not in held:
                    continue
                tp[grade] += seen == grade and t == grade
                fn[grade] += seen != grade and t == grade
                fp[grade] += seen == grade and t != grade
    f1 = []
    for c in range(5):
        precision = tp[c] / (tp[c] + fp[c]) if tp[c] else 0
        recall = tp[c] / (tp[c] + fn[c]) if tp[c] else 0
        f1.append(2 * precision * recall / (precision + recall) if tp[c] else 0)
    harmonic = 4 / sum((x + 1e-6) ** -1 for x in f1[1:])
    return 0.3 * f1[0] + 0.7 * harmonic, f1


def counted(images, grades=4):
    metrics = DamageMetrics(grades)
    for located, damage, target in images:
        metrics.update(damage, target, located)
    return metrics


@st.composite
def submissions(draw):
    """One to three images of one size whose targets hold any subset of classes, ignored pixels among them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (draw(st.integers(1, 7)), draw(st.integers(1, 7)))
    images = []
    for _ in range(draw(st.integers(1, 3))):
        values = draw(st.lists(st.sampled_from([0, 1, 2, 3, 4, 255]), min_size=1, max_size=6))
        target = rng.choice(np.array(values, np.uint8), shape)
        damage = rng.integers(0, 5, shape).astype(np.uint8)
        damage = np.where((rng.random(shape) < draw(st.floats(0, 1))) & (target < 5), target, damage)
        images.append((rng.integers(0, 2, shape).astype(np.uint8), damage.astype(np.uint8), target))
    return images


@given(submissions())
@settings(max_examples=150)
def test_score_equals_that_of_the_slow_scorer(images):
    score, f1 = slow_score(images)
    metrics = counted(images)
    assert metrics.xview2() == pytest.approx(score, abs=1e-12)
    assert [metrics.localisation_f1(), *metrics.damage_f1()] == pytest.approx(f1, abs=1e-12)


@given(submissions())
@settings(max_examples=50)
def test_counts_made_apart_add_up(images):
    whole = counted(images)
    parts = sum((counted([image]) for image in images[1:]), counted(images[:1]))
    assert parts.summary() == whole.summary()


@given(submissions())
@settings(max_examples=50)
def test_summary_is_always_json_without_nan(images):
    json.dumps(counted(images).summary(), allow_nan=False)


def test_perfect_map_of_all_grades_scores_one_and_a_millionth():
    target = np.arange(5, dtype=np.uint8)[None].repeat(3, 0)
    metrics = counted([(target > 0, target, target)])
    assert metrics.xview2() == pytest.approx(0.3 + 0.7 * 1.000001, abs=1e-12)
    assert metrics.xview2_present() == metrics.xview2()
    assert metrics.macro_f1() == 1
    assert metrics.iou() == [1.0] * 5
    assert metrics.absent() == []


def test_perfect_map_without_one_grade_collapses_to_three_tenths():
    target = np.array([[0, 1, 2, 3, 3]], np.uint8)
    metrics = counted([(target > 0, target, target)])
    assert metrics.xview2() == pytest.approx(0.3 + 0.7 * 4e-6, abs=1e-7)
    assert metrics.xview2_present() == pytest.approx(1, abs=1e-5)
    assert metrics.macro_f1() == 1
    assert metrics.absent() == ["destroyed"]


def test_image_without_a_grade_does_not_count_its_false_positives():
    with_destroyed, without = np.array([[4, 4, 1]], np.uint8), np.array([[1, 1, 1]], np.uint8)
    alarmed = np.array([[4, 4, 1]], np.uint8)
    metrics = counted([(alarmed > 0, alarmed, with_destroyed), (alarmed > 0, alarmed, without)])
    assert metrics.damage_f1()[3] == 1  # the two false alarms of the second image are dropped
    assert metrics.macro_f1() == pytest.approx((2 * 2 / (2 * 2 + 2) + 2 * 2 / (2 * 2 + 2)) / 2)  # and counted here


def test_grade_where_no_building_is_located_does_not_count():
    target = np.array([[1, 2, 3, 4]], np.uint8)
    metrics = counted([(np.zeros_like(target), target, target)])
    assert metrics.xview2() == pytest.approx(0.7e-6, rel=1e-6)
    assert metrics.confusion[:, 1:].sum() == 0


def test_image_without_buildings_gives_zero_and_undefined_and_nothing_else():
    nothing = np.zeros((3, 3), np.uint8)
    figures = counted([(nothing, nothing, nothing)]).summary()
    assert figures["xview2"] == pytest.approx(0.7e-6, rel=1e-6)
    assert figures["xview2_present"] is figures["macro_f1"] is figures["building_iou"] is None
    assert figures["classes"]["background"]["iou"] == 1


def test_iou_precision_and_recall_are_over_all_pixels():
    predicted = np.array([[0, 1, 1, 2]], np.uint8)
    target = np.array([[1, 1, 0, 2]], np.uint8)
    metrics = counted([(predicted, predicted, target)])
    assert metrics.iou() == [0.0, pytest.approx(1 / 3), 1.0, None, None]
    assert metrics.precision() == [0.0, 0.5, 1.0, None, None]
    assert metrics.recall() == [0.0, 0.5, 1.0, None, None]
    assert metrics.building_iou() == 0.5


def test_counts_do_not_overflow_small_integers():
    target = np.full((300, 300), 4, np.uint8)
    metrics = counted([(target, target, target)])
    assert metrics.confusion[4, 4] == 90000


def test_other_numbers_of_grades_are_scored():
    target = np.array([[0, 1, 2, 3, 4, 5, 6]], np.uint8)
    assert counted([(target, target, target)], grades=6).macro_f1() == 1


@pytest.mark.parametrize("wrong", [np.zeros((2, 2), np.uint8), np.full((1, 3), 5, np.uint8)])
def test_wrong_shapes_and_values_are_refused(wrong):
    with pytest.raises(ModelError):
        DamageMetrics().update(wrong, np.ones((1, 3), np.uint8))


def test_counts_of_different_grades_do_not_add():
    with pytest.raises(ModelError):
        DamageMetrics(4) + DamageMetrics(3)


def test_harmonic_mean_is_that_of_the_challenge():
    assert harmonic_mean([0.5, 0.25]) == pytest.approx(2 / (1 / 0.500001 + 1 / 0.250001), abs=1e-15)


def slow_buildings(predicted, target, building):
    """Pairs of true grade and majority of predicted grades (0 where less than half was found), by loops."""
    pairs = []
    for number in sorted(set(building.flat) - {0}):
        inside = [(p, t) for p, t, b in zip(predicted.flat, target.flat, building.flat, strict=True) if b == number]
        truth = next(t for _, t in inside)
        votes = [sum(p == grade for p, _ in inside) for grade in range(5)]
        best = max(range(1, 5), key=lambda grade: (votes[grade], -grade))
        pairs.append((int(truth), best if sum(votes[1:]) * 2 >= len(inside) else 0))
    return pairs


@given(st.integers(0, 2**32))
@settings(max_examples=60)
def test_buildings_are_judged_by_the_majority_of_their_pixels(seed):
    rng = np.random.default_rng(seed)
    building = rng.integers(0, 6, (6, 6)) * 700
    grade = {number: rng.integers(1, 5) for number in range(0, 4200, 700)} | {0: 0}
    target = np.vectorize(grade.__getitem__)(building).astype(np.uint8)
    predicted = np.where(rng.random(target.shape) < 0.5, target, rng.integers(0, 5, target.shape)).astype(np.uint8)
    metrics = BuildingMetrics()
    metrics.update(predicted, target, building)
    expected = np.zeros((4, 5), np.int64)
    for truth, guess in slow_buildings(predicted, target, building):
        expected[truth - 1, guess] += 1
    assert (metrics.confusion == expected).all()


def test_kappa_is_one_for_agreement_zero_for_a_constant_and_less_for_far_errors():
    grades = np.array([[1, 2, 3, 4]], np.uint8)
    numbers = np.array([[1, 2, 3, 4]])

    def kappa(*guess):
        metrics = BuildingMetrics()
        metrics.update(np.array([guess], np.uint8), grades, numbers)
        return metrics.quadratic_kappa()

    assert kappa(1, 2, 3, 4) == 1
    assert kappa(2, 2, 2, 2) == pytest.approx(0)
    assert kappa(4, 2, 3, 1) < kappa(2, 1, 3, 4) < 1


def test_no_buildings_leave_building_figures_undefined():
    metrics = BuildingMetrics()
    metrics.update(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.int32))
    assert metrics.summary() == {"buildings": 0, "found": None, "macro_f1": None, "quadratic_kappa": None}
