"""Sports fields on open ground: football, tennis and basketball."""

from __future__ import annotations

import numpy as np
import shapely
from shapely import affinity
from shapely.geometry import Polygon

from mage.scenes.city import City
from mage.scenes.sources.living.occupied import Occupied
from mage.scenes.style import Style

# length and width with the run-off around it (m), tried in this order wherever a field is wanted
SIZES = ((100.0, 64.0), (64.0, 44.0), (44.0, 26.0), (34.0, 18.0))
TRIES = 60  # places looked at for each field
CLEAR = 2.5  # metres to anything else
FARMED = ("agriculture", "forest", "ballast", "paved", "sand")


def sports_fields(rng: np.random.Generator, city: City, style: Style, space: Occupied) -> list[Polygon]:
    """As many fields as the style has per square kilometre, each where it finds room, parallel to the nearest street
    and as large as fits, up to a size that is drawn.
    """
    west, south, east, north = city.bounds
    count = int(rng.poisson(style.details.pitches * (east - west) * (north - south) / 1e6))
    streets = shapely.STRtree([e.line for e in city.roads.edges])
    farmed = shapely.STRtree([p.outline for p in city.land if p.cover in FARMED])
    found: list[Polygon] = []
    for _ in range(count):
        sizes = SIZES[int(rng.integers(len(SIZES))) :]
        for xy in rng.uniform((west, south), (east, north), (TRIES, 2)):
            here = shapely.Point(xy)
            if len(farmed.query(here, predicate="intersects")) or not space.free(here, sizes[-1][1] / 2):
                continue
            field = _fitting(here, _direction(city, streets, here), sizes, farmed, space, found)
            if field is not None:
                found.append(field)
                break
    return found


def _fitting(
    here: shapely.Point,
    turn: float,
    sizes: tuple[tuple[float, float], ...],
    farmed: shapely.STRtree,
    space: Occupied,
    found: list[Polygon],
) -> Polygon | None:
    for length, width in sizes:
        box = shapely.box(here.x - length / 2, here.y - width / 2, here.x + length / 2, here.y + width / 2)
        field = affinity.rotate(box, turn, use_radians=True)
        apart = not any(shapely.dwithin(field, other, CLEAR) for other in found)
        if apart and space.free(field, CLEAR) and not len(farmed.query(field, predicate="intersects")):
            return field
    return None


def _direction(city: City, streets: shapely.STRtree, here: shapely.Point) -> float:
    """Direction of the nearest street, radians; north to south where there is none, against a low sun."""
    near = streets.query_nearest(here, all_matches=False)
    if len(near) == 0:
        return float(np.pi / 2)
    line = city.roads.edges[int(near[0])].line
    way = line.line_locate_point(here)
    a, b = line.line_interpolate_point(max(way - 5, 0)), line.line_interpolate_point(min(way + 5, line.length))
    return float(np.arctan2(b.y - a.y, b.x - a.x))
