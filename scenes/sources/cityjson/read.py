"""CityJSON 1.0, 1.1 and 2.0, as one document or as a sequence of features (CityJSONSeq)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, BinaryIO

import numpy as np

from mage.scenes.errors import CityError
from mage.scenes.sources.cityjson.geometry import Templates
from mage.scenes.sources.cityjson.layout import NOTHING, brief, mapping, numbers, parse
from mage.scenes.sources.cityjson.objects import Document, Thing
from mage.scenes.sources.raw import Floats, RawBuilding, RawCity, RawFeature, printable

VERSIONS = ("1.0", "1.1", "2.0")
Within = Callable[[Sequence[str], Floats], bool]


def read_cityjson(stream: BinaryIO, within: Within | None = None) -> RawCity:
    """The buildings and features of a CityJSON file, open in binary mode. A sequence is read line by line.

    Args:
        stream: the file.
        within: asked for every object of its own, with the CRS names of the file and the object's points (n, 3) in
            that system; what it rejects is dropped at once and counted. A building is asked for together with its
            parts; what has no point is kept.

    Raises:
        CityError: no CityJSON, a version that is not read, broken JSON, geometry that is not laid out as it should be.
    """
    notes: Counter[str] = Counter()
    header, rest = _documents(stream, notes)
    version = _version(header)
    metadata = mapping(header.get("metadata") or NOTHING, "metadata")
    stated = metadata.get("referenceSystem")
    crs = (stated,) if isinstance(stated, str) else ()
    licence = metadata.get("licence", metadata.get("license"))
    buildings: list[RawBuilding] = []
    features: list[RawFeature] = []
    for thing in _things(header, rest or iter(()), notes):
        if within is not None and len(points := points_of(thing)) and not within(crs, points):
            notes["outside the bounds"] += 1
        elif isinstance(thing, RawBuilding):
            buildings.append(thing)
        else:
            features.extend(thing)
    return RawCity(
        f"CityJSON{'Seq' if rest else ''} {version}",
        buildings,
        crs,
        printable(licence, 200) if isinstance(licence, str) else None,
        notes,
        features,
    )


def points_of(thing: Thing) -> Floats:
    """All points of a building with its parts, or of all features of one object, (n, 3)."""
    shells, loose = [], [np.zeros((0, 3))]
    for item in thing.objects if isinstance(thing, RawBuilding) else thing:
        shells += [shell for level in item.shells.values() for shell in level]
        if isinstance(item, RawFeature):
            loose += [*item.lines, item.points]
    return np.concatenate([*loose, *(shell.points for shell in shells)])


def _things(header: Mapping[str, Any], rest: Iterator[Mapping[str, Any]], notes: Counter[str]) -> Iterator[Thing]:
    """Every thing of the document or of the sequence's lines."""
    templates, transform = Templates(header, notes), _transform(header)
    yield from Document(header, _vertices(header, transform), templates, notes).things()
    for line, feature in enumerate(rest, start=1):
        if feature.get("type") != "CityJSONFeature":
            raise CityError(
                f"feature {line} is no CityJSONFeature", expected="one feature a line", found=brief(feature)
            )
        own = Templates(feature, notes) if feature.get("geometry-templates") else templates
        yield from Document(feature, _vertices(feature, transform), own, notes).things()


def _documents(stream: BinaryIO, notes: Counter[str]) -> tuple[Mapping[str, Any], Iterator[Mapping[str, Any]] | None]:
    """The whole file as one document and None; or, when its first line is a CityJSON of its own, that and the rest."""
    first = next((line for line in stream if line.strip()), b"")
    found: Counter[str] = Counter()
    try:
        header = parse(first, found)
    except CityError:
        return _checked(parse(first + stream.read(), notes)), None
    notes.update(found)
    second = next((line for line in stream if line.strip()), None)
    if second is None:
        return _checked(header), None
    lines = (line for line in chain([second], stream) if line.strip())
    return _checked(header), (mapping(parse(line, notes), "a feature") for line in lines)


def _checked(document: Any) -> Mapping[str, Any]:
    if not isinstance(document, dict) or document.get("type") != "CityJSON":
        raise CityError("not a city", expected="a CityJSON document", found=f"JSON of {brief(document)}")
    return document


def _version(header: Mapping[str, Any]) -> str:
    stated = header.get("version")
    version = printable(stated, 20) if isinstance(stated, str) else type(stated).__name__
    short = ".".join(version.split(".")[:2])
    if short not in VERSIONS:
        raise CityError("this version of CityJSON is not read", expected=" or ".join(VERSIONS), found=version)
    return short


def _transform(header: Mapping[str, Any]) -> Floats:
    """Scale and translation of the vertices, (2, 3)."""
    transform = mapping(header.get("transform", {"scale": [1, 1, 1], "translate": [0, 0, 0]}), "transform")
    return numbers([transform.get("scale"), transform.get("translate")], 3, "transform")


def _vertices(document: Mapping[str, Any], transform: Floats) -> Floats:
    """The document's vertices in the coordinate system of the file, (n, 3)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(numbers(document.get("vertices"), 3, "vertices") * transform[0] + transform[1])
