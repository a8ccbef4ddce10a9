"""Parked and moving cars."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from shapely.geometry import LineString

from mage.scenes.bays import bays_of
from mage.scenes.city import Barrier, Building, City, LandPatch, Railway, RoadEdge, RoadGraph, Trees, WaterBody
from mage.scenes.details import Details
from mage.scenes.impact import BARGE, BOAT, BUS, TRUCK, Vehicles, plans_of
from mage.scenes.mesh import empty_mesh
from mage.scenes.sources.procedural.build import build_city
from mage.scenes.style import load_style
from mage.scenes.traffic import park_vehicles
from mage.scenes.ways import trackbed

STYLE = load_style("suburb").model_copy(update={"details": Details()})
BUSY = STYLE.model_copy(update={"traffic": STYLE.traffic.model_copy(update={"parked": 70.0, "moving": 25.0})})


@pytest.fixture(scope="module")
def city() -> City:
    return build_city(STYLE, 400.0, np.random.default_rng(3))


def test_no_two_cars_overlap_and_none_is_in_a_house_or_in_the_river(city: City) -> None:
    cars = park_vehicles(np.random.default_rng(0), city, STYLE)
    assert len(cars) > 60
    plans = plans_of(cars.xy, cars.heading, cars.kind)
    pairs = shapely.STRtree(plans).query(plans, predicate="intersects").T
    assert (pairs[:, 0] == pairs[:, 1]).all()
    solid = [b.footprint for b in city.buildings] + [w.outline for w in city.water]
    assert len(shapely.STRtree(solid).query(plans, predicate="intersects")[0]) == 0


def test_cars_on_streets_stand_within_the_carriageway_and_keep_right(city: City) -> None:
    busy = STYLE.model_copy(update={"traffic": STYLE.traffic.model_copy(update={"drives": 0.0, "parked": 60.0})})
    bare = replace(city, land=())
    cars = park_vehicles(np.random.default_rng(1), bare, busy)
    lines = np.array([e.line for e in city.roads.edges], dtype=object)
    points = shapely.points(cars.xy)
    near, edge = shapely.STRtree(lines).query_nearest(points, all_matches=False)
    carriageway = np.array([e.line.buffer(e.width / 2 + 0.25) for e in city.roads.edges], dtype=object)
    plans = plans_of(cars.xy, cars.heading, cars.kind)
    assert shapely.contains(carriageway[edge], plans[near]).mean() > 0.9
    foot = shapely.line_interpolate_point(lines[edge], shapely.line_locate_point(lines[edge], points[near]))
    to_axis = shapely.get_coordinates(foot) - cars.xy[near]
    nose = np.stack([np.cos(cars.heading[near]), np.sin(cars.heading[near])], axis=1)
    left = nose[:, 0] * to_axis[:, 1] - nose[:, 1] * to_axis[:, 0]
    assert (left > 0).mean() > 0.97


def test_density_follows_the_style_and_one_seed_parks_alike(city: City) -> None:
    few, many = (
        STYLE.model_copy(
            update={"traffic": STYLE.traffic.model_copy(update={"parked": p, "drives": 0.0, "moving": 0.0})}
        )
        for p in (10.0, 40.0)
    )
    bare = replace(city, land=())
    counts = [np.mean([len(park_vehicles(np.random.default_rng(s), bare, x)) for s in range(5)]) for x in (few, many)]
    assert 2.5 < counts[1] / counts[0] < 5
    one, two = (park_vehicles(np.random.default_rng(9), city, STYLE) for _ in range(2))
    assert one.xy.tobytes() == two.xy.tobytes()


def test_a_city_without_streets_or_houses_holds_no_cars_and_no_error(city: City) -> None:
    dry = replace(city, roads=RoadGraph(), water=(), land=())  # boats and car parks need no streets
    assert len(park_vehicles(np.random.default_rng(0), dry, STYLE)) == 0
    lone = RoadGraph(np.array([(0.0, 0.0), (90.0, 0.0)]), (RoadEdge(0, 1, LineString([(0, 0), (90, 0)]), 7.0),))
    empty = replace(city, roads=lone, buildings=(), land=(), water=())
    assert len(park_vehicles(np.random.default_rng(0), empty, STYLE)) < 5


def crossroads(*, drives_left: bool = False, **change: object) -> City:
    """Two long streets with houses at some distance, each changed as asked."""
    lines = [LineString([(-300, 0), (300, 0)]), LineString([(0, -300), (0, -8), (0, 300)])]
    edges = tuple(RoadEdge(2 * i, 2 * i + 1, line, 9.0, **change) for i, line in enumerate(lines))  # type: ignore[arg-type]
    nodes = np.array([line.coords[k] for line in lines for k in (0, -1)])
    houses = tuple(
        Building(f"{x} {y}", shapely.box(x, y, x + 8, y + 8), 0.0, 5.0, 5.0, empty_mesh(), 1)
        for x in range(-290, 290, 24)
        for y in (-18, 10)
        if abs(x + 4) > 12
    )
    roads = RoadGraph(nodes, edges)
    return City("cross", None, (0.0, 0.0), 50.0, 5.0, (-300, -300, 300, 300), houses, roads, drives_left=drives_left)


def sides(city: City, cars: Vehicles) -> tuple[np.ndarray, np.ndarray]:
    """Of each vehicle whether it keeps left of the middle of its street, and whether it heads along its line."""
    lines = np.array([e.line for e in city.roads.edges], dtype=object)
    points = shapely.points(cars.xy)
    _, edge = shapely.STRtree(lines).query_nearest(points, all_matches=False)
    away = cars.xy - shapely.get_coordinates(
        shapely.line_interpolate_point(lines[edge], shapely.line_locate_point(lines[edge], points))
    )
    nose = np.stack([np.cos(cars.heading), np.sin(cars.heading)], axis=1)
    along = np.where(edge == 0, nose[:, 0], nose[:, 1]) > 0
    return nose[:, 0] * away[:, 1] - nose[:, 1] * away[:, 0] > 0, along


@pytest.mark.parametrize("drives_left", [False, True])
def test_traffic_keeps_to_the_side_of_the_law(drives_left: bool) -> None:
    town = crossroads(drives_left=drives_left)
    for seed in range(3):
        left, _ = sides(town, park_vehicles(np.random.default_rng(seed), town, BUSY))
        assert len(left) > 40
        assert (left == drives_left).mean() > 0.97


def test_all_head_one_way_on_one_way_streets() -> None:
    town = crossroads(oneway=True)
    cars = park_vehicles(np.random.default_rng(2), town, BUSY)
    left, along = sides(town, cars)
    assert along[np.abs(cars.xy).max(axis=1) > 10].all()  # at the crossing none can tell which street is whose
    assert 0.2 < left.mean() < 0.8  # both kerbs are parked on


@pytest.mark.parametrize(
    ("change", "few"),
    [({"kind": "pedestrian"}, 0), ({"kind": "track"}, 0), ({"tunnel": True}, 0), ({"layer": -1}, 0)],
)
def test_none_is_on_streets_for_walkers_on_tracks_or_in_tunnels(change: dict[str, object], few: int) -> None:
    assert len(park_vehicles(np.random.default_rng(2), crossroads(**change), BUSY)) == few


def test_nobody_parks_on_a_motorway_and_trucks_and_buses_are_under_way() -> None:
    town = crossroads(kind="motorway", lanes=2)
    still = BUSY.model_copy(update={"traffic": BUSY.traffic.model_copy(update={"moving": 0.0})})
    assert len(park_vehicles(np.random.default_rng(2), town, still)) == 0
    kinds = np.concatenate([park_vehicles(np.random.default_rng(s), town, BUSY).kind for s in range(4)])
    assert {TRUCK, BUS} <= set(kinds.tolist())


def test_lanes_are_kept_to() -> None:
    town = crossroads(kind="motorway", lanes=3, oneway=True)
    still = BUSY.model_copy(update={"traffic": BUSY.traffic.model_copy(update={"parked": 0.0})})
    cars = park_vehicles(np.random.default_rng(5), town, still)
    on_first = np.abs(cars.xy[:, 1]) < 4.5
    assert np.isin(np.round(cars.xy[on_first, 1], 1), (-3.0, 0.0, 3.0)).all()


@pytest.mark.parametrize("seed", range(3))
def test_cars_in_a_lot_stand_in_its_bays(seed: int) -> None:
    lot = shapely.affinity.rotate(shapely.Polygon([(60, 60), (130, 60), (130, 100), (95, 100), (95, 80), (60, 80)]), 20)
    town = replace(crossroads(), land=(LandPatch(lot, "parking"),), roads=RoadGraph())
    cars = park_vehicles(np.random.default_rng(seed), town, BUSY)
    bays = shapely.union_all(shapely.buffer(bays_of(lot).outlines(), 0.45))
    assert len(cars) > 3
    assert shapely.covers(bays, plans_of(cars.xy, cars.heading, cars.kind)).mean() > 0.9
    assert shapely.covers(lot.buffer(0.3), plans_of(cars.xy, cars.heading, cars.kind)).mean() > 0.9


def test_cars_stand_on_bridges_and_not_in_the_river_below_nor_on_rails() -> None:
    river = WaterBody(shapely.box(20, -300, 120, 300), -2.0)
    rail = Railway(LineString([(200, -300), (200, 300)]))
    dry, bridge = (replace(crossroads(bridge=b), water=(river,), railways=(rail,)) for b in (False, True))
    for town, expected in ((dry, False), (bridge, True)):
        plans = [
            plans_of(c.xy, c.heading, c.kind)
            for c in (park_vehicles(np.random.default_rng(s), town, BUSY) for s in range(4))
        ]
        met = shapely.intersects(river.outline, np.concatenate(plans))
        assert met.any() == expected
        if not expected:
            assert not shapely.intersects(trackbed(rail), np.concatenate(plans)).any()


@pytest.mark.parametrize("seed", range(4))
def test_boats_lie_in_the_water_beside_its_banks_apart_from_each_other_and_from_bridges(seed: int) -> None:
    river = WaterBody(LineString([(-260, -200), (-100, 40), (90, 60), (280, 240)]).buffer(24), -1.0)
    town = replace(crossroads(bridge=True), water=(river,))
    marina = STYLE.model_copy(update={"details": STYLE.details.model_copy(update={"boats": 30.0})})
    all_of_them = park_vehicles(np.random.default_rng(seed), town, marina)
    boat = np.isin(all_of_them.kind, (BOAT, BARGE))
    xy, heading, kind = all_of_them.xy[boat], all_of_them.heading[boat], all_of_them.kind[boat]
    assert boat.sum() > 15
    plans = plans_of(xy, heading, kind)
    assert shapely.covers(river.outline, plans).all()
    assert (shapely.distance(river.outline.exterior, shapely.points(xy)) < 4).all()
    decks = shapely.union_all([e.line.buffer(e.width / 2 + 3) for e in town.roads.edges])
    assert not shapely.intersects(decks, plans).any()
    pairs = shapely.STRtree(plans).query(plans, predicate="intersects").T
    assert (pairs[:, 0] == pairs[:, 1]).all()


def test_cars_keep_off_barriers_trunks_and_pools() -> None:
    line = LineString([(-300, 3.4), (300, 3.4)])
    trunks = Trees(np.column_stack([np.arange(-290, 290, 7.0), np.full(83, -3.5)]), *[np.full(83, 4.0)] * 2)
    town = replace(crossroads(), barriers=(Barrier(line, "wall", 1.0, 0.2),), trees=trunks)
    cars = park_vehicles(np.random.default_rng(1), town, BUSY)
    plans = plans_of(cars.xy, cars.heading, cars.kind)
    assert len(cars) > 10
    assert not shapely.intersects(line, plans).any()
    assert len(shapely.STRtree(plans).query(shapely.points(trunks.xy), predicate="intersects")[0]) == 0
