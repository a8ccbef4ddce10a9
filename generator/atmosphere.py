"""Cloud, its shadow, and haze between the ground and the sensor, laid over a finished rendering."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mage.generator.bands import sunlit
from mage.generator.noise import fractal
from mage.generator.plan import ShardJob
from mage.generator.sky import Light, Sun
from mage.generator.spectra import Kind, centres, table
from mage.scenes.grid import Grid
from mage.scenes.settings import AtmospherePart

Raster = NDArray[np.float32]

ATMOSPHERE_STREAM = 43  # of a sample's date before; the next is the date after's
HEAPS, VEILS = (520.0, 210.0, 85.0, 34.0, 13.0), (900.0, 340.0, 120.0)  # m; sizes of cumulus and of thin cloud
SOFTNESS = 0.7  # of noise of unit spread from the clear sky to an opaque core
DENSEST = 0.98
TRANSMITTED = 0.2  # of the sun's light that comes down through a cloud; judgement
AIRLIGHT = 0.5  # reflectance factor of haze that lets nothing through
HALF = 50  # percent of opacity from which on a pixel counts as under cloud


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """What is between ground and sensor at one date, (rows, columns) each.

    Attributes:
        opacity: share of the ground's light that cloud replaces by its own.
        bright: how bright that is, 1 for a thick core.
        shadow: opacity of the cloud between the ground and the sun.
        haze: share of the light at 0.55 µm that haze scatters into view.
    """

    opacity: Raster
    bright: Raster
    shadow: Raster
    haze: float

    @property
    def clear(self) -> bool:
        """Whether there is nothing at all."""
        return self.haze == 0 and not self.opacity.any() and not self.shadow.any()

    @property
    def label(self) -> NDArray[np.uint8]:
        """Opacity in percent, as in the label raster ``cloud``."""
        return np.rint(100 * self.opacity).astype(np.uint8)

    @property
    def cover(self) -> float:
        """Share of the tile under cloud that is half opaque or more."""
        return float((self.label >= HALF).mean())


def draw_skies(job: ShardJob, index: int, grid: Grid, suns: tuple[Sun, Sun]) -> tuple[Sky, Sky]:
    """The skies of a sample's two dates, by the recipe's ``atmosphere``; both alike where it holds them alike."""
    part, hold = job.recipe.atmosphere, job.recipe.between.hold
    before, after = (
        sample_sky(job.rng(index, ATMOSPHERE_STREAM + (0 if hold else k)), part, grid, sun)
        for k, sun in enumerate(suns)
    )
    return before, after


def sample_sky(rng: np.random.Generator, part: AtmospherePart, grid: Grid, sun: Sun) -> Sky:
    """Draw cover, veil, haze, height and shapes of a date's clouds."""
    cover, thin, haze = (float(rng.uniform(*share)) for share in (part.cloud, part.thin, part.haze))
    height, seed = float(rng.uniform(*part.height)), int(rng.integers(2**31))
    return cloud_sky(grid, sun, cover=cover, thin=thin, haze=haze, height=height, seed=seed)


def cloud_sky(grid: Grid, sun: Sun, *, cover: float, thin: float, haze: float, height: float, seed: int) -> Sky:
    """A sky of which cumulus covers the share ``cover`` of a tile, under a veil of mean opacity ``thin``.

    Shapes are noise anchored to the ground. A cloud's shadow lies where the line to the sun meets it ``height`` metres
    up: that far over the tangent of the sun's elevation, away from the sun. The veil throws none.
    """
    none = np.zeros(grid.shape, np.float32)
    opacity, bright, shadow = none, np.ones_like(none), none
    if cover > 0:
        field = fractal(grid, HEAPS, seed)
        # the veil must not matter to what is counted as covered: the threshold is of heaps alone
        edge = float(np.quantile(field, 1 - cover)) if cover < 1 else float(field.min()) - SOFTNESS
        away = height / np.tan(max(sun.elevation, np.radians(5.0)))
        sunward = grid.moved(away * np.sin(sun.azimuth), away * np.cos(sun.azimuth))
        opacity, shadow = _opacity(field, edge), _opacity(fractal(sunward, HEAPS, seed), edge)
        bright = (0.78 + 0.22 * opacity) * (1 + 0.05 * fractal(grid, (60.0, 18.0, 6.0), seed + 7))
    if thin > 0:
        veil = np.clip(thin * (1 + 0.55 * fractal(grid, VEILS, seed + 3)), 0, 0.9).astype(np.float32)
        opacity = np.asarray(1 - (1 - opacity) * (1 - veil), np.float32)
    return Sky(opacity, bright.astype(np.float32), shadow.astype(np.float32), haze)


def through(reflected: Raster, sky: Sky, light: Light) -> Raster:
    """What of a scene's reflectance factor (rows, columns, n), in the first n of
    :data:`mage.generator.spectra.BANDS`, is seen through a sky.
    """
    if sky.clear:
        return reflected
    n = reflected.shape[-1]
    lost = np.float32(1 - TRANSMITTED) * sunlit(light, n)
    ground = reflected * (1 - sky.shadow[..., None] * lost)
    share = sky.opacity[..., None]
    white = table()[0][Kind.CLOUD, :n].astype(np.float32) * sky.bright[..., None]
    haze = np.clip(sky.haze * (centres()[:n] / 0.55) ** -1.3, 0, 1).astype(np.float32)
    below = ground * (1 - haze) + AIRLIGHT * haze
    return np.asarray(below * (1 - share) + white * share, np.float32)


def _opacity(field: Raster, edge: float) -> Raster:
    """From 0 to dense over the softness of a cloud's rim, a half at its edge."""
    t = np.clip((field - edge) / SOFTNESS + 0.5, 0, 1)
    return np.asarray(np.minimum(t * t * (3 - 2 * t), DENSEST), np.float32)
