"""Georeferenced rasters of any size, read window by window: GeoTIFF, PNG and JPEG files, and GeoTIFFs by URL.

Files are opened with the GTiff, PNG and JPEG drivers of GDAL alone, whatever their name says, and no file beside them
counts. The network is asked only for a place that is an explicit http or https URL, and then for the parts that a
window needs (GDAL's /vsicurl). Needs rasterio, of the extra ``collect``.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mage.learning.crops import Window
from mage.scenes.errors import DatasetError, MissingExtraError

if TYPE_CHECKING:
    from rasterio import DatasetReader

AGENT = "MAGE (mage-eo; mapping from aerial imagery)"
SCHEMES = ("http://", "https://")
MAGIC = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "GTiff"),
}
LARGEST_BLOCK = 1 << 26  # pixels that must be decoded at once to have one of them
SAMPLED, SIDE = 1 << 22, 1024  # pixels up to which a raster is looked at whole; side of the small version of it
GRID, PATCH = 8, 64  # of a larger one without overviews: patches along each side, and the side of a patch

OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_CACHEMAX": 64,
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "YES",  # a cut JPEG is an error, not a grey rest
    "GDAL_HTTP_USERAGENT": AGENT,
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_TIMEOUT": 60,
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 1,
}


def is_url(place: str | Path) -> bool:
    """Whether a place is an http or https URL."""
    return str(place).lower().startswith(SCHEMES)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a raster's header says.

    Attributes:
        shape: rows and columns.
        bands: their number; ``colours`` says of each ``red``, ``green``, ``blue``, ``nir``, ``alpha``, ``gray``,
            ``undefined`` and so on.
        dtype: of the first band.
        crs: as ``EPSG:n`` or WKT, None where none is stated.
        transform: affine coefficients (a, b, c, d, e, f), as rasterio orders them.
        holed: whether it states nodata, an alpha band or a mask.
        overviews: whether it holds smaller versions of itself.
        names: the bands' descriptions, empty where there are none.
        scaling: scale and offset of each band, by which a value is multiplied and to which it is added for what it
            measures; 1 and 0 where none are stated.
    """

    shape: tuple[int, int]
    bands: int
    colours: tuple[str, ...]
    dtype: str
    crs: str | None
    transform: tuple[float, ...]
    holed: bool
    overviews: bool
    names: tuple[str, ...]
    scaling: tuple[tuple[float, float], ...]

    @property
    def pictured(self) -> tuple[int, ...]:
        """Numbers of the bands from 1, alpha left out."""
        return tuple(n for n, colour in enumerate(self.colours, 1) if colour != "alpha")


class Raster:
    """A raster to read from, opened for each window; it can be pickled and forked.

    Args:
        place: a file, or an http or https URL.

    Raises:
        DatasetError: no such file, neither GeoTIFF, PNG nor JPEG, damaged, or in blocks too large to read a window.
        MissingExtraError: rasterio is not installed.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = str(place)
        with _reading(self.place) as file:
            self.layout = _layout(file, self.place)

    def read(
        self, window: Window, bands: Sequence[int], shape: tuple[int, int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Values (bands, rows, columns) of a window that lies within the raster, and where they are data.

        Args:
            window: rows and columns.
            bands: their numbers from 1.
            shape: rows and columns to resample to, nearest neighbour; None keeps the window's.

        Raises:
            DatasetError: a damaged part, or no answer from the network.
        """
        with _reading(self.place) as file:
            at = _rasterio_window(window)
            out = None if shape is None else (len(bands), *shape)
            values = file.read(list(bands), window=at, out_shape=out)
            if self.layout.holed:
                valid = file.dataset_mask(window=at, out_shape=shape) > 0
            else:
                valid = np.ones(values.shape[1:], bool)
        if values.dtype.kind == "f":
            valid &= np.isfinite(values).all(axis=0)
        return values, valid

    def whole(self, bands: Sequence[int], side: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """The raster in at most ``side`` pixels along each side; as :meth:`read`."""
        rows, columns = self.layout.shape
        return self.read((slice(0, rows), slice(0, columns)), bands, (min(rows, side), min(columns, side)))


def percentiles(raster: Raster, bands: Sequence[int], low: float = 2, high: float = 98) -> NDArray[np.float64]:
    """The values (bands, 2) of these percentiles of each band's data, different from each other.

    They are of a small version of the raster (1024 px a side) where it is of at most 4 Mpx or has overviews, else of 64
    patches of 64 px on a regular grid, so that no raster is read whole.

    Raises:
        DatasetError: no data was found.
    """
    if raster.layout.overviews or np.prod(raster.layout.shape) <= SAMPLED:
        parts = [raster.whole(bands, SIDE)]
    else:
        parts = [raster.read(window, bands) for window in _patches(raster.layout.shape)]
    values = np.concatenate([part[:, valid] for part, valid in parts], axis=1)
    if not values.size:
        raise DatasetError("holds no data, or none where it was looked for", file=raster.place)
    limits = np.percentile(values.astype(np.float64), (low, high), axis=1).T
    limits[:, 1] = np.where(limits[:, 1] > limits[:, 0], limits[:, 1], limits[:, 0] + 1)
    return limits


def to_uint8(values: NDArray[Any], limits: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Values (bands, ...) with the first of each band's ``limits`` (bands, 2) as 0 and the second as 255, clipped."""
    low, high = (limits[:, k].reshape(-1, *[1] * (values.ndim - 1)).astype(np.float32) for k in (0, 1))
    scaled = (np.nan_to_num(values.astype(np.float32)) - low) * (255 / (high - low))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def _patches(shape: tuple[int, int]) -> Iterator[Window]:
    rows, columns = (np.linspace(0, max(side - PATCH, 0), GRID).astype(int) for side in shape)
    for row in rows:
        for column in columns:
            yield slice(row, min(row + PATCH, shape[0])), slice(column, min(column + PATCH, shape[1]))


def _rasterio_window(window: Window) -> Any:
    from rasterio.windows import Window as Rectangle

    rows, columns = window
    return Rectangle(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)


@contextmanager
def _reading(place: str) -> Iterator[DatasetReader]:
    """The raster, open for as long as it is read: GDAL as it is to read here, its errors as ours.

    A file that stays open could not be shared with forked processes, and one that failed would complain again when it
    is closed at last; what GDAL knows of a URL outlives the file.
    """
    try:
        import rasterio
        from rasterio._err import CPLE_BaseError
        from rasterio.errors import NotGeoreferencedWarning, RasterioError
    except ModuleNotFoundError:
        raise MissingExtraError("rasterio", "collect") from None
    try:
        with rasterio.Env(**OPTIONS), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with _open(place) as file:
                yield file
    except (RasterioError, CPLE_BaseError, OSError) as error:
        cause = error.__cause__ or error
        raise DatasetError("the raster cannot be read", file=place, found=" ".join(str(cause).split())) from None


def _open(place: str) -> DatasetReader:
    import rasterio

    if is_url(place):
        return rasterio.open(f"/vsicurl/{place}", driver="GTiff")
    path = Path(place).resolve()
    if not path.is_file() or path.parts[1].startswith("vsi"):
        raise DatasetError("no such raster", file=place, expected="a file, or an http or https URL")
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(-min(12, file.seek(0, os.SEEK_END)), os.SEEK_END)
        tail = file.read()
    driver = MAGIC.get(head, MAGIC.get(head[:3]))
    if driver is None:
        raise DatasetError("not a raster that is read", file=place, expected="GeoTIFF, PNG or JPEG", found=repr(head))
    if driver == "PNG" and b"IEND" not in tail:
        raise DatasetError("the PNG is cut short", file=place)  # GDAL would fill what is missing
    return rasterio.open(path, driver=driver)


def _layout(file: DatasetReader, place: str) -> Layout:
    from rasterio.enums import MaskFlags

    block = max(int(np.prod(shape, dtype=np.int64)) for shape in file.block_shapes)
    if block > LARGEST_BLOCK:
        expected = f"blocks of at most {LARGEST_BLOCK} pixels"
        raise DatasetError("cannot be read window by window", file=place, expected=expected, found=str(block))
    if np.dtype(file.dtypes[0]).kind not in "uif":
        raise DatasetError("holds no plain numbers", file=place, found=file.dtypes[0])
    return Layout(
        shape=(file.height, file.width),
        bands=file.count,
        colours=tuple(colour.name for colour in file.colorinterp),
        dtype=file.dtypes[0],
        crs=file.crs.to_string() if file.crs else None,
        transform=tuple(file.transform)[:6],
        holed=any(MaskFlags.all_valid not in flags for flags in file.mask_flag_enums),
        overviews=bool(file.overviews(1)),
        names=tuple(name or "" for name in file.descriptions),
        scaling=tuple(zip(file.scales, file.offsets, strict=True)),
    )
