"""What stands on roofs: chimneys, skylights, plant, tanks, solar panels, dishes and raised edges, as closed bodies."""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.scenes.city import Building
from mage.scenes.mesh import Mesh, concatenate, empty_mesh, planar_uv
from mage.scenes.sources.living.roofplanes import Roof, roof_of
from mage.scenes.sources.living.solar import heaters, panels
from mage.scenes.sources.living.solids import at_height, octagons, prisms_mesh, turned
from mage.scenes.style import Style

Floats = NDArray[np.float64]
Sizes = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

SUNK = 0.1  # metres that every body's foot lies below the roof
MOST = 15  # of one kind on one roof, solar heaters and panels apart
EDGE = 0.15  # metres that each keeps from the edge of its roof
_RIM = np.array([(-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (0, 0)], float)


class Thing(IntEnum):
    """What a face of ``Surface.CLUTTER`` belongs to: values of the face attribute ``thing``."""

    OTHER = 0
    CHIMNEY = 1
    SKYLIGHT = 2
    DOME = 3
    PLANT = 4
    PARAPET = 5
    PANEL = 6
    TANK = 7
    BARREL = 8
    DISH = 9
    COLLECTOR = 10  # of a solar water heater


# length, width and height (m), each a range
_SIZES: dict[Thing, Sizes] = {
    Thing.CHIMNEY: ((0.5, 1.1), (0.45, 0.7), (0.7, 1.4)),
    Thing.SKYLIGHT: ((0.9, 1.5), (0.7, 1.1), (0.06, 0.12)),
    Thing.PLANT: ((1.2, 3.4), (0.9, 2.2), (0.7, 1.9)),
    Thing.DOME: ((1.0, 2.2), (0.9, 1.3), (0.2, 0.45)),
    Thing.TANK: ((1.0, 1.6), (1.0, 1.6), (1.0, 1.7)),
    Thing.DISH: ((0.7, 1.0), (0.7, 1.0), (0.5, 0.9)),
}
_ROUND = (Thing.TANK, Thing.DISH)


def roof_clutter(rng: np.random.Generator, building: Building, style: Style) -> Mesh:
    """Small bodies of ``Surface.CLUTTER`` on a building's roof, local metres; empty where the roof is too small.

    Chimneys and skylights on slopes; plant, domes, tanks and solar heaters on flat parts; solar panels and dishes on
    both. Each has its whole outline over one roof and its foot 0.1 m below it; they keep apart. Some flat roofs of one
    height get a raised edge. The face attribute ``thing`` holds a :class:`Thing`.
    """
    roof = roof_of(building.mesh, _heading(building))
    if len(roof.areas) == 0:
        return empty_mesh()
    parts = [_parapet(rng, building, roof, style)] if roof.level.all() else []
    taken = np.zeros((0, 3))  # middles and reaches of what already stands
    for made, spots in (
        panels(rng, roof, style, Thing.PANEL),
        heaters(rng, roof, style, Thing.COLLECTOR, Thing.BARREL),
    ):
        parts.append(made)
        taken = np.concatenate([taken, spots])
    for thing, chosen, count in _kinds(rng, style, roof):
        made, spots = _stand(rng, thing, roof, np.where(chosen, roof.areas, 0.0), count, taken)
        parts.append(made)
        taken = np.concatenate([taken, spots])
    bodies = concatenate(p for p in parts if len(p))[0]
    return replace(bodies, uv=planar_uv(bodies.vertices, bodies.triangles))


def _kinds(rng: np.random.Generator, style: Style, roof: Roof) -> list[tuple[Thing, NDArray[np.bool_], int]]:
    """Kinds of bodies, the faces they stand on and how many of each."""
    houses, details, level = style.houses, style.details, roof.level
    sloped, flat = float(roof.areas[~level].sum()), float(roof.areas[level].sum())
    large = min(1.0 + sloped / 400, 6.0) if sloped > 20 else 0.0
    plant = houses.plant * flat / 100 if flat > 12 else 0.0
    everywhere = np.ones(len(level), bool)
    wanted = [
        (Thing.CHIMNEY, ~level, houses.chimneys * large),
        (Thing.SKYLIGHT, ~level, houses.skylights * large),
        (Thing.PLANT, level, plant * 0.6),
        (Thing.DOME, level, plant * 0.6),
        (Thing.TANK, level, details.tanks if flat > 25 else 0.0),
        (Thing.DISH, everywhere, details.dishes),
    ]
    return [(thing, on, min(int(rng.poisson(mean)), MOST)) for thing, on, mean in wanted]


def _heading(building: Building) -> float:
    """Direction of the longest wall, radians from east."""
    ring = shapely.get_coordinates(max(shapely.get_parts(building.footprint), key=lambda p: p.area).exterior)
    step = np.diff(ring, axis=0)
    dx, dy = step[np.argmax((step**2).sum(axis=1))]
    return float(np.arctan2(dy, dx))


def _stand(
    rng: np.random.Generator, thing: Thing, roof: Roof, weights: Floats, count: int, taken: Floats
) -> tuple[Mesh, Floats]:
    """Up to ``count`` bodies on faces drawn by weight, and the circles (n, 3) they take up; those that would hang over
    an edge or come too near to another are left out.
    """
    if count == 0 or weights.sum() <= 0:
        return empty_mesh(), np.zeros((0, 3))
    face = rng.choice(len(weights), size=count, p=weights / weights.sum())
    a, b = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
    p, q, r = roof.corners[face].transpose(1, 0, 2)
    at = ((1 - a) * p + a * (1 - b) * q + a * b * r)[:, :2]
    size = np.stack([rng.uniform(*span, count) for span in _SIZES[thing]], axis=1)
    angle = roof.heading + np.where(rng.random(count) < 0.5, 0, np.pi / 2)
    rim = turned(_RIM[None] * (size[:, None, :2] / 2 + EDGE), angle) + at[:, None]
    z = roof.height(rim.reshape(-1, 2)).reshape(count, -1)
    steepest = np.hypot(size[:, 0], size[:, 1]) * 1.8
    ok = np.isfinite(z).all(axis=1) & (np.ptp(z, axis=1) < steepest)
    spots = np.column_stack([at, np.hypot(size[:, 0], size[:, 1]) / 2])
    ok[ok] = _apart(spots[ok], taken)
    ring = turned(_RIM[None, [0, 2, 4, 6]] * size[:, None, :2] / 2, angle) + at[:, None]
    if thing in _ROUND:
        ring = octagons(at, size[:, 0] / 2)
    low, high = z.min(axis=1) - SUNK, z.max(axis=1) + size[:, 2]
    return prisms_mesh(at_height(ring, low)[ok], at_height(ring, high)[ok], thing), spots[ok]


def _apart(spots: Floats, taken: Floats) -> NDArray[np.bool_]:
    """Which circles (n, 3) of x, y and radius keep half a metre from all earlier ones, bool (n,)."""
    kept, ok = list(taken), np.zeros(len(spots), bool)
    for i, spot in enumerate(spots):
        others = np.array(kept).reshape(-1, 3)
        gaps = np.linalg.norm(others[:, :2] - spot[:2], axis=1) - others[:, 2] - spot[2]
        ok[i] = not (gaps < 0.5).any()
        if ok[i]:
            kept.append(spot)
    return ok


def _parapet(rng: np.random.Generator, building: Building, roof: Roof, style: Style) -> Mesh:
    """A raised edge just inside the outline of a flat roof of one height and a simple plan."""
    outline, z = building.footprint, roof.corners[:, :, 2]
    wanted, height = rng.random() < style.houses.parapet, rng.uniform(0.2, 0.5)
    if not wanted or np.ptp(z) > 0.3 or outline.geom_type != "Polygon" or len(outline.exterior.coords) > 40:
        return empty_mesh()
    ring = shapely.get_coordinates(outline.exterior if outline.exterior.is_ccw else outline.exterior.reverse())
    start, step = ring[:-1], np.diff(ring, axis=0)
    length = np.linalg.norm(step, axis=1, keepdims=True)
    ok = length[:, 0] > 1.0
    start, step, along = start[ok], step[ok], (step / np.maximum(length, 1e-9))[ok]
    inward = np.stack([-along[:, 1], along[:, 0]], axis=1)
    near, far = start + 0.02 * inward, start + 0.27 * inward
    foot = np.stack([near, near + step, far + step, far], axis=1)
    # at sharp corners a strip would stick out
    within = shapely.covers(outline.buffer(0.01), shapely.polygons(foot)) if len(foot) else np.zeros(0, bool)
    over = np.isfinite(roof.height(foot.reshape(-1, 2))).reshape(-1, 4).all(axis=1)
    foot = foot[within & over]
    low, high = np.full(len(foot), z.min() - SUNK), np.full(len(foot), z.max() + height)
    return prisms_mesh(at_height(foot, low), at_height(foot, high), Thing.PARAPET)
