"""Streets that no source holds: along the medial axis of the free space between blocks of buildings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Voronoi, cKDTree
from shapely import STRtree
from shapely.geometry import LineString, Polygon

from mage.scenes.city import RoadGraph, WaterBody
from mage.scenes.sources.procedural.network import component_labels, road_graph, subgraph
from mage.scenes.style import Streets

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SPACING = 2.5  # metres between the points that stand for a block's outline
LEAST_PAVEMENT = 0.9  # metres kept free between a carriageway and any wall
TOWN_GAP = 60.0  # metres: gaps up to twice this lie within the town
FRINGE = 9.0  # metres from the outermost walls to the street around the town
APART, LONE = 24.0, 700.0  # metres of gap beyond which, and square metres up to which, a few houses stand alone
SPUR = 28.0  # metres; shorter dead ends are not streets
NEAR = 11.0  # metres; crossings closer than this are one
SHARE = 0.5  # of the width between walls that is carriageway


@dataclass(frozen=True, slots=True, eq=False)
class _Skeleton:
    """Ridges between blocks: points (n, 2), links (m, 2) into them."""

    points: Floats
    links: Ints


def infer_streets(
    footprints: Sequence[shapely.Geometry],
    water: Sequence[WaterBody],
    domain: Polygon,
    streets: Streets,
) -> RoadGraph:
    """Streets between the blocks that ``footprints`` form, around the town, and out of it to the domain's border.

    Blocks are footprints closed over gaps too narrow for a street, and joined to their nearest neighbours until each
    has enough built-up ground. Streets run where two blocks (or a block and the open country, or water) are equally
    far; carriageways take half of the free width within the style's bounds, and never come closer to a wall than
    0.9 m. All edges are marked as inferred.
    """
    walls, shores = np.array(footprints, dtype=object), [w.outline for w in water]
    obstacles = STRtree([*walls, *shores])
    blocks = shapely.get_parts(_closed(walls, streets.width[0] / 2 + LEAST_PAVEMENT))
    lone = _standing_alone(blocks)
    town = _town(blocks[~lone])
    skeleton = _ridges(blocks, lone, shores, town, streets)
    chains = _simplified(_chains(skeleton))
    lines, widths = _fitted(chains, obstacles, streets)
    roads = road_graph(lines, widths, inferred=True)
    roads = _pruned(_joined(roads, obstacles, streets))
    return _with_exits(roads, town, domain, obstacles, streets)


def _closed(walls: NDArray[np.object_], reach: float) -> shapely.Geometry:
    """Footprints closed over gaps of twice ``reach``, courtyards filled."""
    grown = shapely.union_all(shapely.buffer(walls, reach, quad_segs=2, join_style="mitre", mitre_limit=1.5))
    shrunk = shapely.get_parts(shapely.buffer(grown, -reach, quad_segs=2, join_style="mitre", mitre_limit=1.5))
    filled = [Polygon(p.exterior) for p in shrunk if p.area > 1]
    return shapely.union_all(filled or [Polygon(p.exterior) for p in shapely.get_parts(grown)])


def _standing_alone(blocks: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Which blocks (n,) are of a few houses away from all others: no street goes round those. None, if all are."""
    clusters = shapely.get_parts(shapely.union_all(shapely.buffer(blocks, APART / 2, quad_segs=4)))
    block, cluster = STRtree(clusters).query(shapely.point_on_surface(blocks), predicate="within")
    own = np.zeros(len(blocks), np.int64)
    own[block] = cluster
    lone = np.bincount(own, weights=shapely.area(blocks), minlength=len(clusters))[own] < LONE
    return np.zeros(len(blocks), bool) if lone.all() else lone


def _town(blocks: NDArray[np.object_]) -> shapely.Geometry:
    """The built-up area: blocks closed over wide gaps, with a soft outline."""
    grown = shapely.union_all(shapely.buffer(blocks, TOWN_GAP, quad_segs=6))
    parts = shapely.get_parts(shapely.buffer(grown, -TOWN_GAP, quad_segs=6))
    filled = [Polygon(p.exterior) for p in parts if p.geom_type == "Polygon" and not p.is_empty]
    return shapely.union_all(filled)


def _ridges(
    blocks: NDArray[np.object_],
    lone: NDArray[np.bool_],
    shores: list[shapely.Geometry],
    town: shapely.Geometry,
    streets: Streets,
) -> _Skeleton:
    """The Voronoi ridges of points on the blocks' outlines, on the water's and on a line around the town, kept where
    they part two different blocks.
    """
    around = shapely.boundary(town.buffer(2 * FRINGE, quad_segs=6))
    sites = [*shapely.boundary(blocks), *[s.boundary for s in shores], around]
    points, owner = shapely.get_coordinates(shapely.segmentize(sites, SPACING), return_index=True)
    points, first = np.unique(np.round(points, 3), axis=0, return_index=True)
    owner = owner[first]
    diagram = Voronoi(points)
    pairs = diagram.ridge_points
    links = np.array(diagram.ridge_vertices)
    gap = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    # fringe, water and what stands alone are in one group: no street runs between a shore and the open country
    group = np.concatenate([np.where(lone, len(blocks), np.arange(len(blocks))), np.full(len(shores) + 1, len(blocks))])
    group = _merged(group[owner[pairs]], gap, shapely.area(blocks), streets.smallest_block)[group]
    keep = (group[owner[pairs[:, 0]]] != group[owner[pairs[:, 1]]]) & (links >= 0).all(axis=1)
    used, index = np.unique(links[keep], return_inverse=True)
    return _Skeleton(diagram.vertices[used], index.reshape(-1, 2).astype(np.int64))


def _merged(pairs: Ints, gap: Floats, area: Floats, smallest: float) -> Ints:
    """New numbers of blocks after joining small ones to their nearest neighbours, nearest first, (blocks + 1,).

    The last number stands for the country around and is never joined.
    """
    outside = len(area)
    parent, size = list(range(outside + 1)), [*area.tolist(), np.inf]

    def _root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    inner = (pairs[:, 0] != pairs[:, 1]) & (pairs < outside).all(axis=1)
    order = np.flatnonzero(inner)[np.argsort(gap[inner], kind="stable")]
    # the narrowest meeting of each two blocks decides
    ends = np.sort(pairs[order], axis=1)
    _, first = np.unique(ends, axis=0, return_index=True)
    for a, b in ends[np.sort(first)].tolist():
        a, b = _root(a), _root(b)
        if a != b and min(size[a], size[b]) < smallest:
            parent[b], size[a] = a, size[a] + size[b]
    return np.array([_root(i) for i in range(outside + 1)])


def _chains(skeleton: _Skeleton) -> list[Floats]:
    """The skeleton as polylines between its junctions and ends; short dead ends are cut off, twice over."""
    chains = _walk(skeleton.points, skeleton.links)
    for _ in range(2):
        degree = _degrees(chains)
        kept = [c for c in chains if not _is_spur(c, degree)]
        if len(kept) == len(chains):
            break
        points = np.concatenate(kept) if kept else np.zeros((0, 2))
        nodes, index = np.unique(points, axis=0, return_inverse=True)
        starts = np.cumsum([0] + [len(c) for c in kept])
        index = index.reshape(-1)
        links = [np.stack([index[a : b - 1], index[a + 1 : b]], 1) for a, b in pairwise(starts)]
        chains = _walk(nodes, np.concatenate(links)) if kept else []
    return chains


def _degrees(chains: list[Floats]) -> dict[tuple[float, float], int]:
    degree: dict[tuple[float, float], int] = defaultdict(int)
    for chain in chains:
        for end in (chain[0], chain[-1]):
            degree[end[0], end[1]] += 1
    return degree


def _is_spur(chain: Floats, degree: dict[tuple[float, float], int]) -> bool:
    ends = [degree[xy[0], xy[1]] for xy in (chain[0], chain[-1])]
    return min(ends) == 1 and max(ends) > 1 and _length(chain) < SPUR


def _length(chain: Floats) -> float:
    return float(np.linalg.norm(np.diff(chain, axis=0), axis=1).sum())


def _walk(points: Floats, links: Ints) -> list[Floats]:
    """Polylines through all links between points that are not met by exactly two; closed loops start anywhere."""
    around: dict[int, list[int]] = defaultdict(list)
    for i, (a, b) in enumerate(links.tolist()):
        around[a].append(i)
        around[b].append(i)
    done = np.zeros(len(links), bool)
    ends = links.tolist()

    def _follow(start: int, link: int) -> list[int]:
        path, here = [start], start
        while not done[link]:
            done[link] = True
            a, b = ends[link]
            here = b if a == here else a
            path.append(here)
            if len(around[here]) != 2:
                break
            first, second = around[here]
            link = second if first == link else first
        return path

    junctions = sorted(i for i, near in around.items() if len(near) != 2)
    paths = [_follow(start, link) for start in junctions for link in around[start] if not done[link]]
    paths += [_follow(ends[link][0], link) for link in range(len(ends)) if not done[link]]
    return [points[path] for path in paths]


def _simplified(chains: list[Floats]) -> list[Floats]:
    """Chains whose close junctions are one, at their middle; a chain within such a junction is gone."""
    if not chains:
        return []
    ends = np.array([(c[0], c[-1]) for c in chains])
    nodes, index = np.unique(ends.reshape(-1, 2), axis=0, return_inverse=True)
    index = index.reshape(-1, 2)
    short = np.array([_length(c) < NEAR for c in chains])
    graph = coo_matrix((np.ones(short.sum()), tuple(index[short].T)), shape=(len(nodes),) * 2)
    label = connected_components(graph, directed=False)[1]
    size = np.bincount(label)
    middle = np.stack([np.bincount(label, weights=nodes[:, k]) / size for k in range(2)], axis=1)
    result = []
    for chain, (u, v), brief in zip(chains, label[index], short, strict=True):
        if not brief and not (u == v and _length(chain) < 60):
            result.append(np.concatenate([middle[[u]], chain[1:-1], middle[[v]]]))
    return result


def _fitted(chains: list[Floats], obstacles: STRtree, streets: Streets) -> tuple[list[Floats], list[float]]:
    """Smooth lines and their carriageway widths; a line that smoothing brings too near a wall is smoothed less."""
    lines, widths = [], []
    least = streets.width[0] / 2 + LEAST_PAVEMENT
    for chain in chains:
        # a smoother line may come nearer to walls, but not so near that the street has to be much narrower
        wanted = max(least - 0.4, 0.75 * min(_room(chain, obstacles), 12.0))
        for strength in (30.0, 14.0, 6.0, 2.0, 0.0):
            line = _smoothed(chain, strength)
            room = _room(line, obstacles)
            if room >= (wanted if strength > 0 else least - 0.4):
                lines.append(line)
                widths.append(_width(room, streets))
                break
    return lines, widths


def _width(room: float, streets: Streets) -> float:
    """Carriageway for walls at ``room`` metres from the axis; in wide spaces it is an ordinary street again."""
    low, high = streets.width
    wanted = low + (high - low) * 0.3 if room > 22 else float(np.clip(2 * room * SHARE, low, high))
    return round(min(wanted, 2 * (room - LEAST_PAVEMENT + 0.4)), 2)


def _smoothed(chain: Floats, strength: float) -> Floats:
    """The chain resampled every 2 m and averaged over about ``strength`` metres, ends held, vertices thinned."""
    line = LineString(chain)
    count = max(2, int(line.length / 2.0))
    points = shapely.get_coordinates(
        shapely.line_interpolate_point(line, np.linspace(0, 1, count + 1), normalized=True)
    )
    if strength > 0:
        # odd reflection about the ends keeps them where they are
        pad = min(len(points) - 1, int(2 * strength))
        before, after = 2 * points[0] - points[pad:0:-1], 2 * points[-1] - points[-2 : -pad - 2 : -1]
        smooth = gaussian_filter1d(np.concatenate([before, points, after]), strength / 2, axis=0, mode="nearest")
        points = np.concatenate([points[:1], smooth[pad + 1 : pad + len(points) - 1], points[-1:]])
    return shapely.get_coordinates(LineString(points).simplify(0.25))


def _room(line: Floats, obstacles: STRtree) -> float:
    """Distance from a line to the nearest wall or shore."""
    course = LineString(line)
    _, distance = obstacles.query_nearest(course, return_distance=True)
    return float(distance.min()) if len(distance) else np.inf


def _pruned(roads: RoadGraph) -> RoadGraph:
    """Without short dead ends and without pieces of network below 40 m (unless there is nothing else)."""
    for _ in range(3):
        if not roads.edges:
            return roads
        degree = np.bincount([i for e in roads.edges for i in (e.u, e.v)])
        spur = [min(degree[e.u], degree[e.v]) == 1 and e.line.length < SPUR for e in roads.edges]
        label = component_labels(roads)[[e.u for e in roads.edges]]
        total = np.bincount(label, weights=[e.line.length for e in roads.edges])
        keep = ~np.array(spur) & (total[label] >= min(40.0, total.max()))
        if keep.all() or not keep.any():
            break
        roads = subgraph(roads, keep)
    return roads


def _joined(roads: RoadGraph, obstacles: STRtree, streets: Streets) -> RoadGraph:
    """Parts of the network joined by straight streets, shortest first, wherever nothing stands between two nodes."""
    if not roads.edges:
        return roads
    label = component_labels(roads)
    lines = [shapely.get_coordinates(e.line) for e in roads.edges]
    widths = [e.width for e in roads.edges]
    for i, j in _near_pairs(roads.nodes, label):
        if label[i] == label[j]:
            continue
        link = roads.nodes[[i, j]]
        room = _room(link, obstacles)
        if room > streets.width[0] / 2 + 1.0:
            lines.append(link)
            widths.append(_width(room, streets))
            label = np.where(label == label[j], label[i], label)
    return road_graph(lines, widths, inferred=True)


def _near_pairs(nodes: Floats, label: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Pairs of nodes of different parts, among each node's 40 nearest, by distance."""
    if label.max() == 0:
        return []
    distance, near = cKDTree(nodes).query(nodes, k=min(40, len(nodes)))
    first = np.repeat(np.arange(len(nodes)), near.shape[1])
    distance, second = distance.ravel(), near.ravel()
    apart = (label[first] != label[second]) & (first < second) & (distance > 1)
    order = np.flatnonzero(apart)[np.argsort(distance[apart], kind="stable")]
    return list(zip(first[order].tolist(), second[order].tolist(), strict=True))


def _with_exits(
    roads: RoadGraph, town: shapely.Geometry, domain: Polygon, obstacles: STRtree, streets: Streets
) -> RoadGraph:
    """Streets that lead from the fringe straight out to the domain's border and beyond it, at least 110 m apart."""
    if not roads.edges:
        return roads
    lines = [shapely.get_coordinates(e.line) for e in roads.edges]
    widths = [e.width for e in roads.edges]
    rim = shapely.distance(shapely.points(roads.nodes), domain.exterior)
    near_rim = np.argsort(rim, kind="stable")
    existing, taken = STRtree([e.line for e in roads.edges]), np.zeros((0, 2))
    room_needed = streets.width[0] / 2 + 3.0
    for i in near_rim.tolist():
        here = roads.nodes[i]
        if len(taken) and np.linalg.norm(taken - here, axis=1).min() < 110:
            continue
        way = _way_out(here, town, domain)
        if way is None or _room(way, obstacles) < room_needed:
            continue
        beyond = shapely.get_parts(LineString(way).difference(shapely.Point(here).buffer(2.0)))
        if len(existing.query(shapely.union_all(beyond), "intersects")):
            continue
        taken = np.concatenate([taken, here[None]])
        lines.append(way)
        widths.append(_width(30.0, streets))
    return road_graph(lines, widths, inferred=True)


def _way_out(here: Floats, town: shapely.Geometry, domain: Polygon) -> Floats | None:
    """A line from a node on the fringe straight away from the town to the domain's border, or None from within."""
    point = shapely.Point(here)
    if town.distance(point) < 0.4 * FRINGE:
        return None
    foot = shapely.get_coordinates(shapely.shortest_line(town, point))[0]
    out = (here - foot) / np.linalg.norm(here - foot)
    far = LineString([here, here + out * (domain.length + 1)])
    crossing = far.intersection(domain)
    if crossing.length < 5:
        return None
    return shapely.get_coordinates(crossing)[[0, -1]]
