"""Momentum contrast: two views of a place are nearer to each other than to the views of other places."""

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


class MoCo(Pretext):
    """Momentum contrast (He et al. 2020, equation 1) with the perceptron and the views of its second version (Chen et
    al. 2020): -log of exp(q · k / τ) over the sum of it and of exp(q · n / τ) for all keys n in a queue, where q is
    the encoder's code of one view, k that of its moving average of another view, both of length 1.

    Of places with two dates the second view is of the other date in a share of cases, as in Seasonal Contrast (Mañas
    et al. 2021), but for places whose mask shows damage. Where damage is not known, as in ``unlabelled`` pairs of a
    disaster, ``temporal=0`` keeps the encoder from learning to overlook it.

    Args:
        model: an :class:`~mage.learning.Encoder`.
        size: side of a view in pixels; None takes that of the images.
        smallest: share of a view in the area of an image, at least; the paper's is 0.2.
        temporal: probability that the two views are of two dates, where there are some.
        temperature: τ; the second version's is 0.2.
        queue: keys of earlier views that are contrasted; the paper's are 65536, SeCo's 16384.
        code: numbers of a code; the paper's are 128.
        hidden: of the perceptron's layer; None takes the encoder's last channels, as the paper.
        decay: of the moving average; the paper's is 0.999.
        seed: of the first weights and keys.

    Raises:
        ModelError: the model is no encoder, or a number cannot be.

    >>> from mage.learning import ResidualEncoder
    >>> MoCo(ResidualEncoder(width=4), queue=64).settings()["temperature"]
    0.2
    """

    queue_of_keys: Tensor
    place: Tensor

    def __init__(
        self,
        model: nn.Module,
        *,
        size: int | None = None,
        smallest: float = 0.2,
        temporal: float = 0.5,
        temperature: float = 0.2,
        queue: int = 16384,
        code: int = 128,
        hidden: int | None = None,
        decay: float = 0.999,
        seed: int = 0,
    ) -> None:
        super().__init__(model)
        if min(queue, code, 1 if size is None else size) < 1 or not 0 < smallest <= 1 or not temperature > 0:
            raise ModelError("such a task cannot be", expected="numbers above 0, shares up to 1")
        self.size, self.smallest, self.temporal, self.temperature = size, smallest, temporal, temperature
        self.queue, self.code, self.hidden, self.decay, self.seed = queue, code, hidden, decay, seed
        channels = self.encoder.channels[-1]
        with seeded(seed):
            self.head = perceptron(channels, hidden or channels, code)
            self.register_buffer("queue_of_keys", F.normalize(torch.randn(queue, code), dim=1))
        self.register_buffer("place", torch.tensor(0))
        self.teacher, self.teacher_head = Teacher(model, decay), Teacher(self.head, decay)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """``contrast``."""
        queries, keys = [], []
        for first, second in self.twice(batch, self.temporal):
            size = (self.size, self.size) if self.size else (first.shape[-2], first.shape[-1])
            share = (self.smallest, 1.0)
            queries.append(self.query(view(first, size, share, batch.rng)))
            keys.append(self.key(view(second, size, share, batch.rng)))
        query, key = torch.cat(queries), torch.cat(keys)
        loss = contrast(query, key, self.queue_of_keys.clone(), self.temperature)  # which changes before the gradient
        self.enqueue(key)
        return {"contrast": loss}

    def after_step(self) -> None:
        """The average follows."""
        self.teacher.update(self.model)
        self.teacher_head.update(self.head)

    def query(self, image: Tensor) -> Tensor:
        """Codes of length 1, (N, code), of images (N, C, H, W)."""
        return F.normalize(self.head(self.pooled(image)).float(), dim=1)

    @torch.no_grad()
    def key(self, image: Tensor) -> Tensor:
        """The same of the moving average, without a gradient."""
        features = self.teacher(padded(image, self.encoder.strides[-1]))
        return F.normalize(self.teacher_head(pool(features)).float(), dim=1)

    @torch.no_grad()
    def enqueue(self, key: Tensor) -> None:
        """Put keys in the place of the oldest ones."""
        where = (self.place + torch.arange(len(key), device=key.device)) % self.queue
        self.queue_of_keys.index_copy_(0, where[-self.queue :], key[-self.queue :])
        self.place.add_(len(key)).remainder_(self.queue)


def perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """One hidden layer, as MoCo's second version."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def contrast(
    query: Tensor,
    key: Tensor,
    others: Tensor,
    temperature: float,
    rival: Tensor | None = None,
    counts: Tensor | None = None,
) -> Tensor:
    """InfoNCE (van den Oord et al. 2018), a scalar: the cross-entropy of telling each query's key from ``others``.

    Args:
        query: (N, code).
        key: of each, (N, code).
        others: (M, code), of all.
        temperature: by which products are divided.
        rival: one more of each query, (N, code), to be told from its key.
        counts: for which queries, bool (N,); the others have no such rival.
    """
    scores = [(query * key).sum(1, keepdim=True), query @ others.T]
    if rival is not None and counts is not None:
        scores.append((query * rival).sum(1, keepdim=True).masked_fill(~counts[:, None], -math.inf))
    logits = torch.cat(scores, 1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long, device=query.device))
