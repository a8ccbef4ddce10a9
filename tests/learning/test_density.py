"""What is unlike the training is told from what is like it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from toys import Stripes, ToyNet

from mage.learning import ShardDataset, auroc, evaluate, fit_density, load_density, open_run
from mage.learning.density import describe, gaussian
from mage.scenes.errors import ModelError


@pytest.fixture(scope="module")
def density():
    return fit_density(ToyNet(), Stripes(30, side=32), window=16)


def scores(density, tiles):
    return np.array([density.score(tile["image"]) for tile in (tiles[i] for i in range(len(tiles)))])


def test_brighter_noisier_and_blurred_images_are_told_from_the_training_and_others_like_it_are_not(density):
    class Later(Stripes):
        def __getitem__(self, index):
            return super().__getitem__(index + 1000)

    usual = scores(density, Later(30, side=32))
    assert np.mean(usual > density.threshold) <= 0.2
    brighter = scores(density, Stripes(10, light=0.4, side=32))
    flat = scores(density, [{"image": torch.full((3, 32, 32), 0.3)}] * 2)
    noisy = scores(density, [{"image": torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))}] * 2)
    for other in (brighter, flat, noisy):
        assert auroc(usual, other) > 0.99
        assert (other > density.threshold).mean() >= 0.9


def test_the_map_shows_where(density):
    image = Stripes(1, side=64)[0]["image"].clone()
    image[:, :16, 48:] = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = density.map(image)
    assert found.shape == (4, 4)
    assert np.unravel_index(found.argmax(), found.shape) == (0, 3)
    assert density.score(image) == pytest.approx(found.mean())


def test_the_threshold_keeps_its_share_of_false_alarms_on_the_tiles_that_set_it():
    held_out = Stripes(40, side=32)
    density = fit_density(ToyNet(), Stripes(20, side=32), held_out, false_alarm=0.1, window=16)
    assert np.mean(scores(density, held_out) > density.threshold) <= 0.1


def test_the_covariance_of_fewer_vectors_than_dimensions_is_whole_and_that_of_many_is_the_samples():
    rng = np.random.default_rng(0)
    few = gaussian(rng.normal(0, 2, (5, 12)))
    assert np.isfinite(few.factor).all()
    many = rng.normal(0, 1, (20_000, 3)) @ np.array([[1, 0.9, 0], [0, 1, 0], [0, 0, 5.0]])
    found = gaussian(many)
    assert found.factor @ found.factor.T == pytest.approx(np.linalg.inv(np.cov(many.T)), rel=0.03, abs=0.02)
    assert found.excess(many).mean() == pytest.approx(1, abs=0.05)


def test_one_direction_counts_no_more_than_three_deviations():
    found = gaussian(np.random.default_rng(0).normal(0, 1, (1000, 4)))
    far = found.mean + np.array([1e6, 0, 0, 0])
    assert found.excess(far[None])[0] <= 9


def test_auroc_equals_the_share_of_pairs():
    rng = np.random.default_rng(0)
    inside, outside = rng.integers(0, 5, 30), rng.integers(1, 7, 20)
    pairs = [(o > i) + (o == i) / 2 for i in inside for o in outside]
    assert auroc(inside, outside) == pytest.approx(np.mean(pairs))
    with pytest.raises(ModelError):
        auroc(np.array([]), outside)


def test_it_is_saved_and_loaded_and_equal_to_the_byte(density, tmp_path):
    first = density.save(tmp_path / "a.safetensors").read_bytes()
    again = load_density(tmp_path / "a.safetensors", density.model)
    assert again.save(tmp_path / "b.safetensors").read_bytes() == first
    image = Stripes(1)[0]["image"]
    assert again.score(image) == density.score(image)
    assert again.threshold == density.threshold


def test_it_is_kept_in_float32_and_one_in_float64_is_read_as_well(density, tmp_path):
    path = density.save(tmp_path / "d.safetensors")
    with safe_open(path, framework="pt") as file:
        kept, told = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118 - not a mapping
    assert {values.dtype for values in kept.values()} == {torch.float32}
    save_file({name: values.double() for name, values in kept.items()}, path, told)
    image = Stripes(1)[0]["image"]
    assert load_density(path, density.model).score(image) == density.score(image)


def test_a_damaged_file_a_foreign_one_and_one_of_another_model_are_clear_errors(density, tmp_path):
    path = tmp_path / "d.safetensors"
    with pytest.raises(ModelError, match="cannot be read"):
        load_density(path, density.model)
    path.write_bytes(b"\x80\x04pickle")
    with pytest.raises(ModelError, match="cannot be read"):
        load_density(path, density.model)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="not a density"):
        load_density(path, density.model)
    density.save(path)
    from mage.learning import SiameseDamageNet

    with pytest.raises(ModelError, match="another model"):
        load_density(path, SiameseDamageNet(2))


def test_images_of_other_bands_and_too_few_tiles_are_clear_errors(density):
    with pytest.raises(ModelError, match="bands"):
        density.score(torch.zeros(1, 32, 32))
    with pytest.raises(ModelError, match="few tiles"):
        fit_density(ToyNet(), Stripes(3))
    with pytest.raises(ModelError, match="false alarms"):
        fit_density(ToyNet(), Stripes(9), false_alarm=1.0)
    with pytest.raises(ModelError, match="not finite"):
        describe(density.model, torch.full((3, 16, 16), np.nan))


def test_evaluation_says_how_many_tiles_are_unlike_the_training(short_run, drawn, tmp_path):
    run = open_run(shutil.copytree(short_run.path, tmp_path / "run"))
    dataset = ShardDataset(drawn)
    fit_density(run.model("cpu"), dataset, dataset).save(run.beside(".density.safetensors"))
    assert not any("unlike" in warning for warning in evaluate(run, dataset, device="cpu").warnings)
    hazy = ShardDataset(drawn, transform=lambda s: s | {"image": s["image"] // 4 + 190})
    assert any("6 of 6 tiles are unlike the training" in w for w in evaluate(run, hazy, device="cpu").warnings)
