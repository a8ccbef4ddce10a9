"""Tar files of samples: written to the byte the same, and read by mapping the file and parsing headers only.

A member is ``KEY.FIELD``; a key holds no dot. The format is POSIX ustar (IEEE Std 1003.1-1988), in which a header is a
block of 512 bytes and a member's data is padded to whole blocks.
"""

from __future__ import annotations

import io
import mmap
import os
import re
import stat
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mage.scenes.dataset.fields import BAND_MEMBER, SENSOR_MEMBER, sample_members
from mage.scenes.errors import DatasetError

BLOCK = 512
MARK = 2 * BLOCK  # zeros that end a tar
LONGEST = MARK + 20 * BLOCK  # with the zeros that fill its last record
NAME = re.compile(r"([a-z0-9][a-z0-9_-]*)\.([a-z0-9_.-]+)")
FIELDS = frozenset(sample_members("annotator"))


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write ``members`` in the order given, each with mode 0644 and neither time nor owner.

    Raises:
        DatasetError: a name that is not ``KEY.FIELD``, stands twice, or is longer than the 100 bytes of a header.
        OSError: the file cannot be written.
    """
    seen: set[str] = set()
    with path.open("wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            _split(name, path)
            if name in seen or len(name) > 100:
                raise DatasetError("a member's name stands twice or is too long", file=path, found=repr(name))
            seen.add(name)
            info = tarfile.TarInfo(name)  # its defaults are mode 0644, time 0, owner 0 without a name
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


class TarIndex:
    """A shard opened for reading: where each member of each sample lies.

    The file is mapped, so a read is a copy of the bytes asked for. An index can be pickled: it opens its file again
    in the process that it arrives in, when it is first asked for something.

    Raises:
        DatasetError: no such file, or not a shard: links, folders, absolute paths, fields that a sample does not
            have, members that stand twice, reach past the end or lie apart from their sample, a file without the
            mark at its end.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._map: mmap.mmap | None = None
        self._samples: dict[str, dict[str, tuple[int, int]]] = {}
        self._open()

    @property
    def keys(self) -> list[str]:
        """Keys of the samples in the order of the file."""
        self._open()
        return list(self._samples)

    def members(self, key: str) -> dict[str, tuple[int, int]]:
        """Position and length in bytes of each field of a sample, in the order of the file."""
        self._open()
        try:
            return dict(self._samples[key])
        except KeyError:
            raise DatasetError("holds no such sample", file=self.path, found=repr(key)) from None

    def read(self, key: str, field: str) -> bytes:
        """The bytes of one field (``pre.png``, ``json``) of a sample."""
        members = self.members(key)
        if field not in members:
            raise DatasetError(f"the sample {key} has no {field}", file=self.path)
        start, size = members[field]
        assert self._map is not None
        return self._map[start : start + size]

    def close(self) -> None:
        """Unmap the file; the next question opens it again."""
        if self._map is not None:
            self._map.close()
            self._map = None

    def __enter__(self) -> TarIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path, self._map, self._samples = state["path"], None, {}

    def _open(self) -> None:
        if self._map is None:
            self._map = _map(self.path)
            try:
                self._samples = _index(self._map, self.path)
            except DatasetError:
                self.close()
                raise


def _map(path: Path) -> mmap.mmap:
    try:
        # a named pipe would block an ordinary open for ever
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise DatasetError("no such shard", file=path) from None
    except OSError as error:
        raise DatasetError(f"cannot be read: {error.strerror}", file=path) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size < BLOCK:
            raise DatasetError("not a tar file", file=path, found=f"{status.st_size} bytes")
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot be mapped: {error}", file=path) from None
    finally:
        os.close(descriptor)


def _index(data: mmap.mmap, path: Path) -> dict[str, dict[str, tuple[int, int]]]:
    samples: dict[str, dict[str, tuple[int, int]]] = {}
    position, last = 0, ""
    while any(block := data[position : position + BLOCK]):
        name, size = _parse(block, path)
        key, field = _split(name, path)
        if field not in FIELDS and not _is_band(field.removesuffix(".png")):
            raise DatasetError(
                "a field that no sample has", file=path, expected="one of the schema's", found=repr(name)
            )
        members = samples.setdefault(key, {})
        if field in members or (members and key != last):
            raise DatasetError("a member stands twice or apart from its sample", file=path, found=repr(name))
        start = position + BLOCK
        if start + size > len(data):
            raise DatasetError(
                f"{name} reaches past the end",
                file=path,
                expected=f"at most {len(data) - start} bytes",
                found=str(size),
            )
        members[field] = (start, size)
        position, last = start + -(-size // BLOCK) * BLOCK, key
    tail = data[position : position + LONGEST + 1]
    if not MARK <= len(tail) <= LONGEST or any(tail):
        raise DatasetError(
            "does not end as a tar does: it has been cut or added to",
            file=path,
            expected=f"{MARK} to {LONGEST} zero bytes at {position}",
            found=f"{len(data) - position} bytes",
        )
    return samples


def _is_band(member: str) -> bool:
    return (SENSOR_MEMBER.fullmatch(member) or BAND_MEMBER.fullmatch(member)) is not None


def _parse(block: bytes, path: Path) -> tuple[str, int]:
    """Name and size out of a header; whatever is not a plain file of ours is refused."""
    try:
        stated = int(block[148:156].strip(b" \0"), 8)
        size = int(block[124:136].strip(b" \0"), 8)
        name = block[:100].rstrip(b"\0").decode("ascii")
    except ValueError:
        raise DatasetError("a damaged tar header", file=path) from None
    # the checksum counts its own field as eight blanks
    if len(block) < BLOCK or sum(block) - sum(block[148:156]) + 8 * 32 != stated or size < 0:
        raise DatasetError("a damaged tar header", file=path, found=repr(name))
    if block[257:263] != b"ustar\0" or any(block[345:500]):
        raise DatasetError("not a tar that MAGE wrote", file=path, expected="ustar with short names", found=repr(name))
    if block[156:157] != b"0" or any(block[157:257]):
        raise DatasetError("only plain files may be in a shard", file=path, found=repr(name))
    return name, size


def _split(name: str, path: Path) -> tuple[str, str]:
    match = NAME.fullmatch(name)
    if match is None:
        raise DatasetError("a member's name is refused", file=path, expected="KEY.FIELD", found=repr(name))
    return match[1], match[2]
