"""One sample: where to look, how high the water stands, when the pictures are taken, and what is then true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mage.generator.labels import Truth
from mage.generator.place import Place
from mage.generator.plan import ShardJob
from mage.generator.props import Placements, place_vehicles
from mage.generator.remains import buildings_around, dress_remains
from mage.generator.sky import Light, clear_light, sun_position
from mage.generator.struck import Struck, burnt_out, trees_after
from mage.scenes.city import City
from mage.scenes.dataset.schema import (
    BuildingRecord,
    DateRecord,
    GridRecord,
    Ring,
    RoadRecord,
    SampleRecord,
)
from mage.scenes.grid import Grid
from mage.scenes.hazards.chain import chained, combined, sample_strike, told
from mage.scenes.hazards.flood import sample_flood
from mage.scenes.impact import Impact, Shock
from mage.scenes.modifiers import aftermath
from mage.scenes.parts import FloodPart
from mage.scenes.recipe import LightPart
from mage.scenes.strike import Burn, Collapse, Strike
from mage.scenes.traffic import park_vehicles

SENSOR = "nadir-rgb"
STRIKE_STREAM, AFTER_STREAM = 8, 7  # of a sample, beside those of its pictures' noise; strikes are counted on
HARMED = 0.1  # share of a tile's buildings that shall have come to grade 2 or more
TILE_STREAM, TILE_TRIES = 2**32 + 2, 8
GOLDEN = 0.6180339887498949  # low-discrepancy step: any number of samples spreads evenly over the city


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """Everything about a sample but its pictures."""

    key: str
    index: int
    grid: Grid
    impact: Impact
    struck: Struck | None
    lights: tuple[Light, Light]
    vehicles: tuple[Placements, Placements]
    labels: dict[str, NDArray[Any]]
    record: SampleRecord


def draw_sample(job: ShardJob, index: int, place: Place, arrival: NDArray[np.float64] | None) -> Draft:
    """Draw sample ``index`` of a recipe and compute its truth; a pure function of recipe, seed and index.

    ``arrival`` are the city's :func:`mage.scenes.hazards.flood.arrival_levels`, None where the recipe has no flood.
    """
    rng = job.rng(index)
    recipe, city = job.recipe, place.city
    strikes = draw_strikes(job, index, place)
    grid = choose_tile(job, index, place, arrival, rng, strikes)
    truth = Truth(place, grid)
    flood = [p for p in recipe.hazards if isinstance(p, FloodPart)]
    water = sample_flood(rng, city, flood[0], grid, arrival=arrival) if flood else None
    impact, struck = _struck(job, index, truth, strikes, water)
    lights, dates = _draw_dates(recipe.light, city.latitude, rng)
    vehicles = tuple(
        place_vehicles(park_vehicles(rng, city, place.style), city.ground, works=place.works, levels=levels)
        # where the flood covers the river, boats rise with it
        for levels in (place.water_levels, np.fmax(place.water_levels, impact.levels))
    )
    if struck is not None:
        truth = truth.struck(struck)
        vehicles = vehicles[0], burnt_out(vehicles[1], city.ground, struck.severity)
    before, after = truth.before(vehicles[0]), truth.after(vehicles[1], impact)
    labels = {f"pre_{k}": v for k, v in before.items()} | {f"post_{k}": v for k, v in after.items()}
    key = f"{city.name}-{recipe.disaster}-{index:06d}"
    record = SampleRecord(
        key=key,
        index=index,
        city=city.name,
        event=f"{city.name}-{recipe.disaster}-{recipe.seed}",
        hazard=recipe.disaster,
        parameters={k: _tidy(v) for k, v in impact.parameters.items()},
        split="train",
        seed=recipe.seed,
        recipe_hash=job.recipe_hash,
        grid=_grid_record(grid, place),
        pre=dates[0],
        post=dates[1],
        buildings=[_building(place, impact, grid, int(i), n + 1) for n, i in enumerate(truth.buildings())],
        roads=[_road(place, impact, grid, int(i), n + 1) for n, i in enumerate(truth.edges())],
        pixels={name: _pixels(labels[name]) for name in ("pre_class", "post_class", "post_damage")},
        inferred=list(city.inferred),
    )
    return Draft(key, index, grid, impact, struck, lights, (vehicles[0], vehicles[1]), labels, record)


def draw_strikes(job: ShardJob, index: int, place: Place) -> list[Strike]:
    """What shaking, wind and fire do to the whole city in sample ``index``, in the recipe's order."""
    return [
        sample_strike(job.rng(index, STRIKE_STREAM + k), place.city, part)
        for k, part in enumerate(job.recipe.hazards)
        if not isinstance(part, FloodPart)
    ]


def _struck(
    job: ShardJob, index: int, truth: Truth, strikes: list[Strike], water: Impact | None
) -> tuple[Impact, Struck | None]:
    """The impact on a tile, and what is left there; None where no more than water came."""
    if not strikes:
        assert water is not None
        return told(water), None
    place, strike = truth.place, chained(strikes)
    seed = int(job.rng(index, AFTER_STREAM).integers(2**62))
    which = buildings_around(place, truth.grid, truth.edges())
    left = aftermath(place.city, strike, seed, which)
    impact = combined(place.city, strikes, strike, left, water)
    remains = dress_remains(place, left, seed)
    return impact, Struck(remains, trees_after(place.trees, strike), strike.severity)


def choose_tile(
    job: ShardJob,
    index: int,
    place: Place,
    arrival: NDArray[np.float64] | None,
    rng: np.random.Generator,
    strikes: Sequence[Strike] = (),
) -> Grid:
    """The tile of a sample: around a building (a street, where there is none), taken in turn all over the city, within
    the city's bounds.

    A place that the disaster does not reach is passed over for another, up to eight times, and then the one that it
    reaches most is taken: no flood of the recipe's height comes there, or another hazard leaves less than a tenth of
    the buildings at grade 2 or more.
    """
    city = place.city
    # a city of streets alone can be flooded too
    subjects = [b.footprint for b in city.buildings] or [e.line for e in city.roads.edges]
    centres = shapely.get_coordinates(shapely.centroid(subjects))
    if arrival is not None:
        centres = _within_reach(city, centres, arrival, _highest(job))
    order = np.argsort(_morton(centres, city.bounds), kind="stable")
    turn = (job.rng(TILE_STREAM).random() + index * GOLDEN) % 1.0
    best, most = None, -1.0
    for _ in range(TILE_TRIES):
        grid = _tile_around(centres[order[int(turn * len(order))]], job, place, rng)
        reached = _reached(job, place, arrival, strikes, grid)
        if best is None or reached > most:
            best, most = grid, reached
        if most >= 1.0:
            break
        turn = rng.random()
    assert best is not None
    return best


def _within_reach(
    city: City, centres: NDArray[np.float64], arrival: NDArray[np.float64], highest: float
) -> NDArray[np.float64]:
    """The centres (n, 2) to which a flood of the recipe's height comes; where it comes to none, the places nearest to
    one to which it does; all of them where it comes nowhere.
    """
    level = float(arrival.min()) + highest
    low = city.ground.sample(centres, arrival) < level
    if low.any():
        return centres[low]
    ground = Grid.covering(city.bounds, 8.0).points()
    ground = ground[city.ground.sample(ground, arrival) < level]
    if len(ground) == 0:
        return centres
    away, _ = cKDTree(centres).query(ground)
    return ground[np.argsort(away, kind="stable")[: max(1, len(ground) // 10)]]


def _highest(job: ShardJob) -> float:
    """The most that a recipe's flood may rise above its source, metres."""
    return max((part.highest for part in job.recipe.hazards if isinstance(part, FloodPart)), default=0.0)


def _reached(
    job: ShardJob, place: Place, arrival: NDArray[np.float64] | None, strikes: Sequence[Strike], grid: Grid
) -> float:
    """How much of what a tile shall have it has, from 1 on enough: ground that the recipe's flood can reach, and
    buildings that each other hazard has harmed.
    """
    city, shares = place.city, [1.0]
    for part in job.recipe.hazards:
        if isinstance(part, FloodPart):
            assert arrival is not None
            low = (
                city.ground.sample(Grid.covering(grid.bounds, 8.0).points(), arrival)
                < float(arrival.min()) + part.highest
            )
            shares.append(float(low.mean()) / part.share[0] if part.share[0] else 1.0)
    for strike in strikes:
        inside = shapely.intersects(place.outlines, shapely.box(*grid.bounds))
        shares.append(float((strike.ems98[inside] >= 2).mean()) / HARMED if inside.any() else 0.0)
    return min(shares)


def _tile_around(centre: NDArray[np.float64], job: ShardJob, place: Place, rng: np.random.Generator) -> Grid:
    output, (west, south, east, north) = job.recipe.output, place.city.bounds
    side = output.size * output.gsd
    x, y = centre + rng.uniform(-0.25, 0.25, 2) * side
    x = np.clip(x, west + side / 2, max(east - side / 2, west + side / 2))
    y = np.clip(y, south + side / 2, max(north - side / 2, south + side / 2))
    # whole pixels of the map, so that tiles of one city share one lattice
    snapped = np.round(np.array([x, y]) / output.gsd) * output.gsd
    return Grid.around(float(snapped[0]), float(snapped[1]), output.size, output.gsd)


def _morton(points: NDArray[np.float64], bounds: tuple[float, float, float, float]) -> NDArray[np.int64]:
    """Position of each point along a curve that keeps neighbours together (Morton order, 10 bits an axis)."""
    west, south, east, north = bounds
    extent = max(east - west, north - south)
    cells = np.clip(((points - (west, south)) / extent * 1023).astype(np.int64), 0, 1023)
    bits = np.arange(10)
    spread = ((cells[:, :, None] >> bits & 1) << (2 * bits)).sum(axis=2)
    return np.asarray(spread[:, 0] | spread[:, 1] << 1)


def _draw_dates(
    part: LightPart, latitude: float, rng: np.random.Generator
) -> tuple[tuple[Light, Light], tuple[DateRecord, DateRecord]]:
    lights, records = [], []
    for day in (part.pre, part.post):
        hour = float(rng.uniform(*part.hours))
        sun = sun_position(date.fromisoformat(day), hour, latitude)
        lights.append(clear_light(sun, float(rng.uniform(0.08, 0.3))))
        minutes = int(hour * 60)
        records.append(
            DateRecord(
                capture_date=f"{day}T{minutes // 60:02d}:{minutes % 60:02d}:00",
                sun_azimuth=round(float(np.degrees(sun.azimuth)), 3),
                sun_elevation=round(float(np.degrees(sun.elevation)), 3),
                off_nadir_angle=0.0,
                target_azimuth=0.0,
                sensor=SENSOR,
            )
        )
    return (lights[0], lights[1]), (records[0], records[1])


def _grid_record(grid: Grid, place: Place) -> GridRecord:
    on_map = grid.moved(*place.city.origin, place.city.crs)
    return GridRecord(
        rows=on_map.rows,
        columns=on_map.columns,
        west=round(on_map.west, 3),
        north=round(on_map.north, 3),
        gsd=on_map.gsd,
        crs=on_map.crs,
    )


def _building(place: Place, impact: Impact, grid: Grid, index: int, number: int) -> BuildingRecord:
    building = place.city.buildings[index]
    visible = shapely.intersection(place.outlines[index], shapely.box(*grid.bounds))
    polygons = [p for p in _parts(visible, "Polygon") if p.area > 0]
    return BuildingRecord(
        id=number,
        source_id=building.id,
        polygons_px=[[_pixel_ring(r, grid) for r in (p.exterior, *p.interiors)] for p in polygons],
        polygons_map=[[_map_ring(r, place) for r in (p.exterior, *p.interiors)] for p in polygons],
        height=round(building.height, 3),
        occupancy=building.occupancy,
        causes=list(impact.causes[index]),
        **_harm(impact.shock, index),
        depth_max=round(float(impact.intensity[index]), 3),
        depth_at_image=round(float(impact.intensity[index]), 3),
        wet_share=round(float(impact.wet_share[index]), 4),
        p_grade=[round(float(p), 6) for p in impact.p_grade[index]],
        ems98=int(impact.ems98[index]),
        visible=int(impact.visible[index]),
        jds=int(impact.jds[index]),
        loss=round(float(impact.loss[index]), 4),
        inferred=list(building.inferred),
    )


def _harm(shock: Shock | None, index: int) -> dict[str, Any]:
    """What a building's record says of shaking, wind and fire."""
    if shock is None:
        return {"collapse": "none", "burn": "none", "roof_lost": 0.0, "intensities": {}}
    strike = shock.strike
    felt = {name: float(values[index]) for name, values in shock.intensities.items()}
    return {
        "collapse": Collapse(int(strike.collapse[index])).name.lower(),
        "burn": Burn(int(strike.burn[index])).name.lower(),
        "roof_lost": round(float(shock.aftermath.roof_lost[index]), 4),
        "intensities": {name: round(value, 4) if np.isfinite(value) else None for name, value in felt.items()},
    }


def _road(place: Place, impact: Impact, grid: Grid, index: int, number: int) -> RoadRecord:
    edge = place.city.roads.edges[index]
    lines = _parts(shapely.intersection(edge.line, shapely.box(*grid.bounds)), "LineString")
    return RoadRecord(
        id=number,
        edge=index,
        lines_px=[_pixel_ring(line, grid) for line in lines],
        lines_map=[_map_ring(line, place) for line in lines],
        width=round(edge.width, 3),
        kind=edge.kind,
        depth_max=round(float(impact.road_depth[index]), 3),
        debris=0.0 if impact.shock is None else round(float(impact.shock.debris[index]), 3),
        free_width=round(edge.width if impact.shock is None else float(impact.shock.free[index]), 3),
        car=bool(impact.car[index]),
        truck=bool(impact.truck[index]),
        reason=impact.reasons[index],
        inferred=edge.inferred,
    )


def _parts(geometry: shapely.Geometry, kind: str) -> list[Any]:
    return [g for g in shapely.get_parts(geometry) if g.geom_type == kind and not g.is_empty]


def _pixel_ring(ring: Any, grid: Grid) -> Ring:
    return [(float(x), float(y)) for x, y in np.round(grid.to_pixel(np.asarray(ring.coords)[:, :2]), 2)]


def _map_ring(ring: Any, place: Place) -> Ring:
    return [(float(x), float(y)) for x, y in np.round(np.asarray(ring.coords)[:, :2] + place.city.origin, 3)]


def _pixels(raster: NDArray[Any]) -> dict[str, int]:
    values, counts = np.unique(raster, return_counts=True)
    return {str(int(v)): int(c) for v, c in zip(values, counts, strict=True)}


def _tidy(value: float | int | str | None) -> float | int | str | None:
    return round(float(value), 4) if isinstance(value, float) else value
