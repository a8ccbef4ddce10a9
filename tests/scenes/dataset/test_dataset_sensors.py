"""Images of further sensors: members of a sample like any other, described in the manifest and verified."""

from __future__ import annotations

import json
import shutil
from functools import partial

import numpy as np
import pytest
from fake_dataset import HASH, SENSOR, SOURCES, VERSIONS, fake_recipe, fake_sample, with_sensor, write_sensed_dataset

from mage.scenes.dataset.codec import decode_sample, encode_sample
from mage.scenes.dataset.index import MANIFEST, finish_dataset, open_dataset
from mage.scenes.dataset.png import encode_png
from mage.scenes.dataset.store import LocalStore, write_shard
from mage.scenes.dataset.tar import TarIndex, write_tar
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.errors import DatasetError

MEMBERS = ["post_drawn-2_red", "post_drawn-2_red-edge", "pre_drawn-2_red", "pre_drawn-2_red-edge"]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    root = tmp_path_factory.mktemp("sensed") / "dataset"
    write_sensed_dataset(root)
    return root


@pytest.fixture
def root(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "dataset")


def test_a_dataset_of_several_sensors_is_whole_and_describes_them(root):
    assert verify_dataset(root).problems == ()
    manifest = open_dataset(root)
    assert [sensor.name for sensor in manifest.sensors] == ["drawn-2"]
    assert sorted(SENSOR.members) == MEMBERS
    assert manifest.fields["pre_drawn-2_red.png"]["dtype"] == "uint16"
    with TarIndex(root / "shards" / "train-000000.tar") as tar:
        key = tar.keys[0]
        assert {f"{name}.png" for name in MEMBERS} <= set(tar.members(key))
        sample = decode_sample(partial(tar.read, key))
    assert sample.bands["pre_drawn-2_red"].shape == (21, 21)  # 32 m in pixels of 1.5 m
    assert sample.bands["post_drawn-2_red-edge"].dtype == np.uint16


def test_images_do_not_count_among_the_labels(root):
    plain = write_shard(LocalStore(root.parent / "plain"), "train-000000.tar", [fake_sample(i) for i in (0, 1)], HASH)
    assert open_dataset(root).shards[0].labels_sha256 == plain.labels_sha256


def test_a_manifest_that_states_another_gsd_or_no_sensor_is_found_out(root):
    path = root / MANIFEST
    content = json.loads(path.read_text())
    content["sensors"][0]["bands"][0]["gsd"] = 2.0
    path.write_text(json.dumps(content))
    assert any("not those of the sensors" in problem for problem in verify_dataset(root).problems)
    content["sensors"] = []
    path.write_text(json.dumps(content))
    assert any("members" in problem for problem in verify_dataset(root).problems)


def test_a_sample_that_lacks_a_band_is_found_out(tmp_path):
    samples = [with_sensor(fake_sample(0, 64)), fake_sample(1, 64)]
    shard = write_shard(LocalStore(tmp_path), "train-000000.tar", samples, HASH)
    finish_dataset(tmp_path, fake_recipe(2, 64), [shard], VERSIONS, SOURCES, [SENSOR])
    problems = verify_dataset(tmp_path).problems
    assert any("members are missing: post_drawn-2_red-edge.png" in problem for problem in problems)


def test_a_raster_of_another_shape_or_depth_than_recorded_is_refused():
    sample = with_sensor(fake_sample(0, 64))
    sample.bands["pre_drawn-2_red"] = np.zeros((20, 21), np.uint16)
    with pytest.raises(DatasetError, match="pre_drawn-2_red does not fit"):
        encode_sample(sample)
    sample.bands["pre_drawn-2_red"] = np.zeros((21, 21), np.uint8)
    with pytest.raises(DatasetError, match="pre_drawn-2_red does not fit"):
        encode_sample(sample)
    del sample.bands["pre_drawn-2_red"]
    with pytest.raises(DatasetError, match="not those of the schema"):
        encode_sample(sample)


@pytest.mark.parametrize("field", ["mid_s_red.png", "pre_s_red.tif", "pre_s_.png", "pre_s-_red.png", "pre_a_b_c.png"])
def test_other_names_stay_refused(tmp_path, field):
    path = tmp_path / "s.tar"
    write_tar(path, [(f"k.{field}", encode_png(np.zeros((2, 2), np.uint8)))])
    with pytest.raises(DatasetError, match="no sample has"):
        TarIndex(path)


def test_a_stated_cloud_cover_that_the_raster_does_not_show_is_found_out(tmp_path):
    sample = fake_sample(0, 64)
    sample.labels["pre_cloud"][:16] = 80
    shard = write_shard(LocalStore(tmp_path), "train-000000.tar", [sample], HASH)
    finish_dataset(tmp_path, fake_recipe(1, 64), [shard], VERSIONS, SOURCES)
    assert any("pre_cloud covers another share" in problem for problem in verify_dataset(tmp_path).problems)
