"""What goes into a map: the place, the dates and routes that people type, and files that are not there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from pyproj import Transformer
from struck import GRID, images, write_tif

from mage.learning.mapping.inputs import Files, area_of, checksum, cut, ends_of, footprint, moment, on_map, place_of
from mage.learning.rasters import Raster
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid


def raster(path, grid=GRID):
    return Raster(write_tif(path, np.ones((1, *grid.shape), np.uint8), grid))


def test_a_map_is_cut_to_what_both_images_show(tmp_path):
    post = raster(tmp_path / "post.tif")
    pre = raster(tmp_path / "pre.tif", replace(GRID, west=GRID.west + 20.25, north=GRID.north + 8))
    grid = place_of(post, pre)
    assert grid == Grid(80, 88, GRID.west + 20, GRID.north, 0.5, GRID.crs)
    assert place_of(post, pre, whole=True) == place_of(post, None) == GRID


def test_images_in_other_projections_overlap_where_they_do(tmp_path):
    post = raster(tmp_path / "post.tif")
    x, y = Transformer.from_crs(GRID.crs, "EPSG:3035", always_xy=True).transform(*GRID.centre)
    pre = raster(tmp_path / "pre.tif", Grid.around(x, y, 400, 0.5, "EPSG:3035"))
    assert place_of(post, pre) == GRID
    assert shapely.covers(footprint(pre, GRID.crs), shapely.box(*GRID.bounds))


def test_images_of_different_places_are_refused_by_name(tmp_path):
    post = raster(tmp_path / "post.tif")
    pre = raster(tmp_path / "pre.tif", replace(GRID, north=GRID.north + 3000))
    with pytest.raises(DatasetError, match=r"pre.tif: the two images do not overlap.*post.tif"):
        place_of(post, pre)


def test_a_map_without_end_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"too large.*coarser --gsd"):
        place_of(raster(tmp_path / "post.tif"), None, gsd=1e-4)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2011-13-01", "11/05/24", "2011-05-24T99:00", "0001-01-01T00:00+23:00"]
)
def test_what_is_no_date_is_refused(text):
    with pytest.raises(DatasetError, match="no such date"):
        moment(text)


@pytest.mark.parametrize("text", ["", "1,2", "1,2 3,4 5,6", "a,b c,d", "1,2,3 4,5", "nan,1 2,3", "1 2"])
def test_what_is_no_route_is_refused(text):
    with pytest.raises(DatasetError, match="no such route"):
        ends_of(text)


def test_a_route_is_taken_in_degrees_where_it_can_be_and_in_metres_elsewhere():
    ends = on_map(((14.999, 47.85), (GRID.west + 3, GRID.north)), GRID)
    assert ends[1] == (GRID.west + 3, GRID.north)
    back = Transformer.from_crs(GRID.crs, "EPSG:4326", always_xy=True).transform(*ends[0])
    np.testing.assert_allclose(back, (14.999, 47.85))
    local = replace(GRID, crs=None)
    assert on_map(((3.0, 4.0), (5.0, 6.0)), local) == ((3.0, 4.0), (5.0, 6.0))


def test_an_area_of_interest_is_what_lies_on_the_map(tmp_path):
    west, south, *_ = GRID.bounds
    two = [shapely.box(west - 50, south, west + 10, south + 10), shapely.box(west + 20, south, west + 30, south + 10)]
    area = area_of(GRID, two, tmp_path)
    assert area.geom_type == "MultiPolygon"
    assert area.area == pytest.approx(200)
    with pytest.raises(DatasetError, match="lies outside the images"):
        area_of(GRID, [shapely.box(0, 0, 1, 1)], tmp_path)
    with pytest.raises(DatasetError, match="no area of interest"):
        area_of(GRID, [], tmp_path)
    with pytest.raises(DatasetError, match="outside the images"):
        cut(GRID, shapely.box(0, 0, 1, 1))


def test_files_that_are_not_there_are_named_with_their_role(tmp_path):
    post = write_tif(tmp_path / "post.tif", images()[1])
    with pytest.raises(DatasetError, match=r"roads.osm: there is no such file for 'roads'"):
        Files(post, roads=tmp_path / "roads.osm").given()
    with pytest.raises(DatasetError, match="found a folder"):
        Files(tmp_path).given()
    with pytest.raises(DatasetError, match="cannot be read"):
        checksum(tmp_path)
    assert Files(post, before=tmp_path).given() == {"post": post}
