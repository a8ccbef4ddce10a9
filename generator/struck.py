"""A place after a disaster: what is left of its buildings, and the state of its trees."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mage.generator.colour import reflectance
from mage.generator.place import Place
from mage.generator.props import BARE, FALLEN, STANDING, Placements
from mage.generator.remains import Remains
from mage.scenes.mesh import Mesh, concatenate
from mage.scenes.strike import Stand, Strike
from mage.scenes.terrain import Terrain

Bounds = tuple[float, float, float, float]

LYING = 0.5  # of its crown's width that a felled tree's crown stands up
GUTTED = 0.6  # severity of the ground from which on a vehicle has burnt out
# 8-bit sRGB as seen in imagery: burnt sheet metal, twigs without leaves, leaves killed by heat, charred wood
RUST = (104, 92, 84)
TWIGS, SCORCHED, CHARRED, WILTED = (86, 78, 62), (98, 86, 66), (40, 37, 34), (84, 80, 58)


@dataclass(frozen=True, slots=True, eq=False)
class Struck:
    """What takes the place of what stood before: remains of buildings around one tile, and all trees; ``severity`` is
    that of the fire on the terrain's vertices, 0-1.
    """

    remains: Remains
    trees: Placements
    severity: NDArray[np.float64]

    def fabric(self, place: Place, within: Bounds | None = None) -> tuple[Mesh, NDArray[np.int32]]:
        """All buildings after, but for debris outside their footprints, and the owner of each face; with ``within``,
        of what did not change only the faces whose middle lies there.
        """
        kept, own = self.unchanged(place, within)
        left, owner = self.remains.standing
        return concatenate([place.fabric.faces(kept), left])[0], np.concatenate([own, owner])

    def unchanged(self, place: Place, within: Bounds | None = None) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
        """Faces (m,) of the place's fabric that are as they were, and the owner of each of them."""
        kept = ~self.remains.gone[place.owner] if len(place.owner) else np.zeros(0, bool)
        if within is not None and len(kept):
            x, y = place.fabric.vertices[place.fabric.triangles][..., :2].mean(axis=1).T
            west, south, east, north = within
            kept &= (x >= west) & (x <= east) & (y >= south) & (y <= north)
        return kept, place.owner[kept]


def trees_after(trees: Placements, strike: Strike) -> Placements:
    """The trees as a strike leaves them: felled ones lie along their heading, those without leaves are bare, scorched
    ones are brown.
    """
    state = strike.trees
    if not (state != Stand.STANDING).any():
        return trees
    conifer = trees.prototype >= STANDING[1]
    felled, bare = state == Stand.FELLED, (state == Stand.STRIPPED) | (state == Stand.BURNT)
    kind = np.where(conifer, STANDING[1], 0)
    number = trees.prototype - kind
    prototype = np.where(felled, FALLEN[0] + trees.prototype, trees.prototype)
    prototype = np.where(bare, BARE[0] + number % (BARE[1] - BARE[0]), prototype)
    radius, height = trees.scale[:, 0], trees.scale[:, 2]
    scale = np.where(felled[:, None], np.stack([height, radius, 2 * radius * LYING], axis=1), trees.scale)
    tint = trees.tint.copy()
    for stand, colour, share in (
        (Stand.STRIPPED, TWIGS, 0.85),
        (Stand.SCORCHED, SCORCHED, 0.8),
        (Stand.FELLED, WILTED, 0.55),
    ):
        own = (1 - share) * tint + share * 1.3 * reflectance(colour)
        tint = np.where((state == stand)[:, None], own, tint)
    tint = np.where((state == Stand.BURNT)[:, None], reflectance(CHARRED), tint)
    return Placements(trees.position, np.where(felled, strike.tree_heading, trees.heading), scale, prototype, tint)


def burnt_out(vehicles: Placements, terrain: Terrain, severity: NDArray[np.float64]) -> Placements:
    """Vehicles, those on badly burnt ground without their paint."""
    if not len(vehicles) or not (severity > 0).any():
        return vehicles
    burnt = terrain.sample(vehicles.position[:, :2], severity) >= GUTTED
    tint = np.where(burnt[:, None], reflectance(RUST), vehicles.tint)
    return replace(vehicles, tint=tint)
