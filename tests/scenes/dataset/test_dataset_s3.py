"""Datasets on S3, as moto plays it: conditional puts, failures that pass, and failures that do not."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import pytest
from fake_dataset import HASH, SOURCES, VERSIONS, fake_recipe, fake_sample, write_fake_dataset
from s3_server import CREDENTIALS, serve_s3

from mage.scenes.dataset import remote
from mage.scenes.dataset.index import finish_dataset, open_dataset
from mage.scenes.dataset.store import TakenError, open_store, shard_is_done, side_name, write_shard
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.errors import DatasetError

NAME = "train-000000.tar"
numbers = itertools.count()


@pytest.fixture(scope="module")
def server():
    with serve_s3() as running:
        yield running


@pytest.fixture
def place(server, monkeypatch):
    """A prefix that nobody uses."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(remote, "FIRST_PAUSE", 0.01)
    server.gate.fault, server.gate.done_and_lost = (lambda *_: None), (lambda *_: False)
    server.gate.seen.clear()
    return f"s3://bucket/{next(numbers)}"


def every(nth, status, method="PUT"):
    """A fault that strikes at every nth request of a method."""
    count = itertools.count(1)
    return lambda m, _: status if m == method and next(count) % nth == 0 else None


def test_a_dataset_on_s3_is_the_one_in_a_folder(place, tmp_path):
    manifest = write_fake_dataset(open_store(place), count=3, size=48)
    assert manifest == write_fake_dataset(tmp_path, count=3, size=48)
    assert open_dataset(place) == manifest
    assert verify_dataset(place).problems == ()
    assert verify_dataset(place, quick=True).problems == ()
    for path in sorted(p for p in tmp_path.rglob("*") if p.is_file()):
        assert open_store(place).read(str(path.relative_to(tmp_path))) == path.read_bytes()


def test_finishing_and_a_quick_check_read_side_files_and_no_shard(place, server):
    """However large the shards are."""
    store, count = open_store(place), 6
    shards = [write_shard(store, f"train-{k:06d}.tar", [fake_sample(k, 64)], HASH) for k in range(count)]
    server.gate.seen.clear()
    server.gate.sent = 0
    manifest = finish_dataset(store, fake_recipe(count, 64, shard_size=1), shards, VERSIONS, SOURCES)
    sides = [path for method, path in server.gate.seen if method == "GET" and "/shards/" in path]
    assert sorted(path.rpartition("/")[2] for path in sides) == [f"train-{k:06d}.json" for k in range(count)]
    stated = sum(store.size(side_name(shard.name)) for shard in shards)
    assert stated < server.gate.sent < 2 * stated < sum(shard.bytes for shard in shards)
    server.gate.seen.clear()
    assert verify_dataset(store, quick=True).problems == ()
    assert not [path for method, path in server.gate.seen if method == "GET" and path.endswith(".tar")]
    assert manifest.samples == count


def test_of_two_writers_the_first_wins_by_a_conditional_put(place):
    record = write_shard(open_store(place), NAME, [fake_sample(0, 32)], HASH)
    assert write_shard(open_store(place), NAME, [fake_sample(0, 32)], HASH) == record
    sample = fake_sample(0, 32)
    sample.images["pre"][0, 0] ^= 1
    with pytest.raises(TakenError):
        write_shard(open_store(place), NAME, [sample], HASH)
    assert shard_is_done(open_store(place), NAME, HASH, full=True) == record


@pytest.mark.long
def test_a_large_file_goes_in_parts_and_only_where_there_is_none(place, server, tmp_path):
    store, size = open_store(place), 101 << 20
    data = hashlib.sha256(b"x").digest() * (size // 32)
    assert store.publish("large.bin", lambda path: path.write_bytes(data), once=True)
    assert store.size("large.bin") == len(data)
    assert sum(method == "POST" for method, _ in server.gate.seen) >= 2  # begun and completed
    assert not store.publish("large.bin", lambda path: path.write_bytes(data[:-32]), once=True)
    assert store.size("large.bin") == len(data)


@pytest.mark.parametrize("status", [500, 503])
def test_failures_that_pass_are_waited_for(place, server, status, tmp_path):
    server.gate.fault = every(3, status)
    manifest = write_fake_dataset(open_store(place), count=2, size=32, shard_size=1)
    server.gate.fault = every(3, status, "GET")
    assert open_dataset(place) == manifest
    assert verify_dataset(place).problems == ()


def test_an_answer_that_got_lost_is_found_to_have_been_a_yes(place, server):
    """The second try of a put that was done meets its own file: 412, and the bytes agree."""
    lost = iter([True])
    server.gate.done_and_lost = lambda method, path: method == "PUT" and path.endswith(".tar") and next(lost, False)
    store = open_store(place)
    record = write_shard(store, NAME, [fake_sample(0, 32)], HASH)
    assert shard_is_done(store, NAME, HASH, full=True) == record


def test_a_412_means_that_another_has_it_and_is_not_tried_again(place, server):
    store = open_store(place)
    store.publish("a", lambda path: path.write_bytes(b"first"))
    server.gate.seen.clear()
    server.gate.fault = every(1, 412)
    assert not store.publish("a", lambda path: path.write_bytes(b"x"), once=True)
    assert [m for m, _ in server.gate.seen].count("PUT") == 1
    assert store.publish("a", lambda path: path.write_bytes(b"last"))  # without a condition
    assert store.read("a") == b"last"


def test_a_412_about_a_file_that_is_not_there_is_not_believed(place, server):
    answers = iter([412, 412])
    server.gate.fault = lambda method, _: next(answers, None) if method == "PUT" else None
    store = open_store(place)
    assert store.publish("a", lambda path: path.write_bytes(b"x"), once=True)
    server.gate.fault = every(1, 412)
    with pytest.raises(DatasetError, match="says that this file is there already, and it is not"):
        store.publish("b", lambda path: path.write_bytes(b"x"), once=True)


def test_what_does_not_pass_ends_in_one_sentence(place, server, monkeypatch):
    monkeypatch.setattr(remote, "TRIES", 2)  # each of which botocore tries three times, with pauses of its own
    server.gate.fault = lambda *_: 500
    with pytest.raises(DatasetError, match=rf"^{place}.*does not answer as it should after many tries"):
        open_store(place).read("a")
    server.gate.fault = lambda *_: None
    with pytest.raises(DatasetError, match="no such bucket"):
        open_store("s3://nobodys/d").publish("a", lambda path: path.write_bytes(b"x"))
    with pytest.raises(DatasetError, match="nothing is there"):
        verify_dataset(place)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens
    with pytest.raises(DatasetError, match="does not answer as it should"):
        open_store(place).read("a")


def test_without_credentials_the_error_says_so(place, monkeypatch, tmp_path):
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(DatasetError, match="no credentials for this store"):
        open_store(place).publish("a", lambda path: Path(path).write_bytes(b"x"))
