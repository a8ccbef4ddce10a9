"""Noise anchored to the ground, so that neighbouring tiles and both dates agree on every stain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mage.generator.spots import Spots
from mage.scenes.grid import Grid

Raster = NDArray[np.float32]


def lattice(i: NDArray[np.int64], j: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    """A number in [-1, 1) for every lattice point, by integer mixing (finaliser of MurmurHash3): no state, no table."""
    h = (i.astype(np.uint64) * np.uint64(0x9E3779B1)) ^ (j.astype(np.uint64) * np.uint64(0x85EBCA77))
    h = (h ^ np.uint64(seed * 0xC2B2AE3D & 0xFFFFFFFF)) & np.uint64(0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h = ((h ^ (h >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(16)
    return (h.astype(np.float64) / 2**31 - 1).astype(np.float32)


def value_noise(grid: Grid | Spots, wavelength: float, seed: int) -> Raster:
    """Smooth noise of one wavelength (m) at the pixel centres or spots, float32 of their shape in [-1, 1].

    Random values on a lattice of that spacing, blended by the quintic step of Perlin (2002), which hides the lattice.
    """
    x, y = grid.xy.T if isinstance(grid, Spots) else grid.centres()

    def _split(coordinate: NDArray[np.float64]) -> tuple[NDArray[np.int64], Raster]:
        cell = np.floor(coordinate / wavelength)
        t = coordinate / wavelength - cell
        return cell.astype(np.int64), (t**3 * (t * (t * 6 - 15) + 10)).astype(np.float32)

    (i, u), (j, v) = _split(x), _split(y)
    if isinstance(grid, Spots):
        low, high = (lattice(i, j + k, seed) * (1 - u) + lattice(i + 1, j + k, seed) * u for k in (0, 1))
        return np.asarray(low * (1 - v) + high * v, np.float32)
    columns = np.arange(i.min(), i.max() + 2)
    rows = np.arange(j.min(), j.max() + 2)
    values = lattice(columns[None, :], rows[:, None], seed)
    along = values[:, i - columns[0]] * (1 - u) + values[:, i - columns[0] + 1] * u
    v = v[:, None]
    low, high = along[j - rows[0]], along[j - rows[0] + 1]
    low *= 1 - v
    high *= v
    low += high
    return low


def fractal(grid: Grid | Spots, wavelengths: tuple[float, ...], seed: int, falloff: float = 0.6) -> Raster:
    """Sum of noises from the longest wavelength (m) to the shortest, each ``falloff`` times the one before; about
    unit spread.
    """
    total = np.zeros(grid.shape, np.float32)
    weight, power = 1.0, 0.0
    for k, wavelength in enumerate(wavelengths):
        total += np.float32(weight) * value_noise(grid, wavelength, seed + 101 * k)
        power += weight**2
        weight *= falloff
    return total / np.float32(0.42 * np.sqrt(power))  # 0.42: spread of one octave
