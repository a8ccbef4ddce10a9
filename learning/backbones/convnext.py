"""ConvNeXt: convolutions in the manner of transformers, with LayerNorm."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.encoders import IMAGENET_MEAN, IMAGENET_STD, check_least, normalise, staged
from mage.learning.seeds import seeded
from mage.scenes.errors import ModelError

TINY, SMALL = (3, 3, 9, 3), (3, 3, 27, 3)  # blocks of each stage (Liu et al. 2022, section 3); base has small's
EPS, LAYER_SCALE = 1e-6, 1e-6


class ConvNeXt(nn.Module):
    """ConvNeXt (Liu et al. 2022, section 3) as an :class:`~mage.learning.Encoder`: features of the four stages, at
    strides 4 to 32.

    Tensors have timm's names; those of torchvision and of the paper's own weights are translated. No blocks are dropped
    at random while training. Images are normalised by ImageNet's mean and deviation.

    Args:
        depths: blocks of each of the four stages: (3, 3, 9, 3) of tiny, (3, 3, 27, 3) of small, base and large.
        width: channels of the first stage: 96 of tiny and small, 128 of base, 192 of large.
        bands: channels of an image.
        seed: of the first weights.

    Raises:
        ModelError: not four stages, or a number below 1.

    >>> [tuple(f.shape) for f in ConvNeXt((1, 1, 1, 1), width=4)(torch.zeros(1, 3, 32, 64))][::3]
    [(1, 4, 8, 16), (1, 32, 1, 2)]
    """

    strides = (4, 8, 16, 32)
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __init__(self, depths: Sequence[int] = TINY, width: int = 96, bands: int = 3, *, seed: int = 0) -> None:
        super().__init__()
        if len(depths) != len(self.strides):
            raise ModelError("a ConvNeXt has four stages", expected="4 depths", found=str(len(depths)))
        check_least("an encoder", width=width, bands=bands, depth=min(depths))
        self.depths, self.width, self.bands = tuple(depths), width, bands
        self.channels = tuple(width * 2**i for i in range(4))
        with seeded(seed):
            self.stem = nn.Sequential(nn.Conv2d(bands, width, 4, 4), _LayerNorm(width, eps=EPS))
            self.stages = nn.ModuleList(
                _Stage(self.channels[max(i - 1, 0)], self.channels[i], depth) for i, depth in enumerate(depths)
            )

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, bands, H, W) 0-1, H and W multiples of 32 -> features, finest first, (N, channels[i], H / s, W / s)."""
        return staged(self.stem(normalise(image, self.mean, self.std)), self.stages)


class _LayerNorm(nn.LayerNorm):
    """Over the channels of (N, C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """(N, C, H, W) -> the same shape."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Stage(nn.Module):
    """Half the size where channels grow, then blocks."""

    def __init__(self, inputs: int, outputs: int, depth: int) -> None:
        super().__init__()
        self.downsample = (
            nn.Identity()
            if inputs == outputs
            else nn.Sequential(_LayerNorm(inputs, eps=EPS), nn.Conv2d(inputs, outputs, 2, 2))
        )
        self.blocks = nn.Sequential(*(_Block(outputs) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W), or half the sides."""
        return self.blocks(self.downsample(x))


class _Block(nn.Module):
    """A 7x7 convolution by channel, LayerNorm, and a perceptron of four times the channels, beside a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPS)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(channels, 4 * channels), "fc2": nn.Linear(4 * channels, channels)})
        self.gamma = nn.Parameter(torch.full((channels,), LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        y = self.norm(self.conv_dw(x).permute(0, 2, 3, 1))
        y = self.gamma * self.mlp["fc2"](F.gelu(self.mlp["fc1"](y)))
        return x + y.permute(0, 3, 1, 2)


NAMES: tuple[tuple[str, str], ...] = (
    # torchvision's
    (r"^features\.0\.([01])\.", r"stem.\1."),
    (r"^features\.([1357])\.(\d+)\.layer_scale$", r"stages.<\1>.blocks.\2.gamma"),
    (r"^features\.([1357])\.(\d+)\.block\.0\.", r"stages.<\1>.blocks.\2.conv_dw."),
    (r"^features\.([1357])\.(\d+)\.block\.2\.", r"stages.<\1>.blocks.\2.norm."),
    (r"^features\.([1357])\.(\d+)\.block\.3\.", r"stages.<\1>.blocks.\2.mlp.fc1."),
    (r"^features\.([1357])\.(\d+)\.block\.5\.", r"stages.<\1>.blocks.\2.mlp.fc2."),
    (r"^features\.([246])\.([01])\.", r"stages.<\1>.downsample.\2."),
    # the paper's own
    (r"^downsample_layers\.0\.([01])\.", r"stem.\1."),
    (r"^downsample_layers\.([123])\.([01])\.", r"stages.\1.downsample.\2."),
    (r"^stages\.(\d)\.(\d+)\.dwconv\.", r"stages.\1.blocks.\2.conv_dw."),
    (r"^stages\.(\d)\.(\d+)\.pwconv([12])\.", r"stages.\1.blocks.\2.mlp.fc\3."),
    (r"^stages\.(\d)\.(\d+)\.(norm\.|gamma)", r"stages.\1.blocks.\2.\3"),
)


def our_name(name: str) -> str:
    """Our name of a tensor of timm's, torchvision's or the paper's weights; others stay as they are.

    >>> our_name("features.5.8.block.3.weight"), our_name("stages.2.8.pwconv1.weight")
    ('stages.2.blocks.8.mlp.fc1.weight', 'stages.2.blocks.8.mlp.fc1.weight')
    """
    for pattern, ours in NAMES:
        found, number = re.subn(pattern, ours, name)
        if number:  # torchvision counts stages and what lies between them alike
            return re.sub(r"<(\d)>", lambda m: str(int(m[1]) // 2), found)
    return name
