"""Worker processes on this machine. The driver never imports bpy: a process that has cannot start others."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mage.generator.plan import Plan, ShardJob
from mage.scenes import errors
from mage.scenes.dataset.schema import ShardRecord
from mage.scenes.errors import MageError, RenderError

TRIES = 3  # a worker may die of a driver's or a machine's fault; a job that kills three is to blame itself
RECYCLE_AFTER = 32  # jobs; whatever Blender leaks ends with its process
# Where no number of workers is asked for. A pair's ground, labels and packing keep one processor busy while the
# renderer waits: on a GPU most of the time, on the CPU a quarter of it (benchmarks/README.md).
THREADS_EACH, PER_GPU = 4, 8
MODULE = "mage.generator.runners.worker"
MEMORY = "/dev/shm"  # noqa: S108 - where there is one, a private folder is made in it

Event = dict[str, Any]
Mail = queue.Queue[tuple["_Worker", Event | None]]


@dataclass(slots=True)
class _Worker:
    """A process, what it was told to render on and what it renders on, and the job that it has in hand."""

    process: subprocess.Popen[str]
    complaints: Any
    rank: int
    device: str
    scratch: str
    recipe: tuple[Any, ...]
    ears: threading.Thread | None = None
    taken: str | None = None
    job: ShardJob | None = None
    served: int = 0

    @property
    def on_gpu(self) -> bool:
        """Whether another device could do better; so it is told of one that has not said yet what it took."""
        return self.device != "cpu" and self.taken != "CPU"


@dataclass(slots=True)
class _Desk:
    """Jobs waiting, failures counted, records handed in; what to render on, and which jobs on something else."""

    waiting: list[ShardJob]
    device: str
    failures: dict[str, int] = field(default_factory=dict)
    elsewhere: dict[str, str] = field(default_factory=dict)
    records: list[ShardRecord] = field(default_factory=list)
    on_gpu: int = 0  # samples

    def device_of(self, job: ShardJob) -> str:
        return self.elsewhere.get(job.name, self.device)


def run_local(
    plan: Plan,
    jobs: Sequence[ShardJob],
    place: str,
    workers: int | None,
    hear: Callable[[Event], None],
    gpus: tuple[int, ...] | None = None,
) -> list[ShardRecord]:
    """Render ``jobs`` of a plan into the store at ``place`` with that many processes; ``hear`` gets every event.

    ``workers`` None takes as many as keep the machine busy: one for every four processors, or several a GPU. ``gpus``
    are those that may be used, None for all; the workers share them out. A job that a GPU fails goes to the next
    device, the CPU at last; one whose worker dies is tried again.

    Raises:
        MageError: what a worker reported, as the same class; RenderError when a job killed its worker three times.
    """
    desk = _Desk(list(jobs), plan.recipe.render.device)
    mail: Mail = queue.Queue()
    crew: list[_Worker] = []
    cpus = os.cpu_count() or 1
    wanted = min(workers or max(1, cpus // THREADS_EACH), len(jobs))
    room = wanted if workers else 1  # until the first says what it renders on
    setup = {"root": place, "threads": max(1, cpus // wanted), "workers": workers and wanted, "gpus": gpus}
    try:
        while desk.waiting or any(w.job for w in crew):
            _staff(crew, desk, room, setup, mail)
            worker, event = mail.get()
            if worker not in crew:
                continue
            if event is None or event.get("kind") == "DeviceError":
                crew.remove(worker)
                _mourn(worker, event, desk, hear)
                continue
            _take_in(worker, event, desk, hear)
            if event["event"] == "ready" and workers is None:
                room = min(cpus, PER_GPU * event["gpus"], len(jobs)) or wanted
            if worker.job is None and worker.served >= RECYCLE_AFTER:
                crew.remove(worker)
                _dismiss(worker)
    finally:
        for worker in crew:
            _dismiss(worker)
    return desk.records


def run_portrait(plan: Plan, out: Path, hear: Callable[[Event], None]) -> None:
    """Photograph a plan's whole city into a PNG, in a process of its own.

    Raises:
        MageError: what the process reported, as the same class; RenderError when it ended without a picture.
    """
    job = replace(plan.jobs[0], name=out.name, first=0, count=0)
    desk = _Desk([job], plan.recipe.render.device)
    setup = {"root": str(out.parent), "threads": os.cpu_count() or 1, "workers": 1, "gpus": None}
    while desk.waiting:
        mail: Mail = queue.Queue()
        worker = _hire(job, 0, desk.device_of(job), setup, mail)
        try:
            _hand_out(worker, desk.waiting.pop(), "portrait")
            while (event := mail.get()[1]) is not None and event.get("kind") != "DeviceError":
                _take_in(worker, event, desk, hear)
                if event["event"] == "portrait":
                    return
            _mourn(worker, event, desk, hear)
        finally:
            _dismiss(worker)


def _staff(crew: list[_Worker], desk: _Desk, room: int, setup: dict[str, Any], mail: Mail) -> None:
    """Give every idle worker a job of its recipe and device; let go those that have none, and hire while there is
    room.
    """
    for worker in [w for w in crew if w.job is None]:
        mine = (j for j in desk.waiting if desk.device_of(j) == worker.device and _recipe_of(j) == worker.recipe)
        job = next(mine, None)
        if job is not None:
            desk.waiting.remove(job)
            _hand_out(worker, job)
        elif desk.waiting:
            crew.remove(worker)
            _dismiss(worker)
    while desk.waiting and len(crew) < room:
        job = desk.waiting.pop(0)
        rank = min(set(range(room)) - {w.rank for w in crew})
        crew.append(_hire(job, rank, desk.device_of(job), setup, mail))
        _hand_out(crew[-1], job)


def _recipe_of(job: ShardJob) -> tuple[Any, ...]:
    """What a worker is hired for: its city and stage are those of one event."""
    return job.recipe_hash, job.recipe.seed, job.split, job.event


def _hire(job: ShardJob, rank: int, device: str, setup: dict[str, Any], mail: Mail) -> _Worker:
    complaints = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - lives as long as the worker
    scratch = tempfile.mkdtemp(prefix="mage-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own module
        [sys.executable, "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
        encoding="utf-8",
        env=os.environ | {"TMPDIR": scratch},  # Blender that is killed or crashes leaves its files behind
        start_new_session=True,  # Ctrl-C is the driver's to handle; it dismisses its workers itself
    )
    worker = _Worker(process, complaints, rank, device, scratch, _recipe_of(job))
    event = {
        "recipe": job.recipe.model_dump(mode="json"),
        "recipe_hash": job.recipe_hash,
        "allow_plugins": job.allow_plugins,
        "split": job.split,
        "event": job.event,
    }
    _send(worker, event | setup | {"rank": rank, "device": device})

    def listen() -> None:
        assert process.stdout is not None
        with process.stdout as events:
            for line in events:
                mail.put((worker, json.loads(line)))
        mail.put((worker, None))

    worker.ears = threading.Thread(target=listen, daemon=True)
    worker.ears.start()
    return worker


def _send(worker: _Worker, message: dict[str, Any]) -> None:
    assert worker.process.stdin is not None
    try:
        worker.process.stdin.write(json.dumps(message) + "\n")
        worker.process.stdin.flush()
    except BrokenPipeError:
        pass  # its death is in the mail


def _hand_out(worker: _Worker, job: ShardJob, task: str = "shard") -> None:
    worker.job = job
    _send(worker, {"task": task, "name": job.name, "first": job.first, "count": job.count})


def _take_in(worker: _Worker, event: Event, desk: _Desk, hear: Callable[[Event], None]) -> None:
    if event["event"] == "error":
        raise _reported(event)
    if event["event"] == "ready":
        worker.taken = event["kind"]
    desk.on_gpu += event["event"] == "sample" and worker.on_gpu
    if event["event"] == "shard":
        desk.records.append(ShardRecord.model_validate(event["record"]))
        worker.job, worker.served = None, worker.served + 1
    hear(event)


def _reported(event: Event) -> MageError:
    kind = getattr(errors, event["kind"], MageError)
    error: MageError = kind.__new__(kind)  # the message is whole already; the class's own __init__ would add to it
    Exception.__init__(error, event["message"])
    return error


def _mourn(worker: _Worker, event: Event | None, desk: _Desk, hear: Callable[[Event], None]) -> None:
    """A worker ended, without a word or since its GPU failed: its job goes back to the desk, for another device where
    that may help, unless it has now killed too many.
    """
    words = event["message"] if event else _last_words(worker)
    _dismiss(worker)
    job, died = worker.job, event is None
    if job is None:
        return
    if died and job.recipe.render.engine == "eevee" and worker.taken is None:
        raise RenderError(
            f"EEVEE could not start ({words}): it draws with OpenGL, without a display by a driver that EGL finds; "
            "render.engine cycles needs none"
        )
    desk.failures[job.name] = failures = desk.failures.get(job.name, 0) + died
    if failures >= TRIES:
        raise RenderError(f"{job.name}: the rendering process ended {TRIES} times ({words})")
    if worker.on_gpu and (not died or failures == TRIES - 1):
        other = "cuda" if not died and worker.device == "auto" and worker.taken == "OPTIX" else "cpu"
        desk.elsewhere[job.name] = other
        if not desk.on_gpu:  # it never worked here
            desk.device = other
        hear({"event": "fallback", "message": f"{job.name}: {words}; trying {other} instead"})
    desk.waiting.insert(0, job)


def _last_words(worker: _Worker) -> str:
    """How an ended process ended and what it said last."""
    code = worker.process.wait()
    worker.complaints.seek(0)
    last = [line for line in worker.complaints.read().splitlines() if line.strip()][-3:]
    reason = f"signal {-code}" if code < 0 else f"exit code {code}"
    if code == -signal.SIGKILL:
        reason += " (killed, for lack of memory perhaps: try fewer --workers)"
    return f"{reason}: {' | '.join(last) or 'without a word'}; `mage doctor` checks what Blender needs"


def _dismiss(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.wait()
    shutil.rmtree(worker.scratch, ignore_errors=True)
    if worker.ears is not None:
        worker.ears.join()
    for stream in (worker.process.stdin, worker.complaints):
        if stream is not None and not stream.closed:
            with suppress(BrokenPipeError):
                stream.close()
