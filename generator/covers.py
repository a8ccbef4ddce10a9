"""What covers the ground at each pixel's centre, from vector outlines and noise anchored to the ground."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import wraps
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine

from mage.generator.noise import fractal
from mage.generator.place import Place
from mage.generator.spots import Spots
from mage.scenes.city import COVERS, RoadEdge
from mage.scenes.dataset.fields import LandClass
from mage.scenes.grid import Grid
from mage.scenes.ways import WITH_PAVEMENT, on_bridge

POOL_RIM = 0.6  # metres of paving around a swimming pool


class Cover(IntEnum):
    """What the ground is covered with: the values up to ``POOL`` are those of :data:`mage.scenes.city.COVERS`."""

    GRASS = 0
    BARE = 1
    PAVED = 2
    AGRICULTURE = 3
    FOREST = 4
    SCRUB = 5
    SAND = 6
    ASPHALT = 7
    PARKING = 8
    BALLAST = 9
    PITCH = 10
    POOL = 11
    ROAD = 12


FROM_NAME = {name: Cover[name.upper()] for name in COVERS}

CLASS_OF_COVER = np.zeros(len(Cover), np.uint8)
CLASS_OF_COVER[[Cover.GRASS, Cover.FOREST, Cover.SCRUB]] = LandClass.GRASS
CLASS_OF_COVER[[Cover.BARE, Cover.SAND]] = LandClass.BARE
CLASS_OF_COVER[[Cover.PAVED, Cover.PARKING]] = LandClass.PAVED
CLASS_OF_COVER[Cover.AGRICULTURE] = LandClass.AGRICULTURE
CLASS_OF_COVER[Cover.BALLAST] = LandClass.RAIL
CLASS_OF_COVER[Cover.PITCH] = LandClass.PITCH
CLASS_OF_COVER[Cover.POOL] = LandClass.POOL
CLASS_OF_COVER[[Cover.ROAD, Cover.ASPHALT]] = LandClass.ROAD


SOFT = (Cover.GRASS, Cover.BARE, Cover.AGRICULTURE, Cover.SAND, Cover.PITCH)  # what feet and wheels wear down


def burn(shapes: list[shapely.Geometry], values: list[int], grid: Grid | Spots, dtype: str) -> NDArray[Any]:
    """Values of the shapes that hold each pixel's centre, or each spot, 0 for none; later ones lie on top (GDAL's
    pixel-centre rule).
    """
    pairs = [(s, v) for s, v in zip(shapes, values, strict=True) if not s.is_empty]
    if not pairs:
        return np.zeros(grid.shape, dtype)
    if isinstance(grid, Spots):
        return _burnt_at(pairs, grid).astype(dtype)
    return np.asarray(rasterize(pairs, out_shape=grid.shape, fill=0, transform=Affine(*grid.transform), dtype=dtype))


def _burnt_at(pairs: list[tuple[shapely.Geometry, int]], spots: Spots) -> NDArray[np.int64]:
    point, shape = shapely.STRtree([s for s, _ in pairs]).query(shapely.points(spots.xy), predicate="within")
    top = np.full(len(spots.xy), -1)
    np.maximum.at(top, point, shape)
    return np.array([*(v for _, v in pairs), 0])[top]


def _remembered(paint: Callable[..., NDArray[Any]]) -> Callable[..., NDArray[Any]]:
    """``paint`` of a place, a grid and rasters, with its last results at hand: a tile's ground is asked for again and
    again, for both dates and for all that lies on it.
    """
    kept: deque[tuple[Any, Any, bool, tuple[NDArray[Any], ...], NDArray[Any]]] = deque(maxlen=2)

    @wraps(paint)
    def asked(place: Place, grid: Grid | Spots, *rasters: NDArray[Any], decks: bool = True) -> NDArray[Any]:
        """What was painted of these very arguments, or what is painted now."""
        if isinstance(grid, Spots):
            return paint(place, grid, *rasters, decks=decks)
        for of, on, with_decks, given, value in kept:
            if of is place and (on, with_decks) == (grid, decks) and all(map(np.array_equal, given, rasters)):
                return value.copy()
        value = paint(place, grid, *rasters, decks=decks)
        kept.append((place, grid, decks, tuple(r.copy() for r in rasters), value.copy()))
        return value

    return asked


@_remembered
def road_ids(place: Place, grid: Grid | Spots, *, decks: bool = True) -> NDArray[np.int32]:
    """Index of the road edge at each pixel's centre, or spot, plus 1, 0 for none; bridges lie on top, and where streets
    meet on one level, the wider one. Tunnels are not seen; without ``decks``, bridges are not either.
    """
    edges = place.city.roads.edges
    near = (int(i) for i in place.road_index.query(shapely.box(*grid.bounds)))
    order = sorted(
        (i for i in near if decks or not on_bridge(edges[i])), key=lambda i: (_level(edges[i]), edges[i].width, i)
    )
    return burn([place.carriageways[i] for i in order], [i + 1 for i in order], grid, "int32").astype(np.int32)


def _level(edge: RoadEdge) -> int:
    return max(edge.layer, 1) if on_bridge(edge) else 0


@_remembered
def cover_of(place: Place, grid: Grid | Spots, roads: NDArray[np.int32], *, decks: bool = True) -> NDArray[np.uint8]:
    """The :class:`Cover` of the ground at each pixel's centre, or spot, uint8 of their shape.

    Patches of land lie in their order, but for pools, which have a paved rim and lie on top of all; streets with
    their pavements and then tracks lie over other ground, carriageways over tracks, railway bridges over both. Without
    ``decks`` it is the ground beneath bridges.
    """
    view = shapely.box(*grid.bounds)
    patches = [place.city.land[i] for i in sorted(place.land_index.query(view))]
    solid = [p for p in patches if p.cover != "pool"]
    cover = burn([p.outline for p in solid], [int(FROM_NAME[p.cover]) for p in solid], grid, "uint8").astype(np.uint8)
    worn = fractal(grid, (31.0, 9.0, 3.0), seed=11)
    cover[(cover == Cover.GRASS) & (worn > place.style.look.bare_above)] = Cover.BARE
    pavement = place.style.pavement
    near = [place.city.roads.edges[i] for i in sorted(place.road_index.query(view.buffer(10)))]
    beside = [
        e.line.buffer(e.width / 2 + pavement, quad_segs=4)
        for e in near
        if e.kind in WITH_PAVEMENT and (decks or not on_bridge(e))
    ]
    _cover_with(cover, beside if pavement > 0 else [], Cover.PAVED, grid)
    rails = [i for i in place.rail_index.query(view) if decks or not place.city.railways[i].bridge]
    _cover_with(cover, [place.trackbeds[i] for i in rails], Cover.BALLAST, grid)
    pools = [p.outline for p in patches if p.cover == "pool"]
    _cover_with(cover, [p.buffer(POOL_RIM, quad_segs=3) for p in pools], Cover.PAVED, grid)
    _cover_with(cover, pools, Cover.POOL, grid)
    cover[roads > 0] = Cover.ROAD
    above = [place.trackbeds[i] for i in rails if place.city.railways[i].bridge]
    _cover_with(cover, above, Cover.BALLAST, grid)
    return cover


def covered(cover: NDArray[np.uint8], kinds: Sequence[Cover]) -> NDArray[np.bool_]:
    """Where a cover is one of some kinds."""
    return np.asarray(np.logical_or.reduce([cover == kind for kind in kinds]))


def _cover_with(cover: NDArray[np.uint8], shapes: list[shapely.Geometry], kind: Cover, grid: Grid | Spots) -> None:
    if shapes:
        cover[burn(shapes, [1] * len(shapes), grid, "uint8") > 0] = kind


def metres_inside(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.float32]:
    """Metres from each pixel of a mask to the nearest one outside it, float32 (rows, columns)."""
    # a hundredth off at most where it counts, in a quarter of the time of the exact one
    return np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)) * grid.gsd
