"""Which sample comes when: exact epochs that can be left and taken up again at the very next index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import Sampler

from mage.scenes.errors import ModelError


class Draw(int):
    """An index that also carries the seed and epoch of its drawing.

    Any dataset can be indexed with it as with an int; one that crops at random derives its generator from it, so that
    what is drawn depends on neither worker processes nor the order of calls.
    """

    seed: int
    epoch: int

    def __new__(cls, index: int, seed: int, epoch: int) -> Draw:
        """Carry ``seed`` and ``epoch`` beside the index."""
        draw = super().__new__(cls, index)
        draw.seed, draw.epoch = seed, epoch
        return draw

    def __getnewargs__(self) -> tuple[int, int, int]:  # type: ignore[override]
        return int(self), self.seed, self.epoch

    def rng(self) -> np.random.Generator:
        """A generator that is the same for the same index, seed and epoch."""
        return np.random.default_rng((self.seed, self.epoch, int(self)))


class EpochSampler(Sampler[list[Draw]]):
    """Batches without end, or up to ``stop`` batches in all, for ``DataLoader(batch_sampler=...)``.

    The stream is one permutation of all ``n`` samples after another, each a function of ``(seed, epoch)``: every
    sample comes once in each epoch. A batch may reach over the end of an epoch, so that all have the same size and no
    sample is left out.

    >>> batches = list(EpochSampler(4, batch=2, stop=2))
    >>> sorted(index for batch in batches for index in batch)
    [0, 1, 2, 3]
    """

    def __init__(self, n: int, *, seed: int = 0, batch: int = 8, stop: int | None = None) -> None:
        for name, value, least in (("samples", n, 1), ("batch size", batch, 1), ("seed", seed, 0)):
            if value < least:
                raise ModelError(
                    f"nothing can be drawn with this {name}", expected=f"{least} or more", found=str(value)
                )
        self.n, self.seed, self.batch, self.stop = n, seed, batch, stop
        self.batches = 0
        self._order: tuple[int, list[int]] = (-1, [])

    def __iter__(self) -> Iterator[list[Draw]]:
        while self.stop is None or self.batches < self.stop:
            first = self.batches * self.batch
            self.batches += 1
            yield [self._draw(position) for position in range(first, first + self.batch)]

    def state_dict(self, batches: int | None = None) -> dict[str, Any]:
        """Where the stream stands after ``batches`` batches in all; by default after those handed out so far.

        A DataLoader with worker processes asks for batches ahead of their use: pass the number that was used.
        """
        done = self.batches if batches is None else batches
        return {"n": self.n, "seed": self.seed, "batch": self.batch, "batches": done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after the batches of ``state``.

        Raises:
            ModelError: the state is of a stream over another number of samples, or with another seed or batch size.
        """
        mine = self.state_dict(0)
        for name in ("n", "seed", "batch"):
            if state.get(name) != mine[name]:
                raise ModelError(
                    f"the sampler's state has another '{name}'", expected=str(mine[name]), found=str(state.get(name))
                )
        self.batches = int(state["batches"])

    def _draw(self, position: int) -> Draw:
        epoch, place = divmod(position, self.n)
        if self._order[0] != epoch:
            order = np.random.default_rng((self.seed, epoch)).permutation(self.n)
            self._order = (epoch, order.tolist())
        return Draw(self._order[1][place], self.seed, epoch)
