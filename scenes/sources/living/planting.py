"""Trees: along streets, in gardens and courtyards, in clumps on open land, in woods by the water."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from shapely import STRtree

from mage.scenes.city import City, Trees
from mage.scenes.sources.ground.relief import undulation
from mage.scenes.style import Style
from mage.scenes.ways import on_view, plan, trackbed

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Strings = NDArray[np.object_]

# covers on which none is scattered; street trees may stand in their paving
TREELESS = ("agriculture", "paved", "asphalt", "parking", "ballast", "pitch", "pool", "sand")
GARDEN_REACH = 26.0  # metres around buildings that count as garden
WOODED = ("river", "lake")  # waters with woods along them; the sea and canals have quays and beaches
PIER = 18.0  # metres; land in still water that is no wider is a pier, a mole or a causeway
CROWDING = 0.5  # trunks stand at least this share of the two crown radii's sum apart
_Z90 = 1.2816  # standard normal quantile of 90 %


def plant_trees(rng: np.random.Generator, city: City, style: Style) -> Trees:
    """Trees for a city that has terrain, streets, water and land.

    Trunks stay out of buildings (by a metre and more), carriageways, water, tracks, structures, sports fields, paved
    ground and piers; crowns may overhang, but not a pool.
    """
    lined, spread = _street_places(rng, city, style), _scattered_places(rng, city, style)
    xy = np.concatenate([lined, spread])
    radius, height, conifer = _sizes(rng, len(xy), style)
    radius[: len(lined)] *= 0.9
    keep = np.flatnonzero(_free(city, xy, radius))
    # street trees were there first; among the others chance decides
    priority = rng.permutation(len(keep)) + np.where(keep < len(lined), 0, len(xy))
    keep = keep[thinned(xy[keep], radius[keep] * CROWDING, priority)]
    return Trees(xy[keep], height[keep], radius[keep], conifer[keep].astype(np.uint8))


def thinned(xy: Floats, reach: Floats, priority: NDArray[np.int64]) -> Mask:
    """Which of n points stay so that no two are closer than the sum of their reaches, bool (n,).

    Points of lower ``priority`` (all different) win. In rounds: every point that beats all its remaining neighbours
    stays, and its neighbours go; the outcome is that of taking the points one by one.
    """
    n = len(xy)
    state = np.zeros(n, np.int8)  # 0 open, 1 stays, 2 goes
    if n == 0:
        return state == 1
    pairs = cKDTree(xy).query_pairs(2 * float(reach.max()), output_type="ndarray")
    apart = np.linalg.norm(xy[pairs[:, 0]] - xy[pairs[:, 1]], axis=1)
    return settled(n, pairs[apart < reach[pairs].sum(axis=1)], priority)


def settled(n: int, pairs: NDArray[np.int64], priority: NDArray[np.int64]) -> Mask:
    """Which of n things stay when of each conflicting pair (m, 2) only one may, lowest ``priority`` first."""
    state = np.zeros(n, np.int8)
    while (state == 0).any():
        pairs = pairs[(state[pairs] == 0).all(axis=1)]
        rival = np.full(n, np.iinfo(np.int64).max)
        np.minimum.at(rival, pairs[:, 0], priority[pairs[:, 1]])
        np.minimum.at(rival, pairs[:, 1], priority[pairs[:, 0]])
        stays = (state == 0) & (priority < rival)
        state[stays] = 1
        for near, far in ((0, 1), (1, 0)):
            beaten = pairs[stays[pairs[:, near]], far]
            state[beaten] = 2
    return state == 1


def _street_places(rng: np.random.Generator, city: City, style: Style) -> Floats:
    """Places at both kerbs at the style's interval, with gaps, (n, 2)."""
    interval = style.planting.interval
    places = [np.zeros((0, 2))]
    for edge in city.roads.edges:
        count = int((edge.line.length - 12) / interval)
        for side in (-1.0, 1.0):
            if count < 1:
                continue
            way = 6 + (np.arange(count) + rng.uniform(0.2, 0.8, count)) * interval
            way = way[rng.random(count) < style.planting.street]
            beside = side * (edge.width / 2 + rng.uniform(0.8, 2.2))
            places.append(_beside(edge.line, way, np.full(len(way), beside)))
    return np.concatenate(places)


def _beside(line: shapely.LineString, way: Floats, offset: Floats) -> Floats:
    """Points (n, 2) at distances ``way`` along a line, ``offset`` metres to its left."""
    here = shapely.get_coordinates(shapely.line_interpolate_point(line, way))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(line, np.minimum(way + 0.5, line.length)))
    behind = shapely.get_coordinates(shapely.line_interpolate_point(line, np.maximum(way - 0.5, 0)))
    tangent = ahead - behind
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    return here + offset[:, None] * np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)


def _scattered_places(rng: np.random.Generator, city: City, style: Style) -> Floats:
    """Places all over the land, as dense as each kind of ground is planted, (n, 2)."""
    xy = _jittered(rng, city.ground.bounds, 0.9 * style.planting.radius[0] + 1.6)
    places = shapely.points(xy)
    leafy = undulation(rng, city.ground, (120.0, 28.0), 1.0)
    quarters = undulation(rng.spawn(1)[0], city.ground, (260.0, 90.0), 1.0)
    mood = 0.5 + 0.7 * city.ground.sample(xy, leafy) + 0.9 * city.ground.sample(xy, quarters)
    mood = np.clip(mood, 0, 1)  # 0 bare, 1 leafy quarters
    planting = style.planting
    share = planting.open * np.clip((mood - 0.5) * 5, 0.04, 1.6)
    garden = _within(places, [b.footprint for b in city.buildings], np.full(len(xy), GARDEN_REACH))
    share[garden] = planting.garden * (0.1 + 1.4 * mood[garden])
    woods = _within(places, [w.outline for w in city.water if w.kind in WOODED], 12 + 55 * mood)
    share[woods] = planting.woods * np.where(garden[woods], 0.75, 1.0) * np.clip(0.3 + 1.4 * mood[woods], 0, 1)
    share[_on(places, [p.outline for p in city.land if p.cover == "forest"])] = planting.woods
    share[_on(places, [p.outline for p in city.land if p.cover in TREELESS])] = 0.0
    return xy[rng.random(len(xy)) < share]


def _jittered(rng: np.random.Generator, bounds: tuple[float, float, float, float], spacing: float) -> Floats:
    west, south, east, north = bounds
    x, y = np.meshgrid(np.arange(west, east, spacing), np.arange(south, north, spacing))
    cells = np.stack([x.ravel(), y.ravel()], axis=1)
    return cells + rng.uniform(0, spacing, cells.shape)


def _sizes(rng: np.random.Generator, n: int, style: Style) -> tuple[Floats, Floats, Mask]:
    """Crown radius and height (m) of n trees, and which are conifers; large crowns go with tall trees."""
    conifer = rng.random(n) < style.planting.conifers
    vigour, habit = rng.normal(size=n), rng.normal(size=n)
    radius = _quantile(style.planting.radius, vigour)
    height = _quantile(style.planting.height, 0.75 * vigour + 0.66 * habit)
    return np.where(conifer, 0.7 * radius, radius), np.maximum(height, 1.6 * radius), conifer


def _quantile(tenths: tuple[float, float], z: Floats) -> Floats:
    """Lognormal values of which 10 and 90 % lie below ``tenths``, cut at 2.2 standard deviations."""
    low, high = np.log(tenths)
    return np.asarray(np.exp((low + high) / 2 + (high - low) / (2 * _Z90) * np.clip(z, -2.2, 2.2)))


def _free(city: City, xy: Floats, radius: Floats) -> Mask:
    """Where a trunk may stand, bool (n,)."""
    places = shapely.points(xy)
    carriageways = [shapely.buffer(e.line, e.width / 2, quad_segs=4) for e in city.roads.edges if on_view(e)]
    beds = [trackbed(r) for r in city.railways if not r.tunnel]
    built = [b.line for b in city.barriers]
    built += [plan(s) for s in city.structures]
    return ~(
        _within(places, [b.footprint for b in city.buildings], 1.0 + 0.2 * radius)
        | _within(places, carriageways, np.full(len(xy), 0.6))
        | _within(places, [w.outline for w in city.water], np.full(len(xy), 1.0))
        | _within(places, beds, 0.6 + 0.6 * radius)
        | _within(places, built, np.full(len(xy), 0.5))
        | _within(places, [p.outline for p in city.land if p.cover == "pool"], 0.6 + radius)
        | _on(places, [p.outline for p in city.land if p.cover in ("pitch", "parking", "ballast")])
        | _on(places, _piers(city))
    )


def _piers(city: City) -> list[shapely.Geometry]:
    """Land in and between still waters that is too narrow to be grown over."""
    still = shapely.union_all([w.outline for w in city.water if w.kind != "river"])
    if still.is_empty:
        return []
    closed = still.buffer(PIER / 2, quad_segs=4).buffer(-PIER / 2, quad_segs=4)
    return list(shapely.get_parts(closed.difference(still)))


def _within(places: Strings, shapes: list[shapely.Geometry], distance: NDArray[Any]) -> Mask:
    """Which points (n,) lie within ``distance`` (n,) of any shape."""
    near = np.zeros(len(places), bool)
    if shapes:
        near[STRtree(shapes).query(places, predicate="dwithin", distance=distance)[0]] = True
    return near


def _on(places: Strings, shapes: list[shapely.Geometry]) -> Mask:
    """Which points (n,) lie on any shape."""
    on = np.zeros(len(places), bool)
    if shapes:
        on[STRtree(shapes).query(places, predicate="intersects")[0]] = True
    return on
