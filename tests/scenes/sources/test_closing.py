"""Broken houses in, closed houses out, in closed form."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from cityfiles import Face, box, courtyard, gabled, inside_out
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.scenes.mesh import Mesh, Surface, concatenate, empty_mesh, planar_uv
from mage.scenes.sources.buildings.closing import is_closed
from mage.scenes.sources.buildings.surfaces import shell_mesh, volume
from mage.scenes.sources.raw import SEMANTICS, Polygons

CUBE = box(0, 0, 4, 4, 0, 4)
HOUSE = gabled(0, 0, 12, 8, 0, 3, 7)
YARD = courtyard(0, 0, 20, 8, 0, 10)


def shell(faces: list[Face], labels: bool = True) -> Polygons:
    rings = [[np.array(ring, float) for ring in rings] for _, rings in faces]
    return Polygons.of(rings, [SEMANTICS[kind] if labels else Surface.OTHER for kind, _ in faces])


def built(faces: list[Face], labels: bool = True) -> tuple[Mesh, Counter[str]]:
    notes: Counter[str] = Counter()
    return shell_mesh(shell(faces, labels), notes), +notes


def cubic_metres(mesh: Mesh) -> float:
    return volume(mesh.vertices, mesh.triangles)


def turned(faces: list[Face], positions: list[int]) -> list[Face]:
    return [inside_out([face])[0] if k in positions else face for k, face in enumerate(faces)]


def lacking(faces: list[Face], *positions: int) -> list[Face]:
    return [face for k, face in enumerate(faces) if k not in positions]


class TestWhetherAMeshIsClosed:
    def test_a_cube_is(self) -> None:
        assert is_closed(built(CUBE)[0])

    def test_nothing_is_not(self) -> None:
        assert not is_closed(empty_mesh())

    def test_a_cube_with_one_triangle_less_is_not(self) -> None:
        mesh = built(CUBE)[0]
        assert not is_closed(mesh.faces(np.arange(len(mesh)) > 0))

    def test_a_cube_with_one_triangle_turned_is_not(self) -> None:
        mesh = built(CUBE)[0]
        triangles = mesh.triangles.copy()
        triangles[0] = triangles[0, ::-1]
        assert not is_closed(Mesh(mesh.vertices, triangles, mesh.surface, planar_uv(mesh.vertices, triangles)))

    def test_two_cubes_that_share_an_edge_are(self) -> None:
        other = built(box(4, 4, 4, 4, 0, 4))[0]
        assert is_closed(concatenate([built(CUBE)[0], other])[0])


class TestFacesTheWrongWayRound:
    @pytest.mark.parametrize("positions", [[0], [1], [5], [0, 5], [1, 2], [1, 3, 5]])
    def test_single_faces_are_turned_and_counted(self, positions: list[int]) -> None:
        mesh, notes = built(turned(CUBE, positions))
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx(64)
        assert notes == {"faces turned outward": len(positions)}

    def test_a_whole_shell_is_turned_and_counted_once(self) -> None:
        mesh, notes = built(inside_out(HOUSE))
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx(12 * 8 * 5)
        assert notes == {"shells turned outward": 1}

    def test_without_labels_the_volume_tells(self) -> None:
        mesh, notes = built(turned(HOUSE, [0, 1, 2, 3, 4, 5]), labels=False)
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx(12 * 8 * 5)
        assert notes == {"faces turned outward": 6}
        assert {Surface(s) for s in mesh.surface} == {Surface.GROUND, Surface.WALL, Surface.ROOF}

    def test_a_hole_may_run_either_way(self) -> None:
        for mixed in ([(kind, [rings[0], *[r[::-1] for r in rings[1:]]]) for kind, rings in YARD], YARD):
            mesh, _ = built(mixed)
            assert is_closed(mesh)
            assert cubic_metres(mesh) == pytest.approx((400 - 64) * 10)


class TestMissingFaces:
    @pytest.mark.parametrize("wall", [1, 2, 3, 4])
    def test_a_missing_wall_is_rebuilt_as_wall_and_counted(self, wall: int) -> None:
        mesh, notes = built(lacking(HOUSE, wall))
        whole, _ = built(HOUSE)
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx(12 * 8 * 5)
        walls = mesh.areas[mesh.surface == Surface.WALL].sum()
        assert walls == pytest.approx(whole.areas[whole.surface == Surface.WALL].sum())
        assert notes == {"missing walls rebuilt": 1, "shells closed": 1}

    def test_two_walls_that_meet_in_a_missing_corner_are_rebuilt(self) -> None:
        mesh, notes = built(lacking(HOUSE, 1, 3))
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx(12 * 8 * 5)
        assert notes["missing walls rebuilt"] == 2

    def test_all_walls_are_rebuilt_between_roof_and_ground(self) -> None:
        mesh, notes = built(lacking(HOUSE, 1, 2, 3, 4))
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx(12 * 8 * 5)
        assert notes["missing walls rebuilt"] == 4

    def test_the_walls_of_a_yard_are_rebuilt(self) -> None:
        walls = [k for k, (kind, _) in enumerate(YARD) if kind == "WallSurface"]
        mesh, notes = built(lacking(YARD, *walls))
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx((400 - 64) * 10)
        assert notes["missing walls rebuilt"] == 8

    def test_a_missing_floor_is_closed_from_the_lower_edges_of_the_walls(self) -> None:
        for faces, cubic, square in ((HOUSE, 480, 96), (YARD, 3360, 336)):
            mesh, notes = built(lacking(faces, 0))
            assert is_closed(mesh)
            assert cubic_metres(mesh) == pytest.approx(cubic)
            assert mesh.areas[mesh.surface == Surface.GROUND].sum() == pytest.approx(square)
            assert notes["missing floors rebuilt"] == 1

    def test_a_floor_and_a_wall_beside_it_are_rebuilt_together(self) -> None:
        mesh, notes = built(lacking(HOUSE, 0, 3))
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx(480)
        assert (notes["missing floors rebuilt"], notes["missing walls rebuilt"]) == (1, 1)

    def test_a_missing_half_of_a_roof_is_rebuilt_as_roof(self) -> None:
        mesh, notes = built(lacking(HOUSE, 5))
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx(480)
        assert notes["missing roofs rebuilt"] == 1

    def test_a_row_of_houses_without_party_walls_is_closed_house_by_house(self) -> None:
        for k in range(5):
            faces = lacking(
                gabled(6.0 * k, 0, 6, 9, 0.1 * k, 5 + k / 2, 8), *([4] if k else []), *([3] if k < 4 else [])
            )
            mesh, notes = built(faces)
            assert is_closed(mesh)
            assert cubic_metres(mesh) == pytest.approx(6 * 9 * (5 + k / 2 + 8) / 2)
            assert notes["missing walls rebuilt"] == (2 if 0 < k < 4 else 1)

    def test_a_lower_neighbour_leaves_a_part_of_the_wall_standing(self) -> None:
        """The source has the part of a gable above the neighbour's roof, and lacks the part that both share."""
        upper = ("WallSurface", [[(12, 0, 2), (12, 8, 2), (12, 8, 3), (12, 4, 7), (12, 0, 3)]])
        mesh, notes = built([*lacking(HOUSE, 3), upper])
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx(480)
        assert notes["missing walls rebuilt"] == 1

    def test_a_sheet_is_given_no_other_side(self) -> None:
        mesh, notes = built([("RoofSurface", [[(0, 0, 3), (5, 0, 3), (5, 5, 3), (0, 5, 3)]])])
        assert len(mesh) == 2
        assert notes == {"sheets without a volume left open": 1}


class TestCornersOnEdges:
    def test_a_wall_in_two_meets_a_roof_in_one_without_a_gap(self) -> None:
        halves = [
            ("WallSurface", [[(0, 0, 0), (1.7, 0, 0), (1.7, 0, 4), (0, 0, 4)]]),
            ("WallSurface", [[(1.7, 0, 0), (4, 0, 0), (4, 0, 4), (1.7, 0, 4)]]),
        ]
        mesh, notes = built([*lacking(CUBE, 1), *halves])
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx(64)
        assert notes == {"corners set into the edges that they lie on": 2}

    def test_a_corner_a_little_beside_an_edge_stays_where_it_is(self) -> None:
        beside = 0.0007
        halves = [
            ("WallSurface", [[(0, 0, 0), (1.7, 0, 0), (1.7, beside, 4), (0, 0, 4)]]),
            ("WallSurface", [[(1.7, 0, 0), (4, 0, 0), (4, 0, 4), (1.7, beside, 4)]]),
        ]
        mesh, _ = built([*lacking(CUBE, 1), *halves])
        assert is_closed(mesh)
        assert [1.7, beside, 4] in mesh.vertices.tolist()

    def test_points_on_straight_lines_stay_where_neighbours_need_them(self) -> None:
        ring = [(0, 0, 4), (1, 0, 4), (2.5, 0, 4), (4, 0, 4), (4, 4, 4), (0, 4, 4)]
        walls = [
            ("WallSurface", [[(a, 0, 0), (b, 0, 0), (b, 0, 4), (a, 0, 4)]]) for a, b in ((0, 1), (1, 2.5), (2.5, 4))
        ]
        mesh, _ = built([*lacking(CUBE, 1, 5), *walls, ("RoofSurface", [ring])])
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx(64)

    def test_no_vertex_is_moved_by_more_than_a_millimetre(self) -> None:
        rng = np.random.default_rng(5)
        source = shell(HOUSE)
        shaken = Polygons(
            source.points + rng.uniform(-5e-4, 5e-4, source.points.shape), source.sizes, source.rings, source.surface
        )
        mesh = shell_mesh(shaken, Counter())
        away = np.linalg.norm(shaken.points[:, None] - mesh.vertices[None], axis=2).min(axis=1)
        assert away.max() <= 1e-3 + 1e-9


class TestFacesThatAreNone:
    def test_a_face_given_twice_is_kept_once_and_counted(self) -> None:
        for again in (CUBE[2], inside_out([CUBE[2]])[0], ("WallSurface", [[*CUBE[2][1][0][2:], *CUBE[2][1][0][:2]]])):
            mesh, notes = built([*CUBE, again])
            assert is_closed(mesh)
            assert cubic_metres(mesh) == pytest.approx(64)
            assert len(mesh) == 12
            assert notes == {"faces given twice left out": 1}

    def test_a_partition_between_two_rooms_stays(self) -> None:
        rooms = [*CUBE, *box(4, 0, 4, 4, 0, 4)]
        mesh, notes = built(rooms)
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx(128)
        assert not notes

    @pytest.mark.parametrize("position", range(6))
    def test_a_bow_tie_becomes_the_face_that_was_meant(self, position: int) -> None:
        kind, ((a, b, c, d),) = CUBE[position]
        mesh, notes = built([*lacking(CUBE, position), (kind, [[a, c, b, d]])])
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx(64)
        assert notes["faces that crossed themselves made valid"] == 1

    def test_a_face_folded_over_an_edge_is_triangulated_in_space(self) -> None:
        """Roof and front wall as one ring: seen from any axis or from its mean plane it may cover itself."""
        folded = ("RoofSurface", [[(0, 0, 0), (4, 0, 0), (4, 0, 4), (4, 4, 4), (0, 4, 4), (0, 0, 4)]])
        mesh, _ = built([*lacking(CUBE, 1, 5), folded])
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx(64, rel=0.2)

    def test_a_hole_outside_its_ring_goes(self) -> None:
        kind, (outer,) = CUBE[5]
        hole = [(9.0, 9.0, 4.0), (9.0, 10.0, 4.0), (10.0, 10.0, 4.0)]
        mesh, notes = built([*lacking(CUBE, 5), (kind, [outer, hole])])
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx(64)
        assert notes["holes outside their faces left out"] == 1

    def test_only_degenerate_triangles_go(self) -> None:
        thin = ("RoofSurface", [[(0.0, 0.0, 4.0), (4.0, 0.0, 4.0), (2.0, 0.0003, 4.0)]])
        mesh, notes = built([*CUBE, thin])
        assert is_closed(mesh)
        assert cubic_metres(mesh) == pytest.approx(64)
        assert notes["degenerate triangles left out"] >= 1


FACES = {"box": (CUBE, 64.0), "gabled": (HOUSE, 480.0), "yard": (YARD, 3360.0)}


@st.composite
def damaged(draw: st.DrawFn) -> tuple[list[Face], float]:
    """A closed house after some of: a wall lost, faces turned, points doubled, points a tenth of a millimetre away."""
    faces, cubic = FACES[draw(st.sampled_from(sorted(FACES)))]
    walls = [k for k, (kind, _) in enumerate(faces) if kind == "WallSurface"]
    gone = draw(st.sets(st.sampled_from(walls), max_size=1))
    wrong = draw(st.sets(st.integers(0, len(faces) - 1), max_size=2 if gone else len(faces)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    double, shake = draw(st.booleans()), draw(st.booleans())
    found: list[Face] = []
    for kind, rings in lacking(turned(faces, sorted(wrong)), *gone):
        copies = [ring[:1] * (1 + double) + ring[1:] for ring in rings]
        start = draw(st.integers(0, 3))
        away = [[tuple(np.array(p) + shake * rng.uniform(-5e-5, 5e-5, 3)) for p in ring] for ring in copies]
        found.append((kind, [[*ring[start:], *ring[:start]] for ring in away]))  # type: ignore[list-item]
    return found, cubic


@settings(max_examples=60)
@given(damaged())
def test_a_damaged_house_is_closed_again_with_the_volume_it_had(house: tuple[list[Face], float]) -> None:
    faces, cubic = house
    mesh, _ = built(faces)
    assert is_closed(mesh)
    assert cubic_metres(mesh) == pytest.approx(cubic, rel=1e-3)
