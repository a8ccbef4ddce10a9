"""Buildings and water laid on a terrain, and roofs lifted to a surface model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import shapely
from demfiles import plane_tiff, utm_city
from hypothesis import given, settings
from hypothesis import strategies as st
from towns import bare_city, box_building, is_closed, volume_of

from mage.scenes.city import Building, City, WaterBody
from mage.scenes.mesh import Mesh, Surface, concatenate
from mage.scenes.sources.ground.draping import DOOR, PLINTH, drape
from mage.scenes.sources.ground.levels import FALL, level_water
from mage.scenes.sources.ground.lifting import lift_roofs, roof_heights
from mage.scenes.sources.ground.relief import lattice, undulation
from mage.scenes.terrain import Terrain


def tilted(east: float, north: float = 0.0, height: float = 50.0, step: float = 1.0) -> Terrain:
    """A plane that rises by so many metres a metre."""
    flat = lattice((-150, -150, 150, 150), step)
    x, y = flat.axes()
    return replace(flat, heights=height + east * x[None, :] + north * y[:, None])


def afloat(house: Building) -> Building:
    """The building as a source without heights of the ground gives it."""
    return replace(house, inferred=("ground", "storeys"))


def outline_heights(terrain: Terrain, house: Building) -> np.ndarray:
    return terrain.sample(shapely.get_coordinates(shapely.segmentize(house.footprint, 0.25)))


def city_of(*houses: Building, **parts: object) -> City:
    return replace(bare_city(houses), **parts)  # type: ignore[arg-type]


@settings(max_examples=40)
@given(
    st.floats(-0.6, 0.6),
    st.floats(-0.6, 0.6),
    st.floats(1.9, 25),
    st.floats(2, 40),
    st.floats(2, 40),
    st.integers(0, 9),
)
def test_no_lifted_house_floats_and_no_door_is_buried(
    east: float, north: float, height: float, width: float, depth: float, seed: int
) -> None:
    slope = tilted(east, north)
    rough = undulation(np.random.default_rng(seed), slope, (40.0, 12.0), 0.5)
    terrain = replace(slope, heights=slope.heights + rough)
    (house,) = drape(city_of(afloat(box_building("a", -10, -8, width, depth, 0.0, height))), terrain).buildings
    around = outline_heights(terrain, house)
    assert house.mesh.vertices[:, 2].min() <= around.min() - PLINTH / 2
    # at the highest point of the ground a door's height of wall stands free, or all there is
    assert house.ground + house.eave >= around.max() + min(DOOR, height) - 0.05
    # and somewhere the floor is at the ground or above it, so that one can walk in
    assert house.ground >= around.min() - 1e-6
    assert house.mesh.vertices[:, 2].max() == pytest.approx(house.ground + height)
    assert is_closed(house.mesh)
    assert volume_of(house.mesh) > width * depth * height * 0.999


def test_on_level_ground_a_house_stands_at_its_height() -> None:
    (house,) = drape(city_of(afloat(box_building("a", 0, 0, 9, 9, 0.0, 6.0))), tilted(0)).buildings
    assert (house.ground, house.height, house.eave) == (50.0, 6.0, 6.0)
    assert set(house.mesh.vertices[:, 2]) == {56.0, 50.0 - PLINTH}
    assert house.inferred == ("draped ground", "storeys")


def test_what_was_draped_is_not_lifted_again() -> None:
    city = city_of(
        afloat(box_building("a", 0, 0, 9, 9, 0.0, 6.0)),
        water=(WaterBody(shapely.box(40, 40, 60, 60), 0.0, "lake"),),
        inferred=("water level",),
    )
    once = drape(city, tilted(0.1))
    twice = drape(once, tilted(0.1))
    assert np.array_equal(once.buildings[0].mesh.vertices, twice.buildings[0].mesh.vertices)
    assert twice.water == once.water
    assert twice.inferred == ("draped water level",)


def test_a_part_that_hovers_is_lifted_and_not_carried_down() -> None:
    house, bridge = box_building("a", 0, 0, 9, 9, 0.0, 6.0), box_building("b", 9, 0, 9, 9, 4.0, 2.0)
    mesh, _ = concatenate([house.mesh, bridge.mesh])
    whole = afloat(replace(house, mesh=mesh, footprint=shapely.box(0, 0, 18, 9)))
    (draped,) = drape(city_of(whole), tilted(0.2)).buildings
    hovering = draped.mesh.vertices[len(house.mesh.vertices) :]
    assert hovering[:, 2].min() == pytest.approx(draped.ground + 4.0)


def test_a_building_with_a_ground_of_its_own_stays_and_its_walls_reach_down() -> None:
    terrain = tilted(0.0, height=50.0)
    floating, sunk = box_building("f", 0, 0, 8, 8, 51.5, 6.0), box_building("s", 20, 0, 8, 8, 47.0, 6.0)
    level = box_building("l", 40, 0, 8, 8, 50.0, 6.0)
    city = drape(city_of(floating, sunk, level), terrain)
    assert city.terrain is terrain
    down, same, still = city.buildings
    assert down.mesh.vertices[:, 2].min() == pytest.approx(50 - PLINTH)
    assert (down.ground, down.mesh.vertices[:, 2].max()) == (51.5, 57.5)
    assert same is sunk
    assert still is level
    assert city.notes == {"walls carried down to the terrain": 1, "buildings with their foot below the terrain": 1}
    roofs = down.mesh.surface == Surface.ROOF
    assert np.array_equal(down.mesh.uv[roofs], floating.mesh.uv[roofs])
    walls = down.mesh.surface == Surface.WALL
    assert np.ptp(down.mesh.uv[walls][..., 1]) == pytest.approx(7.5 + PLINTH)


def river(width: float = 12.0) -> shapely.Polygon:
    bent = shapely.LineString([(-140, 0), (-60, 25), (20, -20), (140, 10)])
    return bent.buffer(width / 2)


def levelled(terrain: Terrain, *water: WaterBody) -> Sequence[WaterBody]:
    city = replace(bare_city([box_building("a", 0, 0, 5, 5, 0, 5)]), water=water, inferred=("water level",))
    return level_water(city, terrain).water


def test_a_lake_is_level_and_its_shore_is_hardly_under_water() -> None:
    (lake,) = levelled(tilted(0.02), WaterBody(shapely.Point(0, 0).buffer(40), 0.0, "lake"))
    shore = tilted(0.02).sample(shapely.get_coordinates(lake.outline))
    assert (shore < lake.level).mean() < 0.12
    assert lake.level < shore.mean()


@settings(max_examples=10)
@given(st.floats(0.03, 0.3), st.sampled_from([1.0, 2.0]))
def test_a_river_on_a_slope_is_cut_into_reaches_that_fall_with_it(fall: float, step: float) -> None:
    terrain = tilted(fall, step=step)
    reaches = levelled(terrain, WaterBody(river(), 0.0))
    assert len(reaches) > 1
    assert sum(r.outline.area for r in reaches) == pytest.approx(river().area, rel=1e-6)
    order = sorted(reaches, key=lambda r: r.outline.centroid.x)
    assert all(a.level < b.level for a, b in pairwise(order))
    for reach in reaches:
        west, _, east, _ = reach.outline.bounds
        middle = 50 + fall * (west + east) / 2
        assert abs(reach.level - middle) < max(FALL, fall * (east - west))


def test_a_river_on_level_ground_is_one_piece_at_one_level() -> None:
    (reach,) = levelled(tilted(0.001), WaterBody(river(), 7.0))
    assert reach.level == pytest.approx(49.9, abs=0.15)


def test_the_sea_is_at_zero_where_heights_count_from_it() -> None:
    coast = WaterBody(shapely.box(-150, -150, 0, 150), 9.0, "sea")
    assert levelled(tilted(0.01, height=2.0), coast)[0].level == 0.0
    assert levelled(tilted(0.0, height=47.0), coast)[0].level == pytest.approx(47.0)
    made_up = replace(tilted(0.0, height=0.0), inferred=True)
    assert levelled(made_up, coast)[0].level < 0


def test_water_with_a_level_keeps_it() -> None:
    lake = WaterBody(shapely.box(0, 0, 9, 9), 3.0, "lake")
    city = replace(bare_city([box_building("a", 0, 0, 5, 5, 0, 5)]), water=(lake,))
    assert level_water(city, tilted(0)).water == (lake,)


def test_roofs_are_lifted_to_the_median_of_the_surface_over_them(tmp_path: Path) -> None:
    house, low = box_building("a", -20, -20, 12, 12, 50.0, 6.0), box_building("b", 10, 10, 8, 8, 50.0, 4.0)
    hut = box_building("c", 40, 40, 1.2, 1.2, 50.0, 2.5)

    def surface(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        z = np.where((x > -20.5) & (x < -7.5) & (y > -20.5) & (y < -7.5), 58.3, 50.0)
        return np.where((x > -12) & (y < -15) & (x < -5), 66.0, z)  # a crown over one corner

    path = plane_tiff(tmp_path / "dsm.tif", pixel=0.5, shape=(600, 600), height=surface)
    city = lift_roofs(utm_city(buildings=(house, low, hut)), path)
    lifted, refused, small = city.buildings
    assert lifted.height == pytest.approx(8.3, abs=1e-4)
    assert lifted.mesh.vertices[:, 2].min() == 50.0
    assert lifted.mesh.vertices[:, 2].max() == pytest.approx(58.3, abs=1e-4)
    assert is_closed(lifted.mesh)
    assert refused is low
    assert small is hut
    assert city.notes["roofs lifted to the surface model"] == 1
    assert city.notes["roofs that the surface model lies too far below"] == 1
    assert city.notes["roofs without a surface to lift them to"] == 1


def test_heights_of_a_roof_are_those_of_its_highest_face() -> None:
    low, high = box_building("a", 0, 0, 10, 10, 0.0, 4.0), box_building("b", 2, 2, 3, 3, 4.0, 2.0)
    mesh: Mesh = concatenate([low.mesh, high.mesh])[0]
    found = roof_heights(mesh, np.array([(1, 1), (3, 3.5), (5.5, 5.5), (20, 1.0)]))
    assert found[:3].tolist() == [4.0, 6.0, 4.0]
    assert np.isnan(found[3])
