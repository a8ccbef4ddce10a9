"""Rendering a shard: the one pure function that every runner calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.generator.additions import Additions
from mage.generator.atmosphere import through
from mage.generator.blender.devices import Device
from mage.generator.blender.engine import start_engine
from mage.generator.blender.stage import Stage
from mage.generator.build import build_place
from mage.generator.ground import Painting, Raster, deep_water, paint_ground, with_water
from mage.generator.ground_bands import ground_beyond, water_beyond
from mage.generator.place import Place
from mage.generator.plan import ShardJob
from mage.generator.props import Placements
from mage.generator.runners.share import WHOLE, Share
from mage.generator.sample import Draft, draw_sample
from mage.generator.scars import scarred
from mage.generator.seasons import grounds_at, trees_in
from mage.generator.sensors import Sensor, Taken, chosen_sensors, expose, sample_radiometry, take
from mage.generator.silt import silted
from mage.generator.sky import Light
from mage.generator.smoke import smoky
from mage.generator.spectra import VISIBLE
from mage.generator.struck import Struck
from mage.generator.trodden import trodden
from mage.scenes.dataset.schema import ImageRecord, Sample, ShardRecord
from mage.scenes.dataset.store import LocalStore, write_shard
from mage.scenes.grid import Grid
from mage.scenes.hazards.flood import FloodBasis, prepare_flood
from mage.scenes.hazards.plugin import load_plugin
from mage.scenes.parts import FloodPart
from mage.scenes.terrain import depth_at

Seconds = dict[str, float]

SENSOR_STREAM = 42


@dataclass(slots=True)
class Studio:
    """A place standing in Blender, kept between the jobs of one recipe."""

    place: Place
    stage: Stage
    basis: FloodBasis | None
    device: Device
    sensors: tuple[Sensor, ...] = ()
    seconds: Seconds = field(default_factory=dict)


def open_studio(job: ShardJob, threads: int, share: Share = WHOLE) -> Studio:
    """Build the job's city in memory and in Blender, on this worker's ``share`` of the GPUs."""
    seconds: Seconds = {}
    for path in job.recipe.plugins:  # before a city is built for what cannot be used
        load_plugin(path, allowed=job.allow_plugins)
    with _timed(seconds, "city"):
        place = build_place(job)
        floods = [part for part in job.recipe.hazards if isinstance(part, FloodPart)]
        basis = prepare_flood(place.city, floods[0]) if floods else None
    sensors = chosen_sensors(job.recipe)
    with _timed(seconds, "scene"):
        render = job.recipe.render.model_copy(update={"spp": job.recipe.samples})
        device = start_engine(render, threads, share)
        stage = Stage(place, spectral=any(sensor.beyond_visible for sensor in sensors))
    return Studio(place, stage, basis, device, sensors, seconds)


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
        fine = draft.grid.resampled(2)
        between = draft.between
        grounds = grounds_at(studio.place, fine, paint_ground(studio.place, fine), between.seasons, between.change)
    images: dict[str, NDArray[np.uint8]] = {}
    further: dict[str, Taken] = {}
    for k, date in enumerate(("pre", "post")):
        reflected = _photograph(draft, k, studio, (fine, grounds[k]), seconds)
        with _timed(seconds, "sensor"):
            images[date], taken = _taken(job, draft, k, studio.sensors, reflected)
        further |= {f"{date}_{name}": band for name, band in taken.items()}
    record = draft.record.model_copy(update={"images": [_image_record(*item) for item in further.items()]})
    return Sample(record, images, draft.labels, {name: band.pixels for name, band in further.items()}), seconds


def _photograph(
    draft: Draft, date: int, studio: Studio, dry: tuple[Grid, Raster], seconds: Seconds
) -> NDArray[np.float32]:
    """One date's reflectance factor as the sky lets it through, (rows, columns, 3 or 7); ``dry`` is the tile's ground
    without water at that date but for scars, and its grid.
    """
    water = Water(studio.place.water_levels, draft.impact.levels if date == 1 else None)
    struck = draft.struck if date == 1 else None
    beyond = None
    if studio.stage.spectral:
        with _timed(seconds, "ground"):
            beyond = ground_beyond(studio.place, *dry, draft.impact if date == 1 else None, draft.between.camp)
    if date == 1 and draft.impact.shock is not None:
        with _timed(seconds, "ground"):
            dry = dry[0], scarred(studio.place, *dry, draft.impact.shock)
    if date == 1:
        with _timed(seconds, "ground"):
            dry = dry[0], silted(studio.place, *dry, draft.impact)
            if draft.between.camp is not None:
                dry = dry[0], trodden(studio.place, *dry, draft.between.camp)
    standing = studio.place.trees if struck is None else struck.trees
    trees, added = trees_in(draft.between.seasons[date], studio.place, standing), draft.between.added[date]
    light, vehicles = draft.lights[date], draft.vehicles[date]
    reflected = photograph(studio, draft.grid, dry, light, vehicles, water, seconds, struck, trees, added, beyond)
    if date == 1 and draft.smoke is not None:
        reflected = smoky(reflected, draft.smoke, light)
    return through(reflected, draft.skies[date], light)


def _taken(
    job: ShardJob, draft: Draft, date: int, sensors: tuple[Sensor, ...], reflected: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], dict[str, Taken]]:
    """One date's default image, and those of further sensors by ``SENSOR_BAND``."""
    same = 0 if job.recipe.between.hold else date
    rng = job.rng(draft.index, 1 + same)
    image = expose(reflected[..., :VISIBLE], sample_radiometry(rng, job.recipe.radiometry), rng)
    further: dict[str, Taken] = {}
    for k, sensor in enumerate(sensors):
        bands = take(reflected, draft.grid.gsd, sensor, job.rng(draft.index, SENSOR_STREAM, same, k))
        further |= {f"{sensor.name}_{name}": band for name, band in bands.items()}
    return image, further


def _image_record(member: str, taken: Taken) -> ImageRecord:
    rows, columns = taken.pixels.shape
    bits = 8 * taken.pixels.itemsize
    return ImageRecord.model_validate(
        {"member": member, "rows": rows, "columns": columns, "gsd": taken.gsd, "bits": bits}
    )


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
    grid: Grid,
    dry: tuple[Grid, Raster],
    light: Light,
    vehicles: Placements,
    water: Water,
    seconds: Seconds,
    struck: Struck | None = None,
    trees: Placements | None = None,
    added: Additions | None = None,
    beyond: Raster | None = None,
) -> NDArray[np.float32]:
    """Reflectance factor of a tile, float32 (rows, columns, 3), before any sensor; see :meth:`Stage.photograph`.

    Where ``beyond``, what the dry ground reflects in the bands beyond the visible, is given: (rows, columns, 7), see
    :meth:`Stage.photograph_spectrum`.
    """
    (fine, ground), terrain = dry, studio.place.city.ground
    with _timed(seconds, "ground"):
        points = fine.points().reshape(*fine.shape, 2)
        depth = depth_at(terrain, water.levels, points)
        if depth.any():
            flooded = None if water.flood is None else depth_at(terrain, water.flood, points) > 0
            painting = with_water(ground, fine, depth, deep_water(studio.place, fine, flooded))
        else:  # no water is in the picture
            painting = Painting(fine, ground, ground)
        both = None if beyond is None else water_beyond(painting, ground, beyond, depth)
    rest = vehicles, water.levels, struck, trees, added
    with _timed(seconds, "render"):
        if both is not None:
            return studio.stage.photograph_spectrum(grid, light, painting, both, *rest)
        return studio.stage.photograph(grid, light, painting, *rest)


class _timed:  # noqa: N801 - reads as a statement
    """Add the wall seconds of a block to a stage."""

    def __init__(self, seconds: Seconds, stage: str) -> None:
        self._seconds, self._stage = seconds, stage

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: Any) -> None:
        self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + time.perf_counter() - self._start
