"""Blocks cut into parcels, and the room that a parcel leaves."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon

from mage.scenes.sources.procedural.layout.built import disjoint
from mage.scenes.sources.procedural.layout.parcels import ACCESS, frontage, parcels, room, strip
from mage.scenes.sources.procedural.layout.shapes import Body, prism

seeds = st.integers(0, 2**32 - 1)


def crooked(seed: int) -> Polygon:
    """A star-shaped block of about 60 by 90 m."""
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 14))
    ring = np.stack([45 * np.cos(angle), 30 * np.sin(angle)], axis=1) * rng.uniform(0.75, 1.1, (14, 1))
    return Polygon(ring).convex_hull.buffer(2)


@settings(max_examples=30)
@given(seeds, st.floats(150, 800))
def test_parcels_fill_their_block_without_overlap_and_all_have_access(seed: int, area: float) -> None:
    block = crooked(seed)
    lots = parcels(np.random.default_rng(seed), block, (area, 1.5 * area))
    assert sum(lot.outline.area for lot in lots) == pytest.approx(block.area, rel=1e-6)
    # on a grid: without one, GEOS may lose a part where cuts end on lines within a rounding error
    together = shapely.union_all([lot.outline for lot in lots], grid_size=1e-6)
    assert together.area == pytest.approx(block.area, rel=1e-4)
    assert all(lot.front > ACCESS for lot in lots)


def test_without_the_need_of_access_no_parcel_is_larger_than_asked_for() -> None:
    lots = parcels(np.random.default_rng(4), shapely.box(0, 0, 120, 100), (200.0, 300.0), access=False)
    assert max(lot.outline.area for lot in lots) <= 300 * 1.3
    assert len(lots) > 30


@settings(max_examples=40)
@given(seeds, st.floats(0.5, 5), st.floats(0, 3))
def test_room_lies_within_its_parcel_and_keeps_its_distance_from_the_street(
    seed: int, front: float, gap: float
) -> None:
    block = crooked(seed)
    for lot in parcels(np.random.default_rng(seed), block, (300.0, 600.0)):
        frame = frontage(lot.outline, block)
        box = room(lot.outline, frame, front, gap)
        if box is not None:
            left, right, near, far = box
            assert near >= front - 1e-9
            assert right - left > 2
            assert far - near > 2
            assert strip(frame, *box).difference(lot.outline).area < 0.03 * lot.outline.area


def test_a_square_parcel_leaves_a_square_less_its_margins() -> None:
    block = shapely.box(0, 0, 20, 20)
    box = room(block, frontage(block, block), 4.0, 2.0)
    assert box is not None
    left, right, near, far = box
    assert right - left == pytest.approx(16, abs=0.1)
    assert (near, far) == pytest.approx((4, 18), abs=0.1)


def test_of_bodies_that_overlap_the_first_stays_and_touching_walls_are_no_overlap() -> None:
    boxes = [shapely.box(0, 0, 5, 5), shapely.box(5, 0, 10, 5), shapely.box(4, 0, 7, 5), shapely.box(20, 0, 25, 5)]
    bodies = [Body(b, prism(b, 3.0), 3.0, 1, "flat") for b in boxes]
    assert disjoint(bodies) == [bodies[0], bodies[1], bodies[3]]
