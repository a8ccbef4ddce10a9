"""Samples of which damage is asked, and how much of it a tile would show."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.generator.place import Place
from mage.generator.plan import ShardJob
from mage.scenes.city import City
from mage.scenes.grid import Grid
from mage.scenes.hazards.chain import chained, jds_of
from mage.scenes.hazards.flood import FloodBasis, draw_waters
from mage.scenes.hazards.wetting import Waters, sample_impact, torrent
from mage.scenes.impact import Impact
from mage.scenes.modifiers import aftermath
from mage.scenes.parts import FloodPart
from mage.scenes.settings import DamagedPart
from mage.scenes.strike import Burn, Strike

# streams of a sample
AFTER_STREAM, FLOOD_STREAM, TORRENT_STREAM = 7, 6, 5
RIM = 2  # pixels inside a tile's edge from which on a building is shown for certain
STRUCTURAL = 2  # an EMS-98 grade that much above a Joint Damage Scale grade looks like it, from above


def asked(part: DamagedPart | None, index: int) -> bool:
    """Whether damage is asked of sample ``index``: of the first n samples of any event, at least n times the share."""
    if part is None:
        return False
    before, after = (math.ceil(round(n * part.share, 9)) for n in (index, index + 1))
    return after > before


@dataclass(frozen=True, slots=True, eq=False)
class Harm:
    """What happens to a city in a sample of which damage is asked; ``waters`` are None while they go by the tile,
    ``known`` is what has been worked out of tiles already.
    """

    job: ShardJob
    index: int
    place: Place
    strikes: list[Strike]
    flood: FloodPart | None
    basis: FloodBasis | None
    waters: Waters | None
    known: dict[Grid, float] = field(default_factory=dict)

    @property
    def part(self) -> DamagedPart:
        """What is asked."""
        assert self.job.recipe.tiles.damaged is not None
        return self.job.recipe.tiles.damaged

    def likely(self) -> NDArray[np.float64]:
        """Middles (n, 2) of buildings that shaking, wind or fire has left as bad as is asked; there may be none."""
        struck = np.zeros(len(self.place.city.buildings), bool)
        for strike in self.strikes:
            struck |= (strike.ems98 >= self.part.grade + STRUCTURAL) | (strike.burn == Burn.BURNT)
        footprints = [self.place.city.buildings[i].footprint for i in np.flatnonzero(struck)]
        return np.asarray(shapely.get_coordinates(shapely.centroid(footprints)), float)

    def shown(self, grid: Grid) -> float:
        """How much of what is asked a tile shows, from 1 on enough."""
        if grid not in self.known:
            self.known[grid] = self._shown(grid)
        return self.known[grid]

    def _shown(self, grid: Grid) -> float:
        around = np.flatnonzero(shapely.intersects(self.place.outlines, shapely.box(*grid.bounds)))
        if not len(around):
            return 0.0
        inner = shapely.box(*grid.bounds).buffer(-RIM * grid.gsd, join_style="mitre")
        clear = shapely.intersects(self.place.outlines[around], inner)
        hit = int(((self._jds(grid, around)[around] >= self.part.grade) & clear).sum())
        return hit / max(self.part.buildings, math.ceil(self.part.part * len(around)))

    def _jds(self, grid: Grid, around: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Joint Damage Scale of all buildings; right for those ``around``."""
        city, strikes, water = self.place.city, list(self.strikes), None
        if self.flood is not None and self.basis is not None:
            waters, water = flooded(self.job, self.index, city, (self.flood, self.basis), self.waters, grid)
            broken = torrent(city, waters, water)
            strikes += [] if broken is None else [broken]
        if not strikes:
            return water.jds if water is not None else np.zeros(len(city.buildings), np.uint8)
        strike, seed = chained(strikes), after_seed(self.job, self.index)
        grades = jds_of(strikes, strike, aftermath(city, strike, seed, around))
        return grades if water is None else np.maximum(grades, water.jds)


def flooded(
    job: ShardJob, index: int, city: City, flood: tuple[FloodPart, FloodBasis], waters: Waters | None, grid: Grid
) -> tuple[Waters, Impact]:
    """A flood of a sample of which damage is asked, and what it does: a pure function of the tile, unless it is drawn
    already.
    """
    part, basis = flood
    if waters is None:
        waters = draw_waters(job.rng(index, FLOOD_STREAM), city, part, basis, grid)
    return waters, sample_impact(job.rng(index, TORRENT_STREAM), city, waters, part.region)


def after_seed(job: ShardJob, index: int) -> int:
    """What the ruins of a sample are drawn with."""
    return int(job.rng(index, AFTER_STREAM).integers(2**62))
