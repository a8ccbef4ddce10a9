"""Buildings of CityGML 1.0, 2.0 and 3.0, read element by element so that the file never stands in memory as a whole."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import BinaryIO

from lxml import etree

from mage.scenes.errors import CityError
from mage.scenes.mesh import Surface
from mage.scenes.sources.gml import Element, Geometries, Geometry, gml_id, local_name
from mage.scenes.sources.raw import SEMANTICS, Polygons, RawBuilding, RawCity, RawObject

VERSIONS = ("1.0", "2.0", "3.0")
_NAMESPACE = re.compile(r"https?://www\.(?:opengis\.net|citygml\.org)/citygml/(?:profiles/base/)?([0-9./]+)$")
_MEMBERS = frozenset({"cityObjectMember", "featureMember", "featureMembers"})
_GEOMETRY = re.compile(r"lod([0-4])(Solid|MultiSurface|Geometry|FootPrint|RoofEdge)$")
_PARTS = frozenset({"consistsOfBuildingPart", "buildingPart"})
_BOUNDARIES = frozenset({"boundedBy", "boundary"})
_BOUNDARY = "boundary"  # stands among the kinds of geometry for surfaces that say what they are


class _Part:
    """A building or building part whose links have not been followed yet."""

    def __init__(self, element: Element, geometries: Geometries) -> None:
        self.attributes: dict[str, object] = {}
        self.geometry: dict[tuple[int, str], list[tuple[Surface, Geometry]]] = defaultdict(list)
        self.parts: list[_Part] = []
        for child in element:
            self._take(child, geometries)

    def _take(self, child: Element, geometries: Geometries) -> None:
        name = local_name(child)
        if name in _PARTS:
            self.parts += [_Part(part, geometries) for part in child if local_name(part) == "BuildingPart"]
        elif name in _BOUNDARIES:
            for surface in child:
                self._take_boundary(surface, geometries)
        elif match := _GEOMETRY.match(name):
            kind = "Solid" if match.group(2) == "Solid" else "MultiSurface"
            self.geometry[int(match.group(1)), kind].append((Surface.OTHER, geometries.read(child)))
        elif name == "outerBuildingInstallation":
            geometries.notes["ignored BuildingInstallation"] += 1
        elif len(child) == 0 and child.text:
            self.attributes.setdefault(name, child.text.strip())

    def _take_boundary(self, surface: Element, geometries: Geometries) -> None:
        label = SEMANTICS.get(local_name(surface), Surface.OTHER)
        for child in surface:
            if match := _GEOMETRY.match(local_name(child)):
                self.geometry[int(match.group(1)), _BOUNDARY].append((label, geometries.read(child)))

    def finish(self, geometries: Geometries) -> Iterator[RawObject]:
        """The part and all below it, with links followed."""
        levels = sorted({lod for lod, _ in self.geometry})
        shells = {float(lod): self._shells(lod, geometries) for lod in levels if lod in (1, 2)}
        yield RawObject(
            self.attributes,
            {lod: found for lod, found in shells.items() if found},
            frozenset(levels) - {1, 2},
        )
        for part in self.parts:
            yield from part.finish(geometries)

    def _shells(self, lod: int, geometries: Geometries) -> list[Polygons]:
        """The surfaces with meaning if they make a building; what the solid adds to them; else the solid alone."""
        boundary = self.geometry.get((lod, _BOUNDARY), [])
        solid = self.geometry.get((lod, "Solid"), []) or self.geometry.get((lod, "MultiSurface"), [])
        labels = {label for label, _ in boundary}
        linked = any(geometries.links(geometry) for _, geometry in solid)
        if linked:
            return _collected([*boundary, *solid], geometries)
        if solid and not {Surface.ROOF, Surface.WALL} <= labels:
            return _collected(solid, geometries)
        return _collected(boundary, geometries)


def _collected(labelled: list[tuple[Surface, Geometry]], geometries: Geometries) -> list[Polygons]:
    faces, surfaces = [], []
    done: set[int] = set()  # what a solid links to has been met among the labelled surfaces
    for label, root in labelled:
        for polygon, turned in geometries.polygons(root, done):
            faces.append([ring[::-1] for ring in polygon.rings] if turned else polygon.rings)
            surfaces.append(label)
    return [Polygons.of(faces, surfaces)] if faces else []


def read_citygml(stream: BinaryIO) -> RawCity:
    """The buildings of a CityGML file, open in binary mode.

    Raises:
        CityError: no CityGML, a version that is not read, a DOCTYPE, links in a circle.
        lxml.etree.XMLSyntaxError: broken XML.
    """
    notes: Counter[str] = Counter()
    geometries = Geometries(notes)
    crs: dict[str, None] = {}
    parsed: list[tuple[str, _Part]] = []
    version = ""
    for element in _elements(stream, notes):
        if local_name(element) == "CityModel":
            version = _version(element)
            continue
        crs |= dict.fromkeys(_srs_names(element))
        if local_name(element) == "Building":
            parsed.append((gml_id(element) or "", _Part(element, geometries)))
    buildings = [RawBuilding(identifier, tuple(part.finish(geometries))) for identifier, part in parsed]
    return RawCity(f"CityGML {version}", buildings, tuple(crs), notes=notes)


def _srs_names(element: Element) -> Iterator[str]:
    return (name for item in element.iter(etree.Element) if (name := item.get("srsName")))


def _version(root: Element) -> str:
    match = _NAMESPACE.match(etree.QName(root).namespace or "")
    if match is None or match.group(1) not in VERSIONS:
        found = match.group(1) if match else etree.QName(root).namespace or "a CityModel without a namespace"
        raise CityError("this version of CityGML is not read", expected=" or ".join(VERSIONS), found=found)
    return match.group(1)


def _elements(stream: BinaryIO, notes: Counter[str]) -> Iterator[Element]:
    """The root at its start, then every Building and every Envelope outside of one, each freed afterwards."""
    depth, building_depth = 0, 0
    parser = etree.iterparse(
        stream, events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    for event, element in parser:
        if event == "start":
            depth += 1
            if depth == 1:
                yield _checked(element)
            elif not building_depth and _is_building(element):
                building_depth = depth
            continue
        depth -= 1
        if building_depth and depth + 1 > building_depth:
            continue
        if building_depth or local_name(element) == "Envelope":
            yield element
        elif depth == 2 and (parent := element.getparent()) is not None and local_name(parent) in _MEMBERS:
            notes[f"ignored {local_name(element)}"] += 1
        building_depth = 0
        _free(element)


def _checked(root: Element) -> Element:
    if root.getroottree().docinfo.internalDTD is not None:
        raise CityError("it holds a DOCTYPE, which could make a reader swell or fetch files", expected="none")
    if local_name(root) != "CityModel":
        raise CityError(
            "not a city", expected="a CityGML CityModel", found=f"XML with the root {local_name(root)[:60]}"
        )
    return root


def _is_building(element: Element) -> bool:
    return local_name(element) == "Building" and "/building/" in element.tag


def _free(element: Element) -> None:
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]
