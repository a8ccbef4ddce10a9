"""The ground that buildings stand on, inferred from the heights of their feet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial import cKDTree

from mage.scenes.city import Building
from mage.scenes.sources.ground.draping import DRAPED
from mage.scenes.sources.ground.relief import finest_step, lattice, raster_of
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]

STEP = 2.0  # metres between the vertices; more where a city is so wide that they would be too many
COARSE = 8.0  # metres between the vertices of the surface that is interpolated
OUTLIER = 1.5  # metres from the median of its neighbours beyond which a foot is not trusted
BURIED = 0.5  # metres that the ground may stand above a trusted foot
APRON = 8.0  # metres over which the ground levels out from a foot to the surface around it


def smooth_ground(xy: Floats, height: Floats, bounds: tuple[float, float, float, float]) -> Terrain:
    """A smooth surface through heights (n,) that are known at points (n, 2), marked as inferred; n > 0.

    Every height is first replaced by the median of its eight nearest neighbours' where it differs by more than
    1.5 m: the lowest point of a building with a cellar or a ramp says little about the street.
    """
    trusted, _ = trusted_heights(xy, height)
    coarse = lattice((bounds[0] - COARSE, bounds[1] - COARSE, bounds[2] + COARSE, bounds[3] + COARSE), COARSE)
    k = min(12, len(xy))
    distance, nearest = cKDTree(xy).query(coarse.points(), k=k)
    distance, nearest = distance.reshape(-1, k), nearest.reshape(-1, k)
    # the weight's width follows the distance to the nearest foot: no cones around single buildings
    weight = 1 / (distance**2 + (6 + 0.5 * distance[:, :1]) ** 2)
    surface = ((trusted[nearest] * weight).sum(axis=1) / weight.sum(axis=1)).reshape(coarse.heights.shape)
    surface = gaussian_filter(surface, 12.0 / COARSE, mode="nearest")
    fine = lattice(bounds, finest_step(bounds, STEP))
    x, y = fine.axes()
    cx, cy = coarse.axes()
    spline = RectBivariateSpline(cy[::-1], cx, surface[::-1], kx=min(3, len(cy) - 1), ky=min(3, len(cx) - 1))
    return replace(fine, heights=spline(y[::-1], x)[::-1].copy(), inferred=True)


def grounded(buildings: Sequence[Building]) -> list[Building]:
    """The buildings whose source says how high the ground at their foot lies."""
    return [b for b in buildings if "ground" not in b.inferred and DRAPED not in b.inferred]


def feet(buildings: Sequence[Building]) -> tuple[Floats, Floats]:
    """A point inside every footprint (n, 2) and its ground height (n,)."""
    if not buildings:
        return np.zeros((0, 2)), np.zeros(0)
    inside = shapely.point_on_surface([b.footprint for b in buildings])
    return shapely.get_coordinates(inside), np.array([b.ground for b in buildings], float)


def trusted_heights(xy: Floats, height: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Heights (n,) with outliers replaced by their neighbours' median, and which were trusted as they are."""
    if len(xy) < 4:
        return height, np.ones(len(xy), bool)
    _, nearest = cKDTree(xy).query(xy, k=min(9, len(xy)))
    median = np.median(height[nearest[:, 1:]], axis=1)
    spread = np.median(np.abs(height[nearest[:, 1:]] - median[:, None]), axis=1)
    ok = np.abs(height - median) <= OUTLIER + 3 * spread
    return np.where(ok, height, median), ok


def seated(terrain: Terrain, buildings: Sequence[Building]) -> Terrain:
    """The terrain with no building above it: at and around every footprint it is at least the building's ground
    height, and at most 0.5 m more where the height was trusted and no neighbour stands higher. The change fades out
    over 8 m.
    """
    xy, height = feet(buildings)
    _, ok = trusted_heights(xy, height)
    floor = _burnt(terrain, buildings, height, np.ones(len(height), bool))
    ceiling = np.maximum(_burnt(terrain, buildings, height, ok) + BURIED, floor)  # NaN at untrusted feet: no ceiling
    at = np.isfinite(floor)
    lifted = np.fmin(np.fmax(terrain.heights, floor), np.where(np.isfinite(ceiling), ceiling, np.inf))
    change = np.where(at, lifted - terrain.heights, 0.0)
    away, (row, column) = distance_transform_edt(~at, sampling=terrain.step, return_indices=True)
    fade = 0.5 + 0.5 * np.cos(np.pi * np.clip(away / APRON, 0, 1))
    # spread from the nearest foot, smoothed so that aprons of neighbours blend
    spread = gaussian_filter(change[row, column] * fade, 1.2)
    return replace(terrain, heights=np.where(at, lifted, terrain.heights + spread))


def _burnt(terrain: Terrain, buildings: Sequence[Building], height: Floats, which: NDArray[np.bool_]) -> Floats:
    """Highest ground of the buildings near each vertex, NaN where there are none.

    Footprints are grown so that all three vertices of every triangle that they touch are covered.
    """
    chosen = [i for i in np.argsort(height, kind="stable").tolist() if which[i]]
    out = np.full(terrain.heights.shape, np.nan)
    if not chosen:
        return out
    grown = shapely.buffer(
        [buildings[i].footprint for i in chosen], 1.5 * terrain.step, quad_segs=2, join_style="mitre"
    )
    rank = rasterize(
        [(shape, rank + 1) for rank, shape in enumerate(grown)],
        out_shape=out.shape,
        transform=raster_of(terrain),
        fill=0,
        dtype="int32",
    )
    at = rank > 0
    out[at] = height[np.array(chosen)[rank[at] - 1]]
    return out
