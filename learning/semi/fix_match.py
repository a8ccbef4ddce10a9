"""FixMatch: what the model is sure of in a weak view it must see in a strong one."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn

from mage.learning.losses import log_probabilities, pseudo_labels, surprise
from mage.learning.methods import Batch, Supervised, SupervisedOptions
from mage.learning.views import strong


class FixMatch(Supervised):
    """Consistency with confidence (Sohn et al. 2020, equations 3 and 4), pixel by pixel: the cross-entropy of a strong
    view against the pseudo-labels of the weak one where these are surer than ``threshold``, over all pixels.

    Args:
        model: any; see :class:`~mage.learning.Method`.
        threshold: τ; the paper's is 0.95.
        unlabelled: weight λ_u; the paper's is 1.
        weights: of each class in the supervised loss.
        augment: of labelled and unlabelled images; the strong view changes the light further, and blurs.

    >>> from mage.learning import SiameseDamageNet
    >>> FixMatch(SiameseDamageNet(width=4)).settings()
    {'threshold': 0.95, 'unlabelled': 1.0, 'hide': 0.0}
    """

    needs = ("unlabelled",)

    def __init__(
        self,
        model: nn.Module,
        *,
        threshold: float = 0.95,
        unlabelled: float = 1.0,
        **options: Unpack[SupervisedOptions],
    ) -> None:
        super().__init__(model, **options)
        self.threshold, self.unlabelled = threshold, unlabelled

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The supervised losses, and ``unlabelled``."""
        losses = self.supervised(batch)
        weak = self.weak(batch)
        with torch.no_grad():
            label, confidence = pseudo_labels(log_probabilities(self.model(weak)))
        found = log_probabilities(self.model(strong(weak, batch.rng)))
        return losses | {"unlabelled": self.unlabelled * surprise(found, label, confidence >= self.threshold)}
