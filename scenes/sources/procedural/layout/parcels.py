"""Blocks cut into parcels with access to a street, and frames for what stands on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

Floats = NDArray[np.float64]

ACCESS = 3.0  # metres of a parcel's border that must lie on its block's


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """A piece of a block: its outline, and how many metres of it lie on the block's border (0: it has no access)."""

    outline: Polygon
    front: float


def parcels(
    rng: np.random.Generator, block: Polygon, area: tuple[float, float], *, jitter: float = 0.04, access: bool = True
) -> list[Parcel]:
    """A block cut across its longer side, and its parts again, until each is smaller than a draw from ``area`` (m²).

    After Vanegas et al. (2012), "Procedural generation of parcels in urban modeling": the cut follows the short axis
    of the smallest box round the part; where a part would lose its access to the street, the long axis is tried.

    Angles spread by ``jitter`` radians. With ``access`` every parcel keeps 3 m of the block's border.
    """
    edge = block.boundary.buffer(0.05, quad_segs=1)
    shapely.prepare(edge)
    done, waiting = [], [block]
    while waiting:
        part = waiting.pop()
        pieces = _halves(rng, part, edge, jitter, access=access) if part.area > rng.uniform(*area) * 1.3 else []
        if pieces:
            waiting += pieces
        else:
            done.append(Parcel(part, _front(part, edge)))
    return done


def _front(part: Polygon, edge: Polygon) -> float:
    return float(part.exterior.intersection(edge).length)


def _halves(rng: np.random.Generator, part: Polygon, edge: Polygon, jitter: float, *, access: bool) -> list[Polygon]:
    middle, axes, size = oriented(part)
    where, turn = rng.uniform(-0.1, 0.1), rng.normal(0, jitter)
    first = 0 if size[0] >= size[1] else 1
    for axis in (first, 1 - first):
        if axis != first and size[axis] < 0.4 * size[first]:
            break
        pieces = cut_across(part, middle + axes[axis] * size[axis] * where, rotated(axes[axis], turn))
        fair = len(pieces) >= 2 and min(p.area for p in pieces) > 0.22 * part.area
        if fair and (not access or min(_front(p, edge) for p in pieces) > ACCESS):
            return pieces
    return []


def cut_across(part: Polygon, through: Floats, normal: Floats) -> list[Polygon]:
    """The polygons on both sides of the line through a point with that normal."""
    along, reach = (
        np.array([-normal[1], normal[0]]),
        2 * float(np.hypot(*np.ptp(part.envelope.exterior.coords, axis=0))),
    )
    pieces = []
    for side in (1.0, -1.0):
        corners = [through - along * reach, through + along * reach]
        corners += [corners[1] + side * reach * normal, corners[0] + side * reach * normal]
        half = part.intersection(Polygon(corners))
        pieces += [p for p in shapely.get_parts(half) if p.geom_type == "Polygon" and p.area > 0.5]
    return pieces


def oriented(part: Polygon) -> tuple[Floats, Floats, Floats]:
    """Middle (2,), unit axes (2, 2) and sizes (2,) of the smallest box round a polygon."""
    box = shapely.get_coordinates(shapely.minimum_rotated_rectangle(part))
    sides = box[1:3] - box[:2]
    size = np.linalg.norm(sides, axis=1)
    return box[:4].mean(axis=0), sides / size[:, None], size


def rotated(v: Floats, angle: float) -> Floats:
    """A vector (2,) turned anticlockwise."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * v[0] - s * v[1], s * v[0] + c * v[1]])


def frontage(parcel: Polygon, block: Polygon) -> Floats:
    """Frame (3, 2) of a parcel: the middle of its longest straight side on the block's border, the axis along that
    side and the one into the parcel. Without such a side, of its longest side.
    """
    ring = shapely.get_coordinates(shapely.geometry.polygon.orient(parcel).exterior)
    step = np.diff(ring, axis=0)
    length = np.linalg.norm(step, axis=1)
    middle = (ring[1:] + ring[:-1]) / 2
    on_street = shapely.dwithin(block.boundary, shapely.points(middle), 0.1)
    i = int(np.argmax(np.where(on_street, length + 1000, length)))
    along = step[i] / length[i]
    return np.stack([middle[i], along, [-along[1], along[0]]])


def strip(frame: Floats, left: float, right: float, near: float, far: float) -> Polygon:
    """A rectangle in a frame (3, 2): from ``left`` to ``right`` along its first axis, ``near`` to ``far`` the other."""
    corners = np.array([(left, near), (right, near), (right, far), (left, far)])
    return Polygon(frame[0] + corners @ frame[1:])


def room(parcel: Polygon, frame: Floats, front: float, gap: float) -> tuple[float, float, float, float] | None:
    """The largest box (left, right, near, far) in a frame that keeps ``front`` metres or more from the street and
    ``gap`` from the parcel's other sides; None where less than 2 m by 2 m are left.
    """
    ring = (shapely.get_coordinates(parcel.exterior) - frame[0]) @ frame[1:].T
    rows = np.linspace(max(front, 0.02), float(ring[:, 1].max()) - 0.02, 13)
    if rows[-1] - gap - rows[0] <= 2:
        return None
    left, right = _widest(ring, rows)
    best, most = None, 4.0
    for i in range(len(rows) - 2):  # the front may stand further back, where the parcel is wider
        low, high = np.maximum.accumulate(left[i:]) + gap, np.minimum.accumulate(right[i:]) - gap
        width, depth = high - low, rows[i:] - gap - rows[i]
        areas = np.where((width > 2) & (depth > 2), width * depth, 0.0)
        j = int(np.argmax(areas))
        if areas[j] > most:
            most, best = float(areas[j]), (float(low[j]), float(high[j]), float(rows[i]), float(rows[i] + depth[j]))
    return best


def _widest(ring: Floats, rows: Floats) -> tuple[Floats, Floats]:
    """Ends in x of the widest stretch inside a closed ring (n, 2) along each of k levels of y, (k,) and (k,)."""
    (x0, y0), (x1, y1) = ring[:-1].T, ring[1:].T
    y = rows[:, None]
    meets = (y0 <= y) != (y1 <= y)
    slope = (x1 - x0) / np.where(y1 == y0, 1.0, y1 - y0)
    x = np.sort(np.where(meets, x0 + (y - y0) * slope, np.inf), axis=1)
    x = x[:, : max(2, 2 * (int(meets.sum(axis=1).max()) // 2))]
    start, end = x[:, 0::2], x[:, 1::2]
    width = np.where(np.isfinite(end), end - np.where(np.isfinite(start), start, 0.0), -np.inf)
    widest = width.argmax(axis=1)
    rows_index = np.arange(len(rows))
    return start[rows_index, widest], np.where(np.isfinite(width[rows_index, widest]), end[rows_index, widest], -np.inf)
