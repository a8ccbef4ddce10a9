"""Small maps for the tests of OpenStreetMap's readers, drawn in metres and written in degrees."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

EAST, NORTH = 9.0, 48.0  # degrees of the map's (0, 0): on the middle meridian of UTM zone 32, where scale is 0.9996
METRE_EAST = 1 / 111_320 / np.cos(np.radians(NORTH))
METRE_NORTH = 1 / 111_200


def degrees(x: float, y: float) -> tuple[float, float]:
    """Degrees east and north of a place some metres from the map's middle."""
    return round(EAST + x * METRE_EAST, 7), round(NORTH + y * METRE_NORTH, 7)


class Map:
    """Gathers nodes, ways and relations, and writes them as OSM XML."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._nodes: dict[tuple[float, float], int] = {}
        self._node_tags: dict[int, dict[str, str]] = {}
        self._ways: list[tuple[list[int], dict[str, str]]] = []
        self._relations: list[tuple[list[tuple[str, int, str]], dict[str, str]]] = []
        self.header = ""

    def node(self, x: float, y: float, **tags: str) -> int:
        """The node at a place in metres."""
        key = self._nodes.setdefault((x, y), len(self._nodes) + 1)
        self._node_tags.setdefault(key, {}).update(_spelt(tags))
        return key

    def way(self, points: list[tuple[float, float]], **tags: str) -> int:
        """A way; its first point repeated at its end closes it."""
        self._ways.append(([self.node(x, y) for x, y in points], _spelt(tags)))
        return len(self._ways)

    def box(self, x: float, y: float, width: float, depth: float, **tags: str) -> int:
        """A closed way around a rectangle whose lower left corner is at (x, y)."""
        corners = [(x, y), (x + width, y), (x + width, y + depth), (x, y + depth), (x, y)]
        return self.way(corners, **tags)

    def relation(self, members: list[tuple[int, str]], **tags: str) -> int:
        """A relation of ways with roles."""
        self._relations.append(([("way", ref, role) for ref, role in members], _spelt(tags)))
        return len(self._relations)

    def xml(self) -> str:
        """All of it as OSM XML."""
        out = ['<?xml version="1.0" encoding="UTF-8"?>', '<osm version="0.6">', self.header]
        for (x, y), key in self._nodes.items():
            east, north = degrees(x, y)
            out.append(f'<node id="{key}" version="1" lat="{north}" lon="{east}">{_tags(self._node_tags[key])}</node>')
        for key, (nodes, tags) in enumerate(self._ways, start=1):
            refs = "".join(f'<nd ref="{node}"/>' for node in nodes)
            out.append(f'<way id="{key}" version="1">{refs}{_tags(tags)}</way>')
        for key, (members, tags) in enumerate(self._relations, start=1):
            refs = "".join(f'<member type="{kind}" ref="{ref}" role="{role}"/>' for kind, ref, role in members)
            out.append(f'<relation id="{key}" version="1">{refs}{_tags(tags)}</relation>')
        return "\n".join([*out, "</osm>"])

    def write(self, name: str = "town.osm") -> Path:
        """The file with all of it."""
        path = self._folder / name
        path.write_text(self.xml(), encoding="utf-8")
        return path


def _spelt(tags: dict[str, str]) -> dict[str, str]:
    """``roof__shape`` stands for ``roof:shape``."""
    return {key.replace("__", ":"): value for key, value in tags.items()}


def _tags(tags: dict[str, str]) -> str:
    return "".join(f"<tag k={quoteattr(k)} v={quoteattr(v)}/>" for k, v in tags.items())
