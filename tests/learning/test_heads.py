"""Further heads learn from labels that may be missing, in closed forms; and from shards, turned as the images are."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from toys import plain

from mage.learning import (
    DACS,
    DANN,
    Batch,
    CorrMatch,
    SegmentationNet,
    ShardDataset,
    SiameseDamageNet,
    SingleImage,
    Supervised,
    fit,
    maps_of,
)
from mage.learning.augmentation import dihedral
from mage.learning.heads import Prediction
from mage.learning.losses import IGNORE, flood_loss, further_losses, height_loss, road_loss
from mage.learning.names import Head
from mage.scenes.errors import DatasetError, ModelError

ALL = tuple(Head)
LABELS = ("post_flood", "pre_height", "post_height", "post_road", "post_blocked")


def test_height_is_the_smooth_distance_of_logarithms():
    labels = torch.tensor([[600, 0, -1]]).view(1, 1, 1, 3).expand(1, 2, 1, 3)
    right = torch.tensor([math.log(7), 0.0, 9.0]).view(1, 1, 1, 3).expand(1, 2, 1, 3)
    assert height_loss(right, labels).item() == pytest.approx(0, abs=1e-12)
    off = right + torch.tensor([0.5, 2.0, 7.0])
    assert height_loss(off, labels).item() == pytest.approx((0.5**2 / 2 + (2 - 0.5)) / 2)
    assert maps_of(Prediction(torch.zeros(1, 1, 1, 3), torch.zeros(1, 4, 1, 3), height=right))["height"][
        0, 0, 0, 0
    ].item() == pytest.approx(6, abs=1e-5)


def test_roads_are_none_open_or_blocked():
    labels = torch.tensor([[[[0, 4, 7, 4, -1]], [[0, 0, 1, -1, 0]]]])
    states = torch.tensor([0, 1, 2])
    right = torch.full((1, 3, 1, 5), -30.0)
    right[0, states, 0, states] = 30
    assert road_loss(right, labels).item() == pytest.approx(0, abs=1e-9)
    assert road_loss(torch.zeros(1, 3, 1, 5), labels).item() == pytest.approx(math.log(3))


def test_water_anywhere_counts_and_missing_labels_do_not():
    labels = torch.tensor([[[[0, 1, 250, -1]]]])
    certain = torch.tensor([[[[-40.0, 40, 40, 40]]]])
    assert flood_loss(certain, labels).item() == pytest.approx(0, abs=1e-6)
    assert flood_loss(-certain, labels).item() > 30


@pytest.mark.parametrize(("loss", "channels", "planes"), [(flood_loss, 1, 1), (height_loss, 2, 2), (road_loss, 3, 2)])
def test_where_all_is_missing_the_loss_and_its_gradient_are_0(loss, channels, planes):
    logits = torch.randn(2, channels, 4, 4, requires_grad=True)
    found = loss(logits, torch.full((2, planes, 4, 4), -1))
    found.backward()
    assert found.item() == pytest.approx(0, abs=1e-6)
    assert not logits.grad.abs().sum()


def test_pixels_outside_the_tile_count_for_no_head():
    prediction = SiameseDamageNet(2, heads=ALL)(torch.rand(1, 2, 3, 16, 16))
    truth = torch.ones(1, 6, 16, 16, dtype=torch.int32)
    truth[:, 0, :, 8:] = IGNORE
    before = further_losses(prediction, truth)
    truth[:, 1:, :, 8:] = 77
    after = further_losses(prediction, truth)
    assert set(before) == {"flood", "height", "road"}
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_labels_turn_with_the_images():
    image = torch.rand(8, 1, 3, 6, 6)
    mask = (image[:, 0] * 1000).int()
    turned, labels = dihedral(image, mask, np.random.default_rng(0))
    assert torch.equal((turned[:, 0] * 1000).int(), labels)
    assert not torch.equal(image, turned)


def tiles(drawn, labels=LABELS):
    dataset = ShardDataset(drawn, size=16, labels=labels)
    samples = [dataset[i] for i in range(2)]
    return {name: torch.stack([s[name] for s in samples]) for name in ("image", "mask", *labels)}


def test_a_stream_without_a_label_leaves_it_to_the_other(drawn):
    labelled, bare = tiles(drawn), tiles(drawn, ())
    _, mask = Batch(np.random.default_rng(0), source=labelled, target=bare).labelled(LABELS)
    assert mask.shape == (4, 6, 16, 16)
    assert torch.equal(mask[:2, 2], labelled["pre_height"])
    assert (mask[2:, 1:] == -1).all()
    assert torch.equal(mask[:, 0], torch.cat([labelled["mask"], bare["mask"]]).int())


def test_labels_that_no_stream_has_or_that_are_no_integers_are_named(drawn):
    method = Supervised(SiameseDamageNet(2, heads=("flood",)))
    with pytest.raises(ModelError, match="post_flood"):
        method.losses(Batch(np.random.default_rng(0), source=tiles(drawn, ())))
    odd = tiles(drawn) | {"post_flood": torch.rand(2, 16, 16)}
    with pytest.raises(ModelError, match="integers"):
        method.losses(Batch(np.random.default_rng(0), source=odd))
    prediction = SiameseDamageNet(2, heads=("flood", "road"))(torch.rand(1, 2, 3, 16, 16))
    with pytest.raises(ModelError, match="post_blocked"):
        further_losses(prediction, torch.zeros(1, 2, 16, 16).int())


@pytest.mark.parametrize("kind", [Supervised, DANN, DACS, CorrMatch])
def test_methods_train_all_heads(kind, drawn):
    method = kind(SiameseDamageNet(2, heads=ALL))
    assert method.wants == LABELS
    batch = Batch(np.random.default_rng(0), source=tiles(drawn), unlabelled=tiles(drawn, ()), progress=0.5)
    losses = method.losses(batch)
    assert {"localisation", "damage", "flood", "height", "road"} <= losses.keys()
    sum(losses.values()).backward()
    for head in method.model.further.values():
        assert head.weight.grad.abs().sum() > 0


def test_heads_learn_what_their_labels_say(drawn):
    method, batch = Supervised(SiameseDamageNet(4, heads=ALL), augment=plain), tiles(drawn)
    optimizer, log = torch.optim.Adam(method.parameters(), lr=0.02), []
    for step in range(15):
        losses = method.losses(Batch(np.random.default_rng(step), source=batch))
        log.append({name: loss.item() for name, loss in losses.items()})
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    for name in ("flood", "height", "road"):
        assert log[-1][name] < 0.7 * log[0][name]


def test_a_run_of_a_network_with_heads_is_fed_and_rebuilt(drawn, tmp_path):
    method = Supervised(SiameseDamageNet(2, heads=ALL))
    tiles = ShardDataset(drawn, size=16, labels=LABELS)
    run = fit(method, tiles, out=tmp_path / "run", steps=2, batch=2, device="cpu")
    assert {"flood", "height", "road"} <= run.log()[0].keys()
    assert run.record.model.heads == ALL
    assert run.model("cpu").map(*np.zeros((2, 8, 8, 3), np.uint8)).keys() == {"classes", "flood", "height", "road"}


def test_one_date_of_shards_trains_a_network_for_one_image(drawn, tmp_path):
    one = SingleImage("post", "post_building", presence=True)
    dataset = ShardDataset(drawn, size=32, labels=("post_building",), transform=one)
    pair = ShardDataset(drawn, size=32)[0]
    assert torch.equal(dataset[0]["image"], pair["image"][1])
    assert torch.equal(dataset[0]["mask"], (pair["mask"] > 0).int())
    out = tmp_path / "run"
    run = fit(Supervised(SegmentationNet(2, 2)), dataset, out=out, steps=2, batch=2, device="cpu")
    assert run.model("cpu").predict(np.zeros((9, 9, 3), np.uint8))[0].shape == (9, 9)
    edge = ShardDataset(drawn, size=80, labels=("post_building",), transform=one)[0]["mask"]
    assert (edge[64:] == IGNORE).all()
    with pytest.raises(DatasetError, match="post_road"):
        SingleImage("post", "post_road")(pair)
