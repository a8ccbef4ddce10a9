"""Features as seen from above: outlines in local metres out of their faces, and the height of their surface."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon

from mage.scenes.sources.buildings.surfaces import clean
from mage.scenes.sources.raw import Floats, Polygons, RawFeature

LEAST = 0.01  # square metres; smaller pieces of an outline are rounding

Local = Callable[[Floats], Floats]  # points (n, 3) of the file to local metres


def finest(feature: RawFeature, local: Local) -> list[Polygons]:
    """The faces of the feature's finest level of detail, in local metres; [] if it has none."""
    if not feature.shells:
        return []
    return [
        Polygons(local(shell.points), shell.sizes, shell.rings, shell.surface)
        for shell in feature.shells[max(feature.shells)]
        if len(shell)
    ]


def outline(shells: Iterable[Polygons], notes: Counter[str]) -> Polygon | MultiPolygon | None:
    """The union of all faces seen from above, valid; None if nothing of it is left."""
    faces = [face for shell in shells for face in _seen(clean(shell, notes)) if face is not None]
    return polygonal(shapely.union_all(shapely.make_valid(np.array(faces, dtype=object))))


def polygonal(geometry: shapely.Geometry) -> Polygon | MultiPolygon | None:
    """The polygons of a geometry without slivers; None if there are none."""
    parts = [p for p in shapely.get_parts(geometry) if p.geom_type == "GeometryCollection"]
    nested = [q for p in parts for q in shapely.get_parts(p)]
    flat = [p for p in [*shapely.get_parts(geometry), *nested] if p.geom_type == "Polygon" and p.area > LEAST]
    if not flat:
        return None
    return flat[0] if len(flat) == 1 else MultiPolygon(flat)


def _seen(polygons: Polygons) -> list[shapely.Geometry | None]:
    """Clean polygons as flat ones with holes; None for those that stand upright."""
    if not len(polygons):
        return []
    ring = np.repeat(np.arange(len(polygons.sizes)), polygons.sizes)
    rings = shapely.linearrings(polygons.points[:, :2], indices=ring)
    first = np.cumsum(polygons.rings) - polygons.rings
    faces = shapely.polygons(rings[first])
    for face in np.flatnonzero(polygons.rings > 1).tolist():
        start, count = first[face], polygons.rings[face]
        faces[face] = shapely.polygons(rings[start], rings[start + 1 : start + count])
    return [face if area > LEAST else None for face, area in zip(faces, shapely.area(faces), strict=True)]


def surface_height(shells: Iterable[Polygons]) -> float | None:
    """Median height of the points of faces that are not upright; None where there are none."""
    heights = [np.zeros(0)]
    for shell in shells:
        cleaned = clean(shell, Counter())
        seen = np.array([face is not None for face in _seen(cleaned)], bool)
        heights.append(cleaned.points[np.repeat(np.repeat(seen, cleaned.rings), cleaned.sizes), 2])
    z = np.concatenate(heights)
    return float(np.median(z)) if len(z) else None


def lines_of(features: Iterable[RawFeature], local: Local) -> list[Floats]:
    """All lines (k, 3) of the features in local metres, without points that are nowhere; two points or more each."""
    found = []
    for feature in features:
        for line in feature.lines:
            moved = local(line)
            moved = moved[np.isfinite(moved).all(axis=1)]
            if len(moved) > 1 and np.ptp(moved[:, :2], axis=0).max() > 0:
                found.append(moved)
    return found


def united(outlines: Sequence[Polygon | MultiPolygon]) -> shapely.Geometry:
    """All outlines as one geometry."""
    return shapely.union_all(np.array(outlines, dtype=object))
