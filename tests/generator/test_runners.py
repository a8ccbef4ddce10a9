"""Workers that die, GPUs that fail: what the driver makes of them, seen on workers without Blender."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.generator.plan import ShardJob, make_plan
from mage.generator.runners import local
from mage.generator.runners.cluster import _cluster
from mage.generator.runners.desk import Desk, On, described, job_of
from mage.generator.runners.local import run_local
from mage.generator.runners.share import Share
from mage.scenes.dataset.schema import ShardRecord
from mage.scenes.errors import DatasetError, MageError, RenderError
from mage.scenes.recipe import Recipe

FOUR = [f"train-{k:06d}.tar" for k in range(4)]


class Crew:
    """A run of four jobs by fake workers, what it told, and what the workers were asked to do."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
        monkeypatch.setattr(local, "MODULE", "fake_worker")
        self.memory = folder / "memory"
        self.memory.mkdir()
        monkeypatch.setattr(local, "MEMORY", str(self.memory))
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
        monkeypatch.setenv("FAKE_NOTES", str(folder))
        for name, value in settings.items():
            monkeypatch.setenv(f"FAKE_{name.upper()}", value)
        self.folder, self.said, self.events = folder, list[str](), list[dict[str, Any]]()
        self.failed: dict[str, MageError] = {}

    def run(self, workers: int | None = 1, patience: float | None = None, **render: Any) -> list[str]:
        """Names of the shards that were handed in."""
        recipe = Recipe.model_validate({"name": "run", "count": 4, "output": {"shard_size": 1}, "render": render})
        desk = Desk(list(make_plan(recipe).jobs), recipe.render.device, self._hear, patience=patience)
        outcome = run_local(desk, str(self.folder), workers)
        self.failed = outcome.failed
        return sorted(record.name for record in outcome.records)

    def told(self, kind: str) -> list[str]:
        """The shards that events of a kind were about."""
        return [event["shard"] for event in self.events if event["event"] == kind]

    def orders(self) -> list[tuple[str, str]]:
        """Every job handed out, with the device that it went to, in order."""
        lines = (self.folder / "orders").read_text().splitlines()
        return [(line.split()[0], line.split()[1]) for line in lines]

    def _hear(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        if event["event"] == "fallback":
            self.said.append(event["message"])


def test_a_worker_that_crashes_costs_a_retry_and_no_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Crew(tmp_path, monkeypatch, fault="dies once")
    assert crew.run(workers=2) == FOUR
    assert [name for name, _ in crew.orders()].count(FOUR[1]) == 2
    assert not crew.said
    assert not list(crew.memory.iterdir())  # nor does it leave its files behind


@pytest.mark.parametrize(
    ("fault", "words"),
    [("dies", r"the rendering process ended: signal 11"), ("fails", "^fails$")],
)
def test_a_job_that_fails_three_times_is_reported_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, words: str
) -> None:
    crew = Crew(tmp_path, monkeypatch, fault=fault)
    assert crew.run() == [FOUR[0], *FOUR[2:]]
    assert list(crew.failed) == [FOUR[1]]
    assert re.search(words, str(crew.failed[FOUR[1]]))
    assert [name for name, _ in crew.orders()].count(FOUR[1]) == 3
    assert (crew.told("retry"), crew.told("failed")) == ([FOUR[1]] * 2, [FOUR[1]])


def test_a_worker_that_hangs_is_killed_and_its_job_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Crew(tmp_path, monkeypatch, fault="hangs once")
    assert crew.run(patience=6.0) == FOUR
    assert crew.told("retry") == [FOUR[1]]
    message = next(event["message"] for event in crew.events if event["event"] == "retry")
    assert "hung: not a word in 6 s" in message
    assert not list(crew.memory.iterdir())


def test_without_a_city_no_job_of_the_event_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Crew(tmp_path, monkeypatch, fault="no city")
    assert crew.run() == []
    assert {str(error) for error in crew.failed.values()} == {"city.gml: no city"}
    assert sorted(crew.failed) == FOUR
    assert len(crew.orders()) == 1


def test_a_full_disk_ends_the_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Crew(tmp_path, monkeypatch, fault="full disk")
    with pytest.raises(DatasetError, match="full disk"):
        crew.run()
    assert [name for name, _ in crew.orders()] == FOUR[:2]


def jobs_of(count: int, **city: Any) -> list[ShardJob]:
    recipe = Recipe.model_validate({"name": "run", "count": count, "city": city, "output": {"shard_size": 1}})
    return list(make_plan(recipe).jobs)


def test_patience_follows_from_what_samples_took_and_doubles_at_each_try() -> None:
    recipe = Recipe.model_validate({"name": "run", "count": 8, "output": {"shard_size": 8}})
    (job,) = make_plan(recipe).jobs
    desk, on = Desk([], "cpu", lambda _: None), On("cpu", "CPU")
    event = {"event": "sample", "key": "k", "seconds": {}}
    assert desk.allowed_silence(job) == 1800
    desk.sampled(job, on, 900.0, event)  # with the building of the city
    assert desk.allowed_silence(job) == 1800
    desk.sampled(job, on, 2.0, event)
    assert desk.allowed_silence(job) == 300
    desk.sampled(job, on, 60.0, event)
    assert desk.allowed_silence(job) == 1200
    for _ in range(5):
        desk.sampled(job, on, 1.0, event)
    assert desk.allowed_silence(job) == 1800  # all samples are there: the shard is on its way
    desk.give_back(job, RenderError("dead"), on)
    assert desk.allowed_silence(job) == 3600
    assert Desk([], "cpu", lambda _: None, patience=7.0).allowed_silence(job) == 7.0


def test_a_sample_that_is_lost_is_told_so_that_progress_can_go_back() -> None:
    (job,), heard = jobs_of(1), list[dict[str, Any]]()
    desk = Desk([], "cpu", heard.append)
    desk.sampled(job, On("cpu"), 1.0, {"event": "sample", "key": "k", "seconds": {}})
    desk.give_back(job, RenderError("dead"), On("cpu", "CPU"))
    assert heard[-1] == {"event": "retry", "shard": job.name, "lost": 1, "tries": 1, "message": "dead"}
    assert desk.take() is job


def test_what_another_run_has_made_meanwhile_is_not_made_again() -> None:
    jobs, heard = jobs_of(3), list[dict[str, Any]]()
    facts = {"event": "e", "bytes": 1, "sha256": "0" * 64, "labels_sha256": "0" * 64, "samples": 1, "keys": ["k"]}
    made = ShardRecord(name=jobs[0].name, recipe_hash=jobs[0].recipe_hash, **facts)
    desk = Desk(list(jobs), "cpu", heard.append, lambda job: made if job is jobs[0] else None)
    assert desk.take() is jobs[1]
    assert desk.outcome.records == (made,)
    assert heard[0]["note"] == "another run made it"


def test_a_job_goes_through_json_unchanged() -> None:
    (job,) = jobs_of(1)
    odd = replace(job, split="test-city", event="flood-7", allow_plugins=True)
    for wanted in (job, odd):
        assert job_of(json.loads(json.dumps(described(wanted)))) == wanted


def test_each_worker_takes_a_city_of_its_own_as_long_as_there_are_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Crew(tmp_path, monkeypatch, seconds="0.3")
    jobs = [
        replace(job, name=f"train-{3 * k + i:06d}.tar")
        for k in range(2)
        for i, job in enumerate(jobs_of(3, seed=k, extent=160))
    ]
    desk = Desk(list(jobs), "cpu", lambda _: None)
    assert len(run_local(desk, str(tmp_path), 2).records) == 6
    ranks: dict[str, set[int]] = {"0": set(), "1": set()}
    for line in (tmp_path / "orders").read_text().splitlines():
        name, _, rank = line.split()
        ranks[rank].add(int(name[6:12]) // 3)
    assert sorted(map(sorted, ranks.values())) == [[0], [1]]


def test_where_blender_crashes_on_the_gpu_the_run_goes_on_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = Crew(tmp_path, monkeypatch, fault="dies on a GPU", kind="CUDA")
    assert crew.run() == FOUR
    assert [device for _, device in crew.orders()] == ["CUDA", "CUDA", "CPU", "CPU", "CPU", "CPU"]
    assert len(crew.said) == 1
    assert "train-000000.tar: the rendering process ended: signal 11" in crew.said[0]
    assert "cpu" in crew.said[0]


def test_a_job_too_large_for_the_gpu_alone_goes_to_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Crew(tmp_path, monkeypatch, fault="no memory on the GPU", kind="CUDA")
    assert crew.run() == FOUR
    on_cpu = [name for name, device in crew.orders() if device == "CPU"]
    assert on_cpu == [FOUR[1]]
    assert crew.said == ["train-000001.tar: rendering on CUDA failed: no memory on the GPU; trying cpu instead"]


@pytest.mark.parametrize(("cuda", "device"), [("1", "CUDA"), ("", "CPU")])
def test_without_the_kernel_of_one_interface_the_next_is_taken_for_the_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: str, device: str
) -> None:
    crew = Crew(tmp_path, monkeypatch, fault="no kernel", kind="OPTIX", cuda=cuda)
    assert crew.run() == FOUR
    devices = [device for _, device in crew.orders()]
    assert devices[:2] == ["OPTIX", "CUDA"]
    assert devices[-4:] == [device] * 4


def test_ray_that_does_not_start_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: Any) -> None:
        raise Exception("The current node timed out\n  during startup.")  # a bare one, as Ray's own

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False, init=init))
    with (
        pytest.raises(RenderError, match=r"^no Ray to run on: The current node timed out during startup\."),
        _cluster(),
    ):
        pass


def test_eevee_without_opengl_is_one_sentence_and_no_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Crew(tmp_path, monkeypatch, fault="dies at the start")
    with pytest.raises(RenderError, match=r"EEVEE could not start \(ended: signal 6: no context"):
        crew.run(engine="eevee")


def test_several_workers_a_gpu_are_hired_once_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "processors", lambda: 8)
    crew = Crew(tmp_path, monkeypatch, kind="CUDA", gpus="2", seconds="0.3")
    assert crew.run(workers=None) == FOUR
    ranks = {line.split()[2] for line in (tmp_path / "orders").read_text().splitlines()}
    assert len(ranks) > 2  # 8 processors without a GPU are two workers'


@given(st.integers(1, 8), st.integers(1, 12), st.data())
def test_workers_share_out_all_gpus_and_none_is_without(there: int, workers: int, data: st.DataObject) -> None:
    gpus = data.draw(st.none() | st.lists(st.integers(0, there - 1), min_size=1, unique=True).map(tuple))
    names = tuple(f"gpu {i}" for i in range(there))
    shares = [Share(rank, workers, gpus).of(names) for rank in range(workers)]
    allowed = set(range(there)) if gpus is None else set(gpus)
    assert all(shares)
    assert {gpu for share in shares for gpu in share} == allowed
    loads = [sum(gpu in share for share in shares) for gpu in allowed]
    assert max(loads) - min(loads) <= 1
    assert all(len(Share(rank, None, gpus).of(names)) == 1 for rank in range(workers))


def test_a_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(RenderError, match=r"expected 2; found 0 \(A\), 1 \(B\)"):
        Share(0, 1, (1, 2)).of(("A", "B"))
