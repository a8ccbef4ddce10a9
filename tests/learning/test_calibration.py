"""Reliability, temperatures, and where they are kept."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.learning import (
    Prediction,
    Reliability,
    ShardDataset,
    SiameseDamageNet,
    Supervised,
    Temperatures,
    calibrate,
    fit,
    fit_temperatures,
    open_run,
    predict_tile,
    save_temperatures,
)
from mage.learning.temperature import log_likelihood
from mage.scenes.errors import ModelError


def slow_ece(p, truth, bins=15):
    confidence, hit = p.max(0), p.argmax(0) == truth
    total = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - hit[inside].mean())
    return total


def drawn(seed, n=200, classes=3):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 0.5), n).T
    return p, rng.integers(0, classes, n)


@given(st.integers(0, 2**32))
@settings(max_examples=30)
def test_the_error_equals_that_of_a_loop_over_bins(seed):
    p, truth = drawn(seed)
    counts = Reliability(3)
    counts.update(p, truth)
    assert counts.ece() == pytest.approx(slow_ece(p, truth), abs=1e-9)
    each = np.mean([slow_ece(np.stack([np.full(200, -1), p[c]]), np.where(truth == c, 1, -9)) for c in range(3)])
    assert counts.classwise_ece() == pytest.approx(each, abs=1e-9)


def test_counts_made_apart_add_up():
    (p, truth), (q, other) = drawn(0), drawn(1)
    whole, one, two = Reliability(3), Reliability(3), Reliability(3)
    whole.update(np.concatenate([p, q], 1), np.concatenate([truth, other]))
    one.update(p, truth)
    two.update(q, other)
    assert (one + two).summary()["ece"] == pytest.approx(whole.summary()["ece"], abs=1e-12)


def test_a_model_that_is_right_as_often_as_it_says_has_hardly_any_error():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 100_000)
    truth = (rng.random((100_000, 1)) < p.cumsum(1)).argmax(1)
    counts = Reliability(3)
    counts.update(p.T, truth)
    assert max(counts.ece(), counts.adaptive_ece(), counts.classwise_ece()) < 0.01
    assert sum(point["share"] for point in counts.curve()) == pytest.approx(1)


def test_equal_mass_bins_see_what_equal_width_bins_average_out():
    p = np.repeat([0.99, 0.95], 500)  # one bin of equal width: too sure and not sure enough cancel
    hit = np.concatenate([np.arange(500) < 475, np.arange(500) < 495])
    counts = Reliability(2)
    counts.update(np.stack([1 - p, p]), hit.astype(int))
    assert counts.ece() == pytest.approx(0, abs=1e-9)
    assert counts.adaptive_ece() == pytest.approx(0.04, abs=1e-3)


def test_nothing_counted_leaves_the_errors_undefined():
    counts = Reliability(2)
    counts.update(np.zeros((2, 0)), np.zeros(0, int))
    assert counts.ece() is counts.adaptive_ece() is counts.classwise_ece() is None


@pytest.mark.parametrize(
    ("p", "truth"),
    [([[0.5], [np.nan]], [0]), ([[0.5], [1.5]], [0]), ([[0.5], [0.5]], [2]), ([[0.5], [0.5]], [0, 1]), ([[1.0]], [0])],
)
def test_what_is_no_probability_or_no_class_is_refused(p, truth):
    with pytest.raises(ModelError):
        Reliability(2).update(np.array(p), np.array(truth))


class Told(torch.nn.Module):
    """Returns the logits that its image holds, times a factor."""

    def __init__(self, factor):
        super().__init__()
        self.classes, self.factor = 3, torch.nn.Parameter(torch.tensor(float(factor)))

    def forward(self, image):
        return image * self.factor


def told_tiles(seed=0, side=24):
    """Tiles whose true classes are drawn from the softmax of their own image."""
    rng = np.random.default_rng(seed)
    tiles = []
    for _ in range(6):
        scores = rng.normal(0, 2, (3, side, side)).astype(np.float32)
        p = np.exp(scores) / np.exp(scores).sum(0)
        truth = (rng.random((side, side)) > p.cumsum(0)).sum(0)
        tiles.append({"image": torch.from_numpy(scores), "mask": torch.from_numpy(truth.clip(0, 2))})
    return tiles


@pytest.mark.parametrize("factor", [0.5, 1.0, 4.0])
def test_the_temperature_undoes_what_made_a_model_too_sure_or_not_sure_enough(factor):
    found = fit_temperatures(Told(factor), told_tiles(), np.random.default_rng(0))
    assert found.classes == pytest.approx(factor, rel=0.1)
    assert found.localisation == 1


def test_no_other_temperature_is_likelier():
    tile = told_tiles()[0]
    best = fit_temperatures(Told(1), [tile], np.random.default_rng(0)).classes
    scores, truth = tile["image"].double().flatten(1).T.numpy(), tile["mask"].flatten().numpy()
    likelihood = [log_likelihood(scores, truth, best * t) for t in (0.97, 1.0, 1.03)]
    assert likelihood[1] == max(likelihood)


def test_calibration_lowers_the_error_on_tiles_that_it_was_not_fitted_to_and_moves_no_class():
    model, tiles = Told(5.0), told_tiles()
    before = predict_tile(model, tiles[0]["image"]).argmax(0)
    found = calibrate(model, tiles, np.random.default_rng(0))
    assert found.after["classes"].ece() < 0.03 < 0.1 < found.before["classes"].ece()
    assert (predict_tile(model, tiles[0]["image"]).argmax(0) == before).all()
    assert model.temperatures.classes == pytest.approx(5, rel=0.1)
    assert "before" in found.table()


def test_a_temperature_that_does_not_carry_over_to_other_tiles_is_not_taken():
    tiles = [tile if k % 2 else tile | {"image": 4 * tile["image"]} for k, tile in enumerate(told_tiles())]
    model = Told(1.0)
    found = calibrate(model, tiles, np.random.default_rng(0))
    assert fit_temperatures(model, tiles, np.random.default_rng(0)).classes > 1.5
    assert model.temperatures == found.temperatures == Temperatures()
    assert found.after["classes"].ece() == found.before["classes"].ece()


def test_both_heads_are_divided_each_by_its_own():
    output = Prediction(torch.full((1, 1, 2, 2), 4.0), torch.full((1, 4, 2, 2), 6.0))
    scaled = Temperatures(2.0, 3.0).apply(output)
    assert (scaled.localisation == 2).all()
    assert (scaled.damage == 2).all()


def test_a_run_keeps_its_temperatures_until_training_goes_on(short_run, drawn, tmp_path):
    run = open_run(shutil.copytree(short_run.path, tmp_path / "run"))
    image = ShardDataset(drawn)[0]["image"]
    before = predict_tile(run.model("cpu"), image)
    save_temperatures(run, Temperatures(2.0, 2.0))
    assert open_run(run.path).model("cpu").temperatures == Temperatures(2.0, 2.0)
    assert not torch.equal(predict_tile(run.model("cpu"), image), before)
    run.beside(".density.safetensors").write_bytes(b"")
    longer = fit(
        Supervised(SiameseDamageNet(4)), ShardDataset(drawn, size=32), out=run.path, steps=5, batch=2, device="cpu",
        resume=True,
    )  # fmt: skip
    assert longer.model("cpu").temperatures is None
    assert {p.name for p in run.path.glob("checkpoint-*")} == {longer.checkpoint.name}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"localisation": 0, "classes": 1}', '{"classes": 1}'])
def test_damaged_temperatures_are_one_clear_error(short_run, tmp_path, text):
    run = open_run(shutil.copytree(short_run.path, tmp_path / "run"))
    run.beside(".temperatures.json").write_text(text)
    with pytest.raises(ModelError, match=r"temperatures\.json"):
        run.model("cpu")


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "2"])
def test_what_is_no_temperature_is_refused(value):
    with pytest.raises(ModelError, match="temperature"):
        Temperatures(classes=value)


def test_labels_that_are_missing_or_of_other_classes_are_one_clear_error():
    blank = {"image": torch.zeros(3, 4, 4), "mask": torch.full((4, 4), 255)}
    with pytest.raises(ModelError, match="no pixel is labelled"):
        fit_temperatures(Told(1), [blank], np.random.default_rng(0))
    with pytest.raises(ModelError, match="classes below 3"):
        fit_temperatures(Told(1), [blank | {"mask": torch.full((4, 4), 3)}], np.random.default_rng(0))
    with pytest.raises(ModelError, match="not finite"):
        fit_temperatures(Told(float("nan")), told_tiles()[:1], np.random.default_rng(0))
    with pytest.raises(ModelError, match="2 or more"):
        calibrate(Told(1), told_tiles()[:1], np.random.default_rng(0))
