"""Benign change: what people do between two images of a place while no disaster is about."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree
from shapely.geometry import Polygon

from mage.scenes.city import Building, City
from mage.scenes.hazards.open_ground import standing_in
from mage.scenes.mesh import Mesh, Surface, planar_uv
from mage.scenes.season import Crop, crop_of

Floats = NDArray[np.float64]
Bounds = tuple[float, float, float, float]

PRE, POST = 0, 1
# how many there are at an amount of 1; judgement: an image analyst finds some on every pair of a year apart
SHEDS, GOODS = 0.07, 0.12  # per building
SITES = 1.5  # building sites per 6.5 hectares (a tile of 512 pixels of half a metre)
TILE = 65536.0  # square metres
MOWN, PLOUGHED, COVERED = 0.7, 0.5, 0.4  # share of gardens and meadows, of fields, of pools
GARDEN = 12.0  # metres from a house that its garden reaches
MEADOW = (150.0, 30_000.0)  # square metres of grass that is mown in one go
APART = 0.9  # metres that new things keep from all else
HAZARD = 3.0  # metres that they keep from where the hazard came
TRIES = 8  # places looked at for each
SOFT = ("grass", "bare", "agriculture", "sand")
SIZES = {"skip": (3.6, 1.8, 1.35), "container": (6.06, 2.44, 2.59)}  # metres: length, width, height
YARD = (*SOFT, "paved", "parking", "asphalt")


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Ground that looks otherwise at one date: ``mown`` or ``long`` grass, ``ploughed`` fields, ``soil`` of a
    building site, a ``covered`` pool. ``date`` is 0 for before, 1 for after.
    """

    kind: str
    date: int
    outline: Polygon


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """Something that stands there at one date: a ``skip``, a ``container``, a ``stack`` of goods, a ``heap`` of soil, a
    ``slab`` or a ``wall`` of a house that is being built; its middle (x, y), heading in radians from east, and
    length, width and height in metres.
    """

    kind: str
    date: int
    xy: tuple[float, float]
    heading: float
    size: tuple[float, float, float]

    @property
    def plan(self) -> Polygon:
        """Its outline from above, local metres."""
        return rectangle(self.xy, self.heading, self.size[0], self.size[1])


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """All of it; ``sheds`` are buildings that stand after only."""

    patches: tuple[Patch, ...] = ()
    things: tuple[Thing, ...] = ()
    sheds: tuple[Building, ...] = ()

    def plans(self, date: int) -> list[Polygon]:
        """Outlines of all that stands at a date and not at the other."""
        own = [t.plan for t in self.things if t.date == date]
        return own + ([shed.footprint for shed in self.sheds] if date == POST else [])


def sample_change(
    rng: np.random.Generator, city: City, bounds: Bounds, amount: float, spoilt: Floats | None = None
) -> Change:
    """Draw what changes within ``bounds`` (west, south, east, north).

    Args:
        rng: all randomness.
        city: completed, as it stands before.
        bounds: of the tile, local metres.
        amount: 0 for nothing, 1 for a great deal.
        spoilt: points (k, 2) where the hazard came: nothing new stands within 3 m of them.
    """
    if amount <= 0:
        return Change()
    streams = rng.spawn(4)
    spots = _Spots(_around(city, bounds), bounds, np.zeros((0, 2)) if spoilt is None else spoilt)
    patches = list(_patches(streams[0], city, spots, amount))
    grounds, things = _sites(streams[1], spots, amount)
    sheds = _sheds(streams[2], spots, amount)
    things += _goods(streams[3], spots, amount)
    return Change(tuple(patches + grounds), tuple(things), tuple(sheds))


def rectangle(xy: tuple[float, float], heading: float, length: float, width: float) -> Polygon:
    """A rectangle about a point, its length along ``heading``."""
    c, s = math.cos(heading), math.sin(heading)
    corners = [(0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5)]
    turned = [(u * length * c - v * width * s, u * length * s + v * width * c) for u, v in corners]
    return Polygon([(xy[0] + x, xy[1] + y) for x, y in turned])


def _around(city: City, bounds: Bounds) -> City:
    """What of a city lies within 30 m of the bounds; trees, streets and land too."""
    view = shapely.box(*bounds).buffer(30.0)
    west, south, east, north = view.bounds
    xy = city.trees.xy
    near = (xy[:, 0] > west) & (xy[:, 0] < east) & (xy[:, 1] > south) & (xy[:, 1] < north)
    trees = replace(
        city.trees,
        xy=xy[near],
        height=city.trees.height[near],
        radius=city.trees.radius[near],
        species=city.trees.species[near],
    )

    def _met(things: tuple[Any, ...], shapes: list[shapely.Geometry]) -> tuple[Any, ...]:
        return tuple(things[i] for i in np.flatnonzero(shapely.intersects(np.array(shapes, object), view)))

    return replace(
        city,
        bounds=bounds,
        trees=trees,
        buildings=_met(city.buildings, [b.footprint for b in city.buildings]),
        roads=replace(city.roads, edges=_met(city.roads.edges, [e.line for e in city.roads.edges])),
        land=_met(city.land, [p.outline for p in city.land]),
        barriers=_met(city.barriers, [b.line for b in city.barriers]),
    )


class _Spots:
    """Room for new things in a part of a city; what is taken is not given again."""

    def __init__(self, city: City, bounds: Bounds, spoilt: Floats) -> None:
        self.city, self.view = city, shapely.box(*bounds)
        self.houses = [b for b in city.buildings if self.view.contains(b.footprint.centroid)]
        self._taken = list(standing_in(city))
        self._tree = STRtree(self._taken)
        self._new: list[Polygon] = []
        self._spoilt = spoilt
        self._patches = STRtree([p.outline for p in city.land])

    def cover(self, xy: tuple[float, float]) -> str:
        """What the ground at a point is covered with; nothing where the city says nothing."""
        on = self._patches.query(shapely.Point(xy), predicate="intersects")
        return self.city.land[int(on.max())].cover if len(on) else ""

    def share(self, outline: Polygon, cover: str) -> float:
        """About how much of the ground inside an outline is of a cover, 0-1."""
        west, south, east, north = outline.bounds
        x, y = np.meshgrid(np.linspace(west, east, 7), np.linspace(south, north, 7))
        inside = shapely.contains_xy(outline, x, y)
        place, patch = self._patches.query(shapely.points(x[inside], y[inside]), predicate="intersects")
        top = np.full(int(inside.sum()), -1)
        np.maximum.at(top, place, patch)
        covers = np.array([*(p.cover for p in self.city.land), ""])
        return float((covers[top] == cover).sum()) / max(len(top), 1)

    def take(self, plan: Polygon, covers: tuple[str, ...], apart: float = APART) -> bool:
        """Whether there is room for a plan; if so it is taken."""
        ring = shapely.get_coordinates(plan)
        free = (
            self.view.contains(plan)
            and not len(self._tree.query(plan, predicate="dwithin", distance=apart))
            and not self._struck(plan)
            and all(plan.distance(other) > apart for other in self._new)
            and all(self.cover((float(x), float(y))) in covers for x, y in ring[:4])
        )
        if free:
            self._new.append(plan)
        return free

    def _struck(self, plan: Polygon) -> bool:
        """Whether the hazard came near a plan."""
        west, south, east, north = plan.bounds
        x, y = self._spoilt.T  # there are far more of them than places that are asked for
        near = (x >= west - HAZARD) & (x <= east + HAZARD) & (y >= south - HAZARD) & (y <= north + HAZARD)
        return bool(shapely.dwithin(shapely.points(self._spoilt[near]), plan, HAZARD).any())

    def beside(
        self, rng: np.random.Generator, size: tuple[float, float], away: tuple[float, float], covers: tuple[str, ...]
    ) -> tuple[tuple[float, float], float] | None:
        """A place and heading for a rectangle of ``size`` beside a house; None where none is found."""
        if not self.houses:
            return None
        for _ in range(TRIES):
            house = self.houses[int(rng.integers(len(self.houses)))].footprint
            around = house.buffer(rng.uniform(*away) + min(size) / 2).exterior if house.geom_type == "Polygon" else None
            heading = _orientation(house) + (0.0 if rng.random() < 0.5 else math.pi / 2)
            if around is None:
                continue
            point = around.interpolate(rng.random(), normalized=True)
            if self.take(rectangle((point.x, point.y), heading, *size), covers):
                return (point.x, point.y), heading
        return None


def _orientation(shape: shapely.Geometry) -> float:
    """Radians from east of the longer side of a shape."""
    box = shapely.get_coordinates(shape.minimum_rotated_rectangle)
    if len(box) < 4:
        return 0.0
    side = max(np.diff(box[:3], axis=0), key=lambda s: float(s @ s))
    return math.atan2(side[1], side[0])


def _patches(rng: np.random.Generator, city: City, spots: _Spots, amount: float) -> Iterator[Patch]:
    """Grass that is cut, fields that are ploughed, pools that are covered."""
    for garden in _gardens([b for b in spots.city.buildings if b.footprint.intersects(spots.view)]):
        drawn, kind, when = rng.random(), "mown" if rng.random() < 0.6 else "long", int(rng.integers(2))
        if drawn < MOWN * amount and spots.share(garden, "grass") >= 0.4:
            yield Patch(kind, when, garden)
    for i, patch in enumerate(city.land):
        if not patch.outline.intersects(spots.view):
            continue
        drawn, when = rng.random(), int(rng.integers(2))
        crop, _ = crop_of(i)
        meadow = patch.cover == "grass" and MEADOW[0] < patch.outline.area < MEADOW[1]
        if drawn < MOWN * amount and (meadow or (patch.cover == "agriculture" and crop == Crop.MEADOW)):
            kind = "mown"
        elif drawn < PLOUGHED * amount and patch.cover == "agriculture" and crop != Crop.MEADOW:
            kind, when = "ploughed", POST
        elif drawn < COVERED * amount and patch.cover == "pool":
            kind = "covered"
        else:
            continue
        yield from (Patch(kind, when, part) for part in shapely.get_parts(patch.outline))


def _gardens(houses: list[Building]) -> list[Polygon]:
    """Ground around each house, half-way to its neighbours."""
    if len(houses) < 3:
        return []
    middles = shapely.multipoints([b.footprint.centroid for b in houses])
    cells = shapely.get_parts(shapely.voronoi_polygons(middles))
    middle = STRtree([b.footprint.centroid for b in houses])
    gardens = []
    for cell in cells:
        own = middle.query(cell, predicate="intersects")
        if len(own):
            # mitred buffers of the parts of one house may cross each other
            around = shapely.make_valid(houses[int(own[0])].footprint.buffer(GARDEN, join_style="mitre"))
            around = around.intersection(cell)
            gardens += [g for g in shapely.get_parts(around) if g.geom_type == "Polygon"]
    return gardens


def _sheds(rng: np.random.Generator, spots: _Spots, amount: float) -> list[Building]:
    """Garden sheds beside houses."""
    sheds: list[Building] = []
    for _ in range(int(rng.poisson(SHEDS * amount * len(spots.houses)))):
        size = float(rng.uniform(2.4, 4.6)), float(rng.uniform(2.0, 3.4))
        eave, rise = float(rng.uniform(1.9, 2.3)), float(rng.uniform(0.25, 0.7))
        found = spots.beside(rng, size, (2.0, 9.0), SOFT)
        if found is not None:
            sheds.append(_shed(spots.city, f"new-shed-{len(sheds) + 1}", found, size, eave, rise))
    return sheds


def _shed(
    city: City,
    name: str,
    where: tuple[tuple[float, float], float],
    size: tuple[float, float],
    eave: float,
    rise: float,
) -> Building:
    """A box with a roof that slopes to one side, as a building."""
    plan = rectangle(*where, *size)
    corners = shapely.get_coordinates(plan)[:4]
    foot = city.ground.sample(corners)
    ground = float(foot.mean())
    low = np.column_stack([corners, np.full(4, float(foot.min()) - 0.2)])
    high = np.column_stack([corners, ground + eave + rise * np.array([1.0, 1.0, 0.0, 0.0])])
    return Building(
        id=name,
        footprint=plan,
        ground=ground,
        height=eave + rise,
        eave=eave,
        mesh=block(low, high),
        lod=2,
        storeys=1,
        roof="pitched",
        inferred=("shed",),
    )


def block(low: Floats, high: Floats) -> Mesh:
    """A closed body between two rings (k, 3) of the same number of corners, both anticlockwise from above."""
    k = len(low)
    i, j, fan = np.arange(k), (np.arange(k) + 1) % k, np.arange(1, k - 1)
    walls = np.concatenate([np.stack([i, j, j + k], 1), np.stack([i, j + k, i + k], 1)])
    foot, top = np.stack([0 * fan, fan + 1, fan], 1), np.stack([0 * fan, fan, fan + 1], 1) + k
    triangles = np.concatenate([foot, top, walls]).astype(np.int32)
    kinds = [Surface.GROUND] * len(foot) + [Surface.ROOF] * len(top) + [Surface.WALL] * len(walls)
    vertices = np.concatenate([low, high])
    return Mesh(vertices, triangles, np.array(kinds, np.uint8), planar_uv(vertices, triangles))


def _goods(rng: np.random.Generator, spots: _Spots, amount: float) -> list[Thing]:
    """Skips, containers and stacks of goods in yards and gardens, at one date and not at the other."""
    things = []
    for _ in range(int(rng.poisson(GOODS * amount * len(spots.houses)))):
        kind = str(rng.choice(["skip", "container", "stack"], p=[0.4, 0.2, 0.4]))
        stack = float(rng.uniform(1.2, 3.2)), float(rng.uniform(0.9, 1.4)), float(rng.uniform(0.5, 1.6))
        size = SIZES.get(kind, stack)
        found = spots.beside(rng, size[:2], (1.2, 6.0), YARD)
        if found is not None:
            things.append(Thing(kind, int(rng.integers(2)), *found, size))
    return things


def _sites(rng: np.random.Generator, spots: _Spots, amount: float) -> tuple[list[Patch], list[Thing]]:
    """Building sites after, some of them begun before, on open ground."""
    grounds: list[Patch] = []
    things: list[Thing] = []
    west, south, east, north = spots.view.bounds
    for _ in range(int(rng.poisson(SITES * amount * spots.view.area / TILE))):
        for _ in range(5 * TRIES):
            size = float(rng.uniform(15, 28)), float(rng.uniform(11, 18))
            xy = float(rng.uniform(west, east)), float(rng.uniform(south, north))
            near = min(spots.houses, key=lambda b: b.footprint.distance(shapely.Point(xy)), default=None)
            heading = _orientation(near.footprint) if near else float(rng.uniform(0, math.pi))
            if spots.take(rectangle(xy, heading, *size), SOFT):
                patches, stuff = _site(rng, xy, heading, size)
                grounds, things = grounds + patches, things + stuff
                break
    return grounds, things


def _site(
    rng: np.random.Generator, xy: tuple[float, float], heading: float, size: tuple[float, float]
) -> tuple[list[Patch], list[Thing]]:
    """A plot of soil, a slab with the first walls or none yet, and what lies about it."""

    def _at(u: float, v: float) -> tuple[float, float]:
        c, s = math.cos(heading), math.sin(heading)
        return xy[0] + u * c - v * s, xy[1] + u * s + v * c

    length, width = size
    soil = _uneven(rng, rectangle(xy, heading, *size))
    patches = [Patch("soil", POST, soil)] + ([Patch("soil", PRE, soil)] if rng.random() < 0.4 else [])
    house = (0.5 * length, 0.62 * width)
    middle = _at(-0.12 * length, 0.0)
    things = _half_built(rng, middle, heading, house)
    for v in (-0.3, 0.05, 0.33):
        kind = str(rng.choice(["heap", "stack", "container", "skip", ""], p=[0.35, 0.3, 0.12, 0.13, 0.1]))
        wide = float(rng.uniform(2.4, 4.2))
        loose = {"heap": (wide, 0.85 * wide, 0.33 * wide), "stack": (2.4, 1.2, float(rng.uniform(0.5, 1.5)))}
        if kind:
            own = SIZES.get(kind) or loose[kind]
            things.append(Thing(kind, POST, _at(0.34 * length, v * width), heading + float(rng.normal(0, 0.1)), own))
    return patches, things


def _half_built(
    rng: np.random.Generator, xy: tuple[float, float], heading: float, size: tuple[float, float]
) -> list[Thing]:
    """A slab, and on it the walls of a ground storey as far as they have come."""
    (length, width), (c, s) = size, (math.cos(heading), math.sin(heading))
    things = [Thing("slab", POST, xy, heading, (length, width, 0.3))]
    if rng.random() < 0.3:
        return things
    inner = float(rng.uniform(-0.2, 0.2)) * length
    walls = [(0.0, 0.47 * width, 0.0, length), (0.0, -0.47 * width, 0.0, length)]
    walls += [(u, 0.0, math.pi / 2, width) for u in (-0.48 * length, 0.48 * length, inner)]
    for u, v, turn, long in walls:
        if rng.random() < 0.8:
            place = xy[0] + u * c - v * s, xy[1] + u * s + v * c
            run = 0.94 * long * float(rng.uniform(0.75, 1.0))
            things.append(Thing("wall", POST, place, heading + turn, (run, 0.3, float(rng.choice([1.0, 1.8, 2.9])))))
    return things


def _uneven(rng: np.random.Generator, plan: Polygon) -> Polygon:
    """A plan whose border wanders inwards by up to a metre."""
    line, inside = plan.exterior, plan.centroid
    ways = np.linspace(0, line.length, max(int(line.length / 2.5), 8), endpoint=False)
    points = shapely.get_coordinates(shapely.line_interpolate_point(line, ways))
    towards = np.array([inside.x, inside.y]) - points
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    return Polygon(points + towards * rng.uniform(0, 1.1, (len(points), 1)))
