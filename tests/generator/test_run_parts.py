"""A run from plan to index, with workers that draw in place of Blender."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_dataset import fake_recipe

from mage.generator import generate as generate_module
from mage.generator.generate import Run, generate, missing_jobs
from mage.generator.plan import make_plan
from mage.generator.runners import local
from mage.generator.runners.local import run_local
from mage.scenes.dataset.store import open_store
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.errors import DatasetError, MissingExtraError, RenderError

RECIPE = fake_recipe(6, 48, shard_size=2)
ONE = Run(workers=1)


@pytest.fixture(autouse=True)
def drawing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that draw."""
    monkeypatch.setattr(local, "MODULE", "fake_worker")
    tests = Path(__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", f"{tests}{os.pathsep}{tests / 'generator'}")
    (tmp_path / "notes").mkdir()
    monkeypatch.setenv("FAKE_NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("FAKE_DRAWS", "1")


def content(root: Path) -> dict[str, bytes]:
    """All that does not depend on how a dataset came about."""
    paths = [*(root / "shards").iterdir(), root / "dataset.json", root / "samples.parquet", root / "recipe.yaml"]
    return {path.name: path.read_bytes() for path in paths}


def log_of(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for log in sorted((root / "logs").iterdir()) for line in log.read_text().splitlines()]


def test_parts_make_the_dataset_of_one_run_and_the_last_of_them_indexes_it(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert generate(RECIPE, whole, run=ONE) is not None
    for k in (3, 1):
        assert generate(RECIPE, parts, run=Run(workers=1, part=(k, 3))) is None
        assert not (parts / "dataset.json").exists()
    assert [job.name for job in missing_jobs(open_store(parts), make_plan(RECIPE))] == ["train-000001.tar"]
    assert generate(RECIPE, parts, run=Run(workers=1, part=(2, 3))) is not None
    assert verify_dataset(parts).problems == ()
    assert content(parts) == content(whole)


def test_the_log_has_a_line_for_each_shard(tmp_path: Path) -> None:
    generate(RECIPE, tmp_path / "d", run=ONE)
    shards = [event for event in log_of(tmp_path / "d") if event["event"] == "shard"]
    assert [event["name"] for event in shards] == [f"train-{k:06d}.tar" for k in range(3)]
    for event in shards:
        assert (event["samples"], event["tries"], event["rank"], event["seconds"]) == (2, 1, 0, {"render": 1.0})
        assert (tmp_path / "d" / "shards" / event["name"]).stat().st_size == event["bytes"]
        assert {"time", "sha256", "labels_sha256"} <= event.keys()
        assert "keys" not in event


def test_a_shard_that_cannot_be_made_is_named_at_the_end_and_made_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAULT", "fails")
    said: list[str] = []
    words = (
        r"1 of 3 shards could not be rendered, the others are done; the same command tries these again: train-000001"
    )
    with pytest.raises(RenderError, match=words):
        generate(RECIPE, tmp_path / "d", run=ONE, say=said.append)
    assert sorted(path.name for path in (tmp_path / "d" / "shards").glob("*.tar")) == [
        "train-000000.tar",
        "train-000002.tar",
    ]
    assert not (tmp_path / "d" / "dataset.json").exists()
    assert [event["event"] for event in log_of(tmp_path / "d")].count("retry") == 2
    assert said[-1] == "fails; given up"
    monkeypatch.delenv("FAKE_FAULT")
    assert generate(RECIPE, tmp_path / "d", run=ONE) is not None
    assert generate(RECIPE, tmp_path / "calm", run=ONE) is not None
    assert content(tmp_path / "d") == content(tmp_path / "calm")


def test_what_all_jobs_fail_by_is_the_runs_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAULT", "no city")
    with pytest.raises(Exception, match=r"^city\.gml: no city$") as caught:
        generate(RECIPE, tmp_path / "d", run=ONE)
    assert type(caught.value).__name__ == "CityError"


def test_another_recipe_is_refused_and_a_plan_that_made_nothing_gives_way(tmp_path: Path) -> None:
    generate(RECIPE, tmp_path / "d", run=Run(workers=1, part=(1, 3)))
    with pytest.raises(DatasetError, match="another recipe, seed, shard size"):
        generate(RECIPE.model_copy(update={"seed": 5}), tmp_path / "d", run=ONE)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "plan.json").write_text("{broken")
    assert generate(RECIPE, tmp_path / "empty", run=ONE) is not None


def test_a_dataset_may_grow(tmp_path: Path) -> None:
    assert generate(fake_recipe(5, 48, shard_size=2), tmp_path / "d", run=ONE) is not None
    assert generate(RECIPE, tmp_path / "d", run=ONE) is not None
    assert generate(RECIPE, tmp_path / "calm", run=ONE) is not None
    assert verify_dataset(tmp_path / "d").problems == ()
    assert content(tmp_path / "d") == content(tmp_path / "calm")


def test_without_ray_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"mage-eo\[ray\]"):
        generate(RECIPE, tmp_path / "d", run=Run(runner="ray"))


def test_shards_that_are_taken_away_meanwhile_are_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    render = run_local

    def and_lose(*arguments: Any) -> Any:
        outcome = render(*arguments)
        (tmp_path / "d" / "shards" / "train-000001.tar").unlink()
        return outcome

    monkeypatch.setattr(generate_module, "run_local", and_lose)
    with pytest.raises(DatasetError, match=r"gone again.*found train-000001\.tar"):
        generate(RECIPE, tmp_path / "d", run=ONE)
    assert not (tmp_path / "d" / "dataset.json").exists()


def test_memory_is_no_place_for_what_other_processes_make() -> None:
    with pytest.raises(DatasetError, match="memory is of one process"):
        generate(RECIPE, "memory://a/b", run=ONE)


def test_progress_counts_samples_of_all_workers_and_takes_back_what_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_FAULT", "dies once")
    generate(RECIPE, tmp_path / "d", run=Run(workers=2), progress=True)
    last = capsys.readouterr().err.rpartition("\r")[2]
    assert "6/6" in last
    assert "pair" in last
