"""Cities whose every label has a closed form: boxes on a plane, a plane under water."""

from __future__ import annotations

import numpy as np
import shapely
from shapely.geometry import LineString

from mage.scenes.city import Building, City, RoadEdge, RoadGraph, Trees, WaterBody
from mage.scenes.mesh import Mesh, Surface, planar_uv
from mage.scenes.terrain import Terrain


def box_mesh(west: float, south: float, east: float, north: float, low: float, high: float) -> Mesh:
    """A closed box with roof, walls and floor."""
    ring = [(west, south), (east, south), (east, north), (west, north)]
    vertices = np.array([(x, y, low) for x, y in ring] + [(x, y, high) for x, y in ring], float)
    faces = [(0, 2, 1), (0, 3, 2), (4, 5, 6), (4, 6, 7)]
    kinds = [Surface.GROUND, Surface.GROUND, Surface.ROOF, Surface.ROOF]
    for i in range(4):
        j = (i + 1) % 4
        faces += [(i, j, j + 4), (i, j + 4, i + 4)]
        kinds += [Surface.WALL, Surface.WALL]
    triangles = np.array(faces, np.int32)
    return Mesh(vertices, triangles, np.array(kinds, np.uint8), planar_uv(vertices, triangles))


def box_building(
    name: str, west: float, south: float, east: float, north: float, ground: float, height: float
) -> Building:
    """A flat-roofed box of that height above ``ground``; its mesh reaches a metre into the ground."""
    return Building(
        id=name,
        footprint=shapely.box(west, south, east, north),
        ground=ground,
        height=height,
        eave=height,
        mesh=box_mesh(west, south, east, north, ground - 1.0, ground + height),
        lod=1,
        roof="flat",
    )


def flat_terrain(height: float, side: float = 200.0, step: float = 2.0) -> Terrain:
    """A plane around the origin."""
    n = int(side / step) + 1
    return Terrain(np.full((n, n), height), -side / 2, side / 2, step)


def box_city(
    buildings: tuple[Building, ...],
    terrain: Terrain,
    *,
    roads: tuple[LineString, ...] = (),
    width: float = 6.0,
    water: tuple[WaterBody, ...] = (),
    trees: Trees | None = None,
) -> City:
    """A city of these parts in a frame of its own, nowhere on Earth."""
    ends = [xy for line in roads for xy in (line.coords[0], line.coords[-1])]
    edges = tuple(RoadEdge(2 * i, 2 * i + 1, line, width) for i, line in enumerate(roads))
    return City(
        name="boxes",
        crs=None,
        origin=(0.0, 0.0),
        latitude=50.0,
        longitude=5.0,
        bounds=(-80.0, -80.0, 80.0, 80.0),
        buildings=buildings,
        roads=RoadGraph(np.array(ends).reshape(-1, 2), edges),
        water=water,
        trees=trees or Trees(),
        terrain=terrain,
    )
