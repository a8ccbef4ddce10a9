"""Streets of a plain vector file as lines that know where they meet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from shapely.ops import substring

from mage.scenes.sources.osm import tags as values
from mage.scenes.sources.osm.elements import Element, Tags

Floats = NDArray[np.float64]

SNAP = 0.1  # metres within which ends of lines are one place


def noded(lines: NDArray[np.object_], tags: Sequence[Tags]) -> list[Element]:
    """Lines cut wherever they meet, each with a number at its ends that is the same where ends are one place.

    Lines meet where one ends within 0.1 m of the other. Those of one level also where they cross: on the ground, or on
    what is tagged as a bridge, a tunnel or another layer alike.

    Args:
        lines: (n,) LineStrings or MultiLineStrings, metres.
        tags: of each.

    >>> cross = np.array([shapely.LineString([(0, 5), (10, 5)]), shapely.LineString([(4, 0), (4, 9)])])
    >>> [(edge.nodes, edge.shape.length) for edge in noded(cross, [{}, {}])]
    [((0, 1), 4.0), ((1, 2), 6.0), ((3, 1), 5.0), ((1, 4), 4.0)]
    >>> len(noded(cross, [{"bridge": "yes"}, {}]))
    2
    """
    simple, owner = _simple(lines)
    if not len(simple):
        return []
    level = np.array([_level(tags[k]) for k in owner])
    pieces = [
        (piece, owner[k]) for k, at in enumerate(_cuts(simple, level)) for piece in _pieces(simple[k], np.array(at))
    ]
    ends = np.array([(shapely.get_point(line, 0), shapely.get_point(line, -1)) for line, _ in pieces], dtype=object)
    number, place = _places(shapely.get_coordinates(ends.ravel()))
    return [_edge(line, tags[k], number[2 * n : 2 * n + 2], place, n) for n, (line, k) in enumerate(pieces)]


def _edge(line: shapely.LineString, tags: Tags, ends: NDArray[np.int64], place: Floats, number: int) -> Element:
    """A piece from one place to another; the vertices between have numbers that are nobody else's."""
    xy = shapely.get_coordinates(line)
    xy[0], xy[-1] = place[ends]
    between = tuple(-1 - number * 2**20 - k for k in range(len(xy) - 2))
    return Element(f"line/{number}", tags, shapely.LineString(xy), (int(ends[0]), *between, int(ends[1])))


def _simple(lines: NDArray[np.object_]) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Lines of one part that do not cross themselves, and which of the given ones each comes from."""
    parts, owner = shapely.get_parts(lines, return_index=True)
    crossing = ~np.asarray(shapely.is_simple(parts), bool)
    parts = np.where(crossing, shapely.node(parts), parts)
    parts, index = shapely.get_parts(parts, return_index=True)
    long = shapely.length(parts) > 0
    return parts[long], owner[index][long]


def _level(tags: Tags) -> int:
    """0 on the ground; else different for bridges and tunnels, and for each layer."""
    bridge, tunnel = values.is_yes(tags, "bridge"), values.is_yes(tags, "tunnel")
    return values.layer(tags) or (1 if bridge else -1 if tunnel else 0)


def _cuts(lines: NDArray[np.object_], level: NDArray[np.int64]) -> list[list[float]]:
    """Metres along each line at which it meets another one."""
    cuts: list[list[float]] = [[] for _ in lines]
    one, two = shapely.STRtree(lines).query(lines, predicate="dwithin", distance=SNAP)
    one, two = one[one < two], two[one < two]
    met = np.where(level[one] == level[two], shapely.intersection(lines[one], lines[two]), shapely.Point())
    for a, b, where in zip(one.tolist(), two.tolist(), met, strict=True):
        ends = [shapely.get_point(lines[k], end) for k in (a, b) for end in (0, -1)]
        near = [end for end in ends if max(shapely.distance(end, lines[a]), shapely.distance(end, lines[b])) <= SNAP]
        points = shapely.points(np.concatenate([_corners(where), shapely.get_coordinates(near).reshape(-1, 2)]))
        cuts[a] += np.atleast_1d(shapely.line_locate_point(lines[a], points)).tolist()
        cuts[b] += np.atleast_1d(shapely.line_locate_point(lines[b], points)).tolist()
    return cuts


def _corners(where: shapely.Geometry) -> Floats:
    """Points of an intersection: those where lines cross, and the ends of stretches that they share."""
    parts = [part for part in shapely.get_parts(where) if not part.is_empty]
    if not parts:
        return np.zeros((0, 2))
    return np.concatenate([shapely.get_coordinates(part)[[0, -1]] for part in parts])


def _pieces(line: shapely.LineString, at: Floats) -> list[shapely.LineString]:
    """A line in pieces; cuts closer than 0.1 m to one another or to an end are one."""
    inner = np.sort(at[(at > SNAP) & (at < line.length - SNAP)])
    stops = [0.0]
    for stop in inner.tolist():
        if stop - stops[-1] > SNAP:
            stops.append(stop)
    stops.append(line.length)
    if len(stops) == 2:
        return [line]
    return [substring(line, low, high) for low, high in pairwise(stops)]


def _places(xy: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The place of each of n ends, (n,), numbered as they come, and where the places are: ends within 0.1 m are one."""
    pairs = cKDTree(xy).query_pairs(SNAP, output_type="ndarray")
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(xy), len(xy)))
    _, label = connected_components(links, directed=False)
    _, first, number = np.unique(label, return_index=True, return_inverse=True)
    return number.reshape(-1).astype(np.int64), xy[first]
