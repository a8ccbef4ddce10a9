"""What is no building in CityGML: each becomes features of CityJSON's kinds, a kind of surface at a time."""

from __future__ import annotations

import io

import numpy as np
import pytest
from cityfiles import X, Y, box, city_model, implicit, multi, polygon, relative, ring

from mage.scenes.mesh import Surface
from mage.scenes.sources.citygml.read import read_citygml
from mage.scenes.sources.raw import RawCity, RawFeature

SQUARE = [[(X, Y, 0), (X + 4, Y, 0), (X + 4, Y + 4, 0), (X, Y + 4, 0)]]
TREE = [[(-1.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 5.0)]]


def raw(*members: str, version: str = "2.0") -> RawCity:
    return read_citygml(io.BytesIO(city_model(members, version=version).encode()))


def only(member: str, version: str = "2.0") -> RawFeature:
    (feature,) = raw(member, version=version).features
    return feature


def surfaces(level: int, count: int = 1, name: str = "MultiSurface") -> str:
    return f"<core:lod{level}{name}>{multi([SQUARE] * count)}</core:lod{level}{name}>"


def within(path: str, inside: str) -> str:
    """The XML in elements within each other; the first carries an id."""
    names = path.split("/")
    for name in reversed(names[1:]):
        inside = f"<{name}>{inside}</{name}>"
    return f'<{names[0]} gml:id="x">{inside}</{names[0]}>'


class TestKinds:
    @pytest.mark.parametrize(
        ("version", "element", "kind"),
        [
            ("1.0", "tran:Road", "Road"),
            ("2.0", "tran:Railway", "Railway"),
            ("2.0", "tran:Square", "TransportSquare"),
            ("2.0", "tran:TransportationComplex", "Road"),
            ("3.0", "tran:Waterway", "Waterway"),
            ("2.0", "wtr:WaterBody", "WaterBody"),
            ("2.0", "luse:LandUse", "LandUse"),
            ("2.0", "veg:PlantCover", "PlantCover"),
            ("2.0", "veg:SolitaryVegetationObject", "SolitaryVegetationObject"),
            ("2.0", "brid:Bridge", "Bridge"),
            ("2.0", "tun:Tunnel", "Tunnel"),
            ("2.0", "frn:CityFurniture", "CityFurniture"),
            ("2.0", "gen:GenericCityObject", "GenericCityObject"),
            ("3.0", "gen:GenericOccupiedSpace", "GenericCityObject"),
            ("3.0", "con:OtherConstruction", "OtherConstruction"),
        ],
    )
    def test_every_kind_is_read_with_its_faces(self, version: str, element: str, kind: str) -> None:
        feature = only(within(element, surfaces(1, 3)), version)
        assert (feature.id, feature.kind, feature.role) == ("x", kind, "")
        assert [len(shell) for shell in feature.shells[1.0]] == [3]

    def test_a_track_is_a_road_that_says_so(self) -> None:
        track = only(within("tran:Track", surfaces(1)))
        assert (track.kind, track.attributes) == ("Road", {"class": "Track"})

    def test_what_is_not_used_is_counted_by_name(self) -> None:
        inner = within("grp:groupMember/tran:Road", surfaces(1))
        raster = within("dem:ReliefFeature/dem:reliefComponent/dem:RasterRelief", "<dem:lod>1</dem:lod>")
        city = raw(f"<grp:CityObjectGroup>{inner}</grp:CityObjectGroup>", "<Dragon/>", "<Dragon/>", raster)
        assert [f.kind for f in city.features] == ["Road"]  # also inside of a group
        assert city.notes == {
            "ignored CityObjectGroup": 1,
            "ignored Dragon": 2,
            "ignored RasterRelief": 1,
            "features without geometry left out": 1,
        }

    def test_a_file_of_a_thousand_kinds_of_dragons_has_few_notes(self) -> None:
        city = raw(*(f"<Dragon{k}/>" for k in range(1000)))
        assert sum(city.notes.values()) == 1000
        assert len(city.notes) <= 201


class TestRoads:
    def area(self, name: str, function: str, level: int = 2) -> str:
        inside = f"<tran:function>{function}</tran:function>{surfaces(level)}"
        return f"<tran:{name}>{inside}</tran:{name}>"

    def test_surfaces_come_by_role_and_by_what_they_say(self) -> None:
        areas = [self.area("TrafficArea", "1"), self.area("TrafficArea", "2"), self.area("TrafficArea", "1")]
        inside = "".join(f"<tran:trafficArea>{area}</tran:trafficArea>" for area in areas)
        grass = self.area("AuxiliaryTrafficArea", "1")
        inside += f"<tran:auxiliaryTrafficArea>{grass}</tran:auxiliaryTrafficArea>"
        road = f'<tran:Road gml:id="r"><gml:name>High St</gml:name>{surfaces(1)}{inside}</tran:Road>'
        found = {
            (f.role, f.attributes.get("function")): {k: len(s[0]) for k, s in f.shells.items()}
            for f in raw(road).features
        }
        assert found == {
            ("", None): {1.0: 1},
            ("TrafficArea", "1"): {2.0: 2},
            ("TrafficArea", "2"): {2.0: 1},
            ("AuxiliaryTrafficArea", "1"): {2.0: 1},
        }
        assert {f.attributes["name"] for f in raw(road).features} == {"High St"}
        assert {f.id for f in raw(road).features} == {"r"}

    @pytest.mark.parametrize("way", ["section/tran:Section", "intersection/tran:Intersection"])
    def test_version_3_nests_them_in_sections_and_spaces(self, way: str) -> None:
        path = f"tran:Road/tran:{way}/tran:trafficSpace/tran:TrafficSpace/core:boundary"
        feature = only(within(path, self.area("TrafficArea", "7")), "3.0")
        assert (feature.role, feature.attributes) == ("TrafficArea", {"function": "7"})

    def test_markings_are_a_role_and_clearances_are_ignored(self) -> None:
        marking = within("tran:marking/tran:Marking", surfaces(2))
        clear = within("tran:clearanceSpace/tran:ClearanceSpace", surfaces(2))
        city = raw(within("tran:Road", marking + clear), version="3.0")
        assert [f.role for f in city.features] == ["Marking"]
        assert city.notes == {"ignored ClearanceSpace": 1}

    def test_axes_are_lines(self) -> None:
        line = f"<gml:LineString><gml:posList>{X} {Y} 0 {X + 9} {Y} 1</gml:posList></gml:LineString>"
        axis = within("tran:lod0Network/gml:GeometricComplex/gml:element", line).replace(' gml:id="x"', "")
        feature = only(within("tran:Road", axis))
        assert (feature.shells, len(feature.points)) == ({}, 0)
        assert [found.tolist() for found in feature.lines] == [[[X, Y, 0], [X + 9, Y, 1]]]


class TestWaterAndGround:
    def test_water_has_its_surface_apart_from_its_bed(self) -> None:
        parts = "".join(
            f"<wtr:boundedBy><wtr:{name}>{surfaces(2, count, 'Surface')}</wtr:{name}></wtr:boundedBy>"
            for name, count in (("WaterSurface", 2), ("WaterGroundSurface", 1))
        )
        found = {f.role: len(f.shells[2.0][0]) for f in raw(within("wtr:WaterBody", parts)).features}
        assert found == {"WaterSurface": 2, "WaterGroundSurface": 1}

    def triangles(self, count: int) -> str:
        corner = ring(SQUARE[0][:3])
        return f"<gml:Triangle><gml:exterior>{corner}</gml:exterior></gml:Triangle>" * count

    @pytest.mark.parametrize("name", ["TriangulatedSurface", "Tin"])
    def test_relief_is_triangles_at_the_level_it_states(self, name: str) -> None:
        tin = f"<gml:{name}><gml:trianglePatches>{self.triangles(5)}</gml:trianglePatches></gml:{name}>"
        body = f"<dem:TINRelief><dem:lod>2</dem:lod><dem:tin>{tin}</dem:tin></dem:TINRelief>"
        feature = only(within("dem:ReliefFeature/dem:reliefComponent", body))
        (shell,) = feature.shells[2.0]
        assert (feature.kind, feature.role, len(shell), shell.sizes.tolist()) == ("TINRelief", "", 5, [3] * 5)

    def test_relief_of_points_gives_points(self) -> None:
        text = f"{X} {Y} 1 {X + 5} {Y} 2 {X} {Y + 5} 3"
        control = f"<gml:Tin><gml:controlPoint><gml:posList>{text}</gml:posList></gml:controlPoint></gml:Tin>"
        tin = f"<dem:TINRelief><dem:lod>1</dem:lod><dem:tin>{control}</dem:tin></dem:TINRelief>"
        mass = "".join(
            f"<gml:pointMember><gml:Point><gml:pos>{X} {Y} {k}</gml:pos></gml:Point></gml:pointMember>" for k in (4, 5)
        )
        mass = f"<dem:reliefPoints><gml:MultiPoint>{mass}</gml:MultiPoint></dem:reliefPoints>"
        mass = f"<dem:MassPointRelief>{mass}</dem:MassPointRelief>"
        body = "".join(f"<dem:reliefComponent>{part}</dem:reliefComponent>" for part in (tin, mass))
        features = raw(f"<dem:ReliefFeature>{body}</dem:ReliefFeature>").features
        assert {f.role: f.points[:, 2].tolist() for f in features} == {"": [1, 2, 3], "MassPointRelief": [4, 5]}

    def test_breaklines_are_lines(self) -> None:
        line = f"<gml:LineString><gml:posList>{X} {Y} 0 {X + 9} {Y} 1</gml:posList></gml:LineString>"
        line = f"<gml:MultiCurve><gml:curveMember>{line}</gml:curveMember></gml:MultiCurve>"
        feature = only(f"<dem:BreaklineRelief><dem:breaklines>{line}</dem:breaklines></dem:BreaklineRelief>")
        assert (feature.kind, len(feature.lines)) == ("TINRelief", 1)

    def test_land_use_keeps_its_class(self) -> None:
        feature = only(within("luse:LandUse", f"<luse:class>1000</luse:class>{surfaces(1)}"))
        assert feature.attributes == {"class": "1000"}


class TestTrees:
    SAID = "<veg:species>1640</veg:species><veg:height>8.5</veg:height><veg:crownDiameter>4</veg:crownDiameter>"

    def tree(self, geometry: str) -> str:
        return f"<veg:SolitaryVegetationObject>{self.SAID}{geometry}</veg:SolitaryVegetationObject>"

    def placed(self, x: float, geometry: str) -> str:
        where = implicit(geometry, (x, Y, 1.5))
        return self.tree(f"<veg:lod2ImplicitRepresentation>{where}</veg:lod2ImplicitRepresentation>")

    def test_they_stand_at_their_reference_point(self) -> None:
        feature = only(self.placed(X, relative(multi([TREE]))))
        assert feature.points.tolist() == [[X, Y, 1.5]]
        assert feature.shells[2.0][0].points.tolist() == [[X - 1, Y, 1.5], [X + 1, Y, 1.5], [X, Y, 6.5]]
        assert feature.attributes == {"species": "1640", "height": "8.5", "crownDiameter": "4"}

    def test_many_share_one_library_object(self) -> None:
        again = [self.placed(X + k, relative("", "lib")) for k in range(5)]
        city = raw(*again[:2], self.placed(X + 9, relative(multi([TREE], "lib"))), *again[2:])
        middles = [f.shells[2.0][0].points[2, 0] - X for f in city.features]
        assert middles == [0, 1, 9, 2, 3, 4]
        assert city.notes == {}

    def test_without_a_place_they_stand_under_the_middle_of_their_geometry(self) -> None:
        faces = [rings for _, rings in box(X, Y, 2, 4, 3, 7)]
        feature = only(self.tree(f"<veg:lod1Geometry>{multi(faces)}</veg:lod1Geometry>"))
        assert feature.points.tolist() == [[X + 1, Y + 2, 3]]

    def test_a_place_alone_is_enough(self) -> None:
        point = f"<core:lod0Point><gml:Point><gml:pos>{X} {Y} 2</gml:pos></gml:Point></core:lod0Point>"
        for text in (self.tree(point), self.placed(X, "<core:libraryObject>x.dae</core:libraryObject>")):
            assert only(text, "3.0").points[0, :2].tolist() == [X, Y]

    def test_places_that_are_nowhere_are_counted(self) -> None:
        city = raw(self.placed(float("nan"), relative(multi([TREE]))))
        assert all(len(f.points) == 0 for f in city.features)
        assert city.notes["points without finite coordinates left out"] == 1


class TestBridges:
    def test_roofs_and_walls_belong_together_and_parts_have_roles(self) -> None:
        shells = "".join(
            f"<brid:boundedBy><brid:{kind}><brid:creationDate>{k}</brid:creationDate><brid:lod2MultiSurface>"
            f"{multi([rings])}</brid:lod2MultiSurface></brid:{kind}></brid:boundedBy>"
            for k, (kind, rings) in enumerate(box(X, Y, 30, 5, 6, 1))
        )
        rail = within("brid:outerBridgeInstallation/brid:BridgeInstallation", surfaces(2, 1, "Geometry"))
        features = {f.role: f for f in raw(f"<brid:Bridge>{shells}{rail}</brid:Bridge>").features}
        assert set(features) == {"", "BridgeInstallation"}
        (deck,) = features[""].shells[2.0]
        assert sorted(deck.surface.tolist()) == sorted([Surface.GROUND] + [Surface.WALL] * 4 + [Surface.ROOF])

    def test_turned_polygons_are_turned(self) -> None:
        inside = polygon([SQUARE[0][::-1]])
        inside = f"<gml:baseSurface>{inside}</gml:baseSurface>"
        inside = f'<gml:OrientableSurface orientation="-">{inside}</gml:OrientableSurface>'
        inside = f"<gml:MultiSurface><gml:surfaceMember>{inside}</gml:surfaceMember></gml:MultiSurface>"
        (shell,) = only(within("tran:Road/tran:lod1MultiSurface", inside)).shells[1.0]
        np.testing.assert_array_equal(shell.points, SQUARE[0])
