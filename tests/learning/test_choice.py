"""Choosing without labels: what the validators reward, and that they see no label."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toys import Fixed, Stripes

from mage.learning import choose, mixed_consistency, neighbourhood_density
from mage.learning.choice import NEIGHBOURS, soft_entropy
from mage.scenes.errors import ModelError


class ByGrey(torch.nn.Module):
    """Tells the three greys of the stripes apart, at thresholds that may lie off the middle."""

    classes = 3

    def __init__(self, off=0.0, sharpness=40.0):
        super().__init__()
        self.off, self.sharpness = off, torch.nn.Parameter(torch.tensor(sharpness))

    def forward(self, image):
        centres = torch.tensor([0.05, 0.3, 0.55]).view(1, 3, 1, 1) + self.off
        return -self.sharpness * (image.mean(1, keepdim=True) - centres).abs()


def rng():
    return np.random.default_rng(0)


def test_the_soft_entropy_is_that_of_equation_3():
    vectors = np.random.default_rng(1).random((6, 3))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    entropies = []
    for i in range(6):
        p = np.array([np.exp(unit[i] @ unit[j] / 0.05) for j in range(6) if j != i])
        p /= p.sum()
        entropies.append(-(p * np.log(p)).sum())
    assert soft_entropy(torch.from_numpy(vectors)) == pytest.approx(np.mean(entropies))


def test_tight_groups_are_denser_than_classes_cut_through_their_middle():
    tiles = Stripes(4)
    assert neighbourhood_density(ByGrey(), tiles, rng()) > neighbourhood_density(ByGrey(0.125), tiles, rng())


def test_a_model_that_maps_everything_alike_reaches_the_greatest_density_there_is():
    score = neighbourhood_density(Fixed(torch.zeros(1, 3, 32, 32)), Stripes(2, side=32), rng())
    assert score == pytest.approx(np.log(NEIGHBOURS - 1))


def test_boundaries_in_the_middle_are_more_consistent_than_those_beside_it():
    tiles = Stripes(6)
    scores = [mixed_consistency(ByGrey(off), tiles, rng()) for off in (0.0, 0.08)]
    assert scores[0] > scores[1]


def test_a_model_that_maps_everything_alike_gets_a_half():
    class Constant(ByGrey):
        def forward(self, image):
            return torch.stack([image[:, 0] * 0 + 1, image[:, 0] * 0, image[:, 0] * 0], 1)

    assert mixed_consistency(Constant(), Stripes(3), rng()) == 0.5


class NoLabels(Stripes):
    """Stripes without their masks."""

    def __getitem__(self, index):
        return {"image": super().__getitem__(index)["image"]}


def test_the_choice_names_last_validators_and_oracle_and_leaves_models_as_they_were():
    models = [ByGrey(0.1), ByGrey(0.0), ByGrey(0.2, 2.0)]
    for model in models:
        model.train()
    found = choose(models, NoLabels(4), rng(), oracle=lambda model: -model.off)
    assert found.chosen["last"] == 2
    assert found.chosen["oracle"] == 1
    assert found.chosen["mixed consistency"] in (0, 1)
    assert all(model.training for model in models)
    assert found == choose(models, NoLabels(4), rng(), oracle=lambda model: -model.off)
    assert found.table().count("*") == 4


def test_runs_are_opened_by_their_folders(short_run, drawn):
    from mage.learning import ShardDataset

    found = choose([short_run.path, short_run], ShardDataset(drawn, size=32), rng(), device="cpu")
    scores = found.scores["neighbourhood density"]
    assert scores[0] == scores[1]
    assert "oracle" not in found.scores


def test_what_cannot_be_compared_is_one_clear_error():
    with pytest.raises(ModelError, match="choose from"):
        choose([], Stripes(2), rng())
    with pytest.raises(ModelError, match="empty"):
        neighbourhood_density(ByGrey(), [], rng())
    with pytest.raises(ModelError, match="few pixels"):
        neighbourhood_density(ByGrey(), [{"image": torch.zeros(3, 1, 2)}], rng())
    with pytest.raises(ModelError, match="mixed"):
        mixed_consistency(ByGrey(), Stripes(1), rng())
    with pytest.raises(ModelError, match="share"):
        mixed_consistency(ByGrey(), Stripes(2), rng(), share=0.5)
