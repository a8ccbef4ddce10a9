"""Telling domains apart: what adversarial methods play against."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

SOURCE, TARGET = 0.0, 1.0  # what a discriminator says of the domains


class Discriminator(nn.Sequential):
    """Five strided convolutions, as in DCGAN (Radford et al. 2016): (N, channels, H, W) to logits of the domain."""

    def __init__(self, channels: int, width: int = 64) -> None:
        sizes = (channels, width, 2 * width, 4 * width, 8 * width)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Conv2d(sizes[-1], 1, 4, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Sides are rounded up to multiples of 32 by repeating the border, so that images of any size pass."""
        rows, columns = (-side % 32 for side in x.shape[-2:])
        x = F.pad(x, (0, columns, 0, rows), mode="replicate")
        for layer in self:
            x = layer(x)
        return x


def domain_loss(logits: Tensor, domain: float) -> Tensor:
    """Binary cross-entropy of a discriminator's logits, in float32, against one domain for all of them."""
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, domain))
