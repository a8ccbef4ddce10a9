"""City files to raw cities: what a file is shows in its first bytes, never in its name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from io import BufferedReader
from pathlib import Path

from mage.scenes.errors import CityError
from mage.scenes.sources.archives import HEAD, opened
from mage.scenes.sources.citygml.read import read_citygml
from mage.scenes.sources.cityjson.read import read_cityjson
from mage.scenes.sources.raw import Floats, RawCity

EXPECTED = "CityJSON 1.0 to 2.0, CityGML 1.0 to 3.0 or OpenStreetMap"
Within = Callable[[Sequence[str], Floats], bool]

_STRANGERS = {
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x89PNG": "a PNG picture",
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"PK": "a ZIP archive without an entry",
    b"%PDF": "a PDF",
    b"SQLite format 3": "an SQLite database",
    b"7z\xbc\xaf": "a 7z archive: unpack it first",
    b"Rar!": "a RAR archive: unpack it first",
}
_CITY_XML = re.compile(rb"<(?:[\w.-]+:)?CityModel[\s>]")


def parse_city(path: Path, within: Within | None) -> RawCity:
    """All that a file, or the city files in an archive, hold; ``within`` says which objects to keep.

    Raises:
        CityError, lxml.etree.LxmlError: no city, or a broken one.
    """
    found: list[RawCity] = []
    ignored, members, stranger = 0, 0, ""
    with opened(path) as streams:
        for name, stream in streams:
            members += 1
            head = stream.peek(HEAD)
            if name == path.name or _is_city(plain(head)):
                found.append(_parse(stream, head, within))
            else:
                ignored += 1
                stranger = stranger or _name_of(head)
    if not found:
        raise CityError("no city in the archive", expected=EXPECTED, found=stranger or f"{members} files")
    merged = _merged(found)
    merged.notes["files in the archive that are no cities"] += ignored
    return merged


def plain(head: bytes) -> bytes:
    """The first bytes of a text without byte order marks, leading space and the zeros of UTF-16."""
    return head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xfe\xff \t\r\n")


def _is_city(head: bytes) -> bool:
    return bool(_CITY_XML.search(head)) or (head.startswith(b"{") and b"CityJSON" in head)


def _parse(stream: BufferedReader, head: bytes, within: Within | None) -> RawCity:
    text = plain(head)
    if text.startswith((b"{", b"[")):
        return read_cityjson(stream, within)
    if text.startswith(b"<"):
        if b"<!DOCTYPE" in text:
            raise CityError("it holds a DOCTYPE, which could make a reader swell or fetch files", expected="none")
        return read_citygml(stream, within)
    raise CityError("not a city", expected=EXPECTED, found=_name_of(head))


def _name_of(head: bytes) -> str:
    if not head:
        return "nothing"
    known = next((name for magic, name in _STRANGERS.items() if head.startswith(magic)), None)
    return known or f"a file that begins with {head[:12]!r}"


def _merged(cities: Sequence[RawCity]) -> RawCity:
    """One raw city out of those of several files."""
    notes: Counter[str] = Counter()
    for city in cities:
        notes.update(city.notes)
    licences = dict.fromkeys(c.licence for c in cities if c.licence)
    return RawCity(
        " and ".join(dict.fromkeys(c.format for c in cities)),
        [b for c in cities for b in c.buildings],
        tuple(dict.fromkeys(name for c in cities for name in c.crs)),
        " and ".join(licences) or None,
        notes,
        [f for c in cities for f in c.features],
    )
