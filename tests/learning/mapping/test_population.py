"""People in an area and affected ones: sums that no reprojection changes, closed forms, hostile rasters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from pyproj import Transformer

from mage.learning.mapping.findings import Buildings, Extent, Observed
from mage.learning.mapping.population import read_population, shares
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

CRS = "EPSG:32633"
WEST, NORTH = 500_000.0, 5_300_400.0
PLACE = Grid(400, 400, WEST, NORTH, 1.0, CRS)  # 4 x 4 pixels of 100 m
AREA = shapely.box(*PLACE.bounds)
PEOPLE = np.arange(16, dtype=np.float32).reshape(4, 4)


def raster(path: Path, people: ArrayLike, *, crs=CRS, transform=None, nodata=None, bands=1) -> Path:
    values = np.asarray(people)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=values.shape[0],
        width=values.shape[1],
        count=bands,
        dtype=values.dtype,
        crs=crs,
        transform=transform or rasterio.Affine(100, 0, WEST, 0, -100, NORTH),
        nodata=nodata,
    ) as file:
        for band in range(1, bands + 1):
            file.write(values, band)
    return path


def houses(*boxes: tuple[float, float, float, float], verdict: str = "Destroyed") -> Buildings:
    """Buildings in metres from the south-west corner of the place."""
    count = len(boxes)
    outline = np.empty(count, dtype=object)
    outline[:] = [shapely.box(WEST + a, NORTH - 400 + b, WEST + c, NORTH - 400 + d) for a, b, c, d in boxes]
    words, known = np.full(count, "", dtype="<U20"), np.zeros(count)
    return Buildings(
        np.array([str(k) for k in range(count)], dtype="<U9"),
        outline,
        words,
        words,
        known,
        np.zeros((count, 4)),
        known,
        known,
        np.full(count, verdict, dtype="<U17"),
        words,
    )


NOBODY_HOME, DRY = houses(), Observed(())


def flooded(*boxes: tuple[float, float, float, float], what: str = "flood") -> Observed:
    outline = houses(*boxes).outline
    return Observed((Extent(what, outline, np.ones(len(outline)), np.full(len(outline), "Riverine flood")),))


def test_all_people_of_a_raster_are_in_the_area_that_it_covers(tmp_path):
    found = read_population(raster(tmp_path / "p.tif", PEOPLE), PLACE, AREA, NOBODY_HOME, DRY)
    assert (found.total, found.affected) == (PEOPLE.sum(), 0)


def test_half_a_pixel_has_half_its_people(tmp_path):
    path = raster(tmp_path / "p.tif", PEOPLE)
    west = shapely.box(WEST, NORTH - 400, WEST + 150, NORTH)
    found = read_population(path, PLACE, west, NOBODY_HOME, DRY)
    assert found.total == pytest.approx(PEOPLE[:, 0].sum() + PEOPLE[:, 1].sum() / 2)


DEGREES = rasterio.Affine(0.001, 0, 14.998, 0, -0.001, 47.858)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", DEGREES),
        ("ESRI:54009", rasterio.Affine(100, 0, 1_190_000, 0, -100, 5_640_000)),
        ("EPSG:3035", rasterio.Affine(100, 30, 4_690_000, 30, -100, 2_760_000)),  # a turned one
    ],
)
def test_people_are_neither_lost_nor_doubled_in_another_frame(tmp_path, crs, transform):
    rng = np.random.default_rng(3)
    to_raster = Transformer.from_crs(CRS, crs, always_xy=True)
    steps, corner = np.array([[transform.a, transform.b], [transform.d, transform.e]]), (transform.c, transform.f)
    middle = np.linalg.solve(steps, np.subtract(to_raster.transform(WEST + 200, NORTH - 200), corner))
    east, north = corner + steps @ (np.floor(middle) - 20)
    centred = rasterio.Affine(transform.a, transform.b, east, transform.d, transform.e, north)
    people = rng.uniform(0, 50, (40, 40)).astype(np.float32)
    path = raster(tmp_path / "p.tif", people, crs=crs, transform=centred)
    halves = [
        shapely.box(WEST, NORTH - 400, WEST + 171.3, NORTH),
        shapely.box(WEST + 171.3, NORTH - 400, WEST + 400, NORTH),
    ]
    parts = [read_population(path, PLACE, half, NOBODY_HOME, DRY).total for half in halves]
    whole = read_population(path, PLACE, AREA, NOBODY_HOME, DRY).total
    assert sum(parts) == pytest.approx(whole, rel=1e-6)
    # evenly spread people: as many as pixels of their size on the ground fill the area
    even = raster(tmp_path / "even.tif", np.ones_like(people), crs=crs, transform=centred)
    pixels = np.floor(middle) + np.array([(0, 0), (1, 0), (0, 1)])
    x, y = to_raster.transform(*(corner + pixels @ steps.T).T, direction="INVERSE")
    pixel = abs((x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0]))
    assert read_population(even, PLACE, AREA, NOBODY_HOME, DRY).total == pytest.approx(160_000 / pixel, rel=2e-3)


def test_within_a_pixel_people_live_in_its_buildings_by_their_ground(tmp_path):
    path = raster(tmp_path / "p.tif", np.full((4, 4), 40.0, np.float32))
    destroyed, whole = houses((10, 10, 20, 20)), houses((30, 10, 60, 20), verdict="No visible damage")
    both = Buildings(
        *(
            np.concatenate([getattr(destroyed, name), getattr(whole, name)])
            for name in (
                "identity",
                "outline",
                "kind",
                "name",
                "located",
                "grades",
                "entropy",
                "valid",
                "verdict",
                "method",
            )
        )
    )
    assert read_population(path, PLACE, AREA, both, DRY).affected == pytest.approx(10)
    # water over half of the pixel's ground touches the larger house alone, and nobody lives on the ground
    assert read_population(path, PLACE, AREA, both, flooded((25, 0, 100, 100))).affected == pytest.approx(40)


def test_a_building_across_pixels_has_people_of_each(tmp_path):
    people = np.zeros((4, 4), np.float32)
    people[3, :2] = 12, 30
    path = raster(tmp_path / "p.tif", people)
    assert read_population(path, PLACE, AREA, houses((90, 10, 130, 20)), DRY).affected == pytest.approx(42)


@pytest.mark.parametrize(
    ("verdict", "share"),
    [("Destroyed", 1), ("Damaged", 1), ("Possibly damaged", 1), ("No visible damage", 0), ("Not Analysed", 0)],
)
def test_affected_are_those_that_the_services_tables_add_up(tmp_path, verdict, share):
    people = np.zeros((4, 4), np.float32)
    people[3, 0] = 8
    path = raster(tmp_path / "p.tif", people)
    assert read_population(path, PLACE, AREA, houses((10, 10, 20, 20), verdict=verdict), DRY).affected == 8 * share


def test_where_no_building_stands_people_are_spread_over_the_ground(tmp_path):
    path = raster(tmp_path / "p.tif", np.full((4, 4), 40.0, np.float32))
    assert read_population(path, PLACE, AREA, NOBODY_HOME, flooded((0, 0, 50, 100))).affected == pytest.approx(20)
    assert read_population(
        path, PLACE, AREA, NOBODY_HOME, flooded((0, 0, 50, 100), what="burn")
    ).affected == pytest.approx(20)
    assert read_population(path, PLACE, AREA, NOBODY_HOME, flooded((0, 0, 50, 100), what="debris")).affected == 0
    # of a pixel that the area cuts, the flooded share of its part within
    half = shapely.box(WEST, NORTH - 400, WEST + 50, NORTH)
    found = read_population(path, PLACE, half, NOBODY_HOME, flooded((0, 0, 50, 50)))
    assert (found.total, found.affected) == pytest.approx((80, 10))


def test_nodata_and_numbers_below_nought_are_nobody(tmp_path):
    people = PEOPLE.copy()
    people[0], people[1, 1], people[2, 2] = -99_999, -1, np.nan
    path = raster(tmp_path / "p.tif", people, nodata=-99_999)
    expected = PEOPLE[1:].sum() - PEOPLE[1, 1] - PEOPLE[2, 2]
    assert read_population(path, PLACE, AREA, NOBODY_HOME, DRY).total == expected


def test_a_raster_that_covers_a_part_counts_that_part(tmp_path):
    path = raster(
        tmp_path / "p.tif", PEOPLE[:2, :2], transform=rasterio.Affine(100, 0, WEST + 300, 0, -100, NORTH + 100)
    )
    found = read_population(path, PLACE, AREA, houses((310, 310, 320, 320), (10, 10, 20, 20)), DRY)
    assert (found.total, found.affected) == (PEOPLE[1, 0], PEOPLE[1, 0])


def test_a_map_that_is_nowhere_on_earth_takes_a_raster_in_its_own_metres(tmp_path):
    nowhere = Grid(400, 400, 0, 400, 1.0)
    path = raster(tmp_path / "p.tif", PEOPLE, crs=None, transform=rasterio.Affine(100, 0, 0, 0, -100, 400))
    found = read_population(path, nowhere, shapely.box(0, 0, 400, 100), NOBODY_HOME, DRY)
    assert found.total == PEOPLE[3].sum()


def test_rasters_that_cannot_be_counted_are_errors(tmp_path):
    def read(path: Path, grid: Grid = PLACE) -> None:
        read_population(path, grid, shapely.box(*grid.bounds), NOBODY_HOME, DRY)

    far = raster(tmp_path / "far.tif", PEOPLE, transform=rasterio.Affine(100, 0, WEST + 5000, 0, -100, NORTH))
    with pytest.raises(DatasetError, match="lies elsewhere"):
        read(far)
    with pytest.raises(DatasetError, match="one band"):
        read(raster(tmp_path / "two.tif", PEOPLE, bands=2))
    with pytest.raises(DatasetError, match="in the map's frame"):
        read(raster(tmp_path / "none.tif", PEOPLE, crs=None))
    with pytest.raises(DatasetError, match="in the map's frame"):
        read(raster(tmp_path / "some.tif", PEOPLE), Grid(4, 4, 0, 400, 100.0))
    with pytest.raises(DatasetError, match="no such raster"):
        read(tmp_path / "missing.tif")
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(DatasetError, match="not a raster"):
        read(tmp_path / "text.tif")
    other = raster(tmp_path / "antipodes.tif", PEOPLE, crs="EPSG:32701")
    with pytest.raises(DatasetError, match="lies elsewhere"):
        read(other)


def test_too_fine_a_raster_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("mage.learning.mapping.population.LARGEST", 15)
    with pytest.raises(DatasetError, match="too fine"):
        read_population(raster(tmp_path / "p.tif", PEOPLE), PLACE, AREA, NOBODY_HOME, DRY)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.floats(-1, 7), st.floats(-1, 6)), min_size=3, max_size=8),
    st.integers(0, 2),
    st.integers(0, 2),
)
def test_shares_add_up_to_the_polygons_surface_and_are_those_of_each_pixel(corners, row, column):
    polygon = shapely.convex_hull(shapely.MultiPoint(corners))
    found = shares(polygon, (4, 5), (row, column))
    inside = polygon.intersection(shapely.box(column, row, column + 5, row + 4))
    assert found.sum() == pytest.approx(inside.area, abs=1e-9)
    cell = shapely.box(column + 2, row + 1, column + 3, row + 2)
    assert found[1, 2] == pytest.approx(polygon.intersection(cell).area, abs=1e-9)
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-9


def test_many_buildings_are_spread_part_by_part_as_at_once(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 380, (60, 2))
    many = houses(*[(x, y, x + 15, y + 12) for x, y in corners.tolist()])
    path = raster(tmp_path / "p.tif", PEOPLE)
    whole = read_population(path, PLACE, AREA, many, DRY)
    monkeypatch.setattr("mage.learning.mapping.population.CELLS_AT_ONCE", 7)
    assert read_population(path, PLACE, AREA, many, DRY).affected == pytest.approx(whole.affected)
    assert 0 < whole.affected <= whole.total
