"""What must hold between the label rasters of a sample, and between them and its record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.scenes.dataset.fields import LandClass, label_members
from mage.scenes.dataset.rows import COUNTED
from mage.scenes.dataset.schema import Sample, SampleRecord

HALF_CLOUDED = 50  # percent of opacity from which on a pixel counts as under cloud
NUMBERS = 1 << 16  # of buildings, road edges and tents that a uint16 raster can hold
SEEN = 1e-3  # that a stated share of a roof may differ by, for rounding
UNBURNING = {"flood", "earthquake", "wind", "camp"}  # hazards without fire; what plugins do is theirs

Raster = NDArray[Any]


def label_problems(sample: Sample) -> list[str]:
    """Every rule that a sample's labels break, as a sentence each; none for a good sample."""
    return [
        *_ranges(sample),
        *_surfaces(sample.labels),
        *_water(sample.labels),
        *_buildings(sample),
        *_roads(sample),
        *_tents(sample),
        *_annotations(sample),
        *_counts(sample),
        *_clouds(sample),
    ]


def roofs_seen(labels: Mapping[str, Raster], date: str) -> dict[int, float]:
    """For each building of a date's rasters, by its number: the share of its pixels where it is the top surface."""
    number = labels[f"{date}_building"]
    count = np.bincount(number.ravel())
    seen = np.bincount(number[labels[f"{date}_class"] == LandClass.BUILDING], minlength=len(count))
    return {int(i): float(seen[i] / count[i]) for i in np.flatnonzero(count) if i}


def _ranges(sample: Sample) -> Iterator[str]:
    for name, field in label_members(sample.record.label_style).items():
        if field.largest is not None and (highest := int(sample.labels[name].max())) > field.largest:
            yield f"{name} holds {highest}, above its largest value {field.largest}"


def _surfaces(labels: dict[str, Raster]) -> Iterator[str]:
    """A class on top implies the layer that it is the top of."""
    implied = {
        LandClass.BUILDING: "building",
        LandClass.WATER: "water",
        LandClass.FLOOD: "flood",
        LandClass.RUBBLE: "debris",
        LandClass.TENT: "tent",
    }
    for date in ("pre", "post"):
        for kind, layer in implied.items():
            below = labels.get(f"{date}_{layer}", np.zeros((), np.uint8))  # there are no flood, debris and tents before
            wrong = (labels[f"{date}_class"] == kind) & (below == 0)
            yield from _where(wrong, f"{date}_class says {kind.name.lower()} where {date}_{layer} is 0")


def _water(labels: dict[str, Raster]) -> Iterator[str]:
    depth, flood = labels["post_depth"], labels["post_flood"] > 0
    yield from _where(flood != (depth > 0), "post_flood is not where post_depth is at least 1 cm")
    yield from _where(flood & (labels["post_water"] > 0), "post_flood lies on permanent water")
    yield from _where((depth > 0) & (labels["post_building"] > 0), "post_depth is above 0 under a building")
    for layer in ("flood", "water", "building"):
        yield from _where((labels["post_mud"] > 0) & (labels[f"post_{layer}"] > 0), f"post_mud lies under post_{layer}")


def _buildings(sample: Sample) -> Iterator[str]:
    labels, buildings = sample.labels, sample.record.buildings
    numbers = [b.id for b in buildings]
    yield from _known(labels, ("pre_building", "post_building"), numbers)
    for b in (b for b in buildings if b.new):
        yield from _where(labels["pre_building"] == b.id, f"building {b.id} is new, and pre_building shows it")
        if b.ems98 or b.jds or b.causes:
            yield f"building {b.id} is new, and damaged"
    for b in (b for b in buildings if b.visible > b.ems98 and not b.buried):
        yield f"building {b.id} looks worse than it is, and no debris lies on it"
    # running water breaks houses
    if sample.record.hazard == "flood" and sample.record.parameters.get("model") != "shallow":
        new = _lookup(numbers, [int(b.new) for b in buildings])[labels["post_building"]] == 1
        moved = (labels["pre_building"] != labels["post_building"]) & ~new
        if _seen_alike(sample.record):
            yield from _where(moved, "a flood moved buildings: pre_building, post_building")
        yield from _where(labels["post_debris"] > 0, "post_debris lies where there was but a flood")
    if UNBURNING.issuperset(sample.record.hazard.split("-")):
        yield from _where(labels["post_burn"] > 0, "post_burn is above 0 where there was no fire")
    for date in ("pre", "post"):
        seen = roofs_seen(labels, date)
        for b in buildings:
            stated, found = getattr(b, f"roof_seen_{date}"), seen.get(b.id)
            if stated is not None and (found is None or abs(stated - found) > SEEN):
                yield f"building {b.id} states roof_seen_{date} {stated:g}, and the rasters say {found}"
    for field, value in (("damage", "jds"), ("ems98", "ems98"), ("visible", "visible")):
        raster, building = labels[f"post_{field}"], labels["post_building"]
        yield from _where((raster > 0) != (building > 0), f"post_{field} is not where post_building is")
        stated = _lookup(numbers, [getattr(b, value) + 1 for b in buildings])
        wrong = (building > 0) & (raster > 0) & (raster != stated[building])
        yield from _where(wrong, f"post_{field} is not the record's {value} + 1", building)


def _seen_alike(record: SampleRecord) -> bool:
    """Whether both images are taken from one place and lie on each other."""
    before, after = ((d.off_nadir_angle, d.target_azimuth, d.shift_px) for d in (record.pre, record.post))
    return before == after


def _annotations(sample: Sample) -> Iterator[str]:
    """Outlines are in both rasters what their records say."""
    drawn = sample.record.annotations
    if drawn is None:
        return
    number, grade = sample.labels["pre_annotated"], sample.labels["post_annotated"]
    ids, known = [a.id for a in drawn], {b.id for b in sample.record.buildings}
    if ids != list(range(1, len(ids) + 1)):
        yield "annotations are not numbered from 1"
        return
    if odd := sorted(set(np.unique(number).tolist()) - {0, *ids}):
        yield f"pre_annotated holds numbers that the record does not: {', '.join(map(str, odd[:5]))}"
        return
    stated = np.array([0, *(a.grade for a in drawn)])
    yield from _where(grade != stated[number], "post_annotated is not the grade of pre_annotated's outline", number)
    yield from (
        f"annotation {a.id} is drawn around no building of the record" for a in drawn if not known & {*a.buildings}
    )


def _roads(sample: Sample) -> Iterator[str]:
    labels, roads = sample.labels, sample.record.roads
    yield from _known(labels, ("pre_road", "post_road"), [r.id for r in roads])
    for road_record in roads:
        if bool(road_record.reason) == (road_record.car and road_record.truck):
            yield f"road {road_record.id} is closed without a reason, or open with one"
    blocked, road = labels["post_blocked"] > 0, labels["post_road"]
    yield from _where(blocked & (road == 0), "post_blocked is not on a road")
    stated = _lookup([r.id for r in roads], [int(not r.car) for r in roads]) > 0
    yield from _where(
        (road > 0) & (blocked != stated[road]), "post_blocked is not where the record's car is false", road
    )


def _tents(sample: Sample) -> Iterator[str]:
    labels, tents = sample.labels, sample.record.tents
    tent, numbers = labels["post_tent"], [t.id for t in tents]
    yield from _known(labels, ("post_tent",), numbers)
    unseen = sorted(set(numbers) - set(np.flatnonzero(np.bincount(tent.ravel())).tolist()))
    if unseen:
        yield f"the record holds tents that post_tent does not show: {', '.join(map(str, unseen[:5]))}"
    if "camp" not in sample.record.hazard.split("-"):
        yield from _where(tent > 0, "post_tent is above 0 where there is no camp")
    for layer in ("building", "road", "water", "flood", "mud", "debris", "burn"):
        yield from _where((tent > 0) & (labels[f"post_{layer}"] > 0), f"post_tent lies on post_{layer}", tent)
    if sample.record.hazard == "camp" and any(b.ems98 or b.jds or b.visible for b in sample.record.buildings):
        yield "a camp alone damages nothing, and a building is damaged"


def _counts(sample: Sample) -> Iterator[str]:
    counted = sample.record.pixels
    yield from (f"the record does not count the pixels of {name}" for name in COUNTED if name not in counted)
    for name, stated in counted.items():
        if name not in sample.labels:
            yield f"the record counts pixels of {name}, which is no label"
            continue
        counts = np.bincount(sample.labels[name].ravel())
        found = {str(value): int(counts[value]) for value in np.flatnonzero(counts)}
        if found != stated:
            yield f"the record counts other pixels of {name} than there are; expected {found}; found {stated}"


def _clouds(sample: Sample) -> Iterator[str]:
    for date, taken in (("pre", sample.record.pre), ("post", sample.record.post)):
        found = float((sample.labels[f"{date}_cloud"] >= HALF_CLOUDED).mean())
        if abs(found - taken.cloud_cover) > 1e-6:
            yield f"{date}_cloud covers another share of the tile than stated: {taken.cloud_cover}; found {found:.6f}"


def _known(labels: dict[str, Raster], names: Iterable[str], numbers: list[int]) -> Iterator[str]:
    if len(set(numbers)) < len(numbers) or max(numbers, default=0) >= NUMBERS:
        yield "the record gives a number twice, or one above 65535"
    for name in names:
        odd = sorted(set(np.flatnonzero(np.bincount(labels[name].ravel())).tolist()) - {0, *numbers})
        if odd:
            yield f"{name} holds numbers that the record does not: {', '.join(map(str, odd[:5]))}"


def _lookup(numbers: list[int], values: list[int]) -> Raster:
    """(65536,) value of each number; 255 where there is none, which no grade equals."""
    table = np.full(NUMBERS, 255, np.uint8)
    for number, value in zip(numbers, values, strict=True):
        table[number % NUMBERS] = value
    return table


def _where(wrong: Raster, rule: str, numbers: Raster | None = None) -> Iterator[str]:
    """The rule with how often and where it is broken first, if it is."""
    if count := int(np.count_nonzero(wrong)):
        row, column = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        which = "" if numbers is None else f", number {int(numbers[row, column])}"
        yield f"{rule}: {count} pixels, first at row {row}, column {column}{which}"
