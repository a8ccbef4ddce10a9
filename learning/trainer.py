"""The state of a training: one step at a time, saved and taken up again to the bit."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mage.learning.devices import autocast, channels_last, reduced_precision
from mage.learning.ema import MovingAverage
from mage.learning.methods import Batch, Method, Samples
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
    """

    def __init__(
        self, method: Method, arguments: Arguments, samplers: Mapping[str, EpochSampler], device: torch.device
    ) -> None:
        self.method: Method = method.to(device).train()
        if device.type == "cuda":  # measured: on CPUs GroupNorm loses in channels-last what the convolutions gain
            channels_last(method)
        self.arguments, self.samplers, self.device = arguments, samplers, device
        self.average = MovingAverage(method.model)
        self.parameters = {name: p for name, p in method.named_parameters() if p.requires_grad}
        if not self.parameters:
            raise ModelError("the method leaves nothing to train: no parameter requires a gradient")
        self.optimizer = torch.optim.AdamW(_groups(self.parameters, method.rates()), lr=arguments.lr, foreach=True)
        self.step = 0

    def advance(self, parts: Sequence[Mapping[str, Samples]]) -> dict[str, float]:
        """One step over the batches whose gradients are averaged; returns the line for the log.

        Raises:
            ModelError: the loss or its gradient is not finite; the weights are as they were.
        """
        began = time.perf_counter()
        lr = learning_rate(self.step, self.arguments.steps, self.arguments.lr)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["factor"]
        self.optimizer.zero_grad(set_to_none=True)
        losses = self._backward(parts)
        norm = nn.utils.clip_grad_norm_(list(self.parameters.values()), CLIP, foreach=True)
        values = torch.stack([torch.stack(list(losses.values())).sum(), norm, *losses.values()]).tolist()
        if not all(map(math.isfinite, values)):
            raise ModelError(f"the loss is not finite at step {self.step + 1}: try a smaller learning rate")
        self.optimizer.step()
        self.method.after_step()
        self.average.update()
        self.step += 1
        line = dict(zip(("loss", "gradient", *losses), values, strict=True))
        return {"step": self.step, **line, "lr": lr, "seconds": round(time.perf_counter() - began, 4)}

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
        seed = (self.arguments.seed, self.step, 1 + number)  # the 1 keeps it apart from order and crops
        return Batch(np.random.default_rng(seed), progress=self.step / self.arguments.steps, **there)

    def save(self, folder: Path) -> Run:
        """Write a checkpoint of this step."""
        record = RunRecord(
            step=self.step,
            checkpoint=f"checkpoint-{self.step:08d}.safetensors",
            model=shape_of(self.method.model),
            method=method_record(self.method),
            arguments=self.arguments,
            samplers={
                name: order.state_dict(self.step * self.arguments.accumulate) for name, order in self.samplers.items()
            },
            device=str(self.device),
            precision=str(reduced_precision(self.device) or torch.float32).removeprefix("torch."),
            versions={"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
        )
        tensors = {METHOD + name: t for name, t in self.method.state_dict().items()}
        tensors |= {AVERAGE + name: t for name, t in self.average.weights.items()}
        for name, parameter in self.parameters.items():
            state = self.optimizer.state[parameter]
            tensors |= {f"{OPTIMIZER}{name}.{moment}": state[moment] for moment in MOMENTS if state}
        # a clone each: tensors that share memory, such as tied weights, cannot be stored
        return save_run(folder, record, {name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()})

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
