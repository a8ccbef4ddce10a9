"""From what a model says of each building to verdicts, and from verdicts to where it is worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.learning.buildings import cems_verdicts, grade_entropy
from mage.learning.mapping.areas import Area, Lattice, affected_areas, cells
from mage.learning.mapping.buildings import Gradings, outlines
from mage.learning.mapping.findings import Buildings, Event, Kind, Observed
from mage.learning.mapping.hotspots import HotSpots, hot_spots, kernel_density
from mage.learning.mapping.vector_inputs import Outlines
from mage.scenes.grades import TOUCHING
from mage.scenes.grid import Grid

LEAST_SEEN = 0.5  # share of a building that must be seen for a verdict
RADIUS, LEVEL = 150.0, 0.05  # metres within which buildings are neighbours; false discovery rate of hot spots
BANDWIDTH, COARSE, MOST = 150.0, 15.0, 1024  # metres of the density's kernel, and of its pixels; pixels along a side
CELL = 250.0  # metres of a side of ranked cells
BESIDE = 2.0  # pixels from a wall within which water is at it
AUTOMATIC = "Automatic extraction"
NOT_SEEN, UNSURE, SOUND = "Not Analysed", "Possibly damaged", "No visible damage"


def drawn_outlines(path: Path, grid: Grid, area: shapely.Geometry, threshold: float) -> Outlines:
    """The buildings that a model sees within an area, numbered from north to south.

    Args:
        path: probabilities, as of :func:`~mage.learning.mapping.buildings.outlines`.
        grid: of that file.
        area: those that touch it count.
        threshold: probability from which a pixel is of a building.
    """
    polygons = [_polygonal(shape) for shape in outlines(path, grid, threshold=threshold)]
    shapely.prepare(area)
    shape = np.array([p for p in polygons if p is not None and shapely.intersects(area, p)], object)
    place = shapely.bounds(shape).reshape(-1, 4)
    shape = shape[np.lexsort((place[:, 0], -place[:, 3]))]
    none = np.full(len(shape), "", "<U1")
    return Outlines(np.array([f"{k:06d}" for k in range(1, len(shape) + 1)], str), shape, none, none)


def judged(found: Outlines, gradings: Gradings, grid: Grid) -> Buildings:
    """Buildings with a verdict each: "Not Analysed" where less than half of one is seen, "Possibly damaged" where the
    model is unsure, or sees no building in an outline of a file.

    Args:
        found: n outlines.
        gradings: of these.
        grid: that was looked at; what of an outline lies off it was not seen.
    """
    inside = shapely.area(shapely.intersection(found.outline, shapely.box(*grid.bounds)))
    valid = gradings.valid * np.divide(inside, shapely.area(found.outline), out=np.zeros(len(found)), where=inside > 0)
    seen, known = valid >= LEAST_SEEN, np.isfinite(gradings.grades).all(axis=1)
    verdict = np.full(len(found), NOT_SEEN, "<U17")
    verdict[seen] = UNSURE
    verdict[seen & known] = cems_verdicts(gradings.grades[seen & known])
    entropy = np.full(len(found), np.nan)
    entropy[known & seen] = grade_entropy(gradings.grades[known & seen])
    return Buildings(
        identity=found.identity,
        outline=found.outline,
        kind=found.kind,
        name=found.name,
        located=np.where(seen, gradings.located, np.nan),
        grades=np.where(seen[:, None], gradings.grades, np.nan),
        entropy=entropy,
        valid=np.clip(valid, 0, 1),
        verdict=verdict,
        method=np.full(len(found), AUTOMATIC),
    )


def unknown(count: int, grades: int = 4) -> Gradings:
    """Of buildings that nothing looked at."""
    return Gradings(np.full(count, np.nan), np.full((count, grades), np.nan), np.zeros(count))


def beside_water(buildings: Buildings, observed: Observed, event: Event, grid: Grid) -> Buildings:
    """After a flood, "Possibly damaged" in place of "No visible damage" where water is at a tenth of the walls or more:
    what it did within is not seen, see :func:`~mage.scenes.grades.cems_of_roof`.
    """
    water = [extent.outline for extent in observed.extents if extent.what == "flood"]
    if event.kind is not Kind.FLOOD or not water or not len(buildings):
        return buildings
    wet = np.concatenate(water)
    walls = shapely.boundary(shapely.buffer(buildings.outline, BESIDE * grid.gsd))
    wall, pool = shapely.STRtree(wet).query(walls, predicate="intersects")
    at = shapely.length(shapely.intersection(walls[wall], wet[pool]))
    length = np.bincount(wall, at, minlength=len(buildings))
    touched = length >= TOUCHING * shapely.length(walls)
    return replace(buildings, verdict=np.where(touched & (buildings.verdict == SOUND), UNSURE, buildings.verdict))


def clustered(buildings: Buildings) -> Buildings:
    """Buildings with the hot spots of damage among those of which something is known."""
    known = np.isfinite(buildings.damaged)
    z, q, hot = np.full(len(buildings), np.nan), np.ones(len(buildings)), np.zeros(len(buildings), bool)
    found = hot_spots(buildings.points[known], buildings.damaged[known], RADIUS, LEVEL)
    z[known], q[known], hot[known] = found.z, found.q, found.hot
    return replace(buildings, hot=HotSpots(z, q, hot))


def damage_density(buildings: Buildings, grid: Grid) -> tuple[NDArray[np.float32], Grid]:
    """Expected damaged buildings per square kilometre, on a coarse grid over a map, and that grid."""
    gsd = max(COARSE, max(grid.shape) * grid.gsd / MOST)
    coarse = Grid.covering(grid.bounds, gsd, grid.crs)
    known = np.isfinite(buildings.damaged)
    density = kernel_density(buildings.points[known], buildings.damaged[known], coarse, BANDWIDTH)
    return density, coarse


def lattice(buildings: Buildings, area: shapely.Geometry) -> Lattice:
    """Cells of 250 m over an area, and over the points of its buildings, which may lie just beyond it."""
    return Lattice.over(shapely.total_bounds([area, shapely.MultiPoint(buildings.points)]), CELL)


def ranked(
    buildings: Buildings, area: shapely.Geometry, areas: Sequence[shapely.Geometry], names: Sequence[str]
) -> tuple[Area, ...]:
    """Cells of the area's lattice and named areas, those with most damaged buildings first."""
    known = np.isfinite(buildings.damaged)
    points, p = buildings.points[known], np.clip(buildings.damaged[known], 0, 1)
    squares, called = cells(points, lattice(buildings, area))
    named = [name or f"Area {k}" for k, name in enumerate(names, 1)]
    return tuple(affected_areas([*squares, *areas], [*called, *named], points, p))


def _polygonal(shape: shapely.Geometry) -> shapely.Polygon | shapely.MultiPolygon | None:
    """Polygons of what mending an outline left, which may be lines as well."""
    parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > 0]
    return None if not parts else parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
