"""Vehicles along kerbs, on drives, in car parks and under way, and boats on water: where they are at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree

from mage.scenes.bays import bays_of
from mage.scenes.boats import moored
from mage.scenes.city import City, RoadEdge
from mage.scenes.impact import BUS, CAR, SIZES, TRUCK, VAN, Vehicles, plans_of
from mage.scenes.sources.living.planting import settled
from mage.scenes.style import Style
from mage.scenes.ways import MAJOR, UNPAVED, WITH_PARKING, drivable, lanes_of, on_bridge, trackbed

Floats = NDArray[np.float64]
Strings = NDArray[np.object_]
Kinds = NDArray[np.uint8]

COLOURS = np.array([0.24, 0.26, 0.2, 0.14, 0.08, 0.05, 0.03])  # white, silver, black, grey, blue, red, beige
BAY = 6.2  # metres of kerb per parked car
JUNCTION = 9.0  # metres at both ends of a street where none parks
NARROW = 6.4  # metres; on narrower carriageways only one side is parked on
LARGEST_DRIVE = 160.0  # square metres; larger paved patches are no drives
GAP = 0.35  # metres left between vehicles
HOMES = 30.0  # metres from a building within which cars are left at the kerb
TRUCKS, BUSES = {"major": 0.14, "middle": 0.07, "minor": 0.02}, 0.03  # shares of moving vehicles
WIDE = 6.0  # metres of carriageway from which buses run


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Vehicles drawn in one way: position (n, 2), heading (n,), kind (n,)."""

    xy: Floats
    heading: Floats
    kind: Kinds


def park_vehicles(rng: np.random.Generator, city: City, style: Style) -> Vehicles:
    """Vehicles at one moment: parked along kerbs with their nose in the driving direction, on drives, in the bays of
    car parks, a few moving in the middle of their lane, boats moored along banks.

    They keep to the side of the law, follow one-way streets, and stay off motorways' kerbs, tracks and streets for
    walkers. None overlaps another, a building, water (but on bridges), a barrier, a trunk, a pool or tracks.
    """
    streams = rng.spawn(5)
    groups = [
        _at_kerbs(streams[0], city, style),
        _moving(streams[1], city, style),
        _on_drives(streams[2], city, style),
        _in_lots(streams[3], city, style),
    ]
    xy, heading, kind = _joined(groups)
    keep = _clear(rng, city, xy, plans_of(xy, heading, kind, GAP / 2))
    boats = moored(streams[4], city, style)
    xy, heading = np.concatenate([xy[keep], boats[0]]), np.concatenate([heading[keep], boats[1]])
    kind = np.concatenate([kind[keep], boats[2]])
    colour = rng.choice(len(COLOURS), size=len(xy), p=COLOURS / COLOURS.sum()).astype(np.uint8)
    return Vehicles(xy, heading, colour, kind)


def _joined(groups: list[_Group]) -> tuple[Floats, Floats, Kinds]:
    return (
        np.concatenate([g.xy for g in groups]),
        np.concatenate([g.heading for g in groups]),
        np.concatenate([g.kind for g in groups]),
    )


def _nobody() -> _Group:
    return _Group(np.zeros((0, 2)), np.zeros(0), np.zeros(0, np.uint8))


def _cars(rng: np.random.Generator, style: Style, xy: Floats, heading: Floats) -> _Group:
    """A group of cars and vans."""
    return _Group(xy, heading, np.where(rng.random(len(xy)) < style.traffic.vans, VAN, CAR).astype(np.uint8))


def _clear(rng: np.random.Generator, city: City, xy: Floats, plans: Strings) -> NDArray[np.bool_]:
    """Which vehicles meet nothing solid and no other vehicle that was there first, bool (n,)."""
    free = np.ones(len(plans), bool)
    if len(plans) == 0:
        return free
    decks, solid, below = _obstacles(city)
    bridged = np.zeros(len(plans), bool)
    bridged[decks.query(shapely.points(xy), predicate="intersects")[0]] = True
    for shapes, spared in ((solid, np.zeros(len(plans), bool)), (below, bridged)):
        met = np.zeros(len(plans), bool)
        met[shapes.query(plans, predicate="dwithin", distance=0.3)[0]] = True
        free &= ~met | spared
    index = np.flatnonzero(free)
    pairs = STRtree(plans[index]).query(plans[index], predicate="intersects").T
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    free[index] = settled(len(index), pairs, rng.permutation(len(index)))
    return free


@lru_cache(maxsize=1)
def _obstacles(city: City) -> tuple[STRtree, STRtree, STRtree]:
    """Decks of bridges, what no vehicle meets, and what it meets on bridges only; remembered, since a city is parked in
    again and again.
    """
    decks = [e.line.buffer(e.width / 2, quad_segs=4) for e in city.roads.edges if on_bridge(e)]
    below = [w.outline for w in city.water] + [trackbed(r) for r in city.railways if r.kind != "tram"]
    solid = [b.footprint for b in city.buildings] + [b.line for b in city.barriers]
    solid += [p.outline for p in city.land if p.cover in ("pool", "pitch")] + list(shapely.points(city.trees.xy))
    return STRtree(decks), STRtree(solid), STRtree(below)


@lru_cache(maxsize=1)
def _homes(city: City) -> STRtree:
    """Remembered, as :func:`_obstacles` are."""
    return STRtree([b.footprint for b in city.buildings])


def _keeps(city: City) -> float:
    """Which side of a line traffic keeps to that runs along it: 1 left, -1 right."""
    return 1.0 if city.drives_left else -1.0


def _at_kerbs(rng: np.random.Generator, city: City, style: Style) -> _Group:
    """Cars parked along both kerbs, in bays drawn at random."""
    edges = [e for e in city.roads.edges if drivable(e) and e.kind in WITH_PARKING and not on_bridge(e)]
    if not edges:
        return _nobody()
    lines = np.array([e.line for e in edges], dtype=object)
    width, length = np.array([e.width for e in edges]), shapely.length(lines)
    bays = np.maximum(((length - 2 * JUNCTION) / BAY).astype(np.int64), 0)
    sides = np.where(width < NARROW, 1, 2)
    # a narrow street is parked on at one side, the same at any moment
    first = np.where(np.arange(len(edges)) % 2 == 0, 1.0, -1.0)
    edge = np.repeat(np.arange(len(edges)), bays * sides)
    within = np.arange(len(edge)) - np.repeat(np.cumsum(bays * sides) - bays * sides, bays * sides)
    bay, opposite = within % np.maximum(bays[edge], 1), within >= bays[edge]
    side = np.where(opposite, -first[edge], first[edge])
    # some streets are busier than others; the mean is the style's
    busy = rng.gamma(2.0, 0.5, len(edges))[edge]
    per_bay = style.traffic.parked * length.sum() / 1000 / max(len(edge), 1)
    chosen = rng.random(len(edge)) < np.minimum(per_bay * busy, 0.95)
    edge, bay, side = edge[chosen], bay[chosen], side[chosen]
    way = JUNCTION + (bay + 0.5) * BAY + rng.uniform(-0.6, 0.6, len(edge))
    offset = side * (width[edge] / 2 - SIZES[CAR][1] / 2 - rng.uniform(0.15, 0.45, len(edge)))
    along = np.array([e.oneway for e in edges])[edge] | (side == _keeps(city))
    xy, heading = _beside(lines[edge], way, offset, along, rng.normal(0, 0.025, len(edge)))
    near = np.unique(_homes(city).query(shapely.points(xy), predicate="dwithin", distance=HOMES)[0])
    return _cars(rng, style, xy[near], heading[near])


def _moving(rng: np.random.Generator, city: City, style: Style) -> _Group:
    """Vehicles in the middle of their lane, anywhere along the streets, more of them on wide ones."""
    edges = [e for e in city.roads.edges if drivable(e) and e.kind not in UNPAVED]
    if not edges:
        return _nobody()
    lines = np.array([e.line for e in edges], dtype=object)
    width, length = np.array([e.width for e in edges]), shapely.length(lines)
    share = length * width**2
    count = int(rng.poisson(style.traffic.moving * length.sum() / 1000))
    edge = rng.choice(len(edges), size=count, p=share / share.sum())
    way = rng.random(count) * length[edge]
    lanes = np.array([lanes_of(e) for e in edges])[edge]
    oneway = np.array([e.oneway for e in edges])[edge]
    along = oneway | (rng.random(count) < 0.5)
    each = np.where(oneway, lanes, np.maximum(lanes // 2, 1))  # lanes of the vehicle's own direction
    lane = (rng.random(count) * each).astype(np.int64)
    # on two lanes drivers stay off parked cars; on more, in the middle of their lane
    out = np.where(lanes <= 2, width[edge] / 5, (lane + 0.5) * width[edge] / np.maximum(lanes, 1))
    one = np.where(lanes < 2, 0.0, (lane + 0.5) * width[edge] / np.maximum(lanes, 1) - width[edge] / 2)
    offset = np.where(oneway, one, np.where(along, 1.0, -1.0) * _keeps(city) * out)
    xy, heading = _beside(lines[edge], way, offset, along, rng.normal(0, 0.02, count))
    return _Group(xy, heading, _moving_kinds(rng, edges, edge, style))


def _moving_kinds(rng: np.random.Generator, edges: list[RoadEdge], edge: NDArray[np.int64], style: Style) -> Kinds:
    """Cars, vans, trucks by the rank of the street, buses on wide streets that lead through a town."""
    rank = ["major" if e.kind in MAJOR else "middle" if e.kind in ("secondary", "tertiary") else "minor" for e in edges]
    trucks = np.array([TRUCKS[r] for r in rank])[edge]
    buses = np.array([BUSES if r != "minor" and e.width >= WIDE else 0.0 for r, e in zip(rank, edges, strict=True)])
    drawn = rng.random(len(edge))
    kind = np.where(drawn < trucks + style.traffic.vans, VAN, CAR)
    kind = np.where(drawn < trucks, TRUCK, kind)
    return np.where(drawn > 1 - buses[edge], BUS, kind).astype(np.uint8)


def _beside(
    lines: Strings, way: Floats, offset: Floats, along: NDArray[np.bool_], wobble: Floats
) -> tuple[Floats, Floats]:
    """Places ``offset`` metres left of lines at ``way`` metres, heading along the line or against it."""
    behind = shapely.get_coordinates(shapely.line_interpolate_point(lines, np.maximum(way - 2.0, 0.0)))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(lines, way + 2.0))
    here = shapely.get_coordinates(shapely.line_interpolate_point(lines, way))
    tangent = ahead - behind
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    xy = here + offset[:, None] * np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    return xy, np.arctan2(tangent[:, 1], tangent[:, 0]) + np.where(along, 0.0, np.pi) + wobble


def _on_drives(rng: np.random.Generator, city: City, style: Style) -> _Group:
    """Cars on drives: small paved rectangles that reach a street."""
    ring = _drives(city)
    if ring is None:
        return _nobody()
    first, second = ring[:, 1] - ring[:, 0], ring[:, 2] - ring[:, 1]
    sizes = np.stack([np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)], axis=1)
    along = np.where((sizes[:, 0] > sizes[:, 1])[:, None], first, second) / sizes.max(axis=1, initial=1e-9)[:, None]
    is_drive = (sizes.prod(axis=1) <= LARGEST_DRIVE) & (sizes.min(axis=1, initial=9) > 2.2)
    is_drive &= sizes.max(axis=1, initial=0) > 5.5
    used = np.flatnonzero(is_drive & (rng.random(len(ring)) < style.traffic.drives))
    used = np.repeat(used, rng.integers(1, 3, len(used)))  # one car or two
    slack = (sizes.max(axis=1, initial=0) - 5.0)[used] / 2
    xy = ring[used, :4].mean(axis=1) + along[used] * (rng.uniform(-0.9, 0.9, len(used)) * slack)[:, None]
    return _cars(rng, style, xy, np.arctan2(along[used, 1], along[used, 0]) + rng.choice([0.0, np.pi], len(used)))


@lru_cache(maxsize=1)
def _drives(city: City) -> Floats | None:
    """Corners (n, 5, 2) of paved rectangles that reach a street, None where there is no paving or no street;
    remembered, as :func:`_obstacles` are.
    """
    patches = np.array([p.outline for p in city.land if p.cover == "paved"], dtype=object)
    streets = [e.line.buffer(e.width / 2, quad_segs=4) for e in city.roads.edges if drivable(e)]
    if len(patches) == 0 or not streets:
        return None
    reached = np.unique(STRtree(streets).query(patches, predicate="dwithin", distance=1.0)[0])
    patches = patches[reached]
    patches = patches[(shapely.area(patches) > 14) & (shapely.get_num_coordinates(patches) == 5)]
    return np.asarray(shapely.get_coordinates(patches).reshape(-1, 5, 2))


def _in_lots(rng: np.random.Generator, city: City, style: Style) -> _Group:
    """Cars in the bays of car parks, some lots fuller than others; most with their nose away from the aisle."""
    groups = []
    for patch in city.land:
        if patch.cover != "parking":
            continue
        bays = bays_of(patch.outline)
        taken = rng.random(len(bays)) < rng.uniform(0.1, 0.75)
        n = int(taken.sum())
        turn = np.where(rng.random(n) < 0.85, 0.0, np.pi) + rng.normal(0, 0.02, n)
        groups.append(_cars(rng, style, bays.xy[taken] + rng.normal(0, 0.08, (n, 2)), bays.heading[taken] + turn))
    return _Group(*_joined(groups)) if groups else _nobody()
