"""Worker processes on this machine. The driver never imports bpy: a process that has cannot start others."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mage.generator.plan import Plan, ShardJob
from mage.scenes import errors
from mage.scenes.dataset.schema import ShardRecord
from mage.scenes.errors import MageError, RenderError

TRIES = 3  # a worker may die of a driver's or a machine's fault; a job that kills three is to blame itself
RECYCLE_AFTER = 32  # jobs; whatever Blender leaks ends with its process

Event = dict[str, Any]


@dataclass(slots=True)
class _Worker:
    """A process and the job that it has in hand."""

    process: subprocess.Popen[str]
    complaints: Any
    job: ShardJob | None = None
    served: int = 0


@dataclass(slots=True)
class _Desk:
    """Jobs waiting, failures counted, records handed in."""

    waiting: list[ShardJob]
    failures: dict[str, int] = field(default_factory=dict)
    records: list[ShardRecord] = field(default_factory=list)


def run_local(
    plan: Plan, jobs: Sequence[ShardJob], root: Path, workers: int, hear: Callable[[Event], None]
) -> list[ShardRecord]:
    """Render ``jobs`` of a plan into ``root`` with that many processes; ``hear`` gets every event as it happens.

    Raises:
        MageError: what a worker reported, as the same class; RenderError when a job killed its worker three times.
    """
    desk = _Desk(list(jobs))
    mail: queue.Queue[tuple[_Worker, Event | None]] = queue.Queue()
    threads = max(1, (os.cpu_count() or 1) // workers)
    crew: list[_Worker] = []
    try:
        while desk.waiting or any(w.job for w in crew):
            while desk.waiting and len(crew) < workers:
                crew.append(_hire(plan, root, threads, mail))
            for worker in crew:
                if worker.job is None and desk.waiting:
                    _hand_out(worker, desk)
            worker, event = mail.get()
            if worker not in crew:
                continue
            if event is None:
                crew.remove(worker)
                _mourn(worker, desk)
            else:
                _take_in(worker, event, desk, hear)
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
    mail: queue.Queue[tuple[_Worker, Event | None]] = queue.Queue()
    worker = _hire(plan, out.parent, os.cpu_count() or 1, mail)
    try:
        _send(worker, {"task": "portrait", "name": out.name, "first": 0, "count": 0})
        while (event := mail.get()[1]) is not None:
            if event["event"] == "error":
                raise _reported(event)
            hear(event)
            if event["event"] == "portrait":
                return
        raise RenderError(f"{out.name}: the rendering process ended ({_last_words(worker)})")
    finally:
        _dismiss(worker)


def _hire(plan: Plan, root: Path, threads: int, mail: queue.Queue[tuple[_Worker, Event | None]]) -> _Worker:
    complaints = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - lives as long as the worker
    process = subprocess.Popen(
        [sys.executable, "-m", "mage.generator.runners.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
        encoding="utf-8",
        start_new_session=True,  # Ctrl-C is the driver's to handle; it dismisses its workers itself
    )
    worker = _Worker(process, complaints)
    setup = {
        "recipe": plan.recipe.model_dump(mode="json"),
        "recipe_hash": plan.recipe_hash,
        "root": str(root),
        "threads": threads,
        "allow_plugins": plan.allow_plugins,
    }
    _send(worker, setup)

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            mail.put((worker, json.loads(line)))
        mail.put((worker, None))

    threading.Thread(target=listen, daemon=True).start()
    return worker


def _send(worker: _Worker, message: dict[str, Any]) -> None:
    assert worker.process.stdin is not None
    try:
        worker.process.stdin.write(json.dumps(message) + "\n")
        worker.process.stdin.flush()
    except BrokenPipeError:
        pass  # its death is in the mail


def _hand_out(worker: _Worker, desk: _Desk) -> None:
    worker.job = job = desk.waiting.pop(0)
    _send(worker, {"task": "shard", "name": job.name, "first": job.first, "count": job.count})


def _take_in(worker: _Worker, event: Event, desk: _Desk, hear: Callable[[Event], None]) -> None:
    if event["event"] == "error":
        raise _reported(event)
    if event["event"] == "shard":
        desk.records.append(ShardRecord.model_validate(event["record"]))
        worker.job, worker.served = None, worker.served + 1
    hear(event)


def _reported(event: Event) -> MageError:
    kind = getattr(errors, event["kind"], MageError)
    error: MageError = kind.__new__(kind)  # the message is whole already; the class's own __init__ would add to it
    Exception.__init__(error, event["message"])
    return error


def _mourn(worker: _Worker, desk: _Desk) -> None:
    """A worker ended: its job goes back to the desk, unless it has now killed too many."""
    words = _last_words(worker)
    worker.complaints.close()
    job = worker.job
    if job is None:
        return
    desk.failures[job.name] = desk.failures.get(job.name, 0) + 1
    if desk.failures[job.name] >= TRIES:
        raise RenderError(f"{job.name}: the rendering process ended {TRIES} times ({words})")
    desk.waiting.insert(0, job)


def _last_words(worker: _Worker) -> str:
    """How an ended process ended and what it said last."""
    code = worker.process.wait()
    worker.complaints.seek(0)
    last = [line for line in worker.complaints.read().splitlines() if line.strip()][-3:]
    reason = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"{reason}: {' | '.join(last) or 'without a word'}; `mage doctor` checks what Blender needs"


def _dismiss(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.wait()
    for stream in (worker.process.stdin, worker.complaints):
        if stream is not None and not stream.closed:
            with suppress(BrokenPipeError):
                stream.close()
