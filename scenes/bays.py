"""Bays of car parks: where the lines are painted, and where cars then stand between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import affinity

Floats = NDArray[np.float64]

LENGTH, WIDTH = 5.0, 2.5  # metres of one bay, the usual least in European and American rules
AISLE = 6.0  # metres between facing rows, enough to back out of a bay at right angles
MARGIN = 0.3  # metres between a bay and the lot's edge


@dataclass(frozen=True, slots=True, eq=False)
class Bays:
    """n bays of one lot: middle (n, 2) and direction (n,) of a nose that points away from the aisle, radians."""

    xy: Floats
    heading: Floats

    def __len__(self) -> int:
        return len(self.xy)

    def outlines(self) -> NDArray[np.object_]:
        """The bays as rectangles (n,)."""
        along = np.stack([np.cos(self.heading), np.sin(self.heading)], axis=1)
        across = np.stack([-along[:, 1], along[:, 0]], axis=1)
        corners = [(1, 1), (-1, 1), (-1, -1), (1, -1)]
        rings = [self.xy + along * (a * LENGTH / 2) + across * (b * WIDTH / 2) for a, b in corners]
        return np.asarray(shapely.polygons(np.stack(rings, axis=1)), dtype=object)


def bays_of(outline: shapely.Geometry) -> Bays:
    """Bays in rows along the longer side of a lot of any shape: a row at its edge, an aisle, two rows back to back
    and so on; only bays that lie wholly within the lot. None where the lot is too narrow for a row and an aisle.
    """
    found = [_of_polygon(part) for part in shapely.get_parts(outline) if part.geom_type == "Polygon"]
    return Bays(
        np.concatenate([np.zeros((0, 2)), *[b.xy for b in found]]),
        np.concatenate([np.zeros(0), *[b.heading for b in found]]),
    )


def _of_polygon(outline: shapely.Polygon) -> Bays:
    box = outline.minimum_rotated_rectangle
    nothing = Bays(np.zeros((0, 2)), np.zeros(0))
    if box.is_empty or box.geom_type != "Polygon":
        return nothing
    ring = shapely.get_coordinates(box)
    sides = np.diff(ring[:3], axis=0)
    length = np.linalg.norm(sides, axis=1)
    first = int(np.argmax(length))
    long, short = float(length[first]), float(length[1 - first])
    if short < LENGTH + AISLE * 0.6 or long < 2 * WIDTH:
        return nothing
    turn = float(np.arctan2(sides[first, 1], sides[first, 0]))
    level = affinity.rotate(outline, -turn, origin=(0, 0), use_radians=True)
    west, south, east, north = level.bounds
    x = np.arange(west + MARGIN + WIDTH / 2, east - MARGIN - WIDTH / 2 + 1e-9, WIDTH)
    rows, facing = _rows(south + MARGIN, north - MARGIN)
    xy = np.stack([np.tile(x, len(rows)), np.repeat(rows, len(x))], axis=1)
    up = np.repeat(facing, len(x))
    half = (WIDTH / 2, LENGTH / 2)
    boxes = shapely.box(xy[:, 0] - half[0], xy[:, 1] - half[1], xy[:, 0] + half[0], xy[:, 1] + half[1])
    inside = shapely.covers(level.buffer(1e-6), boxes)
    c, s = np.cos(turn), np.sin(turn)
    turned = xy[inside] @ np.array([(c, s), (-s, c)])
    return Bays(turned, turn + np.where(up[inside], np.pi / 2, -np.pi / 2))


def _rows(low: float, high: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Middles of the rows between ``low`` and ``high``, and whether their cars' noses point to ``high``."""
    step = 2 * LENGTH + AISLE
    start = np.arange(low, high, step)
    rows = np.concatenate([start + LENGTH / 2, start + LENGTH * 1.5 + AISLE])
    up = np.repeat([False, True], len(start))
    fits = rows + LENGTH / 2 <= high + 1e-9
    return rows[fits], up[fits]
