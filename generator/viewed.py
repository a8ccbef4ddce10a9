"""Outlines of buildings as an image shows them: on the ground, and leaning where it is slanted."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.generator.rings import parts_of
from mage.generator.sight import Sight
from mage.scenes.city import Building
from mage.scenes.dataset.schema import Ring, ViewedRecord
from mage.scenes.grid import Grid
from mage.scenes.mesh import Surface

SLIT = 0.02  # pixels between faces that are one


def viewed(building: Building, sight: Sight, grid: Grid) -> ViewedRecord | None:
    """How a building, as it was before, shows in a slanted image; None in one from straight above.

    ``grid`` is the sample's own, that of the building's polygons.
    """
    if not sight.slanted:
        return None
    everything, roof = (shape_in(building, sight, roof=roof) for roof in (False, True))
    foot = shapely.get_coordinates(shapely.centroid(building.footprint))
    eave = np.column_stack([foot, [building.ground + building.eave]])
    (columns, rows) = (sight.grid.to_pixel(sight.shown(eave)) - grid.to_pixel(foot))[0]
    return ViewedRecord(
        outline_px=rings_within(everything, sight.grid),
        roof_px=rings_within(roof, sight.grid),
        offset_px=(round(float(columns), 2), round(float(rows), 2)),
    )


def shape_in(building: Building, sight: Sight, *, roof: bool) -> shapely.Geometry:
    """A building's outline, or that of its roof alone, in pixels (column, row) of an image, hidden by nothing."""
    mesh = building.mesh
    keep = mesh.surface == Surface.ROOF if roof else np.ones(len(mesh), bool)
    if not keep.any():
        keep[:] = True  # a source may not tell what is roof
    vertices = mesh.vertices.copy()
    if sight.ground is not None:  # what reaches into the ground is not seen
        vertices[:, 2] = np.maximum(vertices[:, 2], sight.ground.sample(vertices[:, :2]))
    corners = sight.grid.to_pixel(sight.shown(vertices))[mesh.triangles[keep]]
    (ax, ay), (bx, by), (cx, cy) = corners.transpose(1, 2, 0)
    seen = np.abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) > 1e-5
    merged = shapely.union_all(shapely.set_precision(shapely.polygons(corners[seen]), 1e-3))
    return shapely.buffer(shapely.buffer(merged, SLIT, join_style="mitre"), -SLIT, join_style="mitre")


def rings_within(shape: shapely.Geometry, grid: Grid) -> list[list[Ring]]:
    """The polygons of a shape in pixels that lie in an image: lists of rings, the first outer, to a hundredth."""
    inside = shapely.intersection(shape, shapely.box(0, 0, grid.columns, grid.rows))
    return [
        [_rounded(shapely.get_coordinates(ring)) for ring in (p.exterior, *p.interiors)]
        for p in parts_of(inside, "Polygon")
        if p.area > 0
    ]


def _rounded(points: NDArray[np.float64]) -> Ring:
    return [(float(x), float(y)) for x, y in np.round(points, 2)]
