"""Small closed bodies in bulk: boxes and prisms from their rings, as one mesh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mage.scenes.mesh import Mesh, Surface, empty_mesh

Floats = NDArray[np.float64]


def turned(xy: Floats, angle: Floats) -> Floats:
    """Points (n, k, 2) turned about the origin by angles (n,), radians."""
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.stack([xy[..., 0] * c - xy[..., 1] * s, xy[..., 0] * s + xy[..., 1] * c], axis=-1)


def at_height(ring: Floats, z: Floats) -> Floats:
    """Rings (n, k, 2) lifted to heights (n,) or (n, k), (n, k, 3)."""
    height = np.broadcast_to(z[:, None] if z.ndim == 1 else z, ring.shape[:2])
    return np.concatenate([ring, height[..., None]], axis=2)


def prisms_mesh(low: Floats, high: Floats, thing: int) -> Mesh:
    """Closed prisms of ``Surface.CLUTTER`` between n pairs of rings (n, k, 3), which run counter-clockwise seen
    from above.

    The face attribute ``thing`` holds the number given. UV is left at 0, for the caller to lay once over all bodies.
    """
    n, k = low.shape[:2]
    if n == 0:
        return empty_mesh()
    i = np.arange(k)
    j = (i + 1) % k
    fan = np.arange(1, k - 1)
    zero = np.zeros_like(fan)
    faces = np.concatenate(
        [
            np.stack([zero, fan + 1, fan], axis=1),
            np.stack([zero, fan, fan + 1], axis=1) + k,
            np.stack([i, j, j + k], axis=1),
            np.stack([i, j + k, i + k], axis=1),
        ]
    )
    triangles = (faces[None] + 2 * k * np.arange(n)[:, None, None]).reshape(-1, 3).astype(np.int32)
    vertices = np.concatenate([low, high], axis=1).reshape(-1, 3)
    surface = np.full(len(triangles), Surface.CLUTTER, np.uint8)
    attributes = {"thing": np.full(len(triangles), thing, np.float32)}
    return Mesh(vertices, triangles, surface, np.zeros((len(triangles), 3, 2), np.float32), attributes)


def octagons(middle: Floats, radius: Floats) -> Floats:
    """Regular octagons (n, 8, 2) about points (n, 2)."""
    angle = np.arange(8) * np.pi / 4
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return middle[:, None] + radius[:, None, None] * circle
