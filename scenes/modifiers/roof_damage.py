"""Roofs that lost covering, decks, gables, a part or a corner, and the tarpaulins that come later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon

from mage.scenes.mesh import Mesh, Surface, concatenate
from mage.scenes.modifiers.bodies import boxes, plate, polygonal, toned
from mage.scenes.modifiers.cutting import clip, halves
from mage.scenes.modifiers.debris import BULK, TIMBERED, apron, heap, kind_of
from mage.scenes.modifiers.planes import Plane, patches, roof_planes
from mage.scenes.modifiers.site import Site
from mage.scenes.modifiers.strewn import strewn

RAFTERS = (0.6, 0.9)  # metres between them
SHED = 3.0  # metres from the walls that tiles and laths fly
_THICK = 0.09  # of a rafter


@dataclass(frozen=True, slots=True)
class Loss:
    """Shares of a roof without covering and without deck, whether it is tarped, what its bare parts look like, and how
    wide its patches are, metres.
    """

    covering: float
    deck: float
    tarped: bool = False
    bare: Surface = Surface.DECKING
    rafter: Surface = Surface.TIMBER
    within: Surface = Surface.SLAB
    grain: float = 1.0


def opened(rng: np.random.Generator, site: Site, mesh: Mesh, loss: Loss) -> Mesh:
    """The mesh with patches of its roof bare or gone: decking, rafters over a dark floor, tarpaulins."""
    planes, upper = roof_planes(mesh)
    covering = max(loss.covering, loss.deck)
    bare, holes = patches(rng, planes, (covering, loss.deck), loss.grain)
    parts = [mesh.faces(~upper)]
    for plane, naked, hole in zip(planes, bare, holes, strict=True):
        parts.append(plane.sheet(_without(plane.outline, naked), Surface.ROOF))
        parts.append(toned(rng, plane.sheet(_without(naked, hole), loss.bare), spread=0.1))
        parts.append(rafters(rng, plane, hole, loss.rafter))
        if loss.tarped:
            parts.append(_tarpaulins(plane, naked))
    if loss.deck > 0:
        parts.append(_floor(site, loss.within))
    return concatenate(p for p in parts if len(p))[0]


def _without(shape: Polygon | MultiPolygon, hole: Polygon | MultiPolygon) -> Polygon | MultiPolygon:
    return shape if hole.is_empty else polygonal(shapely.difference(shape, hole, grid_size=1e-4))


def _floor(site: Site, surface: Surface) -> Mesh:
    """The floor that is seen through an open roof: the attic's, or the top storey's under a flat roof."""
    z = site.eave - 0.15 if site.top - site.eave > 0.8 else site.eave - min(2.4, 0.9 * (site.eave - site.foot))
    return plate(shapely.buffer(site.plan, -0.05), z, surface)


def rafters(rng: np.random.Generator, plane: Plane, hole: Polygon | MultiPolygon, surface: Surface) -> Mesh:
    """Bars up the slope across a hole, ``RAFTERS`` metres apart, just under the plane."""
    if hole.is_empty:
        return boxes(np.zeros((0, 8, 3)), np.zeros(0, np.uint8), np.zeros(0))
    west, south, east, north = hole.bounds
    at = np.arange(west + 0.2, east, rng.uniform(*RAFTERS))
    lines = shapely.linestrings(np.stack([np.column_stack([at, np.full(len(at), y)]) for y in (south, north)], axis=1))
    bars = [b for b in shapely.get_parts(shapely.intersection(lines, hole)) if b.geom_type == "LineString"]
    ends = shapely.get_coordinates(bars).reshape(-1, 2, 2)
    ends = ends[np.abs(ends[:, 1, 1] - ends[:, 0, 1]) > 0.2][:40]
    half = np.array([_THICK / 2, 0.0])
    ring = np.stack([ends[:, 0] - half, ends[:, 0] + half, ends[:, 1] + half, ends[:, 1] - half], axis=1)
    low, high = (plane.lifted(ring.reshape(-1, 2), off).reshape(-1, 4, 3) for off in (-0.05 - _THICK, -0.05))
    return boxes(np.concatenate([low, high], axis=1), np.full(len(ring), surface, np.uint8), np.ones(len(ring)))


def _tarpaulins(plane: Plane, naked: Polygon | MultiPolygon) -> Mesh:
    """Rectangular sheets over the bare parts, a hand above the roof."""
    parts = [p for p in shapely.get_parts(naked) if p.geom_type == "Polygon" and p.area > 0.5]
    sheets = [shapely.box(*p.bounds).buffer(0.35, join_style="mitre") for p in parts]
    return plane.sheet(shapely.intersection(shapely.union_all(sheets), plane.outline), Surface.TARPAULIN, 0.08)


def shed(rng: np.random.Generator, site: Site, share: float, *, heading: float | None = None) -> Mesh:
    """Tiles and laths on the ground around a building that lost a share of its covering, or on its ``heading``
    (radians from east); within ``SHED`` of the walls and within its reach.
    """
    count = int(min(90, 3 + 0.35 * share * site.building.footprint.area))
    reach = np.minimum(site.reach, SHED)
    size = np.array([1.0, 0.6, 0.08])
    kinds = (Surface.ROOF, Surface.ROOF, Surface.RUBBLE, Surface.TIMBER)
    return strewn(rng, site, count, reach=reach, heading=heading, size=size, surfaces=kinds)


def without_gable(rng: np.random.Generator, site: Site, mesh: Mesh) -> list[Mesh]:
    """A gable wall out, with the end of the roof over it, and its masonry at the foot.

    The end on the side that the building sheds to is chosen; up to 1.5 m of roof go with the wall.
    """
    middle, half, axes = site.frame
    way = np.array([np.cos(site.direction), np.sin(site.direction)])
    out = axes[0] * (1.0 if axes[0] @ way >= 0 else -1.0)
    depth = min(rng.uniform(0.6, 1.5), half[0])
    normal = np.array([*out, 0.0])
    stays, end = halves(mesh, normal, float(middle @ out + half[0] - depth), site.eave - 0.3)
    low, _ = clip(end, np.array([0.0, 0.0, 1.0]), site.eave - 0.2)
    strip = site.beyond(out, float(middle @ out + half[0] - depth))
    gable = 0.3 * half[1] * max(site.top - site.eave, 1.0)
    fallen = apron(rng, site, gable / 0.6 + BULK * strip.area * 0.4, source=strip, reach=0.5, share=0.4)
    return [stays, low, plate(strip, site.eave - 0.25, Surface.SLAB), fallen]


def fallen_in(rng: np.random.Generator, site: Site, mesh: Mesh) -> list[Mesh]:
    """Part of the roof fallen in: a hole of a quarter to a half, its edges on broken rafters, rubble on the floor."""
    share = rng.uniform(0.25, 0.5)
    bars, bare = (Surface.TIMBER, Surface.DECKING) if kind_of(site) is TIMBERED else (Surface.SLAB, Surface.SLAB)
    loss = Loss(min(1.0, share * 1.25), share, bare=bare, rafter=bars, within=Surface.RUBBLE, grain=3.0)
    rest = opened(rng, site, mesh, loss)
    floor = float(_floor(site, Surface.SLAB).vertices[0, 2])
    inner = shapely.buffer(site.plan, -0.4)
    if inner.is_empty:
        return [rest]
    room = max(site.top - floor, 0.5)
    volume = min(BULK * share * site.building.footprint.area * site.storey * 0.5, 0.35 * room * inner.area)
    return [rest, heap(rng, site, inner, volume, kind=kind_of(site), reach=0.0, bed=floor, share=0.5)]


def without_corner(rng: np.random.Generator, site: Site, mesh: Mesh) -> list[Mesh]:
    """A corner gone from the roof to the ground, floors showing at the cut, its rubble in its place and around."""
    _, half, axes = site.frame
    way = np.array([np.cos(site.direction), np.sin(site.direction)])
    u, v = axes * np.where(axes @ way >= 0, 1.0, -1.0)[:, None]
    corners = shapely.get_coordinates(shapely.boundary(site.plan))
    corner = corners[np.argmax(corners @ way)]
    size = rng.uniform(0.35, 0.6, 2) * half * np.array([1.0, 1.2])
    at_u, at_v = float(corner @ u - size[0]), float(corner @ v - size[1])
    inner, outer = halves(mesh, np.array([*u, 0.0]), at_u, site.foot)
    beside, gone = halves(outer, np.array([*v, 0.0]), at_v, site.foot)
    lost = site.beyond(u, at_u).intersection(site.beyond(v, at_v))
    if lost.area < 0.5 or len(gone) == 0:
        return [mesh]
    rubble = heap(
        rng,
        site,
        lost,
        BULK * site.volume * lost.area / site.building.footprint.area,
        kind=kind_of(site),
        reach=0.8,
        hollow=site.plan.difference(lost),
        share=0.5,
    )
    return [inner, beside, plate(lost, site.foot + 0.1, Surface.SLAB), rubble]
