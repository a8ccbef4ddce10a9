"""Losses on masks of which the answer is known."""

from __future__ import annotations

import math

import pytest
import torch

from mage.learning.losses import IGNORE, damage_loss, damage_losses, grade_weights, localisation_loss
from mage.learning.segment import Prediction


def logits(n=2, side=4, grades=4):
    generator = torch.Generator().manual_seed(0)
    shape = (n, side, side)
    return Prediction(
        torch.randn(n, 1, side, side, generator=generator, requires_grad=True),
        torch.randn(n, grades, side, side, generator=generator, requires_grad=True),
    ), torch.randint(0, grades + 1, shape, generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("value", [0, IGNORE, 1, 4])
def test_uniform_masks_give_finite_losses_and_gradients(value):
    prediction, _ = logits()
    losses = damage_losses(prediction, torch.full((2, 4, 4), value, dtype=torch.uint8))
    sum(losses.values()).backward()
    for tensor in (*losses.values(), prediction.localisation.grad, prediction.damage.grad):
        assert tensor.isfinite().all()
    if value in (0, IGNORE):
        assert losses["damage"] == 0


def test_ignored_pixels_do_not_count():
    prediction, mask = logits()
    mask[:, :2] = IGNORE
    before = damage_losses(prediction, mask)
    with torch.no_grad():
        prediction.localisation[:, :, :2] += 50
        prediction.damage[:, 0, :2] += 50
    after = damage_losses(prediction, mask)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_damage_loss_is_the_weighted_mean_of_the_surprise():
    scores = torch.zeros(1, 4, 1, 3)
    scores[0, 2, 0, 1] = math.log(2)
    mask = torch.tensor([[[1, 3, 0]]], dtype=torch.uint8)
    expected = (1.0 * math.log(4) + 5.0 * math.log(5 / 2)) / 6
    assert damage_loss(scores, mask, torch.tensor([1.0, 1, 5, 1])).item() == pytest.approx(expected, abs=1e-6)


def test_localisation_loss_vanishes_for_a_certain_and_right_map():
    mask = torch.tensor([[[0, 2], [4, 0]]], dtype=torch.uint8)
    certain = torch.where(mask > 0, 40.0, -40.0)[:, None]
    assert localisation_loss(certain, mask).item() == pytest.approx(0, abs=1e-6)
    assert localisation_loss(-certain, mask).item() > 40


def test_losses_are_float32_under_autocast_and_for_half_logits():
    prediction, mask = logits()
    halves = Prediction(prediction.localisation.bfloat16(), prediction.damage.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        inside = damage_losses(halves, mask)
    outside = damage_losses(Prediction(halves.localisation.float(), halves.damage.float()), mask)
    assert all(inside[name].dtype == torch.float32 and torch.equal(inside[name], outside[name]) for name in inside)


def test_weights_fall_with_the_root_of_frequency_and_average_to_one():
    weights = grade_weights([900, 100, 0, 0])
    assert weights[1] / weights[0] == pytest.approx(3)
    assert weights[2] == weights[3] == weights[1]
    assert (900 * weights[0] + 100 * weights[1]) / 1000 == pytest.approx(1)


def test_weights_of_nothing_are_one():
    assert grade_weights([0, 0, 0]) == [1.0] * 3
