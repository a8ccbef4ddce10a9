"""What is built and is no building, as one mesh: decks of bridges, walls, fences, hedges, furniture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree

from mage.generator.colour import reflectance
from mage.scenes.city import Barrier, City, RoadEdge, Structure
from mage.scenes.dataset.fields import LandClass
from mage.scenes.mesh import Mesh, concatenate
from mage.scenes.style import Style
from mage.scenes.terrain import Terrain
from mage.scenes.ways import on_bridge

Floats = NDArray[np.float64]

DECK_CLEARANCE = 1.2  # metres from permanent water to the top of a deck that no source gives a height
DECK_LIFT, DECK_STEP = 5.0, 4.0  # metres between the levels of crossing streets; metres between a deck's sections
PANEL = 4.0  # metres; a barrier follows the ground in pieces no longer than this

# reflectances as they look in imagery; walls take those of the style
COLOURS = {
    "fence": (128, 112, 92),
    "bridge": (168, 165, 156),
    "tunnel": (150, 148, 142),
    "furniture": (120, 122, 124),
    "construction": (172, 168, 160),
}


@dataclass(frozen=True, slots=True, eq=False)
class Works:
    """All of it.

    Attributes:
        mesh: one mesh; the first ``decks`` faces are decks of streets and tracks, which wear the picture of the ground.
        albedo: float32 (m, 3) reflectance of each face.
        cover: uint8 (m,) :class:`LandClass` of each face.
        decks: how many faces.
    """

    mesh: Mesh
    albedo: NDArray[np.float32]
    cover: NDArray[np.uint8]
    decks: int

    def deck_heights(self, xy: Floats) -> Floats:
        """The highest deck of a bridge over each point (n, 2), float64 (n,), -inf where there is none."""
        top = np.full(len(xy), -np.inf)
        up = (self.cover == LandClass.ROAD) & (self.mesh.normals[:, 2] > 0.5)
        if not up.any():
            return top
        corners = self.mesh.vertices[self.mesh.triangles[up]]
        point, face = STRtree(shapely.polygons(corners[:, :, :2])).query(shapely.points(xy), predicate="intersects")
        a, normal = corners[face, 0], self.mesh.normals[up][face]
        z = a[:, 2] - ((xy[point] - a[:, :2]) * normal[:, :2]).sum(axis=1) / normal[:, 2]
        np.maximum.at(top, point, z)
        return top


def build_works(city: City, style: Style, water_levels: Floats, rng: np.random.Generator) -> Works:
    """Meshes of a completed city's bridges, barriers and structures; ``rng`` draws their colours."""
    ground = city.ground
    decks = [_deck(line, width, level, ground, water_levels) for line, width, level, _ in _spans(city)]
    kinds = [kind for *_, kind in _spans(city)]
    parts: list[tuple[Mesh, Floats, int]] = [
        (mesh, np.array([0.15, 0.15, 0.14]), kind) for mesh, kind in zip(decks, kinds, strict=True)
    ]
    parts += [_barrier(b, style, ground, rng) for b in city.barriers]
    for structure in city.structures:
        parts += _structure(structure, rng)
    mesh, owner = concatenate([p[0] for p in parts])
    colours = np.array([p[1] for p in parts]).reshape(-1, 3)
    classes = np.array([p[2] for p in parts], np.uint8)
    shade = rng.lognormal(0, 0.1, len(mesh))[:, None]
    albedo = np.clip(colours[owner] * shade, 0.005, 0.85).astype(np.float32)
    return Works(mesh, albedo, classes[owner], sum(len(d) for d in decks))


def _spans(city: City) -> list[tuple[shapely.LineString, float, int, int]]:
    """Axis, width, level and class of every bridge that carries a street or tracks."""
    streets = [(e.line, e.width + 1.0, _level(e), int(LandClass.ROAD)) for e in city.roads.edges if on_bridge(e)]
    tracks = [
        (r.line, (r.tracks - 1) * 4.0 + 5.5, 1, int(LandClass.RAIL)) for r in city.railways if r.bridge and not r.tunnel
    ]
    return streets + tracks


def _level(edge: RoadEdge) -> int:
    return max(edge.layer, 1)


def _deck(line: shapely.LineString, width: float, level: int, ground: Terrain, water: Floats) -> Mesh:
    """A slab along a street from bank to bank: straight between the ground at its two ends, raised in an arch where
    water or another street needs it.
    """
    count = max(int(np.ceil(line.length / DECK_STEP)), 2)
    way = np.linspace(0, line.length, count + 1)
    here = shapely.get_coordinates(shapely.line_interpolate_point(line, way))
    along = np.gradient(here, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    left = np.stack([-along[:, 1], along[:, 0]], axis=1) * width / 2
    share = way / line.length
    ends = ground.sample(here[[0, -1]])
    z = ends[0] + (ends[1] - ends[0]) * share + 0.15
    levels = ground.sample(here, water)
    wet = levels[np.isfinite(levels)]
    below = np.maximum(ground.sample(here), np.where(np.isfinite(levels), levels, -np.inf))
    clear = DECK_CLEARANCE if len(wet) else (level * DECK_LIFT if line.length > 60 else 0.3)
    middle = (share > 0.15) & (share < 0.85)
    lack = np.maximum(below[middle] + clear - z[middle], 0).max(initial=0)
    z = z + lack * np.clip(np.minimum(share, 1 - share) / 0.15, 0, 1)
    z = np.maximum(z, np.maximum(ground.sample(here + left), ground.sample(here - left)) + 0.05)
    ring = np.stack([here - left, here + left, here + left, here - left], axis=1)
    height = np.stack([z, z, z - 0.7, z - 0.7], axis=1)
    return _tube(np.concatenate([ring, height[..., None]], axis=2))


def _tube(sections: Floats) -> Mesh:
    """A closed body through sections (n, 4, 3) of right-top, left-top, left-bottom, right-bottom seen forward."""
    n = len(sections)
    base = np.arange(n - 1)[:, None] * 4
    faces = []
    for i in range(4):
        j = (i + 1) % 4
        a, b, c, d = base + i, base + j, base + j + 4, base + i + 4
        faces += [np.concatenate([a, d, c], axis=1), np.concatenate([a, c, b], axis=1)]
    last = 4 * (n - 1)
    caps = np.array([(0, 1, 2), (0, 2, 3), (last, last + 2, last + 1), (last, last + 3, last + 2)])
    triangles = np.concatenate([*faces, caps]).astype(np.int32)
    vertices = sections.reshape(-1, 3)
    # neither the ground's picture nor plain paint asks for UV
    return Mesh(vertices, triangles, np.zeros(len(triangles), np.uint8), np.zeros((len(triangles), 3, 2), np.float32))


def _barrier(barrier: Barrier, style: Style, ground: Terrain, rng: np.random.Generator) -> tuple[Mesh, Floats, int]:
    """A strip of the barrier's height and width that follows the ground; a hedge's top is uneven."""
    line = barrier.line
    count = max(int(np.ceil(line.length / (1.0 if barrier.kind == "hedge" else PANEL))), 1)
    course = shapely.get_coordinates(line)
    ways = np.unique(np.concatenate([np.linspace(0, line.length, count + 1), _vertices(course)]).round(3))
    here = shapely.get_coordinates(shapely.line_interpolate_point(line, ways))
    along = np.gradient(here, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    left = np.stack([-along[:, 1], along[:, 0]], axis=1) * barrier.width / 2
    foot = ground.sample(here)
    top = foot + barrier.height
    if barrier.kind == "hedge":
        left = left * rng.uniform(0.75, 1.0, (len(here), 1))
        top = top - rng.uniform(0, 0.15, len(here)) * barrier.height
    ring = np.stack([here - left, here + left, here + left, here - left], axis=1)
    height = np.stack([top, top, foot - 0.3, foot - 0.3], axis=1)
    mesh = _tube(np.concatenate([ring, height[..., None]], axis=2))
    if barrier.kind == "hedge":
        crown = style.look.crowns[int(rng.integers(len(style.look.crowns)))].srgb
        return mesh, reflectance(crown) * rng.lognormal(0.1, 0.15), int(LandClass.TREE)
    if barrier.kind == "wall":
        wall = style.look.walls[int(rng.integers(len(style.look.walls)))].srgb
        return mesh, reflectance(wall) * 0.8, int(LandClass.STRUCTURE)
    return mesh, reflectance(COLOURS["fence"]) * rng.lognormal(0, 0.25), int(LandClass.STRUCTURE)


def _vertices(course: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(course, axis=0), axis=1))])


def _structure(structure: Structure, rng: np.random.Generator) -> list[tuple[Mesh, Floats, int]]:
    """A structure's faces; what one walks or drives on of a bridge is ``ROAD``. Tunnels are not seen."""
    if structure.kind == "tunnel" or len(structure.mesh) == 0:
        return []
    colour = reflectance(COLOURS.get(structure.kind, COLOURS["construction"])) * rng.lognormal(0, 0.1)
    mesh = Mesh(structure.mesh.vertices, structure.mesh.triangles, structure.mesh.surface, structure.mesh.uv)
    if structure.kind != "bridge":
        return [(mesh, colour, int(LandClass.STRUCTURE))]
    deck = mesh.normals[:, 2] > 0.7
    return [
        (mesh.faces(deck), colour, int(LandClass.ROAD)),
        (mesh.faces(~deck), colour, int(LandClass.STRUCTURE)),
    ]
