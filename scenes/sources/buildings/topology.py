"""Which triangles meet along which edges: what is open, where corners lie on edges, which way round faces go."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from mage.scenes.sources.raw import Floats, Ints

WELD = 1e-3  # metres; points closer than this are one, and a point this near to an edge lies on it
_ROUNDS = 8  # of splitting; a second one is needed where a split edge lies on another
_MOST_TESTS = 20_000_000  # pairs of an edge and a point; more take longer than a broken shell is worth
_GROWTH = 4  # times as many triangles as before; splitting that makes more has lost its way
_CHUNK = 400_000
_CLEAR = 1e-6  # cubic or square metres; less does not tell which way is outward


def welded(points: Floats) -> Floats:
    """The points (n, 3), each moved to the first one that lies within a millimetre of it.

    Where more than eight crowd within a millimetre, those in cells of half a millimetre become one before.
    """
    found = _welded(points, 8)
    if found is None:  # must not cost the square of their number
        _, first, index = np.unique(np.floor(points / (WELD / 2)), axis=0, return_index=True, return_inverse=True)
        points = points[first][index.reshape(-1)]
        found = _welded(points, 64)
    return points if found is None else found


def _welded(points: Floats, most: int) -> Floats | None:
    """The same, if no point has more than ``most`` - 1 others around; else None."""
    _, first, index = np.unique(points, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)  # whoever comes first in the file stays where it is
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    distinct = points[first[order]]
    count = len(distinct)
    if count < 2:
        return points
    _, near = cKDTree(distinct).query(distinct, k=min(most, count), distance_upper_bound=WELD * (1 + 1e-9))
    around = (near < count).sum(axis=1)
    if around.max() == most:
        return None
    target = np.arange(count)
    for k in np.flatnonzero(around > 1).tolist():
        if target[k] == k:
            target[[j for j in near[k].tolist() if k < j < count and target[j] == j]] = k
    return np.asarray(distinct[target][rank[index.reshape(-1)]])


def directed_edges(triangles: Ints) -> Ints:
    """Corner to next corner, (3 m, 2); the triangle of edge k is k // 3."""
    return np.stack([triangles, np.roll(triangles, -1, axis=1)], axis=-1).reshape(-1, 2)


def _keys(edges: Ints) -> tuple[Ints, Ints, Ints]:
    """The distinct undirected edges (k, 2), for each directed one which it is, and how many lie on each."""
    low, high = edges.min(axis=1), edges.max(axis=1)
    width = int(high.max(initial=0)) + 1
    keys, inverse, counts = np.unique(low * width + high, return_inverse=True, return_counts=True)
    return np.column_stack([keys // width, keys % width]), inverse.reshape(-1), counts


def open_edges(triangles: Ints) -> Ints:
    """The directed edges that none of the opposite direction answers, (k, 2); none of a closed surface."""
    edges = directed_edges(triangles)
    undirected, inverse, _ = _keys(edges)
    balance = np.bincount(inverse, np.where(edges[:, 0] < edges[:, 1], 1, -1), len(undirected)).astype(np.int64)
    found = np.repeat(undirected, np.abs(balance), axis=0)
    backward = np.repeat(balance < 0, np.abs(balance))
    return np.where(backward[:, None], found[:, ::-1], found)


def odd_edges(triangles: Ints) -> tuple[Ints, Ints]:
    """The undirected edges (k, 2) that an odd number of triangles share, and the (triangle, side, edge) of each of
    those triangles, (j, 3).
    """
    undirected, inverse, counts = _keys(directed_edges(triangles))
    odd = counts % 2 == 1
    which = np.cumsum(odd) - 1
    sides = np.flatnonzero(odd[inverse])
    return undirected[odd], np.column_stack([sides // 3, sides % 3, which[inverse[sides]]])


def split_at_corners(points: Floats, triangles: Ints, face: Ints, notes: Counter[str]) -> tuple[Ints, Ints]:
    """The triangles (m, 3) and their faces (m,), cut where a corner of another lies on an open side of theirs.

    No point moves: a side bends by a millimetre at most. Triangles with a corner on their own longest side are
    degenerate and go, because their two short sides then take the place of the long one.
    """
    most = _GROWTH * len(triangles) + 100
    for _ in range(_ROUNDS):
        real = ~slivers(points, triangles)
        notes["degenerate triangles left out"] += int(len(real) - real.sum())
        triangles, face = triangles[real], face[real]
        if len(triangles) > most:
            notes["shells too broken to be joined"] += 1
            break
        edges, users = odd_edges(triangles)
        hits = _corners_on_edges(points, edges, notes)
        if not hits:
            break
        cuts: dict[int, list[list[int]]] = {}
        for triangle, side, edge in users.tolist():
            if edge in hits:
                inner = hits[edge] if triangles[triangle, side] == edges[edge, 0] else hits[edge][::-1]
                cuts.setdefault(triangle, [[], [], []])[side] = inner
        notes["corners set into the edges that they lie on"] += sum(map(len, hits.values()))
        triangles, face = cut(triangles, face, cuts)
    return triangles, face


def slivers(points: Floats, triangles: Ints) -> NDArray[np.bool_]:
    """Which triangles are lower than a millimetre over their longest side, or have a corner twice, bool (m,)."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    doubled = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    longest = np.linalg.norm([b - a, c - b, a - c], axis=2).max(axis=0, initial=0)
    return np.asarray(doubled <= WELD * longest)


def cut(triangles: Ints, face: Ints, cuts: dict[int, list[list[int]]]) -> tuple[Ints, Ints]:
    """The triangles, some of them in pieces: ``cuts`` holds corners to be set into each of their three sides."""
    pieces, owner = [], []
    for k in sorted(cuts):
        for piece in _fan(triangles[k].tolist(), cuts[k]):
            if len(set(piece)) == 3:
                pieces.append(piece)
                owner.append(face[k])
    keep = np.ones(len(triangles), bool)
    keep[list(cuts)] = False
    if not pieces:
        return triangles[keep], face[keep]
    return np.concatenate([triangles[keep], np.array(pieces, np.int64)]), np.append(face[keep], owner)


def _fan(corners: list[int], inner: list[list[int]]) -> list[list[int]]:
    """One triangle cut from the corner that faces a divided side, so that all divided sides are honoured."""
    side = next((k for k in range(3) if inner[k]), None)
    if side is None:
        return [corners]
    a, b, tip = (corners[(side + k) % 3] for k in range(3))
    before, after = inner[(side + 2) % 3], inner[(side + 1) % 3]
    chain = [a, *inner[side], b]
    pieces = [[tip, p, q] for p, q in pairwise(chain[1:-1])]
    first = _fan([tip, a, chain[1]], [before, [], []])
    last = _fan([tip, chain[-2], b], [[], [], after])
    return [*first, *pieces, *last]


def _corners_on_edges(points: Floats, edges: Ints, notes: Counter[str]) -> dict[int, list[int]]:
    """For the edges with corners of others on them: which, in order from the edge's first end."""
    corners = np.unique(edges)
    if len(edges) * len(corners) > _MOST_TESTS:
        notes["shells too broken to be joined"] += 1
        return {}
    found: dict[int, list[int]] = {}
    step = max(1, _CHUNK // max(len(corners), 1))
    for start in range(0, len(edges), step):
        some = edges[start : start + step]
        along, on = _along(points, some, corners)
        for row in np.flatnonzero(on.any(axis=1)).tolist():
            inner = np.flatnonzero(on[row])
            found[start + row] = corners[inner[np.argsort(along[row, inner], kind="stable")]].tolist()
    return found


def _along(points: Floats, edges: Ints, corners: Ints) -> tuple[Floats, NDArray[np.bool_]]:
    """Where along each edge each corner lies (0 to 1), and whether it lies on the edge between its ends; (k, c)."""
    start, way = points[edges[:, 0]], points[edges[:, 1]] - points[edges[:, 0]]
    squared = (way**2).sum(axis=1)
    offset = points[corners] - start[:, None]
    along = np.einsum("kcj,kj->kc", offset, way) / np.maximum(squared, WELD**2)[:, None]
    away = ((offset - along[..., None] * way[:, None]) ** 2).sum(axis=2)
    others = (corners != edges[:, :1]) & (corners != edges[:, 1:])
    return along, (away <= WELD**2) & (along > 0) & (along < 1) & others


def turned(points: Floats, triangles: Ints, rise: Floats) -> NDArray[np.bool_]:
    """Which triangles must be turned for all to look outward, bool (m,).

    Triangles that share an edge with no third one must agree. Of the two ways that remain for each such piece of
    surface, a closed piece takes the one with a positive volume, an open one that with a positive sum of ``rise``
    (m,): how much each triangle looks where its label wants it to. A piece without either stays as most of it is,
    unless most of the shell had to be turned. A piece with one side only (Moebius) stays as it is.
    """
    edges = directed_edges(triangles)
    _, inverse, counts = _keys(edges)
    order = np.argsort(inverse, kind="stable")
    order = order[counts[inverse[order]] == 2].reshape(-1, 2)
    one, two = order[:, 0], order[:, 1]
    m = len(triangles)
    flip, piece = _agreement(m, one // 3, two // 3, edges[one, 0] == edges[two, 0])
    area, swept = _area_and_volume(points, triangles)
    flip ^= (np.bincount(piece, np.where(flip, -area, area), m) < 0)[piece]
    sign = np.where(flip, -1.0, 1.0)
    whole = np.bincount(piece, minlength=m) * 3 == np.bincount(piece[one // 3], minlength=m) * 2
    judged = np.bincount(piece, sign * np.where(whole[piece], swept, rise), m)
    known = np.abs(judged) > _CLEAR
    flip ^= (known & (judged < 0))[piece]
    lean = np.where(flip, -area, area)[known[piece]].sum() if known[piece].any() else (sign * swept).sum()
    return np.asarray(flip ^ (~known[piece] & (lean < 0)))


def _area_and_volume(points: Floats, triangles: Ints) -> tuple[Floats, Floats]:
    """Of each triangle its area and the signed volume between it and a point at the height of the lowest, (m,) each."""
    corners = points[triangles]
    foot = np.append(corners[:, :, :2].mean(axis=(0, 1)), corners[:, :, 2].min())
    a, b, c = (corners[:, k] - foot for k in range(3))
    normal = np.cross(b - a, c - a)
    return np.linalg.norm(normal, axis=1) / 2, np.einsum("ij,ij->i", a, normal) / 6


def _agreement(m: int, one: Ints, two: Ints, clash: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Ints]:
    """Which of m triangles to turn for neighbours to agree, and the piece of surface that each belongs to.

    Every triangle stands in a graph twice, as it is and turned: whatever hangs together there goes together.
    """
    rows = np.concatenate([one, one + m])
    columns = np.concatenate([two + m * clash, two + m * ~clash])
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(2 * m, 2 * m))
    _, label = connected_components(graph, directed=False)
    asis, other = label[:m], label[m:]
    _, piece = np.unique(np.minimum(asis, other), return_inverse=True)
    return asis > other, piece.reshape(-1)
