"""From reflected light to what an 8-bit product stores: blur, sharpening, black point, stretch, noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.generator.colour import to_srgb
from mage.generator.sensors.table import DEFAULT, kinds, read_sensor
from mage.scenes.recipe import MIXTURE

Image = NDArray[np.float32]

UNSHARP = 1.1  # pixels; radius of the mask that products are sharpened with
OUTSIDE = 0.3  # of the visible black point that bands beyond the visible have: air scatters little there


@dataclass(frozen=True, slots=True)
class Radiometry:
    """How one date was taken and stretched; dates of a pair differ, as they do in real pairs.

    Attributes:
        black: linear light added per band (R, G, B): path radiance and black point; below 0 it cuts shadows off.
        gain: linear factor per band.
        psf: standard deviation of the blur, pixels.
        sharpen: strength of the unsharp mask that products are delivered with.
        noise: standard deviation in 8-bit steps.
        chroma: standard deviation of the extra blur of colour, pixels.
        correlation: of the noise of two bands.
    """

    black: tuple[float, float, float]
    gain: tuple[float, float, float]
    psf: float
    sharpen: float
    noise: float
    chroma: float
    correlation: float = 0.94


def sample_radiometry(rng: np.random.Generator, name: str | None = None) -> Radiometry:
    """A date's radiometry, drawn from the ranges of a kind of ``assets/sensors.yaml``.

    ``name`` is the kind's, or ``mixture``, which draws one by its weight; None takes the default image's.
    """
    name = name or read_sensor(DEFAULT).radiometry
    table = kinds()
    if name == MIXTURE:
        weights = np.array([kind.weight for kind in table.values()])
        name = str(rng.choice(list(table), p=weights / weights.sum()))
    assert name is not None
    kind = table[name]
    lift, gain = rng.uniform(*kind.lift), rng.uniform(*kind.gain)
    tint = rng.normal(0, kind.tint, 3)
    r, g, b = (float(lift * black) for black in kind.black)
    return Radiometry(
        black=(r, g, b),
        gain=(float(gain * (1 + tint[0])), float(gain * (1 + tint[1])), float(gain * (1 + tint[2]))),
        # with the pixel filter of the renderer 0.3 to 0.6 make edges that rise over 1.2 to 2 px
        psf=float(rng.uniform(*kind.psf)),
        sharpen=float(rng.uniform(*kind.sharpen)),
        noise=float(rng.uniform(*kind.noise)),
        chroma=float(rng.uniform(*kind.chroma)),
        correlation=float(rng.uniform(*kind.correlation)),
    )


def expose(reflected: Image, radiometry: Radiometry, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The 8-bit sRGB image of a scene's reflectance factor, float32 (rows, columns, 3 or more): red, green, blue and,
    if there are any, bands beyond the visible; 1 is a white plane in full light.
    """
    more = reflected.shape[-1] - 3
    gain = np.append(radiometry.gain, [np.mean(radiometry.gain)] * more).astype(np.float32)
    black = np.append(radiometry.black, [OUTSIDE * np.mean(radiometry.black)] * more).astype(np.float32)
    image = _blur(np.maximum(np.nan_to_num(reflected), 0), radiometry.psf)
    image = image + np.float32(radiometry.sharpen) * (image - _blur(image, UNSHARP))
    display = to_srgb(image * gain + black)
    luma = display[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    chroma = _blur(display - luma[..., None], radiometry.chroma)
    common = rng.normal(0, radiometry.noise * np.sqrt(radiometry.correlation), luma.shape)
    own = rng.normal(0, radiometry.noise * np.sqrt(1 - radiometry.correlation), display.shape)
    own += chroma
    own += (luma + common)[..., None]
    return np.clip(np.rint(own, out=own), 0, 255, out=own).astype(np.uint8)


def _blur(image: Image, sigma: float) -> Image:
    blurred = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float32)
