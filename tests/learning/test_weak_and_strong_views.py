"""Strong views and mixtures: what is drawn is what the papers say, image by image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mage.learning.views import blur, boxes, class_mask, mix, strong
from mage.scenes.errors import ModelError


def rng(seed=0):
    return np.random.default_rng(seed)


def test_class_mix_cuts_half_the_classes_of_each_image_by_itself():
    label = torch.stack(
        [torch.arange(16).view(4, 4) // 4, torch.full((4, 4), 2), torch.tensor([0, 1, 3, 255]).expand(4, 4)]
    )
    drawn = set()
    for seed in range(40):
        cut = class_mask(label, 4, rng(seed))
        kept = [set(label[i][cut[i]].tolist()) for i in range(3)]
        for image, classes in enumerate(kept):
            assert not classes & set(label[image][~cut[image]].tolist())  # a class is cut whole
        assert [len(classes) for classes in kept] == [2, 1, 2]
        assert 255 not in kept[2]
        drawn.add((frozenset(kept[0]), frozenset(kept[2])))
    assert {pair[0] for pair in drawn} == {frozenset(c) for c in ({0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3})}
    assert len(drawn) > 10  # images are drawn apart


def test_class_mix_equals_a_plain_loop():
    label = torch.from_numpy(rng(1).integers(0, 6, (5, 8, 8)))
    label[label == 5] = 255
    cut = class_mask(label, 5, rng(2))
    order = rng(2).random((5, 5))
    for image, scores in zip(range(5), order, strict=True):
        classes = [c for c in range(5) if (label[image] == c).any()]
        chosen = sorted(classes, key=lambda c, scores=scores: scores[c])[: (len(classes) + 1) // 2]
        assert torch.equal(cut[image], torch.isin(label[image], torch.tensor(chosen)))


def test_an_image_without_labels_is_not_cut():
    assert not class_mask(torch.full((2, 3, 3), 255), 4, rng()).any()


def test_boxes_are_rectangles_of_the_stated_share():
    found = boxes(200, (40, 50), rng())
    for box in found:
        rows, columns = box.any(1).sum(), box.any(0).sum()
        assert box.sum() == rows * columns
    shares = found.float().mean((1, 2))
    assert shares.min() > 0.015
    assert shares.max() < 0.42
    assert boxes(3, (1, 1), rng()).all()


def test_mixing_takes_one_where_the_mask_is_and_the_other_elsewhere():
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[1, 0] = True
    one, other = torch.ones(2, 2, 3, 4, 4), torch.zeros(2, 2, 3, 4, 4)
    mixed = mix(mask, one, other)
    assert mixed.sum() == 2 * 3 * 4
    assert (mixed[1, :, :, 0] == 1).all()
    with pytest.raises(ModelError, match="differ in shape"):
        mix(mask, one, other[..., :2])


def test_blur_is_the_gaussian_of_each_image_and_nought_changes_nothing():
    image = torch.zeros(2, 2, 1, 15, 15)
    image[..., 7, 7] = 1
    sigma = torch.tensor([[0.0, 1.0], [1.5, 0.0]])
    found = blur(image, sigma)
    assert torch.equal(found[0, 0], image[0, 0])
    assert torch.equal(found[1, 1], image[1, 1])
    steps = torch.arange(15) - 7.0
    kernel = torch.exp(-(steps**2) / 2) * (steps.abs() <= 5)
    kernel = kernel / kernel.sum()
    assert torch.allclose(found[0, 1, 0], kernel[:, None] * kernel, atol=1e-6)
    assert torch.allclose(blur(torch.full((1, 1, 3, 1, 1), 0.3), torch.tensor([[2.0]])), torch.tensor(0.3))


def test_strong_views_stay_in_range_differ_and_follow_the_generator():
    image = torch.from_numpy(rng().random((4, 2, 3, 12, 12), np.float32))
    one, same, other = (strong(image, rng(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.min() >= 0
    assert one.max() <= 1
    assert strong(image[:, 0], rng()).shape == (4, 3, 12, 12)
    grey = [(view[:, :, :1] == view).all() for view in (strong(image, rng(s)) for s in range(30))]
    assert not all(grey)
