"""What takes minutes: the quality that a sample count gives, and the memory of a worker over hundreds of pairs."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from command_line import start, workers_of

from mage.scenes.recipe import QUALITY, SAMPLES, SAMPLES_IN_THE_OPEN, SAMPLES_OF_RUBBLE, SAMPLES_UNDER_LOW_SUN

pytestmark = pytest.mark.long

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize("scene", ["suburb", "flood", "old town", "long shadows", "rubble", "burnt"])
def test_the_samples_of_a_quality_reach_its_target(scene: str) -> None:
    command = [sys.executable, BENCHMARKS / "samples.py", "96", "1024", scene]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    reached = {int(row[0]): float(row[1]) for row in rows}
    assert len(reached) > 5, done.stderr
    of_scene = {
        "suburb": SAMPLES_IN_THE_OPEN,
        "flood": SAMPLES,
        "old town": SAMPLES,
        "long shadows": SAMPLES_UNDER_LOW_SUN,
        "rubble": SAMPLES_OF_RUBBLE,
        "burnt": SAMPLES_OF_RUBBLE,
    }
    samples = of_scene[scene]
    for quality, target in QUALITY.items():
        assert reached[samples[quality]] >= target


def test_the_memory_of_a_worker_stays_flat_over_two_hundred_pairs(tmp_path: Path) -> None:
    """Within 5 % of its median, once caches are warm after twenty pairs."""
    root = tmp_path / "dataset"
    small = ["--size", "64", "--gsd", "1", "--spp", "1", "--count", "200", "--workers", "1"]
    flat = ("--set", "city.extent=200", "--set", "output.shard_size=200", "--out", root)
    resident: dict[int, float] = {}  # MiB once the shard had so many bytes
    with start("generate", "flood", *small, *flat) as driver:
        while driver.poll() is None:
            written = growing(root)
            for worker in workers_of(root):
                mib = resident_of(worker)
                if mib is not None:
                    resident.setdefault(written, mib)
            try:
                driver.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                continue
        assert driver.returncode == 0, driver.communicate()[1]
    whole = (root / "shards" / "train-000000.tar").stat().st_size
    # after the last pair a worker ends, and not all that it had is left
    warm = np.array([mib for written, mib in resident.items() if 0.1 * whole < written < 0.995 * whole])
    assert len(warm) > 120
    assert np.abs(warm / np.median(warm) - 1).max() < 0.05


def growing(root: Path) -> int:
    """Bytes of the shard that is on its way into a dataset."""
    sizes = [0]
    for path in (root / ".partial").glob("*.tar.*"):
        with suppress(FileNotFoundError):  # it is whole now
            sizes.append(path.stat().st_size)
    return max(sizes)


def resident_of(process: int) -> float | None:
    """MiB that a process holds; None of one that has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return None
    found = status.partition("VmRSS:")[2].split()
    return int(found[0]) / 1024 if found else None
