"""Streets, land, water, tracks, barriers and trees of a map."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from osmmaps import Map

from mage.scenes.city import City
from mage.scenes.sources.osm import read_osm


def city_of(town: Map) -> City:
    """The map with one building at each end, so that all between them lies in the city."""
    for x, y in ((-300, -300), (290, 290)):
        town.box(x, y, 10, 10, building="yes")
    return read_osm(town.write())


def test_streets_are_split_where_they_meet(town: Map) -> None:
    town.way([(-100, 0), (0, 0), (100, 0)], highway="residential")
    town.way([(0, 0), (0, 50), (0, 100)], highway="service")
    roads = city_of(town).roads
    assert len(roads.edges) == 3
    assert len(roads.nodes) == 4
    assert roads.length == pytest.approx(300, rel=0.005)
    assert [e.kind for e in roads.edges] == ["residential", "residential", "service"]


def test_streets_that_cross_without_a_shared_node_do_not_meet(town: Map) -> None:
    town.way([(-100, 0), (100, 0)], highway="residential")
    town.way([(0, -100), (0, 100)], highway="residential", bridge="yes", layer="1")
    roads = city_of(town).roads
    assert len(roads.edges) == 2
    assert roads.edges[1].bridge
    assert roads.edges[1].layer == 1


def test_a_way_that_comes_back_to_itself_is_split_there(town: Map) -> None:
    town.way([(0, 0), (50, 0), (50, 50), (0, 0)], highway="residential")
    edges = city_of(town).roads.edges
    assert len(edges) == 1
    assert edges[0].u == edges[0].v


@pytest.mark.parametrize(
    ("tags", "oneway", "forward"),
    [
        ({"oneway": "yes"}, True, True),
        ({"oneway": "-1"}, True, False),
        ({"oneway": "no", "highway": "motorway"}, False, True),
        ({"highway": "motorway"}, True, True),
        ({"junction": "roundabout"}, True, True),
        ({}, False, True),
    ],
)
def test_the_direction_of_a_street(town: Map, tags: dict[str, str], oneway: bool, forward: bool) -> None:
    town.way([(-50, 0), (50, 0)], **({"highway": "primary"} | tags))
    (edge,) = city_of(town).roads.edges
    assert edge.oneway is oneway
    x = shapely.get_coordinates(edge.line)[:, 0]
    assert bool(x[1] > x[0]) is forward


@pytest.mark.parametrize(
    ("tags", "width", "lanes"),
    [
        ({"width": "7,2"}, 7.2, None),
        ({"lanes": "3"}, 9.0, 3),
        ({"lanes": "2", "width": "5.5 m"}, 5.5, 2),
        ({"lanes": "900"}, 8.0, None),
        ({}, 8.0, None),
    ],
)
def test_the_width_of_a_street(town: Map, tags: dict[str, str], width: float, lanes: int | None) -> None:
    town.way([(-50, 0), (50, 0)], highway="primary", **tags)
    city = city_of(town)
    (edge,) = city.roads.edges
    assert edge.width == pytest.approx(width)
    assert edge.lanes == lanes
    assert city.notes.get("street widths taken from the class", 0) == (width == 8.0)


def test_streets_that_are_not_built_are_left_out_and_counted(town: Map) -> None:
    town.way([(-50, 0), (50, 0)], highway="construction")
    city = city_of(town)
    assert not city.roads.edges
    assert city.notes["streets that do not stand (yet, or any more) left out"] == 1


def test_footways_are_strips_of_paving_and_paths_of_bare_ground(town: Map) -> None:
    town.way([(-50, 0), (50, 0)], highway="footway", width="3")
    town.way([(-50, 20), (50, 20)], highway="path")
    city = city_of(town)
    assert not city.roads.edges
    covers = {patch.cover: patch.outline.area for patch in city.land}
    assert covers["paved"] == pytest.approx(3 * 103, rel=0.02)
    assert covers["bare"] == pytest.approx(1.4 * 101.4, rel=0.02)


def test_land_lies_in_order_large_and_general_below(town: Map) -> None:
    town.box(0, 0, 20, 30, leisure="pitch", sport="tennis")
    town.box(-50, -50, 100, 100, leisure="park")
    town.box(-100, -100, 200, 200, landuse="forest")
    town.box(30, 0, 10, 10, amenity="parking")
    town.box(30, 20, 5, 5, leisure="swimming_pool")
    town.box(-40, 0, 10, 10, natural="beach")
    assert [patch.cover for patch in city_of(town).land] == ["forest", "sand", "grass", "pitch", "parking", "pool"]


def test_parking_under_the_ground_is_no_cover(town: Map) -> None:
    town.box(0, 0, 20, 30, amenity="parking", parking="underground")
    city = city_of(town)
    assert not city.land
    assert city.notes["parking that is not on the ground left out"] == 1


def test_a_square_for_walkers_is_paved_ground_and_no_street(town: Map) -> None:
    town.box(0, 0, 20, 30, highway="pedestrian", area="yes")
    city = city_of(town)
    assert not city.roads.edges
    assert [patch.cover for patch in city.land] == ["paved"]


def test_water_bodies_do_not_overlap(town: Map) -> None:
    town.box(0, 0, 50, 50, natural="water", water="pond")
    town.way([(-100, 25), (100, 25)], waterway="stream", width="4")
    water = city_of(town).water
    assert {w.kind for w in water} == {"lake", "river"}
    assert sum(w.outline.area for w in water) == pytest.approx(2500 + 4 * 150, rel=0.03)
    assert shapely.union_all([w.outline for w in water]).area == pytest.approx(
        sum(w.outline.area for w in water), rel=1e-6
    )
    assert not any(w.inferred for w in water)


def test_the_level_of_water_is_named_as_inferred(town: Map) -> None:
    town.box(0, 0, 50, 50, natural="water")
    assert "water level" in city_of(town).inferred


def test_a_stream_in_a_culvert_is_left_out_and_counted(town: Map) -> None:
    town.way([(-100, 25), (100, 25)], waterway="stream", tunnel="culvert")
    city = city_of(town)
    assert not city.water
    assert city.notes["water that is underground or mostly dry left out"] == 1


def test_land_lies_to_the_left_of_the_coast(town: Map) -> None:
    """A coast that runs east has land to its north."""
    town.way([(-900, 0), (0, 20), (900, 0)], natural="coastline")
    (sea,) = city_of(town).water
    assert sea.kind == "sea"
    assert sea.outline.contains(shapely.Point(0, -100))
    assert not sea.outline.contains(shapely.Point(0, 100))


def test_a_coast_the_other_way_round_has_the_sea_on_the_other_side(town: Map) -> None:
    town.way([(900, 0), (0, 20), (-900, 0)], natural="coastline")
    (sea,) = city_of(town).water
    assert sea.outline.contains(shapely.Point(0, 100))
    assert not sea.outline.contains(shapely.Point(0, -100))


def test_an_island_is_a_hole_in_the_sea(town: Map) -> None:
    town.way([(-50, -50), (50, -50), (50, 50), (-50, 50), (-50, -50)], natural="coastline")  # land on the left
    (sea,) = city_of(town).water
    assert not sea.outline.contains(shapely.Point(0, 0))
    assert sea.outline.contains(shapely.Point(100, 100))


def test_a_coast_that_ends_within_the_map_is_led_on_and_counted(town: Map) -> None:
    town.way([(-900, 0), (500, 0)], natural="coastline")
    city = city_of(town)
    assert city.notes["coastlines that end within the map, led on to its edge"] == 1
    assert city.water[0].outline.contains(shapely.Point(550, -100))


def test_tracks_above_the_ground_are_railways(town: Map) -> None:
    town.way([(-50, 0), (50, 0)], railway="narrow_gauge", gauge="1000")
    town.way([(-50, 10), (50, 10)], railway="subway", tunnel="yes")
    city = city_of(town)
    assert [(r.kind, r.gauge) for r in city.railways] == [("narrow_gauge", 1.0)]
    assert city.notes["railways underground left out"] == 1


def test_barriers_have_a_kind_and_a_size(town: Map) -> None:
    town.way([(-50, 0), (50, 0)], barrier="hedge", height="2.2")
    town.box(0, 20, 10, 10, barrier="wall")
    town.way([(-50, -10), (50, -10)], barrier="kerb")
    hedge, wall = city_of(town).barriers
    assert (hedge.kind, hedge.height) == ("hedge", 2.2)
    assert wall.kind == "wall"
    assert wall.line.length == pytest.approx(40, rel=0.01)


def test_trees_have_the_sizes_that_are_stated(town: Map) -> None:
    town.node(0, 0, natural="tree", height="18", diameter_crown="9", leaf_type="needleleaved")
    town.node(20, 0, natural="tree", circumference="1.5")
    town.way([(0, 50), (90, 50)], natural="tree_row")
    city = city_of(town)
    trees = city.trees
    assert len(trees) == 2 + 11
    assert trees.height[0] == 18
    assert trees.radius[0] == 4.5
    assert trees.species.tolist() == [1] + [0] * 12
    assert trees.height[1] == pytest.approx(12)
    assert np.ptp(trees.height[2:]) > 2
    assert city.notes["trees without a height"] == 12


def test_traffic_keeps_left_where_the_map_says_so(town: Map) -> None:
    town.way([(-50, 0), (50, 0)], highway="residential", driving_side="left")
    assert city_of(town).drives_left
