"""A city out of nothing but a style and a seed: river, rolling ground, bent streets, houses, woods."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

from mage.scenes.city import Barrier, City, LandPatch, RoadGraph, Source, Trees, WaterBody
from mage.scenes.errors import CityError
from mage.scenes.layouts import Layout, Suburban
from mage.scenes.sources.ground.inferred import seated
from mage.scenes.sources.ground.relief import carve, lattice, shore_distance, sink_streets, undulation
from mage.scenes.sources.living.furnish import furnish
from mage.scenes.sources.living.planting import plant_trees
from mage.scenes.sources.procedural.layout.country import orchard_trees
from mage.scenes.sources.procedural.layout.parcels import parcels
from mage.scenes.sources.procedural.layout.shapes import seat
from mage.scenes.sources.procedural.layout.town import lay_out
from mage.scenes.sources.procedural.network import suburban_streets
from mage.scenes.sources.procedural.parcels import settle
from mage.scenes.sources.procedural.rivers import procedural_river
from mage.scenes.style import Style
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]

MARGIN = 60.0  # metres of city around the part that may be photographed
STEP = 2.0  # metres between the terrain's vertices
LEVEL = 8.0  # of the river, metres above an arbitrary datum
QUAY = 22.0  # metres from the river to the axis of the street along it
STREETS_OFF, HOUSES_OFF = 44.0, 20.0  # metres that both keep from the river
COURT, COURTS = (900.0, 2600.0), ("paved", "parking", "grass", "paved", "pitch")  # m² of lots, and what covers them
WALLED = 2.0, 0.3  # height and thickness of walls round grounds, metres
LEAST, ATTEMPTS = 3, 60  # houses in view, and draws to get them: in 100 m the river may leave room for none


def build_city(style: Style, extent: float, rng: np.random.Generator) -> City:
    """A procedural city on a square of ``extent`` metres about the origin, with everything a scene needs.

    Terrain, streets and houses go on for another 60 m on every side, so that no picture shows where the world ends.

    Raises:
        CityError: with this style and extent no draw left room for houses.
    """
    for attempt in rng.spawn(ATTEMPTS):
        city = (_drawn if style.layout.kind == "suburban" else _laid_out)(style, extent, attempt)
        view = shapely.box(*city.bounds)
        if sum(view.contains(b.footprint.centroid) for b in city.buildings) >= LEAST:
            # nothing is inferred in a city that is made up as a whole
            return replace(furnish(city, style, attempt.spawn(1)[0]), inferred=())
    raise CityError(
        "no room for houses", file=style.name, expected=f"{LEAST} houses in view", found=f"fewer within {extent:g} m"
    )


def _drawn(style: Style, extent: float, rng: np.random.Generator) -> City:
    river_rng, ground_rng, street_rng, house_rng, land_rng, tree_rng = rng.spawn(6)
    half = extent / 2
    domain = shapely.box(*(np.array([-1, -1, 1, 1]) * (half + MARGIN)))
    outline = procedural_river(river_rng, style, extent, MARGIN)
    river = WaterBody(outline, LEVEL, "river")
    roads = suburban_streets(street_rng, style.streets, domain, outline.buffer(STREETS_OFF))
    terrain = carve(sink_streets(_valley(ground_rng, style, domain, river), roads, style.streets.sunk), [river])
    quarters = _quarters(land_rng, style.layout, domain, outline, roads)
    green = shapely.union_all([p.outline for p in quarters if p.cover != "paved"])  # houses stand in paved courts
    allowed = domain.buffer(-2).difference(outline.buffer(HOUSES_OFF)).difference(green)
    buildings, paved = settle(house_rng, style, terrain, roads, allowed)
    city = replace(
        _blank(style, half),
        buildings=buildings,
        roads=roads,
        water=(river,),
        land=(LandPatch(domain, "grass"), *quarters, *_shore(land_rng, outline), *paved),
        terrain=terrain,
    )
    return replace(city, trees=plant_trees(tree_rng, city, style))


def _blank(style: Style, half: float) -> City:
    """A city of nothing where the style is at home, ``half`` metres to each side of its middle."""
    return City(
        name=style.name,
        crs=None,
        origin=(0.0, 0.0),
        latitude=style.latitude,
        longitude=style.longitude,
        bounds=(-half, -half, half, half),
        drives_left=style.drives_left,
        sources=(Source("procedural", f"MAGE {style.name}", "Apache-2.0"),),
    )


def _laid_out(style: Style, extent: float, rng: np.random.Generator) -> City:
    """A city of one of the layouts that fill blocks, on one side of its river."""
    river_rng, ground_rng, town_rng, land_rng, tree_rng = rng.spawn(5)
    half = extent / 2
    domain = shapely.box(*(np.array([-1, -1, 1, 1]) * (half + MARGIN)))
    water: tuple[WaterBody, ...] = ()
    if river_rng.random() < style.river.share:
        water = (WaterBody(procedural_river(river_rng, style, extent, MARGIN), LEVEL, "river"),)
    wet = shapely.union_all([w.outline for w in water])
    roads, town = lay_out(town_rng, style, domain, wet.buffer(QUAY))
    terrain = carve(sink_streets(_relief(ground_rng, style, domain, water), roads, style.streets.sunk), water)
    buildings = seat(town.bodies, terrain)
    shores = [bar for w in water for bar in _shore(land_rng, w.outline)]
    city = replace(
        _blank(style, half),
        buildings=buildings,
        roads=roads,
        water=water,
        land=(LandPatch(domain, "grass"), *town.land, *shores),
        terrain=seated(terrain, buildings) if buildings else terrain,
        railways=tuple(town.railways),
        barriers=tuple(Barrier(line, "wall", *WALLED) for line in town.walls),
    )
    return replace(city, trees=_with_orchards(tree_rng, plant_trees(tree_rng, city, style), town.orchards))


def _with_orchards(rng: np.random.Generator, trees: Trees, orchards: list[Polygon]) -> Trees:
    """The trees, those in orchards replaced by rows of low round ones."""
    if not orchards:
        return trees
    places = np.concatenate([orchard_trees(rng, o) for o in orchards])
    ground = shapely.union_all(orchards)
    shapely.prepare(ground)
    keep = ~shapely.contains_xy(ground, trees.xy[:, 0], trees.xy[:, 1])
    radius = rng.uniform(1.5, 2.7, len(places))
    return Trees(
        np.concatenate([trees.xy[keep], places]),
        np.concatenate([trees.height[keep], 2.2 * radius]),
        np.concatenate([trees.radius[keep], radius]),
        np.concatenate([trees.species[keep], np.zeros(len(places), np.uint8)]),
    )


def _relief(rng: np.random.Generator, style: Style, domain: Polygon, water: tuple[WaterBody, ...]) -> Terrain:
    """A valley where there is a river; without one, swells on a slope that is as steep as a valley's."""
    if water:
        return _valley(rng, style, domain, water[0])
    flat = lattice(domain.bounds, STEP)
    turn, points = rng.uniform(0, 2 * np.pi), flat.points()
    slope = style.river.rise * (points @ [np.cos(turn), np.sin(turn)]).reshape(flat.heights.shape)
    swell = undulation(rng, flat, (220.0, 110.0, 70.0), 0.9) + undulation(rng, flat, (34.0, 12.0), 0.1)
    return replace(flat, heights=LEVEL + slope + swell)


def _valley(rng: np.random.Generator, style: Style, domain: Polygon, river: WaterBody) -> Terrain:
    """Ground that falls to the river, with swells of 70-220 m and small unevenness."""
    flat = lattice(domain.bounds, STEP)
    away = np.clip(shore_distance(flat, river.outline, np.inf), 0, None)
    rise = style.river.rise * 400 * (1 - np.exp(-away / 400))
    bank = river.level + rng.uniform(*style.river.below)
    swell = undulation(rng, flat, (220.0, 110.0, 70.0), 0.9) * np.clip(away / 80, 0.25, 1)
    rough = undulation(rng, flat, (34.0, 12.0), 0.1)
    return replace(flat, heights=np.maximum(bank + rise + swell + rough, river.level + 0.5))


def _quarters(
    rng: np.random.Generator, layout: Layout, domain: Polygon, river: Polygon, roads: RoadGraph
) -> tuple[LandPatch, ...]:
    """Blocks that are not built on: woods, parks and courts."""
    assert isinstance(layout, Suburban)
    streets = shapely.union_all([e.line.buffer(e.width / 2 + 2.0, quad_segs=4) for e in roads.edges])
    blocks = shapely.get_parts(domain.difference(streets).difference(river.buffer(HOUSES_OFF)))
    parks, courts = layout.woods + layout.parks, layout.woods + layout.parks + layout.courts
    patches = []
    for block in blocks:
        lot = block.buffer(-3)
        chance = rng.random()
        if not 3000 < lot.area < 30_000 or chance >= courts:
            continue
        if chance < parks:
            patches.append(LandPatch(lot, "forest" if chance < layout.woods else "grass"))
        else:
            covers = rng.permutation(COURTS)
            parts = parcels(rng, lot, COURT, access=False)
            patches += [LandPatch(part.outline, str(covers[i % len(covers)])) for i, part in enumerate(parts)]
    return tuple(patches)


def _shore(rng: np.random.Generator, river: Polygon) -> tuple[LandPatch, ...]:
    """Sand and mud bars along the water, on some stretches of its banks."""
    bank = shapely.segmentize(river.exterior, 3.0)
    spots = np.arange(0, bank.length, 11.0)
    # long runs of bars and of none
    wet = np.convolve(rng.normal(size=len(spots)), np.ones(7) / np.sqrt(7), mode="same") > 0.35
    centres = shapely.get_coordinates(shapely.line_interpolate_point(bank, spots[wet]))
    discs = shapely.buffer(shapely.points(centres), rng.uniform(4.0, 9.5, len(centres)), quad_segs=4)
    bars = shapely.union_all(discs).buffer(-1.0)
    return tuple(LandPatch(part, "bare") for part in shapely.get_parts(bars) if not part.is_empty)
