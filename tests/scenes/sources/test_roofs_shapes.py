"""Swept roofs, prisms and rimmed decks: closed, outward, of the volume that geometry says."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon
from towns import is_closed, volume_of

from mage.scenes.mesh import Surface
from mage.scenes.sources.ground.relief import lattice
from mage.scenes.sources.procedural.layout.shapes import (
    Body,
    gable,
    inset_ring,
    level,
    mansard,
    prism,
    rimmed,
    sawtooth,
    seat,
    sweep_outline,
    swept,
)

OUTER, INNER = np.array([(0.0, 0.0), (12.0, 0.0)]), np.array([(0.0, 8.0), (12.0, 8.0)])


@given(st.floats(2, 20), st.floats(0.5, 6))
def test_a_swept_roof_encloses_its_profile_times_its_length(eave: float, rise: float) -> None:
    for profile in (gable(eave, rise), level(eave), mansard(eave, rise), sawtooth(eave, rise, 3)):
        mesh = swept(OUTER, INNER, profile)
        assert is_closed(mesh)
        section = (np.diff(profile[:, 0]) * (profile[1:, 1] + profile[:-1, 1]) / 2).sum() * 8
        assert volume_of(mesh) == pytest.approx(section * 12)
        assert (mesh.normals[mesh.surface == Surface.ROOF, 2] > 0).all()


def test_a_house_round_a_corner_has_one_ridge_that_turns_with_it() -> None:
    outer = np.array([(0.0, 10.0), (0.0, 0.0), (10.0, 0.0)])
    inner = np.array([(4.0, 10.0), (4.0, 4.0), (10.0, 4.0)])
    mesh = swept(outer, inner, gable(6.0, 2.0))
    assert is_closed(mesh)
    assert sweep_outline(outer, inner).area == pytest.approx(64)
    ridge = mesh.vertices[mesh.vertices[:, 2] == 8.0]
    assert np.allclose(ridge[:, :2], [(2, 10), (2, 2), (10, 2)])
    assert len(np.unique(np.round(mesh.normals[mesh.surface == Surface.ROOF], 6), axis=0)) == 4


def test_a_prism_over_a_plan_with_a_courtyard_leaves_the_courtyard_open() -> None:
    plan = Polygon(shapely.box(0, 0, 20, 15).exterior, [shapely.box(6, 5, 12, 9).exterior])
    mesh = prism(plan, 9.0)
    assert is_closed(mesh)
    assert volume_of(mesh) == pytest.approx(plan.area * 9)


@settings(max_examples=40)
@given(st.floats(8, 40), st.floats(8, 40), st.floats(0.5, 3))
def test_a_rimmed_deck_is_a_frustum_on_a_box(width: float, depth: float, rim: float) -> None:
    mesh = rimmed(shapely.box(0, 0, width, depth), 10.0, rim, 1.0)
    assert mesh is not None
    assert is_closed(mesh)
    upper = (width - 2 * rim) * (depth - 2 * rim)
    middle = (width - rim) * (depth - rim)
    assert volume_of(mesh) == pytest.approx(width * depth * 10 + (width * depth + 4 * middle + upper) / 6)


def test_a_plan_too_narrow_for_its_rim_gets_none() -> None:
    assert rimmed(shapely.box(0, 0, 30, 3), 10.0, 2.0, 1.0) is None


def test_the_sides_that_an_inset_would_swallow_are_marked() -> None:
    ring = np.array([(0, 0), (20, 0), (20, 20), (19, 21), (0, 21)], float)
    moved, turned = inset_ring(ring, 6.0)
    assert turned.tolist() == [False, False, True, False, False]
    assert np.allclose(moved[0], (6, 6))


def test_a_body_is_set_on_the_mean_of_its_corners_and_reaches_below_the_lowest() -> None:
    flat = lattice((-50, -50, 50, 50), 2.0)
    slope = type(flat)(0.1 * flat.points()[:, 0].reshape(flat.heights.shape) + 30, flat.west, flat.north, flat.step)
    plan = shapely.box(0, 0, 10, 10)
    (house,) = seat([Body(plan, prism(plan, 5.0), 5.0, 2, "flat")], slope)
    assert house.ground == pytest.approx(30.5)
    assert house.mesh.vertices[:, 2].min() == pytest.approx(29.0)
    assert house.mesh.vertices[:, 2].max() == pytest.approx(house.ground + 5.0)
    assert house.height == 5.0
