"""Closed roads read out of rasters tile by tile, who is reached over them, and which parts of an area are cut off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.learning.mapping import roads as network
from mage.learning.mapping.access import reach
from mage.learning.mapping.accessibility import SHELTERS, find_access
from mage.learning.mapping.cutoff import BESIDE, cut_off
from mage.learning.mapping.findings import Buildings, Facilities, Observed
from mage.learning.mapping.maps import to_bytes
from mage.learning.mapping.places import place_on, place_reachability
from mage.learning.mapping.roads import CAR, TRUCK, Roads, Stretches, blocked, blocked_along, drowned, straight_roads
from mage.scenes.errors import DatasetError, ModelError
from mage.scenes.grid import Grid

GRID = Grid(120, 400, 0, 60, 0.5)  # 200 m x 60 m
AREA = shapely.box(*GRID.bounds)
# from beyond the area to a crossing, on to the east, and from there over the north back to the crossing
NODES = [(-40, 30), (60, 30), (160, 30), (60, 50), (160, 50)]
WAYS = [(0, 1), (1, 2), (1, 3), (3, 4), (4, 2)]


def written(path: Path, *bands: np.ndarray, nodata: float | None = 255) -> Path:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=bands[0].shape[0],
        width=bands[0].shape[1],
        count=len(bands),
        dtype=bands[0].dtype,
        nodata=nodata,
        tiled=True,
        blockxsize=64,
        blockysize=64,
        transform=rasterio.Affine(*GRID.transform),
    ) as file:
        for number, band in enumerate(bands, 1):
            file.write(band, number)
    return path


def heap(p: float, west: float, east: float, south: float = 0, north: float = 60) -> np.ndarray:
    """Probability of rubble, which lies across a part of the place."""
    x, y = GRID.centres()
    raster = np.zeros(GRID.shape, np.float32)
    raster[np.ix_((y > south) & (y < north), (x > west) & (x < east))] = p
    return raster


def houses(*places: tuple[float, float]) -> Buildings:
    outline = np.array([shapely.box(x - 3, y - 3, x + 3, y + 3) for x, y in places], dtype=object)
    words, numbers = np.full(len(places), "", dtype="<U12"), np.zeros(len(places))
    identity = np.array([f"b{k}" for k in range(len(places))], dtype="<U12")
    return Buildings(
        identity, outline, words, words, numbers, np.zeros((len(places), 4)), numbers, numbers, words, words
    )


def street() -> Roads:
    return straight_roads(NODES[:3], WAYS[:2], width=6, speed=36)  # 10 m/s


def loop() -> Roads:
    return straight_roads(NODES, WAYS, width=6, speed=36)


def access_of(roads, observed, buildings=None, **more):
    buildings = houses() if buildings is None else buildings
    facilities = more.pop("facilities", None)
    return find_access(roads, facilities, observed, buildings, GRID, AREA, np.random.default_rng(0), **more)


def rubble(folder: Path, raster: np.ndarray) -> Observed:
    return Observed((), {"debris": written(folder / "debris.tif", to_bytes(raster))})


def test_a_heap_on_the_only_street_cuts_off_what_lies_behind_it(tmp_path):
    found, reached = access_of(street(), rubble(tmp_path, heap(0.8, 100, 110)), houses((80, 40), (140, 40)))
    np.testing.assert_allclose(found.car, [0, 0.8], atol=1e-6)
    np.testing.assert_allclose(found.truck, [0, 0.8], atol=1e-6)
    assert found.starts.tolist() == [0]  # the street comes in there; its dead end is not at the border
    assert found.before.tolist() == [0, 10, 20]
    assert found.now.tolist() == [0, 10, np.inf]
    np.testing.assert_allclose(found.reached, [1, 1, 0.2], atol=0.08)
    np.testing.assert_allclose(reached.reached, [1, 0.2], atol=0.08)
    assert reached.seconds.tolist() == [12, np.inf]  # the first house stands before the heap, on the same closed edge
    assert len(found.isolated) == 1
    assert found.isolated[0].covers(shapely.Point(140, 40))
    assert not found.isolated[0].intersects(shapely.Point(80, 40))


def test_a_way_round_takes_longer_and_is_the_route(tmp_path):
    found, _ = access_of(loop(), rubble(tmp_path, heap(0.9, 100, 110, 20, 40)), ends=((2, 31), (159, 28)))
    assert found.now[2] - found.before[2] == pytest.approx(4)  # 40 m more at 10 m/s
    assert found.asked
    assert found.route is not None
    assert found.route.nodes.tolist() == [0, 1, 3, 4, 2] or found.route.nodes.tolist() == [1, 3, 4, 2]
    assert found.route.open == pytest.approx(1)
    assert len(found.isolated) == 0


def test_help_comes_from_facilities_but_not_from_where_people_wait_for_it(tmp_path):
    kinds = np.array(["hospital", "school", "fire_station"])
    facilities = Facilities(np.array([(158.0, 33), (58, 33), (60, 9000)]), kinds, np.array(["", "", "far away"]))
    found, _ = access_of(street(), rubble(tmp_path, heap(0.9, 100, 110)), facilities=facilities)
    assert "school" in SHELTERS
    assert found.starts.tolist() == [0, 2]
    assert np.isfinite(found.now).all()


def test_a_facility_on_a_one_way_street_is_left_in_its_direction(tmp_path):
    one = replace(street(), oneway=np.array([False, True]))
    facilities = Facilities(np.array([(70.0, 33)]), np.array(["hospital"]), np.array([""]))
    found, _ = access_of(one, rubble(tmp_path, heap(0, 0, 1)), facilities=facilities)
    assert found.starts.tolist() == [0, 2]


def test_water_closes_by_its_depth_where_that_is_known_and_else_by_being_there(tmp_path):
    x = np.broadcast_to(GRID.centres()[0], GRID.shape)
    depth = np.where(x > 100, np.where(x > 150, np.nan, 0.4), 0).astype(np.float32)
    wet = to_bytes(np.where(x > 100, 0.6, 0).astype(np.float32))
    flood, exact = written(tmp_path / "flood.tif", wet), np.zeros(GRID.shape, np.float32)
    known = written(tmp_path / "depth.tif", depth, exact, nodata=np.nan)
    parts = straight_roads([(20, 30), (90, 30), (110, 30), (140, 30), (155, 30), (180, 30)], [(0, 1), (2, 3), (4, 5)])
    both, _ = access_of(parts, Observed((), {"flood": flood, "depth": known}))
    np.testing.assert_allclose(both.car, [0, 0.6, 0.6], atol=1e-6)  # 0.4 m stop a car, if they are there
    np.testing.assert_allclose(both.truck, [0, 0, 0.6], atol=1e-6)
    alone, _ = access_of(parts, Observed((), {"flood": flood}))
    np.testing.assert_allclose(alone.truck, [0, 0.6, 0.6], atol=1e-6)
    deep, _ = access_of(parts, Observed((), {"depth": written(tmp_path / "d.tif", depth, nodata=np.nan)}))
    np.testing.assert_allclose(deep.truck[:2], [0, drowned(np.float32(0.4), 0.3, TRUCK)], atol=1e-6)
    assert np.isnan(deep.truck[2])


def test_what_an_analyst_says_counts_before_what_was_found(tmp_path):
    said = np.array([np.nan, 0.0]), np.array([np.nan, 0.0])
    seen = rubble(tmp_path, heap(0.8, 100, 110))
    found, reached = access_of(street(), seen, houses((140, 40)), stated=said)
    assert found.car[1] == found.truck[1] == 0
    assert reached.reached.tolist() == [1]
    assert found.stated.tolist() == [False, True]
    closed = np.array([1.0, np.nan]), np.array([1.0, np.nan])
    found, reached = access_of(street(), seen, houses((30, 40)), stated=closed)
    assert (found.truck[0], reached.reached[0], reached.seconds[0]) == (1, 0, np.inf)


def test_without_a_start_nobody_is_said_to_be_reached_or_cut_off(tmp_path):
    inner = straight_roads([(60, 30), (160, 30)], [(0, 1)])
    found, same = access_of(inner, rubble(tmp_path, heap(1, 100, 110)), houses((80, 40)))
    assert not len(found.starts)
    assert not len(found.isolated)
    assert (same.reached, same.seconds) == (None, None)
    np.testing.assert_allclose(found.truck, [1])


def test_roads_that_never_led_anywhere_serve_no_house(tmp_path):
    """A piece of road without a way to it, as maps have them, beside a street with one."""
    pieces = straight_roads([(-40, 30), (160, 30), (60, 40), (100, 40)], [(0, 1), (2, 3)])
    _, reached = access_of(pieces, rubble(tmp_path, heap(0, 0, 1)), houses((80, 45)))
    assert reached.reached.tolist() == [1]
    assert np.isfinite(reached.seconds).all()


@pytest.mark.parametrize("observed", [Observed(()), None])
def test_no_road_no_house_and_no_raster_are_no_trouble(tmp_path, observed):
    seen = observed or rubble(tmp_path, heap(1, 0, 200))
    found, buildings = access_of(straight_roads([], []), seen, houses((80, 40)), ends=((0, 0), (1, 1)))
    assert (len(found.car), len(found.isolated), found.route, buildings.reached) == (0, 0, None, None)
    found, buildings = access_of(street(), Observed(()))
    assert found.car.tolist() == [0, 0]
    assert (len(buildings.reached), len(buildings.seconds)) == (0, 0)


def test_a_route_from_beyond_all_roads_is_refused():
    with pytest.raises(ModelError, match="not at a road"):
        access_of(street(), Observed(()), ends=((0, 30), (60, 900)))


def test_rasters_of_another_place_or_none_are_refused(tmp_path):
    small = Observed((), {"debris": written(tmp_path / "small.tif", np.zeros((9, 9), np.uint8))})
    with pytest.raises(DatasetError, match="not of this scene"):
        access_of(street(), small)
    with pytest.raises(DatasetError, match="cannot be read"):
        access_of(street(), Observed((), {"debris": tmp_path / "none.tif"}))


def test_two_runs_are_equal(tmp_path):
    seen = rubble(tmp_path, heap(0.5, 100, 110))
    one, other = (access_of(loop(), seen, houses((80, 40), (140, 40))) for _ in range(2))
    assert (one[0].reached == other[0].reached).all()
    assert (one[1].reached == other[1].reached).all()


def random_network(seed: int) -> Roads:
    rng = np.random.default_rng(seed)
    nodes = np.array([(25.0 * c, 20.0 * r - 10) for r in range(5) for c in range(9)]) + rng.normal(0, 4, (45, 2))
    ends = [(k, k + 1) for k in range(44) if k % 9 < 8] + [(k, k + 9) for k in range(36)]
    kept = np.array(ends)[rng.random(len(ends)) < 0.8]
    plain = straight_roads(nodes, kept)
    return replace(plain, width=rng.uniform(2, 9, len(plain)).round(1), lifted=rng.random(len(plain)) < 0.05)


@pytest.mark.parametrize("seed", range(3))
def test_rasters_in_tiles_close_what_they_close_at_once(seed, monkeypatch):
    roads, rng = random_network(seed), np.random.default_rng(seed + 9)
    raster = rng.random(GRID.shape, np.float32) ** 2
    raster[rng.random(GRID.shape) < 0.1] = np.nan
    whole = blocked(roads, GRID, raster, None, CAR)
    monkeypatch.setattr(network, "TILE", (64, 30.0))  # 64 pixels
    asked = []

    class Watched:
        shape = raster.shape

        def __getitem__(self, window):
            asked.append(window)
            return raster[window]

    np.testing.assert_array_equal(blocked(roads, GRID, Watched(), None, CAR), whole)
    assert max((part.stop - part.start) for window in asked for part in window) <= 64 + 2 * 11
    assert len(asked) > 8


@pytest.mark.parametrize("seed", range(3))
def test_an_edge_is_closed_where_the_worst_of_its_parts_is(seed):
    roads, rng = random_network(seed), np.random.default_rng(seed)
    raster = np.repeat(np.repeat(rng.random((12, 40), np.float32), 10, 0), 10, 1)  # blocks of 5 m
    half = roads.length / 2
    edge = np.arange(len(roads))
    first = blocked_along(roads, Stretches(edge, 0 * half, half), GRID, raster, None, CAR)
    second = blocked_along(roads, Stretches(edge, half, 2 * half), GRID, raster, None, CAR)
    whole = blocked(roads, GRID, raster, None, CAR)
    # places along halves are not those along the whole: a block's corner may be missed
    assert np.isclose(np.fmax(first, second), whole, equal_nan=True).mean() > 0.9


def test_places_are_reached_from_both_sides_as_often_as_all_states_say():
    """A loop, a house on its far edge with one heap on either side; heaps on one edge close together."""
    square = straight_roads([(0, 0), (100, 0), (0, 100), (100, 100)], [(0, 1), (0, 2), (1, 3), (2, 3)])
    places = place_on(square, [(50, 101)])
    blocked_, ways = np.array([0.5, 0.2, 0.0, 0.6]), [(0.3, 0.6)]
    # with chance u of the far edge: both parts open from 0.6 on, the one from node 2 from 0.3 on
    second, third = 0.5 + 0.5 * 0.8 * 0.4, 0.8 + 0.2 * 0.5 * 0.4  # nodes 1 (and so 3) and 2 are reached
    both = 0.4 * (1 - 0.5 * 0.2)
    one = 0.3 * 0.8
    nodes, found = place_reachability(square, [0], blocked_, places, ways, np.random.default_rng(1), 1500)
    np.testing.assert_allclose(nodes[[1, 2]], [second, third], atol=0.05)
    np.testing.assert_allclose(found, [both + one], atol=0.05)


def test_ways_must_fit_the_places():
    with pytest.raises(ModelError, match="two ways"):
        place_reachability(street(), [0], [0, 0], place_on(street(), [(0, 0)]), [0.5], np.random.default_rng(0))


@settings(max_examples=12)
@given(st.integers(0, 10_000))
def test_what_is_cut_off_lies_in_an_outline_and_what_is_reached_in_none(seed):
    rng, roads = np.random.default_rng(seed), random_network(seed)
    closed = rng.random(len(roads)) < 0.4
    before, now = reach(roads, [0]).seconds, reach(roads, [0], closed).seconds
    houses_at = rng.uniform((0, 0), (200, 60), (20, 2)) + 5e6
    far = shapely.transform(np.array(roads.lines, dtype=object), lambda xy: xy + 5e6)  # as far from zero as maps are
    moved = replace(roads, nodes=roads.nodes + 5e6, lines=tuple(far))
    alone = rng.random(20) < 0.3
    area = shapely.box(5e6, 5e6, 5e6 + 200, 5e6 + 60)
    found = cut_off(moved, closed, before, now, houses_at, alone, area)
    assert shapely.is_valid(found).all()
    assert all(shape.geom_type == "Polygon" for shape in found)
    together = shapely.union_all(found)
    assert together.difference(area).area < 1e-3
    lost = np.isfinite(before) & np.isinf(now)
    apart = shapely.points(np.concatenate([houses_at[alone], moved.nodes[lost]]))
    apart = apart[shapely.covers(area, apart)]
    # a corner of less than a square metre is no part
    assert (shapely.distance(together, apart) < 1.5).all() if len(apart) else together.is_empty
    held = shapely.points(np.concatenate([houses_at[~alone], moved.nodes[np.isfinite(now)]]))
    assert not shapely.contains(together.buffer(-0.01), held).any()
    if not together.is_empty:
        gone = lost[roads.ends].all(axis=1)
        near = shapely.union_all([*far[gone], *shapely.points(moved.nodes[lost]), *shapely.points(houses_at[alone])])
        assert together.difference(near.buffer(BESIDE + 0.01)).area < 1e-3
