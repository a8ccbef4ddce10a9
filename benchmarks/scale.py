"""Datasets at scale: the same samples by every runner, two workers against one, and a quick check of a million samples.

    python benchmarks/scale.py                  # 24 pairs, and the million
    python benchmarks/scale.py --pairs 500 --size 128

One worker is held to one processor and two to two, so that each has one thread. Rates count from a worker's first shard
to its last, as the runs' logs have them: a city is built once a worker.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa

from mage.scenes.dataset import index
from mage.scenes.dataset.index import COLUMNS, REAL, TEXT, WHOLE, Tally, open_dataset
from mage.scenes.dataset.schema import ShardRecord
from mage.scenes.dataset.store import side_name
from mage.scenes.grades import JDS_NAMES
from mage.scenes.recipe import Recipe

MILLION, PER_SHARD = 1_000_000, 16  # samples in a shard by default
ZEROS = {TEXT: "", WHOLE: 0, REAL: 0.0}
SETTINGS = ["--spp", "1", "--set", "city.extent=400"]


def main() -> None:
    """Run what was asked for in a folder that goes afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--only", choices=("runners", "workers", "verify"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mage-scale-") as folder:
        if options.only in (None, "runners"):
            compare_runners(Path(folder), options.pairs, options.size)
        if options.only in (None, "workers"):
            compare_workers(Path(folder), options.pairs, options.size)
        if options.only in (None, "verify"):
            check_a_million(Path(folder) / "million")


def compare_runners(folder: Path, pairs: int, size: int) -> None:
    """One dataset by local workers, by Ray, and by three parts."""
    generate(folder / "local", pairs, size, "--workers", "2")
    generate(folder / "ray", pairs, size, "--runner", "ray", "--workers", "2")
    for k in (1, 2, 3):
        generate(folder / "parts", pairs, size, "--workers", "2", "--part", f"{k}/3")
    hashes = {name: label_hashes(folder / name) for name in ("local", "ray", "parts")}
    print(f"{pairs} pairs of {size} px in {len(hashes['local'])} shards")
    for name, found in hashes.items():
        print(
            f"  {name:<6} {'the same labels' if found == hashes['local'] else 'OTHER LABELS'}, {verdict(folder / name)}"
        )
    for name in hashes:
        shutil.rmtree(folder / name)
    if len({json.dumps(found) for found in hashes.values()}) > 1:
        raise SystemExit("runners disagree")


def compare_workers(folder: Path, pairs: int, size: int) -> None:
    """Pairs a second of one worker and of two, each process on one thread."""
    rates = {}
    for workers in (1, 2):
        root = folder / f"workers-{workers}"
        held = set(sorted(os.sched_getaffinity(0))[:workers])
        generate(root, pairs, size, "--workers", str(workers), held=held)
        rates[workers] = rate(root)
        print(f"  {workers} worker(s): {rates[workers]:.3f} pairs/s")
        shutil.rmtree(root)
    print(f"two workers make {rates[2] / rates[1]:.2f} times the pairs of one (target 1.8)")


def generate(root: Path, pairs: int, size: int, *words: str, held: set[int] | None = None) -> None:
    """``mage generate flood`` with shards small enough to be shared out, on some of the processors or on all."""
    shards = ["--set", f"output.shard_size={max(1, pairs // 12)}"]
    command = [sys.executable, "-m", "mage.scenes.cli", "generate", "flood", "--count", str(pairs), "--size", str(size)]
    command += [*SETTINGS, *shards, *words, "--out", str(root)]
    whole = os.sched_getaffinity(0)
    os.sched_setaffinity(0, held or whole)  # children inherit it
    try:
        subprocess.run(command, check=True, capture_output=True)
    finally:
        os.sched_setaffinity(0, whole)


def label_hashes(root: Path) -> list[tuple[str, list[str], str]]:
    """Name, samples and hash of the labels of every shard."""
    return [(shard.name, shard.keys, shard.labels_sha256) for shard in open_dataset(root).shards]


def verdict(root: Path) -> str:
    """What ``mage verify`` says."""
    command = [sys.executable, "-m", "mage.scenes.cli", "verify", str(root)]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "NOT VALID"


def rate(root: Path) -> float:
    """Pairs a second of all workers of a run, each from its first shard to its last, the first left out."""
    events = [json.loads(line) for log in (root / "logs").iterdir() for line in log.read_text().splitlines()]
    shards = [event for event in events if event["event"] == "shard"]
    of_workers = [[s for s in shards if s["rank"] == rank] for rank in {s["rank"] for s in shards}]
    return sum(sum(s["samples"] for s in own[1:]) / (own[-1]["time"] - own[0]["time"]) for own in of_workers)


def check_a_million(root: Path) -> None:
    """Write what a million samples have beside their pixels, and check it."""
    write_metadata(root, MILLION)
    print(f"written; {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB", flush=True)
    started = time.perf_counter()
    command = [sys.executable, "-m", "mage.scenes.cli", "verify", "--quick", str(root)]
    done = subprocess.run(command, capture_output=True, text=True)
    wall, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"verify --quick of {MILLION:,} samples: {done.stdout.strip() or done.stderr[-500:]}")
    cpu, memory = used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20
    print(f"  {wall:.0f} s, {cpu:.0f} CPU s (target 120), {memory:.2f} GiB (target 2)")


def write_metadata(root: Path, samples: int) -> None:
    """A dataset whose shards have their size and nothing in it: all that a quick check looks at."""
    (root / "shards").mkdir(parents=True)
    recipe = Recipe.model_validate({"name": "million", "count": samples})
    recipe_hash = recipe.hash({})
    keys = [f"suburb-flood-{k:07d}" for k in range(samples)]
    shards = []
    for k, first in enumerate(range(0, samples, PER_SHARD)):
        shard = ShardRecord(
            name=f"train-{k:06d}.tar",
            event="suburb-flood-0",
            bytes=100_000_000,
            sha256=f"{k:064x}",
            labels_sha256=f"{k:064x}",
            samples=PER_SHARD,
            keys=keys[first : first + PER_SHARD],
            recipe_hash=recipe_hash,
        )
        (root / side_name(shard.name)).write_text(shard.model_dump_json(indent=1) + "\n")
        with (root / "shards" / shard.name).open("wb") as file:
            file.truncate(shard.bytes)  # a hole, which takes no room
        shards.append(shard)
    values: dict[str, object] = {"split": "train", "city": "suburb", "event": "suburb-flood-0", "hazard": "flood"}
    values |= {"gsd": 0.5, "size": 512, "crs": None, "recipe_hash": recipe_hash, "buildings": 12, "jds_0": 12}
    columns = {
        name: pa.repeat(pa.scalar(values.get(name, ZEROS.get(kind)), kind), samples) for name, kind in COLUMNS.items()
    }
    columns["key"] = pa.array(keys)
    columns["shard"] = pa.array([shard.name for shard in shards for _ in range(PER_SHARD)])
    columns["west"] = pa.array(np.arange(samples) * 1.0)
    tally = Tally()
    facts = {name: values[name] for name in ("city", "hazard", "split", "gsd", "recipe_hash")}
    tally.events["suburb-flood-0"] = facts | {"name": "suburb-flood-0", "seed": 0, "samples": samples}
    totals = {"samples": samples, "buildings": 12 * samples}
    rows = patch.object(index, "_rows_of_all", return_value=(pa.table(columns), tally))
    with rows, patch.object(Tally, "counts", return_value=counts_of(totals)):
        index.finish_dataset(root, recipe, shards, {}, [])


def counts_of(totals: dict[str, int]) -> dict[str, object]:
    """The counts of samples whose buildings are all undamaged."""
    jds = dict.fromkeys(JDS_NAMES, 0) | {JDS_NAMES[0]: totals["buildings"]}
    return {**totals, "roads": 0, "tents": 0, "jds": jds, "pixels": {}}


if __name__ == "__main__":
    main()
