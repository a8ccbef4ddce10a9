"""Railways, barriers and trees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import shapely

from mage.scenes.city import Barrier, Railway, Trees
from mage.scenes.sources.osm import tags as values
from mage.scenes.sources.osm.elements import Element, Tags

GAUGE = 1.435
GAUGES = (0.3, 2.2)  # metres between which a tagged gauge is believed
RAILWAYS = ("rail", "tram", "light_rail", "subway", "narrow_gauge", "monorail", "funicular", "preserved")

# kind, height and width in metres, of barriers that can be seen from above; dimensions are the usual ones
BARRIERS = {
    "fence": ("fence", 1.4, 0.08),
    "guard_rail": ("fence", 0.8, 0.15),
    "wall": ("wall", 1.8, 0.3),
    "city_wall": ("wall", 6.0, 1.5),
    "retaining_wall": ("wall", 1.2, 0.4),
    "hedge": ("hedge", 1.6, 0.8),
}
TALLEST_BARRIER, WIDEST_BARRIER = 30.0, 10.0

TREE_HEIGHT = (6.0, 13.0)  # metres of trees in streets and parks that do not state theirs
CROWN_SHARE = 0.26  # crown radius over height of a tree in the open
GIRTH_HEIGHT = 8.0  # metres of height per metre of girth of the trunk, for trees between young and old
ROW_INTERVAL = 9.0  # metres between the trees of a row
MOST_IN_ROW = 2_000
GOLDEN = 0.618033988749895  # its multiples' fractions spread evenly: sizes that vary without any draw
CONIFER = 1


def read_railways(lines: Sequence[Element], notes: Counter[str]) -> tuple[Railway, ...]:
    """Tracks above the ground, of lines in local metres."""
    found = []
    for line in lines:
        kind = line.tags.get("railway", "")
        if kind not in RAILWAYS:
            continue
        if values.is_underground(line.tags) or values.is_yes(line.tags, "covered"):
            notes["railways underground left out"] += 1
            continue
        tracks = values.number(line.tags.get("tracks"))
        found.append(
            Railway(
                line.shape,
                int(tracks) if tracks is not None and 1 <= tracks <= 20 else 1,
                _gauge(line.tags),
                "rail" if kind == "preserved" else kind,
                values.is_yes(line.tags, "bridge"),
            )
        )
    return tuple(found)


def _gauge(tags: Tags) -> float:
    stated = values.number(tags.get("gauge", "").split(";")[0])
    metres = (stated or 0.0) / 1000
    return metres if GAUGES[0] <= metres <= GAUGES[1] else GAUGE


def read_barriers(lines: Sequence[Element]) -> tuple[Barrier, ...]:
    """Fences, walls and hedges, of lines in local metres."""
    found = []
    for line in lines:
        known = BARRIERS.get(line.tags.get("barrier", ""))
        if known is None or values.is_underground(line.tags):
            continue
        kind, height, width = known
        tall, wide = values.length(line.tags.get("height")), values.length(line.tags.get("width"))
        height = tall if tall is not None and 0 < tall <= TALLEST_BARRIER else height
        width = wide if wide is not None and 0 < wide <= WIDEST_BARRIER else width
        found.append(Barrier(line.shape, kind, height, width))
    return tuple(found)


def read_trees(points: Sequence[Element], lines: Sequence[Element], notes: Counter[str]) -> Trees:
    """Single trees and rows of them, of elements in local metres.

    Without a height it follows from the crown, from the trunk's girth, or is spread evenly over 6 to 13 m.
    """
    places = [(p.shape.x, p.shape.y) for p in points if p.tags.get("natural") == "tree"]
    tags: list[Tags] = [p.tags for p in points if p.tags.get("natural") == "tree"]
    for line in lines:
        if line.tags.get("natural") == "tree_row":
            row = _row(line.shape)
            places += row
            tags += [line.tags] * len(row)
    if not places:
        return Trees()
    sizes = np.array([_size(t, i, notes) for i, t in enumerate(tags)])
    species = np.array([CONIFER if _is_conifer(t) else 0 for t in tags], np.uint8)
    return Trees(np.array(places, dtype=np.float64), sizes[:, 0].copy(), sizes[:, 1].copy(), species)


def _row(line: shapely.LineString) -> list[tuple[float, float]]:
    count = min(MOST_IN_ROW, int(line.length / ROW_INTERVAL) + 1)
    at = np.linspace(0, line.length, max(2, count))
    return [(x, y) for x, y in shapely.get_coordinates(shapely.line_interpolate_point(line, at)).tolist()]


def _size(tags: Tags, position: int, notes: Counter[str]) -> tuple[float, float]:
    """Height and crown radius in metres of the ``position``-th tree."""
    height, crown = values.length(tags.get("height")), values.length(tags.get("diameter_crown"))
    girth = values.length(tags.get("circumference"))
    height = height if height is not None and 1 <= height <= 120 else None
    radius = crown / 2 if crown is not None and 0.5 <= crown <= 50 else None
    if height is None:
        notes["trees without a height"] += 1
        low, high = TREE_HEIGHT
        height = low + (high - low) * (position * GOLDEN % 1)
        if radius is not None:
            height = radius / CROWN_SHARE
        elif girth is not None and 0.05 <= girth <= 12:
            height = min(max(3.0, girth * GIRTH_HEIGHT), 30.0)
    return height, radius if radius is not None else height * CROWN_SHARE


def _is_conifer(tags: Tags) -> bool:
    return tags.get("leaf_type") == "needleleaved" or tags.get("type") == "conifer"
