"""Semi-supervision: each method computes what its paper's equation says."""

from __future__ import annotations

import math
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from toys import CLASSES, SIDE, Fixed, ToyNet, batch, plain, stream

from mage.learning import (
    CorrMatch,
    FixMatch,
    MeanTeacher,
    UniMatch,
    UniMatchV2,
    log_probabilities,
    pseudo_labels,
)
from mage.learning.semi import corr_match, fix_match, mean_teacher, uni_match, uni_match_v2
from mage.learning.semi.corr_match import spread_regions
from mage.learning.semi.uni_match_v2 import complementary
from mage.learning.views import boxes, channel_masks, cut_mix
from mage.scenes.errors import ModelError

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "learning.py"


@pytest.fixture(autouse=True)
def _strong_views_are_the_weak_ones(monkeypatch):
    for module in (corr_match, fix_match, mean_teacher, uni_match, uni_match_v2):
        monkeypatch.setattr(module, "strong", lambda image, rng, strength=2.0: image)


def logits(seed=0, n=2, scale=3.0):
    return torch.randn(n, CLASSES, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) * scale


def both(seed=0, progress=0.5):
    return batch(seed=seed, progress=progress, target=stream(2), unlabelled=stream(2, 0.3))


def sure_entropy(scores, label, sure):
    return (F.cross_entropy(scores, label, reduction="none") * sure).mean()


def test_cut_mix_takes_one_box_of_the_next_image_in_all_tensors():
    image, label = torch.rand(3, 2, 3, 8, 8), torch.arange(3).view(3, 1, 1).expand(3, 8, 8)
    mixed, labels = cut_mix(np.random.default_rng(1), image, label)
    box = boxes(3, (8, 8), np.random.default_rng(1))
    assert torch.equal(labels, torch.where(box, label.roll(-1, 0), label))
    assert torch.equal(mixed, torch.where(box[:, None, None], image.roll(-1, 0), image))


def test_mean_teacher_is_the_squared_difference_of_probabilities():
    method = MeanTeacher(Fixed(logits()), consistency=3.0, ramp=0.5, augment=plain)
    with torch.no_grad():
        method.model.logits.copy_(logits(1))
    found = method.losses(both(progress=0.25))
    difference = (logits(1).softmax(1) - logits(0).softmax(1)).square().mean()
    assert torch.allclose(found["consistency"], 3 * math.exp(-5 * 0.25) * difference, atol=1e-6)
    assert torch.allclose(found["segmentation"], F.cross_entropy(logits(1), both().target["mask"]))
    found["consistency"].backward()
    assert method.teacher.model.logits.grad is None


def test_the_weight_of_mean_teacher_grows_and_stays():
    method = MeanTeacher(Fixed(logits()), consistency=2.0, ramp=0.5)
    weights = [method.weight(p / 10) for p in range(11)]
    assert weights[0] == pytest.approx(2 * math.exp(-5))
    assert weights[:6] == sorted(weights[:6])
    assert set(weights[5:]) == {2.0}
    assert MeanTeacher(Fixed(logits()), ramp=0.0).weight(0) == 1


def test_fix_match_learns_what_it_is_sure_of_over_all_pixels():
    method = FixMatch(Fixed(logits()), threshold=0.9, unlabelled=2.0, augment=plain)
    found = method.losses(both())
    label, confidence = pseudo_labels(log_probabilities(logits()))
    assert 0.1 < (confidence >= 0.9).float().mean() < 0.9
    assert torch.allclose(found["unlabelled"], 2 * sure_entropy(logits(), label, confidence >= 0.9), atol=1e-6)


def test_pseudo_labels_take_no_gradient():
    scores = logits().requires_grad_()
    assert not any(t.requires_grad for t in pseudo_labels(log_probabilities(scores)))


@pytest.mark.parametrize("kind", [MeanTeacher, FixMatch, UniMatch, UniMatchV2, CorrMatch])
def test_pixels_that_are_not_sure_teach_nothing(kind):
    method = kind(ToyNet(), augment=plain)
    with torch.no_grad():
        for p in method.model.head.parameters():
            p.zero_()
    if hasattr(method, "teacher"):
        method.teacher.model.load_state_dict(method.model.state_dict())
    found = method.losses(both())
    rest = {name: loss for name, loss in found.items() if name not in ("segmentation", "spread")}
    assert rest
    assert all(loss.abs() < 1e-12 for loss in rest.values())


def test_uni_match_weighs_two_strong_views_and_dropped_features():
    method = UniMatch(ToyNet(), threshold=0.36, features=0.4, images=0.6, augment=plain).eval()
    found = method.losses(both(seed=3))
    net, rng = method.model, np.random.default_rng(3)
    weak = both().image("unlabelled")
    features = net.features(weak)
    scores = net.decode(features, (SIDE, SIDE))
    label, confidence = pseudo_labels(log_probabilities(scores))
    sure = confidence >= 0.36
    assert 0 < sure.float().mean() < 1
    kept = [f * m for f, m in zip(features, channel_masks(features, rng), strict=True)]
    assert torch.allclose(found["features"], 0.4 * sure_entropy(net.decode(kept, (SIDE, SIDE)), label, sure) / 2)
    seen = 0
    for _ in range(2):
        view, wanted, known = cut_mix(rng, weak, label, sure)
        seen = seen + sure_entropy(net(view), wanted, known)
    assert torch.allclose(found["images"], 0.6 / 2 * seen / 2, atol=1e-6)
    expected = F.cross_entropy(net(both().target["image"]), both().target["mask"]) / 2
    assert torch.allclose(found["segmentation"], expected, atol=1e-6)


def test_dropped_channels_keep_the_mean():
    masks = channel_masks([torch.ones(50, 64, 2, 2)], np.random.default_rng(0), drop=0.25)[0]
    assert masks.shape == (50, 64, 1, 1)
    assert masks.unique().tolist() == pytest.approx([0, 4 / 3])
    assert masks.mean().item() == pytest.approx(1, abs=0.02)


def test_complementary_channels_sum_to_two_and_half_the_images_keep_all():
    features = [torch.ones(10, 32, 2, 2), torch.ones(10, 64, 1, 1)]
    for mask in complementary(features, np.random.default_rng(0)):
        first, second = mask.chunk(2)
        assert torch.equal(first + second, torch.full_like(first, 2.0))
        whole = (first == 1).flatten(1).all(1)
        assert whole.sum() == 2  # half of 5, rounded down
        assert set(first[~whole].unique().tolist()) == {0.0, 2.0}


def test_the_images_that_keep_all_channels_do_so_at_every_scale():
    features = [torch.ones(8, 32, 2, 2), torch.ones(8, 64, 1, 1)]
    masks = complementary(features, np.random.default_rng(1))
    whole = [(mask == 1).flatten(1).all(1) for mask in masks]
    assert torch.equal(*whole)


def test_uni_match_v2_learns_from_its_teacher():
    method = UniMatchV2(ToyNet(), threshold=0.36, augment=plain).eval()
    with torch.no_grad():
        method.model.head.bias.add_(torch.tensor([0.5, 0, -0.5]))
    found = method.losses(both(seed=3))
    net, rng, weak = method.model, np.random.default_rng(3), both().image("unlabelled")
    label, confidence = pseudo_labels(log_probabilities(method.teacher(weak)))
    views = [cut_mix(rng, weak, label, confidence >= 0.36) for _ in range(2)]
    features = net.features(torch.cat([view[0] for view in views]))
    kept = [f * m for f, m in zip(features, complementary(features, rng), strict=True)]
    scores = net.decode(kept, (SIDE, SIDE)).chunk(2)
    seen = [sure_entropy(s, view[1], view[2]) for s, view in zip(scores, views, strict=True)]
    assert torch.allclose(found["unlabelled"], sum(seen) / 2 / 2, atol=1e-6)


# CorrMatch


def test_correlation_spreads_logits_to_where_features_are_alike():
    method = CorrMatch(ToyNet(), augment=plain).eval()
    image = both().image("unlabelled")
    features, output, seen = method._see(image)
    one, other = (f(features[-1]).flatten(2) for f in (method.f1, method.f2))
    places = one.shape[2]
    correlation = torch.stack(
        [
            torch.softmax(torch.stack([(one[n, :, i] * other[n, :, j]).sum() for j in range(places)]) / CLASSES**0.5, 0)
            for n in range(2)
            for i in (0, places - 1)
        ]
    ).view(2, 2, places)
    assert torch.allclose(seen.correlation[:, [0, -1]], correlation, atol=1e-5)
    coarse = F.interpolate(log_probabilities(output), (8, 8), mode="bilinear").flatten(2)
    z = torch.einsum("nij,ncj->nci", seen.correlation, coarse).unflatten(2, (8, 8))
    z = F.interpolate(z, (SIDE, SIDE), mode="bilinear").softmax(1)
    assert torch.allclose(seen.spread.exp(), z, atol=1e-5)


def test_correlation_does_not_reach_back_into_the_logits_that_it_spreads():
    method = CorrMatch(ToyNet(), augment=plain)
    method._see(both().image("unlabelled"))[2].spread.mean().backward()
    assert method.model.head.weight.grad is None
    assert method.f1.weight.grad.abs().sum() > 0


def test_the_threshold_follows_the_highest_confidence_of_each_class_predicted():
    method = CorrMatch(ToyNet(), momentum=0.9)
    label = torch.tensor([[[0, 0], [2, 2]]])
    confidence = torch.tensor([[[0.9, 0.5], [0.6, 0.7]]])
    method._follow(label, confidence)
    assert method.sure_from.item() == pytest.approx(0.9 * 0.85 + 0.1 * (0.9 + 0.7) / 2)


def test_regions_that_are_sure_and_agree_become_so_as_a_whole():
    plainly = runpy.run_path(str(BENCHMARK))["region_loop"]  # the definition, region after region
    rng = np.random.default_rng(0)
    changed = 0
    for _ in range(30):
        label = torch.from_numpy(rng.integers(0, 3, (2, 6, 6)).clip(0, 2) * (rng.random((2, 6, 6)) < 0.3))
        sure = torch.from_numpy(rng.random((2, 6, 6)) < 0.8)
        regions = torch.from_numpy(rng.random((2, 5, 6, 6)) < 0.3)
        wide, taken = spread_regions(label, sure, regions, torch.tensor(0.6), 3)
        expected = plainly(label, sure, regions, 0.6)
        assert torch.equal(wide, expected[0])
        assert torch.equal(taken, expected[1])
        changed += int((wide != label).sum())
    assert changed > 50


def test_empty_regions_and_unsure_ones_change_nothing():
    label, sure = torch.ones(1, 4, 4).long(), torch.zeros(1, 4, 4, dtype=torch.bool)
    regions = torch.stack([torch.zeros(4, 4), torch.ones(4, 4)]).bool()[None]
    wide, taken = spread_regions(label, sure, regions, torch.tensor(0.5), 3)
    assert torch.equal(wide, label)
    assert not taken.any()


def test_corr_match_is_the_weighed_sum_of_its_parts():
    method = CorrMatch(ToyNet(), threshold=0.36, momentum=1.0, augment=plain).eval()
    found = method.losses(both(seed=5))
    target, weak, rng = both().target, both().image("unlabelled"), np.random.default_rng(5)
    _, output, seen = method._see(target["image"])
    assert torch.allclose(found["segmentation"], F.cross_entropy(output, target["mask"]) / 4, atol=1e-6)
    assert torch.allclose(found["spread"], F.nll_loss(seen.spread, target["mask"]) / 4, atol=1e-6)
    features, output, seen = method._see(weak)
    label, confidence = pseudo_labels(log_probabilities(output))
    sure = confidence >= 0.36
    assert 0 < sure.float().mean() < 1
    regions = method._regions(seen, (SIDE, SIDE), rng)
    wide, taken = spread_regions(label, sure, regions, torch.tensor(0.36), CLASSES)
    view, wide, taken, known, wanted = cut_mix(rng, weak, wide, taken, sure, seen.log_p)
    strong = method._see(view)[2]
    assert torch.allclose(found["hard"], sure_entropy(strong.log_p, wide, taken) / 8, atol=1e-6)
    divergence = F.kl_div(strong.log_p, wanted.exp(), reduction="none").sum(1)
    assert torch.allclose(found["soft"], (divergence * known).mean() / 8, atol=1e-6)
    spread = (sure_entropy(strong.spread, wide, taken) + sure_entropy(seen.spread, label, sure)) / 2
    assert torch.allclose(found["correlation"], spread / 8, atol=1e-6)
    kept = [f * m for f, m in zip(features, channel_masks(features, rng), strict=True)]
    dropped = sure_entropy(method.model.decode(kept, (SIDE, SIDE)), label, sure)
    assert torch.allclose(found["features"], dropped / 8, atol=1e-6)


def test_regions_are_where_the_correlation_with_a_place_is_high():
    method = CorrMatch(ToyNet(), regions=7)
    seen = method._see(both().image("unlabelled"))[2]
    regions = method._regions(seen, (8, 8), np.random.default_rng(2))
    drawn = np.random.default_rng(2).permutation(64)[:7]
    rows = seen.correlation[:, torch.from_numpy(drawn)]
    scaled = (rows - rows.amin(2, keepdim=True)) / (rows.amax(2, keepdim=True) - rows.amin(2, keepdim=True))
    assert torch.equal(regions, (scaled > 0.5).view(2, 7, 8, 8))


@pytest.mark.parametrize("kind", [UniMatch, UniMatchV2, CorrMatch])
def test_models_without_features_are_refused(kind):
    with pytest.raises(ModelError, match=r"features|classes"):
        kind(nn.Conv2d(3, 3, 1))
