"""Grades by how near the flood is, for places where one is found: what xBD's annotators went by.

Of the buildings of Harvey's scene 1, which is of dev, the sound lie 129 m and more from the water in the image, the
minor ones 40 to 181 m and the major ones 27 to 84 m (tenth and ninetieth percentiles; water by a threshold on its
colour), most of them among trees with no water to be seen at the house: what a network can see of a house and its
garden says nothing of that. Water is found by a net of one image that learned from synthetic pairs alone (`more.py`);
the two distances were chosen on dev, where 60 to 90 m and 130 to 220 m do about as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transfer.chips import SIDE, Chip

from mage.learning import Network, Prediction, predict_tile

MAJOR, MINOR = 75.0, 150.0  # metres to the water
NEW = 1000.0  # m² of a scene that are water after and were none before; less is no flood
SMALLEST = 200.0  # m² of water; less is a pool, or a shade
GSD = 0.5  # metres, of Harvey and Ida-BD
SURE = 4.0  # logit of the grade over the others


def distances(net: Network, chips: Sequence[Chip]) -> dict[str, NDArray[np.float32]] | None:
    """Metres (H, W) to the nearest water in the image after, for the chips of one scene by their keys; None where no
    flood is found.
    """
    corners = {chip.key: tuple(map(int, chip.key.split("-")[-2:])) for chip in chips}
    side = tuple(max(corner[axis] for corner in corners.values()) + SIDE for axis in (0, 1))
    images = np.zeros((2, 3, *side), np.uint8)
    for chip in chips:
        images[(..., *_window(corners[chip.key]))] = chip.image
    before, after = (_water(net, image) for image in images)
    if (after & ~before).sum() * GSD**2 < NEW:
        return None
    far = GSD * cv2.distanceTransform((~after).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return {key: far[_window(corner)] for key, corner in corners.items()}


def _window(corner: tuple[int, ...]) -> tuple[slice, slice]:
    return slice(corner[0], corner[0] + SIDE), slice(corner[1], corner[1] + SIDE)


def _water(net: Network, image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where an image (3, H, W) shows water, but for what is narrow or small."""
    wet = predict_tile(net, torch.from_numpy(image))[1].cpu().numpy() > 0.5
    broad = cv2.morphologyEx(wet.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, numbers, figures, _ = cv2.connectedComponentsWithStats(broad)
    large = figures[:, cv2.CC_STAT_AREA] * GSD**2 >= SMALLEST
    large[0] = False
    return np.asarray(large[numbers], bool)


class ByWater(nn.Module):
    """A damage model for one chip, whose grades are those of the distance to water, (H, W) in metres."""

    def __init__(self, model: nn.Module, far: NDArray[np.float32]) -> None:
        super().__init__()
        self.model, self.grades = model, 4
        grade = np.where(far <= MAJOR, 2, np.where(far <= MINOR, 1, 0))
        logits = SURE * (grade == np.arange(4)[:, None, None])
        self.register_buffer("graded", torch.from_numpy(logits.astype(np.float32)))

    def forward(self, image: Tensor) -> Prediction:
        """Logits of (N, 2, 3, H, W)."""
        found = self.model(image)
        return found._replace(damage=self.graded.expand(len(image), -1, -1, -1))
