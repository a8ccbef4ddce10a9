"""Moving water as a recipe draws it: rain on the city, a river that swells, a bank that breaks."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from mage.scenes.city import City
from mage.scenes.hazards.inertia import Inundation
from mage.scenes.hazards.shallow import Breach, Inflow, flood_levels, shallow
from mage.scenes.hazards.wetting import Flow, Waters
from mage.scenes.parts import FloodPart
from mage.scenes.sources.ground.relief import normal_levels
from mage.scenes.terrain import Terrain, neighbours

Floats = NDArray[np.float64]

FINEST, CELLS = 8.0, 10_000  # metres between vertices at least, and about how many cells at most
GAP, MOUTH = 20.0, 30.0  # metres that a bank breaks over, and that a river comes in over
BORDER = 2  # cells from the terrain's border that nothing comes in at, as water would leave there at once


def run_off(rng: np.random.Generator, city: City, part: FloodPart) -> Waters:
    """Rain, inflow and breach drawn from what the recipe says, and the water that comes of them.

    Lattices of large cities are coarser, so that a flood takes seconds. Unless the recipe says where, a river's water
    comes in where the largest permanent water at the terrain's border is highest, and a bank breaks at a shore
    anywhere; without permanent water both are where the border is lowest. The river itself is at rest at first: what
    comes in is all that it carries.

    Raises:
        HazardError: as :func:`mage.scenes.hazards.shallow.shallow`.
    """
    terrain, minutes = city.ground, float(rng.uniform(*part.minutes))
    west, south, east, north = terrain.bounds
    step = max(FINEST, math.sqrt((east - west) * (north - south) / CELLS))
    margin = min(math.ceil(BORDER * step / terrain.step), (min(terrain.heights.shape) - 1) // 2)
    parameters: dict[str, float | int | str | None] = {"model": "shallow", "minutes": minutes}
    rain = 0.0
    inflows: tuple[Inflow, ...] = ()
    breaches: tuple[Breach, ...] = ()
    if part.rain is not None:
        rain = parameters["rain"] = float(rng.uniform(*part.rain))
    if part.inflow is not None:
        discharge = parameters["inflow"] = float(rng.uniform(*part.inflow))
        inflows = (Inflow(_given(city, part) or _mouth(city, margin), discharge, width=MOUTH),)
    if part.breach is not None:
        head = parameters["breach"] = float(rng.uniform(*part.breach))
        at = _given(city, part) or _bank(rng, city, margin)
        breaches = (Breach(at, GAP, float(terrain.sample(np.array(at))) + head),)
    water = shallow(city, minutes=minutes, step=step, rain=rain, inflows=inflows, breaches=breaches)
    highest = flood_levels(terrain, water, water.depth_max)
    return Waters(highest, flood_levels(terrain, water), parameters, _flow(water))


def _flow(water: Inundation) -> Flow:
    heading = np.arctan2(water.velocity[..., 1], water.velocity[..., 0])
    return Flow(water.bed, water.speed_max, water.flow_max, heading)


def _given(city: City, part: FloodPart) -> tuple[float, float] | None:
    """Where the recipe says that water comes in, local metres."""
    return None if part.at is None else (part.at[0] - city.origin[0], part.at[1] - city.origin[1])


def _mouth(city: City, margin: int) -> tuple[float, float]:
    """Where a river enters the terrain: the highest place near its border of the largest permanent water there, as far
    from the border as ``margin`` or, where that water keeps nearer to it, as it gets.
    """
    terrain = city.ground
    normal = normal_levels(terrain, city.water)
    inside = np.minimum(_inside(terrain, margin), 1)
    bodies, _ = label(normal > terrain.heights, np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]]))
    there = np.unique(bodies[(inside <= 0) & (bodies > 0)])
    if len(there):
        largest = bodies == there[np.bincount(bodies.ravel())[there].argmax()]
        rim = largest & (inside == min(0, int(inside[largest].max())))
        return _place(terrain, int(np.where(rim, normal, -np.inf).argmax()))
    return _place(terrain, int(np.where(inside == 0, terrain.heights, np.inf).argmin()))


def _bank(rng: np.random.Generator, city: City, margin: int) -> tuple[float, float]:
    """A drawn vertex of dry ground beside permanent water, away from the border."""
    terrain = city.ground
    wet = (normal_levels(terrain, city.water) > terrain.heights).astype(float)
    inside = _inside(terrain, margin)
    shores = np.flatnonzero((wet == 0) & (inside >= 0) & (np.nan_to_num(neighbours(wet)).max(axis=0) > 0))
    draw = rng.random()
    if len(shores):
        return _place(terrain, int(shores[int(draw * len(shores))]))
    return _place(terrain, int(np.where(inside == 0, terrain.heights, np.inf).argmin()))


def _inside(terrain: Terrain, margin: int) -> NDArray[np.int64]:
    """How many vertices further from the border than ``margin`` each lies, (rows, columns)."""
    rows, columns = np.indices(terrain.heights.shape)
    last_row, last_column = terrain.heights.shape[0] - 1, terrain.heights.shape[1] - 1
    away = np.minimum(np.minimum(rows, last_row - rows), np.minimum(columns, last_column - columns))
    return np.asarray(away - margin)


def _place(terrain: Terrain, index: int) -> tuple[float, float]:
    x, y = terrain.points().reshape(-1, 2)[index]
    return float(x), float(y)
