"""Industrial estates: halls with sawtooth, shallow or flat roofs, offices, sheds, lorry yards, sidings."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, Polygon

from mage.scenes.city import Railway
from mage.scenes.layouts import Estate
from mage.scenes.sources.procedural.layout.built import Built, area, roof
from mage.scenes.sources.procedural.layout.parcels import ACCESS, Parcel, frontage, parcels, room, strip
from mage.scenes.sources.procedural.layout.shapes import Body, gable, joined, level, prism, sawtooth, swept
from mage.scenes.style import Style

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]

BAY = 17.0  # metres; spans of sawtooth and of rows of shallow gables
TRACK = 4.6  # metres between the axes of neighbouring tracks


def fill_estate(rng: np.random.Generator, style: Style, layout: Estate, block: Polygon) -> Built:
    """A block of lots with a hall each, its yards and its car park."""
    built = Built()
    for lot in parcels(rng, block, layout.lot, jitter=0.02):
        _fill_lot(rng, style, layout, built, lot, block)
    return built


def _fill_lot(
    rng: np.random.Generator, style: Style, layout: Estate, built: Built, lot: Parcel, block: Polygon
) -> None:
    frame, inner = frontage(lot.outline, block), lot.outline.buffer(-rng.uniform(2.0, 5.0))
    built.cover(lot.outline, "grass")
    if lot.front < ACCESS or rng.random() < layout.vacant:
        built.cover(inner, str(rng.choice(["paved", "bare", "bare", "grass", "parking"])))
        return
    built.cover(inner, "paved" if rng.random() < 0.8 else "bare")
    box = room(lot.outline, frame, float(rng.uniform(*style.houses.setback)), float(rng.uniform(4.0, 9.0)))
    if box is None or min(box[1] - box[0], box[3] - box[2]) < 12:
        return
    hall = _hall_box(rng, style, layout, box)
    bodies = [_hall(rng, style, layout, frame, hall)]
    front = strip(frame, box[0], box[1], 3.0, hall[2] - 3.0)
    if rng.random() < 0.7 and hall[2] > 12:
        built.cover(front.intersection(inner), "parking")
    if rng.random() < layout.sheds:
        bodies += _sheds(rng, style, frame, box, hall)
    clear = [b for b in bodies if lot.outline.covers(b.outline)]
    built.bodies += clear
    free = strip(frame, *box).difference(shapely.union_all([b.outline.buffer(6) for b in clear]))
    for yard in shapely.get_parts(free):
        if yard.area > 500 and rng.random() < 0.6:
            built.cover(yard.buffer(-2), str(rng.choice(["parking", "bare", "grass"])))


def _hall_box(rng: np.random.Generator, style: Style, layout: Estate, box: Box) -> Box:
    left, right, near, far = box
    ground = float(np.clip(area(rng, style.houses), *layout.hall))
    width, depth = right - left, far - near
    share = min(1.0, float(np.sqrt(ground / (width * depth))))
    wide = min(width, width * share * rng.uniform(0.9, 1.3))
    deep = min(depth, ground / wide)
    x, y = rng.random() ** 2 * (width - wide), rng.random() ** 2 * (depth - deep)
    x = x if rng.random() < 0.5 else width - wide - x
    return left + x, left + x + wide, near + y, near + y + deep


def _hall(rng: np.random.Generator, style: Style, layout: Estate, frame: Floats, box: Box) -> Body:
    """A hall whose roof runs along its longer side, with an office block at its front where one is drawn."""
    left, right, near, far = box
    houses, plan = style.houses, strip(frame, *box)
    across = rng.random() < 0.5  # spans side by side along the street or away from it
    ring = np.array(plan.exterior.coords)[:4]
    outer, inner = (ring[[0, 1]], ring[[3, 2]]) if across else (ring[[1, 2]], ring[[0, 3]])
    reach = far - near if across else right - left
    eave = float(rng.uniform(*houses.storey_height)) * (1.0 if min(right - left, far - near) < 25 else 1.5)
    bays = max(1, int(reach / BAY))
    kind = "flat" if roof(rng, houses) == "flat" else "pitched"
    if kind == "flat":
        profile = level(eave)
    elif rng.random() < layout.sawtooth and bays > 1:
        profile = sawtooth(eave, rng.uniform(2.0, 3.2), bays)
    else:
        profile = _gables(eave, reach, float(rng.uniform(*houses.pitch)), int(rng.integers(1, 4)))
    body = Body(plan, swept(outer, inner, profile), eave, 1, kind, "industrial")
    if rng.random() < layout.offices and right - left > 20 and near > 14:
        body = joined(body, [_office(rng, frame, box)])
    return body


def _gables(eave: float, reach: float, pitch: float, spans: int) -> Floats:
    """Profile of one to three shallow gables side by side."""
    spans = spans if reach > 36 else 1
    one = gable(eave, pitch * reach / spans / 2)
    parts = [np.column_stack([(one[:, 0] + k) / spans, one[:, 1]])[int(k > 0) :] for k in range(spans)]
    return np.concatenate(parts)


def _office(rng: np.random.Generator, frame: Floats, box: Box) -> Body:
    """Two or three storeys that stand out before the hall's front."""
    left, right, near, _ = box
    width = (right - left) * rng.uniform(0.25, 0.6)
    x = left + rng.random() * (right - left - width)
    plan, count = strip(frame, x, x + width, near - rng.uniform(5.0, 9.0), near + 3.0), int(rng.integers(2, 4))
    return Body(plan, prism(plan, 3.3 * count), 3.3 * count, count, "flat", "commercial")


def _sheds(rng: np.random.Generator, style: Style, frame: Floats, box: Box, hall: Box) -> list[Body]:
    """Up to four small buildings on the lot, clear of the hall."""
    left, right, near, far = box
    taken, made = [strip(frame, *hall)], []
    for _ in range(int(rng.integers(1, 5))):
        wide, deep = rng.uniform(5, 26), rng.uniform(5, 14)
        if right - left < wide + 1 or far - near < deep + 1:
            continue
        x, y = rng.uniform(left, right - wide), rng.uniform(near, far - deep)
        plan = strip(frame, x, x + wide, y, y + deep)
        if min(plan.distance(t) for t in taken) < 5:
            continue
        taken.append(plan)
        ring, eave = np.array(plan.exterior.coords)[:4], float(rng.uniform(3.2, 6.0))
        flat = roof(rng, style.houses) == "flat"
        profile = level(eave) if flat else gable(eave, style.houses.pitch[0] * deep / 2)
        kind = "flat" if flat else "pitched"
        made.append(Body(plan, swept(ring[[0, 1]], ring[[3, 2]], profile), eave, 1, kind, "industrial"))
    return made


def siding(rng: np.random.Generator, blocks: list[Polygon]) -> tuple[Railway | None, Polygon]:
    """Tracks along one long side of the largest block, within it, and the ground that they take."""
    block = max(blocks, key=lambda b: b.area)
    ring = shapely.get_coordinates(block.exterior.simplify(2.0))
    length = np.linalg.norm(np.diff(ring, axis=0), axis=1)
    i = int(np.argmax(length))
    along = (ring[i + 1] - ring[i]) / length[i]
    inward = np.array([-along[1], along[0]]) * (1 if block.exterior.is_ccw else -1)
    tracks = int(rng.integers(2, 5))
    away = tracks * TRACK / 2 + 5.0
    line = LineString([ring[i] + along * 2 + inward * away, ring[i + 1] - along * 2 + inward * away])
    bed = line.buffer(tracks * TRACK / 2 + 0.8, cap_style="flat")
    if length[i] < 90 or not block.covers(bed):
        return None, Polygon()
    return Railway(line, tracks), bed
