"""First weights from a seed, without a trace in torch's global generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mage.scenes.errors import ModelError


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """A context in which new modules get the first weights of a seed; torch's global generator is left as it was.

    Raises:
        ModelError: torch cannot use the seed.
    """
    if not 0 <= seed < 2**63:
        raise ModelError("a model cannot have this seed", expected="0 to 2^63 - 1", found=str(seed))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
