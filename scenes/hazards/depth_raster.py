"""A flood that somebody else has computed or mapped: depths or water levels in a GeoTIFF, on the city's terrain."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.exceptions import ProjError
from scipy.ndimage import binary_dilation, distance_transform_edt, find_objects, label, map_coordinates

from mage.scenes.city import City
from mage.scenes.errors import HazardError
from mage.scenes.sources.ground.rasters import Raster, applied, open_raster
from mage.scenes.sources.ground.relief import normal_levels
from mage.scenes.terrain import extended_levels

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

DEEPEST = 100.0  # metres; more is no depth of a flood
_SIX = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]])  # the vertices joined by an edge of the terrain's triangles


def read_flood(
    path: Path, city: City, *, holds: Literal["depth", "level"] = "depth", notes: Counter[str] | None = None
) -> Floats:
    """Flood levels (rows, columns) on the terrain's vertices from a raster in any CRS, NaN where dry.

    Values between pixel centres are interpolated linearly, on pixel centres they are the raster's own; where it is
    finer than the terrain every so many-th pixel is read. No data is dry ground; so is all beyond the raster. Levels
    count in the city's vertical datum, depths from its terrain; both in metres or in the unit that the file states.

    Permanent water stays apart. A level holds there where it is above the normal one. Depths do not: nobody knows
    from which bed they count. There the water takes the level of the flood at the nearest of its shores, where that is
    above the normal one.

    Args:
        path: a GeoTIFF of one band.
        city: completed, with a CRS.
        holds: what the values are.
        notes: counts what was repaired.

    Returns:
        Levels carried one vertex over the shore, as :class:`mage.scenes.impact.Impact` needs them.

    Raises:
        CityError: no such file, or no georeferenced raster of numbers in one band.
        HazardError: a city without terrain or CRS, a raster that lies beside it, or water more than 100 m deep.
    """
    notes = Counter() if notes is None else notes
    if city.terrain is None or city.crs is None:
        missing = "terrain" if city.terrain is None else "coordinate system"
        raise HazardError(
            f"the city {city.name} has no {missing} to lay a flood on", file=path, expected="a completed city on a map"
        )
    terrain = city.terrain
    values = _sampled(open_raster(path, notes), city, path, nought=holds == "depth")
    normal = normal_levels(terrain, city.water)
    permanent = normal > terrain.heights
    if holds == "level":
        least = np.where(permanent, normal, terrain.heights)
        _check_depth(values - least, path)
        notes["flooded vertices with a level below the ground, taken as dry"] += int((values < least).sum())
        return extended_levels(terrain, np.where(values > least, values, np.nan))
    levels = _of_depths(values, terrain.heights, permanent, path, notes)
    return extended_levels(terrain, _joined(levels, permanent, normal))


def _of_depths(depth: Floats, heights: Floats, permanent: Mask, path: Path, notes: Counter[str]) -> Floats:
    """Levels on land, NaN where dry and in permanent water."""
    _check_depth(depth, path)
    notes["flooded vertices with a depth below zero, taken as dry"] += int((depth < 0).sum())
    return np.where((depth > 0) & ~permanent, heights + depth, np.nan)


def _check_depth(depth: Floats, path: Path) -> None:
    if (depth > DEEPEST).any():
        raise HazardError(
            "no depths of a flood", file=path, expected=f"metres below {DEEPEST:g}", found=f"{np.nanmax(depth):.1f}"
        )


def _joined(levels: Floats, permanent: Mask, normal: Floats) -> Floats:
    """Levels with those of permanent water wherever a flood stands higher at its shore."""
    bodies, _ = label(permanent, _SIX)
    joined = levels.copy()
    for body, (rows, columns) in enumerate(find_objects(bodies), start=1):
        # its shores lie at most one vertex outside of its own rows and columns
        around = np.s_[max(rows.start - 1, 0) : rows.stop + 1, max(columns.start - 1, 0) : columns.stop + 1]
        inside, there = bodies[around] == body, levels[around]
        shore = binary_dilation(inside, _SIX) & np.isfinite(there)
        if not shore.any():
            continue
        nearest = distance_transform_edt(~shore, return_distances=False, return_indices=True)
        level = there[tuple(nearest)]
        higher = inside & (level > normal[around])
        joined[around][higher] = level[higher]
    return joined


def _sampled(raster: Raster, city: City, path: Path, *, nought: bool) -> Floats:
    """The raster on the terrain's vertices (rows, columns), NaN where it has no data or does not lie.

    With ``nought`` no data counts as 0 between pixels, else pixels without data take no part.
    """
    terrain = city.ground
    at = _pixels(raster, city, path)
    size = np.array([raster.rows, raster.columns])
    inside = ((at > -0.5) & (at < size - 0.5)).all(axis=1)
    if not inside.any():
        raise HazardError(
            f"the flood lies beside the city {city.name}", file=path, expected="a raster over it", found="none of it"
        )
    apart = at[: terrain.heights.shape[1] + 1][[1, terrain.heights.shape[1]]] - at[0]
    stride = max(1, int(np.abs(apart).max(axis=1).min() + 1e-6))
    phase = np.rint(at[np.flatnonzero(inside)[0]]).astype(np.int64) % stride  # a vertex on a pixel keeps its pixel
    first = np.maximum(np.floor(at[inside].min(axis=0)).astype(np.int64) - 2 * stride, 0)
    first += (phase - first) % stride
    last = np.minimum(np.ceil(at[inside].max(axis=0)).astype(np.int64) + 2 * stride + 1, size)
    pixels = raster.window(slice(int(first[0]), int(last[0]), stride), slice(int(first[1]), int(last[1]), stride))
    place = ((at[inside] - first) / stride).T
    known = np.isfinite(pixels)
    total = map_coordinates(np.where(known, pixels, 0.0), place, order=1, mode="nearest")
    weight = np.ones(len(total)) if nought else map_coordinates(known.astype(float), place, order=1, mode="nearest")
    near = map_coordinates(known.astype(float), place, order=0, mode="nearest") > 0.5
    values = np.full(len(at), np.nan)
    values[inside] = np.where(near | (nought & (total > 0)), total / np.maximum(weight, 1e-9), np.nan)
    return values.reshape(terrain.heights.shape)


def _pixels(raster: Raster, city: City, path: Path) -> Floats:
    """(row, column) in the raster of every vertex of the terrain (n, 2), whole at pixel centres."""
    x, y = (city.ground.points() + np.array(city.origin)).T
    try:
        x, y = Transformer.from_crs(city.crs, raster.crs, always_xy=True).transform(x, y)
    except ProjError:
        raise HazardError(
            f"the flood lies nowhere near the city {city.name}",
            file=path,
            expected="a raster over it",
            found=raster.name,
        ) from None
    column, row = applied(~raster.transform, np.asarray(x), np.asarray(y))
    # a tenth of a millimetre of a pixel is the arithmetic's, and would mix neighbours
    return np.round(np.nan_to_num(np.stack([row, column], axis=1), nan=-1e9, posinf=-1e9, neginf=-1e9) - 0.5, 6)
