"""Real CityGML files: what is read equals what an independent walk over the XML counts."""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import shapely
from lxml import etree

from mage.scenes.mesh import Surface
from mage.scenes.sources.citygml.read import read_citygml
from mage.scenes.sources.raw import Polygons, RawBuilding, RawCity

HOUSES = [
    "berlin_lod2.gml",
    "delft_lod1_small.xml",
    "plateau_tokyo_53394517_citygml2.gml",
    "plateau_tokyo_53394517_citygml3.gml",
    "zurich_lod2_small.xml",
]
ROADS = ["melbourne_roads_4wayintersection_citygml3.gml", "melbourne_roads_roundabout_citygml3.gml"]
LABELS = {
    "RoofSurface": Surface.ROOF,
    "OuterFloorSurface": Surface.ROOF,
    "WallSurface": Surface.WALL,
    "OuterCeilingSurface": Surface.WALL,
    "Door": Surface.WALL,
    "Window": Surface.OPENING,
    "GroundSurface": Surface.GROUND,
    "ClosureSurface": Surface.CLOSURE,
}

KNOWN = {*LABELS, "BuildingInstallation", "BuildingPart", "Building"}


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname


def _polygons(root: etree._Element) -> list[etree._Element]:
    return [*root.iter("{*}Polygon", "{*}PolygonPatch", "{*}Triangle")]


def _coordinates(root: etree._Element) -> np.ndarray:
    lists = (e.text or "" for e in root.iter("{*}posList", "{*}pos"))
    return np.array(" ".join(lists).split(), float).reshape(-1, 3)


def _above(element: etree._Element, names: set[str]) -> str:
    """The nearest element above with one of these names; empty if there is none."""
    return next((_name(e) for e in element.iterancestors() if _name(e) in names), "")


def _read(path: Path) -> RawCity:
    with path.open("rb") as stream:
        return read_citygml(stream)


def _all_shells(building: RawBuilding, level: float, *, installations: bool) -> list[Polygons]:
    return [s for o in building.objects if o.installation == installations for s in o.shells.get(level, ())]


@dataclass(frozen=True)
class Told:
    """What an lxml tree of a file says, counted without the reader: elements by name, and polygons by what they are."""

    name: str
    city: RawCity
    elements: Counter[str]
    labelled: Counter[int]
    installed: int


def _told(name: str, content: bytes) -> Told:
    root = etree.fromstring(content)
    elements = Counter(_name(e) for e in root.iter(etree.Element))
    polygons = _polygons(root)
    above = Counter(_above(p, {"BuildingInstallation"}) or _above(p, KNOWN) for p in polygons)
    labelled = Counter[int]()
    for known in KNOWN - {"BuildingInstallation"}:
        labelled[LABELS.get(known, Surface.OTHER)] += above[known]
    return Told(name, read_citygml(io.BytesIO(content)), elements, labelled, above["BuildingInstallation"])


@pytest.fixture(scope="module")
def ingolstadt(shared_data: Path) -> list[Told]:
    """The 53 files of an archive, unpacked in memory."""
    with tarfile.open(shared_data / "citygml" / "ingolstadt_lod3_53bldg.tar.xz") as archive:
        files = [m for m in archive if m.name.endswith(".xml")]
        return [_told(m.name, found.read()) for m in files if (found := archive.extractfile(m))]


@pytest.mark.parametrize("name", HOUSES)
def test_buildings_and_parts_are_those_of_the_file(shared_data: Path, name: str) -> None:
    path = shared_data / "citygml" / name
    city, tree = _read(path), etree.parse(path)
    assert [b.id for b in city.buildings] == [
        next(v for k, v in b.attrib.items() if k.endswith("}id")) for b in tree.iter("{*}Building")
    ]
    assert sum(len(b.objects) for b in city.buildings) == len([*tree.iter("{*}Building", "{*}BuildingPart")])
    assert city.features == []
    assert city.notes == {}


@pytest.mark.parametrize("name", HOUSES)
def test_every_polygon_and_point_is_read_once(shared_data: Path, name: str) -> None:
    """Solids of these files only link to polygons of boundary surfaces, so nothing comes twice."""
    path = shared_data / "citygml" / name
    city, tree = _read(path), etree.parse(path)
    levels = Counter(
        int(_name(e)[3])
        for polygon in _polygons(tree.getroot())
        for e in polygon.iterancestors()
        if _name(e).startswith("lod")
    )
    found: Counter[int] = Counter()
    for building in city.buildings:
        for item in building.objects:
            for level, shells in item.shells.items():
                found[int(level)] += sum(map(len, shells))
    assert found == levels
    points = np.concatenate([s.points for b in city.buildings for o in b.objects for v in o.shells.values() for s in v])
    expected = _coordinates(tree.getroot())
    assert {*map(tuple, points.tolist())} == {*map(tuple, expected.tolist())}
    rings = len([*tree.iter("{*}LinearRing")])
    assert len(points) == len(expected) - rings  # each ring without its closing point


@pytest.mark.parametrize("name", ["berlin_lod2.gml", *HOUSES[2:]])
def test_faces_keep_the_labels_of_their_surfaces(shared_data: Path, name: str) -> None:
    path = shared_data / "citygml" / name
    expected = Counter(
        LABELS[label] for polygon in _polygons(etree.parse(path).getroot()) if (label := _above(polygon, {*LABELS}))
    )
    shells = [s for b in _read(path).buildings for s in _all_shells(b, 2.0, installations=False)]
    assert Counter(np.concatenate([s.surface for s in shells]).tolist()) == expected


def test_tokyo_says_the_same_in_both_versions(shared_data: Path) -> None:
    two, three = (_read(shared_data / "citygml" / name).buildings[0] for name in HOUSES[2:4])
    assert two.objects[0].attributes == three.objects[0].attributes
    assert two.objects[0].attributes["measuredHeight"] == "31.7"
    assert two.objects[0].attributes["address"] == "日本, 東京都新宿区霞ヶ丘町"
    assert two.objects[0].attributes["建物ID"] == "13104-bldg-53"


@pytest.mark.parametrize("name", ROADS)
def test_roads_are_all_their_surfaces_by_role(shared_data: Path, name: str) -> None:
    path = shared_data / "citygml" / name
    city, tree = _read(path), etree.parse(path)
    assert city.buildings == []
    assert {f.kind for f in city.features} == {"Road"}
    assert len({f.id for f in city.features}) == len([*tree.iter("{*}Road")]) == 2
    for role in ("TrafficArea", "AuxiliaryTrafficArea"):
        sources = [*tree.iter(f"{{*}}{role}")]
        shells = [s for f in city.features if f.role == role for s in f.shells[2.0]]
        assert sum(map(len, shells)) == len(sources)
        assert sum(_area(s) for s in shells) == pytest.approx(sum(map(_area_of_source, sources)), rel=1e-9)
        functions = Counter(s.findtext("{*}function") for s in sources)
        found: Counter[str] = Counter()
        for feature in city.features:
            if feature.role == role:
                found[str(feature.attributes["function"])] += len(feature.shells[2.0][0])
        assert found == functions


def _flat(rings: list[np.ndarray]) -> float:
    outer, *holes = (ring[:, :2] - rings[0][0, :2] for ring in rings)
    return float(shapely.Polygon(outer, holes).area)


def _area(shell: Polygons) -> float:
    rings = np.split(shell.points, np.cumsum(shell.sizes)[:-1])
    starts = np.cumsum(shell.rings) - shell.rings
    return sum(_flat(rings[a : a + n]) for a, n in zip(starts, shell.rings, strict=True))


def _area_of_source(element: etree._Element) -> float:
    return sum(_flat([_coordinates(ring) for ring in polygon.iter("{*}LinearRing")]) for polygon in _polygons(element))


@pytest.mark.long
class TestIngolstadt:
    def test_every_building_of_the_archive_is_read_at_level_3(self, ingolstadt: list[Told]) -> None:
        assert len(ingolstadt) == 53
        buildings = objects = 0
        for file in ingolstadt:
            found = [o for b in file.city.buildings for o in b.objects]
            assert len(file.city.buildings) == file.elements["Building"]
            assert sum(not o.installation for o in found) == len(file.city.buildings) + file.elements["BuildingPart"]
            assert sum(o.installation for o in found) == file.elements["BuildingInstallation"]
            assert {b.finest()[0] for b in file.city.buildings} == {3}
            buildings, objects = buildings + len(file.city.buildings), objects + len(found)
        assert (buildings, objects) == (54, 54 + 1 + 302)

    def test_walls_openings_and_installations_have_as_many_faces_as_the_files(self, ingolstadt: list[Told]) -> None:
        for file in ingolstadt:
            own = [s.surface for b in file.city.buildings for s in b.finest()[1]]
            beside = [s for b in file.city.buildings for s in b.installations()]
            assert Counter(np.concatenate(own).tolist()) == +file.labelled, file.name
            assert sum(map(len, beside)) == file.installed, file.name

    def test_openings_fill_the_holes_of_walls(self, ingolstadt: list[Told]) -> None:
        """Corners of holes are corners of another face, or nearly all are: the rest are modelled a little apart."""
        touched = total = 0
        for shell in (s for file in ingolstadt for b in file.city.buildings for s in b.finest()[1]):
            outer = np.zeros(len(shell.sizes), bool)
            outer[np.cumsum(shell.rings) - shell.rings] = True
            inner = np.repeat(~outer, shell.sizes)
            wall = np.repeat(np.repeat(shell.surface == Surface.WALL, shell.rings), shell.sizes)
            holes, others = (set(map(tuple, shell.points[k].round(3).tolist())) for k in (inner & wall, ~inner))
            touched, total = touched + len(holes & others), total + len(holes)
        assert total > 4000
        assert touched > 0.8 * total

    def test_what_is_left_out_is_counted(self, ingolstadt: list[Told]) -> None:
        curves = sum(file.elements["lod3MultiCurve"] for file in ingolstadt)
        notes = sum((file.city.notes for file in ingolstadt), Counter[str]())
        assert notes == {"ignored MultiCurve": curves}
        assert curves == 6
