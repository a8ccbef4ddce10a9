"""Buildings of CityGML in every level of detail, with openings, installations, implicit geometry and attributes."""

from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest
from cityfiles import (
    Face,
    X,
    Y,
    bounded,
    box,
    citygml,
    gabled,
    implicit,
    linked_solid,
    multi,
    polygon,
    relative,
    solid,
)

from mage.scenes.mesh import Surface
from mage.scenes.sources.buildings.surfaces import shell_mesh, volume
from mage.scenes.sources.citygml.read import read_citygml
from mage.scenes.sources.raw import Polygons, RawBuilding, RawCity

BOX = box(X, Y, 10, 8, 0, 6)
VERSIONS = ["1.0", "2.0", "3.0"]


def raw(text: str) -> RawCity:
    return read_citygml(io.BytesIO(text.encode()))


def only(body: str, version: str = "2.0") -> RawBuilding:
    (building,) = raw(citygml({"a": body}, version=version)).buildings
    return building


def local(shell: Polygons) -> Polygons:
    return Polygons(shell.points - (X, Y, 0), shell.sizes, shell.rings, shell.surface)


def cubic_metres(shells: list[Polygons]) -> float:
    meshes = [shell_mesh(local(shell), Counter()) for shell in shells]
    return sum(volume(mesh.vertices, mesh.triangles) for mesh in meshes)


def lod3(faces: list[Face], openings: str = "") -> str:
    """Walls and roofs at level 3, the openings in the first wall."""
    text = bounded(faces).replace("lod2MultiSurface", "lod3MultiSurface")
    return text.replace("</bldg:WallSurface>", f"{openings}</bldg:WallSurface>", 1)


def with_hole() -> tuple[list[Face], list[tuple[float, float, float]]]:
    """The box with a hole in its front wall, and the pane that fills it."""
    hole = [(X + 2, Y, 1), (X + 2, Y, 3), (X + 5, Y, 3), (X + 5, Y, 1)]
    faces = [(kind, [rings[0], hole] if k == 1 else rings) for k, (kind, rings) in enumerate(BOX)]
    return faces, hole[::-1]


class TestLevels:
    @pytest.mark.parametrize("level", [1, 2, 3])
    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_solid_of_every_level_is_read(self, version: str, level: int) -> None:
        building = only(solid(BOX, level), version)
        assert list(building.objects[0].shells) == [float(level)]
        lod, shells = building.finest()
        assert (lod, cubic_metres(shells)) == (level, pytest.approx(480))

    def test_the_finest_level_is_taken_and_the_others_are_kept(self) -> None:
        house = gabled(X, Y, 10, 8, 0, 4, 8)
        building = only(solid(BOX, 1) + bounded(BOX) + lod3(house))
        assert sorted(building.objects[0].shells) == [1.0, 2.0, 3.0]
        lod, shells = building.finest()
        assert (lod, cubic_metres(shells)) == (3, pytest.approx(480))
        assert Surface.ROOF in shells[0].surface

    def test_a_footprint_and_a_roof_edge_are_told_apart(self) -> None:
        foot, edge = (multi([rings]) for _, rings in (BOX[0], BOX[-1]))
        body = f"<bldg:lod0RoofEdge>{edge}</bldg:lod0RoofEdge><bldg:lod0FootPrint>{foot}</bldg:lod0FootPrint>"
        lod, shells = only(body).finest()
        assert lod == 0
        heights = {int(s.surface[0]): s.points[:, 2].tolist() for s in shells}
        assert heights == {Surface.ROOF: [6] * 4, Surface.GROUND: [0] * 4}

    def test_an_outline_of_version_3_is_read(self) -> None:
        body = f"<core:lod0MultiSurface>{multi([BOX[0][1]])}</core:lod0MultiSurface>"
        lod, (shell,) = only(body, "3.0").finest()
        assert (lod, len(shell), shell.surface[0]) == (0, 1, Surface.OTHER)

    def test_the_outline_of_a_part_is_not_built_among_volumes(self) -> None:
        part = f"<bldg:lod0FootPrint>{multi([BOX[0][1]])}</bldg:lod0FootPrint>"
        part = (
            f"<bldg:consistsOfBuildingPart><bldg:BuildingPart>{part}</bldg:BuildingPart></bldg:consistsOfBuildingPart>"
        )
        lod, shells = only(solid(BOX, 2) + part).finest()
        assert (lod, len(shells)) == (2, 1)

    def test_a_coarser_part_is_built_beside_a_finer_one(self) -> None:
        part = "<bldg:consistsOfBuildingPart><bldg:BuildingPart>{}</bldg:BuildingPart></bldg:consistsOfBuildingPart>"
        other = solid(box(X + 20, Y, 2, 2, 0, 5), 1)
        building = only(solid(BOX, 1) + part.format(bounded(BOX)) + part.format(other))
        lod, shells = building.finest()
        assert (lod, cubic_metres(shells)) == (2, pytest.approx(480 + 20))

    @pytest.mark.parametrize("nothing", ["", "<bldg:lod2Solid/>", "<bldg:lod2Solid><gml:Solid/></bldg:lod2Solid>"])
    def test_no_geometry_is_no_level(self, nothing: str) -> None:
        assert only(nothing).finest() == (0, [])

    def test_the_same_building_without_labels_is_left_out_and_counted(self) -> None:
        for again in (solid(BOX, 2), f"<bldg:lod2MultiSurface>{multi(r for _, r in BOX)}</bldg:lod2MultiSurface>"):
            city = raw(citygml({"a": bounded(BOX) + again}))
            assert cubic_metres(city.buildings[0].finest()[1]) == pytest.approx(480)
            assert city.notes == {"unlabelled faces beside others left out": 6}

    @pytest.mark.parametrize("whole", [bounded(BOX), solid(BOX, 2)])
    def test_unlabelled_faces_that_are_only_a_part_are_taken(self, whole: str) -> None:
        canopy = f"<bldg:lod2MultiSurface>{multi([BOX[-1][1]])}</bldg:lod2MultiSurface>"
        city = raw(citygml({"a": whole + canopy}))
        (shell,) = city.buildings[0].finest()[1]
        assert (len(shell), shell.surface[-1]) == (7, Surface.OTHER)
        assert city.notes == {}

    def test_rooms_and_level_4_are_counted_and_not_read(self) -> None:
        room = f"<bldg:interiorRoom><bldg:Room>{solid(BOX, 4)}</bldg:Room></bldg:interiorRoom>"
        inner = f"<bldg:boundedBy><bldg:FloorSurface>{multi([BOX[0][1]])}</bldg:FloorSurface></bldg:boundedBy>"
        city = raw(citygml({"a": solid(BOX, 1) + solid(BOX, 4) + room + inner}))
        assert city.buildings[0].unused == {4}
        assert city.buildings[0].finest()[0] == 1
        assert city.notes == {"interiors and LoD4 left out": 3}


class TestOpenings:
    def test_a_pane_fills_the_hole_in_its_wall(self) -> None:
        faces, pane = with_hole()
        window = f"<bldg:lod3MultiSurface>{multi([[pane]])}</bldg:lod3MultiSurface>"
        window = f"<bldg:opening><bldg:Window>{window}</bldg:Window></bldg:opening>"
        _, (shell,) = only(lod3(faces, window)).finest()
        mesh = shell_mesh(local(shell), Counter())
        assert volume(mesh.vertices, mesh.triangles) == pytest.approx(480)
        areas = {kind: mesh.areas[mesh.surface == kind].sum() for kind in Surface}
        assert (areas[Surface.OPENING], areas[Surface.WALL]) == pytest.approx((6, 2 * 60 + 2 * 48 - 6))
        edges = np.sort(
            np.concatenate([mesh.triangles[:, [0, 1]], mesh.triangles[:, [1, 2]], mesh.triangles[:, [2, 0]]])
        )
        assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()  # closed

    @pytest.mark.parametrize(
        ("path", "label"),
        [
            ("con:fillingSurface/con:WindowSurface", Surface.OPENING),
            ("con:fillingSurface/con:DoorSurface", Surface.WALL),
            ("con:filling/con:Window/core:boundary/con:WindowSurface", Surface.OPENING),
        ],
    )
    def test_openings_of_version_3_are_labelled(self, path: str, label: Surface) -> None:
        faces, pane = with_hole()
        text = f"<core:lod3MultiSurface>{multi([[pane]])}</core:lod3MultiSurface>"
        for name in reversed(path.split("/")):
            text = f"<{name}>{text}</{name}>"
        _, (shell,) = only(lod3(faces, text), "3.0").finest()
        assert shell.surface.tolist().count(label) == {Surface.OPENING: 1, Surface.WALL: 5}[label]
        assert cubic_metres([shell]) == pytest.approx(480)

    def test_a_pane_that_is_implicit_geometry_is_placed(self) -> None:
        faces, pane = with_hole()
        unit = multi([[[(0, 0, 0), (3, 0, 0), (3, 0, 2), (0, 0, 2)]]])
        window = implicit(relative(unit), (X + 2, Y, 1))
        window = f"<bldg:lod3ImplicitRepresentation>{window}</bldg:lod3ImplicitRepresentation>"
        _, (shell,) = only(lod3(faces, f"<bldg:opening><bldg:Window>{window}</bldg:Window></bldg:opening>")).finest()
        found = shell.points[-4:] if shell.surface[-1] == Surface.OPENING else _face(shell, Surface.OPENING)
        assert sorted(map(tuple, found.tolist())) == sorted(pane)
        assert cubic_metres([shell]) == pytest.approx(480)


def _face(shell: Polygons, label: Surface) -> np.ndarray:
    face = np.repeat(np.repeat(shell.surface, shell.rings), shell.sizes)
    return shell.points[face == label]


class TestInstallations:
    @pytest.mark.parametrize(
        ("version", "path"),
        [
            ("1.0", "bldg:outerBuildingInstallation/bldg:BuildingInstallation"),
            ("2.0", "bldg:outerBuildingInstallation/bldg:BuildingInstallation"),
            ("3.0", "bldg:buildingInstallation/bldg:BuildingInstallation"),
            ("3.0", "bldg:buildingConstructiveElement/bldg:BuildingConstructiveElement"),
        ],
    )
    def test_they_stand_beside_the_building(self, version: str, path: str) -> None:
        prop, name = path.split("/")
        chimney = multi(rings for _, rings in [(k, [r]) for k, rs in box(X, Y, 1, 1, 6, 2) for r in rs])
        text = f"<{prop}><{name}><bldg:lod2Geometry>{chimney}</bldg:lod2Geometry></{name}></{prop}>"
        building = only(bounded(BOX) + text, version)
        assert [o.installation for o in building.objects] == [False, True]
        assert cubic_metres(building.finest()[1]) == pytest.approx(480)
        assert cubic_metres(building.installations()) == pytest.approx(2)

    def test_they_are_given_at_a_level_no_finer_than_the_building(self) -> None:
        geometry = multi([BOX[0][1]])
        levels = "".join(f"<bldg:lod{k}Geometry>{geometry}</bldg:lod{k}Geometry>" for k in (2, 3))
        text = "<bldg:outerBuildingInstallation><bldg:BuildingInstallation>{}</bldg:BuildingInstallation>"
        text = text.format(levels) + "</bldg:outerBuildingInstallation>"
        assert len(only(bounded(BOX) + text).installations()) == 1
        assert only(solid(BOX, 1) + text).installations() == []

    def test_surfaces_of_an_installation_keep_their_labels(self) -> None:
        text = f"<bldg:BuildingInstallation>{bounded(box(X, Y, 2, 2, 6, 1))}</bldg:BuildingInstallation>"
        building = only(bounded(BOX) + f"<bldg:outerBuildingInstallation>{text}</bldg:outerBuildingInstallation>")
        (shell,) = building.installations()
        assert shell.surface.tolist().count(Surface.WALL) == 4

    def test_one_inside_is_an_interior(self) -> None:
        text = "<con:relationToConstruction>inside</con:relationToConstruction>" + solid(BOX, 2)
        text = f"<bldg:BuildingInstallation>{text}</bldg:BuildingInstallation>"
        city = raw(citygml({"a": f"<bldg:buildingInstallation>{text}</bldg:buildingInstallation>"}, version="3.0"))
        assert city.notes == {"interiors and LoD4 left out": 1}
        assert len(city.buildings[0].objects) == 1


class TestImplicitGeometry:
    TURNED = "0 -2 0 100 2 0 0 0 0 0 2 5 0 0 0 1"  # a quarter turn to the left, twice as large, moved

    def body(self, geometry: str, matrix: str = "") -> str:
        text = implicit(geometry, (X, Y, 0), matrix)
        text = f"<bldg:lod2ImplicitRepresentation>{text}</bldg:lod2ImplicitRepresentation>"
        text = f"<bldg:BuildingInstallation>{text}</bldg:BuildingInstallation>"
        return f"<bldg:outerBuildingInstallation>{text}</bldg:outerBuildingInstallation>"

    def test_it_is_turned_scaled_and_moved(self) -> None:
        triangle = relative(polygon([[(0, 0, 0), (1, 0, 0), (0, 1, 1)]]))
        building = only(bounded(BOX) + self.body(triangle, self.TURNED))
        (shell,) = building.installations()
        assert local(shell).points.tolist() == [[100, 0, 5], [100, 2, 5], [98, 0, 7]]

    def test_a_mirrored_one_keeps_its_outside(self) -> None:
        faces = [rings for _, rings in box(0, 0, 1, 1, 0, 1)]
        (shell,) = only(
            bounded(BOX) + self.body(relative(multi(faces)), "-1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1")
        ).installations()
        top = local(shell).points[-4:, :2]
        assert np.cross(top[1] - top[0], top[2] - top[1]) > 0  # the roof's ring still runs to the left

    def test_a_library_object_is_used_again_by_its_id(self) -> None:
        first = self.body(relative(multi([[[(0, 0, 0), (1, 0, 0), (0, 1, 1)]]], "lib")))
        again = self.body(relative("", "lib"), "1 0 0 7 0 1 0 0 0 0 1 0 0 0 0 1")
        city = raw(citygml({"a": bounded(BOX) + again, "b": bounded(BOX) + first + again}))
        shells = [local(s).points[:, 0].tolist() for b in city.buildings for s in b.installations()]
        assert shells == [[7, 8, 7], [0, 1, 0], [7, 8, 7]]
        assert city.notes == {}

    @pytest.mark.parametrize("matrix", ["1 2 3", "x " * 16, "nan " * 16, "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 0"])
    def test_a_matrix_that_is_none_is_counted(self, matrix: str) -> None:
        city = raw(citygml({"a": bounded(BOX) + self.body(relative(polygon(BOX[0][1])), matrix)}))
        assert city.notes == {"implicit geometry that cannot be placed left out": 1}

    def test_a_library_object_in_another_file_is_counted(self) -> None:
        text = self.body("<core:libraryObject>http://example.org/tree.dae</core:libraryObject>")
        assert raw(citygml({"a": bounded(BOX) + text})).notes == {"library objects in other files left out": 1}

    def test_metres_are_turned_to_degrees_where_the_file_is_in_degrees(self) -> None:
        place = implicit(relative(polygon([[(0, 0, 0), (111.195, 0, 0), (0, 111.195, 3)]])), (60.0, 24.0, 10.0))
        body = f"<bldg:lod1ImplicitRepresentation>{place}</bldg:lod1ImplicitRepresentation>"
        (building,) = raw(citygml({"a": body}, crs="urn:ogc:def:crs:EPSG::4979")).buildings
        (shell,) = building.finest()[1]
        np.testing.assert_allclose(shell.points, [(60, 24, 10), (60, 24.002, 10), (60.001, 24, 13)], atol=1e-9)


class TestLinks:
    def test_a_solid_of_level_3_that_points_to_walls_and_panes_adds_nothing(self) -> None:
        faces, pane = with_hole()
        window = f"<gml:MultiSurface>{polygon([pane], 'pane')}</gml:MultiSurface>"
        window = f"<bldg:lod3MultiSurface>{window}</bldg:lod3MultiSurface>"
        walls = bounded(faces, "p").replace("lod2MultiSurface", "lod3MultiSurface")
        opening = f"<bldg:opening><bldg:Window>{window}</bldg:Window></bldg:opening></bldg:WallSurface>"
        walls = walls.replace("</bldg:WallSurface>", opening, 1)
        whole = linked_solid([*(f"p{k}" for k in range(len(faces))), "pane"]).replace("lod2Solid", "lod3Solid")
        _, (shell,) = only(whole + walls).finest()
        assert len(shell) == len(faces) + 1
        assert cubic_metres([shell]) == pytest.approx(480)

    def test_a_geometry_may_be_the_target_of_its_property(self) -> None:
        text = f'<bldg:lod2Solid xlink:href="#s"/><bldg:lod1Solid>{multi((r for _, r in BOX), "s")}</bldg:lod1Solid>'
        building = only(text)
        assert [cubic_metres(list(building.objects[0].shells[level])) for level in (1.0, 2.0)] == pytest.approx(
            [480, 480]
        )

    def test_of_two_geometries_with_one_id_the_first_counts(self) -> None:
        twice = "".join(f"<bldg:lod1Solid>{multi([rings], 's')}</bldg:lod1Solid>" for _, rings in (BOX[0], BOX[-1]))
        city = raw(citygml({"a": '<bldg:lod2Solid xlink:href="#s"/>' + twice}))
        assert city.buildings[0].objects[0].shells[2.0][0].points[:, 2].tolist() == [0] * 4
        assert city.notes == {"geometry ids that were taken": 1}

    def test_links_between_objects_are_counted(self) -> None:
        city = raw(citygml({"a": bounded(BOX) + '<bldg:boundedBy xlink:href="#wall"/>'}))
        assert city.notes == {"links between city objects not followed": 1}


class TestAttributes:
    def test_those_of_the_schema_are_text_by_their_names(self) -> None:
        said = {
            "class": "1000",
            "function": "31001_1010",
            "usage": "living",
            "yearOfConstruction": "1907",
            "roofType": "3100",
            "measuredHeight": "12.5",
            "storeysAboveGround": "3",
        }
        body = "".join(f"<bldg:{name}>\n  {value} </bldg:{name}>" for name, value in said.items())
        assert only(body + bounded(BOX)).objects[0].attributes == said

    def test_generic_ones_have_the_name_they_are_given(self) -> None:
        body = (
            '<gen:stringAttribute name="owner"><gen:value>city</gen:value></gen:stringAttribute>'
            '<gen:measureAttribute name="area"><gen:value uom="m2">12</gen:value></gen:measureAttribute>'
            '<gen:stringAttribute name="function"><gen:value>not this</gen:value></gen:stringAttribute>'
            '<gen:genericAttributeSet name="set"><gen:intAttribute name="n"><gen:value>7</gen:value></gen:intAttribute>'
            "</gen:genericAttributeSet><bldg:function>1000</bldg:function>"
        )
        assert only(body).objects[0].attributes == {"owner": "city", "area": "12", "n": "7", "function": "1000"}

    def test_version_3_is_read_the_same(self) -> None:
        body = (
            "<core:genericAttribute><gen:StringAttribute><gen:name>owner</gen:name><gen:value>city</gen:value>"
            "</gen:StringAttribute></core:genericAttribute><con:dateOfConstruction>1907-05-01</con:dateOfConstruction>"
            "<con:height><con:Height><con:highReference>highestRoofEdge</con:highReference><con:status>measured"
            "</con:status><con:value uom='m'>9.5</con:value></con:Height></con:height>"
            "<bldg:storeysAboveGround>2</bldg:storeysAboveGround>"
        )
        assert only(body, "3.0").objects[0].attributes == {
            "owner": "city",
            "dateOfConstruction": "1907-05-01",
            "measuredHeight": "9.5",
            "storeysAboveGround": "2",
        }

    def test_an_address_is_one_line(self) -> None:
        parts = "<Locality><LocalityName>Delft</LocalityName><Street> Markt\n 87</Street></Locality>"
        place = f"<core:multiPoint><gml:Point><gml:pos>{X} {Y} 0</gml:pos></gml:Point></core:multiPoint>"
        body = f"<core:Address><core:xalAddress>{parts}</core:xalAddress>{place}</core:Address>"
        body = f"<bldg:address>{body}</bldg:address>"
        assert only(body).objects[0].attributes == {"address": "Delft, Markt 87"}

    def test_parts_have_their_own(self) -> None:
        part = "<bldg:BuildingPart><bldg:storeysAboveGround>5</bldg:storeysAboveGround></bldg:BuildingPart>"
        body = f"<bldg:function>1000</bldg:function><bldg:consistsOfBuildingPart>{part}</bldg:consistsOfBuildingPart>"
        assert [o.attributes for o in only(body).objects] == [{"function": "1000"}, {"storeysAboveGround": "5"}]
