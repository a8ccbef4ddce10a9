"""Labels against closed forms and against an independent rasterisation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from scenes_in_closed_form import box_building, box_city, flat_terrain
from shapely.geometry import LineString

from mage.generator.labels import Truth
from mage.generator.place import Place, prepare_place
from mage.generator.props import Placements, place_vehicles
from mage.scenes.city import City, Trees
from mage.scenes.dataset.fields import LandClass
from mage.scenes.grid import Grid
from mage.scenes.hazards.flood import flood
from mage.scenes.impact import Vehicles
from mage.scenes.style import load_style

GRID = Grid.around(0.0, 0.0, 128, 0.5)
NO_CARS = place_vehicles(Vehicles(), flat_terrain(2.0))


def place_of(city: City) -> Place:
    return prepare_place(city, load_style("suburb"), np.random.default_rng(0))


def one_box(**parts: object) -> Place:
    return place_of(box_city((box_building("a", -10, -5, 6, 9, 2.0, 10.0),), flat_terrain(2.0), **parts))  # type: ignore[arg-type]


def cars_at(*xy: tuple[float, float]) -> Placements:
    n = len(xy)
    parked = Vehicles(np.array(xy, float), np.zeros(n), np.zeros(n, np.uint8), np.zeros(n, np.uint8))
    return place_vehicles(parked, flat_terrain(2.0))


def test_a_box_has_the_area_height_and_number_it_must_have() -> None:
    labels = Truth(one_box(), GRID).before(NO_CARS)
    x, y = GRID.centres()
    inside = ((x > -10) & (x < 6))[None, :] & ((y > -5) & (y < 9))[:, None]
    assert (labels["building"] == inside).all()
    assert inside.sum() * 0.25 == 16 * 14
    assert (labels["class"][inside] == LandClass.BUILDING).all()
    # roof clutter may stand on the roof; nothing of it is lower than the roof
    assert labels["height"][inside].min() == 1000
    assert (np.median(labels["height"][inside])) == 1000
    assert (labels["height"][~inside] == 0).all()


def test_a_plane_under_water_has_the_depth_it_must_have() -> None:
    place = one_box()
    impact = flood(place.city, level=3.25)
    after = Truth(place, GRID).after(NO_CARS, impact)
    dry = after["building"] > 0
    assert (after["depth"][~dry] == 125).all()
    assert (after["flood"] == ~dry).all()
    assert (after["depth"][dry] == 0).all()
    assert (after["class"][~dry] == LandClass.FLOOD).all()
    assert (after["height"][~dry] == 0).all()
    assert (after["water"] == 0).all()


def test_damage_covers_the_building_and_carries_its_grade() -> None:
    place = one_box()
    after = Truth(place, GRID).after(NO_CARS, flood(place.city, level=3.0))
    assert set(np.unique(after["damage"][after["building"] > 0])) == {3}  # surrounded by water: major
    assert (after["damage"] > 0).sum() == (after["building"] > 0).sum()
    assert set(np.unique(after["ems98"][after["building"] > 0])) == {1}  # still water: grade 0


def test_a_submerged_roof_is_water_to_the_eye_and_destroyed_to_the_label() -> None:
    place = one_box()
    after = Truth(place, GRID).after(NO_CARS, flood(place.city, level=13.5))
    assert set(np.unique(after["damage"][after["building"] > 0])) == {4}
    assert (after["building"] > 0).sum() * 0.25 == 16 * 14


def test_trees_and_cars_lie_on_top_and_leave_building_and_damage_alone() -> None:
    trees = Trees(np.array([(0.0, 0.0)]), np.array([20.0]), np.array([4.0]), np.zeros(1, np.uint8))
    bare, grown = (
        Truth(one_box(), GRID).before(NO_CARS),
        Truth(one_box(trees=trees), GRID).before(cars_at((-20.0, 20.0))),
    )
    assert (bare["building"] == grown["building"]).all()
    tree, car = grown["class"] == LandClass.TREE, grown["class"] == LandClass.VEHICLE
    assert 0.5 * np.pi * 16 < tree.sum() * 0.25 < 1.1 * np.pi * 16
    assert (grown["height"][tree] > 1000).all()
    assert car.sum() * 0.25 == pytest.approx(4.4 * 1.8, rel=0.15)
    rows, columns = np.nonzero(car)
    assert GRID.to_map(np.array([[columns.mean() + 0.5, rows.mean() + 0.5]]))[0] == pytest.approx((-20, 20), abs=0.3)


def test_roads_are_numbered_and_blocked_by_deep_water_only() -> None:
    place = one_box(roads=(LineString([(-64, 20), (64, 20)]), LineString([(-64, -20), (64, -20)])))
    truth = Truth(place, GRID)
    assert set(np.unique(truth.before(NO_CARS)["road"])) == {0, 1, 2}
    assert (truth.before(NO_CARS)["road"] > 0).sum() == 2 * 12 * 128
    shallow, deep = (truth.after(NO_CARS, flood(place.city, level=v)) for v in (2.2, 2.5))
    assert shallow["blocked"].sum() == 0
    assert (deep["blocked"] == (deep["road"] > 0)).all()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("rotterdam_delfshaven_lod2.city.json", marks=pytest.mark.long),
        pytest.param("vienna_lod2.city.jsonl", marks=pytest.mark.long),
        "denhaag_lod2_small.city.json",
    ],
)
def test_real_buildings_agree_with_an_independent_rasterisation(shared_data: Path, name: str) -> None:
    """IoU of the mask with the roofs seen from above, asked of shapely at each pixel's centre, is at least 0.99."""
    from mage.generator.build import build_place
    from mage.generator.plan import make_plan
    from mage.scenes.recipe import read_recipe

    job = make_plan(read_recipe("flood", {"city.file": str(shared_data / "cityjson" / name)})).jobs[0]
    place = build_place(job)
    x, y = place.city.buildings[len(place.city.buildings) // 2].footprint.centroid.coords[0]
    grid = Grid.around(x, y, 256, 0.5)
    mask = Truth(place, grid).owner >= 0
    ground = place.city.ground
    roofs = []
    for building in place.city.buildings:
        corners = building.mesh.vertices[building.mesh.triangles]
        up = building.mesh.normals[:, 2] > 1e-3
        roofs += [shapely.polygons(c[:, :2]) for c in corners[up] if c[:, 2].mean() > ground.sample(c[:, :2]).mean()]
    seen = shapely.union_all(shapely.make_valid(roofs))
    shapely.prepare(seen)
    points = grid.points()
    oracle = shapely.contains_xy(seen, points[:, 0], points[:, 1]).reshape(grid.shape)
    assert oracle.sum() > 200
    assert (mask & oracle).sum() / (mask | oracle).sum() >= 0.99
