"""Where water stands in one image: images of both dates as a training set, water of any colour, and a net of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transfer.pairs import cropped, looks

from mage.learning import (
    EfficientNetLite,
    Run,
    SegmentationNet,
    ShardDataset,
    Supervised,
    bundled_weights,
    fit,
    load_pretrained,
    open_run,
)
from mage.learning.methods import Augment
from mage.learning.real.taxonomy import Taxonomy
from mage.learning.sampling import Draw
from mage.scenes.dataset.fields import LandClass

WET = (LandClass.WATER, LandClass.FLOOD, LandClass.POOL)
ZOOM = 2.0  # crops cover a half to twice their own size of ground
SILT = (1.0, 0.78, 0.5)  # its colour, relative to red


class Waters(ShardDataset):
    """Images before and after, one by one, and where water is their top surface: crowns over water are not.

    A drawn index gives a crop, of :data:`ZOOM` times its size of ground at most, any other a whole image.
    """

    def __init__(self, root: Path, *, crop: int = 128) -> None:
        super().__init__(root, labels=("pre_class", "post_class"))
        self.crop, self.taxonomy = crop, Taxonomy(("dry", "water"), {0: 0, 1: 1})
        self.tiles: dict[int, dict[str, Any]] = {}

    def __len__(self) -> int:
        return 2 * super().__len__()

    @property
    def keys(self) -> list[str]:
        """Of the pairs, each twice."""
        return [key for key in super().keys for _ in range(2)]

    def _locate(self, index: int) -> tuple[int, str]:
        shard = next(n for n, end in enumerate(self._ends) if index < end)
        return shard, self._keys[shard][index - self._ends[shard]]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """An image (3, H, W) and its mask: 1 water, 0 else."""
        pair, date = divmod(int(index), 2)
        if pair not in self.tiles:
            self.tiles[pair] = super().__getitem__(pair)
        tile = self.tiles[pair]
        image = tile["image"][date : date + 1].numpy()
        mask = np.isin(tile[f"{('pre', 'post')[date]}_class"], WET).astype(np.uint8)
        if isinstance(index, Draw):
            image, mask = cropped(image, mask, self.crop, ZOOM, index.rng())
        return {"image": torch.from_numpy(image[0]), "mask": torch.from_numpy(mask), "key": tile["key"]}


def recoloured(share: float) -> Augment:
    """Turns and looks as others have them, before them water of another colour in a ``share`` of the images: from black
    to bright, grey or of silt, and a faint hue, under what is seen in it, since real floods have colours that no
    simulation guesses. None is as green as a lawn.
    """
    look = looks(1.5, far=True, same=0.0)

    def augment(image: Tensor, mask: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        many = len(image)
        light, silt = rng.uniform(0.04, 0.8, (many, 1)), rng.uniform(0, 1, (many, 1))
        hue = rng.uniform(0.85, 1, (many, 3))
        hue[:, 1] = np.minimum(hue[:, 1], np.maximum(hue[:, 0], hue[:, 2]))
        colour = torch.from_numpy(light * hue * (1 - silt + silt * np.array(SILT))).to(image.dtype)[..., None, None]
        by = torch.from_numpy(rng.uniform(0.3, 0.95, many) * (rng.random(many) < share)).to(image.dtype)
        wet = (mask == 1).to(image.dtype)[:, None]
        mean = (image * wet).sum((2, 3), keepdim=True) / wet.sum((2, 3), keepdim=True).clamp(min=1)
        image = (image + wet * by[:, None, None, None] * (colour - mean)).clamp(0, 1)
        return look(image, mask, rng)

    return augment


def water_run(source: Path, out: Path, *, steps: int, seed: int) -> Run:
    """The run of a net of one image that sees water, trained where it is not there yet: on four scales of an encoder
    that stays as ImageNet made it, but for the statistics of its BatchNorm.
    """
    if not (out / "log.csv").is_file():
        encoder = load_pretrained(EfficientNetLite(0, scales=4), bundled_weights(0))
        net = SegmentationNet(2, encoder=encoder, seed=seed)
        net.encoder.requires_grad_(False)
        method = Supervised(net, augment=recoloured(0.6))
        fit(method, Waters(source), out=out, steps=steps, batch=8, lr=2e-3, seed=seed, device="cpu", preview=0)
    return open_run(out)
