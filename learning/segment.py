"""The siamese network: where buildings stand, and how badly each is hurt, from an image before and one after."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.encoders import STRIDES, ResidualBlock, ResidualEncoder, norm
from mage.scenes.errors import ModelError

DATES = 2


class Prediction(NamedTuple):
    """Logits of a batch: ``localisation`` (N, 1, H, W) building or not, ``damage`` (N, grades, H, W).

    >>> Prediction(torch.zeros(1, 1, 2, 2), torch.zeros(1, 4, 2, 2)).probabilities()[0, :, 0, 0]
    tensor([0.5000, 0.1250, 0.1250, 0.1250, 0.1250])
    """

    localisation: Tensor
    damage: Tensor

    def probabilities(self) -> Tensor:
        """(N, 1 + grades, H, W) float32 that sum to 1: no building, then a building of each grade."""
        building = self.localisation.float().sigmoid()
        return torch.cat([1 - building, building * self.damage.float().softmax(1)], 1)

    def log_probabilities(self) -> Tensor:
        """The logarithm of :meth:`probabilities`, finite where these are 0 in float32."""
        score = self.localisation.float()
        graded = F.logsigmoid(score) + self.damage.float().log_softmax(1)
        return torch.cat([F.logsigmoid(-score), graded], 1)


class SiameseDamageNet(nn.Module):
    """One encoder for both dates, their features fused at each scale, a U-Net decoder, two heads.

    The fusion sees both dates and their absolute difference, so that a change of light can be told from a change of
    the building. Both heads predict 2x2 pixels per place of the finest features (sub-pixel convolution, Shi et al.
    2016), which keeps outlines sharp at a quarter of the cost of a decoder at full size.

    Args:
        width: channels at the finest scale; cost and size grow with its square.
        bands: channels of an image.
        grades: damage grades, 4 on the Joint Damage Scale.
        seed: of the first weights; torch's global generator is left as it was.

    >>> model = SiameseDamageNet(width=4)
    >>> model(torch.rand(1, 2, 3, 32, 32)).damage.shape
    torch.Size([1, 4, 32, 32])
    """

    def __init__(self, width: int = 24, bands: int = 3, grades: int = 4, *, seed: int = 0) -> None:
        super().__init__()
        for name, value, least in (("width", width, 1), ("bands", bands, 1), ("grades", grades, 2)):
            if value < least:
                raise ModelError(f"a model cannot have this {name}", expected=f"{least} or more", found=str(value))
        if not 0 <= seed < 2**63:
            raise ModelError("a model cannot have this seed", expected="0 to 2^63 - 1", found=str(seed))
        self.width, self.bands, self.grades = width, bands, grades
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self._build()

    def _build(self) -> None:
        self.encoder = ResidualEncoder(self.width, self.bands)
        channels = self.encoder.channels
        self.fusions = nn.ModuleList(_Fusion(c) for c in channels)
        self.decoders = nn.ModuleList(ResidualBlock(c + 2 * c, c) for c in channels[:-1])
        self.head = nn.Conv2d(self.width, (1 + self.grades) * STRIDES[0] ** 2, 3, padding=1)

    def forward(self, image: Tensor) -> Prediction:
        """Logits for a batch of any height and width.

        Args:
            image: (N, 2, bands, H, W) float, before and after, 0-1.

        Raises:
            ModelError: the batch has another shape.
        """
        height, width = image.shape[-2:]
        return self.decode(self.features(image), (height, width))

    def features(self, image: Tensor) -> list[Tensor]:
        """Features of the pair, finest first, (N, channels, H / s, W / s) at strides 2 to 16, sides rounded up to
        multiples of 16; arguments and errors as of :meth:`forward`.
        """
        self._check(image)
        padded = _pad(image.flatten(0, 1), STRIDES[-1])
        features = self.encoder((padded - 0.5) / 0.25)
        return [fuse(f.unflatten(0, (-1, DATES))) for fuse, f in zip(self.fusions, features, strict=True)]

    def decode(self, features: list[Tensor], size: tuple[int, int]) -> Prediction:
        """Logits of ``size`` (H, W) from :meth:`features`."""
        x = features[-1]
        for decode, skip in zip(reversed(self.decoders), reversed(features[:-1]), strict=True):
            x = decode(torch.cat([skip, F.interpolate(x, scale_factor=2.0, mode="nearest")], 1))
        logits = F.pixel_shuffle(self.head(x), STRIDES[0])[..., : size[0], : size[1]]
        return Prediction(logits[:, :1], logits[:, 1:])

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each of :meth:`features`."""
        return self.encoder.channels

    @property
    def classes(self) -> int:
        """Values that a mask may hold: background and the grades."""
        return 1 + self.grades

    def predict(self, pre: NDArray[np.uint8], post: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Map one place from an image before and one after, uint8 (H, W, bands) each, of any size.

        Returns:
            classes, uint8 (H, W): 0 no building, 1 + grade elsewhere; and probabilities, float32 (1 + grades, H, W).

        Raises:
            ModelError: the images are not uint8, differ in shape or have other bands.
        """
        from mage.learning.predict import classify, predict_tile

        for name, picture in (("pre", pre), ("post", post)):
            if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape != pre.shape:
                raise ModelError(
                    f"the image '{name}' cannot be used",
                    expected=f"two uint8 arrays of one shape (H, W, {self.bands})",
                    found=f"{picture.dtype} {picture.shape}",
                )
        pair = torch.from_numpy(np.stack([pre, post]).transpose(0, 3, 1, 2).copy())
        probabilities = predict_tile(self, pair).cpu().numpy()
        return classify(probabilities), probabilities

    def _check(self, image: Tensor) -> None:
        expected = f"(N, {DATES}, {self.bands}, H, W)"
        if image.ndim != 5 or tuple(image.shape[1:3]) != (DATES, self.bands) or 0 in image.shape:
            raise ModelError("a batch of another shape", expected=expected, found=str(tuple(image.shape)))
        if not image.is_floating_point():
            raise ModelError("a batch of another type", expected="float, 0-1", found=str(image.dtype))


class _Fusion(nn.Module):
    """Features of both dates and their absolute difference, (N, 2, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            nn.Conv2d(3 * channels, channels, 1, bias=False), norm(channels), nn.ReLU(inplace=True)
        )

    def forward(self, features: Tensor) -> Tensor:
        before, after = features.unbind(1)
        return self.mix(torch.cat([before, after, (after - before).abs()], 1))


def _pad(image: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides are multiples; unlike reflection it works from one pixel on."""
    rows, columns = (-side % multiple for side in image.shape[-2:])
    return F.pad(image, (0, columns, 0, rows), mode="replicate") if rows or columns else image
