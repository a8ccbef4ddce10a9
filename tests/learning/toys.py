"""Networks and streams so small that what a method does can be worked out by hand."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from mage.learning import Batch

CLASSES, SIDE = 3, 16


class ToyNet(nn.Module):
    """Two convolutions with BatchNorm between, features and decoder apart; logits of 3 classes."""

    classes, channels = CLASSES, (8,)

    def __init__(self, seed=0, bands=3):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = nn.Sequential(nn.Conv2d(bands, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
            self.head = nn.Conv2d(8, CLASSES, 1)

    def features(self, image):
        return [self.encoder(image)]

    def decode(self, features, size):
        return nn.functional.interpolate(self.head(features[-1]), size=size, mode="nearest")

    def forward(self, image):
        return self.decode(self.features(image), image.shape[-2:])


class Fixed(nn.Module):
    """Returns the logits it was given, of as many images as it is shown; counts how it is called."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)
        self.seen = []

    def forward(self, image):
        self.seen.append(image)
        return self.logits[: len(image)]


class Stripes(torch.utils.data.Dataset):
    """Columns of three classes in three greys, brighter by ``light``: a domain shift that one can see."""

    def __init__(self, n=6, light=0.0, side=SIDE):
        self.n, self.light, self.side = n, light, side

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        rng = np.random.default_rng(int(index))
        mask = torch.from_numpy(rng.integers(0, CLASSES, self.side)).expand(self.side, self.side)
        noise = torch.from_numpy(rng.random((3, self.side, self.side), np.float32)) * 0.1
        return {"image": (mask * 0.25 + self.light + noise).float(), "mask": mask}


class Pairs(Stripes):
    """Stripes at two dates, the second darker and with a square of rubble in every other place; with a GSD, and at each
    date a height in cm.
    """

    def __getitem__(self, index):
        tile = super().__getitem__(index)
        before, after, half = tile["image"], tile["image"] * 0.8, self.side // 2
        if int(index) % 2:
            after[:, :half, :half] = torch.rand(half, half, generator=torch.Generator().manual_seed(int(index)))
        height = tile["mask"].int() * 500
        heights = {"pre_height": height, "post_height": height // 2}
        return {"image": torch.stack([before, after]), "mask": tile["mask"], "gsd": torch.tensor(0.5)} | heights


def pairs(n=4, side=SIDE):
    """A collated batch of pairs."""
    tiles = [Pairs(n, side=side)[index] for index in range(n)]
    return {name: torch.stack([tile[name] for tile in tiles]) for name in tiles[0]}


def stream(n=2, light=0.0, side=SIDE):
    """A collated batch of stripes."""
    tiles = [Stripes(n, light, side)[index] for index in range(n)]
    return {name: torch.stack([tile[name] for tile in tiles]) for name in ("image", "mask")}


def batch(n=2, seed=0, progress=0.5, **streams):
    """A batch of source and brighter unlabelled stripes, or of the streams given."""
    there = streams or {"source": stream(n), "unlabelled": {"image": stream(n, 0.3)["image"]}}
    return Batch(np.random.default_rng(seed), progress=progress, **there)


def plain(image, mask, rng):
    """No augmentation."""
    return image, mask
