"""Rasters of any CRS, size, band order, bit depth and nodata, laid on one grid of metres."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer

from mage.learning.mapping.picture import ArrayPicture, RasterPicture, working_grid
from mage.learning.rasters import Raster
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

WEST, NORTH = 500_000.0, 5_800_000.0  # in UTM zone 31 north
ALL = slice(None)


def written(path, image, transform=None, crs="EPSG:32631", **options):
    """A GeoTIFF of (bands, rows, columns)."""
    transform = transform or Affine(0.5, 0, WEST, 0, -0.5, NORTH)
    shape = {"count": len(image), "height": image.shape[1], "width": image.shape[2], "dtype": image.dtype}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, **shape, **options) as file:
        file.write(image)
    return Raster(path)


def smooth(x, y):
    """Three bands of gentle waves of 40 m, as bytes, at map coordinates."""
    bands = [np.sin(x / 6.4 + k) + np.cos(y / 6.4 - k) for k in range(3)]
    return np.stack([128 + 55 * band for band in bands])


def waves(grid: Grid) -> np.ndarray:
    x, y = grid.centres()
    return smooth(*np.meshgrid(x, y)).round().astype(np.uint8)


def whole(picture) -> tuple[np.ndarray, np.ndarray]:
    return picture.read((slice(0, picture.grid.rows), slice(0, picture.grid.columns)))


def test_a_raster_of_metres_is_read_on_its_own_grid_as_it_is(tmp_path):
    image = waves(Grid(40, 60, WEST, NORTH, 0.5))
    raster = written(tmp_path / "a.tif", image)
    grid = working_grid(raster)
    assert grid == Grid(40, 60, WEST, NORTH, 0.5, "EPSG:32631")
    values, valid = whole(RasterPicture(raster, grid))
    assert (values == image).all()
    assert valid.all()


def test_a_raster_on_another_part_of_the_same_pixels_is_not_resampled(tmp_path):
    image = waves(Grid(40, 60, WEST, NORTH, 0.5))
    raster = written(tmp_path / "a.tif", image)
    grid = Grid(50, 50, WEST - 5, NORTH - 10, 0.5, "EPSG:32631")
    values, valid = RasterPicture(raster, grid).read((slice(0, 50), slice(5, 50)))
    assert (values[:, :20, 5:] == image[:, 20:, :40]).all()
    assert valid[:20, 5:].all()
    assert not valid[20:].any()
    assert not valid[:, :5].any()
    assert not values[:, ~valid].any()


@pytest.mark.parametrize("case", ["shifted by a third", "coarser", "rotated", "degrees", "other zone", "south up"])
def test_other_grids_show_the_same_place(tmp_path, case):
    """A scene that is known everywhere is put on another grid, and read back on ours."""
    base = Affine(0.5, 0, WEST - 20, 0, -0.5, NORTH + 20)
    crs, transform = "EPSG:32631", base
    if case == "shifted by a third":
        transform = Affine(0.5, 0, WEST - 20 + 1 / 6, 0, -0.5, NORTH + 20 - 1 / 6)
    elif case == "coarser":
        transform = Affine(0.8, 0, WEST - 20, 0, -0.8, NORTH + 20)
    elif case == "rotated":
        c, t = 0.5 * np.cos(np.radians(31)), 0.5 * np.sin(np.radians(31))
        transform = Affine(c, t, WEST + 12 - 80 * (c + t), t, -c, NORTH - 10 + 80 * (c - t))
    elif case == "south up":
        transform = Affine(0.5, 0, WEST - 20, 0, 0.5, NORTH - 60)
    elif case in ("degrees", "other zone"):
        crs = "EPSG:4326" if case == "degrees" else "EPSG:32632"
        to = Transformer.from_crs("EPSG:32631", crs, always_xy=True)
        (x0, y0), (x1, y1) = to.transform(WEST - 20, NORTH + 20), to.transform(WEST + 60, NORTH - 60)
        transform = Affine((x1 - x0) / 160, 0, x0, 0, (y1 - y0) / 160, y0)
    column, row = np.meshgrid(np.arange(160) + 0.5, np.arange(160) + 0.5)
    x, y = (transform[k] * column + transform[k + 1] * row + transform[k + 2] for k in (0, 3))
    if crs != "EPSG:32631":
        x, y = Transformer.from_crs(crs, "EPSG:32631", always_xy=True).transform(x, y)
    raster = written(tmp_path / "b.tif", smooth(x, y).round().astype(np.uint8), transform, crs)
    grid = Grid(40, 48, WEST, NORTH, 0.5, "EPSG:32631")
    values, valid = whole(RasterPicture(raster, grid))
    assert valid.all()
    np.testing.assert_allclose(values.astype(int), waves(grid).astype(int), atol=2)


def test_degrees_become_metres_of_the_utm_zone(tmp_path):
    transform = Affine(5e-6, 0, 3.0, 0, -4e-6, 52.0)
    raster = written(tmp_path / "d.tif", np.ones((3, 100, 200), np.uint8), transform, "EPSG:4326")
    grid = working_grid(raster)
    assert grid.crs == "EPSG:32631"
    assert 0.3 < grid.gsd < 0.5  # 0.34 m by 0.44 m
    assert whole(RasterPicture(raster, grid))[1].mean() > 0.97
    assert working_grid(raster, gsd=1.0).gsd == 1.0


def test_a_raster_that_lies_elsewhere_is_nowhere_valid(tmp_path):
    raster = written(tmp_path / "a.tif", np.ones((3, 10, 10), np.uint8))
    values, valid = whole(RasterPicture(raster, Grid(20, 20, WEST + 9000, NORTH, 0.5, "EPSG:32631")))
    assert not valid.any()
    assert not values.any()


def test_nodata_does_not_bleed(tmp_path):
    image = np.full((3, 20, 20), 200, np.uint8)
    image[:, :, 10:] = 0
    raster = written(tmp_path / "n.tif", image, nodata=0)
    values, valid = whole(RasterPicture(raster, Grid(20, 20, WEST + 0.2, NORTH, 0.5, "EPSG:32631")))
    assert set(np.unique(values[:, valid])) == {200}
    assert not values[:, ~valid].any()


def test_sixteen_bits_are_stretched_between_percentiles_and_bytes_are_left_alone(tmp_path):
    ramp = np.arange(1000, 1000 + 100 * 100, dtype=np.uint16).reshape(1, 100, 100).repeat(3, 0)
    raster = written(tmp_path / "u.tif", ramp)
    values, _ = whole(RasterPicture(raster, working_grid(raster)))
    assert values.min() == 0
    assert values.max() == 255
    assert values[0, 50, 0] == pytest.approx(127, abs=2)


def test_bands_come_in_the_order_that_is_asked_for(tmp_path):
    image = np.stack([np.full((10, 10), 10 * k, np.uint8) for k in range(1, 6)])
    raster = written(tmp_path / "m.tif", image, photometric="MINISBLACK")
    grid = working_grid(raster)
    assert whole(RasterPicture(raster, grid, bands=(5, 3, 1)))[0][:, 0, 0].tolist() == [50, 30, 10]
    assert whole(RasterPicture(raster, grid))[0][:, 0, 0].tolist() == [10, 20, 30]
    with pytest.raises(DatasetError, match="no such band"):
        RasterPicture(raster, grid, bands=(0,))
    gray = written(tmp_path / "g.tif", image[:1])
    assert RasterPicture(gray, grid).bands == 3


def test_without_a_crs_images_must_have_the_same_pixels(tmp_path):
    image = waves(Grid(12, 16, 0, 12, 1))
    cv2.imwrite(str(tmp_path / "p.png"), image[::-1].transpose(1, 2, 0))
    raster = Raster(tmp_path / "p.png")
    grid = working_grid(raster, gsd=0.3)
    assert (grid.shape, grid.gsd, grid.crs) == ((12, 16), 0.3, None)
    assert (whole(RasterPicture(raster, grid))[0] == image).all()
    with pytest.raises(DatasetError, match="pixels of the other"):
        RasterPicture(raster, Grid(12, 17, 0, 12, 1))


def test_a_shifted_picture_shows_what_lies_there(tmp_path):
    class Along:
        def at(self, columns, rows):
            return np.full(columns.shape, 3.0), np.full(rows.shape, -2.0)

    image = waves(Grid(40, 40, WEST, NORTH, 0.5))
    raster = written(tmp_path / "s.tif", image)
    values, valid = whole(RasterPicture(raster, working_grid(raster)).with_shift(Along()))
    assert (values[:, 2:, :-3] == image[:, :-2, 3:]).all()
    assert not valid[:2].any()
    assert not valid[:, -3:].any()


def test_windows_of_a_large_transformed_raster_join_without_a_seam(tmp_path):
    grid = Grid(200, 220, WEST, NORTH, 0.5, "EPSG:32631")
    to = Transformer.from_crs("EPSG:32631", "EPSG:4326", always_xy=True)
    (x0, y0), (x1, y1) = to.transform(WEST - 20, NORTH + 20), to.transform(WEST + 140, NORTH - 140)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (3, 320, 320)).astype(np.uint8)
    raster = written(tmp_path / "w.tif", image, Affine((x1 - x0) / 320, 0, x0, 0, (y1 - y0) / 320, y0), "EPSG:4326")
    picture = RasterPicture(raster, grid)
    once = whole(picture)[0].astype(int)
    left, right = (picture.read((slice(0, 200), part))[0].astype(int) for part in (slice(0, 110), slice(110, 220)))
    assert np.abs(once - np.concatenate([left, right], 2)).max() <= 2


def test_arrays_must_fit_their_grid():
    with pytest.raises(DatasetError, match="does not fit"):
        ArrayPicture(np.zeros((3, 4, 5), np.uint8), Grid(4, 4, 0, 4, 1))
    picture = ArrayPicture(np.ones((1, 4, 4), np.uint8), Grid(4, 4, 0, 4, 1), np.eye(4, dtype=bool))
    values, valid = whole(picture)
    assert (values[0] == np.eye(4)).all()
    assert valid.sum() == 4
