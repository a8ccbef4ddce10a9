"""UniMatch: two strong views, and features with channels missing, agree with one weak view."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor, nn

from mage.learning.losses import log_probabilities, pseudo_labels, surprise
from mage.learning.methods import Batch, Supervised, SupervisedOptions, featured
from mage.learning.views import channel_masks, cut_mix, strong


class UniMatch(Supervised):
    """Unified dual-stream perturbations (Yang et al. 2023, equations 4 to 6): L = (L_s + L_u) / 2, and
    L_u = λ H(p_w, p_fp) + μ/2 (H(p_w, p_s1) + H(p_w, p_s2)) over pixels surer than ``threshold``, where p_fp comes from
    the weak view's features with half their channels dropped, and p_s1, p_s2 from two strong views with a box of
    another image (CutMix).

    Args:
        model: with ``features``, ``decode`` and ``channels``, as :class:`~mage.learning.SiameseDamageNet` has.
        threshold: τ; the paper's is 0.95.
        features: weight λ of the dropped features; the paper's is 0.5.
        images: weight μ of the strong views; the paper's is 0.5.
        drop: share of channels that are dropped; the paper's is 0.5.
        weights: of each class in the supervised loss.
        augment: of labelled and unlabelled images.

    Raises:
        ModelError: the model's features cannot be had apart.

    >>> from mage.learning import SiameseDamageNet
    >>> UniMatch(SiameseDamageNet(width=4)).settings()
    {'threshold': 0.95, 'features': 0.5, 'images': 0.5, 'drop': 0.5, 'hide': 0.0}
    """

    needs = ("unlabelled",)

    def __init__(
        self,
        model: nn.Module,
        *,
        threshold: float = 0.95,
        features: float = 0.5,
        images: float = 0.5,
        drop: float = 0.5,
        **options: Unpack[SupervisedOptions],
    ) -> None:
        super().__init__(model, **options)
        self.threshold, self.features, self.images, self.drop = threshold, features, images, drop
        featured(model)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Half the supervised losses, ``features``, and ``images``."""
        model = featured(self.model)
        supervised = {name: loss / 2 for name, loss in self.supervised(batch).items()}
        weak = self.weak(batch)
        size = (weak.shape[-2], weak.shape[-1])
        features = model.features(weak)
        label, confidence = pseudo_labels(log_probabilities(model.decode(features, size)))
        sure = confidence >= self.threshold
        kept = [f * mask for f, mask in zip(features, channel_masks(features, batch.rng, self.drop), strict=True)]
        dropped = surprise(log_probabilities(model.decode(kept, size)), label, sure)
        seen = self._strong(weak, label, sure, batch) + self._strong(weak, label, sure, batch)
        return supervised | {"features": self.features * dropped / 2, "images": self.images * seen / 4}

    def _strong(self, weak: Tensor, label: Tensor, sure: Tensor, batch: Batch) -> Tensor:
        view, label, sure = cut_mix(batch.rng, strong(weak, batch.rng), label, sure)
        return surprise(log_probabilities(self.model(view)), label, sure)
