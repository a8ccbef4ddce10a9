"""How likely each grade is: lognormal fragility under shaking, and how grades are drawn; ``assets/fragility.yaml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from mage.scenes.errors import HazardError
from mage.scenes.parts import Mode
from mage.scenes.yamlio import parse_yaml

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Indices = NDArray[np.int64]

CODES = ("pre", "low", "moderate", "high")


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Fragility under shaking, a row for each structure with its height class and code age.

    Attributes:
        names: of the rows: (``C1.M``, ``low``), as Hazus names structures and codes.
        medians: (n, 4) peak ground acceleration (g) that half of them reach Slight, Moderate, Extensive and Complete
            damage at.
        collapse: (n,) share of Complete that collapses.
        loss: occupancy -> (6,) share of a building's value that is lost at each EMS-98 grade.
        beta: lognormal spread around a ``median`` map, and where the shaking's variability is ``explicit``.
    """

    names: tuple[tuple[str, str], ...]
    medians: Floats
    collapse: Floats
    loss: Mapping[str, Floats]
    beta: Mapping[str, float]

    def row(self, structure: str, code: str) -> int:
        """Index of a structure of a code age; of the strongest one below where that age has no curve."""
        ages = [age for name, age in self.names if name == structure and CODES.index(age) <= CODES.index(code)]
        return self.names.index((structure, ages[-1]))


@cache
def tables() -> Mapping[str, Any]:
    """All of ``assets/fragility.yaml``: ``earthquake``, ``stock`` and ``wind``."""
    name = "fragility.yaml"
    content: Mapping[str, Any] = parse_yaml(files("mage.assets").joinpath(name).read_text(encoding="utf-8"), name)
    return content


@cache
def curves() -> Curves:
    """The bundled curves of Hazus 6.1."""
    table = tables()["earthquake"]
    rows = [
        ((name, code), medians[code], medians["collapse"])
        for name, medians in table["curves"].items()
        for code in CODES
        if code in medians
    ]
    # EMS-98 grades 1-4 are taken for the four states of Hazus, 5 for the collapsed share of the last
    loss = {use: np.array([0.0, *ratios, ratios[-1]]) for use, ratios in table["loss"].items()}
    return Curves(
        tuple(name for name, _, _ in rows),
        np.array([medians for _, medians, _ in rows], float),
        np.array([share for _, _, share in rows], float),
        loss,
        table["beta"],
    )


def exceedance(intensity: Floats, medians: Floats, beta: Floats | float) -> Floats:
    """P(state >= k) at an intensity (b,) by lognormal curves with ``medians`` (b, k): normal CDF of ln(i / m) / beta.

    Curves of different spreads cross; where they do, a state is no likelier than the one below it.
    """
    with np.errstate(divide="ignore"):
        reduced = np.log(intensity)[:, None] - np.log(medians)
    return np.minimum.accumulate(ndtr(reduced / beta), axis=1)


def grade_probabilities(pga: Floats, rows: Indices, *, explicit: bool) -> Floats:
    """Probability of each EMS-98 grade (b, 6) under peak ground accelerations (b,), g.

    Slight, Moderate, Extensive and Complete of Hazus count as grades 1 to 4, the share of Complete that collapses as 5.

    Args:
        pga: g, 0 or more.
        rows: (b,) rows of :func:`curves`.
        explicit: whether ``pga`` holds the shaking's own variability already, instead of being a median map.
    """
    table = curves()
    beta = table.beta["explicit" if explicit else "median"]
    above = exceedance(pga, table.medians[rows], beta)
    return shares_of(np.column_stack([above, above[:, 3] * table.collapse[rows]]))


def shares_of(above: Floats) -> Floats:
    """P(grade) (b, 6) from P(grade >= 1 … 5) (b, 5), falling along each row."""
    edges = np.column_stack([np.ones(len(above)), above, np.zeros(len(above))])
    return edges[:, :-1] - edges[:, 1:]


def prepared(p_grade: Floats, mode: Mode, shares: Sequence[float] | None) -> Floats:
    """The probabilities (b, 6) that grades are drawn from, out of the physical ones.

    ``physical`` keeps them; ``random`` gives every building the same given ``shares``; ``decorrelated`` gives every
    building the mean of the city, so that as many of each grade are expected but no building says anything about its
    neighbours.

    Raises:
        HazardError: no mode of that name, or shares (with ``random`` only) that are not six adding up to 1.
    """
    if mode == "random":
        given = np.array([] if shares is None else shares, float)
        if given.shape != (6,) or not (given >= 0).all() or not np.isclose(given.sum(), 1):
            raise HazardError(
                "random grades need their distribution", expected="six shares that add up to 1", found=f"{shares}"
            )
        return np.tile(given / given.sum(), (len(p_grade), 1))
    if mode not in ("physical", "decorrelated"):
        raise HazardError("no such mode", expected="physical, random or decorrelated", found=str(mode))
    return p_grade if mode == "physical" or not len(p_grade) else np.tile(p_grade.mean(axis=0), (len(p_grade), 1))


def drawn_grades(p_grade: Floats, chance: Floats) -> Bytes:
    """The grade of each building: the highest that its ``chance`` (b,) in [0, 1) is below the probability of.

    Of two distributions the one with likelier high grades never gives a lower grade to the same chance.
    """
    above = 1 - np.cumsum(p_grade, axis=1)[:, :5]
    return (chance[:, None] < above).sum(axis=1).astype(np.uint8)


def loss_of(grades: Bytes, occupancy: Sequence[str]) -> Floats:
    """Share of each building's value lost at its grade under shaking, (b,); unknown occupancies as residential."""
    table = curves().loss
    ratios = np.array([table.get(use, table["residential"]) for use in occupancy]).reshape(-1, 6)
    return np.asarray(ratios[np.arange(len(grades)), grades])
