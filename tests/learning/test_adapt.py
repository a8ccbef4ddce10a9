"""Adaptation: each method computes what its paper's equation says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from toys import CLASSES, SIDE, Fixed, Stripes, ToyNet, batch, plain, stream

from mage.learning import (
    ADVENT,
    DACS,
    DANN,
    MIC,
    Batch,
    DAFormer,
    MinEnt,
    RareClasses,
    SiameseDamageNet,
    Supervised,
    Tent,
    adapt_batch_norm,
    class_counts,
    entropy,
    fit,
    log_probabilities,
    pseudo_labels,
)
from mage.learning.adapt import dacs, mic
from mage.learning.adapt.advent import self_information
from mage.learning.adapt.daformer import feature_distance
from mage.learning.adapt.dann import reverse
from mage.learning.adapt.domains import Discriminator, domain_loss
from mage.learning.sampling import Draw
from mage.learning.views import class_mask
from mage.scenes.errors import DatasetError, ModelError

pytestmark = pytest.mark.usefixtures("float32")


def logits(seed=0, n=2, side=SIDE, scale=1.0):
    return torch.randn(n, CLASSES, side, side, generator=torch.Generator().manual_seed(seed)) * scale


# AdaBN


def test_adapted_statistics_are_those_of_all_target_pixels():
    net, tiles = nn.Sequential(nn.BatchNorm2d(3)), Stripes(7, light=0.4)
    weight = net[0].weight.clone()
    adapt_batch_norm(net, tiles, batch=3, device="cpu")  # 3, 3 and 1: batches of unequal size
    pixels = torch.cat([tiles[i]["image"].flatten(1) for i in range(7)], 1).double()
    assert torch.allclose(net[0].running_mean.double(), pixels.mean(1), atol=1e-6)
    assert torch.allclose(net[0].running_var.double(), pixels.var(1), rtol=1e-5)
    assert torch.equal(net[0].weight, weight)
    assert net[0].num_batches_tracked == 0
    assert net.training


def test_adapted_layers_lie_in_the_network_as_it_adapts():
    net = ToyNet().eval()
    tiles = Stripes(4, light=0.4)
    images = torch.stack([tiles[i]["image"] for i in range(4)])
    adapt_batch_norm(net, tiles, batch=4, device="cpu")
    inside = net.encoder[0](images)
    assert torch.allclose(net.encoder[1].running_mean, inside.mean((0, 2, 3)), atol=1e-5)
    assert not net.training


def test_statistics_help_under_a_shift(tmp_path):
    net = ToyNet()
    fit(Supervised(net, augment=plain), Stripes(), out=tmp_path / "run", steps=30, batch=6, lr=0.05, device="cpu")
    shifted = stream(6, light=0.5)
    net.eval()
    before = (net(shifted["image"]).argmax(1) == shifted["mask"]).float().mean()
    adapt_batch_norm(net, Stripes(light=0.5), device="cpu")
    after = (net(shifted["image"]).argmax(1) == shifted["mask"]).float().mean()
    assert after > before + 0.2


def test_models_without_batch_norm_have_nothing_to_adapt():
    with pytest.raises(ModelError, match="no BatchNorm"):
        adapt_batch_norm(SiameseDamageNet(4), Stripes(), device="cpu")


# MinEnt and ADVENT


def test_min_ent_is_the_mean_normalised_entropy():
    scores = logits()
    found = MinEnt(Fixed(scores), entropy=0.5, augment=plain).losses(batch())
    p = scores.softmax(1)
    expected = -(p * p.log()).sum(1) / math.log(CLASSES)
    assert torch.allclose(found["entropy"], 0.5 * expected.mean(), atol=1e-6)
    assert torch.allclose(found["segmentation"], F.cross_entropy(scores, batch().source["mask"]))


def test_entropy_of_sure_pixels_is_nought_and_has_a_finite_gradient():
    scores = (logits() * 1e5).requires_grad_()
    entropy(log_probabilities(scores)).mean().backward()
    assert scores.grad.isfinite().all()


def test_self_information_sums_to_the_normalised_entropy():
    log_p = log_probabilities(logits())
    assert torch.allclose(self_information(log_p).sum(1), entropy(log_p) / math.log(CLASSES), atol=1e-6)


def test_advent_is_the_game_of_its_equations():
    method = ADVENT(Fixed(logits()), CLASSES, adversarial=0.1, width=4, augment=plain)
    found = method.losses(batch())
    maps = self_information(log_probabilities(method.model.logits))
    told = method.discriminator(maps)
    bce = F.binary_cross_entropy_with_logits
    assert torch.allclose(found["adversarial"], 0.1 * bce(told, torch.zeros_like(told)))
    assert torch.allclose(
        found["discriminator"], (bce(told, torch.zeros_like(told)) + bce(told, torch.ones_like(told))) / 2
    )


def test_each_side_of_the_game_moves_its_own_weights_only():
    method = ADVENT(ToyNet(), width=4)
    losses = method.losses(batch())
    losses["adversarial"].backward(retain_graph=True)
    assert all(p.grad is None for p in method.discriminator.parameters())
    assert method.model.head.weight.grad.abs().sum() > 0
    method.zero_grad()
    losses["discriminator"].backward()
    assert all(p.grad is None or not p.grad.any() for p in method.model.parameters())
    assert all(p.grad is not None for p in method.discriminator.parameters())


@pytest.mark.parametrize("side", [(1, 1), (16, 33), (64, 64)])
def test_discriminators_take_images_of_any_size(side):
    assert Discriminator(3, 4)(torch.rand(1, 3, *side)).isfinite().all()


def test_the_number_of_classes_must_be_known():
    with pytest.raises(ModelError, match="classes"):
        ADVENT(nn.Conv2d(3, 3, 1))


# DANN


def test_the_reversed_gradient_is_minus_lambda_times_the_classifiers():
    x = torch.randn(2, 8, 3, 3, requires_grad=True)
    classifier = nn.Conv2d(8, 1, 1)
    domain_loss(classifier(x), 1.0).backward()
    plain_gradient, x.grad = x.grad.clone(), None
    domain_loss(classifier(reverse(x, 0.3)), 1.0).backward()
    assert torch.allclose(x.grad, -0.3 * plain_gradient)
    assert torch.equal(reverse(x, 0.3), x)


def test_dann_tells_domains_by_the_features_and_its_strength_grows():
    method = DANN(ToyNet().eval(), augment=plain)
    both = batch()
    found = method.losses(both)
    features = [method.model.encoder(both.image(name)) for name in ("source", "unlabelled")]
    told = [method.classifier(x) for x in features]
    expected = (domain_loss(told[0], 0.0) + domain_loss(told[1], 1.0)) / 2
    assert torch.allclose(found["domain"], expected)
    assert method.reversal(0) == 0
    assert method.reversal(1) == pytest.approx(2 / (1 + math.exp(-10)) - 1)


def test_models_without_features_are_refused():
    for kind in (DANN, DAFormer, MIC):
        with pytest.raises(ModelError, match="features"):
            kind(nn.Conv2d(3, 3, 1))


# DACS, DAFormer, MIC


def unchanged(image, rng, strength=2.0):
    return image


def test_dacs_learns_the_mixture_by_source_labels_and_weighed_pseudo_labels(monkeypatch):
    monkeypatch.setattr(dacs, "strong", unchanged)
    scores = logits(scale=3)
    method = DACS(Fixed(scores), threshold=0.9, mixed=2.0, augment=plain)
    both = batch(seed=4)
    found = method.losses(both)
    label, confidence = pseudo_labels(log_probabilities(scores))
    share = (confidence > 0.9).float().mean((1, 2))
    assert 0 < share.min() < share.max() < 1
    cut = class_mask(both.source["mask"], CLASSES, np.random.default_rng(4))
    wanted = torch.where(cut, both.source["mask"], label)
    weight = torch.where(cut, 1.0, share[:, None, None])
    expected = (F.cross_entropy(scores, wanted, reduction="none") * weight).mean()
    assert torch.allclose(found["mixed"], 2 * expected, atol=1e-5)
    shown = method.model.seen[-1]
    assert torch.equal(shown, torch.where(cut[:, None], both.image("source"), both.image("unlabelled")))


def test_a_teacher_that_is_not_sure_teaches_nothing_but_what_is_pasted(monkeypatch):
    monkeypatch.setattr(dacs, "strong", unchanged)
    method = DACS(Fixed(torch.zeros(2, CLASSES, SIDE, SIDE)), augment=plain)
    both = batch(seed=4)
    cut = class_mask(both.source["mask"], CLASSES, np.random.default_rng(4))
    assert torch.allclose(method.losses(both)["mixed"], math.log(CLASSES) * cut.float().mean(), atol=1e-6)


def test_ignored_source_pixels_are_never_pasted():
    method = DACS(ToyNet())
    source = stream(2)
    source["mask"] = torch.full_like(source["mask"], 255)
    found = method.losses(batch(source=source, unlabelled=stream(2)))
    assert found["segmentation"] == 0
    assert found["mixed"].isfinite()


def test_the_teacher_follows_after_each_step_only():
    method = DACS(ToyNet(), decay=0.5)
    before = method.teacher.model.head.weight.clone()
    method.losses(batch())
    assert torch.equal(method.teacher.model.head.weight, before)
    for _ in range(3):
        with torch.no_grad():
            method.model.head.weight.add_(1)
        method.after_step()
    # updates copy, then average with a half twice: 1, 1.5, 2.25
    assert torch.allclose(method.teacher.model.head.weight, before + 2.25)


def test_streams_of_other_crops_cannot_be_mixed():
    with pytest.raises(ModelError, match="differ in shape"):
        DACS(ToyNet()).losses(batch(source=stream(2), unlabelled=stream(2, side=8)))


def test_few_labelled_images_are_pasted_in_turn():
    found = DACS(ToyNet()).losses(batch(target=stream(1), unlabelled=stream(3)))
    assert found["mixed"].isfinite()


def test_feature_distance_is_that_of_places_full_of_things():
    features, reference = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    features[0, :, 0, 0], features[0, :, 1, 1] = torch.tensor([3.0, 4.0]), torch.tensor([6.0, 8.0])
    things = torch.zeros(1, 4, 4, dtype=torch.bool)
    things[0, :2, :2] = True
    things[0, 2:, 2:] = torch.tensor([[True, True], [True, False]])  # three quarters: not more than that
    assert feature_distance(features, reference, things, 0.75).item() == pytest.approx(5)
    assert feature_distance(features, reference, things, 0.7).item() == pytest.approx(7.5)
    assert feature_distance(features, reference, things & False, 0.75) == 0


def test_mic_has_the_settings_of_daformer_and_three_more():
    shared, settings = DAFormer(ToyNet()).settings(), MIC(ToyNet()).settings()
    assert settings == shared | {"masked": 1.0, "patch": 16, "hidden": 0.7}


def test_daformer_measures_against_the_model_as_it_was_given():
    net = ToyNet()
    method = DAFormer(net, distance=1.0, augment=plain)
    both = batch(source=stream(2) | {"mask": torch.ones(2, SIDE, SIDE).long()}, unlabelled=stream(2))
    assert method.losses(both)["distance"].item() < 1e-5
    with torch.no_grad():
        net.encoder[1].bias.add_(1)
    method.after_step()
    found = method.losses(both)["distance"]
    expected = (net.encoder(both.image("source")) - method.reference.model.encoder(both.image("source"))).norm(dim=1)
    assert torch.allclose(found, expected.mean())
    method.things = (2,)
    assert method.losses(both)["distance"] == 0


def test_mic_asks_for_the_whole_from_an_image_with_hidden_patches(monkeypatch):
    for module in (dacs, mic):
        monkeypatch.setattr(module, "strong", unchanged)
    method = MIC(ToyNet(), patch=4, hidden=0.5, distance=0.0, masked=3.0, augment=plain)
    image = torch.rand(2, 3, SIDE, SIDE) * 0.5 + 0.5
    label, sure = torch.randint(0, CLASSES, (2, SIDE, SIDE)), torch.tensor([0.25, 0.5])[:, None, None]
    shown = []
    method.model.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    method.eval()
    found = method.target_losses(image, label, sure, batch(seed=7))["masked"]
    expected = (F.cross_entropy(method.model(shown[0]), label, reduction="none") * sure).mean()
    assert torch.allclose(found, 3 * expected)
    grid = (shown[0] != 0).all(1).view(2, 4, 4, 4, 4)
    hidden = ~grid.any(4).any(2)
    assert torch.equal(grid.all(4).all(2), ~hidden)  # patches are hidden whole
    assert torch.equal(~hidden, torch.from_numpy(np.random.default_rng(7).random((2, 4, 4)) >= 0.5))
    with pytest.raises(ModelError, match="patch"):
        MIC(ToyNet(), patch=0)


def test_sides_that_patches_do_not_divide_are_covered():
    found = MIC(ToyNet(), patch=5).losses(batch(source=stream(2, side=13), unlabelled=stream(2, side=13)))
    assert all(loss.isfinite() for loss in found.values())


# Rare class sampling


class Flat(torch.utils.data.Dataset):
    """Images of one class each, but for the last, which holds a strip of class 2; crops say who drew them."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        mask = torch.full((8, 8), int(index) % 2)
        if index == 9:
            start = int(index.rng().integers(8)) if isinstance(index, Draw) else 0
            mask[:start] = 2
        return {"mask": mask, "index": int(index)}


def test_classes_are_drawn_by_their_rarity():
    counts = np.array([[60, 0, 0]] * 5 + [[0, 60, 0]] * 4 + [[0, 30, 30]])
    rare = RareClasses(Flat(), counts, temperature=0.2, pixels=1)
    share = counts.sum(0) / counts.sum()
    expected = np.exp((1 - share) / 0.2) / np.exp((1 - share) / 0.2).sum()
    assert np.allclose(rare.chances, expected)
    drawn = [rare[Draw(i % 10, 0, i // 10)]["index"] for i in range(1000)]
    assert np.mean(np.array(drawn) == 9) == pytest.approx(expected[2] + expected[1] / 5, abs=0.05)


def test_crops_are_tried_until_the_class_is_in_them():
    rare = RareClasses(Flat(), [[0, 0, 0]] * 9 + [[0, 0, 9]], pixels=32)
    held = [int((rare[Draw(i, 0, 0)]["mask"] == 2).sum()) for i in range(10)]
    assert min(held) >= 32
    most = RareClasses(Flat(), [[0, 0, 0]] * 9 + [[0, 0, 9]], pixels=10_000)
    assert min(int((most[Draw(i, 0, 0)]["mask"] == 2).sum()) for i in range(10)) >= 40


def test_draws_repeat_and_plain_indices_are_left_alone():
    rare = RareClasses(Flat(), class_counts(Flat(), 3), pixels=1)
    assert rare[3]["index"] == 3
    assert all(torch.equal(rare[Draw(2, 1, 5)]["mask"], rare[Draw(2, 1, 5)]["mask"]) for _ in range(3))
    assert len({rare[Draw(2, 1, epoch)]["index"] for epoch in range(20)}) > 2


def test_class_counts_leave_out_what_is_ignored_and_refuse_other_classes():
    tiles = [{"mask": torch.tensor([[0, 1], [1, 255]], dtype=torch.uint8)}]
    assert class_counts(tiles, 2).tolist() == [[1, 2]]
    with pytest.raises(DatasetError, match="0-0"):
        class_counts(tiles, 1)
    for counts in ([[1, 2]], [[0]] * 10, [1] * 10):
        with pytest.raises(DatasetError, match="do not fit"):
            RareClasses(Flat(), counts)


# Tent


def test_tent_lowers_the_entropy_by_scale_and_shift_alone(tmp_path):
    net = ToyNet()
    before = {name: t.clone() for name, t in net.state_dict().items()}
    method = Tent(net)
    run = fit(method, unlabelled=Stripes(light=0.3), out=tmp_path / "run", steps=20, batch=6, lr=0.4, device="cpu")
    course = [line["entropy"] for line in run.log()]
    assert course[-1] < 0.8 * course[0]
    moved = {name for name, t in net.state_dict().items() if not torch.equal(t, before[name])}
    assert moved == {f"encoder.1.{n}" for n in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")}


def test_tent_normalises_by_the_batch_and_leaves_dropout_off():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.9), nn.Conv2d(4, 3, 1))
    method = Tent(net).train()
    assert [module.training for module in net] == [False, True, False, False]
    image = stream(2)["image"]
    inside = net[0](image)
    scaled = (inside - inside.mean((0, 2, 3), keepdim=True)) / (
        inside.var((0, 2, 3), False, keepdim=True) + 1e-5
    ).sqrt()
    expected = entropy(log_probabilities(net[3](scaled))).mean()
    found = method.losses(Batch(np.random.default_rng(0), unlabelled={"image": image}))["entropy"]
    assert torch.allclose(found, expected, atol=1e-5)


def test_tent_takes_group_norm_and_refuses_models_without_norms():
    method = Tent(SiameseDamageNet(4))
    assert {p.ndim for p in method.parameters() if p.requires_grad} == {1}
    with pytest.raises(ModelError, match="no normalisation"):
        Tent(nn.Conv2d(3, 3, 1))
