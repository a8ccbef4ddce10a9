"""A city as frozen values in a local metric frame: buildings, streets, water, trees, ground."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import LineString, MultiPolygon, Polygon

from mage.scenes.mesh import Mesh
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]
Colour = tuple[int, int, int]  # 8-bit sRGB, as it looks in imagery

COVERS = (
    "grass",
    "bare",
    "paved",
    "agriculture",
    "forest",
    "scrub",
    "sand",
    "asphalt",  # road surface without an edge of its own
    "parking",  # asphalt with bays
    "ballast",  # under railway tracks
    "pitch",  # a sports field
    "pool",
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a part of a city comes from: kept so that every release can say whose data it holds."""

    name: str
    format: str
    licence: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A building, or a part of one, as numbers instead of faces: what OpenStreetMap's Simple 3D Buildings say.

    Attributes:
        outline: seen from above, local metres.
        base: its foot above the ground, metres (``min_height``).
        height: its top above the ground, roof included, metres; None where the source is silent.
        levels: storeys below the roof, counted from the ground; None where the source is silent.
        base_levels: storeys under its foot.
        roof: the shape's name in Simple 3D Buildings (``flat``, ``gabled``, ``half-hipped`` …); empty if unknown.
        roof_height: metres from the eave to the top; None for the shape's own.
        roof_levels: storeys within the roof.
        orientation: whether the ridge runs ``along`` or ``across`` the longer side; empty if unknown.
        direction: where a roof face looks to, degrees clockwise from north; None if unknown.
        roof_colour, wall_colour: as stated, or those of the stated material.
    """

    outline: Polygon
    base: float = 0.0
    height: float | None = None
    levels: float | None = None
    base_levels: float = 0.0
    roof: str = ""
    roof_height: float | None = None
    roof_levels: float | None = None
    orientation: str = ""
    direction: float | None = None
    roof_colour: Colour | None = None
    wall_colour: Colour | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Building:
    """One building.

    Attributes:
        id: the source's identifier, unique within the city.
        footprint: outline on the ground, local metres; valid, not empty.
        ground: height of the ground at its foot, metres in the city's vertical datum.
        height: top of the roof above ``ground``, metres.
        eave: lowest roof edge above ``ground``, metres (equal to ``height`` for a flat roof).
        mesh: the finest level of detail that could be built, local metres.
        lod: level of detail of the source's geometry (0 to 3); the mesh of 0 is raised from the footprint.
        parts: building parts and buildings that the source makes it of.
        storeys, year: as in the source, or None.
        occupancy: ``residential``, ``commercial`` or ``industrial``.
        roof: ``flat``, ``pitched`` or ``unknown``.
        style: the palette that its materials come from, a name in ``assets/styles``; empty for the recipe's.
        inferred: names of the fields that the source did not hold; with ``ground`` among them the heights of the mesh
            count from the ground, wherever that is.
        volumes: what the mesh was raised from, where the source gives numbers and no faces.
        roof_colour, wall_colour: as the source states them.
        attributes: all that the source says of it (address, function, generic attributes, tags), in its own spelling;
            the building's own go before those of its parts.
    """

    id: str
    footprint: Polygon | MultiPolygon
    ground: float
    height: float
    eave: float
    mesh: Mesh
    lod: int
    parts: int = 1
    storeys: int | None = None
    year: int | None = None
    occupancy: str = "residential"
    roof: str = "unknown"
    style: str = ""
    inferred: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    roof_colour: Colour | None = None
    wall_colour: Colour | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class RoadEdge:
    """A piece of street between two nodes of the graph, open to motor vehicles at least in part.

    Attributes:
        u, v: positions in the graph's ``nodes``; the line runs from u to v.
        line: the carriageway's axis, local metres.
        width: of the carriageway, metres.
        kind: OpenStreetMap's value of ``highway`` (``primary``, ``residential``, ``service``, ``pedestrian`` …).
        lanes: of both directions together; None where the source is silent.
        oneway: open from u to v only.
        bridge, tunnel: whether it leaves the ground; ``layer`` says above or below what, 0 being the ground.
    """

    u: int
    v: int
    line: LineString
    width: float
    kind: str = "residential"
    lanes: int | None = None
    oneway: bool = False
    bridge: bool = False
    tunnel: bool = False
    layer: int = 0
    name: str = ""
    inferred: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class RoadGraph:
    """Streets as a routable graph; the id of an edge in label rasters is its position in ``edges`` plus 1."""

    nodes: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    edges: tuple[RoadEdge, ...] = ()

    @property
    def length(self) -> float:
        """Sum of the edges' lengths in metres."""
        return float(sum(edge.line.length for edge in self.edges))


@dataclass(frozen=True, slots=True, eq=False)
class Railway:
    """Railway or tram tracks: the middle line (local metres), how many, and their gauge in metres."""

    line: LineString
    tracks: int = 1
    gauge: float = 1.435
    kind: str = "rail"
    bridge: bool = False
    tunnel: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Barrier:
    """A ``fence``, ``wall`` or ``hedge`` along a line (local metres); height above ground and width in metres."""

    line: LineString
    kind: str
    height: float
    width: float
    inferred: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """What is built and is no building: a ``bridge``, ``tunnel``, ``furniture`` or ``construction``, as a mesh in
    local metres.
    """

    id: str
    kind: str
    mesh: Mesh


@dataclass(frozen=True, slots=True, eq=False)
class WaterBody:
    """Permanent water: its outline (local metres), normal level (m) and kind (``river``, ``lake``, ``canal``,
    ``sea``).
    """

    outline: Polygon | MultiPolygon
    level: float
    kind: str = "river"
    inferred: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class LandPatch:
    """Ground of one of :data:`COVERS`. Later patches lie on top of earlier ones."""

    outline: Polygon | MultiPolygon
    cover: str
    inferred: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Trees as arrays of n: position (n, 2), crown top above ground (n,) and crown radius (n,) in metres, species
    index uint8 (n,).
    """

    xy: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    height: Floats = field(default_factory=lambda: np.zeros(0))
    radius: Floats = field(default_factory=lambda: np.zeros(0))
    species: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))

    def __len__(self) -> int:
        return len(self.xy)


@dataclass(frozen=True, slots=True, eq=False)
class City:
    """Everything that stands before the disaster. Metres; x east, y north, z up in the source's vertical datum.

    Attributes:
        name: short, lower case, usable in file names.
        crs: projected CRS of the map frame (``EPSG:28992``), or None when the city is nowhere on Earth.
        origin: map coordinates of local (0, 0).
        latitude, longitude: degrees of the middle of the city, for the sun; of a stated default when ``crs`` is None.
        bounds: (west, south, east, north) of what may be photographed, local metres.
        buildings, roads, water, land, trees, terrain: what there is; ``terrain`` is None until it is read or inferred.
        railways, barriers, structures: what there is besides.
        drives_left: whether traffic keeps to the left.
        spots: (n, 3) points of the ground that the source gives, on its roads and land: a terrain is inferred from them
            and from the feet of buildings.
        sources: provenance of each part.
        inferred: names of the parts that no source held and that were made up (``terrain``, ``roads`` …).
        notes: what the reader repaired or left out, as name -> count.
        surfaces: of the buildings as the source delivers them, as kind -> count; none where it gives no faces.
    """

    name: str
    crs: str | None
    origin: tuple[float, float]
    latitude: float
    longitude: float
    bounds: tuple[float, float, float, float]
    buildings: tuple[Building, ...] = ()
    roads: RoadGraph = field(default_factory=RoadGraph)
    water: tuple[WaterBody, ...] = ()
    land: tuple[LandPatch, ...] = ()
    trees: Trees = field(default_factory=Trees)
    terrain: Terrain | None = None
    railways: tuple[Railway, ...] = ()
    barriers: tuple[Barrier, ...] = ()
    structures: tuple[Structure, ...] = ()
    drives_left: bool = False
    spots: Floats = field(default_factory=lambda: np.zeros((0, 3)))
    sources: tuple[Source, ...] = ()
    inferred: tuple[str, ...] = ()
    notes: Mapping[str, int] = field(default_factory=dict)
    surfaces: Mapping[str, int] = field(default_factory=dict)

    @property
    def ground(self) -> Terrain:
        """The terrain of a completed city; see :func:`mage.scenes.sources.complete`."""
        if self.terrain is None:
            raise ValueError(f"the city {self.name} has no terrain yet: complete it first")
        return self.terrain

    def with_parts(self, *, inferred: tuple[str, ...] = (), **parts: object) -> City:
        """A copy with some parts replaced; ``inferred`` names those among them that were made up."""
        names = tuple(dict.fromkeys((*self.inferred, *inferred)))
        return replace(self, inferred=names, **parts)  # type: ignore[arg-type]
