"""Strong views of images, and mixtures of them: by the batch, on the device, without a loop over images.

All that is random is drawn on the CPU from ``rng``, so that every device sees the same, and nothing waits for the
device in between.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.augmentation import jitter
from mage.scenes.errors import ModelError
from mage.scenes.metrics import IGNORE

RADIUS = 5  # of the blur's kernel in pixels: 2.5 times the widest sigma, whatever the size of the image
BOX_SHARE, BOX_ASPECT = (0.02, 0.4), 1 / 0.3  # of a CutMix box: area over the image's, longest side over the other


def strong(image: Tensor, rng: np.random.Generator, strength: float = 2.0) -> Tensor:
    """Vary light and tint (in 8 of 10 images), drop the colour (2 of 10), blur (5 of 10); geometry stays.

    Args:
        image: (N, T, C, H, W) or (N, C, H, W) float 0-1.
        rng: draws which and how, for each date.
        strength: of the jitter, see :func:`~mage.learning.augmentation.jitter`.
    """
    if image.ndim == 4:
        return strong(image[:, None], rng, strength)[:, 0]
    lit, grey = (_chosen(image, rng, p) for p in (0.8, 0.2))
    image = torch.where(lit, jitter(image, rng, strength), image)
    image = torch.where(grey, image.mean(2, keepdim=True), image)
    sigma = rng.uniform(0.1, 2.0, image.shape[:2]) * (rng.random(image.shape[:2]) < 0.5)
    return blur(image, torch.from_numpy(sigma))


def blur(image: Tensor, sigma: Tensor) -> Tensor:
    """Each date of each image, (N, T, C, H, W), under a Gaussian of its own ``sigma``, (N, T) pixels; 0 changes
    nothing.
    """
    steps = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64)
    kernel = torch.exp(-(steps**2) / (2 * sigma.double()[..., None].clamp(min=1e-3) ** 2))
    kernel = (kernel / kernel.sum(-1, keepdim=True)).to(image.device, image.dtype)
    n, dates, bands = image.shape[:3]
    kernel = kernel[:, :, None].expand(n, dates, bands, -1).reshape(n * dates * bands, 1, 1, -1)
    flat = image.reshape(1, n * dates * bands, *image.shape[-2:])
    wide = F.pad(flat, (RADIUS,) * 4, mode="replicate")
    rows = F.conv2d(wide, kernel.transpose(-1, -2), groups=len(kernel))
    return F.conv2d(rows, kernel, groups=len(kernel)).reshape(image.shape)


def boxes(n: int, size: tuple[int, int], rng: np.random.Generator) -> Tensor:
    """A box in each of ``n`` images, bool (n, H, W), for CutMix (Yun et al. 2019): 2 to 40 % of the image's area."""
    height, width = size
    area, aspect = rng.uniform(*BOX_SHARE, n) * height * width, BOX_ASPECT ** rng.uniform(-1, 1, n)
    tall = np.clip(np.rint(np.sqrt(area * aspect)), 1, height).astype(int)
    wide = np.clip(np.rint(np.sqrt(area / aspect)), 1, width).astype(int)
    top, left = rng.integers(0, height - tall, endpoint=True), rng.integers(0, width - wide, endpoint=True)
    row, column = np.arange(height)[None, :, None], np.arange(width)[None, None]
    top, tall, left, wide = (values[:, None, None] for values in (top, tall, left, wide))
    return torch.from_numpy((row >= top) & (row < top + tall) & (column >= left) & (column < left + wide))


def cut_mix(rng: np.random.Generator, *tensors: Tensor) -> list[Tensor]:
    """A box of each image is taken from the next image of the batch, in tensors (N, ..., H, W) that belong together,
    such as images, their pseudo-labels and how sure these are.
    """
    mask = boxes(len(tensors[0]), (tensors[0].shape[-2], tensors[0].shape[-1]), rng).to(tensors[0].device)
    return [mix(mask, t.roll(-1, 0), t) for t in tensors]


def channel_masks(features: list[Tensor], rng: np.random.Generator, drop: float = 0.5) -> list[Tensor]:
    """Factors (N, C, 1, 1) for each of some features that drop channels: 0 with probability ``drop``, else
    1 / (1 - drop), so that the mean stays.
    """
    return [
        (torch.from_numpy(rng.random(f.shape[:2]) >= drop) / (1 - drop)).to(f.device, f.dtype)[:, :, None, None]
        for f in features
    ]


def class_mask(label: Tensor, classes: int, rng: np.random.Generator) -> Tensor:
    """Where the classes lie that ClassMix (Olsson et al. 2021) cuts out, bool (N, H, W).

    Of the classes that an image holds, half, rounded up, are drawn for each image by itself; 255 is never cut.

    Args:
        label: (N, H, W) integers, 0 to 255.
        classes: values below it are classes, others are never cut; 255 at most.
        rng: draws the classes.
    """
    flat = label.flatten(1)
    present = _present(flat, classes).float()
    # Present classes come first, in random order: ranks below half their number are the drawn half.
    order = torch.from_numpy(rng.random((len(label), classes))).to(label.device) - present
    rank = order.argsort(1).argsort(1)
    drawn = (rank < ((present.sum(1, keepdim=True) + 1) / 2).floor()) & (present > 0)
    return F.pad(drawn, (0, IGNORE + 1 - classes)).gather(1, flat.long()).view(label.shape)


def _present(flat: Tensor, classes: int) -> Tensor:
    """Which classes each row of (N, P) holds, bool (N, classes).

    Class by class, in bytes: comparisons that write bytes take a twentieth of the time of those that write booleans,
    and scattering ones three times as long in all. Nothing waits for the device.
    """
    small = flat.to(torch.uint8)
    same = torch.empty_like(small)
    return torch.stack([torch.eq(small, one, out=same).amax(1) for one in range(classes)], 1).bool()


def mix(mask: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """``one`` where the mask, bool (N, H, W), is true, else ``other``; both (N, ..., H, W).

    Raises:
        ModelError: their crops differ in shape.
    """
    if one.shape != other.shape:
        found = f"{tuple(one.shape)} and {tuple(other.shape)}"
        raise ModelError("images of two streams are mixed, and differ in shape", expected="equal crops", found=found)
    return torch.where(mask.view(len(mask), *[1] * (one.ndim - 3), *mask.shape[1:]), one, other)


def _chosen(image: Tensor, rng: np.random.Generator, p: float) -> Tensor:
    drawn = torch.from_numpy(rng.random(image.shape[:2]) < p)
    return drawn.to(image.device)[:, :, None, None, None]
