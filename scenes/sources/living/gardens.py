"""What lies in gardens: swimming pools and flower beds."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree
from shapely.geometry import Polygon

from mage.scenes.city import Building, City
from mage.scenes.sources.living.land import long_wall
from mage.scenes.sources.living.occupied import Occupied
from mage.scenes.style import Style

Floats = NDArray[np.float64]

POOL_LENGTH, POOL_WIDTH = (5.5, 11.0), (3.0, 5.0)  # metres
POOL_ROOM = 1.6  # metres from a pool to anything else, its rim included
OFF_STREET = 5.0  # metres from a pool to the pavement
SMALLEST, LARGEST = 60.0, 900.0  # square metres of the houses whose gardens are looked at
PLACES = 10  # where a pool is tried in each garden


def pools(rng: np.random.Generator, city: City, style: Style, space: Occupied) -> list[Polygon]:
    """Swimming pools, rectangular or kidney-shaped, in as large a share of gardens as the style has.

    Each lies nearer to its own house than to any other, away from the street where there is room, and is free of all
    that is taken.
    """
    houses = [b for b in city.buildings if _is_house(b)]
    wanted = int(rng.binomial(len(houses), style.details.pools)) if houses else 0
    walls = STRtree([b.footprint for b in city.buildings])
    found: list[Polygon] = []
    for i in rng.permutation(len(houses)):
        if len(found) >= wanted:
            break
        pool = _pool(rng, houses[i], walls, space, city)
        if pool is not None and not any(shapely.dwithin(pool, other, POOL_ROOM) for other in found):
            found.append(pool)
    return found


def _is_house(building: Building) -> bool:
    return building.occupancy == "residential" and SMALLEST <= building.footprint.area <= LARGEST


def _pool(rng: np.random.Generator, house: Building, walls: STRtree, space: Occupied, city: City) -> Polygon | None:
    box = shapely.get_coordinates(house.footprint.minimum_rotated_rectangle)
    side = box[1] - box[0]
    turn = float(np.arctan2(side[1], side[0])) + float(rng.choice([0.0, np.pi / 2]))
    length, width, kidney = rng.uniform(*POOL_LENGTH), rng.uniform(*POOL_WIDTH), rng.random() < 0.4
    shape = _kidney(length, width) if kidney else _rectangle(length, width)
    rotation = np.array([(np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))])
    ring = house.footprint.buffer(width / 2 + rng.uniform(2.5, 6.0), quad_segs=4)
    outer = max(shapely.get_parts(ring), key=lambda p: p.area).exterior
    places = [outer.interpolate(share, normalized=True) for share in rng.random(PLACES)]
    if len(space.streets):  # the places farthest from the street come first
        nearest = space.street_index.query_nearest(places, return_distance=True, all_matches=False)[1]
        places = [places[k] for k in np.argsort(-nearest, kind="stable")]
    for place in places:
        pool = Polygon(shape @ rotation + (place.x, place.y))
        near = walls.query_nearest(pool.centroid, all_matches=False)
        own = city.buildings[int(near[0])] is house
        seen = len(space.street_index.query(pool, predicate="dwithin", distance=OFF_STREET)) > 0
        if own and not seen and space.free(pool, POOL_ROOM, paved=True):
            return pool
    return None


def _rectangle(length: float, width: float) -> Floats:
    return np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (length / 2, width / 2)


def _kidney(length: float, width: float) -> Floats:
    """An oval with a dent in one long side, (24, 2)."""
    angle = np.arange(24) * np.pi / 12
    dent = 1 - 0.28 * np.exp(-(((angle - np.pi / 2) / 0.55) ** 2))
    return np.stack([np.cos(angle) * length / 2, np.sin(angle) * width / 2 * dent], axis=1)


def flower_beds(rng: np.random.Generator, city: City, style: Style, space: Occupied) -> list[Polygon]:
    """A strip of shrubs along part of one wall of some houses, where nothing is in the way."""
    strips = []
    for building in city.buildings:
        chance, pick, depth, share = rng.random(4)
        if chance >= style.details.beds or not _is_house(building):
            continue
        wall = long_wall(building, pick)
        if wall is None:
            continue
        corner, step, out = wall
        start, end = corner + 0.1 * out, corner + step * (0.4 + 0.5 * share) + 0.1 * out
        strips.append(Polygon([start, start + out * (0.8 + depth), end + out * (0.8 + depth), end]))
    if not strips:
        return []
    beds = np.array(strips, dtype=object)
    return list(beds[space.all_free(shapely.buffer(beds, -0.12), 0.02)])
