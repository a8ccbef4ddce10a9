"""Checking a dataset: everything that its files state is computed again from what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError
from tqdm import tqdm

from mage.scenes.campaign import Campaign, Event, whole
from mage.scenes.dataset.codec import first_mistake
from mage.scenes.dataset.content import Checked, Facts, Notes, check_shard, check_side, check_statement, facts_of
from mage.scenes.dataset.index import (
    MANIFEST,
    RECIPE,
    TABLE,
    field_descriptions,
    open_dataset,
    read_index,
    worth,
)
from mage.scenes.dataset.processes import in_processes
from mage.scenes.dataset.rows import SideRecord, Tally, class_values, gathered, table_of
from mage.scenes.dataset.schema import DatasetRecord, ShardRecord
from mage.scenes.dataset.store import SHARDS, Store, ahead, open_store, read_text, side_name
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
class _Inspection(Notes):
    """What has been seen so far. ``complete`` turns false when a sample cannot be counted; ``table`` is what the index
    should be, ``counts`` the manifest's counts as far as they could be computed, ``events`` samples by event.
    """

    store: Store = field(kw_only=True)
    manifest: DatasetRecord = field(kw_only=True)
    facts: Facts = field(kw_only=True)
    table: pa.Table = field(default_factory=lambda: table_of([], []))
    counts: dict[str, Any] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    complete: bool = True


def verify_dataset(
    root: Store | str | Path, *, quick: bool = False, workers: int | None = 1, progress: bool = False
) -> Verification:
    """Recompute every checksum, count and label invariant of a dataset.

    Args:
        root: its folder or store.
        quick: open no shard: see that shards have their sizes, and that side files, index and manifest agree.
        workers: processes; None takes what the machine has, if there is enough to do.
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
    seen = _Inspection(store=store, manifest=manifest, facts=facts_of(manifest))
    bar: tqdm[Any] = tqdm(total=manifest.samples, unit="sample", disable=None if progress else True)
    with bar:
        _check_names(seen)
        (_check_quickly if quick else _check_wholly)(seen, workers, bar)
    _check_manifest(seen)
    _check_events(seen)
    _check_recipe(seen)
    _check_table(seen)
    buildings = int(pc.sum(seen.table["buildings"]).as_py() or 0)
    return Verification(seen.table.num_rows, buildings, len(manifest.shards), tuple(seen.problems))


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


def _check_wholly(seen: _Inspection, workers: int | None, bar: tqdm[Any]) -> None:
    """Every byte of every shard."""
    shards, tables, tally = seen.manifest.shards, [table_of([], [])], Tally()
    busy = workers or worth(shards)
    for shard, checked in zip(shards, _checked(seen, min(busy, len(shards))), strict=True):
        seen.problems += checked.problems
        seen.complete &= checked.complete
        tally.merge(checked.tally)
        tables.append(checked.rows)
        bar.update(shard.samples)
    seen.table, seen.counts = pa.concat_tables(tables), tally.counts()
    seen.events = {name: event["samples"] for name, event in tally.events.items()}


def _checked(seen: _Inspection, workers: int) -> Iterator[Checked]:
    if workers < 2:
        return (check_shard(seen.store, seen.facts, shard) for shard in seen.manifest.shards)
    return in_processes(_check_one, seen.manifest.shards, workers, _begin, (seen.store.place, seen.facts))


_given: list[Any] = []  # of a process that checks shards: the store, and the dataset's facts


def _begin(place: str, facts: Facts) -> None:
    _given[:] = [open_store(place), facts]


def _check_one(shard: ShardRecord) -> Checked:
    store, facts = _given
    return check_shard(store, facts, shard)


def _check_quickly(seen: _Inspection, _: int | None, bar: tqdm[Any]) -> None:
    """Sizes and side files, whose rows stand for the samples."""
    seen.table, tally = gathered(_sound_sides(seen, bar))
    seen.counts = tally.counts()
    seen.events = {name: event["samples"] for name, event in tally.events.items()}


def _sound_sides(seen: _Inspection, bar: tqdm[Any]) -> Iterator[SideRecord]:
    """The side files that can be counted; what is wrong with any is noted."""
    shards, sizes = seen.manifest.shards, seen.store.sizes(SHARDS)

    def _side_of(shard: ShardRecord) -> tuple[SideRecord | None, list[str]]:
        notes = Notes()
        return check_side(notes, seen.store, shard), notes.problems

    for shard, (side, problems) in zip(shards, ahead(_side_of, shards), strict=True):
        check_statement(seen, seen.facts, shard)
        seen.problems += problems
        if (size := sizes.get(shard.name)) is None:
            seen.note(f"{SHARDS}/{shard.name}", "the shard is missing")
        else:
            seen.same(f"{SHARDS}/{shard.name}", "size in bytes", shard.bytes, size)
        bar.update(shard.samples)
        if side is None:
            seen.complete = False
        else:
            yield side


def _check_manifest(seen: _Inspection) -> None:
    manifest = seen.manifest
    if len(seen.table) > pc.count_distinct(seen.table["key"]).as_py():
        seen.note(SHARDS, "a sample's key stands in two shards")
    seen.same(MANIFEST, "classes", class_values(), manifest.classes)
    kinds = {name: entry["dtype"] for name, entry in field_descriptions(seen.facts.style, manifest.sensors).items()}
    seen.same(MANIFEST, "fields", kinds, {name: entry.get("dtype") for name, entry in manifest.fields.items()})
    if not seen.complete:
        return  # what cannot be read is a problem already; counts without it would only repeat it
    seen.same(MANIFEST, "samples", seen.table.num_rows, manifest.samples)
    names = [*seen.counts, *sorted(set(manifest.counts) - set(seen.counts))]
    for name in names:
        seen.same(MANIFEST, f"counts.{name}", seen.counts.get(name), manifest.counts.get(name))


def _check_events(seen: _Inspection) -> None:
    """Events are those of the samples, and each is what its recipe says."""
    manifest = seen.manifest
    if len(seen.facts.events) < len(manifest.events):
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
        seen.same(MANIFEST, "samples by event", {e.name: e.samples for e in manifest.events}, seen.events)


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
        computed, table = seen.table, read_index(seen.store, seen.manifest.index_sha256)
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
