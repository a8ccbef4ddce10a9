"""What a monitoring product tells of an earlier one: layers of what changed, and the figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.learning.mapping.findings import Findings
from mage.learning.mapping.monitoring import CLOSED_NOW, GONE, OPENED, SAME, Differences
from mage.learning.mapping.product import names
from mage.learning.mapping.product.drawing import quantity
from mage.learning.mapping.product.table import AREA, LINE, Layer, number, polygons, text

BUILDING = "Building"
WORD_WORSE, WORD_BETTER = "Worse", "Better"
WORSE, BETTER = ("newly damaged", "worse"), ("less damaged",)  # of buildings


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """What is worse, or what is better, than in an earlier product.

    Attributes:
        word: "Worse" or "Better".
        since: name of the earlier product.
        colour: in which maps show it.
        buildings: positions of these.
        outlines: buildings, and what an extent covers beyond the earlier one, or not any more.
        lines: streets that were closed, or opened.
        amount: of it, in words.
    """

    word: str
    since: str
    colour: str
    buildings: NDArray[np.int64]
    outlines: NDArray[np.object_]
    lines: NDArray[np.object_]
    amount: str


def turns(findings: Findings) -> tuple[Turn, ...]:
    """What is worse and what is better than in the product that this one updates, without what is neither; none where
    it updates none.
    """
    found = findings.differences
    if found is None:
        return ()
    worse = _turn(findings, found, WORD_WORSE, "#7b1fa2", WORSE, found.closed)
    better = _turn(findings, found, WORD_BETTER, "#00838f", BETTER, found.opened)
    return tuple(turn for turn in (worse, better) if len(turn.outlines) or len(turn.lines))


def _turn(
    findings: Findings, found: Differences, word: str, colour: str, words: tuple[str, ...], edges: NDArray[np.int64]
) -> Turn:
    chosen = np.flatnonzero(np.isin(found.change, words))
    shapes = [change.grown if word == WORD_WORSE else change.shrunk for change in found.extents]
    parts = polygons([shape for shape in shapes if shape.area > 0])
    roads = () if findings.access is None else findings.access.roads.lines
    lines = np.array([roads[edge] for edge in edges.tolist()], dtype=object)
    amounts = [(f"{len(chosen):,} buildings", len(chosen) > 0)]
    amounts.append((quantity(float(shapely.area(parts).sum()) / 1e4, "ha"), len(parts) > 0))
    amounts.append((f"{quantity(float(shapely.length(lines).sum()) / 1e3, 'km')} of road", len(lines) > 0))
    told = ", ".join(words for words, there in amounts if there)
    outlines = np.concatenate([findings.buildings.outline[chosen], parts])
    return Turn(word, found.before, colour, chosen, outlines, lines, told)


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
