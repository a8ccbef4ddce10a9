"""CorrMatch: labels spread to where the features are alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.augmentation import augment
from mage.learning.losses import log_probabilities, pseudo_labels, supervised_losses, surprise
from mage.learning.methods import Augment, Batch, Supervised, featured
from mage.learning.seeds import seeded
from mage.learning.views import channel_masks, cut_mix, strong

ALIKE = 0.5  # from which on a normalised correlation puts a place into a region


class Seen(NamedTuple):
    """What a model with correlation makes of images: log probabilities, those that the correlation spread, both
    (N, classes, H, W), and the correlation of places, (N, places, places), rows summing to 1, on their grid (h, w).
    """

    log_p: Tensor
    spread: Tensor
    correlation: Tensor
    grid: tuple[int, int]


class CorrMatch(Supervised):
    """Label propagation by correlation (Sun et al. 2024, equations 3 to 10).

    Of the coarsest features, two 1x1 convolutions make maps f1, f2 with as many channels as classes, D; the
    correlation C = softmax(f1ᵀ f2 / √D) spreads logits, z = C y, and z is supervised as y is. Rows of C, drawn at
    random and made binary, are regions: one that is sure for the most part and of one class becomes so as a whole. What
    counts as sure adapts: the threshold follows the mean over classes of the highest confidence.

    L = (L_s + L_u) / 2, L_s = (H(y) + H(z)) / 2, and L_u is the mean of four: ``hard``, a strong view with a box of
    another image against the labels after spreading; ``soft``, its divergence from the weak view's probabilities;
    ``features``, the weak view with dropped channels; ``correlation``, z of both views.

    Args:
        model: with ``features``, ``decode`` and ``channels``, as :class:`~mage.learning.SiameseDamageNet` has.
        classes: None takes the model's ``classes``.
        threshold: to begin with; the paper's is 0.85.
        momentum: of the threshold; the paper's is 0.999.
        regions: rows of C that are drawn; the paper's are 128.
        seed: of the convolutions' first weights.
        weights: of each class in the supervised loss of y.
        augment: of labelled and unlabelled images.

    Raises:
        ModelError: the model's features cannot be had apart, or the number of classes is not known.

    >>> from mage.learning import SiameseDamageNet
    >>> CorrMatch(SiameseDamageNet(width=4)).settings()["threshold"]
    0.85
    """

    needs = ("unlabelled",)
    sure_from: Tensor

    def __init__(
        self,
        model: nn.Module,
        classes: int | None = None,
        *,
        threshold: float = 0.85,
        momentum: float = 0.999,
        regions: int = 128,
        seed: int = 0,
        weights: Sequence[float] | None = None,
        augment: Augment = augment,
    ) -> None:
        super().__init__(model, weights=weights, augment=augment)
        self.threshold, self.momentum, self.regions, self.seed = threshold, momentum, regions, seed
        number, channels = self.number(classes), featured(model).channels[-1]
        with seeded(seed):
            self.f1, self.f2 = (nn.Conv2d(channels, number, 1) for _ in range(2))
        self.register_buffer("sure_from", torch.tensor(threshold))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """A quarter of the supervised losses, of y and (``spread``) of z, and the four of unlabelled images."""
        image, mask = self.learned(batch)
        _, output, seen = self._see(image)
        losses = {name: loss / 4 for name, loss in supervised_losses(output, mask, self.weights).items()}
        losses["spread"] = supervised_losses(seen.spread, mask)["segmentation"] / 4
        weak = self.weak(batch)
        features, _, seen = self._see(weak)
        label, confidence = pseudo_labels(seen.log_p)
        self._follow(label, confidence)
        sure = confidence >= self.sure_from
        unlabelled = self._strong(weak, seen, label, sure, batch)
        unlabelled["correlation"] = (unlabelled["correlation"] + surprise(seen.spread, label, sure)) / 2
        unlabelled["features"] = self._dropped(features, weak, label, sure, batch)
        return losses | {name: loss / 8 for name, loss in unlabelled.items()}

    def _strong(self, weak: Tensor, seen: Seen, label: Tensor, sure: Tensor, batch: Batch) -> dict[str, Tensor]:
        regions = self._regions(seen, label.shape[-2:], batch.rng)
        wide, taken = spread_regions(label, sure, regions, self.sure_from, seen.log_p.shape[1])
        tensors = (strong(weak, batch.rng), wide, taken, sure, seen.log_p.detach())
        view, wide, taken, sure, wanted = cut_mix(batch.rng, *tensors)
        found = self._see(view)[2]
        divergence = (wanted.exp() * (wanted - found.log_p)).sum(1)
        return {
            "hard": surprise(found.log_p, wide, taken),
            "soft": (divergence * sure).mean(),
            "correlation": surprise(found.spread, wide, taken),
        }

    def _dropped(self, features: list[Tensor], image: Tensor, label: Tensor, sure: Tensor, batch: Batch) -> Tensor:
        kept = [f * mask for f, mask in zip(features, channel_masks(features, batch.rng), strict=True)]
        output = featured(self.model).decode(kept, (image.shape[-2], image.shape[-1]))
        return surprise(log_probabilities(output), label, sure)

    def _see(self, image: Tensor) -> tuple[list[Tensor], Any, Seen]:
        model, size = featured(self.model), (image.shape[-2], image.shape[-1])
        features = model.features(image)
        output = model.decode(features, size)
        log_p = log_probabilities(output)
        one, other = (f(features[-1]).float().flatten(2) for f in (self.f1, self.f2))
        correlation = (one.transpose(1, 2) @ other / one.shape[1] ** 0.5).float().softmax(-1)
        grid = (features[-1].shape[-2], features[-1].shape[-1])
        coarse = F.interpolate(log_p.detach(), grid, mode="bilinear", align_corners=False).flatten(2)
        spread = (coarse @ correlation.transpose(1, 2)).float().view(*coarse.shape[:2], *grid)
        spread = F.interpolate(spread, size, mode="bilinear", align_corners=False).log_softmax(1)
        return features, output, Seen(log_p, spread, correlation, grid)

    def _regions(self, seen: Seen, size: Sequence[int], rng: np.random.Generator) -> Tensor:
        """Binary regions (N, regions, H, W): where the correlation with some places, scaled to 0-1, is high."""
        drawn = torch.from_numpy(rng.permutation(seen.correlation.shape[1])[: self.regions])
        rows = seen.correlation.detach()[:, drawn.to(seen.correlation.device)]
        low, high = rows.amin(2, keepdim=True), rows.amax(2, keepdim=True)
        rows = ((rows - low) / (high - low).clamp(min=1e-12)).view(*rows.shape[:2], *seen.grid)
        return F.interpolate(rows, tuple(size), mode="bilinear", align_corners=False) > ALIKE

    @torch.no_grad()
    def _follow(self, label: Tensor, confidence: Tensor) -> None:
        """Move the threshold towards the mean, over the classes predicted, of the highest confidence."""
        flat = label.flatten()
        highest = confidence.new_zeros(self.f1.out_channels).scatter_reduce_(0, flat, confidence.flatten(), "amax")
        mean = highest.sum() / (highest > 0).sum().clamp(min=1)
        self.sure_from.lerp_(mean.float(), 1 - self.momentum)


def spread_regions(
    label: Tensor, sure: Tensor, regions: Tensor, threshold: Tensor, classes: int
) -> tuple[Tensor, Tensor]:
    """Labels and where they are sure, both (N, H, W), after region propagation.

    A region, of (N, R, H, W), counts if more than ``threshold`` of it is sure, and of that more than ``threshold`` of
    one class; then all of it is sure and of that class. Votes are of the labels as they come; where regions overlap,
    the last one counts.
    """
    votes = F.one_hot(torch.where(sure, label, classes), classes + 1)[..., :classes].flatten(1, 2).float()
    flat = regions.flatten(2)
    counts = flat.float() @ votes  # (N, R, classes)
    held, most = counts.sum(2), counts.max(2)
    agreed = (held >= threshold * flat.sum(2)) & (most.values > threshold * held) & (held > 0)
    order = torch.arange(1, flat.shape[1] + 1, device=label.device)[:, None] * (flat & agreed[:, :, None])
    last, place = order.max(1)  # the place is that of the last region that holds the pixel
    spread = most.indices.gather(1, place).view(label.shape)
    covered = (last > 0).view(label.shape)
    return torch.where(covered, spread, label), sure | covered
