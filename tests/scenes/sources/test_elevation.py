"""Terrain out of elevation rasters and triangulated reliefs."""

from __future__ import annotations

import warnings
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from demfiles import ORIGIN, plane_tiff, slope, utm_city, write_hgt, write_tiff
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine
from scipy.spatial import Delaunay
from towns import box_building

from mage.scenes.city import City
from mage.scenes.errors import CityError
from mage.scenes.mesh import Mesh, Surface, planar_uv
from mage.scenes.sources.ground.elevation import read_terrain, terrain_of_relief
from mage.scenes.sources.ground.relief import MOST_VERTICES
from mage.scenes.sources.ground.voids import filled
from mage.scenes.terrain import Terrain


def off_plane(terrain: Terrain, half: float = 50.0) -> float:
    """How far a terrain lies from the plane of the tests within bounds, metres."""
    x, y = np.meshgrid(np.linspace(-half, half, 41), np.linspace(-half, half, 37))
    return float(np.abs(terrain.sample(np.stack([x, y], axis=-1)) - slope(x, y)).max())


@pytest.mark.parametrize("pixel", [0.25, 0.5, 0.7, 1.0, 3.0, 10.0])
def test_a_plane_is_a_plane_at_every_resolution(tmp_path: Path, pixel: float) -> None:
    count = int(300 / pixel)
    terrain = read_terrain([plane_tiff(tmp_path / "a.tif", pixel=pixel, shape=(count, count))], utm_city())
    assert off_plane(terrain) < 1e-3
    assert terrain.bounds[0] <= -130
    assert terrain.bounds[3] >= 130
    assert 0.5 <= terrain.step <= 2.0


@pytest.mark.parametrize(("pixel", "step"), [(0.2, 0.6), (0.5, 0.5), (1.5, 1.5), (3.0, 1.5), (10.0, 2.0)])
def test_vertices_lie_on_pixel_centres_and_take_their_heights(tmp_path: Path, pixel: float, step: float) -> None:
    rng, count = np.random.default_rng(1), int(300 / pixel)
    heights = rng.normal(200, 30, (count, count)).astype(np.float32)
    transform = Affine(pixel, 0, ORIGIN[0] - 150, 0, -pixel, ORIGIN[1] + 150)
    terrain = read_terrain([write_tiff(tmp_path / "rough.tif", heights, transform)], utm_city())
    assert terrain.step == pytest.approx(step)
    each = max(1, round(step / pixel))
    column = round((terrain.west + 150 - pixel / 2) / pixel) % each
    row = round((150 - terrain.north - pixel / 2) / pixel) % each
    rows, columns = np.arange(row, count, each), np.arange(column, count, each)
    x, y = -150 + (columns + 0.5) * pixel, 150 - (rows + 0.5) * pixel
    rows, columns = rows[np.abs(y) < 120], columns[np.abs(x) < 120]
    at = np.stack(np.meshgrid(x[np.abs(x) < 120], y[np.abs(y) < 120]), axis=-1)
    off = terrain.sample(at) - heights[np.ix_(rows, columns)]
    # a cubic spline goes through its points but for the kept bounds, a linear one to the last bit that floats hold
    assert np.abs(off).max() < 1e-3


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:25832", "EPSG:31467", "EPSG:3857", "EPSG:32632+5773", "EPSG:2249"])
def test_a_raster_in_any_coordinate_system_lies_where_it_should(tmp_path: Path, crs: str) -> None:
    city = utm_city()
    if crs == "EPSG:2249":  # feet, in Massachusetts
        x, y = Transformer.from_crs(4326, 26986, always_xy=True).transform(-71.06, 42.36)
        city = City("boston", "EPSG:26986", (round(x), round(y)), 42.36, -71.06, (-50, -50, 50, 50))
    plane = Transformer.from_crs(city.crs, crs.split("+")[0], always_xy=True)
    west, north = plane.transform(city.origin[0] - 200, city.origin[1] + 200)
    east, south = plane.transform(city.origin[0] + 200, city.origin[1] - 200)
    px, py = (east - west) / 200, (north - south) / 200
    x, y = np.meshgrid(west - 20 * px + (np.arange(240) + 0.5) * px, north + 20 * py - (np.arange(240) + 0.5) * py)
    lx, ly = Transformer.from_crs(crs.split("+")[0], city.crs, always_xy=True).transform(x, y)
    heights = slope(lx - city.origin[0], ly - city.origin[1])
    feet = 0.3048 if crs == "EPSG:2249" else 1.0
    transform = Affine(px, 0, west - 20 * px, 0, -py, north + 20 * py)
    path = write_tiff(tmp_path / "a.tif", heights / feet, transform, crs)
    notes: Counter[str] = Counter()
    terrain = read_terrain([path], city, notes=notes)
    assert off_plane(terrain) < 0.01
    assert notes["elevations without a unit, taken in that of the map"] == (feet != 1)


def test_a_stated_unit_of_height_holds(tmp_path: Path) -> None:
    path = plane_tiff(tmp_path / "a.tif", height=lambda x, y: slope(x, y) / 0.3048, units="ft")
    assert off_plane(read_terrain([path], utm_city())) < 1e-3


def test_a_turned_raster_lies_where_it_should(tmp_path: Path) -> None:
    cos, sin = np.cos(np.pi / 6), np.sin(np.pi / 6)
    west, north = ORIGIN[0] - 250 * (cos + sin), ORIGIN[1] - 250 * (sin - cos)
    transform = Affine(cos, sin, west, sin, -cos, north)
    column, row = np.meshgrid(np.arange(500) + 0.5, np.arange(500) + 0.5)
    x, y = cos * column + sin * row + west, sin * column - cos * row + north
    path = write_tiff(tmp_path / "turned.tif", slope(x - ORIGIN[0], y - ORIGIN[1]), transform)
    assert off_plane(read_terrain([path], utm_city())) < 1e-3


@settings(max_examples=12)
@given(st.integers(0, 99), st.integers(20, 280), st.sampled_from(["order", "reverse"]))
def test_two_tiles_are_joined_without_a_seam(
    tmp_path_factory: pytest.TempPathFactory, seed: int, cut: int, order: str
) -> None:
    folder = tmp_path_factory.mktemp("tiles")
    heights = np.random.default_rng(seed).normal(100, 5, (300, 300)).astype(np.float32)
    whole = Affine(1, 0, ORIGIN[0] - 150, 0, -1, ORIGIN[1] + 150)
    one = write_tiff(folder / "whole.tif", heights, whole)
    left = write_tiff(folder / "left.tif", heights[:, :cut], whole)
    right = write_tiff(folder / "right.tif", heights[:, cut:], Affine(1, 0, whole.c + cut, 0, -1, whole.f))
    tiles = [left, right] if order == "order" else [right, left]
    expected, joined = read_terrain([one], utm_city()), read_terrain(tiles, utm_city())
    points = np.random.default_rng(seed).uniform(-120, 120, (500, 2))
    assert np.allclose(joined.sample(points), expected.sample(points), atol=1e-4)


def test_a_finer_raster_lies_on_a_coarser_one_that_fills_its_voids(tmp_path: Path) -> None:
    fine = plane_tiff(tmp_path / "fine.tif", holes=lambda x, y: np.abs(x) < 20, nodata=-9999.0)
    coarse = plane_tiff(
        tmp_path / "coarse.tif", pixel=10, west=-250, north=250, shape=(50, 50), height=lambda x, y: slope(x, y) + 3
    )
    for paths in ([fine, coarse], [coarse, fine]):
        terrain = read_terrain(paths, utm_city())
        assert terrain.step == 1.0
        assert terrain.sample(np.array([0.0, 0.0])) == pytest.approx(103, abs=0.01)
        assert terrain.sample(np.array([40.0, 0.0])) == pytest.approx(102, abs=0.01)


@pytest.mark.parametrize(("void", "nodata"), [(-9999.0, -9999.0), (np.nan, None), (-32768.0, None), (3.4e38, None)])
def test_voids_are_filled_from_around_them_and_counted(tmp_path: Path, void: float, nodata: float | None) -> None:
    def with_hole(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(x**2 + y**2 < 15**2, void, slope(x, y))

    notes: Counter[str] = Counter()
    terrain = read_terrain([plane_tiff(tmp_path / "a.tif", height=with_hole, nodata=nodata)], utm_city(), notes=notes)
    assert off_plane(terrain) < 0.05
    assert notes["void pixels of the elevation filled"] == pytest.approx(np.pi * 15**2, rel=0.02)
    assert notes["vertices beyond the elevation filled"] == 0


def test_ground_beyond_the_raster_is_filled_and_counted(tmp_path: Path) -> None:
    notes: Counter[str] = Counter()
    path = plane_tiff(tmp_path / "a.tif", west=-50, north=50, shape=(100, 100))
    terrain = read_terrain([path], utm_city(), notes=notes)
    assert notes["vertices beyond the elevation filled"] == terrain.heights.size - 100 * 100
    assert off_plane(terrain, 49.5) < 1e-3
    assert terrain.heights.min() >= slope(np.array(-50), np.array(50)) - 0.01


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_filling_leaves_what_is_there_and_stays_between_lowest_and_highest(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    heights = rng.normal(0, 10, rng.integers(2, 24, 2))
    there = rng.random(heights.shape) > share
    there.flat[0] = True
    whole = filled(np.where(there, heights, np.nan))
    assert np.array_equal(whole[there], heights[there])
    assert whole.min() >= heights[there].min() - 1e-9
    assert whole.max() <= heights[there].max() + 1e-9


@pytest.mark.parametrize("zipped", [False, True])
def test_an_srtm_tile_says_where_it_lies_in_its_name(tmp_path: Path, zipped: bool) -> None:
    path = write_hgt(tmp_path, "N48E009", lambda east, north: 1000 * (east - 9) + 500 * (north - 48), zipped=zipped)
    city = replace(utm_city(), origin=(536_000.0, 5_372_000.0))
    terrain = read_terrain([path], city)
    degrees = Transformer.from_crs(32632, 4326, always_xy=True)
    x, y = np.meshgrid(np.linspace(-100, 100, 9), np.linspace(-100, 100, 9))
    east, north = degrees.transform(x + city.origin[0], y + city.origin[1])
    off = terrain.sample(np.stack([x, y], axis=-1)) - (1000 * (east - 9) + 500 * (north - 48))
    assert np.abs(off).max() < 1.0  # tiles hold whole metres
    assert terrain.step == 2.0


def test_srtm_tiles_side_by_side_meet_without_a_seam(tmp_path: Path) -> None:
    east, north = Transformer.from_crs(4326, 32632, always_xy=True).transform(10.0, 48.5)
    city = replace(utm_city(400), origin=(round(east), round(north)))
    tiles = [write_hgt(tmp_path, name, lambda e, n: 20000 * (e - 9.9)) for name in ("N48E009", "N48E010")]
    terrain = read_terrain(tiles, city)
    along = terrain.sample(np.column_stack([np.linspace(-400, 400, 801), np.zeros(801)]))
    rise = np.diff(along)
    assert (rise > 0.1).all()  # 0.27 m in a metre; a seam would be a step or a level stretch
    assert (rise < 0.5).all()


def test_no_coarse_raster_is_drawn_as_facets_or_drops_below_the_sea(tmp_path: Path) -> None:
    def coast(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(x < 0, 0.0, 300.0)

    path = plane_tiff(tmp_path / "a.tif", pixel=30, west=-900, north=900, shape=(60, 60), height=coast)
    terrain = read_terrain([path], utm_city(200))
    assert terrain.heights.min() >= 0
    assert terrain.heights.max() <= 300
    hills = plane_tiff(
        tmp_path / "b.tif",
        pixel=90,
        west=-1800,
        north=1800,
        shape=(40, 40),
        height=lambda x, y: 200 + 50 * np.sin(x / 150) + y / 10,
    )
    row = read_terrain([hills], utm_city(400)).heights[100]
    bends = np.abs(np.diff(row, 2))
    assert bends.max() < 3 * np.quantile(bends, 0.8)  # a facet bends at its edges only


def test_a_wide_city_takes_a_step_that_bounds_its_terrain(tmp_path: Path) -> None:
    path = plane_tiff(tmp_path / "a.tif", pixel=2, west=-4500, north=4500, shape=(4500, 4500), height=slope)
    terrain = read_terrain([path], utm_city(4000), margin=100)
    assert terrain.heights.size <= 1.1 * MOST_VERTICES
    assert terrain.step == 6.0  # whole pixels
    assert off_plane(terrain, 4000) < 1e-2


def broken(kind: str, folder: Path) -> Path:
    """An elevation file with something wrong about it."""
    path = folder / "a.tif"
    if kind == "no CRS":
        return plane_tiff(path, crs=None)
    if kind == "no place":
        profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "height": 9, "width": 9, "crs": "EPSG:32632"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, "w", **profile) as file:
                file.write(np.ones((9, 9), np.float32), 1)
    if kind == "elsewhere":
        return plane_tiff(path, west=5000)
    if kind == "half":
        return plane_tiff(path, west=0)
    if kind == "other side of the Earth":
        return write_tiff(path, np.ones((9, 9)), Affine(0.1, 0, -170, 0, -0.1, -40), "EPSG:4326")
    if kind == "all void":
        return plane_tiff(path, height=lambda x, y: x * np.nan)
    if kind == "truncated":
        data = plane_tiff(path).read_bytes()
        path.write_bytes(data[: len(data) // 3])
    elif kind == "cut header":
        path.write_bytes(plane_tiff(path).read_bytes()[:6])
    elif kind == "PNG":
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    elif kind == "picture":
        with_three = np.zeros((3, 300, 300), np.uint8)
        profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": 300, "width": 300, "crs": "EPSG:32632"}
        place = Affine(1, 0, ORIGIN[0] - 150, 0, -1, ORIGIN[1] + 150)
        with rasterio.open(path, "w", transform=place, photometric="RGB", **profile) as file:
            file.write(with_three)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "short tile":
        path = folder / "N48E009.hgt"
        path.write_bytes(bytes(1000))
    elif kind == "nameless tile":
        path = folder / "tile.hgt"
        path.write_bytes(bytes(2 * 1201 * 1201))
    elif kind == "zip without a tile":
        path = folder / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "nothing")
    elif kind == "swollen tile":
        path = folder / "a.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("N48E009.hgt", bytes(2**26))
    elif kind == "broken zip":
        path.write_bytes(b"PK\3\4" + bytes(100))
    elif kind == "folder":
        return folder
    elif kind == "VRT":
        path.write_text("<VRTDataset rasterXSize='9' rasterYSize='9'/>")
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no CRS", "no coordinate system"),
        ("no place", "no place on the map"),
        ("elsewhere", "does not cover the city.*0%"),
        ("half", "does not cover the city.*50%"),
        ("other side of the Earth", "does not cover the city"),
        ("all void", "void under the city"),
        ("truncated", "broken GeoTIFF"),
        ("cut header", "broken GeoTIFF"),
        ("PNG", "no elevation in it"),
        ("picture", "a picture and no elevation"),
        ("empty", "no elevation in it"),
        ("short tile", "no whole SRTM tile"),
        ("nameless tile", "no elevation in it"),
        ("zip without a tile", "no elevation in it"),
        ("swollen tile", "no whole SRTM tile"),
        ("broken zip", "broken archive"),
        ("folder", "no such file"),
        ("VRT", "no elevation in it"),
        ("missing", "no such file"),
    ],
)
def test_what_is_no_elevation_of_the_city_is_one_error_that_says_so(tmp_path: Path, kind: str, message: str) -> None:
    with pytest.raises(CityError, match=message):
        read_terrain([broken(kind, tmp_path)], utm_city())


def test_a_city_that_is_nowhere_cannot_be_laid_on_a_terrain(tmp_path: Path) -> None:
    with pytest.raises(CityError, match="without a coordinate system"):
        read_terrain([plane_tiff(tmp_path / "a.tif")], replace(utm_city(), crs=None))
    with pytest.raises(CityError, match="no elevation files"):
        read_terrain([], utm_city())


def test_what_counts_as_covered_are_the_buildings(tmp_path: Path) -> None:
    house = box_building("house", -100, -10, 10, 10, 5, 6)
    city = utm_city(300, buildings=(house,))
    path = plane_tiff(tmp_path / "a.tif")
    assert read_terrain([path], city).heights.size
    with pytest.raises(CityError, match="95% of its buildings; found 50%"):
        read_terrain([path], replace(city, buildings=(house, box_building("far", 200, 0, 10, 10, 5, 6))))


def relief(points: np.ndarray, triangles: np.ndarray) -> Mesh:
    triangles = np.asarray(triangles, np.int32)
    surface = np.full(len(triangles), Surface.GROUND, np.uint8)
    return Mesh(points, triangles, surface, planar_uv(points, triangles))


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_a_triangulated_plane_is_that_plane(seed: int) -> None:
    rng = np.random.default_rng(seed)
    xy = np.concatenate([rng.uniform(-60, 60, (80, 2)), [(-70, -70), (70, -70), (70, 70), (-70, 70)]])
    mesh = relief(np.column_stack([xy, slope(*xy.T)]), Delaunay(xy).simplices)
    notes: Counter[str] = Counter()
    terrain = terrain_of_relief(mesh, (-50, -50, 50, 50), notes)
    assert off_plane(terrain) < 1e-6
    assert not notes["vertices beyond the relief filled"]


def test_gaps_of_a_relief_are_filled_and_counted() -> None:
    points = np.array([(-50, -50, 4), (50, -50, 4), (50, 50, 4), (-50, 50, 4), (90, 90, 9.0)])
    notes: Counter[str] = Counter()
    terrain = terrain_of_relief(relief(points, np.array([(0, 1, 2)])), (-50, -50, 50, 50), notes)
    assert np.allclose(terrain.heights, 4)
    assert notes["vertices beyond the relief filled"] == pytest.approx(terrain.heights.size / 2, rel=0.1)
    with pytest.raises(CityError, match="does not lie under the city"):
        terrain_of_relief(relief(points, np.array([(0, 1, 2)])), (500, 500, 600, 600))


@pytest.mark.parametrize(
    ("tile", "epsg", "box", "lowest", "highest"),
    [
        ("N43E007", 32632, (7.405, 43.722, 7.445, 43.755), (-2.1, 0), (500, 800)),
        ("N42E001", 32631, (1.41, 42.43, 1.79, 42.66), (780, 880), (2850, 2950)),
    ],
)
def test_real_tiles_hold_the_mountains_and_the_sea(
    shared_data: Path,
    tile: str,
    epsg: int,
    box: tuple[float, float, float, float],
    lowest: tuple[float, float],
    highest: tuple[float, float],
) -> None:
    plane = Transformer.from_crs(4326, epsg, always_xy=True)
    corners = np.array([plane.transform(x, y) for x in box[::2] for y in box[1::2]])
    (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
    x, y = round((west + east) / 2), round((south + north) / 2)
    city = City("real", f"EPSG:{epsg}", (x, y), box[1], box[0], (west - x, south - y, east - x, north - y))
    terrain = read_terrain([shared_data / "dem" / f"{tile}.hgt.zip"], city)
    assert lowest[0] <= terrain.heights.min() <= lowest[1]
    assert highest[0] <= terrain.heights.max() <= highest[1]
    if tile == "N43E007":  # the open sea off Monaco
        assert abs(np.median(terrain.heights[-100:, -100:])) < 1
