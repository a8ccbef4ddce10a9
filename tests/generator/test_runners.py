"""Workers that die, GPUs that fail: what the driver makes of them, seen on workers without Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.generator.plan import make_plan
from mage.generator.runners import local
from mage.generator.runners.local import run_local
from mage.generator.runners.share import Share
from mage.scenes.errors import RenderError
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
        self.folder, self.said = folder, list[str]()

    def run(self, workers: int | None = 1, **render: Any) -> list[str]:
        """Names of the shards that were handed in."""
        recipe = Recipe.model_validate({"name": "run", "count": 4, "output": {"shard_size": 1}, "render": render})
        plan = make_plan(recipe)
        records = run_local(plan, plan.jobs, str(self.folder), workers, self._hear)
        return sorted(record.name for record in records)

    def orders(self) -> list[tuple[str, str]]:
        """Every job handed out, with the device that it went to, in order."""
        lines = (self.folder / "orders").read_text().splitlines()
        return [(line.split()[0], line.split()[1]) for line in lines]

    def _hear(self, event: dict[str, Any]) -> None:
        if event["event"] == "fallback":
            self.said.append(event["message"])


def test_a_worker_that_crashes_costs_a_retry_and_no_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Crew(tmp_path, monkeypatch, fault="dies once")
    assert crew.run(workers=2) == FOUR
    assert [name for name, _ in crew.orders()].count(FOUR[1]) == 2
    assert not crew.said
    assert not list(crew.memory.iterdir())  # nor does it leave its files behind


def test_a_job_that_kills_every_worker_ends_the_run_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = Crew(tmp_path, monkeypatch, fault="dies")
    with pytest.raises(RenderError, match=r"train-000001.tar: the rendering process ended 3 times \(signal 11"):
        crew.run()


def test_where_blender_crashes_on_the_gpu_the_run_goes_on_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = Crew(tmp_path, monkeypatch, fault="dies on a GPU", kind="CUDA")
    assert crew.run() == FOUR
    assert [device for _, device in crew.orders()] == ["CUDA", "CUDA", "CPU", "CPU", "CPU", "CPU"]
    assert len(crew.said) == 1
    assert "train-000000.tar: signal 11" in crew.said[0]
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


def test_eevee_without_opengl_is_one_sentence_and_no_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Crew(tmp_path, monkeypatch, fault="dies at the start")
    with pytest.raises(RenderError, match=r"EEVEE could not start \(signal 6: no context"):
        crew.run(engine="eevee")


def test_several_workers_a_gpu_are_hired_once_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local.os, "cpu_count", lambda: 8)
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
