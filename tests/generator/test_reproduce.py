"""Rendering a sample again: what counts as the same, and where the recipe's files are looked for. Blender is not
needed: what a worker would render is written by hand.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from fake_dataset import SOURCES, fake_recipe, fake_sample

from mage.generator import reproduce as module
from mage.generator.plan import make_plan
from mage.generator.reproduce import compare, relocated, reproduce
from mage.scenes.dataset.index import finish_dataset
from mage.scenes.dataset.schema import Sample
from mage.scenes.dataset.store import LocalStore, write_shard
from mage.scenes.errors import CityError, DatasetError
from mage.scenes.recipe import Recipe

KEY = "testville-flood-000001"


def of_recipe(index, recipe_hash):
    sample = fake_sample(index)
    record = sample.record.model_copy(update={"recipe_hash": recipe_hash})
    return Sample(record, sample.images, sample.labels)


@pytest.fixture
def root(tmp_path):
    """A dataset whose recipe hash is that of its recipe."""
    recipe = fake_recipe(2)
    recipe_hash = make_plan(recipe).recipe_hash
    samples = [of_recipe(i, recipe_hash) for i in range(2)]
    shard = write_shard(LocalStore(tmp_path), "train-000000.tar", samples, recipe_hash)
    finish_dataset(tmp_path, recipe, [shard], module.versions(), SOURCES)
    return tmp_path


def rendering(monkeypatch, change):
    """Let the worker render the sample as it was, with a change."""

    def render(job, folder, _):
        sample = of_recipe(job.first, job.recipe_hash)
        assert job.count == 1
        write_shard(LocalStore(folder), job.name, [change(sample)], job.recipe_hash)

    monkeypatch.setattr(module, "_render", render)


def changed(sample, **rasters):
    labels = {name: rasters.get(name, raster) for name, raster in sample.labels.items()}
    images = {name: rasters.get(name, image) for name, image in sample.images.items()}
    return Sample(sample.record, images, labels)


def test_the_same_sample_is_reproduced_to_the_byte(root, monkeypatch):
    rendering(monkeypatch, lambda sample: sample)
    found = reproduce(root, KEY)
    assert found.ok
    assert found.exact
    assert "equal to the byte" in found.verdict
    assert (found.labels, found.images, found.record, found.versions) == ((), (), (), {})


def test_noise_in_an_image_is_told_in_decibels(root, monkeypatch):
    rendering(monkeypatch, lambda s: changed(s, post=s.images["post"] ^ np.uint8(1)))
    found = reproduce(root, KEY)
    assert found.exact
    assert found.ok
    [image] = found.images
    assert (image.member, image.pixels, image.largest) == ("post", 64 * 64, 1)
    assert image.psnr == pytest.approx(20 * np.log10(255), abs=0.01)  # every value is off by one


def test_another_image_is_not_the_same(root, monkeypatch):
    rendering(monkeypatch, lambda s: changed(s, post=s.images["pre"]))
    found = reproduce(root, KEY)
    assert found.exact
    assert not found.ok


@pytest.mark.parametrize(("pixels", "ok"), [(1, False), (0, True)])
def test_labels_may_differ_in_one_pixel_of_ten_thousand_and_no_more(pixels, ok):
    sample = fake_sample(0, 128)  # 16,384 pixels: one is within, two are not
    height = sample.labels["post_height"].copy()
    height.ravel()[: pixels + 1] += 1
    found = compare(sample, changed(sample, post_height=height), {})
    assert found.ok == ok
    assert not found.exact
    assert ("another family" in found.verdict) == ok
    assert found.labels[0].pixels == pixels + 1


def test_fields_of_the_record_that_differ_are_named(root, monkeypatch):
    def later(sample):
        post = sample.record.post.model_copy(update={"sun_elevation": 1.0})
        return Sample(sample.record.model_copy(update={"post": post}), sample.images, sample.labels)

    rendering(monkeypatch, later)
    found = reproduce(root, KEY)
    assert found.record == ("post.sun_elevation",)
    assert not found.exact


def test_software_of_another_version_is_named():
    sample = fake_sample(0)
    made_with = {**module.versions(), "numpy": "0.0", "gone": "1"}
    found = compare(sample, sample, made_with).versions
    assert found["numpy"] == ("0.0", module.versions()["numpy"])
    assert found["gone"] == ("1", None)
    assert len(found) == 2


def test_a_key_that_there_is_not_is_refused(root):
    with pytest.raises(DatasetError, match="no such sample; expected a key such as testville-flood-000000"):
        reproduce(root, "x")


def test_a_recipe_that_is_another_now_is_refused(tmp_path):
    samples = [of_recipe(0, "0" * 16)]
    shard = write_shard(LocalStore(tmp_path), "train-000000.tar", samples, "0" * 16)
    finish_dataset(tmp_path, fake_recipe(1), [shard], {"numpy": "0.0"}, SOURCES)
    with pytest.raises(DatasetError, match=r"cannot be rendered again.*numpy was 0\.0.*expected recipe hash 0000"):
        reproduce(tmp_path, "testville-flood-000000")


class Manifest:
    def __init__(self, digest):
        self.sources = [{"name": "town.gml", "sha256": digest}]


@pytest.fixture
def town(tmp_path):
    content = b"<CityModel/>"
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/renamed.gml").write_bytes(content)
    (tmp_path / "deep/town.gml").write_bytes(b"another")
    recipe = Recipe.model_validate({"name": "x", "city": {"file": "/nowhere/town.gml"}})
    return recipe, Manifest(hashlib.sha256(content).hexdigest()), tmp_path


def test_a_city_that_is_not_there_is_asked_for_by_name(town):
    recipe, manifest, root = town
    with pytest.raises(CityError, match=r"is not there \(sha256 .*--city-file 'town\.gml=PATH'"):
        relocated(recipe, manifest, {}, root)


@pytest.mark.parametrize("name", ["town.gml", "/nowhere/town.gml"])
def test_a_city_is_found_in_a_folder_by_its_checksum_whatever_its_name(town, name):
    recipe, manifest, root = town
    found = relocated(recipe, manifest, {name: root / "deep"}, root)
    assert found.city.file == str(root / "deep/er/renamed.gml")


def test_a_city_of_other_content_is_refused(town):
    recipe, manifest, root = town
    with pytest.raises(CityError, match="another file than the dataset was made from"):
        relocated(recipe, manifest, {"town.gml": root / "deep/town.gml"}, root)


def test_a_file_that_the_recipe_does_not_name_is_a_mistake(town):
    recipe, manifest, root = town
    with pytest.raises(DatasetError, match="names no such file"):
        relocated(recipe, manifest, {"city.gml": root}, root)
