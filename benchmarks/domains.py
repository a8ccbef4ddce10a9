"""Two toy domains, rendered once: labelled tiles of one sensor and style, and tiles of another, hazy one.

What `adaptation.py` and `translation.py` share. The source is a suburb in June and July on clear days, in the look of
xBD's images; the target a European suburb in October under haze, in the look of airborne ones. The labelled tiles that
methods are measured on are of another city of the target's kind. Land cover in five classes, dates as images of their
own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit
from torch.utils.data import Dataset

from mage.generator.generate import generate
from mage.generator.plan import make_plan
from mage.learning import ShardDataset
from mage.learning.sampling import Draw
from mage.learning.seeds import seeded
from mage.scenes.dataset.fields import LandClass
from mage.scenes.metrics import IGNORE
from mage.scenes.recipe import Recipe, read_recipe

CLASSES = ("ground", "building", "sealed", "tree", "water")
CROP = 64  # pixels; tiles have 96, of 1 m
SEALED = (LandClass.ROAD, LandClass.PAVED, LandClass.RAIL, LandClass.VEHICLE)
TABLE = np.zeros(256, np.uint8)
TABLE[LandClass.NODATA], TABLE[LandClass.BUILDING] = IGNORE, 1
TABLE[list(SEALED)], TABLE[LandClass.TREE] = 2, 3
TABLE[[LandClass.WATER, LandClass.FLOOD, LandClass.POOL]] = 4

SHARED = {
    "output.size": 96,
    "output.gsd": 1.0,
    "output.shard_size": 8,
    "render.quality": "draft",
    "city.extent": 500,
    "hazard.share": [0.1, 0.3],
}
FOREIGN = {
    "city.style": "suburb",
    "radiometry": "airborne",
    "atmosphere.haze": [0.03, 0.1],
    "light.pre": "2023-09-05",
    "light.post": "2023-09-20",
}
DOMAINS: dict[str, dict[str, Any]] = {
    "source": {"city.style": "suburb", "city.seed": 11, "count": 40},
    "target": FOREIGN | {"city.seed": 21, "count": 28},
    "test": FOREIGN | {"city.seed": 22, "count": 16},
}


class Tiles(Dataset[dict[str, Any]]):
    """Images, uint8 (N, 3, H, W), and masks, uint8 (N, H, W), in memory; drawn indices crop at random, plain ones give
    whole tiles.
    """

    def __init__(self, images: Tensor, masks: Tensor) -> None:
        self.images, self.masks = images, masks

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The tile or crop at this index."""
        image, mask = self.images[int(index)], self.masks[int(index)]
        if isinstance(index, Draw):
            row, column = index.rng().integers(0, np.array(mask.shape) - CROP, endpoint=True)
            window = (..., slice(row, row + CROP), slice(column, column + CROP))
            image, mask = image[window], mask[window]
        return {"image": image, "mask": mask}


def recipe_of(name: str) -> Recipe:
    """The recipe of a domain's tiles."""
    return read_recipe("flood", SHARED | DOMAINS[name])


def rendered(name: str, folder: Path) -> Path:
    """A domain's dataset, rendered where it is not there yet; a folder for each recipe."""
    recipe = recipe_of(name)
    root = folder / f"{name}-{make_plan(recipe).jobs[0].recipe_hash}"
    if not (root / "dataset.json").exists():
        generate(recipe, root, say=print, progress=True)
    return root


def tiles(name: str, folder: Path) -> Tiles:
    """A domain's tiles: before and after the flood of each place, one after the other."""
    dataset = ShardDataset(rendered(name, folder), labels=("pre_class", "post_class"))
    samples = [dataset[index] for index in range(len(dataset))]
    masks = [torch.stack([s["pre_class"], s["post_class"]]).numpy() for s in samples]
    return Tiles(torch.cat([s["image"] for s in samples]), torch.from_numpy(TABLE[np.concatenate(masks)]))


class SmallNet(nn.Module):
    """A U-Net of three scales with BatchNorm, whose statistics AdaBN and Tent adapt; logits of the classes."""

    classes = len(CLASSES)

    def __init__(self, width: int = 8, *, seed: int = 0) -> None:
        super().__init__()
        self.channels = (width, 2 * width, 4 * width)
        with seeded(seed):
            self.down = nn.ModuleList(
                _stage(i, o) for i, o in zip((3, *self.channels[:-1]), self.channels, strict=True)
            )
            self.up = nn.ModuleList(
                _layer(self.channels[n] + self.channels[n + 1], self.channels[n]) for n in reversed(range(2))
            )
            self.head = nn.Conv2d(width, self.classes * 4, 3, padding=1)

    def features(self, image: Tensor) -> list[Tensor]:
        """At strides 2, 4 and 8, of images (N, 3, H, W) whose sides are multiples of 8."""
        x, found = (image - 0.5) / 0.25, []
        for stage in self.down:
            x = stage(x)
            found.append(x)
        return found

    def decode(self, features: list[Tensor], size: tuple[int, int]) -> Tensor:  # noqa: ARG002 - sides are multiples
        """Logits (N, classes, H, W)."""
        x = features[-1]
        for layer, skip in zip(self.up, reversed(features[:-1]), strict=True):
            x = layer(torch.cat([skip, F.interpolate(x, scale_factor=2.0, mode="nearest")], 1))
        return F.pixel_shuffle(self.head(x), 2)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of images."""
        return self.decode(self.features(image), (image.shape[-2], image.shape[-1]))


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_layer(inputs, outputs, 2), _layer(outputs, outputs))


def ious(model: nn.Module, where: Tiles, batch: int = 16) -> list[float]:
    """IoU of each class over all pixels of whole tiles, by running statistics; NaN for a class that is not there."""
    confusion = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.int64)
    model.eval()
    with torch.inference_mode():
        for first in range(0, len(where), batch):
            image, mask = where.images[first : first + batch].float() / 255, where.masks[first : first + batch].long()
            valid = mask != IGNORE
            pairs = mask[valid] * len(CLASSES) + model(image).argmax(1)[valid]
            confusion += torch.bincount(pairs, minlength=confusion.numel()).view_as(confusion)
    hit = confusion.diagonal().double()
    union = confusion.sum(0) + confusion.sum(1) - hit
    return torch.where(confusion.sum(1) > 0, hit / union.clamp(min=1), torch.nan).tolist()
