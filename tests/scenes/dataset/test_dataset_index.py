"""What makes a folder of shards a dataset, and how one is opened."""

from __future__ import annotations

import json
import os

import pyarrow.parquet as pq
import pytest
from fake_dataset import HASH, SOURCES, VERSIONS, fake_recipe, fake_sample, write_fake_dataset

from mage.scenes.dataset.describe import describe_dataset
from mage.scenes.dataset.index import MANIFEST, RECIPE, TABLE, finish_dataset, open_dataset, read_index
from mage.scenes.dataset.store import LocalStore, file_sha256
from mage.scenes.errors import DatasetError
from mage.scenes.recipe import read_recipe


@pytest.fixture
def root(tmp_path):
    write_fake_dataset(tmp_path / "dataset", count=3, size=48)
    return tmp_path / "dataset"


def test_two_runs_give_the_same_files_to_the_byte(root, tmp_path):
    write_fake_dataset(tmp_path / "again", count=3, size=48)
    names = sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())
    assert {MANIFEST, TABLE, RECIPE, "shards/train-000001.tar"} <= set(names)
    for name in names:
        assert (root / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_the_index_holds_a_row_a_sample(root):
    rows = pq.read_table(root / TABLE).to_pylist()
    samples = [fake_sample(i, 48) for i in range(3)]
    assert [row["key"] for row in rows] == [s.record.key for s in samples]
    assert [row["shard"] for row in rows] == ["train-000000.tar"] * 2 + ["train-000001.tar"]
    for row, sample in zip(rows, samples, strict=True):
        grades = [b.jds for b in sample.record.buildings]
        assert [row[f"jds_{g}"] for g in range(4)] == [grades.count(g) for g in range(4)]
        assert row["buildings"] == len(grades)
        assert row["flooded_share"] == pytest.approx((sample.labels["post_class"] == 8).mean(), abs=1e-6)
        assert (row["gsd"], row["size"], row["crs"], row["seed"]) == (0.5, 48, "EPSG:28992", 0)
        assert (row["post_date"], row["post_sun_elevation"]) == ("2023-07-02T11:00:00", 55.0)


def test_the_manifest_counts_what_the_rasters_hold(root):
    manifest = open_dataset(root)
    samples = [fake_sample(i, 48) for i in range(3)]
    assert manifest.counts["samples"] == manifest.samples == 3
    assert manifest.counts["buildings"] == sum(len(s.record.buildings) for s in samples)
    assert sum(manifest.counts["jds"].values()) == manifest.counts["buildings"]
    assert manifest.counts["pixels"]["post_class"]["flood"] == sum((s.labels["post_class"] == 8).sum() for s in samples)
    assert sum(manifest.counts["pixels"]["post_damage"].values()) == 3 * 48 * 48
    assert manifest.classes["flood"] == 8
    assert manifest.fields["post_depth.png"]["unit"] == "cm"


def test_the_recipe_is_read_back_as_it_was(root):
    assert read_recipe(str(root / RECIPE)) == fake_recipe(3, 48)


def test_the_manifest_comes_last(root, tmp_path, monkeypatch):
    order = []
    publish = LocalStore.publish
    monkeypatch.setattr(
        LocalStore, "publish", lambda self, name, write, **how: order.append(name) or publish(self, name, write, **how)
    )
    write_fake_dataset(tmp_path / "again", count=2, size=48)
    assert order[-1] == MANIFEST
    assert order.index("shards/train-000000.tar") < order.index("shards/train-000000.json") < order.index(TABLE)


def test_shards_of_something_else_in_the_folder_are_not_passed_over(root):
    shard = open_dataset(root).shards[0]
    with pytest.raises(DatasetError, match=r"train-000001\.tar"):
        finish_dataset(root, fake_recipe(1, 48), [shard], VERSIONS, SOURCES)
    with pytest.raises(DatasetError, match="needs a shard"):
        finish_dataset(root, fake_recipe(1, 48), [], VERSIONS, SOURCES)


def test_a_shard_that_is_not_its_records_is_not_indexed(root):
    shards = open_dataset(root).shards
    swapped = [shards[0], shards[1].model_copy(update={"keys": shards[0].keys})]
    with pytest.raises(DatasetError, match=r"000001\.json: says something else of its shard"):
        finish_dataset(root, fake_recipe(3, 48), swapped, VERSIONS, SOURCES)


def edited(root, **changes):
    path = root / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_opening_says_what_is_the_matter(root, tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="not a folder"):
        open_dataset(root / MANIFEST)
    with pytest.raises(DatasetError, match=r"no dataset\.json \(generation did not finish\?\)"):
        open_dataset(tmp_path)
    edited(root, format="mage-dataset/2")
    with pytest.raises(DatasetError, match="update it"):
        open_dataset(root)
    edited(root, format="other")
    with pytest.raises(DatasetError, match="not a MAGE dataset"):
        open_dataset(root)
    edited(root, format="mage-dataset/1", shards=[{"name": "../../etc/passwd"}])
    with pytest.raises(DatasetError, match=r"shards\.0\.name"):
        open_dataset(root)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"[]", b"null", b'{"format": []}'])
def test_a_manifest_that_is_none_ends_in_one_sentence(root, content):
    (root / MANIFEST).write_bytes(content)
    with pytest.raises(DatasetError, match=r"dataset\.json"):
        open_dataset(root)


def test_a_pipe_for_a_manifest_does_not_hang(root):
    (root / MANIFEST).unlink()
    os.mkfifo(root / MANIFEST)
    with pytest.raises(DatasetError, match="not a plain file"):
        open_dataset(root)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 100 + b"PAR1"])
def test_an_index_that_is_none_ends_in_one_sentence(root, content):
    assert read_index(root).num_rows == 3
    (root / TABLE).write_bytes(content)
    with pytest.raises(DatasetError, match=r"samples\.parquet: sha256 is wrong"):
        read_index(root)
    with pytest.raises(DatasetError, match=r"samples\.parquet: cannot be read"):
        read_index(root, file_sha256(root / TABLE))


def test_a_dataset_is_described_in_json_types(root):
    facts = describe_dataset(root)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["kind"] == "dataset"
    assert facts["counts"]["samples"] == 3
    assert facts["shards"] == 2
    assert (facts["size"], facts["gsd"], facts["seed"], facts["recipe_hash"]) == (48, 0.5, 0, HASH)
    assert facts["sources"] == SOURCES
