"""GML 3 geometry as it stands in CityGML, gathered from a parser's events into flat arrays without a tree."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mage.scenes.sources.raw import Floats

HREF = "{http://www.w3.org/1999/xlink}href"
IDS = ("{http://www.opengis.net/gml}id", "{http://www.opengis.net/gml/3.2}id")
LONGEST_LIST = 10_000_000  # characters of one list of coordinates; the largest real ones hold a thousandth of it
_POLYGONS = frozenset({"Polygon", "PolygonPatch", "Triangle", "Rectangle"})
_CURVED = frozenset(
    {"Arc", "ArcString", "ArcByBulge", "ArcStringByBulge", "Circle", "Bezier", "BSpline", "CubicSpline", "Geodesic"}
)
_LINES = frozenset({"LineString", "LineStringSegment", "LinearRing"}) | _CURVED
_COORDINATES = frozenset({"pos", "posList", "coordinates"})
_OUTER = frozenset({"exterior", "outerBoundaryIs"})
_INNER = frozenset({"interior", "innerBoundaryIs"})
_SIDES = _OUTER | _INNER
_UNREADABLE = "rings without three coordinates a point left out"


def _doubles() -> array[float]:
    return array("d")


def _integers() -> array[int]:
    return array("q")


@dataclass(slots=True, eq=False)
class Geometry:
    """Polygons, lines and points that carry no id of their own, and members that do: geometries, or ids elsewhere.

    Attributes:
        coordinates: x, y, z of the polygons' points, ring after ring; the first point is not repeated at the end.
        sizes: points of each ring.
        rings: rings of each polygon, the outer one first.
        lines: (k, 3) each.
        places: x, y, z of points.
        members: geometries, or ids of such that stand elsewhere.
        reversed: whether it is an OrientableSurface that turns all of these over.
        linked: whether there is an id among the members, at any depth.
        used: whether it has been handed out before.
    """

    coordinates: array[float] = field(default_factory=_doubles)
    sizes: array[int] = field(default_factory=_integers)
    rings: array[int] = field(default_factory=_integers)
    lines: list[Floats] = field(default_factory=list)
    places: array[float] = field(default_factory=_doubles)
    members: list[Geometry | str] = field(default_factory=list)
    reversed: bool = False
    linked: bool = False
    used: bool = False

    def own_points(self) -> list[Floats]:
        """All points (n, 3) of polygons, lines and places at and below it, links not followed."""
        found, stack = [], [self]
        while stack:
            item = stack.pop()
            found += [rows(item.coordinates), *item.lines, rows(item.places)]
            stack += [member for member in item.members if isinstance(member, Geometry)]
        return [points for points in found if len(points)]


def rows(numbers: array[float]) -> Floats:
    """Triples of numbers as (n, 3), without a copy."""
    return np.frombuffer(numbers, np.float64).reshape(-1, 3) if numbers else np.zeros((0, 3))


def id_of(attributes: Mapping[str, str]) -> str | None:
    """The gml:id among an element's attributes."""
    return attributes.get(IDS[0]) or attributes.get(IDS[1]) or None


class GeometryReader:
    """Makes one :class:`Geometry` of all that stands inside an element that holds geometry.

    :meth:`begin` is called with the element's attributes, then :meth:`start`, :meth:`data` and :meth:`end` with all
    that is inside; ``root`` is the geometry. Geometries with an id are put into ``named`` as they end.
    """

    def __init__(self, notes: Counter[str]) -> None:
        self.notes = notes
        self.named: list[tuple[str, Geometry]] = []
        self.root = Geometry()
        self._stack = [self.root]

    def begin(self, attributes: Mapping[str, str]) -> None:
        """A new element that holds geometry."""
        self.root = Geometry()
        self._stack = [self.root]
        self._depth = self._hidden = self._shape = self._list = 0
        self._dimensions: list[tuple[int, str]] = []
        self._text: list[str] | None = None
        self._polygon = self._readable = True
        self._numbers = _doubles()
        self._rings: list[array[float]] = []
        self._name: str | None = None
        self._attributes(self.root, attributes)

    def _attributes(self, geometry: Geometry, attributes: Mapping[str, str]) -> None:
        if (dimension := attributes.get("srsDimension")) is not None:
            self._dimensions.append((self._depth, dimension.strip()))
        if (link := attributes.get(HREF)) is not None:
            geometry.members.append(link.rpartition("#")[2])
            geometry.linked = True

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        self._depth += 1
        if self._hidden or self._text is not None:
            return
        if name in _COORDINATES:
            self._text, self._length, self._list = [], 0, self._depth
            if attributes:
                self._attributes(self._stack[-1], attributes)
        elif self._shape:
            self._inside_shape(name, attributes)
        elif name in _POLYGONS or name in _LINES:
            self._open_shape(name, attributes)
        elif name in _INNER:  # the inner shell of a solid is a cavity that nobody sees
            self._hidden = self._depth
        elif attributes:
            self._open_container(name, attributes)
        else:
            self._stack.append(self._stack[-1])

    def _inside_shape(self, name: str, attributes: Mapping[str, str]) -> None:
        if name in _CURVED:
            self.notes["curves taken as straight lines"] += 1
        elif self._polygon and name in _SIDES:
            self._numbers, self._readable = _doubles(), True
        if attributes and "srsDimension" in attributes:
            self._attributes(self._stack[-1], {"srsDimension": attributes["srsDimension"]})

    def _open_shape(self, name: str, attributes: Mapping[str, str]) -> None:
        self._shape, self._polygon = self._depth, name in _POLYGONS
        self._numbers, self._readable, self._rings = _doubles(), True, []
        self._name = id_of(attributes) if attributes else None
        self._inside_shape(name, attributes)

    def _open_container(self, name: str, attributes: Mapping[str, str]) -> None:
        geometry = self._stack[-1]
        identifier = id_of(attributes)
        if identifier is not None or name == "OrientableSurface":
            geometry = Geometry(reversed=attributes.get("orientation") == "-" and name == "OrientableSurface")
        if identifier is not None:
            self.named.append((identifier, geometry))
        self._stack.append(geometry)
        self._attributes(geometry, attributes)

    def data(self, text: str) -> None:
        """Text inside of an element."""
        if self._text is not None:
            self._length += len(text)
            if self._length <= LONGEST_LIST:
                self._text.append(text)

    def end(self, name: str) -> None:
        """An element ends."""
        depth = self._depth
        self._depth -= 1
        if self._hidden:
            self._hidden = 0 if depth == self._hidden else self._hidden
            return
        if self._text is not None:
            if depth > self._list:
                return
            self._take_numbers("".join(self._text))
            self._text = None
        elif self._shape:
            if depth == self._shape:
                self._close_shape()
            elif self._polygon and name in _SIDES:
                self._close_ring(outer=name in _OUTER)
        else:
            child = self._stack.pop()
            if child is not self._stack[-1]:
                self._attach(child)
        if self._dimensions and self._dimensions[-1][0] == depth:
            self._dimensions.pop()

    def _attach(self, child: Geometry) -> None:
        parent = self._stack[-1]
        parent.members.append(child)
        parent.linked |= child.linked

    def _take_numbers(self, text: str) -> None:
        flat = bool(self._dimensions) and self._dimensions[-1][1] != "3"
        try:
            numbers = array("d", map(float, (text.replace(",", " ") if "," in text else text).split()))
        except ValueError:
            numbers, flat = _doubles(), True
        if self._length > LONGEST_LIST:
            self.notes["lists of coordinates that are too long left out"] += 1
            numbers, flat = _doubles(), True
        if self._shape:
            self._numbers.extend(numbers)
            self._readable = self._readable and not flat
        elif flat or len(numbers) % 3:
            self.notes["points without three coordinates left out"] += 1
        else:
            self._stack[-1].places.extend(numbers)

    def _close_ring(self, *, outer: bool) -> None:
        """The ring's points without the closing one; nothing where they cannot be read."""
        ring, self._numbers = self._numbers, _doubles()
        if not self._readable or not ring or len(ring) % 3:
            self.notes[_UNREADABLE] += 1
            ring = _doubles()
        elif len(ring) < 6 or ring[:3] != ring[-3:]:
            self.notes["rings closed"] += 1
        else:
            del ring[-3:]
        if outer:
            self._rings[:1] = [ring]
        elif self._rings and ring:
            self._rings.append(ring)

    def _close_shape(self) -> None:
        self._shape = 0
        geometry = self._stack[-1] if self._name is None else Geometry()
        if self._polygon:
            if self._rings and self._rings[0]:
                for ring in self._rings:
                    geometry.coordinates.extend(ring)
                    geometry.sizes.append(len(ring) // 3)
                geometry.rings.append(len(self._rings))
        elif not self._readable or len(self._numbers) % 3:
            self.notes["lines without three coordinates a point left out"] += 1
        elif len(self._numbers) >= 6:
            geometry.lines.append(np.array(self._numbers).reshape(-1, 3))
        if self._name is not None:
            self.named.append((self._name, geometry))
            self._attach(geometry)
