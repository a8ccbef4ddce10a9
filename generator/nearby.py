"""What stands beside a picture and shows in it nevertheless, by its shade or by the light that it takes and gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mage.generator.place import Place
from mage.generator.props import Placements, tree_prototypes
from mage.generator.sight import Sight
from mage.generator.sky import Sun

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]

NEAR = 24.0  # metres beside a picture in which what stands hides sky from it and throws light into it
GROUND_NEAR = 100.0  # metres beside a picture in which the ground does
TREES_LEAN, BUILDINGS_LEAN = 60.0, 300.0  # metres beside a slanted picture from which they lean into it
STEP = 8.0  # metres in which the ground beside a picture is taken, so that mostly a pair's two dates share it
FARTHEST = 300.0  # metres that shade is followed for


@dataclass(frozen=True, slots=True, eq=False)
class Nearby:
    """What is near enough to a picture: ``trees`` as positions in their list, ``buildings`` bool (n,) of the city's,
    ``ground`` as rows and columns of the terrain's vertices.
    """

    trees: NDArray[np.int64]
    buildings: NDArray[np.bool_]
    ground: tuple[slice, slice]


def nearby(place: Place, trees: Placements, sight: Sight, sun: Sun) -> Nearby:
    """What of a place, with these trees, shows in a picture under a sun."""
    ground, grid = place.city.ground, sight.grid
    lowest = float(ground.part(ground.window(grid.bounds)).heights.min())
    over = float(ground.heights.max()) - lowest
    hills = GROUND_NEAR + float(np.hypot(*thrown(np.array([over]), sun)[0]))
    hills = STEP * float(np.ceil(hills / STEP))
    radius = trees.radius(tree_prototypes())[:, None]
    foot = trees.position[:, :2]
    shade = thrown(trees.position[:, 2] + trees.scale.max(axis=1, initial=0) - lowest, sun)
    beside = _around(grid.bounds, TREES_LEAN if sight.slanted else NEAR)
    standing = _overlap(foot - radius, foot + radius, shade, beside)
    beside = _around(grid.bounds, BUILDINGS_LEAN if sight.slanted else NEAR)
    boxes, shade = place.boxes, thrown(place.tops - lowest, sun)
    built = _overlap(boxes[:, :2], boxes[:, 2:], shade, beside)
    return Nearby(np.flatnonzero(standing), built, ground.window(_around(grid.bounds, hills)))


def thrown(heights: Floats, sun: Sun) -> Floats:
    """How far (n, 2), east and north in metres, the shade of a top ``heights`` (n,) above the ground falls from its
    foot; no farther than :data:`FARTHEST`.
    """
    far = np.clip(heights / max(np.tan(sun.elevation), 1e-3), 0, FARTHEST)
    return np.asarray(-far[:, None] * (np.sin(sun.azimuth), np.cos(sun.azimuth)))


def _overlap(low: Floats, high: Floats, shade: Floats, box: Box) -> NDArray[np.bool_]:
    """Which of the boxes from ``low`` (n, 2) to ``high`` (n, 2) meet a box, themselves or on the way of their shade."""
    west, south, east, north = box
    before, beyond = low + np.minimum(shade, 0), high + np.maximum(shade, 0)
    return np.asarray((before < (east, north)).all(axis=1) & (beyond > (west, south)).all(axis=1))


def _around(bounds: Box, metres: float) -> Box:
    west, south, east, north = bounds
    return west - metres, south - metres, east + metres, north + metres
