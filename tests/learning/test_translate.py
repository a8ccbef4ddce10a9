"""Translators by statistics: they do what their equations say, to both dates alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fake_dataset import write_fake_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.learning import (
    FourierStyle,
    HistogramMatching,
    LinearColour,
    ShardDataset,
    SiameseDamageNet,
    Translated,
    damage_preservation,
    preserving,
)
from mage.learning.sampling import Draw
from mage.learning.translate.colour import transport
from mage.learning.translate.preservation import with_strength
from mage.scenes.errors import ModelError

KINDS = (HistogramMatching, LinearColour, lambda: FourierStyle(beta=0.1))


def images(seed, n=3, side=24, low=0, high=256):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(low, high, (n, 2, 3, side // 4, side // 4))
    fine = coarse.repeat(4, -1).repeat(4, -2) + rng.integers(-9, 10, (n, 2, 3, side, side))
    return list(fine.clip(0, 255).astype(np.uint8))


def naive_fda(source, target, beta):
    """The definition, with the full spectrum moved to its middle (H, W)."""
    spectra = [np.fft.fftshift(np.fft.fft2(image.astype(float))) for image in (source, target)]
    amplitude, phase = np.abs(spectra[0]), np.angle(spectra[0])
    height, width = source.shape
    b = int(min(height, width) * beta)
    rows, columns = (slice(side // 2 - b, side // 2 + b + 1) for side in (height, width))
    amplitude[rows, columns] = np.abs(spectra[1])[rows, columns]
    return np.fft.ifft2(np.fft.ifftshift(amplitude * np.exp(1j * phase))).real


@pytest.mark.parametrize("beta", [0.0, 0.05, 0.1, 0.3])
def test_fda_of_one_date_is_the_exchange_of_low_amplitudes(beta):
    source, target = images(0)[0][:1], images(1, low=60, high=160)[0][:1]
    found = FourierStyle(beta).fit([target]).transform(source)
    for band in range(3):
        expected = np.clip(np.rint(naive_fda(source[0, band], target[0, band], beta)), 0, 255)
        assert np.abs(found[0, band] - expected).max() <= 1  # rounding at .5


def test_fda_multiplies_both_dates_by_the_same_factors():
    pair, target = images(0, low=90, high=130)[0], images(1, low=100, high=150)[0]
    style = FourierStyle(0.1).fit([target])
    before, after = np.fft.rfft2(pair.astype(float)), np.fft.rfft2(style.transform(pair).astype(float))
    factors = (after / before)[..., :2, :2]
    assert np.allclose(factors[0], factors[1], atol=0.1)  # bytes are rounded
    assert np.allclose(factors.imag, 0, atol=0.1)


def test_matched_histograms_are_the_targets():
    source, target = images(0, side=48)[0], images(1, side=48, low=90, high=140)[0]
    found = HistogramMatching().fit([target]).transform(source)
    for band in range(3):
        shares = [np.cumsum(np.bincount(x[:, band].ravel(), minlength=256)) / x[:, band].size for x in (found, target)]
        ties = np.bincount(source[:, band].ravel()).max() / source[:, band].size
        assert np.abs(shares[0] - shares[1]).max() <= ties


def test_a_histogram_matched_to_itself_changes_nothing():
    source = images(0)[0]
    assert (HistogramMatching().fit([source]).transform(source) == source).all()


def test_linear_colour_gives_the_targets_mean_and_covariance():
    source, target = images(0, low=60, high=200)[0], images(1, low=100, high=150)[0]
    target[:, 1] = (target[:, 0] // 2 + target[:, 1] // 2).astype(np.uint8)  # bands that depend on each other
    found = LinearColour().fit([target]).transform(source)
    for one, other in zip(*(moments(x) for x in (found, target)), strict=True):
        assert np.allclose(one, other, rtol=0.02, atol=1.0)


def moments(x):
    colours = x.swapaxes(0, 1).reshape(3, -1).astype(float)
    return colours.mean(1), np.cov(colours)


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_transport_between_gaussians_is_the_symmetric_map_that_carries_one_to_the_other(seed):
    rng = np.random.default_rng(seed)
    covariances = [a @ a.T + 0.1 * np.eye(3) for a in rng.normal(size=(2, 3, 3))]
    means = rng.normal(size=(2, 3))
    matrix, offset = transport((means[0], covariances[0]), (means[1], covariances[1]))
    assert np.allclose(matrix, matrix.T)  # the gradient of a convex function: what makes it optimal
    assert (np.linalg.eigvalsh((matrix + matrix.T) / 2) > 0).all()
    assert np.allclose(matrix @ covariances[0] @ matrix.T, covariances[1])
    assert np.allclose(matrix @ means[0] + offset, means[1])


@pytest.mark.parametrize("kind", KINDS[:2])
def test_equal_colours_stay_equal_across_dates(kind):
    pair = images(0)[0]
    pair[1, :, 5] = pair[0, :, 5]
    found = kind().fit(images(1)).transform(pair, np.random.default_rng(0))
    assert (found[1, :, 5] == found[0, :, 5]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_styles_are_those_of_single_images_and_the_mean_has_none_drawn(kind):
    bright, dark = (np.full((1, 3, 24, 24), level, np.uint8) for level in (200, 40))
    translator = kind().fit([bright, dark])
    place = np.full((2, 3, 24, 24), 100, np.uint8)
    drawn = {int(translator.transform(place, np.random.default_rng(seed)).max()) for seed in range(9)}
    assert drawn == {200, 40}
    assert (translator.transform(place) == translator.transform(place)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_single_images_and_samples_are_taken_and_keep_their_shape(kind):
    translator = kind().fit(torch.from_numpy(image) for image in images(1))
    single = images(0)[0][0]
    assert translator.transform(torch.from_numpy(single)).shape == (3, 24, 24)
    assert translator.transform({"image": single}).dtype == np.uint8


@pytest.mark.parametrize("kind", KINDS)
def test_flat_images_neither_fail_nor_blow_up(kind):
    flat = np.zeros((2, 3, 24, 24), np.uint8)
    assert kind().fit([flat]).transform(images(0)[0]).shape == (2, 3, 24, 24)
    found = kind().fit(images(1)).transform(flat)
    assert found.shape == flat.shape
    assert np.ptp(found[0, 0]) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_translated_is_refused(kind):
    with pytest.raises(ModelError, match="not fitted"):
        kind().transform(images(0)[0])
    with pytest.raises(ModelError, match="there is none"):
        kind().fit([])
    with pytest.raises(ModelError, match="other bands"):
        kind().fit([images(0)[0], images(0)[0][:, :2]])
    fitted = kind().fit(images(1))
    for wrong in (images(0)[0].astype(np.float32), np.zeros((2, 3, 0, 4), np.uint8), np.zeros((4, 4), np.uint8)):
        with pytest.raises(ModelError, match="cannot be translated"):
            fitted.transform(wrong)
    with pytest.raises(ModelError, match="bands"):
        fitted.transform(images(0)[0][:, :1])


def test_fda_refuses_other_sizes_and_betas():
    with pytest.raises(ModelError, match="as large"):
        FourierStyle().fit(images(1)).transform(images(0, side=12)[0])
    with pytest.raises(ModelError, match="one size"):
        FourierStyle().fit([images(0)[0], images(0, side=12)[0]])
    for beta in (-0.1, 0.5, float("nan")):
        with pytest.raises(ModelError, match="0 to"):
            FourierStyle(beta)


@pytest.mark.parametrize("kind", KINDS[:2])
def test_with_images_of_the_source_one_map_serves_every_place(kind):
    translator = kind().fit(images(1), source=images(0))
    one, other = images(0)[0], images(0)[1]
    other[..., :3, :3] = one[..., :3, :3]
    assert (translator.transform(one)[..., :3, :3] == translator.transform(other)[..., :3, :3]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_fingerprints_tell_what_was_learned(kind):
    one, same, other = (kind().fit(images(seed)).fingerprint() for seed in (1, 1, 2))
    assert one == same != other


def test_a_translated_dataset_has_the_styles_and_labels_of_its_places(drawn):
    tiles = ShardDataset(drawn, size=24)
    translated = Translated(tiles, LinearColour().fit(images(1)))
    assert len(translated) == 6
    first, again = translated[Draw(2, 0, 1)], translated[Draw(2, 0, 1)]
    assert torch.equal(first["image"], again["image"])
    assert torch.equal(first["mask"], tiles[Draw(2, 0, 1)]["mask"])
    assert not torch.equal(first["image"], tiles[Draw(2, 0, 1)]["image"])
    mean = Translated(tiles, LinearColour().fit(images(1)), styles=False)
    assert torch.equal(mean[0]["image"], torch.from_numpy(mean.translator.transform(tiles[0]["image"])))


def test_preservation_is_the_share_of_pixels_that_keep_their_class(tmp_path):
    write_fake_dataset(tmp_path / "data", count=2, size=32)
    dataset = ShardDataset(tmp_path / "data")
    model = SiameseDamageNet(4)
    assert damage_preservation(model, dataset, HistogramMatching().fit([dataset[0]])) <= 1

    class Same(LinearColour):
        def transform(self, pair, rng=None):
            return pair

    assert damage_preservation(model, dataset, Same()) == 1

    class Black(LinearColour):
        def transform(self, pair, rng=None):
            return np.zeros_like(pair)

    model.head.bias.data[1:] = 0
    seen = damage_preservation(model, dataset, Black())
    maps = [model.predict(*s["image"].permute(0, 2, 3, 1).numpy())[0] for s in dataset]
    black = model.predict(*np.zeros((2, 32, 32, 3), np.uint8))[0]
    assert seen == np.mean([m == black for m in maps])
    found = [model.predict(*s["image"].permute(0, 2, 3, 1).numpy()) for s in dataset]
    given = [np.take_along_axis(p, classes[None], 0)[0] for classes, p in found]
    least = float(np.median(given))
    sure = damage_preservation(model, dataset, Black(), sure=least)
    assert sure == np.mean(np.concatenate([(m == black)[p >= least] for (m, _), p in zip(found, given, strict=True)]))
    with pytest.raises(ModelError, match="nowhere so sure"):
        damage_preservation(model, dataset, Same(), sure=1.1)
    with pytest.raises(ModelError, match="empty"):
        damage_preservation(model, [], Same())


@pytest.mark.parametrize("kind", KINDS[:2])
def test_strength_goes_a_part_of_the_way_and_none_changes_nothing(kind):
    place, goal = images(0)[0], images(1)
    whole, half, none = (kind(s).fit(goal).transform(place).astype(int) for s in (1, 0.5, 0))
    assert (none == place).all()
    inside = (whole > 0) & (whole < 255)  # where the whole way is not cut off
    assert np.abs(half - (place + whole) / 2)[inside].max() <= 1
    assert kind(0.5).fit(goal).fingerprint() != kind().fit(goal).fingerprint()
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ModelError, match="share of the way"):
            kind(wrong)


class Brightness(SiameseDamageNet):
    """Sees a building wherever an image after is brighter than half."""

    def decode(self, features, size):
        seen = super().decode(features, size)
        return seen._replace(localisation=(self.image[:, 1, :1] - 0.5) * 100)

    def features(self, image):
        self.image = image
        return super().features(image)


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_translator_is_made_as_strong_as_the_damage_bears_and_no_weaker(kind):
    rng = np.random.default_rng(0)
    tiles = [{"image": torch.from_numpy(rng.integers(0, 256, (2, 3, 24, 24), np.uint8))} for _ in range(2)]
    goal = [(0.6 * tile["image"].float() + 100).byte() for tile in tiles]
    model, whole = Brightness(2), kind().fit(goal)
    assert damage_preservation(model, tiles, whole) < 0.95
    found = preserving(model, tiles, whole)
    assert damage_preservation(model, tiles, found) >= 0.95
    assert 0 < found.strength < 1
    assert damage_preservation(model, tiles, with_strength(whole, found.strength + 1 / 32)) < 0.95
    assert whole.strength == 1
    assert preserving(model, tiles, whole, wanted=0.0) is whole
