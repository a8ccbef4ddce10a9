"""Completing a city that holds buildings only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import shapely
from shapely.geometry import LineString
from towns import bare_city, blocks, box_building, fingerprint, four_houses, one_row

from mage.scenes.city import City, LandPatch, RoadEdge, RoadGraph, Trees, Volume, WaterBody
from mage.scenes.errors import CityError
from mage.scenes.sources.complete import MAPPED, complete
from mage.scenes.sources.ground.draping import drape
from mage.scenes.sources.ground.inferred import trusted_heights
from mage.scenes.sources.ground.relief import MOST_VERTICES, lattice, normal_levels, sink_streets
from mage.scenes.sources.living.pieces import MOST_CORNERS, pieces
from mage.scenes.sources.procedural.network import component_labels
from mage.scenes.sources.procedural.rivers import CLEARANCE
from mage.scenes.style import load_style
from mage.scenes.terrain import Terrain, depth_at

TOWNS = pytest.mark.parametrize("town", [four_houses, one_row, blocks])
STYLE = load_style("european")


def whole(town: Callable[[], City], seed: int = 1) -> City:
    return complete(town(), STYLE, np.random.default_rng(seed))


@TOWNS
def test_all_that_a_source_lacks_is_made_up_and_named(town: Callable[[], City]) -> None:
    city = whole(town)
    assert city.inferred[:5] == ("terrain", "water", "roads", "land", "trees")
    assert city.ground.inferred
    assert all(e.inferred for e in city.roads.edges)
    assert all(w.inferred for w in city.water)
    assert all(p.inferred for p in city.land)
    assert city.buildings == town().buildings or len(city.buildings) == len(town().buildings)


@TOWNS
def test_the_ground_at_every_house_is_at_its_foot_or_a_little_above(town: Callable[[], City]) -> None:
    city = whole(town)
    for building in city.buildings:
        outline = shapely.get_coordinates(shapely.segmentize(building.footprint, 0.5))
        above = city.ground.sample(outline) - building.ground
        assert above.min() >= -1e-9
        assert above.max() < 0.8


@TOWNS
def test_no_street_runs_through_a_house_and_all_of_them_are_one_network(town: Callable[[], City]) -> None:
    city = whole(town)
    houses = shapely.union_all([b.footprint for b in city.buildings])
    assert city.roads.edges
    for edge in city.roads.edges:
        surface = edge.line.buffer(edge.width / 2)
        assert surface.intersection(houses).area <= 0.01 * surface.area
        assert STYLE.streets.width[0] * 0.8 <= edge.width <= STYLE.streets.width[1]
        ends = shapely.get_coordinates(edge.line)[[0, -1]]
        assert np.allclose(ends, city.roads.nodes[[edge.u, edge.v]])
    assert component_labels(city.roads).max() == 0


def test_a_street_runs_between_blocks_and_none_across_their_yards() -> None:
    city = whole(blocks)
    streets = shapely.union_all([e.line for e in city.roads.edges])
    between = shapely.Point(59, 80)  # in the 22 m between two columns of blocks
    assert streets.distance(between) < 3
    yard = shapely.box(5, 14, 43, 27)
    assert not streets.intersects(yard)


@TOWNS
def test_the_river_keeps_clear_of_houses_lies_below_the_ground_and_is_within_the_terrain(
    town: Callable[[], City],
) -> None:
    city = whole(town)
    (river,) = city.water
    assert min(b.footprint.distance(river.outline) for b in city.buildings) >= CLEARANCE
    west, south, east, north = city.ground.bounds
    box = river.outline.bounds
    across = (west <= box[0] and box[2] <= east) or (south <= box[1] and box[3] <= north)
    assert across
    view = shapely.box(*city.bounds)
    assert river.outline.intersection(view).area > 1000
    assert min(b.ground for b in city.buildings) > river.level + 0.3
    assert not any(e.line.intersects(river.outline) for e in city.roads.edges)


@pytest.mark.parametrize("slope", [0.0, 0.06, 0.12])
def test_on_a_hillside_the_river_runs_below_every_house_near_it(slope: float) -> None:
    city = complete(blocks(slope=slope), STYLE, np.random.default_rng(2))
    (river,) = city.water
    near = [b for b in city.buildings if b.footprint.distance(river.outline) < 150]
    assert min(b.ground for b in near) > river.level + 0.3
    levels = normal_levels(city.ground, city.water)
    middle = shapely.get_coordinates(river.outline.buffer(-3).intersection(shapely.box(*city.bounds)).boundary)
    assert (depth_at(city.ground, levels, middle) > 0).all()


@TOWNS
def test_trees_stand_outside_houses_streets_and_water(town: Callable[[], City]) -> None:
    city = whole(town)
    closed = [b.footprint for b in city.buildings] + [w.outline for w in city.water]
    closed += [e.line.buffer(e.width / 2) for e in city.roads.edges]
    assert len(city.trees) > 20
    assert len(shapely.STRtree(closed).query(shapely.points(city.trees.xy), predicate="intersects")[0]) == 0


def test_one_seed_completes_alike_to_the_byte_and_another_differently() -> None:
    assert fingerprint(whole(blocks, 1)) == fingerprint(whole(blocks, 1))
    assert fingerprint(whole(blocks, 1)) != fingerprint(whole(blocks, 2))


def test_bounds_grow_by_sixty_metres_and_the_terrain_lies_under_them() -> None:
    city, bare = whole(blocks), blocks()
    assert city.bounds == tuple(b + d for b, d in zip(bare.bounds, (-60, -60, 60, 60), strict=True))
    west, south, east, north = city.ground.bounds
    assert west < city.bounds[0]
    assert south < city.bounds[1]
    assert east > city.bounds[2]
    assert north > city.bounds[3]


def test_what_the_source_holds_stays_and_the_rest_goes_beneath_and_beside_it() -> None:
    pond = WaterBody(shapely.box(-40, 5, -20, 25), 3.5, "lake")
    meadow = LandPatch(shapely.box(-50, -50, 0, 0), "grass")
    trees = Trees(np.array([(-45.0, -45.0)]), np.array([9.0]), np.array([3.0]), np.zeros(1, np.uint8))
    given_parts = replace(blocks(), water=(pond,), land=(meadow,), trees=trees)
    city = complete(given_parts, STYLE, np.random.default_rng(0))
    assert city.water == (pond,)
    own = [patch for patch in city.land if not patch.inferred]
    assert own == [meadow]
    assert all(patch.inferred for patch in city.land[: city.land.index(meadow)])
    assert shapely.union_all([patch.outline for patch in city.land]).contains(shapely.box(*city.bounds))
    assert {"terrain", "roads", "more land", "more trees"} <= set(city.inferred)
    assert not {"water", "land", "trees"} & set(city.inferred)
    assert city.ground.sample(np.array([-30.0, 15.0])) < 3.0
    assert np.array_equal(city.trees.xy[0], trees.xy[0])
    assert (np.linalg.norm(city.trees.xy[1:] - trees.xy[0], axis=1) > MAPPED).all()


def test_land_that_covers_all_of_the_view_gets_nothing_beneath_it() -> None:
    country = LandPatch(shapely.box(-900, -900, 900, 900), "grass")
    city = complete(replace(blocks(), land=(country,)), STYLE, np.random.default_rng(0))
    assert [patch for patch in city.land if patch.outline.area > 90_000] == [country]
    assert "more land" not in city.inferred


def street(x: float) -> RoadEdge:
    return RoadEdge(0, 1, LineString([(x, -70), (x, 200)]), 7.0)


def test_no_river_is_dug_through_a_town_whose_streets_are_known() -> None:
    roads = RoadGraph(np.array([(59.0, -70.0), (59, 200)]), (street(59.0),))
    city = complete(replace(blocks(), roads=roads), STYLE, np.random.default_rng(1))
    assert not city.water
    assert city.roads == roads
    assert "water" not in city.inferred
    assert city.bounds == blocks().bounds


def plain(bounds: tuple[float, float, float, float], step: float = 1.0) -> Terrain:
    """Ground as somebody surveyed it: a slope with ripples."""
    flat = lattice(bounds, step)
    x, y = flat.axes()
    return replace(flat, heights=3 + 0.02 * x[None, :] + 0.01 * y[:, None] + 0.2 * np.sin(x / 7)[None, :])


def test_a_surveyed_terrain_stays_as_it_is_but_for_beds_under_water() -> None:
    pond = WaterBody(shapely.box(-45, 60, -15, 90), 1.5, "lake")
    bare = replace(blocks(), terrain=plain((-150, -150, 350, 350)), water=(pond,))
    city = complete(bare, STYLE, np.random.default_rng(1))
    assert "terrain" not in city.inferred
    assert bare.terrain is not None
    change = city.ground.heights - bare.terrain.heights
    x, y = city.ground.points().T
    away = shapely.distance(shapely.points(x, y), pond.outline).reshape(change.shape)
    assert (change[away > 1.5] == 0).all()
    assert (change[away == 0] <= 0).all()
    levels = normal_levels(city.ground, city.water)
    inside = shapely.get_coordinates(pond.outline.buffer(-1.5).boundary)
    assert (depth_at(city.ground, levels, inside) > 0).all()
    assert not (levels[away > 2.5] > 0).any()


def test_water_beside_a_house_changes_no_surveyed_ground_under_it() -> None:
    canal = WaterBody(shapely.box(-100, 24.8, 300, 31), 2.0, "canal")
    bare = replace(blocks(), terrain=plain((-150, -150, 350, 350), 0.5), water=(canal,))
    city = complete(bare, STYLE, np.random.default_rng(1))
    assert bare.terrain is not None
    for building in city.buildings:
        west, south, east, north = building.footprint.bounds
        x, y = np.meshgrid(np.linspace(west, east, 17), np.linspace(south, north, 17))
        points = np.stack([x, y], axis=-1)
        assert np.abs(city.ground.sample(points) - bare.terrain.sample(points)).max() < 1e-9
    assert depth_at(city.ground, normal_levels(city.ground, city.water), np.array([200.0, 28.0])) > 0.2


def afloat(city: City) -> City:
    """The town as OpenStreetMap has it: no heights of the ground."""
    lowered = [box_building(b.id, *b.footprint.bounds[:2], 8, 11, 0.0, 9.0) for b in city.buildings]
    return replace(city, buildings=tuple(replace(b, inferred=("ground",)) for b in lowered))


@pytest.mark.parametrize("surveyed", [True, False])
def test_houses_without_a_ground_are_put_on_it(surveyed: bool) -> None:
    bare = afloat(blocks())
    if surveyed:
        bare = replace(bare, terrain=plain((-150, -150, 350, 350)))
    city = complete(bare, STYLE, np.random.default_rng(1))
    for building in city.buildings:
        around = city.ground.sample(shapely.get_coordinates(shapely.segmentize(building.footprint, 0.5)))
        assert building.mesh.vertices[:, 2].min() < around.min()
        assert around.min() - 1e-6 <= building.ground <= around.max()
        assert building.ground + building.height > around.max() + 2
        assert building.inferred == ("draped ground",)


def test_houses_that_were_draped_before_they_had_a_height_still_stand_on_the_ground() -> None:
    bare = replace(afloat(four_houses()), terrain=plain((-150, -150, 200, 200)))
    silent = [replace(b, volumes=(Volume(b.footprint),), inferred=("ground", "height")) for b in bare.buildings]
    early = drape(replace(bare, buildings=tuple(silent)), bare.ground)
    for city in (complete(c, STYLE, np.random.default_rng(1)) for c in (early, replace(bare, buildings=tuple(silent)))):
        for building in city.buildings:
            around = city.ground.sample(shapely.get_coordinates(building.footprint))
            assert around.min() - 1 < building.mesh.vertices[:, 2].min() < around.min()
            assert building.mesh.vertices[:, 2].max() == pytest.approx(building.ground + building.height)
            assert building.inferred == ("draped ground", "height")


def test_large_outlines_are_cut_into_small_ones_that_cover_the_same() -> None:
    rng = np.random.default_rng(0)
    angle, radius = np.linspace(0, 2 * np.pi, 900), 100 + rng.uniform(-20, 20, 900)
    coast = shapely.Polygon(
        np.column_stack([np.cos(angle), np.sin(angle)]) * radius[:, None], [shapely.box(-9, -9, 9, 9).exterior.coords]
    )
    parts = list(pieces(shapely.MultiPolygon([coast, shapely.box(300, 0, 310, 10)])))
    assert max(shapely.get_num_coordinates(parts)) <= MOST_CORNERS
    assert sum(p.area for p in parts) == pytest.approx(coast.area + 100)
    assert (
        shapely.union_all(parts).symmetric_difference(shapely.union_all([coast, shapely.box(300, 0, 310, 10)])).area
        < 1e-6
    )


def test_tunnels_and_bridges_are_not_sunk_into_the_ground() -> None:
    edges = tuple(replace(street(59.0), **{kind: True}) for kind in ("bridge", "tunnel"))
    roads = RoadGraph(np.array([(59.0, -70.0), (59, 200)]), edges)
    flat = lattice((0, -80, 100, 210), 1.0)
    assert (sink_streets(flat, roads, 0.2).heights == 0).all()


def test_a_wide_town_keeps_to_the_bound_of_terrain() -> None:
    city = blocks(14, 14)  # 2352 houses, a kilometre wide
    roads = RoadGraph(np.array([(59.0, -70.0), (59, 200)]), (street(59.0),))
    whole_city = complete(replace(city, roads=roads), STYLE, np.random.default_rng(0))
    assert whole_city.ground.heights.size <= MOST_VERTICES


def test_a_cellar_far_below_its_neighbours_does_not_pull_the_ground_down() -> None:
    houses = list(blocks().buildings)
    houses[20] = replace(houses[20], ground=houses[20].ground - 9.0)
    city = complete(bare_city(houses), STYLE, np.random.default_rng(1))
    others = [b for i, b in enumerate(houses) if i != 20]
    feet = np.array([b.footprint.centroid.coords[0] for b in others])
    gap = city.ground.sample(feet) - [b.ground for b in others]
    assert gap.min() >= 0
    assert city.ground.sample(np.array(houses[20].footprint.centroid.coords[0])) > houses[20].ground + 8


def test_outliers_among_heights_are_replaced_by_their_neighbours_median() -> None:
    xy = np.stack(np.meshgrid(np.arange(5.0), np.arange(5.0)), axis=-1).reshape(-1, 2) * 10
    height = 2 + 0.01 * xy[:, 0]
    height[12] = -30
    trusted, ok = trusted_heights(xy, height)
    assert np.flatnonzero(~ok).tolist() == [12]
    assert trusted[12] == pytest.approx(2.2, abs=0.11)


def test_a_city_of_nothing_or_as_wide_as_a_country_is_refused() -> None:
    with pytest.raises(CityError, match="buildings or roads"):
        complete(replace(four_houses(), buildings=()), STYLE, np.random.default_rng(0))
    with pytest.raises(CityError, match="too wide"):
        complete(replace(four_houses(), bounds=(0, 0, 50_000, 10)), STYLE, np.random.default_rng(0))


def test_a_single_hut_is_enough() -> None:
    city = complete(bare_city([box_building("hut", 0, 0, 4, 3, 2.0, 3.0)]), STYLE, np.random.default_rng(0))
    assert city.roads.edges
    assert city.water


def test_farms_far_apart_are_joined_by_roads() -> None:
    farms = [
        box_building(f"f{i}", 140.0 * (i % 3), 150.0 * (i // 3) + 20 * (i % 2), 18, 12, 4.0, 7.0) for i in range(6)
    ]
    city = complete(bare_city(farms), STYLE, np.random.default_rng(0))
    assert component_labels(city.roads).max() == 0
    for farm in farms:
        assert min(e.line.distance(farm.footprint) for e in city.roads.edges) < 25
