"""The networks: how badly each building is hurt, from an image before and one after; and classes of one image."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mage.learning.decoders import UNet, narrowed
from mage.learning.encoders import Encoder, mix
from mage.learning.heads import Prediction
from mage.learning.names import Head
from mage.learning.network import MakeDecoder, Network
from mage.learning.seeds import seeded
from mage.scenes.errors import ModelError

DATES = 2


class SiameseDamageNet(Network):
    """One encoder for both dates, their features fused at each scale, a decoder, and heads: buildings and their grades,
    and what else is asked for.

    The fusion sees both dates and their absolute difference, so that a change of light can be told from a change of
    the building.

    Args:
        width: channels at the finest scale; cost and size grow with its square.
        bands: channels of an image; None takes the encoder's, 3 of our own.
        grades: damage grades, 4 on the Joint Damage Scale.
        encoder: such as ``ResNet(50)``; None takes a small residual one of this width. One that is given keeps its
            weights.
        decoder: ``UNet``, ``UPerNet``, or what else makes one from channels and a width.
        heads: further ones, see :class:`~mage.learning.Head`.
        alone: buildings are looked for in the image before alone, by a decoder of its own, and grades told from both:
            outlines of real sets are drawn before the event, and stay where the image after leans or lies elsewhere.
            Features are then those of the pair and, behind them, the encoder's of the image before.
        seed: of the first weights; torch's global generator is left as it was.

    Raises:
        ModelError: an argument cannot be used.

    >>> model = SiameseDamageNet(width=4, heads=("flood", "height"))
    >>> prediction = model(torch.zeros(1, 2, 3, 20, 30))
    >>> prediction.damage.shape, prediction.height.shape, prediction.road
    (torch.Size([1, 4, 20, 30]), torch.Size([1, 2, 20, 30]), None)
    """

    dates = DATES

    def __init__(
        self,
        width: int = 24,
        bands: int | None = None,
        grades: int = 4,
        *,
        encoder: Encoder | None = None,
        decoder: MakeDecoder = UNet,
        heads: Iterable[Head | str] = (),
        alone: bool = False,
        seed: int = 0,
    ) -> None:
        if grades < 2:
            raise ModelError("a model cannot have this grades", expected="2 or more", found=str(grades))
        with seeded(seed):
            super().__init__(width, bands, encoder)
            self.grades, self.heads, self.alone = grades, _heads(heads), alone
            narrow = tuple(narrowed(self.encoder.channels, width))
            self.fused = narrow
            self.channels = tuple(map(sum, zip(narrow, self.encoder.channels, strict=True))) if alone else narrow
            self.fusions = nn.ModuleList(_Fusion(i, o) for i, o in zip(self.encoder.channels, narrow, strict=True))
            self.decoder = decoder(narrow, width)
            self.head = self._head(grades if alone else 1 + grades)
            self.further = nn.ModuleDict({head.value: self._head(head.channels) for head in self.heads})
            if alone:
                self.outlines = decoder(self.encoder.channels, width)
                self.outline = self._head(1)

    def forward(self, image: Tensor) -> Prediction:
        """Logits for a batch of any height and width.

        Args:
            image: (N, 2, bands, H, W) float, before and after, 0-1.

        Raises:
            ModelError: the batch has another shape.
        """
        return super().forward(image)

    def features(self, image: Tensor) -> list[Tensor]:
        """Features of the pair, finest first, (N, channels, H / s, W / s) at the encoder's strides, sides rounded up to
        multiples of the last; arguments and errors as of :meth:`forward`.
        """
        self._check(image)
        dates = [f.reshape(-1, DATES, *f.shape[1:]) for f in self._encode(image.flatten(0, 1))]
        fused = [fuse(f) for fuse, f in zip(self.fusions, dates, strict=True)]
        if not self.alone:
            return fused
        return [torch.cat([pair, date[:, 0]], 1) for pair, date in zip(fused, dates, strict=True)]

    def decode(self, features: list[Tensor], size: tuple[int, int]) -> Prediction:
        """Logits of ``size`` (H, W) from :meth:`features`."""
        if not self.alone:
            x = self.decoder(features)
            logits = self._logits(self.head, x, size)
            return Prediction(logits[:, :1], logits[:, 1:], **self._further(x, size))
        x = self.decoder([f[:, :n] for f, n in zip(features, self.fused, strict=True)])
        y = self.outlines([f[:, n:] for f, n in zip(features, self.fused, strict=True)])
        place = self._logits(self.outline, y, size)
        return Prediction(place, self._logits(self.head, x, size), **self._further(x, size))

    def _further(self, x: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
        return {name: self._logits(head, x, size) for name, head in self.further.items()}

    @property
    def classes(self) -> int:  # type: ignore[override]  # it follows from the grades
        """Values that a mask may hold: background and the grades."""
        return 1 + self.grades

    def _classify(self, probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
        from mage.learning.predict import classify

        return classify(probabilities)


class SegmentationNet(Network):
    """Classes of one image: buildings, land cover, water. An encoder, a decoder, and logits (N, classes, H, W).

    Args:
        classes: 2 or more.
        width: channels at the finest scale.
        bands: channels of an image; None takes the encoder's, 3 of our own.
        encoder: such as ``ConvNeXt()``; None takes a small residual one of this width. One that is given keeps its
            weights.
        decoder: ``UNet``, ``UPerNet``, or what else makes one from channels and a width.
        seed: of the first weights; torch's global generator is left as it was.

    Raises:
        ModelError: an argument cannot be used.

    >>> SegmentationNet(classes=3, width=4, bands=13)(torch.zeros(1, 13, 20, 30)).shape
    torch.Size([1, 3, 20, 30])
    """

    dates = 1

    def __init__(
        self,
        classes: int,
        width: int = 24,
        bands: int | None = None,
        *,
        encoder: Encoder | None = None,
        decoder: MakeDecoder = UNet,
        seed: int = 0,
    ) -> None:
        if classes < 2:
            raise ModelError("a model cannot have so few classes", expected="2 or more", found=str(classes))
        with seeded(seed):
            super().__init__(width, bands, encoder)
            self.classes, self.channels = classes, tuple(self.encoder.channels)
            self.decoder = decoder(self.channels, width)
            self.head = self._head(classes)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes, H, W) of (N, bands, H, W) float 0-1 of any height and width.

        Raises:
            ModelError: the batch has another shape.
        """
        return super().forward(image)

    def features(self, image: Tensor) -> list[Tensor]:
        """The encoder's, of images whose sides are rounded up to multiples of its last stride."""
        self._check(image)
        return self._encode(image)

    def decode(self, features: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Logits of ``size`` (H, W) from :meth:`features`."""
        return self._logits(self.head, self.decoder(features), size)


class _Fusion(nn.Module):
    """Features of both dates and their absolute difference, (N, 2, inputs, H, W) -> (N, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mix = mix(3 * inputs, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """(N, 2, inputs, H, W), before and after -> (N, outputs, H, W)."""
        before, after = features.unbind(1)
        return self.mix(torch.cat([before, after, (after - before).abs()], 1))


def _heads(heads: Iterable[Head | str]) -> tuple[Head, ...]:
    """In the order of :class:`Head`, each once."""
    try:
        asked = {Head(head) for head in heads}
    except ValueError as error:
        raise ModelError(f"no such head: {error}", expected=f"some of {', '.join(Head)}") from None
    return tuple(head for head in Head if head in asked)
