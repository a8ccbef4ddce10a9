"""Where samples lie on the Earth, and whether splits overlap there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from mage.scenes.dataset.schema import GridRecord
from mage.scenes.errors import DatasetError

DEGREES = 7  # decimals of a degree: a centimetre
TOUCH = 1e-3  # metres by which tiles that only touch may seem to overlap

Boxes = NDArray[np.float64]  # (n, 4) west, south, east, north in metres


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two splits beside each other: cities and events in both, the first one's samples of which a part lies in the
    second's, and the least distance in metres between samples of the two on one map, None where they share none.
    """

    first: str
    second: str
    cities: tuple[str, ...]
    events: tuple[str, ...]
    overlapping: int
    apart: float | None


def bounds_of(grid: GridRecord) -> tuple[float, float, float, float]:
    """West, south, east and north of a tile on its map, metres."""
    return grid.west, grid.north - grid.rows * grid.gsd, grid.west + grid.columns * grid.gsd, grid.north


def footprint(grid: GridRecord) -> shapely.Polygon | None:
    """A tile's outline in degrees of WGS 84, counter-clockwise; None in a frame that lies nowhere.

    Raises:
        DatasetError: the tile's CRS is not known, or does not hold there.
    """
    if grid.crs is None:
        return None
    west, south, east, north = bounds_of(grid)
    corners = np.array([(west, south), (east, south), (east, north), (west, north)])
    try:
        lon, lat = _to_degrees(grid.crs).transform(corners[:, 0], corners[:, 1], errcheck=True)
    except (CRSError, ProjError) as error:
        raise DatasetError(f"a sample's CRS cannot be used: {error}", found=grid.crs) from None
    return shapely.Polygon(np.round(np.stack([lon, lat], axis=1), DEGREES))


def crs_fields(crs: str | None) -> dict[str, Any]:
    """A CRS as STAC's projection extension has it: ``proj:code``, or ``proj:wkt2`` where it has no code."""
    if crs is None:
        return {"proj:code": None}
    code, text = _code_and_text(crs)
    return {"proj:code": code} if code else {"proj:code": None, "proj:wkt2": text}


@lru_cache(maxsize=64)
def _code_and_text(crs: str) -> tuple[str | None, str]:
    known = CRS(crs)
    authority = known.to_authority()
    return None if authority is None else ":".join(authority), known.to_wkt()


@lru_cache(maxsize=64)
def _to_degrees(crs: str) -> Transformer:
    return Transformer.from_crs(CRS(crs), CRS(4326), always_xy=True)


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """The tiles of one split on one map: a map is a CRS, or the frame of a city that lies nowhere."""

    boxes: Boxes
    tree: shapely.STRtree


def overlaps(
    places: Sequence[tuple[str, str, str, str, tuple[float, float, float, float]]],
) -> list[Overlap]:
    """Every two splits beside each other.

    Args:
        places: split, city, event, map and bounds of every sample.
    """
    splits = sorted({place[0] for place in places})
    found: dict[tuple[str, str], list[tuple[float, float, float, float]]] = {}
    names: dict[str, tuple[set[str], set[str]]] = {split: (set(), set()) for split in splits}
    for split, city, event, chart, box in places:
        found.setdefault((split, chart), []).append(box)
        names[split][0].add(city)
        names[split][1].add(event)
    grounds = {key: _ground(np.asarray(boxes)) for key, boxes in found.items()}
    return [_overlap(a, b, names, grounds) for a, b in combinations(splits, 2)]


def _ground(boxes: Boxes) -> Ground:
    return Ground(boxes, shapely.STRtree(shapely.box(*boxes.T)))


def _overlap(
    a: str, b: str, names: dict[str, tuple[set[str], set[str]]], grounds: dict[tuple[str, str], Ground]
) -> Overlap:
    overlapping, apart = 0, None
    for chart in sorted({c for s, c in grounds if s == a} & {c for s, c in grounds if s == b}):
        mine, theirs = grounds[a, chart], grounds[b, chart]
        west, south, east, north = mine.boxes.T
        inner = shapely.box(west + TOUCH, south + TOUCH, east - TOUCH, north - TOUCH)
        overlapping += len(np.unique(theirs.tree.query(inner, predicate="intersects")[0]))
        _, distance = theirs.tree.query_nearest(shapely.box(*mine.boxes.T), return_distance=True, all_matches=False)
        nearest = float(distance.min())
        apart = nearest if apart is None else min(apart, nearest)
    cities, events = (tuple(sorted(names[a][k] & names[b][k])) for k in (0, 1))
    return Overlap(a, b, cities, events, overlapping, None if apart is None else round(apart, 1))
