"""Where rubble lies around buildings that were struck, by how likely each of them is damaged how much."""

from __future__ import annotations

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.features import rasterize

from mage.learning.mapping.findings import Buildings
from mage.scenes.grid import Grid

Floats = NDArray[np.float32]

# share of the ground that rubble covers at so many metres from the wall of a building of each grade (none, minor,
# major, destroyed), and within it: of two simulated earthquakes in Mediterranean streets, benchmarks/observed.py
METRES = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0)
BESIDE = (
    (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    (0.27, 0.23, 0.10, 0.04, 0.01, 0.0, 0.0),
    (0.53, 0.46, 0.18, 0.10, 0.02, 0.0, 0.0),
    (0.85, 0.93, 0.95, 0.75, 0.30, 0.10, 0.0),
)
WITHIN = (0.0, 0.02, 0.13, 0.58)


def rubble(buildings: Buildings, part: Grid) -> Floats:
    """Probability that rubble lies at each pixel of a part of a map, (rows, columns).

    It is the mean of :data:`BESIDE` over the grades of a building, by the distance from its wall, and of
    :data:`WITHIN` in it: a building that stands has no rubble of others on its roof. What several buildings shed is
    independent. Buildings of which nothing is known shed nothing.

    Args:
        buildings: with grades.
        part: of the map.
    """
    free, within = np.ones(part.shape, np.float32), np.full(part.shape, np.nan, np.float32)
    if not len(buildings):
        return 1 - free
    grades = np.nan_to_num(buildings.grades)
    row = np.rint(np.linspace(0, len(WITHIN) - 1, grades.shape[1])).astype(int)
    beside, inner = grades @ np.array(BESIDE)[row], grades @ np.array(WITHIN)[row]
    for k in np.sort(shapely.STRtree(buildings.outline).query(shapely.box(*part.bounds).buffer(METRES[-1]))):
        inside, distance, window = _around(buildings.outline[k], part)
        within[window] = np.where(inside, inner[k], within[window])
        if beside[k].any():
            free[window] *= 1 - np.interp(distance, METRES, beside[k]).astype(np.float32)
    return np.where(np.isnan(within), 1 - free, within)


def _around(outline: shapely.Geometry, part: Grid) -> tuple[NDArray[np.bool_], Floats, tuple[slice, slice]]:
    """Which pixels near a building lie in it, metres of all of them from it, and where of the part they are."""
    west, south, east, north = np.array(outline.bounds) + METRES[-1] * np.array([-1, -1, 1, 1])
    corners = part.to_pixel(np.array([(west, north), (east, south)]))
    left, top, right, bottom = (np.floor(corners).astype(int) + np.eye(2, dtype=int)[1][:, None]).ravel().tolist()
    near = Grid(bottom - top, right - left, part.west + left * part.gsd, part.north - top * part.gsd, part.gsd)
    inside = rasterize([(outline, 1)], near.shape, transform=Affine(*near.transform), dtype="uint8") > 0
    if inside.any():
        metres = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * near.gsd
        metres = np.maximum(metres - near.gsd / 2, 0)
    else:  # smaller than a pixel
        metres = shapely.distance(shapely.points(near.points()), outline).reshape(near.shape)
    rows = slice(max(top, 0), max(min(bottom, part.rows), max(top, 0)))
    columns = slice(max(left, 0), max(min(right, part.columns), max(left, 0)))
    cut = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
    return inside[cut], metres[cut].astype(np.float32), (rows, columns)
