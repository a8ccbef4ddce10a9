"""Solar panels in arrays on one plane of a roof, and solar water heaters in rows on flat roofs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mage.scenes.mesh import Mesh, concatenate, empty_mesh
from mage.scenes.sources.living.roofplanes import Roof
from mage.scenes.sources.living.solids import at_height, prisms_mesh, turned
from mage.scenes.style import Style

Floats = NDArray[np.float64]

SUNK = 0.1  # metres that a panel's foot lies below the roof, so that no gap is seen
PANEL = (1.02, 1.68)  # metres along the eave and up the slope, of a common module of 60 cells
THICK = 0.08  # metres that a panel stands above its roof
LARGEST_ARRAY = 36  # panels
ROW = 1.7  # metres from one row to the next on flat roofs, so that none shades another
HEATER = 2.1  # metres from one solar heater to the next
MOST_HEATERS = 90
_CORNERS = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])

Made = tuple[Mesh, Floats]  # bodies, and the circles (n, 3) of x, y and radius that they take up


def panels(rng: np.random.Generator, roof: Roof, style: Style, thing: int) -> Made:
    """An array of solar panels on the style's share of roofs: in the plane that faces the midday sun most."""
    chosen, size = rng.random() < style.details.solar, int(rng.integers(6, LARGEST_ARRAY + 1))
    where = rng.random(2)
    if not chosen:
        return empty_mesh(), np.zeros((0, 3))
    plane = roof.planes()
    area = np.bincount(plane, weights=roof.areas)
    towards = -1.0 if style.latitude >= 0 else 1.0
    sunny = np.bincount(plane, weights=roof.areas * (1.0 + towards * roof.normals[:, 1] * 1.5)) / np.maximum(area, 1e-9)
    best = int(np.argmax(np.where(area > 8.0, area * np.maximum(sunny, 0.05), 0.0)))
    if area[best] <= 8.0:
        return empty_mesh(), np.zeros((0, 3))
    return _array(roof, plane == best, size, where, thing)


def _array(roof: Roof, faces: NDArray[np.bool_], size: int, where: Floats, thing: int) -> Made:
    """Panels in the cells of a lattice on one plane, those nearest to a point of it that lie wholly within."""
    normal = roof.normals[faces][0]
    flat = normal[2] > 0.995
    eave = _eave(roof, normal)
    up = np.cross(normal, eave)
    step = np.array([PANEL[0] + 0.04, (ROW if flat else PANEL[1] + 0.04)])
    points = roof.corners[faces].reshape(-1, 3)
    start = points[0]
    u, v = (points - start) @ eave, (points - start) @ up
    i, j = np.meshgrid(np.arange(u.min() + 0.7, u.max(), step[0]), np.arange(v.min() + 1.0, v.max(), step[1]))
    cells = np.stack([i.ravel(), j.ravel()], axis=1)
    if len(cells) == 0:
        return empty_mesh(), np.zeros((0, 3))
    cells = cells[:: len(cells) // 4000 + 1]
    length = PANEL[1] * (0.62 if flat else 1.0)  # on flat roofs they lie across, tilted
    margin = np.array([0.3, 0.3])
    outer = cells[:, None] + _CORNERS * (np.array([PANEL[0], length]) + 2 * margin)
    on_plane = start + outer[..., :1] * eave + outer[..., 1:] * up
    z = roof.height(on_plane[..., :2].reshape(-1, 2)).reshape(len(cells), 4)
    fits = (np.abs(z - on_plane[..., 2]) < 0.06).all(axis=1)  # NaN, beyond the roof, compares false
    cells = cells[fits]
    if len(cells) == 0:
        return empty_mesh(), np.zeros((0, 3))
    seed = cells[int(where[0] * len(cells))]
    near = np.argsort(np.abs((cells - seed) / step / (1.8, 1.0)).max(axis=1), kind="stable")[:size]
    inner = cells[np.sort(near)][:, None] + _CORNERS * (PANEL[0], length)
    foot = start + inner[..., :1] * eave + inner[..., 1:] * up
    tilt = np.array([0.0, 0.0, 0.25, 0.25]) if flat else np.zeros(4)
    low, high = foot - (0, 0, SUNK), foot + np.stack([np.zeros(4), np.zeros(4), THICK + tilt], axis=1)
    middle = foot.mean(axis=1)
    return prisms_mesh(low, high, thing), np.column_stack([middle[:, :2], np.full(len(middle), 1.0)])


def _eave(roof: Roof, normal: Floats) -> Floats:
    """Horizontal unit vector (3,) along a plane's eave; along the longest wall where the plane is flat."""
    across = np.array([-normal[1], normal[0], 0.0])
    if np.linalg.norm(across) < 0.1:
        across = np.array([np.cos(roof.heading), np.sin(roof.heading), 0.0])
        across -= normal * (across @ normal)
    return np.asarray(across / np.linalg.norm(across))


def heaters(rng: np.random.Generator, roof: Roof, style: Style, panel: int, barrel: int) -> Made:
    """Solar water heaters on flat roofs: a low panel and a barrel above its upper edge, in rows along the wall."""
    count = min(int(rng.poisson(style.details.heaters)), MOST_HEATERS)
    if count == 0 or not roof.level.any():
        return empty_mesh(), np.zeros((0, 3))
    corners = roof.corners[roof.level].reshape(-1, 3)
    middle = corners[:, :2].mean(axis=0)
    c, s = np.cos(roof.heading), np.sin(roof.heading)
    frame = np.array([(c, s), (-s, c)])
    uv = (corners[:, :2] - middle) @ frame.T
    i, j = np.meshgrid(
        np.arange(uv[:, 0].min() + 1.4, uv[:, 0].max(), HEATER), np.arange(uv[:, 1].min() + 1.4, uv[:, 1].max(), HEATER)
    )
    spots = (np.stack([i.ravel(), j.ravel()], axis=1) @ frame + middle)[:4000]
    angle = np.full(len(spots), roof.heading)
    rim = turned(np.broadcast_to(_CORNERS * 2.2, (len(spots), 4, 2)), angle) + spots[:, None]
    z = roof.height(rim.reshape(-1, 2)).reshape(len(spots), 4)
    fits = np.flatnonzero(np.isfinite(z).all(axis=1) & (np.ptp(z, axis=1) < 0.25))
    # they stand together, beginning at one end of the roof; now and then a place is left out
    fits = fits[rng.random(len(fits)) < 0.85][:count]
    spots, angle, ground = spots[fits], angle[fits], z[fits].min(axis=1)
    box = turned(np.broadcast_to(_CORNERS * (1.5, 1.05) - (0, 0.25), (len(spots), 4, 2)), angle) + spots[:, None]
    slope = np.array([0.15, 0.15, 0.75, 0.75])
    body = prisms_mesh(at_height(box, ground - SUNK), at_height(box, ground[:, None] + slope), panel)
    ring = turned(np.broadcast_to(_CORNERS * (1.3, 0.5) + (0, 0.6), (len(spots), 4, 2)), angle) + spots[:, None]
    drum = prisms_mesh(at_height(ring, ground - SUNK), at_height(ring, ground + 1.2), barrel)
    return concatenate(m for m in (body, drum) if len(m))[0], np.column_stack([spots, np.full(len(spots), 1.1)])
