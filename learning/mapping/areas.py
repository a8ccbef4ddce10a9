"""The most affected areas: how many buildings of each are damaged, between which bounds, and their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from scipy.signal import fftconvolve

from mage.scenes.errors import ModelError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Area:
    """How an area is affected.

    Attributes:
        name: of the area.
        outline: in metres.
        buildings: how many have their point in it.
        damaged: expected number of damaged ones.
        low, high: bounds of that number, at the confidence asked for.
    """

    name: str
    outline: shapely.Geometry
    buildings: int
    damaged: float
    low: int
    high: int

    @property
    def share(self) -> float:
        """Expected share of the buildings that are damaged; 0 where there is none."""
        return self.damaged / self.buildings if self.buildings else 0.0


def count_bounds(probabilities: ArrayLike, confidence: float = 0.95) -> tuple[int, int]:
    """Bounds of how many of n independent events happen, of given probabilities: the equal-tailed interval of the
    Poisson binomial distribution.

    That is the uncertainty of calibrated probabilities as they stand; that a model is wrong about a whole place in one
    direction is not in it.

    Args:
        probabilities: (n,) in 0-1.
        confidence: share that the bounds hold, between 0 and 1.

    Raises:
        ModelError: probabilities beyond 0-1, or no such confidence.

    >>> count_bounds([1, 1, 0]), count_bounds([0.5] * 100)
    ((2, 2), (40, 60))
    """
    p = np.asarray(probabilities, float).reshape(-1)
    if not ((p >= 0) & (p <= 1)).all():
        raise ModelError("these are no probabilities", expected="0 to 1")
    if not 0 < confidence < 1:
        raise ModelError("no such confidence", expected="between 0 and 1", found=str(confidence))
    certain = int((p == 1).sum())
    cumulative = np.cumsum(_counts(p[(p > 0) & (p < 1)]))
    tail = (1 - confidence) / 2
    low, high = np.searchsorted(cumulative, [tail, 1 - tail])
    return certain + int(low), certain + min(int(high), len(cumulative) - 1)


def affected_areas(
    outlines: Sequence[shapely.Geometry],
    names: Sequence[str],
    points: ArrayLike,
    probabilities: ArrayLike,
    confidence: float = 0.95,
) -> list[Area]:
    """Areas by how many damaged buildings they are expected to hold, most first; equal ones by name.

    Args:
        outlines: polygons in metres; they may overlap, as districts and their towns do.
        names: one for each.
        points: (n, 2) of the buildings, metres; a building on an outline counts.
        probabilities: (n,) of being damaged.
        confidence: of the bounds.

    Raises:
        ModelError: as many names as outlines, and probabilities as points, are wanted; or as of :func:`count_bounds`.

    >>> west, east = shapely.box(0, 0, 10, 10), shapely.box(10, 0, 20, 10)
    >>> areas = affected_areas([west, east], ["west", "east"], [(2, 2), (12, 2), (15, 5)], [0.0, 1.0, 1.0])
    >>> [(area.name, area.buildings, area.damaged, area.low, area.high) for area in areas]
    [('east', 2, 2.0, 2, 2), ('west', 1, 0.0, 0, 0)]
    """
    places, p = np.asarray(points, float).reshape(-1, 2), np.asarray(probabilities, float).reshape(-1)
    if len(outlines) != len(names) or len(places) != len(p):
        raise ModelError("every outline needs a name and every place a probability")
    tree = shapely.STRtree(shapely.points(places))
    found = []
    for outline, name in zip(outlines, names, strict=True):
        within = p[tree.query(outline, predicate="intersects")]
        low, high = count_bounds(within, confidence)
        found.append(Area(name, outline, len(within), float(within.sum()), low, high))
    return sorted(found, key=lambda area: (-area.damaged, area.name))


@dataclass(frozen=True, slots=True)
class Lattice:
    """Square cells over a place, named as in a street atlas: columns by letters from the west, rows by numbers from the
    north. Their corners lie at multiples of the side.

    Attributes:
        west, north: corner of cell A1, metres.
        size: metres of a side.
    """

    west: float
    north: float
    size: float

    @classmethod
    def over(cls, bounds: ArrayLike, size: float) -> Lattice:
        """The cells of ``size`` metres that hold (west, south, east, north).

        Raises:
            ModelError: the size is not above 0.

        >>> Lattice.over((5, 5, 27, 18), 10)
        Lattice(west=0.0, north=20.0, size=10)
        """
        if not (size > 0 and np.isfinite(size)):
            raise ModelError("no such cell", expected="a side above 0 m", found=str(size))
        west, _, _, north = np.asarray(bounds, float)
        return cls(float(np.floor(west / size) * size), float((np.floor(north / size) + 1) * size), size)


def letters(column: int) -> str:
    """A column's letters, from 0 on.

    >>> [letters(column) for column in (0, 25, 26, 702)]
    ['A', 'Z', 'AA', 'AAA']
    """
    first, last = divmod(column, 26)
    return (letters(first - 1) if first else "") + chr(ord("A") + last)


def cells(points: ArrayLike, lattice: Lattice) -> tuple[list[shapely.Polygon], list[str]]:
    """Cells that hold a place, from west to east, and their names, with the south-west corner, since letters and
    numbers mean something on one map alone.

    Args:
        points: (n, 2) metres, none to the west or the north of the lattice.
        lattice: the cells.

    >>> cells([(5, 5), (12, 5), (13, 6)], Lattice(0, 20, 10))[1]
    ['A2 (E0 N0)', 'B2 (E10 N0)']
    """
    size = lattice.size
    corners = np.unique(np.floor(np.asarray(points, float).reshape(-1, 2) / size), axis=0) * size
    names = [
        f"{letters(round((west - lattice.west) / size))}{round((lattice.north - south) / size)} "
        f"(E{west:.0f} N{south:.0f})"
        for west, south in corners.tolist()
    ]
    return list(shapely.box(*corners.T, *(corners + size).T)), names


def _counts(p: Floats) -> Floats:
    """(n + 1,) probability of each count: the product of the polynomials (1 - p) + p x, joined in pairs."""
    factors = [np.array([1 - q, q]) for q in p] or [np.ones(1)]
    while len(factors) > 1:
        pairs = [fftconvolve(a, b) if len(a) > 64 else np.convolve(a, b) for a, b in zip(factors[::2], factors[1::2])]  # noqa: B905 - the last of an odd number has no partner
        factors = pairs + factors[len(pairs) * 2 :]
    return np.maximum(factors[0], 0)
