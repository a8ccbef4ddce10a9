"""Ways that motor vehicles may use as a routable graph; other ways as strips of paving."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import shapely

from mage.scenes.city import LandPatch, RoadEdge, RoadGraph
from mage.scenes.sources.osm import tags as values
from mage.scenes.sources.osm.elements import Element, Tags

LANE = 3.0  # metres of a lane in a town
MOST_LANES = 20
WIDTHS = (1.5, 60.0)  # metres between which a tagged width of a carriageway is believed
# metres of the carriageway where neither width nor lanes are stated: what such streets mostly have in towns
CLASS_WIDTH = {
    "motorway": 11.0,
    "trunk": 9.0,
    "primary": 8.0,
    "secondary": 7.0,
    "tertiary": 6.5,
    "motorway_link": 5.5,
    "trunk_link": 5.5,
    "primary_link": 5.0,
    "secondary_link": 5.0,
    "tertiary_link": 5.0,
    "unclassified": 5.5,
    "residential": 5.5,
    "living_street": 5.0,
    "road": 5.5,
    "service": 3.5,
    "pedestrian": 5.0,
    "track": 3.0,
    "busway": 6.5,
    "bus_guideway": 6.5,
    "raceway": 10.0,
}
ALLEY = 2.8  # metres of service=driveway and service=alley
# metres of ways that no car uses
STRIP_WIDTH = {"footway": 1.8, "path": 1.4, "cycleway": 2.4, "steps": 2.0, "bridleway": 2.0, "corridor": 2.0}
STRIP_WIDTHS = (0.5, 12.0)
NOT_THERE = ("construction", "proposed", "planned", "abandoned", "disused", "razed")
UNPAVED = values.words(
    "unpaved gravel fine_gravel compacted ground dirt earth grass mud sand pebblestone woodchips dirt/sand rock"
)


def read_streets(lines: Sequence[Element], notes: Counter[str]) -> RoadGraph:
    """The graph of lines in local metres: split where they meet, one node for each place where edges end.

    A width is as tagged, else lanes of 3 m, else that of the class (counted).
    """
    ways = [line for line in lines if _is_street(line.tags, notes)]
    uses = Counter(node for way in ways for node in way.nodes)
    for way in ways:
        uses.update((way.nodes[0], way.nodes[-1]))
    numbers: dict[int, int] = {}
    places: list[tuple[float, float]] = []
    edges: list[RoadEdge] = []
    for way in ways:
        points = shapely.get_coordinates(way.shape)
        stops = [i for i, node in enumerate(way.nodes) if uses[node] > 1]
        for a, b in pairwise(stops):
            course = points[a : b + 1]
            if not np.linalg.norm(np.diff(course, axis=0), axis=1).sum() > 0:
                notes["streets without a length left out"] += 1
                continue
            for i in (a, b):
                if way.nodes[i] not in numbers:
                    numbers[way.nodes[i]] = len(places)
                    places.append((float(points[i, 0]), float(points[i, 1])))
            edges.append(_edge(numbers[way.nodes[a]], numbers[way.nodes[b]], course, way.tags, notes))
    return RoadGraph(np.array(places, dtype=np.float64).reshape(-1, 2), tuple(edges))


def _is_street(tags: Tags, notes: Counter[str]) -> bool:
    kind = tags.get("highway", "")
    notes["streets that do not stand (yet, or any more) left out"] += kind in NOT_THERE
    return kind in CLASS_WIDTH and tags.get("area") != "yes"


def _edge(
    u: int, v: int, course: np.ndarray[tuple[int, int], np.dtype[np.float64]], tags: Tags, notes: Counter[str]
) -> RoadEdge:
    oneway = _oneway(tags)
    if oneway < 0:
        u, v, course = v, u, course[::-1]
    lanes = _lanes(tags)
    return RoadEdge(
        u,
        v,
        shapely.LineString(course),
        _width(tags, lanes, notes),
        tags["highway"],
        lanes,
        oneway != 0,
        values.is_yes(tags, "bridge"),
        values.is_yes(tags, "tunnel") and tags.get("tunnel") != "building_passage",
        values.layer(tags),
        tags.get("name", "")[:200],
    )


def _oneway(tags: Tags) -> int:
    """1 along the way, -1 against it, 0 for both."""
    stated = tags.get("oneway", "")
    if stated in ("-1", "reverse"):
        return -1
    if stated in ("yes", "true", "1"):
        return 1
    round_about = tags.get("junction") in ("roundabout", "circular")
    return int(not stated and (round_about or tags.get("highway") == "motorway"))


def _lanes(tags: Tags) -> int | None:
    stated = values.number(tags.get("lanes"))
    return int(stated) if stated is not None and 1 <= stated <= MOST_LANES else None


def _width(tags: Tags, lanes: int | None, notes: Counter[str]) -> float:
    for key in ("width:carriageway", "width", "est_width"):
        stated = values.length(tags.get(key))
        if stated is not None and WIDTHS[0] <= stated <= WIDTHS[1]:
            return stated
    if lanes is not None:
        return lanes * LANE
    notes["street widths taken from the class"] += 1
    return ALLEY if tags.get("service") in ("driveway", "alley") else CLASS_WIDTH[tags["highway"]]


def read_strips(lines: Sequence[Element], notes: Counter[str]) -> list[LandPatch]:
    """Footways, cycleways, paths and steps as ``paved`` or ``bare`` ground, merged where they meet."""
    strips: dict[str, list[shapely.Geometry]] = {"bare": [], "paved": []}
    for line in lines:
        kind = line.tags.get("highway", "")
        if kind not in STRIP_WIDTH or line.tags.get("area") == "yes":
            continue
        if _is_hidden(line.tags):
            notes["footways in tunnels, buildings and on bridges left out"] += 1
            continue
        stated = values.length(line.tags.get("width"))
        known = stated is not None and STRIP_WIDTHS[0] <= stated <= STRIP_WIDTHS[1]
        width = stated if known and stated is not None else STRIP_WIDTH[kind]
        bare = line.tags.get("surface") in UNPAVED or (kind in ("path", "bridleway") and "surface" not in line.tags)
        strips["bare" if bare else "paved"].append(line.shape.buffer(width / 2, cap_style="square", quad_segs=2))
    return [
        LandPatch(part, cover)
        for cover, shapes in strips.items()
        for part in shapely.get_parts(shapely.union_all(shapes))
        if part.geom_type == "Polygon" and part.area > 0
    ]


def _is_hidden(tags: Tags) -> bool:
    inside = any(values.is_yes(tags, key) for key in ("bridge", "indoor", "covered"))
    return inside or values.is_underground(tags)
