"""Which building, and which road, of one product is which of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Geometries = NDArray[np.object_]

OVERLAP = 0.3  # least intersection over union of outlines that are of one building though their identities differ
LINE = 1.0  # metres that the line of a road may be off


def match_outlines(names: Sequence[str], outlines: Geometries, others: Sequence[str], theirs: Geometries) -> Ints:
    """For each of n buildings the position of the same one among others, (n,), -1 for none; no other is taken twice.

    Buildings of one name that touch are the same; of the rest those whose outlines overlap most, by at least 0.3 of
    their union.

    >>> here, there = (np.array([shapely.box(x, 0, x + 4, 4) for x in xs]) for xs in ((0, 10, 20), (21, 0.5)))
    >>> match_outlines(["a", "b", "c"], here, ["c", "x"], there).tolist()
    [1, -1, 0]
    """
    found = np.full(len(outlines), -1)
    at = {name: k for k, name in reversed(list(enumerate(others)))}
    for k, name in enumerate(names):
        other = at.get(name, -1) if name else -1
        if other >= 0 and shapely.intersects(outlines[k], theirs[other]):
            found[k] = other
            del at[name]
    free = np.setdiff1d(np.arange(len(theirs)), found)
    open_ = np.flatnonzero(found < 0)
    here, there = shapely.STRtree(theirs[free]).query(outlines[open_], predicate="intersects")
    here, there = open_[here], free[there]
    share = _overlap(outlines[here], theirs[there])
    taken = np.zeros(len(theirs), bool)
    for pair in np.argsort(-share, kind="stable")[: int((share >= OVERLAP).sum())]:
        if found[here[pair]] < 0 and not taken[there[pair]]:
            found[here[pair]] = there[pair]
            taken[there[pair]] = True
    return found


def match_lines(names: Sequence[str], lines: Geometries, edges: Geometries) -> Ints:
    """For each of n lines the position of the edge of a network that it is, or is part of, (n,); -1 for none.

    Names of edges are those that products give them, :func:`edge_name`; they tell which of several that run within a
    metre of each other is meant, else the closest is.

    >>> edges = np.array([shapely.LineString([(0, y), (50, y)]) for y in (0, 20)])
    >>> match_lines(["", "0"], shapely.transform(edges[::-1], lambda xy: xy + 0.2), edges).tolist()
    [1, 0]
    """
    tree = shapely.STRtree(edges)
    found = np.full(len(lines), -1)
    for k, (name, line) in enumerate(zip(names, lines, strict=True)):
        near = np.sort(tree.query(line, predicate="dwithin", distance=LINE))
        # a product may hold only the part of an edge that lies in its area
        along = near[shapely.covers(shapely.buffer(edges[near], LINE), line)]
        apart = shapely.hausdorff_distance(edges[along], line)
        order = sorted(zip(along.tolist(), apart.tolist(), strict=True), key=lambda e: (edge_name(e[0]) != name, e[1]))
        found[k] = order[0][0] if order else -1
    return found


def edge_name(position: int) -> str:
    """What products call the edge at this position of a network."""
    return str(position)


def _overlap(one: Geometries, other: Geometries) -> NDArray[np.float64]:
    shared = shapely.area(shapely.intersection(one, other))
    whole = shapely.area(one) + shapely.area(other) - shared
    return np.asarray(shared / np.maximum(whole, 1e-12))
