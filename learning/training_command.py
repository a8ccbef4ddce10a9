"""``mage train``: one command for a damage model, alone or with images of the domain where it shall work."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mage.learning.names import DecoderName, EncoderName, Head
from mage.learning.options import DataFolder, DeviceName, Split, is_dataset, need_torch, say
from mage.learning.pretrain_command import fill_encoder, trained_part
from mage.scenes.errors import ModelError

if TYPE_CHECKING:
    from mage.learning.adapt.rare import RareClasses
    from mage.learning.methods import Supervised
    from mage.learning.pictures import PicturePairs
    from mage.learning.runs import Arguments, Run
    from mage.learning.shapes import DamageShape
    from mage.learning.shards import ShardDataset

STEPS, SIZE, BATCH, LR, WIDTH = 1000, 128, 8, 1e-3, 24  # of a new run, where nothing else is asked for


class Way(StrEnum):
    """Ways to learn, each with its paper's settings."""

    SUPERVISED = "supervised"
    MIN_ENT, ADVENT, DANN, CBST = "min-ent", "advent", "dann", "cbst"
    DACS, DAFORMER, MIC = "dacs", "daformer", "mic"
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
    encoder: Annotated[
        EncoderName | None, typer.Option(help=f"What looks at each image.  [default: {EncoderName.RESIDUAL}]")
    ] = None,
    decoder: Annotated[
        DecoderName | None, typer.Option(help=f"What draws the maps.  [default: {DecoderName.UNET}]")
    ] = None,
    head: Annotated[list[Head] | None, typer.Option(help="To predict beside damage; as often as wanted.")] = None,
    pretrained: Annotated[
        str | None,
        typer.Option(
            help="First weights of the encoder: a .safetensors or .pth file, a run of `mage pretrain`, or, of "
            "EfficientNets, `bundled`."
        ),
    ] = None,
    rare: Annotated[
        float | None,
        typer.Option(
            help="Draw crops by class, rare ones more often, at this temperature: DAFormer's is 0.01, 0.1 milder."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of weights, order and crops.  [default: 0]")] = None,
    split: Split = None,
    device: DeviceName = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that load samples.")] = 0,
    every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 200,
    preview: Annotated[
        int, typer.Option(min=0, help="Steps between preview pictures, beside those of steps 10 and 50; 0 for none.")
    ] = 200,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write TensorBoard's event files too, into the run.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, as it was begun.")] = False,
) -> None:
    """Train a damage model on a dataset, alone or with images of the domain where it shall work."""
    need_torch()
    from mage.learning.devices import pick_device, reduced_precision
    from mage.learning.log import TensorBoard
    from mage.learning.losses import grade_weights
    from mage.learning.methods import labels_of
    from mage.learning.processes import is_first
    from mage.learning.runs import open_run
    from mage.learning.saved import load_model
    from mage.learning.shards import ShardDataset
    from mage.learning.train import fit

    if start is not None and not all(option is None for option in (width, encoder, decoder, head, pretrained)):
        raise typer.BadParameter(
            "the model of --start has a width, an encoder and heads of its own", param_hint="--start"
        )
    before = open_run(out) if resume else None
    chosen = _chosen(before, steps=steps, batch=batch, lr=lr, seed=seed)
    shape = _shape(before, width, encoder, decoder, tuple(head or ()))
    learned = before.trained_on().source if before else None
    model = shape.build(chosen.seed) if start is None or resume else load_model(start, "cpu")
    if pretrained is not None and before is None:
        fill_encoder(trained_part(model.encoder), pretrained)
    crop = size or (learned.size if learned else None) or SIZE
    dataset = ShardDataset(data, split=split, size=crop, labels=labels_of(model))
    tell = say if is_first() else _hush
    kind, where = _kind(method, before), pick_device(device)
    precision = str(reduced_precision(where) or "float32").removeprefix("torch.")
    tell(f"{kind.__name__}: {_greeting(chosen, dataset.size, len(dataset), f'{where}, {precision}')}")
    try:
        run = fit(
            kind(model, weights=grade_weights(dataset.grade_counts())),
            dataset if rare is None else _by_class(dataset, rare, model.classes),
            None if target is None else ShardDataset(target, size=crop),
            None if unlabelled is None else _unlabelled(unlabelled, crop),
            out=out,
            steps=chosen.steps,
            batch=chosen.batch,
            accumulate=chosen.accumulate,
            lr=chosen.lr,
            seed=chosen.seed,
            device=device,
            workers=workers,
            every=every,
            preview=preview,
            resume=resume,
            progress=True,
            watch=TensorBoard(out / "tensorboard") if tensorboard else None,
        )
    except KeyboardInterrupt as interrupt:
        same = _given(split=split, rare=rare, unlabelled=unlabelled, target=target)
        again = f"train --data {data} --out {out} --resume{same}"
        tell(f"{interrupt}: {_started()} {again}" if str(interrupt) else "interrupted; what was saved before stays")
        raise typer.Exit(130) from None
    tell(f"next: mage evaluate {out} --data {data}")
    if is_first():
        typer.echo(str(run.path))


def _by_class(dataset: ShardDataset, temperature: float, classes: int) -> RareClasses:
    """The dataset, drawn by its classes, which are counted first."""
    from mage.learning.adapt.rare import RareClasses, class_counts
    from mage.learning.shards import ShardDataset

    if not temperature > 0:
        raise typer.BadParameter("a temperature is above 0", param_hint="--rare")
    whole = ShardDataset(dataset.root, split=dataset.split)
    return RareClasses(dataset, class_counts(whole, classes, progress=True), temperature=temperature)


def _chosen(before: Run | None, **asked: int | float | None) -> Arguments:
    """What is asked for; where nothing is, what the run to go on with was begun with."""
    from mage.learning.runs import Arguments

    begun = before.record.arguments if before else Arguments(steps=STEPS, batch=BATCH, lr=LR, seed=0)
    return begun.model_copy(update={name: value for name, value in asked.items() if value is not None})


def _kind(asked: Way | None, before: Run | None) -> type[Supervised]:
    """The method asked for; where none is, that of the run to go on with."""
    import mage.learning as library

    kinds: dict[Way, type[Supervised]] = {
        Way.SUPERVISED: library.Supervised,
        Way.MIN_ENT: library.MinEnt,
        Way.ADVENT: library.ADVENT,
        Way.DANN: library.DANN,
        Way.CBST: library.CBST,
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

    return ShardDataset(folder, size=size) if is_dataset(folder) else PicturePairs(folder, size=size)


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
        alone=begun.alone,
    )


def _greeting(chosen: Arguments, size: int | None, samples: int, where: str) -> str:
    return (
        f"{chosen.steps} steps of {chosen.batch} crops of {size} px from {samples} samples, "
        f"learning rate {chosen.lr:g}, seed {chosen.seed}, on {where}"
    )


def _given(**options: object) -> str:
    """Options of a command line, those that were given."""
    return "".join(f" --{name} {value}" for name, value in options.items() if value is not None)


def _started() -> str:
    """How this command was started: by itself, or as several processes."""
    number = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return "mage" if number == "1" else f"torchrun --nproc-per-node {number} -m mage.scenes.cli"


def _hush(_: str) -> None:
    """Of several processes that would say the same, one says it."""
