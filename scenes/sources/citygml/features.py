"""What is no building in CityGML: roads, water, plants, relief, bridges … to features, a kind of surface at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from mage.scenes.mesh import Surface
from mage.scenes.sources.citygml.attributes import attributes_of
from mage.scenes.sources.citygml.links import Links
from mage.scenes.sources.citygml.nodes import IMPLICIT, INTERIORS, Node, count_ignored
from mage.scenes.sources.citygml.shapes import BOUNDARY, Placing, Shape, lines_of, places_of, shape_of, shells
from mage.scenes.sources.raw import SEMANTICS, Floats, RawFeature

KINDS = {
    "Road": "Road",
    "Track": "Road",
    "TransportationComplex": "Road",
    "Square": "TransportSquare",
    "Railway": "Railway",
    "Waterway": "Waterway",
    "WaterBody": "WaterBody",
    "LandUse": "LandUse",
    "PlantCover": "PlantCover",
    "SolitaryVegetationObject": "SolitaryVegetationObject",
    "ReliefFeature": "TINRelief",
    "TINRelief": "TINRelief",
    "MassPointRelief": "TINRelief",
    "BreaklineRelief": "TINRelief",
    "Bridge": "Bridge",
    "Tunnel": "Tunnel",
    "CityFurniture": "CityFurniture",
    "GenericCityObject": "GenericCityObject",
    "GenericOccupiedSpace": "GenericCityObject",
    "GenericUnoccupiedSpace": "GenericCityObject",
    "GenericThematicSurface": "GenericCityObject",
    "OtherConstruction": "OtherConstruction",
}
"""CityGML's name of an object -> CityJSON's."""

_ROLES = frozenset(
    (
        "TrafficArea",
        "AuxiliaryTrafficArea",
        "TrafficSpace",
        "AuxiliaryTrafficSpace",
        "Marking",
        "HoleSurface",
        "WaterSurface",
        "WaterGroundSurface",
        "WaterClosureSurface",
        "MassPointRelief",
        "BreaklineRelief",
        "BridgeConstructionElement",
        "BridgeConstructiveElement",
        "BridgeInstallation",
        "TunnelConstructiveElement",
        "TunnelInstallation",
    )
)
_LEFT_OUT = frozenset({"RasterRelief", "ClearanceSpace"})
_LEVELS = ("0", "1", "2", "3")
_PLANT = "SolitaryVegetationObject"


@dataclass(slots=True, eq=False)
class _Group:
    """Surfaces of one role that say the same of themselves."""

    role: str
    attributes: dict[str, object]
    shapes: list[Shape] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class FeatureDraft:
    """A feature whose links have not been followed yet."""

    id: str
    kind: str
    groups: dict[object, _Group]

    @classmethod
    def of(cls, node: Node, notes: Counter[str], placing: Placing) -> FeatureDraft:
        """From the element of a city object; what is left out of it is counted."""
        reading = _Reading({}, notes, placing)
        outset: dict[str, object] = {"class": node.name} if node.name == "Track" else {}
        reading.item(node, "", outset, Surface.OTHER, 0)
        return cls(node.id or "", KINDS[node.name], reading.groups)

    def finish(self, links: Links) -> Iterator[RawFeature]:
        """The features with links followed; one for each role and what it says of itself."""
        for group in self.groups.values():
            feature = RawFeature(
                self.id,
                self.kind,
                group.role,
                group.attributes,
                shells(group.shapes, links),
                lines_of(group.shapes, links),
                places_of(group.shapes, links),
            )
            feature = replace(feature, points=_foot(feature)) if self.kind == _PLANT else feature
            if feature.shells or feature.lines or len(feature.points):
                yield feature


def _foot(feature: RawFeature) -> Floats:
    """Where a plant stands (1, 3): the place it states, or under the middle of its geometry; else (0, 3)."""
    if len(feature.points):
        return feature.points[:1]
    points = [polygons.points for level in feature.shells.values() for polygons in level] + list(feature.lines)
    if not points:
        return np.zeros((0, 3))
    with np.errstate(invalid="ignore"):
        low, high = np.concatenate(points).min(axis=0), np.concatenate(points).max(axis=0)
        foot = np.array([[*(low + high)[:2] / 2, low[2]]])
    return foot[np.isfinite(foot).all(axis=1)]


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    groups: dict[object, _Group]
    notes: Counter[str]
    placing: Placing

    def item(self, node: Node, role: str, attributes: dict[str, object], label: Surface, level: int) -> None:
        """A city object, a part of one or a surface of one, and all below it."""
        label = SEMANTICS.get(node.name, label)
        kind = BOUNDARY if node.name in SEMANTICS else ""
        if not kind:  # roofs and walls of a bridge belong together whatever they say of themselves
            attributes = attributes | attributes_of(node)
        level = next((int(c.text) for c in node.children if c.name == "lod" and c.text in _LEVELS), level)
        for child in node.children:
            if child.name in INTERIORS or child.name.startswith("lod4"):
                self.notes["interiors and LoD4 left out"] += 1
            elif child.geometry is not None or child.kind == IMPLICIT:
                self._take(child, kind or child.kind, role, attributes, label, level)
            else:
                for below in child.children:
                    self._below(below, role, attributes, label, level)

    def _below(self, node: Node, role: str, attributes: dict[str, object], label: Surface, level: int) -> None:
        if node.name in _LEFT_OUT or node.name in INTERIORS:
            count_ignored(node.name, self.notes)
        elif node.is_object:
            self.item(node, node.name if node.name in _ROLES else role, attributes, label, level)

    def _take(
        self, node: Node, kind: str, role: str, attributes: dict[str, object], label: Surface, level: int
    ) -> None:
        shape = shape_of(node, kind, label, self.notes, self.placing)
        if shape is not None:
            shape = shape if node.level or not level else replace(shape, level=level)
            group = _Group(role, attributes)
            self.groups.setdefault((role, tuple(sorted(attributes.items()))), group).shapes.append(shape)
