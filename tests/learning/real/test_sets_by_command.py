"""Sets of real images and MAGE's themes, trained on and scored by the commands."""

from __future__ import annotations

import json

import fake_sets
import pytest
import torch
import typer
from typer.testing import CliRunner

from mage.learning import SegmentationNet, ShardDataset, Supervised, fit, open_run
from mage.learning.commands import register
from mage.learning.names import SetName, Theme
from mage.learning.real.sets import open_set
from mage.learning.scoring.tasks import task_of
from mage.learning.single import ThemeImage
from mage.scenes.errors import DatasetError, ModelError

SMALL = ("--size", 16, "--batch", 2, "--width", 2, "--device", "cpu", "--preview", 0)


def mage(*words):
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, [str(word) for word in words])


MAKERS = {
    SetName.LEVIR_CD: (fake_sets.fake_levir, ["unchanged", "changed"]),
    SetName.SEN1FLOODS11_RADAR: (fake_sets.fake_sen1floods11, ["dry", "water"]),
    SetName.FLOODNET_WATER: (fake_sets.fake_drone, ["dry", "water"]),
    SetName.RESCUENET: (fake_sets.fake_drone, ["background", "no-damage", "minor-damage", "major-damage", "destroyed"]),
    SetName.RESCUENET_ROADS: (fake_sets.fake_drone, ["none", "clear", "blocked"]),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_sets_are_trained_on_gone_on_with_and_scored_by_command(tmp_path, kind):
    make, names = MAKERS[kind]
    make(tmp_path / "set")
    data = ("--data", tmp_path / "set", "--set", kind)
    began = mage("train", *data, "--out", tmp_path / "run", "--steps", 1, *SMALL)
    assert began.exit_code == 0, began.output
    assert f"--set {kind}" in began.stderr
    again = mage("train", *data, "--out", tmp_path / "run", "--steps", 2, "--resume", "--device", "cpu")
    assert again.exit_code == 0, again.output
    shown = mage("evaluate", tmp_path / "run", *data, "--device", "cpu", "--json")
    assert shown.exit_code == 0, shown.output
    assert list(json.loads(shown.stdout)["classes"]) == names
    assert "evaluated on the training samples" in json.loads(shown.stdout)["warnings"][0]
    assert open_run(tmp_path / "run").trained_on().source.size == 16  # gone on with in the crops that it began with


def test_a_plain_folder_of_single_images_has_the_classes_of_its_masks(tmp_path):
    for number, values in enumerate(((0, 1), (2, 255))):
        fake_sets.draw(tmp_path / "set" / "images" / f"{number}.png")
        fake_sets.draw(tmp_path / "set" / "masks" / f"{number}.png", values)
    data = ("--data", tmp_path / "set", "--set", "folder")
    assert mage("train", *data, "--out", tmp_path / "run", "--steps", 1, *SMALL).exit_code == 0
    assert open_run(tmp_path / "run").record.model.classes == 3
    shown = mage("evaluate", tmp_path / "run", *data, "--device", "cpu", "--json")
    assert list(json.loads(shown.stdout)["classes"]) == ["class-0", "class-1", "class-2"]


def test_a_plain_folder_that_is_taken_for_a_dataset_is_told_how_it_is_read(short_run, tmp_path):
    fake_sets.fake_folder(tmp_path / "own")
    for line in (("evaluate", short_run.path), ("train", "--out", tmp_path / "run", *SMALL)):
        shown = mage(*line, "--data", tmp_path / "own")
        assert isinstance(shown.exception, DatasetError)
        assert "no dataset.json" in str(shown.exception)
        assert "`--set folder`" in str(shown.exception)


def test_water_that_is_learned_from_simulated_images_is_scored_on_real_ones_by_command(drawn, tmp_path):
    began = mage("train", "--data", drawn, "--set", "mage-water", "--out", tmp_path / "run", "--steps", 1, *SMALL)
    assert began.exit_code == 0, began.output
    fake_sets.fake_sen1floods11(tmp_path / "real")
    line = ("evaluate", tmp_path / "run", "--device", "cpu", "--data")
    real = mage(*line, tmp_path / "real", "--set", "sen1floods11-rgb", "--out", tmp_path / "report")
    assert real.exit_code == 0, real.output
    assert "IoU of water" in real.stdout
    assert (tmp_path / "report" / "tiles.png").is_file()
    simulated = json.loads(mage(*line, drawn, "--set", "mage-water", "--json").stdout)
    assert list(simulated["classes"]) == ["dry", "water"]
    assert "training samples" in simulated["warnings"][0]


def test_masks_of_themes_are_what_the_labels_say(drawn):
    whole = ShardDataset(drawn, labels=("post_water", "post_flood", "post_building", "post_road", "post_blocked"))[0]
    for theme, wanted in {
        Theme.WATER: (whole["post_water"] > 0) | (whole["post_flood"] > 0),
        Theme.BUILDINGS: whole["post_building"] > 0,
        Theme.ROADS: (whole["post_road"] > 0) * (1 + whole["post_blocked"]),
    }.items():
        found = open_set(SetName(f"mage-{theme}"), drawn)[0]
        assert torch.equal(found["mask"], wanted.long())
        assert torch.equal(found["image"], whole["image"][1])
        assert 0 < int(found["mask"].max()) < len(theme.classes)
    with pytest.raises(DatasetError, match="post_water"):
        ThemeImage(Theme.WATER)(ShardDataset(drawn)[0])


def test_models_and_sets_that_do_not_fit_are_one_clear_error(drawn, short_run, tmp_path):
    fake_sets.fake_drone(tmp_path / "drone")
    roads = ("--data", tmp_path / "drone", "--set", "rescuenet-roads")
    net = SegmentationNet(2, 2)
    run = fit(
        Supervised(net), open_set(SetName.MAGE_WATER, drawn, size=16), out=tmp_path / "run", steps=1, batch=1, preview=0
    )
    assert "other classes" in str(mage("evaluate", run.path, *roads, "--device", "cpu").exception)
    assert isinstance(mage("evaluate", short_run.path, *roads, "--device", "cpu").exception, ModelError)
    assert mage("evaluate", short_run.path, *roads, "--head", "flood").exit_code == 2
    assert mage("train", *roads, "--out", tmp_path / "new", "--head", "flood", *SMALL).exit_code == 2
    with pytest.raises(ModelError, match="other classes"):
        task_of(net, names=("none", "clear", "blocked"))
