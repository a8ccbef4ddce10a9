"""From a model to maps: whole tiles at once where they fit, overlapping windows where they do not."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mage.learning.devices import autocast, place
from mage.learning.segment import Prediction
from mage.learning.temperature import tempered

WINDOW, OVERLAP = 1024, 128  # pixels; a window of 1024 takes about half a GB at width 24


def classify(probabilities: NDArray[np.float32], threshold: float = 0.5) -> NDArray[np.uint8]:
    """Class map, uint8 (H, W), of probabilities (1 + grades, H, W): 0 where a building is less likely than
    ``threshold``, elsewhere 1 + the likeliest grade.

    Not the likeliest of all classes: a building of uncertain grade is a building.
    """
    grade = probabilities[1:].argmax(0) + 1
    return np.where(1 - probabilities[0] >= threshold, grade, 0).astype(np.uint8)


def predict_tile(model: nn.Module, image: Tensor, *, window: int = WINDOW, overlap: int = OVERLAP) -> Tensor:
    """Probabilities, float32 (classes, H, W), of one image, (2, bands, H, W) or (bands, H, W), on the model's device:
    of no building and a building of each grade by a damage model, of each class by one that returns plain logits.

    A side longer than ``window`` is cut into windows that overlap by at least ``overlap`` pixels and fade into each
    other. The model is left in the mode, training or not, that it was in. Its :class:`~mage.learning.Temperatures`, if
    it has any, apply.
    """
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            return _blend(model, image, window, overlap)
    finally:
        model.train(training)


def _blend(model: nn.Module, image: Tensor, window: int, overlap: int) -> Tensor:
    device = next(model.parameters()).device
    height, width = image.shape[-2:]
    rows, columns = starts(height, window, overlap), starts(width, window, overlap)
    if len(rows) == len(columns) == 1:
        return _probabilities(model, image, device)
    total, weight = torch.zeros(1, device=device), torch.zeros(height, width, device=device)
    for row, column in product(rows, columns):
        part = (..., slice(row, row + window), slice(column, column + window))
        found = _probabilities(model, image[part], device)
        fade = _ramp(found.shape[-2], overlap, device)[:, None] * _ramp(found.shape[-1], overlap, device)
        total = total if total.ndim == 3 else torch.zeros(len(found), height, width, device=device)
        total[part] += found * fade
        weight[part] += fade
    return total / weight


def _probabilities(model: nn.Module, image: Tensor, device: torch.device) -> Tensor:
    return as_probabilities(tempered(model, logits(model, image, device)))[0]


def logits(model: nn.Module, image: Tensor, device: torch.device) -> Prediction | Tensor:
    """What the model returns of one image, as a batch of one."""
    with autocast(device):
        return model(place(image[None], device))


def as_probabilities(output: Prediction | Tensor) -> Tensor:
    """Class probabilities, (N, classes, H, W) float32, of what a model returned."""
    return output.float().softmax(1) if isinstance(output, Tensor) else output.probabilities()


def starts(side: int, window: int, overlap: int) -> list[int]:
    """First pixels of windows that cover a side; spread evenly, so that the last one is as large as the others."""
    if side <= window:
        return [0]
    number = -(-(side - overlap) // (window - overlap))
    return [round(i * (side - window) / (number - 1)) for i in range(number)]


def _ramp(side: int, overlap: int, device: torch.device) -> Tensor:
    """(side,) weights that rise from both ends over ``overlap`` pixels to 1."""
    distance = torch.arange(1, side + 1, device=device, dtype=torch.float32)
    return (torch.minimum(distance, distance.flip(0)) / max(overlap, 1)).clamp(max=1)
