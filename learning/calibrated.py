"""Making a run's probabilities mean what they say, and measuring by how much that helped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn
from torch.utils.data import Dataset, Subset

from mage.learning.evaluation import evaluate
from mage.learning.scoring.calibration import Reliability
from mage.learning.temperature import HEADS, Temperatures, fit_temperatures
from mage.scenes.errors import ModelError


@dataclass(frozen=True, slots=True)
class Calibration:
    """Temperatures of a model, and its reliability before and after, by kind of prediction, on tiles that the
    temperatures it is measured with were not fitted to. A head whose error did not fall so keeps a temperature of 1.

    >>> from mage.learning import ShardDataset, load_model
    >>> tiles = ShardDataset(root, labels=("post_building",))
    >>> found = calibrate(load_model(run, device="cpu"), tiles, np.random.default_rng(0))
    >>> sorted(found.to_dict()["ece"])
    ['buildings', 'damage', 'localisation']
    """

    temperatures: Temperatures
    before: dict[str, Reliability]
    after: dict[str, Reliability]

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        errors = {name: {"before": self.before[name].ece(), "after": self.after[name].ece()} for name in self.before}
        return {"temperatures": self.temperatures.to_dict(), "ece": errors}

    def table(self) -> str:
        """All of it for people."""
        lines = [f"temperature of {head}: {value:.3f}" for head, value in self.temperatures.to_dict().items()]
        lines += ["", f"{'calibration error':<24}{'before':>9}{'after':>9}"]
        for name, error in self.to_dict()["ece"].items():
            cells = ("-" if value is None else f"{value:.4f}" for value in error.values())
            lines.append(f"{name:<24}" + "".join(f"{cell:>9}" for cell in cells))
        return "\n".join(lines)


def calibrate(
    model: nn.Module, dataset: Dataset[dict[str, Any]], rng: np.random.Generator, *, progress: bool = False
) -> Calibration:
    """Give a model temperatures fitted to all of a held-out split, and say what they are worth.

    What they are worth is measured crosswise: those of the even tiles on the odd ones, and the other way round. The
    likelihood that they are fitted by and the error that people read do not always fall together: a head is left at 1
    where the expected calibration error, measured so, is not less than without.

    Args:
        model: gets ``temperatures``; see :func:`fit_temperatures`.
        dataset: labelled tiles that it was not trained on, two or more.
        rng: draws pixels.
        progress: bars on standard error.

    Raises:
        ModelError: fewer than two tiles, or no label.

    >>> import torch
    >>> from mage.learning import SiameseDamageNet
    >>> tile = {"image": torch.zeros(2, 3, 16, 16, dtype=torch.uint8), "mask": torch.ones(16, 16, dtype=torch.uint8)}
    >>> model = SiameseDamageNet(width=2)
    >>> calibrate(model, [tile, tile], np.random.default_rng(0)).temperatures == model.temperatures
    True
    """
    number = len(dataset)  # type: ignore[arg-type]  # map-style ones have a length
    if number < 2:
        raise ModelError("too few tiles to calibrate by", expected="2 or more", found=str(number))
    halves = [Subset(dataset, range(start, number, 2)) for start in (0, 1)]
    before = _measured(model, None, halves, progress)
    crosswise = [fit_temperatures(model, half, rng, progress=progress) for half in reversed(halves)]
    after = _measured(model, crosswise, halves, progress)
    fitted = fit_temperatures(model, dataset, rng, progress=progress)
    useless = {head: 1.0 for head in HEADS if not _helped(head, before, after)}
    if useless:
        fitted = replace(fitted, **useless)
        after = _measured(model, [replace(found, **useless) for found in crosswise], halves, progress)
    model.temperatures = fitted  # type: ignore[assignment]  # torch takes modules and tensors for all there is
    return Calibration(fitted, before, after)


def _helped(head: str, before: dict[str, Reliability], after: dict[str, Reliability]) -> bool:
    """Whether the error of what a head says fell."""
    name = "damage" if head == "classes" and "damage" in before else head
    errors = [found[name].ece() if name in found else None for found in (before, after)]
    return errors[0] is not None and errors[1] is not None and errors[1] < errors[0]


def _measured(
    model: nn.Module, temperatures: list[Temperatures] | None, halves: list[Subset[dict[str, Any]]], progress: bool
) -> dict[str, Reliability]:
    total: dict[str, Reliability] = {}
    for index, half in enumerate(halves):
        model.temperatures = temperatures[index] if temperatures else None  # type: ignore[assignment]
        for name, counts in evaluate(model, half, progress=progress).reliability.items():
            total[name] = total[name] + counts if name in total else counts
    return total
