"""A whole city in one picture from above, before any disaster."""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from mage.generator.between import seasons_of
from mage.generator.ground import paint_ground
from mage.generator.photography import Land, Studio, Water, photograph
from mage.generator.plan import ShardJob
from mage.generator.props import place_vehicles
from mage.generator.seasons import grounds_at, trees_in
from mage.generator.sensors import expose, sample_radiometry
from mage.generator.sky import clear_light, sun_position
from mage.scenes.change import Change
from mage.scenes.grid import Grid
from mage.scenes.traffic import park_vehicles

PORTRAIT_STREAM = 2**32 + 8  # apart from all others of a recipe
FINEST = 0.1  # metres per pixel
HAZE = 0.15


def portray(job: ShardJob, studio: Studio) -> NDArray[np.uint8]:
    """The city within its bounds, ``output.size`` pixels along the longer side, uint8 (rows, columns, 3) RGB.

    Sun and season are those of the recipe's first date, half-way through its hours.
    """
    place, recipe = studio.place, job.recipe
    city, rng = place.city, job.rng(PORTRAIT_STREAM)
    west, south, east, north = city.bounds
    gsd = max(max(east - west, north - south) / recipe.output.size, FINEST)
    grid = Grid(max(1, int((north - south) / gsd)), max(1, int((east - west) / gsd)), west, north, gsd)
    light = clear_light(
        sun_position(date.fromisoformat(recipe.light.pre), sum(recipe.light.hours) / 2, city.latitude), HAZE
    )
    vehicles = place_vehicles(park_vehicles(rng, city, place.style), city.ground)
    fine = grid.resampled(2)
    season = seasons_of(recipe, place)[0]
    land = Land(fine, grounds_at(place, fine, paint_ground(place, fine), (season, season), Change())[0])
    trees = trees_in(season, place, place.trees)
    reflected = photograph(studio, grid, land, light, vehicles, Water(place.water_levels), {}, trees=trees)
    return expose(reflected, sample_radiometry(rng), rng)
