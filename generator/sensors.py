"""From reflected light to what a satellite's product stores: blur, noise, sharpening, black point, stretch."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.generator.colour import BLACK, GAIN, to_srgb

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Radiometry:
    """How one date was taken and stretched; dates of a pair differ, as they do in real pairs.

    Attributes:
        black: linear light added per band (R, G, B): path radiance and black point.
        gain: linear factor per band.
        psf: standard deviation of the blur, pixels.
        sharpen: strength of the unsharp mask that products are delivered with.
        noise: standard deviation in 8-bit steps, common to the bands.
        chroma: standard deviation of the extra blur of colour, pixels.
    """

    black: tuple[float, float, float]
    gain: tuple[float, float, float]
    psf: float
    sharpen: float
    noise: float
    chroma: float


def sample_radiometry(rng: np.random.Generator) -> Radiometry:
    """A date's radiometry, in the ranges measured on xBD, Ida-BD and Joplin scenes.

    Lifted green blacks, band gains within 12 %, edges that rise over 1.2-2.1 px, noise of 0.5-1.7 steps with band
    correlation above 0.9, colour with half of the luma's fine detail.
    """
    lift = rng.uniform(0.5, 1.25)
    gain = GAIN * rng.uniform(0.88, 1.12)
    tint = rng.normal(0, 0.03, 3)
    return Radiometry(
        black=tuple(float(b) for b in BLACK * lift),  # type: ignore[arg-type]
        gain=tuple(float(gain * (1 + t)) for t in tint),  # type: ignore[arg-type]
        psf=float(rng.uniform(0.3, 0.6)),  # with the pixel filter of the renderer: edges that rise over 1.2-2 px
        sharpen=float(rng.uniform(0.2, 0.8)),
        noise=float(rng.uniform(0.5, 1.7)),
        chroma=float(rng.uniform(0.6, 1.2)),
    )


def expose(reflected: Image, radiometry: Radiometry, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The 8-bit sRGB image of a scene's reflectance factor, float32 (rows, columns, 3); 1 is a white plane in full
    light.
    """
    image = _blur(np.maximum(np.nan_to_num(reflected), 0), radiometry.psf)
    image = image + np.float32(radiometry.sharpen) * (image - _blur(image, 1.1))
    display = to_srgb(image * np.array(radiometry.gain) + np.array(radiometry.black))
    luma = display @ np.array([0.299, 0.587, 0.114])
    chroma = _blur((display - luma[..., None]).astype(np.float32), radiometry.chroma)
    common = rng.normal(0, radiometry.noise, luma.shape)
    own = rng.normal(0, 0.25 * radiometry.noise, display.shape)
    return np.clip(np.rint(luma[..., None] + chroma + common[..., None] + own), 0, 255).astype(np.uint8)


def _blur(image: Image, sigma: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101))
