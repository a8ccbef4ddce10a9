"""Generating a dataset: plan, run what is not done yet, index, report."""

from __future__ import annotations

import json
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
from mage.scenes.dataset.index import finish_dataset
from mage.scenes.dataset.schema import DatasetRecord, ShardRecord
from mage.scenes.dataset.store import SHARDS, LocalStore, publish_text, shard_is_done
from mage.scenes.errors import DatasetError
from mage.scenes.recipe import Recipe

LOG, PLAN = "log.jsonl", "plan.json"


@dataclass(slots=True)
class Journal:
    """What the workers told: kept as JSON lines beside the dataset, and summed up for the report."""

    path: Path
    say: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)
    samples: int = 0
    device: str = ""
    workers: int = 0

    def hear(self, event: Event) -> None:
        """Take in one event."""
        with self.path.open("a", encoding="utf-8") as log:
            log.write(json.dumps({"time": round(time.time(), 3), **event}) + "\n")
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


def generate(
    recipe: Recipe | Plan,
    root: Path,
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
        root: an empty or new folder, or one with an unfinished dataset of the same recipe and seed.
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
    store = LocalStore(root)
    done = _claim(root, plan, store)
    journal = Journal(root / LOG, say)
    jobs = [job for job in plan.jobs if job.name not in done]
    if len(jobs) < len(plan.jobs):
        say(f"{len(plan.jobs) - len(jobs)} of {len(plan.jobs)} shards are there already")
    with tqdm(total=sum(j.count for j in jobs), unit="pair", disable=not progress, dynamic_ncols=True) as bar:

        def hear(event: Event) -> None:
            journal.hear(event)
            bar.update(event["event"] == "sample")

        fresh = run_local(plan, jobs, root, workers, hear, gpus) if jobs else []
    shards = sorted([*done.values(), *fresh], key=lambda s: s.name)
    sensors = [sensor.record for sensor in chosen_sensors(plan.recipe)]
    record = finish_dataset(root, plan.campaign, shards, versions(), _known_sources(root), sensors)
    timings: dict[str, Any] = {"device": journal.device, "samples": journal.samples, "workers": journal.workers}
    timings["seconds"] = {k: round(v, 2) for k, v in journal.seconds.items()}
    timings["wall"] = round(time.perf_counter() - started, 2)
    write_report(root, timings)
    return record


def versions() -> dict[str, str]:
    """Versions of all that decides what is rendered."""
    names = ("mage-eo", "bpy", "numpy", "embreex", "rasterio", "scipy", "shapely", "opencv-python-headless")
    return {name: version(name) for name in names}


def _claim(root: Path, plan: Plan, store: LocalStore) -> dict[str, ShardRecord]:
    """Make the folder ours and return the shards that are done; refuse one that holds something else."""
    content = {
        "recipe_hash": plan.recipe_hash,
        "seed": plan.campaign.seed,
        "shard_size": plan.recipe.output.shard_size,
        "versions": versions(),  # one dataset is not made half by one Blender and half by another
    }
    _check_folder(root, content, {job.name for job in plan.jobs})
    store.clean_partial()
    store.remove("dataset.json")  # whole again only when all shards are
    if _planned(root) != content:
        store.remove(LOG)  # of another recipe's attempt that rendered nothing
    publish_text(store, PLAN, json.dumps(content) + "\n")
    done = {}
    for job in plan.jobs:
        record = shard_is_done(store, job.name, job.recipe_hash)
        if record is not None and record.samples == job.count and job.event in (None, record.event):
            done[job.name] = record
    return done


def _check_folder(root: Path, content: dict[str, Any], planned: set[str]) -> None:
    if not root.exists():
        return
    if not root.is_dir() or (any(root.iterdir()) and not (root / PLAN).exists()):
        raise DatasetError("is not empty and holds no dataset of this recipe; choose another --out", file=root)
    shards = sorted(path.name for path in (root / SHARDS).glob("*.tar"))
    if shards and _planned(root) != content:
        raise DatasetError(
            "holds a dataset of another recipe, seed, shard size or software version; choose another --out", file=root
        )
    surplus = [name for name in shards if name not in planned]
    if surplus:
        raise DatasetError(
            "holds more shards than this count needs; ask for more pairs or choose another --out",
            file=root,
            expected=f"{len(planned)} shard(s)",
            found=", ".join(surplus[:3]),
        )


def _planned(root: Path) -> Any:
    """What the folder was begun for, None if that cannot be told."""
    try:
        return json.loads((root / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _known_sources(root: Path) -> list[dict[str, Any]]:
    """The sources of all cities that this and earlier runs of the dataset wrote down, each once."""
    sources: dict[str, dict[str, Any]] = {}
    for line in (root / LOG).read_text(encoding="utf-8").splitlines() if (root / LOG).exists() else ():
        event = json.loads(line)
        for source in event["sources"] if event["event"] == "ready" else ():
            sources[json.dumps(source, sort_keys=True)] = source
    return [sources[text] for text in sorted(sources)]  # whichever worker was first
