"""Datasets in object stores: the same files, published by conditional puts, read back and verified."""

from __future__ import annotations

import shutil

import fsspec
import pytest
from fake_dataset import HASH, fake_sample, write_fake_dataset
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from mage.scenes.dataset import remote
from mage.scenes.dataset.describe import describe_dataset
from mage.scenes.dataset.index import open_dataset, read_index
from mage.scenes.dataset.remote import RemoteStore
from mage.scenes.dataset.store import LocalStore, TakenError, open_store, shard_is_done, write_shard
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.errors import DatasetError, MissingExtraError

NAME = "train-000000.tar"


class PlainFileSystem(LocalFileSystem):
    """A disk that is reached like a store without conditional puts."""

    protocol = "plain"


fsspec.register_implementation("plain", PlainFileSystem, clobber=True)


@pytest.fixture(params=["folder", "memory", "plain"])
def store(request, tmp_path):
    place = {"folder": str(tmp_path / "d"), "memory": "memory://bucket/d", "plain": f"plain://{tmp_path}/d"}
    yield open_store(place[request.param])
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def put(store, name, data, **how):
    return store.publish(name, lambda path: path.write_bytes(data), **how)


def test_what_is_published_is_read_back_listed_and_removed(store):
    with pytest.raises(DatasetError, match=r"no such folder|nothing is there"):
        store.check()
    assert store.sizes() == store.sizes("deep") == {}
    assert put(store, "deep/a.bin", b"abc")
    assert put(store, "b.txt", b"")
    store.check()
    assert store.read("deep/a.bin") == b"abc"
    assert (store.size("deep/a.bin"), store.size("deep"), store.size("none")) == (3, None, None)
    assert {k: v for k, v in store.sizes().items() if k != ".partial"} == {"deep": None, "b.txt": 0}
    assert store.sizes("deep") == {"a.bin": 3}
    with store.fetch("deep/a.bin") as path:
        assert path.name == "a.bin"
        assert path.read_bytes() == b"abc"
    store.remove("deep/a.bin")
    store.remove("deep/a.bin")
    assert store.sizes("deep") == {}
    with pytest.raises(DatasetError, match=r"deep/a\.bin: no such file"):
        store.read("deep/a.bin")
    with pytest.raises(DatasetError, match="no such file"), store.fetch("deep/a.bin"):
        pass
    put(store, "long.txt", b"x" * 11)
    with pytest.raises(DatasetError, match="at most 10 bytes"):
        store.read("long.txt", 10)


def test_of_two_who_publish_once_the_first_stays_and_without_once_the_last(store):
    assert put(store, "a", b"first", once=True)
    assert not put(store, "a", b"second", once=True)
    assert store.read("a") == b"first"
    assert put(store, "a", b"third")
    assert store.read("a") == b"third"


def test_a_writer_that_fails_leaves_nothing(store):
    def fail(path):
        path.write_bytes(b"half")
        raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        store.publish("a", fail)
    assert set(store.sizes()) <= {".partial"}


def test_the_second_writer_of_a_shard_accepts_the_same_bytes_and_reports_others(store):
    samples = [fake_sample(0, 32), fake_sample(1, 32)]
    record = write_shard(store, NAME, samples, HASH)
    assert shard_is_done(store, NAME, HASH, full=True) == record
    assert write_shard(store, NAME, samples, HASH) == record
    samples[1].images["pre"][0, 0] ^= 1
    with pytest.raises(TakenError, match=r"another writer was first.*labels agree") as caught:
        write_shard(store, NAME, samples, HASH)
    assert caught.value.record == record
    assert shard_is_done(store, NAME, HASH, full=True) == record


def test_a_writer_who_was_overtaken_while_it_rendered_finds_its_own_bytes(store):
    def slow(change):
        write_shard(store, NAME, [fake_sample(0, 32)], HASH)  # by another, in the meantime
        sample = fake_sample(0, 32)
        sample.images["pre"][0, 0] ^= change
        yield sample

    record = write_shard(store, NAME, slow(0), HASH)
    assert shard_is_done(store, NAME, HASH, full=True) == record
    store.remove("shards/train-000000.json")
    with pytest.raises(TakenError):
        write_shard(store, NAME, slow(1), HASH)
    assert shard_is_done(store, NAME, HASH, full=True) == record


def test_a_tar_that_nobody_vouches_for_is_replaced(store):
    put(store, f"shards/{NAME}", b"cut short")
    record = write_shard(store, NAME, [fake_sample(0, 32)], HASH)
    assert shard_is_done(store, NAME, HASH, full=True) == record


def test_a_dataset_in_a_store_is_the_one_in_a_folder_and_verifies(store, tmp_path):
    manifest = write_fake_dataset(store, count=3, size=48)
    assert manifest == write_fake_dataset(tmp_path / "folder", count=3, size=48)
    assert open_dataset(store) == manifest
    assert read_index(store).num_rows == 3
    assert describe_dataset(store)["counts"]["samples"] == 3
    found = verify_dataset(store)
    assert found.problems == ()
    assert (found.samples, found.shards) == (3, 2)
    put(store, "shards/train-000001.tar", store.read("shards/train-000001.tar")[:-512])
    put(store, "shards/odd.txt", b"")
    told = "\n".join(verify_dataset(store).problems)
    assert "train-000001.tar: size in bytes is wrong" in told
    assert "odd.txt: is not in dataset.json" in told


def test_places_are_folders_or_urls_and_anything_else_is_one_sentence(tmp_path, monkeypatch):
    assert isinstance(open_store(tmp_path), LocalStore)
    assert open_store(f"file://{tmp_path}").place == str(tmp_path)
    store = open_store("memory://a/b/")
    assert (store.place, store.where("c")) == ("memory://a/b", "memory://a/b/c")
    assert open_store(store) is store
    for place, words in {
        "simplecache::memory://a": "one store at a time",
        "gopher://a/b": "not a place for datasets",
        "memory://": "names no place",
    }.items():
        with pytest.raises(DatasetError, match=words):
            RemoteStore(place)
    with pytest.raises(DatasetError, match="nothing is there"):
        verify_dataset("memory://nobody/wrote")

    def absent(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(remote.fsspec.core, "url_to_fs", absent)
    with pytest.raises(MissingExtraError, match=r"'s3fs'.*mage-eo\[s3\]"):
        open_store("s3://bucket/prefix")
    with pytest.raises(DatasetError, match="needs a package"):
        open_store("gs://bucket/prefix")


class Flaky:
    """Fails in the given ways first."""

    def __init__(self, *errors):
        self.errors, self.asked = list(errors), 0

    def __call__(self, *_, **__):
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return b"abc"


def answered(status, code=""):
    """An error as s3fs raises it: of the system, caused by one that holds the store's answer."""
    cause = Exception(code)
    cause.response = {"ResponseMetadata": {"HTTPStatusCode": status}, "Error": {"Code": code}}
    error = OSError(22, code)
    error.__cause__ = cause
    return error


class NoCredentialsError(Exception):
    """As botocore names it."""


@pytest.mark.parametrize(
    ("error", "asked", "words"),
    [
        (answered(500, "InternalError"), 6, "does not answer as it should after many tries"),
        (answered(503, "SlowDown"), 6, "SlowDown"),
        (answered(501, "NotImplemented"), 1, "NotImplemented"),
        (TimeoutError("slow"), 6, "slow"),
        (answered(403, "AccessDenied"), 1, "the store refuses"),
        (PermissionError("no"), 1, "the store refuses"),
        (NoCredentialsError("Unable to locate credentials"), 1, "no credentials for this store"),
        (OSError(28, "No space left on device"), 1, "no space left"),
        (answered(400, "InvalidRequest"), 1, "does not answer as it should: "),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_may_pass_is_tried_again_and_everything_ends_in_one_sentence(monkeypatch, error, asked, words):
    slept = []
    monkeypatch.setattr(remote.time, "sleep", slept.append)
    store = RemoteStore("memory://bucket/d")
    put(store, "a", b"abc")
    flaky = Flaky(*[error] * 6)
    monkeypatch.setattr(store._files, "cat_file", flaky, raising=False)
    with pytest.raises(DatasetError, match=words) as caught:
        store.read("a")
    assert str(caught.value).startswith("memory://bucket/d/a: ")
    assert flaky.asked == asked
    assert len(slept) == asked - 1
    assert slept == sorted(slept) or asked == 1
    flaky.errors = [error]
    if asked > 1:
        assert store.read("a") == b"abc"
    MemoryFileSystem.store.clear()


def test_a_conditional_put_that_was_refused_is_not_tried_again(monkeypatch):
    store = RemoteStore("memory://bucket/d")
    put(store, "a", b"first")
    flaky = Flaky(answered(412, "PreconditionFailed"))
    monkeypatch.setattr(store._files, "put_file", flaky, raising=False)
    assert not put(store, "a", b"abc", once=True)
    assert flaky.asked == 1
    MemoryFileSystem.store.clear()


def test_nothing_of_a_transfer_stays_on_this_machine(tmp_path):
    store = RemoteStore("memory://bucket/d", aside=tmp_path)
    put(store, "a", b"abc")
    with store.fetch("a"):
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
    shutil.rmtree(tmp_path)
    with pytest.raises(DatasetError, match="files on their way"):
        put(store, "a", b"abc")
    MemoryFileSystem.store.clear()
