"""Carving and levelling the ground."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString

from mage.scenes.city import RoadEdge, RoadGraph, WaterBody
from mage.scenes.sources.ground.relief import carve, lattice, normal_levels, sink_streets, undulation
from mage.scenes.terrain import Terrain, depth_at


def ground_at(height: float) -> Terrain:
    flat = lattice((-100, -100, 100, 100), 2.0)
    return replace(flat, heights=flat.heights + height)


@settings(max_examples=15)
@given(st.floats(-1.5, 4.0), st.floats(14, 40), st.floats(-60, 60), st.integers(0, 99))
def test_the_shoreline_of_carved_water_is_its_outline_to_within_a_metre(
    above: float, width: float, bend: float, seed: int
) -> None:
    line = LineString([(-130, 0), (-40, bend * 0.3), (30, -bend * 0.3), (130, bend)])
    outline = line.buffer(width / 2, quad_segs=16)
    water = [WaterBody(outline, 5.0)]
    rough = ground_at(5.0 + above)
    rough = replace(rough, heights=rough.heights + undulation(np.random.default_rng(seed), rough, (30.0,), 0.2))
    carved = carve(rough, water)
    levels = normal_levels(carved, water)
    west, south, east, north = outline.intersection(shapely.box(-95, -95, 95, 95)).bounds
    x, y = np.meshgrid(np.arange(west, east, 0.7), np.arange(max(-95, south - 8), min(95, north + 8), 0.7))
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    wet = depth_at(carved, levels, points) > 0
    deep_inside = shapely.contains_xy(outline.buffer(-1.0), points)
    outside = ~shapely.contains_xy(outline.buffer(1.0), points)
    assert wet[deep_inside].all()
    assert not wet[outside].any()


def test_a_bed_is_two_and_a_half_metres_deep_in_the_middle_and_far_ground_is_left_alone() -> None:
    water = [WaterBody(shapely.box(-130, -20, 130, 20), 4.0)]
    carved = carve(ground_at(6.0), water)
    assert carved.sample(np.array([0.0, 0.0])) == pytest.approx(1.5)
    assert carved.sample(np.array([0.0, 60.0])) == 6.0


def test_normal_levels_are_nan_where_there_is_no_water() -> None:
    water = [WaterBody(shapely.box(-20, -20, 20, 20), 4.0)]
    terrain = carve(ground_at(6.0), water)
    levels = normal_levels(terrain, water)
    assert np.isnan(levels[0]).all()
    assert set(np.unique(levels[np.isfinite(levels)])) == {4.0}
    assert not np.isfinite(normal_levels(terrain, [])).any()


def test_streets_lie_lower_than_the_lots_beside_them() -> None:
    edge = RoadEdge(0, 1, LineString([(-80, 0), (80, 0)]), 8.0)
    sunk = sink_streets(ground_at(3.0), RoadGraph(np.array([(-80.0, 0), (80, 0)]), (edge,)), 0.12)
    assert sunk.sample(np.array([0.0, 0.0])) == pytest.approx(2.88)
    assert sunk.sample(np.array([0.0, 12.0])) == 3.0


def test_undulation_keeps_to_its_amplitude() -> None:
    noise = undulation(np.random.default_rng(1), ground_at(0.0), (60.0, 25.0), 0.1)
    assert noise.shape == ground_at(0.0).heights.shape
    assert 0.03 < np.quantile(np.abs(noise), 0.95) < 0.15
