"""Lakes, rivers, canals and the sea."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry import LineString, Polygon

from mage.scenes.city import WaterBody
from mage.scenes.sources.osm import tags as values
from mage.scenes.sources.osm.covers import polygons_within
from mage.scenes.sources.osm.elements import Element, Tags

# metres of a waterway without a width; of rivers this is low, because wide ones are mapped as areas
LINE_WIDTH = {"river": 10.0, "canal": 8.0, "stream": 1.5, "drain": 1.2, "ditch": 1.0}
WIDTHS = (0.3, 500.0)  # metres between which a tagged width is believed
LEVEL = 0.0  # OpenStreetMap has no heights: whoever lays the ground sets the level
SIDE = 0.5  # metres beside a coastline at which it is asked which face lies there
SAME = 0.5  # metres; a coastline that ends so close to the frame reaches it
SLIVER = 1.0  # square metres


def read_waters(
    lines: Sequence[Element], areas: Sequence[Element], frame: Polygon, notes: Counter[str]
) -> tuple[WaterBody, ...]:
    """Water bodies in local metres, cut to ``frame``; no two of them overlap."""
    found: list[tuple[shapely.Geometry, str]] = []
    sea = sea_of([e.shape for e in lines if e.tags.get("natural") == "coastline"], frame, notes)
    found += [(face, "sea") for face in sea]
    for area in areas:
        kind = _area_kind(area.tags)
        if kind is None:
            continue
        if values.is_yes(area.tags, "intermittent") or values.is_underground(area.tags):
            notes["water that is underground or mostly dry left out"] += 1
            continue
        outline = polygons_within(area.shape, frame)
        if outline is not None:
            found.append((outline, kind))
    found += _channels(lines, frame, notes)
    return _apart(found)


def _area_kind(tags: Tags) -> str | None:
    if "building" in tags:
        return None
    water = tags.get("water", "")
    if tags.get("natural") == "water":
        if water in ("river", "stream", "stream_pool", "rapids", "oxbow"):
            return "river"
        return "canal" if water in ("canal", "lock", "moat") else "lake"
    if tags.get("natural") in ("bay", "strait"):
        return "sea"
    if tags.get("waterway") in ("riverbank", "river"):
        return "river"
    if tags.get("waterway") in ("dock", "canal"):
        return "canal"
    return "lake" if tags.get("landuse") in ("reservoir", "basin") else None


def _channels(lines: Sequence[Element], frame: Polygon, notes: Counter[str]) -> list[tuple[shapely.Geometry, str]]:
    """Waterways that are mapped as lines, as wide as they say or as their kind is."""
    found = []
    for line in lines:
        kind = line.tags.get("waterway", "")
        if kind not in LINE_WIDTH:
            continue
        if values.is_underground(line.tags) or values.is_yes(line.tags, "intermittent"):
            notes["water that is underground or mostly dry left out"] += 1
            continue
        stated = values.length(line.tags.get("width"))
        wide = stated if stated is not None and WIDTHS[0] <= stated <= WIDTHS[1] else LINE_WIDTH[kind]
        outline = polygons_within(line.shape.buffer(wide / 2, quad_segs=3), frame)
        if outline is not None:
            found.append((outline, "canal" if kind in ("canal", "drain", "ditch") else "river"))
    return found


def _apart(found: Sequence[tuple[shapely.Geometry, str]]) -> tuple[WaterBody, ...]:
    """Bodies of which each lacks what one before it covers; those of one kind that meet are one."""
    merged = []
    taken: shapely.Geometry = Polygon()
    for kind in dict.fromkeys(kind for _, kind in found):
        rest = shapely.difference(shapely.union_all([s for s, k in found if k == kind]), taken)
        taken = shapely.union(taken, rest)
        parts = [p for p in shapely.get_parts(rest) if p.geom_type == "Polygon" and p.area >= SLIVER]
        merged += [WaterBody(part, LEVEL, kind) for part in parts]
    return tuple(merged)


def sea_of(coast: Sequence[LineString], frame: Polygon, notes: Counter[str]) -> list[Polygon]:
    """The faces of ``frame`` that lie to the right of the coastlines around them; land lies to their left.

    A coastline that ends within the frame, because the file does, is led on to the frame's nearest edge.
    """
    lines = [
        part
        for line in shapely.get_parts(shapely.line_merge(shapely.MultiLineString(list(coast)), directed=True))
        for part in shapely.get_parts(shapely.intersection(line, frame))
        if part.geom_type == "LineString" and part.length > SAME
    ]
    if not lines:
        return []
    led_on = [_led_on(line, frame, notes) for line in lines]
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(shapely.node(
        shapely.MultiLineString([LineString(frame.exterior), *led_on])
    )).tolist()))  # fmt: skip
    return [face for face in faces.tolist() if _is_sea(face, lines)]


def _led_on(line: LineString, frame: Polygon, notes: Counter[str]) -> LineString:
    if line.is_closed:
        return line
    points = shapely.get_coordinates(line)
    edge = frame.exterior
    ends = []
    for point in (points[0], points[-1]):
        nearest = shapely.get_coordinates(edge.interpolate(edge.project(shapely.Point(point))))
        away = float(np.linalg.norm(nearest[0] - point))
        notes["coastlines that end within the map, led on to its edge"] += away > SAME
        # a hair beyond the edge, so that the lines do cross
        ends.append(nearest + (nearest - point) * 1e-6 if away > 0 else nearest)
    return LineString(np.concatenate([ends[0], points, ends[1]]))


def _is_sea(face: Polygon, coast: Sequence[LineString]) -> bool:
    """Whether more of the coast around a face has it to the right than to the left."""
    right = left = 0.0
    shapely.prepare(face)
    near = face.buffer(SIDE)
    for line in coast:
        if not line.intersects(near):
            continue
        points = shapely.get_coordinates(line)
        step = np.diff(points, axis=0)
        size = np.linalg.norm(step, axis=1)
        use = size > 0
        middle, normal = (points[:-1] + step / 2)[use], np.stack([step[:, 1], -step[:, 0]], 1)[use] / size[use, None]
        beside = np.minimum(SIDE, size[use] / 4)[:, None] * normal
        right += float(size[use][shapely.contains_xy(face, *(middle + beside).T)].sum())
        left += float(size[use][shapely.contains_xy(face, *(middle - beside).T)].sum())
    return right > left
