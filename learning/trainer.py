"""The state of a training: one step at a time, saved and taken up again to the bit."""

from __future__ import annotations

import math
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mage.learning.augmentation import augment
from mage.learning.devices import autocast, place, reduced_precision
from mage.learning.ema import MovingAverage
from mage.learning.losses import damage_losses
from mage.learning.runs import (
    AVERAGE,
    OPTIMIZER,
    WEIGHTS,
    Arguments,
    ModelShape,
    Run,
    RunRecord,
    check_weights,
    save_run,
)
from mage.learning.sampling import EpochSampler
from mage.learning.segment import SiameseDamageNet
from mage.scenes.errors import ModelError

WEIGHT_DECAY, CLIP = 0.01, 1.0
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # AdamW's state of a parameter


@dataclass(frozen=True, slots=True)
class Batch:
    """``image``, uint8 (N, 2, bands, H, W), and ``mask``, (N, H, W), on the CPU."""

    image: Tensor
    mask: Tensor


class Training:
    """What changes from step to step: weights, their average, the optimizer, and how far it all got.

    Args:
        model: moved to ``device`` and put into training mode.
        arguments: of the course.
        weights: of each grade in the damage loss.
        sampler: where its stream stands is saved with the rest.
        device: where to compute.
    """

    def __init__(
        self,
        model: SiameseDamageNet,
        arguments: Arguments,
        weights: list[float],
        sampler: EpochSampler,
        device: torch.device,
    ) -> None:
        # Measured: on CPUs GroupNorm loses in channels-last what the convolutions gain.
        layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
        self.model: SiameseDamageNet = model.to(device, memory_format=layout).train()  # type: ignore[call-overload]
        self.arguments, self.weights, self.sampler, self.device = arguments, weights, sampler, device
        self.average = MovingAverage(model)
        self.optimizer = torch.optim.AdamW(_groups(model), lr=arguments.lr, foreach=True)
        self.step = 0

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The losses of a batch as it looks after this step's augmentation."""
        rng = np.random.default_rng((self.arguments.seed, self.step, 1))  # the 1 keeps it apart from order and crops
        image, mask = augment(place(batch.image, self.device), batch.mask.to(self.device, non_blocking=True), rng)
        with autocast(self.device):
            prediction = self.model(image)
        return damage_losses(prediction, mask, torch.tensor(self.weights, device=self.device))

    def advance(self, batch: Batch) -> dict[str, float]:
        """One step; returns the line for the log.

        Raises:
            ModelError: the loss or its gradient is not finite; the weights are as they were.
        """
        began = time.perf_counter()
        lr = learning_rate(self.step, self.arguments.steps, self.arguments.lr)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad(set_to_none=True)
        losses = self.losses(batch)
        loss = torch.stack(list(losses.values())).sum()
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), CLIP, foreach=True)
        values = torch.stack([loss, norm, *losses.values()]).detach().tolist()
        if not all(map(math.isfinite, values)):
            raise ModelError(f"the loss is not finite at step {self.step + 1}: try a smaller learning rate")
        self.optimizer.step()
        self.average.update()
        self.step += 1
        line = dict(zip(("loss", "gradient", *losses), values, strict=True))
        return {"step": self.step, **line, "lr": lr, "seconds": round(time.perf_counter() - began, 4)}

    def save(self, folder: Path) -> Run:
        """Write a checkpoint of this step."""
        shape = ModelShape(width=self.model.width, bands=self.model.bands, grades=self.model.grades)
        record = RunRecord(
            step=self.step,
            checkpoint=f"checkpoint-{self.step:08d}.safetensors",
            model=shape,
            arguments=self.arguments,
            grade_weights=self.weights,
            sampler=self.sampler.state_dict(self.step),
            device=str(self.device),
            precision=str(reduced_precision(self.device) or torch.float32).removeprefix("torch."),
            versions={"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
        )
        tensors = {WEIGHTS + name: t for name, t in self.model.state_dict().items()}
        tensors |= {AVERAGE + name: t for name, t in self.average.weights.items()}
        for name, parameter in self.model.named_parameters():
            state = self.optimizer.state[parameter]
            tensors |= {f"{OPTIMIZER}{name}.{moment}": state[moment] for moment in MOMENTS if state}
        return save_run(folder, record, {name: t.detach().cpu().contiguous() for name, t in tensors.items()})

    def restore(self, run: Run) -> None:
        """Take up the state of a run.

        Raises:
            ModelError: its checkpoint cannot be read, or is of another model.
        """
        for kind, into in ((WEIGHTS, self.model.state_dict()), (AVERAGE, self.average.weights)):
            tensors = run.tensors(kind)
            check_weights(self.model, tensors, run.checkpoint)
            for name, tensor in tensors.items():
                into[name].copy_(tensor)
        moments = run.tensors(OPTIMIZER)
        for name, parameter in self.model.named_parameters():
            state = {moment: moments.get(f"{name}.{moment}") for moment in MOMENTS}
            if any(t is None or (m != "step" and t.shape != parameter.shape) for m, t in state.items()):
                raise ModelError(f"the checkpoint lacks the optimizer's state of '{name}'", file=run.checkpoint)
            self.optimizer.state[parameter] = {
                m: t if m == "step" else t.to(parameter.device) for m, t in state.items() if t is not None
            }
        self.sampler.load_state_dict(run.record.sampler)
        self.step = self.average.updates = run.step
        self.weights = run.record.grade_weights


def learning_rate(step: int, steps: int, highest: float) -> float:
    """Linear warm-up over a tenth of all steps, at most 100, then a cosine to zero; ``step`` counts from 0."""
    warm_up = min(100, steps // 10)
    if step < warm_up:
        return highest * (step + 1) / (warm_up + 1)
    return highest * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(steps - warm_up, 1)))


def _groups(model: nn.Module) -> list[dict[str, Any]]:
    """Parameters with weight decay (kernels) and without (biases and norms)."""
    kernels = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": kernels, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
