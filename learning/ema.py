"""Exponential moving average of a model's weights: what is saved, evaluated and used."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MovingAverage:
    """Averages all floating-point state of a model, buffers included, and copies the rest.

    The decay grows as (1 + t) / (10 + t) up to ``decay``, so that short runs do not average in their first weights.
    """

    def __init__(self, model: nn.Module, decay: float = 0.999) -> None:
        self.decay, self.updates = decay, 0
        self._live = model.state_dict(keep_vars=True)
        self.weights: dict[str, Tensor] = {name: t.detach().clone() for name, t in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the model's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averaged = [name for name, t in self.weights.items() if t.is_floating_point()]
        torch._foreach_lerp_(
            [self.weights[name] for name in averaged], [self._live[name].detach() for name in averaged], 1 - decay
        )
        for name in self.weights.keys() - set(averaged):
            self.weights[name].copy_(self._live[name])
