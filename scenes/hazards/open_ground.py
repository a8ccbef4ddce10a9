"""Open ground: where something new has room between all that stands in a city."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy.ndimage import distance_transform_edt, label
from shapely import STRtree

from mage.scenes.city import City
from mage.scenes.sources.ground.relief import lattice, raster_of, within
from mage.scenes.terrain import Terrain
from mage.scenes.ways import on_view, plan, trackbed

Floats = NDArray[np.float64]
Shapes = NDArray[np.object_]

OPEN = ("grass", "bare", "agriculture", "sand", "pitch", "parking")
CLEAR = 1.5  # metres to all that stands
BESIDE_CROWN = 0.3  # metres to the crowns of trees, under whose edge people like to camp
SEARCH = 2.0  # metres between places at which open ground is looked for
HALF_TENT = 2.0  # metres to the edge of open ground where there is room for a tent
NEAR = 40.0  # metres around a place in which its ground's longer way is found
AROUND = 5.0  # metres around what was taken in which nothing else is begun


@dataclass(slots=True, eq=False)
class OpenGround:
    """Open ground on a lattice, what stands in and around it, and what was taken since.

    Attributes:
        places: the lattice. open: (rows, columns) of it.
        standing: plans of all that stands; crowns of trees are drawn in, so that what keeps :data:`CLEAR` from these
            plans is :data:`BESIDE_CROWN` from them.
        taken: plans of what was taken since.
    """

    places: Terrain
    open: NDArray[np.bool_]
    standing: STRtree
    taken: STRtree

    @classmethod
    def of(cls, city: City, spoilt: NDArray[np.bool_] | None = None) -> OpenGround:
        """The open ground in a city's view, but for where a disaster has come: ``spoilt`` (rows, columns) of the
        terrain's vertices.
        """
        west, south, east, north = city.bounds
        step = max(SEARCH, math.sqrt((east - west) * (north - south)) / 1000)
        places = lattice(city.bounds, step)
        is_open = _on_top(city, places)
        x, y = places.axes()
        is_open &= ((x >= west) & (x <= east)) & ((y >= south) & (y <= north))[:, None]
        things = _things_in(city)
        is_open &= ~within(places, list(shapely.buffer(things, CLEAR, quad_segs=2)))
        is_open &= ~_around(places, city.trees.xy, _crowns_of(city) + CLEAR)
        if spoilt is not None:
            is_open &= (city.ground.sample(places.points(), spoilt.astype(float)) == 0).reshape(is_open.shape)
        return cls(places, is_open, STRtree(np.concatenate([things, _drawn_in(city)])), STRtree([]))

    def choose(self, rng: np.random.Generator) -> tuple[int, int] | None:
        """A place (row, column) far from the edges of open ground, drawn; None where there is none."""
        away = distance_transform_edt(np.pad(self.open, 1))[1:-1, 1:-1] * self.places.step
        weight = np.where(away >= HALF_TENT, away, 0.0).ravel() ** 3
        if not weight.any():
            return None
        cell = int(np.searchsorted(np.cumsum(weight), rng.random() * weight.sum(), side="right"))
        return divmod(min(cell, int(np.flatnonzero(weight)[-1])), self.open.shape[1])

    def piece(self, middle: tuple[int, int]) -> NDArray[np.bool_]:
        """The open ground (rows, columns) that hangs together with a place."""
        pieces, _ = label(self.open)
        return np.asarray(pieces == pieces[middle])

    def along(self, piece: NDArray[np.bool_], xy: Floats) -> float:
        """Radians from east of the longer way of the open ground near a point."""
        x, y = self.places.axes()
        row, column = np.nonzero(piece & (np.hypot(x - xy[0], (y - xy[1])[:, None]) <= NEAR))
        points = np.stack([x[column], y[row]], axis=1)
        if len(points) < 3:
            return 0.0
        _, axes = np.linalg.eigh(np.cov(points.T))
        return math.atan2(axes[1, 1], axes[0, 1])

    def holds(self, piece: NDArray[np.bool_], xy: Floats) -> NDArray[np.bool_]:
        """Which points (n, 2) lie on a piece of open ground."""
        at = np.rint(np.stack([self.places.north - xy[:, 1], xy[:, 0] - self.places.west], axis=1) / self.places.step)
        inside = ((at >= 0) & (at < piece.shape)).all(axis=1)
        row, column = np.where(inside[:, None], at, 0).astype(np.int64).T
        return inside & piece[row, column]

    def xy(self, cell: tuple[int, int]) -> Floats:
        """Local metres of a place (row, column)."""
        return np.array([self.places.west + cell[1] * self.places.step, self.places.north - cell[0] * self.places.step])

    def free(self, shapes: Shapes) -> NDArray[np.bool_]:
        """Which shapes keep clear of all that stands or was taken."""
        free = np.ones(len(shapes), bool)
        for index in (self.standing, self.taken):
            free[index.query(shapes, predicate="dwithin", distance=CLEAR)[0]] = False
        return free

    def near(self, shape: shapely.Geometry, distance: float) -> Shapes:
        """Plans of what stands or was taken within a distance (m) of a shape."""
        indices = (self.standing, self.taken)
        return np.concatenate(
            [i.geometries[np.sort(i.query(shape, predicate="dwithin", distance=distance))] for i in indices]
        )

    def take(self, shapes: Shapes, middle: tuple[int, int]) -> None:
        """Nothing else may stand there, and nobody looks for room around it again."""
        self.taken = STRtree(np.concatenate([self.taken.geometries, shapes]))
        near = list(shapely.buffer(shapes, AROUND, quad_segs=2))
        self.open &= ~within(self.places, [*near, shapely.Point(self.xy(middle)).buffer(2 * AROUND)])


def _on_top(city: City, places: Terrain) -> NDArray[np.bool_]:
    """Which places (rows, columns) show one of the covers in :data:`OPEN`: later patches lie on earlier ones."""
    if not city.land:
        return np.zeros(places.heights.shape, bool)
    patches = [(patch.outline, 2 if patch.cover in OPEN else 1) for patch in city.land]
    transform = raster_of(places)
    return np.asarray(rasterize(patches, out_shape=places.heights.shape, transform=transform, dtype="uint8") == 2)


def standing_in(city: City) -> Shapes:
    """Plans of everything that no tent may stand upon."""
    return np.concatenate([_things_in(city), _drawn_in(city)])


def _things_in(city: City) -> Shapes:
    """Plans of everything but trees that no tent may stand upon."""
    shapes: list[shapely.Geometry] = [b.footprint for b in city.buildings] + [w.outline for w in city.water]
    streets = [e for e in city.roads.edges if on_view(e)]
    shapes += list(shapely.buffer([e.line for e in streets], [e.width / 2 for e in streets], quad_segs=4))
    shapes += [trackbed(r) for r in city.railways] + [plan(s) for s in city.structures]
    widths = [max(b.width, 0.1) / 2 for b in city.barriers]
    shapes += list(shapely.buffer([b.line for b in city.barriers], widths, quad_segs=16))
    shapes += [p.outline for p in city.land if p.cover == "pool"]
    return np.array([s for s in shapes if not s.is_empty], dtype=object)


def _drawn_in(city: City) -> Shapes:
    """The crowns of trees, drawn in."""
    return np.asarray(shapely.buffer(shapely.points(city.trees.xy), _crowns_of(city), quad_segs=8))


def _crowns_of(city: City) -> Floats:
    """Radius (t,) of the trees' crowns drawn in: all else keeps :data:`CLEAR` from what is left."""
    return np.maximum(city.trees.radius - (CLEAR - BESIDE_CROWN), 0.1)


def _around(places: Terrain, xy: Floats, radius: Floats) -> NDArray[np.bool_]:
    """Which places (rows, columns) lie within a radius (n,) of points (n, 2): drawing polygons takes far longer."""
    found = np.zeros(places.heights.shape, bool)
    at = np.stack([places.north - xy[:, 1], xy[:, 0] - places.west], axis=1) / places.step
    cell, reach = np.rint(at).astype(np.int64), radius / places.step
    span = np.arange(-math.ceil(reach.max(initial=0.0)), math.ceil(reach.max(initial=0.0)) + 1)
    for step in product(span, span):
        there = cell + step
        near = (np.hypot(*(there - at).T) <= reach) & (there >= 0).all(axis=1) & (there < found.shape).all(axis=1)
        found[tuple(there[near].T)] = True
    return found
