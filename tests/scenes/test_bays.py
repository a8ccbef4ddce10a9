"""Bays of car parks."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely import affinity

from mage.scenes.bays import AISLE, LENGTH, WIDTH, bays_of


@given(st.floats(12, 90), st.floats(12, 90), st.floats(0, 6.3), st.floats(0, 0.8))
def test_bays_lie_within_a_lot_of_any_shape_and_none_overlaps_another(
    width: float, depth: float, turn: float, notch: float
) -> None:
    lot = shapely.box(0, 0, width, depth).difference(shapely.box(0, 0, width * notch, depth * notch))
    lot = affinity.rotate(lot, turn, use_radians=True)
    plans = bays_of(lot).outlines()
    assert shapely.covers(lot.buffer(1e-5), plans).all()
    smaller = shapely.buffer(plans, -1e-4)
    pairs = shapely.STRtree(smaller).query(smaller, predicate="intersects").T
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert np.allclose(shapely.area(plans), LENGTH * WIDTH)


def test_a_lot_of_two_rows_and_an_aisle_has_them_along_its_longer_side() -> None:
    bays = bays_of(shapely.box(0, 0, 30, 2 * LENGTH + AISLE + 0.7))
    assert len(bays) == 2 * 11
    assert set(np.round(np.sin(bays.heading))) == {-1.0, 1.0}
    # noses point away from the aisle
    assert (np.sin(bays.heading) * (bays.xy[:, 1] - 8.35) > 0).all()


def test_a_strip_too_narrow_to_drive_on_has_no_bays() -> None:
    assert len(bays_of(shapely.box(0, 0, 100, 5))) == 0
    assert len(bays_of(shapely.Polygon())) == 0
