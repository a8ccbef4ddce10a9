"""The middle of streets that a source gives as surfaces: a medial axis, pruned and joined to a routable graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import QhullError, Voronoi
from shapely.geometry import LineString, MultiPolygon, Polygon

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

GAP = 0.3  # metres; surfaces that lie closer than twice this belong together
ISLAND = 30.0  # square metres; traffic passes smaller holes in a surface without a street on each side of them
SPACING = 1.0  # metres between the points of the outline that the axis lies between
SPUR = 8.0  # metres; what reaches less far beyond the street that it leaves is a corner or a bay and no street
CROSSING = 1.0  # of the radius of a junction: as far apart, two junctions are one
NARROW = 0.8  # metres from the axis to the outline; nothing drives where it is less
STEP = 0.05  # metres by which the outline is felt for
MOST_POINTS = 2_000_000  # of an outline; the spacing grows beyond that


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """A piece of the axis between two nodes: its line (k, 2) from node ``u`` to node ``v`` and its width in metres."""

    u: int
    v: int
    line: Floats
    width: float


def centrelines(surface: shapely.Geometry) -> tuple[Floats, list[Axis]]:
    """The graph of a street surface (polygons, local metres): nodes (n, 2) and the axes between them.

    The axis is made of the edges of the Voronoi diagram of points along the outline that lie inside; the nearest
    points of the outline are equally far on both sides of it, which gives the width. Branches into corners and bays
    are pruned, junctions that one crossing is drawn with become one, dead ends go on to the outline.
    """
    whole = _joined(surface)
    points, radius, edges = _skeleton(whole)
    if not len(edges):
        return np.zeros((0, 2)), []
    chains = _pruned(_chains(edges), points, radius)
    chains, points, radius = _contracted(chains, points, radius)
    return _finished(chains, points, radius, whole)


def _joined(surface: shapely.Geometry) -> shapely.Geometry:
    """The surface as one, without the seams between its parts and without small islands."""
    closed = shapely.union_all(shapely.buffer(shapely.get_parts(surface), GAP, join_style="mitre"))
    parts = shapely.get_parts(shapely.buffer(closed, -GAP, join_style="mitre"))
    kept = [
        Polygon(p.exterior, [ring for ring in p.interiors if Polygon(ring).area >= ISLAND])
        for p in parts
        if p.geom_type == "Polygon" and p.area > ISLAND / 2
    ]
    return MultiPolygon(kept).simplify(0.05)


def _skeleton(surface: shapely.Geometry) -> tuple[Floats, Floats, Ints]:
    """Voronoi vertices (n, 2) within the surface, their distance to the outline (n,) and the edges (m, 2) between."""
    nothing = np.zeros((0, 2)), np.zeros(0), np.zeros((0, 2), np.int64)
    if surface.is_empty:
        return nothing
    spacing = max(SPACING, surface.length / MOST_POINTS)
    outline = np.unique(np.round(shapely.get_coordinates(shapely.segmentize(surface.boundary, spacing)), 4), axis=0)
    if len(outline) < 4:
        return nothing
    try:
        diagram = Voronoi(outline)
    except QhullError:  # all points on one line
        return nothing
    ridges = np.asarray(diagram.ridge_vertices, np.int64)
    points = np.asarray(diagram.vertices)
    shapely.prepare(surface)
    inside = shapely.contains_xy(surface, points[:, 0], points[:, 1])
    radius = np.full(len(points), np.inf)
    ends = np.repeat(np.asarray(diagram.ridge_points)[:, 0], 2)
    flat = ridges.ravel()
    bounded = flat >= 0
    radius[flat[bounded]] = np.linalg.norm(points[flat[bounded]] - outline[ends[bounded]], axis=1)
    usable = inside & (radius > NARROW)
    keep = (ridges >= 0).all(axis=1) & usable[ridges].all(axis=1)
    # points on one circle make several vertices in one place
    _, first, place = np.unique(np.round(points, 3), axis=0, return_index=True, return_inverse=True)
    return points[first], radius[first], np.unique(np.sort(place.reshape(-1)[ridges[keep]], axis=1), axis=0)


def _chains(edges: Ints) -> list[list[int]]:
    """Edges joined to chains of vertices between those that do not have two neighbours; rings start anywhere."""
    near: dict[int, list[int]] = defaultdict(list)
    for a, b in edges.tolist():
        if a != b:
            near[a].append(b)
            near[b].append(a)
    chains: list[list[int]] = []
    done: set[tuple[int, int]] = set()
    ends = [n for n, others in near.items() if len(others) != 2]
    for start in [*ends, *near]:
        for following in near[start]:
            if (start, following) in done:
                continue
            chain = [start, following]
            while len(near[chain[-1]]) == 2 and chain[-1] != start:
                one, other = near[chain[-1]]
                chain.append(other if one == chain[-2] else one)
            done.update(pairwise(chain))
            done.update(pairwise(chain[::-1]))
            chains.append(chain)
    return chains


def _length(line: Floats) -> float:
    return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def _pruned(chains: list[list[int]], points: Floats, radius: Floats) -> list[list[int]]:
    """Without branches that end blind and reach less than :data:`SPUR` beyond the disc of the junction they leave.

    All such branches of a round go together: the two into the corners of a dead end leave its axis whole.
    """
    while True:
        degree = _degrees(chains)
        kept = [chain for chain in chains if not _is_spur(chain, degree, points, radius)]
        if len(kept) == len(chains):
            return kept
        chains = _rejoined(kept)


def _is_spur(chain: list[int], degree: dict[int, int], points: Floats, radius: Floats) -> bool:
    blind = [degree[chain[0]] == 1, degree[chain[-1]] == 1]
    if not any(blind):
        return False
    length = _length(points[chain])
    if all(blind):  # a street of its own, however short, unless it is as wide as long
        return bool(length < 2 * radius[chain].max())
    leaf, joint = (chain[0], chain[-1]) if blind[0] else (chain[-1], chain[0])
    return bool(length + radius[leaf] - radius[joint] < SPUR)


def _rejoined(chains: Sequence[Sequence[int]]) -> list[list[int]]:
    """Chains joined again where only two of them are left at a vertex."""
    pairs = [(a, b) for chain in chains for a, b in pairwise(chain)]
    return _chains(np.array(pairs, np.int64).reshape(-1, 2))


def _degrees(chains: Sequence[Sequence[int]]) -> dict[int, int]:
    degree: dict[int, int] = defaultdict(int)
    for chain in chains:
        degree[chain[0]] += 1
        degree[chain[-1]] += 1
    return degree


def _contracted(chains: list[list[int]], points: Floats, radius: Floats) -> tuple[list[list[int]], Floats, Floats]:
    """Chains, vertices and radii where junctions that lie within each other's disc have become one new vertex."""
    degree = _degrees(chains)
    leader = {end: end for end in degree}

    def _find(end: int) -> int:
        while leader[end] != end:
            end = leader[end]
        return end

    for chain in chains:
        a, b = chain[0], chain[-1]
        if min(degree[a], degree[b]) > 2 and _length(points[chain]) < CROSSING * max(radius[a], radius[b]):
            leader[_find(a)] = _find(b)
    groups: dict[int, list[int]] = defaultdict(list)
    for end in degree:
        groups[_find(end)].append(end)
    number = {end: len(points) + k for k, members in enumerate(groups.values()) for end in members}
    middles = [points[members].mean(axis=0) for members in groups.values()]
    points = np.concatenate([points, np.reshape(middles, (-1, 2))])
    radius = np.concatenate([radius, [radius[members].max() for members in groups.values()]])
    moved = [[number[chain[0]], *chain[1:-1], number[chain[-1]]] for chain in chains]
    loops = [chain[0] == chain[-1] and _length(points[chain]) < 4 * radius[chain].max() for chain in moved]
    return _rejoined([chain for chain, loop in zip(moved, loops, strict=True) if not loop]), points, radius


def _finished(
    chains: list[list[int]], points: Floats, radius: Floats, surface: shapely.Geometry
) -> tuple[Floats, list[Axis]]:
    """Smooth lines between the ends of the chains; dead ends moved out to the outline."""
    degree = _degrees(chains)
    number = {end: k for k, end in enumerate(degree)}
    nodes, axes = points[list(degree)], []
    for chain in chains:
        u, v = chain[0], chain[-1]
        line, apart = points[chain], np.ones(len(chain), bool)
        for end in (u, v):
            if degree[end] > 2:  # within a junction the axis bends towards the other streets
                apart &= np.linalg.norm(line - points[end], axis=1) > radius[end]
        inner = np.array(chain)[apart] if apart.any() else np.array([chain[len(chain) // 2]])
        width = 2 * float(np.median(radius[inner]))
        course = _smooth(points[inner])
        for end, towards in ((u, course[::-1]), (v, course)):
            if degree[end] == 1:
                nodes[number[end]] = _outward(towards, 2.4 * float(radius[end]), surface)
        course = np.concatenate([nodes[[number[u]]], course, nodes[[number[v]]]])
        if _length(course) > 0:
            axes.append(Axis(number[u], number[v], shapely.get_coordinates(LineString(course).simplify(0.15)), width))
    return nodes, axes


def _outward(line: Floats, reach: float, surface: shapely.Geometry) -> Floats:
    """Where the end of a line, going on straight, leaves the surface; at most ``reach`` metres further."""
    end = line[-1]
    back = line[np.linalg.norm(line - end, axis=1) >= reach / 2]
    if not len(back):
        return end
    direction = (end - back[-1]) / np.linalg.norm(end - back[-1])
    ray = end + np.arange(0, reach, STEP)[:, None] * direction
    outside = np.flatnonzero(~shapely.contains_xy(surface, ray[:, 0], ray[:, 1]))
    return np.asarray(ray[max(outside[0] - 1, 0)] if len(outside) else ray[-1])


def _smooth(line: Floats) -> Floats:
    """The line as the mean over about ten neighbours: the steps between points of the two outlines go."""
    size = min(9, (len(line) - 1) | 1)
    if size < 3:
        return line
    half = size // 2
    before, after = 2 * line[0] - line[half:0:-1], 2 * line[-1] - line[-2 : -half - 2 : -1]
    padded = np.concatenate([before, line, after])
    return np.column_stack([np.convolve(padded[:, k], np.full(size, 1 / size), "valid") for k in (0, 1)])
