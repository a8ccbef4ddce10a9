"""Pixels and map coordinates."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio.transform
from hypothesis import given
from hypothesis import strategies as st

from mage.scenes.grid import Grid, row_blocks

GRIDS = st.builds(
    Grid,
    rows=st.integers(1, 300),
    columns=st.integers(1, 300),
    west=st.floats(-1e6, 1e6),
    north=st.floats(-1e6, 1e6),
    gsd=st.floats(0.05, 30),
)
POINTS = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1, max_size=9)


@given(GRIDS, POINTS)
def test_going_to_the_map_and_back_ends_where_it_began(grid, points):
    pixels = np.array(points)
    assert np.allclose(grid.to_pixel(grid.to_map(pixels)), pixels, atol=1e-6)


@given(GRIDS)
def test_the_map_of_a_pixel_agrees_with_rasterio(grid):
    transform = rasterio.transform.Affine(*grid.transform)
    x, y = rasterio.transform.xy(transform, [0, grid.rows - 1], [0, grid.columns - 1])  # centres
    assert np.allclose(grid.to_map(np.array([[0.5, 0.5], [grid.columns - 0.5, grid.rows - 0.5]])), np.stack([x, y], 1))


@given(GRIDS)
def test_all_centres_lie_within_the_bounds_row_by_row_from_the_north_west(grid):
    west, south, east, north = grid.bounds
    points = grid.points()
    assert points.shape == (grid.rows * grid.columns, 2)
    assert ((points > (west, south)) & (points < (east, north))).all()
    assert np.allclose(grid.to_pixel(points[[0, -1]]), [[0.5, 0.5], [grid.columns - 0.5, grid.rows - 0.5]], atol=1e-4)


def test_a_padded_grid_keeps_its_lattice():
    grid = Grid(3, 4, 10.0, 20.0, 0.5, "EPSG:28992")
    padded = grid.padded(2)
    assert padded.shape == (7, 8)
    assert np.array_equal(padded.to_map(np.array([[2.0, 2.0]])), [[10.0, 20.0]])
    assert (padded.crs, padded.centre) == (grid.crs, grid.centre)


def test_a_resampled_grid_covers_the_same_ground():
    grid = Grid(3, 4, 10.0, 20.0, 0.5)
    assert grid.resampled(4).bounds == grid.bounds
    assert grid.resampled(4).shape == (12, 16)


def test_a_moved_grid_has_the_same_pixels_elsewhere():
    moved = Grid(3, 4, 10.0, 20.0, 0.5).moved(100, -5, "EPSG:32631")
    assert (moved.west, moved.north, moved.shape, moved.crs) == (110.0, 15.0, (3, 4), "EPSG:32631")


def test_a_grid_around_a_point_has_it_in_the_middle():
    grid = Grid.around(7.0, -3.0, 512, 0.5)
    assert grid.centre == (7.0, -3.0)
    assert grid.bounds == (-121.0, -131.0, 135.0, 125.0)


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.floats(0.1, 900), st.floats(0.1, 900), st.floats(0.05, 5))
def test_a_covering_grid_reaches_all_bounds_and_not_a_pixel_further(west, south, width, height, gsd):
    grid = Grid.covering((west, south, west + width, south + height), gsd)
    slack = 1e-6
    assert (grid.west, grid.north) == (west, south + height)
    assert 0 <= grid.columns * gsd - width + slack <= gsd + 2 * slack
    assert 0 <= grid.rows * gsd - height + slack <= gsd + 2 * slack


def test_rounding_does_not_add_a_pixel_to_a_covering_grid():
    assert Grid.covering((0.1, 0.1, 0.4, 0.4), 0.1).shape == (3, 3)


@pytest.mark.parametrize(
    ("rows", "columns", "gsd"), [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, -1), (1, 1, float("nan"))]
)
def test_a_grid_of_nothing_is_refused(rows, columns, gsd):
    with pytest.raises(ValueError, match="above zero"):
        Grid(rows, columns, 0, 0, gsd)


@given(GRIDS, st.floats(-0.2, 1.2), st.floats(-0.2, 1.2), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_window_holds_every_centre_within_its_bounds_at_its_own_place(
    grid: Grid, across: float, down: float, width: float, height: float
) -> None:
    west, south, east, north = grid.bounds
    left, top = west + across * (east - west), north - down * (north - south)
    bounds = (left, top - height * (north - south), left + width * (east - west), top)
    window = grid.window(bounds)
    x, y = grid.centres()
    rows, columns = window
    chosen = np.flatnonzero((y >= bounds[1]) & (y <= bounds[3])), np.flatnonzero((x >= bounds[0]) & (x <= bounds[2]))
    for own, wanted in ((rows, chosen[0]), (columns, chosen[1])):
        assert not len(wanted) or (own.start <= wanted[0] and wanted[-1] < own.stop)
    if rows.stop > rows.start and columns.stop > columns.start:
        for own, of in zip(grid.part(window).centres(), (x[columns], y[rows]), strict=True):
            assert own == pytest.approx(of, abs=1e-3 * grid.gsd)


@given(st.integers(0, 2000), st.integers(0, 40_000))
def test_blocks_of_rows_hold_every_row_once_and_in_order(rows, columns):
    held = [row for block in row_blocks((rows, columns)) for row in range(rows)[block]]
    assert held == list(range(rows))
