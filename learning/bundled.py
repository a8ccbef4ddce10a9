"""The models that come with the package, so that ``mage map`` works at once and without a network."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

from mage.learning.network import Network
from mage.learning.saved import WEIGHTS, ModelRecord, load_model, model_record
from mage.scenes.errors import ModelError

BundledName = Literal["damage", "water"]


def bundled_folder(name: BundledName = "damage") -> Path:
    """The folder of a bundled model: its weights, its card with scores and limits, how it was made, and of the damage
    model what tells imagery unlike its training (:func:`~mage.learning.density_of`). Whatever takes a saved model's
    folder takes it.

    Args:
        name: ``damage``, or ``water``, which sees water in one image.

    Raises:
        ModelError: it is not there: the package was installed without its data, or is read from an archive.

    >>> (bundled_folder("water") / "README.md").is_file()
    True
    """
    folder = Path(str(files("mage.assets").joinpath("models", name)))
    if not (folder / WEIGHTS).is_file():
        raise ModelError("the package came without its model: install it anew, unpacked", file=folder, expected=WEIGHTS)
    return folder


def bundled_model(device: str = "auto", name: BundledName = "damage") -> Network:
    """The bundled :class:`~mage.learning.SiameseDamageNet`: four grades of damage from RGB images before and after; or
    the :class:`~mage.learning.SegmentationNet` that tells water from all else in one.

    Its card says what it was trained on and what it cannot do; ``bundled_record().gsd`` are the pixels that it knows.

    Args:
        device: auto, cpu, cuda or mps.
        name: as of :func:`bundled_folder`.

    Raises:
        ModelError: it is not there.

    >>> import numpy as np
    >>> before = after = np.zeros((64, 64, 3), np.uint8)
    >>> classes, probabilities = bundled_model(device="cpu").predict(before, after)
    >>> classes.shape, probabilities.shape
    ((64, 64), (5, 64, 64))
    """
    return load_model(bundled_folder(name), device)


def bundled_record(name: BundledName = "damage") -> ModelRecord:
    """What a bundled model says of itself, without its weights being built.

    Args:
        name: as of :func:`bundled_folder`.

    Raises:
        ModelError: it is not there.

    >>> bundled_record().classes
    ('background', 'no-damage', 'minor-damage', 'major-damage', 'destroyed')
    """
    return model_record(bundled_folder(name))
