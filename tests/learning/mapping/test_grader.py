"""Which models grade buildings, and what they say of themselves."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from struck import Reader, images, pair, reader, request
from struck import found as find_in

from mage.learning import Card, SegmentationNet, SiameseDamageNet, fit_density, load_model, save_model
from mage.learning.mapping.grader import Grader, check_dates, open_grader
from mage.learning.mapping.picture import ArrayPicture
from mage.learning.mapping.unlike import share_unlike
from mage.scenes.dataset.fields import LandClass
from mage.scenes.errors import ModelError
from mage.scenes.grid import Grid

GRADES = ("background", "no-damage", "minor-damage", "major-damage", "destroyed")


def test_a_run_and_a_saved_model_say_what_they_are(short_run, tmp_path):
    of_run = open_grader(short_run.path, "cpu")
    assert of_run.names == GRADES
    assert of_run.facts["method"] == "Supervised"
    assert of_run.facts["calibrated"] == "no"
    assert "# " in of_run.card
    card = Card("A", "drawn", "CC0-1.0", limits="Seen drawings\nalone. Knows no night.")
    save_model(load_model(short_run.path, "cpu"), tmp_path / "m", card, gsd=(0.3, 0.8))
    saved = open_grader(tmp_path / "m", "cpu")
    assert saved.facts["warning"] == "Seen drawings alone."
    assert "warning" not in of_run.facts
    assert saved.gsd == (0.3, 0.8)
    assert saved.facts["licence"] == "cc0-1.0"
    assert saved.file == tmp_path / "m" / "model.safetensors"
    shown = np.zeros((2, 3, 40, 50), np.uint8)
    np.testing.assert_allclose(saved.forward(shown), of_run.forward(shown), atol=1e-6)


def test_a_model_of_one_image_looks_at_the_one_after(tmp_path):
    save_model(SegmentationNet(classes=5, width=2), tmp_path / "m", Card("A", "drawn", "CC0-1.0", classes=GRADES))
    single = open_grader(tmp_path / "m", "cpu")
    check_dates(single, pre=False)
    pre, post = (image[:, :40, :48] for image in images())
    assert (single.forward(np.stack([pre, post])) == single.forward(post[None])).all()
    with pytest.raises(ModelError, match="only one after"):
        check_dates(reader(), pre=False)


def test_a_map_is_made_of_one_image_by_a_model_of_one(tmp_path):
    single = Grader(SegmentationNet(classes=4, width=2))
    found = find_in(request(pair(tmp_path)[1]), tmp_path / "product", single)
    assert found.pre is None
    assert found.registration is None
    assert found.buildings.grades.shape[1] == 3


@pytest.mark.parametrize("names", [("land", "water"), tuple(LandClass.__members__)[:5]])
def test_a_model_of_other_classes_is_refused(tmp_path, names):
    save_model(SegmentationNet(len(names), 2), tmp_path / "m", Card("A", "drawn", "CC0-1.0", classes=names))
    with pytest.raises(ModelError, match="no grades of damage"):
        open_grader(tmp_path / "m", "cpu")


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no such run"):
        open_grader(tmp_path / "nothing", "cpu")


def test_further_heads_become_bands_behind_the_grades(tmp_path):
    wet = reader(heads=("flood",))
    assert wet.names[5:] == ("flood",)
    pre, post = images()
    post[2, :48] = 255
    maps = wet.forward(np.stack([pre, post]))
    assert maps.shape == (6, *pre.shape[1:])
    assert maps[5, :48].min() > 0.99
    assert maps[5, 48:].max() < 0.01


class Bright:
    """Stands in for a density: what is bright is unlike the training."""

    shapes: ClassVar[list[tuple[int, ...]]] = []

    def unlike(self, image):
        self.shapes.append(tuple(image.shape))
        return bool(image.float().mean() > 100)


def test_the_share_of_a_scene_unlike_the_training_is_that_of_its_windows():
    grid = Grid(512, 700, 0, 512, 1.0)
    image = np.zeros((3, 512, 700), np.uint8)
    image[:, :256] = 200
    valid = np.ones(grid.shape, bool)
    valid[256:, :222] = False
    after = ArrayPicture(image, grid, valid)
    assert share_unlike(Bright(), [after, after]) == pytest.approx(3 / 5)  # of six windows one is no data
    assert share_unlike(Bright(), [after]) == pytest.approx(3 / 5)
    assert set(Bright.shapes) == {(2, 3, 256, 256), (3, 256, 256)}
    assert share_unlike(Bright(), [ArrayPicture(image, grid, valid & False)]) is None


def test_a_run_that_was_calibrated_with_its_training_warns_of_other_scenes(tmp_path):
    model = SiameseDamageNet(width=2)
    rng = np.random.default_rng(0)
    tiles = [{"image": torch.from_numpy(rng.integers(180, 250, (2, 3, 32, 32), np.uint8))} for _ in range(12)]
    pre, post = pair(tmp_path)
    said = []
    found = find_in(
        request(post, pre), tmp_path / "p", Grader(model, density=fit_density(model, tiles)), tell=said.append
    )
    assert found.unlike == 1
    assert any("100% of the scene looks unlike" in line for line in said)


def test_the_reader_of_these_tests_is_sure():
    pre, post = images()
    maps = Grader(Reader()).forward(np.stack([pre, post]))
    assert np.maximum(maps[0], maps[1:].max(0)).min() > 0.99
