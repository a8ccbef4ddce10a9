"""DACS: self-training on mixtures of the domains."""

from __future__ import annotations

from typing import Unpack

import numpy as np
import torch
from torch import Tensor, nn

from mage.learning.ema import Teacher
from mage.learning.losses import log_probabilities, main_mask, pseudo_labels, surprise
from mage.learning.methods import Batch, Supervised, SupervisedOptions
from mage.learning.views import class_mask, mix, strong


class MixingOptions(SupervisedOptions, total=False):
    """Arguments of :class:`DACS` that the methods built on it hand on."""

    threshold: float
    mixed: float


class DACS(Supervised):
    """Cross-domain mixed sampling (Tranheden et al. 2021, equations 1 to 3): half the classes of a source image are
    pasted onto a target image, with their labels onto a teacher's pseudo-labels, and the student learns the mixture.

    Source pixels count fully; target pixels by the share of the image's pixels whose pseudo-label is surer than
    ``threshold``. Classes are drawn for each image by itself.

    Args:
        model: any; see :class:`~mage.learning.Method`.
        threshold: of sureness; the paper's is 0.968.
        decay: of the teacher's average; the paper's is 0.99.
        mixed: weight of the mixture's loss; the paper's is 1.
        weights: of each class in the supervised loss.
        augment: of labelled and unlabelled images, before they are mixed.

    >>> from mage.learning import SiameseDamageNet
    >>> DACS(SiameseDamageNet(width=4)).settings()
    {'threshold': 0.968, 'decay': 0.99, 'mixed': 1.0, 'hide': 0.0}
    """

    needs = ("unlabelled",)

    def __init__(
        self,
        model: nn.Module,
        *,
        threshold: float = 0.968,
        decay: float = 0.99,
        mixed: float = 1.0,
        **options: Unpack[SupervisedOptions],
    ) -> None:
        super().__init__(model, **options)
        self.threshold, self.decay, self.mixed = threshold, decay, mixed
        self.teacher = Teacher(model, decay)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The supervised losses, and ``mixed``."""
        image, mask = self.learned(batch)
        losses = self.labelled_losses(image, mask, batch.rng)
        target = self.weak(batch)
        log_p = log_probabilities(self.teacher(target))
        label, confidence = pseudo_labels(log_p)
        sure = (confidence > self.threshold).float().mean((1, 2))[:, None, None]
        losses["mixed"] = self.mixed * self._mixture(image, mask, target, label, sure, batch, log_p.shape[1])
        return losses | self.target_losses(target, label, sure, batch)

    def labelled_losses(self, image: Tensor, mask: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
        """Those of augmented labelled images."""
        return self.graded(image, mask, rng)

    def target_losses(self, image: Tensor, label: Tensor, sure: Tensor, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002 - for subclasses
        """What a subclass adds on target images, with their pseudo-labels and how sure each image is, (N, 1, 1)."""
        return {}

    def after_step(self) -> None:
        """The teacher follows."""
        self.teacher.update(self.model)

    def _mixture(
        self, image: Tensor, mask: Tensor, target: Tensor, label: Tensor, sure: Tensor, batch: Batch, classes: int
    ) -> Tensor:
        pasted = torch.arange(len(target), device=target.device) % len(image)
        image, mask = image[pasted], main_mask(mask)[pasted].long()
        cut = class_mask(mask, classes, batch.rng)
        view = strong(mix(cut, image, target), batch.rng)
        weight = torch.where(cut, 1.0, sure)
        return surprise(log_probabilities(self.model(view)), torch.where(cut, mask, label), weight)
