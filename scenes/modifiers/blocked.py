"""Which streets the debris leaves open."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.scenes.aftermath import Aftermath
from mage.scenes.city import City
from mage.scenes.modifiers.raster import covered

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CAR, TRUCK = 3.0, 3.5  # metres of free width that each needs (shared range of published figures: 3 to 3.5)
CELL = 0.25  # metres: how finely widths are measured
STATION = 1.0  # metres between places along a street
THICK = 0.15  # metres above the ground that a wheel climbs


def road_debris(city: City, aftermath: Aftermath) -> tuple[Floats, Floats, Flags, Flags]:
    """Debris on every street.

    Returns:
        For each edge (e,): the greatest width covered by debris, metres; the least free width in one piece across the
        carriageway, metres (its whole width where nothing lies); whether a car, and whether a truck, cannot pass for
        debris. Bridges and tunnels are out of its reach. Debris lower than ``THICK`` does not count, and a street that
        was too narrow before is not blocked by it.
    """
    edges = city.roads.edges
    widest = np.zeros(len(edges))
    widths = np.array([e.width for e in edges], float)
    free = widths.copy()
    filled = _cells(city, aftermath)
    for k, edge in enumerate(edges):
        if edge.bridge or edge.tunnel or not len(filled):
            continue
        hit = _across(filled, edge.line, edge.width)
        if hit.any():
            lane = edge.width / hit.shape[1]
            widest[k] = float(hit.sum(axis=1).max()) * lane
            free[k] = float(_longest(~hit).min()) * lane
    car, truck = ((free < need) & (widths >= need) & (widest > 0) for need in (CAR, TRUCK))
    return widest, free, car, truck


def _cells(city: City, aftermath: Aftermath) -> NDArray[np.int64]:
    """Keys of the cells under debris near streets, sorted."""
    mesh = aftermath.debris
    corners = mesh.vertices[mesh.triangles]
    if not len(corners) or not city.roads.edges:
        return np.zeros(0, np.int64)
    owner = aftermath.debris_owner
    order = np.argsort(owner, kind="stable")
    owners, start = np.unique(owner[order], return_index=True)
    flat = corners[order][..., :2]
    low = np.minimum.reduceat(flat.min(axis=1), start)
    high = np.maximum.reduceat(flat.max(axis=1), start)
    tree = shapely.STRtree([e.line.buffer(e.width / 2) for e in city.roads.edges])
    near = np.unique(tree.query(shapely.box(*low.T, *high.T), predicate="intersects")[0])
    corners = corners[np.isin(owner, owners[near])]
    ground = city.ground.sample(corners.mean(axis=1)[:, :2])
    corners = corners[corners[..., 2].max(axis=1) > ground + THICK]
    _, column, row, _ = covered(corners, 0.0, 0.0, CELL)
    return np.unique(_key(column, row))


def _key(column: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(column * (1 << 31) + row)


def _across(filled: NDArray[np.int64], line: shapely.LineString, width: float) -> Flags:
    """Whether debris lies at places across a street, (stations, lanes)."""
    length = line.length
    at = np.linspace(0, length, max(2, int(np.ceil(length / STATION)) + 1))
    points = shapely.get_coordinates(shapely.line_interpolate_point(line, at))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(line, np.minimum(at + 0.1, length)))
    behind = shapely.get_coordinates(shapely.line_interpolate_point(line, np.maximum(at - 0.1, 0)))
    way = ahead - behind
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    lanes = max(1, round(width / CELL))
    aside = ((np.arange(lanes) + 0.5) / lanes - 0.5) * width
    xy = points[:, None] + aside[None, :, None] * np.stack([-way[:, 1], way[:, 0]], axis=1)[:, None]
    cell = np.floor(xy / CELL).astype(np.int64)
    key = _key(cell[..., 0], cell[..., 1])
    position = np.minimum(np.searchsorted(filled, key), len(filled) - 1)
    return np.asarray(filled[position] == key)


def _longest(free: Flags) -> NDArray[np.int64]:
    """The longest run of true values in each row, (rows,)."""
    run = np.zeros(len(free), np.int64)
    best = run.copy()
    for lane in free.T:
        run = np.where(lane, run + 1, 0)
        best = np.maximum(best, run)
    return best
