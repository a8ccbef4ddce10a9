"""What stands in a city and is no building: trees, bridges, walls, furniture; and the relief below it all."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, QhullError

from mage.scenes.city import Structure, Trees
from mage.scenes.mesh import Mesh, Surface, concatenate, planar_uv
from mage.scenes.sources.buildings.surfaces import FARTHEST, clean, shell_mesh, triangulate
from mage.scenes.sources.features.cover_words import is_conifer, is_shrub
from mage.scenes.sources.features.flat import Local, finest
from mage.scenes.sources.features.road_axes import stated_number
from mage.scenes.sources.raw import Floats, Polygons, RawFeature

STRUCTURES = {
    "Bridge": "bridge",
    "Tunnel": "tunnel",
    "CityFurniture": "furniture",
    "GenericCityObject": "construction",
    "OtherConstruction": "construction",
}
_TREE, _SHRUB = (9.0, 3.0), (2.0, 1.2)  # height and crown radius (m) of a plant of which nothing is known
_SLENDER = 0.3  # crown radius over height, where only the height is known
_HEIGHT = re.compile(r"(tree|boom|baum)?_?(height|hoogte|höhe|hoehe)|h_?(tree|boom|baum)")
_CROWN = re.compile(r"(crown|kronen?|kroon)_?(diameter|durchmesser|breite|width)")


def structures_of(features: Sequence[RawFeature], local: Local, notes: Counter[str]) -> tuple[Structure, ...]:
    """One structure an object, of all its parts; those without faces are counted.

    The object's own geometry is used only when it is as fine as its parts, because a coarser one stands for them.
    """
    groups: dict[str, list[RawFeature]] = defaultdict(list)
    for feature in features:
        groups[feature.id].append(feature)
    found = []
    for identity, members in groups.items():
        kind = next(kind for name, kind in STRUCTURES.items() if members[0].kind.startswith(name))
        mesh, _ = concatenate([shell_mesh(shell, notes, closing=False) for shell in _shells(members, local)])
        if len(mesh):
            found.append(Structure(identity, kind, mesh))
        else:
            notes[f"{members[0].kind} without faces left out"] += 1
    return tuple(found)


def _shells(members: Sequence[RawFeature], local: Local) -> list[Polygons]:
    levels = [int(max(feature.shells, default=-1)) for feature in members]
    whole = [feature.kind in STRUCTURES and not feature.role for feature in members]
    return [
        shell
        for feature, level, alone in zip(members, levels, whole, strict=True)
        if not (alone and level < max(levels))
        for shell in finest(feature, local)
    ]


def trees_of(features: Sequence[RawFeature], local: Local, notes: Counter[str]) -> Trees:
    """A tree for each solitary plant: its place and size from its attributes, else from its geometry, else assumed."""
    rows, conifers = [], []
    for feature in features:
        points = _points(feature, local)
        if not len(points):
            notes["plants without a place left out"] += 1
            continue
        rows.append(_tree(feature, points, notes))
        conifers.append(is_conifer(feature.attributes))
    values = np.array(rows).reshape(-1, 4)
    return Trees(values[:, :2], values[:, 2], values[:, 3], np.array(conifers, np.uint8))


def _points(feature: RawFeature, local: Local) -> Floats:
    """All points of a feature's finest level, or else its lines' and places, that are somewhere; local metres."""
    shells = [shell.points for shell in finest(feature, local)]
    points = np.concatenate([*shells, np.zeros((0, 3))])
    if not len(points):
        points = local(np.concatenate([*feature.lines, feature.points]))
    with np.errstate(invalid="ignore"):
        return np.asarray(points[(np.abs(points) < FARTHEST).all(axis=1)])


def _tree(feature: RawFeature, points: Floats, notes: Counter[str]) -> tuple[float, float, float, float]:
    """X, y, height and crown radius."""
    low, high = points.min(axis=0), points.max(axis=0)
    spread, tall = float((high - low)[:2].max()) / 2, float(high[2] - low[2])
    height, crown = stated_number(feature.attributes, _HEIGHT), stated_number(feature.attributes, _CROWN)
    x, y = (low + high)[:2] / 2
    usual = _SHRUB if is_shrub(feature.attributes) else _TREE
    if height is None or not 0.2 <= height <= 120:
        height = tall if 0.2 <= tall <= 120 else None
    radius = crown / 2 if crown is not None and 0.2 <= crown <= 60 else spread
    if height is None or not 0.1 <= radius <= 30:
        notes["plants of a size that is assumed"] += 1
        radius = radius if 0.1 <= radius <= 30 else (usual[1] if height is None else _SLENDER * height)
    return float(x), float(y), usual[0] if height is None else height, radius


def relief_of(features: Sequence[RawFeature], local: Local, notes: Counter[str]) -> Mesh | None:
    """The ground as triangles in local metres, facing up; joined from points where a source has no triangles."""
    pieces = [_ground(shell, notes) for feature in features for shell in finest(feature, local)]
    pieces = [piece for piece in pieces if len(piece)]
    if pieces:
        return concatenate(pieces)[0]
    points = np.concatenate([np.zeros((0, 3)), *(_points(feature, local) for feature in features)])
    _, first = np.unique(np.round(points[:, :2], 2), axis=0, return_index=True)
    if len(first) < 3:
        if features:
            notes["relief without triangles left out"] += len(features)
        return None
    try:
        triangles = Delaunay(points[first, :2] - points[first, :2].mean(axis=0)).simplices
    except QhullError:  # all on one line
        notes["relief without triangles left out"] += len(features)
        return None
    notes["relief joined from points"] += 1
    return _facing_up(points[first], triangles.astype(np.int32))


def _ground(shell: Polygons, notes: Counter[str]) -> Mesh:
    """Triangles are taken as they are: a relief has millions, and each is level and simple by its nature."""
    if (shell.rings == 1).all() and (shell.sizes == 3).all():
        points, triangles = shell.points, np.arange(len(shell.points)).reshape(-1, 3)
        with np.errstate(invalid="ignore"):
            somewhere = (np.abs(points) < FARTHEST).all(axis=1)[triangles].all(axis=1)
        notes["triangles of relief that are nowhere left out"] += int(len(triangles) - somewhere.sum())
        triangles = triangles[somewhere]
    else:
        cleaned = clean(shell, notes)
        if not len(cleaned):
            return _facing_up(np.zeros((0, 3)), np.zeros((0, 3), np.int32))
        points, triangles, _ = triangulate(cleaned)
    return _facing_up(points, triangles.astype(np.int32))


def _facing_up(points: Floats, triangles: NDArray[np.int32]) -> Mesh:
    """A mesh of ground, every triangle turned upward, without those that stand upright; each point once."""
    a, b, c = (points[triangles[:, i], :2] for i in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    turned = np.where((area < 0)[:, None], triangles[:, ::-1], triangles)[np.abs(area) > 1e-6]
    vertices, corners = np.unique(points[turned.ravel()], axis=0, return_inverse=True)
    corners = corners.reshape(-1, 3).astype(np.int32)
    surface = np.full(len(corners), Surface.GROUND, np.uint8)
    return Mesh(vertices.reshape(-1, 3), corners, surface, planar_uv(vertices.reshape(-1, 3), corners))
