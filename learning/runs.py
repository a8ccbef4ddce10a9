"""Runs on disk: checkpoints in safetensors, and one JSON file whose replacement commits them.

A folder holds ``run.json`` (the record), ``checkpoint-00000200.safetensors`` (the state of the method, the averaged
weights of its model and the state of the optimizer), ``trained_on.json`` (which samples of each stream),
``log.jsonl`` (a line a step), in the end the same as a table, ``log.csv``, and ``previews/`` (pictures); once
calibrated also ``checkpoint-00000200.temperatures.json`` and ``checkpoint-00000200.density.safetensors``, which hold
for that checkpoint alone and go with it. The record names the checkpoint and is replaced after it is safe on disk, so
that a run is always that of one step.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from pydantic import BaseModel, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mage.learning.devices import pick_device, ready
from mage.learning.network import Network
from mage.learning.shapes import DamageShape, ModelShape, SegmentationShape, Strict
from mage.learning.temperature import Temperatures
from mage.scenes.dataset.store import LocalStore
from mage.scenes.errors import ModelError

RECORD, TRAINED_ON, LOG, TABLE = "run.json", "trained_on.json", "log.jsonl", "log.csv"
TEMPERATURES, DENSITY = ".temperatures.json", ".density.safetensors"  # of a checkpoint, beside it
METHOD, AVERAGE, OPTIMIZER = "method.", "average.", "optimizer."  # what tensors in a checkpoint are of


ModelType = TypeVar("ModelType", bound=torch.nn.Module)
RecordType = TypeVar("RecordType", bound=BaseModel)


class TemperaturesRecord(Strict):
    """:class:`~mage.learning.Temperatures` on disk."""

    localisation: float = Field(gt=0, allow_inf_nan=False)
    classes: float = Field(gt=0, allow_inf_nan=False)

    def loaded(self) -> Temperatures:
        """As a network holds them."""
        return Temperatures(**self.model_dump())


class Arguments(Strict):
    """What decides the course of a training, beside the data, the method and the model."""

    steps: int = Field(ge=1)
    batch: int = Field(ge=1)
    accumulate: int = Field(1, ge=1)
    lr: float = Field(gt=0)
    seed: int = Field(ge=0)


class MethodRecord(Strict):
    """The method's class and its hyper-parameters."""

    name: str
    settings: dict[str, bool | int | float | str]


class RunRecord(Strict):
    """``run.json``; ``model`` is None where the model is of the user's own class."""

    format: Literal["mage-run/3"] = "mage-run/3"
    step: int = Field(ge=0)
    checkpoint: str = Field(pattern=r"^checkpoint-\d{8,}\.safetensors$")
    model: ModelShape | None
    method: MethodRecord
    arguments: Arguments
    samplers: dict[str, dict[str, int]]
    device: str
    precision: str
    processes: int = Field(1, ge=1)
    versions: dict[str, str]


class TrainedOn(Strict):
    """Which samples a stream of a run held; None for what a dataset of another kind does not tell."""

    name: str
    recipe_hash: str | None = None
    seed: int | None = None
    split: str | None = None
    size: int | None = None
    gsd: tuple[float, float] | None = None  # finest and coarsest, metres
    samples: int
    keys: list[str] = Field(default_factory=list)
    digests: list[str] = Field(default_factory=list)  # of the images of each sample, where these are files


class Origins(Strict):
    """``trained_on.json``: the streams that a run learned from."""

    source: TrainedOn | None = None
    target: TrainedOn | None = None
    unlabelled: TrainedOn | None = None

    def streams(self) -> dict[str, TrainedOn]:
        """Those that were there."""
        return {name: stream for name in type(self).model_fields if (stream := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class Run:
    """A training on disk.

    >>> trained = open_run(run)  # a run's folder
    >>> trained.step == len(trained.log())
    True
    """

    path: Path
    record: RunRecord

    @property
    def step(self) -> int:
        """Steps that the checkpoint has behind it."""
        return self.record.step

    def model(self, device: str = "auto") -> Network:
        """The model with averaged weights, ready to predict; see :func:`load_model`."""
        if self.record.model is None:
            raise ModelError(
                "the model is of a class of your own: build it, and let `load_into` fill it", file=self.path
            )
        model = build(self.record.model, self.tensors(AVERAGE), self.checkpoint, device)
        model.temperatures = self.temperatures()
        return model

    def load_into(self, model: ModelType) -> ModelType:
        """Fill a model of the class that was trained with the averaged weights; returns it in evaluation mode.

        Raises:
            ModelError: the checkpoint cannot be read, or is of another model.
        """
        weights = self.tensors(AVERAGE)
        check_weights(model, weights, self.checkpoint)
        model.load_state_dict(weights)
        return model.eval()

    def log(self) -> list[dict[str, float]]:
        """The line of each step: ``step``, ``loss``, ``gradient`` (norm before clipping), each loss, ``lr``, seconds.

        Raises:
            ModelError: the log cannot be read.
        """
        try:
            return [json.loads(line) for line in (self.path / LOG).read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"the log of a run cannot be read ({error})", file=self.path / LOG) from error

    @property
    def checkpoint(self) -> Path:
        """The file that holds the tensors."""
        return self.path / self.record.checkpoint

    def beside(self, ending: str) -> Path:
        """The file of this checkpoint with another ending, such as ``.temperatures.json``."""
        return self.checkpoint.with_suffix(ending)

    def temperatures(self) -> Temperatures | None:
        """What calibration found for this checkpoint (:func:`save_temperatures`); None before.

        Raises:
            ModelError: the file is damaged.
        """
        file = self.beside(TEMPERATURES)
        return _read(file, TemperaturesRecord).loaded() if file.is_file() else None

    def tensors(self, kind: str) -> dict[str, Tensor]:
        """Tensors of one kind (``method.``, ``average.``, ``optimizer.``) by their name after it.

        Raises:
            ModelError: the file is missing, cut, or no safetensors file; a pickle is never loaded.
        """
        try:
            with safe_open(self.checkpoint, framework="pt") as file:
                return {name.removeprefix(kind): file.get_tensor(name) for name in file.keys() if name.startswith(kind)}  # noqa: SIM118 - not a mapping
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"the checkpoint cannot be read ({error})", file=self.checkpoint, expected="a whole safetensors file"
            ) from error

    def trained_on(self) -> Origins:
        """Which samples the run learned from."""
        return _read(self.path / TRAINED_ON, Origins)


def open_run(path: str | Path) -> Run:
    """A run by its folder.

    Raises:
        ModelError: no such folder, or it holds no run.

    >>> open_run(run).record.method.name  # a run's folder
    'Supervised'
    """
    folder = Path(path)
    if not folder.is_dir():
        raise ModelError("no such run", file=folder, expected="a folder made by `mage train --out`")
    if not (folder / RECORD).is_file():
        raise ModelError(f"this folder is not a run: it has no {RECORD}", file=folder)
    return Run(folder, _read(folder / RECORD, RunRecord))


def build(
    shape: DamageShape | SegmentationShape, weights: dict[str, Tensor], file: Path, device: str = "auto"
) -> Network:
    """A network of this shape with these weights of a file, in evaluation mode, ready to predict.

    Raises:
        ModelError: the weights are of another shape.
    """
    with torch.device("meta"):  # no memory is taken on the word of a file
        model: Network = shape.build()
    check_weights(model, weights, file)
    model.load_state_dict(weights, assign=True)
    return ready(model, pick_device(device))


def check_weights(model: torch.nn.Module, weights: dict[str, Tensor], file: Path) -> None:
    """Raise ModelError where names or shapes of the tensors are not the model's."""
    wanted = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    given = {name: tuple(t.shape) for name, t in weights.items()}
    for name in sorted(wanted.keys() | given.keys()):
        if wanted.get(name) != given.get(name):
            raise ModelError(
                f"the checkpoint is of another model: '{name}' differs",
                file=file,
                expected=str(wanted.get(name, "no such tensor")),
                found=str(given.get(name, "no such tensor")),
            )


def save_run(folder: Path, record: RunRecord, tensors: dict[str, Tensor]) -> Run:
    """Write a checkpoint, then commit it by replacing the record, then drop the checkpoints before it."""
    publish(folder / record.checkpoint, save(tensors))
    publish(folder / RECORD, record.model_dump_json(indent=2).encode())
    stem = Path(record.checkpoint).stem
    for old in (*folder.glob("checkpoint-*.safetensors"), *folder.glob(f"checkpoint-*{TEMPERATURES}")):
        if old.name.partition(".")[0] != stem:
            old.unlink(missing_ok=True)
    return Run(folder, record)


def save_temperatures(run: Run, temperatures: Temperatures) -> Path:
    """Keep temperatures beside the checkpoint that they were fitted to; models of the run then come with them, until
    training goes on.

    >>> from tempfile import TemporaryDirectory
    >>> record = RunRecord.model_construct(checkpoint="checkpoint-00000001.safetensors")
    >>> with TemporaryDirectory() as folder:
    ...     run = Run(Path(folder), record)
    ...     save_temperatures(run, Temperatures(classes=1.5)).name, run.temperatures().classes
    ('checkpoint-00000001.temperatures.json', 1.5)
    """
    file = run.beside(TEMPERATURES)
    publish(file, (json.dumps(temperatures.to_dict(), indent=2) + "\n").encode())
    return file


def publish(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` whole or not at all."""
    LocalStore(path.parent).publish(path.name, lambda aside: _write(aside, content))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _read(path: Path, kind: type[RecordType]) -> RecordType:
    try:
        return kind.model_validate(json.loads(path.read_bytes()))
    except ValidationError as error:
        first: Any = error.errors()[0]
        if first["loc"] == ("format",):
            raise ModelError(
                "not the record of a run that this version reads: train it again, or use the version that wrote it",
                file=path,
                expected=str(first["ctx"]["expected"]),
                found=str(first["input"])[:60],
            ) from error
        where = ".".join(map(str, first["loc"]))
        raise ModelError(f"not the record of a run: {where}: {first['msg']}", file=path) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"the record of a run cannot be read ({error})", file=path) from error
