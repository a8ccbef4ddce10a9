"""What further heads say, scored in Python and by the commands."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from mage.learning import SegmentationNet, ShardDataset, SiameseDamageNet, evaluate
from mage.learning.commands import register
from mage.learning.names import Head
from mage.learning.scoring.heights import AFTER, CHANGE, HEIGHTS, height_counts, storeys
from mage.learning.scoring.tasks import NAMES
from mage.scenes.errors import DatasetError, ModelError

ALL = tuple(Head)
LABELS = tuple(name for head in ALL for name in head.wants)
SMALL = ("--size", 16, "--batch", 2, "--width", 2, "--device", "cpu", "--preview", 0)


def mage(*words):
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, [str(word) for word in words])


class Says(SiameseDamageNet):
    """A network whose further heads say what they are told, whatever they see."""

    def __init__(self, **told):
        super().__init__(2, heads=told)
        self.told = told

    def decode(self, features, size):
        return super().decode(features, size)._replace(**self.told)


def sample(drawn, **more):
    return ShardDataset(drawn, labels=LABELS)[0] | more


def test_a_head_that_is_right_everywhere_has_no_error_and_one_that_is_wrong_none_right(drawn):
    tile = sample(drawn)
    flood = (tile["post_flood"] > 0)[None, None] * 40.0 - 20
    metres = torch.stack([tile["pre_height"], tile["post_height"]])[None].float() / 100
    road = torch.nn.functional.one_hot((tile["post_road"] > 0) * (1 + tile["post_blocked"]).long(), 3)
    model = Says(flood=flood, height=metres.log1p(), road=road.permute(2, 0, 1)[None] * 40.0)
    for head in (Head.FLOOD, Head.ROAD):
        found = evaluate(model, [tile], head=head)
        assert found.figures["mean_iou"] == 1
        assert list(found.figures["classes"]) == list(NAMES[head])
        assert found.reliability["classes"].ece() < 1e-6
    right = evaluate(model, [tile], head="height").figures
    assert right["height_mae"] == pytest.approx(0, abs=1e-4)
    assert right["height_within"] == 1
    wrong = evaluate(Says(flood=-flood), [tile], head=Head.FLOOD)
    assert wrong.figures["iou"] == 0
    assert "IoU of flooded" in wrong.table()


def test_height_errors_are_those_of_their_definitions():
    rng = np.random.default_rng(0)
    found, truth = rng.uniform(0, 30, (2, 2, 9, 7))
    known, built = rng.random((2, 9, 7)) < 0.6
    sums = {"height": height_counts(found, truth, known, built)}
    off = (found - truth)[1][known]
    ratio = np.maximum(found[1] / truth[1], truth[1] / found[1])[known & (truth[1] >= 1)]
    expected = {
        "height_mae": np.abs(off).mean(),
        "height_rmse": np.sqrt((off**2).mean()),
        "height_bias": off.mean(),
        "height_mae_buildings": np.abs(found - truth)[1][known & built].mean(),
        "height_within": (ratio <= 1.25).mean(),
        "height_before_mae": np.abs(found - truth)[0][known].mean(),
        "change_mae": np.abs(np.diff(found, axis=0) - np.diff(truth, axis=0))[0][known].mean(),
    }
    for name, value in expected.items():
        assert HEIGHTS[name](sums) == pytest.approx(value), name
    assert sums["height"][AFTER, 0] == sums["height"][CHANGE, 0] == known.sum()
    assert np.isnan(HEIGHTS["height_mae"]({"height": np.zeros((3, 8))}))
    assert storeys(np.array([0.99, 1, 31.9, 32, 500])).tolist() == [0, 1, 4, 5, 5]


def test_missing_labels_of_a_head_do_not_count_and_pixels_outside_neither(drawn):
    tile = sample(drawn)
    tile["post_flood"][:10] = -1
    tile["mask"][-4:] = 255
    found = evaluate(SiameseDamageNet(2, heads=ALL), [tile], head="flood")
    assert found.figures["pixels"] == 50 * 64
    tile["pre_height"][:20] = -1
    heights = evaluate(SiameseDamageNet(2, heads=ALL), [tile], head="height")
    assert heights.tiles.counts["height"][0, AFTER, 0] == 40 * 64


def test_a_head_that_a_model_or_labels_that_samples_lack_are_named(drawn):
    with pytest.raises(ModelError, match="no head 'road'"):
        evaluate(SiameseDamageNet(2, heads=("flood",)), [sample(drawn)], head="road")
    with pytest.raises(ModelError, match="no head 'flood'"):
        evaluate(SegmentationNet(2, 2), [sample(drawn)], head="flood")
    with pytest.raises(DatasetError, match="post_flood"):
        evaluate(SiameseDamageNet(2, heads=("flood",)), ShardDataset(drawn), head="flood")


@pytest.fixture(scope="module")
def headed(drawn, tmp_path_factory):
    """A run with all heads, of the command."""
    out = tmp_path_factory.mktemp("headed") / "run"
    heads = [word for head in ALL for word in ("--head", head)]
    began = mage("train", "--data", drawn, "--out", out, "--steps", 2, *heads, *SMALL)
    assert began.exit_code == 0, began.output
    return out


@pytest.mark.parametrize("head", ALL)
def test_heads_are_trained_and_scored_by_command_as_json_table_and_plots(drawn, headed, tmp_path, head):
    out = tmp_path / "report"
    line = ("evaluate", headed, "--data", drawn, "--head", head, "--device", "cpu")
    shown = mage(*line, "--by", "event", "--out", out)
    assert shown.exit_code == 0, shown.output
    content = json.loads((out / "report.json").read_text())
    assert content["head"] == head
    assert content == json.loads(mage(*line, "--by", "event", "--json").stdout)
    names = {"flood": {"iou", "ece"}, "road": {"mean_iou"}, "height": {"height_rmse", "change_mae"}}[head]
    assert names <= content["intervals"].keys()
    assert content["intervals"][sorted(names)[0]]["low"] is not None
    assert "macro over groups" in shown.stdout
    with (out / "tiles.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 6
    drawings = {p.name for p in out.glob("*.png")}
    expected = {"confusion.png", "groups.png", "tiles.png"} | (set() if head == "height" else {"reliability.png"})
    assert drawings == expected


def test_two_runs_of_heads_are_compared(drawn, headed):
    line = ("evaluate", headed, headed, "--data", drawn, "--head", "height", "--device", "cpu", "--json")
    assert json.loads(mage(*line).stdout)["comparison"]["against_first"][0]["height_mae"]["p_permutation"] == 1
