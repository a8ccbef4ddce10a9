"""What a city holds, as facts for ``mage info``."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np

from mage.scenes.city import City
from mage.scenes.mesh import Surface


def describe_city(city: City) -> dict[str, Any]:
    """Facts that go into JSON as they are; lengths in metres, ``extent_m`` as (west, south, east, north) on the map."""
    x, y = city.origin
    offset = (x, y, x, y)
    return {
        "kind": "city",
        "name": city.name,
        "format": city.sources[0].format if city.sources else None,
        "crs": city.crs,
        "extent_m": [round(edge + shift, 3) for edge, shift in zip(city.bounds, offset, strict=True)],
        "counts": _counts(city),
        "lods": _tally(str(b.lod) for b in city.buildings),
        "roofs": _tally(b.roof for b in city.buildings),
        "height_m": _spread([b.height for b in city.buildings]),
        "footprint_m2": round(sum(b.footprint.area for b in city.buildings), 1),
        "attributes": _attributes(city),
        "inferred": list(city.inferred),
        "notes": dict(city.notes),
        "sources": [asdict(source) for source in city.sources],
    }


def _counts(city: City) -> dict[str, int | float]:
    faces: Counter[int] = Counter()
    for building in city.buildings:
        faces.update(building.mesh.surface.tolist())
    return {
        "buildings": len(city.buildings),
        "faces": faces.total(),
        "roof_faces": faces[Surface.ROOF],
        "wall_faces": faces[Surface.WALL],
        "ground_faces": faces[Surface.GROUND],
        "road_edges": len(city.roads.edges),
        "road_km": round(city.roads.length / 1000, 3),
        "water_bodies": len(city.water),
        "trees": len(city.trees),
    }


def _attributes(city: City) -> dict[str, int]:
    """How many buildings have each field from their source."""
    return {
        "storeys": sum(b.storeys is not None for b in city.buildings),
        "year": sum(b.year is not None for b in city.buildings),
        "occupancy": sum("occupancy" not in b.inferred for b in city.buildings),
    }


def _tally(values: Any) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _spread(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "min": round(min(values), 3),
        "median": round(float(np.median(values)), 3),
        "max": round(max(values), 3),
    }
