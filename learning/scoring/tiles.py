"""Counts by tile: what every figure, interval and test is made of, so that none needs the maps again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.scenes.errors import DatasetError, ModelError

Sums = Mapping[str, NDArray[Any]]
ROLES = ("event", "city", "split")


@dataclass(frozen=True, eq=False)
class TileCounts:
    """Counts of each tile of a dataset, in its order.

    Attributes:
        keys: names of the tiles.
        places: ``event``, ``city`` and ``split`` of each tile, as far as they are known.
        counts: arrays whose first axis is the tile: ``confusion`` (tiles, classes, classes), target by prediction;
            ``scored`` (tiles, grades, 3), of the xView2 score; ``boundary`` (tiles, classes, 4); ``buildings`` (tiles,
            grades, 1 + grades); and counts by confidence, (tiles, 15, 3), ``reliability_...``. Any of your own, too.

    Raises:
        ModelError: columns of other lengths.

    >>> tiles = TileCounts(("a", "b"), {"event": ("storm", "storm")}, {"confusion": np.ones((2, 2, 2))})
    >>> tiles.sums()["confusion"].tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """

    keys: tuple[str, ...]
    places: Mapping[str, tuple[str, ...]]
    counts: Sums

    def __post_init__(self) -> None:
        for name, column in {**self.places, **self.counts}.items():
            if len(column) != len(self.keys):
                raise ModelError(
                    f"'{name}' is not of these tiles", expected=f"{len(self.keys)} rows", found=str(len(column))
                )

    def __len__(self) -> int:
        return len(self.keys)

    def sums(self, weights: NDArray[Any] | None = None) -> dict[str, NDArray[Any]]:
        """Counts of all tiles together; with weights (n, tiles), n such sums, each tile taken as often as it says."""
        if weights is None:
            return {name: counts.sum(0) for name, counts in self.counts.items()}
        return {name: weighed(weights, counts) for name, counts in self.counts.items()}

    def groups(self, by: str) -> dict[str, TileCounts]:
        """The tiles of each event, city or split, by its name in alphabetical order.

        Raises:
            DatasetError: the dataset does not say it.
        """
        if by not in self.places:
            known = ", ".join(self.places) or "none of them"
            raise DatasetError(f"the dataset does not tell the {by} of its samples", expected=known, found=by)
        column = np.array(self.places[by])
        return {str(name): self.take(np.flatnonzero(column == name)) for name in np.unique(column)}

    def take(self, chosen: NDArray[np.intp] | Sequence[int]) -> TileCounts:
        """Some of the tiles, by their numbers."""
        index = np.asarray(chosen, np.intp)
        places = {name: tuple(column[i] for i in index) for name, column in self.places.items()}
        return TileCounts(
            tuple(self.keys[i] for i in index), places, {name: counts[index] for name, counts in self.counts.items()}
        )

    def paired_with(self, other: TileCounts) -> TileCounts:
        """The other counts in this order.

        Raises:
            ModelError: they are of other tiles.
        """
        if self.keys == other.keys:
            return other
        if sorted(self.keys) != sorted(other.keys) or len(set(self.keys)) < len(self.keys):
            raise ModelError("the runs were not evaluated on the same tiles, each of a name of its own")
        position = {key: i for i, key in enumerate(other.keys)}
        return replace(other.take([position[key] for key in self.keys]), places=self.places)


def weighed(weights: NDArray[Any], counts: NDArray[Any]) -> NDArray[np.float64]:
    """Weighted sums (n, ...) of counts (tiles, ...), exact for whole numbers below 2^53."""
    flat = counts.reshape(len(counts), -1).astype(np.float64)
    return (weights.astype(np.float64) @ flat).reshape(len(weights), *counts.shape[1:])
