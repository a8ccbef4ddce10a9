"""Models as files to hand on: weights and what rebuilds them in one safetensors file, a model card beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mage.learning.cards import Card
from mage.learning.encoders import extend
from mage.learning.network import Network
from mage.learning.runs import RECORD, build, open_run, publish
from mage.learning.segment import SiameseDamageNet
from mage.learning.shapes import ModelShape, Strict, shape_of
from mage.scenes.errors import ModelError
from mage.scenes.metrics import grade_names

WEIGHTS, CARD = "model.safetensors", "README.md"
KEY = "mage"  # of the metadata of the file


class Normalisation(Strict):
    """What a network subtracts from each band of an image of 0-1, and divides by: done within, told for the record."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class ModelRecord(Strict):
    """What ``model.safetensors`` says of itself, as JSON under ``mage`` in its metadata."""

    format: Literal["mage-model/1"] = "mage-model/1"
    model: ModelShape
    dates: int
    bands: int
    classes: tuple[str, ...]
    normalisation: Normalisation


def save_model(model: Network, path: str | Path, card: Card) -> Path:
    """Write a model into a folder: ``model.safetensors``, which :func:`load_model` rebuilds it from, and the card as
    ``README.md``, as model hubs show it. Files that are there are replaced, each whole or not at all.

    Args:
        model: any network of ours.
        path: the folder; made if it is not there.
        card: what others need to know; see :func:`~mage.learning.card_of`.

    Returns:
        the file of weights.

    Raises:
        ModelError: the model is, or its encoder or decoder, of a class of your own; the card names other classes; or
            the place cannot be written.

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
    )
    weights = {name: t.detach().cpu().clone().contiguous() for name, t in model.state_dict().items()}
    if folder.exists() and not folder.is_dir():
        raise ModelError("a model needs a folder, and a file is in its place", file=folder)
    publish(folder / CARD, card.text(record.classes, _facts(model)).encode())
    publish(folder / WEIGHTS, save(weights, {KEY: record.model_dump_json()}))  # of two keys the order would be random
    return folder / WEIGHTS


def load_model(path: str | Path, device: str = "auto") -> Network:
    """A model ready to :meth:`~mage.learning.Network.predict`, in evaluation mode.

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
    given = Path(path)
    file = given if given.suffix == ".safetensors" else given / WEIGHTS
    if (given / RECORD).is_file() or not file.is_file():
        return open_run(given).model(device)
    record, weights = _read(file)
    return build(record.model, weights, file, device)


def model_record(path: str | Path) -> ModelRecord:
    """What a saved model says of itself: its shape, bands, classes and normalisation.

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
    given = Path(path)
    return _read(given if given.suffix == ".safetensors" else given / WEIGHTS)[0]


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


def _facts(model: Network) -> dict[str, str]:
    """Rows of the card that the model itself knows."""
    encoder, decoder = (type(part).__name__ for part in (model.encoder, model.decoder))
    size = sum(p.numel() for p in model.parameters())
    images = "an image before and one after" if model.dates > 1 else "one image"
    return {
        "network": f"{type(model).__name__}, {encoder} encoder, {decoder} decoder",
        "input": f"{images} of {model.bands} bands, bytes or 0-1, any size",
        "parameters": f"{size:,}",
        "further heads": ", ".join(getattr(model, "heads", ())) or "none",
    }
