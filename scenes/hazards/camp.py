"""Displacement camps: tents in rows or clusters on open ground, with tracks, latrines and water tanks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree
from shapely.geometry import LineString

from mage.scenes.city import City
from mage.scenes.errors import HazardError
from mage.scenes.hazards.camp_layout import GUYS, clusters, rows
from mage.scenes.hazards.open_ground import CLEAR, OpenGround
from mage.scenes.parts import CampPart

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Shapes = NDArray[np.object_]
Flags = NDArray[np.bool_]
Layout = Literal["rows", "clusters"]

COLOURS = ("white", "blue", "beige")  # of tarpaulins
USUAL = (2.0, 0.4, 0.5)  # Dirichlet's, of the colours' shares: most camps are white, some of one other colour
FORMS = ("ridge", "tunnel")
ALIKE = 0.9  # share of a place's tents that are of one form
LATRINE, TANK = range(2)
FACILITIES = ((6.0, 2.0), (3.0, 3.0))  # metres: a row of five cabins, a tank on its base
# Sphere Handbook (2018): 20 people to a toilet, 250 to a tap; five to a tent
TENTS_PER_LATRINE, TENTS_PER_TANK = 20, 50
LENGTHS, WIDTHS = (4.3, 6.4), (4.2, 4.8)  # metres, of most of a camp's tents
SMALLEST, LARGEST = (4.0, 4.0), (8.0, 5.0)  # metres, of any
JITTER, ASKEW = 0.25, 0.03  # metres and radians (standard deviation) that tents stand out of line
TRACK, SHORTEST = 3.0, 4.0  # metres: width, and length of the shortest
_OF_TENTS = ("xy", "heading", "size", "colour", "form")
_OF_FACILITIES = ("facility_xy", "facility_heading", "facility_kind")
SITES, LEAST = 24, 6  # places where a camp is begun at most, and tents that each must have room for


@dataclass(frozen=True, slots=True, eq=False)
class Camp:
    """A camp; local metres. The label is the tent, its product the count.

    Attributes:
        xy: (n, 2) middles of the tents. heading: (n,) radians anticlockwise from east of their length.
        size: (n, 2) length and width. colour: uint8 (n,) index into :data:`COLOURS`. form: uint8 (n,) index into
            :data:`FORMS`.
        tracks: trodden or gravelled ways, :data:`TRACK` metres wide.
        facility_xy: (m, 2), facility_heading: (m,), facility_kind: uint8 (m,) ``LATRINE`` or ``TANK``, as large as
            :data:`FACILITIES` says.
        wanted: how many tents were asked for; ``n`` is less where open ground ran out.
        layout: how they stand.
    """

    xy: Floats
    heading: Floats
    size: Floats
    colour: Bytes
    form: Bytes
    tracks: tuple[LineString, ...]
    facility_xy: Floats
    facility_heading: Floats
    facility_kind: Bytes
    wanted: int
    layout: Layout

    def __len__(self) -> int:
        return len(self.xy)

    def tents(self) -> Shapes:
        """The tents' plans as polygons (n,)."""
        return rectangles(self.xy, self.heading, self.size)

    def facilities(self) -> Shapes:
        """The facilities' plans as polygons (m,)."""
        return rectangles(self.facility_xy, self.facility_heading, np.array(FACILITIES)[self.facility_kind])

    def plans(self) -> Shapes:
        """The plans of both (n + m,), tents first."""
        return np.concatenate([self.tents(), self.facilities()])

    def without(self, gone: Flags, lost: Flags) -> Camp:
        """The camp but for some of its tents and facilities, ``gone`` (n + m,) in the order of :meth:`plans`, and some
        of its tracks, ``lost`` (k,).
        """
        tents, others = ~gone[: len(self)], ~gone[len(self) :]
        kept = {name: getattr(self, name)[tents] for name in _OF_TENTS}
        kept |= {name: getattr(self, name)[others] for name in _OF_FACILITIES}
        return replace(self, **kept, tracks=tuple(t for t, gone in zip(self.tracks, lost, strict=True) if not gone))


def camp(
    city: City, count: int, rng: np.random.Generator, *, layout: Layout = "rows", spoilt: Flags | None = None
) -> Camp:
    """A camp of up to ``count`` tents on the open ground in a city's view.

    Open are grass, bare ground, fields, sand, pitches and car parks that no later cover hides, 1.5 m from buildings,
    streets, tracks, water, barriers and structures, and 0.3 m from crowns of trees. Wide pieces are likely to be
    chosen, and filled from their middle. No tent, facility or track overlaps another thing, or what stands.

    Args:
        city: completed.
        count: tents.
        rng: draws the place, its turn, sizes, colours and disorder.
        layout: rows back to back with lanes between, or rings around courts.
        spoilt: (rows, columns) of the terrain's vertices where a disaster has come: no camp is there, see
            :func:`mage.scenes.hazards.reached.reached`. Where it leaves no room there is a camp of no tents.

    Raises:
        HazardError: no terrain, a count below 1, or no open ground for a single tent, though nothing is spoilt.
    """
    if city.terrain is None:
        raise HazardError(f"the city {city.name} has no ground for a camp", expected="a completed city")
    if count < 1:
        raise HazardError("a camp needs tents", expected="at least 1", found=f"{count}")
    ground = OpenGround.of(city, spoilt)
    parts: list[Camp] = []
    for _ in range(SITES):
        missing = count - sum(len(part) for part in parts if len(part) >= LEAST)
        middle = ground.choose(rng)
        if middle is None or missing <= 0:
            break
        parts.append(_settle(rng, ground, middle, missing, layout))
    if spoilt is None and not parts:
        raise HazardError(
            f"no open ground for a camp in the city {city.name}", expected="room for a tent", found="none"
        )
    # a tent or two apart from the others are no camp, unless there is nothing else
    kept = [part for part in parts if len(part) >= LEAST] or sorted(parts, key=len)[-1:]
    return _joined(kept, count, layout)


def sample_camp(rng: np.random.Generator, city: City, part: CampPart, *, spoilt: Flags | None = None) -> Camp:
    """A camp whose count and layout are drawn from what the recipe says.

    Raises:
        HazardError: as :func:`camp`.
    """
    count = int(rng.integers(part.tents[0], part.tents[1], endpoint=True))
    return camp(city, count, rng, layout="rows" if rng.random() < part.rows else "clusters", spoilt=spoilt)


def rectangles(xy: Floats, heading: Floats, size: Floats, margin: float = 0.0) -> Shapes:
    """Plans (n,) of things at ``xy`` (n, 2) with length along ``heading`` and width (n, 2), grown by a margin."""
    corners = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * (np.reshape(size, (-1, 1, 2)) / 2 + margin)
    c, s = np.cos(heading)[:, None], np.sin(heading)[:, None]
    turned = np.stack([corners[..., 0] * c - corners[..., 1] * s, corners[..., 0] * s + corners[..., 1] * c], axis=-1)
    return np.asarray(shapely.polygons(turned + xy[:, None]), dtype=object)


def _settle(rng: np.random.Generator, ground: OpenGround, middle: tuple[int, int], count: int, layout: Layout) -> Camp:
    """Up to ``count`` tents around a place, on the piece of open ground that it lies on."""
    size = np.array([rng.uniform(*LENGTHS), rng.uniform(*WIDTHS)])
    origin, piece = ground.xy(middle), ground.piece(middle)
    turn = ground.along(piece, origin)
    slots = (rows if layout == "rows" else clusters)(size, count).about_one()
    turned = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    order = np.argsort(np.hypot(*slots.xy.T), kind="stable")
    n = len(order)
    local = slots.xy[order] + rng.uniform(-JITTER, JITTER, (n, 2))
    xy = origin + local @ turned
    heading = slots.heading[order] + turn + rng.normal(0.0, ASKEW, n)
    sizes = np.clip(size * rng.uniform(0.92, 1.08, (n, 2)), SMALLEST, LARGEST)
    colour = rng.choice(len(COLOURS), n, p=rng.dirichlet(USUAL)).astype(np.uint8)
    lead = int(rng.integers(len(FORMS)))
    form = np.where(rng.random(n) < ALIKE, lead, (lead + 1) % len(FORMS)).astype(np.uint8)
    fits = np.flatnonzero(ground.holds(piece, xy))
    kind = _kinds(n, fits)
    sizes = np.where(kind[:, None] < 0, sizes, np.array(FACILITIES)[kind])
    chosen = _apart(rectangles(xy, heading, sizes), kind < 0, fits, ground, count)
    tents, others = chosen[kind[chosen] < 0], chosen[kind[chosen] >= 0]
    shapes = rectangles(xy[chosen], heading[chosen], sizes[chosen])
    tracks = _tracks(origin + slots.lanes @ turned, shapes, ground) if len(tents) else ()
    ground.take(np.concatenate([shapes, shapely.buffer(np.array(tracks, dtype=object), TRACK / 2)]), middle)
    return Camp(
        xy[tents], heading[tents], sizes[tents], colour[tents], form[tents], tracks, xy[others], heading[others],
        kind[others].astype(np.uint8), count, layout,
    )  # fmt: skip


def _kinds(n: int, fits: NDArray[np.int64]) -> NDArray[np.int64]:
    """What each of n slots is for: a facility's kind, -1 for a tent; even among those that fit, from the middle on."""
    turn = np.arange(len(fits))
    kind = np.full(n, -1)
    kind[fits[turn % (TENTS_PER_LATRINE + 1) == TENTS_PER_LATRINE // 2]] = LATRINE
    kind[fits[turn % (TENTS_PER_TANK + 1) == TENTS_PER_TANK // 3]] = TANK
    return kind


def _apart(
    shapes: Shapes, tent: NDArray[np.bool_], fits: NDArray[np.int64], ground: OpenGround, count: int
) -> NDArray[np.int64]:
    """Indices of the first ``count`` tents, and facilities among them, that keep clear of all else and one another."""
    fits = fits[ground.free(shapes[fits])]
    a, b = STRtree(shapes[fits]).query(shapes[fits], predicate="dwithin", distance=GUYS * 0.8)
    before: dict[int, list[int]] = {}
    for i, j in zip(a.tolist(), b.tolist(), strict=True):
        if j < i:
            before.setdefault(i, []).append(j)
    chosen: list[int] = []
    there: set[int] = set()
    tents = 0
    for i in range(len(fits)):
        if tents == count:
            break
        if there.isdisjoint(before.get(i, ())):
            chosen.append(i)
            there.add(i)
            tents += bool(tent[fits[i]])
    return fits[np.array(chosen, np.int64)]


def _tracks(lanes: Floats, camp_shapes: Shapes, ground: OpenGround) -> tuple[LineString, ...]:
    """The lanes (k, 2, 2) between tents as tracks: within the camp, and clear of everything."""
    hull = shapely.convex_hull(shapely.union_all(camp_shapes)).buffer(TRACK)
    near = ground.near(hull, TRACK + CLEAR)
    wide = TRACK / 2 + 0.1
    blocked = shapely.union_all(
        np.concatenate(
            [shapely.buffer(near, wide + CLEAR, quad_segs=4), shapely.buffer(camp_shapes, wide, quad_segs=4)]
        )
    )
    pieces = shapely.get_parts(shapely.difference(shapely.intersection(shapely.linestrings(lanes), hull), blocked))
    return tuple(piece for piece in pieces if piece.geom_type == "LineString" and piece.length >= SHORTEST)


def _joined(parts: list[Camp], wanted: int, layout: Layout) -> Camp:
    parts = [_nothing(wanted, layout), *parts]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in (*_OF_TENTS, *_OF_FACILITIES)}
    tracks = tuple(track for part in parts for track in part.tracks)
    return Camp(**arrays, tracks=tracks, wanted=wanted, layout=layout)


def _nothing(wanted: int, layout: Layout) -> Camp:
    pairs, numbers, kinds = np.zeros((0, 2)), np.zeros(0), np.zeros(0, np.uint8)
    return Camp(pairs, numbers, pairs, kinds, kinds, (), pairs, numbers, kinds, wanted, layout)
