"""The summary table of a product: what is affected beside what there is, as the tables of Copernicus EMS have it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.learning.mapping.access import CLOSED as LIKELY_CLOSED
from mage.learning.mapping.areas import count_bounds
from mage.learning.mapping.findings import Access, Buildings, Findings, Observed, Product
from mage.learning.mapping.product import names
from mage.learning.mapping.product.table import polygons

Floats = NDArray[np.float64]
HECTARE, KILOMETRE = 10_000.0, 1000.0  # square metres, metres
EVENTS = {"flood": "Flooded area", "burn": "Burnt area", "debris": "Debris"}
NO_LIMITS = (None, None, None)
CONFIDENCE = 0.95  # of the bounds


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        group: observed event, population, built-up, facilities, transportation or access.
        item: what is counted.
        unit: ha, km or number.
        affected: how much of it.
        total: how much there is in the area; None where that means nothing.
        low, high: bounds at 95 % of how much of it there is by the probabilities; None where there are none.
        expected: how much there is by the probabilities, in the mean; None likewise.
    """

    group: str
    item: str
    unit: str
    affected: float
    total: float | None = None
    low: float | None = None
    high: float | None = None
    expected: float | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """The table.

    Attributes:
        rows: in the order in which they are shown.
    """

    rows: tuple[Row, ...]

    def row(self, group: str, item: str) -> Row | None:
        """One line, or None where it is not there."""
        return next((row for row in self.rows if (row.group, row.item) == (group, item)), None)


def summary(findings: Findings) -> Summary:
    """What was found in figures. A line is there for all that was looked for, be it 0.

    Buildings are counted by verdict. Beside that stands how many there are by the probabilities, with its bounds
    (:func:`~mage.learning.mapping.areas.count_bounds`): a verdict's count may lie without them, since it leaves out
    those that the model is not sure enough of. "Affected" are destroyed, damaged and possibly damaged ones, as in the
    service's tables. Kilometres are of the roads within the area. A first estimate has the event and the people alone,
    a delineation no grades.
    """
    lines = [*_event(findings), *_people(findings)]
    if findings.event.product is not Product.FIRST_ESTIMATE:
        lines += [*_built(findings), *_facilities(findings), *_roads(findings), *_reached(findings.buildings)]
    if findings.differences is not None:
        since = f"Since {findings.differences.before}"
        lines += [Row(since, item, unit, amount) for item, amount, unit in findings.differences.rows(findings)]
    return Summary(tuple(lines))


def touched(observed: Observed, shapes: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Which geometries of the map's frame flood or fire has come to, (n,); debris is damage already."""
    outlines = [
        outline for extent in observed.extents if extent.what in ("flood", "burn") for outline in extent.outline
    ]
    found = np.zeros(len(shapes), bool)
    if outlines and len(shapes):
        found[shapely.STRtree(shapes).query(outlines, predicate="intersects")[1]] = True
    return found


def passability(access: Access) -> NDArray[np.str_]:
    """How each road edge can be passed, (e,), one of ``names.PASSABLE``: closed is likelier shut than not."""
    known = ~(np.isnan(access.car) | np.isnan(access.truck))
    car, truck = access.car < LIKELY_CLOSED, access.truck < LIKELY_CLOSED
    found = np.select(
        [~known, car & truck, car, truck],
        [names.NOT_ANALYSED, names.OPEN, names.CAR_ONLY, names.TRUCK_ONLY],
        names.CLOSED,
    )
    return np.asarray(found, dtype="<U17")


def _event(findings: Findings) -> Iterator[Row]:
    whole = findings.area.area / HECTARE
    for extent in findings.observed.extents:
        within = (
            shapely.union_all(polygons(extent.outline)).intersection(findings.area) if len(extent.outline) else None
        )
        covered = 0.0 if within is None else within.area
        yield Row("Observed event", EVENTS.get(extent.what, extent.what), "ha", covered / HECTARE, whole)


def _people(findings: Findings) -> Iterator[Row]:
    if findings.population is not None:
        yield Row(
            "Population", "Inhabitants", "number", float(findings.population.affected), float(findings.population.total)
        )


def _built(findings: Findings) -> Iterator[Row]:
    buildings = findings.buildings
    count = float(len(buildings))
    water = touched(findings.observed, buildings.outline)
    if findings.event.product is Product.GRADING:
        for verdict in names.DAMAGE:
            number = float((buildings.verdict == verdict).sum())
            yield Row("Built-up", verdict, "number", number, count, *_bounds(buildings, verdict))
        hit = np.isin(buildings.verdict, names.AFFECTED)
        yield Row("Built-up", "Affected", "number", float(hit.sum()), count, *_bounds(buildings, "Affected"))
    else:
        hit = water
    if any(extent.what in ("flood", "burn") for extent in findings.observed.extents):
        yield Row("Built-up", "In flood or fire", "number", float(water.sum()), count)
    kinds = np.array([names.built_type(str(kind))[0] for kind in buildings.kind], dtype="<U40")
    for kind in names.BUILT_TYPES:
        chosen = kinds == kind
        if chosen.any():
            yield Row("Built-up", _plain(kind), "number", float((hit & chosen).sum()), float(chosen.sum()))


def _bounds(buildings: Buildings, verdict: str) -> tuple[float | None, float | None, float | None]:
    """Of how many buildings are in this state by their probabilities, and how many that is in the mean."""
    known = np.isfinite(buildings.grades).all(axis=1)
    if not known.any():
        return NO_LIMITS
    grades = buildings.grades[known]
    none, worst = grades[:, 0], grades[:, -1]
    of_each = {
        names.DESTROYED: worst,
        names.DAMAGED: 1 - none - worst,
        names.UNDAMAGED: none,
        "Affected": 1 - none,
    }
    if verdict not in of_each:
        return NO_LIMITS
    likely = np.clip(of_each[verdict], 0, 1)
    low, high = count_bounds(likely, CONFIDENCE)
    return float(low), float(high), float(likely.sum())


def _facilities(findings: Findings) -> Iterator[Row]:
    if findings.access is None or findings.access.facilities is None:
        return
    facilities = findings.access.facilities
    points = shapely.points(facilities.points)
    inside = shapely.intersects(findings.area, points)
    hit = inside & (
        touched(findings.observed, points) | np.isin(verdict_at(findings.buildings, points), names.AFFECTED)
    )
    yield Row("Facilities", "All", "number", float(hit.sum()), float(inside.sum()))
    for kind in sorted(set(facilities.kind.tolist())):
        chosen = facilities.kind == kind
        yield Row(
            "Facilities",
            str(kind) or names.UNKNOWN,
            "number",
            float((hit & chosen).sum()),
            float((inside & chosen).sum()),
        )


def verdict_at(buildings: Buildings, points: NDArray[np.object_]) -> NDArray[np.str_]:
    """``damage_gra`` of the building that each point lies in, (m,); "Not Analysed" in none."""
    found = np.full(len(points), names.NOT_ANALYSED, dtype="<U17")
    if len(points) and len(buildings):
        which, building = shapely.STRtree(buildings.outline).query(points, predicate="intersects")
        found[which] = buildings.verdict[building]
    return found


def _roads(findings: Findings) -> Iterator[Row]:
    access = findings.access
    if access is None:
        return
    lines = np.array(access.roads.lines, dtype=object)
    km = shapely.length(shapely.intersection(lines, findings.area)) / KILOMETRE if len(lines) else np.zeros(0)
    whole = float(km.sum())
    for vehicle, closed in (("car", access.car), ("truck", access.truck)):
        shut = float(km[np.nan_to_num(closed) >= LIKELY_CLOSED].sum())
        yield Row("Transportation", f"Closed for a {vehicle}", "km", shut, whole)
    unseen = np.isnan(access.car) | np.isnan(access.truck)
    yield Row("Transportation", "Not analysed", "km", float(km[unseen].sum()), whole)


def _reached(buildings: Buildings) -> Iterator[Row]:
    if buildings.reached is None:
        return
    p = buildings.reached
    known = np.isfinite(p)
    # no bounds: one closed street cuts off all along it, so that buildings are not independent of each other
    yield Row("Access", "Isolated buildings", "number", float((p[known] < 0.5).sum()), float(len(buildings)))


def _plain(kind: str) -> str:
    return {names.NO_TYPE: "Buildings of unknown use"}.get(kind, kind.partition("-")[2])
