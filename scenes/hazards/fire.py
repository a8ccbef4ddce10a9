"""Fire: who burns, who is burning and who still stands at the moment of the image."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from mage.scenes.city import City
from mage.scenes.errors import HazardError
from mage.scenes.hazards.fuel import PATCHES, Dryness, draw_fuel
from mage.scenes.hazards.spread import LICK, Arrival, Wind, spread
from mage.scenes.parts import STRONGEST, FirePart
from mage.scenes.sources.ground.relief import undulation, within
from mage.scenes.strike import Burn, Stand, Strike, untouched

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

BURNING = (40.0, 120.0)  # minutes that a building burns, drawn evenly
STAGES = np.array([1 / 3, 2 / 3, 1.0])  # shares of that time at which the grade rises
RESISTANT_LOSS = 0.8  # of a resistant building's value: the shell stands
LOW, HIGH = 0.2, 0.66  # severity from which a tree is scorched, and from which it is burnt
ISLANDS = 0.12  # of the ground that fire has passed over is left green
GLOWS = 8.0  # minutes in which ground that the fire has come to burns down to a third (assumed)
AT_WALLS = 0.85  # least severity of the ground at a building that has caught fire


def fire(
    city: City,
    ignitions: ArrayLike,
    wind_speed: float,
    wind_from: float,
    minutes: float,
    rng: np.random.Generator,
    *,
    dryness: Dryness | None = None,
    brands: float = 0.5,
) -> Strike:
    """A fire ``minutes`` after it started; ``intensity`` is the arrival in minutes, infinite where it never comes.

    A building burns for 40-120 minutes, drawn evenly; its grade is 2, 3 or 4 in the thirds of that time and 5 when
    burnt out (roof gone, walls and chimneys left); one of a resistant building 1, 2, 3 and 4. ``p_grade`` is the
    probability of each under that draw, given the arrival. ``loss`` is the share of the time that has passed, of
    0.8 for resistant buildings. The roof's covering goes at the same rate and its decking in the second half; a
    resistant one loses half its covering and no deck. ``direction`` is down-wind and no ``collapse`` is given:
    a burnt building is told by ``burn``.

    Ground that the fire has passed over has a severity of 0.3-1 by noise, at burnt buildings at least 0.85, with green
    islands; trees are burnt above 0.66 and scorched above 0.2. It burns (``front``) with 1 when the fire comes and with
    1 / e of that 8 minutes later.

    Args:
        city: completed.
        ignitions: (n, 2) local metres; each starts in what burns nearest to it. None at all gives no fire.
        wind_speed: m/s at 10 m.
        wind_from: radians anticlockwise from east that the wind comes from.
        minutes: from ignition to the image.
        rng: draws what resists and is dry, brands, times and patterns.
        dryness: shares of what burns; the default is :class:`Dryness`.
        brands: see :func:`mage.scenes.hazards.spread.spread`.

    Raises:
        HazardError: no terrain, nothing that burns, or a number out of range.
    """
    _check(wind_speed, wind_from, minutes, brands)
    fuel_rng, brand_rng, time_rng, ground_rng = rng.spawn(4)
    fuel = draw_fuel(city, fuel_rng, dryness or Dryness())
    wind = Wind(float(wind_speed), float(wind_from))
    points = np.asarray(ignitions, float).reshape(-1, 2)
    arrival = spread(city, fuel, points, wind, brand_rng, brands=brands)
    possible, severity = _severity(ground_rng, city, arrival, minutes)
    since = minutes - arrival.ground
    lasts = time_rng.uniform(*BURNING, len(city.buildings))
    parameters = {
        "ignitions": len(points),
        "wind_speed": wind.speed,
        "wind_from": wind.comes_from,
        "minutes": float(minutes),
    }
    return replace(
        _burnt(untouched(city, "fire", parameters), fuel.resistant, minutes - arrival.buildings, lasts),
        intensity=arrival.buildings,
        direction=np.full(len(city.buildings), math.remainder(wind.heading, math.tau)),
        trees=_trees(city, arrival, possible, minutes),
        severity=severity,
        front=np.where((possible > 0) & (since >= 0), np.exp(-np.maximum(since, 0) / GLOWS), 0.0),
    )


def sample_fire(rng: np.random.Generator, city: City, part: FirePart) -> Strike:
    """A fire whose wind, time, ignitions and dryness are drawn from what the recipe says.

    Raises:
        HazardError: as :func:`fire`, or fires that start in buildings where there are none.
    """
    speed, minutes = rng.uniform(*part.wind), rng.uniform(*part.minutes)
    comes_from = rng.uniform(-math.pi, math.pi)
    resistant, spared, crowns, cured = (
        float(rng.uniform(*span)) for span in (part.resistant, part.spared, part.crowns, part.cured)
    )
    dryness = Dryness(resistant, spared, crowns, cured, dict(part.styles))
    points = _ignitions(rng, city, part, comes_from)
    return fire(city, points, float(speed), float(comes_from), float(minutes), rng, dryness=dryness, brands=part.brands)


def _check(wind_speed: float, wind_from: float, minutes: float, brands: float) -> None:
    for name, value, highest in (
        ("wind speed", wind_speed, STRONGEST),
        ("number of minutes", minutes, math.inf),
        ("number of brands", brands, 100.0),
    ):
        if not 0 <= value <= highest or math.isinf(value):
            raise HazardError(f"a fire with no such {name}", expected=f"0 to {highest:g}", found=f"{value}")
    if not math.isfinite(wind_from):
        raise HazardError("a fire needs a wind direction", expected="radians from east", found=f"{wind_from}")


def _ignitions(rng: np.random.Generator, city: City, part: FirePart, comes_from: float) -> Floats:
    """Points (n, 2): in buildings of the view, or on the side of the terrain that the wind comes from."""
    if part.start == "upwind":
        west, south, east, north = city.ground.bounds
        middle, radius = np.array([(west + east) / 2, (south + north) / 2]), math.hypot(east - west, north - south) / 2
        turn = comes_from + rng.uniform(-0.6, 0.6, part.ignitions)
        far = middle + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        return np.clip(far, (west, south), (east, north))
    if not city.buildings:
        raise HazardError(f"the city {city.name} has no buildings for a fire to start in", expected="a building")
    inside = shapely.points(shapely.get_coordinates(shapely.point_on_surface([b.footprint for b in city.buildings])))
    view = np.flatnonzero(shapely.within(inside, shapely.box(*city.bounds)))
    among = view if len(view) else np.arange(len(inside))
    chosen = rng.choice(among, min(part.ignitions, len(among)), replace=False)
    return shapely.get_coordinates(inside[chosen])


def _burnt(strike: Strike, resistant: NDArray[np.bool_], elapsed: Floats, lasts: Floats) -> Strike:
    """State, grade, loss and roof of buildings ``elapsed`` minutes after they caught fire (negative: not yet)."""
    reached = elapsed >= 0
    progress = np.where(reached, np.clip(elapsed / lasts, 0.0, 1.0), 0.0)
    stage = np.searchsorted(STAGES, progress, side="right")
    burn = np.where(progress >= 1, Burn.BURNT, Burn.BURNING)
    soft = np.where(resistant, 0.0, 1.0)
    return replace(
        strike,
        burn=np.where(reached, burn, Burn.NONE).astype(np.uint8),
        ems98=np.where(reached, stage + 2 - resistant, 0).astype(np.uint8),
        p_grade=_p_grade(resistant, elapsed),
        loss=progress * np.where(resistant, RESISTANT_LOSS, 1.0),
        covering_lost=progress * (0.5 + 0.5 * soft),
        deck_lost=np.clip(2 * progress - 1, 0.0, 1.0) * soft,
    )


def _p_grade(resistant: NDArray[np.bool_], elapsed: Floats) -> Floats:
    """Probability of each grade (b, 6) over the draw of how long a building burns.

    It is past the share s of its time when that lasts at most elapsed / s.
    """
    reached = elapsed >= 0
    low, high = BURNING
    past = np.clip((np.where(reached, elapsed, 0.0)[:, None] / STAGES - low) / (high - low), 0.0, 1.0)
    stages = -np.diff(past, axis=1, prepend=1.0, append=0.0)  # (b, 4): in each third of its time, and burnt out
    p = np.zeros((len(elapsed), 6))
    rows = np.arange(len(elapsed))
    for stage in range(4):
        p[rows, stage + 2 - resistant] = stages[:, stage]
    p[~reached] = np.eye(6)[0]
    return p


def _severity(rng: np.random.Generator, city: City, arrival: Arrival, minutes: float) -> tuple[Floats, Floats]:
    """Burn severity (rows, columns) that fire leaves wherever it comes by, 0 on its green islands; and the ground's."""
    terrain = city.ground
    noise = undulation(rng, terrain, PATCHES, 0.4)
    fine = undulation(rng, terrain, (6.0,), 0.15)
    passed = arrival.ground <= minutes
    green = noise < np.quantile(noise[passed] if passed.any() else noise, ISLANDS)
    possible = np.where(green, 0.0, np.clip(0.65 + noise + fine, 0.3, 1.0))
    alight = [b.footprint for b, m in zip(city.buildings, arrival.buildings, strict=True) if m <= minutes]
    near = within(terrain, [shape.buffer(LICK, quad_segs=2) for shape in alight])
    possible = np.where(near, np.maximum(possible, AT_WALLS), possible)
    return possible, np.where(passed | near, possible, 0.0)


def _trees(city: City, arrival: Arrival, possible: Floats, minutes: float) -> Bytes:
    """State (t,) of the trees that the fire has reached, by the severity that it leaves there.

    Not by the ground's own: a crown between the terrain's vertices burns where no vertex does.
    """
    there = city.ground.sample(city.trees.xy, possible)
    state = np.select([there > HIGH, there > LOW], [Stand.BURNT, Stand.SCORCHED], Stand.STANDING)
    return np.where(arrival.trees <= minutes, state, Stand.STANDING).astype(np.uint8)
