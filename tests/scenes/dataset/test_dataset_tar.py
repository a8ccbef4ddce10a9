"""Shards as tar files: the same bytes every time, read by others, and nothing but samples let in."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.scenes.dataset.fields import sample_members
from mage.scenes.dataset.tar import TarIndex, write_tar
from mage.scenes.errors import DatasetError

keys = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,12}", fullmatch=True)
payloads = st.binary(max_size=1200)


def forged(path: Path, *entries, end=True):
    """A tar of (TarInfo or name, data) entries that only the standard library has seen."""
    with path.open("wb") as file:
        for entry, data in entries:
            info = entry if isinstance(entry, tarfile.TarInfo) else tarfile.TarInfo(entry)
            if info.type == tarfile.REGTYPE and not info.size:
                info.size = len(data)
            file.write(info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512))
        file.write(bytes(1024) if end else b"")
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@settings(max_examples=30)
@given(st.dictionaries(keys, st.lists(payloads, min_size=2, max_size=2), min_size=1, max_size=4))
def test_what_is_written_is_read_back_by_us_and_by_tarfile(samples):
    fields = ("json", "pre.png")
    members = [(f"{k}.{f}", data) for k, pair in samples.items() for f, data in zip(fields, pair, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        path, again = Path(folder) / "a.tar", Path(folder) / "b.tar"
        write_tar(path, members)
        write_tar(again, iter(members))
        assert path.read_bytes() == again.read_bytes()
        with TarIndex(path) as tar:
            assert tar.keys == list(samples)
            assert [(f"{k}.{f}", tar.read(k, f)) for k in tar.keys for f in tar.members(k)] == members
        with tarfile.open(path) as other:
            infos = other.getmembers()
            assert [(i.name, other.extractfile(i).read()) for i in infos] == members
    assert {(i.mtime, i.uid, i.gid, i.uname, i.gname, i.mode, i.type) for i in infos} == {
        (0, 0, 0, "", "", 0o644, tarfile.REGTYPE)
    }


def test_positions_are_those_of_the_bytes_in_the_file(tmp_path):
    path = tmp_path / "s.tar"
    write_tar(path, [("k.json", b"{}"), ("k.pre.png", b"x" * 700)])
    with TarIndex(path) as tar:
        start, size = tar.members("k")["pre.png"]
    assert path.read_bytes()[start : start + size] == b"x" * 700


def test_an_index_goes_to_another_process_and_opens_again(tmp_path):
    write_tar(tmp_path / "s.tar", [("k.json", b"{}")])
    with TarIndex(tmp_path / "s.tar") as tar:
        sent = pickle.dumps(tar)
    assert len(sent) < 500
    arrived = pickle.loads(sent)
    assert arrived.read("k", "json") == b"{}"
    arrived.close()
    assert arrived.keys == ["k"]
    arrived.close()


def test_bytes_outlive_the_index(tmp_path):
    write_tar(tmp_path / "s.tar", [("k.json", b"{}")])
    with TarIndex(tmp_path / "s.tar") as tar:
        data = tar.read("k", "json")
    assert data == b"{}"


def test_what_is_not_there_is_said_to_be_missing(tmp_path):
    write_tar(tmp_path / "s.tar", [("k.json", b"{}")])
    with TarIndex(tmp_path / "s.tar") as tar:
        with pytest.raises(DatasetError, match="no such sample"):
            tar.read("other", "json")
        with pytest.raises(DatasetError, match=r"has no pre\.png"):
            tar.read("k", "pre.png")
    with pytest.raises(DatasetError, match="no such shard"):
        TarIndex(tmp_path / "missing.tar")


@pytest.mark.parametrize(
    "entry",
    [
        "../k.json",
        "/etc/k.json",
        "k/../k.json",
        "folder/k.json",
        "nodot",
        "K.json",
        ".json",
        "k.pickle",
        "k.pkl",
        "k.pre.png.exe",
        "k.meta.json",
        special("k.json", tarfile.SYMTYPE, "/etc/passwd"),
        special("k.json", tarfile.LNKTYPE, "other.json"),
        special("k.json", tarfile.DIRTYPE),
        special("k.json", tarfile.CHRTYPE),
        special("k.json", tarfile.FIFOTYPE),
    ],
    ids=lambda entry: entry if isinstance(entry, str) else f"{entry.name} of type {entry.type.decode()}",
)
def test_a_hostile_member_is_refused(tmp_path, entry):
    path = forged(tmp_path / "s.tar", (entry, b""))
    with pytest.raises(DatasetError, match=r"s\.tar"):
        TarIndex(path)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 7680, 8192, 8704, 9216, 9728, 10240])
def test_whatever_its_length_a_tar_that_we_write_is_whole(tmp_path, size):
    write_tar(tmp_path / "s.tar", [("k.json", bytes(size))])
    with TarIndex(tmp_path / "s.tar") as tar:
        assert tar.read("k", "json") == bytes(size)


def test_every_field_of_the_schema_is_let_in_and_only_those_are(tmp_path):
    write_tar(tmp_path / "s.tar", [(f"k.{field}", b"") for field in sample_members()])
    with TarIndex(tmp_path / "s.tar") as tar:
        assert list(tar.members("k")) == sample_members()


def test_a_size_beyond_the_file_is_refused(tmp_path):
    info = tarfile.TarInfo("k.json")
    info.size = 8**11 - 1  # the largest that a header can state
    with pytest.raises(DatasetError, match="reaches past the end"):
        TarIndex(forged(tmp_path / "s.tar", (info, b"{}")))


def test_a_binary_size_field_is_refused(tmp_path):
    info = tarfile.TarInfo("k.json")
    info.size = 8**12
    path = tmp_path / "s.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(DatasetError, match="damaged tar header"):
        TarIndex(path)


def test_members_that_stand_twice_or_apart_are_refused(tmp_path):
    for names in (["a.json", "a.json"], ["a.json", "b.json", "a.pre.png"]):
        with pytest.raises(DatasetError, match="twice or apart"):
            TarIndex(forged(tmp_path / "s.tar", *((name, b"") for name in names)))
        with pytest.raises(DatasetError, match="twice") if len(names) == 2 else pytest.raises(AssertionError):
            write_tar(tmp_path / "t.tar", [(name, b"") for name in names])
            raise AssertionError("the writer leaves order to its caller")


def test_a_tar_of_other_tools_with_long_names_is_refused(tmp_path):
    with tarfile.open(tmp_path / "s.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("k" * 120 + ".json")
        tar.addfile(info, io.BytesIO())
    with pytest.raises(DatasetError):
        TarIndex(tmp_path / "s.tar")
    with pytest.raises(DatasetError, match="too long"):
        write_tar(tmp_path / "t.tar", [("k" * 120 + ".json", b"")])


def test_a_tar_cut_at_a_member_boundary_is_refused_though_tarfile_reads_it(tmp_path):
    path = tmp_path / "s.tar"
    write_tar(path, [("a.json", b"{}"), ("b.json", b"{}")])
    path.write_bytes(path.read_bytes()[:1024])
    with tarfile.open(path) as lenient:
        assert lenient.getnames() == ["a.json"]
    with pytest.raises(DatasetError, match="has been cut"):
        TarIndex(path)


def test_something_behind_the_end_is_refused(tmp_path):
    path = tmp_path / "s.tar"
    write_tar(path, [("a.json", b"{}")])
    path.write_bytes(path.read_bytes() + b"payload")
    with pytest.raises(DatasetError, match="added to"):
        TarIndex(path)


@pytest.mark.parametrize("content", [b"", b"x", b"\x89PNG" * 300])
def test_a_file_that_is_no_tar_is_refused(tmp_path, content):
    (tmp_path / "s.tar").write_bytes(content)
    with pytest.raises(DatasetError):
        TarIndex(tmp_path / "s.tar")


def test_a_folder_or_a_pipe_neither_hangs_nor_ends_in_a_traceback(tmp_path):
    os.mkfifo(tmp_path / "pipe.tar")
    for path in (tmp_path, tmp_path / "pipe.tar"):
        with pytest.raises(DatasetError):
            TarIndex(path)


@settings(max_examples=150)
@given(st.data())
def test_whatever_is_changed_in_a_tar_the_index_stays_inside_it(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.tar"
        write_tar(path, [("a.json", b"{}"), ("a.pre.png", b"abc"), ("b.json", b"[]")])
        content = bytearray(path.read_bytes()[: data.draw(st.sampled_from([10240, 4096, 1536]))])
        for _ in range(data.draw(st.integers(1, 6))):
            content[data.draw(st.integers(0, min(len(content), 3072) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        with suppress(DatasetError), TarIndex(path) as tar:
            for key in tar.keys:
                for field, (start, size) in tar.members(key).items():
                    assert start + size <= len(content)
                    assert len(tar.read(key, field)) == size
