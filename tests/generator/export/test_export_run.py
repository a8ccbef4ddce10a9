"""What holds for every export: which samples, whole files, going on after an interruption, and clear refusals."""

from __future__ import annotations

import builtins
import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from export_cases import changed, samples_by_key, write_rich_dataset, write_samples
from fake_dataset import fake_sample, write_fake_dataset

from mage.generator.export import run
from mage.generator.export.formats import FORMATS, load_format
from mage.generator.export.run import export_dataset
from mage.scenes.dataset.png import encode_png
from mage.scenes.dataset.schema import Sample
from mage.scenes.dataset.store import LocalStore, file_sha256, open_store
from mage.scenes.errors import DatasetError, MageError, MissingExtraError


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    root = tmp_path_factory.mktemp("exports") / "dataset"
    write_rich_dataset(root, size=48)
    return root


@pytest.fixture
def dataset(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "dataset")


def contents(out):
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def keys(out):
    return [json.loads(line)["key"] for line in (out / "samples.jsonl").read_text().splitlines()]


def test_a_dataset_in_a_store_is_exported_as_one_in_a_folder(pristine, tmp_path):
    place = "memory://exports/rich"
    for path in sorted(p for p in pristine.rglob("*") if p.is_file()):
        open_store(place).publish(
            str(path.relative_to(pristine)), lambda aside, path=path: shutil.copyfile(path, aside)
        )
    export_dataset(place, tmp_path / "remote", "folder")
    export_dataset(pristine, tmp_path / "local", "folder")
    assert contents(tmp_path / "remote") == contents(tmp_path / "local")
    open_store(place).remove("shards/train-000000.tar")
    with pytest.raises(DatasetError, match=f"{place}/shards/train-000000.tar: no such file"):
        export_dataset(place, tmp_path / "broken", "folder")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_has_the_samples_of_each_split_once(pristine, tmp_path, kind):
    record = export_dataset(pristine, tmp_path / "out", kind)
    assert record.counts == {"test": 2, "train": 3}
    assert sorted(keys(tmp_path / "out")) == sorted(samples_by_key(pristine))
    assert record.whole
    assert not (tmp_path / "out" / ".export.jsonl").exists()
    assert not (tmp_path / "out" / ".partial").exists()


def test_a_split_some_keys_or_a_few_samples_are_chosen_and_keep_their_names(pristine, tmp_path):
    everything = export_and_read(pristine, tmp_path / "all")
    for k, choice in enumerate(
        ({"split": "test"}, {"keys": ["atown-flood-000001", "btown-flood-000003"]}, {"limit": 2})
    ):
        some = export_and_read(pristine, tmp_path / str(k), **choice)
        assert 0 < len(some) < len(everything)
        assert some.items() <= everything.items()
    assert keys(tmp_path / "1") == ["btown-flood-000003", "atown-flood-000001"]


def export_and_read(root, out, **choice):
    """Files of an xBD export but those that are about all of it."""
    export_dataset(root, out, "xbd", **choice)
    return {name: data for name, data in contents(out).items() if "/" in name}


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"split": "val"}, "no samples of this split; expected one of test, train; found val"),
        ({"keys": ["atown-flood-000009"]}, "no such sample; found atown-flood-000009"),
        ({"keys": ["atown-flood-000000"], "split": "test"}, "there is nothing to export"),
        ({"keys": []}, "there is nothing to export"),
        ({"labels": "annotated"}, "no annotations for xbd; .*; found exact labels only"),
        ({"labels": "all"}, "expected auto, exact or annotated; found all"),
    ],
)
def test_a_choice_of_nothing_is_refused_before_anything_is_written(pristine, tmp_path, choice, message):
    with pytest.raises(MageError, match=message):
        export_dataset(pristine, tmp_path / "out", "xbd", **choice)
    assert not (tmp_path / "out").exists()


def test_an_unknown_format_is_answered_with_those_that_there_are(pristine, tmp_path):
    with pytest.raises(MageError, match="expected one of xbd, bright, coco, cems, geotiff, huggingface, folder; found"):
        export_dataset(pristine, tmp_path / "out", "voc")


def test_two_processes_write_the_same_bytes_as_one(pristine, tmp_path):
    export_dataset(pristine, tmp_path / "one", "xbd")
    export_dataset(pristine, tmp_path / "two", "xbd", workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_an_interrupted_export_goes_on_and_ends_as_if_nothing_had_happened(pristine, tmp_path, monkeypatch):
    export_dataset(pristine, tmp_path / "whole", "coco")
    done, work = [], run.write_task

    def interrupted(root, out, kind, labels, task):
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(task.shard.name)
        return work(root, out, kind, labels, task)

    monkeypatch.setattr(run, "write_task", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_dataset(pristine, tmp_path / "out", "coco")
    assert not json.loads((tmp_path / "out" / "export.json").read_text())["whole"]
    with (tmp_path / "out" / ".export.jsonl").open("ab") as journal:
        journal.write(b'[{"key": "torn')  # as a crash leaves it
    written = []
    monkeypatch.setattr(run, "write_task", lambda *a: (written.append(a[-1].shard.name), work(*a))[1])
    export_dataset(pristine, tmp_path / "out", "coco")
    assert done == ["test-000000.tar"]
    assert written == ["train-000000.tar", "train-000001.tar", "train-000002.tar"]
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_whole_export_is_left_as_it_is(pristine, tmp_path):
    out = tmp_path / "out"
    export_dataset(pristine, out, "folder", limit=1)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    assert export_dataset(pristine, out, "folder", limit=1).whole
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before


@pytest.mark.parametrize("other", [{"kind": "folder"}, {"limit": 2}, {"labels": "exact", "split": "test"}])
def test_another_export_does_not_go_into_the_same_folder(pristine, tmp_path, other):
    export_dataset(pristine, tmp_path / "out", "xbd", limit=1)
    before = contents(tmp_path / "out")
    with pytest.raises(DatasetError, match="holds another export"):
        export_dataset(pristine, tmp_path / "out", **({"kind": "xbd"} | other))
    assert contents(tmp_path / "out") == before


def test_an_unfinished_export_of_another_version_is_not_mixed_with_this_one_s(pristine, tmp_path):
    export_dataset(pristine, tmp_path / "out", "xbd", limit=1)
    state = tmp_path / "out" / "export.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"mage": "0.0.1", "whole": False}))
    with pytest.raises(DatasetError, match=r"holds another export.*found 1 samples of fake.* by MAGE 0\.0\.1"):
        export_dataset(pristine, tmp_path / "out", "xbd", limit=1)


def test_a_folder_of_other_things_a_file_and_the_dataset_itself_are_refused(dataset, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "export.json").write_text("[]")
    (tmp_path / "link").symlink_to(dataset)
    for out, message in (
        (tmp_path / "full", "is not empty"),
        (tmp_path / "file", "not a folder"),
        (tmp_path / "odd", "not the record of an export"),
        (dataset, "would lie inside the dataset"),
        (dataset / "shards" / "xbd", "would lie inside the dataset"),
        (tmp_path / "link" / "xbd", "would lie inside the dataset"),
    ):
        with pytest.raises(DatasetError, match=message):
            export_dataset(dataset, out, "xbd")
    assert (tmp_path / "full" / "thesis.txt").read_text() == "mine"
    assert not (dataset / "shards" / "xbd").exists()


def test_two_exports_at_once_do_not_mix(pristine, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".export.jsonl").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DatasetError, match="another process exports into this folder"):
            export_dataset(pristine, tmp_path / "out", "xbd")


def test_a_full_disk_ends_in_one_error_and_a_rerun_in_a_whole_export(pristine, tmp_path, monkeypatch):
    publish, written = LocalStore.publish, []

    def full(self, name, write, **how):
        if len(written) == 12:
            write = lambda path: (_ for _ in ()).throw(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)))  # noqa: E731
        written.append(name)
        return publish(self, name, write, **how)

    monkeypatch.setattr(LocalStore, "publish", full)
    with pytest.raises(DatasetError, match="no space left on the device"):
        export_dataset(pristine, tmp_path / "out", "xbd")
    assert all(data for data in contents(tmp_path / "out" / "test").values())
    export_dataset(pristine, tmp_path / "out", "xbd")
    export_dataset(pristine, tmp_path / "undisturbed", "xbd")
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_a_shard_with_another_checksum_is_not_exported(dataset, tmp_path):
    path = dataset / "shards" / "train-000000.tar"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DatasetError, match=r"train-000000\.tar.*(sha256 is wrong|damaged)"):
        export_dataset(dataset, tmp_path / "out", "folder", split="train")


def test_missing_files_of_a_dataset_are_named(dataset, tmp_path):
    (dataset / "shards" / "test-000000.tar").unlink()
    with pytest.raises(DatasetError, match=r"test-000000\.tar: no such file"):
        export_dataset(dataset, tmp_path / "a", "xbd")
    (dataset / "samples.parquet").unlink()
    with pytest.raises(DatasetError, match=r"samples\.parquet: no such file"):
        export_dataset(dataset, tmp_path / "b", "xbd")
    (dataset / "dataset.json").unlink()
    with pytest.raises(DatasetError, match="not a dataset"):
        export_dataset(dataset, tmp_path / "c", "xbd")
    with pytest.raises(DatasetError, match="no such folder"):
        export_dataset(tmp_path / "nowhere", tmp_path / "d", "xbd")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("split", "../../evil", "a split that cannot be a folder; found '../../evil'"),
        ("split", None, "a split that cannot be a folder"),
        ("shard", "../other.tar", "names a shard that the dataset lacks"),
        ("key", "atown-flood-000099", "holds no such sample"),
        ("split", "val", r"the record says something else than samples\.parquet"),
    ],
)
def test_an_index_that_lies_is_found_out(dataset, tmp_path, column, value, message):
    table = pq.read_table(dataset / "samples.parquet")
    values = table[column].to_pylist()
    values[0] = value
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, table.schema.field(place), [values]), dataset / "samples.parquet")
    manifest = json.loads((dataset / "dataset.json").read_text())
    manifest["index_sha256"] = file_sha256(dataset / "samples.parquet")
    (dataset / "dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match=message):
        export_dataset(dataset, tmp_path / "out", "xbd")
    assert not (tmp_path / "evil").exists()


def test_a_picture_larger_than_its_record_says_is_refused_undecoded(tmp_path, monkeypatch):
    sample = fake_sample(0, 48)
    small = encode_png(sample.labels["post_damage"])
    monkeypatch.setattr(
        "mage.scenes.dataset.codec.encode_png", lambda a, **_: encode_png(a) if a.ndim == 3 else larger(small)
    )
    write_samples(tmp_path / "d", [sample])
    for kind in ("folder", "huggingface", "xbd", "coco"):
        with pytest.raises(DatasetError, match=r"the picture's size is refused.*100000"):
            export_dataset(tmp_path / "d", tmp_path / kind, kind)


def larger(png):
    """The PNG with a header that asks for 100,000 columns."""
    import struct
    import zlib

    head = b"IHDR" + struct.pack(">II", 100_000, 48) + png[24:29]
    return png[:12] + head + struct.pack(">I", zlib.crc32(head)) + png[33:]


def test_events_of_any_spelling_become_names_of_files_and_no_two_samples_share_one(tmp_path):
    spelt = ["../../Évent one", "event-one", "vent one", "…"]
    write_samples(tmp_path / "d", [changed(fake_sample(i, 48), event=e) for i, e in enumerate(spelt)])
    export_dataset(tmp_path / "d", tmp_path / "out", "xbd")
    names = [json.loads(line)["name"] for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    assert names == ["vent-one_00000000", "event-one_00000000", "vent-one_00000001", "event_00000000"]


def test_a_missing_module_ends_in_the_command_that_installs_it(monkeypatch):
    real = builtins.__import__

    def blocked(name, *rest):
        if name.split(".")[0] == "rasterio":
            raise ModuleNotFoundError("No module named 'rasterio'", name="rasterio")
        return real(name, *rest)

    for name in [n for n in sys.modules if n.startswith("mage.generator.export.") and "run" not in n]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", blocked)
    with pytest.raises(MissingExtraError, match=r"rasterio.*pip install 'mage-eo\[cities\]'"):
        load_format("geotiff")


def test_exports_need_neither_blender_nor_torch_and_the_plain_ones_no_extra(pristine, tmp_path):
    code = (
        "import sys\n"
        "class Wall:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in sys.argv[1].split(','):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Wall())\n"
        "from mage.scenes import cli\n"
        "cli.main(sys.argv[2:])\n"
    )
    heavy = "bpy,torch,embreex,safetensors,mathutils"
    extras = f"{heavy},shapely,scipy,lxml,pyproj,rasterio,mapbox_earcut,osmium"
    for kind, walls, code_expected in (("xbd", heavy, 0), ("folder", extras, 0), ("coco", extras, 2)):
        words = ["export", pristine, tmp_path / kind, "--format", kind, "--limit", "1"]
        command = [sys.executable, "-c", code, walls, *words]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
        assert done.returncode == code_expected, done.stderr
        assert "Traceback" not in done.stderr
    assert "pip install 'mage-eo[cities]'" in done.stderr


@pytest.mark.long
def test_ctrl_c_with_workers_ends_in_one_line_and_the_same_command_completes_it(tmp_path):
    write_fake_dataset(tmp_path / "d", count=24, size=96, shard_size=1)
    command = [
        sys.executable,
        "-m",
        "mage.scenes.cli",
        "export",
        tmp_path / "d",
        tmp_path / "out",
        "--format",
        "folder",
    ]
    words = [*map(str, command), "--workers", "2"]
    driver = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while not journal_of(tmp_path / "out"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(driver.pid, signal.SIGINT)
    said = driver.communicate(timeout=60)[1]
    assert driver.returncode == 130
    assert said.strip().splitlines()[-1].endswith(f"from what is done in {tmp_path / 'out'}")
    assert "Traceback" not in said
    assert not (tmp_path / "out" / ".partial").exists()
    assert subprocess.run(words, capture_output=True, timeout=120).returncode == 0
    assert len(keys(tmp_path / "out")) == 24


def journal_of(out: Path):
    path = out / ".export.jsonl"
    return path.read_bytes() if path.exists() else b""


def test_the_samples_of_a_plain_export_are_those_of_the_dataset(pristine, tmp_path):
    """The dataset itself is only read."""
    before = contents(pristine)
    export_dataset(pristine, tmp_path / "out", "geotiff", limit=1)
    assert contents(pristine) == before
    assert isinstance(next(iter(samples_by_key(pristine).values())), Sample)
