"""Tasks on a Ray cluster; without one, on a Ray of this machine's own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mage.generator.plan import ShardJob
from mage.generator.runners.desk import Desk, Event, On, Outcome, broken_off, described, job_of, reported
from mage.scenes.errors import DeviceError, MageError, MissingExtraError, RenderError

RECYCLE_AFTER = 32  # tasks, as for local workers
THREADS_EACH, PER_GPU = 4, 8
IN_FLIGHT = 1000  # tasks submitted: enough that a cluster which grows with what waits does grow
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a task without GPUs sees them as before: it is told its device
}


@dataclass(slots=True)
class _Flight:
    """A task on its way; ``heard`` is None until it runs."""

    job: ShardJob
    on: On
    heard: float | None = None
    hung: float | None = None


def run_ray(desk: Desk, place: str, workers: int | None) -> Outcome:
    """Render the desk's jobs into the store at ``place`` as tasks, ``workers`` at a time or as many as find room.

    Where a cluster is found (``RAY_ADDRESS``, or one started on this machine) it is used, and must reach the store and
    have the same software. Jobs that die, hang or fail are tried again as by local workers.

    Raises:
        MissingExtraError: Ray is not installed.
        MageError: what a task reported, as the same class, if no other job would fare better; a cluster that cannot be
            reached.
    """
    with _cluster() as ray:
        from ray.util.queue import Queue

        ears = Queue(actor_options={"num_cpus": 0})
        submit = _submitter(ray, place, workers, ears)
        flights: dict[Any, _Flight] = {}
        try:
            while True:
                while len(flights) < (workers or IN_FLIGHT) and (job := desk.take()) is not None:
                    device = desk.device_of(job)
                    flights[submit(job, device)] = _Flight(job, On(device))
                if not flights:
                    return desk.outcome
                landed, _ = ray.wait(list(flights), timeout=0.5)
                _listen(ears, flights, desk)  # all that a task said was said before it ended
                for ref in landed:
                    _land(ray, ref, flights.pop(ref), desk)
                _cancel_overdue(ray, flights, desk)
        finally:
            for ref in flights:
                ray.cancel(ref, force=True)
            ears.shutdown(force=True)


@contextmanager
def _cluster() -> Iterator[Any]:
    """Ray, connected; what was started here ends with the context."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "ray", "ray") from None
    if ray.is_initialized():
        yield ray
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        try:
            ray.init(address="auto", **quiet)
        except ConnectionError:
            if os.environ.get("RAY_ADDRESS"):
                raise
            # for this machine alone, so that no network is needed
            ray.init(address="local", _node_ip_address="127.0.0.1", include_dashboard=False, **quiet)
    except Exception as error:  # Ray says so by a bare one where a busy machine does not start it within half a minute
        reason = " ".join(str(error).split())
        raise RenderError(f"no Ray to run on: {reason}", expected="a cluster at RAY_ADDRESS, or none") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _submitter(ray: Any, place: str, workers: int | None, ears: Any) -> Any:
    """What submits a job for a device: tasks take as many processors as there are for each, and a share of a GPU."""
    total = int(ray.cluster_resources().get("CPU", 1))
    smallest = min(int(node["Resources"].get("CPU", 1)) for node in ray.nodes() if node["Alive"]) or 1
    threads = max(1, min(total // workers if workers else THREADS_EACH, smallest))
    gpus = 1 / PER_GPU if ray.cluster_resources().get("GPU", 0) else 0
    task = ray.remote(max_calls=RECYCLE_AFTER, max_retries=0, num_cpus=threads)(work)

    def _submit(job: ShardJob, device: str) -> Any:
        share = 0 if device == "cpu" else gpus
        return task.options(num_gpus=share, name=job.name).remote(described(job), device, place, threads, ears)

    return _submit


_kept: dict[str, Any] = {}  # a process's studio, for the next task that runs in it


def work(described_job: dict[str, Any], device: str, place: str, threads: int, ears: Any) -> Event:
    """The task: render a job, put what happens into ``ears``, and return the last event, ``shard`` or ``error``."""
    from mage.generator.runners.share import WHOLE
    from mage.generator.runners.task import Task, on_device
    from mage.scenes.dataset.store import open_store

    job = on_device(job_of(described_job), device)
    last: list[Event] = []

    def _tell(**event: Any) -> None:
        if event["event"] == "shard":
            last.append(event)
        else:
            ears.put((job.name, event))

    _tell(event="started")
    try:
        task = _kept.setdefault("task", Task(open_store(place), threads, WHOLE, _tell))
        task.tell = _tell
        task.render(job)
    except MageError as error:
        _kept.clear()  # the device that failed, or a city half built, is not used again
        return {"event": "error", "kind": type(error).__name__, "message": str(error)}
    except OSError as error:
        _kept.clear()
        return {"event": "error", "kind": "DatasetError", "message": f"{error.filename or place}: {error.strerror}"}
    return last[0]


def _listen(ears: Any, flights: dict[Any, _Flight], desk: Desk) -> None:
    by_name = {flight.job.name: flight for flight in flights.values()}
    for name, event in ears.get_nowait_batch(ears.qsize()):
        flight = by_name.get(name)
        if flight is None:  # of a task that was cancelled
            continue
        now = time.monotonic()
        silence, flight.heard = now - (flight.heard or now), now
        if event["event"] == "ready":
            flight.on = On(flight.on.device, event["kind"])
        if event["event"] == "sample":
            desk.sampled(flight.job, flight.on, silence, event)
        elif event["event"] != "started":
            desk.hear(event)


def _land(ray: Any, ref: Any, flight: _Flight, desk: Desk) -> None:
    """Take in how a task ended."""
    job = flight.job
    try:
        event = ray.get(ref)
    except ray.exceptions.RayError as error:
        words = (
            f"hung: not a word in {flight.hung:.0f} s (--patience gives it longer)" if flight.hung else _words(error)
        )
        desk.give_back(job, broken_off(job, words), flight.on)
        return
    if event["event"] == "shard":
        desk.handed_in(job, event)
        return
    told = reported(event)
    if flight.on.taken is None and not isinstance(told, DeviceError):
        desk.give_up_like(job, told)
    else:
        desk.give_back(job, told, flight.on)


def _cancel_overdue(ray: Any, flights: dict[Any, _Flight], desk: Desk) -> None:
    now = time.monotonic()
    for ref, flight in flights.items():
        silence = now - (flight.heard or now)
        if flight.hung is None and silence > desk.allowed_silence(flight.job):
            flight.hung = silence
            ray.cancel(ref, force=True)


def _words(error: Exception) -> str:
    return f"ended: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
