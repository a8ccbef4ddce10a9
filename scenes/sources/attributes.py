"""Age, storeys and use of a building, from the attributes that sources give them in their own spelling and codes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

_YEAR = ("yearOfConstruction", "dateOfConstruction", "oorspronkelijkbouwjaar")  # the last is 3DBAG's
_STOREYS = ("storeysAboveGround", "b3_bouwlagen")
_USE = ("function", "usage", "class")

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


def _values(objects: Iterable[Mapping[str, object]], names: Iterable[str]) -> Iterator[str]:
    """What a building and its parts say under these names, as text, the building first."""
    names = tuple(names)
    for attributes in objects:
        for name in names:
            value = attributes.get(name)
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, str | int | float):
                    yield str(item).strip()[:100]


def year_of(objects: Iterable[Mapping[str, object]]) -> int | None:
    """Year of construction, from 1000 to 2999; also out of a date."""
    years = (re.match(r"[12]\d{3}(?!\d)", value) for value in _values(objects, _YEAR))
    return next((int(match.group()) for match in years if match), None)


def storeys_of(objects: Iterable[Mapping[str, object]]) -> int | None:
    """Storeys above the ground, of the part that has most; 1 to 200."""
    found = (re.match(r"(\d{1,3})(\.0+)?$", value) for value in _values(objects, _STOREYS))
    return max((n for match in found if match and 1 <= (n := int(match.group(1))) <= 200), default=None)


def occupancy_of(objects: Iterable[Mapping[str, object]]) -> str | None:
    """``residential``, ``commercial`` or ``industrial``; None where the codes do not tell."""
    for value in _values(objects, _USE):
        for pattern, kind in _OCCUPANCY:
            if pattern.fullmatch(value.lower()):
                return kind
    return None
