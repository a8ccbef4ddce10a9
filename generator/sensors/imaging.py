"""One rendering as several sensors see it: bands, blur, area-weighted pixels, noise, sharpening, quantisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.generator.sensors.radiometry import expose, sample_radiometry
from mage.generator.sensors.table import Band, Sensor
from mage.generator.spectra import centres

Image = NDArray[np.float32]

DETECTOR = 2 / np.pi  # MTF at the Nyquist frequency of a square detector as wide as a pixel
DARKEST = 0.05  # share of the reference below which noise falls no further with the signal
FLOOR = 0.005  # reflectance; what a ratio of bands is not divided by less than


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """One band's image: uint8 or uint16 (rows, columns), and the side of its pixels in metres; its north-west corner
    is the tile's.
    """

    pixels: NDArray[Any]
    gsd: float


def take(spectrum: Image, gsd: float, sensor: Sensor, rng: np.random.Generator) -> dict[str, Taken]:
    """What a sensor delivers of a tile, by band.

    Args:
        spectrum: reflectance factor (rows, columns, n) in the first n of :data:`mage.generator.spectra.BANDS`: all 7,
            or the visible 3 where the sensor sees no more.
        gsd: side of its pixels, metres.
        sensor: its own pixels are at least as large.
        rng: draws the noise and, of a display product, the stretch.
    """
    spectrum = np.maximum(np.nan_to_num(spectrum), 0)
    if sensor.product == "display":
        return _displayed(spectrum, gsd, sensor, rng)
    measured = {name: _measured(spectrum, gsd, sensor, band, rng) for name, band in sensor.bands.items()}
    if sensor.pan is not None:
        measured = _sharpened(spectrum, gsd, sensor, measured, rng)
    return {name: Taken(_counted(image, sensor), sensor.delivered(name)) for name, image in measured.items()}


def band_weights(band: Band, count: int) -> NDArray[np.float64]:
    """Shares (count,) of the spectrum's bands in a sensor's band: the mean over its width of what lies linearly between
    the centres of the two nearest.
    """
    known = centres()[:count]
    order = np.argsort(known)
    wavelengths = np.linspace(*band.reach, 65)
    shares = [np.interp(wavelengths, known[order], np.eye(count)[i][order]).mean() for i in range(count)]
    return np.array(shares)


def blur_of(mtf: float, gsd: float) -> float:
    """Standard deviation (m) of the Gaussian that leaves ``mtf`` at the Nyquist frequency of pixels of side ``gsd``,
    together with their own square: the transform of a Gaussian is exp(-2 (pi s f)^2).
    """
    return float(gsd / np.pi * np.sqrt(2 * np.log(max(DETECTOR / mtf, 1.0))))


def resampled(image: Image, gsd: float, to: float, shape: tuple[int, int]) -> Image:
    """Area-weighted means over pixels of side ``to``, from the north-west corner on; those that reach over the edge are
    means of what is inside.
    """
    if abs(to - gsd) < 1e-9 and shape == image.shape[:2]:
        return image
    rows, columns = (_overlap(n, gsd, m, to) for n, m in zip(image.shape[:2], shape, strict=True))
    return np.asarray(np.einsum("ij,jk...->ik...", rows, np.einsum("kl,jl...->jk...", columns, image)), np.float32)


def _overlap(count: int, gsd: float, pixels: int, to: float) -> NDArray[np.float32]:
    """How much (pixels, count) of each larger pixel is each smaller one; rows add up to 1."""
    small, large = np.arange(count + 1) * gsd, np.arange(pixels + 1) * to
    low = np.maximum(large[:-1, None], small[None, :-1])
    high = np.minimum(large[1:, None], small[None, 1:])
    share = np.maximum(high - low, 0)
    return (share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _measured(spectrum: Image, gsd: float, sensor: Sensor, band: Band, rng: np.random.Generator) -> Image:
    """A band's reflectance at its own GSD, with noise."""
    own, mtf, snr = band.gsd or sensor.gsd or gsd, band.mtf or sensor.mtf, band.snr or sensor.snr
    plane = spectrum @ band_weights(band, spectrum.shape[-1]).astype(np.float32)
    blurred = _blurred(plane, blur_of(mtf, own) / gsd)
    image = resampled(blurred, gsd, own, _shape(plane, gsd, own, whole=sensor.pan is None))
    # shot noise grows with the root of the signal
    signal = np.maximum(image / sensor.reference, DARKEST)
    return image + (sensor.reference / snr * np.sqrt(signal) * rng.standard_normal(image.shape)).astype(np.float32)


def _sharpened(
    spectrum: Image, gsd: float, sensor: Sensor, measured: dict[str, Image], rng: np.random.Generator
) -> dict[str, Image]:
    """Bands at the GSD of the pan band, each times what that has beyond its own smooth version (Liu 2000, smoothing
    filter-based intensity modulation).
    """
    assert sensor.pan is not None
    assert sensor.gsd is not None
    pan = _measured(spectrum, gsd, sensor, sensor.pan, rng)
    shape, ratios = _shape(spectrum[..., 0], gsd, sensor.gsd), {}
    result = {}
    for name, image in measured.items():
        own = sensor.bands[name].gsd or sensor.gsd
        if own not in ratios:
            smooth = resampled(pan, sensor.gsd, own, (image.shape[0], image.shape[1]))
            ratios[own] = pan / np.maximum(_upsampled(smooth, own, sensor.gsd, pan.shape), FLOOR)
        result[name] = (_upsampled(image, own, sensor.gsd, pan.shape) * ratios[own])[: shape[0], : shape[1]]
    return result


def _upsampled(image: Image, gsd: float, to: float, shape: tuple[int, ...]) -> Image:
    """Values at the middles of smaller pixels, bilinear: what undershoots in dark places would make ratios burst."""
    rows, columns = ((np.arange(n, dtype=np.float32) + 0.5) * np.float32(to / gsd) - 0.5 for n in shape[:2])
    x, y = np.meshgrid(columns, rows)
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _counted(image: Image, sensor: Sensor) -> NDArray[np.uint16]:
    """Digital numbers: as many levels as the bits allow up to saturation, in steps of the product's scale."""
    levels = 2**sensor.bits - 1
    steps = np.rint(np.clip(image / sensor.saturation, 0, 1) * levels)
    return np.clip(np.rint(steps * (sensor.saturation * sensor.scale / levels)), 0, 65_535).astype(np.uint16)


def _displayed(spectrum: Image, gsd: float, sensor: Sensor, rng: np.random.Generator) -> dict[str, Taken]:
    own = sensor.gsd or gsd
    names = ["red", "green", "blue", *(name for name in sensor.bands if name not in ("red", "green", "blue"))]
    weights = [band_weights(sensor.bands[name], spectrum.shape[-1]) for name in names]
    planes = spectrum @ np.stack(weights, axis=1).astype(np.float32)
    image = expose(
        resampled(planes, gsd, own, _shape(planes, gsd, own)), sample_radiometry(rng, sensor.radiometry), rng
    )
    if sensor.jpeg is not None:
        parts = [_compressed(image[..., :3], sensor.jpeg)]
        parts += [_compressed(image[..., k], sensor.jpeg)[..., None] for k in range(3, len(names))]
        image = np.concatenate(parts, axis=-1)
    return {name: Taken(np.ascontiguousarray(image[..., k]), own) for k, name in enumerate(names)}


def _compressed(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """What is left of an image (rows, columns) or (rows, columns, 3) after JPEG."""
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(image), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), np.uint8)


def _shape(image: NDArray[Any], gsd: float, to: float, *, whole: bool = True) -> tuple[int, int]:
    """Rows and columns of pixels of side ``to``: those that lie within the image, or that cover it if not ``whole``."""
    rows, columns = (n * gsd / to for n in image.shape[:2])
    if whole:
        return int(rows + 1e-6), int(columns + 1e-6)
    return int(np.ceil(rows - 1e-6)), int(np.ceil(columns - 1e-6))


def _blurred(image: Image, sigma: float) -> Image:
    if sigma < 0.1:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101))
