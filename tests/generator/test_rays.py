"""Rays against closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.generator.props import BROADLEAF, Placements, tree_prototypes, vehicle_prototypes
from mage.generator.rays import cast_down, cast_placements
from mage.scenes.grid import Grid
from mage.scenes.mesh import Mesh, concatenate, empty_mesh, planar_uv


def slab(west: float, south: float, east: float, north: float, z: float, rise: float = 0.0) -> Mesh:
    """A roof over a rectangle that rises by ``rise`` from south to north."""
    vertices = np.array([(west, south, z), (east, south, z), (east, north, z + rise), (west, north, z + rise)], float)
    triangles = np.array([(0, 1, 2), (0, 2, 3)], np.int32)
    return Mesh(vertices, triangles, np.zeros(2, np.uint8), planar_uv(vertices, triangles))


GRID = Grid(64, 80, 100.0, 432.0, 0.5)


@given(st.floats(-9, 39), st.floats(-9, 31), st.floats(0.6, 40), st.floats(0.6, 40), st.floats(-5, 900))
def test_a_rectangle_covers_exactly_the_centres_inside_it(x: float, y: float, w: float, h: float, z: float) -> None:
    west, south = 100 + x, 400 + y
    hits = cast_down(slab(west, south, west + w, south + h, z), GRID)
    px, py = GRID.centres()
    inside = ((px > west) & (px < west + w))[None, :] & ((py > south) & (py < south + h))[:, None]
    near_edge = (np.minimum(abs(px - west), abs(px - west - w)) < 1e-4)[None, :] | (
        np.minimum(abs(py - south), abs(py - south - h)) < 1e-4
    )[:, None]
    assert (hits.any == inside)[~near_edge].all()
    assert hits.z[hits.any] == pytest.approx(z, abs=1e-9)


def test_heights_on_a_slope_are_those_of_its_plane_far_from_the_origin() -> None:
    grid = Grid(64, 64, 400_000.0, 5_800_032.0, 0.5)
    hits = cast_down(slab(400_000, 5_800_000, 400_032, 5_800_032, 10.0, 16.0), grid)
    _, y = grid.centres()
    expected = 10 + (y - 5_800_000) / 2
    assert hits.any.all()
    assert hits.z == pytest.approx(np.repeat(expected[:, None], 64, axis=1), abs=1e-6)


def test_the_higher_of_two_roofs_wins() -> None:
    mesh, owner = concatenate([slab(100, 400, 140, 432, 5.0), slab(110, 410, 120, 420, 9.0)])
    hits = cast_down(mesh, GRID)
    assert (owner[hits.face] == 1).sum() == 20 * 20
    assert hits.z.max() == pytest.approx(9.0)


def test_nothing_is_hit_where_nothing_is() -> None:
    for mesh in (empty_mesh(), slab(500, 500, 510, 510, 3.0)):
        hits = cast_down(mesh, GRID)
        assert not hits.any.any()
        assert (hits.z == -np.inf).all()


def test_crowns_and_cars_are_closed_and_face_outward() -> None:
    for shape in (*tree_prototypes(), *vehicle_prototypes()):
        directed = np.concatenate([shape.triangles[:, [0, 1]], shape.triangles[:, [1, 2]], shape.triangles[:, [2, 0]]])
        forward = {tuple(e) for e in directed.tolist()}
        assert len(forward) == len(directed)
        assert all((b, a) in forward for a, b in forward)
        a, b, c = (shape.vertices[shape.triangles[:, i]] for i in range(3))
        assert np.einsum("ij,ij->i", a, np.cross(b, c)).sum() > 0


def test_a_crown_has_unit_height_and_about_unit_radius() -> None:
    for i, shape in enumerate(tree_prototypes()):
        assert shape.vertices[:, 2].min() == pytest.approx(0.0)
        assert shape.vertices[:, 2].max() == pytest.approx(1.0)
        assert 0.5 < np.abs(shape.vertices[:, :2]).max() <= 1.0 + 1e-9, f"prototype {i} of {BROADLEAF}"


def test_placed_shapes_are_found_where_they_overlap_the_tile() -> None:
    shapes = vehicle_prototypes()
    cars = Placements(
        np.array([(101.0, 431.0, 2.0), (98.5, 410.0, 2.0), (300.0, 300.0, 2.0)]),
        np.array([0.0, 0.0, 0.0]),
        np.ones((3, 3)),
        np.zeros(3, np.int64),
        np.full((3, 3), 0.5),
    )
    near = cars.within(GRID.bounds, shapes)
    assert near.tolist() == [0, 1]
    top = cast_placements(cars, shapes, GRID)
    assert top.max() == pytest.approx(3.45, abs=1e-5)
    # of a car of 4.4 by 1.8 m, what reaches into the tile: the first from x = 100 on, the second not at all
    assert np.isfinite(top).sum() * 0.25 == pytest.approx((103.2 - 100.0) * 1.8, abs=1.5)


@given(st.integers(0, 2**32 - 1))
def test_rays_in_prototype_frames_see_what_rays_in_the_world_see(seed: int) -> None:
    rng, shapes = np.random.default_rng(seed), tree_prototypes()
    n = 12
    trees = Placements(
        np.column_stack([rng.uniform(96, 144, n), rng.uniform(396, 436, n), rng.uniform(0, 3, n)]),
        rng.uniform(0, 6.3, n),
        np.column_stack([np.repeat(rng.uniform(1, 6, (n, 1)), 2, axis=1), rng.uniform(3, 20, n)]),
        rng.integers(len(shapes), size=n),
        np.full((n, 3), 0.1),
    )
    world = []
    for i in range(n):
        shape, c, s = shapes[trees.prototype[i]], np.cos(trees.heading[i]), np.sin(trees.heading[i])
        turn = np.array([(c, -s, 0), (s, c, 0), (0, 0, 1)])
        vertices = (shape.vertices * trees.scale[i]) @ turn.T + trees.position[i]
        world.append(Mesh(vertices, shape.triangles, shape.surface, shape.uv))
    expected = cast_down(concatenate(world)[0], GRID).z
    found = cast_placements(trees, shapes, GRID)
    agree = np.isclose(found, expected, atol=1e-3) | (found == expected)
    assert (~agree).sum() <= 3  # rays that graze an outline
