"""Gusts over a city: a hurricane's radial profile with gustiness, or a vortex that passes on a straight track."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mage.scenes.errors import HazardError
from mage.scenes.hazards.shaking import Bounds, correlated

Floats = NDArray[np.float64]

# Harper, Kepert and Ginger (2010, WMO/TD-No. 1555), table 1.1: highest gust of 3 s over the mean of a minute, in-land
GUST_FACTOR = 1.49
SPREAD, REACH = 0.08, 400.0  # of gusts in neighbouring streets: logarithm and metres; assumed
INFLOW = math.radians(20)  # that winds near the ground turn towards the middle of a storm; assumed
# places of a vortex that the highest wind is sought among: so many distances before and behind a point, each the core's
# radius or the point's distance from the track, whichever is more; winds further off are weaker
STRETCH, STEPS = 3.0, 121


@dataclass(frozen=True, slots=True, eq=False)
class Gusts:
    """The highest gust at places (n,): ``speed`` in m/s (3 s, 10 m above ground), ``heading`` where it blows to, in
    radians anticlockwise from east.
    """

    speed: Floats
    heading: Floats

    def __post_init__(self) -> None:
        speed, heading = np.asarray(self.speed, float), np.asarray(self.heading, float)
        good = np.isfinite(speed).all() and (speed >= 0).all() and np.isfinite(heading).all()
        if speed.ndim != 1 or speed.shape != heading.shape or not good:
            raise HazardError("no gusts", expected="a finite speed of 0 or more and a heading for each place")

    def first(self, count: int) -> Gusts:
        """The gusts at the first ``count`` places."""
        return Gusts(self.speed[:count], self.heading[:count])

    def after(self, count: int) -> Gusts:
        """The gusts at the places that follow those."""
        return Gusts(self.speed[count:], self.heading[count:])


def holland(distance: Floats, highest: float, radius: float, peakedness: float) -> Floats:
    """Wind speed (n,) at distances from a hurricane's middle; Holland (1980), without the Coriolis term.

    V = Vmax sqrt((R / r)^B exp(1 - (R / r)^B)): highest at the radius R, doi:10.1175/1520-0493(1980)108<1212:AAMOTW>
    2.0.CO;2. ``distance`` and ``radius`` in one unit; ``peakedness`` is B, 1 to 2.5.
    """
    ratio = (radius / np.maximum(distance, 1e-3 * radius)) ** peakedness
    return np.asarray(highest * np.sqrt(ratio * np.exp(np.maximum(1 - ratio, -700))))


def hurricane(
    xy: Floats,
    rng: np.random.Generator,
    *,
    bounds: Bounds,
    highest: float,
    radius: float,
    centre: tuple[float, float],
    peakedness: float = 1.4,
    northern: bool = True,
) -> Gusts:
    """Highest gusts at points (n, 2) with a hurricane's middle at ``centre``, where it comes nearest; local metres.

    Winds of :func:`holland`, taken for means of a minute over land, times the gust factor, times a gustiness that
    neighbours share (:func:`gustiness`). They circle anticlockwise in the north and turn inwards by 20 degrees.

    Args:
        xy: of the places.
        rng: draws the gustiness.
        bounds: of the city, see :func:`mage.scenes.hazards.shaking.correlated`.
        highest: wind at the radius of the highest winds, m/s.
        radius: of the highest winds, metres.
        centre: (x, y).
        peakedness: Holland's B.
        northern: hemisphere.
    """
    away = xy - np.asarray(centre)
    mean = holland(np.hypot(away[:, 0], away[:, 1]), highest, radius, peakedness)
    round_ = np.arctan2(away[:, 1], away[:, 0]) + (np.pi / 2 + INFLOW) * (1 if northern else -1)
    return Gusts(mean * GUST_FACTOR * gustiness(xy, rng, bounds), np.mod(round_, 2 * np.pi))


def gustiness(xy: Floats, rng: np.random.Generator, bounds: Bounds) -> Floats:
    """Lognormal factors (n,) of median 1 that are alike within a few hundred metres."""
    return np.asarray(np.exp(SPREAD * correlated(xy, REACH, rng, bounds)))


def rankine(distance: Floats, highest: float, core: float) -> Floats:
    """Wind speed (n,) around a Rankine vortex: V r / R inside the core's radius R, V R / r outside it."""
    ratio = distance / core
    return np.asarray(highest * np.minimum(ratio, 1 / np.maximum(ratio, 1e-12)))


def tornado(
    xy: Floats,
    *,
    highest: float,
    core: float,
    through: tuple[float, float],
    heading: float,
    forward: float,
    length: float,
    northern: bool = True,
) -> Gusts:
    """Highest wind at points (n, 2) while a vortex passes along a straight track; local metres.

    A Rankine vortex, its winds turned inwards by 20 degrees, that carries the air around it along: the forward speed is
    added in the measure of the vortex's own wind, so that it adds up on the right of the track (in the north) and is
    nothing far away. The highest wind on the core's radius is ``highest``.

    Args:
        xy: of the places.
        highest: m/s, forward speed included.
        core: radius of the highest winds, metres.
        through: middle of the track.
        heading: of the track, radians anticlockwise from east.
        forward: speed along the track, m/s.
        length: of the track, metres.
        northern: hemisphere.
    """
    if not 0 <= forward < highest:
        raise HazardError(
            "a vortex slower than it travels", expected=f"winds above {forward:g} m/s", found=f"{highest:g}"
        )
    along = np.array([math.cos(heading), math.sin(heading)])
    speed, to = np.zeros(len(xy)), np.zeros(len(xy))
    away = xy - np.asarray(through)
    for place in _passed(away @ along, away @ [-along[1], along[0]], core, length):
        wind = _around(away - place[:, None] * along, highest - forward, core, northern)
        wind += forward * along * np.minimum(np.hypot(*wind.T) / (highest - forward), 1)[:, None]
        now = np.hypot(wind[:, 0], wind[:, 1])
        stronger = now > speed
        speed = np.where(stronger, now, speed)
        to = np.where(stronger, np.arctan2(wind[:, 1], wind[:, 0]), to)
    return Gusts(speed, np.mod(to, 2 * np.pi))


def _passed(along: Floats, aside: Floats, core: float, length: float) -> Iterator[Floats]:
    """Places (n,) of a vortex on its track, metres from its middle, near each of n points.

    Those where a point lies on the core's radius are among them: the wind peaks there.

    Args:
        along: (n,) of the points, metres along the track from its middle.
        aside: (n,) metres from the track.
        core: radius in metres.
        length: of the track, metres.
    """
    around = np.maximum(core, np.abs(aside))
    edge = np.sqrt(np.maximum(core**2 - aside**2, 0))
    for off in (-edge, edge, *(turn * around for turn in np.linspace(-STRETCH, STRETCH, STEPS))):
        yield np.clip(along + off, -length / 2, length / 2)


def _around(away: Floats, highest: float, core: float, northern: bool) -> Floats:
    """Wind (n, 2) of a vortex that stands still, at places (n, 2) relative to its middle."""
    turn = np.arctan2(away[:, 1], away[:, 0]) + (np.pi / 2 + INFLOW) * (1 if northern else -1)
    speed = rankine(np.hypot(away[:, 0], away[:, 1]), highest, core)
    return speed[:, None] * np.column_stack([np.cos(turn), np.sin(turn)])
