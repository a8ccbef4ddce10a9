"""Making a city whole: ground, water, streets, land and trees for a source that holds buildings only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.scenes.city import City, WaterBody
from mage.scenes.errors import CityError
from mage.scenes.sources.ground import feet, seated, smooth_ground, trusted_heights
from mage.scenes.sources.land import infer_land
from mage.scenes.sources.planting import plant_trees
from mage.scenes.sources.relief import carve, shore_distance, sink_streets, undulation
from mage.scenes.sources.rivers import side_river
from mage.scenes.sources.streets import infer_streets
from mage.scenes.style import Style
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]

TERRAIN_MARGIN = 80.0  # metres of ground around what the source holds
VIEW_MARGIN = 60.0  # metres around it that may be photographed
VALLEY = 38.0  # metres beside a made-up river over which the ground falls to its banks
NEIGHBOURHOOD = 150.0  # metres from a made-up river within which no house lies below its level
LARGEST = 8_000.0  # metres; a wider city is not built in one piece: its terrain alone would take gigabytes


def complete(city: City, style: Style, rng: np.random.Generator) -> City:
    """The city with everything that its source lacks, all of it named in ``inferred``.

    What the source holds is left as it is, but for ground, which is carved under water and never lies below a
    building's foot. Bounds grow by 60 m, so that pictures can show the river and the edge of the town.

    Raises:
        CityError: no buildings, a city wider than 8 km, or a source's terrain that does not lie under the city.
    """
    _check(city)
    ground_rng, river_rng, land_rng, tree_rng = rng.spawn(4)
    made_up: list[str] = []
    terrain, water = city.terrain, city.water
    if terrain is None:
        terrain = _ground(ground_rng, city)
        made_up.append("terrain")
    if not water:
        water = _river(river_rng, style, city, terrain)
        terrain = _with_valley(terrain, water)
        made_up += ["water"] if water else []
    west, south, east, north = terrain.bounds
    domain = shapely.box(west, south, east, north)
    roads = city.roads
    if not roads.edges:
        roads = infer_streets([b.footprint for b in city.buildings], water, domain, style.streets)
        made_up.append("roads")
    terrain = carve(sink_streets(terrain, roads, style.streets.sunk), water)
    terrain = seated(terrain, city.buildings)
    whole = replace(city, terrain=terrain, water=water, roads=roads, bounds=_view(city, terrain))
    if not city.land:
        whole = replace(whole, land=infer_land(land_rng, whole, style, domain))
        made_up.append("land")
    if not len(city.trees):
        whole = replace(whole, trees=plant_trees(tree_rng, whole, style))
        made_up.append("trees")
    return whole.with_parts(inferred=tuple(made_up))


def _check(city: City) -> None:
    if not city.buildings:
        raise CityError("nothing to complete", file=city.name, expected="at least one building", found="none")
    west, south, east, north = city.bounds
    if not max(east - west, north - south) <= LARGEST:
        raise CityError(
            "too wide to be built in one piece",
            file=city.name,
            expected=f"at most {LARGEST / 1000:.0f} km",
            found=f"{max(east - west, north - south) / 1000:.1f} km",
        )


def _grown(bounds: tuple[float, float, float, float], margin: float) -> tuple[float, float, float, float]:
    west, south, east, north = bounds
    return west - margin, south - margin, east + margin, north + margin


def _view(city: City, terrain: Terrain) -> tuple[float, float, float, float]:
    """The city's bounds grown by the view's margin, but not beyond the terrain."""
    grown, limit = _grown(city.bounds, VIEW_MARGIN), terrain.bounds
    west, south = max(grown[0], limit[0]), max(grown[1], limit[1])
    east, north = min(grown[2], limit[2]), min(grown[3], limit[3])
    if not (west < east and south < north):
        raise CityError(
            "the terrain does not lie under the city", file=city.name, expected=str(grown), found=str(limit)
        )
    return west, south, east, north


def _ground(rng: np.random.Generator, city: City) -> Terrain:
    """A surface under all buildings, uneven enough that still water takes a natural outline.

    Sources often give whole quarters one ground height. Real ones of that kind still rise and fall by some decimetres
    from street to street, and it is these that decide whose house stays dry: half a metre at 140-320 m, all of it above
    the feet so that no building floats, and a decimetre at shorter wavelengths.
    """
    boxes = shapely.total_bounds([b.footprint for b in city.buildings])
    west, south, east, north = city.bounds
    reach = (min(west, boxes[0]), min(south, boxes[1]), max(east, boxes[2]), max(north, boxes[3]))
    smooth = smooth_ground(city.buildings, _grown(reach, TERRAIN_MARGIN))
    rough = undulation(rng, smooth, (60.0, 25.0, 11.0), 0.1) + 0.25 + undulation(rng, smooth, (320.0, 140.0), 0.25)
    return seated(replace(smooth, heights=smooth.heights + rough), city.buildings)


def _river(rng: np.random.Generator, style: Style, city: City, terrain: Terrain) -> tuple[WaterBody, ...]:
    """A river on the lowest side, its level below the ground beside it and the houses near it; () without room."""
    outline = side_river(rng, style, city, terrain)
    if outline is None:
        return ()
    near = np.abs(shore_distance(terrain, outline, 15.0)) <= 15.0
    if not near.any():
        return ()
    lowest = float(np.quantile(terrain.heights[near], 0.1))
    footprints = np.array([b.footprint for b in city.buildings], dtype=object)
    beside = shapely.dwithin(footprints, outline, NEIGHBOURHOOD)
    if beside.any():
        trusted, _ = trusted_heights(*feet(city.buildings))
        lowest = min(lowest, float(trusted[beside].min()))
    return (WaterBody(outline, lowest - rng.uniform(*style.river.below), "river", inferred=True),)


def _with_valley(terrain: Terrain, water: Sequence[WaterBody]) -> Terrain:
    """Ground drawn towards a metre above the water beside a made-up river, so that it has banks and not cliffs."""
    heights = terrain.heights
    for body in water:
        away = np.maximum(shore_distance(terrain, body.outline, VALLEY), 0)
        share = np.where(np.isfinite(away), 0.5 + 0.5 * np.cos(np.pi * np.clip(away / VALLEY, 0, 1)), 0.0)
        bank = body.level + 0.9 + 0.02 * np.where(np.isfinite(away), away, 0)
        # the ground's own unevenness goes on
        heights = heights + share * (np.clip(heights, bank - 0.15, bank + 0.25) - heights)
    return replace(terrain, heights=heights)
