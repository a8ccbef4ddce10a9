"""Models as files to hand on: weights and what rebuilds them in one safetensors file, beside it a model card and what
tells imagery unlike the training.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field, ValidationError, field_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mage.learning.cards import Card
from mage.learning.density import Density, load_density
from mage.learning.encoders import extend
from mage.learning.network import Network
from mage.learning.runs import DENSITY, RECORD, TemperaturesRecord, build, open_run, publish, save_temperatures
from mage.learning.segment import SiameseDamageNet
from mage.learning.shapes import ModelShape, Strict, shape_of
from mage.learning.temperature import Temperatures
from mage.scenes.errors import ModelError
from mage.scenes.metrics import grade_names

WEIGHTS, CARD, UNLIKE = "model.safetensors", "README.md", "density.safetensors"
KEY = "mage"  # of the metadata of the file
Metres = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Normalisation(Strict):
    """What a network subtracts from each band of an image of 0-1, and divides by: done within, told for the record."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class ModelRecord(Strict):
    """What ``model.safetensors`` says of itself, as JSON under ``mage`` in its metadata.

    ``temperatures`` are None before calibration; ``gsd`` are the finest and the coarsest pixel, in metres, of what it
    was trained on, None where that is not known. Format 1 is read as well, and has neither.
    """

    format: Literal["mage-model/1", "mage-model/2"] = "mage-model/2"
    model: ModelShape
    dates: int
    bands: int
    classes: tuple[str, ...]
    normalisation: Normalisation
    temperatures: TemperaturesRecord | None = None
    gsd: tuple[Metres, Metres] | None = None

    @field_validator("gsd")
    @classmethod
    def _rising(cls, gsd: tuple[float, float] | None) -> tuple[float, float] | None:
        if gsd is not None and gsd[0] > gsd[1]:
            raise ValueError("the finest pixel comes first")
        return gsd


def save_model(
    model: Network,
    path: str | Path,
    card: Card,
    *,
    half: bool = False,
    gsd: tuple[float, float] | None = None,
    density: Density | None = None,
) -> Path:
    """Write a model into a folder: ``model.safetensors``, which :func:`load_model` rebuilds it from, its temperatures
    included; the card as ``README.md``, as model hubs show it; and the density, if there is one, as
    ``density.safetensors``. Files that are there are replaced, each whole or not at all.

    Args:
        model: any network of ours.
        path: the folder; made if it is not there.
        card: what others need to know; see :func:`~mage.learning.card_of`.
        half: keep kernels and matrices in float16, in half the bytes. Each of their values then is off by at most
            1/2048 of itself, or by 3e-8 where it is below 6e-5; statistics, scales and biases stay in float32.
            :func:`load_model` computes in float32 again.
        gsd: finest and coarsest pixel of what it was trained on, metres.
        density: see :func:`~mage.learning.fit_density`; one that is there and belongs to another model goes.

    Returns:
        the file of weights.

    Raises:
        ModelError: the model is, or its encoder or decoder, of a class of your own; the card names other classes; a
            weight is beyond what float16 holds; such pixels cannot be; or the place cannot be written.

    >>> import tempfile
    >>> from mage.learning import Card, SegmentationNet
    >>> card = Card("Water", "a drawn lake", "CC0-1.0", classes=("land", "water"))
    >>> folder = tempfile.mkdtemp()
    >>> save_model(SegmentationNet(classes=2, width=4), folder, card).name
    'model.safetensors'
    >>> type(load_model(folder, device="cpu")).__name__
    'SegmentationNet'
    """
    folder, shape = Path(path), shape_of(model)
    if shape is None:
        raise ModelError("only networks of ours can say how to rebuild them", found=type(model).__name__)
    record = ModelRecord(
        model=shape,
        dates=model.dates,
        bands=model.bands,
        classes=_class_names(model, card),
        normalisation=_normalisation(model),
        temperatures=_temperatures(model.temperatures),
        gsd=_pixels(gsd),
    )
    weights = {name: t.detach().cpu().clone().contiguous() for name, t in model.state_dict().items()}
    if half:
        weights = {name: _halved(name, t) for name, t in weights.items()}
    if folder.exists() and not folder.is_dir():
        raise ModelError("a model needs a folder, and a file is in its place", file=folder)
    (folder / UNLIKE).unlink(missing_ok=True)  # first, since it must not stand beside a model that it is not of
    publish(folder / CARD, card.text(record.classes, _facts(model, record)).encode())
    _write(folder / WEIGHTS, record, weights)
    if density is not None:
        density.save(folder / UNLIKE)
    return folder / WEIGHTS


def load_model(path: str | Path, device: str = "auto") -> Network:
    """A model ready to :meth:`~mage.learning.Network.predict`, in float32 and evaluation mode, with the temperatures
    that it was calibrated with.

    Args:
        path: a run, whose averaged weights are taken; a folder that :func:`save_model` wrote, or its
            ``model.safetensors``.
        device: auto, cpu, cuda or mps.

    Raises:
        ModelError: neither, or the file cannot be read or is of another shape than it says.

    >>> model = load_model(run, device="cpu")
    >>> type(model).__name__, model.training
    ('SiameseDamageNet', False)
    """
    file = _file(path)
    if is_run(path) or not file.is_file():
        return open_run(path).model(device)
    record, weights = _read(file)
    whole = {name: t.float() if t.dtype == torch.float16 else t for name, t in weights.items()}
    model = build(record.model, whole, file, device)
    model.temperatures = None if record.temperatures is None else record.temperatures.loaded()
    return model


def model_record(path: str | Path) -> ModelRecord:
    """What a saved model says of itself: its shape, bands, classes, normalisation, temperatures and pixels.

    Raises:
        ModelError: no such model, or it cannot be read.

    >>> import tempfile
    >>> from mage.learning import Card, SegmentationNet
    >>> card = Card("Water", "a drawn lake", "CC0-1.0", classes=("land", "water"))
    >>> file = save_model(SegmentationNet(classes=2, width=4), tempfile.mkdtemp(), card)
    >>> record = model_record(file)
    >>> record.classes, record.dates, record.bands
    (('land', 'water'), 1, 3)
    """
    return _read(_file(path))[0]


def density_of(path: str | Path, model: Network) -> Density | None:
    """What tells imagery unlike the training of a run's or saved model, where it was kept; None where it was not.

    Args:
        path: as of :func:`load_model`.
        model: what that returned.

    Raises:
        ModelError: the file cannot be read, or is of another model.

    >>> density_of(run, load_model(run, device="cpu")) is None  # `mage calibrate --training` keeps one
    True
    """
    file = open_run(path).beside(DENSITY) if is_run(path) else _file(path).with_name(UNLIKE)
    return load_density(file, model) if file.is_file() else None


def keep_calibration(path: str | Path, temperatures: Temperatures, density: Density | None = None) -> None:
    """Keep what calibration found with a run or a saved model; without a density, one that is there stays.

    Raises:
        ModelError: no such model, or it cannot be read or written.

    >>> import tempfile
    >>> from mage.learning import Card, SegmentationNet
    >>> folder = tempfile.mkdtemp()
    >>> file = save_model(SegmentationNet(classes=2, width=4), folder, Card("Water", "a drawn lake", "CC0-1.0"))
    >>> keep_calibration(folder, Temperatures(classes=1.5))
    >>> load_model(folder, device="cpu").temperatures.classes
    1.5
    """
    if is_run(path):
        opened = open_run(path)
        save_temperatures(opened, temperatures)
        beside = opened.beside(DENSITY)
    else:
        record, weights = _read(_file(path))
        told = {"format": ModelRecord.model_fields["format"].default, "temperatures": _temperatures(temperatures)}
        _write(_file(path), record.model_copy(update=told), weights)
        beside = _file(path).with_name(UNLIKE)
    if density is not None:
        density.save(beside)


def is_run(path: str | Path) -> bool:
    """Whether a folder is a run, and no saved model."""
    return Path(path, RECORD).is_file()


def _file(path: str | Path) -> Path:
    return Path(path) if Path(path).suffix == ".safetensors" else Path(path, WEIGHTS)


def _write(file: Path, record: ModelRecord, weights: dict[str, Tensor]) -> None:
    publish(file, save(weights, {KEY: record.model_dump_json()}))  # of two keys the order would be random


def _halved(name: str, weights: Tensor) -> Tensor:
    """In float16 what is large; of statistics, scales and biases there are few, and some are small or squares."""
    if weights.ndim < 2 or not weights.is_floating_point():
        return weights
    half = weights.half()
    if not half.isfinite().all():
        expected, found = "below 65,504", f"{weights.abs().max():g}"
        raise ModelError(f"float16 cannot hold the weights '{name}'", expected=expected, found=found)
    return half


def _temperatures(found: Temperatures | None) -> TemperaturesRecord | None:
    return None if found is None else TemperaturesRecord(**found.to_dict())


def _pixels(gsd: tuple[float, float] | None) -> tuple[float, float] | None:
    if gsd is not None and not 0 < gsd[0] <= gsd[1] < float("inf"):
        expected = "metres above 0, the finest first"
        raise ModelError("no such pixels to have trained on", expected=expected, found=f"{gsd[0]:g}, {gsd[1]:g}")
    return gsd


def _read(file: Path) -> tuple[ModelRecord, dict[str, Tensor]]:
    try:
        with safe_open(file, framework="pt") as content:
            told = (content.metadata() or {}).get(KEY)
            weights = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"the model cannot be read ({error})", file=file, expected="a whole safetensors file"
        ) from error
    if told is None:
        raise ModelError("the file does not say what model it is of", file=file, expected="one that MAGE wrote")
    try:
        return ModelRecord.model_validate(json.loads(told)), weights
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ModelError(f"not a model that this version reads: {where}: {first['msg']}", file=file) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the model's description cannot be read ({error})", file=file) from error


def _class_names(model: Network, card: Card) -> tuple[str, ...]:
    if card.classes:
        if len(card.classes) != model.classes:
            found = f"{len(card.classes)} names"
            raise ModelError("the card names other classes", expected=f"{model.classes} classes", found=found)
        return card.classes
    if isinstance(model, SiameseDamageNet):
        return ("background", *grade_names(model.grades))
    return tuple(f"class {number}" for number in range(model.classes))


def _normalisation(model: Network) -> Normalisation:
    mean, std = (tuple(extend(values, model.bands)) for values in (model.encoder.mean, model.encoder.std))
    return Normalisation(mean=mean, std=std)


def _facts(model: Network, record: ModelRecord) -> dict[str, str]:
    """Rows of the card that the model itself knows."""
    encoder, decoder = (type(part).__name__ for part in (model.encoder, model.decoder))
    size = sum(p.numel() for p in model.parameters())
    images = "an image before and one after" if model.dates > 1 else "one image"
    return {
        "network": f"{type(model).__name__}, {encoder} encoder, {decoder} decoder",
        "input": f"{images} of {model.bands} bands, bytes or 0-1, any size",
        "parameters": f"{size:,}",
        "further heads": ", ".join(getattr(model, "heads", ())) or "none",
        "pixels": "unknown"
        if record.gsd is None
        else " to ".join(f"{metres:g} m" for metres in dict.fromkeys(record.gsd)),
    }
