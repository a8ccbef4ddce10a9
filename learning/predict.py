"""From a model to maps: whole tiles at once where they fit, overlapping windows where they do not."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mage.learning.devices import autocast, place
from mage.learning.heads import Prediction, maps_of
from mage.learning.temperature import tempered

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


def predict_tile(model: nn.Module, image: Tensor, *, window: int = WINDOW, overlap: int = OVERLAP) -> Tensor:
    """Probabilities of the classes, float32 (classes, H, W), of one place: ``classes`` of :func:`predict_maps`.

    >>> from mage.learning import SegmentationNet
    >>> net = SegmentationNet(classes=2, width=4)
    >>> probabilities = predict_tile(net, torch.zeros(3, 20, 48, dtype=torch.uint8), window=32, overlap=16)
    >>> probabilities.shape, torch.allclose(probabilities.sum(0), torch.ones(20, 48))
    (torch.Size([2, 20, 48]), True)
    """
    return predict_maps(model, image, window=window, overlap=overlap)["classes"]


def predict_maps(model: nn.Module, image: Tensor, *, window: int = WINDOW, overlap: int = OVERLAP) -> dict[str, Tensor]:
    """What a model says of one place, maps float32 (C, H, W) by name as of :func:`~mage.learning.maps_of`, on the
    model's device.

    A side longer than ``window`` is cut into windows that overlap by at least ``overlap`` pixels and fade into each
    other. The model is left in the mode, training or not, that it was in. Its :class:`~mage.learning.Temperatures`, if
    it has any, apply.

    Args:
        model: any network, or a module that returns what one does.
        image: uint8, (2, bands, H, W) for a pair, (bands, H, W) for a model of one image.
        window: longest side, pixels, that the model is shown at once.
        overlap: pixels that neighbouring windows share.

    >>> from mage.learning import SegmentationNet
    >>> maps = predict_maps(SegmentationNet(classes=2, width=4), torch.zeros(3, 20, 30, dtype=torch.uint8))
    >>> {name: tuple(values.shape) for name, values in maps.items()}
    {'classes': (2, 20, 30)}
    """
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            return _blend(model, image, window, overlap)
    finally:
        model.train(training)


def _blend(model: nn.Module, image: Tensor, window: int, overlap: int) -> dict[str, Tensor]:
    device = next(model.parameters()).device
    height, width = image.shape[-2:]
    rows, columns = starts(height, window, overlap), starts(width, window, overlap)
    if len(rows) == len(columns) == 1:
        return _maps(model, image, device)
    totals: dict[str, Tensor] = {}
    weight = torch.zeros(height, width, device=device)
    for row, column in product(rows, columns):
        part = (..., slice(row, row + window), slice(column, column + window))
        maps = _maps(model, image[part], device)
        side = next(iter(maps.values())).shape[-2:]
        fade = _ramp(side[0], overlap, device)[:, None] * _ramp(side[1], overlap, device)
        for name, found in maps.items():
            if name not in totals:
                totals[name] = torch.zeros(len(found), height, width, device=device)
            totals[name][part] += found * fade
        weight[part] += fade
    return {name: total / weight for name, total in totals.items()}


def _maps(model: nn.Module, image: Tensor, device: torch.device) -> dict[str, Tensor]:
    output = tempered(model, logits(model, image, device))
    return {name: values[0] for name, values in maps_of(output).items()}


def logits(model: nn.Module, image: Tensor, device: torch.device) -> Prediction | Tensor:
    """What the model returns of one image, as a batch of one."""
    with autocast(device):
        return model(place(image[None], device))


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
