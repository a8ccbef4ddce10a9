"""Where a sample is taken: tiles spread over the city, each where the disaster has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mage.generator.harm import Harm
from mage.generator.place import Place
from mage.generator.plan import ShardJob
from mage.scenes.city import City
from mage.scenes.errors import CityError
from mage.scenes.grid import Grid
from mage.scenes.hazards.camp import Camp
from mage.scenes.hazards.flood import FloodBasis
from mage.scenes.hazards.wetting import Waters
from mage.scenes.parts import FloodPart
from mage.scenes.strike import Strike

HARMED = 0.1  # share of a tile's buildings that shall have come to grade 2 or more
WETTED = 0.1  # share of a tile's ground that shall be under the water of a flood that has been drawn before
TENTS = 10  # of a camp that a tile shall show
TILE_STREAM, TILE_TRIES, HARM_TRIES = 2**32 + 2, 8, 24
GOLDEN = 0.6180339887498949  # low-discrepancy step: any number of samples spreads evenly over the city
COARSE = 8.0  # metres between the points that a tile is asked at

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """Where water can come: ``below`` (rows, columns) on the terrain's vertices, true where a tile shall lie, in
    whatever unit says so most smoothly: the ground is wet where the value is below 0. ``share`` of a tile shall be.
    ``drawn`` tells that the water is known, and does not only come so far at most.
    """

    below: NDArray[np.float64]
    share: float
    drawn: bool = False

    @property
    def awaited(self) -> NDArray[np.bool_]:
        """Where water is; while it is not known, the lower half of what it can reach."""
        return self.below < (0.0 if self.drawn else min(0.0, float(np.median(self.below))))


def reach_of(part: FloodPart, basis: FloodBasis, waters: Waters | None, city: City) -> Reach:
    """Where a recipe's flood can come, or where the one that was drawn already has come."""
    if waters is None:
        above = basis.arrival - float(basis.arrival.min())
        if part.stage is not None:
            return Reach(above - min(part.stage[0], part.highest), WETTED)
        return Reach(above - part.highest, part.share[0])
    dry = np.nanmax(city.ground.heights) - np.nanmin(city.ground.heights) + 1.0
    return Reach(np.where(np.isfinite(waters.highest), city.ground.heights - waters.highest, dry), WETTED, True)


def choose_tile(
    job: ShardJob,
    index: int,
    place: Place,
    reach: Reach | None,
    rng: np.random.Generator,
    strikes: Sequence[Strike] = (),
    camp: Camp | None = None,
    harm: Harm | None = None,
) -> Grid:
    """The tile of a sample: around a building (a street, where there is none), taken in turn all over the city, within
    the city's bounds, or the part of it that the recipe's ``tiles`` say.

    A place that the disaster does not reach is passed over for another, up to eight times, and then the one that it
    reaches most is taken: no flood comes there, or another hazard leaves less than a tenth of the buildings at grade 2
    or more. Where there is a camp, tiles lie around its tents, and shall show ten of them, or all of fewer.
    A sample of which damage is asked (``harm``) is taken where there is, and goes by that alone and its camp's tents.

    Raises:
        CityError: the part of the city that tiles shall lie in is narrower than a tile.
    """
    city = place.city
    # a city of streets alone can be flooded too
    subjects = [b.footprint for b in city.buildings] or [e.line for e in city.roads.edges]
    centres = shapely.get_coordinates(shapely.centroid(subjects))
    part = part_of(job, city)
    centres = _inside(centres, part, or_else=None)
    if camp is not None and len(camp):
        centres = _inside(camp.xy, part, or_else=centres)
    elif harm is not None and len(likely := harm.likely()):
        centres = _inside(likely, part, or_else=centres)
    elif reach is not None:
        centres = _inside(_within_reach(city, centres, reach), part, or_else=centres)
    order = np.argsort(_morton(centres, city.bounds), kind="stable")
    turn = (job.rng(TILE_STREAM).random() + index * GOLDEN) % 1.0
    best, most = None, -1.0
    for _ in range(TILE_TRIES if harm is None else HARM_TRIES):
        grid = _tile_around(centres[order[int(turn * len(order))]], job, part or city.bounds, rng)
        if harm is None:
            reached = _reached(place, reach, strikes, grid, camp)
        else:
            reached = min(_reached(place, None, (), grid, camp), harm.shown(grid))
        if best is None or reached > most:
            best, most = grid, reached
        if most >= 1.0:
            break
        turn = rng.random()
    assert best is not None
    return best


def part_of(job: ShardJob, city: City) -> Box | None:
    """West, south, east, north (m) of the part of a city that a recipe's tiles lie in; None for the whole of it.

    Raises:
        CityError: it is narrower than a tile.
    """
    tiles, output = job.recipe.tiles, job.recipe.output
    if tiles.within == (0.0, 0.0, 1.0, 1.0):
        return None
    west, south, east, north = city.bounds
    sides = east - west, north - south
    low, high = (
        [
            start + share * side + inwards * (tiles.margin if 0 < share < 1 else 0.0)
            for start, share, side in zip((west, south), shares, sides, strict=True)
        ]
        for shares, inwards in ((tiles.within[:2], 1), (tiles.within[2:], -1))
    )
    side = output.size * output.gsd
    if (narrowest := min(high[0] - low[0], high[1] - low[1])) < side:
        raise CityError(
            f"the part of {city.name} that its tiles shall lie in is narrower than one",
            expected=f"{side:g} m (output.size times output.gsd)",
            found=f"{narrowest:.1f} m",
        )
    return low[0], low[1], high[0], high[1]


def _inside(centres: NDArray[np.float64], part: Box | None, or_else: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """The centres (n, 2) in a part of the city; where there are none, others, or points all over the part."""
    if part is None:
        return centres
    west, south, east, north = part
    x, y = centres.T
    inside = centres[(x >= west) & (x <= east) & (y >= south) & (y <= north)]
    if len(inside):
        return inside
    return Grid.covering(part, COARSE).points().reshape(-1, 2) if or_else is None else or_else


def _within_reach(city: City, centres: NDArray[np.float64], reach: Reach) -> NDArray[np.float64]:
    """The centres (n, 2) to which the flood comes; where it comes to none, the places nearest to one to which it does;
    all of them where it comes nowhere.
    """
    low = city.ground.sample(centres, reach.below) < 0
    if low.any():
        return centres[low]
    ground = Grid.covering(city.bounds, COARSE).points()
    ground = ground[city.ground.sample(ground, reach.below) < 0]
    if len(ground) == 0:
        return centres
    away, _ = cKDTree(centres).query(ground)
    return ground[np.argsort(away, kind="stable")[: max(1, len(ground) // 10)]]


def _reached(
    place: Place, reach: Reach | None, strikes: Sequence[Strike], grid: Grid, camp: Camp | None = None
) -> float:
    """How much of what a tile shall have it has, from 1 on enough: ground that the flood reaches, buildings that each
    other hazard has harmed, and tents.
    """
    shares = [1.0]
    if reach is not None and reach.share > 0:
        low = place.city.ground.sample(Grid.covering(grid.bounds, COARSE).points(), reach.below) < 0
        shares.append(float(low.mean()) / reach.share)
    for strike in strikes:
        inside = shapely.intersects(place.outlines, shapely.box(*grid.bounds))
        shares.append(float((strike.ems98[inside] >= 2).mean()) / HARMED if inside.any() else 0.0)
    if camp is not None and len(camp):
        west, south, east, north = grid.bounds
        x, y = camp.xy.T
        inside = (x > west) & (x < east) & (y > south) & (y < north)
        shares.append(float(inside.sum()) / min(TENTS, len(camp)))
    return min(shares)


def _tile_around(centre: NDArray[np.float64], job: ShardJob, bounds: Box, rng: np.random.Generator) -> Grid:
    output, (west, south, east, north) = job.recipe.output, bounds
    side = output.size * output.gsd
    x, y = centre + rng.uniform(-0.25, 0.25, 2) * side
    x = np.clip(x, west + side / 2, max(east - side / 2, west + side / 2))
    y = np.clip(y, south + side / 2, max(north - side / 2, south + side / 2))
    # whole pixels of the map, so that tiles of one city share one lattice
    snapped = np.round(np.array([x, y]) / output.gsd) * output.gsd
    return Grid.around(float(snapped[0]), float(snapped[1]), output.size, output.gsd)


def _morton(points: NDArray[np.float64], bounds: tuple[float, float, float, float]) -> NDArray[np.int64]:
    """Position of each point along a curve that keeps neighbours together (Morton order, 10 bits an axis)."""
    west, south, east, north = bounds
    extent = max(east - west, north - south)
    cells = np.clip(((points - (west, south)) / extent * 1023).astype(np.int64), 0, 1023)
    bits = np.arange(10)
    spread = ((cells[:, :, None] >> bits & 1) << (2 * bits)).sum(axis=2)
    return np.asarray(spread[:, 0] | spread[:, 1] << 1)
