"""What a city holds, as facts for ``mage info``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import shapely
from pyproj import CRS

from mage.scenes.city import City
from mage.scenes.mesh import Surface
from mage.scenes.sources.raw import printable

MOST_NAMES = 200  # of attributes that are told


def describe_city(city: City) -> dict[str, Any]:
    """Facts that go into JSON as they are; lengths in metres, ``extent_m`` as (west, south, east, north) on the map.

    ``inferred`` counts what no source holds, ``notes`` what was repaired, left out or ignored.
    """
    x, y = city.origin
    offset = (x, y, x, y)
    return {
        "kind": "city",
        "name": city.name,
        "format": city.sources[0].format if city.sources else None,
        "crs": city.crs,
        "crs_name": CRS(city.crs).name if city.crs else None,
        "extent_m": [round(edge + shift, 3) for edge, shift in zip(city.bounds, offset, strict=True)],
        "middle_deg": [round(city.longitude, 6), round(city.latitude, 6)] if city.crs else None,
        "drives": "left" if city.drives_left else "right",
        "counts": _counts(city),
        "surfaces": dict(city.surfaces),
        "triangles": _triangles(city),
        "lods": _tally(str(b.lod) for b in city.buildings),
        "roofs": _tally(b.roof for b in city.buildings),
        "height_m": _spread([b.height for b in city.buildings]),
        "footprint_m2": round(sum(b.footprint.area for b in city.buildings), 1),
        "roads_km": _lengths((e.kind, e.line) for e in city.roads.edges),
        "land_m2": _areas(((p.cover, p.outline) for p in city.land), city),
        "water_m2": _areas(((w.kind, w.outline) for w in city.water), city),
        "attributes": _attributes(city),
        "known": _known(city),
        "inferred": {**dict.fromkeys(city.inferred, "all"), **_tally(f for b in city.buildings for f in b.inferred)},
        "notes": dict(city.notes),
        "sources": [asdict(source) for source in city.sources],
    }


def _counts(city: City) -> dict[str, int | float]:
    return {
        "buildings": len(city.buildings),
        "parts": sum(b.parts for b in city.buildings),
        "road_edges": len(city.roads.edges),
        "road_km": round(city.roads.length / 1000, 3),
        "railway_km": round(sum(r.line.length for r in city.railways) / 1000, 3),
        "water_bodies": len(city.water),
        "land_patches": len(city.land),
        "trees": len(city.trees),
        "barriers": len(city.barriers),
        "structures": len(city.structures),
        "terrain_vertices": 0 if city.terrain is None else city.terrain.heights.size,
    }


def _triangles(city: City) -> dict[str, int]:
    """Triangles of the buildings as built, by what they are."""
    faces: Counter[int] = Counter()
    for building in city.buildings:
        faces.update(building.mesh.surface.tolist())
    return {kind.name.lower(): faces[kind] for kind in Surface if faces[kind]}


def _attributes(city: City) -> dict[str, int]:
    """How many buildings have each attribute of the source's; of very many the commonest."""
    found = Counter(printable(str(name), 60) for b in city.buildings for name in b.attributes)
    return dict(sorted(found.most_common(MOST_NAMES)))


def _known(city: City) -> dict[str, int]:
    """Of how many buildings the source tells each, by geometry or attribute."""
    return {
        "height": sum("height" not in b.inferred for b in city.buildings),
        "storeys": sum(b.storeys is not None for b in city.buildings),
        "year": sum(b.year is not None for b in city.buildings),
        "occupancy": sum("occupancy" not in b.inferred for b in city.buildings),
        "colour": sum(b.roof_colour is not None or b.wall_colour is not None for b in city.buildings),
    }


def _tally(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _lengths(lines: Iterable[tuple[str, shapely.Geometry]]) -> dict[str, float]:
    """Kilometres by kind."""
    found: Counter[str] = Counter()
    for kind, line in lines:
        found[kind] += line.length / 1000
    return {kind: round(length, 3) for kind, length in sorted(found.items())}


def _areas(shapes: Iterable[tuple[str, shapely.Geometry]], city: City) -> dict[str, float]:
    """Square metres within the city's bounds, by kind; where patches overlap each counts."""
    found: Counter[str] = Counter()
    for kind, shape in shapes:
        found[kind] += shapely.clip_by_rect(shape, *city.bounds).area
    return {kind: round(area, 1) for kind, area in sorted(found.items())}


def _spread(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "min": round(min(values), 3),
        "median": round(float(np.median(values)), 3),
        "max": round(max(values), 3),
    }
