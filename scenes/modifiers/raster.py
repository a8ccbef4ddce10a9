"""Which triangle is on top, cell by cell: a small z-buffer on regular cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mage.scenes.mesh import Mesh

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CHUNK = 2_000_000  # candidates (triangle, cell) looked at together


def covered(corners: Floats, west: float, south: float, step: float) -> tuple[Ints, Ints, Ints, Floats]:
    """Cells whose middles triangles (n, 3, 3) cover: triangle, column, row and height (k,) of each pair.

    Cell (column, row) has its middle at (west + (column + 0.5) step, south + (row + 0.5) step).
    """
    flat = (corners[..., :2] - (west, south)) / step - 0.5
    least, most = _span(flat)
    low = np.ceil(least - 1e-9).astype(np.int64)
    span = np.maximum(np.floor(most + 1e-9).astype(np.int64) - low + 1, 0)
    count = span[:, 0] * span[:, 1]
    pieces = []
    ends = np.cumsum(count)
    begin = 0
    while begin < len(count):
        last = max(begin + 1, int(np.searchsorted(ends, (ends[begin - 1] if begin else 0) + CHUNK)))
        pieces.append(_inside(flat, corners[..., 2], low, span, count, np.arange(begin, last)))
        begin = last
    if not pieces:
        return np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), np.zeros(0)
    t, c, r, z = (np.concatenate(p) for p in zip(*pieces, strict=True))
    return t, c, r, z


def _span(corners: Floats) -> tuple[Floats, Floats]:
    """Lowest and highest of three corners (n, 3, 2); by pairs, which is faster than along so short an axis."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    return np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)


def _inside(
    flat: Floats, z: Floats, low: Ints, span: Ints, count: Ints, chosen: Ints
) -> tuple[Ints, Ints, Ints, Floats]:
    t = np.repeat(chosen, count[chosen])
    at = np.arange(len(t)) - np.repeat(np.cumsum(count[chosen]) - count[chosen], count[chosen])
    column, row = low[t, 0] + at % span[t, 0], low[t, 1] + at // span[t, 0]
    a = flat[:, 0]
    u, v = flat[:, 1] - a, flat[:, 2] - a
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    good = np.abs(area) > 1e-12
    inverse = np.divide(1.0, area, out=np.zeros_like(area), where=good)
    dx, dy = column - a[t, 0], row - a[t, 1]
    p = (dx * v[t, 1] - dy * v[t, 0]) * inverse[t]
    q = (u[t, 0] * dy - u[t, 1] * dx) * inverse[t]
    keep = good[t] & (p >= -1e-9) & (q >= -1e-9) & (p + q <= 1 + 1e-9)
    t, column, row, p, q = t[keep], column[keep], row[keep], p[keep], q[keep]
    return t, column, row, z[t, 0] + p * (z[t, 1] - z[t, 0]) + q * (z[t, 2] - z[t, 0])


def top_faces(mesh: Mesh, west: float, south: float, step: float, shape: tuple[int, int]) -> tuple[Floats, Ints]:
    """Height (rows, columns) of a mesh's highest point over each cell's middle, -inf where there is none, and its face
    (-1 where there is none). Row 0 lies in the south.
    """
    rows, columns = shape
    height, face = np.full(rows * columns, -np.inf), np.full(rows * columns, -1)
    if len(mesh):
        corners = mesh.vertices[mesh.triangles]
        low, high = _span(corners[..., :2])
        far = np.array([west + columns * step, south + rows * step])
        hit = (high >= (west, south)) & (low <= far)
        near = np.flatnonzero(hit[:, 0] & hit[:, 1])
        t, c, r, z = covered(corners[near], west, south, step)
        t = near[t]
        keep = (c >= 0) & (c < columns) & (r >= 0) & (r < rows)
        t, cell, z = t[keep], (r * columns + c)[keep], z[keep]
        order = np.lexsort((-t, z, cell))
        last = np.flatnonzero(np.diff(cell[order], append=-1))
        chosen = order[last]
        height[cell[chosen]], face[cell[chosen]] = z[chosen], t[chosen]
    return height.reshape(shape), face.reshape(shape)
