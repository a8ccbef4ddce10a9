"""sRGB, reflectance, and the nominal stretch that joins them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# A sunlit patch of reflectance r is displayed at BLACK + GAIN * r (linear light). BLACK is the lifted, green black
# point that
# xBD's Maxar scenes share (1st percentiles 42,55,45 in sRGB), left by path radiance and stretch.
BLACK = np.array([0.0195, 0.0340, 0.0225])
GAIN = 0.92


def to_linear(srgb: ArrayLike) -> Floats:
    """8-bit sRGB values to linear light in [0, 1] (IEC 61966-2-1)."""
    c = np.asarray(srgb, float) / 255
    return np.asarray(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4), float)


def to_srgb(linear: ArrayLike) -> NDArray[Any]:
    """Linear light to sRGB values in [0, 255], not rounded (IEC 61966-2-1); float32 of what is float32."""
    c = np.clip(np.asarray(linear), 0, 1)
    return np.asarray(np.where(c <= 0.0031308, 12.92 * c, 1.055 * c ** (1 / 2.4) - 0.055) * 255)


def reflectance(srgb: ArrayLike) -> Floats:
    """The reflectance that the nominal stretch shows as this 8-bit sRGB colour in full sun, kept within [0.01,
    0.85].
    """
    return np.clip((to_linear(srgb) - BLACK) / GAIN, 0.01, 0.85)


def in_bands(raster: NDArray[np.float32], out: Any = None) -> NDArray[np.float32]:
    """A raster (rows, columns) in each of three bands, (rows, columns, 3), in ``out`` where that has this shape.

    Pictures are multiplied by that in an eighth of the time that numpy takes to stretch a raster over their bands.
    """
    return np.asarray(cv2.merge((raster, raster, raster), out))
