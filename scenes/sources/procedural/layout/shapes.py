"""Building blocks of meshes: a profile swept along a row, prisms, and decks with sloping rims; and their seating."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import mapbox_earcut
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon
from shapely.geometry.polygon import orient

from mage.scenes.city import Building
from mage.scenes.mesh import Mesh, Surface, concatenate, planar_uv
from mage.scenes.sources.procedural.houses import Wing, house_mesh, house_outline
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]

SHARPEST = -0.75  # cosine between the normals of neighbouring sides; sharper corners are not moved inward
SUNK = 1.0  # metres that walls reach below the lowest ground at the building


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A building before it is set on the ground.

    Attributes:
        outline: its plan, local metres.
        mesh: closed, with the ground at z = 0; vertices at exactly 0 are its feet.
        eave: height of the lowest roof edge, metres.
        storeys: of its main part.
        roof: ``flat`` or ``pitched``.
        occupancy: as in :class:`mage.scenes.city.Building`.
    """

    outline: Polygon
    mesh: Mesh
    eave: float
    storeys: int
    roof: str
    occupancy: str = "residential"


def seat(bodies: Sequence[Body], terrain: Terrain) -> tuple[Building, ...]:
    """The buildings on their ground: at the mean of the heights under their corners, walls a metre below the lowest."""
    if not bodies:
        return ()
    grounds = [_ground(body, terrain) for body in bodies]
    moved = [_moved(body.mesh.vertices, *ground) for body, ground in zip(bodies, grounds, strict=True)]
    # one call for all of them: it costs as much for a house as for a thousand
    mesh, owner = concatenate([replace(b.mesh, vertices=v) for b, v in zip(bodies, moved, strict=True)])
    uv = np.split(planar_uv(mesh.vertices, mesh.triangles), np.searchsorted(owner, np.arange(1, len(bodies))))
    return tuple(
        Building(
            id=f"b{i + 1:05d}",
            footprint=body.outline,
            ground=grounds[i][0],
            height=float(body.mesh.vertices[:, 2].max()),
            eave=body.eave,
            mesh=replace(body.mesh, vertices=moved[i], uv=uv[i]),
            lod=2,
            storeys=body.storeys,
            occupancy=body.occupancy,
            roof=body.roof,
        )
        for i, body in enumerate(bodies)
    )


def _ground(body: Body, terrain: Terrain) -> tuple[float, float]:
    """Mean and lowest height under a body's corners and its middle."""
    corners = [shapely.get_coordinates(body.outline.exterior)[:-1], shapely.get_coordinates(body.outline.centroid)]
    heights = terrain.sample(np.concatenate(corners))
    return float(heights.mean()), float(heights.min())


def _moved(vertices: Floats, ground: float, lowest: float) -> Floats:
    z = vertices[:, 2]
    return np.column_stack([vertices[:, :2], np.where(z == 0, lowest - SUNK, z + ground)])


def joined(main: Body, others: Sequence[Body]) -> Body:
    """One building of several bodies that touch: its storeys, roof and use are those of the first."""
    if not others:
        return main
    mesh, _ = concatenate([main.mesh, *[o.mesh for o in others]])
    outline = shapely.union_all([main.outline, *[o.outline for o in others]])
    if outline.geom_type != "Polygon":
        return main
    return replace(main, outline=outline, mesh=mesh, eave=min(main.eave, *[o.eave for o in others]))


def winged(wings: Sequence[Wing], place: Floats, storeys: int, occupancy: str = "residential") -> Body:
    """A body of rectangular wings; ``place`` (3, 2) holds the origin and the unit axes of their frame."""
    roof = "pitched" if max(w.rise for w in wings) > 0 else "flat"
    mesh, outline = house_mesh(wings, place, 0.0, 0.0), house_outline(wings, place)
    return Body(outline, mesh, min(w.eave for w in wings), storeys, roof, occupancy)


def swept(outer: Floats, inner: Floats, profile: Floats) -> Mesh:
    """A closed mesh: a roof profile carried along sections, down to z = 0.

    ``outer`` and ``inner`` hold the ends of n sections (n, 2), such that the one and then the other backwards run
    anticlockwise; ``profile`` (m, 2) holds shares of the way from outer to inner (0 to 1, ascending) and heights in
    metres.
    """
    n, m = len(outer), len(profile)
    xy = outer[:, None] + profile[None, :, :1] * (inner - outer)[:, None]
    top = np.concatenate([xy, np.broadcast_to(profile[None, :, 1:], (n, m, 1))], axis=2).reshape(-1, 3)
    bottom = top * (1.0, 1.0, 0.0)
    i, j = (g.ravel() for g in np.meshgrid(np.arange(n - 1), np.arange(m - 1), indexing="ij"))
    a, b = i * m + j, (i + 1) * m + j
    roof = _quads(a, b, b + 1, a + 1)
    floor = _quads(a, a + 1, b + 1, b) + n * m
    rows, columns = np.arange(n - 1) * m, np.arange(m - 1)
    front = _quads(rows + n * m, rows + m + n * m, rows + m, rows)
    back = _quads(rows + m - 1, rows + 2 * m - 1, rows + 2 * m - 1 + n * m, rows + m - 1 + n * m)
    start = _quads(columns, columns + 1, columns + 1 + n * m, columns + n * m)
    last = columns + (n - 1) * m
    end = _quads(last + n * m, last + 1 + n * m, last + 1, last)
    triangles = np.concatenate([roof, floor, front, back, start, end])
    counts = [len(roof), len(floor), len(front) + len(back) + len(start) + len(end)]
    return _mesh(
        np.concatenate([top, bottom]), triangles, np.repeat([Surface.ROOF, Surface.GROUND, Surface.WALL], counts)
    )


def _quads(a: NDArray[np.int64], b: NDArray[np.int64], c: NDArray[np.int64], d: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


def _mesh(vertices: Floats, triangles: NDArray[np.int64], surface: NDArray[np.int64]) -> Mesh:
    faces = triangles.astype(np.int32)
    return Mesh(vertices, faces, surface.astype(np.uint8), planar_uv(vertices, faces))


def gable(eave: float, rise: float) -> Floats:
    """Profile of a gabled roof."""
    return np.array([(0.0, eave), (0.5, eave + rise), (1.0, eave)])


def level(eave: float) -> Floats:
    """Profile of a flat roof."""
    return np.array([(0.0, eave), (1.0, eave)])


def mansard(eave: float, rise: float) -> Floats:
    """Profile of a roof that is steep for its first 14 % on both sides and 70 % of its rise, then shallow."""
    knee = eave + 0.7 * rise
    return np.array([(0.0, eave), (0.14, knee), (0.5, eave + rise), (0.86, knee), (1.0, eave)])


def sawtooth(eave: float, rise: float, teeth: int) -> Floats:
    """Profile of glazed steep faces and shallow ones that repeat."""
    at = np.arange(teeth) / teeth
    tooth = np.stack([at, at + 0.16 / teeth], axis=1).ravel()
    height = np.tile([eave, eave + rise], teeth)
    return np.column_stack([np.append(tooth, 1.0), np.append(height, eave)])


def sweep_outline(outer: Floats, inner: Floats) -> Polygon:
    """The plan of :func:`swept`."""
    return Polygon(np.concatenate([outer, inner[::-1]]))


def prism(outline: Polygon, top: float, foot: float = 0.0) -> Mesh:
    """A closed mesh with vertical walls from ``foot`` to a flat roof at ``top``, over a plan that may have holes."""
    return _deck(outline, outline, top, top, foot)


def rimmed(outline: Polygon, eave: float, width: float, rise: float) -> Mesh | None:
    """A flat deck within a rim that slopes up from the eaves over ``width``; None where the plan is too narrow."""
    ring, turned = inset_ring(shapely.get_coordinates(orient(outline).exterior)[:-1], width)
    return None if turned.any() else _deck(orient(outline), Polygon(ring), eave, eave + rise, 0.0)


def _deck(outline: Polygon, upper: Polygon, eave: float, top: float, foot: float) -> Mesh:
    """Walls under ``outline`` up to the eave, then, where it is higher, slopes to a deck with the plan ``upper``."""
    lower_xy, sizes = _rings(orient(outline))
    upper_xy, _ = _rings(orient(upper))
    floor, flat = _filled(lower_xy, sizes), _filled(upper_xy, sizes)
    n = len(lower_xy)
    ahead = np.concatenate(
        [s + np.roll(np.arange(size), -1) for s, size in zip(np.cumsum([0, *sizes[:-1]]), sizes, strict=True)]
    )
    here = np.arange(n)
    walls = _quads(here, ahead, ahead + n, here + n)
    levels = [np.column_stack([lower_xy, np.full(n, z)]) for z in (foot, eave)]
    if top > eave:
        levels.append(np.column_stack([upper_xy, np.full(n, top)]))
        slopes = _quads(here + n, ahead + n, ahead + 2 * n, here + 2 * n)
        roof = np.concatenate([slopes, flat + 2 * n])
    else:
        roof = flat + n
    triangles = np.concatenate([floor[:, ::-1], walls, roof])
    surface = np.repeat([Surface.GROUND, Surface.WALL, Surface.ROOF], [len(floor), len(walls), len(roof)])
    return _mesh(np.concatenate(levels), triangles, surface)


def _rings(outline: Polygon) -> tuple[Floats, list[int]]:
    rings = [shapely.get_coordinates(r)[:-1] for r in (outline.exterior, *outline.interiors)]
    return np.concatenate(rings), [len(r) for r in rings]


def _filled(xy: Floats, sizes: Sequence[int]) -> NDArray[np.int64]:
    """Triangles over rings, the first the outer one, that face up."""
    ends = np.cumsum(sizes).astype(np.uint32)
    triangles = mapbox_earcut.triangulate_float64(xy, ends).reshape(-1, 3).astype(np.int64)
    a, b, c = xy[triangles].transpose(1, 0, 2)
    up = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0]) > 0
    return np.where(up[:, None], triangles, triangles[:, ::-1])


def inset_ring(ring: Floats, distance: float) -> tuple[Floats, NDArray[np.bool_]]:
    """An anticlockwise ring (n, 2) moved inward, vertex by vertex, and which of its sides (n,) it does not allow: those
    that would vanish or turn round, and those before and after a corner too sharp.
    """
    step = np.roll(ring, -1, axis=0) - ring
    length = np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-9)
    normal = np.stack([-step[:, 1], step[:, 0]], axis=1) / length
    before = np.roll(normal, 1, axis=0)
    cosine = (normal * before).sum(axis=1, keepdims=True)
    moved = ring + distance * (normal + before) / (1 + np.maximum(cosine, SHARPEST))
    kept = ((np.roll(moved, -1, axis=0) - moved) * step).sum(axis=1) > 0.05 * length[:, 0] ** 2
    sharp = cosine[:, 0] < SHARPEST
    return moved, ~kept | sharp | np.roll(sharp, -1)
