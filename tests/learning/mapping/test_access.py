"""Blocked roads, routes, reachability: against networkx, closed forms and enumeration."""

from __future__ import annotations

from itertools import product

import networkx
import numpy as np
import pytest
import shapely

from mage.learning.mapping.access import entries, reach, reachability, route
from mage.learning.mapping.places import place_on, seconds_to
from mage.learning.mapping.roads import CAR, TRUCK, Roads, Vehicle, blocked, drowned, straight_roads
from mage.scenes.errors import ModelError
from mage.scenes.grid import Grid

LATTICE = 9


def random_roads(seed: int) -> Roads:
    """A lattice with gaps, one-way streets, parallel edges and times of their own."""
    rng = np.random.default_rng(seed)
    nodes = [(100.0 * c, 100.0 * r) for r in range(LATTICE) for c in range(LATTICE)]
    along = [(r * LATTICE + c, r * LATTICE + c + 1) for r in range(LATTICE) for c in range(LATTICE - 1)]
    up = [(r * LATTICE + c, (r + 1) * LATTICE + c) for r in range(LATTICE - 1) for c in range(LATTICE)]
    ends = np.array(along + up)[rng.random(len(along + up)) < 0.8]
    ends = np.concatenate([ends, ends[:10]])  # parallel ones
    plain = straight_roads(nodes, ends)
    return Roads(
        plain.nodes,
        plain.ends,
        plain.lines,
        plain.width,
        rng.uniform(5, 20, len(plain)),
        rng.random(len(plain)) < 0.2,
        plain.lifted,
    )


def as_networkx(roads: Roads, closed: np.ndarray, cost: np.ndarray) -> networkx.MultiDiGraph:
    graph = networkx.MultiDiGraph()
    graph.add_nodes_from(range(len(roads.nodes)))
    for k, (u, v) in enumerate(roads.ends.tolist()):
        if closed[k]:
            continue
        graph.add_edge(u, v, weight=cost[k])
        if not roads.oneway[k]:
            graph.add_edge(v, u, weight=cost[k])
    return graph


@pytest.mark.parametrize("seed", range(5))
def test_seconds_from_the_nearest_start_are_those_of_networkx(seed):
    roads = random_roads(seed)
    closed = np.random.default_rng(seed + 100).random(len(roads)) < 0.15
    found = reach(roads, [0, 40, 77], closed)
    theirs = networkx.multi_source_dijkstra_path_length(as_networkx(roads, closed, roads.seconds), {0, 40, 77})
    expected = [theirs.get(node, np.inf) for node in range(len(roads.nodes))]
    np.testing.assert_allclose(found.seconds, expected, rtol=1e-12)
    assert ((found.start >= 0) == np.isfinite(found.seconds)).all()
    assert set(found.start.tolist()) <= {-1, 0, 40, 77}


@pytest.mark.parametrize("seed", range(5))
def test_routes_cost_what_those_of_networkx_cost(seed):
    roads = random_roads(seed)
    p = np.random.default_rng(seed + 50).choice([0, 0.1, 0.6, 1], len(roads))
    with np.errstate(divide="ignore"):
        cost = roads.seconds - 600 * np.log1p(-p)
    graph = as_networkx(roads, p == 1, cost)
    for end in (3, 44, 80):
        found = route(roads, 0, end, p)
        if not networkx.has_path(graph, 0, end):
            assert found is None
            continue
        assert found is not None
        assert cost[found.edges].sum() == pytest.approx(networkx.dijkstra_path_length(graph, 0, end))
        assert found.open == pytest.approx(np.prod(1 - p[found.edges]))
        assert found.metres == pytest.approx(found.line.length)
        assert found.line.coords[0] == tuple(roads.nodes[0])
        assert found.line.coords[-1] == tuple(roads.nodes[end])


def test_the_fastest_way_takes_what_may_be_closed_and_the_careful_one_does_not():
    detour = straight_roads([(0, 0), (100, 0), (50, 200)], [(0, 1), (0, 2), (2, 1)])
    p = [0.4, 0, 0]
    assert route(detour, 0, 1, p, caution=0).edges.tolist() == [0]
    assert route(detour, 0, 1, p).edges.tolist() == [1, 2]
    assert route(detour, 0, 1, [1, 1, 0]) is None


def test_a_way_to_where_one_is_has_no_edge():
    found = route(straight_roads([(0, 0), (1, 0)], [(0, 1)]), 1, 1)
    assert (found.seconds, found.open, len(found.edges)) == (0, 1, 0)


def test_one_way_streets_are_driven_one_way():
    two = straight_roads([(0, 0), (100, 0)], [(0, 1)])
    one = Roads(two.nodes, two.ends, two.lines, two.width, two.seconds, np.array([True]), two.lifted)
    assert route(one, 0, 1) is not None
    assert route(one, 1, 0) is None
    assert np.isinf(reach(one, [1]).seconds[0])


def test_reachability_is_that_of_all_states_of_a_small_network():
    roads = straight_roads([(0, 0), (1, 0), (0, 1), (1, 1), (2, 1)], [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (0, 3)])
    p = np.array([0.3, 0.5, 0.2, 0.7, 0.4, 0.9])
    expected = np.zeros(5)
    for state in product([False, True], repeat=6):
        weight = np.prod(np.where(state, p, 1 - p))
        graph = as_networkx(roads, np.array(state), roads.seconds)
        for node in networkx.descendants(graph, 0) | {0}:
            expected[node] += weight
    found, at_edge = reachability(roads, [0], p, np.random.default_rng(0), draws=4000)
    np.testing.assert_allclose(found, expected, atol=4 * 0.5 / np.sqrt(4000))
    assert at_edge[4] >= max(found[3], found[4])


def test_without_a_start_nothing_is_reached():
    roads = straight_roads([(0, 0), (1, 0)], [(0, 1)])
    assert reachability(roads, [], [0.0], np.random.default_rng(0))[0].tolist() == [0, 0]
    assert np.isinf(reach(roads, []).seconds).all()


def test_draws_of_one_seed_are_the_same():
    roads = random_roads(1)
    p = np.full(len(roads), 0.3)
    first, again = (reachability(roads, [0], p, np.random.default_rng(5), 20)[0] for _ in range(2))
    assert (first == again).all()


def test_buildings_stand_at_the_nearest_street_and_are_reached_over_its_nearer_end():
    roads = straight_roads([(0, 0), (100, 0), (100, 100)], [(0, 1), (1, 2)], speed=36)  # 10 m/s
    places = place_on(roads, [(30, 7), (104, 80)])
    assert places.edge.tolist() == [0, 1]
    assert places.distance.tolist() == pytest.approx([7, 4])
    assert seconds_to(roads, reach(roads, [0]), places).tolist() == pytest.approx([3, 18])
    # the closed second street is reached at its near end
    assert seconds_to(roads, reach(roads, [0], [0, 1]), places, [0, 1]).tolist() == pytest.approx([3, 10])


def test_bridges_are_passed_over_when_buildings_look_for_a_street():
    flat = straight_roads([(0, 0), (100, 0), (0, 50), (100, 50)], [(0, 1), (2, 3)])
    lifted = Roads(flat.nodes, flat.ends, flat.lines, flat.width, flat.seconds, flat.oneway, np.array([True, False]))
    assert place_on(lifted, [(50, 1)]).edge.tolist() == [1]


def test_without_roads_no_place_is_on_one():
    none = straight_roads([], [])
    assert len(place_on(none, []).edge) == 0
    with pytest.raises(ModelError, match="no road"):
        place_on(none, [(0, 0)])


def test_one_comes_in_where_roads_leave_the_area_or_end_at_its_border():
    roads = straight_roads([(0, 0), (90, 0), (50, 50), (50, 99)], [(0, 1), (1, 2), (2, 3)])
    assert entries(roads, shapely.box(-50, -50, 150, 100)).tolist() == [3]  # the dead end 1 m from the border
    assert entries(roads, shapely.box(20, -50, 150, 300)).tolist() == [0]


def street(width: float) -> Roads:
    return straight_roads([(0, 10), (40, 10)], [(0, 1)], width=width)


@pytest.mark.parametrize(
    ("width", "heap", "expected"),
    [
        (6.0, 2.0, 0.0),  # 4 m are left: a car passes
        (6.0, 3.5, 0.7),  # 2.5 m are left
        (2.5, 0.0, 0.0),  # narrower than a car's need from the first: not closed by that
        (2.5, 0.5, 0.7),
    ],
)
def test_a_heap_closes_what_leaves_no_lane(width, heap, expected):
    grid = Grid(200, 400, 0, 20, 0.1)
    debris = np.zeros(grid.shape, np.float32)
    x, y = grid.centres()
    south = 10 - width / 2
    debris[np.ix_((y > south) & (y < south + heap), (x > 15) & (x < 25))] = 0.7
    assert blocked(street(width), grid, debris, None, CAR)[0] == pytest.approx(expected)


def test_a_vehicle_takes_the_gap_whose_worst_pixel_is_least_likely_closed():
    grid = Grid(80, 160, 0, 20, 0.25)
    debris = np.zeros(grid.shape, np.float32)
    x, y = grid.centres()
    debris[np.ix_(y > 10, (x > 15) & (x < 25))] = 0.8
    debris[np.ix_(y <= 10, (x > 15) & (x < 25))] = 0.3
    assert blocked(street(8), grid, debris, None, CAR)[0] == pytest.approx(0.3)
    assert blocked(street(5), grid, debris, None, CAR)[0] == pytest.approx(0.8)  # neither half holds a car


def test_debris_and_water_close_as_if_they_were_independent():
    grid = Grid(20, 40, 0, 20, 1)
    half = np.full(grid.shape, 0.5, np.float32)
    assert blocked(street(6), grid, half, half, CAR)[0] == pytest.approx(0.75)
    assert blocked(street(6), grid, None, half, CAR)[0] == pytest.approx(0.5)
    assert blocked(street(6), grid, None, None, CAR)[0] == 0


def test_what_is_not_seen_is_not_known():
    grid = Grid(20, 40, 1000, 20, 1)
    assert np.isnan(blocked(street(6), grid, np.zeros(grid.shape, np.float32), None, CAR)).all()
    clouded = np.full((20, 40), np.nan, np.float32)
    assert np.isnan(blocked(street(6), Grid(20, 40, 0, 20, 1), clouded, None, CAR)).all()
    clouded[:, :20] = 0.4
    assert blocked(street(6), Grid(20, 40, 0, 20, 1), clouded, None, CAR)[0] == pytest.approx(0.4)


def test_a_truck_needs_more_room_and_goes_through_deeper_water():
    grid = Grid(200, 400, 0, 20, 0.1)
    debris = np.zeros(grid.shape, np.float32)
    x, y = grid.centres()
    debris[np.ix_((y > 7) & (y < 9.75), (x > 15) & (x < 25))] = 1  # of a street of 6 m, 3.25 m are left
    assert blocked(street(6), grid, debris, None, CAR)[0] == 0
    assert blocked(street(6), grid, debris, None, TRUCK)[0] == 1
    depth = np.array([0, 0.2, 0.4, 0.6, np.nan], np.float32)
    assert drowned(depth, 0, CAR)[:4].tolist() == [0, 0, 1, 1]
    assert drowned(depth, 0, TRUCK)[:4].tolist() == [0, 0, 0, 1]
    assert np.isnan(drowned(depth, 0, TRUCK)[4])
    assert np.isnan(drowned(depth, 0.1, TRUCK)[4])


def test_bridges_are_out_of_reach():
    flat = street(6)
    bridge = Roads(flat.nodes, flat.ends, flat.lines, flat.width, flat.seconds, flat.oneway, np.array([True]))
    assert blocked(bridge, Grid(20, 40, 0, 20, 1), np.ones((20, 40), np.float32), None, CAR)[0] == 0


def test_more_debris_never_opens_a_street():
    rng = np.random.default_rng(0)
    grid = Grid(40, 80, 0, 20, 0.5)
    for width in (3.0, 5.5, 9.0):
        less = rng.random(grid.shape, np.float32) ** 3
        more = np.maximum(less, rng.random(grid.shape, np.float32) ** 4)
        need = Vehicle("van", 2.2, 0.3)
        assert blocked(street(width), grid, more, None, need)[0] >= blocked(street(width), grid, less, None, need)[0]


@pytest.mark.parametrize("starts", [[-1], [2], [0.5]])
def test_starts_must_be_nodes(starts):
    with pytest.raises(ModelError, match="no nodes"):
        reach(straight_roads([(0, 0), (1, 0)], [(0, 1)]), starts)


def test_arrays_that_do_not_fit_are_refused():
    roads = straight_roads([(0, 0), (1, 0)], [(0, 1)])
    for call in (
        lambda: reach(roads, [0], [True, False]),
        lambda: route(roads, 0, 1, [1.5]),
        lambda: route(roads, 0, 1, caution=-1),
        lambda: reachability(roads, [0], [0.5], np.random.default_rng(0), draws=0),
        lambda: blocked(roads, Grid(2, 2, 0, 2, 1), np.zeros((3, 2), np.float32), None, CAR),
        lambda: straight_roads([(0, 0)], [(0, 1)]),
    ):
        with pytest.raises(ModelError):
            call()
