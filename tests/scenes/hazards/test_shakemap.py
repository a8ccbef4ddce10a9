"""Maps of shaking as files."""

from __future__ import annotations

import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.transform import Affine
from struck_cities import box_city

from mage.scenes.errors import HazardError
from mage.scenes.hazards.earthquake import EarthquakePart, sample_earthquake
from mage.scenes.hazards.shakemap import read_shakemap
from mage.scenes.hazards.structures import building_places

ORIGIN = (500_000.0, 4_000_000.0)  # UTM 37N: 39 degrees east, 36.1 north
WEST, SOUTH, STEP, COLUMNS, ROWS = 38.98, 36.12, 0.01, 6, 5


def from_origin(west, north, width, height):
    return Affine(width, 0, west, 0, -height, north)  # rasterio's own multiplies, which a new affine warns of


@pytest.fixture
def city():
    return box_city(16, crs="EPSG:32637", origin=ORIGIN)


def plane(lon, lat):
    """Shaking in g that is linear over degrees, so that interpolation between points is exact."""
    return 0.2 + 3 * (lon - 39) + 2 * (lat - 36.14)


def expected(city):
    to = Transformer.from_crs("EPSG:32637", "EPSG:4326", always_xy=True)
    lon, lat = to.transform(*(building_places(city) + ORIGIN).T)
    return plane(lon, lat)


def grid_xml(*, rows=None, nlon=COLUMNS, doctype="", unit="pctg", name="PGA", root="shakemap_grid", extra=""):
    if rows is None:
        rows = [
            f"{lon:.4f} {lat:.4f} 6.5 {100 * plane(lon, lat):.9f}"
            for lat in SOUTH + STEP * np.arange(ROWS)[::-1]
            for lon in WEST + STEP * np.arange(COLUMNS)
        ]
    newline = "\n"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>{doctype}
<{root} xmlns="http://earthquake.usgs.gov/eqcenter/shakemap" event_id="made-up">
<event event_id="made-up" magnitude="7.0" depth="10" lat="36.1" lon="39.0"/>
<grid_specification lon_min="{WEST}" lat_min="{SOUTH}" lon_max="{WEST + STEP * (COLUMNS - 1):.4f}"
  lat_max="{SOUTH + STEP * (ROWS - 1):.4f}" nominal_lon_spacing="{STEP}" nominal_lat_spacing="{STEP}"
  nlon="{nlon}" nlat="{ROWS}"/>{extra}
<grid_field index="1" name="LON" units="dd"/><grid_field index="2" name="LAT" units="dd"/>
<grid_field index="3" name="MMI" units="intensity"/><grid_field index="4" name="{name}" units="{unit}"/>
<grid_data>
{newline.join(rows)}
</grid_data>
</{root}>
"""


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_grid_is_read_back_at_the_buildings(tmp_path, city):
    path = write(tmp_path / "grid.xml", grid_xml())
    np.testing.assert_allclose(read_shakemap(path, building_places(city), city), expected(city), rtol=1e-6)


def test_a_packed_grid_is_read_as_well(tmp_path, city):
    with zipfile.ZipFile(tmp_path / "grid.xml.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("grid.xml", grid_xml())
    found = read_shakemap(tmp_path / "grid.xml.zip", building_places(city), city)
    np.testing.assert_allclose(found, expected(city), rtol=1e-6)


def test_the_order_of_a_grids_places_does_not_matter(tmp_path, city):
    rows = grid_xml().split("<grid_data>")[1].split("</grid_data>")[0].strip().splitlines()
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    path = write(tmp_path / "grid.xml", grid_xml(rows=shuffled))
    np.testing.assert_allclose(read_shakemap(path, building_places(city), city), expected(city), rtol=1e-6)


def geotiff(path, values, crs="EPSG:4326", transform=None):
    transform = transform or from_origin(WEST - STEP / 2, SOUTH + STEP * (ROWS - 0.5), STEP, STEP)
    with rasterio.open(
        path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1, dtype="float64", crs=crs,
        transform=transform,
    ) as file:  # fmt: skip
        file.write(values, 1)
    return path


def degrees():
    return plane(WEST + STEP * np.arange(COLUMNS), (SOUTH + STEP * np.arange(ROWS)[::-1])[:, None])


def test_a_geotiff_in_degrees_is_read_back_at_the_buildings(tmp_path, city):
    path = geotiff(tmp_path / "pga.tif", degrees())
    np.testing.assert_allclose(read_shakemap(path, building_places(city), city), expected(city), rtol=1e-6)


def test_a_geotiff_in_the_citys_own_metres_is_read_back_at_the_buildings(tmp_path, city):
    x, y = np.meshgrid(np.arange(10) * 50.0, 400 - np.arange(10) * 50.0)
    transform = from_origin(ORIGIN[0] - 25, ORIGIN[1] + 425, 50, 50)
    path = geotiff(tmp_path / "pga.tif", 0.1 + x / 1000 + y / 2000, "EPSG:32637", transform)
    at = building_places(city)
    found = read_shakemap(path, at, city)
    np.testing.assert_allclose(found, 0.1 + at[:, 0] / 1000 + at[:, 1] / 2000, rtol=1e-9)


def test_an_earthquake_on_a_map_has_its_shaking_and_counts_it_as_a_median(tmp_path, city):
    path = write(tmp_path / "grid.xml", grid_xml())
    strike = sample_earthquake(np.random.default_rng(0), city, EarthquakePart(shakemap=str(path)))
    np.testing.assert_allclose(strike.intensity, expected(city), rtol=1e-6)
    assert strike.parameters["shakemap"] == "grid.xml"
    assert strike.parameters["explicit"] == 0


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>'
ROW = "38.9800 36.1600 6.5 20"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (grid_xml(doctype=BOMB), "DOCTYPE"),
        (grid_xml(doctype='<!DOCTYPE grid SYSTEM "file:///etc/passwd">'), "DOCTYPE"),
        (grid_xml(nlon=7), "another size"),
        (grid_xml(nlon=1), "no grid"),
        (grid_xml(nlon=10**9), "no grid"),
        (grid_xml(nlon="6.5"), "no extent"),
        (grid_xml(nlon="many"), "no number"),
        (grid_xml(nlon="nan"), "no number"),
        (grid_xml(rows=[ROW] * 29), "another size"),
        (grid_xml(rows=[ROW] * 30), "places are not those"),
        (grid_xml(rows=[ROW] * 29 + ["38.98 36.16 6.5 NaN"]), "without a value"),
        (grid_xml(rows=[ROW] * 29 + ["38.98 36.16 6.5 strong"]), "no number"),
        (grid_xml().replace(" 6.5 ", " 6.5 9"), "no acceleration"),
        (grid_xml().replace(" 6.5 ", " 6.5 -"), "no acceleration"),
        (grid_xml(unit="cms"), "unknown unit"),
        (grid_xml(name="PGV"), "no PGA"),
        (grid_xml(root="kml"), "no ShakeMap"),
        (grid_xml(extra="<a>" * 20), "nested too deeply"),
        (grid_xml()[:-20], "broken XML"),
        (grid_xml().replace('index="4"', 'index="9"'), "share columns or leave"),
        (grid_xml().replace('index="4"', 'index="3"'), "share columns or leave"),
        (grid_xml(rows=["1" * 200_000]), "no number"),
        (grid_xml(rows=["1 " * 300]), "another size"),
        ("", "no map of shaking"),
        ("PK\3\4 and no more", "archive"),
        ("II*\0 and no more", "broken GeoTIFF"),
    ],
)
def test_a_hostile_or_broken_map_is_one_error_that_names_it(tmp_path, city, text, message):
    path = write(tmp_path / "grid.xml", text)
    with pytest.raises(HazardError, match=message) as caught:
        read_shakemap(path, building_places(city), city)
    assert caught.value.file == path


def test_a_doctype_in_another_encoding_is_refused_too(tmp_path, city):
    path = tmp_path / "grid.xml"
    path.write_bytes(grid_xml(doctype=BOMB).replace("UTF-8", "UTF-16").encode("utf-16"))
    with pytest.raises(HazardError, match="DOCTYPE"):
        read_shakemap(path, building_places(city), city)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_map_damaged_anywhere_is_read_or_one_error(tmp_path, city, data):
    raw = bytearray(grid_xml().encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=4))
    (tmp_path / "grid.xml").write_bytes(bytes(raw))
    try:
        pga = read_shakemap(tmp_path / "grid.xml", building_places(city), city)
    except HazardError:
        return
    assert np.isfinite(pga).all()


def test_a_table_longer_than_its_grid_is_refused_before_it_fills_the_memory(tmp_path, city):
    path = write(tmp_path / "grid.xml", grid_xml(rows=["1 " * 3_000_000]))
    tracemalloc.start()
    with pytest.raises(HazardError, match="another size"):
        read_shakemap(path, building_places(city), city)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def test_a_map_of_another_body_or_a_city_without_a_real_coordinate_system_is_one_error(tmp_path, city):
    moon = "+proj=longlat +a=1737400 +b=1737400 +no_defs"
    with pytest.raises(HazardError, match="one and the same body"):
        read_shakemap(geotiff(tmp_path / "moon.tif", degrees(), moon), building_places(city), city)
    lost = replace(city, crs="EPSG:999999")
    for path in (write(tmp_path / "grid.xml", grid_xml()), geotiff(tmp_path / "pga.tif", degrees())):
        with pytest.raises(HazardError, match="EPSG:999999"):
            read_shakemap(path, building_places(lost), lost)


@pytest.mark.parametrize(("unit", "scale"), [("%g", 100), ("pctg", 100), ("g", 1), ("", 1)])
def test_a_geotiff_counts_in_the_unit_that_it_states(tmp_path, city, unit, scale):
    path = geotiff(tmp_path / "pga.tif", scale * degrees())
    with rasterio.open(path, "r+") as file:
        file.units = [unit]
    np.testing.assert_allclose(read_shakemap(path, building_places(city), city), expected(city), rtol=1e-6)


def test_a_geotiff_in_another_unit_is_one_error_stated_or_not(tmp_path, city):
    path = geotiff(tmp_path / "pga.tif", 16 * degrees())  # 3.2 on average: no shaking in g
    with pytest.raises(HazardError, match="no acceleration"):
        read_shakemap(path, building_places(city), city)
    path = geotiff(tmp_path / "pgv.tif", degrees())
    with rasterio.open(path, "r+") as file:
        file.units = ["cm/s"]
    with pytest.raises(HazardError, match="unknown unit"):
        read_shakemap(path, building_places(city), city)


def test_a_map_of_elsewhere_is_one_error(tmp_path):
    path = write(tmp_path / "grid.xml", grid_xml())
    raster = geotiff(tmp_path / "pga.tif", degrees())
    far = box_city(4, crs="EPSG:32637", origin=(700_000.0, 4_400_000.0))
    for file in (path, raster):
        with pytest.raises(HazardError, match="does not cover"):
            read_shakemap(file, building_places(far), far)


def test_a_raster_with_voids_under_buildings_is_one_error(tmp_path, city):
    values = degrees()
    values[1:4, 1:4] = np.nan
    path = geotiff(tmp_path / "pga.tif", values)
    with pytest.raises(HazardError, match=r"no acceleration.*nan"):
        read_shakemap(path, building_places(city), city)


def test_a_raster_in_feet_is_one_error(tmp_path, city):
    path = geotiff(tmp_path / "pga.tif", degrees(), "EPSG:2263", from_origin(0, 0, 10, 10))
    with pytest.raises(HazardError, match="not metres"):
        read_shakemap(path, building_places(city), city)


def test_a_city_that_is_nowhere_has_no_map(tmp_path):
    path = write(tmp_path / "grid.xml", grid_xml())
    nowhere = box_city(4)
    with pytest.raises(HazardError, match="nowhere on Earth"):
        read_shakemap(path, building_places(nowhere), nowhere)


def test_a_file_that_is_not_there_is_one_error(city):
    with pytest.raises(HazardError, match="cannot be read"):
        read_shakemap(Path("no") / "grid.xml", building_places(city), city)
