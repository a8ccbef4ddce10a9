"""What ``mage collect`` wrote, as a torch map-style dataset of unlabelled images."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mage.learning.crops import checked_size, cut, window_of
from mage.learning.rasters import to_uint8
from mage.learning.splits import Row
from mage.scenes.dataset.png import decode_png
from mage.scenes.dataset.store import SHARDS
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.dataset.unlabelled import TileRecord, decode_tile, open_unlabelled, read_tiles
from mage.scenes.errors import DatasetError


class CollectedDataset(Dataset[dict[str, Any]]):
    """Tiles of real imagery without labels: samples with ``image``, uint8 (C, H, W), and ``key``.

    Bands of 8 bits stay as they are; those of 16 bits become 0-255 between the 2nd and 98th percentile of the image
    that the tile is from. Pixels without data are 0. An index from :class:`~mage.learning.EpochSampler` crops at
    random, a plain int in the middle.

    Args:
        root: the folder that ``mage collect`` wrote.
        size: side of a square crop in pixels; None gives whole tiles, smaller ones are mirrored.
        bands: names of those to load, as in ``dataset.json``; None takes all.

    Raises:
        DatasetError: no such dataset, a shard that is missing or cut, no such band. Reading a sample raises it too.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     CollectedDataset(folder)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
        ...
    mage.scenes.errors.DatasetError: not a dataset: no dataset.json (collecting did not finish?)
    """

    def __init__(self, root: str | Path, *, size: int | None = None, bands: Sequence[str] | None = None) -> None:
        self.root, self.size = Path(root), checked_size(size)
        self.record = open_unlabelled(self.root)
        self.bands = tuple(self.record.bands if bands is None else bands)
        if odd := sorted(set(self.bands) - set(self.record.bands)) or ([] if self.bands else ["none"]):
            raise DatasetError("has no such band", file=self.root, expected=", ".join(self.record.bands), found=odd[0])
        for shard in self.record.shards:
            path = self.root / SHARDS / shard.name
            if not path.is_file() or path.stat().st_size != shard.bytes:
                raise DatasetError("a shard is missing, cut or was changed", file=path, expected=f"{shard.bytes} bytes")
        self._ends = list(accumulate(shard.samples for shard in self.record.shards))
        self._tars: dict[int, TarIndex] = {}

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The tile at this index; negative ones count from the end."""
        tar, key = self._locate(index)
        record = self._describe(tar, key)
        planes = np.stack([self._band(tar, record, name) for name in self.bands], axis=-1)
        image = cut(planes, window_of(index, planes.shape, self.size), "symmetric").transpose(2, 0, 1)
        return {"image": torch.from_numpy(np.ascontiguousarray(image)), "key": key}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_tars": {}}  # each process maps the files for itself

    @property
    def keys(self) -> list[str]:
        """Names of all tiles, in the order of their indices."""
        return [key for shard in self.record.shards for key in shard.keys]

    @property
    def rows(self) -> list[Row]:
        """Each tile's key, collection, map and box: :func:`~mage.learning.by_block` keeps tiles of one ground together,
        whenever they were taken.
        """
        table = read_tiles(self.root, self.record.index_sha256).select(
            ["key", "collection", "crs", "west", "north", "gsd", "size"]
        )
        found = {row["key"]: row for row in table.to_pylist()}
        return [_row(found[key]) for key in self.keys]

    def describe(self, index: int) -> TileRecord:
        """Where a tile is from: source, licence, date, cloud, grid."""
        return self._describe(*self._locate(index))

    def _describe(self, tar: TarIndex, key: str) -> TileRecord:
        return decode_tile(tar.read(key, "json"), file=f"{tar.path}: {key}.json")

    def _locate(self, index: int) -> tuple[TarIndex, str]:
        position = index + len(self) if index < 0 else int(index)
        if not 0 <= position < len(self):
            raise IndexError(f"tile {int(index)} of {len(self)}")
        number = bisect_right(self._ends, position)
        shard = self.record.shards[number]
        if number not in self._tars:
            self._tars[number] = TarIndex(self.root / SHARDS / shard.name)
        return self._tars[number], shard.keys[position - (self._ends[number] - shard.samples)]

    def _band(self, tar: TarIndex, record: TileRecord, name: str) -> NDArray[np.uint8]:
        file = f"{tar.path}: {record.key}.band_{name}.png"
        values = decode_png(tar.read(record.key, f"band_{name}.png"), file=file)
        if values.shape != (record.grid.rows, record.grid.columns):
            expected = f"{record.grid.rows} x {record.grid.columns}"
            raise DatasetError(
                "is not as large as its record says", file=file, expected=expected, found=str(values.shape)
            )
        if values.dtype == np.uint8:
            return values
        if name not in record.limits:
            raise DatasetError("the record has no limits for this band", file=file)
        return np.where(values > 0, to_uint8(values[None], np.array([record.limits[name]]))[0], 0).astype(np.uint8)


def _row(row: dict[str, Any]) -> Row:
    side = row["gsd"] * row["size"]
    return Row(
        row["key"],
        row["collection"],
        row["crs"],
        None,
        (row["west"], row["north"] - side, row["west"] + side, row["north"]),
    )
