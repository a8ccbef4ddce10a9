"""Every label raster of a tile, exact at pixel centres: rays for what stands, the terrain's own interpolation for
water, outlines for ground.

Where an image is slanted, everything is asked along the ray of its pixel: the ground at the centre itself, to which the
image is rectified, unless nearer ground hides it; what stands where the ray meets it first.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapely import Geometry

from mage.generator.additions import Additions
from mage.generator.covers import CLASS_OF_COVER, SOFT, Cover, burn, cover_of, covered, road_ids
from mage.generator.layers import (
    CENTIMETRES,
    Changed,
    Standing,
    Top,
    WaterSeen,
    centimetres,
    looked_up,
    numbered,
    present,
    with_new,
)
from mage.generator.place import Place
from mage.generator.props import Placements, tree_prototypes, vehicle_prototypes
from mage.generator.rays import MOVED, Hits, cast_down, cast_placements, ground_seen, window_of
from mage.generator.sight import Sight, sight_of
from mage.generator.spots import Spots
from mage.generator.struck import Struck
from mage.scenes.change import Change
from mage.scenes.dataset.fields import LandClass
from mage.scenes.grid import Grid
from mage.scenes.impact import Impact
from mage.scenes.mesh import Mesh, Surface
from mage.scenes.strike import Burn, Collapse
from mage.scenes.terrain import depth_at

Floats = NDArray[np.float64]

WALL = 0.3  # upward part of the unit normal of a face below which it is a wall


class Truth:
    """What is true of one tile at both dates; rasters are computed once and shared between them.

    ``view`` is how the tile is seen, a grid alone from straight above. Where the image after is seen otherwise than
    that before, each has a truth of its own, and ``first`` is that of the image before: what it shows is numbered
    first.

    Attributes:
        owner: int32 (rows, columns) index of the building on top at each pixel centre before, trees and cars ignored,
            -1 for none.
        roads: int32 index of the road edge plus 1 before, ignoring all but buildings and the decks of bridges.
    """

    def __init__(self, place: Place, view: Grid | Sight, first: Truth | None = None) -> None:
        self.place, self.sight = place, sight_of(view)
        self.grid = grid = self.sight.grid
        self._first = self if first is None else first
        above = not self.sight.slanted
        # of a vertical ray, the pixel's centre
        self._points: Floats | Grid = grid if above else ground_seen(self.sight, place.city.ground)
        self._terrain = place.city.ground.sample(self._points)
        self._works = cast_down(place.works.mesh, self.sight)
        self._base = self._points
        # what lies beneath a deck is seen aslant, and never from above
        self._carriageway = road_ids(place, grid, decks=above)
        self._cover = cover_of(place, grid, self._carriageway, decks=above)
        self._moved = np.zeros(grid.shape, bool)
        if not isinstance(self._points, Grid):
            self._cover_aslant(self._points)
        self._before = self._standing(place.fabric, place.owner)
        self._after = self._before
        self._struck: Struck | None = None
        self._sheds = 0
        self._tent = np.full(grid.shape, -1, np.int32)
        self._changes: tuple[Changed, Changed] = (Changed(self._cover), Changed(self._cover))
        self.owner, self.roads = self._before.owner, self._before.roads
        self._trees = cast_placements(place.trees, tree_prototypes(), self.sight)
        self._normal = self._water_seen(place.water_levels)

    def _cover_aslant(self, points: Floats) -> None:
        """What slanted rays that meet the ground at points (rows, columns, 2) see of it and of decks."""
        deck = self._is_deck() & (self._works.z > self._terrain)
        met = self.sight.at(np.where(deck, self._works.z, self._terrain))
        self._base = base = np.where(deck[..., None], met, points)
        self._moved = np.abs(base - self.grid.points().reshape(*self.grid.shape, 2)).max(axis=-1) > MOVED
        for where, decks in ((self._moved & ~deck, False), (deck, True)):
            if where.any():
                spots = Spots(base[where])
                self._carriageway[where] = road_ids(self.place, spots, decks=decks)
                self._cover[where] = cover_of(self.place, spots, self._carriageway[where], decks=decks)

    @property
    def water(self) -> NDArray[np.uint8]:
        """1 where permanent water lies before, buildings and the decks of bridges apart."""
        return self._water(self._before, self._normal)

    def struck(self, struck: Struck) -> Truth:
        """The same tile, with what a disaster left of buildings and trees as its state after."""
        other = copy(self)
        other._struck = struck
        other._after = self._standing(*struck.fabric(self.place))
        return other

    def changed(self, change: Change, added: tuple[Additions, Additions], worn: Sequence[Geometry] = ()) -> Truth:
        """The same tile with benign change and, in ``added`` after, the tents of a camp; ``worn`` are plans of its
        tracks. What stands after is that of :meth:`struck`, if that was called before.

        New buildings follow those of the city in :meth:`buildings`.
        """
        other = copy(self)
        other._changes = (self._changed(change, added[0], 0), self._changed(change, added[1], 1, worn))
        other._sheds = len(change.sheds)
        if change.sheds:
            other._after = self._with_sheds(self._after, added[1])
        other._tent = self._tents(added[1], other._after)
        return other

    def buildings(self) -> NDArray[np.int64]:
        """Indices of the buildings of which at least one pixel is in the tile: ascending before, then those that only
        the image after shows.
        """
        return with_new(present(self._first.owner), present(self._after.owner))

    def edges(self) -> NDArray[np.int64]:
        """Indices of the road edges in the tile, in the same order."""
        return with_new(present(self._first.roads - 1), present(self._after.roads - 1))

    def tents(self) -> NDArray[np.int64]:
        """Indices of the tents of a camp, likewise."""
        return present(self._tent)

    def before(self, vehicles: Placements) -> dict[str, NDArray[Any]]:
        """The rasters of the image before, by field name."""
        dry = WaterSeen(np.zeros(self.grid.shape, np.uint16), self._terrain)
        bare = np.full(self.grid.shape, -np.inf)
        standing = self._before.above(self._normal)
        return self._both(standing, Top(vehicles, self._trees, self._normal, dry, bare, self._changes[0]))

    def after(self, vehicles: Placements, impact: Impact) -> dict[str, NDArray[Any]]:
        """The rasters of the image after, by field name."""
        struck, risen = self._struck, self._water_seen(impact.levels)
        normal = self._normal_after(risen)
        standing = self._after.above(normal).above(risen)
        flood = self._flood_of(risen, normal, standing)
        # mud lies on the ground: what counts is how deep it was, and not through how much water one would look
        peak = flood
        if self.sight.slanted or not np.array_equal(impact.highest, impact.levels, equal_nan=True):
            peak = self._flood_of(self._water_over(self._base, impact.highest), normal, standing)
        debris, trees = np.full(self.grid.shape, -np.inf), self._trees
        heaped = np.zeros(self.grid.shape, bool)
        if struck is not None:
            debris = self._lying(cast_down(struck.remains.debris, self.sight).z, standing)
            heaped = self._heaped(struck, impact)
            trees = cast_placements(struck.trees, tree_prototypes(), self.sight)
        numbers, edges = self.buildings(), self.edges()
        building, road = numbered(standing.owner, numbers), numbered(standing.roads - 1, edges)
        return self._both(standing, Top(vehicles, trees, normal, flood, debris, self._changes[1])) | {
            "damage": looked_up(building, self._of_all(impact.jds)[numbers]),
            "ems98": looked_up(building, self._of_all(impact.ems98)[numbers]),
            "visible": looked_up(building, self._of_all(impact.visible)[numbers]),
            "depth": flood.depth,
            "flood": (flood.depth > 0).astype(np.uint8),
            "mud": ((peak.depth > 0) & (flood.depth == 0)).astype(np.uint8),
            "debris": (np.isfinite(debris) | heaped).astype(np.uint8),
            "burn": self._burn(impact),
            "tent": numbered(self._tent, self.tents()),
            "blocked": np.concatenate([[False], ~impact.car[edges]])[road].astype(np.uint8),
        }

    def _water_over(self, points: Floats | Grid, levels: Floats) -> WaterSeen:
        """Water that stands at ``levels`` (on the terrain's vertices) over points (rows, columns, 2) or the grid."""
        ground = self.place.city.ground
        depth = centimetres(depth_at(ground, levels, points))
        bed = self._terrain if points is self._points else ground.sample(points)
        return WaterSeen(depth, bed + depth / CENTIMETRES)

    def _water_seen(self, levels: Floats) -> WaterSeen:
        """The surface of water at ``levels`` where the rays meet it, if they do before they meet the ground."""
        if not self.sight.slanted or not np.isfinite(levels).any():
            return self._water_over(self._points, levels)
        ground = self.place.city.ground
        window = window_of(self.sight, ground, float(np.nanmax(levels)))
        z = cast_down(ground.part(window).water_mesh(levels[window]), self.sight).z
        wet = z > self._terrain
        z = np.where(wet, z, self._terrain)
        depth = np.where(wet, centimetres(depth_at(ground, levels, self.sight.at(z))), 0)
        return WaterSeen(depth.astype(np.uint16), z)

    def _normal_after(self, risen: WaterSeen) -> WaterSeen:
        """Permanent water after: where a ray meets the flood's surface first, it is what lies below that place."""
        if not self.sight.slanted:
            return self._normal
        first = (risen.depth > 0) & ((self._normal.depth == 0) | (risen.z >= self._normal.z))
        below = self._water_over(self.sight.at(risen.z), self.place.water_levels)
        return WaterSeen(
            np.where(first, below.depth, self._normal.depth).astype(np.uint16), np.where(first, below.z, self._normal.z)
        )

    def _flood_of(self, risen: WaterSeen, normal: WaterSeen, standing: Standing) -> WaterSeen:
        """Water that has risen, but none on buildings, on permanent water and on decks that stay above it."""
        # permanent water under a deck is not seen: what then stands over the deck is flood
        permanent = (normal.depth > 0) & ~self._bridged(normal, standing)
        dry = permanent | standing.built | self._bridged(risen, standing)
        return WaterSeen(np.where(dry, 0, risen.depth).astype(np.uint16), risen.z)

    def _of_all(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of the city's buildings, followed by zeros: for new ones and, last, for none."""
        return np.concatenate([values, np.zeros(self._sheds + 1, values.dtype)])

    def _changed(self, change: Change, added: Additions, date: int, worn: Sequence[Geometry] = ()) -> Changed:
        cover = self._cover.copy()
        soil = [p.outline for p in change.patches if p.date == date and p.kind == "soil"]
        for shapes, kinds in ((soil, (Cover.GRASS, Cover.AGRICULTURE, Cover.SAND)), (worn, SOFT)):
            if shapes:
                cover[self._within(shapes) & covered(cover, kinds)] = Cover.BARE
        things = added.shed < 0
        hits = cast_down(added.mesh.faces(things), self.sight)
        return Changed(cover, hits.z, np.append(added.cover[things], 0)[hits.face])

    def _within(self, shapes: Sequence[Geometry]) -> NDArray[np.bool_]:
        """Where the ground that is seen lies in one of some shapes."""
        ones = [1] * len(shapes)
        inside = burn(list(shapes), ones, self.grid, "uint8") > 0
        if not isinstance(self._base, Grid) and self._moved.any():
            inside[self._moved] = burn(list(shapes), ones, Spots(self._base[self._moved]), "uint8") > 0
        return inside

    def _with_sheds(self, standing: Standing, added: Additions) -> Standing:
        own = added.shed >= 0
        mesh = added.mesh.faces(own)
        hits = cast_down(mesh, self.sight)
        shows = hits.any & (hits.z > np.maximum(standing.roof, self._terrain))
        number = len(self.place.city.buildings) + np.append(added.shed[own], 0)[hits.face]
        return Standing(
            np.where(shows, hits.z, standing.roof),
            np.where(shows, number, standing.owner).astype(np.int32),
            standing.deck & ~shows,
            np.where(shows, 0, standing.roads).astype(np.int32),
            np.where(shows, self._wall(mesh, hits), standing.wall),
        )

    def _tents(self, added: Additions, standing: Standing) -> NDArray[np.int32]:
        """Index of the tent on top, int32 (rows, columns), -1 for none."""
        own = added.tent >= 0
        if not own.any():
            return np.full(self.grid.shape, -1, np.int32)
        hits = cast_down(added.mesh.faces(own), self.sight)
        below = np.where(standing.built, standing.roof, self._terrain)
        shows = hits.any & (hits.z > np.maximum(below, self._works.z))
        return np.where(shows, np.append(added.tent[own], 0)[hits.face], -1).astype(np.int32)

    def _standing(self, fabric: Mesh, owner: NDArray[np.int32]) -> Standing:
        hits = cast_down(fabric, self.sight)
        deck = self._is_deck() & (self._works.z > np.maximum(hits.z, self._terrain))
        stands = hits.any & (hits.z > self._terrain) & ~deck
        whose = np.where(stands, owner[hits.face] if len(owner) else -1, -1).astype(np.int32)
        roads = np.where(stands | (self._cover != Cover.ROAD), 0, self._carriageway)
        return Standing(hits.z, whose, deck, roads, self._wall(fabric, hits))

    def _wall(self, mesh: Mesh, hits: Hits) -> NDArray[np.bool_]:
        """Where slanted rays have met a wall; a vertical one that meets a steep face of a roof takes it for a roof."""
        if not self.sight.slanted or not len(mesh):
            return np.zeros(self.grid.shape, bool)
        return hits.any & (np.abs(mesh.normals[:, 2])[hits.face] < WALL)

    def _lying(self, debris: Floats, standing: Standing) -> Floats:
        """Height of debris where it is above all that is built, -inf elsewhere."""
        below = np.where(standing.built, standing.roof, self._terrain)
        return np.where(debris > np.maximum(below, self._works.z), debris, -np.inf)

    def _heaped(self, struck: Struck, impact: Impact) -> NDArray[np.bool_]:
        """Where the topmost face of what is left of a building is rubble, or any broken piece of one that came down."""
        assert impact.shock is not None
        mesh, _ = struck.fabric(self.place)
        kind = np.append(mesh.surface, 0)[cast_down(mesh, self.sight).face]
        strike = impact.shock.strike
        down = ((strike.collapse >= Collapse.INCLINED_PLANE) & ~strike.swept) | (strike.burn == Burn.BURNT)
        pieces = np.isin(kind, (Surface.SLAB, Surface.TIMBER, Surface.ASH)) & self._of_all(down)[self._after.owner]
        return self._after.built & ((kind == Surface.RUBBLE) | pieces)

    def _burn(self, impact: Impact) -> NDArray[np.uint8]:
        if impact.shock is None:
            return np.zeros(self.grid.shape, np.uint8)
        strike = impact.shock.strike
        ground = np.rint(100 * np.clip(self.place.city.ground.sample(self._points, strike.severity), 0, 1))
        of_building = self._of_all(np.array([0, 50, 100])[strike.burn])
        return np.where(self._after.built, of_building[self._after.owner], ground).astype(np.uint8)

    def _is_deck(self) -> NDArray[np.bool_]:
        """Where the highest of bridges, barriers and structures is something to drive or ride on."""
        return self._works.any & np.isin(self._kind(), (LandClass.ROAD, LandClass.RAIL))

    def _kind(self) -> NDArray[np.uint8]:
        """Class of the highest of bridges, barriers and structures; meaningless where there is none."""
        cover = self.place.works.cover
        return cover[np.maximum(self._works.face, 0)] if len(cover) else np.zeros(self.grid.shape, np.uint8)

    def _bridged(self, water: WaterSeen, standing: Standing) -> NDArray[np.bool_]:
        """Where a deck stands above that water."""
        return standing.deck & (self._works.z > water.z)

    def _water(self, standing: Standing, normal: WaterSeen) -> NDArray[np.uint8]:
        return ((normal.depth > 0) & ~standing.built & ~self._bridged(normal, standing)).astype(np.uint8)

    def _rise(self, highest: Floats) -> Floats:
        """Height (rows, columns) of points on the rays above the ground beneath them."""
        if not self.sight.slanted:
            return highest - self._terrain
        beneath = self.place.city.ground.sample(self.sight.at(highest))
        return np.where(highest > self._terrain, highest - beneath, 0.0)

    def _both(self, standing: Standing, top: Top) -> dict[str, NDArray[Any]]:
        cars = cast_placements(top.vehicles, vehicle_prototypes(), self.sight)
        surface = np.where(standing.built, standing.roof, self._terrain)
        permanent = self._water(standing, top.normal)
        water = permanent > 0
        land = CLASS_OF_COVER[top.changed.cover]
        land[water] = LandClass.WATER
        land[top.flood.depth > 0] = LandClass.FLOOD
        land[standing.built] = LandClass.BUILDING
        wet_top = np.where(water, top.normal.z, np.where(top.flood.depth > 0, top.flood.z, surface))
        highest = surface.copy()
        for z, kind in (
            (self._works.z, self._kind()),
            (top.changed.z, top.changed.kind),
            (top.debris, LandClass.RUBBLE),
            (cars, LandClass.VEHICLE),
            (top.trees, LandClass.TREE),
        ):
            above = z > np.maximum(wet_top, highest)
            np.copyto(land, np.asarray(kind, np.uint8), where=above)
            np.copyto(highest, z, where=above)
        return {
            "class": land,
            "building": numbered(standing.owner, self.buildings()),
            "height": centimetres(self._rise(highest)),
            "water": permanent,
            "road": numbered(standing.roads - 1, self.edges()),
        }
