"""Methods in ``fit``, in a loop of one's own, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from toys import Fixed, Stripes, ToyNet, batch, plain, stream

from mage.learning import (
    Batch,
    Method,
    Prediction,
    SiameseDamageNet,
    Supervised,
    Teacher,
    fit,
    log_probabilities,
    open_run,
    supervised_losses,
    surprise,
)
from mage.learning.ema import MovingAverage
from mage.learning.seeds import seeded
from mage.learning.trainer import channels_last
from mage.scenes.errors import DatasetError, ModelError

pytestmark = pytest.mark.usefixtures("float32")


class Pulled(Supervised):
    """Uses all that a method may have: a third stream, a teacher, a module with a rate of its own, noise."""

    needs = ("unlabelled",)

    def __init__(self, model, *, pull=0.5):
        super().__init__(model)
        self.pull = pull
        self.teacher = Teacher(model)
        with seeded(0):
            self.extra = nn.Linear(1, 1)

    def losses(self, batch):
        image = batch.image("unlabelled")
        image = image + float(batch.rng.normal()) * 0.01
        away = (log_probabilities(self.model(image)) - log_probabilities(self.teacher(image))).square().mean()
        return self.supervised(batch) | {"pull": self.pull * away, "extra": self.extra(image.mean().view(1, 1)).mean()}

    def after_step(self):
        self.teacher.update(self.model)

    def rates(self):
        return {"extra": 0.0}


def pulled(out, steps=6, **options):
    source, few, target = Stripes(), Stripes(3), Stripes(light=0.3)
    return fit(Pulled(ToyNet()), source, few, target, out=out, steps=steps, batch=2, device="cpu", **options)


def tensors(run):
    return load_file(run.checkpoint)


def test_a_run_of_three_streams_with_a_teacher_resumes_to_the_bit(tmp_path):
    whole = pulled(tmp_path / "whole", accumulate=2)
    seen = []

    class Dying(Stripes):
        def __getitem__(self, index):
            seen.append(index)
            if len(seen) > 2 * 2 * 4:
                raise OSError("gone")
            return super().__getitem__(index)

    arguments = {"out": tmp_path / "parts", "steps": 6, "batch": 2, "accumulate": 2, "device": "cpu", "every": 2}
    with pytest.raises(OSError, match="gone"):
        fit(Pulled(ToyNet()), Stripes(), Stripes(3), Dying(light=0.3), **arguments)
    assert open_run(tmp_path / "parts").step == 4
    records = open_run(tmp_path / "parts").trained_on()
    (tmp_path / "parts" / "trained_on.json").write_text(
        records.model_dump_json().replace("Dying", "Stripes")  # the same samples, of a class that does not fail
    )
    resumed = pulled(tmp_path / "parts", accumulate=2, resume=True)
    one, other = tensors(resumed), tensors(whole)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert int(one["method.teacher._extra_state"]) == 6


def test_a_module_of_rate_nought_stands_still_while_the_others_move(tmp_path):
    method = Pulled(ToyNet())
    before = method.extra.weight.clone()
    run = fit(method, Stripes(), None, Stripes(), out=tmp_path / "run", steps=2, batch=2, device="cpu")
    assert torch.equal(method.extra.weight, before)
    assert not torch.equal(tensors(run)["method.model.head.weight"], ToyNet().head.weight)


def test_gradients_of_parts_are_averaged():
    from mage.learning.runs import Arguments
    from mage.learning.trainer import Training

    model, cpu = nn.Conv2d(3, 3, 1), torch.device("cpu")
    training = Training(Supervised(model, augment=plain), Arguments(steps=1, batch=2, lr=1, seed=0), {}, cpu)
    four = stream(4)
    halves = [{name: t[part] for name, t in four.items()} for part in (slice(2), slice(2, 4))]
    grads = []
    for parts in ([{"source": four}], [{"source": half} for half in halves]):
        model.zero_grad()
        losses = training._backward(parts)
        grads.append((model.weight.grad.clone(), losses["segmentation"]))
    assert torch.allclose(grads[0][0], grads[1][0], atol=1e-6)
    assert torch.allclose(grads[0][1], grads[1][1], atol=1e-6)


def test_a_method_works_in_a_loop_of_the_users_own():
    method = Pulled(ToyNet())
    optimizer = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=0.1)
    course = []
    for step in range(8):
        losses = method.losses(batch(seed=step, source=stream(4), unlabelled=stream(4)))
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        method.after_step()
        course.append(losses["segmentation"].item())
    assert course[-1] < course[0]


def test_masks_of_the_unlabelled_stream_never_reach_a_method(tmp_path):
    class Peeking(Method):
        needs, labelled = ("unlabelled",), False

        def losses(self, batch):
            assert set(batch.unlabelled) == {"image"}
            return {"any": self.model(batch.image("unlabelled")).mean()}

    run = fit(Peeking(ToyNet()), unlabelled=Stripes(), out=tmp_path / "run", steps=1, batch=2, device="cpu")
    assert run.record.method.name == "Peeking"


class Measured(Stripes):
    """Stripes with a height in cm, a label, and a GSD, which is none."""

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        return sample | {"pre_height": sample["mask"].int() * 300, "gsd": torch.tensor(0.5), "key": str(int(index))}


class Curious(Supervised):
    """Wants what Measured holds, and something that nobody has."""

    wants, needs = ("pre_height", "gsd", "nobody"), ("unlabelled",)

    def losses(self, batch):
        assert set(batch.source) == {"image", "mask", "pre_height", "gsd"}
        assert set(batch.unlabelled) == {"image", "gsd"}
        assert batch.wanted("source", "pre_height").shape == batch.source["mask"].shape
        assert batch.wanted("unlabelled", "gsd").tolist() == [0.5, 0.5]
        return self.supervised(batch)


def test_further_tensors_come_to_the_method_that_wants_them_but_labels_only_of_labelled_streams(tmp_path):
    arguments = {"steps": 1, "batch": 2, "device": "cpu"}
    assert fit(Curious(ToyNet()), Measured(), None, Measured(), out=tmp_path / "run", **arguments).step == 1
    with pytest.raises(AssertionError):
        fit(Curious(ToyNet()), Stripes(), None, Measured(), out=tmp_path / "bare", **arguments)


def test_what_a_method_cannot_do_without_is_named():
    whole = batch()
    with pytest.raises(ModelError, match=r"needs 'gsd' in the samples of the stream 'source'.*found image, mask"):
        whole.wanted("source", "gsd")
    with pytest.raises(ModelError, match="no such stream"):
        whole.wanted("target", "gsd")


@pytest.mark.parametrize(("gsd", "word"), [(None, "lack the tensor 'gsd'"), (torch.tensor(torch.nan), "not finite")])
def test_further_tensors_are_whole_and_finite(tmp_path, gsd, word):
    class Broken(Measured):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            return sample | {"gsd": gsd} if int(index) == 0 else sample

    with pytest.raises(DatasetError, match=word):
        fit(Curious(ToyNet()), Broken(2), None, Measured(), out=tmp_path / "run", steps=1, batch=2, device="cpu")


def test_streams_of_one_seed_have_orders_of_their_own():
    from mage.learning.streams import samplers

    orders = samplers({"source": Stripes(50), "unlabelled": Stripes(50)}, 0, 50, 1)
    one, other = (next(iter(order)) for order in orders.values())
    assert one != other
    assert sorted(one) == sorted(other) == list(range(50))


@pytest.mark.parametrize(
    ("streams", "word"),
    [
        ((None, None, Stripes()), "source' or 'target"),
        ((Stripes(), None, None), "unlabelled"),
        ((Stripes(), Stripes(side=8), Stripes()), "differ in shape"),
    ],
)
def test_streams_that_a_method_cannot_use_are_named(tmp_path, streams, word):
    with pytest.raises(ModelError, match=word):
        fit(Pulled(ToyNet()), *streams, out=tmp_path / "run", steps=1, batch=2, device="cpu")


def test_a_run_is_not_resumed_by_another_method_or_setting(tmp_path):
    pulled(tmp_path / "run", steps=1)
    arguments = {"out": tmp_path / "run", "steps": 2, "batch": 2, "device": "cpu", "resume": True}
    streams = (Stripes(), Stripes(3), Stripes(light=0.3))
    with pytest.raises(ModelError, match="'pull' differs"):
        fit(Pulled(ToyNet(), pull=0.1), *streams, **arguments)
    with pytest.raises(ModelError, match="method 'name' differs"):
        fit(Supervised(ToyNet()), *streams, **arguments)
    with pytest.raises(ModelError, match="target data's 'presence' differs"):
        fit(Pulled(ToyNet()), streams[0], None, streams[2], **arguments)


def test_samples_of_one_batch_must_be_of_one_shape(tmp_path):
    class Uneven(Stripes):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            return {name: t[..., : 8 + int(index)] for name, t in sample.items()}

    with pytest.raises(DatasetError, match="differ in shape"):
        fit(Supervised(ToyNet()), Uneven(), out=tmp_path / "run", steps=1, batch=2, device="cpu")


def test_nothing_to_train_is_refused(tmp_path):
    with pytest.raises(ModelError, match="nothing to train"):
        fit(Supervised(ToyNet().requires_grad_(False)), Stripes(), out=tmp_path / "run", device="cpu")


def test_a_model_of_ones_own_class_is_filled_from_its_run(tmp_path):
    net = ToyNet()
    run = fit(Supervised(net), Stripes(), out=tmp_path / "run", steps=2, batch=2, device="cpu")
    with pytest.raises(ModelError, match="load_into"):
        run.model("cpu")
    loaded = run.load_into(ToyNet(seed=5))
    assert not loaded.training
    assert all(torch.equal(t, loaded.state_dict()[name]) for name, t in net.state_dict().items())
    with pytest.raises(ModelError, match="another model"):
        run.load_into(SiameseDamageNet(4))


def test_the_batch_says_which_stream_it_lacks():
    lacking = Batch(np.random.default_rng(0))
    with pytest.raises(ModelError, match="'unlabelled'"):
        lacking.image("unlabelled")
    with pytest.raises(ModelError, match="labelled samples"):
        lacking.labelled()


def test_bytes_become_floats_and_floats_stay():
    mixed = Batch(
        np.random.default_rng(0),
        source={"image": torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)},
        unlabelled={"image": torch.full((1, 3, 2, 2), 0.25)},
    )
    assert (mixed.image("source") == 1).all()
    assert (mixed.image("unlabelled") == 0.25).all()


def test_weights_that_do_not_fit_the_model_are_refused():
    for weights in ([1.0, 1], [1.0, 1, 0], [1.0, 1, float("nan")]):
        with pytest.raises(ModelError, match="weights"):
            Supervised(ToyNet(), weights=weights)


def test_log_probabilities_are_those_of_the_prediction_and_stay_finite():
    generator = torch.Generator().manual_seed(0)
    scores = [torch.randn(2, n, 4, 4, generator=generator) for n in (1, 4)]
    found = Prediction(*scores)
    assert torch.allclose(log_probabilities(found).exp(), found.probabilities(), atol=1e-6)
    assert log_probabilities(Prediction(scores[0] * 1e4, scores[1] * 1e4)).isfinite().all()
    assert torch.allclose(log_probabilities(scores[1]).exp().sum(1), torch.ones(2, 4, 4))


def test_the_loss_of_plain_logits_is_the_weighted_cross_entropy_and_nought_without_labels():
    logits, mask = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    weights = torch.tensor([1.0, 2.0, 3.0])
    mask[0, 0] = 255
    expected = nn.functional.cross_entropy(logits, mask, weights, ignore_index=255)
    assert torch.allclose(supervised_losses(logits, mask, weights)["segmentation"], expected)
    assert supervised_losses(logits, torch.full_like(mask, 255))["segmentation"] == 0


def test_surprise_shrinks_with_the_weights():
    log_p = torch.tensor([0.5, 0.25, 0.25]).log().view(1, 3, 1, 1).expand(1, 3, 1, 4)
    label, weight = torch.tensor([[[0, 1, 2, 255]]]), torch.tensor([[[1.0, 0.5, 0, 1]]])
    expected = (np.log(2) + 0.5 * np.log(4)) / 4
    assert surprise(log_p, label, weight).item() == pytest.approx(expected, abs=1e-6)


def test_a_teacher_averages_batch_norms_statistics_and_normalises_by_the_batch():
    student = nn.BatchNorm2d(2)
    teacher = Teacher(student, decay=0.75)
    teacher.update(student)
    student.running_mean.fill_(8)
    student.num_batches_tracked.fill_(5)
    mean = 0.0
    for decay in (1 / 2, 2 / 3, 3 / 4, 3 / 4):
        teacher.update(student)
        mean = decay * mean + (1 - decay) * 8
        assert torch.allclose(teacher.model.running_mean, torch.full((2,), mean))
    assert teacher.model.num_batches_tracked == 5
    state = {name: t.clone() for name, t in teacher.state_dict().items()}
    image = torch.randn(4, 2, 5, 5) + 3
    assert torch.allclose(teacher(image).mean((0, 2, 3)), torch.zeros(2), atol=1e-5)  # by the batch
    assert all(torch.equal(t, state[name]) for name, t in teacher.state_dict().items())
    assert not any(p.requires_grad for p in teacher.parameters())


def test_kernels_are_laid_out_and_all_else_is_left_alone():
    net = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv3d(2, 2, 3), nn.Linear(4, 2), nn.BatchNorm2d(4))
    before = {name: t.clone() for name, t in net.state_dict().items()}
    average = MovingAverage(net)
    channels_last(net)
    assert net[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert net[1].weight.is_contiguous()
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())
    average.update()  # follows the parameters, not the memory that they had
    assert all(torch.equal(t, before[name]) for name, t in average.weights.items())


def test_a_teacher_drops_nothing_in_either_mode():
    teacher = Teacher(nn.Sequential(nn.Dropout(0.9), nn.BatchNorm2d(2)))
    for mode in (True, False):
        teacher.train(mode)
        assert [module.training for module in teacher.model] == [False, True]


def test_settings_are_the_numbers_that_a_method_was_given():
    assert Pulled(Fixed(torch.zeros(1, 3, 2, 2)), pull=0.25).settings() == {"pull": 0.25, "hide": 0.0}
