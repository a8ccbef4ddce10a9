"""Blocks of flats, one on a lot, in the Mediterranean manner: flat decks with tiled rims, narrow gaps."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

from mage.scenes.layouts import Apartments
from mage.scenes.sources.procedural.layout.built import Built, area, roof, storeys, wing
from mage.scenes.sources.procedural.layout.parcels import ACCESS, Parcel, frontage, parcels, room, strip
from mage.scenes.sources.procedural.layout.shapes import Body, joined, prism, rimmed, winged
from mage.scenes.style import Style

Floats = NDArray[np.float64]


FIELD = (1500.0, 5000.0)  # m² of orchards and of plots of building land


def fill_apartments(rng: np.random.Generator, style: Style, layout: Apartments, block: Polygon) -> Built:
    """A block of lots with a building each; about the typical height of the block. Some blocks are of other use."""
    built = Built()
    orchards, gardens, fallow = np.cumsum([layout.orchards, layout.gardens, layout.fallow])
    if fallow > 0:
        chance = rng.random()
        if chance < orchards:
            _fields(rng, built, block, ["bare", "grass", "bare"], planted=0.8)
        elif chance < gardens:
            _houses_in_gardens(rng, style, layout, built, block)
        elif chance < fallow:
            _fields(rng, built, block, ["bare", "bare", "grass", "parking"], planted=0.0)
        if chance < fallow:
            return built
    typical = storeys(rng, style.houses)
    for lot in parcels(rng, block, layout.lot, jitter=0.05):
        if lot.front < ACCESS or rng.random() < layout.vacant:
            built.cover(lot.outline, str(rng.choice(["parking", "bare", "grass", "paved"])))
            continue
        paved = rng.random() < style.paved_share
        built.cover(lot.outline, "paved" if paved else style.courtyards)
        body = _building(rng, style, layout, lot, block, typical)
        if body is not None:
            built.bodies.append(body)
    return built


def _fields(rng: np.random.Generator, built: Built, block: Polygon, covers: list[str], planted: float) -> None:
    """Lots without houses, each of one of some covers; a share is ``planted`` with fruit trees in rows."""
    for lot in parcels(rng, block, FIELD, access=False):
        built.cover(lot.outline, str(rng.choice(covers)))
        grown = lot.outline.buffer(-1.0)
        if rng.random() < planted and grown.geom_type == "Polygon":
            built.orchards.append(grown)


def _houses_in_gardens(
    rng: np.random.Generator, style: Style, layout: Apartments, built: Built, block: Polygon
) -> None:
    """Houses of one or two storeys under tiles, fruit trees behind many: what stood there before the flats."""
    houses = style.houses
    for lot in parcels(rng, block, layout.lot, jitter=0.05):
        built.cover(lot.outline, "grass" if rng.random() < 0.75 else "bare")
        frame = frontage(lot.outline, block)
        box = room(lot.outline, frame, float(rng.uniform(2.0, 8.0)), float(rng.uniform(1.5, 4.0)))
        if lot.front < ACCESS or box is None:
            continue
        left, right, near, far = box
        width, depth = min(right - left, float(rng.uniform(9, 15))), min(far - near, float(rng.uniform(8, 12)))
        left += rng.random() * (right - left - width)
        box = (left, left + width, near, near + depth)
        if min(width, depth) < 6 or not lot.outline.buffer(0.01).covers(strip(frame, *box)):
            continue
        count = int(rng.integers(1, 3))
        kind = "hipped" if rng.random() < 0.7 else "flat"
        body = winged([wing(rng, houses, box, count * houses.storey_height[1], kind)], frame, count)
        built.bodies.append(body)
        behind = lot.outline.difference(body.outline.buffer(1.0))
        if rng.random() < 0.25 and behind.geom_type == "Polygon":
            built.orchards.append(behind)


def _building(
    rng: np.random.Generator, style: Style, layout: Apartments, lot: Parcel, block: Polygon, typical: int
) -> Body | None:
    houses, frame = style.houses, frontage(lot.outline, block)
    box = room(lot.outline, frame, float(rng.uniform(*layout.front)), float(rng.uniform(*layout.gap)))
    if box is None:
        return None
    left, right, near, far = box
    ground = area(rng, houses)
    width = right - left
    depth = min(far - near, max(9.0, ground / width))
    width = min(width, max(9.0, ground / depth * 1.25))
    left += rng.random() * (right - left - width)
    box = (left, left + width, near, near + depth)
    if not lot.outline.buffer(0.01).covers(strip(frame, *box)) or min(width, depth) < 6:
        return None
    low = rng.random() < 0.12  # a house of one or two storeys that has not been replaced yet
    count = int(rng.integers(1, 3)) if low else max(2, typical + int(rng.choice([-1, 0, 0, 0, 1])))
    eave = count * float(rng.uniform(*houses.storey_height)) + (0.0 if low else 0.6)
    kind = "hipped" if low and rng.random() < 0.6 else roof(rng, houses)
    use = "commercial" if rng.random() < 0.25 else "residential"
    if kind != "flat":
        return winged([wing(rng, houses, box, eave, kind)], frame, count, use)
    return _decked(rng, layout, frame, box, eave, count, use)


def _decked(
    rng: np.random.Generator,
    layout: Apartments,
    frame: Floats,
    box: tuple[float, float, float, float],
    eave: float,
    count: int,
    use: str,
) -> Body:
    """A flat deck, with a tiled rim or notched walls, and the head of the stairs on it."""
    plan = strip(frame, *box)
    rim = rimmed(plan, eave, rng.uniform(1.4, 2.4), rng.uniform(0.6, 1.1)) if rng.random() < layout.rims else None
    deck = float(rim.vertices[:, 2].max()) if rim is not None else eave
    if rim is None:
        plan = _notched(rng, frame, box, plan)
    body = Body(plan, rim if rim is not None else prism(plan, eave), eave, count, "flat", use)
    left, right, near, far = box
    if count < 3 or min(right - left, far - near) < 10:
        return body
    x, y = rng.uniform(left + 3, right - 6), rng.uniform(near + 3, far - 6)
    head = strip(frame, x, x + rng.uniform(2.6, 3.4), y, y + rng.uniform(3.0, 4.6))
    if not plan.buffer(-2.5).covers(head):
        return body
    return joined(body, [Body(head, prism(head, deck + 2.6, deck - 0.5), deck, 1, "flat")])


def _notched(rng: np.random.Generator, frame: Floats, box: tuple[float, float, float, float], plan: Polygon) -> Polygon:
    """The plan with a light shaft cut into both long sides, or as it is."""
    left, right, near, far = box
    if rng.random() < 0.5 or right - left < 13:
        return plan
    middle, half, deep = (left + right) / 2 + rng.uniform(-1, 1), rng.uniform(0.9, 1.8), rng.uniform(1.5, 3.0)
    notches = [strip(frame, middle - half, middle + half, near - 1, near + deep)]
    notches.append(strip(frame, middle - half, middle + half, far - deep, far + 1))
    cut = plan.difference(shapely.union_all(notches))
    return cut if cut.geom_type == "Polygon" else plan
