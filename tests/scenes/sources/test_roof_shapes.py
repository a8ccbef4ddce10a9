"""Names of roof shapes, the sheets they make, and cuts through them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import l_plan, octagon, plans, ring_plan, u_plan
from shapely.geometry import Polygon, box

from mage.scenes.errors import CityError
from mage.scenes.sources.roofs.shapes import PITCHES, roof_sheet, shape_named
from mage.scenes.sources.roofs.sheet import Sheet, cut, doubled_areas, fan_sheet, plan_sheet, raised, tidy


@pytest.mark.parametrize("shape", sorted(PITCHES))
def test_a_shape_that_is_built_is_taken_as_it_is_however_it_is_spelt(shape: str) -> None:
    assert shape_named(shape) == (shape, True)
    assert shape_named(f" {shape.upper().replace('-', '_')} ") == (shape, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("flat", True)),
        ("half_hipped", ("half-hipped", True)),
        ("lean_to", ("skillion", True)),
        ("hipped-and-gabled", ("half-hipped", False)),
        ("side_hipped", ("hipped", False)),
        ("crosspitched", ("gabled", False)),
        ("gabled_row", ("gabled", False)),
        ("gabled_height_moved", ("gabled", False)),
        ("saltbox", ("gabled", False)),
        ("double_saltbox", ("gabled", False)),
        ("quadruple_saltbox", ("hipped", False)),
        ("pitched", ("gabled", False)),
        ("sawtooth", ("flat", False)),
        ("butterfly", ("flat", False)),
        ("many", ("flat", False)),
        ("flying saucer", ("flat", False)),
    ],
)
def test_other_names_become_the_nearest_shape_and_say_so(text: str, expected: tuple[str, bool]) -> None:
    assert shape_named(text) == expected


@settings(max_examples=60)
@given(plans, st.floats(0.05, 0.95), st.floats(0, 6.28))
def test_a_cut_parts_triangles_along_a_level_and_leaves_the_surface_as_it_was(
    plan: Polygon, share: float, angle: float
) -> None:
    facing = np.array([np.cos(angle), np.sin(angle)])
    sheet = plan_sheet(plan, lambda points: points @ facing)
    level = float(sheet.rise.min() + share * np.ptp(sheet.rise))
    after = cut(sheet, sheet.rise, level)
    assert after.area == pytest.approx(sheet.area)
    assert after.rise == pytest.approx(after.points @ facing, abs=1e-9)
    slack = 2e-5 * np.ptp(sheet.rise)
    corners = after.rise[after.triangles] - level
    assert ((corners >= -slack).all(axis=1) | (corners <= slack).all(axis=1)).all()
    assert len(after.triangles) > len(sheet.triangles)


def test_a_sliver_is_given_to_the_triangle_beyond_it() -> None:
    points = np.array([(0, 0), (4, 0), (2, 1e-9), (2, 3), (2, -3)], float)
    sheet = Sheet(points, np.array([(0, 1, 2), (0, 2, 3), (2, 1, 3), (0, 4, 1)]), np.zeros(5))
    after = tidy(sheet)
    assert len(after.triangles) == 4
    assert doubled_areas(after.points, after.triangles).min() > 1
    assert after.area == pytest.approx(sheet.area)


def test_corners_that_touch_become_one() -> None:
    points = np.array([(0, 0), (4, 0), (4, 4), (0, 4), (4, 4.000001)], float)
    after = tidy(Sheet(points, np.array([(0, 1, 2), (0, 2, 4), (0, 4, 3)]), np.zeros(5)))
    assert np.unique(after.triangles).tolist() == [0, 1, 2, 3]


def test_a_sheet_that_folds_is_refused() -> None:
    sheet = Sheet(np.array([(0, 0), (4, 0), (4, 4), (1, 4)], float), np.array([(0, 1, 2), (0, 1, 3)]), np.zeros(4))
    with pytest.raises(CityError, match="folds"):
        raised(sheet, 0.0, 3.0, 5.0)


@pytest.mark.parametrize("shape", ["pyramidal", "dome", "onion", "cone"])
@pytest.mark.parametrize(("plan", "sees_all"), [
    (box(0, 0, 12, 8), True),
    (octagon(8), True),
    (l_plan(18, 16, 6), True),
    (u_plan(20, 16, 5), False),
    (ring_plan(20, 16, 5), False),
])  # fmt: skip
def test_a_roof_with_a_centre_has_one_top_where_all_walls_are_seen_and_says_where_not(
    shape: str, plan: Polygon, sees_all: bool
) -> None:
    notes: Counter[str] = Counter()
    sheet, run = roof_sheet(plan, shape, "", None, notes)
    assert sheet.rise.max() == 1.0
    assert sheet.rise.min() == 0.0
    assert ((sheet.rise == 1.0).sum() == 1) == sees_all
    assert notes.total() == (not sees_all)
    assert run > 0


def test_a_fan_has_a_triangle_for_every_wall() -> None:
    sheet = fan_sheet(box(0, 0, 12, 8), np.array([6.0, 4.0]))
    assert len(sheet.triangles) == 4
    assert sheet.area == pytest.approx(96)


def test_a_mansard_is_steep_below_and_shallow_above() -> None:
    sheet, _ = roof_sheet(box(0, 0, 12, 8), "mansard", "", None, Counter())
    at = {round(float(r), 6) for r in sheet.rise}
    assert at == {0.0, 0.75, 1.0}
    on_break = sheet.points[np.isclose(sheet.rise, 0.75)]
    assert {round(float(v), 6) for v in on_break[:, 1]} == {1.0, 7.0}


@pytest.mark.parametrize("shape", ["gabled", "half-hipped", "gambrel", "round"])
@pytest.mark.parametrize(("orientation", "direction"), [("across", None), ("", 30.0)])
def test_one_ridge_covers_any_plan_where_a_direction_is_stated(
    shape: str, orientation: str, direction: float | None
) -> None:
    plan = l_plan(18, 16, 6)
    sheet, _ = roof_sheet(plan, shape, orientation, direction, Counter())
    assert sheet.area == pytest.approx(plan.area)
    assert (sheet.rise.min(), sheet.rise.max()) == pytest.approx((0.0, 1.0))
    on_top = sheet.points[sheet.rise > 1 - 1e-9]
    assert np.linalg.matrix_rank(on_top - on_top[0], tol=1e-6) == 1
