"""Elevation rasters whose pixels lie on one lattice, read as if they were one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mage.scenes.errors import CityError
from mage.scenes.sources.ground.rasters import Raster, applied

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST_PIXELS = 2**30  # that are passed over for one city


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Rasters on one lattice, that of the first; ``corners`` are row and column of each one's first pixel there."""

    rasters: tuple[Raster, ...]
    corners: tuple[tuple[int, int], ...]

    @property
    def first(self) -> Raster:
        """The raster that the lattice is named after."""
        return self.rasters[0]


def sheets_of(rasters: Sequence[Raster]) -> list[Sheet]:
    """The rasters, those on one lattice together, in the order of their first ones."""
    groups: list[list[tuple[Raster, tuple[int, int]]]] = []
    for raster in rasters:
        for group in groups:
            corner = _corner(group[0][0], raster)
            if corner is not None:
                group.append((raster, corner))
                break
        else:
            groups.append([(raster, (0, 0))])
    return [Sheet(tuple(r for r, _ in group), tuple(c for _, c in group)) for group in groups]


def _corner(first: Raster, other: Raster) -> tuple[int, int] | None:
    """Row and column of another raster's first pixel on the lattice of the first; None if it lies on another one."""
    a, b = first.transform, other.transform
    span = max(other.rows, other.columns)
    drift = max(abs(a.a - b.a), abs(a.b - b.b), abs(a.d - b.d), abs(a.e - b.e)) * span
    column, row = (float(v[0]) for v in applied(~a, np.array([b.c]), np.array([b.f])))
    off = max(abs(column - round(column)), abs(row - round(row)))
    if first.crs != other.crs or drift > 0.01 * abs(a.a or a.b) or off > 0.01:
        return None
    return round(row), round(column)


def joined(sheet: Sheet, rows: slice, columns: slice) -> tuple[Floats, Mask]:
    """Heights of a window out of all rasters of a sheet, NaN for voids and beside them, and where any of them lies.

    Where rasters overlap the first one holds, and the next in its voids.

    Raises:
        CityError: a window of more than :data:`MOST_PIXELS`.
    """
    stride = rows.step
    shape = len(range(rows.start, rows.stop, stride)), len(range(columns.start, columns.stop, stride))
    if (rows.stop - rows.start) * (columns.stop - columns.start) > MOST_PIXELS:
        raise CityError(
            "the elevation is too fine for so wide a city",
            file=sheet.first.name,
            expected=f"at most {MOST_PIXELS} pixels under it",
            found=f"{rows.stop - rows.start} x {columns.stop - columns.start}",
        )
    heights, there = np.full(shape, np.nan), np.zeros(shape, bool)
    for raster, (row, column) in zip(sheet.rasters, sheet.corners, strict=True):
        target_r, source_r = _overlap(rows, row, raster.rows)
        target_c, source_c = _overlap(columns, column, raster.columns)
        if source_r.stop <= source_r.start or source_c.stop <= source_c.start:
            continue
        part = raster.window(source_r, source_c)
        area = heights[target_r, target_c]
        heights[target_r, target_c] = np.where(np.isnan(area), part, area)
        there[target_r, target_c] = True
    return heights, there


def _overlap(window: slice, first: int, size: int) -> tuple[slice, slice]:
    """Where a raster that begins at ``first`` lies in a window, as positions there and as pixels of its own."""
    step = window.step
    low = max(0, -(-(first - window.start) // step))
    count = len(range(window.start, window.stop, step))
    high = min(count, -(-(first + size - window.start) // step))
    start = window.start + low * step - first
    return slice(low, max(low, high)), slice(start, start + max(0, (high - low - 1) * step + 1), step)
