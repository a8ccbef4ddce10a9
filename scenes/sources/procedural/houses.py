"""Houses as closed volumes: rectangles under flat, gabled and hipped roofs, put together to L, T and U plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

from mage.scenes.mesh import Mesh, Surface, planar_uv

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Wing:
    """A rectangular volume: metres, in the frame of its house (x along the street, y away from it).

    Attributes:
        x, y: middle of the plan.
        length, span: along the ridge and across it.
        across: true when the ridge runs along y instead of x.
        eave: height of the eaves above the ground.
        rise: from eave to ridge; 0 makes a flat roof.
        hips: how far the ridge stays behind each of its ends, (0, 0) for two gables.
    """

    x: float
    y: float
    length: float
    span: float
    across: bool
    eave: float
    rise: float
    hips: tuple[float, float] = (0.0, 0.0)

    @property
    def volume(self) -> float:
        """Cubic metres above the ground: the box, and the roof as a wedge (span * rise * (2 * eave + ridge) / 6)."""
        ridge = self.length - sum(self.hips)
        return self.span * (self.length * self.eave + self.rise * (2 * self.length + ridge) / 6)

    def outline(self) -> Floats:
        """The plan's corners, anticlockwise, (4, 2)."""
        half = np.array([self.length, self.span]) / 2
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
        if self.across:
            corners = np.stack([-corners[:, 1], corners[:, 0]], axis=1)
        return np.asarray(corners + np.array([self.x, self.y]))


_BOTTOM = [(0, 2, 1), (0, 3, 2)]
_SIDES = [(0, 1, 5), (0, 5, 4), (1, 2, 6), (1, 6, 5), (2, 3, 7), (2, 7, 6), (3, 0, 4), (3, 4, 7)]
_FLAT = [(4, 5, 6), (4, 6, 7)]
_SLOPES = [(4, 5, 9), (4, 9, 8), (6, 7, 8), (6, 8, 9)]
_ENDS = [(7, 4, 8), (5, 6, 9)]


def wing_mesh(wing: Wing, ground: float, base: float) -> Mesh:
    """A closed mesh of one wing, from height ``base`` up, its eaves at ``ground`` + eave.

    A gable's triangle is wall, a hip's is roof. Normals point outward.
    """
    vertices, triangles, surface = _solid(wing, ground, base)
    return Mesh(vertices, triangles, surface, planar_uv(vertices, triangles))


def _solid(wing: Wing, ground: float, base: float) -> tuple[Floats, NDArray[np.int32], NDArray[np.uint8]]:
    """Vertices, triangles and surfaces of :func:`wing_mesh`."""
    ring = wing.outline()
    bottom = np.column_stack([ring, np.full(4, base)])
    eaves = np.column_stack([ring, np.full(4, ground + wing.eave)])
    parts, faces = [bottom, eaves], _BOTTOM + _SIDES
    kinds = [Surface.GROUND] * 2 + [Surface.WALL] * 8
    if wing.rise > 0:
        parts.append(_ridge(ring, wing, ground + wing.eave + wing.rise))
        faces = faces + _SLOPES + _ENDS
        kinds += [Surface.ROOF] * 4 + [Surface.ROOF if hip > 0 else Surface.WALL for hip in wing.hips]
    else:
        faces = faces + _FLAT
        kinds += [Surface.ROOF] * 2
    return np.concatenate(parts), np.array(faces, np.int32), np.array(kinds, np.uint8)


def _ridge(ring: Floats, wing: Wing, height: float) -> Floats:
    start, end = (ring[0] + ring[3]) / 2, (ring[1] + ring[2]) / 2
    along = (end - start) / wing.length
    ends = [start + along * wing.hips[0], end - along * wing.hips[1]]
    return np.column_stack([ends, [height, height]])


def house_mesh(wings: Sequence[Wing], place: Floats, ground: float, base: float) -> Mesh:
    """All wings as one mesh in the city's frame; ``place`` (3, 2) holds the origin and the unit axes x and y."""
    solids = [_solid(wing, ground, base) for wing in wings]
    starts = np.cumsum([0, *[len(v) for v, _, _ in solids[:-1]]])
    local = np.concatenate([v for v, _, _ in solids])
    triangles = np.concatenate([t + np.int32(s) for (_, t, _), s in zip(solids, starts, strict=True)])
    vertices = np.column_stack([place[0] + local[:, :2] @ place[1:], local[:, 2]])
    return Mesh(vertices, triangles, np.concatenate([k for _, _, k in solids]), planar_uv(vertices, triangles))


def house_outline(wings: Sequence[Wing], place: Floats) -> Polygon:
    """The plan of a house whose wings touch, in the city's frame."""
    return shapely.union_all([Polygon(place[0] + wing.outline() @ place[1:]) for wing in wings])


def pitched_wing(x: float, y: float, width: float, depth: float, eave: float, pitch: float, *, hipped: bool) -> Wing:
    """A rectangle under a gabled or hipped roof, its ridge along the longer side; ``pitch`` is rise over run."""
    across = depth > width
    length, span = max(width, depth), min(width, depth)
    rise = pitch * span / 2
    hip = span / 2 * 0.98 if hipped else 0.0  # a full hip on a square would leave a ridge of no length
    return Wing(x, y, length, span, across, eave, rise, (hip, hip))


def projecting_wing(
    main: Wing, offset: float, span: float, reach: float, pitch: float, *, front: bool, hipped: bool, eave: float
) -> Wing:
    """A wing at right angles to ``main`` (whose ridge must run along x), standing out by ``reach`` metres.

    Its roof runs back into the main roof until the ridge meets the slope, as a carpenter would frame it.
    """
    back = span / 2 + 0.2  # at equal pitch the ridge meets the slope half a span behind the eave
    length = reach + back
    side = -1.0 if front else 1.0
    y = main.y + side * (main.span / 2 + reach - length / 2)
    hip = span / 2 * 0.98 if hipped else 0.0
    # along +y the outer end of a front wing is the first one
    return Wing(main.x + offset, y, length, span, True, eave, pitch * span / 2, (hip, 0.0) if front else (0.0, hip))
