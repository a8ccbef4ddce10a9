"""Labelled sets by the names that people type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mage.learning.names import SetName, Theme
from mage.learning.real.bright import BRIGHT
from mage.learning.real.drone_floods import FloodNet, RescueNet
from mage.learning.real.ida_bd import IdaBD
from mage.learning.real.labelled_folder import LabelledFolder
from mage.learning.real.levir_cd import LevirCD
from mage.learning.real.scenes import LabelledScenes
from mage.learning.real.sen1floods11 import Sen1Floods11
from mage.learning.real.xbd import XBD
from mage.learning.shards import ShardDataset
from mage.learning.single import ThemeImage
from mage.scenes.dataset.index import MANIFEST
from mage.scenes.errors import DatasetError

RGB = (4, 3, 2)  # bands of Sentinel-2
OTHERS = (
    "what `mage generate` wrote; `--set folder` reads a folder of masks/ and images/, or of masks/, pre/ and post/, "
    "and `--set xbd` and so on a published set"
)


def open_set(
    kind: SetName, root: str | Path, *, split: str | None = None, size: int | None = None, labels: Sequence[str] = ()
) -> LabelledScenes | ShardDataset:
    """A labelled set by its name.

    Args:
        kind: which, and how its masks are read.
        root: its folder.
        split: as of the set's class; None takes all.
        size: side of the square crops to train with, pixels; None gives whole images, as scores want them.
        labels: further ones to load; of ``mage`` alone.

    Raises:
        DatasetError: as of the set's class; a split of a set that has none.
        MissingExtraError: GeoTIFFs, and rasterio is not installed.

    >>> len(open_set(SetName.MAGE, root)), open_set(SetName.MAGE_WATER, root)[0]["image"].shape  # a dataset's folder
    (6, torch.Size([3, 64, 64]))
    """
    if split is not None and kind in (SetName.IDA_BD, SetName.FOLDER):
        raise DatasetError(f"'{kind}' has no splits", file=root, found=split)
    if kind is SetName.MAGE and Path(root).is_dir() and not (Path(root) / MANIFEST).is_file():
        raise DatasetError(f"not a dataset: no {MANIFEST} (generation did not finish?)", file=root, expected=OTHERS)
    match kind:
        case SetName.MAGE:
            return ShardDataset(root, split=split, size=size, labels=labels)
        case SetName.MAGE_BUILDINGS | SetName.MAGE_WATER | SetName.MAGE_ROADS:
            theme = Theme(kind.removeprefix("mage-"))
            return ShardDataset(root, split=split, size=size, labels=theme.wants, transform=ThemeImage(theme))
        case SetName.XBD:
            return XBD(root, split=split, size=size)
        case SetName.IDA_BD:
            return IdaBD(root, size=size)
        case SetName.BRIGHT:
            return BRIGHT(root, split=split, size=size)
        case SetName.LEVIR_CD:
            return LevirCD(root, split=split, size=size)
        case SetName.SEN1FLOODS11:
            return Sen1Floods11(root, split=split, size=size)
        case SetName.SEN1FLOODS11_RGB:
            return Sen1Floods11(root, split=split, size=size, bands=RGB)
        case SetName.SEN1FLOODS11_RADAR:
            return Sen1Floods11(root, split=split, size=size, radar=True)
        case SetName.FLOODNET:
            return FloodNet(root, split=split, size=size)
        case SetName.FLOODNET_WATER:
            return FloodNet(root, split=split, size=size, taxonomy=FloodNet.WATER)
        case SetName.FLOODNET_CLASSES:
            return FloodNet(root, split=split, size=size, taxonomy=FloodNet.CLASSES)
        case SetName.RESCUENET:
            return RescueNet(root, split=split, size=size)
        case SetName.RESCUENET_ROADS:
            return RescueNet(root, split=split, size=size, taxonomy=RescueNet.ROADS)
        case SetName.RESCUENET_CLASSES:
            return RescueNet(root, split=split, size=size, taxonomy=RescueNet.CLASSES)
        case SetName.FOLDER:
            return LabelledFolder(root, size=size)
