"""How the workers of a run share out its GPUs."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mage.scenes.errors import RenderError


def processors() -> int:
    """How many processors we may use: a scheduler may have given us fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Share:
    """Which GPUs a worker takes.

    Attributes:
        rank: number of the worker, from 0.
        workers: how many there are; None for one a GPU or more.
        gpus: numbers of the GPUs that the run may use, in the order of the interface; None for all.
    """

    rank: int = 0
    workers: int | None = 1
    gpus: tuple[int, ...] | None = None

    def of(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """Numbers of the GPUs among ``names`` that are this worker's: every worker has one at least, and where there
        are fewer workers than GPUs, they share them all out.

        Raises:
            RenderError: a GPU that the run may use is not there.
        """
        allowed = tuple(range(len(names))) if self.gpus is None else self.gpus
        missing = [gpu for gpu in allowed if not 0 <= gpu < len(names)]
        if missing:
            there = ", ".join(f"{i} ({name})" for i, name in enumerate(names))
            raise RenderError("no such GPU", expected=", ".join(map(str, missing)), found=there or "none")
        return allowed[self.rank % len(allowed) :: self.workers or len(allowed)]


WHOLE = Share()  # all GPUs for one worker
