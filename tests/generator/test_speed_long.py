"""What takes minutes: the quality that a sample count gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mage.scenes.recipe import QUALITY, SAMPLES, SAMPLES_OF_RUBBLE

pytestmark = pytest.mark.long

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize("scene", ["suburb", "flood", "long shadows", "rubble", "burnt"])
def test_the_samples_of_a_quality_reach_its_target(scene: str) -> None:
    command = [sys.executable, BENCHMARKS / "samples.py", "96", "1024", scene]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    reached = {int(row[0]): float(row[1]) for row in rows}
    assert len(reached) > 5, done.stderr
    samples = SAMPLES_OF_RUBBLE if scene in ("rubble", "burnt") else SAMPLES
    for quality, target in QUALITY.items():
        assert reached[samples[quality]] >= target
