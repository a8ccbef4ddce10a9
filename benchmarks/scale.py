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

from mage.scenes.dataset.index import finish_dataset, open_dataset
from mage.scenes.dataset.rows import SampleRow, SideRecord
from mage.scenes.dataset.schema import ShardRecord
from mage.scenes.dataset.store import side_name
from mage.scenes.recipe import Recipe

MILLION, PER_SHARD = 1_000_000, 16  # samples in a shard by default
RECIPE, EVENT = Recipe.model_validate({"name": "million", "count": MILLION}), "suburb-flood-0"
HASH = RECIPE.hash({})
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
    """Write what a million samples have beside their pixels, index them from their side files, and check it all."""
    shards = write_metadata(root, MILLION)
    before = spent()
    finish_dataset(root, RECIPE, shards, {}, [])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"index of {MILLION:,} samples: {spent() - before:.0f} CPU s, {memory:.2f} GiB", flush=True)
    started = time.perf_counter()
    command = [sys.executable, "-m", "mage.scenes.cli", "verify", "--quick", str(root)]
    done = subprocess.run(command, capture_output=True, text=True)
    wall, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"verify --quick of {MILLION:,} samples: {done.stdout.strip() or done.stderr[-500:]}")
    cpu, memory = used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20
    print(f"  {wall:.0f} s, {cpu:.0f} CPU s (target 120), {memory:.2f} GiB (target 2)")


def spent() -> float:
    """CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def write_metadata(root: Path, samples: int) -> list[ShardRecord]:
    """Shards that have their size and nothing in it, and whole side files: all that a quick check looks at."""
    shards = []
    (root / "shards").mkdir(parents=True)
    for k, first in enumerate(range(0, samples, PER_SHARD)):
        rows = [row_of(number) for number in range(first, first + PER_SHARD)]
        side = SideRecord(
            name=f"train-{k:06d}.tar",
            event=EVENT,
            bytes=100_000_000,
            sha256=f"{k:064x}",
            labels_sha256=f"{k:064x}",
            samples=PER_SHARD,
            keys=[row.key for row in rows],
            recipe_hash=HASH,
            rows=rows,
            pixels={"post_damage": {"0": PER_SHARD * 512**2}},
        )
        (root / side_name(side.name)).write_text(side.model_dump_json(indent=1) + "\n")
        with (root / "shards" / side.name).open("wb") as file:
            file.truncate(side.bytes)  # a hole, which takes no room
        shards.append(side.shard)
    return shards


def row_of(number: int) -> SampleRow:
    """What the index says of a sample."""
    zeros = dict.fromkeys(SampleRow.model_fields, 0)
    facts = {"split": "train", "city": "suburb", "event": EVENT, "hazard": "flood", "gsd": 0.5, "size": 512}
    facts |= {"pre_date": "2023-06-14T10:30:00", "post_date": "2023-07-02T10:30:00", "buildings": 12, "jds_0": 12}
    facts |= {"key": f"suburb-flood-{number:07d}", "west": 256.0 * number, "crs": None, "recipe_hash": HASH}
    return SampleRow.model_validate(zeros | facts)


if __name__ == "__main__":
    main()
