"""A place set up in Blender once, and photographed as often as needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from mage.generator.additions import Additions
from mage.generator.bands import recombined
from mage.generator.blender.camera import aim
from mage.generator.blender.engine import purge, render_array
from mage.generator.blender.geometry import add_mesh, add_object, smoothed, wear
from mage.generator.blender.light import set_light
from mage.generator.blender.materials import (
    fabric_material,
    facade_material,
    plain_material,
    set_tile_picture,
    tile_material,
    tree_material,
    vehicle_material,
)
from mage.generator.blender.scatter import Scatter
from mage.generator.blender.spectral import grouped, render_passes, set_tile_beyond, tell_beyond, use_passes
from mage.generator.ground import Painting
from mage.generator.nearby import nearby
from mage.generator.patchwork import patched
from mage.generator.place import Place
from mage.generator.props import Placements, tree_prototypes, vehicle_prototypes
from mage.generator.sight import Sight, sight_of
from mage.generator.sky import Light
from mage.generator.spectra import Kind, beyond_visible, fabric_kinds, standing_kinds, tree_kinds
from mage.generator.struck import Struck
from mage.scenes.grid import Grid
from mage.scenes.mesh import Mesh, Surface, concatenate

Vectors = dict[str, NDArray[np.float32]]

CARS_LEAN = 60.0  # metres beside a slanted picture from which those on bridges lean into it


class Stage:
    """Prototypes and bridges stand for good; terrain, buildings and trees near the tile while they stay the same; water
    and cars come and go with each photograph. One that is ``spectral`` knows what everything reflects beyond the
    visible.
    """

    def __init__(self, place: Place, *, spectral: bool = False) -> None:
        self.place, self.spectral = place, spectral
        self._ground = tile_material("ground")
        self._water = tile_material("water", waves=True)
        self._on_decks = tile_material("decks")
        self._fabric: bpy.types.Object | None = None
        self._standing = np.zeros(len(place.city.buildings), bool)
        self._earth: bpy.types.Object | None = None
        self._window: tuple[slice, slice] | None = None
        self._decks: bpy.types.Object | None = None
        self._facing, self._facade = fabric_material(), facade_material()
        self._plain = plain_material("plain")
        crown, paint = tree_material(), vehicle_material()
        if spectral:
            use_passes()
            fabric = self._facing, self._facade, self._plain
            for material in (self._ground, self._on_decks, self._water, *fabric, crown, paint):
                tell_beyond(material)
        self._add_works()
        self._trees = Scatter("trees", [smoothed(add_mesh("tree", m, crown)) for m in tree_prototypes()])
        self._planted: list[bpy.types.Object] = []
        self._as_planted: list[NDArray[Any]] = []
        self._cars = Scatter("cars", [add_mesh("car", m, paint) for m in vehicle_prototypes()])
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
            self._add_plain("works", works.mesh.faces(~deck), works.albedo[~deck], works.cover[~deck])

    def _add_plain(
        self, name: str, mesh: Mesh, albedo: NDArray[np.float32], cover: NDArray[np.uint8]
    ) -> bpy.types.Object:
        vectors = self._beyond(albedo, standing_kinds(cover, albedo), Kind.DRY_LEAVES)
        return add_object(name, add_mesh(name, mesh, self._plain, albedo, **vectors))

    def _add_fabric(
        self,
        name: str,
        mesh: Mesh,
        owner: NDArray[np.int32],
        albedo: NDArray[np.float32],
        pattern: NDArray[np.float32],
        grain: NDArray[np.float32] | None = None,
    ) -> bpy.types.Object:
        worn = patched(mesh, owner, albedo, pattern, self.place.patches)
        vectors = self._beyond(worn.albedo, fabric_kinds(worn.mesh.surface, worn.albedo, worn.pattern))
        if grain is not None:
            vectors["grain"] = grain[worn.source]
        data = add_mesh(name, worn.mesh, self._facing, worn.albedo, pattern=worn.pattern, **vectors)
        wear(data, self._facade, worn.mesh.surface == Surface.WALL)
        return add_object(name, data)

    def _beyond(
        self, rgb: NDArray[np.floating[Any]], kinds: NDArray[np.int64] | Kind, withered: Kind | None = None
    ) -> Vectors:
        """What the passes ask of faces or objects of that colour (n, 3); nothing where they do not."""
        return grouped(beyond_visible(rgb, kinds, withered)) if self.spectral else {}

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
        sight = sight_of(view)
        with self._set(sight, light, painting, vehicles, levels, struck, trees, added):
            radiance = render_array(*sight.lattice().shape)
        return sight.rectified((radiance * (np.pi / light.horizontal)).astype(np.float32))

    def photograph_spectrum(
        self,
        view: Grid | Sight,
        light: Light,
        painting: Painting,
        beyond: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32] | None],
        vehicles: Placements,
        levels: NDArray[np.float64],
        struck: Struck | None = None,
        trees: Placements | None = None,
        added: Additions | None = None,
    ) -> NDArray[np.float32]:
        """Reflectance factor in :data:`mage.generator.spectra.BANDS`, float32 (rows, columns, 7), of a stage that is
        spectral: the visible as :meth:`photograph` has it, the other bands by :func:`mage.generator.bands.recombined`.

        ``beyond`` are what the painting's ground, water and decks reflect there, (rows, columns, 4) each.
        """
        sight = sight_of(view)
        with self._set(sight, light, painting, vehicles, levels, struck, trees, added):
            set_tile_beyond(self._ground, beyond[0])
            if np.isfinite(levels).any():
                set_tile_beyond(self._water, beyond[1])
            if beyond[2] is not None:
                set_tile_beyond(self._on_decks, beyond[2])
            passes = render_passes(sight.lattice())
        visible = (passes.combined * (np.pi / light.horizontal)).astype(np.float32)
        others = recombined(passes, light, sight.grid.gsd)
        return np.concatenate([sight.rectified(visible), sight.rectified(others)], axis=-1)

    @contextmanager
    def _set(
        self,
        sight: Sight,
        light: Light,
        painting: Painting,
        vehicles: Placements,
        levels: NDArray[np.float64],
        struck: Struck | None,
        trees: Placements | None,
        added: Additions | None,
    ) -> Iterator[None]:
        """Have all of a photograph stand in its light before the camera, for as long as the block runs."""
        set_tile_picture(self._ground, painting.grid, painting.ground)
        if self._decks is not None:
            self._decks.data.materials[0] = self._ground if painting.decks is None else self._on_decks
        if painting.decks is not None:
            set_tile_picture(self._on_decks, painting.grid, painting.decks)
        if trees is None:
            trees = self.place.trees if struck is None else struck.trees
        near = nearby(self.place, trees, sight, light.sun)
        self._spread(near.ground)
        self._plant(trees, near.trees)
        passing = self._cars_near(sight, vehicles)
        if struck is None:
            self._build(near.buildings)
        else:
            passing += self._fabric_after(struck, near.buildings)
        if added is not None and len(added):
            passing.append(self._add_plain("added", added.mesh, added.albedo, added.cover))
        if np.isfinite(levels).any():
            set_tile_picture(self._water, painting.grid, painting.water)
            surface = self.place.city.ground.part(near.ground).water_mesh(levels[near.ground])
            passing.append(add_object("water", smoothed(add_mesh("water", surface, self._water))))
        try:
            set_light(light)
            aim(sight, self._top)
            yield
        finally:
            bpy.data.batch_remove(passing)
            if self._fabric is not None:
                self._fabric.hide_render = False
            purge()

    def _spread(self, window: tuple[slice, slice]) -> None:
        """Terrain near the tile; that of the photograph before stays if it is the same."""
        if window == self._window:
            return
        if self._earth is not None:
            bpy.data.objects.remove(self._earth)
        mesh = self.place.city.ground.part(window).mesh()
        self._earth, self._window = add_object("ground", smoothed(add_mesh("ground", mesh, self._ground))), window

    def _build(self, standing: NDArray[np.bool_]) -> None:
        """Buildings near the tile; those of the photograph before stay if they are the same."""
        if np.array_equal(standing, self._standing):
            return
        if self._fabric is not None:
            bpy.data.objects.remove(self._fabric)
            self._fabric = None
        place, self._standing = self.place, standing
        faces = standing[place.owner]
        if faces.any():
            self._fabric = self._add_fabric(
                "fabric",
                place.fabric.faces(faces).compact(),
                place.owner[faces],
                place.albedo[faces],
                place.pattern[faces],
            )

    def _fabric_after(self, struck: Struck, standing: NDArray[np.bool_]) -> list[bpy.types.Object]:
        """The buildings after, in place of those before, which are hidden until the picture is taken."""
        if self._fabric is not None:
            self._fabric.hide_render = True
        place, remains = self.place, struck.remains
        kept = standing[place.owner] & ~remains.gone[place.owner]
        mesh, _ = concatenate([place.fabric.faces(kept).compact(), remains.mesh])
        if not len(mesh):
            return []
        owner = np.concatenate([place.owner[kept], remains.owner])
        albedo = np.concatenate([place.albedo[kept], remains.albedo])
        pattern = np.concatenate([place.pattern[kept], remains.pattern])
        grain = np.concatenate([np.zeros((int(kept.sum()), 3), np.float32), remains.grain])
        return [self._add_fabric("after", mesh, owner, albedo, pattern, grain)]

    def _plant(self, trees: Placements, near: NDArray[np.int64]) -> None:
        """Trees near the tile; those of the photograph before stay if they are the same, as at most pairs' dates."""
        wanted = [values[near] for values in (trees.position, trees.heading, trees.scale, trees.prototype, trees.tint)]
        if len(wanted) == len(self._as_planted) and all(map(np.array_equal, wanted, self._as_planted)):
            return
        bpy.data.batch_remove(self._planted)
        vectors = self._beyond(trees.tint, tree_kinds(trees.prototype), Kind.DRY_LEAVES)
        self._planted, self._as_planted = self._trees.place(trees, near, **vectors), wanted

    def _cars_near(self, sight: Sight, vehicles: Placements) -> list[bpy.types.Object]:
        # of those on bridges, some lean into a slanted picture
        pixels = int(np.ceil(CARS_LEAN / sight.grid.gsd)) if sight.slanted else 0
        reach = sight.grid.padded(pixels).bounds
        vectors = self._beyond(vehicles.tint, Kind.PAINT)
        return self._cars.place(vehicles, vehicles.within(reach, vehicle_prototypes()), **vectors)
