"""Meshes cut by planes and moved about, and cuts closed again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon

from mage.scenes.mesh import Mesh, Surface, concatenate, planar_uv
from mage.scenes.modifiers.bodies import built, plate

Floats = NDArray[np.float64]

_ON = 1e-6  # metres within which a vertex lies on the plane and counts as kept


def clip(mesh: Mesh, normal: Floats, offset: float) -> tuple[Mesh, Floats]:
    """What lies behind a plane (normal · x <= offset), and the cut.

    Returns:
        The faces behind, those across it shortened; and a segment (k, 2, 3) for each face that was shortened and
        looks up, in the order of the faces.
    """
    signed = mesh.vertices @ np.asarray(normal, float) - offset
    if not len(mesh) or signed.max() <= _ON:
        return mesh, np.zeros((0, 2, 3))
    out = signed[mesh.triangles] > _ON
    count = out[:, 0].astype(np.int8) + out[:, 1] + out[:, 2]  # faster than a sum over so short an axis
    across = (count == 1) | (count == 2)
    kept = compact(mesh.faces(count == 0))
    if not across.any():
        return kept, np.zeros((0, 2, 3))
    cut, one_out = mesh.faces(across), count[across] == 1
    lone = np.where(one_out, out[across].argmax(axis=1), (~out[across]).argmax(axis=1))
    order = (lone[:, None] + np.arange(3)) % 3
    corner = np.take_along_axis(cut.triangles, order, axis=1)
    p, s = mesh.vertices[corner], signed[corner]
    uv = np.take_along_axis(cut.uv, order[..., None], axis=1)
    t = np.clip(s[:, :1] / (s[:, :1] - s[:, 1:]), 0, 1)
    q = p[:, :1] + t[..., None] * (p[:, 1:] - p[:, :1])
    quv = uv[:, :1] + t[..., None].astype(np.float32) * (uv[:, 1:] - uv[:, :1])
    whole = np.concatenate([p, q], axis=1), np.concatenate([uv, quv], axis=1)  # corners 0 1 2, cut points 3 4
    pieces = [kept]
    for chosen, form in ((~one_out, (0, 3, 4)), (one_out, (3, 1, 2)), (one_out, (3, 2, 4))):
        points = whole[0][chosen][:, form]
        part = cut.faces(chosen)
        triangles = np.arange(points.shape[0] * 3, dtype=np.int32).reshape(-1, 3)
        pieces.append(replace(part, vertices=points.reshape(-1, 3), triangles=triangles, uv=whole[1][chosen][:, form]))
    return concatenate(pieces)[0], q[cut.normals[:, 2] > 0.02]


def compact(mesh: Mesh) -> Mesh:
    """The mesh without vertices that no face uses: cut again and again, they would pile up."""
    used = np.zeros(len(mesh.vertices), bool)
    used[mesh.triangles] = True
    place = np.cumsum(used, dtype=np.int32) - np.int32(1)
    return replace(mesh, vertices=mesh.vertices[used], triangles=place[mesh.triangles])


def hung(segments: Floats, foot: float, towards: Floats) -> Mesh:
    """A vertical cut closed: a broken face from each segment (k, 2, 3) down to height ``foot``, looking ``towards``.

    Exact for bodies without overhangs, whatever their walls are like.
    """
    high = segments[segments[..., 2].max(axis=1) > foot + 0.01] if len(segments) else segments
    low = high.copy()
    low[..., 2] = np.minimum(foot, high[..., 2])
    quads = np.stack([low[:, 0], low[:, 1], high[:, 1], high[:, 0]], axis=1)
    facing = np.cross(quads[:, 1] - quads[:, 0], [0.0, 0.0, 1.0]) @ towards < 0
    quads[facing] = quads[facing][:, ::-1]
    base = 4 * np.arange(len(quads))[:, None, None]
    faces = (np.array([(0, 1, 2), (0, 2, 3)])[None] + base).reshape(-1, 3)
    return built(quads.reshape(-1, 3), faces, Surface.RUBBLE, np.ones(len(faces)))


def halves(mesh: Mesh, normal: Floats, offset: float, foot: float) -> tuple[Mesh, Mesh]:
    """The parts behind and before a vertical plane, both closed along it down to ``foot``."""
    normal = np.asarray(normal, float)
    behind, edge = clip(mesh, normal, offset)
    before, _ = clip(mesh, -normal, -offset)
    return (
        concatenate([behind, hung(edge, foot, normal)])[0],
        concatenate([before, hung(edge, foot, -normal)])[0],
    )


def section(mesh: Mesh, z: float, footprint: Polygon | MultiPolygon) -> Polygon | MultiPolygon:
    """Outline of what a mesh holds at height ``z``: from its cut where that closes, else the footprint."""
    high = mesh.vertices[mesh.triangles][..., 2] > z
    crossing = high.any(axis=1) & ~high.all(axis=1)
    p = mesh.vertices[mesh.triangles[crossing]]
    ends = []
    for i, j in ((0, 1), (1, 2), (2, 0)):
        rise = p[:, j, 2] - p[:, i, 2]
        crosses = (p[:, i, 2] > z) != (p[:, j, 2] > z)
        t = np.divide(z - p[:, i, 2], rise, out=np.zeros(len(p)), where=crosses)
        point = p[:, i, :2] + t[:, None] * (p[:, j, :2] - p[:, i, :2])
        ends.append(np.where(crosses[:, None], point, np.nan))
    both = np.stack(ends, axis=1)
    lines = np.round(both[np.isfinite(both[..., 0])].reshape(-1, 2, 2), 3)
    lines = lines[(lines[:, 0] != lines[:, 1]).any(axis=1)]
    faces = shapely.get_parts(shapely.polygonize([shapely.union_all(shapely.linestrings(lines))]))
    around = shapely.buffer(footprint, 0.3)
    inner = [f for f in faces if around.contains(f.representative_point())]
    joined = shapely.union_all(inner) if inner else footprint
    return joined if joined.area > 0.5 * footprint.area else footprint


def levels(mesh: Mesh, z: float, footprint: Polygon | MultiPolygon) -> tuple[Mesh, Mesh]:
    """The parts under and over a height; the lower one is closed by a slab."""
    under, _ = clip(mesh, np.array([0.0, 0.0, 1.0]), z)
    over, _ = clip(mesh, np.array([0.0, 0.0, -1.0]), -z)
    return concatenate([under, plate(section(mesh, z, footprint), z, Surface.SLAB)])[0], over


def moved(mesh: Mesh, vertices: Floats) -> Mesh:
    """The mesh with its vertices elsewhere; UV stays, as it does on a wall that falls."""
    return replace(mesh, vertices=vertices)


def tipped(mesh: Mesh, at: Floats, towards: float, angle: float) -> Mesh:
    """The mesh turned by ``angle`` about a level axis through ``at`` (3,) so that its top moves towards a heading."""
    axis = np.array([-np.sin(towards), np.cos(towards), 0.0])
    d = mesh.vertices - at
    c, s = np.cos(angle), np.sin(angle)
    turned = d * c + np.cross(axis, d) * s + np.outer(d @ axis, axis) * (1 - c)
    return moved(mesh, turned + at)


def rough(rng: np.random.Generator, mesh: Mesh, pieces: int, drop: float, tilt: float, foot: float) -> Mesh:
    """The mesh broken by vertical planes into so many pieces, each sunk by up to ``drop`` m and tilted a little; none
    reaches higher than it did.
    """
    parts = [mesh]
    for _ in range(pieces - 1):
        largest = max(range(len(parts)), key=lambda k: float(parts[k].areas.sum()))
        part = parts.pop(largest)
        middle = part.vertices[part.triangles].reshape(-1, 3)[:, :2].mean(axis=0)
        heading = rng.uniform(0, np.pi)
        normal = np.array([np.cos(heading), np.sin(heading), 0.0])
        parts += [p for p in halves(part, normal, float(middle @ normal[:2]), foot) if len(p)]
    placed = []
    for part in parts:
        corners = part.vertices[part.triangles].reshape(-1, 3)
        middle = np.array([*corners[:, :2].mean(axis=0), corners[:, 2].min()])
        leaning = tipped(part, middle, rng.uniform(-np.pi, np.pi), abs(rng.normal(0, tilt)))
        lifted = float(leaning.vertices[leaning.triangles][..., 2].max() - corners[:, 2].max())
        placed.append(moved(leaning, leaning.vertices - np.array([0, 0, max(drop * rng.random(), lifted)])))
    return concatenate(placed)[0]


def laid(mesh: Mesh) -> Mesh:
    """The mesh with its UV laid anew."""
    return replace(mesh, uv=planar_uv(mesh.vertices, mesh.triangles))
