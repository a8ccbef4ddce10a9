"""Honest splits: no event, no place and no block of ground in two parts; for any dataset that has ``rows``."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch.utils.data import Dataset

from mage.learning.sampling import Draw
from mage.scenes.errors import DatasetError

Box = tuple[float, float, float, float]
Parts = dict[str, list[int]]
ROUNDING = 1e-6  # of a block: tiles that end where a block does may say so with an error in the last digits


@dataclass(frozen=True, slots=True)
class Row:
    """What a split must know of a sample.

    Attributes:
        key: its name.
        event: the disaster that it shows.
        place: the city or region; the event's name where a set does not tell.
        split: the part that the set's authors put it in, None where there are none.
        box: west, south, east, north (or left, top, right, bottom) of its ground in units that all samples of one place
            share; None where it is not known.

    >>> row = Row("tile-7", event="flood-2021", place="Ahrweiler", box=(0, 0, 512, 512))
    >>> row.place, row.split
    ('Ahrweiler', None)
    """

    key: str
    event: str
    place: str
    split: str | None = None
    box: Box | None = None


class Listed(Protocol):
    """A dataset that says where its samples are from."""

    @property
    def rows(self) -> list[Row]:
        """One for each sample, in the order of their indices."""


class Part(Dataset[dict[str, Any]]):
    """Some samples of a dataset, by their indices. As torch's ``Subset``, but random crops stay random: an index from
    :class:`~mage.learning.EpochSampler` keeps what it carries.

    >>> part = Part(["a", "b", "c"], [2, 0])
    >>> part[0], len(part)
    ('c', 2)
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        for index in indices:
            if not 0 <= index < len(dataset):
                raise DatasetError("no such sample", expected=f"0-{len(dataset) - 1}", found=str(index))
        self.dataset, self.indices = dataset, list(indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The sample at this index of the part."""
        mine = self.indices[index]
        return self.dataset[Draw(mine, index.seed, index.epoch) if isinstance(index, Draw) else mine]

    @property
    def rows(self) -> list[Row]:
        """Those of its samples."""
        rows = self.dataset.rows
        return [rows[index] for index in self.indices]


def by_event(rows: Sequence[Row], shares: Mapping[str, float], rng: np.random.Generator) -> Parts:
    """Indices of the rows in each part, whole events and whole places together.

    Events that share a place go to the same part, and so do places that share an event, so that neither is in two.

    Args:
        rows: of a dataset.
        shares: of each part, above 0; they are scaled to sum to 1. Groups go in random order to the part that lacks
            most of its share, so that shares are met as nearly as events allow.
        rng: of the order.

    Raises:
        DatasetError: fewer groups than parts, or a share that is not above 0.

    >>> rows = [Row(f"tile-{k}", event=f"flood-{k // 2}", place=f"city-{k // 4}") for k in range(8)]
    >>> parts = by_event(rows, {"train": 1, "test": 1}, np.random.default_rng(0))
    >>> sorted(map(len, parts.values()))
    [4, 4]
    """
    groups = _joined([(("event", row.event), ("place", row.place)) for row in rows])
    return _shared_out(groups, shares, rng, "events that share no place")


def by_place(rows: Sequence[Row], shares: Mapping[str, float], rng: np.random.Generator) -> Parts:
    """As :func:`by_event`, but whole places only: an event may be in several parts, with other places.

    >>> rows = [Row(f"tile-{k}", event="quake", place=f"city-{k // 4}") for k in range(8)]
    >>> parts = by_place(rows, {"train": 1, "test": 1}, np.random.default_rng(0))
    >>> sorted(parts["train"] + parts["test"]) == list(range(8))
    True
    """
    return _shared_out(_joined([(("place", row.place),) for row in rows]), shares, rng, "places")


def leave_one_event_out(rows: Sequence[Row]) -> Iterator[tuple[str, list[int], list[int]]]:
    """Each event in turn, in the order of names: its name, the indices to train with and those of the event.

    Samples of other events at a place of this one are in neither list.

    Raises:
        DatasetError: there is one event alone.

    >>> rows = [Row("a", "flood", "delft"), Row("b", "fire", "athens"), Row("c", "quake", "delft")]
    >>> list(leave_one_event_out(rows))
    [('fire', [0, 2], [1]), ('flood', [1], [0]), ('quake', [1], [2])]
    """
    events = sorted({row.event for row in rows})
    if len(events) < 2:
        raise DatasetError("no event can be left out", expected="2 events or more", found=", ".join(events) or "none")
    for event in events:
        places = {row.place for row in rows if row.event == event}
        out = [k for k, row in enumerate(rows) if row.event == event]
        rest = [k for k, row in enumerate(rows) if row.event != event and row.place not in places]
        yield event, rest, out


def by_block(
    rows: Sequence[Row], shares: Mapping[str, float], rng: np.random.Generator, *, side: float, gap: float = 0
) -> Parts:
    """Indices of the rows in each part, by square blocks of ground: for tiles or crops of one place.

    Blocks of ``side`` are shared out; a tile belongs to the part of all blocks within half a ``gap`` of it, and to no
    part where these differ. So tiles of two parts are at least ``gap`` apart.

    Args:
        rows: with boxes.
        shares: as of :func:`by_event`, of blocks.
        rng: of the order of blocks.
        side: of a block, in the units of the boxes; take several tiles.
        gap: least distance between tiles of two parts, in the same units.

    Raises:
        DatasetError: a row without a box, a side that is not above 0, fewer blocks than parts.

    >>> rows = [Row(f"crop-{x}", "flood", "delft", box=(x, 0, x + 1, 1)) for x in range(8)]
    >>> parts = by_block(rows, {"train": 1, "test": 1}, np.random.default_rng(0), side=4)
    >>> sorted(map(len, parts.values()))
    [4, 4]
    """
    if not side > 0 or gap < 0:
        raise DatasetError("no such blocks", expected="a side above 0, a gap of 0 or more", found=f"{side}, {gap}")
    touched = [_blocks(row, side, gap) for row in rows]
    names = sorted({block for blocks in touched for block in blocks})
    shared = _shared_out([[k] for k in range(len(names))], shares, rng, "blocks")
    part_of = {names[k]: part for part, numbers in shared.items() for k in numbers}
    parts: Parts = {part: [] for part in shares}
    for index, blocks in enumerate(touched):
        of = {part_of[block] for block in blocks}
        if len(of) == 1:
            parts[of.pop()].append(index)
    return parts


def _blocks(row: Row, side: float, gap: float) -> list[tuple[str, int, int]]:
    if row.box is None:
        raise DatasetError("a sample whose place on the ground is not known", found=row.key)
    left, low, right, high = row.box
    reach = gap / 2 - ROUNDING * side
    across = range(int((left - reach) // side), int(-((-right - reach) // side)))
    along = range(int((low - reach) // side), int(-((-high - reach) // side)))
    return [(row.place, x, y) for x in across for y in along]


def _joined(names: Sequence[Sequence[Hashable]]) -> list[list[int]]:
    """Indices in groups, such that no name is in two; in the order of their first index."""
    parent: dict[Hashable, Hashable] = {}

    def _root(name: Hashable) -> Hashable:
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    for first, *others in names:
        for other in others:
            parent[_root(other)] = _root(first)
    groups: dict[Hashable, list[int]] = {}
    for index, (first, *_) in enumerate(names):
        groups.setdefault(_root(first), []).append(index)
    return list(groups.values())


def _shared_out(groups: list[list[int]], shares: Mapping[str, float], rng: np.random.Generator, what: str) -> Parts:
    if not shares or not all(0 < share < np.inf for share in shares.values()):
        raise DatasetError("no shares", expected="a number above 0 for each part", found=str(dict(shares)))
    if len(groups) < len(shares):
        raise DatasetError(f"too few {what}", expected=f"{len(shares)} or more", found=str(len(groups)))
    parts: Parts = {part: [] for part in shares}
    order = rng.permutation(len(groups))
    for turn, number in enumerate(order):
        empty = [part for part in shares if not parts[part]]
        # no part may stay empty: the last groups are kept for those that have nothing yet
        open_to = empty if len(order) - turn <= len(empty) else list(shares)
        part = min(open_to, key=lambda part: len(parts[part]) / shares[part])
        parts[part] += groups[number]
    return {part: sorted(indices) for part, indices in parts.items()}
