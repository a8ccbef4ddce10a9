"""The files that make shards a dataset: ``samples.parquet``, ``recipe.yaml``, and last of all ``dataset.json``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import ValidationError

from mage.scenes.campaign import Campaign, alone, apart
from mage.scenes.dataset.codec import decode_record, first_mistake
from mage.scenes.dataset.fields import CLASS_COLOURS, LandClass, label_members
from mage.scenes.dataset.rows import COLUMNS, SideRecord, Tally, class_values, gathered
from mage.scenes.dataset.schema import FORMAT, DatasetRecord, EventRecord, SampleRecord, SensorRecord, ShardRecord
from mage.scenes.dataset.store import (
    SHARDS,
    Store,
    ahead,
    file_sha256,
    open_store,
    publish_text,
    read_side,
    read_text,
    side_name,
)
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.errors import DatasetError
from mage.scenes.recipe import Recipe

MANIFEST, TABLE, RECIPE = "dataset.json", "samples.parquet", "recipe.yaml"
BANDS = ("red", "green", "blue")
PAYS = 64 << 20  # bytes of shards from which a further process is worth its start


def finish_dataset(
    root: Store | str | Path,
    recipe: Recipe | Campaign,
    shards: list[ShardRecord],
    versions: dict[str, str],
    sources: list[dict[str, Any]],
    sensors: Sequence[SensorRecord] = (),
) -> DatasetRecord:
    """Index finished shards and publish what makes the folder a dataset.

    Args:
        root: the folder or store that holds ``shards/``.
        recipe: what was rendered: a recipe, or the campaign of several.
        shards: their records; taken in the order of their names.
        versions: of all that decides what is rendered, by name.
        sources: provenance and licence of each city file.
        sensors: those whose images the samples hold beside the RGB ones.

    Raises:
        DatasetError: no shards, a side file that cannot be read, or a shard in the folder that is not among them;
            samples of an event that differ in city, hazard, split, GSD, seed or recipe; a full disk.
    """
    store, shards = open_store(root), sorted(shards, key=lambda shard: shard.name)
    if not shards:
        raise DatasetError("a dataset needs a shard", file=store.place)
    strays = sorted({name for name in store.sizes(SHARDS) if name.endswith(".tar")} - {s.name for s in shards})
    if strays:
        raise DatasetError(
            "holds shards that are not this dataset's", file=store.where(SHARDS), found=", ".join(strays)
        )
    table, tally = _indexed(store, shards)
    digests: list[str] = []

    def _write(path: Path) -> None:
        pq.write_table(table, path, compression="zstd")
        digests.append(file_sha256(path))

    store.remove(MANIFEST)
    store.publish(TABLE, _write)
    campaign = recipe if isinstance(recipe, Campaign) else alone(recipe, shards[0].recipe_hash)
    shared, events = campaign.shared(), event_records(store, campaign, tally)
    publish_text(store, RECIPE, recipe_text(campaign.mixture or shared))
    common = campaign.recipe
    gsds = {event.gsd for event in events}
    manifest = DatasetRecord(
        name=campaign.name,
        samples=table.num_rows,
        size=common.output.size,
        gsd=gsds.pop() if len(gsds) == 1 else None,
        bands=list(BANDS),
        classes=class_values(),
        colours={c.name.lower(): CLASS_COLOURS[c] for c in LandClass},
        fields=field_descriptions(common.label_style, sensors),
        counts=tally.counts(),
        shards=shards,
        index_sha256=digests[0],
        recipe=shared,
        recipe_hash=campaign.hash,
        seed=campaign.seed,
        mixture=campaign.mixture,
        events=events,
        versions=dict(sorted(versions.items())),
        sources=sources,
        sensors=list(sensors),
    )
    publish_text(store, MANIFEST, manifest.model_dump_json(indent=1) + "\n")
    return manifest


def recipe_text(content: dict[str, Any]) -> str:
    """The text of ``recipe.yaml``: of a recipe, or of the mixture that a dataset's events were drawn from."""
    return yaml.safe_dump(content, sort_keys=False)


def event_records(store: Store, campaign: Campaign, tally: Tally) -> list[EventRecord]:
    """What the manifest says of each event whose samples were counted, in the order of the campaign.

    Raises:
        DatasetError: samples of one event differ in what its record says, or are of an event of no campaign.
    """
    if tally.odd:
        raise DatasetError(
            "says something else of its event than other samples do", file=store.place, found=tally.odd[0]
        )
    shared = campaign.shared()
    recipes = {event.name: event.recipe for event in campaign.events}
    own = {name: recipes.get(name) or recipes.get(None) for name in tally.events}
    if strays := [name for name, recipe in own.items() if recipe is None]:
        raise DatasetError("holds samples of an event that is not its own", file=store.place, found=strays[0])
    order = {event.name: k for k, event in enumerate(campaign.events)}
    return [
        EventRecord.model_validate(tally.events[name] | {"recipe": apart(recipe, shared)})
        for name, recipe in sorted(own.items(), key=lambda item: order.get(item[0], 0))
        if recipe is not None
    ]


def open_dataset(root: Store | str | Path) -> DatasetRecord:
    """The manifest of the dataset in a folder or store.

    Raises:
        DatasetError: no such folder, generation did not finish, the manifest is damaged or of a newer format.
    """
    store = open_store(root)
    path = store.where(MANIFEST)
    if MANIFEST not in store.sizes():
        store.check()
        raise DatasetError(f"not a dataset: no {MANIFEST} (generation did not finish?)", file=store.place)
    try:
        content = json.loads(read_text(store, MANIFEST))
    except (ValueError, RecursionError):
        raise DatasetError("damaged: not JSON", file=path) from None
    stated = content.get("format") if isinstance(content, dict) else None
    if stated != FORMAT:
        newer = re.fullmatch(r"mage-dataset/\d+", str(stated)) is not None
        reason = "in a format that this MAGE cannot read: update it" if newer else "not a MAGE dataset"
        raise DatasetError(reason, file=path, expected=FORMAT, found=repr(stated))
    try:
        return DatasetRecord.model_validate(content)
    except ValidationError as error:
        raise DatasetError(f"damaged: {first_mistake(error)}", file=path) from None


def _indexed(store: Store, shards: Sequence[ShardRecord]) -> tuple[pa.Table, Tally]:
    """The index of all samples and their counts, from the side files: no shard is opened."""

    def _side_of(shard: ShardRecord) -> SideRecord:
        side = read_side(store, shard.name)
        if side.shard != shard:
            raise DatasetError(
                "says something else of its shard than was told", file=store.where(side_name(shard.name))
            )
        return side

    return gathered(ahead(_side_of, shards))


def worth(shards: Sequence[ShardRecord]) -> int:
    """How many processes it pays to read these shards with."""
    return min(os.cpu_count() or 1, len(shards), sum(shard.bytes for shard in shards) // PAYS)


def shard_records(root: Store | str | Path, shard: ShardRecord) -> Iterator[SampleRecord]:
    """The records of a shard's samples, in order; DatasetError if they are not those that the shard's record names."""
    store, name = open_store(root), f"{SHARDS}/{shard.name}"
    with store.fetch(name) as path, TarIndex(path) as tar:
        if tar.keys != shard.keys:
            raise DatasetError("holds other samples than its side file says", file=store.where(name))
        for key in tar.keys:
            record = decode_record(tar.read(key, "json"), file=f"{store.where(name)}: {key}.json")
            if record.key != key or record.recipe_hash != shard.recipe_hash:
                raise DatasetError(
                    "a sample's record is of another sample or recipe", file=store.where(name), found=record.key
                )
            yield record


def read_index(root: Store | str | Path, sha256: str | None = None) -> pa.Table:
    """``samples.parquet`` of a dataset; ``sha256`` is what the manifest states for it, looked up when it is None.

    Raises:
        DatasetError: no such file, another checksum (then it is not parsed), unreadable, or with other columns.
    """
    store = open_store(root)
    return read_table(store, sha256 or open_dataset(store).index_sha256, list(COLUMNS))


def read_table(store: Store, sha256: str, columns: list[str]) -> pa.Table:
    """``samples.parquet`` with these columns; raises as :func:`read_index`."""
    where = store.where(TABLE)
    with store.fetch(TABLE) as path:
        if (found := file_sha256(path)) != sha256:
            raise DatasetError("sha256 is wrong", file=where, expected=sha256, found=found)
        try:
            table = pq.read_table(path, memory_map=False)
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"cannot be read: {error}", file=where) from None
    if table.column_names != columns:
        raise DatasetError("has other columns than an index", file=where, found=", ".join(table.column_names))
    return table


def field_descriptions(style: str = "exact", sensors: Iterable[SensorRecord] = ()) -> dict[str, dict[str, Any]]:
    """What each member of a sample is, by its file name: dtype, unit and meaning; ``style`` is the ``label_style``."""
    images = {f"{date}.png": {"dtype": "uint8", "meaning": f"colour image {date}, RGB"} for date in ("pre", "post")}
    labels = {
        f"{name}.png": {"dtype": f.dtype, "meaning": f.meaning} | ({"unit": f.unit} if f.unit else {})
        for name, f in label_members(style).items()
    }
    for sensor in sensors:
        for name, band in sensor.members.items():
            meaning = f"{sensor.name} {name.partition('_')[0]}, {band.centre:g} nm at {band.gsd:g} m"
            images[f"{name}.png"] = {"dtype": f"uint{band.bits}", "meaning": meaning}
    record = {"json": {"dtype": "json", "meaning": "where, when, buildings and roads with their grades, tents"}}
    return dict(sorted((images | labels | record).items()))
