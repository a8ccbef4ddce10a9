"""The procedural city: whole, plausible, repeatable."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import shapely
from towns import fingerprint

from mage.scenes.city import City
from mage.scenes.mesh import Surface
from mage.scenes.sources.ground.relief import normal_levels
from mage.scenes.sources.procedural.build import build_city
from mage.scenes.sources.procedural.network import component_labels
from mage.scenes.style import load_style
from mage.scenes.terrain import depth_at

STYLES = pytest.mark.parametrize("style", ["suburb", "european"])


@cache
def city_of(style: str, seed: int = 5, extent: float = 360.0) -> City:
    return build_city(load_style(style), extent, np.random.default_rng(seed))


def carriageways(city: City) -> list[shapely.Geometry]:
    return [e.line.buffer(e.width / 2) for e in city.roads.edges]


@STYLES
def test_one_seed_makes_one_city_to_the_byte_and_another_seed_another(style: str) -> None:
    again = build_city(load_style(style), 360.0, np.random.default_rng(5))
    assert fingerprint(again) == fingerprint(city_of(style))
    assert fingerprint(city_of(style, 6)) != fingerprint(city_of(style))


@STYLES
def test_no_house_stands_on_a_street_in_water_or_in_another_house(style: str) -> None:
    city = city_of(style)
    houses = [b.footprint for b in city.buildings]
    closed = shapely.union_all([*carriageways(city), *[w.outline for w in city.water]])
    assert max(h.intersection(closed).area for h in houses) == 0
    pairs = shapely.STRtree(houses).query(houses, predicate="intersects").T
    overlap = [houses[i].intersection(houses[j]).area for i, j in pairs if i < j]
    assert max(overlap, default=0) < 0.5


@STYLES
def test_houses_reach_a_metre_into_the_ground_at_their_lowest_corner(style: str) -> None:
    city = city_of(style)
    for building in city.buildings:
        around = city.ground.sample(shapely.get_coordinates(building.footprint))
        assert building.mesh.vertices[:, 2].min() <= around.min() - 0.99
        assert abs(building.ground - around.mean()) < 0.6
        assert building.mesh.vertices[:, 2].max() == pytest.approx(building.ground + building.height)


@STYLES
def test_every_edge_of_a_house_is_shared_by_two_faces_in_opposite_directions(style: str) -> None:
    for building in city_of(style).buildings:
        triangles = building.mesh.triangles
        edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
        assert sorted(map(tuple, edges.tolist())) == sorted(map(tuple, edges[:, ::-1].tolist()))
        roof = building.mesh.surface == Surface.ROOF
        assert (building.mesh.normals[roof, 2] > 0).all()


@STYLES
def test_trees_stand_outside_houses_streets_and_water_and_leave_each_other_room(style: str) -> None:
    city = city_of(style)
    closed = [b.footprint for b in city.buildings] + [w.outline for w in city.water] + carriageways(city)
    trunks = shapely.points(city.trees.xy)
    assert len(shapely.STRtree(closed).query(trunks, predicate="intersects")[0]) == 0
    assert len(np.unique(city.trees.xy, axis=0)) == len(city.trees)


def test_a_suburb_has_the_houses_and_the_canopy_of_its_models() -> None:
    city = city_of("suburb", extent=640.0)
    area = np.array([b.footprint.area for b in city.buildings if b.footprint.area > 50])
    low, middle, high = np.quantile(area, (0.1, 0.5, 0.9))
    assert 90 < low < 160
    assert 190 < middle < 290
    assert 390 < high < 620
    crowns = shapely.union_all(shapely.buffer(shapely.points(city.trees.xy), city.trees.radius, quad_segs=3))
    view = shapely.box(*city.bounds)
    assert 0.3 < crowns.intersection(view).area / view.area < 0.55
    roofs = shapely.union_all([b.footprint for b in city.buildings])
    assert crowns.intersection(roofs).area / roofs.area > 0.03


@STYLES
def test_the_river_is_wet_within_its_outline_and_the_town_is_dry(style: str) -> None:
    city = city_of(style)
    (river,) = city.water
    levels = normal_levels(city.ground, city.water)
    middle = shapely.get_coordinates(river.outline.buffer(-3).intersection(shapely.box(*city.bounds)).boundary)
    assert (depth_at(city.ground, levels, middle) > 0).all()
    houses = np.concatenate([shapely.get_coordinates(b.footprint) for b in city.buildings])
    assert (depth_at(city.ground, levels, houses) == 0).all()
    assert (city.ground.sample(houses) > river.level + 0.3).all()


@STYLES
def test_streets_share_nodes_and_never_cross_the_river(style: str) -> None:
    city = city_of(style)
    (river,) = city.water
    for edge in city.roads.edges:
        ends = shapely.get_coordinates(edge.line)[[0, -1]]
        assert np.allclose(ends, city.roads.nodes[[edge.u, edge.v]])
        assert edge.line.distance(river.outline) > 20
    # one network on each bank at most, apart from pieces that the border cuts off
    label = component_labels(city.roads)[[e.u for e in city.roads.edges]]
    lengths = np.sort(np.bincount(label, weights=[e.line.length for e in city.roads.edges]))
    assert lengths[-2:].sum() > 0.85 * lengths.sum()


def test_a_tiny_city_still_has_houses_in_view() -> None:
    city = city_of("suburb", seed=2, extent=100.0)
    view = shapely.box(*city.bounds)
    assert sum(view.contains(b.footprint) for b in city.buildings) >= 3
    assert city.inferred == ()
    assert city.sources[0].licence == "Apache-2.0"
