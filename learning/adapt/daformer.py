"""DAFormer's feature distance: what a pretrained encoder knows of things is not forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.adapt.dacs import DACS, MixingOptions
from mage.learning.ema import Teacher
from mage.learning.losses import main_mask, supervised_losses
from mage.learning.methods import featured
from mage.scenes.metrics import IGNORE


class DAFormerOptions(MixingOptions, total=False):
    """Arguments of :class:`DAFormer` that the methods built on it hand on."""

    distance: float
    things: Sequence[int] | None
    covered: float
    decay: float


class DAFormer(DACS):
    """DACS, and features that stay near those of the pretrained network where things are (Hoyer et al. 2022,
    equations 6 to 8). The third part, rare class sampling, is a dataset: :class:`~mage.learning.RareClasses`.

    The reference is the model as it is given, so give one whose encoder is pretrained. Distances count at places of the
    coarsest features of which more than ``covered`` is one of the ``things``: the buildings, of a damage model.

    Args:
        model: with ``features`` and ``decode``, as :class:`~mage.learning.SiameseDamageNet` has.
        distance: weight λ_FD of the feature distance; the paper's is 0.005.
        things: classes that count; None takes all but 0.
        covered: share of a place; the paper's is 0.75.
        decay: of the teacher; the paper's is 0.999.
        threshold: as of :class:`DACS`.
        mixed: as of :class:`DACS`.
        weights: of each class in the supervised loss.
        augment: of labelled and unlabelled images.

    Raises:
        ModelError: the model's features cannot be had apart.

    >>> from mage.learning import SiameseDamageNet
    >>> DAFormer(SiameseDamageNet(width=4)).settings()["distance"]
    0.005
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        distance: float = 0.005,
        things: Sequence[int] | None = None,
        covered: float = 0.75,
        decay: float = 0.999,
        **options: Unpack[MixingOptions],
    ) -> None:
        super().__init__(model, decay=decay, **options)
        self.distance, self.covered = distance, covered
        self.things = None if things is None else tuple(things)
        self.reference = Teacher(model)  # never updated
        featured(model)

    def labelled_losses(self, image: Tensor, mask: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
        """The supervised losses, and ``distance``."""
        model = featured(self.model)
        features = model.features(image)
        output = model.decode(self.kept(features, rng), (image.shape[-2], image.shape[-1]))
        with torch.no_grad():
            reference = featured(self.reference.model).features(image)[-1]
        away = feature_distance(features[-1], reference, self._things(main_mask(mask)), self.covered)
        return supervised_losses(output, mask, self.weights) | {"distance": self.distance * away}

    def _things(self, mask: Tensor) -> Tensor:
        if self.things is None:
            return (mask > 0) & (mask != IGNORE)
        return torch.isin(mask, torch.tensor(self.things, device=mask.device, dtype=mask.dtype))


def feature_distance(features: Tensor, reference: Tensor, things: Tensor, covered: float) -> Tensor:
    """Mean Euclidean distance, over places of which more than ``covered`` is a thing, of features (N, C, h, w) to a
    reference; 0 where there is no such place.

    Args:
        features: with the gradient.
        reference: without.
        things: (N, H, W) bool, of the image.
        covered: share of a place.
    """
    share = F.adaptive_avg_pool2d(things[:, None].float(), (features.shape[-2], features.shape[-1]))[:, 0]
    counts = (share > covered).float()
    away = (features.float() - reference.float()).square().sum(1).clamp(min=1e-12).sqrt()
    return (away * counts).sum() / counts.sum().clamp(min=1)
