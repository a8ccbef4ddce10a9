"""A folder that Hugging Face's ``datasets`` loads: Parquet with images inside, and a dataset card.

``data/SPLIT/SHARD-00000.parquet``. Images and label rasters are columns of the feature ``Image``, PNG as in the shards;
``record`` is the sample's JSON. The features are stated twice, as ``datasets`` itself does: in the card's YAML and in
the Parquet files' metadata.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from mage.generator.export.formats import Entry, Format, Labels, Output, Summary, entry, to_json
from mage.generator.export.tiles import Tile, batches
from mage.scenes.dataset.codec import encode_record
from mage.scenes.dataset.rows import COLUMNS, sample_row
from mage.scenes.dataset.schema import DatasetRecord

SAMPLES = 64  # in a file at most, which is held in memory
IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
KINDS = {pa.string(): "string", pa.int64(): "int64", pa.float64(): "float64"}
LICENCES = {"CC0-1.0": "cc0-1.0", "CC-BY-4.0": "cc-by-4.0", "ODbL-1.0": "odbl", "ODBL-1.0": "odbl"}
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def write(tiles: Iterator[Tile], _labels: Labels) -> Iterator[Output]:
    """The samples of a shard, a file for each split and each :data:`SAMPLES`."""
    for k, batch in enumerate(batches(tiles, SAMPLES)):
        for split, group in groupby(sorted(batch, key=lambda tile: tile.pick.split), key=lambda tile: tile.pick.split):
            chosen = list(group)
            name = f"data/{split}/{chosen[0].shard}-{k:05d}.parquet"
            yield Output({name: _parquet(chosen)}, [_entry(tile) for tile in chosen])


def _entry(tile: Tile) -> Entry:
    return entry(tile, tile.pick.key)


def _parquet(tiles: list[Tile]) -> bytes:
    columns: dict[str, list[Any]] = {}
    for tile in tiles:
        values: dict[str, Any] = {n: {"bytes": tile.png(n), "path": f"{tile.pick.key}.{n}.png"} for n in tile.members}
        row = sample_row(tile.record).model_dump()
        values = {n: row[n] for n in _plain()} | values | {"record": encode_record(tile.record).decode()}
        for name, value in values.items():
            columns.setdefault(name, []).append(value)
    kinds = {name: COLUMNS.get(name, pa.string() if name == "record" else IMAGE) for name in columns}
    features = {
        n: {"_type": "Image"} if k == IMAGE else {"dtype": KINDS[k], "_type": "Value"} for n, k in kinds.items()
    }
    about = {b"huggingface": to_json({"info": {"features": features}})}
    table = pa.table({n: pa.array(v, kinds[n]) for n, v in columns.items()}, schema=pa.schema(kinds, about))
    sink = io.BytesIO()
    # PNG does not shrink further, and small groups let a viewer fetch single rows
    pq.write_table(table, sink, compression="zstd", row_group_size=16)
    return sink.getvalue()


def _plain() -> list[str]:
    """Columns of the index that are taken over: all but the shard, which is another file here."""
    return [name for name in COLUMNS if name != "shard"]


def card(summary: Summary) -> str:
    """The YAML at the head of the dataset card."""
    manifest, total = summary.manifest, sum(summary.counts.values())
    names = sorted({str(source.get("licence")) for source in manifest.sources})
    licence = LICENCES.get(names[0], "other") if len(names) == 1 else "other"
    content = {
        "pretty_name": manifest.name,
        "license": licence,
        "task_categories": ["image-segmentation"],
        "tags": ["remote-sensing", "disaster", "damage-assessment", "synthetic"],
        "size_categories": [next((name for limit, name in SIZES if total < limit), "n>1M")],
        "configs": [{"config_name": "default", "data_files": [_data_files(split) for split in summary.counts]}],
        "dataset_info": {"features": _features(manifest)},
    }
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)}---\n"


def _data_files(split: str) -> dict[str, str]:
    """``datasets`` takes letters, digits and _ in the name of a split."""
    return {"split": split.replace("-", "_"), "path": f"data/{split}/*.parquet"}


def _features(manifest: DatasetRecord) -> list[dict[str, str]]:
    members = [name.removesuffix(".png") for name in manifest.fields if name.endswith(".png")]
    plain = [{"name": name, "dtype": KINDS[COLUMNS[name]]} for name in _plain()]
    return [*plain, *({"name": m, "dtype": "image"} for m in members), {"name": "record", "dtype": "string"}]


FORMAT = Format(about="Parquet with images and a dataset card for Hugging Face's datasets", write=write, card=card)
