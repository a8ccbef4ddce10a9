"""Straight skeletons: faces that are plane, cover the plan and rise alike from every wall."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from plans import l_plan, octagon, plans, plus_plan, ring_plan, t_plan, u_plan
from shapely import affinity
from shapely.geometry import Polygon, box

from mage.scenes.errors import CityError, MissingExtraError
from mage.scenes.sources.roofs.gables import gabled
from mage.scenes.sources.roofs.skeleton import Skeleton, straight_skeleton


def pitches(skeleton: Skeleton) -> list[float]:
    """Rise over run of each face, from all of its corners (least squares)."""
    found = []
    for face in skeleton.faces:
        corners = skeleton.points[list(face)]
        columns = np.column_stack([corners[:, :2] - corners[0, :2], np.ones(len(face))])
        slope, *_ = np.linalg.lstsq(columns, corners[:, 2], rcond=None)
        assert np.abs(columns @ slope - corners[:, 2]).max() < 0.01
        found.append(float(np.hypot(*slope[:2])))
    return found


def covered(skeleton: Skeleton) -> float:
    return sum(Polygon(skeleton.points[list(face), :2]).area for face in skeleton.faces)


def test_a_rectangle_has_four_faces_and_a_ridge_at_half_its_width() -> None:
    skeleton = straight_skeleton(box(0, 0, 12, 8))
    assert sorted(map(len, skeleton.faces)) == [3, 3, 4, 4]
    assert skeleton.points[4:].round(9).tolist() in ([[4, 4, 4], [8, 4, 4]], [[8, 4, 4], [4, 4, 4]])


def test_a_square_and_an_octagon_meet_in_one_point() -> None:
    for plan in (box(0, 0, 8, 8), octagon(9)):
        skeleton = straight_skeleton(plan)
        assert len(skeleton.points) == len(plan.exterior.coords)
        assert skeleton.points[-1, 2] == pytest.approx(plan.centroid.distance(plan.exterior))


@settings(max_examples=80)
@given(plans)
def test_every_face_is_plane_rises_at_45_degrees_and_all_cover_the_plan(plan: Polygon) -> None:
    plan = shapely.set_precision(plan, 0.001).simplify(0.002)
    skeleton = straight_skeleton(plan)
    long_eaves = [
        pitch
        for pitch, face in zip(pitches(skeleton), skeleton.faces, strict=True)
        if np.linalg.norm(np.diff(skeleton.points[list(face[:2]), :2], axis=0)) > 0.5
    ]
    assert long_eaves == pytest.approx([1.0] * len(long_eaves), rel=0.01)
    assert covered(skeleton) == pytest.approx(plan.area, rel=1e-3)
    assert (skeleton.points[:, 2] >= -1e-9).all()


@pytest.mark.parametrize("angle", [0, 10, 33.3])
@pytest.mark.parametrize(("plan", "ends"), [
    (l_plan(18, 16, 6), 2),
    (t_plan(20, 16, 6), 3),
    (u_plan(20, 16, 5), 2),
    (plus_plan(20, 18, 6), 4),
    (ring_plan(20, 16, 5), 0),
    (octagon(8), 0),
])  # fmt: skip
def test_every_wing_ends_in_a_gable_and_corners_stay_hipped(plan: Polygon, ends: int, angle: float) -> None:
    hipped = straight_skeleton(shapely.set_precision(affinity.rotate(plan, angle, origin=(0, 0)), 0.001))
    roof, found = gabled(hipped, half=False)
    assert found == ends
    assert len(roof.faces) == len(hipped.faces) - ends
    assert covered(roof) == pytest.approx(plan.area, rel=1e-3)
    assert pitches(roof) == pytest.approx([1.0] * len(roof.faces), rel=0.01)


def test_a_half_hip_begins_at_half_the_height_and_rises_as_its_neighbours_do() -> None:
    roof, found = gabled(straight_skeleton(box(0, 0, 12, 8)), half=True)
    assert found == 2
    assert sorted(roof.points[:, 2].round(6).tolist()) == [0, 0, 0, 0, 2, 2, 2, 2, 4, 4]
    assert pitches(roof) == pytest.approx([1.0] * 4)


def test_plans_on_which_cgal_joins_the_wrong_walls_are_moved_until_it_does_not() -> None:
    """A house with a bump in one wall and a notch beyond it, whose sides close at one time but for rounding."""
    corners = [
        (-0.383, 5.638), (5.017, 0.152), (8.506, 3.587), (20.723, 5.779), (18.546, 17.918), (11.252, 16.609),
        (11.108, 17.411), (7.384, 16.743), (7.528, 15.941), (3.027, 15.134), (3.963, 9.917),
    ]  # fmt: skip
    plan = Polygon(corners)
    skeleton = straight_skeleton(plan)
    assert len(skeleton.faces) == len(corners)
    assert covered(skeleton) == pytest.approx(plan.area, rel=1e-3)
    assert pitches(skeleton) == pytest.approx([1.0] * len(corners), rel=0.02)


def test_an_outline_that_crosses_itself_is_an_error_before_cgal_sees_it() -> None:
    with pytest.raises(CityError, match="skeleton"):
        straight_skeleton(Polygon([(0, 0), (12, 8), (12, 0), (0, 8)]))


def test_rings_may_run_either_way() -> None:
    plan = ring_plan(20, 16, 5)
    turned = Polygon(plan.exterior.coords[::-1], [ring.coords[::-1] for ring in plan.interiors])
    assert covered(straight_skeleton(turned)) == pytest.approx(plan.area)


def test_without_compas_cgal_there_is_one_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compas_cgal", None)
    with pytest.raises(MissingExtraError, match=r"mage-eo\[roofs\]"):
        straight_skeleton(box(0, 0, 12, 8))
