"""Supervised training: few choices, none of them made on what is evaluated (the last step is the model)."""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from mage.learning.devices import explained, pick_device
from mage.learning.interruption import Interruption, deaf
from mage.learning.losses import grade_weights
from mage.learning.runs import LOG, RECORD, TRAINED_ON, Arguments, ModelShape, Run, TrainedOn, open_run, publish
from mage.learning.sampling import EpochSampler
from mage.learning.segment import SiameseDamageNet
from mage.learning.shards import ShardDataset
from mage.learning.trainer import Batch, Training
from mage.scenes.errors import DatasetError, ModelError
from mage.scenes.metrics import IGNORE


def fit(
    model: SiameseDamageNet,
    dataset: Dataset[dict[str, Any]],
    *,
    out: str | Path,
    steps: int = 1000,
    batch: int = 8,
    lr: float = 1e-3,
    seed: int = 0,
    device: str = "auto",
    workers: int = 0,
    every: int = 200,
    weights: Sequence[float] | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Run:
    """Train a model and leave it, with its averaged weights, in memory and as a run on disk.

    AdamW, a linear warm-up and a cosine to zero, clipped gradients, an exponential moving average of the weights.
    Everything random follows from ``seed`` and the step: two runs on one kind of CPU, and one that was interrupted and
    resumed, end with the same weights to the bit.

    Args:
        model: what to train.
        dataset: map-style, of dicts with ``image``, uint8 (2, bands, H, W), and ``mask``, (H, W), 0 background,
            1 + grade, 255 ignored; all of one size, such as ``ShardDataset(root, size=128)``.
        out: folder of the run.
        steps: batches in all.
        batch: samples in a batch.
        lr: highest learning rate.
        seed: of order, crops and augmentation.
        device: auto, cpu, cuda or mps.
        workers: processes that load; 0 loads in this one.
        every: steps between checkpoints.
        weights: of each grade in the damage loss; None takes :func:`grade_weights` of a ShardDataset, else 1.
        resume: go on with the run in ``out``; ``steps`` may grow, the other arguments must be what they were.
        progress: a bar on standard error.

    Raises:
        ModelError: ``out`` holds a run and ``resume`` is not given, or the other way round; arguments, batches or
            model do not fit; the loss is not finite.
        DatasetError: a sample cannot be read.
        KeyboardInterrupt: after Ctrl-C or SIGTERM; a checkpoint of the last whole step has been saved.
    """
    folder = Path(out)
    size = dataset.size if isinstance(dataset, ShardDataset) else None
    arguments = _arguments(steps, batch, every, size, lr, seed)
    origin, by_grade, target = _origin(dataset), _weights(dataset, weights, model.grades), pick_device(device)
    before = _prepare(folder, origin, arguments, model, resume)
    sampler = EpochSampler(origin.samples, seed=seed, batch=batch, stop=steps)
    training = Training(model, arguments, by_grade, sampler, target)
    if before is not None:
        training.restore(before)
    with Interruption() as interruption, explained():
        _train(training, _loader(dataset, sampler, workers, target), folder, every, interruption, progress)
        run = training.save(folder)
    if interruption.asked and training.step < steps:
        raise KeyboardInterrupt(f"stopped after step {training.step} of {steps}; resume to go on")
    model.load_state_dict(training.average.weights)
    return run


def _train(
    training: Training, loader: DataLoader[Any], folder: Path, every: int, interruption: Interruption, progress: bool
) -> None:
    """Step through the loader's batches to their end, or until somebody asks to stop."""
    steps = training.arguments.steps
    with (folder / LOG).open("a", encoding="utf-8") as log:
        bar = tqdm(total=steps, initial=training.step, disable=not progress, unit="step", mininterval=0.5)
        with closing(bar), closing(_batches(loader, training.model.grades)) as batches:
            for pair in batches:
                line = training.advance(pair)
                log.write(json.dumps(line) + "\n")
                log.flush()
                bar.set_postfix(loss=f"{line['loss']:.3f}", refresh=False)
                bar.update()
                if interruption.asked:
                    break
                if training.step % every == 0 and training.step < steps:
                    training.save(folder)


def _arguments(steps: int, batch: int, every: int, size: int | None, lr: float, seed: int) -> Arguments:
    for name, value, least in (("steps", steps, 1), ("batch", batch, 1), ("every", every, 1), ("seed", seed, 0)):
        if value < least:
            raise ModelError(f"'{name}' is too small", expected=f"{least} or more", found=str(value))
    if not (math.isfinite(lr) and lr > 0):
        raise ModelError("the learning rate cannot be used", expected="a number above 0", found=str(lr))
    return Arguments(steps=steps, batch=batch, size=size, lr=lr, seed=seed)


def _origin(dataset: Dataset[dict[str, Any]]) -> TrainedOn:
    if isinstance(dataset, ShardDataset):
        record = dataset.record
        return TrainedOn(
            name=record.name,
            recipe_hash=record.recipe_hash,
            seed=record.seed,
            split=dataset.split,
            samples=len(dataset),
            keys=dataset.keys,
        )
    samples = len(dataset)  # type: ignore[arg-type]  # map-style ones have a length
    if samples < 1:
        raise DatasetError("the dataset is empty")
    return TrainedOn(name=type(dataset).__name__, samples=samples)


def _prepare(
    folder: Path, origin: TrainedOn, arguments: Arguments, model: SiameseDamageNet, resume: bool
) -> Run | None:
    """Make the folder ready; returns the run to go on with, if any."""
    if not resume:
        if (folder / RECORD).exists():
            raise ModelError("this folder already holds a run: resume it, or name another", file=folder)
        if folder.exists() and not folder.is_dir():
            raise ModelError("a run needs a folder, and a file is in its place", file=folder)
        publish(folder / TRAINED_ON, origin.model_dump_json(indent=2).encode())
        (folder / LOG).unlink(missing_ok=True)
        return None
    run = open_run(folder)
    _compare(run, "argument", run.record.arguments.model_dump(exclude={"steps"}), arguments.model_dump())
    shape = {name: getattr(model, name) for name in ModelShape.model_fields}
    _compare(run, "model", run.record.model.model_dump(), shape)
    _compare(run, "data", run.trained_on().model_dump(), origin.model_dump())
    if arguments.steps < run.step:
        raise ModelError("the run is already longer", file=folder, expected=f"{run.step} steps or more")
    _cut_log(folder / LOG, run.step)
    return run


def _compare(run: Run, what: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    for name, value in before.items():
        if now[name] != value:
            texts = [v if len(v := str(x)) <= 60 else f"{v[:57]}..." for x in (value, now[name])]
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


def _weights(dataset: Dataset[dict[str, Any]], given: Sequence[float] | None, grades: int) -> list[float]:
    if given is not None:
        weights = [float(w) for w in given]
    elif isinstance(dataset, ShardDataset):
        weights = grade_weights(dataset.grade_counts())
    else:
        weights = [1.0] * grades
    if len(weights) != grades or not all(math.isfinite(w) and w > 0 for w in weights):
        raise ModelError("the weights of the grades do not fit", expected=f"{grades} above 0", found=str(weights))
    return weights


def _loader(
    dataset: Dataset[dict[str, Any]], sampler: EpochSampler, workers: int, device: torch.device
) -> DataLoader[Any]:
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        worker_init_fn=deaf,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # the loader's own draw must not advance the user's generator
    )


def _batches(loader: DataLoader[Any], grades: int) -> Generator[Batch, None, None]:
    batches = iter(loader)
    try:
        for batch in batches:
            yield _checked(batch, grades)
    except DatasetError as error:
        # From a worker process the message arrives below its traceback; the last line is the message.
        last = str(error).strip().splitlines()[-1]
        raise DatasetError(last.rpartition("DatasetError: ")[2]) from error
    finally:
        # An error on its way up holds on to the iterator; the processes must end now, not when it is forgotten.
        getattr(batches, "_shutdown_workers", lambda: None)()


def _checked(batch: dict[str, Any], grades: int) -> Batch:
    missing = [name for name in ("image", "mask") if not isinstance(batch.get(name), Tensor)]
    if missing:
        raise DatasetError(f"samples lack the tensor '{missing[0]}'", expected="dicts with 'image' and 'mask'")
    image, mask = batch["image"], batch["mask"]
    if image.dtype != torch.uint8 or mask.shape != (len(image), *image.shape[-2:]) or mask.is_floating_point():
        raise DatasetError(
            "samples of another kind",
            expected="image uint8 (2, bands, H, W), mask integer (H, W)",
            found=f"{image.dtype} {tuple(image.shape[1:])}, {mask.dtype} {tuple(mask.shape[1:])}",
        )
    classes = mask[mask != IGNORE]
    if classes.numel() and not 0 <= classes.min() <= classes.max() <= grades:
        raise DatasetError(
            "a mask holds more grades than the model", expected=f"0-{grades}", found=str(int(classes.max()))
        )
    return Batch(image, mask)
