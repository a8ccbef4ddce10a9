"""Damage scales. EMS-98 is stored; every published scale is derived from it here and nowhere else.

The crosswalk for shaking and wind follows the wording of the scales themselves (EMS-98: Gruenthal 1998; Joint Damage
Scale: Gupta et al. 2019, xBD; HAZUS 6.1; BRIGHT: Chen et al. 2025; Copernicus EMS rapid mapping ``damage_gra``). It is
a proposal of this project, made because no published one exists.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Grades = NDArray[np.uint8]


class Ems98(IntEnum):
    """European Macroseismic Scale 1998, grades of structural damage."""

    NONE = 0
    SLIGHT = 1
    MODERATE = 2
    SUBSTANTIAL = 3
    VERY_HEAVY = 4
    DESTRUCTION = 5


class Jds(IntEnum):
    """Joint Damage Scale of xBD, as stored per building; label rasters hold the value plus 1, with 0 for background."""

    NO_DAMAGE = 0
    MINOR = 1
    MAJOR = 2
    DESTROYED = 3


JDS_NAMES = ("no-damage", "minor-damage", "major-damage", "destroyed")

# Water in contact with this share of the outline counts as touching, and as surrounding. xBD's guide says "water
# surrounding the structure"; the shares are ours: a tenth is what an analyst can make out at 0.5 m on a house of 10 m.
TOUCHING, SURROUNDING = 0.1, 0.75


def jds_of_flood(wet_share: NDArray[np.float64], roof_covered: NDArray[np.float64]) -> Grades:
    """Joint Damage Scale of buildings in water, uint8 (n,).

    Args:
        wet_share: (n,) share of each outline with water at it.
        roof_covered: (n,) share of each roof that lies under water.

    Water touching the structure is minor, surrounding it is major, a roof at least half under water is destroyed.
    """
    grade = np.zeros(len(wet_share), np.uint8)
    grade[wet_share >= TOUCHING] = Jds.MINOR
    grade[wet_share >= SURROUNDING] = Jds.MAJOR
    grade[roof_covered >= 0.5] = Jds.DESTROYED
    return grade


def jds_of_structure(visible: Grades) -> Grades:
    """Joint Damage Scale from the nadir-visible EMS-98 grade, for shaking and wind: 0-2, 3, 4, 5 -> 0, 1, 2, 3."""
    return np.asarray([0, 0, 0, 1, 2, 3], np.uint8)[visible]


def jds_of_fire(burn: NDArray[np.uint8], deck_lost: NDArray[np.float64]) -> Grades:
    """Joint Damage Scale of buildings in a fire, uint8 (n,).

    Args:
        burn: (n,) 0 not burning, 1 burning, 2 burnt.
        deck_lost: (n,) share of each roof that has burnt through.

    xBD's guide takes a partly burnt structure for minor damage, one whose roof fails in part for major, one that is
    burnt for destroyed.
    """
    grade = np.asarray([Jds.NO_DAMAGE, Jds.MINOR, Jds.DESTROYED], np.uint8)[burn]
    grade[(burn == 1) & (deck_lost > 0)] = Jds.MAJOR
    return grade


def jds_of_roof(burn: NDArray[np.uint8], deck_lost: NDArray[np.float64], structure: Grades) -> Grades:
    """Joint Damage Scale by roofs alone, uint8 (n,), as annotators of Ida-BD graded: the worse of what fire has done
    and of ``structure``, that of :func:`jds_of_structure`; water around a house does not count.
    """
    return np.asarray(np.maximum(jds_of_fire(burn, deck_lost), structure), np.uint8)


def bright_of_roof(jds: Grades) -> Grades:
    """BRIGHT's classes from a grade by roofs alone: no damage is 1, intact; minor and major are 2; destroyed is 3."""
    return np.asarray([1, 2, 2, 3], np.uint8)[jds]


def jds_as_recorded(jds: Grades, visible: Grades, burn: Grades, flooded: bool) -> Grades:
    """Joint Damage Scale by roofs alone, uint8 (n,), as far as the records of a sample tell it.

    Args:
        jds: (n,) of the record.
        visible: (n,) nadir-visible EMS-98 grade of the record.
        burn: (n,) 0 not burning, 1 burning, 2 burnt.
        flooded: whether water is among the hazards; without it ``jds`` is by roofs already.

    Where water is, a burning roof counts as minor damage even if part of it has failed, which no record says; the
    scales that are derived from this (:func:`bright_of_roof`, :func:`cems_of_roof`) do not tell minor from major.
    """
    if not flooded:
        return jds
    roof = jds_of_roof(burn, np.zeros(len(burn)), jds_of_structure(visible))
    return np.where(jds == Jds.DESTROYED, jds, roof).astype(np.uint8)


# From the classes of labelled sets back to the Joint Damage Scale. BRIGHT's "damaged" (2) is minor or major; it counts
# as major, next to what other sets call destroyed, since BRIGHT's 2 joins what analysts map as damaged. Use
# bright_of_roof where nothing may be guessed.
JDS_OF_BRIGHT = {1: Jds.NO_DAMAGE, 2: Jds.MAJOR, 3: Jds.DESTROYED}
# RescueNet (Rahnemoonfar et al. 2023) grades roofs: no damage, minor, major, total destruction.
JDS_OF_RESCUENET = {2: Jds.NO_DAMAGE, 3: Jds.MINOR, 4: Jds.MAJOR, 5: Jds.DESTROYED}
# FloodNet (Rahnemoonfar et al. 2021) calls a building flooded that water touches on one side: xBD's minor damage.
JDS_OF_FLOODNET = {1: Jds.MINOR, 2: Jds.NO_DAMAGE}


def bright(visible: Grades) -> Grades:
    """BRIGHT's classes: 1 intact, 2 damaged, 3 destroyed."""
    return np.asarray([1, 1, 1, 2, 2, 3], np.uint8)[visible]


def hazus(ems98: Grades) -> list[str]:
    """HAZUS damage states."""
    names = ("None", "Slight", "Moderate", "Extensive", "Complete", "Complete with collapse")
    return [names[g] for g in ems98]


def cems(visible: Grades) -> list[str]:
    """Copernicus EMS ``damage_gra``; uncertainty ("Possibly damaged") is the mapper's to add, not a grade's."""
    names = ("No visible damage",) * 3 + ("Damaged", "Damaged", "Destroyed")
    return [names[g] for g in visible]


def cems_of_roof(jds: Grades, wet_share: NDArray[np.float64], hidden: NDArray[np.bool_]) -> list[str]:
    """Copernicus EMS ``damage_gra`` of buildings as an analyst of one image after would give it.

    Args:
        jds: (n,) Joint Damage Scale by roofs alone.
        wet_share: (n,) share of each outline with water at it.
        hidden: (n,) whether cloud hides it.

    What the roof shows is as :func:`cems` has it. A whole roof in water is "Possibly damaged", since water at the walls
    is a sign of damage that is not seen itself.
    """
    names = ("No visible damage", "Damaged", "Damaged", "Destroyed")
    wet = (jds == Jds.NO_DAMAGE) & (wet_share >= TOUCHING)
    found = ["Possibly damaged" if w else names[g] for g, w in zip(jds, wet, strict=True)]
    return ["Not Analysed" if h else name for name, h in zip(found, hidden, strict=True)]


def cems_of_road(reason: str) -> str:
    """Copernicus EMS ``damage_gra`` of a road by what closes it: ``debris``, ``water``, both, or nothing.

    Debris on it is damage; under water its state is not seen.
    """
    if "debris" in reason:
        return "Damaged"
    return "Possibly damaged" if reason else "No visible damage"
