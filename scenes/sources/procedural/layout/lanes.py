"""Street networks of procedural places: winding lanes by repeated cutting, a straight grid, a village's few roads."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, Point, Polygon
from shapely.ops import split

from mage.scenes.city import RoadGraph
from mage.scenes.sources.procedural.network import component_labels, road_graph, subgraph
from mage.scenes.style import Streets

Floats = NDArray[np.float64]

RING = 12.0  # metres within the border of the ground at which a street goes round the whole place
CENTIMETRE = 0.01


def region(domain: Polygon, closed: Polygon) -> Polygon:
    """The ground that streets serve: the largest part of ``domain`` off ``closed`` ground, its edges made smooth."""
    parts = shapely.get_parts(domain.buffer(-RING).difference(closed))
    largest = max(parts, key=lambda p: p.area)
    smooth = largest.buffer(-30, quad_segs=4).buffer(30, quad_segs=4).simplify(1.5)
    return max(shapely.get_parts(smooth), key=lambda p: p.area)


def winding_streets(rng: np.random.Generator, streets: Streets, ground: Polygon, turn: float) -> RoadGraph:
    """Streets that cut ``ground`` again and again until what is left are blocks, and one along its edge.

    Blocks are about as large as ``streets.block`` says; ``turn`` (radians) is the spread of the angle at which a
    street meets the one before, ``streets.bend`` how far it leaves a straight line.
    """
    main, size = streets.width[1], streets.block[0] * streets.block[1]
    lines, widths = [LineString(ground.exterior.coords)], [float(np.mean(streets.width))]
    open_parts = [(ground, 0)]
    while open_parts:
        part, level = open_parts.pop()
        if part.area < size * rng.uniform(0.75, 1.6):
            continue
        line = _cut(rng, part, turn, streets.bend)
        pieces = [p for p in split(part, line).geoms if p.geom_type == "Polygon"]
        if len(pieces) < 2 or min(p.area for p in pieces) < 0.12 * size:
            continue
        width = main if level < 2 else streets.width[0] * rng.uniform(0.9, 1.25)
        for course in shapely.get_parts(line.intersection(part)):
            if course.geom_type == "LineString":
                lines.append(course)
                widths.append(width)
        open_parts += [(p, level + 1) for p in pieces]
    return noded(lines, widths)


def _cut(rng: np.random.Generator, part: Polygon, turn: float, bend: float) -> LineString:
    """A bent line through the middle third of a part, across its longer side."""
    box = shapely.get_coordinates(shapely.minimum_rotated_rectangle(part))
    sides = box[1:3] - box[:2]
    length = np.linalg.norm(sides, axis=1)
    longer = int(length[1] > length[0])
    along = sides[longer] / length[longer]
    angle = np.clip(rng.normal(0, turn), -2.2 * turn, 2.2 * turn) + np.pi / 2
    across = _turned(along, angle)
    middle = box[:4].mean(axis=0) + along * length[longer] * rng.uniform(-0.13, 0.13)
    reach = length.sum()
    s = np.arange(-reach, reach, 9.0)
    waves = rng.uniform(70, 240, 3)
    sway = np.sin(2 * np.pi * s[:, None] / waves + rng.uniform(0, 2 * np.pi, 3)) @ (waves / waves.sum())
    offset = min(bend, 0.12 * float(length[longer])) * sway
    return LineString(middle + s[:, None] * across + offset[:, None] * _turned(across, np.pi / 2))


def _turned(v: Floats, angle: float) -> Floats:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * v[0] - s * v[1], s * v[0] + c * v[1]])


def grid_streets(rng: np.random.Generator, streets: Streets, ground: Polygon) -> RoadGraph:
    """Straight streets at right angles over ``ground``, every third or fourth a main one, and one along its edge.

    Some blocks are two in one: ``streets.straight`` is the share of streets that run on without a break.
    """
    turn, (west, south, east, north) = rng.uniform(0, np.pi / 2), ground.bounds
    middle, half = np.array([west + east, south + north]) / 2, 0.75 * max(east - west, north - south)
    lines, widths = [LineString(ground.exterior.coords)], [float(np.mean(streets.width))]
    axes = [_turned(np.array([1.0, 0.0]), turn), _turned(np.array([0.0, 1.0]), turn)]
    places = [_spaced(rng, half, spacing) for spacing in streets.block]
    for along, across, own, other in ((axes[0], axes[1], *places), (axes[1], axes[0], *places[::-1])):
        first = int(rng.integers(4))
        for i, at in enumerate(own):
            main = (i + first) % 4 == 0
            stops = np.concatenate([[-half], other, [half]])
            for a, b in pairwise(stops):
                if main or rng.random() < streets.straight:
                    course = LineString([middle + across * at + along * a, middle + across * at + along * b])
                    lines.append(course.intersection(ground))
                    widths.append(streets.width[1] if main else streets.width[0])
    return noded(lines, widths)


def _spaced(rng: np.random.Generator, half: float, spacing: float) -> Floats:
    gaps = spacing * rng.choice([0.8, 1.0, 1.0, 1.0, 1.25], int(2 * half / (0.8 * spacing)) + 2)
    at = -half + np.cumsum(gaps) - rng.uniform(0, spacing)
    return np.asarray(at[np.abs(at) < half])


def village_streets(rng: np.random.Generator, streets: Streets, ground: Polygon, reach: float) -> RoadGraph:
    """A main street from border to border, lanes off it on both sides within ``reach`` metres of the middle, some of
    them joined, some going on as tracks.
    """
    middle = np.array(ground.centroid.coords[0])
    diameter = 2.0 * float(np.hypot(*(np.array(ground.bounds[2:]) - ground.bounds[:2])))
    along = _turned(np.array([1.0, 0.0]), rng.uniform(0, np.pi))
    main = _course(rng, middle - along * diameter / 2, middle + along * diameter / 2, streets.bend * 1.5)
    main = max(shapely.get_parts(main.intersection(ground)), key=lambda p: p.length)
    lines, widths = [main], [streets.width[1]]
    here = main.project(Point(middle))
    way = here - reach * rng.uniform(0.6, 1.0)
    while way < min(here + reach, main.length - 30):
        if way > 30:
            start, ahead = shapely.get_coordinates([main.interpolate(way), main.interpolate(way + 5)])
            side = rng.choice([-1.0, 1.0])
            away = _turned((ahead - start) / np.linalg.norm(ahead - start), side * rng.uniform(1.1, 2.0))
            length = diameter if rng.random() < 0.3 else rng.uniform(0.5, 1.1) * reach
            lane = _course(rng, start, start + away * length, streets.bend)
            parts = shapely.get_parts(lane.intersection(ground))
            lines += [p for p in parts if p.length > 25 and p.distance(Point(start)) < 0.01]
            widths += [streets.width[0]] * (len(lines) - len(widths))
        way += rng.uniform(*streets.block)
    return largest(noded(lines, widths))


def _course(rng: np.random.Generator, start: Floats, end: Floats, bend: float) -> LineString:
    """A smoothly swaying line that starts exactly at ``start``."""
    length = float(np.linalg.norm(end - start))
    s = np.linspace(0, length, max(2, int(length / 9)))
    along = (end - start) / length
    waves = rng.uniform(110, 320, 3)
    phase = rng.uniform(0, 2 * np.pi, 3)
    sway = (np.sin(2 * np.pi * s[:, None] / waves + phase) - np.sin(phase)) @ (waves / waves.sum())
    return LineString(start + s[:, None] * along + (bend * sway)[:, None] * _turned(along, np.pi / 2))


def noded(lines: Sequence[LineString], widths: Sequence[float]) -> RoadGraph:
    """A graph of lines that cross and touch: cut wherever they meet, to the centimetre."""
    originals = [(line, width) for line, width in zip(lines, widths, strict=True) if line.length > 1.0]
    tree = shapely.STRtree([line for line, _ in originals])
    pieces = shapely.get_parts(shapely.union_all([line for line, _ in originals], grid_size=CENTIMETRE))
    pieces = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(pieces)))
    pieces = shapely.get_parts(shapely.node(shapely.multilinestrings(pieces)))
    size = []
    for piece in pieces:
        near = tree.query(piece.interpolate(0.5, normalized=True), "dwithin", 0.05)
        size.append(max(originals[i][1] for i in near))
    return road_graph([shapely.get_coordinates(p) for p in pieces], size, inferred=False)


def largest(roads: RoadGraph) -> RoadGraph:
    """Only the connected part with the most street."""
    if not roads.edges:
        return roads
    label = component_labels(roads)[[e.u for e in roads.edges]]
    length = np.bincount(label, weights=[e.line.length for e in roads.edges])
    return subgraph(roads, label == int(np.argmax(length)))


def blocks(roads: RoadGraph, ground: Polygon, pavement: float) -> list[Polygon]:
    """What the streets and their pavements leave of ``ground``, largest holes filled with nothing: simple polygons."""
    corridors = shapely.buffer(
        [e.line for e in roads.edges], [e.width / 2 + pavement for e in roads.edges], quad_segs=4
    )
    left = shapely.get_parts(ground.difference(shapely.union_all(corridors)))
    return [Polygon(p.exterior, [r for r in p.interiors if Polygon(r).area > 1]) for p in left if p.area > 40]
