"""Roads and railways of a city file: what each surface is for, and a routable graph down their middles."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import shapely
from shapely.geometry import LineString, MultiPolygon, Polygon
from shapely.ops import substring

from mage.scenes.city import LandPatch, Railway, RoadEdge, RoadGraph
from mage.scenes.sources.features.centrelines import centrelines
from mage.scenes.sources.features.cover_words import DRIVEN, MARKED, bare_cover, railway_kind, street_kind, traffic_use
from mage.scenes.sources.features.flat import Local, finest, lines_of, outline, united
from mage.scenes.sources.features.road_axes import LANE, joined, layer_of
from mage.scenes.sources.raw import Floats, RawFeature
from mage.scenes.ways import BED, TRACK_SPACING

ABUTTING = 2.0  # square metres; surfaces of two layers that overlap by less lead on to each other
NEAR = 0.6  # metres; surfaces that lie closer lead on to each other
_DEFAULT = {"Road": DRIVEN, "TransportSquare": "paved", "Railway": "ballast"}  # use of what says nothing about itself
_SPACES = frozenset({"TrafficSpace", "AuxiliaryTrafficSpace", "HoleSurface"})  # the air above the surfaces


@dataclass(frozen=True, slots=True, eq=False)
class Pavement:
    """A surface of a street: its outline in local metres, its use (see :mod:`cover_words`), the street's kind if the
    source tells, and above (1, 2 …) or below what it lies.
    """

    outline: Polygon | MultiPolygon
    use: str
    cover: str
    kind: str | None
    layer: int


def pavements(features: Sequence[RawFeature], local: Local, notes: Counter[str]) -> list[Pavement]:
    """The surfaces of roads, squares and railways; those without an area, and paint, are counted."""
    found = []
    for feature in _without_hulls(features):
        if not feature.shells:
            continue
        shape = outline(finest(feature, local), notes)
        use = "marked" if feature.role == "Marking" else traffic_use(feature) or _DEFAULT[feature.kind]
        if shape is None:
            notes[f"{feature.kind} without an area left out"] += 1
        elif use == MARKED:
            notes["road markings, to be painted anew"] += 1
        else:
            cover = (bare_cover(feature) or "asphalt") if use == DRIVEN else use
            found.append(Pavement(shape, use, cover, street_kind(feature.attributes), layer_of(feature.attributes)))
    return found


def _without_hulls(features: Sequence[RawFeature]) -> list[RawFeature]:
    """Without a road's surface as a whole where the surfaces that it is made of are given too."""
    parted = {f.id for f in features if f.shells and f.role and f.role not in _SPACES}
    return [f for f in features if not (f.id in parted and (not f.role or f.role in _SPACES))]


def patches_of(surfaces: Sequence[Pavement]) -> list[LandPatch]:
    """What the surfaces look like, except for those below the ground."""
    return [LandPatch(s.outline, s.cover) for s in surfaces if s.layer >= 0]


def street_graph(surfaces: Sequence[Pavement], decks: Sequence[Polygon | MultiPolygon]) -> RoadGraph:
    """The graph of all surfaces that are driven on, and of the decks of bridges between them.

    Streets that cross at different levels are not joined; what leaves the ground says so.
    """
    driven = [s for s in surfaces if s.use == DRIVEN]
    if not driven:
        return RoadGraph()
    graph = RoadGraph()
    for level, members in _levels(driven).items():
        areas = [s.outline for s in members]
        linking = _linking(decks, united(areas), united([s.outline for s in driven]))
        raised = [(deck, max(level, 1)) for deck in linking] + [(s.outline, s.layer) for s in members if s.layer]
        nodes, axes = centrelines(united([*areas, *linking]))
        kinds = _Kinds(members)
        edges = [
            RoadEdge(axis.u, axis.v, LineString(axis.line), axis.width, kinds.at(axis.line, axis.width))
            for axis in axes
        ]
        graph = joined(graph, _off_the_ground(RoadGraph(nodes, tuple(edges)), raised))
    return graph


def _levels(driven: Sequence[Pavement]) -> dict[int, list[Pavement]]:
    """Surfaces by layer; those that cross over nothing belong to the ground."""
    ground = united([s.outline for s in driven if s.layer == 0])
    shapely.prepare(ground)
    found: dict[int, list[Pavement]] = defaultdict(list)
    for surface in driven:
        crosses = surface.layer and surface.outline.intersection(ground).area > ABUTTING
        found[surface.layer if crosses else 0].append(surface)
    return dict(sorted(found.items()))


def _linking(
    decks: Sequence[Polygon | MultiPolygon], surface: shapely.Geometry, everywhere: shapely.Geometry
) -> list[Polygon | MultiPolygon]:
    """Decks that streets lead on to from two sides and that no street's own surface lies on."""
    found = []
    for deck in decks:
        contacts = shapely.get_parts(deck.buffer(NEAR).intersection(surface))
        wide = [c for c in contacts if c.length > LANE]
        if len(wide) >= 2 and deck.intersection(everywhere).area < 0.3 * deck.area:
            found.append(deck)
    return found


class _Kinds:
    """What the surfaces along a line say that its street is."""

    def __init__(self, surfaces: Sequence[Pavement]) -> None:
        stated = [(s.outline, s.kind) for s in surfaces if s.kind is not None]
        self._kinds = [kind for _, kind in stated]
        self._tree = shapely.STRtree([outline for outline, _ in stated])

    def at(self, line: Floats, width: float) -> str:
        """The kind that most of the line lies on; where nothing is stated, wide streets are ``secondary``."""
        places = shapely.line_interpolate_point(LineString(line), np.linspace(0.05, 0.95, 9), normalized=True)
        votes = Counter(self._kinds[position] for position in self._tree.query(places, "intersects")[1].tolist())
        if votes:
            return max(sorted(votes), key=votes.__getitem__)
        return "secondary" if width >= 9 else "residential"


def _off_the_ground(roads: RoadGraph, raised: Sequence[tuple[shapely.Geometry, int]]) -> RoadGraph:
    """The graph with edges cut where they go on to a bridge or into a tunnel, these pieces marked."""
    if not raised:
        return roads
    tree = shapely.STRtree([area for area, _ in raised])
    nodes, edges = roads.nodes.tolist(), []
    for edge in roads.edges:
        near = [raised[k] for k in sorted(tree.query(edge.line, "intersects").tolist())]
        stops = _crossings(edge.line, [area for area, _ in near])
        ends = [edge.u, *range(len(nodes), len(nodes) + len(stops) - 2), edge.v]
        nodes += [list(edge.line.interpolate(stop).coords[0]) for stop in stops[1:-1]]
        for (start, stop), u, v in zip(pairwise(stops), ends, ends[1:], strict=False):
            piece = substring(edge.line, start, stop)
            middle = piece.interpolate(0.5, normalized=True)
            layer = next((layer for area, layer in near if area.intersects(middle)), 0)
            edges.append(replace(edge, u=u, v=v, line=piece, bridge=layer > 0, tunnel=layer < 0, layer=layer))
    return RoadGraph(np.array(nodes).reshape(-1, 2), tuple(edges))


def _crossings(line: LineString, areas: Sequence[shapely.Geometry]) -> list[float]:
    """Metres along a line at which it enters or leaves the areas, at least 1 m apart; with its start and its end."""
    found = [
        float(line.project(shapely.Point(point)))
        for area in areas
        for point in shapely.get_coordinates(line.intersection(area.boundary))
    ]
    stops = [0.0]
    for stop in sorted(found):
        if stops[-1] + 1 < stop < line.length - 1:
            stops.append(stop)
    return [*stops, line.length]


def railways_of(features: Sequence[RawFeature], surfaces: Sequence[Pavement], local: Local) -> tuple[Railway, ...]:
    """Tracks along the axes that are given, and down the middle of what ballast has no axis of its own."""
    found = [
        Railway(LineString(line[:, :2]), kind=railway_kind(feature.attributes))
        for feature in features
        for line in lines_of([feature], local)
    ]
    beds = [s.outline for s in surfaces if s.cover == "ballast"]
    if not found and beds:
        for axis in centrelines(united(beds))[1]:
            tracks = 1 + max(0, round((axis.width - BED) / TRACK_SPACING))
            found.append(Railway(LineString(axis.line), min(tracks, 40)))
    return tuple(found)
