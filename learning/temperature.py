"""Temperature scaling: one number a head that makes a trained model as sure as it is right (Guo et al. 2017, sec. 4.2).

Logits are divided by it, so that no class map of plain logits and no grade changes, only probabilities do. It is
fitted to a held-out split by the negative log-likelihood, kept beside the checkpoint that it belongs to, and applied by
:func:`~mage.learning.predict_tile`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset
from tqdm import tqdm

from mage.learning.heads import Prediction
from mage.scenes.errors import ModelError
from mage.scenes.metrics import IGNORE

SHARPEST, FLATTEST = 0.05, 20.0
PIXELS = 2048  # of each tile and head: neighbours are alike, other tiles tell more
HEADS = ("localisation", "classes")

Logits = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Temperatures:
    """What logits are divided by: above 1 a model that was too sure becomes less so.

    Attributes:
        localisation: of building or none.
        classes: of the grades of buildings, or of plain logits.

    Raises:
        ModelError: one is not finite or not above 0.

    >>> Temperatures(classes=2.0).apply(torch.tensor([[[[4.0]], [[0.0]]]])).flatten().tolist()
    [2.0, 0.0]
    """

    localisation: float = 1.0
    classes: float = 1.0

    def __post_init__(self) -> None:
        for head in HEADS:
            value = getattr(self, head)
            if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
                raise ModelError(f"no such temperature of '{head}'", expected="above 0", found=str(value))

    def apply(self, output: Any) -> Any:
        """What a model returned (a :class:`~mage.learning.Prediction` or logits), its logits divided."""
        if isinstance(output, Tensor):
            return output.float() / self.classes
        return output._replace(
            localisation=output.localisation.float() / self.localisation, damage=output.damage.float() / self.classes
        )

    def to_dict(self) -> dict[str, float]:
        """As JSON types."""
        return asdict(self)


def tempered(model: nn.Module, output: Any) -> Any:
    """What a model returned, after the model's temperatures, its attribute ``temperatures``, if it has any."""
    found = getattr(model, "temperatures", None)
    return output if found is None else found.apply(output)


def fit_temperatures(
    model: nn.Module, dataset: Dataset[dict[str, Any]], rng: np.random.Generator, *, progress: bool = False
) -> Temperatures:
    """Temperatures that minimise the negative log-likelihood of labels that the model was not trained on.

    Up to 2,048 pixels of each tile and head are drawn. The likelihood is concave in 1 / temperature, so that bisection
    finds its one best; a head without labels (no building anywhere) keeps 1, one that errs nowhere gets 0.05. To use
    them: ``model.temperatures = fit_temperatures(...)``, or ``save_temperatures`` for a run.

    Args:
        model: a damage model, or one that returns logits (N, classes, H, W); temperatures that it has are not heeded.
        dataset: samples with ``image`` and ``mask``, of a split held out.
        rng: draws the pixels.
        progress: a bar on standard error.

    Raises:
        ModelError: no labelled pixel at all, or logits that are not finite.

    >>> class Sure(nn.Conv2d):  # ten times surer than it should be: right three times of four
    ...     def forward(self, image):
    ...         return image[:, :1] * 0 + torch.tensor([10 * math.log(3.0), 0.0]).view(1, 2, 1, 1)
    >>> tile = {"image": torch.zeros(1, 2, 2), "mask": torch.tensor([[0, 0], [0, 1]])}
    >>> round(fit_temperatures(Sure(1, 2, 1), [tile], np.random.default_rng(0)).classes, 3)
    10.0
    """
    found: dict[str, list[tuple[Logits, NDArray[np.int64]]]] = {head: [] for head in HEADS}
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for index in tqdm(range(len(dataset)), disable=not progress, unit="tile"):  # type: ignore[arg-type]
                for head, scores, truth in _labelled(model, dataset[index], rng):
                    found[head].append((scores, truth))
    finally:
        model.train(training)
    if not any(len(truth) for pairs in found.values() for _, truth in pairs):
        raise ModelError("temperatures cannot be fitted: no pixel is labelled")
    return Temperatures(**{head: _best(head, pairs) for head, pairs in found.items()})


def log_likelihood(scores: Logits, truth: NDArray[np.int64], temperature: float) -> float:
    """Mean log-likelihood of true classes (n,) by logits (n, classes) at a temperature."""
    z = scores / temperature
    z = z - z.max(1, keepdims=True)
    return float((z[np.arange(len(truth)), truth] - np.log(np.exp(z).sum(1))).mean())


def _labelled(
    model: nn.Module, sample: dict[str, Any], rng: np.random.Generator
) -> list[tuple[str, Logits, NDArray[np.int64]]]:
    """Logits (n, classes) of pixels drawn from a tile, by head, and their true classes."""
    from mage.learning.predict import WINDOW, logits, starts  # which uses what this module defines

    image, mask = sample["image"], sample["mask"]
    device = next(model.parameters()).device
    found = []
    for row, column in product(*(starts(side, WINDOW, 0) for side in mask.shape)):
        part = (..., slice(row, row + WINDOW), slice(column, column + WINDOW))
        output, truth = logits(model, image[part], device), mask[part].to(device).long()
        valid = truth != IGNORE
        if isinstance(output, Prediction):
            score = output.localisation[0].float()
            found.append(("localisation", torch.cat([-score / 2, score / 2]), (truth > 0).long(), valid))
            found.append(("classes", output.damage[0].float(), truth - 1, valid & (truth > 0)))
        else:
            found.append(("classes", output[0].float(), truth, valid))
    return [(head, *_drawn(scores, truth, where, rng)) for head, scores, truth, where in found]


def _drawn(scores: Tensor, truth: Tensor, where: Tensor, rng: np.random.Generator) -> tuple[Logits, NDArray[np.int64]]:
    index = torch.nonzero(where.flatten())[:, 0]
    if len(index) > PIXELS:
        index = index[torch.from_numpy(rng.choice(len(index), PIXELS, replace=False)).to(index.device)]
    values = scores.flatten(1)[:, index].T.double().cpu().numpy()
    if not np.isfinite(values).all():
        raise ModelError("the model returns what is not finite")
    return values, truth.flatten()[index].cpu().numpy()


def _best(head: str, pairs: list[tuple[Logits, NDArray[np.int64]]]) -> float:
    """The temperature where the likelihood's slope in 1 / temperature, which only falls, is 0."""
    if not sum(len(truth) for _, truth in pairs):
        return 1.0
    scores, truth = (np.concatenate(part) for part in zip(*pairs, strict=True))
    if truth.max() >= scores.shape[1]:
        expected, found = f"classes below {scores.shape[1]}", str(truth.max())
        raise ModelError(f"the labels of '{head}' are not the model's", expected=expected, found=found)
    right = scores[np.arange(len(truth)), truth].mean()
    low, high = SHARPEST, FLATTEST
    for _ in range(50):
        middle = math.sqrt(low * high)
        z = scores / middle
        p = np.exp(z - z.max(1, keepdims=True))
        expected_score = (p * scores).sum(1) / p.sum(1)
        low, high = (low, middle) if right > expected_score.mean() else (middle, high)
    return math.sqrt(low * high)
