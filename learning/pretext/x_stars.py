"""Cross-sensor alignment: patches of one place say the same in the images of two sensors, however they resolve it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.augmentation import dihedral
from mage.learning.devices import unit
from mage.learning.encoders import padded
from mage.learning.methods import Batch
from mage.learning.pretext.dino import DINO
from mage.learning.seeds import seeded
from mage.scenes.errors import ModelError

FINEST = 2.0  # times that a second image which is made from the first is coarser, at least
SPREAD = 1 / (2 * math.sqrt(2 * math.log(2)))  # deviation of a Gaussian of full width 1 at half its height


class XStars(DINO):
    """X-STARS (Marsocci and Audebert 2025): self-distillation on the images of two sensors, and the multi-sensor
    alignment dense loss, L = L_DINO + α L_MSAD.

    L_MSAD looks at each place of the features by itself, and at the images of a batch: with codes a_i and b_i of
    image i by the two sensors, the logits are b_i · a_j, the targets the softmax over j of
    (a_i · a_j + b_i · b_j) / 2; it is the mean of the cross-entropies of the logits and, both transposed, of the
    images of the other sensor. Codes are those of a perceptron for each sensor behind a LayerNorm; targets take no
    gradient and are smoothed. Both images are turned and mirrored alike, and not otherwise augmented.

    Shards hold further sensors of a place, ``ShardDataset(root, images=("sentinel-2",))``. Without one the second
    image is the first one at a GSD some times coarser, see :func:`degraded`.

    Args:
        model: an :class:`~mage.learning.Encoder`.
        sensor: the name under which samples hold the images of the second sensor, (T, bands, H, W) of 0-1 on the pixels
            of the first.
        select: which of its bands, such as red, green and blue, stand for those of the first.
        coarsest: GSD of a second image over that of the first, at most, where it is made from it; 2 at least.
        alignment: weight α; the authors' is 0.1.
        smoothing: share of the targets that is spread evenly; the authors' is 0.3.
        code: numbers of a code; the authors' are 1024.
        seed: of the first weights.
        distillation: further arguments of :class:`DINO`.

    Raises:
        ModelError: the model is no encoder, or a number cannot be.

    >>> from mage.learning import ResidualEncoder
    >>> XStars(ResidualEncoder(width=4), code=16, prototypes=32, hidden=16, bottleneck=8).settings()["alignment"]
    0.1
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        sensor: str | None = None,
        select: Sequence[int] = (0, 1, 2),
        coarsest: float = 8.0,
        alignment: float = 0.1,
        smoothing: float = 0.3,
        code: int = 1024,
        seed: int = 0,
        **distillation: Any,
    ) -> None:
        super().__init__(model, seed=seed, **distillation)
        if not (coarsest >= FINEST and 0 <= smoothing < 1 and code >= 1):
            expected = f"coarsest of {FINEST} or more, smoothing of 0-1, a code of 1 or more"
            raise ModelError("such a task cannot be", expected=expected, found=f"{coarsest}, {smoothing}, {code}")
        self.sensor, self.select, self.coarsest = sensor, tuple(select), coarsest
        self.alignment, self.smoothing, self.code = alignment, smoothing, code
        self.wants = () if sensor is None else (sensor,)
        with seeded(seed):
            self.codes = nn.ModuleList(Code(self.encoder.channels[-1], code) for _ in range(2))

    def settings(self) -> dict[str, Any]:
        """Its own, and those of the distillation."""
        further = {name: getattr(self, name, None) for name in inspect.signature(DINO).parameters}
        return {name: v for name, v in further.items() if isinstance(v, int | float)} | super().settings()

    def images(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """Those of both sensors."""
        for name, image in super().images(batch):
            yield name, image
            yield name, self.sensed(batch, name, image)

    def sensed(self, batch: Batch, name: str, image: Tensor) -> Tensor:
        """The images of the second sensor, or what stands for them.

        Raises:
            ModelError: samples lack them, or they are of another shape or without the selected bands.
        """
        if self.sensor is None:
            return degraded(image, math.exp(batch.rng.uniform(math.log(FINEST), math.log(self.coarsest))))
        other = unit(batch.wanted(name, self.sensor))
        other = other[:, None] if other.ndim == 4 else other
        if other.ndim != 5 or other.shape[2] <= max(self.select):
            expected = f"(T, bands, H, W) with band {max(self.select)}, counted from 0"
            raise ModelError(f"images of '{self.sensor}'", expected=expected, found=str(tuple(other.shape[1:])))
        other = other[:, :, list(self.select)]
        if other.shape != image.shape:
            found = str(tuple(other.shape[1:]))
            raise ModelError(f"images of '{self.sensor}'", expected=str(tuple(image.shape[1:])), found=found)
        return other

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """``distillation`` and ``alignment``."""
        losses = super().losses(batch)
        parts = [self.align(image, self.sensed(batch, name, image), batch.rng) for name, image in super().images(batch)]
        return losses | {"alignment": self.alignment * torch.stack(parts).mean()}

    def align(self, image: Tensor, other: Tensor, rng: np.random.Generator) -> Tensor:
        """L_MSAD of two sensors' images (N, T, C, H, W), at a date of each place drawn by ``rng``."""
        n, dates = image.shape[:2]
        date, rows = rng.integers(0, dates, n), np.arange(n)
        pair = torch.stack([image[rows, date], other[rows, date]], 1)
        pair, _ = dihedral(pair, pair.new_zeros(n, *pair.shape[-2:]), rng)
        features = self.model(padded(pair.flatten(0, 1), self.encoder.strides[-1]))[-1]
        places = (
            features.float().flatten(2).view(n, 2, features.shape[1], -1).permute(1, 3, 0, 2)
        )  # (2, L, N, channels)
        return alignment(self.codes[0](places[0]), self.codes[1](places[1]), self.smoothing)


class Code(nn.Module):
    """A linear map, and a perceptron beside a shortcut, behind a LayerNorm."""

    def __init__(self, inputs: int, code: int) -> None:
        super().__init__()
        self.project, self.mix, self.norm = nn.Linear(inputs, code), nn.Linear(code, code), nn.LayerNorm(code)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., code)."""
        x = self.project(x)
        return cast("Tensor", self.norm(x + self.mix(F.gelu(x))))


def alignment(one: Tensor, other: Tensor, smoothing: float = 0.0) -> Tensor:
    """The multi-sensor alignment dense loss, a scalar, of codes (places, images, code) by two sensors."""
    one, other = one.float(), other.float()
    logits = other @ one.mT  # (places, images, images)
    with torch.no_grad():
        target = ((one @ one.mT + other @ other.mT) / 2).softmax(2)
    parts = [
        F.cross_entropy(scores.flatten(0, 1), wanted.flatten(0, 1), label_smoothing=smoothing)
        for scores, wanted in ((logits, target), (logits.mT, target.mT))
    ]
    return (parts[0] + parts[1]) / 2


def degraded(image: Tensor, factor: float) -> Tensor:
    """Images (..., H, W) as a sensor of a GSD ``factor`` times as coarse would see the place, on the pixels that they
    had: blurred by optics (a Gaussian, half as high at half a coarse pixel from its middle), averaged over the coarse
    pixels, and resampled bilinearly.
    """
    height, width = image.shape[-2:]
    flat = image.reshape(1, -1, height, width)
    deviation = SPREAD * factor
    reach = math.ceil(3 * deviation)
    step = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-(step**2) / (2 * deviation**2))
    kernel = (kernel / kernel.sum()).expand(flat.shape[1], 1, 1, -1)
    wide = F.pad(flat, (reach,) * 4, mode="replicate")
    smooth = F.conv2d(F.conv2d(wide, kernel, groups=flat.shape[1]), kernel.mT, groups=flat.shape[1])
    size = (max(1, round(height / factor)), max(1, round(width / factor)))
    coarse = F.interpolate(smooth, size, mode="area")
    return F.interpolate(coarse, (height, width), mode="bilinear", align_corners=False).view(image.shape)
