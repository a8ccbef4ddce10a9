"""Burning and burnt buildings: black roofs partly open, ash and rubble inside old walls, chimneys left standing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from mage.scenes.mesh import Mesh, Surface, concatenate
from mage.scenes.modifiers.bodies import box_corners, boxes, plate, polygons_of, rotations, slab, toned
from mage.scenes.modifiers.debris import BURNED, heap
from mage.scenes.modifiers.roof_damage import Loss, opened
from mage.scenes.modifiers.site import Site
from mage.scenes.modifiers.strewn import strewn

Floats = NDArray[np.float64]

MASONRY = 0.45  # chance that the walls were of what does not burn
WALL = 0.25  # metres thick
ASH = 0.07  # cubic metres of ash and rubble per cubic metre of building: little is left of what burns (assumed)
CHIMNEY = 0.35  # chance of a chimney in a house whose mesh shows none
_CHIMNEY_THING = 1  # value of the face attribute ``thing`` (:class:`mage.scenes.sources.living.clutter.Thing`)


def charred(rng: np.random.Generator, site: Site, mesh: Mesh, covering: float, deck: float, within: Surface) -> Mesh:
    """The mesh with its roof black where the covering has burnt, and open where the deck has, shares 0-1; ``within``
    is seen through the holes. A building that burns looks so, and a burnt one that kept its shell.
    """
    return opened(rng, site, mesh, Loss(covering, deck, bare=Surface.CHAR, rafter=Surface.CHAR, within=within))


def burnt(rng: np.random.Generator, site: Site, mesh: Mesh) -> list[Mesh]:
    """No roof is left: walls or stumps of them, chimneys, and ash over rubble inside and a little way out."""
    inner = shapely.buffer(site.plan, -WALL)
    inner = inner if polygons_of(inner) else site.plan
    parts = [plate(site.plan, site.foot + 0.05, Surface.ASH)]
    volume = ASH * site.volume
    parts.append(heap(rng, site, inner, volume, kind=BURNED, reach=0.0, bed=site.foot + 0.05))
    standing = rng.uniform(0.5, 1.0) if rng.random() < MASONRY else rng.uniform(0.0, 0.15)
    parts.append(walls(rng, site, standing))
    parts.append(chimneys(rng, site, mesh))
    around = np.minimum(site.reach, 2.0)
    kinds = (Surface.CHAR, Surface.ASH, Surface.RUBBLE)
    count = int(min(30, 4 + site.building.footprint.area / 12))
    parts.append(strewn(rng, site, count, reach=around, heading=None, size=np.array([0.9, 0.6, 0.15]), surfaces=kinds))
    return parts


def walls(rng: np.random.Generator, site: Site, standing: float) -> Mesh:
    """Stumps of the outer walls: pieces about 2 m long, that share of which stand, of 0.4 m up to the eave."""
    pieces = []
    most = site.eave - site.foot
    for ring in shapely.get_parts(shapely.boundary(site.plan)):
        corners = np.asarray(ring.coords)[:, :2]
        for a, b in pairwise(corners):
            n = int(np.clip(np.linalg.norm(b - a) / 2.0, 1, 20))
            ends = a + np.linspace(0, 1, n + 1)[:, None] * (b - a)
            pieces.append(np.stack([ends[:-1], ends[1:]], axis=1))
    ends = np.concatenate(pieces)
    ends = ends[rng.random(len(ends)) < standing][:90]
    height = np.minimum(0.4 + most * rng.beta(1.3, 1.6, len(ends)), most)
    side = ends[:, 1] - ends[:, 0]
    length = np.linalg.norm(side, axis=1)
    inward = np.stack([side[:, 1], -side[:, 0]], axis=1) / np.maximum(length, 1e-9)[:, None]
    middle = ends.mean(axis=1)
    probe = shapely.contains_xy(site.plan, middle + 0.02 * inward)
    middle += np.where(probe[:, None], 1.0, -1.0) * inward * WALL / 2
    zero = np.zeros(len(ends))
    corners = box_corners(
        np.column_stack([middle, site.foot + height / 2]),
        np.column_stack([length, np.full(len(ends), WALL), height]),
        rotations(np.arctan2(side[:, 1], side[:, 0]), zero, zero),
    )
    kinds = np.where(rng.random(len(ends)) < 0.7, Surface.CHAR, Surface.WALL).astype(np.uint8)
    return boxes(corners, kinds, np.exp(rng.normal(0, 0.25, len(ends))))


def chimneys(rng: np.random.Generator, site: Site, mesh: Mesh) -> Mesh:
    """The mesh's own chimneys, down to the ground; or one, by chance, in a low house that shows none."""
    things = mesh.attributes.get("thing", np.zeros(len(mesh)))
    shapes = []
    own = mesh.faces((mesh.surface == Surface.CLUTTER) & (things == _CHIMNEY_THING))
    if len(own):
        ends = np.concatenate([own.triangles[:, :2], own.triangles[:, 1:]])
        n = len(own.vertices)
        body = connected_components(coo_matrix((np.ones(len(ends)), ends.T), shape=(n, n)), directed=False)[1]
        for k in np.unique(body[own.triangles[:, 0]]):
            points = own.vertices[np.unique(own.triangles[body[own.triangles[:, 0]] == k])]
            shapes.append((shapely.MultiPoint(points[:, :2]).minimum_rotated_rectangle, float(points[:, 2].max())))
    elif site.storeys <= 2 and rng.random() < CHIMNEY:
        middle, half, axes = site.frame
        at = middle + (rng.uniform(-0.6, 0.6, 2) * half) @ axes
        if shapely.contains_xy(site.plan, *at):
            shapes.append((shapely.box(*(at - 0.45), *(at + 0.45)), site.top + 0.6))
    stacks = [slab(shape, site.foot, top, Surface.RUBBLE) for shape, top in shapes if shape.geom_type == "Polygon"]
    return concatenate(stacks)[0]


def scorched(rng: np.random.Generator, mesh: Mesh) -> Mesh:
    """The mesh with its remaining roof and walls turned to char: what was left of it by another hazard has burnt."""
    burns = np.isin(mesh.surface, (Surface.ROOF, Surface.WALL, Surface.TIMBER, Surface.DECKING, Surface.OPENING))
    kinds = np.where(burns, Surface.CHAR, mesh.surface).astype(np.uint8)
    ash = (mesh.surface == Surface.RUBBLE) & (rng.random(len(mesh)) < 0.5)
    return replace(toned(rng, mesh), surface=np.where(ash, Surface.ASH, kinds).astype(np.uint8))
