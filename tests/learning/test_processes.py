"""Several processes train one model: two of them, on 127.0.0.1, by gloo."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from pairs import free_port, in_two
from safetensors.torch import load_file
from toys import Stripes, ToyNet, plain

from mage.learning import DANN, EpochSampler, MeanTeacher, Supervised, fit, open_run
from mage.learning.processes import Processes, join
from mage.scenes.errors import DatasetError, ModelError

pytestmark = pytest.mark.usefixtures("float32")

ARGUMENTS = {"batch": 4, "device": "cpu", "lr": 0.01}


class Plain(torch.nn.Module):
    """Two convolutions without BatchNorm."""

    classes = 3

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 3, 1)
        )

    def forward(self, image):
        return self.layers(image)


def furthest(one, other):
    """The largest difference of two runs' tensors."""
    first, second = load_file(one.checkpoint), load_file(other.checkpoint)
    assert first.keys() == second.keys()
    return max(float((first[name].double() - second[name].double()).abs().max()) for name in first)


def test_the_mean_gradient_of_two_processes_is_that_of_the_whole_batch_in_one(tmp_path):
    def train(out):
        return fit(Supervised(Plain(), augment=plain), Stripes(7), out=out, steps=5, **ARGUMENTS)

    whole = train(tmp_path / "one")  # first, so that the other two need not import what this one does
    assert in_two(lambda _: train(tmp_path / "two").step, tmp_path / "ends") == [5, 5]
    two = open_run(tmp_path / "two")
    assert two.record.processes == 2
    assert furthest(whole, two) < 1e-6
    for mine, theirs in zip(whole.log(), two.log(), strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], abs=1e-6)
        assert mine["gradient"] == pytest.approx(theirs["gradient"], abs=1e-6)


@pytest.mark.parametrize("kind", [Supervised, MeanTeacher, DANN])
def test_two_processes_draw_as_one_does_that_accumulates(tmp_path, kind):
    class Net(ToyNet):
        def __init__(self):
            super().__init__()
            self.encoder[1] = torch.nn.GroupNorm(2, 8)

    def train(out, batch, accumulate):
        streams = {"source": Stripes(7), "unlabelled": Stripes(5, light=0.3)}
        used = {name: s for name, s in streams.items() if name == "source" or kind.needs}
        options = ARGUMENTS | {"batch": batch}
        return fit(kind(Net()), **used, out=out, steps=3, accumulate=accumulate, **options)

    assert in_two(lambda _: train(tmp_path / "two", 4, 1).step, tmp_path / "ends") == [3, 3]
    assert furthest(train(tmp_path / "one", 2, 2), open_run(tmp_path / "two")) < 1e-6


def state_of(method):
    return {name: tensor.double().sum().item() for name, tensor in method.state_dict().items()}


def test_weights_buffers_and_teachers_are_the_same_in_all_processes_wherever_they_began(tmp_path):
    def train(rank):
        method = MeanTeacher(ToyNet(seed=rank))
        method.register_buffer("seen", torch.tensor(float(rank)))
        fit(method, Stripes(7), None, Stripes(5, light=0.3), out=tmp_path / "run", steps=3, **ARGUMENTS)
        return state_of(method)

    one, other = in_two(train, tmp_path / "ends")
    assert one == other
    assert one["seen"] == 0
    stored = load_file(open_run(tmp_path / "run").checkpoint)
    assert (
        stored["method.teacher.model.encoder.1.running_mean"].double().sum().item()
        == one["teacher.model.encoder.1.running_mean"]
    )


def test_running_statistics_are_the_means_of_those_of_the_processes(tmp_path):
    class Norm(torch.nn.Module):
        classes = 3

        def __init__(self):
            super().__init__()
            self.norm = torch.nn.BatchNorm2d(3)

        def forward(self, image):
            return self.norm(image)

    def train(_):
        method = Supervised(Norm(), augment=plain)
        return fit(method, Stripes(4), out=tmp_path / "run", steps=1, **ARGUMENTS).step

    assert in_two(train, tmp_path / "ends") == [1, 1]
    order = EpochSampler(4, batch=4).first(4)
    means = [
        torch.stack([Stripes(4)[index]["image"] for index in half]).mean((0, 2, 3)) for half in (order[:2], order[2:])
    ]
    found = load_file(open_run(tmp_path / "run").checkpoint)["method.model.norm.running_mean"]
    assert torch.allclose(found, 0.1 * torch.stack(means).mean(0), atol=1e-6)


def test_a_parameter_that_one_process_alone_reaches_learns_and_one_that_none_reaches_stays(tmp_path):
    class Choosy(Supervised):
        def __init__(self, model):
            super().__init__(model, augment=plain)
            self.extra, self.idle = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
            self.rank = 0

        def losses(self, batch):
            pull = self.extra.square().sum() if self.rank == 1 else torch.zeros(())
            return super().losses(batch) | {"pull": pull}

    def train(rank):
        method = Choosy(Plain())
        method.rank = rank
        fit(method, Stripes(4), out=tmp_path / "run", steps=2, **ARGUMENTS)
        return [method.extra.tolist(), method.idle.tolist()]

    one, other = in_two(train, tmp_path / "ends")
    assert one == other
    assert max(one[0]) < 1
    assert one[1] == [1, 1, 1]


class Trouble(Stripes):
    """Stripes whose second epoch does something in the process of a rank."""

    def __init__(self, n, act):
        super().__init__(n)
        self.act = act

    def __getitem__(self, index):
        if index.epoch == 1:
            self.act()
        return super().__getitem__(index)


def train_with(folder, act, steps=6, **options):
    """A training in which process 1 acts in its second step, and process 0 does not."""

    def train(rank):
        data = Trouble(7, act if rank == 1 else bool)
        return fit(Supervised(ToyNet()), data, out=folder, steps=steps, **(ARGUMENTS | {"every": 1} | options)).step

    return train


def test_a_run_that_one_process_was_asked_to_stop_goes_on_to_the_bit_and_goes_on_in_one(tmp_path):
    quiet = train_with(tmp_path / "whole", bool)
    assert in_two(quiet, tmp_path / "whole-ends") == [6, 6]
    cut = train_with(tmp_path / "cut", lambda: signal.raise_signal(signal.SIGINT), every=9)
    assert in_two(cut, tmp_path / "cut-ends") == ["KeyboardInterrupt: stopped after step 2 of 6; resume to go on"] * 2
    assert open_run(tmp_path / "cut").step == 2
    shutil.copytree(tmp_path / "cut", tmp_path / "alone")
    assert in_two(train_with(tmp_path / "cut", bool, resume=True), tmp_path / "resumed-ends") == [6, 6]
    assert furthest(open_run(tmp_path / "whole"), open_run(tmp_path / "cut")) == 0
    assert train_with(tmp_path / "alone", bool, resume=True)(0) == 6
    alone = open_run(tmp_path / "alone")
    assert alone.record.processes == 1
    assert [line["step"] for line in alone.log()] == [1, 2, 3, 4, 5, 6]


def fail():
    raise DatasetError("the sample is broken", file="x.tar")


def test_a_failure_in_one_process_ends_all_with_its_reason_told_once(tmp_path):
    mine, theirs = in_two(train_with(tmp_path / "run", fail, workers=1), tmp_path / "ends")
    assert theirs == "DatasetError: x.tar: the sample is broken"
    assert mine == "LostError: another process of this training failed, and says why; all end"
    assert open_run(tmp_path / "run").step == 1


def test_a_process_that_dies_ends_all_and_leaves_the_last_checkpoint(tmp_path):
    mine, theirs = in_two(train_with(tmp_path / "run", lambda: os.kill(os.getpid(), signal.SIGKILL)), tmp_path / "ends")
    assert theirs is None
    assert mine.startswith("LostError: another process of this training is gone (")
    assert mine.endswith("go on from the last checkpoint, with --resume")
    assert open_run(tmp_path / "run").step == 1


def test_a_loss_that_is_not_finite_in_one_process_ends_all(tmp_path):
    class Diverging(Supervised):
        rank, calls = 0, 0

        def losses(self, batch):
            self.calls += 1
            broken = float("inf") if self.rank == 1 and self.calls == 2 else 1
            return {name: loss * broken for name, loss in super().losses(batch).items()}

    def train(rank):
        method = Diverging(ToyNet())
        method.rank = rank
        return fit(method, Stripes(7), out=tmp_path / "run", steps=3, every=1, **ARGUMENTS)

    ends = in_two(train, tmp_path / "ends")
    assert len(set(ends)) == 1
    assert ends[0].startswith(
        "ModelError: the loss 'segmentation' is not finite at step 2 (inf): try a smaller learning"
    )
    assert open_run(tmp_path / "run").step == 1


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"lr": (0.1, 0.2)}, "the processes of this training differ"),
        ({"batch": (3, 3)}, "a batch cannot be parted equally among the processes; expected a multiple of 2"),
        ({"resume": (True, True)}, "no such run"),
        ({"device": ("cpu:1", "cpu:1")}, "torch finds no device"),
    ],
)
def test_what_cannot_be_done_together_is_refused_in_all_processes(tmp_path, change, word):
    def train(rank):
        options = ARGUMENTS | {name: values[rank] for name, values in change.items()}
        return fit(Supervised(Plain()), Stripes(4), out=tmp_path / "run", steps=1, **options)

    assert all(word in end for end in in_two(train, tmp_path / "ends"))
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_process_group_of_the_callers_own_is_used_and_left(tmp_path):
    def train(_):
        torch.distributed.init_process_group("gloo")
        fit(Supervised(Plain()), Stripes(4), out=tmp_path / "run", steps=1, **ARGUMENTS)
        return torch.distributed.is_initialized()

    assert in_two(train, tmp_path / "ends") == [True, True]
    assert open_run(tmp_path / "run").record.processes == 2


def test_an_environment_that_tells_half_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ModelError, match=r"not RANK: several processes are started by torchrun"):
        join("cpu")
    monkeypatch.setenv("WORLD_SIZE", "many")
    with pytest.raises(ModelError, match="found many"):
        join("cpu")


def test_one_process_of_one_sends_nothing(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    processes, device = join("cpu")
    assert (processes, device) == (Processes(), torch.device("cpu"))
    tensor = torch.ones(2)
    processes.average([tensor])
    processes.follow_first([tensor])
    assert processes.agree(True)
    assert not processes.agree(False)
    assert tensor.tolist() == [1, 1]


@pytest.mark.long
def test_torchrun_trains_evaluates_and_resumes_by_the_command_line(drawn, tmp_path):
    out = tmp_path / "run"
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
    words = [*start, "-m", "mage.scenes.cli", "train", "--data", drawn, "--out", out, "--device", "cpu"]
    small = ["--size", "32", "--batch", "4", "--width", "4"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for more in ([*small, "--steps", "2"], ["--resume", "--steps", "4"]):
        done = subprocess.run(
            [str(w) for w in (*words, *more)], capture_output=True, text=True, timeout=200, env=environment
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [str(out)]  # one of them speaks
    assert open_run(out).record.processes == 2
    assert open_run(out).step == 4


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_on_torchrun_stops_all_after_a_step_with_a_checkpoint(drawn, tmp_path, number):
    out = tmp_path / "run"
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
    words = [*start, "-m", "mage.scenes.cli", "train", "--data", drawn, "--out", out, "--device", "cpu"]
    words += ["--size", "32", "--batch", "2", "--width", "2", "--steps", "100000", "--every", "100000"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([str(w) for w in words], stderr=subprocess.PIPE, text=True, env=environment)
    until = time.monotonic() + 120
    while not ((out / "log.jsonl").exists() and (out / "log.jsonl").stat().st_size) and time.monotonic() < until:
        time.sleep(0.2)
    process.send_signal(number)
    _, told = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "resume to go on: torchrun" in told
    run = open_run(out)
    assert run.step == len(run.log()) > 0
