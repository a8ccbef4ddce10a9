"""Files are there whole or not at all; a shard is done when its side file says so."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_dataset import HASH, fake_sample
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.scenes.dataset import store as store_module
from mage.scenes.dataset.codec import decode_record, decode_sample, encode_record, encode_sample
from mage.scenes.dataset.fields import sample_members
from mage.scenes.dataset.store import LocalStore, shard_is_done, write_shard
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.errors import DatasetError

TESTS = Path(__file__).resolve().parents[2]
CRS = {"gsd": 0.5, "crs": "EPSG:28992"}
NAME = "train-000000.tar"


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "dataset")


def files(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def run(code, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        **options,
    )


# samples as files


@settings(max_examples=8)
@given(st.integers(0, 10**6), st.sampled_from([32, 48]), st.integers(0, 2**63 - 1))
def test_a_sample_survives_the_way_to_files_and_back(index, size, seed):
    sample = fake_sample(index, size, seed)
    members = encode_sample(sample)
    assert [name.partition(".")[2] for name, _ in members] == sample_members()
    content = {name.partition(".")[2]: data for name, data in members}
    back = decode_sample(content.__getitem__)
    assert back.record == sample.record
    for found, wanted in ((back.images, sample.images), (back.labels, sample.labels)):
        assert found.keys() == wanted.keys()
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name])
    assert encode_sample(back) == members


def test_a_sample_that_does_not_fit_the_schema_is_not_written():
    sample = fake_sample(0, 32)
    labels = sample.labels
    for broken in (
        {name: raster for name, raster in labels.items() if name != "post_depth"},
        labels | {"post_wind": labels["post_depth"]},
        labels | {"post_depth": labels["post_depth"].astype(np.uint8)},
        labels | {"post_depth": labels["post_depth"][:-1]},
    ):
        with pytest.raises(DatasetError):
            encode_sample(replace(sample, labels=broken))
    with pytest.raises(DatasetError):
        encode_sample(replace(sample, images={"pre": sample.images["pre"]}))


def test_a_record_is_compact_json_with_sorted_keys():
    record = fake_sample(3, 32).record
    data = encode_record(record)
    assert data.startswith(b'{"annotations":null,"buildings":[')
    assert json.loads(data)["grid"] == {"rows": 32, "columns": 32, "west": 3000.0, "north": 16.0} | CRS
    assert data.count(b'": ') == 0
    assert decode_record(data) == record


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 100_000, b"\xff", b'{"key": NaN}', b"null"])
def test_a_record_that_is_none_is_refused_in_one_sentence(data):
    with pytest.raises(DatasetError, match="not the record of a sample"):
        decode_record(data, file="x.json")


def test_a_number_that_json_does_not_know_is_refused():
    data = encode_record(fake_sample(0, 32).record)
    for token in (b"NaN", b"Infinity", b"1e999"):
        broken = data.replace(b'"gsd":0.5', b'"gsd":' + token)
        assert broken != data
        with pytest.raises(DatasetError, match="gsd"):
            decode_record(broken)


# publishing


def test_a_published_file_is_there_and_nothing_else_is(store):
    store.publish("folder/a.txt", lambda path: path.write_text("text"))
    assert (store.root / "folder" / "a.txt").read_text() == "text"
    assert files(store.root) == ["folder/a.txt"]
    assert not (store.root / ".partial").exists()


def test_until_the_writer_is_through_the_old_file_stays(store):
    store.publish("a.txt", lambda path: path.write_text("old"))

    def write(path):
        path.write_text("new, ha")
        assert (store.root / "a.txt").read_text() == "old"
        raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        store.publish("a.txt", write)
    assert (store.root / "a.txt").read_text() == "old"
    assert files(store.root) == ["a.txt"]


def test_many_may_publish_at_once(store):
    def publish(worker):
        for k in range(20):
            store.publish(f"{worker}-{k}", lambda path, k=k: path.write_text(str(k)))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(publish, range(4))) == [None] * 4
    assert len(files(store.root)) == 80


def test_what_another_still_writes_is_not_cleaned_away(store):
    def write(path):
        LocalStore(store.root).clean_partial()
        path.write_text("whole")

    assert store.publish("a.txt", write)
    assert (store.root / "a.txt").read_text() == "whole"
    (store.root / ".partial").mkdir()
    (store.root / ".partial" / "left.tar").write_text("by the dead")
    store.clean_partial()
    assert files(store.root) == ["a.txt"]


def test_without_hard_links_the_first_still_wins(store, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert store.publish("a.txt", lambda path: path.write_text("first"), once=True)
    assert not store.publish("a.txt", lambda path: path.write_text("second"), once=True)
    assert (store.root / "a.txt").read_text() == "first"
    assert files(store.root) == ["a.txt"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space left on"),
        (errno.EDQUOT, "no space left on"),
        (errno.EFBIG, "no space left on"),
        (errno.EIO, "cannot be written"),
    ],
)
def test_a_disk_that_gives_out_is_one_sentence_and_leaves_nothing(store, number, words):
    def write(path):
        path.write_bytes(b"half")
        raise OSError(number, os.strerror(number))

    with pytest.raises(DatasetError, match=words):
        store.publish("a.bin", write)
    assert files(store.root) == []


def test_an_error_about_another_file_is_not_blamed_on_the_disk(store):
    with pytest.raises(FileNotFoundError):
        store.publish("a.bin", lambda path: Path("/nonexistent/texture.png").read_bytes())
    assert files(store.root) == []


def test_a_folder_that_is_a_file_is_said_to_be_one(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="cannot be written"):
        LocalStore(tmp_path / "file" / "deeper").publish("a.txt", lambda path: path.write_text("x"))
    with pytest.raises(DatasetError, match="cannot be written"):
        LocalStore(tmp_path / "file").publish("a.txt", lambda path: path.write_text("x"))


def test_a_full_disk_in_the_midst_of_a_shard_leaves_no_half_of_it(tmp_path):
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from fake_dataset import HASH, fake_sample\n"
        "from mage.scenes.dataset.store import LocalStore, write_shard\n"
        "from mage.scenes.errors import DatasetError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000))\n"
        "try:\n"
        "    write_shard(LocalStore(Path(sys.argv[1])), 'train-000000.tar', (fake_sample(i) for i in range(4)), HASH)\n"
        "except DatasetError as error:\n"
        "    print(error)\n"
    )
    out, err = run(code, tmp_path / "d").communicate(timeout=60)
    assert "no space left on" in out, err
    assert "train-000000.tar" in out
    assert files(tmp_path / "d") == []


# shards


def test_a_shard_is_done_once_its_side_file_is_there(store):
    assert shard_is_done(store, NAME, HASH) is None
    record = write_shard(store, NAME, [fake_sample(0, 32), fake_sample(1, 32)], HASH)
    assert files(store.root) == ["shards/train-000000.json", "shards/train-000000.tar"]
    assert shard_is_done(store, NAME, HASH) == record
    assert shard_is_done(store, NAME, HASH, full=True) == record
    assert shard_is_done(store, NAME, "another recipe") is None
    assert record.keys == ["testville-flood-000000", "testville-flood-000001"]


def test_two_runs_give_the_same_bytes_and_the_labels_hash_ignores_the_pictures(store, tmp_path):
    record = write_shard(store, NAME, [fake_sample(0, 32)], HASH)
    again = LocalStore(tmp_path / "again")
    assert write_shard(again, NAME, [fake_sample(0, 32)], HASH) == record
    assert (again.root / "shards" / NAME).read_bytes() == (store.root / "shards" / NAME).read_bytes()
    sample = fake_sample(0, 32)
    sample.images["pre"][0, 0] ^= 1
    darker = write_shard(LocalStore(tmp_path / "darker"), NAME, [sample], HASH)
    assert darker.labels_sha256 == record.labels_sha256
    assert darker.sha256 != record.sha256
    sample.labels["post_depth"][sample.labels["post_depth"] > 0] += 1
    assert write_shard(LocalStore(tmp_path / "wetter"), NAME, [sample], HASH).labels_sha256 != record.labels_sha256


def test_a_shard_that_lost_bytes_or_its_side_file_is_not_done(store):
    write_shard(store, NAME, [fake_sample(0, 32)], HASH)
    tar, side = store.root / "shards" / NAME, store.root / "shards" / "train-000000.json"
    content, stated = tar.read_bytes(), side.read_bytes()
    tar.write_bytes(content[:-512])
    assert shard_is_done(store, NAME, HASH) is None
    flipped = bytearray(content)
    flipped[2000] ^= 1
    tar.write_bytes(flipped)
    assert shard_is_done(store, NAME, HASH, full=True) is None
    tar.write_bytes(content)
    for broken in (stated[:50], b"{}", b"\xff\xfe", b""):
        side.write_bytes(broken)
        assert shard_is_done(store, NAME, HASH) is None
    tar.unlink()
    side.write_bytes(stated)
    assert shard_is_done(store, NAME, HASH) is None


def test_an_old_side_file_does_not_vouch_for_a_new_tar(store, monkeypatch):
    """The new tar can have the very size that the old side file states."""
    write_shard(store, NAME, [fake_sample(0, 32)], HASH)
    tar = store.root / "shards" / NAME
    tar.write_bytes(tar.read_bytes()[:-512])

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(store_module, "publish_text", fail)
    with pytest.raises(KeyboardInterrupt):
        write_shard(store, NAME, [fake_sample(0, 32)], HASH)
    assert shard_is_done(store, NAME, HASH) is None


def test_a_shard_without_samples_or_with_one_twice_is_refused(store):
    with pytest.raises(DatasetError, match="needs a sample"):
        write_shard(store, NAME, [], HASH)
    with pytest.raises(DatasetError, match="twice"):
        write_shard(store, NAME, [fake_sample(0, 32), fake_sample(0, 32)], HASH)
    assert files(store.root) == []


def test_a_process_killed_in_the_midst_leaves_nothing_that_passes_for_a_shard(store):
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from fake_dataset import HASH, fake_sample\n"
        "from mage.scenes.dataset.store import LocalStore, write_shard\n"
        "def samples():\n"
        "    yield fake_sample(0)\n"
        "    print('halfway', flush=True)\n"
        "    time.sleep(60)\n"
        "write_shard(LocalStore(Path(sys.argv[1])), 'train-000000.tar', samples(), HASH)\n"
    )
    process = run(code, store.root)
    assert process.stdout.readline() == "halfway\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert [Path(f).parent.name for f in files(store.root)] == [".partial"]
    assert shard_is_done(store, NAME, HASH) is None
    assert not verify_dataset(store.root).ok
    store.clean_partial()
    assert files(store.root) == []
    record = write_shard(store, NAME, [fake_sample(0), fake_sample(1)], HASH)
    assert shard_is_done(store, NAME, HASH, full=True) == record
    with TarIndex(store.root / "shards" / NAME) as tar:
        assert tar.keys == record.keys
