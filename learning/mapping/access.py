"""Who can be reached: from hospitals, fire stations and the edge of the area, over roads that may be closed.

Everything is answered on the directed graph of :class:`~mage.learning.mapping.roads.Roads` by scipy's sparse graph
routines; a closed edge is left out, of parallel edges the cheapest counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, dijkstra

from mage.learning.mapping.roads import Roads
from mage.scenes.errors import ModelError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

LEAST = 1e-6  # seconds of an edge without length: a sparse graph takes 0 for no edge
CLOSED = 0.5  # probability from which on an edge is taken to be closed where one answer is wanted


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """From which start each node is reached soonest.

    Attributes:
        seconds: (n,) from the nearest start, infinite where none reaches it.
        start: (n,) that node's position in ``Roads.nodes``; -1 where none reaches it.
    """

    seconds: Floats
    start: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """The best way from one node to another.

    Attributes:
        nodes: (k + 1,) along the way.
        edges: (k,) positions of its edges.
        seconds: sum of the edges' times.
        metres: sum of their lengths.
        open: probability that all of it can be passed, edges taken to be independent.
        line: the way, metres.
    """

    nodes: Ints
    edges: Ints
    seconds: float
    metres: float
    open: float
    line: shapely.LineString


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Buildings or facilities on a network, each at the nearest edge that a vehicle can stop on.

    Attributes:
        edge: (m,) position of the edge.
        share: (m,) of its length at which they lie, 0 at its first end.
        distance: (m,) metres to it.
    """

    edge: Ints
    share: Floats
    distance: Floats


def reach(roads: Roads, starts: ArrayLike, closed: ArrayLike | None = None) -> Reach:
    """Seconds from the nearest of some nodes to every node.

    Args:
        roads: the network.
        starts: positions of nodes.
        closed: (e,) whether an edge cannot be passed; None where all can.

    Raises:
        ModelError: a start that is no node, or flags that do not fit the edges.
    """
    begin = _nodes(roads, starts)
    if not len(begin):
        return Reach(np.full(len(roads.nodes), np.inf), np.full(len(roads.nodes), -1))
    graph = _graph(roads, roads.seconds, _flags(roads, closed))
    seconds, _, start = dijkstra(graph, indices=begin, min_only=True, return_predecessors=True)
    return Reach(seconds, np.where(np.isfinite(seconds), start, -1).astype(np.int64))


def route(
    roads: Roads, start: int, end: int, blocked: ArrayLike | None = None, *, caution: float = 600.0
) -> Route | None:
    """The way from one node to another that costs least, or None where there is none.

    An edge costs its seconds, and ``caution`` seconds for each unit of -ln P(open): one as likely closed as not is
    shunned as if it took 416 s longer, a certainly closed one is never taken. Caution 0 is the fastest way over all
    that may be open.

    Args:
        roads: the network.
        start: position of the node where it begins.
        end: position of the node where it ends.
        blocked: (e,) probability that an edge is closed; None for 0. NaN, not known, counts as 0.
        caution: seconds, at least 0.

    Raises:
        ModelError: ends that are no nodes, or probabilities that do not fit.

    >>> from mage.learning.mapping.roads import straight_roads
    >>> square = straight_roads([(0, 0), (100, 0), (0, -100), (100, -100)], [(0, 1), (0, 2), (1, 3), (2, 3)])
    >>> found = route(square, 0, 3, [0.9, 0, 0, 0])
    >>> found.nodes.tolist(), found.open
    ([0, 2, 3], 1.0)
    """
    begin, target = _nodes(roads, [start, end]).tolist()
    if not caution >= 0:
        raise ModelError("no such caution", expected="seconds from 0", found=str(caution))
    p = np.nan_to_num(_probabilities(roads, blocked))
    with np.errstate(divide="ignore"):
        cost = roads.seconds - caution * np.log1p(-p)
    graph = _graph(roads, cost, p >= 1)
    total, before = dijkstra(graph, indices=begin, return_predecessors=True)
    if not np.isfinite(total[target]):
        return None
    nodes = [target]
    while nodes[-1] != begin:
        nodes.append(int(before[nodes[-1]]))
    way = np.array(nodes[::-1], np.int64)
    return _along(roads, way, np.where(p >= 1, np.inf, cost), p)


def reachability(
    roads: Roads, starts: ArrayLike, blocked: ArrayLike, rng: np.random.Generator, draws: int = 400
) -> tuple[Floats, Floats]:
    """Probability that each node, (n,), and at least one end of each edge, (e,), is reached from any of some nodes.

    Monte Carlo: edges are closed independently of each other in each of the draws; the standard error is at most
    0.5 / sqrt(draws). An edge's own closure does not count against its ends.

    Args:
        roads: the network.
        starts: positions of nodes.
        blocked: (e,) probability that an edge is closed. NaN, not known, counts as 0.
        rng: of the draws.
        draws: how many, at least 1.

    Raises:
        ModelError: as of :func:`reach`.

    >>> from mage.learning.mapping.roads import straight_roads
    >>> square = straight_roads([(0, 0), (100, 0), (0, -100), (100, -100)], [(0, 1), (0, 2), (1, 3), (2, 3)])
    >>> nodes, edges = reachability(square, [0], [1, 1, 0, 0], np.random.default_rng(0))
    >>> nodes.tolist(), edges.tolist()
    ([1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0])
    """
    begin = _nodes(roads, starts)
    p = np.nan_to_num(_probabilities(roads, blocked))
    if draws < 1:
        raise ModelError("no such number of draws", expected="1 or more", found=str(draws))
    at_node, at_edge = np.zeros(len(roads.nodes)), np.zeros(len(roads))
    for _ in range(draws if len(begin) else 0):
        reached = _reached(roads, begin, rng.random(len(roads)) < p)
        at_node += reached
        at_edge += reached[roads.ends].any(axis=1)
    return at_node / draws, at_edge / draws


def entries(roads: Roads, area: shapely.Geometry, margin: float = 20.0) -> Ints:
    """Nodes by which one comes into an area: those outside it, and dead ends within ``margin`` metres of its border.

    Roads from a map reach beyond the area; roads that were cut to it end at its border.

    >>> from mage.learning.mapping.roads import straight_roads
    >>> square = straight_roads([(0, 0), (100, 0), (0, -100), (100, -100)], [(0, 1), (0, 2), (1, 3), (2, 3)])
    >>> entries(square, shapely.box(-100, -1000, 50, 1000)).tolist()
    [1, 3]
    """
    points = shapely.points(roads.nodes)
    shapely.prepare(area)
    degree = np.bincount(roads.ends.ravel(), minlength=len(roads.nodes))
    at_border = shapely.dwithin(points, shapely.boundary(area), margin) & (degree == 1)
    return np.flatnonzero((degree > 0) & (~shapely.covers(area, points) | at_border))


def place_on(roads: Roads, points: ArrayLike) -> Places:
    """The nearest edge of each point, (m, 2) metres; bridges and tunnels are passed over where there are others.

    Raises:
        ModelError: there are points, and no road.

    >>> from mage.learning.mapping.roads import straight_roads
    >>> square = straight_roads([(0, 0), (100, 0), (0, -100), (100, -100)], [(0, 1), (0, 2), (1, 3), (2, 3)])
    >>> place = place_on(square, [(25, 3)])
    >>> place.edge.tolist(), place.share.tolist(), place.distance.tolist()
    ([0], [0.25], [3.0])
    """
    places = np.asarray(points, float).reshape(-1, 2)
    if not len(places):
        return Places(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    if not len(roads):
        raise ModelError("there is no road to be near to")
    usable = np.flatnonzero(~roads.lifted) if not roads.lifted.all() else np.arange(len(roads))
    lines = np.array(roads.lines, dtype=object)
    at = shapely.points(places)
    edge = usable[shapely.STRtree(lines[usable]).nearest(at)]
    share = shapely.line_locate_point(lines[edge], at, normalized=True)
    return Places(edge.astype(np.int64), share, shapely.distance(lines[edge], at))


def seconds_to(roads: Roads, found: Reach, places: Places, closed: ArrayLike | None = None) -> Floats:
    """Seconds to each place over the end of its edge that is reached sooner, (m,).

    Of a closed edge it is the time to that end: how far one gets in from there is not known.
    """
    flags = _flags(roads, closed)[places.edge]
    first, second = found.seconds[roads.ends[places.edge]].T
    along = np.where(flags, 0, roads.seconds[places.edge])
    # against a one-way street nobody comes from its second end
    back = np.where(roads.oneway[places.edge] & ~flags, np.inf, second + along * (1 - places.share))
    return np.minimum(first + along * places.share, back)


def _reached(roads: Roads, begin: Ints, closed: Flags) -> Flags:
    """Nodes that can be come to from any of the first, (n,)."""
    count = len(roads.nodes)
    tail, head, _ = _arcs(roads, closed)
    tail, head = np.concatenate([tail, np.full(len(begin), count)]), np.concatenate([head, begin])
    graph = csr_matrix((np.ones(len(tail), np.int8), (tail, head)), shape=(count + 1, count + 1))
    reached = np.zeros(count + 1, bool)
    reached[breadth_first_order(graph, count, return_predecessors=False)] = True
    return reached[:count]


def _graph(roads: Roads, cost: Floats, closed: Flags) -> csr_matrix:
    """Costs between nodes; of parallel edges the cheapest, since a sparse matrix would add them up."""
    tail, head, edge = _arcs(roads, closed)
    weight = np.maximum(cost[edge], LEAST)
    order = np.lexsort((weight, head, tail))
    tail, head, weight = tail[order], head[order], weight[order]
    first = np.ones(len(tail), bool)
    first[1:] = (np.diff(tail) != 0) | (np.diff(head) != 0)
    count = len(roads.nodes)
    return csr_matrix((weight[first], (tail[first], head[first])), shape=(count, count))


def _arcs(roads: Roads, closed: Flags) -> tuple[Ints, Ints, Ints]:
    """Tail, head and edge of each arc that is open: both ways, but for one-way streets."""
    there = np.flatnonzero(~closed)
    back = there[~roads.oneway[there]]
    ends = roads.ends
    tail = np.concatenate([ends[there, 0], ends[back, 1]])
    head = np.concatenate([ends[there, 1], ends[back, 0]])
    return tail, head, np.concatenate([there, back])


def _along(roads: Roads, nodes: Ints, cost: Floats, p: Floats) -> Route:
    """The route over the cheapest edge between each two nodes in turn."""
    tail, head, edge = _arcs(roads, ~np.isfinite(cost))
    order = np.argsort(cost[edge], kind="stable")[::-1]  # the cheapest of parallel ones is entered last and stays
    by_ends = {(int(t), int(h)): int(e) for t, h, e in zip(tail[order], head[order], edge[order], strict=True)}
    edges = np.array([by_ends[pair] for pair in zip(nodes[:-1].tolist(), nodes[1:].tolist(), strict=True)], np.int64)
    parts = [
        roads.lines[e] if roads.ends[e, 0] == node else shapely.reverse(roads.lines[e])
        for e, node in zip(edges, nodes[:-1], strict=True)
    ]
    return Route(
        nodes,
        edges,
        seconds=float(roads.seconds[edges].sum()),
        metres=float(roads.length[edges].sum()),
        open=float(np.prod(1 - p[edges])),
        line=_joined(parts, roads.nodes[nodes[0]]),
    )


def _joined(parts: Sequence[shapely.LineString], start: Floats) -> shapely.LineString:
    if not parts:
        return shapely.LineString([start, start])
    return shapely.LineString(np.concatenate([shapely.get_coordinates(part) for part in parts]))


def _nodes(roads: Roads, positions: ArrayLike) -> Ints:
    nodes = np.asarray(positions).reshape(-1)
    if len(nodes) and not (nodes.dtype.kind in "iu" and nodes.min() >= 0 and nodes.max() < len(roads.nodes)):
        raise ModelError("these are no nodes of the roads", expected=f"whole numbers below {len(roads.nodes)}")
    return nodes.astype(np.int64)


def _flags(roads: Roads, closed: ArrayLike | None) -> Flags:
    flags = np.zeros(len(roads), bool) if closed is None else np.asarray(closed, bool)
    if flags.shape != (len(roads),):
        raise ModelError("one flag for each edge is wanted", expected=f"({len(roads)},)", found=str(flags.shape))
    return flags


def _probabilities(roads: Roads, blocked: ArrayLike | None) -> Floats:
    p = np.zeros(len(roads)) if blocked is None else np.asarray(blocked, float)
    if p.shape != (len(roads),) or bool(((p < 0) | (p > 1)).any()):
        raise ModelError("one probability for each edge is wanted", expected=f"({len(roads)},) of 0 to 1")
    return p
