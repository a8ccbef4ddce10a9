"""A city made ready to be photographed: merged meshes with reflectances, indexed outlines, placed trees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree

from mage.generator.colour import reflectance
from mage.generator.props import Placements, place_trees
from mage.scenes.city import Building, City
from mage.scenes.mesh import Mesh, Surface, concatenate
from mage.scenes.sources.clutter import roof_clutter
from mage.scenes.sources.relief import normal_levels
from mage.scenes.style import Style, Swatch

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """What all tiles and dates of one city share.

    Attributes:
        city, style: what was built and in which manner.
        fabric: all buildings as one mesh, roof clutter included.
        owner: int32 (m,) index of the building each face belongs to.
        albedo: float32 (m, 3) reflectance of each face.
        outlines: per building, its outline as seen from above.
        road_index, land_index: spatial indices over carriageways and land patches.
        carriageways: per road edge, the polygon of its surface.
        water_levels: normal levels of permanent water on the terrain's vertices.
        trees: where they stand.
    """

    city: City
    style: Style
    fabric: Mesh
    owner: NDArray[np.int32]
    albedo: NDArray[np.float32]
    outlines: NDArray[np.object_]
    carriageways: NDArray[np.object_]
    road_index: STRtree
    land_index: STRtree
    water_levels: Floats
    trees: Placements


def prepare_place(city: City, style: Style, rng: np.random.Generator) -> Place:
    """Paint, merge and index a completed city; ``rng`` draws the colours and the roofs' clutter."""
    meshes, albedos = [], []
    for building in city.buildings:
        mesh, albedo = _dress(building, style, rng)
        meshes.append(mesh)
        albedos.append(albedo)
    fabric, owner = concatenate(meshes)
    outlines = np.array([outline_of(b) for b in city.buildings], dtype=object)
    carriageways = np.array([shapely.buffer(e.line, e.width / 2, quad_segs=4) for e in city.roads.edges], dtype=object)
    crowns = np.array([reflectance(s.srgb) for s in style.look.crowns])
    return Place(
        city,
        style,
        fabric,
        owner,
        np.concatenate(albedos).astype(np.float32) if albedos else np.zeros((0, 3), np.float32),
        outlines,
        carriageways,
        STRtree(carriageways),
        STRtree([patch.outline for patch in city.land]),
        normal_levels(city.ground, city.water),
        place_trees(city.trees, city.ground, crowns, rng),
    )


def outline_of(building: Building) -> shapely.Geometry:
    """The building's outline seen from above: the union of all its faces' shadows on the plane, local metres."""
    corners = building.mesh.vertices[building.mesh.triangles][:, :, :2]
    (ax, ay), (bx, by), (cx, cy) = corners.transpose(1, 2, 0)
    doubled = np.abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay))
    shadows = shapely.polygons(corners[doubled > 1e-6])
    merged = shapely.union_all(shapely.set_precision(shadows, 1e-3))
    solid = shapely.buffer(shapely.buffer(merged, 0.01, join_style="mitre"), -0.01, join_style="mitre")
    return building.footprint if solid.is_empty else solid


def pick(swatches: tuple[Swatch, ...], rng: np.random.Generator) -> Floats:
    """A reflectance (3,) drawn from weighted swatches, with the spread in lightness that houses of one colour have."""
    weights = np.array([s.weight for s in swatches])
    swatch = swatches[int(rng.choice(len(swatches), p=weights / weights.sum()))]
    return np.clip(reflectance(swatch.srgb) * rng.lognormal(0, 0.12) * rng.lognormal(0, 0.03, 3), 0.01, 0.85)


def _dress(building: Building, style: Style, rng: np.random.Generator) -> tuple[Mesh, Floats]:
    mesh, _ = concatenate([building.mesh, roof_clutter(rng, building, style)])
    look = style.look
    roof = pick(look.roofs_flat if building.roof == "flat" else look.roofs_pitched, rng)
    wall = pick(look.walls, rng)
    albedo = np.tile(wall, (len(mesh), 1))
    on_roof = mesh.surface == Surface.ROOF
    # planes of one roof weather apart: each direction it faces takes its own small factor
    facing = np.round(np.arctan2(mesh.normals[:, 1], mesh.normals[:, 0]) / (np.pi / 8)).astype(int) % 16
    albedo[on_roof] = roof * rng.lognormal(0, 0.05, 16)[facing[on_roof], None]
    clutter = mesh.surface == Surface.CLUTTER
    albedo[clutter] = 0.6 * roof + 0.4 * rng.uniform(0.08, 0.5)
    shift = rng.uniform(0, 64, 2).astype(np.float32)  # so that no two roofs wear the same stains
    uv = mesh.uv + shift
    dressed = Mesh(mesh.vertices, mesh.triangles, mesh.surface, uv, {})
    return dressed, albedo
