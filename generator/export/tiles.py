"""What an export reads: samples chosen by the index, and each as a tile whose members are decoded when asked for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.scenes.dataset.codec import decode_record
from mage.scenes.dataset.fields import IMAGE_FIELDS, label_members
from mage.scenes.dataset.index import TABLE, read_index
from mage.scenes.dataset.png import check_png, decode_png
from mage.scenes.dataset.schema import DatasetRecord, SampleRecord, ShardRecord
from mage.scenes.dataset.store import SHARDS, Store, file_sha256
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.errors import DatasetError

SPLIT = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Pick:
    """A chosen sample. ``stem`` is ``EVENT_NUMBER`` as xBD and BRIGHT name images: the number counts the samples of the
    event over the whole dataset, so that a sample has one name however few are exported.
    """

    key: str
    split: str
    stem: str


@dataclass(frozen=True, slots=True)
class Task:
    """The chosen samples of one shard."""

    shard: ShardRecord
    picks: tuple[Pick, ...]


class Tile:
    """One sample, read from its shard member by member."""

    def __init__(self, pick: Pick, tar: TarIndex, where: str) -> None:
        self.pick, self._tar, self._where = pick, tar, where

    @cached_property
    def record(self) -> SampleRecord:
        """The sample's record; DatasetError if it is of another sample or split than the index says."""
        record = decode_record(self._tar.read(self.pick.key, "json"), file=self._file("json"))
        if (record.key, record.split) != (self.pick.key, self.pick.split):
            raise DatasetError(
                f"the record says something else than {TABLE}",
                file=self._file("json"),
                expected=f"{self.pick.key} of {self.pick.split}",
                found=f"{record.key} of {record.split}",
            )
        return record

    @property
    def shard(self) -> str:
        """The name of the sample's shard, without its suffix."""
        return self._tar.path.stem

    @property
    def members(self) -> list[str]:
        """All rasters that the sample holds: images, labels, and the bands of further sensors."""
        return [*IMAGE_FIELDS, *label_members(self.record.label_style), *(i.member for i in self.record.images)]

    def png(self, name: str) -> bytes:
        """A member (``pre``, ``post_damage`` ...) as the PNG that the shard holds, checked but not decoded."""
        data, file = self._tar.read(self.pick.key, f"{name}.png"), self._file(f"{name}.png")
        expected = self._kind(name)
        found = check_png(data, largest=max(expected[0]), file=file)
        if found != expected:
            raise DatasetError(
                "the picture does not fit the record", file=file, expected=f"{expected}", found=f"{found}"
            )
        return data

    def raster(self, name: str) -> NDArray[Any]:
        """A member as an array: uint8 or uint16 (rows, columns), or uint8 (rows, columns, 3)."""
        return decode_png(self.png(name), file=self._file(f"{name}.png"))

    def _kind(self, name: str) -> tuple[tuple[int, ...], str]:
        """Shape and dtype that a member must have."""
        shape = self.record.grid.rows, self.record.grid.columns
        if name in IMAGE_FIELDS:
            return (*shape, 3), "uint8"
        for image in self.record.images:
            if image.member == name:
                return (image.rows, image.columns), f"uint{image.bits}"
        return shape, str(np.dtype(label_members(self.record.label_style)[name].dtype))

    def _file(self, field: str) -> str:
        return f"{self._where}: {self.pick.key}.{field}"


def choose(
    store: Store,
    manifest: DatasetRecord,
    *,
    split: str | None = None,
    keys: Sequence[str] | None = None,
    limit: int | None = None,
) -> list[Task]:
    """The samples to export, shard by shard in the order of the dataset.

    Args:
        store: where the dataset lies.
        manifest: its record.
        split: of this split only.
        keys: these samples only.
        limit: no more than so many, the first of those chosen by the others.

    Raises:
        DatasetError: no such split or key, nothing left to export, or an index that is damaged.
    """
    table = read_index(store, manifest.index_sha256)
    columns = [table[name].to_pylist() for name in ("key", "shard", "split", "event")]
    rows = [(Pick(key, part, stem), shard) for key, shard, part, stem in _named(store, columns)]
    if split is not None and not any(pick.split == split for pick, _ in rows):
        there = ", ".join(sorted({pick.split for pick, _ in rows})) or "none"
        raise DatasetError("no samples of this split", file=store.place, expected=f"one of {there}", found=split)
    wanted = None if keys is None else set(keys)
    if wanted and (missing := sorted(wanted - {pick.key for pick, _ in rows})):
        raise DatasetError("no such sample", file=store.place, found=missing[0])
    chosen = [r for r in rows if (split is None or r[0].split == split) and (wanted is None or r[0].key in wanted)]
    if not chosen:
        raise DatasetError("there is nothing to export: no sample is of this split and these keys", file=store.place)
    return _tasks(store, manifest, chosen[:limit])


def _named(store: Store, columns: list[list[Any]]) -> Iterator[tuple[str, str, str, str]]:
    """Key, shard, split and stem of every sample in the index; splits become folders, so they are looked at."""
    counts: Counter[str] = Counter()
    for key, shard, split, event in zip(*columns, strict=True):
        if not (isinstance(key, str) and isinstance(split, str) and SPLIT.fullmatch(split)):
            raise DatasetError("a split that cannot be a folder", file=store.where(TABLE), found=repr(split))
        slug = re.sub(r"[^a-z0-9]+", "-", str(event).lower()).strip("-") or "event"
        yield key, str(shard), split, f"{slug[:100]}_{counts[slug[:100]]:08d}"
        counts[slug[:100]] += 1


def _tasks(store: Store, manifest: DatasetRecord, chosen: list[tuple[Pick, str]]) -> list[Task]:
    shards = {shard.name: shard for shard in manifest.shards}
    tasks = []
    for name, rows in groupby(chosen, key=lambda row: row[1]):
        if name not in shards:
            raise DatasetError("names a shard that the dataset lacks", file=store.where(TABLE), found=repr(name))
        tasks.append(Task(shards[name], tuple(pick for pick, _ in rows)))
    return tasks


def tiles_of(store: Store, task: Task) -> Iterator[Tile]:
    """The tiles of a task, after the shard's checksum has been compared.

    Raises:
        DatasetError: the shard is missing or is not the one that the dataset was made of.
    """
    name = f"{SHARDS}/{task.shard.name}"
    where = store.where(name)
    with store.fetch(name) as path, TarIndex(path) as tar:
        if (found := file_sha256(path)) != task.shard.sha256:
            raise DatasetError("sha256 is wrong", file=where, expected=task.shard.sha256, found=found)
        for pick in task.picks:
            yield Tile(pick, tar, where)


def batches(tiles: Iterator[Tile], size: int) -> Iterator[list[Tile]]:
    """Tiles in lists of at most ``size``."""
    while batch := list(islice(tiles, size)):
        yield batch
