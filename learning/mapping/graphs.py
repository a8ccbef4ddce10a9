"""A road network as a sparse directed graph, for scipy's routines, and checks of what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order

from mage.learning.mapping.roads import Roads
from mage.scenes.errors import ModelError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

LEAST = 1e-6  # seconds of an edge without length: a sparse graph takes 0 for no edge


def costs(roads: Roads, cost: Floats, closed: Flags) -> csr_matrix:
    """Costs between nodes; of parallel edges the cheapest, since a sparse matrix would add them up."""
    tail, head, edge = arcs(roads, closed)
    weight = np.maximum(cost[edge], LEAST)
    order = np.lexsort((weight, head, tail))
    tail, head, weight = tail[order], head[order], weight[order]
    first = np.ones(len(tail), bool)
    first[1:] = (np.diff(tail) != 0) | (np.diff(head) != 0)
    count = len(roads.nodes)
    return csr_matrix((weight[first], (tail[first], head[first])), shape=(count, count))


def arcs(roads: Roads, closed: Flags) -> tuple[Ints, Ints, Ints]:
    """Tail, head and edge of each arc that is open: both ways, but for one-way streets."""
    there = np.flatnonzero(~closed)
    back = there[~roads.oneway[there]]
    ends = roads.ends
    tail = np.concatenate([ends[there, 0], ends[back, 1]])
    head = np.concatenate([ends[there, 1], ends[back, 0]])
    return tail, head, np.concatenate([there, back])


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Arcs by their tails, in compressed rows, and those from one more node to the nodes where one begins.

    Attributes:
        row: (nodes + 2,) where the arcs of each tail begin.
        head, edge: (arcs,) where each leads, and by which edge; the last position is one that is always open.
    """

    row: Ints
    head: Ints
    edge: Ints

    @classmethod
    def of(cls, roads: Roads, begin: Ints) -> Network:
        """The network of some roads with all of them open, and the nodes where one begins."""
        tail, head, edge = arcs(roads, np.zeros(len(roads), bool))
        count = len(roads.nodes)
        order = np.argsort(tail, kind="stable")
        lengths = np.append(np.bincount(tail, minlength=count), len(begin))
        always = np.full(len(begin), len(roads))
        row = np.concatenate([[0], np.cumsum(lengths)])
        return cls(row, np.append(head[order], begin), np.append(edge[order], always))

    def reached(self, passable: Flags) -> Flags:
        """Nodes that can be come to over open edges, (n,)."""
        kept = np.append(passable, True)[self.edge]
        row = np.concatenate([[0], np.cumsum(kept)])[self.row]
        count = len(self.row) - 1
        graph = csr_matrix((np.ones(row[-1], np.int8), self.head[kept], row), shape=(count, count))
        found = np.zeros(count, bool)
        found[breadth_first_order(graph, count - 1, return_predecessors=False)] = True
        return found[:-1]


def checked_nodes(roads: Roads, positions: ArrayLike) -> Ints:
    """Positions of nodes, (k,); ModelError for what are none."""
    nodes = np.asarray(positions).reshape(-1)
    if len(nodes) and not (nodes.dtype.kind in "iu" and nodes.min() >= 0 and nodes.max() < len(roads.nodes)):
        raise ModelError("these are no nodes of the roads", expected=f"whole numbers below {len(roads.nodes)}")
    return nodes.astype(np.int64)


def checked_flags(roads: Roads, closed: ArrayLike | None) -> Flags:
    """Flags of edges, (e,), none set for None; ModelError for another number of them."""
    flags = np.zeros(len(roads), bool) if closed is None else np.asarray(closed, bool)
    if flags.shape != (len(roads),):
        raise ModelError("one flag for each edge is wanted", expected=f"({len(roads)},)", found=str(flags.shape))
    return flags


def checked_probabilities(roads: Roads, blocked: ArrayLike | None) -> Floats:
    """Probabilities of edges, (e,), 0 for None, NaN among them; ModelError for what are none."""
    p = np.zeros(len(roads)) if blocked is None else np.asarray(blocked, float)
    if p.shape != (len(roads),) or bool(((p < 0) | (p > 1)).any()):
        raise ModelError("one probability for each edge is wanted", expected=f"({len(roads)},) of 0 to 1")
    return p
