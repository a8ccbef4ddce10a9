"""Mean Teacher: the student says of a strong view what its average says of a weak one."""

from __future__ import annotations

import math
from typing import Unpack

from torch import Tensor, nn

from mage.learning.ema import Teacher
from mage.learning.losses import log_probabilities
from mage.learning.methods import Batch, Supervised, SupervisedOptions
from mage.learning.views import strong


class MeanTeacher(Supervised):
    """Weight-averaged consistency targets (Tarvainen and Valpola 2017, section 2): the mean squared difference of the
    student's class probabilities to those of its moving average joins the supervised loss.

    Its weight grows with the share p of training as exp(-5 (1 - p / ramp)²), then stays.

    Args:
        model: any; see :class:`~mage.learning.Method`.
        consistency: weight in the end. The paper's is 100, for images of one label each; so much of it drove small
            segmentation networks to a single class, which no consistency contradicts.
        ramp: share of training over which it grows; the paper's 40,000 of 150,000 steps.
        decay: of the teacher's average; the paper's is 0.999 after the ramp.
        weights: of each class in the supervised loss.
        augment: of labelled and unlabelled images; the student's view of the latter is changed further in its light.

    >>> from mage.learning import SiameseDamageNet
    >>> method = MeanTeacher(SiameseDamageNet(width=4))
    >>> [round(method.weight(progress), 3) for progress in (0.0, 0.1, 0.5)]
    [0.007, 0.138, 1.0]
    """

    needs = ("unlabelled",)

    def __init__(
        self,
        model: nn.Module,
        *,
        consistency: float = 1.0,
        ramp: float = 0.27,
        decay: float = 0.999,
        **options: Unpack[SupervisedOptions],
    ) -> None:
        super().__init__(model, **options)
        self.consistency, self.ramp, self.decay = consistency, ramp, decay
        self.teacher = Teacher(model, decay)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The supervised losses, and ``consistency``."""
        losses = self.supervised(batch)
        weak = self.weak(batch)
        wanted = log_probabilities(self.teacher(weak)).exp()
        found = log_probabilities(self.model(strong(weak, batch.rng))).exp()
        return losses | {"consistency": self.weight(batch.progress) * (found - wanted).square().mean()}

    def after_step(self) -> None:
        """The teacher follows."""
        self.teacher.update(self.model)

    def weight(self, progress: float) -> float:
        """Of the consistency at this share of training."""
        done = 1.0 if self.ramp <= 0 else min(progress / self.ramp, 1.0)
        return self.consistency * math.exp(-5 * (1 - done) ** 2)
