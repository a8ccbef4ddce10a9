"""Any encoder under any decoder: pairs and single images of any size and number of bands."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mage.learning import (
    ConvNeXt,
    EfficientNetLite,
    Painter,
    ResidualEncoder,
    ResNet,
    SegmentationNet,
    SiameseDamageNet,
    SimplePyramid,
    UNet,
    UPerNet,
    predict_maps,
    predict_tile,
)
from mage.learning.decoders import narrowed
from mage.learning.shapes import shape_of
from mage.scenes.errors import ModelError

ENCODERS = {
    "residual": lambda bands=3: ResidualEncoder(4, bands),
    "resnet": lambda bands=3: ResNet(18, bands, width=2),
    "bottleneck": lambda bands=3: ResNet(50, bands, width=2),
    "convnext": lambda bands=3: ConvNeXt((1, 1, 1, 1), 4, bands),
    "efficientnet": lambda bands=3: EfficientNetLite(0, bands),
    "pyramid": lambda bands=3: SimplePyramid(ResidualEncoder(2, bands), 8),
}


class OneScale(nn.Module):
    """Two features of one stride, as of a plain transformer."""

    bands, channels, strides, mean, std = 3, (4, 4), (16, 16), (0.5,), (0.5,)

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 4, 16, 16)

    def forward(self, image):
        return [self.patches(image)] * 2


@pytest.mark.parametrize("decoder", [UNet, UPerNet])
@pytest.mark.parametrize("name", ENCODERS)
def test_pairs_of_odd_size_and_other_bands_give_finite_logits_and_gradients(name, decoder):
    model = SiameseDamageNet(4, encoder=ENCODERS[name](5), decoder=decoder, heads=("road", "flood", "height"))
    prediction = model(torch.rand(1, 2, 5, 37, 50))
    assert [None if t is None else tuple(t.shape[1:]) for t in prediction] == [
        (c, 37, 50) for c in (1, 4, 1, 2, 3)
    ]  # fmt: skip
    sum(t.sum() for t in prediction).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert [f.shape[1] for f in model.features(torch.rand(1, 2, 5, 32, 32))] == list(model.channels)


@pytest.mark.parametrize("decoder", [UNet, UPerNet])
@pytest.mark.parametrize("name", ["residual", "resnet", "convnext", "pyramid"])
def test_one_pixel_of_one_image_trains(name, decoder):
    model = SegmentationNet(2, 4, encoder=ENCODERS[name](), decoder=decoder).train()
    logits = model(torch.rand(1, 3, 1, 1))
    assert logits.shape == (1, 2, 1, 1)
    logits.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_the_thinnest_damage_network_takes_one_pixel():
    assert SiameseDamageNet(1)(torch.rand(1, 2, 3, 1, 1)).damage.isfinite().all()


def test_features_of_one_scale_need_a_pyramid():
    with pytest.raises(ModelError, match="SimplePyramid"):
        SiameseDamageNet(4, encoder=OneScale())
    pyramid = SimplePyramid(OneScale(), 8)
    assert pyramid.strides == (4, 8, 16, 32)
    assert SiameseDamageNet(4, encoder=pyramid)(torch.rand(1, 2, 3, 40, 20)).damage.shape == (1, 4, 40, 20)


def test_decoder_widths_double_up_to_those_of_the_features():
    assert narrowed((64, 64, 128, 2048), 24) == [24, 48, 96, 192]
    assert narrowed((4, 8, 16, 32), 24) == [4, 8, 16, 32]
    assert UNet((64, 256, 512), 24).channels == 24
    assert UPerNet((64, 256, 512), 24).channels == 24


def test_the_coarsest_context_reaches_every_pixel_of_a_upernet():
    torch.manual_seed(0)
    decoder = UPerNet((4, 8), 4).eval()
    fine, coarse = torch.randn(1, 4, 16, 16), torch.randn(1, 8, 8, 8)
    changed = coarse.clone()
    changed[..., 0, 0] += 9
    moved = (decoder([fine, changed]) - decoder([fine, coarse])).abs().amax((0, 1))
    assert moved[-1, -1] > 0  # by pyramid pooling; convolutions alone reach a few places


def test_an_encoder_that_is_given_keeps_its_weights_and_the_rest_follows_the_seed():
    encoder = ResNet(18, width=2, seed=5)
    before = {name: t.clone() for name, t in encoder.state_dict().items()}
    one, other = SegmentationNet(2, 4, encoder=encoder, seed=1), SegmentationNet(2, 4, seed=1)
    assert all(torch.equal(t, before[name]) for name, t in one.encoder.state_dict().items())
    assert torch.equal(other.head.weight, SegmentationNet(2, 4, seed=1).head.weight)
    assert not torch.equal(other.head.weight, SegmentationNet(2, 4, seed=2).head.weight)


def test_one_image_gives_the_likeliest_class_and_probabilities():
    image = np.random.default_rng(0).integers(0, 256, (21, 34, 4), np.uint8)
    classes, probabilities = SegmentationNet(3, 4, bands=4).predict(image)
    assert (classes == probabilities.argmax(0)).all()
    assert np.allclose(probabilities.sum(0), 1, atol=1e-5)


def test_maps_hold_all_heads_in_units_that_people_read():
    pre, post = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), np.uint8)
    maps = SiameseDamageNet(4, heads=("flood", "height", "road")).map(pre, post)
    assert {name: m.shape for name, m in maps.items()} == {
        "classes": (5, 20, 30),
        "flood": (1, 20, 30),
        "height": (2, 20, 30),
        "road": (3, 20, 30),
    }
    assert np.allclose(maps["road"].sum(0), 1, atol=1e-5)
    assert maps["height"].min() >= 0
    assert 0 <= maps["flood"].min() <= maps["flood"].max() <= 1


def test_windows_of_a_single_image_agree_with_the_whole_where_the_model_looks_at_pixels_only():
    model = SegmentationNet(2, 4)
    model.forward = lambda image: torch.cat([image[:, :1], 1 - image[:, 1:2]], 1) * 4
    image = torch.randint(0, 256, (3, 70, 45), dtype=torch.uint8)
    whole = predict_tile(model, image)
    assert torch.allclose(whole, predict_maps(model, image, window=32, overlap=8)["classes"], atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SegmentationNet(1),
        lambda: SegmentationNet(2, 0),
        lambda: SegmentationNet(2, bands=0),
        lambda: SegmentationNet(2, seed=-1),
        lambda: SegmentationNet(2, encoder=nn.Conv2d(3, 4, 1)),
        lambda: SiameseDamageNet(bands=4, encoder=ResNet(18, width=2)),
        lambda: SiameseDamageNet(4, heads=("floods",)),
        lambda: SegmentationNet(2, 4)(torch.rand(1, 2, 3, 8, 8)),
        lambda: SegmentationNet(2, 4)(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)),
        lambda: SegmentationNet(2, 4).predict(np.zeros((8, 8, 4), np.uint8)),
        lambda: SegmentationNet(2, 4).predict(*np.zeros((2, 8, 8, 3), np.uint8)),
        lambda: SiameseDamageNet(4).predict(np.zeros((8, 8, 3), np.uint8)),
    ],
)
def test_what_cannot_be_is_refused(make):
    with pytest.raises(ModelError):
        make()


def test_models_of_another_class_have_no_shape():
    assert shape_of(Painter(4)) is None
    assert shape_of(SiameseDamageNet(4, encoder=SimplePyramid(OneScale(), 8))) is None
    assert shape_of(SegmentationNet(2, 4, decoder=lambda channels, width: Passing(channels))) is None


class Passing(nn.Module):
    """Passes on the finest features."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels[0]

    def forward(self, features):
        return features[0]
