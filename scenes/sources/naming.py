"""Names: a city's from that of its file, and buildings' that are all different."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mage.scenes.city import Building
from mage.scenes.sources.raw import printable

_ENDINGS = re.compile(r"(\.(city|gml|citygml|json|jsonl|geojson|geojsonl|xml|seq|osm|pbf|gz|bz2|xz|zip|tar|tgz))+$")


def city_name(path: Path) -> str:
    """The file's name without its endings, in lower case letters, digits and hyphens: ``Den Haag.city.json`` ->
    ``den-haag``.
    """
    stem = _ENDINGS.sub("", path.name.lower())
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "city"


def distinct(buildings: Sequence[Building], notes: Counter[str]) -> tuple[Building, ...]:
    """The buildings under ids that can be printed, are not empty, and are all different.

    One that comes twice with the same id and the same shape, as tiles that overlap hold it, is kept once.
    """
    taken: dict[str, Building] = {}
    found = []
    for position, building in enumerate(buildings, start=1):
        name = printable(building.id) or f"building-{position}"
        notes["buildings without an id"] += not building.id
        if building.id and name in taken and _same(building, taken[name]):
            notes["buildings given twice left out"] += 1
            continue
        notes["building ids that were taken"] += name in taken
        k = 2
        while name in taken:
            name, k = f"{building.id or 'building'}-{position}-{k}", k + 1
        taken[name] = building
        found.append(building if name == building.id else replace(building, id=name))
    return tuple(found)


def _same(one: Building, other: Building) -> bool:
    return (one.ground, one.height, len(one.mesh)) == (other.ground, other.height, len(other.mesh)) and bool(
        one.footprint.equals(other.footprint)
    )
