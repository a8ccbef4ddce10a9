"""City files inside archives, read as streams in memory: nothing is ever unpacked to a disk."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from mage.scenes.errors import CityError

LARGEST = 4 * 2**30  # bytes that a file or an archive may hold when unpacked
MOST_MEMBERS = 20_000
HEAD = 2**16  # bytes that a reader may look at before it decides
_TAR_MAGIC = slice(257, 262)
RATIO, RATIO_FROM = 300, 2**26  # unpacked to packed, once that many bytes are unpacked; bombs reach 1,032


class _Stream(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class _Capped(io.RawIOBase):
    """A stream that may only be read on, up to a size."""

    def __init__(self, stream: _Stream, budget: _Budget) -> None:
        self._stream, self._budget = stream, budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        self._budget.spend(len(data))
        buffer[: len(data)] = data
        return len(data)


class _Budget:
    """How much an archive may still hold, over all its members."""

    def __init__(self, packed: int) -> None:
        self._packed, self._unpacked = packed, 0

    def spend(self, count: int) -> None:
        """Raise CityError once the archive holds more than any city would."""
        self._unpacked += count
        if self._unpacked > LARGEST:
            raise CityError("it holds too much", expected=f"at most {LARGEST / 2**30:.0f} GiB unpacked")
        if self._unpacked > max(RATIO_FROM, RATIO * self._packed):
            raise CityError("it swells like a bomb", expected=f"at most {RATIO} times its own size", found="more")


@contextmanager
def opened(path: Path) -> Iterator[Iterator[tuple[str, io.BufferedReader]]]:
    """The members of a file as (name, stream): itself, what a ``.gz``, ``.xz`` or ``.bz2`` holds, or all that is in a
    ``.zip`` or ``.tar``, packed or not.

    What a file is shows in its first bytes. Streams give :data:`HEAD` bytes to ``peek``, cannot be wound back, and end
    when the next is asked for.

    Raises:
        CityError: a broken archive, or one that holds more than :data:`LARGEST` bytes, :data:`MOST_MEMBERS` members or
            :data:`RATIO` times its own size; while the members are read as well.
    """
    with path.open("rb") as file:
        try:
            yield _members(file, path.name, _Budget(path.stat().st_size))
        except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile) as error:
            raise CityError("a broken archive", expected="one that unpacks", found=str(error) or "its end") from None
        except NotImplementedError as error:
            raise CityError("an archive of a kind that is not read", found=str(error)) from None


def _members(file: BinaryIO, name: str, budget: _Budget) -> Iterator[tuple[str, io.BufferedReader]]:
    head = file.read(HEAD)
    file.seek(0)
    if head.startswith(b"PK\3\4"):
        yield from _unzipped(file, budget)
        return
    stream = _capped(_unpacked(file, head), budget)
    if stream.peek(HEAD)[_TAR_MAGIC] == b"ustar":
        yield from _untarred(stream)
    else:
        yield name, stream


def _capped(stream: _Stream, budget: _Budget) -> io.BufferedReader:
    return io.BufferedReader(_Capped(stream, budget), HEAD)


def _unpacked(file: BinaryIO, head: bytes) -> _Stream:
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if head.startswith(b"\xfd7zXZ"):
        return lzma.LZMAFile(file)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return file


def _unzipped(file: BinaryIO, budget: _Budget) -> Iterator[tuple[str, io.BufferedReader]]:
    with zipfile.ZipFile(file) as archive:
        members = [m for m in archive.infolist() if not m.is_dir()]
        _check_count(len(members))
        if any(m.flag_bits & 1 for m in members):
            raise CityError("the archive is locked", expected="no password")
        for member in sorted(members, key=lambda m: m.filename):
            with archive.open(member) as stream:
                yield member.filename, _capped(stream, budget)


def _untarred(stream: io.BufferedReader) -> Iterator[tuple[str, io.BufferedReader]]:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for count, member in enumerate(archive, start=1):
            _check_count(count)
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                yield member.name, _capped(content, _Budget(member.size))


def _check_count(count: int) -> None:
    if count > MOST_MEMBERS:
        raise CityError("the archive holds too many files", expected=f"at most {MOST_MEMBERS:,}", found=f"{count:,}")
