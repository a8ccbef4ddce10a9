"""ResNet: the encoder for which most weights exist, ImageNet's and those of Earth observation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mage.learning.encoders import IMAGENET_MEAN, IMAGENET_STD, Shortcut, check_least, normalise, staged
from mage.learning.seeds import seeded
from mage.scenes.errors import ModelError

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}  # He et al. 2016, table 1
BOTTLENECK, EXPANSION = 50, 4  # the least depth of three-layer blocks, and the factor of their last layer


class ResNet(nn.Module):
    """ResNet (He et al. 2016, table 1; in blocks of three layers the middle one strides) as an
    :class:`~mage.learning.Encoder`: features after the first convolution, at stride 2, and after each of the four
    stages, at strides 4 to 32.

    Tensors have torchvision's names, which are timm's too. BatchNorm, so that :func:`~mage.learning.adapt_batch_norm`
    can adapt it. Images are normalised by ImageNet's mean and deviation.

    Args:
        depth: 18, 34, 50 or 101.
        bands: channels of an image.
        width: channels of the first convolution, 64 in all published weights.
        seed: of the first weights.

    Raises:
        ModelError: there is no such depth, or a number below 1.

    >>> encoder = ResNet(18, width=4)
    >>> [tuple(f.shape) for f in encoder(torch.zeros(2, 3, 64, 32))][::4]
    [(2, 4, 32, 16), (2, 32, 2, 1)]
    """

    strides = (2, 4, 8, 16, 32)
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __init__(self, depth: int = 18, bands: int = 3, width: int = 64, *, seed: int = 0) -> None:
        super().__init__()
        check_least("an encoder", bands=bands, width=width)
        if depth not in DEPTHS:
            raise ModelError("no ResNet is so deep", expected=f"one of {', '.join(map(str, DEPTHS))}", found=str(depth))
        self.depth, self.bands, self.width = depth, bands, width
        block = _Bottleneck if depth >= BOTTLENECK else _Basic
        self.channels = (width, *(width * 2**i * block.expansion for i in range(4)))
        with seeded(seed):
            self.conv1 = nn.Conv2d(bands, width, 7, 2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.layer1, self.layer2, self.layer3, self.layer4 = (
                _stage(block, self.channels[i], width * 2**i, number, stride=1 if i == 0 else 2)
                for i, number in enumerate(DEPTHS[depth])
            )

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, bands, H, W) 0-1, H and W multiples of 32 -> features, finest first, (N, channels[i], H / s, W / s)."""
        x = torch.relu(self.bn1(self.conv1(normalise(image, self.mean, self.std))))
        stages = (self.layer1, self.layer2, self.layer3, self.layer4)
        return [x, *staged(nn.functional.max_pool2d(x, 3, 2, padding=1), stages)]


class _Basic(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, width * expansion, ceil(H / stride), ceil(W / stride))."""
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + (x if self.downsample is None else self.downsample(x)))


class _Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; the last has four times the channels."""

    expansion = EXPANSION

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * EXPANSION, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * EXPANSION)
        self.downsample = _shortcut(inputs, width * EXPANSION, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, width * expansion, ceil(H / stride), ceil(W / stride))."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


def _stage(block: type[_Basic] | type[_Bottleneck], inputs: int, width: int, number: int, stride: int) -> nn.Sequential:
    rest = (block(width * block.expansion, width, 1) for _ in range(number - 1))
    return nn.Sequential(block(inputs, width, stride), *rest)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(Shortcut(inputs, outputs, stride), nn.BatchNorm2d(outputs))
