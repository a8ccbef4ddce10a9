"""What an OpenStreetMap file holds, whatever its format: tagged points, lines and areas in degrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import shapely
from numpy.typing import NDArray

Tags = Mapping[str, str]
Box = tuple[float, float, float, float]  # west, south, east, north

NEIGHBOURHOOD = 0.003  # degrees around asked bounds in which the parts of a building at their edge may lie

# keys of which an object needs one to be of use
KEYS = (
    "building",
    "building:part",
    "highway",
    "railway",
    "waterway",
    "natural",
    "landuse",
    "leisure",
    "amenity",
    "barrier",
    "aeroway",
    "place",
    "surface",
)


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """One object.

    Attributes:
        id: ``node/1``, ``way/2``, ``relation/3``, or what the file calls it.
        tags: as in the file.
        shape: a Point, LineString, Polygon or MultiPolygon; degrees east and north at first, local metres later.
        nodes: of a line: an integer per vertex, the same where lines meet; empty for all others.
    """

    id: str
    tags: Tags
    shape: shapely.Geometry
    nodes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A ``type=building`` relation: which ids are its outlines and which its parts."""

    id: str
    tags: Tags
    outlines: tuple[str, ...]
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Elements:
    """The objects of a file, each kind in the file's order; ``box`` is what the header says it covers."""

    format: str
    points: Sequence[Element] = ()
    lines: Sequence[Element] = ()
    areas: Sequence[Element] = ()
    groups: Sequence[Group] = ()
    box: Box | None = None
    notes: Counter[str] = field(default_factory=Counter)

    def meeting(self, bounds: Box) -> Elements:
        """Only what meets ``bounds`` (degrees); buildings and their parts also in the neighbourhood, because a
        building at the edge needs all its parts.
        """
        near = shapely.box(*grown(bounds, NEIGHBOURHOOD))
        exact = shapely.box(*bounds)
        house = np.array([is_house(a.tags) for a in self.areas], bool)
        return replace(
            self,
            points=_kept(self.points, _meets(self.points, exact)),
            lines=_kept(self.lines, _meets(self.lines, exact)),
            areas=_kept(self.areas, np.where(house, _meets(self.areas, near), _meets(self.areas, exact))),
        )


def is_house(tags: Tags) -> bool:
    """Whether a building, or a part of one, is tagged."""
    return "building" in tags or "building:part" in tags


def grown(box: Box, margin: float) -> Box:
    """The box with ``margin`` more on every side."""
    return box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin


def _meets(elements: Sequence[Element], frame: shapely.Geometry) -> NDArray[np.bool_]:
    shapely.prepare(frame)
    return np.asarray(shapely.intersects(frame, np.array([e.shape for e in elements], dtype=object)), bool)


def _kept(elements: Sequence[Element], keep: NDArray[np.bool_]) -> list[Element]:
    return [e for e, kept in zip(elements, keep, strict=True) if kept]
