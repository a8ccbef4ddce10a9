"""Checking a dataset of imagery without labels: what its files state is computed again from what they hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from tqdm import tqdm

from mage.scenes.dataset.content import Notes
from mage.scenes.dataset.index import MANIFEST, TABLE
from mage.scenes.dataset.png import check_png
from mage.scenes.dataset.schema import ShardRecord
from mage.scenes.dataset.store import SHARDS, Store, file_sha256, open_store, side_name
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.dataset.unlabelled import (
    TileRecord,
    UnlabelledRecord,
    decode_tile,
    open_unlabelled,
    read_tiles,
    tile_table,
)
from mage.scenes.dataset.verify import Verification
from mage.scenes.errors import DatasetError


@dataclass(slots=True)
class _Inspection(Notes):
    """What has been seen so far: the records of all tiles that could be read, beside their shards' names."""

    store: Store = field(kw_only=True)
    manifest: UnlabelledRecord = field(kw_only=True)
    tiles: list[tuple[str, TileRecord]] = field(default_factory=list)


def verify_unlabelled(root: Store | str | Path, *, quick: bool = False, progress: bool = False) -> Verification:
    """Recompute every checksum and count of a dataset that ``mage collect`` wrote, and look at every image's checksums.

    Args:
        root: its folder or store.
        quick: open no shard: see that shards have their sizes, and that side files, index and manifest agree.
        progress: draw a progress bar on standard error, if that is a terminal.

    Raises:
        DatasetError: there is no such folder. All else that is wrong is a problem of the result.
    """
    store = open_store(root)
    store.check()
    try:
        manifest = open_unlabelled(store)
    except DatasetError as error:
        return Verification(0, 0, 0, (str(error),))
    seen = _Inspection(store=store, manifest=manifest)
    _check_names(seen)
    for shard in tqdm(manifest.shards, unit="shard", disable=None if progress else True):
        if _check_side(seen, shard) and not quick:
            _check_shard(seen, shard)
    _check_index(seen, quick)
    seen.same(MANIFEST, "the number of samples", manifest.samples, sum(shard.samples for shard in manifest.shards))
    samples = manifest.samples if quick else len(seen.tiles)
    return Verification(samples, 0, len(manifest.shards), tuple(seen.problems))


def _check_names(seen: _Inspection) -> None:
    """The folder holds the shards that the manifest lists and no other."""
    names = [shard.name for shard in seen.manifest.shards]
    if names != sorted(set(names)):
        seen.note(MANIFEST, "shards stand twice or are not in order")
    listed = {*names, *(Path(side_name(name)).name for name in names)}
    for name in sorted(seen.store.sizes(SHARDS)):
        if name not in listed and Path(name).suffix in (".tar", ".json"):
            seen.note(f"{SHARDS}/{name}", f"is not in {MANIFEST}")


def _check_side(seen: _Inspection, shard: ShardRecord) -> bool:
    """Whether the shard is there; its size and side file are as the manifest says, or it is noted."""
    file, side = f"{SHARDS}/{shard.name}", side_name(shard.name)
    size = seen.store.size(file)
    if size is None:
        seen.note(file, "is missing")
        return False
    seen.same(file, "its size", shard.bytes, size)
    try:
        if ShardRecord.model_validate_json(seen.store.read(side)) != shard:
            seen.note(side, f"says something else than {MANIFEST}")
    except (DatasetError, ValidationError) as error:
        seen.note(side, f"cannot be read: {str(error).splitlines()[0]}")
    return True


def _check_shard(seen: _Inspection, shard: ShardRecord) -> None:
    """Every byte of it, and every tile."""
    file = f"{SHARDS}/{shard.name}"
    try:
        with seen.store.fetch(file) as path, TarIndex(path) as tar:
            seen.same(file, "sha256", shard.sha256, file_sha256(path))
            seen.same(file, "the list of samples", shard.keys, tar.keys)
            for key in tar.keys:
                _check_tile(seen, shard, tar, key)
    except DatasetError as error:
        seen.problems.append(str(error))


def _check_tile(seen: _Inspection, shard: ShardRecord, tar: TarIndex, key: str) -> None:
    where = f"{SHARDS}/{shard.name}: {key}"
    try:
        record = decode_tile(tar.read(key, "json"), file=f"{where}.json")
        images = {f"band_{band.name}.png": band for band in record.bands}
        seen.same(where, "the list of its members", sorted(["json", *images]), sorted(tar.members(key)))
        for name, band in images.items():
            kind = check_png(tar.read(key, name), file=f"{where}.{name}")
            expected = (record.grid.rows, record.grid.columns), f"uint{band.bits}"
            seen.same(f"{where}.{name}", "shape or depth", expected, kind)
    except DatasetError as error:
        seen.problems.append(str(error))
        return
    seen.same(where, "the key in its record", key, record.key)
    seen.same(where, "its bands", seen.manifest.bands, [band.name for band in record.bands])
    seen.same(where, "its side", seen.manifest.size, record.grid.rows)
    seen.tiles.append((shard.name, record))


def _check_index(seen: _Inspection, quick: bool) -> None:
    try:
        table = read_tiles(seen.store, seen.manifest.index_sha256)
    except DatasetError as error:
        seen.problems.append(str(error))
        return
    keys = [key for shard in seen.manifest.shards for key in shard.keys]
    seen.same(TABLE, "the list of samples", keys, table["key"].to_pylist())
    if not quick and len(seen.tiles) == len(keys) and not table.equals(tile_table(seen.tiles)):
        seen.note(TABLE, "says something else than the tiles")
