"""What a model scores on real chips: buildings and damage, with intervals, for each set and for all pairs together."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transfer.chips import Chip, Chips

from mage.learning import Evaluation, Network, Prediction, TileCounts, bootstrap, evaluate

DAMAGE_FIGURES = ("building_iou", "xview2_present", "xview2", "macro_f1", "buildings_f1", "quadratic_kappa")


class First(nn.Module):
    """Where buildings are, from the image before alone; their grades from both.

    Outlines of real sets are those of the image before, and stay where they are however the one after leans.
    """

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model, self.grades, self.classes = model, 4, 5

    def forward(self, image: Tensor) -> Prediction:
        """Logits of (N, 2, 3, H, W)."""
        before = self.model(image[:, [0, 0]])
        if torch.equal(image[:, 0], image[:, 1]):
            return before
        return Prediction(before.localisation, self.model(image).damage)


def scored(model: Network, sets: dict[str, list[Chip]], *, alone: bool = True) -> dict[str, Any]:
    """Figures as [value, low, high]: damage of pairs by set and of all pairs together, ``pairs``; buildings of what has
    one image.

    Args:
        model: graded.
        sets: chips by the name of their set.
        alone: buildings are looked for in the image before alone: by networks that do not so anyway, as :class:`First`.
    """
    judged = First(model) if alone and not getattr(model, "alone", False) else model
    graded = {name: chips for name, chips in sets.items() if any(((c.mask > 1) & (c.mask < 255)).any() for c in chips)}
    pairs = evaluate(judged, Chips([chip for chips in graded.values() for chip in chips]))
    results = {"pairs": figures(pairs, pairs.tiles, DAMAGE_FIGURES)}
    for name, chips in sets.items():
        if name in graded:
            keys = {chip.key for chip in chips}
            mine = pairs.tiles.take([i for i, key in enumerate(pairs.tiles.keys) if key in keys])
            results[name] = figures(pairs, mine, DAMAGE_FIGURES)
        else:
            found = evaluate(judged, Chips(chips), only_buildings=True)
            results[name] = figures(found, found.tiles, ("building_iou",))
    return results


def figures(evaluation: Evaluation, tiles: TileCounts, names: tuple[str, ...]) -> dict[str, list[float | None]]:
    """Figures of some tiles, with 95 % intervals by a bootstrap over scenes, chips and buildings."""
    asked = {name: evaluation.headlines[name] for name in names}
    drawn = bootstrap(tiles, asked, np.random.default_rng(0))
    return {name: [drawn[name].value, drawn[name].low, drawn[name].high] for name in names}
