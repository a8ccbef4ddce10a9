"""Features become parts of a city: in closed form, and Delft's against an independent count."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from cityobjects import Place, rectangle
from shapely.geometry import Polygon

from mage.scenes.city import COVERS
from mage.scenes.mesh import Surface
from mage.scenes.sources.citygml.read import read_citygml
from mage.scenes.sources.cityjson.read import read_cityjson
from mage.scenes.sources.features.things import Parts, city_parts
from mage.scenes.sources.procedural.network import component_labels
from mage.scenes.sources.raw import Floats, Polygons, RawFeature


def polygons(*faces: Sequence[Place]) -> Polygons:
    return Polygons.of([[np.array(face)] for face in faces], [Surface.OTHER] * len(faces))


def feature(kind: str, *faces: Sequence[Place], role: str = "", name: str = "a", **attributes: Any) -> RawFeature:
    return RawFeature(name, kind, role, attributes, {2.0: [polygons(*faces)]} if faces else {})


def line(kind: str, *points: Place, name: str = "a", **attributes: Any) -> RawFeature:
    return RawFeature(name, kind, "", attributes, lines=[np.array(points, float)])


def parts(*features: RawFeature) -> tuple[Parts, dict[str, int]]:
    """What the features give, and what is counted; they lie at (1000, 2000) on the map."""
    notes: Counter[str] = Counter()
    found = city_parts(features, lambda points: np.add(points, (1000, 2000, 0)), (1000.0, 2000.0), notes)
    return found, dict(+notes)


class TestRoads:
    def test_a_road_is_a_street_of_its_width_and_paints_its_outline(self) -> None:
        found, notes = parts(feature("Road", rectangle(0, -3, 100, 6)))
        (edge,) = found.roads.edges
        assert (edge.width, edge.line.length) == (pytest.approx(6, abs=0.2), pytest.approx(100, abs=0.3))
        assert (edge.kind, edge.inferred, notes) == ("residential", False, {})
        assert [(p.cover, p.outline.area) for p in found.land] == [("asphalt", pytest.approx(600))]

    @pytest.mark.parametrize(
        ("role", "attributes", "cover"),
        [
            ("TrafficArea", {"function": "1"}, "asphalt"),
            ("TrafficArea", {"function": ["2"]}, "paved"),
            ("TrafficArea", {"function": 7}, "parking"),
            ("AuxiliaryTrafficArea", {"function": "1020"}, "grass"),
            ("AuxiliaryTrafficArea", {"function": "1400", "surfaceMaterial": "5"}, "bare"),
            ("AuxiliaryTrafficArea", {}, "paved"),
            ("", {"function": "rijbaan lokale weg"}, "asphalt"),
            ("", {"function": "rijbaan lokale weg", "surfacematerial": "onverhard"}, "bare"),
            ("", {"function": "voetpad op trap"}, "paved"),
            ("", {"function": "parkeervlak"}, "parking"),
            ("", {"function": "fietspad"}, "paved"),
            ("", {"bgt_functie": "spoorbaan"}, "ballast"),
            ("", {"function": "Gehweg"}, "paved"),
            ("", {"function": "Fahrbahn"}, "asphalt"),
            ("", {"class": "1010"}, "asphalt"),  # a road's own code means no hard shoulder
        ],
    )
    def test_traffic_areas_look_like_what_they_are_for(self, role: str, attributes: Any, cover: str) -> None:
        found, _ = parts(feature("Road", rectangle(0, -3, 100, 6), role=role, **attributes))
        assert [p.cover for p in found.land] == [cover]
        driven = cover == "asphalt" or attributes.get("surfacematerial") == "onverhard"
        assert bool(found.roads.edges) is driven

    def test_the_hull_of_a_road_gives_way_to_its_surfaces_and_paint_to_its_own(self) -> None:
        found, notes = parts(
            feature("Road", rectangle(0, -9, 100, 18)),
            feature("Road", rectangle(0, -3, 100, 6), role="TrafficArea", function="1"),
            feature("Road", rectangle(0, 0, 100, 0.2), role="TrafficArea", function="11"),
        )
        assert [p.outline.area for p in found.land] == [pytest.approx(600)]
        assert notes == {"road markings, to be painted anew": 1}

    def test_what_lies_on_top_comes_later(self) -> None:
        found, _ = parts(
            feature("Road", rectangle(0, -3, 100, 6), name="r"),
            feature("Road", rectangle(0, -3, 100, 6), name="f", function="voetpad"),
            feature("Road", rectangle(0, -3, 100, 6), name="v", function="berm"),
            feature("PlantCover", rectangle(0, 0, 9, 9), **{"class": "heesters"}),
            feature("LandUse", rectangle(0, 0, 9, 9), **{"class": "zand"}),
        )
        assert [p.cover for p in found.land] == ["sand", "scrub", "grass", "paved", "asphalt"]

    def test_the_deck_of_a_bridge_joins_the_streets_on_its_sides_and_is_marked(self) -> None:
        deck = feature("Bridge", rectangle(50, -3, 20, 6, 1), name="deck")
        sides = feature("Road", rectangle(0, -3, 50, 6)), feature("Road", rectangle(70, -3, 60, 6))
        assert component_labels(parts(*sides)[0].roads).max() == 1
        found, _ = parts(*sides, deck)
        assert component_labels(found.roads).max() == 0
        (over,) = (edge for edge in found.roads.edges if edge.bridge)
        assert (over.line.length, over.layer) == (pytest.approx(20, abs=0.5), 1)
        assert sum(edge.line.length for edge in found.roads.edges) == pytest.approx(130, abs=1)

    def test_a_flyover_does_not_cross_the_street_below_it(self) -> None:
        below = feature("Road", rectangle(-60, -3, 120, 6))
        above = feature("Road", rectangle(-3, -60, 6, 120, 8), relatieveHoogteligging="1")
        crossing, _ = parts(below, feature("Road", rectangle(-3, -60, 6, 120)))
        flyover, _ = parts(below, above)
        assert (len(crossing.roads.edges), len(flyover.roads.edges)) == (4, 2)
        assert [(e.layer, e.bridge) for e in flyover.roads.edges] == [(0, False), (1, True)]

    def test_axes_meet_where_they_share_a_vertex_and_take_their_width_from_attributes_or_class(self) -> None:
        found, notes = parts(
            line("Road", (0, 0, 0), (50, 0, 0), (100, 0, 0), name="a", width="7.5", lanes=2),
            line("Road", (50, 0, 0), (50, 80, 0), name="b", **{"class": "motorway"}),
            line("Road", (0, 9, 0), (9, 9, 0), name="c", function="voetpad"),
        )
        assert [(e.width, e.lanes, e.kind, e.inferred) for e in found.roads.edges] == [
            *(2 * [(7.5, 2, "residential", False)]),
            (12.0, None, "motorway", True),
        ]
        assert component_labels(found.roads).max() == 0
        assert notes == {
            "widths of roads taken from their class": 1,
            "axes of ways that are not driven on left out": 1,
        }

    def test_railways_are_tracks_on_ballast(self) -> None:
        found, _ = parts(feature("Railway", rectangle(0, -4, 100, 8)))
        (railway,) = found.railways
        assert (railway.tracks, railway.line.length) == (2, pytest.approx(100, abs=0.5))
        assert ([p.cover for p in found.land], found.roads.edges) == (["ballast"], ())
        (tram,) = parts(line("Railway", (0, 0, 0), (9, 0, 0), **{"class": "tram"}))[0].railways
        assert (tram.kind, tram.line.length) == ("tram", 9)


class TestGround:
    def test_water_stands_at_the_middle_of_its_heights(self) -> None:
        tilted = [(0, 0, -1.0), (40, 0, -1.0), (40, 30, -0.4), (0, 30, -0.4)]
        found, _ = parts(
            feature("WaterBody", tilted, role="WaterSurface"),
            feature("WaterBody", rectangle(-9, -9, 99, 99, -5), role="WaterGroundSurface"),
        )
        (lake,) = found.water
        assert (lake.kind, lake.level, lake.outline.area) == ("lake", pytest.approx(-0.7), pytest.approx(1200))

    @pytest.mark.parametrize(
        ("size", "attributes", "kind"),
        [
            ((200, 10), {}, "river"),
            ((30, 20), {}, "lake"),
            ((30, 20), {"class": "waterloop"}, "river"),
            ((200, 10), {"class": "gracht"}, "canal"),
            ((30, 20), {"function": "Nordsee", "class": "sea"}, "sea"),
        ],
    )
    def test_water_is_what_its_words_say_or_else_its_shape(self, size: Any, attributes: Any, kind: str) -> None:
        found, _ = parts(feature("Waterway", rectangle(0, 0, *size), **attributes))
        assert [w.kind for w in found.water] == [kind]

    def test_a_watercourse_that_is_a_line_becomes_a_brook(self) -> None:
        found, notes = parts(line("Waterway", (0, 0, 3), (50, 0, 3)))
        assert [(w.outline.area, w.level, w.inferred) for w in found.water] == [(pytest.approx(150), 3, True)]
        assert notes == {"watercourses that are lines, given a width": 1}

    @pytest.mark.parametrize(
        ("attributes", "cover"),
        [
            ({"bgt_fysiekvoorkomen": "gesloten verharding"}, "asphalt"),
            ({"bgt_fysiekvoorkomen": "open verharding", "plus_fysiekvoorkomen": "waardeOnbekend"}, "paved"),
            ({"bgt_fysiekvoorkomen": "onverhard"}, "bare"),
            ({"bgt_fysiekvoorkomen": "erf"}, "paved"),
            ({"class": "zand"}, "sand"),
            ({"class": "grasland agrarisch"}, "agriculture"),
            ({"class": "groenvoorziening"}, "grass"),
            ({"class": "groenvoorziening", "plus_fysiekvoorkomen": "heesters"}, "scrub"),
            ({"class": "loofbos"}, "forest"),
            ({"function": "Friedhof"}, "grass"),
            ({"function": "Laubwald"}, "forest"),
            ({"class": "1000", "function": "3020"}, "agriculture"),
            ({"function": ["1130"]}, "pitch"),
            ({"usage": "Parking lot"}, "parking"),
        ],
    )
    def test_land_is_covered_with_what_its_words_and_codes_say(self, attributes: Any, cover: str) -> None:
        found, notes = parts(feature("LandUse", rectangle(0, 0, 9, 9), **attributes))
        assert [p.cover for p in found.land] == [cover]
        assert (cover in COVERS, notes) == (True, {})

    def test_what_tells_no_cover_is_counted_or_judged_by_its_height(self) -> None:
        found, notes = parts(
            feature("LandUse", rectangle(0, 0, 9, 9), **{"class": "residential"}),
            feature("LandUse", rectangle(0, 0, 9, 9), **{"class": "4020"}),
            feature("PlantCover", rectangle(0, 0, 9, 9), averageHeight=12),
            feature("PlantCover", rectangle(0, 0, 9, 9)),
        )
        assert [(p.cover, p.inferred) for p in found.land] == [("forest", True), ("grass", True)]
        assert len(found.water) == 1
        assert notes == {
            "land use that tells no cover left out": 1,
            "plant cover of an unknown kind, judged by its height": 2,
        }

    def test_relief_faces_up_whatever_its_triangles_do_and_points_are_joined(self) -> None:
        up, down = [(0, 0, 1.0), (9, 0, 2.0), (0, 9, 3.0)], [(9, 0, 2.0), (0, 9, 3.0), (9, 9, 4.0)]
        found, _ = parts(feature("TINRelief", up, down[::-1]))
        assert found.relief is not None
        assert (len(found.relief), len(found.relief.vertices)) == (2, 4)
        assert (found.relief.normals[:, 2] > 0).all()
        assert (found.relief.surface == Surface.GROUND).all()
        spots = RawFeature("m", "TINRelief", "MassPointRelief", points=np.array([*up, (9, 9, 4.0)]))
        joined, notes = parts(spots)
        assert joined.relief is not None
        assert joined.relief.areas.sum() == pytest.approx(found.relief.areas.sum())
        assert notes == {"relief joined from points": 1}


class TestStanding:
    def test_a_tree_is_as_large_as_its_attributes_or_its_geometry_say(self) -> None:
        cone = [[(4, 5, 1.0), (8, 5, 1.0), (6, 5, 9.0)], [(6, 3, 1.0), (6, 7, 1.0), (6, 5, 9.0)]]
        found, notes = parts(
            feature("SolitaryVegetationObject", *cone),
            feature("SolitaryVegetationObject", *cone, height="12", crownDiameter=6, species="Picea abies"),
            RawFeature("p", "SolitaryVegetationObject", points=np.array([(1.0, 2.0, 0.0)])),
            RawFeature("s", "SolitaryVegetationObject", "", {"class": "1000"}, points=np.array([(3.0, 4.0, 0.0)])),
        )
        np.testing.assert_allclose(found.trees.xy, [(6, 5), (6, 5), (1, 2), (3, 4)])
        np.testing.assert_allclose(found.trees.height, [8, 12, 9, 2])
        np.testing.assert_allclose(found.trees.radius, [2, 3, 3, 1.2])
        assert found.trees.species.tolist() == [0, 1, 0, 0]
        assert notes == {"plants of a size that is assumed": 2}

    def test_structures_are_named_by_what_they_are_and_parts_of_one_are_one(self) -> None:
        kinds = ["Tunnel", "CityFurniture", "GenericCityObject", "OtherConstruction"]
        bridge = [feature("Bridge", rectangle(0, 0, 9, 9, 5), name="x")]
        bridge.append(feature("BridgePart", rectangle(20, 0, 9, 9, 5), name="x"))
        found, notes = parts(*bridge, *(feature(kind, rectangle(0, 0, 9, 9), name=kind) for kind in kinds))
        assert [s.kind for s in found.structures] == ["bridge", "tunnel", "furniture", "construction", "construction"]
        assert found.structures[0].mesh.bounds[1].tolist() == [29, 9, 5]
        assert {k: v for k, v in notes.items() if "left out" in k} == {}

    def test_the_coarse_hull_of_a_bridge_gives_way_to_its_finer_parts(self) -> None:
        hull = RawFeature("x", "Bridge", shells={1.0: [polygons(rectangle(0, 0, 99, 99, 5))]})
        found, _ = parts(hull, feature("BridgePart", rectangle(20, 0, 9, 9, 5), name="x"))
        assert found.structures[0].mesh.bounds[1].tolist() == [29, 9, 5]


def test_every_feature_that_gives_nothing_is_counted() -> None:
    nowhere = [(np.nan, 0, 0), (1, 0, 0), (1, np.inf, 0)]
    upright = [(0, 0, 0), (9, 0, 0), (9, 0, 9), (0, 0, 9)]
    spot = np.zeros((1, 3))
    found, notes = parts(
        feature("Road", nowhere, name="1"),
        feature("Road", name="2"),
        RawFeature("3", "Road", points=spot),
        feature("WaterBody", upright, name="4"),
        feature("LandUse", upright, name="5", **{"class": "grass"}),
        RawFeature("6", "CityFurniture", points=spot),
        RawFeature("7", "TINRelief", points=spot),
        RawFeature("8", "SolitaryVegetationObject", points=spot * np.nan),
        feature("+Extension", upright),
    )
    assert (found.roads.edges, found.water, found.land, len(found.trees), found.structures) == ((), (), (), 0, ())
    expected = {
        "Road without an area left out": 1,
        "Road without geometry left out": 1,
        "Road of points alone left out": 1,
        "WaterBody without an area left out": 1,
        "LandUse without an area left out": 1,
        "CityFurniture without faces left out": 1,
        "relief without triangles left out": 1,
        "plants without a place left out": 1,
        "ignored +Extension": 1,
    }
    assert {k: v for k, v in notes.items() if k in expected or k.startswith("ignored")} == expected


@pytest.fixture(scope="module")
def delft(shared_data: Path) -> tuple[Parts, dict[str, Any], Counter[str]]:
    path = shared_data / "cityjson" / "delft_scene_lod1.city.json"
    notes: Counter[str] = Counter()
    with path.open("rb") as stream:
        raw = read_cityjson(stream)
    return city_parts(raw.features, np.asarray, (84_900.0, 447_400.0), notes), json.loads(path.read_text()), notes


def _areas(document: dict[str, Any], kind: str, words: str = "") -> list[float]:
    """Areas from above of the faces of every object of a kind, straight from the JSON."""
    scale, shift = (np.array(document["transform"][key]) for key in ("scale", "translate"))
    found = []
    for item in document["CityObjects"].values():
        if item["type"] == kind and words in str(item["attributes"].get("function")):
            (geometry,) = item["geometry"]
            rings = [[[document["vertices"][i] for i in ring] for ring in face] for face in geometry["boundaries"]]
            flat = [[np.array(ring)[:, :2] * scale[:2] + shift[:2] for ring in face] for face in rings]
            found.append(sum(Polygon(face[0], face[1:]).area for face in flat))
    return found


class TestDelft:
    def test_counts_equal_those_of_the_file(self, delft: Any) -> None:
        found, document, notes = delft
        kinds = Counter(item["type"] for item in document["CityObjects"].values())
        assert (kinds["Road"], kinds["WaterBody"], kinds["PlantCover"], kinds["LandUse"]) == (143, 3, 126, 81)
        assert len(found.land) == 143 + 126 + 81
        assert len(found.water) == 3
        assert Counter(s.kind for s in found.structures) == {"bridge": 3, "construction": 54}
        assert not [name for name, count in notes.items() if count and name.startswith(("ignored", "land use"))]

    @pytest.mark.parametrize(
        ("kind", "words", "covers"),
        [("Road", "rijbaan", ("asphalt",)), ("Road", "parkeervlak", ("parking",)), ("WaterBody", "", ())],
    )
    def test_areas_agree_with_those_of_the_file(self, delft: Any, kind: str, words: str, covers: Any) -> None:
        found, document, _ = delft
        patches = [p.outline.area for p in found.land[-143:] if p.cover in covers] or [
            body.outline.area for body in found.water
        ]
        assert sum(patches) == pytest.approx(sum(_areas(document, kind, words)), rel=0.01)

    def test_all_land_together_is_as_large_as_in_the_file(self, delft: Any) -> None:
        found, document, _ = delft
        expected = sum(sum(_areas(document, kind)) for kind in ("Road", "PlantCover", "LandUse"))
        assert sum(p.outline.area for p in found.land) == pytest.approx(expected, rel=0.01)

    def test_its_streets_are_one_network_on_their_own_surface(self, delft: Any) -> None:
        found, _, _ = delft
        edges = found.roads.edges
        label = component_labels(found.roads)[[e.u for e in edges]]
        length = np.bincount(label, weights=[e.line.length for e in edges])
        assert length.max() > 0.9 * length.sum()
        assert 850 < length.sum() < 1050
        surface = shapely.union_all([p.outline for p in found.land if p.cover == "asphalt"]).buffer(0.2)
        for edge in edges:
            assert edge.bridge or edge.line.difference(surface).length < 0.5
        assert all(2.5 < e.width < 6 for e in edges if e.line.length > 20)
        assert all(e.line.length > 2 for e in edges)


def test_the_surfaces_of_a_real_crossing_are_one_network(shared_data: Path) -> None:
    path = shared_data / "citygml" / "melbourne_roads_4wayintersection_citygml3.gml"
    with path.open("rb") as stream:
        raw = read_citygml(stream)
    points: Floats = np.concatenate([s.points for f in raw.features for level in f.shells.values() for s in level])
    west, south = np.floor(points.min(axis=0)[:2]).tolist()
    found = city_parts(raw.features, np.asarray, (west, south), Counter())
    assert component_labels(found.roads).max() == 0
    assert 1200 < found.roads.length < 1600
    degree = np.bincount([end for e in found.roads.edges for end in (e.u, e.v)])
    assert degree.max() == 8  # four streets of two carriageways each meet in the middle
    assert {p.cover for p in found.land} == {"asphalt", "paved", "parking", "grass", "bare"}
