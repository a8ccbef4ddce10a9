"""Rare class sampling: images of classes that are seldom come more often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset
from tqdm import tqdm

from mage.learning.sampling import Draw
from mage.scenes.errors import DatasetError
from mage.scenes.metrics import IGNORE

TRIES = 10  # crops of an image that are looked at for enough of the class


class RareClasses(Dataset[dict[str, Any]]):
    """A labelled dataset whose draws follow the classes (Hoyer et al. 2022, DAFormer, equations 4 and 5): a class is
    drawn with P(c) = exp((1 - f_c) / T) / Σ exp((1 - f) / T), f_c its share of all pixels, then one of the images
    that hold it, and of that image up to ten crops until ``pixels`` of the class are in it.

    Only indices of an :class:`~mage.learning.EpochSampler` are drawn anew, each a function of its seed, epoch and
    index; a plain int gives the sample of that index. Classes that no image holds are left out.

    Args:
        dataset: map-style, of samples with ``mask``.
        counts: (samples, classes) pixels of each class in each sample, see :func:`class_counts`.
        temperature: T; small ones favour rare classes more. The paper's is 0.01.
        pixels: of the class that a crop must hold, if one of ten does; the paper's 3000 are 1 % of its crops.

    Raises:
        DatasetError: ``counts`` does not fit the dataset, or holds nothing.

    >>> import torch
    >>> tiles = [{"mask": torch.full((4, 4), min(index, 1))} for index in (0, 0, 0, 1)]
    >>> rare = RareClasses(tiles, class_counts(tiles, classes=2), temperature=0.1)
    >>> [round(float(p), 3) for p in rare.chances]
    [0.007, 0.993]
    """

    def __init__(
        self,
        dataset: Dataset[dict[str, Any]],
        counts: NDArray[np.integer[Any]] | Sequence[Sequence[int]],
        *,
        temperature: float = 0.01,
        pixels: int = 32,
    ) -> None:
        table = np.asarray(counts)
        samples = len(dataset)  # type: ignore[arg-type]  # map-style ones have a length
        if table.ndim != 2 or len(table) != samples or not (table > 0).any():
            raise DatasetError(
                "counts do not fit", expected=f"({samples}, classes), some above 0", found=str(table.shape)
            )
        self.dataset, self.temperature, self.pixels = dataset, temperature, pixels
        self.classes = np.flatnonzero(table.sum(0))
        self.holders = [np.flatnonzero(table[:, label]) for label in self.classes]
        share = table.sum(0)[self.classes] / table.sum()
        odds = (1 - share) / temperature
        self.chances: NDArray[np.float64] = np.exp(odds - odds.max())
        self.chances /= self.chances.sum()

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The sample at this index, or for a draw one that holds the class drawn."""
        if not isinstance(index, Draw):
            return self.dataset[index]
        rng = np.random.default_rng((index.seed, index.epoch, int(index), 3))  # the 3 keeps it apart from crops
        place = rng.choice(len(self.classes), p=self.chances)
        label, chosen = int(self.classes[place]), int(rng.choice(self.holders[place]))
        best, most = {}, -1
        for number in range(TRIES):
            # an epoch of its own for each try, so that the crop is another
            sample = self.dataset[Draw(chosen, index.seed, (index.epoch * len(self) + int(index)) * TRIES + number)]
            held = int((sample["mask"] == label).sum())
            if held > most:
                best, most = sample, held
            if most >= self.pixels:
                break
        return best


def class_counts(dataset: Dataset[dict[str, Any]], classes: int, *, progress: bool = False) -> NDArray[np.int64]:
    """Pixels of each class in each sample's mask, (samples, classes); 255 does not count. Reads every sample once: give
    whole tiles.

    Raises:
        DatasetError: a mask holds other values.

    >>> import torch
    >>> class_counts([{"mask": torch.tensor([[0, 1], [1, 255]])}], classes=2).tolist()
    [[1, 2]]
    """
    table = np.zeros((len(dataset), classes), np.int64)  # type: ignore[arg-type]
    for index in tqdm(range(len(table)), disable=not progress, unit="tile"):
        found = np.bincount(np.asarray(dataset[index]["mask"]).ravel(), minlength=IGNORE + 1)
        if found[classes:IGNORE].any() or len(found) > IGNORE + 1:
            raise DatasetError("a mask holds other classes", expected=f"0-{classes - 1}", found=f"sample {index}")
        table[index] = found[:classes]
    return table
