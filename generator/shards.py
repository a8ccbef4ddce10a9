"""Rendering a shard: the one pure function that every runner calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.generator.additions import Additions
from mage.generator.blender.engine import Device, start_engine
from mage.generator.blender.stage import Stage
from mage.generator.build import build_place
from mage.generator.ground import Raster, deep_water, paint_ground, with_water
from mage.generator.place import Place
from mage.generator.plan import ShardJob
from mage.generator.props import Placements
from mage.generator.sample import Draft, draw_sample
from mage.generator.scars import scarred
from mage.generator.seasons import grounds_at, trees_in
from mage.generator.sensors import expose, sample_radiometry
from mage.generator.sight import Sight
from mage.generator.silt import silted
from mage.generator.sky import Light
from mage.generator.struck import Struck
from mage.scenes.dataset.schema import Sample, ShardRecord
from mage.scenes.dataset.store import LocalStore, write_shard
from mage.scenes.grid import Grid
from mage.scenes.hazards.flood import FloodBasis, prepare_flood
from mage.scenes.parts import FloodPart
from mage.scenes.terrain import depth_at

Seconds = dict[str, float]


@dataclass(slots=True)
class Studio:
    """A place standing in Blender, kept between the jobs of one recipe."""

    place: Place
    stage: Stage
    basis: FloodBasis | None
    device: Device
    seconds: Seconds = field(default_factory=dict)


def open_studio(job: ShardJob, threads: int) -> Studio:
    """Build the job's city in memory and in Blender."""
    seconds: Seconds = {}
    with _timed(seconds, "city"):
        place = build_place(job)
        floods = [part for part in job.recipe.hazards if isinstance(part, FloodPart)]
        basis = prepare_flood(place.city, floods[0]) if floods else None
    with _timed(seconds, "scene"):
        device = start_engine(job.recipe.render, threads)
        stage = Stage(place)
    return Studio(place, stage, basis, device, seconds)


def render_shard(
    job: ShardJob, store: LocalStore, studio: Studio, report: Callable[[str, Seconds], None]
) -> ShardRecord:
    """Render all samples of a job and publish them as one shard; ``report`` hears of each sample's key and timings."""

    def samples() -> Iterator[Sample]:
        for index in range(job.first, job.first + job.count):
            sample, seconds = render_sample(job, index, studio)
            yield sample
            report(sample.record.key, seconds)

    return write_shard(store, job.name, samples(), job.recipe_hash)


def render_sample(job: ShardJob, index: int, studio: Studio) -> tuple[Sample, Seconds]:
    """One sample and the seconds that its stages took."""
    seconds: Seconds = {}
    with _timed(seconds, "labels"):
        draft = draw_sample(job, index, studio.place, studio.basis)
    with _timed(seconds, "ground"):
        fine = draft.ground_grid.resampled(2)
        between = draft.between
        whole = paint_ground(studio.place, fine)
        # of what lies beneath bridges, slanted images show a part
        beneath = studio.place.works.decks > 0 and any(sight.slanted for sight in draft.sights)
        painted = paint_ground(studio.place, fine, decks=False) if beneath else whole
        grounds = grounds_at(studio.place, fine, painted, between.seasons, between.change)
    images = {}
    for k, date in enumerate(("pre", "post")):
        images[date] = _photograph(job, draft, k, studio, (fine, grounds[k]), seconds, whole if beneath else None)
    return Sample(draft.record, images, draft.labels), seconds


def _photograph(
    job: ShardJob,
    draft: Draft,
    date: int,
    studio: Studio,
    dry: tuple[Grid, Raster],
    seconds: Seconds,
    decks: Raster | None = None,
) -> NDArray[np.uint8]:
    """One date's image; ``dry`` is the tile's ground without water at that date but for scars, and its grid, ``decks``
    what bridges wear if that is another picture.
    """
    water = Water(studio.place.water_levels, draft.impact.levels if date == 1 else None)
    struck = draft.struck if date == 1 else None
    if date == 1 and draft.impact.shock is not None:
        with _timed(seconds, "ground"):
            dry = dry[0], scarred(studio.place, *dry, draft.impact.shock)
    if date == 1:
        with _timed(seconds, "ground"):
            dry = dry[0], silted(studio.place, *dry, draft.impact)
    rng = job.rng(draft.index, 1 if job.recipe.between.hold else 1 + date)
    standing = studio.place.trees if struck is None else struck.trees
    trees, added = trees_in(draft.between.seasons[date], studio.place, standing), draft.between.added[date]
    reflected = photograph(
        studio,
        draft.sights[date],
        dry,
        draft.lights[date],
        draft.vehicles[date],
        water,
        seconds,
        struck,
        trees,
        added,
        decks,
    )
    with _timed(seconds, "sensor"):
        return expose(reflected, sample_radiometry(rng), rng)


@dataclass(frozen=True, slots=True, eq=False)
class Water:
    """Levels of permanent water and of a flood on the terrain's vertices, metres, NaN where dry."""

    normal: NDArray[np.float64]
    flood: NDArray[np.float64] | None = None

    @property
    def levels(self) -> NDArray[np.float64]:
        """Of whatever water is seen: where a flood covers a river, its level."""
        return self.normal if self.flood is None else np.fmax(self.normal, self.flood)


def photograph(
    studio: Studio,
    view: Grid | Sight,
    dry: tuple[Grid, Raster],
    light: Light,
    vehicles: Placements,
    water: Water,
    seconds: Seconds,
    struck: Struck | None = None,
    trees: Placements | None = None,
    added: Additions | None = None,
    decks: Raster | None = None,
) -> NDArray[np.float32]:
    """Reflectance factor of a tile, float32 (rows, columns, 3), before any sensor; see :meth:`Stage.photograph`."""
    (fine, ground), terrain = dry, studio.place.city.ground
    with _timed(seconds, "ground"):
        points = fine.points().reshape(*fine.shape, 2)
        flooded = None if water.flood is None else depth_at(terrain, water.flood, points) > 0
        deep = deep_water(studio.place, fine, flooded)
        painting = replace(with_water(ground, fine, depth_at(terrain, water.levels, points), deep), decks=decks)
    with _timed(seconds, "render"):
        return studio.stage.photograph(view, light, painting, vehicles, water.levels, struck, trees, added)


class _timed:  # noqa: N801 - reads as a statement
    """Add the wall seconds of a block to a stage."""

    def __init__(self, seconds: Seconds, stage: str) -> None:
        self._seconds, self._stage = seconds, stage

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: Any) -> None:
        self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + time.perf_counter() - self._start
