"""On which side of the road traffic keeps, by where a city lies."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import shapely
from shapely.geometry import MultiPolygon, Polygon

from mage.scenes.yamlio import parse_yaml


def drives_left(latitude: float, longitude: float) -> bool:
    """Whether traffic keeps to the left there; degrees north and east. Sure to some 30 km beside a border."""
    return bool(shapely.intersects_xy(_outlines(), longitude, latitude))


@cache
def _outlines() -> MultiPolygon:
    text = files("mage.assets").joinpath("driving.yaml").read_text(encoding="utf-8")
    outlines = MultiPolygon([Polygon(ring) for ring in parse_yaml(text, "driving.yaml").values()])
    shapely.prepare(outlines)
    return outlines
