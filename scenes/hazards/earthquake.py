"""Earthquake: shaking to grades by fragility, and grades to ways of failing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.scenes.city import City
from mage.scenes.errors import HazardError
from mage.scenes.hazards.fragility import (
    Bytes,
    drawn_grades,
    grade_probabilities,
    loss_of,
    prepared,
    tables,
)
from mage.scenes.hazards.shakemap import read_shakemap
from mage.scenes.hazards.shaking import Event, shaken
from mage.scenes.hazards.structures import Structures, building_places, draw_structures
from mage.scenes.parts import EarthquakePart, Mode
from mage.scenes.strike import Collapse, Strike, untouched

Floats = NDArray[np.float64]

JITTER = 0.25  # radians that a fall differs from the direction across the longer side


def earthquake(
    city: City,
    pga: Floats,
    rng: np.random.Generator,
    *,
    explicit: bool,
    structures: Structures | None = None,
    mode: Mode = "physical",
    shares: Sequence[float] | None = None,
) -> Strike:
    """What peak ground accelerations do to a completed city's buildings.

    Grades are drawn from the fragility of each building's structure. With the same ``rng`` a stronger shaking never
    lowers a grade. How a building fails is drawn by its grade, structure, storeys and slenderness (``failures`` in
    ``assets/fragility.yaml``); where to, across its longer side.

    Args:
        city: completed.
        pga: (b,) g at each building.
        rng: spawns three generators: structures, grades and failures.
        explicit: whether ``pga`` holds the drawn variability of the shaking, or is a median map.
        structures: of the buildings; drawn where None.
        mode: see :func:`mage.scenes.hazards.fragility.prepared`.
        shares: of grades, for the mode ``random``.

    Raises:
        HazardError: not one finite acceleration of 0 or more for each building, or a mode that cannot be.
    """
    pga = np.asarray(pga, float)
    if pga.shape != (len(city.buildings),) or not np.isfinite(pga).all() or (pga < 0).any():
        raise HazardError(
            "no acceleration for each building",
            expected=f"{len(city.buildings)} finite numbers, 0 or more",
            found=f"an array of {pga.shape}",
        )
    structure_rng, grade_rng, failure_rng = rng.spawn(3)
    structures = structures or draw_structures(city, structure_rng)
    physical = grade_probabilities(pga, structures.rows, explicit=explicit)
    p_grade = prepared(physical, mode, shares)
    grades = drawn_grades(p_grade, grade_rng.random(len(pga)))
    short = _shorter_sides(city)
    slenderness = np.array([b.height for b in city.buildings]) / np.maximum(np.hypot(*short.T), 1e-9)
    collapse, covering_lost = _failures(grades, structures, slenderness, failure_rng)
    return replace(
        untouched(city, "earthquake", {"mode": mode, "explicit": int(explicit)}),
        intensity=pga,
        p_grade=p_grade,
        ems98=grades,
        loss=loss_of(grades, [b.occupancy for b in city.buildings]),
        collapse=collapse,
        covering_lost=covering_lost,
        direction=_across(short, failure_rng),
    )


def sample_earthquake(rng: np.random.Generator, city: City, part: EarthquakePart) -> Strike:
    """An earthquake drawn from a recipe's ranges, or a ShakeMap's shaking, and what it does.

    The azimuth of the epicentre and the strike of the rupture are drawn as well. A ShakeMap counts as a median map;
    drawn shaking has its variability explicit.

    Raises:
        HazardError: as :func:`earthquake`, or a ShakeMap that cannot be used.
    """
    event_rng, motion_rng, strike_rng = rng.spawn(3)
    xy = building_places(city)
    if part.shakemap is not None:
        pga = read_shakemap(Path(part.shakemap), xy, city)
        named: dict[str, float | int | str | None] = {"shakemap": Path(part.shakemap).name}
    else:
        event, named = _drawn_event(event_rng, city, part)
        pga = shaken(xy, event, motion_rng, city.bounds)
    strike = earthquake(city, pga, strike_rng, explicit=part.shakemap is None, mode=part.mode, shares=part.shares)
    return replace(strike, parameters={**strike.parameters, **named})


def _drawn_event(
    rng: np.random.Generator, city: City, part: EarthquakePart
) -> tuple[Event, dict[str, float | int | str | None]]:
    magnitude, distance, depth, vs30 = (
        float(rng.uniform(*span)) for span in (part.magnitude, part.distance, part.depth, part.vs30)
    )
    azimuth, strike = (float(turn) for turn in rng.uniform(0, 2 * np.pi, 2))
    west, south, east, north = city.bounds
    epicentre = (
        (west + east) / 2 + 1000 * distance * np.cos(azimuth),
        (south + north) / 2 + 1000 * distance * np.sin(azimuth),
    )
    event = Event(magnitude, depth, epicentre, strike, part.mechanism, vs30, part.clustered)
    named = {"magnitude": magnitude, "distance_km": distance, "depth_km": depth, "vs30": vs30}
    return event, {**named, "azimuth": azimuth, "strike": strike, "mechanism": part.mechanism}


def _failures(
    grades: Bytes, structures: Structures, slenderness: Floats, rng: np.random.Generator
) -> tuple[Bytes, Floats]:
    """How each building fails (b,), a Collapse, and the share of its roof's covering that it sheds (b,)."""
    table = tables()["earthquake"]
    chance = rng.random((len(grades), 2))
    collapse = np.zeros(len(grades), np.uint8)
    groups = np.array(structures.groups, object)
    levels = np.minimum(structures.storeys, max(table["least_storeys"].values()))
    steps = np.unique([0.0, *table["least_slenderness"].values()])
    slender = steps[np.searchsorted(steps, slenderness, side="right") - 1]
    for grade, by_group in table["failures"].items():
        for group, weights in by_group.items():
            those = (grades == grade) & (groups == group)
            for storeys, flat, slim in product(np.unique(levels), (False, True), steps):
                alike = (levels == storeys) & (structures.flat == flat) & (slender == slim)
                some = np.flatnonzero(those & alike)
                collapse[some] = _picked(_possible(weights, int(storeys), float(slim), flat=flat), chance[some, 0])
    collapse[(collapse == Collapse.TILES) & structures.flat] = Collapse.NONE  # a flat roof has none to shed
    least, most = table["tiles_shed"]
    covering = np.where(collapse == Collapse.TILES, least + (most - least) * chance[:, 1], 0.0)
    return collapse, covering


def _possible(weights: Mapping[str, float], storeys: int, slenderness: float, *, flat: bool) -> Mapping[str, float]:
    """The weights of the ways in which a building of so many storeys and so slender can fail; a flat roof has no
    gables.
    """
    table = tables()["earthquake"]
    least: Mapping[str, int] = table["least_storeys"]
    slimmest: Mapping[str, float] = table["least_slenderness"]
    return {
        name: weight
        for name, weight in weights.items()
        if storeys >= least.get(name, 1) and slenderness >= slimmest.get(name, 0.0) and not (flat and name == "gable")
    }


def _picked(weights: Mapping[str, float], chance: Floats) -> Any:
    edges = np.cumsum(list(weights.values()))
    codes = np.array([Collapse[name.upper()] for name in weights], np.uint8)
    return codes[np.searchsorted(edges / edges[-1], chance, side="right")]


def _shorter_sides(city: City) -> Floats:
    """The shorter side (b, 2) of each footprint's smallest rectangle, a vector in metres."""
    boxes = shapely.oriented_envelope(np.array([b.footprint for b in city.buildings], dtype=object))
    corners, owner = shapely.get_coordinates(boxes, return_index=True)
    first = np.searchsorted(owner, np.arange(len(boxes)))
    one, two = corners[first + 1] - corners[first], corners[first + 2] - corners[first + 1]
    return np.where((np.hypot(*one.T) < np.hypot(*two.T))[:, None], one, two)


def _across(short: Floats, rng: np.random.Generator) -> Floats:
    """Direction that each building falls to (b,): along its shorter side (b, 2), either way."""
    chance = rng.random((len(short), 2))
    turn = np.arctan2(short[:, 1], short[:, 0]) + np.pi * (chance[:, 0] < 0.5)
    return np.asarray(np.mod(turn + JITTER * (2 * chance[:, 1] - 1), 2 * np.pi))
