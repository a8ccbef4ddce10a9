"""Volumes of Simple 3D Buildings: closed, outward, as high and as wide as they are said to be."""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import l_plan, octagon, open_edges, plans, ring_plan
from shapely import affinity
from shapely.geometry import Polygon, box
from towns import volume_of

from mage.scenes.city import Volume
from mage.scenes.errors import CityError, MissingExtraError
from mage.scenes.mesh import Surface
from mage.scenes.sources.roofs.shapes import PITCHES
from mage.scenes.sources.roofs.simple3d import building_mesh, volume_mesh

SHAPES = sorted(PITCHES)
HOUSE = box(0, 0, 12, 8)  # eaves at 5 m and 3 m of roof hold 12 * 8 * 5 = 480 cubic metres of walls


@pytest.mark.parametrize(
    ("roof", "within"),
    [
        ("flat", 12 * 8 * 3),
        ("skillion", 12 * 8 * 3 / 2),
        ("gabled", 12 * 8 * 3 / 2),
        ("hipped", 8 * 3 * (2 * 12 + 4) / 6),  # a wedge: span * rise * (2 * length + ridge) / 6
        ("half-hipped", 12 * 8 * 3 / 2 - 2 * (4 * 1.5 / 2) * 2 / 3),  # less a pyramid at both ends
        ("pyramidal", 12 * 8 * 3 / 3),
        ("cone", 12 * 8 * 3 / 3),
        ("gambrel", 12 * 8 * 3 * (0.35 * 0.62 / 2 + 0.65 * 1.62 / 2)),
    ],
)
def test_a_roof_over_a_rectangle_holds_what_geometry_says(roof: str, within: float) -> None:
    mesh = volume_mesh(Volume(HOUSE, 0.0, 8.0, roof=roof, roof_height=3.0))
    assert volume_of(mesh) == pytest.approx(480 + within, rel=1e-9)


def test_a_dome_and_a_barrel_hold_nearly_what_the_smooth_ones_do() -> None:
    dome = volume_mesh(Volume(octagon(10), 0.0, 10.0, roof="dome", roof_height=6.0))
    assert volume_of(dome) == pytest.approx(octagon(10).area * (4 + 6 * 2 / 3), rel=0.02)
    barrel = volume_mesh(Volume(HOUSE, 0.0, 8.0, roof="round", roof_height=3.0))
    assert volume_of(barrel) == pytest.approx(480 + 12 * 8 * 3 * np.pi / 4, rel=0.01)


def test_a_hipped_roof_over_an_l_holds_the_integral_of_the_distance_to_its_walls() -> None:
    plan = l_plan(18, 14, 6)
    step = 0.05
    x, y = np.meshgrid(np.arange(step / 2, 18, step), np.arange(step / 2, 14, step))
    at = shapely.points(x.ravel(), y.ravel())
    inside = shapely.contains(plan, at)
    # around the inner corner the skeleton measures to the walls' lines, not to the corner
    lines = np.minimum(np.minimum(x, y), np.where(x < 6, np.maximum(6 - x, np.where(y < 6, 6 - y, 0)), 6 - y)).ravel()
    distance = np.minimum(np.minimum(lines, 18 - x.ravel()), 14 - y.ravel())[inside]
    mesh = volume_mesh(Volume(plan, 0.0, 8.0, roof="hipped", roof_height=3.0))
    assert volume_of(mesh) == pytest.approx(plan.area * 5 + distance.sum() * step**2, rel=1e-3)


@settings(max_examples=120)
@given(
    plans,
    st.sampled_from(SHAPES),
    st.sampled_from([0.0, 3.5]),
    st.floats(0.5, 30),
    st.one_of(st.none(), st.floats(0.1, 40)),
    st.one_of(st.none(), st.none(), st.floats(0, 360)),
    st.sampled_from(["", "", "along", "across"]),
)
def test_every_volume_is_closed_outward_and_as_large_as_stated(
    plan: Polygon,
    roof: str,
    base: float,
    body: float,
    roof_height: float | None,
    direction: float | None,
    orientation: str,
) -> None:
    volume = Volume(
        plan, base, base + body, roof=roof, roof_height=roof_height, direction=direction, orientation=orientation
    )
    mesh = volume_mesh(volume)
    assert open_edges(mesh) == 0
    assert volume_of(mesh) > 0
    low, high = mesh.bounds
    assert low[2] == pytest.approx(base, abs=1e-3)
    assert high[2] == pytest.approx(base + body, abs=1e-3)
    roofs = mesh.surface == Surface.ROOF
    assert (mesh.normals[roofs & (mesh.areas > 1e-6), 2] > 0).all()
    covered = float((mesh.areas * mesh.normals[:, 2])[roofs].sum())
    assert covered == pytest.approx(plan.area, rel=1e-3)
    assert shapely.contains_xy(plan.buffer(0.02), mesh.vertices[:, :2]).all()
    eave = mesh.vertices[mesh.triangles[roofs]][..., 2].min()
    if roof == "flat":
        assert eave == pytest.approx(base + body)
    elif roof_height is not None:
        assert base + body - eave == pytest.approx(min(roof_height, body - 0.01), abs=1e-3)
    else:
        assert 0 < base + body - eave <= body / 2 + 1e-3


@pytest.mark.parametrize("roof", SHAPES)
@pytest.mark.parametrize("base", [0.0, 3.0])
def test_walls_go_down_to_the_foot_and_the_underside_is_ground_only_on_the_ground(roof: str, base: float) -> None:
    mesh = volume_mesh(Volume(HOUSE, base, 10.0, roof=roof))
    down = mesh.normals[:, 2] < -0.5
    assert set(mesh.surface[down]) == {Surface.GROUND if base == 0 else Surface.WALL}
    assert (mesh.areas * down).sum() == pytest.approx(96)
    upright = np.abs(mesh.normals[:, 2]) < 1e-6
    assert (upright == (mesh.surface == Surface.WALL) & ~down).all()


def test_a_gable_is_wall_and_a_hip_is_roof() -> None:
    gabled, hipped = (volume_mesh(Volume(HOUSE, 0.0, 8.0, roof=roof, roof_height=3.0)) for roof in ("gabled", "hipped"))
    assert gabled.areas[gabled.surface == Surface.WALL].sum() == pytest.approx(40 * 5 + 2 * 8 * 3 / 2)
    assert hipped.areas[hipped.surface == Surface.WALL].sum() == pytest.approx(40 * 5)


@pytest.mark.parametrize(
    ("kwargs", "looks"),
    [
        ({}, {(0, 1), (0, -1)}),
        ({"orientation": "along"}, {(0, 1), (0, -1)}),
        ({"orientation": "across"}, {(1, 0), (-1, 0)}),
        ({"direction": 90.0}, {(1, 0), (-1, 0)}),
        ({"direction": 0.0, "orientation": "across"}, {(0, 1), (0, -1)}),
    ],
)
def test_the_slopes_of_a_gable_look_where_orientation_and_direction_say(
    kwargs: dict[str, object], looks: set[tuple[int, int]]
) -> None:
    mesh = volume_mesh(Volume(HOUSE, 0.0, 8.0, roof="gabled", **kwargs))
    level = mesh.normals[mesh.surface == Surface.ROOF, :2]
    found = {(round(x), round(y)) for x, y in level / np.linalg.norm(level, axis=1, keepdims=True)}
    assert found == looks


@pytest.mark.parametrize("direction", [0.0, 45.0, 190.0])
def test_a_skillion_falls_towards_its_direction(direction: float) -> None:
    mesh = volume_mesh(Volume(l_plan(18, 14, 6), 0.0, 8.0, roof="skillion", direction=direction))
    normals = mesh.normals[mesh.surface == Surface.ROOF]
    assert np.ptp(normals, axis=0).max() < 1e-9
    assert np.degrees(np.arctan2(normals[0, 0], normals[0, 1])) % 360 == pytest.approx(direction)


def test_storeys_in_the_roof_give_its_height_where_that_is_not_stated() -> None:
    def eave(**kwargs: float) -> float:
        mesh = volume_mesh(Volume(HOUSE, 0.0, 12.0, roof="gabled", **kwargs))
        return float(mesh.vertices[mesh.triangles[mesh.surface == Surface.ROOF]][..., 2].min())

    assert eave(roof_levels=1.0) == pytest.approx(9.0)
    assert eave(roof_levels=1.0, levels=2.0) == pytest.approx(8.0)
    assert eave(roof_levels=1.0, roof_height=2.0) == pytest.approx(10.0)
    assert eave(roof_levels=9.0) == pytest.approx(0.01)
    assert eave(roof_levels=1.0, levels=-1.0) == pytest.approx(9.0)


def test_the_same_volume_gives_the_same_bytes_and_moves_with_its_outline() -> None:
    first, again, moved = (
        volume_mesh(Volume(affinity.translate(l_plan(18, 14, 6), dx), 0.0, 9.0, roof="gambrel")) for dx in (0, 0, 500)
    )
    assert first.vertices.tobytes() == again.vertices.tobytes()
    assert first.triangles.tobytes() == again.triangles.tobytes()
    assert np.allclose(moved.vertices - first.vertices, [500, 0, 0], atol=1e-9)


def test_a_building_is_all_its_volumes() -> None:
    volumes = [Volume(HOUSE, 0.0, 8.0, roof="gabled"), Volume(box(2, 2, 4, 4), 8.0, 14.0, roof="pyramidal")]
    mesh = building_mesh(volumes)
    assert volume_of(mesh) == pytest.approx(sum(volume_of(volume_mesh(volume)) for volume in volumes))
    assert len(building_mesh([])) == 0


def test_a_volume_without_a_height_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="height"):
        volume_mesh(Volume(HOUSE))


@pytest.mark.parametrize(
    "volume",
    [
        Volume(HOUSE, 5.0, 5.0),
        Volume(HOUSE, 5.0, 4.0, roof="hipped"),
        Volume(HOUSE, 0.0, float("nan")),
        Volume(HOUSE, 0.0, float("inf")),
        Volume(HOUSE, 0.0, 8.0, roof="gabled", roof_height=float("nan")),
        Volume(HOUSE, 0.0, 8.0, roof="gabled", direction=float("inf")),
        Volume(Polygon(), 0.0, 8.0),
        Volume(Polygon([(0, 0), (5, 0), (10, 0)]), 0.0, 8.0),
        Volume(box(0, 0, 0.01, 0.01), 0.0, 8.0),
        Volume(box(0, 0, 1e12, 1e12), 0.0, 8.0),
    ],
)
def test_what_cannot_be_built_is_one_error(volume: Volume) -> None:
    with pytest.raises(CityError):
        volume_mesh(volume)


def test_an_outline_with_a_corner_nowhere_is_one_error() -> None:
    with np.errstate(invalid="ignore"):
        plan = Polygon([(0, 0), (5, 0), (float("nan"), 3)])
    with pytest.raises(CityError, match="nowhere"):
        volume_mesh(Volume(plan, 0.0, 8.0))


@pytest.mark.parametrize("roof", SHAPES)
@pytest.mark.parametrize(
    "plan",
    [
        box(0, 0, 0.1, 0.1),
        box(0, 0, 9000, 5000),
        box(0, 0, 100, 0.05),
        Polygon([(0, 0), (6, 0), (12, 0), (12, 0.0004), (12, 4), (12, 8), (0, 8), (0, 8), (0, 4)]),
        Polygon([(0, 0), (12, 8), (12, 0), (0, 8)]),
        box(0, 0, 12, 8).difference(Polygon([(0, 4), (4, 2), (4, 6)])),
        Polygon(box(0, 0, 12, 8).exterior, [[(0, 4), (4, 2), (4, 6)]]),
    ],
    ids=["tiny", "huge", "sliver", "repeated", "bow-tie", "notch", "touching"],
)
def test_odd_outlines_still_make_closed_volumes(plan: Polygon, roof: str) -> None:
    mesh = volume_mesh(Volume(plan, 0.0, 8.0, roof=roof))
    assert open_edges(mesh) == 0
    covered = float((mesh.areas * mesh.normals[:, 2])[mesh.surface == Surface.ROOF].sum())
    assert covered == pytest.approx(shapely.make_valid(plan).area, rel=2e-3)


def test_what_is_repaired_is_counted() -> None:
    notes: Counter[str] = Counter()
    volume_mesh(Volume(Polygon([(0, 0), (12, 8), (12, 0), (0, 8)]), 0.0, 8.0), notes)
    volume_mesh(Volume(Polygon(box(0, 0, 12, 8).exterior, [[(0, 4), (4, 2), (4, 6)]]), 0.0, 8.0), notes)
    volume_mesh(Volume(ring_plan(20, 20, 5), 0.0, 8.0, roof="dome"), notes)
    angle = np.linspace(0, 2 * np.pi, 1000, endpoint=False)
    radius = 40 + np.cos(angle * 333)
    star = Polygon(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]))
    mesh = volume_mesh(Volume(star, 0.0, 8.0, roof="hipped"), notes)
    assert open_edges(mesh) == 0
    assert notes == {
        "outlines that cross themselves taken apart": 1,
        "outlines that touch themselves drawn in by a millimetre": 3,  # both halves of the bow-tie among them
        "roofs with a centre over plans without one built along their walls": 1,
        "outlines of more than 250 corners simplified": 1,
    }


def test_a_plan_of_a_thousand_courtyards_takes_no_minutes() -> None:
    holes = [box(4 * i, 4 * j, 4 * i + 1, 4 * j + 1).exterior for i in range(1, 33) for j in range(1, 33)]
    notes: Counter[str] = Counter()
    mesh = volume_mesh(Volume(Polygon(box(0, 0, 140, 140).exterior, holes), 0.0, 8.0, roof="hipped"), notes)
    assert open_edges(mesh) == 0
    assert notes["outlines of more than 25 courtyards without the smallest"] == 1


def test_without_the_skeleton_a_hipped_roof_is_one_error_and_a_rectangle_still_has_its_gables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "compas_cgal", None)
    with pytest.raises(MissingExtraError, match="roofs"):
        volume_mesh(Volume(HOUSE, 0.0, 8.0, roof="hipped"))
    assert open_edges(volume_mesh(Volume(HOUSE, 0.0, 8.0, roof="gabled"))) == 0


def test_numbers_next_to_nothing_in_an_outline_are_nothing() -> None:
    """GEOS warned of a division by zero where it laid such corners on its grid."""
    plan = Polygon([(0.0, -6.0), (-2.0, -1.0), (-1.1e-170, -2.3e-279), (0.0, 0.0), (5.0, 0.0)])
    mesh = volume_mesh(Volume(plan, 0.0, 1.0, roof="cone"))
    assert open_edges(mesh) == 0
    assert mesh.bounds[1][2] == pytest.approx(1.0)
