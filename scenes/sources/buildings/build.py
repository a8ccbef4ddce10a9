"""From a building's polygons to a :class:`Building`: mesh, footprint, heights and roof, all measured on the mesh."""

from __future__ import annotations

from collections import Counter

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon

from mage.scenes.city import Building
from mage.scenes.mesh import Mesh, Surface, concatenate
from mage.scenes.sources.buildings.attributes import occupancy_of, roof_kind_of, storeys_of, year_of
from mage.scenes.sources.buildings.flatness import roof_of
from mage.scenes.sources.buildings.outlines import raise_outlines
from mage.scenes.sources.buildings.surfaces import shell_mesh
from mage.scenes.sources.crs import Frame
from mage.scenes.sources.raw import Floats, Polygons, RawBuilding

GRID = 1e-6  # metres
LEVEL = 0.01  # metres; a building whose points differ less in height is an outline
SLIVER = 0.5  # square metres; smaller pieces of a footprint, and holes in it, are errors of digitising


def build(raw: RawBuilding, frame: Frame, origin: tuple[float, float], notes: Counter[str]) -> Building | None:
    """The building in local metres, or None (counted in ``notes``) where there is nothing to build.

    Levels of detail 1 to 3 are built as they are and made watertight. Outlines (LoD0), and solids whose points all
    lie at one height, are raised by what the attributes say. Installations join the mesh as clutter, and nothing is
    measured on them.
    """
    lod, raw_shells = raw.finest()
    shells = [localised(shell, frame, origin) for shell in raw_shells]
    if shells and (lod == 0 or _is_level(shells)):
        notes["solids without a height taken as outlines"] += lod > 0
        return raise_outlines(raw, lod, lambda shell: localised(shell, frame, origin), notes)
    mixed = {int(max(o.shells)) for o in raw.objects[1:] if o.shells and not o.installation} - {0}
    notes["buildings with parts of different LoD"] += len(mixed) > 1
    mesh = _solids(shells, notes)
    outline = footprint(mesh)
    if outline is None:
        notes["buildings without a footprint left out" if len(mesh) else _reason(raw, lod)] += 1
        return None
    return _measured(raw, lod, mesh, outline, _installations(raw, frame, origin, notes))


def _is_level(shells: list[Polygons]) -> bool:
    z = np.concatenate([shell.points[:, 2] for shell in shells])
    return bool(len(z) and np.isfinite(z).all() and np.ptp(z) < LEVEL)


def _solids(shells: list[Polygons], notes: Counter[str]) -> Mesh:
    own: Counter[str] = Counter()
    mesh, _ = concatenate([shell_mesh(shell, own) for shell in shells])
    notes.update(own)
    notes["buildings with missing walls rebuilt"] += own["missing walls rebuilt"] > 0
    notes["buildings left open"] += own["shells left open"] + own["sheets without a volume left open"] > 0
    return mesh


def _installations(raw: RawBuilding, frame: Frame, origin: tuple[float, float], notes: Counter[str]) -> Mesh:
    """Chimneys, balconies, stairs: clutter where no label says roof, wall or opening; left as open as they come."""
    meshes = []
    for shell in raw.installations():
        plain = (shell.surface == Surface.OTHER) | (shell.surface == Surface.GROUND)
        surface = np.where(plain, np.uint8(Surface.CLUTTER), shell.surface)
        labelled = Polygons(shell.points, shell.sizes, shell.rings, surface)
        meshes.append(shell_mesh(localised(labelled, frame, origin), notes, closing=False))
    notes["installations built"] += len(meshes)
    return concatenate(meshes)[0]


def _measured(raw: RawBuilding, lod: int, mesh: Mesh, outline: Polygon | MultiPolygon, installations: Mesh) -> Building:
    objects = [item.attributes for item in raw.objects]
    occupancy = occupancy_of(objects)
    low, high = (float(corner[2]) for corner in mesh.bounds)
    roof, lowest = roof_of(mesh)
    return Building(
        id=raw.id,
        footprint=outline,
        ground=low,
        height=high - low,
        eave=(high if lowest is None else lowest) - low,
        mesh=concatenate([mesh, installations])[0] if len(installations) else mesh,
        lod=lod,
        parts=max(1, sum(not item.installation for item in raw.objects[1:])),
        storeys=storeys_of(objects),
        year=year_of(objects),
        occupancy=occupancy or "residential",
        roof=roof_kind_of(objects) if roof == "unknown" else roof,
        inferred=() if occupancy else ("occupancy",),
        attributes=raw.attributes,
    )


def _reason(raw: RawBuilding, lod: int) -> str:
    if lod == 0 and raw.unused:
        levels = " and ".join(f"LoD{level}" for level in sorted(raw.unused) if level >= 0)
        return f"buildings with {levels or 'an unknown LoD'} only left out"
    return "buildings without geometry left out"


def localised(shell: Polygons, frame: Frame, origin: tuple[float, float]) -> Polygons:
    """The shell in local metres."""
    points = frame.project(shell.points) - (*origin, 0.0)
    return Polygons(points, shell.sizes, shell.rings, shell.surface)


def footprint(mesh: Mesh) -> Polygon | MultiPolygon | None:
    """Union of the ground surfaces seen from above, or of the roofs where no ground surface has an area."""
    for kind in (Surface.GROUND, Surface.ROOF):
        triangles = mesh.triangles[mesh.surface == kind]
        outline = _union(mesh.vertices[triangles][..., :2])
        if outline is not None:
            return outline
    return None


def _union(triangles: Floats) -> Polygon | MultiPolygon | None:
    """The union of flat triangles (m, 3, 2) without slivers, valid; None if nothing is left."""
    pieces = shapely.polygons(triangles[_doubled_area(triangles) > 1e-6])
    # on a grid: without one, GEOS may lose a piece where edges lie within a rounding error of each other
    merged = shapely.make_valid(shapely.union_all(pieces, grid_size=GRID))
    parts = [_without_pinholes(p) for p in shapely.get_parts(merged) if p.geom_type == "Polygon" and p.area >= SLIVER]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _doubled_area(triangles: Floats) -> Floats:
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def _without_pinholes(polygon: Polygon) -> Polygon:
    return Polygon(polygon.exterior, [ring for ring in polygon.interiors if Polygon(ring).area >= SLIVER])
