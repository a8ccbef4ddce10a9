"""Bands beyond the visible out of one rendering of the visible: the light that falls on each pixel, times what it
reflects there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.generator.sky import Light, clear_light
from mage.generator.spectra import VISIBLE, centres

Image = NDArray[np.float32]

AROUND = 0.5  # metres over which light is averaged that surfaces throw on each other, and that is noisy
# Of the light that surfaces throw on each other they throw this share again in the visible: they reflect a tenth of it,
# and fill about a seventh of each other's sky. It matters where leaves reflect half.
AGAIN = 0.015
GREENNESS = np.linspace(-0.3, 0.4, 15)  # of what threw light: borders of its classes


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
    skylight, which are of other strengths beyond the visible; what other surfaces throw back changes with what they
    reflect there, which its colour tells: walls beside a lawn, whose light is grey, are not seen themselves. ``gsd`` is
    the side of a pixel, metres.
    """
    other = beyond_light(light)
    gloss = np.minimum(_blurred(passes.gloss, 0.7), 0.98 * passes.combined)
    lit = (passes.combined - gloss) / np.maximum(passes.albedo, 1e-3)
    near = max(AROUND / gsd, 0.5)
    indirect = _blurred(passes.indirect, near)
    share = indirect / np.maximum(indirect + _blurred(passes.direct, near), 1e-6)
    sun, sky = _split(lit * (1 - share), light)
    irradiance = sun[..., None] * other.direct + sky[..., None] * other.diffuse
    brighter = _brighter(passes, indirect / light.horizontal)
    thrown = (lit * share).mean(axis=-1, keepdims=True) * brighter * (1 + AGAIN * brighter)
    irradiance = irradiance + thrown * (other.horizontal / light.horizontal.mean())
    glint, mirrored = _split(gloss, light)
    shine = glint[..., None] * other.direct + mirrored[..., None] * other.diffuse
    radiance = passes.beyond * irradiance + shine
    return np.asarray(radiance * (np.pi / other.horizontal), np.float32)


def _brighter(passes: Passes, colour: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """How many times as much as in the visible (rows, columns, 4) surfaces reflect in each band that are as green as
    ``colour`` (rows, columns, 3), by all that the picture shows.
    """
    visible = passes.albedo.mean(axis=-1).ravel()
    number, classes = np.digitize(_greenness(passes.albedo), GREENNESS).ravel(), len(GREENNESS) + 1
    ends = GREENNESS[[0, -1]]
    middles = np.concatenate([ends[:1], (GREENNESS[1:] + GREENNESS[:-1]) / 2, ends[1:]])
    within = np.bincount(number, visible, classes)
    ratios = []
    for band in np.moveaxis(passes.beyond, 2, 0):
        whole = band.sum() / max(float(visible.sum()), 1e-3)  # for classes that nothing seen is of
        own = (np.bincount(number, band.ravel(), classes) + 1e-3 * whole) / (within + 1e-3)
        ratios.append(np.interp(_greenness(colour), middles, own))
    return np.stack(ratios, axis=-1)


def _greenness(colour: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """(G - R) / (G + R) of colours (..., 3)."""
    red, green = colour[..., 0], colour[..., 1]
    return np.asarray((green - red) / np.maximum(green + red, 1e-6))


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
