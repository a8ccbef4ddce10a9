"""How well a density tells imagery apart: hazy and blurred tiles of the same places, and real ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from fake_dataset import write_fake_dataset

from mage.learning import ShardDataset, SiameseDamageNet, Supervised, auroc, fit, fit_density
from mage.learning.pictures import read_picture

SIDE = 96


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A density of a trained model, and tiles like its training."""
    root = tmp_path_factory.mktemp("told")
    for name, seed, count in (("train", 0, 40), ("held", 1, 20), ("other", 2, 20)):
        write_fake_dataset(root / name, count=count, size=SIDE, shard_size=10, seed=seed)
    run = fit(
        Supervised(SiameseDamageNet(6)), ShardDataset(root / "train", size=64), out=root / "run", steps=100, batch=4,
        lr=0.003, device="cpu",
    )  # fmt: skip
    train, held, other = (ShardDataset(root / name) for name in ("train", "held", "other"))
    density = fit_density(run.model("cpu"), train, held, window=48)
    return density, [sample["image"] for sample in other]


def scores(density, images):
    return np.array([density.score(image) for image in images])


def blurred(image):
    return torch.from_numpy(np.stack([[cv2.GaussianBlur(b, (0, 0), 1.0) for b in date] for date in image.numpy()]))


@pytest.mark.long
def test_haze_and_blur_are_told_from_other_tiles_of_the_same_kind(told):
    density, usual = told
    inside = scores(density, usual)
    assert np.mean(inside > density.threshold) <= 0.2
    hazy = [(image.float() * 0.85 + 30).byte() for image in usual]
    for changed in (hazy, [blurred(image) for image in usual]):
        assert auroc(inside, scores(density, changed)) > 0.95


@pytest.mark.long
@pytest.mark.parametrize("place", ["xbd_harvey/00000000", "idabd/1-3"])
def test_real_pairs_are_told_from_drawn_ones(told, shared_data, place):
    density, usual = told
    dates = np.stack(
        [read_picture(shared_data / "damage" / f"{place}_{date}.png")[:768, :768] for date in ("pre", "post")]
    )
    pair = torch.from_numpy(dates.transpose(0, 3, 1, 2).copy())
    crops = [pair[..., r : r + SIDE, c : c + SIDE] for r in range(0, 672, SIDE) for c in range(0, 672, SIDE)]
    assert auroc(scores(density, usual), scores(density, crops)) > 0.98
