"""CityJSON documents of any city object, written down by their coordinates."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

from cityfiles import X, Y

from mage.scenes.sources.cityjson.read import Within, read_cityjson
from mage.scenes.sources.raw import RawCity, RawFeature

Place = tuple[float, float, float]


class Draft:
    """A CityJSON document in the making; coordinates are metres east, north and up of (X, Y, 0)."""

    def __init__(self, version: str = "2.0") -> None:
        self.vertices: list[list[int]] = []
        self.document: dict[str, Any] = {
            "type": "CityJSON",
            "version": version,
            "metadata": {"referenceSystem": "https://www.opengis.net/def/crs/EPSG/0/7415"},
            "transform": {"scale": [0.001, 0.001, 0.001], "translate": [X, Y, 0.0]},
            "CityObjects": {},
            "vertices": self.vertices,
        }

    def at(self, *places: Place) -> list[int]:
        """Vertices at these places, as indices."""
        start = len(self.vertices)
        self.vertices += [[round(1000 * value) for value in place] for place in places]
        return list(range(start, start + len(places)))

    def surfaces(
        self, *faces: Sequence[Place], lod: Any = "2", kind: str = "MultiSurface", meaning: Sequence[Any] = ()
    ) -> dict[str, Any]:
        """A geometry of faces without holes; ``meaning`` is a semantic surface for each."""
        geometry: dict[str, Any] = {"type": kind, "lod": lod, "boundaries": [[self.at(*face)] for face in faces]}
        values: Any = list(range(len(meaning)))
        for _ in range({"MultiSurface": 0, "CompositeSurface": 0, "Solid": 1}.get(kind, 2)):
            geometry["boundaries"], values = [geometry["boundaries"]], [values]
        if meaning:
            geometry["semantics"] = {"surfaces": list(meaning), "values": values}
        return geometry

    def add(self, name: str, kind: str, *geometry: dict[str, Any], **others: Any) -> Draft:
        """The document with one more object."""
        self.document["CityObjects"][name] = {"type": kind, "geometry": list(geometry), **others}
        return self

    def template(self, geometry: dict[str, Any]) -> int:
        """A geometry template, whose vertices are taken from the document's; its number."""
        held = self.document.setdefault("geometry-templates", {"templates": [], "vertices-templates": []})
        held["templates"].append(geometry)
        held["vertices-templates"] = [[value / 1000 for value in vertex] for vertex in self.vertices]
        return len(held["templates"]) - 1

    def instance(self, template: int, place: Place, matrix: Sequence[float] = ()) -> dict[str, Any]:
        """A geometry instance; without a matrix it stands as it is."""
        matrix = matrix or [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
        return {
            "type": "GeometryInstance",
            "template": template,
            "boundaries": self.at(place),
            "transformationMatrix": list(matrix),
        }

    def read(self, within: Within | None = None) -> RawCity:
        """What the reader makes of it."""
        return read_text(json.dumps(self.document), within)


def read_text(text: str | bytes, within: Within | None = None) -> RawCity:
    return read_cityjson(io.BytesIO(text.encode() if isinstance(text, str) else text), within)


def rectangle(x: float, y: float, w: float, d: float, z: float = 0.0) -> list[Place]:
    """A level rectangle, seen from above anticlockwise."""
    return [(x, y, z), (x + w, y, z), (x + w, y + d, z), (x, y + d, z)]


def of_kind(city: RawCity, kind: str) -> list[RawFeature]:
    return [feature for feature in city.features if feature.kind == kind]
