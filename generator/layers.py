"""What the labels of a tile are made of, (rows, columns) each: what stands there, what water, and what lies on both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.generator.props import Placements

Floats = NDArray[np.float64]

CENTIMETRES = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What stands at one date, (rows, columns) each.

    Attributes:
        roof: height of the highest face of a building, m; -inf where there is none.
        owner: int32 index of the building on top, trees, cars and debris ignored, -1 for none.
        deck: where a bridge's deck is above all buildings.
        roads: int32 index of the road edge plus 1, ignoring all but buildings and the decks of bridges.
        wall: where that highest face is a wall, as only slanted rays see it.
    """

    roof: Floats
    owner: NDArray[np.int32]
    deck: NDArray[np.bool_]
    roads: NDArray[np.int32]
    wall: NDArray[np.bool_]

    @property
    def built(self) -> NDArray[np.bool_]:
        """Where a building stands, or lies within its outline."""
        return self.owner >= 0

    def above(self, water: WaterSeen) -> Standing:
        """Without the walls that water hides; roofs under water are labelled, since that is how they are damaged."""
        hidden = self.wall & (water.depth > 0) & (self.roof < water.z)
        return replace(self, owner=np.where(hidden, -1, self.owner).astype(np.int32)) if hidden.any() else self


@dataclass(frozen=True, slots=True, eq=False)
class WaterSeen:
    """Water that rays meet, (rows, columns) each: its depth over the ground there, uint16 cm, 0 for none; the height of
    its surface, m, meaningless where there is none.
    """

    depth: NDArray[np.uint16]
    z: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Top:
    """What covers ground and buildings at one date: vehicles, heights of crowns and debris, permanent and flood water,
    benign change.
    """

    vehicles: Placements
    trees: Floats
    normal: WaterSeen
    flood: WaterSeen
    debris: Floats
    changed: Changed


class Changed:
    """Ground cover at one date, and the height (-inf for none) and class of what benign change put there, buildings
    apart; (rows, columns) each.
    """

    def __init__(
        self, cover: NDArray[np.uint8], z: Floats | None = None, kind: NDArray[np.uint8] | None = None
    ) -> None:
        self.cover = cover
        self.z = np.full(cover.shape, -np.inf) if z is None else z
        self.kind = np.zeros(cover.shape, np.uint8) if kind is None else kind


def present(index: NDArray[Any]) -> NDArray[np.int64]:
    """The indices (-1 for none) that a raster holds, ascending."""
    return np.flatnonzero(np.bincount(index[index >= 0]))


def with_new(before: NDArray[np.int64], after: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices before, and then those that are there after only."""
    return np.concatenate([before, np.setdiff1d(after, before)])


def numbered(index: NDArray[Any], present: NDArray[np.int64]) -> NDArray[np.uint16]:
    """Indices (-1 for none) to numbers within the sample: 1 for the first of ``present``, 0 for none."""
    table = np.zeros(int(max(index.max(initial=-1), present.max(initial=-1))) + 2, np.uint16)
    table[present] = np.arange(1, len(present) + 1)
    table[-1] = 0
    return np.asarray(table[index], np.uint16)


def looked_up(building: NDArray[np.uint16], grades: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grade plus 1 at every pixel of a building, 0 elsewhere."""
    return np.concatenate([[0], grades.astype(np.int64) + 1])[building].astype(np.uint8)


def centimetres(metres: Floats) -> NDArray[np.uint16]:
    """Metres as labels store them."""
    return np.clip(np.rint(metres * CENTIMETRES), 0, 65535).astype(np.uint16)
