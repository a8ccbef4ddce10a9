"""Buildings and facilities on a road network: by which edge they are reached, over which part of it, and how soon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from mage.learning.mapping.access import CLOSED, Reach, drawn
from mage.learning.mapping.graphs import checked_flags
from mage.learning.mapping.roads import Roads
from mage.scenes.errors import ModelError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Buildings or facilities on a network, each at the nearest edge that a vehicle can stop on.

    Attributes:
        edge: (m,) position of the edge.
        share: (m,) of its length at which they lie, 0 at its first end.
        distance: (m,) metres to it.
    """

    edge: Ints
    share: Floats
    distance: Floats


def place_on(roads: Roads, points: ArrayLike, usable: ArrayLike | None = None) -> Places:
    """The nearest edge of each point, (m, 2) metres; bridges and tunnels are passed over where there are others.

    Args:
        roads: the network.
        points: (m, 2) metres.
        usable: (e,) which edges are looked at; None for all.

    Raises:
        ModelError: there are points, and no road; or flags that do not fit the edges.

    >>> from mage.learning.mapping.roads import straight_roads
    >>> square = straight_roads([(0, 0), (100, 0), (0, -100), (100, -100)], [(0, 1), (0, 2), (1, 3), (2, 3)])
    >>> place = place_on(square, [(25, 3)])
    >>> place.edge.tolist(), place.share.tolist(), place.distance.tolist()
    ([0], [0.25], [3.0])
    """
    places = np.asarray(points, float).reshape(-1, 2)
    if not len(places):
        return Places(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    among = np.ones(len(roads), bool) if usable is None else checked_flags(roads, usable)
    if not among.any():
        raise ModelError("there is no road to be near to")
    kept = np.flatnonzero(among & ~roads.lifted) if (among & ~roads.lifted).any() else np.flatnonzero(among)
    lines = np.array(roads.lines, dtype=object)
    at = shapely.points(places)
    edge = kept[shapely.STRtree(lines[kept]).nearest(at)]
    share = shapely.line_locate_point(lines[edge], at, normalized=True)
    return Places(edge.astype(np.int64), share, shapely.distance(lines[edge], at))


def place_reachability(
    roads: Roads,
    starts: ArrayLike,
    blocked: ArrayLike,
    places: Places,
    ways: ArrayLike,
    rng: np.random.Generator,
    draws: int = 400,
) -> tuple[Floats, Floats]:
    """Probability that each node, (n,), and each place, (m,), is reached: as of
    :func:`~mage.learning.mapping.access.reachability`, and from an end of their edges on to the places.

    What closes an edge and a part of it is one thing: in each draw both are closed, or the less likely closed is open.

    Args:
        roads: the network.
        starts: positions of nodes.
        blocked: (e,) probability that an edge is closed. NaN, not known, counts as 0.
        places: on the network.
        ways: (m, 2) probability that the part of its edge between its first, and its second, end and each place is
            closed; NaN likewise.
        rng: of the draws.
        draws: how many, at least 1.

    Raises:
        ModelError: as of :func:`~mage.learning.mapping.access.reach`; or ways that do not fit the places.

    >>> from mage.learning.mapping.roads import straight_roads
    >>> street = straight_roads([(0, 0), (100, 0)], [(0, 1)])
    >>> before_and_behind = place_on(street, [(20, 5), (80, 5)])
    >>> heap_between = [(0, 1), (1, 0)]
    >>> place_reachability(street, [0], [1], before_and_behind, heap_between, np.random.default_rng(0))[1].tolist()
    [1.0, 0.0]
    """
    closed = _ways(places, ways)
    at_node, at_place = np.zeros(len(roads.nodes)), np.zeros(len(places.edge))
    ends, passable = roads.ends[places.edge], _allowed(roads, places)
    for reached, chance in drawn(roads, starts, blocked, rng, draws):
        at_node += reached
        at_place += (reached[ends] & passable & (chance[places.edge, None] >= closed)).any(axis=1)
    return at_node / draws, at_place / draws


def seconds_to(roads: Roads, found: Reach, places: Places, closed: ArrayLike | None = None) -> Floats:
    """Seconds to each place over the end of its edge that is reached sooner, (m,).

    Of a closed edge it is the time to that end: how far one gets in from there is not known.
    """
    flags = checked_flags(roads, closed)[places.edge]
    along = np.where(flags, 0, roads.seconds[places.edge])
    return _sooner(found, roads, places, along, _allowed(roads, places) | flags[:, None])


def seconds_by(roads: Roads, found: Reach, places: Places, closed: ArrayLike) -> Floats:
    """Seconds to each place over the part of its edge by which it is reached sooner, (m,); infinite by none.

    Args:
        roads: the network.
        found: seconds to its nodes.
        places: on it.
        closed: (m, 2) whether the part of its edge between its first, and its second, end and each place is closed.

    Raises:
        ModelError: flags that do not fit the places.

    >>> from mage.learning.mapping.access import reach
    >>> from mage.learning.mapping.roads import straight_roads
    >>> street = straight_roads([(0, 0), (100, 0)], [(0, 1)], speed=36)
    >>> found, places = reach(street, [0]), place_on(street, [(20, 5), (80, 5)])
    >>> seconds_by(street, found, places, [(False, True), (True, False)]).tolist()
    [2.0, 12.0]
    """
    ways = _ways(places, closed) < CLOSED
    return _sooner(found, roads, places, roads.seconds[places.edge], _allowed(roads, places) & ways)


def _sooner(found: Reach, roads: Roads, places: Places, along: Floats, passable: Flags) -> Floats:
    ahead = along * places.share
    ways = found.seconds[roads.ends[places.edge]] + np.stack([ahead, along - ahead], axis=1)
    return np.asarray(np.where(passable, ways, np.inf).min(axis=1))


def _allowed(roads: Roads, places: Places) -> Flags:
    """Whether places may be driven to from either end of their edges, (m, 2): not against a one-way street."""
    first = np.ones(len(places.edge), bool)
    return np.stack([first, ~roads.oneway[places.edge]], axis=1)


def _ways(places: Places, values: ArrayLike) -> Floats:
    ways = np.nan_to_num(np.asarray(values, float))
    if ways.shape != (len(places.edge), 2) or bool(((ways < 0) | (ways > 1)).any()):
        raise ModelError("each place has two ways to it", expected=f"({len(places.edge)}, 2) of 0 to 1")
    return ways
