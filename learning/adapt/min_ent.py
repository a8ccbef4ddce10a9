"""MinEnt: a model that is sure of what it sees in the target."""

from __future__ import annotations

import math
from typing import Unpack

from torch import Tensor, nn

from mage.learning.losses import entropy, log_probabilities
from mage.learning.methods import Batch, Supervised, SupervisedOptions


class MinEnt(Supervised):
    """Entropy minimisation (Vu et al. 2019, ADVENT, equations 2 to 4): the mean over target pixels of the normalised
    entropy -1 / log C · Σ p log p joins the supervised loss.

    Args:
        model: any; see :class:`~mage.learning.Method`.
        entropy: weight λ_ent; the paper's is 0.001.
        weights: of each class in the supervised loss.
        augment: of labelled and unlabelled images.

    >>> import numpy as np, torch
    >>> method = MinEnt(nn.Conv2d(3, 2, 1), entropy=1.0)
    >>> black = {"image": torch.zeros(1, 3, 8, 8), "mask": torch.zeros(1, 8, 8).long()}
    >>> unsure = nn.init.zeros_(method.model.bias)  # on black images both classes are equally likely
    >>> batch = Batch(np.random.default_rng(0), source=black, unlabelled=black)
    >>> method.augment = lambda image, mask, rng: (image, mask)
    >>> round(method.losses(batch)["entropy"].item(), 4)
    1.0
    """

    needs = ("unlabelled",)

    def __init__(
        self,
        model: nn.Module,
        *,
        entropy: float = 0.001,
        **options: Unpack[SupervisedOptions],
    ) -> None:
        super().__init__(model, **options)
        self.entropy = entropy

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The supervised losses, and ``entropy``."""
        log_p = log_probabilities(self.model(self.weak(batch)))
        return self.supervised(batch) | {"entropy": self.entropy * entropy(log_p).mean() / math.log(log_p.shape[1])}
