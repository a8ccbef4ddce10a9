"""Where two images of one place do not lie on each other, and by how much: phase correlation, globally, then locally.

Images of two dates are compared by their gradients, which outlast a change of light better than values do. The
correlations of some windows are added up to find one shift for all; windows all over then measure what is left, and
those that agree with their neighbours make a smooth field. By choice each window's shift is made finer by the enhanced
correlation coefficient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.spatial import cKDTree

from mage.learning.mapping.picture import Picture, Window
from mage.scenes.errors import DatasetError

Floats = NDArray[np.float64]

VOTERS, VOTER = 6, 512  # windows along each side that tell the shift of all, and their side in pixels
LOCAL, MEASURING = 256, 32  # side of the windows that measure locally, and how many do so along each side at most
NEAR = 8.0  # pixels beyond the shift of all that a window may measure
AGREE = 2.0  # pixels by which a window may differ from its neighbours
SURE = 6.0  # standard deviations that a peak must stand out by: noise alone reaches 5 in windows of this size
FEWEST = 3  # windows that make a field
BLUR = 0.7  # pixels: standard deviation by which correlations are smoothed
SHORTEST = 64  # pixels of a side with which anything is measured
OVERLAP = 0.2  # share of a window that must be data in both images
SMOOTH = 300.0  # pixels: standard deviation of the kernel that makes a field of local shifts
RIDGE = 0.3  # windows' worth of evidence that the field is level
ECC_STEPS, ECC_ENOUGH = 40, 1e-3  # steps of the enhanced correlation coefficient, and its gain that is not worth one
ECC_FAR = 0.75  # pixels from where phase correlation saw the peak: what is farther was drawn there by moved shadows
TOO_FEW = 0.01  # share of the place on which both images must be data


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """How a picture lies against another one.

    A place seen at (column, row) of the first is seen at (column + right, row + down) of the second, in pixels of the
    grid that both are laid on.

    Attributes:
        shift: (right, down) of all, pixels.
        places: (n, 2) column and row of the windows' middles whose local shifts count.
        local: (n, 2) what they measured beyond ``shift``.
        residual: pixels; root mean square of a window's shift less that of the field without it. NaN where there are
            too few windows to tell.
        confidence: share of the windows that see anything which agree with their neighbours within 2 pixels, or, where
            there are fewer than 3, with the shift of all; 0 where nothing was found, and then all is taken to lie where
            it should.
        note: what a reader should know of how it was found; empty if nothing.
    """

    shift: tuple[float, float]
    places: Floats
    local: Floats
    residual: float
    confidence: float
    note: str = ""

    def at(self, columns: Floats, rows: Floats) -> tuple[Floats, Floats]:
        """Pixels to the right and down at places of the grid, in their shape: the shift of all, and a smooth
        field through the local ones.
        """
        if not len(self.places):
            return np.full(columns.shape, self.shift[0]), np.full(rows.shape, self.shift[1])
        knots_x, knots_y = _lattice(columns), _lattice(rows)
        coarse = np.stack(np.meshgrid(knots_x, knots_y), -1).reshape(-1, 2)
        field = (self.shift + _smoothed(coarse, self.places, self.local)).reshape(len(knots_y), len(knots_x), 2)
        x = ((columns - knots_x[0]) / (knots_x[1] - knots_x[0])).astype(np.float32)
        y = ((rows - knots_y[0]) / (knots_y[1] - knots_y[0])).astype(np.float32)
        right, down = (_interpolated(field[..., k], x, y) for k in (0, 1))
        return right, down


def register(
    first: Picture, second: Picture, *, local: bool = True, farthest: float = 40.0, ecc: bool = False
) -> Registration:
    """How the second picture is displaced against the first.

    Args:
        first: the picture that gives the frame, such as the one before an event.
        second: on the same grid, to about ``farthest`` pixels.
        local: whether to measure a field, or one shift for all.
        farthest: pixels; votes for more are taken to be mistakes.
        ecc: whether to make the shifts of windows finer by the enhanced correlation coefficient (Evangelidis and
            Psarakis 2008, doi:10.1109/TPAMI.2008.113) of their gradients' strengths. The shift of all is then the
            median of theirs. Where it does not converge, a window's shift stays, and ``note`` says so.

    Raises:
        DatasetError: the grids differ, or the two share less than 1 % of the place.
    """
    if first.grid != second.grid:
        raise DatasetError(
            "pictures to register lie on different grids", expected=str(first.grid), found=str(second.grid)
        )
    shift, sure = _global(first, second, farthest)
    if sure < SURE:
        return Registration((0.0, 0.0), np.zeros((0, 2)), np.zeros((0, 2)), float("nan"), 0.0)
    places, measured, astray = _local(first, second, shift, ecc)
    found = _field(shift, places, measured)
    if ecc:
        found = replace(_centred(found), note=_told(astray, len(places)))
    return found if local else replace(found, places=found.places[:0], local=found.local[:0])


def correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Floats:
    """Phase correlation of the gradients of two images of one shape, uint8 (h, w): (h, w), at [dy, dx] how well the
    second fits if it is displaced by dx to the right and dy down; negative ones count from the far end.

    Gradients enter by twice their angle, which is the same on both sides of an edge whichever of them is the brighter,
    and by the root of their strength, so that a few hard edges do not speak for all.
    """
    window = cv2.createHanningWindow(first.shape[::-1], cv2.CV_64F)
    one, other = (fft.fft2(_edges(image) * window) for image in (first, second))
    cross = np.conj(one) * other
    cross /= np.abs(cross) + 1e-9
    down, right = (fft.fftfreq(side) for side in first.shape)
    cross *= np.exp(-2 * (np.pi * BLUR) ** 2 * (down[:, None] ** 2 + right[None] ** 2))
    return fft.ifft2(cross).real


def peak(surface: Floats, farthest: float) -> tuple[float, float, float]:
    """Where a correlation is highest within ``farthest`` pixels of no displacement: pixels to the right and down, to a
    fraction by a parabola along each axis, and its height in standard deviations of the surface.

    >>> image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (96, 96)).astype(np.uint8), (0, 0), 1.5)
    >>> right, down, sure = peak(correlation(image[8:72, 8:72], image[5:69, 10:74]), farthest=20)
    >>> round(right), round(down), sure > 20
    (-2, 3, True)
    """
    rows, columns = surface.shape
    down, right = (fft.fftfreq(side, 1 / side) for side in surface.shape)
    near = np.hypot(down[:, None], right[None]) <= farthest
    row, column = np.unravel_index(int(np.where(near, surface, -np.inf).argmax()), surface.shape)
    middle = surface[row, column]
    beside = surface[row, column - 1], surface[row, (column + 1) % columns]
    along = surface[row - 1, column], surface[(row + 1) % rows, column]
    return (
        float(right[column]) + _top(beside[0], middle, beside[1]),
        float(down[row]) + _top(along[0], middle, along[1]),
        float(middle / max(surface.std(), 1e-12)),
    )


def _top(before: float, middle: float, after: float) -> float:
    """Where the parabola through three heights, one apart, is highest, beside the middle one."""
    bend = before - 2 * middle + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def _edges(image: NDArray[np.uint8]) -> NDArray[np.complex128]:
    gradient = _gradient(image)
    strength = np.abs(gradient) + 1e-9
    return np.asarray((gradient / strength) ** 2 * np.sqrt(strength))


def _gradient(image: NDArray[np.uint8]) -> NDArray[np.complex128]:
    values = cv2.GaussianBlur(image.astype(np.float64), (0, 0), 1.0)
    return np.asarray(cv2.Scharr(values, cv2.CV_64F, 1, 0) + 1j * cv2.Scharr(values, cv2.CV_64F, 0, 1))


def _global(first: Picture, second: Picture, farthest: float) -> tuple[tuple[float, float], float]:
    """The shift at which the correlations of some windows, added up, are highest, and how sure that is."""
    total: Floats | None = None
    common, windows = 0.0, list(_spread(first.grid.shape, VOTER, VOTERS))
    for window in windows:
        pair, both = _pair(first, second, window, (0, 0))
        common += float(both.mean())
        if pair is not None:
            found = correlation(*pair)
            total = found if total is None else total + found
    if common < TOO_FEW * len(windows):
        raise DatasetError(
            "the two images do not overlap",
            expected="data of both on at least 1 % of the place",
            found=f"{common / len(windows):.1%}",
        )
    if total is None:
        return (0.0, 0.0), 0.0
    right, down, sure = peak(total, farthest)
    return ((right, down), sure) if sure >= SURE else ((0.0, 0.0), sure)


def _local(first: Picture, second: Picture, shift: tuple[float, float], ecc: bool) -> tuple[Floats, Floats, int]:
    """Middles of the windows that see anything, (n, 2), what they measure beyond the shift, (n, 2), and in how many of
    them the enhanced correlation coefficient found nothing.
    """
    places, measured, astray = [], [], 0
    whole = round(shift[0]), round(shift[1])
    for window in _spread(first.grid.shape, LOCAL, MEASURING):
        pair, both = _pair(first, second, window, whole)
        if pair is None:
            continue
        right, down, sure = peak(correlation(*pair), NEAR)
        if sure < SURE:
            continue
        finer = _finer(*pair, both, (right, down)) if ecc else (right, down)
        astray += finer is None
        right, down = finer or (right, down)
        places.append([(part.start + part.stop - 1) / 2 for part in window[::-1]])
        measured.append((right + whole[0] - shift[0], down + whole[1] - shift[1]))
    return np.array(places).reshape(-1, 2), np.array(measured).reshape(-1, 2), astray


def _finer(
    first: NDArray[np.uint8], second: NDArray[np.uint8], both: NDArray[np.bool_], start: tuple[float, float]
) -> tuple[float, float] | None:
    """Pixels to the right and down where the coefficient is highest near a start; None if it does not converge."""
    one, other = (np.sqrt(np.abs(_gradient(image))).astype(np.float32) for image in (first, second))
    warp = np.array([[1, 0, start[0]], [0, 1, start[1]]], np.float32)
    enough = cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, ECC_STEPS, ECC_ENOUGH
    seen = cv2.erode(both.astype(np.uint8), np.ones((5, 5), np.uint8))  # the outline of what is seen is no edge
    try:
        cv2.findTransformECC(one, other, warp, cv2.MOTION_TRANSLATION, enough, seen, 3)
    except cv2.error:
        return None
    right, down = float(warp[0, 2]), float(warp[1, 2])
    return (right, down) if np.hypot(right - start[0], down - start[1]) <= ECC_FAR else None


def _centred(found: Registration) -> Registration:
    """With the median of the windows' shifts as the shift of all; the field stays what it is."""
    if not len(found.local):
        return found
    right, down = np.median(found.local, axis=0)
    shift = found.shift[0] + float(right), found.shift[1] + float(down)
    return replace(found, shift=shift, local=found.local - (right, down))


def _told(astray: int, windows: int) -> str:
    if not astray:
        return ""
    return f"ECC did not converge in {astray} of {windows} windows: there phase correlation counts."


def _field(shift: tuple[float, float], places: Floats, measured: Floats) -> Registration:
    """Windows that agree with the middle one of their neighbours make the field."""
    none = np.zeros((0, 2))
    if len(places) < FEWEST:  # a small place: they make no field, and can say no or yes to the shift of all
        agree = np.hypot(*measured.T) <= AGREE
        return Registration(shift, none, none, float("nan"), float(agree.mean()) if len(agree) else 0.0)
    near = cKDTree(places).query(places, k=min(9, len(places)))[1]
    kept = np.hypot(*(measured - np.median(measured[near], axis=1)).T) <= AGREE
    if kept.sum() < FEWEST:
        return Registration(shift, none, none, float("nan"), 0.0)
    rest = measured[kept] - _smoothed(places[kept], places[kept], measured[kept], itself=False)
    residual = float(np.sqrt((rest**2).sum(1).mean()))
    return Registration(shift, places[kept], measured[kept], residual, float(kept.mean()))


def _pair(
    first: Picture, second: Picture, window: Window, by: tuple[int, int]
) -> tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]] | None, NDArray[np.bool_]]:
    """A window of the first and the one displaced from it in the second, in gray, None if they show too little in
    common; and what both show.
    """
    here, there = [], []
    for part, step, side in zip(window, by[::-1], second.grid.shape, strict=True):
        start, stop = max(part.start, -step), min(part.stop, side - step)
        if stop - start < SHORTEST:
            return None, np.zeros((1, 1), bool)
        here.append(slice(start, stop))
        there.append(slice(start + step, stop + step))
    (one, seen), (other, seen_too) = first.read((here[0], here[1])), second.read((there[0], there[1]))
    both = seen & seen_too
    return ((_gray(one, both), _gray(other, both)) if both.mean() >= OVERLAP else None), both


def _gray(image: NDArray[np.uint8], both: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The mean of the bands, with what one of both lacks at the mean of the rest, so that its outline is no edge."""
    gray = image.mean(axis=0)
    return np.where(both, gray, gray[both].mean()).astype(np.uint8)


def _spread(shape: tuple[int, int], size: int, most: int) -> Iterator[Window]:
    """At most ``most`` windows along each side, spread evenly, and no more than cover it one and a half times."""
    parts = []
    for side in shape:
        length = min(size, side)
        number = max(1, min(most, -(-3 * (side - length) // (2 * length)) + 1))
        parts.append([slice(int(s), int(s) + length) for s in np.linspace(0, side - length, number)])
    for rows in parts[0]:
        for columns in parts[1]:
            yield rows, columns


def _smoothed(points: Floats, places: Floats, values: Floats, *, itself: bool = True) -> Floats:
    """Values around points, (n, 2), by planes fitted to those near each, with or without one's own.

    Weights are a Gaussian of the distance; where few places are near, or all on a line, a ridge keeps the plane level.
    """
    offset = (places[None] - points[:, None]) / SMOOTH
    squared = (offset**2).sum(-1)
    weight = np.exp(-squared / 2 + squared.min(1, keepdims=True) / 2)  # the nearest speak even far from all places
    if not itself:
        np.fill_diagonal(weight, 0)
    plane = np.concatenate([np.ones((*weight.shape, 1)), offset], -1)
    weighted = plane * weight[..., None]
    normal = np.einsum("pki,pkj->pij", weighted, plane) + np.diag([0, RIDGE, RIDGE])
    return np.asarray(np.linalg.solve(normal, np.einsum("pki,kc->pic", weighted, values))[:, 0])


def _lattice(values: Floats) -> Floats:
    """Knots at most 64 pixels apart that hold all values; two at least."""
    low, high = float(values.min()), float(values.max())
    return np.linspace(low, max(high, low + 1), max(2, int((high - low) // 64) + 2))


def _interpolated(field: Floats, x: NDArray[np.float32], y: NDArray[np.float32]) -> Floats:
    shape = x.shape
    flat = cv2.remap(
        field.astype(np.float32),
        x.reshape(shape[0], -1),
        y.reshape(shape[0], -1),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return flat.reshape(shape).astype(float)
