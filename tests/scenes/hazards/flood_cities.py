"""Small cities whose floods can be worked out by hand."""

from __future__ import annotations

import heapq

import numpy as np
import shapely

from mage.scenes.city import Building, City, RoadEdge, RoadGraph, WaterBody
from mage.scenes.mesh import Mesh, Surface
from mage.scenes.terrain import Terrain


def terrain_of(heights, step=1.0):
    """A terrain whose south-west corner is the origin."""
    heights = np.asarray(heights, float)
    return Terrain(heights, 0.0, (heights.shape[0] - 1) * step, step)


def city_of(terrain, *, water=(), buildings=(), lines=()):
    edges = tuple(RoadEdge(i, i + 1, line, 6.0) for i, line in enumerate(lines))
    return City(
        "toy", None, (0.0, 0.0), 50.0, 5.0, terrain.bounds, tuple(buildings), RoadGraph(edges=edges), tuple(water),
        terrain=terrain,
    )  # fmt: skip


def river(west, south, east, north, level):
    return WaterBody(shapely.box(west, south, east, north), level)


def box_building(west, south, east, north, *, ground=0.0, height=6.0, name="b", occupancy="residential"):
    """A closed box: four walls, a flat roof and a floor."""
    corners = [(x, y, z) for z in (ground, ground + height) for x, y in _around(west, south, east, north)]
    floor, roof = [(0, 2, 1), (0, 3, 2)], [(4, 5, 6), (4, 6, 7)]
    walls = [t for i in range(4) for t in ((i, (i + 1) % 4, (i + 1) % 4 + 4), (i, (i + 1) % 4 + 4, i + 4))]
    surface = [Surface.GROUND] * 2 + [Surface.ROOF] * 2 + [Surface.WALL] * 8
    triangles = np.array([*floor, *roof, *walls], np.int32)
    mesh = Mesh(np.array(corners), triangles, np.array(surface, np.uint8), np.zeros((12, 3, 2), np.float32))
    footprint = shapely.box(west, south, east, north)
    return Building(name, footprint, ground, height, height, mesh, 1, occupancy=occupancy)


def _around(west, south, east, north):
    return (west, south), (east, south), (east, north), (west, north)


def priority_flood(heights, start):
    """The textbook way to the same answer as ``lowest_passes``: always go on from the lowest water reached so far."""
    rows, columns = heights.shape
    arrival = np.full(heights.shape, np.inf)
    front = [(start[r, c], r, c) for r, c in np.argwhere(np.isfinite(start))]
    for level, r, c in front:
        arrival[r, c] = level
    heapq.heapify(front)
    while front:
        level, r, c = heapq.heappop(front)
        for dr, dc in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1)):
            y, x = r + dr, c + dc
            if 0 <= y < rows and 0 <= x < columns and max(level, heights[y, x]) < arrival[y, x]:
                arrival[y, x] = max(level, heights[y, x])
                heapq.heappush(front, (arrival[y, x], y, x))
    return arrival
