"""What ``mage verify`` finds in a release that somebody has touched."""

from __future__ import annotations

import json
import re
import shutil

import fsspec
import pytest
from fake_release import publication, write_campaign
from typer.testing import CliRunner

from mage.generator.release.publish import release
from mage.scenes import cli
from mage.scenes.dataset.released import SUMS, read_sums, write_sums
from mage.scenes.dataset.verify_release import verify_release
from mage.scenes.errors import DatasetError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    write_campaign(folder / "dataset", count=1)
    release(folder / "dataset", folder / "out", publication())
    return folder / "out"


@pytest.fixture
def root(whole, tmp_path):
    """A copy that a test may break."""
    return shutil.copytree(whole, tmp_path / "out")


def problems_of(root):
    return "\n".join(verify_release(root))


def rewrite(path, old, new):
    """Change a document, and the checksums with it, as one who wants it to pass would."""
    text = path.read_text(encoding="utf-8")
    assert re.search(old, text)
    path.write_text(re.sub(old, new, text, count=1), encoding="utf-8")
    write_sums(path.parents[1] if path.parent.name == "stac" else path.parent)


def test_an_untouched_release_has_no_problem(root):
    assert verify_release(root) == []


def test_a_byte_that_changed_is_found(root):
    with (root / "shards/train-000000.tar").open("r+b") as file:
        file.seek(2000)
        file.write(b"x")
    assert "shards/train-000000.tar: sha256 is wrong" in problems_of(root)


@pytest.mark.parametrize("name", ["README.md", "croissant.json", "LICENSES.md", "stac/collection.json", "release.json"])
def test_a_document_that_is_gone_is_missed(root, name):
    (root / name).unlink()
    assert re.search(rf"{name}: (is missing|no such file)", problems_of(root))


def test_a_quick_look_believes_the_manifest_about_shards_and_nobody_else(root):
    with (root / "shards/train-000000.tar").open("r+b") as file:
        file.seek(2000)
        file.write(b"x")
    assert verify_release(root, quick=True) == []
    with (root / "DATASHEET.md").open("a") as file:
        file.write("x")
    [problem] = verify_release(root, quick=True)
    assert "DATASHEET.md: sha256 is wrong" in problem


def test_a_release_in_an_object_store_is_checked_there(whole):
    files = fsspec.filesystem("memory")
    files.put(str(whole), "/released", recursive=True)
    try:
        assert verify_release("memory://released") == []
        files.rm("/released/CITATION.cff")
        assert "CITATION.cff: is missing" in problems_of("memory://released")
    finally:
        files.rm("/released", recursive=True)


def test_a_file_that_nobody_listed_is_found(root):
    (root / "extra.txt").write_text("x")
    assert f"extra.txt: is not in {SUMS}" in problems_of(root)


def test_a_link_is_not_followed(root, tmp_path):
    (tmp_path / "secret").write_text("x")
    (root / "DATASHEET.md").unlink()
    (root / "DATASHEET.md").symlink_to(tmp_path / "secret")
    assert "DATASHEET.md: is no plain file" in problems_of(root)


@pytest.mark.parametrize(
    ("name", "old", "new", "found"),
    [
        ("croissant.json", r'"splits/samples": 1', '"splits/samples": 100', "croissant.json: splits is wrong"),
        ("croissant.json", r'"sha256": "[0-9a-f]', '"sha256": "x', "its files are not those of the dataset"),
        ("croissant.json", r'"version": "1.2.0"', '"version": "1.2.1"', "croissant.json: version is wrong"),
        ("README.md", r"train: 1", "train: 9", "README.md: samples is wrong"),
        ("README.md", r"licence: CC-BY-4.0", "licence: CC0-1.0", "README.md: licence is wrong"),
        ("datacite.json", r'"version": "1.2.0"', '"version": "2.0.0"', "version in datacite.json is wrong"),
        (".zenodo.json", r'"license": "cc-by-4.0"', '"license": "cc0-1.0"', "licence in .zenodo.json is wrong"),
        ("CITATION.cff", r"license: CC-BY-4.0", "license: MIT", "licence in CITATION.cff is wrong"),
        ("stac/collection.json", r'"buildings": \d+', '"buildings": 12345', "stac/collection.json: splits is wrong"),
        ("release.json", r'"samples": 1', '"samples": 2', "release.json: is of another dataset"),
        ("release.json", r'"format": "mage-release/1"', '"format": "mage-release/2"', "cannot read"),
        ("release.json", r'"version": "1.2.0"', '"version": "one"', "damaged: version"),
    ],
)
def test_a_document_that_says_something_else_is_found(root, name, old, new, found):
    rewrite(root / name, old, new)
    assert found in problems_of(root)


@pytest.mark.parametrize("content", ["", "[]", "{}", '"x"', "{", "[" * 5000, "null", '{"distribution": 3}'])
@pytest.mark.parametrize("name", ["croissant.json", "stac/collection.json", "datacite.json", "release.json"])
def test_documents_of_nonsense_are_problems_and_no_traceback(root, name, content):
    (root / name).write_text(content)
    assert name in problems_of(root)


@pytest.mark.parametrize("content", ["", "---\n", "---\n&a [*a]\n---\n", "---\nmage: 3\n---\n", "no head"])
def test_a_card_without_its_head_is_a_problem(root, content):
    (root / "README.md").write_text(content)
    assert "README.md: is not such a document" in problems_of(root) or "README.md" in problems_of(root)


def test_items_of_other_samples_are_found(root):
    path = root / "stac/samples/train-000000.json"
    content = json.loads(path.read_text())
    content["features"][0]["id"] = "other"
    path.write_text(json.dumps(content))
    assert "are not those of train-000000.tar" in problems_of(root)


def test_split_files_are_held_against_the_index(root):
    (root / "splits/train.txt").write_text("southville-flood-000000\n")
    assert "train.txt lists other samples than the index" in problems_of(root)


@pytest.mark.parametrize(
    "line", ["x  README.md", "0" * 64 + "  ../up", "0" * 64 + "  /etc/passwd", "0" * 64 + " README.md", "0" * 64 + "  "]
)
def test_a_list_of_checksums_that_leads_astray_is_refused(root, line):
    (root / SUMS).write_text(line + "\n")
    with pytest.raises(DatasetError, match="line 1 is refused"):
        read_sums(root)
    assert "line 1 is refused" in problems_of(root)


def test_the_command_tells_of_documents_and_dataset_alike(root, whole):
    runner = CliRunner()
    assert runner.invoke(cli.app, ["verify", str(whole)]).exit_code == 0
    (root / "splits/train.txt").write_text("")
    result = runner.invoke(cli.app, ["verify", str(root)])
    assert result.exit_code == 1
    assert "splits/train.txt: sha256 is wrong" in result.output + getattr(result, "stderr", "")
