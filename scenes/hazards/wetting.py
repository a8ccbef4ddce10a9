"""What water that stands at given levels does to a city's buildings and streets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.scenes.city import City
from mage.scenes.grades import jds_of_flood
from mage.scenes.hazards.fragility import drawn_grades
from mage.scenes.hazards.vulnerability import flood_loss
from mage.scenes.impact import Impact
from mage.scenes.mesh import Surface
from mage.scenes.sources.ground.relief import normal_levels
from mage.scenes.strike import Collapse, Strike, untouched
from mage.scenes.terrain import Terrain, depth_at

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


WALL_SPACING, WALL_DISTANCE, ROAD_SPACING = 1.0, 0.5, 2.0  # metres between points, and from a wall to its points
WET = 0.05  # metres at a wall from which on it counts as touched
CAR_STOPS, TRUCK_STOPS = 0.3, 0.5  # metres of standing water that stop an ordinary car and an emergency vehicle
RAMP = 8.0  # metres of a bridge beyond the water's edge, where the terrain under it is the river's bank
PARTIAL, TOTAL, FAST = 3.0, 7.0, 2.0  # m2/s, m2/s and m/s, see :func:`impact_of`
# P(EMS-98 grade 0-5) of a building that running water damages in part, and of one that it destroys
PARTLY, WHOLLY = (0.0, 0.0, 0.3, 0.5, 0.2, 0.0), (0.0, 0.0, 0.0, 0.0, 0.3, 0.7)


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """How fast a flood ran: highest speed (m/s), highest product of depth and speed (m2/s) and radians anticlockwise
    from east that it ran to, each (rows, columns) on the vertices of ``bed``.
    """

    bed: Terrain
    speed: Floats
    force: Floats
    heading: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Waters:
    """A flood's water, on the vertices (rows, columns) of the city's terrain.

    Attributes:
        highest: levels of the flood at its peak, metres, NaN where dry, as
            :func:`mage.scenes.terrain.extended_levels` gives them.
        levels: those at the moment of the image.
        parameters: of the flood, JSON types only.
        flow: how fast it ran, None where the model does not know.
    """

    highest: Floats
    levels: Floats
    parameters: Mapping[str, float | int | str | None]
    flow: Flow | None = None


def impact_of(city: City, waters: Waters, region: str = "europe") -> Impact:
    """What a flood does to a city.

    Depths, wet shares and road depths are over ground that is dry in normal times: permanent water is left out, so that
    a bridge is not blocked by the river that it crosses. Points at a neighbour's wall are left out as well. Losses,
    grades and what walls have been touched by follow the peak; who can pass a street, the water at the image.

    Still water gives no building an EMS-98 grade. Running water does by Clausen and Clark's criterion (1990), as later
    literature quotes it (the paper itself was not at hand), by the product of depth and velocity: below 3 m2/s only
    wetting; from 3 on partial damage and from 7 on collapse, both with at least 2 m/s. Which grades that makes how
    likely (:data:`PARTLY`, :data:`WHOLLY`) is this project's reading; ``ems98`` is the likeliest. What annotators grade
    is the water, or the mud that it left, around a building: ``jds`` goes by the walls wet at the peak, and by the roof
    under water at the image.

    Args:
        city: completed.
        waters: where it stood and stands.
        region: of the depth-damage curve, see :func:`mage.scenes.hazards.vulnerability.flood_loss`.

    Raises:
        HazardError: an unknown region.
    """
    asked = _asked_in(city)
    # where water that has fallen is carried over a shore that it did not have before
    highest = np.fmax(waters.highest, waters.levels)
    xy, owner = asked.walls
    depth, wet_share = _at_walls(city, highest, xy, owner)
    at_image, _ = _at_walls(city, waters.levels, xy, owner)
    road_depth, road_now = (_on_roads(city, levels, asked) for levels in (highest, waters.levels))
    velocity, p_grade = _swept_along(waters.flow, depth, xy, owner)
    return Impact(
        hazard="flood",
        parameters={**waters.parameters, "region": region},
        intensity=depth,
        p_grade=p_grade,
        ems98=p_grade.argmax(axis=1).astype(np.uint8),
        visible=np.zeros(len(depth), np.uint8),
        jds=jds_of_flood(wet_share, _roofs_covered(city, waters.levels, at_image, asked.roofs)),
        loss=flood_loss(depth, [b.occupancy for b in city.buildings], region),
        wet_share=wet_share,
        levels=waters.levels,
        road_depth=road_depth,
        car=road_now < CAR_STOPS,
        truck=road_now < TRUCK_STOPS,
        highest=highest,
        at_image=at_image,
        road_at_image=road_now,
        velocity=velocity,
        speed=_speed_on(city.ground, waters),
    )


def sample_impact(rng: np.random.Generator, city: City, waters: Waters, region: str = "europe") -> Impact:
    """:func:`impact_of` with a grade drawn for every building that running water damages; one number each is drawn only
    where the model knows how fast the water ran.
    """
    impact = impact_of(city, waters, region)
    if waters.flow is None:
        return impact
    return replace(impact, ems98=drawn_grades(impact.p_grade, rng.random(len(impact.ems98))))


def torrent(city: City, waters: Waters, impact: Impact) -> Strike | None:
    """What running water breaks, as a strike whose geometry can be built: a corner gone, or a heap; None where nothing
    breaks. Its parameters are left to the flood's.
    """
    if waters.flow is None or not impact.ems98.any():
        return None
    middles = shapely.get_coordinates(shapely.centroid(_footprints(city)))
    kinds = np.zeros(6, np.uint8)
    kinds[3:] = Collapse.CORNER, Collapse.CORNER, Collapse.HEAP
    bed, heading = waters.flow.bed, waters.flow.heading
    return replace(
        untouched(city, "flood"),
        intensity=impact.intensity,
        p_grade=impact.p_grade,
        ems98=impact.ems98,
        loss=np.array([0.0, 0.0, 0.0, 0.4, 0.8, 1.0])[impact.ems98],
        collapse=kinds[impact.ems98],
        direction=np.arctan2(bed.sample(middles, np.sin(heading)), bed.sample(middles, np.cos(heading))),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """Where a city is asked for water.

    Attributes:
        walls: points (n, 2) of :func:`_wall_points` and the building (n,) of each.
        roads: points (k, 2) along the streets, the road edge (k,) of each, and which are on bridges.
        roofs: middles (f, 3) of the roofs' faces, square metres (f,) and building (f,) of each.
    """

    walls: tuple[Floats, Indices]
    roads: tuple[Floats, Indices, NDArray[np.bool_]]
    roofs: tuple[Floats, Floats, Indices]


@lru_cache(maxsize=1)
def _asked_in(city: City) -> _Asked:
    """Remembered: one city meets many floods."""
    normal = normal_levels(city.ground, city.water)
    points, edge = _along(np.array([e.line for e in city.roads.edges], dtype=object), ROAD_SPACING, closed=False)
    xy = shapely.get_coordinates(points)
    bridge = _bridges(depth_at(city.ground, normal, xy) > 0, edge)
    return _Asked(_wall_points(city, normal), (xy, edge, bridge), _roof_faces(city))


def _roof_faces(city: City) -> tuple[Floats, Floats, Indices]:
    roofs = [building.mesh.faces(building.mesh.surface == Surface.ROOF) for building in city.buildings]
    middles = [roof.vertices[roof.triangles].mean(axis=1) for roof in roofs]
    areas = [roof.areas for roof in roofs]
    owner = np.repeat(np.arange(len(roofs)), [len(roof) for roof in roofs])
    return np.concatenate([np.zeros((0, 3)), *middles]), np.concatenate([np.zeros(0), *areas]), owner


def _swept_along(flow: Flow | None, depth: Floats, xy: Floats, owner: Indices) -> tuple[Floats | None, Floats]:
    """Highest speed at each building's walls (b,), None where unknown, and its P(grade) (b, 6)."""
    p_grade = np.tile(np.eye(6)[0], (len(depth), 1))
    if flow is None:
        return None, p_grade
    speed, force = np.zeros(len(depth)), np.zeros(len(depth))
    np.maximum.at(speed, owner, flow.bed.sample(xy, flow.speed))
    np.maximum.at(force, owner, flow.bed.sample(xy, flow.force))
    speed, force = np.where(depth > 0, speed, 0.0), np.where(depth > 0, force, 0.0)
    p_grade[(force >= PARTIAL) & (speed >= FAST)] = PARTLY
    p_grade[(force >= TOTAL) & (speed >= FAST)] = WHOLLY
    return speed, p_grade


def _speed_on(terrain: Terrain, waters: Waters) -> Floats | None:
    """Highest speed on the terrain's vertices (rows, columns), 0 where no flood came."""
    if waters.flow is None:
        return None
    speed = waters.flow.bed.sample(terrain.points(), waters.flow.speed).reshape(terrain.heights.shape)
    return np.where(np.isfinite(waters.highest), speed, 0.0)


def _at_walls(city: City, levels: Floats, xy: Floats, owner: Indices) -> tuple[Floats, Floats]:
    """Highest depth around each building (b,) and the share of its outline with water at it (b,)."""
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


def _on_roads(city: City, levels: Floats, asked: _Asked) -> Floats:
    """Deepest water on each road edge (e,), where it is not a bridge: those stand above the terrain."""
    xy, edge, bridge = asked.roads
    deepest = np.zeros(len(city.roads.edges))
    np.maximum.at(deepest, edge, np.where(bridge, 0.0, depth_at(city.ground, levels, xy)))
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


def _roofs_covered(city: City, levels: Floats, depth: Floats, roofs: tuple[Floats, Floats, Indices]) -> Floats:
    """Share of each roof's area whose middle lies below the water's surface there, (b,)."""
    middle, area, owner = roofs
    under = middle[:, 2] < city.ground.sample(middle[:, :2], levels)  # NaN, where there is no water, is not
    covered, whole = (np.bincount(owner, weights, len(depth)) for weights in (area * under, area))
    return np.where(depth > 0, covered / np.maximum(whole, 1e-9), 0.0)


def _footprints(city: City) -> NDArray[np.object_]:
    return np.array([building.footprint for building in city.buildings], dtype=object)
