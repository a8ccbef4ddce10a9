"""From a model to maps: whole tiles at once where they fit, overlapping windows where they do not."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mage.learning.devices import autocast, place
from mage.learning.segment import SiameseDamageNet

WINDOW, OVERLAP = 1024, 128  # pixels; a window of 1024 takes about half a GB at width 24


def classify(probabilities: NDArray[np.float32], threshold: float = 0.5) -> NDArray[np.uint8]:
    """Class map, uint8 (H, W), of probabilities (1 + grades, H, W): 0 where a building is less likely than
    ``threshold``, elsewhere 1 + the likeliest grade.

    Not the likeliest of all classes: a building of uncertain grade is a building.

    >>> classify(np.array([0.4, 0.2, 0.3, 0.1, 0.0], np.float32).reshape(5, 1, 1))
    array([[2]], dtype=uint8)
    """
    grade = probabilities[1:].argmax(0) + 1
    return np.where(1 - probabilities[0] >= threshold, grade, 0).astype(np.uint8)


def predict_tile(model: SiameseDamageNet, image: Tensor, *, window: int = WINDOW, overlap: int = OVERLAP) -> Tensor:
    """Probabilities, float32 (1 + grades, H, W), of one pair, uint8 (2, bands, H, W), on the model's device.

    A side longer than ``window`` is cut into windows that overlap by at least ``overlap`` pixels and fade into each
    other. The model is left in the mode, training or not, that it was in.

    >>> predict_tile(SiameseDamageNet(width=4), torch.zeros(2, 3, 20, 30, dtype=torch.uint8)).shape
    torch.Size([5, 20, 30])
    """
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            return _blend(model, image, window, overlap)
    finally:
        model.train(training)


def _blend(model: SiameseDamageNet, image: Tensor, window: int, overlap: int) -> Tensor:
    device = next(model.parameters()).device
    height, width = image.shape[-2:]
    rows, columns = _starts(height, window, overlap), _starts(width, window, overlap)
    if len(rows) == len(columns) == 1:
        return _probabilities(model, image, device)
    total = torch.zeros(1 + model.grades, height, width, device=device)
    weight = torch.zeros(height, width, device=device)
    for row, column in product(rows, columns):
        part = (..., slice(row, row + window), slice(column, column + window))
        found = _probabilities(model, image[part], device)
        fade = _ramp(found.shape[-2], overlap, device)[:, None] * _ramp(found.shape[-1], overlap, device)
        total[part] += found * fade
        weight[part] += fade
    return total / weight


def _probabilities(model: SiameseDamageNet, image: Tensor, device: torch.device) -> Tensor:
    with autocast(device):
        prediction = model(place(image[None], device))
    return prediction.probabilities()[0]


def _starts(side: int, window: int, overlap: int) -> list[int]:
    """First pixels of windows that cover a side; spread evenly, so that the last one is as large as the others."""
    if side <= window:
        return [0]
    number = -(-(side - overlap) // (window - overlap))
    return [round(i * (side - window) / (number - 1)) for i in range(number)]


def _ramp(side: int, overlap: int, device: torch.device) -> Tensor:
    """(side,) weights that rise from both ends over ``overlap`` pixels to 1."""
    distance = torch.arange(1, side + 1, device=device, dtype=torch.float32)
    return (torch.minimum(distance, distance.flip(0)) / max(overlap, 1)).clamp(max=1)
