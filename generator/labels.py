"""Every label raster of a tile, exact at pixel centres: rays for what stands, the terrain's own interpolation for
water, outlines for ground.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapely import Geometry

from mage.generator.additions import Additions
from mage.generator.covers import CLASS_OF_COVER, SOFT, Cover, burn, cover_of, road_ids
from mage.generator.place import Place
from mage.generator.props import Placements, tree_prototypes, vehicle_prototypes
from mage.generator.rays import cast_down, cast_placements
from mage.generator.struck import Struck
from mage.scenes.change import Change
from mage.scenes.dataset.schema import LandClass
from mage.scenes.grid import Grid
from mage.scenes.impact import Impact
from mage.scenes.mesh import Mesh, Surface
from mage.scenes.strike import Burn, Collapse
from mage.scenes.terrain import depth_at

Floats = NDArray[np.float64]

CENTIMETRES = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class _Standing:
    """What stands at one date, (rows, columns) each.

    Attributes:
        roof: height of the highest face of a building, m; -inf where there is none.
        owner: int32 index of the building on top, trees, cars and debris ignored, -1 for none.
        deck: where a bridge's deck is above all buildings.
        roads: int32 index of the road edge plus 1, ignoring all but buildings and the decks of bridges.
    """

    roof: Floats
    owner: NDArray[np.int32]
    deck: NDArray[np.bool_]
    roads: NDArray[np.int32]

    @property
    def built(self) -> NDArray[np.bool_]:
        """Where a building stands, or lies within its outline."""
        return self.owner >= 0


class Truth:
    """What is true of one tile at both dates; rasters are computed once and shared between them.

    Attributes:
        owner: int32 (rows, columns) index of the building on top at each pixel centre before, trees and cars ignored,
            -1 for none.
        roads: int32 index of the road edge plus 1 before, ignoring all but buildings and the decks of bridges.
    """

    def __init__(self, place: Place, grid: Grid) -> None:
        self.place, self.grid = place, grid
        self._points = grid.points().reshape(*grid.shape, 2)
        self._terrain = place.city.ground.sample(self._points)
        self._works = cast_down(place.works.mesh, grid)
        self._carriageway = road_ids(place, grid)
        self._cover = cover_of(place, grid, self._carriageway)
        self._before = self._standing(place.fabric, place.owner)
        self._after = self._before
        self._struck: Struck | None = None
        self._sheds = 0
        self._tent = np.full(grid.shape, -1, np.int32)
        self._changes: tuple[_Changed, _Changed] = (_Changed(self._cover), _Changed(self._cover))
        self.owner, self.roads = self._before.owner, self._before.roads
        self._trees = cast_placements(place.trees, tree_prototypes(), grid)
        self._normal = self._centimetres(depth_at(place.city.ground, place.water_levels, self._points))

    @property
    def water(self) -> NDArray[np.uint8]:
        """1 where permanent water lies before, buildings and the decks of bridges apart."""
        return self._water(self._before)

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
        return _with_new(_present(self.owner), _present(self._after.owner))

    def edges(self) -> NDArray[np.int64]:
        """Indices of the road edges in the tile, in the same order."""
        return _with_new(_present(self.roads - 1), _present(self._after.roads - 1))

    def tents(self) -> NDArray[np.int64]:
        """Indices of the tents of a camp, likewise."""
        return _present(self._tent)

    def before(self, vehicles: Placements) -> dict[str, NDArray[Any]]:
        """The rasters of the image before, by field name."""
        flood = np.zeros(self.grid.shape, np.uint16)
        bare = np.full(self.grid.shape, -np.inf)
        return self._both(self._before, _Top(vehicles, self._trees, flood, bare, self._changes[0]))

    def after(self, vehicles: Placements, impact: Impact) -> dict[str, NDArray[Any]]:
        """The rasters of the image after, by field name."""
        standing, struck, flood = self._after, self._struck, self.flood_depth(impact)
        debris, trees = np.full(self.grid.shape, -np.inf), self._trees
        heaped = np.zeros(self.grid.shape, bool)
        if struck is not None:
            debris = self._lying(cast_down(struck.remains.debris, self.grid).z, standing)
            heaped = self._heaped(struck, impact)
            trees = cast_placements(struck.trees, tree_prototypes(), self.grid)
        numbers, edges = self.buildings(), self.edges()
        building, road = _numbered(standing.owner, numbers), _numbered(standing.roads - 1, edges)
        return self._both(standing, _Top(vehicles, trees, flood, debris, self._changes[1])) | {
            "damage": _looked_up(building, self._of_all(impact.jds)[numbers]),
            "ems98": _looked_up(building, self._of_all(impact.ems98)[numbers]),
            "visible": _looked_up(building, self._of_all(impact.visible)[numbers]),
            "depth": flood,
            "flood": (flood > 0).astype(np.uint8),
            "mud": ((self._flood_at(impact.highest) > 0) & (flood == 0)).astype(np.uint8),
            "debris": (np.isfinite(debris) | heaped).astype(np.uint8),
            "burn": self._burn(impact),
            "tent": _numbered(self._tent, self.tents()),
            "blocked": np.concatenate([[False], ~impact.car[edges]])[road].astype(np.uint8),
        }

    def flood_depth(self, impact: Impact) -> NDArray[np.uint16]:
        """Flood water over the ground in cm, 0 on buildings, on permanent water and on decks that stay above it."""
        return self._flood_at(impact.levels)

    def _flood_at(self, levels: Floats) -> NDArray[np.uint16]:
        depth, standing = self._centimetres(depth_at(self.place.city.ground, levels, self._points)), self._after
        # permanent water under a deck is not seen: what then stands over the deck is flood
        permanent = (self._normal > 0) & ~self._bridged(self._normal, standing)
        return np.where(permanent | standing.built | self._bridged(depth, standing), 0, depth).astype(np.uint16)

    def _of_all(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of the city's buildings, followed by zeros: for new ones and, last, for none."""
        return np.concatenate([values, np.zeros(self._sheds + 1, values.dtype)])

    def _changed(self, change: Change, added: Additions, date: int, worn: Sequence[Geometry] = ()) -> _Changed:
        cover = self._cover.copy()
        soil = [p.outline for p in change.patches if p.date == date and p.kind == "soil"]
        dug = burn(soil, [1] * len(soil), self.grid, "uint8") > 0
        cover[dug & np.isin(cover, (Cover.GRASS, Cover.AGRICULTURE, Cover.SAND))] = Cover.BARE
        cover[(burn(list(worn), [1] * len(worn), self.grid, "uint8") > 0) & np.isin(cover, SOFT)] = Cover.BARE
        things = added.shed < 0
        hits = cast_down(added.mesh.faces(things), self.grid)
        kinds = np.append(added.cover[things], 0)[hits.face]
        return _Changed(cover, np.where(hits.any, hits.z, -np.inf), kinds)

    def _with_sheds(self, standing: _Standing, added: Additions) -> _Standing:
        own = added.shed >= 0
        hits = cast_down(added.mesh.faces(own), self.grid)
        shows = hits.any & (hits.z > np.maximum(standing.roof, self._terrain))
        number = len(self.place.city.buildings) + np.append(added.shed[own], 0)[hits.face]
        return _Standing(
            np.where(shows, hits.z, standing.roof),
            np.where(shows, number, standing.owner).astype(np.int32),
            standing.deck & ~shows,
            np.where(shows, 0, standing.roads).astype(np.int32),
        )

    def _tents(self, added: Additions, standing: _Standing) -> NDArray[np.int32]:
        """Index of the tent on top, int32 (rows, columns), -1 for none."""
        own = added.tent >= 0
        hits = cast_down(added.mesh.faces(own), self.grid)
        below = np.where(standing.built, standing.roof, self._terrain)
        shows = hits.any & (hits.z > np.maximum(below, self._works.z))
        return np.where(shows, np.append(added.tent[own], 0)[hits.face], -1).astype(np.int32)

    def _standing(self, fabric: Mesh, owner: NDArray[np.int32]) -> _Standing:
        hits = cast_down(fabric, self.grid)
        deck = self._is_deck() & (self._works.z > np.maximum(hits.z, self._terrain))
        stands = hits.any & (hits.z > self._terrain) & ~deck
        whose = np.where(stands, owner[hits.face] if len(owner) else -1, -1).astype(np.int32)
        roads = np.where(stands | (self._cover != Cover.ROAD), 0, self._carriageway)
        return _Standing(hits.z, whose, deck, roads)

    def _lying(self, debris: Floats, standing: _Standing) -> Floats:
        """Height of debris where it is above all that is built, -inf elsewhere."""
        below = np.where(standing.built, standing.roof, self._terrain)
        return np.where(debris > np.maximum(below, self._works.z), debris, -np.inf)

    def _heaped(self, struck: Struck, impact: Impact) -> NDArray[np.bool_]:
        """Where the topmost face of what is left of a building is rubble, or any broken piece of one that came down."""
        assert impact.shock is not None
        mesh, _ = struck.fabric(self.place)
        kind = np.append(mesh.surface, 0)[cast_down(mesh, self.grid).face]
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

    def _bridged(self, depth: NDArray[np.uint16], standing: _Standing) -> NDArray[np.bool_]:
        """Where a deck stands above water of that depth (cm)."""
        return standing.deck & (self._works.z > self._terrain + depth / CENTIMETRES)

    def _water(self, standing: _Standing) -> NDArray[np.uint8]:
        return ((self._normal > 0) & ~standing.built & ~self._bridged(self._normal, standing)).astype(np.uint8)

    def _both(self, standing: _Standing, top: _Top) -> dict[str, NDArray[Any]]:
        cars = cast_placements(top.vehicles, vehicle_prototypes(), self.grid)
        surface = np.where(standing.built, standing.roof, self._terrain)
        permanent = self._water(standing)
        water = permanent > 0
        land = CLASS_OF_COVER[top.changed.cover]
        land[water] = LandClass.WATER
        land[top.flood > 0] = LandClass.FLOOD
        land[standing.built] = LandClass.BUILDING
        wet_top = surface + (np.where(water, self._normal, top.flood) / CENTIMETRES)
        highest = surface.copy()
        for z, kind in (
            (self._works.z, self._kind()),
            (top.changed.z, top.changed.kind),
            (top.debris, LandClass.RUBBLE),
            (cars, LandClass.VEHICLE),
            (top.trees, LandClass.TREE),
        ):
            above = z > np.maximum(wet_top, highest)
            land[above] = kind[above] if isinstance(kind, np.ndarray) else kind
            highest = np.where(above, z, highest)
        return {
            "class": land,
            "building": _numbered(standing.owner, self.buildings()),
            "height": self._centimetres(highest - self._terrain),
            "water": permanent,
            "road": _numbered(standing.roads - 1, self.edges()),
        }

    @staticmethod
    def _centimetres(metres: NDArray[np.float64]) -> NDArray[np.uint16]:
        return np.clip(np.rint(metres * CENTIMETRES), 0, 65535).astype(np.uint16)


@dataclass(frozen=True, slots=True, eq=False)
class _Top:
    """What covers ground and buildings at one date: vehicles, heights of crowns and debris, a flood's depth (cm),
    benign change.
    """

    vehicles: Placements
    trees: Floats
    flood: NDArray[np.uint16]
    debris: Floats
    changed: _Changed


class _Changed:
    """Ground cover at one date, and the height (-inf for none) and class of what benign change put there, buildings
    apart; (rows, columns) each.
    """

    def __init__(
        self, cover: NDArray[np.uint8], z: Floats | None = None, kind: NDArray[np.uint8] | None = None
    ) -> None:
        self.cover = cover
        self.z = np.full(cover.shape, -np.inf) if z is None else z
        self.kind = np.zeros(cover.shape, np.uint8) if kind is None else kind


def _present(index: NDArray[Any]) -> NDArray[np.int64]:
    return np.unique(index[index >= 0]).astype(np.int64)


def _with_new(before: NDArray[np.int64], after: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([before, np.setdiff1d(after, before)])


def _numbered(index: NDArray[Any], present: NDArray[np.int64]) -> NDArray[np.uint16]:
    """Indices (-1 for none) to numbers within the sample: 1 for the first of ``present``, 0 for none."""
    table = np.zeros(int(max(index.max(initial=-1), present.max(initial=-1))) + 2, np.uint16)
    table[present] = np.arange(1, len(present) + 1)
    table[-1] = 0
    return np.asarray(table[index], np.uint16)


def _looked_up(building: NDArray[np.uint16], grades: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grade plus 1 at every pixel of a building, 0 elsewhere."""
    return np.concatenate([[0], grades.astype(np.int64) + 1])[building].astype(np.uint8)
