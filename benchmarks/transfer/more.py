"""Further tasks on real imagery: water by a net of one image, change by where a damage net sees buildings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transfer.chips import Chip, Chips
from transfer.pairs import looks

from mage.learning import (
    EfficientNetLite,
    Network,
    SegmentationNet,
    ShardDataset,
    Supervised,
    bundled_weights,
    evaluate,
    fit,
    load_pretrained,
    open_run,
)
from mage.scenes.dataset.fields import LandClass
from mage.scenes.metrics import IGNORE

WET = (LandClass.WATER, LandClass.FLOOD, LandClass.POOL)


def wet(sample: dict[str, Any]) -> dict[str, Any]:
    """The image after, and where water is its top surface: crowns over water are not."""
    covered = torch.isin(sample["post_class"], torch.tensor([int(c) for c in WET]))
    mask = torch.where(sample["mask"] == IGNORE, IGNORE, covered.to(torch.uint8))
    return {"image": sample["image"][1], "mask": mask, "key": sample["key"]}


def water_net(source: Path, out: Path, steps: int, seed: int) -> Network:
    """A net of one image that sees water, trained on the images after."""
    if not (out / "log.csv").is_file():
        net = SegmentationNet(2, encoder=load_pretrained(EfficientNetLite(0), bundled_weights(0)), seed=seed)
        net.encoder.requires_grad_(False)
        tiles = ShardDataset(source, size=128, labels=("post_class",), transform=wet)
        method = Supervised(net, augment=looks(1.5, far=True, same=0.0))
        fit(method, tiles, out=out, steps=steps, batch=8, lr=2e-3, seed=seed, device="cpu", preview=0)
    return open_run(out).model("cpu")


class Changed(nn.Module):
    """Logits (N, 2, H, W) of change in a pair: how far apart the probabilities of a building are at the two dates, each
    seen alone; a half and more counts as changed.
    """

    classes = 2

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """Logits of (N, 2, 3, H, W)."""
        before, after = (self.model(image[:, [d, d]]).localisation.float().sigmoid() for d in (0, 1))
        apart = (after - before).abs().clamp(1e-6, 1 - 1e-6)
        return torch.cat([(1 - apart).log(), apart.log()], 1)


def ious(model: nn.Module, chips: list[Chip]) -> dict[str, float]:
    """IoU of class 1 for each kind of scene, by the word before the first dash of its name."""
    found = evaluate(model, Chips([_single(chip) for chip in chips]))
    kinds = [key.split("-")[0] for key in found.tiles.keys]
    result = {}
    for kind in sorted(set(kinds)):
        tiles = found.tiles.take([i for i, name in enumerate(kinds) if name == kind])
        result[kind] = _iou(tiles.sums()["confusion"])
    return result


def _single(chip: Chip) -> Chip:
    return Chip(chip.key, chip.scene, chip.image[0], chip.mask) if len(chip.image) == 1 else chip


def _iou(confusion: NDArray[np.int64]) -> float:
    hit = confusion[1, 1]
    return float(hit / max(confusion[1].sum() + confusion[:, 1].sum() - hit, 1))
