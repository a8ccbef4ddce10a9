"""Features at several scales out of those of a plain transformer, which has one."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from mage.learning.encoders import Encoder, check_least, mix
from mage.learning.seeds import seeded
from mage.scenes.errors import ModelError


class SimplePyramid(nn.Module):
    """The simple feature pyramid of ViTDet (Li et al. 2022, section 3): an encoder's last features, of stride 16 say,
    up by two transposed convolutions, up by one, as they are, and down by pooling, so at strides 4 to 32, each mixed to
    ``width`` channels. It is an :class:`~mage.learning.Encoder` itself.

    Args:
        encoder: of features that need not be of several strides; the last ones are taken.
        width: channels of each of the new features.
        seed: of the first weights.

    Raises:
        ModelError: the last features are too fine, or the width is below 1.

    >>> import torch
    >>> from mage.learning import ResidualEncoder
    >>> pyramid = SimplePyramid(ResidualEncoder(width=2), width=8)
    >>> pyramid.strides, [tuple(f.shape) for f in pyramid(torch.zeros(1, 3, 64, 64))][::3]
    ((4, 8, 16, 32), [(1, 8, 16, 16), (1, 8, 2, 2)])
    """

    def __init__(self, encoder: Encoder, width: int = 256, *, seed: int = 0) -> None:
        super().__init__()
        check_least("a pyramid", width=width)
        stride, channels = encoder.strides[-1], encoder.channels[-1]
        if stride % 4:
            raise ModelError(
                "a pyramid stands on coarse features", expected="a stride of 4, 8, 16 …", found=str(stride)
            )
        self.encoder, self.width, self.bands = encoder, width, encoder.bands
        self.channels, self.strides = (width,) * 4, (stride // 4, stride // 2, stride, 2 * stride)
        self.mean, self.std = encoder.mean, encoder.std
        half, quarter = max(channels // 2, 1), max(channels // 4, 1)
        with seeded(seed):
            self.levels = nn.ModuleList(
                (
                    nn.Sequential(_up(channels, half), nn.GELU(), _up(half, quarter), mix(quarter, width)),
                    nn.Sequential(_up(channels, half), mix(half, width)),
                    mix(channels, width),
                    nn.Sequential(nn.MaxPool2d(2), mix(channels, width)),
                )
            )

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, bands, H, W) 0-1, sides multiples of the last stride -> features, (N, width, H / s, W / s) each."""
        last = self.encoder(image)[-1]
        return [cast("Tensor", level(last)) for level in self.levels]


def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 2, 2)
