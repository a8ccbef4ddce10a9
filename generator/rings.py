"""Outlines and lines as records hold them: in pixels of a tile and in metres of the map."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from mage.generator.place import Place
from mage.scenes.dataset.schema import Ring
from mage.scenes.grid import Grid


def parts_of(geometry: shapely.Geometry, kind: str) -> list[Any]:
    """The parts of one kind (``Polygon``, ``LineString``) that a geometry has and that are not empty."""
    return [g for g in shapely.get_parts(geometry) if g.geom_type == kind and not g.is_empty]


def polygons_of(outline: shapely.Geometry, grid: Grid, place: Place) -> tuple[list[list[Ring]], list[list[Ring]]]:
    """An outline's polygons within a tile, in pixels and on the map: lists of rings, the first outer."""
    seen = shapely.intersection(outline, shapely.box(*grid.bounds))
    polygons = [p for p in parts_of(seen, "Polygon") if p.area > 0]
    return (
        [[pixel_ring(r, grid) for r in (p.exterior, *p.interiors)] for p in polygons],
        [[map_ring(r, place) for r in (p.exterior, *p.interiors)] for p in polygons],
    )


def pixel_ring(ring: Any, grid: Grid) -> Ring:
    """A line's points as (column, row), to a hundredth of a pixel."""
    return [(float(x), float(y)) for x, y in np.round(grid.to_pixel(np.asarray(ring.coords)[:, :2]), 2)]


def map_ring(ring: Any, place: Place) -> Ring:
    """A line's points on the city's map, to a millimetre."""
    return [(float(x), float(y)) for x, y in np.round(np.asarray(ring.coords)[:, :2] + place.city.origin, 3)]
