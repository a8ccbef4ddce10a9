"""One sample: where to look, how high the water stands, when the pictures are taken, and what is then true."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.generator.annotators import ANNOTATOR_STREAM, annotate
from mage.generator.atmosphere import Sky, draw_skies
from mage.generator.between import Between, draw_between
from mage.generator.camps import cleared, draw_camp, struck_by, tent_records
from mage.generator.change_records import change_records, shed_record
from mage.generator.labels import Truth
from mage.generator.place import Place
from mage.generator.plan import ShardJob
from mage.generator.props import Placements, place_vehicles
from mage.generator.remains import buildings_around, dress_remains
from mage.generator.rings import map_ring, parts_of, pixel_ring, polygons_of
from mage.generator.sensors import DEFAULT
from mage.generator.sight import Sight
from mage.generator.sky import Light, clear_light, sun_position
from mage.generator.smoke import Smoke, smoke_over
from mage.generator.struck import Struck, burnt_out, trees_after
from mage.generator.tiles import choose_tile, reach_of
from mage.generator.trodden import track_plans
from mage.generator.viewed import viewed
from mage.generator.views import VIEW_STREAM, View, draw_views, ground_grid
from mage.scenes.city import City
from mage.scenes.dataset.invariants import roofs_seen
from mage.scenes.dataset.schema import (
    BuildingRecord,
    DateRecord,
    GridRecord,
    RoadRecord,
    SampleRecord,
)
from mage.scenes.grid import Grid
from mage.scenes.hazards.chain import chained, combined, sample_strike, told
from mage.scenes.hazards.flood import FloodBasis, draw_waters
from mage.scenes.hazards.wetting import Waters, sample_impact, torrent
from mage.scenes.impact import Impact, Shock
from mage.scenes.modifiers import aftermath
from mage.scenes.parts import CampPart, FirePart, FloodPart
from mage.scenes.recipe import LightPart
from mage.scenes.strike import Burn, Collapse, Strike
from mage.scenes.traffic import park_vehicles

# of a sample, beside those of its pictures' noise; strikes are counted on
STRIKE_STREAM, AFTER_STREAM, FLOOD_STREAM, TORRENT_STREAM, SMOKE_STREAM = 8, 7, 6, 5, 51


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """Everything about a sample but its pictures."""

    key: str
    index: int
    grid: Grid
    sights: tuple[Sight, Sight]
    ground_grid: Grid
    impact: Impact
    struck: Struck | None
    between: Between
    lights: tuple[Light, Light]
    skies: tuple[Sky, Sky]
    vehicles: tuple[Placements, Placements]
    smoke: Smoke | None
    labels: dict[str, NDArray[Any]]
    record: SampleRecord


def draw_sample(job: ShardJob, index: int, place: Place, basis: FloodBasis | None) -> Draft:
    """Draw sample ``index`` of a recipe and compute its truth; a pure function of recipe, seed and index.

    ``basis`` is the city's by :func:`mage.scenes.hazards.flood.prepare_flood`, None where the recipe has no flood.
    """
    rng = job.rng(index)
    recipe, city = job.recipe, place.city
    strikes = draw_strikes(job, index, place)
    waters = draw_event(job, index, city, basis)
    flood = next((p for p in recipe.hazards if isinstance(p, FloodPart)), None)
    reach = None if flood is None or basis is None else reach_of(flood, basis, waters, city)
    camp = draw_camp(job, index, place, strikes, reach)
    grid = choose_tile(job, index, place, reach, rng, strikes, camp)
    views = draw_views(recipe, job.rng(index, VIEW_STREAM))
    sights = views[0].sight(grid, city.ground), views[1].sight(grid, city.ground)
    truth = Truth(place, sights[0])
    later = truth if views[0] == views[1] else Truth(place, sights[1], truth)
    water = None
    if flood is not None and basis is not None:
        waters = draw_waters(rng, city, flood, basis, grid) if waters is None else waters
        water = sample_impact(job.rng(index, TORRENT_STREAM), city, waters, flood.region)
        broken = torrent(city, waters, water)
        strikes += [] if broken is None else [broken]
    strikes += [] if camp is None else [struck_by(camp, place)]
    impact, struck = _struck(job, index, (truth, later), strikes, water)
    camp = None if camp is None else cleared(camp, place, impact, struck)
    between = draw_between(job, index, place, grid.bounds, impact, struck, camp)
    lights, dates = _draw_dates(recipe.light, city.latitude, rng, views)
    if recipe.between.hold:
        lights, dates = (lights[0], lights[0]), (dates[0], dates[0].model_copy(update=_seen_from(views[1])))
    parked = [park_vehicles(rng, city, place.style) for _ in range(1 if recipe.between.hold else 2)]
    vehicles = tuple(
        place_vehicles(between.cleared(parked[k % len(parked)], k), city.ground, works=place.works, levels=levels)
        # where the flood covers the river, boats rise with it
        for k, levels in enumerate((place.water_levels, np.fmax(place.water_levels, impact.levels)))
    )
    if struck is not None:
        later = later.struck(struck)
        vehicles = vehicles[0], burnt_out(vehicles[1], city.ground, struck.severity)
    tracks = [] if camp is None else track_plans(camp.tracks)
    truth, later = (each.changed(between.change, between.added, tracks) for each in (truth, later))
    before, after = truth.before(vehicles[0]), later.after(vehicles[1], impact)
    labels = {f"pre_{k}": v for k, v in before.items()} | {f"post_{k}": v for k, v in after.items()}
    annotations = None
    if recipe.label_style == "annotator":
        standing = [int(i) for i in truth.buildings() if i < len(city.buildings)]
        draw = job.rng(index, ANNOTATOR_STREAM)
        drawn, annotations = annotate(place, sights[0], standing, impact, recipe.label_policy, draw)
        labels |= drawn
    skies = draw_skies(job, index, grid, (lights[0].sun, lights[1].sun))
    labels |= {f"{date}_cloud": sky.label for date, sky in zip(("pre", "post"), skies, strict=True)}
    smoke = _smoke(job, index, place, sights[1].grid, impact, lights[1])
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
        pre=_under(dates[0], skies[0]),
        post=_under(dates[1], skies[1]),
        buildings=[
            _building(place, impact, grid, sights, int(i), n + 1)
            if i < len(city.buildings)
            else shed_record(place, impact, grid, sights[1], between.change.sheds[i - len(city.buildings)], n + 1)
            for n, i in enumerate(later.buildings())
        ],
        roads=[_road(place, impact, grid, int(i), n + 1) for n, i in enumerate(later.edges())],
        changes=change_records(between.change, grid, place),
        tents=tent_records(camp, later.tents(), grid, place),
        smoke=0.0 if smoke is None else round(smoke.hidden, 4),
        annotations=annotations,
        pixels={name: _pixels(labels[name]) for name in ("pre_class", "post_class", "post_damage")},
        inferred=list(city.inferred),
    )
    record = record.model_copy(update={"buildings": _with_sight(record.buildings, labels)})
    return Draft(
        key, index, grid, sights, ground_grid(grid, views), impact, struck, between, lights, skies,
        (vehicles[0], vehicles[1]), smoke, labels, record,
    )  # fmt: skip


def draw_event(job: ShardJob, index: int, city: City, basis: FloodBasis | None) -> Waters | None:
    """The flood of sample ``index``, if the recipe's is one that does not go by its share of a tile; else None."""
    for part in job.recipe.hazards:
        if isinstance(part, FloodPart) and part.model != "fill" and basis is not None:
            return draw_waters(job.rng(index, FLOOD_STREAM), city, part, basis)
    return None


def draw_strikes(job: ShardJob, index: int, place: Place) -> list[Strike]:
    """What shaking, wind, fire and the recipe's own hazards do to the whole city in sample ``index``, in order."""
    return [
        sample_strike(job.rng(index, STRIKE_STREAM + k), place.city, part, allow_plugins=job.allow_plugins)
        for k, part in enumerate(job.recipe.hazards)
        if not isinstance(part, FloodPart | CampPart)
    ]


def _struck(
    job: ShardJob, index: int, truths: tuple[Truth, Truth], strikes: list[Strike], water: Impact | None
) -> tuple[Impact, Struck | None]:
    """The impact on a tile, and what is left there; None where no more than water came."""
    if not strikes:
        assert water is not None
        return told(water), None
    place, strike = truths[0].place, chained(strikes)
    seed = int(job.rng(index, AFTER_STREAM).integers(2**62))
    near = [buildings_around(place, _overlooked(t.sight, place), t.edges()) for t in dict.fromkeys(truths)]
    which = np.unique(np.concatenate(near))
    left = aftermath(place.city, strike, seed, which)
    impact = combined(place.city, strikes, strike, left, water)
    remains = dress_remains(place, left, seed)
    return impact, Struck(remains, trees_after(place.trees, strike), strike.severity)


def _smoke(job: ShardJob, index: int, place: Place, grid: Grid, impact: Impact, light: Light) -> Smoke | None:
    """Smoke over the tile after, as thick as the recipe's first fire says."""
    fire = next((part for part in job.recipe.hazards if isinstance(part, FirePart)), None)
    if fire is None or impact.shock is None:
        return None
    rng = job.rng(index, SMOKE_STREAM)
    density = float(rng.uniform(*fire.smoke))
    return smoke_over(rng, place, grid, impact.shock.strike, density, light)


def _overlooked(sight: Sight, place: Place) -> Grid:
    """The tile, and around it what is high enough to lean into a slanted picture."""
    if not sight.slanted or not len(place.fabric):
        return sight.grid
    tallest = max(building.height for building in place.city.buildings)
    return sight.grid.padded(int(np.ceil(tallest * float(np.hypot(*sight.lean)) / sight.grid.gsd)))


def _seen_from(view: View) -> dict[str, Any]:
    """What a date's record says of its view."""
    return {
        "off_nadir_angle": round(float(np.degrees(view.off_nadir)), 3),
        "target_azimuth": round(float(np.degrees(view.azimuth)), 3),
        "shift_px": view.shift,
    }


def _draw_dates(
    part: LightPart, latitude: float, rng: np.random.Generator, views: tuple[View, View]
) -> tuple[tuple[Light, Light], tuple[DateRecord, DateRecord]]:
    lights, records = [], []
    for day, view in zip((part.pre, part.post), views, strict=True):
        hour = float(rng.uniform(*part.hours))
        sun = sun_position(date.fromisoformat(day), hour, latitude)
        lights.append(clear_light(sun, float(rng.uniform(0.08, 0.3))))
        minutes = int(hour * 60)
        records.append(
            DateRecord(
                capture_date=f"{day}T{minutes // 60:02d}:{minutes % 60:02d}:00",
                sun_azimuth=round(float(np.degrees(sun.azimuth)), 3),
                sun_elevation=round(float(np.degrees(sun.elevation)), 3),
                sensor=DEFAULT,
                **_seen_from(view),
            )
        )
    return (lights[0], lights[1]), (records[0], records[1])


def _under(taken: DateRecord, sky: Sky) -> DateRecord:
    return taken.model_copy(update={"cloud_cover": round(sky.cover, 6), "haze": round(sky.haze, 4)})


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


def _building(
    place: Place, impact: Impact, grid: Grid, sights: tuple[Sight, Sight], index: int, number: int
) -> BuildingRecord:
    building = place.city.buildings[index]
    pixels, on_map = polygons_of(place.outlines[index], grid, place)
    return BuildingRecord(
        id=number,
        source_id=building.id,
        polygons_px=pixels,
        polygons_map=on_map,
        height=round(building.height, 3),
        occupancy=building.occupancy,
        causes=list(impact.causes[index]),
        **_harm(impact.shock, index),
        depth_max=round(float(impact.intensity[index]), 3),
        depth_at_image=round(float(impact.at_image[index]), 3),
        velocity=None if impact.velocity is None else round(float(impact.velocity[index]), 3),
        wet_share=round(float(impact.wet_share[index]), 4),
        p_grade=[round(float(p), 6) for p in impact.p_grade[index]],
        ems98=int(impact.ems98[index]),
        visible=int(impact.visible[index]),
        jds=int(impact.jds[index]),
        loss=round(float(impact.loss[index]), 4),
        pre_view=viewed(building, sights[0], grid),
        post_view=viewed(building, sights[1], grid),
        inferred=list(building.inferred),
    )


def _with_sight(records: list[BuildingRecord], labels: dict[str, NDArray[Any]]) -> list[BuildingRecord]:
    """Records of buildings with the share of each roof that is seen at both dates."""
    seen = {f"roof_seen_{date}": roofs_seen(labels, date) for date in ("pre", "post")}
    shares = [{name: round(of[r.id], 4) for name, of in seen.items() if r.id in of} for r in records]
    return [r.model_copy(update=s) for r, s in zip(records, shares, strict=True)]


def _harm(shock: Shock | None, index: int) -> dict[str, Any]:
    """What a building's record says of shaking, wind and fire."""
    if shock is None:
        return {"collapse": "none", "burn": "none", "roof_lost": 0.0, "buried": 0.0, "intensities": {}}
    strike = shock.strike
    felt = {name: float(values[index]) for name, values in shock.intensities.items()}
    return {
        "collapse": Collapse(int(strike.collapse[index])).name.lower(),
        "burn": Burn(int(strike.burn[index])).name.lower(),
        "roof_lost": round(float(shock.aftermath.roof_lost[index]), 4),
        "buried": round(float(shock.aftermath.buried[index]), 4),
        "intensities": {name: round(value, 4) if np.isfinite(value) else None for name, value in felt.items()},
    }


def _road(place: Place, impact: Impact, grid: Grid, index: int, number: int) -> RoadRecord:
    edge = place.city.roads.edges[index]
    lines = parts_of(shapely.intersection(edge.line, shapely.box(*grid.bounds)), "LineString")
    return RoadRecord(
        id=number,
        edge=index,
        lines_px=[pixel_ring(line, grid) for line in lines],
        lines_map=[map_ring(line, place) for line in lines],
        width=round(edge.width, 3),
        kind=edge.kind,
        depth_max=round(float(impact.road_depth[index]), 3),
        depth_at_image=round(float(impact.road_at_image[index]), 3),
        debris=0.0 if impact.shock is None else round(float(impact.shock.debris[index]), 3),
        free_width=round(edge.width if impact.shock is None else float(impact.shock.free[index]), 3),
        car=bool(impact.car[index]),
        truck=bool(impact.truck[index]),
        reason=impact.reasons[index],
        inferred=edge.inferred,
    )


def _pixels(raster: NDArray[Any]) -> dict[str, int]:
    values, counts = np.unique(raster, return_counts=True)
    return {str(int(v)): int(c) for v, c in zip(values, counts, strict=True)}


def _tidy(value: float | int | str | None) -> float | int | str | None:
    return round(float(value), 4) if isinstance(value, float) else value
