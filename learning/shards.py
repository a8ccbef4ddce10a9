"""Datasets on disk as a torch map-style dataset: random access by mmap, in any number of worker processes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mage.learning.crops import Window, checked_size, cut, window_of
from mage.learning.splits import Row
from mage.scenes.dataset.fields import IMAGE_FIELDS, label_members
from mage.scenes.dataset.index import open_dataset, read_index
from mage.scenes.dataset.png import decode_png
from mage.scenes.dataset.schema import DatasetRecord, SensorRecord, ShardRecord
from mage.scenes.dataset.store import SHARDS
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.errors import DatasetError
from mage.scenes.metrics import IGNORE

MASK = "post_damage"
GRADES = 4

SampleDict = dict[str, Any]
Transform = Callable[[SampleDict], SampleDict]


class ShardDataset(Dataset[SampleDict]):
    """The samples of a MAGE dataset, as TorchGeo's sample dicts.

    A sample holds ``image``, uint8 (2, 3, H, W), RGB before and after; ``mask``, uint8 (H, W), 0 background, 1 + Joint
    Damage Scale grade on buildings, 255 outside the tile; ``gsd``, float32 (), side of a pixel in metres; ``key``, its
    name; each of ``labels``, int32 (H, W); and each of ``images``, float32 (2, bands, H, W): reflectance, or 0-1 of an
    8-bit product, bands as in ``dataset.json``, every pixel of the tile with the value of the sensor's pixel that it
    lies in.

    Args:
        root: the dataset's folder.
        split: samples of this split only, as the index (``samples.parquet``) says; None takes all.
        size: side of the square crops to train with, pixels; None gives whole tiles, as scores want them. An index from
            :class:`EpochSampler` crops at random, a plain int in the middle. Tiles smaller than the crop are mirrored,
            their mask filled with 255.
        labels: further label members to load, such as ``post_building`` or ``post_depth``; 0 outside the tile.
        images: further sensors whose images to load, by their names in ``dataset.json``.
        transform: applied to each sample last.

    Raises:
        DatasetError: no such dataset, a shard that is missing or cut, no such split, label or sensor, size below 1.
            Reading a sample raises it too, with file and key, where a member cannot be read.

    >>> tiles = ShardDataset(root, size=32)  # a dataset's folder
    >>> tiles[0]["image"].shape, tiles[0]["mask"].shape
    (torch.Size([2, 3, 32, 32]), torch.Size([32, 32]))
    """

    def __init__(
        self,
        root: str | Path,
        *,
        split: str | None = None,
        size: int | None = None,
        labels: Sequence[str] = (),
        images: Sequence[str] = (),
        transform: Transform | None = None,
    ) -> None:
        self.root, self.split, self.size, self.transform = Path(root), split, checked_size(size), transform
        self.labels = tuple(labels)
        self.record = open_dataset(self.root)
        self._sensors = {sensor.name: sensor for sensor in self.record.sensors}
        self.images = tuple(images)
        if missing := sorted(set(self.images) - set(self._sensors)):
            there = ", ".join(self._sensors) or "none, the dataset has RGB images only"
            raise DatasetError("holds no images of this sensor", file=self.root, expected=there, found=missing[0])
        known = label_members(self.record.recipe.get("label_style", "exact"))
        if unknown := sorted(set(self.labels) - set(known)):
            raise DatasetError("no such label", expected=f"some of {', '.join(known)}", found=unknown[0])
        chosen = _choose(self.root, self.record, split)
        self.shards, self._keys = [shard for shard, _ in chosen], [keys for _, keys in chosen]
        gsd_of = {event.name: event.gsd for event in self.record.events}
        self._gsds = [gsd_of[shard.event] for shard in self.shards]
        self._ends = list(accumulate(map(len, self._keys)))
        self._tars: dict[int, TarIndex] = {}

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> SampleDict:
        """The sample at this index; negative ones count from the end."""
        shard, key = self._locate(index)
        tar = self._tar(shard)
        path = self.root / SHARDS / self.shards[shard].name
        pictures = [_picture(tar, path, key, date) for date in IMAGE_FIELDS]
        shape = pictures[0].shape[:2]
        rasters = {name: _decode(tar, path, key, name) for name in (MASK, *self.labels)}
        for name, array in (*zip(IMAGE_FIELDS, pictures, strict=True), *rasters.items()):
            if array.shape[:2] != shape:
                what = f"'{name}' of sample '{key}' is not as large as '{IMAGE_FIELDS[0]}'"
                raise DatasetError(what, file=path, expected=str(shape), found=str(array.shape[:2]))
        window = window_of(index, shape, self.size)
        image = np.stack([cv2.split(cut(picture, window, "symmetric")) for picture in pictures])
        sample: SampleDict = {
            "image": torch.from_numpy(image),
            "mask": _mask(rasters[MASK], window, path, key),
            "gsd": torch.tensor(self._gsds[shard], dtype=torch.float32),
            "key": key,
        }
        for name in self.labels:
            sample[name] = torch.from_numpy(cut(rasters[name], window, "constant").astype(np.int32))
        for name in self.images:
            sample[name] = _sensed(tar, path, key, self._sensors[name], (shape, self._gsds[shard]), window)
        return sample if self.transform is None else self.transform(sample)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_tars": {}}  # each process maps the files for itself

    @property
    def keys(self) -> list[str]:
        """Names of all samples, in the order of their indices."""
        return [key for keys in self._keys for key in keys]

    @property
    def rows(self) -> list[Row]:
        """Key, event, city, split and box of each sample, for :mod:`mage.learning.splits`."""
        names = ["key", "event", "city", "split", "west", "north", "gsd", "size"]
        table = read_index(self.root, self.record.index_sha256).select(names)
        rows = {row["key"]: row for row in table.to_pylist()}
        return [_row(rows[key]) for key in self.keys]

    @property
    def gsd(self) -> tuple[float, float]:
        """Sides of the finest and the coarsest pixel among these samples, metres."""
        return min(self._gsds), max(self._gsds)

    def grade_counts(self) -> list[int]:
        """Buildings of each Joint Damage Scale grade in these samples, by the dataset's index."""
        names = [f"jds_{grade}" for grade in range(GRADES)]
        table, mine = read_index(self.root, self.record.index_sha256).select(["key", *names]), set(self.keys)
        chosen = np.array([key in mine for key in table["key"].to_pylist()], bool)
        return [int(table[name].to_numpy()[chosen].sum()) for name in names]

    def _locate(self, index: int) -> tuple[int, str]:
        position = index + len(self) if index < 0 else int(index)
        if not 0 <= position < len(self):
            raise IndexError(f"sample {int(index)} of {len(self)}")
        shard = bisect_right(self._ends, position)
        return shard, self._keys[shard][position - self._ends[shard]]

    def _tar(self, shard: int) -> TarIndex:
        if shard not in self._tars:
            self._tars[shard] = TarIndex(self.root / SHARDS / self.shards[shard].name)
        return self._tars[shard]


def _row(row: dict[str, Any]) -> Row:
    side = row["gsd"] * row["size"]
    box = (row["west"], row["north"] - side, row["west"] + side, row["north"])
    return Row(row["key"], row["event"], row["city"], row["split"], box)


def _choose(root: Path, record: DatasetRecord, split: str | None) -> list[tuple[ShardRecord, list[str]]]:
    """The shards that hold samples of a split, with the keys of these; each is there and as long as recorded."""
    if split is None:
        chosen = [(shard, shard.keys) for shard in record.shards]
    else:
        table = read_index(root, record.index_sha256).select(["key", "split"])
        split_of = dict(zip(table["key"].to_pylist(), table["split"].to_pylist(), strict=True))
        if split not in split_of.values():
            found = ", ".join(sorted(set(split_of.values())))
            raise DatasetError(f"no sample is of split '{split}'", file=root, expected=f"one of {found}")
        chosen = [(shard, [key for key in shard.keys if split_of.get(key) == split]) for shard in record.shards]
        chosen = [(shard, keys) for shard, keys in chosen if keys]
    if not chosen:
        raise DatasetError("the dataset is empty", file=root)
    for shard, _ in chosen:
        _check_size(root / SHARDS / shard.name, shard.bytes)
    return chosen


def _check_size(path: Path, size: int) -> None:
    if not path.is_file():
        raise DatasetError("a shard is missing; `mage verify` tells what else is", file=path)
    if (found := path.stat().st_size) != size:
        raise DatasetError("a shard is cut or was changed", file=path, expected=f"{size} bytes", found=f"{found}")


def _decode(tar: TarIndex, path: Path, key: str, name: str) -> NDArray[Any]:
    return decode_png(tar.read(key, f"{name}.png"), file=f"{path}: {key}.{name}.png")


def _picture(tar: TarIndex, path: Path, key: str, date: str) -> NDArray[np.uint8]:
    picture = _decode(tar, path, key, date)
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise DatasetError(
            f"'{date}' of sample '{key}' is no RGB image", file=path, found=f"{picture.dtype} {picture.shape}"
        )
    return picture


def _sensed(
    tar: TarIndex, path: Path, key: str, sensor: SensorRecord, tile: tuple[tuple[int, ...], float], window: Window
) -> Tensor:
    """A sensor's bands at both dates on the pixels of the tile (its shape and GSD), float32 (2, bands, H, W)."""
    planes = []
    for member, band in sensor.members.items():
        raster = _decode(tar, path, key, member)
        if raster.ndim != 2:
            raise DatasetError(f"'{member}' of sample '{key}' is no single band", file=path, found=str(raster.shape))
        rows, columns = (
            np.minimum(((np.arange(n) + 0.5) * tile[1] / band.gsd).astype(int), m - 1)
            for n, m in zip(tile[0], raster.shape, strict=False)
        )
        full = raster[rows[:, None], columns] / np.float32(band.scale or 255)
        planes.append(cut(full, window, "symmetric"))
    return torch.from_numpy(np.stack(planes).reshape(2, len(sensor.bands), *planes[0].shape).astype(np.float32))


def _mask(raster: NDArray[Any], window: Window, path: Path, key: str) -> Tensor:
    if raster.ndim != 2 or raster.max() > GRADES:
        raise DatasetError(f"'{MASK}' of sample '{key}'", file=path, expected="0-4", found=str(raster.max()))
    return torch.from_numpy(cut(raster, window, "constant", IGNORE).astype(np.uint8))
