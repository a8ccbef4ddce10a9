"""Training by any method: few choices, none of them made on what is evaluated (the last step is the model)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset
from tqdm import tqdm

from mage.learning.devices import explained, pick_device
from mage.learning.interruption import Interruption
from mage.learning.methods import STREAMS, Method, Samples
from mage.learning.runs import LOG, RECORD, TRAINED_ON, Arguments, Origins, Run, open_run, publish
from mage.learning.shapes import shape_of
from mage.learning.streams import Datasets, origin, samplers, together
from mage.learning.trainer import Training, method_record
from mage.scenes.errors import ModelError

Stream = Dataset[dict[str, Any]] | None


def fit(
    method: Method,
    source: Stream = None,
    target: Stream = None,
    unlabelled: Stream = None,
    *,
    out: str | Path,
    steps: int = 1000,
    batch: int = 8,
    accumulate: int = 1,
    lr: float = 1e-3,
    seed: int = 0,
    device: str = "auto",
    workers: int = 0,
    every: int = 200,
    resume: bool = False,
    progress: bool = False,
) -> Run:
    """Train the model of a method and leave it, with its averaged weights, in memory and as a run on disk.

    AdamW, a linear warm-up and a cosine to zero, clipped gradients, an exponential moving average of the model.
    Everything random follows from ``seed`` and the step: two runs on one kind of CPU, and one that was interrupted and
    resumed, end with the same weights to the bit.

    The streams are map-style datasets of dicts with TorchGeo's keys, all of one crop's size within a stream, such as
    ``ShardDataset(root, size=128)``: ``image``, uint8 or float of about 0-1, (T, C, H, W) or (C, H, W); and, but for
    ``unlabelled``, ``mask``, integers (H, W), 0 background, 1 + grade for a damage model, 255 ignored. A mask of the
    unlabelled stream is never read.

    Args:
        method: how to learn, such as ``Supervised(SiameseDamageNet())``.
        source: labelled samples of the source domain.
        target: labelled samples of the target domain.
        unlabelled: samples of the target domain.
        out: folder of the run.
        steps: updates of the weights in all.
        batch: samples of each stream in a batch.
        accumulate: batches whose gradients make one update.
        lr: highest learning rate.
        seed: of order, crops and all that a method draws.
        device: auto, cpu, cuda or mps.
        workers: processes that load each stream; 0 loads in this one.
        every: steps between checkpoints.
        resume: go on with the run in ``out``; ``steps`` may grow, the other arguments must be what they were.
        progress: a bar on standard error.

    Raises:
        ModelError: ``out`` holds a run and ``resume`` is not given, or the other way round; arguments, streams or
            model do not fit the method; the loss is not finite.
        DatasetError: a sample cannot be read.
        KeyboardInterrupt: after Ctrl-C or SIGTERM; a checkpoint of the last whole step has been saved.

    >>> import tempfile, torch
    >>> from mage.learning import Supervised
    >>> class Halves(torch.utils.data.Dataset):
    ...     def __len__(self): return 4
    ...     def __getitem__(self, index):
    ...         mask = (torch.arange(16) > 7).long().expand(16, 16)
    ...         return {"image": mask.expand(3, 16, 16) * 0.5, "mask": mask}
    >>> net = torch.nn.Conv2d(3, 2, 1)
    >>> run = fit(Supervised(net), Halves(), out=tempfile.mkdtemp(), steps=30, batch=2, lr=0.1, device="cpu")
    >>> run.log()[0]["loss"] > run.log()[-1]["loss"]
    True
    """
    folder, goal = Path(out), pick_device(device)
    datasets = _streams(method, source, target, unlabelled)
    arguments = _arguments(steps, batch, accumulate, every, lr, seed)
    origins = Origins(**{name: origin(dataset) for name, dataset in datasets.items()})
    before = _prepare(folder, origins, arguments, method, resume)
    training = Training(method, arguments, samplers(datasets, seed, batch, steps * accumulate), goal)
    if before is not None:
        training.restore(before)
    with Interruption() as interruption, explained():
        batches = together(datasets, training.samplers, workers, goal, method.classes, method.wants)
        with closing(batches):
            _train(training, batches, folder, every, interruption, progress)
        run = training.save(folder)
    if interruption.asked and training.step < steps:
        raise KeyboardInterrupt(f"stopped after step {training.step} of {steps}; resume to go on")
    method.model.load_state_dict(training.average.weights)
    return run


def _train(
    training: Training,
    batches: Iterable[dict[str, Samples]],
    folder: Path,
    every: int,
    interruption: Interruption,
    progress: bool,
) -> None:
    """Step through the batches to their end, or until somebody asks to stop."""
    steps = training.arguments.steps
    bar = tqdm(total=steps, initial=training.step, disable=not progress, unit="step", mininterval=0.5)
    with (folder / LOG).open("a", encoding="utf-8") as log, closing(bar):
        for parts in _grouped(iter(batches), training.arguments.accumulate):
            line = training.advance(parts)
            log.write(json.dumps(line) + "\n")
            log.flush()
            bar.set_postfix(loss=f"{line['loss']:.3f}", refresh=False)
            bar.update()
            if interruption.asked:
                break
            if training.step % every == 0 and training.step < steps:
                training.save(folder)


def _grouped(batches: Iterator[dict[str, Samples]], number: int) -> Iterator[list[dict[str, Samples]]]:
    while parts := list(islice(batches, number)):
        yield parts


def _streams(method: Method, *given: Stream) -> Datasets:
    """The streams that are there, by name."""
    there = {name: dataset for name, dataset in zip(STREAMS, given, strict=True) if dataset is not None}
    missing = [name for name in method.needs if name not in there]
    if not missing and method.labelled and not {"source", "target"} & there.keys():
        missing = ["source' or 'target"]
    if not there:
        missing = ["', '".join(STREAMS)]
    if missing:
        name = type(method).__name__
        raise ModelError(f"{name} needs the stream '{missing[0]}'", found=", ".join(there) or "no stream")
    return there


def _arguments(steps: int, batch: int, accumulate: int, every: int, lr: float, seed: int) -> Arguments:
    least = {"steps": (steps, 1), "batch": (batch, 1), "accumulate": (accumulate, 1), "every": (every, 1)}
    for name, (value, lowest) in (least | {"seed": (seed, 0)}).items():
        if value < lowest:
            raise ModelError(f"'{name}' is too small", expected=f"{lowest} or more", found=str(value))
    if not (math.isfinite(lr) and lr > 0):
        raise ModelError("the learning rate cannot be used", expected="a number above 0", found=str(lr))
    return Arguments(steps=steps, batch=batch, accumulate=accumulate, lr=lr, seed=seed)


def _prepare(folder: Path, origins: Origins, arguments: Arguments, method: Method, resume: bool) -> Run | None:
    """Make the folder ready; returns the run to go on with, if any."""
    if not resume:
        if (folder / RECORD).exists():
            raise ModelError("this folder already holds a run: resume it, or name another", file=folder)
        if folder.exists() and not folder.is_dir():
            raise ModelError("a run needs a folder, and a file is in its place", file=folder)
        publish(folder / TRAINED_ON, origins.model_dump_json(indent=2).encode())
        (folder / LOG).unlink(missing_ok=True)
        return None
    run = open_run(folder)
    _check_same(run, origins, arguments, method)
    if arguments.steps < run.step:
        raise ModelError("the run is already longer", file=folder, expected=f"{run.step} steps or more")
    _cut_log(folder / LOG, run.step)
    return run


def _check_same(run: Run, origins: Origins, arguments: Arguments, method: Method) -> None:
    _compare(run, "argument", run.record.arguments.model_dump(exclude={"steps"}), arguments.model_dump())
    shape, now = run.record.model, shape_of(method.model)
    _compare(run, "model", *({} if s is None else s.model_dump() for s in (shape, now)))
    how, used = run.record.method, method_record(method)
    _compare(run, "method", {"name": how.name} | how.settings, {"name": used.name} | used.settings)
    for name in STREAMS:
        streams = (getattr(o, name) for o in (run.trained_on(), origins))
        _compare(
            run, f"the {name} data's", *({"presence": s is not None} | (s.model_dump() if s else {}) for s in streams)
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


def _cut_log(path: Path, step: int) -> None:
    """Drop the lines of steps that the checkpoint does not know."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)[:step] if path.exists() else []
    publish(path, "".join(lines).encode())
