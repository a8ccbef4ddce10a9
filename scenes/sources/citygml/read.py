"""CityGML 1.0, 2.0 and 3.0, read in passing so that the file never stands in memory as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, BinaryIO, cast

import numpy as np
from lxml import etree

from mage.scenes.sources.citygml.buildings import BuildingDraft
from mage.scenes.sources.citygml.features import KINDS, FeatureDraft
from mage.scenes.sources.citygml.gml import Geometry
from mage.scenes.sources.citygml.links import Links
from mage.scenes.sources.citygml.nodes import CityObject, ObjectTarget
from mage.scenes.sources.crs import horizontal, parse_crs
from mage.scenes.sources.raw import Floats, RawBuilding, RawCity, RawFeature

BLOCK = 2**16  # bytes read at a time
Within = Callable[[Sequence[str], Floats], bool]
_METRES_A_DEGREE = 111_195.0  # along a meridian of a sphere of 6371 km

KEPT = frozenset({"Building", *KINDS})


def read_citygml(stream: BinaryIO, within: Within | None = None) -> RawCity:
    """All city objects of a CityGML file, open in binary mode.

    Args:
        stream: read once, from where it stands to its end.
        within: asked for each city object, with the names of coordinate systems met so far and its points (n, 3) as
            the file gives them (of implicit geometry, where it stands), whether it is to be kept; what is not leaves
            nothing behind but a count.

    Raises:
        CityError: no CityGML, a version that is not read, a DOCTYPE, links in a circle, nesting beyond all measure.
        lxml.etree.XMLSyntaxError: broken XML.
    """
    collector = _Collector(within)
    target = ObjectTarget(KEPT, collector.take, collector.notes)
    collector.crs = target.crs
    parser = etree.XMLParser(
        target=cast(Any, target), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    while block := stream.read(BLOCK):
        parser.feed(block)
    parser.close()
    buildings, features = collector.finish()
    return RawCity(f"CityGML {target.version}", buildings, tuple(target.crs), notes=+collector.notes, features=features)


@lru_cache(maxsize=256)
def _degrees(crs: str) -> str | None:
    """The order of the axes of a CRS in degrees; empty for one in metres or feet, None for one that is not known."""
    known = parse_crs(crs)
    if known is None:
        return None
    plane = horizontal(known)
    if not plane.is_geographic:
        return ""
    return "north, east" if plane.axis_info[0].direction == "north" else "east, north"


class _Collector:
    """What has been read and kept so far, with links not yet followed."""

    def __init__(self, within: Within | None) -> None:
        self.notes: Counter[str] = Counter()
        self.crs: dict[str, None] = {}
        self._within = within
        self._links = Links(self.notes)
        self._buildings: list[BuildingDraft] = []
        self._features: list[FeatureDraft] = []

    def take(self, found: CityObject) -> None:
        """Keeps a city object or drops it."""
        if not self._wanted(found.roots):
            self.notes["outside the bounds"] += 1
            return
        if found.node.name == "Building":
            self._buildings.append(BuildingDraft.of(found.node, found.notes, self._placing))
        else:
            self._features.append(FeatureDraft.of(found.node, found.notes, self._placing))
        self.notes.update(found.notes)
        for identifier, geometry in found.named:
            self._links.add(identifier, geometry)

    def _wanted(self, roots: Sequence[Geometry]) -> bool:
        """Whether an object is to be kept; one that only links to others is, for nobody knows yet where it is."""
        if self._within is None:
            return True
        points = [points for root in roots for points in root.own_points()]
        if points:
            together = points[0] if len(points) == 1 else np.concatenate(points)
            finite = np.isfinite(together).all(axis=1)
            together = together if finite.all() else together[finite]
            if len(together):
                return self._within(tuple(self.crs), together)
        return any(root.linked for root in roots)

    def _placing(self, reference: Floats) -> Floats:
        """Implicit geometry is in metres from east to west and south to north, also where the file is in degrees."""
        axes = next((found for name in self.crs if (found := _degrees(name)) is not None), "")
        if not axes:
            return np.eye(3)
        latitude_first = axes == "north, east"
        latitude = reference[0 if latitude_first else 1]
        north, east = 1 / _METRES_A_DEGREE, 1 / (_METRES_A_DEGREE * max(np.cos(np.radians(latitude)), 1e-3))
        rows = [[0, north, 0], [east, 0, 0]] if latitude_first else [[east, 0, 0], [0, north, 0]]
        return np.array([*rows, [0, 0, 1.0]])

    def finish(self) -> tuple[list[RawBuilding], list[RawFeature]]:
        """All that was kept, links followed."""
        buildings = [draft.finish(self._links) for draft in self._buildings]
        features: list[RawFeature] = []
        for draft in self._features:
            found = list(draft.finish(self._links))
            self.notes["features without geometry left out"] += not found
            features += found
        return buildings, features
