"""Small things on roofs."""

from __future__ import annotations

import numpy as np
import shapely
from towns import box_building, is_closed

from mage.scenes.city import Building
from mage.scenes.mesh import Surface, empty_mesh
from mage.scenes.sources.clutter import roof_clutter
from mage.scenes.sources.roofs import house_mesh, house_outline, pitched_wing
from mage.scenes.style import load_style

STYLE = load_style("european")


def gabled() -> Building:
    wing = pitched_wing(0, 0, 24, 10, eave=6.0, pitch=0.8, hipped=False)
    turn = np.array([(5.0, 9.0), (0.8, 0.6), (-0.6, 0.8)])
    mesh = house_mesh([wing], turn, 2.0, 1.0)
    return Building("g", house_outline([wing], turn), 2.0, 10.0, 6.0, mesh, 2, roof="pitched")


def test_boxes_are_closed_clutter_within_the_outline_with_their_feet_in_the_roof() -> None:
    found = 0
    for building in (gabled(), box_building("f", -8, 3, 30, 22, 1.0, 9.0)):
        for seed in range(25):
            mesh = roof_clutter(np.random.default_rng(seed), building, STYLE)
            found += len(mesh)
            if len(mesh) == 0:
                continue
            assert is_closed(mesh)
            assert (mesh.surface == Surface.CLUTTER).all()
            assert shapely.contains_xy(building.footprint.buffer(1e-6), mesh.vertices[:, :2]).all()
            low, high = mesh.vertices[:, 2].min(), mesh.vertices[:, 2].max()
            assert low >= building.ground + building.eave - 0.1 - 1e-9
            assert high <= building.ground + building.height + 2.0
    assert found > 200


def test_a_chimney_on_a_slope_leaves_no_gap_below_it() -> None:
    building = gabled()
    seen = 0
    for seed in range(20):
        mesh = roof_clutter(np.random.default_rng(seed), building, STYLE)
        for box in mesh.vertices.reshape(-1, 8, 3):
            foot = box[:4]
            # height of the roof over each corner, from the distance to the ridge that runs through (5, 9)
            across = np.abs((foot[:, :2] - (5, 9)) @ (-0.6, 0.8))
            roof = 2.0 + 6.0 + 0.8 * (5 - across)
            assert (foot[:, 2] <= roof - 0.1 + 1e-6).all()
            seen += 1
    assert seen > 10


def test_a_roof_without_faces_gets_nothing_and_one_seed_gives_one_roof() -> None:
    bare = box_building("b", 0, 0, 9, 9, 0.0, 5.0)
    nothing = Building("n", bare.footprint, 0.0, 5.0, 5.0, empty_mesh(), 1)
    assert len(roof_clutter(np.random.default_rng(0), nothing, STYLE)) == 0
    one, two = (roof_clutter(np.random.default_rng(4), gabled(), STYLE) for _ in range(2))
    assert np.array_equal(one.vertices, two.vertices)
