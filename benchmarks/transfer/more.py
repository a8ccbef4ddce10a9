"""Further tasks on real imagery: change by where a damage net sees buildings, and scores of classes of one image."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transfer.chips import Chip, Chips

from mage.learning import Network, evaluate


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
