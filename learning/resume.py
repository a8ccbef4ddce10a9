"""How a run begins: in a folder of its own, or where another left off, with what that one began with."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mage.learning.methods import STREAMS, Method
from mage.learning.runs import LOG, RECORD, TRAINED_ON, Arguments, Origins, Run, TrainedOn, open_run, publish
from mage.learning.shapes import shape_of
from mage.learning.trainer import method_record
from mage.scenes.errors import ModelError


def checked(steps: int, batch: int, accumulate: int, lr: float, seed: int) -> Arguments:
    """The arguments of a training.

    Raises:
        ModelError: one that makes no sense.
    """
    least = {"steps": (steps, 1), "batch": (batch, 1), "accumulate": (accumulate, 1), "seed": (seed, 0)}
    for name, (value, lowest) in least.items():
        if value < lowest:
            raise ModelError(f"'{name}' is too small", expected=f"{lowest} or more", found=str(value))
    if not (math.isfinite(lr) and lr > 0):
        raise ModelError("the learning rate cannot be used", expected="a number above 0", found=str(lr))
    return Arguments(steps=steps, batch=batch, accumulate=accumulate, lr=lr, seed=seed)


def begin(folder: Path, origins: Origins) -> None:
    """Make the folder of a new run.

    Raises:
        ModelError: it holds a run, or is a file.
    """
    if (folder / RECORD).exists():
        raise ModelError("this folder already holds a run: resume it, or name another", file=folder)
    if folder.exists() and not folder.is_dir():
        raise ModelError("a run needs a folder, and a file is in its place", file=folder)
    publish(folder / TRAINED_ON, origins.model_dump_json(indent=2).encode())
    (folder / LOG).unlink(missing_ok=True)


def find(folder: Path, origins: Origins, arguments: Arguments, method: Method) -> Run:
    """The run to go on with.

    Raises:
        ModelError: there is none, it began with something else, or it is longer than it should become.
    """
    run = open_run(folder)
    _check_same(run, origins, arguments, method)
    if arguments.steps < run.step:
        raise ModelError("the run is already longer", file=folder, expected=f"{run.step} steps or more")
    return run


def _check_same(run: Run, origins: Origins, arguments: Arguments, method: Method) -> None:
    _compare(run, "argument", run.record.arguments.model_dump(exclude={"steps"}), arguments.model_dump())
    shape, now = run.record.model, shape_of(method.model)
    _compare(run, "model", *({} if s is None else s.model_dump() for s in (shape, now)))
    how, used = run.record.method, method_record(method)
    _compare(run, "method", {"name": how.name} | how.settings, {"name": used.name} | used.settings)
    for name in STREAMS:
        before, now = (getattr(o, name) for o in (run.trained_on(), origins))
        told = set(TrainedOn.model_fields) - {"gsd"}  # which follows from the samples, and runs of before lack it
        if before is not None and not before.keys:
            told -= {"size", "keys", "digests"}  # as runs of before lack them where samples are in files
        _compare(
            run,
            f"the {name} data's",
            *({"presence": s is not None} | (s.model_dump(include=told) if s else {}) for s in (before, now)),
        )


def _compare(run: Run, what: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    for name, value in before.items():
        if now.get(name) != value:
            texts = [v if len(v := str(x)) <= 60 else f"{v[:57]}..." for x in (value, now.get(name))]
            raise ModelError(
                f"a run is resumed with what it began with; {what} '{name}' differs",
                file=run.path,
                expected=texts[0],
                found=texts[1],
            )


def cut_log(path: Path, step: int) -> None:
    """Drop the lines of steps that the checkpoint does not know."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)[:step] if path.exists() else []
    publish(path, "".join(lines).encode())
