"""Large outlines cut into small ones, so that asking what lies near a point looks at a few corners and not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import shapely

from mage.scenes.city import City

MOST_CORNERS = 100  # of a piece


def in_pieces(city: City) -> City:
    """The city with the same land and water, in outlines of at most :data:`MOST_CORNERS` corners or so."""
    land = tuple(replace(p, outline=part) for p in city.land for part in pieces(p.outline))
    water = tuple(replace(w, outline=part) for w in city.water for part in pieces(w.outline))
    return replace(city, land=land, water=water)


def pieces(shape: shapely.Geometry) -> Iterator[shapely.Polygon]:
    """Polygons that together cover what a shape covers, halved across their longer side until they are simple."""
    if shape.geom_type != "Polygon":
        for part in shapely.get_parts(shape):
            if part.geom_type == "Polygon":
                yield from pieces(part)
        return
    if shapely.get_num_coordinates(shape) <= MOST_CORNERS:
        yield shape
        return
    west, south, east, north = shape.bounds
    x, y = (west + east) / 2, (south + north) / 2
    halves = ((west, south, x, north), (x, south, east, north))
    if north - south > east - west:
        halves = ((west, south, east, y), (west, y, east, north))
    for half in halves:
        yield from pieces(shapely.intersection(shape, shapely.box(*half)))
