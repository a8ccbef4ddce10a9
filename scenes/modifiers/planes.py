"""Roofs as flat polygons, and the irregular patches that come off them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from shapely.geometry import MultiPolygon, Polygon

from mage.scenes.mesh import Mesh, Surface
from mage.scenes.modifiers.bodies import built, polygonal, triangulated

Floats = NDArray[np.float64]

CELLS = 900  # of a roof at most, when patches are drawn
COURSE = 0.35  # metres: edges of patches follow the courses of tiles and shingles


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """A plane of a roof: a point of it (3,), unit vectors along the eave, up the slope and outward (3, 3), and its
    outline in metres along the first two.
    """

    origin: Floats
    axes: Floats
    outline: Polygon | MultiPolygon

    def lifted(self, flat: Floats, off: float = 0.0) -> Floats:
        """Points (n, 2) of the plane in space (n, 3), ``off`` metres out of it."""
        return np.asarray(self.origin + flat @ self.axes[:2] + off * self.axes[2])

    def sheet(self, shape: Polygon | MultiPolygon, surface: int, off: float = 0.0) -> Mesh:
        """A shape of the plane as a mesh."""
        flat, faces = triangulated(shape)
        return built(self.lifted(flat, off), faces, surface, np.ones(len(faces)))


def roof_planes(mesh: Mesh) -> tuple[list[Plane], NDArray[np.bool_]]:
    """Planes of the roof's upper faces, largest first, and which faces (m,) they are."""
    normals = mesh.normals
    upper = (mesh.surface == Surface.ROOF) & (normals[:, 2] > 0.08)
    corners, normal = mesh.vertices[mesh.triangles[upper]], normals[upper]
    offset = (normal * corners[:, 0]).sum(axis=1)
    key = np.column_stack([np.round(normal * 50), np.round(offset * 10)])
    _, group = np.unique(key, axis=0, return_inverse=True)
    group = group.reshape(-1)
    planes = [_plane(corners[group == g], normal[group == g]) for g in range(group.max() + 1 if len(group) else 0)]
    return sorted((p for p in planes if p.outline.area > 0.01), key=lambda p: -p.outline.area), upper


def _plane(corners: Floats, normals: Floats) -> Plane:
    n = normals.mean(axis=0)
    n /= np.linalg.norm(n)
    u = np.array([-n[1], n[0], 0.0]) if np.hypot(n[0], n[1]) > 0.02 else np.array([1.0, 0.0, 0.0])
    u /= np.linalg.norm(u)
    axes = np.stack([u, np.cross(n, u), n])
    flat = (corners - corners[0, 0]) @ axes[:2].T
    shapes = shapely.polygons(flat)
    outline = shapely.union_all(shapes[shapely.area(shapes) > 1e-4], grid_size=1e-4)
    return Plane(corners[0, 0], axes, polygonal(outline))


def patches(
    rng: np.random.Generator, planes: list[Plane], shares: tuple[float, ...], grain: float = 1.0
) -> list[list[Polygon | MultiPolygon]]:
    """For each share a list with a shape for each plane; together they hold that share of the roof's area.

    A smaller share lies within a larger one. Patches grow from edges, where wind and shaking take hold first, and one
    face of a roof loses more than another. ``grain`` is how wide a patch is, metres.
    """
    cell = max(COURSE, float(np.sqrt(sum(p.outline.area for p in planes) / CELLS)))
    fields, inside, corners = [], [], []
    for plane in planes:
        west, south, east, north = plane.outline.bounds
        x, y = np.arange(west, east, cell), np.arange(south, north, cell)
        centre = np.stack(np.meshgrid(x + cell / 2, y + cell / 2), axis=-1)
        shapely.prepare(plane.outline)
        within = shapely.contains_xy(plane.outline, centre.reshape(-1, 2)).reshape(len(y), len(x))
        smooth = gaussian_filter(rng.normal(size=within.shape), max(0.6, grain / cell), mode="reflect")
        smooth /= max(float(smooth.std()), 1e-9)
        edge = gaussian_filter((~np.pad(within, 2)).astype(float), 1.5)[2:-2, 2:-2]
        fields.append(smooth + 1.2 * edge + 0.25 / grain * rng.normal(size=within.shape) + 0.5 * rng.normal())
        inside.append(within)
        corners.append(np.array([west, south]))
    every = np.concatenate([f[w] for f, w in zip(fields, inside, strict=True)] or [np.zeros(0)])
    found: dict[float, list[Polygon | MultiPolygon]] = {}
    for share in set(shares):
        least = np.quantile(every, 1 - min(share, 1.0)) if len(every) and share > 0 else np.inf
        least = -np.inf if share >= 1 else least
        found[share] = [
            _patch(plane, field >= least, corner, cell)
            for plane, field, corner in zip(planes, fields, corners, strict=True)
        ]
    return [found[share] for share in shares]


def _patch(plane: Plane, chosen: NDArray[np.bool_], corner: Floats, cell: float) -> Polygon | MultiPolygon:
    """The part of a plane in the chosen cells (rows, columns), the first of which begins at a corner (2,)."""
    if not chosen.any():
        return MultiPolygon()
    if chosen.all():
        return plane.outline
    row, column = np.nonzero(chosen)
    x, y = (at + np.arange(n + 1) * cell for at, n in zip(corner, chosen.shape[::-1], strict=True))
    # cells share their corners to the bit, so that their union needs no overlay, which would cost ten times as much
    cells = shapely.coverage_union_all(shapely.box(x[column], y[row], x[column + 1], y[row + 1]))
    return polygonal(shapely.intersection(plane.outline, cells, grid_size=1e-4))
