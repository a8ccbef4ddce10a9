"""How far apart imagery lies: Fréchet's distance between Gaussians of what an ImageNet encoder sees in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mage.learning import EfficientNetLite, bundled_weights, load_pretrained

LEVEL = 2  # of the encoder's features: 40 channels of stride 8, so that a few dozen tiles tell their covariance


def features(images: Iterable[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Mean features of windows of 64 px, (windows, channels), of images uint8 (T, 3, H, W)."""
    encoder = load_pretrained(EfficientNetLite(0), bundled_weights(0)).eval()
    found = []
    with torch.inference_mode():
        for image in images:
            seen = encoder(torch.from_numpy(np.ascontiguousarray(image)).float() / 255)[LEVEL]
            pooled = torch.nn.functional.avg_pool2d(seen, min(8, *seen.shape[-2:]))
            found.append(pooled.flatten(2).transpose(1, 2).flatten(0, 1).double().numpy())
    return np.concatenate(found)


def frechet(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The distance (Dowson and Landau 1982) between the Gaussians of two sets of vectors (n, d), as a root."""
    (m, s), (n, t) = ((v.mean(0), np.cov(v, rowvar=False)) for v in (one, other))
    root = _root(s)
    shared = np.trace(s + t - 2 * _root(root @ t @ root))
    return float(np.sqrt(max(((m - n) ** 2).sum() + shared, 0.0)))


def _root(matrix: NDArray[Any]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def table(sets: dict[str, NDArray[np.float64]]) -> dict[str, dict[str, float]]:
    """Distance of each set to each other."""
    return {a: {b: round(frechet(x, y), 3) for b, y in sets.items() if a != b} for a, x in sets.items()}
