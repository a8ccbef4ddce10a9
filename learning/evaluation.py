"""A run against a dataset: whole tiles, honest figures with intervals, by group, and what to beware of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn
from torch.utils.data import Dataset
from tqdm import tqdm

from mage.learning.density import Density
from mage.learning.devices import explained, pick_device
from mage.learning.names import Head
from mage.learning.network import Network
from mage.learning.origins import origin, seen_again
from mage.learning.runs import Origins, Run, TrainedOn, open_run
from mage.learning.saved import density_of, is_run, load_model
from mage.learning.scoring.boundary import TOLERANCE, boundary_f1
from mage.learning.scoring.calibration import Reliability
from mage.learning.scoring.counting import Counted, count_sample, samples
from mage.learning.scoring.figures import WORDS, Figure, values
from mage.learning.scoring.intervals import Interval, bootstrap
from mage.learning.scoring.tasks import Task, task_of
from mage.learning.scoring.tiles import TileCounts
from mage.learning.shards import GRADES, ShardDataset
from mage.scenes.errors import DatasetError, ModelError
from mage.scenes.metrics import BuildingMetrics, DamageMetrics

BUILDING = "post_building"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out.

    Attributes:
        run: the folder of the run or saved model, or the class of a model.
        step: of the run's checkpoint; None of a model, saved or not.
        dataset: its folder, or its class.
        split: of the dataset, None for all.
        samples: number of tiles.
        figures: of pixels: the summary of :class:`DamageMetrics`; without grades what of it makes sense.
        buildings: the summary of :class:`BuildingMetrics`, None where the samples carry no building numbers.
        boundary: boundary F1 of each class and of buildings (or all that is not background), and the tolerance.
        reliability: counts by confidence: of ``localisation``, ``damage`` and ``buildings``, or of ``classes``; none of
            heights.
        tiles: counts of each tile, for intervals, groups and tests.
        task: what is mapped.
        warnings: what to beware of.
        intervals: of the headline figures, empty unless drawn.

    >>> found = evaluate(run, ShardDataset(root), rng=np.random.default_rng(0), device="cpu")
    >>> found.samples, found.step, found.warnings[0]
    (6, 4, 'evaluated on the training samples: says that it learned, not that it generalises')
    >>> iou = found.intervals["building_iou"]
    >>> iou.low <= iou.value <= iou.high
    True
    """

    run: str
    step: int | None
    dataset: str
    split: str | None
    samples: int
    figures: dict[str, Any]
    buildings: dict[str, Any] | None
    boundary: dict[str, float | None]
    reliability: dict[str, Reliability]
    tiles: TileCounts
    task: Task
    warnings: list[str]
    intervals: dict[str, Interval] = field(default_factory=dict)

    @property
    def headlines(self) -> dict[str, Figure]:
        """The figures that intervals, groups and tests are of."""
        return self.task.figures(self.buildings is not None)

    def headline_values(self) -> dict[str, Interval]:
        """The headline figures, with their intervals where these were drawn."""
        found = values(self.headlines, self.tiles.sums())
        return {name: self.intervals.get(name, Interval(value, None, None)) for name, value in found.items()}

    def to_dict(self) -> dict[str, Any]:
        """All of it but the tiles as JSON types; an undefined figure is None."""
        about = {name: getattr(self, name) for name in ("run", "step", "dataset", "split", "samples")}
        about["head"] = self.task.head
        more = {
            "buildings": self.buildings,
            "boundary_f1": self.boundary,
            "calibration": {name: counts.summary() for name, counts in self.reliability.items()},
            "intervals": {name: asdict(interval) for name, interval in self.intervals.items()},
            "warnings": self.warnings,
        }
        return about | self.figures | more

    def table(self) -> str:
        """All of it for people."""
        return "\n".join(_lines(self))


def evaluate(
    run: Run | str | Path | nn.Module,
    dataset: Dataset[dict[str, Any]],
    *,
    only_buildings: bool = False,
    head: Head | str | None = None,
    tolerance: float = TOLERANCE,
    metres: bool = False,
    rng: np.random.Generator | None = None,
    device: str = "auto",
    progress: bool = False,
) -> Evaluation:
    """Predict every sample of a dataset with a run's averaged weights, or with a model, and compare.

    Args:
        run: a run, its folder or that of a saved model, or any model that states ``grades`` (and returns a
            :class:`~mage.learning.Prediction`) or ``classes`` (and returns logits; of two classes, they are building or
            none where the dataset does not name them, and labels of any grade count as one); a model stays on its
            device.
        dataset: whole tiles with ``image`` and ``mask``, ``ShardDataset`` or any other; of one that crops (``size=``)
            the middle of each tile alone is scored, and a warning says so. Where samples hold
            ``building`` or ``post_building`` (``ShardDataset(..., labels=("post_building",))``), buildings are scored
            too. Where they hold ``event``, ``city`` or ``split``, or the dataset's index does, figures can be had by
            these. Where its ``taxonomy`` or ``transform`` has ``classes``, as those of sets of one image
            have, these are compared.
        only_buildings: compare buildings of any grade with none: for sets that tell where buildings are and not how
            they are hurt, and for models of either kind.
        head: compare what a further :class:`~mage.learning.Head` of a damage network says with the labels that it
            learns from, and not damage: ``ShardDataset(root, labels=Head.FLOOD.wants)``. Heights are compared in
            metres, and as classes of so many metres.
        tolerance: by which outlines may be off, pixels.
        metres: the tolerance is in metres; for datasets whose index, or samples, tell their ``gsd``.
        rng: draws the intervals of the headline figures (bootstrap over events, tiles, buildings); None leaves them
            out.
        device: of a run or saved model: auto, cpu, cuda or mps.
        progress: a bar on standard error.

    Raises:
        ModelError: neither a run nor a model, it cannot be read, it predicts other grades or classes than the dataset
            has, or has no such head.
        DatasetError: a sample cannot be read or lacks what is compared, or the dataset is empty.

    >>> import torch
    >>> from mage.learning import SiameseDamageNet
    >>> tile = {"image": torch.zeros(2, 3, 16, 16, dtype=torch.uint8), "mask": torch.ones(16, 16, dtype=torch.uint8)}
    >>> found = evaluate(SiameseDamageNet(width=2), [tile])
    >>> found.figures["classes"]["no-damage"]["pixels"]
    256
    """
    judged = _judged(run, device)
    model, density, names = judged.model, judged.density, class_names(dataset)
    task = task_of(model, only_buildings=only_buildings, head=None if head is None else Head(head), names=names)
    _check_grades(judged, task, dataset)
    counted = Counted(task)
    with explained():
        for sample in tqdm(samples(dataset), total=len(dataset), disable=not progress, unit="tile"):  # type: ignore[arg-type]
            reach = tolerance / _gsd(sample) if metres else tolerance
            count_sample(model, sample, task, reach, counted, density)
    tiles = counted.tiles()
    found, mine = _figures(tiles, task), origin(dataset)
    headlines = task.figures("buildings" in tiles.counts)
    return Evaluation(
        run=judged.name,
        step=judged.step,
        dataset=str(getattr(dataset, "root", type(dataset).__name__)),
        split=getattr(dataset, "split", None),
        samples=len(tiles),
        figures=found,
        buildings=_buildings(tiles),
        boundary=_boundary(tiles, task) | {"tolerance": tolerance},
        reliability=counted.reliability,
        tiles=tiles,
        task=task,
        warnings=[*_seen(judged.origins, mine), *_cropped(mine), *_warnings(tiles, task, density)],
        intervals={} if rng is None else bootstrap(tiles, headlines, rng),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """What is evaluated, and what is known of it; ``path`` is None of a model in memory."""

    name: str
    model: nn.Module
    path: Path | None = None
    step: int | None = None
    density: Density | None = None
    origins: Origins | None = None


def _judged(given: Run | str | Path | nn.Module, device: str) -> _Judged:
    if isinstance(given, nn.Module):
        return _Judged(type(given).__name__, given)
    path = given.path if isinstance(given, Run) else Path(given)
    model: Network = load_model(path, str(pick_device(device)))
    density = density_of(path, model)
    if not is_run(path):
        return _Judged(str(path), model, path, density=density)
    run = given if isinstance(given, Run) else open_run(path)
    return _Judged(str(path), model, path, run.step, density, run.trained_on())


def class_names(dataset: Dataset[dict[str, Any]]) -> tuple[str, ...]:
    """Of the values of its masks, where a dataset's taxonomy or transform names them."""
    told = getattr(dataset, "taxonomy", getattr(dataset, "transform", None))
    return tuple(getattr(told, "classes", ()))


def _check_grades(judged: _Judged, task: Task, dataset: Dataset[dict[str, Any]]) -> None:
    """ModelError where a dataset of ours has other grades than the run or saved model; one in memory may be given what
    was relabelled for it.
    """
    ours = isinstance(dataset, ShardDataset) and judged.path is not None
    if task.graded and task.classes != 1 + GRADES and ours:
        expected, found = f"{GRADES} grades", str(task.classes - 1)
        raise ModelError(
            "the model grades damage otherwise than the dataset", file=judged.path, expected=expected, found=found
        )


def _gsd(sample: Mapping[str, Any]) -> float:
    gsd = sample.get("gsd")
    if not isinstance(gsd, int | float) or not gsd > 0:
        raise DatasetError("a tolerance in metres needs the metres of a pixel", expected="'gsd'", found=str(gsd))
    return float(gsd)


def _figures(tiles: TileCounts, task: Task) -> dict[str, Any]:
    sums = tiles.sums()
    confusion = sums["confusion"]
    metrics = DamageMetrics(task.classes - 1, len(tiles))
    metrics.confusion = confusion
    metrics.located = np.add.reduceat(np.add.reduceat(confusion, [0, 1], 0), [0, 1], 1)
    metrics.scored = sums.get("scored", metrics.scored)
    summary = metrics.summary()
    if task.graded:
        return summary
    kept = {name: summary[name] for name in ("mean_iou", "images", "pixels")}
    named = dict(zip(task.names, summary["classes"].values(), strict=True))
    found = values({name: f for name, f in task.figures(False).items() if not name.startswith("ece")}, sums)
    return {**found, **kept, "classes": named}


def _buildings(tiles: TileCounts) -> dict[str, Any] | None:
    if "buildings" not in tiles.counts:
        return None
    confusion = tiles.sums()["buildings"]
    metrics = BuildingMetrics(len(confusion))
    metrics.confusion = confusion
    return metrics.summary()


def _boundary(tiles: TileCounts, task: Task) -> dict[str, float | None]:
    whole = "building" if task.graded else task.names[1] if task.classes == 2 else "not background"
    names = (whole, *task.names[1:])
    f1 = boundary_f1(tiles.sums()["boundary"])
    return {name: float(v) if np.isfinite(v) else None for name, v in zip(names, f1, strict=True)}


def _seen(origins: Origins | None, mine: TrainedOn) -> Iterator[str]:
    """What of the dataset the run has trained on."""
    for name, stream in origins.streams().items() if origins is not None else ():
        if not (seen := seen_again(stream, mine)):
            continue
        kind = "unlabelled training" if name == "unlabelled" else "training"
        whole = f"the {kind} samples" if seen == mine.samples else f"{seen} {kind} samples of {mine.samples}"
        doubt = "says that it adapted to these images" if name == "unlabelled" else "says that it learned"
        yield f"evaluated on {whole}: {doubt}, not that it generalises"


def _cropped(mine: TrainedOn) -> Iterator[str]:
    if mine.size is not None:
        whole = "a dataset opened without `size` is scored whole"
        yield f"of each tile at most the {mine.size} x {mine.size} px in its middle were scored: {whole}"


def _warnings(tiles: TileCounts, task: Task, density: Density | None) -> Iterator[str]:
    occurring = tiles.sums()["confusion"].sum(1)
    absent = [name for name, pixels in zip(task.names[1:], occurring[1:], strict=True) if not pixels]
    if task.graded and absent:
        yield f"no pixel is {' or '.join(absent)}: the xView2 score cannot exceed 0.3, see the one over present grades"
    if density is not None:
        unlike = int(tiles.counts["unlike"][:, 1].sum())
        if unlike > 2 * density.false_alarm * len(tiles):
            share = f"{density.false_alarm:.0%} of tiles like it would be"
            yield f"{unlike} of {len(tiles)} tiles are unlike the training ({share}): beware of its maps there"


def _lines(evaluation: Evaluation) -> Iterator[str]:
    figures = evaluation.figures
    split = f", split {evaluation.split}" if evaluation.split else ""
    step = "" if evaluation.step is None else f", step {evaluation.step}"
    yield f"{evaluation.run}{step}, on {evaluation.dataset}{split}: {evaluation.samples} samples"
    yield ""
    yield f"{'':<16}{'IoU':>8}{'precision':>11}{'recall':>8}{'F1':>8}{'pixels':>12}"
    for name, row in figures["classes"].items():
        yield (
            f"{name:<16}{_figure(row['iou']):>8}{_figure(row['precision']):>11}{_figure(row['recall']):>8}"
            f"{_figure(row['f1']):>8}{row['pixels']:>12,}"
        )
    yield ""
    for name, found in evaluation.headline_values().items():
        reach = "" if found.low is None else f"  {found.low:.4f} – {found.high:.4f}"
        yield f"{_words(evaluation, name):<44}{_figure(found.value):>8}{reach}"
    for warning in evaluation.warnings:
        yield f"note: {warning}"


def _words(evaluation: Evaluation, name: str) -> str:
    if name == "boundary_f1":
        return f"{WORDS[name]} at {evaluation.boundary['tolerance']:g}"
    if name == "iou":
        return f"IoU of {evaluation.task.names[1]}"
    if name == "buildings_found" and evaluation.buildings is not None:
        return f"share found of {evaluation.buildings['buildings']:,} buildings"
    return WORDS[name]


def _figure(value: float | None) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.4f}"
