"""Does a translator keep the damage? A frozen model must map a place alike before and after translation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset
from tqdm import tqdm

from mage.learning.predict import classify, predict_tile
from mage.learning.segment import SiameseDamageNet
from mage.learning.translate.colour import ColourTransport
from mage.learning.translate.translator import Translator, as_bytes, style_rng
from mage.scenes.errors import ModelError

WANTED = 0.95
"""The share from which on a translator passes."""
HALVINGS = 5  # of the way: the strength is found to 1/32

Colours = TypeVar("Colours", bound=ColourTransport)
Seen = tuple[NDArray[np.uint8], NDArray[np.bool_]]


def damage_preservation(
    model: SiameseDamageNet,
    dataset: Dataset[dict[str, Any]],
    translator: Translator,
    *,
    styles: bool = True,
    sure: float = 0.0,
    progress: bool = False,
) -> float:
    """Share of pixels of a dataset that a frozen damage model puts into the same class before and after translation.

    It tells a translator that changes the light from one that paints damage over or in. A model that maps everything
    alike passes any translator: use one that was trained on the source, and look at its score first. One that has
    learned little decides many pixels on the edge, where any change of light turns them: ``sure`` leaves those out.

    Args:
        model: trained on the source domain; its mode is left as it was.
        dataset: of the source domain, pairs uint8 (2, bands, H, W).
        translator: fitted.
        styles: as of :class:`~mage.learning.Translated`.
        sure: probability that the model must give its class before translation for a pixel to count.
        progress: a bar on standard error.

    Raises:
        ModelError: the dataset is empty, the model is nowhere so sure, or its images do not fit the model or the
            translator.

    >>> from mage.learning import LinearColour
    >>> pair = torch.full((2, 3, 16, 16), 90, dtype=torch.uint8)
    >>> damage_preservation(SiameseDamageNet(width=4), [{"image": pair}], LinearColour().fit([pair]))
    1.0
    """
    seen = _seen(model, dataset, sure, progress)
    return _kept(model, dataset, translator, seen, styles)


def preserving(
    model: SiameseDamageNet,
    dataset: Dataset[dict[str, Any]],
    translator: Colours,
    *,
    wanted: float = WANTED,
    styles: bool = True,
    progress: bool = False,
) -> Colours:
    """The translator as strong as the damage bears: with the highest strength, to 1/32 of its own, at which
    :func:`damage_preservation` was measured to be ``wanted`` or more. Where it is so as it is, it stays as it is.

    Args:
        model: as of :func:`damage_preservation`.
        dataset: as there; of many tiles a part will do.
        translator: fitted.
        wanted: share of pixels that keep their class.
        styles: as of :class:`~mage.learning.Translated`.
        progress: bars on standard error.

    Raises:
        ModelError: as of :func:`damage_preservation`.

    >>> from mage.learning import LinearColour
    >>> pair = torch.full((2, 3, 16, 16), 90, dtype=torch.uint8)
    >>> preserving(SiameseDamageNet(width=4), [{"image": pair}], LinearColour().fit([pair])).strength
    1.0
    """
    seen = list(_seen(model, dataset, 0.0, progress))  # once, since it is asked for every strength

    def keeps(tried: Colours) -> bool:
        return _kept(model, dataset, tried, seen, styles) >= wanted

    if keeps(translator):
        return translator
    low, high = 0.0, translator.strength  # at 0 nothing is changed
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if keeps(with_strength(translator, middle)) else (low, middle)
    return with_strength(translator, low)


def with_strength(translator: Colours, strength: float) -> Colours:
    """The same map, another share of the way."""
    changed = copy(translator)
    changed.strength = strength
    return changed


def _seen(model: SiameseDamageNet, dataset: Dataset[dict[str, Any]], sure: float, progress: bool) -> Iterator[Seen]:
    """Class of each pixel of each place before translation, (H, W), and whether the model is sure enough of it."""
    for index in tqdm(range(len(dataset)), disable=not progress, unit="tile"):  # type: ignore[arg-type]
        probabilities = predict_tile(model, torch.from_numpy(as_bytes(dataset[index]))).cpu().numpy()
        classes = classify(probabilities)
        yield classes, np.take_along_axis(probabilities, classes[None].astype(np.intp), 0)[0] >= sure


def _kept(
    model: SiameseDamageNet,
    dataset: Dataset[dict[str, Any]],
    translator: Translator,
    seen: Iterable[Seen],
    styles: bool,
) -> float:
    """Share of the pixels that count whose class stays.

    Raises:
        ModelError: none counts.
    """
    same = total = 0
    for index, (classes, counted) in enumerate(seen):
        changed = translator.transform(as_bytes(dataset[index]), style_rng(index) if styles else None)
        after = classify(predict_tile(model, torch.from_numpy(changed)).cpu().numpy())
        same += int(np.count_nonzero(counted & (classes == after)))
        total += int(np.count_nonzero(counted))
    if not total:
        raise ModelError("nothing to compare: the dataset is empty, or the model is nowhere so sure")
    return same / total
