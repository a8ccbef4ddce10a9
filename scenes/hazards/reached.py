"""Where a disaster has come: ground on which people neither camp nor put up anything new."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.scenes.city import City
from mage.scenes.modifiers.after import farthest, touched
from mage.scenes.sources.ground.relief import within
from mage.scenes.strike import Stand, Strike

Flags = NDArray[np.bool_]

BURNT = 0.02  # severity of a fire's ground from which on it counts
BESIDE = 2.0  # metres beside a felled tree's crown


def reached(city: City, strikes: Sequence[Strike], wet: Flags | None = None) -> Flags:
    """Vertices (rows, columns) of a completed city's terrain where water is, fire has been, a tree has fallen, or
    debris may lie: as far around each struck building as anything of it could come.

    Args:
        city: completed.
        strikes: of the disaster so far.
        wet: (rows, columns) where water is, or is awaited.
    """
    found = np.zeros(city.ground.heights.shape, bool) if wet is None else wet.copy()
    for strike in strikes:
        found |= strike.severity > BURNT
        shapes = [*_debris(city, strike), *_felled(city, strike)]
        found |= within(city.ground, shapes)
    return found


def _debris(city: City, strike: Strike) -> list[shapely.Geometry]:
    struck = np.flatnonzero(touched(strike))
    if not len(struck):
        return []
    footprints = np.array([city.buildings[i].footprint for i in struck], dtype=object)
    return list(shapely.buffer(footprints, farthest(city, strike)[struck], quad_segs=2))


def _felled(city: City, strike: Strike) -> list[shapely.Geometry]:
    down = np.flatnonzero(strike.trees == Stand.FELLED)
    foot, turn, length = city.trees.xy[down], strike.tree_heading[down], city.trees.height[down]
    tip = foot + length[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    trunks = shapely.linestrings(np.stack([foot, tip], axis=1))
    return list(shapely.buffer(trunks, city.trees.radius[down] + BESIDE, quad_segs=2))
