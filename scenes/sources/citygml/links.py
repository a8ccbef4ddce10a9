"""Links between the geometries of a GML file, followed once the file has been read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from mage.scenes.errors import CityError
from mage.scenes.sources.citygml.gml import Geometry

MOST_REPEATED = 20_000_000  # points and geometries handed out more than once; a small file could ask for billions


class Links:
    """All geometries of the kept objects that carry an id."""

    def __init__(self, notes: Counter[str]) -> None:
        self.notes = notes
        self._known: dict[str, Geometry] = {}
        self._repeated = 0

    def add(self, identifier: str, geometry: Geometry) -> None:
        """A geometry that may be linked to; of two with one id the first counts."""
        if self._known.setdefault(identifier, geometry) is not geometry:
            self.notes["geometry ids that were taken"] += 1

    def walk(
        self, root: Geometry, done: set[int], weight: Callable[[Geometry], int]
    ) -> Iterator[tuple[Geometry, bool]]:
        """Every geometry at and below the root that is not in ``done`` yet, and whether its faces are turned over.

        What has been handed out before is handed out again only while the ``weight`` of all such is bearable.

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
            elif key not in done and self._affordable(geometry, weight):
                done.add(key)
                above.add(key)
                turned ^= geometry.reversed
                yield geometry, turned
                stack.append((geometry, turned, True))
                stack.extend((member, turned, False) for member in reversed(self._members(geometry)))

    def _affordable(self, geometry: Geometry, weight: Callable[[Geometry], int]) -> bool:
        if geometry.used:
            self._repeated += 1 + len(geometry.members) + weight(geometry)
            if self._repeated > MOST_REPEATED:
                self.notes["geometry repeated too often left out"] += 1
                return False
        geometry.used = True
        return True

    def _members(self, geometry: Geometry) -> list[Geometry]:
        """The geometry's members, links followed."""
        found = [self._known.get(m) if isinstance(m, str) else m for m in geometry.members]
        if missing := sum(m is None for m in found):
            self.notes["links to geometry that is not there"] += missing
        return [m for m in found if m is not None]
