"""Does a translator keep the damage? A frozen model must map a place alike before and after translation."""

from __future__ import annotations

from copy import copy
from typing import Any, TypeVar

import numpy as np
import torch
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
    same = total = 0
    for index in tqdm(range(len(dataset)), disable=not progress, unit="tile"):  # type: ignore[arg-type]
        image = as_bytes(dataset[index])
        changed = translator.transform(image, style_rng(index) if styles else None)
        before, after = (predict_tile(model, torch.from_numpy(pair)).cpu().numpy() for pair in (image, changed))
        classes = classify(before)
        counted = np.take_along_axis(before, classes[None], 0)[0] >= sure
        same += int(np.count_nonzero(counted & (classes == classify(after))))
        total += int(np.count_nonzero(counted))
    if not total:
        raise ModelError("nothing to compare: the dataset is empty, or the model is nowhere so sure")
    return same / total


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

    def keeps(tried: Colours) -> bool:
        share = damage_preservation(model, dataset, tried, styles=styles, progress=progress)
        return share >= wanted

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
