"""Peak ground acceleration: a published attenuation relation, and residuals that neighbours share.

The relation is that of Boore and Atkinson (2008, doi:10.1193/1.2830434), table 3, row PGA, for shallow crustal
earthquakes of moment magnitude 5 to 8, Joyner-Boore distances up to 200 km and soils of 180 to 1300 m/s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from mage.scenes.errors import HazardError
from mage.scenes.parts import DEPTHS, MAGNITUDES, SOILS, Mechanism

Floats = NDArray[np.float64]
Bounds = tuple[float, float, float, float]

FARTHEST = 200.0  # km

E_MECHANISM = {"unspecified": -0.53804, "strike-slip": -0.50350, "normal": -0.75472, "reverse": -0.50970}
E5, E6, E7, M_HINGE = 0.28805, -0.10164, 0.0, 6.75
C1, C2, C3, H = -0.66050, 0.11970, -0.01151, 1.35
M_REF, R_REF, V_REF = 4.5, 1.0, 760.0
B_LIN, B1, B2, V1, V2 = -0.360, -0.640, -0.14, 180.0, 300.0
A1, A2, PGA_LOW = 0.03, 0.09, 0.06
PHI, TAU_SPECIFIED, TAU_UNSPECIFIED = 0.502, 0.260, 0.265  # within and between events, natural logarithm

DIPS = {"unspecified": 90.0, "strike-slip": 90.0, "normal": 50.0, "reverse": 40.0}  # degrees, assumed

# Jayaram and Baker (2009, doi:10.1002/eqe.922) at a period of 0: metres h at which exp(-3h / b) has fallen to 5 %,
# where the soil's velocity changes from place to place, and where it is alike in clusters
RANGE_VARIED, RANGE_CLUSTERED = 8_500.0, 40_700.0

CELLS, MOST_CELLS = 40, 1024  # lattice cells to a correlation range, and along a side of the lattice


@dataclass(frozen=True, slots=True)
class Event:
    """An earthquake and the soil that it shakes.

    Attributes:
        magnitude: moment magnitude.
        depth: of the hypocentre, km.
        epicentre: (x, y), local metres.
        strike: of the rupture, radians anticlockwise from east; it dips to the right of that direction.
        mechanism: of the rupture; decides its dip as well.
        vs30: velocity of shear waves in the uppermost 30 m, m/s.
        clustered: whether the soil's velocity is alike in clusters, which makes residuals reach farther.
    """

    magnitude: float
    depth: float
    epicentre: tuple[float, float]
    strike: float = 0.0
    mechanism: Mechanism = "unspecified"
    vs30: float = 400.0
    clustered: bool = False

    def __post_init__(self) -> None:
        named = (("magnitude", self.magnitude, MAGNITUDES), ("depth", self.depth, DEPTHS), ("vs30", self.vs30, SOILS))
        for name, value, (least, most) in named:
            if not least <= value <= most:
                raise HazardError(
                    f"the attenuation relation does not hold for this {name}",
                    expected=f"{least:g} to {most:g}",
                    found=f"{value:g}",
                )
        if self.mechanism not in E_MECHANISM or not np.isfinite([*self.epicentre, self.strike]).all():
            raise HazardError("no earthquake", expected="an epicentre, strike and mechanism", found=f"{self}")


def median_pga(magnitude: float, distance: Floats, vs30: float, mechanism: Mechanism = "unspecified") -> Floats:
    """Median peak ground acceleration (n,) in g at Joyner-Boore distances (n,) in km; Boore and Atkinson (2008)."""
    rock = np.exp(_source(magnitude, mechanism) + _path(magnitude, distance))
    return np.asarray(rock * np.exp(_site(rock, vs30)))


def _source(magnitude: float, mechanism: Mechanism) -> float:
    over = magnitude - M_HINGE
    return E_MECHANISM[mechanism] + (E5 * over + E6 * over**2 if over <= 0 else E7 * over)


def _path(magnitude: float, distance: Floats) -> Floats:
    r = np.hypot(distance, H)
    return (C1 + C2 * (magnitude - M_REF)) * np.log(r / R_REF) + C3 * (r - R_REF)


def _site(rock: Floats, vs30: float) -> Floats:
    """Logarithm of what the soil makes of the acceleration (n,) on rock of 760 m/s: linear and nonlinear part."""
    b = _nonlinearity(vs30)
    x, y = math.log(A2 / A1), b * math.log(A2 / PGA_LOW)
    c, d = (3 * y - b * x) / x**2, -(2 * y - b * x) / x**3
    over = np.log(np.maximum(rock, A1) / A1)
    weak = b * math.log(PGA_LOW / 0.1) + c * over**2 + d * over**3
    return B_LIN * math.log(vs30 / V_REF) + np.where(rock <= A2, weak, b * np.log(rock / 0.1))


def _nonlinearity(vs30: float) -> float:
    if vs30 <= V1:
        return B1
    if vs30 <= V2:
        return (B1 - B2) * math.log(vs30 / V2) / math.log(V1 / V2) + B2
    return B2 * math.log(vs30 / V_REF) / math.log(V2 / V_REF) if vs30 < V_REF else 0.0


def rupture_distance(xy: Floats, event: Event) -> Floats:
    """Joyner-Boore distance (n,) in km of local points (n, 2): to the rupture's projection on the ground.

    Length and width of the rupture are those of Wells and Coppersmith (1994), all mechanisms: log L = -2.44 + 0.59 M,
    log W = -1.01 + 0.32 M (km). The hypocentre is in its middle, but the rupture ends at the ground: what is too much
    for the depth is added below. The relation knows of depth in no other way.
    """
    length, width = 10 ** (-2.44 + 0.59 * event.magnitude), 10 ** (-1.01 + 0.32 * event.magnitude)
    dip = math.radians(DIPS[event.mechanism])
    up = min(width / 2, event.depth / math.sin(dip))
    away = (xy - np.asarray(event.epicentre)) / 1000
    c, s = math.cos(event.strike), math.sin(event.strike)
    along, down = away @ [c, s], away @ [s, -c]
    before, behind = -up * math.cos(dip), (width - up) * math.cos(dip)
    beyond = np.maximum(np.maximum(before - down, down - behind), 0)
    return np.hypot(np.maximum(np.abs(along) - length / 2, 0), beyond)


def shaken(xy: Floats, event: Event, rng: np.random.Generator, bounds: Bounds) -> Floats:
    """Peak ground acceleration (n,) in g at local points (n, 2), with residuals drawn between and within events.

    ``bounds`` are the city's, see :func:`correlated`.

    Raises:
        HazardError: the points lie farther than the relation holds.
    """
    distance = rupture_distance(xy, event)
    if len(distance) and distance.max() > FARTHEST:
        raise HazardError(
            "the earthquake is too far away for the attenuation relation",
            expected=f"at most {FARTHEST:g} km",
            found=f"{distance.max():.0f} km",
        )
    tau = TAU_UNSPECIFIED if event.mechanism == "unspecified" else TAU_SPECIFIED
    between = tau * rng.standard_normal()
    within = PHI * correlated(xy, RANGE_CLUSTERED if event.clustered else RANGE_VARIED, rng, bounds)
    return np.asarray(median_pga(event.magnitude, distance, event.vs30, event.mechanism) * np.exp(between + within))


def correlated(xy: Floats, reach: float, rng: np.random.Generator, bounds: Bounds) -> Floats:
    """Standard normal numbers (n,) at points (n, 2) whose correlation at distance h is exp(-3h / reach); metres.

    Drawn by the Fourier transform on a periodic lattice that is two reaches wider than ``bounds`` (west, south, east,
    north), and interpolated linearly from its four nearest vertices; what that takes of the variance is given back.
    Which other points are asked for changes nothing at a point. Points may lie up to half a reach beyond the bounds;
    the lattice closes on itself so far away that nothing is alike any more.
    """
    if not len(xy):
        return np.zeros(0)
    west, south, east, north = bounds
    side = max(east - west, north - south) + 2 * reach
    cells = min(math.ceil(side / reach * CELLS), MOST_CELLS)
    step = side / cells
    ring = np.minimum(np.arange(cells), cells - np.arange(cells)) * step
    likeness = np.exp(-3 * np.hypot(ring[:, None], ring) / reach)
    spectrum = np.maximum(fft.fft2(likeness).real, 0)
    field = fft.ifft2(np.sqrt(spectrum) * fft.fft2(rng.standard_normal((cells, cells)))).real
    return _between_vertices(field, (xy - (west, south)) / step, likeness)


def _between_vertices(field: Floats, place: Floats, likeness: Floats) -> Floats:
    """The field at places (n, 2) in cells, scaled to unit variance given the likeness of neighbouring vertices."""
    first = np.floor(place).astype(np.int64)
    part = place - first
    corners = np.array([(0, 0), (1, 0), (0, 1), (1, 1)])
    weight = np.prod(np.where(corners[None], part[:, None], 1 - part[:, None]), axis=2)
    at = (first[:, None] + corners) % len(field)
    apart = np.abs(corners[:, None] - corners)
    variance = np.einsum("ni,nj,ij->n", weight, weight, likeness[apart[..., 0], apart[..., 1]])
    return np.asarray((weight * field[at[..., 0], at[..., 1]]).sum(axis=1) / np.sqrt(variance))
