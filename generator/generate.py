"""Generating a dataset: plan, run what is not done yet, index, report."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mage.generator.plan import Plan, make_plan
from mage.generator.report import write_report
from mage.generator.runners.local import Event, run_local
from mage.generator.sensors.table import chosen_sensors
from mage.scenes.dataset.folder import PARTIAL
from mage.scenes.dataset.index import finish_dataset
from mage.scenes.dataset.schema import DatasetRecord, ShardRecord
from mage.scenes.dataset.store import SHARDS, Store, open_store, publish_text, read_text, shard_is_done
from mage.scenes.errors import DatasetError
from mage.scenes.recipe import Recipe

LOGS, PLAN = "logs", "plan.json"
LOG_EVERY = 20.0  # seconds; a log is published whole, since object stores cannot add to a file


@dataclass(slots=True)
class Journal:
    """What the workers told: a JSON line for each event but single samples, in a log of the run's own, and a sum of all
    for the report.
    """

    store: Store
    recipe_hash: str
    say: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)
    samples: int = 0
    device: str = ""
    workers: int = 0
    lines: list[str] = field(default_factory=list)
    name: str = field(default_factory=lambda: f"{LOGS}/{time.strftime('%Y%m%dT%H%M%S')}-{os.urandom(4).hex()}.jsonl")
    published: float = 0.0

    def hear(self, event: Event) -> None:
        """Take in one event."""
        if event["event"] != "sample":
            stamp = {"time": round(time.time(), 3), "recipe_hash": self.recipe_hash}
            self.lines.append(json.dumps(stamp | event) + "\n")
            if event["event"] == "ready" or time.monotonic() - self.published > LOG_EVERY:
                self.publish()
        for stage, spent in event.get("seconds", {}).items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent
        if event["event"] == "sample":
            self.samples += 1
        self.workers = max(self.workers, event.get("rank", -1) + 1)
        if event["event"] == "ready" and not self.device:
            self.device = event["device"]
            inferred = ", ".join(event["city"]["inferred"])
            made_up = f"; inferred, since no source holds them: {inferred}" if inferred else ""
            self.say(f"{event['city']['buildings']} buildings, rendering on {self.device}{made_up}")
        elif event["event"] == "ready" and event["device"] not in self.device:
            self.device += f", {event['device']}"
        if event["event"] == "fallback":
            self.say(event["message"])

    def publish(self) -> None:
        """Have the store hold all lines so far."""
        publish_text(self.store, self.name, "".join(self.lines))
        self.published = time.monotonic()


def generate(
    recipe: Recipe | Plan,
    root: Store | str | Path,
    *,
    workers: int | None = None,
    gpus: tuple[int, ...] | None = None,
    allow_plugins: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: bool = False,
) -> DatasetRecord:
    """Render a recipe's dataset into ``root``, going on from whatever of the same recipe is there already.

    Args:
        recipe: what to render: a recipe, or a plan of several.
        root: an empty or new folder or store, or one with an unfinished dataset of the same recipe and seed.
        workers: processes, each with the whole city in memory; None takes what keeps the machine busy.
        gpus: numbers of those to use, None for all there are; the workers share them out.
        allow_plugins: let a recipe's own hazards run, which are code that it names; a plan knows whether it may.
        say: told of what happens, a line at a time.
        progress: draw a progress bar on standard error.

    Raises:
        MageError: the city or recipe cannot be used, the folder holds something else, the disk is full, Blender failed.
    """
    started = time.perf_counter()
    plan = recipe if isinstance(recipe, Plan) else make_plan(recipe, allow_plugins=allow_plugins)
    store = open_store(root)
    done = _claim(store, plan)
    journal = Journal(store, plan.recipe_hash, say)
    jobs = [job for job in plan.jobs if job.name not in done]
    if len(jobs) < len(plan.jobs):
        say(f"{len(plan.jobs) - len(jobs)} of {len(plan.jobs)} shards are there already")
    with tqdm(total=sum(j.count for j in jobs), unit="pair", disable=not progress, dynamic_ncols=True) as bar:

        def hear(event: Event) -> None:
            journal.hear(event)
            bar.update(event["event"] == "sample")

        try:
            fresh = run_local(plan, jobs, store.place, workers, hear, gpus) if jobs else []
        finally:
            if journal.lines:
                journal.publish()
    shards = sorted([*done.values(), *fresh], key=lambda s: s.name)
    sensors = [sensor.record for sensor in chosen_sensors(plan.recipe)]
    record = finish_dataset(store, plan.campaign, shards, versions(), _known_sources(store, plan), sensors)
    timings: dict[str, Any] = {"device": journal.device, "samples": journal.samples, "workers": journal.workers}
    timings["seconds"] = {k: round(v, 2) for k, v in journal.seconds.items()}
    timings["wall"] = round(time.perf_counter() - started, 2)
    write_report(store, timings)
    return record


def versions() -> dict[str, str]:
    """Versions of all that decides what is rendered."""
    names = ("mage-eo", "bpy", "numpy", "embreex", "rasterio", "scipy", "shapely", "opencv-python-headless")
    return {name: version(name) for name in names}


def _claim(store: Store, plan: Plan) -> dict[str, ShardRecord]:
    """Make the store ours and return the shards that are done; refuse one that holds something else."""
    content = {
        "recipe_hash": plan.recipe_hash,
        "seed": plan.campaign.seed,
        "shard_size": plan.recipe.output.shard_size,
        "versions": versions(),  # one dataset is not made half by one Blender and half by another
    }
    _check_store(store, content, {job.name for job in plan.jobs})
    store.clean_partial()
    store.remove("dataset.json")  # whole again only when all shards are
    publish_text(store, PLAN, json.dumps(content) + "\n")
    done = {}
    for job in plan.jobs:
        record = shard_is_done(store, job.name, job.recipe_hash)
        if record is not None and record.samples == job.count and job.event in (None, record.event):
            done[job.name] = record
    return done


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


def _known_sources(store: Store, plan: Plan) -> list[dict[str, Any]]:
    """The sources of all cities that this and earlier runs of the dataset wrote down, each once."""
    sources: dict[str, dict[str, Any]] = {}
    for name in sorted(store.sizes(LOGS)):
        for line in read_text(store, f"{LOGS}/{name}").splitlines():
            event = json.loads(line)
            if event["event"] == "ready" and event["recipe_hash"] == plan.recipe_hash:
                sources |= {json.dumps(source, sort_keys=True): source for source in event["sources"]}
    return [sources[text] for text in sorted(sources)]  # whichever worker was first
