"""What makes a city look lived in: car parks, sports fields, gardens with pools, beds, fences, walls and hedges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from shapely import STRtree

from mage.scenes.city import City, LandPatch, Trees
from mage.scenes.sources.living.borders import garden_borders
from mage.scenes.sources.living.gardens import flower_beds, pools
from mage.scenes.sources.living.lots import car_parks, converted
from mage.scenes.sources.living.occupied import Occupied, occupied_by
from mage.scenes.sources.living.pitches import sports_fields
from mage.scenes.style import Style

FELLED = ("pitch", "parking", "pool")


def furnish(city: City, style: Style, rng: np.random.Generator) -> City:
    """A completed city with what it lacks of car parks, sports fields, pools, beds and borders of gardens, as often as
    the style has them; all of it is marked as inferred.

    A kind of which the source holds anything is left as it is. Nothing new lies on a building, street, water, track or
    on another new thing; inferred trees make room, those of a source are built around.
    """
    lot_rng, pitch_rng, pool_rng, bed_rng, border_rng = rng.spawn(5)
    there, fixed = {p.cover for p in city.land}, not _may_fell(city)
    city = replace(city, land=converted(city))
    space = occupied_by(city, style, trees=fixed)
    new: list[LandPatch] = []
    if "parking" not in there:
        new += _laid("parking", car_parks(lot_rng, city, style, space), space)
    if "pitch" not in there:
        new += _laid("pitch", sports_fields(pitch_rng, city, style, space), space)
    if "pool" not in there:
        new += _laid("pool", pools(pool_rng, city, style, space), space)
    new += _laid("scrub", flower_beds(bed_rng, city, style, space), space)
    made_up = ["furnishing"] if new else []
    whole = replace(city, land=(*city.land, *new))
    if not fixed:
        whole = replace(whole, trees=_felled(city.trees, [p for p in whole.land if p.inferred and p.cover in FELLED]))
    if not city.barriers or _made_up(city):
        borders = garden_borders(border_rng, whole, style, space)
        whole = replace(whole, barriers=(*city.barriers, *borders))
        made_up += ["barriers"] if borders else []
    return whole.with_parts(inferred=tuple(made_up))


def _laid(cover: str, outlines: list[shapely.Polygon], space: Occupied) -> list[LandPatch]:
    space.take(outlines)
    return [LandPatch(outline, cover, inferred=True) for outline in outlines]


def _may_fell(city: City) -> bool:
    """Whether the trees were made up, and may stand elsewhere."""
    return "trees" in city.inferred or _made_up(city)


def _made_up(city: City) -> bool:
    return all(source.name == "procedural" for source in city.sources)


def _felled(trees: Trees, patches: list[LandPatch]) -> Trees:
    """The trees without those in the patches, and without those whose crown is over one that is a pool."""
    if not len(trees) or not patches:
        return trees
    outlines = np.array([p.outline for p in patches], dtype=object)
    overhead = np.array([1.0 if p.cover == "pool" else 0.0 for p in patches])
    trunks = shapely.points(trees.xy)
    tree, shape = STRtree(outlines).query(trunks, predicate="dwithin", distance=trees.radius + 0.6)
    away = shapely.distance(trunks[tree], outlines[shape])
    keep = np.ones(len(trees), bool)
    keep[tree[away <= 0.6 + overhead[shape] * trees.radius[tree]]] = False
    return Trees(trees.xy[keep], trees.height[keep], trees.radius[keep], trees.species[keep])
