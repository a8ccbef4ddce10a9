"""Sen1Floods11 (Bonafilia et al. 2020, https://doi.org/10.1109/CVPRW50498.2020.00113): floods, Sentinel-1 and -2."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mage.learning.pictures import LARGEST_PIXELS
from mage.learning.rasters import Raster
from mage.learning.real.scenes import LabelledScenes, Scene, folder
from mage.learning.real.taxonomy import Taxonomy
from mage.learning.shards import Transform
from mage.learning.splits import Row
from mage.scenes.errors import DatasetError
from mage.scenes.metrics import IGNORE

DATA, LISTS = "data/flood_events/HandLabeled", "splits/flood_handlabeled"
DARKEST, BRIGHTEST = -50.0, 1.0  # dB that the authors scale backscatter between
REFLECTANCE = 10_000.0  # digital numbers of Sentinel-2 per unit


class Sen1Floods11(LabelledScenes):
    """The hand-labelled chips as they are distributed: ``data/flood_events/HandLabeled/S2Hand/EVENT_ID_S2Hand.tif``,
    ``S1Hand``, ``LabelHand``, and the lists ``splits/flood_handlabeled/flood_SPLIT_data.csv``.

    Samples are of one date: ``image`` float32 (C, H, W), and ``mask`` 0 dry, 1 water, 255 where the label is -1 or the
    image has no data. Optical values are reflectance (digital numbers / 10000); backscatter (VV, VH, dB) is scaled from
    -50 to 1 dB to 0 to 1, as the authors do. The event, and the place, is the country of the name.

    Args:
        root: the folder with ``data`` and ``splits`` in it.
        radar: Sentinel-1 instead of Sentinel-2.
        split: train, valid, test or bolivia (an event that is in no other); None takes all chips.
        bands: their numbers from 1; None takes all, 13 optical or 2 of radar. (4, 3, 2) is red, green, blue.
        taxonomy: how to read the values -1, 0 and 1.
        size: side of the square crops to train with, pixels; None gives whole chips, as scores want them.
        transform: applied to each sample last.

    Raises:
        DatasetError: as of :class:`~mage.learning.LabelledScenes`; no list of this split, no such band.
        MissingExtraError: rasterio is not installed.

    >>> Sen1Floods11.WATER.values
    {-1: 255, 0: 0, 1: 1}
    """

    LAYOUT = f"{DATA}/S2Hand/NAME_S2Hand.tif (S1Hand of radar) and {DATA}/LabelHand/NAME_LabelHand.tif"
    WATER: ClassVar = Taxonomy(("dry", "water"), {-1: IGNORE, 0: 0, 1: 1})

    def __init__(
        self,
        root: str | Path,
        *,
        radar: bool = False,
        split: str | None = None,
        bands: Sequence[int] | None = None,
        taxonomy: Taxonomy | None = None,
        size: int | None = None,
        transform: Transform | None = None,
    ) -> None:
        self.radar, self.bands = radar, None if bands is None else tuple(bands)
        scenes = list(_scenes(folder(Path(root), self.LAYOUT), "S1Hand" if radar else "S2Hand", split))
        super().__init__(root, scenes, taxonomy or self.WATER, size=size, transform=transform)

    def image(self, path: Path) -> NDArray[np.float32]:
        """The chosen bands (H, W, C), scaled, NaN without data."""
        raster = Raster(path)
        (rows, columns), there = raster.layout.shape, raster.layout.bands
        if rows * columns > LARGEST_PIXELS:
            raise DatasetError("not a chip", file=path, found=f"{columns} x {rows} pixels")
        bands = self.bands or tuple(range(1, there + 1))
        if any(not 1 <= band <= there for band in bands):
            raise DatasetError("has no such band", file=path, expected=f"1-{there}", found=str(bands))
        values, valid = raster.read((slice(0, rows), slice(0, columns)), bands)
        image = values.astype(np.float32).transpose(1, 2, 0)
        image = (
            (np.clip(image, DARKEST, BRIGHTEST) - DARKEST) / (BRIGHTEST - DARKEST)
            if self.radar
            else image / REFLECTANCE
        )
        image[~valid] = np.nan
        return image.astype(np.float32)


def _scenes(root: Path, kind: str, split: str | None) -> Iterator[Scene]:
    split_of = {
        name: path.stem[len("flood_") : -len("_data")]
        for path in (root / LISTS).glob("flood_*_data.csv")
        for name in _names(path)
    }
    if split is not None and split not in split_of.values():
        raise DatasetError("there is no list of this split", file=root / LISTS / f"flood_{split}_data.csv")
    for image in sorted(folder(root / DATA / kind, Sen1Floods11.LAYOUT).glob(f"*_{kind}.tif")):
        key = image.stem.removesuffix(f"_{kind}")
        if split is None or split_of.get(key) == split:
            event = key.partition("_")[0]
            mask = root / DATA / "LabelHand" / f"{key}_LabelHand.tif"
            yield Scene(Row(key, event, event, split_of.get(key)), (image,), mask)


def _names(path: Path) -> Iterator[str]:
    """Chips of a list, whose lines are IMAGE,LABEL."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for line in csv.reader(file):
            if line:
                yield line[0].partition("_S1Hand")[0].strip()
