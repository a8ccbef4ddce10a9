"""Training: it learns, repeats itself, stops and goes on to the bit."""

from __future__ import annotations

import json
import signal

import pytest
import torch
from safetensors.torch import load_file

from mage.learning import ShardDataset, SiameseDamageNet, Supervised, evaluate, fit, grade_weights, open_run
from mage.learning.interruption import Interruption
from mage.learning.trainer import learning_rate
from mage.scenes.errors import DatasetError, ModelError


def train(root, out, steps=6, width=4, transform=None, **options):
    dataset = ShardDataset(root, size=32, transform=transform)
    arguments = {"steps": steps, "batch": 4, "device": "cpu", "every": 4} | options
    method = Supervised(SiameseDamageNet(width), weights=grade_weights(dataset.grade_counts()))
    return fit(method, dataset, out=out, **arguments)


def train_tiles(model, dataset, out, **options):
    arguments = {"steps": 3, "batch": 2, "device": "cpu"} | options
    return fit(Supervised(model), dataset, out=out, **arguments)


def same_weights(one, other):
    first, second = load_file(one.checkpoint), load_file(other.checkpoint)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_where_buildings_stand_and_how_they_fare(drawn, tmp_path):
    run = train(drawn, tmp_path / "run", steps=150, width=8, lr=4e-3)
    start = train(drawn, tmp_path / "start", steps=1, width=8)
    before, after = (evaluate(r, ShardDataset(drawn), device="cpu").figures for r in (start, run))
    assert before["building_iou"] < 0.4
    assert after["building_iou"] > 0.7
    assert after["macro_f1"] > before["macro_f1"] + 0.2
    losses = [json.loads(line)["loss"] for line in (run.path / "log.jsonl").read_text().splitlines()]
    assert len(losses) == 150
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def test_one_seed_gives_equal_weights_and_another_does_not(drawn, tmp_path):
    one, same, other = (train(drawn, tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert same_weights(one, same)
    assert not same_weights(one, other)


def test_worker_processes_change_nothing(drawn, tmp_path):
    assert same_weights(train(drawn, tmp_path / "a"), train(drawn, tmp_path / "b", workers=2))


def interrupt_at(n, number=signal.SIGINT):
    """A transform that sends a signal while the n-th sample is loaded."""
    loaded = []

    def transform(sample):
        loaded.append(sample["key"])
        if len(loaded) == n:
            signal.raise_signal(number)
        return sample

    return transform


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on_to_the_same_weights(drawn, tmp_path, number):
    whole = train(drawn, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt, match="after step 3 of 6"):
        train(drawn, tmp_path / "parts", transform=interrupt_at(10, number))
    assert open_run(tmp_path / "parts").step == 3
    resumed = train(drawn, tmp_path / "parts", resume=True)
    assert same_weights(resumed, whole)
    lines = [
        [json.loads(line) for line in (run.path / "log.jsonl").read_text().splitlines()] for run in (resumed, whole)
    ]
    assert [line["step"] for line in lines[0]] == [1, 2, 3, 4, 5, 6]
    assert [line["loss"] for line in lines[0]] == [line["loss"] for line in lines[1]]


def test_a_killed_run_goes_on_from_its_last_checkpoint(drawn, tmp_path):
    whole = train(drawn, tmp_path / "whole", steps=8)

    def die(sample, loaded=[]):  # noqa: B006 - counts calls
        loaded.append(1)
        if len(loaded) > 6 * 4:
            raise OSError("the disk is gone")
        return sample

    with pytest.raises(OSError, match="gone"):
        train(drawn, tmp_path / "parts", steps=8, transform=die)
    assert open_run(tmp_path / "parts").step == 4
    assert len((tmp_path / "parts" / "log.jsonl").read_text().splitlines()) == 6
    assert same_weights(train(drawn, tmp_path / "parts", steps=8, resume=True), whole)
    assert len((tmp_path / "parts" / "log.jsonl").read_text().splitlines()) == 8


def test_a_finished_run_can_be_made_longer(drawn, tmp_path):
    train(drawn, tmp_path / "run", steps=2)
    assert train(drawn, tmp_path / "run", steps=5, resume=True).step == 5
    assert len(list((tmp_path / "run").glob("checkpoint-*"))) == 1


def test_the_model_in_memory_ends_with_the_averaged_weights(drawn, tmp_path):
    model = SiameseDamageNet(4)
    run = fit(Supervised(model), ShardDataset(drawn, size=32), out=tmp_path / "run", steps=3, batch=2, device="cpu")
    assert torch.equal(model.head.weight, run.model("cpu").head.weight)


def test_a_folder_with_a_run_is_not_overwritten(short_run, drawn):
    before = short_run.checkpoint.read_bytes()
    with pytest.raises(ModelError, match="already holds a run"):
        train(drawn, short_run.path)
    assert short_run.checkpoint.read_bytes() == before


def test_resuming_nothing_is_refused(drawn, tmp_path):
    with pytest.raises(ModelError, match="no such run"):
        train(drawn, tmp_path / "run", resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="a file is in its place"):
        train(drawn, tmp_path / "file")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"lr": 0.5}, "lr"),
        ({"batch": 2}, "batch"),
        ({"seed": 9}, "seed"),
        ({"width": 6}, "width"),
        ({"steps": 1}, "longer"),
    ],
)
def test_a_run_is_not_resumed_with_other_arguments(drawn, tmp_path, change, word):
    train(drawn, tmp_path / "run", steps=2)
    with pytest.raises(ModelError, match=word):
        train(drawn, tmp_path / "run", resume=True, **({"steps": 2} | change))


@pytest.mark.parametrize(
    "change",
    [{"steps": 0}, {"batch": 0}, {"seed": -1}, {"every": 0}, {"lr": 0.0}, {"lr": float("nan")}, {"accumulate": 0}],
)
def test_arguments_without_sense_are_refused(drawn, tmp_path, change):
    with pytest.raises(ModelError):
        train(drawn, tmp_path / "run", **change)
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_its_checkpoint(drawn, tmp_path):
    class Diverging(SiameseDamageNet):
        calls = 0

        def decode(self, features, size):
            self.calls += 1
            prediction = super().decode(features, size)
            return prediction._replace(localisation=prediction.localisation * (float("nan") if self.calls > 5 else 1))

    with pytest.raises(ModelError, match=r"the loss 'localisation' is not finite at step 6 \(nan\): try"):
        train_tiles(Diverging(4), ShardDataset(drawn, size=32), tmp_path / "run", steps=9, every=4)
    assert open_run(tmp_path / "run").step == 4


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_sample_is_named_whoever_loads_it(drawn, tmp_path, workers):
    def fail(sample):
        raise DatasetError("the sample is broken", file="x.tar")

    with pytest.raises(DatasetError) as caught:
        train(drawn, tmp_path / "run", transform=fail, workers=workers)
    assert str(caught.value) == "x.tar: the sample is broken"


class Tiles(torch.utils.data.Dataset):
    """A dataset of the user's own: 3 grades, 2 bands, tiles of one pixel."""

    size = (1, 1)

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return {"image": torch.full((2, 2, 1, 1), index, dtype=torch.uint8), "mask": torch.full((1, 1), int(index))}


def test_any_map_style_dataset_and_other_grades_train(tmp_path):
    run = train_tiles(SiameseDamageNet(4, bands=2, grades=3), Tiles(), tmp_path / "run")
    assert all(tensor.isfinite().all() for tensor in run.model("cpu").state_dict().values())


def test_an_empty_dataset_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="empty"):
        train_tiles(SiameseDamageNet(4), torch.utils.data.TensorDataset(torch.zeros(0)), tmp_path / "run")


def test_the_rate_rises_then_falls_towards_zero():
    rates = [learning_rate(step, 200, 1.0) for step in range(200)]
    assert rates[:20] == sorted(rates[:20])
    assert rates[20] == max(rates) == 1
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert 0 < rates[-1] < 1e-3
    assert [learning_rate(0, 1, 2.0)] == [2.0]


def test_the_second_interruption_acts_at_once_and_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(("bfloat16", "name"), [(True, "bfloat16"), (False, "float32")])
def test_both_precisions_train_and_the_run_tells_which(drawn, tmp_path, monkeypatch, bfloat16, name):
    from mage.learning import devices

    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: bfloat16)
    run = train(drawn, tmp_path / "run", steps=2)
    assert run.record.precision == name
    stored = load_file(run.checkpoint).values()
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in stored)
