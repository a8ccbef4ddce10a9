"""Villages: houses and farmsteads along a few roads, barns round yards, gardens and orchards behind."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Point, Polygon

from mage.scenes.city import RoadEdge, RoadGraph
from mage.scenes.layouts import Village
from mage.scenes.sources.procedural.layout.built import Built, area, roof, storeys, wing
from mage.scenes.sources.procedural.layout.parcels import strip
from mage.scenes.sources.procedural.layout.shapes import Body, winged
from mage.scenes.style import Style

Floats = NDArray[np.float64]

CORNER = 7.0  # metres of every road's ends that are left free
STEP = 5.0  # metres further on at which a lot that did not fit is tried again


def fill_village(
    rng: np.random.Generator, style: Style, layout: Village, roads: RoadGraph, ground: Polygon, reach: float
) -> tuple[Built, Polygon]:
    """Lots along both sides of the roads, the fewer the further from the middle; and all the ground that they take."""
    built, lots = Built(), list[Polygon]()
    corridors = shapely.union_all([e.line.buffer(e.width / 2 + style.pavement) for e in roads.edges])
    shapely.prepare(corridors)
    for edge in roads.edges:
        for side in (1.0, -1.0):
            way = CORNER
            while way < edge.line.length - CORNER:
                farm = rng.random() < layout.farms
                width = float(rng.uniform(*layout.lot)) * (1.5 if farm else 1.0)
                if way + width > edge.line.length - CORNER:
                    break
                middle = way + width / 2
                far = edge.line.interpolate(middle).distance(Point(ground.centroid)) / reach
                if rng.random() > 1.5 - 0.8 * far:  # a gap in the village
                    way += width
                    continue
                frame = _frame(edge, middle, side, style.pavement)
                lot = _lot(rng, layout, frame, width, lots, ground, corridors)
                way += width if lot is not None else STEP
                if lot is not None:
                    lots.append(strip(frame, -width / 2, width / 2, 0.0, lot))
                    _fill_lot(rng, style, layout, built, frame, (width, lot), farm=farm)
    return built, shapely.union_all(lots)


def _frame(edge: RoadEdge, way: float, side: float, pavement: float) -> Floats:
    ends = [max(0.0, way - 8), min(edge.line.length, way + 8), way]
    a, b, here = shapely.get_coordinates(shapely.line_interpolate_point(edge.line, ends))
    along = (b - a) / np.linalg.norm(b - a) * side
    away = np.array([-along[1], along[0]])
    return np.stack([here + away * (edge.width / 2 + pavement + 0.8), along, away])


def _lot(
    rng: np.random.Generator,
    layout: Village,
    frame: Floats,
    width: float,
    lots: list[Polygon],
    ground: Polygon,
    corridors: shapely.Geometry,
) -> float | None:
    """The depth of a lot that lies on the ground and meets no road and hardly any other lot, or None."""
    deep = float(rng.uniform(*layout.depth))
    for depth in (deep, 0.75 * deep, 0.55 * deep):
        lot = strip(frame, -width / 2, width / 2, 0.0, depth)
        if not ground.covers(lot) or corridors.intersects(strip(frame, -width / 2, width / 2, 0.6, depth)):
            continue
        if all(not lot.intersects(other) or lot.intersection(other).area < 0.04 * lot.area for other in lots):
            return depth
    return None


def _fill_lot(
    rng: np.random.Generator,
    style: Style,
    layout: Village,
    built: Built,
    frame: Floats,
    size: tuple[float, float],
    *,
    farm: bool,
) -> None:
    width, depth = size
    lot = strip(frame, -width / 2, width / 2, 0.0, depth)
    inner = lot.buffer(-0.6)
    built.cover(lot, style.courtyards)
    if rng.random() < layout.vacant:
        built.cover(inner, str(rng.choice(["grass", "agriculture", "bare"])))
        return
    bodies = [_house(rng, style, frame, width, depth)]
    if farm:
        bodies += _barns(rng, style, frame, (width, depth))
        yard = strip(frame, -0.42 * width, 0.42 * width, 0.0, 0.75 * depth)
        built.cover(yard.intersection(inner), str(rng.choice(["paved", "bare", "bare"])))
    else:
        _garden(rng, style, built, frame, inner, bodies[0])
        if rng.random() < style.houses.shed:
            bodies += _shed(rng, style, frame, (width, depth))
    if depth > 45 and rng.random() < 0.4:
        built.cover(strip(frame, -width / 2 + 1, width / 2 - 1, 0.72 * depth, depth - 1), "agriculture")
    kept: list[Body] = []
    for body in bodies:
        if inner.covers(body.outline) and all(body.outline.distance(k.outline) > 1.0 for k in kept):
            kept.append(body)
    built.bodies += kept


def _house(rng: np.random.Generator, style: Style, frame: Floats, width: float, depth: float) -> Body:
    houses, count = style.houses, storeys(rng, style.houses)
    ground = min(area(rng, houses), 0.4 * width * depth)
    deep = float(np.clip(np.sqrt(ground / rng.uniform(1.1, 2.2)), 5.0, 11.0))
    wide = min(ground / deep, width - 4.0)
    if rng.random() < 0.35:
        wide, deep = min(deep, width - 4.0), wide  # its gable to the street
    near, x = float(rng.uniform(*houses.setback)), rng.uniform(-0.5, 0.5) * (width - wide - 3.0)
    eave = count * float(rng.uniform(*houses.storey_height))
    box = (x - wide / 2, x + wide / 2, near, near + deep)
    return winged([wing(rng, houses, box, eave, roof(rng, houses))], frame, count)


def _barns(rng: np.random.Generator, style: Style, frame: Floats, size: tuple[float, float]) -> list[Body]:
    """A barn across the back of the yard, one or two along its sides."""
    width, depth = size
    made, back = [], 0.5 * depth + rng.uniform(0, 6)
    deep, span = rng.uniform(9, 14), rng.uniform(0.55, 0.9) * (width - 3)
    made.append((-span / 2, span / 2, back, back + deep))
    for sign in (1.0, -1.0):
        if rng.random() < 0.65:
            wide, long = rng.uniform(6, 10), rng.uniform(0.35, 0.6) * back
            edge = sign * (width / 2 - 1.5)
            made.append((min(edge, edge - sign * wide), max(edge, edge - sign * wide), back - long - 2, back - 2))
    kinds = [wing(rng, style.houses, box, rng.uniform(3.5, 5.5), "gabled") for box in made]
    return [winged([w], frame, 1, "industrial") for w in kinds]


def _shed(rng: np.random.Generator, style: Style, frame: Floats, size: tuple[float, float]) -> list[Body]:
    width, depth = size
    wide, deep, y = rng.uniform(3, 6), rng.uniform(4, 8), rng.uniform(0.45, 0.7) * depth
    x = rng.choice([-1.0, 1.0]) * (width / 2 - 1.2 - wide / 2)
    box = (x - wide / 2, x + wide / 2, y, y + deep)
    return [winged([wing(rng, style.houses, box, rng.uniform(2.3, 2.8), "gabled")], frame, 1)]


def _garden(rng: np.random.Generator, style: Style, built: Built, frame: Floats, inner: Polygon, house: Body) -> None:
    local = (shapely.get_coordinates(house.outline) - frame[0]) @ frame[1:].T
    low, high = local.min(axis=0), local.max(axis=0)
    if rng.random() < style.houses.drive:
        x = high[0] + 0.4 if rng.random() < 0.5 else low[0] - 3.4
        built.cover(strip(frame, x, x + 3.0, -0.5, high[1]).intersection(inner.buffer(1.2)), "paved")
    if rng.random() < style.houses.patio:
        built.cover(strip(frame, low[0], high[0] - 1.0, high[1] - 1.0, high[1] + 3.5).intersection(inner), "paved")
