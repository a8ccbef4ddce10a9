"""Every model of a flood that a recipe can name, drawn on one small city."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import shapely
from flood_cities import box_building, city_of, river, terrain_of
from rasterio.transform import Affine
from scipy import ndimage

from mage.scenes.errors import CityError, HazardError
from mage.scenes.grid import Grid
from mage.scenes.hazards.flood import draw_waters, flood, prepare_flood, receded, sample_flood
from mage.scenes.hazards.runoff import run_off
from mage.scenes.hazards.wetting import Flow, Waters, impact_of, sample_impact, torrent
from mage.scenes.parts import FloodPart
from mage.scenes.strike import Collapse

TILE = Grid.around(60.0, 50.0, 120, 0.5)
SHALLOW = {"model": "shallow", "inflow": (40, 40), "minutes": (20, 20)}


@pytest.fixture(scope="module")
def city():
    """100 x 100 m of rolling ground beside a river, with six houses and a street."""
    rough = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=(101, 101)), 6) * 2
    heights = rough + np.arange(101) * 0.004
    heights[:, :12] = -3.0
    houses = [box_building(x, y, x + 8, y + 8, name=f"{x}-{y}") for x in (40, 60, 80) for y in (30, 60)]
    street = shapely.LineString([(20, 50), (95, 50)])
    town = city_of(terrain_of(heights), water=[river(-1, -1, 11.4, 101, -1.0)], buildings=houses, lines=[street])
    return replace(town, crs="EPSG:32632", origin=(500_000.0, 5_400_000.0))


@pytest.fixture(scope="module")
def raster(city, tmp_path_factory):
    """Depths of a metre over the eastern half, on the vertices of the city's terrain."""
    path = tmp_path_factory.mktemp("raster") / "depths.tif"
    depth = np.zeros((101, 101))
    depth[:, 50:] = 1.0
    transform = Affine(1, 0, city.origin[0] - 0.5, 0, -1, city.origin[1] + 100.5)
    profile = {"driver": "GTiff", "count": 1, "dtype": "float64", "height": 101, "width": 101}
    with rasterio.open(path, "w", crs=city.crs, transform=transform, **profile) as file:
        file.write(depth, 1)
    return path


def part_of(model, raster, **more):
    parts = {
        "fill": {"stage": (1.5, 2.0)},
        "hand": {"model": "hand", "stage": (1.5, 2.0)},
        "shallow": SHALLOW,
        "raster": {"model": "raster", "file": str(raster)},
    }
    return FloodPart(**(parts[model] | more))


def drawn(city, part, seed=3):
    return sample_flood(np.random.default_rng(seed), city, part)


MODELS = ["fill", "hand", "shallow", "raster"]


@pytest.mark.parametrize("model", MODELS)
def test_a_model_floods_houses_and_says_which_it_was(city, raster, model):
    first, again = (drawn(city, part_of(model, raster)) for _ in range(2))
    assert first.parameters.get("model", "fill") == model
    assert (first.intensity > 0).any()
    assert first.road_depth[0] > 0
    assert first.parameters == again.parameters
    assert np.array_equal(first.levels, again.levels, equal_nan=True)
    # velocity comes with moving water and no other
    assert (first.velocity is None, first.speed is None) == (model != "shallow", model != "shallow")


@pytest.mark.parametrize("model", ["fill", "hand", "raster"])
def test_without_recession_the_image_shows_the_peak(city, raster, model):
    impact = drawn(city, part_of(model, raster))
    assert np.array_equal(impact.levels, impact.highest, equal_nan=True)
    assert np.array_equal(impact.intensity, impact.at_image)
    assert np.array_equal(impact.road_depth, impact.road_at_image)
    assert "recession" not in impact.parameters


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_water_at_the_image_is_nowhere_deeper_than_at_its_peak(city, raster, model, share):
    impact = drawn(city, part_of(model, raster, recession=(share, share)))
    assert (impact.at_image <= impact.intensity).all()
    assert (impact.road_at_image <= impact.road_depth).all()
    assert (np.nan_to_num(impact.levels, nan=-99) <= np.nan_to_num(impact.highest, nan=-99)).all()
    if share:
        assert (impact.at_image < impact.intensity).any()


def test_a_recession_by_half_takes_half_of_the_stage(city):
    impact = drawn(city, FloodPart(stage=(2, 2), recession=(0.5, 0.5)))
    still = flood(city, level=0.0)  # half of 2 m above the river's -1
    open_river = np.isfinite(still.levels) & (city.ground.heights < -2)
    assert np.allclose(impact.levels[open_river], 0.0)
    assert np.nanmax(impact.highest) == pytest.approx(1.0)
    assert impact.parameters["recession"] == 0.5


def test_a_hollow_keeps_the_water_that_cannot_leave_it():
    heights = np.zeros((15, 15))
    heights[:, 0] = -1.0
    heights[5:10, 5:10] = 3.0  # a rim around low ground, with a notch
    heights[6:9, 6:9] = -2.0
    heights[5, 7] = 2.0
    city = city_of(terrain_of(heights), water=[river(-0.5, -1, 0.5, 15, -0.5)])
    arrival = prepare_flood(city, FloodPart()).arrival
    full = np.where(arrival < 2.5, 2.5, np.nan)
    left = receded(city.ground, full, 3.0, arrival)
    assert left[7, 7] == 2.0  # up to its notch
    assert left[2, 0] == -0.5  # the river is what it always was
    assert np.isnan(left[12, 12])


def test_walls_that_were_wet_keep_their_grade_after_the_water_has_gone(city):
    stayed, left = (drawn(city, FloodPart(stage=(2, 2), recession=(r, r))) for r in (0.0, 1.0))
    assert (left.at_image < 0.1).all()  # puddles stay
    assert left.jds.any()
    assert np.array_equal(stayed.jds, left.jds)
    assert np.array_equal(stayed.loss, left.loss)


def test_a_street_is_open_again_when_the_water_has_left_it(city):
    stayed, left = (drawn(city, FloodPart(stage=(2, 2), recession=(r, r))) for r in (0.0, 1.0))
    assert (stayed.car[0], left.car[0]) == (False, True)
    assert left.road_depth[0] == stayed.road_depth[0]


def test_a_higher_stage_never_shrinks_a_flood_by_heights_above_drainage(city):
    lower, higher = (drawn(city, FloodPart(model="hand", stage=(s, s))) for s in (1.0, 1.7))
    assert (np.isfinite(lower.levels) <= np.isfinite(higher.levels)).all()
    assert (lower.intensity <= higher.intensity).all()


def test_a_flood_of_its_own_place_needs_no_tile_and_a_share_does(city, raster):
    for model in MODELS:
        drawn(city, part_of(model, raster))
    with pytest.raises(HazardError, match="needs a tile"):
        drawn(city, FloodPart())


def test_water_comes_in_where_the_recipe_says(city):
    east, north = city.origin[0] + 70.0, city.origin[1] + 80.0
    impact = drawn(city, FloodPart(**(SHALLOW | {"at": (east, north), "minutes": (5, 5), "inflow": (5, 5)})))
    row, column = np.unravel_index(np.nanargmax(impact.speed), impact.speed.shape)
    assert np.hypot(column - 70, (100 - row) - 80) < 30
    with pytest.raises(HazardError, match="beside the terrain"):
        drawn(city, FloodPart(**(SHALLOW | {"at": (0.0, 0.0)})))


@pytest.mark.parametrize("source", [{"rain": (90, 90)}, {"breach": (2, 2)}])
def test_rain_and_a_broken_bank_bring_water_too(city, source):
    impact = drawn(city, FloodPart(model="shallow", minutes=(20, 20), **source))
    assert np.isfinite(impact.highest).any()
    assert set(source) < set(impact.parameters)


def test_a_large_river_and_not_a_higher_pond_swells():
    heights = np.zeros((101, 101))
    heights[:, 30:51] = -3.0
    heights[10:20, 80:] = -1.0
    city = city_of(terrain_of(heights), water=[river(29.5, -1, 50.5, 101, -2.0), river(79.5, 80, 101, 90.5, -0.5)])
    impact = drawn(city, FloodPart(**(SHALLOW | {"minutes": (5, 5)})))
    rise = np.nan_to_num(impact.highest - np.where(np.arange(101) < 60, -2.0, -0.5))
    assert rise[20:80, 38:43].max() > 0.1
    assert rise[12:18, 84:].max() < 0.05


def test_a_river_along_the_border_swells_and_no_pond_inside():
    heights = np.zeros((101, 101))
    heights[:, :12] = -3.0
    heights[10:20, 80:] = -1.0
    city = city_of(terrain_of(heights), water=[river(-1, -1, 11.4, 101, -2.0), river(79.5, 80, 101, 90.5, -0.5)])
    assert run_off(np.random.default_rng(3), city, FloodPart(**SHALLOW)).flow.speed[:, :3].max() > 0.3


@pytest.mark.parametrize("content", [b"", b"II*\x00 but no more", b"<VRTDataset/>"])
def test_a_file_that_is_no_raster_is_refused_by_its_name(city, tmp_path, content):
    path = tmp_path / "hostile.tif"
    path.write_bytes(content)
    with pytest.raises(CityError, match=r"hostile\.tif"):
        prepare_flood(city, FloodPart(model="raster", file=str(path)))


def test_a_raster_that_is_not_there_is_named(city, tmp_path):
    with pytest.raises(CityError, match=r"none\.tif"):
        prepare_flood(city, FloodPart(model="raster", file=str(tmp_path / "none.tif")))


def running(city, speed, depth):
    """Water of one depth and speed all over the city, running north."""
    ground = city.ground
    levels = ground.heights + depth
    fast, north = np.full(levels.shape, speed), np.full(levels.shape, np.pi / 2)
    return Waters(levels, levels, {}, Flow(ground, fast, fast * depth, north))


@pytest.mark.parametrize(
    ("speed", "depth", "grades"),
    [(1.9, 2.0, {0}), (2.5, 1.0, {0}), (2.5, 2.0, {2, 3, 4}), (3.0, 2.5, {4, 5}), (1.9, 4.0, {0})],
)
def test_running_water_breaks_houses_by_depth_times_velocity(city, speed, depth, grades):
    waters = running(city, speed, depth)
    impact = impact_of(city, waters)
    assert np.allclose(impact.p_grade.sum(axis=1), 1)
    assert {g for g in range(6) if impact.p_grade[0, g] > 0} == grades
    assert impact.velocity == pytest.approx(np.full(len(city.buildings), speed))
    found = {int(g) for seed in range(30) for g in sample_impact(np.random.default_rng(seed), city, waters).ems98}
    assert found == grades


def test_what_running_water_breaks_falls_its_way(city):
    waters = running(city, 4.0, 3.0)
    strike = torrent(city, waters, replace(impact_of(city, waters), ems98=np.array([0, 2, 3, 4, 5, 5], np.uint8)))
    assert strike.collapse.tolist() == [0, 0, *[Collapse.CORNER] * 2, *[Collapse.HEAP] * 2]
    assert np.allclose(strike.direction, np.pi / 2)


@pytest.mark.parametrize("model", ["fill", "raster"])
def test_still_water_breaks_nothing(city, raster, model):
    part = part_of(model, raster)
    waters = draw_waters(np.random.default_rng(0), city, part, prepare_flood(city, part))
    impact = impact_of(city, waters)
    assert not impact.ems98.any()
    assert torrent(city, waters, impact) is None
