"""Noise anchored to the ground, so that neighbouring tiles and both dates agree on every stain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mage.generator.spots import Spots
from mage.scenes.grid import Grid, row_blocks

Raster = NDArray[np.float32]

BLOCK = 1 << 16  # pixels of noise that are worked out at once


def lattice(i: NDArray[np.int64], j: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    """A number in [-1, 1) for every lattice point, by integer mixing (finaliser of MurmurHash3): no state, no table."""
    h = (i.astype(np.uint32) * np.uint32(0x9E3779B1)) ^ (j.astype(np.uint32) * np.uint32(0x85EBCA77))
    h ^= np.uint32(seed * 0xC2B2AE3D & 0xFFFFFFFF)
    shifted = np.empty_like(h)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        h ^= np.right_shift(h, np.uint32(shift), out=shifted)
        h *= np.uint32(factor)
    # half of the range below 0: the top bit turned over is a whole number's sign
    h ^= np.uint32(1 << 31)
    return h.view(np.int32).astype(np.float32) * np.float32(2**-31)


def value_noise(grid: Grid | Spots, wavelength: float, seed: int) -> Raster:
    """Smooth noise of one wavelength (m) at the pixel centres or spots, float32 of their shape in [-1, 1].

    Random values on a lattice of that spacing, blended by the quintic step of Perlin (2002), which hides the lattice.
    """
    if isinstance(grid, Spots):
        (i, u), (j, v) = (_split(coordinate, wavelength) for coordinate in grid.xy.T)
        low, high = (lattice(i, j + k, seed) * (1 - u) + lattice(i + 1, j + k, seed) * u for k in (0, 1))
        return np.asarray(low * (1 - v) + high * v, np.float32)
    octave, noise = _Octave.over(grid, wavelength, seed), np.empty(grid.shape, np.float32)
    spare = np.empty_like(noise[next(row_blocks(grid.shape, BLOCK))])
    for rows in row_blocks(grid.shape, BLOCK):
        octave.noise(rows, noise[rows], spare)
    return noise


def fractal(grid: Grid | Spots, wavelengths: tuple[float, ...], seed: int, falloff: float = 0.6) -> Raster:
    """Sum of noises from the longest wavelength (m) to the shortest, each ``falloff`` times the one before; about
    unit spread.
    """
    weights = [falloff**k for k in range(len(wavelengths))]
    spread = np.float32(0.42 * np.sqrt(sum(weight**2 for weight in weights)))  # 0.42: spread of one octave
    total = np.zeros(grid.shape, np.float32)
    if isinstance(grid, Spots):
        for k, (weight, wavelength) in enumerate(zip(weights, wavelengths, strict=True)):
            total += np.float32(weight) * value_noise(grid, wavelength, seed + 101 * k)
        return total / spread
    octaves = [_Octave.over(grid, wavelength, seed + 101 * k) for k, wavelength in enumerate(wavelengths)]
    noise, spare = np.empty((2, *total[next(row_blocks(grid.shape, BLOCK))].shape), np.float32)
    for rows in row_blocks(grid.shape, BLOCK):
        part = total[rows]
        for weight, octave in zip(weights, octaves, strict=True):
            own = octave.noise(rows, noise[: len(part)], spare)
            own *= np.float32(weight)
            part += own
        part /= spread
    return total


@dataclass(frozen=True, slots=True, eq=False)
class _Octave:
    """Noise of one wavelength over a grid: ``along`` (n, columns) is blended along the rows of the lattice that a grid
    crosses; each row of pixels lies between those numbered ``lower`` and the next, ``share`` (rows, 1) of the way.
    """

    along: Raster
    lower: NDArray[np.int64]
    share: Raster

    @classmethod
    def over(cls, grid: Grid, wavelength: float, seed: int) -> _Octave:
        x, y = grid.centres()
        (i, u), (j, v) = _split(x, wavelength), _split(y, wavelength)
        columns = np.arange(i.min(), i.max() + 2)
        rows = np.arange(j.min(), j.max() + 2)
        values = lattice(columns[None, :], rows[:, None], seed)
        along = values.take(i - columns[0], axis=1)
        along *= 1 - u
        along += values.take(i - columns[0] + 1, axis=1) * u
        return cls(along, j - rows[0], v[:, None])

    def noise(self, rows: slice, out: Raster, spare: Raster) -> Raster:
        """The noise of some rows of pixels, in ``out``; ``spare`` has at least as many rows."""
        share, lower = self.share[rows], self.lower[rows]
        high = spare[: len(lower)]
        # told to clip, or else it would write to a copy first
        self.along.take(lower, axis=0, out=out, mode="clip")
        self.along.take(lower + 1, axis=0, out=high, mode="clip")
        out *= 1 - share
        high *= share
        out += high
        return out


def _split(coordinate: NDArray[np.float64], wavelength: float) -> tuple[NDArray[np.int64], Raster]:
    """The lattice's cell of coordinates, and the quintic step of how far into it they are."""
    cell = np.floor(coordinate / wavelength)
    t = coordinate / wavelength - cell
    return cell.astype(np.int64), (t**3 * (t * (t * 6 - 15) + 10)).astype(np.float32)
