"""The folder of a product: what is whole stays, what is not is made anew, and nothing beside it is touched."""

from __future__ import annotations

import json

import pytest

from mage.learning.mapping.folder import open_product
from mage.scenes.errors import DatasetError


def writing(text, calls):
    def make(path):
        calls.append(path.name)
        path.write_text(text)

    return make


def test_a_step_is_done_once_for_the_same_inputs_and_anew_for_others(tmp_path):
    folder, calls = open_product(tmp_path / "p"), []
    for identity in ({"a": 1}, {"a": 1}, {"a": 2}, {"a": 2}, {"a": 1}):
        assert folder.step("x.tif", identity, writing(str(identity), calls)).read_text() == str(identity)
    assert len(calls) == 3


def test_a_step_that_fails_or_whose_file_was_changed_is_not_done(tmp_path):
    folder, calls = open_product(tmp_path / "p"), []
    with pytest.raises(ZeroDivisionError):
        folder.step("x.tif", {}, lambda path: 1 / 0)
    folder.step("x.tif", {}, writing("one", calls))
    (tmp_path / "p" / "x.tif").write_text("two")
    assert folder.step("x.tif", {}, writing("one", calls)).read_text() == "one"
    assert len(calls) == 2


def test_files_of_the_product_before_go_and_no_others(tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    folder = open_product(tmp_path / "p")
    for name in ("a.txt", "b.txt", "mine.txt"):
        (folder.path / name).write_text(name)
    folder.finish([folder.path / "a.txt", folder.path / "b.txt"], {}, folder.begin())
    told = json.loads((folder.path / "provenance.json").read_text())
    told["files"] |= {"../outside.txt": "0" * 64}
    (folder.path / "provenance.json").write_text(json.dumps(told))
    folder.finish([folder.path / "b.txt"], {}, folder.begin())
    assert outside.read_text() == "mine"
    assert {path.name for path in folder.path.iterdir()} == {"b.txt", "mine.txt", "provenance.json"}


@pytest.mark.parametrize("content", ["{", "[]", '{"format": "other"}', "[" * 10000, '{"format": "mage-map/1", "x": 3}'])
def test_a_record_that_cannot_be_read_is_none(tmp_path, content):
    folder = open_product(tmp_path / "p")
    (folder.path / "steps.json").write_text(content)
    (folder.path / "provenance.json").write_text(content)
    assert folder.begin() == []
    assert folder.step("x", {}, writing("one", [])).read_text() == "one"


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(DatasetError, match="other files are in the folder"):
        open_product(tmp_path)
    with pytest.raises(DatasetError, match="cannot be used for a product"):
        open_product(tmp_path / "letter.txt")


def test_a_package_that_somebody_edited_is_kept_when_the_product_is_made_anew(tmp_path):
    folder, told = open_product(tmp_path / "p"), []
    for name, text in (("a.gpkg", "ours"), ("b.txt", "ours")):
        (folder.path / name).write_text(text)
    folder.finish([folder.path / "a.gpkg", folder.path / "b.txt"], {}, folder.begin(told.append))
    (folder.path / "b.txt").write_text("of no worth")
    (folder.path / "a.gpkg").write_text("edited")
    before = folder.begin(told.append)
    assert told == ["a.gpkg was changed since it was made: it is kept as a_changed.gpkg"]
    (folder.path / "a.gpkg").write_text("ours anew")
    folder.finish([folder.path / "a.gpkg"], {}, before)
    (folder.path / "a.gpkg").write_text("edited again")
    folder.finish([], {}, folder.begin(told.append))
    assert [(folder.path / name).read_text() for name in ("a_changed.gpkg", "a_changed2.gpkg")] == [
        "edited",
        "edited again",
    ]
    assert not (folder.path / "b.txt").exists()
    assert folder.begin(told.append) == []
    assert len(told) == 2
