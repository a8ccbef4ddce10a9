"""Generating a dataset: plan, run what is not done yet, index, report."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mage.generator.journal import Journal, known_sources
from mage.generator.plan import Plan, ShardJob, make_plan
from mage.generator.report import write_report
from mage.generator.runners.desk import Desk, Outcome
from mage.generator.runners.local import run_local
from mage.generator.runners.parts import Part, share_of
from mage.generator.sensors.table import chosen_sensors
from mage.scenes.dataset.folder import PARTIAL
from mage.scenes.dataset.index import MANIFEST, finish_dataset
from mage.scenes.dataset.schema import DatasetRecord, ShardRecord
from mage.scenes.dataset.store import (
    SHARDS,
    Store,
    done_shards,
    open_store,
    publish_text,
    read_text,
    shard_is_done,
    side_name,
)
from mage.scenes.errors import DatasetError, MageError, RenderError
from mage.scenes.recipe import Recipe

PLAN = "plan.json"
RUNNERS = ("local", "ray")
TOLD = 3  # failures that an error spells out


@dataclass(frozen=True, slots=True)
class Run:
    """How a dataset is rendered; what comes out is the same.

    Attributes:
        runner: ``local``, processes on this machine, or ``ray``, tasks on a Ray cluster.
        part: k of n, to render only that part of the jobs; None for all of them.
        workers: jobs at a time; None takes what keeps the machine busy.
        gpus: numbers of those to use, None for all there are; local workers share them out.
        patience: seconds without a word after which a worker is killed; None goes by what samples took so far.
    """

    runner: str = "local"
    part: Part | None = None
    workers: int | None = None
    gpus: tuple[int, ...] | None = None
    patience: float | None = None


DEFAULT = Run()


def generate(
    recipe: Recipe | Plan,
    root: Store | str | Path,
    *,
    run: Run = DEFAULT,
    allow_plugins: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: bool = False,
) -> DatasetRecord | None:
    """Render a recipe's dataset into ``root``, going on from whatever of the same recipe is there already.

    Several runs may work on one dataset at the same time, on one machine or on many: all of it, or parts. Whoever
    finishes last writes the index.

    Args:
        recipe: what to render: a recipe, or a plan of several.
        root: an empty or new folder or store, or one with an unfinished dataset of the same recipe and seed.
        run: how.
        allow_plugins: let a recipe's own hazards run, which are code that it names; a plan knows whether it may.
        say: told of what happens, a line at a time.
        progress: draw a progress bar on standard error.

    Returns:
        The whole dataset's manifest, or None while shards of other parts are missing.

    Raises:
        MageError: the city or recipe cannot be used, the folder holds something else, the disk is full, Blender failed.
            What could be rendered then stays, and another run goes on from there.
    """
    started = time.perf_counter()
    plan = recipe if isinstance(recipe, Plan) else make_plan(recipe, allow_plugins=allow_plugins)
    store = open_store(root)
    mine = list(plan.jobs if run.part is None else share_of(run.part, plan.jobs))
    _claim(store, plan)
    done = _done(store, mine)
    jobs = [job for job in mine if job.name not in done]
    if len(jobs) < len(mine):
        say(f"{len(mine) - len(jobs)} of {len(mine)} shards are there already")
    with _bar(sum(job.count for job in jobs), progress) as bar:
        journal = Journal(store, plan.recipe_hash, say, bar)
        try:
            outcome = _render(plan, jobs, store, run, journal)
        finally:
            journal.publish()
    if outcome.failed:
        raise _failure(outcome, len(mine))
    if run.part is not None and missing_jobs(store, plan):
        return None
    shards = _done(store, plan.jobs)
    if lost := [job.name for job in plan.jobs if job.name not in shards]:
        raise DatasetError(
            "shards are gone again, or are not what their side files say; the same command renders them again",
            file=store.place,
            found=", ".join(lost[:TOLD]),
        )
    return _finish(store, plan, list(shards.values()), journal, started)


def missing_jobs(store: Store, plan: Plan) -> list[ShardJob]:
    """The jobs of a plan whose shard or side file nobody has published."""
    names = store.sizes(SHARDS)
    return [job for job in plan.jobs if not {job.name, Path(side_name(job.name)).name} <= names.keys()]


def versions() -> dict[str, str]:
    """Versions of all that decides what is rendered."""
    names = ("mage-eo", "bpy", "numpy", "embreex", "rasterio", "scipy", "shapely", "opencv-python-headless")
    return {name: version(name) for name in names}


def _render(plan: Plan, jobs: Sequence[ShardJob], store: Store, run: Run, journal: Journal) -> Outcome:
    """Have a runner do the jobs."""

    def _found(job: ShardJob) -> ShardRecord | None:
        record = shard_is_done(store, job.name, job.recipe_hash)
        return record if record and _fits(record, job) else None

    desk = Desk(list(jobs), plan.recipe.render.device, journal.hear, _found, run.patience)
    if not jobs:
        return desk.outcome
    if run.runner == "ray":
        from mage.generator.runners.cluster import run_ray

        return run_ray(desk, store.place, run.workers)
    return run_local(desk, store.place, run.workers, run.gpus)


def _finish(store: Store, plan: Plan, shards: list[ShardRecord], journal: Journal, started: float) -> DatasetRecord:
    """Index all shards and write the report."""
    sensors = [sensor.record for sensor in chosen_sensors(plan.recipe)]
    sources = known_sources(store, plan.recipe_hash)
    record = finish_dataset(store, plan.campaign, shards, versions(), sources, sensors)
    timings: dict[str, Any] = {
        "device": ", ".join(journal.devices),
        "samples": journal.samples,
        "workers": journal.workers,
        "seconds": {stage: round(spent, 2) for stage, spent in journal.seconds.items()},
        "wall": round(time.perf_counter() - started, 2),
    }
    write_report(store, timings)
    return record


def _failure(outcome: Outcome, jobs: int) -> MageError:
    """One error about all jobs that failed; where nothing else happened, the very one that each met."""
    told = {str(error): error for error in outcome.failed.values()}
    if len(told) == 1 and not outcome.records:
        return next(iter(told.values()))
    first = "; ".join(f"{name}: {error}" for name, error in list(outcome.failed.items())[:TOLD])
    more = f"; and {len(outcome.failed) - TOLD} more" if len(outcome.failed) > TOLD else ""
    return RenderError(
        f"{len(outcome.failed)} of {jobs} shards could not be rendered, the others are done; "
        f"the same command tries these again: {first}{more}"
    )


def _bar(samples: int, progress: bool) -> tqdm[Any]:
    """Progress over all workers; in a file a line now and then."""
    often = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(total=samples, unit="pair", disable=not progress, dynamic_ncols=True, smoothing=0.05, mininterval=often)


def _claim(store: Store, plan: Plan) -> None:
    """Make the store ours; refuse one that holds something else."""
    if store.place.startswith("memory://"):
        raise DatasetError("this memory is of one process, and workers are others", file=store.place)
    content = {
        "recipe_hash": plan.recipe_hash,
        "seed": plan.campaign.seed,
        "shard_size": plan.recipe.output.shard_size,
        "versions": versions(),  # one dataset is not made half by one Blender and half by another
    }
    _check_store(store, content, {job.name for job in plan.jobs})
    store.clean_partial()
    if missing_jobs(store, plan):
        store.remove(MANIFEST)  # whole again only when all shards are
    _write_plan(store, content)


def _write_plan(store: Store, content: dict[str, Any]) -> None:
    """Say what the store is for; of two runs that begin at the same moment, the first may."""
    planned = _planned(store)
    if planned != content:
        store.remove(PLAN)  # of another recipe's attempt that rendered nothing
    publish_text(store, PLAN, json.dumps(content) + "\n", once=True)
    if _planned(store) != content:
        raise DatasetError("another run of another recipe began here at this moment", file=store.place)


def _check_store(store: Store, content: dict[str, Any], planned: set[str]) -> None:
    there = store.sizes()
    if set(there) - {PARTIAL} and PLAN not in there:
        raise DatasetError("is not empty and holds no dataset of this recipe; choose another --out", file=store.place)
    shards = sorted(name for name in store.sizes(SHARDS) if name.endswith(".tar"))
    if shards and _planned(store) != content:
        raise DatasetError(
            "holds a dataset of another recipe, seed, shard size or software version; choose another --out",
            file=store.place,
        )
    surplus = [name for name in shards if name not in planned]
    if surplus:
        raise DatasetError(
            "holds more shards than this count needs; ask for more pairs or choose another --out",
            file=store.place,
            expected=f"{len(planned)} shard(s)",
            found=", ".join(surplus[:3]),
        )


def _planned(store: Store) -> Any:
    """What the store was begun for, None if that cannot be told."""
    try:
        return json.loads(read_text(store, PLAN))
    except (DatasetError, ValueError):
        return None


def _done(store: Store, jobs: Sequence[ShardJob]) -> dict[str, ShardRecord]:
    """Records by name of the jobs whose shards are there and whole. Shards of fewer samples, as the last of a dataset
    that is to grow, are taken away.
    """
    wanted = {job.name: job for job in jobs}
    there = done_shards(store, {job.name: job.recipe_hash for job in jobs})
    for name in [name for name, record in there.items() if not _fits(record, wanted[name])]:
        del there[name]
        store.remove(side_name(name))
        store.remove(f"{SHARDS}/{name}")
    return there


def _fits(record: ShardRecord, job: ShardJob) -> bool:
    """Whether a shard of the job's recipe holds the job's samples."""
    return record.samples == job.count and job.event in (None, record.event)
