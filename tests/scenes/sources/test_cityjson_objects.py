"""Every kind of city object and of geometry that CityJSON has, and what belongs to what."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from cityfiles import X, Y
from cityobjects import Draft, read_text, rectangle

from mage.scenes.errors import CityError
from mage.scenes.mesh import Surface
from mage.scenes.sources.cityjson import geometry as cityjson_geometry
from mage.scenes.sources.cityjson.read import read_cityjson
from mage.scenes.sources.raw import Floats

FEATURES = (
    *("Road", "Railway", "TransportSquare", "Waterway", "WaterBody", "LandUse", "PlantCover", "TINRelief"),
    *("SolitaryVegetationObject", "CityFurniture", "GenericCityObject", "OtherConstruction", "Bridge", "Tunnel"),
)
INSIDE = ("BuildingRoom", "BuildingFurniture", "BuildingStorey", "BuildingUnit", "CityObjectGroup", "+NoiseWall")


class TestKinds:
    @pytest.mark.parametrize("kind", FEATURES)
    @pytest.mark.parametrize("version", ["1.0", "1.1", "2.0"])
    def test_what_is_no_building_is_a_feature_of_the_same_kind(self, kind: str, version: str) -> None:
        draft = Draft(version)
        city = draft.add("a", kind, draft.surfaces(rectangle(0, 0, 4, 3)), attributes={"class": "x"}).read()
        (feature,) = city.features
        assert (feature.id, feature.kind, feature.role, feature.attributes) == ("a", kind, "", {"class": "x"})
        np.testing.assert_allclose(feature.shells[2.0][0].points - (X, Y, 0), rectangle(0, 0, 4, 3))
        assert (city.buildings, +city.notes) == ([], {})

    @pytest.mark.parametrize("kind", [*INSIDE, "Nonsense"])
    def test_rooms_groups_and_extensions_are_counted_by_name(self, kind: str) -> None:
        draft = Draft().add("g", kind)
        draft.add("b", "Building", draft.surfaces(rectangle(0, 0, 4, 3)), children=["g"])
        city = draft.read()
        assert +city.notes == {f"ignored {kind}": 1}
        assert len(city.buildings[0].objects) == 1

    def test_installations_are_told_from_parts(self) -> None:
        draft = Draft()
        face = draft.surfaces(rectangle(0, 0, 4, 3))
        draft.add("b", "Building", face, children=["p"]).add("p", "BuildingPart", face, parents=["b"], children=["i"])
        draft.add("i", "BuildingInstallation", face, parents=["p"])
        draft.add("e", "BuildingConstructiveElement", face, parents=["b"])
        (building,) = draft.read().buildings
        assert [o.installation for o in building.objects] == [False, False, True, True]

    def test_a_building_of_beams_alone_is_made_of_them(self) -> None:
        draft = Draft().add("b", "Building", children=["e"])
        draft.add("e", "BuildingConstructiveElement", draft.surfaces(rectangle(0, 0, 4, 3)), parents=["b"])
        (building,) = draft.read().buildings
        assert [o.installation for o in building.objects] == [False, False]

    def test_parts_of_a_bridge_carry_its_name(self) -> None:
        draft = Draft()
        face = draft.surfaces(rectangle(0, 0, 4, 3))
        draft.add("b", "Bridge", children=["p"]).add("p", "BridgePart", face).add("q", "BridgePart", face)
        city = draft.read()
        assert [(f.id, f.kind) for f in city.features] == [("b", "Bridge"), ("b", "BridgePart"), ("q", "BridgePart")]
        assert +city.notes == {"BridgePart without what it belongs to, taken by itself": 1}


class TestFamilies:
    def test_a_part_that_only_names_its_parent_belongs_to_it(self) -> None:
        city = Draft().add("b", "Building").add("p", "BuildingPart", parents=["b"]).read()
        assert [len(b.objects) for b in city.buildings] == [2]

    def test_a_stray_part_is_a_building_and_a_stray_installation_is_counted(self) -> None:
        draft = Draft().add("i", "BuildingInstallation", parents=["p"]).add("p", "BuildingPart", parents=["gone"])
        city = draft.add("j", "BuildingInstallation").read()
        assert [(b.id, len(b.objects)) for b in city.buildings] == [("p", 2)]
        assert +city.notes == {
            "BuildingPart without what it belongs to, taken by itself": 1,
            "BuildingInstallation without a building left out": 1,
        }

    def test_a_part_of_two_buildings_is_left_to_the_first(self) -> None:
        draft = Draft().add("a", "Building", children=["p"]).add("b", "Building", children=["p"])
        city = draft.add("p", "BuildingPart").read()
        assert [len(b.objects) for b in city.buildings] == [2, 1]
        assert +city.notes == {"building parts of two buildings, left to the first": 1}

    def test_parts_that_hold_each_other_in_a_ring_end(self) -> None:
        draft = Draft().add("b", "Building", children=["p"])
        draft.add("p", "BuildingPart", children=["q"], parents=["q"]).add("q", "BuildingPart", children=["p", "b"])
        assert [len(b.objects) for b in draft.read().buildings] == [3]

    def test_ten_thousand_parts_one_within_the_other(self) -> None:
        draft = Draft().add("p0", "Building", children=["p1"])
        for k in range(1, 10_000):
            draft.add(f"p{k}", "BuildingPart", children=[f"p{k + 1}"])
        city = draft.read()
        assert len(city.buildings[0].objects) == 10_000
        assert +city.notes == {"building parts that are not there": 1}


class TestSurfaces:
    def test_a_road_comes_once_for_each_meaning_of_its_surfaces(self) -> None:
        draft = Draft()
        lane, path = {"type": "TrafficArea", "function": "1"}, {"type": "TrafficArea", "function": "2"}
        verge = {"type": "AuxiliaryTrafficArea", "parent": 0, "surfaceMaterial": ["10", None]}
        faces = [rectangle(x, 0, 1, 9) for x in range(5)]
        geometry = draft.surfaces(*faces, meaning=[lane, path, verge, dict(lane), lane])
        geometry["semantics"]["values"][4] = None
        city = draft.add("r", "Road", geometry, attributes={"name": "Oude Delft", "function": "0"}).read()
        found = {(f.role, f.attributes.get("function")): len(f.shells[2.0][0]) for f in city.features}
        assert found == {
            ("TrafficArea", "1"): 2,
            ("TrafficArea", "2"): 1,
            ("AuxiliaryTrafficArea", "0"): 1,
            ("", "0"): 1,
        }
        assert {(f.id, f.attributes["name"]) for f in city.features} == {("r", "Oude Delft")}
        (green,) = (f for f in city.features if f.role == "AuxiliaryTrafficArea")
        assert green.attributes["surfaceMaterial"] == ["10"]
        np.testing.assert_allclose(green.shells[2.0][0].points[0], (X + 2, Y, 0))

    def test_openings_are_known_and_what_is_not_takes_the_meaning_of_its_parent(self) -> None:
        draft = Draft()
        meaning = [
            {"type": "WallSurface", "children": [1, 2]},
            {"type": "Window", "parent": 0},
            {"type": "+Facade", "parent": 0},
            {"type": "+A", "parent": 4},
            {"type": "+B", "parent": 3},
            {"type": "Door", "parent": 0},
        ]
        geometry = draft.surfaces(*(rectangle(x, 0, 1, 1) for x in range(6)), kind="Solid", meaning=meaning, lod="3.3")
        (building,) = draft.add("b", "Building", geometry).read().buildings
        assert building.objects[0].shells[3.3][0].surface.tolist() == [
            *(Surface.WALL, Surface.OPENING, Surface.WALL, Surface.OTHER, Surface.OTHER, Surface.WALL),
        ]

    @pytest.mark.parametrize("kind", ["MultiSurface", "CompositeSurface", "Solid", "MultiSolid", "CompositeSolid"])
    def test_every_kind_of_surface_geometry_gives_the_same_faces(self, kind: str) -> None:
        draft = Draft()
        geometry = draft.surfaces(rectangle(0, 0, 4, 3), rectangle(0, 0, 4, 3, 5), kind=kind, meaning=[{"type": "Z"}])
        (feature,) = draft.add("a", "OtherConstruction", geometry).read().features
        (shell,) = feature.shells[2.0]
        assert (len(shell), shell.sizes.tolist()) == (2, [4, 4])

    def test_points_and_lines_are_kept(self) -> None:
        draft = Draft()
        spots = {"type": "MultiPoint", "lod": "0", "boundaries": draft.at((1, 2, 3), (4, 5, 6))}
        axes = {
            "type": "MultiLineString",
            "lod": 0,
            "boundaries": [draft.at((0, 0, 0), (9, 0, 0)), draft.at((1, 1, 1))],
        }
        (road,) = draft.add("r", "Road", axes, spots).read().features
        np.testing.assert_allclose(road.points - (X, Y, 0), [(1, 2, 3), (4, 5, 6)])
        np.testing.assert_allclose(road.lines[0] - (X, Y, 0), [(0, 0, 0), (9, 0, 0)])
        assert (len(road.lines), road.shells) == (1, {})


class TestLevels:
    def test_outlines_and_fine_models_stand_beside_the_others_and_interiors_do_not(self) -> None:
        draft = Draft()
        levels = (0, "0.3", "1.3", "2", "3.1", "4", "x")
        draft.add("b", "Building", *(draft.surfaces(rectangle(0, 0, 4, 3), lod=lod) for lod in levels))
        (building,) = draft.read().buildings
        assert sorted(building.objects[0].shells) == [0.0, 0.3, 1.3, 2.0, 3.1]
        assert building.objects[0].unused == {4, -1}

    def test_outlines_are_footprints_unless_they_are_called_roofs(self) -> None:
        draft = Draft()
        meaning = [{"type": "GroundSurface"}, {"type": "RoofSurface"}]
        geometry = draft.surfaces(rectangle(0, 0, 4, 3), rectangle(0, 0, 5, 4, 7), lod="0", meaning=meaning)
        draft.add("a", "Building", geometry).add("b", "Building", draft.surfaces(rectangle(9, 0, 4, 3), lod="0"))
        first, second = draft.read().buildings
        assert [s.surface.tolist() for s in first.objects[0].shells[0.0]] == [[Surface.GROUND], [Surface.ROOF]]
        assert [s.surface.tolist() for s in second.objects[0].shells[0.0]] == [[Surface.GROUND]]

    def test_a_feature_without_a_level_counts_as_an_outline(self) -> None:
        draft = Draft()
        city = draft.add("a", "LandUse", draft.surfaces(rectangle(0, 0, 4, 3), lod=None)).read()
        assert list(city.features[0].shells) == [0.0]
        assert +city.notes == {"geometries without a level of detail, taken as LoD0": 1}

    def test_the_interior_of_a_feature_is_counted(self) -> None:
        draft = Draft()
        city = draft.add("a", "Bridge", draft.surfaces(rectangle(0, 0, 4, 3), lod="4")).read()
        assert (city.features[0].shells, +city.notes) == ({}, {"LoD4 of Bridge left out": 1})


class TestTemplates:
    MATRIX = (0, -2, 0, 5, 2, 0, 0, 6, 0, 0, 3, 7, 0, 0, 0, 1)  # a quarter turn, twice as wide, three times as high

    def test_a_template_is_turned_scaled_and_set_on_its_point(self) -> None:
        draft = Draft()
        number = draft.template(draft.surfaces([(0, 0, 0), (1, 0, 0), (0, 1, 1)], lod="3"))
        draft.add("t", "SolitaryVegetationObject", draft.instance(number, (100, 200, 10), self.MATRIX))
        (tree,) = draft.read().features
        expected = [(105, 206, 17), (105, 208, 17), (103, 206, 20)]
        np.testing.assert_allclose(tree.shells[3.0][0].points - (X, Y, 0), expected, atol=1e-9)

    def test_many_places_share_one_template_and_stand_apart(self) -> None:
        draft = Draft()
        number = draft.template(draft.surfaces(rectangle(0, 0, 1, 1)))
        for k in range(3):
            draft.add(f"t{k}", "CityFurniture", draft.instance(number, (10 * k, 0, 0)))
        west = [f.shells[2.0][0].points[:, 0].min() - X for f in draft.read().features]
        assert west == pytest.approx([0, 10, 20])

    def test_a_template_in_a_template_stands_where_both_say(self) -> None:
        draft = Draft()
        inner = draft.template(draft.surfaces(rectangle(0, 0, 1, 1)))
        outer = draft.template(draft.instance(inner, (5, 0, 0)))
        (feature,) = draft.add("a", "CityFurniture", draft.instance(outer, (100, 0, 0))).read().features
        assert feature.shells[2.0][0].points[:, 0].min() - X == pytest.approx(105)

    def test_a_template_that_holds_itself_or_is_not_there_is_counted(self) -> None:
        draft = Draft()
        number = draft.template({})
        draft.document["geometry-templates"]["templates"][0] = draft.instance(0, (0, 0, 0))
        draft.add("a", "CityFurniture", draft.instance(number, (0, 0, 0)))
        for name, missing in (("b", 7), ("c", -1), ("d", "x")):
            draft.add(name, "Building", draft.instance(missing, (0, 0, 0)))  # type: ignore[arg-type]
        city = draft.read()
        assert +city.notes == {
            "geometry templates that are not there": 3,
            "geometry templates within themselves left out": 1,
        }

    def test_templates_of_a_sequence_stand_in_its_first_line(self) -> None:
        draft = Draft()
        draft.template(draft.surfaces(rectangle(0, 0, 1, 1)))
        header = draft.document | {"vertices": []}
        other = Draft()
        other.add("t", "CityFurniture", other.instance(0, (3, 0, 0)))
        feature = {"type": "CityJSONFeature", **{k: other.document[k] for k in ("CityObjects", "vertices")}}
        city = read_text(f"{json.dumps(header)}\n{json.dumps(feature)}\n")
        assert city.features[0].shells[2.0][0].points[:, 0].min() - X == pytest.approx(3)

    @pytest.mark.parametrize(
        "change",
        [
            {"boundaries": []},
            {"boundaries": [0, 1]},
            {"boundaries": [99]},
            {"transformationMatrix": [1, 2, 3]},
            {"transformationMatrix": "eye"},
        ],
    )
    def test_a_broken_instance_is_refused(self, change: dict[str, Any]) -> None:
        draft = Draft()
        number = draft.template(draft.surfaces(rectangle(0, 0, 1, 1)))
        draft.add("a", "CityFurniture", draft.instance(number, (0, 0, 0)) | change)
        with pytest.raises(CityError, match=r"not laid out as CityJSON|vertex that is not there"):
            draft.read()

    def test_templates_that_would_fill_the_memory_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cityjson_geometry, "LARGEST_PLACED", 10)
        draft = Draft()
        number = draft.template(draft.surfaces(rectangle(0, 0, 1, 1)))
        draft.add("a", "CityFurniture", *(draft.instance(number, (k, 0, 0)) for k in range(2)))
        assert len(draft.read().features) == 1
        draft.add("b", "CityFurniture", draft.instance(number, (0, 0, 0)))
        with pytest.raises(CityError, match="too many points"):
            draft.read()


class TestWithin:
    def test_a_building_is_asked_for_once_with_all_its_parts_and_the_names_of_the_crs(self) -> None:
        draft = Draft()
        draft.add("b", "Building", children=["p"]).add("p", "BuildingPart", draft.surfaces(rectangle(0, 0, 4, 3)))
        draft.add("q", "BuildingPart", draft.surfaces(rectangle(50, 0, 4, 3), lod=1), parents=["b"])
        axis = {"type": "MultiLineString", "lod": "0", "boundaries": [draft.at((0, 0, 0), (900, 0, 0))]}
        draft.add("r", "Road", axis, draft.surfaces(rectangle(0, 0, 4, 3))).add("nothing", "LandUse")
        asked: list[tuple[list[str], float]] = []

        def near(crs: Any, points: Floats) -> bool:
            asked.append((list(crs), float(points[:, 0].max() - X)))
            return bool(points[:, 0].max() < X + 100)

        city = draft.read(near)
        crs = ["https://www.opengis.net/def/crs/EPSG/0/7415"]
        assert asked == [(crs, pytest.approx(54)), (crs, pytest.approx(900))]
        assert (len(city.buildings), [f.id for f in city.features]) == (1, ["nothing"])
        assert +city.notes == {"outside the bounds": 1}

    def test_a_sequence_is_read_line_by_line(self) -> None:
        header = json.dumps(Draft().document)

        class Lines:
            """A stream that counts the lines asked for, and never gives all of itself."""

            asked = 0

            def __iter__(self) -> Any:
                yield header.encode()
                for k in range(100):
                    draft = Draft()
                    draft.add(f"f{k}", "LandUse", draft.surfaces(rectangle(k, 0, 1, 1)))
                    self.asked += 1
                    yield json.dumps(draft.document | {"type": "CityJSONFeature"}).encode()

        lines, seen = Lines(), []

        def none(_: Any, __: Floats) -> bool:
            seen.append(lines.asked)
            return False

        class Stream:
            def __init__(self) -> None:
                self._lines = iter(lines)

            def __iter__(self) -> Any:
                return self._lines

        city = read_cityjson(Stream(), none)  # type: ignore[arg-type]
        assert seen == list(range(1, 101))
        assert (city.format, city.features, city.notes["outside the bounds"]) == ("CityJSONSeq 2.0", [], 100)


def test_a_name_that_stands_twice_is_counted() -> None:
    text = json.dumps(Draft().add("a", "LandUse").document).replace('"a":', '"a": {"type": "Road"}, "a":')
    city = read_text(text)
    assert [f.kind for f in city.features] == ["LandUse"]
    assert +city.notes == {"names that stand twice in one object, the last one taken": 1}
