"""BRIGHT (Chen et al. 2025, https://arxiv.org/abs/2501.06019): optical before, radar after, buildings graded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mage.learning.real.scenes import LabelledScenes, Scene, folder
from mage.learning.real.taxonomy import DAMAGED, Taxonomy
from mage.learning.shards import Transform
from mage.learning.splits import Row
from mage.scenes.errors import DatasetError
from mage.scenes.grades import JDS_NAMES, JDS_OF_BRIGHT

LARGEST_LIST = 1 << 24


class BRIGHT(LabelledScenes):
    """BRIGHT as it is distributed: ``pre-event/EVENT_00000000_pre_disaster.tif``, ``post-event/…_post_disaster.tif``
    and ``target/…_building_damage.tif``, with the names of each split in ``SPLIT_set.txt`` where there are such lists.

    Samples are pairs of three bands: optical before; of the radar image after, which has one band, three equal ones.
    The mask is ``DAMAGE``, 1 + Joint Damage Scale grade: intact is no damage, destroyed is destroyed, and damaged is
    taken for major damage (:data:`mage.scenes.grades.JDS_OF_BRIGHT`, which says why). ``CLASSES`` keeps BRIGHT's own
    0-3; read other sets with ``transform=DAMAGED`` to have the same. The place of a scene is its event.

    Args:
        root: the folder with the three in it.
        split: train, val or test, if their lists are there; None takes all.
        taxonomy: ``BRIGHT.DAMAGE`` or ``BRIGHT.CLASSES``.
        size: side of the square crops to train with, pixels; None gives whole images, as scores want them.
        transform: applied to each sample last.

    Raises:
        DatasetError: as of :class:`~mage.learning.LabelledScenes`; no list of this split.
        MissingExtraError: rasterio is not installed.

    >>> BRIGHT.DAMAGE.values, BRIGHT.CLASSES.classes
    ({0: 0, 1: 1, 2: 3, 3: 4}, ('background', 'intact', 'damaged', 'destroyed'))
    """

    LAYOUT = "pre-event/NAME_pre_disaster.tif, post-event/NAME_post_disaster.tif and target/NAME_building_damage.tif"
    DAMAGE: ClassVar = Taxonomy(("background", *JDS_NAMES), {0: 0} | {v: 1 + g for v, g in JDS_OF_BRIGHT.items()})
    CLASSES: ClassVar = Taxonomy(DAMAGED.classes, {value: value for value in range(4)})

    def __init__(
        self,
        root: str | Path,
        *,
        split: str | None = None,
        taxonomy: Taxonomy | None = None,
        size: int | None = None,
        transform: Transform | None = None,
    ) -> None:
        scenes = list(_scenes(folder(Path(root), self.LAYOUT), split))
        super().__init__(root, scenes, taxonomy or self.DAMAGE, size=size, transform=transform)

    def image(self, path: Path) -> NDArray[Any]:
        """Three bands; one alone is repeated."""
        image = super().image(path)
        return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def _scenes(root: Path, split: str | None) -> Iterator[Scene]:
    split_of = {name: path.stem.removesuffix("_set") for path in root.glob("*_set.txt") for name in _names(path)}
    if split is not None and split not in split_of.values():
        raise DatasetError("there is no list of this split", file=root / f"{split}_set.txt")
    for post in sorted(folder(root / "post-event", BRIGHT.LAYOUT).glob("*_post_disaster.tif")):
        key = post.stem.removesuffix("_post_disaster")
        if split is not None and split_of.get(key) != split:
            continue
        event = key.rpartition("_")[0] or key
        pre, target = root / "pre-event" / f"{key}_pre_disaster.tif", root / "target" / f"{key}_building_damage.tif"
        yield Scene(Row(key, event, event, split_of.get(key)), (pre, post), target)


def _names(path: Path) -> list[str]:
    if path.stat().st_size > LARGEST_LIST:
        raise DatasetError("not a list of names", file=path, expected=f"at most {LARGEST_LIST} bytes")
    return path.read_text("utf-8", errors="replace").split()
