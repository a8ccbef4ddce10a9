"""A city made ready to be photographed: merged meshes with reflectances, indexed outlines, placed trees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree

from mage.generator.colour import reflectance
from mage.generator.dress import dress
from mage.generator.marks import Marks, mark_city
from mage.generator.patchwork import Patch, draw_patches
from mage.generator.props import Placements, place_trees
from mage.generator.works import Works, build_works
from mage.scenes.city import Building, City, RoadEdge
from mage.scenes.mesh import Mesh, concatenate
from mage.scenes.sources.ground.relief import normal_levels
from mage.scenes.style import Style
from mage.scenes.ways import on_view, trackbed

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """What all tiles and dates of one city share.

    Attributes:
        city, style: what was built and in which manner.
        fabric: all buildings as one mesh, roof clutter included.
        owner: int32 (m,) index of the building each face belongs to.
        albedo: float32 (m, 3) reflectance of each face.
        pattern: float32 (m, 3) how strongly each face shows tile rows, corrugation and rust.
        patches: where roofs are not all of one piece.
        works: bridges, barriers and structures, merged.
        outlines: per building, its outline as seen from above.
        boxes: per building, west, south, east and north of it, float64 (n, 4).
        tops: per building, its highest point, float64 (n,).
        road_index, land_index, rail_index: spatial indices over carriageways, land patches and track beds.
        carriageways: per road edge, the polygon of its surface; empty for a tunnel.
        trackbeds: per railway, the polygon of its ballast; empty for a tunnel.
        marks: painted lines and rails.
        water_levels: normal levels of permanent water on the terrain's vertices.
        trees: where they stand.
    """

    city: City
    style: Style
    fabric: Mesh
    owner: NDArray[np.int32]
    albedo: NDArray[np.float32]
    pattern: NDArray[np.float32]
    patches: tuple[Patch, ...]
    works: Works
    outlines: NDArray[np.object_]
    boxes: Floats
    tops: Floats
    carriageways: NDArray[np.object_]
    trackbeds: NDArray[np.object_]
    road_index: STRtree
    land_index: STRtree
    rail_index: STRtree
    marks: Marks
    water_levels: Floats
    trees: Placements


def prepare_place(city: City, style: Style, rng: np.random.Generator) -> Place:
    """Paint, merge and index a completed city; ``rng`` draws the colours and the roofs' clutter."""
    dressed = [dress(building, style, rng) for building in city.buildings]
    fabric, owner = concatenate(d.mesh for d in dressed)
    outlines = np.array([outline_of(b) for b in city.buildings], dtype=object)
    carriageways = np.array([_carriageway(e) for e in city.roads.edges], dtype=object)
    trackbeds = np.array([trackbed(r) for r in city.railways], dtype=object)
    crowns = np.array([reflectance(s.srgb) for s in style.look.crowns])
    often = np.array([s.weight for s in style.look.crowns])
    levels = normal_levels(city.ground, city.water)
    of_works, of_patches = rng.spawn(2)
    return Place(
        city=city,
        style=style,
        fabric=fabric,
        owner=owner,
        albedo=_joined([d.albedo for d in dressed]),
        pattern=_joined([d.pattern for d in dressed]),
        patches=draw_patches(city, style, of_patches),
        works=build_works(city, style, levels, of_works),
        outlines=outlines,
        boxes=shapely.bounds(outlines).reshape(-1, 4),
        tops=np.array([float(d.mesh.vertices[:, 2].max()) for d in dressed]),
        carriageways=carriageways,
        trackbeds=trackbeds,
        road_index=STRtree(carriageways),
        land_index=STRtree([patch.outline for patch in city.land]),
        rail_index=STRtree(trackbeds),
        marks=mark_city(city, style),
        water_levels=levels,
        trees=place_trees(city.trees, city.ground, crowns, often, rng),
    )


def _joined(arrays: list[Floats]) -> NDArray[np.float32]:
    return np.concatenate([np.zeros((0, 3)), *arrays]).astype(np.float32)


def _carriageway(edge: RoadEdge) -> shapely.Geometry:
    return shapely.buffer(edge.line, edge.width / 2, quad_segs=4) if on_view(edge) else shapely.Polygon()


def outline_of(building: Building) -> shapely.Geometry:
    """The building's outline seen from above: the union of all its faces' shadows on the plane, local metres."""
    corners = building.mesh.vertices[building.mesh.triangles][:, :, :2]
    (ax, ay), (bx, by), (cx, cy) = corners.transpose(1, 2, 0)
    doubled = np.abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay))
    shadows = shapely.polygons(corners[doubled > 1e-6])
    merged = shapely.union_all(shapely.set_precision(shadows, 1e-3))
    solid = shapely.buffer(shapely.buffer(merged, 0.01, join_style="mitre"), -0.01, join_style="mitre")
    return building.footprint if solid.is_empty else solid
