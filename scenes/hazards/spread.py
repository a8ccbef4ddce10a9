"""How a fire spreads: shortest paths in minutes over buildings, trees and dry ground.

From building to building by Hamada's urban fire model (Hamada 1951, 1975, in the form that HAZUS uses for fire after
earthquakes); over vegetation at a share of the wind's speed; across gaps by brands that fly down-wind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from mage.scenes.city import City
from mage.scenes.errors import HazardError
from mage.scenes.hazards.fuel import Fuel
from mage.scenes.sources.ground.relief import raster_of

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

REACH = 15.0  # metres between walls that fire crosses by radiation; wider gaps are left to brands and vegetation
LICK = 3.0  # metres across which crowns, ground and walls set fire to each other
BACKING = 0.5  # metres a minute against the wind and without any, in vegetation
BRAND_FLIGHT = 6.0  # seconds: the mean distance of brands is what the wind covers in them
BRAND_SPREAD = np.deg2rad(15.0)  # standard deviation of their direction
SMOULDER = 8.0  # minutes that a brand glows on average before it sets fire
CROWN_BRANDS = 0.1  # brands of a burning tree for each of a burning building
CROWN_HEAD = 0.1  # share of the wind's speed at which crowns pass fire on, as in a forest


@dataclass(frozen=True, slots=True)
class Wind:
    """Steady wind: metres per second at 10 m, and the radians anticlockwise from east that it comes from."""

    speed: float
    comes_from: float

    @property
    def heading(self) -> float:
        """Radians anticlockwise from east that it blows to."""
        return self.comes_from + np.pi


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """Minutes after ignition at which fire arrives, infinite where it never does.

    Attributes:
        buildings: (b,). trees: (t,). ground: (rows, columns) on the terrain's vertices: dry patches, the ground of
            burning buildings and :data:`LICK` metres around it, and that under crowns.
    """

    buildings: Floats
    trees: Floats
    ground: Floats


def hamada_minutes(side: Floats, gap: Floats, wind: float, angle: Floats, resistant: Floats) -> Floats:
    """Minutes from the ignition of one building to that of the next, by Hamada (1951, 1975).

    Down-wind t = (3 + 0.375 a + 8 d / (25 + 2.5 V)) / (1.6 (1 + 0.1 V + 0.007 V²)) with the building's side a and the
    gap d (m) and the wind V (m/s); sideward the last term of the first factor is 8 d / (5 + 0.25 V) and the divisor
    1 + 0.005 V²; upwind 8 d / (5 + 0.2 V) and 1 + 0.002 V². Resistant buildings have 5 + 0.625 a + 16 d / (...).
    A share of resistance between 0 and 1 mixes both, as in HAZUS. Without wind the model still is quicker "down-wind".

    Between these directions the times over one and the same a and d are those along an ellipse whose semi-axes are
    the speeds down-wind (or upwind) and sideward: t² = (t_along cos θ)² + (t_side sin θ)², an assumption of this
    project.

    Args:
        side: metres of the building that burns.
        gap: metres to the next.
        wind: metres per second, not negative.
        angle: radians between the way to the next building and the way that the wind blows.
        resistant: share, 0-1.
    """
    down = 25 + 2.5 * wind, 1.6 * (1 + 0.1 * wind + 0.007 * wind**2)
    aside = 5 + 0.25 * wind, 1 + 0.005 * wind**2
    up = 5 + 0.2 * wind, 1 + 0.002 * wind**2

    def _minutes(reach: float, divisor: float) -> Floats:
        ordinary, hardened = 3 + 0.375 * side + 8 * gap / reach, 5 + 0.625 * side + 16 * gap / reach
        return ((1 - resistant) * ordinary + resistant * hardened) / divisor

    along = np.where(np.cos(angle) >= 0, _minutes(*down), _minutes(*up))
    return np.hypot(along * np.cos(angle), _minutes(*aside) * np.sin(angle))


def vegetation_minutes(length: Floats, head: Floats, wind: float, angle: Floats) -> Floats:
    """Minutes for a fire to run ``length`` metres through vegetation.

    Its head runs at a share ``head`` of the wind's speed, on top of :data:`BACKING`, which is its speed against the
    wind; its flanks so that what has burnt is as long for its breadth as Alexander (1985) says, 1 + 0.0012 U^2.154 with
    U in km/h, at most 8, but no slower than against the wind. Between them as :func:`hamada_minutes`.

    Args:
        length: (n,) metres.
        head: (n,) share, 0-1.
        wind: metres per second, not negative.
        angle: (n,) radians between the fire's way and the wind's.
    """
    front = BACKING + head * wind * 60
    ratio = min(1 + 0.0012 * (wind * 3.6) ** 2.154, 8.0)
    flank = np.maximum((front + BACKING) / (2 * ratio), BACKING)  # length head and back, breadth both flanks
    along = np.where(np.cos(angle) >= 0, front, BACKING)
    return length * np.hypot(np.cos(angle) / along, np.sin(angle) / flank)


def spread(
    city: City, fuel: Fuel, ignitions: Floats, wind: Wind, rng: np.random.Generator, *, brands: float = 0.5
) -> Arrival:
    """When a fire that starts at some points arrives everywhere.

    Each ignition starts in the building, patch of ground that carries fire, or tree nearest to it.

    Args:
        city: completed.
        fuel: :func:`mage.scenes.hazards.fuel.draw_fuel`.
        ignitions: (n, 2) local metres.
        wind: steady over the whole time.
        rng: draws the brands.
        brands: mean number of brands of a burning building that set fire to what they fall on, if it can burn.

    Raises:
        HazardError: nothing in the city burns, or points that are not finite.
    """
    nodes = _nodes(city, fuel)
    links = [_houses(nodes, wind), *_vegetation(nodes, fuel, wind), _brands(nodes, wind, brands, rng)]
    graph = _graph(links, nodes)
    starts = _starts(nodes, np.asarray(ignitions, float).reshape(-1, 2))
    minutes = np.full(nodes.count, np.inf)
    if len(starts):
        minutes = np.asarray(dijkstra(graph, indices=starts, min_only=True))
    b, t = len(nodes.footprints), len(nodes.crowns)
    return Arrival(minutes[:b], minutes[b : b + t], _on_ground(city, nodes, fuel, minutes))


@dataclass(frozen=True, slots=True, eq=False)
class _Nodes:
    """All that burns in one order: buildings, trees, patches of ground that carry fire.

    Attributes:
        xy: (n, 2) middles.
        footprints: (b,). side: (b,) metres of a square as large. resistant, spared: (b,).
        crowns: (t,) radius. carries: (t,) whether a tree passes fire on.
        patch: (rows, columns) node of each patch, -1 where it carries no fire.
        head: (n,) share of the wind's speed; 0 for buildings.
    """

    xy: Floats
    footprints: NDArray[np.object_]
    side: Floats
    resistant: Floats
    spared: Mask
    crowns: Floats
    carries: Mask
    patch: Indices
    head: Floats
    tree: shapely.STRtree

    @property
    def count(self) -> int:
        return len(self.xy)


@dataclass(frozen=True, slots=True, eq=False)
class _Links:
    """Ways of the fire: nodes it leaves and reaches (k,), and minutes in between (k,)."""

    tail: Indices
    head: Indices
    minutes: Floats


def _nodes(city: City, fuel: Fuel) -> _Nodes:
    footprints = np.array([b.footprint for b in city.buildings], dtype=object)
    middles = shapely.get_coordinates(shapely.centroid(footprints))
    ground = fuel.patches.points()[fuel.head.ravel() > 0]
    trees = city.trees
    first = len(footprints) + len(trees)
    patch = np.full(fuel.head.shape, -1, np.int64)
    patch[fuel.head > 0] = first + np.arange(len(ground))
    return _Nodes(
        xy=np.concatenate([middles, trees.xy, ground]),
        footprints=footprints,
        side=np.sqrt(shapely.area(footprints)),
        resistant=fuel.resistant.astype(float),
        spared=fuel.spared,
        crowns=np.asarray(trees.radius, float),
        carries=fuel.crowns,
        patch=patch,
        head=np.concatenate([np.zeros(len(footprints)), np.full(len(trees), CROWN_HEAD), fuel.head[fuel.head > 0]]),
        tree=shapely.STRtree(footprints),
    )


def _angle(nodes: _Nodes, tail: Indices, head: Indices, wind: Wind) -> Floats:
    """Radians between the way from node to node and the wind's."""
    way = nodes.xy[head] - nodes.xy[tail]
    return np.arctan2(way[:, 1], way[:, 0]) - wind.heading


def _houses(nodes: _Nodes, wind: Wind) -> _Links:
    """From each building to those within :data:`REACH` of its walls; resistance is the mean of both."""
    tail, head = nodes.tree.query(nodes.footprints, predicate="dwithin", distance=REACH)
    tail, head = tail[tail != head], head[tail != head]
    gap = shapely.distance(nodes.footprints[tail], nodes.footprints[head])
    resistant = (nodes.resistant[tail] + nodes.resistant[head]) / 2
    angle = _angle(nodes, tail, head, wind)
    return _Links(tail, head, hamada_minutes(nodes.side[tail], gap, wind.speed, angle, resistant))


def _vegetation(nodes: _Nodes, fuel: Fuel, wind: Wind) -> list[_Links]:
    """From patch to patch and crown to crown, between crowns and the ground below, between both and buildings."""
    first = len(nodes.footprints)
    xy, crowns = nodes.xy[first : first + len(nodes.crowns)], nodes.crowns
    ways = [_side_by_side(nodes.patch)]
    if len(xy):
        pairs = cKDTree(xy).query_pairs(2 * float(crowns.max()) + LICK, output_type="ndarray").astype(np.int64)
        touch = np.hypot(*(xy[pairs[:, 0]] - xy[pairs[:, 1]]).T) <= crowns[pairs].sum(axis=1) + LICK
        ways.append(first + pairs[touch].T)
        below = nodes.patch.ravel()[_nearest_patch(fuel, xy)]
        ways.append(np.stack([first + np.flatnonzero(below >= 0), below[below >= 0]]))
    both = np.concatenate(ways, axis=1)
    tail, head = np.concatenate([both, both[::-1]], axis=1)
    length = np.hypot(*(nodes.xy[head] - nodes.xy[tail]).T)
    minutes = vegetation_minutes(length, nodes.head[head], wind.speed, _angle(nodes, tail, head, wind))
    return [_Links(tail, head, minutes), *_walls(nodes, fuel, wind)]


def _walls(nodes: _Nodes, fuel: Fuel, wind: Wind) -> list[_Links]:
    """Between buildings and what grows at their walls: Hamada's times across no gap, with no side on the way in."""
    first = len(nodes.footprints)
    reach = np.concatenate([nodes.crowns, np.full(nodes.count - first - len(nodes.crowns), fuel.patches.step / 2)])
    plants = shapely.points(nodes.xy[first:])
    plant, house = nodes.tree.query(plants, predicate="dwithin", distance=reach + LICK)
    plant += first
    out, back = _angle(nodes, house, plant, wind), _angle(nodes, plant, house, wind)
    none, resistant = np.zeros(len(house)), nodes.resistant[house]
    return [
        _Links(house, plant, hamada_minutes(nodes.side[house], none, wind.speed, out, resistant)),
        _Links(plant, house, hamada_minutes(none, none, wind.speed, back, resistant)),
    ]


def _side_by_side(patch: Indices) -> Indices:
    """Pairs (2, k) of neighbouring patches that carry fire, along sides and diagonals."""
    heads = (patch[:, :-1], patch[:-1], patch[:-1, :-1], patch[:-1, 1:])
    tails = (patch[:, 1:], patch[1:], patch[1:, 1:], patch[1:, :-1])
    pairs = np.stack([np.concatenate([p.ravel() for p in side]) for side in (heads, tails)])
    return pairs[:, (pairs >= 0).all(axis=0)]


def _nearest_patch(fuel: Fuel, xy: Floats) -> Indices:
    """Flat index of the patch that each point lies in; those outside count to the border."""
    at = np.stack([fuel.patches.north - xy[:, 1], xy[:, 0] - fuel.patches.west], axis=1) / fuel.patches.step
    at = np.clip(np.rint(at).astype(np.int64), 0, np.array(fuel.head.shape) - 1)
    return at[:, 0] * fuel.head.shape[1] + at[:, 1]


def _brands(nodes: _Nodes, wind: Wind, mean: float, rng: np.random.Generator) -> _Links:
    """Brands of burning buildings and crowns: exponential distances down-wind, onto a roof or dry ground."""
    b, t = len(nodes.footprints), len(nodes.crowns)
    expected = mean * np.concatenate([np.ones(b), CROWN_BRANDS * nodes.carries])
    tail = np.repeat(np.arange(b + t), rng.poisson(expected))
    away = rng.exponential(BRAND_FLIGHT * wind.speed, len(tail))
    turn = wind.heading + rng.normal(0.0, BRAND_SPREAD, len(tail))
    late = rng.exponential(SMOULDER, len(tail))
    fell = nodes.xy[tail] + away[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    head = np.full(len(tail), -1)
    if wind.speed > 0 and len(tail):
        ground = nodes.xy[b + t :]
        if len(ground):
            distance, nearest = cKDTree(ground).query(fell)
            head = np.where(distance <= LICK, b + t + nearest, -1)
        on, roof = nodes.tree.query(shapely.points(fell), predicate="within")
        head[on] = roof
    side = np.concatenate([nodes.side, np.zeros(t)])[tail]
    resistant = np.concatenate([nodes.resistant, np.zeros(t)])[tail]
    none = np.zeros(len(tail))
    grown = hamada_minutes(side, none, wind.speed, none, resistant)
    flown = away / max(wind.speed, 1e-9) / 60
    hit = (head >= 0) & (head != tail)
    return _Links(tail[hit], head[hit], (grown + flown + late)[hit])


def _graph(links: list[_Links], nodes: _Nodes) -> csr_matrix:
    """The quickest way between every two nodes; none leads into a spared building or out of a crown that ends it."""
    tail, head = (np.concatenate([getattr(link, name) for link in links]) for name in ("tail", "head"))
    minutes = np.maximum(np.concatenate([link.minutes for link in links]), 1e-9)  # zero is no way in a sparse graph
    ends, closed = np.ones(nodes.count, bool), np.zeros(nodes.count, bool)
    first = len(nodes.footprints)
    ends[first : first + len(nodes.crowns)] = nodes.carries
    closed[:first] = nodes.spared
    order = np.lexsort((minutes, head, tail))
    order = order[ends[tail[order]] & ~closed[head[order]]]
    tail, head, minutes = tail[order], head[order], minutes[order]
    if len(tail):
        fastest = np.append(True, (np.diff(tail) != 0) | (np.diff(head) != 0))  # a sparse matrix would add them up
        tail, head, minutes = tail[fastest], head[fastest], minutes[fastest]
    return csr_matrix((minutes, (tail, head)), shape=(nodes.count, nodes.count))


def _starts(nodes: _Nodes, ignitions: Floats) -> Indices:
    if not np.isfinite(ignitions).all():
        raise HazardError("a fire starts nowhere", expected="finite coordinates of ignitions", found="others")
    if not nodes.count:
        raise HazardError("nothing in the city burns", expected="buildings, trees or dry ground", found="none")
    if not len(ignitions):
        return np.zeros(0, np.int64)
    points, first = shapely.points(ignitions), len(nodes.footprints)
    best, chosen = np.full(len(points), np.inf), np.zeros(len(points), np.int64)
    if first:
        chosen = np.asarray(nodes.tree.nearest(points), np.int64)
        best = shapely.distance(points, nodes.footprints[chosen])
    burns = first + np.flatnonzero(np.append(nodes.carries, np.ones(nodes.count - first - len(nodes.crowns), bool)))
    if len(burns):
        distance, nearest = cKDTree(nodes.xy[burns]).query(ignitions)
        chosen = np.where(distance < best, burns[nearest], chosen)
    return np.unique(chosen)


def _on_ground(city: City, nodes: _Nodes, fuel: Fuel, minutes: Floats) -> Floats:
    """Arrival on the terrain's vertices (rows, columns): the earliest of what stands or grows there."""
    terrain = city.ground
    patch = nodes.patch.ravel()[_nearest_patch(fuel, terrain.points())]
    ground = np.where(patch >= 0, minutes[patch], np.inf)
    b, t = len(nodes.footprints), len(nodes.crowns)
    shapes = np.concatenate(
        [
            shapely.buffer(nodes.footprints, LICK, quad_segs=2),
            shapely.buffer(shapely.points(nodes.xy[b : b + t]), nodes.crowns, quad_segs=2),
        ]
    )
    reached = np.flatnonzero(np.isfinite(minutes[: b + t]))
    order = reached[np.argsort(-minutes[reached], kind="stable")]  # the last one drawn holds
    ground = ground.reshape(terrain.heights.shape)
    if len(order):
        drawn = [(shapes[i], float(minutes[i])) for i in order]
        standing = rasterize(drawn, out_shape=ground.shape, transform=raster_of(terrain), fill=np.inf, dtype="float64")
        ground = np.minimum(ground, standing)
    return np.asarray(ground)
