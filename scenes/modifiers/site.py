"""A struck building and what its debris can fall upon."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon

from mage.scenes.city import Building, City
from mage.scenes.mesh import Mesh
from mage.scenes.strike import Burn, Collapse, Strike
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]

# Reach of debris over height of building, at heights in metres: doi:10.1155/2020/7034517, table 7. Across the long
# sides (long side parallel to the road) and across the short ones.
_HEIGHTS = (0.0, 24.0, 54.0, 100.0)
_LONG_SIDE = (2 / 3, 2 / 3, 1 / 2, 1 / 2)
_SHORT_SIDE = (0.5, 0.5, 0.3, 0.25)

GUTTED = 0.95  # share of the deck from which on a burnt building has no roof at all
LOW = 0.5  # debris lands on roofs up to this share of the building's height, and stops at higher ones


@dataclass(frozen=True)
class Site:
    """One building, the ground and its neighbours.

    Attributes:
        building: as it stood.
        terrain: the ground.
        direction: radians from east, where it falls to.
        others: footprints near it and, for each, its mesh, or None where it fell as well.
        notes: what could not be built here as it was struck; filled while it is being built.
    """

    building: Building
    terrain: Terrain
    direction: float
    others: tuple[tuple[Polygon | MultiPolygon, Mesh | None], ...] = ()
    notes: set[str] = field(default_factory=set, compare=False)

    @cached_property
    def plan(self) -> Polygon | MultiPolygon:
        """The footprint without details under 0.3 m."""
        simple = self.building.footprint.simplify(0.3)
        return simple if simple.is_valid and simple.area > 0 else self.building.footprint

    @cached_property
    def foot(self) -> float:
        """Height of the ground at the walls, metres."""
        ring = shapely.get_coordinates(shapely.boundary(self.plan))
        low, high = self.building.mesh.bounds
        return float(np.clip(np.median(self.terrain.sample(ring)), low[2], max(low[2], high[2] - 2.0)))

    @cached_property
    def top(self) -> float:
        """Height of the highest point, metres."""
        return float(self.building.mesh.bounds[1][2])

    @property
    def height(self) -> float:
        """From foot to top, metres."""
        return self.top - self.foot

    @cached_property
    def eave(self) -> float:
        """Height of the eave, metres, at least half way up."""
        return self.foot + float(np.clip(self.building.eave, self.height / 2, self.height))

    @cached_property
    def storeys(self) -> int:
        """Storeys below the eave: as stated where that gives 2.2 to 6 m each, else of 3 m."""
        below, stated = self.eave - self.foot, self.building.storeys or 0
        return stated if stated > 0 and 2.2 <= below / stated <= 6 else max(1, round(below / 3.0))

    @property
    def storey(self) -> float:
        """Height of a storey, metres."""
        return (self.eave - self.foot) / self.storeys

    @cached_property
    def volume(self) -> float:
        """Volume above the foot (m³): prisms under faces that look up less those under faces that look down."""
        corners = self.building.mesh.vertices[self.building.mesh.triangles]
        u, v = corners[:, 1, :2] - corners[:, 0, :2], corners[:, 2, :2] - corners[:, 0, :2]
        plan = (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]) / 2
        prisms = float((plan * (corners[..., 2].mean(axis=1) - self.foot)).sum())
        box = self.building.footprint.area * self.height
        return float(np.clip(prisms, 0.2 * box, box))

    @cached_property
    def frame(self) -> tuple[Floats, Floats, Floats]:
        """Middle (2,) and half sides (2,) of the smallest rectangle around the footprint; its axes (2, 2), the long
        one first.
        """
        corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(self.building.footprint))[:4]
        sides = np.stack([corners[1] - corners[0], corners[2] - corners[1]])
        length = np.linalg.norm(sides, axis=1)
        if length[1] > length[0]:
            sides, length = sides[::-1], length[::-1]
        long = sides[0] / length[0]
        return corners.mean(axis=0), length / 2, np.array([long, [-long[1], long[0]]])

    @cached_property
    def reach(self) -> Floats:
        """How far debris reaches from the walls along the long axis and across it, metres (2,)."""
        return self.height * np.array([np.interp(self.height, _HEIGHTS, c) for c in (_SHORT_SIDE, _LONG_SIDE)])

    @property
    def square(self) -> float:
        """The heading (radians) of the side that looks most nearly where it falls to: blocks turn over an edge."""
        axes = np.concatenate([self.frame[2], -self.frame[2]])
        best = axes[np.argmax(axes @ np.array([np.cos(self.direction), np.sin(self.direction)]))]
        return float(np.arctan2(best[1], best[0]))

    def along(self, xy: Floats, heading: float | None = None) -> Floats:
        """Position of points (..., 2) along a heading, 0 and 1 where the footprint begins and ends."""
        heading = self.direction if heading is None else heading
        way = np.array([np.cos(heading), np.sin(heading)])
        own = shapely.get_coordinates(self.building.footprint) @ way
        return np.asarray((xy @ way - own.min()) / max(float(np.ptp(own)), 1e-6))

    def edge(self, heading: float | None = None) -> Floats:
        """A point (2,) of the footprint that lies farthest along a heading, beside the middle."""
        heading = self.direction if heading is None else heading
        way = np.array([np.cos(heading), np.sin(heading)])
        middle = self.frame[0]
        far = (shapely.get_coordinates(self.building.footprint) @ way).max()
        return np.asarray(middle + (far - middle @ way) * way)

    def beyond(self, normal: Floats, offset: float) -> Polygon | MultiPolygon:
        """The part of the plan beyond a line: where the unit ``normal`` (2,) times the place is over ``offset``."""
        side = np.array([-normal[1], normal[0]])
        far = 4 * float(self.frame[1].sum()) + 10
        start = normal * offset + side * (self.frame[0] @ side)
        near = [start - side * far, start + side * far]
        return self.plan.intersection(Polygon([*near, near[1] + normal * far, near[0] + normal * far]))

    def bed(self, xy: Floats) -> Floats:
        """Height of what debris comes to lie on at points (n, 2): ground, or a low roof; NaN where it is stopped."""
        z = self.terrain.sample(xy)
        for footprint, mesh in self.others:
            shapely.prepare(footprint)
            inside = np.flatnonzero(shapely.contains_xy(footprint, xy))
            if len(inside) and mesh is not None:
                roof = highest(mesh, xy[inside])
                z[inside] = np.where(roof <= self.foot + LOW * self.height, roof, np.nan)
        return z


def highest(mesh: Mesh, xy: Floats) -> Floats:
    """Height of a mesh's topmost face over points (n, 2), NaN beside it."""
    faces = mesh.triangles[mesh.normals[:, 2] > 0.02]
    a, b, c = (mesh.vertices[faces[:, i]] for i in range(3))
    u, v = b - a, c - a
    doubled = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    d = xy[:, None] - a[None, :, :2]
    s = (d[..., 0] * v[:, 1] - d[..., 1] * v[:, 0]) / doubled
    t = (u[:, 0] * d[..., 1] - u[:, 1] * d[..., 0]) / doubled
    inside = (s >= 0) & (t >= 0) & (s + t <= 1)
    z = np.where(inside, a[:, 2] + s * u[:, 2] + t * v[:, 2], -np.inf).max(axis=1, initial=-np.inf)
    return np.where(np.isfinite(z), z, np.nan)


def gutted(strike: Strike) -> NDArray[np.bool_]:
    """Buildings (b,) that burnt to the walls; of burnt ones that kept their deck the shell stands."""
    return (strike.burn == Burn.BURNT) & (strike.deck_lost >= GUTTED)


def fallen(strike: Strike) -> NDArray[np.bool_]:
    """Buildings (b,) whose roof is no place for a neighbour's debris any more."""
    return (strike.collapse >= Collapse.INCLINED_PLANE) | strike.swept | gutted(strike)


class Sites:
    """Sites of a city's buildings, with the neighbours found by one index."""

    def __init__(self, city: City, strike: Strike) -> None:
        self._city, self._strike = city, strike
        self._tree = shapely.STRtree([b.footprint for b in city.buildings])
        self._gone = fallen(strike)

    def near(self, index: int, distance: float) -> NDArray[np.int64]:
        """Other buildings within a distance (m) of one, ascending."""
        found = self._tree.query(self._city.buildings[index].footprint, predicate="dwithin", distance=distance)
        return np.sort(found[found != index])

    def of(self, index: int) -> Site:
        """The site of one building."""
        building = self._city.buildings[index]
        alone = Site(building, self._city.ground, float(self._strike.direction[index]))
        around = self.near(index, float(alone.reach.max()))
        others = tuple(
            (self._city.buildings[k].footprint, None if self._gone[k] else self._city.buildings[k].mesh) for k in around
        )
        return Site(building, alone.terrain, alone.direction, others)
