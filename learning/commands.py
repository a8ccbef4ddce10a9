"""``mage train``, ``mage evaluate`` and ``mage translate``; torch is imported only when one of them runs."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mage.scenes.errors import MissingExtraError

if TYPE_CHECKING:
    from mage.learning.methods import Supervised
    from mage.learning.pictures import PictureFolder, PicturePairs
    from mage.learning.runs import Arguments, Run
    from mage.learning.shards import ShardDataset

STEPS, SIZE, BATCH, LR, WIDTH = 1000, 128, 8, 1e-3, 24  # of a new run, where nothing else is asked for

DataFolder = Annotated[Path, typer.Option("--data", help="A dataset: the folder that `mage generate` wrote.")]
Split = Annotated[str | None, typer.Option(help="Samples of this split only; all by default.")]
DeviceName = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


def register(app: typer.Typer) -> None:
    """Add the commands of learning."""
    app.command()(train)
    app.command()(evaluate)
    app.command()(translate)


class Way(StrEnum):
    """Ways to learn, each with its paper's settings."""

    SUPERVISED = "supervised"
    MIN_ENT, ADVENT, DANN, DACS, DAFORMER, MIC = "min-ent", "advent", "dann", "dacs", "daformer", "mic"
    MEAN_TEACHER, FIX_MATCH, CORR_MATCH = "mean-teacher", "fix-match", "corr-match"
    UNI_MATCH, UNI_MATCH_V2 = "uni-match", "uni-match-v2"


def train(
    data: DataFolder,
    out: Annotated[Path, typer.Option(help="Folder for the run.")],
    method: Annotated[
        Way | None, typer.Option(help="How to learn; all but supervised need --unlabelled.  [default: supervised]")
    ] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            help="Pairs of the target domain: a dataset, or a folder of pictures named NAME_pre and NAME_post."
        ),
    ] = None,
    target: Annotated[Path | None, typer.Option(help="A dataset of few labelled pairs of the target domain.")] = None,
    start: Annotated[Path | None, typer.Option(help="A run whose model is trained further.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help=f"Batches in all.  [default: {STEPS}]")] = None,
    size: Annotated[int | None, typer.Option(min=1, help=f"Side of the crops, pixels.  [default: {SIZE}]")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help=f"Crops in a batch.  [default: {BATCH}]")] = None,
    lr: Annotated[float | None, typer.Option(help=f"Highest learning rate.  [default: {LR}]")] = None,
    width: Annotated[int | None, typer.Option(min=1, help=f"Channels of the model.  [default: {WIDTH}]")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of weights, order and crops.  [default: 0]")] = None,
    split: Split = None,
    device: DeviceName = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that load samples.")] = 0,
    every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 200,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, as it was begun.")] = False,
) -> None:
    """Train a damage model on a dataset, alone or with images of the domain where it shall work."""
    _need_torch()
    from mage.learning.devices import pick_device, reduced_precision
    from mage.learning.losses import grade_weights
    from mage.learning.runs import Arguments, ModelShape, load_model, open_run
    from mage.learning.segment import SiameseDamageNet
    from mage.learning.shards import GRADES, ShardDataset
    from mage.learning.train import fit

    if start is not None and width is not None:
        raise typer.BadParameter("the model of --start has a width of its own", param_hint="--width")
    before = open_run(out) if resume else None
    begun = before.record.arguments if before else Arguments(steps=STEPS, batch=BATCH, lr=LR, seed=0)
    shape = (before.record.model if before else None) or ModelShape(width=WIDTH, bands=3, grades=GRADES)
    learned = before.trained_on().source if before else None
    asked = {"steps": steps, "batch": batch, "lr": lr, "seed": seed}
    chosen = begun.model_copy(update={name: value for name, value in asked.items() if value is not None})
    crop = size or (learned.size if learned else None) or SIZE
    dataset = ShardDataset(data, split=split, size=crop)
    where = pick_device(device)
    if start is None or resume:
        model = SiameseDamageNet(width or shape.width, shape.bands, shape.grades, seed=chosen.seed)
    else:
        model = load_model(start, "cpu")
    kind = _kind(method, before)
    precision = str(reduced_precision(where) or "float32").removeprefix("torch.")
    _say(f"{kind.__name__}: {_greeting(chosen, dataset.size, len(dataset), f'{where}, {precision}')}")
    try:
        run = fit(
            kind(model, weights=grade_weights(dataset.grade_counts())),
            dataset,
            None if target is None else ShardDataset(target, size=crop),
            None if unlabelled is None else _unlabelled(unlabelled, crop),
            out=out,
            steps=chosen.steps,
            batch=chosen.batch,
            accumulate=chosen.accumulate,
            lr=chosen.lr,
            seed=chosen.seed,
            device=str(where),
            workers=workers,
            every=every,
            resume=resume,
            progress=True,
        )
    except KeyboardInterrupt as interrupt:
        same = _given(split=split, unlabelled=unlabelled, target=target)
        how = f": mage train --data {data} --out {out} --resume{same}"
        _say(f"{interrupt}{how}" if str(interrupt) else "interrupted; what was saved before stays")
        raise typer.Exit(130) from None
    _say(f"next: mage evaluate {out} --data {data}")
    typer.echo(str(run.path))


def _kind(asked: Way | None, before: Run | None) -> type[Supervised]:
    """The method asked for; where none is, that of the run to go on with."""
    import mage.learning as library

    kinds: dict[Way, type[Supervised]] = {
        Way.SUPERVISED: library.Supervised,
        Way.MIN_ENT: library.MinEnt,
        Way.ADVENT: library.ADVENT,
        Way.DANN: library.DANN,
        Way.DACS: library.DACS,
        Way.DAFORMER: library.DAFormer,
        Way.MIC: library.MIC,
        Way.MEAN_TEACHER: library.MeanTeacher,
        Way.FIX_MATCH: library.FixMatch,
        Way.CORR_MATCH: library.CorrMatch,
        Way.UNI_MATCH: library.UniMatch,
        Way.UNI_MATCH_V2: library.UniMatchV2,
    }
    if asked is None and before is not None:
        return next((k for k in kinds.values() if k.__name__ == before.record.method.name), library.Supervised)
    return kinds[asked or Way.SUPERVISED]


def _unlabelled(folder: Path, size: int) -> PicturePairs | ShardDataset:
    """Pairs whose labels, if there are any, are not looked at."""
    from mage.learning.pictures import PicturePairs
    from mage.learning.shards import ShardDataset

    return ShardDataset(folder, size=size) if _is_dataset(folder) else PicturePairs(folder, size=size)


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run: the folder that `mage train` wrote.")],
    data: DataFolder,
    split: Split = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    device: DeviceName = "auto",
) -> None:
    """Score a trained model on a dataset."""
    _need_torch()
    from mage.learning.evaluation import BUILDING
    from mage.learning.evaluation import evaluate as score
    from mage.learning.shards import ShardDataset

    found = score(run, ShardDataset(data, split=split, labels=(BUILDING,)), device=device, progress=True)
    typer.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False) if as_json else found.table())


class Match(StrEnum):
    """Translators that need no training."""

    HISTOGRAM, LINEAR, FOURIER = "histogram", "linear", "fourier"


def translate(
    data: DataFolder,
    to: Annotated[Path, typer.Option(help="Whose style: a folder of PNG or JPEG files, or a dataset.")],
    out: Annotated[Path, typer.Option(help="Folder for the translated dataset.")],
    by: Annotated[
        Match, typer.Option(help="Matched histograms, linear colour, or low Fourier amplitudes.")
    ] = Match.LINEAR,
    beta: Annotated[float, typer.Option(help="Part of the spectrum that --by fourier exchanges.")] = 0.01,
    licence: Annotated[str, typer.Option(help="Of the images whose style it is, for the record.")] = "unknown",
    mean: Annotated[
        bool, typer.Option("--mean", help="The mean style for all, not one image's for each place.")
    ] = False,
) -> None:
    """Write a dataset in the style of other images, labels unchanged."""
    _need_torch()
    from mage.learning.translate.colour import HistogramMatching, LinearColour
    from mage.learning.translate.fourier import FourierStyle
    from mage.learning.translate.write import write_translated
    from mage.scenes.dataset.index import open_dataset

    size = open_dataset(data).size
    target, kind = _style_images(to, size)
    translator: HistogramMatching | LinearColour | FourierStyle
    match by:
        case Match.HISTOGRAM:
            translator = HistogramMatching()
        case Match.LINEAR:
            translator = LinearColour()
        case Match.FOURIER:
            translator = FourierStyle(beta)
    _say(f"fitting to {len(target)} images of {to}")
    translator.fit(target[index] for index in range(len(target)))
    styled_by = {"name": to.resolve().name, "format": kind, "licence": licence, "sha256": None}
    try:
        write_translated(data, translator, out, styled_by=styled_by, styles=not mean, progress=True)
    except KeyboardInterrupt:
        _say("interrupted; the same command goes on")
        raise typer.Exit(130) from None
    _say(f"next: mage train --data {out} --out RUN")
    typer.echo(str(out))


def _style_images(folder: Path, size: int) -> tuple[PictureFolder | ShardDataset, str]:
    """Images whose style is wanted, in crops as large as the tiles, and what they are."""
    from mage.learning.pictures import PictureFolder
    from mage.learning.shards import ShardDataset

    if _is_dataset(folder):
        return ShardDataset(folder, size=size), "MAGE dataset"
    return PictureFolder(folder, size=size), "images"


def _greeting(chosen: Arguments, size: int | None, samples: int, where: str) -> str:
    return (
        f"{chosen.steps} steps of {chosen.batch} crops of {size} px from {samples} samples, "
        f"learning rate {chosen.lr:g}, seed {chosen.seed}, on {where}"
    )


def _is_dataset(folder: Path) -> bool:
    return (folder / "dataset.json").is_file()


def _given(**options: object) -> str:
    """Options of a command line, those that were given."""
    return "".join(f" --{name} {value}" for name, value in options.items() if value is not None)


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _need_torch() -> None:
    """MissingExtraError where torch or safetensors are not installed, or cannot be imported."""
    from importlib.util import find_spec

    for module in ("torch", "safetensors"):
        try:
            found = find_spec(module) is not None
        except (ImportError, ValueError):  # blocked, or half-removed
            found = False
        if not found:
            raise MissingExtraError(module, "learning")
