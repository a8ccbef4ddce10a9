"""Car parks: paved lots at streets that are large enough, and new ones beside large buildings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from shapely import STRtree
from shapely.geometry import Polygon

from mage.scenes.bays import bays_of
from mage.scenes.city import City, LandPatch
from mage.scenes.sources.living.occupied import Occupied
from mage.scenes.style import Style
from mage.scenes.traffic import LARGEST_DRIVE

LARGE = 800.0  # square metres of a building that has a car park
FEWEST = 8  # bays
NEAR_STREET = 30.0  # metres
DEPTHS = (33.0, 17.0)  # metres: two aisles or one
OFF_WALL = 2.0  # metres


def converted(city: City) -> tuple[LandPatch, ...]:
    """The city's land, where paved lots of the size of a car park that reach a street and hold bays are such."""
    streets = STRtree([e.line.buffer(e.width / 2, quad_segs=4) for e in city.roads.edges])

    def _is_lot(patch: LandPatch) -> bool:
        outline = patch.outline
        if patch.cover != "paved" or outline.area <= LARGEST_DRIVE or shapely.get_num_coordinates(outline) != 5:
            return False
        reached = len(streets.query(outline, predicate="dwithin", distance=1.0)) > 0
        return reached and len(bays_of(outline)) >= FEWEST

    return tuple(replace(p, cover="parking", inferred=True) if _is_lot(p) else p for p in city.land)


def car_parks(rng: np.random.Generator, city: City, style: Style, space: Occupied) -> list[Polygon]:
    """Rectangular lots along a long wall of large buildings, where there is room close to a street."""
    lots: list[Polygon] = []
    have = STRtree([p.outline for p in city.land if p.cover == "parking"])
    for building in city.buildings:
        chance = rng.random()
        if building.footprint.area < LARGE or chance >= style.details.lots:
            continue
        if len(have.query(building.footprint, predicate="dwithin", distance=25.0)):
            continue
        for lot in _beside(building.footprint):
            near = len(space.street_index.query(lot, predicate="dwithin", distance=NEAR_STREET)) > 0
            apart = not any(shapely.dwithin(lot, other, 1.0) for other in lots)
            if near and apart and space.free(lot, 0.4) and len(bays_of(lot)) >= FEWEST:
                lots.append(lot)
                break
    return lots


def _beside(footprint: shapely.Geometry) -> list[Polygon]:
    """Rectangles along the four longest walls, deep ones first."""
    part = max(shapely.get_parts(footprint), key=lambda p: p.area)
    ring = shapely.get_coordinates(part.exterior if part.exterior.is_ccw else part.exterior.reverse())
    step = np.diff(ring, axis=0)
    length = np.linalg.norm(step, axis=1)
    found = []
    for depth in DEPTHS:
        for i in np.argsort(-length, kind="stable")[:4]:
            if length[i] < 15:
                continue
            along = step[i] / length[i]
            out = np.array([along[1], -along[0]])
            a, b = ring[i] + out * OFF_WALL, ring[i] + step[i] + out * OFF_WALL
            found.append(Polygon([a, b, b + out * depth, a + out * depth]))
    return found
