"""One disaster of several hazards: strikes combined in their order, and with the water that may stand there too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mage.scenes.aftermath import Aftermath
from mage.scenes.city import City
from mage.scenes.grades import jds_of_fire, jds_of_structure
from mage.scenes.hazards.earthquake import sample_earthquake
from mage.scenes.hazards.fire import sample_fire
from mage.scenes.hazards.plugin import sample_plugin
from mage.scenes.hazards.wind import sample_wind
from mage.scenes.impact import Impact, Shock
from mage.scenes.modifiers import road_debris
from mage.scenes.parts import EarthquakePart, FirePart, PluginPart, WindPart
from mage.scenes.strike import Burn, Collapse, Stand, Strike

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Parameters = Mapping[str, float | int | str | None]

FELT = 0.005  # of a building's value: a smaller loss is no damage done


def sample_strike(
    rng: np.random.Generator,
    city: City,
    part: EarthquakePart | WindPart | FirePart | PluginPart,
    *,
    allow_plugins: bool = False,
) -> Strike:
    """One hazard of a recipe drawn, whichever it is; raises what its own sampler does."""
    if isinstance(part, PluginPart):
        return sample_plugin(rng, city, part, allowed=allow_plugins)
    if isinstance(part, EarthquakePart):
        return sample_earthquake(rng, city, part)
    return sample_wind(rng, city, part) if isinstance(part, WindPart) else sample_fire(rng, city, part)


def chained(strikes: Sequence[Strike]) -> Strike:
    """Strikes on one city, in order, as one.

    A building keeps the worst grade and its probabilities, and the way of failing of the worst hazard that made it
    fail; its roof has lost what the worst of them took, and what is left of its value is what each left of it.
    A felled tree stays felled unless it burns; else a later state takes the place of an earlier one. The ground keeps
    its highest severity. ``intensity`` is that of the first hazard.

    Raises:
        ValueError: no strike at all.
    """
    if not strikes:
        raise ValueError("a chain needs a strike")
    result = strikes[0]
    for strike in strikes[1:]:
        result = _followed(result, strike)
    if len(strikes) == 1:
        return result
    named = {f"{s.hazard}_{name}": value for s in strikes for name, value in s.parameters.items()}
    return replace(result, hazard="-".join(s.hazard for s in strikes), parameters=named)


def combined(
    city: City, strikes: Sequence[Strike], strike: Strike, aftermath: Aftermath, flood: Impact | None = None
) -> Impact:
    """The impact of a chain.

    ``visible``, ``jds`` and the roads are right where ``aftermath`` holds the buildings: of those that it was not asked
    for, nothing is seen.

    Args:
        city: completed.
        strikes: each hazard's, in order.
        strike: all of them, see :func:`chained`.
        aftermath: the geometry that it leaves.
        flood: the water that stands there too.
    """
    debris, free, car_stopped, truck_stopped = road_debris(city, aftermath)
    none, dry = np.zeros(len(city.buildings)), np.full(city.ground.heights.shape, np.nan)
    car_drowned, truck_drowned = (np.zeros(len(debris), bool),) * 2 if flood is None else (~flood.car, ~flood.truck)
    water = car_drowned | truck_drowned
    rubble = car_stopped | truck_stopped
    jds = jds_of(strikes, strike, aftermath)
    return Impact(
        hazard="-".join(dict.fromkeys([*(s.hazard for s in strikes), *([] if flood is None else ["flood"])])),
        parameters=_parameters(strikes, strike, flood),
        intensity=none if flood is None else flood.intensity,
        p_grade=strike.p_grade,
        ems98=strike.ems98,
        visible=aftermath.visible,
        jds=jds if flood is None else np.maximum(jds, flood.jds),
        loss=strike.loss if flood is None else _both_lost(strike.loss, flood.loss),
        wet_share=none if flood is None else flood.wet_share,
        levels=dry if flood is None else flood.levels,
        road_depth=np.zeros(len(debris)) if flood is None else flood.road_depth,
        car=~(car_stopped | car_drowned),
        truck=~(truck_stopped | truck_drowned),
        highest=dry if flood is None else flood.highest,
        at_image=none if flood is None else flood.at_image,
        road_at_image=np.zeros(len(debris)) if flood is None else flood.road_at_image,
        velocity=None if flood is None else flood.velocity,
        speed=None if flood is None else flood.speed,
        causes=_causes([*((s.hazard, _harmed(s)) for s in strikes), *_drowned(flood)], len(city.buildings)),
        reasons=tuple(_REASONS[int(w) + 2 * int(d)] for w, d in zip(water, rubble, strict=True)),
        shock=Shock(strike, _intensities(strikes), aftermath, debris, free),
    )


_REASONS = ("", "water", "debris", "water and debris")


def told(flood: Impact) -> Impact:
    """A flood alone with its causes and reasons."""
    return replace(
        flood,
        causes=_causes(_drowned(flood), len(flood.jds)),
        reasons=tuple(_REASONS[int(not (c and t))] for c, t in zip(flood.car, flood.truck, strict=True)),
    )


def _followed(first: Strike, then: Strike) -> Strike:
    worse = then.ems98 > first.ems98
    failed = then.collapse != Collapse.NONE
    fails = failed & (worse | (first.collapse == Collapse.NONE))
    # where neither brings a building down, what the later one sheds goes the later one's way
    turned = fails | (~failed & (first.collapse == Collapse.NONE) & (then.ems98 > 0))
    felled = (first.trees == Stand.FELLED) & (then.trees != Stand.BURNT)
    changed = (then.trees != Stand.STANDING) & ~felled
    return replace(
        first,
        p_grade=np.where(worse[:, None], then.p_grade, first.p_grade),
        ems98=np.maximum(first.ems98, then.ems98),
        loss=_both_lost(first.loss, then.loss),
        collapse=np.where(fails, then.collapse, first.collapse).astype(np.uint8),
        direction=np.where(turned, then.direction, first.direction),
        covering_lost=np.maximum(first.covering_lost, then.covering_lost),
        deck_lost=np.maximum(first.deck_lost, then.deck_lost),
        swept=first.swept | then.swept,
        tarped=first.tarped | then.tarped,
        burn=np.maximum(first.burn, then.burn),
        trees=np.where(changed, then.trees, first.trees).astype(np.uint8),
        tree_heading=np.where(changed & (then.trees == Stand.FELLED), then.tree_heading, first.tree_heading),
        severity=np.maximum(first.severity, then.severity),
        front=np.maximum(first.front, then.front),
    )


def _both_lost(first: Floats, then: Floats) -> Floats:
    """Share lost when the second takes its share of what the first has left."""
    return np.asarray(1.0 - (1.0 - first) * (1.0 - then))


def jds_of(strikes: Sequence[Strike], strike: Strike, aftermath: Aftermath) -> NDArray[np.uint8]:
    """Joint Damage Scale (b,) of a chain, water apart: by what is seen of shaking and wind, and by how far a building
    has burnt; the worse of the two. Arguments, and for whom it is right, as of :func:`combined`.
    """
    grade = jds_of_fire(strike.burn, strike.deck_lost)
    if any(s.hazard != "fire" for s in strikes):
        grade = np.maximum(grade, jds_of_structure(aftermath.visible))
    return grade


def _harmed(strike: Strike) -> Flags:
    return (strike.ems98 > 0) | (strike.loss > FELT) | (strike.burn != Burn.NONE)


def _drowned(flood: Impact | None) -> list[tuple[str, Flags]]:
    return [] if flood is None else [("flood", (flood.jds > 0) | (flood.loss > FELT))]


def _causes(harm: Sequence[tuple[str, Flags]], count: int) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(dict.fromkeys(name for name, harmed in harm if harmed[i])) for i in range(count))


def _intensities(strikes: Sequence[Strike]) -> dict[str, Floats]:
    """The highest of each hazard, or of fires the first to arrive."""
    found: dict[str, Floats] = {}
    for s in strikes:
        if s.hazard in ("flood", "camp"):  # a depth has a place of its own, and a camp strikes nothing
            continue
        worst = np.minimum if s.hazard == "fire" else np.maximum
        found[s.hazard] = worst(found[s.hazard], s.intensity) if s.hazard in found else s.intensity
    return found


def _parameters(strikes: Sequence[Strike], strike: Strike, flood: Impact | None) -> Parameters:
    if flood is None:
        return strike.parameters
    if all(s.hazard == "flood" for s in strikes):
        return flood.parameters
    return {**strike.parameters, **{f"flood_{name}": value for name, value in flood.parameters.items()}}
