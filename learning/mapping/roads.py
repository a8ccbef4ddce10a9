"""A road network as arrays, and how likely each of its edges is closed by what an image shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import shapely
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from mage.learning.mapping.picture import Window
from mage.scenes.city import RoadGraph
from mage.scenes.errors import ModelError
from mage.scenes.grid import Grid

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Probabilities = NDArray[np.float32]

STATION, LANE = 1.0, 0.25  # metres between places along an edge, and across it
TILE = 1024, 1000.0  # pixels and metres: rasters are read in squares whose sides are the shorter of both
# km/h at which an emergency vehicle gets on in a town, by OpenStreetMap's `highway`; others take `OTHER_SPEED`. Ours,
# of the order of what navigation services assume; `Roads.seconds` may be replaced by better ones.
SPEED = {
    "motorway": 90.0,
    "motorway_link": 60.0,
    "trunk": 70.0,
    "trunk_link": 50.0,
    "primary": 50.0,
    "primary_link": 40.0,
    "secondary": 45.0,
    "tertiary": 40.0,
    "unclassified": 30.0,
    "residential": 30.0,
    "living_street": 15.0,
    "service": 15.0,
    "track": 15.0,
    "pedestrian": 10.0,
}
OTHER_SPEED = 20.0


@dataclass(frozen=True, slots=True)
class Vehicle:
    """What has to get through.

    Attributes:
        width: metres that must be free in one piece; at most the carriageway's is asked for.
        depth: metres of standing water that stop it.
    """

    name: str
    width: float
    depth: float


# as the simulator's streets are judged: mage.scenes.modifiers.blocked and mage.scenes.hazards.wetting
CAR, TRUCK = Vehicle("car", 3.0, 0.3), Vehicle("truck", 3.5, 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class Roads:
    """A network of e edges between n nodes, metres, in the frame of the map.

    Attributes:
        nodes: (n, 2).
        ends: (e, 2) positions in ``nodes``; the line of an edge runs from the first to the second.
        lines: (e,) axes of the carriageways.
        width: (e,) metres.
        seconds: (e,) to drive along where nothing is in the way.
        oneway: (e,) driven from the first end to the second only.
        lifted: (e,) on a bridge or in a tunnel: what lies on the ground there does not close it.
        kind, name: (e,) OpenStreetMap's ``highway`` and ``name``.
    """

    nodes: Floats
    ends: Ints
    lines: tuple[shapely.LineString, ...]
    width: Floats
    seconds: Floats
    oneway: NDArray[np.bool_]
    lifted: NDArray[np.bool_]
    kind: tuple[str, ...] = field(default=())
    name: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Raises ModelError where the arrays do not fit together."""
        edges = len(self.lines)
        for name in ("width", "seconds", "oneway", "lifted"):
            if getattr(self, name).shape != (edges,):
                raise ModelError(f"'{name}' does not fit the edges", expected=f"({edges},)")
        if self.ends.shape != (edges, 2):
            raise ModelError("'ends' does not fit the edges", expected=f"({edges}, 2)", found=str(self.ends.shape))
        _check_ends(self.ends, len(self.nodes))

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def length(self) -> Floats:
        """(e,) metres."""
        return shapely.length(np.fromiter(self.lines, object, len(self.lines))).astype(float)


def roads_of(graph: RoadGraph, dx: float = 0.0, dy: float = 0.0) -> Roads:
    """The network of a city's streets, moved by (dx, dy) metres: a city's origin, say, to be in its map's frame.

    >>> from mage.scenes.city import RoadEdge
    >>> street = RoadEdge(0, 1, shapely.LineString([(0, 0), (100, 0)]), 5.5)
    >>> roads = roads_of(RoadGraph(np.array([(0.0, 0.0), (100.0, 0.0)]), (street,)), dx=1000)
    >>> roads.nodes.tolist(), roads.seconds.tolist()
    ([[1000.0, 0.0], [1100.0, 0.0]], [12.0])
    """
    shift = np.array([dx, dy])
    edges = graph.edges
    length = np.array([edge.line.length for edge in edges], float)
    speed = np.array([SPEED.get(edge.kind, OTHER_SPEED) for edge in edges], float) / 3.6
    return Roads(
        nodes=np.asarray(graph.nodes, float).reshape(-1, 2) + shift,
        ends=np.array([(edge.u, edge.v) for edge in edges], np.int64).reshape(-1, 2),
        lines=tuple(shapely.transform(edge.line, lambda xy: xy + shift) for edge in edges),
        width=np.array([edge.width for edge in edges], float),
        seconds=length / speed if len(edges) else length,
        oneway=np.array([edge.oneway for edge in edges], bool),
        lifted=np.array([edge.bridge or edge.tunnel or edge.layer != 0 for edge in edges], bool),
        kind=tuple(edge.kind for edge in edges),
        name=tuple(edge.name for edge in edges),
    )


def straight_roads(nodes: ArrayLike, ends: ArrayLike, *, width: float = 5.5, speed: float = 30.0) -> Roads:
    """A network of straight streets that are driven both ways, all of one width (m) and speed (km/h).

    >>> straight_roads([(0, 0), (100, 0)], [(0, 1)]).seconds.tolist()
    [12.0]
    """
    places, pairs = np.asarray(nodes, float).reshape(-1, 2), np.asarray(ends, np.int64).reshape(-1, 2)
    _check_ends(pairs, len(places))
    lines = tuple(shapely.LineString(places[pair]) for pair in pairs)
    length = np.array([line.length for line in lines], float)
    flags = np.zeros(len(lines), bool)
    return Roads(places, pairs, lines, np.full(len(lines), width), length / (speed / 3.6), flags, flags)


class Layer(Protocol):
    """A raster of which windows are asked for, such as an array, or a file that need not fit into memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns)."""

    def __getitem__(self, window: Window, /) -> Probabilities:
        """Its values in a window that lies within it; NaN where not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """Parts of edges.

    Attributes:
        edge: (s,) positions of the edges that they are of.
        begin, end: (s,) metres along their lines.
    """

    edge: Ints
    begin: Floats
    end: Floats

    def __len__(self) -> int:
        return len(self.edge)


def blocked(roads: Roads, grid: Grid, debris: Layer | None, flooded: Layer | None, vehicle: Vehicle) -> Floats:
    """Probability that a vehicle cannot pass each edge, (e,); NaN where no place of it lies on the grid.

    Across the street at every metre, the vehicle looks for the gap of its width whose worst pixel is the least likely
    to be closed; that pixel's probability is the place's, and the worst place's the edge's. This is exact where
    neighbouring pixels are closed together, as one heap or one sheet of water closes them, and a lower bound where
    they are independent. Rasters are read tile by tile, and only where there are roads.

    Args:
        roads: in the grid's frame.
        grid: of the rasters.
        debris: (rows, columns) probability that rubble lies there, NaN where not known; None where none is looked for.
        flooded: the same of water deeper than the vehicle goes through, see :func:`drowned`.
        vehicle: what has to pass.

    Raises:
        ModelError: a raster of another shape than the grid's.

    >>> roads = straight_roads([(0, 5), (20, 5)], [(0, 1)], width=6)
    >>> heap = np.zeros((10, 20), np.float32)
    >>> heap[3:7, 8:12] = 0.8  # 4 m of a street of 6 m
    >>> blocked(roads, Grid(10, 20, 0, 10, 1), heap, None, CAR).round(2).tolist()
    [0.8]
    >>> heap[3:7, 8:12] = 0
    >>> heap[1:4, 8:12] = 0.8  # its northern edge, 1 m wide
    >>> blocked(roads, Grid(10, 20, 0, 10, 1), heap, None, CAR).round(2).tolist()
    [0.0]
    """
    whole = Stretches(np.arange(len(roads)), np.zeros(len(roads)), roads.length)
    return blocked_along(roads, whole, grid, debris, flooded, vehicle)


def blocked_along(
    roads: Roads, stretches: Stretches, grid: Grid, debris: Layer | None, flooded: Layer | None, vehicle: Vehicle
) -> Floats:
    """:func:`blocked` for parts of edges, (s,).

    >>> roads = straight_roads([(0, 5), (20, 5)], [(0, 1)], width=6)
    >>> heap = np.zeros((10, 20), np.float32)
    >>> heap[:, 14:16] = 0.8
    >>> halves = Stretches(np.array([0, 0]), np.array([0.0, 10.0]), np.array([10.0, 20.0]))
    >>> blocked_along(roads, halves, Grid(10, 20, 0, 10, 1), heap, None, CAR).round(2).tolist()
    [0.0, 0.8]
    """
    layers = [layer for layer in (debris, flooded) if layer is not None]
    for layer in layers:
        if layer.shape != grid.shape:
            raise ModelError("the raster does not fit the grid", expected=str(grid.shape), found=str(layer.shape))
    lifted, lines = roads.lifted[stretches.edge], np.array(roads.lines, dtype=object)[stretches.edge]
    worst = np.where(lifted, 0.0, np.nan)
    margin = float(roads.width.max(initial=0)) / 2
    for part, found in _by_tiles(lines, np.flatnonzero(~lifted), margin, grid):
        owner, places = _stations(lines, stretches, found)
        here = _in_part(grid.to_pixel(places[:, 0]), part, grid)
        owner, places = owner[here], places[here]
        if not len(owner):
            continue
        window = _around(part, margin, grid)
        closed, frame = _closed(layers, window), grid.part(window)
        width = roads.width[stretches.edge[owner]]
        lanes = np.maximum(np.rint(width / LANE).astype(np.int64), 1)
        gap = np.clip(np.ceil(np.minimum(vehicle.width, width) / (width / lanes) - 1e-9).astype(np.int64), 1, lanes)
        for across, need in np.unique(np.stack([lanes, gap], axis=1), axis=0):
            alike = (lanes == across) & (gap == need)
            values = _profiles(closed, frame, places[alike], width[alike], int(across))
            np.fmax.at(worst, owner[alike], _least(values, int(need)))
    return worst


def drowned(depth: NDArray[np.float32], spread: float | NDArray[np.float32], vehicle: Vehicle) -> Probabilities:
    """Probability that water of a depth known to ``spread`` stops a vehicle: normal errors.

    Args:
        depth: metres, any shape; 0 where dry, NaN where not known.
        spread: standard deviation of the depth's error, metres, one or one each; 0 for exact depths.
        vehicle: what has to pass.

    >>> [f"{p:.3f}" for p in drowned(np.array([0, 0.3, 0.9], np.float32), 0.2, CAR)]
    ['0.000', '0.500', '0.999']
    """
    exact = np.where(np.isnan(depth), np.nan, depth >= vehicle.depth)
    likely = ndtr((depth - vehicle.depth) / np.maximum(spread, 1e-9))
    return np.where(depth == 0, 0, np.where(np.asarray(spread) > 0, likely, exact)).astype(np.float32)


def _check_ends(ends: Ints, nodes: int) -> None:
    if ends.size and not (ends.min() >= 0 and ends.max() < nodes):
        raise ModelError("ends of edges are no nodes", expected=f"positions below {nodes}", found=str(ends.max()))


def _by_tiles(
    lines: NDArray[np.object_], usable: Ints, margin: float, grid: Grid
) -> Iterator[tuple[tuple[slice, slice], Ints]]:
    """Tiles of the grid, and which of the usable lines may have a place in each."""
    tree = shapely.STRtree(lines[usable])
    side = int(np.clip(TILE[1] / grid.gsd, 64, TILE[0]))
    for top in range(0, grid.rows, side):
        for left in range(0, grid.columns, side):
            part = slice(top, min(top + side, grid.rows)), slice(left, min(left + side, grid.columns))
            found = tree.query(shapely.box(*grid.part(part).bounds).buffer(margin, join_style="mitre"))
            if len(found):
                yield part, usable[np.sort(found)]


def _stations(lines: NDArray[np.object_], stretches: Stretches, found: Ints) -> tuple[Ints, Floats]:
    """Places along stretches, at most a metre apart: whose each is, (p,), where, and the way to its left, (p, 2, 2)."""
    begin, length = stretches.begin[found], stretches.end[found] - stretches.begin[found]
    pieces = np.maximum(np.ceil(length / STATION).astype(np.int64), 1)
    who = np.repeat(np.arange(len(found)), pieces + 1)
    step = np.arange(len(who)) - np.repeat(np.cumsum(pieces + 1) - pieces - 1, pieces + 1)
    at, line = begin[who] + step * (length / pieces)[who], lines[found[who]]
    whole = shapely.length(lines[found])[who]
    points, ahead, behind = (
        shapely.get_coordinates(shapely.line_interpolate_point(line, np.clip(at + by, 0, whole)))
        for by in (0.0, 0.1, -0.1)
    )
    way = ahead - behind
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    return found[who], np.stack([points, np.stack([-way[:, 1], way[:, 0]], axis=1)], axis=1)


def _in_part(pixels: Floats, part: tuple[slice, slice], grid: Grid) -> NDArray[np.bool_]:
    """Which places are the tile's, (p,): each is one tile's, those off the grid the nearest's."""
    column, row = np.clip(np.floor(pixels), 0, [grid.columns - 1, grid.rows - 1]).T
    rows, columns = part
    return np.asarray((row >= rows.start) & (row < rows.stop) & (column >= columns.start) & (column < columns.stop))


def _around(part: tuple[slice, slice], metres: float, grid: Grid) -> Window:
    more = int(np.ceil(metres / grid.gsd)) + 1
    rows, columns = (
        slice(max(p.start - more, 0), min(p.stop + more, side)) for p, side in zip(part, grid.shape, strict=True)
    )
    return rows, columns


def _closed(layers: list[Layer], window: Window) -> Probabilities:
    """Probability that any of them closes a pixel, as if they were independent; 0 where there are none."""
    free = np.ones(tuple(part.stop - part.start for part in window), np.float32)
    for layer in layers:
        free *= 1 - layer[window]
    return 1 - free


def _profiles(closed: Probabilities, grid: Grid, places: Floats, width: Floats, lanes: int) -> Floats:
    """Values across streets, (p, lanes), NaN off the grid."""
    aside = ((np.arange(lanes) + 0.5) / lanes - 0.5)[None] * width[:, None]
    across = places[:, None, 0] + aside[..., None] * places[:, None, 1]
    column, row = np.moveaxis(np.floor(grid.to_pixel(across)).astype(np.int64), -1, 0)
    inside = (row >= 0) & (row < grid.rows) & (column >= 0) & (column < grid.columns)
    values = closed[np.clip(row, 0, grid.rows - 1), np.clip(column, 0, grid.columns - 1)]
    return np.where(inside, values, np.nan).astype(float)


def _least(across: Floats, gap: int) -> Floats:
    """The least of the worst lanes of any gap of this many, (p,), NaN where nothing is known of the place; what is not
    known beside what is counts as open.
    """
    windows = sliding_window_view(np.nan_to_num(across), gap, axis=1)
    return np.where(np.isnan(across).all(axis=1), np.nan, windows.max(axis=2).min(axis=1))
