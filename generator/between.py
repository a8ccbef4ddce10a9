"""Conditions between the dates of a sample: season, benign change, and what is held the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree

from mage.generator.additions import Additions, both, build_additions
from mage.generator.place import Place
from mage.generator.plan import ShardJob
from mage.generator.props import FALLEN, Placements
from mage.generator.struck import Struck
from mage.generator.tents import build_camp
from mage.scenes.change import POST, PRE, Bounds, Change, sample_change
from mage.scenes.hazards.camp import Camp
from mage.scenes.impact import Impact, Vehicles, plans_of
from mage.scenes.recipe import Recipe
from mage.scenes.season import Season

Floats = NDArray[np.float64]

CHANGE_STREAM = 41  # of a sample
CAME = 0.02  # severity of a fire's ground from which on it counts as burnt
FOOT = 2.0  # metres from one to the next of the points that stand for a harmed building's or a tent's walls


@dataclass(frozen=True, slots=True, eq=False)
class Between:
    """What tells the two dates of a sample apart, beside its disaster, light and vehicles; a pair is before and after,
    and what is added after holds the ``camp``.
    """

    seasons: tuple[Season, Season]
    change: Change
    added: tuple[Additions, Additions]
    camp: Camp | None = None

    def cleared(self, vehicles: Vehicles, when: int) -> Vehicles:
        """Vehicles but for those that stand where something new does at a date."""
        plans = self.change.plans(when) + (list(self.camp.plans()) if self.camp is not None and when == POST else [])
        if not plans or not len(vehicles):
            return vehicles
        free = np.ones(len(vehicles), bool)
        own = plans_of(vehicles.xy, vehicles.heading, vehicles.kind)
        free[STRtree(plans).query(own, predicate="dwithin", distance=0.4)[0]] = False
        return Vehicles(vehicles.xy[free], vehicles.heading[free], vehicles.colour[free], vehicles.kind[free])


def draw_between(
    job: ShardJob,
    index: int,
    place: Place,
    bounds: Bounds,
    impact: Impact,
    struck: Struck | None,
    camp: Camp | None = None,
) -> Between:
    """Draw what changes between the dates of sample ``index`` within its tile's ``bounds``; no change is where the
    disaster or a ``camp`` is, which stands after.
    """
    part, rng = job.recipe.between, job.rng(index, CHANGE_STREAM)
    amount = 0.0 if part.hold else float(rng.uniform(*part.changes))
    change = Change()
    if amount > 0:
        spoilt = np.concatenate([_spoilt(place, bounds, impact, struck), _camped(camp)])
        change = sample_change(rng, place.city, bounds, amount, spoilt)
    ground = place.city.ground
    return Between(
        seasons_of(job.recipe, place),
        change,
        (build_additions(change, PRE, ground), both(build_additions(change, POST, ground), build_camp(camp, ground))),
        camp,
    )


def seasons_of(recipe: Recipe, place: Place) -> tuple[Season, Season]:
    """The seasons of a recipe's dates at a place."""
    light, city = recipe.light, place.city
    before, after = (
        Season.of(date.fromisoformat(day), city.latitude, place.style.climate) for day in (light.pre, light.post)
    )
    held = recipe.between.hold or recipe.between.season == "held"
    return before, before if held else after


def _spoilt(place: Place, bounds: Bounds, impact: Impact, struck: Struck | None) -> Floats:
    """Points (k, 2) in and around a tile where the disaster came: water, fire, debris, trunks, harmed buildings."""
    terrain, view = place.city.ground, shapely.box(*bounds).buffer(20.0)
    reached = np.isfinite(impact.levels)
    harmed = [place.outlines[i] for i in np.flatnonzero(impact.jds > 0) if place.outlines[i].intersects(view)]
    walls = shapely.get_coordinates(shapely.segmentize(harmed, FOOT)) if harmed else np.zeros((0, 2))
    points = [walls]
    if struck is not None:
        reached |= struck.severity > CAME
        points.append(struck.remains.mesh.vertices[:, :2])
        points.append(_trunks(struck.trees))
    points.append(terrain.points()[reached.ravel()])
    every = np.concatenate(points)
    west, south, east, north = view.bounds
    x, y = every.T
    return every[(x > west) & (x < east) & (y > south) & (y < north)]


def _camped(camp: Camp | None) -> Floats:
    """Points (k, 2) along the walls and tracks of a camp."""
    if camp is None or not len(camp.plans()):
        return np.zeros((0, 2))
    return shapely.get_coordinates(shapely.segmentize([*camp.plans(), *camp.tracks], FOOT))


def _trunks(trees: Placements) -> Floats:
    """Points (k, 2) along felled trees."""
    down = (trees.prototype >= FALLEN[0]) & (trees.prototype < FALLEN[1])
    foot, heading, length = trees.position[down, :2], trees.heading[down], trees.scale[down, 0]
    way = np.stack([np.cos(heading), np.sin(heading)], axis=1) * length[:, None]
    return np.concatenate([foot + share * way for share in (0.0, 0.25, 0.5, 0.75, 1.0)])
