"""A place set up in Blender once, and photographed as often as needed."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from mage.generator.additions import Additions
from mage.generator.blender.camera import aim
from mage.generator.blender.engine import purge, render_array
from mage.generator.blender.geometry import add_mesh, add_object, add_placements
from mage.generator.blender.light import set_light
from mage.generator.blender.materials import (
    fabric_material,
    plain_material,
    set_tile_picture,
    tile_material,
    tree_material,
    vehicle_material,
)
from mage.generator.ground import Painting
from mage.generator.place import Place
from mage.generator.props import Placements, tree_prototypes, vehicle_prototypes
from mage.generator.sight import Sight, sight_of
from mage.generator.sky import Light
from mage.generator.struck import Struck
from mage.scenes.grid import Grid
from mage.scenes.mesh import concatenate

SHADOW_REACH = 60.0  # metres around a tile whose trees still throw shadows into it
TALLEST_REACH = 300.0  # metres around a tile whose buildings do


class Stage:
    """Terrain, buildings and prototypes stand for good; water, trees near the tile and cars come and go with each
    photograph.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._ground = tile_material("ground")
        self._water = tile_material("water", waves=True)
        add_object("ground", add_mesh("ground", place.city.ground.mesh(), self._ground))
        self._on_decks = tile_material("decks")
        self._fabric: bpy.types.Object | None = None
        self._decks: bpy.types.Object | None = None
        self._facing = fabric_material()
        self._plain = plain_material("plain")
        if len(place.fabric):
            fabric = add_mesh("fabric", place.fabric, self._facing, place.albedo, pattern=place.pattern)
            self._fabric = add_object("fabric", fabric)
        self._add_works()
        crown, paint = tree_material(), vehicle_material()
        self._trees = [_kept(add_mesh(f"tree{i}", m, crown)) for i, m in enumerate(tree_prototypes())]
        self._cars = [_kept(add_mesh(f"car{i}", m, paint)) for i, m in enumerate(vehicle_prototypes())]
        heights = [place.city.ground.heights.max()]
        heights += [mesh.vertices[:, 2].max() for mesh in (place.fabric, place.works.mesh) if len(mesh)]
        self._top = float(max(heights)) + 60.0  # above any tree

    def _add_works(self) -> None:
        """Decks wear the ground's picture, which holds their lanes and lines; all else is painted face by face."""
        works = self.place.works
        deck = np.arange(len(works.mesh)) < works.decks
        if deck.any():
            self._decks = add_object("decks", add_mesh("decks", works.mesh.faces(deck), self._ground))
        if not deck.all():
            add_object("works", add_mesh("works", works.mesh.faces(~deck), self._plain, works.albedo[~deck]))

    def photograph(
        self,
        view: Grid | Sight,
        light: Light,
        painting: Painting,
        vehicles: Placements,
        levels: NDArray[np.float64],
        struck: Struck | None = None,
        trees: Placements | None = None,
        added: Additions | None = None,
    ) -> NDArray[np.float32]:
        """Reflectance factor of a tile, float32 (rows, columns, 3): 1 is a white plane in full light.

        ``levels`` are those of all water on the terrain's vertices (NaN where dry); ``struck`` what buildings and trees
        have become, None while they are as they were; ``trees`` those of the season in place of either's, and
        ``added`` what stands there at that date only.
        """
        set_tile_picture(self._ground, painting.grid, painting.ground)
        if self._decks is not None:
            self._decks.data.materials[0] = self._ground if painting.decks is None else self._on_decks
        if painting.decks is not None:
            set_tile_picture(self._on_decks, painting.grid, painting.decks)
        if trees is None:
            trees = self.place.trees if struck is None else struck.trees
        sight = sight_of(view)
        grid = sight.grid
        passing = self._trees_near(grid, trees) + self._cars_near(sight, vehicles)
        passing += [] if struck is None else self._fabric_after(grid, struck)
        if added is not None and len(added):
            passing.append(add_object("added", add_mesh("added", added.mesh, self._plain, added.albedo)))
        if np.isfinite(levels).any():
            set_tile_picture(self._water, painting.grid, painting.water)
            surface = self.place.city.ground.water_mesh(levels)
            passing.append(add_object("water", add_mesh("water", surface, self._water)))
        try:
            set_light(light)
            aim(sight, self._top)
            radiance = render_array(*sight.lattice().shape)
        finally:
            bpy.data.batch_remove(passing)
            if self._fabric is not None:
                self._fabric.hide_render = False
            purge()
        return sight.rectified((radiance * (np.pi / light.horizontal)).astype(np.float32))

    def _fabric_after(self, grid: Grid, struck: Struck) -> list[bpy.types.Object]:
        """The buildings after, in place of those before, which are hidden until the picture is taken."""
        if self._fabric is not None:
            self._fabric.hide_render = True
        place, remains = self.place, struck.remains
        kept, _ = struck.unchanged(place, grid.padded(int(np.ceil(TALLEST_REACH / grid.gsd))).bounds)
        mesh, _ = concatenate([place.fabric.faces(kept), remains.mesh])
        if not len(mesh):
            return []
        albedo = np.concatenate([place.albedo[kept], remains.albedo])
        pattern = np.concatenate([place.pattern[kept], remains.pattern])
        return [add_object("after", add_mesh("after", mesh, self._facing, albedo, pattern=pattern))]

    def _trees_near(self, grid: Grid, trees: Placements) -> list[bpy.types.Object]:
        reach = grid.padded(int(np.ceil(SHADOW_REACH / grid.gsd))).bounds
        return add_placements("tree", trees, trees.within(reach, tree_prototypes()), self._trees)

    def _cars_near(self, sight: Sight, vehicles: Placements) -> list[bpy.types.Object]:
        # of those on bridges, some lean into a slanted picture
        pixels = int(np.ceil(SHADOW_REACH / sight.grid.gsd)) if sight.slanted else 0
        reach = sight.grid.padded(pixels).bounds
        return add_placements("car", vehicles, vehicles.within(reach, vehicle_prototypes()), self._cars)


def _kept(data: bpy.types.Mesh) -> bpy.types.Mesh:
    """Keep a prototype while no object uses it."""
    data.use_fake_user = True
    return data
