"""Heights and roofs of buildings that come as outlines with numbers, some of which are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.special import ndtr
from shapely import STRtree
from shapely.geometry import Polygon

from mage.scenes.city import Building, City, Volume
from mage.scenes.errors import CityError
from mage.scenes.mesh import Mesh, concatenate
from mage.scenes.sources.buildings.flatness import roof_of
from mage.scenes.sources.roofs.simple3d import volume_mesh
from mage.scenes.style import Houses, Style

Floats = NDArray[np.float64]

STOREY = (
    3.0  # metres from floor to floor: the value that OpenStreetMap's renderers take, between 2.7 and 3.4 in housing
)
STOREYS = 2.0  # where nothing is stated: the median of tagged levels in towns of houses
PITCH = 0.7  # rise over run of a roof without a height, 35 degrees
ROOF_STOREY = 2.5  # metres of a storey within a roof: those are lower than full ones
LEAST_WALL = 0.1  # metres between the foot of a volume and its eave
TALLEST_ROOF = 7.0  # metres: the most that is given to a roof whose height is not stated

LARGE = 3.0  # times the area that 90 % of a style's houses stay below: halls and blocks
WIDE = 18.0  # metres; large buildings without a wing of this depth may have pitched roofs, as blocks around courts do
SMALL = 0.5  # times the area that 10 % stay below: sheds and garages, of one storey
SHED_HEIGHT = 2.5  # metres of their storey
SHED_FLAT = 0.6  # share of them with a flat roof
HALL_STOREY = (5.5, 9.0)  # metres: the one storey of a large industrial building
PITCHED_UP_TO = 5.0  # storeys; taller buildings have flat roofs
REGULAR = 0.85  # of its smallest rectangle that an outline fills; others get hipped roofs instead of gables
MOST_CORNERS = 60  # outlines with more get flat roofs
KIN = 0.8  # correlation of what neighbours that touch are given: rows and blocks are built at one time
TOUCH = 0.15  # metres between neighbours that touch

# rise over half of the shorter side, for shapes whose rise does not follow from a pitch
_OWN_RISE = {"dome": 1.0, "onion": 1.6, "round": 0.6, "skillion": 0.4}
_SPIRES = ("dome", "onion", "cone", "pyramidal")  # stated shapes that may well be tall


def span(outline: Polygon) -> float:
    """What a roof has to span, metres: the shorter side of the smallest rectangle around an outline that fills it,
    else the widest circle within (the wings of a block around its court).
    """
    around = outline.minimum_rotated_rectangle
    if outline.area < REGULAR * around.area:
        return 2 * float(shapely.maximum_inscribed_circle(outline, tolerance=0.1).length)
    corners = shapely.get_coordinates(around)[:3]
    return float(np.linalg.norm(np.diff(corners, axis=0), axis=1).min()) if len(corners) == 3 else 0.0


def settled(volume: Volume, *, storeys: float = STOREYS, storey: float = STOREY, pitch: float = PITCH) -> Volume:
    """The volume with a height, a roof and the roof's height; what it states is kept.

    Without a height it is as tall as its levels (else ``storeys``) of ``storey`` metres and its roof. A roof that is
    not stated is flat; its rise, where not stated, follows from its levels or from ``pitch``. A top that is not above
    the foot lowers the foot.
    """
    roof = volume.roof or "flat"
    rise = _rise(volume, roof, pitch)
    base = volume.base or volume.base_levels * storey
    if volume.height is None:
        levels = max(storeys, volume.base_levels + 1) if volume.levels is None else volume.levels
        top = max(levels * storey, base if volume.levels is None else 0.0) + rise
    else:
        top = volume.height
        if volume.roof_height is None and volume.roof_levels is None:
            rise = min(rise, 0.5 * max(top - base, 0.0))
    top = max(top, 2 * LEAST_WALL)
    base = min(base, top - LEAST_WALL) if base < top else 0.0
    return replace(volume, base=base, height=top, roof=roof, roof_height=max(min(rise, top - base - LEAST_WALL), 0.0))


def _rise(volume: Volume, roof: str, pitch: float) -> float:
    if roof == "flat":
        return 0.0
    if volume.roof_height is not None:
        return volume.roof_height
    if volume.roof_levels:
        return volume.roof_levels * ROOF_STOREY
    rise = _OWN_RISE.get(roof, pitch) * span(volume.outline) / 2
    return rise if roof in _SPIRES else min(rise, TALLEST_ROOF)


@dataclass(frozen=True, slots=True, eq=False)
class Raised:
    """What settled volumes give: a mesh over the ground at 0, the height of its top and of its lowest roof edge, and
    the kind of its roof (as :class:`Building` has them).
    """

    mesh: Mesh
    height: float
    eave: float
    roof: str


def raised(volumes: Sequence[Volume], notes: Counter[str]) -> Raised | None:
    """The volumes as one mesh; None where none of them can be raised.

    A stated roof that the outline cannot take is made flat, and counted.

    Raises:
        MissingExtraError: a roof needs a straight skeleton and the library for that is not there.
    """
    meshes = [mesh for volume in volumes if (mesh := _mesh_of(volume, notes)) is not None]
    if not meshes:
        return None
    mesh, _ = concatenate(meshes)
    top = float(mesh.bounds[1][2])
    roof, lowest = roof_of(mesh)
    return Raised(mesh, top, top if lowest is None else lowest, roof)


def _mesh_of(volume: Volume, notes: Counter[str]) -> Mesh | None:
    try:
        return volume_mesh(volume, notes)
    except CityError:
        if volume.roof == "flat":
            notes["volumes that cannot be raised left out"] += 1
            return None
    notes["roofs that their outline cannot take made flat"] += 1
    return _mesh_of(replace(volume, roof="flat", roof_height=0.0), notes)


def draw_heights(city: City, style: Style, rng: np.random.Generator) -> City:
    """The city with heights and roofs drawn from the style for all buildings whose volumes lack them.

    What the source states is kept: stated levels are given a drawn storey height. Buildings that touch are given
    much the same. Large ones get flat roofs, small ones a single storey, large industrial ones a single tall one.
    The fields that a building names as inferred stay so.

    Raises:
        MissingExtraError: a roof needs a straight skeleton and the library for that is not there.
    """
    draws = _Draws.of(city.buildings, style.houses, rng)
    notes = Counter(city.notes)
    buildings = tuple(_drawn(b, draws, i, style.houses, notes) for i, b in enumerate(city.buildings))
    return replace(city, buildings=buildings, notes={name: n for name, n in sorted(notes.items()) if n})


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    """Numbers from 0 to 1 for every building, (n,) each, alike among those that touch."""

    storeys: Floats
    storey: Floats
    roof: Floats
    pitch: Floats

    @classmethod
    def of(cls, buildings: Sequence[Building], houses: Houses, rng: np.random.Generator) -> _Draws:
        kin = _kin(buildings)
        count = int(kin.max(initial=-1)) + 1
        shared, own = rng.standard_normal((4, count)), rng.standard_normal((4, len(buildings)))
        mixed = ndtr(np.sqrt(KIN) * shared[:, kin] + np.sqrt(1 - KIN) * own)
        storeys = np.searchsorted(np.cumsum(houses.storeys) / np.sum(houses.storeys), mixed[0]) + 1.0
        return cls(np.minimum(storeys, len(houses.storeys)), mixed[1], mixed[2], mixed[3])


def _kin(buildings: Sequence[Building]) -> NDArray[np.int32]:
    """For every building the number of the row or block that it belongs to."""
    outlines = np.array([b.footprint for b in buildings], dtype=object)
    pairs = (
        STRtree(outlines).query(outlines, predicate="dwithin", distance=TOUCH) if len(outlines) else np.zeros((2, 0))
    )
    links = coo_matrix((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(len(outlines), len(outlines)))
    return np.asarray(connected_components(links, directed=False)[1])


def _drawn(building: Building, draws: _Draws, i: int, houses: Houses, notes: Counter[str]) -> Building:
    if all(v.height is not None and v.roof for v in building.volumes):  # also those without any volume
        return building
    area = building.footprint.area
    large, small = area > LARGE * houses.area[2], area < SMALL * houses.area[0]
    storeys, storey = draws.storeys[i], _between(houses.storey_height, draws.storey[i])
    if small:
        storeys, storey = 1.0, SHED_HEIGHT
    elif large and building.occupancy == "industrial":
        storeys, storey = 1.0, _between(HALL_STOREY, draws.storey[i])
    pitch = _between(houses.pitch, draws.pitch[i])
    whole = len(building.volumes) == 1
    volumes = []
    for volume in building.volumes:
        levels = storeys if volume.levels is None else volume.levels
        wide = large and not volume.outline.buffer(-WIDE / 2).is_empty
        flat = not whole or wide or levels > PITCHED_UP_TO or (small and draws.roof[i] < SHED_FLAT)
        roof = volume.roof or ("flat" if flat else _roof(volume.outline, draws.roof[i], houses))
        volumes.append(settled(replace(volume, roof=roof), storeys=storeys, storey=storey, pitch=pitch))
    found = raised(volumes, notes)
    if found is None:
        return building
    return replace(
        building,
        mesh=found.mesh,
        height=found.height,
        eave=found.eave,
        roof=found.roof,
        volumes=tuple(volumes),
    )


def _between(limits: tuple[float, float], share: float) -> float:
    return float(limits[0] + (limits[1] - limits[0]) * share)


def _roof(outline: Polygon, share: float, houses: Houses) -> str:
    """A shape by the style's shares; gables only over outlines that are about rectangles."""
    if share < houses.flat or len(outline.exterior.coords) > MOST_CORNERS:
        return "flat"
    around = outline.minimum_rotated_rectangle.area
    if outline.interiors or outline.area < REGULAR * around or share > 1 - houses.hipped:
        return "hipped"
    return "gabled"
