"""Wind: gusts of a hurricane or tornado to lost coverings, decks, roofs and houses, and to felled trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from mage.scenes.city import City
from mage.scenes.errors import HazardError
from mage.scenes.hazards.fragility import Bytes, drawn_grades, prepared, shares_of, tables
from mage.scenes.hazards.gusts import Gusts, hurricane, tornado
from mage.scenes.hazards.resistance import GRADE_STATES, STATES, lognormal, lost, resistance_of
from mage.scenes.hazards.structures import Structures, building_places, draw_structures
from mage.scenes.parts import Mode, WindPart
from mage.scenes.strike import Collapse, Stand, Strike, untouched

Floats = NDArray[np.float64]

CONIFER = 1  # the species that is one
JITTER = 0.2  # radians that a tree falls beside the wind, one standard deviation


# Assumed. The EF scale's degrees of damage are of tornadoes, and houses bear more in the same gusts of a hurricane: the
# range of its speeds is low for that reason, so that most roofs lose patches and few are gone.
_RANGES = {
    "hurricane": {"speed": (18.0, 28.0), "radius": (20.0, 45.0), "distance": (15.0, 50.0)},
    "tornado": {"speed": (60.0, 95.0), "radius": (0.05, 0.2), "distance": (0.0, 0.2)},
}


def wind(
    city: City,
    gusts: Gusts,
    trees: Gusts,
    rng: np.random.Generator,
    *,
    structures: Structures | None = None,
    days_after: int = 0,
    mode: Mode = "physical",
    shares: Sequence[float] | None = None,
) -> Strike:
    """What gusts do to a completed city's buildings and trees.

    Buildings lose first pieces of their roof's covering (grade 2), then 1 to 20 % of it (3), decking and whole roofs
    (4), at last their walls (5); timber and mobile homes can be swept from their slabs. With the same ``rng`` a
    stronger gust never lowers a grade nor what is lost.

    Args:
        city: completed.
        gusts: (b,) at the buildings.
        trees: (t,) at the trees.
        rng: spawns three generators: structures, buildings and trees.
        structures: of the buildings; drawn where None.
        days_after: days from the storm to the image.
        mode: see :func:`mage.scenes.hazards.fragility.prepared`.
        shares: of grades, for the mode ``random``.

    Raises:
        HazardError: not a gust for each building and each tree, or a mode that cannot be.
    """
    found, expected = (len(gusts.speed), len(trees.speed)), (len(city.buildings), len(city.trees))
    if found != expected:
        raise HazardError(
            "no gust for each building and tree",
            expected=f"{expected[0]} and {expected[1]}",
            found=f"{found[0]} and {found[1]}",
        )
    structure_rng, building_rng, tree_rng = rng.spawn(3)
    structures = structures or draw_structures(city, structure_rng)
    chance = building_rng.random((len(gusts.speed), 3))
    p_grade, reached = _reached(gusts.speed, structures, chance, mode, shares)
    bare = (reached >= STATES.index("covering")) & (reached < STATES.index("walls"))
    stand, heading = _felled(city, trees, tree_rng)
    return replace(
        untouched(city, "wind", {"mode": mode, "days_after": days_after}),
        intensity=gusts.speed,
        p_grade=p_grade,
        ems98=_grade_of(reached),
        loss=lost("value", reached),
        collapse=np.where(reached >= STATES.index("walls"), Collapse.HEAP, Collapse.NONE).astype(np.uint8),
        direction=gusts.heading,
        covering_lost=lost("covering", reached),
        deck_lost=lost("deck", reached),
        swept=(reached >= STATES.index("swept")) & np.isin(structures.types, tables()["wind"]["sweepable"]),
        tarped=bare & (chance[:, 2] < tarped_share(days_after)),
        trees=stand,
        tree_heading=heading,
    )


def sample_wind(rng: np.random.Generator, city: City, part: WindPart) -> Strike:
    """A storm drawn from a recipe's ranges, and what it does. Where from is drawn as well.

    Raises:
        HazardError: as :func:`wind`.
    """
    storm_rng, gust_rng, strike_rng = rng.spawn(3)
    ranges = _RANGES[part.storm]
    spans = (part.speed or ranges["speed"], part.radius or ranges["radius"], part.distance or ranges["distance"])
    speed, radius, distance, forward = (float(storm_rng.uniform(*span)) for span in (*spans, part.forward))
    azimuth = float(storm_rng.uniform(0, 2 * np.pi))
    west, south, east, north = city.bounds
    middle = np.array([(west + east) / 2, (south + north) / 2])
    aside = 1000 * distance * np.array([np.cos(azimuth), np.sin(azimuth)])
    xy, northern = np.vstack([building_places(city), city.trees.xy]), city.latitude >= 0
    place = (float(middle[0] + aside[0]), float(middle[1] + aside[1]))
    named = {"speed": speed, "radius_km": radius, "distance_km": distance, "azimuth": azimuth}
    if part.storm == "hurricane":
        field = hurricane(
            xy,
            gust_rng,
            bounds=city.bounds,
            highest=speed,
            radius=1000 * radius,
            centre=place,
            northern=northern,
        )
    else:
        length = 4 * float(np.hypot(east - west, north - south)) + 20_000 * radius
        field = tornado(
            xy,
            highest=speed,
            core=1000 * radius,
            through=place,
            heading=azimuth + np.pi / 2,
            forward=forward,
            length=length,
            northern=northern,
        )
        named["forward"] = forward
    buildings = len(city.buildings)
    strike = wind(
        city,
        field.first(buildings),
        field.after(buildings),
        strike_rng,
        days_after=part.days_after,
        mode=part.mode,
        shares=part.shares,
    )
    return replace(strike, parameters={**strike.parameters, "storm": part.storm, **named})


def tarped_share(days_after: int) -> float:
    """Share of bare roofs that tarpaulins cover so many days after the storm."""
    table = tables()["wind"]["tarpaulins"]
    return float(np.interp(days_after, table["days"], table["share"]))


def _reached(
    speed: Floats, structures: Structures, chance: Floats, mode: Mode, shares: Sequence[float] | None
) -> tuple[Floats, Floats]:
    """P(grade) (b, 6), and how far along the states each building comes (b,)."""
    resistance = resistance_of(structures)
    physical = shares_of(resistance.probabilities(speed))
    p_grade = prepared(physical, mode, shares)
    if mode == "physical":
        within = np.clip(chance[:, 0], 1e-12, 1 - 1e-12)
        return p_grade, resistance.reached(speed, within)
    grades = drawn_grades(p_grade, chance[:, 0])
    edges = np.array([0, *GRADE_STATES, len(STATES)], float)
    # anywhere within the grade, for there is no gust that would say where
    return p_grade, edges[grades] + chance[:, 1] * (edges[grades + 1] - edges[grades])


def _grade_of(reached: Floats) -> Bytes:
    return np.searchsorted(GRADE_STATES, reached, side="right").astype(np.uint8)


def _felled(city: City, gusts: Gusts, rng: np.random.Generator) -> tuple[Bytes, Floats]:
    """State of each tree (t,), a Stand, and where it lies along (t,)."""
    table = tables()["wind"]
    chance, turn = rng.random((len(city.trees), 2)), rng.standard_normal(len(city.trees))
    felled, stripped = np.zeros(len(city.trees), bool), np.zeros(len(city.trees), bool)
    for name, these in (
        ("conifer", city.trees.species == CONIFER),
        ("broadleaved", city.trees.species != CONIFER),
    ):
        for state, out in (("felled", felled), ("stripped", stripped)):
            median, spread = lognormal(np.array(table["trees"][name][state], float))
            with np.errstate(divide="ignore"):
                likely = ndtr(np.log(gusts.speed / median) / spread)
            out |= these & (chance[:, 0] < likely)
    felled &= chance[:, 1] >= table["rooted"]
    stand = np.where(felled, Stand.FELLED, np.where(stripped, Stand.STRIPPED, Stand.STANDING)).astype(np.uint8)
    return stand, np.where(felled, np.mod(gusts.heading + JITTER * turn, 2 * np.pi), 0.0)
