"""Meshes out of real cities: closed, as high as their sources say, and over the ground that those say.

Every expected figure is computed from the files by json or lxml and plain arithmetic, never by our readers.
"""

from __future__ import annotations

import json
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from lxml import etree

from mage.scenes.city import City
from mage.scenes.mesh import Surface
from mage.scenes.sources.buildings.build import build
from mage.scenes.sources.buildings.closing import is_closed
from mage.scenes.sources.buildings.surfaces import volume
from mage.scenes.sources.citygml.read import read_citygml
from mage.scenes.sources.cityjson.read import read_cityjson
from mage.scenes.sources.crs import Frame
from mage.scenes.sources.raw import RawBuilding
from mage.scenes.sources.read import read_city

GML = "{http://www.opengis.net/gml}"
Rings = list[np.ndarray]


@cache
def city(path: Path) -> City:
    return read_city(path)


def documents(path: Path) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """City objects and vertices in metres of a CityJSON document or of every feature of a sequence."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.suffix == ".jsonl" else [path.read_text("utf-8")]
    read = [json.loads(line) for line in lines]
    transform = read[0].get("transform", {"scale": [1, 1, 1], "translate": [0, 0, 0]})
    for document in read:
        if document.get("vertices"):
            yield document["CityObjects"], np.array(document["vertices"]) * transform["scale"] + transform["translate"]


def json_faces(path: Path, lod: str) -> dict[str, list[tuple[str, Rings]]]:
    """Building -> (surface, rings) of all its polygons at a level of detail."""
    found: dict[str, list[tuple[str, Rings]]] = defaultdict(list)
    for objects, vertices in documents(path):
        for name, item in objects.items():
            owner = name if item["type"] == "Building" else (item.get("parents") or [name])[0]
            if item["type"] in ("Building", "BuildingPart"):
                for geometry in item.get("geometry", []):
                    if str(geometry["lod"]).startswith(lod):
                        found[owner] += of_geometry(geometry, vertices)
    return found


def of_geometry(geometry: dict[str, Any], vertices: np.ndarray) -> list[tuple[str, Rings]]:
    solid = geometry["type"] == "Solid"
    faces = geometry["boundaries"][0] if solid else geometry["boundaries"]
    semantics = geometry.get("semantics") or {}
    values = semantics.get("values") or [None] * len(faces)
    values = values[0] if solid and semantics else values
    kinds = [None if v is None else semantics["surfaces"][v]["type"] for v in values]
    return [(str(kind), [vertices[ring] for ring in face]) for kind, face in zip(kinds, faces, strict=True)]


def gml_faces(path: Path) -> dict[str, list[tuple[str, Rings]]]:
    """The same from CityGML's boundary surfaces; the axes of the files used are east, north and up."""
    found: dict[str, list[tuple[str, Rings]]] = {}
    for building in etree.parse(path).iter("{*}Building"):
        faces = found.setdefault(building.get(GML + "id"), [])
        for surface in building.iter("{*}RoofSurface", "{*}GroundSurface", "{*}WallSurface"):
            for polygon in surface.iter(GML + "Polygon"):
                faces.append(
                    (etree.QName(surface).localname, [numbers(ring) for ring in polygon.iter(GML + "LinearRing")])
                )
    return found


def numbers(ring: Any) -> np.ndarray:
    text = " ".join(item.text for item in ring.iter(GML + "posList", GML + "pos"))
    return np.array(text.split(), float).reshape(-1, 3)[:-1]


def faces_of(path: Path) -> dict[str, list[tuple[str, Rings]]]:
    return gml_faces(path) if path.suffix in (".gml", ".xml") else json_faces(path, "2")


ROTTERDAM = "cityjson/rotterdam_delfshaven_lod2.city.json"
CLOSED = {
    "cityjson/vienna_lod2.city.jsonl": (149, 0.98),
    "cityjson/3dbag_901.city.jsonl": (52, 0.98),
    ROTTERDAM: (853, 0.98),
    "cityjson/denhaag_lod2_small.city.json": (4, 1.0),
    "cityjson/delft_scene_lod1.city.json": (160, 0.98),
    "citygml/berlin_lod2.gml": (61, 0.98),
    "citygml/zurich_lod2_small.xml": (4, 1.0),
    "citygml/delft_lod1_small.xml": (3, 1.0),
    "citygml/plateau_tokyo_53394517_citygml2.gml": (1, 1.0),
    "citygml/plateau_tokyo_53394517_citygml3.gml": (1, 1.0),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name == ROTTERDAM else name for name in CLOSED]
)
def test_buildings_are_watertight_and_look_outward(shared_data: Path, name: str) -> None:
    count, share = CLOSED[name]
    buildings = city(shared_data / name).buildings
    closed = [b for b in buildings if is_closed(b.mesh)]
    assert len(buildings) == count
    assert len(closed) >= share * count
    assert all(volume(b.mesh.vertices, b.mesh.triangles) > 0 for b in closed)


@pytest.mark.long
def test_rotterdam_has_as_many_buildings_and_as_much_ground_as_its_file(shared_data: Path) -> None:
    path = shared_data / ROTTERDAM
    found, document = city(path), json.loads(path.read_text())
    assert [b.id for b in found.buildings] == list(document["CityObjects"])
    assert len(found.buildings) == 853
    expected = [ground_area(o, document) for o in document["CityObjects"].values()]
    np.testing.assert_allclose(sum(b.footprint.area for b in found.buildings), sum(expected), rtol=0.01)
    assert found.crs == "EPSG:28992"
    assert 51.8 < found.latitude < 52


def ground_area(item: dict[str, Any], document: dict[str, Any]) -> float:
    """Shoelace areas of the surfaces labelled as ground, straight from the JSON."""
    scale = document["transform"]["scale"]
    (geometry,) = item["geometry"]
    total = 0.0
    for face, value in zip(geometry["boundaries"], geometry["semantics"]["values"], strict=True):
        if geometry["semantics"]["surfaces"][value]["type"] == "GroundSurface":
            for sign, ring in zip([1] + [-1] * len(face), face, strict=False):
                xy = np.array([document["vertices"][i][:2] for i in ring]) * scale[:2]
                xy -= xy[0]
                x, y = xy.T
                total += sign * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    return total


def test_rotterdam_stands_where_its_vertices_are(shared_data: Path) -> None:
    path = shared_data / ROTTERDAM
    found, document = city(path), json.loads(path.read_text())
    shift = np.array([*found.origin, 0.0])
    w, s, low, e, n, high = document["metadata"]["geographicalExtent"]
    corners = np.array([b.mesh.bounds for b in found.buildings])
    np.testing.assert_allclose(corners[:, 0].min(axis=0) + shift, (w, s, low), atol=1e-3)
    np.testing.assert_allclose(corners[:, 1].max(axis=0) + shift, (e, n, high), atol=1e-3)


@pytest.mark.parametrize("name", [name for name in CLOSED if name.startswith("cityjson/") and name != ROTTERDAM])
def test_every_top_level_building_is_read(shared_data: Path, name: str) -> None:
    path = shared_data / name
    text = path.read_text(encoding="utf-8")
    documents = [json.loads(line) for line in text.splitlines()] if name.endswith("l") else [json.loads(text)]
    expected = [key for d in documents for key, item in d["CityObjects"].items() if item["type"] == "Building"]
    buildings = city(path).buildings
    assert [b.id for b in buildings] == expected
    assert all(b.footprint.is_valid and b.height > 0 and 0 <= b.eave <= b.height for b in buildings)


def test_vienna_is_closed_and_holds_something(shared_data: Path) -> None:
    for building in city(shared_data / "cityjson/vienna_lod2.city.jsonl").buildings:
        mesh = building.mesh
        leak = np.abs((mesh.normals * mesh.areas[:, None]).sum(axis=0)).max()
        assert leak < 1e-3 * mesh.areas.sum()
        assert volume(mesh.vertices, mesh.triangles) > 0


def test_rotterdam_gets_its_party_walls_and_they_are_counted(shared_data: Path) -> None:
    path = shared_data / ROTTERDAM
    found = city(path)
    delivered = {name: [rings for _, rings in faces] for name, faces in json_faces(path, "2").items()}
    assert sum(meets_itself(faces) for faces in delivered.values()) < 0.1 * len(delivered)
    assert 700 < found.notes["buildings with missing walls rebuilt"] < 853
    assert found.notes["missing walls rebuilt"] > 1_000


def meets_itself(faces: list[Rings]) -> bool:
    """Whether every edge of some faces is answered by its reverse, points within a millimetre being one."""
    edges: Counter[tuple[tuple[float, ...], tuple[float, ...]]] = Counter()
    for ring in (ring for rings in faces for ring in rings):
        points = [tuple(p) for p in np.round(ring, 3).tolist()]
        edges.update((a, b) for a, b in zip(points, [*points[1:], points[0]], strict=True) if a != b)
    return all(edges[b, a] == n for (a, b), n in edges.items())


def test_rebuilt_walls_leave_volumes_as_roofs_and_grounds_have_them(shared_data: Path) -> None:
    """Walls that stand upright add nothing to the sum of area times height over all faces: a check of its own."""
    path = shared_data / ROTTERDAM
    expected = {name: upright_sum(faces) for name, faces in json_faces(path, "2").items()}
    near = [
        abs(volume(b.mesh.vertices, b.mesh.triangles) - expected[b.id]) < 0.01 * abs(expected[b.id]) + 0.5
        for b in city(path).buildings
    ]
    assert np.mean(near) > 0.98


def upright_sum(faces: list[tuple[str, Rings]]) -> float:
    """Cubic metres between faces and the lowest point: plane area times mean height, turned by what the label says."""
    low = min(ring[:, 2].min() for _, rings in faces for ring in rings)
    signs = {"RoofSurface": 1, "GroundSurface": -1}
    return float(
        sum(signs.get(kind, 0) * sum(under(ring, low, k > 0) for k, ring in enumerate(r)) for kind, r in faces)
    )


def under(ring: np.ndarray, low: float, hole: bool) -> float:
    """The volume under a ring: a fan of triangles, each with the mean height of its corners."""
    a, b, c = ring[:1], ring[1:-1], ring[2:]
    doubled = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    total = float((doubled / 2 * ((a + b + c)[:, 2] / 3 - low)).sum())
    return (-1 if hole else 1) * total * np.sign(doubled.sum())


ROOFS = {
    ROTTERDAM: 853,
    "cityjson/vienna_lod2.city.jsonl": 149,
    "cityjson/3dbag_901.city.jsonl": 52,
    "cityjson/denhaag_lod2_small.city.json": 4,
    "citygml/berlin_lod2.gml": 61,
    "citygml/zurich_lod2_small.xml": 4,
}


@pytest.mark.parametrize("name", ROOFS)
def test_ridges_and_eaves_are_those_of_the_source_to_the_millimetre(shared_data: Path, name: str) -> None:
    """Rotterdam's roofs that are lines there and back may be left out: heights then lie between those with and without
    them, which for nearly all buildings are the same.
    """
    faces = faces_of(shared_data / name)
    clear = 0
    for building in city(shared_data / name).buildings:
        roofs = [rings[0] for kind, rings in faces[building.id] if kind == "RoofSurface"]
        every, broad = (np.concatenate([r[:, 2] for r in some]) for some in (roofs, list(filter(wide, roofs))))
        mesh = building.mesh
        ridge = mesh.vertices[mesh.triangles[mesh.surface == Surface.ROOF]][..., 2].max()
        assert broad.max() - 1.001e-3 <= ridge <= every.max() + 1.001e-3
        assert building.ground + building.height >= ridge - 1e-9
        assert every.min() - 1.001e-3 <= building.ground + building.eave <= broad.min() + 1.001e-3
        clear += bool(every.min() == broad.min() and every.max() == broad.max())
    assert clear >= 0.94 * ROOFS[name]


def wide(ring: np.ndarray) -> bool:
    """Whether a roof is two millimetres wide on average."""
    local = ring - ring[0]
    area = np.linalg.norm(np.cross(local, np.roll(local, -1, axis=0)).sum(axis=0)) / 2
    return bool(area > 2e-3 * np.linalg.norm(np.ptp(local, axis=0)))


@pytest.mark.parametrize("name", [n for n in ROOFS if "zurich" not in n])
def test_footprints_are_those_of_the_ground_surfaces(shared_data: Path, name: str) -> None:
    faces = faces_of(shared_data / name)
    unions = [
        shapely.union_all(
            [
                shapely.make_valid(shapely.Polygon(outer[:, :2], [hole[:, :2] for hole in holes]))
                for kind, (outer, *holes) in of_building
                if kind == "GroundSurface"
            ]
        ).area
        for of_building in faces.values()
    ]
    found = [b.footprint.area for b in city(shared_data / name).buildings]
    assert sum(found) == pytest.approx(sum(unions), rel=0.01)


def coarse(path: Path) -> list[RawBuilding]:
    """The buildings of a file at level of detail 1 (1.2 where there are two) alone."""
    with path.open("rb") as stream:
        raw = (read_citygml if path.suffix in (".gml", ".xml") else read_cityjson)(stream)
    lowered = []
    for building in raw.buildings:
        objects = [
            replace(o, shells={level: s for level, s in o.shells.items() if level in (1.0, 1.2)})
            for o in building.objects
            if not o.installation
        ]
        lowered.append(RawBuilding(building.id, tuple(objects)))
    return lowered


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("cityjson/delft_scene_lod1.city.json", 160),
        ("cityjson/3dbag_901.city.jsonl", 52),
        ("citygml/delft_lod1_small.xml", 3),
    ],
)
def test_blocks_have_the_volume_of_their_roofs_over_their_ground(shared_data: Path, name: str, count: int) -> None:
    """Blocks end in level tops: the sum of area times height over those, by shoelace, is an independent volume."""
    frame = Frame(None, np.asarray)
    checked = 0
    for raw in coarse(shared_data / name):
        shells = raw.finest()[1]
        middle = shells[0].points[0]
        building = build(raw, frame, (float(middle[0]), float(middle[1])), Counter())
        assert building is not None
        rings = np.concatenate([s.sizes for s in shells])
        faces = np.split(np.concatenate([s.points for s in shells]), np.cumsum(rings)[:-1])
        low = min(ring[:, 2].min() for ring in faces)
        expected = sum(
            shoelace(ring - middle) * (ring[:, 2].mean() - low) for ring in faces if np.ptp(ring[:, 2]) < 1e-3
        )
        assert volume(building.mesh.vertices, building.mesh.triangles) == pytest.approx(abs(expected), rel=1e-3)
        checked += 1
    assert checked == count


def shoelace(ring: np.ndarray) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def test_the_finest_models_are_built_with_windows_and_mostly_closed(shared_data: Path, tmp_path: Path) -> None:
    """Ingolstadt's smaller files; installations are left as they come, so only their shells are looked at."""
    with tarfile.open(shared_data / "citygml/ingolstadt_lod3_53bldg.tar.xz") as archive:
        members = sorted((m for m in archive.getmembers() if m.name.endswith((".xml", ".gml"))), key=lambda m: m.size)
        texts = [archive.extractfile(m).read() for m in members[:12]]  # type: ignore[union-attr]
    assert len(members) == 53
    left_open, built, openings = 0, 0, 0
    for k, text in enumerate(texts):
        path = tmp_path / f"{k}.gml"
        path.write_bytes(text)
        found = read_city(path)
        built += len(found.buildings)
        left_open += found.notes.get("buildings left open", 0)
        openings += sum(bool((b.mesh.surface == Surface.OPENING).any()) for b in found.buildings)
        assert all(b.lod == 3 for b in found.buildings)
    assert built >= 12
    assert left_open <= 0.25 * built
    assert openings > 0.5 * built
