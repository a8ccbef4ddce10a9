"""What a dataset holds, measured once over the records of all its samples: what the documents of a release state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mage.generator.release.places import Overlap, bounds_of, footprint, overlaps
from mage.scenes.dataset.rows import COUNTED
from mage.scenes.dataset.schema import SampleRecord
from mage.scenes.grades import JDS_NAMES

GRADES = 6  # of EMS-98


@dataclass(slots=True)
class Range:
    """Least and greatest of what was seen."""

    low: float = float("inf")
    high: float = float("-inf")

    def add(self, value: float) -> None:
        """Take in a value."""
        self.low, self.high = min(self.low, value), max(self.high, value)


@dataclass(slots=True)
class Group:
    """Samples taken together: a split, or all. ``jds`` and ``ems98`` count buildings by grade."""

    samples: int = 0
    buildings: int = 0
    damaged_samples: int = 0
    roads: int = 0
    closed: int = 0
    tents: int = 0
    jds: list[int] = field(default_factory=lambda: [0] * len(JDS_NAMES))
    ems98: list[int] = field(default_factory=lambda: [0] * GRADES)
    cities: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    hazards: Counter[str] = field(default_factory=Counter)
    pixels: dict[str, Counter[str]] = field(default_factory=lambda: {member: Counter() for member in COUNTED})

    def add(self, record: SampleRecord) -> None:
        """Count a sample."""
        grades = [building.jds for building in record.buildings]
        self.samples += 1
        self.buildings += len(grades)
        self.damaged_samples += any(grades)
        self.roads += len(record.roads)
        self.closed += sum(not road.car for road in record.roads)
        self.tents += len(record.tents)
        for building in record.buildings:
            self.jds[building.jds] += 1
            self.ems98[building.ems98] += 1
        self.cities[record.city] += 1
        self.events[record.event] += 1
        self.hazards[record.hazard] += 1
        for member, names in COUNTED.items():
            for value, number in record.pixels.get(member, {}).items():
                self.pixels[member][names.get(value, value)] += number


RANGES = ("off_nadir_angle", "sun_elevation", "cloud_cover", "haze", "shift", "smoke")


@dataclass(slots=True)
class Survey:
    """All that was seen.

    ``hidden`` counts buildings of which less than half the roof shows in the image after; ``extent`` is west, south,
    east and north in degrees of all that lies somewhere; ``unplaced`` counts samples that lie nowhere.
    """

    all: Group = field(default_factory=Group)
    splits: dict[str, Group] = field(default_factory=dict)
    ranges: dict[str, Range] = field(default_factory=lambda: {name: Range() for name in RANGES})
    inferred: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    crs: Counter[str] = field(default_factory=Counter)
    sensors: Counter[str] = field(default_factory=Counter)
    gsd: set[float] = field(default_factory=set)
    dates: tuple[set[str], set[str]] = field(default_factory=lambda: (set(), set()))
    annotated: int = 0
    hidden: int = 0
    unplaced: int = 0
    extent: tuple[float, float, float, float] | None = None
    overlaps: list[Overlap] = field(default_factory=list)
    _places: list[Any] = field(default_factory=list)

    def add(self, record: SampleRecord) -> None:
        """Take in a sample."""
        self.all.add(record)
        self.splits.setdefault(record.split, Group()).add(record)
        self._add_views(record)
        self.inferred.update(record.inferred)
        self.causes.update(cause for b in record.buildings for cause in b.causes)
        self.hidden += sum(b.roof_seen_post is not None and b.roof_seen_post < 0.5 for b in record.buildings)
        self.annotated += record.annotations is not None
        self.gsd.add(record.grid.gsd)
        self._place(record)

    def _add_views(self, record: SampleRecord) -> None:
        for k, taken in enumerate((record.pre, record.post)):
            for name in ("off_nadir_angle", "sun_elevation", "cloud_cover", "haze"):
                self.ranges[name].add(getattr(taken, name))
            self.dates[k].add(taken.capture_date[:10])
            self.sensors[taken.sensor] += 1
        self.ranges["shift"].add(max(map(abs, record.post.shift_px)))
        self.ranges["smoke"].add(record.smoke)

    def _place(self, record: SampleRecord) -> None:
        outline = footprint(record.grid)
        self.unplaced += outline is None
        if record.grid.crs is not None:
            self.crs[record.grid.crs] += 1
        if outline is not None:
            old = self.extent or outline.bounds
            new = outline.bounds
            self.extent = min(old[0], new[0]), min(old[1], new[1]), max(old[2], new[2]), max(old[3], new[3])
        chart = record.grid.crs or f"city {record.city}"
        self._places.append((record.split, record.city, record.event, chart, bounds_of(record.grid)))

    def finish(self) -> Survey:
        """Compare the splits, when every sample is in."""
        self.overlaps = overlaps(self._places)
        self._places.clear()
        self.splits = dict(sorted(self.splits.items()))
        return self


def surveyed(records: Iterable[SampleRecord], survey: Survey) -> Iterator[SampleRecord]:
    """The records as they come, each taken into ``survey`` on its way."""
    for record in records:
        survey.add(record)
        yield record
