"""The plain folder, read by hand and, as a tar, by the webdataset package."""

from __future__ import annotations

import csv
import io
import tarfile

import numpy as np
import pytest
from export_cases import samples_by_key, write_rich_dataset
from webdataset.tariterators import group_by_keys, tar_file_iterator

from mage.generator.export.run import export_dataset
from mage.scenes.dataset.codec import decode_record
from mage.scenes.dataset.fields import CLASS_COLOURS, LandClass
from mage.scenes.dataset.png import decode_png


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folder")
    write_rich_dataset(folder / "dataset")
    export_dataset(folder / "dataset", folder / "out", "folder")
    return folder


def test_every_member_lies_under_its_split_as_it_was(rich):
    for key, sample in samples_by_key(rich / "dataset").items():
        stem = rich / "out" / sample.record.split / key
        for name, raster in (sample.images | sample.labels | sample.bands).items():
            assert np.array_equal(decode_png(stem.with_name(f"{key}.{name}.png").read_bytes()), raster)
        assert decode_record(stem.with_name(f"{key}.json").read_bytes()) == sample.record


def test_a_tar_of_a_split_is_read_by_webdataset(rich, tmp_path):
    path = tmp_path / "train.tar"
    with tarfile.open(path, "w") as tar:
        for file in sorted((rich / "out" / "train").iterdir()):
            tar.add(file, file.name)
    with path.open("rb") as stream:  # webdataset leaves files that it opens itself to be closed by chance
        files = ({**file, "__url__": path.name} for file in tar_file_iterator(stream))
        found = list(group_by_keys(files))
    samples = samples_by_key(rich / "dataset")
    assert [s["__key__"] for s in found] == [k for k in samples if samples[k].record.split == "train"]
    for sample in found:
        assert decode_record(sample["json"]) == samples[sample["__key__"]].record
        wanted = samples[sample["__key__"]].labels["post_damage"]
        assert np.array_equal(decode_png(sample["post_damage.png"]), wanted)


def test_classes_are_there_in_colour(rich):
    sample = samples_by_key(rich / "dataset")["atown-flood-000000"]
    coloured = decode_png((rich / "out" / "train" / "atown-flood-000000.post_class_colour.png").read_bytes())
    for kind in (LandClass.BUILDING, LandClass.FLOOD, LandClass.ROAD):
        assert (coloured[sample.labels["post_class"] == kind] == CLASS_COLOURS[kind]).all()


def test_a_table_has_a_row_for_each_sample_of_a_split(rich):
    samples = samples_by_key(rich / "dataset")
    for split, count in (("train", 3), ("test", 2)):
        table = list(csv.DictReader(io.StringIO((rich / "out" / f"{split}.csv").read_text())))
        assert len(table) == count
        for row in table:
            record = samples[row["key"]].record
            assert row["split"] == split
            assert int(row["jds_2"]) == sum(b.jds == 2 for b in record.buildings)
