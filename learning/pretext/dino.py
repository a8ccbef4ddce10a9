"""Self-distillation: small views of a place say what an averaged teacher says of large ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.ema import Teacher
from mage.learning.encoders import padded
from mage.learning.methods import Batch
from mage.learning.pretext.task import Pretext, pool, view
from mage.learning.seeds import seeded
from mage.scenes.errors import ModelError

LOCAL_SIDE = 96 / 224  # of a local view to a global one, in pixels
LARGE, SMALL = (0.4, 1.0), (0.05, 0.4)  # shares of global and local views in the area of an image
WARM_UP = 0.1  # share of training over which the teacher's temperature rises


class DINO(Pretext):
    """Self-distillation without labels (Caron et al. 2021, equations 1 to 4): the mean cross-entropy
    -P_t log P_s of every view of the student against every other of the teacher's two large views, where
    P_s = softmax(g_s / τ_s), and P_t = softmax((g_t - c) / τ_t) with the centre c, a moving average of g_t.

    The teacher is a moving average of the student, whose decay rises to 1 by a cosine; its temperature rises over the
    first tenth of training, the paper's 30 of 300 epochs. Of places with two dates the two large views are of two dates
    in a share of cases, see :class:`MoCo`.

    Args:
        model: an :class:`~mage.learning.Encoder`.
        size: side of a large view in pixels; None takes that of the images. Local ones have 3/7 of it.
        local: small views; the paper's are 8.
        temporal: probability that the large views are of two dates, where there are some.
        student: τ_s; the paper's is 0.1.
        cold: τ_t at first; the paper's is 0.04.
        warm: τ_t in the end; the paper's is 0.07.
        centring: decay of the centre; the paper's is 0.9.
        decay: of the teacher at first; the paper's is 0.996.
        prototypes: of the head's last layer, whose rows have length 1; the paper's are 65536.
        hidden: of the head's two layers; the paper's are 2048.
        bottleneck: of the head; the paper's is 256.
        seed: of the head's first weights.

    Raises:
        ModelError: the model is no encoder, or a number cannot be.

    >>> from mage.learning import ResidualEncoder
    >>> DINO(ResidualEncoder(width=4), prototypes=32, hidden=16, bottleneck=8).settings()["student"]
    0.1
    """

    centre: Tensor

    def __init__(
        self,
        model: nn.Module,
        *,
        size: int | None = None,
        local: int = 8,
        temporal: float = 0.5,
        student: float = 0.1,
        cold: float = 0.04,
        warm: float = 0.07,
        centring: float = 0.9,
        decay: float = 0.996,
        prototypes: int = 65536,
        hidden: int = 2048,
        bottleneck: int = 256,
        seed: int = 0,
    ) -> None:
        super().__init__(model)
        if min(prototypes, hidden, bottleneck, 1 if size is None else size) < 1 or local < 0:
            raise ModelError("such a task cannot be", expected="1 or more of each, 0 or more local views")
        if not min(student, cold, warm) > 0:
            raise ModelError("a temperature cannot be", expected="above 0", found=f"{student}, {cold}, {warm}")
        self.size, self.local, self.temporal, self.student, self.cold, self.warm = (
            size, local, temporal, student, cold, warm,
        )  # fmt: skip
        self.centring, self.decay, self.prototypes = centring, decay, prototypes
        self.hidden, self.bottleneck, self.seed = hidden, bottleneck, seed
        with seeded(seed):
            self.head = Head(self.encoder.channels[-1], hidden, bottleneck, prototypes)
        self.register_buffer("centre", torch.zeros(prototypes))
        self.teacher, self.teacher_head = Teacher(model, decay), Teacher(self.head, decay)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """``distillation``."""
        pairs = list(self.twice(batch, self.temporal))
        return {"distillation": torch.stack([self.distil(*pair, batch) for pair in pairs]).mean()}

    def distil(self, first: Tensor, second: Tensor, batch: Batch) -> Tensor:
        """The loss of places seen in two images each, (N, C, H, W)."""
        size = (self.size, self.size) if self.size else (first.shape[-2], first.shape[-1])
        less = (max(1, round(size[0] * LOCAL_SIDE)), max(1, round(size[1] * LOCAL_SIDE)))
        large = [view(image, size, LARGE, batch.rng) for image in (first, second)]
        small = [view((first, second)[i % 2], less, SMALL, batch.rng) for i in range(self.local)]
        taught = self._teach(torch.cat(large), batch.progress)
        said = [self.head(self.pooled(torch.cat(part))).float() for part in (large, small) if part]
        scores = torch.cat([part.view(-1, len(first), self.prototypes) for part in said])
        return distillation(scores / self.student, taught)

    def after_step(self) -> None:
        """The teacher follows."""
        self.teacher.update(self.model)
        self.teacher_head.update(self.head)

    def temperature(self, progress: float) -> float:
        """τ_t at this share of training."""
        return self.cold + (self.warm - self.cold) * min(progress / WARM_UP, 1)

    @torch.no_grad()
    def _teach(self, image: Tensor, progress: float) -> Tensor:
        """Log-probabilities (2, N, prototypes) of the teacher, which follows at the pace of this share of training;
        the centre moves.
        """
        decay = 1 - (1 - self.decay) * (1 + math.cos(math.pi * progress)) / 2
        self.teacher.decay = self.teacher_head.decay = decay
        features = self.teacher(padded(image, self.encoder.strides[-1]))
        scores = self.teacher_head(pool(features)).float()
        taught = ((scores - self.centre) / self.temperature(progress)).log_softmax(1)
        self.centre.lerp_(scores.mean(0), 1 - self.centring)
        return taught.view(2, -1, self.prototypes)


class Head(nn.Module):
    """Three layers to a code of length 1, whose cosines with the prototypes are the scores."""

    def __init__(self, inputs: int, hidden: int, bottleneck: int, prototypes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, bottleneck)
        )
        self.prototypes = nn.Linear(bottleneck, prototypes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) -> (N, prototypes)."""
        code = F.normalize(self.layers(x), dim=1)
        return F.linear(code, F.normalize(self.prototypes.weight, dim=1))


def distillation(scores: Tensor, taught: Tensor) -> Tensor:
    """The mean over views, but for those of a teacher's view with itself, and over images of -P_t log P_s.

    Args:
        scores: of the student over its temperature, (views, N, prototypes), large views first.
        taught: log-probabilities of the teacher, (large views, N, prototypes).
    """
    entropy = -torch.einsum("tnp,snp->tsn", taught.exp(), scores.log_softmax(2)).mean(2)
    other = ~torch.eye(*entropy.shape, dtype=torch.bool, device=entropy.device)
    return entropy[other].mean()
