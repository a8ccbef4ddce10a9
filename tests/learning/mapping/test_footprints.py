"""Buildings out of vector files and out of probabilities, and what is said of each."""

from __future__ import annotations

import json

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import Transformer

from mage.learning.mapping import buildings
from mage.learning.mapping.buildings import grade_footprints, outlines
from mage.learning.mapping.maps import UNKNOWN, to_bytes, write_cog
from mage.learning.mapping.vectors import Features, read_features, write_parquet
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

CRS = "EPSG:32631"
GRID = Grid(600, 80, 500_000, 5_800_000, 0.5, CRS)


def box(row, column, rows, columns):
    """A polygon around pixels."""
    (west, north), (east, south) = GRID.to_map(np.array([(column, row), (column + columns, row + rows)]))
    return shapely.box(west, south, east, north)


def written(path, probabilities):
    write_cog(path, GRID, len(probabilities), "uint8", UNKNOWN, lambda file: file.write(to_bytes(probabilities)))
    return path


@pytest.fixture
def scene(tmp_path):
    """A house of grade 0 across the border of two bands, one of grade 1 half of which is not known."""
    p = np.zeros((3, *GRID.shape), np.float32)
    p[0] = 1
    p[:, 500:530, 10:40] = np.array([0.1, 0.8, 0.1])[:, None, None]
    p[:, 100:120, 50:70] = np.array([0.2, 0.2, 0.6])[:, None, None]
    p[:, 100:110, 50:70] = np.nan
    return written(tmp_path / "p.tif", p)


def test_a_building_has_the_mean_of_its_pixels_over_bands_of_the_scene(scene):
    found = grade_footprints(scene, GRID, np.array([box(500, 10, 30, 30), box(100, 50, 20, 20), box(300, 5, 9, 9)]))
    np.testing.assert_allclose(found.located, [0.9, 0.8, 0], atol=0.005)
    np.testing.assert_allclose(found.grades[:2], [[8 / 9, 1 / 9], [0.25, 0.75]], atol=0.005)
    assert np.isnan(found.grades[2]).all()
    assert found.valid.tolist() == [1, 0.5, 1]


def test_buildings_off_the_scene_or_below_a_pixel_are_not_known(scene):
    found = grade_footprints(scene, GRID, np.array([box(0, 500, 9, 9), box(500.6, 10.6, 0.3, 0.3)]))
    assert found.valid.tolist() == [0, 0]
    assert np.isnan(found.located).all()


def likely(tmp_path, built):
    return written(tmp_path / "likely.tif", np.stack([1 - built, built]).astype(np.float32))


def test_houses_that_a_low_threshold_would_join_meet_where_they_are_least_likely(tmp_path):
    built = np.zeros(GRID.shape)
    built[100:120, 10:50] = 0.4  # a yard between two houses
    built[100:120, 10:28] = built[100:120, 34:50] = 0.9
    built[100:120, 30] = 0.3
    built[300:320, 10:40] = 0.6  # nothing of it is sure
    west, east = sorted(outlines(likely(tmp_path, built), GRID, threshold=0.25), key=lambda shape: shape.bounds[0])
    assert west.touches(east)
    assert west.bounds[2] == pytest.approx(box(100, 30, 1, 1).bounds[0], abs=0.5)
    assert (west.area, east.area) == (pytest.approx(20 * 20 / 4, rel=0.06), pytest.approx(20 * 20 / 4, rel=0.06))
    assert [shape.area for shape in outlines(likely(tmp_path, built), GRID)] == [18 * 20 / 4, 16 * 20 / 4]


def test_what_is_sure_on_a_few_pixels_alone_is_no_building(tmp_path):
    built = np.zeros(GRID.shape)
    built[100:120, 10:30], built[110:115, 15:20] = 0.5, 0.9
    assert len(outlines(likely(tmp_path, built), GRID)) == 0


def test_outlines_do_not_depend_on_the_blocks_that_they_are_drawn_in(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    built = np.zeros(GRID.shape)
    for row, column in rng.integers(0, (580, 60), (60, 2)):
        built[row : row + 14, column : column + 14] = np.maximum(
            built[row : row + 14, column : column + 14], rng.uniform(0.4, 1)
        )
    path = likely(tmp_path, built)
    whole = outlines(path, GRID, threshold=0.3)
    monkeypatch.setattr(buildings, "BLOCK", 50)
    monkeypatch.setattr(buildings, "HALO", 600)
    assert [shape.wkt for shape in outlines(path, GRID, threshold=0.3)] == [shape.wkt for shape in whole]
    monkeypatch.setattr(buildings, "HALO", 40)  # what is longer is cut off
    assert sum(shape.area for shape in outlines(path, GRID, threshold=0.3)) <= sum(shape.area for shape in whole)


def test_no_building_is_no_trouble(scene):
    found = grade_footprints(scene, GRID, np.array([], dtype=object))
    assert found.grades.shape == (0, 2)


def test_outlines_are_those_of_the_pixels_that_are_likelier_building(scene):
    north, south = outlines(scene, GRID)
    assert shapely.symmetric_difference(south, box(500, 10, 30, 30)).area < 2
    assert shapely.symmetric_difference(north, box(110, 50, 10, 20)).area < 2
    assert len(outlines(scene, GRID, least=60)) == 1


def test_a_map_of_another_scene_is_refused(scene):
    with pytest.raises(DatasetError, match="not of this scene"):
        outlines(scene, Grid(600, 81, 0, 300, 0.5, CRS))
    scene.write_bytes(b"not a raster")
    with pytest.raises(DatasetError, match="cannot be read"):
        outlines(scene, GRID)


HOUSES = [shapely.box(500_010, 5_799_900, 500_020, 5_799_912), shapely.box(500_030, 5_799_950, 500_036, 5_799_958)]


def in_degrees():
    to = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    return [shapely.transform(house, lambda xy: np.column_stack(to.transform(*xy.T))) for house in HOUSES]


def geojson(path, geometries):
    features = [
        {
            "type": "Feature",
            "properties": {"name": f"house {k}"},
            "geometry": None if g is None else json.loads(shapely.to_geojson(g)),
        }
        for k, g in enumerate(geometries)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def geopackage(path):
    named = path.with_suffix(".gpkg")  # GDAL would warn of another name
    pyogrio.raw.write(
        named,
        shapely.to_wkb(np.array(HOUSES)),
        [np.array(["house 0", "house 1"], object)],
        ["name"],
        driver="GPKG",
        geometry_type="Polygon",
        crs=CRS,
        layer="buildings",
    )
    return named.rename(path)


def parquet(path):
    write_parquet(path, Features(np.array(HOUSES), {"name": np.array(["house 0", "house 1"])}), CRS)
    return path


@pytest.mark.parametrize("write", [lambda p: geojson(p, in_degrees()), geopackage, parquet])
def test_footprints_come_from_every_format_in_the_frame_of_the_map(tmp_path, write):
    found = read_features(write(tmp_path / "houses.dat"), CRS, 2)
    assert found.attributes["name"].tolist() == ["house 0", "house 1"]
    for one, other in zip(found.geometry, HOUSES, strict=True):
        assert shapely.symmetric_difference(one, other).area < 1e-3
    assert found.left_out == 0


def test_another_zone_is_projected_and_nowhere_is_left_alone(tmp_path):
    file = geopackage(tmp_path / "h.gpkg")
    moved = read_features(file, "EPSG:32632", 2)
    assert abs(moved.geometry[0].centroid.x - 500_015) > 10_000
    assert read_features(file, None, 2).geometry[0].equals(HOUSES[0])


def test_bow_ties_are_mended_and_points_and_empties_left_out(tmp_path):
    bow = shapely.Polygon([(3, 52), (3.001, 52.001), (3.001, 52), (3, 52.001)])
    file = geojson(tmp_path / "b.json", [bow, shapely.Point(3, 52), shapely.Polygon(), None])
    found = read_features(file, CRS, 2)
    assert len(found) == 1
    assert shapely.is_valid(found.geometry[0])
    assert found.left_out == 3
    assert len(read_features(file, CRS, 0)) == 1


def test_an_empty_file_is_valid(tmp_path):
    assert len(read_features(geojson(tmp_path / "e.json", []), CRS, 2)) == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a vector file"),
        (b"<gml/>", "not a vector file"),
        (b"{", "cannot be read"),
        (b'{"type": "FeatureCollection"', "cannot be read"),
        (b"SQLite format 3\0 and then nothing", "cannot be read"),
        (b"PAR1PAR1", "cannot be read"),
    ],
)
def test_files_that_are_none_are_one_clear_error(tmp_path, content, said):
    file = tmp_path / "x.gpkg"
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=said):
        read_features(file, CRS, 2)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(DatasetError, match="no such file"):
        read_features(tmp_path / "none.gpkg", CRS, 2)


def test_parquet_without_geometry_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(DatasetError, match="not GeoParquet"):
        read_features(tmp_path / "a.parquet", CRS, 2)
