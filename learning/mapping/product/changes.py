"""What a monitoring product tells of an earlier one: layers of what changed, and the figures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely

from mage.learning.mapping.findings import Findings
from mage.learning.mapping.monitoring import CLOSED_NOW, GONE, OPENED, SAME, Differences
from mage.learning.mapping.product import names
from mage.learning.mapping.product.table import AREA, LINE, Layer, number, polygons, text

BUILDING = "Building"


def changes(findings: Findings) -> list[Layer]:
    """Buildings whose grade changed, that are new or gone, extents that grew or shrank, roads that were opened or
    closed, and a table of how many; nothing where no earlier product was given.
    """
    found = findings.differences
    if found is None:
        return []
    rows = found.rows(findings)
    table = {
        "item": text(item for item, _, _ in rows),
        "amount": number([amount for _, amount, _ in rows]),
        "unit": text(unit for _, _, unit in rows),
        "since": text([found.before] * len(rows)),
    }
    return [_areas(findings, found), *_roads(findings, found), Layer("differences", None, None, table, "what changed")]


def _areas(findings: Findings, found: Differences) -> Layer:
    every = [*_buildings(findings, found), *_extents(found)]
    outlines = polygons([outline for outline, *_ in every])
    columns = {
        name: text(row[k] for row in every) for k, name in enumerate(("id", "obj_desc", "change", "before", "now"), 1)
    }
    columns["area"] = number(shapely.area(outlines))
    return Layer("changes", AREA, outlines, columns, f"what changed since {found.before}; area in square metres")


def _buildings(findings: Findings, found: Differences) -> Iterator[tuple[object, ...]]:
    """Outline, id, what it is, what became of it, its grades before and now."""
    buildings = findings.buildings
    for k in np.flatnonzero(found.change != SAME):
        grades = found.previous[k], buildings.verdict[k]
        yield buildings.outline[k], buildings.identity[k], BUILDING, found.change[k], *grades
    for outline, identity, verdict in zip(found.gone, found.gone_identity, found.gone_verdict, strict=True):
        yield outline, identity, BUILDING, GONE, verdict, ""


def _extents(found: Differences) -> Iterator[tuple[object, ...]]:
    for change in found.extents:
        for how, shape in change.parts:
            for k, part in enumerate(shapely.get_parts(shape), 1):
                if part.area > 0:
                    yield part, f"{change.what}/{how}/{k}", names.OBSERVED[change.what], how, "", ""


def _roads(findings: Findings, found: Differences) -> list[Layer]:
    if findings.access is None:
        return []
    roads = findings.access.roads
    edges = np.concatenate([found.opened, found.closed])
    called = roads.name or ("",) * len(roads)
    columns = {
        "id": text(edges),
        "name": text(called[edge] or names.UNKNOWN for edge in edges.tolist()),
        "change": text([OPENED] * len(found.opened) + [CLOSED_NOW] * len(found.closed)),
        "length_m": number(roads.length[edges]),
    }
    lines = np.array(roads.lines, dtype=object)[edges]
    return [Layer("changes", LINE, lines, columns, f"streets opened and closed since {found.before}")]
