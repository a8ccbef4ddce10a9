"""From a recipe to the place that its samples are taken of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mage.generator.place import Place, prepare_place
from mage.generator.plan import ShardJob
from mage.scenes.city import City
from mage.scenes.recipe import Recipe
from mage.scenes.sources import read_city
from mage.scenes.sources.complete import complete
from mage.scenes.sources.procedural import build_city
from mage.scenes.style import load_style

CITY_STREAM, PAINT_STREAM = 2**32, 2**32 + 1  # apart from the samples' streams, which are their indices


def build_place(job: ShardJob) -> Place:
    """The recipe's city, read or made up, completed and painted; the same for every shard of a plan.

    Raises:
        CityError, RecipeError: the city's file or its style cannot be used.
    """
    recipe = job.recipe
    rng = job.rng(CITY_STREAM)
    if recipe.city.file is None:
        style = load_style(recipe.city.style or "suburb")
        city = build_city(style, recipe.city.extent, rng)
    else:
        read = read_city(Path(recipe.city.file))
        style = load_style(recipe.city.style or style_of(read))
        city = complete(_roomy(read, recipe), style, rng)
    return prepare_place(city, style, job.rng(PAINT_STREAM))


def style_of(city: City) -> str:
    """The bundled style of the part of the world that a city lies in: ``suburb`` in the Americas, else ``european``."""
    return "suburb" if city.crs is not None and -170 < city.longitude < -30 else "european"


def _roomy(city: City, recipe: Recipe) -> City:
    """Bounds no smaller than a tile, so that no picture looks over the edge of the ground."""
    side = recipe.output.size * recipe.output.gsd
    west, south, east, north = city.bounds
    dx, dy = max(0.0, side - (east - west)) / 2, max(0.0, side - (north - south)) / 2
    return replace(city, bounds=(west - dx, south - dy, east + dx, north + dy))
