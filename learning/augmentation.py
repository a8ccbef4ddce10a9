"""Augmentation on the device, by the batch, without a loop over its images. Randomness comes in as ``rng``."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def augment(image: Tensor, mask: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Turn and mirror at random, then vary the light of each date.

    Args:
        image: (N, T, C, H, W) or (N, C, H, W) float 0-1.
        mask: (N, H, W), or (N, K, H, W) of several labels.
        rng: draws all parameters, on the CPU, so that every device sees the same ones.
    """
    image, mask = dihedral(image, mask, rng)
    return jitter(image, rng), mask


def dihedral(image: Tensor, mask: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """One of the eight symmetries of the square for each sample, the same for both dates and the mask; of four where
    tiles are not square.
    """
    flips = torch.from_numpy(rng.random((3, len(image))) < 0.5).to(image.device)
    for chosen, turn in zip(flips, (_flip_rows, _flip_columns, _transpose), strict=True):
        if turn is _transpose and image.shape[-1] != image.shape[-2]:
            continue
        image = torch.where(chosen.view(-1, *[1] * (image.ndim - 1)), turn(image), image)
        mask = torch.where(chosen.view(-1, *[1] * (mask.ndim - 1)), turn(mask), mask)
    return image, mask


def jitter(image: Tensor, rng: np.random.Generator, strength: float = 1.0) -> Tensor:
    """Vary contrast, brightness and tint, (N, T, C, H, W) or (N, C, H, W) -> same, 0-1.

    Drawn per image and date, since two dates of one place differ in haze, sun and sensor: a gain within 20 %, an
    offset within 0.08, and a gain of each band within 5 %, all times ``strength``.
    """
    if image.ndim == 4:
        return jitter(image[:, None], rng, strength)[:, 0]
    n, dates, bands = image.shape[:3]
    gain = 1 + strength * (rng.uniform(-0.2, 0.2, (n, dates, 1)) + rng.uniform(-0.05, 0.05, (n, dates, bands)))
    offset = strength * rng.uniform(-0.08, 0.08, (n, dates, 1)) + 0.5 * (1 - gain)  # gain about mid-grey
    by_band = torch.from_numpy(np.stack([gain, offset])).to(image.device, image.dtype)[..., None, None]
    return (image * by_band[0] + by_band[1]).clamp(0, 1)


def _flip_rows(x: Tensor) -> Tensor:
    return x.flip(-2)


def _flip_columns(x: Tensor) -> Tensor:
    return x.flip(-1)


def _transpose(x: Tensor) -> Tensor:
    return x.transpose(-1, -2)
