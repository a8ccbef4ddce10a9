"""What is left of a building, and what of it lies outside its footprint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.scenes.mesh import Mesh, Surface, concatenate
from mage.scenes.modifiers.cutting import clip, compact, laid
from mage.scenes.modifiers.site import Site

Floats = NDArray[np.float64]

# what may hang over a footprint without being debris: eaves and balconies
_STANDING = (Surface.ROOF, Surface.WALL, Surface.CLOSURE, Surface.CLUTTER, Surface.OPENING, Surface.OTHER)


DEEPEST = 0.45  # metres
LARGE = 2.0  # square metres: smaller faces belong where their middle lies


def shared_out(site: Site, parts: list[Mesh]) -> tuple[Mesh, Mesh]:
    """The faces inside the footprint and those outside of it.

    Large faces across the sides of the smallest rectangle around the footprint are cut there; others belong where their
    middle lies. Roofs and walls stay with the building as far as its mesh hung over its footprint before.
    """
    mesh = concatenate(p for p in parts if len(p))[0]
    fabric = np.isin(mesh.surface, _STANDING)
    hanging = _overhang(site)
    loose_in, loose_out = _sorted(site, mesh.faces(~fabric), 0.0)
    firm_in, firm_out = _sorted(site, mesh.faces(fabric), hanging)
    return _finished(site, [loose_in, firm_in]), _finished(site, [loose_out, firm_out])


def _overhang(site: Site) -> float:
    """Metres that the mesh stood out over the footprint's rectangle, 1.5 at most."""
    middle, half, axes = site.frame
    reach = np.abs((site.building.mesh.vertices[:, :2] - middle) @ axes.T).max(axis=0) - half
    return float(np.clip(reach.max(), 0.0, 1.5)) + 0.01


def _sorted(site: Site, mesh: Mesh, hanging: float) -> tuple[Mesh, Mesh]:
    middle, half, axes = site.frame
    large = mesh.areas > LARGE
    small, mesh = compact(mesh.faces(~large)), compact(mesh.faces(large))
    outside = []
    for axis, width in zip(axes, half, strict=True):
        for sign in (1.0, -1.0):
            if not len(mesh):
                break
            normal = np.array([*(sign * axis), 0.0])
            offset = float(normal[:2] @ middle) + float(width) + hanging
            outside.append(clip(mesh, -normal, -offset)[0])
            mesh = clip(mesh, normal, offset)[0]
    mesh = concatenate([mesh, small])[0]
    plan = shapely.buffer(site.building.footprint, hanging, join_style="mitre") if hanging else site.building.footprint
    shapely.prepare(plan)
    centre = mesh.vertices[mesh.triangles].mean(axis=1)
    inside = shapely.contains_xy(plan, centre[:, 0], centre[:, 1]) if len(mesh) else np.zeros(0, bool)
    return mesh.faces(inside), concatenate([*outside, mesh.faces(~inside)])[0]


def _finished(site: Site, parts: list[Mesh]) -> Mesh:
    """One mesh of the vertices that are used, without faces under a square millimetre, with every tone set, and with
    nothing deeper in the ground than ``DEEPEST``.
    """
    full = [
        Mesh(p.vertices, p.triangles, p.surface, p.uv, {**p.attributes, "tone": _tones(p)}) for p in parts if len(p)
    ]
    mesh = concatenate(full)[0]
    mesh = mesh.faces(mesh.areas > 1e-6)
    mesh = compact(mesh)
    vertices = mesh.vertices.copy()
    vertices[:, 2] = np.maximum(vertices[:, 2], site.terrain.sample(vertices[:, :2]) - DEEPEST)
    return laid(replace(mesh, vertices=vertices))


def _tones(mesh: Mesh) -> NDArray[np.float32]:
    tone = mesh.attributes.get("tone", np.ones(len(mesh), np.float32))
    return np.where(tone > 0, tone, np.float32(1))
