"""How much wind buildings and trees bear: speeds of the Enhanced Fujita scale's degrees of damage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import ndtri

from mage.scenes.hazards.fragility import Floats, exceedance, tables
from mage.scenes.hazards.structures import Structures

STATES = ("none", "visible", "pieces", "covering", "deck", "roof", "walls", "swept")
GRADE_STATES = (1, 2, 3, 4, 6)  # the states that EMS-98 grades 1 to 5 begin with
MPH = 0.44704  # m/s
_NINETY = 2 * 1.6448536269514722  # standard deviations that hold 90 % of a normal distribution


@dataclass(frozen=True, slots=True, eq=False)
class Resistance:
    """Lognormal resistance of each building (b,) to gusts.

    Attributes:
        medians: (b, 7) m/s that just bring each state from ``visible`` on; infinite where a state is out of the
            question.
        spreads: (b, 7) of their natural logarithm.
    """

    medians: Floats
    spreads: Floats

    def probabilities(self, speed: Floats) -> Floats:
        """P(grade >= 1 … 5) (b, 5) in gusts (b,) of m/s."""
        return exceedance(speed, self.medians, self.spreads)[:, [state - 1 for state in GRADE_STATES]]

    def reached(self, speed: Floats, chance: Floats) -> Floats:
        """How far along :data:`STATES` each building comes (b,), 0 to 7, in gusts (b,) of m/s.

        ``chance`` (b,) in (0, 1) is where a building stands among its like, weakest first; one stands alike for all
        states. Between the speeds that just bring two states it advances with the logarithm of the speed.
        """
        with np.errstate(over="ignore"):
            needed = np.maximum.accumulate(np.log(self.medians) + self.spreads * ndtri(chance)[:, None], axis=1)
        with np.errstate(divide="ignore"):
            given = np.log(speed)
        state = (needed <= given[:, None]).sum(axis=1)
        padded = np.column_stack([np.full(len(needed), -np.inf), needed, np.full(len(needed), np.inf)])
        at = np.arange(len(needed))
        low, high = padded[at, state], padded[at, state + 1]
        between = np.isfinite(low) & np.isfinite(high)
        part = np.zeros(len(needed))
        part[between] = (given[between] - low[between]) / (high[between] - low[between])
        return state + np.clip(part, 0, np.nextafter(1, 0))


def resistance_of(structures: Structures) -> Resistance:
    """By structure, storeys and roof; see ``wind`` in ``assets/fragility.yaml``."""
    table, kinds = tables()["wind"], _kinds()
    tall = structures.storeys >= table["tower_storeys"]
    names = [
        "tower" if high and name != "W1" else table["structures"][name]
        for name, high in zip(structures.types, tall, strict=True)
    ]
    medians = np.array([kinds[name][0] for name in names]).reshape(-1, 7)
    spreads = np.array([kinds[name][1] for name in names]).reshape(-1, 7)
    for state in ("pieces", "covering"):
        medians[structures.flat, STATES.index(state) - 1] *= table["flat"]
    medians[~np.isin(structures.types, table["sweepable"]), STATES.index("swept") - 1] = np.inf
    return Resistance(medians, spreads)


@cache
def _kinds() -> Mapping[str, tuple[Floats, Floats]]:
    """Medians and spreads (7,) of each kind of building."""
    return {name: _row(degrees) for name, degrees in tables()["wind"]["kinds"].items()}


def _row(degrees: Mapping[str, tuple[float, float, float]]) -> tuple[Floats, Floats]:
    speeds = {state: np.array(speed, float) for state, speed in degrees.items()}
    speeds["pieces"] = np.sqrt(speeds["visible"] * speeds["covering"])
    pairs = [lognormal(speeds[state]) if state in speeds else (np.inf, 1.0) for state in STATES[1:]]
    return np.array([median for median, _ in pairs]), np.array([spread for _, spread in pairs])


def lognormal(speeds: Floats) -> tuple[float, float]:
    """Median in m/s and spread of a degree's lower, expected and upper speed in mph: 90 % lie between the outer two."""
    lower, expected, upper = speeds
    return float(expected * MPH), float(np.log(upper / lower) / _NINETY)


def lost(what: str, reached: Floats) -> Floats:
    """Share of the ``covering``, ``deck`` or ``value`` (b,) lost at the states that buildings have reached (b,).

    Between the shares that two states begin with it grows geometrically, since most roofs lose little; before the first
    of them it is 0.
    """
    table = tables()["wind"]["lost"][what]
    shares = np.array([table[state] for state in STATES], float)
    begins = int(np.flatnonzero(shares)[0])
    logarithm = np.interp(reached, np.arange(begins, len(STATES)), np.log(shares[begins:]))
    return np.where(reached < begins, 0.0, np.exp(logarithm))
