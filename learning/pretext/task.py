"""What pretext tasks share: an encoder as their model, and views of places at one date or two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.encoders import Encoder, padded
from mage.learning.methods import STREAMS, Batch, Method
from mage.learning.views import strong
from mage.scenes.errors import ModelError
from mage.scenes.metrics import IGNORE

ASPECT = 4 / 3  # of a crop, at most (Szegedy et al. 2015)


class Pretext(Method):
    """The base of pretext tasks: their model is an encoder, and any of the three streams serves.

    The encoder is handed to a network by building this with it: ``SiameseDamageNet(encoder=encoder)`` after ``fit``, or
    with ``run.load_into(encoder)`` from the run; ``mage train --pretrained`` takes the run's checkpoint. The encoder of
    a network is trained in its place: ``MoCo(net.encoder)``.

    Args:
        model: an :class:`~mage.learning.Encoder`, such as ``SiameseDamageNet().encoder``.

    Raises:
        ModelError: it is none.
    """

    labelled = False

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        encoder_of(model)

    @property
    def encoder(self) -> Encoder:
        """The model, by what it is."""
        return cast("Encoder", self.model)

    def pooled(self, image: Tensor) -> Tensor:
        """(N, bands, H, W) -> (N, channels), the mean of the coarsest features over all places."""
        return pool(self.model(padded(image, self.encoder.strides[-1])))

    def images(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """The name of each stream of the batch, and its images, (N, T, C, H, W) float 0-1.

        Raises:
            ModelError: there is no stream, or its images have other bands than the encoder.
        """
        there = [name for name in STREAMS if getattr(batch, name) is not None]
        if not there:
            raise ModelError("a pretext task needs samples", expected=f"one of the streams {', '.join(STREAMS)}")
        for name in there:
            image = batch.image(name)
            image = image[:, None] if image.ndim == 4 else image
            if image.shape[2] != self.encoder.bands:
                raise ModelError(
                    "images and encoder differ in bands", expected=str(self.encoder.bands), found=str(image.shape[2])
                )
            yield name, image

    def twice(self, batch: Batch, temporal: float) -> Iterator[tuple[Tensor, Tensor]]:
        """Each stream's places as two images, (N, C, H, W) each, of one date, or with the probability ``temporal`` of
        two: what differs between them is then the season, the sun and the sensor (SeCo, Mañas et al. 2021).

        Of labelled places those whose mask holds damage, a value above 1, are never seen at two dates, so that nothing
        learns to overlook it.
        """
        for name, image in self.images(batch):
            n, dates = image.shape[:2]
            first, rows = batch.rng.integers(0, dates, n), np.arange(n)
            moved = (batch.rng.random(n) < temporal) & calm(getattr(batch, name).get("mask"), n)
            second = np.where(moved, (first + batch.rng.integers(1, max(dates, 2), n)) % dates, first)
            yield image[rows, first], image[rows, second]


def encoder_of(model: nn.Module) -> Encoder:
    """The model, as an encoder.

    Raises:
        ModelError: it has no ``bands``, ``channels`` and ``strides``.
    """
    missing = [name for name in ("bands", "channels", "strides") if not hasattr(model, name)]
    if missing:
        raise ModelError(
            f"a pretext task trains an encoder, and this model has no '{missing[0]}'",
            expected="ResidualEncoder, ViT, or the `encoder` of a network",
            found=type(model).__name__,
        )
    return cast("Encoder", model)


def pool(features: list[Tensor]) -> Tensor:
    """The mean of the coarsest features over all places, (N, channels) float32."""
    return features[-1].float().mean((2, 3))


def calm(mask: Tensor | None, n: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of ``n`` places show no damage by their mask, (N, H, W); all, where there is no mask."""
    if mask is None:
        return np.ones(n, bool)
    return cast("np.ndarray[tuple[int], np.dtype[np.bool_]]", (~hurt(mask).flatten(1).any(1)).cpu().numpy())


def hurt(mask: Tensor) -> Tensor:
    """Pixels of buildings that are graded as damaged."""
    return (mask > 1) & (mask != IGNORE)


def view(image: Tensor, size: tuple[int, int], share: tuple[float, float], rng: np.random.Generator) -> Tensor:
    """A crop of each image at random, turned, mirrored, and of another light: see :func:`crops` and
    :func:`~mage.learning.views.strong`.
    """
    return strong(crops(image, size, share, rng), rng)


def crops(image: Tensor, size: tuple[int, int], share: tuple[float, float], rng: np.random.Generator) -> Tensor:
    """One box of each image (N, C, H, W), in one of the eight symmetries of the square (of four, where images or crops
    are none), resampled bilinearly to (N, C, *size).

    Args:
        image: to crop.
        size: height and width of the result in pixels.
        share: lowest and highest share of a box in the area of an image.
        rng: draws area, aspect (3:4 to 4:3, as far as it fits), place and symmetry of each.
    """
    n = len(image)
    area = rng.uniform(*share, n)
    aspect = np.clip(ASPECT ** rng.uniform(-1, 1, n), area, 1 / area)  # so that a box of this area fits
    tall, wide = np.sqrt(area / aspect), np.sqrt(area * aspect)
    x, y = (1 - wide) * rng.uniform(-1, 1, n), (1 - tall) * rng.uniform(-1, 1, n)
    mirror = rng.choice([-1.0, 1.0], (2, n))
    turned = (rng.random(n) < 0.5) & (image.shape[-1] == image.shape[-2]) & (size[0] == size[1])
    theta = np.zeros((n, 2, 3))
    theta[:, 0, 2], theta[:, 1, 2] = x, y
    theta[np.arange(n), 0, turned.astype(int)] = wide * mirror[0]
    theta[np.arange(n), 1, 1 - turned.astype(int)] = tall * mirror[1]
    where = torch.from_numpy(theta).to(image.device, image.dtype)
    grid = F.affine_grid(where, [n, image.shape[1], *size], align_corners=False)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
