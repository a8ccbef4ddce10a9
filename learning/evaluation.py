"""A run against a dataset: whole tiles, the figures of :mod:`mage.scenes.metrics`, and what to beware of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mage.learning.devices import explained, pick_device
from mage.learning.predict import classify, predict_tile
from mage.learning.runs import Origins, Run, open_run
from mage.learning.segment import SiameseDamageNet
from mage.learning.shards import GRADES, ShardDataset
from mage.scenes.errors import ModelError
from mage.scenes.metrics import BuildingMetrics, DamageMetrics

BUILDING = "post_building"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out. ``figures`` is the summary of :class:`DamageMetrics`, ``buildings`` that of
    :class:`BuildingMetrics`, None where the samples carry no building numbers.
    """

    run: str
    step: int
    dataset: str
    split: str | None
    samples: int
    figures: dict[str, Any]
    buildings: dict[str, Any] | None
    warnings: list[str]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON types; an undefined figure is None."""
        about = {name: getattr(self, name) for name in ("run", "step", "dataset", "split", "samples")}
        return about | self.figures | {"buildings": self.buildings, "warnings": self.warnings}

    def table(self) -> str:
        """All of it for people."""
        return "\n".join(_lines(self))


def evaluate(
    run: Run | str | Path, dataset: ShardDataset, *, device: str = "auto", progress: bool = False
) -> Evaluation:
    """Predict every sample of a dataset with a run's averaged weights, and compare.

    Args:
        run: a run or its folder.
        dataset: whole tiles, unless made with ``size``. With ``labels=("post_building",)`` buildings are scored too.
        device: auto, cpu, cuda or mps.
        progress: a bar on standard error.

    Raises:
        ModelError: not a run, its checkpoint cannot be read, or it predicts other grades than the dataset has.
        DatasetError: a sample cannot be read.
    """
    run = run if isinstance(run, Run) else open_run(run)
    model = run.model(str(pick_device(device)))
    if not isinstance(model, SiameseDamageNet) or model.grades != GRADES:
        raise ModelError(
            "the model grades damage otherwise than the dataset",
            file=run.path,
            expected=f"{GRADES} grades",
            found=str(getattr(model, "grades", type(model).__name__)),
        )
    pixels, buildings = DamageMetrics(GRADES), BuildingMetrics(GRADES)
    with explained():
        for index in tqdm(range(len(dataset)), disable=not progress, unit="tile"):
            sample = dataset[index]
            predicted = classify(predict_tile(model, sample["image"]).cpu().numpy())
            target = sample["mask"].numpy()
            pixels.update(predicted, target)
            if BUILDING in dataset.labels:
                buildings.update(predicted, target, sample[BUILDING].numpy())
    return Evaluation(
        run=str(run.path),
        step=run.step,
        dataset=str(dataset.root),
        split=dataset.split,
        samples=len(dataset),
        figures=pixels.summary(),
        buildings=buildings.summary() if BUILDING in dataset.labels else None,
        warnings=_warnings(run.trained_on(), dataset, pixels),
    )


def _warnings(origins: Origins, dataset: ShardDataset, pixels: DamageMetrics) -> list[str]:
    found = []
    for name, stream in origins.streams().items():
        same = (stream.recipe_hash, stream.seed) == (dataset.record.recipe_hash, dataset.record.seed)
        if not same or not (seen := len(set(stream.keys) & set(dataset.keys))):
            continue
        kind = "unlabelled training" if name == "unlabelled" else "training"
        whole = f"the {kind} samples" if seen == len(dataset) else f"{seen} {kind} samples of {len(dataset)}"
        doubt = "says that it adapted to these images" if name == "unlabelled" else "says that it learned"
        found.append(f"evaluated on {whole}: {doubt}, not that it generalises")
    if absent := pixels.absent():
        found.append(
            f"no pixel is {' or '.join(absent)}: the xView2 score cannot exceed 0.3, see the one over present grades"
        )
    return found


def _lines(evaluation: Evaluation) -> Iterator[str]:
    figures = evaluation.figures
    split = f", split {evaluation.split}" if evaluation.split else ""
    yield f"{evaluation.run}, step {evaluation.step}, on {evaluation.dataset}{split}: {evaluation.samples} samples"
    yield ""
    yield f"{'':<16}{'IoU':>8}{'precision':>11}{'recall':>8}{'F1':>8}{'pixels':>12}"
    for name, row in figures["classes"].items():
        yield (
            f"{name:<16}{_figure(row['iou']):>8}{_figure(row['precision']):>11}{_figure(row['recall']):>8}"
            f"{_figure(row['f1']):>8}{row['pixels']:>12,}"
        )
    yield ""
    for name, value in _headlines(evaluation):
        yield f"{name:<44}{_figure(value):>8}"
    for warning in evaluation.warnings:
        yield f"note: {warning}"


def _headlines(evaluation: Evaluation) -> list[tuple[str, float | None]]:
    figures = evaluation.figures
    rows = [
        ("xView2 score", figures["xview2"]),
        ("xView2 score over present grades", figures["xview2_present"]),
        ("localisation F1", figures["localisation_f1"]),
        ("building IoU", figures["building_iou"]),
        ("damage F1, macro over present grades", figures["macro_f1"]),
        ("mean IoU of all classes", figures["mean_iou"]),
    ]
    if evaluation.buildings is not None:
        rows += [
            (f"share found of {evaluation.buildings['buildings']:,} buildings", evaluation.buildings["found"]),
            ("F1 per building, macro over present grades", evaluation.buildings["macro_f1"]),
            ("quadratic kappa per building found", evaluation.buildings["quadratic_kappa"]),
        ]
    return rows


def _figure(value: float | None) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.4f}"
