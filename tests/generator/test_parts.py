"""Which part of the jobs is ours, by hand and by the variables of schedulers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.generator.runners.parts import parse_part, share_of
from mage.scenes.errors import MageError

SLURM, KUBERNETES, AWS = "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX"
RANGE = [f"SLURM_ARRAY_TASK_{name}" for name in ("MIN", "MAX", "STEP")]


@given(st.integers(1, 40), st.integers(0, 200))
def test_parts_hold_every_job_once_and_are_equally_long(n: int, jobs: int) -> None:
    parts = [share_of((k, n), range(jobs)) for k in range(1, n + 1)]
    assert [job for part in parts for job in part] == list(range(jobs))
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("text", "environment", "part"),
    [
        ("1/1", {}, (1, 1)),
        ("3/12", {SLURM: "99"}, (3, 12)),
        ("auto", {SLURM: "0", "SLURM_ARRAY_TASK_COUNT": "4"}, (1, 4)),
        ("auto", {SLURM: "7", "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_MAX": "8"}, (3, 4)),
        ("auto", {SLURM: "9", **dict(zip(RANGE, "194", strict=True))}, (3, 3)),
        ("auto/8", {KUBERNETES: "0"}, (1, 8)),
        ("auto/8", {KUBERNETES: "7"}, (8, 8)),
        ("auto", {AWS: "2", "AWS_BATCH_JOB_ARRAY_SIZE": "3"}, (3, 3)),
        ("auto/3", {AWS: "2", "AWS_BATCH_JOB_ARRAY_SIZE": "3"}, (3, 3)),
    ],
)
def test_a_part_is_read(text: str, environment: dict[str, str], part: tuple[int, int]) -> None:
    assert parse_part(text, environment) == part


@pytest.mark.parametrize(
    ("text", "environment", "words"),
    [
        ("0/3", {}, "no such part"),
        ("4/3", {}, "no such part"),
        ("1/0", {}, "no such part"),
        ("1", {}, "cannot understand the part"),
        ("-1/3", {}, "cannot understand the part"),
        ("one/three", {}, "cannot understand the part"),
        ("1/9999999999", {}, "cannot understand the part"),
        ("auto/x", {KUBERNETES: "0"}, "cannot understand the part"),
        ("auto", {}, "needs the variables of one array"),
        ("auto", {SLURM: "1", AWS: "1"}, f"found {SLURM}, {AWS}"),
        ("auto", {KUBERNETES: "0"}, "does not say how many there are; expected --part auto/n"),
        ("auto/3", {KUBERNETES: "3"}, "no such part"),
        ("auto/4", {AWS: "2", "AWS_BATCH_JOB_ARRAY_SIZE": "3"}, "is not that long; expected 4; found 3"),
        ("auto", {AWS: "many", "AWS_BATCH_JOB_ARRAY_SIZE": "3"}, f"found {AWS}=many"),
        (
            "auto",
            {SLURM: "7", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "7", "SLURM_ARRAY_TASK_COUNT": "3"},
            "with gaps",
        ),
    ],
)
def test_what_is_no_part_is_one_sentence(text: str, environment: dict[str, str], words: str) -> None:
    with pytest.raises(MageError, match=words):
        parse_part(text, environment)
