"""Baselines: closed forms on samples that are drawn for it, and a publisher's own results held to a shape."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fake_dataset import fake_sample
from fake_release import publication, write_campaign

from mage.generator.release.baselines import (
    FIGURES,
    baseline_table,
    by_difference,
    difference,
    measure,
    read_results,
    thresholds,
)
from mage.generator.release.publish import release
from mage.scenes.dataset.schema import Sample
from mage.scenes.errors import DatasetError

PLACES = {"train": [("train-000000.tar", f"northtown-flood-{i:06d}") for i in range(2)]}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    root = tmp_path_factory.mktemp("baselines")
    write_campaign(root)
    _, results = measure(root, PLACES)
    return {result.method: result.figures for result in results}


def test_nothing_scores_nothing_and_all_undamaged_its_outlines(measured):
    assert measured["nothing"]["xview2"] == pytest.approx(0, abs=1e-5)
    assert measured["all undamaged"]["localisation_f1"] == 1.0
    assert measured["all undamaged"]["xview2"] == pytest.approx(0.3, abs=1e-4)
    assert measured["all undamaged"]["building_kappa"] == pytest.approx(0, abs=1e-9)


def test_colour_tells_more_than_nothing_where_roofs_show_their_grade(measured):
    assert measured["colour difference"]["building_kappa"] > 0.5
    assert list(measured["colour difference"]) == list(FIGURES)


def test_thresholds_cut_ranks_so_that_each_grade_keeps_its_share():
    differences = np.arange(10.0)
    grades = np.array([1] * 5 + [2] * 3 + [3] * 1 + [4] * 1, np.uint8)
    limits = thresholds(differences, grades)
    assert np.bincount(np.searchsorted(limits, differences, side="right")).tolist() == [5, 3, 1, 1]


def test_a_grade_that_never_occurs_is_never_given():
    limits = thresholds(np.arange(4.0), np.array([1, 1, 3, 3], np.uint8))
    assert np.searchsorted(limits, np.arange(4.0), side="right").tolist() == [0, 0, 2, 2]
    assert thresholds(np.zeros(0), np.zeros(0, np.uint8)).tolist() == [np.inf] * 3


def test_equal_images_differ_nowhere_and_buildings_keep_their_outlines():
    sample = fake_sample(0)
    same = Sample(sample.record, dict.fromkeys(("pre", "post"), sample.images["pre"]), sample.labels)
    values = difference(same)
    assert np.nanmax(values) == 0
    assert np.isnan(values[0])
    found = by_difference(same, np.array([0.1, 0.2, 0.3]))
    assert np.array_equal(found > 0, sample.labels["post_damage"] > 0)
    assert found.max() == 1


def test_light_that_falls_by_half_is_no_difference():
    sample = fake_sample(0)
    dim = (sample.images["pre"].astype(float) * 0.5).astype(np.uint8)
    values = difference(Sample(sample.record, {"pre": sample.images["pre"], "post": dim}, sample.labels))
    assert np.nanmax(values) < 0.05


def test_own_results_stand_beside_the_measured_ones(tmp_path):
    write_campaign(tmp_path / "dataset", count=1)
    own = {"method": "Ours | <b>", "split": "train", "samples": 1, "figures": {"xview2": 0.5}, "note": "seed 3"}
    (tmp_path / "own.json").write_text(json.dumps({"results": [own | {"measured": True}]}))
    release(tmp_path / "dataset", tmp_path / "out", publication(), results=tmp_path / "own.json")
    stated = json.loads((tmp_path / "out/baselines.json").read_text())["results"]
    assert [r["measured"] for r in stated] == [True] * 6 + [False]
    line = (tmp_path / "out/baselines.md").read_text().split("Ours ")[1].splitlines()[0]
    assert "0.500" in line
    assert "seed 3" in line
    assert "<b>" not in line.replace("\\<", "")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"results": 3}',
        '{"results": [{"method": "x"}]}',
        '{"results": [{"method": "x", "split": "train", "samples": 1, "figures": {"xview2": 7}}]}',
        '{"results": [{"method": "x", "split": "train", "samples": 1, "figures": {"xview2": NaN}}]}',
        '{"results": [{"method": "x", "split": "nowhere", "samples": 1, "figures": {"xview2": 0.5}}]}',
        '{"results": [{"method": "x", "split": "train", "samples": 0, "figures": {"xview2": 0.5}}]}',
        "[" * 10_000,
    ],
)
def test_results_that_are_none_are_refused(tmp_path, content):
    (tmp_path / "own.json").write_text(content)
    with pytest.raises(DatasetError, match=r"not a file of results|a split that there is not"):
        read_results(tmp_path / "own.json", ["train"])


def test_a_table_of_one_method_is_a_table():
    assert "| method | split |" in baseline_table([], [])
