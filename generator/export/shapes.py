"""Vectors of a sample's record as valid shapely polygons."""

from __future__ import annotations

from collections.abc import Iterable

import shapely
from shapely.geometry import Polygon

from mage.scenes.dataset.schema import BuildingRecord, Ring, SampleRecord
from mage.scenes.errors import DatasetError

SMALLEST = 0.01  # square pixels or metres; less is a trace of the rounding of corners


def valid_polygons(parts: Iterable[list[Ring]]) -> list[Polygon]:
    """Valid polygons of a record's lists of rings, the first outer; what is below :data:`SMALLEST` is left out.

    Raises:
        DatasetError: a ring that is none.
    """
    try:
        drawn = [Polygon(rings[0], rings[1:]) for rings in parts if rings]
    except (ValueError, shapely.errors.GEOSException) as error:
        raise DatasetError(f"a record's polygon is damaged: {error}") from None
    return [part for polygon in drawn for part in pieces(shapely.make_valid(polygon), SMALLEST)]


def pieces(geometry: shapely.Geometry, smallest: float = 0.0) -> list[Polygon]:
    """The polygons of a geometry whose area is above ``smallest``."""
    parts = shapely.get_parts(shapely.get_parts(geometry))  # twice: a collection may hold multipolygons
    return [part for part in parts if part.geom_type == "Polygon" and part.area > smallest]


def shown(building: BuildingRecord, date: str, record: SampleRecord) -> list[Polygon]:
    """A building as it shows in an image, in that image's pixels (column, row), within its edges.

    Off nadir that is the outline of walls and roof, else the footprint; both where the image is displaced to.
    """
    taken, view = (record.pre, building.pre_view) if date == "pre" else (record.post, building.post_view)
    if view is not None:
        drawn = valid_polygons(view.outline_px)
    else:
        drawn = [shapely.transform(p, lambda xy: xy + taken.shift_px) for p in valid_polygons(building.polygons_px)]
    image = shapely.box(0, 0, record.grid.columns, record.grid.rows)
    return [part for polygon in drawn for part in pieces(shapely.intersection(polygon, image), SMALLEST)]
