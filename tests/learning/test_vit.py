"""The plain transformer: positions in metres, any size, and tokens that stand for themselves."""

from __future__ import annotations

import math

import pytest
import torch

from mage.learning import SegmentationNet, SimplePyramid, ViT
from mage.learning.shapes import shape_of
from mage.learning.vit import positions
from mage.scenes.errors import ModelError


def tiny(**options):
    return ViT(**{"width": 8, "depth": 2, "heads": 2, "patch": 4} | options).eval()


def test_the_default_has_as_many_weights_as_vit_s_16_without_its_class_token_and_learnt_positions():
    model = ViT()
    block = 12 * 384**2 + 13 * 384  # four kernels and their biases, two norms
    assert sum(p.numel() for p in model.parameters()) == 3 * 16**2 * 384 + 384 + 12 * block + 2 * 384
    assert sum(p.numel() for p in model.parameters()) + 384 + 197 * 384 == 21_665_664  # timm's vit_small_patch16_224


def test_positions_are_sines_and_cosines_of_metres():
    code = positions((3, 5), 8, torch.tensor([1.0, 0.3]))
    assert code.shape == (2, 15, 8)
    row, column, gsd = 2, 4, 0.3
    expected = []
    for place in (column, row):
        angles = [gsd * place, gsd * place / 100]
        expected += [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
    assert code[1, row * 5 + column].tolist() == pytest.approx(expected, abs=1e-6)


def test_a_place_has_one_code_at_every_resolution():
    fine, coarse = positions((8, 8), 16, 0.5).view(8, 8, 16), positions((4, 4), 16, 1.0).view(4, 4, 16)
    assert torch.allclose(fine[::2, ::2], coarse, atol=1e-6)
    assert not torch.allclose(fine[:4, :4], coarse, atol=1e-2)


def test_the_gsd_of_each_image_counts_and_its_own_stands_in_where_none_comes():
    image, model = torch.rand(2, 3, 8, 12), tiny(gsd=0.5)
    one, other = (model(image, gsd)[0] for gsd in (torch.tensor([0.5, 2.0]), None))
    assert torch.allclose(one[0], other[0], atol=1e-6)
    assert not torch.allclose(one[1], other[1], atol=1e-4)
    assert torch.allclose(model(image[1:], 2.0)[0], one[1:], atol=1e-6)


@pytest.mark.parametrize("size", [(4, 4), (8, 20), (36, 4)])
@pytest.mark.parametrize("bands", [1, 5])
def test_any_size_and_bands_give_one_feature_a_patch(size, bands):
    (feature,) = tiny(bands=bands, registers=3)(torch.rand(2, bands, *size))
    assert feature.shape == (2, 8, size[0] // 4, size[1] // 4)


def test_all_tokens_in_any_order_are_those_of_the_whole_image():
    image, model = torch.rand(2, 3, 8, 12), tiny(registers=1)
    order = torch.tensor([[3, 1, 0, 5, 4, 2], [5, 4, 3, 2, 1, 0]])
    whole, kept = model.tokens(image), model.tokens(image, keep=order)
    assert torch.allclose(kept, whole.gather(1, order[:, :, None].expand(-1, -1, 8)), atol=1e-6)


def test_tokens_that_are_not_kept_are_not_looked_at():
    image, model = torch.rand(1, 3, 8, 8), tiny()
    changed = image.clone()
    changed[..., 4:, 4:] = torch.rand(4, 4)
    keep = torch.tensor([[0, 2]])
    assert torch.equal(model.tokens(image, keep=keep), model.tokens(changed, keep=keep))
    assert not torch.allclose(model.tokens(image)[:, :1], model.tokens(changed)[:, :1], atol=1e-6)


def test_attention_is_what_its_equation_says():
    block, x = tiny().blocks[0].double(), torch.randn(1, 5, 8, dtype=torch.float64)
    query, key, value = block.query_key_value(block.norms[0](x)).chunk(3, 2)
    parts = []
    for head in (slice(0, 4), slice(4, 8)):
        weight = (query[..., head] @ key[..., head].mT / 2).softmax(-1)  # the root of 4, its width
        parts.append(weight @ value[..., head])
    y = x + block.out(torch.cat(parts, 2))
    assert torch.allclose(block(x), y + block.perceptron(block.norms[1](y)), atol=1e-12)


def test_one_seed_gives_equal_weights_and_leaves_the_global_generator():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, same, other = tiny(seed=3), tiny(seed=3), tiny(seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.embed.weight, same.embed.weight)
    assert not torch.equal(one.embed.weight, other.embed.weight)


def test_it_serves_as_the_encoder_of_a_network():
    net = SegmentationNet(classes=2, width=4, encoder=SimplePyramid(tiny(), width=4))
    logits = net(torch.rand(1, 3, 13, 9))
    assert logits.shape == (1, 2, 13, 9)
    logits.mean().backward()
    assert net.encoder.encoder.embed.weight.grad.abs().sum() > 0


def test_a_network_with_it_is_described_and_built_again():
    net = SegmentationNet(classes=2, width=4, encoder=SimplePyramid(tiny(registers=2, gsd=0.3, expansion=2), width=4))
    shape = shape_of(net)
    again = type(shape).model_validate_json(shape.model_dump_json()).build()
    again.load_state_dict(net.state_dict())
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(again.eval()(image), net.eval()(image))


@pytest.mark.parametrize(
    "options",
    [{"width": 6}, {"width": 8, "heads": 3}, {"depth": 0}, {"patch": 0}, {"gsd": math.nan}, {"registers": -1}],
)
def test_a_transformer_that_cannot_be_is_refused(options):
    with pytest.raises(ModelError):
        tiny(**options)


@pytest.mark.parametrize("shape", [(1, 3, 6, 8), (1, 2, 8, 8), (3, 8, 8)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(ModelError, match="another shape"):
        tiny()(torch.rand(*shape))


@pytest.mark.parametrize("gsd", [0.0, -1.0, math.inf])
def test_a_gsd_that_cannot_be_is_refused(gsd):
    with pytest.raises(ModelError, match="GSD"):
        tiny()(torch.rand(1, 3, 8, 8), gsd)
