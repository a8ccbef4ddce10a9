"""Roads that a city file gives as axes, and what their attributes say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import shapely
from shapely.geometry import LineString

from mage.scenes.city import RoadEdge, RoadGraph
from mage.scenes.sources.features.cover_words import DRIVEN, street_kind, traffic_use
from mage.scenes.sources.features.flat import Local, lines_of
from mage.scenes.sources.raw import Floats, RawFeature

LANE = 3.25  # metres
# metres of carriageway, about the middle of what road design guides ask for, where a source gives a bare axis
_WIDTHS = {
    **{"motorway": 12.0, "trunk": 10.0, "primary": 9.0, "secondary": 8.0, "tertiary": 7.0},
    **{"residential": 6.0, "living_street": 5.0, "service": 4.0, "track": 3.0},
}
_WIDTH = re.compile(r"(road|street|strassen|fahrbahn)?_?(width|breite|breedte)")
_LANES = re.compile(r"lanes|number_?of_?lanes|aantalrijstroken|fahrstreifen")
_LEVEL = re.compile(r"relatievehoogteligging|layer|level")


def layer_of(attributes: Mapping[str, object]) -> int:
    """Above (1, 2 …) or below what something lies; 0 is the ground."""
    level = stated_number(attributes, _LEVEL)
    return int(level) if level is not None and abs(level) < 20 else 0


def stated_number(attributes: Mapping[str, object], name: re.Pattern[str]) -> float | None:
    """The first finite number under a name like this."""
    for key, value in sorted(attributes.items()):
        if name.fullmatch(key.lower()) and isinstance(value, str | int | float):
            try:
                number = float(value)
            except (ValueError, OverflowError):
                continue
            if np.isfinite(number):
                return number
    return None


def joined(first: RoadGraph, second: RoadGraph) -> RoadGraph:
    """Both graphs as one; dead ends of the second that lie within 3 m of one of the first are the same node."""
    if not first.edges or not second.edges:
        return second if not first.edges else first
    degree = [np.bincount([i for e in g.edges for i in (e.u, e.v)], minlength=len(g.nodes)) for g in (first, second)]
    place = np.arange(len(second.nodes)) + len(first.nodes)
    blind = np.flatnonzero(degree[0] == 1)
    for k in np.flatnonzero(degree[1] == 1).tolist():
        away = np.linalg.norm(first.nodes[blind] - second.nodes[k], axis=1)
        if len(away) and away.min() < 3:
            place[k] = blind[away.argmin()]
    nodes = np.concatenate([first.nodes, second.nodes])
    edges = list(first.edges)
    for edge in second.edges:
        u, v = int(place[edge.u]), int(place[edge.v])
        line = np.concatenate([nodes[[u]], shapely.get_coordinates(edge.line)[1:-1], nodes[[v]]])
        edges.append(replace(edge, u=u, v=v, line=LineString(line)))
    return _compact(nodes, edges)


def axis_graph(features: Sequence[RawFeature], local: Local, notes: Counter[str]) -> RoadGraph:
    """The graph of roads that are given as axes: lines meet where they share a vertex, to the centimetre."""
    lines, models = [], []
    for feature in features:
        if (traffic_use(feature) or DRIVEN) != DRIVEN:
            notes["axes of ways that are not driven on left out"] += len(feature.lines)
            continue
        for line in lines_of([feature], local):
            lines.append(np.round(line[:, :2], 2))
            models.append(_modelled(feature, notes))
    if not lines:
        return RoadGraph()
    places, index = np.unique(np.concatenate(lines), axis=0, return_inverse=True)
    paths = np.split(index.reshape(-1), np.cumsum([len(line) for line in lines])[:-1])
    uses = np.bincount(np.concatenate(paths)) + np.bincount(
        [end for path in paths for end in (path[0], path[-1])], minlength=len(places)
    )
    edges = []
    for path, model in zip(paths, models, strict=True):
        stops = [0, *(np.flatnonzero(uses[path[1:-1]] > 1) + 1).tolist(), len(path) - 1]
        for start, stop in pairwise(stops):
            piece = path[start : stop + 1]
            if len(set(piece.tolist())) > 1:
                edges.append(replace(model, u=int(piece[0]), v=int(piece[-1]), line=LineString(places[piece])))
    return _compact(places, edges)


def _compact(places: Floats, edges: Sequence[RoadEdge]) -> RoadGraph:
    used, index = np.unique(np.array([(e.u, e.v) for e in edges], np.int64), return_inverse=True)
    ends = index.reshape(-1, 2).tolist()
    return RoadGraph(places[used], tuple(replace(e, u=u, v=v) for e, (u, v) in zip(edges, ends, strict=True)))


def _modelled(feature: RawFeature, notes: Counter[str]) -> RoadEdge:
    """An edge from nowhere to nowhere with all that the feature's attributes say."""
    kind, width = street_kind(feature.attributes), stated_number(feature.attributes, _WIDTH)
    stated = stated_number(feature.attributes, _LANES)
    lanes = int(stated) if stated is not None and 1 <= stated <= 16 else None
    inferred = width is None or not 1 <= width <= 100
    if width is None or inferred:
        notes["widths of roads taken from their class"] += 1
        width = lanes * LANE if lanes else _WIDTHS[kind or "residential"]
    layer = layer_of(feature.attributes)
    return RoadEdge(
        *(0, 0, LineString([(0, 0), (1, 0)]), width, kind or "residential", lanes),
        bridge=layer > 0,
        tunnel=layer < 0,
        layer=layer,
        inferred=inferred,
    )
