"""The ground and the water that stands on it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mage.scenes.grid import Grid
from mage.scenes.mesh import Surface
from mage.scenes.terrain import Terrain, depth_at, extended_levels, neighbours

HEIGHTS = hnp.arrays(float, (4, 5), elements=st.floats(-20, 20))
INSIDE = st.lists(st.tuples(st.floats(0, 8), st.floats(0, 6)), min_size=1, max_size=12)


def terrain_of(heights, step=2.0):
    heights = np.asarray(heights, float)
    return Terrain(heights, 0.0, (heights.shape[0] - 1) * step, step)


def height_on_mesh(mesh, x, y):
    """Height of a mesh above (x, y) by barycentric coordinates of the triangle that holds it."""
    for a, b, c in mesh.vertices[mesh.triangles]:
        u, v = np.linalg.solve(np.stack([b - a, c - a], axis=1)[:2], np.array([x, y]) - a[:2])
        if min(u, v, 1 - u - v) >= -1e-9:
            return a[2] + u * (b - a)[2] + v * (c - a)[2]
    return None


@given(HEIGHTS, INSIDE)
def test_what_is_sampled_is_the_surface_of_the_mesh(heights, points):
    terrain = terrain_of(heights)
    mesh = terrain.mesh()
    sampled = terrain.sample(np.array(points))
    assert np.allclose(sampled, [height_on_mesh(mesh, x, y) for x, y in points], atol=1e-6)


@given(HEIGHTS)
def test_at_the_vertices_the_height_is_that_of_the_vertex(heights):
    terrain = terrain_of(heights)
    assert np.allclose(terrain.sample(terrain.points()), heights.ravel(), atol=1e-12)


def test_rows_run_south_and_columns_east():
    terrain = terrain_of([[1, 2, 3], [4, 5, 6]])
    assert terrain.bounds == (0, 0, 4, 2)
    assert terrain.sample(np.array([[0, 2], [4, 2], [0, 0.0], [4, 0]])).tolist() == [1, 3, 4, 6]


def test_points_outside_take_the_height_of_the_border():
    terrain = terrain_of([[1, 2], [3, 4]])
    assert terrain.sample(np.array([[-9, 9], [9, -9.0]])).tolist() == [1, 4]


def test_a_field_with_a_hole_is_nan_in_every_triangle_of_the_missing_vertex():
    terrain = terrain_of(np.zeros((3, 3)))
    values = np.ones((3, 3))
    values[0, 2] = np.nan  # the north-eastern corner belongs to one triangle only
    assert np.isnan(terrain.sample(np.array([3.5, 3.0]), values))
    assert terrain.sample(np.array([2.5, 2.2]), values) == 1


def test_the_mesh_faces_up_and_covers_the_bounds():
    mesh = terrain_of(np.random.default_rng(0).normal(size=(4, 6))).mesh()
    assert (mesh.normals[:, 2] > 0).all()
    assert len(mesh) == 2 * 3 * 5
    assert (mesh.surface == Surface.GROUND).all()
    flat = mesh.vertices * (1, 1, 0)
    a, b, c = (flat[mesh.triangles[:, i]] for i in range(3))
    assert np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2 == pytest.approx(6 * 10)


def test_neighbours_are_the_vertices_that_share_an_edge_of_a_triangle():
    terrain = terrain_of(np.arange(12).reshape(3, 4))
    joined = {tuple(sorted(pair)) for t in terrain.triangles().tolist() for pair in zip(t, t[1:] + t[:1], strict=True)}
    around = neighbours(terrain.heights)
    for vertex in range(12):
        of_triangles = {sum(pair) - vertex for pair in joined if vertex in pair}
        found = around[:, vertex // 4, vertex % 4]
        assert set(found[np.isfinite(found)].astype(int)) == of_triangles


def test_levels_reach_one_vertex_up_the_shore_and_never_over_lower_ground():
    heights = np.zeros((3, 6))
    heights[:, 2:4] = 3.0
    levels = np.full((3, 6), np.nan)
    levels[:, :2] = 1.0
    extended = extended_levels(terrain_of(heights), levels)
    assert (extended[:, :3] == 1.0).all()
    assert np.isnan(extended[:, 3:]).all()
    heights[1, 2] = 0.5  # lower than the water that did not come
    leaky = extended_levels(terrain_of(heights), levels)
    assert np.isnan(leaky[1, 2])


@given(HEIGHTS, st.floats(-20, 20), INSIDE)
def test_depth_is_where_the_rendered_water_lies_above_the_ground(heights, level, points):
    terrain = terrain_of(heights)
    levels = extended_levels(terrain, np.where(heights < level, level, np.nan))
    surface = terrain.water_mesh(levels)
    depth = depth_at(terrain, levels, np.array(points))
    assert (depth >= 0).all()
    for (x, y), found in zip(points, depth, strict=True):
        above = height_on_mesh(surface, x, y) if len(surface) else None
        expected = max(above - terrain.sample(np.array([x, y])), 0) if above is not None else 0
        assert found == pytest.approx(expected, abs=1e-6)


def test_dry_ground_has_no_water_mesh():
    terrain = terrain_of(np.zeros((3, 3)))
    assert len(terrain.water_mesh(np.full((3, 3), np.nan))) == 0


@pytest.mark.parametrize("heights", [np.zeros((1, 5)), np.zeros(5), np.array([[0, 1], [np.nan, 0]])])
def test_ground_that_is_no_lattice_of_finite_heights_is_refused(heights):
    with pytest.raises(ValueError, match="finite heights"):
        Terrain(heights, 0, 0, 1)


@given(HEIGHTS, st.floats(-3, 9), st.floats(-3, 9), st.floats(0.2, 2))
def test_a_grid_is_sampled_as_its_pixels_centres_are(heights, west, north, gsd):
    terrain, grid = terrain_of(heights), Grid(6, 9, west, north, gsd)
    points = grid.points().reshape(6, 9, 2)
    assert (terrain.sample(grid) == terrain.sample(points)).all()
    levels = np.full(heights.shape, 1.0)
    assert (depth_at(terrain, levels, grid) == depth_at(terrain, levels, points)).all()
