"""House meshes: closed, outward, of the volume that geometry says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from towns import is_closed, volume_of

from mage.scenes.mesh import Surface
from mage.scenes.sources.procedural.houses import (
    Wing,
    house_mesh,
    house_outline,
    pitched_wing,
    projecting_wing,
    wing_mesh,
)

HERE = np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
lengths = st.floats(6, 30)


@given(lengths, st.floats(0.3, 1.0), st.floats(0, 4), st.floats(0, 0.45), st.booleans())
def test_a_wing_is_closed_and_has_the_volume_of_box_plus_wedge(
    length: float, share: float, rise: float, hip: float, across: bool
) -> None:
    wing = Wing(3.0, -2.0, length, length * share, across, 3.0, rise, (hip * length, 0.0))
    mesh = wing_mesh(wing, ground=7.0, base=7.0)
    assert is_closed(mesh)
    assert volume_of(mesh) == pytest.approx(wing.volume, rel=1e-9)


def test_a_gable_roof_of_ten_by_eight_rising_three_metres_encloses_360_cubic_metres() -> None:
    wing = pitched_wing(0, 0, 10, 8, eave=3.0, pitch=0.75, hipped=False)
    mesh = wing_mesh(wing, 0.0, 0.0)
    assert volume_of(mesh) == pytest.approx(10 * 8 * 3 + 10 * 8 * 3 / 2)
    assert set(mesh.surface[np.abs(mesh.normals[:, 2]) < 1e-9]) == {Surface.WALL}


def test_a_hipped_roof_has_four_roof_planes_that_all_face_up() -> None:
    mesh = wing_mesh(pitched_wing(0, 0, 14, 9, eave=3.0, pitch=0.5, hipped=True), 0.0, -1.0)
    normals = np.unique(np.round(mesh.normals[mesh.surface == Surface.ROOF], 6), axis=0)
    assert len(normals) == 4
    assert (normals[:, 2] > 0).all()


@pytest.mark.parametrize("front", [True, False])
def test_a_projecting_wing_stands_out_by_its_reach_and_its_ridge_ends_at_the_main_roof(front: bool) -> None:
    main = pitched_wing(0, 0, 16, 10, eave=3.0, pitch=0.5, hipped=False)
    wing = projecting_wing(main, 3.0, 6.0, 4.0, 0.5, front=front, hipped=True, eave=3.0)
    outline = house_outline([main, wing], HERE)
    assert outline.area == pytest.approx(16 * 10 + 6 * 4)
    far = -9.0 if front else 9.0
    assert outline.bounds[1 if front else 3] == pytest.approx(far)
    mesh = house_mesh([main, wing], HERE, 0.0, -1.0)
    inner = wing.y + (wing.length / 2 if front else -wing.length / 2)
    roof_there = 3.0 + 0.5 * (main.span / 2 - abs(inner))
    assert roof_there >= 3.0 + wing.rise
    assert is_closed(mesh)
