"""North American downtowns: towers on podiums, slabs, shops over whole lots, garages, parked-up lots, plazas."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import Polygon

from mage.scenes.layouts import Downtown
from mage.scenes.sources.procedural.layout.built import Built, storeys
from mage.scenes.sources.procedural.layout.parcels import Parcel, frontage, oriented, parcels, room, strip
from mage.scenes.sources.procedural.layout.shapes import Body, joined, prism
from mage.scenes.style import Style

Floats = NDArray[np.float64]

ALLEY = 6.0  # metres between the backs of lots
SHEER = 0.35  # share of buildings below eight storeys without a courtyard or a step


def fill_downtown(rng: np.random.Generator, style: Style, layout: Downtown, block: Polygon) -> Built:
    """A block of lots, with an alley along its middle where it is deep enough."""
    built = Built()
    built.cover(block, "paved")
    if rng.random() < layout.parks:
        built.cover(block.buffer(-3.0), "grass")
        return built
    for half in _halves(rng, block):
        for lot in parcels(rng, half, layout.lot, jitter=0.0):
            _fill_lot(rng, style, layout, built, lot, block)
    return built


def _halves(rng: np.random.Generator, block: Polygon) -> list[Polygon]:
    """The block without the alley along its longer axis, if it has one."""
    middle, axes, size = oriented(block)
    longer = int(size[1] > size[0])
    if size[1 - longer] < 50 or rng.random() < 0.3:
        return [block]
    frame = np.stack([middle, axes[longer], axes[1 - longer]])
    rest = block.difference(strip(frame, -size[longer], size[longer], -ALLEY / 2, ALLEY / 2))
    return [p for p in getattr(rest, "geoms", [rest]) if p.area > 100]


def _fill_lot(
    rng: np.random.Generator, style: Style, layout: Downtown, built: Built, lot: Parcel, block: Polygon
) -> None:
    chance = rng.random()
    if chance < layout.parking or lot.outline.area < 120:
        built.cover(lot.outline.buffer(-0.8), "parking")
        return
    plan = _plan(rng, lot, block)
    if plan is None:
        built.cover(lot.outline.buffer(-0.8), "parking")
        return
    height = float(rng.uniform(*style.houses.storey_height))
    if chance < layout.parking + layout.garages:
        count = int(rng.integers(3, 7))
        built.bodies.append(Body(plan, prism(plan, 3.1 * count), 3.1 * count, count, "flat", "commercial"))
    elif chance < layout.parking + layout.garages + layout.towers and lot.outline.area > 700:
        built.bodies.append(_tower(rng, layout, plan, height))
    else:
        built.bodies.append(_house(rng, style, plan, height))


def _plan(rng: np.random.Generator, lot: Parcel, block: Polygon) -> Polygon | None:
    """What of its lot a building covers: nearly all, or the part at the street with cars behind."""
    frame = frontage(lot.outline, block)
    box = room(lot.outline, frame, float(rng.choice([0.0, 0.0, 1.5, 4.0])), 0.15)
    if box is None or min(box[1] - box[0], box[3] - box[2]) < 7:
        return None
    left, right, near, far = box
    if rng.random() < 0.6:
        far = near + (far - near) * rng.uniform(0.55, 0.95)
    if rng.random() < 0.3 and right - left > 24:
        right = left + (right - left) * rng.uniform(0.6, 0.85)
    plan = strip(frame, left, right, near, far)
    return plan if lot.outline.buffer(0.01).covers(plan) else None


def _inner(plan: Polygon, shares: tuple[float, float, float, float]) -> Polygon:
    """A part of a rectangle, by shares of its sides from its first corner (left, right, near, far)."""
    ring = np.array(plan.exterior.coords)
    frame = np.stack([ring[0], ring[1] - ring[0], ring[3] - ring[0]])
    return strip(frame, *shares)


def _tower(rng: np.random.Generator, layout: Downtown, plan: Polygon, height: float) -> Body:
    """A podium over the plan, a shaft on it that is no wider than 45 m, one step back near its top, and plant."""
    podium, count = (int(rng.integers(int(a), int(b) + 1)) for a, b in (layout.podium, layout.tower))
    sides = np.linalg.norm(np.diff(np.array(plan.exterior.coords)[:3], axis=0), axis=1)
    span = np.minimum(rng.uniform(0.5, 0.85, 2), 45.0 / sides)
    at = rng.uniform(0.06, 0.94 - span)
    shaft = (at[0], at[0] + span[0], at[1], at[1] + span[1])
    parts = [_block(_inner(plan, shaft), height * count * rng.uniform(0.7, 1.0))]
    top = _shrunk(shaft, rng.uniform(0.05, 0.2))
    parts.append(_block(_inner(plan, top), height * count + 0.5))
    parts.append(_block(_inner(plan, _shrunk(top, 0.22)), height * count + 5.0))
    base = (podium + 0.3) * height
    return joined(Body(plan, prism(plan, base), base, count, "flat", "commercial"), parts)


def _block(outline: Polygon, top: float) -> Body:
    return Body(outline, prism(outline, top), top, 1, "flat")


def _shrunk(box: tuple[float, float, float, float], share: float) -> tuple[float, float, float, float]:
    left, right, near, far = box
    dx, dy = share * (right - left), share * (far - near)
    return left + dx, right - dx, near + dy, far - dy


def _house(rng: np.random.Generator, style: Style, plan: Polygon, height: float) -> Body:
    """Offices or flats of a few storeys: sheer, with a light well at the back, or stepped."""
    count = storeys(rng, style.houses)
    top, shape = count * height + 0.6, rng.random()
    use = "commercial" if rng.random() < 0.7 else "residential"
    if shape > SHEER and plan.area > 600 and count > 2:
        if shape < 0.65:
            width, deep, x = rng.uniform(0.2, 0.4), rng.uniform(0.3, 0.55), rng.uniform(0.15, 0.45)
            plan = plan.difference(_inner(plan, (x, x + width, 1 - deep, 1.1)))
        else:
            low = max(1, int(count * rng.uniform(0.3, 0.7))) * height
            span = rng.uniform(0.5, 0.85)
            part = (0.0, span, 0.0, 1.0) if rng.random() < 0.5 else (0.0, 1.0, 0.0, span)
            return joined(Body(plan, prism(plan, low), low, count, "flat", use), [_block(_inner(plan, part), top)])
    body = Body(plan, prism(plan, top), top, count, "flat", use)
    head = _inner(plan, _shrunk((0.0, 1.0, 0.0, 1.0), 0.4))
    if count > 3 and plan.buffer(-1).covers(head):
        return joined(body, [Body(head, prism(head, top + 3.0, top - 0.5), top, 1, "flat")])
    return body
