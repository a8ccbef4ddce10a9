"""Water, land use and plant cover of a city file: outlines with a level or a cover."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from shapely.geometry import LineString, MultiPolygon, Polygon

from mage.scenes.city import LandPatch, WaterBody
from mage.scenes.sources.features.cover_words import WATER, land_cover, water_kind
from mage.scenes.sources.features.flat import Local, finest, lines_of, outline, surface_height
from mage.scenes.sources.features.road_axes import stated_number
from mage.scenes.sources.raw import RawFeature

BROOK = 3.0  # metres; the width of a watercourse that is given as a line
SLENDER = 8.0  # squared perimeter over four times the area: 4 for a square, 8 for about six times as long as wide
_TALL, _MIDDLE = 4.0, 0.6  # metres; plants from here on are a wood, or shrubs
_HEIGHT = re.compile(r"(average|mean)?_?height")
_BELOW = frozenset({"WaterGroundSurface", "WaterClosureSurface", "AuxiliaryTrafficArea"})  # beds, ends and banks


def water_of(features: Sequence[RawFeature], local: Local, notes: Counter[str]) -> Iterator[WaterBody]:
    """One body of water an object, level with the middle of its surface's heights; lines become brooks."""
    groups: dict[str, list[RawFeature]] = defaultdict(list)
    for feature in features:
        groups[feature.id].append(feature)
    for members in groups.values():
        surfaces = [f for f in members if f.shells and f.role not in _BELOW]
        shells = [shell for f in surfaces for shell in finest(f, local)]
        shape, level = outline(shells, notes), surface_height(shells)
        if shape is not None and level is not None:
            yield WaterBody(shape, level, _kind(surfaces[0], shape))
        elif brooks := lines_of(members, local):
            notes["watercourses that are lines, given a width"] += len(brooks)
            for line in brooks:
                course = LineString(line[:, :2]).buffer(BROOK / 2, cap_style="flat")
                yield WaterBody(course, float(np.median(line[:, 2])), _kind(members[0], course), inferred=True)
        else:
            notes[f"{members[0].kind} without an area left out"] += 1


def _kind(feature: RawFeature, shape: Polygon | MultiPolygon) -> str:
    """As the source says, else a river if it is long and a lake if it is not."""
    stated = water_kind(feature.attributes)
    return stated or ("river" if shape.length**2 > SLENDER * 4 * shape.area else "lake")


def covers_of(features: Sequence[RawFeature], local: Local, notes: Counter[str]) -> Iterator[LandPatch | WaterBody]:
    """A patch for each piece of land whose cover the source tells; land that is water becomes that."""
    for feature in features:
        shells = finest(feature, local)
        shape = outline(shells, notes)
        cover = land_cover(feature.attributes)
        if shape is None:
            notes[f"{feature.kind} without an area left out"] += 1
        elif cover == WATER and feature.kind == "LandUse":
            level = surface_height(shells)
            yield WaterBody(shape, level if level is not None else 0.0, _kind(feature, shape))
        elif cover is not None and cover != WATER:
            yield LandPatch(shape, cover)
        elif feature.kind == "PlantCover":
            notes["plant cover of an unknown kind, judged by its height"] += 1
            yield LandPatch(shape, _by_height(feature), inferred=True)
        else:
            notes["land use that tells no cover left out"] += 1


def _by_height(feature: RawFeature) -> str:
    height = stated_number(feature.attributes, _HEIGHT) or 0.0
    return "forest" if height >= _TALL else "scrub" if height >= _MIDDLE else "grass"
