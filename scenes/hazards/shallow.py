"""A flood that runs over a city: rain, rivers that swell and broken banks, in moving water.

See :mod:`mage.scenes.hazards.inertia` for the physics.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from mage.scenes.city import City
from mage.scenes.errors import HazardError
from mage.scenes.hazards.inertia import MANNING, Inundation, in_range, run
from mage.scenes.sources.ground.relief import lattice, normal_levels
from mage.scenes.terrain import Terrain, extended_levels

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SEEN = 0.03  # metres of water that make a flood; less is a wet street
MOST_CELLS = 1_000_000
FASTEST, WIDEST, HIGHEST = 50_000.0, 10_000.0, 10_000.0  # m³/s of an inflow; metres of a breach and of its level
DEEPEST = 100.0  # metres of water that a breach may hold above the ground


@dataclass(frozen=True, slots=True)
class Inflow:
    """Water let in at a place: ``discharge`` in m³/s, for ``minutes``, within ``width`` / 2 metres of ``xy`` (local).

    Raises:
        HazardError: a number out of range.
    """

    xy: tuple[float, float]
    discharge: float
    minutes: float = math.inf
    width: float = 0.0

    def __post_init__(self) -> None:
        in_range("discharge in m³/s", self.discharge, 0.0, FASTEST)
        in_range("width of an inflow", self.width, 0.0, WIDEST)
        in_range("duration of an inflow", self.minutes, 0.0, math.inf)


@dataclass(frozen=True, slots=True)
class Breach:
    """Water beyond a broken bank that stands at ``level`` (m): held there within ``width`` / 2 metres of ``xy``.

    Raises:
        HazardError: a number out of range.
    """

    xy: tuple[float, float]
    width: float
    level: float

    def __post_init__(self) -> None:
        in_range("width of a breach", self.width, 0.0, WIDEST)
        in_range("level beyond a breach", self.level, -HIGHEST, HIGHEST)


def shallow(
    city: City,
    *,
    minutes: float,
    at: float | None = None,
    step: float = 5.0,
    rain: float = 0.0,
    rain_minutes: float = math.inf,
    inflows: tuple[Inflow, ...] = (),
    breaches: tuple[Breach, ...] = (),
    manning: float = MANNING,
    closed: bool = False,
) -> Inundation:
    """Water over a city's terrain, from its permanent water at rest.

    Buildings do not stand in its way. An open border lets out what rises above the level of normal times there; a
    closed one nothing.

    Args:
        city: completed.
        minutes: of the event.
        at: the moment (minutes) of ``depth`` and ``velocity``, by default its end.
        step: metres between the vertices of the resampled ground.
        rain: millimetres per hour.
        rain_minutes: for which it rains.
        inflows: where rivers and drains bring water.
        breaches: where banks have broken.
        manning: friction, s/m^(1/3).
        closed: whether the borders are walls.

    Raises:
        HazardError: no terrain, a number out of range, water more than 100 m deep at a breach, or too many cells.
    """
    if city.terrain is None:
        raise HazardError(f"the city {city.name} has no terrain to flood", expected="a completed city")
    in_range("rain in mm/h", rain, 0.0, 2000.0)
    in_range("duration of rain", rain_minutes, 0.0, math.inf)
    bed = resampled(city.terrain, step)
    normal = normal_levels(bed, city.water)
    depth = np.where(normal > bed.heights, normal - bed.heights, 0.0)
    inlets = [(_cells(bed, i.xy, max(bed.step, i.width / 2)), i) for i in inflows]
    held = np.full(depth.shape, np.nan)
    for breach in breaches:
        cells = _cells(bed, breach.xy, breach.width / 2)
        in_range("depth at a breach", breach.level - float(bed.heights[cells].min()), -math.inf, DEEPEST)
        held[cells] = np.fmax(held[cells], breach.level)

    def _gains(time: float) -> Floats:
        fall = np.full(depth.shape, rain / 3.6e6 if time < rain_minutes * 60 else 0.0)
        for cells, inflow in inlets:
            fall[cells] += inflow.discharge / (cells.sum() * bed.step**2) if time < inflow.minutes * 60 else 0.0
        return fall

    return run(
        bed,
        depth,
        seconds=minutes * 60,
        at=None if at is None else at * 60,
        gains=_gains,
        held=(lambda _: held) if breaches else None,
        manning=manning,
        beyond=None if closed else np.where(depth > 0, normal, bed.heights),
        normal=np.where(depth > 0, normal, np.nan),
    )


def resampled(terrain: Terrain, step: float) -> Terrain:
    """A terrain on a coarser lattice: means over squares as large as the step.

    Raises:
        HazardError: more than :data:`MOST_CELLS` vertices, or a step above half the terrain's sides.
    """
    west, south, east, north = terrain.bounds
    least, most = math.sqrt((east - west) * (north - south) / MOST_CELLS), min(east - west, north - south) / 2
    in_range("step in metres", step, least, most)
    size = max(1, round(step / terrain.step) // 2 * 2 + 1)
    smooth = uniform_filter(terrain.heights, size, mode="nearest") if size > 1 else terrain.heights
    flat = lattice(terrain.bounds, step)
    heights = terrain.sample(flat.points(), smooth).reshape(flat.heights.shape)
    return Terrain(heights, flat.west, flat.north, flat.step)


def flood_levels(terrain: Terrain, water: Inundation, depth: Floats | None = None) -> Floats:
    """Flood levels (rows, columns) on the vertices of the city's own terrain, NaN where dry, carried one vertex over
    the shore as :class:`mage.scenes.impact.Impact` needs them.

    Permanent water that has risen by less than :data:`SEEN` is none of the flood.

    Args:
        terrain: the city's.
        water: what :func:`shallow` returned.
        depth: on its bed: ``water.depth_max``; by default ``water.depth``.
    """
    depth = water.depth if depth is None else depth
    level = np.where(depth > SEEN, water.bed.heights + depth, np.nan)
    level = np.where(level <= water.normal + SEEN, np.nan, level)
    there = water.bed.sample(terrain.points(), extended_levels(water.bed, level)).reshape(terrain.heights.shape)
    return extended_levels(terrain, np.where(there > terrain.heights, there, np.nan))


def _cells(bed: Terrain, xy: tuple[float, float], reach: float) -> Mask:
    """The cells (rows, columns) whose middles lie within reach of a point, at least the nearest.

    Raises:
        HazardError: a point beside the terrain.
    """
    west, south, east, north = bed.bounds
    if not (west <= xy[0] <= east and south <= xy[1] <= north):
        raise HazardError(
            "water comes in beside the terrain",
            expected=f"within {west:g}, {south:g}, {east:g}, {north:g}",
            found=f"{xy}",
        )
    x, y = bed.axes()
    away = np.hypot(x - xy[0], (y - xy[1])[:, None])
    return np.asarray(away <= max(reach, float(away.min())))
