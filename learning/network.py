"""What networks have in common: an encoder, a decoder, and a way from any image to logits of its size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.decoders import Decoder
from mage.learning.encoders import Encoder, ResidualEncoder, check_least, padded
from mage.scenes.errors import ModelError

if TYPE_CHECKING:
    from mage.learning.temperature import Temperatures

ATTRIBUTES = ("bands", "channels", "strides", "mean", "std")  # of an encoder
MakeDecoder = Callable[[Sequence[int], int], Decoder]


class Network(nn.Module):
    """The base of :class:`~mage.learning.SiameseDamageNet` and :class:`~mage.learning.SegmentationNet`.

    Heads predict s x s pixels per place of features of stride s (sub-pixel convolution, Shi et al. 2016), which keeps
    outlines sharp at a fraction of the cost of a decoder at full size.

    >>> from mage.learning import SiameseDamageNet
    >>> net = SiameseDamageNet(width=2)
    >>> isinstance(net, Network), net.dates, net.bands, net.classes
    (True, 2, 3, 5)
    >>> before = after = np.zeros((20, 30, 3), np.uint8)
    >>> classes, probabilities = net.predict(before, after)
    >>> classes.shape, probabilities.shape
    ((20, 30), (5, 20, 30))
    """

    dates: ClassVar[int]
    """Images of a place."""
    classes: int
    """Values that a mask may hold."""
    channels: tuple[int, ...]
    """Channels of each of :meth:`features`."""

    def __init__(self, width: int, bands: int | None, encoder: Encoder | None) -> None:
        super().__init__()
        check_least("a model", width=width, bands=3 if bands is None else bands)
        self.width = width
        self.temperatures: Temperatures | None = None  # of predict_tile, see mage.learning.fit_temperatures
        self.encoder: Encoder = _checked(encoder, bands) or ResidualEncoder(width, bands or 3)
        self.bands = self.encoder.bands
        self.decoder: Decoder

    def forward(self, image: Tensor) -> Any:
        """Logits for a batch of any height and width, (N, dates, bands, H, W), or without ``dates`` where there is one,
        float, 0-1.

        Raises:
            ModelError: the batch has another shape.
        """
        height, width = image.shape[-2:]
        return self.decode(self.features(image), (height, width))

    def features(self, image: Tensor) -> list[Tensor]:
        """Features of the images of a place, finest first, (N, channels, H / s, W / s) at strides s of the encoder,
        sides rounded up to multiples of the last; arguments and errors as of :meth:`forward`.
        """
        raise NotImplementedError

    def decode(self, features: list[Tensor], size: tuple[int, int]) -> Any:
        """Logits of ``size`` (H, W) from :meth:`features`."""
        raise NotImplementedError

    def predict(self, *images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Map one place from its images, before and after or one alone, uint8 (H, W, bands) each, of any size.

        Returns:
            classes, uint8 (H, W), and probabilities, float32 (classes, H, W). Further heads: :meth:`map`.

        Raises:
            ModelError: the images are not as many as dates, not uint8, differ in shape or have other bands.
        """
        probabilities = self.map(*images)["classes"]
        return self._classify(probabilities), probabilities

    def map(self, *images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """What the network says of one place, uint8 (H, W, bands) for each date, of any size: maps (C, H, W) by name,
        see :func:`~mage.learning.maps_of`.

        Raises:
            ModelError: the images are not as many as dates, not uint8, differ in shape or have other bands.
        """
        from mage.learning.predict import predict_maps

        if len(images) != self.dates:
            raise ModelError("another number of images", expected=str(self.dates), found=str(len(images)))
        for picture in images:
            if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape != images[0].shape:
                raise ModelError(
                    "the image cannot be used",
                    expected=f"uint8 arrays of one shape (H, W, {self.bands})",
                    found=f"{picture.dtype} {picture.shape}",
                )
        stacked = torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy())
        maps = predict_maps(self, stacked if self.dates > 1 else stacked[0])
        return {name: values.cpu().numpy() for name, values in maps.items()}

    def _classify(self, probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
        return probabilities.argmax(0).astype(np.uint8)

    def _head(self, channels: int) -> nn.Conv2d:
        """A head of so many logits for each pixel."""
        return nn.Conv2d(self.decoder.channels, channels * self.encoder.strides[0] ** 2, 3, padding=1)

    def _logits(self, head: nn.Module, x: Tensor, size: tuple[int, int]) -> Tensor:
        return F.pixel_shuffle(head(x), self.encoder.strides[0])[..., : size[0], : size[1]]

    def _encode(self, image: Tensor) -> list[Tensor]:
        """Features of (N, bands, H, W)."""
        return self.encoder(padded(image, self.encoder.strides[-1]))

    def _check(self, image: Tensor) -> None:
        lead = (self.dates, self.bands) if self.dates > 1 else (self.bands,)
        if image.ndim != 3 + len(lead) or tuple(image.shape[1:-2]) != lead or 0 in image.shape:
            expected = f"(N, {', '.join(map(str, lead))}, H, W)"
            raise ModelError("a batch of another shape", expected=expected, found=str(tuple(image.shape)))
        if not image.is_floating_point():
            raise ModelError("a batch of another type", expected="float, 0-1", found=str(image.dtype))


def _checked(encoder: Encoder | None, bands: int | None) -> Encoder | None:
    if encoder is None:
        return None
    if not isinstance(encoder, nn.Module) or any(
        not hasattr(encoder, a) for a in ("bands", "channels", "strides", "mean", "std")
    ):
        raise ModelError(
            "this is no encoder",
            expected="an nn.Module with bands, channels, strides, mean and std",
            found=type(encoder).__name__,
        )
    strides = tuple(encoder.strides)
    if len(strides) < 2 or any(after != 2 * before for before, after in pairwise(strides)):
        raise ModelError(
            "the encoder's features are not of several scales: wrap it in SimplePyramid",
            expected="strides that double",
            found=str(strides),
        )
    if bands not in (None, encoder.bands):
        raise ModelError("model and encoder differ in bands", expected=str(encoder.bands), found=str(bands))
    return encoder
