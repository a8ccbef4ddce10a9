"""What a run notes about the samples that it learned from, and how many of a dataset's are among these."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset, Subset

from mage.learning.adapt.rare import RareClasses
from mage.learning.pictures import PictureFolder, PicturePairs
from mage.learning.real.scenes import LabelledScenes
from mage.learning.runs import TrainedOn
from mage.learning.shards import ShardDataset
from mage.learning.splits import Part
from mage.learning.translate.translator import Translated
from mage.scenes.errors import DatasetError

BLOCK = 1 << 12  # bytes of a file that are looked at in three places: whole sets would take minutes to read


def origin(dataset: Dataset[dict[str, Any]], among: Sequence[int] | None = None) -> TrainedOn:
    """What a run notes about the samples of a dataset, or about those with the indices ``among``.

    Parts are noted as what they are parts of, and translated samples as those that they were made of, since their
    labels are the same. Of images in files a digest is noted, so that they are known again in another folder, by
    another name, or with their labels.

    Raises:
        DatasetError: there is no sample, or a file cannot be read.
    """
    if isinstance(dataset, RareClasses | Translated):
        return origin(dataset.dataset, among)
    if isinstance(dataset, Part | Subset):
        inner = list(dataset.indices)
        return origin(dataset.dataset, inner if among is None else [inner[index] for index in among])
    indices = range(length(dataset)) if among is None else among
    if isinstance(dataset, ShardDataset):
        return _of_shards(dataset, indices)
    if isinstance(dataset, LabelledScenes | PictureFolder | PicturePairs):
        return _of_files(dataset, indices)
    return TrainedOn(name=type(dataset).__name__, samples=len(indices))


def length(dataset: Dataset[dict[str, Any]]) -> int:
    """Number of samples; DatasetError if there is none."""
    samples = len(dataset)  # type: ignore[arg-type]  # map-style ones have a length
    if samples < 1:
        raise DatasetError("the dataset is empty")
    return samples


def seen_again(before: TrainedOn, now: TrainedOn) -> int:
    """How many of the samples ``now`` are among those ``before``: of datasets of ours by their recipe, seed and keys,
    of files by their digests. Nothing is known of datasets of another kind.

    >>> before = TrainedOn(name="IdaBD", samples=2, keys=["1-3", "1-4"], digests=["5e", "0c"])
    >>> seen_again(before, TrainedOn(name="LabelledFolder", samples=2, keys=["a", "b"], digests=["0c", "77"]))
    1
    """
    if now.digests:
        seen = set(before.digests)
        return sum(digest in seen for digest in now.digests)
    same = now.recipe_hash is not None and (now.recipe_hash, now.seed) == (before.recipe_hash, before.seed)
    return len(set(before.keys) & set(now.keys)) if same else 0


def _of_shards(dataset: ShardDataset, indices: Sequence[int]) -> TrainedOn:
    record, keys = dataset.record, dataset.keys
    return TrainedOn(
        name=record.name,
        recipe_hash=record.recipe_hash,
        seed=record.seed,
        split=dataset.split,
        size=dataset.size,
        gsd=dataset.gsd,
        samples=len(indices),
        keys=[keys[index] for index in indices],
    )


def _of_files(dataset: LabelledScenes | PictureFolder | PicturePairs, indices: Sequence[int]) -> TrainedOn:
    keys = dataset.keys
    return TrainedOn(
        name=type(dataset).__name__,
        size=dataset.size,
        samples=len(indices),
        keys=[keys[index] for index in indices],
        digests=[_digest(dataset.files[index]) for index in indices],
    )


def _digest(files: Sequence[Path]) -> str:
    """Of the lengths of files, and of what is at their beginning, in the middle and at the end."""
    digest = hashlib.sha256()
    for path in files:
        try:
            with path.open("rb") as file:
                size = file.seek(0, 2)
                digest.update(size.to_bytes(8, "big"))
                for place in (0, size // 2, max(0, size - BLOCK)):
                    file.seek(place)
                    digest.update(file.read(BLOCK))
        except OSError as error:
            raise DatasetError(f"cannot be read: {error.strerror}", file=path) from None
    return digest.hexdigest()[:16]
