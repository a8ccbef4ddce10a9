"""``mage pretrain``: encoders learn from images of all kinds, and networks are built with them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
import typer
from fake_dataset import write_fake_tiles
from typer.testing import CliRunner

from mage.learning import ResidualEncoder, SimplePyramid, ViT, commands, open_run
from mage.learning.pretrain_command import Task, fill_encoder, task_of, trained_part
from mage.scenes.errors import DatasetError, ModelError

SMALL = ["--steps", 1, "--size", 16, "--batch", 2, "--width", 4, "--device", "cpu"]


def mage(*words):
    app = typer.Typer()
    commands.register(app)
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def photos(tmp_path):
    """Two pairs of pictures."""
    root = tmp_path / "photos"
    root.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a_pre", "a_post", "b_pre", "b_post"):
        cv2.imwrite(str(root / f"{name}.png"), rng.integers(0, 255, (20, 24, 3), np.uint8))
    return root


def test_what_an_encoder_learned_is_where_a_network_begins(drawn, tmp_path):
    began = mage("pretrain", "--task", "moco", "--data", drawn, "--out", tmp_path / "pretext", *SMALL)
    assert began.exit_code == 0, began.output
    assert began.stdout.strip() == str(tmp_path / "pretext")
    assert f"mage train --encoder residual --width 4 --pretrained {tmp_path / 'pretext'}" in began.stderr
    assert open_run(tmp_path / "pretext").trained_on().source.samples == 6
    more = mage(
        "pretrain", "--task", "moco", "--data", drawn, "--out", tmp_path / "pretext", *SMALL, "--steps", 2, "--resume"
    )
    assert more.exit_code == 0, more.output
    learned = open_run(tmp_path / "pretext")
    assert learned.step == 2
    line = ("train", "--data", drawn, "--out", tmp_path / "run", "--pretrained", tmp_path / "pretext", "--lr", "1e-9")
    trained = mage(*line, *SMALL)
    assert trained.exit_code == 0, trained.output
    mine = open_run(tmp_path / "run").model("cpu").encoder
    theirs = learned.load_into(ResidualEncoder(width=4))
    assert torch.allclose(mine.stem[0].weight, theirs.stem[0].weight, atol=1e-6)


def test_pictures_and_what_was_collected_serve_too_with_as_many_bands_as_there_are(photos, tmp_path):
    write_fake_tiles(tmp_path / "tiles", bands=("red", "nir"))
    for data, task in ((photos, "caco"), (tmp_path / "tiles", "moco")):
        out = tmp_path / f"run-{task}"
        done = mage("pretrain", "--task", task, "--data", data, "--out", out, *SMALL)
        assert done.exit_code == 0, done.output
        assert open_run(out).trained_on().source is None
    assert open_run(out).load_into(ResidualEncoder(width=4, bands=2)).bands == 2


def test_geometry_learns_from_the_heights_of_a_dataset_and_from_nothing_else(drawn, photos, tmp_path):
    done = mage("pretrain", "--task", "geometry", "--data", drawn, "--out", tmp_path / "run", *SMALL)
    assert done.exit_code == 0, done.output
    assert {"height", "normals"} <= open_run(tmp_path / "run").log()[-1].keys()
    raised = mage("pretrain", "--task", "geometry", "--data", photos, "--out", tmp_path / "none", *SMALL).exception
    assert isinstance(raised, ModelError)
    assert not (tmp_path / "none").exists()


def test_every_task_is_the_one_of_its_name():
    small = ResidualEncoder(width=2)
    vit = ViT(width=8, depth=1, heads=2)
    for task in (Task.SCALE_MAE, Task.MOCO, Task.CACO, Task.GEOMETRY):
        found = task_of(task, vit if task is Task.SCALE_MAE else small, seed=0)
        assert type(found).__name__.lower() == task.replace("-", "")


def test_of_a_transformer_in_a_pyramid_the_transformer_learns(tmp_path):
    vit, other = (ViT(width=8, depth=1, heads=2, seed=seed) for seed in (0, 1))
    torch.save(other.state_dict(), tmp_path / "vit.pth")
    pyramid = SimplePyramid(vit, width=4)
    assert trained_part(pyramid) is vit
    fill_encoder(trained_part(pyramid), str(tmp_path / "vit.pth"))
    assert torch.equal(pyramid.encoder.embed.weight, other.embed.weight)


def test_what_newcomers_get_wrong_is_one_clear_error(drawn, photos, tmp_path):
    cases = [
        (DatasetError, "no such folder", ("--data", tmp_path / "nowhere", "--task", "moco")),
        (ModelError, "transformer", ("--data", photos, "--task", "scale-mae")),
        (ModelError, "splits", ("--data", photos, "--task", "moco", "--split", "train")),
        (ModelError, "bundled", ("--data", photos, "--task", "moco", "--pretrained", "bundled")),
        (ModelError, "no such run|not a run", ("--data", photos, "--task", "moco", "--pretrained", photos)),
    ]
    for kind, words, line in cases:
        raised = mage("pretrain", *line, "--out", tmp_path / "run", *SMALL).exception
        assert isinstance(raised, kind), words
        assert any(part in str(raised) for part in words.split("|")), str(raised)
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_a_masked_autoencoder_is_pretrained_and_built_into_a_network(drawn, tmp_path):
    line = ("--task", "scale-mae", "--encoder", "vit-tiny", "--size", 64, "--batch", 2, "--steps", 1, "--device", "cpu")
    began = mage("pretrain", "--data", drawn, "--out", tmp_path / "pretext", *line)
    assert began.exit_code == 0, began.output
    built = ("--encoder", "vit-tiny", "--pretrained", tmp_path / "pretext", "--lr", "1e-9")
    trained = mage("train", "--data", drawn, "--out", tmp_path / "run", *built, *SMALL)
    assert trained.exit_code == 0, trained.output
    mine = open_run(tmp_path / "run").model("cpu").encoder.encoder
    theirs = open_run(tmp_path / "pretext").load_into(ViT(192, 12, 3))
    assert torch.allclose(mine.embed.weight, theirs.embed.weight, atol=1e-6)
