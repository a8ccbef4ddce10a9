"""Which part of a dataset's jobs is ours: said by hand, or by the scheduler that started many of us as an array."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from mage.scenes.errors import MageError

AUTO = "auto"
EXPECTED = "k/n with k from 1 to n, auto, or auto/n"

T = TypeVar("T")
Part = tuple[int, int]  # k of n, k from 1


def parse_part(text: str, environment: Mapping[str, str]) -> Part:
    """``k/n`` as two numbers. ``auto`` asks the scheduler's variables, ``auto/n`` where they do not hold n.

    Raises:
        MageError: something else, or no variables of an array that is known.
    """
    first, slash, last = text.partition("/")
    if first == AUTO:
        return _of_scheduler(environment, _whole(last, text) if slash else None)
    return _checked(_whole(first, text), _whole(last, text), text)


def share_of(part: Part, jobs: Sequence[T]) -> Sequence[T]:
    """The part's jobs: neighbours, which lie in the same city, so that few build it; parts differ by a job at most."""
    k, n = part
    return jobs[len(jobs) * (k - 1) // n : len(jobs) * k // n]


def _of_scheduler(environment: Mapping[str, str], stated: int | None) -> Part:
    parts = {
        name: part
        for name, read in (
            ("SLURM_ARRAY_TASK_ID", _of_slurm),
            ("JOB_COMPLETION_INDEX", _of_kubernetes),
            ("AWS_BATCH_JOB_ARRAY_INDEX", _of_aws_batch),
        )
        if (part := read(environment)) is not None
    }
    if len(parts) != 1:
        known = "SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX or AWS_BATCH_JOB_ARRAY_INDEX"
        raise MageError(
            "--part auto needs the variables of one array", expected=known, found=", ".join(parts) or "none"
        )
    ((name, (k, n)),) = parts.items()
    if n is None and stated is None:
        raise MageError(f"{name} does not say how many there are", expected="--part auto/n", found="--part auto")
    if None not in (n, stated) and n != stated:
        raise MageError(f"the array of {name} is not that long", expected=str(stated), found=str(n))
    return _checked(k, n or stated or 0, f"{name}={environment[name]}")


def _of_slurm(environment: Mapping[str, str]) -> tuple[int, int | None] | None:
    """An array from MIN to MAX by STEP; one with gaps has no k."""
    name = "SLURM_ARRAY_TASK_ID"
    if name not in environment:
        return None
    task = _variable(environment, name)
    least = _variable(environment, "SLURM_ARRAY_TASK_MIN", 0)
    step = _variable(environment, "SLURM_ARRAY_TASK_STEP", 1) or 1
    count: int | None = None
    if "SLURM_ARRAY_TASK_MAX" in environment:
        count = (_variable(environment, "SLURM_ARRAY_TASK_MAX") - least) // step + 1
    stated = _variable(environment, "SLURM_ARRAY_TASK_COUNT", count or 0) or None
    if (count is not None and stated != count) or (task - least) % step:
        raise MageError("a SLURM array with gaps has no parts", expected="--array=MIN-MAX", found=f"{stated} tasks")
    return (task - least) // step + 1, stated


def _of_kubernetes(environment: Mapping[str, str]) -> tuple[int, int | None] | None:
    """An indexed job's pods count from 0; how many there are is not among their variables."""
    name = "JOB_COMPLETION_INDEX"
    return (_variable(environment, name) + 1, None) if name in environment else None


def _of_aws_batch(environment: Mapping[str, str]) -> tuple[int, int | None] | None:
    name = "AWS_BATCH_JOB_ARRAY_INDEX"
    if name not in environment:
        return None
    return _variable(environment, name) + 1, _variable(environment, "AWS_BATCH_JOB_ARRAY_SIZE", 0) or None


def _variable(environment: Mapping[str, str], name: str, default: int = 0) -> int:
    text = environment.get(name, str(default))
    return _whole(text, f"{name}={text}")


def _whole(text: str, said: str) -> int:
    if re.fullmatch(r"[0-9]{1,9}", text) is None:
        raise MageError("cannot understand the part", expected=EXPECTED, found=said)
    return int(text)


def _checked(k: int, n: int, said: str) -> Part:
    if not 1 <= k <= n:
        raise MageError("no such part", expected=EXPECTED, found=said)
    return k, n
