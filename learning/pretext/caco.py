"""Change-aware contrast: another date of a place is told from it where, and only where, the place has changed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mage.learning.methods import Batch
from mage.learning.pretext.moco import MoCo, contrast
from mage.learning.pretext.task import view
from mage.learning.views import strong
from mage.scenes.errors import ModelError

LEAST, ROUNDS = 8, 30  # ratios that a mixture is fitted to, at least; steps of expectation and maximisation
NARROWEST = 1e-3  # deviation of a component
NEVER = 1e-4  # added to a distance that divides, as the authors do


class CaCo(MoCo):
    """Change-aware contrast (Mall et al. 2023): of the same date's views one is the query and one its key, as in
    :class:`MoCo`; the view of the other date is a further rival of that key if the place has changed between them,
    and counts for nothing if it has not.

    Whether it has, the ratio of two distances says, that of the codes of the two dates, and that of the codes of one
    date and of what another light makes of it: the logarithms of recent ratios are a mixture of two normal
    distributions, and a place whose ratio is likelier of the upper one has changed. The authors take the shorter of two
    intervals of time where a disaster's pair has but two dates; views of one date in two lights stand for it here.

    Args:
        model: an :class:`~mage.learning.Encoder`.
        size: side of a view in pixels; None takes that of the images.
        smallest: share of a view in the area of an image, at least; the authors' is 0.2.
        temperature: τ; the authors' is 0.07.
        queue: keys of earlier views that are contrasted; the authors' are 16384.
        code: numbers of a code; the authors' are 128.
        hidden: of the perceptron's layer; None takes the encoder's last channels, as the authors.
        decay: of the moving average; the authors' is 0.999.
        memory: recent ratios that the mixture is fitted to.
        seed: of the first weights and keys.

    Raises:
        ModelError: the model is no encoder, or a number cannot be.

    >>> from mage.learning import ResidualEncoder
    >>> CaCo(ResidualEncoder(width=4), queue=64).settings()["temperature"]
    0.07
    """

    ratios: Tensor
    remembered: Tensor

    def __init__(
        self,
        model: nn.Module,
        *,
        size: int | None = None,
        smallest: float = 0.2,
        temperature: float = 0.07,
        queue: int = 16384,
        code: int = 128,
        hidden: int | None = None,
        decay: float = 0.999,
        memory: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__(
            model,
            size=size,
            smallest=smallest,
            temporal=0,
            temperature=temperature,
            queue=queue,
            code=code,
            hidden=hidden,
            decay=decay,
            seed=seed,
        )
        if memory < LEAST:
            raise ModelError("such a memory cannot be", expected=f"{LEAST} or more", found=str(memory))
        self.memory = memory
        self.register_buffer("ratios", torch.zeros(memory))
        self.register_buffer("remembered", torch.tensor(0))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """``contrast``.

        Raises:
            ModelError: places have but one date.
        """
        queries, keys, rivals, ratios = [], [], [], []
        for name, image in self.images(batch):
            if image.shape[1] < 2:
                found = f"one, in the stream '{name}'"
                raise ModelError("change-aware contrast needs two dates of a place", expected="two", found=found)
            size = (self.size, self.size) if self.size else (image.shape[-2], image.shape[-1])
            dates = image[:, :2].transpose(0, 1).flatten(0, 1)  # all before, then all after
            share = (self.smallest, 1.0)
            queries.append(self.query(view(dates, size, share, batch.rng)))
            keys.append(self.key(view(dates, size, share, batch.rng)))
            rivals.append(keys[-1].roll(len(image), 0))
            ratios.append(self.ratio(image, strong(dates, batch.rng)).repeat(2))
        query, key = torch.cat(queries), torch.cat(keys)
        counts = self.changed(torch.cat(ratios))
        loss = contrast(query, key, self.queue_of_keys.clone(), self.temperature, torch.cat(rivals), counts)
        self.enqueue(key)
        return {"contrast": loss}

    def ratio(self, image: Tensor, lit: Tensor) -> Tensor:
        """Logarithm of the ratio of distances of places (N, T, C, H, W), (N,); ``lit`` are their two dates in other
        light, (2 N, C, H, W), all before, then all after.
        """
        before, after = self.key(image[:, :2].transpose(0, 1).flatten(0, 1)).chunk(2)
        other = self.key(lit).chunk(2)
        short = ((before - other[0]).norm(dim=1) + (after - other[1]).norm(dim=1)) / 2
        return ((before - after).norm(dim=1) + NEVER).log() - (short + NEVER).log()

    @torch.no_grad()
    def changed(self, ratios: Tensor) -> Tensor:
        """Which of the places, by logarithms of ratios, (N,), have changed; they join those that are remembered."""
        self.ratios.copy_(torch.cat([self.ratios, ratios.float()])[-self.memory :])
        self.remembered.add_(len(ratios)).clamp_(max=self.memory)
        known = self.ratios[self.memory - int(self.remembered) :]
        if len(known) < LEAST:
            return torch.zeros_like(ratios, dtype=torch.bool)
        return upper(ratios, *two_normals(known))


def two_normals(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, means and deviations, (2,) float64 each, of a mixture of two normal distributions, fitted to values by
    expectation and maximisation from their quartiles on; the second has the higher mean.
    """
    values = values.double()
    mean = torch.quantile(values, torch.tensor([0.25, 0.75], dtype=torch.float64, device=values.device))
    deviation = values.std().clamp(min=NARROWEST).expand(2)
    weight = torch.full_like(mean, 0.5)
    for _ in range(ROUNDS):
        share = _scores(values, weight, mean, deviation).softmax(0)
        total = share.sum(1).clamp(min=torch.finfo(torch.float64).tiny)
        weight, mean = total / len(values), (share @ values) / total
        away = values - mean[:, None]
        deviation = ((share * away.square()).sum(1) / total).sqrt().clamp(min=NARROWEST)
    order = mean.argsort()
    return weight[order], mean[order], deviation[order]


def upper(values: Tensor, weight: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Which values are likelier of the second distribution, and above the mean of the first."""
    scores = _scores(values.double(), weight, mean, deviation)
    return (scores[1] > scores[0]) & (values > mean[0])


def _scores(values: Tensor, weight: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Logarithm of each distribution's density at each value, times its weight, (2, N)."""
    away = (values - mean[:, None]) / deviation[:, None]
    return weight.log()[:, None] - deviation.log()[:, None] - away.square() / 2
