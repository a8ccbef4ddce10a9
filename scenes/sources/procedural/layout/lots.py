"""A house on each lot: detached, or a few in a row; drives, sheds, terraces and gardens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import Polygon

from mage.scenes.layouts import Lots
from mage.scenes.sources.procedural.houses import Wing, projecting_wing
from mage.scenes.sources.procedural.layout.built import Built, area, roof, storeys, wing
from mage.scenes.sources.procedural.layout.parcels import ACCESS, Parcel, frontage, parcels, room, strip
from mage.scenes.sources.procedural.layout.shapes import Body, winged
from mage.scenes.style import Houses, Style

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]  # left, right, near, far in a lot's frame, metres

HALL = 22.0  # metres of both sides that a hall has at least
TOWER = 9, 22  # storeys
COURT = 20.0  # metres of both sides from which on flats stand about a court


def fill_lots(rng: np.random.Generator, style: Style, layout: Lots, block: Polygon) -> Built:
    """A block of lots, each with a house, a row of houses, a larger building, or nothing; or one hall, or a lawn."""
    built = Built()
    if layout.halls + layout.greens > 0:
        chance = rng.random()
        if chance < layout.halls and _hall(rng, style, layout, built, block):
            return built
        if layout.halls <= chance < layout.halls + layout.greens:
            built.cover(block, "grass")
            return built
    for lot in parcels(rng, block, layout.lot, jitter=0.03):
        _fill_lot(rng, style, layout, built, lot, block)
    return built


def _fill_lot(rng: np.random.Generator, style: Style, layout: Lots, built: Built, lot: Parcel, block: Polygon) -> None:
    houses = style.houses
    paved = rng.random() < style.paved_share
    frame = frontage(lot.outline, block)
    front, gap = float(rng.uniform(*houses.setback)), float(rng.uniform(*layout.gap))
    box = room(lot.outline, frame, front, gap) if lot.front > ACCESS else None
    chance = rng.random()
    if box is None or chance < layout.vacant:
        built.cover(lot.outline, "parking" if chance < layout.vacant / 2 else style.courtyards)
        return
    built.cover(lot.outline, "paved" if paved else style.courtyards)
    if chance < layout.vacant + layout.flats:
        bodies = [_flats(rng, houses, layout, lot, frame, box)]
    elif chance < layout.vacant + layout.flats + layout.rows:
        bodies = _row(rng, houses, frame, box)
    else:
        bodies = [_house(rng, houses, layout, lot, frame, box)]
    bodies = [b for b in bodies if lot.outline.buffer(0.01).covers(b.outline)]
    built.bodies += bodies
    if len(bodies) == 1:
        _garden(rng, style, built, lot, frame, box, bodies[0])


def _hall(rng: np.random.Generator, style: Style, layout: Lots, built: Built, block: Polygon) -> bool:
    """A garage, a store or flats about a court over much of a block, or a tower on a lawn; whether there was room."""
    frame = frontage(block, block)
    box = room(block, frame, float(rng.uniform(4.0, 9.0)), float(rng.uniform(3.0, 7.0)))
    if box is None or min(box[1] - box[0], box[3] - box[2]) < HALL:
        return False
    use, (left, right, near, far) = float(rng.random()), box
    if use < 0.4:
        built.cover(block, style.courtyards)
        built.bodies.append(_flats(rng, style.houses, layout, Parcel(block, block.length), frame, box))
        return True
    tower = use > 0.8
    count = int(rng.integers(*(TOWER if tower else (1, 6))))
    box = (left, right, near, near + (far - near) * float(rng.uniform(0.6, 1.0)))
    if tower:
        box = _within(rng, box, float(rng.uniform(650, 1400)), float(rng.uniform(0.7, 1.5)))
    body = wing(rng, style.houses, box, count * style.houses.storey_height[1], "flat")
    built.cover(block, "grass" if tower or rng.random() < 0.4 else "paved")
    if not tower:
        built.cover(block.buffer(-2.5), "parking" if rng.random() < 0.6 else "paved")
    built.bodies.append(winged([body], frame, count, "commercial"))
    return True


def _within(rng: np.random.Generator, box: Box, ground: float, aspect: float) -> Box:
    """A box of ``ground`` m² at the near side of a larger one, as wide as ``aspect`` depths where there is room."""
    left, right, near, far = box
    width = min(right - left, float(np.sqrt(ground * aspect)))
    depth = min(far - near, ground / width)
    width = min(right - left, ground / depth)
    start = left + rng.uniform(0, 1) * (right - left - width)
    return start, start + width, near, near + depth


def _house(rng: np.random.Generator, houses: Houses, layout: Lots, lot: Parcel, frame: Floats, box: Box) -> Body:
    ground = min(area(rng, houses), layout.cover * lot.outline.area)
    left, right, near, far = _within(rng, box, ground, float(rng.uniform(0.75, 1.7)))
    count = storeys(rng, houses)
    eave, kind = count * float(rng.uniform(*houses.storey_height)), roof(rng, houses)
    if rng.random() < houses.winged and kind != "flat" and right - left > 6.5 and far - near > 6.0:
        return winged(_angled(rng, houses, (left, right, near, far), eave, kind), frame, count)
    wings = [wing(rng, houses, (left, right, near, far), eave, kind)]
    if rng.random() < houses.winged and count > 1:  # a lower part, often over the entrance
        split = left + (right - left) * rng.uniform(0.55, 0.75)
        low = wing(rng, houses, (split - 0.2, right, near, far), eave * (count - 1) / count, "flat")
        wings = [wing(rng, houses, (left, split, near, far), eave, kind), low]
    return winged(wings, frame, count)


def _angled(rng: np.random.Generator, houses: Houses, box: Box, eave: float, kind: str) -> list[Wing]:
    """A main range along the street and a wing behind or before it, of about the box's area."""
    left, right, near, far = box
    front, share = rng.random() < 0.5, rng.uniform(0.6, 0.75)
    depth = min((far - near) * share, 0.95 * (right - left))
    bounds = (left, right, far - depth, far) if front else (left, right, near, near + depth)
    main = wing(rng, houses, bounds, eave, kind)
    pitch = 2 * main.rise / main.span
    span = float(np.clip((right - left) * rng.uniform(0.4, 0.55), 3.0, 0.9 * depth))
    offset = rng.choice([-1.0, 1.0]) * ((right - left - span) / 2 - 0.2)
    reach = far - near - depth
    low = 0.6 if rng.random() < 0.3 and eave > 4 else 1.0
    return [
        main,
        projecting_wing(main, offset, span, reach, pitch, front=front, hipped=kind == "hipped", eave=eave * low),
    ]


def _row(rng: np.random.Generator, houses: Houses, frame: Floats, box: Box) -> list[Body]:
    """Two to six houses party wall to party wall, their ridge along the street."""
    left, right, near, far = box
    depth = min(far - near, float(rng.uniform(7.5, 11.5)))
    width = float(np.clip(area(rng, houses) / depth, 4.8, 9.0))
    count = int(np.clip((right - left) // width, 1, 6))
    width = min(width * 1.15, (right - left) / count)
    floors = storeys(rng, houses)
    eave, kind = floors * float(rng.uniform(*houses.storey_height)), roof(rng, houses)
    rise = 0.0 if kind == "flat" else float(rng.uniform(*houses.pitch)) * depth / 2
    start = left + (right - left - count * width) * rng.random()
    bodies = []
    for k in range(count):
        middle = start + (k + 0.5) * width
        hips = (0.3 * depth if k == 0 else 0.0, 0.3 * depth if k == count - 1 else 0.0)
        hipped = kind == "hipped" and rise > 0 and sum(hips) < 0.9 * width
        one = Wing(middle, near + depth / 2, width, depth, False, eave, rise, hips if hipped else (0.0, 0.0))
        bodies.append(winged([one], frame, floors))
    return bodies


def _flats(rng: np.random.Generator, houses: Houses, layout: Lots, lot: Parcel, frame: Floats, box: Box) -> Body:
    """A block of flats or a shop: a flat roof over most of the lot; on a large one three ranges about a court."""
    ground = 1.3 * layout.cover * lot.outline.area
    left, right, near, far = _within(rng, box, ground, float(rng.uniform(0.8, 1.6)))
    count = int(rng.integers(2, 5))
    eave = count * houses.storey_height[1] + 0.4
    use = "commercial" if count < 3 else "residential"
    if min(right - left, far - near) < COURT:
        return winged([wing(rng, houses, (left, right, near, far), eave, "flat")], frame, count, use)
    deep = rng.uniform(0.3, 0.4, 2) * (right - left, far - near)
    ranges = [
        (left, right, far - deep[1], far),
        (left, left + deep[0], near, far - deep[1] + 0.2),
        (right - deep[0], right, near, far - deep[1] + 0.2),
    ]
    return winged([wing(rng, houses, r, eave, "flat") for r in ranges], frame, count, use)


def _garden(
    rng: np.random.Generator, style: Style, built: Built, lot: Parcel, frame: Floats, box: Box, house: Body
) -> None:
    """A drive from the street, a terrace behind, a shed or garage in a rear corner."""
    houses, (left, right, _, far) = style.houses, box
    local = (np.array(house.outline.exterior.coords) - frame[0]) @ frame[1:].T
    low, high = local.min(axis=0), local.max(axis=0)
    sign = 1.0 if right - high[0] > low[0] - left else -1.0
    if rng.random() < houses.drive:
        x = high[0] - 0.5 if sign > 0 else low[0] - 2.4
        drive = strip(frame, x, x + 2.9, 0.0, low[1] + rng.uniform(0.0, 6.0))
        built.cover(drive.intersection(lot.outline), "paved")
    if rng.random() < houses.patio and far - high[1] > 2.0:
        middle, half = rng.uniform(low[0] + 1, high[0] - 1), rng.uniform(1.5, 4.0)
        terrace = strip(frame, middle - half, middle + half, high[1] - 1.0, high[1] + rng.uniform(1.5, 4.0))
        built.cover(terrace.intersection(lot.outline), "paved")
    if rng.random() < houses.shed:
        _shed(rng, houses, built, lot, frame, (left, right, far), house)


def _shed(
    rng: np.random.Generator,
    houses: Houses,
    built: Built,
    lot: Parcel,
    frame: Floats,
    corner: tuple[float, float, float],
    house: Body,
) -> None:
    left, right, far = corner
    width, depth = rng.uniform(2.2, 4.2), rng.uniform(2.6, 6.0)
    x = left if rng.random() < 0.5 else right - width
    kind = "flat" if rng.random() < max(houses.flat, 0.3) else "gabled"
    shed = winged([wing(rng, houses, (x, x + width, far - depth, far), rng.uniform(2.2, 2.6), kind)], frame, 1)
    if lot.outline.covers(shed.outline) and shed.outline.distance(house.outline) > 0.8:
        built.bodies.append(shed)
