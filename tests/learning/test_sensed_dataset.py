"""Images of further sensors come out of a dataset on the pixels of its labels."""

import numpy as np
import pytest
import torch
from fake_dataset import SENSOR, write_sensed_dataset

from mage.learning import ShardDataset
from mage.scenes.errors import DatasetError


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
    assert set(ShardDataset(root)[0]) == {"image", "mask", "key"}
    with pytest.raises(DatasetError, match="drawn-2"):
        ShardDataset(root, images=("sentinel-2",))
    with pytest.raises(DatasetError, match="RGB images only"):
        ShardDataset(drawn, images=("drawn-2",))
