"""What is painted on streets, car parks and sports fields, and the rails on their beds: lines of a known width."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree

from mage.scenes.bays import LENGTH, WIDTH, bays_of
from mage.scenes.city import City, LandPatch, Railway, RoadEdge
from mage.scenes.grid import Grid
from mage.scenes.style import Style
from mage.scenes.ways import MAJOR, MOTORWAYS, TRACK_SPACING, UNPAVED, WALKED, WITH_PAVEMENT, lanes_of, on_view

Floats = NDArray[np.float64]

SLEEPER = (0.25, 0.65)  # metres: width of a sleeper, and from one to the next
DASH, DASH_STEP = 3.0, 9.0  # metres of line, and from one dash to the next
ZEBRA = 3.5  # metres that a crossing's stripes are long
_GROWTH = 1.4  # pixels that cv2's anti-aliased polygons are wider than they are, measured
_SHIFT = 4  # bits of a pixel's fraction in cv2's coordinates


class Mark(IntEnum):
    """What a line is made of."""

    ROAD_PAINT = 0
    LOT_PAINT = 1
    RAIL = 2
    SLEEPER = 3


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """n lines, each of two or more points: their geometry, width in metres and :class:`Mark`, indexed in space."""

    lines: NDArray[np.object_]
    width: Floats
    kind: NDArray[np.uint8]
    index: STRtree

    def __len__(self) -> int:
        return len(self.lines)

    def coverage(self, grid: Grid, kind: Mark) -> NDArray[np.float32]:
        """Share of each pixel that lines of one kind cover, about; float32 (rows, columns) in [0, 1]."""
        near = self.index.query(shapely.box(*grid.bounds).buffer(1.0))
        near = np.sort(near[self.kind[near] == kind])
        drawn = np.zeros(grid.shape, np.uint8)
        if kind == Mark.SLEEPER and grid.gsd > SLEEPER[1] / 3:  # too fine to be resolved: an even share of the bed
            return drawn.astype(np.float32)
        for width in np.unique(self.width[near]):
            chosen = self.lines[near[self.width[near] == width]]
            # cv2 draws every shape this much wider; what is thinner than its thinnest is as faint as it is thin
            pixels = float(width) / grid.gsd
            wide = max(pixels - _GROWTH, 0.05) * grid.gsd
            strips = shapely.buffer(chosen, wide / 2, cap_style="flat", join_style="mitre")
            tone = (255 * min(1.0, pixels / (_GROWTH + 0.3)),)
            layer = np.zeros(grid.shape, np.uint8)
            for strip in shapely.get_parts(strips):
                rings = [_pixels(ring, grid) for ring in shapely.get_rings(strip)]
                cv2.fillPoly(layer, rings, tone, cv2.LINE_AA, _SHIFT)
            drawn = np.maximum(drawn, layer)
        return drawn.astype(np.float32) / 255


def _pixels(ring: shapely.LinearRing, grid: Grid) -> NDArray[np.int32]:
    """A ring in cv2's fixed-point pixel coordinates, where (0, 0) is the middle of the first pixel."""
    corners = grid.to_pixel(shapely.get_coordinates(ring)) - 0.5
    return np.rint(corners * (1 << _SHIFT)).astype(np.int32)


def mark_city(city: City, style: Style) -> Marks:
    """All painted lines and rails of a city."""
    found: list[tuple[shapely.Geometry, float, Mark]] = []
    edges = city.roads.edges
    meeting = np.bincount([i for e in edges if on_view(e) for i in (e.u, e.v)], minlength=1)
    for edge in edges:
        if on_view(edge) and edge.kind not in UNPAVED | WALKED | {"service"}:
            found += [(line, width, Mark.ROAD_PAINT) for line, width in _street(edge, style, city, meeting)]
    for patch in city.land:
        if patch.cover == "parking":
            found += [(line, 0.1, Mark.LOT_PAINT) for line in _bay_lines(patch)]
        elif patch.cover == "pitch":
            found += [(line, 0.12, Mark.LOT_PAINT) for line in _pitch_lines(patch)]
    for railway in city.railways:
        if not railway.tunnel:
            found += list(_tracks(railway))
    lines = np.array([f[0] for f in found], dtype=object)
    return Marks(lines, np.array([f[1] for f in found]), np.array([f[2] for f in found], np.uint8), STRtree(lines))


def _street(
    edge: RoadEdge, style: Style, city: City, meeting: NDArray[np.int64]
) -> Iterator[tuple[shapely.Geometry, float]]:
    """Centre and lane lines, edge lines of major roads, and zebra crossings or stop lines at junctions."""
    wide, lanes = edge.width >= style.marked_from or edge.kind in MAJOR, lanes_of(edge)
    if not wide or edge.line.length < 12:
        return
    lane = edge.width / lanes
    for k in range(1, lanes):
        middle = not edge.oneway and 2 * k == lanes
        offset = edge.width / 2 - k * lane
        if middle and lanes > 2:
            yield from ((line, 0.15) for line in _parallels(edge.line, [offset + 0.15, offset - 0.15]))
        else:
            yield from ((line, 0.12) for line in _dashes(edge.line, offset))
    if edge.kind in MAJOR:
        beside = edge.width / 2 - 0.3
        yield from ((line, 0.15) for line in _parallels(edge.line, [beside, -beside]))
    if edge.kind in MOTORWAYS or edge.bridge:
        return
    for node, from_start in ((edge.u, True), (edge.v, False)):
        if meeting[node] >= 3 and edge.line.length > 40:
            yield from _crossing(edge, style, city, from_start=from_start)


def _crossing(
    edge: RoadEdge, style: Style, city: City, *, from_start: bool
) -> Iterator[tuple[shapely.Geometry, float]]:
    """A zebra crossing where people walk on pavements, else a stop line on the half that comes to the junction."""
    back = 10.0 + edge.width / 4  # metres from the middle of the junction, about beyond the other street's kerb
    way = back if from_start else edge.line.length - back
    here, along = _frames(edge.line, np.array([way]))
    left = np.stack([-along[:, 1], along[:, 0]], axis=1)
    half = edge.width / 2
    if style.pavement > 0 and edge.kind in WITH_PAVEMENT:
        across = np.arange(-half + 0.5, half - 0.4, 1.0)
        middle = here + left * across[:, None]
        ends = np.stack([middle - along * ZEBRA / 2, middle + along * ZEBRA / 2], axis=1)
        yield from ((line, 0.5) for line in shapely.linestrings(ends))
        return
    arrives = -1.0 if from_start else 1.0  # which way traffic runs that comes to this end
    if edge.oneway and from_start:
        return
    side = arrives * (1.0 if city.drives_left else -1.0)
    near, far = (-half + 0.3, half - 0.3) if edge.oneway else (side * 0.2, side * (half - 0.3))
    yield shapely.linestrings(np.concatenate([here + left * near, here + left * far])), 0.4


def _frames(line: shapely.LineString, way: Floats) -> tuple[Floats, Floats]:
    """Points (n, 2) at distances along a line, and the line's direction there (n, 2)."""
    here = shapely.get_coordinates(shapely.line_interpolate_point(line, way))
    behind = shapely.get_coordinates(shapely.line_interpolate_point(line, np.maximum(way - 1.0, 0.0)))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(line, np.minimum(way + 1.0, line.length)))
    along = ahead - behind
    return here, along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)


def _dashes(line: shapely.LineString, offset: float) -> NDArray[np.object_]:
    """Short straight pieces every nine metres, ``offset`` metres left of a line, none close to its ends."""
    starts = np.arange(6.0, line.length - 6.0 - DASH, DASH_STEP)
    ends = []
    for way in (starts, starts + DASH):
        here, along = _frames(line, way)
        ends.append(here + offset * np.stack([-along[:, 1], along[:, 0]], axis=1))
    return np.asarray(shapely.linestrings(np.stack(ends, axis=1)), dtype=object).reshape(-1)


def _parallels(line: shapely.LineString, offsets: list[float]) -> list[shapely.Geometry]:
    """The line moved to its left by each offset, metres, in one piece each."""
    moved = [shapely.offset_curve(line, offset, join_style="mitre") for offset in offsets]
    return [p for m in moved for p in shapely.get_parts(m) if p.geom_type == "LineString" and not p.is_empty]


def _bay_lines(patch: LandPatch) -> NDArray[np.object_]:
    """Lines on both sides of every bay."""
    bays = bays_of(patch.outline)
    along = np.stack([np.cos(bays.heading), np.sin(bays.heading)], axis=1)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) * WIDTH / 2
    ends = [
        np.stack([bays.xy + side * across - along * LENGTH / 2, bays.xy + side * across + along * LENGTH / 2], axis=1)
        for side in (-1, 1)
    ]
    lines = np.unique(np.round(np.concatenate(ends).reshape(-1, 4), 3), axis=0)
    return np.asarray(shapely.linestrings(lines.reshape(-1, 2, 2)), dtype=object).reshape(-1)


def _pitch_lines(patch: LandPatch) -> Iterator[shapely.Geometry]:
    """Touch lines, a halfway line, a centre circle and goal areas of a rectangular field; only its edge of others."""
    for part in shapely.get_parts(patch.outline):
        if part.geom_type != "Polygon":
            continue
        inner = part.buffer(-min(1.5, 0.05 * float(np.sqrt(part.area))), join_style="mitre")
        if inner.is_empty or inner.geom_type != "Polygon":
            continue
        yield inner.exterior
        box = inner.minimum_rotated_rectangle
        if inner.area < 0.9 * box.area:
            continue
        ring = shapely.get_coordinates(box)[:4]
        if np.linalg.norm(ring[1] - ring[0]) < np.linalg.norm(ring[2] - ring[1]):
            ring = np.roll(ring, -1, axis=0)
        yield from _field(ring[0], ring[1] - ring[0], ring[3] - ring[0])


def _field(corner: Floats, long: Floats, short: Floats) -> Iterator[shapely.Geometry]:
    """A halfway line, centre circle and two goal areas in the frame of a field's corner and sides."""

    def _line(*points: tuple[float, float]) -> shapely.Geometry:
        return shapely.LineString([corner + long * u + short * v for u, v in points])

    yield _line((0.5, 0), (0.5, 1))
    size = float(np.linalg.norm(long))
    middle = shapely.Point(corner + long / 2 + short / 2)
    yield middle.buffer(0.087 * size, quad_segs=6).exterior
    for side in (0.0, 1.0):
        deep = abs(side - 0.157)  # a penalty area's depth and width as shares of a field of 105 by 68 m
        yield _line((side, 0.2), (deep, 0.2), (deep, 0.8), (side, 0.8))


def _tracks(railway: Railway) -> Iterator[tuple[shapely.Geometry, float, Mark]]:
    """Two rails a track; sleepers under them but for trams."""
    first = -(railway.tracks - 1) / 2 * TRACK_SPACING
    for k in range(railway.tracks):
        offset = first + k * TRACK_SPACING
        rails = _parallels(railway.line, [offset - railway.gauge / 2, offset + railway.gauge / 2])
        yield from ((rail, 0.1, Mark.RAIL) for rail in rails)
        if railway.kind != "tram":
            here, along = _frames(railway.line, np.arange(0.3, railway.line.length, SLEEPER[1]))
            left = np.stack([-along[:, 1], along[:, 0]], axis=1)
            ends = np.stack([here + left * (offset - 1.3), here + left * (offset + 1.3)], axis=1)
            yield from ((s, SLEEPER[0], Mark.SLEEPER) for s in shapely.linestrings(ends))
