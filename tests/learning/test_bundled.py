"""The model that comes with the package, and how a run becomes a model to hand on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
import yaml
from typer.testing import CliRunner

from mage.learning import (
    ShardDataset,
    SiameseDamageNet,
    bundled_folder,
    bundled_model,
    bundled_record,
    density_of,
    load_model,
    model_record,
)
from mage.learning.commands import register
from mage.scenes.errors import ModelError

ROOT = Path(__file__).resolve().parents[2]


def mage(*words):
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_bundled_model_is_small_calibrated_and_says_what_pixels_it_knows():
    record = bundled_record()
    assert record.classes == ("background", "no-damage", "minor-damage", "major-damage", "destroyed")
    assert (record.dates, record.bands) == (2, 3)
    assert record.temperatures is not None
    assert 0.05 < record.gsd[0] <= record.gsd[1] < 5
    assert sum(path.stat().st_size for path in bundled_folder().iterdir()) < 20 * 2**20


def test_its_card_names_licence_scores_and_limits():
    text = (bundled_folder() / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(text.split("\n---\n")[0].removeprefix("---\n"))
    assert front["license"] == "apache-2.0"
    assert front["model-index"][0]["results"][0]["metrics"]
    for heading in ("## Trained on", "## Figures", "## Limits", "## Training recipe"):
        assert heading in text


def test_it_maps_a_pair_and_tells_noise_from_what_it_knows():
    model = bundled_model("cpu")
    assert isinstance(model, SiameseDamageNet)
    noise = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), np.uint8)
    classes, probabilities = model.predict(*noise)
    assert classes.shape == (128, 128)
    assert np.allclose(probabilities.sum(0), 1, atol=1e-5)
    density = density_of(bundled_folder(), model)

    assert density.unlike(torch.from_numpy(noise.transpose(0, 3, 1, 2).copy()))


@pytest.mark.parametrize("name", ["damage", "water"])
def test_a_package_without_its_model_says_so(monkeypatch, tmp_path, name):
    monkeypatch.setattr("mage.learning.bundled.files", lambda _: tmp_path)
    with pytest.raises(ModelError, match=f"install it anew.*{name}|{name}.*install it anew"):
        bundled_model("cpu", name)


@pytest.mark.long
def test_a_wheel_holds_the_models(tmp_path):
    pytest.importorskip("setuptools", "77")
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "out", "tests", "benchmarks"))
    line = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-build-isolation",
        "--no-deps",
        "-w",
        tmp_path,
        source,
    ]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("damage", "water"):
        assert {f"mage/assets/models/{name}/{path.name}" for path in bundled_folder(name).iterdir()} <= set(names)


@pytest.fixture
def run(short_run, tmp_path):
    """A run of one's own, so that what is kept beside it stays away from other tests."""
    return shutil.copytree(short_run.path, tmp_path / "run")


def test_a_run_is_packed_with_what_was_found_out_about_it(run, drawn, tmp_path):
    out, scores, notes = tmp_path / "model", tmp_path / "scores.json", tmp_path / "notes.md"
    mage("calibrate", run, "--data", drawn, "--training", drawn, "--device", "cpu")
    scores.write_text(mage("evaluate", run, "--data", drawn, "--json", "--device", "cpu").stdout)
    notes.write_text("It was drawn on a rainy day.")
    told = ("--title", "Drawn", "--licence", "CC0-1.0", "--scores", scores, "--notes", notes, "--half")
    packed = mage("pack", run, "--out", out, *told, "--device", "cpu")
    assert packed.exit_code == 0, packed.output
    assert packed.stdout.strip() == str(out)
    model = load_model(out, "cpu")
    assert model.temperatures == load_model(run, "cpu").temperatures
    assert density_of(out, model).threshold == density_of(run, model).threshold
    assert model_record(out).gsd == (0.5, 0.5)
    text = (out / "README.md").read_text()
    iou = json.loads(scores.read_text())["intervals"]["building_iou"]["value"]
    for words in ("# Drawn", "rainy day", f"| building IoU | {iou:.4g} |", "6 samples of dataset", "0.5 m"):
        assert words in text
    again = mage("evaluate", out, "--data", drawn, "--json", "--device", "cpu")
    assert json.loads(again.stdout)["intervals"]["building_iou"]["value"] == pytest.approx(iou, abs=0.02)


def test_a_packed_model_is_calibrated_as_well_as_a_run(run, drawn, tmp_path):
    out = tmp_path / "model"
    packed = mage("pack", run, "--out", out, "--title", "a", "--licence", "MIT", "--gsd", 0.1, 2, "--device", "cpu")
    assert "not calibrated" in packed.stderr
    assert (load_model(out, "cpu").temperatures, model_record(out).gsd) == (None, (0.1, 2.0))
    line = ("calibrate", out, "--data", drawn, "--training", drawn, "--device", "cpu", "--json")
    content = json.loads(mage(*line).stdout)
    model = load_model(out, "cpu")
    assert model.temperatures.to_dict() == content["temperatures"]
    assert density_of(out, model).score(ShardDataset(drawn)[0]["image"]) > 0


@pytest.mark.parametrize("text", ["", "[]", "{", '{"runs": []}', '{"intervals": 3, "split": null}', "[" * 100_000])
def test_scores_that_are_none_are_one_clear_error(run, text, tmp_path):
    (tmp_path / "scores.json").write_text(text)
    line = ("--title", "a", "--licence", "MIT", "--scores", tmp_path / "scores.json", "--device", "cpu")
    raised = mage("pack", run, "--out", tmp_path / "model", *line).exception
    assert isinstance(raised, ModelError)
    assert "scores.json" in str(raised)
    assert not (tmp_path / "model").exists()
