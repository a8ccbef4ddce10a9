"""What a model scores on real chips: buildings and damage, with intervals, for each set and for all pairs together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transfer.chips import Chip, Chips
from transfer.flooded import ByWater, distances
from transfer.places import Parted, grade_means, likely

from mage.learning import Evaluation, Network, Prediction, TileCounts, bootstrap, evaluate, place_threshold

EVEN = 0.5
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


def scored(
    model: Network,
    sets: dict[str, list[Chip]],
    *,
    alone: bool = True,
    parted: bool = False,
    balanced: bool = False,
    water: Network | None = None,
) -> dict[str, Any]:
    """Figures as [value, low, high]: damage of pairs by set and of all pairs together, ``pairs``; buildings of what has
    one image.

    Args:
        model: graded.
        sets: chips by the name of their set.
        alone: buildings are looked for in the image before alone: by networks that do not so anyway, as :class:`First`.
        parted: by a threshold of each scene, found without labels, which are then in ``thresholds``; else by 0.5.
        balanced: grades that are seldom said in a scene are said more often, as :class:`~transfer.places.Parted` says.
        water: a net that sees water; scenes in which it finds a flood are graded by how near that is.
    """
    judged = First(model) if alone and not getattr(model, "alone", False) else model
    even = dict.fromkeys(sorted({chip.scene for chips in sets.values() for chip in chips}), EVEN)
    if parted:
        every = [chip for chips in sets.values() for chip in chips]
        even = {s: place_threshold(likely(judged, (chip for chip in every if chip.scene == s))) for s in even}
    means = {
        s: grade_means(judged, (chip for chips in sets.values() for chip in chips if chip.scene == s), even[s])
        for s in (even if balanced else ())
    }
    results: dict[str, Any] = {"thresholds": even} if parted else {}
    graded: list[Evaluation] = []
    for name, chips in sets.items():
        grades = any(((chip.mask > 1) & (chip.mask < 255)).any() for chip in chips)
        scenes = []
        for scene in sorted({chip.scene for chip in chips}):
            mine = [c for c in chips if c.scene == scene]
            net = Parted(judged, even[scene], means.get(scene))
            if water is not None and grades and (far := distances(water, mine)) is not None:
                scenes += [evaluate(ByWater(net, far[c.key]), Chips([c])) for c in mine]
            else:
                scenes.append(evaluate(net, Chips(mine), only_buildings=not grades))
        results[name] = figures(scenes, DAMAGE_FIGURES if grades else ("building_iou",))
        graded += scenes if grades else []
    return results | {"pairs": figures(graded, DAMAGE_FIGURES)}


def figures(scenes: Sequence[Evaluation], names: tuple[str, ...]) -> dict[str, list[float | None]]:
    """Figures of some scenes together, with 95 % intervals by a bootstrap over scenes, chips and buildings."""
    asked = {name: scenes[0].headlines[name] for name in names}
    drawn = bootstrap(joined([scene.tiles for scene in scenes]), asked, np.random.default_rng(0))
    return {name: [drawn[name].value, drawn[name].low, drawn[name].high] for name in names}


def joined(parts: Sequence[TileCounts]) -> TileCounts:
    """The tiles of all parts."""
    return TileCounts(
        tuple(key for part in parts for key in part.keys),
        {name: tuple(place for part in parts for place in part.places[name]) for name in parts[0].places},
        {name: np.concatenate([part.counts[name] for part in parts]) for name in parts[0].counts},
    )
