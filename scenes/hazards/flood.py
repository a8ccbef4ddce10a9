"""Flood: a level surface that fills the ground wherever water can come from a river or through a breach.

Water arrives at a vertex of the terrain at the lowest level that overtops some path to it (:func:`arrival_levels`),
along the edges of the triangles that are rendered; at a level, wet is what it arrives at below that level. Buildings
do not stand in its way.
"""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from mage.scenes.city import City
from mage.scenes.errors import HazardError
from mage.scenes.grades import jds_of_flood
from mage.scenes.grid import Grid
from mage.scenes.hazards.vulnerability import flood_loss
from mage.scenes.impact import Impact
from mage.scenes.mesh import Surface
from mage.scenes.parts import FloodPart
from mage.scenes.sources.ground.relief import normal_levels
from mage.scenes.terrain import Terrain, depth_at, extended_levels

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

WALL_SPACING, WALL_DISTANCE, ROAD_SPACING = 1.0, 0.5, 2.0  # metres between points, and from a wall to its points
WET = 0.05  # metres at a wall from which on it counts as touched
CAR_STOPS, TRUCK_STOPS = 0.3, 0.5  # metres of standing water that stop an ordinary car and an emergency vehicle
RAMP = 8.0  # metres of a bridge beyond the water's edge, where the terrain under it is the river's bank


def arrival_levels(city: City) -> Floats:
    """The lowest flood level above which water reaches each vertex of the terrain, float64 (rows, columns), metres.

    Sources are the vertices of permanent water, from their normal level on. In a city where no vertex lies in permanent
    water, it is a breach at the lowest vertex of the terrain's border. One city's arrival levels serve any number of
    floods.

    Raises:
        HazardError: the city has no terrain.
    """
    terrain = _terrain(city)
    start, _ = _source(terrain, normal_levels(terrain, city.water))
    return lowest_passes(terrain.heights, start)


def flood(city: City, *, level: float, region: str = "europe", arrival: Floats | None = None) -> Impact:
    """Still water up to ``level`` metres (in the city's vertical datum) wherever it can reach.

    Depths, wet shares and road depths are over ground that is dry in normal times: permanent water is left out, so that
    a bridge is not blocked by the river that it crosses. Points at a neighbour's wall are left out as well.

    No building gains an EMS-98 grade. Clausen and Clark's criterion (1990), as later literature quotes it, takes the
    product of depth and velocity: below about 3 m2/s only wetting, above 7 m2/s and 2 m/s collapse; still water has
    none. What annotators grade is the water around a building: ``jds``.

    A level below all sources gives an impact without water.

    Args:
        city: a completed city.
        level: of the water surface.
        region: of the depth-damage curve, see :func:`mage.scenes.hazards.vulnerability.flood_loss`.
        arrival: :func:`arrival_levels` of this city, if at hand.

    Raises:
        HazardError: no terrain, a level that is not finite, or an unknown region.
    """
    terrain = _terrain(city)
    if not math.isfinite(level):
        raise HazardError("a flood needs a level", expected="metres", found=f"{level}")
    arrival = arrival_levels(city) if arrival is None else arrival
    if arrival.shape != terrain.heights.shape:
        raise HazardError(
            "arrival levels of another city", expected=f"{terrain.heights.shape}", found=f"{arrival.shape}"
        )
    return _strike(city, float(level), region, arrival, normal_levels(terrain, city.water))


def sample_flood(
    rng: np.random.Generator, city: City, part: FloodPart, within: Grid, *, arrival: Floats | None = None
) -> Impact:
    """A flood whose height is drawn: by the least share of a tile's open ground under water, or by its stage.

    Open are the terrain's vertices in ``within`` that lie neither in permanent water nor under a building. The level is
    the one that wets the share nearest to the drawn one plus a drawn rise, without which flat ground would only ever be
    covered by centimetres; no higher than ``part.highest`` above the source.

    Args:
        rng: gives one number for a stage, two for a share.
        city: a completed city.
        part: what the recipe says.
        within: the tile, local metres.
        arrival: :func:`arrival_levels` of this city, if at hand.

    Raises:
        HazardError: as :func:`flood`.
    """
    terrain = _terrain(city)
    arrival = arrival_levels(city) if arrival is None else arrival
    normal = normal_levels(terrain, city.water)
    base = float(arrival.min())
    if part.stage is not None:
        level = base + float(rng.uniform(*part.stage))
    else:
        share = float(rng.uniform(*part.share))
        ground = arrival[_open_ground(city, terrain, normal, within)]
        level = level_for_share(ground, share) if len(ground) else base + share * part.highest
        level += float(rng.uniform(*part.rise))
    return _strike(city, min(level, base + part.highest), part.region, arrival, normal)


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


def level_for_share(arrival: Floats, share: float) -> float:
    """The level that wets the share of these vertices nearest to ``share``, given their arrival levels (n,), n > 0."""
    steps, counts = np.unique(arrival, return_counts=True)
    wet = np.concatenate([[0], np.cumsum(counts)]) / len(arrival)
    step = int(np.abs(wet - share).argmin())
    if step == 0:
        return float(steps[0])
    if step == len(steps):
        return float(steps[-1]) + WET
    # half way to where the next vertex is wetted, but above the last one that shall be
    return float(max((steps[step - 1] + steps[step]) / 2, np.nextafter(steps[step - 1], np.inf)))


def _terrain(city: City) -> Terrain:
    if city.terrain is None:
        raise HazardError(f"the city {city.name} has no terrain to flood", expected="a completed city")
    return city.terrain


def _source(terrain: Terrain, normal: Floats) -> tuple[Floats, str]:
    """Level at each vertex that water comes from, NaN elsewhere, and whether that is a ``river`` or a ``breach``."""
    permanent = normal > terrain.heights
    if permanent.any():
        return np.where(permanent, normal, np.nan), "river"
    border = np.full(terrain.heights.shape, np.inf)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        border[edge] = terrain.heights[edge]
    start = np.full(border.shape, np.nan)
    lowest = np.unravel_index(border.argmin(), border.shape)
    start[lowest] = border[lowest]
    return start, "breach"


def _edges(shape: tuple[int, ...]) -> tuple[Indices, Indices]:
    """Both ends of every edge of the triangulated lattice: along rows, along columns, north-west to south-east."""
    index = np.arange(math.prod(shape)).reshape(shape)
    heads = (index[:, :-1], index[:-1], index[:-1, :-1])
    tails = (index[:, 1:], index[1:], index[1:, 1:])
    return np.concatenate([h.ravel() for h in heads]), np.concatenate([t.ravel() for t in tails])


def _strike(city: City, level: float, region: str, arrival: Floats, normal: Floats) -> Impact:
    terrain = city.ground
    levels = extended_levels(terrain, np.where(arrival < level, level, np.nan))
    depth, wet_share = _at_walls(city, levels, normal)
    road_depth = _on_roads(city, levels, normal)
    unharmed = np.zeros(len(city.buildings), np.uint8)
    return Impact(
        hazard="flood",
        parameters={
            "level": level,
            "source": _source(terrain, normal)[1],
            "region": region,
            "stage": level - float(arrival.min()),
        },
        intensity=depth,
        p_grade=np.eye(6)[unharmed],
        ems98=unharmed,
        visible=unharmed.copy(),
        jds=jds_of_flood(wet_share, _roofs_covered(city, levels, depth)),
        loss=flood_loss(depth, [b.occupancy for b in city.buildings], region),
        wet_share=wet_share,
        levels=levels,
        road_depth=road_depth,
        car=road_depth < CAR_STOPS,
        truck=road_depth < TRUCK_STOPS,
    )


def _at_walls(city: City, levels: Floats, normal: Floats) -> tuple[Floats, Floats]:
    """Highest depth around each building (b,) and the share of its outline with water at it (b,)."""
    xy, owner = _wall_points(city, normal)
    depth, count = depth_at(city.ground, levels, xy), len(city.buildings)
    highest = np.zeros(count)
    np.maximum.at(highest, owner, depth)
    points = np.bincount(owner, minlength=count)
    wet = np.bincount(owner[depth > WET], minlength=count)
    return highest, wet / np.maximum(points, 1)


def _wall_points(city: City, normal: Floats) -> tuple[Floats, Indices]:
    """Points (n, 2) just outside the buildings' walls, and the building (n,) each belongs to.

    Without those in permanent water, and without those inside a neighbour unless all of a building's are.
    """
    footprints = _footprints(city)
    parts, building = shapely.get_parts(shapely.buffer(footprints, WALL_DISTANCE), return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    points, ring = _along(rings, WALL_SPACING, closed=True)
    owner = building[part][ring]
    at, inside = shapely.STRtree(footprints).query(points, predicate="within")
    enclosed = np.zeros(len(points), bool)
    enclosed[at[inside != owner[at]]] = True
    free = np.bincount(owner[~enclosed], minlength=len(footprints)) > 0
    xy = shapely.get_coordinates(points)
    keep = (~enclosed | ~free[owner]) & (depth_at(city.ground, normal, xy) == 0)
    return xy[keep], owner[keep]


def _on_roads(city: City, levels: Floats, normal: Floats) -> Floats:
    """Deepest water on each road edge (e,), where it is not a bridge: those stand above the terrain."""
    lines = np.array([edge.line for edge in city.roads.edges], dtype=object)
    points, owner = _along(lines, ROAD_SPACING, closed=False)
    xy = shapely.get_coordinates(points)
    bridge = _bridges(depth_at(city.ground, normal, xy) > 0, owner)
    deepest = np.zeros(len(lines))
    np.maximum.at(deepest, owner, np.where(bridge, 0.0, depth_at(city.ground, levels, xy)))
    return deepest


def _bridges(over_water: NDArray[np.bool_], owner: Indices) -> NDArray[np.bool_]:
    """Points of roads over permanent water, and those up to the ramp's length before and behind it on the same edge."""
    bridge = over_water.copy()
    for gap in range(1, min(math.ceil(RAMP / ROAD_SPACING) + 1, len(owner))):
        same = owner[gap:] == owner[:-gap]
        bridge[gap:] |= over_water[:-gap] & same
        bridge[:-gap] |= over_water[gap:] & same
    return bridge


def _along(lines: NDArray[np.object_], spacing: float, *, closed: bool) -> tuple[NDArray[np.object_], Indices]:
    """Evenly spaced points at most ``spacing`` metres apart on lines, and the line that each lies on.

    Both ends of an open line take part; a closed one's are the same point, which is taken once.
    """
    length = shapely.length(lines)
    pieces = np.maximum(np.ceil(length / spacing).astype(np.int64), 1)
    counts = pieces + (not closed)
    owner = np.repeat(np.arange(len(lines)), counts)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    return shapely.line_interpolate_point(lines[owner], step * (length / pieces)[owner]), owner


def _roofs_covered(city: City, levels: Floats, depth: Floats) -> Floats:
    """Share of each roof's area whose middle lies below the water's surface there, (b,)."""
    covered = np.zeros(len(city.buildings))
    for index in np.flatnonzero(depth > 0):
        mesh = city.buildings[index].mesh
        roof = mesh.faces(mesh.surface == Surface.ROOF)
        middle = roof.vertices[roof.triangles].mean(axis=1)
        under = middle[:, 2] < city.ground.sample(middle[:, :2], levels)  # NaN, where there is no water, is not
        area = roof.areas
        covered[index] = area[under].sum() / max(area.sum(), 1e-9)
    return covered


def _open_ground(city: City, terrain: Terrain, normal: Floats, within: Grid) -> NDArray[np.bool_]:
    """Vertices (rows, columns) of a tile's ground that may fall dry or be flooded: no permanent water, no building."""
    west, south, east, north = within.bounds
    x, y = terrain.axes()
    inside = ((y >= south) & (y <= north))[:, None] & ((x >= west) & (x <= east))
    candidates = np.flatnonzero(inside & ~(normal > terrain.heights))
    built, _ = shapely.STRtree(_footprints(city)).query(
        shapely.points(terrain.points()[candidates]), predicate="within"
    )
    ground = np.zeros(terrain.heights.shape, bool)
    ground.flat[np.setdiff1d(candidates, candidates[built])] = True
    return ground


def _footprints(city: City) -> NDArray[np.object_]:
    return np.array([building.footprint for building in city.buildings], dtype=object)
