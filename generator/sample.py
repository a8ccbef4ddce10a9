"""One sample: where to look, how high the water stands, when the pictures are taken, and what is then true."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.generator.annotators import ANNOTATOR_STREAM, annotate
from mage.generator.atmosphere import Sky, draw_skies
from mage.generator.between import Between, draw_between
from mage.generator.camps import cleared, draw_camp, struck_by, tent_records
from mage.generator.change_records import change_records, shed_record
from mage.generator.harm import FLOOD_STREAM, Harm, after_seed, asked, flooded
from mage.generator.labels import Truth
from mage.generator.place import Place
from mage.generator.plan import ShardJob
from mage.generator.props import Placements, place_vehicles
from mage.generator.records import (
    building_record,
    grid_record,
    pixel_counts,
    road_record,
    seen_from,
    tidy,
    under,
    with_sight,
)
from mage.generator.remains import buildings_around, dress_remains
from mage.generator.sensors import DEFAULT
from mage.generator.sight import Sight
from mage.generator.sky import Light, clear_light, sun_position
from mage.generator.smoke import Smoke, smoke_over
from mage.generator.struck import Struck, burnt_out, trees_after
from mage.generator.tiles import choose_tile, reach_of
from mage.generator.trodden import track_plans
from mage.generator.turbid import RIVERS, SEDIMENT_STREAM, Turbidity, draw_sediment
from mage.generator.views import VIEW_STREAM, View, draw_views, ground_grid
from mage.scenes.city import City
from mage.scenes.dataset.schema import BuildingRecord, DateRecord, SampleRecord
from mage.scenes.grid import Grid
from mage.scenes.hazards.camp import Camp
from mage.scenes.hazards.chain import chained, combined, sample_strike, told
from mage.scenes.hazards.flood import FloodBasis, draw_waters
from mage.scenes.hazards.wetting import Waters, torrent
from mage.scenes.impact import Impact
from mage.scenes.modifiers import aftermath
from mage.scenes.parts import CampPart, FirePart, FloodPart
from mage.scenes.recipe import Recipe
from mage.scenes.settings import LightPart
from mage.scenes.strike import Strike
from mage.scenes.traffic import park_vehicles

# of a sample, beside those of its pictures' noise; strikes are counted on
STRIKE_STREAM, SMOKE_STREAM = 8, 51
REDRAWN = 6  # times at most that a disaster is drawn again, where it leaves no damage such as is asked


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
    turbidity: Turbidity
    labels: dict[str, NDArray[Any]]
    record: SampleRecord


@dataclass(frozen=True, slots=True, eq=False)
class _Disaster:
    """What strikes in a sample, and where it is looked at; ``harm`` where damage is asked."""

    strikes: list[Strike]
    flood: FloodPart | None
    waters: Waters | None
    camp: Camp | None
    grid: Grid
    harm: Harm | None


@dataclass(frozen=True, slots=True, eq=False)
class _Happened:
    """What happened in a sample, and how it is looked at; pairs are before and after."""

    grid: Grid
    views: tuple[View, View]
    sights: tuple[Sight, Sight]
    truths: tuple[Truth, Truth]
    impact: Impact
    struck: Struck | None
    camp: Camp | None


def draw_sample(job: ShardJob, index: int, place: Place, basis: FloodBasis | None) -> Draft:
    """Draw sample ``index`` of a recipe and compute its truth; a pure function of recipe, seed and index.

    ``basis`` is the city's by :func:`mage.scenes.hazards.flood.prepare_flood`, None where the recipe has no flood.
    """
    rng = job.rng(index)
    recipe, city = job.recipe, place.city
    found = _happened(job, index, place, basis, rng)
    grid, impact, struck, camp = found.grid, found.impact, found.struck, found.camp
    between = draw_between(job, index, place, grid.bounds, impact, struck, camp)
    lights, dates = _draw_dates(recipe.light, city.latitude, rng, found.views)
    if recipe.between.hold:
        lights, dates = (lights[0], lights[0]), (dates[0], dates[0].model_copy(update=seen_from(found.views[1])))
    vehicles = _parked(recipe, place, between, found, rng)
    truth, later = found.truths
    if struck is not None:
        later = later.struck(struck)
    tracks = [] if camp is None else track_plans(camp.tracks)
    truth, later = (each.changed(between.change, between.added, tracks) for each in (truth, later))
    before, after = truth.before(vehicles[0]), later.after(vehicles[1], impact)
    labels = {f"pre_{k}": v for k, v in before.items()} | {f"post_{k}": v for k, v in after.items()}
    annotations = None
    if recipe.label_style == "annotator":
        standing = [int(i) for i in truth.buildings() if i < len(city.buildings)]
        draw = job.rng(index, ANNOTATOR_STREAM)
        drawn, annotations = annotate(place, found.sights[0], standing, impact, recipe.label_policy, draw)
        labels |= drawn
    skies = draw_skies(job, index, grid, (lights[0].sun, lights[1].sun))
    labels |= {f"{date}_cloud": sky.label for date, sky in zip(("pre", "post"), skies, strict=True)}
    smoke = _smoke(job, index, place, found.sights[1].grid, impact, lights[1])
    turbidity = _turbidity(job, index)
    record = SampleRecord(
        key=f"{job.event or f'{city.name}-{recipe.disaster}'}-{index:06d}",
        index=index,
        city=city.name,
        event=job.event or f"{city.name}-{recipe.disaster}-{recipe.seed}",
        hazard=recipe.disaster,
        parameters={k: tidy(v) for k, v in impact.parameters.items()} | _told(job, turbidity),
        split=job.split,
        seed=recipe.seed,
        recipe_hash=job.recipe_hash,
        grid=grid_record(grid, place),
        pre=under(dates[0], skies[0]),
        post=under(dates[1], skies[1]),
        buildings=with_sight(_building_records(place, found, between, later), labels),
        roads=[road_record(place, impact, grid, int(i), n + 1) for n, i in enumerate(later.edges())],
        changes=change_records(between.change, grid, place),
        tents=tent_records(camp, later.tents(), grid, place),
        smoke=0.0 if smoke is None else round(smoke.hidden, 4),
        annotations=annotations,
        pixels={name: pixel_counts(labels[name]) for name in ("pre_class", "post_class", "post_damage")},
        inferred=list(city.inferred),
    )
    return Draft(
        record.key, index, grid, found.sights, ground_grid(grid, found.views), impact, struck, between, lights, skies,
        vehicles, smoke, turbidity, labels, record,
    )  # fmt: skip


def _disaster(job: ShardJob, index: int, place: Place, basis: FloodBasis | None, rng: np.random.Generator) -> _Disaster:
    """What strikes in sample ``index``, and the tile; where damage is asked and none such is found, another draw."""
    drawn = _drawn(job, index, place, basis, rng, 0)
    best = drawn
    for again in range(1, REDRAWN + 1):
        if best.harm is None or best.harm.shown(best.grid) >= 1.0:
            break
        drawn = _drawn(job, index, place, basis, rng, again)
        if drawn.harm is not None and drawn.harm.shown(drawn.grid) > best.harm.shown(best.grid):
            best = drawn
    return best


def _drawn(
    job: ShardJob, index: int, place: Place, basis: FloodBasis | None, rng: np.random.Generator, again: int
) -> _Disaster:
    recipe, city = job.recipe, place.city
    strikes = draw_strikes(job, index, place, again)
    waters = draw_event(job, index, city, basis, again)
    flood = next((p for p in recipe.hazards if isinstance(p, FloodPart)), None)
    reach = None if flood is None or basis is None else reach_of(flood, basis, waters, city)
    camp = draw_camp(job, index, place, strikes, reach)
    harm = None
    if asked(recipe.tiles.damaged, index):
        harm = Harm(job, index, place, list(strikes), flood, basis, waters)
    grid = choose_tile(job, index, place, reach, rng, strikes, camp, harm)
    return _Disaster(strikes, flood, waters, camp, grid, harm)


def _happened(job: ShardJob, index: int, place: Place, basis: FloodBasis | None, rng: np.random.Generator) -> _Happened:
    recipe, city = job.recipe, place.city
    found = _disaster(job, index, place, basis, rng)
    strikes, flood, waters, camp, grid = found.strikes, found.flood, found.waters, found.camp, found.grid
    views = draw_views(recipe, job.rng(index, VIEW_STREAM))
    sights = views[0].sight(grid, city.ground), views[1].sight(grid, city.ground)
    truth = Truth(place, sights[0])
    later = truth if views[0] == views[1] else Truth(place, sights[1], truth)
    water = None
    if flood is not None and basis is not None:
        if waters is None and found.harm is None:
            waters = draw_waters(rng, city, flood, basis, grid)
        waters, water = flooded(job, index, city, (flood, basis), waters, grid)
        broken = torrent(city, waters, water)
        strikes += [] if broken is None else [broken]
    strikes += [] if camp is None else [struck_by(camp, place)]
    impact, struck = _struck(job, index, (truth, later), strikes, water)
    camp = None if camp is None else cleared(camp, place, impact, struck)
    return _Happened(grid, views, sights, (truth, later), impact, struck, camp)


def _parked(
    recipe: Recipe, place: Place, between: Between, found: _Happened, rng: np.random.Generator
) -> tuple[Placements, Placements]:
    """Vehicles at both dates; burnt out ones after a fire."""
    city = place.city
    parked = [park_vehicles(rng, city, place.style) for _ in range(1 if recipe.between.hold else 2)]
    # where the flood covers the river, boats rise with it
    before, after = (
        place_vehicles(between.cleared(parked[k % len(parked)], k), city.ground, works=place.works, levels=levels)
        for k, levels in enumerate((place.water_levels, np.fmax(place.water_levels, found.impact.levels)))
    )
    if found.struck is not None:
        after = burnt_out(after, city.ground, found.struck.severity)
    return before, after


def _building_records(place: Place, found: _Happened, between: Between, later: Truth) -> list[BuildingRecord]:
    """Of all that the tile shows; new ones follow those of the city."""
    count, sheds = len(place.city.buildings), between.change.sheds
    return [
        building_record(place, found.impact, found.grid, found.sights, int(i), n + 1)
        if i < count
        else shed_record(place, found.impact, found.grid, found.sights[1], sheds[i - count], n + 1)
        for n, i in enumerate(later.buildings())
    ]


def draw_event(job: ShardJob, index: int, city: City, basis: FloodBasis | None, again: int = 0) -> Waters | None:
    """The flood of sample ``index``, if the recipe's is one that does not go by its share of a tile; else None.
    ``again`` counts further draws of the same sample.
    """
    for part in job.recipe.hazards:
        if isinstance(part, FloodPart) and part.model != "fill" and basis is not None:
            return draw_waters(job.rng(index, FLOOD_STREAM, *_further(again)), city, part, basis)
    return None


def _further(again: int) -> tuple[int, ...]:
    """What tells the stream of another draw from that of the first."""
    return (again,) if again else ()


def draw_strikes(job: ShardJob, index: int, place: Place, again: int = 0) -> list[Strike]:
    """What shaking, wind, fire and the recipe's own hazards do to the whole city in sample ``index``, in order.
    ``again`` counts further draws of the same sample.
    """
    return [
        sample_strike(
            job.rng(index, STRIKE_STREAM + k, *_further(again)), place.city, part, allow_plugins=job.allow_plugins
        )
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
    seed = after_seed(job, index)
    near = [buildings_around(place, _overlooked(t.sight, place), t.edges()) for t in dict.fromkeys(truths)]
    which = np.unique(np.concatenate(near))
    left = aftermath(place.city, strike, seed, which)
    impact = combined(place.city, strikes, strike, left, water)
    remains = dress_remains(place, left, seed)
    return impact, Struck(remains, trees_after(place.trees, strike), strike.severity)


def _turbidity(job: ShardJob, index: int) -> Turbidity:
    """Of the water that a flood brings; without a flood, of rivers."""
    flood = next((p for p in job.recipe.hazards if isinstance(p, FloodPart)), None)
    if flood is None:
        return RIVERS
    return Turbidity(draw_sediment(job.rng(index, SEDIMENT_STREAM), flood.sediment))


def _told(job: ShardJob, turbidity: Turbidity) -> dict[str, float]:
    """What the record tells of a flood's water, by the hazard's name where it is one of several."""
    of_it = "flood_" if len(job.recipe.hazards) > 1 else ""
    return {} if turbidity is RIVERS else {f"{of_it}sediment": round(turbidity.sediment, 1)}


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
                **seen_from(view),
            )
        )
    return (lights[0], lights[1]), (records[0], records[1])
