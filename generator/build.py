"""From a recipe to the place that its samples are taken of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mage.generator.place import Place, prepare_place
from mage.generator.plan import ShardJob
from mage.scenes.city import City
from mage.scenes.recipe import Recipe
from mage.scenes.settings import CityPart
from mage.scenes.sources import read_city
from mage.scenes.sources.complete import complete
from mage.scenes.sources.ground.draping import drape
from mage.scenes.sources.ground.elevation import read_terrain
from mage.scenes.sources.ground.lifting import lift_roofs
from mage.scenes.sources.procedural.build import build_city
from mage.scenes.style import load_style

CITY_STREAM, PAINT_STREAM = 2**32, 2**32 + 1  # apart from the samples' streams, which are their indices
AROUND = 150.0  # metres beside a part of a city that are read as well: pictures and shadows reach over its edge
STYLE = "suburb"  # of a made-up city
SPARSE = 0.12  # share of the ground built over below which a European town is a suburb

# Where a style is at home: west, south, east, north in degrees; the first that holds the city is taken. Coarse on
# purpose: it decides what is made up only, and a recipe's city.style goes before it.
_HOMES = (
    ("suburb", (-170.0, 13.0, -50.0, 72.0)),
    ("mediterranean", (-10.0, 30.0, 4.0, 41.5)),
    ("mediterranean", (4.0, 30.0, 45.0, 41.5)),
    ("mediterranean", (6.5, 41.5, 20.0, 44.2)),
    ("east-asian", (118.0, 20.0, 150.0, 46.0)),
    ("informal", (-20.0, -35.0, 52.0, 18.0)),
    ("informal", (-120.0, -56.0, -30.0, 13.0)),
    ("informal", (60.0, 5.0, 118.0, 30.0)),
)


def build_place(job: ShardJob) -> Place:
    """The recipe's city, read or made up, completed and painted; the same for every shard of a plan.

    Raises:
        CityError, RecipeError: the city's file, its terrain or its style cannot be used.
    """
    recipe = job.recipe
    rng = job.place_rng(CITY_STREAM)
    if recipe.city.file is None:
        style = load_style(recipe.city.style or STYLE)
        city = build_city(style, recipe.city.extent, rng)
    else:
        read = read_place(recipe.city)
        style = load_style(recipe.city.style or style_of(read))
        city = complete(_roomy(read, recipe), style, rng)
    if recipe.city.name is not None:
        city = replace(city, name=recipe.city.name)
    if recipe.city.drives is not None:
        city = replace(city, drives_left=recipe.city.drives == "left")
    return prepare_place(city, style, job.place_rng(PAINT_STREAM))


def read_place(part: CityPart) -> City:
    """A recipe's city file on its terrain, with nothing made up yet.

    Raises:
        CityError: a file cannot be used, or does not lie where the city does.
    """
    assert part.file is not None
    city = read_city(Path(part.file), part.bounds, margin=AROUND)
    if part.terrain:
        city = drape(city, read_terrain([Path(p) for p in part.terrain], city))
    if part.surface is not None:
        city = lift_roofs(city, Path(part.surface))
    return city


def style_of(city: City) -> str:
    """The bundled style of the part of the world that a city lies in; ``european`` where none is at home, or
    ``european-suburb`` where little of the ground is built over.
    """
    if city.crs is None:
        return "european"
    for name, (west, south, east, north) in _HOMES:
        if west <= city.longitude <= east and south <= city.latitude <= north:
            return name
    west, south, east, north = city.bounds
    built = sum(b.footprint.area for b in city.buildings) / max((east - west) * (north - south), 1.0)
    return "european" if built >= SPARSE else "european-suburb"


def _roomy(city: City, recipe: Recipe) -> City:
    """Bounds no smaller than a tile, so that no picture looks over the edge of the ground."""
    side = recipe.output.size * recipe.output.gsd
    west, south, east, north = city.bounds
    dx, dy = max(0.0, side - (east - west)) / 2, max(0.0, side - (north - south)) / 2
    return replace(city, bounds=(west - dx, south - dy, east + dx, north + dy))
