"""Fences, walls and hedges: along the borders between gardens, half-way between neighbouring houses."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import Voronoi
from shapely import STRtree

from mage.scenes.city import Barrier, City
from mage.scenes.sources.living.occupied import Occupied
from mage.scenes.style import Style

Floats = NDArray[np.float64]

SPACING = 3.0  # metres between the points that stand for a wall
REACH = 24.0  # metres from a house that its garden goes at most
CLOSE = 1.1  # metres; a border keeps this from every wall, and from any two walls closer than twice this there is none
SHORTEST = 4.0  # metres of barrier
OFF_STREET = 0.3  # metres
LARGEST = 1500.0  # square metres of buildings that have gardens

# height and width (m) of each kind, as ranges
SIZES = {"fence": ((1.1, 1.9), (0.06, 0.12)), "wall": ((0.9, 2.2), (0.2, 0.35)), "hedge": ((1.0, 2.2), (0.6, 1.3))}


def garden_borders(rng: np.random.Generator, city: City, style: Style, space: Occupied) -> tuple[Barrier, ...]:
    """Barriers between neighbouring gardens by the style's shares: along lines equally far from two houses, within a
    garden's reach of both, cut where they meet a street, water, drive, pool or anything else that is taken.
    """
    details = style.details
    shares = np.array([details.fences, details.walls, details.hedges, 0.0])
    shares[3] = max(1 - shares.sum(), 0.0)
    houses = [b for b in city.buildings if b.footprint.area <= LARGEST]
    if len(houses) < 2 or shares[:3].sum() <= 0:
        return ()
    lines = _between(np.array([b.footprint for b in houses], dtype=object))
    kinds = rng.choice(4, size=len(lines), p=shares / shares.sum())
    drawn = rng.random((len(lines), 2))
    chosen = np.flatnonzero(kinds < 3)
    barriers = []
    for i, line in zip(chosen, _cut(lines[chosen], city, space), strict=True):
        name = ("fence", "wall", "hedge")[kinds[i]]
        height, width = (lo + d * (hi - lo) for (lo, hi), d in zip(SIZES[name], drawn[i], strict=True))
        parts = [p for p in shapely.get_parts(line) if p.geom_type == "LineString" and p.length >= SHORTEST]
        barriers += [Barrier(p, name, round(height, 2), round(width, 2), inferred=True) for p in parts]
    return tuple(barriers)


def _between(walls: NDArray[np.object_]) -> NDArray[np.object_]:
    """For each two neighbouring houses the line half-way between them, within reach of both: (n,), in the order of
    the houses.
    """
    points, owner = shapely.get_coordinates(shapely.segmentize(shapely.boundary(walls), SPACING), return_index=True)
    points, first = np.unique(np.round(points, 3), axis=0, return_index=True)
    owner = owner[first]
    if len(points) < 5:
        return np.zeros(0, dtype=object)
    diagram = Voronoi(points)
    pairs, links = np.sort(owner[diagram.ridge_points], axis=1), np.array(diagram.ridge_vertices)
    keep = (pairs[:, 0] != pairs[:, 1]) & (links >= 0).all(axis=1)
    pairs, links, sites = pairs[keep], links[keep], diagram.ridge_points[keep, 0]
    ends = diagram.vertices[links]
    away = np.linalg.norm(ends - points[sites][:, None], axis=2)
    inside = (away.max(axis=1) <= REACH) & (away.min(axis=1) >= CLOSE)
    found: dict[tuple[int, int], list[Floats]] = defaultdict(list)
    for pair, segment in zip(pairs[inside].tolist(), ends[inside], strict=True):
        found[pair[0], pair[1]].append(segment)
    merged = [shapely.line_merge(shapely.multilinestrings(np.array(found[pair]))) for pair in sorted(found)]
    return np.array(shapely.simplify(np.array(merged, dtype=object), 0.7), dtype=object).reshape(-1)


def _cut(lines: NDArray[np.object_], city: City, space: Occupied) -> list[shapely.Geometry]:
    """The lines less what they must not cross."""
    hedge = max(width for _, (_, width) in SIZES.values()) / 2
    shapes = np.array([*space.solid, *space.paved, *space.laid], dtype=object)
    margin = np.full(len(shapes), OFF_STREET + hedge)
    margin[: len(city.buildings)] = CLOSE - 0.1
    tree = STRtree(shapes)
    result = []
    for line in lines:
        near = np.sort(tree.query(line, predicate="dwithin", distance=CLOSE))
        grown = shapely.buffer(shapes[near], margin[near], quad_segs=2)
        result.append(line.difference(shapely.union_all(grown)) if len(near) else line)
    return result
