"""What a model finds in each place of real imagery, by a threshold of that place and without a label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transfer.chips import Chip

from mage.learning import Prediction, place_separability, place_threshold, predict_tile

ADJUSTED = 0.5  # of the logarithm of a grade's mean; of 0, 0.25, 0.5, 0.75 and 1 the best on dev, with 0.75


def likely(model: nn.Module, chips: Iterable[Chip]) -> list[NDArray[np.float32]]:
    """Probabilities (H, W) of a building in the image before of each chip."""
    images = (torch.from_numpy(np.ascontiguousarray(chip.image[[0, 0]])) for chip in chips)
    return [1 - predict_tile(model, image)[0].cpu().numpy() for image in images]


def built_shares(model: nn.Module, chips: Sequence[Chip]) -> dict[str, float]:
    """Share of the pixels of each place that are of buildings, by the place's threshold."""
    found = {}
    for place in sorted({chip.place for chip in chips}):
        values = np.concatenate([p.ravel() for p in likely(model, (c for c in chips if c.place == place))])
        found[place] = float((values >= place_threshold([values])).mean())
    return found


def separability(model: nn.Module, chips: Sequence[Chip]) -> float:
    """How far apart buildings and ground lie, a mean over scenes: a validator that reads no label."""
    scenes = sorted({chip.scene for chip in chips})
    return float(np.mean([place_separability(likely(model, (c for c in chips if c.scene == s))) for s in scenes]))


def grade_means(model: nn.Module, chips: Iterable[Chip], threshold: float) -> NDArray[np.float64]:
    """Mean probability of each grade, (4,), over the pixels of a place that count as building; alike without one."""
    total = np.zeros(4)
    for chip in chips:
        if len(chip.image) > 1:
            p = predict_tile(model, torch.from_numpy(np.ascontiguousarray(chip.image))).cpu().numpy().astype(np.float64)
            built = 1 - p[0] >= threshold
            total += (p[1:, built] / p[1:, built].sum(0)).sum(1)
    return total / total.sum() if total.any() else np.full(4, 0.25)


class Parted(nn.Module):
    """A damage model for one place: what reaches the place's threshold has a probability of a half and more.

    Args:
        model: looked with.
        threshold: of the place.
        means: of each grade over the place, (4,); where they are given, grades that the model seldom says are said more
            often, by half of the logit adjustment (Menon et al. 2021) that would have all grades equally often.
    """

    def __init__(self, model: nn.Module, threshold: float, means: NDArray[np.float64] | None = None) -> None:
        super().__init__()
        self.model, self.grades = model, 4
        self.even = float(np.log(threshold / (1 - threshold)))
        less = np.zeros(4) if means is None else ADJUSTED * np.log(means)
        self.register_buffer("less", torch.from_numpy(less.astype(np.float32)).view(1, 4, 1, 1))

    def forward(self, image: Tensor) -> Prediction:
        """Logits of (N, 2, 3, H, W)."""
        found = self.model(image)
        return found._replace(localisation=found.localisation - self.even, damage=found.damage - self.less)
