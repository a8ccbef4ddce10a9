"""``mage train``: one command for a model of damage or of classes, alone or with images of where it shall work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mage.learning.names import DecoderName, EncoderName, Head, SetName
from mage.learning.options import DeviceName, SetOption, Split, is_dataset, need_torch, say
from mage.learning.pretrain_command import fill_encoder, trained_part
from mage.scenes.errors import ModelError

if TYPE_CHECKING:
    from mage.learning.adapt.rare import RareClasses
    from mage.learning.methods import Supervised
    from mage.learning.network import Network
    from mage.learning.pictures import PictureFolder, PicturePairs
    from mage.learning.real.scenes import LabelledScenes
    from mage.learning.runs import Arguments, Run
    from mage.learning.shapes import DamageShape, SegmentationShape
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
    data: Annotated[Path, typer.Option("--data", help="Labelled samples: a dataset, or a set as --set says.")],
    out: Annotated[Path, typer.Option(help="Folder for the run.")],
    kind: SetOption = SetName.MAGE,
    method: Annotated[
        Way | None, typer.Option(help="How to learn; all but supervised need --unlabelled.  [default: supervised]")
    ] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            help="Images of the target domain: a dataset, or pictures, those of pairs named NAME_pre and NAME_post."
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
    """Train a model on labelled samples, alone or with images of the domain where it shall work: pairs make a model of
    damage and further heads, images alone one of their classes.
    """
    need_torch()
    from mage.learning.log import TensorBoard
    from mage.learning.methods import labels_of
    from mage.learning.processes import is_first
    from mage.learning.runs import open_run
    from mage.learning.train import fit

    if start is not None and not all(option is None for option in (width, encoder, decoder, head, pretrained)):
        raise typer.BadParameter(
            "the model of --start has a width, an encoder and heads of its own", param_hint="--start"
        )
    before = open_run(out) if resume else None
    chosen = _chosen(before, steps=steps, batch=batch, lr=lr, seed=seed)
    source = _Source(kind, data, split)
    wanted = _Wanted(width, encoder, decoder, tuple(head or ()))
    if start is not None and not resume:
        model = _started_with(start)
    else:
        model = _shape(before, source, wanted).build(chosen.seed)
    if pretrained is not None and before is None:
        fill_encoder(trained_part(model.encoder), pretrained)
    crop = size or _learned_size(before) or SIZE
    dataset = source.opened(crop, labels_of(model))
    learner = _kind(method, before)(model, weights=_weights(dataset))
    tell = say if is_first() else _hush
    tell(_greeting(learner, chosen, crop, len(dataset), device))
    try:
        run = fit(
            learner,
            dataset if rare is None else _by_class(source, dataset, rare, model.classes),
            None if target is None else source.like(target).opened(crop),
            None if unlabelled is None else _unlabelled(unlabelled, crop, model.dates),
            out=out,
            **chosen.model_dump(),
            device=device,
            workers=workers,
            every=every,
            preview=preview,
            resume=resume,
            progress=True,
            watch=TensorBoard(out / "tensorboard") if tensorboard else None,
        )
    except KeyboardInterrupt as interrupt:
        same = source.words() + _given(rare=rare, unlabelled=unlabelled, target=target)
        again = f"train --data {data} --out {out} --resume{same}"
        tell(f"{interrupt}: {_started()} {again}" if str(interrupt) else "interrupted; what was saved before stays")
        raise typer.Exit(130) from None
    tell(f"next: mage evaluate {out} --data {data}{_Source(kind, data).words()}")
    if is_first():
        typer.echo(str(run.path))


@dataclass(frozen=True, slots=True)
class _Source:
    """Where labelled samples are."""

    kind: SetName
    folder: Path
    split: str | None = None

    def opened(self, size: int | None = None, labels: Sequence[str] = ()) -> LabelledScenes | ShardDataset:
        """The samples, in crops of this side or whole."""
        from mage.learning.real.sets import open_set

        return open_set(self.kind, self.folder, split=self.split, size=size, labels=labels)

    def like(self, folder: Path) -> _Source:
        """Another folder of the same kind, without splits."""
        return _Source(self.kind, folder)

    def words(self) -> str:
        """As options of a command line, beside the folder."""
        return _given(set=None if self.kind is SetName.MAGE else self.kind, split=self.split)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked of the network; None and () for what is not."""

    width: int | None
    encoder: EncoderName | None
    decoder: DecoderName | None
    heads: tuple[Head, ...]


def _started_with(run: Path) -> Network:
    from mage.learning.saved import load_model

    return load_model(run, "cpu")


def _learned_size(before: Run | None) -> int | None:
    """Side of the crops of the run to go on with, if there is one that knows it."""
    learned = before.trained_on().source if before else None
    return learned.size if learned else None


def _weights(dataset: LabelledScenes | ShardDataset) -> list[float] | None:
    """Weights of the grades by how often they are in a dataset of pairs whose index tells; of other sets None."""
    from mage.learning.losses import grade_weights
    from mage.learning.shards import ShardDataset

    if isinstance(dataset, ShardDataset) and dataset.transform is None:
        return grade_weights(dataset.grade_counts())
    return None


def _by_class(source: _Source, dataset: LabelledScenes | ShardDataset, temperature: float, classes: int) -> RareClasses:
    """The dataset, drawn by its classes, which are counted first."""
    from mage.learning.adapt.rare import RareClasses, class_counts

    if not temperature > 0:
        raise typer.BadParameter("a temperature is above 0", param_hint="--rare")
    return RareClasses(dataset, class_counts(source.opened(), classes, progress=True), temperature=temperature)


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


def _unlabelled(folder: Path, size: int, dates: int) -> PictureFolder | PicturePairs | ShardDataset:
    """Images of so many dates, whose labels, if there are any, are not looked at."""
    from mage.learning.pictures import PictureFolder, PicturePairs
    from mage.learning.shards import ShardDataset

    if is_dataset(folder):
        return ShardDataset(folder, size=size)
    return PicturePairs(folder, size=size) if dates > 1 else PictureFolder(folder, size=size)


def _shape(before: Run | None, source: _Source, wanted: _Wanted) -> DamageShape | SegmentationShape:
    """Of the network that is asked for; where nothing is, of the one that the run before began with, or of one that
    fits the samples.
    """
    from mage.learning.shapes import DamageShape, ResidualShape, encoder_shape

    begun = before.record.model if before else None
    if before and begun is None:
        raise ModelError("this run is not of a model that `mage train` builds", file=before.path)
    if begun is None:
        begun = _fitting(source)
    wide = wanted.width or begun.width
    same = wanted.encoder is None and not isinstance(begun.encoder, ResidualShape)
    fresh = encoder_shape(wanted.encoder or EncoderName.RESIDUAL, wide, begun.encoder.bands)
    encoder = begun.encoder if same else fresh
    given = {"width": wide, "encoder": encoder, "decoder": wanted.decoder or begun.decoder}
    if isinstance(begun, DamageShape):
        return begun.model_copy(update=given | {"heads": wanted.heads or begun.heads})
    if wanted.heads:
        raise typer.BadParameter("these stand beside damage, in a model of pairs", param_hint="--head")
    return begun.model_copy(update=given)


def _fitting(source: _Source) -> DamageShape | SegmentationShape:
    """A small network for samples as these: of damage for pairs, of their classes for images."""
    from mage.learning.shapes import DamageShape, ResidualShape, SegmentationShape
    from mage.learning.shards import GRADES

    dataset = source.opened()
    image = dataset[0]["image"]
    encoder = ResidualShape(width=WIDTH, bands=image.shape[-3])
    if image.ndim == 4:
        return DamageShape(width=WIDTH, grades=GRADES, encoder=encoder)
    return SegmentationShape(width=WIDTH, classes=_classes(dataset), encoder=encoder, decoder=DecoderName.UNET)


def _classes(dataset: LabelledScenes | ShardDataset) -> int:
    """How many classes masks have, as the set says; where it does not, all masks are looked at."""
    from mage.learning.adapt.rare import class_counts
    from mage.learning.evaluation import class_names
    from mage.scenes.metrics import IGNORE

    if names := class_names(dataset):
        return len(names)
    there = class_counts(dataset, IGNORE, progress=True).any(0)
    return max(2, 1 + int(there.nonzero()[0].max(initial=0)))


def _greeting(learner: Supervised, chosen: Arguments, size: int, samples: int, device: str) -> str:
    from mage.learning.devices import pick_device, reduced_precision

    where = pick_device(device)
    precision = str(reduced_precision(where) or "float32").removeprefix("torch.")
    return (
        f"{type(learner).__name__}: {chosen.steps} steps of {chosen.batch} crops of {size} px from {samples} samples, "
        f"learning rate {chosen.lr:g}, seed {chosen.seed}, on {where}, {precision}"
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
