"""Height above nearest drainage (Rennó et al. 2008, doi:10.1016/j.rse.2008.03.018), and the flood that it maps.

Water runs down the six edges of each vertex of the rendered triangles, out of hollows over their lowest rim. The
drainage is the permanent water and every line that gathers more than a given area.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order

from mage.scenes.city import City
from mage.scenes.errors import HazardError
from mage.scenes.hazards.passes import lowest_passes
from mage.scenes.sources.ground.relief import normal_levels
from mage.scenes.terrain import extended_levels, neighbours

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

AREA = 100_000.0  # square metres that gather to a drainage line


@dataclass(frozen=True, slots=True, eq=False)
class Hand:
    """Height above nearest drainage on the terrain's vertices, all (rows, columns), metres.

    Attributes:
        height: that water in the drainage must rise by to come here: the ground above the drainage that it runs to, or
            the rim of the hollow that it lies in if that is higher. Infinite where water leaves the terrain without
            meeting any drainage.
        base: level of that drainage in the city's vertical datum; the normal level of permanent water. NaN where
            ``height`` is infinite.
        gathered: square metres of terrain that run through a vertex, its own included.
    """

    height: Floats
    base: Floats
    gathered: Floats


def hand(city: City, *, area: float = AREA) -> Hand:
    """Heights above the drainage of a city's terrain.

    Every vertex drains to its steepest neighbour on the filled ground, and through level ground on the fewest edges.

    Args:
        city: completed.
        area: square metres that a line without permanent water must gather to be drainage.

    Raises:
        HazardError: no terrain, an area that is not positive, or no drainage: no permanent water and no line that
            gathers as much.
    """
    if city.terrain is None:
        raise HazardError(f"the city {city.name} has no terrain to drain", expected="a completed city")
    if not area > 0:
        raise HazardError("drainage lines need an area that they gather", expected="square metres", found=f"{area}")
    terrain = city.terrain
    normal = normal_levels(terrain, city.water)
    permanent = normal > terrain.heights
    ground = np.where(permanent, normal, terrain.heights)
    border = np.ones(ground.shape, bool)
    border[1:-1, 1:-1] = False
    filled = lowest_passes(ground, np.where(permanent | border, ground, np.nan))
    receiver = _receivers(filled, permanent, border)
    gathered = _gathered(receiver.ravel()).reshape(ground.shape) * terrain.step**2
    drainage = permanent | (gathered >= area)
    if not drainage.any():
        raise HazardError(
            "no drainage in the city",
            file=city.name,
            expected=f"permanent water or a line that gathers {area:g} m²",
            found=f"{gathered.max():.0f} m² at most",
        )
    end = _end(np.where(drainage, np.arange(ground.size).reshape(ground.shape), receiver).ravel())
    reached = drainage.ravel()[end].reshape(ground.shape)
    base = filled.ravel()[end].reshape(ground.shape)
    return Hand(np.where(reached, filled - base, np.inf), np.where(reached, base, np.nan), gathered)


def hand_levels(city: City, stage: float, *, heights: Hand | None = None) -> Floats:
    """Flood levels (rows, columns) for drainage that stands ``stage`` metres above normal, NaN where dry.

    A vertex is wet where its height above the nearest drainage is below the stage; its level is the drainage's plus the
    stage, carried one vertex over the shore as :class:`mage.scenes.impact.Impact` needs it. Wet vertices hang together
    with their drainage, and a higher stage wets all that a lower one does.

    Args:
        city: completed.
        stage: metres; 0 or less is no flood.
        heights: :func:`hand` of this city, if at hand.

    Raises:
        HazardError: as :func:`hand`, a stage that is not finite, or heights of another city.
    """
    if not math.isfinite(stage):
        raise HazardError("a flood needs a stage", expected="metres", found=f"{stage}")
    heights = hand(city) if heights is None else heights
    if heights.height.shape != city.ground.heights.shape:
        raise HazardError(
            "heights above the drainage of another city",
            expected=f"{city.ground.heights.shape}",
            found=f"{heights.height.shape}",
        )
    return extended_levels(city.ground, np.where(heights.height < stage, heights.base + stage, np.nan))


def _receivers(filled: Floats, permanent: NDArray[np.bool_], border: NDArray[np.bool_]) -> Indices:
    """The vertex (rows, columns) that each drains to: its steepest neighbour; itself where water ends or leaves."""
    index = np.arange(filled.size).reshape(filled.shape)
    around = neighbours(index.astype(float))
    diagonal = np.abs(around - index) > filled.shape[1]
    fall = (filled - neighbours(filled)) / np.where(diagonal, math.sqrt(2), 1.0)
    fall = np.where(np.isnan(fall), -np.inf, fall)
    steepest = fall.argmax(axis=0)
    down = np.take_along_axis(fall, steepest[None], axis=0)[0] > 0
    to = np.take_along_axis(around, steepest[None], axis=0)[0]
    receiver = np.where(down & ~permanent, np.where(down, to, 0), index).astype(np.int64)
    flat = ~down & ~permanent
    receiver = np.where(flat, _through_flats(filled, flat), receiver)
    receiver = np.where((receiver < 0) & border, index, receiver)  # no way but over the border
    return np.where(receiver < 0, _through_flats(filled, receiver < 0), receiver)


def _through_flats(filled: Floats, stuck: NDArray[np.bool_]) -> Indices:
    """The neighbour (rows, columns) by which what is stuck leaves level ground on the fewest edges; negative where none
    does.
    """
    count = filled.size
    index = np.arange(count).reshape(filled.shape)
    level = neighbours(filled) == filled  # false beyond the border
    tail = np.broadcast_to(index, level.shape)[level & stuck]
    head = neighbours(index.astype(float))[level & stuck].astype(np.int64)
    shores = np.unique(head[~stuck.ravel()[head]])
    ends = np.concatenate([head, np.full(len(shores), count)]), np.concatenate([tail, shores])
    graph = csr_matrix((np.ones(len(ends[0])), ends), shape=(count + 1, count + 1))
    _, above = breadth_first_order(graph, count)
    return np.asarray(above[:count].reshape(filled.shape), np.int64)


def _end(receiver: Indices) -> Indices:
    """Where each vertex's way down ends, (n,): a vertex that is its own receiver."""
    while True:  # each round doubles the stretch of the way
        further = receiver[receiver]
        if (further == receiver).all():
            return receiver
        receiver = further


def _gathered(receiver: Indices) -> Floats:
    """How many vertices (n,) drain through each, itself included."""
    count = len(receiver)
    hops, ahead = (receiver != np.arange(count)).astype(np.int64), receiver
    while (ahead[ahead] != ahead).any():
        hops, ahead = hops + hops[ahead], ahead[ahead]
    gathered = np.ones(count)
    order = np.argsort(-hops, kind="stable")
    for ring in np.split(order, np.flatnonzero(np.diff(hops[order])) + 1):  # the furthest from their ends first
        if hops[ring[0]] > 0:
            np.add.at(gathered, receiver[ring], gathered[ring])
    return gathered
