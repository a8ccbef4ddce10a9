"""Losses in float32, whatever precision the network ran in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.heads import Prediction
from mage.learning.names import Head
from mage.scenes.errors import ModelError
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
    """The losses of a labelled batch, scalars: :func:`damage_losses` of a damage model's prediction and
    :func:`further_losses` of its further heads; ``segmentation``, the weighted mean cross-entropy, of plain logits.

    Args:
        output: what the model returned: a :class:`Prediction`, or logits (N, classes, H, W).
        mask: (N, H, W) integers, 255 ignored; or (N, K, H, W), the labels of further heads behind it.
        weights: (grades,) of a prediction, (classes,) of logits; None weighs all alike.

    Raises:
        ModelError: the labels of a further head are not there.

    >>> found = supervised_losses(torch.zeros(1, 2, 1, 1), torch.zeros(1, 1, 1).long())
    >>> round(found["segmentation"].item(), 4)  # log 2
    0.6931
    """
    whole, mask = mask, main_mask(mask)
    if isinstance(output, Prediction):
        return damage_losses(output, mask, weights) | further_losses(output, whole)
    valid = mask != IGNORE
    label = torch.where(valid, mask.long(), 0)
    share = valid.float() if weights is None else weights[label] * valid
    entropy = F.cross_entropy(output.float(), label, reduction="none")
    return {"segmentation": (entropy * share).sum() / share.sum().clamp(min=torch.finfo(torch.float32).tiny)}


def main_mask(mask: Tensor) -> Tensor:
    """The mask (N, H, W) of one that may hold the labels of further heads, (N, K, H, W)."""
    return mask if mask.ndim == 3 else mask[:, 0]


def further_losses(prediction: Prediction, mask: Tensor) -> dict[str, Tensor]:
    """The losses of the further heads that a prediction has, scalars by the head's name.

    Pixels count where the mask is not 255 (outside of the tile) and the head's labels are not missing.

    Args:
        prediction: logits.
        mask: (N, 1 + labels, H, W) integers: the mask, then what each head wants (see :class:`Head`), in the order of
            the heads, negative where it is missing.

    Raises:
        ModelError: there are labels of other heads, or none.
    """
    heads = prediction.further()
    planes = mask.shape[1] - 1 if mask.ndim == 4 else 0
    if planes != (wanted := sum(len(head.wants) for head in heads)):
        raise ModelError(
            "the model's further heads and the labels differ: this loss needs those of all heads and no others",
            expected=", ".join(name for head in heads for name in head.wants) or "none",
            found=f"{planes} labels of {wanted}",
        )
    losses, first = {}, 1
    outside = main_mask(mask) == IGNORE
    with torch.autocast(mask.device.type, enabled=False):
        for head, logits in heads.items():
            labels = mask[:, first : first + len(head.wants)].masked_fill(outside[:, None], -1)
            first += len(head.wants)
            losses[str(head)] = LOSSES[head](logits, labels)
    return losses


def flood_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy plus soft Dice of water, (N, 1, H, W) both; negative labels are missing."""
    return localisation_loss(logits, torch.where(labels[:, 0] < 0, IGNORE, (labels[:, 0] > 0).int()))


def height_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean smooth L1 distance of log(1 + metres), so that a metre counts more of a shed than of a tower; 0 where all
    is missing.

    Args:
        logits: (N, 2, H, W), log(1 + metres) before and after.
        labels: (N, 2, H, W) integers, centimetres, negative where missing.
    """
    there = labels >= 0
    wanted = (labels.clamp(min=0).float() / 100).log1p()
    away = F.smooth_l1_loss(logits.float(), wanted, reduction="none")
    return (away * there).sum() / there.sum().clamp(min=1)


def road_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of no road, an open and a blocked one; 0 where all is missing.

    Args:
        logits: (N, 3, H, W).
        labels: (N, 2, H, W) integers: number of the road, 0 where there is none, and whether it is blocked; either is
            negative where missing.
    """
    there = (labels >= 0).all(1)
    road = labels[:, 0] > 0
    state = torch.where(road, 1 + (labels[:, 1] > 0).long(), 0)
    entropy = F.cross_entropy(logits.float(), state, reduction="none")
    return (entropy * there).sum() / there.sum().clamp(min=1)


LOSSES = {Head.FLOOD: flood_loss, Head.HEIGHT: height_loss, Head.ROAD: road_loss}


def log_probabilities(output: Prediction | Tensor) -> Tensor:
    """Logarithms of the class probabilities, (N, classes, H, W) float32, of what a model returned: a prediction that
    has them, or plain logits.

    >>> log_probabilities(torch.zeros(1, 2, 1, 1)).exp().flatten()
    tensor([0.5000, 0.5000])
    """
    return output.float().log_softmax(1) if isinstance(output, Tensor) else output.log_probabilities()


def predicted_classes(output: Prediction | Tensor) -> Tensor:
    """The class map, integers (N, H, W), of what a model returned: of logits the highest; of a damage model's
    prediction, as :func:`~mage.learning.classify` does it, 0 where no building is likelier than one, else 1 + grade.
    """
    if isinstance(output, Prediction):
        return torch.where(output.localisation[:, 0] >= 0, output.damage.argmax(1) + 1, 0)
    return log_probabilities(output).argmax(1)


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


def grade_weights(counts: Sequence[int] | NDArray[np.integer[Any]]) -> list[float]:
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
