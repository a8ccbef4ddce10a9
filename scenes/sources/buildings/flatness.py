"""Whether a roof is flat, and where its lowest edge lies, measured on a building's mesh."""

from __future__ import annotations

import numpy as np

from mage.scenes.mesh import Mesh, Surface

FLAT_SPREAD = 0.3  # metres; a roof that varies less in height is flat
FLAT_SLOPE = np.cos(np.radians(5))  # the unit normal of a roof face under this slope rises by more than this
FLAT_SHARE = 0.7  # of the roof's area; a roof of several levels is flat if that much of it is


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
