"""What a million samples cost before any is rendered: CPU seconds and memory of a plan.

Run: ``python benchmarks/planning.py [COUNT]``: the bundled mixture ``mage-bench`` with 40 times its cities, one event
for every 250 samples; a million samples by default. The plan is made, written, read back and compared.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from mage.generator.plan import make_plan
from mage.generator.plan_file import read_plan, write_plan
from mage.scenes.mixture import Mixture, read_target

COPIES, PER_EVENT, HELD_OUT = 40, 250, 100


def large(count: int) -> Mixture:
    """The bundled benchmark over a thousand cities."""
    mixture = read_target("mage-bench", {"count": count, "events": max(count // PER_EVENT, 8)})
    assert isinstance(mixture, Mixture)
    cities = {
        name: city.model_copy(update={"copies": COPIES * city.copies, "weight": COPIES * city.weight})
        for name, city in mixture.cities.items()
    }
    splits = {
        name: split.model_copy(update={"cities": HELD_OUT if split.cities else None})
        for name, split in mixture.splits.items()
    }
    return mixture.model_copy(update={"cities": cities, "splits": splits})


def planned(count: int) -> None:
    """Plan so many samples, and say what that took."""
    started = time.process_time()
    plan = make_plan(large(count))
    made = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        write_plan(plan, path)
        size = path.stat().st_size
        assert read_plan(path) == plan
    ended = time.process_time()
    events = plan.campaign.events
    cities = len({event.recipe.city.name for event in events})
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count:,} samples: {len(events):,} events in {cities:,} cities, {len(plan.jobs):,} shards")
    print(f"planned in {made - started:.1f} CPU s; written ({size / 1e6:.1f} MB) and read in {ended - made:.1f} CPU s")
    print(f"at most {memory:,.0f} MiB of memory")


if __name__ == "__main__":
    planned(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
