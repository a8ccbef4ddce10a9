"""Synthetic pairs as a training set: crops of any scale from tiles in memory, labels exact or as annotators drew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mage.learning import ShardDataset
from mage.learning.augmentation import dihedral, jitter
from mage.learning.methods import Augment
from mage.learning.sampling import Draw
from mage.learning.translate.translator import style_rng
from mage.learning.views import blur
from mage.scenes.metrics import IGNORE

Colours = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]


class Pairs(ShardDataset):
    """Crops of 128 px out of a dataset's tiles.

    Args:
        root: the dataset.
        annotated: the labels are what annotators would have drawn; else the exact ones.
        zoom: crops cover 1 / zoom to zoom times their own size of ground, drawn over the logarithm; 1 never scales.
        kept: which samples, by their row in the dataset's index; None takes all.
        colours: changes the images of a crop, both dates alike.
    """

    def __init__(
        self,
        root: Path,
        *,
        annotated: bool,
        zoom: float = 1.0,
        kept: Callable[[str], bool] | None = None,
        colours: Colours | None = None,
        crop: int = 128,
    ) -> None:
        label = ("post_annotated",) if annotated else ()
        super().__init__(root, labels=(*label, "post_flood"))
        self.annotated, self.zoom, self.colours, self.crop = annotated, zoom, colours, crop
        self.chosen = [i for i, key in enumerate(super().keys) if kept is None or kept(key)]
        self.tiles: dict[int, dict[str, Any]] = {}

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def keys(self) -> list[str]:
        """Of the samples that are kept."""
        keys = super().keys
        return [keys[i] for i in self.chosen]

    def _locate(self, index: int) -> tuple[int, str]:
        position = self.chosen[int(index)]
        shard = next(n for n, end in enumerate(self._ends) if position < end)
        return shard, self._keys[shard][position - self._ends[shard]]

    def tile(self, index: int) -> dict[str, Any]:
        """A whole tile, with the mask that is asked for."""
        if int(index) not in self.tiles:
            sample = super().__getitem__(int(index))
            if self.annotated:
                sample["mask"] = sample.pop("post_annotated").to(torch.uint8)
            self.tiles[int(index)] = sample
        return self.tiles[int(index)]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A crop where the index is drawn, else the whole tile."""
        sample = self.tile(index)
        if not isinstance(index, Draw):
            return sample
        rng = index.rng()
        image, mask = cropped(sample["image"].numpy(), sample["mask"].numpy(), self.crop, self.zoom, rng)
        if self.colours is not None:
            image = self.colours(image, style_rng(index))
        return {"image": torch.from_numpy(image), "mask": torch.from_numpy(mask), "key": sample["key"]}


def cropped(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], crop: int, zoom: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A square of (T, 3, H, W) and (H, W), brought to ``crop`` pixels; the mask by nearest values."""
    side = min(round(crop * zoom ** rng.uniform(-1, 1)), *mask.shape)
    row, column = rng.integers(0, np.array(mask.shape) - side, endpoint=True)
    window = (..., slice(row, row + side), slice(column, column + side))
    image, mask = np.ascontiguousarray(image[window]), np.ascontiguousarray(mask[window])
    if side == crop:
        return image, mask
    how = cv2.INTER_AREA if side > crop else cv2.INTER_LINEAR
    dates = [cv2.resize(date.transpose(1, 2, 0), (crop, crop), interpolation=how) for date in image]
    small = cv2.resize(mask, (crop, crop), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.ascontiguousarray(np.stack(dates).transpose(0, 3, 1, 2)), small


def looks(strength: float, far: bool, same: float) -> Augment:
    """Turns and mirrors, then light and colour.

    Args:
        strength: of the library's jitter, 1 as it is by default.
        far: beyond it grey images, blur and other gamma curves, each date by itself.
        same: share of pairs whose second date is the first, and whose grades are not learned: an image alone must do
            to see where buildings are.
    """

    def augment(image: torch.Tensor, mask: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        image, mask = dihedral(image, mask, rng)
        if same:
            alone = torch.from_numpy(rng.random(len(image)) < same)
            image = torch.where(alone.view(-1, 1, 1, 1, 1), image[:, :1], image)
            mask = torch.where(alone.view(-1, 1, 1) & (mask > 0) & (mask != IGNORE), 1, mask.long())
        image = jitter(image, rng, strength)
        return (_far(image, rng) if far else image), mask

    return augment


def _far(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    if image.ndim == 4:
        return _far(image[:, None], rng)[:, 0]
    dates = image.shape[:2]
    gamma = torch.from_numpy(np.exp(rng.uniform(-0.4, 0.4, dates))).to(image.dtype)[..., None, None, None]
    image = image.clamp(min=1e-3) ** gamma
    grey = torch.from_numpy(rng.random(dates) < 0.15)[..., None, None, None]
    image = torch.where(grey, image.mean(2, keepdim=True), image)
    mixing = torch.from_numpy(rng.uniform(0.0, 0.35, dates)).to(image.dtype)[..., None, None, None]
    image = image + mixing * (image.mean(2, keepdim=True) - image)
    return blur(image, torch.from_numpy(rng.uniform(0.1, 1.2, dates) * (rng.random(dates) < 0.4)))
