"""Which checkpoint, when no label of the target may be looked at: the last, or the best by a label-free validator.

Choosing by the reported set's own labels is an oracle: it belongs beside a blind choice, never in its place. The
validators see unlabelled images alone. Neither is sure to pick the best; they are printed beside the last so that a
reader sees what each would have cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit
from torch.utils.data import Dataset

from mage.learning.devices import autocast, unit
from mage.learning.heads import maps_of
from mage.learning.runs import Run, open_run
from mage.learning.temperature import tempered
from mage.scenes.errors import ModelError

NEIGHBOURS, SHARPNESS = 512, 0.05  # pixels that are compared with each other; the temperature of Saito et al. 2021
SHARE = 0.55  # of the dominant image in a mixture, as in Hu et al. 2023

Validator = Callable[[nn.Module, Dataset[dict[str, Any]], np.random.Generator], float]


def neighbourhood_density(model: nn.Module, dataset: Dataset[dict[str, Any]], rng: np.random.Generator) -> float:
    """Soft neighbourhood density (Saito et al. 2021, *Tune it the right way*, equations 1 to 3), higher is better.

    Of each image 512 pixels are drawn. Their class probabilities, scaled to length 1, are compared with each other; the
    similarities of a pixel to the others, sharpened at 0.05, make a distribution, and the score is its mean entropy in
    nats: great where every pixel has many neighbours that are as near, so where classes are tight groups. A model that
    maps everything alike scores the most there is, log 511: look at its maps before you believe it.

    Args:
        model: any; its mode is left as it was.
        dataset: unlabelled samples with ``image``, of any sizes.
        rng: draws the pixels.

    Raises:
        ModelError: the dataset is empty, or its images hold fewer than three pixels.

    >>> tiles = [{"image": torch.rand(3, 8, 8)}]
    >>> score = neighbourhood_density(nn.Conv2d(3, 2, 1), tiles, np.random.default_rng(0))
    >>> 0 < score <= np.log(63)
    True
    """
    scores = []
    for image in _images(dataset):
        p = _probabilities(model, image).flatten(1).T
        if len(p) < 3:
            raise ModelError("too few pixels to compare", expected="3 or more", found=str(len(p)))
        drawn = rng.choice(len(p), min(len(p), NEIGHBOURS), replace=False)
        scores.append(soft_entropy(p[torch.from_numpy(drawn).to(p.device)]))
    return float(np.mean(scores))


def soft_entropy(vectors: Tensor) -> float:
    """Mean entropy of the sharpened similarities of vectors (n, d) to each other, in nats.

    >>> round(soft_entropy(torch.ones(5, 2)), 4) == round(float(np.log(4)), 4)
    True
    """
    unit_length = F.normalize(vectors.double(), dim=1)
    similar = unit_length @ unit_length.T / SHARPNESS
    similar.fill_diagonal_(-torch.inf)
    log_p = similar.log_softmax(1)
    return float(-(log_p.exp() * log_p.clamp(min=-1e30)).sum(1).mean())


def mixed_consistency(
    model: nn.Module, dataset: Dataset[dict[str, Any]], rng: np.random.Generator, *, share: float = SHARE
) -> float:
    """How consistent maps of mixed images are with those of their parts (after MixVal, Hu et al. 2023, *Mixed samples
    as probes for unsupervised model selection in domain adaptation*), 0 to 1, higher is better.

    Images are mixed by pairs, ``share`` of one and the rest of another, and each pixel of the mixture should keep the
    class of the first. As in the paper there are two kinds of probes: where the two agree on the class (is it inside a
    cluster?), and where they do not (does the boundary lie in the middle?). The score is the mean of the two shares
    that keep it, each the mean over classes; a kind of probe without a pixel counts 0, so that a model that maps
    everything alike gets a half. The paper classifies images; for every pixel it is done here.

    Args:
        model: any; its mode is left as it was.
        dataset: unlabelled samples with ``image``, of one size, two or more.
        rng: draws the pairs.
        share: above 0.5.

    Raises:
        ModelError: fewer than two images, images of different sizes, or no such share.

    >>> tiles = [{"image": torch.rand(3, 8, 8)} for _ in range(2)]
    >>> 0 <= mixed_consistency(nn.Conv2d(3, 2, 1), tiles, np.random.default_rng(0)) <= 1
    True
    """
    images = list(_images(dataset))
    if not 0.5 < share <= 1:
        raise ModelError("no such share of an image", expected="above 0.5, at most 1", found=str(share))
    if len(images) < 2 or len({image.shape for image in images}) > 1:
        raise ModelError("images cannot be mixed", expected="two or more of one size", found=f"{len(images)} images")
    labels = [_probabilities(model, image).argmax(0) for image in images]
    order = rng.permutation(len(images))
    kept: dict[bool, list[tuple[Tensor, Tensor]]] = {True: [], False: []}
    for first, second in zip(order, np.roll(order, 1), strict=True):
        mixed = share * unit(images[first]) + (1 - share) * unit(images[second])
        ours, theirs = labels[first], labels[second]
        hit = _probabilities(model, mixed).argmax(0) == ours
        for same in kept:
            where = (ours == theirs) == same
            kept[same].append((ours[where], hit[where]))
    return float(np.mean([_by_class(pairs) for pairs in kept.values()]))


@dataclass(frozen=True, slots=True)
class Choice:
    """Which checkpoint each rule takes, as positions in the order given; the last one trained longest.

    ``scores`` holds a score of each checkpoint by each validator and, where the oracle was asked, ``oracle``.

    >>> scores = {"mixed consistency": (0.9, 0.7)}
    >>> choice = Choice(("step 100", "step 200"), scores, {"last": 1, "mixed consistency": 0})
    >>> choice.names[choice.chosen["mixed consistency"]]
    'step 100'
    """

    names: tuple[str, ...]
    scores: dict[str, tuple[float, ...]]
    chosen: dict[str, int]

    def table(self) -> str:
        """All of it for people; what each rule takes is marked by *."""
        head = f"{'checkpoint':<32}{'last':>12}" + "".join(f"{rule:>24}" for rule in self.scores)
        lines = [head]
        for index, name in enumerate(self.names):
            last = "*" if index == self.chosen["last"] else ""
            cells = (
                f"{values[index]:.4f}{'*' if index == self.chosen[rule] else ' '}"
                for rule, values in self.scores.items()
            )
            lines.append(f"{name[-32:]:<32}{last:>12}" + "".join(f"{cell:>24}" for cell in cells))
        return "\n".join(lines)


VALIDATORS: dict[str, Validator] = {
    "neighbourhood density": neighbourhood_density,
    "mixed consistency": mixed_consistency,
}


def choose(
    checkpoints: Sequence[Run | str | Path | nn.Module],
    dataset: Dataset[dict[str, Any]],
    rng: np.random.Generator,
    *,
    oracle: Callable[[nn.Module], float] | None = None,
    device: str = "auto",
) -> Choice:
    """What each label-free rule takes among checkpoints of one training, or of several, in the order of training.

    Args:
        checkpoints: runs, their folders, or models; each is opened when its turn comes.
        dataset: unlabelled images of the target, two or more of one size.
        rng: draws; every checkpoint gets the same draws.
        oracle: what labels would say of a model, higher is better: to be printed beside, not to choose by.
        device: for runs: auto, cpu, cuda or mps.

    Raises:
        ModelError: no checkpoints, or a run that cannot be read.

    >>> models = [nn.Conv2d(3, 2, 1) for _ in range(3)]
    >>> tiles = [{"image": torch.rand(3, 8, 8)} for _ in range(2)]
    >>> choose(models, tiles, np.random.default_rng(0)).chosen["last"]
    2
    """
    if not checkpoints:
        raise ModelError("nothing to choose from", expected="one checkpoint or more")
    seed = int(rng.integers(2**63))
    rows = []
    for checkpoint in checkpoints:
        model = _opened(checkpoint, device)
        row = [validate(model, dataset, np.random.default_rng(seed)) for validate in VALIDATORS.values()]
        rows.append(row + ([float(oracle(model))] if oracle else []))
    rules = (*VALIDATORS, *(("oracle",) if oracle else ()))
    scores = {rule: tuple(column) for rule, column in zip(rules, zip(*rows, strict=True), strict=True)}
    chosen = {"last": len(rows) - 1} | {rule: int(np.argmax(column)) for rule, column in scores.items()}
    return Choice(tuple(map(_name, checkpoints)), scores, chosen)


def _opened(checkpoint: Run | str | Path | nn.Module, device: str) -> nn.Module:
    if isinstance(checkpoint, nn.Module):
        return checkpoint
    return (checkpoint if isinstance(checkpoint, Run) else open_run(checkpoint)).model(device)


def _name(checkpoint: Run | str | Path | nn.Module) -> str:
    if isinstance(checkpoint, nn.Module):
        return type(checkpoint).__name__
    return str(checkpoint.path if isinstance(checkpoint, Run) else checkpoint)


def _images(dataset: Dataset[dict[str, Any]]) -> Iterable[Tensor]:
    number = len(dataset)  # type: ignore[arg-type]  # map-style ones have a length
    if not number:
        raise ModelError("the dataset is empty")
    return (dataset[index]["image"] for index in range(number))


def _probabilities(model: nn.Module, image: Tensor) -> Tensor:
    """(classes, H, W) of one whole image, blended or not: mixtures must be mapped as their parts are."""
    device, training = next(model.parameters()).device, model.training
    model.eval()
    try:
        with torch.inference_mode(), autocast(device):
            return maps_of(tempered(model, model(unit(image[None].to(device)))))["classes"][0]
    finally:
        model.train(training)


def _by_class(pairs: list[tuple[Tensor, Tensor]]) -> float:
    """Mean over the classes of the share of hits; 0 where there is no pixel."""
    label, hit = (torch.cat(part) for part in zip(*pairs, strict=True))
    if not len(label):
        return 0.0
    number = torch.bincount(label)
    share = torch.bincount(label, hit.double())[number > 0] / number[number > 0]
    return float(share.mean())
