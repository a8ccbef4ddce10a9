"""From maps to counts: one tile's prediction against its labels, in all ways that figures need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import Dataset

from mage.learning.buildings import grade_buildings
from mage.learning.density import Density
from mage.learning.names import Head
from mage.learning.predict import predict_maps
from mage.learning.scoring.boundary import boundary_counts
from mage.learning.scoring.calibration import Reliability, joined
from mage.learning.scoring.heights import height_counts, metres_of
from mage.learning.scoring.tasks import Task, label
from mage.learning.scoring.tiles import ROLES, TileCounts
from mage.learning.shards import ShardDataset
from mage.scenes.dataset.index import read_index
from mage.scenes.errors import DatasetError
from mage.scenes.metrics import IGNORE, BuildingMetrics, DamageMetrics

NUMBERS = ("building", "post_building")  # keys under which samples hold the numbers of buildings


@dataclass(eq=False)
class Counted:
    """Counts of a dataset: by tile, and all confidences in fine bins."""

    task: Task
    keys: list[str] = field(default_factory=list)
    places: list[dict[str, str]] = field(default_factory=list)
    counts: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    reliability: dict[str, Reliability] = field(default_factory=dict)

    def tiles(self) -> TileCounts:
        """As columns; what only some tiles have (numbers of buildings, an event) is left out.

        Raises:
            DatasetError: there is no tile.
        """
        if not self.keys:
            raise DatasetError("the dataset is empty")
        held = [name for name in self.counts[0] if all(name in counts for counts in self.counts)]
        roles = [role for role in ROLES if all(role in place for place in self.places)]
        columns = {name: np.stack([counts[name] for counts in self.counts]) for name in held}
        places = {role: tuple(place[role] for place in self.places) for role in roles}
        return TileCounts(tuple(self.keys), places, columns)


def count_sample(
    model: nn.Module, sample: Mapping[str, Any], task: Task, tolerance: float, into: Counted, density: Density | None
) -> None:
    """Predict a sample and count it.

    Raises:
        DatasetError: it lacks an image or a label, or its mask holds other classes.
    """
    image = sample.get("image")
    if not isinstance(image, torch.Tensor):
        raise DatasetError("a sample lacks what is looked at", expected="a tensor 'image'", found=", ".join(sample))
    target, maps = task.truth(sample), task.read(predict_maps(model, image))
    counts = _pixels(maps.classes, target, task, tolerance)
    if maps.probabilities is not None:
        counts |= _confidences(maps.probabilities, target, task, into.reliability)
    if maps.metres is not None:
        counts["height"] = _heights(maps.metres, target, sample)
    numbers = next((sample[name] for name in NUMBERS if name in sample), None)
    if task.graded and maps.probabilities is not None and numbers is not None:
        counts |= _buildings(maps.classes, maps.probabilities, target, numbers.numpy(), into.reliability)
    if density is not None:
        score = density.score(image)
        counts["unlike"] = np.array([score, score > density.threshold])
    into.keys.append(str(sample.get("key", len(into.keys))))
    into.places.append({role: sample[role] for role in ROLES if isinstance(sample.get(role), str)})
    into.counts.append(counts)


def known_places(dataset: Dataset[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """``event``, ``city``, ``split`` and ``gsd`` of each key, as the index of a dataset of ours tells; all but the
    last, as the rows of another one do, if it has any.
    """
    if not isinstance(dataset, ShardDataset):
        listed = getattr(dataset, "rows", [])
        return {row.key: {"event": row.event, "city": row.place, "split": row.split} for row in listed}
    columns = ["key", *ROLES, "gsd"]
    rows = read_index(dataset.root, dataset.record.index_sha256).select(columns).to_pylist()
    return {row.pop("key"): row for row in rows}


def _heights(metres: NDArray[np.float32], target: NDArray[Any], sample: Mapping[str, Any]) -> NDArray[np.float64]:
    labels = [label(sample, name) for name in Head.HEIGHT.wants]
    known = (target != IGNORE) & np.all([values >= 0 for values in labels], axis=0)
    built = (mask := label(sample, "mask")) != IGNORE
    return height_counts(metres, np.stack([metres_of(values) for values in labels]), known, built & (mask > 0))


def _pixels(predicted: NDArray[Any], target: NDArray[Any], task: Task, tolerance: float) -> dict[str, NDArray[Any]]:
    metrics = DamageMetrics(task.classes - 1)
    metrics.update(predicted, target)
    counts = {"confusion": metrics.confusion, "boundary": boundary_counts(predicted, target, task.classes, tolerance)}
    return counts | ({"scored": metrics.scored} if task.graded else {})


def _confidences(
    probabilities: NDArray[Any], target: NDArray[Any], task: Task, total: dict[str, Reliability]
) -> dict[str, NDArray[Any]]:
    """Confidences of building or none and of grades on buildings; or of the classes."""
    valid = target != IGNORE
    p, truth = probabilities[:, valid].astype(np.float64), target[valid].astype(np.int64)
    if not task.graded:
        return _tally(total, "classes", p / p.sum(0), truth)
    there = truth > 0
    of_grades = np.maximum(p[1:, there], np.finfo(np.float32).tiny)
    return _tally(total, "localisation", np.stack([p[0], 1 - p[0]]), there.astype(np.int64)) | _tally(
        total, "damage", of_grades / of_grades.sum(0), truth[there] - 1
    )


def _buildings(
    predicted: NDArray[Any],
    probabilities: NDArray[Any],
    target: NDArray[Any],
    numbers: NDArray[Any],
    total: dict[str, Reliability],
) -> dict[str, NDArray[Any]]:
    metrics = BuildingMetrics(len(probabilities) - 1)
    metrics.update(predicted, target, numbers)
    judged = np.where((target > 0) & (target != IGNORE), numbers, 0)
    graded = grade_buildings(probabilities, judged)
    inside = judged > 0
    index = np.searchsorted(graded.number, judged[inside])
    grades = graded.grades.shape[1]
    votes = np.bincount(index * grades + target[inside].astype(np.int64) - 1, minlength=len(graded.number) * grades)
    truth = votes.reshape(-1, grades).argmax(1)
    return {"buildings": metrics.confusion} | _tally(total, "buildings", graded.grades.T, truth)


def _tally(
    total: dict[str, Reliability], name: str, probabilities: NDArray[np.float64], truth: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    one = Reliability(len(probabilities))
    one.update(probabilities, truth)
    total[name] = total[name] + one if name in total else one
    return {f"reliability_{name}": joined(one.top)}


def samples(dataset: Dataset[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Samples in order, with the places that the dataset's index knows."""
    places = known_places(dataset)
    for index in range(len(dataset)):  # type: ignore[arg-type]  # map-style ones have a length
        sample = dataset[index]
        yield places.get(str(sample.get("key")), {}) | sample
