"""What one hazard does to a city: the common result of shaking, fire and wind, before any geometry is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from mage.scenes.city import City
from mage.scenes.errors import HazardError

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]


class Collapse(IntEnum):
    """How a building fails. From ``INCLINED_PLANE`` on the types of Schweier and Markus (2006,
    doi:10.1007/s10518-006-9005-2); before them what does not collapse a storey.
    """

    NONE = 0
    TILES = 1  # roof covering and chimneys shed
    GABLE = 2  # a gable wall has fallen out
    ROOF = 3  # part of the roof has fallen in
    CORNER = 4  # a corner has gone, roof and walls
    INCLINED_PLANE = 5
    MULTI_LAYER = 6
    OUTSPREAD = 7  # multi-layer collapse, spread out
    PANCAKE_FIRST = 8  # the ground storey is gone, the rest stands on it: intact from above
    PANCAKE_MIDDLE = 9
    PANCAKE_UPPER = 10
    PANCAKE_ALL = 11
    HEAP_ON_STOREYS = 12  # heap of debris on storeys that stand
    HEAP = 13
    OVERTURN_SEPARATED = 14
    OVERTURN_BLOCK = 15
    INCLINATION = 16
    OVERHANG = 17


class Burn(IntEnum):
    """State of a building or tree at the moment of the image."""

    NONE = 0
    BURNING = 1
    BURNT = 2


class Stand(IntEnum):
    """State of a tree."""

    STANDING = 0
    FELLED = 1
    STRIPPED = 2  # of its leaves
    SCORCHED = 3
    BURNT = 4


@dataclass(frozen=True, slots=True, eq=False)
class Strike:
    """What one hazard does; arrays over buildings (b), trees (t) and the terrain's vertices follow the city's order.

    Attributes:
        hazard: ``earthquake``, ``fire`` or ``wind``.
        parameters: what it was called with, JSON types only.
        intensity: (b,) peak ground acceleration (g), arrival of the fire (minutes, infinite where it never comes) or
            highest gust (m/s).
        p_grade: (b, 6) probability of each EMS-98 grade; rows sum to 1.
        ems98: (b,) sampled physical grade 0-5.
        loss: (b,) share of the building's value lost, 0-1; economic.
        collapse: (b,) a :class:`Collapse`.
        direction: (b,) radians anticlockwise from east: where the building falls, leans or sheds to.
        covering_lost: (b,) share of the roof without its tiles, shingles or sheets, 0-1; bare decking is seen there.
        deck_lost: (b,) share of the roof without decking as well, 0-1: rafters, or nothing.
        swept: bool (b,) nothing is left but the slab.
        tarped: bool (b,) what is bare has been covered with tarpaulins.
        burn: (b,) a :class:`Burn`.
        trees: (t,) a :class:`Stand`; ``tree_heading`` (t,) radians that felled ones lie along.
        severity: (rows, columns) burn severity of the ground on the terrain's vertices, 0-1.
        front: (rows, columns) how fiercely the ground burns at the moment of the image, 0-1.
    """

    hazard: str
    parameters: Mapping[str, float | int | str | None]
    intensity: Floats
    p_grade: Floats
    ems98: Bytes
    loss: Floats
    collapse: Bytes
    direction: Floats
    covering_lost: Floats
    deck_lost: Floats
    swept: NDArray[np.bool_]
    tarped: NDArray[np.bool_]
    burn: Bytes
    trees: Bytes
    tree_heading: Floats
    severity: Floats
    front: Floats


def untouched(city: City, hazard: str, parameters: Mapping[str, float | int | str | None] | None = None) -> Strike:
    """A strike that leaves a completed city as it is, for hazards to fill in with ``dataclasses.replace``.

    Raises:
        HazardError: a city without terrain.
    """
    if city.terrain is None:
        raise HazardError(f"the city {city.name} has no terrain to strike", expected="a completed city")
    b, t = len(city.buildings), len(city.trees)
    none = np.zeros(b, np.uint8)
    return Strike(
        hazard=hazard,
        parameters=dict(parameters or {}),
        intensity=np.zeros(b),
        p_grade=np.eye(6)[none],
        ems98=none,
        loss=np.zeros(b),
        collapse=none.copy(),
        direction=np.zeros(b),
        covering_lost=np.zeros(b),
        deck_lost=np.zeros(b),
        swept=np.zeros(b, bool),
        tarped=np.zeros(b, bool),
        burn=none.copy(),
        trees=np.zeros(t, np.uint8),
        tree_heading=np.zeros(t),
        severity=np.zeros(city.terrain.heights.shape),
        front=np.zeros(city.terrain.heights.shape),
    )
