"""UniMatch V2: an averaged teacher, and two strong views that see complementary channels."""

from __future__ import annotations

from typing import Unpack

import numpy as np
import torch
from torch import Tensor, nn

from mage.learning.ema import Teacher
from mage.learning.losses import log_probabilities, pseudo_labels, surprise
from mage.learning.methods import Batch, Supervised, SupervisedOptions, featured
from mage.learning.views import channel_masks, cut_mix, strong


class UniMatchV2(Supervised):
    """Complementary dropout (Yang et al. 2025, section 3): L = (L_s + L_u) / 2, and
    L_u = (H(p_w, p_s1) + H(p_w, p_s2)) / 2 over pixels surer than ``threshold``, with p_w from a moving average of the
    model, and p_s1, p_s2 from two strong views, each with a box of another image and with those channels of the
    features that the other lacks. Half the images keep all their channels.

    Args:
        model: with ``features``, ``decode`` and ``channels``, as :class:`~mage.learning.SiameseDamageNet` has.
        threshold: τ; the paper's is 0.95.
        decay: of the teacher's average; the paper's is 0.996.
        weights: of each class in the supervised loss.
        augment: of labelled and unlabelled images.

    Raises:
        ModelError: the model's features cannot be had apart.

    >>> from mage.learning import SiameseDamageNet
    >>> UniMatchV2(SiameseDamageNet(width=4)).settings()
    {'threshold': 0.95, 'decay': 0.996, 'hide': 0.0}
    """

    needs = ("unlabelled",)

    def __init__(
        self,
        model: nn.Module,
        *,
        threshold: float = 0.95,
        decay: float = 0.996,
        **options: Unpack[SupervisedOptions],
    ) -> None:
        super().__init__(model, **options)
        self.threshold, self.decay = threshold, decay
        featured(model)
        self.teacher = Teacher(model, decay)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Half the supervised losses, and ``unlabelled``."""
        model = featured(self.model)
        supervised = {name: loss / 2 for name, loss in self.supervised(batch).items()}
        weak = self.weak(batch)
        label, confidence = pseudo_labels(log_probabilities(self.teacher(weak)))
        views = [cut_mix(batch.rng, strong(weak, batch.rng), label, confidence >= self.threshold) for _ in range(2)]
        features = model.features(torch.cat([view[0] for view in views]))
        kept = [f * mask for f, mask in zip(features, complementary(features, batch.rng), strict=True)]
        log_p = log_probabilities(model.decode(kept, (weak.shape[-2], weak.shape[-1])))
        seen = [surprise(part, view[1], view[2]) for part, view in zip(log_p.chunk(2), views, strict=True)]
        return supervised | {"unlabelled": (seen[0] + seen[1]) / 4}

    def after_step(self) -> None:
        """The teacher follows."""
        self.teacher.update(self.model)


def complementary(features: list[Tensor], rng: np.random.Generator) -> list[Tensor]:
    """Factors (2 n, C, 1, 1) for features of two views of n images: 2 or 0 for the first view, 2 less that for the
    second; 1 for half the images, rounded down, in both.
    """
    n = len(features[0]) // 2
    whole = torch.from_numpy(rng.permutation(n) < n // 2).to(features[0].device)[:, None, None, None]
    first = [torch.where(whole, 1, mask) for mask in channel_masks([f[:n] for f in features], rng)]
    return [torch.cat([mask, 2 - mask]) for mask in first]
