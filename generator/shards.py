"""Rendering a shard: the one pure function that every runner calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.generator.blender.engine import set_samples, start_engine
from mage.generator.blender.stage import Stage
from mage.generator.build import build_place
from mage.generator.photography import Seconds, Studio, lands, photograph_date, timed
from mage.generator.place import Place
from mage.generator.plan import ShardJob
from mage.generator.runners.share import WHOLE, Share
from mage.generator.sample import Draft, draw_sample
from mage.generator.sensors import Sensor, Taken, chosen_sensors, expose, sample_radiometry, take
from mage.generator.shade import shaded
from mage.generator.spectra import VISIBLE
from mage.scenes.dataset.schema import ImageRecord, Sample, ShardRecord
from mage.scenes.dataset.store import Store, write_shard
from mage.scenes.hazards.flood import FloodBasis, prepare_flood
from mage.scenes.hazards.plugin import load_plugin
from mage.scenes.parts import FloodPart

SENSOR_STREAM = 42


def open_studio(job: ShardJob, threads: int, share: Share = WHOLE) -> Studio:
    """Build the job's city in memory and in Blender, on this worker's ``share`` of the GPUs."""
    seconds: Seconds = {}
    cv2.setNumThreads(1)  # what is painted is too small to be worth waking others
    _load_plugins(job)  # before a city is built for what cannot be used
    with timed(seconds, "city"):
        place = build_place(job)
        basis = _flood_basis(job, place)
    sensors = chosen_sensors(job.recipe)
    with timed(seconds, "scene"):
        render = job.recipe.render.model_copy(update={"spp": job.recipe.samples(0.0)})
        device = start_engine(render, threads, share)
        stage = Stage(place, spectral=any(sensor.beyond_visible for sensor in sensors))
    return Studio(place, stage, basis, device, sensors, seconds)


def change_event(studio: Studio, job: ShardJob) -> Studio:
    """The studio for another event in the same place: what stands there stays."""
    _load_plugins(job)
    return replace(studio, basis=_flood_basis(job, studio.place))


def render_shard(job: ShardJob, store: Store, studio: Studio, report: Callable[[str, Seconds], None]) -> ShardRecord:
    """Render all samples of a job and publish them as one shard; ``report`` hears of each sample's key and timings."""

    def _samples() -> Iterator[Sample]:
        for index in range(job.first, job.first + job.count):
            sample, seconds = render_sample(job, index, studio)
            yield sample
            report(sample.record.key, seconds)

    return write_shard(store, job.name, _samples(), job.recipe_hash)


def render_sample(job: ShardJob, index: int, studio: Studio) -> tuple[Sample, Seconds]:
    """One sample and the seconds that its stages took."""
    seconds: Seconds = {}
    with timed(seconds, "labels"):
        draft = draw_sample(job, index, studio.place, studio.basis)
    with timed(seconds, "ground"):
        both = lands(draft, studio)
    images: dict[str, NDArray[np.uint8]] = {}
    further: dict[str, Taken] = {}
    for k, date in enumerate(("pre", "post")):
        set_samples(samples_of(job, draft, k))
        reflected = photograph_date(draft, k, studio, both[k], seconds)
        with timed(seconds, "sensor"):
            images[date], taken = _taken(job, draft, k, studio.sensors, reflected)
        further |= {f"{date}_{name}": band for name, band in taken.items()}
    record = draft.record.model_copy(update={"images": [_image_record(*item) for item in further.items()]})
    return Sample(record, images, draft.labels, {name: band.pixels for name, band in further.items()}), seconds


def samples_of(job: ShardJob, draft: Draft, date: int) -> int:
    """Samples per pixel of one date's picture."""
    sun, labels = draft.lights[date].sun, draft.labels
    standing = np.where(labels["pre_building"] > 0, labels["pre_height"], 0) / 100  # from centimetres
    wet = labels[f"{('pre', 'post')[date]}_water"] > 0
    if date == 1:
        wet = wet | (labels["post_depth"] > 0)
    hard = shaded(standing, draft.grid.gsd, sun) + float(wet.mean())
    return job.recipe.samples(sun.elevation, hard=hard, after=date == 1)


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


def _load_plugins(job: ShardJob) -> None:
    for path in job.recipe.plugins:
        load_plugin(path, allowed=job.allow_plugins)


def _flood_basis(job: ShardJob, place: Place) -> FloodBasis | None:
    """What all floods of an event have in common, None where there are none."""
    floods = [part for part in job.recipe.hazards if isinstance(part, FloodPart)]
    return prepare_flood(place.city, floods[0]) if floods else None
