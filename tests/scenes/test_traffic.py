"""Parked and moving cars."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from shapely.geometry import LineString

from mage.scenes.city import City, RoadEdge, RoadGraph
from mage.scenes.sources.procedural import build_city
from mage.scenes.style import load_style
from mage.scenes.traffic import outlines, park_vehicles

STYLE = load_style("suburb")


@pytest.fixture(scope="module")
def city() -> City:
    return build_city(STYLE, 400.0, np.random.default_rng(3))


def test_no_two_cars_overlap_and_none_is_in_a_house_or_in_the_river(city: City) -> None:
    cars = park_vehicles(np.random.default_rng(0), city, STYLE)
    assert len(cars) > 60
    plans = outlines(cars.xy, cars.heading, cars.kind)
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
    plans = outlines(cars.xy, cars.heading, cars.kind)
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
    assert len(park_vehicles(np.random.default_rng(0), replace(city, roads=RoadGraph()), STYLE)) == 0
    lone = RoadGraph(np.array([(0.0, 0.0), (90.0, 0.0)]), (RoadEdge(0, 1, LineString([(0, 0), (90, 0)]), 7.0),))
    empty = replace(city, roads=lone, buildings=(), land=(), water=())
    assert len(park_vehicles(np.random.default_rng(0), empty, STYLE)) < 5
