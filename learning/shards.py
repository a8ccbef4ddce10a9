"""Datasets on disk as a torch map-style dataset: random access by mmap, in any number of worker processes."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mage.learning.metrics import IGNORE
from mage.learning.sampling import Draw
from mage.scenes.dataset.index import open_dataset
from mage.scenes.dataset.png import decode_png
from mage.scenes.dataset.schema import IMAGE_FIELDS, ShardRecord, label_members
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.errors import DatasetError

MASK = "post_damage"
GRADES = 4
SURVEY = 2000  # samples that are enough to know how frequent each grade is

SampleDict = dict[str, Any]
Transform = Callable[[SampleDict], SampleDict]


class ShardDataset(Dataset[SampleDict]):
    """The samples of a MAGE dataset, as TorchGeo's sample dicts.

    A sample holds ``image``, uint8 (2, 3, H, W), RGB before and after; ``mask``, uint8 (H, W), 0 background, 1 + Joint
    Damage Scale grade on buildings, 255 outside the tile; ``key``, its name; and each of ``labels``, int32 (H, W).

    Args:
        root: the dataset's folder.
        split: samples of this split only, by the name of their shard; None takes all.
        size: side of a square crop in pixels; None gives whole tiles. An index from :class:`EpochSampler` crops at
            random, a plain int in the middle. Tiles smaller than the crop are mirrored, their mask filled with 255.
        labels: further label members to load, such as ``post_building`` or ``post_depth``; 0 outside the tile.
        transform: applied to each sample last.

    Raises:
        DatasetError: no such dataset, a shard that is missing or cut, no such split or label, size below 1. Reading a
            sample raises it too, with file and key, where a member cannot be read.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        split: str | None = None,
        size: int | None = None,
        labels: Sequence[str] = (),
        transform: Transform | None = None,
    ) -> None:
        self.root, self.split, self.size, self.transform = Path(root), split, size, transform
        self.labels = tuple(labels)
        if size is not None and size < 1:
            raise DatasetError("a crop cannot have this size", expected="1 pixel or more", found=str(size))
        if unknown := sorted(set(self.labels) - set(label_members())):
            raise DatasetError("no such label", expected=f"some of {', '.join(label_members())}", found=unknown[0])
        self.record = open_dataset(self.root)
        self.shards = _chosen(self.root, self.record.shards, split)
        self._ends = list(accumulate(len(shard.keys) for shard in self.shards))
        self._tars: dict[int, TarIndex] = {}

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> SampleDict:
        """The sample at this index; negative ones count from the end."""
        shard, key = self._locate(index)
        tar = self._tar(shard)
        path = self.root / "shards" / self.shards[shard].name
        pictures = [_picture(tar, path, key, date) for date in IMAGE_FIELDS]
        rasters = {name: _raster(tar, path, key, name, pictures[0].shape[:2]) for name in (MASK, *self.labels)}
        window = self._window(index, pictures[0].shape[:2])
        image = np.stack([_cut(picture, window, "symmetric") for picture in pictures])
        sample: SampleDict = {
            "image": torch.from_numpy(np.ascontiguousarray(image.transpose(0, 3, 1, 2))),
            "mask": _mask(rasters[MASK], window, path, key),
            "key": key,
        }
        for name in self.labels:
            sample[name] = torch.from_numpy(_cut(rasters[name], window, "constant").astype(np.int32))
        return sample if self.transform is None else self.transform(sample)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_tars": {}}  # each process maps the files for itself

    @property
    def keys(self) -> list[str]:
        """Names of all samples, in the order of their indices."""
        return [key for shard in self.shards for key in shard.keys]

    def grade_pixels(self) -> list[int]:
        """Pixels of each Joint Damage Scale grade, by the samples' records: of all, or of 2,000 spread evenly."""
        total = [0] * GRADES
        for index in np.unique(np.linspace(0, len(self) - 1, min(len(self), SURVEY)).round().astype(int)):
            shard, key = self._locate(int(index))
            tar = self._tar(shard)
            try:
                pixels = json.loads(tar.read(key, "json"))["pixels"][MASK]
                total = [count + int(pixels.get(str(1 + grade), 0)) for grade, count in enumerate(total)]
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                path = self.root / "shards" / self.shards[shard].name
                raise DatasetError(f"the record of sample '{key}' cannot be read ({error})", file=path) from error
        return total

    def _locate(self, index: int) -> tuple[int, str]:
        position = index + len(self) if index < 0 else int(index)
        if not 0 <= position < len(self):
            raise IndexError(f"sample {int(index)} of {len(self)}")
        shard = bisect_right(self._ends, position)
        return shard, self.shards[shard].keys[position - self._ends[shard]]

    def _tar(self, shard: int) -> TarIndex:
        if shard not in self._tars:
            self._tars[shard] = TarIndex(self.root / "shards" / self.shards[shard].name)
        return self._tars[shard]

    def _window(self, index: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
        """Rows and columns to cut, possibly reaching over the far edges of a small tile."""
        if self.size is None:
            return slice(0, shape[0]), slice(0, shape[1])
        spare = [max(side - self.size, 0) for side in shape[:2]]
        if isinstance(index, Draw):
            row, column = index.rng().integers(0, spare, endpoint=True)
        else:
            row, column = (side // 2 for side in spare)
        return slice(int(row), int(row) + self.size), slice(int(column), int(column) + self.size)


def _chosen(root: Path, shards: list[ShardRecord], split: str | None) -> list[ShardRecord]:
    """The shards of a split, each there and as long as its record says."""
    splits = sorted({_split(shard) for shard in shards})
    chosen = [shard for shard in shards if split is None or _split(shard) == split]
    if not chosen:
        what = "the dataset is empty" if split is None else f"no sample in split '{split}'"
        raise DatasetError(what, file=root, expected=f"one of the splits {', '.join(splits)}" if splits else None)
    for shard in chosen:
        path = root / "shards" / shard.name
        if not path.is_file():
            raise DatasetError("a shard is missing; `mage verify` tells what else is", file=path)
        if path.stat().st_size != shard.bytes:
            raise DatasetError(
                "a shard is cut or was changed", file=path, expected=f"{shard.bytes} bytes", found=str(path.stat().st_size)
            )
    return chosen


def _split(shard: ShardRecord) -> str:
    return shard.name.rpartition("-")[0]


def _decode(tar: TarIndex, path: Path, key: str, name: str) -> NDArray[Any]:
    try:
        return decode_png(tar.read(key, f"{name}.png"))
    except DatasetError as error:
        raise DatasetError(f"'{name}' of sample '{key}' cannot be read: {error}", file=path) from error


def _picture(tar: TarIndex, path: Path, key: str, date: str) -> NDArray[np.uint8]:
    picture = _decode(tar, path, key, date)
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise DatasetError(
            f"'{date}' of sample '{key}' is no RGB image", file=path, found=f"{picture.dtype} {picture.shape}"
        )
    return picture


def _raster(tar: TarIndex, path: Path, key: str, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    raster = _decode(tar, path, key, name)
    if raster.shape != shape:
        raise DatasetError(
            f"'{name}' of sample '{key}' is not as large as its image",
            file=path,
            expected=str(shape),
            found=str(raster.shape),
        )
    return raster


def _mask(raster: NDArray[Any], window: tuple[slice, slice], path: Path, key: str) -> Tensor:
    if raster.max() > GRADES:
        raise DatasetError(f"'{MASK}' of sample '{key}'", file=path, expected="0-4", found=str(raster.max()))
    return torch.from_numpy(_cut(raster, window, "constant", IGNORE).astype(np.uint8))


def _cut(raster: NDArray[Any], window: tuple[slice, slice], mode: Any, fill: int = 0) -> NDArray[Any]:
    """The window of a raster (H, W, ...), mirrored or filled where it reaches over the far edges."""
    part = raster[window]
    missing = [(0, cut.stop - cut.start - side) for cut, side in zip(window, part.shape, strict=False)]
    if not any(after for _, after in missing):
        return part
    missing += [(0, 0)] * (raster.ndim - 2)
    return np.pad(part, missing, mode=mode, **({"constant_values": fill} if mode == "constant" else {}))
