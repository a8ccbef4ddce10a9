"""Archives are read in memory, member by member, and none of them can do harm."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mage.scenes.errors import CityError
from mage.scenes.sources import archives
from mage.scenes.sources.archives import opened

CONTENT = {"a/city.gml": b"<CityModel/>" * 50, "b.txt": b"read me", "c/": b"", "empty": b""}
FILES = {name: content for name, content in CONTENT.items() if not name.endswith("/")}


def zipped(contents: dict[str, bytes] = CONTENT, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(contents: dict[str, bytes] = CONTENT, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def read(path: Path) -> dict[str, bytes]:
    with opened(path) as members:
        return {name: stream.read() for name, stream in members}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "city.bin"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("pack", [zipped, tarred, *(lambda m=m: tarred(mode=f"w:{m}") for m in ("gz", "xz", "bz2"))])
def test_an_archive_gives_all_its_files(pack: Callable[[], bytes], written: Callable[[bytes], Path]) -> None:
    assert read(written(pack())) == FILES


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
def test_a_single_file_is_what_it_holds(pack: Callable[[bytes], bytes], written: Callable[[bytes], Path]) -> None:
    assert read(written(pack(b"<CityModel/>" * 9000))) == {"city.bin": b"<CityModel/>" * 9000}


def test_a_reader_may_look_at_the_head_before_it_reads(written: Callable[[bytes], Path]) -> None:
    text = bytes(range(256)) * 1024
    for packed in (text, gzip.compress(text), zipped({"x": text}), tarred({"x": text})):
        with opened(written(packed)) as members:
            _, stream = next(members)
            assert stream.peek(archives.HEAD) == text[: archives.HEAD]
            assert stream.read() == text


@pytest.mark.parametrize("pack", [zipped, lambda: tarred(mode="w:gz"), lambda: lzma.compress(b"city" * 5000)])
def test_a_truncated_archive_is_one_error(pack: Callable[[], bytes], written: Callable[[bytes], Path]) -> None:
    whole = pack()
    for share in (0.3, 0.6, 0.95):
        with pytest.raises(CityError, match="broken archive"):
            read(written(whole[: int(len(whole) * share)]))


def test_a_bomb_is_refused_before_it_has_swollen(
    written: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "RATIO_FROM", 2**16)
    for bomb in (gzip.compress(b"\0" * 2**24), zipped({"x": b"\0" * 2**24}), tarred({"x": b"\0" * 2**24}, "w:xz")):
        with pytest.raises(CityError, match="swells like a bomb"):
            read(written(bomb))


def test_an_archive_may_not_hold_too_much(written: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST", 1000)
    with pytest.raises(CityError, match="holds too much"):
        read(written(zipped({"x": b"1" * 600, "y": b"2" * 600}, zipfile.ZIP_STORED)))
    monkeypatch.setattr(archives, "LARGEST", 2**30)
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    for pack in (zipped, tarred):
        with pytest.raises(CityError, match="too many files"):
            read(written(pack({str(k): b"" for k in range(4)})))


def test_a_locked_archive_is_named_as_such(written: Callable[[bytes], Path]) -> None:
    packed = bytearray(zipped({"x": b"secret"}, zipfile.ZIP_STORED))
    packed[packed.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(CityError, match="locked"):
        read(written(bytes(packed)))


def test_links_and_devices_in_a_tar_are_no_files(written: Callable[[bytes], Path]) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"odd{kind!r}")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    assert read(written(buffer.getvalue())) == {}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["zip", "tar", "tar.gz", "gz", "xz", "bz2"]))
def test_a_damaged_archive_is_read_or_refused(data: st.DataObject, kind: str, written: Callable[[bytes], Path]) -> None:
    text = b"<CityModel>" * 40
    packed = {
        "zip": zipped(),
        "tar": tarred(),
        "tar.gz": tarred(mode="w:gz"),
        "gz": gzip.compress(text),
        "xz": lzma.compress(text),
        "bz2": bz2.compress(text),
    }[kind]
    damaged = bytearray(packed)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CityError, OSError):  # read_city makes one CityError of both
        read(written(bytes(damaged)))
