"""CityGML in, in closed form and from real cities."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cityfiles import (
    X,
    Y,
    bounded,
    box,
    citygml,
    courtyard,
    gabled,
    inside_out,
    linked_solid,
    members,
    multi_surface,
    polygon,
    ring,
    solid,
)
from lxml import etree

from mage.scenes.city import Building, City
from mage.scenes.errors import CityError
from mage.scenes.mesh import Surface
from mage.scenes.sources import read_city
from mage.scenes.sources.buildings.surfaces import volume

BOX = box(X + 10, Y + 20, 8, 6, -1.25, 5)
GABLED = gabled(X + 40, Y + 20, 12, 8, 0.5, 3, 7)


def read(folder: Path, text: str) -> City:
    path = folder / "Test City.gml"
    path.write_text(text, encoding="utf-8")
    return read_city(path)


def cubic_metres(building: Building) -> float:
    return volume(building.mesh.vertices, building.mesh.triangles)


class TestClosedForm:
    @pytest.mark.parametrize("version", ["1.0", "2.0", "3.0"])
    @pytest.mark.parametrize("pos", [True, False])
    def test_every_version_and_spelling_of_points_gives_the_same_house(
        self, tmp_path: Path, version: str, pos: bool
    ) -> None:
        city = read(tmp_path, citygml({"a": bounded(GABLED, pos=pos)}, version=version))
        (house,) = city.buildings
        assert cubic_metres(house) == pytest.approx(12 * 8 * 5)
        assert (house.ground, house.height, house.eave) == pytest.approx((0.5, 7, 3))
        assert (house.id, house.lod, house.roof, house.footprint.area) == ("a", 2, "pitched", pytest.approx(96))
        assert (city.name, city.crs, city.sources[0].format) == ("test-city", "EPSG:28992", f"CityGML {version}")
        assert city.notes == {}

    def test_normals_look_outward_and_surfaces_keep_their_labels(self, tmp_path: Path) -> None:
        mesh = read(tmp_path, citygml({"a": bounded(GABLED)})).buildings[0].mesh
        outward = mesh.vertices[mesh.triangles].mean(axis=1) - mesh.vertices.mean(axis=0)
        assert ((mesh.normals * outward).sum(axis=1) > 0).all()
        areas = {kind: mesh.areas[mesh.surface == kind].sum() for kind in Surface}
        assert areas[Surface.ROOF] == pytest.approx(2 * 12 * np.hypot(4, 4))
        assert areas[Surface.GROUND] == pytest.approx(96)
        assert areas[Surface.WALL] == pytest.approx(2 * 12 * 3 + 2 * (8 * 3 + 8 * 4 / 2))

    def test_polygons_keep_their_holes(self, tmp_path: Path) -> None:
        (block,) = read(tmp_path, citygml({"a": bounded(courtyard(X, Y, 30, 10, 0, 12))})).buildings
        assert cubic_metres(block) == pytest.approx((30**2 - 10**2) * 12)
        assert block.footprint.area == pytest.approx(30**2 - 10**2)

    @pytest.mark.parametrize("lod", [1, 2])
    def test_a_solid_alone_is_labelled_by_its_normals(self, tmp_path: Path, lod: int) -> None:
        (house,) = read(tmp_path, citygml({"a": solid(BOX, lod)})).buildings
        assert (house.lod, house.roof, cubic_metres(house)) == (lod, "flat", pytest.approx(240))
        assert sorted(set(house.mesh.surface.tolist())) == [Surface.GROUND, Surface.WALL, Surface.ROOF]

    def test_a_multi_surface_outside_of_boundaries_is_read(self, tmp_path: Path) -> None:
        inside = members(polygon(rings) for _, rings in BOX)
        body = f"<bldg:lod1MultiSurface><gml:MultiSurface>{inside}</gml:MultiSurface></bldg:lod1MultiSurface>"
        assert cubic_metres(read(tmp_path, citygml({"a": body})).buildings[0]) == pytest.approx(240)

    def test_the_finer_of_two_levels_is_taken(self, tmp_path: Path) -> None:
        body = solid(box(X, Y, 12, 8, 0, 7), 1) + bounded(gabled(X, Y, 12, 8, 0, 3, 7))
        (house,) = read(tmp_path, citygml({"a": body})).buildings
        assert (house.lod, house.eave) == (2, pytest.approx(3))

    def test_parts_merge_into_their_building(self, tmp_path: Path) -> None:
        tower = bounded(box(X + 18, Y + 20, 4, 4, -1.25, 9))
        part = '<bldg:consistsOfBuildingPart><bldg:BuildingPart gml:id="p">{}</bldg:BuildingPart>'
        part = part.format(tower) + "</bldg:consistsOfBuildingPart>"
        (building,) = read(tmp_path, citygml({"a": bounded(BOX) + part})).buildings
        assert (building.height, building.eave) == pytest.approx((9, 5))
        assert cubic_metres(building) == pytest.approx(240 + 144)

    def test_degrees_are_projected_to_metres_with_latitude_first(self, tmp_path: Path) -> None:
        """A box of 40 m from west to east and 20 m from south to north near the middle of a UTM zone."""
        phi = np.radians(35.68)
        north = 1 / (111_132.92 - 559.82 * np.cos(2 * phi) + 1.175 * np.cos(4 * phi))  # degrees a metre
        east = 1 / (111_412.84 * np.cos(phi) - 93.5 * np.cos(3 * phi))
        faces = [
            (kind, [[(35.68 + y * north, 141.0 + x * east, z) for x, y, z in points] for points in rings])
            for kind, rings in box(0, 0, 40, 20, 30, 10)
        ]
        city = read(tmp_path, citygml({"a": bounded(faces)}, crs="http://www.opengis.net/def/crs/EPSG/0/6697"))
        (house,) = city.buildings
        assert city.crs == "EPSG:32654"
        assert (city.latitude, city.longitude) == pytest.approx((35.68, 141.0), abs=1e-3)
        assert (house.ground, house.height) == pytest.approx((30, 10))
        west, south, right, top = city.bounds
        assert (right - west, top - south) == pytest.approx((40 * 0.9996, 20 * 0.9996), abs=0.01)
        assert cubic_metres(house) == pytest.approx(8000 * 0.9996**2, rel=1e-4)


class TestLinks:
    def test_a_solid_that_points_to_labelled_polygons_adds_nothing(self, tmp_path: Path) -> None:
        body = bounded(GABLED, "p") + linked_solid(f"p{k}" for k in range(len(GABLED)))
        (house,) = read(tmp_path, citygml({"a": body})).buildings
        assert len(house.mesh) == 5 * 2 + 2 * 3  # five rectangles, two gables of five corners
        assert cubic_metres(house) == pytest.approx(480)

    def test_links_may_point_forward_and_into_another_building(self, tmp_path: Path) -> None:
        shared = box(X, Y, 10, 10, 0, 5)
        first = bounded(shared[:-1], "q") + linked_solid([*(f"q{k}" for k in range(5)), "elsewhere"])
        kind, (roof,) = shared[-1]
        other = bounded(BOX) + f"<bldg:lod1Solid>{members([polygon([roof], 'elsewhere')])}</bldg:lod1Solid>"
        city = read(tmp_path, citygml({"a": first, "b": other}))
        assert kind == "RoofSurface"
        assert [cubic_metres(b) for b in city.buildings] == pytest.approx([500, 240])

    def test_an_orientable_surface_turns_its_polygon_over(self, tmp_path: Path) -> None:
        turned = inside_out(BOX)
        wrapped = (
            f'<gml:OrientableSurface orientation="-"><gml:baseSurface>{polygon(rings)}</gml:baseSurface>'
            "</gml:OrientableSurface>"
            for _, rings in turned
        )
        body = f"<gml:MultiSurface>{members(wrapped)}</gml:MultiSurface>"
        city = read(tmp_path, citygml({"a": multi_surface(body)}))
        assert cubic_metres(city.buildings[0]) == pytest.approx(240)
        assert city.notes == {}

    def test_a_link_to_nothing_is_counted(self, tmp_path: Path) -> None:
        city = read(tmp_path, citygml({"a": bounded(BOX, "p") + linked_solid(["p0", "gone"])}))
        assert city.notes == {"links to geometry that is not there": 1}

    def test_links_in_a_circle_are_refused(self, tmp_path: Path) -> None:
        inner = '<gml:CompositeSurface gml:id="c"><gml:surfaceMember xlink:href="#c"/></gml:CompositeSurface>'
        with pytest.raises(CityError, match="round in a circle"):
            read(tmp_path, citygml({"a": f"<bldg:lod2Solid>{inner}</bldg:lod2Solid>"}))

    def test_links_that_would_double_at_every_step_are_followed_once(self, tmp_path: Path) -> None:
        def level(k: int, inside: str) -> str:
            return multi_surface(f'<gml:CompositeSurface gml:id="c{k}">{inside}</gml:CompositeSurface>')

        body = level(200, members(polygon(rings) for _, rings in BOX))
        for k in range(200):
            body += level(k, f'<gml:surfaceMember xlink:href="#c{k + 1}"/>' * 2)
        assert cubic_metres(read(tmp_path, citygml({"a": body})).buildings[0]) == pytest.approx(240)


class TestRepairs:
    def test_a_ring_that_is_not_closed_is_closed(self, tmp_path: Path) -> None:
        city = read(tmp_path, citygml({"a": bounded(BOX, closed=False)}))
        assert cubic_metres(city.buildings[0]) == pytest.approx(240)
        assert city.notes == {"rings closed": 6}

    def test_rings_that_are_no_triples_of_numbers_are_left_out(self, tmp_path: Path) -> None:
        broken = ring(BOX[0][1][0]).replace("</gml:posList>", " 7</gml:posList>")
        body = multi_surface(f"<gml:Polygon><gml:exterior>{broken}</gml:exterior></gml:Polygon>")
        flat = multi_surface(f'<gml:MultiSurface srsDimension="2">{polygon(BOX[0][1])}</gml:MultiSurface>')
        city = read(tmp_path, citygml({"a": bounded(BOX), "b": body, "c": flat}))
        assert [b.id for b in city.buildings] == ["a"]
        assert city.notes["rings without three coordinates a point left out"] == 2
        assert city.notes["buildings without geometry left out"] == 2

    def test_coordinates_that_are_no_numbers_on_earth_are_left_out(self, tmp_path: Path) -> None:
        odd = bounded(BOX).replace(f"{X + 10:.9f}", "NaN", 1).replace(f"{X + 10:.9f}", "inf", 1)
        city = read(tmp_path, citygml({"a": odd, "b": bounded(GABLED)}))
        assert city.notes["points without finite coordinates left out"] == 2
        assert cubic_metres(city.buildings[1]) == pytest.approx(480)

    def test_ids_are_made_unique_and_missing_ones_made_up(self, tmp_path: Path) -> None:
        text = citygml({"a": bounded(BOX), "b": bounded(GABLED), "c": bounded(BOX)})
        city = read(tmp_path, text.replace('"b"', '"a"').replace(' gml:id="c"', ""))
        assert len({b.id for b in city.buildings}) == 3
        assert city.notes == {"building ids that were taken": 1, "buildings without an id": 1}

    def test_other_members_are_counted(self, tmp_path: Path) -> None:
        dragon = "<cityObjectMember><Dragon><x/></Dragon></cityObjectMember>"
        city = read(tmp_path, citygml({"a": bounded(BOX)}).replace("</CityModel>", dragon * 2 + "</CityModel>"))
        assert city.notes == {"ignored Dragon": 2}

    def test_two_coordinate_systems_in_one_file_are_refused(self, tmp_path: Path) -> None:
        text = citygml({"a": bounded(BOX).replace("<gml:MultiSurface>", '<gml:MultiSurface srsName="EPSG:25832">')})
        with pytest.raises(CityError, match="mixes coordinate systems"):
            read(tmp_path, text)


PEAK = """
import pathlib, sys
from mage.scenes.sources import read_city
print(dict(read_city(pathlib.Path(sys.argv[1])).notes))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_memory_does_not_grow_with_members_that_are_not_read(tmp_path: Path) -> None:
    """16 MB that hold no building, hundreds of MB as a tree, are read in passing."""

    def peak(times: int) -> int:
        filling = f"<p>{polygon(BOX[0][1])}</p>" * times
        relief = f"<cityObjectMember><Relief>{filling}</Relief></cityObjectMember></CityModel>"
        path = tmp_path / "big.gml"
        path.write_text(citygml({"a": bounded(BOX)}).replace("</CityModel>", relief))
        run = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)
        notes, kilobytes = run.stdout.splitlines()
        assert notes == "{'ignored Relief': 1}"
        return int(kilobytes)

    assert peak(50_000) - peak(1) < 10_000


def _points(element: etree._Element) -> np.ndarray:
    """Every coordinate below an element, straight from the XML."""
    lists = element.iter("{*}posList", "{*}pos")
    return np.concatenate([np.array((e.text or "").split(), float).reshape(-1, 3) for e in lists])


class TestRealCities:
    def test_berlin_ridges_eaves_and_ground_are_those_of_the_source(self, shared_data: Path) -> None:
        path = shared_data / "citygml" / "berlin_lod2.gml"
        city = read_city(path)
        sources = list(etree.parse(path).iter("{*}Building"))
        assert len(city.buildings) == len(sources) == 61
        for building, source in zip(city.buildings, sources, strict=True):
            z = _points(source)[:, 2]
            roof = np.concatenate([_points(r)[:, 2] for r in source.iter("{*}RoofSurface")])
            assert building.ground == pytest.approx(z.min(), abs=1e-3)
            assert building.ground + building.height == pytest.approx(z.max(), abs=1e-3)
            assert building.ground + building.eave == pytest.approx(roof.min(), abs=1e-3)

    def test_berlin_footprints_cover_the_ground_surfaces(self, shared_data: Path) -> None:
        path = shared_data / "citygml" / "berlin_lod2.gml"
        expected = 0.0
        for surface in etree.parse(path).iter("{*}GroundSurface"):
            for points in surface.iter("{*}posList"):
                sign = -1 if points.getparent().getparent().tag.endswith("interior") else 1
                x, y, _ = (np.array(points.text.split(), float).reshape(-1, 3) - (390_000, 5_819_000, 0)).T
                expected += sign * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
        city = read_city(path)
        assert sum(b.footprint.area for b in city.buildings) == pytest.approx(expected, rel=0.01)
        assert city.crs == "EPSG:25833"

    @pytest.mark.parametrize(
        ("name", "crs"),
        [
            ("delft_lod1_small.xml", "EPSG:28992"),
            ("zurich_lod2_small.xml", "EPSG:21781"),
            ("plateau_tokyo_53394517_citygml2.gml", "EPSG:32654"),
            ("plateau_tokyo_53394517_citygml3.gml", "EPSG:32654"),
        ],
    )
    def test_every_building_is_read_and_looks_outward(self, shared_data: Path, name: str, crs: str) -> None:
        path = shared_data / "citygml" / name
        city = read_city(path)
        sources = list(etree.parse(path).iter("{*}Building"))
        assert len(city.buildings) == len(sources)
        assert city.crs == crs
        for building, source in zip(city.buildings, sources, strict=True):
            finest = list(source.iter("{*}lod2MultiSurface")) or list(source.iter("{*}lod1Solid"))
            z = np.concatenate([_points(surface)[:, 2] for surface in finest])
            assert building.ground == pytest.approx(z.min(), abs=1e-3)
            assert building.footprint.is_valid
            assert cubic_metres(building) > 0

    def test_tokyo_is_the_same_building_in_both_versions(self, shared_data: Path) -> None:
        two, three = (read_city(shared_data / "citygml" / f"plateau_tokyo_53394517_citygml{v}.gml") for v in (2, 3))
        np.testing.assert_array_equal(two.buildings[0].mesh.vertices, three.buildings[0].mesh.vertices)
        assert (two.latitude, two.longitude) == pytest.approx((35.67878, 139.71762), abs=1e-4)
        north_south = (35.67904104481821 - 35.6784909) * 110_950
        west, south, east, north = two.bounds
        assert north - south == pytest.approx(north_south, abs=6)
        assert 100 < east - west < 130
