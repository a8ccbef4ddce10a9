"""From a building's polygons to a :class:`Building`: mesh, footprint, heights and roof, all measured on the mesh."""

from __future__ import annotations

from collections import Counter

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon

from mage.scenes.city import Building
from mage.scenes.mesh import Mesh, Surface, concatenate
from mage.scenes.sources.attributes import occupancy_of, storeys_of, year_of
from mage.scenes.sources.crs import Frame
from mage.scenes.sources.raw import Floats, Polygons, RawBuilding
from mage.scenes.sources.surfaces import shell_mesh

SLIVER = 0.5  # square metres; smaller pieces of a footprint, and holes in it, are errors of digitising
FLAT_SPREAD = 0.3  # metres; a roof that varies less in height is flat
FLAT_SLOPE = np.cos(np.radians(5))  # the unit normal of a roof face under this slope rises by more than this
FLAT_SHARE = 0.7  # of the roof's area; a roof of several levels is flat if that much of it is


def build(raw: RawBuilding, frame: Frame, origin: tuple[float, float], notes: Counter[str]) -> Building | None:
    """The building in local metres, or None (counted in ``notes``) where there is nothing to build."""
    lod, shells = raw.finest()
    mesh, _ = concatenate([shell_mesh(localised(shell, frame, origin), notes) for shell in shells])
    if not len(mesh):
        notes[_reason(raw, lod)] += 1
        return None
    outline = footprint(mesh)
    if outline is None:
        notes["buildings without a footprint left out"] += 1
        return None
    objects = [part.attributes for part in raw.objects]
    occupancy = occupancy_of(objects)
    used = mesh.vertices[mesh.triangles]
    ground, top = float(used[..., 2].min()), float(used[..., 2].max())
    roof, lowest = roof_of(mesh)
    return Building(
        id=raw.id,
        footprint=outline,
        ground=ground,
        height=top - ground,
        eave=(top if lowest is None else lowest) - ground,
        mesh=mesh,
        lod=lod,
        storeys=storeys_of(objects),
        year=year_of(objects),
        occupancy=occupancy or "residential",
        roof=roof,
        inferred=() if occupancy else ("occupancy",),
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
    merged = shapely.make_valid(shapely.union_all(pieces))
    parts = [_without_pinholes(p) for p in shapely.get_parts(merged) if p.geom_type == "Polygon" and p.area >= SLIVER]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _doubled_area(triangles: Floats) -> Floats:
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def _without_pinholes(polygon: Polygon) -> Polygon:
    return Polygon(polygon.exterior, [ring for ring in polygon.interiors if Polygon(ring).area >= SLIVER])


def roof_of(mesh: Mesh) -> tuple[str, float | None]:
    """``flat``, ``pitched`` or ``unknown``, and the height of the lowest roof edge (None without a roof)."""
    faces = mesh.surface == Surface.ROOF
    if not faces.any():
        return "unknown", None
    z = mesh.vertices[mesh.triangles[faces]][..., 2]
    areas = mesh.areas[faces]
    level = areas[np.abs(mesh.normals[faces, 2]) > FLAT_SLOPE].sum()
    flat = np.ptp(z) < FLAT_SPREAD or level > FLAT_SHARE * areas.sum()
    return "flat" if flat else "pitched", float(z.min())
