"""Buildings of CityJSON 1.0, 1.1 and 2.0, as one document or as a sequence of features (CityJSONSeq)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, BinaryIO

import numpy as np

from mage.scenes.errors import CityError
from mage.scenes.mesh import Surface
from mage.scenes.sources.raw import SEMANTICS, Floats, Polygons, RawBuilding, RawCity, RawObject, lengths, printable

VERSIONS = ("1.0", "1.1", "2.0")
_SURFACES = frozenset({"MultiSurface", "CompositeSurface"})
_SOLIDS = frozenset({"MultiSolid", "CompositeSolid"})
_NOTHING: Mapping[str, Any] = {}


def read_cityjson(stream: BinaryIO) -> RawCity:
    """The buildings of a CityJSON file, open in binary mode.

    Raises:
        CityError: no CityJSON, a version that is not read, broken JSON, geometry that is not laid out as it should be.
    """
    notes: Counter[str] = Counter()
    documents = _documents(stream)
    header = next(documents)
    version = _version(header)
    transform = _transform(header)
    buildings = list(_buildings(header, transform, notes))
    features = 0
    for features, feature in enumerate(documents, start=1):
        if feature.get("type") != "CityJSONFeature":
            raise CityError(
                f"feature {features} is no CityJSONFeature", expected="one feature a line", found=_brief(feature)
            )
        buildings += _buildings(feature, transform, notes)
    metadata = _mapping(header.get("metadata", _NOTHING), "metadata")
    crs = metadata.get("referenceSystem")
    licence = metadata.get("licence", metadata.get("license"))
    return RawCity(
        f"CityJSON{'Seq' if features else ''} {version}",
        buildings,
        (crs,) if isinstance(crs, str) else (),
        printable(licence, 200) if isinstance(licence, str) else None,
        notes,
    )


def _documents(stream: BinaryIO) -> Iterator[Mapping[str, Any]]:
    """The whole file as one document; or, when its first line is a CityJSON of its own, each line."""
    first = next((line for line in stream if line.strip()), b"")
    try:
        header = _parse(first)
        rest = next((line for line in stream if line.strip()), None)
    except CityError:
        yield _checked(_parse(first + stream.read()))
        return
    yield _checked(header)
    if rest is not None:
        for line in chain([rest], stream):
            if line.strip():
                yield _mapping(_parse(line), "a feature")


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise CityError("its JSON is nested too deeply", expected="CityJSON") from None
    except ValueError as error:  # also bytes that are no text, and numbers of thousands of digits
        raise CityError("broken JSON", expected="CityJSON", found=str(error)) from None


def _checked(document: Any) -> Mapping[str, Any]:
    if not isinstance(document, dict) or document.get("type") != "CityJSON":
        raise CityError("not a city", expected="a CityJSON document", found=f"JSON of {_brief(document)}")
    return document


def _brief(document: Any) -> str:
    kind = document.get("type") if isinstance(document, dict) else type(document).__name__
    return f"type {printable(str(kind), 60)}"


def _version(header: Mapping[str, Any]) -> str:
    version = printable(str(header.get("version")), 20)
    short = ".".join(version.split(".")[:2])
    if short not in VERSIONS:
        raise CityError("this version of CityJSON is not read", expected=" or ".join(VERSIONS), found=version)
    return short


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise CityError(f"{where} is not laid out as CityJSON", expected="an object", found=type(value).__name__)
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise CityError(f"{where} is not laid out as CityJSON", expected="a list", found=type(value).__name__)
    return value


def _numbers(value: Any, columns: int, where: str) -> Floats:
    """Rows of numbers, float64 (n, columns)."""
    try:
        array = np.array(_list(value, where), dtype=float)
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(())
    if array.size == 0 and array.ndim == 1:
        array = array.reshape(0, columns)
    if array.ndim != 2 or array.shape[1] != columns:
        raise CityError(f"{where} is not laid out as CityJSON", expected=f"rows of {columns} numbers")
    return array


def _transform(header: Mapping[str, Any]) -> Floats:
    """Scale and translation of the vertices, (2, 3)."""
    transform = _mapping(header.get("transform", {"scale": [1, 1, 1], "translate": [0, 0, 0]}), "transform")
    return _numbers([transform.get("scale"), transform.get("translate")], 3, "transform")


def _buildings(document: Mapping[str, Any], transform: Floats, notes: Counter[str]) -> Iterator[RawBuilding]:
    """Every building of a document that is not part of another, with its parts."""
    objects = _mapping(document.get("CityObjects"), "CityObjects")
    with np.errstate(over="ignore", invalid="ignore"):
        vertices = _numbers(document.get("vertices"), 3, "vertices") * transform[0] + transform[1]
    for name, item in objects.items():
        kind = _mapping(item, f"the city object {printable(name, 60)}").get("type")
        if kind == "Building":
            members = [objects[key] for key in _family(name, objects, notes)]
            yield RawBuilding(name, tuple(_object(member, vertices, notes) for member in members))
        elif kind != "BuildingPart":
            notes[f"ignored {printable(str(kind), 60)}"] += 1


def _family(name: str, objects: Mapping[str, Any], notes: Counter[str]) -> list[str]:
    """The building's name, then those of its parts and their parts, each once."""
    found, queue = {name: None}, [name]
    while queue:
        children = _list(_mapping(objects[queue.pop(0)], "a city object").get("children", []), "children")
        for child in children:
            part = objects.get(child) if isinstance(child, str) else None
            if not isinstance(part, dict):
                notes["building parts that are not there"] += 1
            elif part.get("type") == "BuildingPart" and child not in found:
                found[child] = None
                queue.append(child)
    return list(found)


def _object(item: Mapping[str, Any], vertices: Floats, notes: Counter[str]) -> RawObject:
    by_level: dict[float, list[Mapping[str, Any]]] = {}
    for entry in _list(item.get("geometry", []), "geometry"):
        geometry = _mapping(entry, "a geometry")
        by_level.setdefault(_level(geometry.get("lod")), []).append(geometry)
    shells = {}
    for level, geometries in by_level.items():
        if 1 <= level < 3 and (found := _shells(geometries, vertices, notes)):
            shells[level] = found
    unused = frozenset(int(level) for level in by_level if not 1 <= level < 3)
    return RawObject(_mapping(item.get("attributes", _NOTHING), "attributes"), shells, unused)


def _level(lod: Any) -> float:
    try:
        level = float(lod)
    except (TypeError, ValueError, OverflowError):
        level = -1.0
    return level if 0 <= level < 5 else -1.0


def _shells(geometries: list[Mapping[str, Any]], vertices: Floats, notes: Counter[str]) -> list[Polygons]:
    """Geometry of one level: what has semantics goes before what has none, and solids before surfaces.

    A file may hold one building twice, as labelled surfaces and as a plain solid; geometries of equal rank complement
    each other.
    """
    ranked: dict[tuple[bool, bool], list[Polygons]] = {}
    for geometry in geometries:
        kind = str(geometry.get("type"))
        if kind in _SURFACES or kind in _SOLIDS or kind == "Solid":
            semantics = geometry.get("semantics")
            rank = (bool(semantics), kind not in _SURFACES)
            ranked.setdefault(rank, []).extend(_polygons(kind, geometry, vertices))
        else:
            notes[f"ignored {printable(kind, 60)}"] += 1
    return [shell for shell in ranked[max(ranked)] if len(shell)] if ranked else []


def _polygons(kind: str, geometry: Mapping[str, Any], vertices: Floats) -> Iterator[Polygons]:
    """One outer shell for each solid, or one for a multi-surface; cavities inside solids are left out."""
    boundaries = _list(geometry.get("boundaries"), "boundaries")
    semantics = _mapping(geometry.get("semantics") or _NOTHING, "semantics")
    labels = [_label(surface) for surface in _list(semantics.get("surfaces", []), "semantics")]
    values = semantics.get("values")
    if kind in _SURFACES:
        yield _shell(boundaries, values, labels, vertices)
        return
    solids = [(boundaries, values)] if kind == "Solid" else [(s, _at(values, k)) for k, s in enumerate(boundaries)]
    for solid, of_solid in solids:
        if _list(solid, "boundaries"):
            yield _shell(solid[0], _at(of_solid, 0), labels, vertices)


def _at(values: Any, position: int) -> Any:
    return values[position] if isinstance(values, list) and position < len(values) else None


def _label(surface: Any) -> Surface:
    kind = _mapping(surface, "semantics").get("type")
    return SEMANTICS.get(kind, Surface.OTHER) if isinstance(kind, str) else Surface.OTHER


def _shell(faces: Any, values: Any, labels: list[Surface], vertices: Floats) -> Polygons:
    try:
        rings = list(chain.from_iterable(_list(faces, "boundaries")))
        sizes, counts = lengths(rings), lengths(faces)
        index = np.array(list(chain.from_iterable(rings)))
    except (TypeError, ValueError):
        raise CityError("boundaries are not laid out as CityJSON", expected="lists of rings of integers") from None
    if index.size == 0:
        return Polygons.of([], [])
    if index.ndim != 1 or index.dtype.kind != "i":
        raise CityError("boundaries are not laid out as CityJSON", expected="lists of rings of integers")
    if index.min() < 0 or index.max() >= len(vertices):
        raise CityError(
            "a boundary refers to a vertex that is not there",
            expected=f"0 to {len(vertices) - 1}",
            found=str(index.min() if index.min() < 0 else index.max()),
        )
    return Polygons(vertices[index], sizes, counts, _surfaces(values, labels, len(faces)))


def _surfaces(values: Any, labels: list[Surface], count: int) -> Any:
    """A surface for each face, uint8; OTHER where the semantics are silent or point nowhere."""
    found = np.full(count, Surface.OTHER, np.uint8)
    if isinstance(values, list):
        for face, value in enumerate(values[:count]):
            if isinstance(value, int) and 0 <= value < len(labels):
                found[face] = labels[value]
    return found
