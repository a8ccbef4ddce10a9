"""The axis of street surfaces in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, MultiPolygon, Point, Polygon

from mage.scenes.sources.features.centrelines import Axis, centrelines


def street(*points: tuple[float, float], width: float = 6.0) -> shapely.Geometry:
    return LineString(points).buffer(width / 2, cap_style="flat", join_style="mitre")


def length(axes: list[Axis]) -> float:
    return sum(LineString(axis.line).length for axis in axes)


def degrees(axes: list[Axis]) -> list[int]:
    return sorted(np.bincount([end for axis in axes for end in (axis.u, axis.v)]).tolist())


def test_a_straight_street_is_its_middle_from_end_to_end() -> None:
    nodes, (axis,) = centrelines(street((0, 0), (100, 0)))
    np.testing.assert_allclose(sorted(nodes.tolist()), [(0, 0), (100, 0)], atol=0.1)
    assert axis.width == pytest.approx(6, abs=0.2)
    assert np.abs(axis.line[:, 1]).max() < 0.1


@pytest.mark.parametrize("width", [3.0, 5.0, 8.0])
@pytest.mark.parametrize("turn", [0.0, 0.3, 1.1])
def test_a_crossing_of_two_streets_is_one_node_of_four_edges(width: float, turn: float) -> None:
    surface = shapely.union_all([street((-60, 0), (60, 0), width=width), street((0, -60), (0, 60), width=width)])
    nodes, axes = centrelines(shapely.affinity.rotate(surface, turn, origin=(0, 0), use_radians=True))
    assert degrees(axes) == [1, 1, 1, 1, 4]
    assert np.linalg.norm(nodes, axis=1).min() < 0.5
    assert length(axes) == pytest.approx(240, abs=3)
    assert [axis.width for axis in axes] == pytest.approx([width] * 4, abs=0.3)


def test_a_side_street_meets_the_main_street_in_one_node() -> None:
    nodes, axes = centrelines(shapely.union_all([street((-60, 0), (60, 0)), street((0, 0), (0, 50))]))
    assert degrees(axes) == [1, 1, 1, 3]
    assert np.linalg.norm(nodes, axis=1).min() < 2
    assert length(axes) == pytest.approx(170, abs=4)


def test_parking_bays_and_corners_grow_no_spurs() -> None:
    bays = [shapely.box(x, 3, x + 5, 5.5) for x in range(-50, 50, 15)]
    _, axes = centrelines(shapely.union_all([street((-60, 0), (60, 0)), *bays]))
    assert degrees(axes) == [1, 1]
    assert length(axes) == pytest.approx(120, abs=3)


def test_a_ring_is_a_loop_and_a_small_island_is_driven_past() -> None:
    ring = Point(0, 0).buffer(23).difference(Point(0, 0).buffer(17))
    nodes, (axis,) = centrelines(ring)
    assert (axis.u, len(nodes)) == (axis.v, 1)
    assert LineString(axis.line).length == pytest.approx(2 * np.pi * 20, rel=0.03)
    island = street((0, 0), (100, 0), width=9).difference(shapely.box(48, -1, 54, 1))
    assert degrees(centrelines(island)[1]) == [1, 1]


def test_surfaces_with_a_narrow_gap_between_them_are_one_street() -> None:
    parts = [street((0, 0), (49.8, 0)), street((50.2, 0), (100, 0))]
    assert len(centrelines(MultiPolygon(parts))[1]) == 1
    assert len(centrelines(MultiPolygon([parts[0], street((55, 0), (100, 0))]))[1]) == 2


@pytest.mark.parametrize(
    "surface",
    [Polygon(), MultiPolygon(), shapely.box(0, 0, 1, 1), shapely.box(0, 0, 200, 0.5), Point(0, 0).buffer(20)],
)
def test_what_is_no_street_gives_nothing(surface: shapely.Geometry) -> None:
    nodes, axes = centrelines(surface)
    assert (len(nodes), axes) == (0, [])


@settings(max_examples=25, database=None)
@given(st.lists(st.tuples(st.floats(0, 200), st.floats(0, 200)), min_size=3, max_size=6, unique=True), st.floats(3, 12))
def test_axes_of_any_streets_lie_within_them_and_end_in_their_nodes(
    corners: list[tuple[float, float]], width: float
) -> None:
    surface = LineString(corners).buffer(width / 2)
    nodes, axes = centrelines(surface)
    room = surface.buffer(0.7)
    for axis in axes:
        np.testing.assert_array_equal(axis.line[[0, -1]], nodes[[axis.u, axis.v]])
        assert LineString(axis.line).difference(room).length < 0.02 * length(axes) + 1
        assert axis.width >= 1.6
    again = centrelines(surface)
    assert [a.line.tobytes() for a in axes] == [a.line.tobytes() for a in again[1]]
