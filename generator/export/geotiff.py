"""Cloud-optimised GeoTIFFs: each raster of a sample with its place, unit, colours and meaning.

``SPLIT/KEY/pre.tif``, ``post.tif``, ``pre_class.tif`` …, and the bands of a further sensor that share a pixel size
together as ``pre_SENSOR_GSDm.tif``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from mage.generator.export.formats import Format, Labels, Output, each, entry
from mage.generator.export.tiles import Tile
from mage.generator.export.where import crs_of
from mage.scenes.dataset.fields import (
    CLASS_COLOURS,
    DAMAGE_COLOURS,
    IMAGE_FIELDS,
    SENSOR_MEMBER,
    LabelField,
    label_members,
)
from mage.scenes.dataset.index import BANDS
from mage.scenes.dataset.schema import GridRecord, ImageRecord
from mage.scenes.errors import DatasetError

BLOCK = 256  # side of a tile within the file, pixels
QUANTITIES = ("height", "depth")  # rasters that neighbours predict; the others are classes and numbers
COLOURS: dict[str, Mapping[int, tuple[int, int, int]]] = {
    "class": {int(k): colour for k, colour in CLASS_COLOURS.items()},
    "damage": dict(enumerate(DAMAGE_COLOURS)),
}
NO_DATA = {"uint8": 255, "uint16": 65535}  # values that no label and no band takes: each pixel of a sample is known

Tags = dict[str, str]


@dataclass(frozen=True, slots=True)
class Layer:
    """How a raster is written: its value for no data, names of its bands, colours by value, tags, units of its bands,
    whether overviews may average, and the factor from digital numbers to reflectance.
    """

    nodata: int | None = None
    bands: Sequence[str] = ()
    colours: Mapping[int, tuple[int, int, int]] = field(default_factory=dict)
    tags: Tags = field(default_factory=dict)
    unit: str | None = None
    smooth: bool = False
    scales: Sequence[float] = ()


def encode_geotiff(array: NDArray[Any], grid: GridRecord, layer: Layer) -> bytes:
    """A raster (bands, rows, columns) as a cloud-optimised GeoTIFF.

    Overviews halve it until it fits into one block. A local frame has its metres, and no CRS.

    Raises:
        DatasetError: GDAL refused it.
    """
    count, rows, columns = array.shape
    profile = {
        "driver": "COG",
        "count": count,
        "height": rows,
        "width": columns,
        "dtype": array.dtype.name,
        "crs": None if grid.crs is None else crs_of(grid.crs).to_wkt(),
        "transform": Affine(grid.gsd, 0, grid.west, 0, -grid.gsd, grid.north),
        "nodata": layer.nodata,
        "compress": "DEFLATE",
        "predictor": "STANDARD" if layer.smooth else "NO",
        "blocksize": BLOCK,
        "overviews": "IGNORE_EXISTING",
        "overview_count": levels(rows, columns),
        "overview_resampling": "AVERAGE" if layer.smooth else "NEAREST",
        "num_threads": 1,
    }
    try:
        with MemoryFile() as memory:
            with memory.open(**profile) as file:
                file.write(array)
                file.update_tags(**layer.tags)
                _describe(file, layer)
            return bytes(memory.read())
    except RasterioError as error:
        raise DatasetError(f"GDAL cannot write this raster: {error}") from None


def levels(rows: int, columns: int) -> int:
    """How often a raster must be halved to fit into one block."""
    return max(0, int(np.ceil(np.log2(max(rows, columns) / BLOCK))))


def _describe(file: Any, layer: Layer) -> None:
    for k, name in enumerate(layer.bands, start=1):
        file.set_band_description(k, name)
    if layer.unit:
        file.units = [layer.unit] * file.count
    if layer.scales:
        file.scales = layer.scales
    if layer.colours:
        file.write_colormap(1, {value: (*colour, 255) for value, colour in layer.colours.items()})


def write_tile(tile: Tile, _labels: Labels) -> Output:
    """All rasters of a sample."""
    record, folder = tile.record, f"{tile.pick.split}/{tile.pick.key}"
    files = {f"{folder}/{date}.tif": image_geotiff(tile, date) for date in IMAGE_FIELDS}
    for name, label in label_members(record.label_style).items():
        files[f"{folder}/{name}.tif"] = _label_geotiff(tile, name, label)
    for name, images in _stacks(record.images).items():
        files[f"{folder}/{name}.tif"] = _stack_geotiff(tile, images)
    return Output(files, [entry(tile, tile.pick.key)])


def image_geotiff(tile: Tile, date: str) -> bytes:
    """The colour image of a date."""
    pixels = np.moveaxis(tile.raster(date), -1, 0)
    return encode_geotiff(pixels, tile.record.grid, Layer(bands=BANDS, tags=tags_of(tile, date), smooth=True))


def tags_of(tile: Tile, date: str, **more: str) -> Tags:
    """What a file says of its sample and date."""
    record = tile.record
    taken = record.pre if date == "pre" else record.post
    facts = {name: getattr(record, name) for name in ("key", "split", "city", "event", "hazard")}
    facts |= taken.model_dump()
    return {f"MAGE_{name.upper()}": str(value) for name, value in facts.items()} | more


def _label_geotiff(tile: Tile, name: str, label: LabelField) -> bytes:
    layer = Layer(
        nodata=0 if label.name == "class" else NO_DATA[label.dtype],
        bands=(label.name,),
        colours=COLOURS.get(label.name, {}),
        tags=tags_of(tile, name.partition("_")[0], MAGE_MEANING=label.meaning),
        unit=label.unit,
        smooth=label.name in QUANTITIES,
    )
    return encode_geotiff(tile.raster(name)[None], tile.record.grid, layer)


def _stacks(images: Sequence[ImageRecord]) -> dict[str, list[ImageRecord]]:
    """Bands of one date, sensor and pixel size under the name of their file."""

    def _name(image: ImageRecord) -> str:
        date, sensor, _ = _parts(image)
        return f"{date}_{sensor}_{image.gsd:g}m"

    return {key: list(group) for key, group in groupby(sorted(images, key=_name), key=_name)}


def _stack_geotiff(tile: Tile, images: list[ImageRecord]) -> bytes:
    first = images[0]
    grid = tile.record.grid.model_copy(update={"rows": first.rows, "columns": first.columns, "gsd": first.gsd})
    date, sensor, _ = _parts(first)
    layer = Layer(
        nodata=None if first.bits == 8 else NO_DATA["uint16"],
        bands=[_parts(image)[2] for image in images],
        tags=tags_of(tile, date, MAGE_SENSOR=sensor),
        smooth=True,
    )
    return encode_geotiff(np.stack([tile.raster(image.member) for image in images]), grid, layer)


def _parts(image: ImageRecord) -> tuple[str, str, str]:
    """Date, sensor and band."""
    match = SENSOR_MEMBER.fullmatch(image.member)
    assert match is not None  # the record's schema says so
    return match[1], match[2], match[3]


FORMAT = Format(
    about="Cloud-optimised GeoTIFFs with CRS, no-data value, colours and tags",
    write=each(write_tile),
    notes=(
        "every pixel is known: the no-data value of class is 0, as in the dataset, that of other labels and of 16-bit "
        "bands does not occur, and 8-bit images have none, since each of their values is a colour",
        "samples of cities without a CRS have their local metres and no CRS",
    ),
)
