"""Pretext tasks: each computes what its paper's equation says, learns, and hands its encoder on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from toys import Pairs, Stripes, pairs

from mage.learning import (
    DINO,
    Batch,
    CaCo,
    Geometry,
    MoCo,
    ResidualEncoder,
    ScaleMAE,
    ShardDataset,
    SiameseDamageNet,
    SimplePyramid,
    ViT,
    XStars,
    fit,
    load_pretrained,
)
from mage.learning.encoders import padded
from mage.learning.pretext import caco, dino, moco
from mage.learning.pretext.caco import two_normals, upper
from mage.learning.pretext.dino import distillation
from mage.learning.pretext.geometry import normals_of, surrounded
from mage.learning.pretext.moco import contrast
from mage.learning.pretext.scale_mae import targets
from mage.learning.pretext.task import calm, crops
from mage.learning.pretext.x_stars import alignment, degraded
from mage.scenes.errors import DatasetError, ModelError

SMALL_HEAD = {"local": 2, "prototypes": 6, "hidden": 8, "bottleneck": 4}


def vit(**options):
    return ViT(**{"width": 8, "depth": 1, "heads": 2, "patch": 4} | options)


def made(kind, **options):
    """A task so small that what it does can be seen."""
    of = {MoCo: {"queue": 8, "code": 4}, CaCo: {"queue": 8, "code": 4, "memory": 8}, DINO: SMALL_HEAD}
    of |= {XStars: {"code": 6} | SMALL_HEAD, ScaleMAE: {"width": 8, "depth": 1, "heads": 2}, Geometry: {"width": 4}}
    return kind(vit(), **of[kind] | options)


def batch(seed=0, progress=0.5, **streams):
    return Batch(np.random.default_rng(seed), progress=progress, **streams or {"unlabelled": pairs()})


def codes(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# what all of them share


def test_crops_of_the_whole_image_are_its_eight_symmetries():
    image, found = torch.rand(64, 2, 6, 6), set()
    for before, after in zip(image, crops(image, (6, 6), (1.0, 1.0), np.random.default_rng(0)), strict=True):
        turned = [whole.flip(axes) for whole in (before, before.mT) for axes in ((), (1,), (2,), (1, 2))]
        (which,) = [i for i, one in enumerate(turned) if torch.allclose(one, after, atol=1e-5)]
        found.add(which)
    assert found == set(range(8))


def test_crops_hold_what_lies_in_the_image_and_no_more_of_it_than_asked():
    ramp = torch.linspace(0, 1, 64).expand(200, 1, 64, 64).contiguous()
    views = crops(ramp, (8, 8), (0.05, 0.4), np.random.default_rng(1))
    spread = views.amax((1, 2, 3)) - views.amin((1, 2, 3))
    assert views.min() >= 0
    assert views.max() <= 1
    assert spread.max() < math.sqrt(0.4 * 4 / 3)
    assert 0.1 < spread.mean() < math.sqrt(0.4)


def test_images_are_not_turned_where_they_are_not_square():
    ramp = torch.linspace(0, 1, 32).expand(50, 1, 16, 32).contiguous()
    views = crops(ramp, (8, 8), (0.5, 1.0), np.random.default_rng(1))
    assert (views.std(2).amax() < 1e-5).all()  # columns stay columns


def test_padding_repeats_the_border_and_leaves_more_than_one_place():
    image = torch.rand(1, 2, 3, 4)
    wide = padded(image, 4)
    assert wide.shape == (1, 2, 4, 8)
    assert torch.equal(wide[..., :3, :4], image)
    assert torch.equal(wide[..., 3, 7], image[..., 2, 3])
    assert padded(torch.rand(1, 2, 8, 8), 4).shape == (1, 2, 8, 8)


def test_two_dates_are_seen_in_the_share_asked_for_but_never_of_damaged_places():
    image = torch.arange(2.0).view(1, 2, 1, 1, 1).expand(400, 2, 3, 8, 8)  # a date's images are all its number
    mask = torch.zeros(400, 8, 8, dtype=torch.long)
    mask[200:, 2, 3] = 2
    mask[:100, 0, 0] = 255
    streams = {"source": {"image": image, "mask": mask}}
    method = MoCo(vit(), queue=8, code=4)
    ((first, second),) = method.twice(batch(**streams), 0.3)
    differ = (first != second).flatten(1).any(1)
    assert not differ[200:].any()
    assert differ[:200].float().mean() == pytest.approx(0.3, abs=0.1)
    assert first.mean() == pytest.approx(0.5, abs=0.1)
    ((first, second),) = method.twice(batch(unlabelled={"image": image}), 1.0)
    assert (first != second).all()
    assert calm(None, 3).all()


def test_single_images_are_seen_at_their_only_date():
    image = torch.rand(3, 3, 8, 8)
    ((first, second),) = made(MoCo).twice(batch(unlabelled={"image": image}), 1.0)
    assert torch.equal(first, image)
    assert torch.equal(second, image)


@pytest.mark.parametrize("kind", [MoCo, DINO, CaCo, XStars, Geometry, ScaleMAE])
def test_what_is_no_encoder_and_other_bands_are_refused(kind):
    with pytest.raises(ModelError, match="trains an encoder"):
        kind(nn.Conv2d(3, 4, 1))
    streams = {name: t[:, :, :2] if name == "image" else t for name, t in pairs().items()}
    with pytest.raises(ModelError, match="differ in bands"):
        made(kind).losses(batch(source=streams))


def test_a_task_without_any_stream_is_refused(tmp_path):
    with pytest.raises(ModelError, match="'source', 'target', 'unlabelled'"):
        fit(made(MoCo), out=tmp_path / "run", device="cpu")
    with pytest.raises(ModelError, match="needs samples"):
        made(MoCo).losses(Batch(np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (MoCo, {"queue": 0}),
        (MoCo, {"temperature": 0.0}),
        (MoCo, {"smallest": 1.5}),
        (CaCo, {"memory": 2}),
        (DINO, {"prototypes": 0}),
        (DINO, {"cold": 0.0}),
        (XStars, {"coarsest": 1.0}),
        (XStars, {"smoothing": 1.0}),
        (ScaleMAE, {"masked": 1.0}),
        (ScaleMAE, {"factor": 0}),
        (ScaleMAE, {"heads": 3}),
        (Geometry, {"heights": ()}),
        (Geometry, {"metre": 0.0}),
    ],
)
def test_numbers_that_cannot_be_are_refused(kind, options):
    with pytest.raises(ModelError, match="cannot be"):
        made(kind, **options)


STILL = {"enqueue": lambda _: None}  # a queue that stands, or the same key would be a rival of itself in the next step


@pytest.mark.parametrize("kind", [MoCo, DINO, CaCo, XStars, Geometry, ScaleMAE])
def test_steps_along_its_gradient_lower_its_loss_and_reach_the_encoder(kind):
    method = made(kind, **({"centring": 1.0} if issubclass(kind, DINO) else {}))  # a centre that stands
    method.__dict__ |= STILL
    start = [p.detach().clone() for p in method.model.parameters()]
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=0.003)
    course = []
    for _ in range(12):
        losses = method.losses(batch(seed=1, source=pairs()))
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        course.append({name: loss.item() for name, loss in losses.items()})
    assert sum(course[-1].values()) < 0.97 * sum(course[0].values())
    assert any(not torch.equal(p, q) for p, q in zip(method.model.parameters(), start, strict=True))
    assert all(p.grad is not None for p in method.model.parameters() if p.numel())


@pytest.mark.parametrize("kind", [MoCo, DINO, CaCo, XStars, Geometry, ScaleMAE])
def test_its_encoder_is_handed_to_a_network(kind, tmp_path):
    method = made(kind)
    streams = (Pairs(), None, None) if kind is Geometry else (None, None, Pairs())
    run = fit(method, *streams, out=tmp_path / "run", steps=1, batch=2, device="cpu")
    encoder = run.load_into(vit(seed=5))
    by_file = load_pretrained(vit(seed=6), run.checkpoint).state_dict()
    assert all(torch.equal(t, by_file[name]) for name, t in encoder.state_dict().items())
    net = SiameseDamageNet(width=4, encoder=SimplePyramid(encoder, width=4))
    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(net.encoder.encoder(image)[0], method.model.eval()(image)[0])
    assert net(torch.rand(1, 2, 3, 16, 16)).damage.shape == (1, 4, 16, 16)


def test_the_encoder_of_a_network_is_trained_in_its_place(tmp_path):
    net = SiameseDamageNet(width=2)
    before = net.encoder.stem[0].weight.clone()
    fit(MoCo(net.encoder, queue=4, code=4), unlabelled=Pairs(), out=tmp_path / "run", steps=1, batch=2, device="cpu")
    assert not torch.equal(net.encoder.stem[0].weight, before)


# momentum contrast


def test_moco_is_the_cross_entropy_of_a_key_among_those_of_the_queue():
    query, key, queue = (F.normalize(codes(n, 5, seed=n), dim=1) for n in (3, 3, 7))
    found = contrast(query, key, queue, 0.2)
    expected = 0
    for q, k in zip(query, key, strict=True):
        positive = math.exp(float(q @ k) / 0.2)
        expected -= math.log(positive / (positive + sum(math.exp(float(q @ n) / 0.2) for n in queue))) / 3
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_moco_contrasts_the_average_with_the_queue_and_then_queues_its_keys(monkeypatch):
    monkeypatch.setattr(moco, "view", lambda image, size, share, rng: image)
    method = made(MoCo, temporal=0.0)
    queue, image = method.queue_of_keys.clone(), pairs()["image"]
    seen = next(iter(method.twice(batch(), 0.0)))[0]
    assert {tuple(x.flatten().tolist()) for x in seen} <= {tuple(x.flatten().tolist()) for x in image.flatten(0, 1)}
    found = method.losses(batch())["contrast"]
    query, key = (F.normalize(h(e(seen)[0].mean((2, 3))), dim=1) for e, h in (
        (method.model, method.head), (method.teacher.model, method.teacher_head.model)
    ))  # fmt: skip
    assert torch.allclose(found, contrast(query, key, queue, 0.2), atol=1e-6)
    assert torch.allclose(method.queue_of_keys[:4], key, atol=1e-6)
    assert torch.equal(method.queue_of_keys[4:], queue[4:])
    assert method.place == 4


@pytest.mark.parametrize("n", [3, 8, 11])
def test_the_oldest_keys_make_room(n):
    method, before = made(MoCo), made(MoCo).queue_of_keys
    method.place.fill_(6)
    key = codes(n, 4)
    method.enqueue(key)
    for i in range(max(0, n - 8), n):
        assert torch.equal(method.queue_of_keys[(6 + i) % 8], key[i])
    assert torch.equal(method.queue_of_keys[(6 + n) % 8], before[(6 + n) % 8]) == (n < 8)
    assert method.place == (6 + n) % 8


# self-distillation


def test_dino_is_the_mean_cross_entropy_over_pairs_of_different_views():
    scores, taught = codes(4, 3, 5), codes(2, 3, 5, seed=1).log_softmax(2)
    terms = [-(taught[t].exp() * scores[s].log_softmax(1)).sum(1).mean() for t in range(2) for s in range(4) if s != t]
    assert torch.allclose(distillation(scores, taught), torch.stack(terms).mean(), atol=1e-6)


def test_dino_sharpens_and_centres_what_the_teacher_says(monkeypatch):
    monkeypatch.setattr(dino, "view", lambda image, size, share, rng: image)
    method = made(DINO, local=0, temporal=0.0, centring=0.8)
    method.centre.copy_(codes(6, seed=2) * 0.1)
    centre, ((image, _),) = method.centre.clone(), method.twice(batch(), 0.0)
    found = method.losses(batch(progress=0.05))["distillation"]
    scores = method.head(method.model(image)[0].mean((2, 3)))  # the teacher still is the student
    wanted = ((scores - centre) / 0.055).softmax(1)  # halfway from 0.04 to 0.07
    assert torch.allclose(found, -(wanted * (scores / 0.1).log_softmax(1)).sum(1).mean(), atol=1e-5)
    assert torch.allclose(method.centre, 0.8 * centre + 0.2 * scores.mean(0), atol=1e-6)


def test_the_teacher_of_dino_slows_down_to_a_stop_and_warms_up():
    method = made(DINO)
    pace = []
    for progress in (0.0, 0.5, 1.0):
        method.losses(batch(progress=progress))
        pace.append(method.teacher.decay)
    assert pace == pytest.approx([0.996, 0.998, 1.0])
    assert [method.temperature(p) for p in (0, 0.05, 0.1, 1)] == pytest.approx([0.04, 0.055, 0.07, 0.07])


def test_local_views_are_small_and_only_the_student_sees_them(monkeypatch):
    sizes, rng = [], np.random.default_rng(0)
    monkeypatch.setattr(
        dino, "view", lambda image, size, share, _: sizes.append((size, share)) or crops(image, size, share, rng)
    )
    method = made(DINO, local=3)
    method.losses(batch())
    assert sizes == [((16, 16), (0.4, 1.0))] * 2 + [((7, 7), (0.05, 0.4))] * 3


# cross-sensor alignment


def test_msad_is_the_soft_cross_entropy_of_both_directions_at_each_place():
    one, other, smoothing = codes(2, 3, 4), codes(2, 3, 4, seed=1), 0.3
    terms = []
    for a, b in zip(one.double(), other.double(), strict=True):
        logits, target = b @ a.T, ((a @ a.T + b @ b.T) / 2).softmax(1)
        for scores, wanted in ((logits, target), (logits.T, target.T)):
            # smoothing spreads a share of each target evenly over the images
            wanted = (1 - smoothing) * wanted + smoothing / 3 * 1
            terms.append(-(wanted * scores.log_softmax(1)).sum(1).mean())
    assert torch.allclose(alignment(one, other, smoothing).double(), torch.stack(terms).mean(), atol=1e-5)


def test_msad_is_least_where_the_sensors_agree_and_its_gradient_is_that_of_the_codes():
    one = (3 * F.normalize(codes(1, 4, 8), dim=2)).requires_grad_()
    assert alignment(one, one.detach()) < alignment(one, one.detach().roll(1, 1))
    alignment(one, one.detach().roll(1, 1)).backward()
    assert one.grad.abs().sum() > 0


def test_a_coarser_sensor_keeps_what_is_even_and_blurs_what_is_fine():
    assert torch.allclose(degraded(torch.full((1, 2, 3, 13, 17), 0.4), 3.7), torch.tensor(0.4), atol=1e-5)
    x = torch.arange(96.0)
    kept = []
    for period in (48, 12, 6):
        wave = torch.cos(2 * math.pi * (x + 0.5) / period).expand(1, 1, 96, 96)
        kept.append((degraded(wave, 4.0)[..., 24:72, 24:72].std() / wave[..., 24:72, 24:72].std()).item())
    assert kept[0] > 0.9
    assert kept == sorted(kept, reverse=True)
    assert kept[2] < 0.15


def test_a_dot_is_spread_by_the_point_spread_of_the_coarse_sensor():
    dot = torch.zeros(1, 1, 64, 64)
    dot[..., 32, 32] = 1
    seen = degraded(dot, 4.0)[0, 0]
    assert seen.sum().item() == pytest.approx(1, rel=1e-3)
    away = torch.arange(64) - 32.0
    variance = (seen.sum(0) * away**2).sum() - (seen.sum(0) * away).sum() ** 2
    optics, pixel, between = (4 / 2.3548) ** 2, (4**2 - 1) / 12, (4**2) / 6  # of a Gaussian, a box, a triangle
    assert variance.item() == pytest.approx(optics + pixel + between, rel=0.1)


def test_the_second_sensor_comes_with_the_samples_or_is_made():
    samples = pairs()
    samples["coarse"] = torch.rand(4, 2, 5, 16, 16)
    method = made(XStars, sensor="coarse", select=(4, 0, 2))
    assert method.wants == ("coarse",)
    seen = dict(zip(("own", "other"), (image for _, image in method.images(batch(unlabelled=samples))), strict=True))
    assert torch.equal(seen["other"], samples["coarse"][:, :, [4, 0, 2]])
    assert set(method.losses(batch(unlabelled=samples))) == {"distillation", "alignment"}
    with pytest.raises(ModelError, match="needs 'coarse'"):
        method.losses(batch())
    with pytest.raises(ModelError, match="band 4"):
        method.losses(batch(unlabelled=samples | {"coarse": torch.rand(4, 2, 3, 16, 16)}))
    with pytest.raises(ModelError, match="images of 'coarse'"):
        method.losses(batch(unlabelled=samples | {"coarse": torch.rand(4, 1, 5, 16, 16)}))


def test_the_settings_of_the_distillation_are_noted():
    assert made(XStars, warm=0.05).settings()["warm"] == 0.05


# change-aware contrast


def test_a_changed_place_is_a_rival_of_itself_and_an_unchanged_one_is_not():
    query, key, rival, queue = (F.normalize(codes(n, 5, seed=i), dim=1) for i, n in enumerate((2, 2, 2, 6)))
    found = contrast(query, key, queue, 0.07, rival, torch.tensor([True, False]))
    one = contrast(query[:1], key[:1], torch.cat([queue, rival[:1]]), 0.07)
    other = contrast(query[1:], key[1:], queue, 0.07)
    assert torch.allclose(found, (one + other) / 2, atol=1e-5)


def test_the_mixture_finds_the_two_distributions_that_values_are_drawn_from():
    rng = np.random.default_rng(0)
    drawn = np.concatenate([rng.normal(-1, 0.3, 3000), rng.normal(2, 0.6, 1000)])
    weight, mean, deviation = two_normals(torch.from_numpy(drawn).float())
    assert weight.tolist() == pytest.approx([0.75, 0.25], abs=0.02)
    assert mean.tolist() == pytest.approx([-1, 2], abs=0.1)
    assert deviation.tolist() == pytest.approx([0.3, 0.6], abs=0.05)
    assert upper(torch.tensor([-9.0, -1.0, 2.0, 9.0]), weight, mean, deviation).tolist() == [False, False, True, True]


@pytest.mark.parametrize("values", [torch.zeros(8), torch.tensor([1.0] * 7 + [2.0])])
def test_ratios_that_hardly_differ_give_no_nan(values):
    assert all(t.isfinite().all() for t in two_normals(values))


def test_places_that_changed_more_than_light_changes_them_are_found(monkeypatch):
    monkeypatch.setattr(caco, "view", lambda image, size, share, rng: image)
    method, ratios = made(CaCo), torch.tensor([0.0, 0.1, 2.0, 0.05, -0.1, 0.0, 1.9, 2.1])
    assert not method.changed(ratios[:4]).any()  # too few to tell
    assert method.changed(ratios[4:]).tolist() == [False, False, True, True]
    assert method.remembered == 8
    assert torch.equal(method.ratios, ratios)
    method.changed(ratios[:2])
    assert torch.equal(method.ratios, torch.cat([ratios[2:], ratios[:2]]))
    image = pairs()["image"]
    lit = image.transpose(0, 1).flatten(0, 1) * 0.9
    before, after = method.key(image[:, 0]), method.key(image[:, 1])
    short = ((before - method.key(lit[:4])).norm(dim=1) + (after - method.key(lit[4:])).norm(dim=1)) / 2
    expected = (((before - after).norm(dim=1) + 1e-4) / (short + 1e-4)).log()
    assert torch.allclose(method.ratio(image, lit), expected, atol=1e-5)


def test_the_other_date_of_a_place_is_its_rival(monkeypatch):
    monkeypatch.setattr(caco, "view", lambda image, size, share, rng: image)
    method = made(CaCo)
    monkeypatch.setattr(method, "changed", lambda ratios: torch.ones_like(ratios, dtype=torch.bool))
    queue, image = method.queue_of_keys.clone(), pairs()["image"]
    both, other = torch.cat([image[:, 0], image[:, 1]]), torch.cat([image[:, 1], image[:, 0]])
    query, key, rival = method.query(both), method.key(both), method.key(other)
    expected = torch.stack(
        [contrast(query[i : i + 1], key[i : i + 1], torch.cat([queue, rival[i : i + 1]]), 0.07) for i in range(8)]
    ).mean()
    assert torch.allclose(method.losses(batch())["contrast"], expected, atol=1e-4)


def test_change_needs_two_dates():
    with pytest.raises(ModelError, match="two dates"):
        made(CaCo).losses(batch(unlabelled={"image": torch.rand(2, 3, 16, 16)}))


# masked autoencoding


def test_low_and_high_frequencies_add_up_to_the_normalised_patch():
    image = torch.rand(2, 3, 16, 24)
    low, high = targets(image, 4, 2)
    assert low.shape == (2, 6, 3 * 16)
    assert high.shape == (2, 6, 3 * 64)
    patch = image[1, :, 8:16, 16:24]  # the last of two rows and three columns
    patch = (patch - patch.mean()) / (patch.var(unbiased=False) + 1e-6).sqrt()
    coarse = low[1, 5].view(3, 4, 4)
    assert torch.allclose(coarse, F.avg_pool2d(patch, 2), atol=1e-5)
    repeated = coarse.repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert torch.allclose(repeated + high[1, 5].view(3, 8, 8), patch, atol=1e-5)
    assert targets(torch.ones(1, 3, 8, 8), 4, 2)[0].abs().max() == 0


def test_the_losses_are_over_masked_patches_only_and_of_seen_ones_nothing_is_asked(monkeypatch):
    method, image = made(ScaleMAE, masked=0.5, high=2.0), torch.rand(2, 3, 16, 16)
    rng = np.random.default_rng(3)
    monkeypatch.setattr("mage.learning.pretext.scale_mae.dihedral", lambda image, mask, rng: (image, mask))
    order, kept = method.hide(F.avg_pool2d(image, 2), np.random.default_rng(3))
    assert kept == 2
    losses = method.reconstruct(image, torch.tensor([0.5, 1.0]), rng)
    found = method.fill(F.avg_pool2d(image, 2), torch.tensor([1.0, 2.0]), order, kept)
    low, high = (torch.stack([t[i, order[i, 2:]] for i in range(2)]) for t in targets(image, 4, 2))
    assert torch.allclose(losses["low"], (method.coarse(found) - low).square().mean(), atol=1e-6)
    assert torch.allclose(losses["high"], 2 * (method.fine(found) - high).abs().mean(), atol=1e-6)


def test_what_is_masked_is_not_seen():
    method, image = made(ScaleMAE), torch.rand(1, 3, 16, 16)
    order, kept = method.hide(image, np.random.default_rng(0))
    assert (order.shape, kept) == ((1, 16), 4)
    assert sorted(order[0].tolist()) == list(range(16))
    other = image.clone()
    for place in order[0, kept:].tolist():
        row, column = divmod(place, 4)
        other[..., 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 0
    gsd = torch.tensor([1.0])
    assert torch.equal(method.fill(image, gsd, order, kept), method.fill(other, gsd, order, kept))


def test_the_gsd_comes_with_the_samples_or_as_an_argument():
    alike = made(ScaleMAE, gsd=0.5)
    assert made(ScaleMAE).wants == ("gsd",)
    assert alike.wants == ()
    one, other, far = (
        method.losses(batch(unlabelled=samples))["low"].item()
        for method, samples in (
            (made(ScaleMAE), pairs()),
            (alike, {"image": pairs()["image"]}),
            (made(ScaleMAE), pairs() | {"gsd": torch.full((4,), 9.0)}),
        )
    )
    assert one == other
    assert one != far
    with pytest.raises(ModelError, match="needs 'gsd'"):
        made(ScaleMAE).losses(batch(unlabelled={"image": pairs()["image"]}))


def test_without_a_factor_it_is_masked_autoencoding():
    assert list(made(ScaleMAE, factor=1).losses(batch())) == ["low"]


def test_masked_autoencoding_needs_a_transformer():
    with pytest.raises(ModelError, match="ViT"):
        ScaleMAE(ResidualEncoder(2))


# geometry


@pytest.mark.parametrize("gsd", [0.5, 2.0])
def test_the_normals_of_a_plane_are_those_of_its_slope(gsd):
    column, row = torch.arange(7.0), torch.arange(5.0)[:, None]
    plane = ((0.4 * column - 0.2 * row) * gsd)[None] + 3
    expected = F.normalize(torch.tensor([-0.4, 0.2, 1.0]), dim=0)
    assert torch.allclose(
        normals_of(plane, torch.tensor([gsd])), expected[None, :, None, None].expand(1, 3, 5, 7), atol=1e-5
    )


def test_normals_turn_with_the_height():
    height = torch.rand(1, 6, 6)
    mirrored = normals_of(height.flip(2), torch.ones(1)).flip(3)
    assert torch.allclose(
        mirrored, normals_of(height, torch.ones(1)) * torch.tensor([-1, 1, 1]).view(1, 3, 1, 1), atol=1e-6
    )


def test_a_single_pixel_faces_up():
    assert normals_of(torch.full((1, 1, 1), 9.0), torch.ones(1)).flatten().tolist() == [0, 0, 1]


def test_normals_next_to_what_is_not_known_are_not_known():
    known = torch.ones(1, 5, 5, dtype=torch.bool)
    known[0, 2, 2] = False
    assert (~surrounded(known)).nonzero()[:, 1:].tolist() == [[1, 2], [2, 1], [2, 2], [2, 3], [3, 2]]


def test_geometry_is_the_smooth_error_of_log_heights_and_the_cosine_of_normals(monkeypatch):
    for name, plain in (("dihedral", lambda image, mask, rng: (image, mask)), ("jitter", lambda image, rng: image)):
        monkeypatch.setattr(f"mage.learning.pretext.geometry.{name}", plain)
    method, samples = made(Geometry, normals=0.5), pairs()
    samples["mask"][0, :, :8] = 255
    found = method.losses(batch(source=samples, unlabelled=pairs()))
    image, known = samples["image"].flatten(0, 1), (samples["mask"] != 255).repeat_interleave(2, 0)
    height = torch.stack([samples["pre_height"], samples["post_height"]], 1).flatten(0, 1) / 100
    said = method.decoder(method.model(image))
    wrong = F.smooth_l1_loss(said[:, 0], torch.log(1 + height), reduction="none")
    assert torch.allclose(found["height"], wrong[known].mean(), atol=1e-6)
    normals, sure = normals_of(height, torch.full((8,), 0.5)), surrounded(known)
    cosine = (F.normalize(said[:, 1:], dim=1) * normals).sum(1)
    assert torch.allclose(found["normals"], 0.5 * (1 - cosine)[sure].mean(), atol=1e-6)


def test_heights_of_one_date_and_of_single_images_teach_too():
    samples = pairs()
    single = {"image": samples["image"][:, 0], "mask": samples["mask"], "ndsm": samples["pre_height"] / 100.0}
    method = made(Geometry, heights=("ndsm",), metre=1.0, gsd=0.5)
    assert method.wants == ("ndsm",)
    found = method.losses(batch(target=single))["height"]
    assert torch.allclose(found, made(Geometry, heights=("pre_height",)).losses(batch(source=samples))["height"])


def test_heights_that_are_missing_or_of_another_size_are_named():
    samples = pairs()
    with pytest.raises(ModelError, match="needs 'post_height'"):
        made(Geometry).losses(batch(source={k: t for k, t in samples.items() if k != "post_height"}))
    with pytest.raises(ModelError, match="images and heights differ"):
        made(Geometry).losses(batch(source=samples | {"pre_height": samples["pre_height"][:, 1:]}))
    with pytest.raises(ModelError, match="images and heights differ"):
        made(Geometry).losses(batch(source=samples | {"image": samples["image"][:, :1]}))


def test_shards_teach_their_geometry(drawn, tmp_path):
    tiles = ShardDataset(drawn, size=16, labels=("pre_height", "post_height"))
    run = fit(made(Geometry), tiles, out=tmp_path / "run", steps=2, batch=2, device="cpu")
    assert set(run.log()[-1]) >= {"height", "normals"}
    with pytest.raises(ModelError, match=r"needs 'pre_height'.*`labels`"):
        fit(made(Geometry), ShardDataset(drawn, size=16), out=tmp_path / "bare", steps=1, batch=2, device="cpu")
    with pytest.raises(ModelError, match="source' or 'target"):
        fit(made(Geometry), unlabelled=tiles, out=tmp_path / "none", steps=1, batch=2, device="cpu")


def test_only_some_samples_with_a_gsd_are_refused(tmp_path):
    class Half(Stripes):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            return sample | {"gsd": torch.tensor(0.5)} if int(index) else sample

    with pytest.raises(DatasetError, match="'gsd'"):
        fit(made(ScaleMAE), unlabelled=Half(2), out=tmp_path / "run", steps=1, batch=2, device="cpu")
