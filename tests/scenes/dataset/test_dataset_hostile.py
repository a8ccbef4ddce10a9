"""Datasets made to harm: whatever a folder holds, it is read within bounds and refused in one sentence."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import tarfile
import zlib
from pathlib import Path

import pytest
from fake_dataset import write_fake_dataset

from mage.scenes.dataset.index import MANIFEST, TABLE, open_dataset
from mage.scenes.dataset.png import SIGNATURE
from mage.scenes.dataset.store import file_sha256, open_store
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.errors import DatasetError

SIZE = 48
TAR, SIDE = "shards/train-000000.tar", "shards/train-000000.json"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile") / "dataset"
    write_fake_dataset(root, count=2, size=SIZE, shard_size=1)
    return root


@pytest.fixture
def root(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "dataset")


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def replaced(root, field, data, name=None):
    """Put other bytes, or another name, in place of one member of the first shard, and make every checksum fit."""
    path = root / TAR
    with TarIndex(path) as tar:
        members = [(f"{key}.{f}", tar.read(key, f)) for key in tar.keys for f in tar.members(key)]
    with path.open("wb") as file:
        for member, content in members:
            ours = member.endswith(f".{field}")
            info = tarfile.TarInfo((name or member) if ours else member)
            content = data if ours else content
            info.size = len(content)
            file.write(info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512))
        file.write(bytes(1024))

    def state(shard):
        shard["bytes"], shard["sha256"] = path.stat().st_size, file_sha256(path)

    edit(root / SIDE, state)
    edit(root / MANIFEST, lambda manifest: state(manifest["shards"][0]))


def problems(root, **how):
    return verify_dataset(root, **how).problems


class Payload:
    """What runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("field", ["pre.png", "json", "post_damage.png"])
def test_a_pickle_in_place_of_a_member_is_never_opened(root, tmp_path, field):
    mark = tmp_path / "executed"
    replaced(root, field, pickle.dumps(Payload(mark)))
    assert any("000000" in problem for problem in problems(root))
    assert not mark.exists()


@pytest.mark.parametrize(
    "name", ["../../outside.json", "/etc/outside.json", "a/b.json", "testville-flood-000000.pkl", "x.y.json", ".json"]
)
def test_a_member_with_a_name_that_leads_elsewhere_is_refused(root, name):
    replaced(root, "json", b"{}", name)
    found = problems(root)
    assert any(p.startswith(f"{TAR}: ") and repr(name) in p for p in found), found


def test_a_picture_of_a_hundred_thousand_pixels_a_side_costs_no_memory(root):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    picture = SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    replaced(root, "post_damage.png", picture)
    found = problems(root)
    assert any("the picture's size is refused" in p and "100000 x 100000" in p for p in found), found


@pytest.mark.parametrize("size", [0, 1, 10**6])
def test_a_record_of_another_size_than_the_manifest_says_is_found(root, size):
    with TarIndex(root / TAR) as tar:
        record = json.loads(tar.read(tar.keys[0], "json"))
    record["grid"] |= {"rows": size, "columns": size}
    replaced(root, "json", json.dumps(record).encode())
    assert any("grid" in p for p in problems(root))


DEEP = "[" * 100_000
NESTED = "{" + '"a":{' * 900 + "}" * 900 + "}"


@pytest.mark.parametrize("place", ["sources", "counts", "fields", "versions", "recipe", "mixture"])
def test_a_manifest_that_is_nested_deep_is_one_sentence(root, place):
    text = (root / MANIFEST).read_text()
    key = f'"{place}": '
    start = text.index(key) + len(key)
    value = json.JSONDecoder().raw_decode(text, start)
    for deep in (DEEP, NESTED, f"[{NESTED}]"):
        (root / MANIFEST).write_text(text[:start] + deep + text[value[1] :])
        for quick in (True, False):
            found = problems(root, quick=quick)
            assert found
            assert all(len(problem) < 10_000 for problem in found)


def test_a_side_file_and_a_record_that_are_nested_deep_are_one_sentence(root):
    (root / SIDE).write_text(DEEP)
    assert problems(root, quick=True) == (f"{SIDE}: not the side file of a shard",)
    replaced_record = shutil.copytree(root, root.parent / "again")
    (replaced_record / SIDE).write_text((root.parent / "dataset" / "shards" / "train-000001.json").read_text())
    replaced(replaced_record, "json", DEEP.encode())
    assert any("not the record of a sample" in p for p in problems(replaced_record))


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "train-000000.tar/../x.tar", "train-1.tar", "TRAIN-000000.tar", ""]
)
def test_a_shard_whose_name_leads_elsewhere_is_not_looked_for(root, name):
    edit(root / MANIFEST, lambda manifest: manifest["shards"][0].update(name=name))
    with pytest.raises(DatasetError, match=r"dataset\.json: damaged: shards\.0\.name"):
        open_dataset(root)


def test_links_among_the_shards_are_refused_wherever_they_lead(root, tmp_path):
    outside = tmp_path / "outside.tar"
    (root / TAR).rename(outside)
    (root / TAR).symlink_to(outside)
    for quick in (True, False):
        assert f"{TAR}: not a plain file: a link, folder or pipe" in problems(root, quick=quick)
    (root / TAR).unlink()
    (root / TAR).symlink_to("/dev/zero")
    for quick in (True, False):
        assert f"{TAR}: the shard is missing" in problems(root, quick=quick)
    (root / TAR).unlink()
    os.mkfifo(root / TAR)
    assert f"{TAR}: the shard is missing" in problems(root)
    with pytest.raises(DatasetError, match="not a plain file"), open_store(root).fetch(TAR):
        pass


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m["shards"][0].update(bytes=1), "train-000000.tar: size in bytes is wrong"),
        (lambda m: m["shards"][0]["keys"].append("more"), "number of samples is wrong"),
        (lambda m: m["shards"].pop(), "train-000001.tar: is not in dataset.json"),
        (lambda m: m["counts"].update(buildings=10**6), "counts.buildings is wrong"),
        (lambda m: m["counts"]["jds"].update(destroyed=10**6), "counts.jds is wrong"),
        (lambda m: m.update(samples=10**9), "samples is wrong"),
        (lambda m: m["events"][0].update(samples=7), "samples by event is wrong"),
        (lambda m: m.update(index_sha256="0" * 64), "samples.parquet: sha256 is wrong"),
        (lambda m: m["shards"][0].update(event="another"), "is of an event that dataset.json does not list"),
    ],
)
def test_a_quick_check_finds_a_manifest_that_lies(root, change, words):
    edit(root / MANIFEST, change)
    found = problems(root, quick=True)
    assert any(words in p for p in found), found


def test_a_quick_check_finds_sizes_side_files_and_indices_that_are_others(root):
    assert problems(root, quick=True) == ()
    (root / TAR).write_bytes((root / TAR).read_bytes()[:-512])
    (root / "shards" / "train-000001.json").unlink()
    (root / TABLE).unlink()
    found = "\n".join(problems(root, quick=True))
    assert "train-000000.tar: size in bytes is wrong" in found
    assert "train-000001.json: no such file" in found
    assert "samples.parquet: no such file" in found


def test_processes_find_what_one_finds(root):
    replaced(root, "json", b"{}")
    (root / "shards" / "train-000001.json").unlink()
    assert problems(root, workers=2) == problems(root) != ()
