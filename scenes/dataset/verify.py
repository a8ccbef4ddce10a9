"""Checking a dataset: everything that its files state is computed again from what they hold."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from tqdm import tqdm

from mage.scenes.campaign import Campaign, Event, whole
from mage.scenes.dataset.codec import decode_rasters, decode_record, first_mistake
from mage.scenes.dataset.fields import sample_members
from mage.scenes.dataset.index import (
    MANIFEST,
    RECIPE,
    TABLE,
    Row,
    Tally,
    class_values,
    field_descriptions,
    open_dataset,
    read_index,
    table_of,
)
from mage.scenes.dataset.invariants import label_problems
from mage.scenes.dataset.schema import DatasetRecord, EventRecord, SampleRecord, ShardRecord
from mage.scenes.dataset.store import (
    LABEL_FILES,
    SHARDS,
    Store,
    file_sha256,
    open_store,
    read_side,
    read_text,
    side_name,
)
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.errors import DatasetError, RecipeError
from mage.scenes.recipe import Recipe
from mage.scenes.yamlio import parse_yaml


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found: samples and buildings that could be read, shards that the manifest lists, and what is wrong."""

    samples: int
    buildings: int
    shards: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@dataclass(slots=True)
class _Inspection:
    """What has been seen so far. ``complete`` turns false when a sample cannot be counted."""

    store: Store
    manifest: DatasetRecord
    bar: tqdm[Any]
    problems: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    rows: list[Row] = field(default_factory=list)
    complete: bool = True
    events: dict[str, EventRecord] = field(init=False)

    def __post_init__(self) -> None:
        self.events = {event.name: event for event in self.manifest.events}

    @property
    def style(self) -> str:
        """How its recipe says that it is labelled."""
        return str(self.manifest.recipe.get("label_style", "exact"))

    def note(self, file: str, reason: str, expected: object = None, found: object = None) -> None:
        """Write down a problem in the words of an error."""
        shown = [None if value is None else str(value) for value in (expected, found)]
        self.problems.append(str(DatasetError(reason, file=file, expected=shown[0], found=shown[1])))

    def same(self, file: str, what: str, expected: object, found: object) -> None:
        """Note a problem unless what a file states equals what was computed."""
        if expected != found:
            self.note(file, f"{what} is wrong", expected, found)


def verify_dataset(root: Store | str | Path, *, progress: bool = False) -> Verification:
    """Recompute every checksum, count and label invariant of a dataset.

    Args:
        root: its folder or store.
        progress: draw a progress bar on standard error, if that is a terminal.

    Raises:
        DatasetError: there is no such folder. All else that is wrong is a problem of the result.
    """
    store = open_store(root)
    store.check()
    try:
        manifest = open_dataset(store)
    except DatasetError as error:
        return Verification(0, 0, 0, (str(error),))
    bar: tqdm[Any] = tqdm(total=manifest.samples, unit="sample", disable=None if progress else True)
    with bar:
        inspection = _Inspection(store, manifest, bar)
        _check_names(inspection)
        for shard in manifest.shards:
            _check_shard(inspection, shard)
    _check_manifest(inspection)
    _check_events(inspection)
    _check_recipe(inspection)
    _check_table(inspection)
    buildings = inspection.tally.counts()["buildings"]
    return Verification(len(inspection.rows), buildings, len(manifest.shards), tuple(inspection.problems))


def _check_names(seen: _Inspection) -> None:
    """The folder holds the shards that the manifest lists, their side files, and nothing else."""
    names = [shard.name for shard in seen.manifest.shards]
    if names != sorted(set(names)):
        seen.note(MANIFEST, "shards stand twice or are not in order")
    listed = {*names, *(Path(side_name(name)).name for name in names)}
    for name, size in sorted(seen.store.sizes(SHARDS).items()):
        if name not in listed:
            seen.note(f"{SHARDS}/{name}", f"is not in {MANIFEST}")
        elif size is None:
            seen.note(f"{SHARDS}/{name}", "not a plain file: a link, folder or pipe")


def _check_shard(seen: _Inspection, shard: ShardRecord) -> None:
    file = f"{SHARDS}/{shard.name}"
    event = seen.events.get(shard.event)
    if event is None:
        seen.note(file, f"is of an event that {MANIFEST} does not list", found=shard.event)
    else:
        seen.same(file, "recipe_hash", event.recipe_hash, shard.recipe_hash)
        seen.same(file, "the split in its name", event.split, shard.name.rpartition("-")[0])
    seen.same(file, "number of samples", len(shard.keys), shard.samples)
    try:
        if read_side(seen.store, shard.name) != shard:
            seen.note(side_name(shard.name), f"says something else than {MANIFEST}")
    except DatasetError as error:
        seen.note(side_name(shard.name), error.message)
    if (size := seen.store.size(file)) is None:
        seen.note(file, "the shard is missing")
        seen.complete = False
        return
    try:
        seen.same(file, "size in bytes", shard.bytes, size)
        with seen.store.fetch(file) as path:
            seen.same(file, "sha256", shard.sha256, file_sha256(path))
            with TarIndex(path) as tar:
                _check_content(seen, shard, tar)
    except DatasetError as error:
        seen.note(file, error.message, error.expected, error.found)
        seen.complete = False
    except OSError as error:
        seen.note(file, f"cannot be read: {error.strerror}")
        seen.complete = False


def _check_content(seen: _Inspection, shard: ShardRecord, tar: TarIndex) -> None:
    file = f"{SHARDS}/{shard.name}"
    if tar.keys != shard.keys:
        missing, more = (sorted(set(a) - set(b)) for a, b in ((shard.keys, tar.keys), (tar.keys, shard.keys)))
        seen.note(file, f"holds other samples than listed: {len(missing)} missing, {len(more)} more, or another order")
        seen.complete = False
    labels = hashlib.sha256()
    for key in tar.keys:
        for member in tar.members(key):
            if member in LABEL_FILES:
                labels.update(f"{key}.{member}".encode() + tar.read(key, member))
        _check_sample(seen, tar, key, shard)
        seen.bar.update()
    seen.same(file, "labels_sha256", shard.labels_sha256, labels.hexdigest())


def _check_sample(seen: _Inspection, tar: TarIndex, key: str, shard: ShardRecord) -> None:
    file = f"{SHARDS}/{shard.name}: {key}"
    members = list(tar.members(key))
    wanted = sample_members(seen.style, (name for sensor in seen.manifest.sensors for name in sensor.members))
    if members != wanted:
        missing = ", ".join(sorted(set(wanted) - set(members)))
        seen.note(file, f"members are missing: {missing}" if missing else "members are not in order")
    try:
        record = decode_record(tar.read(key, "json"), file=f"{file}.json")
    except DatasetError as error:
        seen.note(f"{file}.json", error.message)
        seen.complete = False
        return
    seen.rows.append(seen.tally.add(record, shard.name))
    _check_record(seen, record, key, shard)
    if set(members) != set(wanted) or not _check_images(seen, record, file):
        return
    try:
        sample = decode_rasters(lambda name: tar.read(key, name), record, file=file)
    except DatasetError as error:
        seen.problems.append(str(error))
    else:
        seen.problems += [f"{file}: {reason}" for reason in label_problems(sample)]


def _check_record(seen: _Inspection, record: SampleRecord, key: str, shard: ShardRecord) -> None:
    manifest, file = seen.manifest, f"{SHARDS}/{shard.name}: {key}"
    seen.same(f"{file}.json", "label style", seen.style, record.label_style)
    seen.same(f"{file}.json", "key", key, record.key)
    seen.same(f"{file}.json", "event", shard.event, record.event)
    if (event := seen.events.get(record.event)) is None:
        return  # its shard's problem
    for name in ("city", "hazard", "split", "seed", "recipe_hash"):
        seen.same(f"{file}.json", name, getattr(event, name), getattr(record, name))
    grid = (record.grid.rows, record.grid.columns, record.grid.gsd)
    seen.same(f"{file}.json", "grid", (manifest.size, manifest.size, event.gsd), grid)


def _check_images(seen: _Inspection, record: SampleRecord, file: str) -> bool:
    """Whether the record's images of further sensors are as the manifest says, and cover the tile."""
    bands = {name: band for sensor in seen.manifest.sensors for name, band in sensor.members.items()}
    fits = sorted(bands) == sorted(image.member for image in record.images)
    for image in record.images if fits else ():
        band, sides = bands[image.member], (record.grid.rows, record.grid.columns)
        expected = (*(int(n * record.grid.gsd / band.gsd + 1e-6) for n in sides), band.gsd, band.bits)
        fits &= (image.rows, image.columns, image.gsd, image.bits) == expected
    if not fits:
        seen.note(f"{file}.json", f"its images are not those of the sensors in {MANIFEST}")
    return fits


def _check_manifest(seen: _Inspection) -> None:
    manifest = seen.manifest
    keys = [row["key"] for row in seen.rows]
    if len(set(keys)) < len(keys):
        seen.note(SHARDS, "a sample's key stands in two shards")
    seen.same(MANIFEST, "classes", class_values(), manifest.classes)
    kinds = {name: entry["dtype"] for name, entry in field_descriptions(seen.style, manifest.sensors).items()}
    seen.same(MANIFEST, "fields", kinds, {name: entry.get("dtype") for name, entry in manifest.fields.items()})
    if not seen.complete:
        return  # what cannot be read is a problem already; counts without it would only repeat it
    seen.same(MANIFEST, "samples", len(seen.rows), manifest.samples)
    counts = seen.tally.counts()
    for name in [*counts, *sorted(set(manifest.counts) - set(counts))]:
        seen.same(MANIFEST, f"counts.{name}", counts.get(name), manifest.counts.get(name))


def _check_events(seen: _Inspection) -> None:
    """Events are those of the samples, and each is what its recipe says."""
    manifest = seen.manifest
    if len(seen.events) < len(manifest.events):
        seen.note(MANIFEST, "an event's name stands twice")
    gsds = {event.gsd for event in manifest.events}
    seen.same(MANIFEST, "gsd", gsds.pop() if len(gsds) == 1 else None, manifest.gsd)
    events = []
    for event in manifest.events:
        try:
            recipe = Recipe.model_validate(whole(manifest.recipe, event.recipe))
        except ValidationError as error:
            seen.note(MANIFEST, f"event {event.name}: recipe: {first_mistake(error)}")
            return
        events.append(Event(recipe, event.recipe_hash, event.split, event.name))
        stated = (event.hazard, event.samples, event.seed, manifest.size, event.gsd)
        expected = (recipe.disaster, recipe.count, recipe.seed, recipe.output.size, recipe.output.gsd)
        seen.same(MANIFEST, f"event {event.name}: hazard, samples, seed, size or gsd", expected, stated)
    campaign = Campaign(manifest.name, manifest.seed, tuple(events), manifest.mixture)
    seen.same(MANIFEST, "recipe_hash", campaign.hash, manifest.recipe_hash)
    if seen.complete:
        found = {name: event["samples"] for name, event in seen.tally.events.items()}
        seen.same(MANIFEST, "samples by event", {e.name: e.samples for e in manifest.events}, found)


def _check_recipe(seen: _Inspection) -> None:
    manifest = seen.manifest
    if manifest.mixture is None:
        stated = (manifest.name, manifest.seed)
        seen.same(MANIFEST, "name or seed", (manifest.recipe.get("name"), manifest.recipe.get("seed")), stated)
    try:
        if parse_yaml(read_text(seen.store, RECIPE), RECIPE) != (manifest.mixture or manifest.recipe):
            seen.note(RECIPE, f"is another recipe than that in {MANIFEST}")
    except (DatasetError, RecipeError) as error:
        seen.note(RECIPE, error.message)


def _check_table(seen: _Inspection) -> None:
    try:
        computed, table = table_of(seen.rows), read_index(seen.store, seen.manifest.index_sha256)
    except DatasetError as error:
        seen.note(TABLE, error.message, error.expected, error.found)
        return
    if not seen.complete:
        return
    if table.schema.types != computed.schema.types:
        seen.note(TABLE, "has columns of other types than an index", computed.schema.types, table.schema.types)
        return
    seen.same(TABLE, "number of rows", computed.num_rows, table.num_rows)
    for name in computed.column_names:
        if not computed[name].equals(table[name]):
            seen.note(TABLE, f"the column {name} says something else than the samples")
