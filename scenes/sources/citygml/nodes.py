"""City objects of a CityGML file one after the other, each as a small tree with its geometry in flat arrays."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mage.scenes.errors import CityError
from mage.scenes.sources.citygml.gml import HREF, Geometry, GeometryReader, id_of

VERSIONS = ("1.0", "2.0", "3.0")
DEEPEST = 200  # elements within elements; real files reach 30
LARGEST_OBJECT = 1_000_000  # elements of one city object, geometry not counted
LONGEST_TEXT = 2_000  # characters of an attribute
MOST_NAMES = 200  # kinds of ignored objects, and names of coordinate systems, that are told apart
_NAMESPACE = re.compile(r"https?://www\.(?:opengis\.net|citygml\.org)/citygml/(?:profiles/base/)?([0-9./]+)$")
_MEMBERS = frozenset({"cityObjectMember", "featureMember", "featureMembers"})
_LEVELLED = re.compile(r"lod([0-4])([A-Z]\w*)$")
_GEOMETRIES = frozenset(
    (
        "Solid",
        "MultiSolid",
        "MultiSurface",
        "Surface",
        "Geometry",
        "FootPrint",
        "RoofEdge",
        "MultiCurve",
        "Curve",
        "Network",
        "Point",
        "MultiPoint",
    )
)
RELATIVE = frozenset({"relativeGMLGeometry", "relativeGeometry"})
IMPLICIT = "ImplicitRepresentation"
_WITHOUT_LEVEL = frozenset(
    (
        "tin",
        "reliefPoints",
        "ridgeOrValleyLines",
        "breaklines",
        "relativeGMLGeometry",
        "relativeGeometry",
        "referencePoint",
    )
)
INTERIORS = frozenset(
    (
        "interiorRoom",
        "buildingRoom",
        "interiorBuildingInstallation",
        "interiorFurniture",
        "buildingFurniture",
        "roomInstallation",
        "interiorBridgeRoom",
        "bridgeRoom",
        "interiorBridgeInstallation",
        "bridgeFurniture",
        "interiorHollowSpace",
        "hollowSpace",
        "interiorTunnelInstallation",
        "tunnelFurniture",
        "buildingSubdivision",
        "InteriorWallSurface",
        "CeilingSurface",
        "FloorSurface",
    )
)
_WITHOUT_USE = frozenset(
    ("appearance", "appearanceMember", "extent", "multiPoint", "metaDataProperty", "dynamizer", "grid")
)


class Node:
    """An element of a city object.

    Attributes:
        title: its attribute ``name``, which generic attributes have.
        level: of detail, as the name of a property says it; else 0.
        kind: of geometry, the rest of that name: ``Solid``; else the whole name.
        geometry: where the element holds such.
    """

    __slots__ = ("children", "geometry", "id", "kind", "level", "name", "pieces", "text", "title")

    def __init__(self, name: str, attributes: Mapping[str, str]) -> None:
        self.name, self.text = name, ""
        self.pieces: list[str] = []
        self.children: list[Node] = []
        self.geometry: Geometry | None = None
        self.id = self.title = None
        if attributes:
            self.id, self.title = id_of(attributes), attributes.get("name")
        _, self.level, self.kind = treatment(name)

    @property
    def is_object(self) -> bool:
        """Whether it is an object and no property of one: GML writes the one upper case, the other lower case."""
        return self.name[:1].isupper()


@lru_cache(maxsize=4096)
def treatment(name: str) -> tuple[str, int, str]:
    """What to do with an element (``geometry``, ``node``, ``skip``, ``ignore``), its level of detail and its kind."""
    if match := _LEVELLED.match(name):
        level, kind = int(match.group(1)), match.group(2)
        if level == 4:
            return "skip", level, kind
        if kind in _GEOMETRIES:
            return "geometry", level, kind
        return ("node" if kind == IMPLICIT else "ignore"), level, kind
    if name in _WITHOUT_LEVEL:
        return "geometry", 0, name
    if name in INTERIORS or name in _WITHOUT_USE:
        return "skip", 0, name
    return ("ignore" if name == "pointCloud" else "node"), 0, name


@dataclass(frozen=True, slots=True, eq=False)
class CityObject:
    """One city object of a file.

    Attributes:
        roots: all geometry in it but that of library objects, which has no place yet.
        named: all geometry in it that carries an id.
        notes: what was repaired or ignored in it.
    """

    node: Node
    roots: Sequence[Geometry]
    named: Sequence[tuple[str, Geometry]]
    notes: Counter[str]


class ObjectTarget:
    """A target for lxml's parser that hands over one city object after the other and keeps nothing of them.

    Args:
        kinds: local names of the elements of CityGML that are city objects.
        take: called with each of them.
        notes: counts what stands beside them.

    Raises:
        CityError: no CityGML, a version that is not read, a DOCTYPE, nesting or an object beyond all measure.
    """

    def __init__(
        self,
        kinds: Container[str],
        take: Callable[[CityObject], None],
        notes: Counter[str],
    ) -> None:
        self.version = ""
        self.crs: dict[str, None] = {}
        self._kinds, self._take, self._notes = kinds, take, notes
        self._depth = self._skipped = self._reading = self._count = 0
        self._member = False
        self._nodes: list[Node] = []
        self._roots: list[Geometry] = []
        self._object_notes: Counter[str] = Counter()
        self._geometry = GeometryReader(self._object_notes)

    def doctype(self, *_: object) -> None:
        """Called by the parser before it reads what the DOCTYPE declares."""
        raise CityError("it holds a DOCTYPE, which could make a reader swell or fetch files", expected="none")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Called by the parser."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise CityError("broken XML: nested too deeply", expected=f"at most {DEEPEST} elements within each other")
        if self._skipped:
            return
        name = tag.rpartition("}")[2]
        if attributes and (crs := attributes.get("srsName")) and len(self.crs) < MOST_NAMES:
            self.crs[crs] = None
        if self._reading:
            self._geometry.start(name, attributes)
        elif self._nodes:
            self._start_node(name, attributes)
        elif self._depth == 1:
            self.version = _version(tag)
        elif name in self._kinds and "citygml" in tag:
            self._nodes.append(Node(name, attributes))
        elif self._depth == 2:
            self._member = name in _MEMBERS
        elif self._depth == 3 and self._member:
            count_ignored(name, self._notes)

    def _start_node(self, name: str, attributes: Mapping[str, str]) -> None:
        self._count += 1
        if self._count > LARGEST_OBJECT:
            raise CityError("one of its city objects is too large", expected=f"at most {LARGEST_OBJECT} elements")
        node = Node(name, attributes)
        self._nodes[-1].children.append(node)
        what, _, kind = treatment(name)
        if what in ("skip", "ignore"):
            self._skipped = self._depth
            if what == "ignore":
                count_ignored(kind, self._object_notes)
            return
        self._nodes.append(node)
        if what == "node" and attributes and HREF in attributes:
            self._object_notes["links between city objects not followed"] += 1
        if what == "geometry":
            self._reading = self._depth
            self._geometry.begin(attributes)

    def data(self, text: str) -> None:
        """Called by the parser."""
        if self._skipped:
            return
        if self._reading:
            self._geometry.data(text)
        elif self._nodes:
            pieces = self._nodes[-1].pieces
            if len(pieces) < LONGEST_TEXT and (pieces or not text.isspace()):
                pieces.append(text)

    def end(self, tag: str) -> None:
        """Called by the parser."""
        depth = self._depth
        self._depth -= 1
        if self._skipped:
            self._skipped = 0 if depth == self._skipped else self._skipped
            return
        if self._reading and depth > self._reading:
            self._geometry.end(tag.rpartition("}")[2])
        elif self._nodes:
            self._end_node()

    def _end_node(self) -> None:
        node = self._nodes.pop()
        if node.pieces:
            node.text = "".join(node.pieces).strip()[:LONGEST_TEXT]
            node.pieces = []
        if self._reading:
            self._reading, node.geometry = 0, self._geometry.root
            if node.name not in RELATIVE:
                self._roots.append(node.geometry)
        if not self._nodes:
            self._take(CityObject(node, self._roots, self._geometry.named, self._object_notes))
            self._roots, self._geometry.named, self._count = [], [], 0
            self._object_notes.clear()

    def close(self) -> None:
        """Called by the parser."""


def count_ignored(name: str, notes: Counter[str]) -> None:
    """Counts what is not used by its name; beyond so many names all others as one."""
    note = f"ignored {name[:60]}"
    notes[note if note in notes or len(notes) < MOST_NAMES else "ignored others"] += 1


def _version(tag: str) -> str:
    namespace, _, name = tag.rpartition("}")
    namespace = namespace.removeprefix("{")
    if name != "CityModel":
        raise CityError("not a city", expected="a CityGML CityModel", found=f"XML with the root {name[:60]}")
    match = _NAMESPACE.match(namespace)
    if match is None or match.group(1) not in VERSIONS:
        found = match.group(1) if match else namespace or "a CityModel without a namespace"
        raise CityError("this version of CityGML is not read", expected=" or ".join(VERSIONS), found=found[:100])
    return match.group(1)
