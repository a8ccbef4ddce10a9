"""Water that moves: the local-inertial shallow-water scheme of Bates, Horritt and Fewtrell (2010,
doi:10.1016/j.jhydrol.2010.03.027) on square cells.

It keeps gravity, friction and the water's inertia and leaves out its advection: right for floods that creep over plains
and streets, not for the bore behind a broken dam.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mage.scenes.errors import HazardError
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]
Field = Callable[[float], Floats]

GRAVITY = 9.81
# Of the time in which a wave crosses a cell: Bates et al. use 0.2-0.7. In two dimensions 0.7 breaks into a
# chequerboard, and thin sheets on a slope do at 0.5.
ALPHA = 0.35
LONGEST = 10.0  # seconds of a time step over nearly dry ground
MANNING = 0.035  # s/m^(1/3), of short grass and streets with obstacles
FILM = 0.01  # metres of water below which no speed is given
DRY = 1e-6  # metres of water through a face that carry no flow


@dataclass(frozen=True, slots=True, eq=False)
class Balance:
    """Where the water went, cubic metres: at first, added by rain, inflow and breaches, left over open borders, there
    at last.
    """

    first: float
    added: float
    left: float
    last: float

    @property
    def error(self) -> float:
        """Water that came from nowhere, as a share of all there ever was."""
        return (self.last - self.first - self.added + self.left) / max(self.first + self.added, 1e-12)


@dataclass(frozen=True, slots=True, eq=False)
class Inundation:
    """What moving water did, on the vertices (rows, columns) of ``bed``.

    Attributes:
        bed: the ground that it ran over; its vertices are the middles of square cells.
        normal: level of permanent water there before the event (m), NaN where there was none.
        depth: metres at the chosen moment; ``depth_max`` the highest of all times.
        velocity: (rows, columns, 2) metres per second east and north at that moment, 0 below :data:`FILM`.
        speed_max: highest speed of all times. flow_max: highest product of depth and speed of all times, m²/s, which
            is what structural damage follows.
        balance: of the water.
        steps: time steps that were taken.
    """

    bed: Terrain
    normal: Floats
    depth: Floats
    depth_max: Floats
    velocity: Floats
    speed_max: Floats
    flow_max: Floats
    balance: Balance
    steps: int


def run(
    bed: Terrain,
    depth: Floats,
    *,
    seconds: float,
    at: float | None = None,
    gains: Field | None = None,
    held: Field | None = None,
    manning: float = MANNING,
    beyond: Floats | None = None,
    normal: Floats | None = None,
) -> Inundation:
    """Water of ``depth`` (rows, columns) on a bed, left to itself for a time.

    The step in time is ALPHA Δx / sqrt(g h) for the deepest water, at most :data:`LONGEST`. What leaves a cell never
    exceeds what is in it, so that no depth is negative and no water is lost or made.

    Args:
        bed: the vertices are the middles of square cells.
        depth: metres at first, not negative.
        seconds: of the run.
        at: the moment of the result's ``depth`` and ``velocity``, by default the end.
        gains: from the time (s) to the water that falls on each cell, m/s (rows, columns).
        held: from the time to levels (m) at which cells are held, NaN for the others.
        manning: s/m^(1/3).
        beyond: levels (m) that stand beyond each border cell, which let out water but none in; None for walls.
        normal: levels of permanent water to tell from the flood, NaN for none.

    Raises:
        HazardError: a number out of range, or depths that are negative, not finite or of another shape.
    """
    at = seconds if at is None else at
    in_range("duration in seconds", seconds, 0.0, 1e7)
    in_range("moment in seconds", at, 0.0, seconds)
    in_range("friction", manning, 0.0, 1.0)
    if depth.shape != bed.heights.shape or not (np.isfinite(depth) & (depth >= 0)).all():
        raise HazardError("no depths of water", expected=f"{bed.heights.shape} metres from 0", found=f"{depth.shape}")
    flow = _Flow(bed, depth.copy(), manning, beyond)
    first = flow.volume()
    flow.hold(held)
    still = np.zeros(depth.shape)
    record = _Record(flow.depth.copy(), np.zeros((*depth.shape, 2)), flow.depth.copy(), still, still.copy())
    while flow.time < seconds:
        flow.advance(at if flow.time < at else seconds, gains)
        flow.hold(held)
        record.update(flow, at)
    return Inundation(
        bed=bed,
        normal=np.full(depth.shape, np.nan) if normal is None else normal,
        depth=record.depth,
        depth_max=record.depth_max,
        velocity=record.velocity,
        speed_max=record.speed_max,
        flow_max=record.flow_max,
        balance=Balance(first, flow.added, flow.left, flow.volume()),
        steps=flow.steps,
    )


@dataclass(slots=True, eq=False)
class _Flow:
    """Water on its way: depths (rows, columns) and flows through the cells' faces, m²/s to the east (rows,
    columns + 1) and to the south (rows + 1, columns).
    """

    bed: Terrain
    depth: Floats
    manning: float
    beyond: Floats | None
    time: float = 0.0
    steps: int = 0
    added: float = 0.0
    left: float = 0.0
    east: Floats = field(init=False)
    south: Floats = field(init=False)
    thick: list[Floats] = field(default_factory=list)  # metres of water through those faces, infinite where dry

    def __post_init__(self) -> None:
        rows, columns = self.depth.shape
        self.east, self.south = np.zeros((rows, columns + 1)), np.zeros((rows + 1, columns))

    def volume(self) -> float:
        return float(self.depth.sum()) * self.bed.step**2

    def stable(self) -> float:
        """Seconds of a time step in which no wave crosses a cell."""
        deepest = float(self.depth.max())
        return LONGEST if deepest <= 0 else min(LONGEST, ALPHA * self.bed.step / math.sqrt(GRAVITY * deepest))

    def hold(self, held: Field | None) -> None:
        """Set cells to the levels that they are held at."""
        if held is None:
            return
        level = held(self.time)
        fixed = np.isfinite(level)
        new = np.maximum(level[fixed] - self.bed.heights[fixed], 0.0)
        self.added += float((new - self.depth[fixed]).sum()) * self.bed.step**2
        self.depth[fixed] = new

    def advance(self, until: float, gains: Field | None) -> None:
        """One stable step in time, or a shorter one that ends at ``until`` seconds."""
        dt = self.stable()
        end = until if until - self.time <= dt else self.time + dt
        dt = end - self.time
        if gains is not None:
            water = gains(self.time) * dt
            self.depth += water
            self.added += float(water.sum()) * self.bed.step**2
        self._accelerate(dt)
        self._limit(dt)
        ratio = dt / self.bed.step
        self.depth += ratio * (self.east[:, :-1] - self.east[:, 1:] + self.south[:-1] - self.south[1:])
        np.maximum(self.depth, 0.0, out=self.depth)  # rounding alone makes it negative
        out = self.east[:, -1].sum() - self.east[:, 0].sum() + self.south[-1].sum() - self.south[0].sum()
        self.left += float(out) * dt * self.bed.step
        self.time, self.steps = end, self.steps + 1

    def _accelerate(self, dt: float) -> None:
        """New flows through all faces; through the border's only outward, and none where it is a wall."""
        heights = np.pad(self.bed.heights, 1, mode="edge")
        level = self.bed.heights + self.depth
        around = np.pad(level, 1, mode="edge")
        if self.beyond is not None:
            around = np.pad(np.maximum(self.beyond, self.bed.heights), 1, mode="edge")
            around[1:-1, 1:-1] = level
        rows, columns = slice(1, -1), slice(1, -1)
        self.east, deep_east = self._inertial(self.east, around[rows, :-1], around[rows, 1:], heights[rows], 1, dt)
        self.south, deep_south = self._inertial(
            self.south, around[:-1, columns], around[1:, columns], heights[:, columns], 0, dt
        )
        self.thick = [deep_east, deep_south]
        for first, last in ((self.east[:, 0], self.east[:, -1]), (self.south[0], self.south[-1])):  # views
            np.minimum(first, 0.0, out=first)
            np.maximum(last, 0.0, out=last)

    def _inertial(
        self, flow: Floats, near: Floats, far: Floats, heights: Floats, axis: int, dt: float
    ) -> tuple[Floats, Floats]:
        """Equation 11 of Bates et al. (2010) for faces between cells with levels ``near`` and ``far``; the depth of the
        water that runs through them, too, infinite where they are dry.
        """
        low, high = (heights[:-1], heights[1:]) if axis == 0 else (heights[:, :-1], heights[:, 1:])
        deep = np.maximum(near, far) - np.maximum(low, high)
        wet = deep > DRY
        deep = np.where(wet, deep, 1.0)
        drag = GRAVITY * dt * self.manning**2 / (deep * deep * np.cbrt(deep))
        push = (GRAVITY * dt / self.bed.step) * deep * (far - near)
        fastest = deep * np.sqrt(GRAVITY * deep)  # without advection nothing slows what shoots down a slope
        return np.where(wet, np.clip((flow - push) / (1 + drag * np.abs(flow)), -fastest, fastest), 0.0), np.where(
            wet, deep, np.inf
        )

    def _limit(self, dt: float) -> None:
        """No cell gives more than it has."""
        east, south = self.east, self.south
        out = np.maximum(east[:, 1:], 0) - np.minimum(east[:, :-1], 0)
        out += np.maximum(south[1:], 0) - np.minimum(south[:-1], 0)
        out *= dt / self.bed.step
        short = out > self.depth
        if not short.any():
            return
        share = np.ones(out.shape)
        share[short] = self.depth[short] / out[short]
        share = np.pad(share, 1, constant_values=1.0)  # nothing comes in over the border
        self.east = east * np.where(east > 0, share[1:-1, :-1], share[1:-1, 1:])
        self.south = south * np.where(south > 0, share[:-1, 1:-1], share[1:, 1:-1])


@dataclass(slots=True, eq=False)
class _Record:
    """The highest values so far, and what was at one moment."""

    depth: Floats
    velocity: Floats
    depth_max: Floats
    speed_max: Floats
    flow_max: Floats

    def update(self, flow: _Flow, at: float) -> None:
        wet = flow.depth > FILM
        east, north = np.where(wet, _middle(flow.east, 1), 0.0), np.where(wet, -_middle(flow.south, 0), 0.0)
        deep_east, deep_south = flow.thick
        # by the faces' own depths: a cell that has just run dry has none to divide by
        right = np.where(wet, _middle(flow.east / deep_east, 1), 0.0)
        up = np.where(wet, -_middle(flow.south / deep_south, 0), 0.0)
        np.maximum(self.depth_max, flow.depth, out=self.depth_max)
        np.maximum(self.flow_max, np.sqrt(east * east + north * north), out=self.flow_max)
        np.maximum(self.speed_max, np.sqrt(right * right + up * up), out=self.speed_max)
        if flow.time == at:
            self.depth = flow.depth.copy()
            self.velocity = np.stack([right, up], axis=-1)


def _middle(faces: Floats, axis: int) -> Floats:
    """Means of both faces of each cell."""
    return (faces[:, :-1] + faces[:, 1:]) / 2 if axis else (faces[:-1] + faces[1:]) / 2


def in_range(name: str, value: float, least: float, most: float) -> None:
    """Raise a HazardError unless a number lies between two others."""
    if not least <= value <= most:
        raise HazardError(
            f"no {name} that water can be moved with", expected=f"{least:g} to {most:g}", found=f"{value}"
        )
