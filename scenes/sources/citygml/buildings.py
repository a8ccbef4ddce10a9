"""Buildings of CityGML: from the tree of one to its parts and installations with what each is made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from mage.scenes.mesh import Surface
from mage.scenes.sources.citygml.attributes import attributes_of
from mage.scenes.sources.citygml.links import Links
from mage.scenes.sources.citygml.nodes import IMPLICIT, INTERIORS, Node, count_ignored
from mage.scenes.sources.citygml.shapes import BOUNDARY, Placing, Shape, shape_of, shells
from mage.scenes.sources.raw import SEMANTICS, RawBuilding, RawObject

INSTALLATIONS = frozenset({"BuildingInstallation", "BuildingConstructiveElement"})
_LINES = frozenset({"MultiCurve", "Curve", "Network", "Point", "MultiPoint"})
_INTERIOR_LEVEL = 4


@dataclass(slots=True, eq=False)
class _Part:
    """A building, building part or installation whose links have not been followed yet."""

    attributes: dict[str, object]
    installation: bool = False
    shapes: list[Shape] = field(default_factory=list)
    unused: set[int] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class BuildingDraft:
    """A building whose links have not been followed yet."""

    id: str
    parts: list[_Part]

    @classmethod
    def of(cls, node: Node, notes: Counter[str], placing: Placing) -> BuildingDraft:
        """From the element of a building; what is left out of it is counted."""
        draft = cls(node.id or "", [])
        _Reading(draft.parts, notes, placing).part(node)
        return draft

    def finish(self, links: Links) -> RawBuilding:
        """The building with links followed."""
        return RawBuilding(self.id, tuple(_finished(part, links) for part in self.parts))


def _finished(part: _Part, links: Links) -> RawObject:
    return RawObject(part.attributes, shells(part.shapes, links), frozenset(part.unused), part.installation)


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    parts: list[_Part]
    notes: Counter[str]
    placing: Placing

    def part(self, node: Node, *, installation: bool = False) -> None:
        """A building, a building part, or an installation, and all below it."""
        part = _Part(attributes_of(node), installation)
        self.parts.append(part)
        for child in node.children:
            if child.name in INTERIORS:
                self._interior(part)
            elif not self._take_geometry(child, part, child.kind, Surface.OTHER):
                for below in child.children:
                    self._take_object(below, part)

    def _take_object(self, node: Node, part: _Part) -> None:
        if node.name == "BuildingPart":
            self.part(node)
        elif node.name in INSTALLATIONS:
            if any(child.text == "inside" for child in node.children if child.name == "relationToConstruction"):
                self._interior(part)
            else:
                self.part(node, installation=True)
        elif node.is_object:
            self._boundary(node, part, Surface.OTHER)

    def _boundary(self, node: Node, part: _Part, label: Surface) -> None:
        """A surface that says what it is, and its openings, which may be a surface of an object of their own."""
        if node.name in INTERIORS:
            self._interior(part)
            return
        label = SEMANTICS.get(node.name, label)
        for child in node.children:
            if not self._take_geometry(child, part, BOUNDARY, label):
                for below in child.children:
                    if below.is_object:
                        self._boundary(below, part, label)

    def _take_geometry(self, node: Node, part: _Part, kind: str, label: Surface) -> bool:
        """Whether the node is a property that holds geometry, and has been taken."""
        if node.name.startswith("lod4"):
            self._interior(part)
        elif node.kind in _LINES:
            count_ignored(node.kind, self.notes)
        elif node.geometry is not None or node.kind == IMPLICIT:
            shape = shape_of(node, kind, label, self.notes, self.placing)
            if shape is not None:
                part.shapes.append(shape)
        else:
            return False
        return True

    def _interior(self, part: _Part) -> None:
        part.unused.add(_INTERIOR_LEVEL)
        self.notes["interiors and LoD4 left out"] += 1
