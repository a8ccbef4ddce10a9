"""Where samples lie, and how near splits come to each other: closed forms."""

from __future__ import annotations

import pytest
from pyproj import CRS

from mage.generator.release.places import crs_fields, footprint, overlaps
from mage.scenes.dataset.schema import GridRecord
from mage.scenes.errors import DatasetError


def grid(crs, west=500_000.0, north=0.0, side=100, gsd=1.0):
    return GridRecord(rows=side, columns=side, west=west, north=north, gsd=gsd, crs=crs)


def place(split, west, city="a", event="e", chart="m", side=10.0):
    return split, city, event, chart, (west, 0.0, west + side, side)


def test_a_tile_on_the_equator_and_a_central_meridian_lies_where_it_must():
    outline = footprint(grid("EPSG:32631", north=10_000.0))  # zone 31: central meridian 3 degrees east
    west, south, east, _ = outline.bounds
    assert west == pytest.approx(3.0, abs=1e-7)
    assert south == pytest.approx(9_900 / 0.9996 / 110_574, rel=1e-4)  # metres of a degree of latitude there
    assert (east - west) * 111_320 == pytest.approx(100 / 0.9996, rel=1e-3)
    assert outline.exterior.is_ccw


def test_a_frame_without_a_crs_lies_nowhere():
    assert footprint(grid(None)) is None
    assert crs_fields(None) == {"proj:code": None}


def test_a_crs_without_a_code_is_told_as_text():
    own = CRS.from_proj4("+proj=tmerc +lat_0=52 +lon_0=5 +k=1 +x_0=0 +y_0=0 +ellps=WGS84 +units=m").to_wkt()
    fields = crs_fields(own)
    assert fields["proj:code"] is None
    assert fields["proj:wkt2"].startswith("PROJCRS")
    assert crs_fields("EPSG:28992") == {"proj:code": "EPSG:28992"}


@pytest.mark.parametrize("crs", ["EPSG:0", "nonsense", ""])
def test_a_crs_that_is_none_is_one_clear_error(crs):
    with pytest.raises(DatasetError, match="CRS cannot be used"):
        footprint(grid(crs))


def test_tiles_that_lie_on_each_other_are_counted_and_those_that_touch_are_not():
    [pair] = overlaps([place("test", 5.0), place("test", 20.0), place("train", 0.0), place("train", 10.0)])
    assert (pair.first, pair.second, pair.overlapping, pair.apart) == ("test", "train", 1, 0.0)


def test_the_distance_is_that_of_the_nearest_tiles():
    [pair] = overlaps([place("train", 0.0), place("train", 200.0), place("test", 60.0)])
    assert (pair.overlapping, pair.apart) == (0, 50.0)


def test_tiles_on_different_maps_have_no_distance():
    [pair] = overlaps([place("train", 0.0, "a", "x", "m"), place("test", 0.0, "b", "y", "n")])
    assert (pair.overlapping, pair.apart, pair.cities, pair.events) == (0, None, (), ())


def test_cities_and_events_in_both_are_named():
    [pair] = overlaps([place("train", 0.0, "a", "x"), place("test", 90.0, "a", "y")])
    assert (pair.cities, pair.events) == (("a",), ())


def test_one_split_has_nothing_to_be_compared_with():
    assert overlaps([place("train", 0.0)]) == []
