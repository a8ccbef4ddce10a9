"""Decoders: from an encoder's features at several scales to one map at the finest of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.encoders import ResidualBlock, convolve, mix

POOLS = (1, 2, 3, 6)  # sides of the pyramid pooling's maps (Zhao et al. 2017)


class Decoder(Protocol):
    """What networks need of a decoder: an ``nn.Module`` from features, finest first, to one map as fine as these.

    Networks are given its class, or anything else that makes one from the channels of the features and a width.

    >>> class Finest(nn.Module):
    ...     def __init__(self, channels, width):
    ...         super().__init__()
    ...         self.channels = width
    ...         self.mix = mix(channels[0], width)
    ...
    ...     def forward(self, features):
    ...         return self.mix(features[0])
    >>> from mage.learning import SegmentationNet
    >>> SegmentationNet(classes=2, width=4, decoder=Finest)(torch.zeros(1, 3, 16, 16)).shape
    torch.Size([1, 2, 16, 16])
    """

    channels: int
    """Of the map."""

    def __call__(self, features: list[Tensor]) -> Tensor:
        """Features (N, C, h, w), each half as wide and high as the one before -> (N, channels, h, w) of the first."""


class UNet(nn.Module):
    """A U-Net's decoder (Ronneberger et al. 2015) of residual blocks: from the coarsest features up, each time joined
    by the encoder's of twice the size.

    Args:
        channels: of the features, finest first.
        width: channels of the map; they double from scale to scale, up to those of the features.

    >>> features = [torch.zeros(1, 4, 8, 8), torch.zeros(1, 16, 4, 4)]
    >>> UNet([4, 16], width=2)(features).shape
    torch.Size([1, 2, 8, 8])
    """

    def __init__(self, channels: Sequence[int], width: int = 24) -> None:
        super().__init__()
        widths = [*narrowed(channels, width)[:-1], channels[-1]]
        self.channels = widths[0]
        self.levels = nn.ModuleList(
            ResidualBlock(skip + below, here) for skip, below, here in zip(channels, widths[1:], widths, strict=False)
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """See :class:`Decoder`."""
        x = features[-1]
        for level, skip in zip(reversed(self.levels), reversed(features[:-1]), strict=True):
            x = level(torch.cat([skip, F.interpolate(x, scale_factor=2.0, mode="nearest")], 1))
        return x


class UPerNet(nn.Module):
    """UPerNet's decoder (Xiao et al. 2018, section 3.1): pyramid pooling (Zhao et al. 2017) over the coarsest features,
    a top-down path with a 3x3 convolution at each scale (Lin et al. 2017), and all scales joined at the finest.

    Context at a glance of the whole tile, and fewer weights than :class:`UNet` where encoders are wide. What is pooled
    is not normalised: of a map of one value per channel little would be left.

    Args:
        channels: of the features, finest first.
        width: channels of every scale and of the map.

    >>> features = [torch.zeros(1, 4, 8, 8), torch.zeros(1, 16, 4, 4)]
    >>> UPerNet([4, 16], width=8)(features).shape
    torch.Size([1, 8, 8, 8])
    """

    def __init__(self, channels: Sequence[int], width: int = 24) -> None:
        super().__init__()
        self.channels = width
        self.pooled = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(side), nn.Conv2d(channels[-1], width, 1), nn.ReLU(inplace=True))
            for side in POOLS
        )
        self.context = convolve(channels[-1] + len(POOLS) * width, width)
        self.laterals = nn.ModuleList(mix(c, width) for c in channels[:-1])
        self.smooth = nn.ModuleList(convolve(width, width) for _ in channels[:-1])
        self.join = convolve(len(channels) * width, width)

    def forward(self, features: list[Tensor]) -> Tensor:
        """See :class:`Decoder`."""
        coarse = features[-1]
        x = self.context(torch.cat([coarse, *(_resize(pool(coarse), coarse) for pool in self.pooled)], 1))
        scales = [x]
        levels = list(zip(features[:-1], self.laterals, self.smooth, strict=True))
        for skip, lateral, smooth in reversed(levels):
            x = lateral(skip) + _resize(x, skip)
            scales.append(smooth(x))
        joined: Tensor = self.join(torch.cat([_resize(scale, features[0]) for scale in scales], 1))
        return joined


def narrowed(channels: Sequence[int], width: int) -> list[int]:
    """``width`` times 1, 2, 4 … from scale to scale, but not more than the channels that are there."""
    return [min(there, width * 2**i) for i, there in enumerate(channels)]


def _resize(x: Tensor, like: Tensor) -> Tensor:
    size = (like.shape[-2], like.shape[-1])
    return x if x.shape[-2:] == like.shape[-2:] else F.interpolate(x, size=size, mode="bilinear", align_corners=False)
