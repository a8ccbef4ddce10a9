"""Making a city whole: ground, water, streets, land and trees for a source that holds buildings only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

from mage.scenes.city import Building, City, LandPatch, WaterBody
from mage.scenes.errors import CityError
from mage.scenes.sources.ground import feet, seated, smooth_ground, trusted_heights
from mage.scenes.sources.planting import plant_trees
from mage.scenes.sources.relief import carve, shore_distance, sink_streets, undulation
from mage.scenes.sources.rivers import side_river
from mage.scenes.sources.streets import infer_streets
from mage.scenes.style import Style
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]

TERRAIN_MARGIN = 80.0  # metres of ground around what the source holds
VIEW_MARGIN = 60.0  # metres around it that may be photographed
VALLEY = 38.0  # metres beside a made-up river over which the ground falls to its banks
NEIGHBOURHOOD = 150.0  # metres from a made-up river within which no house lies below its level
LARGEST = 8_000.0  # metres; a wider city is not built in one piece: its terrain alone would take gigabytes


def complete(city: City, style: Style, rng: np.random.Generator) -> City:
    """The city with everything that its source lacks, all of it named in ``inferred``.

    What the source holds is left as it is, but for ground, which is carved under water and never lies below a
    building's foot. Bounds grow by 60 m, so that pictures can show the river and the edge of the town.

    Raises:
        CityError: no buildings, a city wider than 8 km, or a source's terrain that does not lie under the city.
    """
    _check(city)
    ground_rng, river_rng, land_rng, tree_rng = rng.spawn(4)
    made_up: list[str] = []
    terrain, water = city.terrain, city.water
    if terrain is None:
        terrain = _ground(ground_rng, city)
        made_up.append("terrain")
    if not water:
        water = _river(river_rng, style, city, terrain)
        terrain = _with_valley(terrain, water)
        made_up += ["water"] if water else []
    west, south, east, north = terrain.bounds
    domain = shapely.box(west, south, east, north)
    roads = city.roads
    if not roads.edges:
        roads = infer_streets([b.footprint for b in city.buildings], water, domain, style.streets)
        made_up.append("roads")
    terrain = carve(sink_streets(terrain, roads, style.streets.sunk), water)
    terrain = seated(terrain, city.buildings)
    whole = replace(city, terrain=terrain, water=water, roads=roads, bounds=_view(city, terrain))
    if not city.land:
        whole = replace(whole, land=_land(land_rng, whole, style, domain))
        made_up.append("land")
    if not len(city.trees):
        whole = replace(whole, trees=plant_trees(tree_rng, whole, style))
        made_up.append("trees")
    return whole.with_parts(inferred=tuple(made_up))


def _check(city: City) -> None:
    if not city.buildings:
        raise CityError("nothing to complete", file=city.name, expected="at least one building", found="none")
    west, south, east, north = city.bounds
    if not max(east - west, north - south) <= LARGEST:
        raise CityError(
            "too wide to be built in one piece",
            file=city.name,
            expected=f"at most {LARGEST / 1000:.0f} km",
            found=f"{max(east - west, north - south) / 1000:.1f} km",
        )


def _grown(bounds: tuple[float, float, float, float], margin: float) -> tuple[float, float, float, float]:
    west, south, east, north = bounds
    return west - margin, south - margin, east + margin, north + margin


def _view(city: City, terrain: Terrain) -> tuple[float, float, float, float]:
    """The city's bounds grown by the view's margin, but not beyond the terrain."""
    grown, limit = _grown(city.bounds, VIEW_MARGIN), terrain.bounds
    west, south = max(grown[0], limit[0]), max(grown[1], limit[1])
    east, north = min(grown[2], limit[2]), min(grown[3], limit[3])
    if not (west < east and south < north):
        raise CityError(
            "the terrain does not lie under the city", file=city.name, expected=str(grown), found=str(limit)
        )
    return west, south, east, north


def _ground(rng: np.random.Generator, city: City) -> Terrain:
    """A surface under all buildings, uneven enough that still water takes a natural outline.

    Sources often give whole quarters one ground height. Real ones of that kind still rise and fall by some decimetres
    from street to street, and it is these that decide whose house stays dry: half a metre at 140-320 m, all of it above
    the feet so that no building floats, and a decimetre at shorter wavelengths.
    """
    boxes = shapely.total_bounds([b.footprint for b in city.buildings])
    west, south, east, north = city.bounds
    reach = (min(west, boxes[0]), min(south, boxes[1]), max(east, boxes[2]), max(north, boxes[3]))
    smooth = smooth_ground(city.buildings, _grown(reach, TERRAIN_MARGIN))
    rough = undulation(rng, smooth, (60.0, 25.0, 11.0), 0.1) + 0.25 + undulation(rng, smooth, (320.0, 140.0), 0.25)
    return seated(replace(smooth, heights=smooth.heights + rough), city.buildings)


def _river(rng: np.random.Generator, style: Style, city: City, terrain: Terrain) -> tuple[WaterBody, ...]:
    """A river on the lowest side, its level below the ground beside it and the houses near it; () without room."""
    outline = side_river(rng, style, city, terrain)
    if outline is None:
        return ()
    near = np.abs(shore_distance(terrain, outline, 15.0)) <= 15.0
    if not near.any():
        return ()
    lowest = float(np.quantile(terrain.heights[near], 0.1))
    footprints = np.array([b.footprint for b in city.buildings], dtype=object)
    beside = shapely.dwithin(footprints, outline, NEIGHBOURHOOD)
    if beside.any():
        trusted, _ = trusted_heights(*feet(city.buildings))
        lowest = min(lowest, float(trusted[beside].min()))
    return (WaterBody(outline, lowest - rng.uniform(*style.river.below), "river", inferred=True),)


def _with_valley(terrain: Terrain, water: Sequence[WaterBody]) -> Terrain:
    """Ground drawn towards a metre above the water beside a made-up river, so that it has banks and not cliffs."""
    heights = terrain.heights
    for body in water:
        away = np.maximum(shore_distance(terrain, body.outline, VALLEY), 0)
        share = np.where(np.isfinite(away), 0.5 + 0.5 * np.cos(np.pi * np.clip(away / VALLEY, 0, 1)), 0.0)
        bank = body.level + 0.9 + 0.02 * np.where(np.isfinite(away), away, 0)
        # the ground's own unevenness goes on
        heights = heights + share * (np.clip(heights, bank - 0.15, bank + 0.25) - heights)
    return replace(terrain, heights=heights)


def _land(rng: np.random.Generator, city: City, style: Style, domain: Polygon) -> tuple[LandPatch, ...]:
    """Grass everywhere; courtyards and the ground between close buildings by style; terraces behind houses."""
    walls = np.array([b.footprint for b in city.buildings], dtype=object)
    patches = [LandPatch(domain, "grass", inferred=True), *_fields(rng, walls, city.water, domain)]
    patches += _forecourts(rng, city, walls, style)
    for yard in _courtyards(walls):
        paved = rng.random() < style.paved_share or yard.area < 60
        patches.append(LandPatch(yard, "paved" if paved else style.courtyards, inferred=True))
    patches += _terraces(rng, city.buildings, style)
    return tuple(patches)


def _fields(
    rng: np.random.Generator, walls: NDArray[np.object_], water: Sequence[WaterBody], domain: Polygon
) -> list[LandPatch]:
    """Fields, meadows and woods outside the town: cells of about 80 by 150 m, parted by strips of grass."""
    town = shapely.union_all(shapely.buffer(walls, 45.0, quad_segs=2))
    wet = [w.outline.buffer(28.0, quad_segs=4) for w in water]
    country = domain.buffer(1.0).difference(shapely.union_all([town, *wet]))
    turn, middle = rng.uniform(0, np.pi / 2), np.array(domain.centroid.coords[0])
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    half = domain.length / 4
    patches, y = [], -half
    while y < half:
        depth, x = rng.uniform(60, 110), -half
        while x < half:
            width, kind = rng.uniform(90, 190), rng.random()
            ring = np.array([(x, y), (x + width, y), (x + width, y + depth), (x, y + depth)]) @ rotation + middle
            x += width
            cover = "agriculture" if kind < 0.4 else "forest" if kind < 0.52 else "grass"
            cell = Polygon(ring).buffer(-2.5) if cover == "agriculture" else Polygon(ring).buffer(-16).buffer(13)
            parts = shapely.get_parts(cell.intersection(country)) if cover != "grass" else []
            patches += [LandPatch(p, cover, inferred=True) for p in parts if p.area > 800]
        y += depth
    return patches


def _forecourts(rng: np.random.Generator, city: City, walls: NDArray[np.object_], style: Style) -> list[LandPatch]:
    """Paving from the pavement to the walls, along most streets, where a wall stands close enough to one."""
    reach = style.streets.forecourt
    if reach <= 0 or not city.roads.edges:
        return []
    paved = rng.random(len(city.roads.edges)) < 0.75
    beside = [
        e.line.buffer(e.width / 2 + style.pavement + reach, quad_segs=4, cap_style="flat")
        for e, chosen in zip(city.roads.edges, paved, strict=True)
        if chosen
    ]
    near = shapely.union_all(shapely.buffer(walls, reach + 1.0, quad_segs=2))
    parts = shapely.get_parts(shapely.union_all(beside).intersection(near))
    return [LandPatch(p, "paved", inferred=True) for p in parts if p.geom_type == "Polygon" and p.area > 4]


def _courtyards(walls: NDArray[np.object_]) -> list[Polygon]:
    """Ground enclosed by buildings: the holes of the footprints closed over gaps of 5 m, less the footprints."""
    joined = shapely.union_all(shapely.buffer(walls, 2.5, quad_segs=2, join_style="mitre", mitre_limit=1.5))
    rings = [ring for part in shapely.get_parts(joined) for ring in part.interiors]
    return [p for p in (Polygon(r).buffer(2.5, quad_segs=2) for r in rings) if p.area > 12]


def _terraces(rng: np.random.Generator, buildings: Sequence[Building], style: Style) -> list[LandPatch]:
    """A paved rectangle at one long wall of some buildings; streets lie over it where it faces one."""
    patches = []
    for building in buildings:
        chance, pick, depth, share = rng.random(4)
        if chance >= style.houses.patio:
            continue
        part = max(shapely.get_parts(building.footprint), key=lambda p: p.area)
        ring = shapely.get_coordinates(part.exterior if part.exterior.is_ccw else part.exterior.reverse())
        step = np.diff(ring, axis=0)
        length = np.linalg.norm(step, axis=1)
        long = np.flatnonzero(length > 3.0)
        if len(long) == 0:
            continue
        i = long[int(pick * len(long))]
        along = step[i] / length[i]
        out = np.array([along[1], -along[0]]) * (2.0 + 4.0 * depth)
        start, end = ring[i], ring[i] + step[i] * (0.5 + 0.5 * share)
        patches.append(LandPatch(Polygon([start, start + out, end + out, end]), "paved", inferred=True))
    return patches
