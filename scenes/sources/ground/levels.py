"""Levels of water whose source gives outlines only, read off the terrain along the shores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon

from mage.scenes.city import City, WaterBody
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]

SHORE = 0.1  # share of the shore that lies below the water's level
BELOW = 0.5  # metres under such a shore, where the ground itself is made up and knows nothing of water
FALL = 1.5  # metres between the lower and the upper end of a shore above which flowing water is cut into reaches
SHORTEST = 60.0  # metres of such a reach
SEA_SHORE = 10.0  # metres between the lowest shore and sea level beyond which heights count from elsewhere
ON_SHORE = 0.01  # metres
FLOWING = ("river", "canal")

DRAPED = "draped water level"  # stands in ``City.inferred`` for ``water level`` once a terrain has given it


def level_water(city: City, terrain: Terrain) -> City:
    """The city with a level for all water, where its source has none (``water level`` in ``inferred``).

    The sea is at 0, unless the lowest shore is more than 10 m from that, or the terrain is made up. All else lies as
    high as the lowest tenth of its shore, on made-up terrain half a metre lower. Flowing water whose shore rises by
    more than 1.5 m is halved across its length until it does not, or the halves would be shorter than 60 m: reaches
    with a weir between each two. ``water level`` is renamed to ``draped water level``.
    """
    if "water level" not in city.inferred:
        return city
    water = tuple(reach for body in city.water for reach in _levelled(body, terrain))
    names = tuple(DRAPED if name == "water level" else name for name in city.inferred)
    return replace(city, water=water, inferred=names)


def _levelled(body: WaterBody, terrain: Terrain) -> Iterator[WaterBody]:
    shore = _shore(body.outline, terrain)
    z = terrain.sample(shore)
    if body.kind == "sea":
        level = _level(z, terrain)
        yield replace(body, level=0.0 if abs(level) <= SEA_SHORE and not terrain.inferred else level)
    elif body.kind not in FLOWING:
        yield replace(body, level=_level(z, terrain))
    else:
        for outline, heights in _reaches(body.outline, shore, z):
            yield replace(body, outline=outline, level=_level(heights, terrain))


def _shore(outline: Polygon | MultiPolygon, terrain: Terrain) -> Floats:
    """Points (n, 2) along the shore within the terrain; one on the water where there is no such shore."""
    west, south, east, north = terrain.bounds
    spacing = max(1.0, terrain.step / 2)
    points = shapely.get_coordinates(shapely.segmentize(outline.boundary, spacing))
    inside = (points >= (west, south)).all(axis=1) & (points <= (east, north)).all(axis=1)
    return points[inside] if inside.any() else shapely.get_coordinates(outline.representative_point())


def _level(heights: Floats, terrain: Terrain) -> float:
    return float(np.quantile(heights, SHORE)) - (BELOW if terrain.inferred else 0.0)


def _reaches(
    outline: Polygon | MultiPolygon, shore: Floats, z: Floats
) -> Iterator[tuple[Polygon | MultiPolygon, Floats]]:
    """Pieces of an outline between cuts across its longer side, each with the heights of its own shore."""
    axis, length = _long_axis(outline)
    if np.subtract(*np.quantile(z, (1 - SHORE, SHORE))) <= FALL or length < 2 * SHORTEST:
        yield outline, z
        return
    middle = np.array(outline.minimum_rotated_rectangle.centroid.coords[0])
    across = np.array([-axis[1], axis[0]])
    for side in (-1.0, 1.0):
        corners = [middle - across * length, middle + across * length]
        half = Polygon([*corners, *[c + side * axis * length for c in corners[::-1]]])
        for part in shapely.get_parts(outline.intersection(half)):
            if part.geom_type == "Polygon" and part.area > 0:
                own = shapely.dwithin(shapely.points(shore), part, ON_SHORE)
                yield from _reaches(part, *((shore[own], z[own]) if own.any() else (shore, z)))


def _long_axis(outline: shapely.Geometry) -> tuple[Floats, float]:
    """The direction (2,) of the longer side of the smallest rectangle around an outline, and its length in metres."""
    ring = shapely.get_coordinates(outline.minimum_rotated_rectangle)
    sides = np.diff(ring[:3], axis=0)
    length = np.linalg.norm(sides, axis=1)
    longest = int(length.argmax())
    return sides[longest] / max(float(length[longest]), 1e-9), float(length[longest])
