"""Floods that others have computed, laid on the city's ground."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Transformer
from rasterio.transform import Affine

from mage.scenes.city import City, WaterBody
from mage.scenes.errors import CityError, HazardError
from mage.scenes.hazards.depth_raster import read_flood
from mage.scenes.terrain import Terrain

ORIGIN = 500_000.0, 5_400_000.0
STEP, ROWS, COLUMNS = 2.0, 21, 26


def plain(heights=None, water=(), crs="EPSG:32632"):
    """A city of nothing but ground, whose first vertex is local (0, 40)."""
    rng = np.random.default_rng(0)
    heights = 100 + rng.normal(size=(ROWS, COLUMNS)) if heights is None else heights
    return City(
        "plain", crs, ORIGIN, 48.7, 9.0, (0.0, 0.0, 50.0, 40.0), terrain=Terrain(heights, 0.0, 40.0, STEP), water=water
    )


def write(path, values, *, pixel=STEP, west=-STEP / 2, north=40 + STEP / 2, crs="EPSG:32632", **more):
    transform = more.pop("transform", Affine(pixel, 0, west + ORIGIN[0], 0, -pixel, north + ORIGIN[1]))
    profile = {"driver": "GTiff", "count": 1, "dtype": "float64", "height": values.shape[0], "width": values.shape[1]}
    with rasterio.open(path, "w", crs=crs, transform=transform, **(profile | more)) as file:
        file.write(values.astype(file.dtypes[0]), 1)
    return path


def depths(seed=1, shape=(ROWS, COLUMNS)):
    values = np.random.default_rng(seed).uniform(-1, 2, shape)
    return np.where(values > 0, values, 0.0)


def test_a_depth_raster_on_the_vertices_comes_back_as_given(tmp_path):
    city, given = plain(), depths()
    levels = read_flood(write(tmp_path / "d.tif", given), city)
    depth = np.clip(np.nan_to_num(levels - city.ground.heights), 0, None)
    assert depth == pytest.approx(given, abs=1e-9)


def test_no_data_and_what_lies_beyond_the_raster_are_dry(tmp_path):
    city, given = plain(np.full((ROWS, COLUMNS), 100.0)), np.full((10, 10), 1.5)
    given[3:5, 3:5] = -9999
    levels = read_flood(write(tmp_path / "d.tif", given, nodata=-9999), city)
    expected = np.full((ROWS, COLUMNS), np.nan)
    expected[:10, :10] = 101.5
    expected[3:5, 3:5] = np.nan
    assert np.array_equal(np.isfinite(levels), np.isfinite(expected))
    assert levels[np.isfinite(levels)] == pytest.approx(101.5)


def test_a_level_raster_floods_what_lies_lower(tmp_path):
    heights = np.tile(np.linspace(98, 104, COLUMNS), (ROWS, 1))
    city = plain(heights)
    notes: Counter[str] = Counter()
    levels = read_flood(write(tmp_path / "l.tif", np.full((ROWS, COLUMNS), 101.0)), city, holds="level", notes=notes)
    wet = heights < 101
    assert (levels[wet] == 101).all()
    assert np.isfinite(levels).sum() == wet.sum() + ROWS
    assert notes["flooded vertices with a level below the ground, taken as dry"] == (~wet).sum()


@pytest.mark.parametrize("pixel", [0.5, 1.0, 5.0])
def test_a_plane_of_water_in_another_resolution_is_the_same_plane(tmp_path, pixel):
    heights = np.full((ROWS, COLUMNS), 100.0)
    x, y = np.arange(-20 + pixel / 2, 80, pixel), np.arange(70 - pixel / 2, -30, -pixel)
    values = 102 + 0.01 * x + 0.02 * y[:, None]
    path = write(tmp_path / "l.tif", values, pixel=pixel, west=-20.0, north=70.0)
    city = plain(heights)
    levels = read_flood(path, city, holds="level")
    points = city.ground.points()
    assert levels.ravel() == pytest.approx(102 + 0.01 * points[:, 0] + 0.02 * points[:, 1], abs=1e-9)


def test_a_raster_in_degrees_lies_where_it_belongs(tmp_path):
    """West half 1 m deep: the line between lies within a pixel of the middle."""
    to = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True)
    corners = np.array([to.transform(ORIGIN[0] + x, ORIGIN[1] + y) for x, y in ((-10, -10), (25, -10), (60, 50))])
    (west, south), (middle, _), (east, north) = corners
    size = (200, 240)
    transform = Affine((east - west) / size[1], 0, west, 0, -(north - south) / size[0], north)
    longitude = west + (np.arange(size[1]) + 0.5) * (east - west) / size[1]
    values = np.tile(np.where(longitude < middle, 1.0, 0.0), (size[0], 1))
    city = plain(np.full((ROWS, COLUMNS), 100.0))
    levels = read_flood(write(tmp_path / "d.tif", values, transform=transform, crs="EPSG:4326"), city)
    x = city.ground.points()[:, 0].reshape(levels.shape)
    assert levels[x < 24] == pytest.approx(101.0)
    assert np.isnan(levels[x > 26]).all()


def test_permanent_water_rises_with_the_flood_at_its_shore_and_only_there(tmp_path):
    heights = np.full((ROWS, COLUMNS), 100.0)
    heights[:, 4:8] = heights[:, 18:22] = 97.0
    water = tuple(WaterBody(shapely.box(2 * a - 1, -1, 2 * a + 7, 41), 99.0) for a in (4, 18))
    given = np.zeros((ROWS, COLUMNS))
    given[:, :4] = 0.75  # land on the first river's western shore
    given[:, 4:8] = given[:, 18:22] = 3.0  # depths over beds are not believed
    levels = read_flood(write(tmp_path / "d.tif", given), plain(heights, water))
    assert levels[:, :8] == pytest.approx(100.75)
    assert np.isnan(levels[:, 9:]).all()


def test_depths_below_zero_are_dry_and_counted(tmp_path):
    notes: Counter[str] = Counter()
    levels = read_flood(write(tmp_path / "d.tif", np.full((ROWS, COLUMNS), -0.5)), plain(), notes=notes)
    assert np.isnan(levels).all()
    assert notes["flooded vertices with a depth below zero, taken as dry"] == ROWS * COLUMNS


def test_levels_given_as_depths_are_refused(tmp_path):
    path = write(tmp_path / "l.tif", np.full((ROWS, COLUMNS), 312.0))
    with pytest.raises(HazardError, match=r"l\.tif.*expected metres below 100.*found 312"):
        read_flood(path, plain())


def test_a_raster_beside_the_city_or_none_at_all_is_a_clear_error(tmp_path):
    far = write(tmp_path / "far.tif", np.ones((5, 5)), west=9000.0)
    with pytest.raises(HazardError, match=r"far\.tif.*lies beside the city"):
        read_flood(far, plain())
    with pytest.raises(CityError, match=r"none\.tif"):
        read_flood(tmp_path / "none.tif", plain())
    (tmp_path / "no.tif").write_bytes(b"II*\0 no raster")
    with pytest.raises(CityError, match=r"no\.tif"):
        read_flood(tmp_path / "no.tif", plain())
    nowhere = write(tmp_path / "nowhere.tif", np.ones((5, 5)), crs=None)
    with pytest.raises(CityError, match="coordinate system"):
        read_flood(nowhere, plain())


def test_a_city_without_a_place_or_a_ground_cannot_be_flooded_by_a_map(tmp_path):
    path = write(tmp_path / "d.tif", depths())
    with pytest.raises(HazardError, match="no coordinate system"):
        read_flood(path, plain(crs=None))
    with pytest.raises(HazardError, match="no terrain"):
        read_flood(path, replace(plain(), terrain=None))


def test_levels_that_would_drown_everything_are_refused(tmp_path):
    values = np.full((ROWS, COLUMNS), 101.0)
    values[3, 4] = 999.0  # a void that nothing declares
    path = write(tmp_path / "l.tif", values)
    with pytest.raises(HazardError, match=r"l\.tif.*expected metres below 100.*found 899"):
        read_flood(path, plain(np.full((ROWS, COLUMNS), 100.0)), holds="level")


def test_many_ponds_are_joined_each_by_its_own_shore(tmp_path):
    side = 201
    heights = np.full((side, side), 100.0)
    heights[::4, ::4] = 97.0
    ponds = tuple(
        WaterBody(shapely.box(2 * c - 1, 400 - 2 * r - 1, 2 * c + 1, 400 - 2 * r + 1), 99.0)
        for r in range(0, side, 4)
        for c in range(0, side, 4)
    )
    ground = Terrain(heights, 0.0, 400.0, STEP)
    city = replace(plain(), terrain=ground, water=ponds, bounds=(0.0, 0.0, 400.0, 400.0))
    given = np.where(np.arange(side) < 100, 0.5, 0.0) * np.ones((side, 1))
    path = write(tmp_path / "d.tif", given, north=401.0)
    levels = read_flood(path, city)
    assert levels[:, :100] == pytest.approx(100.5)
    assert np.isnan(levels[:, 105:]).all()
