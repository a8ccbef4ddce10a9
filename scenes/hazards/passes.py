"""The lowest way for water over uneven ground."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def lowest_passes(heights: Floats, start: Floats) -> Floats:
    """The lowest level at which a path to each vertex is open from a source: the smallest possible maximum along it.

    Paths run along the six edges of each vertex of the triangulated lattice. They are those of the minimum spanning
    tree over edges weighted by their higher end, rooted in all sources.

    Args:
        heights: (rows, columns) metres.
        start: (rows, columns) level of each source, at or above its height; NaN for other vertices. At least one.
    """
    count = heights.size
    sources = np.flatnonzero(np.isfinite(start))
    # ranks instead of metres: exact, and never zero, which a sparse graph takes for no edge
    levels, rank = np.unique(np.concatenate([heights.ravel(), start.ravel()[sources]]), return_inverse=True)
    rank = rank.reshape(-1) + 1
    head, tail = _edges(heights.shape)
    weight = np.concatenate([np.maximum(rank[head], rank[tail]), rank[count:]])
    ends = np.concatenate([head, np.full(len(sources), count)]), np.concatenate([tail, sources])
    tree = minimum_spanning_tree(csr_matrix((weight.astype(float), ends), shape=(count + 1, count + 1)))
    _, above = breadth_first_order(tree, count, directed=False)
    above[count] = count
    highest = np.append(rank[:count], 0)
    entered = sources[above[sources] == count]
    highest[entered] = rank[count:][above[sources] == count]
    while (above != count).any():  # each round doubles the stretch of the path that `highest` covers
        highest = np.maximum(highest, highest[above])
        above = above[above]
    return np.asarray(levels[highest[:count] - 1].reshape(heights.shape))


def _edges(shape: tuple[int, ...]) -> tuple[Indices, Indices]:
    """Both ends of every edge of the triangulated lattice: along rows, along columns, north-west to south-east."""
    index = np.arange(math.prod(shape)).reshape(shape)
    heads = (index[:, :-1], index[:-1], index[:-1, :-1])
    tails = (index[:, 1:], index[1:], index[1:, 1:])
    return np.concatenate([h.ravel() for h in heads]), np.concatenate([t.ravel() for t in tails])
