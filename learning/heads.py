"""What networks say of a place: a damage network's prediction, its further heads, and the maps that people read."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.names import Head


class Prediction(NamedTuple):
    """Logits of a batch: ``localisation`` (N, 1, H, W) building or not, ``damage`` (N, grades, H, W), and those of
    each further :class:`Head` that the network has, None of others.

    >>> prediction = Prediction(localisation=torch.zeros(1, 1, 1, 1), damage=torch.zeros(1, 4, 1, 1))
    >>> prediction.probabilities().flatten()
    tensor([0.5000, 0.1250, 0.1250, 0.1250, 0.1250])
    """

    localisation: Tensor
    damage: Tensor
    flood: Tensor | None = None
    height: Tensor | None = None
    road: Tensor | None = None

    def probabilities(self) -> Tensor:
        """(N, 1 + grades, H, W) float32 that sum to 1: no building, then a building of each grade."""
        building = self.localisation.float().sigmoid()
        return torch.cat([1 - building, building * self.damage.float().softmax(1)], 1)

    def log_probabilities(self) -> Tensor:
        """The logarithm of :meth:`probabilities`, finite where these are 0 in float32."""
        score = self.localisation.float()
        graded = F.logsigmoid(score) + self.damage.float().log_softmax(1)
        return torch.cat([F.logsigmoid(-score), graded], 1)

    def further(self) -> dict[Head, Tensor]:
        """Logits of the further heads that are there."""
        return {head: logits for head in Head if (logits := getattr(self, head)) is not None}


def maps_of(output: Prediction | Tensor) -> dict[str, Tensor]:
    """What an output says, by name, float32 (N, C, H, W): ``classes``, probabilities that sum to 1, of every output;
    of further heads ``flood``, its probability, ``height``, metres before and after, and ``road``, probabilities of no,
    an open and a blocked road.

    >>> prediction = Prediction(*(torch.zeros(1, n, 1, 1) for n in (1, 4)), flood=torch.zeros(1, 1, 1, 1))
    >>> {name: tuple(values.shape) for name, values in maps_of(prediction).items()}
    {'classes': (1, 5, 1, 1), 'flood': (1, 1, 1, 1)}
    """
    if isinstance(output, Tensor):
        return {"classes": output.float().softmax(1)}
    maps = {"classes": output.probabilities()}
    for head, logits in output.further().items():
        match head:
            case Head.FLOOD:
                maps[head] = logits.float().sigmoid()
            case Head.HEIGHT:
                maps[head] = logits.float().expm1().clamp(min=0)
            case Head.ROAD:
                maps[head] = logits.float().softmax(1)
    return {str(name): t for name, t in maps.items()}
