"""The commands of learning, in the order of the work; torch is imported only when one of them runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mage.learning import judging_commands
from mage.learning.collect.command import collect
from mage.learning.mapping_command import map_event
from mage.learning.options import DataFolder, is_dataset, need_torch, say
from mage.learning.pack_command import pack
from mage.learning.pretrain_command import pretrain
from mage.learning.training_command import train
from mage.scenes.errors import ModelError

if TYPE_CHECKING:
    from mage.learning.collected import CollectedDataset
    from mage.learning.pictures import PictureFolder
    from mage.learning.shards import ShardDataset
    from mage.learning.translate.translator import Translator


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(collect)
    app.command()(translate)
    app.command()(pretrain)
    app.command()(train)
    judging_commands.register(app)
    app.command("map")(map_event)
    app.command()(pack)


class Match(StrEnum):
    """Translators that need no training."""

    HISTOGRAM, LINEAR, FOURIER = "histogram", "linear", "fourier"


def translate(
    data: DataFolder,
    to: Annotated[
        Path, typer.Option(help="Whose style: a folder of PNG or JPEG files, or a dataset, labelled or not.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the translated dataset.")],
    by: Annotated[
        Match, typer.Option(help="Matched histograms, linear colour, or low Fourier amplitudes.")
    ] = Match.LINEAR,
    strength: Annotated[
        float, typer.Option(min=0, max=1, help="Of histogram and linear: share of the way to the target's colours.")
    ] = 1.0,
    preserve: Annotated[
        Path | None,
        typer.Option(
            help="A damage model, run or saved, that must see as much as before on 0.95 of pixels: the strength is "
            "lowered, up to --strength, until it does."
        ),
    ] = None,
    beta: Annotated[float, typer.Option(help="Part of the spectrum that --by fourier exchanges.")] = 0.01,
    licence: Annotated[str, typer.Option(help="Of the images whose style it is, for the record.")] = "unknown",
    mean: Annotated[
        bool,
        typer.Option(
            "--mean", help="One map for all places, from their mean style to that of --to: keeps damage best."
        ),
    ] = False,
) -> None:
    """Write a dataset in the style of other images, labels unchanged."""
    need_torch()
    from mage.learning.shards import ShardDataset
    from mage.learning.translate.colour import HistogramMatching, LinearColour
    from mage.learning.translate.fourier import FourierStyle
    from mage.learning.translate.write import write_translated
    from mage.scenes.dataset.index import open_dataset

    size = open_dataset(data).size
    target, kind = _style_images(to, size)
    say(f"fitting to {len(target)} images of {to}")
    images = (target[index] for index in range(len(target)))
    tiles = ShardDataset(data)
    source = (tiles[index] for index in range(len(tiles))) if mean else None
    translator: Translator
    match by:
        case Match.HISTOGRAM:
            translator = HistogramMatching(strength).fit(images, source)
        case Match.LINEAR:
            translator = LinearColour(strength).fit(images, source)
        case Match.FOURIER:
            translator = FourierStyle(beta).fit(images)
    if preserve is not None:
        translator = _preserving(preserve, tiles, translator, styles=not mean)
    styled_by = {"name": to.resolve().name, "format": kind, "licence": licence, "sha256": None}
    try:
        write_translated(data, translator, out, styled_by=styled_by, styles=not mean, progress=True)
    except KeyboardInterrupt:
        say("interrupted; the same command goes on")
        raise typer.Exit(130) from None
    say(f"next: mage train --data {out} --out RUN")
    typer.echo(str(out))


def _preserving(run: Path, tiles: ShardDataset, translator: Translator, *, styles: bool) -> Translator:
    """As strong as a damage model bears; BadParameter where there is no strength to lower."""
    from mage.learning.saved import load_model
    from mage.learning.segment import SiameseDamageNet
    from mage.learning.translate.colour import ColourTransport
    from mage.learning.translate.preservation import preserving

    if not isinstance(translator, ColourTransport):
        raise typer.BadParameter("goes with --by histogram or linear", param_hint="--preserve")
    model = load_model(run)
    if not isinstance(model, SiameseDamageNet):
        raise ModelError("not a damage model", file=run, found=type(model).__name__)
    found = preserving(model, tiles, translator, styles=styles, progress=True)
    say(f"strength {found.strength:g}: the highest, to 1/32 of what was asked for, that keeps the damage")
    return found


def _style_images(folder: Path, size: int) -> tuple[PictureFolder | ShardDataset | CollectedDataset, str]:
    """Images whose style is wanted, in crops as large as the tiles, and what they are."""
    from mage.learning.collected import CollectedDataset
    from mage.learning.pictures import PictureFolder
    from mage.learning.shards import ShardDataset
    from mage.scenes.dataset.unlabelled import is_unlabelled, open_unlabelled

    if is_unlabelled(folder):
        colours = [band for band in ("red", "green", "blue") if band in open_unlabelled(folder).bands]
        bands = colours if len(colours) == 3 else None
        return CollectedDataset(folder, size=size, bands=bands), "MAGE unlabelled dataset"
    if is_dataset(folder):
        return ShardDataset(folder, size=size), "MAGE dataset"
    return PictureFolder(folder, size=size), "images"
