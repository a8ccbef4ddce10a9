"""Who can be reached: from hospitals, fire stations and the edge of the area, over roads that may be closed.

Everything is answered on the directed graph of :class:`~mage.learning.mapping.roads.Roads` by scipy's sparse graph
routines; a closed edge is left out, of parallel edges the cheapest counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import dijkstra

from mage.learning.mapping.graphs import Network, arcs, checked_flags, checked_nodes, checked_probabilities, costs
from mage.learning.mapping.roads import Roads
from mage.scenes.errors import ModelError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

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


def reach(roads: Roads, starts: ArrayLike, closed: ArrayLike | None = None) -> Reach:
    """Seconds from the nearest of some nodes to every node.

    Args:
        roads: the network.
        starts: positions of nodes.
        closed: (e,) whether an edge cannot be passed; None where all can.

    Raises:
        ModelError: a start that is no node, or flags that do not fit the edges.
    """
    begin = checked_nodes(roads, starts)
    if not len(begin):
        return Reach(np.full(len(roads.nodes), np.inf), np.full(len(roads.nodes), -1))
    graph = costs(roads, roads.seconds, checked_flags(roads, closed))
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
    begin, target = checked_nodes(roads, [start, end]).tolist()
    if not caution >= 0:
        raise ModelError("no such caution", expected="seconds from 0", found=str(caution))
    p = np.nan_to_num(checked_probabilities(roads, blocked))
    with np.errstate(divide="ignore"):
        cost = roads.seconds - caution * np.log1p(-p)
    graph = costs(roads, cost, p >= 1)
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
    at_node, at_edge = np.zeros(len(roads.nodes)), np.zeros(len(roads))
    for reached, _ in drawn(roads, starts, blocked, rng, draws):
        at_node += reached
        at_edge += reached[roads.ends].any(axis=1)
    return at_node / draws, at_edge / draws


def entries(roads: Roads, area: shapely.Geometry, margin: float = 20.0) -> Ints:
    """Nodes by which one comes into an area: those outside it with an edge that leads in, and dead ends within
    ``margin`` metres of its border.

    Roads from a map reach beyond the area; roads that were cut to it end at its border.

    >>> from mage.learning.mapping.roads import straight_roads
    >>> square = straight_roads([(0, 0), (100, 0), (0, -100), (100, -100)], [(0, 1), (0, 2), (1, 3), (2, 3)])
    >>> entries(square, shapely.box(-100, -1000, 50, 1000)).tolist()
    [1, 3]
    """
    points = shapely.points(roads.nodes)
    shapely.prepare(area)
    degree = np.bincount(roads.ends.ravel(), minlength=len(roads.nodes))
    leads_in = np.zeros(len(roads.nodes), bool)
    leads_in[roads.ends[shapely.intersects(area, np.array(roads.lines, dtype=object))]] = True
    at_border = shapely.dwithin(points, shapely.boundary(area), margin) & (degree == 1)
    return np.flatnonzero(leads_in & (~shapely.covers(area, points) | at_border))


def drawn(
    roads: Roads, starts: ArrayLike, blocked: ArrayLike, rng: np.random.Generator, draws: int
) -> Iterator[tuple[Flags, Floats]]:
    """Nodes that are reached, (n,), in each draw, and its numbers from 0 to 1, (e,): an edge is closed whose number is
    below its probability. Arguments and errors as of :func:`reachability`.
    """
    begin = checked_nodes(roads, starts)
    p = np.nan_to_num(checked_probabilities(roads, blocked))
    if draws < 1:
        raise ModelError("no such number of draws", expected="1 or more", found=str(draws))
    network = Network.of(roads, begin)
    for _ in range(draws if len(begin) else 0):
        chance = rng.random(len(roads))
        yield network.reached(chance >= p), chance


def _along(roads: Roads, nodes: Ints, cost: Floats, p: Floats) -> Route:
    """The route over the cheapest edge between each two nodes in turn."""
    tail, head, edge = arcs(roads, ~np.isfinite(cost))
    count = len(roads.nodes)
    arc = tail * count + head
    order = np.lexsort((cost[edge], arc))  # of parallel ones the cheapest comes first
    edges = edge[order][np.searchsorted(arc[order], nodes[:-1] * count + nodes[1:])]
    parts = [
        roads.lines[e] if roads.ends[e, 0] == node else shapely.reverse(roads.lines[e])
        for e, node in zip(edges, nodes[:-1], strict=True)
    ]
    return Route(
        nodes,
        edges,
        seconds=float(roads.seconds[edges].sum()),
        metres=float(sum(part.length for part in parts)),
        open=float(np.prod(1 - p[edges])),
        line=_joined(parts, roads.nodes[nodes[0]]),
    )


def _joined(parts: Sequence[shapely.LineString], start: Floats) -> shapely.LineString:
    if not parts:
        return shapely.LineString([start, start])
    return shapely.LineString(np.concatenate([shapely.get_coordinates(part) for part in parts]))
