"""Making a city whole: ground, water, streets, land and trees, as far as its source lacks them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from shapely.geometry import Polygon

from mage.scenes.city import City, Trees, WaterBody
from mage.scenes.errors import CityError
from mage.scenes.sources.buildings.heights import draw_heights
from mage.scenes.sources.ground.draping import drape, undraped
from mage.scenes.sources.ground.inferred import STEP, feet, grounded, seated, smooth_ground, trusted_heights
from mage.scenes.sources.ground.levels import level_water
from mage.scenes.sources.ground.relief import bed, carve, finest_step, lattice, shore_distance, sink_streets, undulation
from mage.scenes.sources.living.furnish import furnish
from mage.scenes.sources.living.land import infer_land
from mage.scenes.sources.living.pieces import in_pieces
from mage.scenes.sources.living.planting import plant_trees
from mage.scenes.sources.living.streets import infer_streets
from mage.scenes.sources.procedural.rivers import side_river
from mage.scenes.style import Style
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]

TERRAIN_MARGIN = 80.0  # metres of ground around what the source holds
VIEW_MARGIN = 60.0  # metres around it that may be photographed
VALLEY = 38.0  # metres beside a made-up river over which the ground falls to its banks
NEIGHBOURHOOD = 150.0  # metres from a made-up river within which no house lies below its level
BARE = 0.02  # of the view that a source's land may leave uncovered
MAPPED = 60.0  # metres around a source's trees within which it holds all that there are
LARGEST = 12_000.0  # metres; a wider city is not built in one piece: its trees alone would be millions


def complete(city: City, style: Style, rng: np.random.Generator) -> City:
    """The city with everything that its source lacks, all of it named in ``inferred``.

    What the source holds stays, part by part: its streets, its water, its land, beneath which the style's ground goes
    where it leaves some bare, its trees, beside which others are planted where it has none. Buildings without heights
    are given some, and those without a ground are put on the terrain, as is water without a level (see
    :func:`mage.scenes.sources.ground.draping.drape`).

    A terrain of the source's keeps its heights but for beds under water. One that is made up runs through the feet of
    the buildings, is carved beside water, sunk under streets, and never lies below a building's own ground. A river
    is made up only beside buildings that are all there is. Where the streets are made up, bounds grow by 60 m, so that
    pictures can show the river and the edge of the town; a source with streets ends where its bounds are.

    Raises:
        CityError: neither buildings nor roads, a city wider than 12 km, or a source's terrain that does not lie under
            the city.
    """
    _check(city)
    ground_rng, river_rng, land_rng, tree_rng, height_rng, detail_rng = rng.spawn(6)
    city = _with_heights(height_rng, city, style)
    surveyed = city.terrain is not None and not city.terrain.inferred
    made_up: list[str] = []
    terrain = city.terrain
    if terrain is None:
        terrain = _ground(ground_rng, city)
        made_up.append("terrain")
    if not (city.water or city.roads.edges or surveyed):
        river = _river(river_rng, style, city, terrain)
        terrain = _with_valley(terrain, river)
        city = replace(city, water=river)
        made_up += ["water"] if river else []
    city = level_water(city, terrain)
    west, south, east, north = terrain.bounds
    domain = shapely.box(west, south, east, north)
    if not city.roads.edges:
        footprints = [b.footprint for b in city.buildings]
        city = replace(city, roads=infer_streets(footprints, city.water, domain, style.streets))
        made_up.append("roads")
    terrain = _with_water(terrain, city) if surveyed else _shaped(terrain, city, style)
    city = replace(drape(city, terrain), bounds=_view(city, terrain, VIEW_MARGIN if "roads" in made_up else 0.0))
    city, land = _with_land(land_rng, city, style, domain)
    city, trees = _with_trees(tree_rng, city, style)
    return furnish(city.with_parts(inferred=(*made_up, *land, *trees)), style, detail_rng)


def _with_heights(rng: np.random.Generator, city: City, style: Style) -> City:
    """The city with all heights drawn; meshes that were raised anew have yet to be put on the terrain."""
    drawn = draw_heights(city, style, rng)
    pairs = zip(city.buildings, drawn.buildings, strict=True)
    return replace(drawn, buildings=tuple(new if new.mesh is old.mesh else undraped(new) for old, new in pairs))


def _with_water(terrain: Terrain, city: City) -> Terrain:
    return bed(terrain, city.water, [b.footprint for b in city.buildings])


def _shaped(terrain: Terrain, city: City, style: Style) -> Terrain:
    """Made-up ground with streets, water and the buildings' own ground in it."""
    known = grounded(city.buildings)
    terrain = carve(sink_streets(terrain, city.roads, style.streets.sunk), city.water)
    return seated(terrain, known) if known else terrain


def _with_land(rng: np.random.Generator, city: City, style: Style, domain: Polygon) -> tuple[City, tuple[str, ...]]:
    """The city with the style's ground wherever its own leaves some of the view bare."""
    view = shapely.box(*city.bounds)
    known = [p.outline for p in city.land] + [w.outline for w in city.water]
    if city.land and view.difference(shapely.union_all(known)).area <= BARE * view.area:
        return city, ()
    beneath = infer_land(rng, replace(city, land=()), style, domain)
    return replace(city, land=(*beneath, *city.land)), ("more land" if city.land else "land",)


def _with_trees(rng: np.random.Generator, city: City, style: Style) -> tuple[City, tuple[str, ...]]:
    """The city with trees wherever its own stand too far to be all there are."""
    own, planted = city.trees, plant_trees(rng, in_pieces(replace(city, trees=Trees())), style)
    if len(own):
        alone = cKDTree(own.xy).query(planted.xy)[0] > MAPPED if len(planted) else np.zeros(0, bool)
        arrays = ("xy", "height", "radius", "species")
        joined = {name: np.concatenate([getattr(own, name), getattr(planted, name)[alone]]) for name in arrays}
        planted = Trees(**joined)
    name = "more trees" if len(own) else "trees"
    return replace(city, trees=planted), (name,) if len(planted) > len(own) else ()


def _check(city: City) -> None:
    if not (city.buildings or city.roads.edges):
        raise CityError("nothing to complete", file=city.name, expected="buildings or roads", found="neither")
    west, south, east, north = city.bounds
    if not max(east - west, north - south) <= LARGEST:
        raise CityError(
            "too wide to be built in one piece",
            file=city.name,
            expected=f"at most {LARGEST / 1000:.0f} km: read a part of it by --bounds",
            found=f"{max(east - west, north - south) / 1000:.1f} km",
        )


def _grown(bounds: tuple[float, float, float, float], margin: float) -> tuple[float, float, float, float]:
    west, south, east, north = bounds
    return west - margin, south - margin, east + margin, north + margin


def _view(city: City, terrain: Terrain, margin: float) -> tuple[float, float, float, float]:
    """The city's bounds grown by a margin, but not beyond the terrain."""
    grown, limit = _grown(city.bounds, margin), terrain.bounds
    west, south = max(grown[0], limit[0]), max(grown[1], limit[1])
    east, north = min(grown[2], limit[2]), min(grown[3], limit[3])
    if not (west < east and south < north):
        raise CityError(
            "the terrain does not lie under the city", file=city.name, expected=str(grown), found=str(limit)
        )
    return west, south, east, north


def _ground(rng: np.random.Generator, city: City) -> Terrain:
    """A surface through all that is known of the ground, uneven enough that still water takes a natural outline.

    Sources often give whole quarters one ground height. Real ones of that kind still rise and fall by some decimetres
    from street to street, and it is these that decide whose house stays dry: half a metre at 140-320 m, all of it above
    the feet so that no building floats, and a decimetre at shorter wavelengths.
    """
    boxes = shapely.total_bounds([shapely.box(*city.bounds), *(b.footprint for b in city.buildings)])
    area, known = _grown(tuple(boxes.tolist()), TERRAIN_MARGIN), grounded(city.buildings)
    xy, height = feet(known)
    xy, height = np.concatenate([xy, city.spots[:, :2]]), np.concatenate([height, city.spots[:, 2]])
    flat = replace(lattice(area, finest_step(area, STEP)), inferred=True)
    smooth = smooth_ground(xy, height, area) if len(xy) else flat
    rough = undulation(rng, smooth, (60.0, 25.0, 11.0), 0.1) + 0.25 + undulation(rng, smooth, (320.0, 140.0), 0.25)
    terrain = replace(smooth, heights=smooth.heights + rough)
    return seated(terrain, known) if known else terrain


def _river(rng: np.random.Generator, style: Style, city: City, terrain: Terrain) -> tuple[WaterBody, ...]:
    """A river on the lowest side, its level below the ground beside it and the houses near it; () without room."""
    outline = side_river(rng, style, city, terrain)
    if outline is None:
        return ()
    near = np.abs(shore_distance(terrain, outline, 15.0)) <= 15.0
    if not near.any():
        return ()
    lowest = float(np.quantile(terrain.heights[near], 0.1))
    known = grounded(city.buildings)
    footprints = np.array([b.footprint for b in known], dtype=object)
    beside = shapely.dwithin(footprints, outline, NEIGHBOURHOOD)
    if beside.any():
        trusted, _ = trusted_heights(*feet(known))
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
