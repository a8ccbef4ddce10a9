"""The ground under a city out of elevation rasters or a triangulated relief, on a lattice of the city's own frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import map_coordinates

from mage.scenes.city import City
from mage.scenes.errors import CityError
from mage.scenes.mesh import Mesh
from mage.scenes.sources.ground.mosaic import Sheet, joined, sheets_of
from mage.scenes.sources.ground.rasters import applied, open_raster
from mage.scenes.sources.ground.relief import finest_step, lattice
from mage.scenes.sources.ground.voids import filled
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Bounds = tuple[float, float, float, float]

SMALLEST_STEP, LARGEST_STEP = 0.5, 2.0  # metres; the first for fine rasters, the second for coarse ones
LEAST_COVERED = 0.95  # of the buildings, or of the bounds of a city without any
MOST_VOID = 0.5  # of the ground that is covered
AROUND = 3  # pixels read beyond the lattice on each side, for curves through them
_BLOCK = 2**20  # vertices that are sampled at once
_FACES = 2**16  # triangles that are laid at once


def read_terrain(
    paths: Sequence[Path], city: City, *, margin: float = 80.0, notes: Counter[str] | None = None
) -> Terrain:
    """The ground under a city's bounds and ``margin`` metres around them, from GeoTIFF or SRTM files.

    The lattice's step is the finest raster's pixel, but at least 0.5 m, at most 2 m, and no less than keeps it within
    :data:`mage.scenes.sources.ground.relief.MOST_VERTICES`. Where that raster is north-up in the city's CRS the step is
    a whole number of pixels or a whole part of one, and vertices lie on pixel centres: heights there are the raster's
    own. Between pixels finer than 1.5 steps they are interpolated linearly, between coarser ones by cubic pieces that
    keep within the pixels that they join.

    Rasters on one lattice are joined before anything is interpolated; among others the finest comes first and coarser
    ones fill its voids. What is then still void is filled from around it
    (:func:`mage.scenes.sources.ground.voids.filled`) and counted in ``notes``, as is ground beyond the rasters. Heights
    keep the rasters' vertical datum: no geoid is applied.

    Raises:
        CityError: the city has no CRS, a file that is no elevation raster, rasters that do not cover 95 % of the
            buildings, or that are void under half of them.
    """
    notes = Counter() if notes is None else notes
    if city.crs is None:
        raise CityError(
            "a city without a coordinate system cannot be laid on a terrain", file=city.name, expected="a CRS"
        )
    if not paths:
        raise CityError("no elevation files", file=city.name, expected="at least one")
    west, south, east, north = city.bounds
    bounds = (west - margin, south - margin, east + margin, north + margin)
    sheets = sheets_of([open_raster(path, notes) for path in paths])
    surveys = sorted((_survey(sheet, city) for sheet in sheets), key=lambda survey: survey.pixel)
    if not np.isfinite(surveys[0].pixel):
        raise _uncovered(city, paths, 0.0)
    terrain = _lattice(surveys[0], bounds)
    layers = [_sampled(survey, terrain, notes) for survey in surveys if np.isfinite(survey.pixel)]
    return _merged(terrain, layers, city, paths, notes)


@dataclass(frozen=True, slots=True, eq=False)
class _Survey:
    """A sheet seen from a city.

    Attributes:
        pixel: side in metres of a square as large as one of its pixels there; infinite where it is nowhere near.
        transformer: from the city's CRS to the sheet's, None if they are one.
        centre: local place of the first pixel's centre if the sheet is north-up in the city's CRS.
    """

    sheet: Sheet
    city: City
    pixel: float
    transformer: Transformer | None
    centre: tuple[float, float] | None

    def to_sheet(self, xy: Floats) -> Floats:
        """Local points (n, 2) as (column, row) of the sheet, whole at pixel centres."""
        x, y = xy[:, 0] + self.city.origin[0], xy[:, 1] + self.city.origin[1]
        if self.transformer is not None:
            # one point more, because a single one would be taken for a scalar
            x, y = (v[:-1] for v in self.transformer.transform(np.append(x, x[:1]), np.append(y, y[:1])))
        column, row = applied(~self.sheet.first.transform, x, y)
        return np.column_stack([column, row]) - 0.5


def _survey(sheet: Sheet, city: City) -> _Survey:
    raster = sheet.first
    plane = CRS.from_user_input(city.crs)
    same = raster.crs == plane
    transformer = None if same else Transformer.from_crs(plane, raster.crs, always_xy=True)
    survey = _Survey(sheet, city, np.inf, transformer, None)
    west, south, east, north = city.bounds
    middle = np.array([[(west + east) / 2, (south + north) / 2]])
    try:
        around = survey.to_sheet(middle + np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]))
    except ProjError:
        return survey
    moved = np.abs(np.linalg.det(around[1:] - around[0])) if np.isfinite(around).all() else 0.0
    if not moved > 0:
        return survey
    turn = raster.transform
    upright = same and turn.b == turn.d == 0 and turn.a == -turn.e > 0
    corner = turn.c - city.origin[0], turn.f - city.origin[1]
    centre = (corner[0] + turn.a / 2, corner[1] + turn.e / 2) if upright else None
    return replace(survey, pixel=float(turn.a if upright else moved**-0.5), centre=centre)


def _lattice(survey: _Survey, bounds: Bounds) -> Terrain:
    """A flat lattice over the bounds with the step that :func:`read_terrain` promises."""
    pixel, least = survey.pixel, finest_step(bounds, SMALLEST_STEP)
    if survey.centre is None:
        return lattice(bounds, max(least, min(pixel, LARGEST_STEP)))
    if pixel <= least:
        step = pixel * np.ceil(round(least / pixel, 6))
    else:
        step = pixel / max(1.0, np.ceil(round(pixel / max(least, LARGEST_STEP), 6)))
    west, south, east, north = bounds
    x, y = survey.centre
    west, north = x + np.floor((west - x) / step) * step, y + np.ceil((north - y) / step) * step
    columns, rows = int(np.ceil((east - west) / step)) + 1, int(np.ceil((north - south) / step)) + 1
    return Terrain(np.zeros((rows, columns)), float(west), float(north), float(step))


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """What one sheet says of the terrain's vertices: heights with its voids filled, where it lies, where it is void."""

    heights: Floats
    covered: Mask
    void: Mask


def _sampled(survey: _Survey, terrain: Terrain, notes: Counter[str]) -> _Layer:
    stride = max(1, int(round(terrain.step / survey.pixel, 6)))
    rows, columns = _window(survey, terrain, stride)
    heights, there = joined(survey.sheet, rows, columns)
    if not there.any():
        shape = terrain.heights.shape
        return _Layer(np.zeros(shape), np.zeros(shape, bool), np.ones(shape, bool))
    missing = np.isnan(heights)
    notes["void pixels of the elevation filled"] += int((missing & there).sum())
    whole = np.zeros_like(heights) if missing.all() else filled(heights)
    size = np.array(heights.shape)
    times = int(np.ceil(survey.pixel / terrain.step - 0.5)) if survey.pixel > terrain.step and size.min() > 1 else 1
    surface = _refined(whole, times)
    points = terrain.points()
    z, covered, void = np.zeros(len(points)), np.zeros(len(points), bool), np.ones(len(points), bool)
    for start in range(0, len(points), _BLOCK):
        part = slice(start, start + _BLOCK)
        at = (survey.to_sheet(points[part])[:, ::-1] - (rows.start, columns.start)) / stride
        near = np.clip(np.rint(np.nan_to_num(at)).astype(np.int64), 0, size - 1)
        inside = (np.abs(at - near) <= 0.5 + 1e-6).all(axis=1)
        covered[part] = inside & there[near[:, 0], near[:, 1]]
        void[part] = missing[near[:, 0], near[:, 1]]
        at = np.clip(np.nan_to_num(at), 0, size - 1) * times
        z[part] = map_coordinates(surface, at.T, order=1, mode="nearest")
    shape = terrain.heights.shape
    return _Layer(z.reshape(shape), covered.reshape(shape), void.reshape(shape))


def _refined(heights: Floats, times: int) -> Floats:
    """Heights at ``times`` as many places along each side, from cubic pieces that never swing past the pixels they
    join (Fritsch and Carlson 1980): smooth hills, and no sea that drops before a cliff.
    """
    if times == 1:
        return heights
    for axis in (0, 1):
        count = heights.shape[axis]
        places = np.linspace(0, count - 1, (count - 1) * times + 1)
        heights = PchipInterpolator(np.arange(count), heights, axis=axis)(places)
    return heights


def _window(survey: _Survey, terrain: Terrain, stride: int) -> tuple[slice, slice]:
    """Rows and columns of the sheet, every stride-th, that the terrain needs; none where the sheet does not reach it.

    The first pixel read lies a whole number of strides from that on the lattice's first vertex, if there is one.
    """
    x, y = terrain.axes()
    edges = [np.column_stack([x, np.full_like(x, value)]) for value in y[[0, -1]]]
    edges += [np.column_stack([np.full_like(y, value), y]) for value in x[[0, -1]]]
    at = survey.to_sheet(np.concatenate(edges))
    if not np.isfinite(at).all():
        return slice(0, 0, stride), slice(0, 0, stride)
    corner = np.round(survey.to_sheet(np.array([[x[0], y[0]]]))[0]).astype(np.int64)
    sheet, windows = survey.sheet, []
    for axis, sizes in ((1, [r.rows for r in sheet.rasters]), (0, [r.columns for r in sheet.rasters])):
        first = min(c[1 - axis] for c in sheet.corners)
        last = max(c[1 - axis] + size for c, size in zip(sheet.corners, sizes, strict=True))
        low = max(int(np.floor(at[:, axis].min())) - AROUND * stride, first)
        high = min(int(np.ceil(at[:, axis].max())) + AROUND * stride + 1, last)
        low += int((corner[axis] - low) % stride)
        windows.append(slice(low, max(low, high), stride))
    return windows[0], windows[1]


def _merged(
    terrain: Terrain, layers: Sequence[_Layer], city: City, paths: Sequence[Path], notes: Counter[str]
) -> Terrain:
    covered = np.logical_or.reduce([layer.covered for layer in layers])
    share = _covered_share(terrain, covered, city)
    if share < LEAST_COVERED:
        raise _uncovered(city, paths, share)
    heights = np.full(terrain.heights.shape, np.nan)
    for layer in layers:
        heights = np.where(np.isnan(heights) & layer.covered & ~layer.void, layer.heights, heights)
    void = float(np.isnan(heights[covered]).mean())
    if void > MOST_VOID:
        raise CityError(
            "the elevation is void under the city", file=_names(paths), expected="heights", found=f"{void:.0%} voids"
        )
    for layer in layers:
        known = np.isnan(heights) & layer.covered
        heights = np.where(known, layer.heights, heights)
    notes["vertices beyond the elevation filled"] += int((~covered).sum())
    return replace(terrain, heights=filled(heights))


def _covered_share(terrain: Terrain, covered: Mask, city: City) -> float:
    """The share of the buildings, or of the ground in the bounds of a city without any, that the rasters cover."""
    if city.buildings:
        points = shapely.get_coordinates(shapely.point_on_surface([b.footprint for b in city.buildings]))
        return float((terrain.sample(points, covered.astype(float)) > 0.5).mean())
    west, south, east, north = city.bounds
    x, y = terrain.axes()
    inside = np.ix_((y >= south) & (y <= north), (x >= west) & (x <= east))
    return float(covered[inside].mean()) if covered[inside].size else 0.0


def _uncovered(city: City, paths: Sequence[Path], share: float) -> CityError:
    what = "of its buildings" if city.buildings else "of its ground"
    return CityError(
        f"the elevation does not cover the city {city.name}",
        file=_names(paths),
        expected=f"at least {LEAST_COVERED:.0%} {what}",
        found=f"{np.floor(share * 100):.0f}%",
    )


def _names(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0]}{more}"


def terrain_of_relief(mesh: Mesh, bounds: Bounds, notes: Counter[str] | None = None) -> Terrain:
    """The terrain of a triangulated relief (local metres) over (west, south, east, north).

    Vertices of the lattice take the height of the relief's triangle over them, the highest of several; those that no
    triangle covers are filled from around them and counted in ``notes``. The step is the median edge of the relief,
    within the limits of :func:`read_terrain`.

    Raises:
        CityError: no triangle over the bounds.
    """
    edge = float(np.median(np.sqrt(2 * mesh.areas))) if len(mesh) else LARGEST_STEP
    step = max(finest_step(bounds, SMALLEST_STEP), min(max(edge, SMALLEST_STEP), LARGEST_STEP))
    flat = lattice(bounds, step)
    heights = np.full(flat.heights.size, -np.inf)
    for start in range(0, len(mesh), _FACES):
        _lay(mesh.vertices[mesh.triangles[start : start + _FACES]], flat, heights)
    heights = np.where(np.isfinite(heights), heights, np.nan).reshape(flat.heights.shape)
    if np.isnan(heights).all():
        raise CityError("the relief does not lie under the city", expected="triangles over it", found=f"{len(mesh)}")
    if notes is not None:
        notes["vertices beyond the relief filled"] += int(np.isnan(heights).sum())
    return replace(flat, heights=filled(heights))


def _lay(corners: Floats, flat: Terrain, heights: Floats) -> None:
    """Raise the heights (vertices,) of a lattice to those of triangles (m, 3, 3) that lie over them."""
    rows, columns = flat.heights.shape
    at = np.stack([corners[..., 0] - flat.west, flat.north - corners[..., 1]], axis=-1) / flat.step
    low = np.clip(np.ceil(at.min(axis=1) - 1e-9).astype(np.int64), 0, (columns, rows))
    high = np.clip(np.floor(at.max(axis=1) + 1e-9).astype(np.int64) + 1, low, (columns, rows))
    width, count = (high - low)[:, 0], (high - low).prod(axis=1)
    for part in np.split(np.arange(len(corners)), np.flatnonzero(np.diff(np.cumsum(count) // _BLOCK)) + 1):
        face = np.repeat(part, count[part])
        within = np.arange(len(face)) - np.repeat(np.cumsum(count[part]) - count[part], count[part])
        column, row = low[face, 0] + within % width[face], low[face, 1] + within // width[face]
        z = _heights_on(at[face], corners[face, :, 2], np.column_stack([column, row]).astype(float))
        np.maximum.at(heights, row * columns + column, z)


def _heights_on(at: Floats, z: Floats, point: Floats) -> Floats:
    """Heights (k,) of triangles with corners ``at`` (k, 3, 2) and ``z`` (k, 3) over points (k, 2); -inf beside them."""
    (ax, ay), (bx, by) = (at[:, 1] - at[:, 0]).T, (at[:, 2] - at[:, 0]).T
    px, py = (point - at[:, 0]).T
    area = ax * by - ay * bx
    flat = np.abs(area) < 1e-12
    area = np.where(flat, 1.0, area)
    u, v = (px * by - py * bx) / area, (ax * py - ay * px) / area
    inside = ~flat & (np.minimum(np.minimum(u, v), 1 - u - v) >= -1e-9)
    return np.where(inside, z[:, 0] + u * (z[:, 1] - z[:, 0]) + v * (z[:, 2] - z[:, 0]), -np.inf)
