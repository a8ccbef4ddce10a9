"""Polygons that no house has, and what becomes of them: a mesh of what is left, and a note for what is not."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from cityfiles import box, gabled
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mage.scenes.mesh import Mesh, Surface
from mage.scenes.sources.buildings.closing import is_closed
from mage.scenes.sources.buildings.planes import least_area, valid
from mage.scenes.sources.buildings.surfaces import clean, shell_mesh, triangle_areas, triangulate, volume
from mage.scenes.sources.raw import SEMANTICS, Polygons


def shell(rings: list[np.ndarray | list[tuple[float, float, float]]]) -> Polygons:
    return Polygons.of([[np.array(ring, float)] for ring in rings], [Surface.OTHER] * len(rings))


def cube() -> Polygons:
    faces = box(0, 0, 4, 4, 0, 4)
    return Polygons.of([[np.array(r, float) for r in rings] for _, rings in faces], [SEMANTICS[k] for k, _ in faces])


def built(polygons: Polygons) -> tuple[Mesh, dict[str, int]]:
    notes: Counter[str] = Counter()
    started = time.perf_counter()
    mesh = shell_mesh(polygons, notes)
    assert time.perf_counter() - started < 20
    assert np.isfinite(mesh.vertices).all()
    return mesh, dict(+notes)


class TestHostilePolygons:
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e300])
    def test_a_coordinate_that_is_nowhere_costs_its_point_only(self, value: float) -> None:
        polygons = cube()
        points = np.vstack([polygons.points, [[value, 0, 0], [1, 1, 9], [2, 1, 9], [2, 2, 9]]])
        mesh, notes = built(
            Polygons(points, np.append(polygons.sizes, 4), np.append(polygons.rings, 1), np.append(polygons.surface, 3))
        )
        assert notes["points without finite coordinates left out"] == 1
        assert mesh.bounds[1][2] == 9

    def test_nothing_at_all_is_an_empty_mesh(self) -> None:
        assert len(built(Polygons.of([], []))[0]) == 0

    def test_points_that_all_lie_on_one_line_are_no_face(self) -> None:
        line = np.column_stack([np.linspace(0, 30, 50), np.linspace(0, 7, 50), np.linspace(2, 5, 50)])
        mesh, notes = built(shell([line]))
        assert len(mesh) == 0
        assert notes == {"faces without area left out": 1}

    def test_a_ring_of_a_hundred_thousand_points_is_left_out_and_counted(self) -> None:
        turn = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
        mesh, notes = built(shell([np.column_stack([np.cos(turn), np.sin(turn), np.zeros(len(turn))]) * 100]))
        assert len(mesh) == 0
        assert notes == {"faces of more than 5000 points left out": 1}

    def test_a_hundred_thousand_points_in_one_spot_are_one(self) -> None:
        crowd = np.random.default_rng(3).uniform(0, 1e-3, (100_000, 3))
        mesh, notes = built(shell(np.split(crowd, 25_000)))
        assert len(mesh) == 0
        assert sum(notes.values()) > 0

    def test_ten_thousand_triangles_at_random_are_a_shell_left_open(self) -> None:
        rng = np.random.default_rng(4)
        mesh, notes = built(shell(list(rng.uniform(0, 50, (10_000, 3, 3)))))
        assert len(mesh) > 9_000
        assert notes["shells left open"] == 1

    def test_a_ring_drawn_at_random_through_a_plane_is_made_of_what_it_surrounds(self) -> None:
        rng = np.random.default_rng(5)
        ring = np.column_stack([rng.uniform(0, 20, (60, 2)), np.zeros(60)])
        mesh, notes = built(shell([ring]))
        assert 0 < mesh.areas.sum() <= 400
        assert notes["faces that crossed themselves made valid"] == 1


@settings(max_examples=60)
@given(
    arrays.arrays(
        float,
        st.tuples(st.integers(3, 40), st.just(3)),
        elements=st.one_of(st.integers(-3, 3).map(float), st.floats(allow_nan=True, allow_infinity=True)),
    ),
    st.integers(1, 6),
)
def test_whatever_the_points_the_mesh_is_finite_and_every_triangle_has_an_area(points: np.ndarray, faces: int) -> None:
    rings = [ring for ring in np.array_split(points, faces) if len(ring)]
    polygons = Polygons.of([[ring] for ring in rings], [Surface.OTHER] * len(rings))
    mesh, _ = built(polygons)
    assert (triangle_areas(mesh.vertices, mesh.triangles) > 0).all()


class TestTriangles:
    def test_the_outline_of_a_face_is_its_ring_with_every_point_on_straight_lines(self) -> None:
        ring = [(0, 0, 0), (1, 0, 0), (2, 0, 0), (4, 0, 0), (4, 4, 0), (4, 5, 0), (0, 5, 0), (0, 2, 0)]
        points, triangles, _ = triangulate(shell([ring]))
        assert len(triangles) == len(ring) - 2
        assert len(np.unique(triangles)) == len(points) == len(ring)
        assert triangle_areas(points, triangles).sum() == pytest.approx(20)

    def test_a_face_that_is_not_plane_keeps_its_corners(self) -> None:
        ring = [(0, 0, 0), (4, 0, 0.5), (4, 4, 0), (0, 4, 0.5)]
        points, triangles, _ = triangulate(shell([ring]))
        assert sorted(points.tolist()) == sorted([list(map(float, p)) for p in ring])
        assert len(triangles) == 2

    def test_the_triangulation_in_space_with_the_least_area_of_a_bent_square_runs_along_the_bend(self) -> None:
        ring = np.array([(-6, -6, 5), (4, 0, 0), (10, 10, 5), (0, 4, 0)], float)
        assert sorted(map(sorted, least_area(ring).tolist())) == [[0, 1, 3], [1, 2, 3]]


class TestCleaning:
    def test_faces_that_are_polygons_pass_untouched(self) -> None:
        polygons = cube()
        notes: Counter[str] = Counter()
        assert valid(polygons, notes) is polygons
        np.testing.assert_array_equal(clean(polygons, notes).points, polygons.points)
        assert not +notes

    def test_points_a_millimetre_apart_become_the_first_of_them(self) -> None:
        polygons = cube()
        points = polygons.points + np.random.default_rng(1).uniform(-2e-4, 2e-4, polygons.points.shape)
        cleaned = clean(Polygons(points, polygons.sizes, polygons.rings, polygons.surface), Counter())
        assert len(np.unique(cleaned.points, axis=0)) == 8
        assert {tuple(p) for p in cleaned.points.tolist()} <= {tuple(p) for p in points.tolist()}

    def test_repeated_points_go_and_are_counted(self) -> None:
        polygons = cube()
        repeated = Polygons(np.repeat(polygons.points, 2, axis=0), polygons.sizes * 2, polygons.rings, polygons.surface)
        mesh, notes = built(repeated)
        assert is_closed(mesh)
        assert notes == {"repeated points left out": 24}

    def test_large_coordinates_keep_their_millimetres(self) -> None:
        faces = gabled(0, 0, 12, 8, 0, 3, 7)
        rings = [[np.add(r, (2_600_000.0, 1_200_000.0, 400.0)) for r in rings] for _, rings in faces]
        mesh, notes = built(Polygons.of(rings, [SEMANTICS[kind] for kind, _ in faces]))
        assert is_closed(mesh)
        assert volume(mesh.vertices, mesh.triangles) == pytest.approx(480, abs=1e-3)
        assert not notes
