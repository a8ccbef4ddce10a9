"""Augmentation keeps picture and mask together and the light within bounds."""

from __future__ import annotations

import numpy as np
import torch

from mage.learning.augmentation import augment, dihedral, jitter


def pictures(n=64, rows=6, columns=6):
    """Pictures whose first band is their mask."""
    mask = torch.arange(n * rows * columns).reshape(n, rows, columns) % 5
    return (mask[:, None, None] / 10).expand(n, 2, 3, rows, columns).clone(), mask


def test_both_dates_and_the_mask_turn_alike():
    image, mask = dihedral(*pictures(), np.random.default_rng(0))
    assert torch.allclose(image, (mask[:, None, None] / 10).expand_as(image))


def test_all_eight_symmetries_occur_and_pixels_are_only_moved():
    one = torch.arange(36).reshape(1, 6, 6).expand(200, 6, 6)
    _, turned = dihedral(one[:, None, None].float(), one, np.random.default_rng(0))
    assert len({tuple(mask.flatten().tolist()) for mask in turned}) == 8
    assert all(sorted(mask.flatten().tolist()) == list(range(36)) for mask in turned)


def test_oblong_tiles_are_mirrored_but_not_turned():
    image, mask = dihedral(*pictures(rows=4, columns=6), np.random.default_rng(0))
    assert image.shape[-2:] == mask.shape[-2:] == (4, 6)


def test_light_differs_between_dates_and_stays_within_bounds():
    grey = torch.full((50, 2, 3, 2, 2), 0.5)
    bright = jitter(grey, np.random.default_rng(0))
    assert (bright - 0.5).abs().max() <= 0.08 + 1e-6 + 0.5 * 0.25
    assert not torch.allclose(bright[:, 0], bright[:, 1], atol=0.02)
    extremes = jitter(torch.rand(50, 2, 3, 4, 4).round(), np.random.default_rng(1))
    assert 0 <= extremes.min() <= extremes.max() <= 1


def test_no_strength_leaves_the_light_as_it_is():
    image, _ = pictures(4)
    assert torch.equal(jitter(image, np.random.default_rng(0), strength=0), image)


def test_the_same_generator_gives_the_same_batch():
    one, same = (augment(*pictures(), np.random.default_rng(3)) for _ in range(2))
    assert torch.equal(one[0], same[0])
    assert torch.equal(one[1], same[1])
