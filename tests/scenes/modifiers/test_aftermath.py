"""What a strike leaves of a city."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import affinity
from shapely.geometry import LineString, Polygon, box

from mage.scenes.aftermath import Aftermath
from mage.scenes.city import Building, City, RoadEdge, RoadGraph
from mage.scenes.mesh import Mesh, Surface, concatenate, planar_uv
from mage.scenes.modifiers import aftermath, road_debris
from mage.scenes.modifiers.bodies import slab
from mage.scenes.modifiers.collapse import heap_of_debris
from mage.scenes.modifiers.debris import BULK, CREST, NO_VOLUME, OVERFULL, apron
from mage.scenes.modifiers.raster import top_faces
from mage.scenes.modifiers.roof_damage import shed
from mage.scenes.modifiers.site import Site
from mage.scenes.sources.procedural.build import build_city
from mage.scenes.sources.read import read_city
from mage.scenes.strike import Burn, Collapse, Strike, untouched
from mage.scenes.style import load_style
from mage.scenes.terrain import Terrain

PUBLISHED = 0.33  # FEMA 329: cubic metres of debris per cubic metre of building
FALLEN = [c for c in Collapse if c >= Collapse.INCLINED_PLANE]
SHAPES = {
    "oblong": box(-6, -9, 6, 9),
    "turned": affinity.rotate(box(-5, -8, 5, 8), 33),
    "angled": Polygon([(-10, -8), (10, -8), (10, 0), (0, 0), (0, 10), (-10, 10)]),
    "courtyard": box(-12, -12, 12, 12).difference(box(-4, -4, 4, 4)),
}


def flat_house(plan: Polygon, height: float, name: str = "a") -> Building:
    body = slab(plan, 0.0, height, Surface.WALL)
    surface = np.where(body.normals[:, 2] > 0.5, Surface.ROOF, Surface.WALL).astype(np.uint8)
    mesh = Mesh(body.vertices, body.triangles, surface, planar_uv(body.vertices, body.triangles))
    return Building(name, plan, 0.0, height, height, mesh, 1, storeys=max(1, round(height / 3)))


def town(*buildings: Building, roads: RoadGraph | None = None) -> City:
    ground = Terrain(np.zeros((61, 61)), -120.0, 120.0, 4.0)
    bounds = (-100.0, -100.0, 100.0, 100.0)
    return City("t", None, (0, 0), 30, 30, bounds, buildings, roads or RoadGraph(), terrain=ground)


def struck(city: City, collapse: int = 0, **arrays: object) -> Strike:
    n = len(city.buildings)
    grade = 5 if collapse >= Collapse.INCLINED_PLANE else 4
    return replace(
        untouched(city, "earthquake"),
        collapse=np.full(n, collapse, np.uint8),
        ems98=np.full(n, grade, np.uint8),
        direction=np.full(n, 0.7),
        **arrays,  # type: ignore[arg-type]
    )


def volume_over(mesh: Mesh, z: float) -> float:
    low, high = mesh.bounds
    rows, columns = (np.ceil((high - low)[1::-1] / 0.1) + 1).astype(int)
    top = top_faces(mesh, float(low[0]), float(low[1]), 0.1, (int(rows), int(columns)))[0]
    return float((top[np.isfinite(top)] - z).sum() * 0.01)


def rubble_of(mesh: Mesh) -> np.ndarray:
    """Vertices of the faces of rubble."""
    return np.unique(mesh.triangles[mesh.surface == Surface.RUBBLE])


def all_of(after: Aftermath) -> Mesh:
    return concatenate([*after.buildings.values(), after.debris])[0]


def test_what_was_not_struck_stays_as_it_is() -> None:
    city = town(flat_house(SHAPES["oblong"], 9.0))
    after = aftermath(city, untouched(city, "earthquake"), 1)
    assert not after.buildings
    assert len(after.debris) == 0
    assert after.visible.tolist() == [0]
    assert after.roof_lost.tolist() == [0.0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("height", [6.0, 18.0])
def test_a_heap_holds_the_published_share_of_the_buildings_volume(shape: str, height: float) -> None:
    site = Site(flat_house(SHAPES[shape], height), town().ground, 1.0)
    heap = heap_of_debris(np.random.default_rng(4), site)[0]
    assert site.volume == pytest.approx(SHAPES[shape].area * height)
    assert volume_over(heap, 0.0) == pytest.approx(PUBLISHED * SHAPES[shape].area * height, rel=0.05)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("height", [6.0, 18.0, 40.0])
def test_all_that_a_heap_leaves_in_the_scene_has_that_volume_too(shape: str, height: float) -> None:
    city = town(flat_house(SHAPES[shape], height))
    left = all_of(aftermath(city, struck(city, Collapse.HEAP), 3))
    assert volume_over(left, 0.0) == pytest.approx(PUBLISHED * SHAPES[shape].area * height, rel=0.05)


@pytest.mark.parametrize(
    ("height", "long_side", "short_side"),
    [
        (6.0, 2 / 3, 0.5),
        (23.9, 2 / 3, 0.5),
        (54.0, 0.5, 0.3),
        (39.0, 7 / 12, 0.4),
        (77.0, 0.5, 0.275),
        (100, 0.5, 0.25),
    ],
)
def test_debris_reaches_as_far_as_the_published_table_says(height: float, long_side: float, short_side: float) -> None:
    """Across the long sides, which look east and west here, and across the short ones."""
    city = town(flat_house(SHAPES["oblong"], height))
    after = aftermath(city, struck(city, Collapse.HEAP), 3)
    assert Site(city.buildings[0], city.ground, 0.0).reach / height == pytest.approx([short_side, long_side], abs=1e-3)
    low, high = after.debris.bounds
    east, north = max(-6 - low[0], high[0] - 6) / height, max(-9 - low[1], high[1] - 9) / height
    assert 0.8 * long_side < east <= long_side + 1e-6
    assert 0.8 * short_side < north <= short_side + 1e-6


@pytest.mark.parametrize("collapse", [Collapse.OVERTURN_BLOCK, Collapse.OVERTURN_SEPARATED])
@pytest.mark.parametrize(("width", "height"), [(40.0, 9.0), (24.0, 12.0), (16.0, 15.0), (10.0, 30.0)])
def test_an_overturned_building_lies_lower_than_it_stood(collapse: Collapse, width: float, height: float) -> None:
    """However wide: on its side it would stand as high as it was wide, which no building bears."""
    city = town(flat_house(box(-width / 2, -1.2 * width / 2, width / 2, 1.2 * width / 2), height))
    after = aftermath(city, struck(city, collapse), 3)
    assert all_of(after).bounds[1][2] < 0.7 * height
    assert after.visible[0] == 5


@pytest.mark.parametrize("shape", SHAPES)
def test_a_heap_is_lower_than_its_building_and_within_its_reach(shape: str) -> None:
    building = flat_house(SHAPES[shape], 12.0)
    city = town(building)
    heap = all_of(aftermath(city, struck(city, Collapse.HEAP), 2))
    assert heap.bounds[1][2] < 0.7 * 12.0
    assert heap.bounds[0][2] > -0.5
    far = shapely.distance(building.footprint, shapely.points(heap.vertices[:, :2])).max()
    assert 2.0 < far <= 12.0 * 2 / 3 + 0.01


@pytest.mark.parametrize("collapse", FALLEN)
def test_every_collapse_leaves_a_sound_mesh_above_the_ground(collapse: Collapse) -> None:
    for shape in SHAPES.values():
        city = town(flat_house(shape, 12.0))
        after = aftermath(city, struck(city, collapse), 3)
        mesh = all_of(after)
        assert 0 < len(mesh) < 5000
        assert np.isfinite(mesh.vertices).all()
        assert mesh.bounds[0][2] > -0.5
        assert mesh.bounds[1][2] < 12.01
        assert len(after.debris_owner) == len(after.debris)
        far = shapely.distance(shape, shapely.points(after.debris.vertices[:, :2])).max()
        assert far <= (1.2 * 12 if "OVERTURN" in collapse.name else 8.01) + 1.0


@pytest.mark.parametrize("collapse", [Collapse.HEAP, Collapse.PANCAKE_ALL, Collapse.INCLINED_PLANE, Collapse.OUTSPREAD])
def test_what_has_come_down_looks_so(collapse: Collapse) -> None:
    city = town(flat_house(SHAPES["oblong"], 15.0))
    after = aftermath(city, struck(city, collapse), 5)
    assert after.roof_lost[0] > 0.95
    assert after.visible[0] >= 4


def test_a_crushed_ground_storey_under_an_intact_roof_looks_like_slight_damage() -> None:
    city = town(flat_house(SHAPES["oblong"], 15.0))
    after = aftermath(city, struck(city, Collapse.PANCAKE_FIRST), 5)
    assert after.visible[0] == 1
    assert after.roof_lost[0] > 0.95  # it is three metres lower
    assert 11.5 < after.buildings[0].bounds[1][2] < 13.0


def test_what_a_building_looks_like_does_not_depend_on_the_others_asked_for() -> None:
    rows = [flat_house(affinity.translate(box(-5, -5, 5, 5), 17 * k, 0), 6.0 + 3 * k, str(k)) for k in range(4)]
    city = town(*rows)
    strike = replace(struck(city), collapse=np.array([13, 15, 11, 1], np.uint8), covering_lost=np.array([0, 0, 0, 0.2]))
    whole, again = aftermath(city, strike, 9), aftermath(city, strike, 9)
    part = aftermath(city, strike, 9, np.array([2]))
    assert list(part.buildings) == [2]
    for other in (again.buildings[2], part.buildings[2]):
        assert other.vertices.tobytes() == whole.buildings[2].vertices.tobytes()
        assert other.surface.tobytes() == whole.buildings[2].surface.tobytes()
    own = whole.debris.vertices[whole.debris.triangles[whole.debris_owner == 2]]
    assert own.tobytes() == part.debris.vertices[part.debris.triangles].tobytes()
    assert (part.visible[2], part.roof_lost[2]) == (whole.visible[2], whole.roof_lost[2])


def test_a_part_of_a_dense_city_looks_as_it_does_in_the_whole() -> None:
    rng = np.random.default_rng(4)
    city = build_city(load_style("european-old-town"), 110.0, rng)
    kinds = np.where(np.arange(len(city.buildings)) % 2, rng.choice([0, 1, 3], len(city.buildings)), 13)
    kinds = kinds.astype(np.uint8)
    shares = np.where(kinds == 13, 0.0, rng.uniform(0, 0.6, len(kinds)))
    strike = struck(city, covering_lost=shares, deck_lost=shares / 2)
    strike = replace(strike, collapse=kinds, ems98=np.where(kinds == 13, 5, 3).astype(np.uint8))
    whole = aftermath(city, strike, 9)
    which = np.append(np.flatnonzero(whole.buried)[:2], rng.permutation(len(city.buildings))[:4])
    part = aftermath(city, strike, 9, which)
    for name in ("visible", "buried", "roof_lost"):
        assert getattr(whole, name)[which].tolist() == getattr(part, name)[which].tolist(), name
    assert whole.buried[which].any()


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_bare_decking_and_holes_cover_the_shares_stated(share: float) -> None:
    city = town(flat_house(SHAPES["angled"], 6.0))
    after = aftermath(city, struck(city, covering_lost=np.array([share]), deck_lost=np.array([share / 2])), 2)
    mesh = after.buildings[0]
    area = SHAPES["angled"].area
    high = mesh.normals[:, 2] > 0.9
    covered = mesh.areas[high & (mesh.surface == Surface.ROOF)].sum()
    bare = mesh.areas[high & (mesh.surface == Surface.DECKING)].sum()
    assert covered / area == pytest.approx(1 - share, abs=0.02)
    assert bare / area == pytest.approx(share / 2, abs=0.02)
    assert (mesh.surface == Surface.TIMBER).any()
    assert after.visible[0] >= 2


def test_tarpaulins_lie_on_what_is_bare() -> None:
    city = town(flat_house(SHAPES["oblong"], 6.0))
    after = aftermath(city, struck(city, covering_lost=np.array([0.1]), tarped=np.array([True])), 2)
    tarp = after.buildings[0].faces(after.buildings[0].surface == Surface.TARPAULIN)
    assert tarp.areas.sum() > 0.08 * SHAPES["oblong"].area
    assert tarp.vertices[tarp.triangles][..., 2] == pytest.approx(6.08)


def test_a_swept_house_is_a_slab_with_its_boards_down_wind() -> None:
    city = town(flat_house(SHAPES["oblong"], 6.0))
    after = aftermath(city, struck(city, swept=np.array([True])), 2)
    assert after.buildings[0].bounds[1][2] < 3.0
    assert (after.buildings[0].surface == Surface.SLAB).any()
    heading = after.debris.vertices[:, :2].mean(axis=0)
    assert abs(np.arctan2(heading[1], heading[0]) - 0.7) < 0.5
    assert after.visible[0] == 4  # no more than the physical grade


def test_a_burnt_house_has_ash_and_no_roof() -> None:
    city = town(flat_house(SHAPES["oblong"], 6.0))
    after = aftermath(city, struck(city, burn=np.array([Burn.BURNT], np.uint8), deck_lost=np.ones(1)), 2)
    surfaces = set(after.buildings[0].surface.tolist())
    assert Surface.ASH in surfaces
    assert Surface.ROOF not in surfaces
    assert after.roof_lost[0] == 1.0


def test_a_burnt_house_that_kept_its_deck_is_a_shell_with_half_a_charred_roof() -> None:
    city = town(flat_house(SHAPES["oblong"], 6.0))
    strike = struck(city, burn=np.array([Burn.BURNT], np.uint8), covering_lost=np.array([0.5]))
    after = aftermath(city, strike, 2)
    mesh, area = after.buildings[0], SHAPES["oblong"].area
    high = mesh.normals[:, 2] > 0.9
    assert after.roof_lost[0] == pytest.approx(0.5, abs=0.05)
    assert mesh.areas[high & (mesh.surface == Surface.CHAR)].sum() / area == pytest.approx(0.5, abs=0.02)
    assert mesh.areas[mesh.surface == Surface.WALL].sum() == pytest.approx(
        60 * 6.0 + area, rel=0.01
    )  # the underside too


@pytest.mark.parametrize(("covering", "deck"), [(0.2, 0.0), (0.6, 0.2), (0.9, 0.8)])
def test_a_burning_roof_is_black_and_open_as_far_as_it_was_struck(covering: float, deck: float) -> None:
    city = town(flat_house(SHAPES["oblong"], 6.0))
    shares = {"covering_lost": np.array([covering]), "deck_lost": np.array([deck])}
    after = aftermath(city, struck(city, burn=np.array([Burn.BURNING], np.uint8), **shares), 2)
    mesh, area = after.buildings[0], SHAPES["oblong"].area
    roof = (mesh.normals[:, 2] > 0.9) & (mesh.vertices[mesh.triangles][..., 2].min(axis=1) > 5.99)
    assert mesh.areas[roof & (mesh.surface == Surface.ROOF)].sum() / area == pytest.approx(1 - covering, abs=0.02)
    assert mesh.areas[roof & (mesh.surface == Surface.CHAR)].sum() / area == pytest.approx(covering - deck, abs=0.02)
    assert Surface.DECKING not in mesh.surface
    assert after.roof_lost[0] == pytest.approx(covering, abs=0.05)


@pytest.mark.parametrize("gap", [0.5, 1.5])
@pytest.mark.parametrize("collapse", [c for c in Collapse if c > Collapse.TILES and "OVERTURN" not in c.name])
def test_rubble_between_high_neighbours_does_not_tower(collapse: Collapse, gap: float) -> None:
    """A house of 10 x 10 x 15 m with towers of 40 m on all four sides."""
    far = 5 + gap
    sides = [
        box(-40, far, 40, 40),
        box(-40, -40, 40, -far),
        box(-40, -far + 0.1, -far, far - 0.1),
        box(far, -far + 0.1, 40, far - 0.1),
    ]
    towers = [flat_house(side, 40.0, str(k)) for k, side in enumerate(sides)]
    city = town(flat_house(box(-5, -5, 5, 5), 15.0), *towers)
    strike = untouched(city, "earthquake")
    strike.collapse[0], strike.ems98[0], strike.direction[0] = collapse, 5, 0.7
    after = aftermath(city, strike, 11)
    mesh = all_of(after)
    assert (mesh.vertices[rubble_of(mesh), 2] <= 15.0).all()
    if gap < 1 and collapse in (Collapse.OUTSPREAD, Collapse.PANCAKE_ALL, Collapse.HEAP_ON_STOREYS):
        assert after.notes == {OVERFULL: 1}


def test_a_hemmed_in_heap_keeps_its_volume_inside_the_plan() -> None:
    plan = box(-5, -5, 5, 5)
    around = box(-40, -40, 40, 40).difference(plan.buffer(0.5, join_style="mitre"))
    site = Site(flat_house(plan, 15.0), town().ground, 1.0, ((around, flat_house(around, 40.0).mesh),))
    assert apron(np.random.default_rng(4), site, 0.1 * site.volume).bounds[1][2] < CREST * 15.0 + 1.5  # with blocks
    assert site.notes == {OVERFULL}
    site.notes.clear()
    heap = heap_of_debris(np.random.default_rng(4), site)[0]
    assert not site.notes
    assert volume_over(heap, 0.0) == pytest.approx(BULK * site.volume, rel=0.05)


@pytest.mark.parametrize("collapse", [c for c in Collapse if c > Collapse.TILES])
def test_a_building_without_height_leaves_no_rubble_and_a_note(collapse: Collapse) -> None:
    body = flat_house(SHAPES["oblong"], 3.0)
    vertices = body.mesh.vertices * (1.0, 1.0, 0.0)
    flat = replace(body, height=0.0, eave=0.0, mesh=replace(body.mesh, vertices=vertices))
    city = town(flat)
    after = aftermath(city, struck(city, collapse), 3)
    assert np.isfinite(all_of(after).vertices).all()
    assert set(after.notes) <= {NO_VOLUME, OVERFULL}
    if collapse in (Collapse.HEAP, Collapse.CORNER, Collapse.PANCAKE_ALL):
        assert after.notes[NO_VOLUME] == 1


def test_shed_tiles_lie_within_three_metres_down_wind_too() -> None:
    site = Site(flat_house(SHAPES["oblong"], 18.0), town().ground, 0.7)
    for heading in (None, 0.7):
        tiles = shed(np.random.default_rng(1), site, 1.0, heading=heading)
        far = shapely.distance(site.plan, shapely.points(tiles.vertices[:, :2]))
        assert 2.0 < far.max() <= 3.0


def test_debris_on_a_low_roof_is_seen_though_the_roof_is_whole() -> None:
    tower, shed = flat_house(box(-8, -8, 8, 8), 30.0), flat_house(box(9, -4, 15, 4), 3.0, "b")
    city = town(tower, shed)
    strike = replace(struck(city), collapse=np.array([13, 0], np.uint8), ems98=np.array([5, 0], np.uint8))
    after = aftermath(city, strike, 3)
    assert after.visible[1] >= 3
    assert 1 not in after.buildings
    alone = aftermath(city, strike, 3, np.array([1]))
    assert alone.visible[1] == after.visible[1]


def test_tiles_of_a_roof_that_stands_are_seen_on_a_low_neighbour_that_is_asked_for_alone() -> None:
    low = flat_house(box(6.3, -8, 12, 8), 3.0, "b")
    city = town(flat_house(SHAPES["oblong"], 12.0), low)
    strike = replace(struck(city), covering_lost=np.array([1.0, 0.0]), ems98=np.array([3, 0], np.uint8))
    whole, alone = aftermath(city, strike, 3), aftermath(city, strike, 3, np.array([1]))
    assert 0 < alone.buried[1] == whole.buried[1]
    assert alone.visible[1] == whole.visible[1]


def test_debris_stops_at_a_higher_neighbour() -> None:
    plan = box(9, -8, 20, 8)
    city = town(flat_house(box(-8, -8, 8, 8), 12.0), flat_house(plan, 12.0, "b"))
    strike = replace(struck(city), collapse=np.array([13, 0], np.uint8))
    after = aftermath(city, strike, 3)
    inside = shapely.contains_xy(plan.buffer(-0.01), after.debris.vertices[:, :2])
    assert not inside.any()
    assert after.visible[1] == 0


def test_a_street_beside_a_heap_is_blocked_and_a_far_one_is_free() -> None:
    lines = [LineString([(-60, y), (60, y)]) for y in (-13.0, 60.0)]
    edges = tuple(RoadEdge(0, 1, line, 6.0) for line in lines)
    city = town(flat_house(SHAPES["oblong"], 15.0), roads=RoadGraph(np.zeros((2, 2)), edges))
    width, free, car, truck = road_debris(city, aftermath(city, struck(city, Collapse.HEAP), 3))
    assert width[0] > 3
    assert free[0] < 3
    assert car.tolist() == truck.tolist() == [True, False]
    assert (width[1], free[1]) == (0.0, 6.0)


def test_a_lane_that_was_too_narrow_before_is_not_blocked() -> None:
    line = LineString([(-60, -13), (60, -13)])
    edges = tuple(RoadEdge(0, 1, line, width) for width in (2.0, 3.2, 6.0))
    city = town(flat_house(SHAPES["oblong"], 15.0), roads=RoadGraph(np.zeros((2, 2)), edges))
    _, free, car, truck = road_debris(city, aftermath(city, struck(city, Collapse.HEAP), 3))
    assert (free < 3).all()
    assert car.tolist() == [False, True, True]
    assert truck.tolist() == [False, False, True]


def test_a_bridge_is_out_of_reach_of_debris() -> None:
    edge = RoadEdge(0, 1, LineString([(-60, -13), (60, -13)]), 6.0, bridge=True)
    city = town(flat_house(SHAPES["oblong"], 15.0), roads=RoadGraph(np.zeros((2, 2)), (edge,)))
    width, free, car, _ = road_debris(city, aftermath(city, struck(city, Collapse.HEAP), 3))
    assert (width[0], free[0], car[0]) == (0.0, 6.0, False)


@settings(max_examples=12)
@given(
    st.lists(st.tuples(st.floats(0.4, 1.0), st.floats(0.6, 1.0)), min_size=3, max_size=9),
    st.floats(3.0, 40.0),
    st.sampled_from([c for c in Collapse if c > Collapse.TILES]),
    st.integers(0, 2**31),
)
def test_any_footprint_survives_any_collapse(
    star: list[tuple[float, float]], height: float, collapse: Collapse, seed: int
) -> None:
    angle = (np.arange(len(star)) + np.array([s for s, _ in star]) * 0.4) * 2 * np.pi / len(star)
    radius = 11 * np.array([r for _, r in star])
    plan = Polygon(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1))
    city = town(flat_house(plan, height))
    after = aftermath(city, struck(city, collapse), seed)
    assert set(after.notes) <= {OVERFULL}
    assert 0 in after.buildings
    assert after.visible[0] <= (5 if collapse >= Collapse.INCLINED_PLANE else 4)  # the grade that it was struck with
    if "OVERTURN" not in collapse.name:
        assert (all_of(after).vertices[rubble_of(all_of(after)), 2] < height + 0.01).all()
    assert all_of(after).bounds[0][2] > -0.5


@pytest.mark.long
def test_real_buildings_survive_every_way_of_failing(shared_data: Path) -> None:
    part = (90727.0, 435700.0, 90847.0, 435820.0)  # RD New: some sixty of Rotterdam's houses
    for name, within in (("rotterdam_delfshaven_lod2.city.json", part), ("vienna_lod2.city.jsonl", None)):
        city = read_city(shared_data / "cityjson" / name, within)
        chosen = tuple(city.buildings[:: max(1, len(city.buildings) // 34)][:34])
        middle = np.array([b.footprint.centroid.coords[0] for b in chosen])
        size = float(np.ptp(middle, axis=0).max()) + 200
        west, north = middle.mean(axis=0) + np.array([-size, size])
        ground = Terrain(np.full((9, 9), chosen[0].ground), west, north, size / 4)
        small = replace(city, buildings=chosen, terrain=ground)
        kinds = (np.arange(len(chosen)) % 17 + 1).astype(np.uint8)
        strike = replace(
            struck(small),
            collapse=kinds,
            covering_lost=np.full(len(chosen), 0.1),
            ems98=np.full(len(chosen), 5, np.uint8),
        )
        after = aftermath(small, strike, 7)
        assert len(after.buildings) == len(chosen)
        assert set(after.notes) <= {OVERFULL}
        assert np.isfinite(all_of(after).vertices).all()
