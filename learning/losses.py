"""Losses in float32, whatever precision the network ran in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.segment import Prediction
from mage.scenes.metrics import IGNORE


def damage_losses(prediction: Prediction, mask: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
    """The two losses of a batch, scalars: ``localisation`` and ``damage``; their sum is what is minimised.

    Args:
        prediction: logits.
        mask: (N, H, W) integers, 0 background, 1 + grade on buildings, 255 ignored.
        weights: (grades,) weight of each grade, see :func:`grade_weights`; None weighs all alike.
    """
    with torch.autocast(mask.device.type, enabled=False):
        return {
            "localisation": localisation_loss(prediction.localisation, mask),
            "damage": damage_loss(prediction.damage, mask, weights),
        }


def localisation_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy plus soft Dice over the batch's pixels, ignored ones left out.

    Dice counts the batch as one picture: per image it would jump where an image holds no building.
    """
    valid = (mask != IGNORE).float()
    target = (mask > 0).float() * valid
    score = logits[:, 0].float()
    entropy = F.binary_cross_entropy_with_logits(score, target, weight=valid, reduction="sum") / valid.sum().clamp(1)
    found = score.sigmoid() * valid
    dice = 1 - (2 * (found * target).sum() + 1) / (found.sum() + target.sum() + 1)
    return entropy + dice


def damage_loss(logits: Tensor, mask: Tensor, weights: Tensor | None = None) -> Tensor:
    """Weighted cross-entropy over building pixels; 0 (and no gradient) for a batch without buildings."""
    building = (mask > 0) & (mask != IGNORE)
    grade = torch.where(building, mask.long() - 1, 0)
    weights = torch.ones(logits.shape[1], device=logits.device) if weights is None else weights
    share = weights[grade] * building
    entropy = F.cross_entropy(logits.float(), grade, reduction="none")
    return (entropy * share).sum() / share.sum().clamp(min=torch.finfo(torch.float32).tiny)


def grade_weights(counts: Sequence[int]) -> list[float]:
    """Weight of each grade from how often it occurs: inverse square root of the frequency, 1 on average.

    The root lies between no weighting, which drowns rare grades, and inverse frequency, which lets a handful of
    buildings of a rare grade steer all. A grade that does not occur gets the weight of the rarest that does.
    """
    number = np.asarray(counts, np.float64)
    present = number[number > 0]
    if not len(present):
        return [1.0] * len(number)
    rarity = 1 / np.sqrt(np.where(number > 0, number, present.min()))
    return [float(w) for w in rarity * number.sum() / (rarity * number).sum()]
