"""How tents stand: places in a frame of their own, before they are laid on the ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GUYS = 1.5  # metres between tents, for ropes and drains
LANE = 5.5  # metres between pairs of rows and between clusters
COURT = 12.0  # metres across the open middle of a cluster
BLOCK = 12  # tents in a row between two lanes that cross it
SPARE = 5  # places for each tent that is wanted: most lie on something


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """Places for tents about (0, 0): middles (n, 2), radians that their length points to (n,), and the middles of the
    lanes between them as lines (k, 2, 2), metres.
    """

    xy: Floats
    heading: Floats
    lanes: Floats

    def about_one(self) -> Slots:
        """The same, moved so that a tent's place is at (0, 0)."""
        middle = self.xy[np.argmin(np.hypot(*self.xy.T))]
        return Slots(self.xy - middle, self.heading, self.lanes - middle)


def rows(size: Floats, count: int) -> Slots:
    """Rows back to back in pairs, doors to the lanes, for tents of (length, width) metres."""
    length, width = size
    pitch, pair = width + GUYS, 2 * length + GUYS + LANE
    block = BLOCK * pitch + LANE
    reach = _reach(count, pair * block / (2 * BLOCK))
    i, k = np.arange(-_steps(reach, block), _steps(reach, block)), np.arange(-_steps(reach, pair), _steps(reach, pair))
    u = (i[:, None] * block + LANE / 2 + (np.arange(BLOCK) + 0.5) * pitch).ravel()
    v = (k[:, None] * pair + pair / 2 + np.array([-1, 1]) * (length + GUYS) / 2).ravel()
    across, along = np.meshgrid(v, u)
    xy = np.stack([along.ravel(), across.ravel()], axis=1)
    return Slots(xy, np.full(len(xy), math.pi / 2), _lanes(i * block, k * pair))


def clusters(size: Floats, count: int) -> Slots:
    """Rings around courts on a square grid, doors to the court, with lanes between them."""
    length, width = size
    radius = COURT / 2 + length / 2
    around = int(2 * math.pi * (COURT / 2) / (width + GUYS / 2))  # by the inner ends, where they stand closest
    side = 2 * math.hypot(COURT / 2 + length, width / 2) + LANE
    k = np.arange(-_steps(_reach(count, side**2 / around), side), _steps(_reach(count, side**2 / around), side))
    x, y = np.meshgrid((k + 0.5) * side, (k + 0.5) * side)
    turn = np.arange(around) * (2 * math.pi / around)
    ring = radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    xy = (np.stack([x.ravel(), y.ravel()], axis=1)[:, None] + ring).reshape(-1, 2)
    return Slots(xy, np.tile(turn, x.size), _lanes(k * side, k * side))


def _reach(count: int, area: float) -> float:
    """Half a square's side with room for all places of ``area`` square metres each."""
    return math.sqrt(SPARE * count * area) / 2


def _steps(reach: float, step: float) -> int:
    return max(1, math.ceil(reach / step))


def _lanes(u: Floats, v: Floats) -> Floats:
    """Lines at every u across and at every v along (k, 2, 2), from end to end."""
    along = [[(u[0], at), (-u[0], at)] for at in v]
    across = [[(at, v[0]), (at, -v[0])] for at in u]
    return np.array(along + across, float)
