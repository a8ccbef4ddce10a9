"""How much of a scene looks unlike what a model was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mage.learning.density import Density
from mage.learning.mapping.picture import Picture, Window

SIDE, MOST = 256, 8  # pixels of a window's side, and windows along each side of a scene at most
DATA = 0.9  # share of a window that must be data


def share_unlike(density: Density, pictures: Sequence[Picture]) -> float | None:
    """Share of windows, spread over a scene, that score above the density's threshold; None where no window is data.

    Args:
        density: of the model that is to map the scene.
        pictures: one for each date of the model.
    """
    verdicts = []
    for window in _spread(pictures[0].grid.shape):
        images, valid = zip(*(picture.read(window) for picture in pictures), strict=True)
        if np.logical_and.reduce(valid).mean() >= DATA:
            stacked = torch.from_numpy(np.stack(images))
            verdicts.append(density.unlike(stacked if len(images) > 1 else stacked[0]))
    return float(np.mean(verdicts)) if verdicts else None


def _spread(shape: tuple[int, int]) -> Iterator[Window]:
    rows, columns = (_along(side) for side in shape)
    for row in rows:
        for column in columns:
            yield row, column


def _along(side: int) -> list[slice]:
    length, number = min(SIDE, side), min(MOST, -(-side // SIDE))
    return [slice(int(start), int(start) + length) for start in np.linspace(0, side - length, number)]
