"""Informal settlements: small houses at all angles, winding paths, yards of bare ground."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon
from shapely.ops import substring

from mage.scenes.layouts import Informal
from mage.scenes.sources.procedural.layout.built import Built, area, roof, storeys, wing
from mage.scenes.sources.procedural.layout.parcels import cut_across, oriented, room, rotated
from mage.scenes.sources.procedural.layout.shapes import Body, winged
from mage.scenes.style import Houses, Style

Floats = NDArray[np.float64]

PATH_FROM, PATH_TO = 260.0, 5000.0  # m²; ground of such sizes is parted by a path
COMPOUND, LEAST = (900.0, 2600.0), 80.0  # m² of walled grounds, and of what is left for a building there
WALL, GATE = 0.5, 5.0  # metres that a wall keeps from the border of its grounds, and of its gap
GAP = (0.1, 0.5)  # metres between a house and its plot's border


def fill_informal(rng: np.random.Generator, style: Style, layout: Informal, block: Polygon) -> Built:
    """A block cut again and again, by paths and then by nothing, down to plots that hold one house each."""
    built = Built()
    if rng.random() < layout.open:
        built.cover(block, str(rng.choice(["grass", "bare"])))
        return built
    waiting = [block]
    while waiting:
        part = waiting.pop()
        if part.area < 6:
            continue
        wanted = area(rng, style.houses)
        if COMPOUND[0] < part.area < COMPOUND[1] and rng.random() < layout.compounds:
            _compound(rng, style, layout, built, part)
            continue
        pieces = _cut(rng, layout, part) if part.area > wanted / layout.cover else []
        if pieces:
            waiting += pieces
        elif rng.random() >= layout.yards:
            _plot(rng, style, layout, built, part, wanted)
    return built


def _compound(rng: np.random.Generator, style: Style, layout: Informal, built: Built, part: Polygon) -> None:
    """Walled ground, trodden soil on one side with a long building, on the other a lawn, a grove or another one."""
    middle, axes, size = oriented(part)
    longer = int(size[1] > size[0])
    halves = cut_across(part, middle + axes[longer] * size[longer] * rng.uniform(-0.2, 0.2), axes[longer])
    wall = part.buffer(-WALL, join_style="mitre")
    if wall.geom_type == "Polygon" and not wall.is_empty:
        built.walls.append(substring(wall.exterior, GATE, wall.exterior.length))
    for i, turn in enumerate(rng.permutation(len(halves))):
        half, use = halves[turn], float(rng.random())
        built.cover(half, "grass" if i else "paved" if use < 0.3 else "bare")
        inner = half.buffer(-3 * WALL, join_style="mitre")
        if inner.geom_type != "Polygon" or inner.area < LEAST:
            continue
        if i == 0 or use < 0.4:
            body = _house(rng, style.houses, layout, inner, float(rng.uniform(0.2, 0.4)) * half.area)
            built.bodies += [] if body is None else [body]
        elif use < 0.7:
            built.orchards.append(inner)


def _cut(rng: np.random.Generator, layout: Informal, part: Polygon) -> list[Polygon]:
    """Two uneven parts, with a path between them where they are large."""
    middle, axes, size = oriented(part)
    longer = int(size[1] > size[0])
    normal = rotated(axes[longer], rng.normal(0, layout.skew))
    pieces = cut_across(part, middle + axes[longer] * size[longer] * rng.uniform(-0.18, 0.18), normal)
    if len(pieces) < 2:
        return []
    path = float(rng.uniform(*layout.path)) if PATH_FROM < part.area < PATH_TO and rng.random() < 0.55 else 0.0
    narrowed = [p.buffer(-path / 2, join_style="mitre") for p in pieces] if path else pieces
    return [p for whole in narrowed for p in getattr(whole, "geoms", [whole]) if not p.is_empty]


def _plot(rng: np.random.Generator, style: Style, layout: Informal, built: Built, part: Polygon, wanted: float) -> None:
    """A house somewhere on its plot, turned a little, and what covers the rest."""
    if part.area > 60 and rng.random() < 0.16:
        built.cover(part, "grass")
    body = _house(rng, style.houses, layout, part, wanted)
    if body is not None:
        built.bodies.append(body)


def _house(rng: np.random.Generator, houses: Houses, layout: Informal, part: Polygon, wanted: float) -> Body | None:
    """A rectangle of the wanted area, or as much of it as the plot takes, turned out of the plot's line a little."""
    middle, axes, size = oriented(part)
    longer = int(size[1] > size[0])
    along = rotated(axes[longer], rng.normal(0, 0.25 * layout.skew))
    frame = np.stack([middle, along, [-along[1], along[0]]])
    frame[0] += frame[2] * float(((shapely.get_coordinates(part) - middle) @ frame[2]).min())
    gap = float(rng.uniform(*GAP))
    box = room(part, frame, gap, gap)
    if box is None:
        return None
    left, right, near, far = box
    share = min(1.0, wanted / ((right - left) * (far - near)))
    if share < 1 and rng.random() < 0.5:
        right = left + (right - left) * max(share, 0.35)
    elif share < 1:
        far = near + (far - near) * max(share, 0.35)
    count, kind = storeys(rng, houses), roof(rng, houses)
    eave = count * float(rng.uniform(*houses.storey_height))
    return winged([wing(rng, houses, (left, right, near, far), eave, kind)], frame, count)
