"""A city's name, from that of its file."""

from __future__ import annotations

import re
from pathlib import Path

_ENDINGS = re.compile(r"(\.(city|gml|citygml|json|jsonl|geojson|geojsonl|xml|seq|osm|pbf|gz|bz2|xz|zip|tar|tgz))+$")


def city_name(path: Path) -> str:
    """The file's name without its endings, in lower case letters, digits and hyphens: ``Den Haag.city.json`` ->
    ``den-haag``.
    """
    stem = _ENDINGS.sub("", path.name.lower())
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "city"
