"""``mage train`` and ``mage evaluate`` as a user types them."""

from __future__ import annotations

import json
import signal

import cv2
import numpy as np
import pytest
import torch
import typer
from fake_dataset import write_fake_dataset
from typer.testing import CliRunner

from mage.learning import EfficientNetLite, commands, open_run, training_command
from mage.scenes.errors import DatasetError, MissingExtraError, ModelError

SMALL = ["--size", "32", "--batch", "2", "--width", "4", "--device", "cpu"]


def mage(*words):
    app = typer.Typer()
    commands.register(app)
    return CliRunner().invoke(app, [str(word) for word in words])


def test_train_then_evaluate_as_a_table_and_as_json(drawn, tmp_path):
    out = tmp_path / "run"
    trained = mage("train", "--data", drawn, "--out", out, "--steps", 3, *SMALL)
    assert trained.exit_code == 0, trained.output
    assert trained.stdout.strip() == str(out)
    assert "3 steps of 2 crops of 32 px from 6 samples" in trained.stderr
    assert "3/3" in trained.stderr
    table = mage("evaluate", out, "--data", drawn, "--device", "cpu")
    assert "xView2 score" in table.stdout
    assert "training samples" in table.stdout
    found = json.loads(mage("evaluate", out, "--data", drawn, "--json", "--device", "cpu").stdout)
    assert found["samples"] == 6
    assert found["step"] == 3
    assert found["buildings"]["buildings"] > 0


def test_resume_takes_what_is_not_given_from_the_run(drawn, tmp_path):
    out = tmp_path / "run"
    mage("train", "--data", drawn, "--out", out, "--steps", 2, "--lr", "0.002", *SMALL)
    resumed = mage("train", "--data", drawn, "--out", out, "--resume", "--steps", 3)
    assert resumed.exit_code == 0, resumed.output
    record = open_run(out).record
    assert record.step == 3
    assert record.arguments.lr == 0.002
    assert record.model.width == 4


def test_encoder_decoder_and_heads_are_chosen_and_kept_by_resume(drawn, tmp_path):
    out, weights = tmp_path / "run", tmp_path / "encoder.pth"
    torch.save(EfficientNetLite(0, seed=7).state_dict(), weights)
    chosen = ("--encoder", "efficientnet-lite0", "--decoder", "upernet", "--head", "flood", "--pretrained", weights)
    trained = mage("train", "--data", drawn, "--out", out, "--steps", 1, "--lr", "1e-9", *chosen, *SMALL)
    assert trained.exit_code == 0, trained.output
    resumed = mage("train", "--data", drawn, "--out", out, "--resume", "--steps", 2)
    assert resumed.exit_code == 0, resumed.output
    run = open_run(out)
    assert run.step == 2
    assert run.record.model.encoder.kind == "efficientnet-lite"
    assert (run.record.model.decoder, run.record.model.heads) == ("upernet", ("flood",))
    assert "flood" in run.log()[-1]
    begun = EfficientNetLite(0, seed=7).stem[0].weight
    assert torch.allclose(run.model("cpu").encoder.stem[0].weight, begun, atol=1e-6)


def test_a_method_learns_from_unlabelled_pairs_from_where_another_run_ended(drawn, short_run, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "run"
    photos.mkdir()
    for date in ("pre", "post"):
        cv2.imwrite(str(photos / f"a_{date}_disaster.png"), np.full((40, 48, 3), 90, np.uint8))
    given = ("--unlabelled", photos, "--target", drawn)
    line = ("train", "--data", drawn, "--out", out, "--steps", 1, *given, "--method", "dacs", "--start", short_run.path)
    assert mage(*line, *SMALL).exit_code == 2  # the started model has a width of its own
    began = mage(*line, "--size", 32, "--batch", 2, "--device", "cpu")
    assert began.exit_code == 0, began.output
    assert "DACS: 1 steps of 2 crops" in began.stderr
    assert open_run(out).record.method.name == "DACS"
    assert open_run(out).trained_on().unlabelled.samples == 1
    assert mage("train", "--data", drawn, "--out", out, "--steps", 2, "--resume", *given).exit_code == 0
    assert open_run(out).record.method.name == "DACS"
    lacking = mage("train", "--data", drawn, "--out", tmp_path / "other", *SMALL, "--method", "mic").exception
    assert isinstance(lacking, ModelError)
    assert "MIC needs the stream 'unlabelled'" in str(lacking)


def test_crops_are_drawn_by_class_where_that_is_asked_for_and_the_run_still_knows_its_samples(drawn, tmp_path):
    runs = []
    for name, more in (("plain", ()), ("rare", ("--rare", 0.1))):
        line = ("train", "--data", drawn, "--out", tmp_path / name, "--steps", 1, *SMALL, *more)
        assert mage(*line).exit_code == 0
        runs.append(open_run(tmp_path / name))
    assert runs[0].trained_on() == runs[1].trained_on()
    assert runs[0].trained_on().source.gsd == (0.5, 0.5)
    assert runs[0].log()[0]["loss"] != runs[1].log()[0]["loss"]
    assert mage("train", "--data", drawn, "--out", tmp_path / "none", "--rare", 0).exit_code == 2


def test_every_way_to_learn_is_a_method_of_its_name():
    ways = {training_command._kind(way, None).__name__.lower(): way for way in training_command.Way}
    assert {name: way.replace("-", "") for name, way in ways.items()} == {name: name for name in ways}


def test_an_interruption_says_how_to_go_on(drawn, tmp_path, monkeypatch):
    from mage.learning import Supervised

    real = Supervised.losses

    def interrupting(*arguments):
        signal.raise_signal(signal.SIGINT)
        return real(*arguments)

    monkeypatch.setattr(Supervised, "losses", interrupting)
    stopped = mage("train", "--data", drawn, "--out", tmp_path / "run", "--steps", 3, *SMALL)
    assert stopped.exit_code == 130
    assert f"stopped after step 1 of 3; resume to go on: mage train --data {drawn}" in stopped.stderr
    monkeypatch.undo()
    command = stopped.stderr.partition("go on: mage ")[2].split()
    assert mage(*command).exit_code == 0
    assert open_run(tmp_path / "run").step == 3


@pytest.mark.parametrize("option", ["--size", "--steps", "--batch", "--width", "--every"])
def test_zero_is_a_usage_error(drawn, tmp_path, option):
    assert mage("train", "--data", drawn, "--out", tmp_path / "run", option, 0).exit_code == 2


def test_what_newcomers_get_wrong_is_one_clear_error(drawn, short_run, tmp_path):
    def error(*words):
        return mage(*words).exception

    new = ("--out", tmp_path / "run")
    (tmp_path / "empty").mkdir()
    write_fake_dataset(tmp_path / "other", count=1, size=32)
    again = ("--out", short_run.path, "--resume")
    cases = [
        (DatasetError, "no such folder", ("train", "--data", tmp_path / "nowhere", *new)),
        (DatasetError, "not a dataset", ("train", "--data", tmp_path / "empty", *new)),
        (DatasetError, "no sample is of split 'test'", ("train", "--data", drawn, "--split", "test", *new)),
        (ModelError, "learning rate", ("train", "--data", drawn, "--lr", "-1", *new)),
        (ModelError, "no such device", ("train", "--data", drawn, "--device", "gpu", *new)),
        (ModelError, "no weights are bundled", ("train", "--data", drawn, "--pretrained", "bundled", *new)),
        (ModelError, "no such file of weights", ("train", "--data", drawn, "--pretrained", tmp_path / "none", *new)),
        (ModelError, "already holds a run", ("train", "--data", drawn, "--out", short_run.path, *SMALL)),
        (ModelError, "no such run", ("train", "--data", drawn, "--resume", *new)),
        (ModelError, "the source data's 'samples' differs", ("train", "--data", tmp_path / "other", *again)),
        (ModelError, "no such run", ("evaluate", tmp_path / "nowhere", "--data", drawn)),
        (ModelError, "not a run", ("evaluate", drawn, "--data", drawn)),
        (DatasetError, "no such folder", ("evaluate", short_run.path, "--data", tmp_path / "nowhere")),
        (DatasetError, "no sample is of split", ("evaluate", short_run.path, "--data", drawn, "--split", "test")),
    ]  # fmt: skip
    for kind, words, line in cases:
        raised = error(*line)
        assert isinstance(raised, kind), (line, raised)
        assert words in str(raised)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("module", ["torch", "safetensors"])
def test_a_missing_extra_is_named(drawn, tmp_path, monkeypatch, module):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == module else real(name, *rest))
    for line in (("train", "--data", drawn, "--out", tmp_path / "run"), ("evaluate", tmp_path, "--data", drawn)):
        raised = mage(*line).exception
        assert isinstance(raised, MissingExtraError)
        assert "mage-eo[learning]" in str(raised)
