"""Outlines of the parts of an area that are cut off: what lies nearer to roads and buildings that cannot be reached any
more than to such that can.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mage.learning.mapping.roads import Roads

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BESIDE = 60.0  # metres from a road or building within which the ground is taken to depend on it: about a block's depth
SPACING = 10.0  # metres between places on roads
LEAST = 1.0  # square metres of a part
SIDE = 1000.0  # metres of the squares that are looked at in turn


def cut_off(
    roads: Roads,
    closed: Flags,
    before: Floats,
    now: Floats,
    points: Floats,
    alone: Flags,
    area: shapely.Geometry,
) -> NDArray[np.object_]:
    """Parts of an area that are likely cut off, from north to south: cells of the Voronoi diagram of places on roads
    and of buildings, at most 60 m from those that could be reached before and cannot now.

    Args:
        roads: the network.
        closed: (e,) edges that are likely closed; what lies on them alone is told by the buildings there.
        before: (n,) seconds to the nodes with all roads open; infinite where no way ever led.
        now: (n,) the same with those that are closed.
        points: (b, 2) of buildings, metres.
        alone: (b,) those that cannot be reached.
        area: polygons in metres.

    >>> from mage.learning.mapping.roads import straight_roads
    >>> street = straight_roads([(0, 0), (100, 0), (300, 0)], [(0, 1), (1, 2)])
    >>> closed, before, now = np.array([False, True]), np.array([0, 12, 36.0]), np.array([0, 12, np.inf])
    >>> nobody = np.zeros((0, 2)), np.zeros(0, bool)
    >>> found = cut_off(street, closed, before, now, *nobody, shapely.box(0, 0, 300, 40))
    >>> [shape.bounds for shape in found]
    [(240.0, 0.0, 300.0, 40.0)]
    """
    lost = np.isfinite(before) & np.isinf(now)
    if not lost.any() and not alone.any():
        return np.array([], object)
    gone = lost[roads.ends].all(axis=1)
    held = np.isfinite(now)[roads.ends].all(axis=1) & ~closed
    lines = np.array(roads.lines, dtype=object)
    apart = np.concatenate([roads.nodes[lost], _along(lines[gone]), points[alone]])
    near = np.concatenate([roads.nodes[np.isfinite(now)], _along(lines[held]), points[~alone]])
    things = np.concatenate([lines[gone], shapely.points(roads.nodes[lost]), shapely.points(points[alone])])
    part = _nearer(apart, near, things).intersection(area)
    parts = [shape for shape in shapely.get_parts(part) if shape.area >= LEAST]
    return np.array(sorted(parts, key=lambda shape: (-shape.bounds[3], shape.bounds[0])), dtype=object)


def _along(lines: NDArray[np.object_]) -> Floats:
    """Places within lines, (n, 2), at most 10 m from each other and from the lines' ends."""
    if not len(lines):
        return np.zeros((0, 2))
    length = shapely.length(lines)
    within = np.ceil(length / SPACING).astype(np.int64)  # one more piece than places
    who = np.repeat(np.arange(len(lines)), within)
    step = np.arange(len(who)) - np.repeat(np.cumsum(within) - within, within)
    return shapely.get_coordinates(
        shapely.line_interpolate_point(lines[who], step * (length / np.maximum(within, 1))[who])
    )


def _nearer(apart: Floats, near: Floats, things: NDArray[np.object_]) -> shapely.Geometry:
    """Where the one kind of places is nearer than the other, within 60 m of things that the former lie along: square
    by square, since a diagram of a whole city takes gigabytes.
    """
    origin = apart.mean(axis=0).round()
    apart, near = (np.round(places - origin, 3) for places in (apart, near))
    things = shapely.transform(things, lambda xy: xy - origin)
    index, of_apart, of_near = shapely.STRtree(things), cKDTree(apart), cKDTree(near) if len(near) else None
    low, high = apart.min(axis=0) - 2 * BESIDE, apart.max(axis=0) + 2 * BESIDE
    parts = []
    for west in np.arange(low[0], high[0], SIDE):
        for south in np.arange(low[1], high[1], SIDE):
            square = shapely.box(west, south, west + SIDE, south + SIDE)
            here = index.query(square, predicate="dwithin", distance=BESIDE)
            if len(here):
                middle, reach = (west + SIDE / 2, south + SIDE / 2), SIDE / 2 + 2 * BESIDE
                mine, others = (
                    tree.data[tree.query_ball_point(middle, reach, p=np.inf)] if tree else np.zeros((0, 2))
                    for tree in (of_apart, of_near)
                )
                parts.append(_cells(mine, others, shapely.union_all(shapely.buffer(things[here], BESIDE)) & square))
    return shapely.transform(shapely.union_all(parts), lambda xy: xy + origin)


def _cells(apart: Floats, near: Floats, surface: shapely.Geometry) -> shapely.Geometry:
    """The part of a surface that is nearer to the one kind of places than to the other."""
    if not len(near):
        return surface
    both, index = np.unique(np.concatenate([near, apart]), axis=0, return_index=True)  # on one spot, near ones count
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.MultiPoint(both), extend_to=surface, ordered=True))
    return shapely.intersection(shapely.union_all(cells[index >= len(near)]), surface)
