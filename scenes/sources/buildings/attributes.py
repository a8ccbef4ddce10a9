"""Age, storeys, height, roof and use of a building, from the attributes that sources give them in their own spelling
and codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

Attributes = Mapping[str, object]

TALLEST = 1_000.0  # metres; the tallest building has 830
LOWEST = 0.5  # metres; less is no building, and 0 or -9999 stand for "not known"

_YEAR = ("yearOfConstruction", "dateOfConstruction", "oorspronkelijkbouwjaar")  # the last is 3DBAG's
_STOREYS = ("storeysAboveGround", "b3_bouwlagen")
_USE = ("function", "usage", "class")
_HEIGHT = ("measuredHeight", "con:height", "height", "Height", "building_height", "buildingHeight", "gebaeudehoehe")
_ROOF = ("roofType", "b3_dak_type", "dak_type")

# 3DBAG gives the roof and the ground above the sea; its names have had a prefix since 2022
_TOP = ("b3_h_dak_max", "h_dak_max", "b3_h_dak_70p", "h_dak_70p", "b3_h_dak_50p", "h_dak_50p")
_FOOT = ("b3_h_maaiveld", "h_maaiveld")

# the German cadastre's building functions, PLATEAU's codes of use (4xx), CityGML's own list of functions, and words
_OCCUPANCY = (
    (re.compile(r"31001_1\d{3}"), "residential"),
    (re.compile(r"31001_20\d\d"), "commercial"),
    (re.compile(r"31001_21\d\d"), "industrial"),
    (re.compile(r"10\d\d|1100|1110"), "residential"),
    (re.compile(r"41[1-5]"), "residential"),
    (re.compile(r"40[1-4]"), "commercial"),
    (re.compile(r"431|441"), "industrial"),
    (re.compile(r".*(resident|apartment|dwelling|housing|wohn|woon).*"), "residential"),
    (re.compile(r".*(commerc|office|retail|shop|hotel|business).*"), "commercial"),
    (re.compile(r".*(industr|factory|warehouse|storage).*"), "industrial"),
)

# CityGML's own codes of roofs (10xx, 11xx), the German cadastre's (from 2100 on; its flat roof is CityGML's), 3DBAG's
_ROOFS = {
    "1000": "flat",
    "1010": "skillion",
    "1030": "gabled",
    "1040": "hipped",
    "1050": "half-hipped",
    "1060": "mansard",
    "1070": "pyramidal",
    "1080": "cone",
    "1090": "dome",
    "1110": "round",
    "2100": "skillion",
    "3100": "gabled",
    "3200": "hipped",
    "3300": "half-hipped",
    "3400": "mansard",
    "3500": "pyramidal",
    "3600": "cone",
    "3700": "dome",
    "3900": "round",
    "horizontal": "flat",
    "single horizontal": "flat",
    "multiple horizontal": "flat",
    "flat": "flat",
    "gabled": "gabled",
    "hipped": "hipped",
}
_PITCHED = frozenset({"slanted"})  # 3DBAG's word: pitched in some way


def _values(objects: Iterable[Attributes], names: Iterable[str]) -> Iterator[str]:
    """What a building and its parts say under these names, as text, the building first."""
    names = tuple(names)
    for attributes in objects:
        for name in names:
            value = attributes.get(name)
            for item in value if isinstance(value, list) else [value]:
                inner = item.get("value") if isinstance(item, Mapping) else item  # version 3's structured heights
                if isinstance(inner, str | int | float):
                    yield str(inner).strip()[:100]


def _numbers(objects: Iterable[Attributes], names: Iterable[str]) -> Iterator[float]:
    """Those of the values that are numbers, in metres if they name a unit."""
    found = (re.match(r"(-?\d{1,9}([.,]\d*)?(e-?\d\d?)?)\s*m?$", value) for value in _values(objects, names))
    return (float(match.group(1).replace(",", ".")) for match in found if match)


def year_of(objects: Iterable[Attributes]) -> int | None:
    """Year of construction, from 1000 to 2999; also out of a date."""
    years = (re.match(r"[12]\d{3}(?!\d)", value) for value in _values(objects, _YEAR))
    return next((int(match.group()) for match in years if match), None)


def storeys_of(objects: Iterable[Attributes]) -> int | None:
    """Storeys above the ground, of the part that has most; 1 to 200."""
    found = (re.match(r"(\d{1,3})(\.0+)?$", value) for value in _values(objects, _STOREYS))
    return max((n for match in found if match and 1 <= (n := int(match.group(1))) <= 200), default=None)


def height_of(objects: Iterable[Attributes]) -> float | None:
    """Metres from the ground to the top, of the first object that has a height from 0.5 to 1000; else None.

    That is ``measuredHeight`` or its like, or the difference of the heights of roof and ground above the sea.
    """
    for attributes in objects:
        tops = _numbers([attributes], _TOP)
        foot = next(_numbers([attributes], _FOOT), None)
        risen = () if foot is None else (top - foot for top in tops)
        for height in (*_numbers([attributes], _HEIGHT), *risen):
            if LOWEST <= height <= TALLEST:
                return height
    return None


def roof_shape_of(objects: Iterable[Attributes]) -> str:
    """The shape of the roof by its name in OpenStreetMap's Simple 3D Buildings; empty where the codes do not tell."""
    return next((_ROOFS[value.lower()] for value in _values(objects, _ROOF) if value.lower() in _ROOFS), "")


def roof_kind_of(objects: Iterable[Attributes]) -> str:
    """``flat``, ``pitched`` or ``unknown``, by the codes."""
    objects = list(objects)
    shape = roof_shape_of(objects)
    if not shape and any(value.lower() in _PITCHED for value in _values(objects, _ROOF)):
        return "pitched"
    return "unknown" if not shape else "flat" if shape == "flat" else "pitched"


def occupancy_of(objects: Iterable[Attributes]) -> str | None:
    """``residential``, ``commercial`` or ``industrial``; None where the codes do not tell."""
    for value in _values(objects, _USE):
        for pattern, kind in _OCCUPANCY:
            if pattern.fullmatch(value.lower()):
                return kind
    return None
