"""What runners share: jobs waiting, what became of those handed out, and what is done about failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mage.generator.plan import ShardJob
from mage.scenes import errors
from mage.scenes.dataset.schema import ShardRecord
from mage.scenes.errors import DatasetError, MageError, MissingExtraError, RenderError
from mage.scenes.recipe import Recipe

TRIES = 3  # a worker may die of a driver's or a machine's fault; a job that kills three is to blame itself
# Seconds without a word after which a worker counts as hanging. Between samples it is that many times the longest so
# far; before the first, a city is built and a GPU's kernels are compiled; after the last, a shard is uploaded.
SILENCE, SHORTEST, TIMES = 1800.0, 300.0, 20.0
FATAL = (DatasetError, MissingExtraError)  # of the store or of the machine: no other job would fare better

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Shards that were made, and why others could not be."""

    records: tuple[ShardRecord, ...]
    failed: dict[str, MageError]


@dataclass(frozen=True, slots=True)
class On:
    """What a worker was told to render on (``device``) and took (``taken``, None while it has not said)."""

    device: str
    taken: str | None = None

    @property
    def gpu(self) -> bool:
        """Whether another device could do better; so it is told of one that has not said yet what it took."""
        return self.device != "cpu" and self.taken != "CPU"


@dataclass(slots=True)
class Desk:
    """Jobs go out from here and come back done or not.

    Attributes:
        waiting: jobs in the order in which they are handed out.
        device: what to render on, as a recipe says it.
        hear: told of every event.
        found: asks the store for a job's shard, which another run may have made meanwhile.
        patience: seconds without a word after which a worker is taken to hang; None learns them.
    """

    waiting: list[ShardJob]
    device: str
    hear: Callable[[Event], None]
    found: Callable[[ShardJob], ShardRecord | None] = lambda _: None
    patience: float | None = None
    records: list[ShardRecord] = field(default_factory=list)
    failed: dict[str, MageError] = field(default_factory=dict)
    _tries: dict[str, int] = field(default_factory=dict)
    _elsewhere: dict[str, str] = field(default_factory=dict)
    _sampled: dict[str, int] = field(default_factory=dict)
    _longest: float = 0.0
    _on_gpu: int = 0

    @property
    def outcome(self) -> Outcome:
        """What became of the jobs."""
        return Outcome(tuple(self.records), dict(self.failed))

    def device_of(self, job: ShardJob) -> str:
        """What to render a job on."""
        return self._elsewhere.get(job.name, self.device)

    def take(self, wanted: Callable[[ShardJob], bool] = lambda _: True) -> ShardJob | None:
        """The next job of those wanted that nobody has done yet."""
        for job in [job for job in self.waiting if wanted(job)]:
            self.waiting.remove(job)
            record = self.found(job)
            if record is None:
                return job
            self.records.append(record)
            self.hear({"event": "shard", "record": record.model_dump(mode="json"), "note": "another run made it"})
        return None

    def sampled(self, job: ShardJob, on: On, silence: float, event: Event) -> None:
        """A sample of a job is rendered, after so many seconds without a word."""
        before = self._sampled.get(job.name, 0)
        self._sampled[job.name] = before + 1
        self._on_gpu += on.gpu
        if before:
            self._longest = max(self._longest, silence)
        self.hear(event | {"shard": job.name})

    def handed_in(self, job: ShardJob, event: Event) -> None:
        """A job is done."""
        self._sampled.pop(job.name, None)
        self.records.append(ShardRecord.model_validate(event["record"]))
        self.hear(event | {"tries": self._tries.get(job.name, 0) + 1})

    def allowed_silence(self, job: ShardJob) -> float:
        """Seconds that a worker may go without a word now; twice as many at each further try."""
        between = 0 < self._sampled.get(job.name, 0) < job.count
        learnt = max(SHORTEST, TIMES * self._longest) if between and self._longest else SILENCE
        return (self.patience or learnt) * 2 ** self._tries.get(job.name, 0)

    def give_back(self, job: ShardJob, error: MageError, on: On) -> None:
        """A job could not be done: it waits again, for another device where that may help, unless it failed too often.

        Raises:
            MageError: the error, if no other job would fare better.
        """
        if isinstance(error, FATAL):
            raise error
        lost = self._sampled.pop(job.name, 0)
        of_device = isinstance(error, errors.DeviceError)
        self._tries[job.name] = tries = self._tries.get(job.name, 0) + (not of_device)
        if tries >= TRIES:
            self._give_up(job, error, lost)
            return
        if on.gpu and (of_device or tries == TRIES - 1):
            self._send_elsewhere(job, error, on, of_device)
        self.hear({"event": "retry", "shard": job.name, "lost": lost, "tries": tries, "message": str(error)})
        self.waiting.insert(0, job)

    def give_up_like(self, job: ShardJob, error: MageError) -> None:
        """A job's city or hazards cannot be had: neither can those of all jobs of the same event.

        Raises:
            MageError: the error, if no other job would fare better.
        """
        if isinstance(error, FATAL):
            raise error
        for other in [job, *(j for j in self.waiting if event_of(j) == event_of(job))]:
            if other is not job:
                self.waiting.remove(other)
            self._give_up(other, error, self._sampled.pop(other.name, 0))

    def _give_up(self, job: ShardJob, error: MageError, lost: int) -> None:
        self.failed[job.name] = error
        self.hear({"event": "failed", "shard": job.name, "lost": lost, "message": str(error)})

    def _send_elsewhere(self, job: ShardJob, error: MageError, on: On, of_device: bool) -> None:
        other = "cuda" if of_device and on.device == "auto" and on.taken == "OPTIX" else "cpu"
        self._elsewhere[job.name] = other
        if not self._on_gpu:  # it never worked here
            self.device = other
        self.hear({"event": "fallback", "message": f"{job.name}: {error}; trying {other} instead"})


def event_of(job: ShardJob) -> tuple[Any, ...]:
    """Equal for jobs of one event, which differ in their samples only."""
    return job.recipe_hash, job.recipe.seed, job.split, job.event


def reported(event: Event) -> MageError:
    """The error that a worker told of, as the same class."""
    kind = getattr(errors, event["kind"], MageError)
    error: MageError = kind.__new__(kind)  # the message is whole already; the class's own __init__ would add to it
    Exception.__init__(error, event["message"])
    return error


def broken_off(job: ShardJob, words: str) -> RenderError:
    """The error of a process that ended or was ended in the midst of a job."""
    return RenderError(f"the rendering process {words}", file=job.name)


def described(job: ShardJob) -> dict[str, Any]:
    """A job in JSON types; :func:`job_of` reads it."""
    facts = {name: getattr(job, name) for name in ("name", "first", "count", "recipe_hash", "allow_plugins")}
    return facts | {"split": job.split, "event": job.event, "recipe": job.recipe.model_dump(mode="json")}


def job_of(content: dict[str, Any]) -> ShardJob:
    """The job that :func:`described` wrote down."""
    return ShardJob(**(content | {"recipe": Recipe.model_validate(content["recipe"])}))
