"""Towns of plain boxes, for tests of what is made up around them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import shapely

from mage.scenes.city import Building, City
from mage.scenes.mesh import Mesh, Surface, planar_uv

_FACES = [(0, 2, 1), (0, 3, 2), (4, 5, 6), (4, 6, 7)]
_FACES += [f for i in range(4) for f in ((i, (i + 1) % 4, (i + 1) % 4 + 4), (i, (i + 1) % 4 + 4, i + 4))]
_KINDS = [Surface.GROUND] * 2 + [Surface.ROOF] * 2 + [Surface.WALL] * 8


def box_building(name: str, x: float, y: float, width: float, depth: float, ground: float, height: float) -> Building:
    """A box with its lower left corner at (x, y)."""
    ring = [(x, y), (x + width, y), (x + width, y + depth), (x, y + depth)]
    vertices = np.array([(*xy, z) for z in (ground, ground + height) for xy in ring])
    faces = np.array(_FACES, np.int32)
    mesh = Mesh(vertices, faces, np.array(_KINDS, np.uint8), planar_uv(vertices, faces))
    return Building(name, shapely.box(x, y, x + width, y + depth), ground, height, height, mesh, 1, roof="flat")


def bare_city(buildings: Sequence[Building]) -> City:
    """A city that holds these buildings and nothing else."""
    west, south, east, north = shapely.total_bounds([b.footprint for b in buildings]).tolist()
    return City("boxes", None, (0.0, 0.0), 52.0, 4.5, (west, south, east, north), tuple(buildings))


def four_houses() -> City:
    """Four boxes, 18 and 30 m apart."""
    return bare_city([box_building(f"b{i}", (i % 2) * 30, (i // 2) * 40, 12, 10, 5.0, 6.0) for i in range(4)])


def one_row() -> City:
    """Twelve terrace houses on ground that rises."""
    return bare_city([box_building(f"b{i}", i * 7, 0, 7, 10, 5 + 0.1 * i, 8.0) for i in range(12)])


def blocks(columns: int = 3, rows: int = 3, slope: float = 0.012) -> City:
    """Blocks of two facing rows of six houses round a yard, on ground that rises to the east and north."""
    houses = []
    for i, j, k, m in product(range(columns), range(rows), range(6), range(2)):
        x, y = i * 70 + k * 8, j * 62 + m * 30
        houses.append(box_building(f"b{i}-{j}-{k}-{m}", x, y, 8, 11, 3 + slope * x + 0.4 * slope * y, 9.0))
    return bare_city(houses)


def volume_of(mesh: Mesh) -> float:
    """Volume that a closed mesh with outward normals encloses, by the divergence theorem."""
    a, b, c = mesh.vertices[mesh.triangles].transpose(1, 0, 2)
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def is_closed(mesh: Mesh) -> bool:
    """Whether every edge is used once in each direction."""
    edges = np.concatenate([mesh.triangles[:, [0, 1]], mesh.triangles[:, [1, 2]], mesh.triangles[:, [2, 0]]])
    forward = {(int(a), int(b)) for a, b in edges}
    return len(forward) == len(edges) and all((b, a) in forward for a, b in forward)


def fingerprint(city: City) -> bytes:
    """Everything in a city that is drawn, as bytes."""
    shapes = [b.footprint for b in city.buildings] + [p.outline for p in city.land] + [w.outline for w in city.water]
    shapes += [e.line for e in city.roads.edges]
    arrays = [
        city.ground.heights,
        city.trees.xy,
        city.trees.height,
        city.trees.radius,
        np.array([w.level for w in city.water]),
        np.array([e.width for e in city.roads.edges]),
        *[b.mesh.vertices for b in city.buildings],
    ]
    return b"".join([a.tobytes() for a in arrays] + [shapely.to_wkb(s) for s in shapes])
