"""The network and its maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mage.learning.devices import pick_device
from mage.learning.predict import classify, predict_tile
from mage.learning.segment import Prediction, SiameseDamageNet
from mage.learning.shapes import shape_of
from mage.scenes.errors import ModelError


@pytest.mark.parametrize("side", [(1, 1), (1, 40), (15, 17), (16, 32), (33, 5)])
def test_any_size_from_one_pixel_on_gives_finite_logits_of_that_size(side):
    prediction = SiameseDamageNet(4)(torch.rand(2, 2, 3, *side))
    assert prediction.localisation.shape == (2, 1, *side)
    assert prediction.damage.shape == (2, 4, *side)
    assert all(logits.isfinite().all() for logits in prediction[:2])


def test_one_pixel_gives_finite_gradients():
    model = SiameseDamageNet(4)
    prediction = model(torch.zeros(1, 2, 3, 1, 1))
    (prediction.localisation.sum() + prediction.damage.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(("width", "bands", "grades"), [(3, 1, 2), (5, 4, 3), (8, 13, 6)])
def test_other_widths_bands_and_grades_work(width, bands, grades):
    prediction = SiameseDamageNet(width, bands, grades)(torch.rand(1, 2, bands, 20, 20))
    assert prediction.damage.shape[1] == grades
    probabilities = prediction.probabilities()
    assert probabilities.shape == (1, 1 + grades, 20, 20)
    assert torch.allclose(probabilities.sum(1), torch.ones(1, 20, 20), atol=1e-6)


def test_an_image_is_mapped_alike_alone_and_in_a_batch():
    model, images = SiameseDamageNet(4).eval(), torch.rand(3, 2, 3, 16, 16)
    assert torch.allclose(model(images)[1][1:2], model(images[1:2])[1], atol=1e-5)


def test_both_dates_and_their_order_matter():
    model, pair = SiameseDamageNet(4).eval(), torch.rand(1, 2, 3, 16, 16)
    assert not torch.allclose(model(pair).damage, model(pair.flip(1)).damage, atol=1e-3)


def test_first_weights_follow_the_seed_and_leave_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, same, other = SiameseDamageNet(4, seed=1), SiameseDamageNet(4, seed=1), SiameseDamageNet(4, seed=2)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one.head.weight, same.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)


def test_two_arrays_give_a_class_map_and_probabilities():
    rng = np.random.default_rng(0)
    pre, post = rng.integers(0, 256, (2, 21, 34, 3), np.uint8)
    classes, probabilities = SiameseDamageNet(4).predict(pre, post)
    assert classes.dtype == np.uint8
    assert classes.shape == (21, 34)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (5, 21, 34)
    assert np.allclose(probabilities.sum(0), 1, atol=1e-5)
    assert (classes == classify(probabilities)).all()


def test_a_building_of_uncertain_grade_is_a_building():
    probabilities = np.array([0.4, 0.15, 0.15, 0.1, 0.2], np.float32)[:, None, None]
    assert classify(probabilities)[0, 0] == 4
    assert classify(probabilities, threshold=0.7)[0, 0] == 0


def test_windows_agree_with_the_whole_tile_where_the_model_looks_at_pixels_only():
    model = SiameseDamageNet(4)
    model.forward = _pixelwise
    image = torch.randint(0, 256, (2, 3, 70, 45), dtype=torch.uint8)
    whole = predict_tile(model, image)
    cut = predict_tile(model, image, window=32, overlap=8)
    assert torch.allclose(whole, cut, atol=1e-6)


def _pixelwise(image):
    return Prediction(image[:, 0, :1] * 4 - 2, image[:, 1].repeat(1, 2, 1, 1)[:, :4])


def test_predicting_leaves_the_mode_of_the_model_as_it_was():
    model = SiameseDamageNet(4).train()
    predict_tile(model, torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
    assert model.training


@pytest.mark.parametrize(
    ("pre", "post"),
    [
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)),
        (np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 3), np.float32)),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)),
        (np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)),
        (np.zeros((0, 4, 3), np.uint8), np.zeros((0, 4, 3), np.uint8)),
    ],
)
def test_images_that_do_not_fit_are_refused(pre, post):
    with pytest.raises(ModelError, match="expected"):
        SiameseDamageNet(4).predict(pre, post)


@pytest.mark.parametrize("batch", [torch.rand(1, 3, 8, 8), torch.rand(1, 3, 3, 8, 8), torch.zeros(1, 2, 3, 8, 8).int()])
def test_batches_that_do_not_fit_are_refused(batch):
    with pytest.raises(ModelError, match="expected"):
        SiameseDamageNet(4)(batch)


@pytest.mark.parametrize("arguments", [{"width": 0}, {"bands": 0}, {"grades": 1}, {"seed": -1}, {"seed": 2**64}])
def test_impossible_models_are_refused(arguments):
    with pytest.raises(ModelError):
        SiameseDamageNet(**arguments)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cpu:1", "", "cuda:x"])
def test_devices_that_are_not_there_are_named(name):
    with pytest.raises(ModelError):
        pick_device(name)


def test_outlines_may_come_from_the_image_before_alone_and_grades_from_both():
    model = SiameseDamageNet(width=4, heads=["flood"], alone=True).eval()
    image = torch.rand(2, 2, 3, 40, 24)
    other = torch.stack([image[:, 0], torch.rand(2, 3, 40, 24)], 1)
    found, changed = model(image), model(other)
    assert torch.equal(found.localisation, changed.localisation)
    assert not torch.allclose(found.damage, changed.damage)
    assert not torch.allclose(found.flood, changed.flood)
    assert [f.shape[1] for f in model.features(image)] == list(model.channels)


def test_what_outlines_come_from_is_kept_with_a_shape():
    shape = shape_of(SiameseDamageNet(width=4, alone=True))
    assert shape.build().alone
    assert not shape_of(SiameseDamageNet(width=4)).build().alone
