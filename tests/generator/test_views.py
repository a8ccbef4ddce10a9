"""Slanted and displaced images against closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from scenes_in_closed_form import box_building, box_city, box_mesh, flat_terrain
from shapely.geometry import LineString

from mage.generator.covers import burn, cover_of, road_ids
from mage.generator.labels import Truth
from mage.generator.noise import fractal
from mage.generator.place import Place, prepare_place
from mage.generator.props import Placements, place_vehicles, tree_prototypes
from mage.generator.rays import cast_down, cast_placements
from mage.generator.sight import Sight
from mage.generator.spots import Spots
from mage.generator.viewed import viewed
from mage.generator.views import View, draw_views, ground_grid
from mage.scenes.city import Building, City, LandPatch, RoadGraph, Trees, WaterBody
from mage.scenes.dataset.fields import LandClass
from mage.scenes.grid import Grid
from mage.scenes.hazards.flood import flood
from mage.scenes.impact import Vehicles
from mage.scenes.mesh import Mesh, concatenate
from mage.scenes.recipe import Recipe
from mage.scenes.settings import ViewPart
from mage.scenes.style import load_style
from mage.scenes.terrain import Terrain

GRID = Grid.around(0.0, 0.0, 128, 0.5)
NO_CARS = place_vehicles(Vehicles(), flat_terrain(2.0))
EAST = View(np.pi / 4, np.pi / 2)  # what stands a metre high shows a metre farther west
X, Y = GRID.centres()


def place_of(city: City) -> Place:
    return prepare_place(city, load_style("suburb"), np.random.default_rng(0))


def ground_of(height: object, step: float = 2.0) -> Terrain:
    """Terrain of which ``height(x, y)`` gives the heights, 200 m wide."""
    n = int(200 / step) + 1
    x, y = np.meshgrid(np.arange(n) * step - 100, 100 - np.arange(n) * step)
    return Terrain(np.asarray(height(x, y), float), -100.0, 100.0, step)  # type: ignore[operator]


HILLS = ground_of(lambda x, y: 6 * np.sin(x / 17) + 5 * np.cos(y / 13))
BOX = box_building("a", -10, -5, 6, 9, 2.0, 10.0)


def within(west: float, south: float, east: float, north: float) -> np.ndarray:
    return ((west < X) & (east > X))[None, :] & ((south < Y) & (north > Y))[:, None]


def test_a_box_shows_its_roof_and_the_wall_that_faces_the_sensor() -> None:
    place = place_of(box_city((BOX,), flat_terrain(2.0)))
    labels = Truth(place, EAST.sight(GRID, place.city.ground)).before(NO_CARS)
    shown = within(-20, -5, 6, 9)
    clutter = labels["height"] > 1000  # what stands on the roof leans farther
    assert (labels["building"] == shown)[~clutter].all()
    wall = within(-4, -5, 6, 9)
    rise = np.broadcast_to(np.rint((6 - X) * 100), GRID.shape)
    assert (labels["height"] == rise)[wall & ~clutter].all()
    assert (labels["height"] == 1000)[shown & ~wall & ~clutter].all()
    assert (labels["class"] == LandClass.BUILDING)[shown].all()


@pytest.mark.parametrize("azimuth", [0.0, 0.7, 2.5, 4.4])
def test_the_ground_stays_where_it_is_on_hills_too(azimuth: float) -> None:
    pond = LandPatch(shapely.Point(9, -12).buffer(8), "pool")
    road = LineString([(-64, 20), (0, 8), (64, 20)])
    city = replace(box_city((), HILLS, roads=(road,)), land=(LandPatch(shapely.box(-90, -90, 90, 90), "grass"), pond))
    place = place_of(city)
    above = Truth(place, GRID).before(NO_CARS)
    aslant = Truth(place, View(np.radians(40), azimuth).sight(GRID, HILLS)).before(NO_CARS)
    for field, raster in above.items():
        assert (aslant[field] == raster).all(), field


def test_nearer_ground_hides_what_lies_behind_it() -> None:
    """West of a cliff 20 m high, seen from the east at 45 degrees: its top hides 20 m before its foot."""
    cliff = ground_of(lambda x, _: np.where(x >= 0, 20.0, 0.0))
    city = replace(box_city((), cliff), land=(LandPatch(shapely.box(0.5, -90, 90, 90), "paved"),))
    place = place_of(city)
    seen = Truth(place, EAST.sight(GRID, cliff)).before(NO_CARS)["class"]
    hidden = within(-19, -40, -2.5, 40)
    assert (seen[hidden] == LandClass.PAVED).all()
    assert not np.isin(seen[within(-40, -40, -21, 40)], LandClass.PAVED).any()
    from_the_west = Truth(place, View(np.pi / 4, -np.pi / 2).sight(GRID, cliff)).before(NO_CARS)["class"]
    assert not np.isin(from_the_west[within(-40, -40, -2.5, 40)], LandClass.PAVED).any()


def test_water_is_as_deep_as_where_the_ray_meets_its_surface() -> None:
    slope = ground_of(lambda x, _: 0.1 * x)
    place = place_of(box_city((), slope))
    level, lean = 1.0, float(np.tan(np.radians(30)))
    after = Truth(place, View(np.radians(30), np.pi / 2).sight(GRID, slope)).after(
        NO_CARS, flood(place.city, level=level)
    )
    surface = X + (level - 0.1 * X) * lean
    depth = np.maximum(np.rint((level - 0.1 * surface) * 100), 0)
    shore = np.abs(surface - level / 0.1) < 0.1
    assert (np.abs(after["depth"] - depth[None]) <= 1)[:, ~shore].all()
    assert ((after["flood"] > 0) == (after["depth"] > 0)).all()
    assert (after["class"] == LandClass.FLOOD)[:, (depth > 0) & ~shore].all()


def test_water_hides_the_foot_of_a_wall_and_not_a_roof() -> None:
    place = place_of(box_city((BOX,), flat_terrain(2.0)))
    sight = EAST.sight(GRID, place.city.ground)
    after = Truth(place, sight).after(NO_CARS, flood(place.city, level=5.0))
    foot = within(6 - 3, -5, 6, 9)
    assert (after["building"][foot] == 0).all()
    assert (after["class"][foot] == LandClass.FLOOD).all()
    assert (after["depth"][foot] == 300).all()
    assert (after["building"][within(-20, -5, 3, 9)] == 1).all()
    roof = Truth(place, sight).before(NO_CARS)["height"] == 1000
    drowned = Truth(place, sight).after(NO_CARS, flood(place.city, level=14.0))
    assert (drowned["building"][roof] == 1).all()
    assert ((drowned["damage"] > 0) == (drowned["building"] > 0)).all()


def test_a_flood_over_a_river_and_its_banks_is_one_or_the_other_everywhere() -> None:
    trough = ground_of(lambda x, _: np.clip(np.abs(x) / 4 - 3, -2, 3))
    river = WaterBody(shapely.box(-8, -95, 8, 95), 0.0, "river")
    place = place_of(replace(box_city((), trough), water=(river,)))
    for view in (View(), View(np.radians(35), 1.1)):
        after = Truth(place, view.sight(GRID, trough)).after(NO_CARS, flood(place.city, level=1.5))
        assert not ((after["water"] > 0) & (after["flood"] > 0)).any()
        assert (after["water"] > 0).any()
        assert (after["flood"] > 0).any()
        wet = np.isin(after["class"], (LandClass.WATER, LandClass.FLOOD))
        assert (wet == ((after["water"] > 0) | (after["flood"] > 0))).all()


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.floats(0, 45), st.floats(0, 360))
def test_slanted_rays_in_prototype_frames_see_what_rays_in_the_world_see(seed: int, angle: float, turn: float) -> None:
    rng, shapes, n = np.random.default_rng(seed), tree_prototypes(), 6
    grid = Grid.around(0.0, 0.0, 48, 0.5)
    sight = View(np.radians(angle), np.radians(turn)).sight(grid, HILLS)
    xy = rng.uniform(-16, 16, (n, 2))
    trees = Placements(
        np.column_stack([xy, HILLS.sample(xy)]),
        rng.uniform(0, 6.3, n),
        np.column_stack([np.repeat(rng.uniform(1, 4, (n, 1)), 2, axis=1), rng.uniform(3, 20, n)]),
        rng.integers(9, size=n),
        np.full((n, 3), 0.1),
    )
    world = []
    for i in range(n):
        shape, c, s = shapes[trees.prototype[i]], np.cos(trees.heading[i]), np.sin(trees.heading[i])
        turned = np.array([(c, -s, 0), (s, c, 0), (0, 0, 1)])
        vertices = (shape.vertices * trees.scale[i]) @ turned.T + trees.position[i]
        world.append(Mesh(vertices, shape.triangles, shape.surface, shape.uv))
    expected = cast_down(concatenate(world)[0], sight).z
    found = cast_placements(trees, shapes, sight)
    agree = np.isclose(found, expected, atol=2e-3) | (found == expected)
    assert (~agree).sum() <= 3  # rays that graze an outline


@settings(max_examples=30)
@given(st.floats(0, 45), st.floats(0, 360), st.floats(0, 30))
def test_a_point_shows_where_the_ray_that_meets_it_has_its_pixel(angle: float, turn: float, height: float) -> None:
    sight = View(np.radians(angle), np.radians(turn)).sight(Grid.around(3.0, -5.0, 32, 0.5), HILLS)
    z = sight.reference + height
    points = np.concatenate([sight.at(z), z[..., None]], axis=-1).reshape(-1, 3)
    assert sight.shown(points) == pytest.approx(sight.grid.points(), abs=0.01)


def test_a_rectified_image_has_at_each_pixel_what_its_ray_passes_on_the_plane() -> None:
    sight = View(np.radians(30), 2.0).sight(Grid.around(0.0, 0.0, 64, 0.5), HILLS)
    lattice = sight.lattice()
    assert lattice != sight.grid

    def picture(xy: np.ndarray) -> np.ndarray:
        wave = 0.5 + 0.2 * np.sin(xy[..., 0] / 3) + 0.1 * np.cos(xy[..., 1] / 2)
        return np.repeat(wave[..., None], 3, axis=-1).astype(np.float32)

    image = sight.rectified(picture(lattice.points().reshape(*lattice.shape, 2)))
    assert image == pytest.approx(picture(sight.feet.reshape(64, 64, 2)), abs=2e-3)


def test_an_image_of_even_ground_is_not_resampled() -> None:
    sight = EAST.sight(GRID, flat_terrain(2.0))
    image = np.random.default_rng(1).random((*GRID.shape, 3), np.float32)
    assert sight.lattice() == GRID
    assert sight.rectified(image) is image
    assert sight.feet == pytest.approx(GRID.points())


def test_labels_of_a_displaced_image_are_those_of_the_other_displaced() -> None:
    trees = Trees(np.array([(12.0, 3.0)]), np.array([9.0]), np.array([4.0]), np.zeros(1, np.uint8))
    place = place_of(box_city((BOX,), flat_terrain(2.0), roads=(LineString([(-64, 20), (64, 24)]),), trees=trees))
    ground = place.city.ground
    before = Truth(place, GRID)
    moved = Truth(place, View(shift=(7.0, -4.0)).sight(GRID, ground), before)
    wet = flood(place.city, level=2.6)
    for field, raster in before.after(NO_CARS, wet).items():
        assert (moved.after(NO_CARS, wet)[field][:-4, 7:] == raster[4:, :-7]).all(), field


def test_what_only_the_later_view_shows_is_numbered_last() -> None:
    other = box_building("b", 34, -5, 40, 9, 2.0, 12.0)  # east of the tile; leans into it
    place = place_of(box_city((other, BOX), flat_terrain(2.0)))
    before = Truth(place, GRID)
    later = Truth(place, EAST.sight(GRID, place.city.ground), before)
    assert before.buildings().tolist() == [1]
    assert later.buildings().tolist() == [1, 0]
    assert set(np.unique(later.after(NO_CARS, flood(place.city, level=1.0))["building"])) == {0, 1, 2}
    assert set(np.unique(before.before(NO_CARS)["building"])) == {0, 1}


def test_a_bridge_leans_with_its_road_and_its_lanes() -> None:
    """A deck 1.2 m over the water's level, of a road along x, seen from the north at 45 degrees, shows to its south."""
    trough = ground_of(lambda x, _: np.clip(np.abs(x) / 3 - 7, -3, 2))
    city = box_city((), trough, roads=(LineString([(-60, 0), (60, 0)]),))
    graph = RoadGraph(city.roads.nodes, (replace(city.roads.edges[0], bridge=True),))
    lake = WaterBody(shapely.box(-12, -80, 12, 80), -1.0, "lake")
    place = place_of(replace(city, roads=graph, water=(lake,)))
    above = Truth(place, GRID).before(NO_CARS)
    aslant = Truth(place, View(np.pi / 4, 0.0).sight(GRID, trough)).before(NO_CARS)
    column = int(np.argmin(np.abs(X)))
    deck = [Y[np.flatnonzero(labels["class"][:, column] == LandClass.ROAD)] for labels in (above, aslant)]
    rise = above["height"][64, column] / 100
    assert deck[1].min() - deck[0].min() == pytest.approx(-rise, abs=0.3)
    # of the deck's side, 0.7 m high, as much is seen as of its top lies behind it
    assert np.ptp(deck[1]) == pytest.approx(np.ptp(deck[0]) + 0.7, abs=0.6)
    road = [Y[np.flatnonzero(labels["road"][:, column])] for labels in (above, aslant)]
    assert road[1].mean() - road[0].mean() == pytest.approx(-rise, abs=0.3)  # and none on the bed beneath
    assert np.ptp(road[1]) == pytest.approx(np.ptp(road[0]), abs=0.6)


@pytest.mark.parametrize("azimuth", [0.3, 2.0, 5.0])
def test_outlines_as_seen_lie_on_the_building_raster(azimuth: float) -> None:
    corner = box_mesh(12, -20, 22, -11, HILLS.sample(np.array([17.0, -15.0])) - 2, 14.0)
    house = Building("h", shapely.box(12, -20, 22, -11), 0.0, 14.0, 14.0, corner, 1)
    place = place_of(box_city((house,), HILLS))
    sight = View(np.radians(25), azimuth).sight(GRID, HILLS)
    record = viewed(house, sight, GRID)
    assert record is not None
    labels = Truth(place, sight).before(NO_CARS)
    top = cast_down(corner, sight).z
    for polygons, raster in (
        (record.outline_px, labels["building"] > 0),
        (record.roof_px, (labels["building"] > 0) & (np.abs(top - 14.0) < 0.02)),
    ):
        drawn = rasterize([({"type": "Polygon", "coordinates": p}, 1) for p in polygons], out_shape=GRID.shape) > 0
        assert (drawn & raster).sum() / (drawn | raster).sum() > 0.97
    foot = GRID.to_pixel(np.array(house.footprint.centroid.coords[0]))
    roof = shapely.union_all([shapely.Polygon(p[0]) for p in record.roof_px]).centroid.coords[0]
    assert np.array(roof) - foot == pytest.approx(record.offset_px, abs=1.5)
    assert viewed(house, Sight(GRID), GRID) is None


def test_spots_are_told_what_the_pixels_there_are_told() -> None:
    land = (LandPatch(shapely.box(-90, -90, 90, 90), "grass"), LandPatch(shapely.Point(4, 5).buffer(13), "parking"))
    place = place_of(replace(box_city((), HILLS, roads=(LineString([(-64, 2), (64, 9)]),)), land=land))
    spots = Spots(GRID.points())
    roads = road_ids(place, GRID)
    assert (road_ids(place, spots) == roads.ravel()).all()
    assert (cover_of(place, spots, roads.ravel()) == cover_of(place, GRID, roads).ravel()).all()
    assert (fractal(spots, (31.0, 9.0), seed=4) == fractal(GRID, (31.0, 9.0), seed=4).ravel()).all()
    shapes = [shapely.Point(0, 0).buffer(20), shapely.Point(9, 0).buffer(11)]
    assert (burn(shapes, [3, 5], spots, "uint8") == burn(shapes, [3, 5], GRID, "uint8").ravel()).all()


def test_views_are_drawn_within_their_ranges_and_said_as_they_are() -> None:
    part = ViewPart(off_nadir=(5, 30), shift=(2, 20))
    recipe = Recipe(name="r", view=part)
    drawn = [draw_views(recipe, np.random.default_rng(k)) for k in range(60)]
    angles = np.degrees([[v.off_nadir for v in pair] for pair in drawn])
    shifts = np.array([np.hypot(*after.shift) for _, after in drawn])
    assert (angles >= 5).all()
    assert (angles <= 30).all()
    assert np.ptp(angles) > 15
    assert (shifts > 1.99).all()
    assert (shifts < 20.01).all()
    assert np.ptp(shifts) > 10
    turns = np.array([pair[0].azimuth for pair in drawn])
    assert all(((turns > k * np.pi / 2) & (turns < (k + 1) * np.pi / 2)).any() for k in range(4))
    assert all(before.shift == (0.0, 0.0) for before, _ in drawn)
    assert any(before.off_nadir != after.off_nadir for before, after in drawn)
    held = draw_views(Recipe(name="r", view=part, between={"hold": True}), np.random.default_rng(1))
    assert held[0].azimuth == held[1].azimuth
    assert held[0].off_nadir == held[1].off_nadir
    usual = draw_views(Recipe(name="r"), np.random.default_rng(1))
    assert usual == (View(), View())
    assert ground_grid(GRID, usual) == GRID


def test_a_recipe_that_asks_for_nothing_new_keeps_its_hash() -> None:
    plain = Recipe(name="r")
    assert plain.hash({}) == Recipe(name="r", view=ViewPart(), label_style="exact").hash({})
    others = [Recipe(name="r", view=ViewPart(shift=(1, 1))), Recipe(name="r", label_style="annotator")]
    assert len({r.hash({}) for r in (plain, *others)}) == 3
