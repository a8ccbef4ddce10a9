"""What the values of a mask mean, and how the values in a set's files become them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mage.scenes.errors import DatasetError
from mage.scenes.grades import JDS_NAMES, bright_of_roof
from mage.scenes.metrics import IGNORE

LEAST, MOST = -2, 256  # one beyond what a label may be


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Classes of a mask, and the class of each value that a file may hold.

    It is also a transform: called with a sample it relabels the sample's mask, 255 staying 255, so that sets with
    finer classes can be read with coarser ones.

    Attributes:
        classes: names of the mask's values 0, 1, ...
        values: the mask's value for each value of a file, -1 to 255; 255 is ignored by all losses and scores.

    >>> import torch
    >>> damage = torch.tensor([[0, 1, 4, 255]])
    >>> BUILDINGS({"mask": damage})["mask"].tolist()
    [[0, 1, 1, 255]]
    """

    classes: tuple[str, ...]
    values: Mapping[int, int]

    def apply(self, raster: NDArray[Any], file: str | Path) -> NDArray[np.uint8]:
        """The mask of a raster of labels, uint8.

        Raises:
            DatasetError: a value that the taxonomy does not know; ``file`` is named.
        """
        table = np.full(MOST - LEAST + 1, -1, np.int16)
        for value, mine in self.values.items():
            table[value - LEAST] = mine
        mask = table[np.clip(raster, LEAST, MOST).astype(np.int16) - LEAST]
        if mask.size and mask.min() < 0:
            known = ", ".join(map(str, sorted(self.values)))
            raise DatasetError(
                "a label that this set does not have", file=file, expected=known, found=str(raster[mask < 0][0])
            )
        return mask.astype(np.uint8)

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """The sample with its mask relabelled; DatasetError if it holds another value."""
        mask = sample["mask"]
        kept = Taxonomy(self.classes, {**self.values, IGNORE: IGNORE})
        relabelled = torch.from_numpy(kept.apply(mask.numpy(), str(sample.get("key", "a sample"))))
        return sample | {"mask": relabelled.to(mask.dtype)}


DAMAGE = Taxonomy(("background", *JDS_NAMES), {**{value: value for value in range(1 + len(JDS_NAMES))}, IGNORE: IGNORE})
"""1 + the Joint Damage Scale's grade on buildings: the masks of :class:`~mage.learning.ShardDataset` and of xBD."""
BUILDINGS = Taxonomy(("background", "building"), {0: 0, 1: 1, 2: 1, 3: 1, 4: 1})
"""Buildings of any grade, from masks of ``DAMAGE``."""
DAMAGED = Taxonomy(
    ("background", "intact", "damaged", "destroyed"),
    {0: 0}
    | {1 + grade: int(value) for grade, value in enumerate(bright_of_roof(np.arange(len(JDS_NAMES)).astype(np.uint8)))},
)
"""BRIGHT's classes, from masks of ``DAMAGE``: every finer scale can be read so without a guess."""
CHANGE = Taxonomy(("unchanged", "changed"), {0: 0, 1: 1, 255: 1})
"""Files of 0 and 1, or of 0 and 255, as change detection sets have them."""
