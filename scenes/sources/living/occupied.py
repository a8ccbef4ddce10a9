"""Which ground is taken: everything in a city that nothing new may lie upon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree

from mage.scenes.city import City
from mage.scenes.style import Style
from mage.scenes.ways import WITH_PAVEMENT, on_view, plan, trackbed

Strings = NDArray[np.object_]

HARD_COVERS = ("asphalt", "parking", "pitch", "pool", "ballast")


@dataclass(slots=True, eq=False)
class Occupied:
    """Shapes that are taken, growing as things are laid out.

    Attributes:
        solid: buildings, streets with their pavements, water, tracks, structures, hard ground.
        streets: carriageways with pavements.
        paved: drives, paths and terraces, which some new things may not lie on.
        trees: crowns that stay.
        laid: what was taken since.
    """

    solid: Strings
    streets: Strings
    paved: Strings
    trees: Strings
    laid: list[shapely.Geometry] = field(default_factory=list)
    street_index: STRtree = field(init=False)
    _firm: STRtree = field(init=False)
    _paving: STRtree = field(init=False)

    def __post_init__(self) -> None:
        self.street_index, self._paving = STRtree(self.streets), STRtree(self.paved)
        self._firm = STRtree(np.concatenate([self.solid, self.trees]))

    def take(self, outlines: Sequence[shapely.Geometry]) -> None:
        """Nothing else may lie on these."""
        self.laid += outlines

    def free(self, outline: shapely.Geometry, margin: float, *, paved: bool = False) -> bool:
        """Whether nothing that is taken comes within ``margin`` metres; with ``paved`` no paving either."""
        if len(self._firm.query(outline, predicate="dwithin", distance=margin)):
            return False
        if paved and len(self._paving.query(outline, predicate="dwithin", distance=margin)):
            return False
        return not any(shapely.dwithin(other, outline, margin) for other in self.laid)

    def all_free(self, outlines: Strings, margin: float) -> NDArray[np.bool_]:
        """Which of many outlines (n,) come within ``margin`` metres of nothing that is taken, bool (n,)."""
        free = np.ones(len(outlines), bool)
        free[self._firm.query(outlines, predicate="dwithin", distance=margin)[0]] = False
        free[STRtree(self.laid).query(outlines, predicate="dwithin", distance=margin)[0]] = False
        return free


def occupied_by(city: City, style: Style, *, trees: bool) -> Occupied:
    """What is taken in a city; ``trees`` counts their crowns in."""
    streets = [
        e.line.buffer(e.width / 2 + (style.pavement if e.kind in WITH_PAVEMENT else 0.0), quad_segs=4)
        for e in city.roads.edges
        if on_view(e)
    ]
    solid: list[shapely.Geometry] = [b.footprint for b in city.buildings] + [w.outline for w in city.water] + streets
    solid += [trackbed(r) for r in city.railways if not r.tunnel]
    solid += [b.line.buffer(b.width / 2) for b in city.barriers]
    solid += [p.outline for p in city.land if p.cover in HARD_COVERS]
    solid += [plan(s) for s in city.structures]
    paved = [p.outline for p in city.land if p.cover == "paved"]
    crowns = list(shapely.buffer(shapely.points(city.trees.xy), city.trees.radius, quad_segs=2)) if trees else []
    arrays = [np.array(shapes, dtype=object) for shapes in (solid, streets, paved, crowns)]
    return Occupied(arrays[0], arrays[1], arrays[2], arrays[3])
