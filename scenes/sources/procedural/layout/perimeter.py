"""Old towns: closed rows of houses round every block, wings into courtyards, squares, churches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon
from shapely.geometry.polygon import orient

from mage.scenes.layouts import Perimeter
from mage.scenes.mesh import Surface
from mage.scenes.sources.procedural.houses import Wing
from mage.scenes.sources.procedural.layout.built import Built, roof, storeys, wing
from mage.scenes.sources.procedural.layout.parcels import frontage, oriented, parcels, room
from mage.scenes.sources.procedural.layout.shapes import (
    Body,
    gable,
    inset_ring,
    joined,
    level,
    mansard,
    sweep_outline,
    swept,
    winged,
)
from mage.scenes.style import Houses, Style

Floats = NDArray[np.float64]

CLEAR = 0.5  # metres along the courtyard from a party wall to the next corner
NARROWEST = 8.0  # metres; a block whose largest inner circle has a smaller radius has no courtyard


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """A closed row: an anticlockwise ring (n, 2), the same ring moved inward, and the depth between."""

    ring: Floats
    inner: Floats
    depth: float

    def span(self, i: int) -> tuple[float, float]:
        """From where to where along side i cuts at right angles stay clear of its corners."""
        ring, inner = np.vstack([self.ring, self.ring[:1]]), np.vstack([self.inner, self.inner[:1]])
        along = self._along(i)
        length = float(np.linalg.norm(ring[i + 1] - ring[i]))
        start, end = (inner[i] - ring[i]) @ along, (inner[i + 1] - ring[i]) @ along
        return max(0.0, float(start)), min(length, float(end))

    def _along(self, i: int) -> Floats:
        step = self.ring[(i + 1) % len(self.ring)] - self.ring[i]
        return np.asarray(step / np.linalg.norm(step))

    def cut(self, i: int, way: float) -> tuple[Floats, Floats]:
        """Outer and inner end of the party wall ``way`` metres along side i."""
        along = self._along(i)
        outer = self.ring[i] + along * way
        return outer, outer + self.depth * np.array([-along[1], along[0]])


def fill_perimeter(rng: np.random.Generator, style: Style, layout: Perimeter, block: Polygon) -> Built:
    """A block of row houses about a courtyard; a paved place where there is no room for rows."""
    built = Built()
    built.cover(block, "paved")
    row = _row(block, float(rng.uniform(*layout.depth)))
    if row is None:
        built.bodies += _cluster(rng, style.houses, block)
        return built
    court = orient(Polygon(row.inner))
    _courtyard(rng, style, built, court)
    houses, backs = _houses(rng, style.houses, layout, row), list[Body]()
    for body in houses:
        rear = _back(rng, style.houses, body, court) if rng.random() < layout.backs else None
        if rear is not None and not any(rear.outline.distance(b.outline) < 1.5 for b in backs):
            whole = joined(body, [rear])
            clear = all(whole.outline.intersection(h.outline).area < 0.05 for h in houses if h is not body)
            if whole is not body and clear:
                backs.append(rear)
                body = whole
        built.bodies.append(body)
    return built


def _row(block: Polygon, depth: float) -> _Row | None:
    """A ring of houses inside the block's border, as deep as there is room for."""
    circle = shapely.maximum_inscribed_circle(block, tolerance=0.5)
    if circle.length < NARROWEST:
        return None
    for margin, share in ((0.4, 1.0), (0.4, 0.8), (1.2, 0.7), (2.4, 0.6)):
        plain = max(shapely.get_parts(block.buffer(-margin, join_style="mitre")), key=lambda p: p.area).simplify(0.6)
        deep = min(depth, 0.8 * circle.length) * share
        ring = shapely.get_coordinates(orient(plain).exterior)[:-1]
        inner, turned = inset_ring(ring, deep)
        while turned.any() and len(ring) > 3:
            ring = _without_shortest(ring, turned)
            inner, turned = inset_ring(ring, deep)
        outline, court = Polygon(ring), Polygon(inner)
        sound = not turned.any() and outline.is_valid and court.is_valid and court.area > 20
        if sound and outline.difference(block).area < 0.5 and outline.covers(court):
            return _Row(ring, inner, deep)
    return None


def _without_shortest(ring: Floats, turned: NDArray[np.bool_]) -> Floats:
    """The ring with the shortest of its marked sides drawn together to that side's middle."""
    ahead = np.roll(ring, -1, axis=0)
    length = np.where(turned, np.linalg.norm(ahead - ring, axis=1), np.inf)
    i = int(np.argmin(length))
    rest = np.delete(ring, (i + 1) % len(ring), axis=0)
    rest[i if i + 1 < len(ring) else i - 1] = (ring[i] + ahead[i]) / 2
    return rest


def _cuts(rng: np.random.Generator, layout: Perimeter, row: _Row) -> list[tuple[int, float]]:
    """Where party walls stand: side and metres along it. Between the last of a side and the first of the next lies a
    house on the corner.
    """
    cuts = []
    for i in range(len(row.ring)):
        first, last = row.span(i)
        way = first + CLEAR + rng.uniform(0.0, 0.5) * layout.frontage[0]
        while last - way > CLEAR:
            cuts.append((i, way))
            width = rng.uniform(*layout.frontage)
            if last - (way + width) < 0.6 * layout.frontage[0]:
                break
            way += width
        if cuts and cuts[-1][0] == i and last - way > 1.2 * layout.frontage[0]:
            cuts.append((i, last - CLEAR))
    return cuts


def _houses(rng: np.random.Generator, houses: Houses, layout: Perimeter, row: _Row) -> list[Body]:
    cuts = _cuts(rng, layout, row)
    if len(cuts) < 3:
        return []
    bodies, typical = [], storeys(rng, houses)
    for (i, a), (j, b) in zip(cuts, [*cuts[1:], cuts[0]], strict=True):
        corner = i != j or b <= a
        if rng.random() < layout.gaps and not corner:
            continue
        outer, inner = _sections(row, (i, a), (j, b), corner=corner)
        if not corner:
            inner = outer + (inner - outer) * rng.uniform(0.72, 1.0)
        body = _house(rng, houses, layout, outer, inner, typical)
        if body is not None:
            bodies.append(body)
    return bodies


def _sections(row: _Row, start: tuple[int, float], end: tuple[int, float], *, corner: bool) -> tuple[Floats, Floats]:
    """Sections (k, 2) and (k, 2) of the house between two party walls, corners of the ring among them."""
    pairs = [row.cut(*start)]
    if corner:
        i = (start[0] + 1) % len(row.ring)
        while True:
            pairs.append((row.ring[i], row.inner[i]))
            if i == end[0]:
                break
            i = (i + 1) % len(row.ring)
    pairs.append(row.cut(*end))
    return np.array([p for p, _ in pairs]), np.array([q for _, q in pairs])


def _house(
    rng: np.random.Generator, houses: Houses, layout: Perimeter, outer: Floats, inner: Floats, typical: int
) -> Body | None:
    outline = sweep_outline(outer, inner)
    if not outline.is_valid or outline.area < 12:
        return None
    count = max(1, min(len(houses.storeys), typical + int(rng.choice([-1, 0, 0, 0, 1]))))
    eave = count * float(rng.uniform(*houses.storey_height)) + rng.uniform(0, 0.8)
    depth = float(np.linalg.norm(inner - outer, axis=1).min())
    pitched = rng.random() >= houses.flat
    rise = float(rng.uniform(*houses.pitch)) * depth / 2
    if not pitched:
        profile = level(eave)
    elif rng.random() < layout.mansards:
        profile = mansard(eave, max(rise, 3.0))
    else:
        profile = gable(eave, rise)
    mesh = swept(outer, inner, profile)
    if not (mesh.normals[mesh.surface == Surface.ROOF, 2] > 0).all():
        return None  # folded over at a corner too crooked for one house
    return Body(outline, mesh, eave, count, "pitched" if pitched else "flat", _use(rng))


def _cluster(rng: np.random.Generator, houses: Houses, block: Polygon) -> list[Body]:
    """Houses of all sizes, close together, on a block that is too narrow or too crooked for a courtyard."""
    bodies = []
    for lot in parcels(rng, block, (90.0, 200.0), jitter=0.05):
        frame = frontage(lot.outline, block)
        box = room(lot.outline, frame, 0.3, 0.0)
        if box is not None and min(box[1] - box[0], box[3] - box[2]) > 4.0:
            count, kind = storeys(rng, houses), roof(rng, houses)
            eave = count * float(rng.uniform(*houses.storey_height))
            bodies.append(winged([wing(rng, houses, box, eave, kind)], frame, count, _use(rng)))
    return [b for b in bodies if block.covers(b.outline)]


def _use(rng: np.random.Generator) -> str:
    return "commercial" if rng.random() < 0.2 else "residential"


def _back(rng: np.random.Generator, houses: Houses, body: Body, court: Polygon) -> Body | None:
    """A lower wing from a house's rear wall into the courtyard, or None where the court is too small."""
    ring = shapely.get_coordinates(orient(body.outline).exterior)[:-1]
    if len(ring) != 4:
        return None
    right, left = ring[2], ring[3]  # the rear wall, seen from the street
    width = float(np.linalg.norm(left - right))
    across = (left - right) / width
    away = np.array([across[1], -across[0]])
    if (ring[2] - ring[1]) @ away < 0:
        away = -away
    span, reach = width * rng.uniform(0.4, 0.6), rng.uniform(3.5, 11.0)
    at = right + across * (span / 2 + 0.2) if rng.random() < 0.5 else left - across * (span / 2 + 0.2)
    eave = max(2.6, body.eave * rng.uniform(0.45, 0.85))
    rise = 0.0 if rng.random() < 0.4 else houses.pitch[0] * span / 2
    frame = np.stack([at, across, away])
    if np.cross(frame[1], frame[2]) < 0:
        frame[1] = -frame[1]
    made = winged([Wing(0.0, reach / 2 - 0.15, reach + 0.3, span, True, eave, rise)], frame, 1)
    room = shapely.union_all([court, body.outline])
    beyond = frame[0] + np.array([(-span, 3.0 + reach), (span, 3.0 + reach)]) @ frame[1:]
    return made if room.buffer(0.05).covers(made.outline) and court.covers(shapely.LineString(beyond)) else None


def _courtyard(rng: np.random.Generator, style: Style, built: Built, court: Polygon) -> None:
    """Yards of single houses and gardens: pieces of a courtyard, each paved, green or bare."""
    for yard in parcels(rng, court, (60.0, 320.0), jitter=0.12, access=False):
        paved = rng.random() < style.paved_share
        built.cover(yard.outline, "paved" if paved else "bare" if rng.random() < 0.12 else style.courtyards)


def square(rng: np.random.Generator, style: Style, block: Polygon, *, church: bool) -> Built:
    """A paved square, with a church where one is wanted and has room."""
    built = Built()
    built.cover(block, "paved")
    if church:
        made = _church(rng, style.houses, block)
        if made is not None:
            built.bodies.append(made)
            if rng.random() < 0.6:
                built.cover(block.buffer(-2.0).difference(made.outline.buffer(4.0)), "grass")
    return built


def _church(rng: np.random.Generator, houses: Houses, block: Polygon) -> Body | None:
    """A nave with lower aisles, a choir and a tower with a pyramid roof."""
    middle, axes, size = oriented(block)
    longer = int(size[1] > size[0])
    frame = np.stack([middle, axes[longer], [-axes[longer][1], axes[longer][0]]])
    for length in (46.0, 38.0, 30.0, 24.0):
        length *= rng.uniform(0.9, 1.1)
        span, pitch = 0.3 * length, max(houses.pitch[1], 0.9)
        tower = 0.24 * length
        height = 9.0 + 0.16 * length
        wings = [
            Wing(0.0, 0.0, length, span, False, height, pitch * span / 2),
            Wing(-0.05 * length, 0.0, 0.8 * length, 1.7 * span, False, 0.55 * height, 0.14 * span),
            Wing(length * 0.14, 0.0, 1.9 * span, 0.75 * span, True, 0.92 * height, pitch * span * 0.37),
        ]
        half = 0.999 * tower / 2
        wings.append(
            Wing(
                -length / 2 - 0.3 * tower,
                0.0,
                tower,
                tower * 0.98,
                False,
                2.0 * height,
                1.4 * tower,
                (half * 0.98,) * 2,
            )
        )
        body = winged(wings, frame, 1, "commercial")
        if block.buffer(-1.0).covers(body.outline):
            return body
    return None
