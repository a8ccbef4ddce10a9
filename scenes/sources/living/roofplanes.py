"""The upper faces of a building as planes on which things can stand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mage.scenes.mesh import Mesh, Surface

Floats = NDArray[np.float64]

_FLAT = 0.995  # cosine of the steepest slope that counts as flat (6 degrees)


@dataclass(frozen=True, slots=True, eq=False)
class Roof:
    """The m upper faces of a roof.

    Attributes:
        corners: (m, 3, 3), local metres.
        normals: (m, 3), unit vectors.
        level: bool (m,), those that count as flat.
        areas: (m,) square metres seen from above.
        heading: direction of the longest wall, radians from east.
    """

    corners: Floats
    normals: Floats
    level: NDArray[np.bool_]
    areas: Floats
    heading: float

    def height(self, xy: Floats, faces: NDArray[np.bool_] | None = None) -> Floats:
        """Highest of the faces (or of some of them) over each point (n, 2), NaN beyond the roof."""
        corners = self.corners if faces is None else self.corners[faces]
        a = corners[:, 0]
        u, v = corners[:, 1] - a, corners[:, 2] - a
        doubled = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
        safe = np.where(np.abs(doubled) > 1e-9, doubled, np.inf)
        d = xy[:, None] - a[None, :, :2]
        s = (d[..., 0] * v[:, 1] - d[..., 1] * v[:, 0]) / safe
        t = (u[:, 0] * d[..., 1] - u[:, 1] * d[..., 0]) / safe
        inside = (s >= -1e-6) & (t >= -1e-6) & (s + t <= 1 + 1e-6) & np.isfinite(safe)
        z = np.where(inside, a[:, 2] + s * u[:, 2] + t * v[:, 2], -np.inf).max(axis=1, initial=-np.inf)
        return np.where(np.isfinite(z), z, np.nan)

    def planes(self) -> NDArray[np.int64]:
        """For each face the number of the plane it lies in, (m,): equal slope and height within centimetres."""
        offset = (self.normals * self.corners[:, 0]).sum(axis=1)
        key = np.column_stack([np.round(self.normals * 50), np.round(offset * 10)])
        return np.unique(key, axis=0, return_inverse=True)[1].reshape(-1)


def roof_of(mesh: Mesh, heading: float) -> Roof:
    """The roof faces of a mesh that look up."""
    normals = mesh.normals
    upward = (mesh.surface == Surface.ROOF) & (normals[:, 2] > 0.05)
    normals, corners = normals[upward], mesh.vertices[mesh.triangles[upward]]
    u, v = corners[:, 1, :2] - corners[:, 0, :2], corners[:, 2, :2] - corners[:, 0, :2]
    areas = np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]) / 2
    return Roof(corners, normals, normals[:, 2] > _FLAT, areas, heading)
