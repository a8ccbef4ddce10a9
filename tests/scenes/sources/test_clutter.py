"""Small things on roofs."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from towns import box_building, is_closed, volume_of

from mage.scenes.city import Building
from mage.scenes.details import Details
from mage.scenes.mesh import Mesh, Surface, empty_mesh
from mage.scenes.sources.living.clutter import Thing, roof_clutter
from mage.scenes.sources.procedural.houses import house_mesh, house_outline, pitched_wing
from mage.scenes.style import Style, load_style

STYLE = load_style("european").model_copy(update={"details": Details()})


def gabled() -> Building:
    wing = pitched_wing(0, 0, 24, 10, eave=6.0, pitch=0.8, hipped=False)
    turn = np.array([(5.0, 9.0), (0.8, 0.6), (-0.6, 0.8)])
    mesh = house_mesh([wing], turn, 2.0, 1.0)
    return Building("g", house_outline([wing], turn), 2.0, 10.0, 6.0, mesh, 2, roof="pitched")


FULL = {"solar": 1.0, "tanks": 3.0, "heaters": 20.0, "dishes": 2.0}
RICH = STYLE.model_copy(update={"details": STYLE.details.model_copy(update=FULL)})


def hall() -> Building:
    return box_building("f", -8, 3, 38, 19, 1.0, 9.0)


def bodies(mesh: Mesh) -> list[Mesh]:
    """The connected parts of a mesh, in order."""
    links = np.concatenate([mesh.triangles[:, [0, 1]], mesh.triangles[:, [1, 2]]])
    n = len(mesh.vertices)
    label = connected_components(coo_matrix((np.ones(len(links)), links.T), shape=(n, n)), directed=False)[1]
    of_face = label[mesh.triangles[:, 0]]
    return [mesh.faces(of_face == k) for k in np.unique(of_face)]


@pytest.mark.parametrize("style", [STYLE, RICH], ids=["plain", "rich"])
@pytest.mark.parametrize("building", [gabled(), hall()], ids=["gabled", "flat"])
def test_all_of_it_is_closed_clutter_within_the_outline_with_its_feet_in_the_roof(
    building: Building, style: Style
) -> None:
    found = 0
    for seed in range(12):
        mesh = roof_clutter(np.random.default_rng(seed), building, style)
        found += len(mesh)
        if len(mesh) == 0:
            continue
        assert is_closed(mesh)
        assert (mesh.surface == Surface.CLUTTER).all()
        assert shapely.contains_xy(building.footprint.buffer(1e-6), mesh.vertices[:, :2]).all()
        for body in bodies(mesh):
            used = body.vertices[np.unique(body.triangles)]
            assert volume_of(body) > 0
            above = used[:, 2] - roof_height(building, used[:, :2])
            assert above.min() <= -0.1 + 1e-6  # never floating
            assert above.max() < 3.0
    assert found > 200


def roof_height(building: Building, xy: np.ndarray) -> np.ndarray:
    """Closed form of the two roofs that these tests use."""
    if building.id == "f":
        return np.full(len(xy), 1.0 + 9.0)
    return np.asarray(2.0 + 6.0 + 0.8 * (5 - np.abs((xy - (5, 9)) @ (-0.6, 0.8))))


def test_the_feet_of_every_body_lie_below_the_roof_at_each_of_their_corners() -> None:
    for building in (gabled(), hall()):
        for seed in range(8):
            for body in bodies(roof_clutter(np.random.default_rng(seed), building, RICH)):
                used = body.vertices[np.unique(body.triangles)]
                foot = used[: len(used) // 2]
                assert (foot[:, 2] <= roof_height(building, foot[:, :2]) - 0.1 + 1e-6).all()


def test_panels_lie_in_the_plane_of_the_sunny_side_and_no_two_bodies_overlap() -> None:
    building, panels = gabled(), 0
    for seed in range(8):
        mesh = roof_clutter(np.random.default_rng(seed), building, RICH)
        for body in bodies(mesh.faces(mesh.attributes["thing"] == Thing.PANEL)):
            used = body.vertices[np.unique(body.triangles)]
            top = used[4:]
            assert np.allclose(top[:, 2] - roof_height(building, top[:, :2]), 0.08)
            assert ((used[:, :2] - (5, 9)) @ (-0.6, 0.8) < 0).all()  # south-east of the ridge
            panels += 1
        plans = [
            shapely.convex_hull(shapely.multipoints(b.vertices[np.unique(b.triangles)][:, :2])) for b in bodies(mesh)
        ]
        pairs = shapely.STRtree(plans).query(np.array(plans, dtype=object), predicate="overlaps").T
        assert len(pairs) == 0
    assert panels > 40


def test_a_flat_roof_holds_rows_of_solar_heaters_and_round_tanks() -> None:
    many = RICH.model_copy(update={"details": RICH.details.model_copy(update={"heaters": 60.0, "solar": 0.0})})
    mesh = roof_clutter(np.random.default_rng(1), hall(), many)
    things = mesh.attributes["thing"]
    barrels = bodies(mesh.faces(things == Thing.BARREL))
    assert 40 <= len(barrels) <= 90
    assert len(barrels) == len(bodies(mesh.faces(things == Thing.COLLECTOR)))
    assert not (things == Thing.PANEL).any()
    for tank in bodies(mesh.faces(things == Thing.TANK)):
        assert len(np.unique(tank.triangles)) == 16


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
