"""Maps of a whole scene as cloud-optimised GeoTIFFs, written strip by strip, so that an interrupted run goes on.

Probabilities are kept as bytes in steps of 1/250, which is finer than any model is calibrated; 255 is not known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.shutil import copy
from rasterio.windows import Window as Rectangle
from tqdm import tqdm

from mage.learning.mapping.picture import Picture, Window
from mage.learning.mapping.stream import OVERLAP, WINDOW, Forward, stream, strips_of
from mage.learning.predict import classify
from mage.learning.runs import publish
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

STEPS, UNKNOWN = 250, 255  # a probability of 1, and what is not known
BLOCK = 512  # pixels: tiles of the files
Bytes = NDArray[np.uint8]
Chance = Callable[[Window], NDArray[np.float32]]
"""From a window of the grid to what is there, (rows, columns), 0 to 1; NaN where not known."""


def to_bytes(probabilities: NDArray[np.float32]) -> Bytes:
    """Probabilities as bytes: 0 to 250, NaN as 255."""
    steps = probabilities * np.float32(STEPS)
    np.clip(np.rint(steps, out=steps), 0, STEPS, out=steps)
    return np.nan_to_num(steps, copy=False, nan=UNKNOWN).astype(np.uint8)


def from_bytes(values: Bytes) -> NDArray[np.float32]:
    """The inverse of :func:`to_bytes`, to 1/500.

    >>> from_bytes(to_bytes(np.array([0, 0.5, 1, np.nan], np.float32))).tolist()
    [0.0, 0.5, 1.0, nan]
    """
    return np.where(values == UNKNOWN, np.nan, values / np.float32(STEPS)).astype(np.float32)


def write_probabilities(
    path: Path,
    forward: Forward,
    pictures: Sequence[Picture],
    names: Sequence[str],
    identity: Mapping[str, Any],
    *,
    window: int = WINDOW,
    overlap: int = OVERLAP,
    stride: int = 1,
    progress: bool = False,
) -> Path:
    """A model's maps of a scene as a cloud-optimised GeoTIFF with a band for each, see :func:`from_bytes`.

    Strips are kept beside it, in a folder named ``PATH.parts``, until the file is whole: a run that was interrupted
    goes on after the last of them if ``identity`` and the windows are those of before, and begins anew if not.

    Args:
        path: of the file; its folder is there.
        forward: from images to as many maps as there are names.
        pictures: one for each date, on one grid.
        names: of the maps, stored as the bands' descriptions.
        identity: what the maps depend on, in JSON types: the images' and the model's checksums.
        window: as of :func:`~mage.learning.mapping.stream.stream`.
        overlap: the same.
        stride: the same.
        progress: whether to show a bar.

    Raises:
        DatasetError: the file cannot be written, or as of ``stream``.
    """
    grid = pictures[0].grid
    parts = path.with_name(f"{path.name}.parts")
    begun = _begin(parts, {**identity, "window": window, "overlap": overlap, "stride": stride, "names": list(names)})
    strips = strips_of(grid, window, overlap, stride)
    with tqdm(total=len(strips), initial=begun, unit="strip", desc=path.stem, disable=not progress) as bar:
        windows = {"window": window, "overlap": overlap, "stride": stride}
        for number, strip in enumerate(stream(forward, pictures, first=begun, **windows), begun):
            publish(parts / f"{number:06d}.bin", to_bytes(strip.maps).tobytes())
            bar.update()

    def fill(file: rasterio.io.DatasetWriter) -> None:
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
        for number, rows in enumerate(strips):
            shape = (len(names), rows.stop - rows.start, grid.columns)
            values = np.frombuffer((parts / f"{number:06d}.bin").read_bytes(), np.uint8).reshape(shape)
            file.write(values, window=Rectangle(0, rows.start, grid.columns, shape[1]))

    write_cog(path, grid, len(names), "uint8", UNKNOWN, fill)
    _drop(parts)
    return path


def write_classes(path: Path, probabilities: Path, grid: Grid, grades: int, *, threshold: float = 0.5) -> Path:
    """The map that people look at: 0 background, then the grades from 1, 255 not known; a cloud-optimised GeoTIFF of
    bytes with a colour for each.

    Args:
        path: of the file.
        probabilities: as :func:`write_probabilities` writes them: no building, then a building of each grade.
        grid: of both.
        grades: their number.
        threshold: probability of a building from which a pixel gets a grade.

    Raises:
        DatasetError: it cannot be written.
    """

    def fill(file: rasterio.io.DatasetWriter) -> None:
        file.write_colormap(1, {0: (0, 0, 0, 0)} | {k: (*_colour(k / grades), 255) for k in range(1, 1 + grades)})
        with rasterio.open(probabilities, driver="GTiff") as likely:
            for top in range(0, grid.rows, BLOCK):
                part = Rectangle(0, top, grid.columns, min(BLOCK, grid.rows - top))
                values = from_bytes(likely.read(list(range(1, 2 + grades)), window=part))
                known = np.isfinite(values).all(axis=0)
                file.write(np.where(known, classify(np.nan_to_num(values), threshold), UNKNOWN), 1, window=part)

    write_cog(path, grid, 1, "uint8", UNKNOWN, fill)
    return path


def _colour(share: float) -> tuple[int, int, int]:
    """From green over yellow to red."""
    return round(255 * min(1, 2 * share)), round(255 * min(1, 2 - 2 * share)), 0


def write_cog(
    path: Path, grid: Grid, bands: int, dtype: str, nodata: float, fill: Callable[[rasterio.io.DatasetWriter], None]
) -> None:
    """A cloud-optimised GeoTIFF, whole or not at all, of what ``fill`` writes into it window by window.

    Raises:
        DatasetError: it cannot be written.
    """
    aside = path.with_name(f".{path.name}.tif")
    options = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate", "bigtiff": "if_safer"}
    shape = {"width": grid.columns, "height": grid.rows, "count": bands, "dtype": dtype, "nodata": nodata}
    place = {"crs": grid.crs, "transform": rasterio.Affine(*grid.transform)}
    try:
        with rasterio.open(aside, "w", driver="GTiff", **shape, **place, **options) as file:
            fill(file)
        ready = path.with_name(f".{path.name}.cog.tif")
        copy(
            aside,
            ready,
            driver="COG",
            compress="deflate",
            blocksize=BLOCK,
            resampling="nearest",
            overview_resampling="nearest",
        )
        ready.replace(path)
    except (OSError, rasterio.errors.RasterioError) as error:
        raise DatasetError(f"the raster cannot be written ({error})", file=path) from error
    finally:
        aside.unlink(missing_ok=True)
        path.with_name(f".{path.name}.cog.tif").unlink(missing_ok=True)


def read_map(path: Path, name: str, grid: Grid) -> Chance | None:
    """What a map of this name says, window by window; None where the file has none.

    Args:
        path: as :func:`write_probabilities` writes it.
        name: of the map.
        grid: of the scene.

    Raises:
        DatasetError: the file cannot be read, or its map is of another scene.
    """
    try:
        with rasterio.open(path, driver="GTiff") as file:
            names, shape = list(file.descriptions), file.shape
    except rasterio.errors.RasterioError as error:
        raise DatasetError("the map cannot be read", file=path, found=str(error)[:160]) from None
    if name not in names:
        return None
    if shape != grid.shape:
        raise DatasetError("the map is not of this scene", file=path, expected=f"{grid.shape}", found=f"{shape}")

    def chance(window: Window) -> NDArray[np.float32]:
        with rasterio.open(path, driver="GTiff") as file:
            return from_bytes(file.read(names.index(name) + 1, window=rectangle(window)))

    return chance


def rectangle(window: Window) -> Rectangle:
    """A window in the words of rasterio."""
    rows, columns = window
    return Rectangle(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)


def blocks(path: Path) -> Iterator[tuple[tuple[slice, slice], Bytes]]:
    """All of a raster of bytes in windows of whole tiles, (bands, rows, columns) each, row by row."""
    with rasterio.open(path, driver="GTiff") as file:
        for _, part in file.block_windows(1):
            rows, columns = (
                slice(start, start + side) for start, side in ((part.row_off, part.height), (part.col_off, part.width))
            )
            yield (rows, columns), file.read(window=part)


def _begin(parts: Path, identity: Mapping[str, Any]) -> int:
    """How many strips of a run like this one are there; a folder of another run is emptied."""
    text = json.dumps(identity, sort_keys=True)
    note = parts / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    if not note.is_file():
        if parts.exists():
            _drop(parts)
        parts.mkdir(parents=True)
        publish(note, text.encode())
    number = 0
    while (parts / f"{number:06d}.bin").is_file():
        number += 1
    return number


def _drop(parts: Path) -> None:
    for file in parts.iterdir():
        file.unlink()
    parts.rmdir()
