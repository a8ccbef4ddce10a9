"""Houses along streets: what stands on each frontage, with its drive, its terrace and its shed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree
from shapely.geometry import Polygon

from mage.scenes.city import Building, LandPatch, RoadEdge, RoadGraph
from mage.scenes.sources.procedural.houses import Wing, house_mesh, house_outline, pitched_wing, projecting_wing
from mage.scenes.style import Houses, Style
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]

SUNK = 1.0  # metres that walls reach below the lowest ground at the house
CORNER = 9.0  # metres of every street's ends that are left free


@dataclass(frozen=True, slots=True)
class Design:
    """A house before it is placed: wings with their front at y = 0, its frontage and depth (m), and its roof."""

    wings: tuple[Wing, ...]
    width: float
    depth: float
    storeys: int
    roof: str
    occupancy: str = "residential"


@dataclass(slots=True)
class _Site:
    """What has been built so far, in cells of 60 m so that neighbours are found at once."""

    style: Style
    terrain: Terrain
    allowed: Polygon
    streets: STRtree
    buildings: list[Building] = field(default_factory=list)
    land: list[LandPatch] = field(default_factory=list)
    cells: dict[tuple[int, int], list[Polygon]] = field(default_factory=dict)

    def neighbours(self, outline: Polygon) -> list[Polygon]:
        west, south, east, north = (int(v // 60) for v in outline.buffer(8).bounds)
        keys = [(i, j) for i in range(west, east + 1) for j in range(south, north + 1)]
        return [other for key in keys for other in self.cells.get(key, [])]

    def fits(self, outline: Polygon, gap: float) -> bool:
        if not self.allowed.covers(outline) or len(self.streets.query(outline, "dwithin", 2.5)):
            return False
        return not any(outline.distance(other) < gap for other in self.neighbours(outline))

    def build(self, design: Design, place: Floats) -> Building:
        outline = house_outline(design.wings, place)
        corners = np.concatenate([shapely.get_coordinates(outline), [outline.centroid.coords[0]]])
        heights = self.terrain.sample(corners)
        ground = float(heights.mean())
        building = Building(
            id=f"b{len(self.buildings) + 1:05d}",
            footprint=outline,
            ground=ground,
            height=max(w.eave + w.rise for w in design.wings),
            eave=min(w.eave for w in design.wings),
            mesh=house_mesh(design.wings, place, ground, float(heights.min()) - SUNK),
            lod=2,
            storeys=design.storeys,
            occupancy=design.occupancy,
            roof=design.roof,
        )
        self.buildings.append(building)
        west, south, east, north = (int(v // 60) for v in outline.bounds)
        for key in dict.fromkeys(((west, south), (west, north), (east, south), (east, north))):
            self.cells.setdefault(key, []).append(outline)
        return building


def settle(
    rng: np.random.Generator, style: Style, terrain: Terrain, roads: RoadGraph, allowed: Polygon
) -> tuple[tuple[Building, ...], tuple[LandPatch, ...]]:
    """Buildings along both sides of every street, within ``allowed`` ground, and the paved ground that serves them."""
    carriageways = [e.line.buffer(e.width / 2, quad_segs=4) for e in roads.edges]
    shapely.prepare(allowed)
    site = _Site(style, terrain, allowed, STRtree(carriageways))
    for edge in roads.edges:
        for side in (1.0, -1.0):
            _frontage(rng, site, edge, side)
    return tuple(site.buildings), tuple(site.land)


def _frontage(rng: np.random.Generator, site: _Site, edge: RoadEdge, side: float) -> None:
    """House after house along one side of a street. One that does not fit is tried further on, six times, so that
    large houses are not lost more often than small ones.
    """
    houses = site.style.houses
    setback = rng.uniform(*houses.setback)
    terrace = rng.random() < houses.attached
    row = _Row.drawn(rng, houses)
    way, tries, design = CORNER, 0, None
    while way < edge.line.length - CORNER - 5:
        if design is None or tries > 6:
            row, tries = (row, 0) if design is None else (_Row.drawn(rng, houses), 0)
            design = row.design(rng, houses) if terrace else _lone(rng, houses)
        built = _try_house(rng, site, design, edge, (way, side, setback), terrace=terrace)
        if built is None:
            way, tries = way + 4.0, tries + 1
            continue
        way, design = way + built, None
        if terrace and rng.random() < 0.1:
            way += rng.uniform(2.5, 9.0)
            row = _Row.drawn(rng, houses)


def _try_house(
    rng: np.random.Generator,
    site: _Site,
    design: Design,
    edge: RoadEdge,
    at: tuple[float, float, float],
    *,
    terrace: bool,
) -> float | None:
    """Build a house at (way, side, setback) of a street; the frontage that it takes (m), or None if it does not fit."""
    way, side, setback = at
    houses = site.style.houses
    yard = 0.0 if terrace else rng.uniform(*houses.side_yard)
    back = setback + (0.0 if terrace else rng.normal(0, 0.8)) + (14.0 if design.occupancy == "commercial" else 0.0)
    middle = way + yard + design.width / 2
    if middle + design.width / 2 > edge.line.length - CORNER:
        return None
    place = _place(edge, middle, side, back)
    outline = house_outline(design.wings, place)
    gap = -1.0 if terrace else 2 * houses.side_yard[0] + 0.4
    if not site.fits(outline, gap) or (terrace and _runs_into(site, outline)):
        return None
    site.build(design, place)
    _furnish(rng, site, design, place, back)
    return 2 * yard + design.width


def _runs_into(site: _Site, outline: Polygon) -> bool:
    """Whether a terrace house would overlap another building instead of just touching it."""
    return any(outline.intersection(other).area > 0.3 for other in site.neighbours(outline))


def _place(edge: RoadEdge, way: float, side: float, back: float) -> Floats:
    """Origin and axes (3, 2) at the middle of a house's front: x along the street, y away from it."""
    span = np.clip([way - 6, way + 6], 0, edge.line.length)
    a, b, here = shapely.get_coordinates(shapely.line_interpolate_point(edge.line, [*span, way]))
    tangent = (b - a) / np.linalg.norm(b - a)
    away = side * np.array([-tangent[1], tangent[0]])
    return np.stack([here + away * (edge.width / 2 + back), [away[1], -away[0]], away])


@dataclass(frozen=True, slots=True)
class _Row:
    """What the houses of one terrace share."""

    depth: float
    storeys: int
    storey: float
    pitch: float
    flat: bool

    @classmethod
    def drawn(cls, rng: np.random.Generator, houses: Houses) -> _Row:
        flat = rng.random() < houses.flat / max(houses.flat + houses.gabled, 1e-9)
        depth, storey = rng.uniform(9.0, 12.5), rng.uniform(*houses.storey_height)
        return cls(depth, _storeys(rng, houses), storey, rng.uniform(*houses.pitch), flat)

    def design(self, rng: np.random.Generator, houses: Houses) -> Design:
        """One house of the row: the ridge runs on along the street."""
        width = float(np.clip(_area(rng, houses) / self.depth, 4.8, 10.0))
        eave = self.storeys * self.storey + rng.choice([0.0, 0.0, 0.25, -0.2])
        rise = 0.0 if self.flat else self.pitch * self.depth / 2
        wing = Wing(0.0, self.depth / 2, width, self.depth, False, eave, rise)
        return Design((wing,), width, self.depth, self.storeys, "flat" if self.flat else "pitched")


def _storeys(rng: np.random.Generator, houses: Houses) -> int:
    weights = np.array(houses.storeys)
    return int(rng.choice(len(weights), p=weights / weights.sum())) + 1


def _area(rng: np.random.Generator, houses: Houses) -> float:
    """Ground area (m²): lognormal on each side of the median, through the style's three quantiles."""
    low, middle, high = houses.area
    z = float(np.clip(rng.normal(), -1.9, 1.9))
    return middle * ((middle / low) if z < 0 else (high / middle)) ** (z / 1.2816)


def _lone(rng: np.random.Generator, houses: Houses) -> Design:
    if rng.random() < houses.large:
        return _large(rng, houses)
    area, storeys = _area(rng, houses), _storeys(rng, houses)
    eave = storeys * rng.uniform(*houses.storey_height)
    kind = rng.choice(3, p=np.array([houses.gabled, houses.hipped, houses.flat]) / _sum(houses))
    if kind == 2:
        return _flat_house(rng, houses, area, storeys, eave)
    pitch, hipped = rng.uniform(*houses.pitch), kind == 1
    if area < 110 or (area < 300 and rng.random() >= houses.winged):
        depth = np.sqrt(area / rng.uniform(0.75, 1.9))
        wing = pitched_wing(0.0, depth / 2, area / depth, depth, eave, pitch, hipped=hipped)
        return Design((wing,), area / depth, depth, storeys, "pitched")
    return _winged(rng, area, storeys, eave, pitch, hipped=hipped)


def _sum(houses: Houses) -> float:
    return houses.gabled + houses.hipped + houses.flat


def _winged(rng: np.random.Generator, area: float, storeys: int, eave: float, pitch: float, *, hipped: bool) -> Design:
    """A main range along the street with one to three wings before and behind it."""
    count = 1 if area < 170 else int(rng.integers(1, 4 if area > 320 else 3))
    main_area = area * rng.uniform(0.6, 0.78)
    depth = float(np.clip(np.sqrt(main_area / rng.uniform(1.5, 2.3)), 7.5, 14.0))
    width = main_area / depth
    main = pitched_wing(0.0, 0.0, width, depth, eave, pitch, hipped=hipped)
    ends = list(rng.permutation([(-1.0, True), (1.0, True), (-1.0, False), (1.0, False)]))[:count]
    wings = [main]
    for sign, front in ends:
        span = float(np.clip(rng.uniform(0.3, 0.46) * width, 4.2, 0.92 * depth))
        reach = float(np.clip((area - main_area) / count / span, 1.5, 10.0))
        low = storeys > 1 and rng.random() < 0.4
        offset = sign * (width / 2 - span / 2 - 0.25)
        wings.append(
            projecting_wing(
                main, offset, span, reach, pitch, front=bool(front), hipped=hipped, eave=eave * (0.55 if low else 1.0)
            )
        )
    plan = house_outline(wings, np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]))
    west, south, east, north = plan.bounds
    factor = float(np.sqrt(area / plan.area))  # the limits above have cost or added ground: back to what was drawn
    moved = tuple(_scaled(w, -(west + east) / 2, -south, factor) for w in wings)
    return Design(moved, (east - west) * factor, (north - south) * factor, storeys, "pitched")


def _scaled(wing: Wing, dx: float, dy: float, factor: float) -> Wing:
    """A wing shifted, then with its plan and its roof (not its walls) scaled about the origin."""
    return replace(
        wing,
        x=(wing.x + dx) * factor,
        y=(wing.y + dy) * factor,
        length=wing.length * factor,
        span=wing.span * factor,
        rise=wing.rise * factor,
        hips=(wing.hips[0] * factor, wing.hips[1] * factor),
    )


def _flat_house(rng: np.random.Generator, houses: Houses, area: float, storeys: int, eave: float) -> Design:
    """Two or three boxes of different height, as modern houses are."""
    depth = float(np.sqrt(area / rng.uniform(0.8, 1.6)))
    width = area / depth
    main = Wing(0.0, depth / 2, width, depth, False, eave, 0.0)
    if area < 150 or rng.random() > houses.winged:
        return Design((main,), width, depth, storeys, "flat")
    split = rng.uniform(0.4, 0.6)
    left = Wing(-width * (1 - split) / 2, depth / 2, width * split, depth, False, eave, 0.0)
    shorter = depth * rng.uniform(0.55, 0.85)
    right_eave = eave * 0.55 if storeys > 1 else eave - 0.5
    y = shorter / 2 + rng.uniform(0, depth - shorter)
    right = Wing(width * split / 2, y, width * (1 - split), shorter, False, right_eave, 0.0)
    return Design((left, right), width, depth, storeys, "flat")


def _large(rng: np.random.Generator, houses: Houses) -> Design:
    """A shop, school or block of flats: one big flat roof, sometimes with a higher part."""
    width, depth, storeys = rng.uniform(26, 52), rng.uniform(17, 28), int(rng.integers(1, 4))
    eave = storeys * (houses.storey_height[1] + 0.5)
    main = Wing(0.0, depth / 2, width, depth, False, eave, 0.0)
    tower = Wing(rng.uniform(-0.25, 0.25) * width, depth * 0.5, width * 0.3, depth * 0.4, False, eave + 2.4, 0.0)
    wings = (main, tower) if rng.random() < 0.5 else (main,)
    return Design(wings, width, depth, storeys, "flat", "commercial")


def _furnish(rng: np.random.Generator, site: _Site, design: Design, place: Floats, back: float) -> None:
    """Drive, path, terrace and shed of a house; the car park of a large building."""
    houses = site.style.houses
    if design.occupancy == "commercial":
        apron = (-design.width / 2 - 3, design.width / 2 + 3, -back - 0.2, design.depth * rng.uniform(0.0, 1.2))
        _pave(site, place, *apron)
        return
    sign = rng.choice([-1.0, 1.0])
    width = rng.uniform(3.0, 5.6)
    x = sign * rng.uniform(0.15, 0.5) * design.width
    deep = _shed(rng, site, design, place, sign) if rng.random() < houses.shed else None
    if deep is not None:
        x = deep[0]
    if rng.random() < houses.drive:
        _pave(site, place, x - width / 2, x + width / 2, -back - 0.2, deep[1] if deep else design.depth * 0.3)
        if rng.random() < 0.6:
            door = x - sign * rng.uniform(3.5, 6.0)
            _pave(site, place, door - 0.6, door + 0.6, -back * rng.uniform(0.4, 1.0), 1.0)
    if rng.random() < houses.patio:
        half, middle = rng.uniform(2.0, 0.45 * design.width + 0.5), rng.uniform(-0.2, 0.2) * design.width
        _pave(site, place, middle - half, middle + half, design.depth - 3.0, design.depth + rng.uniform(2.0, 5.5))


def _pave(site: _Site, place: Floats, left: float, right: float, near: float, far: float) -> None:
    ring = np.array([(left, near), (right, near), (right, far), (left, far)])
    outline = Polygon(place[0] + ring @ place[1:])
    if site.allowed.covers(outline.centroid) and not any(
        outline.intersection(other).area > 0.35 * outline.area for other in site.neighbours(outline)
    ):
        site.land.append(LandPatch(outline, "paved"))


def _shed(
    rng: np.random.Generator, site: _Site, design: Design, place: Floats, sign: float
) -> tuple[float, float] | None:
    """A garage or shed behind the house on the drive's side; where the drive meets it in the house's frame, or None."""
    houses = site.style.houses
    width, depth = rng.uniform(3.2, 6.6), rng.uniform(4.0, 6.8)
    x, y = sign * (design.width / 2 - width * rng.uniform(0.0, 0.4)), design.depth + rng.uniform(3.0, 9.0)
    flat = rng.random() < max(houses.flat, 0.15)
    pitch = 0.0 if flat else houses.pitch[0]
    wing = pitched_wing(x, y + depth / 2, width, depth, rng.uniform(2.2, 2.7), pitch, hipped=False)
    outline = house_outline([wing], place)
    if not site.fits(outline, 1.2):
        return None
    site.build(Design((wing,), width, depth, 1, "flat" if flat else "pitched"), place)
    return (x, y) if rng.random() < 0.5 else None
