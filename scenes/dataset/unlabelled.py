"""Datasets of real imagery without labels: tiles with where they are from, in the same shards as labelled ones.

A folder holds ``shards/``, ``samples.parquet`` and, written last, ``dataset.json`` of the format
``mage-unlabelled/1``. A sample is ``KEY.json`` and a PNG of 8 or 16 bits for each band, ``KEY.band_NAME.png``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from mage.scenes.dataset.codec import first_mistake
from mage.scenes.dataset.fields import SENSOR_NAME
from mage.scenes.dataset.index import MANIFEST, TABLE, read_table
from mage.scenes.dataset.png import encode_png
from mage.scenes.dataset.schema import Content, GridRecord, Record, ShardRecord
from mage.scenes.dataset.store import SHARDS, Store, file_sha256, open_store, publish_text, read_text
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.errors import DatasetError

FORMAT = "mage-unlabelled/1"
TEXT, WHOLE, REAL = pa.string(), pa.int64(), pa.float64()
# Columns of samples.parquet; `west`, `north` and `gsd` in units of `crs`, `cloud` in per cent, null where unknown.
COLUMNS: dict[str, pa.DataType] = {
    **dict.fromkeys(("key", "shard", "source", "collection", "item", "licence", "date"), TEXT),
    "cloud": REAL,
    "crs": TEXT,
    "west": REAL,
    "north": REAL,
    "gsd": REAL,
    "size": WHOLE,
    "valid": REAL,
}


class TileBand(Record):
    """A band of a tile: its name in members, and the bits of its files."""

    name: str = Field(pattern=rf"^{SENSOR_NAME}$")
    bits: Literal[8, 16]


class TileRecord(Record):
    """The ``.json`` member of a tile.

    ``source`` is the URL of the service, ``item`` the image's name there; ``licence`` and ``attribution`` are what the
    service, or who collected it, states. ``footprint`` is a ring in longitude and latitude. ``limits`` are, of bands of
    16 bits, the values to show as black and white; ``valid`` is the share of pixels that are data, others being 0.
    """

    key: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    source: str
    collection: str
    item: str
    licence: str
    attribution: str
    date: str | None
    cloud: float | None = Field(ge=0, le=100, description="per cent of the whole image")
    grid: GridRecord
    footprint: list[tuple[float, float]]
    bands: list[TileBand] = Field(min_length=1)
    limits: dict[str, tuple[float, float]]
    valid: float = Field(ge=0, le=1)

    @property
    def event(self) -> str:
        """What its shard is of: the collection."""
        return self.collection


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A tile in memory: its record, and uint8 or uint16 (rows, columns) by band."""

    record: TileRecord
    bands: dict[str, NDArray[Any]]


class UnlabelledRecord(Record):
    """``dataset.json`` of a dataset without labels."""

    format: str = FORMAT
    name: str
    samples: int = Field(ge=1)
    size: int = Field(ge=1)
    bands: list[str] = Field(min_length=1)
    request: Content = Field(description="what was asked for: service, area, dates, bands")
    sources: list[Content] = Field(description="each collection with its licence and attribution")
    shards: list[ShardRecord] = Field(min_length=1)
    index_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    versions: dict[str, str]


def encode_tile(tile: Tile) -> list[tuple[str, bytes]]:
    """The members of a tile, sorted by name.

    Raises:
        DatasetError: a band of another shape or depth than the record says, or a name that no band can have.
    """
    record = tile.record
    if list(tile.bands) != [band.name for band in record.bands]:
        raise DatasetError("bands are not those of the record", file=record.key, found=", ".join(tile.bands))
    files = {"json": json.dumps(record.model_dump(), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()}
    for band, (name, values) in zip(record.bands, tile.bands.items(), strict=True):
        kind = (record.grid.rows, record.grid.columns), np.dtype(f"uint{band.bits}")
        if (values.shape, values.dtype) != kind:
            raise DatasetError(
                f"band {name} does not fit", file=record.key, expected=str(kind), found=f"{values.dtype} {values.shape}"
            )
        files[f"band_{name}.png"] = encode_png(values, measured=True)
    return [(f"{record.key}.{field}", files[field]) for field in sorted(files)]


def decode_tile(data: bytes, *, file: str = "") -> TileRecord:
    """The record in a ``.json`` member; DatasetError names the first mistake."""
    try:
        return TileRecord.model_validate_json(data)
    except ValidationError as error:
        raise DatasetError(f"not the record of a tile: {first_mistake(error)}", file=file or None) from None


def band_name(text: str) -> str:
    """A name that a band's member can have, from what a service calls it."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not re.fullmatch(SENSOR_NAME, name):
        raise DatasetError("no name for a band", expected="letters or digits", found=repr(text))
    return name


def finish_unlabelled(
    root: Store | str | Path, name: str, shards: list[ShardRecord], request: dict[str, Any], versions: dict[str, str]
) -> UnlabelledRecord:
    """Index finished shards of tiles and publish what makes the folder a dataset.

    Raises:
        DatasetError: no shards, one that cannot be read, tiles of different sizes or bands.
    """
    store = open_store(root)
    rows = [(shard.name, tile) for shard in shards for tile in tiles_of(store, shard)]
    if not rows:
        raise DatasetError("a dataset needs a tile: nothing was found there", file=store.place)
    kinds = {(tile.grid.rows, tuple(band.name for band in tile.bands)) for _, tile in rows}
    if len(kinds) > 1:
        raise DatasetError("tiles differ in size or bands", file=store.place, found=str(sorted(kinds)))
    digests: list[str] = []

    def write(path: Path) -> None:
        pq.write_table(tile_table(rows), path, compression="zstd")
        digests.append(file_sha256(path))

    store.remove(MANIFEST)
    store.publish(TABLE, write)
    (size, bands), *_ = kinds
    sources = {(t.source, t.collection, t.licence, t.attribution) for _, t in rows}
    names = ("source", "name", "licence", "attribution")
    record = UnlabelledRecord(
        name=name,
        samples=len(rows),
        size=size,
        bands=list(bands),
        request=request,
        sources=[dict(zip(names, source, strict=True)) for source in sorted(sources)],
        shards=shards,
        index_sha256=digests[0],
        versions=versions,
    )
    publish_text(store, MANIFEST, record.model_dump_json(indent=1) + "\n")
    return record


def open_unlabelled(root: Store | str | Path) -> UnlabelledRecord:
    """The manifest of a dataset without labels.

    Raises:
        DatasetError: no such folder, collecting did not finish, the manifest is damaged or of another kind of dataset.
    """
    store = open_store(root)
    if MANIFEST not in store.sizes():
        store.check()
        raise DatasetError(f"not a dataset: no {MANIFEST} (collecting did not finish?)", file=store.place)
    try:
        content = json.loads(read_text(store, MANIFEST))
    except (ValueError, RecursionError):
        raise DatasetError("damaged: not JSON", file=store.where(MANIFEST)) from None
    stated = content.get("format") if isinstance(content, dict) else None
    if stated != FORMAT:
        raise DatasetError(
            "not a dataset of unlabelled imagery", file=store.where(MANIFEST), expected=FORMAT, found=repr(stated)
        )
    try:
        return UnlabelledRecord.model_validate(content)
    except ValidationError as error:
        raise DatasetError(f"damaged: {first_mistake(error)}", file=store.where(MANIFEST)) from None


def is_unlabelled(root: Store | str | Path) -> bool:
    """Whether the manifest in a folder is, or says that it is, of a dataset without labels."""
    store = open_store(root)
    if MANIFEST not in store.sizes():
        return False
    try:
        content = json.loads(read_text(store, MANIFEST))
    except (DatasetError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and str(content.get("format")).startswith(FORMAT.partition("/")[0] + "/")


def read_tiles(root: Store | str | Path, sha256: str) -> pa.Table:
    """The index of a dataset without labels, whose manifest states ``sha256``; DatasetError if it is another."""
    return read_table(open_store(root), sha256, list(COLUMNS))


def tiles_of(store: Store, shard: ShardRecord) -> list[TileRecord]:
    """Records of a shard's tiles; DatasetError if it holds others than its side file says, or one is damaged."""
    name = f"{SHARDS}/{shard.name}"
    with store.fetch(name) as path, TarIndex(path) as tar:
        if tar.keys != shard.keys:
            raise DatasetError("holds other samples than its side file says", file=store.where(name))
        return [decode_tile(tar.read(key, "json"), file=f"{store.where(name)}: {key}.json") for key in tar.keys]


def tile_table(rows: list[tuple[str, TileRecord]]) -> pa.Table:
    """The index of tiles, each beside the name of its shard."""

    def row(shard: str, tile: TileRecord) -> dict[str, Any]:
        grid = tile.grid
        said = {"shard": shard, "crs": grid.crs, "west": grid.west, "north": grid.north, "gsd": grid.gsd}
        return said | {"size": grid.columns} | {n: getattr(tile, n) for n in COLUMNS if n not in said and n != "size"}

    content = [row(shard, tile) for shard, tile in rows]
    return pa.table({name: pa.array([row[name] for row in content], kind) for name, kind in COLUMNS.items()})


def describe_unlabelled(root: Store | str | Path) -> dict[str, Any]:
    """What the manifest and index of a dataset without labels say, JSON types only.

    Raises:
        DatasetError: as of :func:`open_unlabelled` and :func:`read_tiles`.
    """
    manifest = open_unlabelled(root)
    tiles = read_tiles(root, manifest.index_sha256)

    def reach(name: str) -> list[Any]:
        """Least and most of what is known."""
        known = [value for value in tiles[name].to_pylist() if value is not None]
        return [min(known), max(known)] if known else []

    return {
        "kind": "unlabelled dataset",
        "name": manifest.name,
        "samples": manifest.samples,
        "items": len(set(tiles["item"].to_pylist())),
        "collections": sorted(set(tiles["collection"].to_pylist())),
        "size": manifest.size,
        "bands": manifest.bands,
        "gsd": reach("gsd"),
        "crs": sorted(set(tiles["crs"].to_pylist())),
        "dates": reach("date"),
        "cloud": reach("cloud"),
        "shards": len(manifest.shards),
        "bytes": sum(shard.bytes for shard in manifest.shards),
        "request": manifest.request,
        "versions": manifest.versions,
        "sources": manifest.sources,
    }
