"""Roads that an analyst closes or opens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mage.learning.mapping.access import CLOSED
from mage.learning.mapping.edited import BY_HAND, by_whom, numbers, words
from mage.learning.mapping.findings import Access
from mage.learning.mapping.matching import match_lines
from mage.learning.mapping.roads import Roads
from mage.learning.mapping.vectors import Features
from mage.scenes.errors import DatasetError

Floats = NDArray[np.float64]

STATES = {  # of `passable`, and the probabilities that a car and a truck cannot pass
    "Open": (0.0, 0.0),
    "Car only": (0.0, 1.0),
    "Truck only": (1.0, 0.0),
    "Closed": (1.0, 1.0),
    "Not Analysed": (np.nan, np.nan),
}
SAME = 0.01  # by which a probability may be off and still be the one that was found: files round


@dataclass(frozen=True, slots=True, eq=False)
class Closures:
    """Edges of which somebody says whether they are closed.

    Attributes:
        car, truck: (e,) probability that the vehicle cannot pass; NaN where nobody says.
    """

    car: Floats
    truck: Floats

    def over(self, car: Floats, truck: Floats) -> tuple[Floats, Floats]:
        """Probabilities that were found, (e,) of car and truck, with those that somebody says in their place.

        >>> closures = Closures(np.array([1.0, np.nan]), np.array([np.nan, np.nan]))
        >>> [p.tolist() for p in closures.over(np.array([0.2, 0.3]), np.array([0.1, 0.1]))]
        [[1.0, 0.3], [0.1, 0.1]]
        """
        said, found = (self.car, self.truck), (car, truck)
        first, second = (np.where(np.isnan(s), f, s) for s, f in zip(said, found, strict=True))
        return first, second


def correct_roads(edited: Features, roads: Roads, access: Access | None, path: Path) -> tuple[Closures, list[str]]:
    """What a file says of each edge, and a line of each that somebody edited; see
    :func:`~mage.learning.mapping.corrections.apply_corrections`.

    ``passable`` counts where it is not what the probabilities beside it mean; ``p_block_car`` and ``p_block_truck``
    where they are not what was found, or ``det_method`` is "Photo-interpretation". A line stands for the edge that has
    its ``id`` and runs where it does, else for the one that runs there. A line that is missing says nothing.

    Args:
        edited: the file's layer transportationL.
        roads: the network.
        access: over it, as found without corrections; without it a probability that was edited counts only by hand.
        path: of the file, for errors.

    Raises:
        DatasetError: words of ``passable`` beyond their domain, or numbers that are no probabilities.
    """
    edges = match_lines(words(edited, "id"), edited.geometry, np.array(roads.lines, dtype=object)).tolist()
    said, found = np.full((2, len(roads)), np.nan), _found(access, len(roads))
    given, states, who = _given(edited, path), _states(edited, path), by_whom(edited)
    hand, names, log = words(edited, "det_method"), _names(edited), []
    for row, edge in enumerate(edges):
        if edge < 0:
            log.append(f"road {names[row]}: left alone, there is none of this run where it is")
        elif not _apart(given[:, row], found[:, edge]) and states[row] not in ("", _meant(given[:, row])):
            said[:, edge] = STATES[states[row]]
            log.append(f"road {names[row]}: {_meant(given[:, row])} → {states[row]}{who[row]}")
        elif hand[row] == BY_HAND or _apart(given[:, row], found[:, edge]):
            said[:, edge] = given[:, row]
            cars, trucks = (f"{p:.2f}" for p in given[:, row])
            log.append(f"road {names[row]}: P(closed) {cars} for cars, {trucks} for trucks{who[row]}")
    return Closures(*said), log


def _found(access: Access | None, count: int) -> Floats:
    """(2, e) probabilities that were found; infinite where they are not known, so that nothing differs from them."""
    return np.full((2, count), np.inf) if access is None else np.stack([access.car, access.truck])


def _apart(given: Floats, found: Floats) -> bool:
    """Whether a file's probabilities are others than those that were found."""
    unknown = np.isnan(found)
    return bool((np.abs(given - found)[np.isfinite(found)] > SAME).any() or np.isfinite(given[unknown]).any())


def _meant(given: Floats) -> str:
    """What probabilities mean to those who want to pass."""
    if np.isnan(given).any():
        return "Not Analysed"
    shut = tuple((given >= CLOSED).astype(float).tolist())
    return next(word for word, closed in STATES.items() if closed == shut)


def _names(edited: Features) -> list[str]:
    """How the log calls each line."""
    pairs = zip(words(edited, "id"), words(edited, "name"), strict=True)
    return [f"{identity} {called}".strip() or "without id" for identity, called in pairs]


def _states(edited: Features, path: Path) -> list[str]:
    """``passable`` of each line in the spelling of its domain; empty where there is none."""
    spelled = {word.lower(): word for word in STATES}
    found = words(edited, "passable")
    for word in found:
        if word and word.lower() not in spelled:
            raise DatasetError("no such word of passable", file=path, expected=", ".join(STATES), found=word)
    return [spelled[word.lower()] if word else "" for word in found]


def _given(edited: Features, path: Path) -> Floats:
    given = np.stack([numbers(edited, name) for name in ("p_block_car", "p_block_truck")])
    wrong = given[~np.isnan(given) & ~((given >= 0) & (given <= 1))]
    if len(wrong):
        raise DatasetError("no probability that a road is closed", file=path, expected="0 to 1", found=f"{wrong[0]:g}")
    return given
