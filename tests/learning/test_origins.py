"""What a run notes of its samples, and whether they are known again."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest
from torch.utils.data import Subset

from mage.learning import (
    IdaBD,
    LabelledFolder,
    LinearColour,
    Part,
    PicturePairs,
    ShardDataset,
    SiameseDamageNet,
    Supervised,
    class_counts,
    evaluate,
    fit,
    grade_weights,
    open_run,
)
from mage.learning.adapt.rare import RareClasses
from mage.learning.origins import origin, seen_again
from mage.learning.runs import Origins
from mage.learning.translate.translator import Translated
from mage.scenes.errors import ModelError


def draw(folder, names, seed=0):
    """Pairs and masks of 16 px, in the folders of a `LabelledFolder`; each picture is another."""
    rng = np.random.default_rng(seed)
    for name in names:
        for side in ("pre", "post"):
            (folder / side).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(folder / side / f"{name}.png"), rng.integers(0, 255, (16, 16, 3), np.uint8))
        (folder / "masks").mkdir(exist_ok=True)
        assert cv2.imwrite(str(folder / "masks" / f"{name}.png"), np.tile(np.arange(16, dtype=np.uint8) % 5, (16, 1)))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("own") / "labelled", "abcd")


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("own-run") / "run"
    method = Supervised(SiameseDamageNet(2))
    return fit(method, LabelledFolder(folder, size=8), out=out, steps=1, batch=2, device="cpu", preview=0)


def notes(run, dataset):
    return [note for note in evaluate(run, dataset, device="cpu").warnings if "evaluated on" in note]


def test_a_folder_is_known_again_in_another_place_by_other_names_and_with_other_labels(run, folder, tmp_path):
    assert run.trained_on().source.keys == ["a", "b", "c", "d"]
    (note,) = notes(run, LabelledFolder(folder))
    assert note.startswith("evaluated on the training samples: says that it learned")
    moved = shutil.copytree(folder, tmp_path / "moved")
    for side in ("pre", "post", "masks"):
        (moved / side / "a.png").rename(moved / side / "z.png")
    draw(moved, "m", seed=5)
    assert notes(run, LabelledFolder(moved))[0].startswith("evaluated on 4 training samples of 5")


def test_grades_of_a_folder_are_weighted_by_its_masks(tmp_path):
    whole = LabelledFolder(draw(tmp_path / "labelled", "ab"))
    pixels = class_counts(whole, 5).sum(0)[1:]
    assert pixels.tolist() == [96, 96, 96, 96]  # three of 16 columns each, in two masks
    assert grade_weights(pixels) == pytest.approx([1, 1, 1, 1])


def test_other_images_of_the_same_names_are_not_taken_for_those_of_the_training(run, tmp_path):
    assert notes(run, LabelledFolder(draw(tmp_path / "labelled", "abcd", seed=1))) == []


def test_samples_of_a_set_are_known_again_in_a_folder_and_as_pictures_without_labels(folder, tmp_path):
    for name in "ab":
        for side in ("pre", "post"):
            (tmp_path / "images").mkdir(exist_ok=True)
            shutil.copy(folder / side / f"{name}.png", tmp_path / "images" / f"{name}_{side}_disaster.png")
        (tmp_path / "masks").mkdir(exist_ok=True)
        shutil.copy(folder / "masks" / f"{name}.png", tmp_path / "masks" / f"{name}_post_disaster.png")
    now = origin(LabelledFolder(folder))
    for before in (IdaBD(tmp_path), PicturePairs(tmp_path / "images")):
        assert seen_again(origin(before), now) == 2
    assert origin(PicturePairs(tmp_path / "images")).keys == ["a_pre_disaster.png", "b_pre_disaster.png"]


@pytest.mark.parametrize("kind", [Part, Subset])
def test_a_part_is_noted_as_the_samples_that_it_holds(folder, drawn, kind):
    whole = LabelledFolder(folder)
    part = origin(kind(kind(whole, [3, 0, 1]), [0, 2]))
    assert (part.name, part.keys, part.samples) == ("LabelledFolder", ["d", "b"], 2)
    assert seen_again(part, origin(whole)) == 2
    assert seen_again(part, origin(Part(whole, [0]))) == 0
    tiles = ShardDataset(drawn)
    assert origin(kind(tiles, [1, 4])).keys == [tiles.keys[1], tiles.keys[4]]
    assert seen_again(origin(kind(tiles, [1, 4])), origin(tiles)) == 2


def test_translated_and_reordered_samples_are_noted_as_those_that_they_are_made_of(drawn):
    tiles = ShardDataset(drawn, size=16)
    translated = Translated(tiles, LinearColour().fit([tiles[0]]))
    rare = RareClasses(translated, np.ones((len(tiles), 2), int))
    assert origin(rare) == origin(tiles)


def test_nothing_is_said_of_datasets_that_cannot_be_known_again(run):
    sample = LabelledFolder(draw(run.path.parent / "more", "e", seed=2))[0]
    assert notes(run, [sample]) == []
    assert seen_again(origin([sample]), origin([sample])) == 0


def test_training_goes_on_with_the_samples_and_crops_that_it_began_with_alone(run, folder, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    again = {"out": tmp_path / "run", "steps": 2, "batch": 2, "device": "cpu", "preview": 0, "resume": True}
    with pytest.raises(ModelError, match="'size' differs"):
        fit(Supervised(SiameseDamageNet(2)), LabelledFolder(folder, size=16), **again)
    other = draw(tmp_path / "other", "abcd", seed=1)
    with pytest.raises(ModelError, match="'digests' differs"):
        fit(Supervised(SiameseDamageNet(2)), LabelledFolder(other, size=8), **again)
    before = run.trained_on().source.model_copy(update={"keys": [], "digests": [], "size": None})
    (tmp_path / "run" / "trained_on.json").write_text(Origins(source=before).model_dump_json())
    fit(Supervised(SiameseDamageNet(2)), LabelledFolder(folder, size=8), **again)  # of a run that noted none yet
    assert open_run(tmp_path / "run").step == 2
