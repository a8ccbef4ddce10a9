"""``mage evaluate``, ``mage calibrate`` and ``mage choose``; torch is imported only when one of them runs."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mage.learning.names import Head, SetName
from mage.learning.options import DeviceName, SetOption, Split, need_torch, say

if TYPE_CHECKING:
    from mage.learning.evaluation import Evaluation
    from mage.learning.pictures import PictureFolder
    from mage.learning.shards import ShardDataset

Runs = Annotated[list[Path], typer.Argument(help="Runs: folders that `mage train` wrote; or saved models.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class By(StrEnum):
    """What tiles can be grouped by."""

    EVENT, CITY, SPLIT = "event", "city", "split"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(evaluate)
    app.command()(calibrate)
    app.command()(choose)


def evaluate(
    runs: Runs,
    data: Annotated[Path, typer.Option("--data", help="Labelled pairs: a dataset, or a set as --set says.")],
    kind: SetOption = SetName.MAGE,
    split: Split = None,
    by: Annotated[By | None, typer.Option(help="Figures of each of these, and their macro average.")] = None,
    only_buildings: Annotated[
        bool, typer.Option("--only-buildings", help="Compare where buildings are, not how badly they are hurt.")
    ] = False,
    head: Annotated[
        Head | None, typer.Option(help="Score what this head of the model says, by a dataset's labels, not damage.")
    ] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="By which outlines may be off, pixels.")] = 2.0,
    out: Annotated[Path | None, typer.Option(help="Folder for a report: JSON, Markdown, text, CSV, plots.")] = None,
    as_json: AsJson = False,
    device: DeviceName = "auto",
) -> None:
    """Score trained models on a dataset; several runs are taken as seeds of one training, and compared."""
    need_torch()
    import numpy as np

    from mage.learning.evaluation import BUILDING
    from mage.learning.evaluation import evaluate as score
    from mage.learning.real.sets import open_set
    from mage.learning.saved import load_model
    from mage.learning.scoring.comparison import compare, group
    from mage.learning.scoring.plots import need_plots
    from mage.learning.scoring.report import as_text, to_json, write_report

    if head is not None and (only_buildings or kind is not SetName.MAGE):
        raise typer.BadParameter("heads are scored by labels that only datasets of MAGE's have", param_hint="--head")
    if out is not None:
        need_plots()
    rng = np.random.default_rng(0)
    labels = head.wants if head is not None else (BUILDING,)
    dataset = open_set(kind, data, split=split, labels=labels)
    options: dict[str, Any] = {"only_buildings": only_buildings, "head": head, "tolerance": tolerance, "device": device}
    found: list[Evaluation] = [score(run, dataset, rng=rng, progress=True, **options) for run in runs]
    first = found[0]
    groups = None if by is None else group(first.tiles, by, first.headlines, rng)
    names = [evaluation.run for evaluation in found]
    tiles = [evaluation.tiles for evaluation in found]
    comparison = compare(names, tiles, first.headlines, rng) if len(found) > 1 else None
    if out is not None:
        model = load_model(runs[0], device)
        say(f"report in {write_report(out, found, model, dataset, groups=groups, comparison=comparison)}")
    content = to_json(found, groups, comparison)
    typer.echo(json.dumps(content, indent=2, allow_nan=False) if as_json else as_text(found, groups, comparison))


def calibrate(
    run: Annotated[Path, typer.Argument(help="A run, or a model that `mage pack` wrote.")],
    data: Annotated[Path, typer.Option("--data", help="A labelled dataset that the run was not trained on.")],
    split: Split = None,
    training: Annotated[
        Path | None, typer.Option(help="The dataset it was trained on: learns what tells other imagery from it.")
    ] = None,
    training_split: Annotated[str | None, typer.Option(help="Its split; all by default.")] = None,
    false_alarm: Annotated[
        float, typer.Option(help="Share of tiles like those of --data that may be taken for unlike the training.")
    ] = 0.05,
    as_json: AsJson = False,
    device: DeviceName = "auto",
) -> None:
    """Make a model's probabilities mean what they say, and let it know imagery unlike its training."""
    need_torch()
    import numpy as np

    from mage.learning.calibrated import calibrate as fitted
    from mage.learning.density import fit_density
    from mage.learning.evaluation import BUILDING
    from mage.learning.saved import keep_calibration, load_model
    from mage.learning.shards import ShardDataset

    model, density = load_model(run, device), None
    held_out = ShardDataset(data, split=split, labels=(BUILDING,))
    found = fitted(model, held_out, np.random.default_rng(0), progress=True)
    content, text = found.to_dict(), found.table()
    if training is not None:
        seen = ShardDataset(training, split=training_split)
        density = fit_density(model, seen, held_out, false_alarm=false_alarm, progress=True)
        content["density"] = {"threshold": density.threshold, "false_alarm": false_alarm}
        text += f"\n\nunlike the training from a distance of {density.threshold:.3f} on"
    keep_calibration(run, found.temperatures, density)
    typer.echo(json.dumps(content, indent=2, allow_nan=False) if as_json else text)


def choose(
    runs: Runs,
    data: Annotated[Path, typer.Option("--data", help="Images of the target: pictures, or a dataset.")],
    size: Annotated[int, typer.Option(min=2, help="Side of the crops, pixels.")] = 256,
    oracle: Annotated[
        bool, typer.Option("--oracle", help="Print beside it what the labels of --data say; not to choose by.")
    ] = False,
    device: DeviceName = "auto",
) -> None:
    """Choose among runs, in the order of training, without labels."""
    need_torch()
    import numpy as np
    from torch import nn

    from mage.learning.choice import choose as chosen
    from mage.learning.evaluation import evaluate as score
    from mage.learning.shards import ShardDataset

    images = _images(data, size)

    def _labels_say(model: nn.Module) -> float:
        return float(score(model, ShardDataset(data)).figures["xview2_present"] or 0)

    asked = _labels_say if oracle else None
    typer.echo(chosen(runs, images, np.random.default_rng(0), oracle=asked, device=device).table())


def _images(data: Path, size: int) -> ShardDataset | PictureFolder:
    from mage.learning.pictures import PictureFolder
    from mage.learning.shards import ShardDataset

    return ShardDataset(data, size=size) if (data / "dataset.json").is_file() else PictureFolder(data, size=size)
