"""The command from recipe to dataset, with Blender, on a city of a few houses and tiny pictures."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import TINY, labels_of, mage, refused, samples_of, shard_hashes, start, wait_for, workers_of
from rasterio.features import rasterize

from mage.scenes.dataset.verify import verify_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("generated") / "dataset"
    mage("generate", "flood", *TINY, "--count", "2", "--out", root)
    return root


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By another seed, in a folder in which a picture was taken for a city first."""
    folder = tmp_path_factory.mktemp("other")
    picture, root = folder / "city.gml", folder / "dataset"
    picture.write_bytes(b"\xff\xd8\xff\xe0" + bytes(200))
    done = mage("generate", "flood", "--city", picture, "--out", root, check=False)
    assert done.returncode == 2
    assert "city.gml" in done.stderr
    assert not (root / "dataset.json").exists()
    mage("generate", "flood", *TINY, "--count", "1", "--seed", "7", "--out", root)
    return root


def test_what_is_generated_is_whole_and_says_what_it_holds(dataset: Path) -> None:
    assert mage("verify", dataset).returncode == 0
    facts = json.loads(mage("info", dataset, "--json").stdout)
    assert facts["counts"]["samples"] == 2
    assert facts["counts"]["buildings"] > 0
    assert "https://" not in (dataset / "report.html").read_text()


def test_vectors_in_pixels_and_on_the_map_lie_on_the_rasters(dataset: Path) -> None:
    for sample in samples_of(dataset):
        grid = sample.record.grid
        raster = sample.labels["pre_building"]
        shapes = []
        for building in sample.record.buildings:
            for in_pixels, on_map in zip(building.polygons_px, building.polygons_map, strict=True):
                shapes.append(({"type": "Polygon", "coordinates": in_pixels}, building.id))
                back = (np.array(on_map[0]) - (grid.west, grid.north)) / (grid.gsd, -grid.gsd)
                assert back == pytest.approx(np.array(in_pixels[0]), abs=0.02)
        drawn = rasterize(shapes, out_shape=raster.shape, dtype="uint16")
        assert (drawn == raster)[(drawn > 0) | (raster > 0)].mean() > 0.97
        assert {b.id for b in sample.record.buildings} == set(np.unique(raster)) - {0}


def test_no_picture_has_holes(dataset: Path) -> None:
    for sample in samples_of(dataset):
        for image in sample.images.values():
            assert (image.max(axis=-1) <= 4).mean() < 0.001
            assert (image.min(axis=-1) >= 254).mean() < 0.05


def test_the_same_seed_gives_the_same_bytes_and_a_rerun_renders_only_what_is_missing(
    dataset: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    (copy / "shards" / "train-000001.json").unlink()
    (copy / "dataset.json").unlink()
    kept = (copy / "shards" / "train-000000.tar").stat().st_mtime_ns
    assert verify_dataset(copy).problems
    mage("generate", "flood", *TINY, "--count", "2", "--out", copy)
    assert (copy / "shards" / "train-000000.tar").stat().st_mtime_ns == kept
    assert labels_of(copy) == labels_of(dataset)
    assert shard_hashes(copy) == shard_hashes(dataset)
    # Cycles on the CPU repeats itself to the bit, so the pictures agree as well
    for name in ("train-000000.tar", "train-000001.tar"):
        assert (copy / "shards" / name).read_bytes() == (dataset / "shards" / name).read_bytes()


def test_another_seed_gives_other_scenes(dataset: Path, other: Path) -> None:
    assert set(labels_of(other).values()).isdisjoint(
        value for name, value in labels_of(dataset).items() if name.endswith("class.png")
    )


def test_one_folder_holds_one_dataset(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "generate", "flood", *TINY, "--count", "2", "--seed", "7", "--out", dataset)
    assert "another recipe, seed, shard size" in said
    assert verify_dataset(dataset).problems == ()


@pytest.mark.long
def test_ctrl_c_leaves_nothing_that_passes_for_whole_and_a_rerun_completes_it(tmp_path: Path) -> None:
    root = tmp_path / "dataset"
    driver = start("generate", "flood", *TINY, "--count", "4", "--out", root)
    wait_for(lambda: list(root.glob("shards/*.json")))
    driver.send_signal(signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert not workers_of(root)
    broken = mage("verify", root, check=False)
    assert broken.returncode == 1 or broken.returncode == 2
    assert "dataset.json" in broken.stderr
    mage("generate", "flood", *TINY, "--count", "4", "--out", root)
    assert mage("verify", root).returncode == 0


@pytest.mark.long
def test_a_killed_worker_costs_a_retry_and_nothing_else(dataset: Path, tmp_path: Path) -> None:
    root = tmp_path / "dataset"
    driver = start("generate", "flood", *TINY, "--count", "2", "--out", root)
    wait_for(lambda: list(root.glob("shards/*.json")))
    for worker in workers_of(root):
        os.kill(worker, signal.SIGKILL)
    _, said = driver.communicate(timeout=120)
    assert driver.returncode == 0, said
    assert labels_of(root) == labels_of(dataset)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["generate", "floood"], "no such recipe"),
        (["generate", "flood", "--city", "missing.gml"], "missing.gml: no such file"),
        (["generate", "flood", "--set", "output.sizes=3"], "output.sizes: no such key"),
        (["generate", "flood", "--set", "nonsense"], "key=value"),
        (["generate", "flood", "--size", "7"], "output.size"),
        (["generate", "flood", "--device", "abacus"], "render.device"),
        (["preview", "nowhere"], "no such file, folder or recipe"),
        (["verify", "nowhere"], "no such"),
        (["info", "nowhere"], "no such"),
    ],
)
def test_a_newcomers_mistake_ends_in_one_clear_sentence(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if arguments[0] == "generate":
        arguments = [*arguments, "--out", str(tmp_path / "out")]
    assert words in refused(capsys, *arguments)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_city_is_refused_and_with_the_mistake_put_right_the_same_folder_serves(other: Path) -> None:
    assert verify_dataset(other).problems == ()


def test_fewer_pairs_than_a_folder_holds_are_refused_before_anything_is_touched(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "generate", "flood", *TINY, "--count", "1", "--out", dataset)
    assert "more shards than this count needs" in said
    assert verify_dataset(dataset).problems == ()


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    refused(capsys, "generate", "flood", *TINY, "--out", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["thesis.txt"]


def test_without_blender_the_command_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'bpy': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "from mage.scenes.cli import main\n"
        f"main(['generate', 'flood', '--out', {str(tmp_path / 'out')!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "pip install 'mage-eo[generator]'" in done.stderr
    assert not (tmp_path / "out").exists()
