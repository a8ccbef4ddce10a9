"""GML 3 geometry as it stands in CityGML: polygons, the surfaces and solids that hold them, and links between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from lxml import etree

from mage.scenes.errors import CityError
from mage.scenes.sources.raw import Floats

Element = etree._Element

HREF = "{http://www.w3.org/1999/xlink}href"
_IDS = ("{http://www.opengis.net/gml}id", "{http://www.opengis.net/gml/3.2}id")
_POLYGONS = frozenset({"Polygon", "PolygonPatch", "Triangle", "Rectangle"})
_COORDINATES = frozenset({"pos", "posList", "coordinates"})


@dataclass(slots=True, eq=False)
class Geometry:
    """A polygon (its rings, outer first), or whatever holds members: geometries, or ids of such that stand elsewhere.

    ``reversed`` is true for an OrientableSurface that turns its members over.
    """

    rings: list[Floats] = field(default_factory=list)
    members: list[Geometry | str] = field(default_factory=list)
    reversed: bool = False


def local_name(element: Element) -> str:
    """The tag without its namespace; empty for comments and processing instructions."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def gml_id(element: Element) -> str | None:
    """The element's gml:id."""
    return next((value for name in _IDS if (value := element.get(name))), None)


class Geometries:
    """All geometries of a file that carry an id, so that links can be followed once the file has been read."""

    def __init__(self, notes: Counter[str]) -> None:
        self.notes = notes
        self._known: dict[str, Geometry] = {}

    def read(self, element: Element, dimension: str = "3") -> Geometry:
        """The geometry at and below an element; ``dimension`` is the srsDimension that holds around it."""
        name = local_name(element)
        dimension = element.get("srsDimension", dimension)
        geometry = Geometry()
        if name in _POLYGONS:
            geometry.rings = self._rings(element, dimension)
        else:
            geometry.reversed = name == "OrientableSurface" and element.get("orientation") == "-"
            link = element.get(HREF)
            if link is not None:
                geometry.members.append(link.rpartition("#")[2])
            # an interior shell is a cavity that nobody sees
            below = (child for child in element if local_name(child) not in ("", "interior"))
            geometry.members += [self.read(child, dimension) for child in below]
        if (identifier := gml_id(element)) is not None:
            self._known[identifier] = geometry
        return geometry

    def polygons(self, root: Geometry, done: set[int]) -> Iterator[tuple[Geometry, bool]]:
        """Every polygon at and below the root that is not in ``done`` yet, and whether it is turned over.

        Raises:
            CityError: a geometry that holds itself.
        """
        above: set[int] = set()
        stack = [(root, False, False)]
        while stack:
            geometry, turned, leaving = stack.pop()
            key = id(geometry)
            if leaving:
                above.discard(key)
            elif key in above:
                raise CityError("its xlinks go round in a circle", expected="geometry that does not hold itself")
            elif key not in done:
                done.add(key)
                above.add(key)
                if geometry.rings:
                    yield geometry, turned
                stack.append((geometry, turned, True))
                below = turned ^ geometry.reversed
                stack.extend((member, below, False) for member in reversed(self._members(geometry)))

    def _members(self, geometry: Geometry) -> list[Geometry]:
        """The geometry's members, links followed."""
        found = [self._known.get(m) if isinstance(m, str) else m for m in geometry.members]
        self.notes["links to geometry that is not there"] += sum(m is None for m in found)
        return [m for m in found if m is not None]

    def links(self, root: Geometry) -> bool:
        """Whether the geometry points to others."""
        return any(isinstance(m, str) or self.links(m) for m in root.members)

    def _rings(self, polygon: Element, dimension: str) -> list[Floats]:
        """The outer ring and the holes; nothing if the outer one cannot be read."""
        outer, holes = None, []
        for side in polygon:
            name = local_name(side)
            if name in ("exterior", "outerBoundaryIs"):
                outer = self._ring(side, dimension)
            elif name in ("interior", "innerBoundaryIs") and (hole := self._ring(side, dimension)) is not None:
                holes.append(hole)
        return [] if outer is None else [outer, *holes]

    def _ring(self, side: Element, dimension: str) -> Floats | None:
        """The ring's points (n, 3), the closing one dropped; None where they cannot be read."""
        words, flat = [], False
        for element in side.iter(etree.Element):
            if local_name(element) in _COORDINATES:
                words += (element.text or "").replace(",", " ").split()
                flat |= element.get("srsDimension", dimension) != "3"
        try:
            points = np.array(words, float).reshape(-1, 3)
        except ValueError:
            flat = True
        if flat:
            self.notes["rings without three coordinates a point left out"] += 1
            return None
        if len(points) < 2 or not np.array_equal(points[0], points[-1]):
            self.notes["rings closed"] += 1
            return points
        return points[:-1]
