"""What stands on roofs: chimneys, skylights, plant and raised edges, as small closed boxes."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.scenes.city import Building
from mage.scenes.mesh import Mesh, Surface, empty_mesh, planar_uv
from mage.scenes.style import Style

Floats = NDArray[np.float64]

SUNK = 0.1  # metres that every box's foot lies below the roof
MOST = 60  # boxes on one roof
_FLAT = 0.995  # cosine of the steepest slope that counts as flat (6 degrees)
_FACES = np.array(
    [
        *[(0, 2, 1), (0, 3, 2), (4, 5, 6), (4, 6, 7)],
        *[(0, 1, 5), (0, 5, 4), (1, 2, 6), (1, 6, 5), (2, 3, 7), (2, 7, 6), (3, 0, 4), (3, 4, 7)],
    ]
)
_RIM = np.array([(-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (0, 0)], float)

# length, width and height (m), each a range
_CHIMNEY = ((0.5, 1.1), (0.45, 0.7), (0.7, 1.4))
_SKYLIGHT = ((0.9, 1.5), (0.7, 1.1), (0.06, 0.12))
_DOME = ((1.0, 2.2), (0.9, 1.3), (0.2, 0.45))
_PLANT = ((1.2, 3.4), (0.9, 2.2), (0.7, 1.9))


def roof_clutter(rng: np.random.Generator, building: Building, style: Style) -> Mesh:
    """Small boxes of ``Surface.CLUTTER`` on a building's roof, local metres; empty where the roof is too small.

    Chimneys and skylights on slopes, plant and domes on flat parts, each with its whole outline over one roof and its
    foot 0.1 m below it; some flat roofs of one height get a raised edge.
    """
    mesh = building.mesh
    upward = (mesh.surface == Surface.ROOF) & (mesh.normals[:, 2] > 0.05)
    corners = mesh.vertices[mesh.triangles[upward]]
    if len(corners) == 0:
        return empty_mesh()
    level = mesh.normals[upward, 2] > _FLAT
    areas = mesh.areas[upward] * mesh.normals[upward, 2]
    heading = _heading(building)
    boxes = [_parapet(rng, building, corners, style) if level.all() else np.zeros((0, 8, 3))]
    for kind, chosen, count in _kinds(rng, style, level, areas):
        boxes.append(_stand(rng, kind, corners, np.where(chosen, areas, 0.0), count, heading))
    return _boxes_mesh(np.concatenate(boxes))


def _kinds(
    rng: np.random.Generator, style: Style, level: NDArray[np.bool_], areas: Floats
) -> list[tuple[tuple[tuple[float, float], ...], NDArray[np.bool_], int]]:
    """Kinds of boxes, the faces they stand on and how many of each."""
    houses = style.houses
    sloped, flat = float(areas[~level].sum()), float(areas[level].sum())
    large = min(1.0 + sloped / 400, 6.0) if sloped > 20 else 0.0
    plant = houses.plant * flat / 100 if flat > 12 else 0.0
    wanted = [
        (_CHIMNEY, ~level, houses.chimneys * large),
        (_SKYLIGHT, ~level, houses.skylights * large),
        (_PLANT, level, plant * 0.6),
        (_DOME, level, plant * 0.6),
    ]
    return [(kind, on, min(int(rng.poisson(mean)), MOST // 4)) for kind, on, mean in wanted]


def _heading(building: Building) -> float:
    """Direction of the longest wall, radians from east."""
    ring = shapely.get_coordinates(max(shapely.get_parts(building.footprint), key=lambda p: p.area).exterior)
    step = np.diff(ring, axis=0)
    dx, dy = step[np.argmax((step**2).sum(axis=1))]
    return float(np.arctan2(dy, dx))


def _stand(
    rng: np.random.Generator,
    kind: tuple[tuple[float, float], ...],
    corners: Floats,
    weights: Floats,
    count: int,
    heading: float,
) -> Floats:
    """Up to ``count`` boxes (n, 8, 3) on faces drawn by weight; those that would hang over an edge are left out."""
    if count == 0 or weights.sum() <= 0:
        return np.zeros((0, 8, 3))
    face = rng.choice(len(corners), size=count, p=weights / weights.sum())
    a, b = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
    p, q, r = corners[face].transpose(1, 0, 2)
    at = ((1 - a) * p + a * (1 - b) * q + a * b * r)[:, :2]
    size = np.stack([rng.uniform(*span, count) for span in kind], axis=1)
    turned = heading + np.where(rng.random(count) < 0.5, 0, np.pi / 2)
    rim = _turned(_RIM[None] * (size[:, None, :2] / 2 + 0.15), turned) + at[:, None]
    z = _roof_height(corners, rim.reshape(-1, 2)).reshape(count, -1)
    steepest = np.hypot(size[:, 0], size[:, 1]) * 1.8
    ok = np.isfinite(z).all(axis=1) & (np.ptp(z, axis=1) < steepest)
    ring = _turned(_RIM[None, [0, 2, 4, 6]] * size[:, None, :2] / 2, turned) + at[:, None]
    low, high = z.min(axis=1) - SUNK, z.max(axis=1) + size[:, 2]
    made = np.concatenate([_at_height(ring, low), _at_height(ring, high)], axis=1)[ok]
    return made[_apart(made)]


def _turned(xy: Floats, angle: Floats) -> Floats:
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.stack([xy[..., 0] * c - xy[..., 1] * s, xy[..., 0] * s + xy[..., 1] * c], axis=-1)


def _at_height(ring: Floats, z: Floats) -> Floats:
    return np.concatenate([ring, np.broadcast_to(z[:, None, None], (*ring.shape[:2], 1))], axis=2)


def _apart(boxes: Floats) -> NDArray[np.int64]:
    """Positions of boxes that keep half a metre from all earlier ones."""
    middle = boxes[:, :, :2].mean(axis=1)
    reach = np.linalg.norm(boxes[:, 0, :2] - middle, axis=1) if len(boxes) else np.zeros(0)
    kept: list[int] = []
    for i in range(len(boxes)):
        gaps = np.linalg.norm(middle[kept] - middle[i], axis=1) - reach[kept] - reach[i]
        if not (gaps < 0.5).any():
            kept.append(i)
    return np.array(kept, np.int64)


def _roof_height(corners: Floats, xy: Floats) -> Floats:
    """Highest roof face (m, 3, 3) over each point (n, 2), NaN beyond the roof."""
    a = corners[:, 0]
    u, v = corners[:, 1] - a, corners[:, 2] - a
    doubled = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    safe = np.where(np.abs(doubled) > 1e-9, doubled, np.inf)
    d = xy[:, None] - a[None, :, :2]
    s = (d[..., 0] * v[:, 1] - d[..., 1] * v[:, 0]) / safe
    t = (u[:, 0] * d[..., 1] - u[:, 1] * d[..., 0]) / safe
    inside = (s >= -1e-6) & (t >= -1e-6) & (s + t <= 1 + 1e-6) & np.isfinite(safe)
    z = np.where(inside, a[:, 2] + s * u[:, 2] + t * v[:, 2], -np.inf).max(axis=1)
    return np.where(np.isfinite(z), z, np.nan)


def _parapet(rng: np.random.Generator, building: Building, corners: Floats, style: Style) -> Floats:
    """A raised edge (n, 8, 3) just inside the outline of a flat roof of one height and a simple plan."""
    outline, z = building.footprint, corners[:, :, 2]
    wanted, height = rng.random() < style.houses.parapet, rng.uniform(0.2, 0.5)
    if not wanted or np.ptp(z) > 0.3 or outline.geom_type != "Polygon" or len(outline.exterior.coords) > 40:
        return np.zeros((0, 8, 3))
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
    over = np.isfinite(_roof_height(corners, foot.reshape(-1, 2))).reshape(-1, 4).all(axis=1)
    foot = foot[within & over]
    low, high = np.full(len(foot), z.min() - SUNK), np.full(len(foot), z.max() + height)
    return np.concatenate([_at_height(foot, low), _at_height(foot, high)], axis=1)


def _boxes_mesh(boxes: Floats) -> Mesh:
    if len(boxes) == 0:
        return empty_mesh()
    vertices = boxes.reshape(-1, 3)
    triangles = (_FACES[None] + 8 * np.arange(len(boxes))[:, None, None]).reshape(-1, 3).astype(np.int32)
    surface = np.full(len(triangles), Surface.CLUTTER, np.uint8)
    return Mesh(vertices, triangles, surface, planar_uv(vertices, triangles))
