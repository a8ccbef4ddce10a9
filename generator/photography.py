"""A draft's two dates in front of the camera: their ground, what stands on it, their light and the air above it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.generator.additions import Additions
from mage.generator.atmosphere import through
from mage.generator.blender.devices import Device
from mage.generator.blender.stage import Stage
from mage.generator.ground import Painting, Raster, paint_ground
from mage.generator.ground_bands import ground_beyond, water_beyond
from mage.generator.place import Place
from mage.generator.props import Placements
from mage.generator.sample import Draft
from mage.generator.scars import scarred
from mage.generator.seasons import grounds_at, trees_in
from mage.generator.sensors import Sensor
from mage.generator.sight import Sight
from mage.generator.silt import silted
from mage.generator.sky import Light
from mage.generator.smoke import smoky
from mage.generator.struck import Struck
from mage.generator.trodden import trodden
from mage.generator.turbid import RIVERS, Turbidity
from mage.generator.wet_ground import deep_water, with_water
from mage.scenes.grid import Grid
from mage.scenes.hazards.flood import FloodBasis
from mage.scenes.terrain import Terrain, depth_at

Seconds = dict[str, float]


@dataclass(slots=True)
class Studio:
    """A place standing in Blender, kept between the jobs of one recipe."""

    place: Place
    stage: Stage
    basis: FloodBasis | None
    device: Device
    sensors: tuple[Sensor, ...] = ()
    seconds: Seconds = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Land:
    """A tile's ground without water, float32 rasters over ``grid``.

    Attributes:
        ground: reflectance in the visible (rows, columns, 3).
        decks: what bridges wear where that is another picture, likewise.
        beyond: reflectance of ``ground`` in the bands beyond the visible (rows, columns, 4), where it is asked for.
    """

    grid: Grid
    ground: Raster
    decks: Raster | None = None
    beyond: Raster | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Water:
    """Levels of permanent water and of a flood on the terrain's vertices, metres, NaN where dry, and how
    turbid the flood is.
    """

    normal: NDArray[np.float64]
    flood: NDArray[np.float64] | None = None
    turbidity: Turbidity = RIVERS

    @property
    def levels(self) -> NDArray[np.float64]:
        """Of whatever water is seen: where a flood covers a river, its level."""
        return self.normal if self.flood is None else np.fmax(self.normal, self.flood)


def lands(draft: Draft, studio: Studio) -> tuple[Land, Land]:
    """A draft's ground at both dates, with all that season, change and disaster left on it."""
    place, between, fine = studio.place, draft.between, draft.ground_grid.resampled(2)
    whole = paint_ground(place, fine)
    # of what lies beneath bridges, slanted images show a part
    beneath = place.works.decks > 0 and any(sight.slanted for sight in draft.sights)
    painted = paint_ground(place, fine, decks=False) if beneath else whole
    first, later = grounds_at(place, fine, painted, between.seasons, between.change)
    decks = whole if beneath else None
    before, after = None, None
    if studio.stage.spectral:
        before = ground_beyond(place, fine, first)
        after = ground_beyond(place, fine, later, draft.impact, between.camp)
    if draft.impact.shock is not None:
        later = scarred(place, fine, later, draft.impact.shock)
    later = silted(place, fine, later, draft.impact)
    if between.camp is not None:
        later = trodden(place, fine, later, between.camp)
    return Land(fine, first, decks, before), Land(fine, later, decks, after)


def photograph_date(draft: Draft, date: int, studio: Studio, land: Land, seconds: Seconds) -> NDArray[np.float32]:
    """One date's reflectance factor as smoke and sky let it through, float32 (rows, columns, 3 or 7)."""
    water = Water(studio.place.water_levels, draft.impact.levels if date == 1 else None, draft.turbidity)
    struck = draft.struck if date == 1 else None
    standing = studio.place.trees if struck is None else struck.trees
    trees, added = trees_in(draft.between.seasons[date], studio.place, standing), draft.between.added[date]
    light, vehicles = draft.lights[date], draft.vehicles[date]
    reflected = photograph(
        studio, draft.sights[date], land, light, vehicles, water, seconds, struck=struck, trees=trees, added=added
    )
    if date == 1 and draft.smoke is not None:
        reflected = smoky(reflected, draft.smoke, light)
    return through(reflected, draft.skies[date], light)


def photograph(
    studio: Studio,
    view: Grid | Sight,
    land: Land,
    light: Light,
    vehicles: Placements,
    water: Water,
    seconds: Seconds,
    *,
    struck: Struck | None = None,
    trees: Placements | None = None,
    added: Additions | None = None,
) -> NDArray[np.float32]:
    """Reflectance factor of a tile, float32 (rows, columns, 3), before any sensor; see :meth:`Stage.photograph`.

    Where the land is told beyond the visible: (rows, columns, 7), see :meth:`Stage.photograph_spectrum`.
    """
    terrain, fine = studio.place.city.ground, land.grid
    with timed(seconds, "ground"):
        depth = depth_at(terrain, water.levels, fine)
        turbidity = RIVERS if water.flood is None else water.turbidity
        painting = Painting(fine, land.ground, land.ground)  # no water is in the picture
        if depth.any():
            deep = deep_water(studio.place, fine, _flooded(terrain, water, fine, depth), turbidity)
            painting = with_water(land.ground, fine, depth, deep, turbidity)
        painting = replace(painting, decks=land.decks)
        beyond = None
        if land.beyond is not None:
            decks = None if land.decks is None else ground_beyond(studio.place, fine, land.decks)
            beyond = (*water_beyond(painting, land.ground, land.beyond, depth, turbidity), decks)
    rest = vehicles, water.levels, struck, trees, added
    with timed(seconds, "render"):
        if beyond is not None:
            return studio.stage.photograph_spectrum(view, light, painting, beyond, *rest)
        return studio.stage.photograph(view, light, painting, *rest)


def _flooded(terrain: Terrain, water: Water, fine: Grid, depth: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    """Where a flood is on a grid over which all water is ``depth`` deep; None without one."""
    if water.flood is None:
        return None
    near = terrain.window(fine.bounds)
    alone = not np.isfinite(water.normal[near]).any()
    return np.asarray((depth if alone else depth_at(terrain, water.flood, fine)) > 0)


class timed:  # noqa: N801 - reads as a statement
    """Add the wall seconds of a block to a stage."""

    def __init__(self, seconds: Seconds, stage: str) -> None:
        self._seconds, self._stage = seconds, stage

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: Any) -> None:
        self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + time.perf_counter() - self._start
