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

    >>> flat = Prediction(torch.zeros(1, 1, 2, 2), torch.zeros(1, 4, 2, 2))
    >>> round(damage_losses(flat, torch.ones(1, 2, 2).long())["damage"].item(), 4)  # log 4
    1.3863
    """
    with torch.autocast(mask.device.type, enabled=False):
        return {
            "localisation": localisation_loss(prediction.localisation, mask),
            "damage": damage_loss(prediction.damage, mask, weights),
        }


def supervised_losses(output: Prediction | Tensor, mask: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
    """The losses of a labelled batch, scalars: :func:`damage_losses` of a damage model's prediction, and
    ``segmentation``, the weighted mean cross-entropy, of plain logits.

    Args:
        output: what the model returned: a :class:`Prediction`, or logits (N, classes, H, W).
        mask: (N, H, W) integers, 255 ignored.
        weights: (grades,) of a prediction, (classes,) of logits; None weighs all alike.

    >>> found = supervised_losses(torch.zeros(1, 2, 1, 1), torch.zeros(1, 1, 1).long())
    >>> round(found["segmentation"].item(), 4)  # log 2
    0.6931
    """
    if isinstance(output, Prediction):
        return damage_losses(output, mask, weights)
    valid = mask != IGNORE
    label = torch.where(valid, mask.long(), 0)
    share = valid.float() if weights is None else weights[label] * valid
    entropy = F.cross_entropy(output.float(), label, reduction="none")
    return {"segmentation": (entropy * share).sum() / share.sum().clamp(min=torch.finfo(torch.float32).tiny)}


def log_probabilities(output: Prediction | Tensor) -> Tensor:
    """Logarithms of the class probabilities, (N, classes, H, W) float32, of what a model returned: a prediction that
    has them, or plain logits.

    >>> log_probabilities(torch.zeros(1, 2, 1, 1)).exp().flatten()
    tensor([0.5000, 0.5000])
    """
    return output.float().log_softmax(1) if isinstance(output, Tensor) else output.log_probabilities()


def surprise(log_p: Tensor, label: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of labels that are not sure, a scalar: the mean over all pixels of weight · -log p[label].

    Unlike a weighted mean it shrinks with the weights: a batch of which little is sure teaches little.

    Args:
        log_p: (N, classes, H, W).
        label: (N, H, W) integers; 255 counts as weight 0.
        weight: (N, H, W), or of a shape that broadcasts to it.

    >>> log_p, label = torch.zeros(1, 2, 1, 1).log_softmax(1), torch.zeros(1, 1, 1).long()
    >>> round(surprise(log_p, label, torch.full((1, 1, 1), 0.5)).item(), 4)
    0.3466
    """
    valid = label != IGNORE
    label = torch.where(valid, label.long(), 0)
    return -(log_p.gather(1, label[:, None])[:, 0] * (weight * valid)).mean()


def entropy(log_p: Tensor) -> Tensor:
    """Shannon entropy of each pixel, (N, H, W), in nats, of :func:`log_probabilities`, (N, classes, H, W).

    >>> entropy(log_probabilities(torch.zeros(1, 2, 1, 1)))
    tensor([[[0.6931]]])
    """
    return -(log_p.exp() * log_p).sum(1)


def pseudo_labels(log_p: Tensor) -> tuple[Tensor, Tensor]:
    """The likeliest class of each pixel and its probability, (N, H, W) each, without a gradient.

    >>> label, confidence = pseudo_labels(torch.tensor([0.25, 0.75]).log().view(1, 2, 1, 1))
    >>> label.item(), round(confidence.item(), 2)
    (1, 0.75)
    """
    confidence, label = log_p.detach().max(1)
    return label, confidence.exp()


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

    >>> [round(weight, 2) for weight in grade_weights([900, 100])]
    [0.83, 2.5]
    """
    number = np.asarray(counts, np.float64)
    present = number[number > 0]
    if not len(present):
        return [1.0] * len(number)
    rarity = 1 / np.sqrt(np.where(number > 0, number, present.min()))
    return [float(w) for w in rarity * number.sum() / (rarity * number).sum()]
