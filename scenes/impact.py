"""What a hazard does to a city, and the vehicles that stand in it at one date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.scenes.aftermath import Aftermath
from mage.scenes.strike import Strike

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Shock:
    """What shaking, wind and fire did together, besides what :class:`Impact` says of every disaster.

    Attributes:
        strike: all of them combined: the worst grade and way of failing of each building, the state of each tree, the
            burn severity of the ground.
        intensities: by hazard, (b,): peak ground acceleration (g) of an ``earthquake``, highest gust (m/s) of
            ``wind``, arrival (minutes, infinite where it never comes) of ``fire``.
        aftermath: what the buildings look like.
        debris: (e,) greatest width of each road edge under debris, m.
        free: (e,) least width in one piece that debris leaves open, m.
    """

    strike: Strike
    intensities: Mapping[str, Floats]
    aftermath: Aftermath
    debris: Floats
    free: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Impact:
    """The truth about a struck city; arrays over buildings (b) and road edges (e) follow the city's order.

    Attributes:
        hazard: its name (``flood``), or those of a chain in order, joined by hyphens.
        parameters: what it was called with, JSON types only.
        intensity: (b,) highest water depth at the walls, m, at the flood's peak.
        p_grade: (b, 6) probability of each EMS-98 grade; rows sum to 1.
        ems98: uint8 (b,) sampled physical grade 0-5.
        visible: uint8 (b,) grade 0-5 that can be seen from nadir.
        jds: uint8 (b,) Joint Damage Scale 0-3, as xBD's annotators would grade.
        loss: (b,) share of the building's value lost, 0-1; economic, apart from the structural grade.
        wet_share: (b,) share of the outline that touches water, 0-1.
        levels: (rows, columns) flood level on the terrain's vertices (m) at the image, carried one vertex over the
            shore; NaN where dry.
        road_depth: (e,) deepest water on each edge, m, at the peak.
        car, truck: bool (e,) whether an ordinary car or an emergency vehicle can pass.
        highest: as ``levels``, at the peak.
        at_image: (b,) as ``intensity``, at the image. road_at_image: (e,) as ``road_depth``, at the image.
        velocity: (b,) highest speed of the water at the walls, m/s; None where the flood's model does not give it.
        speed: (rows, columns) highest speed of the water on the terrain's vertices, m/s, 0 where none came; None as
            ``velocity``.
        causes: per building, the hazards that damaged it, in order.
        reasons: per road edge, what keeps a car or a truck from it: ``water``, ``debris``, both with ``and`` between
            them, or nothing.
        shock: what else than water did; None for a flood alone.
    """

    hazard: str
    parameters: Mapping[str, float | int | str | None]
    intensity: Floats
    p_grade: Floats
    ems98: NDArray[np.uint8]
    visible: NDArray[np.uint8]
    jds: NDArray[np.uint8]
    loss: Floats
    wet_share: Floats
    levels: Floats
    road_depth: Floats
    car: NDArray[np.bool_]
    truck: NDArray[np.bool_]
    highest: Floats
    at_image: Floats
    road_at_image: Floats
    velocity: Floats | None = None
    speed: Floats | None = None
    causes: tuple[tuple[str, ...], ...] = ()
    reasons: tuple[str, ...] = ()
    shock: Shock | None = None


CAR, VAN, TRUCK, BUS, BOAT, BARGE = range(6)
BOATS = (BOAT, BARGE)
SIZES = ((4.6, 1.9), (5.6, 2.1), (9.0, 2.6), (12.4, 2.7), (6.8, 2.4), (16.4, 4.4))  # metres each kind takes up


@dataclass(frozen=True, slots=True, eq=False)
class Vehicles:
    """Vehicles as arrays of n: position (n, 2), heading in radians from east, colour index into the asset's palette,
    kind 0 car, 1 van, 2 truck, 3 bus, 4 motor boat, 5 barge.
    """

    xy: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    heading: Floats = field(default_factory=lambda: np.zeros(0))
    colour: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    kind: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))

    def __len__(self) -> int:
        return len(self.xy)


def plans_of(xy: Floats, heading: Floats, kind: NDArray[np.uint8], margin: float = 0.0) -> NDArray[np.object_]:
    """The vehicles' plans as polygons (n,), grown by ``margin`` metres on each side."""
    half = np.array(SIZES)[kind] / 2 + margin
    corners = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * half[:, None]
    c, s = np.cos(heading)[:, None], np.sin(heading)[:, None]
    turned = np.stack([corners[..., 0] * c - corners[..., 1] * s, corners[..., 0] * s + corners[..., 1] * c], axis=-1)
    return np.asarray(shapely.polygons(turned + xy[:, None]), dtype=object)
