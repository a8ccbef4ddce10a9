"""A city laid on a terrain: buildings get a ground to stand on, water a level, and walls reach down to the ground."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.scenes.city import Building, City
from mage.scenes.mesh import Mesh, Surface, planar_uv
from mage.scenes.sources.ground.levels import level_water
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]

DOOR = 2.2  # metres of wall, or all there is, that stand free at the highest point of the ground around a building
UPHILL = 0.25  # share of the outline along which the ground lies below the floor of a building without a height
PLINTH = 0.3  # metres that walls carried down reach into the ground
FOOT = 0.3  # metres above a building's lowest point within which its walls begin
AFLOAT = 0.02  # metres that a given foot may stand above the ground
SPACING = 1.0  # metres between the points of an outline, half a step of the terrain if that is less

CARRIED, BURIED = "walls carried down to the terrain", "buildings with their foot below the terrain"
DRAPED = "draped ground"  # stands in ``Building.inferred`` for ``ground`` once a terrain has given it


def drape(city: City, terrain: Terrain) -> City:
    """The city on this terrain, which is left as it is.

    A building whose source gives no ground (``ground`` in ``inferred``) is lifted: its ground is the height that a
    quarter of the terrain along its outline stays below, or as much higher as it takes for 2.2 m of wall, or all that
    there is below the eave, to stand free on the highest side, where the door is. Walls that begin at its foot are
    carried down to 0.3 m below the lowest terrain along the outline. ``ground`` is renamed to ``draped ground``.

    A building with a ground of its own stays. Where its foot stands above the terrain its walls are carried down in
    the same way; where it lies below nothing changes; both are counted in ``notes``. Water without a level gets one,
    see :func:`mage.scenes.sources.ground.levels.level_water`.
    """
    city = level_water(replace(city, terrain=terrain), terrain)
    notes = Counter(city.notes)
    notes[BURIED] = 0  # a city that was draped before is counted anew; walls that reach down already are not
    around = _around(terrain, city.buildings)
    buildings = tuple(_stood(b, site, notes) for b, site in zip(city.buildings, around, strict=True))
    return replace(city, buildings=buildings, notes={name: count for name, count in sorted(notes.items()) if count})


@dataclass(frozen=True, slots=True)
class _Site:
    """Heights of the terrain along an outline: the lowest, that of :data:`UPHILL`, and the highest, metres."""

    lowest: float
    low: float
    highest: float


def _around(terrain: Terrain, buildings: Sequence[Building]) -> list[_Site]:
    if not buildings:
        return []
    outlines = shapely.segmentize([b.footprint for b in buildings], min(SPACING, terrain.step / 2))
    points, owner = shapely.get_coordinates(outlines, return_index=True)
    z = terrain.sample(points)
    order = np.lexsort((z, owner))
    z, count = z[order], np.bincount(owner, minlength=len(buildings))
    first = np.cumsum(count) - count
    at = [first, first + (UPHILL * (count - 1)).astype(np.int64), first + count - 1]
    return [_Site(*map(float, heights)) for heights in np.column_stack([z[i] for i in at])]


def _stood(building: Building, site: _Site, notes: Counter[str]) -> Building:
    if "ground" in building.inferred:
        ground = max(site.low, site.highest - max(building.eave - DOOR, 0.0))
        names = tuple(DRAPED if name == "ground" else name for name in building.inferred)
        lifted = replace(building, mesh=raised(building.mesh, ground), ground=ground, inferred=names)
        return replace(lifted, mesh=_carried_down(lifted, site.lowest))
    if building.mesh.vertices[:, 2].min() > site.lowest + AFLOAT:
        notes[CARRIED] += 1
        return replace(building, mesh=_carried_down(building, site.lowest))
    notes[BURIED] += int(building.ground < site.lowest - AFLOAT)
    return building


def undraped(building: Building) -> Building:
    """The building as one whose heights count from the ground, after its mesh was raised anew."""
    return replace(building, inferred=tuple("ground" if name == DRAPED else name for name in building.inferred))


def raised(mesh: Mesh, metres: float) -> Mesh:
    """The mesh that much higher."""
    return replace(mesh, vertices=mesh.vertices + np.array([0.0, 0.0, metres]))


def _carried_down(building: Building, lowest: float) -> Mesh:
    """The mesh with all that stands at the building's foot, but for roofs, let down into the ground."""
    mesh = building.mesh
    foot = mesh.vertices[:, 2] <= building.ground + FOOT
    foot[mesh.triangles[mesh.surface == Surface.ROOF]] = False
    foot &= mesh.vertices[:, 2] > lowest - PLINTH
    return moved(mesh, foot, np.where(foot, lowest - PLINTH, mesh.vertices[:, 2]))


def moved(mesh: Mesh, changed: NDArray[np.bool_], z: Floats) -> Mesh:
    """The mesh with new heights ``z`` (n,) of its vertices, and the pattern of the walls that changed drawn anew."""
    vertices = np.column_stack([mesh.vertices[:, :2], z])
    walls = changed[mesh.triangles].any(axis=1) & (mesh.surface != Surface.ROOF)
    uv = mesh.uv.copy()
    uv[walls] = planar_uv(vertices, mesh.triangles[walls])
    return replace(mesh, vertices=vertices, uv=uv)
