"""The area that is asked for, in longitude and latitude, and its tiles on a map."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mage.scenes.errors import DatasetError

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

LARGEST_FILE, MOST_TILES = 1 << 26, 1_000_000
STEP = 0.01  # degrees between points of an outline, so that it bends with the map


def box_area(west: float, south: float, east: float, north: float) -> BaseGeometry:
    """A box in degrees; DatasetError if it is none."""
    from shapely.geometry import box

    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        found = ", ".join(map(str, (west, south, east, north)))
        raise DatasetError("no area", expected="west < east and south < north, in degrees", found=found)
    return box(west, south, east, north)


def file_area(path: Path) -> BaseGeometry:
    """The polygons in a GeoJSON file, in longitude and latitude (RFC 7946).

    Raises:
        DatasetError: no such file, or no polygon on Earth in it.
    """
    from shapely.errors import ShapelyError
    from shapely.geometry import shape
    from shapely.ops import unary_union

    try:
        if path.stat().st_size > LARGEST_FILE:
            raise DatasetError("not read", file=path, expected=f"at most {LARGEST_FILE} bytes")
        content = json.loads(path.read_bytes())
        area = unary_union([shape(geometry) for geometry in _geometries(content)])
    except OSError as error:
        raise DatasetError(f"cannot be read: {error.strerror}", file=path) from None
    except (ValueError, RecursionError, TypeError, AttributeError, KeyError, IndexError, ShapelyError) as error:
        raise DatasetError("not a GeoJSON file of polygons", file=path, found=str(error)[:120]) from None
    west, south, east, north = area.bounds if not area.is_empty else (math.nan,) * 4
    if area.geom_type not in ("Polygon", "MultiPolygon") or not (
        west >= -180 and east <= 180 and south >= -90 and north <= 90
    ):
        raise DatasetError("holds no polygon in longitude and latitude", file=path, found=area.geom_type)
    return area


def _geometries(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    match content["type"]:
        case "FeatureCollection":
            for feature in content["features"]:
                yield from _geometries(feature)
        case "Feature":
            yield content["geometry"]
        case _:
            yield content


def on_map(area: BaseGeometry, crs: str) -> BaseGeometry:
    """The area in the coordinates of a CRS, x first.

    Raises:
        DatasetError: no such CRS, or the area is not on its map.
    """
    import numpy as np
    import shapely
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    try:
        way = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    except ProjError:
        raise DatasetError("no such coordinate reference system", found=crs) from None
    mapped = shapely.transform(shapely.segmentize(area, STEP), lambda xy: np.column_stack(way.transform(*xy.T)))
    if not np.isfinite(mapped.bounds).all():
        raise DatasetError("the area is not on this map", found=crs)
    return mapped


def on_earth(ring: list[tuple[float, float]], crs: str) -> list[tuple[float, float]]:
    """Points of a map, x first, in longitude and latitude, 7 decimals."""
    from pyproj import Transformer

    way = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    return [(round(x, 7), round(y, 7)) for x, y in (way.transform(*point) for point in ring)]


def tile_places(area: BaseGeometry, side: float, west: float = 0.0, north: float = 0.0) -> list[tuple[int, int]]:
    """Columns and rows of the square tiles that meet an area, counted from a map's corner to the east and south.

    Raises:
        DatasetError: more than a million.
    """
    import shapely

    left, low, right, high = area.bounds
    columns = range(math.floor((left - west) / side), math.ceil((right - west) / side))
    rows = range(math.floor((north - high) / side), math.ceil((north - low) / side))
    if len(columns) * len(rows) > MOST_TILES:
        found = str(len(columns) * len(rows))
        raise DatasetError("too large an area", expected=f"at most {MOST_TILES} tiles; ask for less", found=found)
    shapely.prepare(area)

    def _meets(column: int, row: int) -> bool:
        x, y = west + column * side, north - row * side
        return bool(
            area.intersects(shapely.box(x, y - side, x + side, y))
            and not area.touches(shapely.box(x, y - side, x + side, y))
        )

    return [(column, row) for row in rows for column in columns if _meets(column, row)]
