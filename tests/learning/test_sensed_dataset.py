"""Images of further sensors come out of a dataset on the pixels of its labels."""

import numpy as np
import pytest
import torch
from fake_dataset import (
    GSD,
    HASH,
    SENSOR,
    SOURCES,
    VERSIONS,
    fake_recipe,
    fake_sample,
    with_event,
    with_sensor,
    write_sensed_dataset,
)

from mage.learning import ShardDataset
from mage.scenes.campaign import Campaign, Event
from mage.scenes.dataset.index import finish_dataset
from mage.scenes.dataset.store import LocalStore, write_shard
from mage.scenes.errors import DatasetError
from mage.scenes.recipe import Recipe


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("sensed") / "dataset"
    write_sensed_dataset(root)
    return root


def test_every_pixel_has_the_value_of_the_sensors_pixel_that_it_lies_in(root):
    sample = ShardDataset(root, images=("drawn-2",))[0]
    image = sample["drawn-2"]
    assert image.shape == (2, 2, 64, 64)
    assert image.dtype == torch.float32
    x = (np.arange(64) + 0.5) * 0.5
    for k, band in enumerate(SENSOR.bands):
        expected = np.minimum(x // band.gsd, int(32 / band.gsd) - 1) / 100
        assert image[0, k, 7].numpy() == pytest.approx(expected, abs=1e-6)


def test_a_crop_cuts_all_images_alike(root):
    whole, cut = (ShardDataset(root, size=size, images=("drawn-2",))[1] for size in (None, 32))
    assert torch.equal(cut["drawn-2"], whole["drawn-2"][..., 16:48, 16:48])
    assert torch.equal(cut["image"], whole["image"][..., 16:48, 16:48])


def test_without_asking_nothing_more_is_read_and_other_names_are_refused(root, drawn):
    assert set(ShardDataset(root)[0]) == {"image", "gsd", "mask", "key"}
    with pytest.raises(DatasetError, match="drawn-2"):
        ShardDataset(root, images=("sentinel-2",))
    with pytest.raises(DatasetError, match="RGB images only"):
        ShardDataset(drawn, images=("drawn-2",))


def test_where_events_differ_in_gsd_every_pixel_has_the_value_of_the_sensors_pixel_that_it_lies_in(tmp_path):
    store, events, shards = LocalStore(tmp_path), [], []
    for k, gsd in enumerate((GSD, 2 * GSD)):
        sample = with_sensor(with_event(fake_sample(0, 60), f"event-{k}", gsd))
        shards.append(write_shard(store, f"train-{k:06d}.tar", [sample], HASH))
        content = fake_recipe(1, 60).model_dump(mode="json")
        content["output"]["gsd"] = gsd
        events.append(Event(Recipe.model_validate(content), HASH, "train", f"event-{k}"))
    finish_dataset(tmp_path, Campaign("two", 0, tuple(events), {"name": "two"}), shards, VERSIONS, SOURCES, [SENSOR])
    dataset = ShardDataset(tmp_path, images=("drawn-2",))
    for k, gsd in enumerate((GSD, 2 * GSD)):
        columns = ((np.arange(60) + 0.5) * gsd / 1.5).astype(int)
        red = dataset[k]["drawn-2"][0, 0, 30].numpy()
        np.testing.assert_allclose(red, columns * 100 / 10_000, atol=1e-6)
