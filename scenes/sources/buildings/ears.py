"""Triangles over polygons laid flat, with every corner of their rings kept."""

from __future__ import annotations

import mapbox_earcut
import numpy as np

from mage.scenes.sources.buildings.topology import cut, open_edges
from mage.scenes.sources.raw import Floats, Ints


def flat_triangles(flat: Floats, sizes: Ints) -> Ints:
    """Triangles (m, 3) over a polygon's points (n, 2), whose rings have these sizes, the outer one first.

    Their outline is exactly the rings: points on straight lines, which ear cutting passes over, are set back in.
    """
    own = mapbox_earcut.triangulate_float64(flat, np.cumsum(sizes).astype(np.uint32)).reshape(-1, 3).astype(np.int64)
    return own if len(own) == len(flat) + 2 * len(sizes) - 4 else _with_all_corners(own, sizes)


def _with_all_corners(triangles: Ints, sizes: Ints) -> Ints:
    following = next_in_ring(sizes)
    sides = set(enumerate(following.tolist()))
    used = set(triangles.ravel().tolist())
    chains = {
        (a, b): _between(following.tolist(), a, b, used)
        for a, b in open_edges(triangles).tolist()
        if (a, b) not in sides and (b, a) not in sides
    }
    cuts: dict[int, list[list[int]]] = {}
    for position, corners in enumerate(triangles.tolist()):
        inner = [chains.get((corners[k], corners[(k + 1) % 3]), []) for k in range(3)]
        if any(inner):
            cuts[position] = inner
    return cut(triangles, np.zeros(len(triangles), np.int64), cuts)[0]


def next_in_ring(sizes: Ints) -> Ints:
    """For every point of some rings, laid out one after the other, the one that follows it."""
    ends = np.cumsum(sizes)
    following = np.arange(sizes.sum()) + 1
    following[ends - 1] = ends - sizes
    return np.asarray(following)


def _between(following: list[int], a: int, b: int, used: set[int]) -> list[int]:
    """The unused points along the ring from a to b; where there are used ones that way, those from b to a, turned."""
    for start, stop, step in ((a, b, 1), (b, a, -1)):
        chain: list[int] = []
        at = following[start]
        while at != stop and at not in used:
            chain.append(at)
            at = following[at]
        if at == stop:
            return chain[::step]
    return []
