"""Street networks: lines joined to a graph, and the bent grid of a procedural city."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from shapely.geometry import LineString, Polygon

from mage.scenes.city import RoadEdge, RoadGraph
from mage.scenes.style import Streets

Floats = NDArray[np.float64]

SHORTEST = 36.0  # metres; a shorter end of a street leads nowhere and is not built


def road_graph(lines: Sequence[Floats], widths: Sequence[float], *, inferred: bool) -> RoadGraph:
    """A graph of polylines (n, 2): ends within a centimetre of each other are one node.

    Streets at least 9 m wide are ``secondary``, the others ``residential``.
    """
    if not lines:
        return RoadGraph()
    ends = np.round(np.array([(line[0], line[-1]) for line in lines]).reshape(-1, 2), 2)
    nodes, index = np.unique(ends, axis=0, return_inverse=True)
    index = index.reshape(-1, 2)
    edges = []
    for line, width, (u, v) in zip(lines, widths, index, strict=True):
        course = LineString(np.concatenate([nodes[[u]], line[1:-1], nodes[[v]]]))
        kind = "secondary" if width >= 9 else "residential"
        edges.append(RoadEdge(int(u), int(v), course, float(width), kind, inferred=inferred))
    return RoadGraph(nodes, tuple(edges))


def component_labels(roads: RoadGraph) -> NDArray[np.int32]:
    """For every node the number of the connected part it belongs to, (n,)."""
    ends = np.array([(e.u, e.v) for e in roads.edges]).reshape(-1, 2)
    return _labels(len(roads.nodes), ends)


def _labels(n: int, ends: NDArray[np.int64]) -> NDArray[np.int32]:
    links = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(n, n))
    return np.asarray(connected_components(links, directed=False)[1])


def suburban_streets(rng: np.random.Generator, streets: Streets, domain: Polygon, closed: Polygon) -> RoadGraph:
    """Long streets with shorter ones between them, bent and turned, within ``domain`` and off ``closed`` ground.

    Streets that reach the domain's border go on beyond it; those that reach closed ground end there as dead ends.
    """
    west, south, east, north = domain.bounds
    half = max(east - west, north - south) * 0.75
    lines, widths = _grid_lines(rng, streets, half)
    warp = _Warp(rng, half, streets.bend)
    warped = [LineString(warp(line)) for line in lines]
    open_ground = domain.difference(closed)
    pieces, sizes = [], []
    for line, width in zip(warped, widths, strict=True):
        for part in shapely.get_parts(line.intersection(open_ground)):
            # a line of centimetres that lies on closed ground has nothing left, and is as long as before to a tenth
            whole = not part.is_empty and part.length > line.length - 0.1
            if part.geom_type == "LineString" and (whole or part.length >= SHORTEST):
                pieces.append(shapely.get_coordinates(part))
                sizes.append(width)
    graph = road_graph(pieces, sizes, inferred=False)
    return _largest_parts(_thinned_out(rng, graph, 1 - streets.straight))


def _grid_lines(rng: np.random.Generator, streets: Streets, half: float) -> tuple[list[Floats], list[float]]:
    """Straight lines of a grid before bending, cut at their crossings, and their widths.

    Between two long streets lies a strip of blocks; strips take over the cross streets of the one before or make
    their own.
    """
    short, long = streets.block
    rows = [-half]
    while rows[-1] < half:
        rows.append(rows[-1] + short * rng.uniform(0.88, 1.3))
    crossings: list[Floats] = []
    for _ in rows[1:]:
        if crossings and rng.random() < streets.straight:
            crossings.append(crossings[-1])
        else:
            gaps = long * rng.uniform(0.6, 1.3, int(2 * half / (0.6 * long)) + 2)
            at = -half + np.cumsum(gaps) - rng.uniform(0, long)
            crossings.append(at[np.abs(at) < half])
    ordinary, main = streets.width
    lines, widths = [], []
    for i, (low, high) in enumerate(pairwise(rows)):
        for x in crossings[i]:
            lines.append(np.array([(x, low), (x, high)]))
            widths.append(ordinary)
        before = crossings[i - 1] if i else np.zeros(0)
        stops = np.unique(np.concatenate([[-half, half], before, crossings[i]]))
        width = main if rng.random() < 0.16 else ordinary
        for a, b in pairwise(stops):
            lines.append(np.array([(a, low), (b, low)]))
            widths.append(width)
    return lines, widths


class _Warp:
    """Bends straight lines (2, 2) into curves (n, 2): smooth displacement, then a turn of the whole grid."""

    def __init__(self, rng: np.random.Generator, half: float, bend: float) -> None:
        wavelength = 260.0
        axis = np.arange(-half - 2 * wavelength, half + 2 * wavelength, wavelength)
        self._shift = [RectBivariateSpline(axis, axis, rng.normal(0, bend, (len(axis),) * 2)) for _ in range(2)]
        turn = rng.uniform(-0.45, 0.45)
        self._turn = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])

    def __call__(self, line: Floats) -> Floats:
        count = max(2, int(np.linalg.norm(line[1] - line[0]) / 7) + 1)
        points = line[0] + np.linspace(0, 1, count)[:, None] * (line[1] - line[0])
        shift = np.stack([s(points[:, 0], points[:, 1], grid=False) for s in self._shift], axis=1)
        return (points + shift) @ self._turn


def _thinned_out(rng: np.random.Generator, roads: RoadGraph, share: float) -> RoadGraph:
    """The graph without ``share`` / 2 of its edges; none goes whose loss would cut it or make a new dead end."""
    ends = np.array([(e.u, e.v) for e in roads.edges]).reshape(-1, 2)
    kept = np.ones(len(ends), bool)
    parts = _labels(len(roads.nodes), ends).max(initial=-1)
    for i in rng.permutation(len(ends))[: int(share / 2 * len(ends))]:
        degree = np.bincount(ends[kept].ravel(), minlength=len(roads.nodes))
        kept[i] = False
        if degree[ends[i]].min() < 3 or _labels(len(roads.nodes), ends[kept]).max() != parts:
            kept[i] = True
    return subgraph(roads, kept)


def _largest_parts(roads: RoadGraph) -> RoadGraph:
    """Without parts of the network that hold less than 150 m of street."""
    if not roads.edges:
        return roads
    label = component_labels(roads)[[e.u for e in roads.edges]]
    length = np.bincount(label, weights=[e.line.length for e in roads.edges])
    return subgraph(roads, length[label] >= 150)


def subgraph(roads: RoadGraph, keep: NDArray[np.bool_]) -> RoadGraph:
    """Only the edges where ``keep`` (e,) is true, and the nodes they need."""
    edges = [e for e, kept in zip(roads.edges, keep, strict=True) if kept]
    used, index = np.unique(np.array([(e.u, e.v) for e in edges], dtype=np.int64), return_inverse=True)
    index = index.reshape(-1, 2)
    renumbered = tuple(replace(e, u=int(u), v=int(v)) for e, (u, v) in zip(edges, index, strict=True))
    return RoadGraph(roads.nodes[used], renumbered)
