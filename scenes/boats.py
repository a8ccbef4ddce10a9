"""Boats moored along the banks of permanent water."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree

from mage.scenes.city import City
from mage.scenes.impact import BARGE, BOAT, SIZES, plans_of
from mage.scenes.style import Style
from mage.scenes.ways import on_bridge, plan

Floats = NDArray[np.float64]

MOST = 3000  # boats in one city
BARGES = 0.15  # share of the boats on rivers and canals
OFF_BANK = 0.8  # metres of water between a boat and the bank
OFF_BRIDGE = 4.0  # metres


def moored(rng: np.random.Generator, city: City, style: Style) -> tuple[Floats, Floats, NDArray[np.uint8]]:
    """Positions (n, 2), headings (n,) and kinds (n,) of boats along the banks, as many as the style has per hectare:
    wholly in the water, apart from each other and clear of buildings and bridges.
    """
    found: list[tuple[Floats, Floats, NDArray[np.uint8]]] = []
    for body in city.water:
        count = min(int(rng.poisson(style.details.boats * body.outline.area / 1e4)), MOST)
        kind = np.where(rng.random(count) < (BARGES if body.kind in ("river", "canal") else 0.0), BARGE, BOAT)
        found += [_along_banks(rng, body.outline, k, int((kind == k).sum())) for k in (BARGE, BOAT)]
    if not found:
        return np.zeros((0, 2)), np.zeros(0), np.zeros(0, np.uint8)
    xy, heading, kind = (np.concatenate(column) for column in zip(*found, strict=True))
    keep = _afloat(city, xy, heading, kind)
    return xy[keep], heading[keep], kind[keep]


def _along_banks(
    rng: np.random.Generator, water: shapely.Geometry, kind: int, count: int
) -> tuple[Floats, Floats, NDArray[np.uint8]]:
    """Places at a kind's distance from the bank, heading along it one way or the other."""
    berth = water.buffer(-(SIZES[kind][1] / 2 + OFF_BANK), quad_segs=4).boundary
    nothing = np.zeros((0, 2)), np.zeros(0), np.zeros(0, np.uint8)
    if count == 0 or berth.length < 20:
        return nothing
    lines = np.array([g for g in shapely.get_parts(berth) if g.length > 0], dtype=object)
    length = shapely.length(lines)
    which = rng.choice(len(lines), size=count, p=length / length.sum())
    way = rng.random(count) * length[which]
    here = shapely.get_coordinates(shapely.line_interpolate_point(lines[which], way))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(lines[which], np.minimum(way + 2, length[which])))
    behind = shapely.get_coordinates(shapely.line_interpolate_point(lines[which], np.maximum(way - 2, 0)))
    along = ahead - behind
    heading = np.arctan2(along[:, 1], along[:, 0]) + rng.choice([0.0, np.pi], count)
    return here, heading, np.full(count, kind, np.uint8)


def _afloat(city: City, xy: Floats, heading: Floats, kind: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Positions of the boats that lie in water and meet nothing, the first of any two that meet."""
    plans = plans_of(xy, heading, kind, 0.3)
    water = shapely.union_all([w.outline for w in city.water])
    shapely.prepare(water)
    free = np.asarray(shapely.covers(water, plans))
    above = [e.line.buffer(e.width / 2 + OFF_BRIDGE) for e in city.roads.edges if on_bridge(e)]
    above += [r.line.buffer(2.0 * r.tracks + OFF_BRIDGE) for r in city.railways if r.bridge]
    above += [b.footprint for b in city.buildings]
    above += [plan(s) for s in city.structures]
    free[STRtree(above).query(plans, predicate="intersects")[0]] = False
    index = np.flatnonzero(free)
    pairs = STRtree(plans[index]).query(plans[index], predicate="intersects").T
    beaten: set[int] = set()
    for a, b in sorted(map(tuple, pairs[pairs[:, 0] < pairs[:, 1]].tolist())):
        if a not in beaten:
            beaten.add(b)
    return index[[i not in beaten for i in range(len(index))]]
