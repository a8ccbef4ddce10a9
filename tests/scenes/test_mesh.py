"""Triangle meshes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.scenes.mesh import Mesh, Surface, concatenate, empty_mesh, planar_uv


def mesh_of(vertices, triangles, **attributes):
    vertices, triangles = np.array(vertices, float), np.array(triangles, np.int32)
    surface = np.full(len(triangles), Surface.ROOF, np.uint8)
    named = {k: np.array(v, np.float32) for k, v in attributes.items()}
    return Mesh(vertices, triangles, surface, planar_uv(vertices, triangles), named)


def square(z=0.0, **attributes):
    """Two triangles over 2 x 3 m, facing up."""
    return mesh_of([[0, 0, z], [2, 0, z], [2, 3, z], [0, 3, z]], [[0, 1, 2], [0, 2, 3]], **attributes)


def test_normals_point_out_of_the_side_that_sees_the_corners_counter_clockwise():
    assert square().normals.tolist() == [[0, 0, 1], [0, 0, 1]]


def test_areas_are_in_square_metres():
    assert square().areas.tolist() == [3, 3]


def test_a_degenerate_face_has_no_normal_and_no_area():
    flat = mesh_of([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]])
    assert flat.normals.tolist() == [[0, 0, 0]]
    assert flat.areas.tolist() == [0]


def test_bounds_are_the_lowest_and_the_highest_corner():
    low, high = square(z=4).bounds
    assert (low.tolist(), high.tolist()) == ([0, 0, 4], [2, 3, 4])


def test_picking_faces_keeps_everything_that_belongs_to_them():
    mesh = square(wear=[0.1, 0.2])
    second = mesh.faces(np.array([False, True]))
    assert second.triangles.tolist() == [[0, 2, 3]]
    assert second.attributes["wear"].tolist() == pytest.approx([0.2])
    assert np.array_equal(second.uv, mesh.uv[1:])


@given(st.lists(st.tuples(*[st.integers(0, 30)] * 3), max_size=40))
def test_a_compact_mesh_has_the_same_faces_and_no_vertex_that_none_has(triangles):
    mesh = mesh_of(np.arange(31 * 3.0).reshape(31, 3), np.array(triangles, np.int32).reshape(-1, 3))
    compact = mesh.compact()
    assert (compact.vertices[compact.triangles] == mesh.vertices[mesh.triangles]).all()
    assert sorted(set(compact.triangles.ravel().tolist())) == list(range(len(compact.vertices)))


def test_concatenation_keeps_every_face_and_tells_whose_it_was():
    whole, owner = concatenate([square(), empty_mesh(), square(z=5, wear=[1, 2])])
    assert owner.tolist() == [0, 0, 2, 2]
    assert whole.areas.tolist() == [3] * 4
    assert whole.vertices[whole.triangles][:, :, 2].tolist() == [[0] * 3] * 2 + [[5] * 3] * 2
    assert whole.attributes["wear"].tolist() == [0, 0, 1, 2]
    assert (whole.triangles.dtype, owner.dtype) == (np.int32, np.int32)


def test_nothing_concatenated_is_an_empty_mesh():
    whole, owner = concatenate([])
    assert len(whole) == len(owner) == 0


@given(st.floats(0, 6.28), st.floats(0, 1.5))
def test_uv_are_metres_along_the_eave_and_up_the_slope(azimuth, pitch):
    """A rectangle of 4 m along the eave and 3 m up the slope keeps its sides, whichever way it faces."""
    along = np.array([-np.sin(azimuth), np.cos(azimuth), 0])
    up = np.array([-np.cos(azimuth) * np.cos(pitch), -np.sin(azimuth) * np.cos(pitch), np.sin(pitch)])
    corners = np.array([0 * along, 4 * along, 4 * along + 3 * up, 3 * up])
    uv = planar_uv(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32))
    sides = np.linalg.norm(np.diff(uv, axis=1), axis=2)
    assert np.allclose(sides, [[4, 3], [5, 4]], rtol=2e-2)
    if pitch > 0.05:
        assert np.ptp(uv[0, :2, 1]) < 0.03  # no rise along the eave
        assert uv[0, 2, 1] > uv[0, 1, 1]  # and a rise up the slope


def test_triangles_of_one_plane_share_a_frame():
    corners = np.array([[0, 0, 0], [4, 0, 0], [4, 3, 1], [0, 3, 1]], float)
    uv = planar_uv(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32))
    assert np.array_equal(uv[0, 0], uv[1, 0])
    assert np.array_equal(uv[0, 2], uv[1, 1])


@pytest.mark.parametrize(
    "change",
    [
        {"vertices": np.zeros((4, 2))},
        {"triangles": np.zeros((2, 4), np.int32)},
        {"triangles": np.array([[0, 1, 2], [0, 2, 4]], np.int32)},
        {"triangles": np.array([[0, 1, 2], [0, 2, -1]], np.int32)},
        {"surface": np.zeros(3, np.uint8)},
        {"uv": np.zeros((2, 3), np.float32)},
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(change):
    with pytest.raises(ValueError, match=r"mesh|vertex"):
        replace(square(), **change)
