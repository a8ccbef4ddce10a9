"""A camp as it stands: ridge and tunnel tents of tarpaulin, rows of latrines, water tanks, as one painted mesh."""

from __future__ import annotations

from functools import cache

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.generator.additions import Additions, no_additions
from mage.generator.colour import reflectance
from mage.scenes.change import block
from mage.scenes.dataset.fields import LandClass
from mage.scenes.hazards.camp import COLOURS, FACILITIES, FORMS, TANK, Camp, rectangles
from mage.scenes.mesh import Mesh, concatenate
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]

# Reflectances. White tarpaulin is nearly as bright as anything can be: in a low sun the slopes that face it are white
# beyond what a sensor holds, as in Kahramanmaraş in February 2023. The others by eye, from 8-bit sRGB.
TARPAULINS = {"white": np.array([0.87, 0.87, 0.85]), "blue": reflectance((66, 112, 178))}
TARPAULINS |= {"beige": reflectance((222, 211, 184))}
WORN = 0.05  # spread (log) of how dirty tents are
RISE = {"ridge": 0.5, "tunnel": 0.47}  # height of a tent for its width
WALL = 0.42  # of a ridge tent's height: where its walls end and its roof begins
SUNK = 0.15  # metres that a tent's skirts reach into uneven ground
CABINS, CABIN = 5, 2.3  # in a row of latrines; metres high
PLASTIC, LIDS = reflectance([(64, 96, 128), (92, 116, 104)]), reflectance((206, 206, 200))
BASE, TANK_HEIGHT, LINER = 0.35, 1.8, reflectance([(58, 66, 78), (38, 42, 44), (70, 96, 132)])
SANDBAGS = reflectance((168, 156, 132))


def build_camp(camp: Camp | None, terrain: Terrain) -> Additions:
    """All that stands in a camp; faces of tents bear the tent's index."""
    if camp is None or not len(camp.plans()):
        return no_additions()
    meshes, albedos, owners = [], [], []
    for k in range(len(camp)):
        mesh, tone = _tent(camp, k, terrain)
        dirt = np.exp(WORN * (2 * _unit(camp.xy[k]) - 1.5))
        meshes.append(mesh)
        albedos.append(TARPAULINS[COLOURS[camp.colour[k]]] * tone[:, None] * dirt)
        owners.append(np.full(len(mesh), k))
    for k in range(len(camp.facility_kind)):
        for mesh, colour in _facility(camp, k, terrain):
            meshes.append(mesh)
            albedos.append(np.broadcast_to(colour, (len(mesh), 3)))
            owners.append(np.full(len(mesh), -1))
    owner = np.concatenate(owners).astype(np.int32)
    cover = np.where(owner >= 0, int(LandClass.TENT), int(LandClass.STRUCTURE)).astype(np.uint8)
    none = np.full(len(owner), -1, np.int32)
    return Additions(
        concatenate(meshes)[0], np.concatenate(albedos).clip(0.01, 0.9).astype(np.float32), cover, none, owner
    )


def _tent(camp: Camp, k: int, terrain: Terrain) -> tuple[Mesh, Floats]:
    form = FORMS[camp.form[k]]
    mesh, tone = _ridge() if form == "ridge" else _tunnel()
    length, width = camp.size[k]
    c, s = np.cos(camp.heading[k]), np.sin(camp.heading[k])
    x, y, z = (mesh.vertices * (length, width, RISE[form] * width)).T
    xy = np.stack([x * c - y * s, x * s + y * c], axis=1) + camp.xy[k]
    # it hangs from its own poles, and its skirts follow the ground
    foot = np.where(mesh.vertices[:, 2] <= 0, terrain.sample(xy) - SUNK, terrain.sample(camp.xy[k]))
    return Mesh(np.column_stack([xy, foot + z]), mesh.triangles, mesh.surface, mesh.uv), tone


@cache
def _ridge() -> tuple[Mesh, Floats]:
    """A ridge tent within a unit box, its ridge along x, with the tone of each face: three poles between which the
    roof sags, eaves a little beyond the walls, a dark door in each gable.
    """
    along = np.array([-0.5, -0.25, 0.0, 0.25, 0.5])
    sag = np.array([0.0, 0.02, 0.0, 0.02, 0.0])
    walls = [(-0.46, 0.0), (-0.46, WALL), (-0.5, WALL - 0.05)]
    half = [[(y, z) for y, z in walls] + [(-0.25, (1 + WALL) / 2 - s), (0.0, 1 - s)] for s in sag]
    return _skinned([[(x, *p) for p in _mirrored(h)] for x, h in zip(along, half, strict=True)], 0.14)


@cache
def _tunnel() -> tuple[Mesh, Floats]:
    """A tunnel tent within a unit box, along x: hoops between which the cover hangs in, ends that lean inwards."""
    turn = np.linspace(np.pi, np.pi / 2, 5)
    sections = []
    for x, size in ((-0.5, 0.8), (-0.44, 0.97), (-0.22, 0.95), (0.0, 1.0), (0.22, 0.95), (0.44, 0.97), (0.5, 0.8)):
        half = [(0.5 * size * np.cos(t), size * np.sin(t) if t < np.pi else 0.0) for t in turn]
        sections.append([(x, *p) for p in _mirrored(half)])
    return _skinned(sections, 0.2)


def _mirrored(half: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """A cross-section from its left foot over its top, the last of ``half``, to its right foot."""
    return half + [(-y, z) for y, z in half[-2::-1]]


def _skinned(sections: list[list[tuple[float, float, float]]], door: float) -> tuple[Mesh, Floats]:
    """The skin over sections of as many points each, its two ends closed but for dark doors ``door`` wide on each side
    of the middle; tones vary a little from panel to panel.
    """
    points = np.array(sections)
    n, k = points.shape[:2]
    i, j = np.meshgrid(np.arange(n - 1), np.arange(k - 1), indexing="ij")
    a = (i * k + j).ravel()
    triangles = [np.stack([a, a + k + 1, a + 1], axis=1), np.stack([a, a + k, a + k + 1], axis=1)]
    panel = np.tile(1 - 0.03 * ((i + j) % 2).ravel() - 0.02 * (i % 2).ravel(), 2)
    fan = np.arange(1, k - 1)
    last = (n - 1) * k
    triangles += [np.stack([0 * fan, fan, fan + 1], axis=1), np.stack([0 * fan, fan + 1, fan], axis=1) + last]
    ends, tones = [], [panel, np.full(2 * len(fan), 0.92)]
    for way, section in ((-1, points[0]), (1, points[-1])):
        top = 0.8 * section[:, 2].max()
        x = section[0, 0] + 0.004 * way
        ends.append(np.array([(x, -door, 0.0), (x, door, 0.0), (x, 0.6 * door, top), (x, -0.6 * door, top)]))
        start = n * k + 4 * (len(ends) - 1)
        order = [(0, 1, 2), (0, 2, 3)] if way > 0 else [(0, 2, 1), (0, 3, 2)]
        triangles.append(np.array(order) + start)
        tones.append(np.full(2, 0.12))
    vertices, faces = np.concatenate([points.reshape(-1, 3), *ends]), np.concatenate(triangles).astype(np.int32)
    uv = np.zeros((len(faces), 3, 2), np.float32)  # plain paint asks for none
    return Mesh(vertices, faces, np.zeros(len(faces), np.uint8), uv), np.concatenate(tones)


def _facility(camp: Camp, k: int, terrain: Terrain) -> list[tuple[Mesh, Floats]]:
    xy, heading, tone = camp.facility_xy[k], camp.facility_heading[k], _unit(camp.facility_xy[k])
    length, width = FACILITIES[camp.facility_kind[k]]
    if camp.facility_kind[k] == TANK:
        round_ = _circle(xy, 0.46 * width)
        base = _upright(_rectangle(xy, heading, (length, width)), terrain, 0.0, BASE)
        tank = _upright(round_, terrain, BASE, BASE + TANK_HEIGHT)
        lid = _upright(_circle(xy, 0.42 * width), terrain, BASE + TANK_HEIGHT, BASE + TANK_HEIGHT + 0.05)
        return [(base, SANDBAGS), (tank, LINER[int(tone * len(LINER))]), (lid, 1.5 * LINER[int(tone * len(LINER))])]
    parts, along = [], np.array([np.cos(heading), np.sin(heading)])
    for place in (np.arange(CABINS) - (CABINS - 1) / 2) * (length / CABINS):
        ring = _rectangle(xy + place * along, heading, (0.9 * length / CABINS, 0.8 * width))
        roof = _rectangle(xy + place * along, heading, (0.96 * length / CABINS, 0.9 * width))
        parts.append((_upright(ring, terrain, 0.0, CABIN), PLASTIC[int(tone * len(PLASTIC))]))
        parts.append((_upright(roof, terrain, CABIN, CABIN + 0.06), LIDS))
    return parts


def _upright(ring: Floats, terrain: Terrain, low: float, high: float) -> Mesh:
    """A body on a plan (k, 2) from one height above the ground to another; one that starts at 0 reaches into it."""
    ground = terrain.sample(ring)
    foot = np.full(len(ring), ground.min() - SUNK if low == 0 else ground.mean() + low)
    return block(np.column_stack([ring, foot]), np.column_stack([ring, np.full(len(ring), ground.mean() + high)]))


def _rectangle(xy: Floats, heading: float, size: tuple[float, float]) -> Floats:
    shape = rectangles(xy[None], np.array([heading]), np.array([size]))[0]
    return np.asarray(shapely.get_coordinates(shape)[:4])


def _circle(xy: Floats, radius: float) -> Floats:
    turn = np.arange(12) * np.pi / 6
    return np.asarray(xy + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1))


def _unit(xy: Floats) -> float:
    """A number in [0, 1) for a place, as good as drawn."""
    return float((xy[0] * 0.7548776662 + xy[1] * 0.5698402910) * 10 % 1.0)
