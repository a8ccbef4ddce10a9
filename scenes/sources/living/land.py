"""What covers the ground around buildings where no source says: fields, courtyards, forecourts, terraces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

from mage.scenes.city import Building, City, LandPatch, WaterBody
from mage.scenes.style import Style

Floats = NDArray[np.float64]

YARD_EDGE, LEAST_GREEN = 8.0, 350.0  # metres of paving around the green of a paved yard; its least size, m²


def infer_land(rng: np.random.Generator, city: City, style: Style, domain: Polygon) -> tuple[LandPatch, ...]:
    """Grass everywhere; courtyards and the ground between close buildings by style; terraces behind houses."""
    walls = np.array([b.footprint for b in city.buildings], dtype=object)
    patches = [LandPatch(domain, "grass", inferred=True), *_fields(rng, walls, city.water, domain)]
    patches += _forecourts(rng, city, walls, style)
    for yard in _courtyards(walls):
        paved = rng.random() < style.paved_share or yard.area < 60
        green = yard.buffer(-YARD_EDGE, quad_segs=3)
        if paved and green.area > LEAST_GREEN:  # no one paves the middle of so large a yard
            patches += [LandPatch(part, "grass", inferred=True) for part in shapely.get_parts(green)]
            yard = yard.difference(green)
        patches.append(LandPatch(yard, "paved" if paved else style.courtyards, inferred=True))
    patches += _terraces(rng, city.buildings, style)
    return tuple(patches)


def _fields(
    rng: np.random.Generator, walls: NDArray[np.object_], water: Sequence[WaterBody], domain: Polygon
) -> list[LandPatch]:
    """Fields, meadows and woods outside the town: cells of about 80 by 150 m, parted by strips of grass."""
    town = shapely.union_all(shapely.buffer(walls, 45.0, quad_segs=2))
    wet = [w.outline.buffer(28.0, quad_segs=4) for w in water]
    country = domain.buffer(1.0).difference(shapely.union_all([town, *wet]))
    turn, middle = rng.uniform(0, np.pi / 2), np.array(domain.centroid.coords[0])
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    half = domain.length / 4
    patches, y = [], -half
    while y < half:
        depth, x = rng.uniform(60, 110), -half
        while x < half:
            width, kind = rng.uniform(90, 190), rng.random()
            ring = np.array([(x, y), (x + width, y), (x + width, y + depth), (x, y + depth)]) @ rotation + middle
            x += width
            cover = "agriculture" if kind < 0.4 else "forest" if kind < 0.52 else "grass"
            cell = Polygon(ring).buffer(-2.5) if cover == "agriculture" else Polygon(ring).buffer(-16).buffer(13)
            parts = shapely.get_parts(cell.intersection(country)) if cover != "grass" else []
            patches += [LandPatch(p, cover, inferred=True) for p in parts if p.area > 800]
        y += depth
    return patches


def _forecourts(rng: np.random.Generator, city: City, walls: NDArray[np.object_], style: Style) -> list[LandPatch]:
    """Paving from the pavement to the walls, along most streets, where a wall stands close enough to one."""
    reach = style.streets.forecourt
    if reach <= 0 or not city.roads.edges:
        return []
    paved = rng.random(len(city.roads.edges)) < 0.75
    beside = [
        e.line.buffer(e.width / 2 + style.pavement + reach, quad_segs=4, cap_style="flat")
        for e, chosen in zip(city.roads.edges, paved, strict=True)
        if chosen
    ]
    near = shapely.union_all(shapely.buffer(walls, reach + 1.0, quad_segs=2))
    parts = shapely.get_parts(shapely.union_all(beside).intersection(near))
    return [LandPatch(p, "paved", inferred=True) for p in parts if p.geom_type == "Polygon" and p.area > 4]


def _courtyards(walls: NDArray[np.object_]) -> list[Polygon]:
    """Ground enclosed by buildings: the holes of the footprints closed over gaps of 5 m, less the footprints."""
    joined = shapely.union_all(shapely.buffer(walls, 2.5, quad_segs=2, join_style="mitre", mitre_limit=1.5))
    rings = [ring for part in shapely.get_parts(joined) for ring in part.interiors]
    return [p for p in (Polygon(r).buffer(2.5, quad_segs=2) for r in rings) if p.area > 12]


def _terraces(rng: np.random.Generator, buildings: Sequence[Building], style: Style) -> list[LandPatch]:
    """A paved rectangle at one long wall of some buildings; streets lie over it where it faces one."""
    patches = []
    for building in buildings:
        chance, pick, depth, share = rng.random(4)
        if chance >= style.houses.patio:
            continue
        wall = long_wall(building, pick)
        if wall is None:
            continue
        start, step, outward = wall
        out = outward * (2.0 + 4.0 * depth)
        end = start + step * (0.5 + 0.5 * share)
        patches.append(LandPatch(Polygon([start, start + out, end + out, end]), "paved", inferred=True))
    return patches


def long_wall(building: Building, pick: float) -> tuple[Floats, Floats, Floats] | None:
    """One of a building's walls of over 3 m, chosen by ``pick`` (0-1): its start, the way along it and the unit vector
    out of it, each (2,); None where there is none.
    """
    part = max(shapely.get_parts(building.footprint), key=lambda p: p.area)
    ring = shapely.get_coordinates(part.exterior if part.exterior.is_ccw else part.exterior.reverse())
    step = np.diff(ring, axis=0)
    length = np.linalg.norm(step, axis=1)
    long = np.flatnonzero(length > 3.0)
    if len(long) == 0:
        return None
    i = long[int(pick * len(long))]
    return ring[i], step[i], np.array([step[i, 1], -step[i, 0]]) / length[i]
