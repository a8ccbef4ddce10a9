"""One dataset by every runner and in spite of everything: kills, a full disk, a store that fails, two drivers."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import mage, start, wait_for, workers_of
from s3_server import Server, serve_s3

from mage.generator.generate import Run, generate
from mage.generator.plan import plan_of
from mage.scenes.campaign import Campaign, Event
from mage.scenes.dataset.store import Store, open_store
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.recipe import Recipe

pytestmark = pytest.mark.long

COUNT = 12
SETTINGS = ["city.extent=160", "output.shard_size=2", "output.gsd=1.0"]
SMALL = ["--size", "64", "--spp", "1", "--count", str(COUNT), *(w for s in SETTINGS for w in ("--set", s))]


def essence(place: Store | Path | str) -> dict[str, bytes]:
    """All files of a dataset that are the same for every way in which it came about."""
    store = open_store(place)
    names = [f"shards/{name}" for name in store.sizes("shards")]
    return {name: store.read(name) for name in [*names, "samples.parquet", "recipe.yaml", "dataset.json"]}


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed run makes."""
    root = tmp_path_factory.mktemp("calm") / "dataset"
    mage("generate", "flood", *SMALL, "--workers", "2", "--out", root, seconds=600)
    return essence(root)


def finished(root: Path) -> dict[str, bytes]:
    """Run once more, see that the dataset is whole and that nothing else is left, and return it."""
    mage("generate", "flood", *SMALL, "--workers", "2", "--out", root, seconds=600)
    assert verify_dataset(root).problems == ()
    assert verify_dataset(root, quick=True).problems == ()
    assert not (root / ".partial").exists()
    return essence(root)


def test_ray_makes_the_dataset_of_local_workers(calm: dict[str, bytes], tmp_path: Path) -> None:
    mage("generate", "flood", *SMALL, "--runner", "ray", "--workers", "2", "--out", tmp_path / "d", seconds=600)
    assert verify_dataset(tmp_path / "d").problems == ()
    assert essence(tmp_path / "d") == calm


def test_three_parts_at_once_make_it_and_the_last_of_them_writes_the_index(
    calm: dict[str, bytes], tmp_path: Path
) -> None:
    root = tmp_path / "d"
    runs = [start("generate", "flood", *SMALL, "--workers", "1", "--part", f"{k}/3", "--out", root) for k in (1, 2, 3)]
    said = [run.communicate(timeout=600)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], said
    assert "whoever finishes last writes the index" in "".join(said) or all("buildings in" in text for text in said)
    assert verify_dataset(root).problems == ()
    assert essence(root) == calm
    logged = [json.loads(line) for log in (root / "logs").iterdir() for line in log.read_text().splitlines()]
    assert sorted(event["name"] for event in logged if event["event"] == "shard") == sorted(
        name.removeprefix("shards/") for name in calm if name.endswith(".tar")
    )


def test_twenty_kills_of_workers_and_drivers_cost_nothing_but_time(calm: dict[str, bytes], tmp_path: Path) -> None:
    root, rng, kills = tmp_path / "d", np.random.default_rng(7), 0
    while kills < 20:
        driver = start("generate", "flood", *SMALL, "--workers", "2", "--out", root)
        wait_for(lambda d=driver: workers_of(root) or d.poll() is not None)  # type: ignore[misc]
        for _ in range(int(rng.integers(1, 4))):
            time.sleep(float(rng.uniform(0.2, 4.0)))
            for worker in workers_of(root)[: rng.integers(0, 3)]:
                os.kill(worker, signal.SIGKILL)
                kills += 1
        if driver.poll() is None:
            driver.kill()
            kills += 1
        driver.communicate()
        if not (root / "dataset.json").exists():
            assert mage("verify", root, check=False).returncode != 0
    wait_for(lambda: not workers_of(root))
    assert finished(root) == calm


def test_two_drivers_on_one_output_do_not_harm_each_other(calm: dict[str, bytes], tmp_path: Path) -> None:
    root = tmp_path / "d"
    runs = [start("generate", "flood", *SMALL, "--workers", "1", "--out", root) for _ in range(2)]
    said = [run.communicate(timeout=600)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert "Traceback" not in "".join(said)
    assert finished(root) == calm


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a small disk; the same error is injected in test_dataset_store.py")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_one_sentence_and_with_room_the_run_goes_on(calm: dict[str, bytes], small_disk: Path) -> None:
    root = small_disk / "d"
    full = mage("generate", "flood", *SMALL, "--workers", "2", "--out", root, check=False, seconds=600)
    assert full.returncode == 2
    assert "no space left on the device" in full.stderr
    assert "Traceback" not in full.stderr
    assert len([line for line in full.stderr.splitlines() if line.startswith("error:")]) == 1
    assert not (root / "dataset.json").exists()
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert finished(root) == calm


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serve_s3() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def test_a_store_that_fails_gets_the_same_dataset(calm: dict[str, bytes], server: Server) -> None:
    """Of requests every seventh is answered 500, every fifth conditional put 412; of puts every ninth is done and its
    answer lost.
    """
    requests, puts = itertools.count(1), itertools.count(1)

    def fault(method: str, _: str) -> int | None:
        number = next(requests)
        return 500 if number % 7 == 0 else 412 if method == "PUT" and number % 5 == 0 else None

    server.gate.fault = fault
    server.gate.done_and_lost = lambda method, _: method == "PUT" and next(puts) % 9 == 0
    place = "s3://bucket/d"
    mage("generate", "flood", *SMALL, "--workers", "2", "--out", place, seconds=600)
    assert mage("verify", place).stdout.startswith(f"OK: {COUNT} samples")
    assert json.loads(mage("info", place, "--json").stdout)["counts"]["samples"] == COUNT
    server.gate.fault, server.gate.done_and_lost = (lambda *_: None), (lambda *_: False)
    assert essence(place) == calm
    assert {"plan.json", "report.html", "logs", "preview"} <= open_store(place).sizes().keys()


def test_a_run_on_s3_that_is_killed_goes_on_and_leaves_nothing_on_this_machine(
    calm: dict[str, bytes], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    place = "s3://bucket/killed"
    driver = start("generate", "flood", *SMALL, "--workers", "1", "--out", place)
    wait_for(lambda: any(n.endswith(".json") for n in open_store(place).sizes("shards")))
    driver.kill()
    driver.communicate()
    wait_for(lambda: not workers_of(Path(place)) and not list(tmp_path.iterdir()))
    mage("generate", "flood", *SMALL, "--workers", "2", "--out", place, seconds=600)
    assert essence(place) == calm


def test_ctrl_c_ends_a_verification_and_its_processes(tmp_path: Path) -> None:
    code = "import sys; from fake_dataset import write_fake_dataset; write_fake_dataset(sys.argv[1], 60, 48, 4)"
    paths = {"PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "d")], check=True, env=os.environ | paths)
    run = start("verify", "--workers", "2", tmp_path / "d")
    wait_for(lambda: len(children_of(run.pid)) > 2)  # two that check, and one that keeps count of what they share
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in said
    assert not children_of(run.pid)


def children_of(parent: int) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(words[1]) == parent and words[0] != "Z":
            found.append(int(process.name))
    return found


def test_events_in_one_place_by_one_worker_are_those_of_workers_of_their_own(tmp_path: Path) -> None:
    """The city stays in memory from a flood to an earthquake, whose pictures take more samples."""
    content = {"name": "two", "count": 1, "city": {"extent": 160, "seed": 3}, "output": {"size": 64, "gsd": 1.0}}
    kinds = ("flood", "earthquake")
    recipes = [Recipe.model_validate(content | {"hazard": {"kind": kind}}) for kind in kinds]
    events = tuple(Event(r, r.hash({}), "train", f"suburb-{k}") for r, k in zip(recipes, kinds, strict=True))
    plan = plan_of(Campaign("two", 0, events, {"kind": "of two"}), {})
    assert len({job.place for job in plan.jobs}) == 1
    assert generate(plan, tmp_path / "one", run=Run(workers=1)) is not None
    for k in (1, 2):
        generate(plan, tmp_path / "own", run=Run(workers=1, part=(k, 2)))
    assert essence(tmp_path / "one") == essence(tmp_path / "own")
    ready = [line for log in (tmp_path / "one" / "logs").iterdir() for line in log.read_text().splitlines()]
    assert sum('"event": "ready"' in line for line in ready) == 1
