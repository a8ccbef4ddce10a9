"""What the kinds of streets mean on the ground: who drives there, what lies beside them, what is painted on them."""

from __future__ import annotations

import shapely

from mage.scenes.city import Railway, RoadEdge, Structure

MAJOR = frozenset({"motorway", "trunk", "primary", "motorway_link", "trunk_link", "primary_link"})
MOTORWAYS = frozenset({"motorway", "motorway_link"})
UNPAVED = frozenset({"track"})
WALKED = frozenset({"pedestrian", "footway", "path", "cycleway", "steps", "bridleway"})
# kinds whose carriageway usually has a footway of its own beside it within a town
WITH_PAVEMENT = frozenset({"primary", "secondary", "tertiary", "unclassified", "residential", "road"})
# kinds along whose kerbs people leave their cars
WITH_PARKING = frozenset({"secondary", "tertiary", "unclassified", "residential", "living_street", "road"})


def on_view(edge: RoadEdge) -> bool:
    """Whether a street can be seen from above: no tunnel, and nothing below the ground."""
    return not edge.tunnel and edge.layer >= 0


def on_bridge(edge: RoadEdge) -> bool:
    """Whether a street leaves the ground upward."""
    return on_view(edge) and (edge.bridge or edge.layer > 0)


def drivable(edge: RoadEdge) -> bool:
    """Whether cars are seen on it: it lies in view and is no path."""
    return on_view(edge) and edge.kind not in WALKED


def lanes_of(edge: RoadEdge) -> int:
    """Lanes of both directions together: as stated, else as many of 3.25 m as fit; an even number both ways."""
    if edge.lanes is not None and edge.lanes > 0:
        return edge.lanes
    fit = max(int(edge.width / 3.25), 1)
    return fit if edge.oneway else (1 if edge.width < 4.5 else max(2, fit - fit % 2))


TRACK_SPACING = 4.0  # metres between the middles of parallel tracks
BED = 3.4  # metres of ballast under one track


def trackbed(railway: Railway) -> shapely.Geometry:
    """The ground under a railway's tracks as a polygon; empty for a tunnel. Trams take just their tracks."""
    if railway.tunnel:
        return shapely.Polygon()
    single = 2.4 if railway.kind == "tram" else BED * max(railway.gauge / 1.435, 0.7)
    return railway.line.buffer((single + (railway.tracks - 1) * TRACK_SPACING) / 2, quad_segs=4, cap_style="flat")


def plan(structure: Structure) -> shapely.Geometry:
    """The ground that a structure takes up at most: the convex hull of its plan; empty for what lies underground."""
    if structure.kind == "tunnel":
        return shapely.Polygon()
    return shapely.convex_hull(shapely.multipoints(structure.mesh.vertices[:, :2]))
