"""What takes minutes: chaos, every real city, hundreds of pairs."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import TINY, labels_of, mage, samples_of, shard_hashes, start, wait_for, workers_of
from scipy.ndimage import binary_erosion

pytestmark = pytest.mark.long

CITIES = [
    "cityjson/3dbag_901.city.jsonl",
    "cityjson/delft_scene_lod1.city.json",
    "cityjson/denhaag_lod2_small.city.json",
    "cityjson/rotterdam_delfshaven_lod2.city.json",
    "cityjson/vienna_lod2.city.jsonl",
    "citygml/berlin_lod2.gml",
    "citygml/delft_lod1_small.xml",
    "citygml/plateau_tokyo_53394517_citygml2.gml",
    "citygml/zurich_lod2_small.xml",
]


def _holed(image: np.ndarray) -> bool:
    """Whether the world has a hole: black wider than a car's window and the sharpening rim about it, which may be."""
    return bool(binary_erosion(image.max(axis=-1) <= 4, np.ones((3, 3))).any())


@pytest.mark.parametrize("name", CITIES)
def test_every_real_city_becomes_a_dataset_that_verifies(shared_data: Path, tmp_path: Path, name: str) -> None:
    root = tmp_path / "dataset"
    mage(
        "generate", "flood", "--city", shared_data / name, "--count", "2", "--size", "128", "--spp", "4", "--out", root
    )
    assert mage("verify", root).returncode == 0
    facts = json.loads(mage("info", root, "--json").stdout)
    assert facts["counts"]["buildings"] > 0
    assert facts["counts"]["pixels"]["post_class"].get("flood", 0) > 0
    for sample in samples_of(root):
        assert not any(_holed(image) for image in sample.images.values())


def test_a_hundred_pairs_by_two_workers_are_those_of_one(tmp_path: Path) -> None:
    size = ["--size", "64", "--spp", "1", "--set", "city.extent=400", "--set", "output.shard_size=25", "--count", "100"]
    two = tmp_path / "two"
    mage("generate", "flood", *size, "--workers", "2", "--out", two, seconds=900)
    assert mage("verify", two).returncode == 0
    facts = json.loads(mage("info", two, "--json").stdout)
    assert facts["counts"]["samples"] == 100
    labels = labels_of(two)
    classes = [v for k, v in labels.items() if k.endswith("post_class.png")]
    assert len(set(classes)) > 95  # tiles and stages vary from sample to sample
    one = tmp_path / "one"
    mage("generate", "flood", *size[:-1], "25", "--out", one, seconds=600)
    assert all(labels[name] == value for name, value in labels_of(one).items())


def test_whatever_is_killed_a_rerun_makes_the_dataset_of_an_undisturbed_run(tmp_path: Path) -> None:
    calm, wild = tmp_path / "calm", tmp_path / "wild"
    size = [*TINY, "--count", "24", "--workers", "2"]
    mage("generate", "flood", *size, "--out", calm, seconds=400)
    rng = np.random.default_rng(11)
    for _ in range(4):
        driver = start("generate", "flood", *size, "--out", wild)
        wait_for(lambda d=driver: workers_of(wild) or d.poll() is not None)  # type: ignore[misc]
        time.sleep(float(rng.uniform(3.0, 7.0)))
        for worker in workers_of(wild)[: rng.integers(0, 2)]:
            os.kill(worker, signal.SIGKILL)
        time.sleep(float(rng.uniform(0.0, 1.0)))
        if driver.poll() is None:
            driver.kill()
        driver.communicate()
        if not (wild / "dataset.json").exists():
            assert mage("verify", wild, check=False).returncode != 0
    wait_for(lambda: not workers_of(wild))
    mage("generate", "flood", *size, "--out", wild, seconds=400)
    assert mage("verify", wild).returncode == 0
    assert shard_hashes(wild) == shard_hashes(calm)
    assert not (wild / ".partial").exists()
