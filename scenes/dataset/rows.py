"""What the index says of samples: their rows, which lie in the shards' side files first, and the counts over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import pyarrow as pa
from pydantic import Field, model_validator

from mage.scenes.dataset.fields import LandClass
from mage.scenes.dataset.schema import Record, SampleRecord, ShardRecord
from mage.scenes.grades import JDS_NAMES

TEXT, WHOLE, REAL = pa.string(), pa.int64(), pa.float64()

# Columns of samples.parquet. Angles in degrees; `west` and `north` in metres of `crs`; `flooded_share` is the share of
# pixels whose top surface after the disaster is flood water (trees and cars hide some).
COLUMNS: dict[str, pa.DataType] = {
    **dict.fromkeys(("key", "shard", "split", "city", "event", "hazard"), TEXT),
    "gsd": REAL,
    "size": WHOLE,
    "west": REAL,
    "north": REAL,
    "crs": TEXT,
    "pre_date": TEXT,
    "post_date": TEXT,
    **{f"{date}_sun_{angle}": REAL for date in ("pre", "post") for angle in ("elevation", "azimuth")},
    "buildings": WHOLE,
    **{f"jds_{grade}": WHOLE for grade in range(len(JDS_NAMES))},
    "roads": WHOLE,
    "tents": WHOLE,
    "flooded_share": REAL,
    "seed": WHOLE,
    "recipe_hash": TEXT,
}

BATCH = 1 << 14  # rows that become a table at a time: small tables cost more than their rows
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]  # what a column of the index can hold
Count = Annotated[int, Field(ge=0, lt=2**63)]


def class_values() -> dict[str, int]:
    """Values of the ``class`` raster by name in lower case."""
    return {c.name.lower(): int(c) for c in LandClass}


_CLASS_NAMES = {str(value): name for name, value in class_values().items()}
_DAMAGE_NAMES = {str(value): name for value, name in enumerate(("background", *JDS_NAMES))}
# members whose pixels are counted, and the names of their values
COUNTED = {"pre_class": _CLASS_NAMES, "post_class": _CLASS_NAMES, "post_damage": _DAMAGE_NAMES}


class SampleRow(Record):
    """A sample's row in ``samples.parquet``, but for the shard that it lies in; see :data:`COLUMNS`."""

    key: str
    split: str
    city: str
    event: str
    hazard: str
    gsd: float
    size: Count
    west: float
    north: float
    crs: str | None
    pre_date: str
    post_date: str
    pre_sun_elevation: float
    pre_sun_azimuth: float
    post_sun_elevation: float
    post_sun_azimuth: float
    buildings: Count
    jds_0: Count
    jds_1: Count
    jds_2: Count
    jds_3: Count
    roads: Count
    tents: Count
    flooded_share: float
    seed: Whole
    recipe_hash: str


class SideRecord(ShardRecord):
    """The side file of a shard: written after the tar, it makes the shard done, and holds what the index needs of it.

    ``pixels`` counts those of all its samples, by member and value, the value as text.
    """

    rows: list[SampleRow]
    pixels: dict[str, dict[str, Count]]

    @model_validator(mode="after")
    def _of_the_shard(self) -> SideRecord:
        if [row.key for row in self.rows] != self.keys:
            raise ValueError("rows are of other samples than the shard's")
        if any((row.event, row.recipe_hash) != (self.event, self.recipe_hash) for row in self.rows):
            raise ValueError("rows are of another event or recipe than the shard")
        return self

    @property
    def shard(self) -> ShardRecord:
        """What the manifest says of the shard."""
        return ShardRecord.model_construct(**{name: getattr(self, name) for name in ShardRecord.model_fields})


def sample_row(record: SampleRecord) -> SampleRow:
    """A sample's row."""
    grid = record.grid
    grades = [building.jds for building in record.buildings]
    flood = record.pixels.get("post_class", {}).get(str(int(LandClass.FLOOD)), 0)
    same = ("key", "split", "city", "event", "hazard", "seed", "recipe_hash")
    row: dict[str, Any] = {name: getattr(record, name) for name in same}
    for date, taken in (("pre", record.pre), ("post", record.post)):
        row[f"{date}_date"] = taken.capture_date
        row[f"{date}_sun_elevation"], row[f"{date}_sun_azimuth"] = taken.sun_elevation, taken.sun_azimuth
    row |= {"gsd": grid.gsd, "size": grid.columns, "crs": grid.crs, "west": grid.west, "north": grid.north}
    row |= {"buildings": len(grades), "roads": len(record.roads), "tents": len(record.tents)}
    row |= {f"jds_{grade}": grades.count(grade) for grade in range(len(JDS_NAMES))}
    row["flooded_share"] = round(flood / (grid.rows * grid.columns), 6)
    return SampleRow.model_validate(row)


def add_pixels(totals: dict[str, dict[str, int]], pixels: Mapping[str, Mapping[str, int]]) -> None:
    """Add a sample's or a shard's pixels per value of each counted member to the ``totals``."""
    for member in COUNTED:
        counts = totals.setdefault(member, {})
        for value, count in pixels.get(member, {}).items():
            counts[value] = counts.get(value, 0) + count


def table_of(rows: Sequence[SampleRow], shards: Sequence[str]) -> pa.Table:
    """Rows as an Arrow table with the columns of the index; ``shards`` names the shard of each."""
    columns = {name: shards if name == "shard" else [getattr(row, name) for row in rows] for name in COLUMNS}
    return pa.table({name: pa.array(columns[name], kind) for name, kind in COLUMNS.items()})


def gathered(sides: Iterable[SideRecord]) -> tuple[pa.Table, Tally]:
    """The index of all samples of some shards, and their counts, from the side files."""
    tables, tally = [table_of([], [])], Tally()
    rows: list[SampleRow] = []
    names: list[str] = []
    for side in sides:
        tally.add_side(side)
        rows += side.rows
        names += [side.name] * len(side.rows)
        if len(rows) >= BATCH:
            tables.append(table_of(rows, names))
            rows, names = [], []
    tables.append(table_of(rows, names))
    return pa.concat_tables(tables).combine_chunks(), tally


class Tally:
    """Counts over the samples of a dataset.

    Attributes:
        events: by name, what an event's record says but for its recipe.
        odd: keys of samples that say something else of their event than its first sample does.
    """

    def __init__(self) -> None:
        self._totals = {"samples": 0, "buildings": 0, "roads": 0, "tents": 0}
        self._jds = dict.fromkeys(JDS_NAMES, 0)
        self._pixels: dict[str, dict[str, int]] = {}
        self.events: dict[str, dict[str, Any]] = {}
        self.odd: list[str] = []

    def add(self, row: SampleRow) -> None:
        """Count a sample."""
        self._totals["samples"] += 1
        self._count_event(row)
        for name in ("buildings", "roads", "tents"):
            self._totals[name] += getattr(row, name)
        for grade, name in enumerate(JDS_NAMES):
            self._jds[name] += getattr(row, f"jds_{grade}")

    def add_pixels(self, pixels: Mapping[str, Mapping[str, int]]) -> None:
        """Count pixels by member and value."""
        add_pixels(self._pixels, pixels)

    def add_side(self, side: SideRecord) -> None:
        """Count all samples of a shard."""
        for row in side.rows:
            self.add(row)
        self.add_pixels(side.pixels)

    def merge(self, other: Tally) -> None:
        """Take in what another has counted."""
        for name in self._totals:
            self._totals[name] += other._totals[name]
        for name in self._jds:
            self._jds[name] += other._jds[name]
        self.add_pixels(other._pixels)
        for name, event in other.events.items():
            mine = self.events.setdefault(name, event | {"samples": 0})
            mine["samples"] += event["samples"]
            if any(mine[fact] != value for fact, value in event.items() if fact != "samples"):
                self.odd.append(name)
        self.odd += other.odd

    def _count_event(self, row: SampleRow) -> None:
        facts = {name: getattr(row, name) for name in ("city", "hazard", "split", "seed", "recipe_hash", "gsd")}
        event = self.events.setdefault(row.event, facts | {"name": row.event, "samples": 0})
        event["samples"] += 1
        if any(event[name] != value for name, value in facts.items()):
            self.odd.append(row.key)

    def counts(self) -> dict[str, Any]:
        """Samples, buildings, roads, tents, buildings per damage grade, and pixels per value of class and damage."""
        pixels = {member: _named(self._pixels.get(member, {}), names) for member, names in COUNTED.items()}
        return {**self._totals, "jds": dict(self._jds), "pixels": pixels}


def _named(counts: Mapping[str, int], names: Mapping[str, str]) -> dict[str, int]:
    """Pixels by the names of values, in the order of ``names``, then of values that have none."""
    return {names.get(v, v): counts[v] for v in [*names, *sorted(set(counts) - set(names))] if v in counts}
