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
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mage.generator.plan import Plan, ShardJob
from mage.generator.runners.desk import Desk, Event, On, Outcome, broken_off, described, reported
from mage.generator.runners.share import processors
from mage.scenes.errors import DeviceError, MageError, RenderError

RECYCLE_AFTER = 32  # jobs; whatever Blender leaks ends with its process
# Where no number of workers is asked for. A pair's ground, labels and packing keep one processor busy while the
# renderer waits: on a GPU most of the time, on the CPU a quarter of it (benchmarks/README.md).
THREADS_EACH, PER_GPU = 4, 8
MODULE = "mage.generator.runners.worker"
MEMORY = "/dev/shm"  # noqa: S108 - where there is one, a private folder is made in it

Mail = queue.Queue[tuple["_Worker", Event | None]]


@dataclass(slots=True)
class _Worker:
    """A process, the city that it was hired for, what it renders on, and the job that it has in hand."""

    process: subprocess.Popen[str]
    complaints: Any
    rank: int
    device: str
    place: str
    folders: tuple[str, str]
    ears: threading.Thread | None = None
    taken: str | None = None
    job: ShardJob | None = None
    served: int = 0
    heard: float = field(default_factory=time.monotonic)
    hung: float | None = None

    @property
    def on(self) -> On:
        """What it renders on."""
        return On(self.device, self.taken)


def run_local(desk: Desk, place: str, workers: int | None, gpus: tuple[int, ...] | None = None) -> Outcome:
    """Render the desk's jobs into the store at ``place`` with that many processes.

    ``workers`` None takes as many as keep the machine busy: one for every four processors, or several a GPU. ``gpus``
    are those that may be used, None for all; the workers share them out. A job that a GPU fails goes to the next
    device, the CPU at last; one whose worker dies or falls silent is tried again.

    Raises:
        MageError: what a worker reported, as the same class, if no other job would fare better.
    """
    mail: Mail = queue.Queue()
    crew: list[_Worker] = []
    cpus, jobs = processors(), len(desk.waiting)
    wanted = min(workers or max(1, cpus // THREADS_EACH), jobs)
    room = wanted if workers else 1  # until the first says what it renders on
    setup = {"root": place, "threads": max(1, cpus // max(wanted, 1)), "workers": workers and wanted, "gpus": gpus}
    try:
        while True:
            _staff(crew, desk, room, setup, mail)
            if not any(worker.job for worker in crew):
                return desk.outcome
            letter = _open_letter(mail, crew, desk)
            if letter is None or letter[0] not in crew:
                continue
            worker, event = letter
            if event is None or event["event"] == "error":
                crew.remove(worker)
                _part_with(worker, event, desk)
                continue
            _take_in(worker, event, desk)
            if event["event"] == "ready" and workers is None:
                room = min(cpus, PER_GPU * event["gpus"], jobs) or wanted
            if worker.job is None and worker.served >= RECYCLE_AFTER:
                crew.remove(worker)
                _dismiss(worker)
    finally:
        for worker in crew:
            _dismiss(worker)


def run_portrait(plan: Plan, out: Path, hear: Callable[[Event], None]) -> None:
    """Photograph a plan's whole city into a PNG, in a process of its own.

    Raises:
        MageError: what the process reported, as the same class; RenderError when it ended without a picture.
    """
    job = replace(plan.jobs[0], name=out.name, first=0, count=0)
    desk = Desk([job], plan.recipe.render.device, hear)
    setup = {"root": str(out.parent), "threads": processors(), "workers": 1, "gpus": None}
    while (taken := desk.take()) is not None:
        mail: Mail = queue.Queue()
        worker = _hire(taken, 0, desk.device_of(job), setup, mail)
        try:
            _hand_out(worker, taken, "portrait")
            while (event := mail.get()[1]) is not None and event["event"] != "error":
                _take_in(worker, event, desk)
                if event["event"] == "portrait":
                    return
            _part_with(worker, event, desk)
        finally:
            _dismiss(worker)
    raise desk.failed[job.name]


def _staff(crew: list[_Worker], desk: Desk, room: int, setup: dict[str, Any], mail: Mail) -> None:
    """Give every idle worker a job in its city and for its device; let go those that have none, and hire while there
    is room, for a city that nobody has in memory if there is one.
    """
    for worker in [w for w in crew if w.job is None]:
        job = desk.take(lambda j, w=worker: desk.device_of(j) == w.device and j.place == w.place)  # type: ignore[misc]
        if job is not None:
            _hand_out(worker, job)
        elif desk.waiting:
            crew.remove(worker)
            _dismiss(worker)
    while desk.waiting and len(crew) < room:
        places = {worker.place for worker in crew}
        job = desk.take(lambda j: j.place not in places) or desk.take()  # noqa: B023 - called at once
        if job is None:
            return
        rank = min(set(range(room)) - {w.rank for w in crew})
        crew.append(_hire(job, rank, desk.device_of(job), setup, mail))
        _hand_out(crew[-1], job)


def _hire(job: ShardJob, rank: int, device: str, setup: dict[str, Any], mail: Mail) -> _Worker:
    complaints = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - lives as long as the worker
    scratch = tempfile.mkdtemp(prefix="mage-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
    aside = tempfile.mkdtemp(prefix="mage-")  # shards on their way to a distant store would fill the memory
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
    worker = _Worker(process, complaints, rank, device, job.place, (scratch, aside))
    _send(worker, setup | {"rank": rank, "device": device, "aside": aside})

    def _listen() -> None:
        assert process.stdout is not None
        with process.stdout as events:
            for line in events:
                mail.put((worker, json.loads(line)))
        mail.put((worker, None))

    worker.ears = threading.Thread(target=_listen, daemon=True)
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
    worker.job, worker.heard = job, time.monotonic()
    _send(worker, {"task": task, "job": described(job)})


def _open_letter(mail: Mail, crew: list[_Worker], desk: Desk) -> tuple[_Worker, Event | None] | None:
    """The next event; None after the time in which one should have come, and whoever is overdue has been killed."""
    busy = [(worker, worker.heard + desk.allowed_silence(worker.job)) for worker in crew if worker.job]
    try:
        return mail.get(timeout=max(0.0, min(due for _, due in busy) - time.monotonic()) + 0.05)
    except queue.Empty:
        now = time.monotonic()
        for worker, due in busy:
            if due <= now and worker.hung is None:
                worker.hung = now - worker.heard
                worker.process.kill()  # that it ended will be in the mail
        return None


def _take_in(worker: _Worker, event: Event, desk: Desk) -> None:
    silence, worker.heard = time.monotonic() - worker.heard, time.monotonic()
    if event["event"] == "ready":
        worker.taken = event["kind"]
    if event["event"] == "sample" and worker.job:
        desk.sampled(worker.job, worker.on, silence, event)
    elif event["event"] == "shard" and worker.job:
        desk.handed_in(worker.job, event | {"rank": worker.rank})
        worker.job, worker.served = None, worker.served + 1
    else:
        desk.hear(event)


def _part_with(worker: _Worker, event: Event | None, desk: Desk) -> None:
    """A worker ended, with an error or without a word: its job goes back to the desk."""
    job = worker.job
    error: MageError | None = reported(event) if event else None
    words = "" if event else _last_words(worker)
    _dismiss(worker)
    if job is None:
        return
    if error is None and worker.hung is None and job.recipe.render.engine == "eevee" and worker.taken is None:
        raise RenderError(
            f"EEVEE could not start ({words}): it draws with OpenGL, without a display by a driver that EGL finds; "
            "render.engine cycles needs none"
        )
    if error is not None and worker.taken is None and not isinstance(error, DeviceError):
        desk.give_up_like(job, error)
    else:
        desk.give_back(job, error or broken_off(job, words), worker.on)


def _last_words(worker: _Worker) -> str:
    """How a process ended and what it said last."""
    if worker.hung is not None:
        worker.process.wait()
        return f"hung: not a word in {worker.hung:.0f} s (--patience gives it longer)"
    code = worker.process.wait()
    worker.complaints.seek(0)
    last = [line for line in worker.complaints.read().splitlines() if line.strip()][-3:]
    reason = f"signal {-code}" if code < 0 else f"exit code {code}"
    if code == -signal.SIGKILL:
        reason += " (killed, for lack of memory perhaps: try fewer --workers)"
    return f"ended: {reason}: {' | '.join(last) or 'without a word'}; `mage doctor` checks what Blender needs"


def _dismiss(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.wait()
    for folder in worker.folders:
        shutil.rmtree(folder, ignore_errors=True)
    if worker.ears is not None:
        worker.ears.join()
    for stream in (worker.process.stdin, worker.complaints):
        if stream is not None and not stream.closed:
            with suppress(BrokenPipeError):
                stream.close()
