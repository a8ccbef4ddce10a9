"""Bands beyond the visible out of one rendering of the visible: the light that falls on each pixel, times what it
reflects there.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.generator.sky import Light, clear_light
from mage.generator.spectra import VISIBLE, centres

Image = NDArray[np.float32]

AROUND = 1.5  # metres from where most of the light comes that surfaces throw on each other


@dataclass(frozen=True, slots=True, eq=False)
class Passes:
    """What one rendering tells, float32 (rows, columns, ...) each, linear.

    Attributes:
        combined: radiance in the visible (3), denoised.
        albedo: diffuse reflectance in the visible (3).
        gloss: radiance in the visible (3) that is not diffuse: glint and mirrored sky, noisy.
        beyond: diffuse reflectance in red edge, NIR, SWIR 1 and SWIR 2 (4).
        direct, indirect: irradiance in the visible (3) straight from sun and sky, and by way of other surfaces; noisy.
    """

    combined: Image
    albedo: Image
    gloss: Image
    beyond: Image
    direct: Image
    indirect: Image


def beyond_light(light: Light) -> Light:
    """Sun and sky of ``light`` in the four bands beyond the visible."""
    return clear_light(light.sun, light.aerosol, centres()[VISIBLE:])


def sunlit(light: Light, n: int) -> NDArray[np.float32]:
    """Share of the light on a horizontal plane that comes straight from the sun, float32 (n,), in the first n of
    :data:`mage.generator.spectra.BANDS`.
    """
    other = beyond_light(light)
    direct, diffuse = (
        np.concatenate(pair)[:n] for pair in ((light.direct, other.direct), (light.diffuse, other.diffuse))
    )
    sunlight = direct * np.sin(light.sun.elevation)
    return np.asarray(sunlight / (sunlight + diffuse), np.float32)


def recombined(passes: Passes, light: Light, gsd: float) -> Image:
    """Reflectance factor in the bands beyond the visible, float32 (rows, columns, 4); 1 is a white plane in full
    light.

    Irradiance is the denoised radiance over the albedo. Its three bands say how much of it is sunlight and how much
    skylight, which are of other strengths beyond the visible; what other surfaces throw back changes with what those
    around reflect there. ``gsd`` is the side of a pixel, metres.
    """
    other = beyond_light(light)
    gloss = np.minimum(_blurred(passes.gloss, 0.7), 0.98 * passes.combined)
    lit = (passes.combined - gloss) / np.maximum(passes.albedo, 1e-3)
    near = max(AROUND / gsd, 0.5)
    indirect = _blurred(passes.indirect, near)
    share = indirect / np.maximum(indirect + _blurred(passes.direct, near), 1e-6)
    sun, sky = _split(lit * (1 - share), light)
    irradiance = sun[..., None] * other.direct + sky[..., None] * other.diffuse
    around = _blurred(passes.beyond, near) / np.maximum(
        _blurred(passes.albedo, near).mean(axis=-1, keepdims=True), 1e-3
    )
    thrown = (lit * share).mean(axis=-1, keepdims=True) * around
    irradiance = irradiance + thrown * (other.horizontal / light.horizontal.mean())
    glint, mirrored = _split(gloss, light)
    shine = glint[..., None] * other.direct + mirrored[..., None] * other.diffuse
    radiance = passes.beyond * irradiance + shine
    return np.asarray(radiance * (np.pi / other.horizontal), np.float32)


def _blurred(image: Image, sigma: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma))


def _split(radiance: Image, light: Light) -> tuple[Image, Image]:
    """How much of ``light.direct`` and of ``light.diffuse`` (rows, columns) makes a radiance up, neither below 0."""
    basis = np.stack([light.direct, light.diffuse], axis=1)
    parts = radiance @ np.linalg.pinv(basis).T.astype(np.float32)
    sun, sky = parts[..., 0], parts[..., 1]
    only_sun = np.maximum(radiance @ (basis[:, 0] / (basis[:, 0] @ basis[:, 0])), 0)
    only_sky = np.maximum(radiance @ (basis[:, 1] / (basis[:, 1] @ basis[:, 1])), 0)
    return np.where(sky < 0, only_sun, np.where(sun < 0, 0, sun)), np.where(
        sun < 0, only_sky, np.where(sky < 0, 0, sky)
    )
