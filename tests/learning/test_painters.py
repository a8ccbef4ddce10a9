"""Translators that are trained: what they minimise, and that both dates get the same map."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from toys import Stripes, batch, stream

from mage.learning import (
    CUT,
    ColorMapGAN,
    ColourMap,
    Flow,
    FlowMatching,
    NetworkTranslator,
    Painter,
    fit,
    write_translated,
)
from mage.learning.translate.color_map_gan import least_squares
from mage.learning.translate.cut import normalise, patch_nce
from mage.learning.translate.flow import draw_pairs, layout_cost, transport_plan
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.errors import ModelError


def pairs(n=2, side=12, seed=0):
    return torch.rand(n, 2, 3, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("network", [ColourMap(), Painter(width=4, blocks=1), Flow(width=4, blocks=1)])
def test_an_untrained_network_changes_nothing(network):
    assert torch.allclose(network(pairs()), pairs(), atol=1e-6)


def test_a_colour_map_scales_and_shifts_each_colour_and_is_linear_between():
    net = ColourMap(nodes=2)
    with torch.no_grad():
        net.change[0, 3:] = 0.1  # every band is shifted
        net.change[0, 0, :, :, 1] = 0.2  # red is scaled where red is full
    image = torch.tensor([0.5, 0.25, 0.0]).view(1, 3, 1, 1)
    assert torch.allclose(net(image).flatten(), torch.tensor([0.5 * 1.1 + 0.1, 0.35, 0.1]), atol=1e-6)
    assert net(torch.ones(1, 3, 1, 1)).max() == 1


def test_a_colour_map_sees_colours_only():
    net = ColourMap(nodes=5)
    nn.init.normal_(net.change, std=0.1)
    image = pairs(1)
    order = torch.randperm(144)
    shuffled = image.flatten(3)[..., order].view_as(image)
    assert torch.allclose(net(image).flatten(3)[..., order].view_as(image), net(shuffled), atol=1e-6)
    with pytest.raises(ModelError, match="three bands"):
        net(torch.zeros(1, 4, 2, 2))
    with pytest.raises(ModelError, match="nodes"):
        ColourMap(1)


def test_the_game_is_least_squares_and_each_side_moves_its_own_weights():
    d, fake, real = nn.Conv2d(3, 1, 1), stream(2)["image"].requires_grad_(), stream(2, 0.3)["image"]
    found = least_squares(d, fake, real)
    assert torch.allclose(found["adversarial"], (d(fake) - 1).square().mean())
    expected = ((d(real) - 1).square().mean() + d(fake).square().mean()) / 2
    assert torch.allclose(found["discriminator"], expected)
    found["adversarial"].backward(retain_graph=True)
    assert d.weight.grad is None
    assert fake.grad.abs().sum() > 0
    fake.grad = None
    found["discriminator"].backward()
    assert fake.grad is None
    assert d.weight.grad is not None


def test_patch_nce_tells_the_key_at_the_place_among_those_of_its_image():
    query, key = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    expected = 0.0
    for n in range(2):
        for i in range(5):
            scores = [float(F.cosine_similarity(query[n, i], key[n, j], dim=0)) / 0.07 for j in range(5)]
            expected += math.log(sum(math.exp(s) for s in scores)) - scores[i]
    assert patch_nce(query, key, 0.07).item() == pytest.approx(expected / 10, rel=1e-4)
    same = torch.eye(5)[None]
    assert patch_nce(same, same, 0.07).item() == pytest.approx(math.log(1 + 4 * math.exp(-1 / 0.07)), abs=1e-5)


def test_dates_of_a_place_are_normalised_together():
    x = torch.randn(4, 3, 6, 6) * 3 + 1
    found = normalise(x, dates=2).view(2, 2, 3, 36)
    assert torch.allclose(found.mean((1, 3)), torch.zeros(2, 3), atol=1e-5)
    assert torch.allclose(found.var((1, 3), correction=0), torch.ones(2, 3), atol=1e-3)


@pytest.mark.parametrize("net", [Painter(width=4, blocks=1), Flow(width=4, blocks=1, steps=1)])
def test_equal_dates_are_painted_equally_and_a_change_stays_near_its_place(net):
    nn.init.normal_(net.out.weight, std=0.05)
    image = pairs(1, side=64)
    image[:, 1] = image[:, 0]
    found = net(image)
    assert torch.allclose(found[:, 0], found[:, 1], atol=1e-6)
    assert not torch.allclose(found, image, atol=1e-3)
    image[:, 1, :, :6, :6] = 0
    changed = net(image)
    assert torch.allclose(changed[:, 0, :, 50:, 50:], changed[:, 1, :, 50:, 50:], atol=1e-6)


@pytest.mark.parametrize("side", [(1, 1), (5, 9), (16, 3)])
@pytest.mark.parametrize("kind", [Painter, Flow])
def test_painters_take_images_of_any_size(side, kind):
    found = kind(width=4, blocks=1)(torch.rand(1, 2, 3, *side))
    assert found.shape == (1, 2, 3, *side)
    assert found.isfinite().all()


def test_cut_adds_the_contrast_of_both_domains():
    method = CUT(Painter(width=4, blocks=1), patches=10_000, hidden=8, width=4, source=2.0, identity=3.0)
    nn.init.normal_(method.model.out.weight, std=0.05)
    both = batch()
    found = method.losses(both)

    def contrast(name):
        image, losses = both.image(name), []
        for head, one, other in zip(
            method.heads, method.model.features(method.model(image)), method.model.features(image), strict=True
        ):
            losses.append(patch_nce(head(one.flatten(2).transpose(1, 2)), head(other.flatten(2).transpose(1, 2)), 0.07))
        return sum(losses) / 4

    assert torch.allclose(found["source"], 2 * contrast("source"), atol=1e-4)
    assert torch.allclose(found["identity"], 3 * contrast("unlabelled"), atol=1e-4)


def test_what_cannot_be_painted_is_refused():
    with pytest.raises(ModelError, match="Painter"):
        CUT(nn.Conv2d(3, 3, 1))
    with pytest.raises(ModelError, match="other bands"):
        Painter(width=4)(torch.rand(1, 4, 8, 8))


def test_a_trained_colour_map_moves_the_source_towards_the_target(tmp_path):
    net = ColourMap(5)
    method = ColorMapGAN(net, width=8)
    streams = {"source": Stripes(light=0.0), "unlabelled": Stripes(light=0.3)}
    fit(method, **streams, out=tmp_path / "run", steps=60, batch=6, lr=0.01, device="cpu")
    before = stream(6)["image"]
    goal, after = stream(6, 0.3)["image"].mean(), net(before).mean()
    assert abs(after - goal) < 0.7 * abs(before.mean() - goal)


def test_a_network_translates_bytes_and_whole_datasets(drawn, tmp_path):
    net = ColourMap(3)
    with torch.no_grad():
        net.change[0, 3:] = 20 / 255
    translator = NetworkTranslator(net)
    image = np.full((2, 3, 4, 4), 100, np.uint8)
    assert (translator.transform(image) == 120).all()
    assert translator.transform({"image": image[0]}).shape == (3, 4, 4)
    by = {"name": "net", "format": "images", "licence": "CC0-1.0", "sha256": None}
    write_translated(drawn, translator, tmp_path / "out", styled_by=by)
    assert verify_dataset(tmp_path / "out").ok
    assert translator.fingerprint() != NetworkTranslator(ColourMap(3)).fingerprint()


# Flow matching


def test_the_plan_is_the_optimal_assignment_where_that_is_clear():
    rng = np.random.default_rng(0)
    order = rng.permutation(6)
    cost = torch.from_numpy(rng.random((6, 6)) + 3)
    cost[torch.arange(6), torch.from_numpy(order)] = 0.1
    plan = transport_plan(cost)
    assert torch.allclose(plan.sum(0), torch.full((6,), 1 / 6, dtype=plan.dtype), atol=1e-9)
    assert torch.allclose(plan.sum(1), torch.full((6,), 1 / 6, dtype=plan.dtype), atol=1e-6)
    assert (plan.argmax(1).numpy() == order).all()
    assert (draw_pairs(plan, rng).numpy() == order).all()


def test_pairs_are_drawn_as_often_as_the_plan_says():
    plan, rng = torch.tensor([[0.1, 0.4], [0.4, 0.1]], dtype=torch.float64), np.random.default_rng(0)
    drawn = torch.stack([draw_pairs(plan, rng) for _ in range(2000)]).double().mean(0)
    assert torch.allclose(drawn, torch.tensor([0.8, 0.2], dtype=torch.float64), atol=0.03)


def test_layouts_are_compared_whatever_their_light():
    place = pairs(3, side=16)
    cost = layout_cost(place, place * 0.5 + 0.3)
    assert (cost.argmin(1) == torch.arange(3)).all()
    assert torch.allclose(layout_cost(place, place + 0.2).diagonal(), torch.zeros(3), atol=1e-6)


def test_flow_matching_learns_the_straight_velocity_of_coupled_images():
    method = FlowMatching(Flow(width=4, blocks=1))
    nn.init.normal_(method.model.out.weight, std=0.1)
    both = batch(n=3, seed=2)
    source, target = both.image("source"), both.image("unlabelled")
    rng = np.random.default_rng(2)
    target = target[draw_pairs(transport_plan(layout_cost(source, target)), rng)]
    time = torch.from_numpy(rng.random(3, np.float32))
    t = time.view(3, 1, 1, 1)
    found = method.model.velocity((1 - t) * source + t * target, time)
    expected = (found - (target - source)).square().mean()
    assert torch.allclose(method.losses(both)["velocity"], expected)


def test_a_flow_is_integrated_by_the_midpoint_rule(monkeypatch):
    net = Flow(width=4, blocks=1, steps=10)
    monkeypatch.setattr(net, "velocity", lambda x, time: -x * (1 + time.view(-1, 1, 1, 1)))
    image = torch.rand(2, 3, 4, 4)
    assert torch.allclose(net(image), image * math.exp(-1.5), rtol=5e-3)
    with pytest.raises(ModelError, match="steps"):
        Flow(steps=0)


def test_the_time_reaches_the_velocity():
    net, image = Flow(width=4, blocks=1), torch.rand(1, 3, 8, 8)
    nn.init.normal_(net.out.weight)
    assert not torch.allclose(net.velocity(image, torch.zeros(1)), net.velocity(image, torch.ones(1)), atol=1e-3)


def test_pairs_flow_to_single_images_of_the_target_too():
    method = FlowMatching(Flow(width=4, blocks=1))
    both = batch(source={"image": pairs(3, 16), "mask": torch.zeros(3, 16, 16).long()}, unlabelled=stream(4))
    assert method.losses(both)["velocity"].isfinite()
    with pytest.raises(ModelError, match="differ in shape"):
        method.losses(batch(source=stream(2), unlabelled=stream(2, side=8)))
    with pytest.raises(ModelError, match="Flow"):
        FlowMatching(nn.Conv2d(3, 3, 1))


def test_a_trained_flow_moves_the_source_to_the_target(tmp_path):
    net = Flow(width=4, blocks=1, steps=4)
    streams = {"source": Stripes(light=0.0), "unlabelled": Stripes(light=0.3)}
    fit(FlowMatching(net), **streams, out=tmp_path / "run", steps=60, batch=6, lr=0.01, device="cpu")
    with torch.no_grad():
        after = net(stream(6)["image"]).mean()
    assert abs(after - stream(6, 0.3)["image"].mean()) < 0.1
