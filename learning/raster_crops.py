"""Unlabelled imagery out of rasters of any size: crops of one raster each, or of a pair before and after."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mage.learning.crops import Window, checked_size, cut
from mage.learning.rasters import Raster, is_url, percentiles, to_uint8
from mage.learning.sampling import Draw
from mage.scenes.errors import DatasetError

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
TRIES = 16  # windows drawn blindly, and then around pixels that are data, before a raster is given up
COARSE = 512  # side of the small version that tells where data is
DATE = re.compile(r"(^|[_-])(pre|post)(?=[_-]|$)")
Place = str | Path


class _Crops(Dataset[dict[str, Any]]):
    """Crops of scenes, each of as many rasters on one grid as there are dates."""

    def __init__(
        self,
        scenes: Sequence[tuple[Place, ...]],
        size: int,
        bands: Sequence[int] | None,
        limits: tuple[float, float] | None,
        valid: float,
    ) -> None:
        checked_size(size)
        if not 0 < valid <= 1:
            raise DatasetError("no share of a crop", expected="above 0, at most 1", found=str(valid))
        if not scenes:
            raise DatasetError("there is no raster", expected="a file, a folder with some, or a URL")
        self.size, self.valid = size, valid
        self._scenes = [tuple(Raster(place) for place in places) for places in scenes]
        for scene in self._scenes:
            _check_one_grid(scene)
        rasters = [raster for scene in self._scenes for raster in scene]
        self.bands = tuple(bands or rasters[0].layout.pictured)
        for raster in rasters:
            _check_bands(raster, self.bands, bands is None)
        self._limits = {raster.place: _limits(raster, self.bands, limits) for raster in rasters}
        self._cells = [tuple(max(side // size, 1) for side in scene[0].layout.shape) for scene in self._scenes]
        self._ends = list(accumulate(rows * columns for rows, columns in self._cells))
        self._data: dict[int, NDArray[np.bool_]] = {}

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The crop at this index."""
        position = index + len(self) if index < 0 else int(index)
        if not 0 <= position < len(self):
            raise IndexError(f"crop {int(index)} of {len(self)}")
        number = bisect_right(self._ends, position)
        scene, cell = self._scenes[number], position - ([0, *self._ends][number])
        for window in self._windows(number, cell, index):
            parts = [self._read(raster, window) for raster in scene]
            if np.logical_and.reduce([valid for _, valid in parts]).mean() >= self.valid:
                image = np.stack([picture for picture, _ in parts])
                key = f"{scene[0].place}@{window[0].start},{window[1].start}"
                return {"image": torch.from_numpy(image if len(scene) > 1 else image[0]), "key": key}
        raise DatasetError(f"no crop of {self.size} px was found that is data to {self.valid:.0%}", file=scene[0].place)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_data": {}}

    def _windows(self, number: int, cell: int, index: int) -> Iterator[Window]:
        """Windows to try, in turn: a plain index's own cell, then drawn ones, then some drawn around data."""
        shape = self._scenes[number][0].layout.shape
        if isinstance(index, Draw):
            rng = index.rng()
        else:
            rng = np.random.default_rng(int(index) % len(self))
            yield self._at(np.array(divmod(cell, self._cells[number][1])) * self.size, shape)
        for _ in range(TRIES):
            yield self._at(rng.integers(0, [max(side - self.size, 0) for side in shape], endpoint=True), shape)
        places = np.argwhere(self._coarse(number))
        scale = np.array(shape) / self._coarse(number).shape
        for _ in range(TRIES if len(places) else 0):
            pixel = (places[rng.integers(len(places))] + rng.random(2)) * scale
            yield self._at(pixel.astype(int) - self.size // 2, shape)

    def _at(self, corner: Any, shape: tuple[int, int]) -> Window:
        """The window whose north-west corner is there, moved into the raster."""
        starts = [int(np.clip(at, 0, max(side - self.size, 0))) for at, side in zip(corner, shape, strict=True)]
        ends = (min(start + self.size, side) for start, side in zip(starts, shape, strict=True))
        rows, columns = (slice(start, end) for start, end in zip(starts, ends, strict=True))
        return rows, columns

    def _coarse(self, number: int) -> NDArray[np.bool_]:
        """Where a scene is data at all dates, in few pixels."""
        if number not in self._data:
            valid = [raster.whole(self.bands, COARSE)[1] for raster in self._scenes[number]]
            self._data[number] = np.logical_and.reduce(valid)
        return self._data[number]

    def _read(self, raster: Raster, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        values, valid = raster.read(window, self.bands)
        limits = self._limits[raster.place]
        picture = values if limits is None else to_uint8(values, limits)
        picture = np.where(valid, picture, 0).astype(np.uint8)
        crop = slice(0, self.size), slice(0, self.size)
        return np.ascontiguousarray(cut(picture.transpose(1, 2, 0), crop, "symmetric").transpose(2, 0, 1)), valid


class RasterCrops(_Crops):
    """Crops of rasters, which are read window by window: samples with ``image``, uint8 (C, size, size), and ``key``.

    There are as many samples as crops fit side by side into each raster. An index from
    :class:`~mage.learning.EpochSampler` stands for a crop anywhere in its raster, drawn anew in each epoch; a plain int
    for the crop at that place of the grid. A crop of which less than the share ``valid`` is data is not used: another
    is drawn in its place. Pixels without data are 0. Rasters smaller than the crop are mirrored at their far edges.

    Values of 8 bits stay as they are. Others become 0-255 between two limits: by default the 2nd and 98th percentile of
    each raster and band, see :func:`~mage.learning.rasters.percentiles`.

    Args:
        rasters: a folder with GeoTIFF, PNG or JPEG files in it or below, a file, a URL, or a sequence of files and
            URLs. An http or https URL of a Cloud Optimised GeoTIFF is read over the network, by parts.
        size: side of a crop in pixels.
        bands: their numbers from 1; None takes those of the first raster without alpha.
        limits: values that become 0 and 255, instead of the percentiles.
        valid: least share of a crop that is data.

    Raises:
        DatasetError: no raster, one that cannot be read, too few bands; on reading, a damaged part, or a raster in
            which no crop with data was found in 32 draws.
        MissingExtraError: rasterio is not installed.

    >>> import tempfile, cv2, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = cv2.imwrite(f"{folder}/city.png", np.full((40, 70, 3), 90, np.uint8))
    ...     crops = RasterCrops(folder, size=32)
    ...     len(crops), crops[0]["image"].shape
    (2, torch.Size([3, 32, 32]))
    """

    def __init__(
        self,
        rasters: Place | Sequence[Place],
        *,
        size: int,
        bands: Sequence[int] | None = None,
        limits: tuple[float, float] | None = None,
        valid: float = 0.75,
    ) -> None:
        super().__init__([(place,) for place in places_of(rasters)], size, bands, limits, valid)


class RasterPairs(_Crops):
    """Crops of rasters before and after, the same window of both: samples with ``image``, uint8 (2, C, size, size), and
    ``key``. An unlabelled stream for a siamese network; else as :class:`RasterCrops`.

    Rasters of a pair have the same shape, CRS and position; a crop is data where both are. Limits are of each raster,
    or given.

    Args:
        pre: as ``rasters`` of :class:`RasterCrops`.
        post: as many, in the same order. Of two folders the files of the same name belong together, where ``pre`` and
            ``post`` as a word of the name do not count.
        size: as of :class:`RasterCrops`, and so are ``bands``, ``limits`` and ``valid``.

    Raises:
        DatasetError: as of :class:`RasterCrops`; a raster without a partner, or a pair that is not on one grid.
        MissingExtraError: rasterio is not installed.

    >>> import tempfile, cv2, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for date in ("pre", "post"):
    ...         done = cv2.imwrite(f"{folder}/{date}.png", np.full((32, 32, 3), 90, np.uint8))
    ...     RasterPairs(f"{folder}/pre.png", f"{folder}/post.png", size=16)[0]["image"].shape
    torch.Size([2, 3, 16, 16])
    """

    def __init__(
        self,
        pre: Place | Sequence[Place],
        post: Place | Sequence[Place],
        *,
        size: int,
        bands: Sequence[int] | None = None,
        limits: tuple[float, float] | None = None,
        valid: float = 0.75,
    ) -> None:
        before, after = places_of(pre), places_of(post)
        if isinstance(pre, str | Path) and isinstance(post, str | Path) and not is_url(pre) and Path(pre).is_dir():
            after = _partners(before, after, Path(pre), Path(post))
        if len(before) != len(after):
            raise DatasetError("no pairs", expected=f"{len(before)} rasters after", found=str(len(after)))
        super().__init__(list(zip(before, after, strict=True)), size, bands, limits, valid)


def places_of(rasters: Place | Sequence[Place]) -> list[Place]:
    """The files and URLs that a folder, a file, a URL or a sequence of files and URLs stands for, in order.

    Raises:
        DatasetError: nothing there, or a folder without a raster.
    """
    if not isinstance(rasters, str | Path):
        return list(rasters)
    if is_url(rasters) or Path(rasters).is_file():
        return [rasters]
    folder = Path(rasters)
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise DatasetError("holds no rasters", file=folder, expected="GeoTIFF, PNG or JPEG files, or a URL")
    return list(found)


def undated(name: str) -> str:
    """A file's name without its suffix, and without ``pre`` or ``post`` as a word of it."""
    return DATE.sub("", Path(name).with_suffix("").as_posix())


def _partners(before: list[Place], after: list[Place], pre: Path, post: Path) -> list[Place]:
    by_name = {undated(Path(place).relative_to(post).as_posix()): place for place in after}
    names = [undated(Path(place).relative_to(pre).as_posix()) for place in before]
    if odd := sorted(set(names) ^ set(by_name)):
        raise DatasetError("has no partner in the other folder", file=f"{pre}, {post}", found=odd[0])
    return [by_name[name] for name in names]


def _check_one_grid(scene: tuple[Raster, ...]) -> None:
    first = scene[0].layout
    for raster in scene[1:]:
        layout = raster.layout
        near = np.allclose(layout.transform, first.transform, rtol=0, atol=abs(first.transform[0]) / 2)
        if layout.shape != first.shape or layout.crs != first.crs or not near:
            said = [f"{of.shape}, {of.crs}, corner {of.transform[2]:g}, {of.transform[5]:g}" for of in (first, layout)]
            raise DatasetError(
                "not on the grid of the raster before", file=raster.place, expected=said[0], found=said[1]
            )


def _check_bands(raster: Raster, bands: tuple[int, ...], all_of_them: bool) -> None:
    there = raster.layout.bands
    if not bands or any(not 1 <= band <= there for band in bands):
        raise DatasetError("has no such band", file=raster.place, expected=f"1-{there}", found=str(bands))
    if all_of_them and len(raster.layout.pictured) != len(bands):
        found = str(len(raster.layout.pictured))
        raise DatasetError(
            "differs in bands from the first raster; name some",
            file=raster.place,
            expected=str(len(bands)),
            found=found,
        )


def _limits(raster: Raster, bands: tuple[int, ...], limits: tuple[float, float] | None) -> NDArray[np.float64] | None:
    """Of each band (bands, 2); None where values are 0-255 as they are."""
    if limits is not None:
        if not (np.isfinite(limits).all() and limits[0] < limits[1]):
            raise DatasetError("no limits", expected="two numbers, the first below the second", found=str(limits))
        return np.tile(np.array(limits, np.float64), (len(bands), 1))
    return None if raster.layout.dtype == "uint8" else percentiles(raster, bands)
