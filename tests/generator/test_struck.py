"""Labels and looks after shaking, wind and fire, on cities in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes_in_closed_form import box_building, box_city, box_mesh, flat_terrain
from shapely.geometry import LineString, Polygon

from mage.generator.colour import to_linear
from mage.generator.ground import paint_ground
from mage.generator.labels import Truth
from mage.generator.place import Place, prepare_place
from mage.generator.props import FALLEN, place_vehicles
from mage.generator.rays import cast_down
from mage.generator.remains import buildings_around, dress_remains
from mage.generator.scars import scarred
from mage.generator.struck import Struck, burnt_out, trees_after
from mage.scenes.aftermath import Aftermath
from mage.scenes.city import LandPatch, Trees
from mage.scenes.dataset.fields import LandClass
from mage.scenes.grid import Grid
from mage.scenes.hazards.chain import combined
from mage.scenes.hazards.flood import flood
from mage.scenes.impact import Impact, Vehicles
from mage.scenes.mesh import Mesh, Surface, concatenate
from mage.scenes.modifiers import aftermath
from mage.scenes.strike import Burn, Collapse, Stand, Strike, untouched
from mage.scenes.style import load_style

GRID = Grid.around(0.0, 0.0, 128, 0.5)
NO_CARS = place_vehicles(Vehicles(), flat_terrain(2.0))
ROAD = LineString([(-64, 16), (64, 16)])
BOX, OTHER = (-10, -5, 6, 9), (12, -5, 24, 9)


def two_boxes() -> Place:
    trees = Trees(np.array([(-25.0, -25.0), (20.0, -25.0)]), np.full(2, 10.0), np.full(2, 3.0), np.zeros(2, np.uint8))
    buildings = (box_building("a", *BOX, 2.0, 10.0), box_building("b", *OTHER, 2.0, 6.0))
    city = box_city(buildings, flat_terrain(2.0), roads=(ROAD,), trees=trees)
    return prepare_place(city, load_style("suburb"), np.random.default_rng(0))


PLACE = two_boxes()


def faces_of(surface: Surface, *box: float) -> Mesh:
    mesh = box_mesh(*box)
    return replace(mesh, surface=np.full(len(mesh), surface, np.uint8))


def strike_of(hazard: str = "earthquake", **arrays: object) -> Strike:
    return replace(untouched(PLACE.city, hazard), **arrays)  # type: ignore[arg-type]


def after_of(strike: Strike, left: Aftermath) -> tuple[Truth, Impact, Struck]:
    struck = Struck(dress_remains(PLACE, left, 3), trees_after(PLACE.trees, strike), strike.severity)
    return Truth(PLACE, GRID).struck(struck), combined(PLACE.city, [strike], strike, left), struck


def heap_left() -> Aftermath:
    """The first box is rubble 3 m high, its debris a slab 1 m high that reaches over the road."""
    heap = faces_of(Surface.RUBBLE, *BOX, 1.0, 5.0)
    debris = faces_of(Surface.RUBBLE, -10, 9, 6, 20, 1.0, 3.0)
    owner = np.zeros(len(debris), np.int32)
    return Aftermath({0: heap}, debris, owner, np.array([1.0, 0.0]), np.array([5, 0], np.uint8), np.zeros(2))


FALLEN_BOX = strike_of(ems98=np.array([5, 0], np.uint8), collapse=np.array([Collapse.HEAP, 0], np.uint8))


def inside(west: float, south: float, east: float, north: float) -> np.ndarray:
    x, y = GRID.centres()
    return ((x > west) & (x < east))[None, :] & ((y > south) & (y < north))[:, None]


def test_a_heap_has_its_height_its_owner_and_its_grade() -> None:
    truth, impact, _ = after_of(FALLEN_BOX, heap_left())
    after, own, apron = truth.after(NO_CARS, impact), inside(*BOX), inside(-10, 9, 6, 20)
    assert (after["height"][own] == 300).all()
    assert (after["height"][apron] == 100).all()
    assert (after["building"][own] == 1).all()
    assert (after["building"][apron] == 0).all()
    assert (after["class"][own] == LandClass.BUILDING).all()
    assert (after["class"][apron] == LandClass.RUBBLE).all()
    assert (after["debris"].astype(bool) == (own | apron)).all()
    for field, value in (("damage", 4), ("ems98", 6), ("visible", 6)):
        assert (after[field][own] == value).all()
        assert ((after[field] > 0) == (after["building"] > 0)).all()
    assert (after["burn"] == 0).all()


def test_debris_across_a_road_blocks_it_and_does_not_hide_it() -> None:
    truth, impact, _ = after_of(FALLEN_BOX, heap_left())
    before, after = truth.before(NO_CARS), truth.after(NO_CARS, impact)
    assert (after["road"] == before["road"]).all()
    assert (after["blocked"] == (after["road"] > 0)).all()
    assert impact.reasons == ("debris",)
    assert impact.shock is not None
    assert impact.shock.free[0] == 0


def test_the_image_before_knows_nothing_of_what_comes() -> None:
    truth, _, _ = after_of(FALLEN_BOX, heap_left())
    plain = Truth(PLACE, GRID)
    dry = flood(PLACE.city, level=0.0)
    for ours, theirs in zip(truth.before(NO_CARS).values(), plain.before(NO_CARS).values(), strict=True):
        assert (ours == theirs).all()
    untroubled = plain.after(NO_CARS, dry)
    after = truth.after(NO_CARS, after_of(FALLEN_BOX, heap_left())[1])
    far = ~(inside(*BOX) | inside(-10, 9, 6, 20))
    for field in ("class", "building", "height", "water", "road", "depth"):
        assert (after[field][far] == untroubled[field][far]).all(), field


def test_rubble_on_a_neighbours_roof_leaves_the_neighbour_its_building() -> None:
    left = heap_left()
    debris = faces_of(Surface.RUBBLE, 10, -5, 15, 9, 1.0, 9.0)
    covered = replace(left, debris=debris, debris_owner=np.zeros(len(debris), np.int32))
    truth, impact, _ = after_of(FALLEN_BOX, covered)
    after, over = truth.after(NO_CARS, impact), inside(12, -5, 15, 9)
    assert (after["building"][over] == 2).all()
    assert (after["class"][over] == LandClass.RUBBLE).all()
    assert (after["debris"][over] == 1).all()


def test_ground_and_houses_say_how_badly_they_burnt() -> None:
    severity = np.full(PLACE.city.ground.heights.shape, 0.4)
    strike = strike_of("fire", burn=np.array([Burn.BURNT, Burn.BURNING], np.uint8), severity=severity)
    left = aftermath(PLACE.city, strike, 1)
    truth, impact, _ = after_of(strike, left)
    after = truth.after(NO_CARS, impact)
    assert set(np.unique(after["burn"][after["building"] == 1])) == {100}
    assert set(np.unique(after["burn"][after["building"] == 2])) == {50}
    assert set(np.unique(after["burn"][after["building"] == 0])) == {40}
    assert set(np.unique(after["damage"][after["building"] == 1])) == {4}


def test_felled_trees_lie_and_bare_ones_cover_less() -> None:
    strike = strike_of("wind", trees=np.array([Stand.FELLED, Stand.STRIPPED], np.uint8), tree_heading=np.zeros(2))
    trees = trees_after(PLACE.trees, strike)
    assert FALLEN[0] <= trees.prototype[0] < FALLEN[1]
    left = aftermath(PLACE.city, strike, 1)
    truth, impact, _ = after_of(strike, left)
    both = truth.before(NO_CARS), truth.after(NO_CARS, impact)
    before, after = (labels["class"] == LandClass.TREE for labels in both)
    columns = np.flatnonzero((after & inside(-40, -40, -5, -10)).any(axis=0))
    # 10 m along its heading, east; of the stem, half a metre thick, no pixel's centre may know
    assert GRID.centres()[0][columns[[0, -1]]] == pytest.approx((-23, -15), abs=1.5)
    heights = both[1]["height"]
    assert heights[after & inside(-40, -40, -5, -10)].max() <= 300
    stripped = inside(10, -40, 40, -10)
    assert 0.1 < (after & stripped).sum() / (before & stripped).sum() < 0.8


def test_a_strike_that_does_nothing_leaves_the_trees_themselves() -> None:
    assert trees_after(PLACE.trees, strike_of()) is PLACE.trees


def test_cars_on_badly_burnt_ground_lose_their_paint() -> None:
    cars = place_vehicles(
        Vehicles(np.array([(-30.0, 0.0), (30.0, 0.0)]), np.zeros(2), np.zeros(2, np.uint8), np.zeros(2, np.uint8)),
        PLACE.city.ground,
    )
    x, _ = PLACE.city.ground.axes()
    severity = np.tile(np.where(x < 0, 1.0, 0.0), (len(x), 1))
    burnt = burnt_out(cars, PLACE.city.ground, severity)
    assert (burnt.tint[0] < 0.5 * cars.tint[0]).all()
    assert (burnt.tint[1] == cars.tint[1]).all()


def test_what_is_left_keeps_its_colours_and_rubble_takes_those_measured() -> None:
    roof = faces_of(Surface.ROOF, *BOX, 1.0, 12.0)
    rubble = concatenate([faces_of(Surface.RUBBLE, -10, y, -9, y + 1, 1.0, 5.0) for y in range(20, 60)])[0]
    owner, none = np.zeros(len(rubble), np.int32), np.zeros(2)
    left = Aftermath({0: roof}, rubble, owner, none, none.astype(np.uint8), none)
    remains = dress_remains(PLACE, left, 3)
    mine = PLACE.albedo[(PLACE.owner == 0) & (PLACE.fabric.surface == Surface.ROOF)]
    level = remains.albedo[: len(roof)][roof.normals[:, 2] > 0.9]
    assert np.abs(level[:, None] - mine[None]).max(axis=2).min(axis=1).max() < 1e-6
    broken = remains.albedo[remains.loose]
    assert 0.12 < np.median(broken) < 0.35
    assert broken.mean(axis=1).std() > 0.05
    assert (to_linear(200) > np.median(broken, axis=0)).all()
    again = dress_remains(PLACE, left, 3)
    assert (again.albedo == remains.albedo).all()


def test_what_stood_on_a_roof_comes_down_with_it_and_goes_with_a_broken_one() -> None:
    counted = PLACE.owner == 0
    clutter = counted.sum() - len(PLACE.city.buildings[0].mesh)
    assert clutter > 0, "the city's first roof has nothing on it, so this test shows nothing"
    lower = faces_of(Surface.ROOF, *BOX, 1.0, 9.0)
    nothing = Mesh(lower.vertices, lower.triangles[:0], lower.surface[:0], lower.uv[:0])
    kept = dress_remains(
        PLACE, Aftermath({0: lower}, nothing, np.zeros(0, np.int32), np.zeros(2), np.zeros(2, np.uint8), np.zeros(2)), 1
    )
    assert len(kept.mesh) == len(lower) + clutter
    top = PLACE.fabric.vertices[PLACE.fabric.triangles[counted]][..., 2].max()
    assert kept.mesh.vertices[:, 2].max() == pytest.approx(top - 3.0)
    gone = dress_remains(PLACE, heap_left(), 1)
    assert len(gone.mesh.faces(~gone.loose)) == len(lower)


def test_buildings_that_matter_are_those_near_the_tile_and_its_roads() -> None:
    tile = Grid.around(-60.0, 0.0, 16, 0.5)
    far = Grid.around(-95.0, 60.0, 16, 0.5)
    assert buildings_around(PLACE, tile, np.zeros(0, np.int64)).tolist() == [0]
    assert buildings_around(PLACE, far, np.zeros(0, np.int64)).tolist() == []
    assert buildings_around(PLACE, far, np.array([0])).tolist() == [0, 1]


def test_burnt_ground_is_darker_burnt_lots_are_ashen_and_streets_stay_clean() -> None:
    severity = np.full(PLACE.city.ground.heights.shape, 1.0)
    strike = strike_of("fire", burn=np.array([Burn.BURNT, 0], np.uint8), severity=severity)
    _, impact, _ = after_of(strike, aftermath(PLACE.city, strike, 1))
    assert impact.shock is not None
    ground = paint_ground(PLACE, GRID)
    after = scarred(PLACE, GRID, ground, impact.shock).mean(axis=2)
    road = Truth(PLACE, GRID).before(NO_CARS)["road"] > 0
    lawn = inside(-32, -32, 32, -20) & ~road
    before = ground.mean(axis=2)
    assert after[lawn].mean() < 0.75 * before[lawn].mean()
    assert after[inside(*BOX)].mean() > 2 * after[lawn].mean()
    away = road & (np.abs(GRID.centres()[0]) > 24)[None, :]
    assert after[away].mean() > 0.75 * before[away].mean()
    nothing = strike_of()
    _, calm, _ = after_of(nothing, aftermath(PLACE.city, nothing, 1))
    assert calm.shock is not None
    assert (scarred(PLACE, GRID, ground, calm.shock) == ground).all()


def test_wind_strews_the_ground_down_wind_of_what_it_broke_and_streets_less() -> None:
    lost = np.array([1.0, 0.0])
    strike = strike_of(
        "wind", ems98=np.array([5, 0], np.uint8), covering_lost=lost, deck_lost=lost, direction=np.full(2, -np.pi / 2)
    )
    _, impact, _ = after_of(strike, aftermath(PLACE.city, strike, 1))
    assert impact.shock is not None
    ground = paint_ground(PLACE, GRID)
    after = scarred(PLACE, GRID, ground, impact.shock)
    changed = np.abs(after - ground).max(axis=2) > 0.02
    assert changed[inside(-10, -25, 6, -8)].mean() > 0.6
    assert changed[inside(-10, 26, 6, 32)].mean() < 0.05
    again = scarred(PLACE, GRID.resampled(1), ground, impact.shock)
    assert (after == again).all()
    corner = Grid(40, 64, GRID.west + 10, GRID.north - 35, 0.5)
    part = scarred(PLACE, corner, ground[70:110, 20:84], impact.shock)
    alike = np.abs(part - after[70:110, 20:84]).max(axis=2)[8:-8, 8:-8] < 0.02
    assert alike.mean() > 0.98  # but for what lies beyond the tile, soil is the same


def test_rubble_after_shaking_has_dust_around_it_and_none_after_wind() -> None:
    ground = np.full((*GRID.shape, 3), 0.1, np.float32)
    fallen = {"ems98": np.array([5, 0], np.uint8), "collapse": np.array([Collapse.HEAP, 0], np.uint8)}
    beside = inside(-16, -8, -11, 12)
    tone = {}
    for hazard in ("earthquake", "wind"):
        strike = strike_of(hazard, **fallen, direction=np.zeros(2))
        _, impact, _ = after_of(strike, aftermath(PLACE.city, strike, 1))
        assert impact.shock is not None
        tone[hazard] = scarred(PLACE, GRID, ground, impact.shock)[beside].mean()
    assert tone["earthquake"] > 0.15 > tone["wind"]


def test_a_pool_in_burnt_ground_is_fouled() -> None:
    patch = LandPatch(Polygon([(-5, -5), (5, -5), (5, 5), (-5, 5)]), "pool")
    pool = replace(box_city((), flat_terrain(2.0)), land=(patch,))
    place = prepare_place(pool, load_style("suburb"), np.random.default_rng(0))
    strike = replace(untouched(pool, "fire"), severity=np.full(pool.ground.heights.shape, 0.9))
    impact = combined(pool, [strike], strike, aftermath(pool, strike, 1))
    assert impact.shock is not None
    ground = paint_ground(place, GRID)
    before, after = (g[inside(-3, -3, 3, 3)].mean(axis=0) for g in (ground, scarred(place, GRID, ground, impact.shock)))
    assert before[2] > 2 * before[0]
    assert after.max() < 0.5 * before.max()


@pytest.mark.parametrize("kind", [Collapse.HEAP, Collapse.PANCAKE_ALL, Collapse.CORNER, Collapse.OVERTURN_BLOCK])
def test_labels_after_are_the_height_of_the_geometry_after(kind: Collapse) -> None:
    strike = strike_of(
        ems98=np.array([5, 0], np.uint8), collapse=np.array([kind, 0], np.uint8), direction=np.full(2, -1.5)
    )
    left = aftermath(PLACE.city, strike, 9)
    truth, impact, struck = after_of(strike, left)
    after = truth.after(NO_CARS, impact)
    everything = concatenate([struck.fabric(PLACE)[0], struck.remains.debris])[0]
    height = np.maximum(cast_down(everything, GRID).z - 2.0, 0)
    open_sky = ~np.isin(after["class"], (LandClass.TREE, LandClass.VEHICLE, LandClass.STRUCTURE))
    assert np.abs(after["height"] / 100 - height)[open_sky].max() < 0.006
    assert ((after["damage"] > 0) == (after["building"] > 0)).all()
    assert set(np.unique(after["building"])) <= {0, 1, 2}
