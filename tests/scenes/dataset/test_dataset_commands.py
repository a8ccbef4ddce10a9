"""`mage info` and `mage verify` as a user meets them."""

from __future__ import annotations

import json
import shutil
import sys

import pytest
import typer
from fake_dataset import write_fake_dataset
from typer.testing import CliRunner

from mage.scenes.commands import register
from mage.scenes.errors import DatasetError, MageError, MissingExtraError


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    root = tmp_path_factory.mktemp("commands") / "dataset"
    write_fake_dataset(root, count=2, size=48)
    return root


def mage(*words):
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return CliRunner().invoke(app, [str(w) for w in words])


def test_a_good_dataset_is_ok(pristine):
    done = mage("verify", pristine)
    assert done.exit_code == 0
    assert done.stdout.startswith("OK: 2 samples, ")
    assert done.stdout.endswith(" buildings, 1 shard\n")
    facts = json.loads(mage("verify", pristine, "--json").stdout)
    assert (facts["ok"], facts["samples"], facts["problems"]) == (True, 2, [])


def test_a_quick_check_opens_no_shard(pristine, tmp_path):
    root = shutil.copytree(pristine, tmp_path / "dataset")
    tar = root / "shards" / "train-000000.tar"
    tar.write_bytes(bytes(tar.stat().st_size))
    assert mage("verify", "--quick", root).stdout.startswith("OK: 2 samples, ")
    assert mage("verify", "--workers", "1", root).exit_code == 1


def test_a_dataset_in_a_store_is_verified_and_described_by_its_url():
    write_fake_dataset("memory://commands/d", count=2, size=48)
    assert mage("verify", "memory://commands/d").exit_code == 0
    assert json.loads(mage("info", "memory://commands/d", "--json").stdout)["counts"]["samples"] == 2
    assert isinstance(mage("verify", "memory://commands/none").exception, DatasetError)


def test_browsing_a_store_says_to_copy_it():
    error = mage("browse", "memory://commands/d").exception
    assert isinstance(error, DatasetError)
    assert (
        str(error) == "memory://commands/d: only a folder can be read here: copy the dataset into one; expected a path"
    )


def test_a_bad_dataset_is_told_problem_by_problem_and_fails(pristine, tmp_path):
    root = shutil.copytree(pristine, tmp_path / "dataset")
    (root / "shards" / "train-000000.json").unlink()
    (root / "recipe.yaml").unlink()
    done = mage("verify", root)
    assert done.exit_code == 1
    assert "OK" not in done.stdout
    told = [line for line in done.stderr.splitlines() if line.startswith("problem: ")]
    assert told == ["problem: shards/train-000000.json: no such file", "problem: recipe.yaml: no such file"]
    assert done.stderr.splitlines()[-1].endswith("2 problems")
    facts = json.loads(mage("verify", root, "--json").stdout)
    assert not facts["ok"]
    assert len(facts["problems"]) == 2


def test_no_folder_is_a_mistake_of_the_user(tmp_path):
    assert isinstance(mage("verify", tmp_path / "nowhere").exception, DatasetError)
    assert isinstance(mage("info", tmp_path / "nowhere").exception, MageError)
    assert "no dataset.json" in str(mage("info", tmp_path).exception)


def test_info_gives_the_same_figures_as_a_table_and_as_json(pristine):
    facts = json.loads(mage("info", pristine, "--json").stdout)
    assert facts["counts"]["samples"] == 2
    lines = mage("info", pristine).stdout.splitlines()
    assert "kind         dataset" in lines
    assert "  samples    2" in lines
    assert f"  buildings  {facts['counts']['buildings']}" in lines
    assert f"    minor-damage  {facts['counts']['jds']['minor-damage']}" in lines
    assert "gsd          0.5" in lines
    assert not any(line.endswith(" ") for line in lines)


def test_a_city_without_its_libraries_names_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "city.json").write_text("{}")
    gone = ModuleNotFoundError("No module named 'shapely'", name="shapely")
    monkeypatch.delitem(sys.modules, "mage.scenes.sources", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Wall("mage.scenes.sources", gone), *sys.meta_path])
    error = mage("info", tmp_path / "city.json").exception
    assert isinstance(error, MissingExtraError)
    assert "'shapely'" in str(error)
    assert "mage-eo[cities]" in str(error)


class Wall:
    """An import hook behind which one module fails in one way."""

    def __init__(self, name, error):
        self.name, self.error = name, error

    def find_spec(self, name, path=None, target=None):
        if name == self.name:
            raise self.error
