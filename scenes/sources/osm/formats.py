"""Which of OpenStreetMap's formats a file is in, and whether it may be handed to a parser at all."""

from __future__ import annotations

import bz2
import gzip
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from xml.parsers import expat

from mage.scenes.errors import CityError

LARGEST_TEXT = 4 * 2**30  # bytes of unpacked XML
LARGEST_JSON = 2**29  # bytes of unpacked JSON: it is held in memory whole
LARGEST_RATIO = 100  # OSM XML packs 10 to 20 times
UNSUSPICIOUS = 64 * 2**20  # bytes; what unpacks to less than this may have any ratio
LARGEST_BLOCKS = 16 * 2**30  # bytes of unpacked PBF blocks
LARGEST_BLOCK_RATIO = 20  # blocks of real extracts pack 2 to 5 times
LONGEST_PROLOGUE = 2**20  # bytes of XML before its first element

_GZIP, _BZIP2 = b"\x1f\x8b", b"BZh"
_FEATURES = re.compile(rb'"type"\s*:\s*"(FeatureCollection|Feature)"')
_ELEMENTS = re.compile(rb'"(osm3s|elements)"\s*:')


def osm_format(head: bytes) -> str | None:
    """``pbf``, ``xml``, ``overpass`` or ``geojson``, from a file's first bytes (64 KiB are plenty); None for others.

    XML and JSON may be packed by gzip or bzip2.
    """
    if head[4:15] == b"\x0a\x09OSMHeader":
        return "pbf"
    text = _unpacked_head(head).replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xfe\xff \t\r\n")  # UTF-16, byte order marks
    if text.startswith(b"<"):
        return "xml" if re.search(rb"<osm[\s>/]", text) else None
    if text.startswith(b"{") and b'"CityJSON' not in text:
        if _FEATURES.search(text):
            return "geojson"
        return "overpass" if _ELEMENTS.search(text) else None
    return None


def is_osm(head: bytes) -> bool:
    """Whether a file that begins so is for :func:`mage.scenes.sources.osm.read_osm`."""
    return osm_format(head) is not None


def packing(head: bytes) -> str:
    """``gz``, ``bz2`` or nothing."""
    return "gz" if head.startswith(_GZIP) else "bz2" if head.startswith(_BZIP2) else ""


def _unpacked_head(head: bytes) -> bytes:
    try:
        if head.startswith(_GZIP):
            return zlib.decompressobj(wbits=31).decompress(head, 2**16)
        if head.startswith(_BZIP2):
            return bz2.BZ2Decompressor().decompress(head, 2**16)
    except (zlib.error, OSError):
        return b""
    return head


def pieces(path: Path) -> Iterator[bytes]:
    """The unpacked bytes of a file, at most 1 MiB at a time.

    Raises:
        CityError: packed data that are broken or cut short, or that swell beyond all measure.
    """
    size, total = path.stat().st_size, 0
    with _opened(path) as stream:
        while piece := _read(stream):
            total += len(piece)
            swollen = total > UNSUSPICIOUS and total > LARGEST_RATIO * size
            if swollen or total > LARGEST_TEXT:
                raise CityError(
                    "it unpacks to far more than a map",
                    expected=f"at most {LARGEST_RATIO} times its size and {LARGEST_TEXT / 2**30:.0f} GiB",
                    found=f"over {total / 2**20:.0f} MiB from {size / 2**20:.2f} MiB",
                )
            yield piece


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw:
        kind = packing(raw.read(4))
        raw.seek(0)
        if kind == "gz":
            with gzip.GzipFile(fileobj=raw) as stream:
                yield stream  # type: ignore[misc]
        elif kind == "bz2":
            with bz2.BZ2File(raw) as stream:
                yield stream
        else:
            yield raw


def _read(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(2**20)
    except EOFError:
        raise CityError("the packed data are cut short", expected="a whole file") from None
    except (zlib.error, OSError) as error:
        raise CityError("the packed data are broken", expected="gzip or bzip2", found=str(error)) from None


def text_of(path: Path) -> bytes:
    """The unpacked bytes of a JSON file, whole.

    Raises:
        CityError: as :func:`pieces`, and more than 512 MiB.
    """
    found, total = [], 0
    for piece in pieces(path):
        found.append(piece)
        total += len(piece)
        if total > LARGEST_JSON:
            raise CityError("too much JSON for one city", expected="at most 512 MiB unpacked", found="more")
    return b"".join(found)


def check_xml(path: Path) -> None:
    """Looks at all that comes before the first element, in any encoding, and unpacks the rest.

    Raises:
        CityError: a DOCTYPE, a root that is not ``osm``, packed data that are broken or swell.
    """
    prologue = _Prologue()
    for piece in pieces(path):
        prologue.feed(piece)
    if prologue.root is None:
        raise CityError("broken XML", expected="an element <osm>", found="none")


class _Prologue:
    """Reads XML up to its first element."""

    def __init__(self) -> None:
        self.root: str | None = None
        self._seen = 0
        self._parser = expat.ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._element

    def feed(self, piece: bytes) -> None:
        """The next bytes; those after the first element are not looked at."""
        for start in range(0, len(piece), 2**12):
            if self.root is not None:
                return
            self._parse(piece[start : start + 2**12])

    def _parse(self, piece: bytes) -> None:
        self._seen += len(piece)
        if self._seen > LONGEST_PROLOGUE:
            raise CityError("no element in the first MiB of the XML", expected="<osm>")
        try:
            self._parser.Parse(piece, False)
        except (expat.ExpatError, LookupError, ValueError) as error:  # the latter of encodings that nobody knows
            if self.root is None:
                raise CityError("broken XML", expected="OSM XML", found=str(error)) from None

    def _doctype(self, *_: object) -> None:
        if self.root is None:
            raise CityError("it holds a DOCTYPE, which could make a reader swell or fetch files", expected="none")

    def _element(self, name: str, _: object) -> None:
        if self.root is None:
            self.root = name
            if name != "osm":
                raise CityError("not a map of OpenStreetMap", expected="<osm>", found=f"<{name[:40]}>")


def check_pbf(path: Path) -> None:
    """Walks over the blocks of a PBF file without unpacking them: all there, and none of them swells.

    The layout is that of the PBF format: a length of 4 bytes, a BlobHeader with the type (1) and the size (3) of
    the Blob that follows, and in that the size of its unpacked data (2).

    Raises:
        CityError: a file that is cut short, no PBF, or blocks that swell beyond all measure.
    """
    size, total = path.stat().st_size, 0
    with path.open("rb") as stream:
        while length := stream.read(4):
            header = _exactly(stream, struct.unpack(">I", length)[0] if len(length) == 4 else -1, 2**16)
            blob_size = _numbers(header).get(3, -1)
            total += _numbers(_exactly(stream, blob_size, 2**25)).get(2, 0)
            if total > min(max(UNSUSPICIOUS, LARGEST_BLOCK_RATIO * size), LARGEST_BLOCKS):
                raise CityError(
                    "its blocks unpack to far more than a map",
                    expected=f"at most {LARGEST_BLOCK_RATIO} times the file's size",
                    found=f"over {total / 2**20:.0f} MiB from {size / 2**20:.2f} MiB",
                )


def _exactly(stream: IO[bytes], count: int, most: int) -> bytes:
    content = stream.read(count) if 0 <= count <= most else b""
    if not 0 <= count <= most or len(content) != count:
        raise CityError("the file is cut short or broken", expected="whole PBF blocks", found="less")
    return content


def _numbers(message: bytes) -> dict[int, int]:
    """Field -> value of the whole numbers in a protobuf message; bytes are stepped over."""
    found: dict[int, int] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value, at = _varint(message, at)
        if tag & 7 == 0:
            found[tag >> 3] = value
        elif tag & 7 == 2:
            at += value
        else:
            raise CityError("the file is broken", expected="PBF blocks", found=f"a field of wire type {tag & 7}")
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        value, at = value | (byte & 127) << shift, at + 1
        if byte < 128:
            return value, at
    raise CityError("the file is broken", expected="PBF blocks", found="a number without an end")
