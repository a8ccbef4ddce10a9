"""Checking what a shard holds: everything that its files state is computed again from its samples."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import pyarrow as pa

from mage.scenes.dataset.codec import decode_rasters, decode_record
from mage.scenes.dataset.fields import sample_members
from mage.scenes.dataset.index import MANIFEST
from mage.scenes.dataset.invariants import label_problems
from mage.scenes.dataset.rows import SampleRow, SideRecord, Tally, add_pixels, sample_row, table_of
from mage.scenes.dataset.schema import DatasetRecord, EventRecord, SampleRecord, SensorRecord, ShardRecord
from mage.scenes.dataset.store import LABEL_FILES, SHARDS, Store, file_sha256, read_side, side_name
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.errors import DatasetError

LONGEST = 2000  # characters of a value in a problem


@dataclass(frozen=True, slots=True)
class Facts:
    """What a manifest says that holds for every shard: a small part of it, which is sent to other processes."""

    style: str
    size: int
    sensors: tuple[SensorRecord, ...]
    events: dict[str, EventRecord]


def facts_of(manifest: DatasetRecord) -> Facts:
    """The facts of a dataset's manifest."""
    style = str(manifest.recipe.get("label_style", "exact"))
    # a check needs no event's recipe, which may be long
    events = {event.name: event.model_copy(update={"recipe": {}}) for event in manifest.events}
    return Facts(style, manifest.size, tuple(manifest.sensors), events)


@dataclass(slots=True)
class Notes:
    """What is wrong."""

    problems: list[str] = field(default_factory=list)

    def note(self, file: str, reason: str, expected: object = None, found: object = None) -> None:
        """Write down a problem in the words of an error."""
        shown = [None if value is None else _shown(value) for value in (expected, found)]
        self.problems.append(str(DatasetError(reason, file=file, expected=shown[0], found=shown[1])))

    def same(self, file: str, what: str, expected: object, found: object) -> None:
        """Note a problem unless what a file states equals what was computed."""
        if expected != found:
            self.note(file, f"{what} is wrong", expected, found)


@dataclass(slots=True)
class Findings(Notes):
    """What a shard holds and what is wrong with it. ``complete`` turns false when a sample cannot be counted."""

    facts: Facts = field(kw_only=True)
    tally: Tally = field(default_factory=Tally)
    rows: list[SampleRow] = field(default_factory=list)
    pixels: dict[str, dict[str, int]] = field(default_factory=dict)
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Checked:
    """The findings about a shard as they travel: problems, counts, and its samples' rows."""

    problems: list[str]
    tally: Tally
    rows: pa.Table
    complete: bool


def check_shard(store: Store, facts: Facts, shard: ShardRecord) -> Checked:
    """Recompute all that can be known of a shard."""
    seen = Findings(facts=facts)
    check_statement(seen, facts, shard)
    side = check_side(seen, store, shard)
    _check_file(seen, store, shard)
    if side and seen.complete and (side.rows, side.pixels) != (seen.rows, seen.pixels):
        seen.note(side_name(shard.name), "its rows or pixels say something else than the samples")
    return Checked(seen.problems, seen.tally, table_of(seen.rows, [shard.name] * len(seen.rows)), seen.complete)


def check_statement(seen: Notes, facts: Facts, shard: ShardRecord) -> None:
    """What the manifest says of a shard agrees with what it says of the shard's event."""
    file = f"{SHARDS}/{shard.name}"
    event = facts.events.get(shard.event)
    if event is None:
        seen.note(file, f"is of an event that {MANIFEST} does not list", found=shard.event)
    else:
        seen.same(file, "recipe_hash", event.recipe_hash, shard.recipe_hash)
        seen.same(file, "the split in its name", event.split, shard.name.rpartition("-")[0])
    seen.same(file, "number of samples", len(shard.keys), shard.samples)


def check_side(seen: Notes, store: Store, shard: ShardRecord) -> SideRecord | None:
    """The side file, if it says what the manifest says."""
    try:
        side = read_side(store, shard.name)
    except DatasetError as error:
        seen.note(side_name(shard.name), error.message, error.expected, error.found)
        return None
    if side.shard != shard:
        seen.note(side_name(shard.name), f"says something else than {MANIFEST}")
        return None
    return side


def _check_file(seen: Findings, store: Store, shard: ShardRecord) -> None:
    file = f"{SHARDS}/{shard.name}"
    try:
        if (size := store.size(file)) is None:
            seen.note(file, "the shard is missing")
            seen.complete = False
            return
        seen.same(file, "size in bytes", shard.bytes, size)
        with store.fetch(file) as path:
            seen.same(file, "sha256", shard.sha256, file_sha256(path))
            with TarIndex(path) as tar:
                _check_content(seen, shard, tar)
    except DatasetError as error:
        seen.note(file, error.message, error.expected, error.found)
        seen.complete = False
    except OSError as error:
        seen.note(file, f"cannot be read: {error.strerror}")
        seen.complete = False


def _check_content(seen: Findings, shard: ShardRecord, tar: TarIndex) -> None:
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
    seen.same(file, "labels_sha256", shard.labels_sha256, labels.hexdigest())


def _check_sample(seen: Findings, tar: TarIndex, key: str, shard: ShardRecord) -> None:
    file = f"{SHARDS}/{shard.name}: {key}"
    members = list(tar.members(key))
    wanted = sample_members(seen.facts.style, (name for sensor in seen.facts.sensors for name in sensor.members))
    if members != wanted:
        missing = ", ".join(sorted(set(wanted) - set(members)))
        seen.note(file, f"members are missing: {missing}" if missing else "members are not in order")
    try:
        record = decode_record(tar.read(key, "json"), file=f"{file}.json")
    except DatasetError as error:
        seen.note(f"{file}.json", error.message)
        seen.complete = False
        return
    seen.rows.append(sample_row(record))
    seen.tally.add(seen.rows[-1])
    seen.tally.add_pixels(record.pixels)
    add_pixels(seen.pixels, record.pixels)
    _check_record(seen, record, key, shard)
    if set(members) != set(wanted) or not _check_images(seen, record, file):
        return
    try:
        sample = decode_rasters(lambda name: tar.read(key, name), record, file=file)
    except DatasetError as error:
        seen.problems.append(str(error))
    else:
        seen.problems += [f"{file}: {reason}" for reason in label_problems(sample)]


def _check_record(seen: Findings, record: SampleRecord, key: str, shard: ShardRecord) -> None:
    file = f"{SHARDS}/{shard.name}: {key}"
    seen.same(f"{file}.json", "label style", seen.facts.style, record.label_style)
    seen.same(f"{file}.json", "key", key, record.key)
    seen.same(f"{file}.json", "event", shard.event, record.event)
    if (event := seen.facts.events.get(record.event)) is None:
        return  # its shard's problem
    for name in ("city", "hazard", "split", "seed", "recipe_hash"):
        seen.same(f"{file}.json", name, getattr(event, name), getattr(record, name))
    grid = (record.grid.rows, record.grid.columns, record.grid.gsd)
    seen.same(f"{file}.json", "grid", (seen.facts.size, seen.facts.size, event.gsd), grid)


def _check_images(seen: Findings, record: SampleRecord, file: str) -> bool:
    """Whether the record's images of further sensors are as the manifest says, and cover the tile."""
    bands = {name: band for sensor in seen.facts.sensors for name, band in sensor.members.items()}
    fits = sorted(bands) == sorted(image.member for image in record.images)
    for image in record.images if fits else ():
        band, sides = bands[image.member], (record.grid.rows, record.grid.columns)
        expected = (*(int(n * record.grid.gsd / band.gsd + 1e-6) for n in sides), band.gsd, band.bits)
        fits &= (image.rows, image.columns, image.gsd, image.bits) == expected
    if not fits:
        seen.note(f"{file}.json", f"its images are not those of the sensors in {MANIFEST}")
    return fits


def _shown(value: object) -> str:
    try:
        text = str(value)
    except RecursionError:
        return "something nested very deep"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
