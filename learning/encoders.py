"""A small residual encoder: the features of one image at strides 2, 4, 8 and 16.

GroupNorm rather than BatchNorm: it needs no running statistics, so that training and evaluation compute the same
function, a batch may hold one image, and averaged weights need no second pass over the data.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

STRIDES = (2, 4, 8, 16)


def norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with the most groups, up to 8, that divide the channels."""
    return nn.GroupNorm(math.gcd(8, channels), channels)


def convolve(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution, GroupNorm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), norm(outputs), nn.ReLU(inplace=True)
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016); ``stride`` 2 halves the size."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolve(inputs, outputs, stride), nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), norm(outputs)
        )
        same = inputs == outputs and stride == 1
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, ceil(H / stride), ceil(W / stride))."""
        return torch.relu(self.body(x) + self.shortcut(x))


class ResidualEncoder(nn.Module):
    """Four residual stages; ``channels`` are those of the features at ``STRIDES``: width times 1, 2, 4 and 8.

    >>> [feature.shape[1:] for feature in ResidualEncoder(width=4)(torch.rand(1, 3, 32, 32))][-1]
    torch.Size([32, 2, 2])
    """

    def __init__(self, width: int = 24, bands: int = 3) -> None:
        super().__init__()
        self.channels = tuple(width * 2**i for i in range(len(STRIDES)))
        self.stem = convolve(bands, width, 2)
        inputs = (width, *self.channels[:-1])
        self.stages = nn.ModuleList(
            ResidualBlock(i, o, stride=1 if n == 0 else 2)
            for n, (i, o) in enumerate(zip(inputs, self.channels, strict=True))
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, bands, H, W), H and W multiples of 16 -> features, finest first, (N, channels[i], H / s, W / s)."""
        x = self.stem(image)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features
