"""What a sheet and a report show of an update: what is worse, and what is better, than in the product before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.learning.mapping.findings import Findings
from mage.learning.mapping.monitoring import Differences
from mage.learning.mapping.product.drawing import quantity
from mage.learning.mapping.product.table import polygons

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
