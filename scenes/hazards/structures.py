"""What buildings are made of: structural type, height class and code age, from what a city knows and a regional mix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.scenes.city import Building, City
from mage.scenes.hazards.fragility import CODES, curves, tables

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

STOREY = 3.1  # metres, to tell storeys from the height of the eave
MID, HIGH = 4, 8  # storeys from which on Hazus calls a building mid-rise and high-rise
MASONRY_MID = 3  # the same for unreinforced masonry, which has no high-rise class
HALL = 800.0  # m² from which on a building of one or two storeys that nobody lives in is a hall
STEEP = 0.5  # metres that a pitched roof rises at least


@dataclass(frozen=True, slots=True, eq=False)
class Structures:
    """Structure of each building (b,), in the city's order.

    Attributes:
        types: ``W1`` (light wood), ``URM`` (unreinforced masonry), ``C1`` (concrete frame), ``C2`` (shear walls),
            ``C3`` (concrete frame with masonry infill), ``S1`` (steel frame), ``PC1`` (tilt-up) or ``MH`` (mobile
            home), as Hazus names them.
        rows: rows of :func:`mage.scenes.hazards.fragility.curves`, which say height class and code age as well.
        storeys: at least 1.
        flat: whether the roof is flat.
    """

    types: NDArray[np.str_]
    rows: Indices
    storeys: Indices
    flat: NDArray[np.bool_]

    @property
    def groups(self) -> list[str]:
        """``W1``, ``URM``, ``C``, ``S`` or ``MH``: what fails alike; tilt-up halls count with steel."""
        return [{"C1": "C", "C2": "C", "C3": "C", "S1": "S", "PC1": "S"}.get(name, name) for name in self.types]


def draw_structures(city: City, rng: np.random.Generator) -> Structures:
    """Structural types and code ages, drawn by the mixes in ``assets/fragility.yaml`` of the region.

    Storeys come from the source, else from the height of the eave. The code's age comes from the year where it is
    known, and is drawn where not. Two numbers are drawn for each building.
    """
    chance = rng.random((len(city.buildings), 2))
    storeys = np.array([storeys_of(b) for b in city.buildings], np.int64)
    area = shapely.area(np.array([b.footprint for b in city.buildings], dtype=object))
    types, rows = [], []
    for building, floors, plan, (first, second) in zip(city.buildings, storeys, area, chance, strict=True):
        stock = tables()["stock"]["regions"][region_of(city, building)]
        name = _pick(stock[_class_of(building, int(floors), float(plan))], float(first))
        types.append(name)
        rows.append(curves().row(_curve(name, int(floors)), _code(building.year, stock, float(second))))
    flat = [b.roof == "flat" or (b.roof == "unknown" and b.height - b.eave < STEEP) for b in city.buildings]
    return Structures(np.array(types, np.str_), np.array(rows, np.int64), storeys, np.array(flat, bool))


def uniform_structures(city: City, structure: str, code: str) -> Structures:
    """The same for every building: a row of the curves such as (``URM.L``, ``pre``), whatever the buildings' heights.

    Roofs and storeys are the city's. For studies of one curve.
    """
    drawn = draw_structures(city, np.random.default_rng(0))
    count = len(city.buildings)
    rows = np.full(count, curves().row(structure, code), np.int64)
    return Structures(np.full(count, structure.split(".")[0]), rows, drawn.storeys, drawn.flat)


def building_places(city: City) -> Floats:
    """Middle of each building (b, 2), local metres."""
    return shapely.get_coordinates(shapely.centroid(np.array([b.footprint for b in city.buildings], dtype=object)))


def storeys_of(building: Building) -> int:
    """As the source says, else as many as fit below the eave."""
    return max(1, building.storeys if building.storeys is not None else round(building.eave / STOREY))


def region_of(city: City, building: Building) -> str:
    """The region whose mix holds: of the building's style, else the city's (by its name), else of where it lies."""
    stock = tables()["stock"]
    for style in (building.style, city.name):
        if style in stock["styles"]:
            return str(stock["styles"][style])
    if city.crs is not None:
        for name, west, south, east, north in stock["places"]:
            if west <= city.longitude < east and south <= city.latitude < north:
                return str(name)
    return str(stock["elsewhere"])


def _class_of(building: Building, storeys: int, area: float) -> str:
    if building.occupancy != "residential" and storeys <= 2 and area >= HALL:
        return "hall"
    return "low" if storeys < MID else "mid" if storeys < HIGH else "high"


def _curve(name: str, storeys: int) -> str:
    """The structure with its height class, where Hazus has classes for it."""
    if name in ("W1", "PC1", "MH"):
        return name
    if name == "URM":
        return "URM.L" if storeys < MASONRY_MID else "URM.M"
    return f"{name}.{'L' if storeys < MID else 'M' if storeys < HIGH else 'H'}"


def _code(year: int | None, stock: Mapping[str, Any], chance: float) -> str:
    if year is None or not stock["years"]:
        return _pick(stock["codes"], chance)
    return next((code for code in reversed(CODES) if year >= stock["years"].get(code, np.inf)), "pre")


def _pick(weights: Mapping[str, float], chance: float) -> str:
    """The name whose stretch of the cumulated weights ``chance`` in [0, 1) falls into."""
    names = list(weights)
    edges = np.cumsum([weights[name] for name in names])
    return names[int(np.searchsorted(edges / edges[-1], chance, side="right"))]
