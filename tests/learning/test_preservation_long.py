"""Translators keep the damage: a model that has learned maps places alike before and after."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mage.learning import (
    CUT,
    ColorMapGAN,
    ColourMap,
    Flow,
    FlowMatching,
    FourierStyle,
    HistogramMatching,
    LinearColour,
    NetworkTranslator,
    Painter,
    ShardDataset,
    SiameseDamageNet,
    Supervised,
    damage_preservation,
    evaluate,
    fit,
)

pytestmark = pytest.mark.long


class Hazy(torch.utils.data.Dataset):
    """The drawn tiles, mirrored, through another sensor: less contrast under a brighter and bluer veil."""

    def __init__(self, root, size=None):
        self.tiles = ShardDataset(root, size=size)

    def __len__(self):
        return len(self.tiles)

    def __getitem__(self, index):
        image = self.tiles[index]["image"].float().flip(-1) * 0.8 + torch.tensor([30.0, 32, 40])[:, None, None]
        return {"image": image.round().clamp(0, 255).byte()}


@pytest.fixture(scope="module")
def learned(drawn, tmp_path_factory):
    """A model that has learned the drawn tiles."""
    out, model = tmp_path_factory.mktemp("learned") / "run", SiameseDamageNet(8)
    run = fit(Supervised(model), ShardDataset(drawn, size=32), out=out, steps=250, batch=4, lr=4e-3, device="cpu")
    assert evaluate(run, ShardDataset(drawn), device="cpu").figures["building_iou"] > 0.7
    return model.eval()


@pytest.mark.parametrize("kind", [HistogramMatching, LinearColour, FourierStyle])
def test_translators_by_statistics_keep_the_damage(drawn, learned, kind):
    hazy = Hazy(drawn)
    translator = kind().fit(hazy[index] for index in range(len(hazy)))
    assert damage_preservation(learned, ShardDataset(drawn), translator) >= 0.95


@pytest.mark.parametrize(
    ("method", "lr"),
    [
        (ColorMapGAN(ColourMap(), width=8), 2e-3),
        (FlowMatching(Flow(width=8)), 2e-3),
        (CUT(Painter(width=4, blocks=1), width=8, hidden=32, patches=64, rate=10.0), 2e-4),
    ],
)
def test_translators_that_were_trained_keep_the_damage_and_reach_the_style(drawn, learned, method, lr, tmp_path):
    hazy, tiles = Hazy(drawn, 32), ShardDataset(drawn, size=32)
    fit(method, tiles, unlabelled=hazy, out=tmp_path / "run", steps=150, batch=4, lr=lr, device="cpu")
    translator = NetworkTranslator(method.model)
    goal, before = (
        np.mean([d[i]["image"].float().mean((0, 2, 3)).numpy() for i in range(6)], 0) for d in (hazy, tiles)
    )
    after = np.mean([translator.transform(tiles[i]["image"]).mean((0, 2, 3)) for i in range(6)], 0)
    assert np.abs(after - goal).mean() < 0.7 * np.abs(before - goal).mean()
    assert damage_preservation(learned, ShardDataset(drawn), translator) >= 0.95
