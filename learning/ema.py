"""Exponential moving averages of a model's weights: what is saved and used, and what teaches."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

BatchNorm = nn.modules.batchnorm._BatchNorm


class MovingAverage:
    """Averages all floating-point state of a model, buffers included, and copies the rest.

    The decay grows as (1 + t) / (10 + t) up to ``decay``, so that short runs do not average in their first weights.
    """

    def __init__(self, model: nn.Module, decay: float = 0.999) -> None:
        self.decay, self.updates = decay, 0
        self._live = model.state_dict(keep_vars=True)
        self.weights: dict[str, Tensor] = {name: t.detach().clone() for name, t in self._live.items()}

    def update(self) -> None:
        """Take in the model's present weights."""
        self.updates += 1
        follow(self.weights, self._live, min(self.decay, (1 + self.updates) / (10 + self.updates)))


class Teacher(nn.Module):
    """A copy of a student that follows it: weights and buffers, such as those of BatchNorm, are averaged.

    It takes no gradient and is always in evaluation mode, but for BatchNorm, which normalises by the batch, as the
    student's does while it learns: running statistics are those of all domains that the student sees, and a teacher of
    the target would look through the source's. Its buffers move by the average alone. The decay of update t, from 0 on,
    is min(1 - 1 / (t + 1), ``decay``), as in Mean Teacher (Tarvainen and Valpola 2017): the first update copies the
    student, later ones average it.

    Args:
        student: what is followed.
        decay: of the average.
        by_batch: BatchNorm normalises by the batch; else by its averaged statistics, as it must where what the teacher
            says of one batch is compared with what it says of another.

    >>> student = torch.nn.Linear(2, 1)
    >>> teacher = Teacher(student, decay=0.99)
    >>> teacher.update(student)
    >>> torch.equal(teacher(torch.ones(1, 2)), student(torch.ones(1, 2)))
    True
    """

    def __init__(self, student: nn.Module, decay: float = 0.999, *, by_batch: bool = True) -> None:
        super().__init__()
        self.decay, self.by_batch, self.updates = decay, by_batch, 0
        self.model = deepcopy(student).requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Teacher:  # noqa: ARG002 - a teacher stays as it is
        """Stay in evaluation mode, BatchNorm aside."""
        super().train(False)
        for module in self.model.modules():
            if self.by_batch and isinstance(module, BatchNorm):
                # training without tracking: by the batch, and the buffers are left alone
                module.training, module.track_running_stats = True, False
        return self

    def forward(self, *inputs: Any) -> Any:
        """What the averaged model makes of the inputs, without a gradient."""
        with torch.no_grad():
            return self.model(*inputs)

    def update(self, student: nn.Module) -> None:
        """Take in the student's present weights and buffers."""
        self.updates += 1
        decay = min(1 - 1 / self.updates, self.decay)
        follow(self.model.state_dict(keep_vars=True), student.state_dict(keep_vars=True), decay)

    def get_extra_state(self) -> Tensor:
        """The number of updates, so that a resumed teacher follows at the same pace."""
        return torch.tensor(self.updates)

    def set_extra_state(self, state: Tensor) -> None:
        """Take up the number of updates."""
        self.updates = int(state)


@torch.no_grad()
def follow(mean: Mapping[str, Tensor], live: Mapping[str, Tensor], decay: float) -> None:
    """Move each floating-point tensor of ``mean`` to decay · mean + (1 - decay) · live; copy the others."""
    averaged = [name for name, t in mean.items() if t.is_floating_point()]
    torch._foreach_lerp_([mean[name] for name in averaged], [live[name] for name in averaged], 1 - decay)
    for name in mean.keys() - set(averaged):
        mean[name].copy_(live[name])
