"""Roofs lifted to a surface model: for sources whose heights are too low or too high."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.scenes.city import Building, City
from mage.scenes.mesh import Mesh, Surface
from mage.scenes.sources.ground.draping import FOOT, moved
from mage.scenes.sources.ground.elevation import read_terrain
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]

MOST_POINTS = 400  # of the surface that are compared with one roof
FEWEST_POINTS = 4
LOWEST_EAVE = 2.0  # metres above the ground below which no roof is let down


def lift_roofs(city: City, surface: Path | Terrain) -> City:
    """The city with every roof moved up or down by the median height of a surface model above it.

    The median is that of the surface's vertices inside the footprint, one step and more from its edge: trees that hang
    over the eaves, chimneys and outliers do not count. A roof keeps its shape; all of the building moves but what
    stands at its foot. Buildings too small to hold four vertices, whose eave would come within 2 m of the ground, or
    that have no ground of their own yet, stay as they are. All is counted in ``notes``.

    Args:
        city: with heights in the surface's vertical datum.
        surface: a GeoTIFF of the highest points (a DSM), or one that :func:`read_terrain` has read.

    Raises:
        CityError: as :func:`read_terrain`.
    """
    notes = Counter(city.notes)
    model = surface if isinstance(surface, Terrain) else read_terrain([surface], city, notes=notes)
    buildings = tuple(_lifted(b, model, notes) for b in city.buildings)
    return replace(city, buildings=buildings, notes={name: count for name, count in sorted(notes.items()) if count})


def _lifted(building: Building, surface: Terrain, notes: Counter[str]) -> Building:
    points = _inside(building, surface)
    roof = roof_heights(building.mesh, points)
    known = np.isfinite(roof)
    if "ground" in building.inferred or known.sum() < FEWEST_POINTS:
        notes["roofs without a surface to lift them to"] += 1
        return building
    shift = float(np.median(surface.sample(points[known]) - roof[known]))
    if building.eave + shift < LOWEST_EAVE:
        notes["roofs that the surface model lies too far below"] += 1
        return building
    notes["roofs lifted to the surface model"] += 1
    mesh = building.mesh
    upper = mesh.vertices[:, 2] > building.ground + FOOT
    upper[mesh.triangles[mesh.surface == Surface.ROOF]] = True
    lifted = moved(mesh, upper, mesh.vertices[:, 2] + np.where(upper, shift, 0.0))
    return replace(building, mesh=lifted, height=building.height + shift, eave=building.eave + shift)


def _inside(building: Building, surface: Terrain) -> Floats:
    """Vertices (n, 2) of the surface at least a step inside the footprint, evenly thinned."""
    core = building.footprint.buffer(-surface.step)
    x, y = surface.axes()
    west, south, east, north = core.bounds if not core.is_empty else (0.0, 0.0, -1.0, -1.0)
    x, y = x[(x >= west) & (x <= east)], y[(y >= south) & (y <= north)]
    points = np.column_stack([np.tile(x, len(y)), np.repeat(y, len(x))])
    shapely.prepare(core)
    points = points[shapely.contains_xy(core, points)]
    return points[:: max(1, len(points) // MOST_POINTS)]


def roof_heights(mesh: Mesh, points: Floats) -> Floats:
    """Height of the highest roof over each point (n, 2), NaN where there is none."""
    a, b, c = mesh.vertices[mesh.triangles[mesh.surface == Surface.ROOF]].transpose(1, 0, 2)
    (ux, uy), (vx, vy) = (b - a)[:, :2].T, (c - a)[:, :2].T
    area = ux * vy - uy * vx
    some = np.abs(area) > 1e-9
    px, py = (points[:, None, :] - a[None, :, :2]).transpose(2, 0, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        s, t = (px * vy - py * vx) / area, (ux * py - uy * px) / area
        inside = some & (np.minimum(np.minimum(s, t), 1 - s - t) >= -1e-9)
        z = np.where(inside, a[:, 2] + s * (b - a)[:, 2] + t * (c - a)[:, 2], -np.inf)
    highest = z.max(axis=1, initial=-np.inf)
    return np.where(np.isfinite(highest), highest, np.nan)
