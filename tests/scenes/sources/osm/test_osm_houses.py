"""Simple 3D Buildings: outlines, parts, heights, roofs and colours."""

from __future__ import annotations

import pytest
import shapely
from osmmaps import Map

from mage.scenes.city import Building, City
from mage.scenes.errors import CityError
from mage.scenes.sources.osm import read_osm


def only(town: Map) -> Building:
    city = read_osm(town.write())
    assert len(city.buildings) == 1
    return city.buildings[0]


def city_of(town: Map) -> City:
    town.box(-200, -200, 10, 10, building="house")  # so that there is a building in any case
    return read_osm(town.write())


def test_a_house_stands_where_it_is_mapped(town: Map) -> None:
    town.box(0, 0, 20, 10, building="house", height="9", roof__shape="flat")
    house = only(town)
    assert house.footprint.area == pytest.approx(200, rel=0.01)
    assert house.height == pytest.approx(9)
    assert house.ground == 0.0
    assert house.inferred == ("ground",)
    assert house.lod == 2


def test_what_the_source_does_not_say_is_named(town: Map) -> None:
    town.box(0, 0, 20, 10, building="yes")
    house = only(town)
    assert house.inferred == ("ground", "height", "roof", "occupancy")
    assert house.volumes[0].height is None
    assert house.volumes[0].roof == ""
    assert house.height == pytest.approx(6.0)
    assert house.lod == 1


def test_levels_give_a_height_of_three_metres_each(town: Map) -> None:
    town.box(0, 0, 20, 10, building="house", building__levels="4", roof__shape="flat", start_date="1931")
    house = only(town)
    assert house.height == pytest.approx(12.0)
    assert house.storeys == 4
    assert house.year == 1931
    assert "height" not in house.inferred


def test_a_roof_lies_within_the_stated_height(town: Map) -> None:
    town.box(0, 0, 20, 10, building="house", height="10", roof__shape="gabled", roof__height="4")
    house = only(town)
    assert house.height == pytest.approx(10.0)
    assert house.eave == pytest.approx(6.0, abs=0.01)
    assert house.roof == "pitched"


def test_a_roof_lies_on_top_of_the_levels(town: Map) -> None:
    town.box(0, 0, 20, 10, building="house", building__levels="2", roof__shape="hipped", roof__height="3")
    house = only(town)
    assert house.height == pytest.approx(9.0)
    assert house.eave == pytest.approx(6.0, abs=0.01)


def test_an_angle_gives_the_height_of_a_roof(town: Map) -> None:
    town.box(0, 0, 20, 10, building="house", building__levels="2", roof__shape="gabled", roof__angle="45")
    assert only(town).height == pytest.approx(11.0, abs=0.05)


def test_the_outline_is_not_raised_where_parts_cover_it(town: Map) -> None:
    town.box(0, 0, 30, 10, building="church", height="40")
    town.box(0, 0, 10, 10, building__part="yes", height="40")
    town.box(10, 0, 20, 10, building__part="yes", height="12")
    church = only(town)
    assert church.parts == 2
    assert len(church.volumes) == 2
    assert sorted(v.height or 0 for v in church.volumes) == [12.0, 40.0]
    assert church.height == pytest.approx(40)
    assert church.footprint.area == pytest.approx(300, rel=0.01)


def test_what_parts_leave_of_the_outline_is_as_low_as_the_lowest_of_them(town: Map) -> None:
    town.box(0, 0, 30, 10, building="church", height="40")
    town.box(0, 0, 10, 10, building__part="yes", height="40")
    town.box(10, 0, 10, 10, building__part="yes", height="12")
    church = only(town)
    rest = church.volumes[2]
    assert rest.height == 12.0
    assert rest.outline.area == pytest.approx(100, rel=0.02)


def test_a_part_floats_at_its_min_height_and_takes_colours_from_the_building(town: Map) -> None:
    town.box(0, 0, 30, 10, building="office", building__colour="#c0ffee", roof__colour="red")
    town.box(0, 0, 30, 10, building__part="yes", height="30", min_height="6")
    volume = only(town).volumes[0]
    assert volume.base == 6.0
    assert volume.wall_colour == (192, 255, 238)
    assert volume.roof_colour is not None


def test_min_level_lifts_a_part_by_storeys(town: Map) -> None:
    town.box(0, 0, 30, 10, building="office")
    town.box(0, 0, 30, 10, building__part="yes", building__levels="5", building__min_level="2", roof__shape="flat")
    house = only(town)
    assert house.height == pytest.approx(15.0)
    assert house.mesh.bounds[0][2] == pytest.approx(6.0)


def test_a_relation_joins_parts_that_lie_beside_their_outline(town: Map) -> None:
    outline = town.box(0, 0, 10, 10, building="yes", height="8")
    part = town.box(10, 0, 4, 4, building__part="yes", height="3")
    town.relation([(outline, "outline"), (part, "part")], type="building")
    house = only(town)
    assert house.id == f"way/{outline}"
    assert house.parts == 1
    assert len(house.volumes) == 2


def test_parts_of_a_relation_without_an_outline_are_one_building(town: Map) -> None:
    parts = [town.box(x, 0, 10, 10, building__part="yes", height="9") for x in (0, 10)]
    town.relation([(part, "part") for part in parts], type="building", name="hall", building="hall")
    house = only(town)
    assert house.footprint.area == pytest.approx(200, rel=0.01)
    assert house.parts == 2


def test_a_part_in_no_building_is_one_of_its_own_and_counted(town: Map) -> None:
    town.box(50, 0, 10, 10, building__part="yes", height="9")
    city = city_of(town)
    assert len(city.buildings) == 2
    assert city.notes["parts without a building, taken as buildings"] == 1


def test_a_courtyard_is_a_hole(town: Map) -> None:
    outer = town.box(0, 0, 40, 40)
    inner = town.box(10, 10, 20, 20)
    town.relation([(outer, "outer"), (inner, "inner")], type="multipolygon", building="apartments")
    house = only(town)
    assert house.id == "relation/1"
    assert house.footprint.area == pytest.approx(1200, rel=0.01)
    assert not house.footprint.contains(shapely.Point(house.footprint.envelope.centroid))


@pytest.mark.parametrize("value", ["construction", "ruins"])
def test_what_does_not_stand_is_left_out_and_counted(town: Map, value: str) -> None:
    town.box(0, 0, 20, 10, building=value)
    city = city_of(town)
    assert len(city.buildings) == 1
    assert city.notes["buildings that do not stand (yet, or any more) left out"] == 1


@pytest.mark.parametrize("tags", [{"location": "underground"}, {"layer": "-1"}])
def test_what_is_underground_is_left_out_and_counted(town: Map, tags: dict[str, str]) -> None:
    town.box(0, 0, 20, 10, building="yes", **tags)
    city = city_of(town)
    assert len(city.buildings) == 1
    assert city.notes["underground buildings left out"] == 1


def test_a_building_that_is_denied_is_none(town: Map) -> None:
    town.box(0, 0, 20, 10, building="no")
    assert len(city_of(town).buildings) == 1


def test_a_carport_is_a_roof_on_posts(town: Map) -> None:
    town.box(0, 0, 6, 5, building="carport")
    port = only(town)
    assert port.height == pytest.approx(3.2)
    slab, *posts = port.volumes
    assert slab.base == pytest.approx(2.9)
    assert len(posts) == 4
    assert all(slab.outline.contains(post.outline) and post.height == slab.base for post in posts)


def test_a_garage_has_one_storey(town: Map) -> None:
    town.box(0, 0, 6, 5, building="garage")
    assert only(town).height == pytest.approx(3.0)


def test_an_unknown_roof_shape_is_counted(town: Map) -> None:
    town.box(0, 0, 20, 10, building="house", roof__shape="dragon")
    city = city_of(town)
    assert city.notes["roof shapes that are not known"] == 1
    assert "roof" in city.buildings[0].inferred


def test_a_height_that_is_no_number_is_counted(town: Map) -> None:
    town.box(0, 0, 20, 10, building="house", height="very", building__levels="many")
    city = city_of(town)
    assert city.notes["lengths that are no number of metres"] == 1
    assert city.notes["levels that are no number"] == 1


def test_a_building_that_is_there_twice_is_read_once(town: Map) -> None:
    outer = town.box(0, 0, 20, 10, building="yes")
    town.relation([(outer, "outer")], type="multipolygon", building="yes")
    city = city_of(town)
    assert len(city.buildings) == 2
    assert city.notes["buildings that stand in the file twice left out once"] == 1


def test_an_outline_that_crosses_itself_is_repaired_and_counted(town: Map) -> None:
    town.way([(0, 0), (20, 10), (20, 0), (0, 10), (0, 0)], building="yes")
    city = city_of(town)
    assert len(city.buildings) == 2
    assert city.notes["broken outlines repaired"] == 1
    assert all(b.footprint.is_valid for b in city.buildings)


def test_an_open_outline_is_closed_and_counted(town: Map) -> None:
    town.way([(0, 0), (20, 0), (20, 10), (0, 10)], building="yes")
    city = city_of(town)
    assert len(city.buildings) == 2
    assert city.notes["broken outlines repaired"] == 1


def test_nodes_that_are_not_in_the_file_are_counted(town: Map) -> None:
    town.box(0, 0, 20, 10, building="yes")
    path = town.write()
    text = path.read_text(encoding="utf-8").replace('<nd ref="3"/>', '<nd ref="3"/><nd ref="777"/>')
    path.write_text(text, encoding="utf-8")
    city = read_osm(path)
    assert city.notes["nodes of ways that the file does not hold"] == 1
    assert city.buildings[0].footprint.area == pytest.approx(200, rel=0.01)


def test_a_map_without_buildings_is_an_error(town: Map) -> None:
    town.way([(0, 0), (50, 0)], highway="residential")
    with pytest.raises(CityError, match="no building in it"):
        read_osm(town.write())


def test_ids_and_order_are_the_files(town: Map) -> None:
    first = town.box(0, 0, 10, 10, building="yes")
    second = town.box(20, 0, 10, 10, building="yes")
    assert [b.id for b in read_osm(town.write()).buildings] == [f"way/{first}", f"way/{second}"]


def test_the_frame_is_the_utm_zone_of_the_middle_and_the_licence_is_kept(town: Map) -> None:
    town.box(0, 0, 10, 10, building="yes")
    city = read_osm(town.write("My Town.osm"))
    assert city.crs == "EPSG:32632"
    assert city.name == "my-town"
    assert (city.latitude, city.longitude) == pytest.approx((48.0, 9.0), abs=0.01)
    assert city.sources[0].licence is not None
    assert "OpenStreetMap" in city.sources[0].licence
    assert len(city.sources[0].sha256 or "") == 64
