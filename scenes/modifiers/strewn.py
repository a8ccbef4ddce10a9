"""Single pieces of debris on the ground around a building."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.scenes.mesh import Mesh, Surface
from mage.scenes.modifiers.bodies import box_corners, boxes, rotations
from mage.scenes.modifiers.debris import spread
from mage.scenes.modifiers.site import Site

Floats = NDArray[np.float64]


def strewn(
    rng: np.random.Generator,
    site: Site,
    count: int,
    *,
    reach: Floats,
    heading: float | None,
    size: Floats,
    surfaces: tuple[Surface, ...],
) -> Mesh:
    """Single flat pieces on the ground around a building.

    Args:
        rng: draws places, sizes, turns and tones.
        site: whose building, ground and neighbours.
        count: pieces at most; those that would lie in the building or in a high neighbour are left out.
        reach: metres from the walls along and across the building (2,) that none exceeds.
        heading: radians from east that they flew to, or None for all around.
        size: largest length, width and thickness, metres (3,).
        surfaces: what they are of, with equal chances.
    """
    source = site.plan
    length = float(reach.max())
    ring = shapely.boundary(source)
    start = shapely.get_coordinates(shapely.line_interpolate_point(ring, rng.random(count) * ring.length))
    angle = rng.uniform(-np.pi, np.pi, count) if heading is None else heading + rng.normal(0, 0.35, count)
    far = length * np.minimum(rng.exponential(0.3, count), 1.0)
    xy = start + far[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    sizes = size * rng.uniform(0.35, 1.0, (count, 3))
    kinds = np.array(surfaces, np.uint8)[rng.integers(0, len(surfaces), count)]
    bed = site.bed(xy)
    turn = rotations(rng.uniform(0, np.pi, count), rng.normal(0, 0.06, count), rng.normal(0, 0.06, count))
    tone = np.exp(rng.normal(0, 0.3, count))
    middle = np.column_stack([xy, np.nan_to_num(bed) + sizes[:, 2] * 0.5 + 0.03])
    corners = box_corners(middle, sizes, turn)
    flat = corners[..., :2].reshape(-1, 2)
    share, away = spread(site, source, flat, reach)
    good = ((away > 0) & (share < 1) & np.isfinite(site.bed(flat))).reshape(count, 8).all(axis=1) & np.isfinite(bed)
    return boxes(corners[good], kinds[good], tone[good])
