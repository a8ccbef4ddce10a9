"""CityJSON in, in closed form and from real cities."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cityfiles import X, Y, box, cityjson, cityjson_geometry, cityjson_seq, courtyard, gabled, inside_out

from mage.scenes.city import Building, City
from mage.scenes.errors import CityError
from mage.scenes.mesh import Surface
from mage.scenes.sources import read_city
from mage.scenes.sources.buildings.surfaces import volume

BOX = box(X + 10, Y + 20, 8, 6, -1.25, 5)
GABLED = gabled(X + 40, Y + 20, 12, 8, 0.5, 3, 7)


def read(path: Path, document: Any) -> City:
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return read_city(path)


def cubic_metres(building: Building) -> float:
    return volume(building.mesh.vertices, building.mesh.triangles)


def area_of(building: Building, kind: Surface) -> float:
    return float(building.mesh.areas[building.mesh.surface == kind].sum())


@pytest.fixture
def two(tmp_path: Path) -> City:
    return read(tmp_path / "two.city.json", cityjson({"box": BOX, "gabled": GABLED}))


class TestClosedForm:
    def test_volumes_and_areas_of_a_box_and_a_gabled_house_are_exact(self, two: City) -> None:
        flat, pitched = two.buildings
        assert cubic_metres(flat) == pytest.approx(8 * 6 * 5)
        assert cubic_metres(pitched) == pytest.approx(12 * 8 * 5)
        assert area_of(flat, Surface.ROOF) == area_of(flat, Surface.GROUND) == pytest.approx(48)
        assert area_of(flat, Surface.WALL) == pytest.approx(2 * (8 + 6) * 5)
        assert area_of(pitched, Surface.ROOF) == pytest.approx(2 * 12 * np.hypot(4, 4))

    def test_heights_and_roofs_are_those_of_the_source(self, two: City) -> None:
        flat, pitched = two.buildings
        assert (flat.ground, flat.height, flat.eave, flat.roof) == pytest.approx((-1.25, 5, 5, "flat"))
        assert (pitched.ground, pitched.height, pitched.eave) == pytest.approx((0.5, 7, 3))
        assert pitched.roof == "pitched"

    def test_normals_look_outward(self, two: City) -> None:
        for building in two.buildings:
            mesh = building.mesh
            outward = mesh.vertices[mesh.triangles].mean(axis=1) - mesh.vertices.mean(axis=0)
            assert ((mesh.normals * outward).sum(axis=1) > 0).all()

    def test_local_coordinates_are_map_coordinates_minus_a_whole_origin(self, two: City) -> None:
        assert two.origin == (X + 31, Y + 24)
        assert two.bounds == pytest.approx((-21, -4, 21, 4))
        low, high = two.buildings[0].mesh.bounds
        np.testing.assert_allclose([low, high], [(-21, -4, -1.25), (-13, 2, 3.75)], atol=1e-9)

    def test_a_compound_crs_is_reduced_to_its_plane(self, two: City) -> None:
        assert two.crs == "EPSG:28992"
        assert (two.latitude, two.longitude) == pytest.approx((52.007, 4.367), abs=0.01)

    def test_a_source_states_its_format_and_checksum(self, two: City, tmp_path: Path) -> None:
        (source,) = two.sources
        assert (source.name, source.format) == ("two.city.json", "CityJSON 2.0")
        assert source.sha256 == hashlib.sha256((tmp_path / "two.city.json").read_bytes()).hexdigest()
        assert two.name == "two"

    def test_footprint_is_the_ground_seen_from_above_and_holes_stay(self, tmp_path: Path) -> None:
        (block,) = read(tmp_path / "yard", cityjson({"a": courtyard(X, Y, 30, 10, 0, 12)})).buildings
        assert block.footprint.area == pytest.approx(30**2 - 10**2)
        assert len(block.footprint.interiors) == 1
        assert cubic_metres(block) == pytest.approx((30**2 - 10**2) * 12)

    @pytest.mark.parametrize("version", ["1.0", "1.1", "2.0"])
    @pytest.mark.parametrize("kind", ["MultiSurface", "Solid", "MultiSolid"])
    def test_every_version_and_kind_of_geometry_gives_the_same_house(
        self, tmp_path: Path, version: str, kind: str
    ) -> None:
        lod = 2 if version == "1.0" else "2.2"
        city = read(tmp_path / "a.json", cityjson({"a": GABLED}, version=version, lod=lod, kind=kind))
        assert cubic_metres(city.buildings[0]) == pytest.approx(480)
        assert city.buildings[0].lod == 2
        assert city.sources[0].format == f"CityJSON {version}"

    def test_a_sequence_of_features_is_read_with_the_transform_of_its_header(self, tmp_path: Path, two: City) -> None:
        city = read(tmp_path / "any.name", cityjson_seq({"box": BOX, "gabled": GABLED}, "1.1"))
        assert city.sources[0].format == "CityJSONSeq 1.1"
        for ours, theirs in zip(city.buildings, two.buildings, strict=True):
            np.testing.assert_array_equal(ours.mesh.vertices, theirs.mesh.vertices)

    def test_a_document_written_over_many_lines_is_one_document(self, tmp_path: Path) -> None:
        city = read(tmp_path / "a.json", json.dumps(cityjson({"a": BOX}), indent=2))
        assert city.sources[0].format == "CityJSON 2.0"


class TestWhatIsBuilt:
    def test_surfaces_without_labels_are_told_by_their_normals(self, tmp_path: Path) -> None:
        (house,) = read(tmp_path / "a.json", cityjson({"a": GABLED}, lod="1", labels=False)).buildings
        assert (house.lod, house.footprint.area) == (1, pytest.approx(96))
        assert area_of(house, Surface.GROUND) == pytest.approx(96)
        assert area_of(house, Surface.ROOF) == pytest.approx(2 * 12 * np.hypot(4, 4))

    @pytest.mark.parametrize("labels", [True, False])
    def test_a_house_that_is_inside_out_is_turned_and_counted(self, tmp_path: Path, labels: bool) -> None:
        city = read(tmp_path / "a.json", cityjson({"a": inside_out(GABLED), "b": BOX}, labels=labels))
        assert [cubic_metres(b) for b in city.buildings] == pytest.approx([480, 240])
        assert city.notes == {"shells turned outward": 1}

    def test_parts_merge_into_their_building(self, tmp_path: Path) -> None:
        document = cityjson({"a": BOX, "tower": box(X + 18, Y + 20, 4, 4, -1.25, 9)})
        document["CityObjects"]["a"]["children"] = ["tower"]
        document["CityObjects"]["tower"] |= {"type": "BuildingPart", "parents": ["a"]}
        (building,) = read(tmp_path / "a.json", document).buildings
        assert (building.id, building.height, building.eave) == ("a", pytest.approx(9), pytest.approx(5))
        assert cubic_metres(building) == pytest.approx(240 + 144)
        assert building.footprint.area == pytest.approx(48 + 16)

    def test_the_finest_level_of_detail_is_taken(self, tmp_path: Path) -> None:
        document = cityjson({"a": box(X, Y, 12, 8, 0, 6)}, lod="1.3")
        geometry = document["CityObjects"]["a"]["geometry"]
        geometry.append(cityjson_geometry(gabled(X, Y, 12, 8, 0, 3, 7), document["vertices"], "2.2", "Solid"))
        geometry.append(cityjson_geometry(box(X, Y, 12, 8, 0, 7)[:1], document["vertices"], "0", "MultiSurface"))
        (house,) = read(tmp_path / "a.json", document).buildings
        assert (house.lod, house.height, house.eave) == (2, pytest.approx(7), pytest.approx(3))

    def test_the_coarse_hull_of_a_building_gives_way_to_its_finer_parts(self, tmp_path: Path) -> None:
        document = cityjson({"a": box(X, Y, 30, 30, 0, 30)}, lod="1")
        part = cityjson_geometry(BOX, document["vertices"], "2", "Solid")
        document["CityObjects"]["p"] = {"type": "BuildingPart", "geometry": [part]}
        document["CityObjects"]["a"]["children"] = ["p"]
        assert cubic_metres(read(tmp_path / "a.json", document).buildings[0]) == pytest.approx(240)

    def test_of_one_building_given_twice_the_labelled_geometry_is_taken(self, tmp_path: Path) -> None:
        document = cityjson({"a": BOX}, labels=False)
        vertices = document["vertices"]
        document["CityObjects"]["a"]["geometry"].append(cityjson_geometry(BOX, vertices, "2", "MultiSurface"))
        (house,) = read(tmp_path / "a.json", document).buildings
        assert cubic_metres(house) == pytest.approx(240)

    def test_attributes_become_fields_and_what_is_missing_is_inferred(self, tmp_path: Path) -> None:
        attributes = {"yearOfConstruction": "1931", "storeysAboveGround": 3, "function": "31001_2020"}
        (house,) = read(tmp_path / "a.json", cityjson({"a": BOX}, attributes=attributes)).buildings
        assert (house.year, house.storeys, house.occupancy, house.inferred) == (1931, 3, "commercial", ())
        (house,) = read(tmp_path / "a.json", cityjson({"a": BOX})).buildings
        assert (house.year, house.storeys, house.occupancy) == (None, None, "residential")
        assert house.inferred == ("occupancy",)

    def test_other_city_objects_that_hold_nothing_are_counted(self, tmp_path: Path) -> None:
        document = cityjson({"a": BOX})
        document["CityObjects"] |= {"r1": {"type": "Road"}, "r2": {"type": "Road"}, "g": {"type": "CityObjectGroup"}}
        notes = read(tmp_path / "a.json", document).notes
        assert notes == {"ignored CityObjectGroup": 1, "Road without geometry left out": 2}

    def test_a_licence_in_the_metadata_is_kept(self, tmp_path: Path) -> None:
        document = cityjson({"a": BOX})
        document["metadata"]["license"] = "CC-BY-4.0"
        assert read(tmp_path / "a.json", document).sources[0].licence == "CC-BY-4.0"


class TestRepairs:
    def test_a_repeated_point_and_a_face_without_area_are_left_out_and_counted(self, tmp_path: Path) -> None:
        kind, (roof,) = BOX[-1]
        faces = [*BOX[:-1], (kind, [[*roof[:2], roof[1], *roof[2:]]]), ("WallSurface", [[roof[0], roof[1], roof[0]]])]
        faces.append(("WallSurface", [[roof[0], roof[1], tuple(np.add(roof[0], roof[1]) / 2)]]))
        city = read(tmp_path / "a.json", cityjson({"a": faces}))
        assert cubic_metres(city.buildings[0]) == pytest.approx(240)
        assert city.notes == {
            "faces without area left out": 1,
            "repeated points left out": 2,
            "rings of under three points left out": 1,
        }

    def test_points_that_are_nowhere_are_left_out(self, tmp_path: Path) -> None:
        document = cityjson({"a": BOX, "b": GABLED})
        document["vertices"][0] = [1e999, 0, 0]
        city = read(tmp_path / "a.json", json.dumps(document))
        assert city.notes["points without finite coordinates left out"] == 1
        assert cubic_metres(city.buildings[1]) == pytest.approx(480)

    def test_a_building_with_a_footprint_only_is_raised_and_one_with_nothing_is_counted(self, tmp_path: Path) -> None:
        document = cityjson({"a": BOX})
        flat = cityjson_geometry(BOX[:1], document["vertices"], "0", "MultiSurface")
        document["CityObjects"] |= {"f": {"type": "Building", "geometry": [flat]}, "g": {"type": "Building"}}
        city = read(tmp_path / "a.json", document)
        assert [(b.id, b.lod) for b in city.buildings] == [("a", 2), ("f", 0)]
        assert city.buildings[1].footprint.area == pytest.approx(48)
        assert city.notes["buildings without geometry left out"] == 1

    @pytest.mark.parametrize(("crs", "note"), [(None, "no"), ("Atlantis grid", "unknown")])
    def test_without_a_known_crs_coordinates_are_metres(self, tmp_path: Path, crs: str | None, note: str) -> None:
        city = read(tmp_path / "a.json", cityjson({"a": BOX}, crs=crs))
        assert (city.crs, city.latitude, city.longitude) == (None, 52.0, 5.0)
        assert city.notes == {f"{note} coordinate system, taken as metres": 1}

    @pytest.mark.parametrize(
        "name",
        ["EPSG:28992", "urn:ogc:def:crs:EPSG::7415", "urn:ogc:def:crs,crs:EPSG:6.12:28992,crs:EPSG::5709", "RD New"],
    )
    def test_a_crs_is_known_in_every_spelling(self, tmp_path: Path, name: str) -> None:
        assert read(tmp_path / "a.json", cityjson({"a": BOX}, crs=name)).crs == "EPSG:28992"

    def test_feet_become_metres(self, tmp_path: Path) -> None:
        document = cityjson({"a": BOX}, crs="EPSG:2263")  # New York, US survey feet
        document["transform"]["translate"] = [987_000, 210_000, 0]
        city = read(tmp_path / "a.json", document)
        foot = 1200 / 3937
        assert city.crs == "EPSG:32618"
        assert city.buildings[0].height == pytest.approx(5 * foot)
        assert cubic_metres(city.buildings[0]) == pytest.approx(240 * foot**3, rel=2e-3)


def test_a_document_of_which_nothing_can_be_built_is_refused(tmp_path: Path) -> None:
    document = cityjson({})
    document["CityObjects"] = {"r": {"type": "Road"}}
    with pytest.raises(CityError, match=r"nothing in it can be built"):
        read(tmp_path / "a.json", document)


def test_axes_that_a_file_holds_in_the_other_order_are_put_right(tmp_path: Path) -> None:
    turned = [(kind, [[(X + y - Y, Y + x - X, z) for x, y, z in points] for points in rings]) for kind, rings in GABLED]
    document = cityjson({"a": turned})
    document["transform"]["translate"] = [Y, X, 0]  # north, east: X and Y of RD New never swap unnoticed
    city = read(tmp_path / "a.json", document)
    assert city.notes["axes in the other order"] == 1
    assert (city.latitude, city.longitude) == pytest.approx((52.007, 4.367), abs=0.01)
    assert cubic_metres(city.buildings[0]) == pytest.approx(480)
    west, south, east, north = city.bounds
    assert (east - west, north - south) == pytest.approx((12, 8))
