"""Datasets without labels are described and checked by the same commands as labelled ones."""

from __future__ import annotations

import json
import shutil

import pyarrow.parquet as pq
import pytest
from fake_dataset import write_fake_dataset, write_fake_tiles

from mage.scenes import cli
from mage.scenes.dataset.unlabelled import is_unlabelled
from mage.scenes.dataset.verify_unlabelled import verify_unlabelled
from mage.scenes.errors import DatasetError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A dataset of five tiles in two shards."""
    root = tmp_path_factory.mktemp("tiles") / "hazy"
    write_fake_tiles(root)
    return root


@pytest.fixture
def tiles(whole, tmp_path):
    """A copy to break."""
    return shutil.copytree(whole, tmp_path / "hazy")


def mage(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in words])
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def test_kinds_of_datasets_are_told_apart(whole, tmp_path):
    write_fake_dataset(tmp_path / "labelled", count=2, size=32)
    (tmp_path / "dataset.json").write_text("[")
    assert [is_unlabelled(root) for root in (whole, tmp_path / "labelled", tmp_path)] == [True, False, False]


def test_info_says_what_it_holds(whole, capsys):
    code, out, _ = mage(capsys, "info", whole, "--json")
    assert not code
    facts = json.loads(out)
    assert facts["kind"] == "unlabelled dataset"
    assert (facts["samples"], facts["items"], facts["bands"]) == (5, 3, ["red", "green", "blue"])
    assert (facts["gsd"], facts["cloud"]) == ([2, 2], [5, 5])
    assert facts["dates"] == ["2023-05-01T00:00:00Z", "2023-05-05T00:00:00Z"]
    assert facts["sources"][0]["licence"] == "CC0-1.0"


@pytest.mark.parametrize("quick", [(), ("--quick",)])
def test_a_whole_one_verifies(whole, capsys, quick):
    code, out, _ = mage(capsys, "verify", whole, *quick)
    assert not code
    assert out.startswith("OK: 5 samples")


def flipped(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def edited(path, **update):
    path.write_text(json.dumps(json.loads(path.read_text()) | update))


BROKEN = {
    "a pixel": (lambda root: flipped(root / "shards/tiles-000000.tar", 3000), "sha256 is wrong", False),
    "cut": (lambda root: (root / "shards/tiles-000001.tar").write_bytes(b"x" * 512), "its size is wrong", True),
    "no shard": (lambda root: (root / "shards/tiles-000001.tar").unlink(), "is missing", True),
    "no side file": (lambda root: (root / "shards/tiles-000001.json").unlink(), "cannot be read", True),
    "another side file": (
        lambda root: edited(root / "shards/tiles-000001.json", recipe_hash="0" * 16), "something else", True,
    ),
    "surplus": (lambda root: (root / "shards/tiles-000009.tar").write_bytes(b""), "is not in dataset.json", True),
    "manifest": (lambda root: (root / "dataset.json").write_text('{"format": "mage-unlabelled/1"}'), "damaged", True),
    "newer": (lambda root: edited(root / "dataset.json", format="mage-unlabelled/9"), "mage-unlabelled/1", True),
    "samples": (lambda root: edited(root / "dataset.json", samples=6), "number of samples", True),
    "bands": (lambda root: edited(root / "dataset.json", bands=["red"]), "its bands", False),
    "index": (lambda root: flipped(root / "samples.parquet", 10), "sha256 is wrong", True),
}  # fmt: skip


@pytest.mark.parametrize("how", BROKEN)
def test_what_is_broken_is_named_and_the_exit_code_is_1(tiles, capsys, how):
    spoil, words, seen_quickly = BROKEN[how]
    spoil(tiles)
    code, _, err = mage(capsys, "verify", tiles)
    assert code == 1
    assert words in err
    assert "Traceback" not in err
    assert verify_unlabelled(tiles, quick=True).ok is not seen_quickly


def test_an_index_that_fits_its_checksum_must_fit_the_tiles_too(tiles):
    from mage.scenes.dataset.store import file_sha256

    table = pq.read_table(tiles / "samples.parquet")
    changed = table.set_column(table.column_names.index("licence"), "licence", [["CC-BY-4.0"] * 5])
    pq.write_table(changed, tiles / "samples.parquet")
    edited(tiles / "dataset.json", index_sha256=file_sha256(tiles / "samples.parquet"))
    assert verify_unlabelled(tiles, quick=True).ok
    assert "something else than the tiles" in verify_unlabelled(tiles).problems[0]


def test_no_folder_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match="no such"):
        verify_unlabelled(tmp_path / "nowhere")
