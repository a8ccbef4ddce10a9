"""From what was observed to who can still be reached: closed roads, times, detours, and parts of an area cut off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window as Rectangle

from mage.learning.mapping.access import CLOSED, Route, entries, reach, route
from mage.learning.mapping.buildings import opened
from mage.learning.mapping.cutoff import cut_off
from mage.learning.mapping.findings import Access, Buildings, Facilities, Observed
from mage.learning.mapping.maps import from_bytes
from mage.learning.mapping.picture import Window
from mage.learning.mapping.places import Places, place_on, place_reachability, seconds_by
from mage.learning.mapping.roads import CAR, TRUCK, Layer, Roads, Stretches, Vehicle, blocked_along, drowned
from mage.scenes.errors import ModelError
from mage.scenes.grid import Grid

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Probabilities = NDArray[np.float32]

# metres by which depths are taken to be off, standard deviation, where their raster does not say: of the order that
# depths from an extent and a terrain model miss gauges and hydraulic models by (Cohen et al. 2018)
SPREAD = 0.3
NEAR = 500.0  # metres from a road within which a facility, or the end of a route, is on it
# where people wait for help, in OpenStreetMap's words: help is taken to come from all others
SHELTERS = (
    *("shelter", "assembly_point", "school", "kindergarten", "childcare", "college", "university", "community_centre"),
    *("townhall", "place_of_worship", "social_facility", "nursing_home", "retirement_home", "sports_centre"),
)


def find_access(
    roads: Roads,
    facilities: Facilities | None,
    observed: Observed,
    buildings: Buildings,
    grid: Grid,
    area: shapely.Geometry,
    rng: np.random.Generator,
    *,
    ends: tuple[tuple[float, float], tuple[float, float]] | None = None,
    draws: int = 400,
    stated: tuple[Floats, Floats] | None = None,
) -> tuple[Access, Buildings]:
    """Which roads are closed, who can be reached by a rescue vehicle (:data:`~mage.learning.mapping.roads.TRUCK`), and
    how soon.

    Help comes from facilities, other than those where people wait for it (:data:`SHELTERS`), and from where roads enter
    the area. A building stands at the nearest edge to which a way led before, and is reached over the part of that edge
    on either side of it. Roads of which nothing is known count as open.

    Args:
        roads: in the grid's frame.
        facilities: None where no file was given.
        observed: whose rasters ``debris``, ``flood`` and ``depth`` close roads; those that are not there close none.
            A second band of ``depth`` is the standard deviation of its error, metres.
        buildings: of the area.
        grid: of the rasters.
        area: of interest.
        rng: of the draws.
        ends: two places, metres, for the best way from the one to the other; None for no route.
        draws: of the Monte Carlo.
        stated: (e,) probabilities that a car, and a truck, cannot pass, NaN where nobody says: an analyst's, in place
            of those found.

    Returns:
        Access, and the buildings with ``reached`` and ``seconds``: None where there is no start to reach them from.

    Raises:
        DatasetError: a raster cannot be read, or is not on the grid.
        ModelError: an end of the route is farther than 500 m from all roads.
    """
    starts = _starts(roads, facilities, area)
    before = reach(roads, starts)
    usable = np.isfinite(before.seconds[roads.ends]).any(axis=1)
    points = buildings.points if usable.any() else np.zeros((0, 2))
    places = place_on(roads, points, usable)
    car, truck, ways = _closures(roads, places, observed, grid, stated)
    now = reach(roads, starts, _closed(truck))
    reached, at_places = place_reachability(roads, starts, truck, places, ways, rng, draws)
    soon = seconds_by(roads, now, places, _closed(ways))
    access = Access(
        roads=roads,
        car=car,
        truck=truck,
        starts=starts,
        facilities=facilities,
        before=before.seconds,
        now=now.seconds,
        reached=reached,
        isolated=cut_off(roads, _closed(truck), before.seconds, now.seconds, points, np.isinf(soon), area),
        route=_route(roads, truck, ends),
        asked=ends is not None,
        stated=None if stated is None else np.isfinite(stated[0]) | np.isfinite(stated[1]),
    )
    if not usable.any():
        return access, replace(buildings, reached=None, seconds=None)
    return access, replace(buildings, reached=at_places, seconds=soon)


def _closed(p: Floats) -> Flags:
    return np.asarray(np.nan_to_num(p) >= CLOSED)


def _starts(roads: Roads, facilities: Facilities | None, area: shapely.Geometry) -> Ints:
    """Nodes that help comes from: the nearer end of a facility's edge, and where roads enter the area."""
    if not len(roads):
        return np.zeros(0, np.int64)
    nodes = entries(roads, area)
    if facilities is not None and len(facilities):
        helps = ~np.isin(facilities.kind, SHELTERS)
        nodes = np.append(nodes, _nearest_nodes(roads, facilities.points[helps])[0])
    return np.unique(nodes[nodes >= 0])


def _nearest_nodes(roads: Roads, points: Floats) -> tuple[Ints, Floats]:
    """Of the nearest edge the end that is nearer, or that a one-way street leads to; -1 where all roads are too far;
    and metres to the edge.
    """
    places = place_on(roads, points)
    second = (places.share > 0.5) | roads.oneway[places.edge]
    node = np.where(second, roads.ends[places.edge, 1], roads.ends[places.edge, 0])
    return np.where(places.distance <= NEAR, node, -1), places.distance


def _route(roads: Roads, truck: Floats, ends: tuple[tuple[float, float], tuple[float, float]] | None) -> Route | None:
    if ends is None or not len(roads):
        return None
    nodes, distance = _nearest_nodes(roads, np.array(ends, float))
    if (nodes < 0).any():
        raise ModelError(
            "an end of the route is not at a road", expected=f"within {NEAR:g} m", found=f"{distance.max():.0f} m"
        )
    return route(roads, int(nodes[0]), int(nodes[1]), truck)


def _closures(
    roads: Roads, places: Places, observed: Observed, grid: Grid, stated: tuple[Floats, Floats] | None
) -> tuple[Floats, Floats, Floats]:
    """Probabilities that an edge is closed to cars and to trucks, (e,), and to trucks from either end of its edge to
    each place, (m, 2).
    """
    cut = _Cut.at(roads, places)
    with _layers(observed, grid) as layers:
        pieces = [
            blocked_along(roads, cut.pieces, grid, layers.get("debris"), _water(layers, vehicle), vehicle)
            for vehicle in (CAR, TRUCK)
        ]
    car, truck = (cut.edges(p) for p in pieces)
    ways = cut.ways(pieces[1], places)
    if stated is None:
        return car, truck, ways
    car, truck = (np.where(np.isnan(said), p, said) for said, p in zip(stated, (car, truck), strict=True))
    said = stated[1][places.edge][:, None]
    return car, truck, np.where(np.isnan(said), ways, said)


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """Edges cut at the places on them.

    Attributes:
        pieces: edge by edge, from its first end on.
        first: (e + 1,) positions of each edge's first piece, and their number.
        behind: (m,) position of the piece that begins at each place.
    """

    pieces: Stretches
    first: Ints
    behind: Ints

    @classmethod
    def at(cls, roads: Roads, places: Places) -> _Cut:
        edge = np.append(np.arange(len(roads)), places.edge)
        begin = np.append(np.zeros(len(roads)), places.share * roads.length[places.edge])
        order = np.lexsort((begin, edge))  # stable: an edge's own begins before places at its very end
        position = np.empty(len(order), np.int64)
        position[order] = np.arange(len(order))
        edge, begin = edge[order], begin[order]
        last = np.append(np.diff(edge) > 0, True)
        end = np.where(last, roads.length[edge], np.append(begin[1:], 0)) if len(edge) else begin
        return cls(
            Stretches(edge, begin, end),
            np.append(position[: len(roads)], len(edge)),
            position[len(roads) :],
        )

    def edges(self, p: Floats) -> Floats:
        """The worst of each edge's pieces, (e,); NaN where none is known."""
        return _worst(p, self.first[:-1], self.first[1:])

    def ways(self, p: Floats, places: Places) -> Floats:
        """The worst before and behind each place, (m, 2)."""
        first, last = self.first[places.edge], self.first[places.edge + 1]
        return np.stack([_worst(p, first, self.behind), _worst(p, self.behind, last)], axis=1)


def _worst(values: Floats, begin: Ints, end: Ints) -> Floats:
    """The greatest value of each range of positions, none of which is empty; NaN where none is known."""
    bounds = np.stack([begin, end], axis=1).ravel()
    return np.fmax.reduceat(np.append(values, np.nan), bounds)[::2] if len(bounds) else np.zeros(0)


@contextmanager
def _layers(observed: Observed, grid: Grid) -> Iterator[dict[str, Layer]]:
    """The rasters that close roads, by name, open."""
    with ExitStack() as stack:
        layers: dict[str, Layer] = {}
        for name in ("debris", "flood", "depth"):
            if name in observed.rasters:
                file = stack.enter_context(opened(Path(observed.rasters[name]), grid))
                layers[name] = _Band(file, 1)
                if name == "depth" and file.count > 1:
                    layers["spread"] = _Band(file, 2)
        yield layers


@dataclass(frozen=True, slots=True, eq=False)
class _Band:
    """A band of a file: bytes are probabilities in steps, other types what they say."""

    file: rasterio.DatasetReader
    band: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.file.height, self.file.width

    def __getitem__(self, window: Window, /) -> Probabilities:
        rows, columns = window
        part = Rectangle(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        values = self.file.read(self.band, window=part)
        if values.dtype == np.uint8:
            return from_bytes(values)
        nodata = self.file.nodata
        return np.where(values == nodata, np.nan, values).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Water:
    """Probability that water stops a vehicle: that it is there, and deeper than the vehicle goes through; where the
    depth is not known, all water stops it.
    """

    depth: Layer
    flood: Layer | None
    spread: Layer | None
    vehicle: Vehicle

    @property
    def shape(self) -> tuple[int, ...]:
        return self.depth.shape

    def __getitem__(self, window: Window, /) -> Probabilities:
        depth = self.depth[window]
        stops = drowned(
            depth, SPREAD if self.spread is None else np.nan_to_num(self.spread[window], nan=SPREAD), self.vehicle
        )
        if self.flood is None:
            return stops
        there = self.flood[window]
        return np.where(np.isnan(depth), there, stops * np.nan_to_num(there, nan=1.0))


def _water(layers: dict[str, Layer], vehicle: Vehicle) -> Layer | None:
    if "depth" not in layers:
        return layers.get("flood")
    return _Water(layers["depth"], layers.get("flood"), layers.get("spread"), vehicle)
