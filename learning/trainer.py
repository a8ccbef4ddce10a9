"""The state of a training: one step at a time, saved and taken up again to the bit."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mage.learning.devices import autocast, channels_last, reduced_precision
from mage.learning.ema import BatchNorm, MovingAverage
from mage.learning.methods import Batch, Method, Samples
from mage.learning.processes import ALONE, Processes
from mage.learning.runs import (
    AVERAGE,
    METHOD,
    OPTIMIZER,
    Arguments,
    MethodRecord,
    Run,
    RunRecord,
    check_weights,
    save_run,
)
from mage.learning.sampling import EpochSampler
from mage.learning.shapes import shape_of
from mage.scenes.errors import ModelError

WEIGHT_DECAY, CLIP = 0.01, 1.0
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # AdamW's state of a parameter


class Training:
    """What changes from step to step: the method's state, its model's average, the optimizer, and how far it all got.

    Args:
        method: moved to ``device`` and put into training mode.
        arguments: of the course.
        samplers: of each stream; where they stand is saved with the rest.
        device: where to compute.
        processes: that train together; all begin with the weights of the first, and stay alike.
    """

    def __init__(
        self,
        method: Method,
        arguments: Arguments,
        samplers: Mapping[str, EpochSampler],
        device: torch.device,
        processes: Processes = ALONE,
    ) -> None:
        self.method: Method = method.to(device).train()
        if device.type == "cuda":  # measured: on CPUs GroupNorm loses in channels-last what the convolutions gain
            channels_last(method)
        self.arguments, self.samplers, self.device, self.processes = arguments, samplers, device, processes
        processes.follow_first([t for t in method.state_dict().values() if isinstance(t, Tensor)])
        self.average = MovingAverage(method.model)
        self.parameters = {name: p for name, p in method.named_parameters() if p.requires_grad}
        if not self.parameters:
            raise ModelError("the method leaves nothing to train: no parameter requires a gradient")
        self.optimizer = torch.optim.AdamW(_groups(self.parameters, method.rates()), lr=arguments.lr, foreach=True)
        self.step = 0
        self.stopping = False

    def advance(self, parts: Sequence[Mapping[str, Samples]], asked: Callable[[], bool] = bool) -> dict[str, float]:
        """One step over the batches whose gradients are averaged; returns the line for the log.

        Args:
            parts: batches; of several processes, the parts of them that are this one's.
            asked: whether this process was asked to stop; :attr:`stopping` tells whether any was.

        Raises:
            ModelError: the loss or its gradient is not finite; the weights are as they were.
        """
        began = time.perf_counter()
        lr = learning_rate(self.step, self.arguments.steps, self.arguments.lr)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["factor"]
        self.optimizer.zero_grad(set_to_none=True)
        losses = self._backward(parts)
        self.stopping = self.processes.agree(asked(), on=", ".join(losses))
        line = self._update(losses)
        self._share_buffers()
        self.method.after_step()
        self.average.update()
        self.step += 1
        return {"step": self.step, **line, "lr": lr, "seconds": round(time.perf_counter() - began, 4)}

    def _update(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        """Step along the mean gradient of all processes; returns the mean losses, their sum, and the gradient's norm.

        Raises:
            ModelError: one of them is not finite.
        """
        parameters, means = list(self.parameters.values()), torch.stack(list(losses.values()))
        self.processes.average_gradients(parameters)
        self.processes.average([means])
        norm = nn.utils.clip_grad_norm_(parameters, CLIP, foreach=True)
        values = torch.cat([torch.stack([means.sum(), norm]), means]).tolist()
        line = dict(zip(("loss", "gradient", *losses), values, strict=True))
        if not all(map(math.isfinite, values)):
            raise ModelError(self._not_finite({name: line[name] for name in (*losses, "gradient")}))
        self.optimizer.step()
        return line

    def _not_finite(self, values: Mapping[str, float]) -> str:
        name, value = next((n, v) for n, v in values.items() if not math.isfinite(v))
        what = "gradient" if name == "gradient" else f"loss '{name}'"
        advice = "a smaller learning rate, and look for images or labels that are out of range"
        return f"the {what} is not finite at step {self.step + 1} ({value}): try {advice}"

    def _share_buffers(self) -> None:
        """Statistics of BatchNorm become their means over the processes, other buffers, such as queues of earlier
        batches, those of the first process.
        """
        if self.processes.world == 1:
            return
        layers = [m for m in self.method.modules() if isinstance(m, BatchNorm) and m.track_running_stats]
        averaged = [b for m in layers for b in (m.running_mean, m.running_var) if b is not None]
        known = {id(b) for b in averaged}
        self.processes.average(averaged)
        self.processes.follow_first([b for b in self.method.buffers() if id(b) not in known])

    def _backward(self, parts: Sequence[Mapping[str, Samples]]) -> dict[str, Tensor]:
        """Gradients of the mean over the parts; returns the mean of each loss."""
        totals: dict[str, Tensor] = {}
        for number, part in enumerate(parts):
            with autocast(self.device):
                losses: dict[str, Tensor] = self.method(self._batch(part, number))
            scaled = {name: loss.float() / len(parts) for name, loss in losses.items()}
            torch.autograd.backward(torch.stack(list(scaled.values())).sum())
            for name, loss in scaled.items():
                totals[name] = totals.get(name, 0) + loss.detach()
        return totals

    def _batch(self, part: Mapping[str, Samples], number: int) -> Batch:
        """The streams on the device; bytes travel, floats do not."""
        there: dict[str, Any] = {
            stream: {name: t.to(self.device, non_blocking=True) for name, t in samples.items()}
            for stream, samples in part.items()
        }
        # Processes and parts of a step are numbered through: two processes draw as one does with two parts. The 1
        # keeps it apart from order and crops.
        seed = (self.arguments.seed, self.step, 1 + number * self.processes.world + self.processes.rank)
        return Batch(np.random.default_rng(seed), progress=self.step / self.arguments.steps, **there)

    def save(self, folder: Path) -> Run:
        """Write a checkpoint of this step, if this is the first process."""
        record = self._record()
        if not self.processes.first:
            return Run(folder, record)
        tensors = {METHOD + name: t for name, t in self.method.state_dict().items()}
        tensors |= {AVERAGE + name: t for name, t in self.average.weights.items()}
        for name, parameter in self.parameters.items():
            state = self.optimizer.state[parameter]
            tensors |= {f"{OPTIMIZER}{name}.{moment}": state[moment] for moment in MOMENTS if state}
        # a clone each: tensors that share memory, such as tied weights, cannot be stored
        return save_run(folder, record, {name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()})

    def _record(self) -> RunRecord:
        return RunRecord(
            step=self.step,
            checkpoint=f"checkpoint-{self.step:08d}.safetensors",
            model=shape_of(self.method.model),
            method=method_record(self.method),
            arguments=self.arguments,
            samplers={
                name: order.state_dict(self.step * self.arguments.accumulate) for name, order in self.samplers.items()
            },
            device=self.device.type if self.processes.world > 1 else str(self.device),
            processes=self.processes.world,
            precision=str(reduced_precision(self.device) or torch.float32).removeprefix("torch."),
            versions={"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
        )

    def restore(self, run: Run) -> None:
        """Take up the state of a run.

        Raises:
            ModelError: its checkpoint cannot be read, or is of another model or method.
        """
        state, average = run.tensors(METHOD), run.tensors(AVERAGE)
        check_weights(self.method, state, run.checkpoint)
        check_weights(self.method.model, average, run.checkpoint)
        self.method.load_state_dict(state)
        for name, tensor in average.items():
            self.average.weights[name].copy_(tensor)
        self._restore_moments(run)
        for name, order in self.samplers.items():
            order.load_state_dict(run.record.samplers[name])
        self.step = self.average.updates = run.step

    def _restore_moments(self, run: Run) -> None:
        moments = run.tensors(OPTIMIZER)
        for name, parameter in self.parameters.items():
            state = {moment: moments.get(f"{name}.{moment}") for moment in MOMENTS}
            if all(t is None for t in state.values()):
                continue  # it never had a gradient
            if any(t is None or (m != "step" and t.shape != parameter.shape) for m, t in state.items()):
                raise ModelError(f"the checkpoint lacks the optimizer's state of '{name}'", file=run.checkpoint)
            self.optimizer.state[parameter] = {
                m: t if m == "step" else t.to(parameter.device) for m, t in state.items() if t is not None
            }


def method_record(method: Method) -> MethodRecord:
    """What a run notes about its method."""
    return MethodRecord(name=type(method).__name__, settings=method.settings())


def learning_rate(step: int, steps: int, highest: float) -> float:
    """Linear warm-up over a tenth of all steps, at most 100, then a cosine to zero; ``step`` counts from 0."""
    warm_up = min(100, steps // 10)
    if step < warm_up:
        return highest * (step + 1) / (warm_up + 1)
    return highest * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(steps - warm_up, 1)))


def _groups(parameters: Mapping[str, nn.Parameter], rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Parameters with weight decay (kernels) and without (biases and norms), by the factor on their learning rate."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        factor = next((rate for module, rate in rates.items() if name.startswith(f"{module}.")), 1.0)
        groups.setdefault((factor, WEIGHT_DECAY if parameter.ndim > 1 else 0.0), []).append(parameter)
    return [{"params": p, "factor": factor, "weight_decay": decay} for (factor, decay), p in groups.items()]
