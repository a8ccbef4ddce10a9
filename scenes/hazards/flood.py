"""Flood: by a level surface that fills the ground wherever water can come from a river or through a breach, or by
another model of those that a recipe can name.

The level surface arrives at a vertex of the terrain at the lowest level that overtops some path to it
(:func:`arrival_levels`), along the edges of the triangles that are rendered; at a level, wet is what it arrives at
below that level. Buildings do not stand in its way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.scenes.city import City
from mage.scenes.errors import HazardError
from mage.scenes.grid import Grid
from mage.scenes.hazards.depth_raster import read_flood
from mage.scenes.hazards.hand import Hand, hand, hand_levels
from mage.scenes.hazards.passes import lowest_passes
from mage.scenes.hazards.runoff import run_off
from mage.scenes.hazards.wetting import WET, Waters, impact_of, sample_impact
from mage.scenes.impact import Impact
from mage.scenes.parts import FloodPart
from mage.scenes.sources.ground.relief import normal_levels
from mage.scenes.terrain import Terrain, extended_levels

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FloodBasis:
    """What all floods of one place share: where water comes at which level, and what the model needs besides.

    Attributes:
        arrival: :func:`arrival_levels` of the city.
        heights: above its drainage, for the model ``hand``.
        mapped: levels of a raster, for the model ``raster``.
    """

    arrival: Floats
    heights: Hand | None = None
    mapped: Floats | None = None


def arrival_levels(city: City) -> Floats:
    """The lowest flood level above which water reaches each vertex of the terrain, float64 (rows, columns), metres.

    Sources are the vertices of permanent water, from their normal level on. In a city where no vertex lies in permanent
    water, it is a breach at the lowest vertex of the terrain's border. One city's arrival levels serve any number of
    floods.

    Raises:
        HazardError: the city has no terrain.
    """
    terrain = _terrain(city)
    start, _ = _source(terrain, normal_levels(terrain, city.water))
    return lowest_passes(terrain.heights, start)


def flood(city: City, *, level: float, region: str = "europe", arrival: Floats | None = None) -> Impact:
    """Still water up to ``level`` metres (in the city's vertical datum) wherever it can reach; see
    :func:`mage.scenes.hazards.wetting.impact_of`.

    A level below all sources gives an impact without water.

    Args:
        city: a completed city.
        level: of the water surface.
        region: of the depth-damage curve.
        arrival: :func:`arrival_levels` of this city, if at hand.

    Raises:
        HazardError: no terrain, a level that is not finite, or an unknown region.
    """
    _terrain(city)
    if not math.isfinite(level):
        raise HazardError("a flood needs a level", expected="metres", found=f"{level}")
    arrival = _arrival_of(city, arrival)
    return impact_of(city, _filled(city, float(level), arrival, 0.0), region)


def prepare_flood(city: City, part: FloodPart) -> FloodBasis:
    """What all floods of one city by one part of a recipe share.

    Raises:
        HazardError: no terrain, no drainage for the model ``hand``, or a raster that does not fit the city.
        CityError: a raster that cannot be read.
    """
    arrival = arrival_levels(city)
    heights = hand(city) if part.model == "hand" else None
    mapped = None
    if part.model == "raster":
        assert part.file is not None
        mapped = read_flood(Path(part.file), city, holds=part.holds)
    return FloodBasis(arrival, heights, mapped)


def draw_waters(
    rng: np.random.Generator, city: City, part: FloodPart, basis: FloodBasis, within: Grid | None = None
) -> Waters:
    """A flood's water drawn; of the model ``fill`` by the least share of a tile's open ground under water, or by its
    stage.

    Open are the terrain's vertices in ``within`` that lie neither in permanent water nor under a building. The level is
    the one that wets the share nearest to the drawn one plus a drawn rise, without which flat ground would only ever be
    covered by centimetres; no higher than ``part.highest`` above the source. By the image the water has fallen by a
    drawn share of its stage; hollows that it cannot leave stay full.

    Args:
        rng: gives one number for a stage, two for a share, and one more where a recession is to be drawn.
        city: a completed city.
        part: what the recipe says.
        basis: :func:`prepare_flood` of city and part.
        within: the tile, local metres; needed by shares, and by those only.

    Raises:
        HazardError: a share without a tile; as :func:`mage.scenes.hazards.shallow.shallow`.
    """
    if part.model == "hand":
        assert basis.heights is not None
        assert part.stage is not None
        stage = float(rng.uniform(*part.stage))
        levels = hand_levels(city, stage, heights=basis.heights)
        return _fallen(city, Waters(levels, levels, {"model": "hand", "stage": stage}), stage, rng, part, basis)
    if part.model == "raster":
        assert basis.mapped is not None
        waters = Waters(basis.mapped, basis.mapped, {"model": "raster"})
        return _fallen(city, waters, _typical_depth(city, basis.mapped), rng, part, basis)
    if part.model == "shallow":
        waters = run_off(rng, city, part)
        return _fallen(city, waters, _typical_depth(city, waters.highest), rng, part, basis)
    level = _drawn_level(rng, city, part, within, basis.arrival)
    return _filled(city, level, basis.arrival, _drawn_recession(rng, part))


def sample_flood(
    rng: np.random.Generator,
    city: City,
    part: FloodPart,
    within: Grid | None = None,
    *,
    basis: FloodBasis | None = None,
) -> Impact:
    """A flood drawn from what a recipe says: :func:`draw_waters`, and what they do to the city.

    Raises:
        HazardError, CityError: as :func:`prepare_flood` and :func:`draw_waters`.
    """
    basis = prepare_flood(city, part) if basis is None else basis
    return sample_impact(rng, city, draw_waters(rng, city, part, basis, within), part.region)


def _drawn_level(rng: np.random.Generator, city: City, part: FloodPart, within: Grid | None, arrival: Floats) -> float:
    base = float(arrival.min())
    if part.stage is not None:
        level = base + float(rng.uniform(*part.stage))
    elif within is None:
        raise HazardError("a flood by share needs a tile", expected="a grid, or a stage in the recipe", found="neither")
    else:
        share = float(rng.uniform(*part.share))
        ground = arrival[_open_ground(city, within)]
        level = level_for_share(ground, share) if len(ground) else base + share * part.highest
        level += float(rng.uniform(*part.rise))
    return min(level, base + part.highest)


def _drawn_recession(rng: np.random.Generator, part: FloodPart) -> float:
    return float(rng.uniform(*part.recession)) if part.recession[1] > 0 else 0.0


def _filled(city: City, level: float, arrival: Floats, recession: float) -> Waters:
    """Still water that has fallen by a share of its stage."""
    base = float(arrival.min())
    highest = np.where(arrival < level, level, np.nan)
    parameters: dict[str, float | int | str | None] = {
        "level": level,
        "source": _source(city.ground, normal_levels(city.ground, city.water))[1],
        "stage": level - base,
        **_told(recession),
    }
    levels = receded(city.ground, highest, recession * max(level - base, 0.0), arrival)
    return Waters(extended_levels(city.ground, highest), levels, parameters)


def _fallen(
    city: City, waters: Waters, stage: float, rng: np.random.Generator, part: FloodPart, basis: FloodBasis
) -> Waters:
    """The same flood after a drawn recession, a share of ``stage`` metres."""
    recession = _drawn_recession(rng, part)
    if recession == 0:
        return waters
    wet = np.where(waters.levels > city.ground.heights, waters.levels, np.nan)
    levels = receded(city.ground, wet, recession * stage, basis.arrival)
    return replace(waters, levels=levels, parameters={**waters.parameters, **_told(recession)})


def _told(recession: float) -> dict[str, float | int | str | None]:
    """What a flood's parameters say of its recession: nothing of none."""
    return {"recession": recession} if recession > 0 else {}


def receded(terrain: Terrain, highest: Floats, fall: float, arrival: Floats) -> Floats:
    """Levels (rows, columns) after water has fallen by ``fall`` metres, carried one vertex over the shore.

    Nowhere does it fall below the lowest level at which it finds a way out, which is the one at which it came in:
    hollows keep what they cannot lose.

    Args:
        terrain: the city's.
        highest: levels of wet vertices at the peak, NaN elsewhere.
        fall: metres.
        arrival: :func:`arrival_levels`.
    """
    left = np.minimum(highest, np.maximum(highest - fall, arrival))
    return extended_levels(terrain, np.where(left > terrain.heights, left, np.nan))


def _typical_depth(city: City, levels: Floats) -> float:
    """Metres that nine tenths of the flooded vertices on dry land are below; what a recession is a share of."""
    normal = normal_levels(city.ground, city.water)
    depth = (levels - city.ground.heights)[(levels > city.ground.heights) & ~(normal > city.ground.heights)]
    return float(np.quantile(depth, 0.9)) if len(depth) else 0.0


def _arrival_of(city: City, arrival: Floats | None) -> Floats:
    arrival = arrival_levels(city) if arrival is None else arrival
    if arrival.shape != city.ground.heights.shape:
        raise HazardError(
            "arrival levels of another city", expected=f"{city.ground.heights.shape}", found=f"{arrival.shape}"
        )
    return arrival


def level_for_share(arrival: Floats, share: float) -> float:
    """The level that wets the share of these vertices nearest to ``share``, given their arrival levels (n,), n > 0."""
    steps, counts = np.unique(arrival, return_counts=True)
    wet = np.concatenate([[0], np.cumsum(counts)]) / len(arrival)
    step = int(np.abs(wet - share).argmin())
    if step == 0:
        return float(steps[0])
    if step == len(steps):
        return float(steps[-1]) + WET
    # half way to where the next vertex is wetted, but above the last one that shall be
    return float(max((steps[step - 1] + steps[step]) / 2, np.nextafter(steps[step - 1], np.inf)))


def _terrain(city: City) -> Terrain:
    if city.terrain is None:
        raise HazardError(f"the city {city.name} has no terrain to flood", expected="a completed city")
    return city.terrain


def _source(terrain: Terrain, normal: Floats) -> tuple[Floats, str]:
    """Level at each vertex that water comes from, NaN elsewhere, and whether that is a ``river`` or a ``breach``."""
    permanent = normal > terrain.heights
    if permanent.any():
        return np.where(permanent, normal, np.nan), "river"
    border = np.full(terrain.heights.shape, np.inf)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        border[edge] = terrain.heights[edge]
    start = np.full(border.shape, np.nan)
    lowest = np.unravel_index(border.argmin(), border.shape)
    start[lowest] = border[lowest]
    return start, "breach"


def _open_ground(city: City, within: Grid) -> NDArray[np.bool_]:
    """Vertices (rows, columns) of a tile's ground that may fall dry or be flooded: no permanent water, no building."""
    terrain = city.ground
    normal = normal_levels(terrain, city.water)
    west, south, east, north = within.bounds
    x, y = terrain.axes()
    inside = ((y >= south) & (y <= north))[:, None] & ((x >= west) & (x <= east))
    ground = inside & ~(normal > terrain.heights)
    plans = np.array([b.footprint for b in city.buildings], dtype=object)
    left, low, right, high = shapely.bounds(plans).T
    for plan in plans[(left <= east) & (right >= west) & (low <= north) & (high >= south)]:
        rows, columns = terrain.window(plan.bounds)
        ground[rows, columns] &= ~shapely.contains_xy(plan, *np.meshgrid(x[columns], y[rows]))
    return ground
