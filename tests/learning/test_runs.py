"""Runs on disk: whole, or one clear error."""

from __future__ import annotations

import json
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from mage.learning import SiameseDamageNet, load_model, open_run
from mage.learning.ema import MovingAverage
from mage.scenes.errors import MageError, ModelError


@pytest.fixture
def run(short_run, tmp_path):
    """A copy of a run, to be broken."""
    return open_run(shutil.copytree(short_run.path, tmp_path / "run"))


def test_the_loaded_model_has_the_averaged_weights_and_is_ready(run):
    model, stored = load_model(run.path, "cpu"), load_file(run.checkpoint)
    assert not model.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, stored[f"average.{name}"])
    assert not torch.equal(stored["average.head.weight"], stored["method.model.head.weight"])


def test_a_run_leaves_nothing_but_its_files(short_run):
    assert sorted(path.name for path in short_run.path.iterdir()) == [
        "checkpoint-00000004.safetensors",
        "log.jsonl",
        "run.json",
        "trained_on.json",
    ]


@pytest.mark.parametrize("break_it", ["pickle", "cut", "empty", "noise", "gone", "folder"])
def test_a_checkpoint_that_is_not_a_whole_safetensors_file_is_refused(run, break_it):
    content = run.checkpoint.read_bytes()
    run.checkpoint.unlink()
    if break_it == "pickle":
        torch.save({"model": torch.zeros(3)}, run.checkpoint)
    elif break_it == "folder":
        run.checkpoint.mkdir()
    elif break_it != "gone":
        run.checkpoint.write_bytes({"cut": content[:-100], "empty": b"", "noise": pickle.dumps([1] * 99)}[break_it])
    with pytest.raises(ModelError, match="safetensors"):
        load_model(run.path)


def test_a_checkpoint_of_another_shape_is_refused_with_the_tensor(run):
    tensors = load_file(run.checkpoint)
    tensors["average.head.bias"] = torch.zeros(3)
    save_file(tensors, run.checkpoint)
    with pytest.raises(ModelError, match=r"head\.bias.*expected \(20,\); found \(3,\)"):
        load_model(run.path)


def test_a_record_of_a_monstrous_model_takes_no_memory(run):
    wide = {"width": 2_000_000}
    model = json.loads((run.path / "run.json").read_text())["model"]
    change(run, model=model | wide | {"encoder": model["encoder"] | wide})
    with pytest.raises(ModelError, match="another model"):
        load_model(run.path)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "mage-run/9"},
        {"step": -1},
        {"checkpoint": "../../etc/passwd"},
        {"surplus": 1},
        {"model": {"kind": "siamese-damage", "width": "wide"}},
        {"model": {"kind": "no such network"}},
    ],
)
def test_records_that_are_none_are_refused(run, changes):
    change(run, **changes)
    with pytest.raises(ModelError, match="not the record of a run"):
        open_run(run.path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "[" * 100_000, "\x00"])
def test_records_that_are_no_json_object_are_refused(run, text):
    (run.path / "run.json").write_text(text)
    with pytest.raises(ModelError, match=r"run\.json"):
        open_run(run.path)


def test_folders_that_hold_no_run_are_named(tmp_path):
    for path, words in ((tmp_path, "not a run"), (tmp_path / "nowhere", "no such run")):
        with pytest.raises(MageError, match=words):
            load_model(path)


def test_the_average_follows_and_converges():
    model = SiameseDamageNet(2)
    average = MovingAverage(model, decay=0.5)
    with torch.no_grad():
        model.head.bias.fill_(1)
    before = average.weights["head.bias"].clone()
    average.update()
    assert torch.allclose(average.weights["head.bias"], before + (1 - 2 / 11) * (1 - before))
    for _ in range(60):
        average.update()
    assert torch.allclose(average.weights["head.bias"], torch.ones(()))
    assert average.weights["head.bias"].data_ptr() != model.head.bias.data_ptr()


def test_the_average_takes_buffers_and_counters_too():
    model = torch.nn.BatchNorm1d(3)
    average = MovingAverage(model)
    model(torch.rand(8, 3) + 5)
    average.update()
    assert average.weights["num_batches_tracked"] == 1
    assert (average.weights["running_mean"] > 0.3).all()


def change(run, **changes):
    path = run.path / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
