"""What is no building in the labels: pools, fields, tracks, bridges, tunnels, fences, hedges, boats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import shapely
from scenes_in_closed_form import box_building, box_city, box_mesh, flat_terrain
from shapely.geometry import LineString, Point

from mage.generator.ground import paint_ground
from mage.generator.labels import Truth
from mage.generator.place import Place, prepare_place
from mage.generator.props import place_vehicles
from mage.scenes.city import COVERS, Barrier, City, LandPatch, Railway, RoadGraph, Structure, WaterBody
from mage.scenes.dataset.fields import LandClass
from mage.scenes.grid import Grid
from mage.scenes.hazards.flood import flood
from mage.scenes.impact import BOAT, TRUCK, Vehicles
from mage.scenes.style import load_style
from mage.scenes.terrain import Terrain
from mage.scenes.ways import trackbed

GRID = Grid.around(0.0, 0.0, 128, 0.5)
STYLE = load_style("suburb")
NOBODY = place_vehicles(Vehicles(), flat_terrain(2.0))
LAKE, LEVEL = shapely.box(-20, -80, 20, 80), 1.5


def place_of(city: City) -> Place:
    return prepare_place(city, STYLE, np.random.default_rng(0))


def meadow(**parts: object) -> City:
    whole = LandPatch(shapely.box(-100, -100, 100, 100), "grass")
    city = box_city((), flat_terrain(2.0))
    land = (whole, *parts.pop("land", ()))  # type: ignore[misc]
    return replace(city, land=land, **parts)  # type: ignore[arg-type]


def with_lake(city: City) -> City:
    """The city's ground is lowered under a lake from south to north, 40 m wide."""
    x, _ = city.ground.axes()
    heights = np.where(np.abs(x)[None, :] < 20, 0.0, city.ground.heights)
    terrain = Terrain(heights, city.ground.west, city.ground.north, city.ground.step)
    return replace(city, terrain=terrain, water=(WaterBody(LAKE, LEVEL, "lake"),))


def inside(shape: shapely.Geometry) -> np.ndarray:
    """Which pixel centres a shape holds, asked of shapely one by one."""
    points = GRID.points()
    return shapely.contains_xy(shape, points[:, 0], points[:, 1]).reshape(GRID.shape)


POND = shapely.Polygon([(-9, -6), (7, -8), (11, 3), (2, 9), (-6, 5)])
KIND_OF = {
    "grass": LandClass.GRASS,
    "bare": LandClass.BARE,
    "paved": LandClass.PAVED,
    "agriculture": LandClass.AGRICULTURE,
    "forest": LandClass.GRASS,
    "scrub": LandClass.GRASS,
    "sand": LandClass.BARE,
    "asphalt": LandClass.ROAD,
    "parking": LandClass.PAVED,
    "ballast": LandClass.RAIL,
    "pitch": LandClass.PITCH,
    "pool": LandClass.POOL,
}


@pytest.mark.parametrize("cover", [c for c in COVERS if c != "grass"])
def test_every_cover_has_its_class_on_exactly_the_pixels_of_its_outline(cover: str) -> None:
    shape = shapely.affinity.rotate(POND, 17)
    place = place_of(meadow(land=(LandPatch(shape, cover),)))
    seen = Truth(place, GRID).before(NOBODY)["class"]
    assert (seen[inside(shape)] == KIND_OF[cover]).all()
    beyond = ~inside(shape.buffer(0.9))
    assert np.isin(seen[beyond], (LandClass.GRASS, LandClass.BARE)).all()


def test_every_cover_looks_unlike_grass_and_a_pool_is_turquoise() -> None:
    grid = GRID.resampled(2)
    plain = paint_ground(place_of(meadow()), grid)
    for cover in ("paved", "scrub", "sand", "asphalt", "parking", "ballast", "pitch", "pool"):
        painted = paint_ground(place_of(meadow(land=(LandPatch(POND, cover),))), grid)
        middle = painted[120:136, 120:136].mean(axis=(0, 1))
        assert np.abs(middle - plain[120:136, 120:136].mean(axis=(0, 1))).max() > 0.01, cover
        if cover == "pool":
            assert middle[2] > 1.3 * middle[0]
            assert middle[1] > 1.3 * middle[0]


def test_a_pool_has_a_paved_rim() -> None:
    place = place_of(meadow(land=(LandPatch(POND, "pool"),)))
    seen = Truth(place, GRID).before(NOBODY)["class"]
    rim = inside(POND.buffer(0.45)) & ~inside(POND)
    assert rim.sum() > 50
    assert (seen[rim] == LandClass.PAVED).all()


def test_tracks_are_rail_where_their_bed_is_and_a_tunnel_is_not_seen() -> None:
    line = LineString([(-80, -22), (0, 3), (80, 31)])
    seen = Truth(place_of(meadow(railways=(Railway(line, tracks=2),))), GRID).before(NOBODY)["class"]
    assert ((seen == LandClass.RAIL) == inside(trackbed(Railway(line, tracks=2)))).all()
    below = Truth(place_of(meadow(railways=(Railway(line, tunnel=True),))), GRID).before(NOBODY)["class"]
    assert not (below == LandClass.RAIL).any()


def crossing(**change: object) -> City:
    """A street from west to east over a lake."""
    city = with_lake(box_city((), flat_terrain(2.0), roads=(LineString([(-60, 0), (60, 0)]),)))
    edge = replace(city.roads.edges[0], **change)  # type: ignore[arg-type]
    return replace(city, roads=RoadGraph(city.roads.nodes, (edge,)))


def test_a_bridge_over_water_is_a_road_and_no_water() -> None:
    place = place_of(crossing(bridge=True))
    labels = Truth(place, GRID).before(NOBODY)
    deck = inside(shapely.box(-60, -3.4, 60, 3.4)) & inside(shapely.box(-31, -31, 31, 31))
    assert (labels["class"][deck] == LandClass.ROAD).all()
    assert (labels["water"][deck] == 0).all()
    assert (labels["road"][inside(shapely.box(-30, -2.9, 30, 2.9))] == 1).all()
    assert (labels["building"] == 0).all()
    middle = inside(Point(0, 0).buffer(2))
    assert (labels["height"][middle] >= 150 + 100).all()  # 1.5 m of water and its clearance over the lake's bed
    open_water = inside(LAKE) & ~inside(shapely.box(-60, -5, 60, 5)) & inside(shapely.box(-18.5, -32, 18.5, 32))
    assert (labels["class"][open_water] == LandClass.WATER).all()


def test_a_street_that_is_no_bridge_is_drowned_and_a_tunnel_is_not_there() -> None:
    drowned = Truth(place_of(crossing()), GRID).before(NOBODY)
    assert (drowned["class"][inside(Point(0, 0).buffer(2))] == LandClass.WATER).all()
    for change in ({"tunnel": True}, {"layer": -1}):
        below = Truth(place_of(crossing(**change)), GRID).before(NOBODY)
        assert (below["road"] == 0).all()
        assert not (below["class"] == LandClass.ROAD).any()


def test_a_flood_passes_under_a_deck_that_stands_above_it_and_over_one_that_does_not() -> None:
    place = place_of(crossing(bridge=True))
    top = place.works.mesh.vertices[:, 2].max()
    middle = inside(Point(0, 0).buffer(2))
    for level, kind in ((top - 0.2, LandClass.ROAD), (top + 0.5, LandClass.FLOOD)):
        after = Truth(place, GRID).after(NOBODY, flood(place.city, level=level))
        assert (after["class"][middle] == kind).all()
        assert ((after["flood"] > 0) == (after["depth"] > 0)).all()
        assert not ((after["flood"] > 0) & (after["water"] > 0)).any()
        assert (after["flood"][middle] == (kind == LandClass.FLOOD)).all()


def test_structures_are_never_buildings_and_a_bridge_of_the_source_has_a_road_on_top() -> None:
    kiosk = Structure("k", "furniture", box_mesh(-25, 10, -22, 14, 1.0, 4.5))
    viaduct = Structure("v", "bridge", box_mesh(5, -30, 12, 30, 10.0, 11.0))
    house = box_building("h", 0, -8, 14, 6, 2.0, 4.0)
    city = replace(meadow(structures=(kiosk, viaduct)), buildings=(house,))
    labels = Truth(place_of(city), GRID).before(NOBODY)
    seen, over = labels["class"], inside(shapely.box(5, -30, 12, 30))
    assert (seen[inside(shapely.box(-25, 10, -22, 14))] == LandClass.STRUCTURE).all()
    assert (labels["height"][inside(shapely.box(-25, 10, -22, 14))] == 250).all()
    assert (seen[over] == LandClass.ROAD).all()
    # a house under a viaduct is not seen
    assert (labels["building"] > 0).sum() == (inside(house.footprint) & ~over).sum()


def test_walls_are_structures_hedges_are_greenery_and_both_have_their_height() -> None:
    made = tuple(
        Barrier(LineString([(-20, y), (20, y)]), kind, 1.5, 1.6)
        for kind, y in (("wall", -10), ("fence", 0), ("hedge", 9))
    )
    labels = Truth(place_of(meadow(barriers=made)), GRID).before(NOBODY)
    for y, kind in ((-10, LandClass.STRUCTURE), (0, LandClass.STRUCTURE), (9, LandClass.TREE)):
        middle = inside(shapely.box(-19, y - 0.5, 19, y + 0.5))
        assert (labels["class"][middle] == kind).all()
        assert (np.abs(labels["height"][middle].astype(int) - 138) <= 13).all()
    assert (labels["building"] == 0).all()


def vehicle(x: float, y: float, kind: int) -> Vehicles:
    return Vehicles(np.array([(x, y)]), np.zeros(1), np.zeros(1, np.uint8), np.array([kind], np.uint8))


@pytest.mark.parametrize(
    ("make", "where", "kind"),
    [(lambda: with_lake(meadow()), (5.0, 9.0), BOAT), (lambda: crossing(bridge=True), (5.0, 1.4), TRUCK)],
)
def test_boats_float_and_trucks_stand_on_bridges(
    make: Callable[[], City], where: tuple[float, float], kind: int
) -> None:
    place = place_of(make())
    placed = place_vehicles(vehicle(*where, kind), place.city.ground, works=place.works, levels=place.water_levels)
    labels = Truth(place, GRID).before(placed)
    assert (labels["class"][inside(Point(where).buffer(0.8))] == LandClass.VEHICLE).all()
    assert placed.position[0, 2] >= LEVEL
    risen = np.fmax(place.water_levels, 3.0)
    lifted = place_vehicles(vehicle(*where, kind), place.city.ground, works=place.works, levels=risen)
    assert (lifted.position[0, 2] > placed.position[0, 2]) == (kind == BOAT)
