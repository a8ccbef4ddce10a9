"""The Hugging Face export against what `datasets` documents of Parquet folders: card, features, images as bytes."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from export_cases import samples_by_key, write_annotated_dataset, write_rich_dataset, write_samples
from fake_dataset import fake_sample

from mage.generator.export import huggingface
from mage.generator.export.run import export_dataset
from mage.scenes.dataset.codec import decode_record
from mage.scenes.dataset.png import decode_png


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    folder = tmp_path_factory.mktemp("huggingface")
    write_rich_dataset(folder / "dataset")
    export_dataset(folder / "dataset", folder / "out", "huggingface")
    return folder


def card(out):
    text = (out / "README.md").read_text()
    assert text.startswith("---\n")
    return yaml.safe_load(text.split("---\n")[1])


def rows(out):
    """Rows of each split, found as `datasets` finds them: by the globs of the card's configuration."""
    (config,) = card(out)["configs"]
    assert config["config_name"] == "default"
    return {
        part["split"]: [row for path in sorted(out.glob(part["path"])) for row in pq.read_table(path).to_pylist()]
        for part in config["data_files"]
    }


def test_each_split_holds_its_samples_with_every_raster_as_it_was(rich):
    found, samples = rows(rich / "out"), samples_by_key(rich / "dataset")
    assert {split: len(of) for split, of in found.items()} == {"train": 3, "test": 2}
    for split, of in found.items():
        for row in of:
            sample = samples[row["key"]]
            assert sample.record.split == split
            assert decode_record(row["record"].encode()) == sample.record
            assert row["buildings"] == len(sample.record.buildings)
            for name, raster in (sample.images | sample.labels | sample.bands).items():
                assert row[name]["path"] == f"{row['key']}.{name}.png"
                assert np.array_equal(decode_png(row[name]["bytes"]), raster)


def test_the_library_datasets_reads_every_raster_as_it_was(rich, tmp_path, monkeypatch):
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    why = "the library datasets asks for an older fsspec than s3fs here: install it into an environment of its own"
    datasets = pytest.importorskip("datasets", reason=why)
    found = datasets.load_dataset(str(rich / "out"), cache_dir=str(tmp_path / "cache"))
    samples = samples_by_key(rich / "dataset")
    assert {split: [row["key"] for row in rows] for split, rows in found.items()} == {
        split: [key for key, sample in sorted(samples.items()) if sample.record.split == split] for split in found
    }
    for row in (row for rows in found.values() for row in rows):
        sample = samples[row["key"]]
        for name, raster in (sample.images | sample.labels | sample.bands).items():
            assert np.array_equal(np.asarray(row[name]), raster), name


def test_the_card_states_the_features_that_the_files_have(rich):
    features = {f["name"]: f["dtype"] for f in card(rich / "out")["dataset_info"]["features"]}
    for path in (rich / "out" / "data").rglob("*.parquet"):
        schema = pq.read_schema(path)
        assert set(schema.names) == set(features)
        stated = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        for name, kind in features.items():
            assert stated[name] == ({"_type": "Image"} if kind == "image" else {"dtype": kind, "_type": "Value"})
            expected = "struct<bytes: binary, path: string>" if kind == "image" else kind.replace("float64", "double")
            assert str(schema.field(name).type) == expected


def test_the_card_says_licence_size_and_task(rich):
    content = card(rich / "out")
    assert content["license"] == "cc0-1.0"
    assert content["size_categories"] == ["n<1K"]
    assert content["task_categories"] == ["image-segmentation"]
    assert "| train | 3 |" in (rich / "out" / "README.md").read_text()


def test_annotations_are_columns_too(tmp_path):
    write_annotated_dataset(tmp_path / "d")
    export_dataset(tmp_path / "d", tmp_path / "out", "huggingface")
    names = {f["name"] for f in card(tmp_path / "out")["dataset_info"]["features"]}
    assert {"pre_annotated", "post_annotated"} <= names
    assert len(rows(tmp_path / "out")["train"]) == 2


def test_a_large_shard_is_cut_so_that_memory_does_not_grow_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface, "SAMPLES", 2)
    write_samples(tmp_path / "d", [fake_sample(i, 48) for i in range(5)], shard_size=5)
    export_dataset(tmp_path / "d", tmp_path / "out", "huggingface")
    names = [path.name for path in sorted((tmp_path / "out" / "data" / "train").iterdir())]
    assert names == [f"train-000000-0000{k}.parquet" for k in range(3)]
    assert [row["key"] for row in rows(tmp_path / "out")["train"]] == [f"testville-flood-{i:06d}" for i in range(5)]


def test_splits_have_names_that_datasets_allows(tmp_path):
    write_samples(tmp_path / "d", [fake_sample(0, 48, 0, "test-unseen-city")])
    export_dataset(tmp_path / "d", tmp_path / "out", "huggingface")
    assert list(rows(tmp_path / "out")) == ["test_unseen_city"]
    assert len(rows(tmp_path / "out")["test_unseen_city"]) == 1
