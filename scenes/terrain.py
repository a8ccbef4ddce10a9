"""The ground as a triangulated height field, and fields (water levels) that live on its vertices."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mage.scenes.grid import Grid, row_blocks
from mage.scenes.mesh import Mesh, Surface, compacted

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Terrain:
    """Heights at the vertices of a regular lattice, in the city's local frame.

    Vertex (row, column) lies at (west + column * step, north - row * step). Every cell is cut along its north-west to
    south-east diagonal; :meth:`sample` interpolates linearly within those triangles, so that what is computed, what
    is rendered and what is labelled are one surface.

    Attributes:
        heights: float64 (rows, columns), metres in the city's vertical datum.
        west, north: local coordinates (m) of vertex (0, 0).
        step: spacing of the vertices in metres.
        inferred: true when the source had no terrain and it was made up from the buildings' ground surfaces.
    """

    heights: Floats
    west: float
    north: float
    step: float
    inferred: bool = field(default=False)

    def __post_init__(self) -> None:
        if self.heights.ndim != 2 or min(self.heights.shape) < 2 or not np.isfinite(self.heights).all():
            raise ValueError(f"a terrain needs at least 2 x 2 finite heights, found {self.heights.shape}")

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) in metres."""
        rows, columns = self.heights.shape
        return self.west, self.north - (rows - 1) * self.step, self.west + (columns - 1) * self.step, self.north

    def axes(self) -> tuple[Floats, Floats]:
        """X of every column (columns,) and y of every row (rows,), metres."""
        rows, columns = self.heights.shape
        return self.west + np.arange(columns) * self.step, self.north - np.arange(rows) * self.step

    def points(self) -> Floats:
        """(x, y) of all vertices, shape (rows * columns, 2), row by row."""
        x, y = self.axes()
        return np.stack([np.tile(x, len(y)), np.repeat(y, len(x))], axis=1)

    def sample(self, where: Floats | Grid, values: Floats | None = None) -> Floats:
        """Heights, or any field ``values`` (rows, columns) on the vertices, at points (..., 2) or all pixel centres of
        a grid, in its shape.

        Points outside are clamped to the border. NaN in ``values`` makes NaN wherever its vertex takes part.
        """
        values = self.heights if values is None else values
        x, y = _axes(where)
        if not isinstance(where, Grid):
            return self._interpolated(x, y, values)
        sampled = np.empty(where.shape)
        for rows in row_blocks(where.shape):
            sampled[rows] = self._interpolated(x, y[rows], values)
        return sampled

    def _interpolated(self, x: Floats, y: Floats, values: Floats) -> Floats:
        rows, columns = self.heights.shape
        c = np.clip((x - self.west) / self.step, 0, columns - 1)
        r = np.clip((self.north - y) / self.step, 0, rows - 1)
        c0 = np.minimum(c.astype(np.int32), columns - 2)
        r0 = np.minimum(r.astype(np.int32), rows - 2)
        fc, fr = c - c0, r - r0
        upper = fc >= fr  # the triangle north-west, north-east, south-east
        flat, corner = values.ravel(), r0 * columns + c0
        nw, se = flat.take(corner), flat.take(corner + (columns + 1))
        third = flat.take(corner + np.where(upper, 1, columns))
        a, b = np.where(upper, 1 - fc, 1 - fr), np.where(upper, fr, fc)
        return np.asarray(a * nw + b * se + (1 - a - b) * third)

    def window(self, bounds: tuple[float, float, float, float]) -> tuple[slice, slice]:
        """Rows and columns of the vertices of all cells that (west, south, east, north) touches, two each at least."""
        west, south, east, north = bounds
        rows, columns = self.heights.shape

        def _within(low: float, high: float, count: int) -> slice:
            first = min(max(int(np.floor(low / self.step)), 0), count - 2)
            return slice(first, min(max(int(np.ceil(high / self.step)) + 1, first + 2), count))

        return _within(self.north - north, self.north - south, rows), _within(
            west - self.west, east - self.west, columns
        )

    def part(self, window: tuple[slice, slice]) -> Terrain:
        """The terrain on a :meth:`window` of its vertices."""
        rows, columns = window
        west, north = self.west + columns.start * self.step, self.north - rows.start * self.step
        return Terrain(self.heights[window], west, north, self.step, self.inferred)

    def triangles(self) -> NDArray[np.int32]:
        """The cells' triangles (2 * cells, 3) as indices into :meth:`points`, facing up."""
        rows, columns = self.heights.shape
        i = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
        upper = np.stack([i, i + columns + 1, i + 1], axis=1)
        lower = np.stack([i, i + columns, i + columns + 1], axis=1)
        return np.stack([upper, lower], axis=1).reshape(-1, 3).astype(np.int32)

    def mesh(self) -> Mesh:
        """The ground as a mesh of ``Surface.GROUND``."""
        return self._surface(self.heights, self.triangles())

    def water_mesh(self, levels: Floats) -> Mesh:
        """The surface of water that stands at ``levels`` (rows, columns; NaN where there is none), metres.

        Only triangles whose three vertices have a level are kept; the ground pokes through where it is higher, so that
        the shoreline is the exact intersection of two linear surfaces. See :func:`extended_levels`.
        """
        triangles = self.triangles()
        keep = np.isfinite(levels).ravel()[triangles].all(axis=1)
        return self._surface(np.nan_to_num(levels), triangles[keep])

    def _surface(self, z: Floats, triangles: NDArray[np.int32]) -> Mesh:
        vertices = np.column_stack([self.points(), z.ravel()])
        used, triangles = compacted(triangles, len(vertices))
        vertices = vertices[used]
        surface = np.full(len(triangles), Surface.GROUND, np.uint8)
        # ground is painted by its place on the map
        return Mesh(vertices, triangles, surface, vertices[:, :2].astype(np.float32)[triangles])


_NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1))  # the six that share a triangle's edge


def neighbours(values: NDArray[np.float64]) -> Floats:
    """Values of the six vertices joined to each vertex by an edge, (6, rows, columns), NaN beyond the border."""
    padded = np.pad(values, 1, constant_values=np.nan)
    rows, columns = values.shape
    return np.stack([padded[1 + dr : 1 + dr + rows, 1 + dc : 1 + dc + columns] for dr, dc in _NEIGHBOURS])


def extended_levels(terrain: Terrain, levels: Floats) -> Floats:
    """Levels carried one vertex beyond the wet ones, onto ground that stands higher.

    ``levels`` (rows, columns) is NaN on dry vertices. A dry vertex with a wet neighbour takes the highest of its
    neighbours' levels, but only if the ground there is at or above it: water never leaks over ground that it
    did not reach.
    """
    highest = np.fmax.reduce(neighbours(levels))
    shore = np.isnan(levels) & (terrain.heights >= highest)
    return np.where(shore, highest, levels)


def _axes(where: Floats | Grid) -> tuple[Floats, Floats]:
    """X and y of points (..., 2), or of a grid's pixel centres: (1, columns) and (rows, 1)."""
    if not isinstance(where, Grid):
        return where[..., 0], where[..., 1]
    x, y = where.centres()
    return x[None, :], y[:, None]


def depth_at(terrain: Terrain, levels: Floats, where: Floats | Grid) -> Floats:
    """Depth of water in metres at points (..., 2) or a grid's pixel centres: level minus ground where that is above
    zero, else 0.

    ``levels`` are those of :func:`extended_levels`. This is the same linear interpolation that
    :meth:`Terrain.water_mesh` renders.
    """
    above = levels - terrain.heights
    x, y = _axes(where)
    if not _any_near(terrain, above > 0, x, y):
        return np.zeros(np.broadcast_shapes(x.shape, y.shape))
    depth = terrain.sample(where, above)
    return np.where(np.isfinite(depth) & (depth > 0), depth, 0.0)


def _any_near(terrain: Terrain, where: NDArray[np.bool_], x: Floats, y: Floats) -> bool:
    """Whether a vertex that any of the points takes part of is one of those: most tiles hold no water."""
    if x.size == 0:
        return False
    rows, columns = where.shape
    west, east = (np.clip((float(v) - terrain.west) / terrain.step, 0, columns - 1) for v in (x.min(), x.max()))
    north, south = (np.clip((terrain.north - float(v)) / terrain.step, 0, rows - 1) for v in (y.max(), y.min()))
    return bool(where[max(int(north) - 1, 0) : int(south) + 2, max(int(west) - 1, 0) : int(east) + 2].any())
