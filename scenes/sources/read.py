"""Any city file to a :class:`City`: what a file is shows in its first bytes, never in its name."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from lxml import etree

from mage.scenes.city import Building, City, Source
from mage.scenes.errors import CityError
from mage.scenes.sources.buildings import build
from mage.scenes.sources.citygml import read_citygml
from mage.scenes.sources.cityjson import read_cityjson
from mage.scenes.sources.crs import Frame, choose_frame
from mage.scenes.sources.raw import Floats, RawCity, printable
from mage.scenes.sources.surfaces import FARTHEST

LARGEST_FILE = 2 * 2**30  # bytes
_EXPECTED = "CityJSON 1.0 to 2.0 or CityGML 1.0 to 3.0"
_STRANGERS = {
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x89PNG": "a PNG picture",
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"PK": "a ZIP archive: unpack it first",
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"\xfd7zXZ": "an xz archive: unpack it first",
    b"%PDF": "a PDF",
    b"SQLite format 3": "an SQLite database",
}


def read_city(path: Path) -> City:
    """The buildings of a CityJSON, CityJSONSeq or CityGML file in a local metric frame.

    Vertices are map coordinates minus ``origin``, heights those of the source's vertical datum. What was repaired,
    left out or ignored is counted in the city's ``notes``.

    Raises:
        CityError: whatever the reason why there is no city to be had from this file.
    """
    try:
        return _read(path)
    except CityError as error:
        if error.file is not None:
            raise
        raise CityError(error.message, file=path, expected=error.expected, found=error.found) from None
    except etree.LxmlError as error:
        raise CityError("broken XML", file=path, expected="CityGML", found=_one_line(error)) from None
    except MemoryError:
        raise CityError("too large for the memory of this machine", file=path) from None
    except OSError as error:
        raise CityError("cannot be read", file=path, found=error.strerror or str(error)) from None


def _read(path: Path) -> City:
    _check_file(path)
    with path.open("rb") as stream:
        raw = _parse(stream)
        stream.seek(0)
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    if not raw.buildings:
        raise CityError("no building in it", expected="buildings", found=_shown(raw.notes, "nothing"))
    notes = Counter(raw.notes)
    frame, origin = _frame(raw, notes)
    buildings = _distinct([b for item in raw.buildings if (b := build(item, frame, origin, notes))], notes)
    if not buildings:
        raise _nothing_built(raw, notes)
    latitude, longitude = frame.latitude_longitude(*origin)
    extent = np.array([b.footprint.bounds for b in buildings])
    west, south = extent[:, :2].min(axis=0).tolist()
    east, north = extent[:, 2:].max(axis=0).tolist()
    return City(
        name=city_name(path),
        crs=frame.crs,
        origin=origin,
        latitude=latitude,
        longitude=longitude,
        bounds=(west, south, east, north),
        buildings=tuple(buildings),
        sources=(Source(printable(path.name), raw.format, raw.licence, sha256),),
        notes={name: count for name, count in sorted(notes.items()) if count},
    )


def _check_file(path: Path) -> None:
    if not path.exists():
        raise CityError("no such file", file=path, expected=_EXPECTED)
    if path.is_dir():
        raise CityError("this is a folder", file=path, expected="a city file")
    if not path.is_file():
        raise CityError("this is no regular file", file=path, expected="a city file")
    size = path.stat().st_size
    if size == 0:
        raise CityError("the file is empty", file=path, expected=_EXPECTED)
    if size > LARGEST_FILE:
        raise CityError("the file is too large", file=path, expected="at most 2 GiB", found=f"{size / 2**30:.1f} GiB")


def _parse(stream: BinaryIO) -> RawCity:
    head = stream.read(2**16)
    stream.seek(0)
    text = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xfe\xff \t\r\n")  # UTF-16, byte order marks
    if text.startswith((b"{", b"[")):
        return read_cityjson(stream)
    if text.startswith(b"<"):
        if b"<!DOCTYPE" in text:
            raise CityError("it holds a DOCTYPE, which could make a reader swell or fetch files", expected="none")
        return read_citygml(stream)
    stranger = next((name for magic, name in _STRANGERS.items() if head.startswith(magic)), None)
    raise CityError("not a city", expected=_EXPECTED, found=stranger or f"a file that begins with {head[:12]!r}")


def _frame(raw: RawCity, notes: Counter[str]) -> tuple[Frame, tuple[float, float]]:
    """The frame of the file and the map coordinates of its middle in whole metres."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for building in raw.buildings:
        for shell in building.finest()[1]:
            low, high = _grown(low, high, shell.points)
    if not np.isfinite([low, high]).all():
        raise _nothing_built(raw, notes)
    frame = choose_frame(raw.crs, (low + high) / 2, notes)
    corners = np.array([(x, y, low[2]) for x in (low[0], high[0]) for y in (low[1], high[1])])
    middle = frame.project(corners)[:, :2]
    x, y = ((middle.min(axis=0) + middle.max(axis=0)) / 2).tolist()
    if not np.isfinite([x, y]).all():
        raise CityError("its coordinates cannot be projected", expected="degrees of one city", found=f"{low} to {high}")
    return frame, (float(round(x)), float(round(y)))


def _grown(low: Floats, high: Floats, points: Floats) -> tuple[Floats, Floats]:
    with np.errstate(invalid="ignore"):
        points = points[(np.abs(points) < FARTHEST).all(axis=1)]
    return np.minimum(low, points.min(axis=0, initial=np.inf)), np.maximum(high, points.max(axis=0, initial=-np.inf))


def _distinct(buildings: list[Building], notes: Counter[str]) -> list[Building]:
    """The buildings with ids that are all different and not empty."""
    taken: set[str] = set()
    found = []
    for position, building in enumerate(buildings, start=1):
        name = printable(building.id) or f"building-{position}"
        notes["buildings without an id"] += not building.id
        notes["building ids that were taken"] += name in taken
        k = 2
        while name in taken:
            name, k = f"{building.id or 'building'}-{position}-{k}", k + 1
        taken.add(name)
        found.append(building if name == building.id else replace(building, id=name))
    return found


def _nothing_built(raw: RawCity, notes: Counter[str]) -> CityError:
    levels = sorted({level for b in raw.buildings if not b.finest()[1] for level in b.unused if level >= 0})
    if levels and not any(b.finest()[1] for b in raw.buildings):
        what = "only LoD0 footprints" if levels == [0] else f"only LoD{', LoD'.join(map(str, levels))}"
        return CityError(f"{what}: there is no building to raise", expected="LoD1 or LoD2")
    return CityError("no building in it can be built", expected="LoD1 or LoD2", found=_shown(notes, "no geometry"))


def _shown(notes: Counter[str], nothing: str) -> str:
    return (
        ", ".join(f"{name.removeprefix('ignored ')} ({count})" for name, count in sorted(notes.items()) if count)
        or nothing
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def city_name(path: Path) -> str:
    """The file's name without its endings, in lower case letters, digits and hyphens: ``Den Haag.city.json`` ->
    ``den-haag``.
    """
    stem = re.sub(r"(\.(city|gml|citygml|json|jsonl|xml|seq))+$", "", path.name.lower())
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "city"
