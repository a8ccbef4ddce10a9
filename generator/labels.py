"""Every label raster of a tile, exact at pixel centres: rays for what stands, the terrain's own interpolation for
water, outlines for ground.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.generator.covers import CLASS_OF_COVER, Cover, cover_of, road_ids
from mage.generator.place import Place
from mage.generator.props import Placements, tree_prototypes, vehicle_prototypes
from mage.generator.rays import cast_down, cast_placements
from mage.scenes.dataset.schema import LandClass
from mage.scenes.grid import Grid
from mage.scenes.impact import Impact
from mage.scenes.terrain import depth_at

CENTIMETRES = 100.0


class Truth:
    """What is true of one tile at both dates; rasters are computed once and shared between them.

    Attributes:
        owner: int32 (rows, columns) index of the building on top at each pixel centre, trees and cars ignored, -1 for
            none.
        roads: int32 index of the road edge plus 1, ignoring all but buildings and the decks of bridges.
    """

    def __init__(self, place: Place, grid: Grid) -> None:
        self.place, self.grid = place, grid
        self._points = grid.points().reshape(*grid.shape, 2)
        self._terrain = place.city.ground.sample(self._points)
        fabric = cast_down(place.fabric, grid)
        self._works = cast_down(place.works.mesh, grid)
        self._deck = self._is_deck() & (self._works.z > np.maximum(fabric.z, self._terrain))
        self._stands = fabric.any & (fabric.z > self._terrain) & ~self._deck
        self._roof = fabric.z
        self.owner = np.where(self._stands, place.owner[fabric.face] if len(place.owner) else -1, -1).astype(np.int32)
        carriageway = road_ids(place, grid)
        self._cover = cover_of(place, grid, carriageway)
        self.roads = np.where(self._stands | (self._cover != Cover.ROAD), 0, carriageway)
        self._trees = cast_placements(place.trees, tree_prototypes(), grid)
        self._normal = self._centimetres(depth_at(place.city.ground, place.water_levels, self._points))

    @property
    def water(self) -> NDArray[np.uint8]:
        """1 where permanent water lies, buildings and the decks of bridges apart."""
        return ((self._normal > 0) & ~self._stands & ~self._bridged(self._normal)).astype(np.uint8)

    def buildings(self) -> NDArray[np.int64]:
        """Indices of the buildings of which at least one pixel is in the tile, ascending."""
        return np.unique(self.owner[self.owner >= 0]).astype(np.int64)

    def edges(self) -> NDArray[np.int64]:
        """Indices of the road edges in the tile, ascending."""
        return np.unique(self.roads[self.roads > 0]).astype(np.int64) - 1

    def before(self, vehicles: Placements) -> dict[str, NDArray[Any]]:
        """The rasters of the image before, by field name."""
        flood = np.zeros(self.grid.shape, np.uint16)
        return self._both(vehicles, flood)

    def after(self, vehicles: Placements, impact: Impact) -> dict[str, NDArray[Any]]:
        """The rasters of the image after, by field name."""
        flood = self.flood_depth(impact)
        numbers = self.buildings()
        building = self._numbered(self.owner, numbers)
        edges = self.edges()
        return self._both(vehicles, flood) | {
            "damage": _looked_up(building, impact.jds[numbers]),
            "ems98": _looked_up(building, impact.ems98[numbers]),
            "visible": _looked_up(building, impact.visible[numbers]),
            "depth": flood,
            "flood": (flood > 0).astype(np.uint8),
            "blocked": np.concatenate([[False], ~impact.car[edges]])[self._numbered(self.roads - 1, edges)].astype(
                np.uint8
            ),
        }

    def flood_depth(self, impact: Impact) -> NDArray[np.uint16]:
        """Flood water over the ground in cm, 0 on buildings, on permanent water and on decks that stay above it."""
        depth = self._centimetres(depth_at(self.place.city.ground, impact.levels, self._points))
        # permanent water under a deck is not seen: what then stands over the deck is flood
        permanent = (self._normal > 0) & ~self._bridged(self._normal)
        return np.where(permanent | self._stands | self._bridged(depth), 0, depth).astype(np.uint16)

    def _is_deck(self) -> NDArray[np.bool_]:
        """Where the highest of bridges, barriers and structures is something to drive or ride on."""
        return self._works.any & np.isin(self._kind(), (LandClass.ROAD, LandClass.RAIL))

    def _kind(self) -> NDArray[np.uint8]:
        """Class of the highest of bridges, barriers and structures; meaningless where there is none."""
        cover = self.place.works.cover
        return cover[np.maximum(self._works.face, 0)] if len(cover) else np.zeros(self.grid.shape, np.uint8)

    def _bridged(self, depth: NDArray[np.uint16]) -> NDArray[np.bool_]:
        """Where a deck stands above water of that depth (cm)."""
        return self._deck & (self._works.z > self._terrain + depth / CENTIMETRES)

    def _both(self, vehicles: Placements, flood: NDArray[np.uint16]) -> dict[str, NDArray[Any]]:
        cars = cast_placements(vehicles, vehicle_prototypes(), self.grid)
        surface = np.where(self._stands, self._roof, self._terrain)
        water = self.water > 0
        land = CLASS_OF_COVER[self._cover]
        land[water] = LandClass.WATER
        land[flood > 0] = LandClass.FLOOD
        land[self._stands] = LandClass.BUILDING
        wet_top = surface + (np.where(water, self._normal, flood) / CENTIMETRES)
        top = surface.copy()
        for z, kind in ((self._works.z, self._kind()), (cars, LandClass.VEHICLE), (self._trees, LandClass.TREE)):
            above = z > np.maximum(wet_top, top)
            land[above] = kind[above] if isinstance(kind, np.ndarray) else kind
            top = np.where(above, z, top)
        return {
            "class": land,
            "building": self._numbered(self.owner, self.buildings()),
            "height": self._centimetres(top - self._terrain),
            "water": self.water,
            "road": self._numbered(self.roads - 1, self.edges()),
        }

    @staticmethod
    def _numbered(index: NDArray[Any], present: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Indices (-1 for none) to numbers within the sample: 1 for the first of ``present``, 0 for none."""
        numbers = np.searchsorted(present, index) + 1 if len(present) else np.zeros(index.shape, int)
        return np.where(index >= 0, numbers, 0).astype(np.uint16)

    @staticmethod
    def _centimetres(metres: NDArray[np.float64]) -> NDArray[np.uint16]:
        return np.clip(np.rint(metres * CENTIMETRES), 0, 65535).astype(np.uint16)


def _looked_up(building: NDArray[np.uint16], grades: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grade plus 1 at every pixel of a building, 0 elsewhere."""
    return np.concatenate([[0], grades.astype(np.int64) + 1])[building].astype(np.uint8)
