"""What the readers of city files hand over: polygons in the source's coordinates, before anything is judged."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mage.scenes.mesh import Surface

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Polygons:
    """Polygons with holes as flat arrays: one solid's outer shell, or one multi-surface.

    Attributes:
        points: float64 (n, 3), ring after ring; the first point of a ring is not repeated at its end.
        sizes: int64 (r,), points of each ring.
        rings: int64 (f,), rings of each polygon, the outer one first.
        surface: uint8 (f,), a :class:`Surface`; ``OTHER`` where the source does not say.
    """

    points: Floats
    sizes: Ints
    rings: Ints
    surface: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.rings)

    @classmethod
    def of(cls, faces: Sequence[Sequence[Floats]], surface: Sequence[int]) -> Polygons:
        """From a list of rings (k, 3) per face, with a surface for each face."""
        rings = list(chain.from_iterable(faces))
        points = np.concatenate(rings) if rings else np.zeros((0, 3))
        return cls(points, lengths(rings), lengths(faces), np.array(surface, np.uint8))


def lengths(items: Iterable[Sequence[object] | Floats]) -> Ints:
    """How long each item is, int64."""
    return np.array([len(item) for item in items], np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class RawObject:
    """A building, or a part of one.

    Attributes:
        attributes: as the source spells them; values are text or numbers.
        shells: level of detail (0, 1, 1.3, 2, 3 …) -> its geometry; outlines at level 0, which are lists of one
            footprint (labelled ground), one roof edge (roof), or both.
        unused: levels that are there and cannot be built (4, which also stands for rooms).
        installation: a chimney, balcony, stair or dormer of its own, and no part of the building.
    """

    attributes: Mapping[str, object]
    shells: Mapping[float, Sequence[Polygons]]
    unused: frozenset[int] = frozenset()
    installation: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class RawBuilding:
    """A building with its parts, at any depth; the building itself comes first."""

    id: str
    objects: tuple[RawObject, ...]

    def finest(self) -> tuple[int, list[Polygons]]:
        """The level of detail (0 to 3) and the shells to build of the building and its parts, or (0, []).

        A part that is coarser than the rest is still built, unless it is an outline among volumes; the building's own
        geometry is used only when it is as fine as its parts, because a coarser one stands for all of them together.
        """
        own = [
            (position, o, max(o.shells)) for position, o in enumerate(self.objects) if o.shells and not o.installation
        ]
        lod = int(max((level for _, _, level in own), default=0.0))
        shells: list[Polygons] = []
        for position, item, level in own:
            if int(level) == lod or (position > 0 and level >= 1):
                shells.extend(item.shells[level])
        return lod, shells

    def installations(self) -> list[Polygons]:
        """Shells of the installations, each at its finest level that is no finer than the building's :meth:`finest`."""
        lod, _ = self.finest()
        found: list[Polygons] = []
        for item in self.objects:
            levels = [level for level in item.shells if int(level) <= lod] if item.installation else []
            found.extend(item.shells[max(levels)] if levels else ())
        return found

    @property
    def attributes(self) -> dict[str, object]:
        """What the source says of the building; of its parts where it does not say it of the whole."""
        return dict(ChainMap(*(dict(item.attributes) for item in self.objects if not item.installation)))

    @property
    def unused(self) -> frozenset[int]:
        """Levels of detail that some object has and that cannot be built."""
        return frozenset().union(*(o.unused for o in self.objects))


@dataclass(frozen=True, slots=True, eq=False)
class RawFeature:
    """What is no building, or the surfaces of one kind within it: a road comes once for its traffic areas and once
    for its auxiliary ones.

    Attributes:
        id: the source's identifier; the same for all that belongs to one object.
        kind: CityJSON's name of the object's type, whatever the format: ``Road``, ``Railway``, ``TransportSquare``,
            ``Waterway``, ``WaterBody``, ``LandUse``, ``PlantCover``, ``SolitaryVegetationObject``, ``TINRelief``,
            ``Bridge``, ``Tunnel``, ``CityFurniture``, ``GenericCityObject``, ``OtherConstruction`` …
        role: the kind of surface, ``TrafficArea``, ``AuxiliaryTrafficArea``, ``WaterSurface`` …; empty if not stated.
        attributes: the object's, and above them those of the surface.
        shells: level of detail -> its faces.
        lines, points: axes (k, 3) and places (k, 3), where the geometry is made of such.
    """

    id: str
    kind: str
    role: str = ""
    attributes: Mapping[str, object] = field(default_factory=dict)
    shells: Mapping[float, Sequence[Polygons]] = field(default_factory=dict)
    lines: Sequence[Floats] = ()
    points: Floats = field(default_factory=lambda: np.zeros((0, 3)))


@dataclass(frozen=True, slots=True, eq=False)
class RawCity:
    """What a file holds.

    Attributes:
        format: name and version, ``CityGML 2.0``.
        features: what is no building.
        crs: every name of a coordinate reference system that the file mentions.
        licence: as the metadata state it, or None.
        notes: what was repaired, left out or ignored so far.
    """

    format: str
    buildings: Sequence[RawBuilding]
    crs: tuple[str, ...] = ()
    licence: str | None = None
    notes: Counter[str] = field(default_factory=Counter)
    features: Sequence[RawFeature] = ()


def printable(text: str, longest: int | None = None) -> str:
    """Text from a file that may go to a terminal or into JSON: control characters and half surrogates become ``?``."""
    return "".join(c if c.isprintable() else "?" for c in text[:longest])


SEMANTICS = {
    "RoofSurface": Surface.ROOF,
    "OuterFloorSurface": Surface.ROOF,  # terraces: what one sees from above
    "WallSurface": Surface.WALL,
    "OuterCeilingSurface": Surface.WALL,  # the underside of a passage: neither seen from above nor on the ground
    "Window": Surface.OPENING,
    "WindowSurface": Surface.OPENING,
    "Door": Surface.WALL,
    "DoorSurface": Surface.WALL,
    "GroundSurface": Surface.GROUND,
    "ClosureSurface": Surface.CLOSURE,
}
