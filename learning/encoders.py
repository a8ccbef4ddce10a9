"""What an encoder is, and the smallest of ours: the features of one image, trained from scratch.

GroupNorm rather than BatchNorm: it needs no running statistics, so that training and evaluation compute the same
function, a batch may hold one image, and averaged weights need no second pass over the data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.scenes.errors import ModelError

STRIDES = (2, 4, 8, 16)  # of the residual encoder
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB, as torchvision and timm use them


class Encoder(Protocol):
    """What networks need of an encoder: an ``nn.Module`` that turns images into features at several scales.

    It takes images of 0-1 and normalises them itself, so that no weights can meet images prepared for others.
    Networks want strides that double from one feature to the next; features that all have one stride, as a plain
    ViT's, become such with :class:`~mage.learning.SimplePyramid`.

    >>> class Pooled(nn.Module):
    ...     bands, channels, strides, mean, std = 3, (3, 3), (2, 4), (0.5,), (0.25,)
    ...
    ...     def forward(self, image):
    ...         image = normalise(image, self.mean, self.std)
    ...         return [nn.functional.avg_pool2d(image, stride) for stride in self.strides]
    >>> from mage.learning import SegmentationNet
    >>> SegmentationNet(classes=2, width=4, encoder=Pooled())(torch.zeros(1, 3, 16, 16)).shape
    torch.Size([1, 2, 16, 16])
    """

    @property
    def bands(self) -> int:
        """Channels of an image."""

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each of the features."""

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels per place of each of the features, finest first."""

    @property
    def mean(self) -> tuple[float, ...]:
        """What is subtracted from each band; see :func:`normalise`."""

    @property
    def std(self) -> tuple[float, ...]:
        """What each band is divided by."""

    def __call__(self, image: Tensor) -> list[Tensor]:
        """(N, bands, H, W) float 0-1, H and W multiples of the last stride -> (N, channels[i], H / s, W / s) each."""


def normalise(image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(image - mean) / std of (N, bands, H, W). Bands beyond the figures, and all where there are fewer than figures,
    take the average of the figures: of ImageNet's red, green and blue, for a near infrared.
    """
    if len({*mean}) == len({*std}) == 1:
        return (image - mean[0]) / std[0]
    centre, scale = (
        torch.tensor(extend(values, image.shape[1]), device=image.device, dtype=image.dtype)[:, None, None]
        for values in (mean, std)
    )
    return (image - centre) / scale


def extend(values: Sequence[float], bands: int) -> list[float]:
    """Figures of so many bands out of those of RGB; see :func:`normalise`."""
    average = sum(values) / len(values)
    return [values[i] if i < len(values) <= bands else average for i in range(bands)]


def staged(x: Tensor, stages: Iterable[nn.Module]) -> list[Tensor]:
    """What each of some stages makes of what the one before it made, the first of ``x``."""
    features = []
    for stage in stages:
        x = stage(x)
        features.append(x)
    return features


def padded(image: Tensor, multiple: int) -> Tensor:
    """Images (N, C, H, W) whose last rows and columns are repeated until both sides are multiples, and one of them two:
    of a single place at the coarsest scale no mean and deviation could be taken. Unlike reflection it works from one
    pixel on.
    """
    rows, columns = (-side % multiple for side in image.shape[-2:])
    if (image.shape[-2] + rows, image.shape[-1] + columns) == (multiple, multiple):
        columns += multiple
    return F.pad(image, (0, columns, 0, rows), mode="replicate") if rows or columns else image


def check_least(what: str, **values: int) -> None:
    """Raise ModelError where one of the values is below 1."""
    for name, value in values.items():
        if value < 1:
            raise ModelError(f"{what} cannot have this {name}", expected="1 or more", found=str(value))


def norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with the most groups, up to 8, that divide the channels."""
    return nn.GroupNorm(math.gcd(8, channels), channels)


def convolve(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution, GroupNorm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), norm(outputs), nn.ReLU(inplace=True)
    )


def mix(inputs: int, outputs: int) -> nn.Sequential:
    """A 1x1 convolution, GroupNorm and ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), norm(outputs), nn.ReLU(inplace=True))


class Shortcut(nn.Conv2d):
    """A 1x1 convolution of every ``stride``-th row and column, (N, inputs, H, W) -> (N, outputs, H / s, W / s).

    Its tensors are those of a convolution that strides. Such a one is not called, since on CPUs the gradient of
    oneDNN's (torch 2.13) writes beyond its memory where the kernels are laid out channels last.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 1, bias=False)
        self.every = stride

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of what is kept."""
        return super().forward(x[..., :: self.every, :: self.every])


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016); ``stride`` 2 halves the size."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolve(inputs, outputs, stride), nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), norm(outputs)
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(Shortcut(inputs, outputs, stride), norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, ceil(H / stride), ceil(W / stride))."""
        return torch.relu(self.body(x) + self.shortcut(x))


class ResidualEncoder(nn.Module):
    """Four residual stages, at strides 2 to 16, of width times 1, 2, 4 and 8 channels; an :class:`Encoder`.

    >>> [tuple(f.shape) for f in ResidualEncoder(width=4)(torch.zeros(1, 3, 32, 48))]
    [(1, 4, 16, 24), (1, 8, 8, 12), (1, 16, 4, 6), (1, 32, 2, 3)]
    """

    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.25,)

    def __init__(self, width: int = 24, bands: int = 3) -> None:
        super().__init__()
        check_least("an encoder", width=width, bands=bands)
        self.width, self.bands, self.strides = width, bands, STRIDES
        self.channels = tuple(width * 2**i for i in range(len(STRIDES)))
        self.stem = convolve(bands, width, 2)
        inputs = (width, *self.channels[:-1])
        self.stages = nn.ModuleList(
            ResidualBlock(i, o, stride=1 if n == 0 else 2)
            for n, (i, o) in enumerate(zip(inputs, self.channels, strict=True))
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, bands, H, W) 0-1, H and W multiples of 16 -> features, finest first, (N, channels[i], H / s, W / s)."""
        return staged(self.stem(normalise(image, self.mean, self.std)), self.stages)
