"""Cars along kerbs, on drives and under way: where they stand at one moment."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree

from mage.scenes.city import City
from mage.scenes.impact import Vehicles
from mage.scenes.sources.planting import settled
from mage.scenes.style import Style

Floats = NDArray[np.float64]
Strings = NDArray[np.object_]

SIZES = np.array([(4.6, 1.9), (5.6, 2.1)])  # length and width (m) that a car and a van take up
COLOURS = np.array([0.24, 0.26, 0.2, 0.14, 0.08, 0.05, 0.03])  # white, silver, black, grey, blue, red, beige
BAY = 6.2  # metres of kerb per parked car
JUNCTION = 9.0  # metres at both ends of a street where none parks
NARROW = 6.4  # metres; on narrower carriageways only one side is parked on
LARGEST_DRIVE = 160.0  # square metres; larger paved patches are car parks
GAP = 0.35  # metres left between vehicles
HOMES = 30.0  # metres from a building within which cars are left at the kerb


def park_vehicles(rng: np.random.Generator, city: City, style: Style) -> Vehicles:
    """Vehicles at one moment: parked along kerbs with their nose in the driving direction (on the right), on drives,
    in car parks, and a few moving in the middle of their lane. None overlaps another, or any building.
    """
    parts = [_at_kerbs(rng, city, style), _moving(rng, city, style), _off_street(rng, city, style)]
    xy = np.concatenate([p[0] for p in parts])
    heading = np.concatenate([p[1] for p in parts])
    n = len(xy)
    kind = (rng.random(n) < style.traffic.vans).astype(np.uint8)
    colour = rng.choice(len(COLOURS), size=n, p=COLOURS / COLOURS.sum()).astype(np.uint8)
    keep = _clear(rng, city, outlines(xy, heading, kind, GAP / 2))
    return Vehicles(xy[keep], heading[keep], colour[keep], kind[keep])


def outlines(xy: Floats, heading: Floats, kind: NDArray[np.uint8], margin: float = 0.0) -> Strings:
    """The vehicles' plans as polygons (n,), grown by ``margin`` metres on each side."""
    half = SIZES[kind] / 2 + margin
    corners = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * half[:, None]
    c, s = np.cos(heading)[:, None], np.sin(heading)[:, None]
    turned = np.stack([corners[..., 0] * c - corners[..., 1] * s, corners[..., 0] * s + corners[..., 1] * c], axis=-1)
    return np.asarray(shapely.polygons(turned + xy[:, None]), dtype=object)


def _clear(rng: np.random.Generator, city: City, plans: Strings) -> NDArray[np.bool_]:
    """Which vehicles neither meet a building or water nor another vehicle that was there first, bool (n,)."""
    free = np.ones(len(plans), bool)
    if len(plans) == 0:
        return free
    solid = [b.footprint for b in city.buildings] + [w.outline for w in city.water]
    if solid:
        free[STRtree(solid).query(plans, predicate="dwithin", distance=0.3)[0]] = False
    index = np.flatnonzero(free)
    pairs = STRtree(plans[index]).query(plans[index], predicate="intersects").T
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    free[index] = settled(len(index), pairs, rng.permutation(len(index)))
    return free


def _at_kerbs(rng: np.random.Generator, city: City, style: Style) -> tuple[Floats, Floats]:
    """Positions (n, 2) and headings (n,) of cars parked along both kerbs, in bays drawn at random."""
    edges = city.roads.edges
    if not edges:
        return np.zeros((0, 2)), np.zeros(0)
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
    offset = side * (width[edge] / 2 - SIZES[0, 1] / 2 - rng.uniform(0.15, 0.45, len(edge)))
    xy, heading = _beside(lines[edge], way, offset, rng.normal(0, 0.025, len(edge)))
    homes = STRtree([b.footprint for b in city.buildings])
    near = np.unique(homes.query(shapely.points(xy), predicate="dwithin", distance=HOMES)[0])
    return xy[near], heading[near]


def _moving(rng: np.random.Generator, city: City, style: Style) -> tuple[Floats, Floats]:
    """Cars in the middle of their lane, anywhere along the streets, more of them on wide ones."""
    edges = city.roads.edges
    if not edges:
        return np.zeros((0, 2)), np.zeros(0)
    lines = np.array([e.line for e in edges], dtype=object)
    width, length = np.array([e.width for e in edges]), shapely.length(lines)
    share = length * width**2
    count = int(rng.poisson(style.traffic.moving * length.sum() / 1000))
    edge = rng.choice(len(edges), size=count, p=share / share.sum())
    way = rng.random(count) * length[edge]
    side = rng.choice([-1.0, 1.0], size=count)
    return _beside(lines[edge], way, side * width[edge] / 5, rng.normal(0, 0.02, count))


def _beside(lines: Strings, way: Floats, offset: Floats, wobble: Floats) -> tuple[Floats, Floats]:
    """Places ``offset`` metres left of lines at ``way`` metres along, heading with the line on its right side and
    against it on its left.
    """
    behind = shapely.get_coordinates(shapely.line_interpolate_point(lines, np.maximum(way - 2.0, 0.0)))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(lines, way + 2.0))
    here = shapely.get_coordinates(shapely.line_interpolate_point(lines, way))
    along = ahead - behind
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    xy = here + offset[:, None] * np.stack([-along[:, 1], along[:, 0]], axis=1)
    turn = np.where(offset > 0, np.pi, 0.0)
    return xy, np.arctan2(along[:, 1], along[:, 0]) + turn + wobble


def _off_street(rng: np.random.Generator, city: City, style: Style) -> tuple[Floats, Floats]:
    """Cars on drives and in car parks: paved patches that reach a street."""
    patches = np.array([p.outline for p in city.land if p.cover == "paved"], dtype=object)
    if len(patches) == 0 or not city.roads.edges:
        return np.zeros((0, 2)), np.zeros(0)
    carriageways = [shapely.buffer(e.line, e.width / 2, quad_segs=4) for e in city.roads.edges]
    reached = np.unique(STRtree(carriageways).query(patches, predicate="dwithin", distance=1.0)[0])
    patches = patches[reached]
    patches = patches[(shapely.area(patches) > 14) & (shapely.get_num_coordinates(patches) == 5)]
    if len(patches) == 0:
        return np.zeros((0, 2)), np.zeros(0)
    ring = shapely.get_coordinates(patches).reshape(-1, 5, 2)
    first, second = ring[:, 1] - ring[:, 0], ring[:, 2] - ring[:, 1]
    sizes = np.stack([np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)], axis=1)
    turned = sizes[:, 0] > sizes[:, 1]
    along = np.where(turned[:, None], first, second) / sizes.max(axis=1)[:, None]
    middle = ring[:, :4].mean(axis=1)
    is_drive = (sizes.prod(axis=1) <= LARGEST_DRIVE) & (sizes.min(axis=1) > 2.2) & (sizes.max(axis=1) > 5.5)
    used = np.flatnonzero(is_drive & (rng.random(len(ring)) < style.traffic.drives))
    used = np.repeat(used, rng.integers(1, 3, len(used)))  # one car or two
    slack = (sizes.max(axis=1) - 5.0)[used] / 2
    xy = middle[used] + along[used] * (rng.uniform(-0.9, 0.9, len(used)) * slack)[:, None]
    heading = np.arctan2(along[used, 1], along[used, 0]) + rng.choice([0.0, np.pi], len(used))
    parks = [_car_park(rng, ring[i]) for i in np.flatnonzero(sizes.prod(axis=1) > LARGEST_DRIVE)]
    return np.concatenate([xy, *[p[0] for p in parks]]), np.concatenate([heading, *[p[1] for p in parks]])


def _car_park(rng: np.random.Generator, ring: Floats) -> tuple[Floats, Floats]:
    """Cars in rows of bays 2.7 m wide, rows 16 m apart, a third of the bays taken."""
    right, up = ring[1] - ring[0], ring[3] - ring[0]
    width, depth = np.linalg.norm(right), np.linalg.norm(up)
    right, up = right / width, up / depth
    columns = np.arange(3.0, width - 3.0, 2.7)
    rows = np.concatenate([np.arange(4.0, depth - 3.0, 16.0), np.arange(9.2, depth - 3.0, 16.0)])
    x, y = (g.ravel() for g in np.meshgrid(columns, rows))
    taken = rng.random(len(x)) < rng.uniform(0.1, 0.5)
    xy = ring[0] + x[taken, None] * right + y[taken, None] * up
    heading = np.arctan2(up[1], up[0]) + rng.choice([0.0, np.pi], len(xy)) + rng.normal(0, 0.03, len(xy))
    return xy, heading
