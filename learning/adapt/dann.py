"""DANN: features by which no classifier can tell the domains."""

from __future__ import annotations

import math
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from mage.learning.adapt.domains import SOURCE, TARGET, domain_loss
from mage.learning.losses import supervised_losses
from mage.learning.methods import Batch, Supervised, SupervisedOptions, featured
from mage.learning.seeds import seeded


class DANN(Supervised):
    """Domain-adversarial training (Ganin et al. 2016, equations 9 and 13 to 14): a classifier tells the domains by the
    coarsest features, place by place, and its reversed gradient makes the features alike.

    The reversal grows with the progress p of training as 2 / (1 + exp(-γ p)) - 1.

    Args:
        model: with ``features``, ``decode`` and ``channels``, as :class:`~mage.learning.SiameseDamageNet` has.
        gamma: how fast the reversal grows; the paper's is 10.
        adversarial: what it grows to; the paper's is 1.
        hidden: channels within the classifier.
        seed: of its first weights.
        weights: of each class in the supervised loss.
        augment: of labelled and unlabelled images.

    Raises:
        ModelError: the model's features cannot be had apart.

    >>> from mage.learning import SiameseDamageNet
    >>> round(DANN(SiameseDamageNet(width=4)).reversal(progress=0.1), 3)
    0.462
    """

    needs = ("source", "unlabelled")

    def __init__(
        self,
        model: nn.Module,
        *,
        gamma: float = 10.0,
        adversarial: float = 1.0,
        hidden: int = 100,
        seed: int = 0,
        **options: Unpack[SupervisedOptions],
    ) -> None:
        super().__init__(model, **options)
        self.gamma, self.adversarial, self.hidden, self.seed = gamma, adversarial, hidden, seed
        channels = featured(model).channels[-1]
        with seeded(seed):
            self.classifier = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, 1, 1))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The supervised losses, and ``domain``, the classifier's."""
        model = featured(self.model)
        image, mask = self.learned(batch)
        features = model.features(image)
        losses = supervised_losses(model.decode(features, (image.shape[-2], image.shape[-1])), mask, self.weights)
        source, target = features[-1][: len(batch.image("source"))], model.features(self.weak(batch))[-1]
        strength = self.reversal(batch.progress)
        told = [
            domain_loss(self.classifier(reverse(x, strength)), domain)
            for x, domain in ((source, SOURCE), (target, TARGET))
        ]
        return losses | {"domain": (told[0] + told[1]) / 2}

    def reversal(self, progress: float) -> float:
        """λ at this share of training."""
        return self.adversarial * (2 / (1 + math.exp(-self.gamma * progress)) - 1)


def reverse(x: Tensor, strength: float) -> Tensor:
    """The same values, their gradient times -``strength``."""
    reversed_: Tensor = _Reversal.apply(x, strength)  # type: ignore[no-untyped-call]
    return reversed_


class _Reversal(torch.autograd.Function):
    """The identity, whose gradient is turned round (Ganin et al. 2016)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        """The values as they are; any shape."""
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """The gradient of the same shape, times -``strength``; none of the strength."""
        return -ctx.strength * gradients[0], None
